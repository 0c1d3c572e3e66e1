"""Safe after fork: a child has a thread and a connection of its own, and the job is its parent's."""

import pytest
from tests.processes import eventually, run

FORK = """
def fork(child):
    pid = os.fork()
    if pid == 0:
        try:
            child()
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    return pid
def wait(pid):
    assert os.waitpid(pid, 0)[1] == 0
"""


def test_a_child_reports_jobs_of_its_own(hw, url):
    code, _, errors = run(FORK + """
with hw.job("parent", id="parent"):
    def child():
        with hw.job("child", id="child") as job:
            job.advance(2)
    wait(fork(child))
""", url)  # fmt: skip
    assert (code, errors) == (0, "")
    assert (hw.get("child").status, hw.get("child").count) == ("completed", 2)
    assert hw.get("parent").status == "completed"


def test_what_a_child_counts_on_its_parents_job_is_added_and_it_cannot_end_the_job(hw, url):
    code, _, errors = run(FORK + """
with hw.job("parent", id="parent", total=100) as job:
    job.advance(10)
    def child():
        with hw.job("own"):  # its end waits, and what was counted before is told with it
            job.advance(5)
        job.complete()
        job._entry._publisher.flush()
    pids = [fork(child) for _ in range(4)]
    for pid in pids:
        wait(pid)
    job.advance(1)
    assert hw.get("parent").status == "running"
""", url)  # fmt: skip
    assert (code, errors) == (0, "")
    assert (hw.get("parent").status, hw.get("parent").count) == ("completed", 31)


def test_a_child_that_leaves_the_block_does_not_end_the_job(hw, url):
    code, _, errors = run(FORK + """
pid = None
try:
    with hw.job("parent", id="parent") as job:
        pid = os.fork()
        if pid == 0:
            raise SystemExit
        assert os.waitpid(pid, 0)[1] == 0
        assert hw.get("parent").status == "running"
finally:
    if pid == 0:
        os._exit(0)
""", url)  # fmt: skip
    assert (code, errors) == (0, "")
    assert hw.get("parent").status == "completed"


def test_a_request_to_stop_reaches_a_loop_in_a_child(hw, url):
    code, _, errors = run(FORK + """
with hw.job("parent", id="parent") as job:
    def child():
        try:
            for _ in job.track(iter(int, 1)):
                time.sleep(0.001)
        except headway.Cancelled:
            os._exit(0)
        os._exit(7)
    pid = fork(child)
    time.sleep(0.3)
    assert hw.cancel("parent")
    wait(pid)
    job.complete()
""", url)  # fmt: skip
    assert (code, errors) == (0, "")


@pytest.mark.timeout(180)
def test_two_hundred_forks_under_load(hw, url):
    code, out, errors = run(FORK + """
stop = threading.Event()
def load(job):
    while not stop.is_set():
        job.advance()
        time.sleep(0.0001)
def jobs():
    while not stop.is_set():
        with hw.job("short"):
            pass
with hw.job("parent", id="parent") as job:
    threads = [threading.Thread(target=load, args=(job,)) for _ in range(2)] + [threading.Thread(target=jobs)]
    for thread in threads:
        thread.start()
    def child():
        with hw.job("child", scope="children") as own:
            own.advance()
    pids = []
    for number in range(200):
        pids.append(fork(child))
        if len(pids) >= 8:
            wait(pids.pop(0))
    for pid in pids:
        wait(pid)
    stop.set()
    for thread in threads:
        thread.join()
print(job.count)
""", url, seconds=170)  # fmt: skip
    assert (code, errors) == (0, "")
    found, cursor = [], None
    while True:
        page = hw.find(scope="children", limit=200, cursor=cursor)
        found += page
        cursor = page.cursor
        if cursor is None:
            break
    assert len(found) == 200
    assert {one.status for one in found} == {"completed"}
    assert (hw.get("parent").status, hw.get("parent").count) == ("completed", int(out))


def test_a_child_of_multiprocessing_delivers_what_it_counted(hw, url):
    code, _, errors = run("""
    import multiprocessing
    with hw.job("parent", id="parent", total=10) as job:
        def child():
            job.advance(3)
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join()
    """, url)  # fmt: skip
    assert (code, errors) == (0, "")
    assert eventually(lambda: hw.get("parent").count) == 3
