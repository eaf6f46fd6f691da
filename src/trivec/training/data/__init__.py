"""Examples to train on: where they come from, what is cleaned away, which negatives they get."""

from __future__ import annotations

from trivec.training.data.examples import TrainingExample, read_examples, write_examples

__all__ = ["TrainingExample", "read_examples", "write_examples"]
