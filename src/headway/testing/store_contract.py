# ruff: noqa: ARG002, D102, PERF401, PLR0917, PT018, S101 - as in all tests: sentences, fixtures, assertions
"""What every store must hold, as tests: subclass `StoreContract` and bring a fixture ``store``.

class TestMyStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        store = MyStore(f"mine://{tmp_path}")
        yield store
        store.close()
"""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from headway.core.errors import InvalidValue
from headway.core.snapshot import ENDED, LEASE, PARTS, Details, Error, Message, Snapshot, Stage
from headway.core.transitions import moment
from headway.stores.contract import Profile
from headway.testing.life_cycle import CELLS
from headway.testing.store_scene import (
    Scene,
    Worker,
    at_once,
    every_page,
    hears,
    ids_of,
    known,
    part,
    play,
    told,
    without_ages,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from headway.stores.contract import Store

    Act = Callable[[], object]
    Lose = Callable[[str], None]
    Pass = Callable[[float], object]
    Bring = Callable[[str], Worker]

NOTE = Message(moment(0), "2 rows skipped", "warning")


class LifeCycle(Scene):
    """Which event makes what of which state."""

    @pytest.mark.parametrize(("event", "state", "cell"), CELLS)
    def test_each_event_makes_of_each_state_what_the_table_says(
        self,
        event: str,
        state: str,
        cell: str,
        store: Store,
        another: Store,
        in_state: Bring,
        clock: object,
    ) -> None:
        worker = in_state(state)
        before = store.read(["job"]).get("job")
        if event == "sweep much later":
            if clock is None:
                pytest.skip("the store's clock cannot be set")
            clock.advance(3 * 86_400)  # type: ignore[attr-defined]
            event = "sweep"
        outcome, _, now = cell.partition(" ") if cell != "no return" else (cell, "", "")
        assert play(event, worker) == outcome
        after = another.read(["job"]).get("job")
        if now:
            assert after is not None
            assert f"{after.status} {after.attempt}" == now
            assert before is None or after.version > before.version
        elif outcome == "dropped":
            assert after is None
        else:
            assert (after and without_ages(after)) == (before and without_ages(before))

    def test_an_ended_job_has_its_times(self, store: Store, worker: Worker, tick: Act) -> None:
        worker.reserve(run=None)
        tick()
        worker.claim()
        tick()
        worker.report("completed")
        job = known(store)
        assert job.created_at and job.started_at and job.ended_at
        assert job.created_at < job.started_at < job.ended_at
        assert job.fraction == 1.0

    def test_a_retry_keeps_its_creation_and_a_rerun_is_a_new_one(
        self, store: Store, worker: Worker, tick: Act
    ) -> None:
        first = worker.claim().opened
        worker.report("failed")
        tick()
        retry = worker.claim(run="2").opened
        worker.report("completed", run="2")
        tick()
        rerun = worker.claim(run="3").opened
        assert first and retry and rerun and rerun.created_at and first.created_at
        assert retry.created_at == first.created_at < rerun.created_at

    def test_a_scope_is_fixed_at_creation(self, store: Store, worker: Worker) -> None:
        worker.reserve(scope="user/1")
        worker.claim(scope="user/2")
        worker.report(scope="user/3")
        assert known(store).scope == "user/1"

    def test_a_worker_cannot_change_when_it_began(self, store: Store, worker: Worker) -> None:
        opened = worker.claim().opened
        worker.report(started_at=moment(0), created_at=moment(0))
        assert opened and known(store).started_at == opened.started_at
        assert known(store).created_at == opened.created_at

    def test_only_one_of_many_exclusive_claims_at_once_is_opened(self, store: Store, another: Store) -> None:
        claims = [
            lambda run=run: Worker((store, another)[run % 2], run=str(run)).claim(exclusive=True)
            for run in range(8)
        ]
        outcomes = [answer.outcome for answer in at_once(claims)]
        assert sorted(outcomes) == ["held"] * 7 + ["opened"]

    def test_of_many_claims_at_once_each_is_an_attempt_of_its_own(self, store: Store, another: Store) -> None:
        claims = [lambda run=run: Worker((store, another)[run % 2], run=str(run)).claim() for run in range(8)]
        assert sorted(answer.attempt for answer in at_once(claims)) == list(range(1, 9))

    def test_a_refused_claim_shows_who_holds_the_job(self, another: Store, worker: Worker) -> None:
        worker.claim(name="Import")
        worker.report(name="Import", count=2, total=8, details=Details(meta={"by": "a"}))
        told(worker.store, part(worker, count=2))
        holder = Worker(another, run="worker-2").claim(exclusive=True).snapshot
        assert holder and holder.details
        assert (holder.name, holder.percent, holder.status) == ("Import", 50, "running")
        assert holder.details.meta == {"by": "a"}

    def test_a_claim_without_a_run_is_refused(self, store: Store) -> None:
        with pytest.raises(InvalidValue):
            Worker(store, run=None).claim()
        assert store.read(["job"]) == {}

    def test_an_answer_to_open_that_was_lost_is_asked_for_again(self, another: Store, worker: Worker) -> None:
        first = worker.claim()
        again = Worker(another, run=worker.run).claim(exclusive=True)
        assert again.accepted
        assert again.opened and first.opened
        assert (again.opened.attempt, again.opened.started_at) == (1, first.opened.started_at)

    def test_a_new_attempt_starts_anew_and_keeps_messages_and_meta(
        self, store: Store, worker: Worker
    ) -> None:
        worker.claim()
        stages = (Stage("one", 1.0, 3, 3),)
        left = Details((NOTE,), Error("broken"), None, {"file": "a"})
        worker.report("failed", count=3, total=4, failed_count=1, stages=stages, details=left)
        answer = worker.claim(run="worker-2")
        assert answer.snapshot and answer.snapshot.error == Error("broken")
        job = known(store, details=True)
        assert (job.count, job.failed_count, job.stages, job.error) == (None, 0, (), None)
        assert (job.messages, job.meta) == ((NOTE,), {"file": "a"})

    def test_a_result_or_error_of_an_earlier_attempt_is_not_shown_as_this_ones(
        self, store: Store, worker: Worker
    ) -> None:
        worker.claim()
        worker.report("completed", details=Details(result=1))
        assert known(store, details=True).result == 1
        worker.claim(run="2")
        store.end("job", 2, "completed")
        assert known(store, details=True).result is None
        worker.claim(run="3")
        store.end("job", 3, "failed", Error("first"))
        worker.claim(run="4")
        store.end("job", 4, "failed")
        assert known(store, details=True).error is None

    def test_a_reservation_brings_meta_of_its_own(self, store: Store, worker: Worker) -> None:
        worker.reserve(details=Details(meta={"file": "a"}))
        worker.claim()
        worker.report("completed")
        worker.reserve(details=Details(meta={"file": "b"}))
        assert known(store, details=True).meta == {"file": "b"}


class Order(Scene):
    """Late, repeated and reordered writes, and those of workers that were replaced."""

    def test_a_late_write_changes_nothing(self, store: Store, worker: Worker) -> None:
        worker.claim()
        late = worker.record(step=1, count=1)
        worker.step = 1
        worker.report(count=2)
        before = known(store)
        assert store.write([late])["job"].outcome == "late"
        assert without_ages(known(store)) == without_ages(before)

    def test_a_batch_is_taken_in_in_order(self, store: Store, worker: Worker) -> None:
        worker.claim()
        records = [worker.record(step=step, count=step) for step in (1, 2, 3)]
        end = worker.record(step=4, count=4, status="completed")
        assert worker.send(*records, end).outcome == "applied"
        assert worker.send(*reversed(records)).outcome == "ended"
        assert (known(store).status, known(store).count) == ("completed", 4)

    def test_reports_are_taken_in_before_the_claims_that_come_with_them(
        self, store: Store, worker: Worker
    ) -> None:
        worker.claim()
        end = worker.record(step=1, status="failed")
        claims = [(worker.record(run="worker-2", attempt=0), True), (Snapshot(id="other", run="1"), False)]
        (again, other), answers = store.exchange(claims, [end], listening=["nobody's"])
        assert answers["job"].outcome == "applied" and answers["nobody's"].outcome == "missing"
        assert again.opened and (again.opened.attempt, again.run) == (2, "worker-2")
        assert other.opened and other.opened.id == "other"
        (held,), answers = store.exchange([(worker.record(run="worker-3", attempt=0), True)])
        assert (held.outcome, held.snapshot and held.snapshot.attempt, answers) == ("held", 2, {})

    def test_a_write_that_comes_twice_counts_once(self, store: Store, worker: Worker) -> None:
        worker.claim()
        version = worker.report(count=5).version
        answer = worker.beat()
        assert (answer.outcome, answer.version, known(store).count) == ("heartbeat", version, 5)

    def test_a_heartbeat_renews_durations_without_a_new_version(
        self, store: Store, worker: Worker, tick: Act
    ) -> None:
        worker.claim()
        worker.report(elapsed=1.0)
        before = known(store)
        tick()
        worker.send(worker.record(elapsed=2.0))
        after = known(store)
        assert before.seen_at and after.seen_at and after.elapsed
        assert (after.version, after.seen_at > before.seen_at) == (before.version, True)
        assert after.elapsed >= 2.0

    def test_a_worker_that_was_replaced_is_told_and_changes_nothing(
        self, store: Store, another: Store, worker: Worker
    ) -> None:
        worker.claim()
        second = Worker(another, run="worker-2")
        second.claim()
        second.report(count=1)
        for status in ("running", "retrying", *ENDED):
            answer = worker.report(status, count=99)
            assert (answer.outcome, answer.attempt, answer.run) == ("superseded", 2, "worker-2")
        assert store.end("job", 1, "failed").outcome == "superseded"
        assert (known(store).status, known(store).count) == ("running", 1)

    def test_another_run_of_the_same_attempt_is_refused(self, store: Store, worker: Worker) -> None:
        worker.claim()
        assert worker.report(run="impostor", count=9).outcome == "superseded"
        assert worker.report(run=None, count=9).outcome == "superseded"
        assert known(store).count is None

    def test_what_was_claimed_after_the_store_was_emptied_holds(
        self, store: Store, another: Store, worker: Worker, empty: Lose, tick: Act
    ) -> None:
        worker.claim(run="worker-0")
        worker.claim()
        assert worker.opened.attempt == 2
        empty("job")
        second = Worker(another, run="worker-2")
        assert second.claim().attempt == 1
        assert worker.report(count=99).outcome == "superseded"
        assert second.report(count=1).outcome == "applied"

    def test_a_worker_rebuilds_the_whole_record_after_the_store_was_emptied(
        self, store: Store, worker: Worker, empty: Lose, tick: Act
    ) -> None:
        worker.claim(run="worker-0")
        worker.claim(scope="user/1")
        version = worker.report(scope="user/1", details=Details(meta=1)).version
        empty("job")
        answer = worker.report(scope="user/1", count=7)
        assert (answer.outcome, answer.details_version) == ("rebuilt", 0)
        assert answer.version > version
        answer = worker.report(scope="user/1", count=8, details=Details(meta=1))
        assert answer.details_version == answer.version
        job = known(store, details=True)
        assert (job.attempt, job.count, job.scope, job.meta) == (2, 8, "user/1", 1)
        assert job.started_at == worker.opened.started_at

    def test_a_higher_attempt_holds_where_only_a_reservation_is_known(
        self, store: Store, worker: Worker, empty: Lose
    ) -> None:
        worker.claim(run="worker-0")
        worker.claim()
        empty("job")
        Worker(store, run=None).reserve()
        assert worker.report(count=3).accepted
        assert (known(store).status, known(store).attempt) == ("running", 2)

    def test_a_higher_attempt_leaves_behind_what_was_counted_for_a_lower_one(
        self, store: Store, worker: Worker, empty: Lose
    ) -> None:
        worker.claim(run="worker-0")
        worker.claim()
        empty("job")
        stranger = Worker(store, run=None)
        stranger.reserve()
        told(store, part(stranger, count=5))
        assert worker.report(count=3).accepted
        assert known(store).count == 3
        told(store, part(worker, count=4))
        assert known(store).count == 7

    def test_versions_rise_with_each_change_and_after_a_loss(
        self, store: Store, worker: Worker, empty: Lose, tick: Act
    ) -> None:
        versions = [worker.claim().version]
        for count in range(5):
            versions.append(worker.report(count=count).version)
        empty("job")
        versions.append(worker.report(count=5).version)
        versions.append(store.request_cancel("job").version)
        versions.append(store.end("job", 1, "stopped").version)
        tick()
        versions.append(worker.claim(run="worker-2").version)
        assert versions == sorted(set(versions))
        assert versions[-1] < 2**53

    def test_of_many_ends_at_once_exactly_one_counts(self, store: Store, another: Store) -> None:
        for turn in range(10):
            worker = Worker(store, f"job-{turn}")
            worker.claim()
            ends = [
                lambda turn=turn, status=status, handle=handle: handle.end(f"job-{turn}", 1, status)
                for status in sorted(ENDED)
                for handle in (store, another)
            ]
            answers = at_once(ends)
            assert [answer.outcome for answer in answers].count("applied") == 1
            assert {answer.status for answer in answers} == {known(store, worker.id).status}

    def test_cancel_and_complete_at_once_agree_on_one_end(self, store: Store, another: Store) -> None:
        for turn in range(10):
            worker = Worker(store, f"job-{turn}", run=None)
            worker.reserve()
            asked, done = at_once(
                [
                    partial(another.request_cancel, worker.id),
                    partial(worker.report, "completed"),
                ]
            )
            status = known(store, worker.id).status
            assert (asked.accepted, done.accepted) == (status == "cancelled", status == "completed")


class Cancel(Scene):
    """A request to stop is never lost."""

    def test_a_request_outlives_any_progress_write(
        self, store: Store, another: Store, worker: Worker
    ) -> None:
        worker.claim()
        another.request_cancel("job")
        for count in range(3):
            assert worker.report(count=count).cancel == "requested"
        assert known(store).cancel_requested

    def test_a_request_is_heard_by_whoever_listens(
        self, store: Store, another: Store, worker: Worker
    ) -> None:
        worker.claim()
        assert store.write([], listening=["job", "nobody"])["job"].cancel is None
        another.request_cancel("job")
        answers = store.write([], listening=["job", "nobody"])
        assert (answers["job"].outcome, answers["job"].cancel) == ("heard", "requested")
        assert answers["nobody"].outcome == "missing"

    def test_a_request_that_was_seen_stays_seen(self, store: Store, worker: Worker) -> None:
        worker.claim()
        store.request_cancel("job")
        version = known(store).version
        assert worker.report(cancel="seen").version > version
        assert store.request_cancel("job").outcome == "same"
        assert worker.report().cancel == "seen"

    def test_an_acknowledgement_alone_is_a_change(self, store: Store, worker: Worker) -> None:
        worker.claim()
        worker.report()
        version = store.request_cancel("job").version
        assert worker.send(worker.record(cancel="seen")).version > version
        assert known(store).cancel == "seen"

    def test_nobody_can_invent_a_request(self, store: Store, worker: Worker) -> None:
        worker.claim()
        worker.report(cancel="seen")
        assert known(store).cancel is None

    def test_a_job_that_completes_before_it_sees_the_request_has_completed(
        self, store: Store, worker: Worker
    ) -> None:
        worker.claim()
        store.request_cancel("job")
        worker.report("completed")
        assert (known(store).status, known(store).cancel) == ("completed", "requested")

    def test_a_request_belongs_to_the_job_and_is_carried_over_to_its_next_attempt(
        self, store: Store, worker: Worker
    ) -> None:
        worker.claim()
        store.request_cancel("job")
        worker.report(cancel="seen")
        second = Worker(store, run="worker-2").claim().opened
        assert second and (second.attempt, second.cancel) == (2, "requested")

    def test_a_claim_of_an_ended_job_clears_the_request(self, store: Store, worker: Worker) -> None:
        worker.claim()
        store.request_cancel("job")
        worker.report("completed", cancel="seen")
        second = Worker(store, run="worker-2").claim().opened
        assert second and second.cancel is None

    def test_what_was_cancelled_before_it_ran_runs_only_after_a_new_reservation(
        self, store: Store, in_state: Bring
    ) -> None:
        in_state("unspent")
        for run in ("redelivered", "again"):
            assert Worker(store, run=run).claim().outcome == "cancelled"
        assert Worker(store, run=None).reserve().outcome == "opened"
        assert Worker(store, run="worker-3").claim().outcome == "opened"

    def test_a_stalled_job_that_was_asked_ends_at_the_sweep(
        self, store: Store, worker: Worker, stall: Act
    ) -> None:
        worker.claim()
        store.request_cancel("job")
        store.sweep()
        assert known(store).status == "running"
        stall()
        store.sweep()
        assert (known(store).status, known(store).cancel) == ("cancelled", "requested")
        assert Worker(store, run="redelivered").claim().outcome == "cancelled"

    def test_a_worker_that_saw_the_request_and_died_leaves_a_cancelled_job(
        self, store: Store, worker: Worker, stall: Act
    ) -> None:
        worker.claim()
        store.request_cancel("job")
        worker.report(cancel="seen")
        stall()
        store.sweep()
        assert known(store).status == "cancelled"

    def test_a_job_past_its_point_of_no_return_is_not_cancelled_when_it_stalls(
        self, store: Store, worker: Worker, stall: Act
    ) -> None:
        worker.claim()
        store.request_cancel("job")
        worker.report(cancellable=False)
        stall()
        store.sweep()
        assert store.request_cancel("job").outcome == "no return"
        assert known(store).status == "stalled"


class Time(Scene):
    """Leases, retention and the store's own clock."""

    def test_a_silent_worker_reads_as_stalled_and_as_running_when_it_speaks_again(
        self, store: Store, worker: Worker, stall: Act
    ) -> None:
        worker.claim()
        version = worker.report(elapsed=1.0).version
        stall()
        silent = known(store)
        assert (silent.status, silent.version) == ("stalled", version)
        assert silent.silent_for and silent.silent_for > silent.lease
        assert worker.beat().version > version
        assert known(store).status == "running"

    def test_reading_advances_the_clocks_of_a_running_job(
        self, store: Store, another: Store, worker: Worker, pass_time: Pass, lease: float
    ) -> None:
        worker.facts["lease"] = 2 * LEASE
        worker.claim()
        worker.report(elapsed=10.0, idle_for=1.0, remaining=50.0)
        pass_time(lease / 3)
        job = known(another)
        assert job.silent_for and job.silent_for > lease / 6  # a clock may be coarse
        assert job.elapsed == pytest.approx(10 + job.silent_for)
        assert job.idle_for == pytest.approx(1 + job.silent_for)
        assert job.remaining == pytest.approx(50 - job.silent_for)

    def test_an_ended_jobs_clocks_stand_still(self, store: Store, worker: Worker, stall: Act) -> None:
        worker.claim()
        worker.report("failed", elapsed=10.0, remaining=5.0)
        stall()
        job = known(store)
        assert (job.elapsed, job.remaining, job.silent_for, job.status) == (10.0, None, None, "failed")

    def test_a_live_record_does_not_expire(
        self, store: Store, worker: Worker, pass_time: Pass, lease: float
    ) -> None:
        worker.facts["retention"] = lease
        worker.claim()
        for _ in range(5):
            pass_time(lease / 2)
            worker.beat()
            assert store.sweep() == 0
        assert known(store).status == "running"

    def test_an_ended_record_goes_when_its_retention_is_over(
        self, store: Store, worker: Worker, pass_time: Pass, lease: float
    ) -> None:
        worker.facts["retention"] = lease / 2
        worker.claim()
        worker.report("completed")
        assert store.sweep() == 0
        pass_time(lease * 1.6)
        assert store.sweep() == 1
        assert (store.read(["job"]), store.sweep()) == ({}, 0)

    def test_no_write_shortens_retention(self, store: Store, worker: Worker, tick: Act) -> None:
        worker.claim()
        expiries = [known(store).expires_at]
        worker.facts["retention"] = 1.0
        for act in (worker.report, worker.beat, lambda: store.request_cancel("job")):
            tick()
            act()
            expiries.append(known(store).expires_at)
        worker.report("completed")
        expiries.append(known(store).expires_at)
        worker.claim(run="worker-2")
        expiries.append(known(store).expires_at)
        assert all(expiries)
        assert expiries == sorted(expiries)  # type: ignore[type-var]

    def test_what_was_cancelled_stays_for_its_retention(
        self, store: Store, worker: Worker, stall: Act
    ) -> None:
        worker.claim()
        stall()
        store.request_cancel("job")
        job = known(store)
        assert job.ended_at and job.expires_at
        assert job.expires_at >= job.ended_at + timedelta(seconds=job.retention)

    def test_a_sweep_is_bounded(self, store: Store, clock: object) -> None:
        if clock is None:
            pytest.skip("the store's clock cannot be set")
        for number in range(5):
            Worker(store, f"job-{number}").claim()
        clock.advance(3 * 86_400)  # type: ignore[attr-defined]
        assert [store.sweep(limit=2) for _ in range(4)] == [2, 2, 1, 0]


class Beside(Scene):
    """Ends told by others, details, forgetting."""

    def test_an_end_told_by_others_keeps_the_counts_and_brings_the_error(
        self, another: Store, worker: Worker
    ) -> None:
        worker.claim()
        worker.report(count=3, total=4, details=Details((NOTE,)))
        answer = another.end("job", 1, "failed", Error("The worker was killed.", "SIGKILL"))
        assert (answer.outcome, answer.status) == ("applied", "failed")
        job = known(another, details=True)
        assert (job.status, job.count, job.percent) == ("failed", 3, 75)
        assert (job.error, job.messages) == (Error("The worker was killed.", "SIGKILL"), (NOTE,))
        assert worker.report(count=4).outcome == "ended"

    def test_an_end_that_nobody_knows_of_is_missing(self, store: Store) -> None:
        assert store.end("job", 1, "failed").outcome == "missing"
        assert store.read(["job"]) == {}

    def test_what_is_no_end_is_refused(self, store: Store, worker: Worker) -> None:
        worker.claim()
        with pytest.raises(InvalidValue):
            store.end("job", 1, "running")

    def test_details_are_read_on_demand(self, store: Store, worker: Worker) -> None:
        details = Details((NOTE,), None, {"rows": 3}, {"file": "a.csv"})
        worker.claim(details=Details(meta={"file": "a.csv"}))
        worker.report("completed", details=details)
        assert known(store).details is None
        job = known(store, details=True)
        assert (job.messages, job.result, job.meta) == ((NOTE,), {"rows": 3}, {"file": "a.csv"})

    def test_a_write_without_details_keeps_those_that_are_known(self, store: Store, worker: Worker) -> None:
        worker.claim()
        told = worker.report(details=Details((NOTE,)))
        assert worker.report(count=1).details_version == told.version
        assert known(store, details=True).messages == (NOTE,)

    def test_a_store_says_with_which_version_its_details_came(self, store: Store, worker: Worker) -> None:
        assert worker.claim().details_version == 0
        assert worker.report(count=1).details_version == 0
        told = worker.report(details=Details())
        assert told.details_version == told.version
        assert worker.report(count=2).details_version == told.version
        assert store.write([], [], ["job"])["job"].details_version == told.version

    def test_a_claim_that_takes_details_over_gives_them_its_version(
        self, store: Store, worker: Worker
    ) -> None:
        worker.claim()
        worker.report("failed", details=Details((NOTE,)))
        claimed = Worker(store, run="worker-2").claim()
        assert claimed.details_version == claimed.version

    def test_a_job_that_is_not_live_can_be_forgotten(
        self, store: Store, another: Store, in_state: Bring
    ) -> None:
        worker = in_state("completed")
        assert another.forget("job") is True
        assert store.read(["job"]) == {}
        assert store.find().jobs == ()
        assert store.forget("job") is False
        assert worker.claim(run="2").attempt == 1

    @pytest.mark.parametrize("state", ["pending", "running", "asked", "retrying"])
    def test_a_live_job_is_not_forgotten(self, state: str, store: Store, in_state: Bring) -> None:
        in_state(state)
        assert store.forget("job") is False
        assert ids_of(store.find().jobs) == {"job"}

    def test_what_a_newer_version_wrote_is_shown_and_not_rewritten(
        self, store: Store, worker: Worker, stall: Act
    ) -> None:
        worker.claim()
        worker.report("sharpening", count=1, total=2)
        assert (known(store).status, known(store).percent) == ("running", 50)
        assert ids_of(store.find(status=["running"]).jobs) == {"job"}
        assert store.request_cancel("job").status == "sharpening"
        stall()
        assert known(store).status == "stalled"
        assert ids_of(store.find(status=["stalled"]).jobs) == {"job"}
        ended = worker.report("blunted", ended_at=worker.opened.started_at)
        assert (ended.outcome, ended.status) == ("applied", "blunted")
        assert known(store).status == "stopped"
        assert ids_of(store.find(status=["stopped"]).jobs) == {"job"}
        assert store.request_cancel("job").outcome == "ended"

    def test_all_facts_come_back_as_they_were_told(self, store: Store, another: Store) -> None:
        worker = Worker(
            store, scope="ユーザー/三", name="夜間レポート 😀", kind="报告", unit="件", activity="行 5210\té"
        )
        worker.claim(parent="parent", parent_attempt=3)
        stages = (Stage("集計", 0.5, 1, 2.5, "件", 1.25, ended=True), Stage("b"))
        facts = {
            "count": 2**53 - 1,
            "total": 1e15,
            "stages": stages,
            "total_weight": 2.0,
            "weight": 0.25,
            "failed_count": 2,
            "initial": 5,
            "rate": 1.5,
            "estimate_basis": "run",
            "worker": "höst:1",
            "message_count": 3,
            "cancellable": False,
        }
        sent = worker.record(step=1, **facts)
        worker.send(sent)
        read = known(another)
        for name in (*facts, "scope", "name", "kind", "unit", "activity", "run", "step", "attempt"):
            assert getattr(read, name) == getattr(sent, name), name
        assert (read.parent, read.parent_attempt) == ("parent", 3)
        assert ids_of(another.find(scope="ユーザー/三").jobs) == {"job"}

    def test_a_lone_surrogate_does_not_stop_the_other_reports(self, store: Store, worker: Worker) -> None:
        worker.claim()
        other = Worker(store, "other")
        other.claim()
        store.write([worker.record(step=1, activity="a\ud800b"), other.record(step=1, activity="c")])
        assert [known(store, id).activity for id in ("job", "other")] == ["a\N{REPLACEMENT CHARACTER}b", "c"]

    @pytest.mark.parametrize(
        "ids",
        [
            ("Job", "job", "JOB"),
            ("a.b", "a-b", "a_b", "a:b", "a~b", "a@b", "ab"),
            ("0", "00", "a", "a" * 200, "a" * 199),
            ("con", "nul.txt", "a..", "a.", "Z" + "._:~@-" * 33),
        ],
    )
    def test_ids_that_differ_are_different_jobs(self, ids: tuple[str, ...], store: Store) -> None:
        for number, id in enumerate(ids):
            worker = Worker(store, id)
            worker.claim()
            worker.report(count=number)
            told(store, part(worker, key=id, count=1))
        assert {id: job.count for id, job in store.read(ids).items()} == {
            id: number + 1 for number, id in enumerate(ids)
        }

    def test_reading_many_brings_those_that_are_known(self, store: Store) -> None:
        for number in range(30):
            Worker(store, f"job-{number}").claim()
        ids = [f"job-{number}" for number in range(1200)]
        assert set(store.read(ids)) == set(ids[:30])
        assert store.read([]) == {}
        impossible = ["", "no id at all\n", "\ud800"]
        assert store.read(impossible) == {}
        assert {answer.outcome for answer in store.write([], [], impossible).values()} == {"missing"}
        for id in impossible:
            assert store.request_cancel(id).outcome == store.end(id, 1, "failed").outcome == "missing"
            assert store.forget(id) is False

    def test_a_store_that_was_closed_can_be_used_again(self, store: Store, worker: Worker) -> None:
        worker.claim()
        store.close()
        assert known(store).status == "running"
        store.close()
        assert worker.report(count=1).accepted

    def test_a_store_that_one_thread_closes_still_serves_the_others(self, store: Store) -> None:
        """The publisher closes it when its last job is over; pages may be read and jobs begin meanwhile."""
        workers = [Worker(store, f"job-{number}") for number in range(20)]

        def live(some: list[Worker]) -> None:
            for worker in some:
                worker.claim()
                assert worker.report(count=1).accepted
                assert worker.report("completed").accepted

        def close_again_and_again() -> None:
            for _ in range(100):
                store.close()
                time.sleep(0.001)

        at_once([partial(live, workers[::2]), partial(live, workers[1::2]), close_again_and_again])
        assert {known(store, worker.id).status for worker in workers} == {"completed"}


class Parts(Scene):
    """Shares that others report."""

    def test_pool_workers_counts_add_up_by_stage(self, store: Store, another: Store, worker: Worker) -> None:
        worker.claim()
        worker.report(count=1, total=20, stages=(Stage("crunch", 1.0, 2, 10), Stage("send", 1.0, 0, 10)))
        told(another, part(worker, "a", count=3), part(worker, "b", count=4))
        told(another, part(worker, "c", count=5, stage="crunch"), part(worker, "d", count=0.5, stage="send"))
        job = known(store)
        assert job.count == 8
        assert [stage.count for stage in job.stages] == [7, 0.5]
        assert ids_of(store.find().jobs) == {"job"}
        assert store.find()[0].count == 8

    def test_children_add_up_by_weight(self, store: Store, worker: Worker) -> None:
        worker.claim(total_weight=4.0)
        worker.report(total_weight=4.0)
        told(
            store,
            part(worker, "child-1", weight=1.0, share=5_000),
            part(worker, "child-2", weight=2.0, share=10_000, status="failed"),
            part(worker, "child-3", weight=1.0, share=10_000, status="completed"),
        )
        job = known(store)
        assert job.fraction == 0.875
        assert job.children
        assert (job.children.count, job.children.ended, job.children.failed) == (3, 2, 1)

    def test_parts_that_come_twice_late_or_out_of_order_cannot_miscount(
        self, store: Store, another: Store, worker: Worker
    ) -> None:
        worker.claim()
        reports = [part(worker, "hand", count=count, step=count) for count in (1, 2, 3, 4)]
        for turn, report in enumerate([reports[2], reports[0], reports[3], reports[1], reports[3]]):
            told((store, another)[turn % 2], report)
        assert known(store).count == 4

    def test_a_part_whose_work_is_delivered_again_takes_nothing_back(
        self, store: Store, worker: Worker
    ) -> None:
        worker.claim(total_weight=1.0)
        worker.report(total_weight=1.0)
        told(store, part(worker, "child", weight=1.0, share=6_000, step=9))
        told(store, part(worker, "child", weight=1.0, share=100, run=2, step=0))
        assert known(store).fraction == 0.6
        told(store, part(worker, "hand", count=5), part(worker, "hand", count=2, run=2))
        assert known(store).count == 5

    def test_a_late_word_of_a_child_does_not_revive_it(
        self, store: Store, another: Store, worker: Worker
    ) -> None:
        worker.claim()
        told(store, part(worker, "child", weight=1.0, step=3, share=10_000, status="failed"))
        told(another, part(worker, "child", weight=2.0, step=9))
        children = known(store).children
        assert children and (children.ended, children.failed) == (1, 1)
        told(another, part(worker, "child", weight=1.0, run=2))
        children = known(store).children
        assert children and (children.ended, children.failed) == (0, 0)

    def test_a_part_of_an_earlier_attempt_is_superseded(self, store: Store, worker: Worker) -> None:
        worker.claim()
        old = part(worker, count=5)
        told(store, old)
        worker.claim(run="worker-2")
        assert known(store).count is None
        answer = told(store, old)
        assert (answer.outcome, answer.attempt) == ("superseded", 2)
        assert known(store).count is None

    def test_a_part_of_a_job_that_ended_or_is_not_known_changes_nothing(
        self, store: Store, worker: Worker
    ) -> None:
        assert told(store, part(worker, count=5)).outcome == "missing"
        worker.claim()
        worker.report("stopped", count=1)
        assert told(store, part(worker, count=5)).outcome == "ended"
        assert known(store).count == 1

    def test_a_part_renews_the_lease_and_is_a_change(self, store: Store, worker: Worker, stall: Act) -> None:
        worker.claim()
        version = worker.report().version
        stall()
        assert known(store).status == "stalled"
        assert told(store, part(worker, count=1)).version > version
        assert known(store).status == "running"
        stall()
        version = known(store).version
        assert told(store, part(worker, count=1)).version > version
        assert known(store).status == "running"

    def test_a_part_that_only_says_it_is_alive_gives_no_new_version(
        self, store: Store, worker: Worker, tick: Act
    ) -> None:
        worker.claim()
        told(store, part(worker, count=1))
        before = known(store)
        tick()
        told(store, part(worker, count=1))
        after = known(store)
        assert before.seen_at and after.seen_at
        assert (after.version, after.seen_at > before.seen_at) == (before.version, True)

    def test_a_child_writes_its_record_and_its_part_in_one_batch(self, store: Store, worker: Worker) -> None:
        worker.claim(total_weight=1.0)
        worker.report(total_weight=1.0)
        child = Worker(store, "child", parent="job", parent_attempt=1)
        child.claim()
        answers = store.write([child.record(step=1)], [part(worker, "child", weight=1.0, share=2_500)])
        assert {id: answer.accepted for id, answer in answers.items()} == {"child": True, "job": True}
        assert known(store).percent == 25
        assert ids_of(store.find(parent="job").jobs) == {"child"}

    def test_forgetting_a_job_forgets_its_parts(self, store: Store, worker: Worker) -> None:
        worker.claim()
        told(store, part(worker, count=5))
        worker.report("completed")
        store.forget("job")
        worker.claim(run="worker-2")
        assert known(store).count is None

    def test_a_job_takes_in_ten_thousand_parts_and_no_more(self, store: Store, worker: Worker) -> None:
        worker.claim()
        for start in range(0, PARTS, 2_000):
            told(store, *(part(worker, f"hand-{start + number}", count=2) for number in range(2_000)))
        assert known(store).count == 2 * PARTS
        assert told(store, part(worker, "one-too-many", count=1)).outcome == "full"
        assert told(store, part(worker, "hand-7", count=3, step=1)).accepted
        assert known(store).count == 2 * PARTS + 1


class Finding(Scene):
    """Jobs by scope, parent and status, newest first."""

    def test_a_scope_is_matched_exactly(self, store: Store) -> None:
        scopes = ["user/1", "user/10", "User/1", "user/1 ", "user_1", "user%", "%", "*", None]
        for number, scope in enumerate(scopes):
            Worker(store, f"job-{number}", scope=scope).claim()
        for number, scope in enumerate(scopes[:-1]):
            assert ids_of(store.find(scope=scope).jobs) == {f"job-{number}"}
        assert len(store.find()) == len(scopes)

    def test_a_job_is_found_by_what_it_reads_as(
        self, store: Store, stall: Act, lease: float, clock: object
    ) -> None:
        Worker(store, "silent", lease=lease).claim()
        Worker(store, "waiting", run=None).reserve()
        stall()
        Worker(store, "busy", lease=60.0).claim()
        for status in ("retrying", *sorted(ENDED)):
            worker = Worker(store, status)
            worker.claim()
            worker.report(status)
        expected = {"running": "busy", "stalled": "silent", "pending": "waiting"}
        for status in ("retrying", "pending", "running", "stalled", *ENDED):
            assert ids_of(store.find(status=[status]).jobs) == {expected.get(status, status)}
        assert ids_of(store.find(status=["stalled", "failed"]).jobs) == {"silent", "failed"}
        assert len(store.find(status=["pending", "running", "retrying", "stalled", *ENDED])) == 8
        assert store.find(status=["no such status"]).jobs == ()

    def test_conditions_add_up(self, store: Store) -> None:
        for number in range(12):
            worker = Worker(store, f"job-{number}", scope=f"s{number % 2}", parent=f"p{number % 3}")
            worker.claim(parent_attempt=1)
            if number % 4 == 0:
                worker.report("failed")
        found = store.find(scope="s0", parent="p0", status=["running"])
        assert ids_of(found.jobs) == {"job-6"}
        assert ids_of(store.find(scope="s0", status=["failed"], limit=2).jobs) == {"job-8", "job-4"}

    def test_the_newest_come_first(self, store: Store, tick: Act) -> None:
        for number in (3, 1, 2):
            Worker(store, f"job-{number}").claim()
            tick()
        assert [job.id for job in store.find()] == ["job-2", "job-1", "job-3"]

    @pytest.mark.parametrize("search", [{}, {"scope": "s"}, {"status": ["running", "pending", "failed"]}])
    def test_pages_have_no_gaps_and_no_repeats_while_jobs_are_added(
        self, search: dict[str, object], store: Store, tick: Act
    ) -> None:
        for number in range(23):
            Worker(store, f"job-{number:02}", scope="s").claim()
            if number % 3:  # some are created at the same moment
                tick()
        seen: list[str] = []
        cursor = None
        while True:
            page = store.find(limit=5, cursor=cursor, **search)  # type: ignore[arg-type]
            seen += [job.id for job in page]
            cursor = page.cursor
            Worker(store, f"newer-{len(seen)}", scope="s").claim()
            if cursor is None:
                break
        old = [id for id in seen if id.startswith("job-")]
        assert sorted(old) == [f"job-{number:02}" for number in range(23)]
        assert len(seen) == len(set(seen))

    def test_a_full_last_page_leads_nowhere(self, store: Store) -> None:
        for number in range(10):
            Worker(store, f"job-{number}").claim()
        assert store.find(limit=10).cursor is None
        assert len(every_page(store, limit=5)) == 10
        assert len(every_page(store, limit=1)) == 10

    def test_a_page_that_is_no_page_is_refused(self, store: Store) -> None:
        for wrong in (0, -1, 201):
            with pytest.raises(InvalidValue):
                store.find(limit=wrong)
        with pytest.raises(InvalidValue):
            store.find(cursor="nonsense")

    def test_jobs_are_found_and_read_without_details(self, store: Store, worker: Worker) -> None:
        worker.claim(details=Details(meta=1))
        worker.report(count=1, total=2)
        (job,) = store.find()
        assert (job.percent, job.details) == (50, None)
        assert job.read_at is not None


class Listening(Scene):
    """Who watches hears of each change."""

    def test_a_change_by_others_is_heard(self, store: Store, another: Store) -> None:
        subscription = another.listen()
        subscription.add(["job"])
        worker = Worker(store)
        worker.claim()
        assert hears(subscription, "job")
        acts: list[Act] = [partial(worker.report, count=1), partial(store.request_cancel, "job")]
        for act in (*acts, worker.report):
            act()
            assert hears(subscription, "job")
        told(store, part(worker, count=1))
        assert hears(subscription, "job")
        store.end("job", 1, "failed")
        assert hears(subscription, "job")
        store.forget("job")
        assert hears(subscription, "job")
        subscription.close()

    def test_all_jobs_of_a_scope_are_heard_of(self, store: Store, another: Store) -> None:
        subscription = another.listen()
        subscription.add(scopes=["user/1"])
        subscription.wait(0)
        mine, other = Worker(store, "mine", scope="user/1"), Worker(store, "other", scope="user/2")
        other.claim()
        mine.claim()
        assert hears(subscription, "mine")
        assert "other" not in subscription.wait(0)
        mine.report("completed")
        assert hears(subscription, "mine")
        store.forget("mine")
        assert hears(subscription, "mine")
        subscription.close()

    def test_every_job_is_heard_of_where_that_was_asked_for(self, store: Store, another: Store) -> None:
        subscription = another.listen()
        subscription.add(scopes=[None])
        for id, scope in (("a", None), ("b", "user/1")):
            Worker(store, id, scope=scope).claim()
        assert hears(subscription, "a", "b")
        subscription.close()

    def test_what_is_no_longer_watched_is_not_heard_of(self, store: Store, another: Store) -> None:
        subscription = another.listen()
        subscription.add(["a", "b"], ["s"])
        subscription.remove(["a"], ["s"])
        subscription.wait(0)
        for id in ("a", "c"):
            Worker(store, id, scope="s").claim()
        Worker(store, "b").claim()
        assert hears(subscription, "b")
        assert not subscription.wait(0) & {"a", "c"}
        subscription.close()

    def test_what_changed_before_the_wait_is_heard_at_once(self, store: Store, another: Store) -> None:
        subscription = another.listen()
        subscription.add(["job"])
        subscription.wait(0)
        worker = Worker(store)
        worker.claim()
        worker.report("completed")
        assert hears(subscription, "job")
        assert "other" not in subscription.wait(0)
        subscription.close()

    def test_closing_ends_a_wait_in_another_thread(self, another: Store) -> None:
        subscription = another.listen()
        subscription.add(["job"])
        waiting = threading.Thread(target=subscription.wait, args=(60,), daemon=True)
        waiting.start()
        subscription.close()
        waiting.join(5)
        assert not waiting.is_alive()
        assert subscription.wait(0) == set()


class Learning(Scene):
    """What estimates learn from."""

    def test_the_last_eight_runs_of_a_kind_are_kept(self, store: Store, another: Store) -> None:
        for number in range(10):
            store.learn("import", Profile(float(number), 100, (0, 5_000, 10_000), 0.5))
        store.learn("other", Profile(1.0, 1))
        runs = another.history("import")
        assert [run.seconds for run in runs] == [2, 3, 4, 5, 6, 7, 8, 9]
        assert runs[0] == Profile(2.0, 100, (0, 5_000, 10_000), 0.5)
        assert store.history("unknown") == []

    def test_what_a_run_left_comes_back_whole(self, store: Store, another: Store) -> None:
        shape = tuple(range(0, 10_000, 158))
        left = Profile(3.5, 2.0**53, (*shape, 10_000), -1.2, {"Lesen \u2028": 1.25, "\x00": 2.0})
        store.learn("a kind: with / signs, \u4e2d\u6587", left)
        assert another.history("a kind: with / signs, \u4e2d\u6587") == [left]

    def test_many_that_learn_at_once_lose_no_run(self, store: Store, another: Store) -> None:
        def learn(of: Store, number: int) -> None:
            of.learn("crowded", Profile(float(number), 1))

        learners = [
            threading.Thread(target=learn, args=((store, another)[number % 2], number)) for number in range(8)
        ]
        for learner in learners:
            learner.start()
        for learner in learners:
            learner.join()
        assert sorted(run.seconds for run in another.history("crowded")) == list(range(8))

    def test_a_kind_can_be_forgotten(self, store: Store) -> None:
        store.learn("夜間", Profile(1.0, 1))
        store.learn("夜間", None)
        assert store.history("夜間") == []


class StoreContract(LifeCycle, Order, Cancel, Time, Beside, Parts, Finding, Listening, Learning):
    """All of it.  Fixtures: ``store``; where possible ``another`` handle on its records, and a ``clock``."""
