"""Real web servers for tests, each in a process of its own."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from tests.servers import free_port

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
BIN = Path(sys.executable).parent
COMMANDS = {
    "uvicorn": "uvicorn --port {port} --log-level warning {app}",
    "hypercorn": "hypercorn --bind 127.0.0.1:{port} --log-level warning {app}",
    "daphne": "daphne --bind 127.0.0.1 --port {port} --verbosity 0 {app}",
    "granian": "granian --interface asgi --port {port} --log-level warning {app}",
    "granian-wsgi": "granian --interface wsgi --blocking-threads 16 --port {port} --log-level warning {app}",
    "gunicorn-sync": "gunicorn --bind 127.0.0.1:{port} --workers 1 --log-level warning {app}",
    "gunicorn-gthread": "gunicorn --bind 127.0.0.1:{port} --worker-class gthread --threads 32 "
    "--log-level warning {app}",
    "gunicorn-preload": "gunicorn --bind 127.0.0.1:{port} --worker-class gthread --threads 32 --preload "
    "--log-level warning {app}",
    "gunicorn-gevent": "gunicorn --bind 127.0.0.1:{port} --worker-class gevent --log-level warning {app}",
    "waitress": "waitress-serve --listen 127.0.0.1:{port} --threads 32 {app}",
    "runserver": "django-admin runserver --noreload --settings tests.web.django.project {port}",
    "flask": "flask --app {app} run --port {port}",
}


class WebServer:
    """One server.

    Attributes:
        url: Where headway is mounted.
    """

    def __init__(self, server, app, store, *options, **environment):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/progress"
        words = COMMANDS[server].format(port=self.port, app="tests.web.application:application").split()
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        sources = f"{ROOT / 'src'}{os.pathsep}{ROOT}"
        own = {"DOOR": app, "HEADWAY_STORE": store, "PYTHONPATH": sources, "PATH": path, **environment}
        # A pipe that is full would stop it.
        self.complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 - until it is stopped
        self.process = subprocess.Popen(
            [str(BIN / words[0]), *words[1:-1], *options, words[-1]] if server != "flask" else words,
            cwd=ROOT,
            env=os.environ | own,
            stdout=subprocess.DEVNULL,
            stderr=self.complaints,
            start_new_session=True,
        )
        self.wait_until_it_answers()

    def wait_until_it_answers(self):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with urlopen(f"{self.url}/openapi.json", timeout=5):  # noqa: S310 - our own
                    return
            except HTTPError:
                raise
            except (URLError, OSError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.complaints.seek(0)
                    said = self.complaints.read()
                    self.stop()
                    raise AssertionError(said) from None
                time.sleep(0.05)

    def terminate(self):
        """Ask it to stop; the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        return time.monotonic() - began

    def stop(self):
        """End it and what it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.complaints.close()


@contextmanager
def web_server(server, app, store, *options, **environment):
    made = WebServer(server, app, store, *options, **environment)
    try:
        yield made
    finally:
        made.stop()
