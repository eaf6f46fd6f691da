"""Rules 2: numbers and names have one word however they are written, and single characters match.

- Han, in simplified characters: every pair of characters; the words of jieba of three characters
  and more, without its guessing of new words (HMM); every character of a passage, and of a query
  those that are words alone;
- kana, hangul, Thai, Lao, Khmer, Burmese: pairs of characters, of hangul in passages each alone;
- numbers without separators of thousands, with a decimal point; with the unit or the character
  behind them as one word more, so that 2.5 mg is neither 5 mg nor 2 mg and 5;
- names of letters and digits as their parts and as a whole, hyphens and spaces apart;
- numbers in Chinese characters where something is counted, and what 万 or million multiplies;
- dates and times of day as several languages write them;
- all else: runs of letters and marks, also without their accents and vowel signs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache
from operator import add
from typing import TYPE_CHECKING, Any, cast

from trivec.analysis.chinese_numbers import NUMERALS, counted, times
from trivec.analysis.compounds import Compound, Words, joins_number, read_compound
from trivec.analysis.folding import WITH_MARKS, plain_spellings
from trivec.analysis.numbers import date_before, joined_groups, named_date, quantity
from trivec.analysis.preparing import prepared, simplified
from trivec.analysis.splitting import UserWord, WholeWord
from trivec.analysis.units import MONEY, unit_after
from trivec.analysis.user_words import compiled, teach

if TYPE_CHECKING:
    from regex import Match, Pattern
    from rjieba import Jieba

__all__ = ["SecondRules"]

HAN = (
    r"\u2e80-\u2e99\u2e9b-\u2ef3\u2f00-\u2fd5\u3005\u3007\u3021-\u3029\u3038-\u303b\u3400-\u4dbf"
    r"\u4e00-\u9fff\uf900-\ufa6d\ufa70-\ufad9\U00016fe2\U00016fe3\U00016ff0\U00016ff1"
    r"\U00020000-\U000323af"
)
CLOSING = r"[,.;:!?)\]\"'”’]"
BETWEEN = r"\s,;:!?()\[\]\"'“”‘’。、「」『』《》〈〉…"
DATE = r"(?P<date>\d{4}年(?:1[0-2]|0?[1-9])月(?:(?:[12]\d|3[01]|0?[1-9])[日号])?)"
CLOCK = r"(?P<clock>(?:[01]?\d|2[0-4])[点时][0-5]?\d分)"
TIME_SIGNS = ("年", "点", "时")
LONGEST_TIME = len("年12月31日")
COARSE = re.compile(
    rf"(?P<word>[a-zß-öø-ɏά-ώа-ӿ]++(?=\s|{CLOSING}++(?:\s|\Z)|\Z))"
    rf"|(?P<han>[{HAN}]++)"
    rf"|{DATE}|{CLOCK}"
    rf"|(?P<other>(?:\.(?=\w)|[^{BETWEEN}.{HAN}])[^\s{HAN}]*+)"
)
"""Plain words and Han, found by the fast module, and what has to be looked at closely."""

SIMPLE = re.compile(rf"([a-z0-9]++(?:-[a-z0-9]++)*+){CLOSING}*+")
"""A run that needs no closer look."""

UNSEPARATED = r"\p{Hiragana}\p{Katakana}ー\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
LETTER = rf"[\w--[_{HAN}{UNSEPARATED}]]"
MINUS = r"(?:(?<![\w\-)\]}./+*%°])|(?<=[为是达约于至到]))-(?=\.?\d)"
RUNS = (
    rf"(?P<han>[{HAN}]++)"
    rf"|(?P<unseparated>[{UNSEPARATED}]++)"
    rf"|{DATE}|{CLOCK}"
    rf"|(?P<run>(?:{MINUS})?(?:(?<![\w.]|\d )\.(?=\d))?+{LETTER}++"
    rf"(?:(?:[-./_]|(?<=\d)(?:[,:'~]|\^-?)(?=\d)){LETTER}++)*+(?:(?:\+\+|\#)(?![{LETTER}--[0-9]]))?)"
    rf"|(?P<degree>°[cf](?!{LETTER}))"
    rf"|(?P<dotnet>(?<!{LETTER})\.net(?!{LETTER}))"
)

GROUP_GAPS = frozenset({" ", ") ", ")", ")-", " ("})
"""What may stand between the groups of a telephone number."""

LAST_GROUP = re.compile(r"\d{3}(?:[.,]\d{1,2})?")
THOUSANDS = re.compile(r"\d{1,3}(?: \d{3})*")
"""Groups of a long number, the last of which may have decimals."""

NEAR = 32
"""Words before the end of which some are taken back."""

LONGEST_FIRST_HALF = 20
FIRST_HALF = re.compile(r"(?<![^\s(])([a-zµ-ɏͰ-ӿ]+) \Z")
"""Of a name that goes on with a number behind a space: letters alone."""

HALF_DEGREE = re.compile(r"(?<!\.\d)度(\d)(?!\d)")
NEGATIVE = (
    *("负", "零下", "minus ", "минус ", "moins ", "menos ", "meno "),
    *("マイナス", "氷点下", "영하 ", "마이너스 "),
)
PER_CENT = "百分之"
CJK_START = "\u2e80"
UNSTEMMED = frozenset("0123456789+#.")


class _LazyJieba:
    """jieba, loaded for the first Han: its dictionary is a tenth of what a cold search imports."""

    @cached_property
    def _loaded(self) -> Jieba:
        import rjieba

        return rjieba.Jieba()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loaded, name)


class SecondRules:
    """Splits texts as rules 2 do."""

    def __init__(self, user_words: Sequence[UserWord]) -> None:
        self._jieba = cast("Jieba", _LazyJieba())
        mixed = teach(self._jieba, user_words, self.normalize)
        self._runs = compiled(RUNS)
        self._user_runs = compiled(RUNS, mixed) if mixed else self._runs
        self._compound = lru_cache(maxsize=65_536)(read_compound)

    def normalize(self, text: str) -> str:
        """Return the text as its words are taken from it."""
        return simplified(prepared(text))

    def passage(self, text: str) -> tuple[list[str], int]:
        """Return the words of a passage, and how many it counts for its length."""
        return self._read(self.normalize(text), passage=True)

    def query(self, text: str) -> list[str]:
        """Return the words that a query looks for."""
        return self._read(self.normalize(text), passage=False)[0]

    def whole(self, text: str) -> list[WholeWord]:
        """Return the words of a text as they stand in it, for dictionaries."""
        before = prepared(text)
        words: list[WholeWord] = []
        for match in self._user_runs.finditer(simplified(before)):
            start = match.start()
            for word, length in self._whole(match):
                words.append(WholeWord(word, before[start : start + length]))
                start += length
        return words

    def written(self, text: str, words: Sequence[str]) -> list[str]:
        """Return the words as the text writes them."""
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
        """Say whether a word is stemmed."""
        return word[0] < CJK_START and UNSTEMMED.isdisjoint(word)

    def _read(self, text: str, *, passage: bool) -> tuple[list[str], int]:
        reading = _Reading(self._jieba, self._compound, text, passage=passage)
        if self._user_runs is not self._runs:
            self._look_closely(reading, self._user_runs, 0, len(text))
            return reading.finish()
        at = 0
        while at < len(text):
            at = self._read_on(reading, at)
        return reading.finish()

    def _read_on(self, reading: _Reading, at: int) -> int:
        """Read from a place to the end, or to where a closer look went further than expected."""
        text, words = reading.text, reading.words
        for match in COARSE.finditer(text, at):
            kind = match.lastgroup
            if kind == "word":
                words.append(match[0])
                reading.length += 1
            elif kind == "han":
                reading.add_han(match[0])
            elif kind != "other":
                reading.add_time(match[0], kind)
            elif run := SIMPLE.fullmatch(text, *match.span()):
                reading.add_run(run[1], *run.span(1))
            else:
                end = match.end()
                reached = self._look_closely(reading, self._runs, match.start(), end)
                if reached > end:
                    return reached
        return len(text)

    def _look_closely(self, reading: _Reading, runs: Pattern[str], start: int, end: int) -> int:
        """Add the words of all runs that begin in a part of the text; return where they end."""
        text = reading.text
        reached = end
        beyond = LONGEST_TIME if text[end : end + 1] in TIME_SIGNS else 0
        for match in runs.finditer(text, start, end + beyond):
            if match.start() >= end:
                break
            reached = max(reached, match.end())
            if match.lastgroup == "user":
                self._add_user_word(reading, match[0])
            else:
                reading.add(match)
        return reached

    def _add_user_word(self, reading: _Reading, word: str) -> None:
        inner = _Reading(self._jieba, self._compound, word, passage=True)
        self._look_closely(inner, self._runs, 0, len(word))
        reading.words += [word, *(part for part in inner.words if part != word)]
        reading.length += 1

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
        elif kind != "degree":
            yield run, len(run)


class _Reading:
    """Collects the words of one text, run after run."""

    def __init__(
        self, jieba: Jieba, compound: Callable[[str], Compound], text: str, *, passage: bool
    ) -> None:
        self.text = text
        self.words: list[str] = []
        self.length = 0
        self._jieba = jieba
        self._compound = compound
        self._passage = passage
        self._groups: list[str] = []  # of a long number
        self._groups_end = 0

    def add(self, match: Match[str]) -> None:
        """Add the words of a run."""
        run, kind = match[0], match.lastgroup
        if kind == "han":
            self.add_han(run)
        elif kind == "unseparated":
            self._add_pairs(run)
        elif kind in {"date", "clock"}:
            self.add_time(run, kind)
        elif kind == "run":
            self.add_run(run, *match.span())
        elif kind != "degree":
            self.words.append(run)
            self.length += 1

    def finish(self) -> tuple[list[str], int]:
        """Return all words, and the text's length."""
        self._close_groups()
        if not self.text.isascii():
            marked = [word for word in self.words if word[0] < WITH_MARKS and not word.isascii()]
            self.words += [plain for word in marked for plain in plain_spellings(word)]
        return self.words, self.length

    def add_han(self, run: str) -> None:
        """Add the words, pairs and characters of a run of Han."""
        if len(run) == 1:
            self.words.append(run)
            self.length += 1
            return
        words = self._jieba.cut(run, hmm=False)
        if not NUMERALS.isdisjoint(run):
            self.words += counted(run)
        self.length += len(words)
        self.words += map(add, run, run[1:])
        for word in words:
            if len(word) > 2:
                self.words.append(word)
                if len(word) > 3:
                    parts = map("".join, zip(word, word[1:], word[2:], strict=False))
                    self.words += filter(self._jieba.has_word, parts)
        self.words += run if self._passage else [word for word in words if len(word) == 1]

    def add_time(self, run: str, kind: str | None) -> None:
        """Add a date or a time of day."""
        self.length += 1
        if kind == "clock":
            hour, minute = (int(number) for number in re.findall(r"\d+", run))
            self.words += [f"{hour}:{minute:02}", str(hour), f"{hour}点", f"{minute}min"]
        elif known := named_date(run):
            self._add_words(Words(known.words, known.inner))

    def _add_pairs(self, run: str) -> None:
        pairs = list(map(add, run, run[1:])) or [run]
        self.words += pairs
        self.length += len(pairs)
        if self._passage and len(run) > 1:
            self.words += [character for character in run if "가" <= character <= "힣"]

    def add_run(self, run: str, start: int, end: int) -> None:
        """Add the words of a run of letters, digits and signs."""
        if run.isalpha():
            self.words.append(run)
            self.length += 1
            return
        text = self.text
        run = run.replace(".", "0.", 1) if run.lstrip("-")[0] == "." else run
        if run[0] == "-" and text[start - 1 : start] in {"", "\n"}:  # a minus, or a list's mark
            self._add_words(self._compound(run[1:]).words)
        elif run[0].isdigit() and text.endswith(NEGATIVE, 0, start):
            run = "-" + run
        compound = self._compound(run)
        self._add_words(compound.words)
        self.length += min(len(compound.words.asked), 2)
        if compound.values:
            self._add_quantities(compound.values, start, end)
            self._add_thousands(run, compound.values[-1], start, end)
        if compound.model and text[start - 1 : start] == " ":
            self._add_model(compound.model, start)
        if compound.digits:
            self._add_group(compound.digits, start, end)

    def _add_words(self, words: Words) -> None:
        self.words += words.asked
        if self._passage:
            self.words += words.inner

    def _add_quantities(self, values: Sequence[str], start: int, end: int) -> None:
        """Add a number with what it counts: 2.5mg, 5$, 3个; and a date with its year."""
        text = self.text
        units = [unit_after(text, end)]
        multiplied = [times(value, text, end) for value in values]
        before = text[max(start - 2, 0) : start].strip(" ")[-1:]
        if before in MONEY:
            units.append(before)
        if text.endswith(PER_CENT, 0, start):
            units.append("%")
        self.words += [quantity(value, unit) for unit in units if unit for value in values]
        if half := HALF_DEGREE.match(text, end):  # 37度5
            self._take_back(values[-1], quantity(values[-1], "°"))
            self.words.append(f"{values[-1]}.{half[1]}°")
        for value, reached in filter(None, multiplied):
            money = [unit_after(text, reached), *units[1:]]
            self.words += [value, *(quantity(value, unit) for unit in money if unit)]
        if (
            len(values[0]) == 4
            and text[start - 1] == " "
            and (known := date_before(values[0], text, start))
        ):
            self._add_words(Words(known.words, known.inner))

    def _add_thousands(self, run: str, value: str, start: int, end: int) -> None:
        """Add what a long number counts whose groups stand behind spaces: 1 000 000 km, 1 234,56.

        What the last group would count by itself is asked for only where it may be meant.
        """
        groups = self._groups
        if (
            not groups
            or self.text[self._groups_end : start] != " "
            or not LAST_GROUP.fullmatch(run)
            or not THOUSANDS.fullmatch(" ".join(groups))
        ):
            return
        whole = "".join(groups) + value
        unit = unit_after(self.text, end)
        sure = len(groups) > 1 or not run.isdigit() or unit in MONEY
        if sure:
            self._take_back(value, *groups[1:], *([quantity(value, unit)] if unit else []))
        if not run.isdigit():
            self.words.append(whole)
        if unit:
            self.words.append(quantity(whole, unit))

    def _take_back(self, *words: str) -> None:
        """Let a query look for none of some words that are parts of a number, once each."""
        for word in () if self._passage else words:
            recent = range(len(self.words) - 1, max(len(self.words) - NEAR, -1), -1)
            place = next((place for place in recent if self.words[place] == word), None)
            if place is not None:
                del self.words[place]

    def _add_model(self, model: str, start: int) -> None:
        """Add a name whose second half stands behind a space: RTX 4090."""
        match = FIRST_HALF.search(self.text, max(start - LONGEST_FIRST_HALF - 2, 0), start)
        if match and joins_number(match[1]):
            self.words.append(match[1] + model)

    def _add_group(self, digits: str, start: int, end: int) -> None:
        if self.text[self._groups_end : start] not in GROUP_GAPS:
            self._close_groups()
        sign = "+" if not self._groups and self.text[start - 1 : start] == "+" else ""
        self._groups.append(sign + digits)
        self._groups_end = end

    def _close_groups(self) -> None:
        if len(self._groups) > 1:
            self.words += joined_groups(self._groups)
        self._groups = []
