#!/bin/bash
# Names, asked for from inside pods on two nodes: Services, endpoints of headless ones, ports, aliases, the way back;
# after the name server was killed too.
. "$(dirname "$0")/lib.sh"
need_root "pods"
busybox_image busybox:1 nslookup wget >/dev/null
start --nodes 2
cat >"$work/app.yaml" <<'Y'
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  serviceName: db
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: main
          image: busybox:1
          command: ["sh","-c","mkdir -p /tmp/w && hostname > /tmp/w/index.html && exec httpd -f -p 8080 -h /tmp/w"]
          readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: web, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: front}
spec: {selector: {app: db}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: alias}
spec: {type: ExternalName, externalName: front.default.svc.cluster.local}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "busybox:1", command: [sleep, "10000"]}]
Y
k apply -f "$work/app.yaml" >/dev/null
ok "the pods run" k rollout status statefulset/db --timeout=180s
ok "so does the client" k wait --for=condition=ready pod/client --timeout=180s
look() { k exec client -- busybox nslookup "$@" 2>&1; }
get() { # get NAME [PORT]
	local ip
	ip=$(look "$1" | awk '/^Name:/{n = 1} n && /^Address: /{print $2; exit}')
	[ -n "$ip" ] && k exec client -- busybox wget -q -O- "http://$ip:${2:-80}/"
}
says() { # says TEXT COMMAND…
	local want=$1; shift
	"$@" | grep -qF -- "$want"
}
front=$(k get svc front -o jsonpath='{.spec.clusterIP}')
ok "a Service by its short name" soon 10 says db- get front
ok "and with its namespace" soon 10 says db- get front.default.svc.cluster.local
ok "and in full" soon 10 says "$front" look front.default.svc.cluster.local
ok "a pod of a headless Service by its own name" soon 10 says db-1 get db-1.db.default.svc.cluster.local 8080
ok "all ready ones of a headless Service" soon 10 sh -c "[ \$($KUBECTL --kubeconfig $data/admin.kubeconfig exec client -- busybox nslookup db.default.svc.cluster.local | grep -c 'Address: 10.244') = 2 ]"
ok "a port" soon 10 says "0 100 80 front.default.svc.cluster.local" look -type=srv _http._tcp.front.default.svc.cluster.local
ok "an alias of another name" soon 10 says "$front" look alias.default.svc.cluster.local
ok "the way back" soon 10 says front.default.svc.cluster.local look "$front"
# Without a way to the upstream server that is said, before resolvers have stopped to wait.
elsewhere() {
	nsenter --net="$data/nodes/node-1/netns" python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.sendto(b"ab\1\0\0\1\0\0\0\0\0\0\x09elsewhere\4test\0\0\1\0\1", ("10.96.0.10", 53))
assert s.recv(4096)[:2] == b"ab"'
}
command -v python3 >/dev/null && ok "a name of elsewhere is answered or refused, in time" elsewhere
ok "a name that isn't" soon 10 says NXDOMAIN look nope.default.svc.cluster.local
k scale statefulset db --replicas=1 >/dev/null
gone() { [ "$(look db.default.svc.cluster.local | grep -c 'Address: 10.244')" = 1 ]; }
ok "a pod that went is no answer any more" soon 10 gone
pkill -9 -f "$PLUMB dns --data-dir $data" || true
ok "after a kill names are there again" soon 10 says db- get front
ok "clean stop" stop
finish
