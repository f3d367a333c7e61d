"""What is the same in two answers once everything is taken out that only chance decides."""
import re

UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
TIME = re.compile(r"^20[2-9]\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
FIXED = "2020-01-01"
RACY = ("CustomResourceDefinition", "APIService")


class Memory:
    """What was seen of an object last time: for whether its resourceVersion and uid changed."""

    def __init__(self):
        self.seen = {}

    def relation(self, side, meta, kind):
        at = (side, kind, meta.get("namespace"), meta.get("name"))
        old = self.seen.get(at, (None, None))
        now = (meta.get("uid"), meta.get("resourceVersion"))
        if now[1]:
            self.seen[at] = now
        said = []
        for name, a, b in zip(("uid", "resourceVersion"), old, now):
            said.append(None if b is None else "same" if a == b else "new")
        return said


def scrub(v, key=""):
    """Generated values become their kind's name; null members go (a Go program that was built with a newer
    compiler than its reflection library knows prints empty maps as null)."""
    if isinstance(v, dict):
        return {k: scrub(x, k) for k, x in v.items() if x is not None}
    if isinstance(v, list):
        return [scrub(x, key) for x in v]
    if isinstance(v, str):
        if UUID.match(v) and not v.startswith("11111111"):
            return "<uid>"
        if TIME.match(v) and not v.startswith(FIXED):
            return "<time>"
        if v.startswith("10.96.") and v != "10.96.200.9" and key in ("clusterIP", "clusterIPs"):
            return "<ip>"
    if key in ("nodePort", "healthCheckNodePort") and isinstance(v, int) and 30000 < v <= 32767:
        return "<port>"
    return v


def owned_whole(pair):
    """Whether either version owns such a value as a whole: later ones marked many references atomic, and look into raw values."""
    a, b = pair
    if any(s.get("x-kubernetes-map-type") == "atomic" for s in pair):
        return True
    if a.get("type") == "array":
        return any(s.get("x-kubernetes-list-type") not in ("map", "set") for s in pair)
    return not any(k in a for k in ("properties", "additionalProperties", "items"))


def prune_fields(fields, pair, schemas):
    """fieldsV1 without what the reference's version has never heard of."""
    if not isinstance(fields, dict) or pair and owned_whole(schemas.resolve(pair)):
        return {}
    out = {}
    for k, v in fields.items():
        sub = pair
        if k.startswith("f:") and pair:
            a, b = schemas.resolve(pair)
            n = k[2:]
            if "properties" in a and n not in a["properties"] and n in b.get("properties", {}):
                continue
            sub = schemas.below(pair, n)
        elif k[:2] in ("k:", "v:", "i:") and pair:
            sub = schemas.below(pair, 0)
        kept = prune_fields(v, sub, schemas)
        if v and not kept and not (sub and owned_whole(schemas.resolve(sub))):
            continue
        out[k] = kept
    return out


def merge(a, b):
    for k, v in b.items():
        if k in a and isinstance(v, dict):
            merge(a[k], v)
        else:
            a[k] = v


def owners(entries, root, schemas):
    """managedFields by who did what; 1.32 keeps subresources apart, and nobody owns what a write may not set."""
    out = {}
    for e in entries or []:
        if not isinstance(e, dict):
            continue
        f = prune_fields(e.get("fieldsV1") or {}, root, schemas)
        at = "%s %s %s" % (e.get("manager"), e.get("operation"), e.get("apiVersion"))
        merge(out.setdefault(at, {}), f)
    for at in list(out):
        out[at].pop("f:status", None)
        if not out[at]:
            del out[at]
    return out


def differences(a, b, path=()):
    """[(path, what, reference's, tested's)]; a list's places are all the same place."""
    if isinstance(a, dict) and isinstance(b, dict):
        out = []
        for k in sorted(set(a) | set(b)):
            if k not in b:
                out.append((path + (k,), "missing", a[k], None))
            elif k not in a:
                out.append((path + (k,), "extra", None, b[k]))
            else:
                out += differences(a[k], b[k], path + (k,))
        return out
    if isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            return [(path, "length", a, b)]
        return [d for x, y in zip(a, b) for d in differences(x, y, path + ("[]",))]
    same = a == b and isinstance(a, bool) == isinstance(b, bool)
    return [] if same else [(path, "value", a, b)]


class Comparer:
    def __init__(self, schemas):
        self.schemas, self.memory = schemas, Memory()

    def object(self, side, o, kind, memory=None):
        """One object as compared; kind is the bases.Kind it should be."""
        if not isinstance(o, dict):
            return o
        meta = o.get("metadata") if isinstance(o.get("metadata"), dict) else {}
        relation = (memory or self.memory).relation(side, meta, o.get("kind") or (kind and kind.kind))
        o = scrub(o)
        meta = o.get("metadata")
        if isinstance(meta, dict):
            root = kind and self.schemas.root(kind)
            meta["managedFields"] = owners(meta.get("managedFields"), root, self.schemas)
            meta["uid"], meta["resourceVersion"] = relation
        if kind and kind.kind in RACY:
            o.pop("status", None)
            meta and meta.pop("resourceVersion", None)
        return o

    def status(self, o):
        d = o.get("details") or {}
        causes = {("%s %s" % (c.get("reason"), c.get("field", ""))): True for c in d.get("causes") or []}
        return {"status": o.get("status"), "reason": o.get("reason"), "code": o.get("code"), "causes": causes,
                "about": "%s %s.%s %s" % (o.get("reason"), d.get("kind"), d.get("group"), d.get("name")), "retry": d.get("retryAfterSeconds")}

    def body(self, side, answer, kind):
        o = answer.json
        if not isinstance(o, dict):
            return answer.body.decode(errors="replace")[:200]
        if o.get("kind") == "Status" and o.get("apiVersion") == "v1" and "spec" not in o:
            return self.status(o)
        if o.get("kind") == "Table":
            rows = [[c if not isinstance(c, str) or not re.match(r"^\d+[smhd]", c) else "<age>" for c in r.get("cells", [])]
                    for r in o.get("rows") or []]
            return {"columns": [[c.get(k) for k in ("name", "type", "format", "priority")] for c in o.get("columnDefinitions") or []],
                    "rows": [["<ip>" if isinstance(c, str) and c.startswith("10.96.") else re.sub(r":3\d\d\d\d/", ":<port>/", c)
                              if isinstance(c, str) else c for c in r] for r in rows]}
        if isinstance(o.get("kind"), str) and o["kind"].endswith("List"):
            meta = o.get("metadata") or {}
            return {"kind": o["kind"], "apiVersion": o.get("apiVersion"), "more": bool(meta.get("continue")),
                    "remaining": meta.get("remainingItemCount"), "items": [self.object(side, i, kind) for i in o.get("items") or []]}
        return self.object(side, o, kind)

    def new_field(self, path, kind):
        """Whether a path is one that only the tested version's schema has."""
        pair = kind and self.schemas.root(kind)
        for k in path:
            if not pair:
                return False
            if k == "items" or k == "[]" and pair is None:
                continue
            a, b = self.schemas.resolve(pair)
            if isinstance(k, str) and "properties" in a and k not in a["properties"] and k in b.get("properties", {}):
                return True
            pair = self.schemas.below(pair, 0 if k == "[]" else k)
        return False

    def answers(self, ref, tested, kind):
        """All differences of two answers."""
        a, b = self.body(0, ref, kind), self.body(1, tested, kind)
        if ref.code != tested.code:
            why = [sorted(x["causes"]) or [str(x["reason"])] if isinstance(x, dict) and "causes" in x else [""] for x in (a, b)]
            only = [[c for c in w if c not in o] for w, o in (why, why[::-1])]
            return [(("code",), "%d/%d" % (ref.code, tested.code), x, y) for x in only[0] or why[0] for y in only[1] or why[1]][:4]
        out = differences(a, b)
        return [d for d in out if not (d[1] == "extra" and self.new_field(d[0][2:] if d[0][:1] == ("items",) else d[0], kind))]
