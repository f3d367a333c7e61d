#!/usr/bin/env python3
"""Random CustomResourceDefinitions, most of them wrong somewhere, to both servers as a dry run: what is refused, where and why."""
import argparse
import collections
import json
import random
import re
import sys

from wire import Pair, Server

PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?dryRun=All"
NAMES = ["a", "b", "c", "metadata", "apiVersion", "kind", "spec", "x y", "ä"]
PATTERNS = ["^a+$", "[", "(?=x)", "\\d+", "(?i)x", "a{2,1}", "a{1001}", "\\p{L}"]
FORMATS = ["date-time", "byte", "int32", "email", "nope", "ipv4", "uuid", "duration", "date", "password", "cidr"]
LIMITS = {"object": {"minProperties": [0, 1, 3], "required": [["a"], ["a", "b"], [], ["zz"]]},
          "array": {"maxItems": [0, 3, -1], "uniqueItems": [True, False]},
          "string": {"pattern": PATTERNS, "enum": [["a", "b"], ["a", "a"], [], [1, "a"]], "format": FORMATS, "maxLength": [0, 5, -1]},
          "integer": {"minimum": [0, 1.5, -3], "exclusiveMinimum": [True], "multipleOf": [2, 0.1, 0, -1], "format": ["int32", "int64"]}}
ODD = {"definitions": {"a": {"type": "string"}}, "dependencies": {"a": ["b"]}, "patternProperties": {"a": {"type": "string"}},
       "$ref": "#/x", "additionalItems": True, "unknownKey": 1, "type": "null"}
SCALES = [{"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}, {},
          {"specReplicasPath": "spec", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".x"}]
WEBHOOKS = [{"conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://a.b/c"}},
            {"conversionReviewVersions": [], "clientConfig": {"service": {"name": "s", "namespace": "n"}}},
            {"conversionReviewVersions": ["v9", "v9"], "clientConfig": {}}]


class Maker:
    def __init__(self, rng):
        self.rng = rng
        self.odd = rng.random() < .7

    def now(self, p):
        return self.rng.random() < p

    def merging(self, o, kind):
        if kind == "object" and self.now(.08):
            o["x-kubernetes-map-type"] = self.rng.choice(["atomic", "granular", "bad"])
        if kind == "array" and self.now(.4):
            o["x-kubernetes-list-type"] = self.rng.choice(["set", "map", "atomic", "x"])
            if o["x-kubernetes-list-type"] == "map" and self.now(.9):
                o["x-kubernetes-list-map-keys"] = self.rng.choice([["a"], ["a", "b"], [], ["zz"], ["a", "a"]])

    def below(self, o, kind, depth):
        if kind == "object" and self.now(.7) and depth < 5:
            o["properties"] = {k: self.schema(depth + 1) for k in self.rng.sample(NAMES, self.rng.randint(0, 3 if depth < 4 else 1))}
        if kind == "object" and self.now(.25):
            o["additionalProperties"] = self.rng.choice([True, False, {}, self.schema(depth + 1)])
        if kind == "array" and self.now(.93):
            o["items"] = self.schema(depth + 1) if self.now(.95) else [self.schema(depth + 1)]

    def combination(self, o, depth):
        name, s = self.rng.choice(["anyOf", "allOf", "oneOf", "not"]), self.schema(depth + 2)
        if self.now(.6):
            for k in [k for k in s if k.startswith("x-") or k in ("default", "nullable", "additionalProperties", "description", "type")]:
                s.pop(k)
        o[name] = s if name == "not" else [s]

    def schema(self, depth=0):
        kind, o = self.rng.choice(["string", "integer", "array", "boolean", "object", "object", "object"]), {}
        if self.now(.93):
            o["type"] = kind
        self.below(o, kind, depth)
        self.merging(o, kind)
        for name, values in LIMITS.get(kind, {}).items():
            if self.now(.15):
                o[name] = self.rng.choice(values)
        if self.now(.07):
            o["x-kubernetes-int-or-string"] = True
            o.pop("type" if self.now(.6) else "", None)
            if self.now(.3):
                o["anyOf"] = [{"type": "integer"}, {"type": "string"}]
        for name, p in (("x-kubernetes-preserve-unknown-fields", .07), ("x-kubernetes-embedded-resource", .05), ("nullable", .05)):
            if self.now(p):
                o[name] = True
        if self.now(.12):
            o["default"] = self.rng.choice([1, "x", True, {}, [], {"a": 1}, 1.5, [1]])
        if self.odd and depth < 4 and self.now(.15):
            self.combination(o, depth)
        if self.odd and self.now(.06):
            k = self.rng.choice(list(ODD))
            o[k] = ODD[k]
        return o

    def version(self, name):
        schema = self.schema()
        if self.now(.9):
            schema["type"] = "object"
        v = {"name": name, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        if self.now(.2):
            v["subresources"] = self.rng.choice([{"status": {}}, {"scale": self.rng.choice(SCALES)}])
        if self.now(.2):
            v["additionalPrinterColumns"] = [{"name": self.rng.choice(["A", ""]), "type": self.rng.choice(["string", "date", "bad", ""]),
                                              "jsonPath": self.rng.choice([".spec.a", "spec.a", ""])}]
        return v

    def definition(self, i):
        names = {"kind": "T%d" % i, "plural": "t%ds" % i}
        for key, p, values in (("singular", .2, ["t", "T", "x_y"]), ("shortNames", .1, [["t"], ["T"], ["x y"]]),
                               ("categories", .1, [["all"], ["A"], [""]]), ("listKind", .05, ["T%d" % i, "x y"]), ("kind", .04, ["", "x y"])):
            if self.now(p):
                names[key] = self.rng.choice(values)
        spec = {"group": "g.example.com", "names": names, "scope": self.rng.choice(["Namespaced"] * 9 + ["x", ""]), "versions": [self.version("v1")]}
        if self.now(.15):
            spec["versions"].append(dict(self.version(self.rng.choice(["v2", "v1", "V3", ""])), storage=self.now(.3)))
        if self.now(.1):
            spec["conversion"] = {"strategy": self.rng.choice(["None", "Webhook", "x"]), "webhook": self.rng.choice(WEBHOOKS)}
        return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": names["plural"] + "." + spec["group"]}, "spec": spec}


def verdict(answer):
    """Where something is wrong and how it is worded, but for values: Go prints its own types."""
    def words(text):
        if "must be a valid regular expression" in text:
            return "a bad pattern"
        return re.sub(r"^Invalid value: .*: (?=[^:]*$)", "Invalid value: ", text, flags=re.S)
    causes = ((answer.json or {}).get("details") or {}).get("causes") or []
    found = {(c.get("field", ""), c["reason"].replace("TypeInvalid", "Invalid"), words(c["message"])) for c in causes}
    return found or {("", str(answer.code), "")}


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--reference", default="127.0.0.1:6443")
    p.add_argument("--tested", default="127.0.0.1:7443")
    p.add_argument("--cert", required=True)
    p.add_argument("--key", required=True)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--count", type=int, default=1000)
    a = p.parse_args()
    pair = Pair(Server(a.reference, a.cert, a.key), Server(a.tested, a.cert, a.key))
    sorts, examples, differ = collections.Counter(), {}, 0
    for i in range(a.count):
        body = Maker(random.Random("%d %d" % (a.seed, i))).definition(i)
        want, got = map(verdict, pair.ask("POST", PATH, json.dumps(body), {"Content-Type": "application/json"}))
        differ += want != got
        for sign, some in (("-", want - got), ("+", got - want)):
            for field, reason, text in some:
                sort = "%s %s %s: %s" % (sign, reason, re.sub(r".*\.", "…", field), text[:160])
                sorts[sort] += 1
                examples.setdefault(sort, (i, field))
    for sort, n in sorts.most_common():
        print("%5d  %s   (%d: %s)" % ((n, sort) + examples[sort]))
    print("%d definitions, %d answered differently" % (a.count, differ))
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
