"""BGE-M3 and every model in its format, through FlagEmbedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from trivec.encoders._arguments import check_arguments
from trivec.encoders._model_folder import EXPECTED, ModelFolder, inspect_folder
from trivec.encoders._network import Network, NetworkOptions
from trivec.encoders._spans import LongReading, encode_spans
from trivec.encoders._tokens import TextTokenizer
from trivec.errors import InputError, MissingDependencyError, ModelError
from trivec.models._batching import Batching, run_in_batches, token_budget
from trivec.models._cache import combined_digest, file_digest
from trivec.models._folder import HubOptions, locate_folder
from trivec.models._lazy import Lazy
from trivec.models._options import Precision, check_choice, check_least
from trivec.similarity import Similarity, explain, similarity
from trivec.types import ALL_HEADS, EncoderInfo, Encoding, Head, MatchedTerm

if TYPE_CHECKING:
    import tokenizers

__all__ = ["FlagEncoder", "FlagOptions", "Pooling", "Precision"]

Pooling: TypeAlias = Literal["cls", "mean"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagOptions:
    """How a :class:`FlagEncoder` loads and runs its model.

    Attributes:
        device: where it computes, as PyTorch names it: ``cpu``, ``cuda:0``, ``mps``.
        precision: of weights and activations. ``fp32`` equals FlagEmbedding on the CPU;
            ``bf16`` is several times faster on CPUs with AMX and on recent GPUs.
        pooling: how token states become the dense vector; BGE-M3 takes ``cls``.
        normalize: give dense and ColBERT vectors unit length.
        query_instruction: text put before a query; BGE-M3 takes none.
        passage_instruction: text put before a passage.
        query_max_length: tokens read of a query, special and instruction tokens included.
        passage_max_length: tokens read of a passage; BGE-M3 can read 8,192.
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
    pooling: Pooling = "cls"
    normalize: bool = True
    query_instruction: str = ""
    passage_instruction: str = ""
    query_max_length: int = 512
    passage_max_length: int = 8192
    max_batch_tokens: int | None = None
    revision: str | None = None
    cache_dir: Path | None = None
    local_files_only: bool = False

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, Precision)
        check_choice("pooling", self.pooling, Pooling)
        check_least("query_max_length", self.query_max_length, 3)
        check_least("passage_max_length", self.passage_max_length, 3)
        if self.max_batch_tokens is not None:
            check_least("max_batch_tokens", self.max_batch_tokens, 1)


class FlagEncoder:
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

    def __init__(self, model: str | Path, *, options: FlagOptions | None = None) -> None:
        self._model = model
        self._options = options or FlagOptions()
        self._folder = Lazy(self._find)
        self._network = Lazy(self._load_network)
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
        folder, options = self._folder(), self._options
        return EncoderInfo(
            model=str(self._model),
            weights=combined_digest(folder.weights),
            dense_dim=folder.hidden_size,
            revision=folder.revision,
            tokenizer=file_digest(folder.tokenizer),
            colbert_dim=folder.colbert_dim,
            heads=ALL_HEADS,
            pooling=options.pooling,
            normalized=options.normalize,
            precision=options.precision,
            max_length=options.passage_max_length,
            query_instruction=options.query_instruction,
            passage_instruction=options.passage_instruction,
        )

    @property
    def folder(self) -> Path:
        """The model's folder; a hub model that is not there yet is downloaded.

        Raises:
            ModelError: the model cannot be found or is not whole.
        """
        return self._folder().path

    @property
    def tokenizer(self) -> tokenizers.Tokenizer:
        """The model's tokenizer, without truncation; it must not be changed."""
        return self._tokenizer().backend

    def encode_documents(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ALL_HEADS
    ) -> list[Encoding]:
        """Encode passages, one forward for all heads.

        Args:
            texts: any texts; lone surrogates are read as U+FFFD.
            heads: what to compute.

        Returns:
            One encoding for each text, in order.

        Raises:
            InputError: ``texts`` is a single string, or ``heads`` names an unknown head.
            ModelError: the model cannot be loaded, or not even one text fits into memory.
            MissingHeadError: a head is missing or has the wrong shape.
        """
        options = self._options
        return self._encode(texts, heads, options.passage_instruction, options.passage_max_length)

    def encode_queries(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ALL_HEADS
    ) -> list[Encoding]:
        """Encode queries; as :meth:`encode_documents`, with the query's instruction and length."""
        options = self._options
        return self._encode(texts, heads, options.query_instruction, options.query_max_length)

    def encode_long(
        self,
        document: str,
        spans: Sequence[tuple[int, int]],
        *,
        heads: Sequence[Head] = ALL_HEADS,
    ) -> list[Encoding]:
        """Encode a document once and give every passage its vectors out of it (late chunking).

        A passage's dense vector is the mean of its tokens' states, its sparse weights and ColBERT
        rows are its tokens' own; all of them saw the whole document, or of one that is longer than
        ``passage_max_length`` the window around the passage. Experimental for models that pool by
        CLS, as BGE-M3: their dense vector was trained for another state.

        Args:
            document: the text.
            spans: where each passage begins and ends in it, in characters.
            heads: what to compute.

        Returns:
            One encoding for each span, in order.

        Raises:
            InputError: a span is empty or lies outside of the document, or an unknown head.
            ModelError: the model cannot be loaded.
        """
        check_arguments([document], heads)
        self.load()
        options = self._options
        reading = LongReading(
            self._tokenizer(),
            self._network().outputs,
            heads,
            options.passage_instruction,
            options.passage_max_length,
            options.normalize,
        )
        return encode_spans(document, spans, reading)

    def decode_tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the text of sparse indices.

        Raises:
            InputError: an index is not in the vocabulary.
        """
        return self._tokenizer().decode([int(token) for token in ids])

    def similarity(
        self,
        queries: Sequence[str],
        passages: Sequence[str],
        *,
        weights: tuple[float, float, float] = (1.0, 1.0, 1.0),
    ) -> Similarity:
        """Score every query against every passage; see :func:`trivec.similarity.similarity`."""
        return similarity(self, queries, passages, weights=weights)

    def explain(self, query: str, passage: str) -> tuple[MatchedTerm, ...]:
        """Return the tokens that match; see :func:`trivec.similarity.explain`."""
        return explain(self, query, passage)

    def load(self) -> None:
        """Load the model now rather than at the first text."""
        self._network()
        self._tokenizer()

    def _encode(
        self, texts: Sequence[str], heads: Sequence[Head], instruction: str, max_length: int
    ) -> list[Encoding]:
        check_arguments(texts, heads)
        if not texts:
            return []
        self.load()
        read = self._tokenizer().read(texts, instruction=instruction, max_length=max_length)
        network, tokenizer = self._network(), self._tokenizer()
        return run_in_batches(
            read,
            [len(text.ids) for text in read],
            lambda batch: network.encode(batch, heads, pad=tokenizer.pad, unused=tokenizer.unused),
            Batching(
                token_budget(self._options.max_batch_tokens, self._options.device),
                self._options.device,
                "lower passage_max_length, split the text into smaller chunks, or take "
                "precision='bf16'",
            ),
        )

    def _find(self) -> ModelFolder:
        options = self._options
        hub = HubOptions(options.revision, options.cache_dir, options.local_files_only)
        return self._inspect(*locate_folder(self._model, hub, expected=EXPECTED))

    def _inspect(self, path: Path, revision: str | None) -> ModelFolder:
        folder = inspect_folder(path, revision)
        for name in ("query_max_length", "passage_max_length"):
            if (asked := getattr(self._options, name)) > folder.max_length:
                raise InputError(
                    f"{name}={asked}, but {str(self._model)!r} has positions for "
                    f"{folder.max_length} tokens; set {name} to that or less"
                )
        return folder

    def _load_network(self) -> Network:
        options = self._options
        return Network(
            self._folder(),
            NetworkOptions(options.device, options.precision, options.pooling, options.normalize),
        )

    def _load_tokenizer(self) -> TextTokenizer:
        if self._network.ready:  # FlagEmbedding loaded one already
            return TextTokenizer(self._network().pretrained_tokenizer)
        path = self._folder().path
        try:
            from transformers import AutoTokenizer
        except ImportError as err:
            raise MissingDependencyError("transformers", "flag") from err
        try:
            return TextTokenizer(AutoTokenizer.from_pretrained(str(path)))
        except (OSError, ValueError) as err:
            raise ModelError(f"the tokenizer in {path} cannot be loaded ({err})") from err
