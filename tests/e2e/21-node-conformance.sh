#!/bin/bash
# What Kubernetes' own tests ask of a node: all pods at once, then each is looked at. Ends and
# their words, order of init containers and sidecars, hooks, probes, environments, volumes, users,
# namespaces, refusals.
. "$(dirname "$0")/lib.sh"
need_root "the node"
busybox_image busybox:1 >/dev/null
"$PLUMB" image import --data-dir "$data" --entrypoint /bin/echo --entrypoint from-image --cmd default --user 0 words:1 "$work/fs" >/dev/null
"$PLUMB" image import --data-dir "$data" --cmd /bin/id --user 1234 user:1 "$work/fs" >/dev/null
start
trap 'umount -Rl "$work/shared" 2>/dev/null; cleanup' EXIT
mkdir "$work/shared" && mount -t tmpfs shared "$work/shared" && mount --make-shared "$work/shared" && mkdir "$work/shared/m" "$work/shared/n"
kc="$KUBECTL --kubeconfig $data/admin.kubeconfig"
soon 10 sh -c "$kc get nodes --no-headers | grep -q ' Ready '"

# p NAME CONTAINER-YAML [SPEC-YAML]: a pod of one container that runs once.
p() {
	local spec=${3:-}
	cat <<-Y
	---
	apiVersion: v1
	kind: Pod
	metadata: {name: $1, labels: {app: $1, b: "2", a: "1"}, annotations: {note: "first"}}
	spec:
	  terminationGracePeriodSeconds: 1
	  restartPolicy: ${restart:-Never}
	  ${spec//$'\n'/$'\n'  }
	  containers:
	    - {name: main, image: ${image:-busybox:1}, $2}
	Y
}
run() { echo "command: [sh, -c, '$1']${2:+, $2}"; }
get() { k get pod "$1" -o "jsonpath={.status$2}"; }
is() { local v; v=$(get "$1" "$2"); [ "$v" = "$3" ] || { echo "$1$2 is '$v', not '$3'"; return 1; }; }
ends() { soon "${3:-20}" is "$1" .phase "$2"; }
logs() { local v; v=$(k logs "$1" -c main 2>&1); [[ $v == $2 ]] || { echo "log of $1 is '$v', not '$2'"; return 1; }; }
said() { k get events -o 'jsonpath={range .items[*]}{.involvedObject.name} {.reason} {.message}{"\n"}{end}' | grep -q "$1"; }
main=.containerStatuses[0]

k create configmap cm --from-literal=a=one --from-literal=b.c=two >/dev/null
k create secret generic sec --from-literal=k=hidden >/dev/null
k create service clusterip svc --tcp=80:80 >/dev/null

runtime=$(k get nodes -o 'jsonpath={.items[0].status.nodeInfo.containerRuntimeVersion}')
for c in none:none "ours:${runtime%%:*}"; do
	printf "apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata: {name: %s}\nhandler: %s\n" "${c%%:*}" "${c##*:}" | k apply -f - >/dev/null
done

{
	# Commands.
	image=words:1 p default ""
	image=words:1 p args 'args: [mine, "$(A)", "$(NO)", "$$(A)"], env: [{name: A, value: x}]'
	image=words:1 p command 'command: [/bin/echo, other]'
	# Ends.
	p done0 "$(run 'echo -n bye >/dev/termination-log')"
	p done1 "$(run 'echo from the log; echo -n DONE; exit 3' 'terminationMessagePolicy: FallbackToLogsOnError')"
	p quiet "$(run 'echo noise' 'terminationMessagePolicy: FallbackToLogsOnError')"
	p custom "$(run 'echo -n own >/tmp/end' 'terminationMessagePath: /tmp/end, securityContext: {runAsUser: 1000}')"
	p nofile 'command: [/no/such/program]'
	p deadline "$(run 'sleep 1000')" 'activeDeadlineSeconds: 5'
	restart=Always p loops "$(run 'exit 5')"
	# Init containers.
	p initfail "$(run 'echo never')" 'initContainers:
  - {name: first, image: busybox:1, command: ["true"]}
  - {name: second, image: busybox:1, command: [sh, -c, "exit 4"]}'
	p inits "$(run 'cat /w/f' 'volumeMounts: [{name: w, mountPath: /w}]')" 'volumes: [{name: w, emptyDir: {}}]
initContainers:
  - {name: one, image: busybox:1, command: [sh, -c, "echo one >>/w/f"], volumeMounts: [{name: w, mountPath: /w}]}
  - {name: two, image: busybox:1, command: [sh, -c, "echo two >>/w/f"], volumeMounts: [{name: w, mountPath: /w}]}'
	p sidecar "$(run 'sleep 1; cat /w/s' 'volumeMounts: [{name: w, mountPath: /w}]')" 'volumes: [{name: w, emptyDir: {}}]
initContainers:
  - {name: side, image: busybox:1, restartPolicy: Always, command: [sh, -c, "trap \"exit 0\" TERM; echo up >/w/s; while :; do sleep 0.1; done"], volumeMounts: [{name: w, mountPath: /w}], startupProbe: {exec: {command: [test, -e, /w/s]}, periodSeconds: 1, timeoutSeconds: 10}}'
	# Hooks and probes.
	p hooks "$(run 'trap "cat /w/pre; exit 0" TERM; until cat /w/post; do sleep 0.1; done; while :; do sleep 0.1; done' 'volumeMounts: [{name: w, mountPath: /w}], lifecycle: {postStart: {exec: {command: [sh, -c, "echo started >/w/post"]}}, preStop: {exec: {command: [sh, -c, "echo stopping >/w/pre"]}}}')" 'volumes: [{name: w, emptyDir: {}}]'
	restart=Always p live "$(run 'sleep 1000' 'livenessProbe: {exec: {command: ["false"]}, periodSeconds: 1, failureThreshold: 1, terminationGracePeriodSeconds: 1}')"
	restart=Always p gated "$(run 'sleep 1000')" 'readinessGates: [{conditionType: "example.com/go"}]'
	# Environments.
	p env "$(run 'env | sort' 'envFrom: [{prefix: P_, configMapRef: {name: cm}}, {configMapRef: {name: none, optional: true}}], env: [{name: A, value: "1"}, {name: B, value: "$(A)$(PATH)"}, {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}, {name: HOSTIPS, valueFrom: {fieldRef: {fieldPath: status.hostIPs}}}, {name: UID_, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}, {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}, {name: MEM, valueFrom: {resourceFieldRef: {resource: requests.memory, divisor: 1Mi}}}], resources: {requests: {memory: 5Mi}}')"
	p noenv "$(run 'echo never' 'env: [{name: X, valueFrom: {configMapKeyRef: {name: cm, key: none}}}]')"
	# Volumes.
	p modes "$(run 'ls -lnL /c /p | cut -c1-10; stat -c %a /e; cat /p/cpu /p/labels; mount | grep " /m " | cut -d" " -f5; stat -c %a /m; id -u; touch /e/x && echo wrote' 'securityContext: {runAsUser: 1001}, volumeMounts: [{name: c, mountPath: /c}, {name: p, mountPath: /p}, {name: e, mountPath: /e}, {name: m, mountPath: /m}]')" 'volumes:
  - {name: c, configMap: {name: cm, defaultMode: 0400, items: [{key: a, path: x/a, mode: 0444}, {key: b.c, path: b}]}}
  - {name: p, projected: {sources: [{downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}, {path: cpu, resourceFieldRef: {containerName: main, resource: limits.cpu, divisor: 1m}}]}}, {secret: {name: sec}}]}}
  - {name: e, emptyDir: {}}
  - {name: m, emptyDir: {medium: Memory}}'
	p token "$(run 'stat -Lc "%a %u %g" /var/run/secrets/kubernetes.io/serviceaccount/token' 'securityContext: {runAsUser: 1001}')" 'securityContext: {fsGroup: 1002}'
	restart=Always p updates "$(run 'sleep 1000' 'volumeMounts: [{name: d, mountPath: /d}, {name: o, mountPath: /o}]')" 'volumes:
  - {name: d, downwardAPI: {items: [{path: notes, fieldRef: {fieldPath: metadata.annotations}}]}}
  - {name: o, configMap: {name: later, optional: true}}'
	p subexpr "$(run 'cat /v/f; ls /all' 'env: [{name: ME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}], volumeMounts: [{name: w, mountPath: /v, subPathExpr: "dir/$(ME)"}, {name: w, mountPath: /all}]')" 'volumes: [{name: w, emptyDir: {}}]
initContainers: [{name: make, image: busybox:1, command: [sh, -c, "mkdir -p /w/dir/subexpr && echo found >/w/dir/subexpr/f"], volumeMounts: [{name: w, mountPath: /w}]}]'
	p subnew "$(run 'touch /v/x /g/x && stat -c %a /v /m; stat -c %g /g' 'securityContext: {runAsUser: 1000}, volumeMounts: [{name: m, mountPath: /m, subPath: d}, {name: w, mountPath: /v, subPath: a/b}, {name: w, mountPath: /g, subPath: c}]')" 'securityContext: {fsGroup: 77}
volumes: [{name: w, emptyDir: {}}, {name: m, emptyDir: {medium: Memory}}]'
	p subbad "$(run 'echo never' 'env: [{name: ME, value: ".."}], volumeMounts: [{name: w, mountPath: /v, subPathExpr: "$(ME)"}]')" 'volumes: [{name: w, emptyDir: {}}]'
	p submiss "$(run 'echo never' 'volumeMounts: [{name: w, mountPath: /v, subPathExpr: "$(NONE)"}]')" 'volumes: [{name: w, emptyDir: {}}]'
	p healing "$(run 'ls /w' 'env: [{name: SUB, valueFrom: {fieldRef: {fieldPath: "metadata.annotations["}}}], volumeMounts: [{name: w, mountPath: /v, subPathExpr: "$(SUB)/x"}, {name: w, mountPath: /w}]')" 'volumes: [{name: w, emptyDir: {}}]' | sed "s/metadata.annotations\[/metadata.annotations['sub']/"
	p nodir "$(run 'echo never' 'volumeMounts: [{name: w, mountPath: /v}]')" 'volumes: [{name: w, hostPath: {path: /no/such/dir, type: Directory}}]'
	p gives "$(run 'mount -t tmpfs given /v/m && echo >/v/m/came; sleep 1000' 'securityContext: {privileged: true}, volumeMounts: [{name: w, mountPath: /v, mountPropagation: Bidirectional}]')" "volumes: [{name: w, hostPath: {path: $work/shared}}]"
	p takes "$(run 'sleep 1000' 'volumeMounts: [{name: w, mountPath: /v, mountPropagation: HostToContainer}]')" "volumes: [{name: w, hostPath: {path: $work/shared}}]"
	p keeps "$(run 'sleep 1000' 'volumeMounts: [{name: w, mountPath: /v}]')" "volumes: [{name: w, hostPath: {path: $work/shared}}]"
	# Users and rights.
	image=user:1 p user ""
	p root "$(run 'echo never')" 'securityContext: {runAsNonRoot: true}'
	p root0 "$(run 'echo never' 'securityContext: {runAsUser: 0, runAsNonRoot: true}')"
	p rights "$(run 'id; touch /x || echo readonly; grep -E "NoNewPrivs|CapEff|Seccomp:" /proc/self/status; mount -t tmpfs x /tmp || echo refused' 'securityContext: {runAsUser: 0, runAsGroup: 3, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, seccompProfile: {type: RuntimeDefault}, capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}')" 'securityContext: {supplementalGroups: [7], fsGroup: 8}'
	p badseccomp "$(run 'echo never' 'securityContext: {seccompProfile: {type: Localhost, localhostProfile: none.json}}')"
	p mighty "$(run 'ls -l /dev/null /dev/full; ls /dev | wc -l; cat /proc/sys/kernel/ostype >/proc/sys/kernel/domainname && echo may' 'securityContext: {privileged: true}')"
	# Names and namespaces.
	p hosts "$(run 'cat /etc/hosts; hostname; cat /etc/resolv.conf')" 'hostAliases: [{ip: 9.9.9.9, hostnames: [nine, neuf]}]
hostname: web
subdomain: sub
setHostnameAsFQDN: true
dnsConfig: {searches: [example.com], options: [{name: ndots, value: "3"}]}'
	p ownhosts "$(run 'cat /etc/hosts' 'volumeMounts: [{name: w, mountPath: /etc/hosts, subPath: h}]')" 'volumes: [{name: w, configMap: {name: cm, items: [{key: a, path: h}]}}]'
	p hostnet "$(run 'head -1 /etc/hosts; hostname')" 'hostNetwork: true'
	restart=Always p shared "$(run 'sleep 1000'), volumeMounts: []" 'shareProcessNamespace: true'
	echo '    - {name: other, image: busybox:1, command: [sh, -c, "echo shm >/dev/shm/x; exec sleep 2000"]}'
	restart=Always p apart "$(run 'sleep 1000')"
	echo '    - {name: other, image: busybox:1, command: [sh, -c, "echo shm >/dev/shm/x; exec sleep 2000"]}'
	p sysctl "$(run 'cat /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ip_unprivileged_port_start')" 'securityContext: {sysctls: [{name: kernel.shm_rmid_forced, value: "1"}, {name: net/ipv4/ip_unprivileged_port_start, value: "77"}]}'
	# What this node won't have.
	p unsafe "$(run 'echo never')" 'securityContext: {sysctls: [{name: kernel.msgmax, value: "9000"}]}'
	p windows "$(run 'echo never')" "nodeName: $(k get nodes -o name | sed 's,node/,,')
os: {name: windows}"
	p toobig "$(run 'echo never' 'resources: {requests: {cpu: "1000"}}')" "nodeName: $(k get nodes -o name | sed 's,node/,,')"
	p elsewhere "$(run 'echo never')" "nodeName: $(k get nodes -o name | sed 's,node/,,')
nodeSelector: {no: where}"
	restart=Always p classy "$(run 'echo never')" 'runtimeClassName: none'
	restart=Always p ours "$(run 'sleep 1000')" 'runtimeClassName: ours'
	restart=Always p asks "$(run 'sleep 1000' 'resources: {requests: {cpu: 500m}}')"
	restart=Always p chatty "$(run 'cat /dev/zero | head -c 12000000 | tr "\\000" "\\n"; while sleep 0.3; do echo tick; done')" | sed 's/"command/command/'
	# Too much on the disk.
	restart=Always p greedy "$(run 'head -c 3000000 /dev/zero >/e/x; sleep 1000' 'volumeMounts: [{name: e, mountPath: /e}]')" 'volumes: [{name: e, emptyDir: {sizeLimit: 1Mi}}]'
	restart=Always p writer "$(run 'head -c 3000000 /dev/zero >/tmp/x; sleep 1000' 'resources: {limits: {ephemeral-storage: 2Mi}}')"
	# Images.
	p badimage 'command: ["true"]' | sed 's/busybox:1/"UPPER\/case:1"/'
	p neverpull 'command: ["true"], imagePullPolicy: Never' | sed 's/busybox:1/no.such\/image:1/'
} >"$work/pods.yaml"
ok "all pods are taken" k apply -f "$work/pods.yaml"


all() { local c; for c in "$@"; do eval "$c" || return 1; done; }

ok "ENTRYPOINT and CMD are the image's" all "ends default Succeeded" "logs default 'from-image default'"
ok "args replace CMD, \$(VAR) is expanded" all "ends args Succeeded" "logs args 'from-image mine x \$(NO) \$(A)'"
ok "command replaces both" all "ends command Succeeded" "logs command other"
ok "a termination message comes from its file" all "ends done0 Succeeded" "is done0 $main.state.terminated.message bye" "is done0 $main.state.terminated.reason Completed" "is done0 $main.state.terminated.exitCode 0"
ok "… or from the log, as it was written" all "ends done1 Failed" "is done1 $main.state.terminated.message 'from the log
DONE'" "is done1 $main.state.terminated.reason Error" "is done1 $main.state.terminated.exitCode 3"
ok "… only of failures" all "ends quiet Succeeded" "is quiet $main.state.terminated.message ''"
ok "… at a path of its own, by another user" all "ends custom Succeeded" "is custom $main.state.terminated.message own"
ok "a program that isn't there is an end" all "ends nofile Failed" "is nofile $main.state.terminated.reason StartError" "is nofile $main.state.terminated.exitCode 128"
ok "conditions of a pod that is done" all 'is done0 ".conditions[?(@.type==\"Ready\")].reason" PodCompleted' 'is done0 ".conditions[?(@.type==\"PodReadyToStartContainers\")].status" False' 'is done1 ".conditions[?(@.type==\"Ready\")].reason" PodFailed'
ok "a deadline ends a pod, when nothing runs any more" all "ends deadline Failed" "is deadline .reason DeadlineExceeded" "is deadline $main.state.terminated.exitCode 137"
ok "crashes back off" all "soon 20 is loops $main.state.waiting.reason CrashLoopBackOff" "is loops $main.lastState.terminated.exitCode 5" "is loops .phase Running" "k logs --previous loops"

ok "an init container that fails, fails the pod" all "ends initfail Failed" "is initfail '.initContainerStatuses[1].state.terminated.exitCode' 4" "is initfail $main.state.waiting.reason PodInitializing" 'is initfail ".conditions[?(@.type==\"Initialized\")].message" "containers with incomplete status: [second]"'
ok "init containers run in order" all "ends inits Succeeded" "logs inits 'one
two'"
ok "a sidecar is up first and goes last" all "ends sidecar Succeeded" "logs sidecar up" "soon 5 is sidecar '.initContainerStatuses[0].state.terminated.exitCode' 0"

ok "postStart runs beside the container" all "soon 20 is hooks $main.started true" "soon 10 logs hooks '*started'"
ok "a failed liveness probe restarts" all "soon 20 sh -c '[ \$($kc get pod live -o jsonpath={.status$main.restartCount}) -ge 1 ]'" "soon 5 said 'live Killing Container main failed liveness probe, will be restarted'" "soon 5 said 'live Unhealthy Liveness probe failed'"
ok "a readiness gate holds a pod back" all "soon 20 is gated $main.ready true" 'is gated ".conditions[?(@.type==\"Ready\")].reason" ReadinessGatesNotReady'
k patch pod gated --subresource=status --type=merge -p '{"status":{"conditions":[{"type":"example.com/go","status":"True"}]}}' >/dev/null
ok "… until somebody opens it" soon 10 is gated '.conditions[?(@.type=="Ready")].status' True

soon 20 is env .phase Succeeded
ip=$(get env .podIP) host=$(get env .hostIP) cpus=$(k get nodes -o 'jsonpath={.items[0].status.allocatable.cpu}')
env_says() { k logs env | grep -qE "^$1\$" || { echo "no $1"; k logs env; return 1; }; }
ok "environment: sources, references, fields, resources" all "ends env Succeeded" "env_says A=1" "env_says 'B=1\\\$\\(PATH\\)'" "env_says CPU=$cpus" "env_says HOSTIPS=$host" "env_says HOSTNAME=env" "env_says IP=$ip" "env_says MEM=5" "env_says P_a=one" "env_says SVC_SERVICE_HOST=10.96.*" "env_says UID_=.*-.*"
ok "a key that isn't there is named" all "soon 20 is noenv $main.state.waiting.reason CreateContainerConfigError" "is noenv $main.state.waiting.message \"couldn't find key none in ConfigMap default/cm\""

ok "files, modes and owners of volumes" all "ends modes Succeeded" "logs modes '/c:*-r--------*/p:*-rw-r--r--*777
${cpus}000a=\"1\"
app=\"modes\"
b=\"2\"tmpfs
1777
1001
wrote'"
ok "a token is its user's and group's alone" all "ends token Succeeded" "logs token '640 1001 1002'"
soon 20 is updates .phase Running
k annotate pod updates note=second --overwrite >/dev/null
ok "downward files follow annotations" soon 20 sh -c "$kc exec updates -- cat /d/notes | grep -q 'note=\"second\"'"
k create configmap later --from-literal=f=came >/dev/null
ok "an optional ConfigMap may come later" soon 20 sh -c "[ \"\$($kc exec updates -- cat /o/f)\" = came ]"
k delete configmap later >/dev/null
ok "… and go" soon 20 sh -c "! $kc exec updates -- ls /o | grep -q f"
ok "subPathExpr takes the environment" all "ends subexpr Succeeded" "logs subexpr 'found
dir'"
ok "a new subPath is as open as its volume" all "ends subnew Succeeded" "logs subnew '2777
3777
77'"
ok "… and refuses what leads out" all "soon 20 is subbad $main.state.waiting.reason CreateContainerConfigError"
ok "… and what has no value" all "soon 20 is submiss $main.state.waiting.reason CreateContainerConfigError" "is submiss $main.state.waiting.message 'missing value for \"NONE\"'"
k annotate pod healing sub=found >/dev/null
ok "… and starts once it has one" all "ends healing Succeeded" "logs healing found"
ok "a hostPath of another type is named" soon 20 said 'nodir FailedMount MountVolume.SetUp failed for volume "w" : hostPath type check failed: /no/such/dir is not a directory'
ok "a mount goes where it is meant for: to the machine" soon 20 test -e "$work/shared/m/came"
soon 20 is takes .phase Running; soon 20 is keeps .phase Running
mount -t tmpfs late "$work/shared/n" && touch "$work/shared/n/late"
ok "… and to whom asks for those that come" all "k exec takes -- ls /v/n/late" "! k exec keeps -- ls /v/n/late"
umount "$work/shared/n" "$work/shared/m"
ok "mounts are told" is modes "$main.volumeMounts[0].mountPath" /c

ok "the image's user" all "ends user Succeeded" "logs user 'uid=1234*'"
ok "no root by the image" all "soon 20 is root $main.state.waiting.reason CreateContainerConfigError" "soon 5 said 'root Failed Error: container has runAsNonRoot and image will run as root'"
ok "no root by the pod" soon 20 said "root0 Failed Error: container's runAsUser breaks non-root policy"
ok "rights are what the pod says" all "ends rights Succeeded" "logs rights 'uid=0(root) gid=3 groups=7,8*readonly*CapEff:*0000000000000400*NoNewPrivs:*1*Seccomp:*2*refused*'"
ok "a privileged container has the machine's devices" all "ends mighty Succeeded" "[ \$(k logs mighty | grep -cE '^c') = 2 ]" "[ \$(k logs mighty | grep -E '^[0-9]+\$') -ge 8 ]"
ok "a seccomp profile that isn't there holds a container back" soon 20 sh -c "$kc get pod badseccomp -o jsonpath='{.status$main.state.waiting.message}' | grep -q 'cannot load seccomp profile'"

ok "names" all "ends hosts Succeeded" "logs hosts '# Kubernetes-managed hosts file.*	web.sub.default.svc.cluster.local	web*9.9.9.9	nine	neuf*web.sub.default.svc.cluster.local*search default.svc.cluster.local svc.cluster.local cluster.local*example.com*ndots:3*'"
ok "a container's own /etc/hosts" all "ends ownhosts Succeeded" "logs ownhosts one"
ok "the node's network" all "ends hostnet Succeeded" "logs hostnet '# Kubernetes-managed hosts file (host network).*'"
pids() { k exec "$1" -- sh -c 'cat /proc/[0-9]*/cmdline | tr "\0" " "'; }
ok "processes are shared where the pod says so" all "soon 20 is shared $main.ready true" "soon 10 sh -c '$kc exec shared -- sh -c \"cat /proc/[0-9]*/cmdline\" | tr \"\\\\000\" \" \" | grep -q \"sleep 2000\"'"
ok "… and not otherwise" all "soon 20 is apart $main.ready true" "! k exec apart -- sh -c 'cat /proc/[0-9]*/cmdline' | tr '\000' ' ' | grep -q 'sleep 2000'"
ok "/dev/shm and IPC are the pod's" sh -c "[ \"\$($kc exec apart -c main -- cat /dev/shm/x)\" = shm ] && [ \"\$($kc exec apart -c main -- ls -l /proc/self/ns/ipc | sed 's/.*ipc/ipc/')\" = \"\$($kc exec apart -c other -- ls -l /proc/self/ns/ipc | sed 's/.*ipc/ipc/')\" ]"
ok "safe sysctls" all "ends sysctl Succeeded" "logs sysctl '1
77'"

ok "unsafe sysctls are refused" all "ends unsafe Failed" "is unsafe .reason SysctlForbidden" "soon 5 said 'unsafe SysctlForbidden forbidden sysctl: \"kernel.msgmax\" not allowlisted'"
ok "another system's pods are refused" all "ends windows Failed" "is windows .reason PodOSNotSupported" "is windows .qosClass BestEffort"
ok "what doesn't fit is refused" all "ends toobig Failed" "is toobig .reason OutOfcpu"
ok "what doesn't belong here is refused" all "ends elsewhere Failed" "is elsewhere .reason NodeAffinity"
ok "an image's bad name" soon 10 is badimage $main.state.waiting.reason InvalidImageName
ok "an image that must not be pulled" soon 10 is neverpull $main.state.waiting.reason ErrImageNeverPull

ok "too much in an emptyDir evicts" all "ends greedy Failed" "is greedy .reason Evicted" "is greedy .message 'Usage of EmptyDir volume \"e\" exceeds the limit \"1Mi\". '"
ok "too much beside volumes, too" all "ends writer Failed" "is writer .reason Evicted" "soon 5 said 'writer Evicted Pod ephemeral local storage usage exceeds'"

ok "a RuntimeClass whose handler isn't here" soon 10 said 'classy FailedCreatePodSandBox Failed to create pod sandbox: no runtime for "none" is configured'
ok "… and one whose is" soon 10 is ours $main.ready true

rotated() { find "$data"/nodes/*/pods/"$(k get pod chatty -o 'jsonpath={.metadata.uid}')"/containers -name log.1 | grep -q .; }
ok "a log that has become large is put aside" soon 25 rotated
ok "… and goes on" all "soon 5 sh -c '[ \"\$($kc logs chatty --tail=1)\" = tick ]'" "[ \$(k logs chatty | wc -c) -lt 1000000 ]"

# Weights are the pod's, as they count among pods.
shares() { find /sys/fs/cgroup -path "*plumb-$(cat "$data/instance")/*pod$(k get pod "$1" -o 'jsonpath={.metadata.uid}')/$2" 2>/dev/null | head -1 | xargs cat; }
share_is() { case $(shares "$1" cpu.shares; shares "$1" cpu.weight) in *"$2"*) ;; *) shares "$1" cpu.shares; return 1 ;; esac; }
ok "a pod's share of the processors is what it asks for" all "soon 10 is asks $main.ready true" "share_is asks 512 || share_is asks 20" "share_is shared 2"

# The Node itself.
node=$(k get nodes -o 'jsonpath={.items[0].metadata.name}')
raw() { k get --raw "/api/v1/nodes/$node/proxy/$1"; }
node_has() { [ -n "$(k get node "$node" -o "jsonpath=$1")" ]; }
ok "the node tells its images" soon 25 node_has '{.status.images[?(@.sizeBytes>1000)].names[0]}'
ok "… and its runtime" sh -c "echo '$runtime' | grep -q '^[a-z]*://[0-9]'"
ok "its lease is its own" soon 15 sh -c "[ \"\$($kc -n kube-node-lease get lease $node -o 'jsonpath={.metadata.ownerReferences[0].uid}')\" = \"\$($kc get node $node -o 'jsonpath={.metadata.uid}')\" ]"
ok "the kubelet answers" all "raw configz | grep -q KubeletConfiguration" "raw healthz | grep -q ok" "raw runningpods/ | grep -q '\"name\":\"shared\"'" "! raw runningpods/ | grep -q '\"name\":\"done0\"'" "raw metrics | grep -q ^process_" "raw stats/summary | grep -q shared" "raw stats/summary | grep -q rssBytes"
# A phase that others set is an end.
k patch pod apart --subresource=status --type=merge -p '{"status":{"phase":"Failed","reason":"Given","message":"up"}}' >/dev/null
ok "a pod that others gave up ends" all "soon 20 is apart $main.state.terminated.reason Error" "is apart .reason Given" "is apart .phase Failed"

# Nobody's pods end with the kubelet.
kill -9 "$(role_pid "kubelet-$node")"
ok "after the kubelet was killed, shared processes are still there" all "soon 15 sh -c '$kc exec shared -- sh -c \"cat /proc/[0-9]*/cmdline\" | tr \"\\000\" \" \" | grep -q \"sleep 2000\"'" "is shared $main.restartCount 0"

# A deleted pod's end is told before it is gone.
k get pod hooks -w -o 'jsonpath={.status.phase}{"\n"}' >"$work/watch" 2>&1 &
watcher=$!
k logs -f hooks >"$work/hooks.log" 2>&1 &
follower=$!
soon 5 grep -q started "$work/hooks.log"
k delete pod hooks --grace-period=30 --timeout=180s >/dev/null
ok "a pod that was deleted ends Succeeded" soon 5 grep -q Succeeded "$work/watch"
ok "preStop ran before SIGTERM" soon 5 grep -q stopping "$work/hooks.log"
kill $watcher $follower 2>/dev/null; wait $watcher $follower 2>/dev/null
k delete pod --all --timeout=180s >/dev/null
ok "nothing of a pod is left" soon 10 sh -c "! find $data/nodes/*/pods -mindepth 1 -maxdepth 1 | grep -q . && ! pgrep -f '^[^ ]*plumb pause $data'"
umount "$work/shared"
ok "clean stop" stop
finish
