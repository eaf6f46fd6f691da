"""Whether the default search is ever worse than the best of its own arms.

Questions in the passages' words, in another language, in lay words, and over a corpus of two
languages. For each collection every arm alone, the default, the default with ColBERT fused, and
what the default was before. XQuAD and the reported half of the lay questions come with the
repository and were never chosen on. ``--data`` adds the collections that the numbers of adaptive
fusion were chosen on: DRCD, CMRC, Cranfield, COVID-QA and XQuAD's German and Spanish.

    python -m benchmarks.robust [--data FOLDER] [--questions N] [--model NAME]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.quality import SHIPPED, Corpus, read_corpora, read_squad
from benchmarks.rewriting import REPORT, Measurement, measure, read_gap, sampled
from rich.console import Console
from rich.table import Table

from trivec import Chunk, HybridIndex, IndexConfig, SearchOptions, load_encoder
from trivec.encoders import MemoEncoder
from trivec.protocols import Encoder
from trivec.types import ALL_HEADS

__all__ = ["Measurement", "main", "missed_goals", "read_chosen", "read_reported", "run"]

DEFAULT, WITH_COLBERT = "default", "default, ColBERT fused"
ARMS = ("dense", "sparse", "bm25")
VARIANTS: Mapping[str, SearchOptions] = {
    **{arm: SearchOptions(arms=(arm,)) for arm in ARMS},
    "colbert": SearchOptions(arms=("colbert",)),
    "before: dbsf": SearchOptions(fusion="dbsf"),
    DEFAULT: SearchOptions(),
    WITH_COLBERT: SearchOptions(colbert="fuse"),
}

MARGIN = 0.005  # nDCG@10 that the default may lie below its best arm
MEASURES = {"nDCG@10": "ndcg_at_10", "recall@5": "recall_at_5"}

# with `mini`: the measure and the least of it
GOALS: Mapping[tuple[str, str], tuple[str, float]] = {
    ("xquad.zh", DEFAULT): ("nDCG@10", 0.982),
    ("xquad.en", DEFAULT): ("nDCG@10", 0.985),
    ("xquad.zh", WITH_COLBERT): ("nDCG@10", 0.985),
    ("xquad.en", WITH_COLBERT): ("nDCG@10", 0.988),
    ("zh questions, en passages", DEFAULT): ("nDCG@10", 0.840),
    ("en questions, zh passages", DEFAULT): ("nDCG@10", 0.845),
    ("zh questions, en passages", WITH_COLBERT): ("nDCG@10", 0.92),
    ("en questions, zh passages", WITH_COLBERT): ("nDCG@10", 0.92),
    ("domain gap, zh, report", DEFAULT): ("recall@5", 0.80),
    ("domain gap, en, report", DEFAULT): ("recall@5", 0.80),
}
HALF = 120
WINDOW = 1_000
COVID, CRANFIELD = "covidqa_60.json", "cran.all.1400"


def read_reported() -> list[Corpus]:
    """Read what nothing was chosen on: XQuAD's pairs and mixture, and the lay questions."""
    english, chinese = read_corpora(SHIPPED)
    lay = [corpus for name, corpus in read_gap().items() if name.endswith(REPORT)]
    return [
        chinese,
        english,
        _crossed("zh questions, en passages", chinese, english),
        _crossed("en questions, zh passages", english, chinese),
        *_halves("zh", chinese, english),
        *lay,
    ]


def _crossed(name: str, asked: Corpus, told: Corpus) -> Corpus:
    """Return the questions of one translation over the passages of another."""
    return Corpus(name, told.chunks, asked.questions, asked.answers)


def _halves(language: str, own: Corpus, other: Corpus) -> Iterator[Corpus]:
    """Yield the questions of each half over a corpus whose second half is in another language."""
    mixed = (*own.chunks[:HALF], *other.chunks[HALF:])
    known = {chunk.id for chunk in own.chunks[:HALF]}
    for name, is_own in (("own", True), ("other", False)):
        answers = {
            question: answer
            for question, answer in own.answers.items()
            if (answer in known) is is_own
        }
        questions = {question: own.questions[question] for question in answers}
        title = f"{language} questions, half of the passages {language}: answer in the {name} half"
        yield Corpus(title, mixed, questions, answers)


def read_chosen(data: Path) -> list[Corpus]:
    """Read what adaptive fusion was chosen on, as far as the folder has it."""
    names = ("cmrc_trial.json", "drcd_dev.json", "drcd_test.json")
    corpora = [read_squad(data / name) for name in names if (data / name).exists()]
    if (data / CRANFIELD).exists():
        corpora.append(_cranfield(data / CRANFIELD))
    if (data / COVID).exists():
        corpora.append(_windows(data / COVID))
    german, spanish = data / "xquad.de.json", data / "xquad.es.json"
    if german.exists() and spanish.exists():
        de, es = read_squad(german), read_squad(spanish)
        corpora += [
            _crossed("de questions, es passages", de, es),
            _crossed("es questions, de passages", es, de),
            *_halves("de", de, es),
        ]
    corpora += [corpus for name, corpus in read_gap().items() if not name.endswith(REPORT)]
    return corpora


def _cranfield(path: Path) -> Corpus:
    from scripts.train_mini_heads import read_cranfield  # which needs torch

    collection = read_cranfield(path)
    chunks = tuple(Chunk(text, id=f"p{n}") for n, text in enumerate(collection.passages))
    asked = {f"q{n}": query for n, query in enumerate(collection.queries)}
    answers = {f"q{n}": f"p{passage}" for n, passage in enumerate(collection.relevant)}
    return Corpus("cranfield", chunks, asked, answers)


def _windows(path: Path) -> Corpus:
    """Read long papers in windows of a fixed width; the answer begins in the relevant one."""
    chunks: list[Chunk] = []
    questions: dict[str, str] = {}
    answers: dict[str, str] = {}
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            text, first = paragraph["context"], len(chunks)
            starts = range(0, len(text), WINDOW)
            chunks += [
                Chunk(text[at : at + WINDOW], id=f"p{first + at // WINDOW}") for at in starts
            ]
            for asked in paragraph["qas"]:
                number = f"q{len(questions)}"
                questions[number] = asked["question"]
                answers[number] = f"p{first + asked['answers'][0]['answer_start'] // WINDOW}"
    return Corpus(path.stem, tuple(chunks), questions, answers)


def run(corpora: Sequence[Corpus], encoder: Encoder) -> list[Measurement]:
    """Ask every collection in every way; a passage of several collections is encoded once."""
    memo = MemoEncoder(encoder, heads=ALL_HEADS, size=20_000)
    config = IndexConfig(arms=(*ARMS, "colbert"))
    rows = []
    for corpus in corpora:
        with (
            tempfile.TemporaryDirectory() as folder,
            HybridIndex.open(Path(folder) / "kb", memo, config=config) as index,
        ):
            index.add(corpus.chunks)
            index.optimize()
            rows += [
                measure(index, corpus, variant, lambda question: question, options)
                for variant, options in VARIANTS.items()
            ]
    return rows


def best_arm(rows: Sequence[Measurement], variant: str) -> float:
    """Return the nDCG@10 of the best arm that takes part in a variant."""
    arms = (*ARMS, "colbert") if variant == WITH_COLBERT else ARMS
    return max(row.ndcg_at_10 for row in rows if row.mode in arms)


def missed_goals(rows: Sequence[Measurement]) -> list[str]:
    """Say which goals were not reached."""
    missed = []
    for name in dict.fromkeys(row.name for row in rows):
        of_one = [row for row in rows if row.name == name]
        for row in of_one:
            if row.mode in (DEFAULT, WITH_COLBERT):
                lost = best_arm(of_one, row.mode) - row.ndcg_at_10
                if lost > MARGIN:
                    missed.append(f"{name}, {row.mode}: {lost:.4f} below its best arm")
            what, least = GOALS.get((name, row.mode), ("nDCG@10", 0.0))
            if (value := getattr(row, MEASURES[what])) < least:
                missed.append(f"{name}, {row.mode}: {what} {value:.4f}, goal {least}")
    return missed


def report(rows: Sequence[Measurement], console: Console) -> None:
    """Print a table: a row for each collection, a column for each way, and what is lost or won."""
    console.print(f"goal: nowhere more than {MARGIN} below the best arm; the others:")
    for (name, variant), (what, least) in GOALS.items():
        console.print(f"  {name}, {variant}: {what} >= {least}")
    for what, field in MEASURES.items():
        table = Table(title=what)
        table.add_column("")
        for variant in (*VARIANTS, "default - best arm", "with ColBERT - best arm"):
            table.add_column(variant, justify="right")
        for name in dict.fromkeys(row.name for row in rows):
            of_one = {row.mode: getattr(row, field) for row in rows if row.name == name}
            alone = max(of_one[arm] for arm in ARMS)
            cells = [f"{of_one[variant]:.3f}" for variant in VARIANTS]
            cells.append(f"{of_one[DEFAULT] - alone:+.3f}")
            cells.append(f"{of_one[WITH_COLBERT] - max(alone, of_one['colbert']):+.3f}")
            table.add_row(name, *cells)
        console.print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and say which goals were missed."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.robust")
    parser.add_argument("--data", type=Path, help="folder of what was chosen on, measured too")
    parser.add_argument("--questions", type=int, default=1190, help="of each collection, at most")
    parser.add_argument("--model", default="mini", help="name, folder or hub id of the encoder")
    options = parser.parse_args(arguments)
    corpora = [sampled(corpus, options.questions) for corpus in read_reported()]
    if options.data is not None:
        chosen = [sampled(corpus, options.questions) for corpus in read_chosen(options.data)]
        corpora += [replace(corpus, name=f"chosen on: {corpus.name}") for corpus in chosen]
    rows = run(corpora, load_encoder(options.model))
    console = Console(width=150)
    report(rows, console)
    missed = missed_goals(rows) if options.model == "mini" else []
    for line in missed:
        console.print(f"[red]missed[/red] {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
