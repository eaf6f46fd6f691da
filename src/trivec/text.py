"""Cleaning text, and splitting it into passages that a model reads whole."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivec._runtime.checks import check_least, shown
from trivec._runtime.typed import checked
from trivec.errors import InputError

if TYPE_CHECKING:
    from semantic_text_splitter import MarkdownSplitter, TextSplitter
    from tokenizers import Tokenizer

__all__ = ["Span", "clean", "is_blank", "split", "token_counter"]

SURROGATE = re.compile("[\ud800-\udfff]")
LINE_END = re.compile("\r\n?|[\x0b\x0c\x85]")
CONTROLS = dict.fromkeys({*range(0x20), *range(0x7F, 0xA0)} - {ord("\t"), ord("\n")})
UNCLEAN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""All that ``clean`` changes: most texts have nothing of it."""
HEADING = re.compile(r"#{1,6}[ \t]")
INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
SELECTORS = (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
BLANK = frozenset(
    map(chr, (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *SELECTORS))
)
"""Letters, marks and a sign that are drawn as nothing.

Unicode's Default_Ignorable_Code_Point outside those categories, and the empty braille pattern.
"""

PROBE = 4
"""Characters looked at for every token allowed, before a text is counted whole."""

WINDOW = 16
"""Characters given to the splitter at a time for every token allowed, and at least 4,096."""


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a text: ``text == whole[start:end]``.

    Attributes:
        text: the piece, without white space around it.
        start: where it begins, in characters.
        end: where it ends.
    """

    text: str
    start: int
    end: int


@checked
def clean(text: str) -> str:
    r"""Return a text that every encoding, engine and model takes; its content is unchanged.

    Lone surrogates become U+FFFD (two that form a pair become their character); every kind of line
    end, form feeds included, becomes ``\n``; other control characters but the tab are removed.
    """
    if UNCLEAN.search(text) is None:
        return text
    if SURROGATE.search(text):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return LINE_END.sub("\n", text).translate(CONTROLS)


@checked
def is_blank(text: str) -> bool:
    """Say whether nothing in a text can be seen: white space, control and format characters."""
    return all(
        unicodedata.category(character) in INVISIBLE or character in BLANK for character in text
    )


@checked
def split(
    text: str,
    tokenizer: Tokenizer | Callable[[str], int],
    *,
    max_tokens: int = 256,
    overlap: int = 0,
    markdown: bool = False,
) -> list[Span]:
    """Split a text into pieces of at most ``max_tokens`` tokens, at the best boundary in reach.

    The boundaries are, best first: headings and blocks (``markdown``), empty lines, line ends,
    sentences, words, characters. Sentences end by Unicode's rules: at 。！？ as at ``.!?``, closing
    quotation marks included; a semicolon ends none, in Chinese as in English.

    Args:
        text: what is split.
        tokenizer: the model's, or a function that counts the tokens of a text. Special tokens
            are not counted.
        max_tokens: the most tokens of a piece. A single character that needs more stands alone.
        overlap: the most tokens that a piece repeats of the one before.
        markdown: whether the text is Markdown.

    Returns:
        The pieces in order; none for a blank text.

    Raises:
        InputError: ``max_tokens`` is below 1, or ``overlap`` is negative or not below it.
    """
    check_least("max_tokens", max_tokens, 1)
    if not 0 <= overlap < max_tokens:
        raise InputError(f"overlap={overlap}; it must be 0 or more, and below {max_tokens=}")
    splitter = _Splitter(token_counter(tokenizer), max_tokens, overlap, markdown=markdown)
    readable = SURROGATE.sub("\ufffd", text)  # of the same length, for a library of bytes
    spans = (Span(text[start:end], start, end) for start, end in splitter.pieces(readable))
    return [span for span in spans if not is_blank(span.text)]


class _Splitter:
    """The library's splitter, a window of the text at a time."""

    def __init__(
        self, count: Callable[[str], int], max_tokens: int, overlap: int, *, markdown: bool
    ) -> None:
        self._count = count
        self._max_tokens = max_tokens
        self._markdown = markdown
        self._window = max(4096, max_tokens * WINDOW)
        self._whole = self._library(max_tokens, overlap)

    def _library(self, max_tokens: int, overlap: int) -> MarkdownSplitter | TextSplitter:
        from semantic_text_splitter import MarkdownSplitter, TextSplitter

        # not from_huggingface_tokenizer: it copies the tokenizer, over a second for 250,002 entries
        kind = MarkdownSplitter if self._markdown else TextSplitter
        return kind.from_callback(_bounded(self._count, max_tokens), max_tokens, overlap)

    def pieces(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where every piece begins and ends.

        The library looks at all that remains of a line or block once for every piece, which takes
        minutes for a line of a megabyte. Windows make that time linear; they do not show, since
        the last piece of a window is split again with the next.
        """
        start = 0
        while start < len(text):
            end = min(start + self._window, len(text))
            chunks = self._whole.chunk_indices(text[start:end])
            if end < len(text) and len(chunks) > 1:
                end = start + chunks.pop()[0]
            for offset, piece in chunks:
                first, last = start + offset, start + offset + len(piece)
                longer = self._heading_with_text(text, first, last)
                yield first, longer or last
                if longer is not None:
                    end = longer
                    break
            start = end

    def _heading_with_text(self, text: str, start: int, end: int) -> int | None:
        """Return where a piece should end that is nothing but headings; None where it is well.

        The library leaves a heading alone where the paragraph below is too long for one piece.
        """
        if not self._markdown or not _is_headings(text[start:end]):
            return None
        room = self._max_tokens - self._count(text[start:end]) - 1  # one for the line ends
        below = text[end : end + room * WINDOW]
        if room < self._max_tokens // 2 or below.lstrip().startswith("#"):
            return None
        chunks = self._library(room, 0).chunk_indices(below)
        longer = end + chunks[0][0] + len(chunks[0][1]) if chunks else end
        return longer if end < longer and self._fits(text[start:longer]) else None

    def _fits(self, piece: str) -> bool:
        return self._count(piece) <= self._max_tokens


def _is_headings(piece: str) -> bool:
    lines = [line for line in piece.splitlines() if line.strip()]
    return bool(lines) and all(HEADING.match(line.lstrip()) for line in lines)


@checked
def token_counter(tokenizer: Tokenizer | Callable[[str], int]) -> Callable[[str], int]:
    """Return a function that counts tokens, whatever truncation the tokenizer is set to.

    Raises:
        InputError: it is neither a tokenizer nor a function.
    """
    if callable(tokenizer):
        return tokenizer
    if not callable(getattr(tokenizer, "encode_batch", None)):  # a text has encode() as well
        raise InputError(
            f"tokenizer={shown(tokenizer)}; allowed: a tokenizers.Tokenizer, or a function that "
            "counts the tokens of a text"
        )

    def count(text: str) -> int:
        encoding = tokenizer.encode(text, add_special_tokens=False)
        return sum(sum(part.attention_mask) for part in (encoding, *encoding.overflowing))

    return count


def _bounded(count: Callable[[str], int], max_tokens: int) -> Callable[[str], int]:
    """Return a function that counts only as far as it takes to see that a text is too long."""

    def bounded(text: str) -> int:
        reach = max_tokens * PROBE
        while reach < len(text):
            tokens = count(text[:reach])
            if tokens > max_tokens:
                return tokens
            reach *= 2
        return count(text)

    return bounded
