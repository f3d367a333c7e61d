#!/bin/bash
# git is the cluster: push deploys, bad pushes change nothing and say why, drift comes back as a
# commit, revert rolls back. The control plane alone; no root needed.
. "$(dirname "$0")/lib.sh"
for t in git "$KUBECTL"; do command -v "$t" >/dev/null || skip_all "gitops" "needs $t"; done

repo=$work/repo
git init -q -b main "$repo"
mkdir -p "$repo/app"
cat >"$repo/app/objects.yaml" <<'Y'
# settings of the shop
apiVersion: v1
kind: Namespace
metadata:
  name: shop
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings # keep this name
  namespace: shop
data:
  colour: blue
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: front
  namespace: shop
spec:
  replicas: 2 # two are enough
  selector:
    matchLabels: {app: front}
  template:
    metadata:
      labels: {app: front}
    spec:
      containers:
        - name: main
          image: "shop/front:1"
Y
git -C "$repo" add -A && git -C "$repo" commit -qm 'the shop'
git clone -q --bare "$repo" "$work/repo.git"
git -C "$repo" remote add origin "$work/repo.git" && git -C "$repo" fetch -q && git -C "$repo" branch -q -u origin/main
good=$(cat "$repo/app/objects.yaml")

start --nodes 0 --repo "file://$work/repo.git" --path app
json() { k -n "$1" get "$2" -o jsonpath="$3"; }
is() { [ "$(json "$1" "$2" "$3" 2>/dev/null)" = "$4" ] || { echo "$1 $2 $3 is '$(json "$1" "$2" "$3" 2>&1)', not '$4'"; return 1; }; }
ready() { is plumb-system kustomization/root '{.status.conditions[?(@.type=="Ready")].status}' "$1"; }
message() { json plumb-system kustomization/root '{.status.conditions[?(@.type=="Ready")].message}' | grep -qE "$1" || { echo "message is: $(json plumb-system kustomization/root '{.status.conditions[?(@.type=="Ready")].message}')"; return 1; }; }
push() { git -C "$repo" add -A && git -C "$repo" commit -qm "$1" && git -C "$repo" push -q "${@:2}"; }
applied() { is plumb-system kustomization/root '{.status.lastAppliedRevision}' "main@sha1:$(git -C "$repo" rev-parse HEAD)"; }

ok "the repository is applied" soon 15 is shop configmap/settings '{.data.colour}' blue
ok "… and Ready says so" soon 10 ready True
ok "status names the commit" soon 10 applied
ok "inventory lists what is ours" soon 5 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig -n plumb-system get kustomization root -o jsonpath='{.status.inventory.entries[*].id}' | grep -q shop_front_apps_Deployment"

sed -i 's/colour: blue/colour: green/' "$repo/app/objects.yaml"; push 'green'
ok "a push is applied" soon 10 is shop configmap/settings '{.data.colour}' green
good=$(cat "$repo/app/objects.yaml")

# ---- bad input: a clear message, nothing changed, healed by the next good push ----
bad() { # bad NAME PATTERN: what stands in app/ now must be refused with a message that matches
	push "$1"
	ok "$1: refused with file and reason" soon 15 message "$2"
	ok "$1: nothing changed" is shop configmap/settings '{.data.colour}' green
	printf '%s\n' "$good" >"$repo/app/objects.yaml"; rm -rf "$repo"/app/extra*; push "mend $1"
	ok "$1: healed" soon 15 ready True
}
printf 'a: [1\nb: 2\n' >"$repo/app/extra.yaml"; bad "yaml error" 'app/extra.yaml.*(line )?2'
printf 'apiVersion: v1\nkind: Nonsense\nmetadata: {name: x, namespace: shop}\n' >"$repo/app/extra.yaml"; bad "unknown kind" 'app/extra.yaml.*Nonsense'
sed -i 's/  replicas: 2/  replcas: 2/' "$repo/app/objects.yaml"; bad "unknown field" 'app/objects.yaml.*replcas'
sed -i 's/  replicas: 2/  replicas: many/' "$repo/app/objects.yaml"; bad "wrong type" 'app/objects.yaml.*replicas'
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: nowhere}\n' >"$repo/app/extra.yaml"; bad "missing namespace" 'nowhere'
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: shop}\n' >"$repo/app/extra.yaml"; bad "the same object twice" 'settings.*(twice|more than once|duplicate|also)'
ln -s /etc/passwd "$repo/app/extra.yaml"; bad "symbolic link out" 'app/extra.yaml.*link'
{ echo 'apiVersion: v1'; echo 'kind: ConfigMap'; echo 'metadata: {name: x, namespace: shop}'; echo 'data:'; echo '  x: |'; head -c 100000000 /dev/zero | tr '\0' 'x' | fold -w 1000 | sed 's/^/    /'; } >"$repo/app/extra.yaml"; bad "a 100 MB file" 'app/extra.yaml.*(larger|MiB|MB|bytes)'
{ echo 'a0: &a0 [x,x,x,x,x,x,x,x,x]'; for i in 1 2 3 4 5 6 7 8 9; do p=$((i - 1)); echo "a$i: &a$i [*a$p,*a$p,*a$p,*a$p,*a$p,*a$p,*a$p,*a$p,*a$p]"; done; } >"$repo/app/extra.yaml"; bad "alias bomb" 'app/extra.yaml.*alias'
ok "events tell of it" soon 5 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig -n plumb-system get events | grep -q extra.yaml"

git -C "$repo" mv app moved; push 'move the folder'
ok "a path that is gone is named" soon 10 message 'app'
ok "… and prunes nothing" is shop configmap/settings '{.data.colour}' green
git -C "$repo" mv moved app; push 'move it back'
ok "… healed" soon 10 ready True

mv "$work/repo.git" "$work/hidden.git"
ok "a repository that disappears is named" soon 15 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig -n plumb-system get gitrepository root -o jsonpath='{.status.conditions[?(@.type==\"Ready\")].status}' | grep -q False"
ok "… workloads stay" is shop configmap/settings '{.data.colour}' green
mv "$work/hidden.git" "$work/repo.git"
ok "… healed" soon 15 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig -n plumb-system get gitrepository root -o jsonpath='{.status.conditions[?(@.type==\"Ready\")].status}' | grep -q True"

git -C "$repo" commit -q --amend -m 'another history'; sed -i 's/colour: green/colour: red/' "$repo/app/objects.yaml"; push 'rewritten' -f
ok "a rewritten history is followed" soon 10 is shop configmap/settings '{.data.colour}' red

# ---- prune ----
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: short, namespace: shop}\n' >"$repo/app/short.yaml"; push 'one more'
ok "a new object arrives" soon 10 k -n shop get configmap short
rm "$repo/app/short.yaml"; push 'one less'
ok "what leaves the repository leaves the cluster" soon 10 sh -c "! $KUBECTL --kubeconfig $data/admin.kubeconfig -n shop get configmap short 2>/dev/null"

# ---- drift ----
k -n shop patch configmap settings --field-manager=alice -p '{"data":{"colour":"pink"}}' >/dev/null
ok "an edit by hand is put back" soon 5 is shop configmap/settings '{.data.colour}' red
branch() { git -C "$work/repo.git" for-each-ref --format='%(refname:short)' refs/heads/plumb/drift | head -1; }
ok "a drift branch is pushed" soon 15 sh -c "git -C $work/repo.git for-each-ref refs/heads/plumb/drift | grep -q ."
edit() { git -C "$work/repo.git" diff "main...$(branch)" -- app/objects.yaml; }
ok "its commit edits just the drifted line" sh -c "[ \"\$(git -C $work/repo.git diff --numstat main...$(branch) -- app/objects.yaml | cut -f1,2 | tr '\t' ' ')\" = '1 1' ]"
ok "… to what was live" sh -c "git -C $work/repo.git show $(branch):app/objects.yaml | grep -q 'colour: pink'"
ok "… and names who did it" sh -c "git -C $work/repo.git log -1 --format=%B $(branch) | grep -q alice || git -C $work/repo.git diff main...$(branch) | grep -q alice"
ok "comments survive" sh -c "git -C $work/repo.git show $(branch):app/objects.yaml | grep -q 'name: settings # keep this name'"
ok "a DriftReport says the same" soon 5 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get driftreports -A -o yaml | grep -q colour"
k -n shop delete deployment front --wait=false >/dev/null
ok "a deleted object comes back" soon 10 is shop deployment/front '{.spec.replicas}' 2

git -C "$repo" revert --no-edit HEAD >/dev/null 2>&1; sed -i 's/colour: red/colour: blue/' "$repo/app/objects.yaml"; push 'back to blue' || true
ok "going back is a push like any other" soon 10 is shop configmap/settings '{.data.colour}' blue
ok "suspend" "$PLUMB" suspend root --data-dir "$data"
sed -i 's/colour: blue/colour: grey/' "$repo/app/objects.yaml"; push 'grey'
sleep 2
ok "… applies nothing" is shop configmap/settings '{.data.colour}' blue
ok "resume" "$PLUMB" resume root --data-dir "$data"
ok "… catches up" soon 10 is shop configmap/settings '{.data.colour}' grey
ok "plumb status" sh -c "$PLUMB status --data-dir $data | grep -q plumb-system/root"
ok "plumb drift" "$PLUMB" drift --data-dir "$data"
ok "clean stop" stop
finish
