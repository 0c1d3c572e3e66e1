"""A web server that answers as our doors do, and misbehaves as it is told."""

import json
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from headway.core.snapshot import ENDED, Snapshot
from headway.core.wire import frame

HERE = Path(__file__).parent
ELEMENT = HERE.parents[1] / "element"
STATIC = HERE.parents[1] / "src" / "headway" / "web" / "static" / "headway"
STRICT = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'; style-src 'self';"
    " base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html; charset=utf-8"}
WAITING = frame(Snapshot(id="?")) | {"status": "waiting", "version": 0, "attempt": 0, "read_at": None}


class Asked(NamedTuple):
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]


class Door:
    """Serves jobs under /headway, our files under /static, and pages that tests write.

    Attributes:
        fault: How it misbehaves: None, "bad gateway", "unavailable", "garbage", "hung" (nothing is answered);
            of streams alone: "no streams", "silent", "buffered" (held back whole), "full",
            "cut" (they end after each frame).
        asked: What was asked for under /headway.
        written: What was sent on all streams.
    """

    def __init__(self):
        self.fault = None
        self.asked = []
        self.written = ""
        self.cancels = []
        self.refuses_cancel = False
        self.comment_every = 5.0
        self.retry = 300
        self.streams = 0
        self.most_streams = 0
        self._jobs = {}
        self._scopes = {}
        self._pages = {}
        self._changed = threading.Condition()
        self._change = 0
        self._server = None
        self.port = 0
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        handler = type("Handler", (_Handler,), {"door": self})
        self._server = _Server(("127.0.0.1", self.port), handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        """As a server that is killed: connections break."""
        self._server.shutdown()
        self._server.server_close()
        self._server.gone = True
        self._ring()
        self._server.close_connections()

    def page(self, body, *, path="/page", csp=STRICT, lang="en", head="", script="/static/headway.js"):
        module = f'<script type="module" src="{script}"></script>' if script else ""
        html = (
            f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>page</title>'
            f'<meta name="viewport" content="width=device-width">{head}{module}</head>'
            f"<body>{body}</body></html>"
        )
        self._pages[path] = (html, csp, "text/html; charset=utf-8")
        return self.url + path

    def file(self, path, text, kind="text/javascript"):
        self._pages[path] = (text, None, kind)

    def tell(self, id, status="running", *, scope=None, **facts):
        """The job reads thus from now on."""
        moment = datetime.now(UTC)
        with self._changed:
            before = self._jobs.get(id, {})
            given = {"id": id, "status": status, "created_at": moment, "read_at": moment, "seen_at": moment}
            given["version"] = max(before.get("version", 0) + 1, time.time_ns() // 1_000)
            if status != "pending":
                given["started_at"] = moment - timedelta(seconds=facts.get("elapsed") or 0)
            if status in ENDED:
                given |= {"ended_at": moment, "cancellable": False}
            shown = json.loads(_json(frame(Snapshot(**(given | _own(facts))))))
            self._jobs[id] = shown | {name: facts[name] for name in _BESIDE if name in facts}
            if scope:
                self._scopes.setdefault(scope, {})[id] = None
        self._ring()
        return self._jobs[id]

    def forget(self, id):
        with self._changed:
            self._jobs[id] = None
        self._ring()

    def _ring(self):
        with self._changed:
            self._change += 1
            self._changed.notify_all()

    def requests(self, ending):
        return [asked for asked in self.asked if asked.path.endswith(ending)]

    def members(self, scope):
        return [self._jobs[id] for id in reversed(self._scopes.get(scope, {})) if self._jobs[id]]


_BESIDE = ("fraction", "percent", "children", "silent_for", "error", "version", "raw")


def _own(facts):
    return {name: value for name, value in facts.items() if name not in _BESIDE}


def _json(value):
    return json.dumps(value, default=lambda at: at.isoformat().replace("+00:00", "Z"))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    gone = False
    request_queue_size = 128

    def __init__(self, *given):
        self.connections = set()
        super().__init__(*given)

    def close_connections(self):
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(2)

    def handle_error(self, request, client_address):
        """Browsers leave as they like."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    door: Door

    def log_message(self, *given):
        """Nothing."""

    def setup(self):
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self):
        self.server.connections.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path in self.door._pages or not url.path.startswith("/headway/"):
            return self._file(url.path)
        self._note(url)
        if self._misbehaves(url.path):
            return None
        if url.path == "/headway/events":
            return self._stream(parse_qs(url.query))
        if url.path == "/headway/jobs":
            scope = parse_qs(url.query).get("scope", [""])[0]
            return self._answer(200, {"headway": 1, "jobs": self.door.members(scope), "next": None})
        return self._job(unquote(url.path.removeprefix("/headway/jobs/")))

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        url = urlsplit(self.path)
        self._note(url)
        if self._misbehaves(url.path):
            return
        id = unquote(url.path.removeprefix("/headway/jobs/").removesuffix("/cancel"))
        if self.door.refuses_cancel:
            self._answer(409, {"type": "about:blank", "title": "Past its point of no return", "status": 409})
            return
        self.door.cancels.append(id)
        job = self.door._jobs[id]
        job |= {"cancel": "requested", "version": job["version"] + 1}
        self.door._ring()
        self._answer(202, job)

    def _note(self, url):
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.door.asked.append(Asked(self.command, url.path, parse_qs(url.query), headers))

    def _misbehaves(self, path):
        """Whether a fault answered in our place."""
        fault, streams = self.door.fault, path.endswith("/events")
        if fault == "bad gateway":
            self._answer(502, "<h1>Bad gateway</h1>")
        elif fault == "unavailable":
            self._answer(503, {"title": "The store is away", "status": 503}, {"Retry-After": "1"})
        elif fault == "garbage":
            self._answer(200, "<h1>Please log in</h1>")
        elif fault == "no streams" and streams:
            self._answer(204, "")
        elif fault == "hung" or (fault == "buffered" and streams):
            self._wait(lambda: self.door.fault != fault)
            self.close_connection = True
        else:
            return False
        return True

    def _wait(self, condition):
        while not condition() and not self.server.gone:
            time.sleep(0.02)

    def _file(self, path):
        if path in self.door._pages:
            text, csp, kind = self.door._pages[path]
            return self._answer(200, text, {"Content-Security-Policy": csp} if csp else {}, kind)
        folder = {"static": STATIC, "npm": HERE / "node_modules"}.get(path.split("/")[1])
        file = folder / path.split("/", 2)[2] if folder else None
        if file is None or not file.is_file():
            return self._answer(204 if path == "/favicon.ico" else 404, "")
        return self._answer(200, file.read_text(), kind=TYPES.get(file.suffix, "text/plain"))

    def _answer(self, status, body, headers=None, kind=None):
        data = (body if isinstance(body, str) else _json(body)).encode()
        self.send_response(status)
        default = "text/html" if isinstance(body, str) else "application/json"
        self.send_header("Content-Type", kind or default)
        self.send_header("Cache-Control", "no-cache" if isinstance(body, str) else "no-store")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status not in {204, 304}:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if status not in {204, 304}:
            self.wfile.write(data)

    def _job(self, id):
        job = self.door._jobs.get(id) or WAITING | {"id": id}
        tag = f'W/"{job["version"]}{".stalled" * (job["status"] == "stalled")}"'
        if self.headers.get("if-none-match") == tag:
            wait = self.headers.get("prefer", "")
            applied = {"ETag": tag}
            if wait.startswith("wait=") and self.door.fault is None:
                self._until_changed(id, job, min(5.0, float(wait[5:])))
                applied["Preference-Applied"] = wait
                if (self.door._jobs.get(id) or job)["version"] != job["version"]:
                    return self._answer(
                        200, self.door._jobs[id], applied | {"ETag": f'W/"{self.door._jobs[id]["version"]}"'}
                    )
            return self._answer(304, "", applied)
        return self._answer(200, job, {"ETag": tag})

    def _until_changed(self, id, job, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.server.gone:
            if (self.door._jobs.get(id) or job)["version"] != job["version"]:
                return
            time.sleep(0.02)

    def _stream(self, query):
        door = self.door
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        with suppress(OSError):
            if door.fault == "silent":
                self._wait(lambda: door.fault != "silent" or self._left())
                return
            door.streams += 1
            door.most_streams = max(door.most_streams, door.streams)
            try:
                self._tell(query)
            finally:
                door.streams -= 1

    def _tell(self, query):
        door, told = self.door, {}
        self._write(f"retry: {door.retry}\n\n")
        if door.fault == "full":
            self._event("bye", {"reason": "full", "retry": 1_000})
            return
        spoke = time.monotonic()
        while not self.server.gone and not self._left():
            with door._changed:
                ids = dict.fromkeys(query.get("id", []))
                for scope in query.get("scope", []):
                    ids |= door._scopes.get(scope, {})
                jobs = {id: door._jobs.get(id, WAITING | {"id": id}) for id in ids}
            for id, job in jobs.items():
                state = job and (job["version"], job["status"])
                if told.get(id, 0) != state:
                    told[id] = state
                    self._event("job" if job else "gone", job or {"id": id}, job and job["version"])
                    spoke = time.monotonic()
            if jobs and all(job and job["ended_at"] for job in jobs.values()) and not query.get("scope"):
                self._event("bye", {"reason": "ended"})
                return
            if door.fault in {"cut", "bad gateway", "unavailable"}:
                return
            if door.fault not in {"silent", "buffered"} and time.monotonic() - spoke > door.comment_every:
                self._write(": \n\n")
                spoke = time.monotonic()
            with door._changed:
                door._changed.wait(0.05)

    def _event(self, name, data, version=None):
        id = f"id: {version}\n" if version else ""
        raw = data.pop("raw", None) if isinstance(data, dict) else None
        self._write(f"event: {name}\n{id}data: {raw or _json(data)}\n\n")

    def _write(self, text):
        self.door.written += text
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _left(self):
        """Whether the browser has closed the connection."""
        self.connection.setblocking(False)
        try:
            return self.connection.recv(1, 2) == b""  # 2: a peek
        except BlockingIOError:
            return False
        finally:
            self.connection.setblocking(True)
