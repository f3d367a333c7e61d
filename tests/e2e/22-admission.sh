#!/bin/bash
# Built-in admission as kubectl shows it: quotas that hold however many come at once, limits that fill
# in and refuse, Pod Security's refusals and warnings, protection of what is in use. No root needed.
. "$(dirname "$0")/lib.sh"
command -v "$KUBECTL" >/dev/null || skip_all "admission" "needs kubectl"
start --nodes 0
# says TEXT COMMAND…: the command's output, errors included, holds that.
says() {
	local want=$1 out; shift
	out=$("$@" 2>&1)
	case $out in *"$want"*) return 0;; esac
	printf '%s\n' "$out" "lacks: $want"; return 1
}
refused() { local want=$1; shift; ! "$@" >"$work/refused" 2>&1 && grep -qF -- "$want" "$work/refused" || { cat "$work/refused"; return 1; }; }
pod() { k run "$1" -n "$2" --image=x --restart=Never "${@:3}"; }

# ---- quota ----
k create namespace q >/dev/null
soon 10 k get serviceaccount default -n q >/dev/null
ok "a quota is made" k create quota small -n q --hard=pods=3,configmaps=6,services.nodeports=1
crowd() {
	local i n
	for i in $(seq 20); do pod "p$i" q >/dev/null 2>>"$work/crowd" & done
	for i in $(jobs -p); do [ "$i" = "$up_pid" ] || wait "$i"; done
	n=$(k get pods -n q --no-headers | wc -l)
	[ "$n" -eq 3 ] || { echo "$n pods"; return 1; }
	[ "$(grep -c 'exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3' "$work/crowd")" -eq 17 ]
}
ok "of twenty at once exactly three get in" crowd
ok "the quota says so" says "pods: 3/3" k get quota small -n q
ok "describe shows use and bounds" says "pods                3     3" k describe quota small -n q
ok "what goes makes room" k delete pod -n q --all --grace-period=0 --force
ok "and another comes in" soon 5 pod again q
k create service nodeport s -n q --tcp=80 >/dev/null
ok "node ports are counted" refused "services.nodeports=1" k create service nodeport s2 -n q --tcp=81
ok "an update that grows is refused" refused "exceeded quota: small" \
	k patch service s -n q --type=json -p '[{"op":"add","path":"/spec/ports/-","value":{"name":"b","port":81}}]'
k create quota cpu -n q --hard=requests.cpu=1 >/dev/null
ok "containers must say what is limited" refused "failed quota: cpu: must specify requests.cpu for: silent" pod silent q
ok "a quota that is gone holds nobody" k delete quota small cpu -n q
ok "so anything comes in" pod free q

# ---- limits ----
k create namespace l >/dev/null
soon 10 k get serviceaccount default -n l >/dev/null
cat >"$work/limits.yaml" <<'Y'
apiVersion: v1
kind: LimitRange
metadata: {name: l, namespace: l}
spec:
  limits:
  - {type: Container, default: {cpu: 500m}, defaultRequest: {cpu: 250m}, max: {memory: 1Gi}}
  - {type: PersistentVolumeClaim, max: {storage: 1Gi}}
Y
ok "limits are made" k apply -f "$work/limits.yaml"
ok "describe shows them" says "Container              cpu       -    -    250m             500m           -" k describe limits l -n l
ok "a pod comes in" pod a l
ok "and has the defaults" says "250m 500m 1Gi" k get pod a -n l \
	-o 'jsonpath={.spec.containers[0].resources.requests.cpu} {.spec.containers[0].resources.limits.cpu} {.spec.containers[0].resources.limits.memory}'
ok "and says where they are from" says "LimitRanger plugin set: cpu, memory request for container a; cpu, memory limit for container a" \
	k get pod a -n l -o 'jsonpath={.metadata.annotations}'
ok "too much is refused" refused "maximum memory usage per Container is 1Gi, but limit is 2Gi" \
	pod b l --overrides='{"spec":{"containers":[{"name":"b","image":"x","resources":{"limits":{"memory":"2Gi"}}}]}}'

# ---- Pod Security ----
k create namespace s >/dev/null
soon 10 k get serviceaccount default -n s >/dev/null
pod old s >/dev/null
ok "a label tells of the pods that break it" says \
	'Warning: old: allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile' \
	k label namespace s pod-security.kubernetes.io/enforce=restricted pod-security.kubernetes.io/warn=restricted
ok "pods that break it are refused" refused \
	'pods "new" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "new" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "new" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "new" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "new" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")' \
	pod new s
ok "a Deployment is made with a warning" says 'Warning: would violate PodSecurity "restricted:latest"' \
	k create deployment d -n s --image=x
ok "and its pods are refused, which an event tells" soon 10 says 'violates PodSecurity "restricted:latest"' k get events -n s
ok "unknown levels are refused" refused "must be one of privileged, baseline, restricted" \
	k label namespace s --overwrite pod-security.kubernetes.io/enforce=hard

# ---- what is in use ----
cat >"$work/claim.yaml" <<'Y'
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: c, namespace: default}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: user, namespace: default}
spec:
  nodeName: nowhere
  tolerations: [{operator: Exists}]
  containers: [{name: c, image: x}]
  volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]
---
apiVersion: v1
kind: Node
metadata: {name: nowhere}
Y
ok "a claim and a pod that uses it" k apply -f "$work/claim.yaml"
ok "deleting the claim waits" k delete pvc c --wait=false
ok "it is on its way out, and still there" says Terminating k get pvc c
ok "once the pod is gone" k delete pod user --grace-period=0 --force
gone() { ! k get pvc c >/dev/null 2>&1; }
ok "so is the claim" soon 10 gone
finish
