#!/bin/bash
# sops files by plumb seal: encrypted, edited in place, merged by git; opened by the age program's keys.
. "$(dirname "$0")/lib.sh"
for t in git age-keygen age; do command -v "$t" >/dev/null || skip_all "sops" "needs $t"; done
repo=$work/repo && mkdir -p "$repo/app" && cd "$repo" && git init -q -b main . || exit 1
age-keygen -o "$work/keys.txt" 2>/dev/null; age-keygen -o "$work/other.txt" 2>/dev/null
one=$(age-keygen -y "$work/keys.txt") two=$(age-keygen -y "$work/other.txt")
export SOPS_AGE_KEY_FILE=$work/keys.txt
printf 'creation_rules:\n- path_regex: ^app/.*\\.yaml$\n  encrypted_regex: ^(data|stringData)$\n  age: %s\n' "$one" >.sops.yaml
printf 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: db # its name\nstringData:\n  password: correct-horse # keep\n  user: admin\n' >app/db.yaml
seal() { "$PLUMB" seal --sops app/db.yaml "$@"; }
ok "a file is encrypted in place" seal -i
ok "… which hides the values" sh -c "! grep -qE 'correct-horse|admin' app/db.yaml"
ok "… and nothing else" grep -q 'name: db # its name' app/db.yaml
ok "twice is refused" sh -c "! '$PLUMB' seal --sops app/db.yaml -i"
# data_key FILE IDENTITY: the age program opens the file's data key.
data_key() { sed -n '/-----BEGIN AGE/,/-----END AGE/p' "$1" | sed 's/^ *//' | awk -v n="${3:-1}" '/BEGIN/{i++} i==n' | age -d -i "$2" 2>/dev/null | wc -c; }
ok "the age program opens its data key" [ "$(data_key app/db.yaml "$work/keys.txt")" = 32 ]
git add -A && git commit -qm base
printf %s battery-staple >"$work/v"
ok "one value is put into it" seal --from-file "password=$work/v"
ok "which changes its line, mac and lastmodified" [ "$(git diff --numstat app/db.yaml | cut -f1,2 | tr '\t' ' ')" = "$(git diff app/db.yaml | grep -c '^+[^+]') $(git diff app/db.yaml | grep -c '^-[^-]')" -a "$(git diff app/db.yaml | grep -c '^+[^+]')" -le 3 ]
ok "comments stay" grep -q 'type:str\] # keep' app/db.yaml
git commit -qam 'password'
git checkout -qb side HEAD~1 && printf %s root >"$work/v" && seal --from-file "user=$work/v" && seal --from-file "port=$work/v" && git commit -qam 'user'
git checkout -q main
printf '*.yaml merge=sops\n' >.gitattributes
git config merge.sops.driver "'$PLUMB' merge-sops %O %A %B"
ok "git merges two branches that changed different values" git merge -q -m both side
ok "nothing is left in conflict" sh -c "! grep -q '<<<<<<<' app/db.yaml"
sed -i "s/age: .*/age: $one,$two/" .sops.yaml
git add -A && git commit -qm merged
ok "another recipient is added" seal --recipients
ok "which only adds lines" [ "$(git diff --numstat app/db.yaml | cut -f2)" = 0 ]
cp app/db.yaml "$work/rotating.yaml" && ok "a file gets another data key" "$PLUMB" seal --sops "$work/rotating.yaml" --rotate-data-key
ok "… under which nothing of the old one is left" sh -c "grep -o 'ENC\[[^]]*' app/db.yaml | while read -r v; do ! grep -qF \"\$v\" '$work/rotating.yaml' || exit 1; done"
ok "who opens it as well" [ "$(data_key app/db.yaml "$work/other.txt" 2)" = 32 ]
mkdir -p app/deep && printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: deep}\nstringData: {a: b}\n' >app/deep/s.yaml && "$PLUMB" seal --sops app/deep/s.yaml --age "$one" -i
git add -A && git commit -qm deep
ok "a whole folder is brought up to .sops.yaml" sh -c "'$PLUMB' seal --sops . --recipients --identity '$work/keys.txt' | grep -q 'app/deep/s.yaml: 2 recipients'"
ok "… and nothing else is touched" [ "$(git diff --name-only)" = app/deep/s.yaml ]
rm -r app/deep
printf 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [db.yaml]\n' >app/kustomization.yaml
git add -A && git commit -qm all
if command -v "$KUBECTL" >/dev/null; then
	start --nodes 0
	k create namespace shop >/dev/null
	k -n shop create secret generic keys --from-file=a.agekey="$work/keys.txt" >/dev/null
	git clone -q --bare "$repo" "$work/repo.git"
	printf 'apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: shop, namespace: shop}\nspec: {url: "file://%s", interval: 1s, ref: {branch: main}}\n---\napiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: shop, namespace: shop}\nspec: {interval: 1m, path: ./app, prune: true, targetNamespace: shop, sourceRef: {kind: GitRepository, name: shop}, decryption: {provider: sops, secretRef: {name: keys}}}\n' "$work/repo.git" | k apply -f - >/dev/null
	value() { [ "$(k -n shop get secret db -o jsonpath="{.data.$1}" 2>/dev/null | base64 -d)" = "$2" ]; }
	ok "the cluster opens the merged file" soon 10 value password battery-staple
	ok "with both sides' values" value user root
	ok "and the one that was added" value port root

	# --- recipients: the list stands in the decryption Secret, the change is a branch
	age-keygen -o "$work/third.txt" 2>/dev/null; three=$(age-keygen -y "$work/third.txt") branch=plumb/recipients/default/shop-shop
	list() { k -n shop patch secret keys --type merge -p "{\"stringData\":{\"recipients\":\"# who\\n$1\\n\"}}" >/dev/null && k -n shop annotate --overwrite kustomization shop "reconcile.fluxcd.io/requestedAt=$(date +%s%N)" >/dev/null; }
	bare() { git -C "$work/repo.git" "$@"; }
	event() { k -n shop get events -o jsonpath='{range .items[*]}{.reason}={.message}{"\n"}{end}' | grep "^$1=" | grep -q -- "$2"; }
	proposed() { bare rev-parse -q --verify "refs/heads/$branch" >/dev/null && bare show "$branch:app/db.yaml" >"$work/new.yaml" && [ "$(data_key "$work/new.yaml" "$work/third.txt" 2)" = 32 ]; }
	list "$two"
	ok "a list that would lock the cluster out is refused" soon 10 event RecipientsRefused 'none of its own identities'
	ok "… and makes no branch" sh -c "! git -C '$work/repo.git' rev-parse -q --verify refs/heads/$branch"
	list "$one\\n$three"
	ok "another list is a branch, where there is no forge" soon 10 proposed
	ok "… with an Event that names it" soon 5 event RecipientsProposed "1 added, 1 removed: branch $branch"
	ok "… who is not on it is out" sh -c "! grep -q '$two' '$work/new.yaml'"
	ok "… who stays keeps their lines" [ "$(data_key "$work/new.yaml" "$work/keys.txt" 1)" = 32 ]
	ok "… and only the recipients' part changes" sh -c "git -C '$work/repo.git' diff main $branch | grep '^[-+][^-+]' | grep -vE '^[-+] +(- recipient: age1|enc: [|]|[-A-Za-z0-9+/= ]+$)' | { ! grep .; }"
	ok "… of that one file" [ "$(bare diff --name-only main "$branch")" = app/db.yaml ]
	pushed=$(bare rev-parse "$branch")
	kill_role KILL reconciler
	applied() { [ "$(grep -c 'recipients are proposed' "$data/log/reconciler.log")" -ge 2 ]; }
	ok "after a restart it is looked at again" soon 20 applied
	ok "… and stays as it is" [ "$(bare rev-parse "$branch")" = "$pushed" ]
	git pull -q --no-rebase "$work/repo.git" "$branch" && git push -q "$work/repo.git" HEAD:main
	ok "merged, the branch goes" soon 10 sh -c "! git -C '$work/repo.git' rev-parse -q --verify refs/heads/$branch"
	ok "… and the values are there still" value password battery-staple
	printf '# kept\nlevel: "1"\npem: |\n  one\n  two\n' >app/conf.yaml && "$PLUMB" seal --sops app/conf.yaml --age "$one" -i
	printf 'resources: [db.yaml]\nsecretGenerator:\n- {name: conf, files: [conf.yaml]}\n' >app/kustomization.yaml && git add -A && git commit -qm 'generated' && git push -q "$work/repo.git" HEAD:main
	printf '# kept\nlevel: "1"\npem: |\n    one\n    two\n' >"$work/conf.yaml"
	generated() { k -n shop get secret -o name | grep -q '^secret/conf-' && k -n shop get "$(k -n shop get secret -o name | grep '^secret/conf-')" -o 'jsonpath={.data.conf\.yaml}' | base64 -d | cmp - "$work/conf.yaml"; }
	ok "a generator takes in what sops prints of a file" soon 10 generated
	rm app/conf.yaml
	printf 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: tied # its name\nstringData:\n  word: swordfish\n' >app/tied.yaml
	ok "a file is bound to its object" "$PLUMB" seal --sops app/tied.yaml -i --bind -n shop
	ok "… which its metadata hides as well" sh -c "grep -q 'bound-to: .*ENC' app/tied.yaml && grep -q 'name: tied # its name' app/tied.yaml"
	printf %s orca >"$work/v"
	ok "and follows a key that is added" "$PLUMB" seal --sops app/tied.yaml --from-file "more=$work/v"
	push() { git add -A && git commit -qm "$1" && git push -q "$work/repo.git" HEAD:main; }
	printf 'resources: [db.yaml, tied.yaml]\n' >app/kustomization.yaml && push 'bound'
	tied() { [ "$(k -n shop get secret tied -o jsonpath='{.data.more}' 2>/dev/null | base64 -d)" = orca ]; }
	ok "at home it opens" soon 10 tied
	printf 'resources: [db.yaml, tied.yaml]\npatches:\n- target: {name: tied}\n  patch: "[{op: replace, path: /metadata/name, value: mine}]"\n' >app/kustomization.yaml && push 'a thief'
	refused() { k -n shop get kustomization shop -o jsonpath='{.status.conditions[?(@.type=="Ready")].message}' | grep -q 'Secret shop/mine holds what app/tied.yaml encrypts for Secret shop/tied only'; }
	ok "under another name it doesn't, which is said" soon 10 refused
	ok "and nothing of it is there" sh -c "! '$KUBECTL' --kubeconfig '$data/admin.kubeconfig' -n shop get secret mine 2>/dev/null"
	printf 'resources: [db.yaml, tied.yaml]\n' >app/kustomization.yaml && push 'back'
	k -n shop annotate kustomization shop plumb.dev/sops-binding=required >/dev/null
	unbound() { k -n shop get kustomization shop -o jsonpath='{.status.conditions[?(@.type=="Ready")].message}' | grep -q 'app/db.yaml:.*bound to no object'; }
	condition() { k -n shop get kustomization shop -o jsonpath='{.status.conditions[?(@.type=="SecretsIntegrity")].status}={.status.conditions[?(@.type=="SecretsIntegrity")].message}'; }
	broken() { condition | grep -q '^False=app/tied.yaml:[0-9]*: .*MAC'; }
	ok "where bindings are required, a file without one is refused" soon 10 unbound
	k -n shop annotate kustomization shop plumb.dev/sops-binding- >/dev/null
	sed -i 's/name: tied # its name/name: tied # its name\n  labels: {edited: by-hand}/' app/tied.yaml && push 'edited without sops'
	ok "a file that was edited without sops stops the build, with file and line" soon 10 broken
	ok "… and keeps its recipients, which is said" soon 10 event RecipientsLeft 'app/tied.yaml: the file.s MAC'
	k -n shop annotate kustomization shop plumb.dev/secrets-integrity=warn >/dev/null
	passes() { [ "$(k -n shop get secret tied -o jsonpath='{.metadata.labels.edited}')" = by-hand ] && broken; }
	ok "… or passes where that is said, and is told" soon 10 passes
	list "$one\\n$two\\n$three"
	ok "another branch" soon 10 bare rev-parse -q --verify "refs/heads/$branch"
	k -n shop delete kustomization shop --wait=false >/dev/null
	ok "… goes with its Kustomization" soon 15 sh -c "! git -C '$work/repo.git' rev-parse -q --verify refs/heads/$branch"
	ok "clean stop" stop
fi
finish
