"""One training's network, texts and loop, and what its weights are worth when it ends."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from trivec._runtime.dependencies import unavailable
from trivec.encoders.model_folder import ModelFolder
from trivec.encoders.stated import StatedUsage
from trivec.encoders.tokens import TextTokenizer
from trivec.errors import ModelError
from trivec.training.batches import Candidate, candidates
from trivec.training.data import TrainingExample
from trivec.training.development import in_pieces, ndcg_by_arm
from trivec.training.judging import Judgement, judged
from trivec.training.network import Network, Outputs
from trivec.training.options import FinetuneOptions
from trivec.training.running import Loop, measured_bf16
from trivec.training.states import States, joined
from trivec.training.texts import Reading, Texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["SHARES", "STATES", "Session", "chosen_share"]

logger = logging.getLogger(__name__)

SHARES = (0.25, 0.5, 0.75, 1.0)
KEPT = 0.9
"""Of the gain on the development examples, what another share has to keep."""
UNREAD = 0.1
"""The share of unknown tokens from which a general example says nothing about this model."""
STATES = "states.f16"
MEASURED = 16

Progress = Callable[[str, int, int], None]


class Data(Protocol):
    """The examples of a training; see ``FinetuneData``."""

    @property
    def train(self) -> Sequence[TrainingExample]: ...
    @property
    def development(self) -> Sequence[TrainingExample]: ...
    @property
    def general(self) -> Sequence[TrainingExample] | None: ...


class Session:
    """What a training holds in memory.

    Args:
        data: the examples.
        folder: the base.
        usage: its pooling and instructions.
        options: of the training.
        run: the folder where states are kept.
    """

    def __init__(
        self,
        data: Data,
        folder: ModelFolder,
        usage: StatedUsage,
        options: FinetuneOptions,
        run: Path,
    ) -> None:
        import torch

        torch.manual_seed(options.seed)
        self._data = data
        self._options = options
        self.network = Network(folder, usage.pooling, options)
        tokenizer = _tokenizer(folder.path)
        self.unused = torch.from_numpy(tokenizer.unused)
        general = data.general or ()
        examples = [*data.train, *data.development, *general]
        longest = folder.max_length
        self.texts = Texts(
            ((one.query, one.prompt) for one in examples),
            (text for one in examples for text in (*one.pos, *one.neg)),
            tokenizer,
            (
                Reading(usage.query_instruction, min(options.query_max_length, longest)),
                Reading(usage.passage_instruction, min(options.passage_max_length, longest)),
            ),
        )
        self._general = [one for one in general if self._is_read(one, tokenizer.unknown)]
        self._states = States(self.network, self.texts.tokens, tokenizer.pad, run / STATES)
        self._train = candidates(data.train, self.texts)
        self._base: list[Tensor] = []
        self._before: dict[str, dict[str, NDArray[np.float64]]] = {}

    def is_faster_in_bf16(self) -> bool:
        """Measure a forward of some passages in both precisions."""
        import torch

        some = list(self.texts.passages)[:MEASURED]

        def work() -> None:
            with torch.no_grad():
                self._states.measure(some)

        return measured_bf16(work)

    def prepare(self, *, bf16: bool, progress: Progress) -> None:
        """Compute what stays the same: frozen layers' states, the base's vectors and figures.

        The base reads each text once: its vectors tell false negatives, and give its figures.
        """
        import torch

        total, done = len(self.texts), 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            progress("texts", done, total)

        with _computing(bf16=bf16):
            self._states.compute(advance)
            known = in_pieces(self._states.outputs, range(len(self.texts)))

        def looked_up(numbers: Sequence[int]) -> Outputs:
            return joined([known], torch.tensor(numbers))

        self._before = {
            name: self._figures(examples, looked_up) for name, examples in self._judged_on().items()
        }
        self._base = [one.detach().clone() for one in self.network.mixed()]
        general = candidates(self._general, self.texts)
        kept = sorted({one.query for one in general} | _passages(general))
        self.loop = Loop(
            self.network, self._states, self._train, self._options, known.dense, general=kept
        )

    def concluded(self, *, bf16: bool, progress: Progress) -> tuple[float, tuple[Judgement, ...]]:
        """Mix base and tuned weights as was asked, and judge the outcome.

        Returns:
            The share of the tuned weights, and the judgement of each arm.
        """
        tuned = [one.detach().clone() for one in self.network.mixed()]
        with _computing(bf16=bf16):
            asked = self._options.mix
            share = self._chosen(tuned, progress) if asked == "auto" else float(asked)
            self._take(tuned, share)
            if not self._data.development:
                return share, ()
            after = self._figures(self._data.development)
        documents = [one.source or one.pos[0] for one in self._data.development]
        return share, judged(self._before["development"], after, documents)

    def _chosen(self, tuned: Sequence[Tensor], progress: Progress) -> float:
        """Return the share that gains on the development examples and loses little elsewhere."""
        gains: dict[float, float] = {}
        losses: dict[float, float] = {}
        for at, share in enumerate(SHARES):
            self._take(tuned, share)
            gains[share] = _gain(self._before["development"], self._figures(self._data.development))
            if self._general:
                before, after = self._before["general"], self._figures(self._general)
                losses[share] = max(float((before[arm] - after[arm]).mean()) for arm in before)
            logger.info("share %.2f: gain %.4f, loss elsewhere %s", share, gains[share], losses)
            progress("shares", at + 1, len(SHARES))
        return chosen_share(gains, losses, self._options.most_lost)

    def _take(self, tuned: Sequence[Tensor], share: float) -> None:
        """Set what has learned to a mean of the base and the tuned weights."""
        import torch

        with torch.no_grad():
            for one, before, after in zip(self.network.mixed(), self._base, tuned, strict=True):
                one.copy_(before.lerp(after, share))

    def _is_read(self, example: TrainingExample, unknown: int | None) -> bool:
        """Return whether the model has tokens for a general example: not all know its script."""
        numbers = [self.texts.query(example.query, example.prompt)]
        numbers += [self.texts.passage(text) for text in example.pos]
        return all((self.texts.tokens[at].ids == unknown).mean() <= UNREAD for at in numbers)

    def _judged_on(self) -> dict[str, Sequence[TrainingExample]]:
        parts = {"development": self._data.development, "general": self._general}
        return {name: examples for name, examples in parts.items() if examples}

    def _figures(
        self,
        examples: Sequence[TrainingExample],
        outputs: Callable[[Sequence[int]], Outputs] | None = None,
    ) -> dict[str, NDArray[np.float64]]:
        """Return nDCG@10 by arm; each part is searched among its own and the training passages."""
        asked = candidates(examples, self.texts)
        own = _passages(asked)
        if examples is self._data.development:
            own |= _passages(self._train)
        return ndcg_by_arm(outputs or self._states.outputs, asked, sorted(own), self.unused)


def chosen_share(
    gains: Mapping[float, float], losses: Mapping[float, float], most_lost: float
) -> float:
    """Return the largest share that keeps most of the gain and loses little elsewhere.

    A few development examples tell neighbouring shares hardly apart; the doubt is for learning,
    since the general examples speak for what was known.

    Args:
        gains: on the development examples, by share.
        losses: on the general ones, by share; empty where there are none.
        most_lost: what may be lost there.

    Returns:
        The share; the smallest one if all lose too much.
    """
    allowed = [one for one in gains if losses.get(one, 0.0) <= most_lost]
    if not allowed:
        return min(gains)
    best = max(gains[one] for one in allowed)
    return max(one for one in allowed if gains[one] >= min(best, KEPT * best))


def _gain(before: dict[str, Any], after: dict[str, Any]) -> float:
    """Return the mean over the arms of what each has gained."""
    return sum(float((after[arm] - before[arm]).mean()) for arm in before) / len(before)


def _passages(examples: Iterable[Candidate]) -> set[int]:
    return {at for one in examples for at in (*one.positives, *one.negatives)}


@contextmanager
def _computing(*, bf16: bool) -> Iterator[None]:
    import torch

    # A kept cast of a weight would go on being used after the weight has been mixed anew.
    cast = torch.autocast("cpu", torch.bfloat16, cache_enabled=False) if bf16 else nullcontext()
    with cast:
        yield


def _tokenizer(path: Path) -> TextTokenizer:
    try:
        from transformers import AutoTokenizer
    except ImportError as err:
        raise unavailable(err, "transformers", "finetune") from err
    try:
        return TextTokenizer(AutoTokenizer.from_pretrained(str(path)))
    except (OSError, ValueError) as err:
        raise ModelError(
            f"the tokenizer in {path} cannot be loaded ({err}); one that transformers 5 has saved "
            "needs transformers 5: pip install -U 'trivec[finetune]'"
        ) from err
