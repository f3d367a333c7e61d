#!/bin/bash
# What pods and nodes use, and what autoscalers make of it.
. "$(dirname "$0")/lib.sh"
need_root "pods"
busybox_image busybox:1 >/dev/null
repo=$work/repo
git init -q -b main "$repo"
git -C "$repo" commit -q --allow-empty -m empty
start --repo "file://$repo"

cat >"$repo/busy.yaml" <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: busy, namespace: default, labels: {app: busy}}
spec:
  replicas: 1
  selector: {matchLabels: {app: busy}}
  template:
    metadata: {labels: {app: busy, tier: back}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: main
          image: busybox:1
          # Busy while the file says so.
          command: [sh, -c, 'while true; do if [ -e /load/on ]; then i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; else sleep 0.2; fi; done']
          resources: {requests: {cpu: 50m, memory: 16Mi}}
          volumeMounts: [{name: load, mountPath: /load}]
        - {name: idle, image: 'busybox:1', command: [sleep, '100000'], resources: {requests: {cpu: 50m, memory: 16Mi}}}
      volumes: [{name: load, hostPath: {path: LOAD, type: DirectoryOrCreate}}]
Y
mkdir -p "$work/load"
sed -i "s|LOAD|$work/load|" "$repo/busy.yaml"
push() { git -C "$repo" add -A && git -C "$repo" commit -qm "$1"; }
applied() { [ "$(k get kustomization root -n plumb-system -o jsonpath='{.status.lastAppliedRevision}')" = "main@sha1:$(git -C "$repo" rev-parse HEAD)" ]; }
push busy
ok "a deployment runs" soon 20 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get deploy busy --no-headers | grep -q 1/1"

# ---- metrics.k8s.io
top_says() { # top_says PATTERN ARGS…
	local want=$1; shift
	k top "$@" --no-headers >"$work/top" 2>&1 && grep -qE "$want" "$work/top" && return
	cat "$work/top"; return 1
}
ok "top nodes" top_says '^node-1 +[0-9]+m +[0-9]+% +[0-9]+Mi +[0-9]+%' nodes
ok "top pods" soon 5 top_says '^busy-[a-z0-9-]+ +[0-9]+m +[0-9]+Mi' pods
ok "… each container" soon 5 top_says '^busy-[a-z0-9-]+ +idle +[0-9]+m +[0-9]+Mi' pods --containers
ok "… of all namespaces, sorted" top_says '^default +busy' pods -A --sort-by=cpu
ok "… by label" top_says '^busy' pods -l tier=back
ok "… and none by another" sh -c "! $KUBECTL --kubeconfig $data/admin.kubeconfig top pods -l tier=front 2>&1 | grep -q busy"
raw() { k get --raw "/apis/metrics.k8s.io/v1beta1/$1"; }
ok "the group is discovered" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig api-resources --api-group=metrics.k8s.io --no-headers | grep -q 'PodMetrics'"
ok "objects are as published" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get --raw /apis/metrics.k8s.io/v1beta1/namespaces/default/pods | grep -qE '\"kind\":\"PodMetricsList\".*\"window\":\"[0-9.]+m?s\".*\"usage\":\{\"cpu\":\"[0-9]+[num]?\",\"memory\":\"[0-9]+(Ki|Mi)?\"'"
ok "… and as a table" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get podmetrics | grep -q WINDOW"
ok "an unknown pod has none" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get podmetrics nosuch 2>&1 | grep -q NotFound"
ok "nobody writes them" sh -c "! $KUBECTL --kubeconfig $data/admin.kubeconfig delete nodemetrics node-1 >/dev/null 2>&1"
k create serviceaccount watcher >/dev/null
k create rolebinding watcher --clusterrole=view --serviceaccount=default:watcher >/dev/null
ok "who may view may see them" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig top pods --as=system:serviceaccount:default:watcher"
ok "… and others may not" sh -c "! $KUBECTL --kubeconfig $data/admin.kubeconfig top pods --as=nobody 2>&1 | grep -q busy"

# ---- what Prometheus scrapes of a node
scrape() { k get --raw /api/v1/nodes/node-1/proxy/metrics/cadvisor >"$work/scraped" && grep -qE "$1" "$work/scraped"; }
ok "cAdvisor's names: a container's" scrape '^container_cpu_usage_seconds_total\{container="idle",cpu="total",id="/[^"]+",image="busybox[^"]*",name="[0-9a-f]+",namespace="default",pod="busy-[^"]+"\} [0-9.]+ [0-9]+$'
ok "… a pod's" scrape '^container_memory_working_set_bytes\{container="",id="/[^"]+",image="",name="",namespace="default",pod="busy-[^"]+"\} [1-9]'
ok "… and its network's" scrape '^container_network_receive_bytes_total\{interface="eth0",namespace="default",pod="busy-[^"]+"\} [0-9]'
resources() { k get --raw /api/v1/nodes/node-1/proxy/metrics/resource >"$work/resources" && grep -qE "$1" "$work/resources"; }
ok "metrics/resource has pods, too" resources '^pod_memory_working_set_bytes\{namespace="default",pod="busy-[^"]+"\} [1-9]'
ok "… in Prometheus' form" sh -c "! cat '$work/scraped' '$work/resources' | grep -vE '^(#|[a-z_]+(\{[a-z_]+=\"[^\"]*\"(,[a-z_]+=\"[^\"]*\")*\})? [0-9.e+]+( [0-9]+)?\$)'"

# ---- HorizontalPodAutoscalers
hpa() { k get hpa "$1" -o jsonpath="$2"; }
hpa_is() { [ "$(hpa "$1" "$2")" = "$3" ] || { echo "$2 is $(hpa "$1" "$2"), not $3"; k get hpa "$1" -o jsonpath='{.status}'; return 1; }; }
condition() { hpa_is "$1" "{.status.conditions[?(@.type=='$2')].status} {.status.conditions[?(@.type=='$2')].reason}" "$3"; }
replicas() { [ "$(k get deploy "$1" -o jsonpath='{.spec.replicas}')" "$2" "$3" ]; }
ok "kubectl autoscale" k autoscale deploy busy --cpu-percent=15 --min=1 --max=4
k patch hpa busy --type=merge -p '{"spec":{"behavior":{"scaleDown":{"stabilizationWindowSeconds":0,"policies":[{"type":"Percent","value":100,"periodSeconds":15}]}}}}' >/dev/null
ok "it is active" soon 15 condition busy ScalingActive 'True ValidMetricFound'
ok "… and sees that nothing is to be done" soon 5 sh -c "[ \$($KUBECTL --kubeconfig $data/admin.kubeconfig get hpa busy -o jsonpath='{.status.desiredReplicas}') = 1 ]"
ok "… as kubectl get shows" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig get hpa busy --no-headers | grep -qE 'Deployment/busy +(cpu: )?[0-9]+%/15% +1 +4 +1 '"
touch "$work/load/on"
ok "load scales it up within seconds" soon 20 replicas busy -gt 1
ok "… to the maximum" soon 30 replicas busy -eq 4
ok "… which limits it" soon 15 condition busy ScalingLimited 'True TooManyReplicas'
ok "… and an event tells" soon 5 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig describe hpa busy | grep -q 'SuccessfulRescale.*reason: cpu resource utilization (percentage of request) above target'"

# git says one replica
sed -i 's/app: busy, tier: back/app: busy, tier: back, since: now/' "$repo/busy.yaml"
push 'another template'
ok "a commit rolls out" soon 20 applied
ok "… and leaves the replicas to the autoscaler" replicas busy -eq 4
k label deploy busy app=other --overwrite >/dev/null
ok "other drift is put back" soon 10 sh -c "[ \$($KUBECTL --kubeconfig $data/admin.kubeconfig get deploy busy -o jsonpath='{.metadata.labels.app}') = busy ]"
ok "… without touching them" replicas busy -eq 4
ok "… nor would a plan" sh -c "$PLUMB diff $repo --data-dir $data >$work/plan 2>&1; [ \$? -lt 2 ] && ! grep -q replicas $work/plan || { cat $work/plan; exit 1; }"
ok "nobody took them for drift" sh -c "! $KUBECTL --kubeconfig $data/admin.kubeconfig get events -A | grep Drift | grep replicas"
rm "$work/load/on"
ok "without load it goes down again" soon 45 replicas busy -eq 1
sed -i 's/replicas: 1/replicas: 2/' "$repo/busy.yaml"
push 'two to begin with'
ok "git's number is only where it begins" soon 10 applied
ok "… as long as there is the autoscaler" replicas busy -eq 1
k delete hpa busy >/dev/null
"$PLUMB" reconcile root --data-dir "$data" >/dev/null
ok "… and counts again when that is gone" soon 10 replicas busy -eq 2

k apply -f - >/dev/null <<'Y'
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: nowhere}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: nosuch}, maxReplicas: 3}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: custom}
spec:
  scaleTargetRef: {apiVersion: apps/v1beta2, kind: StatefulSet, name: still}
  maxReplicas: 3
  metrics: [{type: Pods, pods: {metric: {name: rps}, target: {type: AverageValue, averageValue: '10'}}}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: still}
spec:
  replicas: 2
  serviceName: still
  selector: {matchLabels: {app: still}}
  template:
    metadata: {labels: {app: still}}
    spec: {containers: [{name: main, image: 'busybox:1', command: [sleep, '10000']}], terminationGracePeriodSeconds: 0}
Y
ok "a target that isn't there is told of" soon 10 condition nowhere AbleToScale 'False FailedGetScale'
ok "metrics that nobody serves, too, of a target named by a version that is no more" soon 10 condition custom ScalingActive 'False FailedGetPodsMetric'
ok "no autoscaler goes to zero" sh -c "! $KUBECTL --kubeconfig $data/admin.kubeconfig patch hpa nowhere --type=merge -p '{\"spec\":{\"minReplicas\":0}}' >/dev/null 2>&1"
k patch hpa custom --type=json -p '[{"op":"replace","path":"/spec/metrics","value":[{"type":"ContainerResource","containerResource":{"name":"memory","container":"main","target":{"type":"AverageValue","averageValue":"1Ki"}}}]}]' >/dev/null
ok "a container's memory scales a StatefulSet" soon 20 sh -c "[ \$($KUBECTL --kubeconfig $data/admin.kubeconfig get sts still -o jsonpath='{.spec.replicas}') = 3 ]"

# ---- metrics that others serve
here=$(cd "$(dirname "$0")" && pwd)
addr=$(ip -4 -o addr show | awk '/ plbr-/{sub("/.*", "", $4); print $4; exit}')
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=metrics -keyout "$work/tls.key" -out "$work/tls.crt" >/dev/null 2>&1
port=$(free_port)
python3 "$here/metrics.py" "$addr" "$port" "$work/tls.crt" "$work/tls.key" >"$work/metrics.log" 2>&1 & metrics_pid=$!
trap 'kill $metrics_pid 2>/dev/null; cleanup' EXIT
apiservice() {
	k apply -f - >/dev/null <<Y
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.$1}
spec: {group: $1, version: v1beta1, groupPriorityMinimum: 100, versionPriority: 100, insecureSkipTLSVerify: true, service: {namespace: default, name: adapter}}
Y
}
k apply -f - >/dev/null <<Y
apiVersion: v1
kind: Service
metadata: {name: adapter}
spec: {ports: [{port: 443, targetPort: $port}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: adapter-1, labels: {kubernetes.io/service-name: adapter}}
addressType: IPv4
endpoints: [{addresses: [$addr]}]
ports: [{port: $port, protocol: TCP}]
---
apiVersion: v1
kind: Service
metadata: {name: front}
spec: {ports: [{port: 80}]}
Y
apiservice custom.metrics.k8s.io
apiservice external.metrics.k8s.io
metric() { # metric JSON: what the StatefulSet is scaled by, from two replicas
	k delete hpa custom >/dev/null
	k scale sts still --replicas=2 >/dev/null
	soon 10 sh -c "[ \$($KUBECTL --kubeconfig $data/admin.kubeconfig get sts still -o jsonpath='{.status.readyReplicas}{.status.replicas}') = 22 ]" || return
	k apply -f - >/dev/null <<Y
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: custom}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: still}, maxReplicas: 9, metrics: [$1]}
Y
}
scaled_to() { soon 25 sh -c "[ \$($KUBECTL --kubeconfig $data/admin.kubeconfig get sts still -o jsonpath='{.spec.replicas}') = $1 ]" || { k describe hpa custom; cat "$work/metrics.log"; return 1; }; }
metric '{"type":"Pods","pods":{"metric":{"name":"rps"},"target":{"type":"AverageValue","averageValue":"15"}}}'
ok "pods' own metrics, in the API's older version" scaled_to 4
metric '{"type":"Object","object":{"describedObject":{"apiVersion":"v1","kind":"Service","name":"front"},"metric":{"name":"hits"},"target":{"type":"Value","value":"1"}}}'
ok "another object's" scaled_to 4
metric '{"type":"External","external":{"metric":{"name":"queue","selector":{"matchLabels":{"name":"jobs"}}},"target":{"type":"AverageValue","averageValue":"33"}}}'
ok "and what is outside" scaled_to 3
apiservice metrics.k8s.io
ok "a metrics server of one's own is asked instead" soon 10 top_says '^node-1 +1234m' nodes
k delete apiservice v1beta1.metrics.k8s.io >/dev/null
ok "… until it is taken out again" soon 10 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig top nodes | grep node-1 | grep -qv 1234m"
finish
