"""The command ``headway``, also as ``python -m headway``."""

from __future__ import annotations

import sys

NEEDED = {"click", "rich"}


def main() -> None:
    """Run the command, or say what it needs."""
    try:
        from headway.cli import command
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in NEEDED:
            raise
        sys.stderr.write(f'this needs {missing}: pip install "headway[cli]"\n')
        sys.exit(2)
    command()


if __name__ == "__main__":
    main()
