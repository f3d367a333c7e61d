#!/bin/bash
# docs/SEALED-SECRETS.md is exact: what a second implementation of it seals opens here, and the other way round.
. "$(dirname "$0")/lib.sh"
for t in python3 age-keygen "$KUBECTL"; do command -v "$t" >/dev/null || skip_all "formats" "needs $t"; done
python3 -c 'from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305' 2>/dev/null || skip_all "formats" "needs Python's cryptography"
here=$(cd "$(dirname "$0")" && pwd)
other() { python3 "$here/formats.py" "$@"; }
ok "the vectors of the page" other vectors "$here/../../docs/SEALED-SECRETS.md"
start --nodes 0
line() { k -n kube-public get configmap plumb-sealing-key -o 'jsonpath={.data.cluster\.pub}' 2>/dev/null; }
published() { [ -n "$(line)" ]; }
ok "a key is published" soon 10 published
value() { [ "$(k get secret db -o "jsonpath={.data.$1}" 2>/dev/null | base64 -d)" = "$2" ]; }
printf 'apiVersion: plumb.dev/v1\nkind: SealedSecret\nmetadata: {name: db, namespace: default}\nspec:\n  encryptedData:\n    password: %s\n' "$(printf 'correct horse' | other seal "$(line)" strict default db password)" | k apply -f - >/dev/null
ok "what it seals opens here" soon 10 value password 'correct horse'
private=$(k -n kube-system get secret -l plumb.dev/sealing-key -o jsonpath='{.items[0].data.private}')
for scope in strict namespace cluster; do
	printf battery >"$work/v"
	"$PLUMB" seal --data-dir "$data" --scope $scope --name db -n default --from-file "password=$work/v" -o json >"$work/sealed.json"
	ok "what is sealed here opens there: $scope" [ "$(sed -n 's/.*"password": "\(.*\)".*/\1/p' "$work/sealed.json" | other open "$private" $scope default db password)" = battery ]
done
age-keygen -o "$work/keys.txt" 2>/dev/null
printf '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "shop"}, "stringData": {"password": "staple", "user": "admin"}}\n' >"$work/db.json"
"$PLUMB" seal --sops "$work/db.json" --age "$(age-keygen -y "$work/keys.txt")" --bind -i
ok "a sops file opens there, MAC and all" sh -c "python3 '$here/formats.py' sops '$work/db.json' '$work/keys.txt' | grep -q '\"password\": \"staple\", \"user\": \"admin\"'"
ok "… and says what it is bound to" sh -c "python3 '$here/formats.py' sops '$work/db.json' '$work/keys.txt' | grep -q '\"plumb.dev/bound-to\": \"Secret/shop/db:password,user\"'"
stop
ok "the store's Secrets open there with the root key" sh -c "python3 '$here/formats.py' atrest '$data/store.db' '$data/root.key' /secrets/default/ | grep -q '^/secrets/default/db {.*Y29ycmVjdCBob3JzZQ=='"
finish
