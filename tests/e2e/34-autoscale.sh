#!/bin/bash
# What pods and nodes use, and what autoscalers make of it.
. "$(dirname "$0")/lib.sh"
need_root "pods"
busybox_image busybox:1 >/dev/null
start

cat >"$work/busy.yaml" <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: busy, labels: {app: busy}}
spec:
  replicas: 1
  selector: {matchLabels: {app: busy}}
  template:
    metadata: {labels: {app: busy, tier: back}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: main
          image: busybox:1
          # Busy while the file says so.
          command: [sh, -c, 'while true; do if [ -e /load/on ]; then i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; else sleep 0.2; fi; done']
          resources: {requests: {cpu: 50m, memory: 16Mi}}
          volumeMounts: [{name: load, mountPath: /load}]
        - {name: idle, image: 'busybox:1', command: [sleep, '100000'], resources: {requests: {cpu: 50m, memory: 16Mi}}}
      volumes: [{name: load, hostPath: {path: LOAD, type: DirectoryOrCreate}}]
Y
mkdir -p "$work/load"
sed -i "s|LOAD|$work/load|" "$work/busy.yaml"

k apply -f "$work/busy.yaml" >/dev/null
ok "a deployment runs" soon 20 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get deploy busy --no-headers | grep -q 1/1"

# ---- metrics.k8s.io
top_says() { # top_says PATTERN ARGS…
	local want=$1; shift
	k top "$@" --no-headers >"$work/top" 2>&1 && grep -qE "$want" "$work/top" && return
	cat "$work/top"; return 1
}
ok "top nodes" top_says '^node-1 +[0-9]+m +[0-9]+% +[0-9]+Mi +[0-9]+%' nodes
ok "top pods" soon 5 top_says '^busy-[a-z0-9-]+ +[0-9]+m +[0-9]+Mi' pods
ok "… each container" top_says '^busy-[a-z0-9-]+ +idle +[0-9]+m +[0-9]+Mi' pods --containers
ok "… of all namespaces, sorted" top_says '^default +busy' pods -A --sort-by=cpu
ok "… by label" top_says '^busy' pods -l tier=back
ok "… and none by another" sh -c "! $KUBECTL --kubeconfig $data/admin.kubeconfig top pods -l tier=front 2>&1 | grep -q busy"
raw() { k get --raw "/apis/metrics.k8s.io/v1beta1/$1"; }
ok "the group is discovered" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig api-resources --api-group=metrics.k8s.io --no-headers | grep -q 'PodMetrics'"
ok "objects are as published" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get --raw /apis/metrics.k8s.io/v1beta1/namespaces/default/pods | grep -qE '\"kind\":\"PodMetricsList\".*\"window\":\"[0-9.]+m?s\".*\"usage\":\{\"cpu\":\"[0-9]+[num]?\",\"memory\":\"[0-9]+(Ki|Mi)?\"'"
ok "… and as a table" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get podmetrics | grep -q WINDOW"
ok "an unknown pod has none" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get podmetrics nosuch 2>&1 | grep -q NotFound"
ok "nobody writes them" sh -c "! $KUBECTL --kubeconfig $data/admin.kubeconfig delete nodemetrics node-1 >/dev/null 2>&1"
k create serviceaccount watcher >/dev/null
k create rolebinding watcher --clusterrole=view --serviceaccount=default:watcher >/dev/null
ok "who may view may see them" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig top pods --as=system:serviceaccount:default:watcher"
ok "… and others may not" sh -c "! $KUBECTL --kubeconfig $data/admin.kubeconfig top pods --as=nobody 2>&1 | grep -q busy"
finish
