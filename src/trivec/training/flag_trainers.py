"""FlagEmbedding's own trainers by torchrun, from the same settings: for GPUs, and for what is big.

=============  ==========================================================================
``m3``         all three heads together, with self-distillation
``dense``      the dense vector alone, with instructions, of BGE's and other BERT models
``reranker``   a cross-encoder
=============  ==========================================================================
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from trivec._runtime.checks import check_choice, check_least
from trivec._runtime.paths import user_path
from trivec._runtime.typed import check_fields, checked
from trivec.encoders.stated import stated_usage
from trivec.errors import InputError, MissingDependencyError, ModelError
from trivec.training.options import FinetuneOptions

__all__ = ["FlagTrainer", "FlagTrainerOptions", "train_with_flag_embedding"]

logger = logging.getLogger(__name__)

FlagTrainer: TypeAlias = Literal["m3", "dense", "reranker"]
"""Which of FlagEmbedding's trainers runs."""

MODULES: Mapping[str, str] = {
    "m3": "FlagEmbedding.finetune.embedder.encoder_only.m3",
    "dense": "FlagEmbedding.finetune.embedder.encoder_only.base",
    "reranker": "FlagEmbedding.finetune.reranker.encoder_only.base",
}
LAST_LINES = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagTrainerOptions:
    """What FlagEmbedding's trainers take beyond :class:`FinetuneOptions`.

    Attributes:
        trainer: which one runs.
        processes: of torchrun, one for each GPU.
        instruction: put before a query; ``dense`` alone takes it, and the model has to be used
            with it.
        max_steps: steps after which it ends; None is all epochs.
        arguments: more of the trainer's own arguments, such as ``("--deepspeed", "ds.json")``.

    Raises:
        InputError: a value is not allowed.
    """

    trainer: FlagTrainer = "m3"
    processes: int = 1
    instruction: str | None = None
    max_steps: int | None = None
    arguments: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        check_choice("trainer", self.trainer, FlagTrainer)
        check_least("processes", self.processes, 1)
        check_least("max_steps", self.max_steps, 1, or_none=True)
        if self.instruction is not None and self.trainer != "dense":
            raise InputError(
                f"instruction={self.instruction!r} with trainer={self.trainer!r}; 'dense' alone "
                "takes one"
            )


@checked
def train_with_flag_embedding(
    data: str | Path,
    model: str | Path,
    output: str | Path,
    *,
    options: FinetuneOptions | None = None,
    trainer: FlagTrainerOptions | None = None,
) -> Path:
    """Run one of FlagEmbedding's trainers in processes of its own.

    Args:
        data: a file of examples, as :func:`trivec.training.data.write_examples` writes them.
        model: a folder or a hub id.
        output: the folder of the tuned model; it must not be there.
        options: epochs, batch size, learning rate, lengths, negatives, temperature and seed; a
            distillation above 0 makes the trainer read ``pos_scores`` and ``neg_scores``.
        trainer: which trainer, and what it alone takes.

    Returns:
        The folder.

    Raises:
        InputError: ``output`` exists.
        MissingDependencyError: FlagEmbedding is not installed.
        ModelError: the trainer failed; the message ends with its last lines.
    """
    options, trainer = options or FinetuneOptions(), trainer or FlagTrainerOptions()
    target = user_path("output", output)
    if target.exists():
        raise InputError(f"{target} exists already; choose another folder, or remove it")
    command = flag_command(data, model, target, options, trainer)
    _require()
    environment = {
        "WANDB_MODE": "disabled",
        **os.environ,
        "TOKENIZERS_PARALLELISM": "false",
    }
    logger.info("running %s", " ".join(command))
    ended = subprocess.run(  # noqa: S603  # our own command
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if ended.returncode:
        tail = "\n".join(ended.stdout.splitlines()[-LAST_LINES:])
        raise ModelError(f"FlagEmbedding's trainer {trainer.trainer!r} failed:\n{tail}")
    (target / "trainer.log").write_text(ended.stdout, "utf-8")
    return target


def flag_command(
    data: str | Path,
    model: str | Path,
    target: Path,
    options: FinetuneOptions,
    trainer: FlagTrainerOptions,
) -> list[str]:
    """Return the command line of a trainer."""
    size = f"{1 + max(1, options.negatives)}"
    common = {
        "model_name_or_path": str(model),
        "output_dir": str(target),
        "train_data": str(data),
        "train_group_size": size,
        "learning_rate": f"{options.learning_rate:g}",
        "num_train_epochs": str(options.epochs),
        "per_device_train_batch_size": str(options.batch_size),
        "warmup_steps": str(_warmup(data, options, trainer)),  # versions differ on a ratio's name
        "weight_decay": f"{options.weight_decay:g}",
        "seed": str(options.seed),
        "logging_steps": "1",
        "dataloader_drop_last": "True",
        "knowledge_distillation": str(options.distillation > 0 and _has_scores(data)),
        "report_to": " ".join(one for one in options.report_to if one != "console") or "none",
        "query_max_len": str(options.query_max_length),
        "passage_max_len": str(options.passage_max_length),
    }
    if trainer.max_steps is not None:
        common["max_steps"] = str(trainer.max_steps)
    if trainer.trainer == "reranker":
        del common["passage_max_len"], common["query_max_len"]
        common |= {
            "query_max_len": str(options.query_max_length),
            "passage_max_len": str(options.query_max_length + options.passage_max_length),
        }
    else:
        common |= _of_embedders(model, options, trainer)
    arguments = [
        part
        for name, value in common.items()
        for part in (f"--{name}", *value.split(" "))
        if name != "query_instruction_for_retrieval"
    ]
    if "query_instruction_for_retrieval" in common:
        arguments += [
            "--query_instruction_for_retrieval",
            common["query_instruction_for_retrieval"],
        ]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    processes = f"--nproc_per_node={trainer.processes}"
    return [*launch, processes, "-m", MODULES[trainer.trainer], *arguments, *trainer.arguments]


def _of_embedders(
    model: str | Path, options: FinetuneOptions, trainer: FlagTrainerOptions
) -> dict[str, str]:
    folder = user_path("model", model)
    pooling = stated_usage(folder).pooling if folder.is_dir() else "cls"
    found = {
        "temperature": f"{options.temperature:g}",
        "sentence_pooling_method": pooling,
        "normalize_embeddings": "True",
        "negatives_cross_device": str(trainer.processes > 1),
        "same_dataset_within_batch": "True",
    }
    if trainer.trainer == "m3":
        found |= {
            "kd_loss_type": "m3_kd_loss",
            "unified_finetuning": "True",
            "use_self_distill": "True",
            "fix_encoder": str(options.part == "heads"),
            "self_distill_start_step": "0",
        }
    if trainer.instruction is not None:
        found["query_instruction_for_retrieval"] = trainer.instruction
        found["query_instruction_format"] = "{}{}"
    return found


def _warmup(data: str | Path, options: FinetuneOptions, trainer: FlagTrainerOptions) -> int:
    """Return a tenth of the steps."""
    from trivec.training.data import read_examples

    examples = sum(1 for _ in read_examples(data))
    steps = options.epochs * examples // (options.batch_size * trainer.processes)
    return (trainer.max_steps or steps) // 10


def _has_scores(data: str | Path) -> bool:
    from trivec.training.data import read_examples

    first = next(iter(read_examples(data)), None)
    return first is not None and bool(first.pos_scores)


def _require() -> None:
    from importlib.util import find_spec

    for package in ("torch", "FlagEmbedding"):
        if find_spec(package) is None:
            raise MissingDependencyError(package, "finetune")
