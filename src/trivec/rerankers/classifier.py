"""The neural network of a cross-encoder: padded pairs in, one logit for each out, one forward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trivec._models.batching import padded
from trivec._models.folder import positions, read_config, tokenizer_file, weight_files
from trivec._models.torch_linear import pack_linears
from trivec._models.torch_loading import load_with_flag_embedding, require_device
from trivec._runtime.checks import Precision
from trivec.errors import ModelError
from trivec.rerankers.pairs import TokenizedPair

if TYPE_CHECKING:
    import torch

__all__ = ["EXPECTED", "Classifier", "ClassifierFolder", "inspect_folder"]

EXPECTED = (
    "a folder with a sequence-classification model, or a hub id such as 'BAAI/bge-reranker-v2-m3'"
)
CLASSIFIER = "ForSequenceClassification"


@dataclass(frozen=True, slots=True)
class ClassifierFolder:
    """A folder with a whole cross-encoder.

    Attributes:
        path: the folder.
        max_length: the most tokens that it has positions for; None where it does not say.
    """

    path: Path
    max_length: int | None


def inspect_folder(path: Path) -> ClassifierFolder:
    """Check that a folder holds a whole cross-encoder; reads its configuration only.

    Raises:
        ModelError: it is not a model's folder, or the model does not give one score for a pair.
            FlagEmbedding would go on with a random head, or read two labels as two scores.
    """
    config = read_config(path, expected=EXPECTED)
    kinds = config.get("architectures") or []
    if not any(str(kind).endswith(CLASSIFIER) for kind in kinds):
        raise ModelError(
            f"{path} holds {kinds or 'a model without a named architecture'}, which has no head "
            f"that scores a pair; give {EXPECTED}"
        )
    named = config.get("id2label")
    labels = len(named) if named else config.get("num_labels", 2)
    if labels != 1:  # 2 is what transformers takes where nothing is said
        raise ModelError(f"{path} has {labels} outputs; a reranker has exactly one")
    weight_files(path)
    tokenizer_file(path)
    return ClassifierFolder(path, positions(config))


class Classifier:
    """A sequence-classification model on its device.

    FlagEmbedding's ``FlagReranker`` loads the weights; the network is then run directly, since
    its own ``compute_score`` runs the first batch twice.

    Args:
        path: a checked folder.
        device: where it computes.
        precision: of weights and activations.

    Raises:
        MissingDependencyError: FlagEmbedding is not installed.
        ModelError: FlagEmbedding is too old, or cannot load the folder; or there is no such device.
    """

    def __init__(self, path: Path, device: str, precision: Precision) -> None:
        require_device(device)
        # kept: FlagEmbedding's object moves its weights off the device when it is collected
        self._reranker = load_with_flag_embedding(
            path,
            lambda flag_embedding: flag_embedding.FlagReranker(
                str(path), use_fp16=False, devices=device, trust_remote_code=False
            ),
        )
        import torch

        types = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
        self.module: torch.nn.Module = self._reranker.model.to(device, types[precision]).eval()
        pack_linears(self.module)
        self._device = device

    @property
    def pretrained_tokenizer(self) -> Any:
        """The tokenizer that FlagEmbedding loaded; this object does not use it."""
        return self._reranker.tokenizer

    def score(self, pairs: Sequence[TokenizedPair], *, pad: int, has_types: bool) -> list[float]:
        """Score one batch in one forward.

        Args:
            pairs: the batch, at least one pair.
            pad: id of the padding token.
            has_types: whether the model is told the segment of each token.
        """
        import torch

        ids, real = padded([pair.ids for pair in pairs], pad)
        inputs = {"input_ids": ids, "attention_mask": real.astype(ids.dtype)}
        if has_types:
            inputs["token_type_ids"], _ = padded([pair.types for pair in pairs], 0)
        with torch.inference_mode():
            logits = self.module(
                **{name: torch.from_numpy(array).to(self._device) for name, array in inputs.items()}
            ).logits
        scores: list[float] = logits.view(-1).float().tolist()
        return scores
