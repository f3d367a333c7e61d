#!/bin/bash
# What services and pods promise beyond 30-service: host ports, hairpin, affinity, changing types,
# endpoints written by hand, load balancers for some, and the API's proxy.
. "$(dirname "$0")/lib.sh"
need_root "network"
busybox_image busybox:1 >/dev/null
start --nodes 2
n1=$(k get nodes -o jsonpath='{.items[0].metadata.name}') n2=$(k get nodes -o jsonpath='{.items[1].metadata.name}')
h1=$(k get node "$n1" -o jsonpath='{.status.addresses[0].address}') h2=$(k get node "$n2" -o jsonpath='{.status.addresses[0].address}')
pod() { # NAME NODE PORTS MORE: answers its name at port 80
	cat <<Y
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: "$1", all: "${6:-yes}"}}
spec:
  nodeName: $2
  terminationGracePeriodSeconds: 0
  ${4:-}
  containers:
    - name: main
      image: busybox:1
      command: ["sh","-c","mkdir -p /tmp/w && echo I am $1 > /tmp/w/index.html && exec httpd -f -p ${5:-80} -h /tmp/w"]
      ports: [$3]
---
Y
}
{
	pod one "$n1" "{containerPort: 80, hostPort: 8080, hostIP: 127.0.0.1}"
	pod two "$n1" "{containerPort: 80, hostPort: 8080, hostIP: $h1}"
	pod three "$n1" "{containerPort: 80, hostPort: 8081}, {name: udp, containerPort: 80, hostPort: 8080, hostIP: $h1, protocol: UDP}"
	pod far "$n2" "{name: http, containerPort: 80}"
	pod host "$n1" "{containerPort: 7080}" "hostNetwork: true" 7080 no
} | k apply -f - >/dev/null
ok "pods are ready" k wait --for=condition=Ready pod --all --timeout=180s
# ask POD ADDRESS PORT: what answers there, as the pod sees it
ask() { k exec "$1" -- sh -c "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 1 $2 $3" | sed -n 's/^I am //p'; }
# many POD ADDRESS PORT: the same, twelve times.
many() { k exec "$1" -- sh -c "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 1 $2 $3; done" | sed -n 's/^I am //p'; }
is() { [ "$(ask "$1" "$2" "$3")" = "$4" ]; }
from_host() { [ "$(curl -s -m 2 "http://$1/")" = "I am $2" ]; }
refused() { k exec "$1" -- sh -c "time nc -w 5 $2 $3 </dev/null" 2>&1 | grep -q -i refused; }
p() { k get pod "$1" -o jsonpath='{.status.podIP}'; }
patch() { k patch svc "$1" --type merge -p "$2" >/dev/null; }
field() { k get svc "$1" -o jsonpath="{.spec.$2}"; }

ok "a host port at an address" soon 5 from_host "$h1:8080" two
ok "at 127.0.0.1 of the node" soon 5 is host 127.0.0.1 8080 one
ok "at any address" soon 5 from_host "$h1:8081" three
ok "from another node's pod" soon 5 is far "$h1" 8081 three
ok "from the pod itself" soon 5 is three "$h1" 8081 three
ok "a pod in the node's network has the node's name" sh -c "[ \"\$($KUBECTL --kubeconfig $data/admin.kubeconfig exec host -- cat /proc/sys/kernel/hostname)\" = $n1 ]"
ok "load balancers learn that the node's dataplane works" soon 5 sh -c "curl -sf -m 2 http://$h1:10256/healthz | grep -q lastUpdated"
ok "and only the node itself its metrics" sh -c "! curl -s -m 1 http://$h1:10249/metrics"
ok "connections half closed are kept for an hour" sh -c "nsenter --net=\"$data/nodes/$n1/netns\" cat /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait | grep -q '^3600$'"
k delete pod three >/dev/null
ok "host ports go with their pods" soon 5 sh -c "! curl -s -m 1 http://$h1:8081/"

k expose pod one --port 80 --name one >/dev/null
vip=$(field one clusterIP)
ok "a pod reaches itself by its Service" soon 5 is one "$vip" 80 one
ok "another node's pod, too" soon 5 is far "$vip" 80 one
ok "and a pod in the node's network" soon 5 is host "$vip" 80 one
patch one '{"spec":{"type":"NodePort"}}'
np=$(field one 'ports[0].nodePort')
ok "as a NodePort, by another node" soon 5 from_host "$h2:$np" one
ok "from a pod" soon 5 is far "$h1" "$np" one
patch one '{"spec":{"type":"ClusterIP"}}'
ok "as a ClusterIP it has no node port" test -z "$(field one 'ports[0].nodePort')"
ok "its address stays" test "$(field one clusterIP)" = "$vip"
patch one '{"spec":{"type":"ExternalName","externalName":"example.org","clusterIP":"","clusterIPs":null}}'
ok "as an ExternalName it has no address" test -z "$(field one clusterIP)"
patch one '{"spec":{"type":"ClusterIP","externalName":null}}'
ok "and gets one again" test -n "$(field one clusterIP)"
vip=$(field one clusterIP)
ok "that works" soon 5 is far "$vip" 80 one
k label pod one app- >/dev/null
ok "without endpoints it refuses" soon 5 refused far "$vip" 80

k create service clusterip many --tcp 80:80 >/dev/null && patch many '{"spec":{"selector":{"app":null,"all":"yes"}}}'
vip=$(field many clusterIP)
names() { many far "$vip" 80 | sort -u | wc -l; }
more_than_one() { [ "$(names)" -gt 1 ]; }
one_only() { [ "$(names)" = 1 ]; }
ok "without affinity many answer" soon 8 more_than_one
patch many '{"spec":{"sessionAffinity":"ClientIP"}}'
ok "with affinity one does" soon 8 one_only
patch many '{"spec":{"sessionAffinity":"None"}}'
ok "until it is taken back" soon 8 more_than_one

k label node "$n1" topology.kubernetes.io/zone=z1 >/dev/null && k label node "$n2" topology.kubernetes.io/zone=z2 >/dev/null
patch many '{"spec":{"trafficDistribution":"PreferClose"}}'
near() { [ "$(many far "$vip" 80 | sort -u)" = far ]; }
ok "a Service that stays close is answered in the zone" soon 20 near
patch many '{"spec":{"trafficDistribution":null}}'
ok "and by all again" soon 20 more_than_one
k label node "$n1" "$n2" topology.kubernetes.io/zone- >/dev/null
k create service clusterip inner --tcp 80:80 >/dev/null && patch inner '{"spec":{"internalTrafficPolicy":"Local","selector":{"app":"two"}}}'
ok "one for its node answers there" soon 20 is host "$(field inner clusterIP)" 80 two
ok "and nowhere else" test -z "$(ask far "$(field inner clusterIP)" 80)"

k create service clusterip written --tcp 80:80 >/dev/null && patch written '{"spec":{"selector":null}}'
k apply -f - >/dev/null <<Y
apiVersion: v1
kind: Endpoints
metadata: {name: written}
subsets: [{addresses: [{ip: $(p two)}], ports: [{name: 80-80, port: 80}]}]
Y
vip=$(field written clusterIP)
ok "endpoints written by hand are reached" soon 5 is far "$vip" 80 two
patch written '{"spec":{"type":"LoadBalancer","loadBalancerSourceRanges":["'"$(p far)"'/32"],"externalIPs":["203.0.113.8"]}}'
k patch svc written --subresource status --type merge -p '{"status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.7"}]}}}' >/dev/null
ok "a load balancer's address" soon 5 is far 203.0.113.7 80 two
ok "isn't for everybody" sh -c "[ -z \"$(ask host 203.0.113.7 80)\" ]"
ok "an external address is" soon 5 is host 203.0.113.8 80 two
k create service loadbalancer edge --tcp 8099:80 >/dev/null && patch edge '{"spec":{"selector":{"app":"far"}}}'
ok "without a cloud the nodes are the balancer" soon 5 from_host "$h1:8099" far
said_so() { [ "$(k get svc edge -o jsonpath='{.status.loadBalancer.ingress[*].ip}')" = "$h1 $h2" ]; }
ok "and say so" soon 5 said_so
patch written '{"spec":{"externalTrafficPolicy":"Local","selector":{"app":"two"},"loadBalancerSourceRanges":null}}'
hc=$(field written healthCheckNodePort)
ok "its health check says where it serves" soon 5 sh -c "curl -s -m 2 http://$h1:$hc/ | grep -q '\"localEndpoints\":1'"
ok "and where it doesn't" soon 5 sh -c "[ \$(curl -s -m 2 -o /dev/null -w '%{http_code}' http://$h2:$hc/) = 503 ]"
# Who is asked to go serves on while there is nobody else.
k create service clusterip last --tcp 80:80 >/dev/null && patch last '{"spec":{"selector":{"app":"far"}}}'
vip=$(field last clusterIP)
soon 10 is host "$vip" 80 far
k delete pod far --grace-period=60 --wait=false >/dev/null
ends() { [ "$(k get endpointslices -l kubernetes.io/service-name=last -o 'jsonpath={range .items[*].endpoints[*].conditions}{.ready} {.serving} {.terminating}{end}')" = "false true true" ]; }
ok "a pod that ends is told to" soon 20 ends
ok "and is asked, as the last one" soon 10 is host "$vip" 80 far
k delete svc kubernetes >/dev/null
ok "the API's own Service comes again" soon 10 k get svc kubernetes
finish
