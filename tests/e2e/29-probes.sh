#!/bin/bash
# Probes and hooks of every kind: redirections, gRPC, start-up, deadlines; hooks by HTTP and sleep.
. "$(dirname "$0")/lib.sh"
need_root "probes"
busybox_image plain:1 >/dev/null
# What servers answer, as programs of the image.
script() { mkdir -p "$(dirname "$work/fs/$1")"; { echo '#!/bin/sh'; cat; } >"$work/fs/$1"; chmod 755 "$work/fs/$1"; }
script www/cgi-bin/local <<'S'
printf 'Status: 302 Found\r\nLocation: /none\r\n\r\n'
S
script www/cgi-bin/away <<'S'
printf 'Status: 302 Found\r\nLocation: http://192.0.2.1/\r\n\r\n'
S
script www/cgi-bin/note <<'S'
echo $QUERY_STRING $HTTP_X_H $HTTP_USER_AGENT >>/tmp/said
printf 'Status: 200 OK\r\n\r\n'
S
# gRPC as far as one answer goes: SETTINGS, HEADERS, and a message: 1 is SERVING.
for status in 1 2; do
	script bin/grpc$status <<-S
	printf '\\0\\0\\0\\4\\0\\0\\0\\0\\0\\0\\0\\1\\1\\4\\0\\0\\0\\1\\210\\0\\0\\7\\0\\0\\0\\0\\0\\1\\0\\0\\0\\0\\2\\10\\$status'
	sleep 1
	S
done
"$PLUMB" image import --data-dir "$data" busybox:1 "$work/fs" >/dev/null
start
kc="$KUBECTL --kubeconfig $data/admin.kubeconfig"

# p NAME CONTAINER-YAML [SPEC-YAML]
p() {
	cat <<-Y
	---
	apiVersion: v1
	kind: Pod
	metadata: {name: $1}
	spec:
	  terminationGracePeriodSeconds: 1
	  ${3:-}
	  containers: [{name: main, image: busybox:1, $2}]
	Y
}
web="command: [httpd, -f, -p, '8080', -h, /www]"
get() { k get pod "$1" -o "jsonpath={.status$2}"; }
is() { local v; v=$(get "$1" "$2"); [ "$v" = "$3" ] || { echo "$1$2 is '$v', not '$3'"; return 1; }; }
restarted() { [ "$(get "$1" "$main.restartCount")" -ge 1 ]; }
said() { k get events -o 'jsonpath={range .items[*]}{.involvedObject.name} {.reason} {.message}{"\n"}{end}' | grep -q "$1"; }
all() { local c; for c in "$@"; do eval "$c" || return 1; done; }
main=.containerStatuses[0]
quick="periodSeconds: 1, failureThreshold: 1"

p target "$web, ports: [{name: web, containerPort: 8080}], resources: {limits: {cpu: 500m, memory: 64Mi}}, readinessProbe: {tcpSocket: {port: web}, periodSeconds: 1}" | k apply -f - >/dev/null
{
	p local "$web, livenessProbe: {httpGet: {path: /cgi-bin/local, port: 8080}, initialDelaySeconds: 1, timeoutSeconds: 15, $quick}"
	p away "$web, livenessProbe: {httpGet: {path: /cgi-bin/away, port: 8080}, initialDelaySeconds: 1, timeoutSeconds: 15, $quick}"
	p serving "command: [nc, -ll, -p, '5000', -e, /bin/grpc1], readinessProbe: {grpc: {port: 5000}, periodSeconds: 1}"
	p unwell "command: [nc, -ll, -p, '5000', -e, /bin/grpc2], readinessProbe: {grpc: {port: 5000, service: x}, periodSeconds: 1}"
	p slow "command: [sh, -c, 'sleep 2; touch /tmp/up; sleep 1000'], startupProbe: {exec: {command: [ls, /tmp/up]}, periodSeconds: 1, timeoutSeconds: 15, failureThreshold: 20}, livenessProbe: {exec: {command: [ls, /tmp/up]}, timeoutSeconds: 15, $quick}"
	p never "command: [sleep, '1000'], startupProbe: {exec: {command: ['false']}, periodSeconds: 1, failureThreshold: 2}"
	p hangs "command: [sleep, '1000'], livenessProbe: {exec: {command: [sleep, '100']}, timeoutSeconds: 1, $quick}"
	p badhook "command: [sleep, '1000'], lifecycle: {postStart: {exec: {command: [ls, /none]}}}"
	p naps "command: [sleep, '1000'], lifecycle: {preStop: {sleep: {seconds: 2}}}" | sed 's/PeriodSeconds: 1/PeriodSeconds: 2/'
} >"$work/pods.yaml"
ok "pods are taken" k apply -f "$work/pods.yaml"
soon 20 is target $main.ready true
ip=$(get target .podIP)
p calls "command: [sh, -c, 'trap \"exit 0\" TERM; while :; do sleep 0.1; done'], lifecycle: {postStart: {httpGet: {host: $ip, port: 8080, path: '/cgi-bin/note?post', httpHeaders: [{name: X-H, value: 'yes'}]}}, preStop: {httpGet: {host: $ip, port: 8080, path: '/cgi-bin/note?pre'}}}" | k apply -f - >/dev/null

ok "a redirection on the host is followed" all "soon 20 restarted local" "soon 5 said 'local Unhealthy Liveness probe failed: HTTP probe failed with statuscode: 404'"
ok "a gRPC service that serves is ready" soon 20 is serving $main.ready true
ok "one that doesn't isn't" soon 20 said 'unwell Unhealthy Readiness probe failed: service unhealthy'
ok "a start-up probe holds the others back" all "soon 20 is slow $main.ready true" "is slow $main.restartCount 0"
ok "one that fails restarts" all "soon 20 restarted never" "soon 5 said 'never Killing Container main failed startup probe, will be restarted'"
ok "a probe that takes too long has failed" soon 20 restarted hangs
ok "a postStart hook that fails restarts" all "soon 20 restarted badhook" "soon 5 said 'badhook FailedPostStartHook'"
ok "postStart by HTTP, with its headers" soon 20 sh -c "$kc exec target -- cat /tmp/said | grep -q 'post yes kube-lifecycle/1.32'"
soon 10 is calls $main.ready true
k delete pod calls --grace-period=5 --timeout=180s >/dev/null
ok "preStop by HTTP" sh -c "$kc exec target -- cat /tmp/said | grep -q '^pre '"
t0=$(date +%s%N)
k delete pod naps --grace-period=4 --timeout=180s >/dev/null
ms=$((($(date +%s%N) - t0) / 1000000))
ok "preStop by sleep takes its time, then SIGKILL waits for the grace (took $ms ms)" test "$ms" -ge 2000 -a "$ms" -lt 25000
ok "a redirection to elsewhere is an answer" all "is away $main.restartCount 0" "is away $main.ready true" "said 'away ProbeWarning'"
ok "what is unwell was never ready" is unwell $main.ready false

# Prometheus comes to the node itself, with a token; what that may is the API's to say.
k create sa prom >/dev/null && k create sa poor >/dev/null
k create clusterrole scrapes --verb=get --resource=nodes/metrics >/dev/null
k create clusterrolebinding scrapes --clusterrole=scrapes --serviceaccount=default:prom >/dev/null
k create clusterrolebinding enters --clusterrole=system:kubelet-api-admin --serviceaccount=default:enters >/dev/null
k create sa enters >/dev/null
node=$(k get nodes -o 'jsonpath={.items[0].status.addresses[0].address}')
as() { # as ACCOUNT PATH MORE…: the status, then the answer
	local account=$1 path=$2 token; shift 2
	token=$([ "$account" = nobody ] || k create token "$account" 2>/dev/null || echo bad)
	curl -s -m 20 --cacert "$data/pki/ca.crt" -w '\n%{http_code}\n' ${token:+-H "Authorization: Bearer $token"} "$@" "https://$node:10250$path" >"$work/as"
	tail -n 1 "$work/as"
}
answers() { local want=$1 got; shift; got=$(as "$@"); [ "$got" = "$want" ] || { echo "$* is $got, not $want"; head -c 300 "$work/as"; return 1; }; }
scraped() { answers 200 prom "$1" && grep -qE "$2" "$work/as"; }
ok "a node is scraped with a token" all "scraped /metrics ^process_" "scraped /metrics/resource ^node_cpu" "soon 5 scraped /metrics/cadvisor '^container_cpu_usage_seconds_total.*pod=\"target\"'"
ok "… of all that dashboards ask for" all "scraped /metrics '^kubelet_running_pods [1-9]'" "grep -qE '^kubelet_node_name.node=\"node-1\". 1$' $work/as" "scraped /metrics/cadvisor '^container_processes.*pod=\"target\".* [1-9]'" "grep -qE '^container_spec_cpu_quota.container=\"main\".*pod=\"target\".* 50000 ' $work/as" "grep -qE '^container_spec_memory_limit_bytes.container=\"main\".*pod=\"target\".* 67108864 ' $work/as" "grep -q '^container_fs_reads_bytes_total' $work/as"
ok "probes are counted" all "scraped /metrics/probes '^prober_probe_total.container=\"main\",namespace=\"default\",pod=\"unwell\",probe_type=\"Readiness\",pod_uid=\"[^\"]+\",result=\"failed\". [1-9]'" "grep -qE 'pod=\"serving\",probe_type=\"Readiness\",.*result=\"successful\". [1-9]' $work/as" "grep -qE '^prober_probe_duration_seconds_bucket.*pod=\"slow\",probe_type=\"Startup\",le=\"10\". [1-9]' $work/as"
ok "… and nothing else with that one" all "answers 403 prom /pods" "grep -q 'verb=get, resource=nodes, subresource=proxy' $work/as" "answers 403 prom /stats/summary" "answers 403 prom /logs/" "answers 403 prom /metrics -X POST"
ok "who has no rights gets nothing, whatever is asked" all "answers 403 poor /metrics" "answers 403 poor /metrics -I" "answers 401 nobody /metrics" "answers 401 nobody /metrics -I" "answers 401 nobody /metrics -X DELETE" "answers 401 nosuch /metrics" "answers 401 nosuch /metrics"
websocket="-H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' -H 'Sec-WebSocket-Protocol: v4.channel.k8s.io'"
ok "a way into a container needs more than to look" all "answers 403 prom '/exec/default/target/main?command=id&output=1' $websocket" "answers 101 enters '/exec/default/target/main?command=id&output=1' $websocket" "grep -qa 'uid=0' $work/as"
ok "… as do logs, whole" all "answers 200 enters /containerLogs/default/target/main" "answers 200 enters /pods"

ok "pods go" k delete pod --all --timeout=180s
ok "clean stop" stop
finish
