#!/bin/bash
# Secrets: sealed anywhere, opened only where they belong, never in clear on disk; key rotation.
. "$(dirname "$0")/lib.sh"
command -v "$KUBECTL" >/dev/null || skip_all "secrets" "needs kubectl"
start --nodes 0
seal() { "$PLUMB" seal --data-dir "$data" "$@"; }
value() { [ "$(k -n "$1" get secret db -o jsonpath='{.data.password}' 2>/dev/null | base64 -d)" = "$2" ]; }
reason() { [ "$(k -n "$1" get sealedsecret db -o jsonpath='{.status.conditions[0].reason}')" = "$2" ]; }
published() { k -n kube-public get configmap plumb-sealing-key -o jsonpath='{.data.cluster\.pub}'; }

ok "a sealing key is published" soon 10 sh -c "$(declare -f k published); KUBECTL='$KUBECTL' data='$data'; published | grep -q ^plumb-seal-v1:"
cat >"$work/secret.yaml" <<'Y'
apiVersion: v1
kind: Secret
metadata: {name: db, namespace: default, labels: {app: x}}
type: example.com/db
stringData: {password: correct-horse-battery}
Y
seal -f "$work/secret.yaml" >"$work/sealed.yaml"
ok "the sealed file hides the value" sh -c "grep -q 'kind: SealedSecret' '$work/sealed.yaml' && ! grep -qE 'correct-horse|$(printf correct-horse-battery | base64 | cut -c1-20)' '$work/sealed.yaml'"
k apply -f "$work/sealed.yaml" >/dev/null
ok "it becomes the Secret" soon 5 value default correct-horse-battery
ok "with its type and labels" sh -c "[ '$(k get secret db -o jsonpath='{.type} {.metadata.labels.app}')' = 'example.com/db x' ]"
ok "which is in clear nowhere in the store" sh -c "! cat '$data'/store.db* | grep -aqE 'correct-horse|$(printf correct-horse-battery | base64 | cut -c1-20)'"

k create namespace thief >/dev/null
sed 's/namespace: default/namespace: thief/' "$work/sealed.yaml" | k apply -f - >/dev/null
ok "elsewhere it doesn't open, and says why" soon 5 reason thief WrongScope
ok "and makes no Secret" sh -c "! '$KUBECTL' --kubeconfig '$data/admin.kubeconfig' -n thief get secret db 2>/dev/null"

ok "the cluster says that it could open it" sh -c "'$PLUMB' seal --data-dir '$data' --validate '$work/sealed.yaml' | grep -q '1 value that the cluster opens'"
sed 's/name: db/name: other/' "$work/sealed.yaml" >"$work/moved.yaml"
ok "… and why it couldn't, under another name" sh -c "'$PLUMB' seal --data-dir '$data' --validate '$work/moved.yaml' 2>&1 | grep -q 'other: password: sealed for another namespace, name or key'"
ok "kubectl's lists are sealed whole" [ "$(k get secret db -o yaml | cat - <(echo '---') "$work/secret.yaml" | seal | grep -c 'kind: SealedSecret')" = 2 ]
k get secrets -o yaml >"$work/list.yaml"
ok "… as a List, too" [ "$(seal "$work/list.yaml" | grep -c 'kind: SealedSecret')" = "$(k get secrets -o name | wc -l)" ]
ok "what isn't a Secret is called by its name" sh -c "echo 'kind: ConfigMap' | '$PLUMB' seal --data-dir '$data' 2>&1 | grep -q 'standard input: a ConfigMap, not a Secret'"
ok "options of sops' want a file of sops'" sh -c "'$PLUMB' seal --data-dir '$data' --bind '$work/secret.yaml' 2>&1 | grep -q 'go with --sops'"
seal --merge-into "$work/sealed.yaml" --from-file "password=/etc/hostname" 2>/dev/null
k apply -f "$work/sealed.yaml" >/dev/null
ok "a value replaced in the file is replaced in the Secret" soon 5 value default "$(cat /etc/hostname)"
before=$(published)
"$PLUMB" keys rotate --data-dir "$data" >/dev/null
changed() { [ "$(published)" != "$before" ]; }
ok "a new key takes over" soon 5 changed
k delete secret db >/dev/null
ok "and the old one still opens" soon 5 value default "$(cat /etc/hostname)"
printf 'a long passphrase\n' >"$work/words" && printf 'another one\n' >"$work/wrong"
ok "the keys go into a file" "$PLUMB" keys backup "$work/keys.plk" --passphrase-file "$work/words" --data-dir "$data"
ok "that only its owner reads" [ "$(stat -c %a "$work/keys.plk")" = 600 ]
ok "and that isn't overwritten" sh -c "! '$PLUMB' keys backup '$work/keys.plk' --passphrase-file '$work/words' --data-dir '$data'"
oldkey=$(k -n kube-system get secret -l plumb.dev/sealing-key -o name --sort-by=.metadata.annotations.plumb\\.dev/sealing-key-made | head -1)
k -n kube-system delete "$oldkey" >/dev/null
k annotate sealedsecret db look=again >/dev/null
ok "without its key a value says so, and its Secret stays" soon 5 reason default UnknownKey
ok "a wrong passphrase opens nothing" sh -c "'$PLUMB' keys restore '$work/keys.plk' --passphrase-file '$work/wrong' --data-dir '$data' 2>&1 | grep -q 'wrong passphrase'"
ok "the right one brings the key back" sh -c "'$PLUMB' keys restore '$work/keys.plk' --passphrase-file '$work/words' --data-dir '$data' | grep -q '^1 of [23]'"
ok "and the value opens again" soon 5 reason default Synced
no_core() { for r in apiserver controllers reconciler; do grep -q '^Max core file size  *0  *0' "/proc/$(pgrep -f "$PLUMB $r .*$data" | head -1)/limits" || return 1; done; }
asked() { (cd "$work" && printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: x, namespace: default}\nstringData: {a: b}\n' | KUBECONFIG=$1 "$PLUMB" seal) 2>&1; }
ok "the cluster that kubectl speaks to is asked for its key" sh -c "printf %s '$(asked "$data/admin.kubeconfig:$work/none")' | grep -q 'kind: SealedSecret'"
ok "… and status, too" env KUBECONFIG="$data/admin.kubeconfig" "$PLUMB" status
ok "one that isn't there is named" sh -c "printf %s '$(asked "$work/none")' | grep -q 'none: No such file'"
ok "roles with keys leave no core file" no_core
k delete sealedsecret db >/dev/null
gone() { ! k get secret db 2>/dev/null; }
ok "the Secret goes with its SealedSecret" soon 15 gone
ok "clean stop" stop
finish
