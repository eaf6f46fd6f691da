"""Keywords and sub-questions in a reply without JSON: a list, a table, or words between commas."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["listed", "names_keywords", "names_sub_questions", "without_bullet"]

MOST_WORDS = 7
"""Of a keyword; what is longer is a sentence about the keywords."""

_STRING = re.compile(r'(?<!\\)"((?:[^"\\\n]|\\.){0,400})"(\s{0,9}:)?')
_SEPARATORS = re.compile(
    r"[\n，、;；|،؛]+|(?<!\d),+|,+(?!\d{3}(?!\d))|\s/\s|[①-⑳❶-❿]|[（(]\d{1,2}[）)]|\d\ufe0f?\u20e3"
    r"|(?<=[\"”`」])\s{1,3}(?:OR\s|AND\s)?(?=[\"“`「])|(?<=\S)\s#(?=[^\W\d])"
)
_ITEM = re.compile(
    r"\s{0,20}(?:[-*+•·–—→➤►▶●○◦▪▫■□◆◇✅✓✔☑]\ufe0f?\s{1,9}|[•●▪・]|\[\d{1,2}\]\s"
    r"|\(?[a-z]\)\s|(?:i{1,3}|iv|vi{0,3}|ix|x)[.)]\s|[一二三四五六七八九十]{1,2}[、.．]"
    r"|\(?\d{1,2}(?:[.)](?!\d)\s{0,9}|[、:：](?!\d)))(?=\S)"
)
_RULE = re.compile(r"\s{0,9}\|?\s{0,9}:?-{2,200}:?[\s|:-]{0,200}")
_TAG = re.compile(
    r"</?(?:(?:search[ _-]?)?(?:keyword|term|phrase)s?"
    r"|answer|output|result|response|list|item|[uo]l|li|p|br|b)/?>",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(r"^\s{0,9}\w{1,30}\s{0,3}=\s{0,3}(?=[\[{(\"'])")
_BOXED = re.compile(r"\\(?:boxed|text)\{([^{}\n]{0,400})\}")
_CITED = re.compile(r"\s{1,3}\[\d{1,2}\]$")
_NOTHING = frozenset(
    (
        *("null", "none", "nil", "undefined", "n/a", "nan", "no keywords", "no_keywords", "empty"),
        *("无", "無", "空", "没有", "なし", "없음"),
    )
)
"""Replies of one word that say: no keywords."""

_MENTION = re.compile(
    r"(?<![a-z])(?:keywords?|terms?|phrases?|queries|final answer|answer|output|mots[- _]?cl[ée]s?"
    r"|palabras[ _]clave|palavras[- _]chave|parole[ _]chiave|schlüsselwörter|schlagwörter"
    r"|stichw[oö]rter|suchbegriffe|trefwoorden|słowa kluczowe|anahtar kelimeler|từ khóa|kata kunci)"
    r"(?![a-z])|ключевые слова|الكلمات المفتاحية|كلمات مفتاحية|คำสำคัญ|कीवर्ड"
    r"|关键词|關鍵詞|关键字|關鍵字|检索词|檢索詞|搜索词|術語|术语|キーワード|検索語|키워드|검색어",
    re.IGNORECASE,
)
_SUB_QUESTIONS = re.compile(
    r"^(?:sub[ _-]?(?:questions?|quer(?:y|ies))|questions?|子问题|子問題|子查询|サブ質問|サブクエリ"
    r"|下位の?質問|小問|하위[ _-]?(?:질문|쿼리))$",
    re.IGNORECASE,
)
_ARE = re.compile(
    r"\s{0,9}(?:the )?(?:search )?(?:keywords?|terms?) (?:are|include) ", re.IGNORECASE
)
_BOLD = re.compile(r"\*\*([^*\n]{1,64})\*\*|__([^_\n]{1,64})__")
_EXPLAINED = re.compile(r"\s{1,3}[-–—]\s{1,3}|[:：]\s|：")
# a line about the keywords rather than of them: a preamble, an apology, an offer
_ABOUT = re.compile(
    r"[\s*_#>\"'“「]{0,9}(?:"
    r"(?:sure|certainly|of course|absolutely|okay|great|sorry|apologies|unfortunately|as an ai)\b"
    r"|(?:here|these|below|following|the following|i hope|hope|let me know|feel free|please|note)\b"
    r"|(?:i|we)(?:['’]|\s)(?:m|am|ll|have|can|can['’]t|could|would|will|cannot|do|don['’]t|did|need"
    r"|understand)\b|(?:based on|given) (?:the|your)\b"
    r"|(?:lo siento|perdón|lamento|desculpe|entschuldigung|es tut mir leid|leider|je suis désolée?"
    r"|désolée?|mi dispiace|извините|простите|к сожалению|przepraszam|üzgünüm|xin lỗi|maaf)\b"
    r"|عذر|آسف|للأسف|ขออภัย|क्षमा"
    r"|抱歉|对不起|對不起|很遗憾|当然|當然|好的|以下|下面|根据|根據|希望|请注意|注意|我|如果"
    r"|(?:该|此|这个|這個|本)(?:问题|問題)"
    r"|申し訳|すみません|もちろん|承知|はい|죄송|물론|다음은)",
    re.IGNORECASE,
)
_AGREED = re.compile(
    r"\s{0,9}(?:sure|certainly|of course|absolutely|okay|好的|当然|當然|はい|もちろん|물론)"
    r"[!！.。]\s{0,3}",
    re.IGNORECASE,
)
# a base model goes on with the next example
_NEXT = re.compile(
    r"^[\s*]{0,9}(?:question|q|user|human|input|问题|問題|提问|質問|질문)[*\s]{0,3}[:：]",
    re.IGNORECASE,
)
_DRESS = " \t\"'`“”‘’「」『』《》[]()（）{}<>。.*_~#:："


def listed(text: str) -> tuple[list[str], list[str]]:
    """Return the keywords of a text and its sub-questions, as far as they stand below a heading."""
    text = _BOXED.sub(r"\1", _ASSIGNED.sub("", _TAG.sub("\n", text)))
    if text.strip(_DRESS + "，,").casefold() in _NOTHING or not text.strip(_DRESS + "-"):
        return [], []
    begun = text.lstrip()[:1]
    if begun in ("[", "{") and (whole := _STRING.findall(text)):  # JSON that was cut off
        return [string for string, colon in whole if not colon], []
    lines = [line for line in text.split("\n") if line.strip()]
    lines, questions = _sections(lines)
    return _keywords(lines), questions


def names_keywords(name: str) -> bool:
    """Say whether a name, of a JSON key or a line, is that of keywords."""
    return len(name.split()) <= MOST_WORDS and bool(_MENTION.search(name))


def names_sub_questions(name: str) -> bool:
    """Say whether a name, of a JSON key or a line, is that of sub-questions."""
    return bool(_SUB_QUESTIONS.match(name.strip(_DRESS)))


def without_bullet(line: str) -> str:
    """Return an item of a list without its bullet or number; another line as it is."""
    match = _ITEM.match(line)
    return line if match is None else line[match.end() :]


def _sections(lines: list[str]) -> tuple[list[str], list[str]]:
    """Return the lines of keywords, and the items below a heading of sub-questions."""
    keywords: list[str] = []
    questions: list[str] = []
    for at, line in enumerate(lines):
        label, colon, rest = _labelled(line)
        is_heading = not rest.strip(_DRESS) and not _ITEM.match(line)
        if is_heading and names_sub_questions(label):
            below = map(without_bullet, lines[at + 1 :])
            questions = [item for item in below if not _ABOUT.match(item)]
            break
        if colon and _NEXT.match(line):
            if keywords:
                break
            continue
        keywords.append(line)
    return keywords, questions


def _keywords(lines: list[str]) -> list[str]:
    rule = next((at for at, line in enumerate(lines) if _RULE.fullmatch(line)), None)
    if rule and "|" in lines[rule - 1]:  # a table, whose first column counts
        cells = [
            row.strip().strip("|").partition("|")[0] for row in lines[rule + 1 :] if "|" in row
        ]
        return [piece for cell in cells for piece in _SEPARATORS.split(cell)]
    items = [line[match.end() :] for line in lines if (match := _ITEM.match(line))]
    if len(items) > 1 or (items and len(lines) > 1):
        return _uncited(piece for item in items for piece in _SEPARATORS.split(_unexplained(item)))
    pieces = [piece for line in lines for piece in _SEPARATORS.split(_unlabelled(line))]
    return _uncited(without_bullet(piece) for piece in pieces if not _is_sentence(piece))


def _uncited(pieces: Iterable[str]) -> list[str]:
    return [_CITED.sub("", piece.rstrip()) for piece in pieces]


def _unexplained(item: str) -> str:
    """Return the keyword of a list's item: what is bold, or stands before its explanation."""
    bold = _BOLD.match(item)
    if bold is not None:
        return str(bold[1] or bold[2])
    keyword, explanation = [*_EXPLAINED.split(item, maxsplit=1), ""][:2]
    return keyword if len(explanation.split()) > MOST_WORDS or not explanation else item


def _unlabelled(line: str) -> str:
    """Return the keywords of a line: what stands behind its label; nothing of a line about them."""
    line = _AGREED.sub("", _ARE.sub("", line), count=1)
    line = line.lstrip("# ")
    label, colon, rest = _labelled(line)
    if colon and (not rest.strip() or _ABOUT.match(label) or names_keywords(label)):
        return rest
    return "" if _ABOUT.match(line) else line


def _labelled(line: str) -> tuple[str, str, str]:
    return line.partition("：" if "：" in line and ":" not in line else ":")


def _is_sentence(piece: str) -> bool:
    stripped = piece.strip()
    ends = stripped.endswith((".", "!", "?", "。", "！", "？"))
    return (ends and len(stripped.split()) > 3) or len(stripped.split()) > MOST_WORDS
