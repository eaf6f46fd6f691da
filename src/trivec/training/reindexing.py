"""An index moved to another model: written beside, then put in its place at once."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from trivec._runtime.paths import user_path
from trivec._runtime.typed import checked
from trivec.arms import arms_among
from trivec.errors import CollectionError, CollectionNotFoundError, InputError
from trivec.index import HybridIndex
from trivec.index.hybrid import binding_of
from trivec.index.options import Progress
from trivec.index.stored_model import StoredModel
from trivec.protocols import Encoder
from trivec.questions import QuestionIndex
from trivec.schema import Fingerprint, Schema
from trivec.stores import EdgeStore
from trivec.types import Chunk

__all__ = ["Reindexed", "reindex"]

EXCHANGE = 2  # RENAME_EXCHANGE of Linux's renameat2
HERE = -100  # AT_FDCWD
QUESTIONS = "questions"


@dataclass(frozen=True, slots=True)
class Reindexed:
    """What an index holds after its move.

    Attributes:
        passages: how many.
        encoded: of them, by this call; the rest was there from an interrupted one.
        questions: questions and verdicts that belong to them.
        truncated: passages of which the model has read the beginning alone.
    """

    passages: int
    encoded: int
    questions: int
    truncated: int


@checked
def reindex(place: str | Path, encoder: Encoder, *, progress: Progress | None = None) -> Reindexed:
    """Move an index in a folder to another model, from the text that it has stored.

    The new index is written into a folder beside, and takes the old one's place at once: whoever
    opens the folder finds the old index or the new one. An interrupted call leaves the old index
    as it was; the next call goes on with what was encoded.

    Args:
        place: the folder of the index; it must not be open anywhere.
        encoder: the other model.
        progress: called with the number of passages dealt with.

    Raises:
        CollectionNotFoundError: there is no index.
        CollectionError: the index keeps tenants apart, or was not written by trivec.
        CollectionLockedError: another process has it open.
        InputError: the model lacks a head that the index needs.
    """
    folder = user_path("place", place)
    beside = folder.with_name(f".{folder.name}.reindexed")
    before = folder.with_name(f".{folder.name}.before")
    if before.is_dir() and not folder.exists():
        before.rename(folder)  # a process was killed between two renames
    schema = _stored_schema(folder)
    wanted = _schema_of(schema, encoder, folder)
    with HybridIndex.open(folder, StoredModel(schema), create=False) as old:
        _prepare(beside, wanted)
        with HybridIndex.open(beside, encoder, create=False) as new:
            chunks, in_context = _chunks(old)
            report = new.add(chunks, late_chunking=in_context, progress=progress)
            report.require_complete()
            _drop_others(old, new)
            questions = _questions(old, new)
            new.optimize()
            count = new.count()
    _exchange(folder, beside, before)
    encoded = report.added + report.updated
    return Reindexed(count, encoded, questions, len(report.truncated))


def _stored_schema(folder: Path) -> Schema:
    with closing(EdgeStore(folder)) as store:
        schema = store.schema
    if schema is None:
        raise CollectionNotFoundError(
            f"there is no index at folder {str(folder)!r}; make one with: trivec sync PLACE PATHS"
        )
    if schema.fingerprint is None or schema.building:
        raise CollectionError(
            f"{folder} was not written by trivec, or is not finished; adopt it or add its arm first"
        )
    if schema.tenant_key is not None:
        raise CollectionError(
            f"{folder} keeps tenants apart, and is not moved as a whole; add each tenant's "
            "documents to a new index"
        )
    return schema


def _schema_of(schema: Schema, encoder: Encoder, folder: Path) -> Schema:
    """Return the description of the same collection, written by another model."""
    info = encoder.info
    arms = arms_among(schema.vectors)
    if missing := [arm.name for arm in arms if not arm.is_made_by(info)]:
        raise InputError(
            f"{folder} stores {', '.join(missing)}, which {info.model!r} does not make; give a "
            "model with that head"
        )
    analyzer = schema.fingerprint.analyzer if schema.fingerprint else None
    vectors = {
        arm.name: replace(arm.spec(schema.vectors[arm.name].name, info), idf=spec.idf)
        for arm in arms
        for spec in [schema.vectors[arm.name]]
    }
    return replace(schema, vectors=vectors, fingerprint=Fingerprint(info, analyzer))


def _prepare(beside: Path, schema: Schema) -> None:
    """Create the folder beside, unless an interrupted call has made it for the same model."""
    if beside.exists():
        with closing(EdgeStore(beside)) as store:
            found = store.schema
        if found is not None and found.fingerprint == schema.fingerprint:
            return
        shutil.rmtree(beside)
    with closing(EdgeStore(beside)) as store:
        store.create(schema)


def _chunks(index: HybridIndex) -> tuple[Iterable[Chunk], bool]:
    """Return the passages, and whether their vectors know the whole document."""
    binding = binding_of(index)
    own = binding.codec.own
    for page in binding.pages(binding.scope()):
        if any(own(point.payload).get("context") for point in page):
            places = sorted(index.chunks(), key=lambda one: (one.source or "", one.position or 0))
            return places, True
    return index.chunks(), False


def _drop_others(old: HybridIndex, new: HybridIndex) -> None:
    """Delete what an interrupted call has written and the old index has lost since.

    Raises:
        CollectionError: a passage is missing.
    """
    if old.count() == new.count():
        return
    first, second = binding_of(old), binding_of(new)
    kept = {point.id for page in first.pages(first.scope()) for point in page}
    found = {point.id for page in second.pages(second.scope()) for point in page}
    if extra := sorted(found - kept, key=str):
        new.delete(filter=second.of_points(extra))
    if new.count() != old.count():
        raise CollectionError(
            f"{new.count()} of {old.count()} passages were moved; the index is as it was: check "
            "it with 'trivec check', and run the same again"
        )


def _questions(old: HybridIndex, new: HybridIndex) -> int:
    beside = old.store.sibling(QUESTIONS)
    if beside is None:
        return 0
    with closing(beside) as store:
        if store.schema is None:
            return 0
    with (
        QuestionIndex.open(old, create=False) as questions,
        QuestionIndex.open(new) as others,
    ):
        count = questions.write_to(others)
        others.optimize()
    return count


def _exchange(folder: Path, beside: Path, before: Path) -> None:
    """Let two folders change places at once where the system can, and remove the old one.

    Elsewhere two renames do it; a call that finds the first alone done undoes it.
    """
    shutil.rmtree(before, ignore_errors=True)
    if _exchanged(folder, beside):
        beside.rename(before)
    else:
        folder.rename(before)
        beside.rename(folder)
    shutil.rmtree(before)


def _exchanged(one: Path, other: Path) -> bool:
    """Say whether the system has exchanged two folders; Linux can, on most file systems."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None:
        return False
    return bool(rename(HERE, os.fsencode(one), HERE, os.fsencode(other), EXCHANGE) == 0)
