#!/bin/bash
# What Kubernetes' own conformance tests ask of an API server, as a few thousand small checks by
# tests/e2e/conformance/*.py (Python's standard library only). No root needed.
. "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")/conformance" && pwd)
command -v python3 >/dev/null || skip_all "conformance of the API" "needs python3"
for t in openssl "$KUBECTL"; do command -v "$t" >/dev/null || skip_all "conformance of the API" "needs $t"; done
start --nodes 0
export PYTHONDONTWRITEBYTECODE=1 KUBECTL
for module in $(python3 "$here/run.py" --modules); do
	ok "conformance: $module" python3 "$here/run.py" --quiet "$data/admin.kubeconfig" "$module"
	[ "${VERBOSE:-}" ] && sed 's/^/# /' "$work/ok.out"
done
# Definitions have come and gone by now: nobody waits for what they defined.
k create configmap owner >/dev/null
ok "an owner still lets go" k delete configmap owner --cascade=orphan --timeout=180s
ok "stops cleanly" stop
finish
