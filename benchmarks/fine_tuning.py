"""What tuning ``mini`` gains on papers that it has not seen, and what it loses elsewhere.

    python -m benchmarks.fine_tuning --data FOLDER [--seeds 3] [--config FILE] [--to FOLDER]

FOLDER holds ``covidqa_60.json`` (COVID-QA), ``drcd_dev.json`` (DRCD) and XQuAD's
``xquad.zh.json`` and ``xquad.en.json``. For each seed the papers are parted: six tenths are
trained on, a tenth chooses the mix, the rest is reported. DRCD is the general field that ``mix``
keeps; XQuAD is reported alone, and chooses nothing. Intervals are drawn by document. Negatives are
the first passages of the base's hybrid, of training papers alone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from time import perf_counter

from rich.console import Console

from trivec import load_encoder
from trivec.encoders import OnnxEncoder
from trivec.evaluation import (
    Dataset,
    Evaluation,
    EvaluationOptions,
    System,
    evaluate,
    indexed,
    joined,
    read_dataset,
)
from trivec.training import FinetuneData, FinetuneOptions, TunedModel, finetune
from trivec.training.data import TrainingExample

__all__ = ["main", "parted", "training_examples"]

COVID, GENERAL = "covidqa_60.json", "drcd_dev.json"
REPORTED = ("xquad.zh.json", "xquad.en.json")
SYSTEMS = tuple(System.from_text(text) for text in ("dense", "sparse", "hybrid"))
TOKENS = 256
TRAINED, CHOOSING = 0.6, 0.1
MINED, NEGATIVES = 40, 8
GENERAL_PASSAGES = 150


def parted(dataset: Dataset, seed: int) -> tuple[Dataset, Dataset, Dataset]:
    """Return the questions to train on, to choose with and to report, parted by document."""
    documents = sorted({one.document for one in dataset.questions})
    Random(seed).shuffle(documents)  # noqa: S311  # no secret
    first = round(TRAINED * len(documents))
    second = first + round(CHOOSING * len(documents))
    spans = (documents[:first], documents[first:second], documents[second:])
    train, choose, report = (dataset.of_documents(span) for span in spans)
    return train, choose, report


def training_examples(
    part: Dataset, found: Mapping[str, Sequence[str]], documents: set[str]
) -> list[TrainingExample]:
    """Return a part's questions with their passages, and negatives from some documents alone."""
    passages = {str(one.id): one for one in part.passages}
    return [
        TrainingExample(
            query=one.text,
            pos=tuple(passages[key].text for key in one.relevant),
            neg=tuple(
                passages[key].text
                for key in found.get(one.id, ())
                if key not in one.relevant and passages[key].source in documents
            )[:NEGATIVES],
            source=one.document,
        )
        for one in part.questions
    ]


def general_examples(path: Path) -> list[TrainingExample]:
    """Return examples of another field and language."""
    dataset = read_dataset(path)
    first = {str(one.id): one.text for one in dataset.passages[:GENERAL_PASSAGES]}
    return [
        TrainingExample(query=one.text, pos=(first[key],), source=one.document)
        for one in dataset.questions
        for key in one.relevant
        if key in first
    ]


def evaluated(dataset: Dataset, encoder: OnnxEncoder, folder: Path, prefix: str) -> Evaluation:
    """Run the arms and the hybrid; indexes are kept in the folder."""
    with indexed(dataset, encoder, folder / "indexes") as index:
        return evaluate(dataset, index, SYSTEMS, EvaluationOptions(prefix=f"{prefix}: "))


def gains(base: Evaluation, tuned: Evaluation) -> Iterator[str]:
    """Yield a line for each arm: before, after, the difference and its interval by document."""
    both = joined([tuned, base])
    means = {name: one.mean for name, one in both.estimates().items()}
    for one in both.comparisons():
        first, second = one.first, one.second
        if first.partition(": ")[2] != second.partition(": ")[2]:
            continue
        delta = one.delta
        yield (
            f"  {first.partition(': ')[2]:18} {means[second]:.4f} -> {means[first]:.4f}  "
            f"{delta.mean:+.4f} [{delta.low:+.4f}, {delta.high:+.4f}]"
        )


def tuned_with(
    data: tuple[Dataset, Dataset],
    general: list[TrainingExample],
    options: FinetuneOptions,
    base: OnnxEncoder,
    to: Path,
) -> TunedModel:
    """Mine negatives with the base and tune it."""
    train, choose = data
    documents = {one.document for one in train.questions}
    with indexed(train, base, to / "indexes") as index:
        hits = index.search_batch([one.text for one in train.questions], k=MINED)
    found = {
        one.id: [str(hit.chunk.id) for hit in own]
        for one, own in zip(train.questions, hits, strict=True)
    }
    return finetune(
        FinetuneData(
            train=training_examples(train, found, documents),
            development=training_examples(choose, {}, set()),
            general=general,
        ),
        "mini",
        to / f"tuned-{options.seed}",
        options=options,
        force=True,
    )


def main() -> None:
    """Tune with every seed, and print what is gained and lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--config", type=Path, help="JSON with fields of FinetuneOptions")
    parser.add_argument("--to", type=Path, default=Path(".bench/fine-tuning"))
    arguments = parser.parse_args()
    console = Console()
    stored = {} if arguments.config is None else json.loads(arguments.config.read_text("utf-8"))
    options = FinetuneOptions(**{"mix": "auto", **stored})
    base = load_encoder("mini")
    covid = read_dataset(arguments.data / COVID, tokenizer=base.tokenizer, max_tokens=TOKENS)
    general = general_examples(arguments.data / GENERAL)
    reported = [read_dataset(arguments.data / name) for name in REPORTED]
    before = {one.name: evaluated(one, base, arguments.to, "base") for one in reported}
    for seed in range(arguments.seeds):
        start = perf_counter()
        train, choose, report = parted(covid, seed)
        chosen = replace(options, seed=seed)
        tuned = tuned_with((train, choose), general, chosen, base, arguments.to)
        encoder = load_encoder(tuned.folder)
        console.print(
            f"seed {seed}: {tuned.examples} examples, loss {tuned.losses[0]:.3f} -> "
            f"{tuned.losses[1]:.3f}, share {tuned.share}, {perf_counter() - start:.0f} s"
        )
        for dataset in (report, *reported):
            known = before.get(dataset.name) or evaluated(dataset, base, arguments.to, "base")
            console.print(f"{dataset.name}, {len(dataset.questions)} questions")
            for line in gains(known, evaluated(dataset, encoder, arguments.to, "tuned")):
                console.print(line, highlight=False)


if __name__ == "__main__":
    main()
