"""Text from outside, quoted in a prompt: readable, and never the prompt's own structure.

What could be taken for structure is looked for in a *skeleton* of the text: without characters that
nobody sees, in the compatibility form of Unicode (NFKC), without case and accents, so that no
dress of a character hides it. The text itself keeps its characters. All patterns are linear.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import regex

from trivec.chat.citations import citations
from trivec.text import clean

__all__ = ["quoted_passage", "quoted_text"]

# Nobody sees these: Unicode calls them ignorable, or they only mark up other text. Two that join
# letters and emoji, and two that choose between forms, stay where they may do so: not beside ASCII.
_UNSEEN = regex.compile(
    r"""(?V1)
      [\p{Default_Ignorable_Code_Point}--[\u200C\u200D\uFE0E\uFE0F]] | [\uFFF9-\uFFFB]
    | (?<=[\x00-\x7F]) [\u200C\u200D\uFE0E\uFE0F]++
    | [\u200C\u200D\uFE0E\uFE0F]++ (?=[\x21-\x7F])
    """,
    regex.VERBOSE,
)
_LINE_ENDS = str.maketrans("\u2028\u2029", "\n\n")

# What looks like the prompt's structure without any property of Unicode that tells: letters of
# Cyrillic and Greek, angle brackets, slashes, bars, colons.
_LOOK_ALIKES = str.maketrans(
    "аеорсухіјѕһԁԛԝкмтвнαεορυχικτνβηı‹〈⟨❬❮˂ᐸ≺⧼›〉⟩❭❯˃ᐳ≻⧽⁄∕⧸╱ǀ∣❘￨│ː∶꞉։",
    "aeopcyxijshdqwkmtbhaeopuxiktvbhi" + "<" * 9 + ">" * 9 + "/" * 4 + "|" * 5 + ":" * 4,
)


@lru_cache(maxsize=65_536)
def _plain(character: str) -> str:
    """Return what a character amounts to in the skeleton; nothing for marks and unseen ones."""
    if _UNSEEN.match(character) or character in "\u200c\u200d\ufe0e\ufe0f":
        return ""
    parts = unicodedata.normalize("NFKD", character)
    bare = "".join(part for part in parts if not unicodedata.category(part).startswith("M"))
    return unicodedata.normalize("NFC", bare).casefold().translate(_LOOK_ALIKES)


def _skeleton(text: str) -> tuple[str, list[int] | None]:
    """Return a text's skeleton, and where each of its characters stands; None: where it does."""
    if text.isascii():
        return text.lower(), None
    plain = [_plain(character) for character in text]
    places = [place for place, part in enumerate(plain) for _ in part]
    return "".join(plain), places


_TAG_NAMES = (
    "passages?|contexts?|documents?|sources?|data|questions?|answers?|instructions?|system|user|"
    "assistant|human|developer|tool|think|terms|s|start_of_turn|end_of_turn"
)
_ROLES = (
    "systems?|users?|assistants?|humans?|developers?|instructions?|questions?|answers?|ai|bot|tool|"
    "系统|系統|用户|用戶|助手|助理|问题|問題|回答|答案|指令|提示|人类|人類|开发者|"
    "システム|ユーザー|アシスタント|質問|指示|시스템|사용자|어시스턴트|질문|답변"
)
# our own delimiters, what other prompts use for theirs, the special tokens of chat templates, and
# lines that begin with a role; in the skeleton, with what each begins with in the quotation
_STRUCTURE = (
    (
        regex.compile(rf"<(?=\s*+(?:/?\s*+(?:{_TAG_NAMES})(?![^\W_])|\||<\s*+/?\s*+sys))"),
        "‹",
    ),
    (regex.compile(r"(?<=\|)>"), "›"),
    (regex.compile(r"\[(?=\s*+/?\s*+inst\s*+\])"), "⟦"),
)
_ROLE = regex.compile(
    rf"^(?=[^\p{{L}}\p{{N}}\n]*+(?:\d{{1,3}}[^\p{{L}}\p{{N}}\n]++)?(?:{_skeleton(_ROLES)[0]})"
    r"(?![^\W_])[^\p{L}\p{N}\n:]{0,20}+:)",
    regex.MULTILINE,
)
_BRACKETS = "[]【】［］〔〕〖〗()（）〈〉《》「」『』{}"


def quoted_text(text: str) -> str:
    """Return a text in which nothing can be read as a delimiter or special token."""
    visible = _UNSEEN.sub("", clean(text).translate(_LINE_ENDS))
    skeleton, places = _skeleton(visible)
    characters = list(visible)
    for pattern, mark in _STRUCTURE:
        for match in pattern.finditer(skeleton):
            at = match.start() if places is None else places[match.start()]
            characters[at] = mark
    return "".join(characters)


def quoted_passage(text: str) -> str:
    """Return the same, in which no line begins with a role and no number reads as a citation."""
    quoted = "\n".join(map(_without_role, quoted_text(text).split("\n")))
    pieces, start = [], 0
    for citation in citations(quoted):
        inside = quoted[citation.start : citation.end].strip(_BRACKETS)
        if inside.startswith(("<", "\\cite")):
            inside = ", ".join(map(str, citation.numbers))
        pieces += [quoted[start : citation.start], f"⟦{inside}⟧"]
        start = citation.end
    return "".join([*pieces, quoted[start:]])


def _without_role(line: str) -> str:
    return f"› {line}" if _ROLE.match(_skeleton(line)[0]) else line
