"""Where the bars of other libraries in this process are reported: to the default store."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from headway import client
from headway.worker.mirror import Mirror


@cache
def mirror() -> Mirror:
    """The one of this process, made at the first bar."""
    return Mirror(lambda: client.default._publisher, program_name)


def program_name() -> str:
    """What people call the program that runs."""
    name = Path(sys.argv[0] if sys.argv else "").name
    return name if name not in {"", "-c", "-"} else "Python"
