#!/bin/sh
# Kubernetes' own e2e.test against a running cluster: all conformance tests, or those that FOCUS (a regular expression of
# their names) picks, less what the file `skip` beside this script gives a reason for where TESTS=MINOR says that the tests are of
# an older release than Plumb speaks. README.md says where e2e.test is from.
set -eu
usage="usage: run.sh KUBECONFIG REPORT-DIR [FOCUS [SKIP]]   (E2E_TEST and KUBECTL name the programs, TESTS=20 tests of 1.20)"
kubeconfig=${1:?$usage} report=${2:?$usage} focus=${3:-'\[Conformance\]'} more=${4:-}
here=$(cd "$(dirname "$0")" && pwd)
e2e=$(command -v "${E2E_TEST:-e2e.test}") || { echo "run.sh: no e2e.test: E2E_TEST=PATH names it" >&2; exit 1; }
kubectl=$(command -v "${KUBECTL:-kubectl}") || { echo "run.sh: no kubectl: KUBECTL=PATH names it" >&2; exit 1; }
skip=$(awk -F '\t' -v tests="${TESTS:-32}" '!/^#/ && $1 >= tests {print $2}' "$here/skip" | paste -s -d '|' -)
mkdir -p "$report"
# kubectl remembers what a server offers, under its address: another cluster may have had the same.
HOME=$(mktemp -d)
export HOME
trap 'rm -rf "$HOME"' EXIT

nodes=$("$kubectl" --kubeconfig "$kubeconfig" get nodes --no-headers | wc -l)
"$e2e" --provider=skeleton --num-nodes="$nodes" --kubeconfig="$kubeconfig" --kubectl-path="$kubectl" --report-dir="$report" --disable-log-dump \
	--allowed-not-ready-nodes=0 --minStartupPods=0 --system-pods-startup-timeout=5s \
	--ginkgo.focus="$focus" --ginkgo.skip="${skip:-no such test}${more:+|$more}"
