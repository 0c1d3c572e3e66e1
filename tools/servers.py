"""Install what tests need that Python packages do not bring: servers, proxies, libfaketime, Chromium.

The system's package manager does it where it may.  Elsewhere one line says what to install; without these the
tests that need them are skipped, and with CI=true they fail.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

INSTALL = {
    "apt-get": ["apt-get", "install", "--yes", "--no-install-recommends"],
    "dnf": ["dnf", "install", "--assumeyes"],
    "apk": ["apk", "add"],
    "brew": ["brew", "install"],
}
PACKAGES = {
    "redis-server": "redis", "pgbouncer": "pgbouncer", "libfaketime": "libfaketime", "chromium": "chromium",
    "rabbitmq-server": "rabbitmq-server",
    "nginx": "nginx", "caddy": "caddy",
}  # fmt: skip
CALLED = {"apt-get": {"redis-server": "redis-server"}, "brew": {"rabbitmq-server": "rabbitmq"}}
"""Where a manager calls a package otherwise."""
SERVICES = ("redis-server", "rabbitmq-server", "nginx", "caddy")
SYSTEMD = Path("/run/systemd/system")
FAKETIME = ("usr/lib*/**/libfaketime.so.1", "opt/homebrew/lib/**/libfaketime*.dylib")
# Debian starts a server as soon as it is installed, unless the machine is told to be at rest.
BROWSER_TESTS = Path(__file__).parents[1] / "tests" / "browser"
AT_REST = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}


def is_there(name: str) -> bool:
    """Whether a program, or the library, is installed."""
    if name == "libfaketime":
        return any(True for pattern in FAKETIME for _ in Path("/").glob(pattern))
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin") is not None


def run(*command: str) -> bool:
    """Run a command that says something only when it fails; whether it succeeded."""
    done = subprocess.run(command, env=os.environ | AT_REST, stdout=subprocess.DEVNULL, check=False)
    return done.returncode == 0


def install_javascript() -> None:
    """What the browser's tests try our elements with, as package-lock.json names it."""
    lock, done = BROWSER_TESTS / "package-lock.json", BROWSER_TESTS / "node_modules" / ".package-lock.json"
    if done.exists() and done.stat().st_mtime >= lock.stat().st_mtime:
        return
    own = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # node comes from a Python package
    command = ["npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
    npm = subprocess.run(command, cwd=BROWSER_TESTS, env=os.environ | {"PATH": own}, check=False)
    if npm.returncode:
        print("Tests of the browser side are skipped: npm ci failed in tests/browser", file=sys.stderr)


def leave_at_rest(installed: list[str]) -> None:
    """Stop what systemd has begun as a service all the same: tests start servers of their own."""
    for name in SERVICES:
        if name in installed and SYSTEMD.exists():
            run("systemctl", "stop", name)


def install_servers() -> None:
    """Install what is missing by the system's package manager, or say how."""
    missing = [name for name in PACKAGES if not is_there(name)]
    if not missing:
        return
    manager = next((name for name in INSTALL if shutil.which(name)), "apt-get")
    packages = [CALLED.get(manager, {}).get(name, PACKAGES[name]) for name in missing]
    command = [*INSTALL[manager], *packages]
    if manager == "brew" or (hasattr(os, "geteuid") and os.geteuid() == 0):
        if manager == "apt-get":
            run("apt-get", "update")
        if run(*command):
            leave_at_rest(missing)
            return
    said = f"Some tests are skipped for want of {', '.join(missing)}; to run them: sudo {' '.join(command)}"
    print(said, file=sys.stderr)


install_javascript()
install_servers()
