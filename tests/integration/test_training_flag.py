"""FlagEmbedding's own trainers, really run: a few steps on a CPU, with tiny random models.

Half a minute each, so that they run where they are asked for: TRIVEC_SLOW=1.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from itertools import pairwise

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("FlagEmbedding")

from trivec.encoders import FlagEncoder  # noqa: E402
from trivec.errors import InputError, ModelError  # noqa: E402
from trivec.rerankers import FlagReranker  # noqa: E402
from trivec.testing import build_tiny_reranker  # noqa: E402
from trivec.testing.backbone import SENTENCES  # noqa: E402
from trivec.training import (  # noqa: E402
    FinetuneOptions,
    FlagTrainerOptions,
    train_with_flag_embedding,
)
from trivec.training.data import TrainingExample, write_examples  # noqa: E402
from trivec.training.flag_trainers import flag_command  # noqa: E402

OPTIONS = FinetuneOptions(
    batch_size=4,
    epochs=8,
    learning_rate=1e-3,
    query_max_length=16,
    passage_max_length=32,
    distillation=0.0,
    report_to=(),
)
slow = pytest.mark.skipif("TRIVEC_SLOW" not in os.environ, reason="half a minute: TRIVEC_SLOW=1")


@pytest.fixture
def data(tmp_path):
    examples = [
        TrainingExample(query=text[:15], pos=(text,), neg=(SENTENCES[at - 3], SENTENCES[at - 5]))
        for at, text in enumerate(SENTENCES)
    ]
    write_examples(tmp_path / "train.jsonl", examples)
    return tmp_path / "train.jsonl"


def losses(folder):
    told = (folder / "trainer.log").read_text("utf-8")
    return [float(one) for one in re.findall(r"'loss': '?([0-9.e+-]+)", told)]


def weights_of(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


@slow
@pytest.mark.parametrize("trainer", ["m3", "dense"])
def test_an_embedder_learns(tiny_m3, tmp_path, data, trainer):
    chosen = FlagTrainerOptions(
        trainer=trainer, instruction="find: " if trainer == "dense" else None
    )
    tuned = train_with_flag_embedding(
        data, tiny_m3, tmp_path / "tuned", options=OPTIONS, trainer=chosen
    )
    found = losses(tuned)
    assert len(found) >= 24
    assert sum(found[-8:]) < sum(found[:8])
    name = "encoder.layer.1.output.dense.weight"
    assert not torch.equal(weights_of(tuned)[name], weights_of(tiny_m3)[name])
    if trainer == "m3":
        first, other = (
            FlagEncoder(one).encode_queries(SENTENCES[:1])[0] for one in (tiny_m3, tuned)
        )
        assert abs(first.dense - other.dense).max() > 1e-3
        assert first.sparse.values.tolist() != other.sparse.values.tolist()


@slow
def test_a_reranker_learns(tmp_path, data):
    base = build_tiny_reranker(tmp_path / "base")
    tuned = train_with_flag_embedding(
        data,
        base,
        tmp_path / "tuned",
        options=OPTIONS,
        trainer=FlagTrainerOptions(trainer="reranker"),
    )
    found = losses(tuned)
    assert sum(found[-4:]) < sum(found[:4])
    first, other = (
        FlagReranker(one).score("a river", list(SENTENCES[:3])) for one in (base, tuned)
    )
    assert list(first) != list(other)


@slow
def test_a_failure_says_why(tmp_path, data):
    (tmp_path / "model").mkdir()
    with pytest.raises(ModelError, match="trainer"):
        train_with_flag_embedding(data, tmp_path / "model", tmp_path / "tuned", options=OPTIONS)


def test_the_settings_are_the_same(tiny_m3, tmp_path, data):
    command = flag_command(
        data,
        tiny_m3,
        tmp_path / "tuned",
        replace(OPTIONS, negatives=7, seed=3, report_to=("tensorboard",), distillation=0.5),
        FlagTrainerOptions(processes=2, max_steps=5, arguments=("--deepspeed", "ds.json")),
    )
    given = dict(pairwise(command))
    assert given["--train_group_size"] == "8"
    assert given["--seed"] == "3"
    assert given["--max_steps"] == "5"
    assert given["--warmup_steps"] == "0"
    assert given["--report_to"] == "tensorboard"
    assert given["--unified_finetuning"] == given["--use_self_distill"] == "True"
    assert given["--negatives_cross_device"] == "True"
    assert given["--knowledge_distillation"] == "False"  # the examples have no scores
    assert given["--deepspeed"] == "ds.json"
    assert "--nproc_per_node=2" in command


def test_what_does_not_go_together_is_refused(tiny_m3, tmp_path, data):
    with pytest.raises(InputError, match="dense"):
        FlagTrainerOptions(trainer="m3", instruction="find: ")
    with pytest.raises(InputError, match="exists already"):
        train_with_flag_embedding(data, tiny_m3, tmp_path, options=OPTIONS)
