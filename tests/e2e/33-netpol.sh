#!/bin/bash
# NetworkPolicies are enforced: within a node, between nodes, both directions, by pods, namespaces,
# networks and ports; the node's own probes always pass, and what is taken back is open again.
. "$(dirname "$0")/lib.sh"
need_root "network policies"
busybox_image busybox:1 >/dev/null
start --nodes 2
pod() { # NAMESPACE NAME NODE LABELS
	cat <<Y
apiVersion: v1
kind: Pod
metadata: {name: $2, namespace: $1, labels: {$4}}
spec:
  nodeName: $3
  terminationGracePeriodSeconds: 0
  containers:
    - name: main
      image: busybox:1
      command: ["sh","-c","mkdir -p /tmp/w && echo $2 > /tmp/w/index.html && httpd -p 81 -h /tmp/w && exec httpd -f -p 80 -h /tmp/w"]
      ports: [{name: web, containerPort: 80}]
      readinessProbe: {httpGet: {port: 80, path: /}, periodSeconds: 1}
---
Y
}
n1=$(k get nodes -o jsonpath='{.items[0].metadata.name}') n2=$(k get nodes -o jsonpath='{.items[1].metadata.name}')
k create ns a >/dev/null; k create ns b >/dev/null; k label ns b team=y >/dev/null
for ns in a b; do soon 10 k -n $ns get serviceaccount default >/dev/null; done
{ pod a server "$n1" "app: server"; pod a near "$n1" "app: near"; pod a far "$n2" "app: far"; pod b other "$n2" "app: far"; } | k apply -f - >/dev/null
k -n a expose pod server --port 80 >/dev/null
ok "pods are ready" k wait --for=condition=Ready pod --all -A --timeout=180s
ip=$(k -n a get pod server -o jsonpath='{.status.podIP}') vip=$(k -n a get svc server -o jsonpath='{.spec.clusterIP}')
other=$(k -n b get pod other -o jsonpath='{.status.podIP}')
# get NAMESPACE POD ADDRESS[:PORT]
get() {
	local port=${3#*:}
	[ "$port" != "$3" ] || port=80
	k -n "$1" exec "$2" -- sh -c "printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 1 ${3%:*} $port" | grep -q 200
}
not_get() { ! get "$@"; }
can() { soon 8 get "$@"; }
cannot() { soon 8 not_get "$@"; }
policy() { printf '{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"namespace":"a","name":"p"},"spec":{"podSelector":{"matchLabels":{"app":"%s"}},%s}}' "$1" "$2" | k apply -f - >/dev/null; }
ok "without a policy everybody gets in" can b other "$ip"
policy server '"policyTypes":["Ingress"]'
ok "default deny: not from the same node" cannot a near "$ip"
ok "nor from another" cannot a far "$ip"
ok "nor by the Service" cannot a near "$vip"
ok "but the pod itself, by its Service" can a server "$vip"
ok "and it reaches others" can a server "$other"
ok "probes pass" soon 10 sh -c "sleep 2; [ \"\$($KUBECTL --kubeconfig $data/admin.kubeconfig -n a get pod server -o jsonpath='{.status.conditions[?(@.type==\"Ready\")].status}')\" = True ]"
policy server '"policyTypes":["Ingress"],"ingress":[{"from":[{"podSelector":{"matchLabels":{"app":"far"}}}],"ports":[{"port":"web"}]}]'
ok "a pod by its label, at a port by its name" can a far "$ip"
ok "by the Service, too" can a far "$vip"
ok "not at another port" cannot a far "$ip:81"
ok "not another namespace's pod of that label" cannot b other "$ip"
policy server '"policyTypes":["Ingress"],"ingress":[{"from":[{"namespaceSelector":{"matchLabels":{"team":"y"}}}],"ports":[{"port":80,"endPort":81}]}]'
ok "a namespace by its label, at a range of ports" can b other "$ip:81"
k label ns b team- >/dev/null
ok "until it loses the label" cannot b other "$ip"
policy server "\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":[{\"ipBlock\":{\"cidr\":\"10.244.0.0/16\",\"except\":[\"$other/32\"]}}]}]"
ok "a network" can a far "$ip"
ok "but for its exception" cannot b other "$ip"
k -n a delete networkpolicy p >/dev/null
ok "without the policy it is open again" can b other "$ip"
policy near '"policyTypes":["Egress"],"egress":[{"to":[{"podSelector":{"matchLabels":{"app":"server"}}}]}]'
ok "egress: to the one pod" can a near "$vip"
ok "to no other" cannot a near "$other"
finish
