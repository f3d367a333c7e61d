#!/bin/bash
# kubectl's whole surface, a line each: every generator, setter and way to look. No root needed.
. "$(dirname "$0")/lib.sh"
command -v "$KUBECTL" >/dev/null || skip_all "kubectl's surface" "needs kubectl"
command -v openssl >/dev/null || skip_all "kubectl's surface" "needs openssl"
[ "$(kubectl_minor)" -ge 31 ] 2>/dev/null || skip_all "kubectl's surface" "needs kubectl 1.31 or newer"
start --nodes 0
k create namespace kt >/dev/null
soon 10 k -n kt get serviceaccount default >/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/tls.key" -out "$work/tls.crt" -subj /CN=x -days 2 2>/dev/null
k -n kt create deployment ap --image=x --dry-run=client -o yaml >"$work/ap.yaml"
k -n kt create role r --verb=get,list --resource=pods,deployments.apps/scale --dry-run=client -o yaml >"$work/r.yaml"
surface() { eval "EDITOR=true timeout 200 '$KUBECTL' --kubeconfig '$data/admin.kubeconfig' --cache-dir '$work/cache' -n kt $1" </dev/null; }
while read -r line; do
	ok "kubectl $line" surface "$line"
done <<'Y'
create deployment d --image=x --replicas=1 --port=80
create job j --image=x -- echo hi
create cronjob cj --image=x --schedule="0 0 1 1 *" -- echo
create job j2 --from=cronjob/cj
create configmap cm --from-literal=a=b --append-hash
create configmap cm2 --from-literal=a=b
create secret generic s --from-literal=a=b
create secret docker-registry dr --docker-username=a --docker-password=b --docker-server=c
create secret tls tls --cert=$work/tls.crt --key=$work/tls.key
create service clusterip sc --tcp=80:80
create service nodeport sn --tcp=80:80
create service loadbalancer sl --tcp=80:80
create service externalname se --external-name=a.example.com
create ingress i --rule="foo.example.com/*=sc:80,tls=tls"
create poddisruptionbudget pdb --selector=app=d --min-available=1
create priorityclass kt-pc --value=10 --description=x
create quota q --hard=pods=50,secrets=100
create role r --verb=get,list --resource=pods,deployments.apps/scale
create rolebinding rb --role=r --serviceaccount=kt:default
create clusterrole kt-cr --verb=get --resource=nodes
create clusterrole kt-cr2 --aggregation-rule=a=b
create clusterrolebinding kt-crb --clusterrole=kt-cr --user=x --group=y
create serviceaccount sa
create token sa --duration=1h --audience=x
run pod --image=x --labels=a=b --env=A=B --port=80 --expose
expose deployment d --port=80
autoscale deployment d --max=3
wait --for=jsonpath='{.status.observedGeneration}'=1 deployment/d --timeout=100s
set image deployment/d x=y
wait --for=jsonpath='{.status.observedGeneration}'=2 deployment/d --timeout=100s
set env deployment/d A=B
set resources deployment/d --limits=cpu=1
set selector service/sc 'a=b'
set serviceaccount deployment/d sa
set subject rolebinding rb --user=z
set env deployment/d --from=configmap/cm2
rollout history deployment/d
rollout restart deployment/d
rollout pause deployment/d
rollout resume deployment/d
rollout undo deployment/d
rollout status deployment/d --watch=false
scale deployment/d --replicas=2 --current-replicas=1
label pod pod x=y
label --list pod pod
label pod pod x-
annotate pod pod x=y
annotate --list pod pod
events
events --for pod/pod --types=Warning,Normal
get events --sort-by=.lastTimestamp
auth whoami
auth whoami -o yaml
auth can-i --list
auth can-i get pods --subresource=log
auth reconcile -f $work/r.yaml
apply -f $work/ap.yaml
apply view-last-applied deployment ap
apply set-last-applied -f $work/ap.yaml
apply edit-last-applied deployment ap
apply --server-side --force-conflicts -f $work/ap.yaml
wait --for=jsonpath='{.status.unavailableReplicas}'=1 deployment/ap --timeout=100s
wait --for=condition=Progressing deployment/ap --timeout=100s
diff --server-side --force-conflicts -f $work/ap.yaml
apply -f $work/ap.yaml --prune -l app=ap --prune-allowlist=apps/v1/Deployment
diff -f $work/ap.yaml
replace -f $work/ap.yaml
replace --force -f $work/ap.yaml
wait --for=jsonpath='{.spec.replicas}'=1 deployment/ap --timeout=180s
wait --for=condition=Progressing deployment/ap --timeout=180s
wait --for=create deployment/ap --timeout=180s
api-resources -o wide --sort-by=name
api-resources --api-group=apps --namespaced -o name
api-resources --verbs=list --cached
api-versions
cluster-info
version -o yaml
get --raw /api/v1/namespaces/kt
get deployment d --subresource=scale
get deployment d --subresource=status -o yaml
patch deployment d --subresource=scale --type=merge -p '{"spec":{"replicas":1}}'
explain deployments.spec --output plaintext-openapiv2
explain pods.spec.containers --recursive
explain pods --api-version=v1
get all
get all -A
get all,cm,secret,ing,pdb,quota,role,rolebinding,sa,hpa -o wide
describe all
describe ing,pdb,quota,role,rolebinding,sa,hpa,cm,secret,cj
describe ns kt
debug pod/pod --image=x --attach=false
debug pod/pod --image=x --copy-to=pod2 --attach=false
delete pod pod2 --now
delete pods --all --wait=false
delete deployment d --cascade=orphan
delete rs --all --cascade=foreground
get ns kt -o custom-columns=A:.metadata.name --no-headers
get ns -o go-template='{{range .items}}{{.metadata.name}}{{end}}'
get pods -o jsonpath='{.items[*].metadata.name}' --chunk-size=1
get pods -A --field-selector=status.phase!=Running --show-labels --label-columns=app --show-kind
get pods --watch --request-timeout=3s
get --show-managed-fields ns kt -o yaml
taint nodes --all a=b:NoSchedule
delete ns kt --timeout=180s
delete clusterrole kt-cr kt-cr2
delete clusterrolebinding kt-crb
delete priorityclass kt-pc
Y
ok "stops cleanly" stop
finish
