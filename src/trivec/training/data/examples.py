"""One example to train on, and FlagEmbedding's files of them: a JSON object on each line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from trivec._runtime.checks import shown
from trivec._runtime.paths import user_path
from trivec._runtime.typed import check_fields, checked
from trivec.errors import InputError
from trivec.text import is_blank
from trivec.training.data.writing import written_whole

__all__ = ["TrainingExample", "read_examples", "write_examples"]

LISTS = ("pos", "neg", "pos_scores", "neg_scores", "pos_ids", "neg_ids")
TEXTS = ("query", "prompt", "source", "id")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingExample:
    """A query, passages that answer it, and passages that only look as if they did.

    Attributes:
        query: what is asked.
        pos: passages that answer it; at least one.
        neg: passages that do not.
        pos_scores: a score of each of ``pos``, as whoever mined them gave it; empty where none are
            known. Trainers distil from them.
        neg_scores: the same of ``neg``.
        pos_ids: the id of each of ``pos``; empty where they have none.
        neg_ids: the id of each of ``neg``.
        prompt: an instruction that this query is encoded with, instead of the trainer's.
        source: the document of the first of ``pos``; splits keep its examples together.
        id: of the example.

    Raises:
        InputError: a blank query or passage, no positive, another number of scores or ids than of
            passages, or scores of one side alone.
    """

    query: str
    pos: tuple[str, ...]
    neg: tuple[str, ...] = ()
    pos_scores: tuple[float, ...] = ()
    neg_scores: tuple[float, ...] = ()
    pos_ids: tuple[str, ...] = ()
    neg_ids: tuple[str, ...] = ()
    prompt: str | None = None
    source: str | None = None
    id: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        for name in LISTS:
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if is_blank(self.query):
            raise InputError(f"query={shown(self.query)} is blank; leave this example out")
        if not self.pos:
            raise InputError(f"the query {shown(self.query)} has no pos; give a passage for it")
        for name in ("pos", "neg"):
            self._check(name)
        if self.neg and bool(self.pos_scores) != bool(self.neg_scores):
            raise InputError(
                f"{shown(self.query)} has scores of {'pos' if self.pos_scores else 'neg'} alone; "
                "give both, or none"
            )

    def _check(self, name: str) -> None:
        """Refuse blank passages, and lists beside them that are not as long."""
        passages = getattr(self, name)
        if any(map(is_blank, passages)):
            raise InputError(f"{name} of {shown(self.query)} holds a blank passage; leave it out")
        for beside in (f"{name}_scores", f"{name}_ids"):
            given = len(getattr(self, beside))
            if given not in {0, len(passages)}:
                raise InputError(
                    f"{shown(self.query)} has {len(passages)} {name} and {given} {beside}; "
                    "give one for each, or none"
                )

    def to_line(self) -> bytes:
        """Return its line of a file, without the line end; what is not known is left out.

        Raises:
            InputError: a text holds lone surrogates; ``trivec.text.clean`` mends it.
        """
        known = {name: getattr(self, name) for name in ("query", "pos", "neg")}
        if self.pos_scores:  # a trainer that distils wants a list of both
            known |= {"pos_scores": self.pos_scores, "neg_scores": self.neg_scores}
        for name in ("pos_ids", "neg_ids", *TEXTS[1:]):
            if getattr(self, name) not in {None, ()}:
                known[name] = getattr(self, name)
        try:
            return orjson.dumps(known)
        except TypeError as err:  # lone surrogates are no UTF-8
            raise InputError(
                f"the example of {shown(self.query)} cannot be written: {err}; "
                "trivec.text.clean() mends texts"
            ) from err

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> TrainingExample:
        """Return the example of a line's object; what trivec has no use for is left out.

        Raises:
            InputError: something in it cannot be used.
        """
        if missing := sorted({"query", "pos"} - record.keys()):
            raise InputError(f"an example has no {' and no '.join(missing)}; each needs both")
        known = {name: record[name] for name in TEXTS if name in record}
        # a table, as some tools write it, has None where nothing is known
        known |= {name: record[name] for name in LISTS if record.get(name) is not None}
        return cls(**known)


@checked
def read_examples(path: str | Path) -> Iterator[TrainingExample]:
    """Yield the examples of a file, one after another: memory does not grow with it.

    Args:
        path: a file with a JSON object on each line, as FlagEmbedding's trainers take it.

    Raises:
        InputError: there is no such file, or a line is not an example; the message has its number.

    Example:
        >>> examples = list(read_examples("training/train.jsonl"))  # doctest: +SKIP
    """
    place = user_path("path", path)
    try:
        with place.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _example_of(line, f"{place}, line {number}")
    except OSError as err:
        raise InputError(
            f"{place} cannot be read ({err.strerror}); 'trivec dataset' makes such files"
        ) from err


def _example_of(line: bytes, where: str) -> TrainingExample:
    try:
        record = orjson.loads(line)
    except ValueError as err:
        raise InputError(f"{where}, is not JSON: {err}") from err
    if not isinstance(record, dict):
        raise InputError(f"{where}, is not an object; wanted: {{'query': ..., 'pos': [...]}}")
    try:
        return TrainingExample.from_record(record)
    except InputError as err:
        raise InputError(f"{where}: {err}") from err


@checked
def write_examples(path: str | Path, examples: Iterable[TrainingExample]) -> int:
    """Write examples into a file that FlagEmbedding's trainers take; it is whole or not there.

    They read the file as a table: all examples must know the same things. One with scores beside
    one without would fail in the middle of a run.

    Args:
        path: the file; one that is there is replaced.
        examples: one after another; they are not kept.

    Returns:
        How many there were.

    Raises:
        InputError: an example knows other things than the first, or a text is not Unicode.

    Example:
        >>> example = TrainingExample(query="which fruit is sour?", pos=("Lemons are sour.",))
        >>> write_examples("train.jsonl", [example])  # doctest: +SKIP
        1
    """
    first: TrainingExample | None = None
    count = 0
    with written_whole(user_path("path", path)) as file:
        for example in examples:
            first = first or example
            for name in ("pos_scores", "prompt"):
                if bool(getattr(example, name)) != bool(getattr(first, name)):
                    raise InputError(
                        f"the example of {shown(example.query)} and the first one differ in having "
                        f"{name}; trainers read a table: give it to all or none, or write two files"
                    )
            file.write(example.to_line() + b"\n")
            count += 1
    return count
