#!/bin/bash
# A control plane here, two nodes on "machines" of their own: network namespaces that share a link
# with this one. They join by a token and are told apart by certificates.
. "$(dirname "$0")/lib.sh"
need_root "agents"

link=plbe$$
machine() { echo "plumbe2e$$-$1"; }
# Its network alone: `ip netns exec` would hide the cgroups, too.
on() { local n=$1; shift; nsenter --net="/run/netns/$(machine "$n")" "$@"; }
agent_pids=""
leave() {
	for p in $agent_pids; do kill "$p" 2>/dev/null; done
	for p in $agent_pids; do wait "$p" 2>/dev/null; done
	for n in 1 2; do
		[ -d "$work/m$n" ] && on $n "$PLUMB" down --data-dir "$work/m$n" >/dev/null 2>&1
		ip netns del "$(machine $n)" 2>/dev/null
	done
	ip link del "$link" 2>/dev/null
	[ "$tap_bad" -ne 0 ] && for f in "$work"/agent*.log "$work"/m*/log/*.log; do echo "# --- $f"; tail -n 15 "$f" | sed 's/^/# /'; done
	cleanup
}
trap leave EXIT

ip link add "$link" type bridge && ip addr add 10.77.0.1/24 dev "$link" && ip link set "$link" up
for n in 1 2; do
	ip netns add "$(machine $n)"
	ip link add "$link$n" type veth peer name eth0 netns "$(machine $n)"
	ip link set "$link$n" master "$link" up
	ip -n "$(machine $n)" addr add "10.77.0.1$n/24" dev eth0
	ip -n "$(machine $n)" link set eth0 up
	ip -n "$(machine $n)" link set lo up
	ip -n "$(machine $n)" route add default via 10.77.0.1
done

"$PLUMB" server --data-dir "$data" --listen 10.77.0.1:6443 >"$work/up.log" 2>&1 &
up_pid=$!
ok "a server starts" soon 20 test -e "$data/ready"
image() { # image MACHINE
	local keep=$data; data=$work/m$1; busybox_image busybox:1 >/dev/null; data=$keep
}
agent() { # agent MACHINE ARGS…
	local n=$1; shift
	nsenter --net="/run/netns/$(machine "$n")" "$PLUMB" agent --data-dir "$work/m$n" --server https://10.77.0.1:6443 --node-name "m$n" "$@" >>"$work/agent$n.log" 2>&1 &
	eval "agent$n=$!"
	agent_pids="$agent_pids $!"
}
refused() { # refused MESSAGE ARGS…
	local want=$1; shift
	! on 1 timeout 100 "$PLUMB" agent --data-dir "$work/bad" --server https://10.77.0.1:6443 --node-name bad "$@" >"$work/bad.log" 2>&1 || return 1
	grep -q "$want" "$work/bad.log" || { cat "$work/bad.log"; return 1; }
}

ok "token create" sh -c "$PLUMB token create --data-dir $data --description machines >$work/token && grep -qE '^[a-z0-9]{6}\.[a-z0-9]{16}\.[0-9a-f]{64}$' $work/token"
token=$(cat "$work/token")
ok "token list shows no secret" sh -c "$PLUMB token list --data-dir $data | grep -q machines && ! $PLUMB token list --data-dir $data | grep -q '$(echo "$token" | cut -d. -f2)'"
ok "without a token nobody joins" refused "has not joined yet"
ok "another cluster's hash is noticed" refused "has another hash" --token "$(echo "$token" | cut -d. -f1-2).$(printf '0%.0s' $(seq 64))"
rm -rf "$work/bad"
ok "a wrong secret is refused" refused "Unauthorized" --token "$(echo "$token" | sed 's/\..*\./.0123456789abcdef./')"
image 1; image 2
agent 1 --token "$token"
echo "$token" >"$work/token"; agent 2 --token-file "$work/token"
ready() { k get node "$1" --no-headers 2>/dev/null | grep -q ' Ready '; }
ok "machines join" soon 20 ready m1
ok "… both" soon 20 ready m2
ok "their addresses are known" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get nodes -o wide | grep -q 10.77.0.12"
ok "requests were approved by right" soon 10 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get csr | grep kubelet-serving | grep -q 'Approved,Issued'"
ok "a token can be taken back" "$PLUMB" token delete "$token" --data-dir "$data"

for n in 1 2; do cat <<Y; done | k apply -f - >/dev/null
apiVersion: v1
kind: Pod
metadata: {name: p$n, labels: {app: p$n}}
spec:
  nodeName: m$n
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: 'busybox:1', command: [sh, -c, 'echo I am p$n; echo p$n >/www/who; exec httpd -f -p 8080 -h /www']}]
---
apiVersion: v1
kind: Service
metadata: {name: p$n}
spec: {selector: {app: p$n}, ports: [{port: 80, targetPort: 8080}]}
---
Y
running() { k get pod "$1" --no-headers | grep -q '1/1 *Running'; }
ok "pods run there" soon 20 running p1
ok "… on both" soon 20 running p2
ok "logs through the server" soon 10 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig logs p2 | grep -q 'I am p2'"
ok "exec through the server" soon 10 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig exec p1 -- cat /www/who | grep -q p1"
p2=$(k get pod p2 -o jsonpath='{.status.podIP}')
ok "a pod reaches one on the other machine" soon 10 k exec p1 -- busybox wget -q -O- "http://$p2:8080/who"
service=$(k get svc p2 -o jsonpath='{.spec.clusterIP}')
ok "… by its Service" soon 10 k exec p1 -- busybox wget -q -O- "http://$service/who"
ok "… whose name it finds" soon 10 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig exec p1 -- busybox nslookup p2.default.svc.cluster.local | grep -q $service"
ok "the server's machine reaches pods" soon 5 curl -sf -m 10 "http://$p2:8080/who"
ok "… so its API does" soon 10 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get --raw /api/v1/namespaces/default/services/p2:80/proxy/who | grep -q p2"
ok "top nodes" soon 10 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig top nodes | grep -q m2"

$PLUMB token create --ttl 1s --data-dir "$data" >/dev/null
ok "an expired token is deleted" soon 5 sh -c "! $PLUMB token list --data-dir $data | grep -qE 'expired|20[0-9][0-9]-'"

# ---- a node is nobody else
as_node() { "$KUBECTL" --kubeconfig "$work/m1/pki/kubelet-m1.kubeconfig" "$@"; }
ok "a node can't change another" sh -c "! $KUBECTL --kubeconfig $work/m1/pki/kubelet-m1.kubeconfig label node m2 a=b 2>&1 | grep -q labeled"
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/k" -subj /O=system:nodes/CN=system:node:m1 -addext subjectAltName=IP:10.77.0.1 -out "$work/csr" 2>/dev/null
as_node create -f - >/dev/null 2>&1 <<Y
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: greedy}
spec: {signerName: kubernetes.io/kubelet-serving, usages: [digital signature, server auth], request: $(base64 -w0 "$work/csr")}
Y
ok "… nor be the server" sh -c "sleep 1; $KUBECTL --kubeconfig $data/admin.kubeconfig get csr greedy --no-headers | grep -q Pending"

# ---- restarts
before=$(k get pod p1 -o jsonpath='{.status.containerStatuses[0].containerID}')
kill -9 "$agent1"; wait "$agent1" 2>/dev/null
rm -f "$work/m1/ready"
serial() { openssl x509 -noout -serial -in "$work/m1/pki/$1-m1.crt"; }
client=$(serial kubelet-client) serving=$(serial kubelet)
agent 1 --renew-within 9000h
ok "a killed agent comes back without a token" soon 20 test -e "$work/m1/ready"
ok "… its containers went on" [ "$(k get pod p1 -o jsonpath='{.status.containerStatuses[0].containerID}')" = "$before" ]
ok "… with new certificates, as asked" [ "$(serial kubelet-client)" != "$client" -a "$(serial kubelet)" != "$serving" ]
ok "… by which it is served" soon 10 k exec p1 -- true
kill "$up_pid"; wait "$up_pid" 2>/dev/null
ok "a stopped server takes its routes away" sh -c "! ip route | grep -q 10.244"
"$PLUMB" server --data-dir "$data" --listen 10.77.0.1:6443 >>"$work/up.log" 2>&1 &
up_pid=$!
ok "the server comes back" soon 20 test -e "$data/ready"
ok "… and its nodes to it" soon 20 k exec p2 -- true

# ---- the end
kill "$agent2"; wait "$agent2" 2>/dev/null
on 2 "$PLUMB" down --data-dir "$work/m2" >/dev/null 2>&1
ok "an agent leaves nothing behind" sh -c "! ip -n $(machine 2) link show plumb0 2>/dev/null && ! ip -n $(machine 2) route | grep -q 10.244 && ! ip -n $(machine 2) addr show lo | grep -q 10.96 && [ -z \"\$(nsenter --net=/run/netns/$(machine 2) nft list tables)\" ]"
finish
