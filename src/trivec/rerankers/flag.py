"""Cross-encoders: bge-reranker and every sequence-classification model, through FlagEmbedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trivec._models.batching import Batching, token_budget
from trivec._models.folder import HubOptions, locate_folder
from trivec._runtime.checks import Precision, check_choice, check_least
from trivec._runtime.lazy import Lazy
from trivec._runtime.typed import check_fields, checked
from trivec.errors import InputError
from trivec.rerankers.classifier import EXPECTED, Classifier, ClassifierFolder, inspect_folder
from trivec.rerankers.pairs import PairLengths, PairTokenizer
from trivec.rerankers.scoring import check_arguments, score_pairs

__all__ = ["FlagReranker", "FlagRerankerOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagRerankerOptions:
    """How a :class:`FlagReranker` loads and runs its model.

    Attributes:
        device: where it computes, as PyTorch names it: ``cpu``, ``cuda:0``, ``mps``.
        precision: ``fp32``, ``bf16`` or ``fp16``, of weights and activations. ``fp32`` equals
            FlagEmbedding on the CPU.
        query_instruction: text put before the query; the bge-rerankers take none.
        passage_instruction: text put before a passage.
        max_length: tokens read of query and passage together, special tokens included.
        query_max_length: tokens read of the query; None is 3/4 of ``max_length``.
        window_overlap: None cuts a longer passage off, as FlagEmbedding does. A number reads all
            of it in windows that share so many tokens (half a window at most), and the best
            window's score is the passage's.
        max_batch_tokens: the most padded tokens of one forward; one longer pair goes alone.
            None is 512 on a CPU, whose caches hold that, and 8,192 elsewhere.
        revision: hub branch, tag or commit.
        cache_dir: where the hub's downloads are kept; None is huggingface_hub's own folder.
        local_files_only: never download.

    Raises:
        InputError: a value is not allowed.
    """

    device: str = "cpu"
    precision: Precision = "fp32"
    query_instruction: str = ""
    passage_instruction: str = ""
    max_length: int = 512
    query_max_length: int | None = None
    window_overlap: int | None = None
    max_batch_tokens: int | None = None
    revision: str | None = None
    cache_dir: Path | None = None
    local_files_only: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        check_choice("precision", self.precision, Precision)
        check_least("max_length", self.max_length, 3)
        if self.max_batch_tokens is not None:
            check_least("max_batch_tokens", self.max_batch_tokens, 1)
        if self.query_max_length is not None:
            check_least("query_max_length", self.query_max_length, 1)
        if self.window_overlap is not None:
            check_least("window_overlap", self.window_overlap, 0)


class FlagReranker:
    """A :class:`~trivec.protocols.Reranker` that reads query and passage together.

    The scores are those of FlagEmbedding's ``FlagReranker`` on the same folder: raw logits;
    ``RankingOptions(normalize=True)`` makes probabilities of them. They differ where, with
    transformers 5, FlagEmbedding decodes the tokens and tokenizes the decoded text again, which
    loses an empty passage and the space before an unknown character; here, as with
    transformers 4, the model reads what the tokenizer gives. Building a reranker costs nothing;
    the model is loaded at the first score. Several threads may share one.

    Args:
        model: a folder, or a hub id such as ``BAAI/bge-reranker-v2-m3``.
        options: device, precision, lengths, instructions.

    Example:
        >>> reranker = FlagReranker("BAAI/bge-reranker-v2-m3")
        >>> reranker.score("What is BGE-M3?", ["BGE-M3 is an embedding model.", "Hello."])
    """

    @checked
    def __init__(self, model: str | Path, *, options: FlagRerankerOptions | None = None) -> None:
        self._model = model
        self._options = options or FlagRerankerOptions()
        self._folder = Lazy(self._find)
        self._classifier = Lazy(self._load_classifier, forks=self._options.device == "cpu")
        self._tokenizer = Lazy(self._load_tokenizer)

    @property
    def options(self) -> FlagRerankerOptions:
        """What the reranker was built with."""
        return self._options

    @property
    def model(self) -> str | Path:
        """The folder or hub id that it was built with."""
        return self._model

    @property
    def folder(self) -> Path:
        """The model's folder; a hub model that is not there yet is downloaded.

        Raises:
            ModelError: the model cannot be found, is not whole, or is not a reranker.
            InputError: it has fewer positions than ``max_length``.
        """
        return self._folder().path

    def load(self) -> None:
        """Load the model now rather than at the first score."""
        self._tokenizer()

    @checked
    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """Return the logit of every passage, in their order, higher is better; [] for none.

        Args:
            query: any text; lone surrogates are read as U+FFFD.
            passages: any texts; one that stands twice is read once.

        Raises:
            InputError: ``passages`` is one text, or something is not a text.
            ModelError: the model cannot be loaded, or not even one pair fits into memory.
            MissingDependencyError: the extra ``flag`` is not installed.
        """
        check_arguments(query, passages)
        if not passages:
            return []
        options, classifier, tokenizer = self._options, self._classifier(), self._tokenizer()
        batching = Batching(
            token_budget(options.max_batch_tokens, options.device),
            options.device,
            "lower max_length, or take precision='bf16'",
        )
        return score_pairs(
            options.query_instruction + query,
            [options.passage_instruction + passage for passage in passages],
            tokenizer,
            lambda batch: classifier.score(batch, pad=tokenizer.pad, has_types=tokenizer.has_types),
            batching,
        )

    def _find(self) -> ClassifierFolder:
        options = self._options
        hub = HubOptions(
            revision=options.revision,
            cache_dir=options.cache_dir,
            local_files_only=options.local_files_only,
        )
        path, _ = locate_folder(self._model, hub, expected=EXPECTED)
        folder = inspect_folder(path)
        if folder.max_length is not None and options.max_length > folder.max_length:
            raise InputError(
                f"max_length={options.max_length}, but {str(self._model)!r} has positions for "
                f"{folder.max_length} tokens; set max_length to that or less"
            )
        return folder

    def _load_classifier(self) -> Classifier:
        return Classifier(self.folder, self._options.device, self._options.precision)

    def _load_tokenizer(self) -> PairTokenizer:
        options = self._options
        asked = options.query_max_length
        lengths = PairLengths(
            pair=options.max_length,
            query=options.max_length * 3 // 4 if asked is None else asked,
            overlap=options.window_overlap,
        )
        return PairTokenizer(self._classifier().pretrained_tokenizer, lengths)

    def __repr__(self) -> str:
        return f"FlagReranker({str(self._model)!r})"
