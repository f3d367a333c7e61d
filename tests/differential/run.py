#!/usr/bin/env python3
"""The same random calls to a kube-apiserver and to Plumb, and what differs in their answers. See README.md."""
import argparse
import collections
import json
import random
import re
import subprocess
import sys
import time

import bases
import explained
import mutate
from calls import Episode
from compare import Comparer
from wire import Pair, Server


class Findings:
    """Differences by what they look like, with examples of each."""

    def __init__(self, path, examples):
        self.path, self.examples = path, examples
        self.found = collections.OrderedDict()
        self.explained = collections.Counter()
        self.odd = 0

    def add(self, kind, op, difference, detail):
        path, what, ref, tested = difference
        why = explained.why(kind, op, path, what, ref, tested, detail)
        if why:
            self.explained[why] += 1
            return False
        at = "%s %s" % (".".join(path), what)
        if path == ("code",):
            at += " %s | %s" % (ref, tested)
        if path == ("about",):
            at += " %s %s" % (op, detail.split("reference ")[1][:90].replace("\n", " "))
        at = re.sub(r"\[\d+\]", "[]", at).replace("spec.jobTemplate.", "").replace("spec.template.spec.", "spec.").replace(" template.spec", " spec")
        f = self.found.setdefault(at, {"count": 0, "kinds": collections.Counter(), "ops": collections.Counter(), "examples": []})
        f["count"] += 1
        f["ops"][op] += 1
        f["kinds"][kind.kind if kind else "-"] += 1
        if len(f["examples"]) < self.examples:
            f["examples"].append((op, str(ref)[:600], str(tested)[:600], detail))
        return True

    def write(self, calls):
        with open(self.path, "w") as out:
            out.write("%d calls, %d differences of %d sorts\n" % (calls, sum(f["count"] for f in self.found.values()), len(self.found)))
            for why, n in self.explained.most_common():
                out.write("  explained %6d  %s\n" % (n, why))
            for at, f in sorted(self.found.items(), key=lambda x: -x[1]["count"]):
                out.write("\n%5d  %s   %s\n" % (f["count"], at[:400], dict(f["kinds"]) if len(f["kinds"]) < 6 else "%d kinds" % len(f["kinds"])))
                for op, ref, tested, detail in f["examples"]:
                    out.write("    reference: %s\n    tested:    %s\n" % (ref, tested))
                    out.write("    %s\n" % op)
                    for line in detail.split("\n"):
                        out.write("      %s\n" % line[:1600])


def csr():
    import base64
    made = subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                           "/dev/null", "-subj", "/CN=x"], capture_output=True, check=True)
    return base64.b64encode(made.stdout).decode()


def setup(pair):
    """Definitions that the random calls use, and that both have before they begin."""
    for h in pair.both:
        h.send("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
               json.dumps(bases.crd("diff.example.com", "Widget")), {"Content-Type": "application/json"})
        h.receive()
        h.send("DELETE", "/apis/storage.k8s.io/v1/storageclasses/local-path")
        h.receive()
    for _ in range(100):
        if all(a.code == 200 for a in pair.ask("GET", "/apis/diff.example.com/v1/widgets")):
            break
        time.sleep(0.1)
    time.sleep(1)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--reference", default="127.0.0.1:6443")
    p.add_argument("--tested", default="127.0.0.1:7443")
    p.add_argument("--cert", required=True, help="a client certificate that both take for a cluster administrator's")
    p.add_argument("--key", required=True)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--calls", type=int, default=10000)
    p.add_argument("--kinds", default="", help="only these, separated by commas")
    p.add_argument("--ops", default="", help="only these kinds of calls")
    p.add_argument("--examples", type=int, default=2)
    p.add_argument("--out", default="differences.txt")
    p.add_argument("--odd", type=float, default=.12, help="how often a field gets a value of a wrong type")
    a = p.parse_args()
    pair = Pair(Server(a.reference, a.cert, a.key), Server(a.tested, a.cert, a.key))
    setup(pair)
    docs = [x.json for x in pair.ask("GET", "/openapi/v2", headers={"Accept": "application/json"})]
    schemas = mutate.Schemas(*docs)
    kinds = [k for k in bases.KINDS if not a.kinds or k.kind in a.kinds.split(",")]
    findings = Findings(a.out, a.examples)
    comparer = Comparer(schemas)
    fill = {"@csr": csr()}
    n, start, told = 0, time.time(), 0
    while pair.calls < a.calls:
        rng = random.Random("%d %d" % (a.seed, n))
        tag = "d%x-%x-%d" % (int(start) & 0xffff, a.seed, n)
        Episode(pair, rng, tag, kinds, schemas, comparer, findings, fill, a).run()
        n += 1
        if time.time() - told > 20:
            told = time.time()
            findings.write(pair.calls)
            print("%d calls, %.0f/s, %d sorts of differences" % (pair.calls, pair.calls / (told - start), len(findings.found)), flush=True)
    findings.write(pair.calls)
    print(open(a.out).readline().strip(), "%d calls not made" % findings.odd)
    return 1 if findings.found else 0


if __name__ == "__main__":
    sys.exit(main())
