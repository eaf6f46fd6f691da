"""What there is to train on: the passages of an index or of files, and questions about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from trivec._runtime.paths import user_path
from trivec._runtime.typed import checked
from trivec.errors import CollectionNotFoundError, InputError
from trivec.index import HybridIndex
from trivec.questions import QuestionIndex
from trivec.training.data.pairs import Gathered
from trivec.training.data.sources import add_file, add_index_questions

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["gather"]


@checked
def gather(
    index: HybridIndex | None = None,
    files: Iterable[str | Path] = (),
    *,
    questions: bool = True,
    split: str | None = None,
    tokenizer: Tokenizer | Callable[[str], int] | None = None,
    max_tokens: int = 256,
) -> Gathered:
    """Gather passages, and pairs of a question with its passages.

    Args:
        index: its passages, and what its question index holds: questions that ``trivec questions``
            wrote, and users' verdicts. Questions of ``files`` are about its passages.
        files: datasets, FAQs and logs. Without an index the first one's own passages are gathered.
        questions: False leaves the question index out.
        split: of BEIR's qrels.
        tokenizer: splits the paragraphs of SQuAD's form into passages; those of an index stay as
            they are. None keeps paragraphs whole.
        max_tokens: the most tokens of such a passage.

    Raises:
        InputError: a file cannot be read, or there are no pairs.

    Example:
        >>> gathered = gather(index, ["faq.csv"])  # doctest: +SKIP
    """
    gathered = Gathered()
    if index is not None:
        gathered.add_passages(index.chunks())
        if questions:
            _add_questions(gathered, index)
    for path in files:
        place = user_path("files", path)
        add_file(gathered, place, split=split, tokenizer=tokenizer, max_tokens=max_tokens)
    if not gathered.pairs:
        raise InputError(
            "there are no questions to train on: write them with 'trivec questions PLACE "
            "--chat-model NAME', or give files of questions"
        )
    if gathered.colliding:
        named = ", ".join(list(gathered.colliding)[:3])
        gathered.notes.append(
            f"{len(gathered.colliding)} ids stand for two passages each, of which the first one "
            f"counts: {named}"
        )
    return gathered


def _add_questions(gathered: Gathered, index: HybridIndex) -> None:
    try:
        opened = QuestionIndex.open(index, create=False)
    except CollectionNotFoundError:
        return
    except InputError:  # a store without a place beside it has no questions
        return
    with opened:
        add_index_questions(gathered, opened)
