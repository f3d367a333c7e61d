#!/bin/bash
# Kustomize, built in: an overlay over a base, and a Kustomization's own fields over both. Drift of
# what the overlay says is written into the overlay. The control plane alone; no root.
. "$(dirname "$0")/lib.sh"
for t in git "$KUBECTL"; do command -v "$t" >/dev/null || skip_all "overlay" "needs $t"; done

repo=$work/repo
git init -q -b main "$repo"
mkdir -p "$repo/app" "$repo/base" "$repo/prod"
cat >"$repo/app/shop.yaml" <<'Y'
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: shop, namespace: plumb-system}
spec:
  interval: 1m
  prune: true
  path: prod
  sourceRef: {kind: GitRepository, name: root}
  targetNamespace: shop
  namePrefix: own-
  patches:
  - target: {kind: ConfigMap}
    patch: '[{"op": "add", "path": "/data/patched", "value": "by the Kustomization"}]'
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
Y
cat >"$repo/base/kustomization.yaml" <<'Y'
resources: [web.yaml]
configMapGenerator:
- name: settings
  literals: [colour=blue]
Y
cat >"$repo/base/web.yaml" <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx:1.25
        envFrom: [{configMapRef: {name: settings}}]
Y
cat >"$repo/prod/kustomization.yaml" <<'Y'
# production
resources: [../base]
replicas:
- {name: web, count: 3} # three zones
images:
- name: nginx
  newTag: "1.26"
patches:
- path: slow.yaml
Y
cat >"$repo/prod/slow.yaml" <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  minReadySeconds: 10 # let it settle
Y
git -C "$repo" add -A && git -C "$repo" commit -qm 'the shop'
git clone -q --bare "$repo" "$work/repo.git"

built() { "$PLUMB" build "$repo/prod" | grep -qE '^  replicas: 3$'; }
ok "plumb build prints the overlay" built
ok "plumb build of nothing says so" sh -c "! '$PLUMB' build '$repo/nowhere' 2>'$work/err' && grep -q nowhere '$work/err'"

start --nodes 0 --repo "file://$work/repo.git" --path app
branch=plumb/drift/default/plumb-system-shop
get() { k -n shop get deployment own-web -o jsonpath="{$1}" 2>&1; }
is() { local v; v=$(get "$1"); [ "$v" = "$2" ] || { echo "$1 is '$v', not '$2'"; return 1; }; }
says() { git -C "$work/repo.git" show "$branch:$1" | grep -qFe "$2"; }
names_settings() { k -n shop get configmap "$(get '.spec.template.spec.containers[0].envFrom[0].configMapRef.name')" -o jsonpath='{.data.patched}' | grep -q Kustomization; }

ok "replicas of the overlay" soon 20 is .spec.replicas 3
ok "the image's tag of the overlay" is '.spec.template.spec.containers[0].image' nginx:1.26
ok "the generated name is referred to, and the Kustomization's patch is in it" soon 5 names_settings
k -n shop patch deployment own-web --field-manager=eve -p '{"spec":{"replicas":5,"minReadySeconds":20,"template":{"spec":{"containers":[{"name":"web","image":"nginx:1.27"}]}}}}' >/dev/null
ok "drift of replicas is written where the overlay says them" soon 15 says prod/kustomization.yaml '- {name: web, count: 5} # three zones'
ok "… of the image's tag too" soon 5 says prod/kustomization.yaml 'newTag: "1.27"'
ok "… and of what a patch says, in the patch" soon 5 says prod/slow.yaml 'minReadySeconds: 20 # let it settle'
ok "… and nothing in the base" says base/web.yaml 'replicas: 1'
ok "git's value is put back" soon 10 is .spec.replicas 3
sed -i 's/colour=blue/colour=red/' "$repo/base/kustomization.yaml"
git -C "$repo" commit -qam 'red' && git -C "$repo" push -q "$work/repo.git" HEAD:main
red() { k -n shop get configmap "$(get '.spec.template.spec.containers[0].envFrom[0].configMapRef.name')" -o jsonpath='{.data.colour}' | grep -qx red; }
ok "a commit to the base alone reaches the overlay, under a new hash" soon 20 red

# What a commit doesn't touch isn't built: ten overlays of one base, a link, and a folder of its own.
for i in $(seq 10); do
	mkdir -p "$repo/zone/$i"
	printf 'resources: [../../base]\nnamespace: shop\nnamePrefix: z%d-\n' "$i" >"$repo/zone/$i/kustomization.yaml"
	printf -- '---\napiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: z%d, namespace: plumb-system}\nspec: {interval: 1h, prune: true, path: zone/%d, sourceRef: {kind: GitRepository, name: root}}\n' "$i" "$i"
done >"$repo/app/zones.yaml"
mkdir -p "$repo/plain" "$repo/linked"
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: linked, namespace: shop}\ndata: {a: one}\n' >"$repo/linked/map.yaml"
ln -s ../linked/map.yaml "$repo/plain/map.yaml"
printf 'apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: z11, namespace: plumb-system}\nspec: {interval: 1h, prune: true, path: plain, sourceRef: {kind: GitRepository, name: root}}\n' >"$repo/app/plain.yaml"
push() { git -C "$repo" add -A && git -C "$repo" commit -qm "$1" && git -C "$repo" push -q "$work/repo.git" HEAD:main; }
zones() { sed -n 's/.*applied unit=plumb-system\/\(z[0-9]*\).*/\1/p' "$data/log/reconciler.log" | tail -n "+$((${1:-0} + 1))"; }
all_at() { [ "$(k -n plumb-system get kustomizations -o jsonpath='{range .items[*]}{.status.lastAppliedRevision}{"\n"}{end}' | sort -u)" = "main@sha1:$(git -C "$repo" rev-parse HEAD)" ]; }
were_built() { [ "$(zones "$built" | sort | tr '\n' ' ')" = "$1" ]; }
only() { # WHAT: those of them that the last push had built
	soon 15 all_at && sleep 0.3 && soon 3 were_built "$1" || { echo "built: $(zones "$built" | tr '\n' ' ')"; return 1; }
}
push zones
ok "eleven more" soon 20 all_at
# … and each has been told of in the log.
quiet() { local was; was=$(zones | wc -l); [ "$was" -ge 11 ] && sleep 1 && [ "$(zones | wc -l)" = "$was" ]; }
soon 10 quiet
built=$(zones | wc -l)
sed -i 's/z3-/three-/' "$repo/zone/3/kustomization.yaml"; push 'one of them'
ok "a commit to one overlay builds that one" only 'z3 '
built=$(zones | wc -l)
echo 'a: b' >"$repo/base/unused.yaml"; push 'beside'
ok "… to a file of the base that nobody names, none" only ''
sed -i 's/colour=red/colour=green/' "$repo/base/kustomization.yaml"; push 'the base'
ok "… to the base, all that stand on it" only 'z1 z10 z2 z3 z4 z5 z6 z7 z8 z9 '
built=$(zones | wc -l)
sed -i 's/one/two/' "$repo/linked/map.yaml"; push 'linked'
ok "… to what a link leads to, that one" only 'z11 '
ok "clean stop" stop
finish
