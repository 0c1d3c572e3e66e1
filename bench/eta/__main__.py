"""``python -m bench.eta [--quick] [--families]``: how good the time left is, beside that of peers.

The peers are tqdm, rich, and a straight line (what has passed, times what is left by what is done).  The
scores depend on no machine, only on the seed in `bench.eta.jobs`.
"""

from __future__ import annotations

import sys
import time
from math import exp
from statistics import fmean

from bench.eta.estimates import Linear, Rich, Shown, Tqdm
from bench.eta.jobs import FAMILIES, runs
from bench.eta.score import Score, mean, score
from bench.table import held, show, show_where

from headway.core.estimate import Estimator, Profile
from headway.core.words import LONGER

JOBS, EARLIER = 5, 5
PEERS = {"a straight line": Linear, "tqdm": Tqdm, "rich": Rich}
OURS, AS_SHOWN = "headway", "headway, as shown"
BY_HISTORY = {OURS: 0, AS_SHOWN: 0, "headway, 1 earlier run": 1, "headway, 5 earlier runs": 5,
              "headway, 5 earlier, as shown": 5}  # fmt: skip
BUDGETS = {OURS: 0.40, "headway, 1 earlier run": 0.22, "headway, 5 earlier runs": 0.17}
"""The mean of abs(ln(said / true)), at most."""
MOST_MOVED = 2.5
"""Percent of the run by which the shown finish may move between two displays."""
HOLDS = (0.75, 0.90)
"""Which share of the truths the 80 % range may hold."""
UPDATE, FIRST, INFORMED = 2.0, 100.0, 200.0
"""Microseconds."""

Scores = dict[str, dict[str, Score]]


def main() -> None:
    """Measure, and print the tables."""
    show_where()
    jobs = 1 if "--quick" in sys.argv else JOBS
    scores = measured(jobs)
    means = {name: mean(list(of.values())) for name, of in scores.items()}
    show(
        f"Time left: {len(FAMILIES)} families of synthetic jobs, {jobs} of each",
        ("", "mean error, ln", "within 20 %", "range holds", "high/low", "moves", "at displays"),
        [_row(name, of) for name, of in means.items()],
    )
    if "--families" in sys.argv:
        rows = [[family, *(f"{scores[name][family].error:.2f}" for name in scores)] for family in FAMILIES]
        show("Mean abs ln by family", ("", *scores), rows)
    for name, budget in BUDGETS.items():
        print(f"Budget: {name} at most {budget}: {held(means[name].error, budget)}")
        inside = HOLDS[0] <= means[name].held <= HOLDS[1]
        print(f"Budget: {name}, the range holds in 75 to 90 %: {'held' if inside else 'NOT HELD'}")
    for name in (AS_SHOWN, "headway, 5 earlier, as shown"):
        print(f"Budget: {name}, moves at most {MOST_MOVED} %: {held(means[name].moves, MOST_MOVED)}")
    for earlier in (1, EARLIER):
        share = said_longer(jobs, earlier)
        print(f"Of runs that are as usual, {share:.1%} hear that they are longer, after {earlier} earlier")
    show_speed()


def said_longer(jobs: int, earlier: int) -> float:
    """The share of the runs of which is said that they take longer than usual."""
    said = []
    for family in FAMILIES:
        for job in range(jobs):
            all_ = list(runs(family, job, EARLIER + 1))
            known = [Profile(run.seconds, run.total) for run in all_]
            for index in range(earlier, len(all_)):
                usual = Estimator(all_[index].total, known[index - earlier : index]).usual or 0.0
                said.append(all_[index].seconds > LONGER * usual)
    return fmean(said)


def measured(jobs: int) -> Scores:
    """Scores by estimate and family: of the last run of each job, after none, one and five earlier runs."""
    scores: Scores = {name: {} for name in (*PEERS, *BY_HISTORY)}
    for family in FAMILIES:
        found: dict[str, list[Score]] = {name: [] for name in scores}
        for job in range(jobs):
            *earlier, last = runs(family, job, EARLIER + 1)
            history: list[Profile] = []
            for run in earlier:
                estimator = Estimator(run.total, history)
                for at, done in run.reports:
                    estimator.update(at, done)
                history.append(estimator.profile(run.seconds))
            for name, peer in PEERS.items():
                found[name].append(score(peer(last.total), last))
            for name, count in BY_HISTORY.items():
                ours = Shown if "shown" in name else Estimator
                known = history[len(history) - count :]
                found[name].append(score(ours(last.total, known), last))
        for name, of in found.items():
            scores[name][family] = mean(of)
    return scores


def _row(name: str, of: Score) -> list[str]:
    ranged = of.breadth > 0
    return [
        name,
        f"{of.error:.3f}",
        f"{of.near:.0%}",
        f"{of.held:.0%}" if ranged else "-",
        f"{exp(of.breadth):.1f}" if ranged else "-",
        f"{of.moves:.2f} %",
        f"{of.changes:.0%}",
    ]


def show_speed() -> None:
    """What an update and an estimate cost."""
    history: list[Profile] = []
    for run in runs("three_phase", 0, 8):
        estimator = Estimator(run.total, history)
        for at, done in run.reports:
            estimator.update(at, done)
        history.append(estimator.profile(run.seconds))
    rows = []
    for name, known, budget in (("first run", [], FIRST), ("8 earlier runs", history, INFORMED)):
        update, estimate = _costs(known)
        verdict = held(update, UPDATE), held(estimate, budget)
        rows.append([name, f"{update:.2f}", verdict[0], f"{estimate:.0f}", verdict[1]])
    columns = ("", "an update", "2", "an estimate", "100, 200")
    show("Microseconds of the processor, the best of several", columns, rows)


def _costs(history: list[Profile]) -> tuple[float, float]:
    updates, estimates = [], []
    for _ in range(5):
        run = next(runs("regime_switch", 1, 1))
        estimator = Estimator(run.total, history)
        began = time.thread_time()
        for at, done in run.reports:
            estimator.update(at, done)
        updates.append((time.thread_time() - began) / len(run.reports))
        estimator = Estimator(run.total, history)
        spent = []
        for at, done in run.reports[:-1]:
            estimator.update(at, done)
            began = time.thread_time()
            estimator.remaining(at)
            spent.append(time.thread_time() - began)
        estimates.append(fmean(spent))
    return 1e6 * min(updates), 1e6 * min(estimates)


if __name__ == "__main__":
    main()
