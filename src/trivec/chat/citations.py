"""The numbers that an answer cites passages by, in whatever dress models write them."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass

import regex

__all__ = ["CITATION_AFTER", "Citation", "citations", "cited_numbers", "without_citations"]

LONGEST_RANGE = 100
"""Numbers that ``[1-3]`` may stand for; a longer range is read as its two ends."""

# what passages are called, in the languages that models answer in
_LABEL = (
    r"(?:passages?|psg|sources?|citations?|cite|documents?|docs?|references?|refs?|chunks?|snippets?"
    r"|excerpts?|extracts?|evidence|results?|texts?|textstellen?|quellen?|abschnitte?|passagen"
    r"|extraits?|fuentes?|pasajes?|documentos?|fragmentos?|fonti|fontes?|passaggio?|documenti"
    r"|trechos?|passagens?|bron(?:nen)?|källor|källa|kilde|źródło|źródła|zdroj|kaynak|belge|lähde"
    r"|đoạn(?: văn)?|nguồn|tài liệu|sumber|dokumen|πηγή|απόσπασμα"
    r"|источники?|документы?|фрагменты?|отрывок|отрывки|пасс?аж|джерело|уривок"
    r"|(?:ال)?(?:مقطع|مصدر|مستند|وثيقة|نص)|منبع|سند|מקור|קטע|מסמך"
    r"|स्रोत|अंश|दस्तावेज़|गद्यांश|แหล่งที่มา|ที่มา|เอกสาร|ข้อความ"
    r"|资料|資料|材料|文档|文檔|文件|文书|文書|文段|来源|來源|出处|出處|引用|引文|参考|參考|段落|片段"
    r"|文献|文獻|证据|證據|参考资料|參考資料|检索结果|搜索结果"
    r"|引用元|出典|抜粋|パッセージ|ソース|ドキュメント|자료|출처|문서|단락|구절|지문|발췌|참고)"
)
# the same where brackets cannot mean anything else
_IN_BRACKETS = rf"(?:{_LABEL}|context|id|no\.?|nr\.?|number|[ps](?=\d))"
_SEE = (
    r"(?:see(?:\s+also)?|cf\.?|from|per|based\s+on|according\s+to|supported\s+by|siehe|vgl\.?|voir"
    r"|véase|ver|vedi|см\.?|参见|參見|参照|参考|見|见|根据|根據|引自|来自|來自)"
)
_BEHIND = r"(?:を?参照|より|による|참조|참고)"
_DASH = r"(?:[-‐‑‒–—−~～〜至到]|to|through|bis)"
_AND = r"(?:[,，、،;；&+/|]|and|or|und|oder|et|y|e|ve|و|和|与|與|及|或|と|및|와|과)"
_NAMED = rf"(?:{_IN_BRACKETS}\s{{0,3}}[:：#№._-]?\s{{0,3}}){{0,2}}[#№^]?"
# where in the passage it stands, or what the passage is called: what is behind the number
_DETAIL = (
    r"(?:(?::\d{1,3})?\s{0,3}[†‡][^\[\]【】]{0,60}"
    r"|,\s{0,3}(?:pp?\.|page|seite|s\.|l\.|lines?)\s{0,3}\d{1,5}(?:\s?[-–]\s?\d{1,5})?"
    r"|\s{0,3}(?:[:：|]|(?<=\s)[-–—](?=\s))\s{0,3}\p{L}[^\[\]【】|;；]{2,60})?"
)
# one number, or a range of two
_PART = regex.compile(
    rf"\s{{0,3}}(?:{_SEE}\s{{0,3}}[:：]?\s{{0,3}})?{_NAMED}(?P<first>\d{{1,3}})(?!\d)"
    rf"(?:\s{{0,3}}{_DASH}\s{{0,3}}{_NAMED}(?P<last>\d{{1,3}})(?!\d))?"
    rf"\^?{_DETAIL}\s{{0,3}}{_BEHIND}?[\s.。]{{0,3}}",
    regex.IGNORECASE,
)
_BETWEEN = regex.compile(
    rf"(?:\s{{0,3}}{_AND}){{1,2}}\s{{0,3}}|(?<=\s)(?=[\d#^])", regex.IGNORECASE
)

_OPENING, _CLOSING = r"\[【［〔〖", r"\]】］〕〗"
_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_PLAIN = str.maketrans(_SUPERSCRIPTS + "０１２３４５６７８９", "0123456789" * 2, "*")
_TAG = r"(?:cite|citation|ref|reference|source|passage|doc|document)"

# Superscripts cite behind a word or a full stop, not behind a unit, a formula or a number.
_CANDIDATE = regex.compile(
    rf"""
      \\?[{_OPENING}] (?P<inside> [^{_OPENING}{_CLOSING}\n\\]{{1,300}}+ ) \\?[{_CLOSING}]
    | [(（〈《「『{{] \s{{0,3}} (?P<labelled> (?:{_SEE}\s{{0,3}})? {_LABEL}
        [^()（）〈〉《》「」『』{{}}\[\]\n]{{1,100}}+ ) [)）〉》」』}}]
    | \\cite[a-z]? {{ (?P<inside> [^{{}}\n]{{1,60}}+ ) }}
    | <(?:sup|{_TAG})> \s{{0,3}} (?P<tagged> [^<>\[\]\n]{{1,60}}+ ) </(?:sup|{_TAG})>
    | <{_TAG} \s (?:[^<>\n]{{0,30}}? =)? \s? ["']?
        (?P<tagged> \d{{1,3}} (?:[,\s]{{1,3}}\d{{1,3}}){{0,8}} ) (?=["'\s/>]) [^<>\n]{{0,60}}+ >
    | </? co \s? : \s? (?P<tagged> [\d,\s]{{1,40}}+ ) >
    | (?<= [.。,，;；:：!?！？)）"”’»」』\p{{Han}}\p{{Hiragana}}\p{{Katakana}}\p{{Hangul}}]
         | \p{{L}}{{4}} )
      (?<! \b(?:inch|feet|foot|yard|mile|acre|metre|meter|sinh|cosh|tanh) )
      (?P<raised> [{_SUPERSCRIPTS}]{{1,3}}
        (?: \s{{0,2}} [,，⁻˒] \s{{0,2}} [{_SUPERSCRIPTS}]{{1,3}} ){{0,8}} )
      (?! [{_SUPERSCRIPTS}⁺⁻\w] )
    """,
    regex.VERBOSE | regex.IGNORECASE,
)
# in a sentence, where no brackets cite: by the names that our prompts give the passages
_MENTION = regex.compile(
    r"(?:\bpassages?\s|资料\s?|資料\s?|자료\s?)"
    rf"(?P<numbers>\d{{1,3}}+(?:\s?{_AND}\s?\d{{1,3}}+){{0,8}})(?!\.?\d|%)",
    regex.IGNORECASE,
)
_QUOTED = regex.compile(r"⟦[^⟦⟧]{0,300}+⟧")  # as passages are written that say such things
_LIST_OF_RANGE = regex.compile(rf"\s{{0,3}}{_DASH}\s{{0,3}}", regex.IGNORECASE)
_CODE = regex.compile(r"`+")
# what stands before a bracket where it is an index: a name of code, or a single small letter
_INDEXED = regex.compile(
    r"(?:^|[^\w])(?:[a-z]|\w*_\w*|[a-z]+[A-Z]\w*|arr|array|argv|args|lst|list|dict|vec|buf|nums|matrix)$"
)
_INTERVAL = regex.compile(r"(?:[∈=]|\binterval|区间|區間|区間|구간)\s{0,2}$", regex.IGNORECASE)
_USED = regex.compile(r"(?:\.\p{Ll}|\s{0,2}[-+*/]?=|\+\+|--|\()")

CITATION_AFTER = (
    rf"(?:[ \t]{{0,3}}+\\?[{_OPENING}](?:{_LABEL})?[\s\d,，、;；:：|_.\-–—~†^#]{{1,60}}+(?:source)?"
    rf"\\?[{_CLOSING}]"
    rf"|[ \t]{{0,3}}+[(（]{_LABEL}[\s\d,，、:：]{{1,40}}+[)）]|<sup>[\s\d,]{{1,40}}+</sup>"
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
    ``[^1]``, ``【1†source】``, ``［1］``, ``〔1〕``, ``\[1\]``, ``(see source 2)``, ``[1, p. 3]``,
    ``<ref>1</ref>``, ``<co>so</co: 1>`` and superscripts cite; where there are none, ``passage 1``
    in the sentence itself. Years, intervals, what stands behind a name in code, a link's text and a
    footnote's definition do not.
    """
    numbers = [number for citation in citations(answer) for number in citation.numbers]
    if not numbers:
        for mention in _MENTION.finditer(_QUOTED.sub("", answer)):
            numbers += _numbers(mention["numbers"])
    return tuple(dict.fromkeys(numbers))


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
        if numbers and not (inside is not None and 0 in numbers and len(numbers) > 1):
            yield Citation(start, end, numbers)


def _numbers(inside: str) -> tuple[int, ...]:
    """Return the numbers in brackets; none where anything else stands there."""
    inside = inside.translate(_PLAIN).rstrip(" .,;，、；")
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
    """Say whether brackets are a link's, a footnote's definition, an interval or an index."""
    if text[start] != "[":
        return False
    before, after = text[max(0, start - 40) : start], text[end : end + 4]
    inside = text[start + 1 : end - 1].strip()
    address = after.removeprefix("]")
    if address.startswith("("):  # a link; to a place on the same page it is a citation
        return not address.startswith("(#")
    line = before.rpartition("\n")[2]
    if after[:1] in (":", "：") and not line.strip() and len(line) < 40:
        return True
    if _INTERVAL.search(before) and not inside.isdigit():
        return True
    return _is_index(before, inside, after, in_code=in_code)


def _is_index(before: str, inside: str, after: str, *, in_code: bool) -> bool:
    name = before[-1:]
    if not name.isascii() or not (name.isalnum() or name in "_)"):
        return False
    if name == ")":
        return in_code
    return in_code or inside == "0" or bool(_INDEXED.search(before)) or bool(_USED.match(after))
