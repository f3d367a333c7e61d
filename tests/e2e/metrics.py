"""Serves the three metrics APIs over TLS with figures of its own: metrics.py ADDR PORT CERT KEY."""
import json
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

NOW = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
CUSTOM, EXTERNAL, CORE = "custom.metrics.k8s.io", "external.metrics.k8s.io", "metrics.k8s.io"


def value(kind, name, amount):
    return {"describedObject": {"kind": kind, "name": name}, "metricName": "m", "timestamp": NOW,
            "window": "60s", "value": amount}


def answer(path, query):
    if path in ("/apis/%s/v1beta1" % g for g in (CUSTOM, EXTERNAL)):
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": path[6:],
                "resources": []}
    if path == "/apis/%s/v1beta1" % CORE:
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": path[6:],
                "resources": [{"name": "nodes", "singularName": "", "namespaced": False,
                               "kind": "NodeMetrics", "verbs": ["get", "list"]}]}
    items = None
    if path == "/apis/%s/v1beta1/namespaces/default/pods/*/rps" % CUSTOM:
        if query.get("labelSelector") == ["app=still"]:
            items = [value("Pod", "still-%d" % i, "30") for i in range(2)]
    if path == "/apis/%s/v1beta1/namespaces/default/services/front/hits" % CUSTOM:
        items = [value("Service", "front", "2500m")]
    if path == "/apis/%s/v1beta1/namespaces/default/queue" % EXTERNAL:
        if query.get("labelSelector") == ["name=jobs"]:
            items = [{"metricName": "queue", "timestamp": NOW, "value": "60"},
                     {"metricName": "queue", "timestamp": NOW, "value": "39"}]
    if path == "/apis/%s/v1beta1/nodes" % CORE:
        items = [{"metadata": {"name": "node-1"}, "timestamp": NOW, "window": "10s",
                  "usage": {"cpu": "1234m", "memory": "1Gi"}}]
    if items is None:
        return None
    if CORE in path.split("/"):
        return {"kind": "NodeMetricsList", "apiVersion": CORE + "/v1beta1", "metadata": {},
                "items": items}
    return {"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        at = urlsplit(self.path)
        found = answer(at.path, parse_qs(at.query))
        body = json.dumps(found or {"kind": "Status", "apiVersion": "v1", "status": "Failure",
                                    "code": 404, "reason": "NotFound"}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        print(self.path, flush=True)


server = ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[3], sys.argv[4])
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
