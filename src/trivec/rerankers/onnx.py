"""Cross-encoders through ONNX Runtime: no torch, no transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trivec._graphs.cached import cached_export
from trivec._models.batching import Batching, padded
from trivec._models.folder import HubOptions, locate_folder
from trivec._models.onnx_choice import (
    Int8Weights,
    OnnxPrecision,
    choose_layout,
    choose_precision,
)
from trivec._models.onnx_folder import Agreement, OnnxFolder, find_export, open_export
from trivec._models.onnx_session import Session, SessionOptions, shared_session
from trivec._models.saved_tokenizer import SavedTokenizer
from trivec._runtime.checks import check_choice, check_least
from trivec._runtime.lazy import Lazy
from trivec._runtime.paths import user_path
from trivec._runtime.typed import check_fields, checked
from trivec.errors import InputError
from trivec.rerankers.classifier import EXPECTED, inspect_folder
from trivec.rerankers.conversion import reranker_place, reranker_source
from trivec.rerankers.pairs import PairLengths, PairTokenizer, TokenizedPair
from trivec.rerankers.scoring import check_arguments, score_pairs

__all__ = ["OnnxReranker", "OnnxRerankerOptions"]

_PRECISIONS = ("fp32", "int8")
_MAX_LENGTH = 512
"""Of a model that was not exported with another; less where it has fewer positions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxRerankerOptions:
    """How an :class:`OnnxReranker` loads and runs its model.

    What is None here is as it was where the model was exported.

    Attributes:
        precision: ``fp32``, ``int8``, or ``auto``: what ``TRIVEC_ONNX_PRECISION`` says, else int8
            where it was measured to be exact and faster here, else fp32. Of an export only what
            it holds.
        int8_weights: how ONNX Runtime is given the weights of an int8 graph: ``signed``,
            ``unsigned``, or ``auto``: what ``TRIVEC_INT8_WEIGHTS`` says, else the faster one of
            those that are exact here. The scores are the same.
        threads: that one forward uses; 0 is what ``OMP_NUM_THREADS`` says, else one for each core.
        provider: ONNX Runtime's execution provider.
        spinning: whether waiting threads stay awake for some milliseconds.
        query_instruction: text put before the query.
        passage_instruction: text put before a passage.
        max_length: tokens read of query and passage together, special tokens included.
        query_max_length: tokens read of the query; None is 3/4 of ``max_length``.
        window_overlap: None cuts a longer passage off. A number reads all of it in windows that
            share so many tokens, and the best window's score is the passage's.
        max_batch_tokens: the most padded tokens of one forward; one longer pair goes alone.
        hub: how a model is fetched by its hub id.

    Raises:
        InputError: a value is not allowed.
    """

    precision: OnnxPrecision = "auto"
    threads: int = 0
    provider: str = "CPUExecutionProvider"
    spinning: bool = True
    query_instruction: str | None = None
    passage_instruction: str | None = None
    max_length: int | None = None
    query_max_length: int | None = None
    window_overlap: int | None = None
    max_batch_tokens: int = 256
    int8_weights: Int8Weights = "auto"
    hub: HubOptions = field(default_factory=HubOptions)

    def __post_init__(self) -> None:
        check_fields(self)
        check_choice("precision", self.precision, OnnxPrecision)
        check_choice("int8_weights", self.int8_weights, Int8Weights)
        least = {"threads": 0, "max_batch_tokens": 1}
        optional = {"max_length": 3, "query_max_length": 1, "window_overlap": 0}
        for name, limit in {**least, **optional}.items():
            if name in least or getattr(self, name) is not None:
                check_least(name, getattr(self, name), limit)


class OnnxReranker:
    """A :class:`~trivec.protocols.Reranker` that reads query and passage together.

    In fp32 the scores equal those of :class:`trivec.rerankers.FlagReranker` on the same model.
    Needs onnxruntime and tokenizers only. A model's own files are written down as a graph once,
    into the user's cache folder. Building a reranker costs nothing; the graph is made and loaded
    at the first score. Several threads may share one.

    Args:
        model: a hub id such as ``BAAI/bge-reranker-v2-m3``, a folder with the model's files, or
            one that ``trivec export`` wrote.
        options: precision, threads, lengths, instructions.

    Example:
        >>> reranker = OnnxReranker("BAAI/bge-reranker-v2-m3")
        >>> reranker.score("What is BGE-M3?", ["BGE-M3 is an embedding model.", "Hello."])
    """

    @checked
    def __init__(self, model: str | Path, *, options: OnnxRerankerOptions | None = None) -> None:
        self._given = model
        self._options = options or OnnxRerankerOptions()
        self._model = Lazy(self._find)
        self._session = Lazy(self._load_session, forks=False)
        self._tokenizer = Lazy(self._load_tokenizer)

    @property
    def options(self) -> OnnxRerankerOptions:
        """What the reranker was built with."""
        return self._options

    @property
    def folder(self) -> Path:
        """The folder of the graph: an export, or the one in the cache folder.

        Raises:
            ModelError: the model cannot be found, is not whole, or was changed.
        """
        return self._model()[0].path

    @property
    def precision(self) -> str:
        """The precision that is loaded.

        Raises:
            InputError: the folder does not hold it.
        """
        return self._model()[1]

    @property
    def agreement(self) -> Agreement:
        """How near this precision is to the exported model, as measured at the export.

        ``texts`` is 0 where nothing was measured.
        """
        return self._model()[0].manifest.precisions[self.precision]

    def load(self) -> None:
        """Load the model now rather than at the first score."""
        self._session()
        self._tokenizer()

    @checked
    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """Return the logit of every passage, in their order, higher is better; [] for none.

        Args:
            query: any text; lone surrogates are read as U+FFFD.
            passages: any texts; one that stands twice is read once.

        Raises:
            InputError: ``passages`` is one text, or something is not a text.
            ModelError: the folder cannot be used, or not even one pair fits into memory.
            MissingDependencyError: the extra ``onnx`` is not installed.
        """
        check_arguments(query, passages)
        if not passages:
            return []
        session, tokenizer = self._session(), self._tokenizer()
        batching = Batching(
            self._options.max_batch_tokens, self._options.provider, "lower max_length"
        )
        return score_pairs(
            self._setting("query_instruction") + query,
            [self._setting("passage_instruction") + passage for passage in passages],
            tokenizer,
            lambda batch: _forward(session, tokenizer, batch),
            batching,
        )

    def _setting(self, name: str) -> str:
        asked: str | None = getattr(self._options, name)
        return self._model()[0].manifest.settings[name] if asked is None else asked

    def _load_session(self) -> Session:
        options, precision = self._options, self.precision
        layout = choose_layout(options.int8_weights) if precision == "int8" else "signed"
        return shared_session(
            self._model()[0].graph(precision),
            SessionOptions(options.threads, options.provider, options.spinning, layout),
        )

    def _find(self) -> tuple[OnnxFolder, str]:
        """Return the graph's folder and its precision."""
        options, path = self._options, user_path("model", self._given)
        if find_export(path) is not None:
            folder = open_export(path, "reranker")
            held, place = folder.manifest.precisions, folder.path
            return folder, choose_precision(options.precision, held, place, options.provider)
        path, revision = locate_folder(self._given, options.hub, expected=EXPECTED)
        found = inspect_folder(path)
        precision = choose_precision(options.precision, _PRECISIONS, path, options.provider)
        settings = {
            "query_instruction": "",
            "passage_instruction": "",
            "max_length": min(_MAX_LENGTH, found.max_length or _MAX_LENGTH),
        }
        name = str(self._given)
        folder = cached_export(
            reranker_place(name, found, settings),
            precision,
            lambda: reranker_source(name, revision, found, settings),
        )
        return folder, precision

    def _load_tokenizer(self) -> PairTokenizer:
        options, folder = self._options, self._model()[0]
        manifest = folder.manifest
        pair = options.max_length or manifest.settings["max_length"]
        if pair > manifest.max_length:
            raise InputError(
                f"max_length={pair}, but {str(self._given)!r} has positions for "
                f"{manifest.max_length} tokens; set max_length to that or less"
            )
        asked = options.query_max_length
        lengths = PairLengths(
            pair=pair,
            query=pair * 3 // 4 if asked is None else asked,
            overlap=options.window_overlap,
        )
        saved = SavedTokenizer(
            folder.tokenizer, manifest.special_tokens, has_types=manifest.has_types
        )
        return PairTokenizer(saved, lengths)

    def __repr__(self) -> str:
        return f"OnnxReranker({str(self._given)!r})"


def _forward(
    session: Session, tokenizer: PairTokenizer, pairs: Sequence[TokenizedPair]
) -> list[float]:
    """Score one batch in one forward."""
    ids, real = padded([pair.ids for pair in pairs], tokenizer.pad)
    inputs = {"input_ids": ids, "attention_mask": real.astype(np.int64)}
    if tokenizer.has_types:
        inputs["token_type_ids"], _ = padded([pair.types for pair in pairs], 0)
    (logits,) = session.run(["logits"], inputs)
    scores: list[float] = logits.reshape(-1).tolist()
    return scores
