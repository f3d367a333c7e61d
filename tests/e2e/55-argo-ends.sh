#!/bin/bash
# Applications of Argo CD, what is easily passed over in silence: hooks of their end, Helm's hooks,
# options of single objects, what is nobody's, what has no effect. The control plane alone; no root.
. "$(dirname "$0")/lib.sh"
for t in git "$KUBECTL"; do command -v "$t" >/dev/null || skip_all "argo's ends" "needs $t"; done

repo=$work/repo
git init -q -b main "$repo"
map() { printf 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  annotations: {%s}\ndata: {a: "1"}\n---\n' "$1" "$2"; }
mkdir -p "$repo"/{ends,stay,renew,strange,stuck}
{
	map data ''
	map first 'argocd.argoproj.io/hook: PreDelete'
	map last 'argocd.argoproj.io/hook: PostDelete'
	map chart 'helm.sh/hook: "pre-install,pre-upgrade", helm.sh/hook-weight: "-5"'
	map test 'helm.sh/hook: test'
	map both 'argocd.argoproj.io/hook: "PreSync,PostSync"'
} >"$repo/ends/all.yaml"
{
	map one ''
	map kept 'argocd.argoproj.io/sync-options: Prune=false'
	map extra 'argocd.argoproj.io/sync-options: Prune=false, argocd.argoproj.io/compare-options: IgnoreExtraneous'
	map gone 'argocd.argoproj.io/sync-options: PruneLast=true'
} >"$repo/stay/all.yaml"
{
	map renewed 'argocd.argoproj.io/sync-options: "Force=true,Replace=true"'
	map before 'argocd.argoproj.io/hook: PreSync'
} >"$repo/renew/all.yaml"
map odd 'argocd.argoproj.io/sync-options: Prune=flase' >"$repo/strange/all.yaml"
cat >"$repo/stuck/all.yaml" <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata:
  name: never
  annotations: {argocd.argoproj.io/ignore-healthcheck: "true"}
spec:
  selector: {matchLabels: {app: never}}
  template:
    metadata: {labels: {app: never}}
    spec:
      containers: [{name: main, image: none}]
Y
git -C "$repo" add -A && git -C "$repo" commit -qm 'all of it'
git clone -q --bare "$repo" "$work/repo.git"
git -C "$repo" remote add origin "$work/repo.git"
push() { git -C "$repo" add -A && git -C "$repo" commit -qm "$1" && git -C "$repo" push -q origin HEAD:main; }

start --nodes 0
for ns in argocd team-a shop; do k create namespace "$ns" >/dev/null; done
json() { k -n "$1" get "$2" -o jsonpath="$3"; }
is() { [ "$(json "$1" "$2" "$3" 2>/dev/null)" = "$4" ] || { echo "$1 $2 $3 is '$(json "$1" "$2" "$3" 2>&1)', not '$4'"; return 1; }; }
has() { json "$1" "$2" "$3" 2>&1 | grep -qE -- "$4" || { echo "$1 $2 $3 is '$(json "$1" "$2" "$3" 2>&1)', not like '$4'"; return 1; }; }
hasnt() { ! json "$1" "$2" "$3" 2>&1 | grep -qE -- "$4" || { echo "$1 $2 $3 is '$(json "$1" "$2" "$3" 2>&1)', like '$4'"; return 1; }; }
gone() { ! k -n "$1" get "$2" >/dev/null 2>&1; }
sync() { is argocd "application/$1" '{.status.sync.status}' "$2"; }
says() { has "${3:-argocd}" "application/$1" '{range .status.conditions[*]}{.type} {.message}{"\n"}{end}' "$2"; }
# app NAME POLICY [PROJECT [NAMESPACE [FINALIZERS]]]: the folder is called like it
app() {
	k apply -f - <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: ${4:-argocd}, finalizers: [${5:-}]}
spec:
  project: ${3:-default}
  source: {repoURL: "file://$work/repo.git", path: ${6:-$1}}
  destination: {server: "https://kubernetes.default.svc", namespace: $1}
  syncPolicy: $2
Y
}
auto='{automated: {prune: true, selfHeal: true}, syncOptions: [CreateNamespace=true]}'
operate() { k -n argocd patch application "$1" --type merge -p "{\"operation\":$2}" >/dev/null; }
done_at() { json argocd "application/$1" '{.status.operationState.finishedAt} {.status.operationState.phase}'; }

# ---- Helm's hooks, and the end ----
ok "one with hooks of its end" app ends "$auto" default argocd resources-finalizer.argocd.argoproj.io
ok "… is deployed" soon 15 sync ends Synced
ok "… says that there are such" soon 5 is argocd application/ends '{.metadata.finalizers}' '["resources-finalizer.argocd.argoproj.io","pre-delete-finalizer.argocd.argoproj.io","post-delete-finalizer.argocd.argoproj.io"]'
ok "… which don't run before it" gone ends configmap/first
ok "Helm's hooks run" soon 5 is ends configmap/chart '{.metadata.name}' chart
ok "… its tests don't" gone ends configmap/test
ok "a hook of two phases runs in both" soon 5 has argocd application/ends '{range .status.operationState.syncResult.resources[?(@.name=="both")]}{.hookType} {end}' 'PreSync PostSync'
ok "what was applied is told of" soon 5 is argocd application/ends '{.status.operationState.syncResult.resources[?(@.name=="data")].status}' Synced
k -n argocd delete application ends --wait=false >/dev/null
ok "it ends" soon 20 gone argocd application/ends
ok "… after a first hook" is ends configmap/first '{.metadata.name}' first
ok "… and a last one" is ends configmap/last '{.metadata.name}' last
ok "… its objects gone in between" gone ends configmap/data
order() { json ends "configmap/$1" '{.metadata.resourceVersion}'; }
ok "… in this order" test "$(order first)" -lt "$(order last)"

ok "one whose source is refused" app lost '{}' default argocd post-delete-finalizer.argocd.argoproj.io ends
k -n argocd patch application lost --type merge -p '{"spec":{"source":{"chart":"x"}}}' >/dev/null
k -n argocd delete application lost --wait=false >/dev/null
ok "… cannot end with hooks, and says so" soon 10 says lost 'DeletionError hooks of its end wait for the source.*chart'
k -n argocd patch application lost --type merge -p '{"metadata":{"finalizers":null}}' >/dev/null
ok "… and goes without them" soon 10 gone argocd application/lost

# ---- what stays ----
ok "one whose objects may stay" app stay "$auto"
ok "… is deployed" soon 15 sync stay Synced
map one '' >"$repo/stay/all.yaml"; push 'one is left'
ok "what is to go last goes" soon 15 gone stay configmap/gone
ok "… Prune=false stays" is stay configmap/kept '{.data.a}' 1
ok "… and is told of" soon 10 is argocd application/stay '{.status.resources[?(@.name=="kept")].status} {.status.resources[?(@.name=="kept")].requiresPruning}' 'OutOfSync true'
ok "… unless that is how it shall be" soon 5 is argocd application/stay '{.status.resources[?(@.name=="extra")].status}' Synced
ok "… all in all it is out of sync" sync stay OutOfSync
k -n stay delete configmap kept >/dev/null
k -n argocd annotate application stay argocd.argoproj.io/refresh=hard >/dev/null
ok "… and Synced without that one" soon 15 sync stay Synced
k -n argocd patch application stay --type merge -p '{"spec":{"syncPolicy":{"automated":null}}}' >/dev/null
rm "$repo/stay/all.yaml"; map two '' >"$repo/stay/two.yaml"; push 'another one'
ok "what left git is a difference of one that isn't automated, too" soon 15 has argocd application/stay '{range .status.resources[?(@.status=="OutOfSync")]}{.name} {end}' 'one'
k -n argocd annotate application stay argocd.argoproj.io/skip-reconcile=true >/dev/null
operate stay '{"sync":{"prune":true}}'
sleep 1
ok "who is to be skipped is" is stay configmap/one '{.data.a}' 1
k -n argocd annotate application stay argocd.argoproj.io/skip-reconcile- >/dev/null
ok "… until it isn't" soon 15 gone stay configmap/one
git -C "$repo" rm -q stay/two.yaml; mkdir -p "$repo/stay"; touch "$repo/stay/.keep"; push 'nothing at all'
k -n argocd patch application stay --type merge -p '{"spec":{"syncPolicy":{"automated":{"prune":true}}}}' >/dev/null
ok "nothing at all prunes nothing" soon 15 sync stay OutOfSync
ok "… it is there" is stay configmap/two '{.data.a}' 1
k -n argocd patch application stay --type merge -p '{"spec":{"syncPolicy":{"automated":{"allowEmpty":true}}}}' >/dev/null
ok "… unless that is allowed" soon 15 gone stay configmap/two

# ---- how a sync is asked for ----
ok "one that is renewed" app renew '{syncOptions: [CreateNamespace=true]}'
operate renew '{"initiatedBy":{"username":"eve"},"sync":{"syncStrategy":{"apply":{}}}}'
ok "… is deployed" soon 15 sync renew Synced
ok "… without hooks, where that was asked for" gone renew configmap/before
ok "… and by whom is kept" soon 5 is argocd application/renew '{.status.history[0].initiatedBy.username}' eve
was=$(json renew configmap/renewed '{.metadata.uid}') at=$(done_at renew)
operate renew '{"sync":{}}'
again() { [ "$(done_at renew)" != "$at" ] && [[ "$(done_at renew)" = *Succeeded ]]; }
ok "the next sync" soon 15 again
ok "… makes anew what is to be" hasnt renew configmap/renewed '{.metadata.uid}' "$was"
ok "… with its hooks" is renew configmap/before '{.metadata.name}' before
operate renew '{"sync":{"source":{"repoURL":"file:///elsewhere"}}}'
ok "another source is refused" soon 10 has argocd application/renew '{.status.operationState.phase} {.status.operationState.message}' 'Error.*operation.sync.source'

# ---- health ----
ok "one that never gets well" app stuck "$auto"
ok "… and that nobody waits for" soon 15 is argocd application/stuck '{.status.sync.status} {.status.health.status}' 'Synced Healthy'

# ---- what means nothing ----
ok "a word that is none" app strange "$auto"
ok "… is told" soon 15 says strange "UnsupportedWarning.*all.yaml.*'Prune=flase' is not known"
k -n argocd annotate application strange notifications.argoproj.io/subscribe.on-sync.slack=ops >/dev/null
ok "so is what nobody sends" soon 10 says strange 'UnsupportedWarning.*notifications are not sent'

# ---- projects ----
project() { printf 'apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: team, namespace: argocd, finalizers: [resources-finalizer.argocd.argoproj.io]}\nspec: {sourceRepos: ["*"], destinations: [{server: "*", namespace: "*"}]%s}\n' "$1" | k apply -f - 2>/dev/null >/dev/null; }
project ', roles: [{name: ci}]'
ok "one of another namespace" app shop '{automated: {}}' team team-a '' strange
ok "… that the project doesn't serve" soon 10 says shop "namespace 'team-a' is not permitted to use project 'team'" team-a
project ', sourceNamespaces: ["team-*"], roles: [{name: ci}], orphanedResources: {ignore: [{group: "", kind: ConfigMap, name: mine}]}'
ok "… until it does" soon 10 is shop configmap/odd '{.data.a}' 1
ok "roles are told to mean nothing" soon 5 says shop 'UnsupportedWarning.*spec.roles' team-a
k -n shop create configmap mine >/dev/null; k -n shop create configmap stray >/dev/null
k -n team-a annotate application shop argocd.argoproj.io/refresh=hard >/dev/null
project ', sourceNamespaces: ["team-*"], permitOnlyProjectScopedClusters: true'
ok "clusters of its own alone" soon 10 says shop 'permitOnlyProjectScopedClusters' team-a
k -n argocd create secret generic here --from-literal=server=https://kubernetes.default.svc --from-literal=project=team >/dev/null
k -n argocd label secret here argocd.argoproj.io/secret-type=cluster >/dev/null
project ', sourceNamespaces: ["team-*"], permitOnlyProjectScopedClusters: true, orphanedResources: {ignore: [{group: "", kind: ConfigMap, name: mine}]}'
k -n team-a annotate application shop argocd.argoproj.io/refresh=hard >/dev/null
ok "… of which this one is" soon 10 is team-a application/shop '{.status.sync.status}' Synced
ok "what is nobody's is told" soon 20 says shop 'OrphanedResourceWarning Application has 1 orphaned resources: ConfigMap stray' team-a
k -n argocd delete appproject team --wait=false >/dev/null
ok "a project stays as long as it is used" sh -c "sleep 1; '$KUBECTL' --kubeconfig '$data/admin.kubeconfig' -n argocd get appproject team"
k -n team-a delete application shop --wait=false >/dev/null
ok "… and goes then" soon 10 gone argocd appproject/team
finish
