"""BGE-M3 and every model in its format, through ONNX Runtime: no torch, no transformers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trivec._graphs.cached import cached_export
from trivec._models.batching import Batching
from trivec._models.folder import HubOptions, locate_folder
from trivec._models.onnx_choice import (
    Int8Weights,
    OnnxPrecision,
    choose_layout,
    choose_precision,
)
from trivec._models.onnx_folder import (
    WITH_COLBERT,
    Agreement,
    Manifest,
    OnnxFolder,
    find_export,
    open_export,
)
from trivec._models.onnx_session import Session, SessionOptions, shared_session
from trivec._models.saved_tokenizer import SavedTokenizer
from trivec._models.vocabulary import open_vocabulary
from trivec._runtime.checks import check_choice, check_least
from trivec._runtime.lazy import Lazy
from trivec._runtime.paths import user_path
from trivec._runtime.typed import check_fields, checked
from trivec.encoders.local import LocalEncoder, Usage
from trivec.encoders.model_folder import EXPECTED, inspect_folder
from trivec.encoders.postprocess import multivectors, sparse_vectors
from trivec.encoders.query_map import QueryMap, read_query_map
from trivec.encoders.spans import TokenOutputs
from trivec.encoders.stated import stated_usage
from trivec.encoders.tokens import TextTokenizer, TokenizedText, pad_texts
from trivec.errors import InputError, MissingHeadError
from trivec.types import ALL_HEADS, EncoderInfo, Encoding, Head

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["OnnxEncoder", "OnnxOptions"]

_PRECISIONS = ("fp32", "int8")
_LENGTHS = {"query_max_length": 512, "passage_max_length": 8192}
"""Of a model that was not exported with others; less where it has fewer positions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxOptions:
    """How an :class:`OnnxEncoder` loads and runs its model.

    Pooling and normalisation belong to the graph; what is None here is as it was where the model
    was exported.

    Attributes:
        precision: ``fp32``, ``int8``, or ``auto``: what ``TRIVEC_ONNX_PRECISION`` says, else int8
            where it was measured to be exact and faster here, else fp32. Of an export only what
            it holds.
        int8_weights: how ONNX Runtime is given the weights of an int8 graph: ``signed``,
            ``unsigned``, or ``auto``: what ``TRIVEC_INT8_WEIGHTS`` says, else the faster one of
            those that are exact here. The vectors are the same.
        threads: that one forward uses; 0 is what ``OMP_NUM_THREADS`` says, else one for each core.
        provider: ONNX Runtime's execution provider.
        spinning: whether waiting threads stay awake for some milliseconds, which makes a single
            query quicker and costs processor time.
        query_instruction: text put before a query.
        passage_instruction: text put before a passage.
        query_max_length: tokens read of a query, special and instruction tokens included.
        passage_max_length: tokens read of a passage.
        max_batch_tokens: the most padded tokens of one forward; one longer text goes alone. On a
            CPU the best is what its caches hold.
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
    query_max_length: int | None = None
    passage_max_length: int | None = None
    max_batch_tokens: int = 256
    int8_weights: Int8Weights = "auto"
    hub: HubOptions = field(default_factory=HubOptions)

    def __post_init__(self) -> None:
        check_fields(self)
        check_choice("precision", self.precision, OnnxPrecision)
        check_choice("int8_weights", self.int8_weights, Int8Weights)
        check_least("threads", self.threads, 0)
        check_least("max_batch_tokens", self.max_batch_tokens, 1)
        for name in ("query_max_length", "passage_max_length"):
            if getattr(self, name) is not None:
                check_least(name, getattr(self, name), 3)


@dataclass(frozen=True, slots=True)
class _Model:
    """An export folder and how it is used: the options, completed by the manifest."""

    folder: OnnxFolder
    precision: str
    query_instruction: str
    passage_instruction: str
    query_max_length: int
    passage_max_length: int
    query_map: QueryMap | None


class OnnxEncoder(LocalEncoder):
    """Dense, sparse and ColBERT vectors of a model in the BGE-M3 format, without torch.

    A sentence encoder such as ``BAAI/bge-small-en-v1.5``, which has neither of M3's head files,
    gives dense vectors alone; ``info.heads`` says so.

    In fp32 the outputs equal those of :class:`trivec.encoders.FlagEncoder` on the same model, so a
    collection may be written with the one and searched with the other. In int8 they are near
    them, and the encoder's fingerprint says so. Needs onnxruntime and tokenizers only.

    A model's own files are written down as a graph once, into the user's cache folder: BGE-M3
    takes some ten seconds and 570 MB in int8, 2.3 GB in fp32. Building an encoder costs nothing;
    the graph is made and loaded at the first text. Several threads may share one.

    Args:
        model: a hub id such as ``BAAI/bge-m3``, a folder with the model's files, or one that
            ``trivec export`` wrote.
        options: precision, threads, lengths, instructions.

    Example:
        >>> encoder = OnnxEncoder("BAAI/bge-m3")
        >>> encoder.encode_queries(["What is BGE-M3?"])[0].sparse
    """

    @checked
    def __init__(self, model: str | Path, *, options: OnnxOptions | None = None) -> None:
        self._given = model
        self._options = options or OnnxOptions()
        self._model = Lazy(self._find)
        self._session = Lazy(self._load_session, forks=False)
        self._tokenizer = Lazy(self._load_tokenizer)

    @property
    def options(self) -> OnnxOptions:
        """What the encoder was built with."""
        return self._options

    @property
    def info(self) -> EncoderInfo:
        """What identifies the vectors: the model's, at this precision.

        Reads every file once to check its digest (remembered in the cache folder), loads nothing.
        A hub model that is not there yet is fetched, and one without a graph gets it.

        Raises:
            ModelError: the model cannot be found, is not whole, or was changed.
            InputError: an export lacks the precision, or a length is above what the model reads.
        """
        model, manifest = self._model(), self._model().folder.manifest
        return EncoderInfo(
            model=str(self._given),
            weights=manifest.weights,
            dense_dim=manifest.hidden_size,
            revision=manifest.revision,
            tokenizer=manifest.tokenizer,
            colbert_dim=manifest.colbert_dim,
            heads=_heads(manifest),
            pooling=manifest.settings["pooling"],
            normalized=manifest.settings["normalized"],
            precision=model.precision,
            max_length=model.passage_max_length,
            query_instruction=model.query_instruction,
            passage_instruction=model.passage_instruction,
        )

    @property
    def folder(self) -> Path:
        """The folder of the graph: an export, or the one in the cache folder."""
        return self._model().folder.path

    @property
    def agreement(self) -> Agreement:
        """How near this precision is to the exported model, as measured at the export.

        ``texts`` is 0 where nothing was measured.
        """
        model = self._model()
        return model.folder.manifest.precisions[model.precision]

    def load(self) -> None:
        """Load the model now rather than at the first text."""
        self._session()
        self._tokenizer().load()

    def load_for_texts(self) -> None:
        """Load what short texts need; a long one needs the rest of the tokenizer, too."""
        self._session()
        self._tokenizer()

    def _usage(self) -> Usage:
        model = self._model()
        return Usage(
            query_instruction=model.query_instruction,
            query_max_length=model.query_max_length,
            passage_instruction=model.passage_instruction,
            passage_max_length=model.passage_max_length,
            normalized=model.folder.manifest.settings["normalized"],
            batching=Batching(
                self._options.max_batch_tokens,
                self._options.provider,
                "lower passage_max_length, or split the text into smaller chunks",
                # so that a text's vectors are its own, whatever is encoded with it
                pads=model.precision != "int8",
            ),
            query_map=model.query_map,
        )

    def _forward(self, texts: Sequence[TokenizedText], heads: Sequence[Head]) -> list[Encoding]:
        self._require(heads)
        return _encode(self._session(), self._tokenizer(), texts, heads)

    def _outputs(self, ids: NDArray[np.int64], heads: Collection[Head]) -> TokenOutputs:
        self._require(heads)
        return _token_outputs(self._session(), ids, heads)

    def _require(self, heads: Collection[Head]) -> None:
        own = _heads(self._model().folder.manifest)
        if lacking := [head for head in heads if head not in own]:
            raise MissingHeadError(
                f"{str(self._given)!r} has no head for {', '.join(lacking)}; ask for heads={own}, "
                "or take a model in the BGE-M3 format"
            )

    def _open(self) -> tuple[OnnxFolder, str]:
        """Return the graph's folder and its precision."""
        options, path = self._options, user_path("model", self._given)
        if find_export(path) is not None:
            folder = open_export(path, "encoder")
            held, place = folder.manifest.precisions, folder.path
            return folder, choose_precision(options.precision, held, place, options.provider)
        from trivec.encoders.conversion import encoder_place, encoder_source  # graphs need no such

        path, revision = locate_folder(self._given, options.hub, expected=EXPECTED)
        found = inspect_folder(path, revision, dense_will_do=True)
        place = found.path
        precision = choose_precision(options.precision, _PRECISIONS, place, options.provider)
        lengths = {name: min(most, found.max_length) for name, most in _LENGTHS.items()}
        settings = {"normalized": True, **asdict(stated_usage(path)), **lengths}
        name = str(self._given)
        folder = cached_export(
            encoder_place(name, found, settings),
            precision,
            lambda: encoder_source(name, found, settings),
        )
        return folder, precision

    def _find(self) -> _Model:
        options = self._options
        folder, precision = self._open()
        manifest = folder.manifest

        def choice(name: str) -> Any:
            asked = getattr(options, name)
            return manifest.settings[name] if asked is None else asked

        for name in ("query_max_length", "passage_max_length"):
            if choice(name) > manifest.max_length:
                raise InputError(
                    f"{name}={choice(name)}, but {str(self._given)!r} has positions for "
                    f"{manifest.max_length} tokens; set {name} to that or less"
                )
        return _Model(
            folder,
            precision,
            query_instruction=choice("query_instruction"),
            passage_instruction=choice("passage_instruction"),
            query_max_length=choice("query_max_length"),
            passage_max_length=choice("passage_max_length"),
            query_map=read_query_map(folder.path, manifest.hidden_size),
        )

    def _load_session(self) -> Session:
        options, model = self._options, self._model()
        is_int8 = model.precision == "int8"
        layout = choose_layout(options.int8_weights) if is_int8 else "signed"
        return shared_session(
            model.folder.graph(model.precision),
            SessionOptions(options.threads, options.provider, options.spinning, layout),
        )

    def _load_tokenizer(self) -> TextTokenizer:
        folder = self._model().folder
        return TextTokenizer(
            SavedTokenizer(
                folder.tokenizer,
                folder.manifest.special_tokens,
                has_types=folder.manifest.has_types,
            ),
            open_vocabulary(folder.tokenizer, folder.manifest.files[folder.tokenizer.name][1]),
        )

    def __repr__(self) -> str:
        return f"OnnxEncoder({str(self._given)!r})"


def _heads(manifest: Manifest) -> tuple[Head, ...]:
    own = manifest.settings.get("heads", ALL_HEADS)
    return tuple(head for head in ALL_HEADS if head in own)


def _encode(
    session: Session,
    tokenizer: TextTokenizer,
    texts: Sequence[TokenizedText],
    heads: Sequence[Head],
) -> list[Encoding]:
    """Encode one batch in one forward; only what is asked for is computed."""
    batch = pad_texts(texts, tokenizer.pad)
    content, counts = batch.content, batch.counts
    inputs = {
        "input_ids": batch.ids,
        "attention_mask": batch.real.astype(np.int64),
        **_switches(session, heads),
    }
    arrays = dict(zip(heads, session.run(heads, inputs), strict=True))
    nothing = [None] * len(texts)
    dense = list(arrays["dense"]) if "dense" in arrays else nothing
    sparse = (
        sparse_vectors(batch.ids[content], arrays["sparse"][content], counts, tokenizer.unused)
        if "sparse" in arrays
        else nothing
    )
    colbert = multivectors(arrays["colbert"][content], counts) if "colbert" in arrays else nothing
    return [
        Encoding(one, weights, rows, tokens=len(text.ids), truncated=text.truncated)
        for text, one, weights, rows in zip(texts, dense, sparse, colbert, strict=True)
    ]


def _switches(session: Session, heads: Collection[Head]) -> dict[str, NDArray[Any]]:
    """Return the input that switches ColBERT, of a graph that has it."""
    if WITH_COLBERT not in session.inputs:
        return {}
    return {WITH_COLBERT: np.array("colbert" in heads)}


def _token_outputs(
    session: Session, ids: NDArray[np.int64], heads: Collection[Head]
) -> TokenOutputs:
    """Return what the heads make of every token of one text."""
    outputs = {"dense": "token_states", "sparse": "sparse", "colbert": "colbert"}
    inputs = {
        "input_ids": ids[None],
        "attention_mask": np.ones_like(ids)[None],
        **_switches(session, heads),
    }
    values = session.run([outputs[head] for head in heads], inputs)
    arrays = {head: array[0] for head, array in zip(heads, values, strict=True)}
    return TokenOutputs(arrays.get("dense"), arrays.get("sparse"), arrays.get("colbert"))
