"""How well passages bear on a question or a sentence, by late interaction of the same encoder.

A fused score says nothing about relevance, so no threshold lies on one. MaxSim, the mean over the
tokens of a text of each one's most similar token in a passage (Khattab and Zaharia 2020,
https://arxiv.org/abs/2004.12832), does; but what any passage at all scores depends on the model, on
the language and on the text. So it is measured from there: 0 is what passages about nothing in
particular score with the same text, 1 is a passage that holds every token of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trivec._runtime.checks import check_least
from trivec._runtime.lazy import Lazy
from trivec._runtime.typed import checked
from trivec.answers.background import BACKGROUND
from trivec.answers.packing import sentences
from trivec.chat.prompts import Language
from trivec.colbert import max_sim
from trivec.encoders.memo import MemoEncoder
from trivec.errors import InputError, ModelError
from trivec.protocols import Encoder
from trivec.types import EncoderInfo, Encoding, FloatArray, Hit

__all__ = [
    "Judge",
    "Measured",
    "SentenceHit",
    "best_sentences",
    "is_crossed",
    "measured_thresholds",
]

READ_FOR_EVIDENCE = 3
"""Passages that are compared with a question: with 1, 2, 3, 5 or 8 of them the same questions were
refused, within a hundredth, on CMRC and DRCD."""

LEAST_OTHERS = 3
"""Later passages that the first three must be compared with before their lead says something."""

REMEMBERED = 256
"""Texts whose token vectors are kept for one answer: what is judged as evidence is cited later."""

SHARED_WORDS = 0.25
"""Share of a question's words below which the passages are in another language. A question shares
its small words with passages of its own language, whatever they are about: of 250 questions in
German and in Spanish, 95 % shared a quarter with ten passages that did not answer them. With those
of the other language 95 % shared less."""

ENOUGH_WORDS = 200
"""Distinct words that passages must have before it means something that a question shares none."""

CHINESE_SHARE = 0.1
"""Han characters of a text that make it Chinese: English passages quote a name here and there."""

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]|[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Measured:
    """Thresholds that were chosen on labelled text for one model.

    Attributes:
        evidence: the least that the best passage must bear on a question.
        crossed: the same where the passages are in another language than the question.
        support: the least that a cited passage must bear on a sentence.
        lead: the least lead of the best passage where they are in another language; it decides
            there in place of ``crossed`` where enough passages were found. None: not measured.
    """

    evidence: float
    crossed: float
    support: float
    lead: float | None = None


MEASURED: Mapping[str, Measured] = {
    # mini, exported or not
    "4ab36a7b5ddf3bde69abe94b56d9c8da036eb424850ce1ee5fe257b3c3a7bd46": Measured(
        evidence=0.351, crossed=0.26, support=0.36, lead=0.0325
    ),
}
"""By ``EncoderInfo.weights``; chosen by ``scripts/calibrate_mini.py``, see docs/answering.md."""


@dataclass(frozen=True, slots=True)
class SentenceHit:
    """A sentence that may answer a question.

    Attributes:
        text: the sentence.
        score: its MaxSim: the mean, over the question's tokens, of the most similar token.
        hit: the passage that it stands in.
    """

    text: str
    score: float
    hit: Hit


def measured_thresholds(info: EncoderInfo) -> Measured | None:
    """Return the thresholds that were chosen for a model; None where none were."""
    return MEASURED.get(info.weights)


def is_crossed(question: str, passages: Sequence[str]) -> bool:
    """Say whether passages are in another language than a question: they share hardly a word.

    In writing without spaces every character is a word here. Where the passages have too few words,
    only the script tells.
    """
    if not passages:
        return False
    asked = set(_WORD.findall(question.casefold()))
    told = {word for text in passages for word in _WORD.findall(text.casefold())}
    if len(told) < ENOUGH_WORDS and _language(question) == _language("".join(passages)):
        return False
    return len(asked & told) < SHARED_WORDS * len(asked)


class Judge:
    """Measures how well passages bear on a question, and on a sentence that cites them.

    The token vectors of the passages about nothing in particular are computed once, at the first
    judgement. Safe to use from several threads.

    Args:
        encoder: an encoder with a ColBERT head.

    Raises:
        InputError: the encoder has none.
    """

    @checked
    def __init__(self, encoder: Encoder) -> None:
        _require_colbert(encoder)
        self._encoder = encoder
        self._background = Lazy(lambda: _encoded_background(encoder))

    @property
    def info(self) -> EncoderInfo:
        """What identifies the encoder."""
        return self._encoder.info

    def remembering(self) -> Judge:
        """Return a judge for one answer, which encodes no passage twice."""
        other = Judge(MemoEncoder(self._encoder, heads=("colbert",), size=REMEMBERED))
        other._background = self._background
        return other

    @checked
    def evidence(self, question: str, passages: Sequence[str]) -> float:
        """Return how well the best of the first three passages bears on a question.

        Args:
            question: what was asked.
            passages: what was found, best first, at least one.

        Returns:
            0 for what any passage scores, 1 for every token found; below 0 is possible.

        Raises:
            InputError: there are no passages.
        """
        if not passages:
            raise InputError("there are no passages, so there is no evidence: 'no_hits'")
        read = list(passages[:READ_FOR_EVIDENCE])
        asked = _rows(self._encoder.encode_queries([question], heads=("colbert",)))[0]
        token_rows = _rows(self._encoder.encode_documents(read, heads=("colbert",)))
        return max(
            _above(self._floor(asked, _language(text)), asked, rows)
            for text, rows in zip(read, token_rows, strict=True)
        )

    @checked
    def lead(self, question: str, passages: Sequence[str]) -> float | None:
        """Return how far the best of the first three passages lies above the later ones.

        What any passage scores depends on the pair of languages. The later passages of the same
        question are of that pair too, so that the difference travels where the score does not.

        Args:
            question: what was asked.
            passages: what was found, best first.

        Returns:
            The difference in mean MaxSim; None where fewer than three passages come later.
        """
        later = len(passages) - READ_FOR_EVIDENCE
        if later < LEAST_OTHERS:
            return None
        asked = _rows(self._encoder.encode_queries([question], heads=("colbert",)))[0]
        rows = _rows(self._encoder.encode_documents(list(passages), heads=("colbert",)))
        scores = _mean_max_sim(asked, rows)
        return float(scores[:READ_FOR_EVIDENCE].max() - scores[READ_FOR_EVIDENCE:].mean())

    @checked
    def support(self, cited: Sequence[tuple[str, Sequence[str]]]) -> list[float]:
        """Return how well passages bear on sentences; all are encoded in one call.

        Args:
            cited: sentences, each with the passages that it cites, at least one. They are compared
                with it together, since each may bear a part of it.

        Returns:
            For each sentence 0 for what any passage scores, 1 for every token found.
        """
        texts = [sentence for sentence, _ in cited]
        texts += [passage for _, passages in cited for passage in passages]
        distinct = list(dict.fromkeys(texts))
        encoded = self._encoder.encode_documents(distinct, heads=("colbert",))
        rows = dict(zip(distinct, _rows(encoded), strict=True))
        return [
            _above(
                self._floor(rows[sentence], _language("".join(passages))),
                rows[sentence],
                np.concatenate([rows[passage] for passage in passages]),
            )
            for sentence, passages in cited
        ]

    def _floor(self, rows: FloatArray, language: Language) -> float:
        """Return what passages about nothing in particular score with a text."""
        return float(np.mean(_mean_max_sim(rows, self._background()[language])))


@checked
def best_sentences(
    question: str, hits: Sequence[Hit], encoder: Encoder, *, most: int = 5
) -> list[SentenceHit]:
    """Return the sentences of what was found that come nearest to a question, best first.

    This is an answer without a language model: the evidence itself. All sentences are encoded in
    one call; one that stands in several passages counts once, in the first.

    Args:
        question: what was asked.
        hits: what was found.
        encoder: an encoder with a ColBERT head.
        most: at most so many.

    Raises:
        InputError: a blank question, ``most`` below 1, or an encoder without a ColBERT head.
    """
    if not question.strip():
        raise InputError("the question is blank; give it at least one word")
    check_least("most", most, 1)
    _require_colbert(encoder)
    origin: dict[str, Hit] = {}
    for hit in hits:
        for sentence in sentences(hit.chunk.text):
            origin.setdefault(sentence.text, hit)
    if not origin:
        return []
    asked = _rows(encoder.encode_queries([question], heads=("colbert",)))[0]
    rows = _rows(encoder.encode_documents(list(origin), heads=("colbert",)))
    scores = _mean_max_sim(asked, rows).tolist()
    ranked = sorted(zip(origin, scores, strict=True), key=lambda pair: pair[1], reverse=True)
    return [SentenceHit(text, score, origin[text]) for text, score in ranked[:most]]


def _require_colbert(encoder: Encoder) -> None:
    if "colbert" not in encoder.info.heads:
        raise InputError(
            f"{encoder.info.model!r} has the heads {list(encoder.info.heads)}; evidence and "
            "support are measured with 'colbert', use an encoder of BGE-M3's shape"
        )


def _encoded_background(encoder: Encoder) -> Mapping[Language, list[FloatArray]]:
    texts = [text for passages in BACKGROUND.values() for text in passages]
    rows = iter(_rows(encoder.encode_documents(texts, heads=("colbert",))))
    return {language: [next(rows) for _ in passages] for language, passages in BACKGROUND.items()}


def _above(floor: float, rows: FloatArray, passage: FloatArray) -> float:
    """Return where the score of a passage lies between a floor and 1."""
    score = float(_mean_max_sim(rows, [passage])[0])
    return (score - floor) / max(1.0 - floor, 1e-6)


def _language(passage: str) -> Language:
    """Return whose background a passage is compared with."""
    return "zh" if len(_HAN.findall(passage)) > CHINESE_SHARE * len(passage) else "en"


def _mean_max_sim(rows: FloatArray, passages: Sequence[FloatArray]) -> FloatArray:
    return np.asarray(max_sim(rows, passages) / max(len(rows), 1), dtype=np.float32)


def _rows(encodings: Sequence[Encoding]) -> list[FloatArray]:
    rows = [encoding.colbert for encoding in encodings if encoding.colbert is not None]
    if len(rows) < len(encodings):
        raise ModelError("the encoder gave no colbert vectors, though its info lists them")
    return rows
