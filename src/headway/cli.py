"""The command: see a demo, watch jobs in a terminal or a browser, list them, ask them to stop."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import signal
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote, urlsplit

import click

import headway
from headway import board, terminal
from headway import demo as demonstration
from headway.core import arguments, words
from headway.core.errors import (
    Cancelled,
    HeadwayError,
    InvalidValue,
    MissingPackage,
    StoreUnavailable,
    UnknownStore,
)
from headway.core.snapshot import ENDED, UNENDED
from headway.doctor import examine
from headway.following import FATES, STALLED, WORST_LAST, Following, fate, follow
from headway.programs import command as commands
from headway.programs import inside, pipe
from headway.stores.connections import without_secrets
from headway.stores.contract import LARGEST_PAGE

if TYPE_CHECKING:
    import socket

    from headway.client import Headway
    from headway.core.snapshot import Snapshot
    from headway.demo import Worker

GRACE = 2.0
"""Seconds in which a worker's last word may still arrive after its process has gone."""
PATIENCE = 60.0
"""Seconds for which a stalled job, or one that is not known, is waited for."""
USAGE, NO_STORE = 2, 4
INTERRUPTED, CLOSED, TERMINATED = 130, 141, 143
"""As shells have it: 128 + SIGINT, SIGPIPE, SIGTERM."""
LOOPBACK = "127.0.0.1"
EXAMPLE = """{said}  To see one, type

  {program} demo

or start one of your own in Python:

  import headway, time
  for row in headway.track(range(300), "My first job"):
      time.sleep(0.1)
"""


class Commands(click.Group):
    """Commands whose errors are one line on standard error, and an exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(CLOSED)
        except (StoreUnavailable, UnknownStore, MissingPackage) as error:
            leave(NO_STORE, str(error))
        except InvalidValue as error:
            leave(NO_STORE if error.field == "url" else USAGE, str(error))
        except HeadwayError as error:
            leave(FATES["failed"], str(error))


def leave(status: int, message: str) -> NoReturn:
    """End with a line on standard error."""
    say(message)
    sys.exit(status)


def say(message: str) -> None:
    """A line on standard error."""
    click.echo(f"headway: {words.harmless(message)}", err=True)


store_option = click.option(
    "--store",
    metavar="URL",
    help="Where records are kept, as sqlite:///path/to/file.db.  By default HEADWAY_STORE, else your file.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Lines of JSON, for scripts.")
scope_option = click.option("--scope", help="Only jobs of this scope.")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="headway", message="headway %(version)s")
def command() -> None:
    """See how far long-running jobs have got, and ask them to stop."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # not a stream that can be told
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]


@command.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@scope_option
@click.option("--all", "everything", is_flag=True, help="All jobs, those to come included.")
@json_option
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=PATIENCE,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for a job that is stalled, or that is not known.",
)
@store_option
def watch(
    *,
    ids: tuple[str, ...],
    scope: str | None,
    everything: bool,
    as_json: bool,
    patience: float,
    store: str | None,
) -> None:
    """Watch jobs until they end; without ID those that are live now.

    Exits with 0 when all have completed, 1 when one has failed, 2 when one was cancelled or stopped, 3
    when one has been stalled for longer than the patience or did not appear in time.  Ctrl-C leaves and
    stops nothing.
    """
    ids = tuple(dict.fromkeys(map(arguments.identifier, ids)))
    hw = headway.connect(store)
    for_ever = everything or scope is not None
    if not ids and not for_ever:
        ids = tuple(job.id for job in hw.find(status=UNENDED, limit=LARGEST_PAGE).jobs[::-1])
        if not ids:
            show_how_to_start("Nothing is running.", as_json=as_json)
            return
    output = terminal.output(sys.stdout, json=as_json)
    with Following(hw, output, ids, scope, everything=everything) as following:
        fates = follow(following, ids, patience, for_ever=for_ever)
    for id in [id for id, status in fates.items() if status == STALLED]:
        say(_why_given_up(id, following, patience))
    sys.exit(max(fates.values(), key=WORST_LAST.index))


def _why_given_up(id: str, following: Following, patience: float) -> str:
    if id in following.gone:
        return f"the record of job {id} is gone"
    if following.board.get(id) is None:
        return f"no job {id} in {patience:g} s; has it started, and does it report to this store?"
    return f"job {id} is stalled, and did not speak again for {patience:g} s"


@command.command("list")
@json_option
@scope_option
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([*UNENDED, *sorted(ENDED)]),
    help="Only those that read so; several are alternatives.",
)
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
@click.option("--all", "everything", is_flag=True, help="As many as there are.")
@store_option
def list_(
    *,
    as_json: bool,
    scope: str | None,
    statuses: tuple[str, ...],
    limit: int,
    everything: bool,
    store: str | None,
) -> None:
    """List jobs, the newest first."""
    hw = headway.connect(store)
    jobs, more = found(hw, scope, statuses, None if everything else limit)
    if as_json:
        for job in jobs:
            click.echo(board.json_line(job))
        return
    if jobs:
        terminal.table(jobs, sys.stdout)
    else:
        show_how_to_start("No such jobs." if scope or statuses else "No jobs here yet.")
    if more:
        click.echo(f"There are more: --limit {2 * limit}, or --all.", err=True)


def found(
    hw: Headway, scope: str | None, statuses: tuple[str, ...], limit: int | None
) -> tuple[list[Snapshot], bool]:
    """At most so many jobs, newest first, and whether there are more; all without a limit."""
    jobs: list[Snapshot] = []
    cursor = None
    while True:
        wanted = LARGEST_PAGE if limit is None else min(LARGEST_PAGE, limit - len(jobs))
        page = hw.find(scope=scope, status=statuses, limit=wanted, cursor=cursor)
        jobs += page
        cursor = page.cursor
        if cursor is None or len(jobs) == limit:
            return jobs, cursor is not None


@command.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@store_option
def cancel(ids: tuple[str, ...], store: str | None) -> None:
    """Ask jobs to stop.

    Exits with 0 when that was recorded, 1 when a job is not known, has ended, or cannot be stopped any more.
    """
    for id in ids:
        arguments.identifier(id)
    hw = headway.connect(store)
    asked = [hw.cancel(id) for id in ids]
    for id, recorded in zip(ids, asked, strict=True):
        job = hw.get(id)
        if recorded:
            click.echo(words.harmless(f"{id} {_what_cancelling_did(job)}"))
        else:
            say(_why_not_cancelled(id, job))
    sys.exit(0 if all(asked) else 1)


def _what_cancelling_did(job: Snapshot | None) -> str:
    return "is cancelled" if job and job.status == "cancelled" else "was asked to stop"


def _why_not_cancelled(id: str, job: Snapshot | None) -> str:
    if job is None:
        return f"no job {id} is known here"
    if job.ended:
        return f"job {id} has ended already: {job.status}"
    return f"job {id} is past its point of no return, and cannot be stopped any more"


@command.command()
@click.argument(
    "path",
    required=False,
    type=click.Path(exists=True, file_okay=False, readable=True, path_type=Path),
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=1),
    default=demonstration.SECONDS,
    show_default=True,
    help="About how long it may take.",
)
@click.option("--serve", "stay", is_flag=True, help="Leave the dashboard up until Ctrl-C.")
@store_option
def demo(*, path: Path | None, seconds: float, stay: bool, store: str | None) -> None:
    """Measure how small the files below PATH would be under xz.

    Without PATH those of Python's own library.  A worker process does the work, and what you see is read
    from the store, here and in a browser.  Exits as watch does.  Ctrl-C asks the job to stop, a second one
    leaves at once.
    """
    folder = path.resolve() if path else demonstration.standard_library()
    hw = headway.connect(store)
    if hw.store.url.startswith("memory:"):
        leave(NO_STORE, "memory:// is seen by one process only, and a demo has two; name another store")
    if not demonstration.possible():
        leave(FATES["failed"], "this Python was built without xz (its module lzma), which the demo needs")
    id = f"demo-{secrets.token_hex(4)}"
    hw.reserve(id=id, **demonstration.options(folder))
    worker = demonstration.start(folder, id, seconds, hw.store.url)
    with ExitStack() as beside:
        address = show_beside(hw, beside, _named_url(hw, store))
        if address:
            click.echo(f"In a browser: {address}?job={id}\n")
        with worker, Following(hw, terminal.output(sys.stdout), [id], forgiving=1) as following:
            job = attend(hw, following, worker)
            worker.listen()
        if job is not None and job.status == "pending":
            hw.cancel(id)  # nobody will come for it
        conclude(job, worker)
        click.echo("\n".join(["", *demonstration.next_lines(_next_commands(id, hw, store))]))
        if stay and address:
            stay_until_interrupted(address)
    hw.close()
    sys.exit(fate(job, 0.0, lost=True))


def show_beside(hw: Headway, beside: ExitStack, named: str | None) -> str | None:
    """A dashboard on this machine for as long as the block is; its address, None where there can be none."""
    try:
        from headway.web import uvicorn
        from headway.web.dashboard import Dashboard

        listening = uvicorn.bound(LOOPBACK)
    except (MissingPackage, InvalidValue):
        return None
    beside.enter_context(uvicorn.Beside(Dashboard(hw, named=named), listening))
    return uvicorn.address_of(listening)


def stay_until_interrupted(address: str) -> None:
    """Wait for Ctrl-C."""
    click.echo(f"\nThe dashboard stays at {address} until Ctrl-C.")
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)


def attend(hw: Headway, following: Following, worker: Worker) -> Snapshot | None:
    """Show the job until it has ended, or until it is clear that it never will."""
    asked, left_at = False, None
    while True:
        job = following.step().get(worker.id)
        if job is not None and job.ended:
            return job
        if following.interrupts and not asked:
            asked = hw.cancel(worker.id)
        if worker.exited and left_at is None:
            left_at = time.monotonic()
        lost = left_at is not None and time.monotonic() - left_at > GRACE
        if lost and (job is None or job.status in {"pending", "stalled"}):
            return job
        following.notices = _notices(worker, lost=lost, interrupted=bool(following.interrupts))


def _notices(worker: Worker, *, lost: bool, interrupted: bool) -> list[str]:
    if lost:
        return [f"The worker process {worker.exited}."]
    if interrupted:
        return ["Asked to stop.  Ctrl-C again leaves at once."]
    return ["Ctrl-C asks the job to stop."] if sys.stdout.isatty() else []


def conclude(job: Snapshot | None, worker: Worker) -> None:
    """Say what came out."""
    if job is not None and job.ended:
        for message in [message for message in job.messages if message.level == "warning"][-3:]:
            click.echo(f"  {words.harmless(message.text)}")
        if job.status == "completed":
            click.echo("\n".join(["", *demonstration.summary(job.result, job.failed_count)]))
        return
    say(f"the worker process {worker.exited} without an end of its job")
    if worker.complaint:
        say(f"it said: {worker.complaint}")


@command.command()
@click.argument("name")
@click.option("--forget", is_flag=True, help="Forget it: the next run begins without.")
@json_option
@store_option
def history(*, name: str, forget: bool, as_json: bool, store: str | None) -> None:
    """Show what is known of earlier runs of NAME, from which time left is told.

    NAME is what the jobs are called, or their kind, where they have one.  At most 8 completed runs are kept.
    Exits with 1 when nothing is known.
    """
    hw = headway.connect(store)
    runs = hw.store.history(name)
    if forget and runs:
        hw.store.learn(name, None)
    hw.close()
    if forget:
        said = "is forgotten" if runs else "nothing was known"
        click.echo(words.harmless(f"{name}: {said}"))
    else:
        for line in map(board.run_json, runs) if as_json else board.history_lines(name, runs):
            click.echo(line)
    sys.exit(0 if runs else 1)


@command.command()
@click.argument("url", required=False)
@click.option("--host", default=LOOPBACK, show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65_535), help="By default 8430, or the next one that is free.")
@click.option(
    "--token",
    envvar="HEADWAY_TOKEN",
    show_envvar=True,
    help="What a browser must bring.  By default one is drawn where others can reach this.",
)
def serve(url: str | None, host: str, port: int | None, token: str | None) -> None:
    """Show all jobs in a browser, live, and cancel them there.

    URL is the store's; by default HEADWAY_STORE, else your file.  Only this machine can reach the dashboard,
    unless --host says otherwise: then it asks for a token.  Ctrl-C ends it.
    """
    from headway.web import uvicorn
    from headway.web.dashboard import Dashboard
    from headway.web.guard import SHORTEST, Guard

    hw = headway.connect(url)
    if hw.store.url.startswith("memory:"):
        leave(NO_STORE, "memory:// is seen by one process only; name a store that your workers report to")
    if token is not None and len(token) < SHORTEST:
        raise InvalidValue("token", "…", f"a token has at least {SHORTEST} characters")
    listening = uvicorn.bound(host, port)
    if token is None and not uvicorn.is_private(listening):
        token = secrets.token_urlsafe(24)
    guard = Guard(token, cookie=f"headway-{listening.getsockname()[1]}")
    click.echo(words.harmless(f"Jobs of {without_secrets(hw.store.url)}"))
    click.echo(_invitation(listening, token))
    uvicorn.serve(Dashboard(hw, guard, _named_url(hw, url)), listening)
    hw.close()


def _invitation(listening: socket.socket, token: str | None) -> str:
    from headway.web import uvicorn

    address = uvicorn.address_of(listening)
    shown = f"  {address}?token={quote(token)}" if token else f"  {address}"
    if token and not uvicorn.is_private(listening):
        shown += "\nWhoever has this address sees all jobs, and may cancel them."
    return f"{shown}\nCtrl-C ends it."


@command.command()
@click.argument("url", required=False)
def doctor(url: str | None) -> None:
    """Look whether a store is well, and say what to change.

    URL is the store's; by default HEADWAY_STORE, else your file.  Exits with 0 when all is well, 1 when
    records may get lost or changes come late, 4 when the store cannot be used.
    """
    hw = headway.connect(url)
    click.echo(words.harmless(without_secrets(hw.store.url)))
    levels = set()
    for finding in examine(hw.store):
        levels.add(finding.level)
        click.echo(words.harmless(f"{finding.level:7}  {finding.what}"))
        if finding.advice:
            click.echo(words.harmless(f"{'':7}  -> {finding.advice}"))
    hw.close()
    sys.exit(NO_STORE if "error" in levels else FATES["failed"] if "warning" in levels else 0)


@command.command()
@click.argument("url", required=False)
def migrate(url: str | None) -> None:
    """Make what a store needs before its first use, as its owner.

    Only PostgreSQL needs it, and only where the program itself may not create tables.
    """
    hw = headway.connect(url)
    made = hw.store.migrate()
    hw.close()
    click.echo("made what was missing" if made else "there was nothing to make")


class Words(click.Command):
    """A command whose arguments are somebody else's command line; after ``--`` it is no Python program."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Remember whether the words came after ``--``."""
        valued = {name for option in self.params if _takes_value(option) for name in option.opts}
        at = 0
        while at < len(args) and args[at].startswith("-") and args[at] != "--":
            at += 2 if args[at] in valued else 1
        ctx.obj = args[at : at + 1] == ["--"]
        return super().parse_args(ctx, args)


def _takes_value(option: click.Parameter) -> bool:
    return isinstance(option, click.Option) and not option.is_flag


name_option = click.option("--name", help="What people call it; by default the program's name.")
id_option = click.option("--id", "id_", metavar="ID", help="Its id; by default a random one.")
job_scope_option = click.option("--scope", help="Whose or which job it is.")


@command.command(
    cls=Words, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.option("-m", "module", is_flag=True, help="The first word is a module, as with python -m.")
@name_option
@id_option
@job_scope_option
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long it may take to stop when it is asked to, before it is killed.",
)
@click.option("--hook", is_flag=True, help="Say what PYTHONPATH must name for bars to be reported, and exit.")
@store_option
@click.argument("words_", metavar="COMMAND...", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def run(
    after_dashes: bool,  # noqa: FBT001 - click passes it so
    *,
    module: bool,
    name: str | None,
    id_: str | None,
    scope: str | None,
    grace: float,
    hook: bool,
    store: str | None,
    words_: tuple[str, ...],
) -> None:
    """Run a program as a job: script.py, -m module, or -- any command.

    A Python program runs as it is, and its tqdm and rich bars are shown as stages of the job.  Of any other
    command the last line of output is what it is doing, and percentages move the bar.  Output, signals and
    exit status are the program's own; cancelling the job stops it.
    """
    if hook:
        click.echo(inside.folder())
        return
    if not words_:
        raise click.UsageError("what is to be run?")
    hw = headway.connect(store)
    options: dict[str, Any] = {"id": id_, "scope": arguments.scope(scope), "grace": grace}
    options["name"] = name or Path(words_[0]).name
    if module or (not after_dashes and _is_python(words_[0])):
        start, words_ = commands.run_program, (sys.executable, *(["-m"] if module else []), *words_)
    else:
        start = commands.run_command
    try:
        status = start(hw, words_, **options)
    except commands.CannotStart as error:
        leave(error.status, str(error))
    finally:
        hw.close()
    commands.leave_as(status)


def _is_python(word: str) -> bool:
    """Whether the interpreter runs it: a script, an archive or a folder with a __main__.py."""
    path = Path(word)
    return path.suffix in {".py", ".pyw", ".pyz"} or (path / "__main__.py").is_file()


@command.command("pipe")
@click.option("--size", type=click.IntRange(min=0), help="How many bytes, or lines, there are.")
@click.option("--lines", is_flag=True, help="Count lines.")
@name_option
@id_option
@job_scope_option
@store_option
def pipe_(
    *,
    size: int | None,
    lines: bool,
    name: str | None,
    id_: str | None,
    scope: str | None,
    store: str | None,
) -> None:
    """Copy standard input to standard output, and count what flows through.

    The total is --size, else the size of the file that is read.  Exits with 0 when all was copied, 1 when it
    cannot be read or the job was cancelled, 141 when nobody reads on.
    """
    hw = headway.connect(store)
    total = size if size is not None or lines else pipe.left_in(0)
    unit = "lines" if lines else "B"
    try:
        with hw.job(name or "pipe", id=id_, scope=scope, total=total, unit=unit) as job:
            try:
                pipe.copy(0, 1, job, lines=lines)
            except BrokenPipeError:
                job.stop()
                raise
            except OSError as error:
                job.fail(f"it cannot be copied: {error.strerror}")
                leave(FATES["failed"], f"it cannot be copied: {error.strerror}")
    except Cancelled as error:
        leave(FATES["failed"], str(error))
    finally:
        hw.close()


def show_how_to_start(said: str, *, as_json: bool = False) -> None:
    """What an empty store has to say."""
    if not as_json:
        click.echo(EXAMPLE.format(said=said, program=_program()), nl=False)


def _next_commands(id: str, hw: Headway, store: str | None) -> list[str]:
    """Commands that work when they are pasted: this program, this store."""
    named = _named_store(hw, store)
    return [f"{_program()} list{named}", f"{_program()} watch {id}{named}"]


def _named_store(hw: Headway, store: str | None) -> str:
    named = _named_url(hw, store)
    return f" --store {shlex.quote(named)}" if named is not None else ""


def _named_url(hw: Headway, store: str | None) -> str | None:
    """The store's URL where it is not the default one; a password that was not typed is not shown."""
    url = hw.store.url
    if store is None and ("HEADWAY_STORE" not in os.environ or urlsplit(url).password):
        return None
    return url


def _program() -> str:
    """How this program was called, so that it can be called again."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m headway"
    on_path = shutil.which(called.name)
    if on_path and called.exists() and called.samefile(on_path):
        return called.name
    return shlex.quote(str(called))
