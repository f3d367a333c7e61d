"""Who may what, and who is who: service accounts, tokens, reviews, RBAC, certificates, flow control, audit of warnings."""
import base64
import hmac
import json
import ssl

from client import APPLY, JSON_PATCH, MERGE, STRATEGIC, Api, check, eq, soon, status
from kinds import request

AUTHZ = "/apis/authorization.k8s.io/v1/"
CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


def core(ns, plural):
    return "/api/v1/namespaces/%s/%s" % (ns, plural)


def service_accounts(api, ns):
    at = core(ns, "serviceaccounts")
    a = api.post(at, {"metadata": {"name": "test", "labels": {"static": "true"}}})
    w = api.watch(at, labelSelector="static=true")
    eq("added", (w.next() or {}).get("type"), "ADDED")
    p = api.patch(at + "/test", {"metadata": {"creationTimestamp": None}, "automountServiceAccountToken": False}, type=STRATEGIC)
    check("patched as a Go client does it", p["automountServiceAccountToken"] is False
          and p["metadata.creationTimestamp"] == a["metadata.creationTimestamp"], p)
    eq("modified", (w.next() or {}).get("type"), "MODIFIED")
    api.delete(at + "?labelSelector=static%3Dtrue")
    eq("deleted", (w.next() or {}).get("type"), "DELETED")
    cm = core(ns, "configmaps") + "/kube-root-ca.crt"
    check("the root certificate", soon(lambda: api.get(cm).code == 200))
    api.delete(cm)
    check("… comes again", soon(lambda: api.get(cm).code == 200))
    eq("… is updated without a revision", api.put(cm, {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": ""}}).code, 200)
    check("… and put back", soon(lambda: api.get(cm).json.get("data", {}).get("ca.crt")))
    api.delete(at + "/default")
    check("the default account comes again", soon(lambda: api.get(at + "/default").code == 200))


def tokens(api, ns):
    at = core(ns, "serviceaccounts")
    sa = api.post(at, {"metadata": {"name": "talker"}})
    t = api.post(at + "/talker/token", {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}})
    check("a token", t.code == 201 and t["kind"] == "TokenRequest" and t["status.token"] and t["status.expirationTimestamp"]
          and t["spec.expirationSeconds"] == 600 and t["spec.audiences"], t.code)
    claims = json.loads(base64.urlsafe_b64decode(t["status.token"].split(".")[1] + "=="))
    k = claims.get("kubernetes.io", {})
    check("its claims", claims["sub"] == "system:serviceaccount:%s:talker" % ns and k.get("namespace") == ns
          and k.get("serviceaccount") == {"name": "talker", "uid": sa["metadata.uid"]} and claims["exp"] - claims["iat"] == 600, claims)
    status("one that lives too short", api.post(at + "/talker/token", {"spec": {"expirationSeconds": 10}}), 422, "Invalid", "may not specify a duration less than 10 minutes")
    status("of nobody", api.post(at + "/nobody/token", {"spec": {}}), 404, "NotFound", 'serviceaccounts "nobody" not found')
    me = Api(api.kubeconfig, token=t["status.token"])
    s = me.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
    check("who am I", s.code == 201 and s["status.userInfo.username"] == "system:serviceaccount:%s:talker" % ns and
          set(s["status.userInfo.groups"]) == {"system:serviceaccounts", "system:serviceaccounts:" + ns, "system:authenticated"}
          and s["status.userInfo.uid"] == sa["metadata.uid"], s)
    r = api.post("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": t["status.token"]}})
    check("a token review", r["status.authenticated"] is True and r["status.user.username"].endswith(":talker") and r["status.audiences"], r["status"])
    r = api.post("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "nonsense"}, "status": {"authenticated": True}})
    check("… of nonsense", r.code == 201 and not r["status.authenticated"] and r["status.error"], r["status"])
    r = api.post("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": t["status.token"], "audiences": ["other"]}})
    check("… of another audience", not r["status.authenticated"], r["status"])
    denied = me.get(core(ns, "secrets"))
    status("what it may not", denied, 403, "Forbidden", 'secrets is forbidden: User "system:serviceaccount:%s:talker" cannot list resource "secrets" in API group "" in the namespace "%s"' % (ns, ns))
    status("… in the whole cluster", me.get("/api/v1/nodes"), 403, "Forbidden", 'cannot list resource "nodes" in API group "" at the cluster scope')
    status("… of another path", me.get("/metrics"), 403, "Forbidden", 'forbidden: User "system:serviceaccount:%s:talker" cannot get path "/metrics"' % ns)
    issuer = api.get("/.well-known/openid-configuration")
    check("issuer discovery", issuer["issuer"] == claims["iss"] and issuer["jwks_uri"] and issuer["response_types_supported"] == ["id_token"]
          and issuer["subject_types_supported"] == ["public"] and issuer["id_token_signing_alg_values_supported"], issuer)
    keys = api.get("/openid/v1/jwks")
    check("… its keys", keys.type == "application/jwk-set+json" and json.loads(keys.text)["keys"][0]["kid"], keys)
    eq("… an account may read them", me.get("/.well-known/openid-configuration").code, 200)
    api.delete(at + "/talker")
    check("a token dies with its account", soon(lambda: me.get("/version").code == 401))


def kept_tokens(api, ns):
    """A Secret that is there to keep a token; cluster-info, which bootstrap tokens sign."""
    at, secrets = core(ns, "serviceaccounts"), core(ns, "secrets")
    kept = {"metadata": {"name": "keeps", "annotations": {"kubernetes.io/service-account.name": "kept"}},
            "type": "kubernetes.io/service-account-token"}
    sa = api.post(at, {"metadata": {"name": "kept"}})
    api.post(secrets, kept)
    check("a Secret gets a token", soon(lambda: api.get(secrets + "/keeps")["data.token"]))
    s = api.get(secrets + "/keeps").json
    data = {k: base64.b64decode(v).decode() for k, v in s["data"].items()}
    check("… what else belongs to it", data["namespace"] == ns and data["ca.crt"].startswith("-----BEGIN CERTIFICATE")
          and s["metadata"]["annotations"]["kubernetes.io/service-account.uid"] == sa["metadata.uid"], s["metadata"])
    me = Api(api.kubeconfig, token=data["token"])
    r = me.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    eq("… it opens", r["status.userInfo.username"], "system:serviceaccount:%s:kept" % ns)
    api.delete(secrets + "/keeps")
    check("… and dies with the Secret", soon(lambda: me.get("/version").code == 401))
    api.post(secrets, kept)
    check("another", soon(lambda: api.get(secrets + "/keeps")["data.token"]))
    api.delete(at + "/kept")
    check("the Secret goes with the account", soon(lambda: api.get(secrets + "/keeps").code == 404, 30))


def signatures(api, ns):
    at, info = core("kube-system", "secrets"), core("kube-public", "configmaps") + "/cluster-info"
    data = {"token-id": "sign00", "token-secret": "0123456789abcdef", "usage-bootstrap-signing": "true"}
    api.post(at, {"metadata": {"name": "bootstrap-token-sign00"}, "type": "bootstrap.kubernetes.io/token", "stringData": data})
    signature = lambda: api.get(info).json["data"].get("jws-kubeconfig-sign00")
    check("cluster-info is signed", soon(signature))
    head, content, sig = signature().split(".")
    code = lambda b: base64.urlsafe_b64encode(b).rstrip(b"=").decode()
    text = head + "." + code(api.get(info).json["data"]["kubeconfig"].encode())
    good = code(hmac.new(data["token-secret"].encode(), text.encode(), "sha256").digest())
    eq("… by the token", (content, sig), ("", good))
    api.delete(at + "/bootstrap-token-sign00")
    check("… as long as there is one", soon(lambda: not signature()))


def helper(api, ns):
    """A token of an account that may nothing."""
    api.post(core(ns, "serviceaccounts"), {"metadata": {"name": "helper"}})
    return api.post(core(ns, "serviceaccounts") + "/helper/token", {"spec": {}})["status.token"]


def roles(api, ns):
    rbac = "/apis/rbac.authorization.k8s.io/v1/"
    at = rbac + "namespaces/%s/" % ns
    api.post(at + "roles", {"metadata": {"name": "reader"}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]})
    api.post(at + "rolebindings", {"metadata": {"name": "reader"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
                                   "subjects": [{"kind": "User", "name": "e2e", "apiGroup": "rbac.authorization.k8s.io"}]})
    ask = lambda verb, **more: {"resourceAttributes": dict({"namespace": ns, "verb": verb, "resource": "configmaps"}, **more)}
    yes = lambda a: a["status.allowed"]
    sar = api.post(AUTHZ + "subjectaccessreviews", {"kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": dict(ask("get"), user="e2e")})
    check("a subject access review", sar.code == 201 and yes(sar) and "reader" in sar["status.reason"], sar)
    check("… that says no", yes(api.post(AUTHZ + "subjectaccessreviews", {"spec": dict(ask("delete"), user="e2e")})) is False)
    l = api.post(AUTHZ + "namespaces/%s/localsubjectaccessreviews" % ns, {"metadata": {"namespace": ns}, "spec": dict(ask("list"), user="e2e")})
    check("a local one", l.code == 201 and yes(l), l)
    status("… of another namespace", api.post(AUTHZ + "namespaces/%s/localsubjectaccessreviews" % ns, {"metadata": {"namespace": ns}, "spec": dict(ask("list", namespace="default"), user="e2e")}),
           422, "Invalid", "must match metadata.namespace")
    status("… of nothing", api.post(AUTHZ + "subjectaccessreviews", {"spec": {"user": "e2e"}}), 422, "Invalid", "exactly one of nonResourceAttributes or resourceAttributes must be specified")
    status("… of nobody", api.post(AUTHZ + "subjectaccessreviews", {"spec": ask("get")}), 422, "Invalid", "at least one of user or group must be specified")
    for selector, what in (({}, "requirements or rawSelector is required"), ({"rawSelector": "a=b", "requirements": [{"key": "a", "operator": "Exists"}]},
                           "may not specified at the same time as requirements"), ({"requirements": [{"key": "a", "operator": "In"}]}, "requirements[0]")):
        status("a selector that is none", api.post(AUTHZ + "subjectaccessreviews", {"spec": dict(ask("list", fieldSelector=selector), user="e2e")}), 422, "Invalid", what)
    check("… and one that is", api.post(AUTHZ + "subjectaccessreviews", {"spec": dict(ask("list", labelSelector={"rawSelector": "a=b"}), user="e2e")}).code == 201)
    me = Api(api.kubeconfig, headers={"Impersonate-User": "e2e"})
    nodes = lambda user: yes(api.post(AUTHZ + "subjectaccessreviews", {"spec": dict(user=user, groups=["system:nodes"], resourceAttributes={
        "namespace": ns, "verb": "list", "resource": "services"})}))
    check("a node may list services", nodes("system:node:any") is True)
    check("… who only is in their group may not", nodes("someone") is False)
    check("one's own", yes(me.post(AUTHZ + "selfsubjectaccessreviews", {"spec": ask("get")})))
    rules = me.post(AUTHZ + "selfsubjectrulesreviews", {"spec": {"namespace": ns}})
    check("one's own rules", {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["configmaps"]} in rules["status.resourceRules"]
          and rules["status.incomplete"] is False, rules)
    eq("… which hold", (me.get(core(ns, "configmaps")).code, me.post(core(ns, "configmaps"), {"metadata": {"name": "x"}}).code), (200, 403))
    status("nobody grants more than they have", me.post(at + "roles", {"metadata": {"name": "more"}, "rules": []}), 403, "Forbidden")
    b = api.get(at + "rolebindings/reader").json
    b["roleRef"]["name"] = "other"
    status("a binding keeps its role", api.put(at + "rolebindings/reader", b), 422, "Invalid", "cannot change roleRef")
    for name in ("cluster-admin", "admin", "edit", "view", "system:discovery", "system:basic-user", "system:public-info-viewer"):
        eq("the cluster role " + name, api.get(rbac + "clusterroles/" + name).code, 200)
    for path in ("/healthz", "/livez", "/readyz", "/version"):
        eq("whoever is somebody may read " + path, me.get(path).code, 200)
    imp = Api(api.kubeconfig, headers={"Impersonate-User": "x", "Impersonate-Group": "g"}).post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    eq("impersonation", (imp["status.userInfo.username"], sorted(imp["status.userInfo.groups"])), ("x", ["g", "system:authenticated"]))
    status("… not by everybody", Api(api.kubeconfig, token=helper(api, ns), headers={"Impersonate-User": "x"}).get("/version"), 403, "Forbidden", 'cannot impersonate resource "users"')


def creation(api, ns):
    """What isn't there is made by an apply, and by a PUT of some kinds: of those who may create."""
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/" % ns
    api.post(rbac + "roles", {"metadata": {"name": "changer"}, "rules": [{"apiGroups": ["", "coordination.k8s.io"], "resources": ["configmaps", "leases"], "verbs": ["get", "patch", "update"]}]})
    api.post(rbac + "rolebindings", {"metadata": {"name": "changer"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "changer"},
                                     "subjects": [{"kind": "User", "name": "e2e-changer", "apiGroup": "rbac.authorization.k8s.io"}]})
    me = Api(api.kubeconfig, headers={"Impersonate-User": "e2e-changer"})
    cm = lambda who: who.patch(core(ns, "configmaps") + "/made?fieldManager=x", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made"}, "data": {"a": "b"}}, type=APPLY)
    status("an apply that creates needs the right to", cm(me), 403, "Forbidden", 'configmaps "made" is forbidden: User "e2e-changer" cannot create resource "configmaps" in API group ""')
    eq("… who has it creates", cm(api).code, 201)
    eq("… then patching is enough", cm(me).code, 200)
    lease = "/apis/coordination.k8s.io/v1/namespaces/%s/leases/made" % ns
    put = lambda who, at=lease, **meta: who.put(at, {"metadata": dict({"name": "made"}, **meta), "spec": {}})
    status("a PUT that creates, too", put(me), 403, "Forbidden", "cannot create resource")
    eq("… for who may", put(api).code, 201)
    api.delete(lease)
    status("… but not what was seen before", put(api, resourceVersion="5"), 404, "NotFound")
    status("… nor what is no such kind", put(api, core(ns, "secrets") + "/made"), 404, "NotFound")
    for plural, body in (("endpoints", {"subsets": []}), ("limitranges", {"spec": {"limits": []}}), ("services", {"spec": {"ports": [{"port": 80}]}})):
        eq("… of " + plural, api.put(core(ns, plural) + "/made", dict(body, metadata={"name": "made"})).code, 201)
        api.delete(core(ns, plural) + "/made")


def certificates(api, ns):
    def make(name, signer="example.com/e2e-" + "signer", **spec):
        return api.post(CSRS, {"metadata": {"generateName": name, "labels": {"csr": "x"}}, "spec": dict({"request": request(), "signerName": signer,
                        "usages": ["digital signature", "key encipherment", "client auth"]}, **spec)})
    a = make("e2e-example-csr-", expirationSeconds=3600)
    check("a request", a.code == 201 and a["spec.username"] == "plumb-admin" and a["spec.groups"], a)
    at = CSRS + "/" + a["metadata.name"]
    p = api.patch(at, {"metadata": {"annotations": {"patched": "true"}}, "spec": {"username": "evil"}})
    check("its spec is what it was", p["metadata.annotations.patched"] == "true" and p["spec.username"] == "plumb-admin", p)
    eq("its approval is read", api.get(at + "/approval").code, 200)
    ap = api.patch(at + "/approval", {"metadata": {"annotations": {"patchedapproval": "true"}}, "status": {"conditions": [
        {"type": "ApprovalPatch", "status": "True", "reason": "e2e"}]}})
    check("… patched", ap.code == 200 and ap["status.conditions.0.type"] == "ApprovalPatch" and ap["metadata.annotations.patchedapproval"] == "true", ap)
    o = ap.json
    o["status"]["conditions"].append({"type": "Approved", "status": "True", "reason": "E2E", "message": "Set from an e2e test"})
    u = api.put(at + "/approval", o)
    check("… approved", u.code == 200 and u["status.conditions.1.type"] == "Approved" and u["status.conditions.1.lastUpdateTime"]
          and u["status.conditions.1.lastTransitionTime"], u)
    o = u.json
    o["status"]["conditions"] = o["status"]["conditions"][:1]
    status("… which is not taken back", api.put(at + "/approval", o), 422, "Invalid", "")
    st = api.get(at + "/status")
    eq("its status is read", st.code, 200)
    pem = base64.b64encode(("-----BEGIN CERTIFICATE-----\n" + base64.b64encode(ssl.PEM_cert_to_DER_cert(api.ca)).decode() + "\n-----END CERTIFICATE-----\n").encode()).decode()
    s = api.patch(at + "/status", {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": {"certificate": pem}})
    check("… patched", s.code == 200 and s["status.certificate"] == pem and s["metadata.annotations.patchedstatus"] == "true", s)
    o = s.json
    o["status"]["conditions"].append({"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from an e2e test"})
    s = api.put(at + "/status", o)
    check("… updated", s.code == 200 and len(s["status.conditions"]) == 3, s)
    d = make("e2e-denied-")
    dat = CSRS + "/" + d["metadata.name"]
    dn = api.patch(dat + "/approval", {"status": {"conditions": [{"type": "Denied", "status": "True", "reason": "no"}]}})
    eq("denied", dn["status.conditions.0.type"], "Denied")
    status("not both", api.patch(dat + "/approval", [{"op": "add", "path": "/status/conditions/-", "value": {"type": "Approved", "status": "True", "reason": "y"}}], type=JSON_PATCH),
           422, "Invalid", "Approved and Denied conditions are mutually exclusive")
    status("a wrong usage", make("bad-", usages=["nothing"]), 422, "Invalid", "spec.usages[0]: Unsupported value")
    status("no request", make("bad-", request=base64.b64encode(b"x").decode()), 422, "Invalid", "spec.request: Invalid value")
    status("a signer without a domain", make("bad-", "nodomain"), 422, "Invalid", "must be a fully qualified domain and path of the form 'example.com/signer-name'")
    status("one that lives too short", make("bad-", expirationSeconds=60), 422, "Invalid", "may not specify a duration less than 600 seconds (10 minutes)")
    api.delete(CSRS + "?labelSelector=csr%3Dx")
    eq("deleted", api.get(CSRS + "?labelSelector=csr%3Dx")["items"], [])


def flows(api, ns):
    at = "/apis/flowcontrol.apiserver.k8s.io/v1/"
    names = {i["metadata"]["name"] for i in api.get(at + "flowschemas")["items"]}
    check("the cluster's own schemas", {"exempt", "catch-all", "service-accounts", "global-default", "probes", "system-leader-election"} <= names, names)
    levels = {i["metadata"]["name"]: i for i in api.get(at + "prioritylevelconfigurations")["items"]}
    check("… and levels", {"exempt", "catch-all", "workload-high", "workload-low", "system", "leader-election", "node-high", "global-default"} <= set(levels), list(levels))
    a = api.get("/version")
    check("an answer says which it went by", a.headers["X-Kubernetes-PF-FlowSchema-UID"] and a.headers["X-Kubernetes-PF-PriorityLevel-UID"], list(a.headers))
    api.post(at + "prioritylevelconfigurations", {"metadata": {"name": "e2e-level"}, "spec": {"type": "Limited", "limited": {
        "nominalConcurrencyShares": 5, "limitResponse": {"type": "Reject"}}}})
    f = api.post(at + "flowschemas", {"metadata": {"name": "e2e-flow"}, "spec": {"matchingPrecedence": 500, "priorityLevelConfiguration": {"name": "e2e-level"},
        "rules": [{"subjects": [{"kind": "User", "user": {"name": "e2e-flow-user"}}], "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}]}})
    check("a schema", f.code == 201 and f["metadata.generation"] == 1, f)
    me = Api(api.kubeconfig, headers={"Impersonate-User": "e2e-flow-user"})
    check("… takes whom it names", soon(lambda: me.get("/version").headers["X-Kubernetes-PF-FlowSchema-UID"] == f["metadata.uid"]))
    s = api.patch(at + "flowschemas/e2e-flow/status", {"status": {"conditions": [{"type": "Dangling", "status": "False", "reason": "PatchStatusFailed", "message": "x"}]}}, type=MERGE)
    eq("its status is patched", s["status.conditions.0.reason"], "PatchStatusFailed")
    status("a precedence beyond", api.post(at + "flowschemas", {"metadata": {"name": "bad"}, "spec": {"matchingPrecedence": 10001, "priorityLevelConfiguration": {"name": "x"}}}), 422, "Invalid", "matchingPrecedence")
    for n in ("flowschemas/e2e-flow", "prioritylevelconfigurations/e2e-level"):
        eq("deleted", api.delete(at + n).code, 200)


def groups(api, ns):
    for f in (service_accounts, tokens, kept_tokens, signatures, roles, creation, certificates, flows):
        yield f, (api, ns)
