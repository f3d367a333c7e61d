#!/bin/bash
# kubeseal's SealedSecrets: its certificate where kubeseal looks, opened without sealed-secrets.
. "$(dirname "$0")/lib.sh"
for t in openssl python3 "$KUBECTL"; do command -v "$t" >/dev/null || skip_all "kubeseal" "needs $t"; done
start --nodes 0
proxy=/api/v1/namespaces/kube-system/services/http:sealed-secrets-controller:http/proxy
cert() { k get --raw "$proxy/v1/cert.pem" >"$work/cert.pem" 2>/dev/null && openssl x509 -in "$work/cert.pem" -noout -checkend 1000000; }
ok "the certificate is where kubeseal looks" soon 30 cert
ok "… also without the port's name" k get --raw /api/v1/namespaces/kube-system/services/http:sealed-secrets-controller:/proxy/v1/cert.pem
ok "the Service that kubeseal asks for names the port" soon 10 sh -c "[ \"\$('$KUBECTL' --kubeconfig '$data/admin.kubeconfig' -n kube-system get service sealed-secrets-controller -o jsonpath='{.spec.ports[0].name}')\" = http ]"
ok "the private key isn't served" sh -c "! grep -q PRIVATE '$work/cert.pem'"
openssl x509 -in "$work/cert.pem" -pubkey -noout >"$work/pub.pem"
# seal LABEL VALUE: what kubeseal does, by openssl's program and a session key of zeroes' AES-GCM in Python where it can.
python3 -c 'import cryptography' 2>/dev/null || { skip "opening" "needs Python's cryptography"; ok "clean stop" stop; finish; exit; }
seal() {
	python3 - "$1" "$2" "$work/pub.pem" <<'P'
import base64, os, struct, sys
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
key = serialization.load_pem_public_key(open(sys.argv[3], "rb").read())
session, h = os.urandom(32), hashes.SHA256()
r = key.encrypt(session, padding.OAEP(padding.MGF1(h), h, sys.argv[1].encode() or None))
print(base64.b64encode(struct.pack(">H", len(r)) + r + AESGCM(session).encrypt(bytes(12), sys.argv[2].encode(), None)).decode())
P
}
object() { printf 'apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: db, namespace: default, creationTimestamp: null%s}\nspec:\n  encryptedData: {password: %s}\n  template:\n    metadata: {name: db, namespace: default, creationTimestamp: null}\n    type: example.com/db\n' "$2" "$1"; }
value() { [ "$(k get secret db -o jsonpath='{.type} {.data.password}' 2>/dev/null)" = "example.com/db $(printf %s "$1" | base64)" ]; }
reason() { [ "$(k get sealedsecrets.bitnami.com db -o jsonpath='{.status.conditions[0].reason}')" = "$1" ]; }
object "$(seal default/db horse)" "" | k apply -f - >/dev/null
ok "a value becomes the Secret" soon 5 value horse
ok "which is said" soon 5 reason Synced
object "$(seal other/db mule)" "" | k apply -f - >/dev/null
ok "another's value doesn't open, and says so" soon 5 reason UnknownKey
ok "the last good Secret stays" value horse
object "$(seal '' mule)" "" | k apply -f - >/dev/null
ok "a scope that isn't said is told apart" soon 5 reason WrongScope
object "$(seal '' mule)" ', annotations: {sealedsecrets.bitnami.com/cluster-wide: "true"}' | k apply -f - >/dev/null
ok "a cluster-wide value opens where that is said" soon 5 value mule
post() { curl -s -o "$work/answer" -w '%{http_code}' --cert "$work/admin.crt" --key "$work/admin.key" --cacert "$data/pki/ca.crt" --data-binary "@$2" "$server$proxy/v1/$1"; }
server=$(k config view --raw -o jsonpath='{.clusters[0].cluster.server}')
for f in certificate key; do k config view --raw -o jsonpath="{.users[0].user.client-$f-data}" | base64 -d >"$work/admin.${f%ificate}"; done
mv "$work/admin.cert" "$work/admin.crt"
object "$(seal default/db horse)" "" >"$work/ours.yaml"
object "$(seal other/db horse)" "" >"$work/theirs.yaml"
k create --dry-run=client -f "$work/ours.yaml" -o json >"$work/ours.json" 2>/dev/null || cp "$work/ours.yaml" "$work/ours.json"
ok "kubeseal --validate says yes" [ "$(post verify "$work/ours.json")" = 200 ]
ok "… and no to what is another's" [ "$(post verify "$work/theirs.yaml")" = 409 ]
printf '{}' >"$work/none.json"
ok "what is no SealedSecret is a bad request" [ "$(post verify "$work/none.json")" = 400 ]
ok "kubeseal --re-encrypt gets another value" sh -c "[ '$(post rotate "$work/ours.yaml")' = 200 ] && ! grep -qF '$(sed -n 's/.*password: \(.\{60\}\).*/\1/p' "$work/ours.yaml")' '$work/answer'"
k apply -f "$work/answer" >/dev/null 2>&1
ok "which opens to the same" soon 5 value horse
ok "nobody else may ask" sh -c "[ \"\$('$KUBECTL' --kubeconfig '$data/admin.kubeconfig' --as=eve create --raw '$proxy/v1/rotate' -f '$work/ours.json' 2>&1 | grep -c orbidden)\" -ge 1 ]"
printf 'a long passphrase\n' >"$work/words"
ok "its key is in the backup of keys" "$PLUMB" keys backup "$work/keys.plk" --passphrase-file "$work/words" --data-dir "$data"
k -n kube-system delete secret -l sealedsecrets.bitnami.com/sealed-secrets-key >/dev/null
ok "… and comes back" sh -c "'$PLUMB' keys restore '$work/keys.plk' --passphrase-file '$work/words' --data-dir '$data' | grep -q '^1 of 2 keys'"
k delete secret db >/dev/null
ok "… and opens what was sealed to it" soon 10 value horse
ok "clean stop" stop
finish
