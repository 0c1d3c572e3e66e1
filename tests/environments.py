"""Environments of their own, for what cannot share ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

ROOT = Path(__file__).parents[1]


def environment(folder, python, *packages):
    """Its interpreter; a newer Python than ours is looked for where pyenv keeps them, too, or fetched."""
    own = folder / "venv" / "bin" / "python"
    kept = sorted(Path.home().glob(".pyenv/versions/3.*/bin"), reverse=True)
    for command in (
        ["venv", "--python", python, folder / "venv"],
        ["pip", "install", "--python", own, "--editable", ROOT, *packages],
    ):
        done = subprocess.run(
            [find_uv_bin(), "--quiet", *command],
            cwd=ROOT,
            env=os.environ | {"PATH": os.pathsep.join([*map(str, kept), os.environ["PATH"]])},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode and command[0] == "venv" and python != sys.executable:
            pytest.skip(f"Python {python} is not here, and could not be fetched")
        assert done.returncode == 0, done.stderr
    return own
