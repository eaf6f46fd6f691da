"""Keywords and sub-questions from whatever form a model wrote them in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trivec.text import clean

__all__ = [
    "LONGEST_KEYWORD",
    "LONGEST_SUB_QUESTION",
    "Parsed",
    "json_values",
    "one_line",
    "parse_keywords",
    "parse_reply",
    "plain_reply",
]

LONGEST_REPLY = 20_000
"""Characters that are read; what comes after them is no list."""

LONGEST_KEYWORD = 64
"""Characters; what is longer is a sentence, not a keyword."""

LONGEST_SUB_QUESTION = 300
"""Characters; what is longer is an essay."""

MOST_BRACKETS = 50
"""Places where the beginning of JSON is tried."""

_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"```[a-zA-Z]*\n?")
_BRACKET = re.compile(r"[\[{]")
_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"(\s*:)?')
_SEPARATORS = re.compile(r"[\n,，、;；|]+")
_KEYWORDS = re.compile(
    r"^(?:search[ _]?)?(?:keywords?|terms?)$|^关键词$|^關鍵詞$|^检索词$", re.IGNORECASE
)
_SUB_QUESTIONS = re.compile(r"^sub[ _-]?questions?$|^子问题$|^子問題$", re.IGNORECASE)
_LABEL = re.compile(r"^\s*(?:keywords?|关键词|關鍵詞)\s*[:：]", re.IGNORECASE | re.MULTILINE)
_BULLET = re.compile(r"^\s*(?:[-*•·]|\(?\d{1,2}[.)、:：])\s*")
_QUOTES = " \t\"'`“”‘’「」『』《》[]()（）{}<>。."
_FORMAT = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")  # invisible, or reorders


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a reply holds, bounded and without repetitions."""

    keywords: tuple[str, ...] = ()
    sub_questions: tuple[str, ...] = ()


def parse_keywords(reply: str, *, limit: int) -> tuple[str, ...]:
    """Return the keywords of a reply alone; see ``parse_reply``."""
    return parse_reply(reply, max_keywords=limit).keywords


def parse_reply(reply: str, *, max_keywords: int, max_sub_questions: int = 0) -> Parsed:
    """Read keywords and sub-questions from whatever form a model wrote them in.

    Thoughts and code fences are dropped. Then the first JSON array or object that holds any
    counts; of JSON that was cut off, the strings that are whole. Without JSON, lines, commas and
    their Chinese kin separate the keywords, and numbers and bullets are taken off.

    Args:
        reply: what the model wrote.
        max_keywords: how many are taken.
        max_sub_questions: how many of them are taken.

    Returns:
        Distinct keywords of at most 64 characters and sub-questions of at most 300, in the order
        given, each on one line and without characters that cannot be seen.
    """
    text = plain_reply(reply)
    found = _from_json(text)
    if found is None:
        found = (_from_pieces(text), [])
    keywords, sub_questions = found
    return Parsed(
        tuple(_distinct(keywords, LONGEST_KEYWORD))[:max_keywords],
        tuple(_distinct(sub_questions, LONGEST_SUB_QUESTION))[:max_sub_questions],
    )


def plain_reply(reply: str) -> str:
    """Return what is read of a reply: its beginning, without thoughts, fences, invisible signs."""
    return _FENCE.sub("", _THOUGHT.sub("", _FORMAT.sub("", clean(reply[:LONGEST_REPLY]))))


def one_line(text: str) -> str:
    """Return a text of a reply on one line; JSON may have hidden signs in it as escapes."""
    return " ".join(_FORMAT.sub("", clean(text)).split())


def json_values(text: str) -> Iterator[Any]:
    """Yield the JSON values in a text, those within others too, in the order they begin."""
    decoder = json.JSONDecoder()
    for _, match in zip(range(MOST_BRACKETS), _BRACKET.finditer(text), strict=False):
        try:
            value, _ = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        yield value


def _from_json(text: str) -> tuple[list[str], list[str]] | None:
    """Return keywords and sub-questions of the first JSON that has any; None where there is none.

    An empty array is an answer too: the model has no keywords.
    """
    for value in json_values(text):
        if isinstance(value, list) and (not value or list(_strings(value))):
            return list(_strings(value)), []
        if isinstance(value, dict) and (named := _named(value)) is not None:
            return named
    return None


def _named(value: Mapping[str, Any]) -> tuple[list[str], list[str]] | None:
    """Return what an object calls keywords and sub-questions; its only list, if it calls none."""
    keywords = [item for key, item in value.items() if _KEYWORDS.match(key.strip())]
    questions = [item for key, item in value.items() if _SUB_QUESTIONS.match(key.strip())]
    if not keywords and not questions:
        keywords = [item for item in value.values() if isinstance(item, list)][:1]
    if not keywords and not questions:
        return None
    listed = [_SEPARATORS.split(item) if isinstance(item, str) else item for item in keywords]
    return list(_strings(listed)), list(_strings(questions))


def _strings(value: Any) -> Iterator[str]:
    """Yield the strings in a value, and in the lists within it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _from_pieces(text: str) -> list[str]:
    begun = text.lstrip()[:1]
    if begun in ("[", "{") and (whole := _STRING.findall(text)):  # JSON that was cut off
        return [string for string, colon in whole if not colon]
    pieces = _SEPARATORS.split(_LABEL.sub("", text))
    return [_BULLET.sub("", piece) for piece in pieces]


def _distinct(texts: Iterable[str], longest: int) -> Iterator[str]:
    seen: set[str] = set()
    for each in texts:
        text = one_line(each).strip(_QUOTES)
        if text and len(text) <= longest and text.casefold() not in seen:
            seen.add(text.casefold())
            yield text
