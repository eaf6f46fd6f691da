"""What stands in the training set and in the sets that judge the model, though it must not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from trivec._runtime.paths import user_path
from trivec._runtime.typed import checked
from trivec.errors import InputError
from trivec.training.data.examples import TrainingExample, read_examples
from trivec.training.data.likeness import near_duplicates, normalised, origin_of

__all__ = ["Leak", "LeakKind", "find_leaks", "require_no_leaks"]

LeakKind: TypeAlias = Literal["question", "passage id", "passage text", "document"]
"""What is in both: nearly the same question or text, the same id, or the same document."""

NAMED = 5
"""Leaks that a message quotes."""


@dataclass(frozen=True, slots=True)
class Leak:
    """Something that is trained on and judged by.

    Attributes:
        kind: what it is.
        split: the file that it is in besides: ``dev`` or ``test``.
        trained: what is trained on: a text, an id or a document.
        judged: what it repeats.
    """

    kind: LeakKind
    split: str
    trained: str
    judged: str

    def __str__(self) -> str:
        same = self.trained if self.trained == self.judged else f"{self.trained} ~ {self.judged}"
        return f"{self.kind} of {self.split}: {same[:160]}"


@checked
def find_leaks(folder: str | Path, *, threshold: float = 0.8) -> list[Leak]:
    """Compare a folder's ``train.jsonl`` with its ``dev.jsonl`` and ``test.jsonl``.

    What answers a question of these must not be trained on, neither as a positive nor as a
    negative, under whatever id. Nor must a question that is nearly one of theirs.

    Args:
        folder: as ``build_dataset`` makes them, or your own files of examples.
        threshold: the share of characters, in runs, from which texts are nearly the same.

    Returns:
        Every leak once.

    Raises:
        InputError: a file cannot be read.
        MissingDependencyError: datasketch is not installed.

    Example:
        >>> find_leaks("training")  # doctest: +SKIP
        []
    """
    place = user_path("folder", folder)
    train = list(read_examples(place / "train.jsonl"))
    leaks: list[Leak] = []
    for split in ("dev", "test"):
        if (place / f"{split}.jsonl").is_file():
            judged = list(read_examples(place / f"{split}.jsonl"))
            leaks += _by_name(train, judged, split)
            leaks += _by_text(train, judged, split, threshold)
    return list(dict.fromkeys(leaks))


def require_no_leaks(folder: str | Path, *, threshold: float = 0.8) -> None:
    """Raise where a folder's training set shares something with what judges the model.

    Raises:
        InputError: names what is shared; see :func:`find_leaks`.
    """
    leaks = find_leaks(folder, threshold=threshold)
    if leaks:
        more = f", and {len(leaks) - NAMED} more" if len(leaks) > NAMED else ""
        raise InputError(
            f"{folder} has {len(leaks)} leaks: what is trained on stands in the sets that judge "
            f"the model, whose figures would flatter it ({'; '.join(map(str, leaks[:NAMED]))}"
            f"{more}). Leave these out of train.jsonl, or let 'trivec dataset' split the documents"
        )


def _by_name(
    train: Sequence[TrainingExample], judged: Sequence[TrainingExample], split: str
) -> Iterable[Leak]:
    ids = {key for example in judged for key in example.pos_ids}
    documents = {example.source for example in judged if example.source}
    for example in train:
        for key in (*example.pos_ids, *example.neg_ids):
            if key in ids:
                yield Leak("passage id", split, key, key)
        if example.source in documents:
            yield Leak("document", split, str(example.source), str(example.source))


def _by_text(
    train: Sequence[TrainingExample],
    judged: Sequence[TrainingExample],
    split: str,
    threshold: float,
) -> Iterable[Leak]:
    asked = [example.query for example in judged]
    passages = _distinct(text for example in judged for text in example.pos)
    yield from _repeated("question", asked, [example.query for example in train], split, threshold)
    trained = _distinct(text for example in train for text in (*example.pos, *example.neg))
    yield from _repeated("passage text", passages, trained, split, threshold)


def _repeated(
    kind: LeakKind, judged: Sequence[str], trained: Sequence[str], split: str, threshold: float
) -> Iterable[Leak]:
    texts = [*judged, *trained]
    repeats = near_duplicates(texts, threshold=threshold, same_numbers=kind == "question")
    for at in range(len(judged), len(texts)):
        origin = origin_of(repeats, at)
        if origin < len(judged):
            yield Leak(kind, split, texts[at], texts[origin])


def _distinct(texts: Iterable[str]) -> list[str]:
    """Return texts without repetitions, which differ in more than case and punctuation."""
    return list({normalised(text): text for text in texts}.values())
