"""Collections that langchain-qdrant and llama-index-vector-stores-qdrant wrote, and will read."""

from __future__ import annotations

import uuid

import pytest
from qdrant_client import QdrantClient, models

from trivec import Chunk, HybridIndex, IndexConfig, SearchOptions
from trivec.errors import CollectionError, FingerprintMismatchError, InputError
from trivec.payloads import PayloadCodec
from trivec.testing import FakeEncoder

pytestmark = [
    # said by qdrant-client's local mode when a library asks it for a payload index
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant"),
]

TEXTS = [
    f"passage number {n} about {topic}" for n, topic in enumerate(["tea", "cars", "猫", "rain"])
]
UUIDS = [str(uuid.uuid5(uuid.NAMESPACE_URL, text)) for text in TEXTS]
NEXT_UUID = str(uuid.uuid5(uuid.NAMESPACE_URL, "next"))
OURS = FakeEncoder()
FOREIGN_SPARSE = FakeEncoder(name="another sparse model")
NAME = "theirs"


def best(index, text, arm="dense"):
    return index.search(text, k=1, options=SearchOptions(arms=[arm]))[0].chunk


def vectors_of(client, identity):
    [record] = client.retrieve(NAME, [identity], with_vectors=True)
    return record.vector if isinstance(record.vector, dict) else {"": record.vector}


def adopt(client, **config):
    return HybridIndex.open(client, OURS, collection=NAME, adopt=True, config=IndexConfig(**config))


# LangChain


@pytest.fixture(scope="module")
def langchain():
    """langchain-qdrant over deterministic embeddings: our dense ones, another model's sparse."""
    import langchain_qdrant
    from langchain_core.embeddings import Embeddings

    class Dense(Embeddings):
        def embed_documents(self, texts):
            return [each.dense.tolist() for each in OURS.encode_documents(texts)]

        def embed_query(self, text):
            return self.embed_documents([text])[0]

    class Sparse(langchain_qdrant.SparseEmbeddings):
        def __init__(self, encoder):
            self.encoder = encoder

        def embed_documents(self, texts):
            return [
                langchain_qdrant.SparseVector(
                    indices=each.sparse.indices.tolist(), values=each.sparse.values.tolist()
                )
                for each in self.encoder.encode_documents(texts)
            ]

        def embed_query(self, text):
            return self.embed_documents([text])[0]

    class LangChain:
        modes = langchain_qdrant.RetrievalMode

        def write(self, mode="DENSE", ids=UUIDS, **options):
            """Let it create a collection in memory and fill it; return its store."""
            return langchain_qdrant.QdrantVectorStore.from_texts(
                TEXTS,
                Dense(),
                metadatas=[{"n": n, "deep": {"list": [n]}} for n in range(len(TEXTS))],
                ids=ids,
                location=":memory:",
                collection_name=NAME,
                retrieval_mode=self.modes[mode],
                sparse_embedding=Sparse(FOREIGN_SPARSE),
                **options,
            )

        def open(self, client, mode="DENSE", sparse=FOREIGN_SPARSE, **options):
            return langchain_qdrant.QdrantVectorStore(
                client,
                NAME,
                Dense(),
                retrieval_mode=self.modes[mode],
                sparse_embedding=Sparse(sparse),
                **options,
            )

    return LangChain()


LANGCHAIN_SHAPES = {
    "unnamed": {},
    "named": {"vector_name": "text"},
    "renamed": {"content_payload_key": "body", "metadata_payload_key": "about"},
    "hybrid": {"mode": "HYBRID"},
    "hybrid-named": {"mode": "HYBRID", "vector_name": "dense", "sparse_vector_name": "sparse"},
}


@pytest.fixture(params=LANGCHAIN_SHAPES)
def langchain_shape(request):
    return LANGCHAIN_SHAPES[request.param]


def test_what_langchain_wrote_is_read(langchain, langchain_shape):
    client = langchain.write(**langchain_shape).client
    with pytest.raises(FingerprintMismatchError, match="adopt=True"):
        HybridIndex.open(client, OURS, collection=NAME)
    index = adopt(client)
    assert list(index.schema.vectors) == ["dense"]
    for n, text in enumerate(TEXTS):
        expected = Chunk(text, id=UUIDS[n], metadata={"n": n, "deep": {"list": [n]}})
        assert best(index, text) == expected
        assert index.get([UUIDS[n]]) == [expected]
    assert [hit.id for hit in index.search("passage", filter={"n": {"gte": 3}})] == [UUIDS[3]]
    assert index.count() == len(TEXTS)
    assert index.delete(ids=[UUIDS[0]]) == 1
    assert index.count() == len(TEXTS) - 1


def test_an_adopted_collection_needs_no_second_adoption(langchain, langchain_shape):
    client = langchain.write(**langchain_shape).client
    client.update_collection(NAME, metadata={"theirs": {"kept": [1, 2]}})
    schema = adopt(client).schema
    assert HybridIndex.open(client, OURS, collection=NAME).schema == schema
    with pytest.raises(FingerprintMismatchError, match="another model"):
        HybridIndex.open(client, FakeEncoder(name="another model"), collection=NAME, adopt=True)
    metadata = client.get_collection(NAME).config.metadata
    assert metadata["theirs"] == {"kept": [1, 2]}


def test_the_foreign_sparse_vector_is_neither_used_nor_written(langchain):
    store = langchain.write("HYBRID")
    client = store.client
    before = vectors_of(client, UUIDS[1])["langchain-sparse"]
    index = adopt(client)
    with pytest.raises(InputError, match="sparse"):
        best(index, TEXTS[1], "sparse")
    index.add([Chunk("a new passage", id=NEXT_UUID)])
    assert set(vectors_of(client, NEXT_UUID)) == {""}
    assert vectors_of(client, UUIDS[1])["langchain-sparse"] == before


@pytest.mark.parametrize("name", ["langchain-sparse", "sparse"])
def test_a_langchain_collection_is_upgraded_in_place(langchain, name):
    store = langchain.write("HYBRID", sparse_vector_name=name)
    client = store.client
    before = [d.page_content for d in store.similarity_search("number 2 cars", k=4)]
    theirs = vectors_of(client, UUIDS[2])[name]
    index = adopt(client)
    assert index.add_arm("sparse") == len(TEXTS)
    assert index.add_arm("bm25") == len(TEXTS)
    ours = "trivec-sparse" if name == "sparse" else "sparse"
    assert index.schema.vectors["sparse"].name == ours
    stored = vectors_of(client, UUIDS[2])
    assert stored[name] == theirs
    [expected] = OURS.encode_documents([TEXTS[2]])
    assert dict(zip(stored[ours].indices, stored[ours].values, strict=True)) == pytest.approx(
        expected.sparse.to_mapping()
    )
    for arm in ("dense", "sparse", "bm25"):
        assert best(index, TEXTS[1], arm).text == TEXTS[1]
    assert [d.page_content for d in store.similarity_search("number 2 cars", k=4)] == before
    assert HybridIndex.open(client, OURS, collection=NAME).schema == index.schema


def test_both_go_on_writing(langchain):
    store = langchain.write("HYBRID")
    index = adopt(store.client)
    index.add_arm("sparse")
    store.add_texts(["they add one"], [{"by": "them"}], ids=[NEXT_UUID])
    index.add([Chunk("we add another", id="ours", metadata={"by": "us"})])
    assert best(index, "they one").metadata == {"by": "them"}
    assert index.add_arm("sparse") == 1
    assert best(index, "they one", "sparse").id == NEXT_UUID
    assert best(index, "another", "sparse").id == "ours"
    found = langchain.open(store.client).similarity_search("we add another", k=1)[0]
    assert (found.page_content, found.metadata["by"]) == ("we add another", "us")


def test_numbered_points_keep_their_numbers(langchain):
    client = langchain.write(ids=[10, 20, 30, 40]).client
    index = adopt(client)
    assert index.schema.integer_ids
    assert best(index, TEXTS[1]).id == "20"
    assert [chunk.text for chunk in index.get(["40", "10", "007", "99"])] == [TEXTS[3], TEXTS[0]]
    assert index.delete(ids=["10"]) == 1
    report = index.add([Chunk("rewritten", id="20"), Chunk("new", id="50"), Chunk("odd", id="050")])
    assert (report.updated, report.added) == (1, 2)
    stored = {record.id for record in client.scroll(NAME)[0]}
    assert {20, 30, 40, 50} < stored
    assert len(stored) == 5
    again = HybridIndex.open(client, OURS, collection=NAME)
    assert sorted(c.id for c in again.get(["20", "50", "050"])) == ["050", "20", "50"]


def test_a_foreign_point_that_is_added_again_is_encoded_once(langchain):
    index = adopt(langchain.write().client)
    chunk = Chunk(TEXTS[0], id=UUIDS[0], metadata={"n": 0, "deep": {"list": [0]}})
    assert index.add([chunk]).updated == 1
    assert index.add([chunk]).skipped == 1
    assert index.count() == len(TEXTS)


@pytest.mark.parametrize("shape", ["dense", "hybrid"])
def test_langchain_reads_what_we_wrote(langchain, shape):
    client = QdrantClient(":memory:")
    config = IndexConfig(codec="langchain", arms=("dense", "sparse", "bm25"))
    index = HybridIndex.open(client, OURS, collection=NAME, config=config)
    metadata = [{"n": n, "deep": {"list": [n, None]}} for n in range(len(TEXTS))]
    index.add(
        Chunk(text, id=identity, metadata=about, source="s.md")
        for text, identity, about in zip(TEXTS, UUIDS, metadata, strict=True)
    )
    if shape == "dense":
        store = langchain.open(client, vector_name="dense")
    else:
        names = {"vector_name": "dense", "sparse_vector_name": "sparse"}
        store = langchain.open(client, "HYBRID", OURS, **names)
    for n, text in enumerate(TEXTS):
        [found] = store.similarity_search(text, k=1)
        own = {key: found.metadata[key] for key in metadata[n]}
        assert (found.page_content, own) == (text, metadata[n])
        assert found.metadata["_id"] == UUIDS[n]
    only = models.FieldCondition(key="metadata.n", match=models.MatchValue(value=2))
    [found] = store.similarity_search("passage", k=4, filter=models.Filter(must=[only]))
    assert found.page_content == TEXTS[2]
    assert [d.page_content for d in store.get_by_ids([UUIDS[3]])] == [TEXTS[3]]


def test_a_sparse_vector_is_adopted_when_it_is_named(langchain):
    """For collections whose sparse vectors this very model wrote."""
    client = QdrantClient(":memory:")
    names = {"dense": "text", "sparse": "langchain-sparse"}
    config = IndexConfig(codec="langchain", arms=("dense", "sparse"), vectors=names)
    HybridIndex.open(client, OURS, collection=NAME, config=config)
    langchain.open(client, "HYBRID", OURS, vector_name="text").add_texts(TEXTS, ids=UUIDS)
    client.update_collection(NAME, metadata={"trivec": None})
    index = adopt(client, vectors=names)
    for arm in ("dense", "sparse"):
        assert best(index, TEXTS[2], arm).text == TEXTS[2]
    index.add([Chunk("more", id=NEXT_UUID)])
    assert set(vectors_of(client, NEXT_UUID)) == {"text", "langchain-sparse"}


# LlamaIndex


@pytest.fixture(scope="module")
def llama_index():
    import llama_index.vector_stores.qdrant as module
    from llama_index.core.schema import (
        IndexNode,
        MetadataMode,
        NodeRelationship,
        RelatedNodeInfo,
        TextNode,
    )
    from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

    class LlamaIndex:
        def sparse_function(self, encoder):
            def encode(texts):
                found = [each.sparse for each in encoder.encode_documents(texts)]
                return [s.indices.tolist() for s in found], [s.values.tolist() for s in found]

            return encode

        def open(self, client, *, hybrid=False, sparse=FOREIGN_SPARSE, **options):
            return module.QdrantVectorStore(
                NAME,
                client=client,
                enable_hybrid=hybrid,
                sparse_doc_fn=self.sparse_function(sparse),
                sparse_query_fn=self.sparse_function(sparse),
                **options,
            )

        def nodes(self):
            source = RelatedNodeInfo(node_id="doc-1", metadata={"file": "a.md"})
            nodes = [
                TextNode(id_=identity, text=text, metadata={"n": n, "flat": [n]})
                for n, (text, identity) in enumerate(zip(TEXTS, UUIDS, strict=True))
            ]
            nodes[0].relationships[NodeRelationship.SOURCE] = source
            nodes[0].excluded_embed_metadata_keys = ["n"]
            nodes[1] = IndexNode(**{**nodes[1].to_dict(), "index_id": "elsewhere"})
            return nodes

        def embedded(self, nodes):
            for node in nodes:
                [encoding] = OURS.encode_documents([node.get_content(MetadataMode.NONE)])
                node.embedding = encoding.dense.tolist()
            return nodes

        def query(self, store, text, mode="default", k=1):
            [encoding] = OURS.encode_queries([text])
            query = VectorStoreQuery(
                query_embedding=encoding.dense.tolist(),
                query_str=text,
                mode=VectorStoreQueryMode(mode),
                similarity_top_k=k,
            )
            return store.query(query).nodes

        def write(self, **options):
            client = QdrantClient(":memory:")
            self.open(client, **options).add(self.embedded(self.nodes()))
            return client

    return LlamaIndex()


LLAMA_INDEX_SHAPES = {
    "unnamed": {},
    "hybrid": {"hybrid": True},
    "old-sparse-name": {"hybrid": True, "sparse_vector_name": "text-sparse"},
}


@pytest.fixture(params=LLAMA_INDEX_SHAPES)
def llama_index_shape(request):
    return LLAMA_INDEX_SHAPES[request.param]


def stripped(node):
    """A node as JSON values, without its embedding."""
    return {**node.to_dict(), "embedding": None}


def test_what_llama_index_wrote_is_read(llama_index, llama_index_shape):
    from llama_index.core.vector_stores.utils import metadata_dict_to_node

    client = llama_index.write(**llama_index_shape)
    index = adopt(client)
    assert index.schema.codec == "llama_index"
    assert list(index.schema.vectors) == ["dense"]
    for n, node in enumerate(llama_index.nodes()):
        found = best(index, TEXTS[n])
        assert (found.id, found.text) == (UUIDS[n], TEXTS[n])
        assert found.metadata == {"n": n, "flat": [n]}
        assert found.source == node.ref_doc_id
        assert stripped(metadata_dict_to_node(found.extra)) == stripped(node)
    assert [hit.id for hit in index.search("passage", filter={"n": 3})] == [UUIDS[3]]
    assert index.delete(source="doc-1") == 1
    assert index.get([UUIDS[0]]) == []


@pytest.mark.parametrize("arm", ["sparse", "bm25", "colbert"])
def test_a_llama_index_collection_is_upgraded_in_place(llama_index, llama_index_shape, arm):
    client = llama_index.write(**llama_index_shape)
    mode = "hybrid" if llama_index_shape else "default"
    store = llama_index.open(client, **llama_index_shape)
    before = [node.node_id for node in llama_index.query(store, "number 2 cars", mode, k=4)]
    index = adopt(client)
    assert index.add_arm(arm) == len(TEXTS)
    for text in TEXTS:
        assert best(index, text, arm).text == text
    store = llama_index.open(client, **llama_index_shape)
    after = llama_index.query(store, "number 2 cars", mode, k=4)
    assert [node.node_id for node in after] == before


def test_nodes_come_back_from_both_readers(llama_index):
    """An adapter hands nodes over; trivec gives them back, and LlamaIndex's own store too."""
    client = QdrantClient(":memory:")
    names = {"dense": "text-dense", "sparse": "text-sparse-new"}
    config = IndexConfig(codec="llama_index", vectors=names)
    index = HybridIndex.open(client, OURS, collection=NAME, config=config)
    nodes = llama_index.nodes()
    chunks = [
        Chunk(
            node.text,
            id=node.node_id,
            source=node.ref_doc_id,
            metadata=node.metadata,
            extra={"_node_content": node.to_json(), "_node_type": node.class_name()},
        )
        for node in nodes
    ]
    index.add(chunks)
    assert index.add(chunks).skipped == len(chunks)
    assert index.get(UUIDS) == chunks
    store = llama_index.open(client, hybrid=True, sparse=OURS)
    for mode in ("default", "sparse", "hybrid"):
        for node in nodes:
            [found] = llama_index.query(store, node.text, mode)
            assert type(found) is type(node)
            assert stripped(found) == stripped(node)
    store.delete("doc-1")
    assert index.get([UUIDS[0]]) == []


def test_llama_index_reads_plain_chunks_of_ours(llama_index):
    client = QdrantClient(":memory:")
    config = IndexConfig(codec="llama_index", vectors={"dense": "text-dense"})
    index = HybridIndex.open(client, OURS, collection=NAME, config=config)
    chunks = [
        Chunk(text, id=f"chunk {n}", source="doc.md", position=n, metadata={"n": n, "doc_id": "x"})
        for n, text in enumerate(TEXTS)
    ]
    index.add(chunks)
    assert index.get(["chunk 1"]) == [chunks[1]]
    assert index.add(chunks).skipped == len(chunks)
    store = llama_index.open(client, dense_vector_name="text-dense")
    for n, text in enumerate(TEXTS):
        [found] = llama_index.query(store, text)
        assert (found.text, found.node_id, found.ref_doc_id) == (text, f"chunk {n}", "doc.md")
        assert found.metadata == {"n": n, "doc_id": "x"}
    assert index.delete(source="doc.md") == len(TEXTS)


def test_text_that_differs_from_the_nodes_is_kept(llama_index):
    """An adapter may want the metadata encoded with the text."""
    client = QdrantClient(":memory:")
    config = IndexConfig(codec="llama_index")
    index = HybridIndex.open(client, OURS, collection=NAME, config=config)
    node = llama_index.nodes()[0]
    chunk = Chunk(
        f"title: x\n\n{node.text}",
        id=node.node_id,
        metadata={"n": 0},
        extra={"_node_content": node.to_json(), "_node_type": "TextNode", "more": [1.5]},
    )
    index.add([chunk])
    assert index.get([node.node_id]) == [chunk]
    assert index.add([chunk]).skipped == 1


# Any collection


def collection_of(payloads, vectors=None, **sparse):
    client = QdrantClient(":memory:")
    size = OURS.info.dense_dim
    dense = models.VectorParams(size=size, distance=models.Distance.COSINE)
    given = dense if vectors is None else vectors
    client.create_collection(NAME, given, sparse_vectors_config=sparse or None)
    points = [
        models.PointStruct(id=n, vector=OURS.encode_queries([str(p)])[0].dense.tolist(), payload=p)
        for n, p in enumerate(payloads)
    ]
    if points:
        client.upsert(NAME, points)
    return client


def test_an_unknown_layout_must_be_named():
    client = collection_of([{"title": "a", "body": "b", "year": 3}])
    with pytest.raises(CollectionError, match=r"keys \['body', 'title', 'year'\]"):
        adopt(client)
    index = adopt(client, codec=PayloadCodec(name="books", text_key="body", metadata_key="info"))
    assert index.get(["0"]) == [Chunk("b", id="0")]
    index.add([Chunk("c", id="1", metadata={"k": 1})])
    again = HybridIndex.open(client, OURS, collection=NAME)
    assert again.get(["1"]) == [Chunk("c", id="1", metadata={"k": 1})]
    [record] = client.retrieve(NAME, [1])
    assert (record.payload["body"], record.payload["info"]) == ("c", {"k": 1})


def test_the_named_layout_wins_over_the_detected_one():
    client = collection_of([{"page_content": "a", "metadata": {}, "text": "b"}])
    index = adopt(client, codec=PayloadCodec(name="mine"))
    assert index.get(["0"])[0].text == "b"


def test_an_empty_collection_is_adopted():
    client = collection_of([])
    index = adopt(client)
    index.add([Chunk("first", id="1")])
    assert best(index, "first").id == "1"


def params(size=64, distance=models.Distance.COSINE):
    return models.VectorParams(size=size, distance=distance)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (params(size=8), "8 dims, the model makes 64"),
        (params(distance=models.Distance.EUCLID), "by euclid"),
        ({"a": params(), "b": params()}, r"2 dense vectors \['a', 'b'\]"),
        ({}, "0 dense vectors"),
    ],
    ids=["size", "distance", "ambiguous", "none"],
)
def test_dense_vectors_that_cannot_be_taken(vectors, message):
    client = collection_of([], vectors, other=models.SparseVectorParams())
    with pytest.raises(CollectionError, match=message):
        adopt(client)
    assert not client.get_collection(NAME).config.metadata


def test_which_of_several_vectors_is_ours_is_said_by_name():
    client = collection_of([], {"a": params(), "b": params()})
    index = adopt(client, vectors={"dense": "b"})
    index.add([Chunk("text", id="1")])
    [record] = client.scroll(NAME, with_vectors=True)[0]
    assert set(record.vector) == {"b"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"dense": "", "sparse": "weighted"}, "weighted by IDF"),
        ({"dense": "", "bm25": "weighted"}, "terms are trivec's own"),
        ({"dense": "learned"}, "as sparse"),
        ({"dense": "nowhere"}, r"no vector 'nowhere'.*'learned'"),
    ],
)
def test_vectors_that_cannot_be_adopted(names, message):
    idf = models.SparseVectorParams(modifier=models.Modifier.IDF)
    client = collection_of([], weighted=idf, learned=models.SparseVectorParams())
    with pytest.raises(CollectionError, match=message):
        adopt(client, vectors=names)


def test_haystack_documents_are_read_and_written():
    identity = "a" * 64
    payload = {"id": identity, "content": "text", "meta": {"lang": "en"}, "blob": None}
    client = QdrantClient(":memory:")
    client.create_collection(NAME, params())
    namespace = uuid.UUID("3896d314-1e95-4a3a-b45a-945f9f0b541d")
    [encoding] = OURS.encode_documents(["text"])
    point = models.PointStruct(
        id=uuid.uuid5(namespace, identity).hex, vector=encoding.dense.tolist(), payload=payload
    )
    client.upsert(NAME, [point])
    index = adopt(client)
    assert index.schema.codec == "haystack"
    assert index.get([identity]) == [Chunk("text", id=identity, metadata={"lang": "en"})]
    assert index.count({"lang": "en"}) == 1
    index.add([Chunk("new", id="b", source="s", metadata={"lang": "zh"})])
    assert index.get(["b"]) == [Chunk("new", id="b", source="s", metadata={"lang": "zh"})]
    [record] = client.retrieve(NAME, [str(uuid.uuid5(namespace, "b"))])
    assert set(record.payload) == {"id", "content", "meta"}  # Haystack refuses other keys
    assert index.delete(source="s") == 1


def kept_in(datatype):
    dense = models.VectorParams(
        size=OURS.info.dense_dim, distance=models.Distance.COSINE, datatype=datatype
    )
    return collection_of([{"page_content": "a", "metadata": {}}], dense)


def test_whole_numbers_are_no_place_for_vectors():
    with pytest.raises(CollectionError, match=r"uint8.*zeros; index again"):
        adopt(kept_in(models.Datatype.UINT8))


def test_halves_are_taken_with_a_word(caplog):
    index = adopt(kept_in(models.Datatype.FLOAT16))
    assert "float16" in caplog.text
    assert index.search("a")
