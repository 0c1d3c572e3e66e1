"""Processes that do everything at once to a few jobs of one store, and the history of what they were told."""

import multiprocessing
import random
import time
from contextlib import closing, suppress

from headway.core.errors import HeadwayError, StoreUnavailable
from headway.core.snapshot import Part
from headway.stores import open_store
from headway.testing import History
from headway.testing.store_scene import Worker

IDS = ("one", "two", "three")
ENDS = ("completed", "failed", "stopped", "cancelled")


def hammer(url, *, workers=4, readers=2, seconds=2.0, seed=0):
    """The history of so many processes that work, and so many that read, for so long."""
    tasks = [(work, url, f"worker {number}", seconds, seed) for number in range(workers)]
    tasks += [(look, url, f"reader {number}", seconds, seed) for number in range(readers)]
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    with processes.Pool(len(tasks)) as pool:
        return History.merged(map(History.load, pool.starmap(_run, tasks, chunksize=1)))


def _run(what, url, who, seconds, seed):
    history = History()
    with closing(open_store(url)) as store:
        what(history.watch(store, who), who, seconds, random.Random(f"{seed} {who}"))
    return history.dump()


def work(store, who, seconds, chance):
    """Claim, report, end, ask to stop, resend, count parts, in any order."""
    hands = [Hand(store, who, id, chance) for id in IDS]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        hand = chance.choice(hands)
        verb = chance.choices(list(VERBS), VERBS.values())[0] if hand.is_known else Hand.claim
        with suppress(StoreUnavailable):
            verb(hand)


def look(store, who, seconds, chance):
    """Read, and read again."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(HeadwayError):
            store.read(chance.sample(IDS, 2))
        with suppress(HeadwayError):
            store.find(limit=chance.randint(1, 4))
        time.sleep(0.001)


class Hand:
    """What one process does to one job."""

    def __init__(self, store, who, id, chance):
        self.store, self.who, self.id, self.chance = store, who, id, chance
        self.worker = Worker(store, id, f"{who}, {id}, 0", lease=0.3)
        self.runs = 0
        self.sent = []
        self.parts = []
        self.count = 0

    @property
    def is_known(self):
        """Whether the store has told of the job: what is reported of one that it lacks would be rebuilt."""
        return self.worker.opened.run is not None

    def claim(self):
        self.runs += 1
        self.worker.run = f"{self.who}, {self.id}, {self.runs}"
        self.worker.claim(exclusive=self.chance.random() < 0.5)

    def claim_again(self):
        self.worker.claim()

    def reserve(self):
        self.chance.choice([self.worker.create, self.worker.reserve])(run=None)

    def report(self, status="running", **facts):
        self.worker.step += 1
        self.sent.append(self.worker.record(status=status, count=self.worker.step, **facts))
        self.worker.send(self.sent[-1])

    def beat(self):
        self.worker.beat()

    def acknowledge(self):
        self.report(cancel="seen")

    def finish(self):
        self.report(self.chance.choice(ENDS))

    def retry(self):
        self.report("retrying")

    def resend(self):
        if self.sent:
            self.store.write(self.chance.sample(self.sent, min(3, len(self.sent))))

    def end(self):
        self.store.end(self.id, self.worker.opened.attempt, self.chance.choice([*ENDS, "retrying"]))

    def ask(self):
        self.store.request_cancel(self.id)

    def tell_parts(self):
        """A count that rises, in reports that come twice and out of order."""
        attempt = self.worker.opened.attempt
        self.count += self.chance.randint(1, 3)
        key = f"{self.who} of {attempt}"
        stage = self.chance.choice([None, "Crunch"]) if not self.parts else self.parts[-1].stage
        self.parts.append(Part(self.id, attempt, key, step=self.count, count=self.count, stage=stage))
        mine = [part for part in self.parts[-5:] if part.attempt == attempt]
        self.store.write([], self.chance.sample(mine, self.chance.randint(1, len(mine))))


VERBS = {
    Hand.claim: 8,
    Hand.claim_again: 1,
    Hand.reserve: 5,
    Hand.report: 30,
    Hand.beat: 5,
    Hand.acknowledge: 3,
    Hand.finish: 4,
    Hand.retry: 1,
    Hand.resend: 8,
    Hand.end: 4,
    Hand.ask: 2,
    Hand.tell_parts: 15,
}
