"""An HTTPS server for tests/e2e: admission webhooks, conversion webhooks and an extension API.

usage: webhooks.py ADDR PORT CERT KEY [CLIENT-CA]; prints what it was asked, one line each.
"""
import base64
import json
import os
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def patch(*ops):
    text = json.dumps(ops).encode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(text).decode()}


def label(obj, key, value):
    if not obj["metadata"].get("labels"):
        return patch({"op": "add", "path": "/metadata/labels", "value": {key: value}})
    return patch({"op": "add", "path": "/metadata/labels/" + key, "value": value})


def count(request):
    """Says how often it has seen this object: for reinvocation."""
    labels = request["object"]["metadata"].get("labels") or {}
    return label(request["object"], "count", str(int(labels.get("count", "0")) + 1))


def held(request):
    """Answers when the test says so, by a file; in time for the longest timeout there is."""
    end = time.monotonic() + 25
    while not os.path.exists(os.environ["RELEASE"]) and time.monotonic() < end:
        time.sleep(0.05)
    return {"allowed": True}


ADMIT = {
    "/allow": lambda r: {"allowed": True, "warnings": ["allowed with a warning"]},
    "/deny": lambda r: {"allowed": False, "status": {"code": 403, "reason": "Forbidden", "message": "no " + r["operation"]}},
    "/echo": lambda r: {"allowed": False, "status": {"message": "I refuse " + json.dumps(r["object"])}},
    "/blue": lambda r: label(r["object"], "colour", "blue"),
    "/count": count,
    "/held": held,
    "/slow": lambda r: time.sleep(3) or {"allowed": True},
    "/badpatch": lambda r: patch({"op": "remove", "path": "/nowhere"}),
}


def convert(obj, version):
    """v1 has spec.host "a:1", v2 has spec.host "a" and spec.port "1"."""
    spec = dict(obj.get("spec", {}))
    if version.endswith("/v2") and "port" not in spec and ":" in spec.get("host", ""):
        spec["host"], spec["port"] = spec["host"].split(":", 1)
    elif version.endswith("/v1") and "port" in spec:
        spec["host"] = spec["host"] + ":" + spec.pop("port")
    return dict(obj, apiVersion=version, spec=spec)


GVK = [{"group": "ext.example.com", "version": "v1", "kind": "Fruit"}]
FRUIT = {"type": "object", "description": "Grows on trees.", "x-kubernetes-group-version-kind": GVK, "properties": {
    "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "ripe": {"type": "boolean", "description": "Whether it can be eaten."}}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, code, body):
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass

    def review(self, path, body):
        if path == "/convert":
            request = body["request"]
            objects = [convert(o, request["desiredAPIVersion"]) for o in request["objects"]]
            response = {"result": {"status": "Success"}, "convertedObjects": objects}
        else:
            response = ADMIT[path](body["request"])
        response["uid"] = body["request"]["uid"]
        self.answer(200, {"kind": body["kind"], "apiVersion": body["apiVersion"], "response": response})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = self.path.split("?")[0]
        print("POST", self.path, flush=True)
        if path in ADMIT or path == "/convert":
            self.review(path, body)
        else:
            self.do_GET()

    def do_GET(self):
        user = self.headers.get("X-Remote-User", "")
        groups = ",".join(self.headers.get_all("X-Remote-Group", []))
        extra = ",".join(k.lower() + "=" + v for k, v in self.headers.items() if k.lower().startswith("x-remote-extra-"))
        cert = dict(x[0] for x in self.connection.getpeercert().get("subject", ())) if self.connection.getpeercert() else {}
        print("GET", self.path, user, groups, cert.get("commonName", "-"), flush=True)
        path = self.path.split("?")[0]
        if path == "/apis/ext.example.com/v1":
            self.answer(200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "ext.example.com/v1", "resources": [
                {"name": "fruits", "singularName": "fruit", "namespaced": True, "kind": "Fruit", "verbs": ["get", "list"]}]})
        elif path == "/openapi/v2":
            self.answer(200, {"swagger": "2.0", "info": {"title": "fruits", "version": "v1"}, "paths": {
                "/apis/ext.example.com/v1/namespaces/{namespace}/fruits": {"get": {"responses": {"200": {"description": "OK"}}}}},
                "definitions": {"com.example.ext.v1.Fruit": FRUIT}})
        elif path == "/openapi/v3":
            self.answer(200, {"paths": {"apis/ext.example.com/v1": {"serverRelativeURL": "/openapi/v3/apis/ext.example.com/v1?hash=F1"}}})
        elif path == "/openapi/v3/apis/ext.example.com/v1":
            self.answer(200, {"openapi": "3.0.0", "info": {"title": "fruits", "version": "v1"}, "paths": {
                "/apis/ext.example.com/v1/namespaces/{namespace}/fruits": {"get": {"responses": {"200": {"description": "OK"}},
                    "x-kubernetes-group-version-kind": GVK[0], "x-kubernetes-action": "list"}}},
                "components": {"schemas": {"com.example.ext.v1.Fruit": FRUIT}}})
        elif path.endswith("/fruits"):
            self.answer(200, {"kind": "FruitList", "apiVersion": "ext.example.com/v1", "metadata": {}, "items": [
                {"kind": "Fruit", "apiVersion": "ext.example.com/v1", "metadata": {"name": "apple", "namespace": "default",
                 "annotations": {"user": user, "cert": cert.get("commonName", "")}}}]})
        elif path.endswith("/fruits/apple"):
            self.answer(200, {"kind": "Fruit", "apiVersion": "ext.example.com/v1", "metadata": {"name": "apple", "namespace": "default",
                        "annotations": {"user": user, "groups": groups, "extra": extra, "cert": cert.get("commonName", "")}}})
        else:
            self.answer(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404,
                              "message": "the server could not find the requested resource"})


def main():
    addr, port, cert, key = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
    server = ThreadingHTTPServer((addr, port), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    if len(sys.argv) > 5:
        context.load_verify_locations(sys.argv[5])
        context.verify_mode = ssl.CERT_OPTIONAL
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print("ready", flush=True)
    server.serve_forever()


main()
