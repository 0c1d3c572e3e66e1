"""The drop-in, in programs of their own, seen from here."""

import sys

import pytest
from tests.emulator import Terminal
from tests.programs.scene import finish, jobs, one_job, python, seen_live, start

import headway
from headway.tqdm.reported import Stop

HEADER = """
import time, sys
from headway.tqdm import tqdm, trange
"""

pytestmark = pytest.mark.timeout(180)


def say(text, store, **options):
    return python(HEADER + text, store, **options)


def begin(text, store, **options):
    return start([sys.executable, "-c", HEADER + text], store, **options)


def test_a_loop_is_a_job_that_others_see_live(store):
    process = begin("for x in trange(600, desc='Importing', unit='row'): time.sleep(0.05)", store)
    job = seen_live(store, lambda job: (job.count or 0) > 3)
    assert (job.name, job.status, job.total, job.unit) == ("Importing", "running", 600, "row")
    process.kill()
    finish(process)


def test_a_cancel_reaches_the_next_step_of_a_loop_however_seldom_it_draws(store):
    process = begin("for x in trange(10**9, desc='Long', mininterval=60): time.sleep(0.001)", store)
    job = seen_live(store, lambda job: job.status == "running")
    assert headway.connect(store).cancel(job.id)
    status, _, errors = finish(process)
    assert (status, b"Cancelled" in errors) == (1, True)
    assert one_job(store).status == "cancelled"


def test_a_cancel_reaches_manual_updates_as_well(store):
    text = """
bar = tqdm(total=10**9, desc="Manual")
while True:
    bar.update(2.5)
    time.sleep(0.001)
"""
    process = begin(text, store)
    job = seen_live(store, lambda job: (job.count or 0) > 0)
    assert headway.connect(store).cancel(job.id)
    assert finish(process)[0] == 1
    assert one_job(store).status == "cancelled"


ENDS = {
    "a loop that runs out": ("for x in tqdm(range(3)): pass", "completed", 3, 3),
    "one without a total": ("for x in tqdm(iter('abc')): pass", "completed", 3, None),
    "a loop inside a handler": (
        "try: 1 / 0\nexcept ZeroDivisionError:\n  for x in tqdm(iter('abc')): pass",
        "completed",
        3,
        None,
    ),
    "a break": ("for x in tqdm(range(3)):\n  if x == 1: break", "stopped", 1, 3),
    "an exception in the body": (
        "try:\n  for x in tqdm(range(3)): 1 / x\nexcept ZeroDivisionError: pass",
        "stopped",
        0,
        3,
    ),
    "an exception in the source": (
        "try:\n  for x in tqdm((1 / (2 - x) for x in range(3)), total=3): x\nexcept ZeroDivisionError: pass",
        "failed",
        2,
        3,
    ),
    "a block": ("with tqdm(total=5) as bar: bar.update(5)", "completed", 5, 5),
    "a block that is left": (
        "try:\n  with tqdm(total=5) as bar:\n    bar.update(2); 1 / 0\nexcept ZeroDivisionError: pass",
        "failed",
        2,
        5,
    ),
    "a block that is interrupted": (
        "try:\n  with tqdm(total=5) as bar:\n    raise KeyboardInterrupt\nexcept KeyboardInterrupt: pass",
        "stopped",
        0,
        5,
    ),
    "a close at the total": ("bar = tqdm(total=2); bar.update(2); bar.close()", "completed", 2, 2),
    "a close before it": ("bar = tqdm(total=2); bar.update(1); bar.close()", "stopped", 1, 2),
    "a close without a total": ("bar = tqdm(); bar.update(7); bar.close()", "completed", 7, None),
    "a bar that is dropped": ("bar = tqdm(total=2); bar.update(1); del bar", "stopped", 1, 2),
    "the interpreter's exit": ("bar = tqdm(total=2); bar.update(1); sys.exit()", "stopped", 1, 2),
    "a reset": (
        "bar = tqdm(total=2); bar.update(2); bar.reset(9); bar.update(9); bar.close()",
        "completed",
        9,
        9,
    ),
    "an endless total": ("with tqdm(total=float('inf')) as bar: bar.update(3)", "completed", 3, None),
    "initial work": ("for x in tqdm(range(3), initial=4, total=7): pass", "completed", 7, 7),
    "a numeric scale": ("for x in tqdm(range(3), unit_scale=1024): pass", "completed", 3072, 3072),
}


@pytest.mark.parametrize("case", ENDS)
def test_a_bar_ends_as_what_can_be_known(case, store):
    text, status, count, total = ENDS[case]
    say(text, store)
    job = one_job(store)
    assert (job.status, job.count, job.total) == (status, count, total)


def test_what_a_bar_says_is_said_of_the_job(store):
    say(
        """
with tqdm(total=10, desc="Fetching", unit="iB", unit_scale=True, unit_divisor=1024, initial=2) as bar:
    bar.update(4)
    bar.set_description("file 3")
    bar.set_postfix(loss=0.25, lr="high")
    tqdm.write("a line worth keeping")
    time.sleep(1.2)
""",
        store,
    )
    job = one_job(store)
    assert (job.name, job.count, job.total, job.unit, job.initial) == ("Fetching", 6, 10, "B", 2)
    assert job.activity == "file 3, loss=0.25, lr=high"
    assert [message.text for message in job.messages] == ["a line worth keeping"]


NESTED = """
for epoch in trange(2, desc="Epochs"):
    for batch in tqdm(range(4), desc=f"Epoch {epoch}", leave=False) as bar:
        pass
"""


def test_bars_within_a_bar_are_stages_of_its_job(store):
    text = """
for epoch in trange(2, desc="Epochs"):
    bar = tqdm(range(12), desc=f"Epoch {epoch}", leave=False)
    for batch in bar:
        bar.set_postfix(loss=batch)
        time.sleep(0.12)
"""
    process = begin(text, store)
    live = seen_live(store, lambda job: job.stages and (job.stages[0].count or 0) > 1)
    assert (live.name, live.count, live.total) == ("Epochs", 0, 2)
    assert live.activity.startswith("loss=")
    assert finish(process)[0] == 0
    job = one_job(store)
    assert [(stage.name, stage.count, stage.total, stage.ended) for stage in job.stages] == [
        ("Epoch 0", 12, 12, True),
        ("Epoch 1", 12, 12, True),
    ]
    assert (job.status, job.count, job.activity) == ("completed", 2, None)


def test_inside_a_job_a_bar_is_a_stage_of_it(store):
    say(
        """
import headway
with headway.job("Nightly") as job:
    for row in tqdm(range(11), desc="Crunch"):
        time.sleep(0.1)
""",
        store,
    )
    job = one_job(store)
    assert (job.name, job.status) == ("Nightly", "completed")
    assert [(stage.name, stage.count) for stage in job.stages] == [("Crunch", 11)]


def test_short_bars_within_another_leave_no_stage(store):
    say("for x in trange(300, desc='Many'):\n  for y in tqdm(range(3), leave=False): pass", store)
    job = one_job(store)
    assert (job.count, job.stages) == (300, ())


def test_a_thousand_short_bars_in_a_row_do_not_flood_the_list(store):
    say("for x in range(1000):\n  for y in tqdm(range(3), leave=False): pass", store)
    assert 1 <= len(jobs(store)) <= 30


def test_of_many_short_bars_one_that_lasts_is_a_job(store):
    text = """
for x in range(100):
    for y in tqdm(range(3), leave=False): pass
for y in tqdm(range(20), desc="Lasting"): time.sleep(0.1)
"""
    say(text, store)
    (job,) = [job for job in jobs(store) if job.name == "Lasting"]
    assert (job.status, job.count) == ("completed", 20)


DISABLED = {
    "disable=True": ("for x in tqdm(range(3), disable=True): pass", {}),
    "disable=None": ("for x in tqdm(range(3), disable=None): pass", {}),
    "TQDM_DISABLE": ("for x in tqdm(range(3)): pass", {"TQDM_DISABLE": "1"}),
}


@pytest.mark.parametrize("how", DISABLED)
def test_a_disabled_bar_makes_no_job(how, store):
    text, variables = DISABLED[how]
    say(text, store, variables=variables)
    assert jobs(store) == []


def test_asynchronous_loops_are_jobs(store):
    say(
        """
import asyncio
from headway.tqdm.asyncio import tqdm
async def rows():
    for row in range(5):
        yield row
async def main():
    async for row in tqdm(rows(), desc="Rows"): pass
    await tqdm.gather(*[asyncio.sleep(0.01) for _ in range(4)], desc="Gathered")
    try:
        async for row in tqdm(rows(), desc="Left", total=5):
            if row == 2: break
    finally: pass
asyncio.run(main())
""",
        store,
    )
    assert [(job.name, job.status, job.count) for job in jobs(store)] == [
        ("Rows", "completed", 5),
        ("Gathered", "completed", 4),
        ("Left", "stopped", 3),
    ]


MAPS = """
import time
from headway.tqdm.contrib.concurrent import process_map, thread_map
def work(row):
    time.sleep(0.01)
    return row
if __name__ == "__main__":
    import multiprocessing, sys
    multiprocessing.set_start_method(sys.argv[1])
    assert thread_map(work, range(20), desc="Threads", max_workers=4) == list(range(20))
    assert process_map(work, range(20), desc="Processes", max_workers=2, chunksize=1) == list(range(20))
"""


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_maps_over_threads_and_processes_are_jobs(how, store, tmp_path):
    path = tmp_path / "maps.py"
    path.write_text(MAPS)
    status, _, errors = finish(start([sys.executable, "-W", "ignore", path, how], store))
    assert status == 0, errors.decode()
    assert [(job.name, job.status, job.count) for job in jobs(store)] == [
        ("Threads", "completed", 20),
        ("Processes", "completed", 20),
    ]


def test_bars_in_forked_children_are_children_of_the_job_and_harm_nothing(store):
    say(
        """
import os
for x in trange(2, desc="Parent"):
    time.sleep(0.5)  # the job has begun
    if os.fork() == 0:
        for y in tqdm(range(3), desc=f"Child {x}"): pass
        sys.exit()
    os.wait()
""",
        store,
        variables={"PYTHONWARNINGS": "ignore"},
    )
    parent, *children = jobs(store)
    assert (parent.name, parent.status, parent.count) == ("Parent", "completed", 2)
    assert [(job.name, job.status, job.count, job.parent) for job in children] == [
        ("Child 0", "completed", 3, parent.id),
        ("Child 1", "completed", 3, parent.id),
    ]


def test_a_bar_in_a_fork_of_a_job_is_a_child_of_it_and_not_a_stage(store):
    say(
        """
import os, headway
with headway.job("Parent") as job:
    if os.fork() == 0:
        for x in tqdm(range(3), desc="Child"):
            for y in tqdm(range(12), desc="Steps"): time.sleep(0.1)
        with headway.job("Other"):
            for x in tqdm(range(2), desc="Loop"): time.sleep(0.6)
        os._exit(0)
    os.wait()
""",
        store,
        variables={"PYTHONWARNINGS": "ignore"},
    )
    parent, child, other = jobs(store)
    assert (parent.name, parent.status, parent.stages) == ("Parent", "completed", ())
    assert (child.name, child.status, child.count, child.parent) == ("Child", "completed", 3, parent.id)
    assert [(stage.name, stage.count) for stage in child.stages] == [("Steps", 12)]
    assert (other.name, other.parent, [stage.name for stage in other.stages]) == (
        "Other",
        parent.id,
        ["Loop"],
    )


def test_bars_of_a_pools_workers_are_children_of_the_job_that_they_work_for(store, tmp_path):
    path = tmp_path / "pool.py"
    path.write_text("""
import headway, multiprocessing
from headway.tqdm import tqdm
def work(row):
    for step in tqdm(range(5), desc=f"Row {row}"): pass
if __name__ == "__main__":
    with headway.job("Pool", total=4) as job, multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(job.counted(work), range(4))
""")
    status, _, errors = finish(start([sys.executable, path], store))
    assert status == 0, errors.decode()
    parent, *children = jobs(store)
    assert (parent.name, parent.status, parent.count) == ("Pool", "completed", 4)
    assert {(job.name, job.status, job.parent) for job in children} == {
        (f"Row {row}", "completed", parent.id) for row in range(4)
    }


def test_threads_that_each_show_a_bar_lose_none(store):
    say(
        """
from concurrent.futures import ThreadPoolExecutor
def work(number):
    for x in tqdm(range(12), desc=f"Thread {number}"): time.sleep(0.1)
with tqdm(total=4, desc="All") as bar, ThreadPoolExecutor(4) as pool:
    for _ in pool.map(work, range(4)): bar.update()
""",
        store,
    )
    job = one_job(store)
    assert (job.name, job.status, job.count) == ("All", "completed", 4)
    assert {(stage.name, stage.count) for stage in job.stages} == {(f"Thread {n}", 12) for n in range(4)}


def test_pandas_apply_is_a_job(store):
    pytest.importorskip("pandas")
    say(
        """
import pandas
tqdm.pandas(desc="Applying")
assert list(pandas.Series(range(50)).progress_apply(lambda x: x + 1)) == list(range(1, 51))
""",
        store,
    )
    job = one_job(store)
    assert (job.name, job.status, job.total) == ("Applying", "completed", 50)


def test_without_a_store_the_loop_runs_and_close_waits_no_longer_than_it_may(store, tmp_path):
    (tmp_path / "file").touch()
    said = say(
        """
began = time.monotonic()
for x in tqdm(range(1000)): pass
print(time.monotonic() - began)
""",
        f"sqlite:///{tmp_path}/file/jobs.db",
    )
    assert float(said) < 30


def test_with_a_store_that_hangs_close_waits_no_longer_than_it_may(store):
    text = """
from headway import client
from headway.stores import open_store
from headway.testing import FaultyStore
store = client.default._store = FaultyStore(open_store("memory://"))
store.hanging, store.patience = True, 60.0
for x in trange(1000): pass
began = time.monotonic()
with tqdm(total=3) as bar:
    bar.update(3)
print(time.monotonic() - began)
store.hanging = False
"""
    assert float(say(text, store)) < 20  # 2 s are promised, and this machine may be busy


CLOCK = """
import sys
now = [0.0]
def clock():
    now[0] += 0.07
    return now[0]
sys.modules["tqdm.std"].time = clock
"""
DRAWN = """
for epoch in trange(3, desc="Epochs"):
    for batch in tqdm(range(9), desc=f"Epoch {epoch}", leave=epoch == 1, unit="row"):
        if batch == 4:
            tqdm.write("a line")
    with tqdm(total=2**20, unit="B", unit_scale=True, unit_divisor=1024, colour="green", delay=0.2) as bar:
        for _ in range(4):
            bar.update(2**18)
            bar.set_postfix(left=bar.total - bar.n)
try:
    for x in tqdm(iter("abcdef")):
        if x == "d":
            raise ValueError
except ValueError:
    pass
"""


def drawn(words, store, **variables):
    with Terminal(*words, HEADWAY_STORE=store, **variables) as terminal:
        assert terminal.ended() == 0, terminal.text
        return terminal.written


def test_a_terminal_shows_the_same_character_by_character(store):
    real, ours = (
        drawn([sys.executable, "-c", f"from {name} import tqdm, trange{CLOCK}{DRAWN}"], store)
        for name in ("tqdm", "headway.tqdm")
    )
    assert ours == real
    assert len(real) > 1000
    assert jobs(store)


def test_a_stop_lets_tqdms_monitor_pass():
    stop = Stop(lambda: None)
    assert not stop > 1
    assert 7 >= stop  # noqa: SIM300 - as tqdm compares
    assert max(stop, 3) == 3
