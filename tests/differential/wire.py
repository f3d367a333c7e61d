"""Two servers, spoken to over kept connections: each request goes to both before either's answer is read."""
import http.client
import json
import ssl


class Answer:
    def __init__(self, code, headers, body):
        self.code, self.headers, self.body = code, headers, body
        try:
            self.json = json.loads(body) if body else None
        except ValueError:
            self.json = None
        self.warnings = headers.get_all("Warning") or []

    def __repr__(self):
        return "%d %s" % (self.code, self.body[:3000].decode(errors="replace"))


class Server:
    def __init__(self, address, cert, key):
        self.host, _, port = address.rpartition(":")
        self.port = int(port)
        self.context = ssl.create_default_context()
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        self.context.load_cert_chain(cert, key)
        self.connection = None

    def send(self, method, path, body=None, headers=None):
        for attempt in (0, 1):
            try:
                if not self.connection:
                    self.connection = http.client.HTTPSConnection(self.host, self.port, context=self.context, timeout=60)
                self.connection.request(method, path, body, headers or {})
                return
            except (http.client.HTTPException, OSError):
                self.connection = None
                if attempt:
                    raise

    def receive(self):
        r = self.connection.getresponse()
        body = r.read()
        if r.will_close:
            self.connection = None
        return Answer(r.status, r.headers, body)


class Pair:
    """The reference and what is tested. A request may differ in what only one of them can know."""

    def __init__(self, reference, tested):
        self.both = (reference, tested)
        self.calls = 0

    def ask(self, method, paths, bodies=None, headers=None):
        if isinstance(paths, str):
            paths = (paths, paths)
        if not isinstance(bodies, tuple):
            bodies = (bodies, bodies)
        self.calls += 1
        out = []
        for s, p, b in zip(self.both, paths, bodies):
            s.send(method, p, b, headers)
        for s, p, b in zip(self.both, paths, bodies):
            try:
                out.append(s.receive())
            except (http.client.HTTPException, OSError):
                s.connection = None
                out.append(self.again(s, method, p, b, headers))
        return out

    def again(self, s, method, path, body, headers):
        """A connection may have ended before the request; who ends it twice panicked, and answers with 0."""
        try:
            s.send(method, path, body, headers)
            return s.receive()
        except (http.client.HTTPException, OSError):
            s.connection = None
            return Answer(0, http.client.HTTPMessage(), b"")
