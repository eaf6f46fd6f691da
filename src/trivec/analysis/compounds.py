"""Names and quantities of letters and digits, as rules 2 read them.

``XR-2000B`` and ``xr2000b`` have the same words, as have ``2.5kW`` and ``2.5 kW``, ``GPT-4o`` and
``GPT4o``: signs between the parts never matter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from trivec.analysis.numbers import quantity, read_number
from trivec.analysis.units import unit

__all__ = ["LONGEST", "Compound", "Words", "joins_number", "read_compound"]

LONGEST = 64
"""Characters of a run that is read; what is longer is split into its letters and digits."""

LONGEST_NAME = 32
JOINING = frozenset({"-", "_"})

NUMBER = r"[0-9]+(?:[.,][0-9]+)*"
LETTERS = r"[^0-9\-./_,:'~^+#]+"
HEAD = re.compile(r"(-?)([0-9]+(?:(?:[.,:'/~-]|\^-?)[0-9]+)*)(.*)", re.DOTALL)
PART = re.compile(rf"([-./_]?)(?:({NUMBER})|({LETTERS}))")
PIECE = re.compile(f"{NUMBER}|{LETTERS}")
SIGNED = re.compile(rf"(.*?)({LETTERS})(\+\+|#)", re.DOTALL)
CHECKED = re.compile(r"[0-9][0-9-]*[0-9-]x")  # an ISBN whose last digit is X
VERSION = re.compile(r"(v|ver|version)\.?([0-9].*)", re.DOTALL)
QUARTER = re.compile(r"(?:((?:19|20)\d\d)[-/]?)?([qh][1-4])(?:(?<=\A..)[-/]?((?:19|20)\d\d))?")
ORDINALS = frozenset({"st", "nd", "rd", "th", "s"})


COUNTED = """
a about above after all an and are around as at be before below between but by chapter did do does
down during each equation every fig figure for from had has have he her his how if in into is it
its just less minus more most near no not number numbers of off on one only or over page pages
part parts per section see she since so some step table than that the their them then there these
they this those through to under until up volume was we were what when where which while who will
with within without you your
"""
"""Words that a number follows without being a part of their name."""

NOT_NAMES = frozenset(COUNTED.split())


class Words(NamedTuple):
    """What a query looks for, and what a passage has besides."""

    asked: tuple[str, ...]
    inner: tuple[str, ...] = ()


class Compound(NamedTuple):
    """What a run of letters and digits stands for.

    Attributes:
        words: as which it counts.
        values: what a unit behind it belongs to, where it is a number alone.
        digits: the run, where it may be a group of a longer number.
        model: how it goes on behind letters (``2000b`` behind ``xr``), None where it does not.
    """

    words: Words
    values: tuple[str, ...] = ()
    digits: str | None = None
    model: str | None = None


class Part(NamedTuple):
    """Letters or a number, and the sign before it."""

    sign: str
    text: str
    number: bool


def read_compound(run: str) -> Compound:
    """Read a run of letters, digits and the single signs between them."""
    if len(run) > LONGEST:
        return Compound(Words(tuple(PIECE.findall(run))))
    if signed := SIGNED.fullmatch(run):
        return Compound(_signed(*signed.groups()))
    if (words := _of_fixed_form(run)) is not None:
        return Compound(words)
    if head := HEAD.fullmatch(run):
        minus, number, rest = head.groups()
        return _measured(minus, number, rest) if rest else _number(minus, number)
    if version := VERSION.fullmatch(run):
        return Compound(_version(*version.groups()))
    return Compound(_name(_parts(run)))


def _of_fixed_form(run: str) -> Words | None:
    """Read an ISBN that ends in X, and quarters: 2023Q3 is Q3 2023."""
    if CHECKED.fullmatch(run) and len(digits := run.replace("-", "")) == 10:
        return Words((digits,))
    if len(run) > 2 and (quarter := QUARTER.fullmatch(run)):
        year, name = sorted(filter(None, quarter.groups()))
        return Words((year, name, year + name))
    return None


def joins_number(letters: str) -> bool:
    """Say whether a word of letters may be the first half of a name: the RTX of ``RTX 4090``."""
    return letters not in NOT_NAMES


def _number(minus: str, run: str) -> Compound:
    number = read_number(run.replace("~", "-"))
    if minus:
        number = number.negative()
    plain = run if not minus and re.fullmatch(r"[0-9-]+", run) else None
    words = Words(number.words, number.inner)
    return Compound(words, number.values, digits=plain, model=plain)


def _measured(minus: str, number: str, rest: str) -> Compound:
    """Read a number with letters behind it: a quantity, an ordinal, the end of a name."""
    whole = _number(minus, number)
    touching = rest.lstrip("-_./")
    if re.match(r"t\d", touching):  # 2020-01-15T10:00
        return Compound(_both(whole.words, read_compound(touching[1:]).words))
    parts = _parts(rest)
    letters = parts[0].text if parts else ""
    decade = letters == "s" and re.fullmatch(r"\d{4}", number)
    known = unit(touching, touching=True) or unit(letters, touching=True)
    if known and whole.values and not decade:
        quantities = tuple(quantity(value, known) for value in whole.values)
        return Compound(_both(whole.words, _name(parts), Words(quantities)))
    if not parts or minus or not re.fullmatch(r"\d+(?:\.\d+)?", number):
        return Compound(_both(whole.words, _name(parts)))
    words = _name([Part("", number, number=True), *parts])
    if letters in ORDINALS:
        return Compound(Words(words.asked, (number,)))
    model = "".join(part.text for part in parts) if len(letters) < 3 else ""
    return Compound(words, model=number + model if model else None)


def _version(name: str, number: str) -> Words:
    """Read v1.20.0, which is 1.20.0, and v2, which is a name too."""
    plain = re.fullmatch(r"\d+(?:\.\d+)+", number)
    words = read_compound(number).words
    return words if plain else _both(_name(_parts(name + number)), Words((), words.asked))


def _signed(before: str, letters: str, sign: str) -> Words:
    """Read C++ and C#, which share nothing with C; what has more letters keeps them."""
    words = read_compound(before.rstrip("-./_")).words if before else Words(())
    kept = (letters,) if len(letters) > 2 else ()
    return _both(words, Words((*kept, letters + sign)))


def _parts(run: str) -> Sequence[Part]:
    """Return the letters and numbers of a run; ``gpt4`` is read as ``gpt-4``."""
    parts: list[Part] = []
    for sign, number, letters in PART.findall(run):
        word = parts[-1] if parts else None
        split = number and not sign and word and not word.number and len(word.text) > 1
        parts.append(
            Part("-" if split else sign, number.replace(",", ".") or letters, bool(number))
        )
    return parts


def _name(parts: Sequence[Part]) -> Words:
    """Return the words of a name: its pieces between signs, and the whole.

    A passage has the parts of the pieces too, and each number with the letters around it. A query
    has not: they would weigh a name several times.
    """
    if not parts:
        return Words(())
    pieces = [[part.text for part in group] for group in _glued(parts)]
    words = ["".join(piece) for piece in pieces]
    inner = [text for piece in pieces if len(piece) > 1 for text in piece]
    if len(parts) == 2 and parts[1].sign == "." and parts[1].number and len(words[0]) <= 3:
        inner.append("".join(words))  # of H.264 also h264
    inner += [".net"] if parts[-1] == Part(".", "net", number=False) else []
    for before, number, after in zip([None, *parts], parts, [*parts[1:], None], strict=False):
        if number.number:
            tail = after.text if after and not after.sign else ""
            head = before.text if before and number.sign in JOINING else ""
            inner += [number.text + tail, head + number.text, head + number.text + tail]
    asked = _unique(*words, *(_joined(words, parts) if len(words) > 1 else ()))
    return Words(asked, tuple(word for word in _unique(*inner) if len(word) > 1))


def _glued(parts: Sequence[Part]) -> list[list[Part]]:
    """Return the parts in groups without a sign inside."""
    groups: list[list[Part]] = []
    for part in parts:
        if part.sign or not groups:
            groups.append([])
        groups[-1].append(part)
    return groups


def _joined(pieces: Sequence[str], parts: Sequence[Part]) -> list[str]:
    """Return the whole of a name with a number, of e-mail and wi-fi, of u.s.a and node.js."""
    whole = "".join(pieces)
    signs = {part.sign for part in parts if part.sign}
    if len(whole) > LONGEST_NAME:
        return []
    if signs <= JOINING:
        short = len(pieces) == 2 and min(map(len, pieces)) < 3 and signs == {"-"}
        return [whole] if short or any(part.number for part in parts) else []
    if signs != {"."} or any(part.number for part in parts):
        return []
    if all(len(piece) == 1 for piece in pieces):
        return [whole]
    return [whole] if len(pieces) == 2 and len(pieces[1]) <= 3 else []


def _both(*several: Words) -> Words:
    asked = _unique(*(word for words in several for word in words.asked))
    return Words(asked, _unique(*(word for words in several for word in words.inner)))


def _unique(*words: str) -> tuple[str, ...]:
    """Return words without repetition, in order."""
    return tuple(dict.fromkeys(words))
