#!/bin/bash
# Services: cluster IP and NodePort reach every ready pod, from the host and from other nodes.
. "$(dirname "$0")/lib.sh"
need_root "services"
busybox_image busybox:1 >/dev/null
start --nodes 2
ok "two nodes are Ready" soon 15 sh -c "[ \$($KUBECTL --kubeconfig $data/admin.kubeconfig get nodes --no-headers | grep -c ' Ready ') = 2 ]"
cat >"$work/app.yaml" <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: who}
spec:
  replicas: 4
  selector: {matchLabels: {app: who}}
  template:
    metadata: {labels: {app: who}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
        - name: main
          image: busybox:1
          command: ["sh","-c","mkdir -p /tmp/w && echo $NAME $NODE > /tmp/w/index.html && exec httpd -f -p 8080 -h /tmp/w"]
          env:
            - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
            - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
          readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: who}
spec:
  type: NodePort
  selector: {app: who}
  ports: [{port: 80, targetPort: 8080, nodePort: 30999}]
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "busybox:1", command: [sleep, "10000"]}]
Y
k apply -f "$work/app.yaml" >/dev/null
ok "the rollout ends" k rollout status deployment/who --timeout=180s
ok "pods are spread over both nodes" sh -c "[ \$($KUBECTL --kubeconfig $data/admin.kubeconfig get pods -l app=who -o jsonpath='{range .items[*]}{.spec.nodeName}{\"\n\"}{end}' | sort -u | wc -l) = 2 ]"
ip=$(k get svc who -o jsonpath='{.spec.clusterIP}')
hit() { for _ in $(seq 60); do curl -s -m 4 "http://$1/" | cut -d' ' -f1; done | sort -u | grep -c .; }
ok "the endpoints are four" soon 10 sh -c "[ \$($KUBECTL --kubeconfig $data/admin.kubeconfig get endpoints who -o jsonpath='{.subsets[0].addresses[*].ip}' | wc -w) = 4 ]"
reach() { [ "$(hit "$1")" = 4 ]; }
ok "its cluster IP reaches all four, from the host" soon 10 reach "$ip"
for i in 0 1; do
	node=$(k get nodes -o jsonpath="{.items[$i].status.addresses[0].address}")
	ok "the NodePort of node $i reaches all four" soon 10 reach "$node:30999"
done
ok "pods of two nodes reach each other" soon 5 sh -c "for p in \$($KUBECTL --kubeconfig $data/admin.kubeconfig get pods -l app=who -o jsonpath='{.items[*].status.podIP}'); do curl -sf -m 2 http://\$p:8080/ >/dev/null || exit 1; done"
# Pods that end at once when told to: nobody may be sent to them by then.
roll() {
	rm -f "$work/stop"
	python3 "$(dirname "$0")/steady.py" "$ip" 80 "$work/stop" & local asking=$!
	sleep 0.5
	k patch deployment who -p '{"spec":{"template":{"spec":{"containers":[{"name":"main","command":["sh","-c","mkdir -p /tmp/w && echo $NAME $NODE > /tmp/w/index.html && httpd -f -p 8080 -h /tmp/w & trap exit TERM; wait"]}]}}}}' &&
		k rollout status deployment/who --timeout=180s && k rollout restart deployment/who && k rollout status deployment/who --timeout=180s
	sleep 3
	touch "$work/stop"
	wait "$asking"
}
command -v python3 >/dev/null && ok "a rolling update loses no request" roll
k scale deployment who --replicas=0 >/dev/null
ok "without endpoints a connection is refused, not hung" soon 15 sh -c "! curl -s -m 1 http://$ip/ && [ \$(curl -s -m 2 -o /dev/null -w '%{errormsg}' http://$ip/ | grep -ci 'timed out') = 0 ]"
k delete -f "$work/app.yaml" --timeout=180s >/dev/null
ok "clean stop" stop
finish
