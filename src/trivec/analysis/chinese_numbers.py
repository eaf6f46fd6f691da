"""Numbers in Chinese characters where something is counted: ``两片``, ``第三章``, ``百分之五``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from trivec.analysis.numbers import quantity
from trivec.analysis.units import unit_after

__all__ = ["NUMERALS", "counted", "times"]

DIGITS = dict(zip("零一二三四五六七八九〇两", (*range(10), 0, 2), strict=True))
TENS = {"十": 10, "百": 100, "千": 1000}
MULTIPLES = {
    **dict.fromkeys("万만", 10**4),
    **dict.fromkeys("亿억", 10**8),
    **dict.fromkeys(("thousand", "тыс", "тысяч", "mille"), 10**3),
    **dict.fromkeys(("lakh", "lakhs"), 10**5),
    **dict.fromkeys(("million", "millions", "millionen", "mio", "млн", "миллионов"), 10**6),
    **dict.fromkeys(("crore", "crores"), 10**7),
    **dict.fromkeys(("billion", "billions", "milliarden", "mrd", "milliards", "млрд"), 10**9),
}
NUMERAL = "[零〇一二两三四五六七八九十百千万亿]"
MOST_NUMERALS = 16
"""九千九百九十九万九千九百九十九 has 15; a longer run counts nothing."""

NUMERALS = frozenset("零〇一二两三四五六七八九十百半")
"""Without one of these nothing is counted."""

MEASURES = (
    "个片粒次天日周年月岁人名位元块米克毫微公升斤吨度倍章节条款项号楼层季届期级类代支瓶盒袋颗滴杯页卷册件套"
    "台辆只头匹张把本小分秒千厘平立英摄种轮艘架所家座根枝株棵口箱包份篇集部场步轮门吋円"
)
ALONE = "片粒次天日章节条款毫克升"
"""What is counted by a single 一, which is mostly no number."""

COUNTED = re.compile(
    rf"(?P<percent>百分之(?P<rate>{NUMERAL}{{1,{MOST_NUMERALS}}}(?:点[零〇一二三四五六七八九]{{1,{MOST_NUMERALS}}})?))"
    rf"|(?P<half>半)(?=[{ALONE}])"
    rf"|(?P<number>[零〇一二两三四五六七八九十]{NUMERAL}{{0,{MOST_NUMERALS}}}(?:点[零〇一二三四五六七八九]{{1,{MOST_NUMERALS}}})?)"
    rf"(?=(?P<measure>[{MEASURES}]))"
)
HALF_DEGREE = re.compile("度([一二三四五六七八九])(?![一二三四五六七八九十个])")
GAP = re.compile(r" ?([a-zа-яё]+|[万亿만억])(?![a-zа-яё])")


def counted(run: str) -> Iterator[str]:
    """Yield the words of what a run of Han counts, as digits with what they count."""
    for match in COUNTED.finditer(run):
        if match["half"]:
            yield quantity("0.5", unit_after(run, match.end()) or "")
        elif match["rate"]:
            value = _value(match["rate"])
            if value is not None:
                yield quantity(value, "%")
        elif match["number"] != "一" or match["measure"] in ALONE:
            value = _value(match["number"])
            half = HALF_DEGREE.match(run, match.end())
            if value is not None and half and "." not in value:
                value += f".{DIGITS[half[1]]}"
            unit = unit_after(run, match.end())
            if value is not None and unit is not None:
                yield quantity(value, unit)


def times(value: str, text: str, end: int) -> tuple[str, int] | None:
    """Return a number times what stands behind it, ``3万`` and ``1.5 million``, and where it ends.

    None where nothing of the kind does.
    """
    match = GAP.match(text, end)
    multiple = MULTIPLES.get(match[1]) if match else None
    if match is None or multiple is None or value.count(".") > 1 or not value[-1].isdigit():
        return None
    try:
        return f"{(Decimal(value) * multiple).normalize():f}", match.end()
    except ArithmeticError:
        return None


def _value(numeral: str) -> str | None:
    """Return a numeral as digits; None where it is no number, as 三两 is none."""
    whole, _, rest = numeral.partition("点")
    decimals = "".join(str(DIGITS[character]) for character in rest)
    if TENS.keys().isdisjoint(whole) and "万" not in whole and "亿" not in whole:
        value = "".join(str(DIGITS[character]) for character in whole)
        if len(value) > 1 and "两" in whole:
            return None
    else:
        value = str(_composed(whole))
    return f"{value}.{decimals}" if decimals else value


def _composed(numeral: str) -> int:
    """Return the value of 二十五, 三百零二, 一万五千."""
    total = section = digit = 0
    for character in numeral:
        if character in DIGITS:
            digit = DIGITS[character]
        elif character in TENS:
            section += (digit or 1) * TENS[character]
            digit = 0
        else:
            multiple = MULTIPLES[character]
            if multiple == MULTIPLES["亿"]:
                total = (total + section + digit) * multiple
            else:
                total += (section + digit) * multiple
            section = digit = 0
    return total + section + digit
