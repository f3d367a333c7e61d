"""CustomResourceDefinitions: field validation, OpenAPI, discovery, selectable fields, defaults, watches, status, scale."""
import json
import os
import subprocess
import tempfile

from client import APPLY, JSON_PATCH, MERGE, STRATEGIC, check, dig, eq, soon, status, updated

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DEPLOYMENT = """{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "my-dep", %s "labels": {"app": "x"}},
"spec": {%s "selector": {"matchLabels": {"app": "x"}}, "template": {"metadata": {"labels": {"app": "x"}},
"spec": {"containers": [{"name": "x", "image": "x", "imagePullPolicy": "Always"}]}}}}"""
SPEC = {"type": "object", "properties": {
    "foo": {"type": "string"}, "cronSpec": {"type": "string", "pattern": "^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$"},
    "ports": {"type": "array", "x-kubernetes-list-map-keys": ["containerPort", "protocol"], "x-kubernetes-list-type": "map",
              "items": {"type": "object", "required": ["containerPort", "protocol"], "properties": {
                  "containerPort": {"type": "integer", "format": "int32"}, "protocol": {"type": "string"},
                  "name": {"type": "string"}}}}}}
OBJECT = {"type": "object", "properties": {"spec": SPEC}}
LOOSE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def version(name="v1", schema=None, **more):
    return dict({"name": name, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema or OBJECT}}, **more)


def define(api, kind, versions=None, scope="Namespaced", group="e2e.example.com"):
    """A definition that is served; answers the definition and the path of its first version."""
    plural = kind.lower() + "s"
    a = api.post(CRDS, {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {
        "name": plural + "." + group}, "spec": {"group": group, "scope": scope, "names": {"plural": plural, "kind": kind},
                                                "versions": versions or [version()]}})
    check("define " + kind, a.code == 201, a)
    eq("… nothing is wrong with what the server adds", a.warnings, [])
    at = "/apis/%s/%s" % (group, (versions or [version()])[0]["name"])
    check("… is served", soon(lambda: api.get(at + "/" + plural).code == 200))
    return a, at, plural


def typed_fields(api, ns):
    at = "/apis/apps/v1/namespaces/%s/deployments" % ns
    bad = DEPLOYMENT % ("", '"unknownField": "foo", "replicas": 2, "replicas": 3,')
    strict = 'strict decoding error: unknown field "spec.unknownField", duplicate field "spec.replicas"'
    a = api.post(at + "?fieldValidation=Strict", bad)
    status("unknown and duplicate fields", a, 400, "BadRequest", strict)
    check("… the whole message", a["message"].startswith("Deployment in version \"v1\" cannot be handled as a Deployment: strict"), a)
    a = api.post(at + "?dryRun=All&fieldValidation=Warn", bad)
    eq("… as warnings", (a.code, a.warnings), (201, ['unknown field \\"spec.unknownField\\"', 'duplicate field \\"spec.replicas\\"']))
    a = api.post(at + "?dryRun=All&fieldValidation=Ignore", bad)
    eq("… ignored", (a.code, a.warnings), (201, []))
    a = api.post(at + "?fieldValidation=Strict", DEPLOYMENT % ('"unknownMeta": "foo",', ""))
    status("unknown metadata", a, 400, "BadRequest", 'strict decoding error: unknown field "metadata.unknownMeta"')
    api.post(at, DEPLOYMENT % ("", '"replicas": 0,'))
    p = api.patch(at + "/my-dep?fieldValidation=Strict", '{"spec": {"unknown1": 1, "paused": true, "paused": false}}', type=MERGE)
    status("a merge patch", p, 422 if p.code == 422 else 400, None, 'strict decoding error: duplicate field "spec.paused", unknown field "spec.unknown1"')
    p = api.patch(at + "/my-dep?fieldValidation=Strict", '{"spec": {"unknown1": 1, "paused": true, "paused": false}}', type=STRATEGIC)
    status("a strategic patch", p, p.code if p.code in (400, 422) else 400, None, 'duplicate field "spec.paused", unknown field "spec.unknown1"')
    p = api.patch(at + "/my-dep?fieldValidation=Warn", '{"spec": {"unknown1": 1}}', type=MERGE)
    eq("… with a warning", (p.code, p.warnings), (200, ['unknown field \\"spec.unknown1\\"']))
    y = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: my-dep\nspec:\n  unknown1: val1\n  replicas: 1\n  replicas: 2\n"
    p = api.patch(at + "/my-dep?fieldManager=m&fieldValidation=Strict", y, type=APPLY)
    status("an apply patch with a duplicate", p, 400, "BadRequest", 'key "replicas" already set in map')
    p = api.patch(at + "/my-dep?fieldManager=m&fieldValidation=Strict", y.replace("  replicas: 2\n", ""), type=APPLY)
    check("… with an unknown field", p.code in (400, 500) and ".spec.unknown1: field not declared in schema" in p["message"], p)
    wrong = api.post(at, '{"metadata": {"name": "w"}, "spec": {"replicas": "three"}}')
    status("a wrong type", wrong, 400, "BadRequest", "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32")


def apply_cr(api, at, kind, text, name="mytest"):
    return api.patch("%s/%s?fieldManager=m&fieldValidation=Strict" % (at, name),
                     "apiVersion: e2e.example.com/v1\nkind: %s\nmetadata:\n  name: %s\n%s" % (kind, name, text), type=APPLY)


def custom_fields(api, ns):
    _, at, plural = define(api, "Noxu", scope="Cluster")
    at += "/" + plural
    good = 'spec:\n  foo: foo1\n  cronSpec: "* * * * */5"\n  ports:\n  - name: x\n    containerPort: 80\n    protocol: TCP\n'
    a = apply_cr(api, at, "Noxu", good)
    check("a valid object", a.code == 201 and a["metadata.generation"] == 1, a)
    a = apply_cr(api, at, "Noxu", "unknownField: unknown\n" + good, "other")
    check("an unknown field", a.code >= 400 and ".unknownField: field not declared in schema" in a["message"], a)
    a = apply_cr(api, at, "Noxu", good.replace("foo1", "foo1\n  foo: foo2"), "other")
    check("a duplicate", 'key \\"foo\\" already set in map' in a.text, a)
    obj = {"apiVersion": "e2e.example.com/v1", "kind": "Noxu", "metadata": {"name": "post", "unknownMeta": "x"},
           "spec": {"foo": "a", "bar": 1}, "more": 2}
    a = api.post(at + "?fieldValidation=Strict", obj)
    status("… posted", a, 400, "BadRequest", "strict decoding error: ")
    check("… which names each", all('unknown field "%s"' % f in a["message"] for f in ("metadata.unknownMeta", "more", "spec.bar")), a)
    a = api.post(at + "?fieldValidation=Warn", obj)
    check("… with warnings", a.code == 201 and len(a.warnings) == 3 and "bar" not in a["spec"], (a, a.warnings))
    a = api.post(at, dict(obj, metadata={"name": "bad"}, spec={"cronSpec": "x"}))
    status("… against the pattern", a, 422, "Invalid", 'Noxu.e2e.example.com "bad" is invalid: spec.cronSpec: Invalid value: "x": spec.cronSpec in body should match')
    a = api.post(at, dict(obj, metadata={"name": "bad"}, spec={"foo": 3}))
    status("… of another type", a, 422, "Invalid", 'spec.foo: Invalid value: "integer": spec.foo in body must be of type string: "integer"')
    a = api.post(at, dict(obj, metadata={"name": "bad"}, spec={"ports": [{"protocol": "TCP"}]}))
    status("… without what is required", a, 422, "Invalid", "spec.ports[0].containerPort: Required value")
    _, loose, plural = define(api, "Loose", [version(schema=LOOSE)], "Cluster")
    a = apply_cr(api, loose + "/" + plural, "Loose", "spec:\n  unknown: uk1\n")
    check("anything goes without a schema", a.code == 201 and a["spec.unknown"] == "uk1", a)
    a = apply_cr(api, loose + "/" + plural, "Loose", "spec:\n  foo: a\n  foo: b\n")
    check("… but no duplicates", a.code == 400 and 'key \\"foo\\" already set in map' in a.text, a)
    a = api.post(loose + "/" + plural + "?fieldValidation=Strict", '{"apiVersion": "e2e.example.com/v1", "kind": "Loose", "metadata": {"name": "d"}, "spec": {"foo": 1, "foo": 2}}')
    status("… posted", a, 400, "BadRequest", 'strict decoding error: duplicate field "spec.foo"')
    embedded(api)


def embedded(api):
    sub = {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {
        "metadata": {"type": "object", "properties": {"name": {"type": "string"}}}, "spec": {"type": "object"}}}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"template": sub}}}}
    _, at, plural = define(api, "Carrier", [version(schema=schema)], "Cluster")
    text = "spec:\n  template:\n    apiVersion: foo/v1\n    kind: Sub\n    metadata:\n      unknownSubMeta: x\n      name: s\n"
    a = apply_cr(api, at + "/" + plural, "Carrier", text)
    check("unknown metadata of an embedded object", a.code >= 400 and ".spec.template.metadata.unknownSubMeta: field not declared in schema" in a["message"], a)
    a = api.post(at + "/" + plural + "?fieldValidation=Strict", {
        "apiVersion": "e2e.example.com/v1", "kind": "Carrier", "metadata": {"name": "x"}, "spec": {"template": {
            "apiVersion": "foo/v1", "kind": "Sub", "metadata": {"name": "s", "unknownSubMeta": "x"}}}})
    status("… posted", a, 400, "BadRequest", 'unknown field "spec.template.metadata.unknownSubMeta"')


def life_of_definitions(api, ns):
    a, at, plural = define(api, "Life", [version(subresources={"status": {}, "scale": {
        "specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}}, additionalPrinterColumns=[
            {"name": "Foo", "type": "string", "jsonPath": ".spec.foo"}], schema={"type": "object", "properties": {
                "spec": {"type": "object", "properties": {"n": {"type": "integer"}, "foo": {"type": "string", "default": "x"}}},
                "status": {"type": "object", "properties": {"n": {"type": "integer"}}}}})])
    crd = CRDS + "/" + plural + ".e2e.example.com"
    c = soon(lambda: {c["type"]: c for c in api.get(crd)["status.conditions"] or []}.get("Established")) or {}
    eq("established", (c.get("status"), c.get("reason")), ("True", "InitialNamesAccepted"))
    s = api.get(crd)
    check("names are accepted", s["status.acceptedNames"] == {"plural": plural, "singular": "life", "kind": "Life", "listKind": "LifeList"}
          and s["status.storedVersions"] == ["v1"] and s["spec.conversion"] == {"strategy": "None"}, s["status"])
    u = updated(api, crd + "/status", lambda o: o["status"]["conditions"].append({"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test"}))
    check("its status is updated", u["status.conditions.2.type"] == "StatusUpdate", u)
    p = api.patch(crd + "/status", [{"op": "add", "path": "/status/conditions/-", "value": {"type": "StatusPatch", "status": "True"}}], type=JSON_PATCH)
    check("… and patched", p.code == 200 and p["status.conditions.3.type"] == "StatusPatch", p)
    coll = "%s/namespaces/%s/%s" % (at, ns, plural)
    o = api.post(coll, {"apiVersion": "e2e.example.com/v1", "kind": "Life", "metadata": {"name": "a"}, "spec": {"n": 1}, "status": {"n": 9}})
    check("made with defaults, without status", o.code == 201 and o["spec.foo"] == "x" and o["status"] is None, o)
    w = api.watch(coll, resourceVersion=o["metadata.resourceVersion"])
    st = api.patch(coll + "/a/status", {"metadata": {"labels": {"no": "no"}}, "spec": {"n": 7}, "status": {"n": 3}})
    check("status alone", st["status.n"] == 3 and st["spec.n"] == 1 and st["metadata.labels"] is None and st["metadata.generation"] == 1, st)
    sc = api.get(coll + "/a/scale")
    check("scale", sc["spec.replicas"] == 1 and sc["status.replicas"] == 3 and sc["kind"] == "Scale", sc)
    sc = api.patch(coll + "/a/scale", {"spec": {"replicas": 5}})
    eq("… is written", (sc["spec.replicas"], api.get(coll + "/a")["spec.n"], api.get(coll + "/a")["metadata.generation"]), (5, 5, 2))
    t = api.get(coll, Accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    eq("printer columns", ([c["name"] for c in t["columnDefinitions"]], t["rows.0.cells"]), (["Name", "Foo"], ["a", "x"]))
    eq("no strategic patch", api.patch(coll + "/a", {}, type=STRATEGIC).code, 415)
    api.delete(crd)
    check("a watch sees it go with its definition", w.until("DELETED", "a", 5), "no DELETED")
    check("… which is gone", soon(lambda: api.get(crd).code == 404 and api.get(coll).code == 404), api.get(coll))


def refused(api, ns):
    """Definitions that make no sense."""
    def make(group="bad.example.com", name="foos", meta=None, **spec):
        return api.post(CRDS, {"metadata": dict({"name": name + "." + group}, **(meta or {})), "spec": dict({
            "group": group, "scope": "Cluster", "names": {"plural": "foos", "kind": "Foo"}, "versions": [version()]}, **spec)})
    props = lambda p: {"type": "object", "properties": {"a": p}}
    for why, a in (("must be spec.names.plural", make(name="x")),
                   ("must have exactly one version marked as storage version", make(versions=[version(storage=False)])),
                   ("must contain unique version names", make(versions=[version(), version(storage=False)])),
                   ("properties[a].type: Required value: must not be empty for specified object fields", make(versions=[version(schema=props({}))])),
                   ("properties[a].default: Invalid value", make(versions=[version(schema=props({"type": "string", "default": 3}))])),
                   ("x-kubernetes-validations[0].rule: Invalid value", make(versions=[version(schema=props({"type": "string", "x-kubernetes-validations": [{"rule": "self.foo"}]}))])),
                   ("spec.versions[0].selectableFields[0].jsonPath: Invalid value: \".spec.none\": is an invalid path", make(versions=[version(selectableFields=[{"jsonPath": ".spec.none"}])])),
                   ("must point to a field of type string, boolean or integer", make(versions=[version(selectableFields=[{"jsonPath": ".spec"}])])),
                   ("must not point to fields in metadata", make(versions=[version(selectableFields=[{"jsonPath": ".metadata.name"}])])),
                   ('metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation', make("bad.k8s.io")),
                   ('with either a URL or a reason starting with \"unapproved\"', make("bad.k8s.io", meta={"annotations": {"api-approved.kubernetes.io": "yes"}})),
                   ("without array notation", make(versions=[dict(version(), subresources={"scale": {
                       "specReplicasPath": ".spec.n[0]", "statusReplicasPath": ".status.n"}})])),
                   ("scope", make(scope="Weird")), ("cannot set to true", make(preserveUnknownFields=True))):
        check("refused: " + why, a.code == 422 and why in a["message"], a)
    a = make("ok.k8s.io", meta={"annotations": {"api-approved.kubernetes.io": "unapproved, a test"}})
    eq("a protected group, with a word about it", a.code, 201)
    said = [(c["status"], c["reason"]) for c in a["status"]["conditions"] if c["type"] == "KubernetesAPIApprovalPolicyConformant"]
    eq("… which its status repeats", said, [("False", "UnapprovedAnnotation")])
    api.delete(CRDS + "/foos.ok.k8s.io")


def selectable(api, ns):
    prop = {"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "color": {"type": "string"}, "size": {"type": "string"}, "quantity": {"type": "integer"}}}}}
    define(api, "Shirt", [version(schema=prop, selectableFields=[{"jsonPath": ".spec.color"}, {"jsonPath": ".spec.quantity"}]),
                          version("v2", prop, storage=False, selectableFields=[{"jsonPath": ".spec.size"}])])
    at = "/apis/e2e.example.com/%s/namespaces/" + ns + "/shirts"
    begin = api.get(at % "v1")["metadata.resourceVersion"]
    w = api.watch(at % "v1", fieldSelector="spec.color=blue", resourceVersion=begin)
    for n, c, s, q in (("s1", "blue", "S", 2), ("s2", "blue", "M", 3), ("s3", "green", "M", 3)):
        api.post(at % "v1", {"apiVersion": "e2e.example.com/v1", "kind": "Shirt", "metadata": {"name": n}, "spec": {"color": c, "size": s, "quantity": q}})
    names = lambda v, f: [i["metadata"]["name"] for i in api.get(at % v + "?fieldSelector=" + f)["items"] or []]
    eq("selected by colour", names("v1", "spec.color%3Dblue"), ["s1", "s2"])
    eq("… by number", names("v1", "spec.color%3Dblue,spec.quantity%3D2"), ["s1"])
    eq("… in another version by another field", names("v2", "spec.size%3DM"), ["s2", "s3"])
    status("… not by that of another version", api.get(at % "v2" + "?fieldSelector=spec.color%3Dblue"), 400, "BadRequest", "field label not supported: spec.color")
    eq("… watched", [dig(w.next() or {}, "object.metadata.name") for _ in range(2)], ["s1", "s2"])
    api.patch(at % "v1" + "/s1", {"spec": {"color": "red"}})
    eq("… until it no longer fits", (w.next() or {}).get("type"), "DELETED")
    api.delete(at % "v1" + "?fieldSelector=spec.color%3Dblue")
    eq("… deleted by it", names("v1", ""), ["s1", "s3"])


def defaults(api, ns):
    schema = lambda d: {"type": "object", "properties": {"a": dict({"type": "string"}, **d.get("a", {})), "b": dict({"type": "string"}, **d.get("b", {}))}}
    _, at, plural = define(api, "Defaulted", [version(schema=schema({}))], "Cluster")
    crd, one = CRDS + "/%s.e2e.example.com" % plural, at + "/" + plural
    api.post(one, {"apiVersion": "e2e.example.com/v1", "kind": "Defaulted", "metadata": {"name": "foo"}})
    patch = lambda d: api.patch(crd, [{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": schema(d)}], type=JSON_PATCH)
    patch({"a": {"default": "A"}})
    eq("a default is added to what is stored", soon(lambda: api.get(one + "/foo")["a"]), "A")
    b = api.post(one, {"apiVersion": "e2e.example.com/v1", "kind": "Defaulted", "metadata": {"name": "bar"}})
    eq("… and stored with what is new", b["a"], "A")
    patch({"b": {"default": "B"}})
    check("another default", soon(lambda: api.get(one + "/foo")["b"] == "B"))
    eq("… the first is gone where it wasn't stored", api.get(one + "/foo")["a"], None)
    eq("… and stays where it was", api.get(one + "/bar")["a"], "A")


def published(api, definition, seconds=5):
    return soon(lambda: api.get("/openapi/v2")["definitions"].get(definition), seconds)


def openapi(api, ns):
    kinds = {v: version(v, storage=v == "v1", schema={"type": "object", "description": "Waldo of " + v, "properties": {
        "spec": {"type": "object", "description": "Spec of Waldo", "required": ["name"], "properties": {
            "name": {"type": "string", "description": "Name of Waldo."}, "bars": {
                "type": "array", "description": "List of Bars", "items": {"type": "object", "properties": {
                    "bazs": {"type": "array", "items": {"type": "string"}}}}}}}}}) for v in ("v1", "v2", "v3")}
    a, at, plural = define(api, "Waldo", [kinds["v1"], kinds["v2"]])
    crd = CRDS + "/%s.e2e.example.com" % plural
    for v in ("v1", "v2"):
        d = published(api, "com.example.e2e.%s.Waldo" % v) or {}
        check("published " + v, d.get("description") == "Waldo of " + v and d.get("x-kubernetes-group-version-kind") == [
            {"group": "e2e.example.com", "kind": "Waldo", "version": v}] and {"apiVersion", "kind", "metadata", "spec"} <= set(d["properties"]), d)
    for i in range(4):  # changes of which nobody sees the first: memory may come round again
        for text in ("Waldo, in between", "Waldo %d" % i if i < 3 else "Waldo of v1"):
            api.patch(crd, [{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/description", "value": text}], type=JSON_PATCH)
        eq("published as it is by now", published(api, "com.example.e2e.v1.Waldo")["description"], text)
    v3 = api.get("/openapi/v3")["paths"]
    check("… in v3", "apis/e2e.example.com/v1" in v3 and "apis/e2e.example.com/v2" in v3, [p for p in v3 if "e2e" in p])
    api.patch(crd, [{"op": "replace", "path": "/spec/versions/1", "value": dict(kinds["v3"], storage=False)}], type=JSON_PATCH)
    check("a renamed version", published(api, "com.example.e2e.v3.Waldo"))
    check("… its old name is gone", soon(lambda: "com.example.e2e.v2.Waldo" not in api.get("/openapi/v2")["definitions"]))
    eq("… the other stays", published(api, "com.example.e2e.v1.Waldo")["description"], "Waldo of v1")
    api.patch(crd, [{"op": "replace", "path": "/spec/versions/1/served", "value": False}], type=JSON_PATCH)
    check("a version that is no longer served", soon(lambda: "com.example.e2e.v3.Waldo" not in api.get("/openapi/v2")["definitions"]))
    kubectl(api, ns, plural)


def kubectl(api, ns, plural):
    """kubectl's side of it: validation of what is created, and explain."""
    work = tempfile.mkdtemp()

    def k(*args, text=None):
        p = subprocess.run([os.environ.get("KUBECTL", "kubectl"), "--kubeconfig", api.kubeconfig, "--cache-dir", work, "-n", ns] + list(args),
                           input=text, capture_output=True, text=True)
        return p.returncode, p.stdout + p.stderr
    obj = lambda spec, name="waldo": json.dumps({"apiVersion": "e2e.example.com/v1", "kind": "Waldo", "metadata": {"name": name}, "spec": spec})
    eq("kubectl creates", k("create", "-f", "-", text=obj({"name": "x", "bars": [{"bazs": ["a"]}]}))[0], 0)
    eq("… applies", k("apply", "-f", "-", text=obj({"name": "x"}, "w2"))[0], 0)
    rc, out = k("create", "-f", "-", text=obj({"name": "x", "unknown": 1}, "w3"))
    check("… refuses unknown fields", rc and 'unknown field "spec.unknown"' in out, out)
    rc, out = k("apply", "-f", "-", text=obj({"bars": []}, "w4"))
    check("… refuses what lacks fields", rc and "spec.name: Required value" in out, out)
    for args, wants in ((("explain", plural), ["KIND:", "Waldo", "DESCRIPTION:", "Waldo of v1", "spec\t<Object>"]),
                        (("explain", plural + ".spec"), ["Spec of Waldo", "name\t<string> -required-", "bars\t<[]Object>"]),
                        (("explain", plural + ".spec.bars"), ["FIELD: bars <[]Object>", "List of Bars", "bazs\t<[]string>"]),
                        (("explain", plural + ".metadata"), ["FIELD: metadata <ObjectMeta>", "Standard object's metadata", "creationTimestamp"]),
                        (("explain", plural, "--output", "plaintext-openapiv2"), ["KIND:", "Waldo", "Waldo of v1"])):
        rc, out = k(*args)
        check("kubectl " + " ".join(args), rc == 0 and all(w in out for w in wants), out)
    rc, out = k("explain", plural + ".spec.bars2")
    check("… of a field that isn't", rc and 'field "bars2" does not exist' in out, out)
    subprocess.run(["rm", "-rf", work])


def discovered(api, ns):
    define(api, "Found")
    group = api.get("/apis/e2e.example.com")
    eq("a definition's group", (group["kind"], group["name"]), ("APIGroup", "e2e.example.com"))
    r = {x["name"]: x for x in api.get("/apis/e2e.example.com/v1")["resources"]}["founds"]
    check("its resource", r["kind"] == "Found" and r["singularName"] == "found" and r["namespaced"] and r["storageVersionHash"]
          and set(r["verbs"]) == {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}, r)
    a = api.get("/apis", Accept="application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
    g = [i for i in a["items"] if i["metadata"]["name"] == "e2e.example.com"]
    check("… aggregated", g and any(r["resource"] == "founds" for v in g[0]["versions"] for r in v["resources"]), g)
    svc = soon(lambda: api.get("/apis/apiregistration.k8s.io/v1/apiservices/v1.e2e.example.com").json.get("status"))
    eq("an APIService stands for it", dig(svc, "conditions.0.reason"), "Local")


def groups(api, ns):
    for f in (typed_fields, custom_fields, life_of_definitions, refused, selectable, defaults, openapi, discovered):
        yield f, (api, ns)
