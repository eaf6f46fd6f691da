"""Several readers of one embedded index: stores of one process share it, processes take turns."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from trivec import AsyncHybridIndex, Chunk, HybridIndex
from trivec.errors import (
    CollectionExistsError,
    CollectionLockedError,
    FingerprintMismatchError,
    InputError,
    StoreError,
)
from trivec.index import check_index
from trivec.schema import Schema, VectorSpec
from trivec.stores import EdgeStore
from trivec.stores.edge import engine as engines
from trivec.stores.edge.folder import IndexFolder
from trivec.stores.edge.manifest import read_manifest
from trivec.testing import FakeEncoder
from trivec.types import Point

SCHEMA = Schema({"dense": VectorSpec("dense", "dense", 4)})
VECTOR = np.array([0.1, 0.2, 0.3, 0.4], dtype=np.float32)
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def make_points(*identities):
    return [Point(identity, {"dense": VECTOR + identity}, {}) for identity in identities]


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "kb"
    with contextlib.closing(EdgeStore(place)) as store:
        store.create(SCHEMA)
        store.upsert(make_points(1, 2, 3))
    return place


@pytest.fixture
def opened(folder):
    with contextlib.closing(EdgeStore(folder)) as store:
        assert store.count() == 3
        yield store


def count(folder):
    with contextlib.closing(EdgeStore(folder)) as store:
        return store.count()


# One process


def test_the_stores_of_one_process_share_the_folder(opened, folder):
    second = EdgeStore(folder)
    second.upsert(make_points(8, 9))
    assert opened.count() == second.count() == 5
    second.close()
    second.close()  # again, it changes nothing
    assert opened.count() == 5
    third = EdgeStore(folder)
    assert third.count() == 5
    opened.close()
    opened.close()
    assert third.count() == 5
    assert read_manifest(folder).is_open
    third.close()
    assert sorted(path.name for path in folder.iterdir()) == [
        "manifest.json",
        "shard",
        "trivec.json",
    ]
    assert read_manifest(folder).points == 5
    assert count(folder) == 5


def test_a_closed_store_stays_closed_while_another_has_the_folder(opened, folder):
    second = EdgeStore(folder)
    assert second.count() == 3
    second.close()
    with pytest.raises(StoreError, match="is closed"):
        second.count()
    assert opened.count() == 3


def test_the_same_folder_by_other_paths(opened, folder, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    for number, path in enumerate(("link", "kb", "./kb/../kb", folder), 10):
        with contextlib.closing(EdgeStore(path)) as store:
            store.upsert(make_points(number))
    assert opened.count() == 7


def test_a_program_that_changes_its_folder_keeps_its_index(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with contextlib.closing(EdgeStore("kb")) as store:
        assert store.count() == 3
        monkeypatch.chdir("/")
        store.upsert(make_points(4))
    assert count(folder) == 4
    assert read_manifest(folder).points == 4


def test_one_store_is_dropped_and_the_other_goes_on(opened, folder):
    second = EdgeStore(folder)
    second.upsert(make_points(4))
    del second
    assert opened.count() == 4


def test_a_store_that_was_dropped_leaves_a_manifest(folder):
    store = EdgeStore(folder)
    store.upsert(make_points(4))
    assert read_manifest(folder).is_open
    del store
    assert read_manifest(folder).points == 4


def test_a_description_that_one_store_changed_is_the_others_too(opened, folder):
    second = EdgeStore(folder)
    assert second.schema == SCHEMA
    assert second.count() == 3
    richer = Schema(SCHEMA.vectors, payload_indexes={"lang": "keyword"})
    opened.describe(richer)
    assert second.schema == richer
    second.close()


@pytest.mark.parametrize("again", [False, True])
def test_a_folder_that_was_deleted_or_made_anew_is_another(opened, folder, again):
    shutil.rmtree(folder)
    if again:
        anew = EdgeStore(folder)
        anew.create(SCHEMA)
        anew.upsert(make_points(7))
    with pytest.raises(StoreError, match="deleted, moved or replaced"):
        opened.count()
    opened.close()
    assert folder.exists() is again
    if again:
        assert anew.count() == 1
        with pytest.raises(CollectionLockedError, match="in this process"):  # its lock is there
            check_index(folder)
        anew.close()
        assert count(folder) == 1


def test_threads_that_open_write_and_close(folder):
    def work(number):
        for turn in range(5):
            with contextlib.closing(EdgeStore(folder)) as store:
                store.upsert(make_points(100 + 10 * number + turn))
                assert store.count() > 3

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert count(folder) == 3 + 40
    assert read_manifest(folder).points == 43


def test_reading_while_another_store_writes(opened, folder):
    stop, counts = threading.Event(), []

    def read():
        with contextlib.closing(EdgeStore(folder)) as store:
            while not stop.is_set():
                counts.append(store.count())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(10, 60):
        opened.upsert(make_points(number))
    opened.optimize()
    stop.set()
    reader.join(30)
    assert counts == sorted(counts)
    assert opened.count() == 53


# Indexes


def test_an_index_that_is_opened_twice_in_one_notebook(tmp_path):
    kept = []
    for _ in range(3):  # Out[1], Out[2]: the objects before it are still there
        index = HybridIndex.open(tmp_path / "kb", FakeEncoder())
        kept.append(index)
        index.add([Chunk("a text", id="1")])
    assert [one.count() for one in kept] == [1, 1, 1]
    for one in kept:
        one.close()


def test_a_second_index_of_another_model_is_refused_and_the_first_goes_on(tmp_path):
    with HybridIndex.open(tmp_path / "kb", FakeEncoder(dim=32)) as index:
        with pytest.raises(FingerprintMismatchError):
            HybridIndex.open(tmp_path / "kb", FakeEncoder(dim=16))
        index.add([Chunk("a text")])
        assert index.count() == 1
    assert read_manifest(tmp_path / "kb").points == 1


def test_two_async_indexes_of_one_folder(tmp_path):
    async def both():
        encoder = FakeEncoder()
        one = await AsyncHybridIndex.open(tmp_path / "kb", encoder)
        async with one, await AsyncHybridIndex.open(tmp_path / "kb", encoder) as two:
            await asyncio.gather(
                one.add([Chunk("bees", id="1")]), two.add([Chunk("penguins", id="2")])
            )
            hits = await asyncio.gather(one.search("bees"), two.search("bees"))
            return [[hit.id for hit in found] for found in hits], await one.count()

    found, number = asyncio.run(both())
    assert found[0] == found[1]
    assert number == 2


def test_checking_an_index_that_this_process_has_open(opened, folder):
    with pytest.raises(CollectionLockedError, match=r"open elsewhere, in this process.*close\(\)"):
        check_index(folder)
    opened.close()
    assert check_index(folder).is_sound


# Several processes

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
        try:
            yield process
        finally:
            process.kill()


def test_who_has_the_folder_open_is_named(folder):
    with held_elsewhere(folder, 600) as process:
        store = EdgeStore(folder, wait=0)
        expected = rf"open elsewhere, in process {process.pid} \('-c'\).*close\(\).*server"
        for use in (store.count, lambda: check_index(folder)):
            with pytest.raises(CollectionLockedError, match=expected):
                use()
        (folder / "holder.json").write_text("{")
        with pytest.raises(CollectionLockedError, match="open elsewhere, in a process that left"):
            store.count()
    assert store.count() == 3
    store.close()


def test_a_process_that_comes_second_waits_a_moment(folder):
    with held_elsewhere(folder, 0.7), contextlib.closing(EdgeStore(folder, wait=60)) as store:
        assert store.count() == 3


@pytest.mark.parametrize("wait", [None, 3.0], ids=["not asked", "asked"])
def test_it_waits_as_long_as_asked(folder, monkeypatch, wait):
    """By a clock that its naps alone move."""
    naps = []
    clock = SimpleNamespace(monotonic=lambda: sum(naps), sleep=naps.append)
    monkeypatch.setattr(engines, "time", clock)
    asked = {} if wait is None else {"wait": wait}
    with held_elsewhere(folder, 600), pytest.raises(CollectionLockedError):
        EdgeStore(folder, **asked).count()
    assert (wait or 5.0) <= sum(naps) < (wait or 5.0) + 0.5


@pytest.mark.parametrize("wait", [-1, float("nan"), "5", None])
def test_a_wait_that_is_none(folder, wait):
    with pytest.raises(InputError, match="wait"):
        EdgeStore(folder, wait=wait)


def test_a_holder_that_was_killed_is_none(folder):
    with held_elsewhere(folder, 600) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (folder / "holder.json").exists()
        store = EdgeStore(folder, wait=0)
        assert store.count() == 3
        assert json.loads((folder / "holder.json").read_text())["pid"] == os.getpid()
        store.close()
    assert not (folder / "holder.json").exists()


def test_a_folder_to_read_only_says_what_the_engine_says(folder):
    """Where no file can be locked the engine's own lock remains."""
    (folder / "holder.json").mkdir()
    with held_elsewhere(folder, 600), pytest.raises(CollectionLockedError, match="left no name"):
        EdgeStore(folder, wait=0).count()
    assert count(folder) == 3


@needs_fork
@pytest.mark.parametrize("end", ["closed", "killed"])
def test_a_forked_child_does_not_keep_the_folder(folder, end):
    """It has copies of the locks, and lives longer than the store in its parent."""
    program = """
import os, sys, time
from trivec.stores import EdgeStore
store = EdgeStore(sys.argv[1])
store.count()
if os.fork() == 0:
    print("child", os.getpid(), flush=True)
    time.sleep(60)
    os._exit(0)
time.sleep(0.3)
store.close() if sys.argv[2] == "closed" else os.kill(os.getpid(), 9)
print("closed", EdgeStore(sys.argv[1], wait=0).count(), flush=True)
"""
    command = [sys.executable, "-c", program, str(folder), end]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        child = int(process.stdout.readline().split()[1])
        try:
            if end == "closed":
                assert process.stdout.readline() == "closed 3\n"
            process.wait(30)
            with contextlib.closing(EdgeStore(folder, wait=0)) as store:
                assert store.count() == 3
        finally:
            os.kill(child, signal.SIGKILL)


@needs_fork
def test_a_forked_child_that_opens_the_folder_anew_waits_its_turn(opened, folder):
    child = os.fork()
    if child == 0:
        try:
            EdgeStore(folder, wait=0).count()
        except CollectionLockedError as err:
            os._exit(7 if f"in process {os.getppid()} " in str(err) else 1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert opened.count() == 3


def test_threads_that_describe_the_same_new_folders(tmp_path):
    """One makes a description, the others find it; nobody takes it for something else."""

    def make(_):
        made = 0
        for number in range(60):
            folder = IndexFolder(tmp_path / str(number))
            try:
                if folder.schema() is None:
                    folder.write_schema(SCHEMA)
                    made += 1
            except CollectionExistsError:
                pass
            assert IndexFolder(tmp_path / str(number)).schema() == SCHEMA
        return made

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(make, range(6))) == 60


TURN = """
import sys
from trivec import Chunk, HybridIndex
from trivec.stores import EdgeStore
from trivec.testing import FakeEncoder
for turn in range(2):
    with HybridIndex.open(EdgeStore(sys.argv[1], wait=60), FakeEncoder(dim=16)) as index:
        index.add([Chunk(f"passage {sys.argv[2]} of turn {turn}", id=f"{sys.argv[2]}-{turn}")])
        assert index.search("passage")
print("done")
"""


def test_eight_processes_that_open_the_same_new_place_at_once(tmp_path):
    """They take turns; nobody is told that the folder is damaged, or loses a passage."""
    place = tmp_path / "new" / "kb"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TURN, str(place), str(number)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    told = [process.communicate(timeout=120) for process in processes]
    ends = Counter(error.strip().splitlines()[-1] if error else out for out, error in told)
    assert ends == {"done\n": 8}
    with HybridIndex.open(place, FakeEncoder(dim=16)) as index:
        assert index.count() == 16
    assert check_index(place).is_sound
