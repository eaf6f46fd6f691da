"""What is known of questions and their passages without any search: languages, shared words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trivec.bm25 import Bm25Analyzer
from trivec.chat.languages import Language, language_of
from trivec.evaluation.dataset import Question

__all__ = ["Features", "features_of"]


@dataclass(frozen=True, slots=True)
class Features:
    """What is known of a question and its passage.

    Attributes:
        language: of the question.
        crosses: whether its passage is in another.
        shared: the share of its words that its passage has, 0 to 1. Words count by how rare they
            are among the passages, so that "the" is worth little.
    """

    language: Language
    crosses: bool
    shared: float


def features_of(questions: Sequence[Question], texts: Mapping[str, str]) -> list[Features]:
    """Return what is known of each question.

    Args:
        questions: with their relevant passages.
        texts: of passages, by id; one that is absent shares nothing.
    """
    analyzer = Bm25Analyzer()
    terms = {key: set(analyzer.terms(text)) for key, text in texts.items()}
    rarity = _rarity(terms)
    languages: dict[str, Language] = {}
    found = []
    for question in questions:
        language = language_of(question.text)
        known = [key for key in question.relevant if key in texts]
        for key in known[:1]:
            languages.setdefault(key, language_of(texts[key]))
        asked = set(analyzer.terms(question.text))
        whole = sum(rarity.get(word, rarity[""]) for word in asked)
        shared = [sum(rarity[word] for word in asked & terms[key]) for key in known]
        found.append(
            Features(
                language,
                any(languages[key] != language for key in known[:1]),
                max(shared, default=0.0) / whole if whole else 0.0,
            )
        )
    return found


def _rarity(terms: Mapping[str, set[str]]) -> dict[str, float]:
    """Return BM25's inverse document frequency of every term; under "" that of one not there."""
    counts = Counter(term for words in terms.values() for term in words)
    counts[""] = 0
    return {
        term: math.log(1 + (len(terms) - count + 0.5) / (count + 0.5))
        for term, count in counts.items()
    }
