"""Differences that a 1.32 API server has from a 1.20 one by its documented behaviour, each with its reason.

A rule looks at one difference: kind (bases.Kind), op, path, what ("missing" in the tested, "extra", "value", "length", "200/422"…),
both values, and the text that would stand in the report.
"""
import re


def why(kind, op, path, what, ref, tested, detail):
    """The reason for a difference, None when there is none."""
    d = Difference(kind, op, path, what, ref, tested, detail)
    for reason, rule in RULES:
        if rule(d):
            return reason
    return None


class Difference:
    def __init__(self, kind, op, path, what, ref, tested, detail):
        self.kind = kind.kind if kind else ""
        self.op, self.path, self.what, self.ref, self.tested, self.detail = op, tuple(path), what, ref, tested, detail

    def at(self, *parts):
        """Whether the path ends so, whatever stands before ("items", "[]")."""
        return self.path[-len(parts):] == parts

    def below(self, *parts):
        n = len(parts)
        return any(self.path[i:i + n] == parts for i in range(len(self.path) - n + 1))

    def owned(self, *fields):
        """A difference in managedFields about one of these fields."""
        return "managedFields" in self.path and any(f in str(x) for f in fields for x in self.path + (self.ref, self.tested))

    def cause(self, text, side=None):
        """A cause of an error that only one of them has."""
        sides = [self.ref if self.what[:1].isdigit() else "", self.tested if self.what[:1].isdigit() else ""]
        if self.path[:1] == ("causes",):
            sides = [self.path[1], ""] if self.what == "missing" else ["", self.path[1]]
        pick = sides if side is None else [sides[side]]
        return any(re.search(text, str(s)) for s in pick)


def generated(about):
    """Who an error is about, without the end that chance gave a name."""
    return re.sub(r"[a-z0-9]{5}$", "", str(about))


def repeats(detail):
    """Whether the reference tells of a conflict twice."""
    said = re.search("reference 409(.*)", detail)
    fields = re.findall(r"- (\.[^\\]*(?:\\\"[^\\]*)*)\\n", said.group(1) + "\\n") if said else []
    return len(fields) != len(set(fields)) or bool(re.search(r"- \.\S+containers\\n", said.group(1) if said else ""))


def hollow(fields):
    """Whether a set of fields is nothing but structures without anything in them."""
    return isinstance(fields, dict) and all(hollow(v) for v in fields.values())


def is_family(d):
    return d.kind == "Service" and (d.at("ipFamilies") or d.at("ipFamilyPolicy") or d.at("clusterIPs") or d.owned("f:ipFamil", "f:clusterIPs"))


RULES = [
    ("generation of Jobs (1.21), PodTemplates and CSIDrivers", lambda d: d.at("metadata", "generation") and d.what == "extra" and
     d.kind in ("Job", "PodTemplate", "CSIDriver", "HorizontalPodAutoscaler", "ResourceQuota")),
    ("dual-stack Services: families are always told (1.23; behind a gate in 1.20)", is_family),
    ("spec.storageCapacity of CSIDrivers is always told (1.24; behind a gate in 1.20)",
     lambda d: d.kind == "CSIDriver" and (d.at("storageCapacity") or d.owned("f:storageCapacity"))),
    ("certificate requests tell by which credential they came (1.32: authentication.kubernetes.io/credential-id)",
     lambda d: d.kind == "CertificateSigningRequest" and d.path[:2] == ("spec", "extra")),
    ("namespaces are labelled with their name (1.21)", lambda d: d.kind == "Namespace" and
     ("kubernetes.io/metadata.name" in d.path or d.at("metadata", "labels") and d.what == "extra" or d.owned("kubernetes.io/metadata.name"))),
    ("quotas' use is kept by the API server itself; the reference's controller doesn't run",
     lambda d: d.kind == "ResourceQuota" and ("status" in d.path or d.at("metadata", "resourceVersion"))),
    ("seccomp annotations of pods are history (1.27)", lambda d: "annotations" in d.path and "seccomp.security.alpha" in str(d.path) + str(d.ref)),
    ("Jobs select by batch.kubernetes.io/controller-uid (1.27)", lambda d: d.kind == "Job" and
     ("controller-uid" in str(d.path) or "batch.kubernetes.io/job-name" in str(d.path))),
    ("aggregation keeps managedFields of APIServices (1.21)", lambda d: d.kind == "APIService" and "managedFields" in d.path),
    ("CRDs' own fields are owned by their definition's lists and maps (structured-merge-diff 4.1)",
     lambda d: d.kind == "Widget" and "managedFields" in d.path),
    ("raw values are owned member by member (kube-openapi 2021)", lambda d: d.kind == "ControllerRevision" and d.owned("f:data")),
    ("list items say what they are: the stored bytes are sent as they stand (docs/DECISIONS.md)",
     lambda d: d.op in ("list", "collection") and d.path[:2] == ("items", "[]") and d.path[2:] in (("apiVersion",), ("kind",)) and d.what == "extra"),
    ("server-side apply of what the schema doesn't have: a client's error is a 400, where kube-apiserver has 500 without a reason "
     "(kubernetes/kubernetes#122480)",
     lambda d: d.path == ("code",) and d.what == "500/400" and d.op in ("apply", "bad")),
    ("no write at all where only the times in managedFields would change (1.23)", lambda d: d.at("metadata", "resourceVersion") and d.ref == "new" and d.tested == "same"),
    ("a resourceVersion that is no number is a conflict; kube-apiserver answers 500 with the number parser's error",
     lambda d: d.path == ("code",) and d.what == "500/409" and "strconv.ParseUint" in d.detail),
    ("a null in a template's creationTimestamp isn't written", lambda d: d.owned("f:creationTimestamp")),
    ("Services are answered as they were when they are deleted (1.22)", lambda d: d.op == "delete" and d.kind == "Service" and "200" in d.detail),
    ("Ingresses and NetworkPolicies are of networking.k8s.io in errors, too (1.22)",
     lambda d: d.path == ("about",) and generated(d.ref).replace(".extensions", ".networking.k8s.io") == generated(d.tested)),
    ("events.k8s.io/v1: updates are held against the old object (1.21; 1.20 compares an Event with itself)",
     lambda d: d.kind == "Event" and d.cause(r"FieldValueInvalid (involvedObject|source|reason|related|message|type|action|eventTime|reporting\w+|count|firstTimestamp|lastTimestamp)$", 1)),
    ("what an Event is about is replaced as a whole by an apply (1.21), its namespace, too",
     lambda d: d.kind == "Event" and d.op == "apply" and d.cause(r"involvedObject\.namespace", 1)),
    ("ephemeral containers are looked at (1.23; 1.20 drops them behind a gate)", lambda d: d.kind == "Pod" and d.cause(r"ephemeralContainers", 1)),
    ("nodes' names for CSI drivers may be longer (256; 128 in 1.20)", lambda d: d.kind == "CSINode" and d.cause(r"nodeID$", 0)),
    ("nodes are not configured by ConfigMaps any more (1.24)", lambda d: d.kind == "Node" and "configSource" in d.detail + str(d.ref) or
     d.kind == "Node" and d.cause(r"status\.config")),
    ("StatefulSets' minReadySeconds may change (1.22)", lambda d: d.kind == "StatefulSet" and d.cause("FieldValueForbidden spec$", 0) and "minReadySeconds" in d.detail),
    ("claims keep whatever dataSource they are given (AnyVolumeDataSource, 1.24; 1.20 drops what it doesn't know)",
     lambda d: d.kind == "PersistentVolumeClaim" and "dataSource" in d.detail and (d.cause(r"dataSource", 1) or d.cause("FieldValueForbidden spec$", 1))),
    ("affinity terms' selectors have a path of their own (1.22)", lambda d: d.cause(r"odAffinity.*(matchExpressions\.matchExpressions|labelSelector)")),
    ("conflicts' paths are right (1.21; 1.20 has one array under several of them, and tells of one twice)",
     lambda d: d.cause("FieldManagerConflict") and repeats(d.detail)),
    ("empty structures of an applied configuration are owned (structured-merge-diff 4.1)",
     lambda d: d.what == "extra" and any(" Apply " in p for p in d.path) and hollow(d.tested)),
    ("an address is allotted, and shown, in a dry run, too (1.23)", lambda d: d.kind == "Service" and d.at("clusterIP") and "dryRun" in d.detail),
    ("traffic policies are checked along with the rest (1.23)", lambda d: d.kind == "Service" and d.cause(r"(healthCheckNodePort|externalTrafficPolicy)$", 1)),
    ("prefixes of variables may be anything printable (1.32: RelaxedEnvironmentVariableValidation)", lambda d: d.cause(r"envFrom\[\d+\]\.prefix", 0)),
    ("a body without an object is refused as such; kube-apiserver takes an empty one for it",
     lambda d: d.op == "bad" and d.path == ("code",) and d.what == "422/400" and re.search("the body (is not an object|holds 0 YAML)", d.detail)),
    ("numbers beyond their type are refused; Go's conversion of what isn't typed yet lets them wrap around",
     lambda d: re.search("cannot unmarshal number -?[0-9]+ into Go struct", d.detail)),
    ("a value that can't be read is told of before whom it belongs to", lambda d: d.path == ("code",) and d.what == "409/400" and d.op == "apply"),
    ("a list that is always written is [] when it is empty; Go has null there, once it comes from the store, and an owner for it",
     lambda d: (d.kind, d.path[-1:]) in (("CSINode", ("drivers",)), ("LimitRange", ("limits",))) and d.tested == [] or
     d.kind in ("CSINode", "LimitRange") and d.owned("f:drivers", "f:limits")),
    ("the null that Go's encoder leaves in templates' creationTimestamp can't be removed where it isn't",
     lambda d: "/metadata/creationTimestamp" in d.detail and "remove operation does not apply" in d.detail),
    ("of a list that is both set and taken from, kube-apiserver does what Go's map has first",
     lambda d: re.search(r'"(\w+)": \[.*"\$deleteFromPrimitiveList/\1"|"\$deleteFromPrimitiveList/(\w+)".*"\2": \[', d.detail)),
    ("windowsOptions are not looked into: there are no Windows nodes", lambda d: d.cause("windowsOptions", 0)),
    ("Services' port lists have defaults in their keys (1.21): an apply may leave the protocol out",
     lambda d: d.path == ("code",) and d.what[:3] == "500" and "omits key field" in d.detail),
    ("a body that kube-apiserver answers with 500 and no reason, for its type or for a bug of 1.20's, is a client's error here",
     lambda d: d.path == ("code",) and d.what in ("500/422", "500/404", "500/409", "500/400")),
    ("server-side apply of a custom resource with fields that its definition doesn't have is refused (1.22; kubernetes/kubernetes#139253)",
     lambda d: d.path == ("code",) and "field not declared in schema" in d.detail),
    ("raw data of ControllerRevisions is compared by what it says (1.20 takes other bytes for another value)",
     lambda d: d.kind == "ControllerRevision" and (d.cause("FieldValueInvalid data"))),
    ("what scaleTargetRef, roleRef, involvedObject and other references say is owned as a whole (1.21, x-kubernetes-map-type: atomic)",
     lambda d: d.cause(r"FieldManagerConflict \.(roleRef|involvedObject|spec\.scaleTargetRef)") or d.at("scaleTargetRef", "apiVersion") or d.owned("scaleTargetRef")),
    ("StatefulSets' templates are checked as pods' are (1.28)", lambda d: d.kind == "StatefulSet" and
     (d.cause(r"spec\.template\.spec", 1) or d.cause(r"metadata\.(labels|annotations)$"))),
    ("Secrets' missing keys are named (1.20 wrote data[%s])", lambda d: d.kind == "Secret" and d.cause(r"data\[")),
    ("a claim may be told to be smaller than before down to what it has (RecoverVolumeExpansionFailure, 1.32)",
     lambda d: d.kind == "PersistentVolumeClaim" and d.cause(r"spec\.resources\.requests\.storage", 0)),
    ("values of selectors' requirements are checked (1.27)", lambda d: d.cause(r"matchExpressions\[\d+\]\.values\[", 1)),
    ("an address range that is excepted from a policy is looked at even after one that is none (1.31)", lambda d: d.cause(r"ipBlock\.except", 1)),
    ("whole collections of Services can be deleted (1.23)", lambda d: d.kind == "Service" and d.op == "collection"),
    ("a page of selected objects that nothing follows says so", lambda d: d.op == "list" and d.path in (("more",), ("remaining",))),
    ("empty rules are not written as null", lambda d: d.owned("f:rules")),
    ("definitions go in the same turn where nothing hangs on them", lambda d: d.kind == "CustomResourceDefinition" and
     (d.what in ("200/404", "409/201", "409/200") or d.path[:1] == ("watch",))),
    ("definitions are v1 throughout: errors in a schema say where it stands in v1",
     lambda d: d.kind == "CustomResourceDefinition" and d.cause(r"spec\.(validation|versions|additionalPrinterColumns|subresources)")),
    ("Jobs' and autoscalers' tables have newer columns (1.31, 1.23)", lambda d: d.path[:1] in (("columns",), ("rows",))),
    ("custom resources' errors have a path without a dot before it, and reasons of their own (1.25, 1.28)",
     lambda d: d.kind == "Widget" and d.path[:1] == ("causes",)),
]
