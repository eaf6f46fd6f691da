"""Every kind of damage to the files of an index: noticed or harmless, never silent, never a crash.

``make test-damage`` tries every file and prints the table of docs/durability.md; the suite tries a
sample.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import shutil
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from trivec import Chunk, HybridIndex, IndexConfig
from trivec.errors import TrivecError
from trivec.index import CheckReport, check_index
from trivec.index.hybrid import binding_of
from trivec.stores.edge.sparse_files import copy_folder
from trivec.testing import FakeEncoder
from trivec.types import Point

COUNT = 400
CONFIG = IndexConfig(arms=("dense", "sparse", "bm25", "colbert"))
EVERYTHING = os.environ.get("TRIVEC_DAMAGE") == "all"
KINDS = ("delete", "truncate", "zero", "flip")
ONE_IN = 1 if EVERYTHING else 23
SECONDS = 120


def encoder():
    return FakeEncoder(dim=32)


def chunks():
    return [
        Chunk(
            f"passage {at} about topic {at % 97} 主题{at % 53}",
            source=f"{at // 50}.md",
            position=at % 50,
            metadata={"at": at},
        )
        for at in range(COUNT)
    ]


def contents(index):
    names = ["dense", "sparse", "bm25", "colbert"]
    return {
        point.id: (point.payload, dict(point.vectors))
        for page in binding_of(index).pages(None, with_vectors=names)
        for point in page
    }


def same(one, other):
    if one.keys() != other.keys():
        return False
    return all(
        one[key][0] == other[key][0]
        and one[key][1].keys() == other[key][1].keys()
        and all(
            np.shape(vector) == np.shape(one[key][1][name])
            and np.allclose(vector, one[key][1][name], atol=1e-6)
            if isinstance(vector, np.ndarray)
            else vector == one[key][1][name]
            for name, vector in other[key][1].items()
        )
        for key in one
    )


def answers(index):
    return [
        [(hit.id, round(hit.score, 5)) for hit in index.search(f"topic {n}", 5)] for n in (3, 50)
    ]


def damage(path: Path, kind: str) -> None:
    size = path.stat().st_size
    if kind == "delete":
        path.unlink()
    elif kind == "truncate":
        os.truncate(path, size // 2)
    elif kind == "zero":
        path.write_bytes(bytes(size))
    else:
        with path.open("r+b") as file:
            # in the data, not in the hole behind it
            at = min(size - 1, 5 if size < 4096 else 1029)
            file.seek(at)
            byte = file.read(1)
            file.seek(at)
            file.write(bytes([byte[0] ^ 0x55]))


def try_open(folder, results):
    """Open, read and search in a process of its own."""
    try:
        with HybridIndex.open(folder, encoder(), config=CONFIG, create=False) as index:
            whole = contents(index)
            found = answers(index)
    except TrivecError as err:
        results.put(("refused", str(err)))
    except BaseException as err:  # noqa: BLE001  # whatever else comes out is what this looks for
        results.put(("escaped", repr(err)))
    else:
        results.put(("read", (whole, found)))


def in_child(folder):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "trivec.testing", "qdrant_edge", "qdrant_client"])
    results = context.Queue()
    child = context.Process(target=try_open, args=(folder, results))
    child.start()
    try:
        outcome = results.get(timeout=SECONDS)
    except queue.Empty:  # it died or hangs
        outcome = ("died", child.exitcode)
    child.join(SECONDS)
    return outcome


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damage") / "kb"
    with HybridIndex.open(folder, encoder(), config=CONFIG) as index:
        index.add(chunks())
        index.optimize()
    kind, oracle = in_child(folder)
    assert kind == "read"
    return folder, oracle


def cases(folder):
    names = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    assert "holder.json" not in names  # nobody has it open
    every = [(name, kind) for name in names for kind in KINDS]
    return every[::ONE_IN]


def copied(folder, tmp_path):
    copy = tmp_path / "kb"
    shutil.rmtree(copy, ignore_errors=True)
    copy_folder(folder, copy, lambda _: False)
    return copy


def judge(folder, name, kind, oracle, tmp_path):
    """Return how a damage ends when the file's time changes with it, and when it does not."""
    copy = copied(folder, tmp_path)
    path = copy / name
    before, status = path.read_bytes(), path.stat()
    damage(path, kind)
    if path.exists() and path.read_bytes() == before:
        return "unchanged", "unchanged"
    touched, told = in_child(copy)
    if touched == "refused":
        assert "trivec check" in told or "index again" in told or "no trivec.json" in told, told
    ends = [outcome(touched, told, oracle, found_by_check=lambda: is_found(copy))]
    copy = copied(folder, tmp_path)
    damage(copy / name, kind)
    if (copy / name).exists():
        os.utime(copy / name, ns=(status.st_atime_ns, status.st_mtime_ns))
    checked = is_found(copy)  # before the engine touches anything
    silent, told = in_child(copy)
    ends.append(outcome(silent, told, oracle, found_by_check=lambda: checked))
    return tuple(ends)


def is_found(folder):
    try:
        return not check_index(folder).is_sound
    except TrivecError:
        return True


def outcome(kind, told, oracle, found_by_check):
    if kind == "refused":
        return "noticed at open"
    if kind == "read":
        right = same(told[0], oracle[0]) and told[1] == oracle[1]
        if right:
            return "harmless"
        return "found by check" if found_by_check() else "SILENT"
    return f"{kind.upper()}: {told}"


def group(name):
    """Name a file by what it is for, in the table."""
    parts = name.split("/")
    if len(parts) < 4 or parts[1] == "wal":
        return name if len(parts) == 1 else "/".join(parts[1:2] if len(parts) > 2 else parts[1:])
    if parts[3].startswith("vector_storage"):
        return f"{parts[3]}"
    return parts[3]


def test_damage_is_noticed_or_harmless(whole, tmp_path, capsys):
    folder, oracle = whole
    table = defaultdict(Counter)
    bad = []
    for name, kind in cases(folder):
        ends = judge(folder, name, kind, oracle, tmp_path)
        for end, how in zip(ends, ("touched", "untouched"), strict=True):
            table[group(name), how][end.split(":")[0]] += 1
            if end == "SILENT" or ":" in end:
                bad.append((name, kind, how, end))
    with capsys.disabled():
        if EVERYTHING:
            print_table(table)
    assert not bad


def print_table(table):
    names = ["noticed at open", "found by check", "harmless", "unchanged"]
    lines = ["", "| file of | its time | " + " | ".join(names) + " |", "|---" * 6 + "|"]
    for (part, how), counts in sorted(table.items()):
        cells = " | ".join(str(counts[name]) for name in names)
        lines.append(f"| `{part}` | {how} | {cells} |")
    sys.stdout.write("\n".join(lines) + "\n")


REPAIRED = [
    "id_tracker.mappings",
    "vector_storage-dense/vectors/status.dat",
    "vector_storage-colbert/vectors/chunk_0.mmap",
    "payload_storage/page_0.dat",
    "vector_storage-sparse/store/tracker.dat",
    "segment.json",
    "wal/open-1",
    "trivec.json",
    "manifest.json",
]


@pytest.mark.parametrize("name", REPAIRED)
@pytest.mark.parametrize("kind", KINDS if EVERYTHING else KINDS[:1])
def test_a_repair_and_adding_again_give_the_whole_index_back(whole, tmp_path, name, kind):
    folder, oracle = whole
    copy = copied(folder, tmp_path)
    [path] = [path for path in copy.rglob("*") if path.as_posix().endswith(name)]
    damage(path, kind)
    report = check_index(copy, encoder(), repair=True)
    assert report.repaired or report.is_sound
    assert all(one.reason for one in report.lost)
    with HybridIndex.open(copy, encoder(), config=CONFIG, create=False) as index:
        index.add(chunks())
        assert same(contents(index), oracle[0])
    assert check_index(copy).is_sound


def test_a_manifest_that_is_gone_is_named_and_written_again(whole, tmp_path):
    copy = copied(whole[0], tmp_path)
    (copy / "manifest.json").unlink()
    for _ in range(2):  # looking mends nothing
        assert check_index(copy).files == {"manifest.json": "is missing"}
    report = check_index(copy, repair=True)
    assert (report.repaired, report.points, report.kept) == (True, COUNT, None)
    assert check_index(copy) == CheckReport(expected=COUNT, points=COUNT)


def store_deep(folder, levels):
    """Write what the engine cannot read back, as trivec did before it had a limit."""
    import qdrant_edge

    from trivec.stores.edge import codec

    index = HybridIndex.open(folder, encoder(), config=CONFIG)
    index.add(chunks()[:50])
    binding = binding_of(index)
    key = binding.point_id(next(iter(index.chunks())).id)
    [point] = index.store.retrieve([key], with_vectors=["dense"])
    value = "x"
    for _ in range(levels):
        value = {"a": value}
    deep = Point(key, point.vectors, {**point.payload, "metadata": value})
    with index.store._engine(0) as shard:
        shard.update(qdrant_edge.UpdateOperation.upsert_points(codec.edge_points([deep])))
    os._exit(0)  # as a kill


def test_ids_of_every_kind_are_sound(tmp_path):
    """Ids belong to their source, or to nobody, or are UUIDs: none lies under another's id."""
    uuid = "0b1e9f5c-7a0e-4a7c-9d53-0d4a5d5b6a11"
    given = [
        Chunk("a record's own", id="1", source="people.csv"),
        Chunk("the same of another source", id="1", source="products.csv"),
        Chunk("of no source", id="1"),
        Chunk("a uuid", id=uuid, source="people.csv"),
        Chunk("numbered by its source", source="people.csv", position=3),
        Chunk("no id and no source"),
    ]
    for scoped in (True, False):
        place = tmp_path / str(scoped)
        with HybridIndex.open(place, encoder(), config=IndexConfig(scoped_ids=scoped)) as index:
            index.add([one for one in given if scoped or one.source != "products.csv"])
            count = index.count()
        report = check_index(place)
        assert (report.is_sound, report.points, report.lost) == (True, count, ())
        assert check_index(place, encoder(), repair=True).points == count


@pytest.mark.parametrize("levels", [100, 125, 200])
def test_a_folder_that_is_too_deep_already_is_opened_and_repaired(tmp_path, levels):
    folder = tmp_path / "kb"
    child = multiprocessing.get_context("spawn").Process(target=store_deep, args=(folder, levels))
    child.start()
    child.join(SECONDS)
    kind, told = in_child(folder)
    assert kind == ("read" if levels == 100 else "refused")
    assert levels == 100 or "trivec check" in told
    report = check_index(folder, encoder(), repair=True)
    assert report.points >= 49
    with HybridIndex.open(folder, encoder(), config=CONFIG, create=False) as index:
        index.add(chunks()[:50])
        assert sorted(chunk.metadata["at"] for chunk in index.chunks()) == list(range(50))
    assert check_index(folder).is_sound
