"""Making an index hold what a folder holds: changed files anew, moved ones moved, gone ones gone.

Every passage of a file is marked in its ``extra``. What others added to the index has no mark, and
is never deleted because there is no file of its source's name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from trivec._runtime.paths import user_path, user_paths
from trivec._runtime.typed import check_fields, checked
from trivec._showing.tables import figures
from trivec.errors import InputError
from trivec.index.adding import add_steps
from trivec.index.hybrid import HybridIndex, add_options, binding_of, remember_root
from trivec.index.options import AddOptions, Contents
from trivec.index.performing import run
from trivec.index.pruning import delete_steps
from trivec.ingest.chunking import (
    EMPTY,
    absolute,
    file_chunks,
    left_out_summary,
    passage_splitter,
    source_of,
)
from trivec.ingest.documents import LeftOut, OnLeftOut, ReadOptions
from trivec.ingest.finding import find_files, name_of
from trivec.ingest.passages import PassageSplitter
from trivec.text import clean
from trivec.types import AddReport, Chunk, PointId, Refusal
from trivec.types.passages import refusals_table

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["SyncOptions", "SyncProgress", "SyncReport", "sync_folder"]

FILE_MARK = "file"
"""The key in ``Chunk.extra`` of a passage that was read from a file."""

DELETED_AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOptions:
    """How files are brought into an index.

    Attributes:
        max_tokens: the most tokens of a passage, headings included.
        overlap: the most tokens that a passage repeats of the one before.
        reading: encoding and text columns.
        follow_links: see :func:`trivec.ingest.find_files`.
        late_chunking: see :meth:`trivec.HybridIndex.add`.
        prune: delete the passages of files that are gone. False adds and updates alone.
        allow_empty: prune too where a folder that was named holds no file. Otherwise nothing of
            it is deleted, since a disk that is not mounted looks the same.
        dry_run: say what would be done; nothing is encoded or written.
    """

    max_tokens: int = 256
    overlap: int = 0
    reading: ReadOptions | None = None
    follow_links: bool = False
    late_chunking: bool = False
    prune: bool = True
    allow_empty: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """How far a sync is.

    Attributes:
        files: how many were read.
        total: how many there are.
        passages: how many of their passages are dealt with.
    """

    files: int
    total: int
    passages: int


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What became of the files.

    Attributes:
        passages: what became of their passages; ``deleted`` has those of files that are gone too.
        files: how many were found.
        root: what their sources are relative to.
        gone: sources without a file, whose passages were deleted.
        kept: sources without a file whose passages stay, because not all could be listed.
        left_out: files, pages and records that were not read.
    """

    passages: AddReport
    files: int
    root: str
    gone: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def missed(self) -> int:
        """How much could not be done: things left out that could be read, refused, kept."""
        left_out = sum(not one.expected for one in self.left_out)
        return left_out + len(self.passages.refused) + len(self.kept)

    def require_complete(self) -> None:
        """Raise where something was left out, refused or kept, for callers that want all or fail.

        Raises:
            InputError: names them.
        """
        if missed := [one for one in self.left_out if not one.expected]:
            raise InputError(left_out_summary(missed))
        self.passages.require_complete()
        if self.kept:
            raise InputError(
                f"{len(self.kept)} files are gone, and their passages stay because not everything "
                f"could be listed: {', '.join(self.kept[:5])}"
            )

    def _repr_html_(self) -> str:
        counts = [("found", self.files), ("gone", len(self.gone)), ("kept", len(self.kept))]
        counts.append(("left out", len(self.left_out)))
        shown = figures([(name, f"{count:,}") for name, count in counts], f"Files of {self.root}")
        left_out = [Refusal(one.place, one.reason) for one in self.left_out]
        named = refusals_table("Left out", left_out)
        return shown + named + self.passages._repr_html_()  # IPython's name


Watcher: TypeAlias = Callable[[SyncProgress], None]


@checked
def sync_folder(
    index: HybridIndex,
    paths: str | Path | Iterable[str | Path],
    tokenizer: Tokenizer | Callable[[str], int],
    *,
    root: str | Path | None = None,
    options: SyncOptions | None = None,
    on_left_out: OnLeftOut | None = None,
    progress: Callable[[SyncProgress], None] | None = None,
) -> SyncReport:
    """Make an index hold what files and folders hold.

    Passages that are there unchanged are not encoded. A file that was moved or renamed takes its
    vectors along. The passages of a file that is gone are deleted, after everything else was
    stored. Nothing is deleted of a file that was left out in part, nor below a folder that could
    not be listed. Only passages that came here from files are deleted.

    A source is a file's path relative to the root, with forward slashes, from whatever working
    directory this is called. The index remembers its root. A file outside of it has its absolute
    path as source. An index of a tenant remembers none.

    Args:
        index: where the passages go.
        paths: files and folders; an index among them is skipped.
        tokenizer: the encoder's, or a function that counts tokens.
        root: what sources are relative to. None: the index's own; in a new one the folder that is
            named, or the common parent of all that are.
        options: how files are read, and what may be deleted.
        on_left_out: told of everything that is left out; it is in the report too.
        progress: called before each file and after each batch.

    Raises:
        InputError: a path does not exist, or lies outside of a root that is gone.
        StoreError, ModelError: as :meth:`trivec.HybridIndex.add`; what was stored stays, and
            nothing was deleted for want of a file.
    """
    options = options or SyncOptions()
    splitter = passage_splitter(tokenizer, options.max_tokens, options.overlap)
    named = user_paths("paths", paths)
    base = _root(index, named, root)
    left_out = _LeftOut(on_left_out, allow_empty=options.allow_empty)
    files = list(find_files(named, follow_links=options.follow_links, on_left_out=left_out))
    sources = {source_of(path, base) for path in files}
    missing = _Missing()
    if options.prune:
        missing = _without_file(index, [_stored(absolute(path)) for path in named], base, sources)
    gone = {source: ids for source, ids in missing.points.items() if not left_out.has(base, source)}
    remembers = not options.dry_run and binding_of(index).tenant is None
    if remembers and index.schema.root != str(base):
        remember_root(index, str(base))
    reading = _Reading(files, splitter, base, options.reading, left_out, progress)
    adding = replace(
        add_options(index, replace_sources=True, late_chunking=options.late_chunking),
        keeps_source=lambda source: left_out.has(base, source),
        known={} if index.schema.building else missing.contents,
        dry_run=options.dry_run,
    )
    report = _added(index, reading, adding)
    emptied = _of_files(index, [source_of(path, base) for path in left_out.emptied])
    deleted = _delete(index, gone | emptied, dry_run=options.dry_run)
    return SyncReport(
        replace(report, deleted=report.deleted + deleted),
        len(files),
        str(base),
        tuple(gone),
        tuple(source for source in missing.points if source not in gone),
        tuple(left_out.listed),
    )


@dataclass(slots=True)
class _LeftOut:
    """Collects what is left out, and says what must not be deleted for it."""

    tell: OnLeftOut | None
    allow_empty: bool
    listed: list[LeftOut] = field(default_factory=list)
    emptied: list[Path] = field(default_factory=list)
    _places: set[Path] = field(default_factory=set)

    def __call__(self, left_out: LeftOut) -> None:
        self.listed.append(left_out)
        empty = left_out.expected and left_out.path.is_dir() and not left_out.path.is_symlink()
        if left_out.where is None and left_out.reason == EMPTY:
            self.emptied.append(left_out.path)
        elif left_out.expected and left_out.where is not None:
            pass  # nothing that is read was lost: the rest of the file is all that it holds
        elif not (empty and self.allow_empty):
            self._places.add(_stored(absolute(left_out.path)))
        if self.tell is not None:
            self.tell(left_out)

    def has(self, base: Path, source: str) -> bool:
        """Say whether a source, or a folder that it lies in, was left out in part."""
        place = _stored(base / source)
        return place in self._places or not self._places.isdisjoint(place.parents)


@dataclass(slots=True)
class _Reading:
    """The passages of the files, marked, with word of how far they are."""

    files: list[Path]
    splitter: PassageSplitter
    base: Path
    options: ReadOptions | None
    report: OnLeftOut
    progress: Watcher | None
    _read: int = 0
    _passages: int = 0

    def __iter__(self) -> Iterator[Chunk]:
        for path in self.files:
            self.advance(0)
            for chunk in file_chunks(path, self.splitter, self.base, self.options, self.report):
                yield replace(chunk, extra={**chunk.extra, FILE_MARK: True})
            self._read += 1
        self.advance(0)

    def advance(self, passages: int) -> None:
        """Tell of passages that are dealt with."""
        self._passages += passages
        if self.progress is not None:
            self.progress(SyncProgress(self._read, len(self.files), self._passages))


@dataclass(slots=True)
class _Missing:
    """The passages in the index whose files are not among those listed."""

    points: dict[str, list[PointId]] = field(default_factory=dict)
    contents: dict[Contents, PointId] = field(default_factory=dict)


def _stored(path: Path) -> Path:
    """Return a path as sources hold it, which are clean."""
    return Path(clean(name_of(path)))


def _root(index: HybridIndex, named: list[Path], root: str | Path | None) -> Path:
    """Return what sources are relative to.

    Raises:
        InputError: the index's own root is gone, and a path lies outside of it.
    """
    if root is not None:
        return absolute(user_path("root", root))
    places = [absolute(path) for path in named]
    binding = binding_of(index)
    if binding.schema.root is None or binding.tenant is not None:
        folders = [place if place.is_dir() else place.parent for place in places]
        return Path(os.path.commonpath(folders)) if folders else absolute(".")
    base = Path(binding.schema.root)
    outside = [place for place in places if not place.is_relative_to(base)]
    if outside and not base.is_dir():
        raise InputError(
            f"{outside[0]} lies outside of {base}, which the sources here are relative to and "
            "which is gone; name the folder's new place as the root (root=..., --root)"
        )
    return base


def _without_file(index: HybridIndex, named: list[Path], base: Path, sources: set[str]) -> _Missing:
    """Return the passages below the paths that came from files which are not listed any more."""
    binding = binding_of(index)
    missing = _Missing()
    for points in binding.pages(binding.scope()):
        for point in points:
            own = binding.codec.own(point.payload)
            source = own.get("source")
            if not isinstance(source, str) or source in sources or "extra" not in own:
                continue
            place = _stored(base / source)
            below = place in named or not set(named).isdisjoint(place.parents)
            if below and FILE_MARK in binding.codec.decode(point).extra:
                missing.points.setdefault(source, []).append(point.id)
                missing.contents[str(own.get("digest")), own.get("context")] = point.id
    return missing


def _of_files(index: HybridIndex, sources: Iterable[str]) -> dict[str, list[PointId]]:
    """Return the points of each source that came from its file."""
    binding = binding_of(index)
    by_source = {}
    for source in sources:
        pages = binding.pages(binding.scope(binding.of_source(source)))
        by_source[source] = [
            point.id
            for points in pages
            for point in points
            if FILE_MARK in binding.codec.decode(point).extra
        ]
    return by_source


def _added(index: HybridIndex, reading: _Reading, options: AddOptions) -> AddReport:
    binding = binding_of(index)
    return run(add_steps(binding, reading, options, reading.advance), binding.store)


def _delete(index: HybridIndex, gone: dict[str, list[PointId]], *, dry_run: bool) -> int:
    """Delete what is left of the sources: of a file that was moved, some points may have a new."""
    binding = binding_of(index)
    deleted = 0
    for source, points in gone.items():
        for at in range(0, len(points), DELETED_AT_ONCE):
            page = binding.of_points(points[at : at + DELETED_AT_ONCE])
            scope = binding.scope(binding.of_source(source), page)
            deleted += (
                binding.store.count(scope) if dry_run else run(delete_steps(scope), binding.store)
            )
    return deleted
