"""Under gevent, patched throughout: the publisher is a real thread, and waiting lets greenlets run."""

import pytest
from tests.processes import run

pytest.importorskip("gevent")

PATCHED = """
import gevent.monkey
gevent.monkey.patch_all()
import gevent
"""


@pytest.fixture(params=["before", "after"])
def patched(request):
    """gevent patches before, or after, headway was used for the first time."""
    return PATCHED if request.param == "before" else 'with hw.job("early"): pass\n' + PATCHED


def test_jobs_of_greenlets_are_told(hw, url, patched):
    code, _, errors = run(patched + """
def work(number):
    with hw.job("Import", id=f"job{number}", total=10) as job:
        for _ in job.track(range(10)):
            gevent.sleep(0.001)
        assert headway.current() is job
gevent.joinall([gevent.spawn(work, number) for number in range(20)], raise_error=True)
""", url)  # fmt: skip
    assert (code, errors) == (0, "")
    ends = {(one.status, one.count) for one in hw.find(limit=200) if one.name == "Import"}
    assert ends == {("completed", 10)}


def test_a_busy_greenlet_does_not_stop_the_heartbeats(hw, url):
    code, out, errors = run(PATCHED + """
with hw.job("Import", id="one", lease=1) as job:
    until = time.monotonic() + 2.5
    reads = []
    while time.monotonic() < until:  # never yields to other greenlets
        job.advance()
        if len(reads) < 5 and time.monotonic() > until - 2 + len(reads) * 0.4:
            reads.append(hw.get("one").status)
print(set(reads), job.count > 1000)
""", url)  # fmt: skip
    assert (code, errors) == (0, "")
    assert out.strip() == "{'running'} True"


def test_greenlets_run_on_while_an_end_waits(url):
    code, out, errors = run(PATCHED + """
from headway.client import Headway
from headway.stores import open_store
from headway.testing import FaultyStore
store = FaultyStore(open_store("memory://"))
hw = Headway(store)
ticks = []
def beat():
    while True:
        ticks.append(time.monotonic())
        gevent.sleep(0.001)
gevent.spawn(beat)
gevent.sleep(0.05)
job = hw.job("Import").start()
store.delay = 1
began = time.monotonic()
job.complete()
took = time.monotonic() - began
gaps = [b - a for a, b in zip(ticks, ticks[1:])]
print(took > 0.9, max(gaps) < 0.2, len(ticks) > 100)
store.delay = 0
""", url)  # fmt: skip
    assert (code, errors) == (0, "")
    assert out.split() == ["True", "True", "True"]


def test_a_request_to_stop_reaches_a_greenlet_and_a_kill_stops_its_job(hw, url):
    code, out, errors = run(PATCHED + """
def cancelled():
    try:
        for _ in hw.track(iter(int, 1), "Rows", id="one"):
            gevent.sleep(0.001)
    except headway.Cancelled:
        print("heard")
def killed():
    with hw.job("Import", id="two"):
        gevent.sleep(60)
greenlets = [gevent.spawn(cancelled), gevent.spawn(killed)]
gevent.sleep(0.3)
assert hw.cancel("one")
greenlets[0].join(5)
greenlets[1].kill()
""", url)  # fmt: skip
    assert (code, errors, out.strip()) == (0, "", "heard")
    assert (hw.get("one").status, hw.get("two").status) == ("cancelled", "stopped")


def test_a_store_that_is_away_is_logged_and_survived(url, tmp_path):
    (tmp_path / "jobs.db").mkdir()
    code, out, errors = run(PATCHED + """
import logging
logging.basicConfig(format="%(levelname)s")
def work():
    with hw.job("Import") as job:
        for _ in range(100):
            job.advance()
            gevent.sleep(0.001)
gevent.joinall([gevent.spawn(work) for _ in range(5)], raise_error=True)
print("done")
""", url)  # fmt: skip
    assert (code, out.strip(), errors.split()) == (0, "done", ["WARNING", "WARNING"])


def test_watching_works_in_greenlets(url):
    code, out, errors = run(PATCHED + """
job = hw.job("Import", id="one").start()
seen = []
watching = gevent.spawn(lambda: seen.extend(one.status for one in hw.watch("one")))
gevent.sleep(0.3)
job.complete()
watching.join(5)
print(seen[-1])
""", url)  # fmt: skip
    assert (code, errors, out.strip()) == (0, "", "completed")
