"""Draws the two pictures of docs/time-left.md, from jobs of bench/eta that never ran: always the same.

python tools/time_left.py
"""

from __future__ import annotations

import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bench.eta.jobs import Run, runs  # noqa: E402 - found by the line above

from headway.core.estimate import Estimator, Profile  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DOCS = ROOT / "docs"
WIDTH, HEIGHT = 340, 210
LEFT, TOP, GAP = 46, 46, 56
TALLEST = 2.2
"""The picture ends at so many times the true length of the run."""
LOOKS = 150
SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">
<style>
.all {{ --ink: #24292f; --faint: #d0d7de; --band: #54aeff55; --line: #0969da; --true: #1a7f37; }}
@media (prefers-color-scheme: dark) {{
.all {{ --ink: #d1d7e0; --faint: #3d444d; --band: #388bfd55; --line: #58a6ff; --true: #3fb950; }}
}}
text {{ font: 12px system-ui, sans-serif; fill: var(--ink); }}
.title {{ font-weight: 600; font-size: 13px; }}
.axis {{ stroke: var(--faint); fill: none; }}
.band {{ fill: var(--band); }}
.said {{ stroke: var(--line); stroke-width: 2; fill: none; stroke-linejoin: round; }}
.true {{ stroke: var(--true); stroke-width: 1.5; stroke-dasharray: 5 4; }}
.true-text {{ fill: var(--true); }}
</style>
<g class="all">
{panels}
</g>
</svg>
"""


class Panel(NamedTuple):
    """One run, and what was said of its end while it went on."""

    title: str
    run: Run
    estimator: Estimator


def ends(panel: Panel) -> Iterator[tuple[float, float, float, float]]:
    """When the run was said to end, at moments of it: (moment, end, earliest, latest), in shares of it."""
    reports, index, whole = panel.run.reports, 0, panel.run.seconds
    for look in range(LOOKS):
        now = whole * look / LOOKS
        while index < len(reports) and reports[index][0] <= now:
            panel.estimator.update(*reports[index])
            index += 1
        found = panel.estimator.remaining(now)
        if found is not None and (panel.estimator.reports > 1 or panel.estimator.basis != "run"):
            left, low, high = found
            yield now / whole, (now + left) / whole, (now + low) / whole, (now + high) / whole


def draw(panels: Sequence[Panel], label: str) -> str:
    """Panels side by side."""
    width = LEFT + len(panels) * WIDTH + (len(panels) - 1) * GAP + 12
    drawn = "\n".join(_panel(panel, LEFT + at * (WIDTH + GAP)) for at, panel in enumerate(panels))
    return SVG.format(width=width, height=TOP + HEIGHT + 40, label=label, panels=drawn)


def _panel(panel: Panel, x: float) -> str:
    def across(share: float) -> float:
        return x + share * WIDTH

    def up(share: float) -> float:
        return TOP + HEIGHT * (1 - min(share, TALLEST) / TALLEST)

    said = list(ends(panel))
    above = [(across(at), up(latest)) for at, _, _, latest in said]
    below = [(across(at), up(earliest)) for at, _, earliest, _ in reversed(said)]
    middle = [(across(at), up(end)) for at, end, _, _ in said]
    floor = TOP + HEIGHT
    return "\n".join(
        (
            f'<text class="title" x="{x}" y="22">{panel.title}</text>',
            f'<path class="axis" d="M{x} {TOP}V{floor}H{x + WIDTH}"/>',
            f'<path class="band" d="M{_points(above + below)}Z"/>',
            f'<path class="said" d="M{_points(middle)}"/>',
            f'<path class="true" d="M{x} {up(1):.1f}H{x + WIDTH}"/>',
            _text(x + WIDTH, up(1) - 6, "when it ended", "true-text"),
            f'<text x="{x}" y="{floor + 18}">begin</text>',
            _text(x + WIDTH, floor + 18, "end of the run"),
            *(_text(x - 8, up(times) + 4, f"{times} \N{MULTIPLICATION SIGN}") for times in (0, 1, 2)),
        )
    )


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="end">{text}</text>'


def _points(points: Sequence[tuple[float, float]]) -> str:
    kept = [points[0], *(after for before, after in pairwise(points) if after != before)]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in kept)


def learnt(earlier: Sequence[Run]) -> list[Profile]:
    """What earlier runs have left."""
    history: list[Profile] = []
    for run in earlier:
        estimator = Estimator(run.total, history)
        for at, done in run.reports:
            estimator.update(at, done)
        history.append(estimator.profile(run.seconds))
    return history


def the_range() -> str:
    """A job of three phases, in its first run and in its sixth."""
    *earlier, last = runs("three_phase", 3, 6)
    panels = (
        Panel("The first run", last, Estimator(last.total)),
        Panel("The sixth run of the same job", last, Estimator(last.total, learnt(earlier))),
    )
    return draw(
        panels, "When a job was said to end while it ran, with the 80 % range: first run and sixth run"
    )


def the_tail() -> str:
    """Files of which the large ones come last: counted, weighed, and known from an earlier run."""
    earlier, last = runs("sorted_small_first", 1, 2)
    weighed = _by_weight(last)
    panels = (
        Panel("Files are counted", last, Estimator(last.total)),
        Panel("weight=lambda file: file.size", weighed, Estimator(weighed.total)),
        Panel("Counted, in the second run", last, Estimator(last.total, learnt([earlier]))),
    )
    return draw(panels, "When a job was said to end whose slowest files come last: counted, weighed, known")


def _by_weight(run: Run) -> Run:
    """The same, where a file weighs about what it takes: up to 40 % more or less."""
    weights = [
        (after - before) * (0.6 + 0.2 * (at * 7 % 5))
        for at, ((before, _), (after, _)) in enumerate(pairwise([(0.0, 0.0), *run.reports]))
    ]
    reports, done = [], 0.0
    for (at, _), weight in zip(run.reports, weights, strict=True):
        done += weight
        reports.append((at, done))
    return Run(reports, done)


PICTURES: dict[str, Callable[[], str]] = {"time-left-range.svg": the_range, "time-left-tail.svg": the_tail}


def main() -> None:
    """Draw both."""
    for name, picture in PICTURES.items():
        (DOCS / name).write_text(picture(), encoding="utf-8")
        sys.stdout.write(f"{os.path.relpath(DOCS / name)}\n")


if __name__ == "__main__":
    main()
