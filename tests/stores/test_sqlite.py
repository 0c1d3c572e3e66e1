"""SQLite under real faults: other processes, locks, damage, full disks, forks."""

import os
import random
import signal
import sqlite3
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from tempfile import mkdtemp

import pytest
from tests.processes import as_nobody, in_a_child, program

from headway.core.errors import InvalidValue, StoreUnavailable
from headway.core.estimate import Profile
from headway.core.snapshot import Snapshot
from headway.stores.sqlite import APPLICATION, SQLiteStore, _search, path_of, url_of
from headway.testing.store_scene import Worker, hears, known

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="faults are made as on POSIX")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "headway.db"


@pytest.fixture
def make(path):
    """Make stores on the same file; they are closed at the end."""
    made = []

    def store():
        made.append(SQLiteStore(url_of(path)))
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


def output_of(code, *arguments):
    with program(code, *arguments) as process:
        text, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return text


def until_it_works(call, tries=4):
    """What a call returns, once the store has been mended; the errors before."""
    errors = []
    while True:
        try:
            return call(), errors
        except StoreUnavailable as error:
            errors.append(error)
            if len(errors) == tries:
                raise


def asides(path):
    return [
        one for one in path.parent.glob("*.damaged-*") if not one.name.endswith(("-wal", "-shm", "-journal"))
    ]


def is_sound(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


WRITER = """
import sys, time
from headway.core.errors import StoreUnavailable
from headway.core.snapshot import Snapshot
from headway.stores import open_store
store, name, writes = open_store(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def until_it_works(call):  # as a publisher does: the lock may be out of reach with 50 processes on one core
    while True:
        try:
            return call()
        except StoreUnavailable as error:
            assert "locked" in str(error), error
            time.sleep(0.05)
opened = until_it_works(lambda: store.open(Snapshot(id=name, run=name))).opened
for count in range(writes + 1):
    status = "running" if count < writes else "completed"
    record = Snapshot(id=name, run=name, attempt=opened.attempt, step=count + 1, status=status, count=count)
    assert until_it_works(lambda: store.write([record]))[name].accepted
    print(count, flush=True)
"""


class TestOtherProcesses:
    def test_fifty_writers_share_a_file_that_none_of_them_has_made_before(self, store, path):
        writers = [program(WRITER, store.url, f"job-{number}", 20) for number in range(50)]
        for writer in writers:
            writer.communicate(timeout=100)
        assert [writer.returncode for writer in writers] == [0] * 50
        jobs = store.find(limit=200)
        assert len(jobs) == 50
        assert {(job.status, job.count) for job in jobs} == {("completed", 20)}
        assert is_sound(path)

    def test_nothing_acknowledged_is_lost_when_writers_are_killed(self, store, path):
        for turn in range(20):
            with program(WRITER, store.url, f"job-{turn}", 1_000_000) as writer:
                writer.stdout.readline()
                time.sleep(random.random() * 0.05)
                writer.send_signal(signal.SIGKILL)
                acknowledged = [line for line in writer.stdout.read().splitlines() if line.isdigit()]
            count = known(store, f"job-{turn}").count
            assert count >= int((acknowledged or ["0"])[-1])
        assert is_sound(path)

    def test_a_store_that_another_program_holds_is_unavailable_soon_and_works_again_later(self, store, path):
        worker = Worker(store)
        worker.claim()
        hold = (
            "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN EXCLUSIVE');"
            "print('held', flush=True); time.sleep(60)"
        )
        with program(hold, path) as holder:
            holder.stdout.readline()
            began = time.monotonic()
            with pytest.raises(StoreUnavailable, match="locked") as caught:
                worker.report(count=1)
            assert time.monotonic() - began < 1.5
            assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
            assert known(store).status == "running"
            holder.kill()
        assert worker.beat().accepted
        assert known(store).count == 1

    def test_a_wal_in_use_outlives_another_program_that_closes_the_file(self, store, worker, path):
        """A process that opens and closes the file itself would drop its own locks on it."""
        worker.claim()
        known(store)
        worker.report(count=1)
        look = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT id FROM job')"
        assert output_of(f"{look}; c.close()", path) == ""
        assert Path(f"{path}-wal").exists()
        worker.report(count=2)
        read = "import sys; from headway.stores import open_store; store = open_store(sys.argv[1])"
        read += "; print(store.read(['job'])['job'].count)"
        assert output_of(read, store.url) == "2\n"

    def test_a_wal_stays_small_and_shrinks_again_after_a_long_read(self, worker, path):
        worker.claim()
        wal = Path(f"{path}-wal")
        for count in range(1_000):
            worker.report(count=count)
        assert wal.stat().st_size < 8 * 1024 * 1024
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM job").fetchall()
            for count in range(1_000):
                worker.report(count=count)
            reader.execute("ROLLBACK")
        for count in range(100):
            worker.report(count=count)
        assert wal.stat().st_size <= 4 * 1024 * 1024

    def test_two_hundred_forks_while_a_thread_writes(self, tmp_path):
        forks = """
import os, sys, threading, time
from headway.stores import open_store
from headway.testing.store_scene import Worker
store = open_store(sys.argv[1])
going = True
def write():
    worker = Worker(store, "parent")
    worker.claim()
    while going:
        worker.report()
        time.sleep(0.001)
thread = threading.Thread(target=write)
thread.start()
failed = 0
for number in range(200):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            worker = Worker(store, f"child-{number}")
            worker.claim()
            code = 0 if worker.report("completed").accepted else 1
        finally:
            os._exit(code)
    failed += os.waitpid(child, 0)[1] != 0
going = False
thread.join()
jobs = store.read([f"child-{number}" for number in range(200)])
print(failed, len(jobs), {job.status for job in jobs.values()})
"""
        path = tmp_path / "headway.db"
        assert output_of(forks, url_of(path)) == "0 200 {'completed'}\n"
        assert is_sound(path)

    def test_a_child_that_inherited_an_open_connection_leaves_the_file_alone(
        self, store, worker, monkeypatch
    ):
        """As after a fork in C, which runs no hook before it."""
        worker.claim()
        monkeypatch.setattr("headway.stores.sqlite.FORK", 0.01)
        with store._transaction():
            error = in_a_child(lambda: SQLiteStore(store.url).read(["job"]))
        assert isinstance(error, StoreUnavailable)
        assert "forked" in str(error)
        assert in_a_child(lambda: known(store).status) == "running"
        assert worker.report().accepted

    def test_a_child_that_exits_leaves_its_parents_connection_alone(self, store, worker):
        worker.claim()
        quiet = in_a_child(lambda: None)
        closed = in_a_child(store.close)
        assert quiet is closed is None
        assert in_a_child(lambda: known(store).status) == "running"
        assert worker.report(count=1).accepted

    def test_what_nobody_closed_is_closed_without_a_word_when_the_names_of_modules_are_gone(
        self, store, worker, monkeypatch
    ):
        """As at the interpreter's exit, where something outlives the modules."""
        worker.claim()
        state = store._writer._state
        connection = state.connection
        monkeypatch.setattr("headway.stores.sqlite.os", None)
        monkeypatch.setattr("headway.stores.sqlite.suppress", None)
        state.__del__()
        monkeypatch.undo()
        with pytest.raises(sqlite3.ProgrammingError):
            connection.execute("SELECT 1")


class TestPlaces:
    @pytest.mark.parametrize(
        ("url", "file"),
        [
            ("sqlite:////var/x/h.db", "/var/x/h.db"),
            ("sqlite:////var/x/a b.db", "/var/x/a b.db"),
            ("sqlite:////var/x/a%20b%3F%23%25.db", "/var/x/a b?#%.db"),
            ("sqlite:////var/x/進捗/é.db", "/var/x/進捗/é.db"),
            ("sqlite:///h.db", f"{Path.cwd()}/h.db"),
            ("sqlite:///C:/Users/x/h.db", f"{Path.cwd()}/C:/Users/x/h.db"),
            ("sqlite:///~/h.db", f"{Path.home()}/h.db"),
        ],
    )
    def test_a_url_names_a_file_and_a_file_a_url(self, url, file):
        assert path_of(url).as_posix() == file
        assert path_of(url_of(path_of(url))) == path_of(url)

    @pytest.mark.parametrize(
        "url",
        ["sqlite://", "sqlite:///", "sqlite://h.db", "sqlite:////var/x/", "sqlite:///:memory:", "sqlite:///h.db?mode=ro",
         "sqlite:///h.db#x", "sqlite:///a%00b", "sqlite:///~nobody-of-this-name/h.db"],
    )  # fmt: skip
    def test_any_other_url_is_refused_before_anything_is_touched(self, url):
        with pytest.raises(InvalidValue, match="url="):
            SQLiteStore(url)

    def test_a_relative_url_is_the_same_file_wherever_a_child_goes(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        store = SQLiteStore("sqlite:///h.db")
        assert store.url == url_of(tmp_path / "h.db")

    def test_missing_folders_are_made(self, tmp_path):
        path = tmp_path / "a" / "b c" / "日本" / "h.db"
        store = SQLiteStore(url_of(path))
        assert Worker(store).claim().accepted
        assert path.parent.stat().st_mode & 0o077 == 0
        store.close()

    def test_a_link_to_a_file_is_followed(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "h.db").symlink_to(tmp_path / "real" / "h.db")
        store = SQLiteStore(url_of(tmp_path / "h.db"))
        Worker(store).claim()
        store.close()
        assert (tmp_path / "h.db").is_symlink()
        assert is_sound(tmp_path / "real" / "h.db")

    def test_a_folder_is_no_store(self, tmp_path):
        with pytest.raises(StoreUnavailable, match="folder"):
            SQLiteStore(url_of(tmp_path)).read(["job"])

    def test_a_file_where_a_folder_should_be_is_said_so(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreUnavailable):
            SQLiteStore(url_of(tmp_path / "file" / "h.db")).read(["job"])

    def test_what_cannot_be_written_is_unavailable_with_advice(self):
        folder = Path(mkdtemp())
        folder.chmod(0o755)
        store = SQLiteStore(url_of(folder / "h.db"))
        error = as_nobody(lambda: Worker(store).claim())
        assert isinstance(error, StoreUnavailable)
        assert "HEADWAY_STORE" in str(error)
        assert list(folder.iterdir()) == []
        worker = Worker(store)
        worker.claim()
        store.close()
        error = as_nobody(worker.report)
        assert isinstance(error, StoreUnavailable)
        assert "HEADWAY_STORE" in str(error)
        assert worker.report().accepted
        store.close()

    def test_an_empty_file_is_taken_over(self, store, path):
        path.touch()
        assert Worker(store).claim().accepted
        assert is_sound(path)

    def test_a_name_with_a_lone_surrogate_finds_nothing_and_breaks_nothing(self, store, worker):
        worker.claim()
        assert store.read(["\ud800", "job"]).keys() == {"job"}
        with pytest.raises(InvalidValue):
            store.find(scope="\ud800")


class TestOthersFiles:
    @pytest.fixture(params=["text", "empty table", "wal", "application"])
    def foreign(self, request, path):
        """A file of another program, and what is in its folder."""
        if request.param == "text":
            path.write_text("dear diary " * 1_000)
        else:
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                if request.param == "wal":
                    connection.execute("PRAGMA journal_mode = WAL")
                if request.param == "application":
                    connection.execute("PRAGMA application_id = 5")
                connection.execute("CREATE TABLE job (id TEXT)")
        return {file.name: file.read_bytes() for file in path.parent.iterdir()}

    def test_a_file_of_another_program_is_refused_and_not_touched(self, foreign, make, path):
        for store in (make(), make()):
            for call in (
                lambda s=store: s.read(["job"]),
                lambda s=store: Worker(s).claim(),
                store.sweep,
                store.find,
            ):
                with pytest.raises(StoreUnavailable, match="something else"):
                    call()
        assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == foreign

    def test_a_file_that_another_program_puts_in_the_place_of_ours_is_not_touched(self, store, worker, path):
        worker.claim()
        store.close()
        for ending in ("", "-wal", "-shm"):
            Path(f"{path}{ending}").unlink(missing_ok=True)
        path.write_text("dear diary")
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="something else"):
                worker.report()
        assert path.read_text() == "dear diary"
        assert asides(path) == []
        path.unlink()
        assert worker.report().outcome == "rebuilt"

    def test_a_database_that_another_program_put_in_the_place_of_ours_is_not_touched(
        self, worker, path, tmp_path
    ):
        worker.claim()
        with closing(sqlite3.connect(tmp_path / "theirs.db")) as connection:
            connection.execute("CREATE TABLE job (id TEXT)")
        before = (tmp_path / "theirs.db").read_bytes()
        (tmp_path / "theirs.db").replace(path)
        with pytest.raises(StoreUnavailable, match="something else"):
            worker.report()
        assert path.read_bytes() == before


class TestLoss:
    def test_a_file_that_is_deleted_while_open_is_made_anew_and_shared(self, make, path):
        first, second = Worker(make(), "a"), Worker(make(), "b")
        for worker in (first, second):
            worker.claim()
            known(worker.store, worker.id)
        path.unlink()
        assert [worker.report(count=1).outcome for worker in (first, second, first)] == [
            "rebuilt",
            "rebuilt",
            "applied",
        ]
        for store in (first.store, second.store, make()):
            assert set(store.read(["a", "b"])) == {"a", "b"}
        assert is_sound(path)

    def test_a_folder_that_is_deleted_while_open_is_made_anew(self, tmp_path):
        path = tmp_path / "state" / "headway.db"
        store = SQLiteStore(url_of(path))
        worker = Worker(store)
        worker.claim()
        for file in path.parent.iterdir():
            file.unlink()
        path.parent.rmdir()
        assert worker.report().outcome == "rebuilt"
        store.close()

    def test_a_file_that_is_replaced_by_another_of_ours_is_taken_up(self, make, path, tmp_path):
        worker, watching = Worker(make()), make()
        worker.claim()
        other = SQLiteStore(url_of(tmp_path / "other.db"))
        Worker(other, "other").claim()
        other.close()
        worker.store.close()
        (tmp_path / "other.db").replace(path)
        assert set(watching.read(["job", "other"])) == {"other"}
        assert worker.report(count=5).outcome == "rebuilt"
        assert set(watching.read(["job", "other"])) == {"job", "other"}

    def test_who_listens_hears_of_what_comes_after_a_loss(self, make, path):
        subscription = make().listen()
        subscription.add(["job"], ["s"])
        worker, other = Worker(make()), Worker(make(), "other", scope="s")
        worker.claim()
        assert hears(subscription, "job")
        path.unlink()
        worker.report(count=1)
        other.claim()
        assert hears(subscription, "job", "other")
        worker.report(count=2)
        assert hears(subscription, "job")
        subscription.close()

    def test_forty_processes_that_meet_a_deleted_file_agree_on_one(self, path):
        store = SQLiteStore(url_of(path))
        Worker(store, "first").claim()
        store.close()
        path.unlink()
        children = []
        for number in range(40):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    code = 0 if Worker(store, f"job-{number}").claim().accepted else 2
                finally:
                    os._exit(code)
            children.append(child)
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * 40
        assert len(store.read([f"job-{number}" for number in range(40)])) == 40
        assert is_sound(path)
        store.close()


class TestDamage:
    @pytest.fixture
    def filled(self, make):
        """A store with many jobs, closed, so that all is in its file."""
        store = make()
        for number in range(150):
            worker = Worker(store, f"job-{number}", name="x" * 150)
            store.open(worker.record())
        store.close()
        return store

    def garble(self, path, start, length):
        with path.open("r+b") as file:
            file.seek(start)
            file.write(random.Random(start).randbytes(length))

    def read_all_and_write(self, store):
        store.read([f"job-{number}" for number in range(150)])
        store.find(status=["running"], limit=200)
        worker = Worker(store, "new")
        worker.claim()
        return worker.report(count=1).accepted

    @pytest.mark.parametrize("start", [16, 100, 4_096, 20_000, 40_000])
    def test_a_file_of_ours_that_is_garbled_is_put_aside_and_begun_anew(self, start, filled, path):
        self.garble(path, start, 52 if start == 16 else 30_000)
        damaged = path.read_bytes()
        assert self.read_all_and_write_until_it_works(filled)
        assert known(filled, "new").count == 1
        if asides(path):
            assert asides(path)[0].read_bytes()[:4_096] == damaged[:4_096]
        assert asides(path) or start > 4_096

    def read_all_and_write_until_it_works(self, store):
        done, _ = until_it_works(lambda: self.read_all_and_write(store))
        return done

    def test_a_header_that_is_garbled_while_the_file_is_open_is_healed(self, filled, path):
        filled.read(["job-0"])
        self.garble(path, 0, 100)
        done, errors = until_it_works(lambda: self.read_all_and_write(filled))
        assert done
        assert len(errors) == 1
        assert len(asides(path)) == 1

    @pytest.mark.usefixtures("filled")
    def test_a_header_that_is_garbled_tells_nobody_that_the_file_was_ours(self, make, path):
        self.garble(path, 0, 100)
        before = path.read_bytes()
        with pytest.raises(StoreUnavailable, match="something else"):
            make().read(["job"])
        assert path.read_bytes() == before

    @pytest.mark.parametrize("left", [0, 4_096, 20_000])
    def test_a_file_that_is_cut_short_is_healed(self, left, filled, path):
        with path.open("r+b") as file:
            file.truncate(left)
        assert self.read_all_and_write_until_it_works(filled)
        assert known(filled, "new").count == 1

    def test_processes_that_heal_at_once_keep_one_good_file(self, filled, path):
        self.garble(path, 16, 52)
        children = []
        for number in range(8):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    worker = Worker(filled, f"healer-{number}")
                    until_it_works(worker.claim, tries=20)
                    code = 0 if until_it_works(worker.report, tries=20)[0].accepted else 2
                finally:
                    os._exit(code)
            children.append(child)
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * 8
        assert len(filled.read([f"healer-{number}" for number in range(8)])) == 8
        assert len(asides(path)) == 1
        assert is_sound(path)

    def test_a_full_disk_is_unavailable_and_room_heals_it(self, path):
        resource = pytest.importorskip("resource")

        def child():
            store = SQLiteStore(url_of(path))
            worker = Worker(store)
            worker.claim()
            size = Path(f"{path}-wal").stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (max(size, path.stat().st_size) + 5_000, -1))
            errors = set()
            for count in range(300):
                try:
                    worker.report(count=count, activity="x" * 400)
                except StoreUnavailable as error:
                    errors.add(str(error))
            resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
            return errors, worker.report(count=999).accepted, known(store).count

        errors, accepted, count = in_a_child(child)
        assert errors
        assert all("room" in error for error in errors)
        assert (accepted, count) == (True, 999)
        assert is_sound(path)

    def test_a_disk_that_is_full_from_the_start_leaves_nothing_half_made(self, path):
        resource = pytest.importorskip("resource")

        def child():
            store = SQLiteStore(url_of(path))
            resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, -1))
            with pytest.raises(StoreUnavailable):
                Worker(store).claim()
            exists = path.exists()
            resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
            return exists, Worker(store).claim().accepted

        assert in_a_child(child) == (False, True)


class TestInside:
    def test_a_newer_versions_column_is_kept(self, worker, path):
        worker.claim()
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("ALTER TABLE job ADD COLUMN sparkle TEXT")
            connection.execute("UPDATE job SET sparkle = 'yes'")
        worker.report(count=1)
        worker.store.request_cancel("job")
        worker.store.end("job", 1, "failed")
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT sparkle, status FROM job").fetchone() == ("yes", "failed")

    def test_the_file_says_whose_it_is(self, worker, path):
        worker.claim()
        worker.store.close()
        assert path.read_bytes()[68:72] == APPLICATION.to_bytes(4, "big") == b"hdwy"

    def test_a_job_in_a_file_loads_nothing_of_the_network(self, store):
        code = "import headway, sys; headway.connect(sys.argv[1]).job('Import').start().complete(); "
        loaded = output_of(code + "print(*sys.modules)", store.url).split()
        assert {"sqlite3", "headway.worker.publisher"} <= set(loaded)
        assert {"socket", "ssl", "urllib.request"}.isdisjoint(loaded)

    @pytest.mark.parametrize(
        ("search", "index"),
        [
            ({}, "job_created"),
            ({"scope": "a"}, "job_scope"),
            ({"scope": "a", "status": ["running"]}, "job_scope"),
            ({"parent": "a"}, "job_parent"),
            ({"status": ["running", "failed"]}, "job_status"),
        ],
    )
    def test_what_a_search_costs_grows_with_its_answer(self, search, index, worker, path):
        worker.claim()
        query, values = _search(
            search.get("scope"), search.get("parent"), search.get("status", ()), None, limit=51, now=0
        )
        with closing(sqlite3.connect(path)) as connection:
            plan = [row[-1] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values)]
        looks = [line for line in plan if " job " in line]
        assert any(index in line for line in looks)
        assert all("INDEX" in line for line in looks)

    def test_dropped_jobs_are_remembered_for_a_bounded_time(self, make, path, monkeypatch):
        monkeypatch.setattr("headway.stores.sqlite.GONE", 5)
        store = make()
        for number in range(20):
            worker = Worker(store, f"job-{number}")
            worker.claim()
            worker.report("completed")
            store.forget(worker.id)
        with closing(sqlite3.connect(path)) as connection:
            (kept,) = connection.execute("SELECT count(*) FROM gone").fetchone()
        assert kept <= 20

    def test_threads_share_a_store(self, store):
        failures = []

        def write(number):
            try:
                worker = Worker(store, f"job-{number}")
                worker.claim()
                for count in range(20):
                    worker.report(count=count)
                    assert known(store, worker.id).count == count
            except Exception as error:  # noqa: BLE001 - the main thread looks at it
                failures.append(error)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []

    def test_an_error_in_a_transaction_leaves_nothing_behind(self, store, worker):
        worker.claim()
        with pytest.raises(AttributeError), store._transaction() as kept:
            kept.drop("job").and_fail()
        assert known(store).status == "running"
        assert worker.report().accepted

    def test_a_record_is_a_snapshot(self, store):
        assert isinstance(store.open(Snapshot(id="job", run="r")).opened, Snapshot)


def test_the_kinds_that_were_learnt_last_are_kept(store, monkeypatch):
    monkeypatch.setattr("headway.stores.sqlite.KINDS", 5)
    for kind in (*range(8), 3):
        store.learn(f"kind-{kind}", Profile(1.0, 1))
    assert [kind for kind in range(8) if store.history(f"kind-{kind}")] == [3, 4, 5, 6, 7]
