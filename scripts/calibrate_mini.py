"""Chooses the thresholds of evidence and support that ``mini`` ships with.

    python scripts/calibrate_mini.py --data FOLDER

FOLDER holds ``cmrc_trial.json`` (CMRC 2018 trial) and ``drcd_dev.json`` (DRCD dev). The English
questions are the authors' own, over the passages of ``benchmarks/data/domain_gap.json``. The
articles of each collection are split in two halves; one is indexed, its questions can be answered
and those of the other half cannot. The threshold of evidence is the highest that refuses at most
5 %, less a standard error, of the answerable questions of *each* collection, not of their mean:
other text should keep to 5 % too.

A claim is a question with its answer put behind it, which its own paragraph supports, and the next
paragraph that the question finds does not; and a sentence as it stands in a paragraph, likewise.
The threshold of support is the highest that doubts at most 5 % of what is supported of each kind.

The threshold of evidence between two languages is chosen likewise, on the German questions of XQuAD
over its Spanish passages and the other way (``xquad.de.json``, ``xquad.es.json``): the lowest that
refuses 85 %, and a standard error, of the unanswerable questions of each. So is the least lead of
the best passage, which decides there where enough passages were found.
Nothing is written: the numbers stand in ``trivec/answers/evidence.py``.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trivec import Chunk, HybridIndex, RagOptions, RagPipeline, load_encoder
from trivec.answers import Calibration, Judge, LabelledQuestion, calibrate
from trivec.answers.calibration import choose_threshold
from trivec.answers.packing import sentences
from trivec.encoders import MemoEncoder
from trivec.protocols import Encoder
from trivec.types import ALL_HEADS

SHIPPED = Path(__file__).parent.parent / "benchmarks" / "data"
MOST_REFUSED = 0.05
LEAST_CROSSED = 0.85  # between two languages, where the two kinds of questions lie closer together
QUESTIONS = 300  # of each kind and collection
PARAGRAPHS = 150


@dataclass(frozen=True)
class Asked:
    """A question, the number of its paragraph and its answer's text, empty where unknown."""

    text: str
    paragraph: int
    answer: str = ""


@dataclass(frozen=True)
class Half:
    """One half of a collection's articles."""

    paragraphs: Sequence[str]
    questions: Sequence[Asked]


def halves(articles: Iterable[Sequence[tuple[str, Sequence[tuple[str, str]]]]]) -> list[Half]:
    """Deal articles out to two halves; each paragraph has its questions and answers."""
    dealt = list(articles)
    random.Random(0).shuffle(dealt)  # noqa: S311  # no secret
    middle = len(dealt) // 2
    found = []
    for part in (dealt[:middle], dealt[middle:]):
        paragraphs = [paragraph for article in part for paragraph in article][:PARAGRAPHS]
        asked = [
            Asked(question, number, answer)
            for number, (_, questions) in enumerate(paragraphs)
            for question, answer in questions
            if question.strip()
        ]
        random.Random(1).shuffle(asked)  # noqa: S311  # the same
        found.append(Half([text for text, _ in paragraphs], asked[:QUESTIONS]))
    return found


def squad(path: Path) -> list[Half]:
    """Read a SQuAD-shaped file."""
    data = json.loads(path.read_text(encoding="utf-8"))["data"]
    return halves(
        [
            (
                paragraph["context"],
                [(qa["question"], qa["answers"][0]["text"]) for qa in paragraph["qas"]],
            )
            for paragraph in article["paragraphs"]
        ]
        for article in data
    )


def english() -> list[Half]:
    """Read our English passages, each an article of its own."""
    passages = json.loads((SHIPPED / "domain_gap.json").read_text(encoding="utf-8"))["passages"]
    lines = (SHIPPED / "domain_questions.tsv").read_text(encoding="utf-8").splitlines()
    questions = dict(line.split("\t") for line in lines)
    return halves(
        [(each["text"], [(questions[each["id"]], "")])]
        for each in passages
        if each["id"] in questions
    )


def evidence(indexed: Half, other: Half, encoder: Encoder) -> Calibration:
    """Return the threshold that one collection allows.

    Args:
        indexed: the half whose questions can be answered.
        other: the half whose questions cannot.
        encoder: what encodes both.
    """
    error = math.sqrt(MOST_REFUSED * (1 - MOST_REFUSED) / len(indexed.questions))
    labelled = labelled_questions(indexed, other)
    with pipeline_over(indexed, encoder) as pipeline:
        return calibrate(pipeline, labelled, refused_answerable=MOST_REFUSED - error)


def crossed_evidence(
    indexed: Half, other: Half, encoder: Encoder
) -> tuple[Calibration, Calibration]:
    """Return the threshold of the score and that of the lead between two languages."""
    least = LEAST_CROSSED + math.sqrt(LEAST_CROSSED * (1 - LEAST_CROSSED) / len(other.questions))
    labelled = labelled_questions(indexed, other)
    with pipeline_over(indexed, encoder) as pipeline:
        by_score = calibrate(pipeline, labelled, refused_unanswerable=least)
        judge = Judge(MemoEncoder(encoder, heads=("colbert",), size=4096))
        leads, labels = [], []
        for asked in labelled:
            texts = [hit.chunk.text for hit in pipeline.find(asked.text).hits]
            lead = judge.lead(asked.text, texts)
            if lead is not None:
                leads.append(lead)
                labels.append(asked.answerable)
    return by_score, choose_threshold(leads, labels, refused_unanswerable=least)


def labelled_questions(indexed: Half, other: Half) -> list[LabelledQuestion]:
    """Return the questions of both halves."""
    labelled = [LabelledQuestion(asked.text, answerable=True) for asked in indexed.questions]
    return labelled + [LabelledQuestion(asked.text, answerable=False) for asked in other.questions]


@contextmanager
def pipeline_over(half: Half, encoder: Encoder) -> Iterator[RagPipeline]:
    """Index the paragraphs of a half, and close the index in the end."""
    memo = MemoEncoder(encoder, heads=ALL_HEADS, size=4096)
    with (
        tempfile.TemporaryDirectory() as folder,
        HybridIndex.open(Path(folder) / "kb", memo) as index,
    ):
        index.add(Chunk(text, id=str(number)) for number, text in enumerate(half.paragraphs))
        yield RagPipeline(index, None, options=RagOptions(max_context_tokens=100_000))


def support(half: Half, encoder: Encoder) -> dict[str, Calibration]:
    """Return the thresholds that claims and literal sentences of one collection allow."""
    judge = Judge(MemoEncoder(encoder, heads=("colbert",), size=4096))
    with (
        tempfile.TemporaryDirectory() as folder,
        HybridIndex.open(Path(folder) / "kb", encoder) as index,
    ):
        index.add(Chunk(text, id=str(number)) for number, text in enumerate(half.paragraphs))
        found = index.search_batch([asked.text for asked in half.questions], k=2)
    claims: dict[str, tuple[list[float], list[bool]]] = {}
    for asked, hits in zip(half.questions, found, strict=True):
        own = half.paragraphs[asked.paragraph]
        other = next(hit.chunk.text for hit in hits if hit.chunk.text != own)
        literal = [span.text for span in sentences(own) if asked.answer in span.text]
        said = {
            "question with answer": f"{asked.text.rstrip('？?')}，{asked.answer}。",
            "literal sentence": literal[0] if literal else asked.answer,
        }
        for kind, claim in said.items():
            scores, supported = claims.setdefault(kind, ([], []))
            scores += judge.support([(claim, [own]), (claim, [other])])
            supported += [True, False]
    return {
        kind: choose_threshold(*values, refused_answerable=MOST_REFUSED)
        for kind, values in claims.items()
    }


def line(name: str, found: Calibration) -> str:
    """Return what a threshold refuses."""
    return (
        f"{name}: {found.threshold:.4f} refuses {found.refused_unanswerable:.3f} of "
        f"{found.unanswerable} that it should, {found.refused_answerable:.3f} of "
        f"{found.answerable} that it should not"
    )


def main() -> None:
    """Print the thresholds and what they do."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of CMRC and DRCD")
    parser.add_argument(
        "--only", choices=("evidence", "crossed", "support"), help="one of the three"
    )
    options = parser.parse_args()
    encoder = load_encoder("mini")
    names = ("cmrc_trial", "drcd_dev")
    chinese = {name: squad(options.data / f"{name}.json") for name in names}
    if options.only in (None, "evidence"):
        choose_evidence({**chinese, "our English questions": english()}, encoder)
    if options.only in (None, "crossed"):
        choose_crossed(
            *(squad(options.data / f"xquad.{name}.json") for name in ("de", "es")), encoder
        )
    if options.only in (None, "support"):
        choose_support(chinese, encoder)


def choose_evidence(collections: Mapping[str, Sequence[Half]], encoder: Encoder) -> None:
    """Print what each collection allows, and the lowest."""
    allowed = {}
    for name, (first, second) in collections.items():
        allowed[name] = evidence(first, second, encoder)
        print(line(f"evidence, {name}", allowed[name]), flush=True)
    print(f"evidence: {min(one.threshold for one in allowed.values()):.3f}", flush=True)


def choose_crossed(german: Sequence[Half], spanish: Sequence[Half], encoder: Encoder) -> None:
    """Print what questions in one language over passages in the other allow."""
    scores, leads = [], []
    pairs = (("de over es", german, spanish), ("es over de", spanish, german))
    for name, asked, told in pairs:
        first, second = (
            Half(passages.paragraphs, questions.questions)
            for questions, passages in zip(asked, told, strict=True)
        )
        score, lead = crossed_evidence(first, second, encoder)
        print(line(f"evidence, {name}", score), flush=True)
        print(line(f"lead, {name}", lead), flush=True)
        scores.append(score.threshold)
        leads.append(lead.threshold)
    print(f"evidence between two languages: {max(scores):.3f}")
    print(f"lead between two languages: {max(leads):.4f}", flush=True)


def choose_support(collections: Mapping[str, Sequence[Half]], encoder: Encoder) -> None:
    """Print what each collection and kind of claim allows, and the lowest."""
    thresholds = []
    for name, (first, _) in collections.items():
        for kind, found in support(first, encoder).items():
            print(line(f"support, {name}, {kind}", found), flush=True)
            thresholds.append(found.threshold)
    print(f"support: {min(thresholds):.3f}")


if __name__ == "__main__":
    main()
