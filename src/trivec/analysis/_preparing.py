"""Rules 2's one form of a text: no case, width, invisible characters or traditional spelling."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from regex import Match, Pattern

__all__ = ["prepared", "simplified"]

BEFORE = (
    r"(?P<broken>\u00AD[ \t]*+\r?\n[ \t]*+)"  # a soft hyphen at the end of a line
    r"|(?P<invisible>[\p{Cf}\uFE00-\uFE0F\U000E0100-\U000E01EF\u034F\u20E3]++)"
    r"|(?P<power>(?<=\d)[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]++)"  # NFKC would write 10³ as 103
    r"|(?P<enclosed>[\p{No}--[⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉]])"  # and 1½ as 11⁄2, ①② as 12
    r"|(?P<pause>(?<=[0-9])，(?=[0-9]))"  # and this as a decimal comma
    r"|(?P<thousands>(?<=\d)[\u00A0\u2007\u2009\u202F’](?=\d{3}(?!\d)))"
)
"""What NFKC would change into something else; found before it."""

AFTER = (
    r"(?P<digit>[\p{Nd}--[0-9]])"
    r"|(?P<dash>[‐‑‒–−]|(?<=\d)[—―](?=\d))"
    r"|(?P<slash>⁄)|(?P<point>٫|(?<=\d)[·∙⋅](?=\d))|(?P<comma>٬)|(?P<sharp>♯)"
)
WRITTEN = {"dash": "-", "slash": "/", "point": ".", "comma": ",", "sharp": "#"}

RANGE = re.compile(r"(?<=\d)(?: ?[-~〜至到] ?| to )(?=\d)")
PER_CENT = re.compile(r"(?<=\bper) (?=cent\b)")


def prepared(text: str) -> str:
    """Return a text in NFKC without case, with one spelling of digits, dashes and ranges."""
    if text.isascii():
        text = text.lower()
    else:
        before, after = _patterns()
        text = before.sub(_before, text)
        text = after.sub(_after, unicodedata.normalize("NFKC", text).casefold())
    return PER_CENT.sub("", RANGE.sub("-", text))


def simplified(text: str) -> str:
    """Return a text in simplified characters; every character keeps its place."""
    if text.isascii():
        return text
    traditional, table = _table()
    return text.translate(table) if traditional.search(text) else text


def _before(match: Match[str]) -> str:
    kind = match.lastgroup
    if kind == "power":
        return "^" + unicodedata.normalize("NFKC", match[0]).replace("−", "-").lstrip("+")
    if kind == "enclosed":
        return f" {unicodedata.normalize('NFKC', match[0])} "
    return {"pause": " ", "thousands": ","}.get(kind or "", "")


def _after(match: Match[str]) -> str:
    return WRITTEN.get(match.lastgroup or "") or str(unicodedata.decimal(match[0]))


@cache
def _patterns() -> tuple[Pattern[str], Pattern[str]]:
    import regex

    return regex.compile(BEFORE, regex.V1), regex.compile(AFTER, regex.V1)


@cache
def _table() -> tuple[re.Pattern[str], dict[int, str]]:
    lines = Path(__file__).with_name("traditional.txt").read_text(encoding="utf-8").splitlines()
    traditional, simple = [line for line in lines if not line.startswith("#")]
    pairs = zip(map(ord, traditional), simple, strict=True)
    return re.compile(f"[{traditional}]"), dict(pairs)
