#!/bin/bash
# Words planted on every way that a secret takes are found in nothing that is written: logs, events,
# conditions, audit records, drift reports, commits, pull requests, metrics, environments, cores.
. "$(dirname "$0")/lib.sh"
for t in git age-keygen openssl python3 curl "$KUBECTL"; do command -v "$t" >/dev/null || skip_all "secrecy" "needs $t"; done
FORGE=${FORGE:-$(dirname "$PLUMB")/forge}
[ -x "$FORGE" ] || skip_all "secrecy" "needs $FORGE (make build-tests)"
here=$(cd "$(dirname "$0")" && pwd)
token=t0p-s3cret-t0ken
repo=$work/repo
# word WAY: what is planted there; recognisable, and long enough for its base64 to be so too.
word() { echo "c4n4ry-$1-Kq7vZx3"; }
ways="planned sealed kubeseal sops generator subst live typed drift invalid refused number name env binary"

age-keygen -o "$work/keys.txt" 2>/dev/null
to=$(age-keygen -y "$work/keys.txt")
git init -q -b main "$repo"
mkdir -p "$repo"/{app,good,invalid,refused,number,name,binary}
unit() { # NAME
	cat <<Y
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: $1, namespace: plumb-system, annotations: {plumb.dev/drift: propose}}
spec:
  interval: 1m
  retryInterval: 2s
  prune: true
  path: $1
  sourceRef: {kind: GitRepository, name: root}
  decryption: {provider: sops, secretRef: {name: age}}
  postBuild: {substituteFrom: [{kind: Secret, name: vars}]}
Y
}
for u in good invalid refused number name binary; do unit $u >"$repo/app/$u.yaml"; done
cat >"$repo/good/objects.yaml" <<Y
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: default}
data:
  url: db://u:\${PW}@h
  colour: blue
Y
secret() { printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: default%s}\n%s:\n  %s: %s\n' "$1" "$5" "$2" "$3" "$4"; }
secret hush stringData word "$(word sops)" "" >"$repo/good/hush.yaml"
printf 'WORD=%s\n' "$(word generator)" >"$repo/good/gen.env"
printf 'resources: [objects.yaml, hush.yaml]\nsecretGenerator:\n- {name: made, namespace: default, envs: [gen.env]}\n' >"$repo/good/kustomization.yaml"
secret broken stringData '"not a key"' "$(word invalid)" "" >"$repo/invalid/secret.yaml"
secret echoed stringData word "$(word refused)" ", labels: {hook: echo}" >"$repo/refused/secret.yaml"
secret coded data word "\"$(word binary)\"" "" >"$repo/binary/secret.yaml"
printf 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: default}\nspec:\n  replicas: ${NUMBER}\n  selector: {matchLabels: {a: b}}\n  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: x, env: [{name: A, value: "${ENV}"}]}]}}\n' >"$repo/number/d.yaml"
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "${NAME}", namespace: default}\n' >"$repo/name/cm.yaml"
for f in good/hush.yaml good/gen.env invalid/secret.yaml refused/secret.yaml binary/secret.yaml; do
	"$PLUMB" seal --sops "$repo/$f" --age "$to" -i || fail "encrypting $f"
done
git -C "$repo" add -A && git -C "$repo" commit -qm 'nothing in clear'
mkdir "$work/acme" && git clone -q --bare "$repo" "$work/acme/shop.git"
"$FORGE" "$work/acme/shop.git" "$token" acme/shop >"$work/forge.port" & forge_pid=$!
port=$((20000 + $$ % 20000))
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=hooks -addext 'subjectAltName=IP:127.0.0.1' -keyout "$work/tls.key" -out "$work/tls.crt" 2>/dev/null
python3 "$here/webhooks.py" 127.0.0.1 "$port" "$work/tls.crt" "$work/tls.key" >"$work/hooks.log" 2>&1 & hooks_pid=$!
trap 'kill $forge_pid $hooks_pid 2>/dev/null; cleanup' EXIT
soon 5 test -s "$work/forge.port"
at=http://127.0.0.1:$(cat "$work/forge.port")
printf 'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: RequestResponse}]\n' >"$work/policy.yaml"
ulimit -c unlimited
cd "$work" || exit 1 # where a core would be
start --nodes 0 --apiserver-arg "audit-policy-file=$work/policy.yaml" --apiserver-arg "audit-log-path=$work/audit.log"
{
	printf 'apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {name: echo}\nwebhooks:\n- name: echo.hooks.example.com\n  admissionReviewVersions: [v1]\n  sideEffects: None\n'
	printf '  clientConfig: {url: "https://127.0.0.1:%s/echo", caBundle: %s}\n' "$port" "$(base64 -w0 "$work/tls.crt")"
	printf '  rules: [{operations: [CREATE], apiGroups: [""], apiVersions: ["*"], resources: [secrets]}]\n  objectSelector: {matchLabels: {hook: echo}}\n'
} | k apply -f - >/dev/null
k create namespace plumb-system >/dev/null 2>&1
k -n plumb-system create secret generic age --from-file=a.agekey="$work/keys.txt" >/dev/null
k -n plumb-system create secret generic vars --from-literal=PW="$(word subst)" --from-literal=NUMBER="$(word number)" --from-literal=NAME="$(word name)" --from-literal=ENV="$(word env)" >/dev/null
k -n plumb-system create secret generic forge --from-literal=token=$token >/dev/null
k apply -f - >/dev/null <<Y
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: root, namespace: plumb-system, annotations: {plumb.dev/forge: "github=$at"}}
spec: {url: "file://$work/acme/shop.git", interval: 1s, ref: {branch: main}, secretRef: {name: forge}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: root, namespace: plumb-system}
spec: {interval: 1m, prune: true, path: ./app, sourceRef: {kind: GitRepository, name: root}}
Y
has() { [ "$(k get "$1" "$2" -o "jsonpath={.data.$3}" 2>/dev/null)" = "$4" ]; }
coded() { printf %s "$(word "$1")" | base64 -w0; }
state() { k -n plumb-system get kustomization "$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}={.status.conditions[?(@.type=="Ready")].message}'; }
fails() { state "$1" | grep -q ^False=; }

ok "the good unit is applied" soon 20 has secret hush word "$(coded sops)"
ok "… with what is substituted" soon 5 has configmap settings url "db://u:$(word subst)@h"
for u in invalid refused number name binary; do ok "unit $u fails, which is said" soon 20 fails $u; done
# --- drift of secrets, and beside one that is substituted
k patch secret hush -p "{\"stringData\":{\"word\":\"$(word drift)\"}}" >/dev/null
k patch configmap settings --type merge -p "{\"data\":{\"colour\":\"pink\",\"url\":\"db://u:$(word subst)@other\"}}" >/dev/null
says() { curl -sf "$at/_/state" | grep -qF -- "$1"; }
ok "drift comes as a pull request" soon 60 says data.colour
# --- a plan on people's pull request, of another value of the same Secrets
git -C "$repo" checkout -qb feature
secret hush stringData word "$(word planned)" "" >"$repo/good/hush.yaml"
printf 'WORD=%s\n' "$(word planned)" >"$repo/good/gen.env"
for f in good/hush.yaml good/gen.env; do "$PLUMB" seal --sops "$repo/$f" --age "$to" -i; done
git -C "$repo" commit -qam 'another word' && git -C "$repo" push -q "$work/acme/shop.git" feature
curl -sf -XPOST "$at/_/open" -d '{"head":"feature","base":"main","title":"another word","body":""}' >/dev/null
ok "a plan tells of another pull request" soon 30 says 'plumb-plan default'
ok "… that a Secret would change" says hush
# --- sealed values
printf %s "$(word sealed)" >"$work/plain"
"$PLUMB" seal --data-dir "$data" --name sealed -n default --from-file "word=$work/plain" | k apply -f - >/dev/null
ok "a sealed value opens" soon 10 has secret sealed word "$(coded sealed)"
k get sealedsecret sealed -o yaml | sed 's/name: sealed/name: moved/' | k apply -f - >/dev/null 2>&1
k get sealedsecret sealed -o yaml | sed 's/name: sealed/name: spoilt/; s/\(word: .\{80\}\)..../\1AAAA/' | k apply -f - >/dev/null 2>&1
if python3 -c 'import cryptography' 2>/dev/null; then
	proxy=/api/v1/namespaces/kube-system/services/http:sealed-secrets-controller:http/proxy
	cert() { k get --raw "$proxy/v1/cert.pem" >"$work/cert.pem" 2>/dev/null; }
	soon 30 cert
	value=$(python3 - "$(word kubeseal)" "$work/cert.pem" <<'P'
import base64, os, struct, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
key, h = x509.load_pem_x509_certificate(open(sys.argv[2], "rb").read()).public_key(), hashes.SHA256()
session = os.urandom(32)
r = key.encrypt(session, padding.OAEP(padding.MGF1(h), h, b"default/theirs"))
print(base64.b64encode(struct.pack(">H", len(r)) + r + AESGCM(session).encrypt(bytes(12), sys.argv[1].encode(), None)).decode())
P
	)
	for n in theirs others; do printf 'apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: %s, namespace: default}\nspec:\n  encryptedData: {word: %s}\n  template: {data: {more: "{{ .word }} {{ env }}"}}\n' $n "$value" | k apply -f - >/dev/null; done
	printf 'apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: theirs, namespace: default}\nspec:\n  encryptedData: {word: %s}\n  template: {}\n' "$value" | k apply -f - >/dev/null
	ok "kubeseal's opens" soon 10 has secret theirs word "$(coded kubeseal)"
fi
# --- what people send by mistake
printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: typed, namespace: default}\ndata: {word: [%s]}\n' "$(word typed)" | k create --validate=false -f - >/dev/null 2>&1
printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: typed, namespace: default}\ntype: kubernetes.io/tls\nstringData: {word: %s, "bad key": %s}\n' "$(word typed)" "$(word typed)" | k create -f - >/dev/null 2>&1
k create secret generic typed --from-literal=word="$(word live)" >/dev/null
k patch secret typed --type json -p "[{\"op\":\"test\",\"path\":\"/data/word\",\"value\":\"$(word live)\"}]" >/dev/null 2>&1
k patch secret typed -p '{"immutable":true}' >/dev/null && k patch secret typed -p "{\"stringData\":{\"word\":\"$(word live)2\"}}" >/dev/null 2>&1
k get secret typed -o jsonpath='{.data.word}' >/dev/null

# --- everything that is written
all=$work/all && mkdir "$all"
sleep 1
for r in $(k api-resources --verbs=list -o name | grep -vx secrets); do k get "$r" -A -o json --show-managed-fields >"$all/objects-$r.json" 2>/dev/null; done
k get --raw /metrics >"$all/metrics"
k get --raw /apis/metrics.k8s.io >/dev/null 2>&1
curl -sf "$at/_/state" >"$all/forge"
git -C "$work/acme/shop.git" log -p --all >"$all/commits"
for p in $(grep -o '"pid":[0-9]*' "$data/roles" | cut -d: -f2) "$up_pid"; do tr '\0' '\n' <"/proc/$p/environ" >"$all/environ-$p"; tr '\0' '\n' <"/proc/$p/cmdline" >"$all/cmdline-$p"; done
cp "$work/audit.log" "$work/up.log" "$all"
[ -d "$data/log" ] && cp -r "$data/log" "$all/"
cp "$data"/store.db* "$all"
# A role with keys dies: nothing of its memory stays.
kill_role SEGV controllers
sleep 0.3
ok "no core is left" sh -c "! find '$work' '$data' -name 'core*' -type f | grep ."
ok "the audit log was asked for everything" grep -q '"level":"RequestResponse".*"resource":"configmaps"' "$all/audit.log"
ok "… and noted the writes of Secrets" grep -q '"resource":"secrets".*"name":"hush"' "$all/audit.log"

planted() { # WAY: also in base64, wherever it begins in a group of three
	local w; w=$(word "$1")
	printf '%s\n' "$w"
	for pad in "" x xx; do printf '%s%s' "$pad" "$w" | base64 -w0 | cut -c5-$((${#w} * 4 / 3 - 2)); echo; done
}
for w in $ways; do planted $w; done >"$work/words"
printf '%s\n' $token "$(grep -o 'AGE-SECRET-KEY-.*' "$work/keys.txt")" >>"$work/words"
# What people have substituted into a ConfigMap or a Deployment is what that object says: its list, its row in the
# store and its bodies in the audit log have it. Nothing else has, and they have nothing else.
found() { grep -raoF -f "$work/words" "$all" | grep -v "/objects-configmaps.json:\|/audit.log:\|/store.db.*$(word subst)" | sort | uniq -c | head -20; }
nothing() { local f; f=$(found); [ -z "$f" ] || { echo "$f"; return 1; }; }
ok "none of the words is in anything that is written" nothing
audit() { local f; f=$(grep -v '"resource":"configmaps"\|"resource":"deployments"' "$all/audit.log" | grep -oF -f "$work/words" | sort | uniq -c); [ -z "$f" ] || { echo "$f"; return 1; }; }
ok "nor in the audit log" audit
maps() { local f; f=$(grep -oF -f "$work/words" "$all/objects-configmaps.json" "$all/audit.log" | grep -v -e "$(word subst)" -e "$(word name)" -e "$(word env)" -e "$(word number)" | sort | uniq -c); [ -z "$f" ] || { echo "$f"; return 1; }; }
ok "… but what a ConfigMap is made of" maps
ok "clean stop" stop
finish
