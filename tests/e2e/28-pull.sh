#!/bin/bash
# Images from a registry: policies, logins, what changed, what lies, what isn't there.
. "$(dirname "$0")/lib.sh"
need_root "pulling"
command -v python3 >/dev/null || skip_all "pulling" "needs python3"
# A disk of its own, that can be filled.
mkdir -p "$data" && mount -t tmpfs -o size=96m,mode=700 plumb-pull "$data" || skip_all "pulling" "needs to mount a tmpfs"
busybox_image byhand:latest >/dev/null
start
kc="$KUBECTL --kubeconfig $data/admin.kubeconfig"
node=$(k get nodes -o 'jsonpath={.items[0].metadata.name}')
R=127.0.0.1:5057
trap 'kill $registry 2>/dev/null; cleanup 2>/dev/null; umount -l "$data" 2>/dev/null; rm -rf "$work"' EXIT
# Where the kubelet is: in the node's own network.
nsenter --net="$data/nodes/$node/netns" python3 "$(dirname "$0")/registry.py" 5057 "$work/fs" >"$work/registry.log" 2>&1 &
registry=$!
soon 10 nsenter --net="$data/nodes/$node/netns" curl -sf "http://$R/move"
k create secret docker-registry login --docker-server="$R" --docker-username=user --docker-password=secret >/dev/null
k create secret docker-registry wrong --docker-server="$R" --docker-username=user --docker-password=no >/dev/null

p() { # p NAME IMAGE [POLICY] [SECRET]
	cat <<-Y
	---
	apiVersion: v1
	kind: Pod
	metadata: {name: $1}
	spec:
	  restartPolicy: Never
	  imagePullSecrets: [${4:+{name: $4\}}]
	  containers: [{name: main, image: "$2", imagePullPolicy: ${3:-IfNotPresent}, command: [sh, -c, 'echo moved \$MOVES']}]
	Y
}
main=.status.containerStatuses[0]
ends() { soon "${3:-20}" sh -c "[ \"\$($kc get pod $1 -o 'jsonpath={.status.phase}')\" = $2 ]"; }
waits() { soon 20 sh -c "$kc get pod $1 -o 'jsonpath={$main.state.waiting.reason} {$main.state.waiting.message}' | grep -qE '$2'"; }
said() { soon 5 sh -c "$kc get events -o 'jsonpath={range .items[*]}{.involvedObject.name} {.reason} {.message}{\"\\n\"}{end}' | grep -qE '$1'"; }

{
	p open "$R/some/image:1"
	p token "$R/private/image:1" IfNotPresent login
	p basic "$R/basic/image:1" IfNotPresent login
	p stranger "$R/private/image:2"
	p wrong "$R/private/image:3" IfNotPresent wrong
	p absent "$R/some/image:none"
	p liar "$R/lies/image:1"
	p nowhere "127.0.0.1:1/some/image:1"
	p never "$R/some/other:1" Never
	p hand "byhand:latest" Always
	p first "$R/moved/image:1" Always
} | k apply -f - >"$work/applied"
ok "an image comes from its registry" ends open Succeeded
ok "… and its events say so" said 'open Pulling Pulling image' 
ok "… and that it came" said 'open Pulled Successfully pulled image .* in '
ok "with a login, by a token" ends token Succeeded
ok "with a login, by Basic" ends basic Succeeded
ok "not without" waits stranger 'ErrImagePull|ImagePullBackOff'
ok "not with a wrong one" waits wrong 'refused the credentials'
ok "what isn't there is named" waits absent 'there is no manifests/none'
ok "what lies is refused" waits liar 'not what its digest says|is damaged|layer'
ok "a registry that isn't there is named" waits nowhere 'ErrImagePull.*127.0.0.1:1|ImagePullBackOff.*127.0.0.1:1'
ok "one that must not be pulled isn't" waits never ErrImageNeverPull
ok "what was put there by hand is used as it is" ends hand Succeeded
ok "no secret is in a message" sh -c "! $kc get events -o yaml | grep -q 'dXNlcjpzZWNyZXQ\|user:secret'"
ends first Succeeded
p again "$R/moved/image:1" Always | k apply -f - >/dev/null
ok "Always asks again" ends again Succeeded
layers() { grep -c 'GET /v2/moved/image/blobs' "$work/registry.log"; }
had=$(layers)
ok "… and fetches nothing when nothing changed" test "$had" -le 2
nsenter --net="$data/nodes/$node/netns" curl -sf "http://$R/move"
{ p changed "$R/moved/image:1" Always; p kept "$R/some/image:1"; } | k apply -f - >/dev/null
moved() { k logs changed | grep -q "moved 2"; }
ok "what changed is fetched" soon 20 moved
ok "a deleted pod leaves nothing of its pull" sh -c "$kc delete pod --all --timeout=180s >/dev/null; ! ls $data/images/tmp | grep -q pull-"
ok "by hand, too" nsenter --net="$data/nodes/$node/netns" "$PLUMB" image pull --data-dir "$data" "$R/some/byhand:1"
kill $registry
p offline "$R/some/image:1" | k apply -f - >/dev/null
ok "what was fetched once runs without its registry" ends offline Succeeded
# Where the disk gets full, what came from a registry and isn't in use goes.
fill() {
	local used
	used=$(df --output=used -k "$data" | tail -1)
	dd if=/dev/zero bs=1k count=$((98304 * 92 / 100 - used)) >>"$data/ballast" 2>/dev/null
}
fill
touch -d '1 hour ago' "$data"/images/pulled/*
has() { "$PLUMB" image ls --data-dir "$data" | grep -q "$1"; }
# What was being cleared away when it was filled has made room by itself: filled up again.
gone() { ! has "$1" || { fill; false; }; }
ok "an image that isn't in use makes room" soon 40 gone "$R/some/byhand:1"
ok "… another stays, since its pod is there" has "$R/some/image:1"
ok "… and what was put there by hand" has byhand
ok "clean stop" stop
finish
