"""Write the general examples that ship with trivec, on which fine-tuning watches forgetting.

    python scripts/write_general_examples.py --data FOLDER

FOLDER holds ``cmrc_trial.json`` (CMRC 2018), ``drcd_dev.json`` (DRCD) and ``cran.all.1400``
(Cranfield). One paragraph of an article is taken, with two of its questions; of Cranfield a title
asks for its abstract. No XQuAD file is read: those are what is reported.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

from trivec.evaluation import read_dataset
from trivec.training.data import TrainingExample, write_examples

SEED = 0
PARAGRAPHS = {"cmrc_trial.json": 40, "drcd_dev.json": 40}
ABSTRACTS = 60
QUESTIONS = 2
LONGEST = {"zh": 500, "en": 1200}
"""Characters of a passage: what a training reads of it, and no more."""
SPACES = re.compile(r"\s+")
PLACE = Path("src/trivec/training/data/general.jsonl")


def paragraphs(file: Path, count: int, random: Random) -> Iterator[TrainingExample]:
    """Yield questions of so many articles, one paragraph each."""
    dataset = read_dataset(file)
    texts = {passage.id: passage for passage in dataset.passages}
    asked: dict[str, list[str]] = {}
    for question in dataset.questions:
        for key in question.relevant:
            asked.setdefault(str(key), []).append(question.text)
    articles: dict[str, list[str]] = {}
    for key in asked:
        passage = texts[key]
        if len(passage.text) <= LONGEST["zh"]:
            articles.setdefault(str(passage.source), []).append(key)
    for article in random.sample(sorted(articles), count):
        key = random.choice(articles[article])
        for query in random.sample(asked[key], min(QUESTIONS, len(asked[key]))):
            yield TrainingExample(query=query, pos=(texts[key].text,), source=article)


def abstracts(file: Path, count: int, random: Random) -> Iterator[TrainingExample]:
    """Yield titles of Cranfield's papers, each with the abstract without it."""
    papers = []
    for record in file.read_text("utf-8").split("\n.I ")[1:]:
        number, _, rest = record.partition("\n.T\n")
        title, _, body = rest.partition("\n.A\n")
        title = SPACES.sub(" ", title).strip(" .")
        text = SPACES.sub(" ", body.partition("\n.W\n")[2]).strip()
        text = text.removeprefix(title).strip(" .")
        if title and 200 <= len(text) <= LONGEST["en"]:
            papers.append(TrainingExample(query=title, pos=(text,), source=f"cranfield {number}"))
    yield from random.sample(papers, count)


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=PLACE)
    arguments = parser.parse_args()
    random = Random(SEED)  # noqa: S311  # a sample, no secret
    examples = [
        example
        for name, count in PARAGRAPHS.items()
        for example in paragraphs(arguments.data / name, count, random)
    ]
    examples += abstracts(arguments.data / "cran.all.1400", ABSTRACTS, random)
    write_examples(arguments.out, examples)


if __name__ == "__main__":
    main()
