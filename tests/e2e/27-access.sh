#!/bin/bash
# Who comes in and what is noted of it: tokens of a file, bootstrap tokens to a signed certificate, ABAC, the audit log, overload.
. "$(dirname "$0")/lib.sh"
for t in openssl curl "$KUBECTL"; do command -v "$t" >/dev/null || skip_all "access" "needs $t"; done
printf 'sesame-1,ann,1,"ops"\nsesame-2,bob,2\n' >"$work/tokens.csv"
echo '{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"group":"ops","namespace":"*","resource":"*","apiGroup":"*","readonly":true}}' >"$work/abac.jsonl"
cat >"$work/policy.yaml" <<Y
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: RequestResponse, resources: [{group: "", resources: [secrets, configmaps]}]}
- {level: Metadata, users: [ann, bob, "system:anonymous"]}
Y
"$PLUMB" up --nodes 0 --data-dir "$work/bad" --listen 127.0.0.1:0 --apiserver-arg token-auth-file=/nowhere >"$work/bad.log" 2>&1 &
bad=$!
ok "a file of tokens that isn't there ends the start" sh -c "tail --pid=$bad -f /dev/null & wait; ! test -e $work/bad/ready; grep -rq token-auth-file $work/bad.log $work/bad/log"
kill $bad 2>/dev/null
wait $bad 2>/dev/null
"$PLUMB" down --data-dir "$work/bad" >/dev/null 2>&1
start --nodes 0 --apiserver-arg "token-auth-file=$work/tokens.csv" --apiserver-arg anonymous-auth \
	--apiserver-arg authorization-mode=Node,RBAC,ABAC --apiserver-arg "authorization-policy-file=$work/abac.jsonl" \
	--apiserver-arg "audit-policy-file=$work/policy.yaml" --apiserver-arg "audit-log-path=$work/audit.log"
server=$(sed -n 's/^ *server: //p' "$data/admin.kubeconfig" | head -1)
as() { local t=$1; shift; "$KUBECTL" --server "$server" --certificate-authority "$data/pki/ca.crt" --kubeconfig /dev/null --token "$t" "$@"; }
# Not as curl: it is shown indented JSON.
code() { curl -s -A test -o "$work/out" -w '%{http_code}' --cacert "$data/pki/ca.crt" "$@"; }
is() { local want=$1; shift; local got; got=$(code "$@"); [ "$got" = "$want" ] || { echo "$got instead of $want"; cat "$work/out"; false; }; }

ok "the policy file lets ann read" as sesame-1 -n kube-system get pods
ok "… and only that" is 403 -H "Authorization: Bearer sesame-1" -X DELETE "$server/api/v1/namespaces/default/configmaps/kube-root-ca.crt"
self=(-H 'Content-Type: application/json' -d '{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}' "$server/apis/authentication.k8s.io/v1/selfsubjectreviews")
ok "a token is known by its id" is 201 -H "Authorization: Bearer $(k create token default)" "${self[@]}"
ok "… which its holder is told" grep -q '"extra":{"authentication.kubernetes.io/credential-id":."JTI=[0-9a-f-]*".}' "$work/out"
for i in certificate key; do k config view --raw -o "jsonpath={.users[0].user.client-$i-data}" | base64 -d >"$work/me.$i"; done
ok "who acts as somebody says more of them" is 201 --cert "$work/me.certificate" --key "$work/me.key" -H 'Impersonate-User: jane' \
	-H 'Impersonate-Extra-Example.com%2FTeam: red' "${self[@]}"
ok "… which is passed on" grep -q '"extra":{"example.com/team":."red".}' "$work/out"
ok "bob may nothing" is 403 -H "Authorization: Bearer sesame-2" "$server/api/v1/pods"
ok "a wrong token is nobody's" is 401 -H "Authorization: Bearer sesame-3" "$server/version"
ok "who shows nothing may see the version" is 200 "$server/version"
ok "… and no pods" is 403 "$server/api/v1/pods"
ok "… and where the cluster is" is 200 "$server/api/v1/namespaces/kube-public/configmaps/cluster-info"

k -n kube-system create secret generic bootstrap-token-abcdef --type=bootstrap.kubernetes.io/token --from-literal=token-id=abcdef \
	--from-literal=token-secret=0123456789abcdef --from-literal=usage-bootstrap-authentication=true >/dev/null
openssl ecparam -name prime256v1 -genkey -noout -out "$work/n.key"
openssl req -new -key "$work/n.key" -subj "/O=system:nodes/CN=system:node:nx" -out "$work/n.csr"
request() {
	printf '{"apiVersion":"certificates.k8s.io/v1","kind":"CertificateSigningRequest","metadata":{"name":"%s"},"spec":{"request":"%s","signerName":"%s","usages":["%s","digital signature"]}}' \
		"$1" "$(base64 -w0 "$2")" "$3" "$4" >"$work/$1.json"
}
request nx "$work/n.csr" kubernetes.io/kube-apiserver-client-kubelet "client auth"
boot=(-H "Authorization: Bearer abcdef.0123456789abcdef" -H "Content-Type: application/json")
ok "a bootstrap token asks for a node's certificate" is 201 "${boot[@]}" -d "@$work/nx.json" "$server/apis/certificates.k8s.io/v1/certificatesigningrequests"
ok "… and gets it without anybody's help" soon 10 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get csr nx | grep -q Approved,Issued"
k get csr nx -o 'jsonpath={.status.certificate}' | base64 -d >"$work/n.crt"
ok "with it the node is a node" is 200 --cert "$work/n.crt" --key "$work/n.key" "$server/api/v1/nodes"
openssl req -new -key "$work/n.key" -subj "/O=system:nodes/CN=system:node:nx" -addext "subjectAltName=DNS:nx,IP:10.1.2.3" -out "$work/s.csr"
request ns "$work/s.csr" kubernetes.io/kubelet-serving "server auth"
ok "it asks for a serving certificate" is 201 --cert "$work/n.crt" --key "$work/n.key" -H "Content-Type: application/json" -d "@$work/ns.json" "$server/apis/certificates.k8s.io/v1/certificatesigningrequests"
ok "… which people approve" k certificate approve ns
ok "… and which then names what it asked for" soon 10 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get csr ns -o 'jsonpath={.status.certificate}' | base64 -d | openssl x509 -noout -ext subjectAltName | grep -q 'DNS:nx, IP Address:10.1.2.3'"
print=$(openssl x509 -in "$work/n.crt" -noout -fingerprint -sha256 | sed 's/.*=//; s/://g' | tr A-F a-f)
ok "… and by which credential it was asked for" sh -c "[ \"\$($KUBECTL --kubeconfig $data/admin.kubeconfig get csr ns -o 'jsonpath={.spec.extra}')\" = '{\"authentication.kubernetes.io/credential-id\":[\"X509SHA256=$print\"]}' ]"
k -n kube-system delete secret bootstrap-token-abcdef >/dev/null
ok "the token is worth nothing once its Secret is gone" is 401 "${boot[@]}" "$server/api"

head -c 3200000 /dev/zero | tr '\0' ' ' >"$work/big"
ok "what is too big is refused with a Status" is 413 -H "Authorization: Bearer sesame-1" -H "Content-Type: application/json" --data-binary "@$work/big" "$server/api/v1/namespaces"
ok "… which says so" grep -q '"reason":"RequestEntityTooLarge"' "$work/out"
ok "answers name their flow" sh -c "curl -s -D - -o /dev/null --cacert $data/pki/ca.crt -H 'Authorization: Bearer sesame-1' $server/api/v1/pods | grep -qi '^x-kubernetes-pf-flowschema-uid: [0-9a-f-]\{36\}'"
ok "figures of fair queuing" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get --raw /metrics | grep -q '^apiserver_flowcontrol_dispatched_requests_total{flow_schema=\"global-default\"'"

k create secret generic hidden --from-literal=k=very-secret-text >/dev/null
k create configmap seen --from-literal=k=shown-text >/dev/null
ok "the log tells what was written" soon 5 grep -q '"responseObject":{"kind":"ConfigMap".*shown-text' "$work/audit.log"
ok "… and who was refused" grep -q '"username":"bob".*"code":403' "$work/audit.log"
ok "… and by which credential" grep -q '"username":"plumb-admin".*"extra":{"authentication.kubernetes.io/credential-id":."X509SHA256=' "$work/audit.log"
ok "… and no secrets" sh -c "grep -q '\"name\":\"hidden\"' $work/audit.log && ! grep -q -e very-secret -e dmVyeS1zZWNyZXQ -e 0123456789abcdef $work/audit.log"
ok "each line is an Event" sh -c "! head -n \$(wc -l <$work/audit.log) $work/audit.log | grep -v '^{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",.*}$'"
finish
