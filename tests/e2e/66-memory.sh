#!/bin/bash
# What handles plain text has no fault of memory: sealing and opening under valgrind, as a process and by their unit tests.
. "$(dirname "$0")/lib.sh"
command -v valgrind >/dev/null || skip_all "memory" "needs valgrind; make asan runs the unit tests under AddressSanitizer"
ldd "$PLUMB" 2>/dev/null | grep -q libasan && skip_all "memory" "built with AddressSanitizer"
mc() { valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite --child-silent-after-fork=yes "$@"; }
printf '# a key\nplumb-seal-v1:%s\n' "$(head -c 32 /dev/urandom | base64)" >"$work/cluster.pub"
printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: a}\nstringData: {one: first, two: second}\n' >"$work/secret.yaml"
ok "sealing a file" mc "$PLUMB" seal --key "$work/cluster.pub" -f "$work/secret.yaml"
"$PLUMB" seal --key "$work/cluster.pub" -f "$work/secret.yaml" >"$work/sealed.yaml"
printf third >"$work/v"
ok "another value into it" mc "$PLUMB" seal --key "$work/cluster.pub" --merge-into "$work/sealed.yaml" --from-file "two=$work/v"
ok "what can't be sealed" sh -c "printf 'kind: Secret\nmetadata: {name: x}\ndata: {a: \"*\"}\n' | valgrind -q --error-exitcode=99 '$PLUMB' seal --key '$work/cluster.pub' >/dev/null 2>&1; [ \$? = 1 ]"
if command -v age-keygen >/dev/null; then
	age-keygen -o "$work/keys.txt" 2>/dev/null
	ok "a file of sops" mc "$PLUMB" seal --sops "$work/secret.yaml" --age "$(age-keygen -y "$work/keys.txt")" --bind -i
	ok "… edited" mc "$PLUMB" seal --sops "$work/secret.yaml" --identity "$work/keys.txt" --from-file "two=$work/v"
fi
tests=$(dirname "$PLUMB")/tests/secrets
for t in test_sops test_sops_bind test_atrest; do
	if [ -x "$tests/$t" ]; then ok "$t" mc "$tests/$t"; fi
done
finish
