#!/bin/bash
# kill -9 of each process in turn during a rollout: the rollout still ends right, containers live on.
. "$(dirname "$0")/lib.sh"
need_root "kill -9"
busybox_image busybox:1 >/dev/null
start
cat >"$work/app.yaml" <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: 3
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: "busybox:1", command: [sleep, "100000"], env: [{name: ROUND, value: "0"}]}]
Y
k apply -f "$work/app.yaml" >/dev/null
ok "first rollout" k rollout status deployment/app --timeout=180s
round=0
rounds_ok() { [ "$(k get pods -l app=app -o jsonpath='{range .items[*]}{.spec.containers[0].env[0].value}{" "}{.status.phase}{"\n"}{end}' | grep -c "^$round Running")" = 3 ] && [ "$(k get pods -l app=app --no-headers | wc -l)" = 3 ]; }
for role in apiserver controllers scheduler kubelet-node-1 proxy-node-1 reconciler; do
	round=$((round + 1))
	k set env deployment/app ROUND=$round >/dev/null
	sleep 0.15
	victim=$(role_pid $role)
	kill -9 "$victim"
	ok "$role is started again" soon 10 sh -c "p=\$(sed -n 's/.*\"name\":\"$role\",\"pid\":\\([0-9]*\\).*/\\1/p' $data/roles); [ -n \"\$p\" ] && [ \"\$p\" != $victim ] && [ \"\$p\" != 0 ]"
	ok "the rollout ends right after kill -9 of $role" soon 40 rounds_ok
done

before=$(k get pods -l app=app -o jsonpath='{.items[*].status.containerStatuses[0].containerID}')
kill -9 "$up_pid"; wait "$up_pid" 2>/dev/null; up_pid=""
# Its children end with it, and leave what they had locked to those that come.
roles_gone() { local p; for p in $(grep -o '"pid":[1-9][0-9]*' "$data/roles" | cut -d: -f2); do [ ! -e "/proc/$p/exe" ] || return 1; done; }
soon 10 roles_gone
rm -f "$data/ready"
start
same() { [ "$(k get pods -l app=app -o jsonpath='{.items[*].status.containerStatuses[0].containerID}')" = "$before" ]; }
ok "after kill -9 of the supervisor everything comes back" soon 20 rounds_ok
ok "… with the same containers, never stopped" same
ok "clean stop" stop
finish
