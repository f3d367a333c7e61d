# Repositories over ssh (a real sshd) and https (git's own backend behind nginx, with TLS and a password; without nginx and
# fcgiwrap, behind a few lines of Python).
. tests/e2e/lib.sh
for t in git curl openssl python3 ssh-keygen "$KUBECTL"; do command -v "$t" >/dev/null || skip_all "remote repositories" "needs $t"; done
sshd=$(command -v sshd || true); sshd=${sshd:-/usr/sbin/sshd}
[ -x "$sshd" ] || skip_all "remote repositories" "needs sshd (Debian package openssh-server)"
backend=$(git --exec-path)/git-http-backend
[ -x "$backend" ] || skip_all "remote repositories" "needs git http-backend"
[ "$(id -u)" -eq 0 ] || skip_all "remote repositories" "needs root for sshd"
mkdir -p /run/sshd

repo=$work/repo
git init -q --bare -b main "$work/srv/r.git"
git clone -q "$work/srv/r.git" "$repo" 2>/dev/null
page() { printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: default}\ndata: {word: %s}\n' "$1" "$2" >"$repo/$1.yaml"; }
push() { git -C "$repo" add -A && git -C "$repo" commit -qm "$1" && git -C "$repo" push -q origin HEAD:main; }
page ssh one; page https one; push one

# ---- servers ----
ssh-keygen -q -t ed25519 -N '' -f "$work/host" && ssh-keygen -q -t ed25519 -N '' -f "$work/user"
ssh_port=$(free_port)
mkdir -p /run/sshd
cat >"$work/sshd_config" <<END
Port $ssh_port
ListenAddress 127.0.0.1
HostKey $work/host
AuthorizedKeysFile $work/user.pub
PasswordAuthentication no
StrictModes no
UsePAM no
PidFile $work/sshd.pid
END
"$sshd" -D -f "$work/sshd_config" -E "$work/sshd.log" & sshd_pid=$!

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
	-keyout "$work/tls.key" -out "$work/tls.crt" 2>/dev/null
write_https_py() {
cat >"$work/https.py" <<'END'
import base64, http.server, os, ssl, subprocess, sys
class Git(http.server.BaseHTTPRequestHandler):
    def handle_any(self):
        if self.headers.get("Authorization") not in ("Basic " + base64.b64encode(b"bot:s3cret").decode(), "Bearer t0ken", "Basic " + base64.b64encode(b"x-access-token:4pp-t0ken").decode()):
            self.send_response(401); self.send_header("WWW-Authenticate", 'Basic realm="git"'); self.send_header("Content-Length", "0"); self.end_headers(); return
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        env = dict(os.environ, GIT_PROJECT_ROOT=sys.argv[2], GIT_HTTP_EXPORT_ALL="1", PATH_INFO=path, QUERY_STRING=query, REQUEST_METHOD=self.command,
                   CONTENT_TYPE=self.headers.get("Content-Type", ""), CONTENT_LENGTH=str(len(body)), REMOTE_USER="bot", REMOTE_ADDR="127.0.0.1")
        out = subprocess.run([sys.argv[5]], input=body, env=env, stdout=subprocess.PIPE).stdout
        head, _, rest = out.partition(b"\r\n\r\n")
        lines = [l.split(b": ", 1) for l in head.split(b"\r\n")]
        status = [v for k, v in lines if k == b"Status"]
        self.send_response(int(status[0].split()[0]) if status else 200)
        for k, v in lines:
            if k != b"Status": self.send_header(k.decode(), v.decode())
        self.send_header("Content-Length", str(len(rest))); self.end_headers(); self.wfile.write(rest)
    do_GET = do_POST = handle_any
    def log_message(self, *a): pass
s = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Git)
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain(sys.argv[3], sys.argv[4]); s.socket = c.wrap_socket(s.socket, server_side=True, do_handshake_on_connect=False)
s.serve_forever()
END
}
https_port=$(free_port)
nginx=$(command -v nginx || true); nginx=${nginx:-/usr/sbin/nginx}
fcgiwrap=$(command -v fcgiwrap || true); fcgiwrap=${fcgiwrap:-/usr/sbin/fcgiwrap}
front_nginx() { # nginx judges the passwords, and one bearer token beside them
	mkdir -p "$work/nginx"
	for login in bot:s3cret x-access-token:4pp-t0ken; do
		echo "${login%%:*}:$(printf %s "${login#*:}" | openssl passwd -apr1 -stdin)"
	done >"$work/nginx/users"
	cat >"$work/nginx/conf" <<END
daemon off; user root; worker_processes 1; pid $work/nginx/pid; error_log $work/nginx/error.log;
events { worker_connections 64; }
http {
	access_log $work/nginx/access.log;
	client_body_temp_path $work/nginx/body; proxy_temp_path $work/nginx/proxy; fastcgi_temp_path $work/nginx/fastcgi;
	uwsgi_temp_path $work/nginx/uwsgi; scgi_temp_path $work/nginx/scgi;
	map \$http_authorization \$realm { default git; "Bearer t0ken" off; }
	server {
		listen 127.0.0.1:$https_port ssl; server_name localhost;
		ssl_certificate $work/tls.crt; ssl_certificate_key $work/tls.key;
		auth_basic \$realm; auth_basic_user_file $work/nginx/users;
		client_max_body_size 0;
		location / {
			fastcgi_pass unix:$work/nginx/cgi;
			fastcgi_param SCRIPT_FILENAME $backend;
			fastcgi_param GIT_PROJECT_ROOT $work/srv;
			fastcgi_param GIT_HTTP_EXPORT_ALL 1;
			fastcgi_param PATH_INFO \$uri;
			fastcgi_param QUERY_STRING \$query_string;
			fastcgi_param REQUEST_METHOD \$request_method;
			fastcgi_param CONTENT_TYPE \$content_type;
			fastcgi_param CONTENT_LENGTH \$content_length;
			fastcgi_param REMOTE_USER bot;
			fastcgi_param REMOTE_ADDR \$remote_addr;
		}
	}
}
END
	"$fcgiwrap" -s "unix:$work/nginx/cgi" 2>"$work/nginx/cgi.log" & https_pid=$!
	"$nginx" -e "$work/nginx/error.log" -c "$work/nginx/conf" & https_pid="$https_pid $!"
}
front_python() {
	write_https_py
	python3 "$work/https.py" "$https_port" "$work/srv" "$work/tls.crt" "$work/tls.key" "$backend" & https_pid=$!
}
if [ -x "$nginx" ] && [ -x "$fcgiwrap" ]; then front_nginx; else front_python; fi
servers_down() { kill $sshd_pid $https_pid 2>/dev/null; wait $sshd_pid $https_pid 2>/dev/null; }
trap 'servers_down; cleanup' EXIT

# ---- sources ----
start --nodes 0
printf '[127.0.0.1]:%s %s\n' "$ssh_port" "$(cut -d' ' -f1,2 "$work/host.pub")" >"$work/known_hosts"
k create secret generic deploy-key -n plumb-system --from-file=identity="$work/user" --from-file=identity.pub="$work/user.pub" --from-file=known_hosts="$work/known_hosts" >/dev/null
k create secret generic login -n plumb-system --from-literal=username=bot --from-literal=password=s3cret --from-file=ca.crt="$work/tls.crt" >/dev/null
source_of() { # source_of NAME URL SECRET
	cat <<END
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: $1, namespace: plumb-system}
spec: {url: "$2", interval: 1s, ref: {branch: main}, secretRef: {name: $3}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: $1, namespace: plumb-system}
spec: {interval: 1m, prune: false, sourceRef: {kind: GitRepository, name: $1}, path: ./}
END
}
word() { [ "$(k get configmap "$1" -o jsonpath='{.data.word}')" = "$2" ]; }
message() { k -n plumb-system get gitrepository "$1" -o jsonpath='{.status.conditions[?(@.type=="Ready")].message}' | grep -qiE "$2"; }

source_of over-ssh "ssh://root@127.0.0.1:$ssh_port$work/srv/r.git" deploy-key | k apply -f - >/dev/null
ok "a repository over ssh is applied" soon 15 word ssh one
page ssh two; push two
ok "… and followed" soon 15 word ssh two

source_of over-https "https://localhost:$https_port/r.git" login | k apply -f - >/dev/null
k -n plumb-system delete kustomization over-ssh --wait=false >/dev/null
k -n plumb-system delete gitrepository over-ssh >/dev/null
page https three; push three
if [ -d "$work/nginx" ]; then
	ok "nginx stands before git, and asks for a password" sh -c "curl -si --cacert '$work/tls.crt' 'https://localhost:$https_port/r.git/info/refs' | tr -d '\\r' | grep -qx 'Server: nginx.*' && grep -q '\" 401 ' '$work/nginx/access.log'"
else
	skip "git behind nginx" "needs nginx and fcgiwrap (Debian packages nginx-light, fcgiwrap); a Python front stands in"
fi
ok "a repository over https with a password and a CA of its own is applied" soon 15 word https three
k create secret generic wrong -n plumb-system --from-literal=username=bot --from-literal=password=no --from-file=ca.crt="$work/tls.crt" >/dev/null
source_of bad-login "https://localhost:$https_port/r.git" wrong | k apply -f - >/dev/null
ok "a wrong password is told" soon 15 message bad-login 'auth|credential|401|password'
k create secret generic no-ca -n plumb-system --from-literal=username=bot --from-literal=password=s3cret >/dev/null
source_of no-ca "https://localhost:$https_port/r.git" no-ca | k apply -f - >/dev/null
ok "a certificate that nobody vouches for is refused" soon 15 message no-ca 'certificate|SSL|TLS'
printf '[127.0.0.1]:%s %s\n' "$ssh_port" "$(cut -d' ' -f1,2 "$work/user.pub")" >"$work/known_hosts"
k create secret generic stranger -n plumb-system --from-file=identity="$work/user" --from-file=known_hosts="$work/known_hosts" >/dev/null
source_of stranger "ssh://root@127.0.0.1:$ssh_port$work/srv/r.git" stranger | k apply -f - >/dev/null
ok "an unknown host key is refused" soon 15 message stranger 'host key'
ok "… and told from one that nobody knows" soon 15 message stranger 'is not the one'
source_gone() { k -n plumb-system delete kustomization "$1" --wait=false >/dev/null; k -n plumb-system delete gitrepository "$1" >/dev/null; }
for s in over-https bad-login no-ca stranger; do source_gone "$s"; done

# ---- keys with a passphrase, hashed hosts, tokens, proxies ----
cp "$work/user" "$work/locked" && ssh-keygen -q -p -P '' -N 'open sesame' -f "$work/locked" >/dev/null
printf '[127.0.0.1]:%s %s\n' "$ssh_port" "$(cut -d' ' -f1,2 "$work/host.pub")" >"$work/known_hosts"
ssh-keygen -H -f "$work/known_hosts" >/dev/null 2>&1
k create secret generic locked -n plumb-system --from-file=identity="$work/locked" --from-literal=password='open sesame' --from-file=known_hosts="$work/known_hosts" >/dev/null
page ssh four; push four
source_of locked "ssh://root@127.0.0.1:$ssh_port$work/srv/r.git" locked | k apply -f - >/dev/null
ok "a key with a passphrase opens, a hashed host is known" soon 15 word ssh four
source_gone locked
k create secret generic wrong-pass -n plumb-system --from-file=identity="$work/locked" --from-literal=password=no --from-file=known_hosts="$work/known_hosts" >/dev/null
source_of wrong-pass "ssh://root@127.0.0.1:$ssh_port$work/srv/r.git" wrong-pass | k apply -f - >/dev/null
ok "a wrong passphrase is told" soon 15 message wrong-pass 'credentials|key|auth'
source_gone wrong-pass
k create secret generic bearer -n plumb-system --from-literal=bearerToken=t0ken --from-file=ca.crt="$work/tls.crt" >/dev/null
page https five; push five
source_of bearer "https://localhost:$https_port/r.git" bearer | k apply -f - >/dev/null
ok "a bearer token opens" soon 15 word https five
source_gone bearer
cat >"$work/proxy.py" <<'END'
import base64, http.server, select, socket, sys, urllib.error, urllib.request
class Proxy(http.server.BaseHTTPRequestHandler):
    def stranger(self):
        if self.headers.get("Proxy-Authorization") == "Basic " + base64.b64encode(b"out:pr0xy").decode(): return False
        self.send_response(407); self.send_header("Proxy-Authenticate", 'Basic realm="proxy"'); self.send_header("Content-Length", "0"); self.end_headers(); return True
    def do_POST(self):
        if self.stranger(): return
        open(sys.argv[3], "a").write(self.path + "\n")
        heads = {k: v for k, v in self.headers.items() if not k.startswith("Proxy-")}
        asked = urllib.request.Request(self.path, self.rfile.read(int(self.headers.get("Content-Length") or 0)), heads, method="POST")
        try: answer = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked)
        except urllib.error.HTTPError as e: answer = e
        body = answer.read(); self.send_response(answer.status); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def do_CONNECT(self):
        if self.stranger(): return
        there = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
        self.send_response(200); self.end_headers(); open(sys.argv[3], "a").write(self.path + "\n")
        pair = [self.connection, there]
        while True:
            for s in select.select(pair, [], [])[0]:
                data = s.recv(65536)
                if not data: self.close_connection = True; there.close(); return
                pair[pair[0] is s].sendall(data)
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Proxy).serve_forever()
END
proxy_port=$(free_port)
python3 "$work/proxy.py" "$proxy_port" "$https_port" "$work/proxied" & proxy_pid=$!
trap 'kill $proxy_pid 2>/dev/null; wait $proxy_pid 2>/dev/null; servers_down; cleanup' EXIT
k create secret generic proxy -n plumb-system --from-literal=address="http://127.0.0.1:$proxy_port" --from-literal=username=out --from-literal=password=pr0xy >/dev/null
page https six; push six
source_of proxied "https://localhost:$https_port/r.git" login | sed 's/secretRef:/proxySecretRef: {name: proxy}, secretRef:/' | k apply -f - >/dev/null
ok "a proxy with a password is gone through" soon 15 word https six
ok "… really" soon 5 grep -q "localhost:$https_port" "$work/proxied"
# ---- a GitHub App: its key gets a token, which git sends as a password ----
FORGE=${FORGE:-$(dirname "$PLUMB")/forge}
app_tests() {
	"$FORGE" "$work/srv/r.git" 4pp-t0ken acme/shop >"$work/forge.port" & proxy_pid="$proxy_pid $!"
	soon 5 test -s "$work/forge.port"
	openssl genrsa -out "$work/app.pem" 2048 2>/dev/null
	app() { k create secret generic "$1" -n plumb-system --from-literal=githubAppID="$2" --from-literal=githubAppInstallationID=77 --from-literal=githubAppBaseURL="http://127.0.0.1:$(cat "$work/forge.port")/api/v3" --from-file=githubAppPrivateKey="$work/app.pem" --from-file=ca.crt="$work/tls.crt" >/dev/null; }
	app app 12345; app stranger-app 4
	page https seven; push seven
	source_gone proxied
	source_of app "https://localhost:$https_port/r.git" app | sed 's/secretRef:/provider: github, proxySecretRef: {name: proxy}, secretRef:/' | k apply -f - >/dev/null
	ok "a GitHub App's repository is applied" soon 15 word https seven
	page https eight; push eight
	ok "… and followed" soon 15 word https eight
	ok "… with one token" sh -c "[ \"\$(curl -s http://127.0.0.1:$(cat "$work/forge.port")/_/state | grep -c access_tokens)\" = 1 ]"
	ok "… asked for through the proxy" soon 5 grep -q "^http://127.0.0.1:.*/access_tokens" "$work/proxied"
	k apply -f - >/dev/null <<Y
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Provider
metadata: {name: far, namespace: plumb-system}
spec: {type: generic, address: "http://127.0.0.1:$(cat "$work/forge.port")/sink/far", proxySecretRef: {name: proxy}, timeout: 10s}
---
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Alert
metadata: {name: far, namespace: plumb-system}
spec: {providerRef: {name: far}, eventSources: [{kind: Kustomization, name: "*"}]}
Y
	page https eight-and-told; push eight
	ok "an Alert goes through its Provider's proxy" soon 15 grep -q "^http://127.0.0.1:.*/sink/far" "$work/proxied"
	k -n plumb-system delete alert far >/dev/null
	page https eight; push eight
	# Pushes don't take the token of a poll that is long ago.
	source_gone app
	mkdir "$repo/sub"; mv "$repo/https.yaml" "$repo/sub/"; push sub-eight
	at=http://127.0.0.1:$(cat "$work/forge.port")
	curl -sf -XPOST "$at/_/life/60" >/dev/null
	app brief 12345; k -n plumb-system patch secret brief -p '{"stringData":{"githubAppInstallationID":"077"}}' >/dev/null
	source_of brief "https://localhost:$https_port/r.git" brief | sed 's/secretRef:/provider: github, secretRef:/; s/interval: 1s/interval: 1h/; s,path: ./,path: ./sub,' | k apply -f - >/dev/null
	soon 15 word https eight
	k -n plumb-system wait kustomization/brief --for=condition=Ready --timeout=180s >/dev/null
	sed -i 's/eight/nine/' "$repo/sub/https.yaml"; push nine
	k -n plumb-system annotate gitrepository brief reconcile.fluxcd.io/requestedAt=now >/dev/null
	soon 15 word https nine
	k -n plumb-system wait kustomization/brief --for=condition=Ready --timeout=180s >/dev/null
	asked() { curl -s "$at/_/state" | grep -c access_tokens; }
	before=$(asked)
	ok "a GitHub App pushes" sh -c "'$PLUMB' rollback brief --data-dir '$data' | grep -q 'on branch main'"
	ok "… with a token that was asked for then" test "$(asked)" -gt "$before"
	ok "… to the remote" sh -c "git -C '$work/srv/r.git' show main:sub/https.yaml | grep -q eight"
	git -C "$repo" pull -q --rebase
	source_of stranger-app "https://localhost:$https_port/r.git" stranger-app | k apply -f - >/dev/null
	ok "an App that nobody knows is told" soon 15 message stranger-app 'token of the GitHub App'
	source_of no-app "https://localhost:$https_port/r.git" login | sed 's/secretRef:/provider: github, secretRef:/' | k apply -f - >/dev/null
	ok "a Secret without an App is told" soon 15 message no-app 'holds no githubAppID'
}
if [ -x "$FORGE" ]; then app_tests; else skip "GitHub Apps" "needs $FORGE (make build-tests)"; fi
ok "no secret stands in any log" sh -c "! grep -rqE 's3cret|t0ken|pr0xy|open sesame|OPENSSH PRIVATE|BEGIN PRIVATE' '$data/log'"
ok "clean stop" stop
finish
