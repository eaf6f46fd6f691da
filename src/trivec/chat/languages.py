"""Which language a text is in, as far as prompts and refusals exist in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, TypeVar, get_args

import regex

__all__ = ["LANGUAGES", "Language", "in_language", "language_of", "missing_texts", "told"]

Language: TypeAlias = Literal["en", "zh", "ja", "ko", "other"]
"""Of prompts and refusals. ``other`` is any other language: the prompts are English, and ask for a
reply in the language of the question or passage; the refusal is English."""

LANGUAGES: tuple[Language, ...] = get_args(Language)

READ = 4000
"""Characters of a text that its language is told by."""

T = TypeVar("T")

_HAN = regex.compile(r"\p{Han}")
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}ー]")
_HANGUL = regex.compile(r"\p{Hangul}")
# of Chinese alone: a Japanese text has none of these
_CHINESE = regex.compile(r"[么麼吗嗎这這们們呢哪怎您你很吧啊啥谁为对说没]")
# the grammar of Chinese, Japanese and Korean: without it their letters may be a name in English
_GRAMMAR = regex.compile(
    r"[么麼吗嗎这這们們呢哪怎您你很吧啊啥谁为对说没的是了请請]"
    r"|(?:[はがをにのでともか]|です|ます|ください)(?![\p{Han}\p{Hiragana}\p{Katakana}])"
    r"|(?:요|까|은|는|을|를|에서|니다|줘)(?!\p{Hangul})"
)
_RUNS = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}ー]++")
_WORDS = regex.compile(r"\p{L}[\p{L}\p{M}'’]*+")
# the commonest words of English, and those that other languages have too, in other meanings
_ENGLISH_ALONE = (
    *("the", "and", "are", "were", "what", "who", "whom", "whose", "when", "where", "why", "how"),
    *("which", "that", "this", "these", "those", "does", "did", "has", "have", "can", "could"),
    *("should", "would", "with", "from", "for", "into", "about", "there", "their", "its", "it"),
    *("by", "not", "if", "than", "your"),
)
_SHARED = ("was", "do", "in", "on", "to", "an", "or", "my", "is", "of", "had", "will")
_ENGLISH = frozenset((*_ENGLISH_ALONE, *_SHARED))


def language_of(text: str) -> Language:
    """Return the language of a question or passage, by its letters and its commonest words.

    Kana make a text Japanese and Hangul Korean, unless it is Chinese or English around them; Han
    characters make it Chinese. A single name of theirs leaves an English sentence English. A text
    in Latin letters is English where it has a word that only English has, or is too short to tell;
    else ``other``, as in all other scripts.
    """
    text = text[:READ]
    han, kana, hangul = (len(letters.findall(text)) for letters in (_HAN, _KANA, _HANGUL))
    words = [word.lower() for word in _WORDS.findall(text)]
    english = sum(word in _ENGLISH for word in words)
    if han + kana + hangul > 2 * english and not (english > 1 and _is_name(text)):
        if hangul > han + kana:
            return "ko"
        return "ja" if kana and not (han > kana and _CHINESE.search(text)) else "zh"
    if english * 6 >= len(words) and any(word in _ENGLISH_ALONE for word in words):
        return "en"
    foreign = any(character.isalpha() and not character.isascii() for character in text)
    return "other" if foreign or len(words) > 2 else "en"


def _is_name(text: str) -> bool:
    return len(_RUNS.findall(text)) == 1 and not _GRAMMAR.search(text)


def in_language(texts: Mapping[Language, T], language: Language) -> T:
    """Return what there is for a language; else the English."""
    return texts[language] if language in texts else texts["en"]


def told(texts: Mapping[Language, str], language: Language, *, of: str, write: str) -> str:
    """Return instructions for a language; in English, with what to write in, where none exist.

    Args:
        texts: the instructions by language.
        language: of what the model is given.
        of: what that is: ``question`` or ``passage``.
        write: what it is to write: ``keywords``, for instance.
    """
    if language in texts:
        return texts[language]
    return f"{texts['en']} Write the {write} in the language of the {of}."


def missing_texts(texts: Mapping[Language, object], language: Language | None) -> list[str]:
    """Return the languages that instructions of one's own lack.

    Args:
        texts: the instructions by language.
        language: the only one that is used; None where each text decides.
    """
    if language is None:
        return sorted({"en", "zh"} - set(texts))
    if language in texts or (language in LANGUAGES and "en" in texts):
        return []
    return [language]
