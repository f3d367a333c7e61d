# Sources: what of a repository is followed, who signed it, what it is put together from; hostile
# remotes; OCI artifacts from a real registry; kinds of Flux that are stored only.
. tests/e2e/lib.sh
for t in git curl python3 ssh-keygen tar "$KUBECTL"; do command -v "$t" >/dev/null || skip_all "sources" "needs $t"; done

srv=$work/srv
export HOME=$work
git init -q -b main "$srv/app"
git init -q -b main "$srv/lib"
g() { git -C "$srv/app" -c user.signingkey="$work/signer" -c gpg.format=ssh "$@"; }
page() { printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: default}\ndata: {word: %s}\n' "$2" "$3" >"$1/$2.yaml"; }
push() { g add -A && g commit -q "${@:2}" -m "$1"; }
page "$srv/lib" library one; git -C "$srv/lib" add -A; git -C "$srv/lib" commit -qm lib
mkdir -p "$srv/app/deploy" "$srv/app/extra"
page "$srv/app/deploy" app one; page "$srv/app/extra" extra one; push one

start --nodes 0
source_of() { # source_of NAME 'SPEC' [PATH]
	cat <<END2 | k apply -f - >/dev/null
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: $1, namespace: plumb-system}
spec: {url: "file://$srv/app", interval: 1s, $2}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: $1, namespace: plumb-system}
spec: {interval: 1m, prune: true, sourceRef: {kind: GitRepository, name: $1}, path: ${3:-./}}
END2
}
gone() { k -n plumb-system delete kustomization "$1" >/dev/null; k -n plumb-system delete gitrepository "$1" >/dev/null; }
word() { [ "$(k get configmap "$1" -o jsonpath='{.data.word}')" = "$2" ]; }
absent() { ! k get configmap "$1" 2>/dev/null; }
field() { k -n plumb-system get "$1" "$2" -o jsonpath="$3"; }
is() { local got; got=$(field "$1" "$2" "$3"); echo "$got"; [ "$got" = "$4" ]; }
like() { field "$1" "$2" "$3" | grep -qE "$4" || { field "$1" "$2" '{.status}'; return 1; }; }
cond() { echo "{.status.conditions[?(@.type==\"$1\")].$2}"; }

# ---- references ----
g tag v1.0.0; page "$srv/app/deploy" app two; push two; g tag v1.2.0; page "$srv/app/deploy" app three; push three; g tag v2.0.0-rc.1
source_of ranged 'ref: {semver: "^1.0.0"}'
ok "the highest tag of a range is applied" soon 15 word app two
ok "… and named" soon 5 like gitrepository ranged '{.status.artifact.revision}' '^v1\.2\.0@sha1:[0-9a-f]{40}$'
g tag v1.3.0
ok "… and a higher one followed" soon 15 word app three
gone ranged
source_of named 'ref: {name: refs/pull/4/head}'
ok "a reference that isn't there is told" soon 15 is gitrepository named "$(cond FetchFailed reason)" GitOperationFailed
g update-ref refs/pull/4/head v1.0.0
ok "a pull request's head is followed" soon 15 word app one
gone named

# ---- rewritten history ----
source_of main 'ref: {branch: main}'
ok "a branch is followed" soon 15 word app three
g commit -q --amend -m rewritten; page "$srv/app/deploy" app four; push four
ok "… over rewritten history" soon 15 word app four
events() { k -n plumb-system get events -o jsonpath='{range .items[*]}{.reason} {.involvedObject.name}{"\n"}{end}'; }
told() { events | grep -qx "HistoryRewritten main"; }
ok "… with an event" soon 10 told
# What a helper that was killed had locked.
for f in "$data"/git/*/refs/heads/main; do touch -d '1 minute ago' "$f.lock" "${f%/refs/*}/packed-refs.lock"; done
page "$srv/app/deploy" app five; push five
ok "a lock that was left behind keeps nobody out" soon 15 word app five
ok "… not even once" sh -c "! grep -q 'failed to lock' '$data/log/reconciler.log'"
gone main

# ---- signatures ----
ssh-keygen -q -t ed25519 -N '' -C signer -f "$work/signer"; ssh-keygen -q -t ed25519 -N '' -f "$work/stranger"
k -n plumb-system create secret generic signers --from-file=signer.pub="$work/signer.pub" >/dev/null
source_of signed 'ref: {branch: main}, verify: {mode: HEAD, secretRef: {name: signers}}'
ok "an unsigned head is refused" soon 15 is gitrepository signed "$(cond SourceVerified reason)" InvalidCommitSignature
ok "… and not applied" absent app
page "$srv/app/deploy" app signed; push signed -S
ok "a signed one is applied" soon 15 word app signed
ok "… and says who signed" soon 5 like gitrepository signed "$(cond SourceVerified message)" 'verified signature of commit .*SSH key SHA256:.* of signer'
soon 5 like gitrepository signed '{.status.artifact.revision}' "$(g rev-parse HEAD)"
good=$(field gitrepository signed '{.status.artifact.revision}')
page "$srv/app/deploy" app forged; g add -A; g -c user.signingkey="$work/stranger" commit -qS -m forged
ok "a stranger's signature is refused" soon 15 is gitrepository signed "$(cond SourceVerified status)" False
ok "… and what was applied stays" word app signed
ok "… with its artifact" is gitrepository signed '{.status.artifact.revision}' "$good"
k -n plumb-system delete secret signers >/dev/null
k -n plumb-system annotate gitrepository signed --overwrite reconcile.fluxcd.io/requestedAt=1 >/dev/null
ok "without its Secret nothing is believed" soon 15 is gitrepository signed "$(cond SourceVerified reason)" VerificationError
gone signed

# ---- put together ----
source_of sparse 'ref: {branch: main}, sparseCheckout: [./extra]'
ok "sparse folders are all there is" soon 15 word extra one
ok "… the rest isn't" absent app
gone sparse
source_of ignored "ref: {branch: main}, ignore: \"/extra/\""
ok "spec.ignore leaves out" soon 15 word app forged
ok "… what it names" absent extra
k -n plumb-system patch gitrepository ignored --type merge -p '{"spec":{"ignore":"/deploy/"}}' >/dev/null
ok "… and is followed without a commit" soon 15 word extra one
ok "… both ways" soon 15 absent app
gone ignored
cat <<END2 | k apply -f - >/dev/null
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: lib, namespace: plumb-system}
spec: {url: "file://$srv/lib", interval: 1s, ref: {branch: main}}
END2
source_of including 'ref: {branch: main}, include: [{repository: {name: lib}, toPath: vendor/lib}]' ./vendor
ok "another repository appears as a folder" soon 15 word library one
page "$srv/lib" library two; git -C "$srv/lib" commit -qam two
ok "… and is followed" soon 15 word library two
ok "… and told of" soon 5 like gitrepository including '{.status.includedArtifacts[0].revision}' '^main@sha1:'
k -n plumb-system patch gitrepository lib --type merge -p '{"spec":{"include":[{"repository":{"name":"including"}}]}}' >/dev/null
ok "including each other is refused" soon 15 is gitrepository lib "$(cond Ready reason)" IncludeUnavailable
gone including; k -n plumb-system delete gitrepository lib >/dev/null
g -c protocol.file.allow=always submodule --quiet add ../lib vendor 2>/dev/null; push submodule
source_of modules 'ref: {branch: main}, recurseSubmodules: true' ./vendor
ok "submodules are fetched" soon 15 word library two
gone modules

# ---- suspended ----
source_of paused 'ref: {branch: main}, suspend: true'
sleep 1.5
ok "a suspended source is not fetched" is gitrepository paused '{.status.artifact.revision}' ""
k -n plumb-system patch gitrepository paused --type merge -p '{"spec":{"suspend":false}}' >/dev/null
ok "… until it goes on" soon 15 word app forged
gone paused

# ---- hostile remotes ----
port=$(free_port)
cat >"$work/stall.py" <<'END2'
import socket, sys, threading
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(16)
held = []
def talk(c):
    head = c.recv(4096)
    if b"/drop" in head:
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\nContent-Length: 5000\r\n\r\n001e# service=git-upload-pack\n0000"); c.close()
    elif b"/junk" in head:
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\nContent-Length: 8\r\n\r\nffffffff"); c.close()
    elif b"/away" in head:
        c.sendall(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"); c.close()
    else: held.append(c)
while True:
    c, _ = s.accept(); threading.Thread(target=talk, args=(c,), daemon=True).start()
END2
python3 "$work/stall.py" "$port" & stall_pid=$!
servers="$stall_pid"
trap 'kill $servers 2>/dev/null; wait $servers 2>/dev/null; cleanup' EXIT
for what in stall drop junk away; do
	cat <<END2 | k apply -f - >/dev/null
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: $what, namespace: plumb-system}
spec: {url: "http://127.0.0.1:$port/$what.git", interval: 1m, timeout: 2s, ref: {branch: main}}
END2
done
ok "a remote that stalls is given up" soon 15 like gitrepository stall "$(cond Ready message)" 'too long'
for what in drop junk away; do
	ok "a remote that answers badly ($what) is told" soon 15 is gitrepository "$what" "$(cond Ready status)" False
done
for what in stall drop junk away; do k -n plumb-system delete gitrepository "$what" >/dev/null; done
cat <<'END2' | k apply -f - >/dev/null
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: odd, namespace: plumb-system}
spec: {url: "ext::sh -c id", interval: 1m}
END2
ok "an odd address is refused" soon 15 is gitrepository odd "$(cond Stalled reason)" URLInvalid

# ---- a spec that changes while a fetch hangs; mirrors that nobody needs ----
hang=$(free_port)
python3 "$work/stall.py" "$hang" & servers="$servers $!"
source_of turned 'ref: {branch: main}, timeout: 60s'
k -n plumb-system patch gitrepository turned --type merge -p "{\"spec\":{\"url\":\"http://127.0.0.1:$hang/x.git\"}}" >/dev/null
sleep 0.5
k -n plumb-system patch gitrepository turned --type merge -p "{\"spec\":{\"url\":\"file://$srv/app\"}}" >/dev/null
ok "a new address doesn't wait for the old one" soon 15 word app forged
gone turned
mirrors() { [ "$(find "$data/git" -mindepth 1 -maxdepth 1 | wc -l)" -le "$1" ]; }
source_of last 'ref: {branch: main}'
ok "mirrors that no source uses are removed" soon 15 mirrors 2
gone last

# ---- OCI ----
oci_tests() {
	local rport cred digest old
	rport=$(free_port)
	cred=$(python3 -W ignore -c 'import crypt; print("bot:" + crypt.crypt("s3cret", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)))')
	echo "$cred" >"$work/htpasswd"
	cat >"$work/registry.yml" <<END2
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $work/registry}, delete: {enabled: true}}
http: {addr: "127.0.0.1:$rport"}
auth: {htpasswd: {realm: test, path: $work/htpasswd}}
END2
	docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 & servers="$servers $!"
	cat >"$work/push.py" <<'END2'
import base64, hashlib, json, sys, urllib.request
base, repo, tag, tar = sys.argv[1:5]
head = {"Authorization": "Basic " + base64.b64encode(b"bot:s3cret").decode()}
def call(method, url, data=None, type="application/octet-stream"):
    r = urllib.request.Request(url, data=data, method=method, headers=dict(head, **{"Content-Type": type}))
    return urllib.request.urlopen(r)
def blob(data):
    d = "sha256:" + hashlib.sha256(data).hexdigest()
    loc = call("POST", f"{base}/v2/{repo}/blobs/uploads/", b"").headers["Location"]
    call("PUT", loc + ("&" if "?" in loc else "?") + "digest=" + d, data)
    return {"digest": d, "size": len(data)}
config, layer = blob(b"{}"), blob(open(tar, "rb").read())
m = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": dict(config, mediaType="application/vnd.cncf.flux.config.v1+json"),
    "layers": [dict(layer, mediaType="application/vnd.cncf.flux.content.v1.tar+gzip")],
    "annotations": {"org.opencontainers.image.revision": "main@sha1:abc"}}).encode()
call("PUT", f"{base}/v2/{repo}/manifests/{tag}", m, "application/vnd.oci.image.manifest.v1+json")
print("sha256:" + hashlib.sha256(m).hexdigest())
END2
	soon 10 curl -s -o /dev/null "http://127.0.0.1:$rport/v2/" || return
	artifact() { # artifact TAG WORD
		rm -rf "$work/art"; mkdir -p "$work/art/deploy"; page "$work/art/deploy" artifact "$2"
		tar -C "$work/art" -czf "$work/art.tgz" . && python3 "$work/push.py" "http://127.0.0.1:$rport" team/app "$1" "$work/art.tgz"
	}
	digest=$(artifact 1.0.0 one); old=$digest
	k -n plumb-system create secret docker-registry pull --docker-server="127.0.0.1:$rport" --docker-username=bot --docker-password=s3cret >/dev/null
	oci() { # oci REF [SECRET]
		cat <<END2 | k apply -f - >/dev/null
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: art, namespace: plumb-system}
spec: {url: "oci://127.0.0.1:$rport/team/app", interval: 1s, insecure: true, ref: $1, secretRef: {name: ${2:-pull}}}
END2
	}
	k -n plumb-system create secret generic nobody --from-literal=username=bot --from-literal=password=wrong >/dev/null
	oci '{tag: 1.0.0}' nobody
	ok "an artifact behind a wrong password is told" soon 15 is ocirepository art "$(cond Ready reason)" AuthenticationFailed
	oci '{tag: 1.0.0}'
	cat <<END2 | k apply -f - >/dev/null
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: art, namespace: plumb-system}
spec: {interval: 1m, prune: true, sourceRef: {kind: OCIRepository, name: art}, path: ./deploy}
END2
	ok "an artifact is pulled and applied" soon 15 word artifact one
	ok "… its revision is tag and digest" soon 5 is ocirepository art '{.status.artifact.revision}' "1.0.0@$digest"
	ok "… and its notes are kept" soon 5 is ocirepository art '{.status.artifact.metadata.org\.opencontainers\.image\.revision}' "main@sha1:abc"
	ok "… what it was made of is said by who applied it" soon 5 is kustomization art '{.status.lastAppliedOriginRevision}' "main@sha1:abc"
	ok "… and by its history" soon 5 is kustomization art '{.status.history[0].metadata.originRevision}' "main@sha1:abc"
	artifact 1.0.0 two >/dev/null
	ok "a tag that moves is followed" soon 15 word artifact two
	oci "{digest: \"$old\"}"
	ok "a digest is pulled as it is" soon 15 word artifact one
	artifact 1.4.0 three >/dev/null; artifact 2.0.0 four >/dev/null
	oci '{semver: "1.x"}'
	ok "the highest version of a range is pulled" soon 15 word artifact three
	oci '{semver: ">=5"}'
	ok "a range that nothing fits is told" soon 15 is ocirepository art "$(cond Ready reason)" OCIArtifactPullFailed
	ok "… and what was applied stays" word artifact three
	# Signed as cosign does with a key: a text that names the digest, under a tag made of it.
	openssl ecparam -name prime256v1 -genkey -noout -out "$work/cosign.key"; openssl ec -in "$work/cosign.key" -pubout -out "$work/cosign.pub" 2>/dev/null
	openssl genpkey -algorithm ed25519 -out "$work/other.key"; openssl pkey -in "$work/other.key" -pubout -out "$work/other.pub"
	cat >"$work/sign.py" <<'END2'
import base64, os, subprocess, sys
sys.argv[1:] = [sys.argv[1], sys.argv[2], "none", os.devnull] + sys.argv[3:]
push = open(os.path.join(os.path.dirname(sys.argv[0]), "push.py")).read().split("config, layer")[0]
exec(push)
digest, about, key = sys.argv[5:8]
text = json.dumps({"critical": {"identity": {"docker-reference": repo}, "image": {"docker-manifest-digest": about}, "type": "cosign container image signature"}, "optional": None}).encode()
name = os.path.join(os.path.dirname(sys.argv[0]), "payload")
open(name, "wb").write(text)
sig = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key, name], capture_output=True, check=True).stdout if "cosign" in key else \
    subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", name], capture_output=True, check=True).stdout
layer = dict(blob(text), mediaType="application/vnd.dev.cosign.simplesigning.v1+json", annotations={"dev.cosignproject.cosign/signature": base64.b64encode(sig).decode()})
m = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": dict(blob(b"{}"), mediaType="application/vnd.oci.image.config.v1+json"), "layers": [layer]}).encode()
call("PUT", f"{base}/v2/{repo}/manifests/" + digest.replace(":", "-") + ".sig", m, "application/vnd.oci.image.manifest.v1+json")
END2
	sign() { python3 "$work/sign.py" "http://127.0.0.1:$rport" team/app "$@"; } # sign DIGEST ABOUT KEY
	verify() { k -n plumb-system patch ocirepository art --type merge -p "{\"spec\":{\"ref\":{\"semver\":null,\"tag\":\"$1\"},\"verify\":$2}}" >/dev/null; }
	k -n plumb-system create secret generic cosign --from-file=cosign.pub="$work/cosign.pub" --from-file=other.pub="$work/other.pub" >/dev/null
	digest=$(artifact 3.0.0 five)
	verify 3.0.0 '{"provider":"cosign","secretRef":{"name":"cosign"}}'
	ok "an artifact without a signature is refused" soon 15 like ocirepository art "$(cond SourceVerified message)" 'it is not signed by cosign'
	ok "… and not applied" word artifact three
	sign "$digest" "$old" "$work/cosign.key"
	ok "a signature of another one is refused" soon 15 like ocirepository art "$(cond SourceVerified message)" 'another artifact'
	openssl ecparam -name prime256v1 -genkey -noout -out "$work/cosign-stranger.key"; sign "$digest" "$digest" "$work/cosign-stranger.key"
	ok "a stranger's, too" soon 15 like ocirepository art "$(cond SourceVerified message)" 'not by this key'
	sign "$digest" "$digest" "$work/cosign.key"
	ok "one by the key is believed" soon 15 word artifact five
	ok "… and told" soon 5 like ocirepository art "$(cond SourceVerified message)" "verified signature of $digest by cosign.pub"
	digest=$(artifact 3.1.0 six); sign "$digest" "$digest" "$work/other.key"; verify 3.1.0 '{"provider":"cosign","secretRef":{"name":"cosign"}}'
	ok "… by an Ed25519 key as well" soon 15 word artifact six
	verify 3.1.0 '{"provider":"cosign","secretRef":null,"matchOIDCIdentity":[{"issuer":".*","subject":".*"}]}'
	ok "without a key it is said that this isn't done" soon 15 is ocirepository art "$(cond Ready reason)" NotSupported
	verify 3.1.0 '{"provider":"notation","secretRef":{"name":"cosign"}}'
	ok "… nor notation" soon 15 like ocirepository art "$(cond Ready message)" 'only cosign is supported'
	k -n plumb-system delete kustomization art >/dev/null; k -n plumb-system delete ocirepository art >/dev/null
}
if command -v docker-registry >/dev/null; then oci_tests; else skip "OCI artifacts" "needs docker-registry"; fi

# ---- kinds that are only stored ----
cat <<'END2' | k apply -f - >/dev/null
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: podinfo, namespace: default}
spec: {interval: 5m, chart: {spec: {chart: podinfo, sourceRef: {kind: HelmRepository, name: podinfo}}}}
---
apiVersion: source.toolkit.fluxcd.io/v1beta2
kind: HelmRepository
metadata: {name: podinfo, namespace: default}
spec: {interval: 5m, url: "https://example.invalid/charts"}
---
apiVersion: image.toolkit.fluxcd.io/v1beta2
kind: ImagePolicy
metadata: {name: podinfo, namespace: default}
spec: {imageRepositoryRef: {name: podinfo}, policy: {semver: {range: 5.x}}}
END2
unsupported() { [ "$(k get "$1" podinfo -o jsonpath="$(cond Ready reason)")" = NotSupported ]; }
for what in helmrelease helmrepository imagepolicy; do ok "a $what says that nothing acts on it" soon 10 unsupported "$what"; done
ok "… and keeps its spec" sh -c "[ \"\$('$KUBECTL' --kubeconfig '$data/admin.kubeconfig' get helmrelease podinfo -o jsonpath='{.spec.chart.spec.chart}')\" = podinfo ]"

ok "no secret stands in any log" sh -c "! grep -rqE 's3cret|OPENSSH PRIVATE' '$data/log'"
ok "clean stop" stop
finish
