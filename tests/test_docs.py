"""Everything that README.md and docs/ show is run, as it stands there.

The Python blocks of a page are one program, run in order; then the commands in its console and sh blocks
run one by one, on the store that the program left.  A comment right above a block says what the reader
need not see:

    <!-- setup: rows = range(3) -->    code that runs before it, on one line or several
    <!-- continues -->                 keeps its indentation: it goes on inside the block above
    <!-- exits: 1 -->                  each of its commands exits with 1
    <!-- apart: ray -->                is part of a program that tests/test_recipes.py runs, at night
    <!-- not run: needs a broker -->   is skipped, counted and listed with the reason
"""

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[1]
FENCED = re.compile(
    r"(?P<comments>(?:^ *<!--(?:(?!-->).)*--> *\n)*)"
    r"^(?P<open> *)(?P<fence>`{3,}|~{3,}) *(?P<language>\w*)[^\n]*\n(?P<text>.*?)^ *(?P=fence) *$",
    re.MULTILINE | re.DOTALL,
)
COMMENT = re.compile(r"<!--\s*(setup|continues|exits|apart|not run)\b:?(.*?)-->", re.DOTALL)

pytestmark = pytest.mark.timeout(600)


@dataclass
class Block:
    page: Path
    line: int
    language: str
    text: str
    marks: dict[str, str]

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def commands(self):
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language == "sh":
            return [line for line in lines if line and not line.startswith("#")]
        return [line[2:] for line in lines if line.startswith("$ ")]


def blocks(page):
    text = page.read_text()
    for found in FENCED.finditer(text):
        line = text.count("\n", 0, found.start("open")) + 1
        marks = {name: dedent(given).strip() for name, given in COMMENT.findall(found["comments"])}
        shown = found["text"] if "continues" in marks else dedent(found["text"])
        yield Block(page, line, found["language"], shown, marks)


PAGES = [page for page in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))) if page.exists()]
LANGUAGES = {"python", "console", "sh"}
BLOCKS = [block for page in PAGES for block in blocks(page) if block.language in LANGUAGES]
TO_RUN = [block for block in BLOCKS if not {"apart", "not run"} & block.marks.keys()]
PYTHON = [block for block in TO_RUN if block.language == "python"]


def run(command, folder):
    """In a folder and with a store that nobody else has; our commands are found first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "HEADWAY_STORE": f"sqlite:///{folder / 'headway.db'}"}
    options = {"cwd": folder, "env": os.environ | own, "timeout": 120}
    words = ["bash", "-c", command]
    return subprocess.run(words, capture_output=True, text=True, check=False, **options)


def program(blocks):
    """The Python of a page's blocks, each on its own lines, so that a traceback points into the page."""
    lines = []
    for block in blocks:
        hidden = block.marks.get("setup", "").splitlines()
        lines += [""] * (block.line - len(hidden) - len(lines)) + hidden + block.text.splitlines()
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("page", dict.fromkeys(str(b.page.relative_to(ROOT)) for b in TO_RUN))
def test_a_page_runs(page, tmp_path):
    if page.startswith("docs/queues/") and find_spec(Path(page).stem.replace("-", "_")) is None:
        pytest.skip("run in an environment of its own, by tests/queues/test_apart.py")
    (tmp_path / "page.py").write_text(program(block for block in PYTHON if block.page == ROOT / page))
    done = run("python page.py", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Exception ignored" not in done.stderr, done.stderr
    for block in (block for block in TO_RUN if block.page == ROOT / page and block not in PYTHON):
        for command in block.commands:
            if not is_setting_up(command):
                done = run(command, tmp_path)
                assert done.returncode == int(block.marks.get("exits", 0)), (
                    f"{block}: {command}\n{done.stderr}"
                )


def is_setting_up(command):
    """Whether it makes or installs: then it is not run, but what it names must be there."""
    if made := re.match(r"make\b(.*)", command):
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert {word for word in made[1].split() if "=" not in word} <= targets, command
    elif re.match(r"(python3? -m |uv )?(pip install|add)\b", command):
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        for extras in re.findall(r"headway\[([^]]*)\]", command):
            assert set(extras.split(",")) <= set(project["optional-dependencies"]), command
    else:
        return False
    return True


@pytest.mark.parametrize("block", [b for b in BLOCKS if "not run" in b.marks], ids=str)
def test_a_block_that_is_not_run_says_why(block):
    assert block.marks["not run"]
    pytest.skip(block.marks["not run"])
