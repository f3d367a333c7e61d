"""Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs, budgets: what sig-apps' tests ask of the controllers."""
import time

from client import MERGE, STRATEGIC, check, dig, eq, soon, status
from nodes import Nodes, end_pod

NODES = ["apps-1", "apps-2", "apps-3"]
HOLDER = {}


def ready_nodes(api):
    if not HOLDER:
        api.delete("/api/v1/nodes")
        HOLDER["nodes"] = Nodes(api, NODES)
    return HOLDER["nodes"]


def core(ns, plural, name=""):
    return "/api/v1/namespaces/%s/%s%s" % (ns, plural, "/" + name if name else "")


def apps(ns, plural, name=""):
    return "/apis/apps/v1/namespaces/%s/%s%s" % (ns, plural, "/" + name if name else "")


def batch(ns, plural, name=""):
    return "/apis/batch/v1/namespaces/%s/%s%s" % (ns, plural, "/" + name if name else "")


def template(name, image="web:1", fake=None, **spec):
    meta = {"labels": {"app": name}}
    if fake:
        meta["annotations"] = {"fake": fake}
    return {"metadata": meta, "spec": dict({"containers": [{"name": "c", "image": image}],
                                           "terminationGracePeriodSeconds": 0}, **spec)}


def workload(name, replicas=None, image="web:1", fake=None, pod=None, **spec):
    body = {"metadata": {"name": name, "labels": {"app": name}}, "spec": dict(
        {"selector": {"matchLabels": {"app": name}}, "template": template(name, image, fake, **(pod or {}))}, **spec)}
    if replicas is not None:
        body["spec"]["replicas"] = replicas
    return body


def image(to):
    return {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": to}]}}}}


def pods(api, ns, name, alive=True):
    return [p for p in api.get(core(ns, "pods") + "?labelSelector=app%3D" + name)["items"]
            if not alive or not p["metadata"].get("deletionTimestamp")]


def condition(o, kind):
    return next((c for c in dig(o, "status.conditions") or [] if c["type"] == kind), {})


def owned(api, path, owner):
    return [o for o in api.get(path)["items"]
            if any(r["uid"] == owner["metadata"]["uid"] for r in o["metadata"].get("ownerReferences", []))]


def wait_status(api, path, seconds=15, **want):
    """The object once its status says so."""
    return soon(lambda: (lambda o: o.json if all((dig(o.json, "status." + k) or 0) == v for k, v in want.items())
                         else None)(api.get(path)), seconds) or api.get(path).json


def in_namespace(api, name):
    api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    soon(lambda: api.get(core(name, "serviceaccounts", "default")).code == 200)
    return name


# ---- Deployments ----

def deployment_rollout(api, ns):
    path = apps(ns, "deployments", "roll")
    api.post(apps(ns, "deployments"), workload("roll", 3, minReadySeconds=0))
    d = wait_status(api, path, availableReplicas=3, updatedReplicas=3)
    eq("a deployment gets its pods", dig(d, "status.readyReplicas"), 3)
    eq("… and revision 1", dig(d, "metadata.annotations").get("deployment.kubernetes.io/revision"), "1")
    done = soon(lambda: condition(api.get(path).json, "Progressing").get("reason") == "NewReplicaSetAvailable")
    check("… and says it is complete", done, api.get(path))
    rs = owned(api, apps(ns, "replicasets"), d)[0]
    eq("… its ReplicaSet knows the sizes", [rs["metadata"]["annotations"].get("deployment.kubernetes.io/" + k)
                                            for k in ("revision", "desired-replicas", "max-replicas")], ["1", "3", "4"])
    hashed = rs["metadata"]["labels"]["pod-template-hash"]
    eq("… is named by the hash", rs["metadata"]["name"], "roll-" + hashed)
    check("… which its pods bear", all(p["metadata"]["labels"]["pod-template-hash"] == hashed for p in pods(api, ns, "roll")))
    api.patch(path, image("web:2"), STRATEGIC)
    d = wait_status(api, path, availableReplicas=3, updatedReplicas=3, replicas=3, observedGeneration=2)
    eq("an update is rolled out", {p["spec"]["containers"][0]["image"] for p in pods(api, ns, "roll")}, {"web:2"})
    eq("… as revision 2", soon(lambda: api.get(path)["metadata.annotations"].get("deployment.kubernetes.io/revision") == "2"),
       True)
    api.patch(path, image("web:1"), STRATEGIC)
    wait_status(api, path, availableReplicas=3, updatedReplicas=3, replicas=3, observedGeneration=3)
    back = soon(lambda: api.get(apps(ns, "replicasets", rs["metadata"]["name"]))["metadata.annotations"].get(
        "deployment.kubernetes.io/revision") == "3")
    old = api.get(apps(ns, "replicasets", rs["metadata"]["name"])).json
    check("what was comes back as revision 3", back, old)
    eq("… and keeps its history", old["metadata"]["annotations"].get("deployment.kubernetes.io/revision-history"), "1")
    scale = api.get(path + "/scale")
    eq("its scale has a selector", (scale["spec.replicas"], scale["status.selector"]), (3, "app=roll"))
    api.put(path + "/scale", dict(scale.json, spec={"replicas": 1}))
    wait_status(api, path, replicas=1, availableReplicas=1)
    eq("… and is obeyed", len(pods(api, ns, "roll")), 1)


def deployment_rollover(api, ns):
    path = apps(ns, "deployments", "over")
    api.post(apps(ns, "deployments"), workload("over", 2, image="bad:1", strategy={"rollingUpdate": {
        "maxUnavailable": 0, "maxSurge": 1}}, progressDeadlineSeconds=1))
    late = soon(lambda: condition(api.get(path).json, "Progressing").get("reason") == "ProgressDeadlineExceeded", 15)
    d = api.get(path).json
    check("a deployment that doesn't get ready says so", late and condition(d, "Progressing")["status"] == "False", d)
    check("… with the ReplicaSet's name", "has timed out progressing." in condition(d, "Progressing")["message"], d)
    eq("… and isn't available", condition(d, "Available").get("reason"), "MinimumReplicasUnavailable")
    api.patch(path, image("web:2"), STRATEGIC)
    d = wait_status(api, path, updatedReplicas=2, availableReplicas=2, replicas=2)
    eq("the next one replaces it", dig(d, "status.updatedReplicas"), 2)
    sizes = sorted(rs["spec"]["replicas"] for rs in owned(api, apps(ns, "replicasets"), d))
    eq("… and the first is empty", sizes, [0, 2])
    api.patch(path, {"spec": {"revisionHistoryLimit": 0}})
    check("history beyond the limit goes", soon(lambda: len(owned(api, apps(ns, "replicasets"), d)) == 1))


def deployment_proportional(api, ns):
    path = apps(ns, "deployments", "prop")
    api.post(apps(ns, "deployments"), workload("prop", 10, strategy={"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}))
    wait_status(api, path, availableReplicas=10)
    api.patch(path, image("bad:1"), STRATEGIC)
    d = wait_status(api, path, availableReplicas=8, updatedReplicas=5)
    sizes = lambda: sorted(rs["spec"]["replicas"] for rs in owned(api, apps(ns, "replicasets"), d))
    check("a rollout stops at its bounds", soon(lambda: sizes() == [5, 8]), sizes())
    api.patch(path, {"spec": {"replicas": 30}})
    check("both grow by their share", soon(lambda: sizes() == [13, 20]), sizes())


def deployment_recreate(api, ns):
    path = apps(ns, "deployments", "anew")
    api.post(apps(ns, "deployments"), workload("anew", 2, strategy={"type": "Recreate"}))
    d = wait_status(api, path, availableReplicas=2)
    watch = api.watch(core(ns, "pods"), labelSelector="app=anew", resourceVersion=api.get(core(ns, "pods"))["metadata.resourceVersion"])
    api.patch(path, image("web:2"), STRATEGIC)
    wait_status(api, path, updatedReplicas=2, availableReplicas=2, observedGeneration=2)
    gone, early = 0, False
    while gone < 2:
        e = watch.next(30)
        if e is None:
            break
        gone += e["type"] == "DELETED"
        early |= e["type"] == "ADDED" and gone < 2
    watch.close()
    check("Recreate makes no pod before the last old one has gone", gone == 2 and not early, (gone, early))
    api.delete(path + "?propagationPolicy=Orphan")
    check("an orphaned ReplicaSet stays", soon(lambda: api.get(path).code == 404) and len(pods(api, ns, "anew")) == 2)
    api.post(apps(ns, "deployments"), workload("anew", 2, image="web:2", strategy={"type": "Recreate"}))
    new = api.get(path).json
    check("… and is adopted by the next one", soon(lambda: len(owned(api, apps(ns, "replicasets"), new)) == 2), d)


def deployment_pause(api, ns):
    path = apps(ns, "deployments", "pause")
    api.post(apps(ns, "deployments"), workload("pause", 1, paused=True))
    reason = lambda: condition(api.get(path).json, "Progressing").get("reason")
    check("a paused deployment says so", soon(lambda: reason() == "DeploymentPaused"), api.get(path))
    eq("… and makes nothing", len(api.get(apps(ns, "replicasets") + "?labelSelector=app%3Dpause")["items"]), 0)
    api.patch(path, {"spec": {"paused": False}})
    d = wait_status(api, path, availableReplicas=1)
    eq("… until it goes on", dig(d, "status.availableReplicas"), 1)
    api.patch(path + "/status", {"status": {"conditions": [{"type": "StatusPatched", "status": "True"}]}})
    check("a condition of others stays", soon(lambda: condition(api.get(path).json, "Available")) and
          condition(api.get(path).json, "StatusPatched").get("status") == "True", api.get(path))


# ---- ReplicaSets and ReplicationControllers ----

def replicas(api, ns, plural, path_of):
    name, path = "keep-" + plural[:9], None
    body = workload(name, 2)
    if plural == "replicationcontrollers":
        body["spec"]["selector"] = {"app": name}
    path = path_of(ns, plural, name)
    owner = api.post(path_of(ns, plural), body).json
    wait_status(api, path, readyReplicas=2, availableReplicas=2)
    o = api.get(path).json
    eq(plural + ": counts", [dig(o, "status." + k) for k in ("replicas", "fullyLabeledReplicas", "readyReplicas",
                                                           "availableReplicas", "observedGeneration")], [2, 2, 2, 2, 1])
    one = pods(api, ns, name)[0]
    where = core(ns, "pods", one["metadata"]["name"])
    api.patch(where, {"metadata": {"labels": {"app": "another"}}})
    check(plural + ": a pod that no longer matches is let go",
          soon(lambda: not api.get(where)["metadata.ownerReferences"]), api.get(where))
    check("… and replaced", soon(lambda: len(pods(api, ns, name)) == 2))
    api.patch(where, {"metadata": {"labels": {"app": name}}})
    check("one that matches is adopted, and one too many goes", soon(
        lambda: [len(pods(api, ns, name)), len(owned(api, core(ns, "pods") + "?labelSelector=app%3D" + name, owner))] == [2, 2]))
    # The pods are as they should be before the status says so.
    s = soon(lambda: (lambda s: s if s["status.replicas"] == 2 else None)(api.get(path + "/scale"))) or api.get(path + "/scale")
    eq("its scale", (s["kind"], s["spec.replicas"], s["status.replicas"]), ("Scale", 2, 2))
    api.patch(path + "/scale", {"spec": {"replicas": 4}})
    wait_status(api, path, readyReplicas=4)
    eq("… is obeyed", len(pods(api, ns, name)), 4)


def quota_failure(api, ns, plural, path_of):
    ns = in_namespace(api, ns + "-quota-" + plural[:11].lower())
    api.post(core(ns, "resourcequotas"), {"metadata": {"name": "two"}, "spec": {"hard": {"pods": "2"}}})
    soon(lambda: api.get(core(ns, "resourcequotas", "two"))["status.hard"])
    body = workload("full", 3)
    if plural == "replicationcontrollers":
        body["spec"]["selector"] = {"app": "full"}
    api.post(path_of(ns, plural), body)
    path = path_of(ns, plural, "full")
    failure = lambda: condition(api.get(path).json, "ReplicaFailure")
    check(plural + ": a quota that is full is told of", soon(lambda: failure().get("reason") == "FailedCreate"), api.get(path))
    check("… with what was said", "exceeded quota: two" in failure().get("message", ""), failure())
    api.patch(path, {"spec": {"replicas": 2}})
    check("… until it fits", soon(lambda: not failure()), api.get(path))


# ---- StatefulSets ----

def stateful_order(api, ns):
    path = apps(ns, "statefulsets", "order")
    api.post(apps(ns, "statefulsets"), workload("order", 3, serviceName="order"))
    s = wait_status(api, path, readyReplicas=3, currentReplicas=3, updatedReplicas=3, availableReplicas=3)
    eq("a set's pods are numbered", sorted(p["metadata"]["name"] for p in pods(api, ns, "order")),
       ["order-0", "order-1", "order-2"])
    one = api.get(core(ns, "pods", "order-1")).json
    eq("… by labels, too", (one["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"],
                            one["metadata"]["labels"]["apps.kubernetes.io/pod-index"], one["spec"]["hostname"],
                            one["spec"]["subdomain"]), ("order-1", "1", "order-1", "order"))
    eq("… and of the revision", one["metadata"]["labels"]["controller-revision-hash"], dig(s, "status.currentRevision"))
    times = [api.get(core(ns, "pods", "order-%d" % i))["metadata.creationTimestamp"] for i in range(3)]
    eq("they came in their order", times, sorted(times))
    for i in range(3):
        api.patch(core(ns, "pods", "order-%d" % i) + "/status", {"status": {"conditions": [
            {"type": "Ready", "status": "False"}]}}, STRATEGIC)
    wait_status(api, path, readyReplicas=0)
    api.patch(path, {"spec": {"replicas": 0}})
    time.sleep(0.5)
    eq("who is unwell isn't scaled down", len(pods(api, ns, "order")), 3)
    for i in (2, 1, 0):
        api.patch(core(ns, "pods", "order-%d" % i) + "/status", {"status": {"conditions": [
            {"type": "Ready", "status": "True"}]}}, STRATEGIC)
    check("then all go", soon(lambda: not pods(api, ns, "order", False)))


def stateful_canary(api, ns):
    path = apps(ns, "statefulsets", "canary")
    api.post(apps(ns, "statefulsets"), workload("canary", 3, serviceName="canary", updateStrategy={
        "type": "RollingUpdate", "rollingUpdate": {"partition": 3}}))
    s = wait_status(api, path, readyReplicas=3, currentReplicas=3)
    old = dig(s, "status.currentRevision")
    api.patch(path, image("web:2"), STRATEGIC)
    s = soon(lambda: (lambda o: o if dig(o, "status.updateRevision") != old else None)(api.get(path).json))
    check("a new template is a new revision", s, api.get(path))
    new, images = dig(s, "status.updateRevision"), lambda: [
        p["spec"]["containers"][0]["image"] for p in sorted(pods(api, ns, "canary"), key=lambda p: p["metadata"]["name"])]
    eq("beyond the partition nothing moves", images(), ["web:1"] * 3)
    api.patch(path, {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 2}}}})
    wait_status(api, path, updatedReplicas=1, readyReplicas=3, currentReplicas=2)
    eq("the canary does", images(), ["web:1", "web:1", "web:2"])
    for i in (0, 2):
        api.delete(core(ns, "pods", "canary-%d" % i), {"gracePeriodSeconds": 0})
    soon(lambda: len(images()) == 3)
    wait_status(api, path, readyReplicas=3)
    eq("who is deleted comes back in its revision", images(), ["web:1", "web:1", "web:2"])
    for partition in (1, 0):
        api.patch(path, {"spec": {"updateStrategy": {"rollingUpdate": {"partition": partition}}}})
        wait_status(api, path, updatedReplicas=3 - partition, readyReplicas=3)
    eq("phase by phase", images(), ["web:2"] * 3)
    check("and then it is the current one", soon(lambda: api.get(path)["status.currentRevision"] == new), api.get(path))
    history = owned(api, apps(ns, "controllerrevisions"), api.get(path).json)
    eq("its history", sorted(r["revision"] for r in history), [1, 2])
    api.patch(path, image("web:1"), STRATEGIC)
    wait_status(api, path, updatedReplicas=3, readyReplicas=3)
    check("what comes back is the newest again", soon(
        lambda: sorted(r["revision"] for r in owned(api, apps(ns, "controllerrevisions"), api.get(path).json)) == [2, 3]))


def stateful_others(api, ns):
    path = apps(ns, "statefulsets", "burst")
    api.post(apps(ns, "statefulsets"), workload("burst", 2, image="bad:1", serviceName="x", podManagementPolicy="Parallel",
                                               ordinals={"start": 2}))
    check("parallel sets don't wait", soon(lambda: [p["metadata"]["name"] for p in pods(api, ns, "burst")] ==
                                           ["burst-2", "burst-3"]), pods(api, ns, "burst"))
    api.patch(path, {"spec": {"ordinals": {"start": 3}, "replicas": 3}})
    check("… and follow the first ordinal", soon(lambda: sorted(p["metadata"]["name"] for p in pods(api, ns, "burst")) ==
                                                 ["burst-3", "burst-4", "burst-5"]))
    one = api.get(core(ns, "pods", "burst-3")).json
    end_pod(api, one, "Failed")
    check("a failed pod is made anew", soon(lambda: api.get(core(ns, "pods", "burst-3"))["metadata.uid"] not in
                                            (None, one["metadata"]["uid"])))
    claims = [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "none",
                                                     "resources": {"requests": {"storage": "1Gi"}}}}]
    api.post(apps(ns, "statefulsets"), workload("claims", 3, serviceName="x", podManagementPolicy="Parallel",
                                               volumeClaimTemplates=claims, persistentVolumeClaimRetentionPolicy={
                                                   "whenDeleted": "Delete", "whenScaled": "Delete"}))
    names = lambda: sorted(c["metadata"]["name"] for c in api.get(core(ns, "persistentvolumeclaims"))["items"]
                           if not c["metadata"].get("deletionTimestamp"))
    check("a claim for each", soon(lambda: names() == ["data-claims-%d" % i for i in range(3)]), names())
    refs = lambda: [r["kind"] for c in api.get(core(ns, "persistentvolumeclaims"))["items"]
                    for r in c["metadata"].get("ownerReferences", [])]
    check("… belongs to the set", soon(lambda: refs() == ["StatefulSet"] * 3), refs())
    api.patch(apps(ns, "statefulsets", "claims"), {"spec": {"replicas": 1}})
    check("… and goes with its pod", soon(lambda: names() == ["data-claims-0"]), names())
    api.delete(apps(ns, "statefulsets", "claims"))
    check("… or with the set", soon(lambda: names() == []), names())


# ---- DaemonSets ----

def daemon_pods(api, ns, name):
    return {p["spec"].get("nodeName") or "?": p for p in pods(api, ns, name)}


def daemons(api, ns):
    path = apps(ns, "daemonsets", "every")
    own = {"nodeSelector": {"apps": "yes"}}
    for n in NODES:
        api.patch("/api/v1/nodes/" + n, {"metadata": {"labels": {"apps": "yes"}}})
    api.post(apps(ns, "daemonsets"), workload("every", pod=own))
    d = wait_status(api, path, numberReady=3, numberAvailable=3, updatedNumberScheduled=3)
    eq("a daemon on each node", sorted(daemon_pods(api, ns, "every")), NODES)
    eq("… counted", [dig(d, "status." + k) for k in ("desiredNumberScheduled", "currentNumberScheduled",
                                                    "numberMisscheduled")], [3, 3, 0])
    one = daemon_pods(api, ns, "every")["apps-2"]
    time.sleep(2)
    end_pod(api, one, "Failed")
    where = core(ns, "pods", one["metadata"]["name"])
    check("one that failed goes", soon(lambda: api.get(where).code == 404), api.get(where))
    check("… and another comes", soon(lambda: "apps-2" in daemon_pods(api, ns, "every")))
    eq("… by another name", api.get(where).code, 404)
    wait_status(api, path, numberReady=3)
    api.patch("/api/v1/nodes/apps-3", {"metadata": {"labels": {"apps": None}}})
    check("not where it isn't wanted", soon(lambda: sorted(daemon_pods(api, ns, "every")) == NODES[:2]))
    api.patch("/api/v1/nodes/apps-3", {"metadata": {"labels": {"apps": "yes"}}})
    wait_status(api, path, numberReady=3)
    before = daemon_pods(api, ns, "every")
    api.patch(path, image("bad:2"), STRATEGIC)
    check("an update takes one at a time", soon(lambda: sum(
        p["spec"]["containers"][0]["image"] == "bad:2" for p in pods(api, ns, "every")) == 1), pods(api, ns, "every"))
    api.patch(path, image("web:1"), STRATEGIC)
    wait_status(api, path, numberReady=3, updatedNumberScheduled=3, observedGeneration=3)
    after = daemon_pods(api, ns, "every")
    eq("who wasn't replaced isn't restarted by the way back",
       sum(after[n]["metadata"]["uid"] == before[n]["metadata"]["uid"] for n in NODES if n in after), 2)
    history = owned(api, apps(ns, "controllerrevisions"), api.get(path).json)
    eq("revisions", sorted(r["revision"] for r in history), [2, 3])
    newest = max(history, key=lambda r: r["revision"])
    eq("… whose hash the pods bear", {p["metadata"]["labels"]["controller-revision-hash"] for p in after.values()},
       {newest["metadata"]["labels"]["controller-revision-hash"]})
    api.patch(path, {"spec": {"updateStrategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}})
    api.patch(path, image("bad:3"), STRATEGIC)
    check("with surge the old one stays until the new one is ready", soon(lambda: len(pods(api, ns, "every")) == 4))
    wait_status(api, path, numberReady=3)
    eq("… and nobody is missed", api.get(path)["status.numberAvailable"], 3)
    api.delete(path)


def revisions(api, ns):
    ns = in_namespace(api, ns + "-revisions")
    path, at = apps(ns, "daemonsets", "rev"), apps(ns, "controllerrevisions")
    ds = api.post(apps(ns, "daemonsets"), workload("rev")).json
    wait_status(api, path, numberReady=3)
    first = api.get(at + "?labelSelector=app%3Drev")["items"][0]
    eq("a revision belongs to its set", first["metadata"]["ownerReferences"][0]["uid"], ds["metadata"]["uid"])
    label = lambda name, value: api.patch(at + "/" + name, {"metadata": {"labels": {name: value}}}, STRATEGIC)
    eq("it can be labelled", label(first["metadata"]["name"], "patched")["metadata.labels"][first["metadata"]["name"]], "patched")
    second = api.post(at, {"metadata": {"name": "rev-1234", "ownerReferences": first["metadata"]["ownerReferences"], "labels": {
        "app": "rev", "controller-revision-hash": "1234"}}, "data": first["data"], "revision": 2})
    count = lambda n: soon(lambda: len(api.get(at)["items"]) == n)
    check("another one can be made", second.code == 201 and count(2), second)
    api.delete(at + "/" + first["metadata"]["name"])
    check("… and the first taken away", count(1), api.get(at))
    label("rev-1234", "updated")
    api.patch(path, {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}}, STRATEGIC)
    check("a change makes the next", count(2), api.get(at))
    api.delete(at + "?labelSelector=rev-1234%3Dupdated")
    check("… which stays", count(1), api.get(at))
    eq("… with its number", api.get(at)["items.0.revision"], 3)
    api.delete(path)


# ---- Jobs ----

def job(name, fake=None, restart="Never", **spec):
    t = template(name, fake=fake, restartPolicy=restart)
    return {"metadata": {"name": name}, "spec": dict({"template": t}, **spec)}


def jobs(api, ns):
    path = batch(ns, "jobs", "plain")
    made = api.post(batch(ns, "jobs"), job("plain", "succeed", parallelism=2, completions=4))
    eq("a job's defaults", [made["spec." + k] for k in ("backoffLimit", "completionMode", "suspend", "podReplacementPolicy")],
       [6, "NonIndexed", False, "TerminatingOrFailed"])
    j = wait_status(api, path, succeeded=4)
    check("a job completes", soon(lambda: condition(api.get(path).json, "Complete")), api.get(path))
    j = api.get(path).json
    eq("… for a reason", [condition(j, t).get("reason") for t in ("SuccessCriteriaMet", "Complete")], ["CompletionsReached"] * 2)
    eq("… with nothing left", (dig(j, "status.active"), dig(j, "status.ready"), dig(j, "status.terminating"),
                              dig(j, "status.uncountedTerminatedPods")), (None, 0, 0, {}))
    check("… no pod is held", all(not p["metadata"].get("finalizers") for p in pods(api, ns, "plain")))
    api.post(batch(ns, "jobs"), job("index", "succeed", completions=3, parallelism=3, completionMode="Indexed"))
    j = wait_status(api, batch(ns, "jobs", "index"), succeeded=3)
    eq("indexes are counted", dig(j, "status.completedIndexes"), "0-2")
    got = sorted((p["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"],
                  p["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"], p["spec"]["hostname"],
                  p["spec"]["containers"][0]["env"][0]["name"]) for p in pods(api, ns, "index"))
    eq("… and told", got, [(str(i), str(i), "index-%d" % i, "JOB_COMPLETION_INDEX") for i in range(3)])
    api.post(batch(ns, "jobs"), job("fails", "fail", backoffLimit=0))
    check("a job fails", soon(lambda: condition(api.get(batch(ns, "jobs", "fails")).json, "Failed")))
    j = api.get(batch(ns, "jobs", "fails")).json
    eq("… for a reason", (condition(j, "Failed").get("reason"), condition(j, "FailureTarget").get("reason"),
                         dig(j, "status.failed")), ("BackoffLimitExceeded", "BackoffLimitExceeded", 1))
    api.post(batch(ns, "jobs"), job("late", activeDeadlineSeconds=1))
    check("… for being late", soon(lambda: condition(api.get(batch(ns, "jobs", "late")).json, "Failed").get("reason") ==
                                   "DeadlineExceeded"))
    api.post(batch(ns, "jobs"), job("brief", "succeed", ttlSecondsAfterFinished=1))
    check("what is over goes when asked", soon(lambda: api.get(batch(ns, "jobs", "brief")).code == 404))


def jobs_suspended(api, ns):
    path = batch(ns, "jobs", "wait")
    api.post(batch(ns, "jobs"), job("wait", suspend=True, parallelism=2))
    check("a suspended job says so", soon(lambda: condition(api.get(path).json, "Suspended").get("status") == "True"))
    eq("… and makes nothing", len(pods(api, ns, "wait")), 0)
    api.patch(path, {"spec": {"suspend": False}})
    j = wait_status(api, path, active=2, ready=2)
    eq("… until it goes on", (condition(j, "Suspended").get("status"), dig(j, "status.active")), ("False", 2))
    api.patch(path, {"spec": {"suspend": True}})
    check("… and its pods go", soon(lambda: not pods(api, ns, "wait", False)))
    api.delete(path + "?propagationPolicy=Background")
    path = batch(ns, "jobs", "adopt")
    owner = api.post(batch(ns, "jobs"), job("adopt", parallelism=2)).json
    wait_status(api, path, ready=2)
    one = core(ns, "pods", pods(api, ns, "adopt")[0]["metadata"]["name"])
    api.patch(one, {"metadata": {"ownerReferences": None}})
    check("an orphan is adopted", soon(lambda: dig(api.get(one).json, "metadata.ownerReferences.0.uid") ==
                                       owner["metadata"]["uid"]), api.get(one))
    api.patch(one, {"metadata": {"labels": None}})
    check("… let go when it doesn't match", soon(lambda: not api.get(one)["metadata.ownerReferences"]), api.get(one))
    eq("… without our finalizer", api.get(one)["metadata.finalizers"], None)


def jobs_policies(api, ns):
    api.post(batch(ns, "jobs"), job("policy", completions=4, parallelism=4, completionMode="Indexed", successPolicy={
        "rules": [{"succeededIndexes": "0-1", "succeededCount": 1}]}))
    path = batch(ns, "jobs", "policy")
    wait_status(api, path, ready=4)
    first = next(p for p in pods(api, ns, "policy")
                 if p["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] == "1")
    end_pod(api, first, "Succeeded")
    check("a policy ends it well", soon(lambda: condition(api.get(path).json, "Complete")), api.get(path))
    j = api.get(path).json
    eq("… and says which rule", (condition(j, "Complete").get("reason"), condition(j, "Complete").get("message"),
                                dig(j, "status.completedIndexes")), ("SuccessPolicy", "Matched rules at index 0", "1"))
    api.post(batch(ns, "jobs"), job("strict", backoffLimit=6, podFailurePolicy={"rules": [
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]}))
    path = batch(ns, "jobs", "strict")
    wait_status(api, path, ready=1)
    end_pod(api, pods(api, ns, "strict")[0], "Failed", 42)
    check("a policy ends it badly", soon(lambda: condition(api.get(path).json, "Failed").get("reason") == "PodFailurePolicy"))
    check("… and says why", "failed with exit code 42 matching FailJob rule at index 0" in
          condition(api.get(path).json, "Failed")["message"], api.get(path))
    path = batch(ns, "jobs", "ignored")
    api.post(batch(ns, "jobs"), job("ignored", completions=1, parallelism=1, completionMode="Indexed", backoffLimit=0, podFailurePolicy={
        "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}, {"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [0]}}]}))
    wait_status(api, path, ready=1)
    pod = pods(api, ns, "ignored")[0]
    first = pod["metadata"]["name"]
    api.post(core(ns, "pods", first) + "/eviction", {"metadata": {"name": first, "namespace": ns}})
    end_pod(api, pod, "Failed", 137)
    check("an evicted pod's name disappears", soon(lambda: api.get(core(ns, "pods", first)).code == 404), api.get(core(ns, "pods", first)))
    check("… and its index is tried again", soon(lambda: api.get(path)["status.ready"] == 1), api.get(path))
    path = batch(ns, "jobs", "ours")
    api.post(batch(ns, "jobs"), job("ours", managedBy="example.com/other"))
    status("who manages a job is held to its rules, too", api.patch(path + "/status", {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}),
           422, "Invalid", "without the SuccessCriteriaMet=true condition")
    check("… nobody else touches it", not api.get(path)["status"] and not pods(api, ns, "ours", False), api.get(path))
    api.post(batch(ns, "jobs"), job("alone", completions=2, parallelism=2, completionMode="Indexed", backoffLimitPerIndex=0))
    path = batch(ns, "jobs", "alone")
    eq("a limit for each index takes the other away", api.get(path)["spec.backoffLimit"], 2147483647)
    wait_status(api, path, ready=2)
    end_pod(api, pods(api, ns, "alone")[0], "Failed")
    check("an index fails alone", soon(lambda: api.get(path)["status.failedIndexes"]) and
          not condition(api.get(path).json, "FailureTarget"), api.get(path))
    end_pod(api, next(p for p in pods(api, ns, "alone") if p["status"]["phase"] == "Running"), "Succeeded")
    check("… and the job when all are done", soon(lambda: condition(api.get(path).json, "Failed").get("reason") ==
                                                  "FailedIndexes"), api.get(path))
    path = batch(ns, "jobs", "elastic")
    api.post(batch(ns, "jobs"), job("elastic", completions=3, parallelism=3, completionMode="Indexed"))
    wait_status(api, path, ready=3)
    status("its size alone doesn't change", api.patch(path, {"spec": {"completions": 2}}), 422, "Invalid")
    api.patch(path, {"spec": {"completions": 2, "parallelism": 2}})
    check("an indexed job shrinks from above", soon(lambda: sorted(
        p["spec"]["hostname"] for p in pods(api, ns, "elastic")) == ["elastic-0", "elastic-1"]), pods(api, ns, "elastic"))
    for body, what in (({"successPolicy": {"rules": [{"succeededCount": 1}]}}, "requires indexed completion mode"),
                       ({"completionMode": "Indexed", "parallelism": 1}, "when completion mode is Indexed"),
                       ({"maxFailedIndexes": 1}, "when maxFailedIndexes is specified")):
        status("refused: " + what, api.post(batch(ns, "jobs"), job("bad", **body)), 422, "Invalid", what)


def cronjobs(api, ns):
    def cron(name, **spec):
        return {"metadata": {"name": name}, "spec": dict({"schedule": "@every 1s", "jobTemplate": {
            "spec": job(name, "succeed")["spec"]}}, **spec)}
    api.post(batch(ns, "cronjobs"), cron("often", successfulJobsHistoryLimit=1))
    path = batch(ns, "cronjobs", "often")
    check("a cronjob makes jobs", soon(lambda: api.get(path)["status.lastSuccessfulTime"], 12), api.get(path))
    mine = lambda: owned(api, batch(ns, "jobs"), api.get(path).json)
    check("… that say when", all("batch.kubernetes.io/cronjob-scheduled-timestamp" in j["metadata"]["annotations"]
                                 for j in mine()), mine())
    check("… and keeps so many of them", soon(lambda: 1 <= len([j for j in mine() if condition(j, "Complete")]) <= 2))
    api.patch(path, {"spec": {"suspend": True}})
    hold = cron("one", concurrencyPolicy="Forbid")
    hold["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["annotations"] = {}
    api.post(batch(ns, "cronjobs"), hold)
    path = batch(ns, "cronjobs", "one")
    check("one at a time", soon(lambda: len(api.get(path)["status.active"] or []) == 1))
    time.sleep(2.2)
    eq("… if so asked", len(mine()), 1)
    before = mine()[0]["metadata"]["uid"]
    api.patch(path, {"spec": {"concurrencyPolicy": "Replace"}})
    check("… or the new for the old", soon(lambda: [j["metadata"]["uid"] for j in mine()] not in ([], [before])), mine())
    api.delete(path + "?propagationPolicy=Background")
    status("a zone that doesn't exist", api.post(batch(ns, "cronjobs"), cron("z", timeZone="Mars/Olympus")), 422, "Invalid",
           "unknown time zone Mars/Olympus")
    status("a zone in the schedule", api.post(batch(ns, "cronjobs"), cron("z", schedule="TZ=UTC 0 0 * * *")), 422, "Invalid",
           "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")


# ---- what may be asked for ----

def refusals(api, ns):
    ns = in_namespace(api, ns + "-refused")
    rolling = lambda **r: {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": r}}
    indexed = dict(completions=2, completionMode="Indexed")
    codes = lambda *v: {"podFailurePolicy": {"rules": [{"action": "Ignore", "onExitCodes": {"operator": "In", "values": list(v)}}]}}
    cases = [
        (apps, "deployments", workload("v", 1, minReadySeconds=600, progressDeadlineSeconds=600), "must be greater than minReadySeconds"),
        (apps, "deployments", workload("v", 1, strategy={"rollingUpdate": {"maxUnavailable": "110%"}}), "must not be greater than 100%"),
        (apps, "daemonsets", workload("v", **rolling(maxUnavailable=0)), "cannot be 0 when maxSurge is 0"),
        (apps, "daemonsets", workload("v", **rolling(maxUnavailable=1, maxSurge=1)), "may not be set when maxUnavailable is non-zero"),
        (apps, "statefulsets", workload("v", 1, serviceName="x", **rolling(partition=-1)), "rollingUpdate.partition: Invalid value: -1"),
        (apps, "statefulsets", workload("v", 1, serviceName="x", updateStrategy={"type": "OnDelete", "rollingUpdate": {"partition": 1}}),
         "only allowed for updateStrategy 'RollingUpdate'"),
        (apps, "statefulsets", workload("v", 1, serviceName="x", ordinals={"start": -1}), "spec.ordinals.start: Invalid value: -1"),
        (batch, "jobs", job("v", selector={"matchLabels": {"a": "b"}}), "`selector` not auto-generated"),
        (batch, "jobs", job("v", managedBy="x"), "must be a domain-prefixed path"),
        (batch, "jobs", job("v", podReplacementPolicy="TerminatingOrFailed", **codes(1)), 'supported values: "Failed"'),
        (batch, "jobs", job("v", **codes(0)), "must not be 0 for the In operator"),
        (batch, "jobs", job("v", **codes(2, 1)), "must be ordered"),
        (batch, "jobs", job("v", successPolicy={"rules": [{"succeededIndexes": "5-1"}]}, **indexed), "error parsing succeededIndexes"),
        (batch, "jobs", job("v", successPolicy={"rules": [{"succeededCount": 9}]}, **indexed), "must be less than or equal to 2"),
        (core, "pods", {"metadata": {"name": "v"}, "spec": template("v", topologySpreadConstraints=[
            {"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"}] * 2)["spec"]}, 'Duplicate value: "{a, DoNotSchedule}"'),
        (core, "pods", {"metadata": {"name": "v"}, "spec": template("v", nodeName="n", schedulingGates=[{"name": "a"}])["spec"]},
         "cannot be set until all schedulingGates have been cleared"),
    ]
    for path, plural, body, what in cases:
        status("%s refused: %s" % (plural, what), api.post(path(ns, plural), body), 422, "Invalid", what)
    kept = api.post(apps(ns, "statefulsets") + "?dryRun=All", workload("v", 1, serviceName="x", **rolling(maxUnavailable=2)))
    eq("what is behind a shut gate isn't kept", kept["spec.updateStrategy.rollingUpdate"], {"partition": 0})
    late = dict(podFailurePolicy={"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]})
    made = api.post(batch(ns, "jobs") + "?dryRun=All", job("v", **late))
    eq("a failure policy's defaults", (made["spec.podReplacementPolicy"], made["spec.podFailurePolicy.rules.0.onPodConditions.0.status"]),
       ("Failed", "True"))


# ---- disruption ----

def budgets(api, ns):
    path = "/apis/policy/v1/namespaces/%s/poddisruptionbudgets" % ns
    evict = lambda p: api.post(core(ns, "pods", p["metadata"]["name"]) + "/eviction", {
        "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": p["metadata"]["name"]}})
    api.post(apps(ns, "replicasets"), workload("guard", 3, pod={"terminationGracePeriodSeconds": 30}))
    api.post(path, {"metadata": {"name": "two"}, "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "guard"}}}})
    b = wait_status(api, path + "/two", disruptionsAllowed=1, currentHealthy=3)
    eq("a budget counts", [dig(b, "status." + k) for k in ("currentHealthy", "desiredHealthy", "expectedPods",
                                                          "disruptionsAllowed", "observedGeneration")], [3, 2, 3, 1, 1])
    eq("… and says so", (condition(b, "DisruptionAllowed").get("status"), condition(b, "DisruptionAllowed").get("reason")),
       ("True", "SufficientPods"))
    api.patch(path + "/two", {"spec": {"minAvailable": 3}})
    wait_status(api, path + "/two", disruptionsAllowed=0, observedGeneration=2)
    one = pods(api, ns, "guard")[0]
    status("no leave, no eviction", evict(one), 429, "TooManyRequests",
           "Cannot evict pod as it would violate the pod's disruption budget.")
    api.patch(path + "/two", {"spec": {"minAvailable": None, "maxUnavailable": "34%"}})
    wait_status(api, path + "/two", disruptionsAllowed=2, desiredHealthy=1)
    api.patch(core(ns, "pods", one["metadata"]["name"]), {"metadata": {"annotations": {"fake": "linger"}}})
    status("with leave it goes", evict(one), 201)
    going = api.get(core(ns, "pods", one["metadata"]["name"])).json
    if going.get("kind") == "Pod":
        eq("… and is told why", condition(going, "DisruptionTarget").get("reason"), "EvictionByEvictionAPI")
        api.delete(core(ns, "pods", one["metadata"]["name"]), {"gracePeriodSeconds": 0})
    api.post(core(ns, "pods"), {"metadata": {"name": "bare", "labels": {"app": "bare"}}, "spec": template("b")["spec"]})
    soon(lambda: api.get(core(ns, "pods", "bare"))["status.phase"] == "Running")
    api.post(path, {"metadata": {"name": "bare"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "bare"}}}})
    b = wait_status(api, path + "/bare", currentHealthy=1, expectedPods=1)
    eq("a pod of nobody's counts", dig(b, "status.desiredHealthy"), 1)
    api.patch(path + "/bare", {"metadata": {"labels": {"x": "y"}}})
    api.patch(path + "/bare/status", {"status": {"disruptedPods": {"ghost": "2020-01-01T00:00:00Z"}}})
    check("leave long spent is forgotten", soon(lambda: not api.get(path + "/bare")["status.disruptedPods"]))


def groups(api, ns):
    ready_nodes(api)
    in_namespace(api, ns)
    one = [(f, (api, ns)) for f in (cronjobs, daemons, revisions, deployment_rollover, deployment_rollout, deployment_proportional,
                                    deployment_recreate, deployment_pause, stateful_order, stateful_canary, stateful_others,
                                    jobs, jobs_suspended, jobs_policies, refusals, budgets)]
    for plural, path in (("replicasets", apps), ("replicationcontrollers", core)):
        one += [(replicas, (api, ns, plural, path)), (quota_failure, (api, ns, plural, path))]
    return one
