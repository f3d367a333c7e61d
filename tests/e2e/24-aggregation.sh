#!/bin/bash
# An extension API server behind an APIService: availability, discovery, requests in the caller's name.
. "$(dirname "$0")/lib.sh"
for t in openssl python3 curl "$KUBECTL"; do command -v "$t" >/dev/null || skip_all "aggregation" "needs $t"; done
here=$(cd "$(dirname "$0")" && pwd)
KC="$KUBECTL --kubeconfig $data/admin.kubeconfig"
addr=$(python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("192.0.2.1", 9)); print(s.getsockname()[0])' 2>/dev/null)
{ [ -n "$addr" ] && [ "$addr" != 127.0.0.1 ]; } || skip_all "aggregation" "no address but loopback"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=fruits -keyout "$work/tls.key" -out "$work/tls.crt" \
	-addext "subjectAltName=DNS:fruits.default.svc" >/dev/null 2>&1
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=other -keyout "$work/other.key" -out "$work/other.crt" >/dev/null 2>&1
port=$(free_port)
start --nodes 0
available() { soon 10 sh -c "$KC get apiservice $1 --no-headers | grep -q \"$2\""; }

ok "APIServices of what is served here" available v1.apps 'Local  *True'
ok "… core too" available v1. 'Local  *True'
ok "extension servers can read whom to believe" sh -c "$KC -n kube-system get cm extension-apiserver-authentication -o jsonpath={.data.requestheader-allowed-names} | grep -q front-proxy-client"
k -n kube-system get cm extension-apiserver-authentication -o 'jsonpath={.data.requestheader-client-ca-file}' >"$work/front-ca.crt"

cat >"$work/service.yaml" <<Y
apiVersion: v1
kind: Service
metadata: {name: fruits, namespace: default}
spec: {ports: [{port: 443, targetPort: $port}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: fruits-1, namespace: default, labels: {kubernetes.io/service-name: fruits}}
addressType: IPv4
endpoints: [{addresses: [$addr]}]
ports: [{port: $port, protocol: TCP}]
Y
apiservice() {
	k apply -f - >/dev/null <<Y
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.ext.example.com}
spec:
  group: ext.example.com
  version: v1
  groupPriorityMinimum: 1000
  versionPriority: 15
  caBundle: $(base64 -w0 "$1")
  service: {namespace: default, name: fruits}
Y
}
apiservice "$work/tls.crt"
ok "without its Service it is not available" available v1.ext.example.com 'False (ServiceNotFound)'
ok "… and answers 503" sh -c "$KC get --raw /apis/ext.example.com/v1 2>&1 | grep -qi 'unable to handle the request'"
ok "… discovery of the rest goes on" k get --raw /api/v1
k apply -f "$work/service.yaml" >/dev/null
ok "nobody behind it" available v1.ext.example.com 'False (FailedDiscoveryCheck)'
python3 "$here/webhooks.py" "$addr" "$port" "$work/tls.crt" "$work/tls.key" "$work/front-ca.crt" >"$work/fruits.log" 2>&1 & fruits_pid=$!
trap 'kill $fruits_pid 2>/dev/null; cleanup' EXIT
ok "it comes" available v1.ext.example.com 'default/fruits  *True'
ok "its kinds are in discovery" soon 5 sh -c "$KC api-resources | grep -q 'fruits .*ext.example.com/v1 .*Fruit'"
ok "its schemas are explained" soon 5 sh -c "$KC explain fruit.ripe | grep -q 'Whether it can be eaten'"
ok "… and stand in the old document" soon 5 sh -c "$KC get --raw /openapi/v2 | grep -q com.example.ext.v1.Fruit"
ok "… and in the index" soon 5 sh -c "$KC get --raw /openapi/v3 | grep -q 'apis/ext.example.com/v1?hash=F1'"
ok "list" sh -c "$KC get fruits -o name | grep -q 'fruit.ext.example.com/apple'"
ok "get, in the caller's name" sh -c "[ \"\$($KC get fruit apple -o jsonpath={.metadata.annotations.user})\" = plumb-admin ]"
ok "… with the caller's groups" sh -c "$KC get fruit apple -o jsonpath={.metadata.annotations.groups} | grep -q system:masters"
ok "… with what else is known of them" sh -c "$KC get fruit apple -o jsonpath={.metadata.annotations.extra} | grep -q '^x-remote-extra-authentication.kubernetes.io%2fcredential-id=X509SHA256=[0-9a-f]*$'"
ok "… by our certificate" sh -c "[ \"\$($KC get fruit apple -o jsonpath={.metadata.annotations.cert})\" = front-proxy-client ]"
ok "… of whom one acts as" sh -c "[ \"\$($KC get fruit apple --as=jane --as-group=system:masters -o jsonpath={.metadata.annotations.user})\" = jane ]"
ok "who may not is refused here" sh -c "$KC get fruits --as=jane 2>&1 | grep -q Forbidden"
# What a client says of itself does not get through.
k config view --raw -o 'jsonpath={.users[0].user.client-certificate-data}' | base64 -d >"$work/me.crt"
k config view --raw -o 'jsonpath={.users[0].user.client-key-data}' | base64 -d >"$work/me.key"
server=$(k config view -o 'jsonpath={.clusters[0].cluster.server}')
ok "headers of the caller's own are not believed" sh -c "curl -sk --cert $work/me.crt --key $work/me.key -H 'X-Remote-User: mallory' -H 'X-Remote-Group: evil' -H 'X-Remote-Extra-Evil: evil' $server/apis/ext.example.com/v1/namespaces/default/fruits/apple | grep -q '\"user\": *\"plumb-admin\"'"
ok "… nor their groups" sh -c "! grep -q 'mallory\|evil' $work/fruits.log"
ok "what it refuses is told as it says it" sh -c "$KC get fruit pear 2>&1 | grep -q 'the server could not find the requested resource'"
apiservice "$work/other.crt"
ok "a certificate that nobody vouches for" available v1.ext.example.com 'False (FailedDiscoveryCheck)'
apiservice "$work/tls.crt"
ok "… and one that is" available v1.ext.example.com 'default/fruits  *True'
kill "$fruits_pid"
k delete endpointslice fruits-1 >/dev/null
ok "its endpoints go" available v1.ext.example.com 'False (EndpointsNotFound)'
printf 'apiVersion: v1\nkind: Endpoints\nmetadata: {name: fruits, namespace: default}\n' | k apply -f - >/dev/null
ok "… nobody is in them" available v1.ext.example.com 'False (MissingEndpoints)'
k delete apiservice v1.ext.example.com >/dev/null
ok "the group goes with it" soon 5 sh -c "! $KC api-resources 2>&1 | grep -q fruits"
ok "clean stop" stop
finish
