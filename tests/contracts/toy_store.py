"""A store as a third party would write one: a folder, in it one JSON file per job, one lock for all."""

import hashlib
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

import msgspec

from headway.core.snapshot import Head, Part
from headway.core.transitions import add_up, sweep
from headway.stores.contract import Profile
from headway.stores.transactional import Kept, TransactionalStore, wall_clock

LOCKS: dict[Path, RLock] = {}


class Record(msgspec.Struct):
    """One file."""

    head: Head
    facts: str
    details: str | None
    error: str | None
    details_version: int = 0
    parts: dict[str, Part] = {}

    @property
    def kept(self):
        return Kept(self.head, self.facts, self.details, self.error, self.details_version)


class ToyStore(TransactionalStore):
    def __init__(self, url, clock=wall_clock):
        super().__init__(url, clock)
        self.folder = Path(url.removeprefix("toy://"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lock = LOCKS.setdefault(self.folder, RLock())

    @contextmanager
    def _transaction(self):
        with self.lock:
            files = Files(self.folder)
            yield files
            files.commit()

    def _load(self, ids):
        with self.lock:
            found = [Files(self.folder).record(id) for id in ids]
        return [(record.kept, add_up(record.parts.values())) for record in found if record]

    def _heads(self):
        with self.lock:
            return [record.head for record in Files(self.folder).all()]

    def history(self, kind):
        path = self.folder / "profiles"
        known = msgspec.json.decode(path.read_bytes()) if path.exists() else {}
        return msgspec.convert(known.get(kind, []), list[Profile])

    def learn(self, kind, profile):
        with self.lock:
            path = self.folder / "profiles"
            known = msgspec.json.decode(path.read_bytes()) if path.exists() else {}
            runs = [*self.history(kind), profile][-8:] if profile else []
            known = {name: kept for name, kept in known.items() if name != kind} | {kind: runs}
            path.write_bytes(msgspec.json.encode(dict(list(known.items())[-1000:])))

    def close(self):
        pass


class Files:
    """A transaction: what was read and changed is written at its end."""

    def __init__(self, folder):
        self.folder = folder
        self.open = {}

    def path(self, id):
        name = hashlib.sha256(id.encode(errors="replace")).hexdigest()  # an id is no file name
        return self.folder / f"{name}.json"

    def record(self, id):
        if id not in self.open:
            path = self.path(id)
            self.open[id] = msgspec.json.decode(path.read_bytes(), type=Record) if path.exists() else None
        return self.open[id]

    def all(self):
        return [msgspec.json.decode(path.read_bytes(), type=Record) for path in self.folder.glob("*.json")]

    def commit(self):
        for id, record in self.open.items():
            if record is None:
                self.path(id).unlink(missing_ok=True)
            else:
                self.path(id).write_bytes(msgspec.json.encode(record))

    def get(self, id):
        record = self.record(id)
        return record and record.kept

    def put(self, kept):
        texts = (text.decode() if isinstance(text, bytes) else text for text in kept[1:])
        record = self.record(kept.head.id)
        self.open[kept.head.id] = Record(kept.head, *texts, record.parts if record else {})

    def drop(self, id):
        self.open[id] = None

    def get_part(self, job, key):
        record = self.record(job)
        return record and record.parts.get(key)

    def put_part(self, part):
        self.record(part.job).parts[part.key] = part

    def count_parts(self, job):
        record = self.record(job)
        return len(record.parts) if record else 0

    def drop_parts(self, job):
        record = self.record(job)
        if record:
            record.parts.clear()

    def expired(self, now, limit):
        heads = [record.head for record in self.all()]
        return [head for head in heads if sweep(head, now).outcome != "same"][:limit]
