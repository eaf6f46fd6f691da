"""What tuning ``mini`` gains on papers that it has not seen, and what it loses elsewhere.

    python -m benchmarks.fine_tuning --data FOLDER [--seeds 3] [--config FILE] [--to FOLDER]

FOLDER holds ``covidqa_60.json`` (COVID-QA) and XQuAD's ``xquad.zh.json`` and ``xquad.en.json``.
For each seed the papers are parted, cleaned and given negatives as ``trivec dataset`` does: six
tenths are trained on, a tenth chooses the mix, the rest is reported. The general examples are
those that come with trivec. XQuAD is reported alone, and chooses nothing. Intervals are drawn by
document.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
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
from trivec.training import FinetuneData, FinetuneOptions, finetune
from trivec.training.data import (
    DatasetOptions,
    SplitOptions,
    build_dataset,
    gather,
    indexed_passages,
    read_examples,
)

__all__ = ["dataset_of", "main"]

COVID = "covidqa_60.json"
REPORTED = ("xquad.zh.json", "xquad.en.json")
SYSTEMS = tuple(System.from_text(text) for text in ("dense", "sparse", "hybrid"))
TOKENS = 256
CHOOSING, REPORTED_SHARE = 0.1, 0.3


def dataset_of(papers: Path, base: OnnxEncoder, seed: int, to: Path) -> Path:
    """Make training data of the papers as ``trivec dataset`` does; its folder is a dataset."""
    folder = to / f"data-{seed}"
    gathered = gather(files=[papers], tokenizer=base.tokenizer, max_tokens=TOKENS)
    split = SplitOptions(dev=CHOOSING, test=REPORTED_SHARE, seed=seed)
    with indexed_passages(gathered, base, to / "papers") as index:
        build_dataset(gathered, index, folder, DatasetOptions(split=split))
    return folder


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
    reported = [read_dataset(arguments.data / name) for name in REPORTED]
    before = {one.name: evaluated(one, base, arguments.to, "base") for one in reported}
    for seed in range(arguments.seeds):
        start = perf_counter()
        folder = dataset_of(arguments.data / COVID, base, seed, arguments.to)
        report = replace(read_dataset(folder), name=f"{COVID}, seed {seed}")
        data = FinetuneData(
            train=list(read_examples(folder / "train.jsonl")),
            development=list(read_examples(folder / "dev.jsonl")),
        )
        to = arguments.to / f"tuned-{seed}"
        tuned = finetune(data, "mini", to, options=replace(options, seed=seed), force=True)
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
