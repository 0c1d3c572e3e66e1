"""A notebook that a real kernel executes, with the widgets there, and its jobs seen from here meanwhile."""

import sys

import nbformat
import pytest
from tests.programs.scene import finish, jobs, seen_live, start

import headway

pytestmark = pytest.mark.timeout(240)

CELLS = (
    """
from pathlib import Path
import time
from headway.tqdm.notebook import tqdm, trange
""",
    """
for epoch in trange(2, desc="Epochs"):
    batches = tqdm(range(11), desc=f"Epoch {epoch}")
    for batch in batches:
        batches.set_postfix(loss=batch)
        time.sleep(0.1)
        while batch == 5 and not Path("seen").exists():
            time.sleep(0.05)
""",
    """
for row in tqdm(range(10**9), desc="Endless"):
    time.sleep(0.01)
""",
    """
from headway.tqdm.auto import tqdm
for row in tqdm(range(3), desc="Automatic"):
    pass
""",
)
EXECUTE = [sys.executable, "-c", "from nbclient.cli import main; main()", "--inplace", "--allow-errors"]
WIDGET = "application/vnd.jupyter.widget-view+json"


def test_a_notebooks_bars_are_widgets_and_jobs_that_others_see_and_can_stop(store, tmp_path):
    path = tmp_path / "book.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in CELLS]), path)
    process = start([*EXECUTE, path], store, cwd=tmp_path)

    live = seen_live(store, lambda job: job.stages and job.stages[0].count == 5)
    assert (live.name, live.status, live.count, live.total) == ("Epochs", "running", 0, 2)
    assert live.activity == "loss=5"
    (tmp_path / "seen").touch()
    endless = seen_live(store, lambda job: job.name == "Endless" and (job.count or 0) > 10)
    assert headway.connect(store).cancel(endless.id)

    status, _, errors = finish(process)
    assert status == 0, errors.decode()
    book = nbformat.read(path, as_version=4)
    shown = [[output.get("ename") or WIDGET in output.data for output in cell.outputs] for cell in book.cells]
    assert shown == [[], [True, True, True], [True, "Cancelled"], [True]]
    states = book.metadata.widgets["application/vnd.jupyter.widget-state+json"].state.values()
    bars = [state.state for state in states if state.model_name == "FloatProgressModel"]
    assert sorted((bar.max, bar.bar_style) for bar in bars) == [
        (2, "success"),
        (3, "success"),
        (11, "success"),
        (11, "success"),
        (10**9, "danger"),
    ]
    assert all(bar.value == bar.max for bar in bars if bar.bar_style == "success")
    assert [(job.name, job.status) for job in jobs(store)] == [
        ("Epochs", "completed"),
        ("Endless", "cancelled"),
        ("Automatic", "completed"),
    ]
