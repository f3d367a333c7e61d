#!/bin/bash
# What Kubernetes' own conformance tests ask of the controllers and the scheduler, on nodes that
# tests/e2e/conformance/nodes.py plays: no containers, no root.
. "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")/conformance" && pwd)
command -v python3 >/dev/null || skip_all "conformance of the controllers" "needs python3"
start --nodes 0
export PYTHONDONTWRITEBYTECODE=1
for module in $(python3 "$here/run.py" --nodes --modules); do
	ok "conformance: $module" python3 "$here/run.py" --nodes --quiet "$data/admin.kubeconfig" "$module"
	[ "${VERBOSE:-}" ] && sed 's/^/# /' "$work/ok.out"
done
ok "stops cleanly" stop
finish
