"""Quotas and limits, disruption budgets, the status and scale of workloads, pods' own rules, events, leases, services."""
from client import JSON_PATCH, MERGE, STRATEGIC, check, dig, eq, namespace, soon, status, updated

HARD = {"pods": "5", "services": "10", "services.nodeports": "1", "services.loadbalancers": "1", "replicationcontrollers": "10",
        "resourcequotas": "1", "secrets": "10", "configmaps": "10", "persistentvolumeclaims": "10", "cpu": "1", "memory": "500Mi",
        "requests.ephemeral-storage": "50Gi", "requests.storage": "10Gi", "requests.example.com/dongle": "3", "count/replicasets.apps": "5",
        "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "10", "gold.storageclass.storage.k8s.io/requests.storage": "10Gi"}
POD = {"containers": [{"name": "c", "image": "registry.k8s.io/pause:3.10"}], "terminationGracePeriodSeconds": 0}


def core(ns, plural):
    return "/api/v1/namespaces/%s/%s" % (ns, plural)


def pod(name, requests=None, limits=None, **spec):
    c = dict(POD["containers"][0], resources={k: v for k, v in (("requests", requests), ("limits", limits)) if v})
    return {"metadata": {"name": name}, "spec": dict(POD, containers=[c], **spec)}


class Quota:
    def __init__(self, api, ns, name="test-quota", hard=HARD, **spec):
        self.api, self.at, self.name = api, core(ns, "resourcequotas") + "/" + name, name
        a = api.post(core(ns, "resourcequotas"), {"metadata": {"name": name}, "spec": dict(spec, hard=hard)})
        check("quota " + name, a.code == 201, a)

    def used(self, **want):
        want = {k.replace("__", "/").replace("_", "."): v for k, v in want.items()}
        have = lambda: {k: v for k, v in (self.api.get(self.at)["status.used"] or {}).items() if k in want}
        soon(lambda: have() == want, 5)
        eq("%s uses %s" % (self.name, " ".join(want)), have(), want)


def quota_life(api, ns):
    ns = namespace(api, ns + "-quota")
    q = Quota(api, ns)
    q.used(resourcequotas="1", configmaps="1", pods="0", cpu="0", services="0")
    q.used(**{k.replace(".", "_").replace("/", "__"): "0" for k in HARD if "gold" in k})
    svc = lambda n, t: api.post(core(ns, "services"), {"metadata": {"name": n}, "spec": {"type": t, "ports": [{"port": 80}]}})
    eq("services", [svc("a", "ClusterIP").code, svc("np", "NodePort").code], [201, 201])
    status("one too many node ports", svc("lb", "LoadBalancer"), 403, "Forbidden", "exceeded quota: test-quota, requested: services.nodeports=1, used: services.nodeports=1, limited: services.nodeports=1")
    q.used(services="2", services_nodeports="1", services_loadbalancers="0")
    for n in ("a", "np"):
        api.delete(core(ns, "services") + "/" + n)
    q.used(services="0", services_nodeports="0")
    for plural, body in (("secrets", {}), ("configmaps", {}), ("replicationcontrollers", {"spec": {"replicas": 0, "template": {"metadata": {"labels": {"a": "b"}}, "spec": POD}}}),
                         ("persistentvolumeclaims", {"spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "gold", "resources": {"requests": {"storage": "1Gi"}}}})):
        base = 1 if plural == "configmaps" else 0
        api.post(core(ns, plural), dict(body, metadata={"name": "x"}))
        q.used(**{plural: str(base + 1)})
        if plural == "persistentvolumeclaims":
            q.used(requests_storage="1Gi", gold_storageclass_storage_k8s_io__persistentvolumeclaims="1")
        api.delete(core(ns, plural) + "/x", {"gracePeriodSeconds": 0})
        if plural == "persistentvolumeclaims":
            soon(lambda: api.get(core(ns, plural) + "/x").code == 404)
        q.used(**{plural: str(base)})
    rs = "/apis/apps/v1/namespaces/%s/replicasets" % ns
    api.post(rs, {"metadata": {"name": "r"}, "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": POD}}})
    q.used(count__replicasets_apps="1")
    api.delete(rs + "/r")
    q.used(count__replicasets_apps="0")
    quota_pods(api, ns, q)


def quota_pods(api, ns, q):
    at = core(ns, "pods")
    fits = {"cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi", "example.com/dongle": "2"}
    a = api.post(at, pod("fits", fits, {"example.com/dongle": "2"}))
    eq("a pod that fits", a.code, 201)
    want = dict(pods="1", cpu="500m", memory="252Mi", requests_ephemeral__storage="30Gi")
    used = lambda d: q.used(**{k.replace("ephemeral__storage", "ephemeral-storage"): v for k, v in d.items()})
    used(want)
    q.used(requests_example_com__dongle="2")
    status("one that doesn't", api.post(at, pod("more", {"cpu": "600m", "memory": "100Mi"})), 403, "Forbidden", "exceeded quota: test-quota")
    status("… of something extended", api.post(at, pod("more", dict(fits, memory="100Mi"), {"example.com/dongle": "2"})), 403, "Forbidden", "requests.example.com/dongle=2")
    status("what is wrong is told first", api.post(at, {"metadata": {"name": "bad"}, "spec": {"containers": []}}), 422, "Invalid", "spec.containers: Required value")
    status("one that doesn't say", api.post(at, pod("more")), 403, "Forbidden", "failed quota: test-quota: must specify cpu")
    a.json["metadata"].pop("resourceVersion")  # the scheduler writes, too
    a.json["spec"]["containers"][0]["resources"]["requests"] = {"cpu": "100m", "memory": "100Mi"}
    status("a pod can't change what it needs", api.put(at + "/fits", a.json), 422, "Invalid", "pod updates may not change fields other than")
    used(want)
    api.delete(at + "/fits", {"gracePeriodSeconds": 0})
    used(dict(pods="0", cpu="0", memory="0"))


def quota_scopes(api, ns):
    ns = namespace(api, ns + "-scopes")
    best = Quota(api, ns, "besteffort", {"pods": "5"}, scopes=["BestEffort"])
    rest = Quota(api, ns, "not-besteffort", {"pods": "5"}, scopes=["NotBestEffort"])
    ends = Quota(api, ns, "terminating", {"pods": "5", "requests.cpu": "1"}, scopes=["Terminating"])
    lasts = Quota(api, ns, "not-terminating", {"pods": "5", "requests.cpu": "1"}, scopes=["NotTerminating"])
    need = ({"cpu": "100m", "memory": "1Mi"}, {"cpu": "200m", "memory": "2Mi"})
    every = {best: 0, rest: 0, ends: 0, lasts: 0}

    def expect(*with_one):
        for q in every:
            q.used(pods="1" if q in with_one else "0")
    expect()
    for p, qs in ((pod("long", *need), (rest, lasts)), (pod("short", *need, activeDeadlineSeconds=3600), (rest, ends))):
        eq("a pod", api.post(core(ns, "pods"), p).code, 201)
        expect(*qs)
        api.delete(core(ns, "pods") + "/" + p["metadata"]["name"], {"gracePeriodSeconds": 0})
        expect()
    ends.used(**{"requests_cpu": "0"})
    for q in (ends, lasts):
        api.delete(q.at)
        every.pop(q)
    api.post(core(ns, "pods"), pod("best"))
    expect(best)
    api.delete(core(ns, "pods") + "/best", {"gracePeriodSeconds": 0})
    api.post("/apis/scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": "e2e-high"}, "value": 1000})
    pri = Quota(api, ns, "priority", {"pods": "1"}, scopeSelector={"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["e2e-high"]}]})
    api.post(core(ns, "pods"), pod("high", priorityClassName="e2e-high"))
    api.post(core(ns, "pods"), pod("low"))
    pri.used(pods="1")
    status("another of that priority", api.post(core(ns, "pods"), pod("high2", priorityClassName="e2e-high")), 403, "Forbidden", "exceeded quota: priority")
    api.delete("/apis/scheduling.k8s.io/v1/priorityclasses/e2e-high")


def quota_status(api, ns):
    at = core(ns, "resourcequotas")
    a = api.post(at, {"metadata": {"name": "life", "labels": {"q": "life"}}, "spec": {"hard": {"cpu": "500m", "memory": "500Mi"}}})
    check("status is promptly calculated", soon(lambda: api.get(at + "/life")["status.hard"] == {"cpu": "500m", "memory": "500Mi"}), api.get(at + "/life"))
    a = updated(api, at + "/life/status", lambda o: o["status"].update(hard={"cpu": "1", "memory": "1Gi"}))
    eq("status is updated", a["status.hard"], {"cpu": "1", "memory": "1Gi"})
    check("… and put right again", soon(lambda: api.get(at + "/life")["status.hard"] == {"cpu": "500m", "memory": "500Mi"}), api.get(at + "/life"))
    api.patch(at + "/life", {"spec": {"hard": {"cpu": "2", "memory": "2Gi"}}})
    check("… it follows the spec", soon(lambda: api.get(at + "/life")["status.hard"] == {"cpu": "2", "memory": "2Gi"}), api.get(at + "/life"))
    p = api.patch(at + "/life/status", {"metadata": {"labels": {"e2e": "x"}}, "spec": {"hard": {"cpu": "9"}}, "status": {"hard": {"cpu": "3"}}})
    check("status is patched, the spec stays", p["status.hard.cpu"] == "3" and p["spec.hard"] == {"cpu": "2", "memory": "2Gi"}, p)
    eq("listed everywhere", len(api.get("/api/v1/resourcequotas?labelSelector=q%3Dlife")["items"]), 1)
    status("… of a scope that is compared with nothing", api.post(at, {"metadata": {"name": "bad"}, "spec": {"hard": {"pods": "1"}, "scopeSelector": {
        "matchExpressions": [{"scopeName": "PriorityClass", "operator": "In"}]}}}), 422, "Invalid", "must be at least one value")
    status("… of what nobody counts", api.post(at, {"metadata": {"name": "bad"}, "spec": {"hard": {"gold": "1"}}}), 422, "Invalid", "must be a standard resource for quota")
    status("a quota of nothing good", api.post(at, {"metadata": {"name": "bad"}, "spec": {"hard": {"pods": "-1"}}}), 422, "Invalid", "must be greater than or equal to 0")
    api.delete(at + "?labelSelector=q%3Dlife")
    eq("gone", api.get(at + "/life").code, 404)


def limits(api, ns):
    ns = namespace(api, ns + "-limits")
    at = core(ns, "limitranges")
    a = api.post(at, {"metadata": {"name": "l"}, "spec": {"limits": [{"type": "Container", "min": {"cpu": "50m", "memory": "100Mi"}, "max": {"cpu": "500m", "memory": "500Mi"},
        "default": {"cpu": "500m", "memory": "500Mi"}, "defaultRequest": {"cpu": "100m", "memory": "200Mi"}}]}})
    eq("a limit range", a.code, 201)
    p = api.post(core(ns, "pods"), pod("none"))
    eq("defaults", p["spec.containers.0.resources"], {"limits": {"cpu": "500m", "memory": "500Mi"}, "requests": {"cpu": "100m", "memory": "200Mi"}})
    p = api.post(core(ns, "pods"), pod("some", {"cpu": "300m"}, {"cpu": "300m"}))
    eq("… where nothing is said", p["spec.containers.0.resources"], {"limits": {"cpu": "300m", "memory": "500Mi"}, "requests": {"cpu": "300m", "memory": "200Mi"}})
    status("too little", api.post(core(ns, "pods"), pod("little", {"cpu": "10m"})), 403, "Forbidden", "minimum cpu usage per Container is 50m, but request is 10m")
    status("limits that cross", api.post(at, {"metadata": {"name": "bad"}, "spec": {"limits": [{"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "1"}}]}}), 422, "Invalid",
           "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1")
    status("too much", api.post(core(ns, "pods"), pod("much", None, {"cpu": "600m"})), 403, "Forbidden", "maximum cpu usage per Container is 500m, but limit is 600m")
    u = api.patch(at + "/l", [{"op": "replace", "path": "/spec/limits/0/min/cpu", "value": "9m"}], type=JSON_PATCH)
    eq("updated", (u.code, api.post(core(ns, "pods"), pod("little", {"cpu": "10m"})).code), (200, 201))


def budgets(api, ns):
    at = "/apis/policy/v1/namespaces/%s/poddisruptionbudgets" % ns
    a = api.post(at, {"metadata": {"name": "foo", "labels": {"b": "x"}}, "spec": {"selector": {"matchLabels": {"foo": "bar"}}, "minAvailable": "1%"}})
    check("a budget", a.code == 201 and a["metadata.generation"] == 1, a)
    check("… is processed", soon(lambda: (api.get(at + "/foo")["status.observedGeneration"] or 0) >= 1), api.get(at + "/foo"))
    u = api.patch(at + "/foo", {"spec": {"minAvailable": "2%"}})
    eq("updated", (u["spec.minAvailable"], u["metadata.generation"]), ("2%", 2))
    p = api.patch(at + "/foo", {"spec": {"minAvailable": None, "maxUnavailable": 1}})
    eq("patched", p["spec.maxUnavailable"], 1)
    check("… is processed", soon(lambda: api.get(at + "/foo")["status.observedGeneration"] == 3), api.get(at + "/foo"))
    soon(lambda: not api.get(at + "/foo")["status.disruptedPods"])
    s = updated(api, at + "/foo/status", lambda o: o["status"].update(disruptedPods={"pod1": "2030-01-01T00:00:00Z"}))
    eq("status is updated", list(s["status.disruptedPods"] or {}), ["pod1"])
    s = api.patch(at + "/foo/status", {"metadata": {"annotations": {"e": "x"}}, "status": {"disruptedPods": {"pod2": "2030-01-01T00:00:00Z"}}})
    check("status is patched", "pod2" in (s["status.disruptedPods"] or {}), s)
    eq("listed everywhere", len([i for i in api.get("/apis/policy/v1/poddisruptionbudgets")["items"] if i["metadata"]["namespace"] == ns]), 1)
    status("both", api.post(at, {"metadata": {"name": "bad"}, "spec": {"minAvailable": 1, "maxUnavailable": 1}}), 422, "Invalid", "minAvailable and maxUnavailable cannot be both set")
    api.delete(at + "?labelSelector=b%3Dx")
    eq("gone", api.get(at)["items"], [])


def scales(api, ns):
    apps = "/apis/apps/v1/namespaces/%s/" % ns
    spec = {"replicas": 1, "selector": {"matchLabels": {"s": "x"}}, "template": {"metadata": {"labels": {"s": "x"}}, "spec": POD}}
    rc = dict(spec, selector={"s": "x"})
    for at, body in ((apps + "deployments", spec), (apps + "replicasets", spec), (apps + "statefulsets", dict(spec, serviceName="x")),
                     (core(ns, "replicationcontrollers"), rc)):
        name = at.rsplit("/", 1)[1]
        a = api.post(at, {"metadata": {"name": "scaled"}, "spec": body})
        eq(name + " begins with generation 1", a["metadata.generation"], 1)
        one = at + "/scaled"
        s = api.get(one + "/scale")
        check(name + " scale", s["kind"] == "Scale" and s["apiVersion"] == "autoscaling/v1" and s["spec.replicas"] == 1
              and s["status.selector"] == "s=x" and s["metadata.uid"] == a["metadata.uid"], s)
        u = updated(api, one + "/scale", lambda o: o.update(spec={"replicas": 2}))
        eq("… is updated", (u["spec.replicas"], api.get(one)["spec.replicas"]), (2, 2))
        p = api.patch(one + "/scale", {"spec": {"replicas": 3}})
        eq("… is patched", (p["spec.replicas"], api.get(one)["metadata.generation"]), (3, 3))
        status("… not below nothing", api.patch(one + "/scale", {"spec": {"replicas": -1}}), 422, "Invalid", "must be greater than or equal to 0")
        st = api.patch(one + "/status", {"metadata": {"annotations": {"s": "x"}}, "status": {"conditions": [{"type": "StatusPatched", "status": "True"}]}})
        check(name + " status is patched", st.code == 200 and any(c["type"] == "StatusPatched" for c in st["status.conditions"]), st)
        eq("… without a new generation", st["metadata.generation"], 3)
        if at.startswith("/apis"):
            status("the selector stays", api.patch(one, {"spec": {"selector": {"matchLabels": {"s": "y"}}}}), 422, "Invalid", "")
        api.delete(one, {"propagationPolicy": "Background"})
    status("a template that doesn't fit", api.post(apps + "deployments", {"metadata": {"name": "bad"}, "spec": dict(spec, selector={"matchLabels": {"other": "x"}})}),
           422, "Invalid", 'spec.template.metadata.labels: Invalid value: map[string]string{"s":"x"}: `selector` does not match template `labels`')


def pods(api, ns):
    at = core(ns, "pods")
    a = api.post(at, {"metadata": {"name": "p", "labels": {"time": "1"}}, "spec": dict(POD, terminationGracePeriodSeconds=5)})
    check("a pod is pending, with a class", a["status.phase"] == "Pending" and a["status.qosClass"] == "BestEffort", a["status"])
    p = api.patch(at + "/p", {"spec": {"containers": [{"name": "c", "image": "registry.k8s.io/pause:3.9"}]}}, type=STRATEGIC)
    eq("its image may change", p["spec.containers.0.image"], "registry.k8s.io/pause:3.9")
    p = api.patch(at + "/p", {"spec": {"activeDeadlineSeconds": 50}})
    eq("its deadline may come", p["spec.activeDeadlineSeconds"], 50)
    status("… not go", api.patch(at + "/p", {"spec": {"activeDeadlineSeconds": None}}), 422, "Invalid", "spec.activeDeadlineSeconds")
    status("its command may not", api.patch(at + "/p", {"spec": {"containers": [{"name": "c", "command": ["x"]}]}}, type=STRATEGIC), 422, "Invalid",
           "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)")
    e = api.patch(at + "/p/ephemeralcontainers", {"spec": {"ephemeralContainers": [{"name": "debug", "image": "x", "terminationMessagePolicy": "File"}]}}, type=STRATEGIC)
    eq("an ephemeral container", dig(e.json, "spec.ephemeralContainers.0.name"), "debug")
    e = api.patch(at + "/p/ephemeralcontainers", {"metadata": {"labels": {"no": "no"}}, "spec": {"nodeName": "no", "containers": [{"name": "c", "image": "evil"}]}}, type=STRATEGIC)
    check("… and nothing else", e.code == 200 and e["spec.nodeName"] is None and e["spec.containers.0.image"] == "registry.k8s.io/pause:3.9"
          and "no" not in e["metadata.labels"], e)
    status("… which stays what it is", api.patch(at + "/p/ephemeralcontainers", {"spec": {"ephemeralContainers": [{"name": "debug", "image": "y"}]}}, type=STRATEGIC),
           422, "Invalid", 'existing ephemeral containers "debug" may not be changed')
    t = api.get(at + "/p")["spec.tolerations"] + [{"key": "x", "operator": "Exists"}]
    eq("… one more", len(api.patch(at + "/p", {"spec": {"tolerations": t}})["spec.tolerations"]), len(t))
    status("tolerations only come", api.patch(at + "/p", {"spec": {"tolerations": t[:-1]}}), 422, "Invalid", "existing toleration can not be modified")
    s = api.patch(at + "/p/status", {"metadata": {"labels": {"podstatus": "patched"}}, "status": {"message": "Patched by e2e test", "reason": "E2E"}})
    check("its status is patched", s["status.message"] == "Patched by e2e test" and s["metadata.labels.podstatus"] == "patched", s)
    b = api.post(at + "/p/binding", {"target": {"kind": "Node", "name": "gone"}})
    eq("bound", (b.code, api.get(at + "/p")["spec.nodeName"]), (201, "gone"))
    for f, n in (("spec.nodeName%3Dgone", 1), ("status.phase%3DPending,metadata.name%3Dp", 1), ("spec.nodeName%3Dother", 0), ("spec.restartPolicy%3DAlways,metadata.name%3Dp", 1),
                 ("spec.serviceAccountName%3Ddefault,metadata.name%3Dp", 1), ("status.phase!%3DRunning,metadata.name%3Dp", 1)):
        eq("selected by " + f, len(api.get(at + "?fieldSelector=" + f)["items"]), n)
    d = api.delete(at + "/p", {"gracePeriodSeconds": 30})
    check("deleting", d.code == 200 and d["metadata.deletionGracePeriodSeconds"] == 30 and d["metadata.deletionTimestamp"], d)
    api.delete(at + "/p", {"gracePeriodSeconds": 0})
    eq("gone", api.get(at + "/p").code, 404)
    for bad, why in (({"containers": []}, "spec.containers: Required value"), ({"containers": [{"name": "A_", "image": "x"}]}, "a lowercase RFC 1123 label must consist of"),
                     ({"containers": [{"name": "a"}]}, "spec.containers[0].image: Required value"), (dict(POD, restartPolicy="Maybe"), "spec.restartPolicy: Unsupported value"),
                     (dict(POD, securityContext={"sysctls": [{"name": "foo-", "value": "bar"}, {"name": "bar..", "value": "42"}]}), "spec.securityContext.sysctls[0].name: Invalid value"),
                     (dict(POD, priorityClassName="no-such"), "no PriorityClass with name no-such was found")):
        r = api.post(at, {"metadata": {"name": "bad"}, "spec": bad})
        check("refused: " + why, r.code in (403, 422) and why in r["message"], r)


def events(api, ns):
    at, new = core(ns, "events"), "/apis/events.k8s.io/v1/namespaces/%s/events" % ns
    a = api.post(at, {"metadata": {"name": "event-test", "labels": {"testevent": "true"}}, "message": "This is a test event", "reason": "Test", "type": "Normal", "count": 1,
                      "involvedObject": {"namespace": ns}})
    eq("an event", a.code, 201)
    p = api.patch(at + "/event-test", {"message": "This is a test event - patched"}, type=STRATEGIC)
    eq("patched", p["message"], "This is a test event - patched")
    eq("… seen in the new group", api.get(new + "/event-test")["note"], "This is a test event - patched")
    api.delete(at + "/event-test")
    eq("gone", api.get(at + "?labelSelector=testevent%3Dtrue")["items"], [])
    n = {"metadata": {"name": "event-new", "labels": {"testevent": "new"}}, "regarding": {"namespace": ns, "kind": "Pod", "name": "x"}, "eventTime": "2017-09-19T13:49:16.000000Z",
         "note": "This is event-new", "action": "Do", "reason": "Test", "reportingController": "test-controller", "reportingInstance": "test-node", "type": "Normal"}
    a = api.post(new, n)
    check("a new event", a.code == 201 and a["eventTime"] == "2017-09-19T13:49:16.000000Z", a)
    eq("… selected by its controller", len(api.get(new + "?fieldSelector=reportingController%3Dtest-controller")["items"]), 1)
    eq("… in the old group", len(api.get(at + "?fieldSelector=involvedObject.name%3Dx,reason%3DTest")["items"]), 1)
    p = api.patch(new + "/event-new", {"series": {"count": 2, "lastObservedTime": "2017-09-20T13:49:16.000000Z"}}, type=STRATEGIC)
    eq("its series begins", (p["series.count"], p["series.lastObservedTime"]), (2, "2017-09-20T13:49:16.000000Z"))
    p.json["series"] = {"count": 100, "lastObservedTime": "2017-09-21T13:49:16.000000Z"}
    eq("… and goes on", api.put(new + "/event-new", p.json)["series.count"], 100)
    status("a new event says when", api.post(new, dict(n, metadata={"name": "bad"}, eventTime=None)), 422, "Invalid", "eventTime: Required value")
    api.delete(new + "?labelSelector=testevent%3Dnew")
    eq("… deleted together", api.get(new + "?labelSelector=testevent%3Dnew")["items"], [])


def services(api, ns):
    at = core(ns, "services")
    s = api.post(at, {"metadata": {"name": "s", "labels": {"t": "x"}}, "spec": {"type": "LoadBalancer", "ports": [{"name": "http", "port": 80, "targetPort": 80}]}})
    check("a service of every kind of address", s["spec.clusterIP"] and s["spec.ports.0.nodePort"] and s["spec.allocateLoadBalancerNodePorts"] is True
          and s["spec.externalTrafficPolicy"] == "Cluster" and s["spec.sessionAffinity"] == "None", s)
    st = api.patch(at + "/s/status", {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}}, type=MERGE)
    check("its status is patched", st["metadata.annotations.patchedstatus"] == "true" and st["status.loadBalancer.ingress.0.ip"] == "203.0.113.1", st)
    o = st.json
    o["status"]["conditions"] = [{"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test", "lastTransitionTime": "2026-01-01T00:00:00Z"}]
    eq("… updated", api.put(at + "/s/status", o)["status.conditions.0.type"], "StatusUpdate")
    for kind, gone in (("NodePort", None), ("ClusterIP", "nodePort"), ("ExternalName", "clusterIP")):
        p = api.patch(at + "/s", {"spec": dict({"type": kind}, **({"externalName": "x.example.com"} if kind == "ExternalName" else {}))})
        check("becomes " + kind, p.code == 200 and p["spec.type"] == kind and (gone != "nodePort" or not p["spec.ports.0.nodePort"])
              and (gone != "clusterIP" or not p["spec.clusterIP"]), p)
    eq("… and back", bool(api.patch(at + "/s", {"spec": {"type": "ClusterIP", "externalName": None}})["spec.clusterIP"]), True)
    api.delete(at + "?labelSelector=t%3Dx")
    eq("deleted together", api.get(at + "/s").code, 404)
    ep = core(ns, "endpoints")
    api.post(ep, {"metadata": {"name": "e"}, "subsets": [{"addresses": [{"ip": "10.0.0.24"}], "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}]})
    p = api.patch(ep + "/e", {"subsets": [{"addresses": [{"ip": "10.0.0.25"}], "ports": [{"name": "http-test", "port": 8080}]}]})
    eq("endpoints", p["subsets.0.ports.0.name"], "http-test")


def leases(api, ns):
    at = "/apis/coordination.k8s.io/v1/namespaces/%s/leases" % ns
    spec = {"holderIdentity": "holder", "leaseDurationSeconds": 30, "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:02.000000Z", "leaseTransitions": 0}
    a = api.post(at, {"metadata": {"name": "l"}, "spec": spec})
    eq("a lease", (a.code, a["spec"]), (201, spec))
    p = api.patch(at + "/l", {"spec": {"holderIdentity": "other", "renewTime": "2026-01-01T00:00:04.123456Z"}}, type=STRATEGIC)
    eq("patched", p["spec.renewTime"], "2026-01-01T00:00:04.123456Z")
    status("a lease of no time", api.post(at, {"metadata": {"name": "bad"}, "spec": {"leaseDurationSeconds": 0}}), 422, "Invalid", "must be greater than 0")
    v = api.post("/apis/storage.k8s.io/v1/csinodes", {"metadata": {"name": "e2e-csinode"}, "spec": {"drivers": [{"name": "d.example.com", "nodeID": "x"}]}})
    eq("a CSI node", v.code, 201)
    api.delete("/apis/storage.k8s.io/v1/csinodes/e2e-csinode")
    pc = "/apis/scheduling.k8s.io/v1/priorityclasses"
    api.post(pc, {"metadata": {"name": "e2e-p1"}, "value": 1, "description": "x"})
    status("a priority stays what it is", api.patch(pc + "/e2e-p1", {"value": 2}), 422, "Invalid", "may not be changed in an update")
    eq("… its words don't", api.patch(pc + "/e2e-p1", {"description": "y"})["description"], "y")
    api.delete(pc + "/e2e-p1")
    for name, immutable in (("configmaps", {"data": {"a": "b"}}), ("secrets", {"stringData": {"a": "b"}})):
        a = api.post(core(ns, name), dict(immutable, metadata={"name": "fixed"}))
        eq(name + " stringData", a["data.a"], "b" if name == "configmaps" else "Yg==")
        api.patch(core(ns, name) + "/fixed", {"immutable": True})
        status(name + " that is immutable", api.patch(core(ns, name) + "/fixed", {"data": {"a": "Yw=="}}), 422, "Invalid", "field is immutable when `immutable` is set")
        status("… for good", api.patch(core(ns, name) + "/fixed", {"immutable": False}), 422, "Invalid", "field is immutable when `immutable` is set")
        status(name + " with a bad key", api.post(core(ns, name), {"metadata": {"name": "bad"}, "data": {"": "Yg=="}}), 422, "Invalid", "a valid config key must consist of")
        eq("… goes", api.delete(core(ns, name) + "/fixed").code, 200)


def groups(api, ns):
    for f in (quota_life, quota_scopes, quota_status, limits, budgets, scales, pods, events, services, leases):
        yield f, (api, ns)
