"""The thread that tells the store."""

# ruff: noqa: PT012 - what is told to raise is a loop, with its body

import ctypes
import logging
import os
import subprocess
import sys
import threading
import time

import pytest
from tests.processes import eventually, run

import headway
from headway.client import Headway
from headway.core.pace import Pace
from headway.stores.memory import MemoryStore
from headway.worker import publisher as room


class Recorder(MemoryStore):
    """Notes each report: when, of what status, and which count."""

    def __init__(self):
        super().__init__()
        self.records, self.writes = [], 0

    def write(self, records, parts=(), listening=()):
        self.writes += 1
        self.records += [(time.monotonic(), one.status, one.count) for one in records]
        return super().write(records, parts, listening)

    def open(self, record, over="anything", *, exclusive=False):
        self.records.append((time.monotonic(), record.status, record.count))
        return super().open(record, over, exclusive=exclusive)


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def recorded(recorder):
    made = Headway(recorder)
    yield made
    made.close()


def test_there_is_no_thread_before_the_first_job_and_one_however_many_there_are(url):
    code, _out, errors = run("""
    def threads(): return len(os.listdir("/proc/self/task"))
    before = threads()
    jobs = [hw.job(f"job {i}") for i in range(20)]
    assert threads() == before
    for job in jobs:
        job.start()
    assert threads() == before + 1, threads()
    for job in jobs:
        job.complete()
    """, url)  # fmt: skip
    assert (code, errors) == (0, "")


def test_the_thread_ends_when_nothing_was_to_be_told_for_a_while(recorded, monkeypatch):
    monkeypatch.setattr(room, "IDLE", 0.05)
    with recorded.job("Import"):
        pass
    publisher = recorded._publisher
    eventually(lambda: not publisher._running, 3)
    with recorded.job("Import") as job:
        assert publisher._running
    assert recorded.get(job.id).status == "completed"


def test_a_thread_that_leaves_when_the_next_one_begins_does_not_deny_it(recorded, monkeypatch):
    publisher = recorded._publisher
    start, goes_on, started, stayed = room.threads.start, publisher._goes_on, [], []

    def called_back_at_the_door(*, rang):
        stayed.append(goes_on(rang=rang))
        if not stayed[-1] and len(started) == 1:
            monkeypatch.setattr(room, "IDLE", 60)
            looked = len(stayed)
            publisher.wake()
            eventually(lambda: len(stayed) > looked)
            return False
        return stayed[-1]

    monkeypatch.setattr(room.threads, "start", lambda run: started.append(run) or start(run))
    monkeypatch.setattr(publisher, "_goes_on", called_back_at_the_door)
    monkeypatch.setattr(room, "IDLE", 0.05)
    with recorded.job("Import"):
        pass
    eventually(lambda: len(started) == 2)
    time.sleep(0.05)
    for _ in range(5):
        with recorded.job("Import") as job:
            pass
        assert recorded.get(job.id).status == "completed"
    assert len(started) == 2


def test_first_states_and_ends_go_out_at_once_and_the_rest_is_paced(recorded, recorder):
    with recorded.job("Import") as job:
        began = time.monotonic()
        while time.monotonic() - began < 1.3:
            job.advance()
            time.sleep(0.0005)
    at, status, count = recorder.records[-1]
    assert (status, count) == ("completed", job.count)
    assert at - began < 1.45
    assert 3 <= len(recorder.records) <= 6
    assert recorder.records[0][0] - began < 0.1


def test_nothing_is_written_for_a_job_that_does_nothing(recorded, recorder):
    with recorded.job("Import"):
        eventually(lambda: recorder.records)
        time.sleep(1.2)
        assert len(recorder.records) == 1


def test_an_idle_job_says_that_it_is_alive(hw, monkeypatch):
    with hw.job("Import", lease=0.6) as job:
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            assert hw.get(job.id).status == "running"
            time.sleep(0.02)
        assert hw.get(job.id).version > 0


def test_a_pace_of_steps_is_kept_and_the_rest_is_delivered(recorder):
    hw = Headway(recorder, Pace(seconds=0.05, steps=100))
    with hw.job("Import") as job:
        for _ in range(150):
            job.advance()
            time.sleep(0.002)
    counts = [count for _, _, count in recorder.records if count]
    assert len(counts) <= 3
    assert counts[-1] == 150
    hw.close()


def test_a_pace_of_percent_is_kept(recorder):
    hw = Headway(recorder, Pace(seconds=0.05, percent=50))
    with hw.job("Import", total=200) as job:
        for _ in range(200):
            job.advance()
            time.sleep(0.002)
    counts = [count for _, _, count in recorder.records if count]
    assert len(counts) <= 4
    assert counts[-1] == 200
    hw.close()


def test_a_slow_pace_does_not_keep_a_request_to_stop_waiting(recorder):
    hw = Headway(recorder, Pace(seconds=10))
    with pytest.raises(headway.Cancelled), hw.job("Import") as job:
        hw.cancel(job.id)
        began = time.monotonic()
        while time.monotonic() - began < 3:
            job.advance()
            time.sleep(0.001)
    assert time.monotonic() - began < 1
    hw.close()


def test_many_jobs_share_one_write(recorded, recorder):
    jobs = [recorded.job(f"job {number}").start() for number in range(50)]
    eventually(lambda: len(recorder.records) >= 50)
    before = recorder.writes
    for job in jobs:
        job.advance()
    eventually(lambda: len(recorder.records) >= 100)
    assert recorder.writes - before <= 2
    for job in jobs:
        job.complete()


# A store that is away


def warnings(caplog):
    return [one for one in caplog.records if one.levelno >= logging.WARNING]


def test_a_store_that_is_away_at_the_start_is_told_when_it_is_back(faulty, shaky, caplog):
    faulty.failing = True
    with shaky.job("Import", total=5) as job:
        job.advance(2)
        time.sleep(0.8)
        assert shaky.dropped_writes >= 1
        faulty.failing = False
        seen = eventually(lambda: shaky.get(job.id))
        assert (seen.count, seen.status) == (2, "running")
    assert shaky.get(job.id).status == "completed"
    assert len(warnings(caplog)) == 1


def test_an_end_that_did_not_arrive_is_asserted_again(faulty, shaky):
    job = shaky.job("Import").start()
    faulty.failing = True
    began = time.monotonic()
    job.complete(result=5)
    assert time.monotonic() - began < 2.3
    faulty.failing = False
    end = eventually(lambda: (found := shaky.get(job.id, details=True)).ended and found)
    assert (end.status, end.result) == ("completed", 5)


def test_a_short_outage_is_waited_out_by_an_end(faulty, shaky):
    job = shaky.job("Import").start()
    faulty.failing = 1
    job.complete()
    assert shaky.get(job.id).status == "completed"


def test_while_the_store_is_known_to_be_away_nobody_waits_for_it(faulty, shaky):
    faulty.failing = True
    with shaky.job("first"):
        pass
    began = time.monotonic()
    for _ in range(50):
        with shaky.job("next"):
            pass
    assert time.monotonic() - began < 0.5
    faulty.failing = False
    eventually(lambda: len(shaky.find(status="completed", limit=200)) == 51)


def test_a_store_that_hangs_is_waited_for_once(faulty, shaky):
    faulty.patience = 60
    faulty.hanging = True
    began = time.monotonic()
    with shaky.job("first", id="first"):
        started = time.monotonic()
        for _ in range(100):
            with shaky.job("next"):
                pass
    assert started - began < 2.3
    assert time.monotonic() - started < 0.5
    faulty.hanging = False
    eventually(lambda: len(shaky.find(status="completed", limit=200)) == 101)


def test_an_end_is_delivered_at_the_exit_though_native_code_held_the_interpreter_in_the_middle_of_a_call(
    faulty, shaky
):
    with shaky.job("Import", id="one", total=10) as job:
        faulty.delay = 0.1
        job.advance()
        eventually(lambda: shaky._publisher._asking_since is not None)
        ctypes.PyDLL(None).usleep(3_000_000)
        job.advance()
    shaky.close()
    assert (faulty.store.read(["one"])["one"].status, shaky.dropped_writes) == ("completed", 0)


def test_who_closes_and_exits_waits_for_a_store_that_is_away_once(faulty, shaky, monkeypatch):
    faulty.failing = True
    shaky.job("Import").start().complete()
    publisher, waits = shaky._publisher, []
    flush = publisher.flush
    monkeypatch.setattr(publisher, "flush", lambda: waits.append(flush(0.1)))
    shaky.close()
    publisher.close()  # as at the interpreter's exit
    assert len(waits) == 1
    faulty.failing = False
    eventually(lambda: len(shaky.find(status="completed").jobs) == 1)
    publisher._in_vain_at -= 3600  # an hour later
    publisher.close()
    assert len(waits) == 2


def test_a_hanging_store_does_not_hold_up_the_exit_of_the_interpreter(url):
    script = """
    import time
    from headway.client import Headway
    from headway.stores import open_store
    from headway.testing import FaultyStore
    store = FaultyStore(open_store("memory://"))
    store.patience, store.hanging = 60, True
    hw = Headway(store)
    began = time.monotonic()
    hw.job("Import").start()
    for _ in hw.track(range(10), "Rows"):
        pass
    print(time.monotonic() - began)
    """
    began = time.monotonic()
    code, out, errors = run(script, url)
    assert (code, errors) == (
        0,
        "this process ends; last reports of its jobs that have not reached the store: 2\n",
    )
    assert float(out) < 2.3
    assert time.monotonic() - began < 6


def test_memory_is_bounded_while_the_store_is_away(faulty, shaky, monkeypatch):
    monkeypatch.setattr(room, "BACKLOG", 20)
    faulty.failing = True
    for _ in range(200):
        with shaky.job("Import"):
            pass
    publisher = shaky._publisher
    eventually(lambda: len(publisher._reporters) <= 20, 8)
    assert publisher.dropped >= 180
    faulty.failing = False
    eventually(lambda: len(shaky.find(status="completed", limit=200)) == 20)


def test_jobs_that_start_while_ends_are_dropped_do_no_harm(faulty, shaky, monkeypatch, hasty):
    monkeypatch.setattr(room, "BACKLOG", 5)
    monkeypatch.setattr(room, "LONGEST_PAUSE", 0.001)
    faulty.failing = True

    def work():
        for _ in range(100):
            with shaky.job("Import"):
                pass

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    faulty.failing = False
    with shaky.job("last", id="last"):
        pass
    assert eventually(lambda: (found := shaky.get("last")) and found.ended)


class Broken(MemoryStore):
    """Raises what no store should."""

    broken = True

    def write(self, records, parts=(), listening=()):
        if self.broken:
            raise ZeroDivisionError("a bug in the store")
        return super().write(records, parts, listening)


def test_a_bug_in_the_store_is_logged_and_survived(caplog):
    store = Broken()
    hw = Headway(store)
    with hw.job("Import") as job:
        job.advance()
    store.broken = False
    eventually(lambda: hw.get(job.id).ended)
    assert len(warnings(caplog)) == 1
    assert "ZeroDivisionError" in caplog.text
    hw.close()


def test_what_is_wrong_with_one_job_does_not_silence_the_others(hw, caplog):
    class Odd:
        def __str__(self):
            raise KeyError("odd")

    with hw.job("odd") as odd, hw.job("other") as other:
        odd.activity = Odd()
        other.advance(3)
        assert eventually(lambda: hw.get(other.id).count == 3)
        eventually(lambda: odd._entry.over)
        odd.activity = None
    assert hw.get(other.id).status == "completed"
    assert "cannot be reported" in caplog.text


def test_a_store_that_went_back_to_older_details_is_told_the_newer_again(recorder, recorded):
    with recorded.job("Import", id="one") as job:
        job.message("first")
        eventually(lambda: recorder.read(["one"], details=True)["one"].messages)
        with recorder._transaction() as shelf:
            older = shelf.get("one")
        job.message("second")
        eventually(lambda: len(recorder.read(["one"], details=True)["one"].messages) == 2)
        with recorder._transaction() as shelf:
            shelf.put(older)
        assert eventually(lambda: len(recorder.read(["one"], details=True)["one"].messages) == 2)


def test_an_emptied_store_is_given_everything_again(faulty, shaky):
    with shaky.job("Import", id="one", total=9, meta={"a": 1}) as job:
        job.advance(4)
        job.message("hello")
        eventually(lambda: shaky.get("one", details=True).messages)
        before = shaky.get("one").version
        faulty.store._shelf.jobs.clear()
        seen = eventually(lambda: (found := shaky.get("one", details=True)) and found.messages and found, 3)
        assert (seen.count, seen.total, seen.meta, seen.attempt) == (4, 9, {"a": 1}, 1)
        assert seen.version > before


@pytest.mark.parametrize("whose", ["its own", "another's"])
def test_an_end_inside_a_publishers_thread_is_not_waited_for(recorded, shaky, faulty, whose):
    """The collector may let go of a loop there; it would wait for itself, or its jobs for another store."""
    publisher, hw = recorded._publisher, recorded if whose == "its own" else shaky
    loop = iter(hw.track(range(10), "lost", id="lost"))
    next(loop)
    faulty.hanging = True
    holder = [loop]
    del loop
    patience, allowed = hw._publisher.patience, []

    def noted(*arguments):
        allowed.append(patience(*arguments))
        return allowed[-1]

    def sweep(*_):
        hw._publisher.patience = noted
        holder.clear()
        del hw._publisher.patience
        return 0

    recorded.store.sweep = sweep
    publisher._sweep_at = 0
    with recorded.job("Import"):
        eventually(lambda: allowed)
    assert allowed == [0.0]
    faulty.hanging = False
    assert eventually(lambda: hw.get("lost").status == "stopped")


def test_a_signal_handler_may_use_a_job(url):
    code, out, errors = run("""
    job = hw.job("Import", id="one").start()
    def handler(*_):
        job.advance()
        job.message("signal")
        with hw.job("in the handler"):
            pass
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    for i in range(300):
        with hw.job("work"):
            for _ in job.track(range(10)):
                pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    job.complete()
    print(job.count)
    """, url)  # fmt: skip
    assert (code, errors) == (0, "")
    assert int(out) > 3000  # the loops' own and some of the handler's


def test_two_ends_and_a_reader_do_not_disturb_the_estimate(hw, hasty):
    with hw.job("Import", total=100_000) as job:
        stop = threading.Event()
        errors = []

        def read():
            try:
                while not stop.is_set():
                    job.snapshot()
            except Exception as error:  # noqa: BLE001 - whatever it is
                errors.append(error)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for _ in range(20_000):
            job.advance()
        stop.set()
        for reader in readers:
            reader.join()
    assert errors == []


def test_closing_ends_what_runs_and_delivers_what_is_outstanding(url):
    hw = headway.connect(url)
    job = hw.job("Import").start()
    job.advance(3)
    hw.close()
    reader = headway.connect(url)
    assert (reader.get(job.id).status, reader.get(job.id).count) == ("stopped", 3)
    with hw.job("again") as again:
        pass
    assert reader.get(again.id).status == "completed"
    hw.close()
    reader.close()


def test_a_program_without_threads_of_its_own_exits_when_the_store_is_away(tmp_path):
    """What warns in the publisher imports ``logging``, and that ``threading``: never in our thread first."""
    (tmp_path / "file").write_text("no folder")
    script = "import headway\nfor _ in headway.track(range(3), 'Rows'): pass\n"
    environment = os.environ | {"HEADWAY_STORE": f"sqlite:///{tmp_path}/file/jobs.db"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, timeout=30, check=True)
    assert done.returncode == 0
