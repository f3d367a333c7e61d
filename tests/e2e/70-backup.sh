#!/bin/bash
# Backups of a running and of a stopped instance, bringing them back, and the key of what is
# encrypted at rest. Needs no containers.
. "$(dirname "$0")/lib.sh"
need_root "backups"

put() { k create configmap "$1" --from-literal=v="$2"; }
says() { [ "$(k get configmap "$1" -o jsonpath='{.data.v}')" = "$2" ]; }
secret() { [ "$(k get secret s -o jsonpath='{.data.p}' | base64 -d)" = "$1" ]; }
refuses() { local want=$1; shift; ! "$@" >"$work/refusal" 2>&1 && grep -q "$want" "$work/refusal" || { cat "$work/refusal"; return 1; }; }
gone() { k get --raw "/api/v1/configmaps?watch=true&resourceVersion=$1" 2>&1 | grep -q 'too old\|Expired\|410'; }
begin() { start --nodes 0; soon 10 k -n default get serviceaccount default; }
B() { "$PLUMB" backup "$@"; }
R() { "$PLUMB" restore "$@"; }

begin
ok "something to keep" put one 1
ok "and a Secret" k create secret generic s --from-literal=p=first
ok "a backup of a running instance" B "$work/b.db" --data-dir "$data"
ok "tells what it holds" B "$work/b2.db" --data-dir "$data" --with-root-key
ok "the key is beside it only when asked for" test -e "$work/b2.db.root-key" -a ! -e "$work/b.db.root-key"
ok "nobody but its owner may read it" test "$(stat -c %a "$work/b.db" "$work/b2.db.root-key" | sort -u)" = 600
ok "no Secret in it can be read" bash -c "! grep -q Zmlyc3Q= '$work/b.db'"
ok "a file that is there is not overwritten" refuses exists B "$work/b.db" --data-dir "$data"
ok "it is for system:masters only" refuses forbidden k get --raw /plumb/v1/backup --as=alice
ok "also with every right that RBAC gives" bash -c "'$KUBECTL' --kubeconfig '$data/admin.kubeconfig' create clusterrolebinding all --clusterrole=cluster-admin --user=alice && ! '$KUBECTL' --kubeconfig '$data/admin.kubeconfig' get --raw /plumb/v1/backup --as=alice"
ok "no copy stays behind" bash -c "! ls '$data' | grep backup-"

rv=$(k get configmap one -o jsonpath='{.metadata.resourceVersion}')
ok "what comes later" put two 2
k patch configmap one --type=merge -p '{"data":{"v":"changed"}}' >/dev/null
ok "a running instance is not restored over" refuses "runs on" R "$work/b.db" --data-dir "$data" --force
stop
ok "a store that is there is not thrown away" refuses force R "$work/b.db" --data-dir "$data"
cp "$work/b.db" "$work/bad.db"
at=$(grep -abo '"kind":"ConfigMap"' "$work/bad.db" | head -1 | cut -d: -f1) # inside an object: free space may hold anything
printf 'damage that nobody made on purpose' | dd of="$work/bad.db" bs=1 seek="$at" conv=notrunc 2>/dev/null
ok "a damaged backup is refused" refuses . R "$work/bad.db" --data-dir "$data" --force
ok "something else is refused" refuses . R "$0" --data-dir "$data" --force
begin
ok "and nothing changed" says two 2
stop
ok "a backup of a stopped instance" B "$work/stopped.db" --data-dir "$data"
ok "a backup is brought back" R "$work/b.db" --data-dir "$data" --force
ok "the store before is kept" test -s "$data/store.db.before"
begin
ok "what was there is there" says one 1
ok "what came later is not" refuses NotFound k get configmap two
ok "the Secret opens" secret first
ok "who watched goes on from nothing that never was" gone "$rv"
ok "new versions are above all old ones" bash -c "[ \$('$KUBECTL' --kubeconfig '$data/admin.kubeconfig' create configmap n -o jsonpath='{.metadata.resourceVersion}') -gt 1000000000 ]"

ok "a new root key" "$PLUMB" keys rotate-root --data-dir "$data"
ok "the file holds both" test "$(stat -c %s "$data/root.key")" = 64
ok "the Secret opens still" secret first
ok "the log says when the old one isn't needed" soon 10 grep -q "older ones aren't needed" "$data/log/apiserver.log"
stop
cp "$data/root.key" "$work/both.key"
tail -c 32 "$work/both.key" >"$work/old.key"; head -c 32 "$work/both.key" >"$data/root.key"
begin
ok "nothing is under the old key any more" secret first
stop
printf x | cat "$data/root.key" - | head -c 32 >/dev/null
rm -rf "$data.2"; data=$data.2
ok "not into a new instance without the key" refuses root-key R "$work/b.db" --data-dir "$data"
chmod 600 "$work/old.key"
ok "with it" R "$work/b.db" --data-dir "$data" --root-key "$work/old.key"
begin
ok "the Secret opens there" secret first
stop
"$PLUMB" down --data-dir "$data" >/dev/null 2>&1; rm -rf "$data"; data=$data.3
ok "or without Secrets" R "$work/stopped.db" --data-dir "$data" --drop-secrets
begin
ok "the rest is there" says two 2
ok "the Secret is not" refuses NotFound k get secret s
stop
"$PLUMB" down --data-dir "$data" >/dev/null 2>&1
data=$work/data
finish
