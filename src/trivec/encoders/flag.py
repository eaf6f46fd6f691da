"""BGE-M3 and every model in its format, through FlagEmbedding."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from trivec._models.batching import Batching, token_budget
from trivec._models.folder import HubOptions, locate_folder
from trivec._runtime.cache import combined_digest, file_digest
from trivec._runtime.checks import Precision, check_choice, check_least
from trivec._runtime.dependencies import unavailable
from trivec._runtime.lazy import Lazy
from trivec._runtime.typed import check_fields, checked
from trivec.encoders.local import LocalEncoder, Usage
from trivec.encoders.model_folder import EXPECTED, ModelFolder, inspect_folder
from trivec.encoders.network import Network, NetworkOptions
from trivec.encoders.query_map import QueryMap, read_query_map
from trivec.encoders.spans import TokenOutputs
from trivec.encoders.stated import stated_usage
from trivec.encoders.tokens import TextTokenizer, TokenizedText
from trivec.errors import InputError, ModelError
from trivec.types import ALL_HEADS, EncoderInfo, Encoding, Head

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FlagEncoder", "FlagOptions", "Pooling", "Precision"]

QUERY_LENGTH, PASSAGE_LENGTH = 512, 8192

Pooling: TypeAlias = Literal["cls", "mean"]
"""The dense vector: the state of the first token, or the mean of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagOptions:
    """How a :class:`FlagEncoder` loads and runs its model.

    Attributes:
        device: where it computes, as PyTorch names it: ``cpu``, ``cuda:0``, ``mps``.
        precision: of weights and activations. ``fp32`` equals FlagEmbedding on the CPU;
            ``bf16`` is several times faster on CPUs with AMX and on recent GPUs.
        pooling: how token states become the dense vector; None is what the folder says, else
            ``cls``, as BGE-M3 has it.
        normalize: give dense and ColBERT vectors unit length.
        query_instruction: text put before a query; None is what the folder says, else nothing.
        passage_instruction: text put before a passage; None likewise.
        query_max_length: tokens read of a query, special and instruction tokens included. None is
            512, or what the model can read.
        passage_max_length: tokens read of a passage. None is 8,192, or what the model can read.
        max_batch_tokens: the most padded tokens of one forward; one longer text goes alone.
            None is 512 on a CPU, whose caches hold that, and 8,192 elsewhere.
        revision: hub branch, tag or commit; for a folder, any name of its state.
        cache_dir: where the hub's downloads are kept; None is huggingface_hub's own folder.
        local_files_only: never download.

    Raises:
        InputError: a value is not allowed.
    """

    device: str = "cpu"
    precision: Precision = "fp32"
    pooling: Pooling | None = None
    normalize: bool = True
    query_instruction: str | None = None
    passage_instruction: str | None = None
    query_max_length: int | None = None
    passage_max_length: int | None = None
    max_batch_tokens: int | None = None
    revision: str | None = None
    cache_dir: Path | None = None
    local_files_only: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        check_choice("precision", self.precision, Precision)
        check_choice("pooling", self.pooling, Pooling, or_none=True)
        check_least("query_max_length", self.query_max_length, 3, or_none=True)
        check_least("passage_max_length", self.passage_max_length, 3, or_none=True)
        if self.max_batch_tokens is not None:
            check_least("max_batch_tokens", self.max_batch_tokens, 1)


@dataclass(frozen=True, slots=True)
class _Used:
    """How the model is used: the options, completed by what its folder says."""

    pooling: str
    query_instruction: str
    passage_instruction: str
    query_max_length: int
    passage_max_length: int
    query_map: QueryMap | None


class FlagEncoder(LocalEncoder):
    """Dense, sparse and ColBERT vectors of a model in the BGE-M3 format, one forward for all.

    The outputs equal those of FlagEmbedding's ``BGEM3FlagModel`` on the same folder. Building an
    encoder costs nothing; the model is loaded at the first text. Several threads may share one.

    Args:
        model: a folder, or a hub id such as ``BAAI/bge-m3``.
        options: device, precision, lengths, instructions.

    Example:
        >>> encoder = FlagEncoder("BAAI/bge-m3")
        >>> encoder.encode_queries(["What is BGE-M3?"])[0].sparse
    """

    @checked
    def __init__(self, model: str | Path, *, options: FlagOptions | None = None) -> None:
        self._model = model
        self._options = options or FlagOptions()
        self._folder = Lazy(self._find)
        self._used = Lazy(self._complete)
        self._network = Lazy(self._load_network, forks=self._options.device == "cpu")
        self._tokenizer = Lazy(self._load_tokenizer)

    @property
    def options(self) -> FlagOptions:
        """What the encoder was built with."""
        return self._options

    @property
    def info(self) -> EncoderInfo:
        """What identifies the vectors.

        Reads the files once to digest them (remembered in the cache folder) and fetches a hub
        model that is not there yet, but loads no weights.

        Raises:
            ModelError: the model cannot be found or is not whole.
            MissingHeadError: a head is missing or has the wrong shape.
        """
        folder, options, used = self._folder(), self._options, self._used()
        return EncoderInfo(
            model=str(self._model),
            weights=combined_digest(folder.weights),
            dense_dim=folder.hidden_size,
            revision=folder.revision,
            tokenizer=file_digest(folder.tokenizer),
            colbert_dim=folder.colbert_dim,
            heads=ALL_HEADS,
            pooling=used.pooling,
            normalized=options.normalize,
            precision=options.precision,
            max_length=used.passage_max_length,
            query_instruction=used.query_instruction,
            passage_instruction=used.passage_instruction,
        )

    @property
    def folder(self) -> Path:
        """The model's folder; a hub model that is not there yet is downloaded.

        Raises:
            ModelError: the model cannot be found or is not whole.
        """
        return self._folder().path

    @property
    def query_max_length(self) -> int:
        """The tokens read of a query."""
        return self._used().query_max_length

    def load(self) -> None:
        """Load the model now rather than at the first text."""
        self._network()
        self._tokenizer()

    def _usage(self) -> Usage:
        options, used = self._options, self._used()
        return Usage(
            query_instruction=used.query_instruction,
            query_max_length=used.query_max_length,
            passage_instruction=used.passage_instruction,
            passage_max_length=used.passage_max_length,
            normalized=options.normalize,
            batching=Batching(
                token_budget(options.max_batch_tokens, options.device),
                options.device,
                "lower passage_max_length, split the text into smaller chunks, or take "
                "precision='bf16'",
            ),
            query_map=used.query_map,
        )

    def _forward(self, texts: Sequence[TokenizedText], heads: Sequence[Head]) -> list[Encoding]:
        tokenizer = self._tokenizer()
        return self._network().encode(texts, heads, pad=tokenizer.pad, unused=tokenizer.unused)

    def _outputs(self, ids: NDArray[np.int64], heads: Collection[Head]) -> TokenOutputs:
        return self._network().outputs(ids, heads)

    def _find(self) -> ModelFolder:
        options = self._options
        hub = HubOptions(
            revision=options.revision,
            cache_dir=options.cache_dir,
            local_files_only=options.local_files_only,
        )
        return self._inspect(*locate_folder(self._model, hub, expected=EXPECTED))

    def _inspect(self, path: Path, revision: str | None) -> ModelFolder:
        folder = inspect_folder(path, revision)
        for name in ("query_max_length", "passage_max_length"):
            if (getattr(self._options, name) or 0) > folder.max_length:
                asked = getattr(self._options, name)
                raise InputError(
                    f"{name}={asked}, but {str(self._model)!r} has positions for "
                    f"{folder.max_length} tokens; set {name} to that or less"
                )
        return folder

    def _complete(self) -> _Used:
        """Return the options, completed by what the folder says."""
        folder, options = self._folder(), self._options
        stated = stated_usage(folder.path)

        def chosen(asked: str | None, own: str) -> str:
            return own if asked is None else asked

        return _Used(
            pooling=chosen(options.pooling, stated.pooling),
            query_instruction=chosen(options.query_instruction, stated.query_instruction),
            passage_instruction=chosen(options.passage_instruction, stated.passage_instruction),
            query_max_length=options.query_max_length or min(QUERY_LENGTH, folder.max_length),
            passage_max_length=options.passage_max_length or min(PASSAGE_LENGTH, folder.max_length),
            query_map=read_query_map(folder.path, folder.hidden_size),
        )

    def _load_network(self) -> Network:
        options = self._options
        return Network(
            self._folder(),
            NetworkOptions(
                options.device, options.precision, self._used().pooling, options.normalize
            ),
        )

    def _load_tokenizer(self) -> TextTokenizer:
        if self._network.ready:  # FlagEmbedding loaded one already
            return TextTokenizer(self._network().pretrained_tokenizer)
        path = self._folder().path
        try:
            from transformers import AutoTokenizer
        except ImportError as err:
            raise unavailable(err, "transformers", "flag") from err
        try:
            return TextTokenizer(AutoTokenizer.from_pretrained(str(path)))
        except (OSError, ValueError) as err:
            raise ModelError(f"the tokenizer in {path} cannot be loaded ({err})") from err
