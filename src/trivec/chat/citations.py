"""The numbers that an answer cites passages by, in whatever dress models write them."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass

import regex

__all__ = ["CITATION_AFTER", "Citation", "citations", "cited_numbers", "without_citations"]

LONGEST_RANGE = 100
"""Numbers that ``[1-3]`` may stand for; a longer range is read as its two ends."""

_LABEL = (
    r"(?:passages?|sources?|citations?|cite|documents?|docs?|references?|refs?|context|chunks?|snippets?"
    r"|id|no\.?|nr\.?|textstellen?|quellen?|fuentes?|pasajes?|documentos?|fonti|fontes?|passaggio?"
    r"|источники?|документы?|фрагменты?"
    r"|资料|資料|文档|文檔|文件|文书|文書|来源|來源|出处|出處|引用|引文|参考|參考|段落|片段|文献|文獻"
    r"|引用元|出典|パッセージ|ソース|ドキュメント|자료|출처|문서|단락|구절)"
)
_DASH = r"(?:[-‐‑‒–—−~～〜至到]|to|bis)"
_AND = r"(?:[,，、;；&+/|]|and|or|und|oder|et|y|e|和|与|與|及|或|と|및|와|과)"
_ITEM = rf"(?:{_LABEL}\s{{0,3}}[:：#№._-]?\s{{0,3}})?[#№^]?(?P<first>\d{{1,3}})(?!\d)"
# one number, or a range of two; what stands behind a dagger is where in the passage
_PART = regex.compile(
    rf"\s{{0,3}}{_ITEM}"
    rf"(?:\s{{0,3}}{_DASH}\s{{0,3}}(?:{_LABEL}\s{{0,3}}[:：#№._-]?\s{{0,3}})?[#№^]?(?P<last>\d{{1,3}})(?!\d))?"
    r"\s{0,3}(?:[†‡][^\[\]【】]{0,60})?",
    regex.IGNORECASE,
)
_BETWEEN = regex.compile(
    rf"(?:\s{{0,3}}{_AND}){{1,2}}\s{{0,3}}|(?<=\s)(?=[\d#^])", regex.IGNORECASE
)

_OPENING, _CLOSING = r"\[【［〔〖", r"\]】］〕〗"
_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_PLAIN = str.maketrans(_SUPERSCRIPTS + "０１２３４５６７８９", "0123456789" * 2)

# Superscripts cite behind a word or a full stop, not behind a unit, a formula or a number.
_CANDIDATE = regex.compile(
    rf"""
      \\?[{_OPENING}] (?P<inside> [^{_OPENING}{_CLOSING}\n\\]{{1,300}}+ ) \\?[{_CLOSING}]
    | [(（] \s{{0,3}} (?P<labelled> {_LABEL} [^()（）\[\]\n]{{1,100}}+ ) [)）]
    | <sup> \s{{0,3}} (?P<tagged> [\d,;\s–-]{{1,40}}+ ) </sup>
    | (?<= [.。,，;；:：!?！？)）"”’»」』\p{{Han}}\p{{Hiragana}}\p{{Katakana}}\p{{Hangul}}]
         | \p{{L}}{{4}} )
      (?<! \b(?:inch|feet|foot|yard|mile|acre|metre|meter|sinh|cosh|tanh) )
      (?P<raised> [{_SUPERSCRIPTS}]{{1,3}}
        (?: \s{{0,2}} [,，⁻˒] \s{{0,2}} [{_SUPERSCRIPTS}]{{1,3}} ){{0,8}} )
      (?! [{_SUPERSCRIPTS}⁺⁻\w] )
    """,
    regex.VERBOSE | regex.IGNORECASE,
)
_LIST_OF_RANGE = regex.compile(rf"\s{{0,3}}{_DASH}\s{{0,3}}", regex.IGNORECASE)
_CODE = regex.compile(r"`+")
# what stands before a bracket where it is an index: a name of code, or a single small letter
_INDEXED = regex.compile(
    r"(?:^|[^\w])(?:[a-z]|\w*_\w*|[a-z]+[A-Z]\w*|arr|array|argv|args|lst|list|dict|vec|buf|nums|matrix)$"
)
_USED = regex.compile(r"(?:\.\p{Ll}|\s{0,2}[-+*/]?=|\+\+|--|\()")

CITATION_AFTER = (
    rf"(?:[ \t]{{0,3}}+\\?[{_OPENING}](?:{_LABEL})?[\s\d,，、;；:：|_.\-–—~†^#]{{1,60}}+(?:source)?"
    rf"\\?[{_CLOSING}]"
    rf"|[{_SUPERSCRIPTS}]{{1,3}}+)"
)
"""A pattern of ``regex`` for a citation that stands behind the full stop of its sentence."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A citation in a text: ``text[start:end]``.

    Attributes:
        start: where it begins, in characters.
        end: where it ends.
        numbers: what it cites, in the order written.
    """

    start: int
    end: int
    numbers: tuple[int, ...]


def cited_numbers(answer: str) -> tuple[int, ...]:
    r"""Return the numbers that an answer cites, each once, in the order of first mention.

    ``[1]``, ``[1, 3]``, ``[1 and 2]``, ``[2-4]``, ``[1]-[3]``, ``[Passage 1]``, ``[citation:1]``,
    ``[^1]``, ``【1†source】``, ``［1］``, ``〔1〕``, ``\[1\]``, ``(Source 2)`` and superscripts
    cite. Years, what stands behind a name in code, a link's text and a footnote's definition do
    not.
    """
    return tuple(
        dict.fromkeys(number for citation in citations(answer) for number in citation.numbers)
    )


def without_citations(text: str) -> str:
    """Return a text without its citations."""
    pieces, start = [], 0
    for citation in citations(text):
        pieces.append(text[start : citation.start])
        start = citation.end
    return "".join([*pieces, text[start:]])


def citations(text: str) -> list[Citation]:
    """Return the citations of a text in their order, in time linear in its length.

    Of ``[1]-[3]`` the second one holds the numbers between, too.
    """
    joined: list[Citation] = []
    for citation in _citations(text):
        if joined and _joins(text, joined[-1], citation):
            first, last = joined[-1].numbers[-1], citation.numbers[0]
            citation = Citation(citation.start, citation.end, _range(first, last))  # noqa: PLW2901
        joined.append(citation)
    return joined


def _citations(text: str) -> Iterator[Citation]:
    code = [match.start() for match in _CODE.finditer(text)] if "`" in text else []
    for match in _CANDIDATE.finditer(text):
        start, end = match.span()
        inside = match["inside"]
        if inside is not None and _is_something_else(
            text, start, end, in_code=bool(bisect(code, start) % 2)
        ):
            continue
        numbers = _numbers(str(inside or match["labelled"] or match["tagged"] or match["raised"]))
        if numbers:
            yield Citation(start, end, numbers)


def _numbers(inside: str) -> tuple[int, ...]:
    """Return the numbers in brackets; none where anything else stands there."""
    inside = inside.translate(_PLAIN)
    numbers: list[int] = []
    at = 0
    while (part := _PART.match(inside, at)) is not None:
        first, last = int(part["first"]), int(part["last"] or part["first"])
        numbers += _range(first, last)
        at = part.end()
        if at == len(inside):
            return tuple(numbers)
        between = _BETWEEN.match(inside, at)
        if between is None:
            return ()
        at = between.end()
    return ()


def _range(first: int, last: int) -> tuple[int, ...]:
    if first == last:
        return (first,)
    return tuple(range(first, last + 1)) if first < last < first + LONGEST_RANGE else (first, last)


def _joins(text: str, before: Citation, after: Citation) -> bool:
    """Say whether two citations are the ends of a range: ``[1]-[3]``."""
    gap = text[before.end : after.start] if after.start - before.end <= 8 else "."
    if not _LIST_OF_RANGE.fullmatch(gap):
        return False
    return len(before.numbers) == len(after.numbers) == 1 and before.numbers < after.numbers


def _is_something_else(text: str, start: int, end: int, *, in_code: bool) -> bool:
    """Say whether brackets are a link's, a footnote's definition or an index in code."""
    if text[start] != "[":
        return False
    before, after = text[max(0, start - 40) : start], text[end : end + 4]
    if after[:1] in ("(", "]") and (after[:1] == "(" or text[end + 1 : end + 2] == "("):
        return True
    line = before.rpartition("\n")[2]
    if after[:1] in (":", "：") and not line.strip() and len(line) < 40:
        return True
    name = before[-1:]
    if not name.isascii() or not (name.isalnum() or name in "_)"):
        return False
    if name == ")":
        return in_code
    is_zero = text[start + 1 : end - 1].strip() == "0"
    return in_code or is_zero or bool(_INDEXED.search(before)) or bool(_USED.match(after))
