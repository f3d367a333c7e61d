#!/bin/bash
# Drift in mode `propose`: what somebody changed stays until the commit that tells about it is
# merged or its branch deleted; all else goes on rolling out. The control plane alone; no root.
. "$(dirname "$0")/lib.sh"
for t in git "$KUBECTL"; do command -v "$t" >/dev/null || skip_all "propose" "needs $t"; done

repo=$work/repo
git init -q -b main "$repo"
mkdir -p "$repo/app" "$repo/shop"
cat >"$repo/app/shop.yaml" <<'Y'
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: shop
  namespace: plumb-system
  annotations: {plumb.dev/drift: propose}
spec:
  interval: 1m
  prune: true
  path: shop
  sourceRef: {kind: GitRepository, name: root}
Y
cat >"$repo/shop/objects.yaml" <<'Y'
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  namespace: shop
data:
  colour: blue # sea
  size: big
---
apiVersion: v1
kind: ConfigMap
metadata: {name: other, namespace: shop}
data: {a: b}
Y
git -C "$repo" add -A && git -C "$repo" commit -qm 'the shop'
git clone -q --bare "$repo" "$work/repo.git"
git -C "$repo" remote add origin "$work/repo.git"

# After its second start, `late` waits between looking at what is live and what follows from it.
export PLUMB_FAULT='reconciler.looked/plumb-system/late=err@1!'
start --nodes 0 --repo "file://$work/repo.git" --path app
branch=plumb/drift/default/plumb-system-shop
is() { local v; v=$(k -n shop get configmap settings -o jsonpath="{.data.$1}" 2>&1); [ "$v" = "$2" ] || { echo "$1 is '$v', not '$2'"; return 1; }; }
stands() { git -C "$work/repo.git" rev-parse -q --verify "refs/heads/$branch"; }
gone() { ! stands; }
absent() { ! k -n shop get configmap other; }
push() { git -C "$repo" add -A && git -C "$repo" commit -qm "$1" && git -C "$repo" push -q origin HEAD:main; }
edit() { k -n shop patch configmap settings -p "{\"data\":{\"colour\":\"$1\"}}" --field-manager=eve >/dev/null; }

crash() { kill_role 9 reconciler; }

ok "applied" soon 10 is colour blue
edit pink
ok "an edit is proposed on a branch" soon 10 stands
ok "… and stays" is colour pink
sed -i 's/size: big/size: small/' "$repo/shop/objects.yaml"; push 'small'
ok "another field rolls out" soon 10 is size small
ok "… and the edit still stays" is colour pink

git -C "$work/repo.git" update-ref -d "refs/heads/$branch"
ok "deleting the branch puts git's value back" soon 10 is colour blue
edit pink
ok "the same edit stays rejected" soon 10 is colour blue
edit gold
ok "another value is proposed anew" soon 10 sh -c "git -C $work/repo.git show $branch:shop/objects.yaml | grep -q 'colour: gold # sea'"

git -C "$repo" fetch -q origin "$branch" && git -C "$repo" merge -q -m 'gold it is' FETCH_HEAD && git -C "$repo" push -q origin HEAD:main
ok "merging it takes the branch away" soon 10 gone
ok "… and adopts the value" is colour gold

k -n shop delete configmap other >/dev/null
ok "a deletion is proposed" soon 10 stands
ok "… as the document taken out" sh -c "! git -C $work/repo.git show $branch:shop/objects.yaml | grep -q other"
crash
sleep 1.5
ok "… and still stays after a restart" absent
k -n shop create configmap other --from-literal=a=b >/dev/null
ok "a look at all of it" soon 5 "$PLUMB" reconcile shop --data-dir "$data"
ok "what went back by itself is no longer proposed" soon 10 gone
# The first run after a start reads what is live, and writes a moment later.
edit red
ok "an edit" soon 10 stands
for i in 1 2 3 4 5 6; do
	crash; edit "red$i"; sleep 0.0$i; edit "red$i$i"
	soon 5 "$PLUMB" reconcile shop --data-dir "$data" >/dev/null
	ok "edits while a run is under way are not undone ($i)" is colour "red$i$i"
done

# A remote that takes nothing for a while: here, because somebody else holds the branch.
edit gold
ok "drift that is gone takes its branch along" soon 10 gone
mkdir -p "$(dirname "$work/repo.git/refs/heads/$branch")"; touch "$work/repo.git/refs/heads/$branch.lock"
edit late
ok "what can't be pushed is said" soon 10 grep -q 'cannot push the drift commit' "$data/log/reconciler.log"
rm "$work/repo.git/refs/heads/$branch.lock"
ok "… and pushed once it can" soon 10 stands
ok "… while the edit stays" is colour late
touch "$work/repo.git/refs/heads/$branch.lock"
edit gold
ok "what can't be deleted is said" soon 10 grep -q 'cannot delete the drift branch, trying again' "$data/log/reconciler.log"
stands >/dev/null && rm "$work/repo.git/refs/heads/$branch.lock"
ok "… and deleted once it can" soon 10 gone
edit silver
ok "one more" soon 10 sh -c "git -C $work/repo.git show $branch:shop/objects.yaml | grep -q silver && $KUBECTL --kubeconfig $data/admin.kubeconfig -n plumb-system get driftreport shop -o jsonpath={.status.commit} | grep -q ."
crash; edit gold
ok "drift that goes while nobody looks takes its branch along" soon 15 gone
ok "… and its report" soon 5 sh -c "! $KUBECTL --kubeconfig $data/admin.kubeconfig -n plumb-system get driftreport shop"

# The first run after a restart looks, and writes later: what happens in between is no past.
sed 's/name: shop/name: late/; s/path: shop/path: late/' "$repo/app/shop.yaml" >"$work/late.yaml"
git -C "$repo" fetch -q && git -C "$repo" reset -q --hard origin/main; mkdir -p "$repo/late"; mv "$work/late.yaml" "$repo/app/"
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: late, namespace: shop}\ndata: {a: b}\n' >"$repo/late/a.yaml"; push late
late() { local v; v=$(k -n shop get configmap late -o jsonpath='{.data.a}' 2>&1); [ "$v" = "$1" ] || { echo "a is '$v', not '$1'"; return 1; }; }
ok "another one" soon 10 late b
settled() { k -n plumb-system get kustomization late -o jsonpath='{.status.lastAppliedRevision}' | grep -q "$(git -C "$repo" rev-parse HEAD)"; }
ok "… is applied" soon 10 settled
before=$(wc -l <"$data/log/reconciler.log"); crash
held() { tail -n "+$((before + 1))" "$data/log/reconciler.log" | grep -q 'held by a fault point.*plumb-system/late'; }
ok "after a restart it looks at what is live" soon 15 held
k -n shop patch configmap late -p '{"data":{"a":"c"}}' --field-manager=eve >/dev/null
ok "… and what is changed then is proposed" soon 15 git -C "$work/repo.git" rev-parse -q --verify refs/heads/plumb/drift/default/plumb-system-late
ok "… and stays" late c
k -n shop patch configmap settings -p '{"data":{"size":"huge"}}' --field-manager=eve >/dev/null
ok "what is proposed" soon 10 stands
k -n plumb-system annotate kustomization root plumb.dev/suspend-until=2099-01-01T00:00:00Z >/dev/null
k -n plumb-system delete kustomization shop --wait=false >/dev/null
ok "… goes with the Kustomization" soon 15 gone
ok "… and its report" soon 5 sh -c "! $KUBECTL --kubeconfig $data/admin.kubeconfig -n plumb-system get driftreport shop"
ok "clean stop" stop
finish
