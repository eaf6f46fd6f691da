"""Every regular expression is quick on every text, or something bounds what it sees.

A pattern that is compiled by a module is run over texts of repeated marks. Those that are slow on
some text, and those that are compiled while something runs, have an entry below that says what
bounds them.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import regex

import trivec

SOURCES = Path(trivec.__file__).parent
LENGTHS = (300, 6_000)
"""Characters, shortest first: what is exponential fails at once."""
SECONDS = 0.04
"""Processor time for the longest. A linear pattern takes 1 ms, a quadratic one 80 ms and more."""

UNITS = (
    *("a", "a ", "a.", "a-", "a_", "aA", "1", "1.", "1,", "1-", " ", "\t", "\n", "# ", "-", "- "),
    *("*", "**", "_", "`", "<", "< ", "</", "<!--", "<|", ">", "[", "[1", "[1,", "]", "(", "{"),
    *('"', '\\"', "'", "\\", "/", "&amp;", "=", "你", "一", "年", "：", "，", "。", "e\u0301"),
    *("\u200b", "\x1b[", "!", "…", "sk-", "no_evidence", "1. "),
)

WHOLE = (
    "trivec.analysis.compounds.CHECKED",
    *(
        f"trivec.analysis.numbers.READINGS[{number}]"
        for number in (1, 2, 3, 6, 7, 8, 9, 10, 11, 12)
    ),
    "trivec.cli.paths.ADDRESS",
    "trivec.ingest.formats.html.NUMBER",
    "trivec.ingest.formats.html.POWER",
)
"""Patterns that a text must match as a whole: slow where they search, quick as they are used."""

BEGINNING = (
    "trivec.chat.listening._DELIBERATION",
    "trivec.chat.no_evidence._FIRST",
    "trivec.stores.server.versions._VERSION",
)
"""Those that are tried at the beginning of a text alone."""

BOUNDED = {
    "trivec.analysis.compounds.SIGNED": "runs of at most LONGEST = 64 characters",
    "trivec.cli.arm_weights.ITEM": "an argument of the command line, of whoever runs it",
}
"""What keeps a slow pattern from long texts."""

WHILE_RUNNING = {
    "_graphs/cached.py:named_place": "a model's name; a class of characters",
    "_models/torch_loading.py:load_with_flag_embedding": "a package's version; one class",
    "_runtime/plain.py:fingerprint_name": "a model's name; one class",
    "analysis/compounds.py:_measured": "a part of a run of 64 characters",
    "analysis/compounds.py:_number": "a part of a run of 64 characters",
    "analysis/compounds.py:_version": "a part of a run of 64 characters",
    "analysis/numbers.py:_plain": "one class",
    "analysis/numbers.py:joined_groups": "one class, or three digits",
    "analysis/numbers.py:named_date": "one class",
    "analysis/preparing.py:_table": "one class",
    "analysis/rules_2.py:add_time": "one class",
    "_showing/texts.py:_spans": "the words that the index itself matched, escaped",
    "serving/explorer/words.py:said": "the library's own sentences",
    "analysis/user_words.py:_alternatives": "a character of the caller's own words",
    "analysis/user_words.py:compiled": "the caller's own words, each a plain text",
    "chat/openai_requests.py:_named": "a plain name in a server's error",
    "cli/__init__.py:_hint": "the command line's own message",
    "cli/arguments.py:_as_json": "an argument of the command line, of whoever runs it",
    "cli/arm_weights.py:_parts": "the same",
    "cli/comparing.py:_evaluated": "one class",
    "encoders/remote/calls.py:addresses": "the caller's own address",
    "questions/writing.py:_kept": "one class",
}
"""By file and function: the same for patterns that a function compiles or names."""


@cache
def patterns() -> dict[str, re.Pattern[str] | re.Pattern[bytes]]:
    """Return what the modules hold, by module and name."""
    known: dict[str, object] = {}
    by_object: set[int] = set()
    for info in pkgutil.walk_packages([str(SOURCES)], "trivec."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            for at, pattern in enumerate(_within(value)):
                if id(pattern) not in by_object:
                    by_object.add(id(pattern))
                    known[f"{info.name}.{name}" + (f"[{at}]" if at else "")] = pattern
    return known  # type: ignore[return-value]


def _within(value: object, depth: int = 3) -> Iterator[object]:
    if isinstance(value, re.Pattern | type(regex.compile("a"))):
        yield value
    elif depth and type(value) in (tuple, list, dict, frozenset):
        for item in value.values() if isinstance(value, dict) else value:  # type: ignore[attr-defined]
            yield from _within(item, depth - 1)


@pytest.mark.parametrize("name", sorted(patterns()))
def test_time_is_linear_in_the_text(name):
    slow = slowness(name)
    if name in BOUNDED:
        assert slow, f"{name} is quick on every text; it needs no entry"
    else:
        assert not slow, f"{name} is slow on {slow!r} repeated; mend it, or say what bounds it"


def test_what_is_listed_is_there():
    assert {*WHOLE, *BEGINNING, *BOUNDED} <= set(patterns())


def slowness(name: str) -> str | None:
    """Return the mark on which a pattern is slow, and slower than twice the text explains."""
    for unit in UNITS:
        for length in LENGTHS:
            slow = all(seconds(name, (unit * length)[:length]) > SECONDS for _ in range(3))
            if slow and (length == LENGTHS[0] or all(_grows(name, unit) for _ in range(4))):
                return unit
    return None


def _grows(name: str, unit: str) -> bool:
    """Say whether half the text takes less than a third of the time: a linear one takes half.

    One such answer may be a machine that was slow for a moment; several in a row are the pattern.
    """
    half, whole = (
        min(seconds(name, (unit * length)[:length]) for _ in range(2))
        for length in (LENGTHS[-1] // 2, LENGTHS[-1])
    )
    return whole > 3 * half


def seconds(name: str, text: str) -> float:
    pattern: Any = patterns()[name]
    subject = text.encode("utf-8", "replace") if isinstance(pattern.pattern, bytes) else text
    begun = time.thread_time()
    if name in WHOLE or name in BOUNDED:
        pattern.fullmatch(subject)
    elif name in BEGINNING:
        pattern.match(subject)
    else:
        for _ in pattern.finditer(subject):
            pass
    return time.thread_time() - begun


def compiled_while_running() -> Iterator[str]:
    """Yield file and function of every call of re or regex that is not a module's own."""
    for path in sorted(SOURCES.rglob("*.py")):
        tree = ast.parse(path.read_text())
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and isinstance(node.func.value, ast.Name)
                    and node.func.value.id in ("re", "regex")
                    and node.func.attr not in ("escape", "error")
                ):
                    yield f"{path.relative_to(SOURCES).as_posix()}:{function.name}"


def test_patterns_that_functions_make_are_listed():
    assert set(compiled_while_running()) == set(WHILE_RUNNING)
