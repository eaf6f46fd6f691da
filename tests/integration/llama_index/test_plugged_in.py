"""What users of LlamaIndex give to a store: bad records, odd keys and values, caches, pipelines."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from pathlib import PurePosixPath
from uuid import UUID

import numpy as np
import pytest
from llama_index.core import Document, PromptTemplate
from llama_index.core.ingestion import DocstoreStrategy, IngestionCache, IngestionPipeline
from llama_index.core.llms import MockLLM
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import QueryBundle, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.storage.kvstore import SimpleKVStore
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters, VectorStoreQuery
from tests.integration.llama_index.test_chain import Reply

from llama_index_trivec import (
    BGEM3Embedding,
    BGEM3SparseEmbedding,
    CitedSynthesizer,
    TrivecRetriever,
    TrivecVectorStore,
    create_query_engine,
)
from trivec import HybridIndex, InputError, SearchOptions
from trivec.answers import AnswerOptions
from trivec.testing import FakeEncoder


def equal(values):
    filters = [MetadataFilter(key=key, value=value) for key, value in values.items()]
    return MetadataFilters(filters=filters)


def texts(store):
    return sorted(node.text for node in store.get_nodes())


def documents(*given):
    return [Document(text=text, id_=f"d{at}") for at, text in enumerate(given)]


@pytest.mark.parametrize("strategy", list(DocstoreStrategy))
def test_a_pipeline_goes_on_past_blank_documents_and_doubles_nothing(store, strategy):
    pipeline = IngestionPipeline(
        transformations=[SentenceSplitter(), store.embed_model],
        vector_store=store,
        docstore=SimpleDocumentStore(),
        docstore_strategy=strategy,
    )
    for _ in range(3):
        pipeline.run(documents=documents("one", "two", " \n", "", "three"))
        assert texts(store) == ["one", "three", "two"]
    pipeline.run(documents=documents("one", "two, changed", " \n", "", "three"))
    assert "two, changed" in texts(store)
    assert texts(store).count("one") == texts(store).count("three") == 1


def test_blank_nodes_in_a_pipeline_without_a_splitter(store):
    pipeline = IngestionPipeline(
        transformations=[store.embed_model], vector_store=store, docstore=SimpleDocumentStore()
    )
    for _ in range(3):
        pipeline.run(documents=documents("one", " ", "two"))
        assert texts(store) == ["one", "two"]


def test_a_text_is_no_list_of_texts(store):
    store.add([TextNode(text="one", id_="1"), TextNode(text="two", id_="2")])
    wrong = [
        lambda: store.delete_nodes("12"),
        lambda: store.get_nodes("12"),
        lambda: store.get_nodes("12", equal({"a": 1})),
        lambda: store.add(TextNode(text="x")),
        lambda: store.add("text"),
        lambda: store.add(["text"]),
        lambda: store.query(VectorStoreQuery(query_str="one", node_ids="12")),
        lambda: store.query(VectorStoreQuery(query_str="one", doc_ids="12")),
        lambda: store.embed_model.sparse().encode_documents("one text"),
        lambda: store.embed_model.sparse().encode_queries("one text"),
    ]
    for call in wrong:
        with pytest.raises(InputError, match="list"):
            call()
    assert len(store.get_nodes()) == 2


def test_nodes_longer_than_the_model_reads(tmp_path, caplog):
    reports = []
    with HybridIndex.open(tmp_path / "kb", FakeEncoder(max_length=16)) as index:
        store = TrivecVectorStore(index, on_report=reports.append)
        store.add([TextNode(text="word " * 100, id_="long"), TextNode(text="short", id_="short")])
    [record] = caplog.records
    assert "1 passages are longer than the model reads" in record.message
    assert [report.truncated for report in reports] == [("long",)]


class State(Enum):
    OPEN = "open"


@dataclass
class Place:
    name: str


def test_metadata_of_the_types_that_programs_have(store):
    metadata = {
        "day": date(2024, 5, 1),
        "uuid": UUID(int=5),
        "price": Decimal("1.50"),
        "path": PurePosixPath("a/b"),
        "state": State.OPEN,
        "lasts": timedelta(hours=1),
        "address": IPv4Address("10.0.0.1"),
        "place": Place("shelf"),
        "tags": {"c", "b", "a"},
        "n": np.int64(3),
        "x": np.float32(0.5),
        "row": np.array([1, 2]),
    }
    store.add([TextNode(text="tea", id_="tea", metadata=metadata)])
    [node] = store.get_nodes(["tea"])
    assert node.metadata == {
        "day": "2024-05-01",
        "uuid": str(UUID(int=5)),
        "price": "1.50",
        "path": "a/b",
        "state": "open",
        "lasts": "PT1H",
        "address": "10.0.0.1",
        "place": {"name": "shelf"},
        "tags": ["a", "b", "c"],
        "n": 3,
        "x": 0.5,
        "row": [1, 2],
    }
    assert not store.last_report.refused


ODD_KEYS = ["a.b", "x[0]", "dc:title", "with space", 'quo"te', "🍵", "doc_id", "ref_doc_id"]
ODD_KEYS += ["document_id", "trivec", "_node_type"]


@pytest.mark.parametrize("codec", ["trivec", "llama_index"])
@pytest.mark.parametrize("key", ODD_KEYS)
def test_any_key_means_the_users_own_metadata(open_index, key, codec):
    store = TrivecVectorStore(open_index("edge", codec=codec))
    store.add([TextNode(text=f"tea {v}", id_=v, metadata={key: v}) for v in ("keep", "go")])
    wanted = equal({key: "keep"})
    assert [node.node_id for node in store.get_nodes(filters=wanted)] == ["keep"]
    store.client.delete(filter={key: {"ne": "keep"}})
    assert [node.node_id for node in store.get_nodes()] == ["keep"]


def test_a_query_by_filters_alone(filled):
    wanted = equal({"lang": "zh"})
    retriever = TrivecRetriever(filled.client, filters=wanted)
    for blank in ("", QueryBundle(" ")):
        found = retriever.retrieve(blank)
        assert {node.metadata["lang"] for node in found} == {"zh"}
        assert len(found) == 2
        assert found[0].score is None
    result = filled.query(VectorStoreQuery(filters=wanted, similarity_top_k=1))
    assert len(result.nodes) == 1
    assert result.similarities is None
    with pytest.raises(InputError, match="query_str"):
        filled.query(VectorStoreQuery())


async def test_a_query_by_filters_alone_is_awaited(filled):
    wanted = equal({"lang": "zh"})
    assert len(await TrivecRetriever(filled.client, filters=wanted).aretrieve("")) == 2
    assert (
        len((await filled.aquery(VectorStoreQuery(filters=wanted, similarity_top_k=9))).nodes) == 2
    )


class Passing:
    """Stands in for a query generator that gives one further query."""

    def __call__(self, *_args, **_kwargs):
        return [QueryBundle("a warm drink")]


@pytest.mark.parametrize("mode", ["reciprocal_rerank", "relative_score", "simple"])
def test_what_several_queries_found_is_joined(filled, mode):
    retriever = TrivecRetriever(filled.client, options=SearchOptions(explain=True))
    fusion = QueryFusionRetriever(
        [retriever], llm=MockLLM(), mode=mode, num_queries=2, similarity_top_k=20, use_async=False
    )
    fusion._get_queries = Passing()
    found = fusion.retrieve("green tea")
    ids = [node.node_id for node in found]
    assert len(ids) == len(set(ids)) == 6
    assert {"arms", "matches", "parts"} == found[0].metadata["trivec"].keys()


def test_a_cache_keeps_models_apart():
    store = SimpleKVStore()
    one, other = (
        BGEM3Embedding(FakeEncoder(name=name), embeddings_cache=store) for name in ("one", "other")
    )
    assert one.model_name != other.model_name
    assert one.to_dict()["model_name"] == one.model_name
    assert BGEM3SparseEmbedding(FakeEncoder(name="one")).model_name == one.model_name
    first = one.get_text_embedding("tea")
    store.put("tea", {"x": [0.0]}, collection="embeddings")  # as others' caches have it
    [collection] = [name for name in store._collections_mappings if name != "embeddings"]
    assert collection == f"embeddings/{one.model_name}"
    assert one.get_text_embedding("tea") == first
    assert other.get_text_embedding_batch(["tea"]) != [[0.0]]
    assert len(store._collections_mappings) == 3


def test_the_cache_of_a_pipeline_keeps_models_apart():
    cache = IngestionCache()
    vectors = []
    for dim in (32, 64, 32):
        pipeline = IngestionPipeline(
            transformations=[BGEM3Embedding(FakeEncoder(dim=dim))], cache=cache
        )
        [node] = pipeline.run(nodes=[TextNode(text="tea", id_="tea")])
        vectors.append(len(node.embedding))
    assert vectors == [32, 64, 32]


def test_embeddings_travel_to_other_processes():
    model = BGEM3Embedding(FakeEncoder())
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):  # noqa: S301  # our own
        assert twin.get_text_embedding("tea") == model.get_text_embedding("tea")
        assert twin.model_name == model.model_name


def test_a_pipeline_with_workers():
    pipeline = IngestionPipeline(transformations=[BGEM3Embedding(FakeEncoder())])
    nodes = pipeline.run(documents=documents("one", "two"), num_workers=2)
    assert [len(node.embedding) for node in nodes] == [64, 64]


PIRATE = PromptTemplate("Pirate! {context_str} Asked: {query_str}")


@pytest.mark.parametrize("way", ["argument", "update", "instructions"])
def test_the_prompt_is_honoured(filled, way):
    llm = Reply(reply="Warm [1].")
    retriever = TrivecRetriever(filled.client, similarity_top_k=1)
    options = AnswerOptions(min_evidence=None, min_support=None)
    if way == "argument":
        engine = create_query_engine(retriever, llm, options=options, text_qa_template=PIRATE)
    elif way == "update":
        engine = create_query_engine(retriever, llm, options=options)
        assert "{context_str}" in str(engine.get_prompts()["response_synthesizer:text_qa_template"])
        engine.update_prompts({"response_synthesizer:text_qa_template": PIRATE})
    else:
        told = AnswerOptions(min_evidence=None, min_support=None, instructions="Pirate!")
        engine = create_query_engine(retriever, llm, options=told)
    response = engine.query("green tea?")
    assert str(response) == "Warm [1]."
    assert [each["number"] for each in response.metadata["trivec"]["citations"]] == [1]
    [prompt] = llm.prompts
    assert "Pirate!" in prompt
    assert '<passage number="1">' in prompt
    assert "green tea?" in prompt
    assert ("NO_EVIDENCE" in prompt) == (way == "instructions")


def test_a_template_and_instructions_exclude_each_other():
    with pytest.raises(InputError, match="put the instructions there"):
        CitedSynthesizer(
            MockLLM(), options=AnswerOptions(instructions="x"), text_qa_template=PIRATE
        )


def test_a_store_is_not_pickled_without_its_index(store):
    with pytest.raises(TypeError, match="open it again"):
        pickle.dumps(store)


def test_an_empty_text_is_empty_as_in_llama_index(store):
    store.add([TextNode(text=text, metadata={"key": text[:-1]}) for text in ("a", "bc")])
    empty = MetadataFilters(filters=[MetadataFilter(key="key", value=None, operator="is_empty")])
    assert [node.text for node in store.get_nodes(filters=empty)] == ["a"]
