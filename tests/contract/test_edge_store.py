"""What is particular to the embedded store: its folder, crashes, forks and damage."""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from trivec.errors import CollectionError, InputError, StoreError, TrivecError
from trivec.index import check_index
from trivec.query import Prefetch, StoreQuery
from trivec.schema import Schema, VectorSpec
from trivec.stores import EdgeStore
from trivec.stores.edge import engine as engines
from trivec.stores.edge import space
from trivec.stores.edge.failures import engine_errors
from trivec.stores.edge.manifest import read_manifest, survey
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
    assert sorted(entry.name for entry in folder.iterdir()) == [
        "manifest.json",
        "shard",
        "trivec.json",
    ]


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


# Drops and forks


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
    engine = filled._joined
    opened = engine._flushed
    engine._shard = Counting(engine._shard)

    def flushes_after(seconds):
        clock = SimpleNamespace(monotonic=lambda: opened + seconds)
        monkeypatch.setattr(engines, "time", clock)
        write(filled)
        return engine._shard.flushes

    assert [flushes_after(seconds) for seconds in (1, 4, 6, 7, 10, 12)] == [0, 0, 1, 1, 1, 2]


# Engine failures


def test_an_engine_failure_is_a_store_error(filled, folder):
    with pytest.raises(StoreError, match="no vector 'nowhere'; there are"):
        filled.query([StoreQuery((Prefetch("nowhere", VECTOR, 3),), 3)])
    with (
        pytest.raises(StoreError, match=r"engine failed.*vector store") as caught,
        engine_errors(folder),
    ):
        raise RuntimeError("the vector store is upside down")
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(StoreError):
        filled.upsert([Point("not-a-uuid", {"dense": VECTOR}, {})])
    with pytest.raises(InputError, match=r"payload of point 9\.x is a object"):
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


# Damage, a full disk, a folder that goes


def only_file(folder, name):
    [path] = [path for path in folder.rglob("*") if path.as_posix().endswith(name)]
    return path


def test_a_clean_folder_has_a_manifest_and_an_open_one_says_so(filled, folder):
    filled.close()
    assert read_manifest(folder).points == 3
    with contextlib.closing(EdgeStore(folder)) as store:
        assert store.count() == 3
        assert read_manifest(folder).is_open
    assert not read_manifest(folder).is_open


@pytest.mark.parametrize("name", ["mutable_id_tracker.mappings", "vectors/status.dat"])
def test_a_missing_file_is_named_with_the_remedy(filled, folder, name):
    filled.close()
    only_file(folder, name).unlink()
    for _ in range(2):  # the first attempt does not hide it from the second
        with pytest.raises(StoreError, match=rf"{name} is missing; run: trivec check .*--repair"):
            EdgeStore(folder).count()


def test_a_file_that_was_touched_is_read_and_believed_if_it_is_the_same(filled, folder):
    filled.close()
    for path in folder.rglob("*"):
        os.utime(path)
    assert count(folder) == 3
    path = only_file(folder, "vectors/chunk_0.mmap")
    with path.open("r+b") as file:
        file.write(b"\x01")
    with pytest.raises(StoreError, match=r"chunk_0.mmap has another content"):
        EdgeStore(folder).count()


def test_fewer_points_than_there_were_are_noticed_again_and_again(filled, folder):
    filled.close()
    noted = read_manifest(folder)
    replace(noted, points=4).write(folder)
    for _ in range(2):
        with pytest.raises(StoreError, match="has 3 points, it had 4"):
            EdgeStore(folder).count()
        noted = read_manifest(folder)
        fresh = survey(folder)
        replace(noted, files=fresh).write(folder)  # opening changed files; the count still differs


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1, "digest": "0"}', "\x00"])
def test_a_damaged_manifest_is_an_error_with_a_remedy(filled, folder, content):
    filled.close()
    (folder / "manifest.json").write_text(content)
    with pytest.raises(StoreError, match=r"manifest.json is damaged.*trivec check"):
        EdgeStore(folder).count()


def test_a_folder_without_a_manifest_opens_with_a_warning_and_gets_one(filled, folder, caplog):
    filled.close()
    (folder / "manifest.json").unlink()
    assert count(folder) == 3
    assert "has no manifest.json" in caplog.text
    assert "trivec check" in caplog.text
    assert read_manifest(folder).points == 3


def test_a_folder_has_a_manifest_from_its_beginning(filled, folder, caplog):
    assert filled.count() == 3
    assert read_manifest(folder).is_open
    assert "manifest" not in caplog.text


class Panic(BaseException):
    """As pyo3 names what a panic becomes; no Exception."""


Panic.__name__ = "PanicException"


class Panicking:
    def scroll(self, _request):
        raise Panic("index out of bounds\nat line 3")


def test_a_panic_is_a_store_error_and_an_interrupt_stays_one(filled, monkeypatch):
    monkeypatch.setattr(filled._joined, "_shard", Panicking())
    with pytest.raises(StoreError, match="index out of bounds; run: trivec check"):
        filled.scroll()
    monkeypatch.setattr(Panicking, "scroll", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        filled.scroll()
    monkeypatch.setattr(Panicking, "scroll", lambda *_: (_ for _ in ()).throw(ValueError()))
    with pytest.raises(StoreError, match="ValueError"):  # an error without words
        filled.scroll()
    monkeypatch.undo()
    assert filled.count() == 3


@pytest.mark.parametrize("identity", ["x", -1, 2**64, ""])
def test_an_id_that_the_engine_does_not_have(filled, identity):
    for use in (
        lambda: filled.retrieve([identity]),
        lambda: filled.delete(ids=[identity]),
        lambda: filled.scroll(offset=identity),
        lambda: filled.upsert([Point(identity, {"dense": VECTOR}, {})]),
        lambda: filled.update_vectors({identity: {"dense": VECTOR}}),
    ):
        with pytest.raises(TrivecError):
            use()
    assert filled.count() == 3


def test_a_count_that_the_engine_does_not_have(filled):
    for counts in ({"limit": 2**64}, {"limit": 5, "offset": 2**64}):
        with pytest.raises(TrivecError):
            filled.query([StoreQuery((Prefetch("dense", VECTOR, 5),), **counts)])
    with pytest.raises(TrivecError):
        filled.scroll(limit=2**64)


LIMITED = """
import resource, sys
from trivec.errors import StoreError
from trivec.stores import EdgeStore
import qdrant_edge
kind, limit = getattr(resource, sys.argv[2]), int(sys.argv[3])
resource.setrlimit(kind, (limit, limit))
try:
    EdgeStore(sys.argv[1]).count()
except StoreError as err:
    print(err)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them")
@pytest.mark.parametrize("limit", ["5", "6"])
def test_a_limit_of_the_system_is_named_and_is_no_damage(filled, folder, limit):
    filled.close()
    command = [sys.executable, "-c", LIMITED, str(folder), "RLIMIT_NOFILE", limit]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "may open no more files; raise its limit (ulimit -n)" in run.stdout, run.stderr
    assert "--repair" not in run.stdout
    assert count(folder) == 3


def test_checking_tells_a_refusal_from_damage(filled, folder, monkeypatch):
    filled.close()
    refusal = "Service runtime error: Read-only file system (os error 30)"
    with pytest.raises(StoreError) as caught, engine_errors(folder, loading=True):
        raise RuntimeError(refusal)
    assert str(caught.value).endswith("copy the index to another place")
    assert "--repair" not in str(caught.value)
    program = f"raise __import__('trivec').StoreError({str(caught.value)!r})"
    run = subprocess.run
    monkeypatch.setattr(
        subprocess, "run", lambda command, **more: run([*command[:1], "-c", program], **more)
    )
    with pytest.raises(StoreError, match=r"^the engine failed.*copy the index to another place"):
        check_index(folder, repair=True)
    monkeypatch.undo()
    assert check_index(folder).is_sound


def almost_full(monkeypatch, free):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=free))


def test_a_full_disk_is_refused_before_a_write_and_the_index_stays_whole(
    filled, folder, monkeypatch
):
    almost_full(monkeypatch, 1 << 20)
    for write in (
        lambda: filled.upsert(make_points(4)),
        lambda: filled.update_vectors({1: {"dense": VECTOR}}),
        lambda: filled.overwrite_payload({1: {}}),
        filled.optimize,
        lambda: EdgeStore(folder.parent / "new").create(SCHEMA),
    ):
        with pytest.raises(StoreError, match=r"has 1 MB left.*nothing of it was written"):
            write()
    assert filled.count() == 3
    assert not (folder.parent / "new").exists()
    monkeypatch.undo()
    filled.upsert(make_points(4))
    assert filled.count() == 4


def test_a_payload_index_needs_space_too(filled, monkeypatch):
    almost_full(monkeypatch, 1 << 20)
    with pytest.raises(StoreError, match="has 1 MB left"):
        filled.ensure_payload_indexes({"year": "integer"})


def test_an_index_in_memory_is_not_opened_where_its_holes_do_not_fit(filled, folder, monkeypatch):
    """Reading a hole of a mapped file takes memory there, and where there is none left, SIGBUS."""
    filled.close()
    almost_full(monkeypatch, 1 << 20)
    assert count(folder) == 3  # on a disk a hole takes nothing
    monkeypatch.setattr(space, "_file_system", lambda _: "tmpfs")
    with pytest.raises(StoreError, match=r"lies in memory \(tmpfs\), where 1 MB are left"):
        count(folder)
    monkeypatch.undo()
    assert count(folder) == 3


def test_an_index_is_not_opened_where_that_cannot_be_noted(filled, folder, monkeypatch):
    """Else a crash would look like damage."""
    filled.close()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "mkstemp", full)
    with pytest.raises(
        StoreError, match="cannot be read: No space left on device; the disk is full"
    ):
        count(folder)
    monkeypatch.undo()
    assert count(folder) == 3


def test_a_large_write_needs_more_than_the_reserve(filled, monkeypatch):
    almost_full(monkeypatch, 33 << 20)
    filled.upsert(make_points(4))
    with pytest.raises(StoreError, match="may need"):
        filled.upsert([Point(5, {"dense": VECTOR}, {"text": "x" * (1 << 20)})])


@pytest.mark.parametrize("again", [False, True])
def test_a_folder_that_was_deleted_while_open_is_noticed(filled, folder, again):
    shutil.rmtree(folder)
    if again:
        with contextlib.closing(EdgeStore(folder)) as other:
            other.create(SCHEMA)
    for use in (
        lambda: filled.upsert(make_points(4)),
        filled.count,
        filled.optimize,
        lambda: filled.delete(ids=[1]),
    ):
        with pytest.raises(StoreError, match="deleted, moved or replaced while it was open"):
            use()
    filled.close()
    assert folder.exists() is again
    if again:
        assert count(folder) == 0


@pytest.mark.parametrize("write", ["upsert", "delete"])
def test_a_folder_that_goes_during_a_write_is_not_told_as_stored(
    filled, folder, write, monkeypatch, caplog
):
    monkeypatch.setattr(engines, "require_space", lambda *_: shutil.rmtree(folder))
    writes = {
        "upsert": lambda: filled.upsert(make_points(4)),
        "delete": lambda: filled.delete(ids=[1]),
    }
    with pytest.raises(StoreError, match=r"deleted, moved .* index again"):
        writes[write]()
    filled.close()
    assert "what it held is no longer there" in caplog.text
    assert not folder.exists()


LEAVER = """
import sys
from trivec.stores import EdgeStore
store = EdgeStore(sys.argv[1])
print(store.count())
"""


def test_a_program_that_closes_nothing_leaves_a_manifest_all_the_same(filled, folder):
    filled.close()
    subprocess.run([sys.executable, "-c", LEAVER, str(folder)], check=True, timeout=60)
    assert not read_manifest(folder).is_open
