#!/bin/bash
# One pod, for real: run, env, volumes, logs, probes, restarts, graceful and stubborn ends, errors.
. "$(dirname "$0")/lib.sh"
need_root "pods"
ok "plumb doctor finds the machine fit" "$PLUMB" doctor --data-dir "$data"
busybox_image busybox:1 >/dev/null
start

pod() { # pod NAME RESTART COMMAND-YAML [EXTRA]
	cat <<-Y
	apiVersion: v1
	kind: Pod
	metadata: {name: $1}
	spec:
	  restartPolicy: $2
	  terminationGracePeriodSeconds: 1
	  containers:
	    - name: main
	      image: busybox:1
	      command: $3
	${4:-}
	Y
}
phase() { [ "$(k get pod "$1" -o jsonpath='{.status.phase}')" = "$2" ]; }
state() { k get pod "$1" -o jsonpath='{.status.containerStatuses[0]}' | grep -q "$2"; }

ok "node is Ready" soon 10 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get nodes --no-headers | grep -q ' Ready '"
k create configmap settings --from-literal=colour=blue >/dev/null
k create secret generic key --from-literal=token=s3cret >/dev/null

pod hello Never '["sh","-c","echo $COLOUR $TOKEN; cat /cfg/colour; echo; id -u; test -w /scratch && echo writable"]' \
'      env:
        - {name: COLOUR, valueFrom: {configMapKeyRef: {name: settings, key: colour}}}
        - {name: TOKEN, valueFrom: {secretKeyRef: {name: key, key: token}}}
      volumeMounts:
        - {name: cfg, mountPath: /cfg}
        - {name: scratch, mountPath: /scratch}
  volumes:
    - {name: cfg, configMap: {name: settings}}
    - {name: scratch, emptyDir: {}}' | k apply -f - >/dev/null
ok "a pod runs to its end" soon 15 phase hello Succeeded
ok "logs: env, secret, volume" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig logs hello | tr '\n' ' ' | grep -q 'blue s3cret blue 0 writable'"
ok "describe shows its events" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig describe pod hello | grep -q Started"

pod web Always '["httpd","-f","-p","8080","-h","/etc"]' '      readinessProbe: {httpGet: {path: /passwd, port: 8080}, periodSeconds: 1}' | k apply -f - >/dev/null
ok "readiness by http" soon 15 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get pod web --no-headers | grep -q '1/1'"
ok "the pod has an address that answers" sh -c "curl -sf -m 20 http://\$($KUBECTL --kubeconfig $data/admin.kubeconfig get pod web -o jsonpath={.status.podIP}):8080/passwd | grep -q root"

ok "exec runs a command, with its input and exit code" sh -c "[ \"\$(echo typed | $KUBECTL --kubeconfig $data/admin.kubeconfig exec -i web -- cat)\" = typed ] && { $KUBECTL --kubeconfig $data/admin.kubeconfig exec web -- sh -c 'exit 7'; [ \$? = 7 ]; }"

pod sick Always '["sleep","1000"]' '      livenessProbe: {exec: {command: ["false"]}, periodSeconds: 1, failureThreshold: 1}' | k apply -f - >/dev/null
ok "liveness by exec restarts" soon 20 sh -c "[ \$($KUBECTL --kubeconfig $data/admin.kubeconfig get pod sick -o jsonpath={.status.containerStatuses[0].restartCount}) -ge 1 ]"

pod crash Always '["sh","-c","exit 3"]' | k apply -f - >/dev/null
ok "a container that exits at once backs off" soon 30 state crash CrashLoopBackOff
ok "… with its exit code kept" state crash '"exitCode":3'

pod ghost Always '["true"]' | sed 's/busybox:1/no.such\/image:1/' | k apply -f - >/dev/null
ok "an image that doesn't exist is named" soon 15 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get pod ghost --no-headers | grep -qE 'ErrImage|ImagePullBackOff'"
ok "… and as an event" soon 15 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get events | grep -q 'no.such/image'"

pod stubborn Always '["sh","-c","trap \"\" TERM; while :; do sleep 1; done"]' | k apply -f - >/dev/null
soon 15 phase stubborn Running
ok "a container that ignores SIGTERM is gone after its grace" sh -c "timeout 150 $KUBECTL --kubeconfig $data/admin.kubeconfig delete pod stubborn"

# A pod that was deleted by force is still being ended when the next of its name runs.
for n in 1 2 3; do pod "heir-$n" Always '["sh","-c","trap \"\" TERM; echo old; while :; do sleep 1; done"]' | k apply -f - >/dev/null; done
for n in 1 2 3; do soon 15 phase "heir-$n" Running; done
k delete pod heir-1 heir-2 heir-3 --force --grace-period=0 >/dev/null 2>&1
for n in 1 2 3; do pod "heir-$n" Always '["sh","-c","echo new; sleep 1000"]' | k apply -f - >/dev/null; done
# It begins as a shell and says something a moment after it runs; what is the old one's is wrong at any time.
is_new() {
	local is says
	is=$(k exec "$1" -- cat /proc/1/cmdline | tr "\0" " ") says=$(k logs "$1")
	case "$is $says" in *trap* | *old*) echo "$1 is $is, says $says" >>"$work/wrong" ;; esac
	[ "$is $says" = "sleep 1000  new" ]
}
of_the_new() {
	for n in 1 2 3; do soon 15 phase "heir-$n" Running && soon 10 is_new "heir-$n" || return 1; done
	[ ! -e "$work/wrong" ] || { cat "$work/wrong"; return 1; }
}
ok "exec and logs are of the pod that there is, not of its predecessor" of_the_new

k delete pod --all --timeout=180s >/dev/null
uidless() { ! find "$data"/nodes/*/pods -mindepth 1 -maxdepth 1 2>/dev/null | grep -q . && ! grep -q "$data/nodes/.*/pods" /proc/self/mountinfo; }
ok "deleted pods leave no directory and no mount" soon 10 uidless
# Pods come and go: what they leave behind would add up.
instance=$(cat "$data/instance")
crowd() {
	for i in $(seq 20); do
		pod "crowd-$i" Never '["httpd","-f","-p","80","-h","/etc"]' "      ports: [{containerPort: 80, hostPort: $((20000 + i))}]
      volumeMounts: [{name: m, mountPath: /m, subPath: a}, {name: c, mountPath: /c}]
  volumes: [{name: m, emptyDir: {medium: Memory}}, {name: c, configMap: {name: kube-root-ca.crt}}]"
		echo ---
	done
}
traces() {
	echo "$(grep -c "$data" /proc/self/mountinfo) mounts, $(find /sys/fs/cgroup -type d -path "*plumb-$instance*" | wc -l) cgroups," \
		"$(nsenter --net="$(echo "$data"/nodes/*/netns)" ip -o link | wc -l) links, $(nsenter --net="$(echo "$data"/nodes/*/netns)" nft list ruleset | wc -l) lines of rules," \
		"$(find "$data/nodes" | wc -l) files, $(pgrep -fc "^[^ ]*(conmon|crun|runc|plumb pause) .*$data") processes"
}
come_and_go() {
	crowd | k apply -f - >/dev/null
	[ "${1:-}" = early ] || k wait --for=condition=Ready pod --all --timeout=180s >/dev/null || return 1
	k delete pod --all --timeout=180s >/dev/null
}
ok "a crowd of pods comes and goes" come_and_go
soon 5 uidless
# What a pod leaves goes behind it: counted when nothing has gone for two seconds.
settled() { local was; was=$(traces); sleep 2; [ "$(traces)" = "$was" ]; }
soon 10 settled
before=$(traces)
come_and_go early
come_and_go
as_before() { local now; now=$(traces); [ "$now" = "$before" ] || { echo "before $before; now $now"; return 1; }; }
ok "pods that come and go leave nothing" soon 10 as_before
ok "clean stop" stop
ok "nothing is left on the machine" sh -c "! ip -br link | grep -q $instance && ! nft list tables | grep -q $instance && ! grep -q $data /proc/self/mountinfo && ! find /sys/fs/cgroup -maxdepth 2 -name plumb-$instance | grep -q . && ! pgrep -f '^[^ ]*(plumb[^ ]*|conmon|crun|runc) .*$data'"
finish
