#!/bin/bash
# Every kind that is served: an object of each is made and read in each of its versions, both an old
# and a new kubectl explain them, and the commands that are about one kind work. No root needed.
. "$(dirname "$0")/lib.sh"
command -v "$KUBECTL" >/dev/null || skip_all "every kind" "needs kubectl"
start --nodes 0
raw() { k get --raw "$1"; }

# ---- one object of each kind: PLURAL SCOPE GROUP VERSIONS KIND NAME BODY ----
tpl='"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}'
sel='"selector":{"matchLabels":{"a":"b"}}'
hook='"webhooks":[{"name":"w.example.com","admissionReviewVersions":["v1"],"sideEffects":"None","clientConfig":{"url":"https://127.0.0.1:1/"},"rules":[]}]'
csr=$(openssl req -new -newkey rsa:2048 -nodes -keyout "$work/csr.key" -subj "/CN=jane/O=devs" 2>/dev/null | base64 -w0)
table="$work/table"
cat >"$table" <<Y
configmaps ns core v1 ConfigMap x "data":{"a":"b"}
secrets ns core v1 Secret x "data":{"a":"Yg=="}
pods ns core v1 Pod x "spec":{"containers":[{"name":"c","image":"i"}]}
podtemplates ns core v1 PodTemplate x $tpl
replicationcontrollers ns core v1 ReplicationController x "spec":{"replicas":0,$tpl}
services ns core v1 Service x "spec":{"ports":[{"port":80}]}
serviceaccounts ns core v1 ServiceAccount x "secrets":[]
endpoints ns core v1 Endpoints x "subsets":[]
limitranges ns core v1 LimitRange x "spec":{"limits":[]}
resourcequotas ns core v1 ResourceQuota x "spec":{"hard":{"pods":"1k"}}
persistentvolumeclaims ns core v1 PersistentVolumeClaim x "spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}
persistentvolumes - core v1 PersistentVolume x "spec":{"capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce"],"hostPath":{"path":"/x"}}
nodes - core v1 Node x "spec":{}
namespaces - core v1 Namespace x "spec":{}
events ns core v1 Event x "involvedObject":{"kind":"Pod","name":"x","namespace":"default"},"reason":"Because","message":"m"
events ns events.k8s.io v1,v1beta1 Event y "eventTime":"2026-01-02T03:04:05.000006Z","action":"a","reason":"r","type":"Normal","note":"n","reportingController":"x/y","reportingInstance":"i","regarding":{"kind":"Pod","name":"x","namespace":"default"}
deployments ns apps v1 Deployment x "spec":{"replicas":0,$sel,$tpl}
replicasets ns apps v1 ReplicaSet x "spec":{"replicas":0,$sel,$tpl}
statefulsets ns apps v1 StatefulSet x "spec":{"replicas":0,"serviceName":"x",$sel,$tpl}
daemonsets ns apps v1 DaemonSet x "spec":{$sel,$tpl}
controllerrevisions ns apps v1 ControllerRevision x "revision":1,"data":{"a":"b"}
jobs ns batch v1 Job x "spec":{"suspend":true,"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}
cronjobs ns batch v1,v1beta1 CronJob x "spec":{"schedule":"0 0 1 1 *","jobTemplate":{"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}}}
horizontalpodautoscalers ns autoscaling v2,v1,v2beta2,v2beta1 HorizontalPodAutoscaler x "spec":{"maxReplicas":2,"scaleTargetRef":{"kind":"Deployment","name":"x","apiVersion":"apps/v1"}}
poddisruptionbudgets ns policy v1,v1beta1 PodDisruptionBudget x "spec":{"minAvailable":1,$sel}
ingresses ns networking.k8s.io v1,v1beta1 Ingress x "spec":{"defaultBackend":{"service":{"name":"x","port":{"number":80}}}}
ingressclasses - networking.k8s.io v1,v1beta1 IngressClass x "spec":{"controller":"example.com/x"}
networkpolicies ns networking.k8s.io v1 NetworkPolicy x "spec":{"podSelector":{}}
ipaddresses - networking.k8s.io v1beta1 IPAddress 10.1.2.3 "spec":{"parentRef":{"resource":"services","name":"x","namespace":"default"}}
servicecidrs - networking.k8s.io v1beta1 ServiceCIDR x "spec":{"cidrs":["10.1.0.0/16"]}
endpointslices ns discovery.k8s.io v1,v1beta1 EndpointSlice x "addressType":"IPv4","endpoints":[]
leases ns coordination.k8s.io v1,v1beta1 Lease x "spec":{}
roles ns rbac.authorization.k8s.io v1,v1beta1 Role x "rules":[]
rolebindings ns rbac.authorization.k8s.io v1,v1beta1 RoleBinding x "roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"x"}
clusterroles - rbac.authorization.k8s.io v1,v1beta1 ClusterRole x "rules":[]
clusterrolebindings - rbac.authorization.k8s.io v1,v1beta1 ClusterRoleBinding x "roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"x"}
priorityclasses - scheduling.k8s.io v1,v1beta1 PriorityClass x "value":1
runtimeclasses - node.k8s.io v1,v1beta1 RuntimeClass x "handler":"x"
storageclasses - storage.k8s.io v1,v1beta1 StorageClass x "provisioner":"example.com/x"
csidrivers - storage.k8s.io v1,v1beta1 CSIDriver x "spec":{}
csinodes - storage.k8s.io v1,v1beta1 CSINode x "spec":{"drivers":[]}
csistoragecapacities ns storage.k8s.io v1,v1beta1 CSIStorageCapacity x "storageClassName":"x"
volumeattachments - storage.k8s.io v1,v1beta1 VolumeAttachment x "spec":{"attacher":"example.com","nodeName":"x","source":{"persistentVolumeName":"x"}}
volumeattributesclasses - storage.k8s.io v1beta1 VolumeAttributesClass x "driverName":"example.com","parameters":{"a":"b"}
mutatingwebhookconfigurations - admissionregistration.k8s.io v1 MutatingWebhookConfiguration x $hook
validatingwebhookconfigurations - admissionregistration.k8s.io v1 ValidatingWebhookConfiguration x $hook
validatingadmissionpolicies - admissionregistration.k8s.io v1,v1beta1 ValidatingAdmissionPolicy x "spec":{"matchConstraints":{"resourceRules":[{"apiGroups":["apps"],"apiVersions":["v1"],"operations":["CREATE"],"resources":["deployments"]}]},"validations":[{"expression":"true"}]}
validatingadmissionpolicybindings - admissionregistration.k8s.io v1,v1beta1 ValidatingAdmissionPolicyBinding x "spec":{"policyName":"x","validationActions":["Audit"]}
certificatesigningrequests - certificates.k8s.io v1 CertificateSigningRequest x "spec":{"request":"$csr","signerName":"kubernetes.io/kube-apiserver-client","usages":["client auth"],"expirationSeconds":3600}
flowschemas - flowcontrol.apiserver.k8s.io v1 FlowSchema x "spec":{"priorityLevelConfiguration":{"name":"x"}}
prioritylevelconfigurations - flowcontrol.apiserver.k8s.io v1 PriorityLevelConfiguration x "spec":{"type":"Limited","limited":{"limitResponse":{"type":"Reject"}}}
customresourcedefinitions - apiextensions.k8s.io v1 CustomResourceDefinition as.example.com "spec":{"group":"example.com","scope":"Cluster","names":{"plural":"as","kind":"A"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object"}}}]}
gitrepositories ns source.toolkit.fluxcd.io v1 GitRepository x "spec":{"url":"https://example.com/x","interval":"1h","suspend":true}
kustomizations ns kustomize.toolkit.fluxcd.io v1 Kustomization x "spec":{"suspend":true,"prune":false,"interval":"1h","sourceRef":{"kind":"GitRepository","name":"x"}}
Y
api() { case $1 in core) echo /api/v1 ;; *) echo "/apis/$1/$2" ;; esac; }
collection() { case $2 in ns) echo "$(api "$3" "$4")/namespaces/default/$1" ;; *) echo "$(api "$3" "$4")/$1" ;; esac; }
# In each version: the object says that version, the list says it, a Table can be had.
each_version() {
	local plural=$1 scope=$2 group=$3 kind=$5 name=$6 v gv first=${4%%,*} path
	gv=$group/$first; [ "$group" = core ] && gv=v1
	path=$(collection "$plural" "$scope" "$group" "$first")
	printf '{"apiVersion":"%s","kind":"%s","metadata":{"name":"%s"},%s}' "$gv" "$kind" "$name" "$7" >"$work/o.json"
	k create --raw "$path" -f "$work/o.json" >/dev/null || { cat "$work/o.json"; return 1; }
	for v in ${4//,/ }; do
		gv=$group/$v; [ "$group" = core ] && gv=v1
		path=$(collection "$plural" "$scope" "$group" "$v")
		raw "$path/$name" >"$work/got.json" || return 1
		grep -q "\"apiVersion\":\"$gv\"" "$work/got.json" || { cat "$work/got.json"; return 1; }
		raw "$path" | head -c 200 | grep -q "\"kind\":\"${kind}List\",\"apiVersion\":\"$gv\"" || { raw "$path" | head -c 300; return 1; }
		# what was read in a version can be written back in it
		k replace --raw "$path/$name" -f "$work/got.json" >/dev/null || { cat "$work/got.json"; return 1; }
	done
	k get "$plural${group:+$([ "$group" = core ] || echo ".$group")}" -o wide | grep -q "$([ "$kind" = Event ] && echo Pod/x\\\|pod/x || echo "$name")"
}
while read -r plural scope group versions kind name body; do
	ok "$kind ($group $versions)" each_version "$plural" "$scope" "$group" "$versions" "$kind" "$name" "$body"
done <"$table"

# ---- explain ----
explains() {
	local bad=0 r
	for r in $(awk '{print $1 ($3 == "core" ? "" : "." $3)}' "$table" | sort -u) bindings componentstatuses; do
		"$1" --kubeconfig "$data/admin.kubeconfig" --cache-dir "$work/cache.$2" explain "${r%%.*}" --recursive $([ "$2" = new ] || [ "$r" != "events.events.k8s.io" ] || echo --api-version=events.k8s.io/v1) >"$work/explain" 2>&1 &&
			grep -q "metadata" "$work/explain" && ! grep -q "no description" "$work/explain" || { echo "$r:"; head -5 "$work/explain"; bad=1; }
	done
	return $bad
}
ok "explain --recursive of every kind" explains "$KUBECTL" new
OLD=${KUBECTL_OLD:-}
for c in /tmp/k120/usr/bin/kubectl kubectl.1.20 kubectl.1.27; do [ -n "$OLD" ] || OLD=$(command -v "$c"); done
if [ -n "$OLD" ]; then
	old() { "$OLD" --kubeconfig "$data/admin.kubeconfig" --cache-dir "$work/cache.old" "$@"; }
	ok "explain with an old kubectl" explains "$OLD" old
	ok "an old kubectl gets what it knows by old names" sh -c "'$OLD' --kubeconfig '$data/admin.kubeconfig' get hpa,pdb,cronjobs,ingresses,events | grep -q horizontalpodautoscaler"
	ok "… and autoscales" old autoscale deployment x --name old --max 3
else
	skip "explain with an old kubectl" "no other kubectl is here"
fi

# ---- commands about one kind ----
is() { [ "$("${@:2}")" = "$1" ] || { "${@:2}"; return 1; }; }
ok "autoscale" k autoscale deployment x --name new --min 1 --max 4 --cpu-percent 70
ok "… is stored in v2" is 70 k get hpa new -o "jsonpath={.spec.metrics[0].resource.target.averageUtilization}"
ok "… read in v1" is 70 k get horizontalpodautoscalers.v1.autoscaling new -o "jsonpath={.spec.targetCPUUtilizationPercentage}"
ok "… edited in v1" k patch horizontalpodautoscalers.v1.autoscaling new --type merge -p '{"spec":{"targetCPUUtilizationPercentage":55}}'
ok "… and seen in v2" is 55 k get hpa new -o "jsonpath={.spec.metrics[0].resource.target.averageUtilization}"
ok "kubectl events" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig events | grep -q Because"
ok "events of the new group" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get events.events.k8s.io | grep -q Because"
ok "componentstatuses" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get cs 2>/dev/null | grep -q 'scheduler *Healthy *ok'"
ok "… cannot be written" sh -c "! $KUBECTL --kubeconfig $data/admin.kubeconfig delete componentstatus scheduler"
ok "create token" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig create token x | grep -q '^ey.*[.].*[.]'"
ok "a request says truly who asks" is plumb-admin k get csr x -o "jsonpath={.spec.username}"
ok "certificate approve" k certificate approve x
ok "… shows" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get csr x | grep -q 'plumb-admin  *60m  *Approved'"
ok "… and is signed" soon 5 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get csr x | grep -q 'Approved,Issued'"
k get csr x -o "jsonpath={.status.certificate}" | base64 -d >"$work/csr.crt"
server=$(k config view -o "jsonpath={.clusters[0].cluster.server}")
ok "the certificate says who its bearer is" sh -c "$KUBECTL --kubeconfig /dev/null --server '$server' --certificate-authority $data/pki/ca.crt --client-certificate $work/csr.crt --client-key $work/csr.key auth whoami | grep -q 'jane'"
ok "… and is not taken back" sh -c "! $KUBECTL --kubeconfig $data/admin.kubeconfig certificate deny x"
k delete csr x >/dev/null
printf '{"apiVersion":"certificates.k8s.io/v1","kind":"CertificateSigningRequest","metadata":{"name":"y"},"spec":{"request":"%s","signerName":"example.com/mine","usages":["client auth"]}}' "$csr" >"$work/csr.json"
ok "a signer of one's own" k create -f "$work/csr.json"
k create clusterrole approver --verb=get,list,watch,update,patch --resource=certificatesigningrequests,certificatesigningrequests/approval >/dev/null
k create clusterrolebinding approver --clusterrole=approver --user=jane >/dev/null
ok "who may not approve for a signer is refused" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig --as=jane certificate approve y 2>&1 | grep -q 'not permitted to approve'"
echo '{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"mine"},"rules":[{"apiGroups":["certificates.k8s.io"],"resources":["signers"],"resourceNames":["example.com/*"],"verbs":["approve"]}]}' | k create -f - >/dev/null
k create clusterrolebinding mine --clusterrole=mine --user=jane >/dev/null
ok "… until the signer's domain is granted" k --as=jane certificate approve y
ok "aggregated roles gather what bears their label" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig create clusterrole extra --verb=get --resource=nodes && $KUBECTL --kubeconfig $data/admin.kubeconfig label clusterrole extra rbac.authorization.k8s.io/aggregate-to-view=true"
ok "… through view to admin" soon 5 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig auth can-i get nodes --as=bob --as-group=x 2>/dev/null; $KUBECTL --kubeconfig $data/admin.kubeconfig get clusterrole admin -o yaml | grep -q -- '- nodes'"
ok "a replication controller keeps pods" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig scale rc x --replicas=2"
ok "… two of them" soon 5 sh -c "[ \$($KUBECTL --kubeconfig $data/admin.kubeconfig get rc x -o jsonpath={.status.replicas}) = 2 ]"
printf '{"apiVersion":"v1","kind":"Binding","metadata":{"name":"x"},"target":{"kind":"Node","name":"x"}}' >"$work/bind.json"
ok "a posted Binding binds" k create --raw /api/v1/namespaces/default/bindings -f "$work/bind.json"
ok "… to its node" is x k get pod x -o "jsonpath={.spec.nodeName}"
ok "namespaces are not deleted together" sh -c "! $KUBECTL --kubeconfig $data/admin.kubeconfig delete --raw /api/v1/namespaces"
ok "a flow schema whose level is missing says so" soon 5 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig patch flowschema x --type merge -p '{\"spec\":{\"priorityLevelConfiguration\":{\"name\":\"no\"}}}' >/dev/null; $KUBECTL --kubeconfig $data/admin.kubeconfig get flowschema x | grep -q 'True *$'"
ok "… and the cluster's own are there" sh -c "[ \$($KUBECTL --kubeconfig $data/admin.kubeconfig get flowschemas --no-headers | wc -l) -ge 13 ]"
ok "stops cleanly" stop
finish
