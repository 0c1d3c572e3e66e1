"""The lives of tasks that another broker may make different, in one go; `QueueContract` has all of them."""

from headway.queues import enqueueing


def lives(queue, folder):
    """Pending, cancelled before the start, completed, tried again, delivered again after a kill."""
    from headway.testing.queue_contract import calls, ended, kill_with_children, until

    line = queue.new_line()
    with enqueueing(scope="user/3421"):
        waiting = queue.send("succeed", 3, line=line)
    assert queue.hw.get(waiting).status == "pending"
    refused = queue.send("slow", folder / "refused", 60, line=line)
    assert queue.hw.cancel(refused)
    retried = queue.send("flaky", folder / "retried", 2, line=line, retries=3)
    with queue.worker(line) as worker:
        done, again = ended(queue, waiting), ended(queue, retried)
        assert (done.status, done.scope, done.count) == ("completed", "user/3421", 3)
        assert (again.status, again.attempt) == ("completed", 3)
        assert ended(queue, refused).status == "cancelled"
        assert not (folder / "refused").exists()
        killed = queue.send("first_endless", folder / "killed", line=line, late=True)
        until(lambda: (job := queue.hw.get(killed)) and job.count)
        kill_with_children(worker)
    with queue.worker(line):
        job = ended(queue, killed)
    assert (job.status, job.attempt, len(calls(folder / "killed"))) == ("completed", 2, 2)


def in_short(contract, queue, line, folder):
    """Of a contract that runs nightly, what runs every time: completed, tried again, stopped."""
    contract.test_a_task_that_returns_is_completed(queue, line)
    contract.test_a_retry_that_succeeds_is_the_next_attempt(queue, line, folder / "retried")
    contract.test_a_running_task_stops_at_its_next_step_and_is_not_tried_again(
        queue, line, folder / "stopped"
    )
