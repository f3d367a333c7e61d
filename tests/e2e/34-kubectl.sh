#!/bin/bash
# What people do with kubectl all day, against pods that run: run, roll out, wait, drain, copy, diff, proxy.
. "$(dirname "$0")/lib.sh"
need_root "kubectl"
busybox_image busybox:1 >/dev/null
ln -sf busybox "$work/fs/bin/tar" && "$PLUMB" image import --data-dir "$data" busybox:1 "$work/fs" >/dev/null
start --nodes 2
kc="$KUBECTL --kubeconfig $data/admin.kubeconfig"
# says TEXT COMMAND…: the command succeeds and prints that.
says() { local want=$1 out; shift; out=$("$@" 2>&1) || { echo "$out"; return 1; }; echo "$out"; grep -qF -- "$want" <<<"$out"; }
# fails TEXT COMMAND…: it fails, and says why.
fails() { local want=$1 out; shift; out=$("$@" 2>&1) && { echo "$out"; return 1; }; echo "$out"; grep -qF -- "$want" <<<"$out"; }
cat >"$work/app.yaml" <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: app, labels: {set: x}}
spec:
  replicas: 1
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: "busybox:1", command: [sh, -c, "echo began; exec sleep 1000"]}]
---
apiVersion: v1
kind: Service
metadata: {name: app, labels: {set: x}}
spec: {type: NodePort, selector: {app: app}, ports: [{port: 80}]}
Y
ok "apply" k apply -f "$work/app.yaml"
port=$(k get svc app -o jsonpath='{.spec.ports[0].nodePort}')
ok "rollout status" k rollout status deploy/app --timeout=180s
ok "apply again keeps the node port" sh -c "$kc apply -f $work/app.yaml && [ \$($kc get svc app -o jsonpath='{.spec.ports[0].nodePort}') = $port ]"
ok "run --rm -i: its input, its output" says "typed" sh -c "echo typed | $kc run once --image=busybox:1 --restart=Never --rm -i --command -- sh -c 'read x; echo \$x'"
ok "run: its exit code" sh -c "$kc run bad --image=busybox:1 --restart=Never --rm -i --command -- sh -c 'sleep 0.5; exit 42' </dev/null; [ \$? = 42 ]"
sed 's/began/again/' "$work/app.yaml" >"$work/app2.yaml"
ok "diff finds the difference" sh -c "$kc diff -f $work/app2.yaml | grep -q '^+.*again'; [ \$? = 0 ]"
ok "apply rolls out" sh -c "$kc apply -f $work/app2.yaml && $kc rollout status deploy/app --timeout=180s"
ok "history tells of both" says "2 " k rollout history deploy/app
ok "undo goes back" sh -c "$kc rollout undo deploy/app && $kc rollout status deploy/app --timeout=180s"
# A rollout is done before the last of the old pods is gone.
settled() { [ -z "$(k get pods -l app=app -o jsonpath='{.items[*].metadata.deletionTimestamp}')" ]; }
soon 15 settled
began() { [ "$(k logs deploy/app)" = began ]; }
ok "… to what it said" soon 10 began
ok "view-last-applied" says "again" k apply view-last-applied deploy/app
ok "set image, env, resources" sh -c "$kc set image deploy/app main=busybox:1 && $kc set env deploy/app A=b && $kc set resources deploy/app --requests=cpu=10m && $kc rollout status deploy/app --timeout=180s"
ok "restart" sh -c "$kc rollout restart deploy/app && $kc rollout status deploy/app --timeout=180s"
soon 15 settled
pod=$(k get pods -l app=app --field-selector=status.phase=Running -o jsonpath='{.items[-1:].metadata.name}')
ok "cp there and back" sh -c "$kc cp $work/app.yaml $pod:/tmp/f && $kc cp $pod:/tmp/f $work/back && cmp $work/app.yaml $work/back"
ok "a container that isn't" fails "container nope is not valid for pod" k exec "$pod" -c nope -- ls
ok "logs before its first end" fails "previous terminated container" k logs "$pod" --previous
ok "scale by its sub-resource" sh -c "$kc patch deploy app --subresource=scale --type=merge -p '{\"spec\":{\"replicas\":2}}' 2>/dev/null || $kc scale deploy app --replicas=2"
ok "wait" k wait --for=condition=Available deploy/app --timeout=180s
ok "describe pod" says "QoS Class:" k describe pod "$pod"
ok "describe service" says "Session Affinity:" k describe svc app
ok "describe node" says "Non-terminated Pods:" k describe node
ok "… with what became of it" says "status is now: NodeReady" k describe node
ok "events name the container" says "spec.containers{main}" k get events -o wide
k create configmap gone >/dev/null; k label cm gone set=x >/dev/null
k get cm gone -o yaml | sed '/resourceVersion\|uid\|creationTimestamp/d' | k apply -f - >/dev/null 2>&1
# Older clients look for kinds that no server has any more.
[ "$(kubectl_minor)" -lt 22 ] && skip "apply --prune" "kubectl is too old" || ok "apply --prune takes what isn't there any more" says "configmap/gone pruned" k apply -f "$work/app.yaml" --prune -l set=x
ok "a quota of scopes that aren't is refused" fails "unsupported scope" k create quota q --hard=pods=1 --scopes=Nope
# What apply put back above rolls out: the pod of before may be gone.
k rollout status deploy/app --timeout=180s >/dev/null
node=$(k get pods -l app=app --field-selector=status.phase=Running -o jsonpath='{.items[0].spec.nodeName}')
ok "cordon" k cordon "$node"
ok "… is told of" soon 10 says NodeNotSchedulable k describe node "$node"
ok "drain" k drain "$node" --ignore-daemonsets --force --timeout=180s
ok "… its pods go on elsewhere" soon 10 sh -c "[ \$($kc get pods -l app=app --field-selector=status.phase=Running -o jsonpath='{range .items[*]}{.spec.nodeName}{\"\\n\"}{end}' | grep -vc ^$node\$) -ge 1 ]"
ok "uncordon, taint" sh -c "$kc uncordon $node && $kc taint node $node a=b:NoSchedule && $kc taint node $node a-"
# kubectl itself, not a shell around it, or it would outlive the test.
"$KUBECTL" --kubeconfig "$data/admin.kubeconfig" proxy --unix-socket="$work/sock" >/dev/null 2>&1 & proxy=$!
ok "proxy on a socket" soon 5 says '"versions"' curl -s --unix-socket "$work/sock" http://localhost/api
ok "… to a node's kubelet" says ok curl -s --unix-socket "$work/sock" "http://localhost/api/v1/nodes/$node/proxy/healthz"
ok "… to its machine's logs" says "<pre>" curl -sL --unix-socket "$work/sock" "http://localhost/api/v1/nodes/$node/proxy/logs"
kill "$proxy"; wait "$proxy" 2>/dev/null
ok "delete, in the foreground" k delete -f "$work/app.yaml" --cascade=foreground --timeout=180s
ok "… and all is gone" sh -c "[ -z \"\$($kc get pods,rs -l app=app -o name)\" ]"
finish
