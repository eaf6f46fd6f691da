"""Rules 2: numbers and names have one word however they are written, and single characters match.

- Han, in simplified characters: every pair of characters; the words of jieba of three characters
  and more, without its guessing of new words (HMM); every character of a passage, and of a query
  those that are words alone;
- kana, hangul, Thai, Lao, Khmer, Burmese: pairs of characters, of hangul in passages each alone;
- numbers without separators of thousands, with a decimal point; with the unit or the character
  behind them as one word more, so that 2.5 mg is neither 5 mg nor 2 mg and 5;
- names of letters and digits as their parts and as a whole, hyphens and spaces apart;
- all else: runs of letters and marks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from operator import add
from typing import TYPE_CHECKING

from trivec.analysis._compounds import Compound, Words, joins_number, read_compound
from trivec.analysis._numbers import date, joined_groups, quantity
from trivec.analysis._preparing import prepared, simplified
from trivec.analysis._splitting import UserWord, WholeWord
from trivec.analysis._units import MONEY, UNITS, leading_unit, unit
from trivec.analysis._user_words import compiled, teach

if TYPE_CHECKING:
    from regex import Match, Pattern
    from rjieba import Jieba

__all__ = ["SecondRules"]

UNSEPARATED = r"\p{Hiragana}\p{Katakana}ー\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
LETTER = rf"[\w--[_\p{{Han}}{UNSEPARATED}]]"
MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
ORDINAL = r"(?:st|nd|rd|th)?"
MINUS = r"(?:(?<![\w\-)\]}./+*%°])|(?<=[为是达约于至到]))-(?=\.?\d)"
RUNS = (
    r"(?P<han>\p{Han}++)"
    rf"|(?P<unseparated>[{UNSEPARATED}]++)"
    r"|(?P<date>\d{4} ?年 ?\d{1,2} ?月(?: ?\d{1,2} ?[日号])?"
    rf"|{MONTH}\.? \d{{1,2}}{ORDINAL},? \d{{4}}(?!\d)"
    rf"|\d{{1,2}}{ORDINAL} (?:of )?{MONTH}\.?,? \d{{4}}(?!\d))"
    r"|(?P<clock>(?:[01]?\d|2[0-4]) ?[点时] ?[0-5]?\d ?分)"
    rf"|(?P<run>(?:{MINUS})?(?:(?<![\w.]|\d )\.(?=\d))?+{LETTER}++"
    rf"(?:(?:[-./_]|(?<=\d)(?:[,:'~]|\^-?)(?=\d)){LETTER}++)*+(?:\+\+(?!\p{{L}})|\#(?!\p{{L}}))?)"
    r"|(?P<sign>%|‰|°(?:[cf](?!\w))?)"
    rf"|(?P<money>[{''.join(MONEY)}])"
    r"|(?P<dotnet>(?<!\w)\.net(?!\w))"
)

GAPS = frozenset({"", " ", "\n", "\t", "-"})
"""What may stand between a number and its unit."""

GROUP_GAPS = frozenset({" ", ") ", ")", ")-", " ("})
"""What may stand between the groups of a telephone number."""

NEGATIVE = ("负", "零下", "minus")
PER_CENT = "百分之"
CJK_START = "\u2e80"
UNSTEMMED = frozenset("0123456789+#.")


class SecondRules:
    """Splits texts as rules 2 do."""

    def __init__(self, user_words: Sequence[UserWord]) -> None:
        import rjieba

        self._jieba = rjieba.Jieba()
        mixed = teach(self._jieba, user_words, self.normalize)
        self._runs = compiled(RUNS)
        self._user_runs = compiled(RUNS, mixed) if mixed else self._runs
        self._compound = lru_cache(maxsize=65_536)(read_compound)

    def normalize(self, text: str) -> str:
        return simplified(prepared(text))

    def passage(self, text: str) -> tuple[list[str], int]:
        reading = _Reading(self._jieba, self._compound, passage=True)
        return self._read(self.normalize(text), reading, self._user_runs)

    def query(self, text: str) -> list[str]:
        reading = _Reading(self._jieba, self._compound, passage=False)
        return self._read(self.normalize(text), reading, self._user_runs)[0]

    def whole(self, text: str) -> list[WholeWord]:
        before = prepared(text)
        words: list[WholeWord] = []
        for match in self._user_runs.finditer(simplified(before)):
            start = match.start()
            for word, length in self._whole(match):
                words.append(WholeWord(word, before[start : start + length]))
                start += length
        return words

    def written(self, text: str, words: Sequence[str]) -> list[str]:
        before = prepared(text)
        after = simplified(before)
        if after == before:
            return list(words)
        places = [after.find(word) for word in words]
        return [
            word if at < 0 else before[at : at + len(word)]
            for at, word in zip(places, words, strict=True)
        ]

    def stems(self, word: str) -> bool:
        return word[0] < CJK_START and UNSTEMMED.isdisjoint(word)

    def _read(self, text: str, reading: _Reading, runs: Pattern[str]) -> tuple[list[str], int]:
        for match in runs.finditer(text):
            if match.lastgroup == "user":
                inner = _Reading(self._jieba, self._compound, passage=True)
                parts, _ = self._read(match[0], inner, self._runs)
                reading.add_user_word(match, [part for part in parts if part != match[0]])
            else:
                reading.add(match)
        return reading.finish(), reading.length

    def _whole(self, match: Match[str]) -> Iterator[tuple[str, int]]:
        """Yield the words of a run as they count, and how much of the run each takes."""
        run, kind = match[0], match.lastgroup
        if kind == "han":
            yield from ((word, len(word)) for word in self._jieba.cut(run, hmm=False))
        elif kind == "run" and not run.isalpha():
            words = self._compound(run).words.asked
            if any(character.isdigit() for character in run) or len(words) == 1:
                yield max(words, key=len, default=run), len(run)
            else:
                yield from ((word, len(word)) for word in words)
        elif kind not in {"sign", "money"}:
            yield run, len(run)


class _Reading:
    """Collects the words of one text, run after run."""

    def __init__(self, jieba: Jieba, compound: Callable[[str], Compound], *, passage: bool) -> None:
        self.length = 0
        self._jieba = jieba
        self._compound = compound
        self._passage = passage
        self._words: list[str] = []
        self._end = 0
        self._values: tuple[str, ...] = ()  # a number that waits for its unit
        self._lead = ""  # the run before, which may belong to a number
        self._groups: list[str] = []  # of a long number
        self._groups_end = 0

    def add(self, match: Match[str]) -> None:
        """Add the words of a run."""
        run, kind = match[0], match.lastgroup
        start, end = match.span()
        near = start - self._end < 2
        if self._values:
            if near and (gap := match.string[self._end : start]) in GAPS:
                self._add_quantities(run, kind, touching=gap != " ")
            self._values = ()
        lead = self._lead if near else ""
        self._lead = ""
        if kind == "run":
            if run.isalpha():
                self._words.append(run)
                self._lead = run
                self.length += 1
            else:
                self._add_compound(match, lead)
        elif kind == "han":
            self._add_han(run)
        elif kind == "unseparated":
            self._add_pairs(run)
        elif kind == "money":
            self._lead = run
        elif kind != "sign":
            self._add_named(run, kind)
        self._end = end

    def add_user_word(self, match: Match[str], parts: Sequence[str]) -> None:
        """Add a word that must stay whole, and its parts."""
        self._words += [match[0], *parts]
        self.length += 1
        self._values, self._lead, self._end = (), "", match.end()

    def finish(self) -> list[str]:
        """Return all words."""
        self._close_groups()
        return self._words

    def _add_han(self, run: str) -> None:
        words = self._jieba.cut(run, hmm=False)
        self.length += len(words)
        self._words += [word for word in words if len(word) > 2]
        self._words += map(add, run, run[1:])
        self._words += run if self._passage else [word for word in words if len(word) == 1]
        self._lead = run

    def _add_pairs(self, run: str) -> None:
        pairs = list(map(add, run, run[1:])) or [run]
        self._words += pairs
        self.length += len(pairs)
        if self._passage and len(run) > 1:
            self._words += [character for character in run if "가" <= character <= "힣"]

    def _add_compound(self, match: Match[str], lead: str) -> None:
        run = match[0].replace(".", "0.", 1) if match[0].lstrip("-")[0] == "." else match[0]
        text, start = match.string, match.start()
        if run[0] == "-" and text[start - 1 : start] in {"", "\n"}:  # a minus, or a list's mark
            self._add_words(self._compound(run[1:]).words)
        elif lead and run[0] != "-" and lead.endswith(NEGATIVE):
            run = "-" + run
        compound = self._compound(run)
        self._add_words(compound.words)
        self._values = compound.values
        self.length += min(len(compound.words.asked), 2)
        if lead in MONEY or lead.endswith(PER_CENT):
            before = lead if lead in MONEY else "%"
            self._words += [quantity(value, before) for value in compound.values]
        elif compound.model and lead.isalpha() and text[start - 1] == " ":
            self._words += [lead + compound.model] if joins_number(lead) else []
        if compound.digits:
            self._add_group(compound.digits, text, start)

    def _add_words(self, words: Words) -> None:
        self._words += words.asked
        if self._passage:
            self._words += words.inner

    def _add_group(self, digits: str, text: str, start: int) -> None:
        if text[self._groups_end : start] not in GROUP_GAPS:
            self._close_groups()
        sign = "+" if not self._groups and text[start - 1 : start] == "+" else ""
        self._groups.append(sign + digits)
        self._groups_end = start + len(digits)

    def _close_groups(self) -> None:
        if len(self._groups) > 1:
            self._words += joined_groups(self._groups)
        self._groups = []

    def _add_quantities(self, run: str, kind: str | None, *, touching: bool) -> None:
        if kind in {"han", "unseparated"}:
            known: str | None = leading_unit(run)
        elif kind == "sign":
            known = UNITS[run]
        else:
            known = unit(run, touching=touching) if kind == "run" else None
        if known:
            self._words += [quantity(value, known) for value in self._values]

    def _add_named(self, run: str, kind: str | None) -> None:
        """Add a date, a time of day or .NET."""
        self.length += 1
        if kind == "date" and (known := date(run)):
            self._add_words(Words(known.words, known.inner))
        elif kind == "clock":
            hour, minute = (int(number) for number in re.findall(r"\d+", run))
            self._words += [f"{hour}:{minute:02}", str(hour), f"{hour}点", f"{minute}min"]
        else:
            self._words.append(run)
