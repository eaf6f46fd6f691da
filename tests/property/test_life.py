"""The life of an index, step by step: whatever happens to it, it holds what a plain dict holds.

Passages are added, updated, replaced and deleted; the index is opened again, killed and damaged.
A kill is a copy of the folder that is taken while the index is open: what a killed process leaves.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from trivec import Chunk, HybridIndex, IndexConfig
from trivec.errors import CollectionError
from trivec.index import check_index
from trivec.testing import FakeEncoder, MemoryStore

EXAMPLES = settings.default.max_examples
QUICK = 100
"""Examples of a property in ``make test``."""
ENCODER = FakeEncoder(8)
CONFIG = IndexConfig(arms=("dense", "bm25"), batch_size=3)
LOCK = ".lock"

Key = tuple[str | None, str]

UUID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
"""It stays itself in every source, so it is of one source here."""
IDS = st.sampled_from(["1", "2", "3", UUID])
SOURCES = st.sampled_from(["a.md", "b.md", "c.md"])
WORDS = st.lists(st.sampled_from(["apple", "cherry", "green", "tea"]), min_size=1, max_size=3)
PASSAGES = st.builds(
    lambda words, name, source, number: Chunk(
        " ".join(words),
        id=name,
        source="a.md" if name == UUID else source,
        metadata={"n": number},
    ),
    WORDS,
    IDS,
    SOURCES,
    st.integers(0, 2),
)


def key_of(chunk: Chunk) -> Key:
    return chunk.source, str(chunk.id)


BATCHES = st.lists(PASSAGES, min_size=1, max_size=5, unique_by=key_of)


class Life(RuleBasedStateMachine):
    """An index, and the passages that it must hold."""

    index: HybridIndex

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[Key, Chunk] = {}

    @initialize()
    def begin(self) -> None:
        self.index = HybridIndex.open(MemoryStore(), ENCODER, config=CONFIG)

    @rule(batch=BATCHES)
    def add(self, batch):
        new = [chunk for chunk in batch if key_of(chunk) not in self.held]
        same = [chunk for chunk in batch if self.held.get(key_of(chunk)) == chunk]
        report = self.index.add(batch)
        self.held.update({key_of(chunk): chunk for chunk in batch})
        counted = (report.added, report.skipped, report.updated, report.deleted)
        assert counted == (len(new), len(same), len(batch) - len(new) - len(same), 0)
        assert not report.refused

    @rule(batch=BATCHES)
    def replace_sources(self, batch):
        sources, kept = {chunk.source for chunk in batch}, set(map(key_of, batch))
        gone = [key for key in self.held if key[0] in sources and key not in kept]
        report = self.index.add(batch, replace_sources=True)
        assert report.deleted == len(gone)
        self.held.update({key_of(chunk): chunk for chunk in batch})
        self._forget(gone)

    @rule(names=st.lists(IDS, max_size=2, unique=True))
    def delete_ids(self, names):
        gone = [key for key in self.held if key[1] in names]
        assert self.index.delete(ids=names) == len(gone)
        self._forget(gone)

    @rule(source=SOURCES, number=st.integers(0, 2))
    def delete_what_matches(self, source, number):
        gone = [
            key
            for key, chunk in self.held.items()
            if key[0] == source and chunk.metadata == {"n": number}
        ]
        assert self.index.delete(source=source, filter={"n": number}) == len(gone)
        self._forget(gone)

    @rule(source=SOURCES)
    def delete_source(self, source):
        gone = [key for key in self.held if key[0] == source]
        assert self.index.delete(source=source) == len(gone)
        self._forget(gone)

    @rule(words=WORDS, number=st.integers(0, 2))
    def search(self, words, number):
        hits = self.index.search(" ".join(words), k=20, filter={"n": number}, arms="dense")
        within = {key for key, chunk in self.held.items() if chunk.metadata == {"n": number}}
        assert {key_of(hit.chunk) for hit in hits} == within
        same = [hit.score for hit in hits if hit.chunk.text == " ".join(words)]
        assert same == pytest.approx([1.0] * len(same), abs=1e-5)

    @invariant()
    def it_holds_what_was_added(self):
        if hasattr(self, "index"):
            assert self.index.count() == len(self.held)
            assert {key_of(chunk): chunk for chunk in self.index.chunks()} == self.held

    def _forget(self, keys: list[Key]) -> None:
        for key in keys:
            del self.held[key]

    def teardown(self) -> None:
        if hasattr(self, "index"):
            self.index.close()


class LifeInAFolder(Life):
    """The same on the embedded engine, whose folder may be closed, copied and damaged."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="trivec-life-"))
        self.folders = 0

    @initialize()
    def begin(self) -> None:
        self._open()

    @rule()
    def reopen(self):
        self.index.close()
        self._open()

    @rule()
    def kill(self):
        left = self.index
        self._move()
        left.close()
        self._open()

    @rule(choice=st.integers(0, 10**6), how=st.sampled_from(["cut", "zero", "flip", "delete"]))
    def damage_and_repair(self, choice, how):
        assume(self.held)
        self.index.close()
        files = sorted(
            path for path in self._folder.rglob("*") if path.is_file() and path.name != LOCK
        )
        self._move()  # the sound one stays
        damaged = self._folder / files[choice % len(files)].relative_to(self._sound)
        damage(damaged, how)
        try:
            check_index(self._folder, ENCODER, repair=True)
        except CollectionError:  # its description is gone: the message says so
            self.folders -= 1
        self._open()
        for chunk in self.index.chunks():
            assert chunk.text == self.held[key_of(chunk)].text
        self.index.add(self.held.values())

    @property
    def _folder(self) -> Path:
        return self.home / str(self.folders)

    @property
    def _sound(self) -> Path:
        return self.home / str(self.folders - 1)

    def _open(self) -> None:
        self.index = HybridIndex.open(self._folder, ENCODER, config=CONFIG)

    def _move(self) -> None:
        """Go on in a copy of the folder."""
        here = self._folder
        self.folders += 1
        shutil.rmtree(self._folder, ignore_errors=True)
        shutil.copytree(here, self._folder)

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.home, ignore_errors=True)


def damage(path: Path, how: str) -> None:
    """Do to a file what disks and people do."""
    data = path.read_bytes()
    middle = len(data) // 2
    match how:
        case "delete":
            path.unlink()
        case "cut":
            path.write_bytes(data[:middle])
        case "zero":
            path.write_bytes(bytes(len(data)))
        case _:
            path.write_bytes(
                data[:middle]
                + bytes(b ^ 0xFF for b in data[middle : middle + 8])
                + data[middle + 8 :]
            )


def lived(life: type[Life], examples: int, steps: int) -> type:
    test = life.TestCase
    test.settings = settings(
        max_examples=examples,
        stateful_step_count=steps,
        suppress_health_check=list(HealthCheck),
        derandomize=EXAMPLES == QUICK,  # make properties draws new ones every time
        # a life is not shrunk there: that takes minutes, and every step is shown
        phases=[Phase.generate] if EXAMPLES == QUICK else list(Phase),
    )
    return test


TestInMemory = lived(Life, EXAMPLES // 5, 20)
TestInAFolder = lived(LifeInAFolder, max(5, EXAMPLES // 20), 10)
