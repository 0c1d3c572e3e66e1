"""tqdm's bars, reported: what each says of itself, how it ended, and how it is stopped.

Nothing of ours runs in a step.  tqdm keeps its count in an attribute that it renews whenever it has looked at
the clock, so what others see is as fresh as the bar in the terminal.  The one thing that a step looks at,
``miniters``, is what stops it: see `Stop`.
"""

from __future__ import annotations

import functools
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import ref

from headway.mirrored import mirror
from headway.worker.mirror import Fate, Reading, amount

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

OUTPUTS = (None, "<stdout>", "<stderr>")


class TqdmBar:
    """One bar of tqdm, without keeping it alive."""

    __slots__ = ("_bar", "_last", "_name")

    def __init__(self, bar: Any) -> None:
        self._bar: Callable[[], Any] = ref(bar)
        self._name = _description(bar)
        self._last = read(bar, self._name)

    def reading(self) -> Reading:
        """Where it stands."""
        bar = self._bar()
        if bar is not None and not bar.disable:
            with suppress(Exception):  # a subclass may have replaced what we read
                self._last = read(bar, self._name)
        return self._last

    def freeze(self, bar: Any) -> None:
        """Keep where it stood at its end."""
        with suppress(Exception):  # as above
            self._last = read(bar, self._name)

    def interrupt(self, stop: Callable[[], object]) -> None:
        """Stop it at its next step."""
        bar = self._bar()
        if bar is not None and not isinstance(bar.miniters, Stop):
            bar.miniters = Stop(stop)


class Stop:
    """Stands for ``miniters``, with which tqdm compares its count at each step.

    So a bar that nobody stops pays nothing.  tqdm's monitor compares it as well, and must not be stopped.
    """

    __slots__ = ("_stop",)

    def __init__(self, stop: Callable[[], object]) -> None:
        self._stop = stop

    def __le__(self, steps: object) -> bool:
        """For ``steps >= miniters``, in a step."""
        self._stop()
        return True

    def __lt__(self, steps: object) -> bool:
        """For ``max(miniters, steps)``: it is never the larger one."""
        return True

    def __gt__(self, steps: object) -> bool:
        """For ``miniters > 1``, in tqdm's monitor."""
        return False


def read(bar: Any, name: str | None) -> Reading:
    """Where a bar stands; what it calls itself now is an activity if it was called otherwise at first."""
    scale = bar.unit_scale
    if isinstance(scale, bool) or not scale:
        scale = 1
    now = _description(bar)
    said = [now if now != name else None, str(bar.postfix or "").strip()]
    return Reading(
        name=name,
        count=_scaled(bar.n, scale) or 0,
        total=None if bar.total is None else _scaled(bar.total, scale),
        unit=_unit(bar.unit),
        activity=", ".join(filter(None, said)) or None,
        initial=_scaled(bar.initial, scale) or 0,
    )


def _scaled(value: Any, scale: Any) -> int | float | None:
    found = amount(value * scale)
    return None if found is None or found < 0 else found


def _description(bar: Any) -> str | None:
    return str(bar.desc or "").strip().removesuffix(":").rstrip() or None


def _unit(unit: object) -> str | None:
    said = str(unit or "").strip()
    if said == "iB":
        return "B"
    return None if said in {"", "it"} else said


_open: dict[int, TqdmBar] = {}


def opened(bar: Any) -> None:
    """A bar was made.  One that is disabled is none."""
    if getattr(bar, "disable", True) or id(bar) in _open or not hasattr(bar, "unit"):
        return
    try:
        foreign = TqdmBar(bar)
    except Exception:  # noqa: BLE001 - a subclass may be made of anything, and goes on without us
        return
    _open[id(bar)] = foreign
    mirror().opened(id(bar), foreign)


def closing(bar: Any, close: Callable[[], object]) -> None:
    """Close it as tqdm does, and say how it ended."""
    foreign = _open.pop(id(bar), None)
    if foreign is None:
        close()
        return
    fate = fate_of(bar, sys._getframe(2), sys.exception())
    try:
        close()
    finally:
        foreign.freeze(bar)
        mirror().closed(id(bar), fate)


def marked(bar: Any, mark: BaseException | str) -> None:
    """Remember by what a bar is being closed."""
    if id(bar) in _open:
        bar._headway_mark = mark


def wrote(text: str, file: object) -> None:
    """Something was written beside the bars."""
    if mirror.cache_info().currsize and getattr(file, "name", None) in OUTPUTS:
        mirror().wrote(str(text))


def fate_of(bar: Any, frame: FrameType | None, error: BaseException | None) -> Fate:
    """How a bar ended, from whoever closes it and what is being handled meanwhile."""
    mark = bar.__dict__.pop("_headway_mark", None)
    while frame is not None and frame.f_code.co_name == "close":  # a subclass's
        frame = frame.f_back
    caller = "" if frame is None else frame.f_code.co_name
    if mark is None and caller in {"__iter__", "__anext__"}:
        return _fate_of_loop(bar, frame, error)
    if isinstance(mark, BaseException):
        return mark
    done = mark == "exited" or (mark is None and bar.total is None and error is None)
    return "completed" if done else _left(bar)


def _fate_of_loop(bar: Any, frame: FrameType | None, error: BaseException | None) -> Fate:
    """How a loop ended that closes its own bar; what is handled outside of it is none of its errors."""
    ran_out = error is None or isinstance(error, (StopIteration, StopAsyncIteration))
    if error is None or ran_out or not _went_through(frame, error.__traceback__):
        return "completed"
    return _left(bar) if isinstance(error, GeneratorExit) else error


def _left(bar: Any) -> str:
    """A break and an exception in the body look the same; at its total it was done."""
    return "completed" if bar.total and bar.n >= bar.total else "stopped"


def _went_through(frame: FrameType | None, trace: TracebackType | None) -> bool:
    while trace is not None:
        if trace.tb_frame is frame:
            return True
        trace = trace.tb_next
    return False


class Reported:
    """Before a class of tqdm's in a class's bases: its bars are reported."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        opened(self)

    def close(self) -> None:
        """As tqdm."""
        closing(self, super().close)  # type: ignore[misc]

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> Any:
        """As tqdm."""
        marked(self, error or "exited")
        return super().__exit__(kind, error, trace)  # type: ignore[misc]

    def __del__(self) -> None:
        """As tqdm."""
        marked(self, "dropped")
        super().__del__()  # type: ignore[misc]

    @classmethod
    def write(cls, s: str, file: Any = None, end: str = "\n", nolock: bool = False) -> None:  # noqa: FBT001, FBT002 - as tqdm has it
        """As tqdm; the line is a message of the job."""
        super().write(s, file=file, end=end, nolock=nolock)  # type: ignore[misc]
        wrote(s, file)


def patch(std: Any) -> None:
    """Report the bars of tqdm's own class, and so of every subclass: for programs that know nothing of us."""
    bars = std.tqdm
    if "_headway_patched" in bars.__dict__:
        return
    begin, close, leave, drop, write = bars.__init__, bars.close, bars.__exit__, bars.__del__, bars.write

    @functools.wraps(begin)
    def begin_and_say(self: Any, *args: Any, **options: Any) -> None:
        begin(self, *args, **options)
        opened(self)

    @functools.wraps(close)
    def close_and_say(self: Any) -> None:
        closing(self, lambda: close(self))

    @functools.wraps(leave)
    def leave_and_say(self: Any, kind: Any, error: Any, trace: Any) -> Any:
        marked(self, error or "exited")
        return leave(self, kind, error, trace)

    @functools.wraps(drop)
    def drop_and_say(self: Any) -> None:
        marked(self, "dropped")
        drop(self)

    @functools.wraps(write.__func__)
    def write_and_keep(cls: Any, s: str, *args: Any, **options: Any) -> None:
        write.__func__(cls, s, *args, **options)
        if not issubclass(cls, Reported):
            wrote(s, args[0] if args else options.get("file"))

    bars.__init__, bars.close = begin_and_say, close_and_say
    bars.__exit__, bars.__del__ = leave_and_say, drop_and_say
    bars.write = classmethod(write_and_keep)
    bars._headway_patched = True
