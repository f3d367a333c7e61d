#!/bin/bash
# Forges: drift as pull requests on GitHub, GitLab and Gitea; limits and refusals; what people
# decide there; plans on pull requests; commit statuses. The control plane alone; no root.
. "$(dirname "$0")/lib.sh"
for t in git curl openssl "$KUBECTL"; do command -v "$t" >/dev/null || skip_all "forges" "needs $t"; done
FORGE=${FORGE:-$(dirname "$PLUMB")/forge}
[ -x "$FORGE" ] || skip_all "forges" "needs $FORGE (make build-tests)"

repo=$work/repo token=t0p-s3cret-t0ken
git init -q -b main "$repo"
mkdir -p "$repo/app" "$repo/shop"
unit() { # NAME MODE
	cat <<Y
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: $1
  namespace: plumb-system
  annotations: {plumb.dev/drift: $2}
spec:
  interval: 1m
  prune: true
  path: $1
  sourceRef: {kind: GitRepository, name: root}
Y
}
unit shop propose >"$repo/app/shop.yaml"
cat >"$repo/shop/objects.yaml" <<'Y'
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  namespace: shop
data:
  colour: blue # sea
  size: big
---
apiVersion: v1
kind: ConfigMap
metadata: {name: old, namespace: shop}
data: {a: b}
---
apiVersion: v1
kind: Secret
metadata: {name: hush, namespace: shop}
stringData: {word: swordfish}
Y
git -C "$repo" add -A && git -C "$repo" commit -qm 'the shop'
mkdir "$work/acme"
git clone -q --bare "$repo" "$work/acme/shop.git"
git -C "$repo" remote add origin "$work/acme/shop.git"

"$FORGE" "$work/acme/shop.git" "$token" acme/shop >"$work/forge.port" & forge_pid=$!
trap 'kill $forge_pid 2>/dev/null; cleanup' EXIT
soon 5 test -s "$work/forge.port"
at=http://127.0.0.1:$(cat "$work/forge.port")
state() { curl -sf "$at/_/state"; }
says() { state | grep -qF -- "$1" || { echo "not there: $1"; state | tail -40; return 1; }; }
tell() { curl -sf -XPOST "$at/_/$1" ${2:+-d "$2"} >/dev/null; }
branch=plumb/drift/default/plumb-system-shop
is() { local v; v=$(k -n shop get configmap settings -o jsonpath="{.data.$1}" 2>&1); [ "$v" = "$2" ] || { echo "$1 is '$v', not '$2'"; return 1; }; }
stands() { git -C "$work/acme/shop.git" rev-parse -q --verify "refs/heads/$branch"; }
gone() { ! stands; }
push() { git -C "$repo" add -A && git -C "$repo" commit -qm "$1" && git -C "$repo" push -q origin HEAD:main; }
edit() { k -n shop patch configmap settings -p "{\"data\":{\"colour\":\"$1\"}}" --field-manager=eve >/dev/null; }
report() { k -n plumb-system get driftreport shop -o "jsonpath=$1"; }
source_of() { k -n plumb-system annotate --overwrite gitrepository root "plumb.dev/forge=$1=$at" >/dev/null; }
pulls() { state | grep -c '^pull '; }
silent() { ! state | grep -q "^comment [0-9]* on $1:"; }
same() { [ "$1" = "$2" ] || { echo "'$1' is not '$2'"; return 1; }; }
matches() { local v; v=$("${@:2}"); case $v in $1) ;; *) echo "'$v' is not like '$1'"; return 1 ;; esac; }

# Also lets pushes come without pauses again, which drift that comes all the time is met with.
restart() { kill_role 9 reconciler; }

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$work/hook.key" -out "$work/hook.crt" 2>/dev/null
start --nodes 0 --repo "file://$work/acme/shop.git" --path app --forge "github=$at" --webhook-listen 127.0.0.1:0 --webhook-cert "$work/hook.crt" --webhook-key "$work/hook.key"
ok "applied" soon 10 is colour blue
k -n plumb-system create secret generic forge --from-literal=token=wrong >/dev/null
k -n plumb-system patch gitrepository root --type merge -p '{"spec":{"secretRef":{"name":"forge"}}}' >/dev/null
ok "--forge is written on the root source" matches "github=$at" k -n plumb-system get gitrepository root -o 'jsonpath={.metadata.annotations.plumb\.dev/forge}'

# --- GitHub: a wrong token first
edit pink
ok "an edit is pushed" soon 10 stands
ok "a token that is refused is said" soon 10 matches '*refuses the token*' report '{.status.conditions[?(@.type=="PullRequest")].message}'
ok "… and is no pull request" same "$(pulls)" 0
k -n plumb-system patch secret forge -p "{\"stringData\":{\"token\":\"$token\"}}" >/dev/null
ok "with the right one it is opened" soon 30 says "pull 1 open $branch drift: ConfigMap shop/settings: data.colour"
ok "… with the report as its body" soon 5 says '| `ConfigMap shop/settings` | `data.colour` | `"blue"` | `"pink"` | `eve`'
ok "the report names it" soon 5 matches '1 open https://forge.example/*' report '{.status.pullRequest.number} {.status.pullRequest.state} {.status.pullRequest.url}'
k -n shop patch configmap settings -p '{"data":{"size":"huge"}}' --field-manager=eve >/dev/null
ok "more drift changes its words" soon 10 says 'data.size'
ok "… not its number" same "$(pulls)" 1
tell close/1
ok "closed by a person is rejected: git's values are back" soon 15 is colour blue
ok "… all of them" soon 5 is size big
ok "… and the branch is gone" soon 10 gone
edit pink
ok "the same edit is put back" soon 10 is colour blue
ok "… and opens nothing" same "$(pulls)" 1
edit gold
ok "another value does" soon 10 says "pull 2 open $branch"
restart
edit gold2
ok "found again after a restart" soon 20 says '`"gold2"`'
ok "… by its branch" same "$(pulls)" 2
git -C "$repo" fetch -q origin "$branch" && git -C "$repo" merge -q -m 'gold it is' FETCH_HEAD && tell merge/2 && git -C "$repo" push -q origin HEAD:main
ok "merging adopts" soon 15 gone
ok "… the value" is colour gold2
ok "… without another word" silent 2

# --- limits and faults
restart
tell fail/429/1/Retry-After=2
edit silver
ok "429 is waited for" soon 15 says "pull 3 open $branch"
edit gold2
ok "gone drift closes it" soon 15 says "pull 3 closed $branch"
ok "… with a comment" soon 5 says 'comment 1 on 3: The drift is gone'
ok "… and the branch goes" soon 10 gone
tell fail/500/2
edit bronze
ok "500 is tried again" soon 20 says "pull 4 open $branch"
edit gold2; ok "closed" soon 15 says "pull 4 closed"
ok "… and taken away" soon 10 gone
tell fail/422/1
edit tin
ok "422 is said" soon 10 matches '*told to fail*' report '{.status.conditions[?(@.type=="PullRequest")].message}'
ok "… and tried again later" soon 20 says "pull 5 open $branch"
edit gold2; ok "closed again" soon 15 says "pull 5 closed"
ok "… and taken away again" soon 10 gone

# --- the other two
n=6
forge_is() { matches "$1=$at" k -n plumb-system get gitrepository root -o 'jsonpath={.metadata.annotations.plumb\.dev/forge}'; }
declare -A api=([gitlab]=/api/v4/projects/ [gitea]=/api/v1/repos/)
for kind in gitlab gitea; do
	# --forge is written again by whoever leads next: before that this would be undone.
	source_of nobody
	restart
	soon 10 forge_is github
	source_of $kind
	soon 2 forge_is $kind
	edit "red-$kind"
	ok "$kind: opened" soon 15 says "pull $n open $branch"
	ok "$kind: … as it wants to be asked" says "POST ${api[$kind]}"
	edit "green-$kind"
	ok "$kind: changed" soon 15 says "\"green-$kind\""
	edit gold2
	ok "$kind: closed" soon 15 says "pull $n closed $branch"
	ok "$kind: branch gone" soon 10 gone
	edit "violet-$kind"
	ok "$kind: opened anew" soon 15 says "pull $((n + 1)) open $branch"
	tell "close/$((n + 1))"
	ok "$kind: rejected" soon 15 is colour gold2
	ok "$kind: branch gone again" soon 10 gone
	n=$((n + 2))
done

# --- a plan on every pull request
source_of github
git -C "$repo" fetch -q origin main && git -C "$repo" reset -q --hard FETCH_HEAD
git -C "$repo" checkout -q -b feature
sed -i 's/size: big/size: tiny/; s/swordfish/flounder/' "$repo/shop/objects.yaml"
printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: new, namespace: shop}\n' >>"$repo/shop/objects.yaml"
git -C "$repo" commit -qam 'tiny' && git -C "$repo" push -q origin feature
tell open '{"head":"feature","base":"main","title":"tiny","body":""}'
ok "a pull request gets a plan" soon 20 says "on $n: <!-- plumb-plan default -->"
ok "… of what changes" says 'data.size: "big" → "tiny"'
ok "… and what is new" says '| create | `ConfigMap shop/new`'
ok "… and a commit status" soon 5 says "$(git -C "$repo" rev-parse HEAD) success plumb/default/plan 3 objects would change"
git -C "$repo" commit -qm 'again' --allow-empty && sed -i 's/size: tiny/size: [1/' "$repo/shop/objects.yaml" && git -C "$repo" commit -qam 'broken' && git -C "$repo" push -q origin feature; tell "moved/$n"
ok "the next commit changes it" soon 20 says 'cannot be built'
ok "… in its place" same "$(state | grep -c 'plumb-plan default')" 1
ok "… and fails" soon 5 says "$(git -C "$repo" rev-parse HEAD) failure plumb/default/plan 1 cannot be built"
git -C "$repo" checkout -q main && git -C "$repo" reset -q --hard origin/main

# --- going back where the branch is protected, or where it is asked for
git -C "$repo" fetch -q && git -C "$repo" reset -q --hard origin/main
sed -i 's/size: .*/size: wide/' "$repo/shop/objects.yaml"; push 'wide'
ok "a step forward" soon 10 is size wide
back=plumb/revert/default/plumb-system-shop
before=$(pulls) n=$(($(pulls) + 1))
rollback() { "$PLUMB" rollback shop --data-dir "$data" "$@"; }
ok "rollback --propose names its pull request" sh -c "'$PLUMB' rollback shop --propose --data-dir '$data' | grep -q 'on branch $back, pull request https://forge.example/'"
ok "… which is open" says "pull $n open $back Revert plumb-system/shop to"
ok "… and says what for" says 'Asked for with plumb rollback.'
ok "… and nothing is reverted yet" is size wide
ok "asked again it is the same one" rollback --propose
ok "… reworded" same "$(pulls)" $n
tell "close/$n"
touch "$work/acme/shop.git/refs/heads/main.lock"
ok "a branch that refuses pushes gets one, too" rollback
ok "… of its own" says "pull $((n + 1)) open $back"
rm "$work/acme/shop.git/refs/heads/main.lock"
git -C "$repo" fetch -q origin "$back" && git -C "$repo" merge -q -m 'back' FETCH_HEAD && tell "merge/$((n + 1))" && git -C "$repo" push -q origin HEAD:main
ok "merging it goes back" soon 10 sh -c "! k() { '$KUBECTL' --kubeconfig '$data/admin.kubeconfig' \"\$@\"; }; ! k -n shop get configmap settings -o 'jsonpath={.data.size}' | grep -qx wide"
sed -i 's/annotations: {/annotations: {plumb.dev\/on-failure: propose, /; s/^  prune: true/  prune: true\n  wait: true\n  timeout: 2s/' "$repo/app/shop.yaml"; push 'with a net'
ok "healthy" soon 10 sh -c "'$KUBECTL' --kubeconfig '$data/admin.kubeconfig' -n plumb-system get kustomization shop -o 'jsonpath={.status.conditions[?(@.type==\"Healthy\")].status}' | grep -q True"
printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: never, namespace: shop}\nspec: {containers: [{name: c, image: "none:1"}]}\n' >>"$repo/shop/objects.yaml"; push 'never healthy'
ok "what doesn't become healthy is proposed to be reverted" soon 20 says "pull $((n + 2)) open $back"
ok "… which says why" says 'It did not become healthy: not healthy in time: Pod shop/never'
restart
sleep 6
ok "… once, also after a restart" same "$(pulls)" $((n + 2))
git -C "$repo" fetch -q && git -C "$repo" reset -q --hard origin/main
sed -i '/on-failure/s/plumb.dev\/on-failure: propose, //; /wait: true/d; /timeout: 2s/d' "$repo/app/shop.yaml"
sed -i '/^kind: Pod/,$d; $d' "$repo/shop/objects.yaml"; tail -3 "$repo/shop/objects.yaml" | grep -q -- '^apiVersion' && sed -i '$d' "$repo/shop/objects.yaml"; push 'without'

# --- recipients of sops files, as the decryption Secret lists them
if command -v age-keygen >/dev/null; then
	age-keygen -o "$work/age.txt" 2>/dev/null; one=$(age-keygen -y "$work/age.txt") two=$(age-keygen 2>/dev/null | sed -n 's/.*public key: //p')
	n=$(($(pulls) + 1)) whose=plumb/recipients/default/plumb-system-shop
	printf 'apiVersion: v1\nkind: Secret\nmetadata: {name: locked, namespace: shop}\nstringData: {word: pufferfish}\n' >"$repo/shop/locked.yaml"
	"$PLUMB" seal --sops "$repo/shop/locked.yaml" --age "$one" -i
	k -n plumb-system create secret generic age --from-file=a.agekey="$work/age.txt" --from-literal=recipients="$one
$two" >/dev/null
	printf '  decryption: {provider: sops, secretRef: {name: age}}\n' >>"$repo/app/shop.yaml"; push 'locked'
	ok "files that a listed recipient can't open get a pull request" soon 15 says "pull $n open $whose Recipients of 1 sops file: 1 added, 0 removed"
	ok "… which says whom" says "\`$two\`"
	ok "… and which" says '`shop/locked.yaml`'
	k -n plumb-system patch secret age --type merge -p "{\"stringData\":{\"recipients\":\"$one\"}}" >/dev/null
	k -n plumb-system annotate --overwrite kustomization shop reconcile.fluxcd.io/requestedAt=recipients >/dev/null
	ok "once nothing differs it is closed" soon 15 says "pull $n closed $whose"
	ok "… with a comment" soon 5 says "on $n: No file has other recipients"
	ok "… and the branch goes" soon 10 sh -c "! git -C '$work/acme/shop.git' rev-parse -q --verify refs/heads/$whose"
	k -n plumb-system patch secret age --type merge -p "{\"stringData\":{\"recipients\":\"$one\\n$two\"}}" >/dev/null
	k -n plumb-system annotate --overwrite kustomization shop reconcile.fluxcd.io/requestedAt=again >/dev/null
	ok "asked for again it is another one" soon 15 says "pull $((n + 1)) open $whose"
	tell "close/$((n + 1))"
	restart
	ok "… that somebody closes: the branch goes for good, also after a restart" soon 25 sh -c "! git -C '$work/acme/shop.git' rev-parse -q --verify refs/heads/$whose && '$KUBECTL' --kubeconfig '$data/admin.kubeconfig' -n plumb-system get events | grep -q RecipientsRejected"
	ok "… and no third is opened" same "$(pulls)" $((n + 1))
fi

# --- webhooks
export CURL_CA_BUNDLE=$work/hook.crt
hooks=https://127.0.0.1:$(sed -n 's/.*listening for webhooks.* port=\([0-9]*\).*/\1/p' "$data/log/reconciler.log" | tail -1)
k -n plumb-system create secret generic hook --from-literal=token=h00k-t0ken >/dev/null
k apply -f - >/dev/null <<'Y'
apiVersion: notification.toolkit.fluxcd.io/v1
kind: Receiver
metadata: {name: push, namespace: plumb-system}
spec:
  type: github
  events: [ping, push]
  secretRef: {name: hook}
  resources: [{kind: GitRepository, name: root}]
Y
path=/hook/$(printf %s h00k-t0kenpushplumb-system | sha256sum | cut -d' ' -f1)
ok "a Receiver says its path" soon 5 matches "$path" k -n plumb-system get receiver push -o 'jsonpath={.status.webhookPath}'
ok "… and that it is ready" soon 5 matches True k -n plumb-system get receiver push -o 'jsonpath={.status.conditions[0].status}'
body='{"ref":"refs/heads/main"}'
sign() { printf %s "$body" | openssl dgst -sha256 -hmac "$1" | sed 's/.*= */sha256=/'; }
hook() { curl -s -o /dev/null -w '%{http_code}' "$@" -H 'X-GitHub-Event: push' -d "$body"; }
ok "a signature that fits is taken" same "$(hook "$hooks$path" -H "X-Hub-Signature-256: $(sign h00k-t0ken)")" 200
ok "… and acted upon" soon 3 grep -q 'webhook receiver=plumb-system/push' "$data/log/reconciler.log"
ok "one that doesn't is refused" same "$(hook "$hooks$path" -H "X-Hub-Signature-256: $(sign wrong)")" 401
ok "it listens with TLS only" sh -c "! curl -sf -o /dev/null 'http://${hooks#https://}$path'"
ok "none, too" same "$(hook "$hooks$path")" 401
ok "an unknown path is nothing" same "$(hook "$hooks/hook/0")" 404
head -c 4000000 /dev/zero | tr '\0' x >"$work/large"
ok "a body without end is refused" same "$(curl -s -o /dev/null -w '%{http_code}' "$hooks$path" --data-binary "@$work/large")" 413
# On one connection: forty in less time than in which twenty are forgiven.
many() { curl -s -w '\n%{http_code}\n' -H "X-Hub-Signature-256: $(sign h00k-t0ken)" -H 'X-GitHub-Event: push' -d "$body" $(for _ in $(seq 40); do echo "$hooks$path"; done); }
slowed() { many | grep -qx 429; }
ok "who calls all the time is slowed down" slowed

# --- commit statuses and alerts
head=$(git -C "$work/acme/shop.git" rev-parse main)
ok "an applied revision has a commit status" soon 10 says "$head success plumb/default/plumb-system-shop Applied revision"
k apply -f - >/dev/null <<Y
apiVersion: v1
kind: Secret
metadata: {name: sink, namespace: plumb-system}
stringData: {token: s1nk-t0ken, address: "$at/sink/signed", headers: "X-Scope: ops"}
---
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Provider
metadata: {name: chat, namespace: plumb-system}
spec: {type: slack, channel: ops, address: "$at/sink/chat"}
---
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Provider
metadata: {name: signed, namespace: plumb-system}
spec: {type: generic-hmac, secretRef: {name: sink}}
---
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Alert
metadata: {name: all, namespace: plumb-system}
spec:
  providerRef: {name: signed}
  eventSources: [{kind: Kustomization, name: "*"}, {kind: GitRepository, name: root}]
  summary: the shop
---
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Provider
metadata: {name: teams, namespace: plumb-system}
spec: {type: opsgenie, address: "$at/sink/teams"}
---
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Alert
metadata: {name: lost, namespace: plumb-system}
spec:
  providerRef: {name: nobody}
  eventSources: [{kind: Kustomization, name: shop}]
---
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Alert
metadata: {name: bad, namespace: plumb-system}
spec:
  providerRef: {name: chat}
  eventSeverity: error
  eventSources: [{kind: Kustomization, name: shop}]
Y
git -C "$repo" fetch -q && git -C "$repo" reset -q --hard origin/main
sed -i 's/size: .*/size: medium/' "$repo/shop/objects.yaml"; push 'medium'
ok "an Alert is told of what was applied" soon 10 sh -c "curl -sf $at/_/state | grep 'sink signed:.*\"kind\":\"Kustomization\".*\"name\":\"shop\".*\"severity\":\"info\"'"
ok "… and of the revision that was fetched" soon 5 sh -c "curl -sf $at/_/state | grep 'sink signed:.*\"kind\":\"GitRepository\".*\"reason\":\"NewArtifact\"'"
ready() { k -n plumb-system get "$1" "$2" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].message}'; }
ok "what isn't supported is said by the Provider" soon 5 matches "spec.type: Plumb does not tell opsgenie*" ready provider teams
ok "… and a Provider that isn't there by the Alert" soon 5 matches "there is no Provider nobody*" ready alert lost
ok "… and by an event" soon 5 matches "*Kustomization plumb-system/shop: *there is no such Provider*" k -n plumb-system get events --field-selector reason=NotDelivered -o 'jsonpath={.items[*].message}'
ok "what is well says so" same "$(ready alert all) $(ready provider signed)" "initialized initialized"
ok "… one for errors isn't" sh -c "! curl -sf $at/_/state | grep 'sink chat'"
sed -i 's/size: .*/size: [1/' "$repo/shop/objects.yaml"; push 'broken'
ok "… until there is one" soon 10 sh -c "curl -sf $at/_/state | grep 'sink chat:.*\"channel\":\"ops\".*\"danger\"'"
ok "a broken revision has a commit status, too" soon 10 says "$(git -C "$repo" rev-parse HEAD) failure plumb/default/plumb-system-shop BuildFailed"
sleep 3
ok "what is tried again is told once" same "$(state | grep -c 'sink chat')" 1

# --- an Application: the forge is said on it, the token is in Argo CD's Secret of the repository
git -C "$repo" fetch -q && git -C "$repo" reset -q --hard origin/main
mkdir -p "$repo/web"
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: page\ndata:\n  title: old # the headline\n' >"$repo/web/page.yaml"; push 'a page'
k create namespace argocd >/dev/null
k apply -f - >/dev/null <<Y
apiVersion: v1
kind: Secret
metadata: {name: shop-repo, namespace: argocd, labels: {argocd.argoproj.io/secret-type: repository}}
stringData: {type: git, url: "file://$work/acme/shop.git", username: git, password: $token}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: web, namespace: argocd, annotations: {plumb.dev/forge: "github=$at"}}
spec:
  project: default
  source: {repoURL: "file://$work/acme/shop.git", targetRevision: HEAD, path: web}
  destination: {server: "https://kubernetes.default.svc", namespace: shop}
  syncPolicy: {automated: {}}
Y
page() { same "$(k -n shop get configmap page -o 'jsonpath={.data.title}' 2>&1)" "$1"; }
stood() { same "$(k -n argocd get application web -o 'jsonpath={.status.sync.status}')" "$1"; }
ok "an Application at HEAD is deployed" soon 15 page old
ok "… and its commit has a status" soon 10 says "$(git -C "$repo" rev-parse HEAD) success plumb/default/argocd-web"
n=$(pulls)
k -n shop patch configmap page -p '{"data":{"title":"new"}}' --field-manager=eve >/dev/null
ok "its drift is a pull request" soon 15 says "pull $((n + 1)) open plumb/drift/default/argocd-web drift: ConfigMap shop/page: data.title"
ok "… that edits where it is said" soon 5 sh -c "git -C $work/acme/shop.git show plumb/drift/default/argocd-web:web/page.yaml | grep -q 'title: new # the headline'"
ok "… and is OutOfSync until it is decided" soon 5 stood OutOfSync
ok "… with what is live" page new
git -C "$repo" fetch -q origin plumb/drift/default/argocd-web && git -C "$repo" merge -q -m 'new title' FETCH_HEAD && tell merge/$((n + 1)) && git -C "$repo" push -q origin HEAD:main
ok "merged, it is Synced with what is live" soon 20 stood Synced
ok "… still" page new
ok "… and the branch is gone" soon 10 sh -c "! git -C $work/acme/shop.git rev-parse -q --verify refs/heads/plumb/drift/default/argocd-web"
k -n argocd annotate application web plumb.dev/forge- >/dev/null
sed -i 's/title: new/title: newer/' "$repo/web/page.yaml"; push newer
ok "what is no longer said of its forge counts at once" soon 15 page newer
sleep 1
ok "… and no commit has a status from then on" sh -c "! curl -sf $at/_/state | grep '$(git -C "$repo" rev-parse HEAD) success plumb/default/argocd-web'"
k -n shop patch configmap page -p '{"data":{"title":"odd"}}' --field-manager=eve >/dev/null
webs() { git -C "$work/acme/shop.git" rev-parse -q --verify refs/heads/plumb/drift/default/argocd-web; }
ok "without a forge its drift is a branch" soon 15 webs
k -n argocd delete application web --wait=false >/dev/null
ok "… that goes with it" soon 15 sh -c "! git -C $work/acme/shop.git rev-parse -q --verify refs/heads/plumb/drift/default/argocd-web"

ok "no token and no secret anywhere" sh -c "! curl -sf $at/_/state | grep -e swordfish -e flounder -e pufferfish -e AGE-SECRET -e $token -e h00k-t0ken -e s1nk-t0ken && ! grep -rl -e swordfish -e flounder -e pufferfish -e $token -e h00k-t0ken $data/log"
ok "clean stop" stop
finish
