"""Right calls of everything public, by path: the suite spoils one or two of the arguments.

Objects are made anew for every call, so that no call sees what another left.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from qdrant_client import QdrantClient
from tests.property.values import Fresh

from trivec import (
    AnalyzerConfig,
    AsyncHybridIndex,
    ChatOptions,
    Chunk,
    Encoding,
    FeedbackRewriter,
    Hit,
    HybridIndex,
    IndexConfig,
    KeywordRewriter,
    OpenAIChat,
    QueryText,
    QuestionIndex,
    RagOptions,
    RagPipeline,
    SearchOptions,
)
from trivec.answers import Answerer, Evidence, Judge, LabelledQuestion
from trivec.arms import DENSE as DENSE_ARM
from trivec.bm25 import Bm25Analyzer
from trivec.chat import Listener
from trivec.encoders import MemoEncoder
from trivec.events import listen
from trivec.fusion import Dbsf, Scale
from trivec.ingest import SyncOptions
from trivec.payloads import PayloadCodec
from trivec.query import Prefetch, StoreQuery
from trivec.rerankers import MaxSimReranker
from trivec.rewriting import CorpusVocabulary
from trivec.schema import Fingerprint, Schema, VectorSpec
from trivec.serving.explorer import ExplorerOptions, explorer_app
from trivec.stores import EdgeStore, ServerStore
from trivec.testing import FakeEncoder, MemoryStore
from trivec.types import ChatReply, Point, SparseVector, StoredPoint

DIM = 8
ENCODER = FakeEncoder(DIM)
CHUNKS = [
    Chunk("the green apple", id="1", source="a.md", metadata={"n": 1, "tags": ["x"]}),
    Chunk("the red cherry", id="2", source="a.md", position=1, metadata={"n": 2.5}),
    Chunk("稠密向量和稀疏向量", id="3", source="b.md", metadata={"deep": {"er": None}}),
]


@dataclass(frozen=True)
class Call:
    """A public function, and arguments that it takes.

    Attributes:
        path: under which it is public.
        target: what is called with the arguments.
        right: the arguments.
        heavy: whether it is tried with fewer examples.
    """

    path: str
    target: Callable[..., object]
    right: Mapping[str, object] = field(default_factory=dict)
    heavy: bool = False

    def __call__(self, arguments: Mapping[str, object]) -> object:
        """Return what comes of it in the end: what is awaited or yielded, too."""
        result = self.target(**arguments)
        if inspect.isawaitable(result) or isinstance(result, AsyncIterator):
            return asyncio.run(_awaited(result))
        return list(result) if isinstance(result, Iterator) else result


async def _awaited(result: Any) -> object:
    value = [item async for item in result] if isinstance(result, AsyncIterator) else await result
    return [item async for item in value] if isinstance(value, AsyncIterator) else value


class Model:
    """A language model of one word."""

    def __init__(self, reply: str = "vitamin C") -> None:
        self.reply = reply

    def chat(self, messages: Any, *, schema: Any = None) -> ChatReply:
        del messages, schema
        return ChatReply(self.reply)

    def stream(self, messages: Any) -> Iterator[ChatReply]:
        del messages
        yield ChatReply(self.reply)

    async def achat(self, messages: Any, *, schema: Any = None) -> ChatReply:
        return self.chat(messages, schema=schema)

    async def astream(self, messages: Any) -> AsyncIterator[ChatReply]:
        yield self.chat(messages)


def index() -> HybridIndex:
    """Return an index of three passages with every arm."""
    store = MemoryStore()
    store.create(_filled().schema)
    store._points.update(_filled()._points)
    return HybridIndex.open(store, ENCODER)


@cache
def _filled() -> Any:
    store = MemoryStore()
    config = IndexConfig(arms=("dense", "sparse", "bm25", "colbert"))
    HybridIndex.open(store, ENCODER, config=config).add(CHUNKS)
    return store


def questions() -> QuestionIndex:
    opened = QuestionIndex.open(index())
    opened.add({"1": ["which fruit is green?"]})
    return opened


def rag() -> RagPipeline:
    return RagPipeline(index(), Model("it is green [1]"), rewriter=KeywordRewriter(Model()))


def method(make: Callable[[], object], name: str) -> Callable[..., object]:
    """Return a method of an object that is made for each call."""

    def call(**arguments: object) -> object:
        return getattr(make(), name)(**arguments)

    return call


SPECS = {"dense": VectorSpec("dense", "dense", DIM), "bm25": VectorSpec("bm25", "sparse", idf=True)}
SCHEMA = Schema(SPECS, Fingerprint(ENCODER.info))
FINGERPRINT = Fingerprint(ENCODER.info)
DENSE = np.ones(DIM, np.float32)
SPARSE = SparseVector(np.array([1, 5], np.uint32), np.array([0.5, 2.0], np.float32))
UUID_1 = "00000000-0000-0000-0000-000000000001"
POINTS = [
    Point(1, {"dense": DENSE, "bm25": SPARSE}, {"text": "a", "metadata": {"n": 1}}),
    Point(UUID_1, {"dense": -DENSE}, {"text": "b"}),
]
QUERIES = [StoreQuery((Prefetch("dense", DENSE, 3), Prefetch("bm25", SPARSE, 3)), 2, Dbsf())]


def memory_store() -> MemoryStore:
    store = MemoryStore()
    store.create(SCHEMA)
    store.upsert(POINTS)
    return store


def new_server_store() -> ServerStore:
    return ServerStore(QdrantClient(":memory:"), "kb")


def server_store() -> ServerStore:
    store = new_server_store()
    store.create(SCHEMA)
    store.upsert(POINTS)
    return store


def new_edge_store() -> EdgeStore:
    """Return a store that refuses to be created where it was before."""
    return EdgeStore(Path("another-edge-store"))


_EDGE: dict[str, EdgeStore] = {}


def edge_store() -> EdgeStore:
    """Return one store on disk for all calls: making one takes a tenth of a second."""
    if "store" not in _EDGE:
        _EDGE["store"] = EdgeStore(Path("edge-store"))
        _EDGE["store"].create(SCHEMA)
    _EDGE["store"].upsert(POINTS)
    return _EDGE["store"]


def edge_index() -> HybridIndex:
    """Return one index on disk for all calls."""
    if "index" not in _EDGE:
        arms = ("dense", "sparse", "bm25", "colbert")
        place = Path("edge-index")
        _EDGE["index"] = HybridIndex.open(place, ENCODER, config=IndexConfig(arms=arms))  # type: ignore[assignment]
    opened: Any = _EDGE["index"]
    opened.add(CHUNKS)
    return opened


def close_edge() -> None:
    """Release the folders."""
    while _EDGE:
        _EDGE.popitem()[1].close()


def silent(_count: object) -> None:
    """Take progress, or a report, and say nothing."""


def methods(
    path: str, make: Callable[[], object], table: Mapping[str, Mapping[str, object]]
) -> list[Call]:
    """Return the calls of an object's methods."""
    return [Call(f"{path}.{name}", method(make, name), right) for name, right in table.items()]


def public(path: str, right: Mapping[str, object] | None = None) -> Call:
    """Return the call of a function or class that lies in a public module."""
    module, _, name = path.rpartition(".")

    def target(**arguments: object) -> object:
        return getattr(import_module(module), name)(**arguments)

    return Call(path, target, right or {})


QUESTION: dict[str, object] = {"question": "which fruit is green?"}
OF_SEARCH: dict[str, object] = {
    "k": 2,
    "filter": {"n": {"gte": 1}},
    "options": SearchOptions(),
    "arms": ["dense", "bm25"],
    "colbert": "rescore",
    "offset": 0,
    "thresholds": {"dense": -1.0},
    "mmr_lambda": 0.5,
    "explain": True,
    "fusion": "rrf",
}
OF_INDEX: dict[str, dict[str, object]] = {
    "add": {"chunks": CHUNKS, "replace_sources": True, "late_chunking": True, "progress": silent},
    "search": {"query": "green", **OF_SEARCH},
    "search_batch": {"queries": ["green", QueryText("red")], **OF_SEARCH},
    "search_by_vector": {"vector": DENSE, "k": 2, "filter": None, "options": SearchOptions()},
    "get": {"ids": ["1", "2"], "source": "a.md"},
    "delete": {"ids": ["1"], "source": "a.md", "filter": {"n": 1}},
    "count": {"filter": {"n": 1}},
    "chunks": {"filter": {"n": 1}},
    "copy_to": {"other": Fresh(index), "progress": silent},
    "add_arm": {"arm": "bm25", "progress": silent},
    "ensure_payload_index": {"key": "n", "kind": "integer"},
}
OF_SYNC_INDEX: dict[str, dict[str, object]] = {
    **OF_INDEX,
    "field": {"key": "n"},
    "point_id": {"identity": "1", "source": "a.md"},
    "id_filter": {"ids": ["1"]},
    "with_encoder": {"encoder": ENCODER},
    "arms": {"options": SearchOptions()},
}
OPENING: dict[str, object] = {
    "location": Fresh(MemoryStore),
    "encoder": ENCODER,
    "collection": None,
    "config": IndexConfig(),
    "create": True,
    "adopt": False,
    "tenant": "a tenant",
}
OF_STORE: dict[str, dict[str, object]] = {
    "upsert": {"points": POINTS},
    "update_vectors": {"vectors": {1: {"dense": DENSE}}, "where": None},
    "overwrite_payload": {"payloads": {1: {"text": "b"}}},
    "query": {"queries": QUERIES},
    "rank": {"queries": QUERIES},
    "retrieve": {"ids": [1, UUID_1], "with_vectors": ["dense"]},
    "scroll": {"filter": None, "limit": 2, "offset": None, "with_vectors": ["dense"]},
    "delete": {"ids": [1], "filter": None},
    "count": {"filter": None},
    "describe": {"schema": SCHEMA},
    "ensure_payload_indexes": {"indexes": {"metadata.n": "integer"}},
    "create_vector": {"spec": VectorSpec("more", "dense", 4)},
    "sibling": {"name": "more"},
}
TEXTS: dict[str, object] = {"texts": ["one", "two"], "heads": ("dense", "sparse")}
OF_ENCODER: dict[str, dict[str, object]] = {
    "encode_documents": TEXTS,
    "encode_queries": TEXTS,
    "decode_tokens": {"ids": [1, 2]},
}
MESSAGES = [{"role": "user", "content": "hello"}]
RANKINGS = [[("a", 0.5), ("b", 0.25)], [("b", 3.0)]]
FEEDBACK: dict[str, object] = {"question": "which?", "chunk_id": "1", "source": None}
HITS = [Hit(CHUNKS[0], 1.0), Hit(CHUNKS[1], 0.5)]
EVIDENCE = Evidence(0.5, 0.1)
ANSWER_OPTIONS: dict[str, object] = {
    "max_passages": 2,
    "max_context_tokens": 100,
    "min_evidence": 0.2,
    "min_support": None,
    "refuse_unsupported": False,
    "language": "en",
    "instructions": "be brief",
}
FLAG: dict[str, object] = {
    "device": "cpu",
    "precision": "fp32",
    "query_instruction": "q",
    "passage_instruction": "p",
    "max_batch_tokens": 100,
    "revision": "main",
    "cache_dir": None,
    "local_files_only": True,
}
ONNX: dict[str, object] = {
    "precision": "auto",
    "threads": 1,
    "provider": "CPUExecutionProvider",
    "spinning": False,
    "query_instruction": "q",
    "passage_instruction": "p",
    "query_max_length": 10,
    "max_batch_tokens": 100,
}
READING: dict[str, object] = {"encoding": "utf-8", "text_columns": ("text",)}


def count_words(text: str) -> int:
    return len(text.split())


OF_FILES: dict[str, object] = {
    "tokenizer": count_words,
    "root": None,
    "on_left_out": silent,
}

CORE: list[Call] = [
    *methods("trivec.HybridIndex", index, OF_SYNC_INDEX),
    *methods("trivec.AsyncHybridIndex", lambda: AsyncHybridIndex(index()), OF_INDEX),
    Call("trivec.HybridIndex.open", HybridIndex.open, {**OPENING, "mixed_precision": False}),
    Call("trivec.AsyncHybridIndex.open", AsyncHybridIndex.open, OPENING),
    public("trivec.AsyncHybridIndex", {"index": Fresh(index), "store": None}),
    public("trivec.index.check_index", {"location": "nowhere", "encoder": None, "repair": False}),
    public(
        "trivec.IndexConfig",
        {
            "arms": ("dense",),
            "analyzer": AnalyzerConfig(),
            "payload_indexes": {"n": "integer"},
            "codec": "trivec",
            "vectors": {"dense": "d"},
            "batch_size": 3,
            "colbert_overflow": "pool",
            "scoped_ids": True,
            "index_on_demand": True,
            "idf_across_tenants": False,
        },
    ),
    public(
        "trivec.SearchOptions",
        {
            "arms": {"dense": 1.0},
            "fusion": "rrf",
            "rrf_k": 2,
            "prefetch_k": 10,
            "colbert": None,
            "offset": 0,
            "thresholds": {"dense": 0.5},
            "mmr_lambda": 0.5,
            "mmr_candidates": 3,
            "explain": False,
        },
    ),
    Call(
        "trivec.events.listen",
        lambda **arguments: listen(**arguments).close(),
        {"listener": repr, "text": False},
    ),
    public("trivec.events.Spans", {"provider": None, "convention": "gen_ai"}),
    Call(
        "trivec.serving.explorer.explorer_app",
        lambda **arguments: explorer_app(**({"index": index()} | arguments)),
        {"options": ExplorerOptions(k=3)},
    ),
    public("trivec.QueryText", {"text": "a", "arms": ("dense",), "weight": 1.0, "vectors": {}}),
    *methods("trivec.testing.MemoryStore", memory_store, OF_STORE),
    Call("trivec.testing.MemoryStore.create", method(MemoryStore, "create"), {"schema": SCHEMA}),
    *methods("trivec.testing.FakeEncoder", lambda: FakeEncoder(DIM), OF_ENCODER),
    Call(
        "trivec.testing.FakeEncoder.encode_long",
        ENCODER.encode_long,
        {"document": "one two", "spans": [(0, 3)], "heads": ("dense",)},
    ),
    public(
        "trivec.testing.FakeEncoder",
        {"dim": 8, "vocabulary": 10, "max_length": 5, "name": "fake"},
    ),
    *methods("trivec.encoders.MemoEncoder", lambda: MemoEncoder(ENCODER), OF_ENCODER),
    public("trivec.encoders.MemoEncoder", {"encoder": ENCODER, "heads": ("dense",), "size": 3}),
    Call("trivec.encoders.MemoEncoder.shared", MemoEncoder.shared, {"encoder": ENCODER}),
    public("trivec.encoders.FlagOptions", {**FLAG, "pooling": "cls", "normalize": True}),
    public("trivec.encoders.OnnxOptions", {**ONNX, "passage_max_length": 10}),
    public(
        "trivec.encoders.RemoteOptions",
        {
            "query_max_length": 5,
            "batch_size": 2,
            "max_batch_tokens": 10,
            "concurrency": 1,
            "timeout": 1.0,
            "deadline": 2.0,
            "longest_wait": 1.0,
            "number_format": "float",
            "special_tokens": {"bos": 0, "pad": 1, "eos": 2, "unk": 3},
        },
    ),
    public("trivec.encoders.FlagEncoder", {"model": "nowhere", "options": None}),
    public("trivec.encoders.OnnxEncoder", {"model": "nowhere", "options": None}),
    public(
        "trivec.encoders.RemoteEncoder",
        {
            "urls": "http://127.0.0.1:9",
            "info": ENCODER.info,
            "served_as": "m",
            "api_key": "key",
            "client": None,
            "tokenizer": None,
        },
    ),
    public(
        "trivec.load_encoder",
        {"model": "nowhere", "device": "cpu", "precision": None, "backend": "flag", "hub": None},
    ),
    public(
        "trivec.load_reranker",
        {"model": "nowhere", "device": "cpu", "backend": "flag", "hub": None},
    ),
    public("trivec.rerankers.FlagReranker", {"model": "nowhere", "options": None}),
    public("trivec.rerankers.OnnxReranker", {"model": "nowhere", "options": None}),
    public(
        "trivec.rerankers.FlagRerankerOptions",
        {**FLAG, "max_length": 20, "query_max_length": 5, "window_overlap": 3},
    ),
    public("trivec.rerankers.OnnxRerankerOptions", {**ONNX, "max_length": 20, "window_overlap": 3}),
    public(
        "trivec.rerankers.RankingOptions",
        {"top_n": 1, "threshold": 0.5, "normalize": True, "retrieval_weight": 0.5},
    ),
    public("trivec.rerankers.MaxSimReranker", {"encoder": ENCODER}),
    Call(
        "trivec.rerankers.MaxSimReranker.score",
        MaxSimReranker(ENCODER).score,
        {"query": "one", "passages": ["one", "two"]},
    ),
    public(
        "trivec.rerankers.rank",
        {
            "reranker": MaxSimReranker(ENCODER),
            "query": "one",
            "passages": ["one", "two"],
            "retrieved": [0.5, 0.25],
        },
    ),
    *methods(
        "trivec.bm25.Bm25Analyzer",
        Bm25Analyzer,
        {
            name: {"text": "green apples 苹果"}
            for name in ("terms", "named_terms", "document", "query", "decode")
        },
    ),
    Call("trivec.bm25.Bm25Analyzer.term_index", Bm25Analyzer.term_index, {"term": "a"}),
    public("trivec.bm25.Bm25Analyzer", {"config": AnalyzerConfig()}),
    public(
        "trivec.AnalyzerConfig",
        {
            "user_words": ("a", ("b", 3)),
            "stop_words": ("the",),
            "k1": 1.0,
            "b": 0.5,
            "average_length": 10.0,
            "stemmer": None,
            "hash": "blake2b-32",
            "rules": 2,
        },
    ),
    Call(
        "trivec.AnalyzerConfig.from_json",
        AnalyzerConfig.from_json,
        {"data": AnalyzerConfig(user_words=("a",)).to_json()},
    ),
    public("trivec.text.clean", {"text": "a"}),
    public("trivec.text.is_blank", {"text": "a"}),
    public(
        "trivec.text.split",
        {
            "text": "# a\n\nb c",
            "tokenizer": count_words,
            "max_tokens": 5,
            "overlap": 1,
            "markdown": True,
        },
    ),
    public("trivec.text.token_counter", {"tokenizer": count_words}),
    public(
        "trivec.fusion.reciprocal_rank_fusion", {"rankings": RANKINGS, "k": 2, "weights": [1, 2]}
    ),
    public("trivec.fusion.weighted_sum_fusion", {"rankings": RANKINGS, "weights": [1, 2]}),
    public("trivec.fusion.distribution_based_fusion", {"rankings": RANKINGS}),
    public(
        "trivec.fusion.share_fusion",
        {"rankings": RANKINGS, "weights": [1, 2], "scales": [Scale(0.0, 3.0), Scale()]},
    ),
    public("trivec.fusion.shares_of_best", {"ranking": RANKINGS[0], "floor": None, "power": 3.0}),
    public("trivec.evaluation.units_of", {"documents": ["a.md", "b.md"]}),
    public(
        "trivec.evaluation.read_dataset",
        {"path": "asked.csv", "split": None, "tokenizer": count_words, "max_tokens": 20},
    ),
    public("trivec.fusion.fuse", {"fusion": Dbsf(), "rankings": RANKINGS}),
    public("trivec.fusion.method_of", {"fusion": Dbsf()}),
    public(
        "trivec.fusion.maximal_marginal_relevance",
        {"query": DENSE, "candidates": np.stack([DENSE, -DENSE]), "lambda_mult": 0.5, "k": 1},
    ),
    public("trivec.stores.as_filter", {"value": {"n": 1}, "fields": PayloadCodec().metadata_field}),
    public(
        "trivec.stores.RetryPolicy",
        {"read_deadline": 1.0, "write_deadline": 1.0, "first_wait": 0.1, "longest_wait": 1.0},
    ),
    public("trivec.stores.EdgeStore", {"path": "nothing"}),
    public("trivec.arms.arm_named", {"name": "dense"}),
    public("trivec.arms.arms_among", {"names": ["dense"]}),
    public("trivec.arms.heads_of", {"names": ["dense"]}),
    public("trivec.arms.vectors_by_arm", {"encoding": Encoding(), "analyzed": SPARSE}),
    public(
        "trivec.payloads.PayloadCodec",
        {"name": "mine", "text_key": "t", "metadata_key": "m", "own_key": "o"},
    ),
    *methods(
        "trivec.payloads.PayloadCodec",
        PayloadCodec,
        {
            "decode": {"point": StoredPoint(1, {"text": "a", "trivec": {"id": "1"}})},
            "own": {"payload": {"trivec": {"id": "1"}}},
            "metadata_field": {"key": "n"},
            "own_path": {"key": "id"},
            "point_id": {"identity": "1"},
        },
    ),
    Call("trivec.schema.Schema.from_json", Schema.from_json, {"data": SCHEMA.to_json()}),
    Call("trivec.schema.Schema.invalid", SCHEMA.invalid, {"points": POINTS}),
    Call("trivec.schema.Schema.require_valid", SCHEMA.require_valid, {"points": POINTS}),
    Call("trivec.schema.VectorSpec.fault", SPECS["dense"].fault, {"vector": DENSE}),
    Call("trivec.schema.VectorSpec.fault", SPECS["bm25"].fault, {"vector": SPARSE}),
    Call(
        "trivec.types.SparseVector.from_mapping", SparseVector.from_mapping, {"weights": {1: 0.5}}
    ),
    Call("trivec.types.SparseVector.top", SPARSE.top, {"count": 1}),
    Call("trivec.types.SparseVector.dot", SPARSE.dot, {"other": SPARSE}),
]
CORE += [
    Call("trivec.types.SparseVector.from_mapping", SparseVector.from_mapping, {"weights": {3: 1}}),
    Call("trivec.schema.Fingerprint.differences", FINGERPRINT.differences, {"other": FINGERPRINT}),
    Call(
        "trivec.schema.Schema.require_same_writer",
        SCHEMA.require_same_writer,
        {"writer": FINGERPRINT, "where": "here"},
    ),
    Call(
        "trivec.payloads.PayloadCodec.encode",
        PayloadCodec().encode,
        {"chunk": CHUNKS[0], "tenant": "a", "context": None},
    ),
    *methods(
        "trivec.arms.Arm",
        lambda: DENSE_ARM,
        {
            "is_made_by": {"info": ENCODER.info},
            "width": {"info": ENCODER.info},
            "spec": {"name": "a", "info": ENCODER.info},
        },
    ),
    Call("trivec.stores.EdgeStore.create", method(new_edge_store, "create"), {"schema": SCHEMA}),
    *methods("trivec.stores.ServerStore", server_store, OF_STORE),
    Call(
        "trivec.stores.ServerStore.create", method(new_server_store, "create"), {"schema": SCHEMA}
    ),
    Call(
        "trivec.stores.ServerStore",
        ServerStore,
        {
            "client": Fresh(lambda: QdrantClient(":memory:")),
            "collection": "kb",
            "retry": None,
            "index_on_demand": True,
        },
    ),
]
QUESTIONS_AND_ANSWERS: list[Call] = [
    Call("trivec.QuestionIndex.open", QuestionIndex.open, {"index": Fresh(index), "store": None}),
    *methods(
        "trivec.QuestionIndex",
        questions,
        {
            "arms": {"options": SearchOptions()},
            "generate": {
                "chat": Model("1. why?\n2. how?"),
                "model": "m",
                "prompts": None,
                "filter": {"n": 1},
                "concurrency": 1,
                "max_failures": 2,
                "progress": silent,
            },
            "add": {"questions": {"1": ["why?"]}, "source": "a.md"},
            "add_feedback": {**FEEDBACK, "verdict": "good"},
            "remove_feedback": FEEDBACK,
            "questions": {"chunk_id": "1", "source": None},
            "search": OF_INDEX["search"],
            "search_batch": OF_INDEX["search_batch"],
            "copy_to": {"other": Fresh(questions), "progress": silent},
        },
    ),
    public(
        "trivec.QuestionOptions",
        {
            "use_passages": True,
            "use_questions": True,
            "use_feedback": True,
            "question_threshold": 0.5,
            "feedback_threshold": 0.5,
            "question_weight": 0.5,
            "lift": 1.0,
            "lower": 1.0,
            "candidates": 3,
        },
    ),
    public("trivec.questions.QuestionPrompts", {"per_chunk": 3, "refine": False, "language": "en"}),
    *methods(
        "trivec.RagPipeline",
        rag,
        {
            name: {**QUESTION, "filter": {"n": 1}}
            for name in ("answer", "aanswer", "stream", "astream", "find", "afind")
        },
    ),
    public(
        "trivec.RagPipeline",
        {
            "index": Fresh(index),
            "chat": Model(),
            "rewriter": None,
            "reranker": MaxSimReranker(ENCODER),
            "options": RagOptions(),
            "count_tokens": count_words,
        },
    ),
    public("trivec.answers.AnswerOptions", ANSWER_OPTIONS),
    public(
        "trivec.RagOptions",
        {**ANSWER_OPTIONS, "search": SearchOptions(), "rerank_candidates": 3},
    ),
    public("trivec.answers.Answerer", {"encoder": ENCODER, "count_tokens": count_words}),
    *methods(
        "trivec.answers.Answerer",
        Answerer,
        {
            name: {**QUESTION, "texts": ["it is green"], "evidence": EVIDENCE}
            for name in ("begin", "abegin")
        },
    ),
    Call(
        "trivec.answers.Judge.evidence",
        Judge(ENCODER).evidence,
        {**QUESTION, "passages": ["it is green"]},
    ),
    Call(
        "trivec.answers.Judge.lead",
        Judge(ENCODER).lead,
        {**QUESTION, "passages": ["it is green"] * 6},
    ),
    Call(
        "trivec.answers.Judge.support",
        Judge(ENCODER).support,
        {"cited": [("it is green", ["it is green"])]},
    ),
    public("trivec.answers.Judge", {"encoder": ENCODER}),
    public("trivec.answers.estimated_tokens", {"text": "a"}),
    public(
        "trivec.answers.best_sentences",
        {**QUESTION, "hits": HITS, "encoder": ENCODER, "most": 2},
    ),
    public(
        "trivec.answers.calibrate",
        {
            "pipeline": Fresh(rag),
            "questions": [LabelledQuestion("green?", True), LabelledQuestion("who?", False)],
            "precision": 0.5,
        },
    ),
    public("trivec.chat.answer_messages", {**QUESTION, "passages": ["a"], "language": "en"}),
    public("trivec.chat.passages_block", {"passages": ["a"]}),
    public("trivec.chat.quoted_question", QUESTION),
    public("trivec.chat.reply_of", {"text": "a", "ended": None, "read": 1, "wrote": 1}),
    public("trivec.chat.ending_of", {"reason": "length"}),
    public("trivec.chat.response_format", {"schema": {"title": "a", "type": "object"}}),
    public("trivec.chat.said", {"text": "<think>a</think>b"}),
    public("trivec.chat.text_of", {"content": [{"type": "text", "text": "a"}]}),
    Call("trivec.chat.Listener.feed", method(Listener, "feed"), {"piece": "<think>a"}),
    public("trivec.chat.Listener", {"thinks_first": None}),
    public(
        "trivec.ChatOptions",
        {
            "temperature": 0.5,
            "max_tokens": 3,
            "seed": 1,
            "parameters_refused": "leave_out",
            "schema_form": "json_schema",
            "schema_refused": "raise",
            "stream_usage": True,
            "thinks_first": None,
        },
    ),
    Call(
        "trivec.OpenAIChat.connect",
        OpenAIChat.connect,
        {
            "model": "m",
            "base_url": "http://127.0.0.1:9/v1",
            "api_key": "key",
            "timeout": 1.0,
            "max_retries": 0,
            "options": ChatOptions(),
        },
    ),
    public("trivec.rewriting.parse_keywords", {"reply": "a, b", "limit": 3}),
    public(
        "trivec.KeywordRewriter",
        {
            "chat": Model(),
            "domain": "fruit",
            "examples": None,
            "max_keywords": 3,
            "max_sub_questions": 1,
            "vocabulary": None,
            "language": "en",
            "on_error": "raise",
            "cache": None,
        },
    ),
    *methods(
        "trivec.KeywordRewriter",
        lambda: KeywordRewriter(Model()),
        {"rewrite": QUESTION, "arewrite": QUESTION},
    ),
    *methods(
        "trivec.FeedbackRewriter",
        lambda: FeedbackRewriter(CorpusVocabulary(index())),
        {
            "rewrite": QUESTION,
            "arewrite": QUESTION,
            "rewrite_batch": {"questions": ["what is green?"]},
            "over": {"index": Fresh(index)},
        },
    ),
    public(
        "trivec.FeedbackRewriter",
        {"vocabulary": Fresh(lambda: CorpusVocabulary(index())), "max_keywords": 3},
    ),
    public(
        "trivec.rewriting.CorpusVocabulary",
        {
            "index": Fresh(index),
            "passages": 2,
            "count": 3,
            "agreement": 1,
            "sample": 10,
            "filter": {"n": 1},
        },
    ),
    Call(
        "trivec.rewriting.CorpusVocabulary.look_up",
        method(lambda: CorpusVocabulary(index(), agreement=1), "look_up"),
        QUESTION,
    ),
    *methods(
        "trivec.rewriting.CorpusVocabulary",
        lambda: CorpusVocabulary(index(), agreement=1),
        {"look_up_batch": {"questions": ["what is green?"]}, "over": {"index": Fresh(index)}},
    ),
    public("trivec.rewriting.RewriteWeights", {"question": 1.0, "keywords": 1.0}),
    public(
        "trivec.rewriting.RewriteExample",
        {"question": "a", "keywords": ("b",), "sub_questions": (), "terms": ()},
    ),
]
FILES: list[Call] = [
    public("trivec.ingest.ReadOptions", READING),
    public(
        "trivec.ingest.SyncOptions",
        {
            "max_tokens": 20,
            "overlap": 2,
            "reading": None,
            "follow_links": False,
            "late_chunking": False,
            "prune": True,
            "allow_empty": True,
            "dry_run": False,
        },
    ),
    public("trivec.ingest.find_files", {"paths": ["files"], "follow_links": False}),
    public("trivec.ingest.read", {"path": "files/a.md", "options": None, "on_left_out": silent}),
    public(
        "trivec.ingest.chunks",
        {"paths": ["files"], **OF_FILES, "max_tokens": 20, "overlap": 2, "strict": False},
    ),
    public(
        "trivec.ingest.sync_folder",
        {
            "index": Fresh(index),
            "paths": "files",
            **OF_FILES,
            "options": SyncOptions(max_tokens=20),
            "progress": silent,
        },
    ),
]
EDGE: list[Call] = [
    *methods("trivec.HybridIndex", edge_index, {name: OF_SYNC_INDEX[name] for name in OF_INDEX}),
    *methods("trivec.stores.EdgeStore", edge_store, OF_STORE),
]
