"""Webhooks and policies: registered, changed, ordered, refusing, late, excluded by conditions; conversion of definitions' versions."""
import base64
import json
import os
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from client import JSON_PATCH, check, dig, eq, namespace, soon, status
from extension import CRDS, define, version

REG = "/apis/admissionregistration.k8s.io/v1/"
MUTATING, VALIDATING = REG + "mutatingwebhookconfigurations", REG + "validatingwebhookconfigurations"


def core(ns, plural):
    return "/api/v1/namespaces/%s/%s" % (ns, plural)


def patched(*ops):
    return {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(ops).encode()).decode()}


def add_data(if_has, key):
    def admit(r):
        data = (r.get("object") or {}).get("data") or {}
        if data.get(if_has) != "yes":
            return {"allowed": True}
        return patched({"op": "add", "path": "/data/" + key, "value": "yes"})
    return admit


def init_container(r):
    return patched({"op": "add", "path": "/spec/initContainers", "value": [{"image": "webhook-added-image", "name": "webhook-added-init-container", "resources": {}}]})


def deny(r):
    return {"allowed": False, "status": {"message": "this webhook denies all requests", "reason": "no"}}


def deny_bad(r):
    data = (r.get("object") or {}).get("data") or {}
    old = (r.get("oldObject") or {}).get("data") or {}
    bad = "offending" in json.dumps(data) or (r["operation"] == "DELETE" and "protected" in json.dumps(old))
    return {"allowed": not bad, "status": {"message": "the object contains offending data"}} if bad else {"allowed": True}


PATHS = {"/add1": add_data("mutation-start", "mutation-stage-1"), "/add2": add_data("mutation-stage-1", "mutation-stage-2"), "/init": init_container,
         "/deny": deny, "/bad": deny_bad, "/slow": lambda r: time.sleep(1.3) or {"allowed": True}, "/label": lambda r: patched(
             {"op": "add", "path": "/metadata/labels", "value": {"webhook": "was-here"}})}


def convert(o, to):
    """v1 has hostPort "a:1", v2 has host and port."""
    o = dict(o, apiVersion=to)
    if to.endswith("/v2") and "hostPort" in o:
        o["host"], o["port"] = o.pop("hostPort").split(":")
    elif to.endswith("/v1") and "host" in o:
        o["hostPort"] = o.pop("host") + ":" + o.pop("port", "")
    return o


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        r, path = review["request"], self.path.split("?")[0]
        answer = {"uid": r["uid"]}
        if path == "/convert":
            answer.update(result={"status": "Success"}, convertedObjects=[convert(o, r["desiredAPIVersion"]) for o in r["objects"]])
        else:
            answer.update(PATHS[path](r))
        text = json.dumps({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        try:
            self.wfile.write(text)
        except OSError:
            pass  # who asked did not wait

    def log_message(self, *args):
        pass


class Server:
    """One for all groups, begun by the first."""
    lock, port, ca = threading.Lock(), None, None

    @classmethod
    def begin(cls):
        with cls.lock:
            if cls.port:
                return cls
            with tempfile.TemporaryDirectory() as d:
                key, crt = os.path.join(d, "k"), os.path.join(d, "c")
                subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", crt, "-days", "2", "-subj", "/CN=hooks",
                                "-addext", "subjectAltName=IP:127.0.0.1"], capture_output=True, check=True)
                server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
                tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                tls.load_cert_chain(crt, key)
                # Not while accepting: one that doesn't go on would hold up all others.
                server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
                cls.ca = base64.b64encode(open(crt, "rb").read()).decode()
            threading.Thread(target=server.serve_forever, daemon=True).start()
            cls.port = server.server_address[1]
        return cls


def client_config(path):
    s = Server.begin()
    return {"url": "https://127.0.0.1:%d%s" % (s.port, path), "caBundle": s.ca}


def rule(resources, operations=("CREATE",), groups=("",), versions=("v1",)):
    return {"apiGroups": list(groups), "apiVersions": list(versions), "operations": list(operations), "resources": list(resources)}


def hook(ns, name, path, rules, **more):
    return dict({"name": name + ".k8s.io", "rules": rules, "clientConfig": client_config(path), "admissionReviewVersions": ["v1", "v1beta1"], "sideEffects": "None",
                 "timeoutSeconds": 30, "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns}}}, **more)


class Registered:
    def __init__(self, api, kind, name, *hooks, **labels):
        self.api, self.at = api, kind + "/" + name
        self.answer = api.post(kind, {"metadata": {"name": name, "labels": labels}, "webhooks": list(hooks)})

    def __enter__(self):
        check("register " + self.at.rsplit("/", 1)[1], self.answer.code == 201, self.answer)
        return self

    def __exit__(self, *exc):
        self.api.delete(self.at)


def configmap(api, ns, name="cm", data=None):
    api.delete(core(ns, "configmaps") + "/" + name)
    return api.post(core(ns, "configmaps"), {"metadata": {"name": name}, "data": data or {"mutation-start": "yes"}})


def mutating(api, ns):
    ns = namespace(api, ns + "-mutating")
    one, two = hook(ns, "adding-1", "/add1", [rule(["configmaps"])]), hook(ns, "adding-2", "/add2", [rule(["configmaps"])])
    with Registered(api, MUTATING, "e2e-ordered", one, two) as r:
        w = r.answer["webhooks.0"]
        eq("defaults", (w["failurePolicy"], w["matchPolicy"], w["reinvocationPolicy"], w["rules"][0]["scope"], w["objectSelector"]), ("Fail", "Equivalent", "Never", "*", {}))
        eq("one after the other", configmap(api, ns)["data"], {"mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes"})
        api.patch(r.at, [{"op": "replace", "path": "/webhooks/%d/rules/0/operations" % i, "value": ["UPDATE"]} for i in (0, 1)], type=JSON_PATCH)
        eq("no longer at creation", configmap(api, ns)["data"], {"mutation-start": "yes"})
        o = api.get(r.at).json
        for w in o["webhooks"]:
            w["rules"][0]["operations"] = ["CREATE"]
        api.put(r.at, o)
        eq("… and again", len(configmap(api, ns)["data"]), 3)
        api.patch(r.at, [{"op": "add", "path": "/webhooks/0/matchConditions", "value": [{"name": "skip-me", "expression": "object.metadata.name != 'skip-me'"}]}], type=JSON_PATCH)
        eq("conditions are stored", api.get(r.at)["webhooks.0.matchConditions.0.name"], "skip-me")
        eq("… excluded by one", configmap(api, ns, "skip-me")["data"], {"mutation-start": "yes"})
        eq("… and not", len(configmap(api, ns)["data"]), 3)
    with Registered(api, MUTATING, "e2e-init", hook(ns, "init", "/init", [rule(["pods"])])):
        p = api.post(core(ns, "pods"), {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "x"}]}})
        i = dig(p.json, "spec.initContainers.0") or {}
        eq("defaults come after", (i.get("name"), i.get("terminationMessagePolicy"), i.get("imagePullPolicy")), ("webhook-added-init-container", "File", "Always"))
    for i in range(4):
        api.post(MUTATING, {"metadata": {"name": "e2e-list-%d" % i, "labels": {"list": "mutating"}}, "webhooks": [hook(ns, "list", "/add1", [rule(["configmaps"])])]})
    eq("listed by label", len(api.get(MUTATING + "?labelSelector=list%3Dmutating")["items"]), 4)
    eq("… they work", len(configmap(api, ns)["data"]), 2)
    api.delete(MUTATING + "?labelSelector=list%3Dmutating")
    eq("… no longer", len(configmap(api, ns)["data"]), 1)
    for kind in (MUTATING, VALIDATING):
        bad = hook(ns, "bad", "/add1", [], matchConditions=[{"name": "invalid", "expression": "..."}])
        status("a condition that doesn't compile", api.post(kind, {"metadata": {"name": "bad"}, "webhooks": [bad]}), 422, "Invalid", "compilation failed")
        status("a hook without effects said", api.post(kind, {"metadata": {"name": "bad"}, "webhooks": [dict(bad, matchConditions=[], sideEffects="Some")]}), 422, "Invalid", "webhooks[0].sideEffects: Unsupported value")


def validating(api, ns):
    ns, free = namespace(api, ns + "-validating"), namespace(api, ns + "-exempt")
    every = ("CREATE", "UPDATE", "DELETE")
    with Registered(api, VALIDATING, "e2e-deny-bad", hook(ns, "deny-bad", "/bad", [rule(["configmaps", "pods"], every)])) as r:
        status("denied", configmap(api, ns, data={"a": "offending"}), 400, None, 'admission webhook "deny-bad.k8s.io" denied the request: the object contains offending data')
        eq("allowed", configmap(api, ns, data={"a": "good"}).code, 201)
        at = core(ns, "configmaps") + "/cm"
        for name, a in (("patch", api.patch(at, {"data": {"a": "offending"}})), ("update", api.put(at, {"metadata": {"name": "cm"}, "data": {"a": "offending"}}))):
            check("denied by " + name, a.code == 400 and "offending data" in a["message"], a)
        eq("elsewhere allowed", configmap(api, free, data={"a": "offending"}).code, 201)
        configmap(api, ns, "kept", {"a": "protected"})
        eq("deletion is denied", api.delete(core(ns, "configmaps") + "/kept").code, 400)
        api.patch(r.at, [{"op": "replace", "path": "/webhooks/0/rules/0/operations", "value": ["UPDATE"]}], type=JSON_PATCH)
        eq("no longer", api.delete(core(ns, "configmaps") + "/kept").code, 200)
    closed = hook(ns, "closed", "/none", [rule(["configmaps"])])
    closed["clientConfig"] = {"url": "https://127.0.0.1:1/x"}
    with Registered(api, VALIDATING, "e2e-fail-closed", closed):
        status("one that can't be asked", configmap(api, ns), 500, "InternalError", 'failed calling webhook "closed.k8s.io"')
    for seconds, policy, want in ((1, "Fail", 500), (1, "Ignore", 201), (30, "Fail", 201)):
        with Registered(api, VALIDATING, "e2e-slow", hook(ns, "slow", "/slow", [rule(["configmaps"])], timeoutSeconds=seconds, failurePolicy=policy)):
            a = configmap(api, ns)
            check("slow: %d seconds, %s" % (seconds, policy), a.code == want and (want == 201 or "deadline exceeded" in a["message"] or "timeout" in a["message"].lower()), a)
    status("a timeout beyond", api.post(VALIDATING, {"metadata": {"name": "bad"}, "webhooks": [hook(ns, "x", "/deny", [], timeoutSeconds=31)]}), 422, "Invalid", "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds")
    with Registered(api, VALIDATING, "e2e-deny-attach", hook(ns, "deny-attach", "/deny", [rule(["pods/attach"], ["CONNECT"])])):
        api.post(core(ns, "pods"), {"metadata": {"name": "to-be-attached"}, "spec": {"containers": [{"name": "c", "image": "x"}]}})
        a = api.post(core(ns, "pods") + "/to-be-attached/attach?container=c&stdout=true", None)
        check("attaching is denied", a.code >= 400 and 'admission webhook "deny-attach.k8s.io" denied' in a["message"], a)
    themselves(api, ns)


def themselves(api, ns):
    """Webhooks have no say about webhooks."""
    rules = [rule(["validatingwebhookconfigurations", "mutatingwebhookconfigurations"], ["*"], ["admissionregistration.k8s.io"], ["*"])]
    deny_hook, label_hook = hook(ns, "deny-hooks", "/deny", rules), hook(ns, "label-hooks", "/label", rules)
    for h in (deny_hook, label_hook):
        del h["namespaceSelector"]
    with Registered(api, VALIDATING, "e2e-deny-hooks", deny_hook), Registered(api, MUTATING, "e2e-label-hooks", label_hook):
        for kind in (VALIDATING, MUTATING):
            a = api.post(kind, {"metadata": {"name": "e2e-dummy"}, "webhooks": [hook(ns, "dummy", "/deny", [])]})
            check("made, and not changed", a.code == 201 and "webhook" not in (a["metadata.labels"] or {}), a)
            eq("… deleted", api.delete(kind + "/e2e-dummy").code, 200)


def custom_resources(api, ns):
    crd_hook = hook(ns, "deny-crd", "/deny", [rule(["customresourcedefinitions"], ["CREATE"], ["apiextensions.k8s.io"], ["*"])])
    crd_hook.update(namespaceSelector={}, objectSelector={"matchLabels": {"deny": "me"}})
    with Registered(api, VALIDATING, "e2e-deny-crd", crd_hook):
        a = api.post(CRDS, {"metadata": {"name": "denieds.e2e.example.com", "labels": {"deny": "me"}}, "spec": {"group": "e2e.example.com", "scope": "Cluster", "names": {
            "plural": "denieds", "kind": "Denied"}, "versions": [version()]}})
        check("a definition is denied", a.code >= 400 and "denied the request" in a["message"], a)
    schema = {"type": "object", "properties": {"data": {"type": "object", "additionalProperties": {"type": "string"}}}}
    pruned = {"type": "object", "properties": {"data": {"type": "object", "properties": {k: {"type": "string"} for k in ("mutation-start", "mutation-stage-1")}}}}
    for kind, s, want in (("Hooked", schema, 3), ("Pruned", pruned, 2)):
        _, at, plural = define(api, kind, [version(schema=s), version("v2", s, storage=False)])
        coll = "%s/namespaces/%s/%s" % (at, ns, plural)
        rules = [rule([plural], ["CREATE", "UPDATE"], ["e2e.example.com"], ["*"])]
        made = lambda name, data: api.post(coll, {"apiVersion": "e2e.example.com/v1", "kind": kind, "metadata": {"name": name}, "data": data})
        with Registered(api, MUTATING, "e2e-" + plural, hook(ns, "one", "/add1", rules), hook(ns, "two", "/add2", rules)):
            a = made("x", {"mutation-start": "yes"})
            eq("%s is changed, what the schema doesn't know goes" % kind, len(a["data"] or {}), want)
            api.patch(CRDS + "/%s.e2e.example.com" % plural, {"spec": {"versions": [version(schema=s, storage=False), version("v2", s)]}})
            soon(lambda: api.get(CRDS + "/%s.e2e.example.com" % plural)["status.storedVersions"] == ["v1", "v2"])
            p = api.patch(coll + "/x", {"metadata": {"annotations": {"a": "b"}}})
            check("… after another version is stored", p.code == 200 and p["metadata.annotations.a"] == "b" and len(p["data"]) == want, p)
        with Registered(api, VALIDATING, "e2e-" + plural, hook(ns, "bad", "/bad", [rule([plural], ["CREATE", "UPDATE", "DELETE"], ["e2e.example.com"], ["*"])])):
            eq(kind + " is denied", made("bad", {"mutation-start": "offending"}).code, 400)


def conversion(api, ns):
    loose = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    a, at, plural = define(api, "Converted", [version(schema=loose), version("v2", loose, storage=False)])
    crd = CRDS + "/%s.e2e.example.com" % plural
    p = api.patch(crd, {"spec": {"conversion": {"strategy": "Webhook", "webhook": {"clientConfig": client_config("/convert"), "conversionReviewVersions": ["v1", "v1beta1"]}}}})
    check("a converter", p.code == 200 and p["spec.conversion.strategy"] == "Webhook", p)
    coll = "/apis/e2e.example.com/%s/namespaces/" + ns + "/" + plural
    make = lambda v, name, **o: api.post(coll % v, dict(o, apiVersion="e2e.example.com/" + v, kind="Converted", metadata={"name": name}))
    eq("made in v1", make("v1", "a", hostPort="localhost:8080").code, 201)
    b = api.get(coll % "v2" + "/a")
    eq("read in v2", (b["apiVersion"], b["host"], b["port"], b["hostPort"]), ("e2e.example.com/v2", "localhost", "8080", None))
    api.patch(crd, {"spec": {"versions": [version(schema=loose, storage=False), version("v2", loose)]}})
    soon(lambda: api.get(crd)["status.storedVersions"] == ["v1", "v2"])
    eq("made in v2, which is stored now", make("v2", "b", host="localhost", port="80").code, 201)
    lst = api.get(coll % "v2")
    eq("a list of both in v2", [(i["apiVersion"][-2:], i.get("host")) for i in lst["items"]], [("v2", "localhost")] * 2)
    lst = api.get(coll % "v1")
    eq("… and in v1", [i.get("hostPort") for i in lst["items"]], ["localhost:8080", "localhost:80"])
    w = api.watch(coll % "v1")
    eq("… watched", {dig(w.next() or {}, "object.hostPort") for _ in range(2)}, {"localhost:8080", "localhost:80"})
    w.close()


def chosen(api, ns):
    """Fields of a version that a webhook converts to: who asks for them has what they choose from converted first."""
    text = lambda *names: {"type": "object", "properties": {n: {"type": "string"} for n in names}}
    fields = lambda *names: [{"jsonPath": "." + n} for n in names]
    a = api.post(CRDS, {"metadata": {"name": "selecteds.e2e.example.com"}, "spec": {
        "group": "e2e.example.com", "scope": "Namespaced", "names": {"plural": "selecteds", "kind": "Selected"},
        "versions": [version(schema=text("hostPort"), selectableFields=fields("hostPort")), version("v2", text("host", "port"), storage=False, selectableFields=fields("host", "port"))],
        "conversion": {"strategy": "Webhook", "webhook": {"clientConfig": client_config("/convert"), "conversionReviewVersions": ["v1"]}}}})
    eq("a definition with fields that move", a.code, 201)
    coll = "/apis/e2e.example.com/%s/namespaces/" + ns + "/selecteds"
    soon(lambda: api.get(coll % "v2").code == 200)
    listed = lambda v, fields: [i["metadata"]["name"] for i in api.get(coll % v + "?fieldSelector=" + urllib.parse.quote(fields))["items"]]
    watches = [api.watch(coll % v, fieldSelector=f) for v, f in (("v2", "host=h1"), ("v2", "host=h1,port=80"), ("v1", "hostPort=h1:80"))]
    told = lambda w, n: [(e or {}).get("type", "") + " " + str(dig(e or {}, "object.metadata.name")) for e in (w.next() for _ in range(n))]
    for name, host, port in (("a", "h1", "80"), ("b", "h1", "8080"), ("c", "h2", "80")):
        api.post(coll % "v2", {"apiVersion": "e2e.example.com/v2", "kind": "Selected", "metadata": {"name": name}, "host": host, "port": port})
    eq("lists by them", [listed("v2", "host=h1"), listed("v2", "host=h1,port=80"), listed("v1", "hostPort=h1:8080")], [["a", "b"], ["a"], ["b"]])
    eq("watches by them", [told(w, n) for w, n in zip(watches, (2, 1, 1))], [["ADDED a", "ADDED b"], ["ADDED a"], ["ADDED a"]])
    api.delete(coll % "v2" + "?fieldSelector=host%3Dh1,port%3D80")
    api.patch(coll % "v2" + "/b", {"host": "h2"})
    eq("what goes, and what goes elsewhere", [told(w, n) for w, n in zip(watches, (2, 1, 1))], [["DELETED a", "DELETED b"], ["DELETED a"], ["DELETED a"]])
    eq("a chunk of them", [i["metadata"]["name"] for i in api.get(coll % "v2" + "?limit=1&fieldSelector=host%3Dh2")["items"]], ["b"])
    w = api.watch(coll % "v2", fieldSelector="host=h2")
    eq("a watch begins with them", told(w, 2), ["ADDED b", "ADDED c"])
    for each in watches + [w]:
        each.close()


def policies(api, ns):
    ns = namespace(api, ns + "-policy")
    match = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns}}, "resourceRules": [rule(["deployments"], ["CREATE", "UPDATE"], ["apps"])]}
    pol, bind = REG + "validatingadmissionpolicies", REG + "validatingadmissionpolicybindings"
    make = lambda name, expression, **more: api.post(pol, {"metadata": {"name": name}, "spec": dict({"matchConstraints": match, "validations": [
        dict({"expression": expression}, **more.pop("validation", {}))]}, **more)})
    a = make("e2e-replicas", "object.spec.replicas > 1", validation={"messageExpression": "'wants replicas > 1, got ' + string(object.spec.replicas)"})
    eq("a policy", (a.code, a["spec.failurePolicy"], a["metadata.generation"]), (201, "Fail", 1))
    api.post(bind, {"metadata": {"name": "e2e-replicas"}, "spec": {"policyName": "e2e-replicas", "validationActions": ["Deny"]}})
    spec = lambda n: {"replicas": n, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}}
    at = "/apis/apps/v1/namespaces/%s/deployments" % ns
    r = soon(lambda: (lambda x: x if x.code == 422 else None)(api.post(at + "?dryRun=All", {"metadata": {"name": "one"}, "spec": spec(1)})))
    check("what it denies", r and "ValidatingAdmissionPolicy 'e2e-replicas' with binding 'e2e-replicas' denied request: wants replicas > 1, got 1" in r["message"], r)
    eq("… and allows", api.post(at, {"metadata": {"name": "two"}, "spec": spec(2)}).code, 201)
    eq("… and what isn't its business", api.post(at.replace("deployments", "replicasets"), {"metadata": {"name": "one"}, "spec": spec(1)}).code, 201)
    check("its types are checked", soon(lambda: api.get(pol + "/e2e-replicas").json["status"].get("typeChecking") is not None
                                        and api.get(pol + "/e2e-replicas")["status.observedGeneration"] == 1), api.get(pol + "/e2e-replicas"))
    eq("… and are right", api.get(pol + "/e2e-replicas")["status.typeChecking.expressionWarnings"], None)
    make("e2e-confused", "object.spec.replicas > '1'", validation={"messageExpression": "'wants replicas > 1, got ' + object.spec.replicas"})
    ws = soon(lambda: api.get(pol + "/e2e-confused")["status.typeChecking.expressionWarnings"]) or []
    eq("… or not", [w["fieldRef"] for w in ws], ["spec.validations[0].expression", "spec.validations[0].messageExpression"])
    check("… which is told", len(ws) == 2 and "found no matching overload for '_>_' applied to '(int, string)'" in ws[0]["warning"]
          and "found no matching overload for '_+_' applied to '(string, int)'" in ws[1]["warning"], ws)
    st = api.patch(pol + "/e2e-replicas/status", {"status": {"conditions": [{"type": "PatchStatus", "status": "True", "reason": "x", "message": "y", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}})
    eq("status is patched", dig(st.json, "status.conditions.0.type"), "PatchStatus")
    status("one that doesn't compile", make("bad", "object.spec.replicas >"), 422, "Invalid", "spec.validations[0].expression: Invalid value")
    for more, what in (({"variables": [{"name": "a.b", "expression": "1"}]}, "name is not a valid CEL identifier"),
                       ({"validation": {"reason": "Mood"}}, "spec.validations[0].reason: Unsupported value"), ({"validation": {"message": " "}}, "must be non-empty if specified"),
                       ({"matchConditions": [{"name": "a", "expression": "true"}] * 2}, "spec.matchConditions[1].name: Duplicate value"),
                       ({"auditAnnotations": [{"key": "a b", "valueExpression": "''"}]}, "spec.auditAnnotations[0].key: Invalid value")):
        status("refused: " + what, make("bad", "true", **more), 422, "Invalid", what)
    for more, what in (({"validationActions": ["Deny", "Warn"]}, "must not contain both Deny and Warn"), ({"paramRef": {"name": "a", "selector": {}, "parameterNotFoundAction": "Deny"}},
                       "name and selector are mutually exclusive"), ({"paramRef": {"parameterNotFoundAction": "Deny"}}, "one of name or selector must be specified"),
                       ({"paramRef": {"name": "a"}}, "spec.paramRef.parameterNotFoundAction: Required value")):
        status("a binding refused: " + what, api.post(bind, {"metadata": {"name": "bad"}, "spec": dict({"policyName": "x", "validationActions": ["Deny"]}, **more)}), 422, "Invalid", what)
    api.delete(bind + "/e2e-replicas")
    check("unbound it says nothing", soon(lambda: api.post(at + "?dryRun=All", {"metadata": {"name": "one"}, "spec": spec(1)}).code == 201))
    for n in ("e2e-replicas", "e2e-confused"):
        api.delete(pol + "/" + n)


def groups(api, ns):
    for f in (mutating, validating, custom_resources, conversion, chosen, policies):
        yield f, (api, ns)
