"""Where the losses of a training are shown: the log, TensorBoard, Weights & Biases."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from trivec._runtime.dependencies import unavailable
from trivec.training.options import ReportTo
from trivec.training.running import Step

__all__ = ["LOSSES", "reports_to"]

logger = logging.getLogger(__name__)

LOSSES = "losses.jsonl"
EVERY = 10


class Report(Protocol):
    """Is told of every step."""

    def __call__(self, step: Step) -> None: ...


@contextmanager
def reports_to(
    places: Sequence[ReportTo], folder: Path, config: Mapping[str, Any], *, done: int
) -> Iterator[Report]:
    """Yield what tells a step to all places, and writes it into the run's ``losses.jsonl``.

    Args:
        places: where losses are shown.
        folder: of the run.
        config: what W&B shows beside them.
        done: steps of an earlier process, whose lines are kept; later ones are done again.

    Raises:
        MissingDependencyError: tensorboard or wandb is not installed.
    """
    file = folder / LOSSES
    kept = file.read_text("utf-8").splitlines()[:done] if file.is_file() else []
    with ExitStack() as open_places:
        lines = open_places.enter_context(file.open("w", encoding="utf-8"))
        lines.writelines(f"{line}\n" for line in kept)
        opened = [open_places.enter_context(PLACES[one](folder, config)) for one in places]

        def report(step: Step) -> None:
            lines.write(json.dumps(asdict(step)) + "\n")
            lines.flush()
            for one in opened:
                one(step)

        yield report


@contextmanager
def _console(folder: Path, config: Mapping[str, Any]) -> Iterator[Report]:
    del folder, config

    def report(step: Step) -> None:
        if step.number % EVERY == 0 or step.number == step.of:
            told = ", ".join(f"{name} {value:.3f}" for name, value in step.losses.items())
            logger.info("step %d of %d: loss: %s", step.number, step.of, told)

    yield report


@contextmanager
def _tensorboard(folder: Path, config: Mapping[str, Any]) -> Iterator[Report]:
    del config
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as err:
        raise unavailable(err, "tensorboard", "tracking") from err
    writer = SummaryWriter(str(folder / "tensorboard"))

    def report(step: Step) -> None:
        for name, value in _scalars(step).items():
            writer.add_scalar(name, value, step.number)

    try:
        yield report
    finally:
        writer.close()


@contextmanager
def _wandb(folder: Path, config: Mapping[str, Any]) -> Iterator[Report]:
    try:
        import wandb
    except ImportError as err:
        raise unavailable(err, "wandb", "tracking") from err
    # WANDB_MODE, WANDB_PROJECT and the like are read by it: offline asks for WANDB_MODE=offline
    run = wandb.init(dir=str(folder), config=dict(config))

    def report(step: Step) -> None:
        run.log(_scalars(step), step=step.number)

    try:
        yield report
    finally:
        run.finish()


def _scalars(step: Step) -> dict[str, float]:
    return {
        **{f"loss/{name}": value for name, value in step.losses.items()},
        "learning_rate": step.learning_rate,
    }


PLACES = {"console": _console, "tensorboard": _tensorboard, "wandb": _wandb}
