"""`headway run` of Python programs that know nothing of us."""

import multiprocessing
import os
import signal
import subprocess
import sys

import pytest
from tests.emulator import Terminal
from tests.processes import eventually
from tests.programs.scene import (
    finish,
    headway_run,
    jobs,
    one_job,
    run,
    script,
    seen_live,
    start,
)

import headway
from headway.programs import inside

pytestmark = pytest.mark.timeout(240)

TRAINING = """
    import sys, time
    from tqdm import tqdm, trange
    for epoch in trange(3, desc="Epochs"):
        loop = tqdm(range(12), desc=f"Epoch {epoch}", leave=False)
        for batch in loop:
            time.sleep(0.12)
            loop.set_postfix(loss=f"{1 / (1 + batch):.3f}")
    print("done", *sys.argv[1:])
    sys.exit(int(sys.argv[1]))
"""


def test_a_training_loop_is_seen_live_and_afterwards(store, tmp_path):
    program = start(headway_run(script(tmp_path, TRAINING), 0, "--lr", "0.1"), store)
    live = seen_live(store, lambda job: len(job.stages) == 3 and (job.stages[2].count or 0) > 2)
    assert (live.name, live.status) == ("train.py", "running")
    assert (live.count, live.total) == (1, 3)
    assert [stage.name for stage in live.stages] == ["Epochs", "Epoch 0", "Epoch 1"]
    assert live.activity.startswith("loss=")
    status, out, errors = finish(program)
    assert (status, out) == (0, b"done 0 --lr 0.1\n")
    assert b"Epochs: 100%" in errors
    job = one_job(store)
    assert (job.status, job.percent, job.count) == ("completed", 100, 3)
    listed = run((sys.executable, "-m", "headway", "list"), store)
    assert b"train.py" in listed[1]
    assert b"completed" in listed[1]


ENDS = {
    "sys.exit()": ("", 0, "completed", None, None),
    "sys.exit(3)": ("sys.exit(3)", 3, "failed", "exit status 3", None),
    "raise SystemExit": ("raise SystemExit(4)", 4, "failed", "exit status 4", None),
    "sys.exit('text')": ("sys.exit('no file')", 1, "failed", "exit status 1", None),
    "an exception": ("raise ValueError('secret')", 1, "failed", None, "ValueError"),
    "a wrong program": ("import nowhere", 1, "failed", None, "ModuleNotFoundError"),
    "os._exit": ("os._exit(5)", 5, "failed", "exit status 5", None),
    "a crash": ("os.kill(os.getpid(), 11)", -11, "failed", "killed by SIGSEGV", None),
    "a kill": ("os.kill(os.getpid(), 9)", -9, "failed", "killed by SIGKILL", None),
    "a termination": ("os.kill(os.getpid(), 15)", -15, "stopped", None, None),
    "an interrupt": ("raise KeyboardInterrupt", -2, "stopped", None, None),
}


@pytest.mark.parametrize("case", ENDS)
def test_a_program_ends_as_it_does_without_us_and_the_job_says_how(case, store, tmp_path):
    text, status, end, why, kind = ENDS[case]
    path = script(
        tmp_path, f"import os, sys, tqdm\nfor x in tqdm.tqdm(range(3)): pass\nprint('said')\n{text}"
    )
    without = run([sys.executable, path], store)
    ours = run(headway_run(path), store)
    assert (ours[0], ours[1]) == (without[0], without[1]) == (status, ours[1])
    if "exception" in case or "wrong" in case:
        assert ours[2].splitlines()[-1] == without[2].splitlines()[-1]
    job = one_job(store)
    assert job.status == end
    error = job.error
    assert (error and error.text, error and error.type) == (why, kind)


def test_a_syntax_error_is_a_failure(store, tmp_path):
    assert run(headway_run(script(tmp_path, "def")), store)[0] == 1
    job = one_job(store)
    assert (job.status, job.error.type) == ("failed", "SyntaxError")


def test_a_module_is_run_as_python_does(store, tmp_path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__main__.py").write_text(
        "import sys, pickle, tqdm\n"
        "class Here: pass\n"
        "pickle.dumps(Here())\n"
        "for x in tqdm.tqdm(range(4), desc='Bar'): pass\n"
        "print(__name__, __package__, sys.argv[1:], any('startup' in place for place in sys.path))\n"
    )
    status, out, _ = run(headway_run("-m", "pack", "-x", "--", "y"), store, cwd=tmp_path)
    assert (status, out) == (0, b"__main__ pack ['-x', '--', 'y'] False\n")
    job = one_job(store)
    assert (job.name, job.count) == ("pack", 4)


def test_options_name_the_job(store, tmp_path):
    path = script(tmp_path, "pass")
    assert run(headway_run("--name", "Nightly", "--id", "n-1", "--scope", "user/1", path), store)[0] == 0
    job = one_job(store)
    assert (job.name, job.id, job.scope, job.status) == ("Nightly", "n-1", "user/1", "completed")
    assert run(headway_run("--id", "n-1", path), store)[0] == 0
    assert headway.connect(store).get("n-1").attempt == 2


def test_a_live_job_of_the_same_id_keeps_a_second_program_from_starting(store, tmp_path):
    path = script(tmp_path, "import time; time.sleep(60)")
    first = start(headway_run("--id", "one", path), store)
    seen_live(store, lambda job: job.status == "running")
    status, _, errors = run(headway_run("--id", "one", path), store)
    assert (status, b"already running" in errors) == (1, True)
    first.terminate()
    finish(first)


def test_the_bars_of_a_library_are_stages(store, tmp_path):
    pytest.importorskip("emcee")
    path = script(
        tmp_path,
        """
        import emcee, numpy
        def chance(x):
            return -0.5 * numpy.sum(x ** 2)
        sampler = emcee.EnsembleSampler(8, 2, chance)
        sampler.run_mcmc(numpy.random.randn(8, 2), 3000, progress=True)
        """,
    )
    program = start(headway_run(path), store)
    live = seen_live(store, lambda job: job.status == "running" and (job.count or 0) > 10)
    assert live.total == 3000
    assert finish(program)[0] == 0
    job = one_job(store)
    assert (job.status, job.count) == ("completed", 3000)


def test_a_librarys_download_is_a_stage_in_bytes(store, tmp_path):
    pytest.importorskip("pooch")
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "data.bin").write_bytes(os.urandom(3_000_000))
    path = script(
        tmp_path,
        """
        import functools, http.server, threading, pooch
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="served")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/data.bin"
        pooch.retrieve(url, known_hash=None, path="got", progressbar=True)
        """,
    )
    assert run(headway_run(path), store, cwd=tmp_path)[0] == 0
    job = one_job(store)
    assert (job.status, job.count, job.total, job.unit) == ("completed", 3_000_000, 3_000_000, "B")


def test_pandas_apply_and_executor_maps_are_seen(store, tmp_path):
    pytest.importorskip("pandas")
    path = script(
        tmp_path,
        """
        import time, pandas
        from tqdm.auto import tqdm
        from tqdm.contrib.concurrent import process_map, thread_map
        def work(row):
            time.sleep(0.05)
            return row
        if __name__ == "__main__":
            tqdm.pandas(desc="Applying")
            pandas.Series(range(24)).progress_apply(work)
            thread_map(work, range(60), desc="Threads", max_workers=2)
            process_map(work, range(60), desc="Processes", max_workers=2, chunksize=1)
        """,
    )
    status, _, errors = run(headway_run(path), store)
    assert status == 0, errors.decode()
    job = one_job(store)
    assert [(stage.name, stage.count, stage.ended) for stage in job.stages] == [
        ("Applying", 24, True),
        ("Threads", 60, True),
        ("Processes", 60, True),
    ]


def test_bars_of_rich_are_stages(store, tmp_path):
    path = script(
        tmp_path,
        """
        import time
        from rich.progress import Progress, track
        for x in track(range(14), "[bold]Tracking[/bold]"):
            time.sleep(0.1)
        with Progress() as progress:
            one, other = progress.add_task("One", total=30), progress.add_task("Other", total=None)
            for x in range(15):
                progress.advance(one, 2)
                progress.update(other, advance=1)
                time.sleep(0.1)
        with Progress(disable=True) as progress:
            progress.add_task("Hidden", total=3)
            time.sleep(1.2)
        """,
    )
    program = start(headway_run(path), store)
    live = seen_live(store, lambda job: len(job.stages) == 3 and (job.stages[2].count or 0) > 2)
    assert [stage.name for stage in live.stages] == ["Tracking", "One", "Other"]
    assert finish(program)[0] == 0
    job = one_job(store)
    assert [(stage.name, stage.count, stage.total, stage.ended) for stage in job.stages] == [
        ("Tracking", 14, 14, True),
        ("One", 30, 30, True),
        ("Other", 15, None, True),
    ]


CHILD = """
    import time
    from tqdm import tqdm
    for x in tqdm(range(20), desc="In the child"):
        time.sleep(0.1)
"""


def test_in_a_tree_of_processes_the_bars_of_a_child_are_below_the_programs_job(store, tmp_path):
    script(tmp_path, CHILD, "child.py")
    path = script(
        tmp_path,
        "import subprocess, sys\nsubprocess.run(['sh', '-c', sys.executable + ' child.py'], check=True)\n",
    )
    program = start(headway_run(path), store, cwd=tmp_path)
    live = seen_live(store, lambda job: job.parent is not None and (job.count or 0) > 2)
    parent = headway.connect(store).get(live.parent)
    assert (live.name, parent.name, parent.status) == ("In the child", "train.py", "running")
    assert finish(program)[0] == 0
    parent = headway.connect(store).get(live.parent)
    assert (parent.status, parent.children.count, parent.children.ended) == ("completed", 1, 1)


POOL = """
    import multiprocessing, sys, time
    from tqdm import tqdm
    def work(row):
        for epoch in tqdm(range(2), desc=f"Row {row}"):
            for step in tqdm(range(12), desc="Steps"):
                time.sleep(0.1)
    if __name__ == "__main__":
        with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
            for done in tqdm(pool.imap(work, range(3)), total=3, desc="Rows"):
                pass
"""


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_the_bars_of_a_pools_workers_are_below_the_programs_job(how, store, tmp_path):
    if how not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {how} here")
    program = start(headway_run(script(tmp_path, POOL), how), store)
    live = seen_live(store, lambda job: job.parent is not None and job.stages and job.stages[0].count)
    assert (live.count, live.total, live.stages[0].name) == (0, 2, "Steps")
    status, _, errors = finish(program)
    assert status == 0, errors.decode()
    parent, *children = jobs(store)
    assert (parent.name, parent.status, parent.count) == ("train.py", "completed", 3)
    assert {(job.name, job.status, job.count, job.parent) for job in children} == {
        (f"Row {row}", "completed", 2, parent.id) for row in range(3)
    }


def test_a_command_shows_the_bars_of_the_python_in_it(store, tmp_path):
    script(tmp_path, CHILD, "child.py")
    status, _, errors = run(headway_run("--", "sh", "-c", f"{sys.executable} child.py"), store, cwd=tmp_path)
    assert status == 0, errors.decode()
    parent, child = jobs(store)
    assert (parent.name, child.name, child.parent, child.count) == ("sh", "In the child", parent.id, 20)


def test_with_the_variable_alone_each_outermost_bar_is_a_job(store, tmp_path):
    path = script(tmp_path, "import tqdm\nfor x in tqdm.tqdm(range(5), desc='Alone'): pass\n")
    hook = run(headway_run("--hook"), store)[1].decode().strip()
    assert hook == inside.folder()
    assert run([sys.executable, path], store, variables={"PYTHONPATH": hook})[0] == 0
    job = one_job(store)
    assert (job.name, job.status, job.count) == ("Alone", "completed", 5)


LOOPS = {
    "track": "for x in track(range(10**6)): time.sleep(0.01)",
    "advance": "with Progress() as shown:\n  row = shown.add_task('x', total=None)\n"
    "  while True: shown.advance(row); time.sleep(0.01)",
    "update": "with Progress() as shown:\n  row = shown.add_task('x', total=10**6)\n"
    "  for x in range(10**6): shown.update(row, completed=x); time.sleep(0.01)",
    "a track that does not draw itself": "for x in track(range(10**6), auto_refresh=False): time.sleep(0.01)",
}


@pytest.mark.parametrize("loop", LOOPS)
def test_with_the_variable_alone_a_cancel_reaches_the_next_step_of_a_bar_of_rich(loop, store, tmp_path):
    path = script(tmp_path, f"import time\nfrom rich.progress import Progress, track\n{LOOPS[loop]}\n")
    program = start([sys.executable, path], store, variables={"PYTHONPATH": inside.folder()})
    job = seen_live(store, lambda job: (job.count or 0) > 3)
    assert headway.connect(store).cancel(job.id)
    status, _, errors = finish(program)
    assert (status, f"Cancelled: job {job.id}" in errors.decode()) == (1, True)
    assert errors.count(b"Traceback") == 1  # none of rich's threads was stopped
    assert one_job(store).status == "cancelled"


def test_the_hook_gives_way_to_another_sitecustomize_and_does_no_harm_without_us(store, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "sitecustomize.py").write_text("print('the other one')\n")
    variables = {"PYTHONPATH": f"{inside.folder()}{os.pathsep}{tmp_path / 'other'}"}
    text = "import sitecustomize, sys; print(sitecustomize.__file__, 'msgspec' in sys.modules)"
    status, out, errors = run([sys.executable, "-c", text], store, variables=variables)
    assert (status, errors) == (0, b"")
    assert out.decode().split() == [
        "the",
        "other",
        "one",
        str(tmp_path / "other" / "sitecustomize.py"),
        "False",
    ]
    text = "import sys; sys.path.insert(0, sys.argv[1]); import sitecustomize"
    bare = subprocess.run(  # an interpreter that has no headway, as it has no site-packages
        [sys.executable, "-S", "-c", text, inside.folder()],
        capture_output=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert (bare.returncode, bare.stderr) == (0, b"")


def test_importing_the_hook_costs_no_third_party_package(store):
    text = "import sys; print(sorted({'msgspec', 'tqdm', 'rich', 'sqlite3', 'asyncio'} & set(sys.modules)))"
    variables = {"PYTHONPATH": inside.folder()}
    assert run([sys.executable, "-c", text], store, variables=variables)[1] == b"[]\n"


def test_cancelling_interrupts_the_program_as_ctrl_c_does(store, tmp_path):
    path = script(
        tmp_path,
        """
        import time
        try:
            while True:
                time.sleep(0.05)
        except KeyboardInterrupt:
            print("cleaned up", flush=True)
            raise
        """,
    )
    program = start(headway_run("--id", "c", path), store)
    seen_live(store, lambda job: job.status == "running")
    assert headway.connect(store).cancel("c")
    status, out, _ = finish(program)
    assert (status, out) == (-signal.SIGINT, b"cleaned up\n")
    assert one_job(store).status == "cancelled"


def test_a_program_that_does_not_listen_is_terminated_and_then_killed(store, tmp_path):
    path = script(
        tmp_path,
        """
        import signal, time
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        print("deaf", flush=True)
        time.sleep(600)
        """,
    )
    program = start(headway_run("--id", "d", "--grace", "0.3", path), store)
    program.stdout.readline()
    eventually(lambda: headway.connect(store).cancel("d"))
    assert finish(program)[0] == -signal.SIGKILL
    assert one_job(store).status == "cancelled"


@pytest.mark.parametrize(("number", "end"), [(signal.SIGTERM, "stopped"), (signal.SIGINT, "stopped")])
def test_signals_reach_the_program(number, end, store, tmp_path):
    program = start(
        headway_run(script(tmp_path, "import time; time.sleep(600)")), store, start_new_session=True
    )
    seen_live(store, lambda job: job.status == "running")
    program.send_signal(number)
    assert finish(program)[0] == -number
    assert one_job(store).status == end


def test_ctrl_c_in_a_terminal_reaches_the_program_once(store, tmp_path):
    path = script(
        tmp_path,
        """
        import signal, time
        seen = []
        signal.signal(signal.SIGINT, lambda *_: seen.append(1))
        print("ready", flush=True)
        while not seen:
            time.sleep(0.02)
        time.sleep(1)
        print("interrupts:", len(seen))
        """,
    )
    with Terminal(*headway_run(path), HEADWAY_STORE=store) as terminal:
        terminal.until("ready")
        terminal.type(b"\x03")
        assert terminal.ended() == 0
        assert "interrupts: 1" in terminal.text
    assert one_job(store).status == "completed"


CLOCK = """
now = [0.0]
def clock():
    now[0] += 0.07
    return now[0]
import tqdm, sys
sys.modules["tqdm.std"].time = clock
for epoch in tqdm.trange(3, desc="Epochs"):
    for batch in tqdm.tqdm(range(9), desc=f"Epoch {epoch}", leave=False):
        if batch == 4:
            tqdm.tqdm.write("a line")
print(sys.stdin.isatty(), sys.stdout.isatty())
"""


def test_a_terminal_shows_the_same_character_by_character(store, tmp_path):
    path = script(tmp_path, CLOCK)
    written = []
    for words in ([sys.executable, path], headway_run(path)):
        with Terminal(*words, HEADWAY_STORE=store) as terminal:
            assert terminal.ended() == 0, terminal.text
            written.append(terminal.written)
    assert written[0] == written[1]
    assert one_job(store).count == 3


def test_a_store_that_is_away_keeps_no_program_from_running(store, tmp_path):
    (tmp_path / "file").touch()
    url = f"sqlite:///{tmp_path}/file/jobs.db"
    for words in (headway_run(script(tmp_path, TRAINING), 0), headway_run("--", "echo", "done")):
        status, out, errors = run(words, url)
        assert (status, out.split()[0]) == (0, b"done"), errors.decode()


def test_the_drop_in_in_a_program_that_is_run_is_reported_once(store, tmp_path):
    path = script(
        tmp_path, "from headway.tqdm import tqdm\nfor x in tqdm(range(5), desc='Once'): pass\ntqdm.write('x')"
    )
    assert run(headway_run(path), store)[0] == 0
    job = one_job(store)
    assert (job.name, job.count, job.message_count) == ("train.py", 5, 1)
