#!/bin/bash
# Applications of Argo CD: deployed, compared, synced by hand, healed, pruned; waves, hooks and what
# is no difference; what cannot be done is said. The control plane alone; no root needed.
. "$(dirname "$0")/lib.sh"
for t in git "$KUBECTL"; do command -v "$t" >/dev/null || skip_all "argo" "needs $t"; done

repo=$work/repo
git init -q -b main "$repo"
mkdir -p "$repo/plain/deeper" "$repo/kust" "$repo/hooks" "$repo/chart"
cat >"$repo/plain/a.yaml" <<'Y'
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  colour: blue # a calm one
  size: "5"
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: old
data: {a: b}
Y
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: deep}\n' >"$repo/plain/deeper/b.yaml"
cat >"$repo/kust/kustomization.yaml" <<'Y'
resources: [web.yaml]
Y
cat >"$repo/kust/web.yaml" <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 1
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
        - {name: main, image: "shop/web:1"}
Y
cat >"$repo/hooks/all.yaml" <<'Y'
apiVersion: v1
kind: ConfigMap
metadata:
  name: before
  annotations: {argocd.argoproj.io/hook: PreSync}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: after
  annotations:
    argocd.argoproj.io/hook: PostSync
    argocd.argoproj.io/hook-delete-policy: HookSucceeded
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: never
  annotations: {argocd.argoproj.io/hook: Skip}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: second
  annotations: {argocd.argoproj.io/sync-wave: "2"}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: first
  annotations: {argocd.argoproj.io/sync-wave: "-1"}
Y
printf 'name: x\nversion: 1.0.0\napiVersion: v2\n' >"$repo/chart/Chart.yaml"
git -C "$repo" add -A && git -C "$repo" commit -qm 'all of it'
git clone -q --bare "$repo" "$work/repo.git"
git -C "$repo" remote add origin "$work/repo.git" && git -C "$repo" fetch -q && git -C "$repo" branch -q -u origin/main
push() { git -C "$repo" add -A && git -C "$repo" commit -qm "$1" && git -C "$repo" push -q; }
same() { [ "$1" = "$2" ] || { echo "'$1' is not '$2'"; return 1; }; }

start --nodes 0
k create namespace argocd >/dev/null
json() { k -n "$1" get "$2" -o jsonpath="$3"; }
is() { [ "$(json "$1" "$2" "$3" 2>/dev/null)" = "$4" ] || { echo "$1 $2 $3 is '$(json "$1" "$2" "$3" 2>&1)', not '$4'"; return 1; }; }
has() { json "$1" "$2" "$3" 2>&1 | grep -qE -- "$4" || { echo "$1 $2 $3 is '$(json "$1" "$2" "$3" 2>&1)', not like '$4'"; return 1; }; }
gone() { ! k -n "$1" get "$2" >/dev/null 2>&1; }
sync() { is argocd "application/$1" '{.status.sync.status}' "$2"; }
# app NAME SOURCE [POLICY [MORE]]: in flow style
app() {
	k apply -f - <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: $1, namespace: argocd}
spec:
  project: default
  source: {repoURL: "file://$work/repo.git", $2}
  destination: {server: "https://kubernetes.default.svc", namespace: $1}
  syncPolicy: ${3:-{syncOptions: [CreateNamespace=true]\}}
  ${4:-}
Y
}
auto='{automated: {prune: true, selfHeal: true}, syncOptions: [CreateNamespace=true]}'

# ---- automated ----
ok "an Application is accepted" app plain 'targetRevision: HEAD, path: plain' "$auto"
ok "it is deployed, its namespace made" soon 15 is plain configmap/settings '{.data.colour}' blue
ok "… and Synced" soon 10 sync plain Synced
ok "… and Healthy" soon 10 is argocd application/plain '{.status.health.status}' Healthy
ok "the revision is the commit" soon 5 is argocd application/plain '{.status.sync.revision}' "$(git -C "$repo" rev-parse HEAD)"
ok "the operation is told" soon 5 is argocd application/plain '{.status.operationState.phase}' Succeeded
ok "so is the history" soon 5 is argocd application/plain '{.status.history[0].revision}' "$(git -C "$repo" rev-parse HEAD)"
ok "resources are listed" soon 5 has argocd application/plain '{.status.resources[*].name}' settings
ok "folders below are not read" gone plain configmap/deep
ok "the tracking annotation is set" is plain configmap/settings '{.metadata.annotations.argocd\.argoproj\.io/tracking-id}' 'plain:/ConfigMap:plain/settings'
ok "no GitRepository was made for it" sh -c "[ -z \"\$($KUBECTL --kubeconfig $data/admin.kubeconfig get gitrepositories -A -o name)\" ]"
ok "kubectl shows its columns" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig -n argocd get app plain | grep -q 'Synced *Healthy'"
sed -i 's/colour: blue/colour: green/' "$repo/plain/a.yaml"; push green
ok "a push is deployed" soon 15 is plain configmap/settings '{.data.colour}' green
ok "the history grows" soon 10 is argocd application/plain '{.status.history[1].revision}' "$(git -C "$repo" rev-parse HEAD)"
k -n plain patch configmap settings --type merge -p '{"data":{"colour":"red"}}' >/dev/null
ok "selfHeal puts back" soon 10 is plain configmap/settings '{.data.colour}' green
git -C "$repo" show HEAD:plain/a.yaml | sed '/^---/,$d' >"$repo/plain/a.yaml"; push 'without the old one'
ok "prune deletes what left" soon 15 gone plain configmap/old

# ---- by hand ----
ok "one that isn't automated" app manual 'path: plain, directory: {recurse: true}'
ok "… is only compared" soon 15 sync manual OutOfSync
ok "… and nothing is made" gone manual configmap/settings
k -n argocd patch application manual --type merge -p '{"operation":{"initiatedBy":{"username":"me"},"sync":{}}}' >/dev/null
ok "an operation syncs it" soon 15 is manual configmap/deep '{.metadata.name}' deep
ok "… and it is Synced" soon 10 sync manual Synced
ok "… by whom is told" soon 5 is argocd application/manual '{.status.operationState.operation.initiatedBy.username}' me
ok "… and the operation is gone" soon 5 is argocd application/manual '{.operation}' ''
k -n argocd annotate application manual plumb.dev/drift=correct >/dev/null
k -n manual patch configmap settings --type merge -p '{"data":{"colour":"red"}}' >/dev/null
ok "drift can be put back without automation" soon 10 is manual configmap/settings '{.data.colour}' green
sed -i 's/colour: green/colour: pink/' "$repo/plain/a.yaml"; push pink
ok "a push is only told" soon 15 sync manual OutOfSync
ok "… not deployed" is manual configmap/settings '{.data.colour}' green
first=$(json argocd application/plain '{.status.history[0].revision}')
k -n argocd patch application manual --type merge -p "{\"operation\":{\"sync\":{\"revision\":\"$first\"}}}" >/dev/null
ok "an older commit can be asked for" soon 15 is manual configmap/settings '{.data.colour}' blue

# ---- kustomize, drift without selfHeal ----
ok "kustomize with fields of the Application" app kust 'path: kust, kustomize: {namePrefix: my-, images: ["shop/web:2"], replicas: [{name: web, count: 3}], commonLabels: {team: a}}' '{automated: {}, syncOptions: [CreateNamespace=true]}' 'ignoreDifferences: [{group: apps, kind: Deployment, jqPathExpressions: [.spec.replicas]}]'
ok "prefix and image" soon 15 is kust deployment/my-web '{.spec.template.spec.containers[0].image}' shop/web:2
ok "replicas and labels" is kust deployment/my-web '{.spec.replicas} {.spec.selector.matchLabels.team}' '3 a'
ok "the source is kustomize" soon 5 is argocd application/kust '{.status.sourceType}' Kustomize
ok "nothing runs here, and health says so" soon 5 is argocd application/kust '{.status.health.status}' Progressing
ok "images are told" soon 5 has argocd application/kust '{.status.summary.images}' shop/web:2
soon 15 sync kust Synced
k -n kust scale deployment my-web --replicas 5 >/dev/null
sleep 0.5
ok "what is ignored is no difference" sync kust Synced
k -n kust set image deployment my-web main=shop/web:evil >/dev/null
ok "what isn't is reported" soon 10 sync kust OutOfSync
ok "… and left" is kust deployment/my-web '{.spec.template.spec.containers[0].image}' shop/web:evil
k -n argocd patch application kust --type merge -p '{"operation":{"sync":{"syncOptions":["RespectIgnoreDifferences=true"]}}}' >/dev/null
ok "until somebody syncs" soon 15 is kust deployment/my-web '{.spec.template.spec.containers[0].image}' shop/web:2
ok "what is ignored stays then, too" is kust deployment/my-web '{.spec.replicas}' 5

# ---- hooks and waves ----
ok "hooks and waves" app hooks 'path: hooks' "$auto"
ok "PreSync was made" soon 15 is hooks configmap/before '{.metadata.name}' before
ok "all waves" soon 15 is hooks configmap/second '{.metadata.name}' second
ok "… and is Synced" soon 15 sync hooks Synced
created() { json hooks "configmap/$1" '{.metadata.resourceVersion}'; }
ok "in order" test "$(created before)" -lt "$(created first)" -a "$(created first)" -lt "$(created second)"
ok "the hook of the end went by its policy" soon 10 gone hooks configmap/after
ok "… and is told of" soon 5 has argocd application/hooks '{.status.operationState.syncResult.resources[*].hookPhase}' 'Succeeded Succeeded'
ok "Skip is skipped" gone hooks configmap/never
ok "hooks are no resources" sh -c "! $KUBECTL --kubeconfig $data/admin.kubeconfig -n argocd get application hooks -o jsonpath='{.status.resources[*].name}' | grep -q before"

# ---- hooks that leave their names to others, and whom one waits for ----
mkdir -p "$repo/names" "$repo/jsonnet"
cat >"$repo/names/all.yaml" <<'Y'
apiVersion: batch/v1
kind: Job
metadata:
  generateName: migrate-
  annotations: {argocd.argoproj.io/hook: PreSync}
spec:
  suspend: true
  template:
    spec:
      restartPolicy: Never
      containers: [{name: m, image: none}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: behind}
Y
echo '[{}]' >"$repo/jsonnet/all.jsonnet"
push names; names=migrate-$(git -C "$repo" rev-parse HEAD | cut -c1-7)-1
ok "a hook without a name" app names 'path: names' "$auto"
ok "… gets one of its revision" soon 15 is names "job/$names" '{.spec.suspend}' true
ok "… that is waited for, and said to be" soon 10 is argocd application/names '{.status.operationState.phase} {.status.operationState.message}' "Running waiting for completion of hook batch/Job/$names"
ok "… before all else" gone names configmap/behind
k -n argocd delete application names --wait=false >/dev/null
ok "Jsonnet is refused, not skipped" app jsonnet 'path: jsonnet' "$auto"
ok "… by name" soon 10 has argocd application/jsonnet '{.status.conditions[0].message}' 'jsonnet/all.jsonnet: Jsonnet is not supported'

mkdir -p "$repo/fails"
cat >"$repo/fails/all.yaml" <<'Y'
apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
  annotations: {argocd.argoproj.io/hook: PreSync}
spec:
  activeDeadlineSeconds: 1
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: "shop/migrate:1"}]
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: sorry
  annotations: {argocd.argoproj.io/hook: SyncFail}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: behind}
Y
push 'a hook that fails'
ok "a hook that fails" app fails 'path: fails' "$auto"
ok "… fails the sync" soon 20 is argocd application/fails '{.status.operationState.phase}' Failed
ok "… and says which" soon 5 has argocd application/fails '{.status.operationState.message}' 'PreSync hook Job migrate'
ok "… before anything was applied" gone fails configmap/behind
ok "SyncFail ran" soon 5 is fails configmap/sorry '{.metadata.name}' sorry

# ---- pruning that waits ----
mkdir -p "$repo/keep"
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n---\n' one two >"$repo/keep/a.yaml"
push 'two to keep'
ok "Prune=confirm" app keep 'path: keep' '{automated: {prune: true}, syncOptions: [CreateNamespace=true, Prune=confirm]}'
ok "… is deployed" soon 15 sync keep Synced
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n' >"$repo/keep/a.yaml"; push 'one of them'
ok "… is out of sync then" soon 15 sync keep OutOfSync
ok "… says what it waits for" soon 5 has argocd application/keep '{.status.operationState.message}' 'deletion-approved'
ok "… and keeps what was there" is keep configmap/two '{.metadata.name}' two
k -n argocd annotate application keep "argocd.argoproj.io/deletion-approved=$(date -u +%Y-%m-%dT%H:%M:%SZ)" >/dev/null
ok "… until it is approved" soon 15 gone keep configmap/two
ok "… and Synced" soon 10 sync keep Synced

# ---- what cannot be done ----
says() { soon 15 has argocd "application/$1" '{.status.conditions[0].type} {.status.conditions[0].message}' "$2"; }
ok "helm" app helm 'path: chart, helm: {releaseName: x}'
ok "… is said" says helm 'ComparisonError.*helm.*not supported'
ok "a chart" app chart 'path: chart'
ok "… is said" says chart 'ComparisonError.*Helm charts are not supported'
ok "another cluster" k apply -f - <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: far, namespace: argocd}
spec: {project: default, source: {repoURL: "file://$work/repo.git", path: plain}, destination: {server: "https://1.2.3.4", namespace: x}}
Y
ok "… is said" says far 'another cluster'
ok "a project that isn't there" k apply -f - <<Y
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: lost, namespace: argocd}
spec: {project: team, source: {repoURL: "file://$work/repo.git", path: plain}, destination: {name: in-cluster, namespace: plain}}
Y
ok "… is said" says lost 'InvalidSpecError.*project team which does not exist'
k apply -f - >/dev/null <<'Y'
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: team, namespace: argocd}
spec: {sourceRepos: ["https://elsewhere/*"], destinations: [{server: "*", namespace: "*"}]}
Y
ok "a project's limits are kept" says lost 'not permitted in project .team'

# What a project lets in, and when.
project() { printf 'apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: team, namespace: argocd}\nspec: {sourceRepos: ["*"], destinations: [{server: "*", namespace: "*"}]%s}\n' "$1" | k apply -f - >/dev/null; }
team() { printf 'apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: team, namespace: argocd}\nspec: {project: team, source: {repoURL: "file://%s/repo.git", path: team}, destination: {name: in-cluster, namespace: plain}, syncPolicy: {automated: {selfHeal: true}, retry: {limit: 1, backoff: {duration: 1s}}}}\n' "$work" | k apply -f - >/dev/null; }
teams() { local v; v=$(k -n plain get configmap team -o jsonpath='{.data.a}' 2>&1); [ "$v" = "$1" ] || { echo "team is '$v', not '$1'"; return 1; }; }
mkdir -p "$repo/team"
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: team}\ndata: {a: "1"}\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: team}\n' >"$repo/team/a.yaml"
push team
project ''; team
ok "what is the cluster's is not a team's" says team 'ClusterRole is not permitted in project team'
ok "… and nothing of it is applied" sh -c "! '$KUBECTL' --kubeconfig '$data/admin.kubeconfig' -n plain get configmap team"
tried() { grep -c 'not applied unit=application/argocd/team' "$data/log/reconciler.log"; }
again() { [ "$(tried)" -ge 2 ]; }
ok "… but tried once more" soon 5 again
sleep 3
ok "… and not more often than the policy says" same "$(tried)" 2
project ', clusterResourceWhitelist: [{group: rbac.authorization.k8s.io, kind: "*"}]'
k -n argocd annotate application team argocd.argoproj.io/refresh=hard >/dev/null
ok "a kind that is allowed is" soon 10 teams 1
project ', clusterResourceWhitelist: [{group: "*", kind: "*"}], syncWindows: [{kind: deny, schedule: "* * * * *", duration: 1h, timeZone: Europe/Berlin, applications: [team]}]'
sed -i 's/"1"/"2"/' "$repo/team/a.yaml"; push 'team 2'
ok "a closed window is said" says team 'SyncWindow.*blocked by sync window: denied from'
ok "… and what it holds back" soon 10 has argocd application/team '{.status.sync.status}' OutOfSync
k -n plain patch configmap team -p '{"data":{"a":"3"}}' >/dev/null; sleep 0.5
ok "… drift is not put back either" teams 3
k -n argocd patch application team --type merge -p '{"operation":{"sync":{}}}' >/dev/null
ok "… and people are refused" soon 10 has argocd application/team '{.status.operationState.phase}' Error
project ', clusterResourceWhitelist: [{group: "*", kind: "*"}], syncWindows: [{kind: deny, schedule: "* * * * *", duration: 1h, applications: [team], manualSync: true}]'
k -n argocd patch application team --type merge -p '{"operation":{"sync":{}}}' >/dev/null
ok "… unless the window lets them" soon 10 teams 2
sed -i 's/"2"/"4"/' "$repo/team/a.yaml"; push 'team 4'
ok "… which is for them alone" soon 10 has argocd application/team '{.status.sync.status}' OutOfSync
project ', clusterResourceWhitelist: [{group: "*", kind: "*"}]'
ok "without one it goes on" soon 10 teams 4

# The command line knows them, too.
ok "plumb status shows it" sh -c "'$PLUMB' status --data-dir '$data' | grep -E '^argocd/team +Synced +'"
ok "plumb reconcile looks at it" sh -c "'$PLUMB' reconcile team --data-dir '$data' | grep -qx 'argocd/team: Synced, Healthy'"
ok "… by its full name" "$PLUMB" reconcile application/team --data-dir "$data"
ok "… and tells what is wrong" sh -c "! '$PLUMB' reconcile far --data-dir '$data' 2>'$work/err' && grep -q 'another cluster' '$work/err'"
ok "a name that is neither is told" sh -c "! '$PLUMB' reconcile neither --data-dir '$data' 2>'$work/err' && grep -q neither '$work/err'"
sed -i 's/"4"/"5"/' "$repo/team/a.yaml"; push 'team 5'
ok "a step forward" soon 10 teams 5
# It follows HEAD: the commit goes to the branch that the remote's HEAD names.
ok "plumb rollback takes it back" sh -c "'$PLUMB' rollback team --data-dir '$data' | grep -q '^argocd/team goes back to .* on branch main'"
ok "… by a commit" soon 15 teams 4
git -C "$repo" pull -q --rebase

rm -rf "$work/checkout"; cp -r "$repo" "$work/checkout"; sed -i 's/a: "4"/a: "6"/' "$work/checkout/team/a.yaml"
differs() { "$PLUMB" diff "$work/checkout" "$@" --data-dir "$data" >"$work/diff"; [ $? -eq 1 ]; }
ok "plumb diff says what a checkout would change" differs team
ok "… in it" grep -q '"4" → "6"' "$work/diff"
ok "… by its full name, too" differs application/team
ok "plumb diff of nothing new is quiet" "$PLUMB" diff "$repo" application/team --data-dir "$data"
ok "a path that isn't there" app nowhere 'path: nowhere'
ok "… is said" says nowhere 'ComparisonError.*nowhere'
ok "an ApplicationSet says that it does nothing" sh -c "printf 'apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: s, namespace: argocd}\nspec: {generators: []}\n' | $KUBECTL --kubeconfig $data/admin.kubeconfig apply -f -"
ok "… in its conditions" soon 5 has argocd applicationset/s '{.status.conditions[0].reason}' NotSupported

ok "sharing that is forbidden" app shared 'path: keep' '{automated: {}, syncOptions: [FailOnSharedResource=true]}'
k -n argocd patch application shared --type merge -p '{"spec":{"destination":{"namespace":"keep"}}}' >/dev/null
ok "… is said" says shared 'SyncError.*FailOnSharedResource'

# ---- one that waits for another ----
ok "one that depends on another" sh -c "sed 's/^//' <<Y | $KUBECTL --kubeconfig $data/admin.kubeconfig apply -f -
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: later, namespace: argocd, annotations: {plumb.dev/depends-on: fails}}
spec: {project: default, source: {repoURL: \"file://$work/repo.git\", path: keep}, destination: {name: in-cluster, namespace: plain}, syncPolicy: {automated: {}}}
Y"
ok "… says for whom it waits" says later 'argocd/fails.*is not ready'

# ---- a restart ----
made=$(json hooks configmap/before '{.metadata.uid}')
kill_role KILL reconciler
sed -i 's/colour: pink/colour: white/' "$repo/plain/a.yaml"; push white
ok "what is pushed after a crash is deployed" soon 20 is plain configmap/settings '{.data.colour}' white
ok "hooks are not run anew for that" is hooks configmap/before '{.metadata.uid}' "$made"
ok "Applications stay Synced" soon 10 sync hooks Synced
ok "histories stay" is argocd application/plain '{.status.history[0].id}' 0

# ---- refresh, end ----
k -n argocd annotate application plain argocd.argoproj.io/refresh=normal >/dev/null
ok "a refresh is answered" soon 10 is argocd application/plain '{.metadata.annotations.argocd\.argoproj\.io/refresh}' ''
ok "deleted without a finalizer" k -n argocd delete application hooks --timeout=180s
ok "… its objects stay" is hooks configmap/first '{.metadata.name}' first
k -n argocd patch application plain --type merge -p '{"metadata":{"finalizers":["resources-finalizer.argocd.argoproj.io"]}}' >/dev/null
k -n argocd patch application kust --type merge -p '{"metadata":{"finalizers":["resources-finalizer.argocd.argoproj.io/background"]},"spec":{"syncPolicy":{"syncOptions":["Delete=confirm"]}}}' >/dev/null
k -n argocd delete application kust --wait=false >/dev/null; sleep 1
ok "Delete=confirm waits" is kust deployment/my-web '{.metadata.deletionTimestamp}' ''
k -n argocd annotate application kust "argocd.argoproj.io/deletion-approved=$(date -u +%Y-%m-%dT%H:%M:%SZ)" >/dev/null
ok "… until it is approved" soon 10 gone kust deployment/my-web
ok "deleted with one" k -n argocd delete application plain --timeout=180s
ok "… they go" gone plain configmap/settings
finish
