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
ok "… and told apart" says hidden SecretsIntegrity 'False MACMismatch'
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

#SECTION
ok "clean stop" stop
finish
