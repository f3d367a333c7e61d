"""What the conformance checks share: a small client of the API and checks that print TAP lines.

Only Python's standard library. Each thread keeps a connection; a watch has one of its own.
"""
import base64
import http.client
import json
import os
import re
import ssl
import tempfile
import threading
import time
import traceback
import urllib.parse

JSON = "application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
PATIENCE = int(os.environ.get("PATIENCE", "5"))


class Answer:
    def __init__(self, response, body):
        self.code = response.status
        self.headers = response.headers
        self.text = body.decode(errors="replace")
        self.type = response.headers.get("Content-Type", "")
        self.json = json.loads(body) if "json" in self.type and body else {}
        self.warnings = re.findall(r'299 - "((?:[^"\\]|\\.)*)"', ", ".join(response.headers.get_all("Warning") or []))

    def __getitem__(self, path):
        return dig(self.json, path)

    def __repr__(self):
        return "%d %s" % (self.code, self.text[:700])


def dig(value, path):
    """The value at a dotted path; None where there is nothing."""
    for step in path.split(".") if path else []:
        if isinstance(value, list):
            value = value[int(step)] if int(step) < len(value) else None
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            return None
    return value


class Api:
    def __init__(self, kubeconfig, token=None, anonymous=False, headers=None):
        text = open(kubeconfig).read()
        field = lambda name: re.search(name + r': *"?([^\s"]+)', text).group(1)
        self.kubeconfig = kubeconfig
        self.server = urllib.parse.urlparse(field("server"))
        self.ca = base64.b64decode(field("certificate-authority-data")).decode()
        self.tls = ssl.create_default_context(cadata=self.ca)
        self.extra = dict(headers or {})
        if token:
            self.extra["Authorization"] = "Bearer " + token
        elif not anonymous:
            with tempfile.NamedTemporaryFile(delete=False) as pem:
                pem.write(base64.b64decode(field("client-certificate-data")))
                pem.write(base64.b64decode(field("client-key-data")))
            self.tls.load_cert_chain(pem.name)
            os.unlink(pem.name)
        self.local = threading.local()

    def connect(self, timeout=120):
        return http.client.HTTPSConnection(self.server.hostname, self.server.port, context=self.tls, timeout=timeout)

    def __call__(self, method, path, body=None, type=JSON, **headers):
        sent = dict(self.extra, **{k.replace("_", "-"): v for k, v in headers.items()})
        if body is not None:
            sent["Content-Type"] = type
            body = body if isinstance(body, (str, bytes)) else json.dumps(body)
        for attempt in (1, 2):
            if not getattr(self.local, "connection", None):
                self.local.connection = self.connect()
            try:
                self.local.connection.request(method, path, body, sent)
                response = self.local.connection.getresponse()
                return Answer(response, response.read())
            except (http.client.HTTPException, OSError):
                self.local.connection.close()
                self.local.connection = None
                if attempt == 2:
                    raise

    def get(self, path, **headers):
        return self("GET", path, **headers)

    def post(self, path, body, **headers):
        return self("POST", path, body, **headers)

    def put(self, path, body, **headers):
        return self("PUT", path, body, **headers)

    def patch(self, path, body, type=MERGE, **headers):
        return self("PATCH", path, body, type=type, **headers)

    def delete(self, path, body=None, **headers):
        return self("DELETE", path, body, **headers)

    def watch(self, path, **query):
        return Watch(self, path, query)


class Watch:
    """The events of one watch, read as they are asked for."""

    def __init__(self, api, path, query):
        query = dict({"watch": "true", "timeoutSeconds": "600"}, **query)
        self.connection = api.connect(timeout=60)
        self.connection.request("GET", path + "?" + urllib.parse.urlencode(query), headers=api.extra)
        self.response = self.connection.getresponse()
        self.code = self.response.status

    def next(self, timeout=60):
        if self.connection.sock:
            self.connection.sock.settimeout(timeout)
        try:
            line = self.response.readline()
        except OSError:
            return None
        return json.loads(line) if line else None

    def until(self, type, name=None, timeout=60):
        """The next event of that type (and object); None when it doesn't come."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            event = self.next(max(0.1, end - time.monotonic()))
            if event is None:
                return None
            if event["type"] == type and name in (None, dig(event, "object.metadata.name")):
                return event
        return None

    def close(self):
        self.response.close()
        self.connection.close()


class Tap:
    lock = threading.Lock()
    count = bad = 0
    quiet = False


def check(name, good, detail=""):
    """One test: detail is shown when it isn't good."""
    with Tap.lock:
        Tap.count += 1
        Tap.bad += 0 if good else 1
        if not good or not Tap.quiet:
            print("%sok %d - %s" % ("" if good else "not ", Tap.count, name), flush=True)
        if not good:
            for line in repr(detail).splitlines() or [""]:
                print("#  " + line[:900], flush=True)
    return bool(good)


def eq(name, got, want):
    return check(name, got == want, "got %r, want %r" % (got, want))


def status(name, answer, code, reason=None, message=None):
    """A Status answer: its code, its reason, and a part of its message."""
    good = answer.code == code and (reason is None or answer["reason"] == reason)
    if good and code >= 400:
        good = answer["kind"] == "Status" and answer["code"] == code and answer["status"] == "Failure"
    return check(name, good and (message is None or message in (answer["message"] or "")), answer)


def soon(what, seconds=10):
    """what()'s value as soon as it is true, or its last one. The seconds are an idle machine's; a busy one gets PATIENCE times that."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        value = what()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.03)


def updated(api, path, change, read=None):
    """The answer to a PUT of what change() made of the object; again when somebody wrote in between."""
    answer = {}

    def attempt():
        o = api.get(read or path).json
        change(o)
        answer["last"] = api.put(path, o)
        return answer["last"].code != 409
    soon(attempt, 5)
    return answer["last"]


def namespace(api, name):
    """Makes it, and waits until pods can be made in it."""
    api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    at = "/api/v1/namespaces/%s/" % name
    soon(lambda: api.get(at + "serviceaccounts/default").code == 200 and api.get(at + "configmaps/kube-root-ca.crt").code == 200, 20)
    return name


def run(groups):
    """Runs each group in a thread of a few; a group that fails with an exception is one failed test."""
    groups = list(groups)

    def work():
        while True:
            with Tap.lock:
                if not groups:
                    return
                group, args = groups.pop(0)
            try:
                group(*args)
            except Exception:
                check("%s %s runs to its end" % (group.__name__, args[1:]), False, traceback.format_exc(limit=-4))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
