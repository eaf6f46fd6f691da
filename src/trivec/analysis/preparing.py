"""Rules 2's one form of a text: no case, width, invisible characters or traditional spelling."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path

__all__ = ["prepared", "simplified"]

SUPERSCRIPTS = "⁰¹²³⁴-⁹"
ENCLOSED = "¼-¾⅐-⅟↉①-⒛⓪-⓿❶-➓㆒-㆕㈠-㈩㉈-㉏㉑-㉟㊀-㊉㊱-㊿🄀-🄌"
INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u20e3\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff"
)
MOVED = re.compile(f"[⁺⁻{SUPERSCRIPTS}{ENCLOSED}{INVISIBLE}\u00a0\u2007\u2009\u202f’]")
BEFORE = re.compile(
    "(?P<broken>\u00ad[ \t]*+\r?\n[ \t]*+)"  # a soft hyphen at the end of a line
    f"|(?P<invisible>[{INVISIBLE}]++)"
    rf"|(?P<power>(?<=\d)[⁺⁻]?[{SUPERSCRIPTS}]++)"  # NFKC writes 10³ as 103
    f"|(?P<enclosed>[{ENCLOSED}])"  # and 1½ as 11⁄2, ①② as 12
    r"|(?P<thousands>(?<=\d)[\u00a0\u2007\u2009\u202f’](?=\d{3}(?!\d)))"
)
"""What NFKC would change into something else; found before it."""

DIGITS = "".join(
    f"{chr(zero)}-{chr(zero + 9)}"
    for zero in (
        *(0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66),
        *(0xDE6, 0xE50, 0xED0, 0xF20, 0x1040, 0x1090, 0x17E0, 0x1810),
    )
)
AFTER = re.compile(f"[{DIGITS}‐‑‒–−—―⁄٬٫·∙⋅♯]")
WRITTEN = {"⁄": "/", "٬": ",", "٫": ".", "♯": "#"} | dict.fromkeys("‐‑‒–−", "-")
BETWEEN_DIGITS = {"—": "-", "―": "-", "·": ".", "∙": ".", "⋅": "."}

PAUSE = re.compile("([0-9])，(?=[0-9])")
"""NFKC would write a decimal comma."""

RANGE = re.compile("([0-9])(?:(?: ?[-~〜至到] ?| to )(?=[0-9])| (?=[年月日号號点點时時分]))")
"""``5 - 10``, ``5~10``, ``5至10`` and ``5 to 10``; and a date with spaces."""

DATE_GAP = re.compile("([年月点點时時]) (?=[0-9])")
PER_CENT = re.compile(r"\bper cent\b")
CLOCK = re.compile(
    r"(?<![\w.,:])([01]?\d|2[0-4])(?:h(?=\d\d(?!\w))|\.(?=\d\d uhr\b)|(?P<word> uhr | heures? ))"
    r"([0-5]\d)(?![\w.,]\w)"
)
"""``14h30``, ``14.30 Uhr``, ``14 Uhr 30`` and ``14 heures 30``."""

HAN = "\u3400-\u4dbf\u4e00-\u9fff"
WRAPPED = re.compile(f"(?<=[{HAN}])\r?\n[ \t]*(?=[{HAN}])")
"""The end of a line within Chinese text, which may part a word."""


def prepared(text: str) -> str:
    """Return a text in NFKC without case, with one spelling of digits, dashes and ranges."""
    if text.isascii():
        text = text.lower()
    else:
        text = BEFORE.sub(_before, text) if MOVED.search(text) else text
        text = WRAPPED.sub("", text) if "\n" in text else text
        text = unicodedata.normalize("NFKC", PAUSE.sub(r"\1 ", text)).casefold()
        text = DATE_GAP.sub(r"\1", AFTER.sub(_after, text))
    text = RANGE.sub(_range, text)
    text = CLOCK.sub(r"\1:\3\g<word>", text) if "h" in text else text
    return PER_CENT.sub("percent", text) if "per cent" in text else text


def simplified(text: str) -> str:
    """Return a text in simplified characters; every character keeps its place."""
    if text.isascii():
        return text
    pattern, table = _table()
    if table.keys().isdisjoint(text):
        return text
    return pattern.sub(lambda match: table[match[0]], text)


def _before(match: re.Match[str]) -> str:
    kind = match.lastgroup
    if kind == "power":
        return "^" + unicodedata.normalize("NFKC", match[0]).replace("−", "-").lstrip("+")
    if kind == "enclosed":
        return f" {unicodedata.normalize('NFKC', match[0])} "
    return "," if kind == "thousands" else ""


def _after(match: re.Match[str]) -> str:
    character = match[0]
    if character in BETWEEN_DIGITS:
        start, end = match.span()
        between = (
            match.string[start - 1 : start].isdigit() and match.string[end : end + 1].isdigit()
        )
        return BETWEEN_DIGITS[character] if between else character
    return WRITTEN.get(character) or str(unicodedata.decimal(character))


def _range(match: re.Match[str]) -> str:
    return match[1] if match[0][1:] == " " else f"{match[1]}-"


@cache
def _table() -> tuple[re.Pattern[str], dict[str, str]]:
    lines = Path(__file__).with_name("traditional.txt").read_text(encoding="utf-8").splitlines()
    traditional, simple = [line for line in lines if not line.startswith("#")]
    return re.compile(f"[{traditional}]"), dict(zip(traditional, simple, strict=True))
