"""The folder store under real faults: other processes, writers killed at any step, damage, full disks."""

import errno
import multiprocessing
import os
import random
import stat
import subprocess
import sys
import threading
import time
from datetime import timedelta
from functools import partial
from itertools import permutations
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.processes import NOBODY, as_nobody, in_a_child, program

from headway.core import transitions
from headway.core.errors import InvalidValue, StoreUnavailable
from headway.core.snapshot import ENDED, Details, Part, Snapshot
from headway.core.transitions import micros
from headway.stores import files, folder_log
from headway.stores.contract import Profile
from headway.stores.files import FileStore, path_of, url_of
from headway.stores.folder import LEFT, MARK, Folder
from headway.stores.folder_log import key_of
from headway.testing import Clock
from headway.testing.store_scene import Worker, at_once, every_page, hears, ids_of, known, part, told

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="faults are made as on POSIX")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "jobs"


@pytest.fixture
def clock():
    return None


@pytest.fixture
def make(path, clock):
    """Make stores on the same folder; they are closed at the end."""
    made = []

    def store():
        made.append(FileStore(url_of(path), clock))
        return made[-1]

    yield store
    for store in made:
        store.close()


@pytest.fixture
def store(make):
    return make()


@pytest.fixture
def worker(store):
    return Worker(store)


def place(store, id="job"):
    return store._log.place(key_of(id))


def entries(store, id="job"):
    return sorted(found.name for found in place(store, id).iterdir() if found.name.isdigit())


def names_in(path):
    return [found.name for found in path.iterdir()]


def markers(store):
    return {found.relative_to(store.path / "index") for found in (store.path / "index").rglob("*.*.*")}


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "path"),
        [
            ("file:///var/jobs", "/var/jobs"),
            ("file://localhost/var/jobs", "/var/jobs"),
            ("file:///var/my%20jobs%3F", "/var/my jobs?"),
            ("file:///~/jobs", "~/jobs"),
        ],
    )
    def test_a_url_names_a_folder(self, url, path):
        assert path_of(url) == Path(path).expanduser()

    def test_a_store_is_found_again_by_its_url(self, tmp_path):
        path = tmp_path / "Büro #1?"
        assert path_of(FileStore(url_of(path)).url) == path

    @pytest.mark.parametrize(
        "url",
        ["file://", "file:///", "file://server/jobs", "file://jobs", "file:///jobs?x=1", "file:///a%00b"],
    )
    def test_what_names_no_folder_here_is_refused(self, url):
        with pytest.raises(InvalidValue, match="file:///absolute/path"):
            FileStore(url)

    def test_naming_a_store_makes_nothing(self, path):
        FileStore(url_of(path)).close()
        assert not path.exists()


ENDER = """
import sys
from headway.stores import open_store
store, status = open_store(sys.argv[1]), sys.argv[2]
sys.stdin.readline()
outcomes = [store.end(f"job-{number}", 1, status).outcome for number in range(int(sys.argv[3]))]
print(*(number for number, outcome in enumerate(outcomes) if outcome == "applied"))
"""
CLAIMER = """
import sys
from headway.core.snapshot import Snapshot
from headway.stores import open_store
store, name = open_store(sys.argv[1]), sys.argv[2]
sys.stdin.readline()
print(*(store.open(Snapshot(id=f"job-{number}", run=name)).attempt for number in range(int(sys.argv[3]))))
"""
COUNTER = """
import sys
from headway.core.snapshot import Part
from headway.stores import open_store
store, name, writes = open_store(sys.argv[1]), sys.argv[2], int(sys.argv[3])
sys.stdin.readline()
for count in range(1, writes + 1):
    parts = [Part("job", 1, f"{name}-{hand}", step=count, count=count) for hand in range(3)]
    assert store.write([], parts)["job"].accepted
    assert store.write([], parts[:1])["job"].accepted
"""
WRITER = """
import sys
from headway.core.snapshot import Snapshot, Part, Details
from headway.stores import open_store
store, id = open_store(sys.argv[1]), sys.argv[2]
opened = store.open(Snapshot(id=id, run=id, scope="s", lease=0.2)).opened
print(opened.attempt, flush=True)
for step in range(1, 100_000):
    details = Details(meta="x" * 3000 + str(step)) if step % 3 == 0 else None
    facts = {"count": step, "scope": "s", "lease": 0.2, "details": details, "started_at": opened.started_at}
    record = Snapshot(id=id, run=id, attempt=opened.attempt, step=step, status="running", **facts)
    assert store.write([record], [Part(id, opened.attempt, "hand", step=step, count=step)])[id].accepted
    print(step, flush=True)
"""


def all_at_once(code, url, names, *arguments):
    """What some processes say that begin at the same moment."""
    processes = [program(code, url, name, *arguments, stdin=subprocess.PIPE) for name in names]
    time.sleep(0.5)
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=100)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return said


class TestManyProcesses:
    def test_of_ends_told_at_once_each_job_has_exactly_one(self, store):
        jobs = 100
        for number in range(jobs):
            Worker(store, f"job-{number}").claim()
        said = all_at_once(ENDER, store.url, sorted(ENDED), jobs)
        assert sorted(int(word) for line in said for word in line.split()) == list(range(jobs))
        for status, line in zip(sorted(ENDED), said, strict=True):
            ended = {f"job-{number}" for number in line.split()}
            assert set(every_page(store, 50, status=[status])) == ended
            assert {job.status for job in store.read(ended).values()} <= {status}
        assert len(every_page(store, 50)) == jobs
        assert len(markers(store)) == jobs

    def test_of_claims_at_once_each_is_an_attempt_of_its_own(self, store):
        said = all_at_once(CLAIMER, store.url, "abcd", 30)
        attempts = zip(*(map(int, line.split()) for line in said), strict=True)
        assert [sorted(four) for four in attempts] == [[1, 2, 3, 4]] * 30
        assert len(every_page(store, 50, status=["running"])) == 30

    def test_parts_of_many_processes_add_up_exactly(self, store, worker):
        worker.claim()
        worker.report(total=1000)
        all_at_once(COUNTER, store.url, "abcd", 25)
        assert known(store).count == 4 * 3 * 25
        worker.report("completed", total=1000)
        assert (known(store).status, known(store).count) == ("completed", 300)

    def test_a_writer_killed_at_any_moment_leaves_a_job_that_goes_on(self, store):
        for turn in range(8):
            id = f"job-{turn}"
            with program(WRITER, store.url, id) as process:
                process.stdout.readline()
                time.sleep(random.uniform(0.0, 0.15))
                process.kill()
                steps = process.stdout.read().split()
            told_of = int(steps[-1]) if steps else 0
            job = known(store, id, details=True)
            assert job.step in {told_of, told_of + 1}
            assert job.count in {2 * told_of, 2 * told_of + 1, 2 * told_of + 2} or told_of == 0
            again = Worker(store, id, scope="s")
            assert again.claim().attempt == 2
            assert again.report("completed").accepted
        assert len(every_page(store, 5, scope="s", status=["completed"])) == 8
        assert every_page(store, 5, scope="s", status=["running", "stalled"]) == []

    def test_what_readers_see_rises_with_each_change(self, make):
        stores = [make() for _ in range(4)]
        holder = Worker(stores[0])
        holder.claim()
        done = threading.Event()

        def hand(number):
            for count in range(1, 40):
                told(stores[number], part(holder, f"hand-{number}", count=count, step=count))

        def hold():
            for count in range(1, 40):
                holder.report(failed_count=count)

        def watch():
            seen = []
            while not done.is_set():
                job = known(stores[3])
                seen.append((job.version, job.count, job.failed_count))
            return seen

        def work():
            try:
                at_once([hold, lambda: hand(1), lambda: hand(2)])
            finally:
                done.set()

        seen, _ = at_once([watch, work])
        versions = [version for version, *_ in seen]
        assert versions == sorted(versions)
        shown = {}
        for version, *facts in seen:
            assert shown.setdefault(version, facts) == facts
        assert len(shown) > 10
        assert known(stores[3]).count == 78
        assert known(stores[3]).failed_count == 39


class Killed(BaseException):
    """The process is dead from here on."""


CALLS = ("open", "write", "link", "rename", "replace", "unlink", "mkdir", "rmdir")


def dying_after(monkeypatch, calls):
    """Let the process die at a call to the file system: that one and all after it do not happen."""
    left = [calls]

    def mortal(call):
        def act(*arguments, **options):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return call(*arguments, **options)

        return act

    for name in CALLS:
        monkeypatch.setattr(os, name, mortal(getattr(os, name)))
    return left


def life(store):
    """A job that meets everything that writes; halts after each word that was acknowledged."""
    worker = Worker(store, scope="s", parent="p", parent_attempt=1)
    acts = [
        lambda: worker.reserve(run=None),
        worker.claim,
        lambda: worker.report(count=1, details=Details(meta="x" * 3_000)),
        lambda: told(store, part(worker, "hand", count=1)),
        lambda: worker.report(count=2, details=Details(meta="y" * 3_000)),
        lambda: store.request_cancel("job"),
        lambda: worker.report("failed", count=3, cancel="seen"),
        lambda: worker.claim(run="worker-2"),
        lambda: told(store, part(worker, "hand", count=1)),
        lambda: worker.report("completed", run="worker-2", count=4),
        lambda: store.learn("kind", Profile(1.0, 1)),
        lambda: store.forget("job"),
        lambda: worker.reserve(run=None),
    ]
    for act in acts:
        act()
        yield


def shown(store):
    """What a reader is shown of the job."""
    job = store.read(["job"], details=True).get("job")
    return job and (job.status, job.attempt, job.count, job.cancel, job.run, job.meta)


class TestDeathAtAnyStep:
    @pytest.mark.timeout(300)
    @pytest.mark.parametrize(("links", "stride"), [(True, 1), (False, 3)])
    def test_a_writer_that_dies_between_any_two_calls_leaves_a_store_that_works(
        self, links, stride, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(os, "fsync", lambda _: None)  # it is no power cut
        if not links:
            monkeypatch.setattr(os, "link", no_links)
        healthy = FileStore(url_of(tmp_path / "healthy"))
        states = [None, *(shown(healthy) for _ in life(healthy))]
        calls = acknowledged = 0
        while acknowledged < len(states) - 1:
            store = FileStore(url_of(tmp_path / str(calls)))
            acknowledged = self.until_death(store, calls, monkeypatch)
            left = FileStore(store.url)
            assert shown(left) in states[acknowledged : acknowledged + 2]
            self.look_at_what_is_left(left)
            calls += stride
        assert calls > 100

    def until_death(self, store, calls, monkeypatch):
        """How many words were acknowledged before it died."""
        acknowledged = 0
        with monkeypatch.context() as patches:
            dying_after(patches, calls)
            try:
                for _ in life(store):
                    acknowledged += 1
            except Killed:
                return acknowledged
        return acknowledged

    def look_at_what_is_left(self, store):
        searches = [{}, {"scope": "s"}, {"parent": "p"}]
        before = store.read(["job"])
        for search in searches:
            assert ids_of(store.find(**search).jobs) == before.keys()
        store.sweep()
        assert store.read(["job"]).keys() == before.keys()
        again = Worker(store, scope="s", parent="p", parent_attempt=1)
        answer = again.claim(run="heir")
        if answer.outcome == "cancelled":
            again.reserve(run=None)
            answer = again.claim(run="heir")
        assert answer.outcome == "opened"
        told(store, part(again, "hand", count=5))
        for search in searches:
            assert ids_of(store.find(status=["running"], **search).jobs) == {"job"}
            assert ids_of(store.find(status=["completed", "failed"], **search).jobs) == set()
        again.report("completed", run="heir", count=7)
        for search in searches:
            assert ids_of(store.find(status=["completed"], **search).jobs) == {"job"}
            assert ids_of(store.find(status=["running", "pending"], **search).jobs) == set()
        job = known(store)
        assert (job.count, job.status) == (12, "completed")
        if before:
            assert job.version > before["job"].version
        assert store.forget("job")
        assert store.find().jobs == ()
        store.close()


def no_links(*_, **__):
    raise OSError(errno.EPERM, "hard links are not to be had")


class TestSleepers:
    """Writers that decide on what was long ago."""

    def written(self, store, state):
        change = files._Change(store._log, store._markers)
        change._read["job"] = state
        old = change.get("job")
        change.put(old._replace(head=replace(old.head, status="stopped", ended_at=old.head.seen_at)))
        change.commit(1)

    def test_a_number_that_was_removed_is_not_won_by_a_sleeper(self, store, worker):
        worker.claim()
        asleep = store._log.load(key_of("job"))
        for count in range(8):
            worker.report(count=count)
        assert f"{asleep.number + 1:020}" not in entries(store)
        before = entries(store)
        with pytest.raises(folder_log.Lost):
            self.written(store, asleep)
        assert (known(store).status, known(store).count) == ("running", 7)
        assert entries(store) == before
        assert ids_of(store.find(status=["stopped"]).jobs) == set()

    def test_a_sleeper_does_not_meet_a_job_that_was_opened_anew(self, store, worker):
        worker.claim()
        worker.report("completed")
        asleep = store._log.load(key_of("job"))
        store.forget("job")
        assert store._log.bury(key_of("job"))
        worker.claim(run="worker-2")
        with pytest.raises(folder_log.Lost):
            self.written(store, asleep)
        assert (known(store).status, known(store).run) == ("running", "worker-2")

    def test_an_entry_whose_base_was_removed_meanwhile_still_counts(self, store, worker, make, monkeypatch):
        """Others may have gone on from it before its writer looks."""
        worker.claim()
        other = make()
        log, slow = store._log, store._log._counts

        def counts(*arguments):
            for count in range(6):
                holder = known(other)
                record = Snapshot(
                    id="job", run="worker-1", attempt=1, step=10 + count, status="running", count=count,
                    started_at=holder.started_at,
                )  # fmt: skip
                assert other.write([record])["job"].outcome == "applied"
            return slow(*arguments)

        monkeypatch.setattr(log, "_counts", counts)
        assert store.request_cancel("job").outcome == "applied"
        assert (known(store).cancel, known(store).count) == ("requested", 5)

    def test_a_late_part_of_an_attempt_that_is_over_counts_nothing(self, store, worker):
        worker.claim()
        told(store, part(worker, "hand", count=1))
        asleep = store._log.load(key_of("job"))
        worker.claim(run="worker-2")
        store._log.put_parts(asleep, [Part("job", 1, "hand", count=9)], asleep.head, news=True, leads=True)
        assert known(store).count is None
        for count in range(folder_log.PAST + 1):
            worker.report("running", run="worker-2", failed_count=count)
        assert known(store).count is None
        assert list(place(store).glob("parts*")) == []


class TestAtTheSameMoment:
    """Decisions on the same state, none knowing of the others."""

    @pytest.fixture
    def clock(self):
        return Clock()

    def decided(self, store, decide, parts=(), *, restarts=False):
        """Read, and decide; what is left to do is to write it."""
        change = files._Change(store._log, store._markers)
        old = change.get("job")
        if restarts:
            change.drop_parts("job")
        change.put(old._replace(head=decide(old.head).head))
        for one in parts:
            change.put_part(one)
        return change

    @pytest.mark.parametrize("order", list(permutations(range(4))))
    @pytest.mark.parametrize("seconds", [(0, 0, 0, 0), (3, 2, 1, 0), (0, 9, 0, 1)])
    def test_each_change_gives_readers_a_new_version(self, make, clock, order, seconds):
        store = make()
        worker = Worker(store)
        worker.claim()
        told(store, part(worker, "hand", count=1))
        changes = []
        for number, later in enumerate(seconds):
            now = clock.now + timedelta(seconds=later)
            if number == 3:
                changes.append(self.decided(store, partial(transitions.request_cancel, now=now)))
                continue
            mine = part(worker, f"hand-{number}", count=1)
            changes.append(self.decided(make(), partial(transitions.part_of, part=mine, now=now), [mine]))
        seen = [known(store).version]
        for number in order:
            changes[number].commit(micros(clock.now))
            seen.append(known(store).version)
        assert seen == sorted(set(seen))
        assert (known(store).count, known(store).cancel) == (4, "requested")

    def claimed(self, store, now):
        new = Snapshot(id="job", run="worker-2").head
        return self.decided(store, lambda old: transitions.open_job(old, new, "anything", now), restarts=True)

    @pytest.mark.parametrize("part_first", [True, False])
    def test_a_part_that_meets_the_next_attempt_takes_no_version_back(self, make, clock, part_first):
        store = make()
        worker = Worker(store)
        worker.claim()
        told(store, part(worker, "hand", count=1))
        later, mine = clock.now + timedelta(seconds=9), part(worker, "other", count=1)
        changes = [
            self.decided(make(), partial(transitions.part_of, part=mine, now=later), [mine]),
            self.claimed(store, clock.now),
        ]
        seen = [known(store).version]
        for change in changes if part_first else reversed(changes):
            change.commit(micros(clock.now))
            seen.append(known(store).version)
        assert seen[-1] > micros(later)
        worker.opened, worker.run = known(store), "worker-2"
        for count in range(folder_log.PAST + 2):
            worker.report(failed_count=count)
            seen.append(known(store).version)
            told(store, part(worker, "hand", count=count))
            seen.append(known(store).version)
        assert seen == sorted(set(seen))
        assert known(store).count == folder_log.PAST + 1
        assert len(list(place(store).glob("parts-*"))) == 1

    def test_a_part_that_comes_when_the_next_attempt_has_gone_on_is_decided_anew(self, make, clock):
        store = make()
        worker = Worker(store)
        worker.claim()
        mine = part(worker, "hand", count=1)
        change = self.decided(make(), partial(transitions.part_of, part=mine, now=clock.now), [mine])
        worker.claim(run="worker-2")
        worker.run = "worker-2"
        for count in range(folder_log.PAST):
            worker.report(failed_count=count)
        with pytest.raises(folder_log.Late):
            change.commit(micros(clock.now))
        assert known(store).count is None

    def test_a_part_that_may_have_been_seen_is_not_denied(self, make, store, worker, monkeypatch):
        """It was written in time, and then its process slept; its sender learns who runs now."""
        worker.claim()
        other = make()
        check = other._log.still_counts

        def slowly(*arguments):
            if known(store).attempt == 1:
                assert known(store).count == 1
                for run in ("worker-2", "worker-3"):
                    worker.claim(run=run)
            return check(*arguments)

        monkeypatch.setattr(other._log, "still_counts", slowly)
        answer = told(other, Part("job", 1, "hand", count=1))
        assert (answer.outcome, answer.attempt, answer.run) == ("applied", 3, "worker-3")
        assert answer.version == known(store).version
        assert known(store).count is None

    def test_whoever_is_second_on_a_disk_that_is_slow_decides_anew(self, make, store, worker, monkeypatch):
        worker.claim()
        other = make()
        draft = other._folder.draft

        def slowly(*arguments, **options):
            store.request_cancel("job")
            return draft(*arguments, **options)

        monkeypatch.setattr(files, "PATIENCE", 0)  # all of it went by while that was written
        monkeypatch.setattr(other._folder, "draft", slowly)
        assert other.end("job", 1, "failed").outcome == "applied"
        assert (known(store).status, known(store).cancel) == ("failed", "requested")

    def test_a_store_that_is_closed_while_another_thread_writes_loses_nothing(self, store, monkeypatch):
        """The publisher closes it when its last job is over, whoever else may use it."""
        move, closed = store._folder._move, []

        def closed_before(*arguments):
            closed.append(store.close())
            return move(*arguments)

        monkeypatch.setattr(store._folder, "_move", closed_before)
        assert Worker(store).claim().outcome == "opened"
        assert known(store).status == "running"
        assert closed

    def test_of_two_entries_the_second_is_decided_anew(self, store, worker):
        worker.claim()
        now = store.clock()
        first = self.decided(store, partial(transitions.request_cancel, now=now))
        second = self.decided(store, partial(transitions.end_job, attempt=1, status="failed", now=now))
        first.commit(1)
        with pytest.raises(folder_log.Lost):
            second.commit(1)
        assert (known(store).status, known(store).cancel) == ("running", "requested")
        assert len(markers(store)) == 1


class TestStaleListings:
    """A client of a file server may not show yet what others have made."""

    def freeze(self, store, monkeypatch, times):
        """Show the job's folder as it is now, so many times."""
        names, left = store._folder.names, [times]
        path = place(store)
        shown = names(path)

        def stale(folder):
            if folder == path and left[0]:
                left[0] -= 1
                return shown
            return names(folder)

        monkeypatch.setattr(store._folder, "names", stale)

    def test_what_was_removed_meanwhile_is_looked_for_again(self, make, store, worker, monkeypatch):
        worker.claim()
        self.freeze(store, monkeypatch, 1)
        other = Worker(make())
        other.opened = worker.opened
        for count in range(6):
            other.report(count=count)
        assert known(store).count == 5

    @pytest.mark.parametrize("ahead", [1, 2])
    def test_an_entry_that_is_not_shown_yet_is_found_when_its_number_is_taken(
        self, ahead, make, store, worker, monkeypatch
    ):
        worker.claim()
        self.freeze(store, monkeypatch, 1_000)
        other = Worker(make())
        other.opened = worker.opened
        for count in range(ahead):
            other.report(count=count + 1)
        assert store.request_cancel("job").outcome == "applied"
        assert (known(other.store).cancel, known(other.store).count) == ("requested", ahead)


class TestPartsOfVeryManyProcesses:
    """Each of which has left a file."""

    def leave(self, store, worker, number):
        """What a process leaves that reported one part twice, and ended."""
        store._folder._begin_anew()
        for count in (1, 2):
            assert told(store, part(worker, f"hand-{number}", count=count, step=count)).accepted

    def files_of(self, store):
        return list(place(store).glob("parts-*/*"))

    def make_quiet(self, store):
        for found in self.files_of(store):
            os.utime(found, (time.time() - 2 * folder_log.QUIET,) * 2)

    @pytest.fixture(autouse=True)
    def some(self, monkeypatch):
        monkeypatch.setattr(folder_log, "MANY", 5)

    def test_files_that_were_left_are_taken_over_and_nothing_is_miscounted(self, store, worker):
        worker.claim()
        versions = [known(store).version]
        for number in range(40):
            self.leave(store, worker, number)
            self.make_quiet(store)
            versions.append(known(store).version)
            assert known(store).count == 2 * (number + 1)
        assert len(self.files_of(store)) < 10
        assert versions == sorted(set(versions))

    def test_a_process_that_goes_on_after_all_is_counted_once(self, make, store, worker):
        worker.claim()
        other = make()
        told(other, part(worker, "other", count=3), part(worker, "another", count=1))
        for number in range(10):
            self.leave(store, worker, number)
        for _ in range(4):
            self.make_quiet(store)
            told(store, part(worker, "mine", count=1))
        assert not list(place(store).glob(f"parts-*/{other._folder.token}*"))
        before = known(store)
        answer = told(other, part(worker, "other", count=5, step=1))
        after = known(store)
        assert (before.count, after.count) == (25, 27)
        assert before.version < after.version == answer.version
        told(store, part(worker, "other", count=4, step=0))
        assert known(store).count == 27

    def test_what_is_written_while_it_is_taken_over_is_kept(self, make, store, worker, monkeypatch):
        worker.claim()
        other = make()
        told(other, part(worker, "other", count=3))
        for number in range(10):
            self.leave(store, worker, number)
        self.make_quiet(store)
        absorb = store._log._absorb
        woken = []

        def slowly(path, shard):
            if path.name.startswith(other._folder.token) and not woken:
                woken.append(told(other, part(worker, "other", count=8, step=1)))
            absorb(path, shard)

        monkeypatch.setattr(store._log, "_absorb", slowly)
        for count in range(4):
            told(store, part(worker, "mine", count=count))
            self.make_quiet(store)
        assert woken
        assert known(store).count == 8 + 20 + 3
        told(other, part(worker, "other", count=9, step=2))
        assert known(store).count == 9 + 20 + 3


class TestTimeThatPasses:
    @pytest.fixture
    def clock(self):
        return Clock()

    def test_nothing_is_left_of_jobs_that_are_gone(self, store, clock):
        for number in range(10):
            worker = Worker(store, f"job-{number}", scope=f"s{number}", parent="p", parent_attempt=1)
            worker.claim(details=Details(meta="x" * 5_000))
            told(store, part(worker, count=1))
        clock.advance(3 * 86_400)
        assert store.sweep() == 10
        clock.advance(LEFT + 1)
        assert store.sweep() == 0
        left = {found.relative_to(store.path).parts[0] for found in store.path.rglob("*") if found.is_file()}
        assert left <= {MARK, "writers"}
        assert len([found for found in (store.path / "index").rglob("*") if found.is_dir()]) < 20

    def test_a_job_that_was_opened_anew_is_not_buried(self, store, worker, clock):
        worker.claim()
        worker.report("completed")
        store.forget("job")
        worker.claim(run="worker-2")
        clock.advance(LEFT + 1)
        store.sweep()
        assert known(store).run == "worker-2"

    def test_a_live_job_is_looked_at_once_in_its_retention(self, store, worker, clock, monkeypatch):
        worker.claim()
        looked = []
        see = store._see_to
        monkeypatch.setattr(store, "_see_to", lambda key: looked.append(key) or see(key))
        for _ in range(100):
            clock.advance(1_000)
            worker.report()
            store.sweep()
        assert len(looked) == 1
        assert known(store).status == "running"

    def test_an_asked_job_that_dies_is_ended_though_it_spoke_for_long(self, store, worker, clock):
        worker.claim()
        store.request_cancel("job")
        for _ in range(50):
            clock.advance(10)
            worker.report()
            store.sweep()
        assert known(store).status == "running"
        clock.advance(31)
        store.sweep()
        assert known(store).status == "cancelled"


class TestMarkers:
    def test_a_job_whose_markers_were_lost_is_found_again(self, store, worker):
        worker.claim(scope="s")
        for found in (store.path / "index").rglob("*.*.*"):
            found.unlink()
        assert store.find().jobs == ()
        store.sweep()
        assert ids_of(store.find().jobs) == ids_of(store.find(scope="s").jobs) == {"job"}

    def test_old_markers_without_a_job_are_removed_and_new_ones_are_left(self, store, worker):
        worker.claim()
        place = next(iter(store._markers.of(store._log.load(key_of("job")).entry))).parent
        new, old = (place / f"{number:020}.{1:020}.{key_of('nobody')}" for number in (1, 2))
        for one in (new, old):
            one.touch()
        os.utime(old, (time.time() - 2 * LEFT,) * 2)
        assert ids_of(store.find().jobs) == {"job"}
        assert (new.exists(), old.exists()) == (True, False)

    def test_a_folder_that_others_make_and_remove_meanwhile_is_made_again(self, store, worker, monkeypatch):
        """To pathlib it is there and not there."""
        worker.claim()
        mkdir, made = Path.mkdir, []

        def vanishing(path, *arguments, **options):
            mkdir(path, *arguments, **options)
            if "completed" in path.parts and path not in made:
                made.append(path)
                path.rmdir()
                raise FileExistsError(errno.EEXIST, "File exists", str(path))

        monkeypatch.setattr(Path, "mkdir", vanishing)
        assert worker.report("completed").accepted
        assert ids_of(store.find(status=["completed"]).jobs) == {"job"}
        assert made

    def test_a_job_has_one_marker_in_each_place(self, store, worker):
        worker.claim(scope="s", parent="p")
        for count in range(5):
            worker.report(count=count)
        worker.report("failed")
        worker.claim(run="2")
        worker.report("completed", run="2")
        assert len(markers(store)) == 3

    def test_a_page_of_a_scope_costs_the_same_beside_many_others(self, store, monkeypatch):
        for number in range(5):
            Worker(store, f"mine-{number}", scope="mine").claim()

        def calls():
            with monkeypatch.context() as patches:
                left = dying_after(patches, 10**6)
                assert len(store.find(scope="mine")) == len(store.find(scope="mine", status=["running"])) == 5
            return 10**6 - left[0]

        alone = calls()
        for number in range(150):
            worker = Worker(store, f"other-{number}", scope="other")
            worker.claim()
            worker.report("failed")
        assert calls() == alone

    def test_names_and_scopes_never_leave_the_folder(self, store, tmp_path):
        before = set(tmp_path.iterdir()) | {store.path}
        for number, scope in enumerate(["../../up", "/etc", "a/b", "con", "x" * 200, ".", "nul.", "A", "a"]):
            worker = Worker(store, f"job-{number}", scope=scope, parent="..:..")
            worker.claim()
            told(store, part(worker, "../../key", count=1))
            store.learn("../../kind", Profile(1.0, 1))
            assert ids_of(store.find(scope=scope).jobs) == {f"job-{number}"}
        assert set(tmp_path.iterdir()) == before
        names = {name for found in store.path.rglob("*") for name in found.relative_to(store.path).parts}
        assert all(name.isascii() and name == name.lower() and len(name) < 100 for name in names)
        assert not [name for name in names if set(name) & set('<>:"|?*\\ ') or name.endswith(".")]


class TestDamage:
    def test_an_entry_that_is_damaged_is_passed_over_and_healed_by_the_next_word(self, store, worker):
        worker.claim(scope="s")
        worker.report(count=1)
        worker.report(count=2)
        (place(store) / entries(store)[-1]).write_bytes(b"")
        assert known(store).count == 1
        assert worker.report(count=3).accepted
        assert known(store).count == 3
        assert ids_of(store.find(scope="s").jobs) == {"job"}

    def test_a_job_of_which_nothing_can_be_read_is_rebuilt_by_its_worker(self, store, worker):
        worker.claim(scope="s")
        worker.report(count=1)
        for name in entries(store):
            (place(store) / name).write_bytes(b"\0\0")
        assert store.read(["job"]) == {}
        assert worker.report(count=3, scope="s").outcome == "rebuilt"
        assert known(store).count == 3
        assert ids_of(store.find(scope="s").jobs) == {"job"}

    def test_details_and_parts_that_are_damaged_are_done_without(self, store, worker):
        worker.claim()
        worker.report(count=1)
        worker.report(count=1, details=Details(meta="x" * 5_000))
        told(store, part(worker, count=4))
        for found in [*place(store).glob("details-*"), *place(store).glob("parts-*/*")]:
            found.write_bytes(b"{half")
        assert known(store).count == 1
        assert known(store, details=True).meta is None
        assert told(store, part(worker, count=5, step=1)).accepted
        assert known(store).count == 6

    def test_a_folder_that_is_removed_in_use_is_made_again(self, store, worker):
        worker.claim()
        subscription = store.listen()
        subscription.add(["job"])
        subscription.wait(0)
        store.path.rename(store.path.with_name("gone"))
        assert store.read(["job"]) == {}
        assert worker.report(count=5).outcome == "rebuilt"
        assert hears(subscription, "job")
        assert known(store).count == 5

    def test_what_is_not_ours_is_left_alone(self, path):
        path.mkdir()
        (path / "thesis.txt").write_text("mine")
        store = FileStore(url_of(path))
        for act in (Worker(store).claim, store.find, store.sweep, lambda: store.read(["job"])):
            with pytest.raises(StoreUnavailable, match="something else"):
                act()
        assert names_in(path) == ["thesis.txt"]

    def test_a_file_in_its_place_is_left_alone(self, path):
        path.write_text("mine")
        with pytest.raises(StoreUnavailable, match="not a file"):
            Worker(FileStore(url_of(path))).claim()
        assert path.read_text() == "mine"

    def test_a_newer_layout_is_left_alone(self, path):
        path.mkdir()
        (path / MARK).write_text('{"layout":99}')
        store = FileStore(url_of(path))
        with pytest.raises(StoreUnavailable, match="newer version"):
            Worker(store).claim()
        assert names_in(path) == [MARK]

    def test_unknown_fields_of_a_newer_version_are_ignored(self, store, worker):
        worker.claim()
        newest = place(store) / entries(store)[-1]
        text = newest.read_text().replace('"head":{', '"sparkle":1,"head":{"glitter":2,')
        newest.write_text(text.replace('"facts":{', '"facts":{"shine":3'))
        assert known(store).status == "running"
        store.request_cancel("job")
        assert '"shine":3' in (place(store) / entries(store)[-1]).read_text()

    def test_a_full_disk_refuses_and_goes_on_when_there_is_room(self, store, worker):
        resource = pytest.importorskip("resource")
        worker.claim()
        worker.report(count=1)

        def child():
            resource.setrlimit(resource.RLIMIT_FSIZE, (200, -1))
            with pytest.raises(StoreUnavailable, match="Make room"):
                worker.report(count=2)
            with pytest.raises(StoreUnavailable, match="Make room"):
                Worker(store, "other").claim()
            count = known(store).count
            resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
            worker.step += 1
            return count, worker.report(count=3).outcome, Worker(store, "other").claim().outcome

        assert in_a_child(child) == (1, "applied", "opened")
        assert known(store).count == 3


class TestRights:
    @pytest.fixture
    def path(self, tmp_path):
        for folder in (tmp_path, *tmp_path.parents):
            if not folder.stat().st_mode & stat.S_IXOTH:
                folder.chmod(0o755)
        return tmp_path / "jobs"

    def test_who_may_only_read_can_watch_and_is_told_when_writing(self, store, worker):
        worker.claim()
        told(store, part(worker, count=2))
        store.path.chmod(0o755)

        def watch():
            reader = FileStore(store.url)
            seen = known(reader).count, ids_of(reader.find().jobs), [one.level for one in reader.diagnose()]
            with pytest.raises(StoreUnavailable, match="writable"):
                reader.request_cancel("job")
            return seen

        assert as_nobody(watch) == (2, {"job"}, ["ok", "warning"])
        assert known(store).cancel is None

    def test_who_may_not_read_is_told(self, store, worker):
        worker.claim()
        store.path.chmod(0o700)

        def read():
            with pytest.raises(StoreUnavailable, match="Permission denied"):
                FileStore(store.url).read(["job"])
            return True

        assert as_nobody(read) is True

    def test_what_is_written_counts_though_nothing_old_may_be_removed(self, store, worker, monkeypatch):
        worker.claim(scope="s")
        for count in range(4):
            worker.report(count=count)

        def refuse(*_, **__):
            raise PermissionError(errno.EPERM, "it is somebody else's")

        with monkeypatch.context() as patches:
            patches.setattr(os, "unlink", refuse)
            assert worker.report("failed", count=5).outcome == "applied"
        assert ids_of(store.find(scope="s").jobs) == ids_of(store.find(status=["failed"]).jobs) == {"job"}
        assert store.find(status=["running"]).jobs == ()
        assert worker.claim(run="2").outcome == "opened"

    def test_a_folder_shared_by_a_group_can_be_written_by_all_of_it(self, path):
        path.mkdir()
        path.chmod(0o2777)
        if os.geteuid() == 0:
            os.chown(path, 0, NOBODY)
        before = os.umask(0o002)
        try:
            store = FileStore(url_of(path))
            worker = Worker(store, scope="s")
            worker.claim(details=Details(meta="x" * 5_000))
            told(store, part(worker, count=1))

            def end():
                other = FileStore(store.url)
                return [
                    told(other, part(worker, "other", count=2)).outcome,
                    other.end("job", 1, "failed").outcome,
                    other.forget("job"),
                    other.sweep(),
                ]

            assert as_nobody(end) == ["applied", "applied", True, 0]
        finally:
            os.umask(before)


class TestProcess:
    def test_a_child_after_a_fork_writes_files_of_its_own(self, store, worker):
        worker.claim()
        told(store, part(worker, "parent", count=1))
        assert in_a_child(lambda: told(store, part(worker, "child", count=2)).outcome) == "applied"
        told(store, part(worker, "parent", count=3, step=1))
        assert known(store).count == 5
        assert len(list(place(store).glob("parts-*/*"))) == 2

    def test_a_fork_while_a_thread_reports_parts_does_not_hang(self, store, worker):
        worker.claim()
        with store._turn():
            outcome = in_a_child(lambda: told(store, part(worker, "child", count=2)).outcome)
        assert outcome == "applied"

    def test_threads_that_report_parts_of_one_job_lose_none(self, store, worker):
        worker.claim()
        at_once(
            [
                lambda n=n: [told(store, part(worker, f"{n}-{c}", count=1)) for c in range(20)]
                for n in range(4)
            ]
        )
        assert known(store).count == 80

    def test_closing_leaves_nothing_of_this_process(self, store, worker):
        worker.claim()
        told(store, part(worker, count=2))
        store.close()
        assert names_in(store.path / "writers") == []

    def test_what_the_dead_have_left_is_removed(self, store, worker):
        worker.claim()
        left = store.path / "writers" / "0123456789abcdef"
        left.mkdir()
        (left / "1-draft").write_bytes(b"half")
        store.sweep()
        assert left.exists()
        os.utime(left, (time.time() - 2 * LEFT,) * 2)
        store.sweep()
        assert not left.exists()

    def test_a_spawned_process_finds_the_records(self, store, worker):
        worker.claim()
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            assert pool.apply(end_it, (store.url,)) == "applied"
        assert known(store).status == "failed"


def end_it(url):
    return FileStore(url).end("job", 1, "failed").outcome


class TestLearning:
    def test_the_kinds_that_were_learnt_last_are_kept(self, store, monkeypatch):
        monkeypatch.setattr(files, "KINDS", 5)
        for number in range(9):
            store.learn(f"kind-{number}", Profile(1.0, 1))
            path = store._kind(f"kind-{number}")
            os.utime(path, (time.time() - 100 + number,) * 2)
        assert [len(store.history(f"kind-{number}")) for number in range(9)] == [0] * 4 + [1] * 5

    def test_what_is_damaged_is_learnt_anew(self, store):
        store.learn("kind", Profile(1.0, 1))
        (run,) = store._kind("kind").iterdir()
        run.write_bytes(b"{")
        assert store.history("kind") == []
        store.learn("kind", Profile(2.0, 1))
        assert [run.seconds for run in store.history("kind")] == [2.0]


class TestDiagnosis:
    def test_a_healthy_folder_is_named_with_its_file_system(self, store):
        (found,) = store.diagnose()
        assert found.level == "ok"
        if sys.platform == "linux":
            kinds = Path("/proc/filesystems").read_text().split()
            assert set(found.what.replace(",", "").split()) & {*kinds, "overlay"}

    def test_the_lack_of_hard_links_is_told(self, store, monkeypatch):
        monkeypatch.setattr(os, "link", no_links)
        assert any("no hard links" in found.what for found in store.diagnose())

    def test_making_it_says_whether_it_was_there(self, store):
        assert [store.migrate(), store.migrate()] == [True, False]


class TestReading:
    def test_what_is_replaced_within_one_stamp_is_seen(self, path):
        """A file of the same size and number: only time tells them apart, and not at once."""
        folder = Folder(path)
        folder.prepare()
        file = path / "file"
        file.write_bytes(b"1")
        stamp = file.stat().st_mtime_ns
        assert folder.read(file, int).said == 1
        file.write_bytes(b"2")
        os.utime(file, ns=(stamp, stamp))
        assert folder.read(file, int).said == 2

    def test_what_has_not_changed_for_a_while_is_not_decoded_again(self, path):
        folder = Folder(path)
        folder.prepare()
        file = path / "file"
        file.write_bytes(b"1")
        os.utime(file, (time.time() - 10,) * 2)
        decoded = []
        for _ in range(3):
            assert folder.read(file, lambda data: decoded.append(data) or int(data)).said == 1
        assert len(decoded) == 1


class TestServerClock:
    def test_the_time_is_the_file_servers_whatever_this_machine_says(self, path, monkeypatch):
        folder = Folder(path)
        folder.prepare()
        monkeypatch.setattr(time, "time_ns", lambda: 0)
        monkeypatch.setattr(time, "time", lambda: 0.0)
        path.joinpath("probe").touch()
        stamp = path.joinpath("probe").stat().st_mtime_ns
        assert abs(folder.now() - stamp) < 2_000_000_000
        assert folder.told_by_server

    def test_it_never_goes_back(self, path):
        folder = Folder(path)
        times = [folder.now() for _ in range(1000)]
        assert times == sorted(times)
