#!/bin/bash
# The store at rest: useless without the root key, wherever that comes from; further kinds; a new key while others write.
. "$(dirname "$0")/lib.sh"
for t in openssl "$KUBECTL"; do command -v "$t" >/dev/null || skip_all "at rest" "needs $t"; done
word=c4n4ry-at-rest-Kq7vZx3
openssl rand -base64 32 >"$work/root.b64" && chmod 600 "$work/root.b64"
begin() { start --nodes 0 --apiserver-arg "root-key=command:/bin/cat $work/root.b64" "$@"; }
begin --apiserver-arg encrypt=configmaps
k create secret generic db --from-literal=word=$word >/dev/null
k create configmap cm --from-literal=word=$word >/dev/null
k create configmap other --from-literal=word=x >/dev/null
holds() { [ "$(k get "$1" "$2" -o jsonpath='{.data.word}')" = "$3" ]; }
coded=$(printf %s $word | base64)
anywhere() { grep -rqaF -e $word -e "$coded" "$data"; }
ok "a key from a command: nothing of a Secret or a ConfigMap is in clear in any file" sh -c "! grep -rlaF -e '$word' -e '$coded' '$data' | grep ."
ok "… and no key file is made" [ ! -e "$data/root.key" ]
ok "rotation is the source's affair, which is said" sh -c "'$PLUMB' keys rotate-root --data-dir '$data' 2>&1 | grep -q 'comes from command:'"
stop
cp -r "$data" "$work/copy"
ok "copied, the store opens under no other key" sh -c "openssl rand -base64 32 >'$work/other.b64'; timeout 100 '$PLUMB' apiserver --data-dir '$work/copy' --listen 127.0.0.1:0 --root-key 'command:/bin/cat $work/other.b64' 2>&1 | grep -q 'root key that is not here'"
ok "… nor without one, which says what to do" sh -c "timeout 100 '$PLUMB' apiserver --data-dir '$work/copy' --listen 127.0.0.1:0 2>&1 | grep -q 'put it back'"
ok "… and no new key is made for it" [ ! -e "$work/copy/root.key" ]
ok "nothing is in clear in the copy" sh -c "! grep -rlaF -e '$word' -e '$coded' '$work/copy' | grep ."
# A new key in front, by a credential this time; ConfigMaps no more.
mkdir -m 700 "$work/credentials"
{ openssl rand 32; base64 -d "$work/root.b64"; } >"$work/credentials/plumb-root" && chmod 400 "$work/credentials/plumb-root"
head -c 32 "$work/credentials/plumb-root" >"$work/new.key" && chmod 600 "$work/new.key"
export CREDENTIALS_DIRECTORY=$work/credentials
start --nodes 0 --apiserver-arg root-key=credential:plumb-root
ok "with a new key in front all of it opens" holds secret db "$coded"
( while :; do k annotate --overwrite configmap other at="$(date +%N)" || exit; done >/dev/null 2>&1 ) & writer=$!
clear() { cat "$data"/store.db* | grep -qaF $word; }
ok "what needn't be encrypted any more is written in clear while somebody writes" soon 20 clear
ok "… to the last of it" soon 10 grep -q "older ones aren't needed" "$data/log/apiserver.log"
kill $writer; wait $writer 2>/dev/null
stop
unset CREDENTIALS_DIRECTORY
ok "… and the Secrets under the new key: the old one isn't needed" start --nodes 0 --apiserver-arg "root-key=file:$work/new.key"
ok "… they open" holds secret db "$coded"
ok "clean stop" stop
chmod 644 "$work/new.key"
ok "a key file that others may read is refused" sh -c "timeout 100 '$PLUMB' apiserver --data-dir '$data' --listen 127.0.0.1:0 --root-key 'file:$work/new.key' 2>&1 | grep -q 'others may read it'"
finish
