"""What a question index and users' verdicts add to a search, with questions that people wrote.

XQuAD's questions stand for those that a language model would have written; they exist in Chinese
and in English, translated by people. Three things are measured over the paragraphs of a language:

- **other questions**: half of each paragraph's questions are stored, the other half, which ask for
  other facts, are asked. Nothing should be lost.
- **the same questions in other words**: all questions are stored, and asked in the other language.
  This is what a question index is for.
- **verdicts**: where the plain search puts a wrong paragraph first, a user says so and names the
  right one; then everything is asked again, in the same words and in the other language.

    python -m benchmarks.questions [--model NAME]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.quality import SHIPPED, Corpus, read_corpora
from rich.console import Console
from rich.table import Table

from trivec import Hit, HybridIndex, load_encoder
from trivec.encoders import MemoEncoder
from trivec.protocols import Encoder
from trivec.questions import QuestionIndex, QuestionOptions

__all__ = ["Measurement", "main", "measure", "missed_goals"]

PLAIN = QuestionOptions(use_questions=False, use_feedback=False)
MERGED = QuestionOptions()
ALONE = QuestionOptions(use_passages=False)
VARIANTS: Mapping[str, QuestionOptions] = {
    "passages alone": PLAIN,
    "questions alone": ALONE,
    "both": MERGED,
}

OTHERS, SAME = "other questions", "the same, in the other language"
JUDGED, REPEATED = "wrong before, in the same words", "wrong before, in the other language"
RIGHT = "right before"

# with `mini`: what may be lost at most, and what must be gained at least, of recall@1
MAY_LOSE = {OTHERS: 0.006, RIGHT: 0.02}
MUST_GAIN = {SAME: 0.05, JUDGED: 0.9}


@dataclass(frozen=True)
class Measurement:
    """What one way of searching reached for one group of questions."""

    corpus: str
    asked: str
    variant: str
    questions: int
    ndcg_at_10: float
    recall_at_1: float


@dataclass(frozen=True)
class Asked:
    """Questions with the paragraph that answers each."""

    name: str
    texts: tuple[str, ...]
    answers: tuple[str, ...]


def measure(corpus: Corpus, translated: Corpus, encoder: Encoder) -> list[Measurement]:
    """Measure everything over one language's paragraphs.

    Args:
        corpus: paragraphs and their questions.
        translated: the same questions in another language, under the same names.
        encoder: the model.
    """
    memo = MemoEncoder(encoder, size=100_000)
    names = list(corpus.questions)
    stored, others = _halves(corpus)
    rows = []
    with _opened(corpus, memo) as questions:
        questions.add(stored)
        rows += _compared(questions, corpus, _asked(OTHERS, others, corpus, corpus))
    with _opened(corpus, memo) as questions:
        questions.add(_by_paragraph(names, corpus))
        rows += _compared(questions, corpus, _asked(SAME, names, corpus, translated))
    with _opened(corpus, memo) as questions:
        rows += _judged(questions, corpus, translated)
    return rows


def _judged(questions: QuestionIndex, corpus: Corpus, translated: Corpus) -> Iterator[Measurement]:
    """Give verdicts where the first paragraph is wrong, and ask everything again."""
    names = list(corpus.questions)
    found = _search(questions, list(corpus.questions.values()), PLAIN)
    wrong = []
    for name, hits in zip(names, found, strict=True):
        right = corpus.answers[name]
        if hits[0].id != right:
            wrong.append(name)
            questions.add_feedback(corpus.questions[name], hits[0].id, "bad")
            questions.add_feedback(corpus.questions[name], right, "good")
    kept = [name for name in names if name not in set(wrong)]
    variants = {"without verdicts": PLAIN, "with verdicts": MERGED}
    for asked in (
        _asked(JUDGED, wrong, corpus, corpus),
        _asked(REPEATED, wrong, corpus, translated),
        _asked(RIGHT, kept, corpus, corpus),
    ):
        yield from _compared(questions, corpus, asked, variants)


def _compared(
    questions: QuestionIndex,
    corpus: Corpus,
    asked: Asked,
    variants: Mapping[str, QuestionOptions] = VARIANTS,
) -> Iterator[Measurement]:
    for variant, options in variants.items() if asked.texts else ():
        found = _search(questions, asked.texts, options)
        ndcg, recall = _score(asked.answers, found)
        yield Measurement(corpus.name, asked.name, variant, len(asked.texts), ndcg, recall)


def _search(
    questions: QuestionIndex, texts: Sequence[str], options: QuestionOptions
) -> list[list[Hit]]:
    return questions.search_batch(texts, 10, questions=options)


def _score(answers: Sequence[str], found: Sequence[Sequence[Hit]]) -> tuple[float, float]:
    import ir_measures

    relevant = {str(at): {answer: 1} for at, answer in enumerate(answers)}
    ranked = {
        str(at): {hit.id: float(-rank) for rank, hit in enumerate(hits)}
        for at, hits in enumerate(found)
    }
    ndcg, recall = ir_measures.nDCG @ 10, ir_measures.R @ 1
    scores = ir_measures.calc_aggregate([ndcg, recall], relevant, ranked)
    return scores[ndcg], scores[recall]


def _halves(corpus: Corpus) -> tuple[dict[str, list[str]], list[str]]:
    """Return every other question of each paragraph to store, and the names of the others."""
    names: dict[str, list[str]] = {}
    for name, answer in corpus.answers.items():
        names.setdefault(answer, []).append(name)
    stored = {
        answer: [corpus.questions[name] for name in of_one[::2]] for answer, of_one in names.items()
    }
    return stored, [name for of_one in names.values() for name in of_one[1::2]]


def _by_paragraph(names: Sequence[str], corpus: Corpus) -> dict[str, list[str]]:
    stored: dict[str, list[str]] = {}
    for name in names:
        stored.setdefault(corpus.answers[name], []).append(corpus.questions[name])
    return stored


def _asked(label: str, names: Sequence[str], corpus: Corpus, wording: Corpus) -> Asked:
    return Asked(
        label,
        tuple(wording.questions[name] for name in names),
        tuple(corpus.answers[name] for name in names),
    )


@contextmanager
def _opened(corpus: Corpus, encoder: Encoder) -> Iterator[QuestionIndex]:
    with (
        tempfile.TemporaryDirectory() as folder,
        HybridIndex.open(Path(folder) / "kb", encoder) as index,
        QuestionIndex.open(index) as questions,
    ):
        index.add(corpus.chunks)
        index.optimize()
        yield questions


def missed_goals(rows: Sequence[Measurement]) -> list[str]:
    """Say which goals were not reached; each compares the last way of searching with the first."""
    missed = []
    groups = dict.fromkeys((row.corpus, row.asked) for row in rows)
    for corpus, asked in groups:
        mine = [row for row in rows if (row.corpus, row.asked) == (corpus, asked)]
        gain = mine[-1].recall_at_1 - mine[0].recall_at_1
        least = MUST_GAIN.get(asked, -MAY_LOSE.get(asked, 1.0))
        if gain < least:
            missed.append(f"{corpus}, {asked}: recall@1 {gain:+.4f}, at least {least:+.4f}")
    return missed


def report(rows: Sequence[Measurement], console: Console) -> None:
    """Print a row for each group of questions and way of searching."""
    table = Table(title="Question index: nDCG@10 and recall@1")
    for name in ("paragraphs", "asked", "searched"):
        table.add_column(name)
    for name in ("questions", "nDCG@10", "recall@1", "goal"):
        table.add_column(name, justify="right")
    for at, row in enumerate(rows):
        is_last = at + 1 == len(rows) or rows[at + 1].asked != row.asked
        goal = ""
        if is_last and row.asked in MUST_GAIN:
            goal = f"+{MUST_GAIN[row.asked]}"
        elif is_last and row.asked in MAY_LOSE:
            goal = f"-{MAY_LOSE[row.asked]}"
        table.add_row(
            row.corpus,
            row.asked,
            row.variant,
            str(row.questions),
            f"{row.ndcg_at_10:.4f}",
            f"{row.recall_at_1:.4f}",
            goal,
            end_section=is_last,
        )
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and say which goals were missed."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.questions")
    parser.add_argument("--model", default="mini", help="name, folder or hub id of the encoder")
    options = parser.parse_args(arguments)
    encoder = load_encoder(options.model)
    english, chinese = read_corpora(SHIPPED)
    rows = [*measure(english, chinese, encoder), *measure(chinese, english, encoder)]
    console = Console(width=120)
    report(rows, console)
    missed = missed_goals(rows) if options.model == "mini" else []
    for line in missed:
        console.print(f"[red]missed[/red] {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
