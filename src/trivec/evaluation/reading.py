"""From a path to a dataset, whatever its form."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from trivec._runtime.paths import user_path
from trivec._runtime.typed import checked
from trivec.errors import InputError
from trivec.evaluation.dataset import Dataset
from trivec.evaluation.formats.beir import QUERIES, present, read_beir
from trivec.evaluation.formats.opening import form_of, read_text
from trivec.evaluation.formats.squad import SplitText, read_squad
from trivec.evaluation.formats.tables import TABLES, read_table
from trivec.evaluation.formats.trec import QRELS, read_trec
from trivec.evaluation.locating import IndexSplitter
from trivec.text import split as split_text

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["AND_ASKED", "read_dataset", "read_over"]

AND_ASKED = "@"
"""Between the file of the questions and the file of the passages."""

FORMS = (
    "a SQuAD-shaped .json, a .csv, .tsv or .jsonl with question and passage or id, a folder with "
    "BEIR's queries.jsonl and qrels/, or a folder with TREC's topics and qrels; .gz is read too"
)


@checked
def read_dataset(
    path: str | Path,
    *,
    split: str | None = None,
    tokenizer: Tokenizer | Callable[[str], int] | None = None,
    max_tokens: int = 256,
) -> Dataset:
    """Read a dataset; what cannot be used is named in its faults.

    Args:
        path: SQuAD-shaped JSON, a BEIR folder, a folder of TREC files, or a csv. For questions of
            one file over the passages of another, with the same ids: ``zh.json@en.json``.
        split: of a BEIR folder; None is ``test``, or the only one.
        tokenizer: split SQuAD's paragraphs into passages by it; None keeps them whole.
        max_tokens: the most tokens of such a passage.

    Raises:
        InputError: there is no such file, it has another form, or no question can be used.

    Example:
        >>> dataset = read_dataset("xquad.zh.json")  # doctest: +SKIP
        >>> print(*dataset.faults)  # doctest: +SKIP
    """
    place = user_path("path", path)
    if not place.exists() and AND_ASKED in str(path):
        asked, _, over = str(path).rpartition(AND_ASKED)
        settings = {"split": split, "tokenizer": tokenizer, "max_tokens": max_tokens}
        questions, passages = (read_dataset(one, **settings) for one in (asked, over))  # type: ignore[arg-type]
        return passages.asked_by(questions)
    if not place.exists():
        raise InputError(f"{str(path)!r} does not exist; give {FORMS}")
    if place.is_dir():
        return _read_folder(place, split)
    if form_of(place) in TABLES:
        return read_table(place)
    if form_of(place) == ".json":
        return _read_json(place, _splitter(tokenizer, max_tokens))
    raise InputError(f"{place.name} is not a dataset; give {FORMS}")


def read_over(path: str | Path, passages: Iterable[str], *, split: str | None = None) -> Dataset:
    """Read a dataset whose questions are about passages that an index holds.

    Args:
        path: as ``read_dataset`` takes it.
        passages: the texts of the index, read where paragraphs have to be split as they are.
        split: of a BEIR folder.

    Raises:
        InputError: as of ``read_dataset``.
    """
    place = Path(path)
    if place.is_file() and form_of(place) == ".json":
        return _read_json(place, IndexSplitter(passages))
    return read_dataset(path, split=split)


def _read_folder(folder: Path, split: str | None) -> Dataset:
    if present(folder, QUERIES):
        return read_beir(folder, split)
    if any(path.is_file() for path in folder.glob(QRELS)):
        return read_trec(folder)
    raise InputError(f"{folder} holds neither {QUERIES} nor {QRELS}; give {FORMS}")


def _read_json(path: Path, split: SplitText | None) -> Dataset:
    try:
        data = json.loads(read_text(path))
    except (ValueError, RecursionError) as err:
        raise InputError(f"{path} is not JSON: {err}") from err
    return read_squad(path, data, split)


def _splitter(
    tokenizer: Tokenizer | Callable[[str], int] | None, max_tokens: int
) -> SplitText | None:
    if tokenizer is None:
        return None
    return lambda text: split_text(text, tokenizer, max_tokens=max_tokens)
