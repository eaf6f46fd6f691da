"""Keywords and sub-questions from whatever form a model wrote them in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trivec._runtime.typed import checked
from trivec.chat.listening import said
from trivec.chat.lists import listed, names_keywords, names_sub_questions, without_bullet
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

ENDED: Mapping[Ending, str] = {
    "length": "it reached its limit of tokens before; raise the limit (max_tokens)",
    "content_filter": "a content filter stopped it; ask something else, or another model",
    "tool_calls": "it asked for a tool; use a model or a template that answers in words",
    "error": "its server failed in the middle; try again",
}
"""What ended a reply, and what to do."""

_FENCE = re.compile(r"```[a-zA-Z]{0,20}\n?")
_BRACKET = re.compile(r"[\[{]")
_KEYWORD = re.compile(
    r"^(?:(?:search[ _]?)?(?:keyword|term)|(?:sub[ _-]?)?question|word|phrase|name|text|value"
    r"|关键词|關鍵詞|术语|词)$",
    re.IGNORECASE,
)
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

    Thoughts and code fences are dropped. Then the first JSON array, or the objects one after the
    other, that hold any count; of JSON that was cut off, the strings that are whole. Without JSON,
    the items of a list or the first column of a table are the keywords, without their explanations;
    else lines, commas and their Chinese kin separate them. What stands below a heading of
    sub-questions are these. Preambles, apologies and other sentences are none.

    Args:
        reply: what the model wrote.
        max_keywords: how many are taken.
        max_sub_questions: how many of them are taken.

    Returns:
        Distinct keywords of at most 64 characters and sub-questions of at most 300, in the order
        given, each on one line and without characters that cannot be seen.
    """
    text = plain_reply(reply)
    keywords, sub_questions = _from_json(text) or listed(text)
    return Parsed(
        tuple(_distinct(keywords, LONGEST_KEYWORD))[:max_keywords],
        tuple(_distinct(map(without_bullet, sub_questions), LONGEST_SUB_QUESTION))[
            :max_sub_questions
        ],
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


def json_values(text: str, *, within: bool = True) -> Iterator[Any]:
    """Yield the JSON arrays and objects in a text, in the order they begin.

    Args:
        text: what a model wrote.
        within: those within others, too.
    """
    decoder = json.JSONDecoder()
    read = 0
    for _, match in zip(range(MOST_BRACKETS), _BRACKET.finditer(text), strict=False):
        if match.start() < read and not within:
            continue
        try:
            value, read = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        yield value


def _from_json(text: str) -> tuple[list[str], list[str]] | None:
    """Return keywords and sub-questions of the first JSON that has any; None where there is none.

    Objects one after the other count together. An empty array is an answer too: the model has no
    keywords.
    """
    keywords: list[str] = []
    questions: list[str] = []
    objects = 0
    for value in json_values(_without_quotes(text), within=False):
        if isinstance(value, list) and not objects and (not value or list(_strings(value))):
            return list(_strings(value)), []
        if isinstance(value, dict) and (named := _named(value)) is not None:
            objects += 1
            keywords += named[0]
            questions += named[1]
    return (keywords, questions) if objects else None


def _without_quotes(text: str) -> str:
    """Return the JSON that a JSON string holds: some models quote what they were asked for."""
    if not text.lstrip().startswith('"'):
        return text
    try:
        held = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return held if isinstance(held, str) else text


def _named(value: Mapping[str, Any]) -> tuple[list[str], list[str]] | None:
    """Return what an object calls keywords and sub-questions; its only list, if it calls none.

    Where it weighs them (``{"lactose": 0.9}``), they are the keys.
    """
    if value and all(isinstance(item, float) for item in value.values()):
        return list(value), []
    questions = [item for key, item in value.items() if names_sub_questions(key)]
    keywords = [
        item for key, item in value.items() if names_keywords(key) and not names_sub_questions(key)
    ]
    if not keywords and not questions:
        keywords = [item for item in value.values() if isinstance(item, list)][:1]
    if not keywords and not questions:
        inner = [item for item in value.values() if isinstance(item, dict)]
        return _named(inner[0]) if len(inner) == len(value) == 1 else None
    listed_in = [_pieces(item) if isinstance(item, str) else item for item in keywords]
    return list(_strings(listed_in)), list(_strings(questions))


def _pieces(text: str) -> list[str]:
    named = _from_json(text)
    return listed(text)[0] if named is None else named[0]


def _strings(value: Any) -> Iterator[str]:
    """Yield the strings in a value and in the lists within it; of an object, what names it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        if all(isinstance(item, float) for item in value.values()):
            yield from value
        named = [item for key, item in value.items() if _KEYWORD.match(key.strip())]
        lists = [item for item in value.values() if isinstance(item, list)]
        first = next((item for item in value.values() if isinstance(item, str)), None)
        yield from _strings(named[:1] or lists or ([first] if first else []))
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _distinct(texts: Iterable[str], longest: int) -> Iterator[str]:
    seen: set[str] = set()
    for raw in texts:
        text = unwrapped(one_line(raw))
        if text and len(text) <= longest and text.casefold() not in seen:
            seen.add(text.casefold())
            yield text
