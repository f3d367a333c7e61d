#!/bin/bash
# Admission webhooks over real HTTPS: allowed, refused, changed, slow, unreachable, untrusted.
. "$(dirname "$0")/lib.sh"
for t in openssl python3 "$KUBECTL"; do command -v "$t" >/dev/null || skip_all "webhooks" "needs $t"; done
here=$(cd "$(dirname "$0")" && pwd)
KC="$KUBECTL --kubeconfig $data/admin.kubeconfig"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=hooks -keyout "$work/tls.key" -out "$work/tls.crt" \
	-addext "subjectAltName=IP:127.0.0.1,DNS:hooks.default.svc" >/dev/null 2>&1
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=other -keyout "$work/other.key" -out "$work/other.crt" >/dev/null 2>&1
port=$(free_port)
RELEASE=$work/release python3 "$here/webhooks.py" 127.0.0.1 "$port" "$work/tls.crt" "$work/tls.key" >"$work/hooks.log" 2>&1 & hooks_pid=$!
trap 'kill $hooks_pid 2>/dev/null; cleanup' EXIT
start --nodes 0
ok "the webhook server listens" soon 5 grep -q ready "$work/hooks.log"

# hook KIND NAME PATH OPERATIONS [FIELD…]: a configuration of one webhook about ConfigMaps.
hook() {
	local kind=$1 name=$2 path=$3 ops=$4 ca=${CA:-$work/tls.crt}; shift 4
	{
		printf 'apiVersion: admissionregistration.k8s.io/v1\nkind: %sWebhookConfiguration\nmetadata: {name: %s}\nwebhooks:\n' "$kind" "$name"
		printf -- '- name: %s.hooks.example.com\n  admissionReviewVersions: [v1]\n  sideEffects: None\n' "$name"
		printf '  clientConfig: {url: "https://127.0.0.1:%s%s", caBundle: %s}\n' "${PORT:-$port}" "$path" "$(base64 -w0 "$ca")"
		printf '  rules: [{operations: [%s], apiGroups: [""], apiVersions: ["*"], resources: [configmaps]}]\n' "$ops"
		printf '  objectSelector: {matchLabels: {hook: %s}}\n' "$name"
		for f in "$@"; do printf '  %s\n' "$f"; done
	} | k apply -f - >/dev/null
}
cm() { printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, labels: {hook: %s}}\ndata: {a: b}\n' "$1" "${2:-$1}"; }
create() { cm "$@" | k create -f -; }
said() { create "$@" 2>&1; }
label_is() { [ "$(k get cm "$1" -o "jsonpath={.metadata.labels.$2}")" = "$3" ]; }

hook Validating allow /allow CREATE
said allow >"$work/said"
ok "allowed, with a warning" grep -q 'Warning: allowed with a warning' "$work/said"
ok "… and stored" k get cm allow
hook Validating deny /deny 'CREATE, DELETE'
said deny >"$work/said"
ok "refused in Kubernetes' words" grep -q 'admission webhook "deny.hooks.example.com" denied the request: no CREATE' "$work/said"
ok "… with the webhook's reason" grep -q '(Forbidden)' "$work/said"
ok "… and not stored" sh -c "! $KC get cm deny"
cm late deny | sed 's/hook: deny/hook: none/' | k create -f - >/dev/null
k label cm late hook=deny --overwrite >/dev/null
ok "a deletion is refused" sh -c "$KC delete cm late 2>&1 | grep -q 'denied the request: no DELETE'"
ok "a dry run is refused" sh -c "$KC create cm x --from-literal=a=b --dry-run=client -o yaml | sed 's/  name: x/  name: x\n  labels: {hook: deny}/' | $KC create --dry-run=server -f - 2>&1 | grep -q 'denied the request'"

hook Mutating blue /blue CREATE
ok "changed" create blue
ok "… as the webhook says" label_is blue colour blue
hook Mutating badpatch /badpatch CREATE
said badpatch >"$work/said"
ok "a patch that fails" grep -q 'InternalError' "$work/said"

# count runs, then paint changes the object, so count runs once more.
{
	printf 'apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration\nmetadata: {name: twice}\nwebhooks:\n'
	for h in count blue; do
		printf -- '- name: %s.twice.example.com\n  admissionReviewVersions: [v1]\n  sideEffects: None\n  reinvocationPolicy: IfNeeded\n' "$h"
		printf '  clientConfig: {url: "https://127.0.0.1:%s/%s", caBundle: %s}\n' "$port" "$h" "$(base64 -w0 "$work/tls.crt")"
		printf '  rules: [{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [configmaps]}]\n  objectSelector: {matchLabels: {hook: twice}}\n'
	done
} | k apply -f - >/dev/null
ok "two of them" create twice
ok "… the first is asked again after the second" label_is twice count 2

hook Validating slow /slow CREATE 'timeoutSeconds: 1'
said slow >"$work/said"
ok "too slow" grep -q 'failed calling webhook "slow.hooks.example.com": failed to call webhook: Post "https://127.0.0.1:[0-9]*/slow?timeout=1s": context deadline exceeded' "$work/said"
hook Validating lazy /slow CREATE 'timeoutSeconds: 1' 'failurePolicy: Ignore'
ok "too slow, and ignored" create lazy
hook Validating broken /nowhere CREATE
said broken >"$work/said"
ok "an answer that is none" grep -q 'failed calling webhook "broken.hooks.example.com"' "$work/said"
CA=$work/other.crt hook Validating untrusted /allow CREATE
said untrusted >"$work/said"
ok "a certificate that nobody vouches for" grep -qi 'failed calling webhook "untrusted.*certificate' "$work/said"
ok "… it was not asked" sh -c "[ \$(grep -c 'POST /allow' $work/hooks.log) = 1 ]"
PORT=1 hook Validating away /allow CREATE
said away >"$work/said"
ok "nobody there" grep -q 'failed calling webhook "away.hooks.example.com"' "$work/said"

# Requests to others go on while a webhook takes its time.
hook Validating wait /held CREATE 'timeoutSeconds: 30'
cm wait >"$work/wait.yaml"
"$KUBECTL" --kubeconfig "$data/admin.kubeconfig" create -f "$work/wait.yaml" >/dev/null 2>&1 & slow_pid=$!
soon 10 grep -q 'POST /held' "$work/hooks.log"
ok "others are served meanwhile" timeout 29 "$KUBECTL" --kubeconfig "$data/admin.kubeconfig" create cm meanwhile
ok "the one that waits is not there yet" sh -c "! $KC get cm wait"
touch "$work/release"
ok "… it comes" wait "$slow_pid"
ok "… and is there" k get cm wait

# In a Service.
addr=$(python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("192.0.2.1", 9)); print(s.getsockname()[0])' 2>/dev/null)
if [ -n "$addr" ] && [ "$addr" != 127.0.0.1 ]; then
	python3 "$here/webhooks.py" "$addr" "$port" "$work/tls.crt" "$work/tls.key" >"$work/hooks2.log" 2>&1 & hooks2_pid=$!
	trap 'kill $hooks_pid $hooks2_pid 2>/dev/null; cleanup' EXIT
	soon 5 grep -q ready "$work/hooks2.log"
	cat <<Y | k apply -f - >/dev/null
apiVersion: v1
kind: Service
metadata: {name: hooks}
spec: {ports: [{port: 443, targetPort: $port}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: hooks-1, labels: {kubernetes.io/service-name: hooks}}
addressType: IPv4
endpoints: [{addresses: [$addr]}]
ports: [{port: $port, protocol: TCP}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: service}
webhooks:
- name: service.hooks.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  clientConfig: {service: {namespace: default, name: hooks, path: /blue}, caBundle: $(base64 -w0 "$work/tls.crt")}
  rules: [{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [configmaps]}]
  objectSelector: {matchLabels: {hook: service}}
Y
	ok "a webhook in a Service" create service
	ok "… changes the object" label_is service colour blue
	k delete endpointslice hooks-1 >/dev/null
	said service2 service >"$work/said"
	ok "a Service without endpoints" grep -q 'no endpoints available for service "hooks"' "$work/said"
else
	skip "a webhook in a Service" "no address but loopback"
fi

hook Validating everything /deny '"*"'
ok "configurations can always be taken out" k delete validatingwebhookconfigurations --all
ok "clean stop" stop
finish
