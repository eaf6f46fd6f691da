"""Keywords and sub-questions from whatever form a model wrote them in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trivec._runtime.typed import checked
from trivec.chat.listening import said
from trivec.chat.wrapping import unwrapped
from trivec.errors import ModelError
from trivec.text import clean
from trivec.types import ChatReply, Ending

__all__ = [
    "LONGEST_KEYWORD",
    "LONGEST_SUB_QUESTION",
    "Parsed",
    "json_values",
    "one_line",
    "parse_keywords",
    "parse_reply",
    "plain_reply",
    "said_in",
]

LONGEST_REPLY = 20_000
"""Characters that are read; what comes after them is not a list."""

LONGEST_KEYWORD = 64
"""Characters; what is longer is a sentence, not a keyword."""

LONGEST_SUB_QUESTION = 300
"""Characters; what is longer is an essay."""

MOST_BRACKETS = 50
"""Places where the beginning of JSON is tried."""

MOST_WORDS = 7
"""Of a keyword in a reply without JSON; what is longer is a sentence about the keywords."""

ENDED: Mapping[Ending, str] = {
    "length": "it reached its limit of tokens before; raise the limit (max_tokens)",
    "content_filter": "a content filter stopped it; ask something else, or another model",
    "tool_calls": "it asked for a tool; use a model or a template that answers in words",
    "error": "its server failed in the middle; try again",
}
"""What ended a reply, and what to do."""

_FENCE = re.compile(r"```[a-zA-Z]{0,20}\n?")
_BRACKET = re.compile(r"[\[{]")
_STRING = re.compile(r'"((?:[^"\\\n]|\\.){0,400})"(\s{0,9}:)?')
_SEPARATORS = re.compile(r"[\n,，、;；|]+")
_KEYWORDS = re.compile(
    r"^(?:search[ _]?)?(?:keywords?|terms?)$|^关键词$|^關鍵詞$|^检索词$|^キーワード$|^키워드$",
    re.IGNORECASE,
)
_KEYWORD = re.compile(
    r"^(?:(?:search[ _]?)?(?:keyword|term)|word|phrase|name|text|value|关键词|關鍵詞|术语|词)$",
    re.IGNORECASE,
)
_SUB_QUESTIONS = re.compile(r"^sub[ _-]?questions?$|^子问题$|^子問題$", re.IGNORECASE)
_ITEM = re.compile(
    r"\s{0,20}(?:[-*•·–—]\s{1,9}|\(?\d{1,2}(?:[.)](?!\d)\s{0,9}|[、:：](?!\d)))(?=\S)"
)
_TAG = re.compile(
    r"</?(?:(?:search[ _-]?)?(?:keyword|term|phrase)s?"
    r"|answer|output|result|response|list|item|[uo]l|li|p|br|b)/?>",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(r"^\s{0,9}\w{1,30}\s{0,3}=\s{0,3}(?=[\[{(\"'])")
_NOTHING = frozenset(
    ("null", "none", "nil", "undefined", "n/a", "nan", "无", "無", "没有", "なし", "없음")
)
"""Replies of one word that say: no keywords."""

_BULLET = re.compile(r"^\s{0,20}(?:[-*](?=\s)|[•·]|\(?\d{1,2}[.)、:：](?!\d))\s{0,9}")
_MENTION = re.compile(
    r"\b(?:keywords?|terms?|phrases?)\b|关键词|關鍵詞|检索词|術語|术语|キーワード|키워드",
    re.IGNORECASE,
)
_ARE = re.compile(
    r"\s{0,9}(?:the )?(?:search )?(?:keywords?|terms?) (?:are|include) ", re.IGNORECASE
)
_BOLD = re.compile(r"\*\*([^*\n]{1,64})\*\*|__([^_\n]{1,64})__")
_EXPLAINED = re.compile(r"\s{1,3}[-–—]\s{1,3}|[:：]\s|：")
# a line about the keywords rather than of them: a preamble, an apology, an offer
_ABOUT = re.compile(
    r"[\s*_#>\"'“「]{0,9}(?:"
    r"(?:sure|certainly|of course|absolutely|okay|great|sorry|apologies|unfortunately|as an ai)\b"
    r"|(?:here|these|below|following|the following|i hope|hope|let me know|feel free|please|note)\b"
    r"|(?:i|we)(?:['’]|\s)(?:m|am|ll|have|can|could|would|will|cannot|do|did|need|understand)\b"
    r"|(?:based on|given) (?:the|your)\b"
    r"|抱歉|对不起|對不起|很遗憾|当然|當然|好的|以下|下面|根据|根據|希望|请注意|注意|我|如果"
    r"|申し訳|すみません|もちろん|承知|はい|죄송|물론|다음은)",
    re.IGNORECASE,
)
_QUOTES = " \t\"'`“”‘’「」『』《》[]()（）{}<>。.*_~"
_FORMAT = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")  # invisible, or reorders


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a reply holds, bounded and without repetitions."""

    keywords: tuple[str, ...] = ()
    sub_questions: tuple[str, ...] = ()


@checked
def parse_keywords(reply: str, *, limit: int) -> tuple[str, ...]:
    """Return the keywords of a reply alone; see ``parse_reply``."""
    return parse_reply(reply, max_keywords=limit).keywords


def parse_reply(reply: str, *, max_keywords: int, max_sub_questions: int = 0) -> Parsed:
    """Read keywords and sub-questions from whatever form a model wrote them in.

    Thoughts and code fences are dropped. Then the first JSON array or object that holds any
    counts; of JSON that was cut off, the strings that are whole. Without JSON, the items of a list
    are the keywords, without their explanations; else lines, commas and their Chinese kin separate
    them. Preambles, apologies and other sentences are none.

    Args:
        reply: what the model wrote.
        max_keywords: how many are taken.
        max_sub_questions: how many of them are taken.

    Returns:
        Distinct keywords of at most 64 characters and sub-questions of at most 300, in the order
        given, each on one line and without characters that cannot be seen.
    """
    text = plain_reply(reply)
    parsed = _from_json(text)
    if parsed is None:
        parsed = (_from_pieces(text), [])
    keywords, sub_questions = parsed
    return Parsed(
        tuple(_distinct(keywords, LONGEST_KEYWORD))[:max_keywords],
        tuple(_distinct(sub_questions, LONGEST_SUB_QUESTION))[:max_sub_questions],
    )


def said_in(reply: ChatReply) -> str:
    """Return what a model said in a reply.

    Raises:
        ModelError: it said nothing, since something ended the reply before.
    """
    text = said(reply.text)
    ended = reply.ended or ("length" if reply.truncated else None)
    if not text.strip() and ended is not None:
        raise ModelError(f"the chat model said nothing: {ENDED[ended]}")
    return text


def plain_reply(reply: str) -> str:
    """Return what is read of a reply: its beginning, without thoughts, fences, invisible signs."""
    return _FENCE.sub("", _FORMAT.sub("", clean(said(reply)[:LONGEST_REPLY])))


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
    """Yield the strings in a value and in the lists within it; of an object, what names it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        named = [item for key, item in value.items() if _KEYWORD.match(key.strip())]
        lists = [item for item in value.values() if isinstance(item, list)]
        first = next((item for item in value.values() if isinstance(item, str)), None)
        yield from _strings(named[:1] or lists or ([first] if first else []))
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _from_pieces(text: str) -> list[str]:
    text = _ASSIGNED.sub("", _TAG.sub("\n", text))
    if text.strip(_QUOTES).casefold() in _NOTHING:
        return []
    begun = text.lstrip()[:1]
    if begun in ("[", "{") and (whole := _STRING.findall(text)):  # JSON that was cut off
        return [string for string, colon in whole if not colon]
    lines = [line for line in text.split("\n") if line.strip()]
    items = [line[match.end() :] for line in lines if (match := _ITEM.match(line))]
    if len(items) > 1 or (items and len(lines) > 1):
        return [piece for item in items for piece in _SEPARATORS.split(_unexplained(item))]
    pieces = [piece for line in lines for piece in _SEPARATORS.split(_unlabelled(line))]
    return [_BULLET.sub("", piece) for piece in pieces if not _is_sentence(piece)]


def _unexplained(item: str) -> str:
    """Return the keyword of a list's item: what is bold, or stands before its explanation."""
    bold = _BOLD.match(item)
    if bold is not None:
        return str(bold[1] or bold[2])
    keyword, explanation = [*_EXPLAINED.split(item, maxsplit=1), ""][:2]
    return keyword if len(explanation.split()) > MOST_WORDS or not explanation else item


def _unlabelled(line: str) -> str:
    """Return the keywords of a line: what stands behind its label; nothing of a line about them."""
    line = _ARE.sub("", line.lstrip("# "))
    label, colon, rest = line.partition("：" if "：" in line and ":" not in line else ":")
    if colon and (not rest.strip() or _ABOUT.match(label) or _names_keywords(label)):
        return rest
    return "" if _ABOUT.match(line) else line


def _names_keywords(label: str) -> bool:
    return len(label.split()) <= MOST_WORDS and bool(_MENTION.search(label))


def _is_sentence(piece: str) -> bool:
    stripped = piece.strip()
    ends = stripped.endswith((".", "!", "?", "。", "！", "？"))
    return (ends and len(stripped.split()) > 3) or len(stripped.split()) > MOST_WORDS


def _distinct(texts: Iterable[str], longest: int) -> Iterator[str]:
    seen: set[str] = set()
    for raw in texts:
        text = unwrapped(one_line(raw))
        if text and len(text) <= longest and text.casefold() not in seen:
            seen.add(text.casefold())
            yield text
