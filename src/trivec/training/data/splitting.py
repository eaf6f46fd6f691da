"""Which documents are trained on, and which are kept for choosing and for judging."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Literal, TypeAlias, get_args

from trivec._runtime.checks import check_least, check_number
from trivec._runtime.typed import check_fields
from trivec.errors import InputError
from trivec.training.data.cleaning import CleaningOptions, Dropped
from trivec.training.data.likeness import Signatures, near_duplicates, origin_of
from trivec.training.data.pairs import Corpus, Pair

__all__ = ["Separated", "SplitName", "SplitOptions", "separated", "splits_of"]

SplitName: TypeAlias = Literal["train", "dev", "test"]
"""What a document is for: training, choosing between models, or judging the chosen one."""

_STRICTEST: tuple[SplitName, ...] = ("test", "dev", "train")


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitOptions:
    """How documents are divided; all questions of a document stay together.

    Attributes:
        dev: the share of documents to choose between models by.
        test: the share of documents to judge the chosen one by.
        seed: another one divides otherwise.

    Raises:
        InputError: shares below 0, or nothing left to train on.
    """

    dev: float = 0.1
    test: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        check_number("dev", self.dev, least=0, below=1)
        check_number("test", self.test, least=0, below=1)
        check_least("seed", self.seed, 0)
        if self.dev + self.test >= 1:
            raise InputError(
                f"dev={self.dev} and test={self.test} leave nothing to train on; together they "
                "must be below 1"
            )


def splits_of(documents: Iterable[str], options: SplitOptions) -> dict[str, SplitName]:
    """Return what each document is for, the same whatever order they come in.

    Raises:
        InputError: there are fewer documents than there are parts.
    """
    distinct = sorted(
        set(documents),
        key=lambda name: sha256(
            f"{options.seed}\0{name}".encode("utf-8", "surrogatepass")
        ).digest(),
    )
    shares: dict[SplitName, float] = {"test": options.test, "dev": options.dev}
    wanted = {name: max(1, round(share * len(distinct))) for name, share in shares.items() if share}
    if sum(wanted.values()) >= len(distinct):
        raise InputError(
            f"the questions are about {len(distinct)} documents, too few for dev={options.dev}, "
            f"test={options.test} and something to train on; add documents, or set a share to 0"
        )
    splits: dict[str, SplitName] = dict.fromkeys(distinct, "train")
    place = 0
    for name, count in wanted.items():
        splits |= dict.fromkeys(distinct[place : place + count], name)
        place += count
    return splits


@dataclass(frozen=True, slots=True)
class Separated:
    """Pairs by what they are for; nothing of one part stands in another.

    Attributes:
        pairs: by split.
        pool: keys of the passages that negatives may be taken from: of training documents, and
            unlike every passage that answers a question of the other parts.
        dropped: pairs that stand in a stricter part, too.
    """

    pairs: Mapping[SplitName, Sequence[Pair]]
    pool: frozenset[str]
    dropped: Sequence[Dropped] = field(default=())


def separated(
    pairs: Sequence[Pair],
    corpus: Corpus,
    splits: Mapping[str, SplitName],
    signatures: Signatures,
    options: CleaningOptions,
) -> Separated:
    """Part pairs by their documents, and take from each part what stands in a stricter one.

    The test set is the strictest, then come the development set and the training set. A passage
    that answers a question of the test set may stand in other documents, too, word for word or
    nearly. It is no positive and no negative of other parts, and so is a question like one of it.

    Args:
        pairs: cleaned.
        corpus: every passage.
        splits: what each document is for; those without questions are for training.
        signatures: of the passages, in the corpus's order.
        options: whether anything is held out, and what is nearly the same.
    """
    by_split: dict[SplitName, list[Pair]] = {name: [] for name in get_args(SplitName)}
    for pair in pairs:
        by_split[splits[pair.document]].append(pair)
    of_document = {key: splits.get(one.document, "train") for key, one in corpus.items()}
    if not options.has("held out"):
        pool = frozenset(key for key, split in of_document.items() if split == "train")
        return Separated(by_split, pool)
    held = _held_out(by_split, corpus, signatures, options.threshold)
    asked = _asked_before(by_split, options.threshold)
    kept: dict[SplitName, list[Pair]] = {"test": by_split["test"]}
    dropped: list[Dropped] = []
    for at, split in enumerate(_STRICTEST[1:], start=1):
        stricter = set(_STRICTEST[:at])
        kept[split] = []
        for pair in by_split[split]:
            theirs = {key for key in pair.positives if {held.get(key), of_document[key]} & stricter}
            left = tuple(key for key in pair.positives if key not in theirs)
            if asked.get(pair.id) in stricter:
                why = f"nearly the same is asked in {asked[pair.id]}"
                dropped.append(Dropped(pair, "held out", why))
            elif not left:
                why = f"its passage answers a question of another part: {', '.join(sorted(theirs))}"
                dropped.append(Dropped(pair, "held out", why))
            else:
                kept[split].append(replace(pair, positives=left))
    pool = frozenset(
        key for key, split in of_document.items() if split == "train" and key not in held
    )
    return Separated(kept, pool, dropped)


def _held_out(
    by_split: Mapping[SplitName, Sequence[Pair]],
    corpus: Corpus,
    signatures: Signatures,
    threshold: float,
) -> dict[str, SplitName]:
    """Return the passages that answer, or nearly are what answers, a question not trained on."""
    held: dict[str, SplitName] = {}
    for split in _STRICTEST[:2]:
        for pair in by_split[split]:
            for key in pair.positives:
                held.setdefault(key, split)
    if not held:
        return held
    place = {key: at for at, key in enumerate(corpus)}
    keys = [*held, *(key for key in corpus if key not in held)]
    repeats = near_duplicates(
        [corpus[key].text for key in keys],
        threshold=threshold,
        signatures=signatures[[place[key] for key in keys]],
    )
    first = len(held)
    for at, key in enumerate(keys):
        origin = origin_of(repeats, at)
        if origin < first:  # the strictest part stands first
            held[key] = held[keys[origin]]
    return held


def _asked_before(
    by_split: Mapping[SplitName, Sequence[Pair]], threshold: float
) -> dict[str, SplitName]:
    """Return, by a pair's id, the strictest part that asks nearly the same."""
    ordered = [(split, pair) for split in _STRICTEST for pair in by_split[split]]
    questions = [pair.question for _, pair in ordered]
    repeats = near_duplicates(questions, threshold=threshold, same_numbers=True)
    return {ordered[at][1].id: ordered[origin_of(repeats, at)][0] for at in repeats}
