"""Valid objects of each kind, as rich as both versions allow: what the random calls start from."""


class Kind:
    """Where a kind lives and what valid objects of it look like (without apiVersion, kind and name)."""

    def __init__(self, api, kind, plural, bases, namespaced=True, status=False, scale=False, weight=1):
        self.api, self.kind, self.plural, self.bases = api, kind, plural, bases
        self.namespaced, self.status, self.scale, self.weight = namespaced, status, scale, weight
        self.group = api.rpartition("/")[0]
        self.root = ("/apis/" if "/" in api else "/api/") + api

    def path(self, ns, name=None, sub=None):
        p = self.root + ("/namespaces/" + ns if self.namespaced and ns else "") + "/" + self.plural
        return p + ("/" + name if name else "") + ("/" + sub if sub else "")

    def object(self, rng, name):
        import copy
        o = copy.deepcopy(rng.choice(self.bases))
        o.update(apiVersion=self.api, kind=self.kind)
        o.setdefault("metadata", {})["name"] = name
        return o


UID = "11111111-2222-3333-4444-555555555555"
META = {"labels": {"app": "a", "tier": "x"}, "annotations": {"note": "some text", "example.com/k": ""}}


def tmpl(spec, labels=None):
    return {"metadata": {"labels": labels or {"app": "a"}}, "spec": spec}


SMALL = {"containers": [{"name": "c", "image": "img"}]}
PROBE = {"httpGet": {"path": "/z", "port": "web", "scheme": "HTTP", "httpHeaders": [{"name": "X-A", "value": "b"}]},
         "initialDelaySeconds": 3, "timeoutSeconds": 2, "periodSeconds": 5, "failureThreshold": 4}
RICH = {
    "hostname": "h", "subdomain": "s", "nodeSelector": {"disk": "ssd"}, "terminationGracePeriodSeconds": 5,
    "activeDeadlineSeconds": 100, "dnsPolicy": "ClusterFirst", "priorityClassName": "system-cluster-critical",
    "dnsConfig": {"nameservers": ["1.2.3.4"], "searches": ["a.b"], "options": [{"name": "ndots", "value": "2"}]},
    "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a.b"]}], "imagePullSecrets": [{"name": "s"}],
    "readinessGates": [{"conditionType": "example.com/x"}], "enableServiceLinks": False,
    "securityContext": {"runAsUser": 1000, "runAsGroup": 3, "fsGroup": 5, "supplementalGroups": [4, 5], "runAsNonRoot": True,
                        "sysctls": [{"name": "kernel.shm_rmid_forced", "value": "0"}],
                        "seccompProfile": {"type": "RuntimeDefault"}, "fsGroupChangePolicy": "Always"},
    "tolerations": [{"key": "k", "operator": "Equal", "value": "v", "effect": "NoExecute", "tolerationSeconds": 7},
                    {"operator": "Exists"}],
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
                                   "labelSelector": {"matchLabels": {"app": "a"}}}],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "k", "operator": "In", "values": ["a", "b"]},
                                      {"key": "n", "operator": "Gt", "values": ["3"]}]},
                {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]},
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 5, "preference": {"matchExpressions": [{"key": "k", "operator": "Exists"}]}}]},
        "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "zone", "labelSelector": {"matchExpressions": [
                {"key": "app", "operator": "NotIn", "values": ["a"]}]}, "namespaces": ["x"]}]},
        "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 100, "podAffinityTerm": {"topologyKey": "host", "labelSelector": {"matchLabels": {"a": "b"}}}}]}},
    "initContainers": [{"name": "i", "image": "img:1", "command": ["x"], "resources": {"requests": {"cpu": "1"}}}],
    "containers": [
        {"name": "c", "image": "img:latest", "command": ["a", "$(B)"], "args": ["x"], "workingDir": "/w",
         "ports": [{"name": "web", "containerPort": 80, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}],
         "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                 {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k", "optional": True}}},
                 {"name": "D", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                 {"name": "E", "valueFrom": {"resourceFieldRef": {"containerName": "c", "resource": "limits.cpu"}}}],
         "envFrom": [{"prefix": "P_", "configMapRef": {"name": "cm"}}, {"secretRef": {"name": "s", "optional": True}}],
         "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "0.5", "memory": "128Mi"}},
         "volumeMounts": [{"name": "e", "mountPath": "/e", "readOnly": True}, {"name": "cm", "mountPath": "/c", "subPath": "x"}],
         "livenessProbe": PROBE, "readinessProbe": {"tcpSocket": {"port": 80}}, "startupProbe": {"exec": {"command": ["x"]}},
         "lifecycle": {"preStop": {"exec": {"command": ["y"]}}, "postStart": {"httpGet": {"port": 80}}},
         "securityContext": {"capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}, "readOnlyRootFilesystem": True,
                             "allowPrivilegeEscalation": False, "runAsUser": 7},
         "terminationMessagePath": "/t", "terminationMessagePolicy": "FallbackToLogsOnError", "stdin": True, "tty": True},
        {"name": "d", "image": "img@sha256:" + "a" * 64, "imagePullPolicy": "Never"}],
    "volumes": [
        {"name": "e", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
        {"name": "cm", "configMap": {"name": "cm", "items": [{"key": "k", "path": "p", "mode": 256}], "defaultMode": 420}},
        {"name": "s", "secret": {"secretName": "s", "optional": True}},
        {"name": "d", "downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"name": "h", "hostPath": {"path": "/h", "type": "Directory"}},
        {"name": "p", "projected": {"sources": [
            {"configMap": {"name": "cm"}}, {"secret": {"name": "s", "items": [{"key": "k", "path": "z/p"}]}},
            {"serviceAccountToken": {"path": "tok", "expirationSeconds": 700, "audience": "a"}},
            {"downwardAPI": {"items": [{"path": "q", "resourceFieldRef": {"containerName": "c", "resource": "limits.memory"}}]}}]}},
        {"name": "v", "persistentVolumeClaim": {"claimName": "pvc", "readOnly": True}},
        {"name": "n", "nfs": {"server": "srv", "path": "/x"}},
        {"name": "cs", "csi": {"driver": "d.example.com", "volumeAttributes": {"a": "b"}}}]}
VOLUMES = {"containers": [{"name": "c", "image": "i"}], "volumes": [
    {"name": "a", "iscsi": {"targetPortal": "1.2.3.4", "iqn": "iqn.2001-04.com.example:x", "lun": 0}},
    {"name": "b", "rbd": {"monitors": ["m"], "image": "i"}},
    {"name": "c", "azureDisk": {"diskName": "d", "diskURI": "/subscriptions/x"}},
    {"name": "d", "scaleIO": {"gateway": "g", "system": "s", "secretRef": {"name": "x"}, "volumeName": "v"}},
    {"name": "e", "fc": {"targetWWNs": ["w"], "lun": 1}}, {"name": "f", "cephfs": {"monitors": ["m"]}},
    {"name": "g", "ephemeral": {"volumeClaimTemplate": {"spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}}}]}
HOST = {"hostNetwork": True, "hostPID": True, "restartPolicy": "Never", "nodeName": "n1", "containers": [
    {"name": "c", "image": "i", "ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": "1", "example.com/gpu": "2"}},
     "securityContext": {"privileged": True}}]}
PODS = [{"metadata": META, "spec": RICH}, {"spec": SMALL}, {"metadata": META, "spec": SMALL}, {"metadata": META, "spec": HOST},
        {"spec": VOLUMES}]
SEL = {"matchLabels": {"app": "a"}}
PVC = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
RULES = [{"apiGroups": ["", "apps"], "resources": ["pods", "deployments/scale"], "verbs": ["get", "list"]},
         {"apiGroups": ["*"], "resources": ["x"], "resourceNames": ["n"], "verbs": ["*"]}]
SUBJECTS = [{"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"}, {"kind": "Group", "name": "g"},
            {"kind": "ServiceAccount", "name": "s", "namespace": "d"}]
HOOK = {"name": "h.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Ignore",
        "timeoutSeconds": 5, "matchPolicy": "Exact", "clientConfig": {"service": {"namespace": "nowhere", "name": "s", "path": "/p"}},
        "namespaceSelector": {"matchLabels": {"never": "there"}}, "objectSelector": {"matchLabels": {"never": "there"}},
        "rules": [{"apiGroups": ["none.example.com"], "apiVersions": ["v1"], "resources": ["none"], "operations": ["CREATE"],
                   "scope": "Namespaced"}]}
CRSPEC = {"type": "object", "properties": {
    "spec": {"type": "object", "required": ["size"], "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 9, "default": 3}, "mode": {"type": "string", "enum": ["a", "b"]},
        "text": {"type": "string", "pattern": "^[a-z]*$", "maxLength": 5, "nullable": True},
        "any": {"x-kubernetes-int-or-string": True}, "raw": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "num": {"type": "number", "multipleOf": 0.5}, "when": {"type": "string", "format": "date-time"},
        "list": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "maxItems": 3,
                 "items": {"type": "object", "required": ["name"], "properties": {
                     "name": {"type": "string"}, "v": {"type": "integer", "default": 7}}}},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "map": {"type": "object", "additionalProperties": {"type": "integer"}}}},
    "status": {"type": "object", "properties": {"n": {"type": "integer"}, "phase": {"type": "string"}}}}}


def crd(group, kind, schema=CRSPEC):
    plural = kind.lower() + "s"
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": plural + "." + group}, "spec": {
                "group": group, "scope": "Namespaced", "names": {"plural": plural, "kind": kind, "shortNames": [kind[0].lower() + "x"]},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema},
                              "subresources": {"status": {}, "scale": {
                                  "specReplicasPath": ".spec.size", "statusReplicasPath": ".status.n"}},
                              "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
                                                           {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]}]}}


CSR_PEM = None  # made by run.py when openssl is there
KINDS = [
    Kind("v1", "Pod", "pods", PODS, status=True, weight=4),
    Kind("v1", "Service", "services", [
        {"metadata": META, "spec": {"selector": {"app": "a"}, "ports": [
            {"name": "a", "port": 80, "targetPort": "web"}, {"name": "b", "port": 53, "protocol": "UDP"}]}},
        {"spec": {"ports": [{"port": 80}]}}, {"spec": {"clusterIP": "None", "selector": {"a": "b"}}},
        {"spec": {"type": "NodePort", "ports": [{"port": 80, "targetPort": 8080}], "externalTrafficPolicy": "Local",
                  "sessionAffinity": "ClientIP", "publishNotReadyAddresses": True}},
        {"spec": {"type": "ExternalName", "externalName": "a.example.com"}},
        {"spec": {"type": "LoadBalancer", "ports": [{"port": 80, "appProtocol": "http"}], "loadBalancerSourceRanges": ["10.0.0.0/8"],
                  "externalIPs": ["1.2.3.4"], "sessionAffinity": "ClientIP",
                  "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 50}}}}], status=True, weight=3),
    Kind("v1", "ConfigMap", "configmaps", [{"metadata": META, "data": {"a": "b", "c.d": ""}, "binaryData": {"x": "AAEC"}},
                                           {"data": {"a": "1"}, "immutable": True}, {"metadata": META}], weight=3),
    Kind("v1", "Secret", "secrets", [
        {"metadata": META, "data": {"a": "YWJj"}, "stringData": {"b": "x"}}, {"type": "kubernetes.io/tls", "data": {
            "tls.crt": "YWJj", "tls.key": "YWJj"}}, {"type": "kubernetes.io/basic-auth", "stringData": {"username": "u"}},
        {"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "{\"auths\":{}}"}},
        {"type": "kubernetes.io/ssh-auth", "data": {"ssh-privatekey": "eA=="}}, {"immutable": True, "data": {"a": ""}}], weight=2),
    Kind("v1", "ServiceAccount", "serviceaccounts", [
        {"metadata": META, "secrets": [{"name": "x"}], "imagePullSecrets": [{"name": "y"}], "automountServiceAccountToken": False}]),
    Kind("v1", "Namespace", "namespaces", [{"metadata": META}, {"spec": {"finalizers": ["example.com/f"]}}], False, True),
    Kind("v1", "Node", "nodes", [
        {"metadata": META, "spec": {"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24"], "providerID": "p://x", "unschedulable": True,
                                    "taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}},
        {"status": {"capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"}, "allocatable": {"cpu": "3500m"}, "addresses": [
            {"type": "InternalIP", "address": "1.2.3.4"}]}}, {}], False, True),
    Kind("v1", "PersistentVolume", "persistentvolumes", [
        {"metadata": META, "spec": {"capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteOnce", "ReadOnlyMany"],
                                    "hostPath": {"path": "/tmp/x"}, "storageClassName": "c", "mountOptions": ["ro"]}},
        {"spec": {"capacity": {"storage": "1"}, "accessModes": ["ReadWriteMany"], "nfs": {"server": "s", "path": "/p"},
                  "persistentVolumeReclaimPolicy": "Delete", "claimRef": {"namespace": "d", "name": "c"}}},
        {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "local": {"path": "/mnt/x"},
                  "nodeAffinity": {"required": {"nodeSelectorTerms": [
                      {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n1"]}]}]}}}},
        {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "volumeMode": "Block",
                  "csi": {"driver": "d.example.com", "volumeHandle": "h", "fsType": "ext4"}}}], False, True, weight=2),
    Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims", [
        {"metadata": META, "spec": dict(PVC, storageClassName="c", volumeMode="Filesystem", selector=SEL)}, {"spec": PVC},
        {"spec": dict(PVC, volumeName="v", dataSource={"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"})}],
         status=True, weight=2),
    Kind("v1", "ReplicationController", "replicationcontrollers", [
        {"metadata": META, "spec": {"replicas": 2, "selector": {"app": "a"}, "template": tmpl(SMALL)}},
        {"spec": {"template": tmpl(RICH), "minReadySeconds": 3}}], status=True, scale=True),
    Kind("apps/v1", "ReplicaSet", "replicasets", [
        {"metadata": META, "spec": {"replicas": 2, "selector": SEL, "template": tmpl(SMALL), "minReadySeconds": 1}},
        {"spec": {"selector": SEL, "template": tmpl(RICH)}}], status=True, scale=True),
    Kind("apps/v1", "Deployment", "deployments", [
        {"metadata": META, "spec": {"replicas": 2, "selector": SEL, "template": tmpl(SMALL), "strategy": {
            "type": "RollingUpdate", "rollingUpdate": {"maxSurge": "30%", "maxUnavailable": 0}}, "revisionHistoryLimit": 2}},
        {"spec": {"selector": SEL, "template": tmpl(SMALL), "strategy": {"type": "Recreate"}, "paused": True,
                  "progressDeadlineSeconds": 7}}, {"spec": {"selector": SEL, "template": tmpl(RICH)}}], status=True, scale=True, weight=3),
    Kind("apps/v1", "StatefulSet", "statefulsets", [
        {"metadata": META, "spec": {"serviceName": "s", "replicas": 2, "selector": SEL, "template": tmpl(SMALL),
                                    "volumeClaimTemplates": [{"metadata": {"name": "v"}, "spec": PVC}],
                                    "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}}},
        {"spec": {"serviceName": "s", "selector": SEL, "template": tmpl(SMALL), "podManagementPolicy": "Parallel",
                  "updateStrategy": {"type": "OnDelete"}}}], status=True, scale=True, weight=2),
    Kind("apps/v1", "DaemonSet", "daemonsets", [
        {"metadata": META, "spec": {"selector": SEL, "template": tmpl(SMALL), "updateStrategy": {
            "type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}}, "minReadySeconds": 2}},
        {"spec": {"selector": SEL, "template": tmpl(SMALL), "updateStrategy": {"type": "OnDelete"}}}], status=True, weight=2),
    Kind("apps/v1", "ControllerRevision", "controllerrevisions", [
        {"metadata": META, "revision": 3, "data": {"spec": {"a": [1, 2, {"b": None}]}}}, {"revision": 0, "data": {"a": "b"}}]),
    Kind("batch/v1", "Job", "jobs", [
        {"metadata": META, "spec": {"parallelism": 2, "completions": 4, "backoffLimit": 1, "activeDeadlineSeconds": 5,
                                    "ttlSecondsAfterFinished": 9, "template": {"spec": dict(SMALL, restartPolicy="Never")}}},
        {"spec": {"template": {"spec": dict(SMALL, restartPolicy="OnFailure")}}},
        {"spec": {"manualSelector": True, "selector": SEL, "template": tmpl(dict(SMALL, restartPolicy="Never"))}}],
         status=True, weight=2),
    Kind("v1", "Endpoints", "endpoints", [
        {"metadata": META, "subsets": [{"addresses": [{"ip": "1.2.3.4", "hostname": "h", "nodeName": "n", "targetRef": {
            "kind": "Pod", "name": "p"}}, {"ip": "1.2.3.3"}], "notReadyAddresses": [{"ip": "4.3.2.1"}],
            "ports": [{"name": "b", "port": 80, "protocol": "TCP"}, {"name": "a", "port": 81}]}]}, {"metadata": META}]),
    Kind("v1", "Event", "events", [
        {"metadata": META, "involvedObject": {"kind": "Pod", "name": "p", "namespace": "@ns", "uid": UID}, "reason": "R",
         "message": "m", "type": "Normal", "count": 2, "source": {"component": "c", "host": "h"},
         "firstTimestamp": "2020-01-01T00:00:00Z", "lastTimestamp": "2020-01-01T00:00:01Z"}]),
    Kind("events.k8s.io/v1", "Event", "events", [
        {"metadata": META, "regarding": {"kind": "Pod", "name": "p", "namespace": "@ns"}, "reason": "R", "note": "m", "type": "Warning",
         "action": "A", "reportingController": "example.com/c", "reportingInstance": "i", "eventTime": "2020-01-01T00:00:00.000001Z",
         "series": {"count": 2, "lastObservedTime": "2020-01-01T00:00:00.000001Z"}}]),
    Kind("v1", "LimitRange", "limitranges", [
        {"metadata": META, "spec": {"limits": [
            {"type": "Pod", "max": {"cpu": "200"}}, {"type": "PersistentVolumeClaim", "min": {"storage": "1"}, "max": {"storage": "1Ti"}}]}}]),
    Kind("v1", "ResourceQuota", "resourcequotas", [
        {"metadata": META, "spec": {"hard": {"example.com/x": "2", "count/widgets.example.org": "7"}}},
        {"spec": {"hard": {"pods": "100"}, "scopes": ["BestEffort"], "scopeSelector": {"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": "In", "values": ["nobody"]}]}}}], status=True),
    Kind("v1", "PodTemplate", "podtemplates", [{"metadata": META, "template": tmpl(SMALL)}, {"template": tmpl(RICH)}], weight=2),
    Kind("rbac.authorization.k8s.io/v1", "Role", "roles", [{"metadata": META, "rules": RULES}]),
    Kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", [
        {"metadata": META, "subjects": SUBJECTS, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}},
        {"subjects": SUBJECTS[:1], "roleRef": {"kind": "ClusterRole", "name": "r"}}]),
    Kind("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", [
        {"metadata": META, "rules": RULES + [{"nonResourceURLs": ["/healthz", "/x/*"], "verbs": ["get"]}]},
        {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}, "rules": []}], False),
    Kind("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", [
        {"metadata": META, "subjects": SUBJECTS, "roleRef": {"kind": "ClusterRole", "name": "r"}}], False),
    Kind("networking.k8s.io/v1", "Ingress", "ingresses", [
        {"metadata": META, "spec": {"ingressClassName": "c", "defaultBackend": {"service": {"name": "s", "port": {"name": "web"}}},
                                    "tls": [{"hosts": ["a.b"], "secretName": "s"}], "rules": [{"host": "*.a.b", "http": {"paths": [
                                        {"path": "/x", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {
                                            "number": 80}}}}, {"pathType": "ImplementationSpecific", "backend": {"resource": {
                                                "apiGroup": "g.com", "kind": "K", "name": "n"}}}]}}]}}], status=True, weight=2),
    Kind("networking.k8s.io/v1", "IngressClass", "ingressclasses", [
        {"metadata": META, "spec": {"controller": "example.com/c", "parameters": {"kind": "K", "name": "n", "apiGroup": "g.com"}}}], False),
    Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", [
        {"metadata": META, "spec": {"podSelector": SEL, "policyTypes": ["Ingress", "Egress"], "ingress": [
            {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}, {"podSelector": {}, "namespaceSelector": SEL}],
             "ports": [{"port": 80, "protocol": "TCP"}, {"port": "web"}]}], "egress": [{}]}}, {"spec": {"podSelector": {}}},
        {"spec": {"podSelector": {}, "egress": [{"to": [{"podSelector": SEL}]}]}}], weight=2),
    Kind("storage.k8s.io/v1", "StorageClass", "storageclasses", [
        {"metadata": META, "provisioner": "example.com/p", "parameters": {"a": "b"}, "reclaimPolicy": "Retain", "mountOptions": ["ro"],
         "allowVolumeExpansion": True, "volumeBindingMode": "WaitForFirstConsumer", "allowedTopologies": [
             {"matchLabelExpressions": [{"key": "zone", "values": ["a"]}]}]}, {"provisioner": "x"}], False),
    Kind("storage.k8s.io/v1", "CSIDriver", "csidrivers", [
        {"metadata": META, "spec": {"attachRequired": False, "podInfoOnMount": True, "volumeLifecycleModes": ["Persistent", "Ephemeral"],
                                    "fsGroupPolicy": "File"}}, {"spec": {}}], False),
    Kind("storage.k8s.io/v1", "CSINode", "csinodes", [
        {"metadata": META, "spec": {"drivers": [{"name": "d.example.com", "nodeID": "n", "topologyKeys": ["zone"], "allocatable": {
            "count": 3}}]}}], False),
    Kind("storage.k8s.io/v1", "VolumeAttachment", "volumeattachments", [
        {"metadata": META, "spec": {"attacher": "d", "nodeName": "n", "source": {"persistentVolumeName": "p"}}}], False, True),
    Kind("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", [
        {"metadata": META, "value": 1000, "description": "d", "preemptionPolicy": "Never"}, {"value": -5}], False),
    Kind("coordination.k8s.io/v1", "Lease", "leases", [
        {"metadata": META, "spec": {"holderIdentity": "h", "leaseDurationSeconds": 15, "leaseTransitions": 2,
                                    "acquireTime": "2020-01-01T00:00:00.123456Z", "renewTime": "2020-01-01T00:00:00.000000Z"}}]),
    Kind("autoscaling/v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", [
        {"metadata": META, "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "minReplicas": 2,
                                    "maxReplicas": 5, "targetCPUUtilizationPercentage": 60}},
        {"spec": {"scaleTargetRef": {"kind": "D", "name": "d"}, "maxReplicas": 5}}], status=True),
    Kind("node.k8s.io/v1", "RuntimeClass", "runtimeclasses", [
        {"metadata": META, "handler": "h", "overhead": {"podFixed": {"cpu": "1m"}}, "scheduling": {
            "nodeSelector": {"a": "b"}, "tolerations": [{"key": "k", "operator": "Exists"}]}}], False),
    Kind("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", [
        {"metadata": META, "webhooks": [HOOK]}], False),
    Kind("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", [
        {"metadata": META, "webhooks": [dict(HOOK, reinvocationPolicy="IfNeeded")]}], False),
    Kind("apiregistration.k8s.io/v1", "APIService", "apiservices", [
        {"metadata": META, "spec": {"group": "@g", "version": "v1", "groupPriorityMinimum": 10, "versionPriority": 5,
                                    "insecureSkipTLSVerify": True, "service": {"namespace": "d", "name": "s"}}}], False, True),
    Kind("certificates.k8s.io/v1", "CertificateSigningRequest", "certificatesigningrequests", [
        {"metadata": META, "spec": {"request": "@csr", "signerName": "example.com/s", "usages": ["digital signature", "client auth"]}}],
         False, True),
    Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", [crd("@g", "Thing")], False, True),
    Kind("diff.example.com/v1", "Widget", "widgets", [
        {"metadata": META, "spec": {"size": 2, "mode": "a", "text": "abc", "any": "5%", "raw": {"x": [1, {"y": None}]}, "num": 1.5,
                                    "list": [{"name": "a"}, {"name": "b", "v": 1}], "set": ["x", "y"], "map": {"k": 1}}},
        {"spec": {"size": 1, "other": True}, "status": {"n": 3}}], status=True, scale=True, weight=4),
]
