"""From documents of one's own to a model that knows them, and an index that uses it."""

from __future__ import annotations

from trivec.training.finetuning import FinetuneData, FinetuneProgress, TunedModel, finetune
from trivec.training.flag_trainers import (
    FlagTrainer,
    FlagTrainerOptions,
    train_with_flag_embedding,
)
from trivec.training.judging import Judgement, TuningWord
from trivec.training.mixing import mix_models
from trivec.training.options import FinetuneOptions, ReportTo, TrainedPart, TrainingPrecision
from trivec.training.pruning import PrunedModel, prune_model
from trivec.training.reindexing import Reindexed, reindex

__all__ = [
    "FinetuneData",
    "FinetuneOptions",
    "FinetuneProgress",
    "FlagTrainer",
    "FlagTrainerOptions",
    "Judgement",
    "PrunedModel",
    "Reindexed",
    "ReportTo",
    "TrainedPart",
    "TrainingPrecision",
    "TunedModel",
    "TuningWord",
    "finetune",
    "mix_models",
    "prune_model",
    "reindex",
    "train_with_flag_embedding",
]
