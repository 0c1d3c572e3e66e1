"""F6, F7: networks that refuse, reset, delay, slow down, or cut an answer off."""

import random
import time
from contextlib import closing, suppress

import pytest
from msgspec.structs import replace
from tests.faults.scene import begin_one, told_to_end
from tests.processes import eventually

from headway.core.errors import StoreUnavailable
from headway.core.pace import HEARTBEAT
from headway.core.snapshot import Part
from headway.stores import open_store
from headway.testing import FaultProxy, History
from headway.testing.history import LOST
from headway.testing.store_scene import Worker

FAULTS = {
    "refused": FaultProxy.refuse,
    "reset": FaultProxy.reset,
    "hangs": FaultProxy.hang,
    "every answer lost": lambda network: network.cut(0, times=None),
    "200 ms late": lambda network: network.delay(0.2),
    "1 kB a second": lambda network: network.throttle(1000),
}


@pytest.fixture
def far_worker(begin, far):
    """One that runs, behind the network."""
    return begin_one(begin, far)


@pytest.mark.parametrize(
    "seconds", [1, pytest.param(10, marks=[pytest.mark.nightly, pytest.mark.timeout(300)])]
)
def test_f6_a_bad_network_holds_nobody_up_and_the_record_heals(hw, network, far_worker, seconds):
    eventually(lambda: hw.get("one").count)
    for fault in FAULTS.values():
        fault(network)
        time.sleep(seconds)
        network.pass_on()
        now = hw.get("one").count
        eventually(lambda: hw.get("one").count > now, HEARTBEAT + 3)  # noqa: B023 - it is over then
    fared = told_to_end(far_worker)
    assert fared.was_not_disturbed()
    assert 1 <= fared.warnings <= 2  # one a minute
    assert fared.dropped >= 4
    assert (hw.get("one").status, hw.get("one").count) == ("completed", fared.steps)


REACH = {"asked": 600, "answered": 200}
"""Bytes, somewhat more than a request and its answer have."""


@pytest.mark.parametrize("direction", REACH)
@pytest.mark.parametrize("cuts", [60, pytest.param(1000, marks=pytest.mark.nightly)])
def test_f7_what_is_cut_off_anywhere_is_counted_once_and_ends_once(address, far, network, cuts, direction):
    """A request may have been carried out although its answer is lost; it is then told again."""
    chance = random.Random(cuts)
    history = History()
    with closing(open_store(far)) as store, closing(open_store(address)) as near:
        through, beside = history.watch(store, "through the network"), history.watch(near, "beside it")
        worker = Worker(through, run="one")
        worker.claim()
        for number in range(1, cuts + 1):
            network.cut(chance.randint(0, REACH[direction]), direction)
            record = replace(worker.record(), step=number, count=number)
            with suppress(StoreUnavailable):
                through.write([record], [Part("job", 1, "hand", step=number, count=number)])
            network.pass_on()
            beside.read(["job"])
            answers = through.write([record], [Part("job", 1, "hand", step=number, count=number)])
            assert answers["job"].accepted
            assert beside.read(["job"])["job"].count == 2 * number
        network.cut(chance.randint(0, REACH[direction]), direction)
        told = replace(worker.record(), step=cuts + 1, count=cuts, status="completed")
        with suppress(StoreUnavailable):
            through.write([told])
        network.pass_on()
        assert through.write([told])["job"].status == "completed"
        assert beside.end("job", 1, "failed").outcome == "ended"
        assert beside.read(["job"])["job"].count == 2 * cuts
    assert sum(event.outcome == LOST for event in history.events) > cuts / 4
    history.check()
