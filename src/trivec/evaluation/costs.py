"""What an index and its model cost: size, memory, time to encode."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from trivec.index import HybridIndex
from trivec.protocols import Encoder
from trivec.stores import EdgeStore

__all__ = ["Costs", "measured_costs"]

ALONE = 30
"""Queries that are encoded one by one, to see what a single one takes."""

KEPT = "costs.json"

BLOCK = 512
"""Bytes of a block, as ``st_blocks`` counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What an index takes, and its model; None where it was not measured.

    Attributes:
        passages: in the index.
        index_bytes: of its folder; None on a server.
        memory_bytes: the most memory that this process has taken, model and engine included.
        encode_ms: milliseconds of one query that is encoded with all others at once.
        encode_alone_ms: median milliseconds of one query that is encoded alone.
        model: the model's name, and its precision.
    """

    passages: int
    index_bytes: int | None = None
    memory_bytes: int | None = None
    encode_ms: float | None = None
    encode_alone_ms: float | None = None
    model: str | None = None


def measured_costs(
    index: HybridIndex,
    encoder: Encoder,
    texts: Sequence[str],
    seconds: float,
    folder: Path | None,
) -> Costs:
    """Return what an index costs; where nothing was encoded, what an earlier run has measured.

    Args:
        index: the index.
        encoder: its model.
        texts: queries that were encoded at once in this run.
        seconds: how long that took.
        folder: of the run.
    """
    kept = None if folder is None else folder / KEPT
    if not texts and kept is not None and kept.is_file():
        return Costs(**json.loads(kept.read_text(encoding="utf-8")))
    costs = Costs(
        passages=index.count(),
        index_bytes=_bytes_of(index),
        memory_bytes=_peak_memory(),
        encode_ms=1000 * seconds / len(texts) if texts else None,
        encode_alone_ms=_alone(encoder, texts[:ALONE]) if texts else None,
        model=f"{_shown(encoder.info.model)}, {encoder.info.precision}",
    )
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(asdict(costs)), encoding="utf-8")
    return costs


def _shown(model: str) -> str:
    """Return a model's name as reports show it: of a folder, not where on this machine it lies."""
    return Path(model).name if Path(model).is_absolute() else model


def _alone(encoder: Encoder, texts: Sequence[str]) -> float:
    times = []
    for text in texts:
        start = perf_counter()
        encoder.encode_queries([text])
        times.append(1000 * (perf_counter() - start))
    return float(np.median(times))


def _bytes_of(index: HybridIndex) -> int | None:
    store = index.store
    if not isinstance(store, EdgeStore):
        return None
    taken = [path.stat() for path in store.path.rglob("*") if path.is_file()]
    # files of the engine have holes, which take no room; Windows does not say
    return sum(getattr(one, "st_blocks", one.st_size // BLOCK) * BLOCK for one in taken)


def _peak_memory() -> int | None:
    try:
        import resource
    except ModuleNotFoundError:  # Windows has none
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
