"""One episode: a namespace of its own, a few objects of a few kinds, and random calls on them."""
import copy
import json
import time
import urllib.parse

import mutate
from compare import differences

JSON = {"Content-Type": "application/json"}
MERGE = {"Content-Type": "application/merge-patch+json"}
STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}
PATCH = {"Content-Type": "application/json-patch+json"}
APPLY = {"Content-Type": "application/apply-patch+yaml"}
OPS = {"create": 24, "get": 4, "list": 6, "update": 16, "json_patch": 10, "merge_patch": 12, "strategic_patch": 14, "apply": 16,
       "delete": 6, "status": 7, "scale": 3, "pod": 2, "bad": 3, "collection": 1, "generate": 2}
MERGE_KEYS = {"containers": "name", "initContainers": "name", "volumes": "name", "env": "name", "volumeMounts": "mountPath", "ports": None,
              "imagePullSecrets": "name", "hostAliases": "ip", "conditions": "type", "addresses": "type", "taints": None,
              "ownerReferences": "uid", "webhooks": "name", "secrets": "name", "topologySpreadConstraints": None}


def nested(obj, path, v):
    """{a: {b: v}} for a path; where it meets a list, the whole list as it is in obj."""
    out = v
    for k in reversed(path):
        if isinstance(k, int):
            return None
        out = {k: out}
    return out


def get_at(obj, path):
    for k in path:
        try:
            obj = obj[k]
        except (KeyError, IndexError, TypeError):
            return None
    return obj


class Episode:
    def __init__(self, pair, rng, tag, kinds, schemas, comparer, findings, fill, args):
        self.pair, self.rng, self.tag, self.schemas = pair, rng, tag, schemas
        self.comparer, self.findings, self.fill, self.args = comparer, findings, dict(fill), args
        self.kinds = [rng.choices(kinds, [k.weight for k in kinds])[0] for _ in range(3)]
        self.ns = tag
        self.fill["@ns"] = tag
        self.touched = set()
        self.bad = False

    # what every call goes through

    def filled(self, text):
        for k, v in self.fill.items():
            text = text.replace('"%s"' % k, '"%s"' % v)
        return text.replace('"@g"', '"%s.example.org"' % self.tag)

    def call(self, op, kind, method, paths, bodies=None, headers=None, name=None):
        """Asks both and notes what differs; then both objects go, for the rest to begin alike."""
        if isinstance(bodies, tuple):
            bodies = tuple(b and self.filled(b) for b in bodies)
        elif bodies:
            bodies = self.filled(bodies)
        ref, tested = self.pair.ask(method, paths, bodies, headers)
        if ref.code == 0 and tested.code:
            self.findings.explained["the reference panics"] += 1
            self.bad = True
            if name:
                self.purge(kind, name)
            return ref, tested, True
        found = self.comparer.answers(ref, tested, kind)
        path = paths if isinstance(paths, str) else paths[0]
        said = bodies[0] if isinstance(bodies, tuple) else bodies
        detail = "%s %s %s\n%s\nreference %s\ntested %s" % (method, path, " ".join((headers or {}).values()), said,
                                                         ref if ref.code >= 400 else ref.code, tested if tested.code >= 400 else tested.code)
        bad = False
        for d in found:
            bad |= self.findings.add(kind, op, d, detail)
        self.bad |= bool(found)
        if found and name and method != "GET":
            self.purge(kind, name)
        return ref, tested, bad

    def purge(self, kind, name):
        path = kind.path(self.ns, name)
        for _ in range(4):
            answers = self.pair.ask("DELETE", path + "?gracePeriodSeconds=0&propagationPolicy=Background")
            if all(a.code == 404 for a in answers):
                return
            self.pair.ask("PATCH", path, '{"metadata":{"finalizers":null}}', MERGE)
            if kind.kind == "Namespace":
                for h in self.pair.both:
                    h.send("GET", path)
                    a = h.receive()
                    if a.code == 200:
                        o = a.json
                        o.setdefault("spec", {})["finalizers"] = []
                        h.send("PUT", path + "/finalize", json.dumps(o), JSON)
                        h.receive()

    def run(self):
        body = '{"metadata":{"name":"%s"}}' % self.ns
        made = self.pair.ask("POST", "/api/v1/namespaces", body, JSON)
        self.start = [a.json["metadata"]["resourceVersion"] for a in made]
        sa = '{"metadata":{"name":"default"},"automountServiceAccountToken":false}'
        self.pair.ask("POST", "/api/v1/namespaces/%s/serviceaccounts" % self.ns, sa, JSON)
        if any(k.kind == "Pod" for k in self.kinds):
            time.sleep(0.05)
        ops = {k: v for k, v in OPS.items() if not self.args.ops or k in self.args.ops.split(",")}
        for _ in range(30):
            op = self.rng.choices(list(ops), list(ops.values()))[0]
            kind = self.rng.choice(self.kinds)
            try:
                getattr(self, "op_" + op)(kind)
            except (KeyError, TypeError, AttributeError, IndexError):
                self.findings.odd += 1  # an edit left nothing to go on with
        if not self.bad and self.rng.random() < .15:
            self.op_watch(self.kinds[0])
        for kind, name in self.touched:
            if not kind.namespaced:
                self.purge(kind, name)

    def name(self, kind):
        n = self.rng.choice(["a", "b"])
        if kind.kind == "APIService":
            n = "v1.%s.example.org" % self.tag
        elif kind.kind == "CustomResourceDefinition":
            n = "things.%s.example.org" % self.tag
        elif not kind.namespaced:
            n = self.tag + "-" + n
        self.touched.add((kind, n))
        return n

    def query(self, apply=False, **more):
        q = dict(more)
        if self.rng.random() < .08:
            q["dryRun"] = "All"
        if self.rng.random() < .2 or apply:
            q["fieldManager"] = self.rng.choice(["m1", "m2", "m3"])
        if apply and self.rng.random() < .4:
            q["force"] = "true"
        return "?" + urllib.parse.urlencode(q) if q else ""

    def edits(self, kind, obj, n=None):
        out = []
        for _ in range(n if n is not None else self.rng.choice([1, 1, 1, 2, 3])):
            e = mutate.edit(self.rng, self.schemas, kind, obj, self.args.odd)
            if e and not (e[0][-1:] == ("globalDefault",)):
                out.append(e)
                mutate.carry_out(obj, e)
        return out

    def live(self, kind, name, make=True):
        """Both servers' objects, fresh; made first where there is none."""
        path = kind.path(self.ns, name)
        ref, tested, bad = self.call("get", kind, "GET", path, name=name)
        if ref.code == 404 and tested.code == 404 and make:
            o = kind.object(self.rng, name)
            self.call("create", kind, "POST", kind.path(self.ns), json.dumps(o), JSON, name)
            ref, tested, bad = self.call("get", kind, "GET", path, name=name)
        if bad or ref.code != 200 or tested.code != 200:
            return None
        return ref.json, tested.json

    # the calls

    def op_create(self, kind):
        name = self.name(kind)
        o = kind.object(self.rng, name)
        if self.rng.random() < .65:
            self.edits(kind, o)
        if self.rng.random() < .03:
            o["metadata"]["namespace"] = self.rng.choice([self.ns, "other"])
        self.call("create", kind, "POST", kind.path(self.ns) + self.query(), mutate.text(self.rng, o), JSON, name)

    def op_generate(self, kind):
        o = kind.object(self.rng, "x")
        del o["metadata"]["name"]
        o["metadata"]["generateName"] = self.rng.choice(["g-", "x" * 60, "x" * 260, "A", "g"])
        ref, tested = self.pair.ask("POST", kind.path(self.ns), self.filled(json.dumps(o)), JSON)
        names = [(x.json or {}).get("metadata", {}).get("name", "") for x in (ref, tested)]
        lens = [(x.code, len(n), n[:-5]) for x, n in zip((ref, tested), names)]
        if lens[0] != lens[1]:
            self.findings.add(kind, "generate", (("generateName",), "value", lens[0], lens[1]), "%s\n%s\n%s" % (json.dumps(o), ref, tested))
        for h, n in zip(self.pair.both, names):
            if n:
                h.send("DELETE", kind.path(self.ns, n) + "?gracePeriodSeconds=0")
                h.receive()

    def op_get(self, kind):
        name = self.name(kind)
        h = {}
        if self.rng.random() < .4:
            h["Accept"] = self.rng.choice(["application/json;as=Table;v=v1;g=meta.k8s.io", "application/json", "application/yaml",
                                           "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "*/*"])
        self.call("get", kind, "GET", kind.path(self.ns, name), None, h)

    def op_list(self, kind):
        q = {}
        r = self.rng.random
        if r() < .5 or not kind.namespaced:
            q["labelSelector"] = self.rng.choice(["app=a", "app!=a", "app in (a,b)", "tier", "!tier", "app notin (a)", "app=a,tier=x", "app>1", "a b", "=", "app=",
                                                  "app in (", "app==a", "x/y/z=1"])
        if not kind.namespaced:
            q["fieldSelector"] = "metadata.name=%s-%s" % (self.tag, self.rng.choice("ab"))
        elif r() < .4:
            q["fieldSelector"] = self.rng.choice(["metadata.name=a", "metadata.name!=a", "metadata.namespace=" + self.ns, "status.phase=Pending",
                                                  "spec.nodeName=n1", "spec.x=1", "type=Opaque", "metadata.labels=a", "reason=R", "involvedObject.kind=Pod",
                                                  "status.replicas=0", "metadata.name", "a=b,c=d", "status.successful=1", "spec.restartPolicy=Always"])
        if r() < .4:
            q["limit"] = self.rng.choice(["1", "2", "500", "-1", "x", "0"])
        if r() < .1:
            q["resourceVersion"] = self.rng.choice(["0", "x", "-1"])
            if r() < .5:
                q["resourceVersionMatch"] = self.rng.choice(["Exact", "NotOlderThan", "x"])
        if r() < .03:
            q["continue"] = "garbage"
        h = {}
        if r() < .35:
            h["Accept"] = self.rng.choice(["application/json;as=Table;v=v1;g=meta.k8s.io", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
                                           "application/xml", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"])
        path = kind.path(self.ns) + ("?" + urllib.parse.urlencode(q) if q else "")
        ref, tested, bad = self.call("list", kind, "GET", path, None, h)
        tokens = [get_at(x.json, ("metadata", "continue")) for x in (ref, tested)]
        if not bad and all(tokens):
            paths = tuple(path + "&continue=" + urllib.parse.quote(t) for t in tokens)
            self.call("list", kind, "GET", paths, None, h)

    def op_update(self, kind):
        name = self.name(kind)
        both = self.live(kind, name)
        if not both:
            return
        self.put(kind, name, both, "update")

    def put(self, kind, name, both, op, sub=None, where=None):
        changed = copy.deepcopy(both[0])
        if where:
            e = self.edits_in(kind, changed, where)
        else:
            e = self.edits(kind, changed, self.rng.choice([0, 1, 1, 1, 2]))
        r = self.rng.random()
        bodies = []
        for o in both:
            o = copy.deepcopy(o)
            for x in e:
                mutate.carry_out(o, x)
            if isinstance(o.get("metadata"), dict):
                if r < .3:
                    o["metadata"].pop("resourceVersion", None)
                elif r < .36:
                    o["metadata"]["resourceVersion"] = "1"
                elif r < .38:
                    o["metadata"]["resourceVersion"] = "x"
                if .38 < r < .41:
                    o["metadata"]["uid"] = "22222222-2222-3333-4444-555555555555"
                if .41 < r < .5:
                    o["metadata"].pop("managedFields", None)
                if .5 < r < .52:
                    o["metadata"]["name"] = "other"
                if .52 < r < .54:
                    o["metadata"]["managedFields"] = []
            bodies.append(json.dumps(o))
        self.call(op, kind, "PUT", kind.path(self.ns, name, sub) + self.query(), tuple(bodies), JSON, name)

    def edits_in(self, kind, obj, part):
        """Edits below one member of an object."""
        out = []
        for _ in range(self.rng.choice([1, 1, 2])):
            root = self.schemas.root(kind)
            pair = root and self.schemas.below(root, part)
            if not pair:
                continue
            v = mutate.value(self.rng, self.schemas, pair, part, 0)
            if isinstance(v, dict) and self.rng.random() < .7:
                for k in v:
                    out.append(((part, k), "set", v[k]))
            else:
                out.append(((part,), "set", v))
        for e in out:
            obj.setdefault(part, {})
            mutate.carry_out(obj, e)
        return out

    def op_status(self, kind):
        name = self.name(kind)
        both = self.live(kind, name)
        if not both:
            return
        if not kind.status:
            self.call("status", kind, "GET", kind.path(self.ns, name, "status"))
            return
        r = self.rng.random()
        if r < .15:
            self.call("status", kind, "GET", kind.path(self.ns, name, "status"))
        elif r < .5:
            for o in both:
                o.setdefault("status", {})
            self.put(kind, name, both, "status", "status", "status" if self.rng.random() < .85 else None)
        else:
            o = copy.deepcopy(both[0])
            out = {}
            for e in self.edits_in(kind, o, "status"):
                x = nested(o, e[0], e[2])
                if x:
                    merge_into(out, x)
            if r > .9:
                out = {"metadata": {"labels": {"q": "r"}, "annotations": {"s": "t"}}, "spec": {"replicas": 77}}
            h = MERGE if r < .75 or kind.kind == "Widget" else STRATEGIC
            self.call("status", kind, "PATCH", kind.path(self.ns, name, "status") + self.query(), json.dumps(out), h, name)

    def op_scale(self, kind):
        name = self.name(kind)
        both = self.live(kind, name)
        if not both:
            return
        path = kind.path(self.ns, name, "scale")
        r = self.rng.random()
        if r < .4 or not kind.scale:
            self.call("scale", kind, "GET", path)
        elif r < .7:
            body = json.dumps({"spec": self.rng.choice([{"replicas": 3}, {"replicas": -1}, {}, {"replicas": "x"}, {"replicas": 0}])})
            self.call("scale", kind, "PATCH", path + self.query(), body, self.rng.choice([MERGE, MERGE, STRATEGIC]), name)
        else:
            o = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": name, "namespace": self.ns},
                 "spec": {"replicas": self.rng.choice([0, 1, 5, -1, None])}}
            x = self.rng.random()
            if x < .1:
                o["metadata"]["resourceVersion"] = "1"
            elif x < .2:
                o["kind"] = "Thing"
            elif x < .3:
                o["metadata"]["name"] = "other"
            self.call("scale", kind, "PUT", path + self.query(), json.dumps(o), JSON, name)

    def op_json_patch(self, kind):
        name = self.name(kind)
        both = self.live(kind, name)
        if not both:
            return
        o = copy.deepcopy(both[0])
        ops = []
        for path, action, v in self.edits(kind, o, self.rng.choice([1, 1, 2])):
            at = "/" + "/".join(str(k).replace("~", "~0").replace("/", "~1") for k in path)
            if action == "append":
                ops.append({"op": "add", "path": at + "/-", "value": v})
            elif action == "remove":
                ops.append({"op": "remove", "path": at})
            else:
                ops.append({"op": self.rng.choice(["add", "add", "replace"]), "path": at, "value": v})
        r = self.rng.random()
        if r < .06:
            ops.insert(0, {"op": "test", "path": "/metadata/name", "value": self.rng.choice([name, "z"])})
        elif r < .1:
            ops.append({"op": "copy", "from": "/metadata/name", "path": "/metadata/annotations/x"})
        elif r < .13:
            ops.append({"op": "move", "from": "/metadata/labels/app", "path": "/metadata/labels/moved"})
        elif r < .16:
            ops.append(self.rng.choice([{"op": "x", "path": "/a"}, {"op": "add", "path": "nope", "value": 1}, {"op": "remove", "path": "/nope"}, {"path": "/a"},
                                        {"op": "add", "path": "/spec/containers/99", "value": {}}]))
        body = json.dumps(ops)
        if self.rng.random() < .02:
            body = self.rng.choice(["{}", "[", "null", "[]", '"x"', "[1]"])
        self.call("json_patch", kind, "PATCH", kind.path(self.ns, name) + self.query(), body, PATCH, name)

    def op_merge_patch(self, kind):
        name = self.name(kind)
        both = self.live(kind, name)
        if not both:
            return
        o = copy.deepcopy(both[0])
        out = {}
        for path, action, v in self.edits(kind, o):
            cut = next((i for i, k in enumerate(path) if isinstance(k, int)), None)
            if action == "append" or cut is not None:
                at = path[:cut] if cut is not None else path
                x = nested(o, at, get_at(o, at))
            else:
                x = nested(o, path, None if action == "remove" else v)
            if isinstance(x, dict):
                merge_into(out, x)
        if self.rng.random() < .04:
            out.setdefault("metadata", {})["resourceVersion"] = self.rng.choice(["1", "x", ""])
        body = json.dumps(out)
        if self.rng.random() < .02:
            body = self.rng.choice(["[]", "{", "null", "{}", '"x"', ""])
        self.call("merge_patch", kind, "PATCH", kind.path(self.ns, name) + self.query(), body, MERGE, name)

    def op_strategic_patch(self, kind):
        name = self.name(kind)
        both = self.live(kind, name)
        if not both:
            return
        o = copy.deepcopy(both[0])
        out = {}
        for path, action, v in self.edits(kind, o):
            x = self.strategic(both[0], path, action, v)
            if isinstance(x, dict):
                merge_into(out, x)
        body = json.dumps(out)
        if self.rng.random() < .01:
            body = self.rng.choice(["[]", "{", "null", "{}", ""])
        self.call("strategic_patch", kind, "PATCH", kind.path(self.ns, name) + self.query(), body, STRATEGIC, name)

    def strategic(self, live, path, action, v):
        """An edit as a strategic patch: list items by their merge keys, with a directive now and then."""
        rng = self.rng
        if action == "remove" and path and not isinstance(path[-1], int):
            v = None
        if action == "append":
            v = [v]
            if rng.random() < .2:
                v.append({"$patch": rng.choice(["replace", "delete", "x"])})
        inner = v
        if action == "remove" and isinstance(path[-1], int):
            item = get_at(live, path)
            inner = "@delete"
            path_up = path
        for i in range(len(path) - 1, -1, -1):
            k = path[i]
            if isinstance(k, int):
                item = get_at(live, path[:i + 1])
                listname = next((x for x in reversed(path[:i]) if isinstance(x, str)), "")
                if not isinstance(item, dict):
                    inner = ["$del"] if inner == "@delete" else [inner]
                    if inner == ["$del"]:
                        return nested(live, path[:i - 1], {"$deleteFromPrimitiveList/" + listname: [item]}) if i else None
                    continue
                key = MERGE_KEYS.get(listname, "name")
                keys = [key] if key else [x for x in ("containerPort", "port", "protocol", "key", "effect", "topologyKey") if x in item]
                base = {x: item[x] for x in keys if x in item}
                if inner == "@delete":
                    inner = [dict(base, **{"$patch": "delete"})]
                elif isinstance(inner, dict):
                    inner = [dict(inner, **base)]
                else:
                    inner = [inner]
            else:
                d = {k: inner}
                if isinstance(inner, list) and rng.random() < .15:
                    d["$setElementOrder/" + k] = [x if not isinstance(x, dict) else {y: x[y] for y in ("name", "containerPort", "mountPath", "type", "ip") if y in x}
                                                  for x in inner]
                elif isinstance(inner, dict) and rng.random() < .05:
                    inner["$patch"] = rng.choice(["replace", "delete", "merge", "x"])
                elif isinstance(inner, dict) and rng.random() < .05:
                    inner["$retainKeys"] = sorted(x for x in inner if not x.startswith("$"))
                inner = d
        return inner

    def op_apply(self, kind):
        name = self.name(kind)
        o = kind.object(self.rng, name)
        part = {"apiVersion": o["apiVersion"], "kind": o["kind"], "metadata": {"name": name}}
        if self.rng.random() < .6:
            part = o
            if self.rng.random() < .6:
                self.edits(kind, part)
        else:
            for k in o:
                if k not in part and self.rng.random() < .8:
                    part[k] = o[k]
            part["metadata"] = dict(o["metadata"])
            part["metadata"].setdefault("labels", {})["v"] = self.rng.choice(["1", "2"])
            self.edits(kind, part, 1)
        if self.rng.random() < .03:
            part["metadata"]["managedFields"] = []
        if self.rng.random() < .03:
            part.pop("apiVersion")
        if self.rng.random() < .03:
            part["metadata"]["name"] = "other"
        q = self.query(True)
        if self.rng.random() < .02:
            q = ""
        self.call("apply", kind, "PATCH", kind.path(self.ns, name) + q, json.dumps(part), APPLY, name)

    def op_delete(self, kind):
        name = self.name(kind)
        both = self.live(kind, name)
        if not both:
            return
        o = {"apiVersion": "v1", "kind": "DeleteOptions"}
        r = self.rng.random
        if r() < .4:
            o["gracePeriodSeconds"] = self.rng.choice([0, 1, 30, -1, "x"])
        if r() < .4:
            o["propagationPolicy"] = self.rng.choice(["Orphan", "Background", "Foreground", "x"])
        if r() < .1:
            o["orphanDependents"] = True
        if r() < .1:
            o["dryRun"] = self.rng.choice([["All"], ["x"], []])
        bodies = []
        x = r()
        for b in both:
            c = dict(o)
            if x < .15:
                c["preconditions"] = {"uid": b["metadata"].get("uid", "")}
            elif x < .25:
                c["preconditions"] = {"uid": "22222222-2222-3333-4444-555555555555"}
            elif x < .35:
                c["preconditions"] = {"resourceVersion": b["metadata"].get("resourceVersion", "")}
            elif x < .4:
                c["preconditions"] = {"resourceVersion": "1"}
            bodies.append(json.dumps(c))
        q = self.rng.choice(["", "", "", "?gracePeriodSeconds=0", "?propagationPolicy=Foreground", "?dryRun=All", "?gracePeriodSeconds=x", "?dryRun=x"])
        if q:
            bodies = [None, None]
        self.call("delete", kind, "DELETE", kind.path(self.ns, name) + q, tuple(bodies), JSON if not q else None, name)
        self.call("get", kind, "GET", kind.path(self.ns, name), name=name)

    def op_collection(self, kind):
        if not kind.namespaced:
            return
        q = self.rng.choice(["?labelSelector=app%3Da", "?fieldSelector=metadata.name%3Da", "", "?labelSelector=%3D", "?gracePeriodSeconds=0", "?dryRun=All"])
        if kind.kind == "ServiceAccount" and not q.startswith("?f"):
            return
        self.call("collection", kind, "DELETE", kind.path(self.ns) + q)
        for n in "ab":
            self.call("get", kind, "GET", kind.path(self.ns, n), name=n)

    def op_pod(self, kind):
        if kind.kind != "Pod":
            return
        name = self.name(kind)
        both = self.live(kind, name)
        if not both:
            return
        r = self.rng.random()
        if r < .5:
            b = {"metadata": {"name": self.rng.choice([name, "other"])}, "target": self.rng.choice([{"kind": "Node", "name": "n7"}, {"name": "n8"}, {}, {"kind": "Pod", "name": "x"}])}
            if self.rng.random() < .3:
                b["metadata"]["annotations"] = {"bound": "yes"}
            self.call("binding", kind, "POST", kind.path(self.ns, name, "binding") + self.query(), json.dumps(b), JSON, name)
            self.call("get", kind, "GET", kind.path(self.ns, name), name=name)
        else:
            b = {"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": self.rng.choice([name, name, "other"]), "namespace": self.ns}}
            if self.rng.random() < .3:
                b["deleteOptions"] = self.rng.choice([{"gracePeriodSeconds": 0}, {"dryRun": ["All"]}, {"preconditions": {"uid": "22222222-2222-3333-4444-555555555555"}}])
            self.call("eviction", kind, "POST", kind.path(self.ns, name, "eviction"), json.dumps(b), JSON, name)
            self.call("get", kind, "GET", kind.path(self.ns, name), name=name)

    def op_bad(self, kind):
        rng = self.rng
        name = self.name(kind)
        o = json.dumps(kind.object(rng, name))
        body = rng.choice(["", "{", "null", "[]", "1", '"x"', "{}", o[:len(o) // 2], o + "x", o.replace(kind.kind, "Nope"), o.replace('"apiVersion": "', '"apiVersion": "x'),
                           "a: b", "\x00", '{"metadata":[]}', '{"metadata":{"name":1}}', '{"kind":"%s","metadata":null}' % kind.kind])
        r = rng.random()
        c = rng.choice([JSON, JSON, JSON, {}, {"Content-Type": "text/plain"}, {"Content-Type": "application/yaml"}])
        if r < .4:
            self.call("bad", kind, "POST", kind.path(self.ns), body, c, name)
        elif r < .6:
            if self.live(kind, name):
                self.call("bad", kind, "PUT", kind.path(self.ns, name), body, c, name)
        elif r < .75:
            if self.live(kind, name):
                h = rng.choice([PATCH, MERGE, STRATEGIC, APPLY, JSON, {}, {"Content-Type": "application/x"}])
                self.call("bad", kind, "PATCH", kind.path(self.ns, name) + "?fieldManager=m1", body, h, name)
        else:
            method, path = rng.choice([
                ("POST", kind.path(self.ns, name)), ("PUT", kind.path(self.ns)), ("GET", kind.path(self.ns, name, "nope")), ("DELETE", kind.path(self.ns, "nope")),
                ("GET", kind.path(self.ns, "A_b")), ("PATCH", kind.path(self.ns)), ("GET", kind.root + "/nopes"), ("GET", kind.root + "x/y"), ("POST", kind.path(None) if kind.namespaced else "/nope"),
                ("GET", "/apis/nope.example.com/v1/x"), ("GET", kind.path(self.ns, name) + "?pretty=1"), ("POST", kind.path("nowhere")), ("PUT", kind.path(self.ns, name) + "?dryRun=x"),
                ("POST", kind.path(self.ns) + "?dryRun=x"), ("POST", kind.path(self.ns) + "?fieldManager=" + "x" * 130), ("GET", kind.path(self.ns, name) + "?resourceVersion=x"),
                ("POST", kind.path(self.ns) + "?fieldManager=%01")])
            self.call("bad", kind, method, path, o if method in ("POST", "PUT") else "{}" if method == "PATCH" else None,
                      JSON if method in ("POST", "PUT") else MERGE if method == "PATCH" else None, name)

    def op_watch(self, kind):
        """What both have to tell of this episode's objects of a kind, from their beginning."""
        q = {"watch": "1", "timeoutSeconds": "1"}
        if not kind.namespaced:
            q["fieldSelector"] = "metadata.name=" + self.tag + "-a"
        elif self.rng.random() < .5:
            q["labelSelector"] = self.rng.choice(["app=a", "!v", "v=1", "tier in (x)"])
        paths = tuple(kind.path(self.ns) + "?" + urllib.parse.urlencode(dict(q, resourceVersion=rv)) for rv in self.start)
        told = []
        for answer in self.pair.ask("GET", paths):
            memory, lines = type(self.comparer.memory)(), []
            for line in answer.body.split(b"\n"):
                if line.strip():
                    e = json.loads(line)
                    lines.append({"type": e["type"], "object": self.comparer.object(0, e["object"], kind, memory)})
            told.append(lines)
        for d in differences(told[0], told[1]):
            if d[1] == "extra" and self.comparer.new_field(d[0][2:], kind):
                continue
            if d[1] == "length":
                d = (d[0], d[1]) + tuple([(e["type"], e["object"].get("metadata", {}).get("name")) for e in x if isinstance(e, dict) and "type" in e] or x
                                         for x in d[2:])
            self.findings.add(kind, "watch", (("watch",) + d[0],) + d[1:], paths[0])


def merge_into(a, b):
    for k, v in b.items():
        if isinstance(v, dict) and isinstance(a.get(k), dict):
            merge_into(a[k], v)
        else:
            a[k] = v
