"""The model ``mini`` in PyTorch, for training and for GPUs."""

from __future__ import annotations

from dataclasses import replace

from trivec._runtime.checks import shown
from trivec.encoders.flag import FlagEncoder, FlagOptions
from trivec.encoders.model_folder import ModelFolder
from trivec.errors import InputError
from trivec.mini.folder import ConversionProgress, ensure_mini_folder
from trivec.mini.source import mini_digest, mini_revision
from trivec.mini.usage import MINI_SETTINGS
from trivec.types import EncoderInfo

__all__ = ["MINI_FLAG_OPTIONS", "MiniFlagEncoder"]

MINI_FLAG_OPTIONS = FlagOptions(
    pooling=MINI_SETTINGS["pooling"],
    query_instruction=MINI_SETTINGS["query_instruction"],
    passage_instruction=MINI_SETTINGS["passage_instruction"],
    query_max_length=MINI_SETTINGS["query_max_length"],
    passage_max_length=MINI_SETTINGS["passage_max_length"],
)
"""How ``mini`` is used in PyTorch; derive others with ``dataclasses.replace``."""

_FIXED = ("pooling", "query_instruction", "passage_instruction", "revision")


class MiniFlagEncoder(FlagEncoder):
    """``mini`` through FlagEmbedding (extras ``mini`` and ``flag``).

    The weights are converted into a folder in the user's cache folder at first use, which takes
    some seconds and 490 MB. ``folder`` is a Hugging Face model that can be trained further.

    Args:
        options: device, precision and the like; pooling and instructions belong to the model.
        progress: called with a line of text for each step of the conversion.

    Raises:
        InputError: the options contradict the model.
    """

    def __init__(
        self,
        options: FlagOptions = MINI_FLAG_OPTIONS,
        *,
        progress: ConversionProgress | None = None,
    ) -> None:
        for name in _FIXED:
            given, own = getattr(options, name), getattr(MINI_FLAG_OPTIONS, name)
            if given != own:
                raise InputError(
                    f"{name}={shown(given)}, but 'mini' has {own!r}; start from MINI_FLAG_OPTIONS: "
                    "dataclasses.replace(MINI_FLAG_OPTIONS, precision='bf16')"
                )
        super().__init__("mini", options=replace(options, local_files_only=True))
        self._progress = progress

    @property
    def info(self) -> EncoderInfo:
        """What identifies the vectors: in fp32 that of :class:`MiniEncoder`."""
        return replace(
            super().info, weights=mini_digest("weights"), tokenizer=mini_digest("tokenizer")
        )

    def _find(self) -> ModelFolder:
        return self._inspect(ensure_mini_folder(self._progress), mini_revision())
