"""What became of the pairs that were gathered, in counts that add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from trivec.training.data.cleaning import CleaningRule, Dropped
from trivec.training.data.mining import FilterRule, Mined
from trivec.training.data.pairs import Gathered, Pair, PairKind
from trivec.training.data.splitting import SplitName

__all__ = ["DatasetReport", "SplitCounts", "reported"]


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """The size of a part.

    Attributes:
        questions: pairs in it.
        documents: that they are about.
        passages: that answer them.
    """

    questions: int
    documents: int
    passages: int


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """What became of the pairs of one ``build_dataset``.

    Each pair is in one of the splits, or was dropped by one rule:
    ``given == sum of the splits' questions + sum of dropped``.

    Attributes:
        given: pairs that were gathered.
        splits: the size of each part.
        dropped: pairs by the rule that dropped them.
        kinds: pairs that are used, by kind.
        origins: pairs that are used, by where they came from.
        passages: of the corpus.
        negatives: of all training pairs.
        short: training pairs with fewer negatives than wanted.
        filtered: passages that were found and are no negatives, by rule.
        notes: what is wrong with the sources.
        about: model, options and version that the files follow from.
    """

    given: int
    splits: Mapping[SplitName, SplitCounts]
    dropped: Mapping[CleaningRule, int]
    kinds: Mapping[PairKind, int]
    origins: Mapping[str, int]
    passages: int
    negatives: int
    short: int
    filtered: Mapping[FilterRule, int]
    notes: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kept(self) -> int:
        """How many pairs are used."""
        return sum(split.questions for split in self.splits.values())

    def to_json(self) -> dict[str, Any]:
        """Return the report in JSON's types."""
        return {**asdict(self), "kept": self.kept}

    def __str__(self) -> str:
        parts = ", ".join(
            f"{split.questions} {name} ({split.documents} documents)"
            for name, split in self.splits.items()
        )
        dropped = ", ".join(f"{count} {rule}" for rule, count in self.dropped.items())
        each = self.negatives / max(self.splits["train"].questions, 1)
        found = f"negatives: {self.negatives}, {each:.1f} for each training question"
        return (
            f"{self.given} pairs: {parts}; dropped: {dropped or 'none'}\n"
            f"{found}; {self.short} questions have fewer than wanted"
        )


def reported(
    gathered: Gathered,
    pairs: Mapping[SplitName, Sequence[Pair]],
    mined: Mapping[str, Mined],
    dropped: Sequence[Dropped],
    about: Mapping[str, Any],
) -> DatasetReport:
    """Return the report of what was written.

    Args:
        gathered: what there was.
        pairs: that are used, by split.
        mined: what was found for training pairs, by their ids.
        dropped: what is not used.
        about: what the files follow from.

    Raises:
        RuntimeError: a pair was lost on the way; this is a defect of trivec.
    """
    used = [pair for split in pairs.values() for pair in split]
    given = len(gathered.pairs)
    if given != len(used) + len(dropped):
        raise RuntimeError(f"{given} pairs became {len(used)} and {len(dropped)} dropped ones")
    filtered: Counter[FilterRule] = Counter()
    trained = [mined[pair.id] for pair in pairs["train"]]
    for found in trained:
        filtered.update(found.filtered)
    wanted = about["options"]["mining"]["count"]
    return DatasetReport(
        given=given,
        splits={name: _counts(split) for name, split in pairs.items()},
        dropped=dict(Counter(one.rule for one in dropped)),
        kinds=dict(Counter(pair.kind for pair in used)),
        origins=dict(Counter(pair.origin for pair in used)),
        passages=len(gathered.passages),
        negatives=sum(len(found.negatives) for found in trained),
        short=sum(len(found.negatives) < wanted for found in trained),
        filtered=dict(filtered),
        notes=tuple(gathered.notes),
        about=dict(about),
    )


def _counts(pairs: Sequence[Pair]) -> SplitCounts:
    return SplitCounts(
        len(pairs),
        len({pair.document for pair in pairs}),
        len({key for pair in pairs for key in pair.positives}),
    )
