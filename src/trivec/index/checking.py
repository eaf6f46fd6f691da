"""Is an embedded index what was written? And if not: what can be kept, what must come again."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from trivec._runtime.paths import user_path
from trivec._runtime.typed import checked
from trivec.errors import EXPLAINED, CollectionError, CollectionNotFoundError, StoreError
from trivec.index.adding import add_steps
from trivec.index.collection import Binding
from trivec.index.config import IndexConfig
from trivec.index.opening import require_fitting, stored_analyzer
from trivec.index.options import AddOptions
from trivec.index.performing import run
from trivec.payloads.codecs import stored_codec
from trivec.protocols import Encoder
from trivec.schema import Schema
from trivec.stores.edge import manifest
from trivec.stores.edge.failures import is_refusal, raise_refused
from trivec.stores.edge.folder import IndexFolder
from trivec.stores.edge.holder import held_elsewhere, take
from trivec.stores.edge.space import require_space, used_bytes
from trivec.stores.edge.sparse_files import copy_folder
from trivec.stores.edge.store import EdgeStore
from trivec.types import PointId, Refusal

__all__ = ["CheckReport", "check_index"]

logger = logging.getLogger(__name__)

_DAMAGED = "damaged"
_NO_MANIFEST: Mapping[str, str] = {manifest.NAME: "is missing"}
_NOTHING: Mapping[str, str] = {}
_CRASHES = 20
"""How often the engine may end the reading process before a copy is given up."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What is wrong with an index, and what was done about it.

    Attributes:
        files: files that are not as they were, each with what is wrong.
        expected: how many points there were when the index was closed; None where nobody knows.
        points: how many can be read and are what was written.
        lost: points that cannot be read or are not what was written, and why.
        unfinished: points that lack the vector of an arm, or have one that cannot be right.
        encoded: how many points were encoded again.
        repaired: whether the index was written anew.
        kept: where the damaged files are now; None where nothing was moved.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    expected: int | None = None
    points: int = 0
    lost: tuple[Refusal, ...] = ()
    unfinished: tuple[PointId, ...] = ()
    encoded: int = 0
    repaired: bool = False
    kept: str | None = None

    @property
    def missing(self) -> int:
        """How many points are gone: add their sources again."""
        return max(len(self.lost), 0 if self.expected is None else self.expected - self.points)

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong with the index as it is now."""
        if self.repaired:
            return self.missing == 0 and len(self.unfinished) <= self.encoded
        return not (self.files or self.missing or self.unfinished)


@dataclass(slots=True)
class _Findings:
    """What the reading process says, while it reads."""

    points: int = 0
    lost: list[Refusal] = field(default_factory=list)
    unfinished: list[PointId] = field(default_factory=list)
    seen: list[PointId] = field(default_factory=list)
    reading: list[PointId] = field(default_factory=list)
    opened: bool = False
    finished: bool = False
    complaint: str = ""


@checked
def check_index(
    location: str | Path, encoder: Encoder | None = None, *, repair: bool = False
) -> CheckReport:
    """Read a whole embedded index, in a process of its own, and say what is wrong with it.

    Every file is compared with the manifest of the last close, every point with its checksum, its
    id and the arms of the collection.

    With ``repair`` the points that are sound are written into a new index in the same folder.
    The damaged files are kept beside it. What lacks a vector is encoded again from the stored
    text. Points that are lost come back when their sources are added again; where the file of the
    payloads was damaged, so does the metadata of all, since every point is written again then.

    Args:
        location: the index's folder.
        encoder: the model that wrote it, for what must be encoded again; None leaves that to the
            next ``add``.
        repair: mend what is wrong.

    Raises:
        CollectionNotFoundError: there is no index.
        CollectionLockedError: somebody has it open.
        CollectionError: its description is damaged, and there is no copy of it.
        StoreError: the disk is too small for a repair, or the system refuses to open the files.
    """
    place = user_path("location", location)
    folder = IndexFolder(place)
    noted, wrong = _compared(folder)
    findings = _Findings()
    unlisted = wrong == _NO_MANIFEST
    if not wrong or (unlisted and repair):
        findings = _read(place)  # closing it writes the manifest
        if not findings.finished:
            if is_refusal(findings.complaint):
                raise StoreError(findings.complaint.partition(": ")[2])
            wrong = {**wrong, "shard": f"cannot be read: {findings.complaint}"}
    report = _report(findings, noted, wrong)
    if not repair or report.is_sound:
        return report
    if unlisted and findings.finished and not report.lost:
        report = replace(report, repaired=True)
    elif wrong or report.lost or not findings.finished:
        with closing(take(place)):
            report = _rebuilt(folder, noted, wrong)
    if encoder is not None and report.unfinished:
        encoded = _encode_again(place, encoder, report.unfinished)
        report = replace(report, encoded=encoded, repaired=True)
    return report


def _compared(folder: IndexFolder) -> tuple[manifest.Manifest | None, dict[str, str]]:
    """Return the manifest, and what is wrong with the files."""
    place = folder.path
    if not place.is_dir() or not any(
        path.exists() for path in (folder.description, folder.shard, place / manifest.NAME)
    ):
        raise CollectionNotFoundError(f"there is no index in {place}; check the path")
    with closing(take(place)), manifest.locked(folder.shard) as free:
        if not free:
            raise held_elsewhere(place)
        noted = None
        try:
            noted = manifest.read_manifest(place)
            wrong = {} if noted is None else manifest.faults(place, noted, thorough=True)
            if manifest.is_missing(place):
                wrong.update(_NO_MANIFEST)
        except OSError as err:
            raise_refused(place, err)
            wrong = {manifest.NAME: f"is damaged ({err})"}
        except (ValueError, TypeError, KeyError, RecursionError) as err:
            wrong = {manifest.NAME: f"is damaged ({err})"}
    try:
        folder.schema()
    except CollectionError as err:
        wrong[folder.description.name] = str(err)
    return noted, wrong


def _report(
    findings: _Findings, noted: manifest.Manifest | None, wrong: Mapping[str, str]
) -> CheckReport:
    expected = None if noted is None or noted.is_open else noted.points
    if wrong and not findings.opened:  # nothing was counted
        return CheckReport(files=dict(wrong), expected=expected, points=expected or 0)
    return CheckReport(
        dict(wrong), expected, findings.points, tuple(findings.lost), tuple(findings.unfinished)
    )


def _read(
    source: Path, target: Path | None = None, wrong: Mapping[str, str] = _NOTHING
) -> _Findings:
    """Read an index in another process, again and again past the points that end it."""
    findings = _Findings()
    for _ in range(_CRASHES):
        _read_once(findings, source, target, wrong)
        if findings.finished or not findings.opened or not findings.reading:
            break
        poisoned = findings.reading[:1] if len(findings.reading) == 1 else findings.reading
        findings.seen += poisoned
        findings.lost += [Refusal(str(one), "the engine dies of reading it") for one in poisoned]
    return findings


def _read_once(
    findings: _Findings, source: Path, target: Path | None, wrong: Mapping[str, str]
) -> None:
    order = {
        "source": str(source),
        "target": None if target is None else str(target),
        "distrusted": _distrusted(wrong),
        "rewrite": any("/payload_storage/" in name for name in wrong),
        "skipped": findings.seen,
    }
    child = subprocess.run(
        [sys.executable, "-m", "trivec.index.salvage"],
        input=json.dumps(order),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    findings.reading = []
    for line in child.stdout.splitlines():
        _take(findings, json.loads(line))
    told = [line for line in child.stderr.strip().splitlines() if EXPLAINED not in line]
    findings.complaint = (told or [""])[-1] or f"the engine ended the process ({child.returncode})"


def _take(findings: _Findings, said: Mapping[str, Any]) -> None:
    findings.opened |= "opened" in said
    findings.finished |= "finished" in said
    if "reading" in said:
        findings.reading = said["reading"]
    if "done" in said:
        findings.seen += said["done"]
        findings.reading = []
        findings.points += said["sound"]
        findings.lost += [Refusal(str(one), why) for one, why in said["lost"]]
        findings.unfinished += said["unfinished"]


def _rebuilt(
    folder: IndexFolder, noted: manifest.Manifest | None, wrong: Mapping[str, str]
) -> CheckReport:
    """Write what is sound into a new index and put it in the place of the damaged one."""
    place = folder.path
    shard = _newest_shard(folder)
    require_space(place, used_bytes(shard), "a repair")
    _restore_description(folder, noted)
    with tempfile.TemporaryDirectory(prefix=folder.UNFINISHED, dir=place) as work:
        findings = _Findings()
        for at, source in enumerate(_attempts(shard, folder, Path(work), wrong)):
            target = Path(work) / f"new{at}"
            findings = _read(source, target, wrong)
            shutil.rmtree(source)
            if findings.finished:
                break
        if not findings.finished:
            findings = _Findings()
            target = Path(work) / "empty"
            store = EdgeStore(target)
            store.create(_schema(folder))
            store.close()
        kept = _exchange(folder, target)
    report = replace(_report(findings, noted, {}), files=dict(wrong), repaired=True)
    return replace(report, points=findings.points, kept=str(kept))


def _attempts(
    shard: Path, folder: IndexFolder, work: Path, wrong: Mapping[str, str]
) -> Iterator[Path]:
    """Yield copies of a damaged index, each with less of what may keep the engine from opening."""
    segments = shard / "segments"
    names = sorted(path.name for path in segments.iterdir()) if segments.is_dir() else []
    for without in ((), ("wal",), ("wal", "payload_index")):
        yield _copied(shard, folder, work, without, names)
    for name in names:
        if len(names) > 1 and not any(name in file for file in wrong):
            yield _copied(shard, folder, work, ("wal",), [name])


def _copied(
    shard: Path, folder: IndexFolder, work: Path, without: Sequence[str], segments: Sequence[str]
) -> Path:
    copy = Path(tempfile.mkdtemp(prefix="source-", dir=work))
    shutil.copy2(folder.description, copy)

    def is_left_out(path: Path) -> bool:
        parts = path.relative_to(shard).parts
        if parts[0] == "segments" and len(parts) > 1 and parts[1] not in segments:
            return True
        return any(part in without for part in parts)

    copy_folder(shard, copy / "shard", is_left_out)
    return copy


def _distrusted(wrong: Mapping[str, str]) -> list[str]:
    """Return the vectors that lie in damaged files."""
    prefixes = ("vector_storage-", "vector_index-")
    parts = {part for name in wrong for part in name.split("/")}
    return sorted({part.removeprefix(one) for part in parts for one in prefixes if one in part})


def _newest_shard(folder: IndexFolder) -> Path:
    """Return the engine's folder; after an interrupted repair it lies among the damaged ones."""
    if folder.shard.exists():
        return folder.shard
    kept = sorted(folder.path.glob(f"{_DAMAGED}-*/shard"))
    return kept[-1] if kept else folder.shard


def _restore_description(folder: IndexFolder, noted: manifest.Manifest | None) -> None:
    if noted is not None and noted.description:
        folder.replace_schema(Schema.from_json(noted.description))
    _schema(folder)  # raises where it is damaged and there is no copy


def _schema(folder: IndexFolder) -> Schema:
    schema = folder.schema()
    if schema is None:
        raise CollectionError(f"{folder.description} is missing; index again into a new folder")
    return schema


def _exchange(folder: IndexFolder, rebuilt: Path) -> Path:
    """Put a new index in the place of the damaged one, and return where that is kept."""
    place = folder.path
    number = 1 + len(list(place.glob(f"{_DAMAGED}-*")))
    kept = place / f"{_DAMAGED}-{number}"
    kept.mkdir()
    for path in (folder.shard, place / manifest.NAME):
        if path.exists():
            path.replace(kept / path.name)
    # in between, the manifest that is there says that files are missing
    (rebuilt / manifest.NAME).replace(place / manifest.NAME)
    (rebuilt / "shard").replace(folder.shard)
    shutil.copy2(rebuilt / "trivec.json", folder.description)
    return kept


def _encode_again(place: Path, encoder: Encoder, ids: Sequence[PointId]) -> int:
    """Encode points again from their stored text; return how many."""
    store = EdgeStore(place)
    try:
        schema = store.schema or Schema({})
        require_fitting(schema, encoder, IndexConfig(), f"folder {str(place)!r}")
        codec = stored_codec(schema.codec, schema.codec_keys)
        whole = Binding(store, schema, encoder, stored_analyzer(schema), codec)
        encoded = 0
        for at in range(0, len(ids), 128):
            points = store.retrieve(ids[at : at + 128])
            owners = {point.id: codec.own(point.payload).get("tenant") for point in points}
            for tenant in set(owners.values()):
                binding = replace(whole, tenant=tenant)
                chunks = [codec.decode(point) for point in points if owners[point.id] == tenant]
                report = run(add_steps(binding, chunks, AddOptions(), None), store)
                encoded += report.added + report.updated
        return encoded
    finally:
        store.close()
