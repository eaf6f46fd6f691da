"""Collections that langchain-qdrant wrote, and those that it is to read, with the real package."""

from __future__ import annotations

import zlib
from contextlib import closing

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_qdrant import QdrantVectorStore, RetrievalMode, SparseEmbeddings, SparseVector
from qdrant_client import QdrantClient, models

from langchain_trivec import BGEM3Embeddings, BGEM3SparseEmbeddings, TrivecVectorStore
from trivec import IndexConfig
from trivec.errors import FingerprintMismatchError
from trivec.testing import FakeEncoder

IDS = ["5f0c1a52-0000-4000-8000-000000000001", "5f0c1a52-0000-4000-8000-000000000002"]
DOCUMENTS = [
    Document(id=IDS[0], page_content="green tea is a warm drink", metadata={"lang": "en", "n": 1}),
    Document(id=IDS[1], page_content="猫在温暖的沙发上睡觉", metadata={"lang": "zh", "n": 2}),
]


class HashedWords(SparseEmbeddings):
    """Another sparse model, whose indices mean something else than BGE-M3's."""

    def embed_documents(self, texts):
        weights = [{zlib.crc32(word.encode()): 1.0 for word in text.split()} for text in texts]
        return [SparseVector(indices=list(each), values=list(each.values())) for each in weights]

    def embed_query(self, text):
        return self.embed_documents([text])[0]


@pytest.fixture
def client():
    with closing(QdrantClient(":memory:")) as opened:
        yield opened


def write_as_langchain_qdrant(
    client, embedding, *, vector="", content="page_content", hybrid=False
):
    """Create a collection as langchain-qdrant's users do and add the documents."""
    size = len(embedding.embed_query("x"))
    params = models.VectorParams(size=size, distance=models.Distance.COSINE)
    client.create_collection(
        "kb",
        vectors_config={vector: params} if vector else params,
        sparse_vectors_config={"langchain-sparse": models.SparseVectorParams()} if hybrid else None,
    )
    store = QdrantVectorStore(
        client,
        "kb",
        embedding,
        RetrievalMode.HYBRID if hybrid else RetrievalMode.DENSE,
        vector_name=vector,
        content_payload_key=content,
        sparse_embedding=HashedWords() if hybrid else None,
    )
    store.add_documents(DOCUMENTS)
    return store


@pytest.mark.parametrize("hybrid", [False, True], ids=["dense", "hybrid"])
@pytest.mark.parametrize("vector", ["", "mine"], ids=["unnamed", "named"])
@pytest.mark.parametrize("content", ["page_content", "body"])
def test_what_langchain_qdrant_wrote_is_adopted_searched_and_upgraded(
    client, encoder, vector, content, hybrid
):
    embedding = BGEM3Embeddings(encoder)
    theirs = write_as_langchain_qdrant(
        client, embedding, vector=vector, content=content, hybrid=hybrid
    )
    with pytest.raises(FingerprintMismatchError, match="adopt=True"):
        TrivecVectorStore.from_existing_collection("kb", embedding, location=client)

    store = TrivecVectorStore.from_existing_collection("kb", embedding, location=client, adopt=True)
    assert set(store.index.schema.vectors) == {"dense"}, "their sparse vector is another model's"
    assert store.get_by_ids(IDS) == DOCUMENTS
    assert store.similarity_search("warm green tea", k=1) == DOCUMENTS[:1]
    assert store.similarity_search("tea", k=2, filter={"lang": "zh"}) == DOCUMENTS[1:]

    calls = encoder.calls
    assert store.index.add_arm("sparse") == 2
    assert encoder.calls == calls + 1, "one forward for the batch"
    assert store.index.add_arm("sparse") == 0, "nothing is left to be done"
    again = TrivecVectorStore.from_existing_collection("kb", embedding, location=client)
    assert set(again.index.schema.vectors) == {"dense", "sparse"}
    assert again.index.schema.vectors["sparse"].name != "langchain-sparse"
    assert again.similarity_search("沙发", k=1, arms=["sparse"]) == DOCUMENTS[1:]

    # and langchain-qdrant goes on as if nothing had happened
    found = theirs.similarity_search("warm green tea", k=1)[0]
    assert (found.page_content, found.metadata["n"]) == (DOCUMENTS[0].page_content, 1)


def test_documents_added_after_adoption_are_read_by_langchain_qdrant(client, encoder):
    embedding = BGEM3Embeddings(encoder)
    theirs = write_as_langchain_qdrant(client, embedding)
    ours = TrivecVectorStore.from_existing_collection("kb", embedding, location=client, adopt=True)
    assert ours.add_texts(["a red car"], [{"lang": "en"}], ids=["car"]) == ["car"]
    found = theirs.similarity_search("red car", k=1)[0]
    assert (found.page_content, found.metadata["lang"]) == ("a red car", "en")
    ours.delete([IDS[0]])
    assert len(theirs.similarity_search("tea", k=5)) == 2


def test_dense_embeddings_of_any_kind_are_adopted(client):
    embedding = DeterministicFakeEmbedding(size=8)
    write_as_langchain_qdrant(client, embedding)
    store = TrivecVectorStore.from_existing_collection("kb", embedding, location=client, adopt=True)
    assert store.index.add_arm("bm25") == 2
    assert store.similarity_search("沙发", k=1, arms=["bm25"]) == DOCUMENTS[1:]


@pytest.mark.parametrize("vectors", [{}, {"dense": "", "sparse": "langchain-sparse"}])
@pytest.mark.parametrize("mode", list(RetrievalMode))
def test_langchain_qdrant_reads_what_trivec_wrote(client, encoder, mode, vectors):
    arms = ("dense", "sparse")
    config = IndexConfig(codec="langchain", arms=arms, vectors=vectors)
    embedding = BGEM3Embeddings(encoder)
    TrivecVectorStore.from_documents(
        DOCUMENTS, embedding, location=client, collection_name="kb", config=config
    )
    names = {"dense": "dense", "sparse": "sparse", **vectors}
    theirs = QdrantVectorStore(
        client,
        "kb",
        embedding,
        mode,
        vector_name=names["dense"],
        sparse_embedding=BGEM3SparseEmbeddings(encoder),
        sparse_vector_name=names["sparse"],
    )
    found = theirs.similarity_search("warm green tea", k=1)[0]
    assert found.page_content == DOCUMENTS[0].page_content
    assert found.metadata["_id"] == IDS[0]
    assert {key: found.metadata[key] for key in ("lang", "n")} == DOCUMENTS[0].metadata
    by_filter = models.Filter(
        must=[models.FieldCondition(key="metadata.lang", match=models.MatchValue(value="zh"))]
    )
    # both of its arms leave out what shares no word, so the dense one is asked
    if mode is not RetrievalMode.SPARSE:
        [other] = theirs.similarity_search("tea", k=2, filter=by_filter)
        assert other.page_content == DOCUMENTS[1].page_content


def test_the_default_layout_of_a_new_collection_is_langchain_qdrants(client, encoder):
    embedding = BGEM3Embeddings(encoder)
    TrivecVectorStore.from_documents(DOCUMENTS, embedding, location=client, collection_name="kb")
    theirs = QdrantVectorStore(client, "kb", embedding, vector_name="dense")
    assert theirs.similarity_search("warm green tea", k=1)[0].page_content.startswith("green")


def test_another_model_does_not_open_an_adopted_collection(client, encoder):
    write_as_langchain_qdrant(client, BGEM3Embeddings(encoder))
    TrivecVectorStore.from_existing_collection("kb", encoder, location=client, adopt=True)
    other = BGEM3Embeddings(FakeEncoder(name="other"))
    with pytest.raises(FingerprintMismatchError, match="other"):
        TrivecVectorStore.from_existing_collection("kb", other, location=client, adopt=True)
