#!/bin/bash
# The repository keeps up with the cluster's sealing key: public key and values, by commit.
. "$(dirname "$0")/lib.sh"
for t in git "$KUBECTL"; do command -v "$t" >/dev/null || skip_all "reseal" "needs $t"; done
repo=$work/repo bare=$work/repo.git
git init -q -b main "$repo"
mkdir -p "$repo/app"
printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: team}\n' >"$repo/app/namespace.yaml"
git -C "$repo" add -A && git -C "$repo" commit -qm 'nothing yet'
git clone -q --bare "$repo" "$bare"
git -C "$repo" remote add origin "$bare" && git -C "$repo" fetch -q && git -C "$repo" branch -q -u origin/main
start --nodes 0 --repo "file://$bare" --cluster-name one
published() { k -n kube-public get configmap plumb-sealing-key -o jsonpath='{.data.cluster\.pub}' 2>/dev/null; }
# committed BRANCH: its key file says what is published.
committed() { [ -n "$(published)" ] && git -C "$bare" show "$1:.plumb/cluster.pub" 2>/dev/null | grep -qxF "$(published)"; }
value() { [ "$(k -n team get secret db -o jsonpath='{.data.password}' 2>/dev/null | base64 -d)" = "$1" ]; }

ok "the public key is proposed on a branch" soon 10 committed plumb/reseal/one
ok "… and the branch that people push to is left alone" sh -c "! git -C '$bare' show main:.plumb/cluster.pub 2>/dev/null"
git -C "$repo" pull -q origin plumb/reseal/one && git -C "$repo" push -q
ok "merged, it is what plumb seal uses" sh -c "cd '$repo' && printf %s correct-horse-battery >'$work/v' && '$PLUMB' seal --data-dir /nowhere --name db -n team --from-file 'password=$work/v' >'$work/sealed.yaml'"
sed 's/^kind:/# a comment that stays\nkind:/; s/^\( *password: .*\)/\1 # keep/' "$work/sealed.yaml" >"$repo/app/db.yaml"
git -C "$repo" add -A && git -C "$repo" commit -qm 'a secret' && git -C "$repo" push -q
ok "a sealed value becomes a Secret" soon 10 value correct-horse-battery

before=$(git -C "$bare" rev-parse main)
old=$(published)
"$PLUMB" keys rotate --data-dir "$data" >/dev/null
rotated() { [ "$(published)" != "$old" ] && committed main; }
ok "after a rotation the new key is committed" soon 10 rotated
ok "by one commit" sh -c "[ \$(git -C '$bare' rev-list --count $before..main) = 1 ]"
ok "which seals the value anew and touches one line" sh -c "[ \"\$(git -C '$bare' diff --numstat $before main -- app | cut -f1,2 | tr '\t' ' ')\" = '1 1' ]"
ok "comments stay" sh -c "git -C '$bare' show main:app/db.yaml | grep -q 'a comment that stays' && git -C '$bare' show main:app/db.yaml | grep -q 'password: [A-Za-z0-9+/=]* # keep$'"
ok "nothing of it is in clear" sh -c "! git -C '$bare' log -p --all | grep -qE 'correct-horse|$(printf correct-horse | base64 | cut -c1-16)'"
newid() { "$PLUMB" keys show -o json --data-dir "$data" | tr -d ' \n' | sed -n 's/.*"created":"[^"]*","id":"\([0-9a-f]*\)"[^}]*"seals":true.*/\1/p;s/.*"id":"\([0-9a-f]*\)","state":"active","created":"[^"]*","seals":true.*/\1/p'; }
under_new() { [ "$(k -n team get sealedsecret db -o jsonpath='{.status.keyID}')" = "$(newid)" ]; }
ok "the cluster opens it with the new key" soon 10 under_new
oldid=$(k -n kube-system get secret -l plumb.dev/sealing-key -o name --sort-by=.metadata.creationTimestamp | sed 's/.*key-//' | grep -v "$(newid)" | head -1)
ok "so the old one can be disabled" "$PLUMB" keys disable "$oldid" --data-dir "$data"
sleep 0.5
ok "and the Secret is still there" value correct-horse-battery

# --- by a pull request, where there is a forge
FORGE=${FORGE:-$(dirname "$PLUMB")/forge}
if [ -x "$FORGE" ]; then
	"$FORGE" "$bare" t0ken acme/shop >"$work/forge.port" & forge_pid=$!
	trap 'kill $forge_pid 2>/dev/null; cleanup' EXIT
	soon 5 test -s "$work/forge.port"
	at=http://127.0.0.1:$(cat "$work/forge.port")
	says() { curl -sf "$at/_/state" | grep -qF -- "$1"; }
	k -n plumb-system create secret generic forge --from-literal=token=t0ken >/dev/null
	k -n plumb-system patch gitrepository root --type merge -p "{\"spec\":{\"secretRef\":{\"name\":\"forge\"}},\"metadata\":{\"annotations\":{\"plumb.dev/forge\":\"github=$at\",\"plumb.dev/forge-repository\":\"acme/shop\",\"plumb.dev/sealing\":\"propose\"}}}" >/dev/null
	was=$(newid) head=$(git -C "$bare" rev-parse main)
	"$PLUMB" keys rotate --data-dir "$data" >/dev/null
	ok "where it is to be proposed, the branch gets a pull request" soon 15 says "pull 1 open plumb/reseal/one Seal for key"
	ok "… which says what it is about, and no value" sh -c "curl -sf '$at/_/state' | grep -q '1 values were under older ones' && ! curl -sf '$at/_/state' | grep -q correct-horse"
	ok "… and the branch of people is as it was" [ "$(git -C "$bare" rev-parse main)" = "$head" ]
	row() { "$PLUMB" keys show --data-dir "$data" | grep "^$1 "; }
	shows() { row "$1" | grep -qE "$2"; }
	ok "the older key is still needed, in the cluster and in the repository" soon 5 shows "$was" ' active +1 +1 '
	git -C "$repo" pull -q origin plumb/reseal/one && git -C "$repo" push -q origin HEAD:main
	ok "merged, it is in neither" soon 15 shows "$was" ' active +0 +0 '
	ok "so it can be retired, which is said" sh -c "'$PLUMB' keys show --data-dir '$data' | grep -q 'plumb keys retire $was'"
	# A value under a key that somebody else has by now
	"$PLUMB" keys disable "$was" --data-dir "$data" >/dev/null
	git -C "$repo" checkout -q "$head" -- app/db.yaml && git -C "$repo" commit -qam 'an old value again' && git -C "$repo" push -q origin HEAD:main
	disabled() { [ "$(k -n team get sealedsecret db -o jsonpath='{.status.conditions[0].reason}')" = DisabledKey ]; }
	ok "a value under a disabled key doesn't open, and says so" soon 15 disabled
	ok "… its last good Secret stays" value correct-horse-battery
	told() { k -n plumb-system get events -o jsonpath='{range .items[*]}{.reason}: {.message}{"\n"}{end}' | grep -q 'NotResealed: 1 values .* app/db.yaml'; }
	ok "… it isn't sealed anew, which is said, too" soon 15 told
else
	skip "by a pull request" "needs $FORGE"
fi
ok "clean stop" stop
finish
