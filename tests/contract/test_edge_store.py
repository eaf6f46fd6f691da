"""What is particular to the embedded store: its folder, its lock, crashes and forks."""

from __future__ import annotations

import contextlib
import gc
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from trivec import Chunk, HybridIndex
from trivec.errors import CollectionError, CollectionLockedError, StoreError
from trivec.query import Prefetch, StoreQuery
from trivec.schema import Schema, VectorSpec
from trivec.stores import EdgeStore
from trivec.stores.edge import store as edge_store
from trivec.testing import FakeEncoder
from trivec.types import Point

SCHEMA = Schema({"dense": VectorSpec("dense", "dense", 4)}, payload_indexes={"lang": "keyword"})
VECTOR = np.array([0.1, 0.2, 0.3, 0.4], dtype=np.float32)


def make_points(*identities):
    return [
        Point(identity, {"dense": VECTOR + identity}, {"lang": "zh"}) for identity in identities
    ]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "deep" / "kb"


@pytest.fixture
def filled(folder):
    with contextlib.closing(EdgeStore(folder)) as store:
        store.create(SCHEMA)
        store.upsert(make_points(1, 2, 3))
        yield store


def count(folder):
    with contextlib.closing(EdgeStore(folder)) as store:
        return store.count()


# The folder


def test_constructing_and_asking_write_nothing(folder):
    store = EdgeStore(folder)
    assert store.schema is None
    assert not folder.parent.exists()


def test_an_empty_folder_is_used(folder):
    folder.mkdir(parents=True)
    store = EdgeStore(str(folder))
    store.create(SCHEMA)
    store.close()
    assert sorted(entry.name for entry in folder.iterdir()) == ["shard", "trivec.json"]


@pytest.mark.parametrize("action", ["schema", "create", "count", "upsert"])
def test_a_folder_with_other_things_is_left_alone(folder, action):
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("mine")
    store = EdgeStore(folder)
    actions = {
        "schema": lambda: store.schema,
        "create": lambda: store.create(SCHEMA),
        "count": store.count,
        "upsert": lambda: store.upsert(make_points(1)),
    }
    with pytest.raises(CollectionError, match="not an index"):
        actions[action]()
    assert [entry.name for entry in folder.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("inside", [False, True])
def test_a_file_is_no_index(tmp_path, inside):
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(CollectionError):
        EdgeStore(file / "kb" if inside else file).create(SCHEMA)
    assert file.read_text() == "x"


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"schema_version": 999}', "\x00\xff"])
def test_a_damaged_description_is_an_error(filled, folder, content):
    filled.close()
    (folder / "trivec.json").write_text(content)
    with pytest.raises(CollectionError):
        _ = EdgeStore(folder).schema


def test_the_description_is_readable(filled, folder):
    assert Schema.from_json(json.loads((folder / "trivec.json").read_text())) == SCHEMA


def test_a_crash_during_creation_is_mended(folder):
    """The description is written first; what an interrupted creation left is no obstacle."""
    folder.mkdir(parents=True)
    (folder / "trivec.json").write_text(json.dumps(SCHEMA.to_json()))
    leftover = folder / "unfinished-abc"
    leftover.mkdir()
    (leftover / "wal").write_text("")
    with contextlib.closing(EdgeStore(folder)) as store:
        store.upsert(make_points(1))
        assert store.count() == 1
        assert not leftover.exists()


def test_a_crash_before_the_description_leaves_an_empty_folder(folder):
    folder.mkdir(parents=True)
    (folder / "unfinished-xyz").write_text("{")
    with contextlib.closing(EdgeStore(folder)) as store:
        assert store.schema is None
        store.create(SCHEMA)
        assert store.count() == 0


def test_a_path_of_other_letters(tmp_path):
    with contextlib.closing(EdgeStore(tmp_path / "知识 库 🙂")) as store:
        store.create(SCHEMA)
        store.upsert(make_points(1))
    assert count(tmp_path / "知识 库 🙂") == 1


# One at a time


def test_the_stores_of_one_process_share_the_folder(filled, folder):
    second = EdgeStore(folder)
    assert second.schema == SCHEMA
    second.upsert(make_points(8, 9))
    assert filled.count() == second.count() == 5
    second.close()
    assert filled.count() == 5
    third = EdgeStore(folder)
    filled.close()
    assert third.count() == 5
    third.close()
    assert not list(folder.glob("holder*"))
    assert count(folder) == 5


def test_a_folder_that_was_made_anew_is_another(folder):
    store = EdgeStore(folder)
    store.create(SCHEMA)
    store.upsert(make_points(1))
    shutil.rmtree(folder)
    with contextlib.closing(EdgeStore(folder)) as anew:
        anew.create(SCHEMA)
        assert anew.count() == 0
    with pytest.raises(StoreError):
        store.close()


def test_an_index_that_is_opened_twice_in_one_notebook(tmp_path):
    for _ in range(3):  # the name is bound anew while the object before it is still there
        index = HybridIndex.open(tmp_path / "kb", FakeEncoder())
        index.add([Chunk("a text", id="1")])
    assert index.count() == 1
    index.close()


HOLD = """
import sys, time
from trivec.stores import EdgeStore
store = EdgeStore(sys.argv[1])
print(store.count(), flush=True)
time.sleep(float(sys.argv[2]))
store.close()
"""


@contextlib.contextmanager
def held_elsewhere(folder, seconds):
    """Let another process have a folder open for some seconds."""
    command = [sys.executable, "-c", HOLD, str(folder), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "3\n"
        yield process
        process.kill()


def test_who_has_the_folder_open_is_named(filled, folder):
    filled.close()
    with held_elsewhere(folder, 60) as process:
        store = EdgeStore(folder, wait=0)
        expected = rf"open elsewhere, in the process {process.pid} \('-c'\).*close\(\).*server"
        with pytest.raises(CollectionLockedError, match=expected):
            store.count()
        (folder / "holder.json").write_text("{")
        with pytest.raises(CollectionLockedError, match="open elsewhere, in a process that left"):
            store.count()
    assert store.count() == 3
    store.close()


def test_a_process_that_comes_second_waits_a_moment(filled, folder):
    filled.close()
    with held_elsewhere(folder, 0.5):
        assert count(folder) == 3


def test_a_store_that_was_dropped_lets_go(folder):
    store = EdgeStore(folder)
    store.create(SCHEMA)
    store.upsert(make_points(1))
    del store
    assert count(folder) == 1


def use_inherited(store, parent):
    try:
        parent.send(store.count())
    except StoreError as err:
        parent.send(str(err))
    store.close()  # must not touch the parent's files
    del store


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_cannot_use_the_store(filled, folder):
    context = multiprocessing.get_context("fork")
    from_child, parent = context.Pipe(duplex=False)
    child = context.Process(target=use_inherited, args=(filled, parent), daemon=True)
    child.start()
    assert from_child.poll(30), "the child waits for threads that the engine does not have there"
    assert "forked" in from_child.recv()
    child.join(30)
    assert child.exitcode == 0
    filled.upsert(make_points(4))
    assert filled.count() == 4
    filled.close()
    assert count(folder) == 4


def files_of(folder):
    """Return what lies in a folder, and when each file was last changed."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(
    "end",
    [lambda held: held[0].close(), lambda held: (held.clear(), gc.collect())],
    ids=["closed", "dropped"],
)
def test_a_forked_child_that_ends_the_store_leaves_the_files_alone(folder, end):
    """The engine flushes where it is destroyed, which in a child would be behind the parent."""
    held = [EdgeStore(folder)]  # the only reference, so that clearing the list drops the store
    held[0].create(SCHEMA)
    held[0].upsert(make_points(1, 2, 3))
    before = files_of(folder)
    child = multiprocessing.get_context("fork").Process(target=end, args=(held,))
    child.start()
    child.join(30)
    assert child.exitcode == 0
    assert files_of(folder) == before
    held[0].upsert(make_points(4))
    held[0].close()
    assert count(folder) == 4


# Durability

WRITER = """
import sys, os, signal
import numpy as np
from trivec.schema import Schema, VectorSpec
from trivec.stores import EdgeStore
from trivec.stores.edge import store as edge_store
from trivec.types import Point
store = EdgeStore(sys.argv[1])
store.create(Schema({"dense": VectorSpec("dense", "dense", 4)}))
number = 0
while True:
    vector = np.full(4, 1.0 + number, "f4")
    store.upsert([Point(number + i, {"dense": vector}, {}) for i in range(50)])
    number += 50
    if number == 500:
        store.delete(ids=[3])
        store.overwrite_payload({4: {"a": 1}})
        if sys.argv[2] == "exit":
            os._exit(9)
    print(number, flush=True)
"""


@pytest.mark.parametrize("end", ["exit", "kill"])
def test_what_was_written_survives_the_death_of_the_process(folder, end):
    """Every upsert that returned is there afterwards, whole."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), end], stdout=subprocess.PIPE, text=True
    )
    reported = 0
    for line in writer.stdout:
        reported = int(line)
        if end == "kill" and reported >= 600:
            writer.send_signal(signal.SIGKILL)
            break
    reported = max([reported, *(int(line) for line in writer.stdout)])
    writer.stdout.close()
    assert writer.wait(30) == (9 if end == "exit" else -signal.SIGKILL)
    expected = 500 if end == "exit" else reported
    with contextlib.closing(EdgeStore(folder)) as store:
        there = {point.id for point in store.scroll(limit=100_000)[0]}
        assert set(range(expected)) - {3} <= there
        assert 3 not in there
        assert store.retrieve([4])[0].payload == {"a": 1}
        store.upsert(make_points(1_000_000))  # and it can be written to
        assert store.count() == len(there) + 1


class Counting:
    """The engine, counting how often it is asked to flush."""

    def __init__(self, shard):
        self._shard = shard
        self.flushes = 0

    def __getattr__(self, name):
        return getattr(self._shard, name)

    def flush(self):
        self.flushes += 1
        self._shard.flush()


OTHER_WRITES = {
    "update_vectors": lambda store: store.update_vectors({1: {"dense": VECTOR}}),
    "overwrite_payload": lambda store: store.overwrite_payload({1: {"lang": "en"}}),
    "delete": lambda store: store.delete(ids=[3]),
}


@pytest.mark.parametrize(
    "write",
    [lambda store: store.upsert(make_points(4)), *OTHER_WRITES.values()],
    ids=["upsert", *OTHER_WRITES],
)
def test_writing_for_some_seconds_forces_it_to_the_disk(filled, monkeypatch, write):
    """Once in five seconds: the write-ahead log alone does not survive the loss of power."""
    opened = filled._flushed
    filled._shard = Counting(filled._shard)

    def flushes_after(seconds):
        monkeypatch.setattr(edge_store, "time", SimpleNamespace(monotonic=lambda: opened + seconds))
        write(filled)
        return filled._shard.flushes

    assert [flushes_after(seconds) for seconds in (1, 4, 6, 7, 10, 12)] == [0, 0, 1, 1, 1, 2]


# Engine failures


def test_an_engine_failure_is_a_store_error(filled):
    with pytest.raises(StoreError, match=r"engine failed.*nowhere") as caught:
        filled.query([StoreQuery((Prefetch("nowhere", VECTOR, 3),), 3)])
    assert caught.value.__cause__ is not None
    with pytest.raises(StoreError):
        filled.upsert([Point("not-a-uuid", {"dense": VECTOR}, {})])
    with pytest.raises(StoreError):
        filled.upsert([Point(9, {"dense": VECTOR}, {"x": object()})])
    assert filled.count() == 3


def test_the_vector_index_is_approximate_and_exact_search_is_not(folder):
    """Enough points for a graph; random vectors are the hardest case for one."""
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((3000, 1024)).astype(np.float32)
    queries = [
        StoreQuery((Prefetch("dense", vector, 10),), 10)
        for vector in generator.standard_normal((20, 1024)).astype(np.float32)
    ]
    with contextlib.closing(EdgeStore(folder)) as store:
        store.create(Schema({"dense": VectorSpec("dense", "dense", 1024)}))
        store.upsert([Point(n, {"dense": vector}, {}) for n, vector in enumerate(vectors)])
        scanned = found_ids(store, queries)
        store.optimize()
        approximate = found_ids(store, queries)
        exact = found_ids(store, [replace(query, exact=True) for query in queries])
    assert exact == scanned
    shared = [len({*one} & {*other}) for one, other in zip(scanned, approximate, strict=True)]
    assert 0.7 * 200 <= sum(shared) < 200  # less than all: the graph was built


def found_ids(store, queries):
    return [[point.id for point in found] for found in store.query(queries)]
