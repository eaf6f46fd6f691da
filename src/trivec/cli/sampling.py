"""A sample of the user's own index as a dataset, for ``trivec eval --sample``."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from trivec.cli.arguments import ChatArguments
from trivec.cli.chat import connected
from trivec.cli.place import Place

if TYPE_CHECKING:
    from trivec.encoders import FlagEncoder, OnnxEncoder
    from trivec.evaluation import Dataset

__all__ = ["SAMPLE", "sampled"]

SAMPLE = "sample-"
"""How the names of such datasets begin."""


def sampled(
    count: int,
    path: Path,
    place: Place,
    encoder: FlagEncoder | OnnxEncoder,
    chat: ChatArguments,
    *,
    fresh: bool,
) -> Dataset:
    """Return a sample of an index's passages with questions; an earlier one is taken again.

    Args:
        count: how many questions.
        path: where the questions are kept.
        place: the index.
        encoder: its model.
        chat: the model that writes the questions; without one, those of the index are taken.
        fresh: draw and write anew.

    Raises:
        TrivecError: no question could be found or written.
    """
    from trivec.evaluation import read_dataset, sample_dataset, save_questions
    from trivec.questions import QuestionIndex

    if path.is_file() and not fresh:
        return read_dataset(path)
    with place.open(encoder, create=False) as index, ExitStack() as opened:
        if chat.chat_model is not None:
            dataset = sample_dataset(index, connected(chat.chat_model, chat), count)
        else:
            asker = opened.enter_context(QuestionIndex.open(index, create=False))
            dataset = sample_dataset(index, asker, count)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_questions(dataset, path)
    return read_dataset(path)
