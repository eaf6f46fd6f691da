"""An index of a dataset's passages, kept in the run's folder for every dataset that has them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from trivec._runtime.paths import user_path
from trivec.arms import ARMS
from trivec.errors import InputError
from trivec.evaluation.dataset import Dataset
from trivec.index import HybridIndex, IndexConfig
from trivec.index.options import Progress
from trivec.protocols import Encoder

__all__ = ["indexed"]


@contextmanager
def indexed(
    dataset: Dataset,
    encoder: Encoder,
    folder: str | Path,
    *,
    progress: Progress | None = None,
) -> Iterator[HybridIndex]:
    """Yield an index of a dataset's passages with every arm that the model has.

    Datasets with the same passages share it, and what is there already is not encoded again.

    Args:
        dataset: with passages.
        encoder: the model.
        folder: where indexes are kept.
        progress: called with the number of passages dealt with.

    Raises:
        InputError: the dataset has no passages, or one was refused.
    """
    if not dataset.passages:
        raise InputError(
            f"{dataset.name!r} has questions alone; evaluate it over an index that holds the "
            "passages, or give a dataset with passages"
        )
    info = encoder.info
    model = sha256(f"{info.weights} {info.precision} {info.model}".encode()).hexdigest()[:8]
    place = user_path("folder", folder) / f"{dataset.passages_digest()}-{model}"
    arms = tuple(arm.name for arm in ARMS if arm.is_made_by(info))
    with HybridIndex.open(place, encoder, config=IndexConfig(arms=arms)) as index:
        report = index.add(dataset.passages, progress=progress)
        report.require_complete()
        if report.added or report.updated:
            index.optimize()
        yield index
