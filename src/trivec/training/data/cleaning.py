"""Which pairs are not worth training on, and by which rule; nothing is dropped without a line."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, TypeAlias, get_args

import regex

from trivec._runtime.checks import check_least, check_number
from trivec._runtime.typed import check_fields
from trivec.chat.languages import language_of
from trivec.errors import InputError
from trivec.text import is_blank
from trivec.training.data.likeness import near_duplicates, normalised, origin_of, shingles
from trivec.training.data.pairs import Corpus, Pair

__all__ = ["CleaningOptions", "CleaningRule", "Dropped", "cleaned"]

CleaningRule: TypeAlias = Literal[
    "blank",
    "unknown passage",
    "rejected",
    "duplicate",
    "near duplicate",
    "too short",
    "too long",
    "other language",
    "copied",
    "held out",
    "unanswerable",
    "too few negatives",
]
"""Why a pair is not trained on; see :class:`CleaningOptions`."""

ALWAYS = ("blank", "unknown passage")
"""Rules without which there is no example."""

LONGER = 4
"""Characters that a shingle has more where copying is looked for: chance shares none of them."""

READ = 500
"""Letters that a text's script is told by."""

_UNITS = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}]|[^\W_]+")
_SPOKEN = {"zh", "ja", "ko"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CleaningOptions:
    """Which pairs are dropped.

    Every rule but ``blank`` and ``unknown passage`` can be switched off:

    - ``blank``: nothing can be seen of the question.
    - ``unknown passage``: no passage of it is in the corpus.
    - ``rejected``: users said of all its passages that they do not answer it.
    - ``duplicate``: an earlier pair has the same question; that one gets its passages as well.
    - ``near duplicate``: an earlier pair has nearly the same question, with the same numbers. Its
      passages become nobody's negatives for that question.
    - ``too short``, ``too long``: in words; a Chinese or Japanese character is one.
    - ``other language``: than its passage's, as far as the script tells; a generator that slips
      does that. Switch it off for questions in one language about passages in another.
    - ``copied``: the question stands in its passage nearly word for word.
    - ``held out``: it, or its passage, is nearly one of the development or test set.
    - ``unanswerable``: its passage does not come back within ``within_rank``. Of training pairs
      alone: a test set without its hard questions would flatter every model.
    - ``too few negatives``: it has fewer than ``MiningOptions.least`` negatives.

    Attributes:
        without: the rules that are switched off.
        threshold: the share of characters, in runs, from which two texts are near duplicates.
        shortest: the fewest words of a question.
        longest: the most words of a question.
        copied: the share of a question's runs of characters that stand in its passage from which
            it is copied.
        within_rank: where the passage must come back; None is the 100th place, or in a small
            corpus the tenth part of it, though never above the tenth place.

    Raises:
        InputError: a value that cannot be used.
    """

    without: tuple[CleaningRule, ...] = ()
    threshold: float = 0.8
    shortest: int = 3
    longest: int = 64
    copied: float = 0.9
    within_rank: int | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if always := [rule for rule in self.without if rule in ALWAYS]:
            raise InputError(
                f"without={always}; such pairs cannot be trained on; allowed: "
                f"{', '.join(rule for rule in get_args(CleaningRule) if rule not in ALWAYS)}"
            )
        check_number("threshold", self.threshold, above=0, most=1)
        check_number("copied", self.copied, above=0, most=1)
        check_least("shortest", self.shortest, 1)
        check_least("longest", self.longest, self.shortest)
        check_least("within_rank", self.within_rank, 1, or_none=True)

    def has(self, rule: CleaningRule) -> bool:
        """Say whether a rule is switched on."""
        return rule not in self.without

    def rank_of(self, passages: int) -> int:
        """Return within which rank a passage must come back, in a corpus of so many."""
        return self.within_rank or min(100, max(10, passages // 10))


@dataclass(frozen=True, slots=True)
class Dropped:
    """A pair that is not trained on.

    Attributes:
        pair: the pair.
        rule: by which rule.
        why: what was found, in words.
    """

    pair: Pair
    rule: CleaningRule
    why: str = ""


def cleaned(
    pairs: Sequence[Pair], corpus: Corpus, options: CleaningOptions
) -> tuple[list[Pair], list[Dropped]]:
    """Return the pairs that are kept, and those that are not: together as many as were given.

    Args:
        pairs: as they were gathered.
        corpus: the passages.
        options: the rules.

    Raises:
        MissingDependencyError: datasketch is not installed.
    """
    dropped: list[Dropped] = []
    kept = list(_usable(pairs, corpus, options, dropped))
    kept = _distinct(_not_rejected(kept, pairs, options, dropped), options, dropped)
    for rule, broken in _RULES.items():
        if options.has(rule):
            told = [(pair, broken(pair, corpus, options)) for pair in kept]
            dropped += [Dropped(pair, rule, why) for pair, why in told if why]
            kept = [pair for pair, why in told if not why]
    return kept, dropped


def _usable(
    pairs: Iterable[Pair], corpus: Corpus, options: CleaningOptions, dropped: list[Dropped]
) -> Iterator[Pair]:
    """Yield the pairs with a question and a passage, without passages that are not there."""
    for pair in pairs:
        known = tuple(dict.fromkeys(key for key in pair.positives if key in corpus))
        if is_blank(pair.question):
            dropped.append(Dropped(pair, "blank"))
        elif not known and (options.has("rejected") and pair.rejected and not pair.positives):
            dropped.append(Dropped(pair, "rejected", f"{len(pair.rejected)} bad verdicts"))
        elif not known:
            missing = ", ".join(pair.positives[:3]) or "it names none"
            dropped.append(Dropped(pair, "unknown passage", missing))
        else:
            document = pair.document or corpus[known[0]].document
            yield replace(pair, positives=known, document=document)


def _distinct(
    pairs: Sequence[Pair], options: CleaningOptions, dropped: list[Dropped]
) -> list[Pair]:
    """Return the pairs with different questions; each knows the passages of those it repeats."""
    if not options.has("duplicate") and not options.has("near duplicate"):
        return list(pairs)
    threshold = options.threshold if options.has("near duplicate") else 1.0
    questions = [pair.question for pair in pairs]
    repeats = near_duplicates(questions, threshold=threshold, same_numbers=True)
    kept: dict[int, Pair] = {}
    plain = {at: normalised(questions[at]) for pair in repeats.items() for at in pair}
    for at, pair in enumerate(pairs):
        if at not in repeats:
            kept[at] = pair
            continue
        first = origin_of(repeats, at)
        same = plain[at] == plain[repeats[at]]
        if same and not options.has("duplicate"):
            kept[at] = pair
            continue
        earlier = kept[first]
        positives, apart = earlier.positives, earlier.apart
        if same and first == repeats[at]:
            positives = tuple(dict.fromkeys((*positives, *pair.positives)))
        else:
            apart = (*apart, *pair.positives)
        kept[first] = replace(earlier, positives=positives, apart=apart)
        rule: CleaningRule = "duplicate" if same else "near duplicate"
        dropped.append(Dropped(pair, rule, f"of {earlier.id}: {earlier.question}"))
    return list(kept.values())


def _not_rejected(
    pairs: Sequence[Pair], given: Iterable[Pair], options: CleaningOptions, dropped: list[Dropped]
) -> list[Pair]:
    """Return the pairs without passages that a user found bad for the same question.

    Args:
        pairs: those that can be used.
        given: all of them: a user may have found nothing but bad passages.
        options: whether verdicts count.
        dropped: gets the pairs of which no passage is left.
    """
    if not options.has("rejected"):
        return list(pairs)
    bad: dict[str, dict[str, None]] = {}
    for pair in given:
        if pair.rejected:
            bad.setdefault(normalised(pair.question), {}).update(dict.fromkeys(pair.rejected))
    kept = []
    for pair in pairs:
        rejected = bad.get(normalised(pair.question), {}) if bad else {}
        good = tuple(key for key in pair.positives if key not in rejected)
        if good:
            kept.append(replace(pair, positives=good, rejected=tuple(rejected)))
        else:
            dropped.append(Dropped(pair, "rejected", "a user found the passage bad"))
    return kept


Broken: TypeAlias = Callable[[Pair, Corpus, CleaningOptions], str]


def _words(text: str) -> int:
    return len(_UNITS.findall(text))


def _too_short(pair: Pair, _corpus: Corpus, options: CleaningOptions) -> str:
    words = _words(pair.question)
    return f"{words} words" if words < options.shortest else ""


def _too_long(pair: Pair, _corpus: Corpus, options: CleaningOptions) -> str:
    words = _words(pair.question)
    return f"{words} words" if words > options.longest else ""


def _other_language(pair: Pair, corpus: Corpus, _options: CleaningOptions) -> str:
    """Say what question and passages are written in, where that differs."""
    asked = _written_in(pair.question)
    for key in pair.positives:
        answered = _written_in(corpus[key].text)
        if not (asked and answered) or asked == answered:
            return ""
    return f"asked in {asked}, answered in {answered}"


def _written_in(text: str) -> str:
    """Return the language of Chinese, Japanese and Korean, and else the script of most letters.

    Languages of one script are not told apart: the words of a field make English look like
    another language, and its questions are the last ones to be dropped.
    """
    language = language_of(text)
    if language in _SPOKEN:
        return language
    letters = islice(filter(str.isalpha, text), READ)
    scripts = Counter(unicodedata.name(letter, "").partition(" ")[0] for letter in letters)
    return scripts.most_common(1)[0][0].lower() if scripts else ""


def _copied(pair: Pair, corpus: Corpus, options: CleaningOptions) -> str:
    asked = set(shingles(normalised(pair.question), longer=LONGER).tolist())
    for key in pair.positives:
        told = shingles(normalised(corpus[key].text), longer=LONGER)
        share = len(asked.intersection(told.tolist())) / max(len(asked), 1)
        if share >= options.copied:
            return f"{100 * share:.0f} % stands in {key}"
    return ""


_RULES: Mapping[CleaningRule, Broken] = {
    "too short": _too_short,
    "too long": _too_long,
    "other language": _other_language,
    "copied": _copied,
}
