#!/usr/bin/env python3
"""A registry for tests: serves one folder as an image of a layer.

registry.py PORT FOLDER: NAME:TAG is whatever is asked for. Repositories below `private/` want
user:secret, by a token; those below `basic/` by Basic. `moved/` has another configuration after
each GET of /move. What was asked for is printed.
"""
import base64, hashlib, http.server, io, json, os, sys, tarfile

PORT, FOLDER = int(sys.argv[1]), sys.argv[2]
LOGIN = "Basic " + base64.b64encode(b"user:secret").decode()
moves = 0


def digest(b):
    return "sha256:" + hashlib.sha256(b).hexdigest()


def layer():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as t:
        t.add(FOLDER, arcname=".")
    return out.getvalue()


def arch():
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


LAYER = layer()
import gzip
DIFF = digest(gzip.decompress(LAYER))
blobs = {digest(LAYER): LAYER}


def manifests(repo):
    note = str(moves) if repo.startswith("moved/") else ""
    config = json.dumps({"architecture": arch(), "os": "linux", "config": {"Cmd": ["sh"], "Env": ["MOVES=" + note]},
                         "rootfs": {"type": "layers", "diff_ids": [DIFF]}}).encode()
    blobs[digest(config)] = config
    one = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                      "config": {"digest": digest(config), "size": len(config)},
                      "layers": [{"digest": digest(LAYER), "size": len(LAYER)}]}).encode()
    index = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        {"digest": digest(b"no"), "platform": {"os": "windows", "architecture": arch()}},
        {"digest": digest(one), "platform": {"os": "linux", "architecture": arch()}}]}).encode()
    return index, {digest(one): one, digest(index): index}


class Handler(http.server.BaseHTTPRequestHandler):
    def say(self, status, body=b"", **headers):
        self.send_response(status)
        for k, v in headers.items():
            self.send_header(k.replace("_", "-"), v)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        global moves
        path, _, query = self.path.partition("?")
        who = self.headers.get("Authorization", "")
        if path == "/move":
            moves += 1
            return self.say(200)
        if path == "/token":
            return self.say(200, b'{"token":"good"}') if who == LOGIN else self.say(401)
        repo, _, what = path[len("/v2/"):].rpartition("/")
        repo, _, kind = repo.rpartition("/")
        if repo.startswith("private/") and who != "Bearer good":
            return self.say(401, WWW_Authenticate='Bearer realm="http://127.0.0.1:%d/token",service="s"' % PORT)
        if repo.startswith("basic/") and who != LOGIN:
            return self.say(401, WWW_Authenticate='Basic realm="r"')
        index, named = manifests(repo)
        if kind == "manifests" and what != "none":
            body = named.get(what, b"") if what.startswith("sha256:") else index
        else:
            body = blobs.get(what, b"") if kind == "blobs" else b""
        if repo.startswith("lies/") and kind == "blobs":
            body = body[:-1] + b"!"
        self.say(200 if body else 404, body)

    def log_message(self, form, *args):
        print(form % args, flush=True)


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
