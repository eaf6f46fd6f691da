"""Reads the prose of a Markdown page: its sentences, and how long they are."""

from __future__ import annotations

import re

__all__ = ["long_sentences", "sentences"]

MOST_WORDS = 20
FENCED = re.compile(r"^```.*?^```$", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
ADDRESS = re.compile(r"^\[[^\]]+\]: .*$", flags=re.MULTILINE)  # of a link that has a name
WORD = re.compile(r"\w")
# a full stop inside `code`, a number or a name of a file ends no sentence
END = re.compile(r"(?<=[.!?])[)\"*]*\s+")


def sentences(page: str) -> list[str]:
    """Return the sentences of a page; cells of tables, headings and list items are some too."""
    page = LINK.sub(r"\1", ADDRESS.sub("", FENCED.sub("", page)))
    page = re.sub(r"^\s*(?:[-*]|\d+\.|#+)\s+", "\n", page, flags=re.MULTILINE)
    page = re.sub(r"^\|.*$", lambda row: row[0].replace("|", "\n\n"), page, flags=re.MULTILINE)
    page = re.sub(r"`[^`]*`", "code", page)
    return [
        " ".join(sentence.split())
        for paragraph in re.split(r"\n\s*\n", page)
        for sentence in END.split(paragraph)
        if WORD.search(sentence)
    ]


def long_sentences(page: str, most: int = MOST_WORDS) -> list[str]:
    """Return the sentences of more words than a reader takes in at once."""
    return [
        sentence
        for sentence in sentences(page)
        if sum(bool(WORD.search(word)) for word in sentence.split()) > most
    ]
