"""Where pairs come from: the questions of an index, datasets, FAQs, what users clicked."""

from __future__ import annotations

import csv
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from trivec.errors import InputError
from trivec.evaluation import Dataset, read_dataset
from trivec.evaluation.reading import read_over
from trivec.questions import QuestionIndex
from trivec.text import clean, is_blank
from trivec.training.data.likeness import normalised
from trivec.training.data.pairs import Gathered, Pair, PairKind, key_of, of_dataset
from trivec.types import Chunk

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["ANSWERS_WARNING", "FORMS", "add_file", "add_index_questions"]

logger = logging.getLogger(__name__)

FORMS = (
    "a SQuAD-shaped .json; a folder in BEIR's or TREC's form; a .csv or .tsv with the columns "
    "question and passage or id, or question and similar; a .jsonl whose objects have question and "
    "similar (a FAQ), or query and clicked, or query, id and verdict (what users said)"
)
ANSWERS_WARNING = (
    "%s pairs questions with answers (Q-A): %s. Searches find passages of documents, and answers "
    "differ from those in length and form, so that a model trained on such pairs finds documents "
    "worse. Better: 'trivec questions' over the documents (Q-D), or the FAQ's questions with "
    "similar ones (Q-Q)"
)
QUESTION, SIMILAR = ("question", "query", "q"), ("similar", "similar_question", "variants")
ANSWER = ("answer", "reply", "a")
SHORT = 0.4
"""Of the median passage of the index: texts that are shorter and not in it are answers."""


def add_index_questions(gathered: Gathered, questions: QuestionIndex) -> None:
    """Add the questions of an index, and what users said of its answers.

    A question that users asked becomes one pair with all passages that they found good. Passages
    that they found bad are its rejected ones.
    """
    judged: dict[str, dict[str, str]] = {}
    for text, chunk, verdict in questions.pairs():
        key = key_of(chunk)
        if verdict is not None:
            judged.setdefault(text, {})[key] = verdict
            continue
        identity = sha256(f"{key}\0{text}".encode("utf-8", "replace")).hexdigest()[:16]
        gathered.pairs.append(Pair(f"generated:{identity}", text, (key,), "generated"))
    _add_judged(gathered, judged, "feedback")


def _add_judged(gathered: Gathered, judged: Mapping[str, Mapping[str, str]], origin: str) -> None:
    """Add a pair for each question of users; one with bad verdicts alone has no positive."""
    for text, verdicts in judged.items():
        good = tuple(key for key, verdict in verdicts.items() if verdict == "good")
        bad = tuple(key for key, verdict in verdicts.items() if verdict != "good")
        identity = sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
        pair = Pair(f"{origin}:{identity}", clean(text), good, origin, rejected=bad)
        gathered.pairs.append(pair)


def add_file(
    gathered: Gathered,
    path: Path,
    *,
    split: str | None = None,
    tokenizer: Tokenizer | Callable[[str], int] | None = None,
    max_tokens: int = 256,
) -> None:
    """Add the pairs of a file.

    Where passages were gathered before, from an index, the file's questions are about those: a
    passage of the file is found among them by its id, else by its text. Of a SQuAD paragraph that
    the index holds in parts, the part is meant in which the answer begins. Without any, the file's
    own passages are added.

    Args:
        gathered: with the passages of an index, or empty.
        path: in one of ``FORMS``.
        split: of BEIR's qrels.
        tokenizer: splits the paragraphs of SQuAD's form where the file's own passages are added.
        max_tokens: the most tokens of such a passage.

    Raises:
        InputError: the file cannot be read, or has no pair.
    """
    origin = path.name
    if path.suffix == ".jsonl":
        _add_records(gathered, list(json_lines_of(path)), origin)
        return
    if path.suffix in {".csv", ".tsv"} and (rows := _faq_rows(path)):
        _add_faq(gathered, rows, origin)
        return
    if not path.exists():
        raise InputError(f"{str(path)!r} does not exist; give {FORMS}")
    if gathered.passages:
        texts = (passage.text for passage in gathered.passages.values())
        dataset = read_over(path, texts, split=split)
    else:
        dataset = read_dataset(path, split=split, tokenizer=tokenizer, max_tokens=max_tokens)
    gathered.notes += [f"{origin}: {fault}" for fault in dataset.faults]
    _add_dataset(gathered, dataset, origin)


def json_lines_of(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a file with a JSON object on each line.

    Raises:
        InputError: the file cannot be read, has no line, or has one without a question.
    """
    found = False
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    found = True
                    yield _asking(line, f"{path}, line {number}")
    except (OSError, UnicodeDecodeError) as err:
        raise InputError(f"{path} cannot be read: {err}; give {FORMS}") from err
    if not found:
        raise InputError(f"{path} is empty; give {FORMS}")


def _asking(line: str, where: str) -> Mapping[str, Any]:
    """Return a line's object, which has a question."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as err:
        raise InputError(f"{where}, is not JSON: {err}") from err
    if not isinstance(record, dict) or _name(record, QUESTION) is None:
        raise InputError(f"{where}, is not an object with {' or '.join(QUESTION)}; give {FORMS}")
    return record


def _add_dataset(gathered: Gathered, dataset: Dataset, origin: str) -> None:
    """Add a dataset's questions, about its own passages or about those of the index."""
    if not gathered.passages:
        gathered.add_passages(dataset.passages)
        keys = {str(chunk.id): key_of(chunk) for chunk in dataset.passages}
        gathered.pairs += of_dataset(dataset, origin, keys)
        return
    keys, unknown = _located(gathered, dataset.passages)
    for identity in {identity for one in dataset.questions for identity in one.relevant}:
        keys.setdefault(identity, _known_key(gathered, identity, None))
    _warn_of_answers(gathered, unknown, origin)
    kind: PairKind = "Q-A" if unknown and _are_answers(gathered, unknown) else "Q-D"
    for pair in of_dataset(dataset, origin, keys):
        gathered.pairs.append(Pair(pair.id, pair.question, pair.positives, origin, kind))


def _located(gathered: Gathered, chunks: Iterable[Chunk]) -> tuple[dict[str, str], list[Chunk]]:
    """Return the keys, in the index, of passages by their id, and those that it does not hold."""
    by_text: dict[str, str] = {}
    for key, passage in gathered.passages.items():
        by_text.setdefault(normalised(passage.text), key)
    keys, unknown = {}, []
    for chunk in chunks:
        key = key_of(chunk)
        if key in gathered.passages and gathered.passages[key].text == clean(chunk.text):
            keys[str(chunk.id)] = key
        elif (known := by_text.get(normalised(chunk.text))) is not None:
            keys[str(chunk.id)] = known
        else:
            keys[str(chunk.id)] = f"not in the index: {key}"
            unknown.append(chunk)
    return keys, unknown


def _are_answers(gathered: Gathered, unknown: Sequence[Chunk]) -> bool:
    """Say whether passages that an index does not hold are answers: far shorter than its own."""
    usual = median(len(passage.text) for passage in gathered.passages.values())
    return median(len(chunk.text) for chunk in unknown) < SHORT * usual


def _warn_of_answers(gathered: Gathered, unknown: Sequence[Chunk], origin: str) -> None:
    if not unknown:
        return
    if _are_answers(gathered, unknown):
        logger.warning(
            ANSWERS_WARNING,
            origin,
            f"{len(unknown)} of its passages are not in the index and far shorter than those in it",
        )
    gathered.notes.append(
        f"{origin}: {len(unknown)} passages are not in the index; their pairs are dropped"
    )


def _add_records(gathered: Gathered, records: Sequence[Mapping[str, Any]], origin: str) -> None:
    """Add the objects of a .jsonl: a FAQ's, or what users said and clicked."""
    first = records[0]
    if any(name in first for name in (*SIMILAR, *ANSWER)):
        _add_faq(gathered, records, origin)
        return
    judged: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for number, record in enumerate(records, start=1):
        question = str(record.get(_name(record, QUESTION) or "", ""))
        if "clicked" in record:
            verdicts = dict.fromkeys(_texts(record["clicked"]), "good")
        elif "id" in record and record.get("verdict") in {"good", "bad"}:
            verdicts = {str(record["id"]): str(record["verdict"])}
        else:
            raise InputError(f"{origin}, object {number}, has another form; give {FORMS}")
        for identity, verdict in verdicts.items():
            # of several users the last one counts, as in the index of questions
            judged[question][_known_key(gathered, identity, record.get("source"))] = verdict
    _add_judged(gathered, judged, origin)


def _known_key(gathered: Gathered, identity: str, source: object) -> str:
    """Return the key of a passage that a log names by its id, perhaps with its source."""
    named = key_of(Chunk("", id=identity, source=None if source is None else str(source)))
    return named if named in gathered.passages else gathered.named.get(identity) or named


def _faq_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a FAQ; none where the table is something else."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, delimiter="\t" if path.suffix == ".tsv" else ",")
            names = [name.strip().lower() for name in reader.fieldnames or ()]
            reader.fieldnames = names
            is_faq = any(name in names for name in SIMILAR) or (
                any(name in names for name in ANSWER) and not {"passage", "text", "id"} & {*names}
            )
            return list(reader) if is_faq else []
    except (OSError, UnicodeDecodeError, csv.Error):
        return []  # the reader of datasets says what is wrong


def _add_faq(gathered: Gathered, rows: Iterable[Mapping[str, Any]], origin: str) -> None:
    """Add a FAQ: similar questions find its own ones (Q-Q); answers alone are warned about.

    Rows with the same answer ask the same: the first one's question is found by the others.
    """
    asked: dict[str, list[str]] = {}
    by_answer: dict[str, str] = {}
    alone: dict[str, str] = {}
    for row in rows:
        question = clean(str(row.get(_name(row, QUESTION) or "") or ""))
        answer = clean(str(row.get(_name(row, ANSWER) or "") or ""))
        if is_blank(question):
            continue
        main = by_answer.setdefault(answer, question) if not is_blank(answer) else question
        similar = [text for text in _texts(row.get(_name(row, SIMILAR) or "")) if text]
        asked.setdefault(main, []).extend(similar + ([question] if question != main else []))
        alone.setdefault(main, answer)
    if not any(asked.values()):
        _add_answers(gathered, {main: alone[main] for main in asked}, origin)
        return
    ids = {main: f"{origin}/{number}" for number, main in enumerate(asked)}
    if any(pair.kind != "Q-Q" for pair in gathered.pairs) or gathered.passages:
        logger.warning(
            "%s is a FAQ (Q-Q): its questions join the passages that are searched in training, as "
            "they must where the model is used",
            origin,
        )
    gathered.add_passages(Chunk(main, id=identity) for main, identity in ids.items())
    for main, texts in asked.items():
        for number, text in enumerate(texts):
            identity = f"{ids[main]}:{number}"
            gathered.pairs.append(Pair(identity, clean(text), (ids[main],), origin, "Q-Q"))


def _add_answers(gathered: Gathered, answers: Mapping[str, str], origin: str) -> None:
    """Add questions with their answers, and say why that is a bad idea."""
    pairs = {question: text for question, text in answers.items() if not is_blank(text)}
    if not pairs:
        raise InputError(f"{origin} has neither similar questions nor answers; give {FORMS}")
    logger.warning(ANSWERS_WARNING, origin, "it has questions and answers alone")
    ids = {question: f"{origin}/{number}" for number, question in enumerate(pairs)}
    gathered.add_passages(Chunk(text, id=ids[question]) for question, text in pairs.items())
    gathered.pairs += [
        Pair(f"{identity}:0", question, (identity,), origin, "Q-A")
        for question, identity in ids.items()
    ]


def _name(record: Mapping[str, Any], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in record), None)


def _texts(value: Any) -> list[str]:
    """Return the texts of a list, or of one text in which ``|`` stands between several."""
    if isinstance(value, list):
        return [str(item) for item in value]
    return [part.strip() for part in str(value or "").split("|") if part.strip()]
