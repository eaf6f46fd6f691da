"""The model's own word for a refusal, in whatever dress it comes."""

from __future__ import annotations

import regex

__all__ = ["NO_EVIDENCE", "refuses", "shown_until"]

NO_EVIDENCE = "NO_EVIDENCE"
"""What the model is told to say, alone, when the passages do not hold the answer."""


def _letters(word: str) -> str:
    """Return a pattern for a word in letters of usual or full width."""
    return "".join(f"[{letter}{chr(ord(letter) + 0xFEE0)}]" for letter in word)


_LABEL = (
    r"(?:final\s)?(?:answer|response|reply)|antwort|réponse|respuesta|risposta|resposta"
    r"|回答|答案|答|最终答案|最終答案|回复|回覆|答え|답변|답"
)
_OPEN = r"[\"'“”‘’«»„`*_~#>\-–—•(\[{<（［【〔「『《〈：:]"
_CLOSE = r"[\"'“”‘’«»`*_~)\]}>）］】〕」』》〉.,:;!。．，：；！…\s\\]"
_TOKEN = rf"{_letters('no')}\\?[_＿]{_letters('evidence')}"
_LOOSE = (
    rf"(?:{_letters('no')}[\s_＿\\-]{{0,3}}{_letters('evidence')}"
    r"|[无無]证据|[没沒]有[证證][据據]|無證據|証拠なし|根拠なし|증거\s?없음|근거\s?없음)"
)
# The word ends where no letter of a Latin word follows: Han and kana are written without blanks.
_ENDS = r"(?![\p{Latin}\d])"

# at the beginning of a reply, behind a label and quotation marks
_FIRST = regex.compile(
    rf"\s{{0,40}}(?:{_OPEN}\s{{0,3}}){{0,8}}(?:(?:{_LABEL})\s{{0,3}}(?:{_OPEN}\s{{0,3}}){{1,8}})?"
    rf"(?:(?P<token>{_TOKEN})(?:{_ENDS}|(?-i:(?<=E)(?=[A-Z])))|{_LOOSE}(?!\w))",
    regex.IGNORECASE,
)
# anywhere, with the marks before it; at the end, or on a line of its own, with those behind it too
_WORD = rf"{_OPEN}{{0,8}}(?<![\p{{Latin}}\d]){_TOKEN}{_ENDS}"
_ANYWHERE = regex.compile(_WORD, regex.IGNORECASE)
_CLOSING = regex.compile(rf"(?:[\s_](?:was\s|is\s)?found)?{_CLOSE}{{0,20}}+\Z", regex.IGNORECASE)
_LAST = regex.compile(rf"{_WORD}{_CLOSE}{{0,20}}+\Z", regex.IGNORECASE)
# a sentence of its own, what it says in brackets included
_OWN_SENTENCE = regex.compile(
    rf"(?:^|(?<=[.!?。！？\])])\s)[^\S\n]{{0,12}}{_WORD}(?:(?!\n){_CLOSE}){{0,20}}+(?:$|[(（—–])",
    regex.IGNORECASE | regex.MULTILINE,
)


def refuses(reply: str, *, is_cited: bool) -> bool:
    """Say whether a reply is a refusal.

    It is where the word stands at its beginning, at its end or as a sentence of its own, or
    anywhere in a reply that cites no passage. ``no evidence`` in plain words, English or not, is
    one only where it is all.

    Args:
        reply: what the model said, without its thoughts.
        is_cited: whether it cites passages that it was given.
    """
    first = _FIRST.match(reply)
    if first is not None and (first["token"] or _CLOSING.match(reply, first.end())):
        return True
    if not is_cited:
        return bool(_ANYWHERE.search(reply))
    return bool(_LAST.search(reply) or _OWN_SENTENCE.search(reply))


def shown_until(held: str, *, is_beginning: bool) -> tuple[int, bool]:
    """Return how much of a reply may be shown although it goes on, and whether that is all.

    What may become the word of a refusal is not shown. Once the word is there, nothing is until
    the reply has ended.

    Args:
        held: what has not been shown yet.
        is_beginning: whether nothing was shown before it.
    """
    if is_beginning:
        first = _FIRST.match(held, partial=True)
        if first is not None and (first.partial or _CLOSING.match(held, first.end(), partial=True)):
            return 0, False
        if first is not None and first["token"]:
            return 0, True
    later = _ANYWHERE.search(held, partial=True)
    if later is None:
        return len(held), False
    # of what came together with the word nothing is shown: the refusal takes its place
    return (later.start(), False) if later.partial else (0, True)
