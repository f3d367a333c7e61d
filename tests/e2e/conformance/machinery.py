"""Lists in chunks, tables, discovery, watches, garbage collection, namespaces, health: what every kind shares."""
import threading

from client import APPLY, JSON_PATCH, MERGE, STRATEGIC, Api, check, dig, eq, namespace, soon, status, updated

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
POD = {"containers": [{"name": "c", "image": "registry.k8s.io/pause:3.10"}]}


def core(ns, plural):
    return "/api/v1/namespaces/%s/%s" % (ns, plural)


def chunking(api, ns):
    ns = namespace(api, ns + "-chunks")
    at = core(ns, "podtemplates")
    for i in range(40):
        api.post(at, {"metadata": {"name": "template-%04d" % i}, "template": {"spec": POD}})
    names, token, revision, left = [], "", None, 40
    while True:
        page = api.get(at + "?limit=7" + ("&continue=" + token if token else ""))
        names += [i["metadata"]["name"] for i in page["items"]]
        revision = revision or page["metadata.resourceVersion"]
        left -= len(page["items"])
        eq("a chunk says how many remain", page["metadata.remainingItemCount"] or 0, left)
        eq("all chunks are of one moment", page["metadata.resourceVersion"], revision)
        token = page["metadata.continue"]
        if not token:
            break
    eq("chunks make the whole list, in order", names, ["template-%04d" % i for i in range(40)])
    first = api.get(at + "?limit=10")
    with_selector = api.get(at + "?limit=10&fieldSelector=metadata.namespace%3D" + ns)
    eq("with a selector nobody counts", with_selector["metadata.remainingItemCount"], None)
    for _ in range(70):  # more lists than are kept
        api.get(at + "?limit=1")
    old = api.get(at + "?limit=10&continue=" + first["metadata.continue"])
    status("a forgotten list is 410", old, 410, "Expired", "The provided continue parameter is too old")
    token = old["metadata.continue"]
    check("… with a token for an inconsistent rest", token, old)
    api.post(at, {"metadata": {"name": "template-0009x"}, "template": {"spec": POD}})
    rest = api.get(at + "?limit=20&continue=" + token)
    check("… that goes on behind the last", rest.code == 200 and rest["items.0.metadata.name"] == "template-0009x", rest)
    check("… as of now", int(rest["metadata.resourceVersion"]) > int(first["metadata.resourceVersion"]), rest["metadata"])
    eq("… counting what is left", rest["metadata.remainingItemCount"], 11)
    more = api.get(at + "?limit=20&continue=" + rest["metadata.continue"])
    eq("… and so on", [i["metadata"]["name"] for i in more["items"]][-1], "template-0039")
    status("a token that is none", api.get(at + "?limit=10&continue=xyz"), 400, "BadRequest", "continue key is not valid")
    for odd in ("0.0.YWJj", "0.0.", "1.2", "0.0.!!", "0.99999999999999999999.YS9i"):
        status("… " + odd, api.get(at + "?limit=10&continue=" + odd), 400, "BadRequest", "continue key is not valid")
    eq("one that leads behind everything", api.get(at + "?limit=10&continue=0.0.eno_L3p6eno")["items"], [])
    status("a token with a revision", api.get(at + "?resourceVersion=3&continue=" + token), 400, "BadRequest",
           "specifying resource version is not allowed when using continue")
    eq("a negative limit is none", len(api.get(at + "?limit=-1")["items"]), 41)


def tables(api, ns):
    api.post(core(ns, "pods"), {"metadata": {"name": "table-pod"}, "spec": POD})
    t = api.get(core(ns, "pods") + "/table-pod", Accept=TABLE)
    check("a pod's table", t["kind"] == "Table" and len(t["columnDefinitions"]) > 2 and len(t["rows"]) == 1
          and t["rows.0.cells.0"] == "table-pod" and "table-pod" in t.text, t)
    check("… columns begin with the name", t["columnDefinitions.0.name"] == "Name"
          and t["columnDefinitions.0.type"] == "string" and t["columnDefinitions.0.format"] == "name", t["columnDefinitions"])
    lst = api.get(core(ns, "pods") + "?limit=1", Accept=TABLE)
    eq("a table of a list has its revision", bool(lst["metadata.resourceVersion"]), True)
    n = api.get("/api/v1/nodes", Accept=TABLE)
    check("a table of nodes", n.code == 200 and n["kind"] == "Table" and n["columnDefinitions.0.name"] == "Name", n)
    review = api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}}, Accept=TABLE)
    status("what has no table is 406", review, 406, "NotAcceptable")
    check("… with a message that says so", "only the following media types are accepted" in review["message"], review)
    none = api.get(core(ns, "pods"), Accept="application/json;as=Table;v=v1beta9;g=meta.k8s.io")
    status("a table of no known version", none, 406, "NotAcceptable")


def discovery(api, ns):
    groups = api.get("/apis")
    eq("/apis is an APIGroupList", (groups["kind"], groups["apiVersion"]), ("APIGroupList", "v1"))
    for g in groups["groups"]:
        one = api.get("/apis/" + g["name"])
        check("preferred version of " + g["name"], one["preferredVersion"] in one["versions"]
              and one["preferredVersion"] == g["preferredVersion"], one)
        for v in g["versions"]:
            r = api.get("/apis/" + v["groupVersion"])
            check("resources of " + v["groupVersion"], r["kind"] == "APIResourceList"
                  and r["groupVersion"] == v["groupVersion"] and r["resources"], r)
            for each in r["resources"]:
                if "/" not in each["name"] and not each.get("singularName") and g["name"] != "metrics.k8s.io":
                    check("%s has a singular name" % each["name"], False, each)
                if "create" in each["verbs"] and "get" in each["verbs"] and "/" not in each["name"]:
                    if not each.get("storageVersionHash"):
                        check("%s has a storageVersionHash" % each["name"], False, each)
    api_v = api.get("/api")
    check("/api", api_v["kind"] == "APIVersions" and api_v["versions"] == ["v1"]
          and api_v["serverAddressByClientCIDRs.0.serverAddress"], api_v)
    agg = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    for path in ("/api", "/apis"):
        a = api.get(path, Accept=agg)
        eq(path + " aggregated", (a["kind"], a["apiVersion"]), ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2"))
        eq("… its type says so", a.type, agg)
        again = api.get(path, Accept=agg, If_None_Match=a.headers["ETag"])
        eq("… and is not sent twice", again.code, 304)
        beta = api.get(path, Accept="application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList")
        eq("… in v2beta1", beta["apiVersion"], "apidiscovery.k8s.io/v2beta1")
    a = api.get("/apis", Accept=agg)
    apps = [i for i in a["items"] if i["metadata"]["name"] == "apps"][0]
    deploy = [r for r in apps["versions"][0]["resources"] if r["resource"] == "deployments"][0]
    check("… resources with their parts", deploy["responseKind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
          and deploy["scope"] == "Namespaced" and deploy["singularResource"] == "deployment"
          and {"status", "scale"} <= {s["subresource"] for s in deploy["subresources"]}
          and apps["versions"][0]["freshness"] == "Current", deploy)
    status("a group that isn't", api.get("/apis/no.example.com"), 404)
    root = api.get("/")
    check("/ lists paths", "/api" in root["paths"] and "/openapi/v3" in root["paths"] and "/version" in root["paths"]
          and "/metrics" in root["paths"] and "/.well-known/openid-configuration" in root["paths"], root)


def version_and_health(api, ns):
    v = api.get("/version").json
    check("the version", v["major"] == "1" and v["minor"].startswith("32") and v["gitVersion"].startswith("v1.32.")
          and v["gitCommit"] and not v["gitCommit"].strip("0123456789abcdef")
          and set(v) >= {"gitTreeState", "buildDate", "goVersion", "compiler", "platform"}, v)
    for path in ("/healthz", "/livez", "/readyz", "/healthz/ping", "/livez/ping", "/readyz/ping", "/healthz/log"):
        a = api.get(path)
        eq(path, (a.code, a.text), (200, "ok"))
    verbose = api.get("/readyz?verbose=1")
    check("/readyz?verbose", verbose.code == 200 and "[+]ping ok" in verbose.text and "readyz check passed" in verbose.text, verbose)
    out = api.get("/livez?verbose=1&exclude=ping")
    check("… without one", "[+]ping excluded: ok" in out.text and "livez check passed" in out.text, out)
    for name in ("etcd ok", "informer-sync ok", "autoregister-completion ok", "poststarthook/crd-informer-synced ok",
                 "poststarthook/scheduling/bootstrap-system-priority-classes ok", "poststarthook/start-system-namespaces-controller ok",
                 "poststarthook/start-apiserver-admission-initializer ok", "poststarthook/apiservice-status-local-available-controller ok",
                 "poststarthook/apiservice-status-remote-available-controller ok", "poststarthook/apiservice-discovery-controller ok"):
        check("… and with " + name, "[+]" + name + "\n" in verbose.text, verbose)
    eq("… one by one, too", api.get("/livez/poststarthook/start-apiextensions-controllers").text, "ok")
    for path in ("/healthz/none", "/none", "/api/v2", "/apis/apps/v9", "/api/v1/nothings"):
        eq(path + " isn't", api.get(path).code, 404)
    m = api.get("/metrics")
    check("metrics", m.code == 200 and "apiserver_request_total" in m.text, m.text[:300])
    slis = api.get("/metrics/slis").text
    check("… and those of the health checks", 'kubernetes_healthcheck{name="etcd",type="livez"} 1' in slis
          and 'kubernetes_healthchecks_total{name="ping",status="success",type="readyz"}' in slis, slis)


def watching(api, ns):
    at = core(ns, "configmaps")
    begin = api.get(at)["metadata.resourceVersion"]
    a, b, both = (api.watch(at, labelSelector=s, resourceVersion=begin)
                  for s in ("w=a", "w=b", "w in (a,b)"))
    api.post(at, {"metadata": {"name": "w", "labels": {"w": "a"}}})
    for n, w in (("a", a), ("both", both)):
        eq("added to " + n, (w.next() or {}).get("type"), "ADDED")
    api.patch(at + "/w", {"data": {"mutation": "1"}})
    for n, w in (("a", a), ("both", both)):
        eq("modified in " + n, (w.next() or {}).get("type"), "MODIFIED")
    first = api.patch(at + "/w", {"metadata": {"labels": {"w": "b"}}})
    e = a.next() or {}
    eq("deleted where the label no longer fits", e.get("type"), "DELETED")
    eq("… at the revision of the change", dig(e, "object.metadata.resourceVersion"), first["metadata.resourceVersion"])
    eq("… as it was", dig(e, "object.metadata.labels.w"), "a")
    eq("added where it now fits", (b.next() or {}).get("type"), "ADDED")
    eq("modified where both fit", (both.next() or {}).get("type"), "MODIFIED")
    api.delete(at + "/w")
    eq("deleted", (b.next() or {}).get("type"), "DELETED")
    restart = api.watch(at, resourceVersion=first["metadata.resourceVersion"], fieldSelector="metadata.name=w")
    e = restart.next() or {}
    eq("a watch from a revision sees what came after", e.get("type"), "DELETED")
    for w in (a, b, both, restart):
        w.close()
    old = api.watch(at, resourceVersion="1")
    e = old.next() or {}
    check("a watch from too long ago", e.get("type") in ("ERROR", "ADDED", "MODIFIED", "DELETED", None), e)
    old.close()
    marks = api.watch(at, allowWatchBookmarks="true", sendInitialEvents="true", resourceVersionMatch="NotOlderThan",
                      labelSelector="none=such")
    e = marks.next() or {}
    check("a streamed list ends with a bookmark", e.get("type") == "BOOKMARK"
          and dig(e, "object.metadata.annotations").get("k8s.io/initial-events-end") == "true"
          and dig(e, "object.kind") == "ConfigMap", e)
    marks.close()
    bad = api.get(at + "?watch=true&sendInitialEvents=true")
    status("… needs resourceVersionMatch", bad, 422, "Invalid", "sendInitialEvents")
    in_order(api, ns)


def in_order(api, ns):
    """Several watches from one revision see the same changes in the same order."""
    at = core(ns, "configmaps")
    begin = api.get(at)["metadata.resourceVersion"]
    seen = []

    def look():
        w = api.watch(at, labelSelector="order", resourceVersion=begin)
        seen.append([dig(w.next() or {}, "object.metadata.resourceVersion") for _ in range(20)])
        w.close()
    threads = [threading.Thread(target=look) for _ in range(5)]
    for t in threads:
        t.start()
    for i in range(10):
        api.post(at, {"metadata": {"name": "order-%d" % i, "labels": {"order": "x"}}})
        api.patch(at + "/order-%d" % i, {"data": {"i": str(i)}})
    for t in threads:
        t.join()
    check("watches agree on the order", len(seen) == 5 and all(s == seen[0] for s in seen) and None not in seen[0]
          and [int(r) for r in seen[0]] == sorted(int(r) for r in seen[0]), seen)
    api.delete(at + "?labelSelector=order")


def namespaces(api, ns):
    name = ns + "-life"
    at = "/api/v1/namespaces/" + name
    a = api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    check("a namespace is active, kubernetes holds it, it has a label", a["status.phase"] == "Active" and
          a["spec.finalizers"] == ["kubernetes"] and a["metadata.labels"] == {"kubernetes.io/metadata.name": name}, a)
    p = api.patch(at, {"metadata": {"labels": {"testLabel": "testValue"}}}, type=STRATEGIC)
    eq("is patched", p["metadata.labels.testLabel"], "testValue")
    s = api.patch(at + "/status", {"metadata": {"annotations": {"e2e-patched-ns-status": name}}, "status": {"conditions": [
        {"type": "StatusPatch", "status": "True", "reason": "E2E", "message": "Patched by an e2e test"}]}})
    check("its status is patched", s["metadata.annotations.e2e-patched-ns-status"] == name
          and s["status.conditions.0.type"] == "StatusPatch" and s["status.phase"] == "Active", s)
    u = updated(api, at + "/status", lambda o: o["status"]["conditions"].append({"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Updated"}))
    eq("its status is updated", [c["type"] for c in u["status.conditions"]], ["StatusPatch", "StatusUpdate"])
    o = api.get(at).json
    o["spec"]["finalizers"] = ["e2e.example.com/fakeFinalizer"]
    f = api.put(at + "/finalize", o)
    eq("finalize sets finalizers", f["spec.finalizers"], ["e2e.example.com/fakeFinalizer"])
    f.json["spec"]["finalizers"] = ["kubernetes"]
    eq("… and takes them away", api.put(at + "/finalize", f.json)["spec.finalizers"], ["kubernetes"])
    api.post(core(name, "services"), {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    soon(lambda: api.get(core(name, "serviceaccounts") + "/default").code == 200)
    held = api.post(core(name, "pods"), {"metadata": {"name": "p", "finalizers": ["example.com/e2e"]}, "spec": POD})
    check("it has what holds it", held.code == 201, held)
    d = api.delete(at)
    check("is deleting", d.code == 200 and d["status.phase"] == "Terminating" and d["metadata.deletionTimestamp"], d)
    r = api.post(core(name, "configmaps"), {"metadata": {"name": "late"}})
    status("takes nothing new", r, 403, "Forbidden", "because it is being terminated")
    eq("… and says why", r["details.causes.0.reason"], "NamespaceTerminating")
    cond = soon(lambda: [c["type"] for c in api.get(at)["status.conditions"] or [] if c["status"] == "True"
                         and c["type"] == "NamespaceFinalizersRemaining"], 20)
    check("says what holds it", cond, api.get(at))
    p = api.patch(core(name, "pods") + "/p", [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}},
                                              {"op": "replace", "path": "/metadata/labels"}], type=JSON_PATCH)
    check("a patch without a value takes a field away", p.code == 200 and not p["metadata.labels"], p)
    api.patch(core(name, "pods") + "/p", [{"op": "remove", "path": "/metadata/finalizers"}], type=JSON_PATCH)
    check("is gone in the end", soon(lambda: api.get(at).code == 404), api.get(at))
    status("one that isn't", api.post(core("none-such", "configmaps"), {"metadata": {"name": "x"}}), 404, "NotFound",
           'namespaces "none-such" not found')
    for forbidden in ("default", "kube-system", "kube-public"):
        status("%s stays" % forbidden, api.delete("/api/v1/namespaces/" + forbidden), 403, "Forbidden",
               "this namespace may not be deleted")


def rc(api, ns, name, replicas, **extra):
    return api.post(core(ns, "replicationcontrollers"), {"metadata": dict({"name": name}, **extra), "spec": {
        "replicas": replicas, "selector": {"gc": name}, "template": {"metadata": {"labels": {"gc": name}}, "spec": POD}}})


def pods_of(api, ns, name):
    return api.get(core(ns, "pods") + "?labelSelector=gc%3D" + name)["items"]


def garbage(api, ns):
    ns = namespace(api, ns + "-gc")
    at = core(ns, "replicationcontrollers")
    for how in ("Background", "Foreground", "Orphan", None):  # a ReplicationController's own default is Orphan
        n = str(how).lower()
        made = rc(api, ns, n, 4)
        soon(lambda: len(pods_of(api, ns, n)) == 4)
        a = api.delete(at + "/" + n, dict({"kind": "DeleteOptions", "apiVersion": "v1",
                                           "preconditions": {"uid": made["metadata.uid"]}}, **({"propagationPolicy": how} if how else {})))
        eq("delete " + str(how), a.code, 200)
        check("… it goes", soon(lambda: api.get(at + "/" + n).code == 404), api.get(at + "/" + n))
        if how in ("Orphan", None):
            left = soon(lambda: [p for p in pods_of(api, ns, n) if not p["metadata"].get("ownerReferences")])
            eq("… its pods stay, without an owner", len(left), 4)
        else:
            check("… its pods go", soon(lambda: not pods_of(api, ns, n)), pods_of(api, ns, n))
    status("another uid", api.delete(core(ns, "configmaps") + "/kube-root-ca.crt", {"preconditions": {"uid": "no"}}), 409,
           "Conflict", "the UID in the precondition (no) does not match the UID in record" if False else "Precondition failed: UID")
    jobs(api, ns)
    owned_twice(api, ns)
    circle(api, ns)
    deployments(api, ns)


def jobs(api, ns):
    at = "/apis/batch/v1/namespaces/%s/jobs" % ns
    for n, options, warns in (("says", {"propagationPolicy": "Orphan"}, 0), ("mute", {}, 1)):
        api.post(at, {"metadata": {"name": n}, "spec": {"template": {"metadata": {"labels": {"gc": n}}, "spec": dict(
            POD, restartPolicy="Never")}}})
        soon(lambda: len(pods_of(api, ns, n)) == 1)
        a = api.delete(at + "/" + n, dict({"kind": "DeleteOptions", "apiVersion": "v1"}, **options))
        eq("a job leaves its pods alone, and warns of it", len([w for w in a.warnings if "child pods are preserved" in w]), warns)
        check("… it goes", soon(lambda: api.get(at + "/" + n).code == 404), api.get(at + "/" + n))
        left = soon(lambda: [p for p in pods_of(api, ns, n) if not p["metadata"].get("ownerReferences")])
        eq("… its pods stay, without an owner", len(left or []), 1)


def owned_twice(api, ns):
    at = core(ns, "replicationcontrollers")
    first = rc(api, ns, "gone", 4)
    rest = api.post(at, {"metadata": {"name": "stays"}, "spec": {"replicas": 0, "selector": {"gc": "stays"}, "template": {
        "metadata": {"labels": {"gc": "stays"}}, "spec": POD}}})
    soon(lambda: len(pods_of(api, ns, "gone")) == 4)
    half = pods_of(api, ns, "gone")[:2]
    for p in half:
        r = api.patch(core(ns, "pods") + "/" + p["metadata"]["name"], {"metadata": {"ownerReferences": [
            {"apiVersion": "v1", "kind": "ReplicationController", "name": "stays", "uid": rest["metadata.uid"]}]}}, type=STRATEGIC)
        eq("a second owner is added by its uid", len(r["metadata.ownerReferences"]), 2)
    api.delete(at + "/gone", {"propagationPolicy": "Foreground", "preconditions": {"uid": first["metadata.uid"]}})
    check("an owner goes", soon(lambda: api.get(at + "/gone").code == 404), api.get(at + "/gone"))
    left = soon(lambda: len(pods_of(api, ns, "gone")) == 2 and pods_of(api, ns, "gone")) or []
    eq("what another owns stays", sorted(p["metadata"]["name"] for p in left), sorted(p["metadata"]["name"] for p in half))
    check("… undeleted", not any(p["metadata"].get("deletionTimestamp") for p in left), left)


def circle(api, ns):
    at = core(ns, "pods")
    pods = [api.post(at, {"metadata": {"name": "circle%d" % i}, "spec": POD}).json for i in (1, 2, 3)]
    for i, p in enumerate(pods):
        o = pods[i - 1]["metadata"]
        api.patch(at + "/" + p["metadata"]["name"], {"metadata": {"ownerReferences": [
            {"apiVersion": "v1", "kind": "Pod", "name": o["name"], "uid": o["uid"], "controller": True, "blockOwnerDeletion": True}]}}, type=STRATEGIC)
    api.delete(at + "/circle1", {"propagationPolicy": "Foreground"})
    left = lambda: [p for p in api.get(at)["items"] if p["metadata"]["name"].startswith("circle")]
    check("a circle doesn't block", soon(lambda: not left()), left())


def deployments(api, ns):
    at = "/apis/apps/v1/namespaces/%s/" % ns
    body = {"metadata": {"name": "d"}, "spec": {"replicas": 2, "selector": {"matchLabels": {"gc": "d"}}, "template": {
        "metadata": {"labels": {"gc": "d"}}, "spec": POD}}}
    for how, want in (("Background", 0), ("Orphan", 1)):
        api.post(at + "deployments", body)
        sets = lambda: api.get(at + "replicasets?labelSelector=gc%3Dd")["items"]
        soon(sets)
        api.delete(at + "deployments/d", {"propagationPolicy": how})
        check("a deployment goes (%s)" % how, soon(lambda: api.get(at + "deployments/d").code == 404))
        check("… its replica sets: %d" % want, soon(lambda: len(sets()) == want and not (
            want and sets()[0]["metadata"].get("ownerReferences"))), sets())


def deletion(api, ns):
    at = core(ns, "configmaps")
    api.post(at, {"metadata": {"name": "gone", "finalizers": ["example.com/x"]}})
    d = api.delete(at + "/gone")
    check("a finalizer holds it", d.code == 200 and d["metadata.deletionTimestamp"] and d["metadata.deletionGracePeriodSeconds"] == 0, d)
    r = api.patch(at + "/gone", {"metadata": {"finalizers": ["example.com/x", "example.com/y"]}})
    status("no finalizer is added then", r, 422, "Invalid", "no new finalizers can be added if the object is being deleted")
    api.patch(at + "/gone", {"metadata": {"finalizers": None}})
    eq("without it it goes", api.get(at + "/gone").code, 404)
    api.post(at, {"metadata": {"name": "odd"}})
    status("a policy that isn't", api.delete(at + "/odd", {"propagationPolicy": "Sideways"}), 422, "Invalid", "propagationPolicy")
    status("both words for it", api.delete(at + "/odd", {"propagationPolicy": "Orphan", "orphanDependents": True}), 422,
           "Invalid", "orphanDependents and deletionPropagation cannot be both set")
    status("options of another kind", api.delete(at + "/odd", {"kind": "Pod", "apiVersion": "v1"}), 400, "BadRequest")
    dry = api.delete(at + "/odd?dryRun=All")
    check("a dry deletion", dry.code == 200 and api.get(at + "/odd").code == 200, dry)
    status("dryRun of another kind", api.delete(at + "/odd?dryRun=Some"), 422, "Invalid", "dryRun")
    api.delete(at + "/odd")
    status("what isn't", api.delete(at + "/odd"), 404, "NotFound", 'configmaps "odd" not found')


def apply(api, ns):
    at = "/apis/apps/v1/namespaces/%s/deployments/applied" % ns
    body = lambda image="nginx:1", **spec: {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "applied"}, "spec": dict({
        "selector": {"matchLabels": {"app": "a"}}, "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": image}]}}}, **spec)}
    put = lambda who, b, more="": api.patch(at + "?fieldManager=%s%s" % (who, more), b, type=APPLY)
    entries = lambda a: {(m["manager"], m["operation"], m.get("subresource")) for m in a["metadata.managedFields"]}
    a = put("first", body(replicas=0))
    check("an apply creates", a.code == 201 and entries(a) == {("first", "Apply", None)}, a)
    again = put("first", body(replicas=0))
    eq("the same again is nothing", again["metadata.managedFields"][0], a["metadata.managedFields"][0])
    soon(lambda: api.get(at)["status.observedGeneration"])
    c = put("second", body(replicas=1))
    status("another value conflicts", c, 409, "Conflict", 'Apply failed with 1 conflict: conflict with "first": .spec.replicas')
    eq("… the cause says where", (c["details.causes.0.reason"], c["details.causes.0.field"], c["details.causes.0.message"]), ("FieldManagerConflict", ".spec.replicas", 'conflict with "first"'))
    c = put("second", body("nginx:2", replicas=1))
    check("… two of them", c.code == 409 and c["message"].startswith('Apply failed with 2 conflicts: conflicts with "first":\n- .spec.')
          and '\n- .spec.template.spec.containers[name="c"].image' in c["message"] and "\n- .spec.replicas" in c["message"], c)
    f = put("second", body(replicas=0), "&force=true")
    check("the same value is shared", f.code == 200 and {("first", "Apply", None), ("second", "Apply", None)} <= entries(f), f)
    f = put("second", body(replicas=0, minReadySeconds=5), "&force=true")
    f = put("second", body(replicas=0), "&force=true")
    eq("what one leaves out goes", f["spec.minReadySeconds"], None)
    f = put("second", body())
    eq("… unless another says it", f["spec.replicas"], 0)
    u = api.patch(at, {"spec": {"replicas": 2}}, type=MERGE, User_Agent="somebody/1.0")
    check("an update takes a field", ("somebody", "Update", None) in entries(u), entries(u))
    c = put("first", body(replicas=0))
    check("… and conflicts", c.code == 409 and 'conflict with "somebody" using apps/v1 at 20' in c["message"], c)
    eq("… unless forced", put("first", body(replicas=0), "&force=true")["spec.replicas"], 0)
    d = put("dry", body(replicas=7), "&force=true&dryRun=All")
    eq("a dry one", (d["spec.replicas"], api.get(at)["spec.replicas"]), (7, 0))
    status("managedFields can't be applied", put("x", dict(body(), metadata={"name": "applied", "managedFields": [{"manager": "x"}]})), 400, "BadRequest", "metadata.managedFields must be nil")
    status("another version's patch", put("x", dict(body(), apiVersion="v1")), 400, "BadRequest")
    st = api.patch(at + "/status?fieldManager=first&force=true", {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "applied"}, "status": {"conditions": [
        {"type": "Mine", "status": "True"}]}}, type=APPLY)
    check("status is applied beside", st.code == 200 and ("first", "Apply", "status") in entries(st), st)
    o = api.get(at).json
    o["metadata"].pop("resourceVersion")
    o["metadata"]["managedFields"] = [{}]
    eq("an empty entry takes them all away", api.put(at, o)["metadata.managedFields"], None)
    api.delete(at)
    gone = put("x", dict(body(), metadata={"name": "applied", "uid": "no"}))
    check("nothing new under a uid", gone.code == 409, gone)


def requests(api, ns):
    at = core(ns, "configmaps")
    status("a body that isn't JSON", api("POST", at, "{", type="application/json"), 400, "BadRequest")
    status("a body of another type", api("POST", at, "x", type="text/plain"), 415, "UnsupportedMediaType",
           "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, "
           "application/vnd.kubernetes.protobuf")
    status("a patch of another type", api("PATCH", at + "/kube-root-ca.crt", "{}", type="application/json"), 415,
           "UnsupportedMediaType")
    status("another kind", api.post(at, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}), 400, "BadRequest",
           "")
    status("another version", api.post(at, {"apiVersion": "v2", "kind": "ConfigMap", "metadata": {"name": "x"}}), 400, "BadRequest")
    status("no name", api.post(at, {"metadata": {}}), 422, "Invalid", "name or generateName is required")
    status("a bad name", api.post(at, {"metadata": {"name": "No_Good"}}), 422, "Invalid", "a lowercase RFC 1123 subdomain must consist of")
    status("another name than the path's", api.put(at + "/a", {"metadata": {"name": "b"}}), 400, "BadRequest",
           "the name of the object (b) does not match the name on the URL (a)")
    status("a finalizer of nobody", api.post(at, {"metadata": {"name": "x", "finalizers": ["nobody"]}}), 422, "Invalid",
           'metadata.finalizers[0]: Invalid value: "nobody": name is neither a standard finalizer name nor is it fully qualified')
    long = api.post(at, {"metadata": {"generateName": "x" * 100}})
    eq("a made name is not too long", (long.code, len(long["metadata.name"] or "")), (201, 63))
    status("another namespace", api.post(at, {"metadata": {"name": "x", "namespace": "default"}}), 400, "BadRequest",
           "the namespace of the provided object does not match the namespace sent on the request")
    y = api("POST", at, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\n", type="application/yaml")
    eq("YAML", y.code, 201)
    eq("an answer in YAML", api.get(at + "/yaml", Accept="application/yaml").type, "application/yaml")
    status("verbs that aren't", api("PUT", at, {}), 405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    status("dryRun of another kind", api.post(at + "?dryRun=Some", {"metadata": {"name": "x"}}), 422, "Invalid", "dryRun")
    status("a manager of no good name", api.post(at + "?fieldManager=" + "x" * 129, {"metadata": {"name": "x"}}), 422, "Invalid", "fieldManager")
    status("apply without a manager", api.patch(at + "/x", {"apiVersion": "v1", "kind": "ConfigMap"}, type=APPLY), 422, "Invalid",
           "fieldManager: Required value: is required for apply patch")
    status("force without apply", api.patch(at + "/yaml?force=true", {}, type=MERGE), 422, "Invalid", "may not be specified for non-apply patch")
    status("a bad selector", api.get(at + "?labelSelector=a%3D%3D%3Db"), 400, "BadRequest")
    status("a list of the future", api.get(at + "?resourceVersion=99999999999"), 504, "Timeout", "Too large resource version")
    anonymous = Api(api.kubeconfig, anonymous=True)
    status("nobody may not", anonymous.get(at), 403 if anonymous.get("/version").code == 200 else 401)


def groups(api, ns):
    for f in (chunking, tables, discovery, version_and_health, watching, namespaces, garbage, deletion, apply, requests):
        yield f, (api, ns)
