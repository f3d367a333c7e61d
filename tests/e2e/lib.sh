# What every end-to-end script shares: one instance of its own in a temporary directory, TAP
# output, and a clean machine afterwards, also when it fails. Source it; then `need_root`,
# `start …`, `ok NAME COMMAND…`, and `finish` at the end.
set -u
# A network of its own: several instances on one would share service addresses and rules. With an
# address besides loopback's, at which webhooks and extension servers may listen.
own_network() {
	ip link set lo up && ip link add lan type veth peer name far && ip addr add 192.0.2.2/24 dev lan &&
		ip link set lan up && ip link set far up
}
if [ "$(id -u)" -eq 0 ] && [ -z "${E2E_NETNS:-}" ]; then
	if unshare -n true 2>/dev/null; then E2E_NETNS=own exec unshare -n bash "$0" "$@"; fi
elif [ "${E2E_NETNS:-}" = own ]; then
	own_network || echo "# no network of its own"
fi
PLUMB=${PLUMB:-$PWD/build/plumb}
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=tester GIT_AUTHOR_EMAIL=tester@localhost GIT_COMMITTER_NAME=tester GIT_COMMITTER_EMAIL=tester@localhost
tap_n=0 tap_bad=0 up_pid=""
work=$(mktemp -d /tmp/plumb-e2e.XXXXXX)
data=$work/data
KUBECTL=${KUBECTL:-kubectl}

cleanup() {
	if [ "$tap_bad" -ne 0 ] && [ -d "$data/log" ]; then
		for f in "$data"/log/*.log "$work"/up.log; do
			[ -s "$f" ] && { echo "# --- $(basename "$f")"; tail -n 25 "$f" | sed 's/^/# /'; }
		done
	fi
	[ -n "$up_pid" ] && kill "$up_pid" 2>/dev/null && wait "$up_pid" 2>/dev/null
	[ -d "$data" ] && "$PLUMB" down --data-dir "$data" >/dev/null 2>&1
	[ -n "${KEEP_WORK:-}" ] || rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

pass() { tap_n=$((tap_n + 1)); echo "ok $tap_n - $*"; }
fail() { tap_n=$((tap_n + 1)); tap_bad=$((tap_bad + 1)); echo "not ok $tap_n - $*"; }
# skip NAME REASON: one test that this machine cannot run.
skip() { tap_n=$((tap_n + 1)); echo "ok $tap_n - $1 # SKIP $2"; }
# Minor version of the client: 32 for v1.32.4.
kubectl_minor() { "$KUBECTL" version --client -o json 2>/dev/null | sed -n 's/.*"gitVersion": "v1\.\([0-9]*\)\..*/\1/p' | head -1; }
skip_all() { echo "ok 1 - $1 # SKIP $2"; tap_bad=0; exit 0; }
# ok NAME COMMAND…: one test; what the command printed is shown when it fails.
ok() {
	local name=$1; shift
	# Not in a subshell: a test may wait for our children and set our variables.
	if "$@" >"$work/ok.out" 2>&1; then pass "$name"; else fail "$name"; head -n 30 "$work/ok.out" | sed 's/^/# /'; fi
}
# soon SECONDS COMMAND…: succeeds as soon as the command does. SECONDS is what a machine with nothing else to do takes at
# most; one that runs several tests at once gets PATIENCE times that. It is no assertion of speed: bench/run measures.
PATIENCE=${PATIENCE:-5}
soon() {
	local limit=$(($(date +%s%N) + $1 * PATIENCE * 1000000000)) out=""; shift
	while :; do
		out=$("$@" 2>&1) && return 0
		[ "$(date +%s%N)" -lt "$limit" ] || { printf '%s\n' "still not: $*" "$out"; return 1; }
		sleep 0.05
	done
}
need_root() {
	[ "$(id -u)" -eq 0 ] || skip_all "$1" "needs root for containers and namespaces"
	ip link add plumbprobe type bridge 2>/dev/null && ip link del plumbprobe || skip_all "$1" "needs CAP_NET_ADMIN"
	for t in conmon nft git curl "$KUBECTL"; do command -v "$t" >/dev/null || skip_all "$1" "needs $t"; done
	command -v crun >/dev/null || command -v runc >/dev/null || skip_all "$1" "needs crun or runc"
}
# start ARGS…: plumb up in $data on a free port; waits until everything is ready.
start() {
	"$PLUMB" up --data-dir "$data" --listen 127.0.0.1:0 "$@" >"$work/up.log" 2>&1 &
	up_pid=$!
	soon 30 test -e "$data/ready" || { fail "plumb up gets ready"; sed 's/^/# /' "$work/up.log"; exit 1; }
	# Without it no pod is taken; the controllers make it.
	! command -v "$KUBECTL" >/dev/null || soon 10 k -n default get serviceaccount default >/dev/null
}
stop() { kill "$up_pid" && wait "$up_pid"; local rc=$?; up_pid=""; return $rc; }
# role_pid NAME: its process; one that has just ended has none until the next is there.
role_pid() {
	local p
	for _ in $(seq 600); do
		p=$(sed -n "s/.*\"name\":\"$1\",\"pid\":\([1-9][0-9]*\).*/\1/p" "$data/roles" 2>/dev/null)
		[ -n "$p" ] && kill -0 "$p" 2>/dev/null && echo "$p" && return 0
		sleep 0.05
	done
	return 1
}
# kill_role SIGNAL NAME
kill_role() { local p; p=$(role_pid "$2") && kill "-$1" "$p"; }
k() { "$KUBECTL" --kubeconfig "$data/admin.kubeconfig" "$@"; }
# busybox_image NAME: a static busybox under that name.
busybox_image() {
	local fs=$work/fs
	if [ ! -d "$fs" ]; then
		mkdir -p "$fs"/{bin,etc,tmp,www,proc,sys,dev}
		cp "$(command -v busybox)" "$fs/bin/busybox"
		for a in sh httpd sleep ls cat wget echo true false env id nc mount test trap; do ln -s busybox "$fs/bin/$a"; done
		echo "root:x:0:0:root:/:/bin/sh" >"$fs/etc/passwd"
	fi
	"$PLUMB" image import --data-dir "$data" "$1" "$fs"
}
# free_port: one that nobody listens on, and that no outgoing connection gets before somebody does: below those.
free_port() {
	python3 -c 'import random, socket
while True:
	p = random.randrange(12000, 28000)
	try:
		with socket.socket() as s: s.bind(("0.0.0.0", p))
	except OSError:
		continue
	print(p)
	break'
}
finish() { echo "1..$tap_n"; [ "$tap_bad" -eq 0 ]; }
