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

p target "$web, ports: [{name: web, containerPort: 8080}], readinessProbe: {tcpSocket: {port: web}, periodSeconds: 1}" | k apply -f - >/dev/null
{
	p local "$web, livenessProbe: {httpGet: {path: /cgi-bin/local, port: 8080}, initialDelaySeconds: 1, $quick}"
	p away "$web, livenessProbe: {httpGet: {path: /cgi-bin/away, port: 8080}, initialDelaySeconds: 1, $quick}"
	p serving "command: [nc, -ll, -p, '5000', -e, /bin/grpc1], readinessProbe: {grpc: {port: 5000}, periodSeconds: 1}"
	p unwell "command: [nc, -ll, -p, '5000', -e, /bin/grpc2], readinessProbe: {grpc: {port: 5000, service: x}, periodSeconds: 1}"
	p slow "command: [sh, -c, 'sleep 2; touch /tmp/up; sleep 1000'], startupProbe: {exec: {command: [ls, /tmp/up]}, periodSeconds: 1, failureThreshold: 20}, livenessProbe: {exec: {command: [ls, /tmp/up]}, $quick}"
	p never "command: [sleep, '1000'], startupProbe: {exec: {command: ['false']}, periodSeconds: 1, failureThreshold: 2}"
	p hangs "command: [sleep, '1000'], livenessProbe: {exec: {command: [sleep, '100']}, timeoutSeconds: 1, $quick}"
	p badhook "command: [sleep, '1000'], lifecycle: {postStart: {exec: {command: [ls, /none]}}}"
	p naps "command: [sleep, '1000'], lifecycle: {preStop: {sleep: {seconds: 2}}}"
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
k delete pod calls --grace-period=5 --timeout=60s >/dev/null
ok "preStop by HTTP" sh -c "$kc exec target -- cat /tmp/said | grep -q '^pre '"
t0=$(date +%s%N)
k delete pod naps --grace-period=4 --timeout=60s >/dev/null
ms=$((($(date +%s%N) - t0) / 1000000))
ok "preStop by sleep takes its time, then SIGKILL waits for the grace (took $ms ms)" test "$ms" -ge 2000 -a "$ms" -lt 8000
ok "a redirection to elsewhere is an answer" all "is away $main.restartCount 0" "is away $main.ready true" "said 'away ProbeWarning'"
ok "what is unwell was never ready" is unwell $main.ready false
ok "pods go" k delete pod --all --timeout=60s
ok "clean stop" stop
finish
