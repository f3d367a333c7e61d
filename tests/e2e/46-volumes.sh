#!/bin/bash
# Persistent volumes: a StatefulSet's data outlive its pods and its scale, a claim's end removes
# them, a volume holds its pods to its node, and what can't be had is named.
. "$(dirname "$0")/lib.sh"
need_root "volumes"
busybox_image busybox:1 >/dev/null
start --nodes 2
kc="$KUBECTL --kubeconfig $data/admin.kubeconfig"

set_of() { # set_of REPLICAS
	cat <<-Y
	apiVersion: v1
	kind: Service
	metadata: {name: db}
	spec: {clusterIP: None, selector: {app: db}, ports: [{port: 80}]}
	---
	apiVersion: apps/v1
	kind: StatefulSet
	metadata: {name: db}
	spec:
	  serviceName: db
	  replicas: $1
	  podManagementPolicy: Parallel
	  selector: {matchLabels: {app: db}}
	  template:
	    metadata: {labels: {app: db}}
	    spec:
	      terminationGracePeriodSeconds: 0
	      containers:
	        - name: main
	          image: busybox:1
	          command: [sh, -c, "test -e /data/first || echo \$ME >/data/first; sleep 1000"]
	          env: [{name: ME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
	          volumeMounts: [{name: data, mountPath: /data}, {name: data, mountPath: /sub, subPath: a/b}]
	  volumeClaimTemplates:
	    - metadata: {name: data}
	      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
	Y
}
running() { [ "$(k get pods -l app=db --no-headers 2>/dev/null | grep -c ' 1/1 .*Running')" = "$1" ]; }
gone() { ! k get "$@" >/dev/null 2>&1; }
folder_of() { k get pv "$1" -o 'jsonpath={.spec.local.path}'; }

ok "there is a default class" sh -c "$kc get sc | grep -q 'local-path (default).*plumb.dev/local'"
set_of 3 | k apply -f - >/dev/null
ok "three pods get three volumes" soon 40 running 3
ok "… which are bound" sh -c "[ \$($kc get pvc --no-headers | grep -c 'Bound.*pvc-.*1Gi.*RWO.*local-path') = 3 ]"
ok "… and say so on their side" sh -c "[ \$($kc get pv --no-headers | grep -c 'Delete.*Bound.*default/data-db-') = 3 ]"
for i in 0 1 2; do k exec "db-$i" -- sh -c "echo kept-$i >/data/file; echo sub-$i >/sub/file"; done
echo copied >"$work/copied"
ok "kubectl cp writes into one" sh -c "$kc exec -i db-1 -- sh -c 'cat >/data/copied' <$work/copied"
before=$(k get pods -l app=db -o 'jsonpath={range .items[*]}{.metadata.name}={.spec.nodeName} {end}')
k delete pods -l app=db --timeout=180s >/dev/null
ok "new pods come" soon 40 running 3
ok "… where their data are" sh -c "[ '$before' = \"\$($kc get pods -l app=db -o 'jsonpath={range .items[*]}{.metadata.name}={.spec.nodeName} {end}')\" ]"
ok "… and find them" sh -c "for i in 0 1 2; do [ \$($kc exec db-\$i -- cat /data/file) = kept-\$i ] && [ \$($kc exec db-\$i -- cat /data/a/b/file) = sub-\$i ] || exit 1; done"
ok "… all of them" sh -c "[ \$($kc exec db-1 -- cat /data/copied) = copied ]"
k scale statefulset db --replicas=1 >/dev/null
ok "scaled down to one" soon 30 sh -c "[ \$($kc get pods -l app=db --no-headers | wc -l) = 1 ]"
ok "the claims stay" sh -c "[ \$($kc get pvc --no-headers | grep -c Bound) = 3 ]"
k scale statefulset db --replicas=3 >/dev/null
soon 40 running 3
ok "scaled up again, the data are there" sh -c "[ \$($kc exec db-2 -- cat /data/file) = kept-2 ] && [ \$($kc exec db-2 -- cat /data/first) = db-2 ]"

# What is in use stays; what isn't goes with its data.
volume=$(k get pvc data-db-2 -o 'jsonpath={.spec.volumeName}') folder=$(folder_of "$volume")
ok "the data are in the node's folder" grep -q kept-2 "$folder/file"
k delete pvc data-db-2 --wait=false >/dev/null
sleep 1
ok "a claim in use stays" sh -c "$kc get pvc data-db-2 --no-headers | grep -q Terminating && [ -e $folder/file ]"
k scale statefulset db --replicas=2 >/dev/null
ok "… until its pod is gone" soon 30 gone pvc data-db-2
ok "then the volume goes" soon 30 gone pv "$volume"
ok "… with its data" soon 10 sh -c "! [ -e $folder ]"
ok "… and nobody else's" sh -c "[ \$($kc exec db-1 -- cat /data/file) = kept-1 ]"

# A node that is down doesn't lose them, also those of a claim whose end waits for its pod.
k delete pvc data-db-1 --wait=false >/dev/null
kill "$up_pid"; wait "$up_pid" 2>/dev/null
start --nodes 2
ok "after a restart, running pods still have them" soon 30 sh -c "[ \"\$($kc exec db-0 -- cat /data/file)\" = kept-0 ]"

soon 30 k exec db-1 -- true
ok "… also while their claim is being deleted" sh -c "sleep 2; [ \$($kc exec db-1 -- cat /data/file) = kept-1 ] && ! $kc get events | grep -q 'being deleted'"

claim() { # claim NAME [MORE]
	cat <<-Y | k apply -f - >/dev/null
	apiVersion: v1
	kind: PersistentVolumeClaim
	metadata: {name: $1}
	spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}${2:-}}
	Y
}
user() { # user NAME CLAIM [SPEC] [MOUNT]
	cat <<-Y | k apply -f - >/dev/null
	apiVersion: v1
	kind: Pod
	metadata: {name: $1}
	spec:
	  terminationGracePeriodSeconds: 0
	  ${3:-restartPolicy: Always}
	  containers:
	    - {name: main, image: busybox:1, command: [sleep, "1000"], volumeMounts: [{name: v, mountPath: /v${4:-}}]}
	  volumes: [{name: v, persistentVolumeClaim: {claimName: $2}}]
	Y
}
events() { k get events -o 'jsonpath={range .items[*]}{.involvedObject.name} {.reason} {.message}{"\n"}{end}' | grep -q "$1"; }

claim alone
ok "a claim waits for its first pod" soon 10 events "alone WaitForFirstConsumer waiting for first consumer"
user lost nowhere
ok "a claim that isn't there is named" soon 10 events 'lost FailedScheduling .*persistentvolumeclaim "nowhere" not found'
claim now ', storageClassName: ""'
user hasty now
ok "one that nothing provides, too" soon 10 events "hasty FailedScheduling .*pod has unbound immediate PersistentVolumeClaims"
ok "… and why" soon 10 events "now FailedBinding no persistent volumes available for this claim and no storage class is set"

# Volumes of an administrator's own.
mkdir -p "$work/own" "$work/local"; chmod 777 "$work/own"
echo mine >"$work/own/file"
cat <<-Y | k apply -f - >/dev/null
	apiVersion: v1
	kind: PersistentVolume
	metadata: {name: own}
	spec: {capacity: {storage: 5Mi}, accessModes: [ReadWriteOnce], storageClassName: "", persistentVolumeReclaimPolicy: Retain, hostPath: {path: $work/own}}
Y
ok "one that fits is found" soon 10 sh -c "$kc get pvc now --no-headers | grep -q 'Bound.*own.*5Mi'"
ok "… and the pod that waited runs" soon 20 sh -c "[ \"\$($kc exec hasty -- cat /v/file)\" = mine ]"
k delete pod hasty --timeout=180s >/dev/null; k delete pvc now --timeout=180s >/dev/null
ok "a retained volume is Released" soon 10 sh -c "$kc get pv own --no-headers | grep -q 'Retain.*Released'"
ok "… with its data" grep -q mine "$work/own/file"
k patch pv own --type merge -p '{"spec":{"claimRef":null}}' >/dev/null
ok "… and available once it is given back" soon 10 sh -c "$kc get pv own --no-headers | grep -q Available"

user group alone "securityContext: {runAsUser: 1000, fsGroup: 4321}"
ok "a pod's group may write" soon 20 sh -c "$kc exec group -- sh -c 'echo x >/v/x && ls -ldn /v /v/x' | grep -q '4321.*/v/x'"
user reader alone "restartPolicy: Always" ", readOnly: true"
ok "read only is read only" soon 20 sh -c "$kc exec reader -- cat /v/x && ! $kc exec reader -- sh -c 'echo y >/v/y'"
ok "… on the same node" sh -c "[ \$($kc get pod group reader -o 'jsonpath={.items[*].spec.nodeName}' | tr ' ' '\n' | sort -u | wc -l) = 1 ]"
ln -s /etc "$(folder_of "$(k get pvc alone -o 'jsonpath={.spec.volumeName}')")/out"
cat <<-Y | k apply -f - >/dev/null
	apiVersion: v1
	kind: Pod
	metadata: {name: sly}
	spec:
	  containers: [{name: main, image: busybox:1, command: [sh, -c, "ls /v; sleep 1000"], volumeMounts: [{name: v, mountPath: /v, subPath: out}]}]
	  volumes: [{name: v, persistentVolumeClaim: {claimName: alone}}]
Y
ok "a link in a volume leads nowhere" sh -c "sleep 3; ! $kc logs sly 2>/dev/null | grep -q passwd"
cat <<-Y | k apply -f - >/dev/null
	apiVersion: v1
	kind: PersistentVolume
	metadata: {name: far}
	spec: {capacity: {storage: 5Mi}, accessModes: [ReadWriteOnce], storageClassName: far, nfs: {server: 192.0.2.1, path: /}}
Y
claim far ", storageClassName: far, volumeName: far"
user far far
ok "a type that isn't supported is named" soon 20 events "far FailedMount .*persistent volumes of type nfs are not supported"
cat <<-Y | k apply -f - >/dev/null
	apiVersion: v1
	kind: Pod
	metadata: {name: brief}
	spec:
	  terminationGracePeriodSeconds: 0
	  containers: [{name: main, image: busybox:1, command: [sh, -c, "echo x >/v/x; sleep 1000"], volumeMounts: [{name: v, mountPath: /v}]}]
	  volumes: [{name: v, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}}}]
Y
ok "an ephemeral volume comes with its pod" soon 20 sh -c "$kc exec brief -- cat /v/x"
k delete pod brief --timeout=180s >/dev/null
ok "… and goes with it" soon 20 gone pvc brief-v
ok "a node reads no other claims" sh -c "! $KUBECTL --kubeconfig $data/pki/kubelet-\$($kc get nodes -o 'jsonpath={.items[0].metadata.name}').kubeconfig get pvc -A 2>/dev/null && ! $KUBECTL --kubeconfig $data/pki/kubelet-\$($kc get nodes -o 'jsonpath={.items[0].metadata.name}').kubeconfig get pv own 2>/dev/null"

# Devices of the machine's: as they are, or with a file system that is made first.
truncate -s 16M "$work/disk"
loop=$(losetup -f --show "$work/disk" 2>/dev/null) || loop=""
disk() { # disk MODE COMMAND CONTAINER-YAML: its volume, a claim and a pod that uses it once
	cat <<-Y
	apiVersion: v1
	kind: PersistentVolume
	metadata: {name: disk}
	spec:
	  {capacity: {storage: 1Mi}, accessModes: [ReadWriteOnce], storageClassName: disks, volumeMode: $1, local: {path: $loop},
	  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [$node]}]}]}}}
	---
	apiVersion: v1
	kind: PersistentVolumeClaim
	metadata: {name: disk}
	spec: {accessModes: [ReadWriteOnce], storageClassName: disks, volumeMode: $1, resources: {requests: {storage: 1Mi}}}
	---
	apiVersion: v1
	kind: Pod
	metadata: {name: disk}
	spec:
	  restartPolicy: Never
	  containers: [{name: main, image: busybox:1, command: [sh, -c, "$2"], $3}]
	  volumes: [{name: v, persistentVolumeClaim: {claimName: disk}}]
	Y
}
completed() { k get pod disk --no-headers | grep -q Completed; }
no_disk() { for kind in pod pvc pv; do k delete $kind disk --timeout=180s >/dev/null || return 1; done; }
if [ -n "$loop" ]; then
	trap 'losetup -d "$loop" 2>/dev/null; cleanup' EXIT
	node=$(k get nodes -o 'jsonpath={.items[1].metadata.name}')
	for said in once twice; do
		disk Filesystem "cat /v/said; echo $said >/v/said" "volumeMounts: [{name: v, mountPath: /v}]" | k apply -f - >/dev/null
		ok "a device is mounted ($said)" soon 20 completed
		[ $said = once ] || ok "… with what it holds" sh -c "$kc logs disk | grep -q once"
		no_disk
	done
	ok "… and let go" soon 10 sh -c "! grep -q $loop /proc/self/mountinfo"
	disk Block "test -b /v/disk && echo raw >/v/disk" "volumeDevices: [{name: v, devicePath: /v/disk}]" | k apply -f - >/dev/null
	ok "a device is given as it is" soon 20 completed
	ok "… and written to" sh -c "head -c 3 $loop | grep -q raw"
	no_disk
	losetup -d "$loop"
fi

k delete pod --all --grace-period=0 --timeout=180s >/dev/null 2>&1
k delete statefulset db --timeout=180s >/dev/null
k delete pvc --all --timeout=180s >/dev/null
ok "all made volumes go in the end" soon 30 sh -c "! $kc get pv --no-headers | grep -q pvc-"
ok "… and no folder is left" soon 10 sh -c "! find $data/nodes/*/volumes -mindepth 1 | grep -q ."
ok "a deleted class doesn't come back" sh -c "$kc delete sc local-path"
stop >/dev/null
start --nodes 2
ok "… after a restart either" sh -c "! $kc get sc local-path 2>/dev/null"
ok "clean stop" stop
finish
