"""Whatever a model or a document says, it is read in time linear in its length."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from trivec.answers.outcome import AnswerReader
from trivec.answers.packing import sentences
from trivec.answers.support import check_claims
from trivec.chat.citations import cited_numbers, without_citations
from trivec.chat.languages import language_of
from trivec.chat.listening import said
from trivec.chat.quoting import quoted_passage, quoted_text
from trivec.chat.replies import parse_reply
from trivec.errors import ModelError
from trivec.questions.writing import parse_questions

LENGTH = 10_000
"""Characters; with the quadratic faults that were here, twice as many took 4 to 36 seconds."""

UNITS = [
    *(
        "<",
        "< ",
        "</",
        "<think",
        "<think>",
        "</think>",
        "`<think>`",
        "<|",
        "[TH",
        "|>",
        "<|channel|>",
    ),
    *(
        "[",
        "[1",
        "[ ",
        "[1,",
        "[1]",
        "[1]-",
        "(source 1",
        "【1†",
        "arr[1",
        "¹",
        "abcd¹,",
        "`",
        "<sup>1",
    ),
    *("!", "! ", ".", ". ", "1. ", "a.[1]", "。", "?", "!a", "…", "* ", "*", "**a**", "#", "> "),
    *(" ", "\t", "\n", "- \n", "- ", "\u200d", "\u3164", "ａ", "〈", "“", "，", "：", ":"),
    *("NO_EVIDENCE ", "NO_EVIDENCE\n", "no_", "NO", "System\n", "system ", "1. System "),
    *('"', '\\"', '{"a":', "[[", "keywords: ", "here are the keywords: ", "Q1. ", "q? ", "a - "),
]
OPENINGS = ["", "!", "<", "[", "**", "<think>", "> "]


def answer(text: str) -> None:
    reader = AnswerReader(3, "en")
    reader.feed(text)
    reader.finish()


def streamed(text: str) -> None:
    reader = AnswerReader(3, "en")
    for at in range(0, len(text), 8):
        reader.feed(text[at : at + 8])
    reader.finish()


def questions(text: str) -> None:
    with suppress(ModelError):
        parse_questions(text, limit=5)


READERS: dict[str, Callable[[str], object]] = {
    "said": said,
    "answer": answer,
    "streamed": streamed,
    "citations": cited_numbers,
    "without_citations": without_citations,
    "claims": lambda text: check_claims(text, ["a"], None, threshold=None),
    "sentences": sentences,
    "keywords": lambda text: parse_reply(text, max_keywords=5),
    "questions": questions,
    "quoted_text": quoted_text,
    "quoted_passage": quoted_passage,
    "language": language_of,
}


def seconds(read: Callable[[str], object], text: str) -> float:
    start = time.thread_time()
    read(text)
    return time.thread_time() - start


def takes_more_than_thrice(read: Callable[[str], object], short: str, long: str) -> bool:
    return seconds(read, long) > 3 * seconds(read, short) + 0.1


@pytest.mark.parametrize("reader", READERS)
def test_twice_the_text_takes_twice_the_time(reader):
    read = READERS[reader]
    read("warm")
    slow = []
    for number, unit in enumerate(UNITS):
        opening = OPENINGS[number % len(OPENINGS)]
        short, long = (f"{opening}{unit * (size // len(unit))}x" for size in (LENGTH, 2 * LENGTH))
        # a pause of the garbage collector does not come three times in the same place
        if all(takes_more_than_thrice(read, short, long) for _ in range(3)):
            slow.append(opening + unit)
    assert slow == []
