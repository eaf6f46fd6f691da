"""Which passages a model is given: as many whole sentences as a budget of tokens holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import regex

from trivec._runtime.checks import check_least
from trivec._runtime.typed import checked
from trivec.chat.citations import CITATION_AFTER
from trivec.chat.prompts import passage_block
from trivec.errors import InputError
from trivec.protocols import Encoder
from trivec.text import Span, is_blank, split, token_counter

__all__ = ["Packed", "TokenCounter", "counter_of", "estimated_tokens", "pack", "sentences"]

TokenCounter: TypeAlias = Callable[[str], int]
"""Returns how many tokens a text has."""

_CJK = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}"
_CLOSING = r"[\"'”’»」』）)\]】》〉*_]*"
_ABBREVIATIONS = (
    r"(?<!\b(?:Mr|Mrs|Ms|Dr|Prof|Sr|Jr|St|vs|No|Nos|Fig|Figs|Eq|Vol|pp|cf|approx|ca|al|Inc|Ltd|Co|Corp"
    r"|Gen|Col|Sgt|Rev|Hon|e\.g|i\.e|Art|Sec|Ch|[A-Z]))"
)
# Where a sentence ends: a full stop of its script with what closes it and the citations after it,
# or a line end that is not a mere wrapping of the line.
_END = regex.compile(
    rf"""
    (?: [。！？｡]+ {_CLOSING} {CITATION_AFTER}*+ [^\S\n]*
      | (?: (?<![!?…]) [!?…]++ | {_ABBREVIATIONS} (?<!\.) \.++ (?!\d) )
        {_CLOSING} {CITATION_AFTER}*+
        (?: [^\S\n]+ (?!\p{{Ll}}) | (?=[{_CJK}\n]) | \Z )
      | \n+ (?: [^\S\n]* \n+ | (?!\p{{Ll}}) )
    )
    """,
    regex.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Packed:
    """A passage as the model reads it.

    Attributes:
        position: where it stood in what was found, from 0.
        text: its text, or as many of its first sentences as there was room for.
        tokens: how many tokens it takes in the prompt, its delimiters included.
        cut: True where the end is missing.
    """

    position: int
    text: str
    tokens: int
    cut: bool = False


def sentences(text: str) -> list[Span]:
    """Split a text into its sentences, in any mixture of Chinese and European text.

    A sentence ends at 。！？ and at ``.!?`` before white space, with the closing quotation marks
    and the citations (``[1]``) that follow, and at a line end unless the next line goes on in lower
    case. Initials, usual abbreviations and decimal points end none. Where in doubt it does not
    split.

    Returns:
        The sentences in order, without white space around them; none for a blank text.
    """
    return [span for span in _spans(text) if not is_blank(span.text)]


def _spans(text: str) -> Iterator[Span]:
    start = 0
    for end in [*(match.end() for match in _END.finditer(text)), len(text)]:
        piece = text[start:end]
        first = start + len(piece) - len(piece.lstrip())
        stripped = piece.strip()
        yield Span(stripped, first, first + len(stripped))
        start = end


def pack(
    texts: Sequence[str], *, max_tokens: int, count: TokenCounter, most: int | None = None
) -> tuple[Packed, ...]:
    """Choose what a model is given of the texts that were found, best first.

    Texts are taken whole in their order until one does not fit; of that one the first sentences
    that fit are taken, and it is the last. A text of which not even a sentence fits is passed over.
    A text that was taken already is not taken twice. Only a best text whose first sentence is
    longer than the whole budget is cut within a sentence, at a word.

    Args:
        texts: what was found, best first.
        max_tokens: the budget for all of them with their numbered delimiters.
        count: counts the tokens of a text.
        most: at most so many passages; None sets no limit.

    Raises:
        InputError: a budget or number below 1.
    """
    check_least("max_tokens", max_tokens, 1)
    check_least("most", most, 1, or_none=True)
    packed: list[Packed] = []
    seen: set[str] = set()
    room = max_tokens
    for position, text in enumerate(texts):
        if len(packed) == most or (packed and packed[-1].cut):
            break
        if is_blank(text) or text in seen:
            continue
        seen.add(text)
        taken = _fitting(text, position, len(packed) + 1, room, count)
        if taken is not None:
            packed.append(taken)
            room -= taken.tokens
    if not packed and seen:
        return _forced(next(text for text in texts if text in seen), texts, max_tokens, count)
    return tuple(packed)


def _fitting(
    text: str, position: int, number: int, room: int, count: TokenCounter
) -> Packed | None:
    """Return as much of a text as there is room for, in whole sentences."""

    def tokens(end: int) -> int:
        return count(passage_block(text[:end], number))

    if (whole := tokens(len(text))) <= room:
        return Packed(position, text, whole)
    ends = [span.end for span in sentences(text)][:-1]
    low, high = 0, len(ends)  # how many sentences fit: a longer beginning has no fewer tokens
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if tokens(ends[middle - 1]) <= room else (low, middle - 1)
    if not low:
        return None
    end = ends[low - 1]
    return Packed(position, text[:end], tokens(end), cut=True)


def _forced(
    text: str, texts: Sequence[str], max_tokens: int, count: TokenCounter
) -> tuple[Packed, ...]:
    """Return the beginning of a text whose first sentence is longer than the budget."""
    room = max_tokens - count(passage_block("", 1))
    if room < 1:
        raise InputError(f"max_tokens={max_tokens} is less than a passage's delimiters take")
    beginning = split(text, count, max_tokens=room)[0].text
    tokens = count(passage_block(beginning, 1))
    return (Packed(texts.index(text), beginning, tokens, cut=True),)


def counter_of(encoder: Encoder | None) -> TokenCounter:
    """Return a counter by the encoder's own tokenizer, or :func:`estimated_tokens` without one.

    Language models have other tokenizers; BGE-M3's counts are near to theirs in Chinese and
    English alike. Give your own where the budget must be exact.
    """
    tokenizer: Any = getattr(getattr(encoder, "encoder", encoder), "tokenizer", None)  # of a memo
    return estimated_tokens if tokenizer is None else token_counter(tokenizer)


@checked
def estimated_tokens(text: str) -> int:
    """Estimate tokens without a tokenizer: one for each Chinese, Japanese or Korean character,
    one for every four others.
    """  # noqa: D205
    dense = len(_DENSE.findall(text))
    return dense + math.ceil((len(text) - dense) / 4)


_DENSE = regex.compile(rf"[{_CJK}]")
