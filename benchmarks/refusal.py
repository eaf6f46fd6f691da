"""Whether questions that an index cannot answer are refused, and those that it can are not.

The articles of XQuAD are dealt out to two halves, which are two corpora: one is indexed, its own
questions can be answered, the other half's cannot. They are asked in the language of the passages
and in the other one. So are the reported lay questions, for which there is no goal. The thresholds
are those that ``mini`` ships with, which were chosen on other text (docs/answering.md): nothing is
chosen here.

    python -m benchmarks.refusal [--data FOLDER] [--questions 600]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks.rewriting import REPORT, read_gap
from rich.console import Console
from rich.table import Table

from trivec import Chunk, HybridIndex, RagPipeline, load_encoder
from trivec.answers.evidence import measured_thresholds
from trivec.encoders import MemoEncoder
from trivec.protocols import Encoder
from trivec.types import ALL_HEADS

__all__ = ["Refused", "main", "measure", "run"]

SHIPPED = Path(__file__).parent / "data"
CORPORA = ("xquad.zh", "xquad.en")
SEED = 0


@dataclass(frozen=True)
class Goal:
    """The least share of unanswerable questions refused, and the most of answerable ones."""

    unanswerable: float
    answerable: float


AT_HOME = Goal(0.95, 0.05)
CROSSED = Goal(0.85, 0.10)
NONE = Goal(0.0, 1.0)


@dataclass(frozen=True)
class Half:
    """The paragraphs and questions of half of the articles."""

    paragraphs: tuple[str, ...]
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Refused:
    """Which shares of how many questions were refused, answerable ones first."""

    corpus: str
    questions: tuple[int, int]
    answerable: float
    unanswerable: float
    goal: Goal = AT_HOME

    @property
    def reaches_goals(self) -> bool:
        return (
            self.unanswerable >= self.goal.unanswerable and self.answerable <= self.goal.answerable
        )


def read_halves(path: Path) -> tuple[Half, Half]:
    """Deal the articles of a SQuAD-shaped file out by turns."""
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    first, second = (_half(articles[start::2]) for start in (0, 1))
    return first, second


def _half(articles: Sequence[dict]) -> Half:
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    return Half(
        tuple(dict.fromkeys(paragraph["context"] for paragraph in paragraphs)),
        tuple(asked["question"] for paragraph in paragraphs for asked in paragraph["qas"]),
    )


def crossed(asked: tuple[Half, Half], told: tuple[Half, Half]) -> tuple[Half, Half]:
    """Return the questions of one translation over the passages of another."""
    first, second = (
        Half(passages.paragraphs, questions.questions)
        for questions, passages in zip(asked, told, strict=True)
    )
    return first, second


def lay_halves(language: str) -> tuple[Half, Half]:
    """Deal the passages that lay questions ask for out by turns."""
    corpus = read_gap()[f"domain gap, {language}, {REPORT}"]
    order = {chunk.id: number for number, chunk in enumerate(corpus.chunks)}
    first, second = (
        Half(
            tuple(chunk.text for chunk in corpus.chunks[start::2]),
            tuple(
                question
                for key, question in corpus.questions.items()
                if order[corpus.answers[key]] % 2 == start
            ),
        )
        for start in (0, 1)
    )
    return first, second


def measure(
    name: str,
    halves: tuple[Half, Half],
    encoder: Encoder,
    questions: int,
    goal: Goal = AT_HOME,
) -> Refused:
    """Ask an index of the first half questions of both, seeded samples of equal size."""
    indexed, other = halves
    memo = MemoEncoder(encoder, heads=ALL_HEADS, size=1024)  # paragraphs are encoded once
    random = Random(SEED)  # noqa: S311  # no secret
    with (
        tempfile.TemporaryDirectory() as folder,
        HybridIndex.open(Path(folder) / "kb", memo) as index,
    ):
        index.add(Chunk(text, id=str(number)) for number, text in enumerate(indexed.paragraphs))
        rag = RagPipeline(index, None)
        samples = [
            random.sample(asked, min(questions, len(asked)))
            for asked in (indexed.questions, other.questions)
        ]
        weak = [[rag.find(question).evidence.is_weak for question in each] for each in samples]
    answerable, unanswerable = (sum(each) / len(each) for each in weak)
    return Refused(name, (len(weak[0]), len(weak[1])), answerable, unanswerable, goal)


def run(data: Path = SHIPPED, questions: int = 600, model: str = "mini") -> list[Refused]:
    """Measure both languages, each over the other, and lay questions."""
    encoder = load_encoder(model)
    if measured_thresholds(encoder.info) is None:
        raise SystemExit(f"no threshold was measured for {model!r}; use 'mini'")
    chinese, english = (read_halves(data / f"{name}.json") for name in CORPORA)
    asked = [
        ("xquad.zh", chinese, AT_HOME),
        ("xquad.en", english, AT_HOME),
        ("zh questions, en passages", crossed(chinese, english), CROSSED),
        ("en questions, zh passages", crossed(english, chinese), CROSSED),
        ("lay questions, zh", lay_halves("zh"), NONE),
        ("lay questions, en", lay_halves("en"), NONE),
    ]
    return [measure(name, halves, encoder, questions, goal) for name, halves, goal in asked]


def report(rows: Sequence[Refused], console: Console) -> None:
    """Print what was refused beside the goals."""
    table = Table(title="Refused before a language model is asked, by the threshold of mini")
    for heading in ("corpus", "questions", "unanswerable", "goal", "answerable", "goal"):
        table.add_column(heading, justify="left" if heading == "corpus" else "right")
    for row in rows:
        table.add_row(
            row.corpus,
            f"{row.questions[1]} + {row.questions[0]}",
            f"{row.unanswerable:.1%}",
            f">= {row.goal.unanswerable:.0%}",
            f"{row.answerable:.1%}",
            f"<= {row.goal.answerable:.0%}",
            style=None if row.reaches_goals else "red",
        )
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 where a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.refusal", description=__doc__)
    parser.add_argument("--data", type=Path, default=SHIPPED, help="folder of the two files")
    parser.add_argument("--questions", type=int, default=600, help="of each kind, at most")
    options = parser.parse_args(arguments)
    rows = run(options.data, options.questions)
    report(rows, Console(width=100))
    return int(not all(row.reaches_goals for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
