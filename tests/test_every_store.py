"""The promises and the fan-out, across real processes, on every store that processes can share.

The sentences are those of the other files, written once for SQLite; here they hold on servers and in a
shared folder.
"""

import secrets
from contextlib import closing

import pytest
from tests.servers.postgres import postgres
from tests.servers.redis import Cluster, redis_server
from tests.test_promises import (  # noqa: F401 - run here, too
    test_promise_3_the_last_state_always_arrives,
    test_promise_4_a_seeded_program_draws_the_numbers_that_it_draws_without_us,
    test_promise_4_safe_after_fork_and_in_threads,
    test_promise_5_exactly_one_end_per_attempt,
    test_promise_6_never_backwards_and_a_superseded_worker_falls_silent,
    test_promise_7_a_cancel_is_never_lost,
    test_promise_8_a_dead_worker_shows,
    test_promise_9_fan_out_adds_up_exactly,
    test_promise_11_a_live_workers_record_does_not_expire,
)
from tests.worker.test_children import (  # noqa: F401 - run here, too
    test_a_failed_child_shows_in_its_parent_and_does_not_hold_its_bar,
    test_children_may_run_in_other_processes,
)
from tests.worker.test_forks import (  # noqa: F401 - run here, too
    test_a_request_to_stop_reaches_a_loop_in_a_child,
    test_two_hundred_forks_under_load,
    test_what_a_child_counts_on_its_parents_job_is_added_and_it_cannot_end_the_job,
)
from tests.worker.test_parts import (  # noqa: F401 - run here, too
    test_a_job_may_be_passed_on_and_count_loops_elsewhere,
    test_a_part_of_a_job_that_has_ended_falls_silent,
    test_a_request_to_stop_reaches_the_pool,
    test_counting_twice_over_changes_nothing,
    test_the_calls_of_a_process_pool_are_counted,
)
from tests.worker.test_time_left import (  # noqa: F401 - run here, too
    test_a_parent_lasts_as_long_as_the_longest_of_its_children,
    test_an_earlier_run_tells_the_time_left_before_the_first_report,
    test_programs_that_end_at_once_lose_no_run,
)

from headway.doctor import examine

STORES = ("valkey", "cluster", "postgres", "folder")


@pytest.fixture(scope="module")
def valkey():
    with redis_server() as server:
        yield server


@pytest.fixture(scope="module")
def cluster():
    with closing(Cluster()) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def database():
    with postgres() as server:
        yield server


@pytest.fixture(params=STORES)
def url(request, tmp_path):
    """A store of its own."""
    if request.param == "folder":
        return f"file://{tmp_path.as_posix()}/shared"
    own = f"t{secrets.token_hex(4)}"
    if request.param == "postgres":
        return f"{request.getfixturevalue('database').url}?schema={own}"
    return f"{request.getfixturevalue(request.param).url}?prefix={own}"


def test_its_doctor_finds_it_usable_and_hears_of_a_change(hw):
    findings = list(examine(hw.store))
    assert not [found for found in findings if found.level == "error"]
    assert any("change" in found.what for found in findings)
    assert not hw.find()
