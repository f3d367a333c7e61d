"""Random changes to objects, driven by what both servers' OpenAPI documents know of their fields."""
import copy
import json

TEXTS = ["a", "x-1", "Abc", "a.b", "", "a/b", "-x", "x" * 64, "x" * 254, "a_b", "1", " ", "ä", "app", "kubernetes.io/x", "a" * 16]
BY_NAME = {
    "protocol": ["TCP", "UDP", "SCTP", "tcp", ""], "imagePullPolicy": ["Always", "Never", "IfNotPresent", "always"],
    "restartPolicy": ["Always", "Never", "OnFailure", "x"], "dnsPolicy": ["ClusterFirst", "Default", "None", "ClusterFirstWithHostNet", "x"],
    "type": ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName", "RollingUpdate", "Recreate", "OnDelete", "Pod", "Container",
             "RuntimeDefault", "Localhost", "Unconfined", "Directory", "Socket", "Normal", "Warning", "Opaque", "InternalIP", "x"],
    "operator": ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt", "Equal", "x", ""], "path": ["/a", "a", "../a", "a/..", "", "/", "/a:b"],
    "effect": ["NoSchedule", "NoExecute", "PreferNoSchedule", "x", ""], "scheme": ["HTTP", "HTTPS", "http"],
    "mountPath": ["/a", "a", "/e", "", "/a:b"], "subPath": ["a", "../a", "/a", ""], "mountPropagation": ["None", "HostToContainer", "Bidirectional", "x"],
    "sessionAffinity": ["None", "ClientIP", "x"], "externalTrafficPolicy": ["Cluster", "Local", "x", ""], "clusterIP": ["None", "", "10.96.200.9", "1.2.3.4", "x"],
    "ip": ["1.2.3.4", "127.0.0.1", "::1", "x", "169.254.1.1", "224.0.0.1", "0.0.0.0", "2001:db8::1"], "cidr": ["10.0.0.0/8", "10.0.0.0", "::/0", "x", "1.2.3.4/33"],
    "topologyKey": ["zone", "a/b/c", "", "kubernetes.io/hostname"], "whenUnsatisfiable": ["DoNotSchedule", "ScheduleAnyway", "x"],
    "pathType": ["Exact", "Prefix", "ImplementationSpecific", "x", ""], "host": ["a.b", "*.a.b", "*", "A", "1.2.3.4", "h"], "hostname": ["a", "A", "a.b", ""],
    "namespace": ["@ns", "other", ""], "name": ["a", "b", "c", "d", "A", "a.b", "", "x" * 64, "web", "x" * 254, "a_b"], "volumeMode": ["Block", "Filesystem", "x"],
    "persistentVolumeReclaimPolicy": ["Retain", "Delete", "Recycle", "x"], "reclaimPolicy": ["Retain", "Delete", "Recycle", "x"],
    "volumeBindingMode": ["Immediate", "WaitForFirstConsumer", "x"], "podManagementPolicy": ["Parallel", "OrderedReady", "x"],
    "terminationMessagePolicy": ["File", "FallbackToLogsOnError", "x"], "procMount": ["Default", "Unmasked", "x"], "medium": ["", "Memory", "HugePages", "HugePages-2Mi", "x"],
    "failurePolicy": ["Ignore", "Fail", "x"], "matchPolicy": ["Exact", "Equivalent", "x"], "sideEffects": ["None", "Some", "NoneOnDryRun", "Unknown"],
    "scope": ["*", "Cluster", "Namespaced", "x", "BestEffort"], "reinvocationPolicy": ["Never", "IfNeeded", "x"], "preemptionPolicy": ["Never", "PreemptLowerPriority", "x"],
    "fsGroupPolicy": ["None", "File", "ReadWriteOnceWithFSType", "x"], "fieldPath": ["metadata.name", "metadata.labels", "metadata.labels['a']", "status.podIP", "x", "spec.nodeName", "status.hostIP"],
    "resource": ["limits.cpu", "requests.memory", "limits.ephemeral-storage", "x"], "apiVersion": ["v1", "x/y/z", "apps/v1"], "image": ["i", "", " i", "i "],
    "key": ["k", "a/b", "a/b/c", "", "..", "metadata.name", "A"], "uid": ["11111111-2222-3333-4444-555555555555", ""], "phase": ["Active", "Running", "Bound", "Terminating"],
    "status": ["True", "False", "Unknown", "x"], "kind": ["Pod", "User", "Group", "ServiceAccount", "x", ""], "apiGroup": ["", "rbac.authorization.k8s.io", "x"],
    "priorityClassName": ["system-node-critical", "nope", ""], "storageClassName": ["c", "", "A B"], "signerName": ["example.com/s", "x", "kubernetes.io/legacy-unknown"],
    "seccompProfile": [], "fsGroupChangePolicy": ["Always", "OnRootMismatch", "x"], "targetPort": [80, "web", "a_b", 0, 70000, ""], "caBundle": ["", "Cg==", "YQ==", "!"],
    "nodeName": ["n1", "A", ""], "appProtocol": ["http", "a b", "example.com/x"], "timeZone": [], "ipFamilyPolicy": ["SingleStack", "PreferDualStack", "x"],
    "finalizers": ["example.com/f", "x", "kubernetes", "a b/c"], "verbs": ["get", "*", ""], "accessModes": ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "x"],
    "policyTypes": ["Ingress", "Egress", "x"], "operations": ["CREATE", "*", "x", "CONNECT"], "usages": ["client auth", "digital signature", "x"],
    "maxUnavailable": [0, 1, -1, "0%", "25%", "101%", "x", "-5%"], "maxSurge": [0, 1, -1, "0%", "25%", "101%", "x"], "completionMode": [], "scopes": ["BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "PriorityClass", "x"],
    "add": ["NET_ADMIN", ""], "drop": ["ALL"], "supplementalGroups": [], "nonResourceURLs": ["/a", "*", "a"], "volumeLifecycleModes": ["Persistent", "Ephemeral", "x"],
    "externalName": ["a.b", "A.b", "a_b", "", "1.2.3.4", "a.b."], "loadBalancerIP": ["1.2.3.4", "x"], "addressType": ["IPv4"], "request": ["@csr", "YQ=="], "allowedTopologies": [],
    "conditionType": ["a", "a b", ""], "metadata.name": ["a"], "serviceName": ["s", "", "A"], "subdomain": ["s", "A", "a.b"], "schedulerName": ["default-scheduler", "x", ""],
    "startTime": ["2020-01-01T00:00:00Z"], "provisioner": ["a", "a b", "", "A/b"], "deletionTimestamp": ["2020-01-01T00:00:00Z"], "selfLink": ["/x"],
}
QUANTITIES = ["1", "100m", "1Gi", "0", "-1", "1.5", "0.0001", "1e3", "1E", "12Ei", "abc", "1 ", "", "1gi", ".5", "5.", "1K", "0.1Gi", "100000000000000000000", "+1", "1n", "1u", 1, 2.5, 1e10]
NUMBERS = [0, 1, 2, 3, 5, 80, 100, -1, -5, 101, 443, 30000, 65535, 65536, 2 ** 31 - 1, 2 ** 31, 10, 7, 1000, 4294967296]
KEYS = ["a", "app", "example.com/k", "A b", "x/y/z", "", "-", "x" * 64, "cpu", "memory", "requests.cpu", "limits.memory", "example.com/gpu", "storage",
        "ephemeral-storage", "hugepages-2Mi", "pods", "count/pods", "..", "a" * 254, "services.nodeports", "kubernetes.io/x", "k.k/" + "v" * 64]


class Schemas:
    """Two OpenAPI documents, walked together: only what both know is ever sent."""

    def __init__(self, first, second):
        self.docs = (first["definitions"], second["definitions"])
        self.roots = []
        for d in self.docs:
            self.roots.append({(g["group"], g["version"], g["kind"]): n for n, s in d.items()
                               for g in s.get("x-kubernetes-group-version-kind", []) if "properties" in s})

    def root(self, kind):
        g, _, v = kind.api.rpartition("/")
        names = [r.get((g, v, kind.kind)) for r in self.roots]
        return tuple(self.docs[i].get(n) for i, n in enumerate(names)) if all(names) else None

    def resolve(self, pair):
        out = []
        for d, s in zip(self.docs, pair):
            while s and "$ref" in s:
                name = s["$ref"].rpartition("/")[2]
                s = dict(d[name], _name=name)
            out.append(s or {})
        return tuple(out)

    def members(self, pair):
        a, b = pair
        pb = b.get("properties", {})
        return {n: (s, pb[n]) for n, s in a.get("properties", {}).items() if n in pb}

    def below(self, pair, key):
        """The schema pair of a member or item; None where it isn't known."""
        pair = self.resolve(pair)
        if isinstance(key, int):
            return tuple(s.get("items", {}) for s in pair) if "items" in pair[0] else None
        if "properties" in pair[0]:
            return self.members(pair).get(key)
        return tuple(s.get("additionalProperties", {}) for s in pair) if "additionalProperties" in pair[0] else None


def value(rng, schemas, pair, name, depth=0):
    """A plausible value of a field, valid or nearly so."""
    pair = schemas.resolve(pair)
    s, kind = pair[0], pair[0].get("_name", "")
    if kind.endswith("Quantity"):
        return rng.choice(QUANTITIES[:6] if rng.random() < .6 else QUANTITIES)
    if kind.endswith("IntOrString"):
        return rng.choice(BY_NAME.get(name) or [0, 1, 80, -1, "25%", "web", "x y", ""])
    if kind.endswith(".Time") or kind.endswith(".MicroTime"):
        return rng.choice(["2020-01-01T00:00:00Z", "2020-01-01T00:00:00.123456Z", "2020-01-01T02:00:00+02:00", "x", "2020-01-01"])
    if "properties" in s:
        members = schemas.members(pair)
        out = {}
        for n in s.get("required", []):
            if n in members and rng.random() < .95:
                out[n] = value(rng, schemas, members[n], n, depth + 1)
        extra = [n for n in members if n not in out and depth < 5]
        for n in rng.sample(extra, min(len(extra), rng.choice([0, 1, 1, 2]) if depth else rng.choice([1, 2]))):
            out[n] = value(rng, schemas, members[n], n, depth + 1)
        return out
    t = s.get("type")
    if t == "array":
        return [value(rng, schemas, tuple(x.get("items", {}) for x in pair), name, depth + 1) for _ in range(rng.choice([0, 1, 1, 1, 2]))]
    if t == "object" or "additionalProperties" in s:
        sub = tuple(x.get("additionalProperties", {}) for x in pair)
        return {rng.choice(KEYS): value(rng, schemas, sub, name, depth + 1) for _ in range(rng.choice([0, 1, 1, 2]))}
    if t == "integer":
        return rng.choice(NUMBERS)
    if t == "boolean":
        return rng.random() < .5
    if t == "number":
        return rng.choice([0, 1.5, -1])
    if s.get("format") == "byte":
        return rng.choice(["YWJj", "", "!", "YWJ"])
    return rng.choice(BY_NAME.get(name) or TEXTS)


def places(v, pair, schemas, path=(), out=None):
    """Every container of a value with its schema: (path, value, schema pair)."""
    out = [] if out is None else out
    if isinstance(v, dict):
        out.append((path, v, pair))
        for k, x in v.items():
            sub = pair and schemas.below(pair, k)
            places(x, sub, schemas, path + (k,), out)
    elif isinstance(v, list):
        out.append((path, v, pair))
        for i, x in enumerate(v):
            places(x, pair and schemas.below(pair, i), schemas, path + (i,), out)
    return out


FROZEN = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace"), ("metadata", "resourceVersion"), ("metadata", "uid")}


def edit(rng, schemas, kind, obj, odd=.12):
    """One random edit of obj as (path, action, value); None if there is nothing to do."""
    root = schemas.root(kind)
    spots = [p for p in places(obj, root, schemas) if "managedFields" not in p[0]]
    deep = [p for p in spots if p[0][:1] != ("metadata",)]
    path, v, pair = rng.choice(deep if deep and rng.random() < .8 else spots)
    r = rng.random()
    if isinstance(v, list):
        if v and r < .3:
            return path + (rng.randrange(len(v)),), "remove", None
        if v and r < .4:
            return path, "append", copy.deepcopy(rng.choice(v))
        if v and r < .45:
            return path, "set", list(reversed(v))
        sub = pair and schemas.below(pair, 0)
        return (path, "append", value(rng, schemas, sub, path[-1] if path else "")) if sub else None
    if v and r < .3:
        at = path + (rng.choice(sorted(v)),)
        return None if at in FROZEN and rng.random() < .9 else (at, "remove", None)
    if r < .3 + odd:
        at = path + (rng.choice(sorted(v)) if v and rng.random() < .8 else "unknownField",)
        return None if at in FROZEN else (at, "set", rng.choice([None, 1, "x", True, [], {}, ["x"], {"a": 1}, -1.5, [None], ""]))
    pair = pair and schemas.resolve(pair)
    if not pair:
        return None
    if "properties" in pair[0]:
        members = schemas.members(pair)
        old = [n for n in v if n in members]
        n = rng.choice(sorted(old)) if old and rng.random() < .5 else rng.choice(sorted(members)) if members else None
        at = path + (n,)
        if n is None or n == "managedFields" or at in FROZEN and rng.random() < .95:
            return None
        return at, "set", value(rng, schemas, members[n], n)
    sub = schemas.below(pair, "x")
    if not sub:
        return None
    return path + (rng.choice(sorted(v) + KEYS[:4] if rng.random() < .7 else KEYS),), "set", value(rng, schemas, sub, path[-1] if path else "")


def carry_out(obj, e):
    """Apply an edit in place; quietly nothing where the path isn't there."""
    path, action, v = e
    at = obj
    for k in path[:-1] if action != "append" else path:
        try:
            at = at[k]
        except (KeyError, IndexError, TypeError):
            return
    v = copy.deepcopy(v)
    try:
        if action == "append":
            at.append(v)
        elif action == "set" and path:
            at[path[-1]] = v
        elif action == "remove":
            del at[path[-1]]
    except (KeyError, IndexError, TypeError, AttributeError):
        return


def text(rng, obj):
    """An object as JSON; now and then with a member twice."""
    t = json.dumps(obj)
    if rng.random() < .01:
        t = t.replace('"metadata": {', '"metadata": {"labels": {"twice": "x"}, ', 1)
    return t
