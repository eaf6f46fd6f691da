"""Examples that belong to no field: on them a training watches what the model forgets."""

from __future__ import annotations

from importlib.resources import as_file, files

from trivec.training.data.examples import TrainingExample, read_examples

__all__ = ["general_examples"]

FILE = "general.jsonl"


def general_examples() -> list[TrainingExample]:
    """Return the general examples that come with trivec.

    218 questions about 140 passages: encyclopedia articles in Chinese, simplified and traditional,
    and abstracts of English papers. ``GENERAL.md`` beside the file names authors and licences.

    Example:
        >>> len(general_examples())
        218
    """
    with as_file(files(__package__).joinpath(FILE)) as path:
        return list(read_examples(path))
