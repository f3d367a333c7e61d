#!/bin/bash
# A disk without space: writes are refused and say why, reads go on, nothing is lost, and it works
# again once there is space, without a restart.
. "$(dirname "$0")/lib.sh"
need_root "a full disk"
mkdir -p "$data" && mount -t tmpfs -o size=24m,mode=700 plumb-full "$data" || skip_all "a full disk" "needs to mount a tmpfs"
trap 'cleanup 2>/dev/null; umount -l "$work/data" 2>/dev/null; rm -rf "$work"' EXIT
head -c 200000 /dev/zero | tr '\0' x >"$work/big"

fill() { # until it is full, or 200 are written
	for i in $(seq 200); do
		k create configmap "big-$i" --from-file="$work/big" >>"$work/written" 2>"$work/refusal" || return 0
	done
	return 1
}
listed() { k get configmaps -o name | grep -c big-; }
start --nodes 0
soon 10 k -n default get serviceaccount default >/dev/null
dd if=/dev/zero of="$data/ballast" bs=1M count=8 2>/dev/null
ok "the disk gets full" fill
ok "the refusal says why" grep -qi "full\|no space" "$work/refusal"
ok "it is no success" bash -c "! grep -q created '$work/refusal'"
ok "single reads go on" k get configmap big-1
ok "lists show what was acknowledged" test "$(listed)" = "$(wc -l <"$work/written")"
ok "a small write may be refused too, and is no lie then" bash -c "'$KUBECTL' --kubeconfig '$data/admin.kubeconfig' create configmap small >/dev/null 2>&1; a=\$?; '$KUBECTL' --kubeconfig '$data/admin.kubeconfig' get configmap small >/dev/null 2>&1; [ \$? -eq \$a ]"
rm "$data/ballast"
ok "with space it goes on by itself" soon 10 k create configmap after
before=$(listed)
pkill -9 -f "plumb apiserver --data-dir $data" || true
ok "and comes back after a crash" soon 10 k get configmap after
ok "with everything" test "$(listed)" = "$before"
ok "it stops" stop
finish
