"""Where pods go and who makes way: what sig-scheduling's tests ask of the scheduler, and NoExecute taints."""
import threading
import time

from client import STRATEGIC, check, dig, eq, soon, status
from nodes import Nodes
from controllers import condition, core, in_namespace

NODES = ["s-1", "s-2", "s-3"]


def pod(name, room=None, labels=None, fake=None, **spec):
    c = {"name": "c", "image": "i"}
    if room:
        c["resources"] = {"requests": room, "limits": room}
    meta = {"name": name, "labels": labels or {}}
    if fake:
        meta["annotations"] = {"fake": fake}
    grace = 30 if fake else 0
    return {"metadata": meta, "spec": dict({"containers": [c], "terminationGracePeriodSeconds": grace}, **spec)}


def on(node):
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]}}}


def place(api, ns, body, seconds=8):
    """The node that a new pod gets; None."""
    made = api.post(core(ns, "pods"), body)
    if made.code != 201:
        return made
    return soon(lambda: api.get(core(ns, "pods", body["metadata"]["name"]))["spec.nodeName"], seconds)


def why_not(api, ns, body):
    api.post(core(ns, "pods"), body)
    path = core(ns, "pods", body["metadata"]["name"])
    soon(lambda: condition(api.get(path).json, "PodScheduled").get("reason") == "Unschedulable")
    c = condition(api.get(path).json, "PodScheduled")
    return c.get("message", c)


def events(api, ns, name, reason):
    return soon(lambda: [e["message"] for e in api.get(core(ns, "events") + "?fieldSelector=involvedObject.name%3D" + name)["items"]
                         if e["reason"] == reason])


def resources(api, ns):
    eq("a pod is placed", place(api, ns, pod("plain", {"cpu": "1"})) in NODES, True)
    p = soon(lambda: (lambda p: p if condition(p, "PodScheduled").get("status") == "True" else None)(
        api.get(core(ns, "pods", "plain")).json))
    check("… and says so", p, api.get(core(ns, "pods", "plain")))
    eq("… by an event", events(api, ns, "plain", "Scheduled"), ["Successfully assigned %s/plain to %s" % (ns, p["spec"]["nodeName"])])
    want = ("0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption victims found "
            "for incoming pod.")
    eq("too big", why_not(api, ns, pod("big", {"cpu": "1k"})), want)
    eq("… by an event", (events(api, ns, "big", "FailedScheduling") or [None])[0], want)
    check("an unknown resource", why_not(api, ns, pod("odd", {"example.com/odd": "3"})).startswith(
        "0/3 nodes are available: 3 Insufficient example.com/odd. preemption:"))
    api.patch("/api/v1/nodes/s-2/status", {"status": {"capacity": {"example.com/odd": "5"}, "allocatable": {"example.com/odd": "5"}}})
    eq("… until a node has it", soon(lambda: api.get(core(ns, "pods", "odd"))["spec.nodeName"]), "s-2")
    api.post("/apis/node.k8s.io/v1/runtimeclasses", {"metadata": {"name": "heavy"}, "handler": "heavy",
                                                     "overhead": {"podFixed": {"example.com/odd": "2", "cpu": "1m"}}})
    heavy = pod("heavy", {"example.com/odd": "1"}, runtimeClassName="heavy")
    check("a runtime's overhead counts", "Insufficient example.com/odd" in why_not(api, ns, heavy),
          api.get(core(ns, "pods", "heavy")))
    api.delete(core(ns, "pods", "odd"))
    eq("… and fits when there is room", soon(lambda: api.get(core(ns, "pods", "heavy"))["spec.nodeName"]), "s-2")
    api.post(core(ns, "pods"), pod("theirs", schedulerName="theirs"))
    api.post(core(ns, "pods"), pod("gated", schedulingGates=[{"name": "example.com/a"}, {"name": "example.com/b"}]))
    path = core(ns, "pods", "gated")
    c = condition(api.get(path).json, "PodScheduled")
    eq("a gated pod says so", (c.get("status"), c.get("reason"), c.get("message")),
       ("False", "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates"))
    time.sleep(0.3)
    eq("… and waits", (api.get(path)["spec.nodeName"], api.get(core(ns, "pods", "theirs"))["spec.nodeName"]), (None, None))
    status("a gate can't be added", api.patch(path, {"spec": {"schedulingGates": [{"name": "example.com/c"}]}}), 422)
    api.patch(path, {"spec": {"schedulingGates": []}})
    check("… until the gates are open", soon(lambda: api.get(path)["spec.nodeName"]), api.get(path))


def predicates(api, ns):
    def port(name, **p):
        b = pod(name, affinity=on("s-3"))
        b["spec"]["containers"][0]["ports"] = [dict({"containerPort": 80, "hostPort": 54321}, **p)]
        return b
    eq("a host port", place(api, ns, port("port-a", hostIP="127.0.0.1")), "s-3")
    eq("… at another address", place(api, ns, port("port-b", hostIP="127.0.0.2")), "s-3")
    eq("… of another protocol", place(api, ns, port("port-c", hostIP="127.0.0.2", protocol="UDP")), "s-3")
    check("… once", "1 node(s) didn't have free ports for the requested pod ports" in why_not(
        api, ns, port("port-d", hostIP="0.0.0.0")), api.get(core(ns, "pods", "port-d")))
    check("no node by that label", why_not(api, ns, pod("label", nodeSelector={"where": "here"})).startswith(
        "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. preemption: 0/3 nodes are available: "
        "3 Preemption is not helpful for scheduling."), api.get(core(ns, "pods", "label")))
    api.patch("/api/v1/nodes/s-1", {"metadata": {"labels": {"where": "here"}}})
    eq("… until one has it", soon(lambda: api.get(core(ns, "pods", "label"))["spec.nodeName"]), "s-1")
    api.post(core(ns, "pods"), pod("direct", nodeName="s-1", nodeSelector={"where": "nowhere"}))
    eq("who names a node is there", api.get(core(ns, "pods", "direct"))["spec.nodeName"], "s-1")


def between_pods(api, ns):
    near = lambda kind, labels, key, **more: {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [dict(
        {"labelSelector": {"matchLabels": labels}, "topologyKey": key}, **more)]}}
    host = "kubernetes.io/hostname"
    first = place(api, ns, pod("anchor", labels={"a": "anchor"}))
    eq("near another", place(api, ns, pod("near", affinity=near("podAffinity", {"a": "anchor"}, host))), first)
    others = {place(api, ns, pod("away-%d" % i, labels={"a": "away"}, affinity=near("podAntiAffinity", {"a": "away"}, host)))
              for i in range(3)}
    eq("away from each other", others, set(NODES))
    check("… is full", "3 node(s) didn't match pod anti-affinity rules" in why_not(
        api, ns, pod("away-3", labels={"a": "away"}, affinity=near("podAntiAffinity", {"a": "away"}, host))),
        api.get(core(ns, "pods", "away-3")))
    check("… for others as well", "3 node(s) didn't satisfy existing pods anti-affinity rules" in why_not(
        api, ns, pod("away-4", labels={"a": "away"})), api.get(core(ns, "pods", "away-4")))
    team = in_namespace(api, ns + "-team")
    api.patch("/api/v1/namespaces/" + team, {"metadata": {"labels": {"team": "red"}}})
    there = place(api, team, pod("red", labels={"a": "red"}, affinity=on("s-2")))
    eq("near one of another namespace", place(api, ns, pod("red-too", affinity=near(
        "podAffinity", {"a": "red"}, host, namespaceSelector={"matchLabels": {"team": "red"}}))), there)
    keys = near("podAntiAffinity", {"a": "keyed"}, host, matchLabelKeys=["version"])
    eq("only of one's own version", [place(api, ns, pod("keyed-%s" % v, labels={"a": "keyed", "version": v}, affinity=dict(
        keys, **on("s-1")))) for v in ("1", "2")], ["s-1", "s-1"])
    for i, z in enumerate(("x", "y", "y")):
        api.patch("/api/v1/nodes/" + NODES[i], {"metadata": {"labels": {"zone": z}}})
    spread = [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {
        "matchLabels": {"a": "spread"}}}]
    zones = [{"s-1": "x", "s-2": "y", "s-3": "y"}.get(place(api, ns, pod(
        "spread-%d" % i, labels={"a": "spread"}, topologySpreadConstraints=spread))) for i in range(4)]
    eq("spread over zones", sorted(zones), ["x", "x", "y", "y"])


def preempt(api, ns):
    for n in NODES[:2]:
        api.patch("/api/v1/nodes/%s/status" % n, {"status": {"capacity": {"example.com/s": "3"}, "allocatable": {"example.com/s": "3"}}})
    for name, value in (("low", 1), ("medium", 100), ("high", 1000)):
        api.post("/apis/scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": "e2e-" + name}, "value": value})
    api.post("/apis/scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": "e2e-never"}, "value": 2000, "preemptionPolicy": "Never"})
    room = {"example.com/s": "2"}
    api.post(core(ns, "pods"), pod("low", room, fake="linger", priorityClassName="e2e-low", affinity=on("s-1")))
    api.post(core(ns, "pods"), pod("medium", room, priorityClassName="e2e-medium", affinity=on("s-2")))
    low, medium = core(ns, "pods", "low"), core(ns, "pods", "medium")
    soon(lambda: api.get(low)["status.phase"] == api.get(medium)["status.phase"] == "Running")
    eq("a class gives the priority", (api.get(low)["spec.priority"], api.get(low)["spec.preemptionPolicy"]), (1, "PreemptLowerPriority"))
    check("who never preempts says so", "preemption: not eligible due to preemptionPolicy=Never." in why_not(
        api, ns, pod("never", room, priorityClassName="e2e-never")), api.get(core(ns, "pods", "never")))
    api.delete(core(ns, "pods", "never"))
    api.post(core(ns, "pods"), pod("high", room, priorityClassName="e2e-high"))
    high = core(ns, "pods", "high")
    check("the least important goes", soon(lambda: api.get(low)["metadata.deletionTimestamp"]), api.get(high))
    c = condition(api.get(low).json, "DisruptionTarget")
    eq("… and is told why", (c.get("status"), c.get("reason")), ("True", "PreemptionByScheduler"))
    check("… by an event, too", "Preempted by pod %s on node s-1" % api.get(high)["metadata.uid"] in (
        events(api, ns, "low", "Preempted") or []))
    check("the room is kept", soon(lambda: api.get(high)["status.nominatedNodeName"] == "s-1"), api.get(high))
    check("… from those less important", "Insufficient example.com/s" in why_not(
        api, ns, pod("late", room, priorityClassName="e2e-medium", preemptionPolicy="PreemptLowerPriority")))
    api.delete(low, {"gracePeriodSeconds": 0})
    eq("… and taken", soon(lambda: api.get(high)["spec.nodeName"]), "s-1")
    eq("the other stays", api.get(medium)["metadata.deletionTimestamp"], None)
    critical = pod("critical-pod", room, priorityClassName="system-cluster-critical")
    eq("a critical one takes the next", place(api, "kube-system", critical), "s-2")
    check("… which went", api.get(medium).code == 404 and api.get(high).code == 200, api.get(medium))
    api.delete(core("kube-system", "pods", "critical-pod"), {"gracePeriodSeconds": 0})


def preempt_many(api, ns):
    for n in NODES[:2]:
        api.patch("/api/v1/nodes/%s/status" % n, {"status": {"capacity": {"example.com/t": "10"}, "allocatable": {"example.com/t": "10"}}})
    for name, value in (("lesser", 2), ("greater", 2000)):
        api.post("/apis/scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": "e2e-" + name}, "value": value})
    alive = lambda what: [p for p in api.get(core(ns, "pods") + "?labelSelector=many%3D" + what)["items"]
                          if dig(p, "status.phase") == "Running" and not p["metadata"].get("deletionTimestamp")]
    make = lambda what, n: [api.post(core(ns, "pods"), pod("%s-%d" % (what, i), {"example.com/t": "1"}, {"many": what},
                                                          priorityClassName="e2e-" + what)) for i in range(n)]
    make("lesser", 20)
    check("many are placed", soon(lambda: len(alive("lesser")) == 20), len(alive("lesser")))
    make("greater", 12)
    check("many make way", soon(lambda: len(alive("greater")) == 12, 20), len(alive("greater")))
    eq("… and not one too many", len(alive("lesser")), 8)


def evicted(api, ns):
    def stay(name, **t):
        b = pod(name, affinity=on("s-3"), tolerations=[dict({"key": "e2e/evict", "operator": "Equal", "value": "yes",
                                                            "effect": "NoExecute"}, **t)] if t is not None else [])
        return b
    api.post(core(ns, "pods"), pod("goes", affinity=on("s-3"), fake="linger"))
    api.post(core(ns, "pods"), stay("stays"))
    api.post(core(ns, "pods"), stay("later", tolerationSeconds=2))
    api.post(core(ns, "pods"), stay("much-later", tolerationSeconds=600))
    for name in ("goes", "stays", "later", "much-later"):
        soon(lambda: api.get(core(ns, "pods", name))["status.phase"] == "Running")
    began = time.monotonic()
    api.patch("/api/v1/nodes/s-3", {"spec": {"taints": [{"key": "e2e/evict", "value": "yes", "effect": "NoExecute"}]}}, STRATEGIC)
    check("a NoExecute taint evicts", soon(lambda: api.get(core(ns, "pods", "goes"))["metadata.deletionTimestamp"]))
    eq("… and says why", condition(api.get(core(ns, "pods", "goes")).json, "DisruptionTarget").get("reason"), "DeletionByTaintManager")
    api.delete(core(ns, "pods", "goes"), {"gracePeriodSeconds": 0})
    check("… later who tolerates it for a while", soon(lambda: api.get(core(ns, "pods", "later")).code == 404))
    check("… and not sooner", time.monotonic() - began > 1, time.monotonic() - began)
    eq("… nobody who tolerates it", [api.get(core(ns, "pods", n)).code for n in ("stays", "much-later")], [200, 200])
    api.patch("/api/v1/nodes/s-3", {"spec": {"taints": None}})
    for i in range(20):  # until we were quick enough for the taint to go in time
        spared = core(ns, "pods", "spared-%d" % i)
        api.post(core(ns, "pods"), stay("spared-%d" % i, tolerationSeconds=2, value="no"))
        soon(lambda: api.get(spared)["status.phase"] == "Running")
        began = time.monotonic()
        api.patch("/api/v1/nodes/s-3", {"spec": {"taints": [{"key": "e2e/evict", "value": "no", "effect": "NoExecute"}]}}, STRATEGIC)
        time.sleep(0.7)
        api.patch("/api/v1/nodes/s-3", {"spec": {"taints": None}})
        if time.monotonic() - began < 1.2:
            break
    time.sleep(2)
    eq("a taint that goes in time takes nobody along", api.get(spared).code, 200)
    # The scheduler has seen that it is gone.
    eq("… and lets others in", place(api, ns, pod("let-in", affinity=on("s-3"))), "s-3")


def limits(api, ns):
    ns = in_namespace(api, ns + "-limits")
    api.post(core(ns, "limitranges"), {"metadata": {"name": "l"}, "spec": {"limits": [{
        "type": "Container", "min": {"cpu": "50m"}, "max": {"cpu": "500m"}, "default": {"cpu": "400m", "memory": "500Mi"},
        "defaultRequest": {"cpu": "100m", "memory": "200Mi"}}]}})
    eq("a range gives defaults", soon(lambda: api.post(core(ns, "pods"), pod("d"))["spec.containers.0.resources"]),
       {"limits": {"cpu": "400m", "memory": "500Mi"}, "requests": {"cpu": "100m", "memory": "200Mi"}})
    for cpu, what in (("10m", "minimum cpu usage per Container is 50m, but request is 10m"),
                      ("1", "maximum cpu usage per Container is 500m, but limit is 1")):
        status("… and refuses " + cpu, api.post(core(ns, "pods"), pod("x", {"cpu": cpu})), 403, "Forbidden", what)


def groups(api, ns):
    api.delete("/api/v1/nodes")
    Nodes(api, NODES, room={"cpu": "8"})
    in_namespace(api, ns)
    untainted = threading.Event()

    def after(f):
        def wait(*args):
            untainted.wait(600)
            f(*args)
        return wait

    def first(*args):
        try:
            evicted(*args)
        finally:
            untainted.set()
    return [(first, (api, ns)), (limits, (api, ns))] + [(after(f), (api, ns)) for f in (
        preempt, preempt_many, resources, predicates, between_pods)]
