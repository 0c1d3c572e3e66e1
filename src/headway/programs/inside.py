"""What happens inside a Python program that is run as a job; light, because every Python process passes here.

``HEADWAY_RUN`` says which job the program belongs to, when `headway run` started it or a process above it.
Only what that command itself started owns the job: there the bars are stages of it, in all other processes
jobs below it.  Without the variable each outermost bar is a job, as with ``from headway.tqdm import tqdm``.
"""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any

from headway.programs import imports

VARIABLE = "HEADWAY_RUN"


def begin() -> None:
    """Report the bars of tqdm and rich from now on, and where we own the job, the program."""
    imports.after({"tqdm.std": _tqdm, "rich.progress": _rich})
    run = told()
    if run is not None and run["owner"] == os.getppid():
        _guarded(_own, run)


def told() -> dict[str, Any] | None:
    """Which job this process belongs to, if any."""
    try:
        run = json.loads(os.environ.get(VARIABLE, "null"))
        return run if isinstance(run, dict) and {"url", "id", "attempt", "owner"} <= run.keys() else None
    except ValueError:
        return None


def environment(run: dict[str, Any], url: str) -> dict[str, str]:
    """The variables with which a program is started, so that it comes by here."""
    folders = [folder(), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        VARIABLE: json.dumps(run),
        "HEADWAY_STORE": url,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(folders)),
    }


def folder() -> str:
    """The folder that PYTHONPATH must name."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "startup")  # noqa: PTH100, PTH118, PTH120 - pathlib costs each start 5 ms


def _own(run: dict[str, Any]) -> None:
    from headway.programs import program

    program.begin(run)


def _tqdm(module: Any) -> None:
    from headway.tqdm.reported import patch

    _guarded(patch, module)
    _attach()


def _rich(module: Any) -> None:
    from headway.programs.rich import patch

    _guarded(patch, module)
    _attach()


@cache
def _attach() -> None:
    """Below whose job the bars of this process are."""
    run = told()
    if run is not None:
        from headway.mirrored import mirror

        mirror().above = (run["url"], run["id"], run["attempt"], None)


def _guarded(call: Any, *arguments: Any) -> None:
    """Nothing that goes wrong with us may reach the program."""
    try:
        call(*arguments)
    except Exception:
        import logging

        logging.getLogger("headway").exception("the bars of this program cannot be reported")
