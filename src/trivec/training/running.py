"""The loop of a training: steps, their state on the disk, and going on from it."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trivec.errors import InputError, TrivecError
from trivec.training.batches import Batch, Candidate, batches_of_epoch
from trivec.training.losses import ARMS, losses_of, scores_of
from trivec.training.network import Network
from trivec.training.options import FinetuneOptions
from trivec.training.states import States

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Loop", "Step"]

logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"
WARMUP = 0.1
KEPT_AT_ONCE = 16
"""General texts that a step looks at."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did.

    Attributes:
        number: from 1.
        of: how many there are.
        epoch: from 1.
        losses: of each arm, and their weighted sum as ``total``.
        learning_rate: of the layers.
        seconds: that it took.
    """

    number: int
    of: int
    epoch: int
    losses: dict[str, float]
    learning_rate: float
    seconds: float


class Loop:
    """A training that can be ended after any step and taken up again.

    Args:
        network: what learns.
        states: what it is given.
        examples: what it learns from.
        options: how.
        guide: ``(texts, dim)`` the base model's dense vectors.
        general: numbers of texts whose dense vectors are kept near the base's.
    """

    def __init__(
        self,
        network: Network,
        states: States,
        examples: Sequence[Candidate],
        options: FinetuneOptions,
        guide: Tensor,
        *,
        general: Sequence[int] = (),
    ) -> None:
        self._network = network
        self._states = states
        self._examples = examples
        self._options = options
        self._guide = guide
        self._general = list(general) if options.keep and network.parameters()[0] else []
        self._plan = [
            (epoch, batch)
            for epoch in range(options.epochs)
            for batch in batches_of_epoch(
                examples,
                size=options.batch_size,
                negatives=options.negatives,
                seed=options.seed,
                epoch=epoch,
            )
        ]
        if not self._plan:
            raise InputError("there is nothing to learn from: give two queries with passages")
        self._arms = [arm for arm, share in zip(ARMS, options.weights, strict=True) if share]
        layers, heads = network.parameters()
        self._optimizer = _optimizer(layers, heads, options)
        self._rates = [group["lr"] for group in self._optimizer.param_groups]
        self.done = 0

    @property
    def steps(self) -> int:
        """How many steps the training has."""
        return len(self._plan)

    def run(self, unused: Tensor, *, bf16: bool, folder: Path, name: str) -> Iterator[Step]:
        """Do what is left of the training, a step at a time.

        Args:
            unused: special tokens, which have no sparse weight.
            bf16: compute the layers' products in bfloat16.
            folder: where the state is kept.
            name: what identifies the training; a state of another one is refused.
        """
        while self.done < self.steps:
            start = time.perf_counter()
            epoch, batch = self._plan[self.done]
            factor = self._factor(self.done)
            losses = self._step(batch, unused, factor, bf16=bf16)
            self.done += 1
            if self.done % self._options.checkpoint_every == 0 or self.done == self.steps:
                self.save(folder, name)
            yield Step(
                self.done,
                self.steps,
                epoch + 1,
                losses,
                self._options.learning_rate * factor,
                time.perf_counter() - start,
            )

    def _factor(self, step: int) -> float:
        """Return the share of the learning rate: a rise over a tenth, then a cosine to 0."""
        rise = max(1, round(WARMUP * self.steps))
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, self.steps - rise)))

    def _step(self, batch: Batch, unused: Tensor, factor: float, *, bf16: bool) -> dict[str, float]:
        import torch

        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        with torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext():
            queries = self._states.outputs(batch.queries)
            passages = self._states.outputs(batch.passages)
            moved = self._moved() if self._general else None
        scores = scores_of(queries, passages, unused, self._arms)
        guide = self._guide[list(batch.queries)] @ self._guide[list(batch.passages)].T
        losses = losses_of(scores, batch, guide, self._options)
        total, parts = losses.total, losses.parts
        if moved is not None:
            total = total + self._options.keep * moved
            parts = {**parts, "kept": float(moved.detach())}
        if not bool(torch.isfinite(total)):
            raise TrivecError(
                f"the loss is {float(total)} at step {self.done + 1}; "
                "lower learning_rate, or take precision='fp32'"
            )
        self._optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        layers, heads = self._network.parameters()
        torch.nn.utils.clip_grad_norm_([*layers, *heads], 1.0)
        self._optimizer.step()
        return {**parts, "total": float(total.detach())}

    def _moved(self) -> Tensor:
        """Return how far some general texts are from where the base has them, as a loss.

        Their cosine distance counts as scores do: it is divided by the temperature.
        """
        import numpy as np

        draw = np.random.default_rng([self._options.seed, 1, self.done])
        count = min(KEPT_AT_ONCE, len(self._general))
        texts = [self._general[at] for at in draw.choice(len(self._general), count, replace=False)]
        cosines = (self._states.outputs(texts).dense * self._guide[texts]).sum(dim=1)
        return (1 - cosines).mean() / self._options.temperature

    def save(self, folder: Path, name: str) -> None:
        """Write the state; it is whole or not there."""
        import torch

        state = {
            "name": name,
            "done": self.done,
            "steps": self.steps,
            "trained": self._network.trained_state(),
            "optimizer": self._optimizer.state_dict(),
        }
        partial = folder / f".{CHECKPOINT}.partial"
        torch.save(state, partial)
        partial.replace(folder / CHECKPOINT)

    def resume(self, folder: Path, name: str, *, force: bool = False) -> bool:
        """Take up the state of a folder; return whether there was one.

        Args:
            folder: of the run.
            name: what identifies the training.
            force: pass over the state of another training, even if that is not finished.

        Raises:
            InputError: it belongs to another training, which is not finished.
        """
        import torch

        file = folder / CHECKPOINT
        if not file.is_file():
            return False
        state: Any = torch.load(file, weights_only=True)
        if state["name"] != name:
            if force or state["done"] == state["steps"]:
                return False
            raise InputError(
                f"{file} belongs to an unfinished training with other data, model or settings; "
                "give another output, or begin anew with force=True"
            )
        self._network.load_trained(state["trained"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.done = state["done"]
        logger.info("going on after step %d of %d", self.done, self.steps)
        return True


def _optimizer(
    layers: Sequence[Any], heads: Sequence[Any], options: FinetuneOptions
) -> torch.optim.Optimizer:
    import torch

    matrices = [one for one in layers if one.dim() > 1]
    others = [one for one in layers if one.dim() < 2]
    rate = options.learning_rate
    groups = [
        {"params": matrices, "lr": rate, "weight_decay": options.weight_decay},
        {"params": others, "lr": rate, "weight_decay": 0.0},
        {"params": heads, "lr": options.head_learning_rate, "weight_decay": 0.0},
    ]
    if not any(group["params"] for group in groups):
        raise InputError("nothing learns: part='heads' needs a weight of sparse or ColBERT above 0")
    return torch.optim.AdamW([group for group in groups if group["params"]])


def measured_bf16(work: Callable[[], object]) -> bool:
    """Return whether a piece of work is faster in bfloat16 on this machine."""
    import torch

    times = []
    for bf16 in (False, True):
        with torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext():
            work()  # the first time packs weights
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
    logger.info("a forward takes %.2f s in fp32 and %.2f s in bf16", *times)
    return times[1] < 0.9 * times[0]
