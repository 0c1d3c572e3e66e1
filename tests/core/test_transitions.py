"""The rules of a job's life, against the promises of the design: any order, late, twice, by anybody."""

from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from headway.core import transitions
from headway.core.errors import InvalidValue
from headway.core.snapshot import ENDED, WAITING, Head, Part
from headway.core.transitions import merge_part, micros, moment
from headway.testing.clock import START
from headway.testing.life_cycle import CELLS, ENDS, LIVE, TABLE
from headway.testing.life_cycle import STATES as TABLE_STATES

LATER = {"stalled": timedelta(seconds=31), "much later": timedelta(days=3)}


def opened(old, run, over="anything", now=START, **facts):
    return transitions.open_job(old, Head(id="job", run=run, **facts), over, now).head


def head_in(state):
    """A head in a state of the table, at attempt 1."""
    if state == "none":
        return None
    if state in {"pending", "unspent"}:
        head = opened(None, None, "ended")
        return transitions.request_cancel(head, START).head if state == "unspent" else head
    head = opened(None, "run-1")
    if state == "committed":
        return replace(head, cancellable=False)
    if state in {"asked", "cancelled"}:
        head = transitions.request_cancel(head, START).head
    if state in {"retrying", *ENDS}:
        cancel = "seen" if state == "cancelled" else None
        told = replace(head, status=state, step=1, cancel=cancel)
        head = transitions.report(head, told, START).head
    return head


def happen(event, head, state):
    now = START + (LATER["stalled"] if state == "stalled" else timedelta(0))
    new = Head(id="job", run="run-2")
    if event in {"create", "reserve", "claim", "claim alone"}:
        over = {"create": "nothing", "reserve": "ended"}.get(event, "anything")
        return transitions.open_job(head, new, over, now, exclusive=event == "claim alone")
    if event == "ask":
        return transitions.request_cancel(head, now)
    if event.startswith("sweep"):
        return transitions.sweep(head, now + (LATER["much later"] if "later" in event else timedelta(0)))
    if event.endswith(" told"):
        return transitions.end_job(head, 1, event.removesuffix(" told").replace("retry", "retrying"), now)
    status = {"report": "running", "retry": "retrying", "annotate": "pending"}.get(event, event)
    run = "run-1" if event == "report" or state not in {"pending", "unspent", "none"} else None
    return transitions.report(head, Head(id="job", run=run, step=1, status=status), now)


@pytest.mark.parametrize(("event", "state", "cell"), CELLS)
def test_each_event_makes_of_each_state_what_the_table_says(event, state, cell):
    head = head_in(state)
    decision = happen(event, head, state)
    outcome, _, now = cell.partition(" ") if cell != "no return" else (cell, "", "")
    assert decision.outcome == outcome.replace("nothing", "same")
    if now:
        assert f"{decision.head.status} {decision.head.attempt}" == now
    else:
        assert decision.head in {None, head}


def test_the_table_has_every_cell():
    for event, row in TABLE.items():
        if event != "annotate":
            assert set(row) >= set(LIVE), event
            assert set(row) | {"none"} == set(TABLE_STATES), event


@pytest.mark.parametrize("state", [state for state in TABLE_STATES if state != "none"])
def test_anything_of_an_earlier_attempt_is_superseded(state):
    head = replace(head_in(state), attempt=2)
    for status in ("pending", "running", "retrying", *ENDS):
        word = Head(id="job", run="run-1", attempt=1, step=9, status=status)
        assert transitions.report(head, word, START).outcome == "superseded"
    assert transitions.end_job(head, 1, "failed", START).outcome == "superseded"
    assert transitions.part_of(head, Part("job", 1, "key"), START).outcome == "superseded"


def test_saw_request_turns_requested_into_seen_and_nothing_else_does():
    asked = head_in("asked")
    seen = transitions.report(asked, replace(asked, cancel="seen"), START)
    assert (seen.outcome, seen.head.cancel, seen.rings) == ("applied", "seen", True)
    unasked = head_in("running")
    assert transitions.report(unasked, replace(unasked, cancel="seen", step=1), START).head.cancel is None
    assert transitions.report(seen.head, replace(asked, cancel=None, step=1), START).head.cancel == "seen"


def test_a_retry_after_a_request_that_was_seen_is_cancelled_by_the_store():
    asked = head_in("asked")
    seen = transitions.report(asked, replace(asked, cancel="seen", step=1), START).head
    retry = transitions.report(seen, replace(seen, status="retrying", step=2), START)
    assert (retry.head.status, retry.head.cancel) == ("cancelled", "requested")


def test_a_retry_that_arrives_late_changes_nothing_of_a_job_that_was_cancelled_after_a_loss():
    cancelled = transitions.request_cancel(head_in("pending"), START).head
    retry = replace(head_in("running"), attempt=2, status="retrying", step=1)
    assert transitions.report(cancelled, retry, START) == transitions.Decision("ended")


def test_what_the_creator_says_never_replaces_what_a_worker_claimed():
    running = head_in("running")
    for status in ("pending", "failed", "cancelled"):
        word = Head(id="job", run=None, step=9, status=status)
        assert transitions.report(running, word, START).outcome == "superseded"


def test_a_late_word_changes_nothing():
    head = replace(head_in("running"), step=5)
    late = transitions.report(head, replace(head, step=4), START + timedelta(seconds=1))
    assert (late.outcome, late.head) == ("late", None)


def test_the_same_run_again_gets_its_attempt_again():
    head = head_in("running")
    again = transitions.open_job(head, Head(id="job", run="run-1"), "anything", START, exclusive=True)
    assert (again.outcome, again.head) == ("same", head)


def test_after_a_loss_the_later_claim_holds_whatever_the_number_of_its_attempt():
    zombie = replace(head_in("running"), attempt=3)
    claimed = opened(None, "run-2", now=START + timedelta(seconds=9))
    assert transitions.report(claimed, replace(zombie, step=9), START).outcome == "superseded"
    assert transitions.report(zombie, replace(claimed, attempt=4), START).outcome == "applied"


def test_a_request_is_carried_over_to_the_next_attempt_of_a_live_job_and_cleared_for_an_ended_one():
    asked = head_in("asked")
    for cancel in ("requested", "seen"):
        assert opened(replace(asked, cancel=cancel), "run-2").cancel == "requested"
    assert opened(head_in("cancelled"), "run-2").cancel is None


def test_a_retry_keeps_the_time_of_its_creation_and_a_rerun_gets_its_own():
    later = START + timedelta(hours=1)
    for state in ("running", "retrying", "failed"):
        assert opened(head_in(state), "run-2", now=later).created_at == START
    for state in ("completed", "stopped", "cancelled"):
        assert opened(head_in(state), "run-2", now=later).created_at == later


def test_a_worker_cannot_change_whose_job_it_is_nor_when_it_began():
    head = replace(opened(None, "run-1", scope="a"), parent="p", parent_attempt=2)
    forged = replace(head, step=1, scope="b", parent="q", started_at=moment(0), created_at=moment(0))
    kept = transitions.report(head, forged, START).head
    assert (kept.scope, kept.parent, kept.parent_attempt) == ("a", "p", 2)
    assert (kept.started_at, kept.created_at) == (START, START)


def test_a_sign_of_life_wakes_a_stalled_job():
    head, later = head_in("running"), START + LATER["stalled"]
    assert head.stalled(later)
    for woken in (
        transitions.report(head, head, later),
        transitions.part_of(head, Part("job", 1, "key"), later, news=False),
    ):
        assert (woken.outcome, woken.rings, woken.head.stalled(later)) == ("applied", True, False)
        assert woken.head.version > head.version


def test_a_request_to_a_job_past_its_point_of_no_return_is_not_granted_when_it_stalls():
    committed, later = replace(head_in("asked"), cancellable=False), START + LATER["stalled"]
    assert transitions.sweep(committed, later).outcome == "same"
    assert transitions.request_cancel(committed, later).outcome == "no return"
    assert transitions.sweep(head_in("asked"), later).head.status == "cancelled"


def test_what_the_store_cancels_stays_for_its_retention():
    later = START + timedelta(days=1, seconds=20)
    cancelled = transitions.request_cancel(head_in("running"), later).head
    assert cancelled.expires_at == later + timedelta(seconds=cancelled.retention)


def test_an_unknown_status_is_live_until_it_has_an_end():
    running = head_in("running")
    odd = transitions.report(running, replace(running, status="sharpening", step=1), START).head
    assert (odd.phase, odd.ended_at, odd.reads(START)) == (1, None, "running")
    over = transitions.report(odd, replace(odd, status="blunted", step=2, ended_at=START), START).head
    assert (over.phase, over.ended_at, over.reads(START)) == (3, START, "stopped")
    assert (
        transitions.report(over, replace(over, status="running", step=3, ended_at=None), START).head is None
    )


def test_an_end_that_is_none_and_a_claim_without_a_run_are_refused():
    for status in ("running", "pending", "stalled", "gone"):
        with pytest.raises(InvalidValue):
            transitions.end_job(head_in("running"), 1, status, START)
    with pytest.raises(InvalidValue):
        transitions.open_job(None, Head(id="job"), "anything", START)


def test_a_waiting_job_is_not_stalled_however_long_it_waits():
    for state in ("pending", "retrying"):
        head = head_in(state)
        assert not head.stalled(START + timedelta(days=400))
        assert head.expires_at == START + timedelta(seconds=head.retention + WAITING)


def test_a_version_is_the_stores_time_in_microseconds_or_one_more_than_before():
    head = head_in("running")
    assert head.version == micros(START)
    earlier = START - timedelta(hours=1)
    assert transitions.request_cancel(head, earlier).head.version == head.version + 1
    assert moment(head.version) == START


@given(st.datetimes(timezones=st.just(START.tzinfo)))
def test_a_time_goes_through_microseconds_unchanged(at):
    assert moment(micros(at)) == at


def test_all_orders_of_delivery_end_in_the_same_end():
    head = head_in("running")
    words = [replace(head, step=step) for step in (1, 2)]
    words += [replace(head, step=3, status="completed"), replace(head, step=3, status="completed")]
    for order in permutations(words):
        now, ends = head, 0
        for word in order:
            decision = transitions.report(now, word, START)
            ends += decision.outcome == "applied" and word.ended
            now = decision.head or now
        assert (now.status, now.step, ends) == ("completed", 3, 1)


parts = st.builds(
    Part,
    job=st.just("job"),
    attempt=st.just(1),
    key=st.just("key"),
    run=st.integers(1, 3),
    step=st.integers(0, 5),
    count=st.integers(0, 100),
    weight=st.just(1.0),
    share=st.integers(0, 10_000),
    status=st.sampled_from(["running", "failed", "completed"]),
)


def order_of(part):
    return (part.run, part.status in ENDED, part.step)


@given(st.lists(parts, min_size=1, max_size=6), st.randoms())
def test_parts_merge_to_the_same_whatever_their_order_and_repetition(reports, random):
    distinct = {order_of(part): part for part in reports}  # one run says one thing at one step
    told = list(distinct.values()) * 2
    random.shuffle(told)
    merged = None
    for part in told:
        merged = merge_part(merged, part)
    assert merged.count == max(part.count for part in told)
    assert merged.share == max(part.share for part in told)
    assert merged.status == max(told, key=order_of).status


class Lives(RuleBasedStateMachine):
    """Several workers, a creator, a queue and a user act on one id; deliveries are late, repeated, lost."""

    @initialize()
    def begin(self):
        self.now = START
        self.head = None
        self.workers = []
        self.sent = []
        self.ends = {}
        self.versions = 0
        self.asked = False

    # What may happen

    @rule(seconds=st.sampled_from([0.0, 0.001, 1.0, 31.0, 3_600.0, 100_000.0]))
    def time_passes(self, seconds):
        self.now += timedelta(seconds=seconds)

    @rule(exclusive=st.booleans(), again=st.booleans(), scope=st.sampled_from([None, "a", "b"]))
    def a_worker_claims(self, exclusive, again, scope):
        run = self.workers[-1]["run"] if again and self.workers else f"run-{len(self.workers)}"
        new = Head(id="job", run=run, scope=scope)
        decision = transitions.open_job(self.head, new, "anything", self.now, exclusive=exclusive)
        unspent = self.head is not None and (self.head.status, self.head.cancel) == ("cancelled", "requested")
        holder = self.head is not None and self.head.run == run
        if unspent and not holder:
            assert decision.outcome == "cancelled"
        if decision.accepted:
            self.workers.append({"run": run, "head": decision.head, "step": decision.head.step})
        self.apply(decision)

    @rule(over=st.sampled_from(["nothing", "ended"]))
    def somebody_creates_it(self, over):
        decision = transitions.open_job(self.head, Head(id="job"), over, self.now)
        if self.head is not None:
            live = not self.head.ended and not self.head.stalled(self.now)
            assert decision.accepted == (over == "ended" and not live)
        self.apply(decision)

    @precondition(lambda self: self.workers)
    @rule(
        data=st.data(),
        status=st.sampled_from(["running"] * 6 + ["retrying", *sorted(ENDED)]),
        cancel=st.sampled_from([None, "seen"]),
        lease=st.sampled_from([5.0, 30.0]),
        deliver=st.booleans(),
    )
    def a_worker_speaks(self, data, status, cancel, lease, deliver):
        worker = data.draw(st.sampled_from(self.workers))
        worker["step"] += data.draw(st.integers(0, 1))
        word = replace(
            worker["head"], step=worker["step"], status=status, cancel=cancel, lease=lease, retention=60.0
        )
        self.sent.append(word)
        if deliver:
            self.deliver(word)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def a_word_arrives_late_or_again(self, data):
        self.deliver(data.draw(st.sampled_from(self.sent)))

    @rule(step=st.integers(0, 3), status=st.sampled_from(["pending", "failed", "cancelled"]))
    def the_creator_speaks(self, step, status):
        self.deliver(Head(id="job", step=step, status=status))

    @rule(attempt=st.integers(1, 4), status=st.sampled_from(["retrying", *sorted(ENDED)]))
    def the_queue_tells_an_end(self, attempt, status):
        decision = transitions.end_job(self.head, attempt, status, self.now)
        if self.head is None:
            assert decision.outcome == "missing"
        self.apply(decision)

    @rule()
    def a_user_asks(self):
        decision = transitions.request_cancel(self.head, self.now)
        if decision.accepted:
            self.asked = True
            assert (decision.head or self.head).cancel is not None
        self.apply(decision)

    @rule(attempt=st.integers(1, 4), news=st.booleans())
    def a_part_speaks(self, attempt, news):
        part = Part("job", attempt, "key")
        self.apply(transitions.part_of(self.head, part, self.now, news=news))

    @precondition(lambda self: self.head is not None)
    @rule()
    def the_store_sweeps(self):
        before = self.head
        decision = transitions.sweep(self.head, self.now)
        if decision.outcome == "dropped":
            assert self.now > before.expires_at
            self.lose()
        else:
            self.apply(decision)

    @rule()
    def the_store_is_emptied(self):
        self.lose()

    # What must hold

    def deliver(self, word):
        before = self.head
        decision = transitions.report(before, word, self.now)
        if before is not None and word.attempt < before.attempt:
            assert decision.outcome == "superseded"
        if before is not None and before.run is not None and word.attempt == before.attempt:
            assert (decision.outcome == "superseded") == (word.run != before.run)
        self.apply(decision)

    def apply(self, decision):
        before, after = self.head, decision.head
        if after is None or after == before:
            assert decision.outcome not in {"applied", "opened", "rebuilt"}
            return
        assert decision.accepted
        self.head = after
        if decision.outcome == "heartbeat":
            assert after.version == before.version
            assert not decision.rings
        else:
            assert after.version > self.versions
            assert after.version >= micros(self.now)
            assert decision.rings
        self.versions = max(self.versions, after.version)
        if before is not None:
            self.compare(before, after, decision)
        self.note_end(after)

    def compare(self, before, after, decision):
        assert (after.attempt, after.phase) >= (before.attempt, before.phase)
        if (after.attempt, after.phase) == (before.attempt, before.phase):
            assert after.step >= before.step
        assert after.expires_at >= before.expires_at
        same = after.attempt == before.attempt
        if same and before.started_at is not None:
            assert after.started_at == before.started_at
            assert after.run == before.run
        if before.ended:
            assert after.attempt > before.attempt
        if before.cancel is not None and not before.ended:
            assert after.cancel is not None
        if before.cancel is None and after.cancel is not None:
            assert self.asked
        if not same and decision.outcome == "opened":
            assert after.attempt == before.attempt + 1
            assert decision.restarts
        if same or before.status == "failed" or not before.ended:
            assert before.scope in {None, after.scope} or decision.outcome != "opened"
        if same and before.ended and not after.ended:
            raise AssertionError("only a newer attempt reopens a job")

    def note_end(self, head):
        assert (head.ended_at is not None) == head.ended
        if head.ended:
            assert self.ends.setdefault(head.attempt, head.status) == head.status

    def lose(self):
        self.head, self.ends = None, {}
        self.now += timedelta(seconds=1)

    @invariant()
    def a_live_record_does_not_expire_while_it_is_believed(self):
        head = getattr(self, "head", None)
        if head is not None and not head.ended and not head.stalled(self.now) and head.phase == 1:
            assert head.expires_at > self.now


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)


@pytest.mark.nightly
class TestManyLives(Lives.TestCase):
    settings = settings(max_examples=5_000, stateful_step_count=60, deadline=None)
