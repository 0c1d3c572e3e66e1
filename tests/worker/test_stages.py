"""Stages are weighted shares of a job's bar."""

# ruff: noqa: PT012 - what is told to raise is a loop, with its body

import threading

import pytest

from headway.core.errors import InvalidValue


def test_declared_weights_make_the_whole(hw):
    with hw.job("Report", stages={"Download": 1, "Crunch": 3}) as job:
        with job.stage("Download") as stage:
            for _ in stage.track(range(4)):
                pass
        assert job.snapshot().percent == 25
        with job.stage("Crunch", total=10) as stage:
            stage.advance(5, activity="row 5")
            assert job.snapshot().fraction == 0.625
            assert job.snapshot().activity == "row 5"
    assert [(one.name, one.ended) for one in hw.get(job.id).stages] == [("Download", True), ("Crunch", True)]


def test_undeclared_stages_leave_the_whole_unknown(hw):
    with hw.job("Report") as job, job.stage("Download", total=4) as stage:
        stage.advance(2)
        seen = job.snapshot()
        assert (seen.fraction, seen.stages[0].fraction) == (None, 0.5)


def test_the_same_name_is_the_same_stage(hw):
    with hw.job("Report") as job:
        assert job.stage("Download") is job.stage("Download")


def test_a_track_inside_a_job_is_a_stage_of_it(hw):
    with hw.job("Report") as job:
        for _ in hw.track([1, 2, 3], "Rows"):
            pass
        (stage,) = job.snapshot().stages
        assert (stage.name, stage.count, stage.total, stage.ended) == ("Rows", 3, 3, True)


def test_a_nameless_track_inside_a_job_is_its_own_bar_where_that_is_free(hw):
    with hw.job("Report") as job:
        for _ in hw.track([1, 2, 3]):
            assert job.total == 3
        assert (job.count, job.snapshot().stages) == (3, ())


def test_a_track_that_is_run_again_counts_its_stage_from_nothing(hw):
    with hw.job("Report") as job:
        for rows in ([1, 2, 3, 4], [1, 2]):
            for row in hw.track(rows, "Rows"):
                (stage,) = job.snapshot().stages
                assert (stage.count, stage.total, stage.ended) == (row - 1, len(rows), False)
        (stage,) = job.snapshot().stages
        assert (stage.count, stage.total, stage.ended) == (2, 2, True)


def test_a_declared_total_of_a_stage_stays(hw):
    with hw.job("Report") as job:
        job.stage("Rows", total=10)
        for _ in hw.track(iter([1, 2]), "Rows"):
            assert job.stage("Rows").total == 10


def test_threads_that_track_the_same_stage_add_up(hw):
    with hw.job("Report") as job:
        stage, barrier = job.stage("Rows"), threading.Barrier(4)

        def work():
            barrier.wait()
            for _ in stage.track(range(500)):
                pass

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (stage.count, stage.total) == (2000, 2000)


def test_a_stage_that_an_exception_leaves_has_not_ended(hw):
    with hw.job("Report", stages={"Download": 1, "Crunch": 1}) as job:
        with pytest.raises(KeyError), job.stage("Download", total=4) as stage:
            stage.advance(2)
            raise KeyError
        assert job.snapshot().percent == 25


def test_a_failure_leaves_stages_where_they_were(hw):
    with pytest.raises(KeyError), hw.job("Report", stages={"Download": 1, "Crunch": 1}) as job:
        with job.stage("Download"):
            pass
        with job.stage("Crunch", total=2) as stage:
            stage.advance()
            raise KeyError
    assert hw.get(job.id).percent == 75


def test_a_stage_shows_how_long_it_took(hw):
    with hw.job("Report") as job:
        with job.stage("Download"):
            assert job.snapshot().stages[0].elapsed >= 0
        assert not job.stage("Crunch").over
        assert job.snapshot().stages[1].elapsed is None


def test_there_are_at_most_a_hundred_stages(hw):
    with hw.job("Report") as job:
        for number in range(100):
            job.stage(f"stage {number}")
        with pytest.raises(InvalidValue):
            job.stage("one too many")


@pytest.mark.asyncio
async def test_stages_work_in_coroutines(hw):
    async def rows():
        yield 1
        yield 2

    async with hw.job("Report", stages={"Download": 1}) as job, job.stage("Download") as stage:
        async for _ in stage.track(rows(), total=2):
            assert stage.total == 2
        assert stage.count == 2
