#!/bin/bash
# exec, attach, cp, port-forward and run -i with every kubectl on this machine: WebSocket (from 1.30 on)
# and SPDY (before); what a client leaves behind; other clients' WebSocket channels.
. "$(dirname "$0")/lib.sh"
need_root "streams"
command -v python3 >/dev/null || skip_all "streams" "needs python3"
busybox_image busybox:1 >/dev/null
for a in tar md5sum stty head dd; do ln -sf busybox "$work/fs/bin/$a"; done
cat >"$work/echod.c" <<'C'
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void)
{
	static char b[65536];
	int s = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9000)};
	signal(SIGCHLD, SIG_IGN);
	if (bind(s, (void *)&a, sizeof(a)) || listen(s, 64))
		return 1;
	for (int f; (f = accept(s, 0, 0)) >= 0; close(f)) {
		if (fork())
			continue;
		for (ssize_t n; (n = read(f, b, sizeof(b))) > 0;)
			for (ssize_t at = 0, w; at < n; at += w)
				if ((w = write(f, b + at, n - at)) <= 0)
					_exit(1);
		_exit(0);
	}
	return 1;
}
C
cc -static -Os -o "$work/fs/bin/echod" "$work/echod.c" || skip_all "streams" "needs a static libc"
busybox_image busybox:2 >/dev/null
start

pod() { # pod NAME EXTRA COMMAND-YAML
	cat <<-Y
	apiVersion: v1
	kind: Pod
	metadata: {name: $1}
	spec:
	  restartPolicy: Never
	  terminationGracePeriodSeconds: 0
	  containers: [{name: main, image: "busybox:2", command: $3 $2}]
	---
	Y
}
{
	pod echo "" '["echod"]'
	pod talk ", stdin: true" '["sh","-c","while read l; do echo got $l; done; echo end"]'
	for v in 1 2 3 4; do
		pod term$v ", stdin: true, tty: true" '["sh"]'
		pod once$v ", stdin: true, stdinOnce: true" '["sh","-c","while read l; do echo got $l; done; echo end"]'
	done
} | k apply -f - >/dev/null
ok "pods run" soon 20 sh -c "[ \$($KUBECTL --kubeconfig $data/admin.kubeconfig get pods --no-headers | grep -c Running) = 10 ]"
dd if=/dev/urandom of="$work/file" bs=1M count=8 2>/dev/null

# Ten connections at once, ten megabytes each way, and each one's end seen.
cat >"$work/parallel.py" <<'PY'
import socket, sys, threading
data = bytes(range(256)) * 40960
good = []
def one():
	s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
	s.settimeout(60)
	def send():
		s.sendall(data)
		s.shutdown(socket.SHUT_WR)
	t = threading.Thread(target=send)
	t.start()
	got = bytearray()
	while part := s.recv(65536):
		got += part
	t.join()
	good.append(got == data)
ts = [threading.Thread(target=one) for _ in range(10)]
[t.start() for t in ts], [t.join() for t in ts]
print(good)
sys.exit(good != [True] * 10)
PY

K=$KUBECTL
kk() { timeout 60 "$K" --kubeconfig "$data/admin.kubeconfig" "$@"; }
exec_plain() { [ "$(kk exec echo -- echo hello)" = hello ]; }
exec_code() { kk exec echo -- sh -c 'echo bad >&2; exit 7' 2>"$work/err"; [ $? = 7 ] && grep -q bad "$work/err"; }
exec_input() { [ "$(kk exec -i echo -- md5sum <"$work/file")" = "$(md5sum <"$work/file")" ]; }
exec_output() { [ "$(kk exec echo -- dd if=/dev/zero bs=1M count=20 2>/dev/null | wc -c)" = 20971520 ]; }
# A command that doesn't read all it is given still gets its word out.
exec_unread() { kk exec -i echo -- sh -c 'head -c 10 >/dev/null; echo enough' <"$work/file" 2>/dev/null | grep -q enough; }
# What is typed into a terminal, as soon as it says something; its size may arrive after that.
typed() { soon 10 grep -q . "$work/tty"; sleep 1; echo "until stty size | grep -q '^33 99'; do sleep 0.1; done; stty size; exit $1"; sleep 1; }
exec_tty() {
	: >"$work/tty"
	typed 5 | timeout 60 script -qec "stty rows 33 cols 99; $K --kubeconfig $data/admin.kubeconfig exec -it echo -- sh" /dev/null >"$work/tty"
	[ $? = 5 ] && grep -q '^33 99' "$work/tty"
}
copy() { kk cp "$work/file" echo:/tmp/file && rm -f "$work/back" && kk cp echo:/tmp/file "$work/back" && cmp "$work/file" "$work/back"; }
# The input stays open, so the client has to be ended.
mkfifo "$work/fifo"
attach() {
	exec 7<>"$work/fifo"
	"$K" --kubeconfig "$data/admin.kubeconfig" attach -i talk <&7 >"$work/attach" 2>&1 &
	local pid=$! rc
	echo "$1" >&7
	soon 10 grep -q "got $1" "$work/attach"; rc=$?
	kill $pid; wait $pid 2>/dev/null
	exec 7>&-
	return $rc
}
# The end of the input ends the program, that its client: by itself and well.
attach_once() { (sleep 1; echo x) | kk attach -i "$1" >"$work/once" && grep -q '^end' "$work/once"; }
# Where it may be given again, its end is only that of the session; what was given arrived.
attach_piped() { echo "$1" | timeout 60 "$K" --kubeconfig "$data/admin.kubeconfig" attach -i talk && soon 10 sh -c "$K --kubeconfig $data/admin.kubeconfig logs talk | grep -q 'got $1'" && ! kk logs talk | grep -q '^end'; }
attach_tty() {
	: >"$work/tty"
	typed 0 | timeout 60 script -qec "stty rows 33 cols 99; $K --kubeconfig $data/admin.kubeconfig attach -it $1" /dev/null >"$work/tty"
	grep -q '^33 99' "$work/tty"
}
forward() {
	"$K" --kubeconfig "$data/admin.kubeconfig" port-forward pod/echo :9000 >"$work/forward" 2>&1 &
	local pid=$! rc
	soon 10 grep -q 127.0.0.1 "$work/forward" && timeout 120 python3 "$work/parallel.py" "$(sed -n 's/.*127.0.0.1:\([0-9]*\) .*/\1/p' "$work/forward")"
	rc=$?
	kill $pid; wait $pid 2>/dev/null
	return $rc
}
forward_refused() {
	"$K" --kubeconfig "$data/admin.kubeconfig" port-forward pod/echo :81 >"$work/forward" 2>&1 &
	local pid=$! rc
	soon 10 grep -q 127.0.0.1 "$work/forward" && curl -s -m 20 "http://127.0.0.1:$(sed -n 's/.*127.0.0.1:\([0-9]*\) .*/\1/p' "$work/forward")/"
	soon 5 grep -q 'error forwarding port 81 to pod' "$work/forward"; rc=$?
	kill $pid 2>/dev/null; wait $pid 2>/dev/null
	return $rc
}

n=0
for K in "$KUBECTL" "${KUBECTL_OLD:-/tmp/k120/usr/bin/kubectl}" /usr/lib/google-cloud-sdk/bin/kubectl.1.29 /usr/lib/google-cloud-sdk/bin/kubectl.1.32; do
	command -v "$K" >/dev/null || continue
	v=$("$K" version --client -o json 2>/dev/null | sed -n 's/.*"gitVersion": "v\([0-9.]*\).*/\1/p' | head -1)
	case " ${seen:-} " in *" $v "*) continue ;; esac
	seen="${seen:-} $v" n=$((n + 1))
	[ "$n" -gt 1 ] && old=${old:-$K}
	ok "kubectl $v: exec" exec_plain
	ok "kubectl $v: exec's exit code and errors" exec_code
	ok "kubectl $v: exec -i passes all of its input" exec_input
	ok "kubectl $v: exec passes all of its output" exec_output
	ok "kubectl $v: exec of what doesn't read its input" exec_unread
	ok "kubectl $v: exec -it has a terminal of its size" exec_tty
	ok "kubectl $v: cp there and back" copy
	ok "kubectl $v: attach -i, its input open for the next" attach "line$n"
	ok "kubectl $v: attach -i ends with its input" attach_piped "piped$n"
	ok "kubectl $v: attach -i to what is given input once" attach_once "once$n"
	ok "kubectl $v: attach -it" attach_tty "term$n"
	ok "kubectl $v: port-forward, ten connections of 10 MB each way" forward
	ok "kubectl $v: port-forward names a port that nobody listens on" forward_refused
	ok "kubectl $v: run -i --rm" sh -c "echo typed | timeout 60 $K --kubeconfig $data/admin.kubeconfig run job$n -i --rm --restart=Never --image=busybox:2 --command -- cat | grep -q typed"
done

debug() {
	timeout 60 "$KUBECTL" --kubeconfig "$data/admin.kubeconfig" debug echo -c see --target=main --image=busybox:2 -- sh -c 'cat /proc/1/cmdline; sleep 1000' &&
		soon 10 sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig logs echo -c see | grep -q echod" &&
		[ "$(kk exec echo -c see -- echo inside)" = inside ] && k get pod echo | grep -q '1/1'
}
ok "kubectl debug: a container that sees the other's processes" debug

# A client that is killed takes its command with it.
killed() {
	"$KUBECTL" --kubeconfig "$data/admin.kubeconfig" exec echo -- sleep $((1000000 + $$)) &
	local pid=$!
	soon 10 pgrep -f "^sleep $((1000000 + $$))" >/dev/null || return 1
	kill -9 $pid; wait $pid 2>/dev/null
	soon 10 sh -c "! pgrep -f '^sleep $((1000000 + $$))'"
}
ok "kill -9 of the client ends its command" killed
# … also one that is held back by a command that doesn't read, and can't even say that it is gone.
killed_stuck() {
	"$1" --kubeconfig "$data/admin.kubeconfig" exec -i echo -- sleep $((2000000 + $$)) </dev/zero >/dev/null 2>&1 &
	local pid=$!
	soon 10 pgrep -f "^sleep $((2000000 + $$))" >/dev/null || return 1
	sleep 2
	kill -9 $pid; wait $pid 2>/dev/null
	soon 20 sh -c "! pgrep -f '^sleep $((2000000 + $$))'"
}
for K in "$KUBECTL" ${old:-}; do ok "kill -9 of a client whose input is stuck: $K" killed_stuck "$K"; done
kubelet_fds() { find "/proc/$(pgrep -f "plumb.* kubelet .*$data" | head -1)/fd" 2>/dev/null | wc -l; }
before=$(kubelet_fds)
ok "… and a forward's connections" forward
ok "no descriptor is left behind" soon 15 sh -c "[ \$(find /proc/\$(pgrep -f 'plumb.* kubelet .*$data' | head -1)/fd | wc -l) -le $before ]"
ok "no process file is left behind" soon 5 sh -c "! find $data/nodes/*/run -name 'exec-*-s*' | grep -q ."

# What python3-kubernetes and others speak: one byte a channel, or base64.
cat >"$work/ws.py" <<'PY'
import base64, json, os, socket, ssl, struct, sys, tempfile, urllib.parse
conf, what, proto = sys.argv[1:4]
text = open(conf).read()
def field(name):
	return base64.b64decode(text.split(name + ":")[1].split()[0].strip('"'))
url = urllib.parse.urlparse(text.split("server:")[1].split()[0].strip('"'))
with tempfile.TemporaryDirectory() as d:
	for n in ("client-certificate-data", "client-key-data", "certificate-authority-data"):
		open(d + "/" + n, "wb").write(field(n))
	ctx = ssl.create_default_context(cafile=d + "/certificate-authority-data")
	ctx.load_cert_chain(d + "/client-certificate-data", d + "/client-key-data")
s = ctx.wrap_socket(socket.create_connection((url.hostname, url.port)), server_hostname=url.hostname)
s.settimeout(20)
path = "/api/v1/namespaces/default/pods/echo/" + what
head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
s.sendall((head + (f"Sec-WebSocket-Protocol: {proto}\r\n" if proto else "") + "\r\n").encode())
f = s.makefile("rb")
status = f.readline()
heads = b"".join(iter(f.readline, b"\r\n")).decode()
assert b" 101 " in status, status
assert not proto or f"Sec-WebSocket-Protocol: {proto}" in heads, heads
assert "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in heads
def frame(op, data, fin=0x80):
	mask = os.urandom(4)
	n = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
	s.sendall(bytes([fin | op]) + n + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))
def messages():
	while (h := f.read(2)) and len(h) == 2:
		n = h[1] & 127
		n = struct.unpack(">H", f.read(2))[0] if n == 126 else struct.unpack(">Q", f.read(8))[0] if n == 127 else n
		data = f.read(n)
		if h[0] & 15 == 8:
			return
		yield data
b64 = "base64" in proto
got = {}
def send(channel, data):
	if b64:
		frame(1, str(channel).encode() + base64.b64encode(data))
	else:  # in two parts, with a ping between them
		frame(2, bytes([channel]) + data[:3], 0)
		frame(9, b"still there?")
		frame(0, data[3:])
if what.startswith("exec"):
	send(0, b"typed\n")
	for m in messages():
		c = m[0] - 48 if b64 and m else m[0]
		if m != b"still there?":
			got[c] = got.get(c, b"") + (base64.b64decode(m[1:]) if b64 else m[1:])
	assert got[1] == b"typed\n", got
	if proto.startswith("v4"):
		end = json.loads(got[3])
		assert end["reason"] == "NonZeroExitCode" and end["details"]["causes"][0] == {"reason": "ExitCode", "message": "3"}, end
	else:
		assert b"exit status 3" in got[3], got
else:
	sent = False
	for m in messages():
		c = m[0] - 48 if b64 and m else m[0]
		if m == b"still there?":
			continue
		got[c] = got.get(c, b"") + (base64.b64decode(m[1:]) if b64 else m[1:])
		if not sent and len(got.get(0, b"")) >= 2:
			send(0, b"echo this")
			sent = True
		if got.get(0) == struct.pack("<H", 9000) + b"echo this" and b"refused" in got.get(3, b"").lower():
			break
	assert got[2] == struct.pack("<H", 81) and got[3].startswith(struct.pack("<H", 81)), got
PY
for proto in v4.channel.k8s.io v4.base64.channel.k8s.io channel.k8s.io base64.channel.k8s.io ""; do
	ok "WebSocket ${proto:-without a protocol}: exec" timeout 60 python3 "$work/ws.py" "$data/admin.kubeconfig" 'exec?command=sh&command=-c&command=read+l;echo+$l;exit+3&stdin=true&stdout=true&stderr=true' "$proto"
done
for proto in v4.channel.k8s.io v4.base64.channel.k8s.io; do
	ok "WebSocket $proto: port-forward of two ports" timeout 60 python3 "$work/ws.py" "$data/admin.kubeconfig" 'portforward?ports=9000&ports=81' "$proto"
done
ok "clean stop" stop
finish
