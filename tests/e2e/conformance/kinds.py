"""Every built-in kind's whole life: discovery, create, get, list, watch, patch, update, status, deletecollection."""
import base64
import subprocess

from client import APPLY, JSON_PATCH, check, dig, eq, soon, status, updated

POD = {"containers": [{"name": "c", "image": "i"}]}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": POD}
SELECTOR = {"matchLabels": {"a": "b"}}
JOB = {"template": {"spec": dict(POD, restartPolicy="Never")}, "suspend": True}
HOOKS = [{"name": "w.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
          "clientConfig": {"url": "https://127.0.0.1:1/"}, "rules": []}]
RULES = {"resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"],
                            "resources": ["daemonsets"]}]}
SUBJECT = [{"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"}]
ROLE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}

# plural, group/version, namespaced, body; the name is made unless the body says how.
KINDS = [
    ("configmaps", "v1", True, {"data": {"a": "b"}}),
    ("secrets", "v1", True, {"data": {"a": "Yg=="}}),
    ("pods", "v1", True, {"spec": POD}),
    ("podtemplates", "v1", True, {"template": TEMPLATE}),
    ("replicationcontrollers", "v1", True, {"spec": {"replicas": 0, "selector": {"a": "b"}, "template": TEMPLATE}}),
    ("services", "v1", True, {"spec": {"ports": [{"port": 80}]}}),
    ("serviceaccounts", "v1", True, {}),
    ("endpoints", "v1", True, {"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]}),
    ("limitranges", "v1", True, {"spec": {"limits": []}}),
    ("resourcequotas", "v1", True, {"spec": {"hard": {"pods": "1k"}}}),
    ("persistentvolumeclaims", "v1", True, {"spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "none",
                                                     "resources": {"requests": {"storage": "1Gi"}}}}),
    ("persistentvolumes", "v1", False, {"spec": {"capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"],
                                                 "hostPath": {"path": "/x"}, "storageClassName": "none"}}),
    ("nodes", "v1", False, {"spec": {"unschedulable": True}}),
    ("events", "v1", True, {"involvedObject": {"kind": "Pod", "name": "x", "namespace": "NS"}, "reason": "R"}),
    ("events", "events.k8s.io/v1", True, {"eventTime": "2026-01-02T03:04:05.000006Z", "action": "a", "reason": "r",
                                          "type": "Normal", "note": "n", "reportingController": "x/y",
                                          "reportingInstance": "i", "regarding": {"kind": "Pod", "namespace": "NS"}}),
    ("deployments", "apps/v1", True, {"spec": {"replicas": 0, "selector": SELECTOR, "template": TEMPLATE}}),
    ("replicasets", "apps/v1", True, {"spec": {"replicas": 0, "selector": SELECTOR, "template": TEMPLATE}}),
    ("statefulsets", "apps/v1", True, {"spec": {"replicas": 0, "serviceName": "x", "selector": SELECTOR,
                                                "template": TEMPLATE}}),
    ("daemonsets", "apps/v1", True, {"spec": {"selector": SELECTOR, "template": TEMPLATE}}),
    ("controllerrevisions", "apps/v1", True, {"revision": 1, "data": {"any": {"thing": 1}}}),
    ("jobs", "batch/v1", True, {"spec": JOB}),
    ("cronjobs", "batch/v1", True, {"spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": JOB}}}),
    ("horizontalpodautoscalers", "autoscaling/v2", True,
     {"spec": {"maxReplicas": 2, "scaleTargetRef": {"kind": "Deployment", "name": "x", "apiVersion": "apps/v1"}}}),
    ("horizontalpodautoscalers", "autoscaling/v1", True,
     {"spec": {"maxReplicas": 2, "scaleTargetRef": {"kind": "Deployment", "name": "x", "apiVersion": "apps/v1"}}}),
    ("poddisruptionbudgets", "policy/v1", True, {"spec": {"minAvailable": 1, "selector": SELECTOR}}),
    ("ingresses", "networking.k8s.io/v1", True,
     {"spec": {"defaultBackend": {"service": {"name": "x", "port": {"number": 80}}}}}),
    ("ingressclasses", "networking.k8s.io/v1", False, {"spec": {"controller": "example.com/x"}}),
    ("networkpolicies", "networking.k8s.io/v1", True, {"spec": {"podSelector": {}}}),
    ("endpointslices", "discovery.k8s.io/v1", True, {"addressType": "IPv4", "endpoints": []}),
    ("leases", "coordination.k8s.io/v1", True, {"spec": {"holderIdentity": "me"}}),
    ("roles", "rbac.authorization.k8s.io/v1", True, {"rules": []}),
    ("rolebindings", "rbac.authorization.k8s.io/v1", True, {"roleRef": ROLE, "subjects": SUBJECT}),
    ("clusterroles", "rbac.authorization.k8s.io/v1", False, {"rules": []}),
    ("clusterrolebindings", "rbac.authorization.k8s.io/v1", False, {"roleRef": ROLE, "subjects": SUBJECT}),
    ("priorityclasses", "scheduling.k8s.io/v1", False, {"value": 1}),
    ("runtimeclasses", "node.k8s.io/v1", False, {"handler": "x"}),
    ("storageclasses", "storage.k8s.io/v1", False, {"provisioner": "example.com/x"}),
    ("csidrivers", "storage.k8s.io/v1", False, {"spec": {}}),
    ("csinodes", "storage.k8s.io/v1", False, {"spec": {"drivers": []}}),
    ("csistoragecapacities", "storage.k8s.io/v1", True, {"storageClassName": "x"}),
    ("volumeattachments", "storage.k8s.io/v1", False,
     {"spec": {"attacher": "example.com", "nodeName": "x", "source": {"persistentVolumeName": "x"}}}),
    ("mutatingwebhookconfigurations", "admissionregistration.k8s.io/v1", False, {"webhooks": HOOKS}),
    ("validatingwebhookconfigurations", "admissionregistration.k8s.io/v1", False, {"webhooks": HOOKS}),
    ("validatingadmissionpolicies", "admissionregistration.k8s.io/v1", False,
     {"spec": {"matchConstraints": RULES, "validations": [{"expression": "true"}]}}),
    ("validatingadmissionpolicybindings", "admissionregistration.k8s.io/v1", False,
     {"spec": {"policyName": "none", "validationActions": ["Audit"]}}),
    ("certificatesigningrequests", "certificates.k8s.io/v1", False,
     {"spec": {"request": "CSR", "signerName": "example.com/e2e", "usages": ["client auth"]}}),
    ("flowschemas", "flowcontrol.apiserver.k8s.io/v1", False,
     {"spec": {"matchingPrecedence": 10000, "priorityLevelConfiguration": {"name": "global-default"},
               "distinguisherMethod": {"type": "ByUser"}}}),
    ("prioritylevelconfigurations", "flowcontrol.apiserver.k8s.io/v1", False,
     {"spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}}}}),
    ("apiservices", "apiregistration.k8s.io/v1", False, {"metadata": {"name": "v%d.e2e.example.com"}, "spec": {
        "group": "e2e.example.com", "version": "v%d", "groupPriorityMinimum": 100, "versionPriority": 10,
        "service": {"name": "none", "namespace": "default"}, "insecureSkipTLSVerify": True}}),
    ("customresourcedefinitions", "apiextensions.k8s.io/v1", False,
     {"metadata": {"name": "as%d.e2e.example.org"}, "spec": {
         "group": "e2e.example.org", "scope": "Cluster", "names": {"plural": "as%d", "kind": "A%d"}, "versions": [
             {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}]}}),
    ("ipaddresses", "networking.k8s.io/v1beta1", False,
     {"metadata": {"name": "10.1.2.%d"}, "spec": {"parentRef": {"resource": "services", "name": "x", "namespace": "d"}}}),
    ("servicecidrs", "networking.k8s.io/v1beta1", False, {"spec": {"cidrs": ["10.1.%d.0/24"]}}),
    ("volumeattributesclasses", "storage.k8s.io/v1beta1", False,
     {"driverName": "example.com", "parameters": {"a": "b"}}),
]

# Who answers a deletion with the object that was, not with a Status.
RETURNED = {"pods", "podtemplates", "services", "serviceaccounts", "resourcequotas", "persistentvolumes",
            "persistentvolumeclaims", "storageclasses", "csidrivers", "csinodes", "volumeattachments"}
# Whose status is written without the metadata.
STATUS_ALONE = {"flowschemas", "prioritylevelconfigurations", "validatingadmissionpolicies", "volumeattachments",
                "apiservices"}


def request():
    key = subprocess.run(["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null", "-subj",
                          "/CN=jane/O=devs"], capture_output=True, check=True)
    return base64.b64encode(key.stdout).decode()


CSR = []


def fill(value, i, ns):
    if isinstance(value, dict):
        return {k: fill(v, i, ns) for k, v in value.items()}
    if isinstance(value, list):
        return [fill(v, i, ns) for v in value]
    if value == "CSR":
        if not CSR:
            CSR.append(request())
        return CSR[0]
    if value == "NS":
        return ns
    return value.replace("%d", str(i)) if isinstance(value, str) else value


def discovered(api, plural, gv):
    if gv == "v1":
        root = "/api/v1"
    else:
        root, group, version = "/apis/" + gv, gv.split("/")[0], gv.split("/")[1]
        groups = {g["name"]: g for g in api.get("/apis")["groups"]}
        check(gv + " is in /apis", gv in [v["groupVersion"] for v in groups.get(group, {}).get("versions", [])], groups.keys())
        one = api.get("/apis/" + group)
        eq("/apis/%s is an APIGroup" % group, (one["kind"], one["apiVersion"], one["name"]), ("APIGroup", "v1", group))
        check("… with " + version, version in [v["version"] for v in one["versions"]], one)
    found = {r["name"]: r for r in api.get(root)["resources"]}
    check("%s is in %s" % (plural, root), plural in found, list(found))
    return root, found


def whole_life(api, ns, plural, gv, namespaced, body):
    root, found = discovered(api, plural, gv)
    resource, at = found[plural], "%s %s: " % (gv, plural)
    want = {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
    eq(at + "verbs", set(resource["verbs"]), want)
    tag = plural[:24] + "." + gv.replace("/", ".")
    label = "e2e=" + tag
    coll = root + ("/namespaces/" + ns if namespaced else "") + "/" + plural
    made = []
    base = {"apiVersion": gv, "kind": resource["kind"]}
    first = api.get(coll + "?labelSelector=" + label)
    eq(at + "an empty list", (first.code, first["kind"], first["apiVersion"], first["items"]),
       (200, resource["kind"] + "List", gv, []))
    watch = api.watch(coll, labelSelector=label, resourceVersion=first["metadata.resourceVersion"])
    for i in range(3):
        o = fill(dict(base, **body), i, ns)
        o["metadata"] = dict({"generateName": "e2e-" + plural[:8] + "-"}, **o.get("metadata", {}))
        o["metadata"]["labels"] = {"e2e": tag}
        if "name" in o["metadata"]:
            del o["metadata"]["generateName"]
        a = api.post(coll, o)
        if not check(at + "create", a.code == 201, a):
            return
        m = a["metadata"]
        check(at + "metadata of the new one", m.get("uid") and m.get("resourceVersion") and m.get("creationTimestamp")
              and m.get("managedFields") and m.get("namespace") == (ns if namespaced else None), m)
        made.append(m["name"])
    one = coll + "/" + made[0]
    objects(api, at, coll, one, made, label, resource, gv)
    subresources(api, at, one, plural, found, gv)
    watched(at, watch, made)
    ended(api, at, coll, made, label, plural, watch)


def objects(api, at, coll, one, made, label, resource, gv):
    got = api.get(one)
    eq(at + "get", (got.code, got["kind"], got["apiVersion"], got["metadata.name"]), (200, resource["kind"], gv, made[0]))
    lst = api.get(coll + "?labelSelector=" + label)
    eq(at + "list", sorted(i["metadata"]["name"] for i in lst["items"]), sorted(made))
    if "/namespaces/" in coll:
        everywhere = coll[: coll.index("/namespaces/")] + "/" + coll.rsplit("/", 1)[1]
        eq(at + "list everywhere", len(api.get(everywhere + "?labelSelector=" + label)["items"]), 3)
    by_name = api.get(coll + "?fieldSelector=metadata.name%3D" + made[1])
    eq(at + "field selector", [i["metadata"]["name"] for i in by_name["items"]], [made[1]])
    bad = api.get(coll + "?fieldSelector=no.such%3D1")
    status(at + "a field that can't be selected", bad, 400, "BadRequest", "field label not supported: no.such")
    chunk = api.get(coll + "?limit=2&labelSelector=" + label)
    check(at + "a chunk", len(chunk["items"]) == 2 and chunk["metadata.continue"], chunk)
    rest = api.get(coll + "?limit=2&labelSelector=%s&continue=%s" % (label, chunk["metadata.continue"]))
    check(at + "the rest", len(rest["items"] or []) == 1 and not rest["metadata.continue"], rest)
    dry = api.patch(one + "?dryRun=All", {"metadata": {"annotations": {"dry": "run"}}})
    check(at + "dry patch", dry.code == 200 and dry["metadata.annotations.dry"] == "run", dry)
    p = api.patch(one, {"metadata": {"annotations": {"patched": "true"}}})
    check(at + "patch", p.code == 200 and p["metadata.annotations.patched"] == "true"
          and p["metadata.annotations.dry"] is None, p)
    u = updated(api, one, lambda o: o["metadata"]["annotations"].update(updated="true"))
    o = api.get(one).json
    check(at + "update", u.code == 200 and u["metadata.annotations.updated"] == "true", u)
    o["metadata"]["resourceVersion"] = "1"
    status(at + "a stale update", api.put(one, o), 409, "Conflict", "the object has been modified; please apply your "
           "changes to the latest version and try again")
    name = {"apiVersion": gv, "kind": resource["kind"], "metadata": {"name": made[0]}}
    missing = api.get(coll + "/e2e-none")
    group = gv.split("/")[0] if "/" in gv else ""
    named = at.split()[1][:-1] + ("." + group if group else "")
    status(at + "none of that name", missing, 404, "NotFound", '%s "e2e-none" not found' % named)
    same = api.post(coll, dict(got.json, metadata={k: v for k, v in got["metadata"].items() if k in ("name", "labels")}))
    check(at + "the name is taken", same.code in (409, 422), same)
    if same.code == 409:
        status(at + "… AlreadyExists", same, 409, "AlreadyExists", '%s "%s" already exists' % ("events" if named.startswith("events.") else named, made[0]))
    t = api.get(coll + "?labelSelector=" + label, Accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    eq(at + "table", (t["kind"], t["apiVersion"], len(t["rows"] or [])), ("Table", "meta.k8s.io/v1", 3))
    eq(at + "… its rows have partial objects", dig(t.json, "rows.0.object.kind"), "PartialObjectMetadata")
    part = api.get(one, Accept="application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")
    eq(at + "metadata alone", (part["kind"], "spec" in part.json), ("PartialObjectMetadata", False))
    applied = api.patch(one + "?fieldManager=e2e&force=true", dict(name, metadata=dict(name["metadata"], annotations={
        "applied": "true"})), type=APPLY)
    entry = [m for m in applied["metadata.managedFields"] or [] if m["manager"] == "e2e"]
    check(at + "apply", applied.code == 200 and entry and entry[0]["operation"] == "Apply"
          and entry[0]["apiVersion"] == gv, applied)
    odd = api.get(one, Accept="application/vnd.example")
    status(at + "what can't be had", odd, 406, "NotAcceptable")


def subresources(api, at, one, plural, found, gv):
    if plural + "/status" not in found:
        return
    eq(at + "verbs of status", set(found[plural + "/status"]["verbs"]), {"get", "patch", "update"})
    got = api.get(one + "/status")
    check(at + "status is read", got.code == 200 and got["metadata.name"], got)
    p = api.patch(one + "/status", {"metadata": {"annotations": {"patchedstatus": "true"}}})
    want = None if plural in STATUS_ALONE else "true"
    check(at + "status is patched", p.code == 200 and p["metadata.annotations.patchedstatus"] == want, p)
    u = updated(api, one + "/status", lambda o: None, read=one)
    check(at + "status is updated", u.code == 200, u)


def watched(at, watch, made):
    seen = set()
    for _ in range(40):
        e = watch.next()
        if e is None or e["type"] == "MODIFIED" and dig(e, "object.metadata.annotations.applied"):
            break
        seen.add((e["type"], dig(e, "object.metadata.name")))
    check(at + "watch sees them added", {("ADDED", n) for n in made} <= seen, seen)
    check(at + "watch sees it patched", ("MODIFIED", made[0]) in seen, seen)


def ended(api, at, coll, made, label, plural, watch):
    one = api.delete(coll + "/" + made[2])
    if plural in RETURNED or one["metadata.deletionTimestamp"]:
        check(at + "delete answers with the object", one.code == 200 and one["kind"] != "Status", one)
    else:
        eq(at + "delete answers with a Status", (one.code, one["kind"], one["status"], one["details.name"]),
           (200, "Status", "Success", made[2]))
    gone = api.delete(coll + "?labelSelector=" + label, {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0})
    check(at + "deletecollection", gone.code == 200, gone)
    left = {"n": None}

    def empty():
        left["n"] = api.get(coll + "?labelSelector=" + label)
        for item in left["n"]["items"]:
            if item["metadata"].get("finalizers"):
                api.patch(coll + "/" + item["metadata"]["name"], [{"op": "remove", "path": "/metadata/finalizers"}], type=JSON_PATCH)
        return not left["n"]["items"]

    check(at + "nothing is left", soon(empty), left["n"])
    deleted = set()
    while len(deleted) < 3:
        e = watch.until("DELETED")
        if not e:
            break
        deleted.add(dig(e, "object.metadata.name"))
    eq(at + "watch sees them deleted", deleted, set(made))
    watch.close()


def groups(api, ns):
    for kind in KINDS:
        yield whole_life, (api, ns) + kind
