"""The network that is trained: an encoder in two halves, of which the upper learns, and heads."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trivec._models.torch_loading import no_progress_bars
from trivec._models.weights import read_tensors
from trivec._runtime.dependencies import unavailable
from trivec.encoders.model_folder import COLBERT_HEAD, SPARSE_HEAD, ModelFolder
from trivec.errors import InputError, ModelError
from trivec.training.options import FinetuneOptions

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Network", "Outputs"]

LORA_TARGETS = ("query", "key", "value", "dense")


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the network makes of several texts.

    Attributes:
        dense: ``(texts, dim)`` of unit length.
        weights: ``(tokens,)`` of the sparse head, not below 0; the texts one after another.
        rows: ``(tokens, dim)`` of the ColBERT head, of unit length.
        ids: ``(tokens,)`` what token each is.
        counts: ``(texts,)`` how many tokens belong to each text.
    """

    dense: Tensor
    weights: Tensor
    rows: Tensor
    ids: Tensor
    counts: Tensor


class Network:
    """An encoder's layers and heads, as far as they learn.

    Args:
        folder: a checked folder in the M3 format.
        pooling: ``cls`` or ``mean``.
        options: what learns.

    Raises:
        MissingDependencyError: torch, transformers or peft is not installed.
        ModelError: the encoder is of a family whose layers are not known.
        InputError: it has fewer layers than are to learn.
    """

    def __init__(self, folder: ModelFolder, pooling: str, options: FinetuneOptions) -> None:
        self.pooling = pooling
        self.backbone: Any = load_backbone(folder.path)
        self.sparse = _head(folder.path / SPARSE_HEAD)
        self.colbert = _head(folder.path / COLBERT_HEAD)
        self._folder = folder
        self._options = options
        self.frozen_layers = self._frozen(options)
        layers = list(self.backbone.encoder.layer)
        self._upper = self._half(layers[self.frozen_layers :], given=True)
        self._lower = self._half(layers[: self.frozen_layers], given=False)
        self.backbone.requires_grad_(False)  # noqa: FBT003  # torch's own name
        self._peft: Any = None
        if options.part in ("top", "encoder"):
            self._upper.encoder.requires_grad_(True)  # noqa: FBT003
        elif options.part == "lora":
            self._upper = self._with_lora(options.lora_rank)

    def _frozen(self, options: FinetuneOptions) -> int:
        total = len(self.backbone.encoder.layer)
        if options.part == "heads":
            return total
        if options.part == "top":
            if options.layers > total:
                raise InputError(f"layers={options.layers}, but the model has {total}")
            return total - options.layers
        return 0

    def _half(self, layers: Sequence[nn.Module], *, given: bool) -> Any:
        """Return a model of some of the layers, which are shared with the whole.

        Args:
            layers: what it runs.
            given: it is given states instead of ids, and has no word embeddings.
        """
        from copy import copy

        from torch import nn

        half = copy(self.backbone)
        half._modules = dict(self.backbone._modules)  # noqa: SLF001  # a shallow copy of a module
        half.encoder = copy(self.backbone.encoder)
        half.encoder._modules = dict(half.encoder._modules)  # noqa: SLF001
        half.encoder.layer = nn.ModuleList(layers)
        half.pooler = None
        if given:
            half.embeddings = _states_as_given()
        return half

    def _with_lora(self, rank: int) -> Any:
        try:
            from peft import LoraConfig, get_peft_model
        except ImportError as err:
            raise unavailable(err, "peft", "finetune") from err
        config = LoraConfig(
            r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=list(LORA_TARGETS)
        )
        with warnings.catch_warnings():  # peft asks transformers in an older way
            warnings.simplefilter("ignore", FutureWarning)
            self._peft = get_peft_model(self._upper, config)
        return self._peft

    def parameters(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Return what learns of the layers, and of the heads."""
        layers = [one for one in self._upper.parameters() if one.requires_grad]
        _, sparse, colbert = self._options.weights
        heads: list[nn.Parameter] = []
        if sparse:
            heads += self.sparse.parameters()
        if colbert:
            heads += self.colbert.parameters()
        return layers, heads

    def mixed(self) -> list[nn.Parameter]:
        """Return the parameters in which a share of what was learned is a share of itself.

        A low-rank addition is a product; scaling its second factor, which begins at 0, scales it.
        """
        _, heads = self.parameters()
        layers = [
            one
            for name, one in self._upper.named_parameters()
            if one.requires_grad and "lora_A" not in name
        ]
        return [*layers, *heads]

    def lower_states(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the states ``(texts, tokens, dim)`` that the upper half is given."""
        import torch

        with torch.no_grad():
            if not self.frozen_layers:
                found: Tensor = self.backbone.embeddings(input_ids=ids)
                return found
            states: Tensor = self._lower(input_ids=ids, attention_mask=mask).last_hidden_state
            return states

    def outputs(self, states: Tensor, mask: Tensor, content: Tensor, ids: Tensor) -> Outputs:
        """Run the upper half and the heads.

        Args:
            states: ``(texts, tokens, dim)`` from ``lower_states``.
            mask: ``(texts, tokens)`` 1 where there is a token.
            content: ``(texts, tokens)`` bool, where a token is the text's own.
            ids: ``(texts, tokens)``.
        """
        import torch
        from torch.nn.functional import normalize

        hidden = states
        if self.frozen_layers < len(self.backbone.encoder.layer):
            hidden = self._upper(inputs_embeds=states, attention_mask=mask).last_hidden_state
        places = content.flatten().nonzero().squeeze(1)
        with torch.autocast("cpu", enabled=False):  # vectors are compared: they stay exact
            hidden = hidden.float()
            if self.pooling == "cls":
                pooled = hidden[:, 0]
            else:
                shares = mask / mask.sum(dim=1, keepdim=True)
                pooled = torch.einsum("bt,bth->bh", shares.float(), hidden)
            own = hidden.flatten(0, 1).index_select(0, places)
            weights = torch.relu(self.sparse(own).squeeze(-1))
            rows = normalize(self.colbert(own), dim=-1)
        return Outputs(normalize(pooled, dim=-1), weights, rows, ids[content], content.sum(dim=1))

    @contextmanager
    def merged(self) -> Iterator[None]:
        """Hold low-rank additions added to the layers."""
        if self._peft is None:
            yield
            return
        self._peft.merge_adapter()
        try:
            yield
        finally:
            self._peft.unmerge_adapter()

    def tensors(self) -> dict[str, Tensor]:
        """Return all weights of the encoder under the names that a model's file has."""
        import torch

        with torch.no_grad(), self.merged():
            return {
                name.replace(".base_layer", ""): tensor.detach().clone()
                for name, tensor in self.backbone.state_dict().items()
                if "lora_" not in name
            }

    def heads(self) -> dict[str, dict[str, Tensor]]:
        """Return the weights of the heads by the names of their files."""
        return {
            SPARSE_HEAD: {name: one.detach() for name, one in self.sparse.state_dict().items()},
            COLBERT_HEAD: {name: one.detach() for name, one in self.colbert.state_dict().items()},
        }

    def trained_state(self) -> dict[str, Any]:
        """Return what learns, for a checkpoint."""
        layers, heads = self.parameters()
        return {
            "layers": [one.detach() for one in layers],
            "heads": [one.detach() for one in heads],
        }

    def load_trained(self, state: dict[str, Any]) -> None:
        """Take what ``trained_state`` returned."""
        import torch

        layers, heads = self.parameters()
        with torch.no_grad():
            for own, stored in zip(
                [*layers, *heads], [*state["layers"], *state["heads"]], strict=True
            ):
                own.copy_(stored)


def load_backbone(path: Path) -> Any:
    """Return the encoder of a folder in fp32, without dropout.

    Raises:
        MissingDependencyError: transformers is not installed.
        ModelError: it cannot be loaded, or its layers are not where BERT has them.
    """
    try:
        from transformers import AutoModel
    except ImportError as err:
        raise unavailable(err, "transformers", "finetune") from err
    try:
        with no_progress_bars():
            model = AutoModel.from_pretrained(str(path)).float()
    except (OSError, ValueError, RuntimeError) as err:
        raise ModelError(f"{path} cannot be loaded ({err}); download it again") from err
    if not hasattr(getattr(model, "encoder", None), "layer") or not hasattr(model, "embeddings"):
        raise ModelError(
            f"{path} holds a {type(model).__name__}; models of BERT's and XLM-RoBERTa's kind can "
            "be trained"
        )
    return model.eval()


def _states_as_given() -> nn.Module:
    """Return what stands for embeddings where the layers are given states."""
    from torch import nn

    class Given(nn.Module):
        def forward(self, *_: Any, inputs_embeds: Tensor, **__: Any) -> Tensor:
            return inputs_embeds

    return Given()


def _head(file: Path) -> nn.Linear:
    import torch
    from torch import nn

    tensors = {name: np.array(array) for name, array in read_tensors(file).items()}
    rows, width = tensors["weight"].shape
    head = nn.Linear(width, rows)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(tensors["weight"]))
        head.bias.copy_(torch.from_numpy(tensors["bias"]))
    return head
