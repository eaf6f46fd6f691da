"""Whole LlamaIndex applications on real text, with the mini model and LlamaIndex's MockLLM."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.chat_engine import ContextChatEngine
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.llms import MockLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.node_parser import SentenceSplitter, SentenceWindowNodeParser
from llama_index.core.postprocessor import MetadataReplacementPostProcessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import RecursiveRetriever
from llama_index.core.schema import IndexNode, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore

from llama_index_trivec import TrivecRetriever, TrivecVectorStore, create_query_engine
from trivec import HybridIndex, SearchOptions, load_encoder

pytestmark = pytest.mark.model

FILES = ("en/oxygen.md", "en/packet-switching.md", "zh/猴面包树.md", "zh/稻.md")
QUESTIONS = {
    "猴面包树的果实有什么营养？": "猴面包树.md",
    "水稻起源于哪里？": "稻.md",
    "who developed the idea of packet switching?": "packet-switching.md",
    "when was oxygen discovered?": "oxygen.md",
}


class CountingEncoder:
    """An encoder that counts its forwards, and the texts in them."""

    def __init__(self, encoder) -> None:
        self._encoder = encoder
        self.calls = self.texts = 0

    def __getattr__(self, name):
        return getattr(self._encoder, name)

    def encode_documents(self, texts, **options):
        self.calls, self.texts = self.calls + 1, self.texts + len(texts)
        return self._encoder.encode_documents(texts, **options)

    def encode_queries(self, texts, **options):
        self.calls, self.texts = self.calls + 1, self.texts + len(texts)
        return self._encoder.encode_queries(texts, **options)


@pytest.fixture(scope="module")
def mini():
    return load_encoder("mini")


@pytest.fixture
def encoder(mini) -> CountingEncoder:
    return CountingEncoder(mini)


@pytest.fixture
def index(tmp_path, encoder):
    with HybridIndex.open(tmp_path / "kb", encoder) as opened:
        yield opened


@pytest.fixture
def store(index) -> TrivecVectorStore:
    return TrivecVectorStore(index)


@pytest.fixture(scope="module")
def documents(repository) -> list[Document]:
    sample = repository / "cookbooks" / "sample"
    return [
        Document(
            text=(sample / name).read_text(encoding="utf-8"),
            id_=name,
            metadata={"file": name},
            excluded_embed_metadata_keys=["file"],
        )
        for name in FILES
    ]


def file_of(found) -> str:
    return Path(found.node.metadata["file"]).name


def test_an_index_of_documents(store, documents, encoder):
    kb = VectorStoreIndex.from_documents(
        documents,
        StorageContext.from_defaults(vector_store=store),
        embed_model=store.embed_model,
        transformations=[SentenceSplitter(chunk_size=256, chunk_overlap=0)],
    )
    assert encoder.texts == store.client.count()
    for mode in ("default", "hybrid"):
        retriever = kb.as_retriever(similarity_top_k=3, vector_store_query_mode=mode)
        for question, name in QUESTIONS.items():
            assert file_of(retriever.retrieve(question)[0]) == name, (mode, question)
    assert encoder.texts == store.client.count() + len(QUESTIONS)
    before = kb.vector_store.client.count()
    kb.delete_ref_doc(documents[0].doc_id)
    assert kb.vector_store.client.count() < before


async def test_an_ingestion_pipeline_run_again_changes_nothing(store, documents, encoder):
    pipeline = IngestionPipeline(
        transformations=[SentenceSplitter(chunk_size=256, chunk_overlap=0), store.embed_model],
        vector_store=store,
        docstore=SimpleDocumentStore(),
        docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
        disable_cache=True,
    )
    added = pipeline.run(documents=documents)
    assert store.client.count() == len(added) == encoder.texts
    before = {node.node_id: node for node in store.get_nodes()}
    assert pipeline.run(documents=documents) == []
    assert await pipeline.arun(documents=documents) == []
    assert encoder.texts == len(added)
    assert {node.node_id: node for node in store.get_nodes()} == before
    changed = Document(text="A baobab.", id_=documents[0].doc_id)
    pipeline.run(documents=[changed, *documents[1:3]])
    sources = {node.ref_doc_id for node in store.get_nodes()}
    assert sources == {document.doc_id for document in documents[:3]}
    assert [node.text for node in store.get_nodes() if node.ref_doc_id == changed.doc_id] == [
        "A baobab."
    ]


def sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[。！？.!?])\s*", text) if part.strip()]


def test_sentence_windows(store, documents):
    parser = SentenceWindowNodeParser.from_defaults(
        window_size=1,
        sentence_splitter=sentences,
        window_metadata_key="window",
        original_text_metadata_key="sentence",
    )
    nodes = parser.get_nodes_from_documents(documents[2:3])
    kb = VectorStoreIndex(
        nodes,
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=store.embed_model,
    )
    engine = RetrieverQueryEngine.from_args(
        TrivecRetriever(store.client, similarity_top_k=1),
        llm=MockLLM(),
        node_postprocessors=[MetadataReplacementPostProcessor("window")],
    )
    assert kb.vector_store.client.count() == len(nodes)
    [source] = engine.query("which fruit has more vitamin C than an orange?").source_nodes
    assert source.node.metadata["sentence"] in source.node.get_content()
    assert len(source.node.get_content()) > len(source.node.metadata["sentence"])
    assert "维生素" in source.node.get_content()


async def test_a_recursive_retriever(store):
    tables = {
        "teas": TextNode(text="oolong, sencha, matcha", id_="teas"),
        "cars": TextNode(text="saloon, coupé, estate", id_="cars"),
    }
    store.add(
        [
            IndexNode(text="Which kinds of tea there are", index_id="teas"),
            IndexNode(text="Which kinds of car there are", index_id="cars"),
        ]
    )
    recursive = RecursiveRetriever(
        "root",
        retriever_dict={"root": TrivecRetriever(store.client, similarity_top_k=1)},
        node_dict=dict(tables),
    )
    for found in (recursive.retrieve("有哪些茶？"), await recursive.aretrieve("有哪些茶？")):
        assert [each.node.node_id for each in found] == ["teas"]


async def test_a_chat_engine_and_a_cited_query(store, documents):
    VectorStoreIndex.from_documents(
        documents,
        StorageContext.from_defaults(vector_store=store),
        embed_model=store.embed_model,
        transformations=[SentenceSplitter(chunk_size=256, chunk_overlap=0)],
    )
    retriever = TrivecRetriever(
        store.client, similarity_top_k=2, options=SearchOptions(explain=True)
    )
    chat = ContextChatEngine.from_defaults(
        retriever, llm=MockLLM(), memory=ChatMemoryBuffer.from_defaults(token_limit=8000)
    )
    for question in ("猴面包树的果实有什么营养？", "and compared with an orange?"):
        response = chat.chat(question)
        assert question in str(response)
        assert len(response.source_nodes) == 2
    assert file_of(chat.chat("猴面包树的果实").source_nodes[0]) == "猴面包树.md"
    engine = create_query_engine(retriever, MockLLM())
    response = await engine.aquery("猴面包树的果实有什么营养？")
    assert response.metadata["trivec"]["citations"][0]["node_id"] in {
        each.node_id for each in response.source_nodes
    }
    assert file_of(response.source_nodes[0]) == "猴面包树.md"
