#!/bin/bash
# Applying, in depth: encrypted files, tenants, force, annotations that hold back, dependencies,
# history. The control plane alone; no root.
. "$(dirname "$0")/lib.sh"
for t in git "$KUBECTL"; do command -v "$t" >/dev/null || skip_all "apply" "needs $t"; done

repo=$work/repo
git init -q -b main "$repo"
mkdir -p "$repo/app"
# unit NAME PATH [LINE…]: a Kustomization; further lines go into its spec.
unit() {
	local name=$1 path=$2; shift 2
	cat >"$repo/app/$name.yaml" <<Y
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: $name
  namespace: plumb-system
  annotations: {${annotations:-}}
spec:
  interval: 1h
  prune: true
  path: $path
  sourceRef: {kind: GitRepository, name: root}
$(for line; do echo "  $line"; done)
Y
}
push() { git -C "$repo" add -A && git -C "$repo" commit -qm "$1" && git -C "$repo" push -q origin HEAD:main; }
get() { k -n plumb-system get kustomization "$1" -o jsonpath="$2"; }
condition() { get "$1" "{.status.conditions[?(@.type=='$2')].status} {.status.conditions[?(@.type=='$2')].reason} {.status.conditions[?(@.type=='$2')].message}"; }
says() { condition "$1" "$2" | grep -F -- "$3" || { condition "$1" "$2"; return 1; }; }
value() { local v; v=$(k -n shop get configmap "$1" -o jsonpath="{.data.$2}" 2>&1); [ "$v" = "$3" ] || { echo "$2 of $1 is '$v', not '$3'"; return 1; }; }
absent() { ! k -n shop get "$@"; }
config() { printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: shop%s}\ndata: {a: %s}\n' "$1" "${3:+, annotations: {$3\}}" "$2"; }

# ---- what sops encrypted -------------------------------------------------------------------------
mkdir -p "$repo/hidden"
printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n' >"$repo/app/namespace.yaml"
cat >"$repo/hidden/secret.yaml" <<'Y'
apiVersion: v1
kind: Secret
metadata:
  name: hidden
  namespace: shop
stringData:
  password: ENC[AES256_GCM,data:fLR65CfiuHsFKvj8h8Cy,iv:H1hIr/nFINWOBooJZciUXr2hmbeG4LS/HtDHOD6zbUE=,tag:JrqMCLWL9f9dtTnbDKWghQ==,type:str]
sops:
  age:
    - recipient: age15v7g8qsvy2qey63f32040n5vmcepuayggd420yut8k93rn5nus3qjnanew
      enc: |
        -----BEGIN AGE ENCRYPTED FILE-----
        YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBBM2ZSWUM3b0c5S0hsYURD
        ME9QZWFTY1Vod2lGaVduWUFXWHhqVENLR2pnClNpZ0M4ZjhOeENHb1hqTUYyOFZv
        OTVzd0hvSEQ5SFhZTlZrbXNnWE5tUkEKLS0tIEN4dDdWdVN1dExqOGU1c0tTOUx3
        K2x4Zm9nRmxTQkxaSDA4MjNuVFdoZ1UKN+YRb1lSYY4GzvX1+6Z3t+/xmKJ8mIKS
        ytGVtcX0EKuf7WPQ+HJ0AQCf8c677SyX6UdJOI6nwIAZujUb1Ndq2Q==
        -----END AGE ENCRYPTED FILE-----
  lastmodified: "2026-01-02T03:04:05Z"
  mac: ENC[AES256_GCM,data:ngHcPdnta8DTZdFzeITQ92S1SwGQ9imJlVRhDZiExPag3IlEBXgcVTuclvhy6oPjwdYG1xxJ7uiyTtvWuWEtiM9W2pgshPobQEbadeeQG8JaXuNn7Yyj6rN7ex/BUQV48SLLkwRC9JgbZFkujq1TNYETMx7khz5Zo3tx4Fh74WE=,iv:3d6MevB9Mf4PD4EvrWS5PEEHooYuc8NEH55iIwS86CU=,tag:jr2yHpGR+dQVtwKXhm9Ljg==,type:str]
  encrypted_regex: ^(data|stringData)$
Y
unit hidden hidden 'decryption: {provider: sops, secretRef: {name: keys}}'
git -C "$repo" add -A && git -C "$repo" commit -qm 'a hidden thing'
git clone -q --bare "$repo" "$work/repo.git"
git -C "$repo" remote add origin "$work/repo.git"

start --nodes 0 --repo "file://$work/repo.git" --path app
ok "a missing key is told" soon 10 says hidden Ready 'False BuildFailed cannot read the decryption keys in Secret keys'
echo 'AGE-SECRET-KEY-1CRA4FSFJ88G3C0SY8MSRUD8XUS6QV82Q0EDAJZFQPXHV9FWLZVVQKD7RMW' >"$work/identity"
k -n plumb-system create secret generic keys --from-file=main.agekey="$work/identity" >/dev/null
password() { [ "$(k -n shop get secret hidden -o jsonpath='{.data.password}' | base64 -d)" = tok-hunter2-tok ]; }
ok "a file that sops encrypted is opened" soon 10 password
ok "… and its MAC fits" soon 5 says hidden SecretsIntegrity 'True MACVerified'
sed -i 's/name: hidden/name: other/' "$repo/hidden/secret.yaml"; push 'tampered'
ok "an edited file is refused, with its place" soon 10 says hidden Ready 'False BuildFailed hidden/secret.yaml:9: '
ok "… and told apart" soon 5 says hidden SecretsIntegrity 'False MACMismatch'
ok "… and nothing is applied" absent secret other
annotations='plumb.dev/secrets-integrity: warn' unit hidden hidden 'decryption: {provider: sops, secretRef: {name: keys}}'; push 'let it pass'
ok "unless the Kustomization lets it pass" soon 10 k -n shop get secret other
ok "… which still says so" soon 5 says hidden SecretsIntegrity 'False MACMismatch hidden/secret.yaml:9: '
sed -i 's/name: other/name: hidden/' "$repo/hidden/secret.yaml"; unit hidden hidden; push 'no keys'
ok "without spec.decryption an encrypted file is refused" soon 10 says hidden Ready 'no spec.decryption'
secretless() { ! grep -rl 'hunter2\|dG9rLWh1bnRlcjItdG9r' "$data/log" "$data/store.db" "$work/up.log"; }
ok "the value stands in no log, and not in the store" secretless
status_secretless() { ! k get kustomizations,events,driftreports -A -o yaml | grep 'hunter2\|dG9rLWh1bnRlcjItdG9r'; }
ok "… and in no status or event" status_secretless

# ---- tenants -------------------------------------------------------------------------------------
mkdir -p "$repo/team"
cat >"$repo/app/team.yaml" <<'Y'
apiVersion: v1
kind: Namespace
metadata: {name: team}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: dev, namespace: team}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: dev, namespace: team}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects: [{kind: ServiceAccount, name: dev, namespace: team}]
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: team, namespace: team}
spec:
  interval: 1h
  prune: true
  path: team
  serviceAccountName: dev
  sourceRef: {kind: GitRepository, name: root, namespace: plumb-system}
Y
config one '"1"' | sed 's/: shop/: team/' >"$repo/team/one.yaml"
config two '"1"' | sed 's/: shop/: team/' >"$repo/team/two.yaml"
unit hidden hidden 'decryption: {provider: sops, secretRef: {name: keys}}'; push 'a tenant'
team() { k -n team get kustomization team -o jsonpath='{.status.conditions[?(@.type=="Ready")].message}' | grep -F -- "$1"; }
ok "a tenant's objects are applied as its ServiceAccount" soon 10 k -n team get configmap two
config one '"1"' | sed 's/: shop/: shop/' >"$repo/team/far.yaml"; push 'into another namespace'
ok "… which may not write elsewhere" soon 10 team 'User "system:serviceaccount:team:dev" cannot patch'
rm "$repo/team/far.yaml" "$repo/team/two.yaml"; push 'and back'
ok "… prunes its own" soon 10 sh -c "! $(command -v "$KUBECTL") --kubeconfig $data/admin.kubeconfig -n team get configmap two 2>/dev/null"
printf 'apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: mine}\nrules: [{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}]\n' >"$repo/team/role.yaml"; push 'all mine'
ok "… and makes nothing cluster-wide" soon 10 team 'clusterroles "mine" is forbidden'
ok "… really nothing" sh -c "! $(command -v "$KUBECTL") --kubeconfig $data/admin.kubeconfig get clusterrole mine 2>/dev/null"
rm "$repo/team/role.yaml"; push 'nothing mine'
k -n team patch configmap one -p '{"data":{"a":"2"}}' >/dev/null
wrote() { k -n team get configmap one -o jsonpath='{.data.a}' | grep -qx 1; }
ok "… puts back its own drift" soon 10 wrote

# ---- what cannot be changed, and what is left alone ----------------------------------------------
mkdir -p "$repo/hard"
fixed() { printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fixed, namespace: shop%s}\nimmutable: true\ndata: {a: %s}\n' "${2:+, annotations: {$2\}}" "$1"; }
flux() { echo "kustomize.toolkit.fluxcd.io/$1: $2"; }
fixed '"1"' >"$repo/hard/fixed.yaml"
config once '"1"' "$(flux ssa IfNotPresent)" >"$repo/hard/once.yaml"
config never '"1"' "$(flux ssa Ignore)" >"$repo/hard/never.yaml"
config held '"1"' >"$repo/hard/held.yaml"
config stays '"1"' "$(flux prune disabled)" >"$repo/hard/stays.yaml"
unit hard hard; push 'hard things'
ok "applied" soon 10 value fixed a 1
uid() { k -n shop get configmap "$1" -o jsonpath='{.metadata.uid}'; }
first=$(uid fixed)
ok "what is to be ignored is not made" absent configmap never
ok "what may only be made is made" soon 5 value once a 1
k -n shop annotate configmap held "$(flux reconcile disabled | tr -d ' ' | tr : =)" >/dev/null
fixed '"2"' >"$repo/hard/fixed.yaml"
for n in once held; do sed -i 's/a: "1"/a: "2"/' "$repo/hard/$n.yaml"; done
push 'changes'
ok "a change of what is immutable is refused, and how to force it told" soon 10 says hard Ready 'spec.force or the annotation kustomize.toolkit.fluxcd.io/force'
ok "… and nothing else is applied" value held a 1
fixed '"2"' "$(flux force enabled)" >"$repo/hard/fixed.yaml"; push 'forced'
ok "with the annotation it is made anew" soon 10 value fixed a 2
ok "… really anew" test "$(uid fixed)" != "$first"
ok "what may only be made is not changed" value once a 1
ok "what somebody holds is not changed" value held a 1
k -n shop annotate configmap held kustomize.toolkit.fluxcd.io/reconcile- >/dev/null
ok "… until it is let go of" soon 5 value held a 2
fixed '"3"' >"$repo/hard/fixed.yaml"; unit hard hard 'force: true'; push 'all forced'
ok "spec.force does it for all" soon 10 value fixed a 3
rm "$repo/hard/stays.yaml" "$repo/hard/held.yaml"; push 'less'
ok "what left the files is pruned" soon 10 absent configmap held
ok "… unless it says prune: disabled" k -n shop get configmap stays
history() { [ "$(get hard '{.status.history[0].lastReconciledStatus}')" = ReconciliationSucceeded ] && get hard '{.status.history[*].lastReconciledStatus}' | grep ReconciliationFailed; }
ok "the history tells" soon 5 history

# ---- moving, depending ---------------------------------------------------------------------------
mkdir -p "$repo/left" "$repo/right"
config mover '"1"' >"$repo/left/mover.yaml"; config leftist '"1"' >"$repo/left/l.yaml"; config rightist '"1"' >"$repo/right/r.yaml"
unit right right 'dependsOn: [{name: left}]'; push 'one'
ok "a dependency that isn't there is said" soon 10 says right Ready "False DependencyNotReady dependency 'plumb-system/left' does not exist"
printf 'apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: left, namespace: plumb-system}\nspec: {interval: 1h, prune: true, suspend: true, path: left, sourceRef: {kind: GitRepository, name: root}}\n' | k apply -f - >/dev/null
ok "… and that it is, once it is" soon 5 says right Ready "False DependencyNotReady dependency 'plumb-system/left' is not ready"
k -n plumb-system delete kustomization left >/dev/null
unit left left; unit right right 'dependsOn: [{name: left}]'; push 'two'
ok "a dependent is applied" soon 10 k -n shop get configmap rightist
first=$(uid mover)
git -C "$repo" mv left/mover.yaml right/mover.yaml; push 'moved'
ours() { [ "$(k -n shop get configmap mover -o jsonpath='{.metadata.labels.kustomize\.toolkit\.fluxcd\.io/name}')" = right ]; }
ok "an object moves to the one that depends" soon 10 ours
sleep 0.5
ok "… and isn't recreated" test "$(uid mover)" = "$first"
clean() { ! get left '{.status.inventory.entries[*].id}' | grep mover; }
ok "… and leaves the other's inventory" soon 5 clean
unit left left 'dependsOn: [{name: right}]'; push 'a circle'
ok "a circle of dependencies is named" soon 10 says left Ready "dependency 'plumb-system/right' waits for this one in turn"
unit left left; unit right right 'dependsOn: [{name: left, readyExpr: "dep.status.x.mapp(x, x)"}]'; push 'an expression'
ok "an expression that cannot be judged is refused" soon 10 says right Stalled 'True InvalidCELExpression'
unit right right 'dependsOn: [{name: left, readyExpr: "dep.metadata.name == self.metadata.name || dep.status.conditions.exists(c, c.type == '"'Ready'"')"}]'; push 'a simple one'
ok "a simple one decides" soon 10 says right Ready 'True ReconciliationSucceeded'
unit right right; push 'neither'
ok "and all is well again" soon 10 says right Ready 'True ReconciliationSucceeded'
ok "… and nothing stalls" sh -c "[ -z \"\$(\"$KUBECTL\" --kubeconfig $data/admin.kubeconfig -n plumb-system get kustomization right -o jsonpath='{.status.conditions[?(@.type==\"Stalled\")]}')\" ]"

# ---- two that declare the same -------------------------------------------------------------------
shared() { k -n plumb-system get events --field-selector reason=SharedObject -o jsonpath='{.items[*].message}'; }
ok "what was moved is not told to be shared" sh -c "[ -z '$(shared)' ]"
mkdir -p "$repo/both"; config leftist '"2"' >"$repo/both/l.yaml"; unit both both; push 'two of it'
both() { shared | grep -E 'ConfigMap shop/leftist is declared by Kustomization plumb-system/(left|both) as well'; }
ok "one object in two Kustomizations is told of" soon 10 both
rm -r "$repo/both" "$repo/app/both.yaml"; push 'one of it'
ok "and of one again" soon 15 sh -c "! $KUBECTL --kubeconfig $data/admin.kubeconfig -n plumb-system get kustomization both"

# ---- health --------------------------------------------------------------------------------------
mkdir -p "$repo/well"
cat >"$repo/well/d.yaml" <<'Y'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: cups.tea.io}
spec:
  group: tea.io
  names: {kind: Cup, plural: cups}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      subresources: {status: {}}
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: tea.io/v1
kind: Cup
metadata: {name: mine, namespace: shop}
spec: {}
Y
unit well well 'wait: true' 'timeout: 1m' "healthCheckExprs: [{apiVersion: tea.io/v1, kind: Cup, inProgress: \"!has(status.full)\", failed: \"status.full == 'broken'\", current: \"status.full == 'yes'\"}]"
push 'tea'
ok "an expression says that a kind isn't healthy yet" soon 10 says well Healthy 'Unknown Progressing'
ok "… and of whom" soon 10 says well Ready 'Unknown Progressing waiting for health: Cup shop/mine: inProgress: no such attribute(s): status (1 of 2 objects wait)'
k -n shop patch cup mine --type=merge --subresource=status -p '{"status":{"full":"broken"}}' >/dev/null
ok "what failed is not waited for until the timeout" soon 15 says well Ready 'False HealthCheckFailed failed: Cup shop/mine: it says that it failed (1 of 2 objects failed)'
k -n shop patch cup mine --type=merge --subresource=status -p '{"status":{"full":"yes"}}' >/dev/null
ok "… and when it is" soon 5 says well Ready 'True ReconciliationSucceeded'
mkdir -p "$repo/chart"
printf 'apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: tea, namespace: shop}\nspec: {interval: 1h, chart: {spec: {chart: tea, sourceRef: {kind: HelmRepository, name: tea}}}}\n' >"$repo/chart/h.yaml"
unit chart chart 'wait: true' 'timeout: 1m'; push 'a chart'
ok "a chart that nobody installs is not healthy" soon 20 says chart Ready 'False HealthCheckFailed failed: HelmRelease shop/tea: Plumb does not install Helm charts'
rm -r "$repo/chart" "$repo/app/chart.yaml"; push 'no chart'
unit well well 'timeout: 30s' 'healthChecks: [{apiVersion: v1, kind: ConfigMap, name: elsewhere, namespace: shop}]'; push 'far'
ok "an object of somebody else is waited for" soon 10 says well Ready 'Unknown Progressing'
k -n shop create configmap elsewhere --from-literal=a=b >/dev/null
ok "… until it is there" soon 5 says well Ready 'True ReconciliationSucceeded'
unit well well "healthCheckExprs: [{apiVersion: tea.io/v1, kind: Cup, current: \"size(status.mapp(x, x)) > 0\"}]"; push 'too much'
ok "an expression beyond us is refused" soon 10 says well Stalled 'True InvalidCELExpression spec.healthCheckExprs[0].current'
unit well well 'deletionPolicy: WaitForTermination'; push 'wait for the end'
ok "and back" soon 10 says well Ready 'True ReconciliationSucceeded'
k -n shop patch cup mine --type=merge -p '{"metadata":{"finalizers":["tea.io/dregs"]}}' >/dev/null
rm "$repo/app/well.yaml"; push 'no more tea'
dying() { [ -n "$(get well '{.metadata.deletionTimestamp}')" ] && [ -n "$(k -n shop get cup mine -o jsonpath='{.metadata.deletionTimestamp}')" ]; }
ok "deleting waits for what it made" soon 10 dying
sleep 0.5
ok "… as long as it takes" dying
k -n shop patch cup mine --type=merge -p '{"metadata":{"finalizers":null}}' >/dev/null
ok "… and then ends" soon 5 sh -c "! '$KUBECTL' --kubeconfig '$data/admin.kubeconfig' -n plumb-system get kustomization well"

# ---- two at once ---------------------------------------------------------------------------------
"$PLUMB" reconciler --data-dir "$work/second" --kubeconfig "$data/pki/reconciler.kubeconfig" >"$work/second.log" 2>&1 &
second=$!
sleep 1
ok "a second reconciler does nothing" sh -c "! grep -q leading '$work/second.log' && kill -0 $second"
ok "… while the first one holds the Lease" sh -c "'$KUBECTL' --kubeconfig '$data/admin.kubeconfig' -n kube-system get lease plumb-reconciler"
kill $second; wait $second
kill_role 9 reconciler
config leftist '"2"' >"$repo/left/l.yaml"; push 'after a crash'
ok "one that was killed goes on at once" soon 6 value leftist a 2

# ---- drift that adopts itself, and what was rejected for good ----------------------------------------
mkdir -p "$repo/free"
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: free, namespace: shop}\ndata:\n  a: "1" # by hand\n  b: "1"\n' >"$repo/free/free.yaml"
annotations='plumb.dev/drift: adopt' unit free free; push 'free'
ok "applied" soon 10 value free a 1
k -n shop patch configmap free -p '{"data":{"a":"7"}}' --field-manager=eve >/dev/null
adopted() { git -C "$work/repo.git" show main:free/free.yaml | grep -qx '  a: "7" # by hand'; }
ok "in mode adopt an edit is committed to the branch itself" soon 10 adopted
ok "… and stays" soon 5 value free a 7
git -C "$repo" pull -q --rebase origin main
no_report() { ! k -n plumb-system get driftreport free; }
ok "… and no report is left" soon 10 no_report
annotations='plumb.dev/drift: propose' unit free free; push 'not so free'
ok "and back to proposing" soon 10 says free Ready "$(git -C "$repo" rev-parse HEAD)"
k -n shop patch configmap free -p '{"data":{"a":"8"}}' --field-manager=eve >/dev/null
branch=plumb/drift/default/plumb-system-free
ok "a proposal" soon 10 git -C "$work/repo.git" rev-parse -q --verify "refs/heads/$branch"
git -C "$work/repo.git" update-ref -d "refs/heads/$branch"
ok "is rejected" soon 10 value free a 7
remembered() { [ -n "$(get free '{.metadata.annotations.plumb\.dev/rejected-drift}')" ]; }
ok "… which is written down" soon 5 remembered
kill_role 9 reconciler
config leftist '"3"' >"$repo/left/l.yaml"; push 'after another crash'
ok "after a restart" soon 6 value leftist a 3
k -n shop patch configmap free -p '{"data":{"a":"8"}}' --field-manager=eve >/dev/null
ok "… the same edit is still rejected" soon 10 value free a 7
ok "… without a branch" sh -c "! git -C '$work/repo.git' rev-parse -q --verify 'refs/heads/$branch'"
"$PLUMB" suspend free --data-dir "$data" --for 4s >/dev/null
sleep 0.5
k -n shop patch configmap free -p '{"data":{"b":"5"}}' --field-manager=eve >/dev/null
sleep 0.7
ok "a suspended one leaves an edit alone" value free b 5
proposed_b() { git -C "$work/repo.git" show "$branch:free/free.yaml" | grep -qx '  b: "5"'; }
ok "… until its time is up" soon 10 proposed_b

# ---- going back by a commit ------------------------------------------------------------------------
git -C "$repo" fetch -q && git -C "$repo" reset -q --hard origin/main
mkdir -p "$repo/back"
config back '"1"' >"$repo/back/back.yaml"; unit back back; push 'one'
ok "applied" soon 10 value back a 1
config back '"2"' >"$repo/back/back.yaml"; config extra '"1"' >"$repo/back/extra.yaml"
config leftist '"4"' >"$repo/left/l.yaml"; push 'two, and something else'
ok "… and once more" soon 10 value back a 2
ok "… with something else" soon 10 value leftist a 4
# What rollback goes by is the status, which is written after that.
settled() { says "$1" Ready "True ReconciliationSucceeded" && says "$1" Ready "$(git -C "$work/repo.git" rev-parse main)"; }
soon 10 settled back
ok "rollback makes a commit" "$PLUMB" rollback back --data-dir "$data"
ok "… that takes the object back" soon 10 value back a 1
ok "… and what came with it" soon 10 absent configmap extra
ok "… and nothing else" sh -c "git -C '$work/repo.git' show main:left/l.yaml | grep -q '\"4\"'"
ok "… and says so" sh -c "git -C '$work/repo.git' log -1 --format=%B main | grep -q 'Revert plumb-system/back to main@sha1:'"
git -C "$repo" pull -q --rebase origin main
first=$(git -C "$repo" rev-parse HEAD~1)
ok "rollback to a revision" "$PLUMB" rollback back --to "$first" --data-dir "$data"
ok "… is forth again" soon 10 value back a 2
ok "a revision that isn't there is refused" sh -c "! '$PLUMB' rollback back --to 1234567890123456789012345678901234567890 --data-dir '$data'"
soon 10 settled back
"$PLUMB" rollback back --data-dir "$data" >/dev/null
git -C "$repo" pull -q --rebase origin main
# A base beside it that lost a file meanwhile has it again.
mkdir -p "$repo/over" "$repo/under"
printf 'resources: [../under]\n' >"$repo/over/kustomization.yaml"
printf 'resources: [one.yaml, two.yaml]\n' >"$repo/under/kustomization.yaml"
config one '"1"' >"$repo/under/one.yaml"; config two '"1"' >"$repo/under/two.yaml"
unit over over; push 'a base'
ok "a base is applied" soon 10 value two a 1
printf 'resources: [one.yaml]\n' >"$repo/under/kustomization.yaml"; git -C "$repo" rm -q under/two.yaml; config one '"2"' >"$repo/under/one.yaml"; push 'less of it'
ok "… and what it no longer has is gone" soon 10 absent configmap two
soon 10 settled over
ok "a rollback" "$PLUMB" rollback over --data-dir "$data"
ok "… brings back what the base had" soon 10 value two a 1
ok "… as it was" soon 5 value one a 1
git -C "$repo" pull -q --rebase origin main
annotations='plumb.dev/on-failure: revert' unit back back 'wait: true' 'timeout: 3s'
config back '"5"' >"$repo/back/back.yaml"; push 'with a net'
ok "healthy" soon 10 says back Ready 'True ReconciliationSucceeded'
printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: never, namespace: shop}\nspec: {containers: [{name: c, image: "none:1"}]}\n' >"$repo/back/pod.yaml"
config back '"6"' >"$repo/back/back.yaml"; push 'never healthy'
ok "what does not become healthy" soon 10 value back a 6
ok "… is reverted by a commit" soon 15 value back a 5
ok "… that says why" sh -c "git -C '$work/repo.git' log -1 --format=%B main | grep -q 'did not become healthy: not healthy in time: Pod shop/never'"
ok "… and all is well" soon 10 says back Ready 'True ReconciliationSucceeded'

# ---- what a checkout would change --------------------------------------------------------------------
git -C "$repo" pull -q --rebase origin main
mkdir -p "$repo/plan"
cat >"$repo/plan/all.yaml" <<'Y'
apiVersion: v1
kind: ConfigMap
metadata: {name: same, namespace: shop}
data: {a: "1"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: other, namespace: shop}
data: {a: "1"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: going, namespace: shop}
data: {a: "1"}
---
apiVersion: v1
kind: Secret
metadata: {name: quiet, namespace: shop}
stringData: {key: hunter-old}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: front, namespace: shop}
spec:
  replicas: 1
  selector: {matchLabels: {app: front}}
  template:
    metadata: {labels: {app: front}}
    spec: {containers: [{name: main, image: "front:1"}]}
Y
unit plan plan; push 'a plan'
ok "applied" soon 10 k -n shop get deployment front
soon 10 settled plan
diff_is() { local want=$1; shift; "$PLUMB" diff "$@" --data-dir "$data" >"$work/diff.out" 2>&1; local rc=$?; cat "$work/diff.out"; [ "$rc" = "$want" ]; }
ok "a checkout that is applied changes nothing" diff_is 0 "$repo" plan
sed -i 's/replicas: 1/replicas: 3/; s/front:1/front:2/; s/hunter-old/hunter-new/; s/name: going/name: coming/' "$repo/plan/all.yaml"
ok "one that differs says so" diff_is 1 "$repo" plan
shows() { grep -F -- "$1" "$work/diff.out" || { cat "$work/diff.out"; return 1; }; }
ok "… field by field" shows 'spec.replicas: 1 → 3'
ok "… by name in lists" shows 'spec.template.spec.containers[name=main].image: "front:1" → "front:2"'
ok "… what is made" shows '+ create   ConfigMap shop/coming  (plan/all.yaml:'
ok "… what goes" shows '- delete   ConfigMap shop/going'
ok "… and no secret" sh -c "grep -q 'data.key: <sensitive> → <sensitive>' '$work/diff.out' && ! grep -q 'hunter\|aHVudGVy' '$work/diff.out'"
ok "nothing was changed by it" sh -c "! '$KUBECTL' --kubeconfig '$data/admin.kubeconfig' -n shop get configmap coming"
ok "a revision is compared without the files" diff_is 0 "$repo" plan --ref HEAD
ok "markdown" diff_is 1 "$repo" plan -o markdown
ok "… is a table" shows '| create | `ConfigMap shop/coming` | `plan/all.yaml:'
ok "json" diff_is 1 "$repo" plan -o json
ok "… names actions" shows '"action": "delete"'
ok "all Kustomizations of the source" diff_is 1 "$repo"
ok "… each by name" shows 'plumb-system/left: nothing changes'
sed -i 's/replicas: 3/replicas: three/' "$repo/plan/all.yaml"
ok "what the server would refuse is an error" diff_is 2 "$repo" plan
ok "… with the object" shows 'x refused  Deployment shop/front'
echo 'a: [' >"$repo/plan/all.yaml"
ok "what cannot be read is an error" diff_is 2 "$repo" plan
ok "… with its place" shows 'plan/all.yaml:'
git -C "$repo" checkout -q plan

#SECTION
ok "clean stop" stop
finish
