"""The neural network of an M3 model: padded batches in, numpy arrays out, one forward each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trivec._models.torch_linear import pack_linears
from trivec._models.torch_loading import load_with_flag_embedding, require_device
from trivec.encoders.model_folder import ModelFolder
from trivec.encoders.postprocess import multivectors, sparse_vectors
from trivec.encoders.spans import TokenOutputs
from trivec.encoders.tokens import TokenizedText, pad_texts
from trivec.types import Encoding, FloatArray, Head, SparseVector

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

__all__ = ["Network", "NetworkOptions"]


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """Where and how the network computes; see ``FlagOptions``."""

    device: str
    precision: str
    pooling: str
    normalize: bool


class Network:
    """FlagEmbedding's M3 model on its device.

    ``BGEM3FlagModel`` loads the weights; its network is then run directly, since its own
    ``encode`` runs the first batch twice and post-processes in Python loops.

    Args:
        folder: a checked folder.
        options: device, precision, pooling and normalisation.

    Raises:
        MissingDependencyError: FlagEmbedding is not installed.
        ModelError: FlagEmbedding is too old, or cannot load the folder; or there is no such device.
    """

    def __init__(self, folder: ModelFolder, options: NetworkOptions) -> None:
        require_device(options.device)
        # kept: FlagEmbedding's model moves its weights off the device when it is collected
        self._embedder = _load(folder, options)
        module = self._embedder.model.to(options.device).eval()
        pack_linears(module)
        self.backbone: torch.nn.Module = module.model
        self._sparse_head: torch.nn.Module = module.sparse_linear
        self._colbert_head: torch.nn.Module = module.colbert_linear
        self._options = options

    @property
    def pretrained_tokenizer(self) -> Any:
        """The tokenizer that FlagEmbedding loaded; this object does not use it."""
        return self._embedder.tokenizer

    def encode(
        self,
        texts: Sequence[TokenizedText],
        heads: Collection[Head],
        *,
        pad: int,
        unused: NDArray[np.int64],
    ) -> list[Encoding]:
        """Encode one batch in one forward; heads that are not asked for are not computed.

        Args:
            texts: the batch, at least one text.
            heads: what to compute.
            pad: id of the padding token.
            unused: token ids without a sparse weight.
        """
        import torch

        batch = pad_texts(texts, pad)
        ids, content, counts = batch.ids, batch.content, batch.counts
        nothing = [None] * len(texts)
        dense: Sequence[FloatArray | None] = nothing
        sparse: Sequence[SparseVector | None] = nothing
        colbert: Sequence[FloatArray | None] = nothing
        with torch.inference_mode():
            mask = self._to_device(batch.real)
            hidden = self.backbone(
                input_ids=self._to_device(ids), attention_mask=mask.long(), return_dict=True
            ).last_hidden_state
            selected = self._to_device(content)
            if "dense" in heads:
                dense = list(self._dense(hidden, mask))
            if "sparse" in heads:
                weights = _to_numpy(self._sparse_head(hidden)[..., 0][selected])
                sparse = sparse_vectors(ids[content], weights, counts, unused)
            if "colbert" in heads:
                # real rows only: padding is neither multiplied, normalised nor copied
                rows = self._colbert_head(hidden[selected])
                colbert = multivectors(_to_numpy(self._normalized(rows)), counts)
        return [
            Encoding(one, weights, rows, tokens=len(text.ids), truncated=text.truncated)
            for text, one, weights, rows in zip(texts, dense, sparse, colbert, strict=True)
        ]

    def outputs(self, ids: NDArray[np.int64], heads: Collection[Head]) -> TokenOutputs:
        """Return what the heads make of every token of one text, in one forward."""
        import torch

        with torch.inference_mode():
            inputs = self._to_device(ids[None])
            hidden = self.backbone(
                input_ids=inputs, attention_mask=torch.ones_like(inputs), return_dict=True
            ).last_hidden_state[0]
            return TokenOutputs(
                _to_numpy(hidden) if "dense" in heads else None,
                _to_numpy(self._sparse_head(hidden)[..., 0]) if "sparse" in heads else None,
                _to_numpy(self._normalized(self._colbert_head(hidden)))
                if "colbert" in heads
                else None,
            )

    def _dense(self, hidden: torch.Tensor, mask: torch.Tensor) -> FloatArray:
        import torch

        if self._options.pooling == "cls":
            pooled = hidden[:, 0]
        else:
            weights = mask / mask.sum(dim=1, keepdim=True)  # float32
            pooled = torch.einsum("bt,bth->bh", weights, hidden.float())
        return _to_numpy(self._normalized(pooled))

    def _normalized(self, vectors: torch.Tensor) -> torch.Tensor:
        import torch

        if not self._options.normalize:
            return vectors
        return torch.nn.functional.normalize(vectors.float(), dim=-1)

    def _to_device(self, array: NDArray[Any]) -> torch.Tensor:
        import torch

        return torch.from_numpy(array).to(self._options.device)


def _to_numpy(tensor: torch.Tensor) -> FloatArray:
    array: FloatArray = tensor.float().cpu().numpy()
    return array


def _load(folder: ModelFolder, options: NetworkOptions) -> Any:
    return load_with_flag_embedding(
        folder.path,
        lambda flag_embedding: flag_embedding.BGEM3FlagModel(
            str(folder.path),
            normalize_embeddings=options.normalize,
            pooling_method=options.pooling,
            devices=options.device,
            # on the CPU too: fp16 weights rounded and widened again are not fp32
            use_fp16=options.precision == "fp16",
            use_bf16=options.precision == "bf16",
            colbert_dim=folder.colbert_dim,
            trust_remote_code=False,
        ),
    )
