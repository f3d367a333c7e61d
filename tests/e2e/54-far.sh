#!/bin/bash
# spec.kubeConfig: rendered here, applied in another cluster, with a tenant's credentials there.
# Two control planes alone; no root.
. "$(dirname "$0")/lib.sh"
for t in git "$KUBECTL"; do command -v "$t" >/dev/null || skip_all "another cluster" "needs $t"; done

repo=$work/repo
git init -q -b main "$repo"
mkdir -p "$repo/app" "$repo/far"
cat >"$repo/app/far.yaml" <<'Y'
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: far, namespace: plumb-system}
spec:
  interval: 1h
  retryInterval: 1s
  prune: true
  wait: true
  timeout: 3s
  path: far
  sourceRef: {kind: GitRepository, name: root}
  kubeConfig: {secretRef: {name: there}}
Y
printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: shop}\ndata: {colour: blue}\n' >"$repo/far/all.yaml"
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more, namespace: shop}\n' >"$repo/far/more.yaml"
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: here}\n' >"$repo/app/here.yaml"
git -C "$repo" add -A && git -C "$repo" commit -qm 'far away'
git clone -q --bare "$repo" "$work/repo.git" && git -C "$repo" remote add origin "$work/repo.git"
push() { git -C "$repo" add -A && git -C "$repo" commit -qm "$1" && git -C "$repo" push -q origin HEAD:main; }

far=$work/far
far_up() { "$PLUMB" up --nodes 0 --data-dir "$far" --listen "127.0.0.1:${1:-0}" >"$work/far.log" 2>&1 & far_pid=$!; soon 30 test -e "$far/ready"; }
far_down() { kill "$far_pid" 2>/dev/null && wait "$far_pid" 2>/dev/null; "$PLUMB" down --data-dir "$far" >/dev/null 2>&1; }
trap 'far_down; cleanup' EXIT
far_up || { fail "the other cluster gets ready"; exit 1; }
f() { "$KUBECTL" --kubeconfig "$far/admin.kubeconfig" "$@"; }
is() { local v; v=$(f -n shop get configmap settings -o jsonpath='{.data.colour}' 2>&1); [ "$v" = "$1" ] || { echo "colour is '$v', not '$1'"; return 1; }; }
ready() { local v; v=$(k -n plumb-system get kustomization far -o jsonpath='{range .status.conditions[?(@.type=="Ready")]}{.status} {.reason} {.message}{end}'); echo "$v" | grep -qE -- "$1" || { echo "'$v' is not like '$1'"; return 1; }; }

start --nodes 0 --repo "file://$work/repo.git" --path app
ok "without its Secret it says so" soon 10 ready 'False ReconciliationFailed spec.kubeConfig: .*there'
k -n plumb-system create secret generic there --from-literal=value='{"current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}], "clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:1"}}], "users": [{"name": "x", "user": {"exec": {"command": "id"}}}]}' >/dev/null
ok "a kubeconfig that runs programs is refused" soon 10 ready 'runs programs'
k -n plumb-system delete secret there >/dev/null
k -n plumb-system create secret generic there --from-literal=value='{"current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}], "clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:1", "certificate-authority": "/etc/hostname"}}]}' >/dev/null
ok "… and one that names files" soon 10 ready 'names a file'
k -n plumb-system delete secret there >/dev/null
k -n plumb-system create secret generic there --from-file=value="$far/admin.kubeconfig" >/dev/null
ok "with it all is applied there" soon 15 is blue
ok "… and healthy" soon 10 ready 'True ReconciliationSucceeded'
ok "… and nothing here" sh -c "! '$KUBECTL' --kubeconfig '$data/admin.kubeconfig' get namespace shop"
sed -i 's/blue/red/' "$repo/far/all.yaml"; git -C "$repo" rm -q far/more.yaml; push 'red'
ok "a push reaches it" soon 10 is red
ok "… and prunes" soon 10 sh -c "! '$KUBECTL' --kubeconfig '$far/admin.kubeconfig' -n shop get configmap more"
f -n shop patch configmap settings -p '{"data":{"colour":"pink"}}' >/dev/null
sleep 0.5
ok "drift there is left to its people" is pink
kill_role 9 reconciler
sed -i 's/red/green/' "$repo/far/all.yaml"; push 'green'
ok "a restarted reconciler goes on" soon 15 is green
printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: never, namespace: shop}\nspec: {containers: [{name: c, image: "none:1"}]}\n' >>"$repo/far/all.yaml"; push 'never'
ok "health is that of the objects there" soon 15 ready 'HealthCheckFailed.*Pod shop/never'
sed -i '/^---$/{N;N;/kind: Pod/{N;N;d}}' "$repo/far/all.yaml"; sed -i '/kind: Pod/,$d' "$repo/far/all.yaml"; push 'without'
ok "well again" soon 15 ready 'True ReconciliationSucceeded'
port=$(sed -n 's/.*server: https:.*:\([0-9]*\)$/\1/p' "$far/admin.kubeconfig"); kill "$far_pid"; wait "$far_pid" 2>/dev/null
sed -i 's/green/grey/' "$repo/far/all.yaml"; push 'grey'
ok "one that cannot be reached is told" soon 20 ready '^False'
far_up "$port" || fail "the other cluster comes back"
ok "… and applied to when it is back" soon 25 is grey
git -C "$repo" rm -q app/far.yaml; push 'gone'
ok "its end takes along what is there" soon 15 sh -c "! '$KUBECTL' --kubeconfig '$far/admin.kubeconfig' -n shop get configmap settings"
ok "… and is no more" soon 10 sh -c "! '$KUBECTL' --kubeconfig '$data/admin.kubeconfig' -n plumb-system get kustomization far"
k apply -f - >/dev/null <<Y
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: farther, namespace: plumb-system}
spec: {interval: 1m, prune: true, path: far, sourceRef: {kind: GitRepository, name: root}, kubeConfig: {configMapRef: {name: x}}}
Y
ok "one that names a cluster in another way is told" soon 10 sh -c "'$KUBECTL' --kubeconfig '$data/admin.kubeconfig' -n plumb-system get kustomization farther -o jsonpath='{.status.conditions[*].message}' | grep -q 'only secretRef is supported'"
ok "… and can be deleted" k -n plumb-system delete kustomization farther --timeout=15s
ok "clean stop" stop
finish
