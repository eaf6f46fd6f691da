"""What a training is told: which weights learn, from what, how fast and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from trivec._runtime.checks import check_choice, check_least, check_number
from trivec._runtime.typed import check_fields
from trivec.errors import InputError

__all__ = ["FinetuneOptions", "ReportTo", "TrainedPart", "TrainingPrecision"]

TrainedPart: TypeAlias = Literal["heads", "top", "encoder", "lora"]
"""What learns: the heads alone, the top layers too, all layers, or low-rank additions to them.

Word embeddings never learn: they are most of the weights, and no small corpus can teach them.
"""

TrainingPrecision: TypeAlias = Literal["auto", "fp32", "bf16"]
"""``auto`` takes what a short measurement finds to be faster here; weights stay in fp32."""

ReportTo: TypeAlias = Literal["console", "tensorboard", "wandb"]
"""Where losses are shown while a training runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneOptions:
    """How a model is trained.

    Attributes:
        part: what learns.
        layers: how many layers of ``top``, from the last one; the output of those below is
            computed once.
        lora_rank: of the additions of ``lora``.
        epochs: how often every query is asked.
        batch_size: queries of one step; no text stands twice in it.
        negatives: hard negatives that each query brings along.
        learning_rate: of the layers, at its highest: it rises over a tenth of the steps, and falls
            to 0 along a cosine.
        head_learning_rate: of the sparse and the ColBERT head.
        temperature: scores of dense and ColBERT are divided by it.
        sparse_temperature: scores of the sparse head are divided by it.
        weights: of the losses of dense, sparse and ColBERT; 0 leaves a head alone.
        false_negative_margin: a passage of another query that the base model scores higher than
            the query's own passage less this margin is no negative. None takes all as negatives.
            A query's own hard negatives always count.
        keep: weight of the loss that keeps the dense vectors of general examples where the base
            has them; 0 lets them go. Without general examples there is none.
        distillation: the share of the loss that follows a teacher's scores, where the data has
            some. Scores of a good cross-encoder help; those of the base's own vectors do not.
        teacher_temperature: a teacher's scores are divided by it: 1 for logits, less for
            probabilities and cosines.
        self_distillation: the share of the loss that follows the sum of the three scores.
        weight_decay: of the layers.
        precision: of the layers' products.
        seed: of the order of queries and of what is drawn.
        query_max_length: tokens read of a query.
        passage_max_length: tokens read of a passage.
        checkpoint_every: steps after which the state is written, to go on from there.
        report_to: where losses are shown.
        mix: the share of the tuned weights in what is written, the rest is the base's. ``auto``
            takes the largest share that keeps nine tenths of what the development examples gain,
            and loses no more than ``most_lost`` on the general ones, where there are some.
        most_lost: nDCG@10 of an arm on the general examples that ``auto`` may lose.

    Raises:
        InputError: a value is not allowed.
    """

    part: TrainedPart = "top"
    layers: int = 4
    lora_rank: int = 16
    epochs: int = 2
    batch_size: int = 16
    negatives: int = 3
    learning_rate: float = 1e-4
    head_learning_rate: float = 2e-3
    temperature: float = 0.02
    sparse_temperature: float = 0.2
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    false_negative_margin: float | None = 0.0
    keep: float = 1.0
    distillation: float = 0.0
    teacher_temperature: float = 1.0
    self_distillation: float = 0.0
    weight_decay: float = 0.01
    precision: TrainingPrecision = "auto"
    seed: int = 0
    query_max_length: int = 64
    passage_max_length: int = 256
    checkpoint_every: int = 50
    report_to: tuple[ReportTo, ...] = ("console",)
    mix: float | Literal["auto"] = 1.0
    most_lost: float = 0.003

    def __post_init__(self) -> None:
        check_fields(self)
        check_choice("part", self.part, TrainedPart)
        check_choice("precision", self.precision, TrainingPrecision)
        for name in ("layers", "lora_rank", "epochs", "checkpoint_every"):
            check_least(name, getattr(self, name), 1)
        check_least("batch_size", self.batch_size, 2)
        check_least("negatives", self.negatives, 0)
        for name in ("query_max_length", "passage_max_length"):
            check_least(name, getattr(self, name), 3)
        for name in (
            "learning_rate",
            "head_learning_rate",
            "temperature",
            "sparse_temperature",
            "teacher_temperature",
        ):
            check_number(name, getattr(self, name), above=0)
        for name in ("distillation", "self_distillation"):
            check_number(name, getattr(self, name), least=0, most=1)
        check_number("weight_decay", self.weight_decay, least=0)
        check_number("keep", self.keep, least=0)
        check_number("most_lost", self.most_lost, least=0)
        if self.mix != "auto":
            check_number("mix", self.mix, above=0, most=1)
        check_number("false_negative_margin", self.false_negative_margin, or_none=True)
        if len(self.weights) != 3 or min(self.weights) < 0 or not any(self.weights):
            raise InputError(
                f"weights={self.weights}; give three of at least 0 for dense, sparse and ColBERT, "
                "not all of them 0"
            )
        for place in self.report_to:
            check_choice("report_to", place, ReportTo)
