"""headway.js as a file: its types, its declarations, its size, and where it may be imported."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.browser.door import ELEMENT, HERE, STATIC

SCRIPT = STATIC / "headway.js"
NODE = shutil.which("node", path=str(Path(sys.executable).parent)) or shutil.which("node")
OPTIONS = json.loads((HERE / "tsconfig.json").read_text())["compilerOptions"]
DECLARED = "../src/headway/web/static/headway/headway.js"
SAME = """
import * as made from "./made/headway.js";
import * as said from "./said/headway.js";
const same: Pick<typeof said, "watch" | "describe" | "words" | "later" | "follows"> = made;
const names: Record<keyof typeof said, unknown> = made, others: Record<keyof typeof made, unknown> = said;
const bar: said.HeadwayProgress = new made.HeadwayProgress(), list: said.HeadwayList = new made.HeadwayList();
document.addEventListener("headway-done", (event) => event.detail.status === "failed");
document.querySelector("headway-progress")?.requestCancel();
said.watch(["/jobs/a", new URL("/jobs/b")], (job, url) => job.percent!.toFixed() + url.length, {poll: 2})();
// @ts-expect-error: there is no such status
const wrong: said.Status = "done";
"""


def tsc(folder, files, **options):
    config = {"compilerOptions": OPTIONS | options, "files": [str(file) for file in files]}
    (folder / "tsconfig.json").write_text(json.dumps(config))
    command = [NODE, HERE / "node_modules" / "typescript" / "bin" / "tsc", "-p", folder / "tsconfig.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module", autouse=True)
def brought():
    if not (HERE / "node_modules").exists():
        assert not os.environ.get("CI"), "what npm brings is missing: make servers"
        pytest.skip("what npm brings is missing: make servers")


def test_what_pages_load_is_made_of_what_people_read():
    made = subprocess.run(
        [NODE, ELEMENT / "build.mjs"], capture_output=True, text=True, encoding="utf-8", check=True
    )
    assert made.stdout == SCRIPT.read_text(encoding="utf-8"), "make element"


def test_its_types_hold(tmp_path):
    tsc(tmp_path, [ELEMENT / "headway.js", ELEMENT / "styles.d.ts"])


def test_its_declarations_say_what_it_is(tmp_path):
    said, source, made = tmp_path / "said", tmp_path / "element", tmp_path / "made"
    said.mkdir()
    shutil.copy(STATIC / "headway.d.ts", said)
    shutil.copytree(ELEMENT, source)
    for file in source.glob("*.js"):
        file.write_text(file.read_text().replace(DECLARED, "../said/headway.js"))
    emit = {"noEmit": False, "declaration": True, "emitDeclarationOnly": True}
    files = [source / "headway.js", source / "styles.d.ts"]
    tsc(tmp_path, files, **emit, outDir=str(made), rootDir=str(source))
    shutil.rmtree(source)
    (tmp_path / "same.ts").write_text(SAME)
    tsc(tmp_path, [tmp_path / "same.ts"], checkJs=False, allowJs=False)


def test_a_server_may_import_it_to_render_a_page():
    """Frameworks import components where there is no document."""
    code = f"const {{describe}} = await import('{SCRIPT.as_uri()}'); console.log(typeof describe)"
    done = subprocess.run(
        [NODE, "--input-type=module", "-e", code], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("function", 0), done.stderr


def test_it_stays_small():
    assert len(gzip.compress(SCRIPT.read_bytes(), 9)) < 8_600


@pytest.mark.parametrize(
    "way", ["innerHTML", "eval(", "new Function", "document.write", "insertAdjacentHTML"]
)
def test_text_never_becomes_markup_or_code(way):
    assert way not in SCRIPT.read_text(encoding="utf-8")
