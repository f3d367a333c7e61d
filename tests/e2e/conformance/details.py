"""What pods and Services may say: each rule that Kubernetes' 1.32 refuses by, and what it takes in silence."""
from client import STRATEGIC, check, eq, status, updated

VM = {"name": "v", "mountPath": "/v"}
EMPTY = [{"name": "v", "emptyDir": {}}]
EXEC = {"exec": {"command": ["x"]}}


def core(ns, plural):
    return "/api/v1/namespaces/%s/%s" % (ns, plural)


def volume(**source):
    return [dict({"name": "v"}, **source)]


def spread(**more):
    return {"topologySpreadConstraints": [dict({"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "ScheduleAnyway"}, **more)]}


def context(**sc):
    return {"securityContext": sc}


# where the problem is, a part of what is said, the container's members, the pod's.
PODS = [
    ("ephemeralContainers", "cannot be set on create", {}, {"ephemeralContainers": [{"name": "e", "image": "i"}]}),
    ("containers[0].env[0].valueFrom.resourceFieldRef.resource", "Unsupported value",
     {"env": [{"name": "a", "valueFrom": {"resourceFieldRef": {"resource": "limits.x"}}}]}, {}),
    ("containers[0].env[0].valueFrom.resourceFieldRef.divisor", "1m and 1 are supported",
     {"env": [{"name": "a", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "2"}}}]}, {}),
    ("containers[0].envFrom[0].prefix", "printable ASCII", {"envFrom": [{"prefix": "a=", "configMapRef": {"name": "x"}}]}, {}),
    ("containers[0].volumeMounts[0].subPathExpr", "mutually exclusive",
     {"volumeMounts": [dict(VM, subPath="a", subPathExpr="b")]}, {"volumes": EMPTY}),
    ("containers[0].volumeMounts[0].subPathExpr", "must not contain '..'", {"volumeMounts": [dict(VM, subPathExpr="a/..")]}, {"volumes": EMPTY}),
    ("containers[0].volumeMounts[0].mountPropagation", "only to privileged",
     {"volumeMounts": [dict(VM, mountPropagation="Bidirectional")]}, {"volumes": EMPTY}),
    ("containers[0].volumeMounts[0].recursiveReadOnly", "when readOnly is true",
     {"volumeMounts": [dict(VM, recursiveReadOnly="Enabled")]}, {"volumes": EMPTY}),
    ("containers[0].volumeMounts[0].recursiveReadOnly", "Unsupported value",
     {"volumeMounts": [dict(VM, readOnly=True, recursiveReadOnly="X")]}, {"volumes": EMPTY}),
    ("containers[0].volumeMounts[0].recursiveReadOnly", "mountPropagation is None",
     {"volumeMounts": [dict(VM, readOnly=True, recursiveReadOnly="Enabled", mountPropagation="HostToContainer")]}, {"volumes": EMPTY}),
    ("volumes[0].emptyDir.sizeLimit", "valid resource quantity", {}, {"volumes": volume(emptyDir={"sizeLimit": "-1"})}),
    ("volumes[0].projected", "conflicting duplicate paths", {}, {"volumes": volume(projected={"sources": [
        {"secret": {"name": "a", "items": [{"key": "k", "path": "p"}]}},
        {"configMap": {"name": "b", "items": [{"key": "k", "path": "p"}]}}]})}),
    ("volumes[0].downwardAPI.items[0].fieldRef.fieldPath", "Unsupported value", {},
     {"volumes": volume(downwardAPI={"items": [{"path": "a", "fieldRef": {"fieldPath": "spec.nodeName"}}]})}),
    ("volumes[0].downwardAPI.items[0].resourceFieldRef.containerName", "Required", {},
     {"volumes": volume(downwardAPI={"items": [{"path": "a", "resourceFieldRef": {"resource": "limits.cpu"}}]})}),
    ("volumes[0]", "must specify a volume type", {}, {"volumes": volume(image={"reference": "x"})}),
    ("volumes[0].projected.sources[0]", "must specify a volume type", {},
     {"volumes": volume(projected={"sources": [{"clusterTrustBundle": {"name": "x", "path": "p"}}]})}),
    ("dnsConfig.nameservers[0]", "valid IP address", {}, {"dnsConfig": {"nameservers": ["x"]}}),
    ("dnsConfig.searches", "more than 32 search paths", {}, {"dnsConfig": {"searches": ["a%d.b" % i for i in range(33)]}}),
    ("dnsConfig.searches", "Invalid value", {},
     {"dnsConfig": {"searches": ["%s.%d%s" % ("b" * 60, i, "c" * 60) for i in range(20)]}}),
    ("dnsConfig.searches[0]", "RFC 1123 subdomain", {}, {"dnsConfig": {"searches": ["_a.b"]}}),
    ("dnsConfig.options[0]", "must not be empty", {}, {"dnsConfig": {"options": [{"value": "x"}]}}),
    ("hostAliases[0].ip", "valid IP address", {}, {"hostAliases": [{"ip": "x", "hostnames": ["a"]}]}),
    ("hostAliases[0].hostnames[0]", "RFC 1123 subdomain", {}, {"hostAliases": [{"ip": "1.1.1.1", "hostnames": ["a b"]}]}),
    ("affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].matchLabelKeys", "labelSelector is not set", {},
     {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "a", "matchLabelKeys": ["x"]}]}}}),
    ("topologySpreadConstraints[0].minDomains", "whenUnsatisfiable=DoNotSchedule", {}, spread(minDomains=2)),
    ("topologySpreadConstraints[0].matchLabelKeys[0]", "exists in both matchLabelKeys and labelSelector", {},
     spread(labelSelector={"matchLabels": {"x": "y"}}, matchLabelKeys=["x"])),
    ("readinessGates[0].conditionType", "name part must consist", {}, {"readinessGates": [{"conditionType": "a b"}]}),
    ("securityContext.windowsOptions", "for a linux pod", {}, dict({"os": {"name": "linux"}}, **context(windowsOptions={}))),
    ("containers[0].securityContext.privileged", "for a windows pod", context(privileged=True), {"os": {"name": "windows"}}),
    ("hostPID", "for a windows pod", {}, {"os": {"name": "windows"}, "hostPID": True}),
    ("securityContext.supplementalGroups[0]", "between 0 and 2147483647", {}, context(supplementalGroups=[-1])),
    ("securityContext.seccompProfile.localhostProfile", "must be set when seccomp type is Localhost", {},
     context(seccompProfile={"type": "Localhost"})),
    ("containers[0].securityContext.seccompProfile.localhostProfile", "can only be set",
     context(seccompProfile={"type": "RuntimeDefault", "localhostProfile": "x"}), {}),
    ("securityContext.seccompProfile.localhostProfile", "must not contain '..'", {},
     context(seccompProfile={"type": "Localhost", "localhostProfile": "../x"})),
    ("containers[0].securityContext.appArmorProfile.localhostProfile", "must be set when AppArmor type is Localhost",
     context(appArmorProfile={"type": "Localhost"}), {}),
    ("containers[0].securityContext", "`capabilities.Add` CAP_SYS_ADMIN",
     context(allowPrivilegeEscalation=False, capabilities={"add": ["CAP_SYS_ADMIN"]}), {}),
    ("securityContext.sysctls[0].name", "when 'hostNetwork' is true", {},
     dict({"hostNetwork": True}, **context(sysctls=[{"name": "net.ipv4.tcp_syncookies", "value": "1"}]))),
    ("securityContext.sysctls[0].name", "when 'hostIPC' is true", {},
     dict({"hostIPC": True}, **context(sysctls=[{"name": "kernel.msgmax", "value": "1"}]))),
    ("containers[0].livenessProbe.httpGet.httpHeaders", "a valid HTTP header",
     {"livenessProbe": {"httpGet": {"port": 1, "httpHeaders": [{"name": "a b", "value": "x"}]}}}, {}),
    ("containers[0].readinessProbe.terminationGracePeriodSeconds", "must not be set for readinessProbes",
     {"readinessProbe": dict(EXEC, terminationGracePeriodSeconds=2)}, {}),
    ("containers[0].lifecycle.preStop.sleep", "less than terminationGracePeriodSeconds (30)",
     {"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}}, {}),
    ("containers[0].lifecycle.preStop.sleep", "greater than 0", {"lifecycle": {"preStop": {"sleep": {"seconds": 0}}}}, {}),
    ("containers[0].resources.requests", "must be equal to e.x/a limit of 2",
     {"resources": {"requests": {"e.x/a": "1"}, "limits": {"e.x/a": "2"}}}, {}),
]


def pod(container, spec, name="x"):
    return {"metadata": {"name": name}, "spec": dict(spec, containers=[dict({"name": "c", "image": "i"}, **container)])}


def pods(api, ns):
    for where, why, container, spec in PODS:
        status("a pod's %s: %s" % (where, why), api.post(core(ns, "pods?dryRun=All"), pod(container, spec)), 422, "Invalid",
               "spec.%s: " % where)
        check("… in these words", why in (api.post(core(ns, "pods?dryRun=All"), pod(container, spec))["message"] or ""), why)
    template = pod({}, {"ephemeralContainers": [{"name": "e", "image": "i"}]})
    template["metadata"] = {"labels": {"a": "b"}}
    status("templates have no ephemeral containers",
           api.post("/apis/apps/v1/namespaces/%s/replicasets?dryRun=All" % ns,
                    {"metadata": {"name": "x"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}),
           422, "Invalid", "ephemeral containers not allowed in pod template")
    taken = api.post(core(ns, "pods?dryRun=All"), pod(
        {"volumeMounts": [dict(VM, subPath="a..b", readOnly=True, recursiveReadOnly="IfPossible")],
         "lifecycle": {"preStop": {"sleep": {"seconds": 30}}}, "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}]},
        {"volumes": EMPTY, "hostUsers": False, "resources": {"requests": {"cpu": "1"}},
         "dnsConfig": {"searches": ["a%d.b." % i for i in range(32)], "nameservers": ["fd00::1"]}}))
    status("what is right is taken", taken, 201)
    eq("what is switched off is dropped", [taken["spec." + f] for f in ("hostUsers", "resources", "containers.0.resizePolicy")], [None] * 3)


def ephemeral(api, ns):
    one = core(ns, "pods/looked-at")
    status("a pod to look at", api.post(core(ns, "pods"), pod({}, {"schedulingGates": [{"name": "a.b/c"}]}, "looked-at")), 201)

    def add(**more):
        return api.patch(one + "/ephemeralcontainers", {"spec": {"ephemeralContainers": [dict({"name": "d", "image": "i"}, **more)]}}, STRATEGIC)
    for field, value in (("ports", [{"containerPort": 1}]), ("resources", {"limits": {"cpu": "1"}}), ("livenessProbe", EXEC)):
        status("one for looking has no " + field, add(**{field: value}), 422, "Invalid",
               "spec.ephemeralContainers[0].%s: Forbidden: cannot be set for an Ephemeral Container" % field)
    status("it looks at one that is there", add(targetContainerName="none"), 422, "Invalid",
           'spec.ephemeralContainers[0].targetContainerName: Not found: "none"')
    status("one is added", add(targetContainerName="c"), 200)
    status("and another", updated(api, one + "/ephemeralcontainers", lambda o: o["spec"]["ephemeralContainers"].append(
        {"name": "e", "image": "i"}), one), 200)
    eq("both are there", [e["name"] for e in api.get(one)["spec.ephemeralContainers"]], ["d", "e"])
    api.delete(one, {"gracePeriodSeconds": 0})


# what is said of the spec, a part of the answer; None where it is taken.
SERVICES = [
    ({"ipFamilyPolicy": "RequireDualStack"}, 'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured'),
    ({"ipFamilies": ["IPv6"]}, 'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'),
    ({"ipFamilies": ["IPv4", "IPv6"]}, "when multiple IP families are specified"),
    ({"ipFamilyPolicy": "PreferDualStack"}, None),
    ({"type": "ExternalName", "externalName": "a.b", "ipFamilies": ["IPv4"]}, "spec.ipFamilies: Forbidden: may not be set for ExternalName"),
    ({"type": "LoadBalancer", "loadBalancerClass": "Internal X"}, "spec.loadBalancerClass: Invalid value"),
    ({"trafficDistribution": "X"}, 'spec.trafficDistribution: Unsupported value: "X": supported values: "PreferClose"'),
    ({"trafficDistribution": "PreferClose"}, None),
    ({"ports": [{"port": 80, "appProtocol": "a b"}]}, "spec.ports[0].appProtocol: Invalid value"),
    ({"ports": [{"port": 80, "appProtocol": "kubernetes.io/h2c"}]}, None),
]


def services(api, ns):
    at = core(ns, "services")
    for spec, why in SERVICES:
        a = api.post(at + "?dryRun=All", {"metadata": {"name": "x"}, "spec": dict({"ports": [{"port": 80}]}, **spec)})
        status("a service of %s: %s" % (spec, why or "taken"), a, 422 if why else 201, "Invalid" if why else None, why)
    body = {"metadata": {"name": "open"}, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}}
    s = api.post(at, body)
    eq("endpoints of others may have either family", (s["spec.ipFamilies"], s["spec.ipFamilyPolicy"]), (["IPv4", "IPv6"], "RequireDualStack"))
    s = api.patch(at + "/open", {"spec": {"selector": {"a": "b"}}})
    eq("pods have one", (s["spec.ipFamilies"], s["spec.ipFamilyPolicy"]), (["IPv4"], "SingleStack"))
    ports = [{"name": "t", "port": 8804, "protocol": "TCP"}, {"name": "u", "port": 8804, "protocol": "UDP"}]
    s = api.post(at, {"metadata": {"name": "mixed"}, "spec": {"type": "LoadBalancer", "loadBalancerClass": "e.x/none",
                                                              "externalTrafficPolicy": "Local", "ports": ports}})
    eq("two protocols share a node port", s["spec.ports.0.nodePort"], s["spec.ports.1.nodePort"])
    other = 30113 + (s["spec.healthCheckNodePort"] == 30113)
    status("the health check's port stays", api.patch(at + "/mixed", {"spec": {"healthCheckNodePort": other}}), 422, "Invalid",
           "spec.healthCheckNodePort: Invalid value: %d: field is immutable" % other)
    s = api.patch(at + "/mixed/status", {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.4"}]}}})
    eq("a balancer's address is one", s["status.loadBalancer.ingress.0.ipMode"], "VIP")
    for ingress, why in (({"ip": "203.0.113.4", "ipMode": "P"}, "ipMode: Unsupported value"), ({"ip": "x"}, "ip: Invalid value"),
                         ({"hostname": "a.b", "ipMode": "VIP"}, "ipMode: Forbidden"), ({"hostname": "1.2.3.4"}, "hostname: Invalid value")):
        status("not %s" % ingress, api.patch(at + "/mixed/status", {"status": {"loadBalancer": {"ingress": [ingress]}}}), 422, "Invalid",
               "status.loadBalancer.ingress[0]." + why)
    status("only balancers are reached so", api.patch(at + "/open/status", {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.4"}]}}}),
           422, "Invalid", "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is \"LoadBalancer\"")
    slice = {"metadata": {"name": "hinted"}, "addressType": "IPv4", "endpoints": [
        {"addresses": ["10.0.0.1"], "hints": {"forZones": [{"name": "z%d" % i} for i in range(9)]}}]}
    slices = "/apis/discovery.k8s.io/v1/namespaces/%s/endpointslices?dryRun=All" % ns
    status("at most eight zones", api.post(slices, slice), 422, "Invalid", "endpoints[0].hints.forZones")
    slice["endpoints"][0]["hints"]["forZones"] = [{"name": "z"}, {"name": "z"}]
    status("each once", api.post(slices, slice), 422, "Invalid", "endpoints[0].hints.forZones[1].name: Duplicate value")
    for name in ("open", "mixed"):
        api.delete(at + "/" + name)


def groups(api, ns):
    return [(pods, (api, ns)), (ephemeral, (api, ns)), (services, (api, ns))]
