"""F24, F26, F27, F28: files under pressure, mixed versions, the end of a record's time, and odd text."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.faults.scene import LEASE, on
from tests.processes import eventually, run

from headway.core import text, wire
from headway.core.errors import InvalidValue
from headway.core.snapshot import NAME, Part, Snapshot
from headway.stores import open_store
from headway.testing.store_scene import every_page

MEGABYTE = 2**20


@pytest.mark.parametrize(
    ("writers", "seconds"),
    [(6, 3), pytest.param(50, 30, marks=[pytest.mark.nightly, pytest.mark.timeout(300)])],
)
@on("sqlite")
def test_f24_many_writers_and_a_long_reader_hold_nobody_up_and_the_log_shrinks_afterwards(
    hw, begin, tmp_path, writers, seconds
):
    script = """
    until = time.monotonic() + float(sys.argv[2])
    with hw.job("Import", scope="all") as job:
        while time.monotonic() < until:
            job.advance(activity="x" * 400)
            time.sleep(0.001)
    """
    workers = [begin(script, hw.store.url, seconds) for _ in range(writers)]
    eventually(lambda: len(hw.find(scope="all")) == writers, 60, every=0.1)
    path = tmp_path / "jobs.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM job").fetchone()
        for worker in workers:
            out, errors = worker.communicate(timeout=seconds + 60)
            assert (worker.returncode, out, errors) == (0, "", "")
        reader.execute("ROLLBACK")  # no log can shrink while somebody reads what was before it
    for _ in range(3):
        with hw.job("After"):
            pass
    assert Path(f"{path}-wal").stat().st_size < 8 * MEGABYTE
    assert {job.status for job in hw.find(scope="all", limit=200)} == {"completed"}


NEWER = """
import msgspec
from headway.core import wire
encode = wire.encode_facts
wire.encode_facts = lambda record: msgspec.json.encode(
    msgspec.json.decode(encode(record)) | {"format": 2, "colour": "red"}
)
job = hw.job("Import", id="one", total=4, scope="all").start()
job.advance(2)
while hw.get("one").count != 2:
    time.sleep(0.01)
hw.close()
"""
"""A worker of a version to come, whose facts say more than is known here; then it dies."""


def facts_of(store, monkeypatch):
    """What is kept of the job, as it is kept."""
    kept = []
    decode = wire.decode_record

    def look(head, facts, details=None):
        kept.append(bytes(facts, "utf-8") if isinstance(facts, str) else bytes(facts))
        return decode(head, facts, details)

    with monkeypatch.context() as patched:
        patched.setattr(wire, "decode_record", look)
        store.read(["one"])
    return kept[-1]


def test_f26_an_older_version_reads_newer_records_and_takes_nothing_from_them(hw, monkeypatch):
    code, _, errors = run(NEWER.replace("hw.close()", "os._exit(0)"), hw.store.url)
    assert (code, errors) == (0, "")
    before = facts_of(hw.store, monkeypatch)
    assert b'"colour":"red"' in before
    hw.store.write([], [Part("one", 1, "hand", count=1)])
    assert hw.cancel("one")
    assert hw.store.end("one", 1, "failed").accepted
    seen = hw.get("one", details=True)
    assert (seen.count, seen.total, seen.name, seen.status) == (3, 4, "Import", "failed")
    assert [job.id for job in hw.find(scope="all")] == ["one"]
    assert facts_of(hw.store, monkeypatch) == before


OLDER = """
import msgspec
from headway.core import wire
encode = wire.encode_facts
known = {"name", "count", "total"}
wire.encode_facts = lambda record: msgspec.json.encode(
    {name: value for name, value in msgspec.json.decode(encode(record)).items() if name in known}
)
with hw.job("Import", id="one", total=4, scope="all", unit="rows") as job:
    job.advance(4)
"""


def test_f26_what_an_older_version_did_not_say_has_its_default(hw):
    code, _, errors = run(OLDER, hw.store.url)
    assert (code, errors) == (0, "")
    seen = hw.get("one")
    assert (seen.status, seen.count, seen.percent, seen.unit, seen.worker) == (
        "completed",
        4,
        100,
        None,
        None,
    )


@pytest.fixture
def things_kept(engine, request, tmp_path, space):
    """How many things of jobs a store holds: keys, rows, markers."""

    def keys():
        with request.getfixturevalue("server").client() as client:
            keys = client.keys(f"{space}:*")
            return sum(client.zcard(key) if client.type(key) == b"zset" else 1 for key in keys)

    def rows():
        with closing(sqlite3.connect(tmp_path / "jobs.db")) as database:
            return database.execute("SELECT count(*) FROM job WHERE id LIKE 'job-%'").fetchone()[0]

    def rows_on_a_server():
        server = request.getfixturevalue("server")
        return server.execute(f"SELECT count(*) FROM {space}.job WHERE id LIKE 'job-%%'")[0][0]  # noqa: S608

    def markers():  # folders of jobs are kept for an hour
        root = tmp_path / "jobs"
        return sum(
            1 for path in root.rglob("*") if path.is_file() and path.relative_to(root).parts[0] != "jobs"
        )

    return {"redis": keys, "sqlite": rows, "postgres": rows_on_a_server, "files": markers}[engine]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("jobs", [120, pytest.param(10_000, marks=pytest.mark.nightly)])
def test_f27_what_has_ended_goes_in_time_and_what_runs_stays(hw, jobs, things_kept):
    store = hw.store
    ids = [f"job-{number}" for number in range(jobs)]
    for id in ids:
        record = Snapshot(id=id, run="a", status="running", scope="all", lease=0.1, retention=1.0)
        store.write([with_facts(store.open(record).opened, status="completed")])
    before = things_kept()
    assert before > jobs / 2 or jobs > 1000  # of so many some have gone by now
    with hw.job("Import", id="runs", scope="all", lease=LEASE, retention=0.1):
        time.sleep(1.5)
        while store.sweep():
            pass
        assert store.read(ids) == {}
        assert every_page(store, 200, scope="all") == ["runs"]
        assert store.find(scope="all", status=["completed"]).jobs == ()
        assert things_kept() < before / 2  # a folder knows of each job for another hour
        assert hw.get("runs").status == "running"


def with_facts(opened, **facts):
    """The next report of a job that was just opened."""
    return replace(opened, step=1, **facts)


odd = st.text(max_size=300) | st.text(
    st.sampled_from("\r\n\x00/\\.{}:*?~%'\"\x1b\ud800\u2028é"), min_size=1, max_size=300
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_f28_any_text_comes_back_or_is_refused_and_no_two_ids_meet(hw, data):
    name, message, scope = (data.draw(odd, label) for label in ("name", "message", "scope"))
    ids = data.draw(st.lists(odd, min_size=2, max_size=2, unique=True), "ids")
    made = []
    for id in ids:
        try:
            with hw.job(name, id=id, scope=scope) as job:
                job.message(message)
                job.advance(len(made) + 1)
        except InvalidValue:
            continue
        made.append(id)
    for number, id in enumerate(made, 1):
        seen = hw.get(id, details=True)
        assert (seen.id, seen.count, seen.scope) == (id, number, scope)
        assert seen.name == text.line(name, NAME)
        assert id in {job.id for job in hw.find(scope=scope)}


parts_of_ids = st.text("aA._:~@-0", max_size=6)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    ids=st.lists(
        st.builds("{}{}".format, st.sampled_from("aA0"), parts_of_ids), min_size=2, max_size=8, unique=True
    )
)
def test_f28_ids_that_look_alike_are_jobs_of_their_own(address, ids):
    with closing(open_store(address)) as store:
        for number, id in enumerate(ids):
            opened = store.open(Snapshot(id=id, run=f"run {number}", status="running", scope=id)).opened
            store.write([with_facts(opened, status="completed", count=number)])
            store.write([], [Part(id, opened.attempt, "hand", count=1)])
        found = store.read(ids)
        assert {id: found[id].count for id in ids} == {id: number for number, id in enumerate(ids)}
        for id in ids:
            assert [job.id for job in store.find(scope=id)] == [id]
            assert store.forget(id)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(odd_id=odd)
def test_f28_an_odd_id_finds_nothing_and_harms_nothing(hw, odd_id):
    """Web doors ask for whatever stands in the address."""
    store = hw.store
    store.open(Snapshot(id="job", run="a", status="running"))
    assert store.read([odd_id, "job"]).keys() == {"job"}
    for ask in (hw.get, hw.cancel, hw.forget, lambda id: hw.find(scope=id).jobs):
        try:
            found = ask(odd_id)
        except InvalidValue:
            continue
        assert not found
    assert store.read(["job"])["job"].status == "running"
