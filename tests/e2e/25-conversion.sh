#!/bin/bash
# A CustomResourceDefinition whose versions a real HTTPS webhook converts: read, written, watched.
. "$(dirname "$0")/lib.sh"
for t in openssl python3 "$KUBECTL"; do command -v "$t" >/dev/null || skip_all "conversion webhooks" "needs $t"; done
here=$(cd "$(dirname "$0")" && pwd)
KC="$KUBECTL --kubeconfig $data/admin.kubeconfig"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=hooks -keyout "$work/tls.key" -out "$work/tls.crt" \
	-addext "subjectAltName=IP:127.0.0.1" >/dev/null 2>&1
port=$(free_port)
python3 "$here/webhooks.py" 127.0.0.1 "$port" "$work/tls.crt" "$work/tls.key" >"$work/hooks.log" 2>&1 & hooks_pid=$!
trap 'kill $hooks_pid $watch_pid 2>/dev/null; cleanup' EXIT
watch_pid=""
start --nodes 0
soon 5 grep -q ready "$work/hooks.log" || fail "the webhook server listens"

cat >"$work/crd.yaml" <<Y
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: hosts.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: hosts, singular: host, kind: Host}
  conversion:
    strategy: Webhook
    webhook:
      conversionReviewVersions: [v1]
      clientConfig: {url: "https://127.0.0.1:$port/convert", caBundle: $(base64 -w0 "$work/tls.crt")}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {host: {type: string}}}}}}
  - name: v2
    served: true
    storage: false
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {host: {type: string}, port: {type: string}}}}}}
    additionalPrinterColumns: [{name: Port, type: string, jsonPath: .spec.port}]
Y
host() { printf 'apiVersion: example.com/%s\nkind: Host\nmetadata: {name: %s, namespace: default}\nspec: {%s}\n' "$@"; }
field() { k get "hosts.$1.example.com" "$2" -o "jsonpath={.spec.$3}"; }
is() { [ "$(field "$1" "$2" "$3")" = "$4" ]; }

ok "define" k apply -f "$work/crd.yaml"
ok "it is served" soon 5 k get hosts.v2.example.com
host v1 a 'host: "a:80"' | k apply -f - >/dev/null
ok "v1 as v2" is v2 a port 80
ok "… and as it is" is v1 a host a:80
host v2 b 'host: b, port: "81"' | k apply -f - >/dev/null
ok "v2 as v1" is v1 b host b:81
ok "a list of the other version" sh -c "[ \"\$($KC get hosts.v2.example.com -o 'jsonpath={.items[*].spec.port}')\" = '80 81' ]"
ok "a table shows its columns" sh -c "$KC get hosts.v2.example.com a | grep -q '^a  *80'"
"$KUBECTL" --kubeconfig "$data/admin.kubeconfig" get hosts.v2.example.com --watch -o 'jsonpath={.metadata.name}={.spec.port}{"\n"}' >"$work/watch" 2>&1 & watch_pid=$!
ok "a watch begins with what is there" soon 5 grep -q '^b=81' "$work/watch"
host v1 c 'host: "c:82"' | k apply -f - >/dev/null
ok "… and shows what comes, converted" soon 5 grep -q '^c=82' "$work/watch"
ok "patch in the other version" k patch hosts.v2.example.com a --type=merge -p '{"spec":{"port":"90"}}'
ok "… is stored in its own" is v1 a host a:90
ok "… and seen by the watch" soon 5 grep -q '^a=90' "$work/watch"
ok "server-side apply in the other version" sh -c "printf 'apiVersion: example.com/v2\nkind: Host\nmetadata: {name: d, namespace: default}\nspec: {host: d, port: \"83\"}\n' | $KC apply --server-side -f -"
ok "… is stored" is v1 d host d:83
kill "$hooks_pid"; wait "$hooks_pid" 2>/dev/null
ok "without the webhook the stored version is still there" is v1 a host a:90
ok "… the other is not" sh -c "$KC get hosts.v2.example.com a 2>&1 | grep -q 'conversion webhook for example.com/v2, Kind=Host failed'"
ok "the definition can be deleted all the same" k delete crd hosts.example.com --timeout=180s
ok "clean stop" stop
finish
