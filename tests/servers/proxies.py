"""Real reverse proxies in front of a server, set up as docs/web/proxies.md says."""

import os
import re
import shutil
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.processes import eventually
from tests.servers import free_port

PAGE = Path(__file__).parents[2] / "docs" / "web" / "proxies.md"
SEARCHED = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"
NGINX = """
user root;  # where we are that: who else might not read the folder
daemon off;
pid {folder}/nginx.pid;
error_log stderr warn;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {more}
        {shown}
        location = /page.html {{ root {folder}; types {{ text/html html; }} }}
    }}
}}
"""
CADDY = """
{{
    admin off
    auto_https off
}}
http://127.0.0.1:{port} {{
    {shown}
    root * {folder}
    file_server /page.html
}}
"""
HOLDS_BACK = """
    proxy_ignore_headers X-Accel-Buffering;
    proxy_buffering on;
    gzip on;
    gzip_proxied any;
    gzip_min_length 0;
    gzip_types *;
"""
"""What makes nginx hold streams back.  Buffering alone does not: it sends what it has."""


def shown(name):
    """The settings that the guide gives for a proxy."""
    chapter = PAGE.read_text().split(f"\n## {name}\n")[1]
    return re.search(r"```\w*\n(.*?)```", chapter, re.DOTALL)[1]


@contextmanager
def proxy(name, behind, folder, more=""):
    """The proxy before the server on port ``behind``, and before a page.html in the folder; its address."""
    program = shutil.which(name, path=SEARCHED)
    if program is None:
        assert not os.environ.get("CI"), f"{name} is missing: make servers"
        pytest.skip(f"{name} is missing: make servers")
    port, file = free_port(), folder / name
    if name == "nginx":
        settings = shown("nginx").replace("http://app", f"http://127.0.0.1:{behind}")
        file.write_text(NGINX.format(folder=folder, port=port, shown=settings, more=more))
        command = [program, "-p", folder, "-c", file]
    else:
        settings = shown("Caddy").replace("app:8000", f"127.0.0.1:{behind}")
        file.write_text(CADDY.format(folder=folder, port=port, shown=settings))
        command = [program, "run", "--adapter", "caddyfile", "--config", file]
    own = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, env=os.environ | own, stdout=said, stderr=said)
    try:
        eventually(lambda: process.poll() is not None or listens(port), 30)
        assert process.poll() is None, (folder / "said").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
