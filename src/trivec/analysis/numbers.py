"""Numbers as rules 2 read them: one word for every way to write the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

__all__ = ["Number", "date_before", "joined_groups", "named_date", "quantity", "read_number"]


class Number(NamedTuple):
    """What a run of digits and the signs between them stands for.

    Attributes:
        words: as which it counts; the first is the whole.
        values: what a unit behind it belongs to; two of a range.
        inner: as which it counts in a passage besides.
    """

    words: tuple[str, ...]
    values: tuple[str, ...] = ()
    inner: tuple[str, ...] = ()

    def negative(self) -> Number:
        """Return the number behind a minus sign."""
        return Number(*(tuple(f"-{word}" for word in words) for words in self))


Reading: TypeAlias = Callable[[Sequence[str]], Number | None]

FEWEST_DIGITS = 7
"""Of a telephone number; fewer with hyphens are a range or a score."""

MOST_DIGITS = 19
MOST_GROUPS = 6
MONTHS = """
january jan januar janvier enero gennaio janeiro januari stycznia ocak
february feb februar février febrero febbraio fevereiro februari lutego şubat
march mar märz mars marzo março maart marca mart
april apr avril abril aprile kwietnia nisan
may mai mayo maggio maio mei maja mayıs
june jun juni juin junio giugno junho czerwca haziran
july jul juli juillet julio luglio julho lipca temmuz
august aug août agosto augustus sierpnia ağustos
september sep sept septembre septiembre setiembre settembre setembro września eylül
october oct oktober octobre octubre ottobre outubro października ekim
november nov novembre noviembre novembro listopada kasım
december dec dezember décembre diciembre dicembre dezembro grudnia aralık
"""
MONTHS_ELSEWHERE = """
января січня जनवरी يناير
февраля лютого फरवरी فبراير
марта березня मार्च مارس
апреля квітня अप्रैल أبريل
мая травня मई مايو
июня червня जून يونيو
июля липня जुलाई يوليو
августа серпня अगस्त أغسطس
сентября вересня सितंबर سبتمبر
октября жовтня अक्टूबर أكتوبر
ноября листопада नवंबर نوفمبر
декабря грудня दिसंबर ديسمبر
"""
"""A line for each month: its names in dates, without case."""

MONTH_OF = {
    name: number
    for months in (MONTHS, MONTHS_ELSEWHERE)
    for number, line in enumerate(months.strip().splitlines(), 1)
    for name in line.split()
}
MONTH = f"({'|'.join(sorted(MONTH_OF, key=len, reverse=True))})"
ORDINAL = r"(?:st|nd|rd|th|er|\.|º|ª)?"
OF = r"(?:of |de |d')?"
BEFORE_YEAR = re.compile(
    rf"(?<!\w){MONTH}\.? (\d{{1,2}}){ORDINAL},? \Z"
    rf"|(?<!\w)(\d{{1,2}}){ORDINAL} {OF}{MONTH}\.?,?(?: del?)? \Z"
)
LONGEST_DATE = len("15th of października, del ")
ISO_DATE = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})")
LOCAL_DATE = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})")
CHINESE_MOBILE = re.compile(r"(?:00)?86(1\d{10})")


def read_number(run: str) -> Number:
    """Read a run of digits and the signs ``. , ' : / - ^`` between them."""
    for pattern, reading in READINGS:
        match = pattern.fullmatch(run)
        number = match and reading([run, *match.groups("")])
        if number:
            return number
    for separator in (":", "/", ",", "'", "-", "^", "."):
        if separator in run:
            return _several(read_number(part) for part in run.split(separator) if part)
    return Number((run,))


def quantity(value: str, unit: str) -> str:
    """Return the word for a number with its unit: 2.50 and mg give ``2.5mg``."""
    sign = "-" if value[0] == "-" else ""
    whole, point, rest = value[len(sign) :].partition(".")
    rest = rest.rstrip("0")
    return f"{sign}{whole.lstrip('0') or '0'}{point if rest else ''}{rest}{unit}"


def named_date(text: str) -> Number | None:
    """Read ``2020年1月15日``, or ``2020年1月`` without a day."""
    year, month, *day = re.findall(r"\d+", text)
    return _date(year, month, *day)


def date_before(year: str, text: str, at: int) -> Number | None:
    """Read what stands before a year: ``January 15, 2020`` or ``15th of Jan 2020``.

    The words of the text count as themselves, so a query looks for the date alone besides.
    """
    match = BEFORE_YEAR.search(text, max(0, at - LONGEST_DATE - 1), at)
    if match is None:
        return None
    day, name = match[2] or match[3], match[1] or match[4]
    number = _date(year, str(MONTH_OF[name]), day)
    return number and Number(number.words[:1], inner=(*number.words[1:], *number.inner))


def joined_groups(groups: Sequence[str]) -> Iterable[str]:
    """Return the words of digits that stand in groups: ``+86 138 1234 5678``, ``10 000``.

    Args:
        groups: digits and hyphens, with a plus sign before a country's code.
    """
    digits = [re.sub(r"\D", "", group) for group in groups]
    whole = "".join(digits)
    if not 1 < len(groups) <= MOST_GROUPS or len(whole) > MOST_DIGITS:
        return ()
    thousands = len(digits[0]) <= 3 and all(re.fullmatch(r"\d{3}", group) for group in groups[1:])
    if thousands and groups[0].isdigit():
        return (whole,)
    if len(whole) < FEWEST_DIGITS:
        return ()
    return (whole, "".join(digits[1:])) if groups[0][0] == "+" else (whole,)


def _integer(groups: Sequence[str]) -> Number:
    mobile = CHINESE_MOBILE.fullmatch(groups[0])
    return Number((groups[0], *(mobile.groups() if mobile else ())), (groups[0],))


def _plain(groups: Sequence[str]) -> Number:
    value = re.sub(r"[,']", "", groups[0])
    return Number((value,), (value,))


def _decimal_comma(groups: Sequence[str]) -> Number:
    value = groups[0].replace(".", "").replace(",", ".")
    return Number((value,), (value,))


def _iso_date(groups: Sequence[str]) -> Number | None:
    return _date(groups[1], groups[3], groups[4])


def _local_date(groups: Sequence[str]) -> Number | None:
    """Read 15/1/2020; where both could be the month, as both."""
    first, _, second, year = groups[1:]
    dates = [_date(year, second, first), _date(year, first, second)]
    return _several(known for known in dates if known) if any(dates) else None


def _date(year: str, month: str, day: str = "") -> Number | None:
    if not 1 <= int(month) <= 12 or (day and not 1 <= int(day) <= 31):
        return None
    words = [str(int(part)) for part in (year, month, day) if part]
    named = [f"{word}{name}" for word, name in zip(words[1:], "月日", strict=False)]
    return Number(("-".join(words), words[0], *named), inner=(f"{words[0]}年", *words[1:]))


def _clock(groups: Sequence[str]) -> Number:
    hour, rest = groups[1:]
    return Number((f"{int(hour)}{rest}",), (f"{int(hour)}{rest}",))


def _dotted(groups: Sequence[str]) -> Number:
    """Read a version or an address; its beginnings count too: of 1.20.3 also 1.20."""
    parts = groups[0].split(".")
    beginnings = [".".join(parts[:size]) for size in range(len(parts), 1, -1)]
    thousands = len(parts[0]) <= 3 and all(len(part) == 3 for part in parts[1:])
    inner = (*beginnings[1:], *(["".join(parts)] if thousands else []))
    return Number((groups[0],), inner=inner)


def _power(groups: Sequence[str]) -> Number:
    return Number((groups[0], groups[1]), (groups[0],))


def _whole(groups: Sequence[str]) -> Number:
    return Number((groups[0],), (groups[0],))


def _slashed(groups: Sequence[str]) -> Number:
    return Number((groups[0], *groups[0].split("/")), (groups[0],))


def _hyphened(groups: Sequence[str]) -> Number:
    """Read a range, or what is written in groups: a telephone number, an ISBN."""
    numbers = [read_number(part) for part in groups[0].split("-")]
    parts = [number.words[0] for number in numbers]
    digits = groups[0].replace("-", "")
    grouped = digits.isdigit() and FEWEST_DIGITS <= len(digits) <= MOST_DIGITS
    if len(parts) > 2 and grouped:
        return Number((digits, *(part for part in parts if len(part) > 2)))
    words = ("-".join(parts), *parts, *((digits,) if grouped else ()))
    return Number(words, tuple(parts) if len(parts) == 2 else ())


def _several(numbers: Iterable[Number]) -> Number:
    words: dict[str, None] = {}
    inner: dict[str, None] = {}
    values: tuple[str, ...] = ()
    for number in numbers:
        words |= dict.fromkeys(number.words)
        inner |= dict.fromkeys(number.inner)
        values = number.values
    return Number(tuple(words), values, tuple(inner))


READINGS: Sequence[tuple[re.Pattern[str], Reading]] = [
    (re.compile(pattern), reading)
    for pattern, reading in (
        (r"\d+", _integer),
        (r"\d{1,3}(?:[,']\d{3})+(?:\.\d+)?|\d+\.\d+", _plain),
        (r"\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?", _plain),  # as in India
        (r"\d+,\d+|\d{1,3}(?:\.\d{3})+,\d+", _decimal_comma),
        (ISO_DATE.pattern, _iso_date),
        (LOCAL_DATE.pattern, _local_date),
        (r"([01]?\d|2[0-4])((?::[0-5]\d){1,2})", _clock),
        (r"\d+(?::\d+)+", _whole),
        (r"\d+(?:\.\d+){2,}", _dotted),
        (r"(\d+(?:\.\d+)?)\^-?\d+", _power),
        (r"\d{1,2}/\d{1,2}", _whole),
        (r"\d+(?:/\d+)+", _slashed),
        (r"[\d.,']+(?:-[\d.,']+)+", _hyphened),
    )
]
