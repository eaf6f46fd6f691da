"""What the vector store promises beyond LangChain's suite, on both engines."""

from __future__ import annotations

import copy
import enum
import pickle

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.indexing import InMemoryRecordManager, aindex, index
from langchain_core.load import dumps
from qdrant_client import QdrantClient, models

from langchain_trivec import BGEM3Embeddings, TrivecRetriever, TrivecVectorStore
from trivec import Chunk, IndexConfig, SearchOptions
from trivec.errors import (
    CollectionNotFoundError,
    FilterError,
    FingerprintMismatchError,
    InputError,
    InvalidVectorError,
)
from trivec.testing import FakeEncoder, MemoryStore

DOCUMENTS = [
    Document(id="cat", page_content="the cat sleeps on the warm sofa", metadata={"n": 1}),
    Document(id="dog", page_content="the dog runs in the green park", metadata={"n": 2}),
    Document(
        id="tea",
        page_content="green tea is a warm drink",
        metadata={"n": 3, "tags": ["a", "b"], "nested": {"x": 1.1, "y": None}},
    ),
    Document(
        id="zh", page_content="猫在温暖的沙发上睡觉", metadata={"lang": "zh", "source": "z.md"}
    ),
]


class KeyedEmbeddings(Embeddings):
    """Embeddings with a secret, as a provider's client has one."""

    model = "provider-large"
    api_key = "sk-very-secret"

    def embed_documents(self, texts):
        return [[1.0, float(len(text))] for text in texts]

    def embed_query(self, text):
        return self.embed_documents([text])[0]


@pytest.fixture
def filled(store):
    assert store.add_documents(DOCUMENTS) == ["cat", "dog", "tea", "zh"]
    return store


def ids(documents):
    return [document.id for document in documents]


# adding


@pytest.mark.parametrize("identity", ["a\0b", enum.Enum("Name", {"B": "ab"}, type=str).B], ids=repr)
def test_an_id_that_is_cleaned_or_of_an_own_class_is_not_stored_where_it_was_refused(
    store, identity
):
    assert store.add_documents([Document(page_content=" ")], ids=[identity]) == []
    assert store.add_documents([Document(page_content="a text")], ids=[identity]) == [identity]
    assert ids(store.get_by_ids([identity])) == ["ab"]


def test_documents_come_back_as_they_were(filled):
    before = copy.deepcopy(DOCUMENTS)
    assert filled.get_by_ids(["zh", "cat", "tea", "dog", "none"]) == [
        before[3],
        before[0],
        before[2],
        before[1],
    ]
    assert filled.similarity_search("green tea", k=1) == [before[2]]
    assert before == DOCUMENTS


def test_adding_runs_the_model_once(store, encoder):
    store.add_documents(DOCUMENTS)
    assert encoder.calls == 1
    store.add_documents(DOCUMENTS)
    assert encoder.calls == 1, "unchanged documents are not encoded again"
    store.similarity_search("green tea", fusion="linear")
    assert encoder.calls == 2


async def test_adding_asynchronously_runs_the_model_once(store, encoder):
    assert await store.aadd_documents(DOCUMENTS) == ids(DOCUMENTS)
    assert await store.aadd_texts(["x"], ids=["x"]) == ["x"]
    assert encoder.calls == 2
    assert await store.aget_by_ids(["cat"]) == [DOCUMENTS[0]]


def test_without_ids_adding_twice_changes_nothing_and_nothing_is_lost(store):
    texts, metadatas = ["same", "same", "other"], [{"page": 1}, {"page": 2}, {"page": 1}]
    first = store.add_texts(texts, metadatas)
    assert len(set(first)) == 3
    assert store.add_texts(iter(texts), metadatas) == first
    assert store.index.count() == 3


def test_ids_given_win_over_the_documents_own(store):
    documents = [Document(id="a", page_content="one"), Document(id="b", page_content="two")]
    assert store.add_documents(documents, ids=["x", None]) == ["x", "b"]
    assert ids(store.get_by_ids(["x", "b", "a"])) == ["x", "b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"texts": ["a", "b"], "metadatas": [{}]}, "1 metadatas for 2 texts"),
        ({"texts": ["a", "b"], "ids": ["1"]}, "1 ids for 2 documents"),
        ({"texts": ["a"], "batchsize": 3}, "unknown arguments \\['batchsize'\\]"),
    ],
)
def test_bad_arguments_of_adding_store_nothing(store, arguments, message):
    with pytest.raises(ValueError, match=message):
        store.add_texts(**arguments)
    assert store.index.count() == 0


def test_an_id_given_twice_is_returned_for_the_text_that_is_stored(store):
    assert store.add_texts(["tea", "milk", "salt"], ids=["1", "1", "2"]) == ["1", "2"]
    assert store.get_by_ids(["1"])[0].page_content == "tea"


def test_documents_that_cannot_be_stored_are_named_and_the_others_stored(store, caplog):
    circle: dict = {}
    circle["self"] = circle
    documents = [
        Document(id="blank", page_content=" \n"),
        Document(id="good", page_content="tea"),
        Document(id="odd", page_content="tea", metadata={"when": object()}),
        Document(id="keys", page_content="tea", metadata={1: "x", "a": 2}),
    ]
    caplog.set_level("WARNING", "langchain_trivec")
    assert store.add_documents(documents) == ["good"]
    [record] = caplog.records
    assert "3 passages were refused" in record.message
    assert {refusal.id for refusal in store.last_report.refused} == {"blank", "odd", "keys"}
    assert store.last_report.added == 1
    assert ids(store.similarity_search("tea")) == ["good"]
    with pytest.raises(InputError, match="3 passages were refused") as failure:
        store.add_documents([*documents, Document(id="more", page_content="milk")], strict=True)
    for name in ("blank", "odd", "keys"):
        assert name in str(failure.value)
    assert ids(store.get_by_ids(["more"])) == ["more"]


async def test_the_same_holds_asynchronously(store):
    given = [Document(page_content=" "), DOCUMENTS[0]]
    assert len(await store.aadd_documents(given)) == 1
    assert store.last_report.refused[0].reason == "the text is blank"
    with pytest.raises(InputError, match="the text is blank"):
        await store.aadd_texts([" ", "tea"], strict=True)
    assert store.index.count() == 2


@pytest.mark.filterwarnings("ignore:Using SHA-1")  # LangChain's own advice about its default
@pytest.mark.parametrize("key_encoder", ["sha1", "sha256", "sha512", "blake2b"])
def test_langchains_index_with_every_key_encoder(store, key_encoder):
    manager = InMemoryRecordManager(namespace="n")
    manager.create_schema()

    def run(documents):
        return index(
            documents,
            manager,
            store,
            cleanup="full",
            source_id_key="source",
            key_encoder=key_encoder,
            batch_size=2,
        )

    documents = [
        Document(page_content=f"text {number}", metadata={"source": f"{number}.md"})
        for number in range(5)
    ]
    assert run(documents)["num_added"] == 5
    assert run(documents)["num_skipped"] == 5
    changed = [*documents[:4], Document(page_content="new", metadata={"source": "4.md"})]
    outcome = run(changed)
    assert (outcome["num_added"], outcome["num_deleted"]) == (1, 1)
    assert store.index.count() == 5
    assert store.similarity_search("new", k=1)[0].page_content == "new"


async def test_langchains_aindex(store):
    manager = InMemoryRecordManager(namespace="n")
    await manager.acreate_schema()
    arguments = {"cleanup": "full", "key_encoder": "sha256"}
    assert (await aindex(DOCUMENTS, manager, store, **arguments))["num_added"] == 4
    assert (await aindex(DOCUMENTS[:1], manager, store, **arguments))["num_deleted"] == 3
    assert store.index.count() == 1


# deleting


def test_deleting_by_id_by_filter_and_all(filled):
    assert filled.delete(["cat", "unknown"]) is True
    assert filled.delete(filter={"lang": "zh"}) is True
    assert sorted(ids(filled.similarity_search("tea dog"))) == ["dog", "tea"]
    assert filled.delete([]) is True
    assert filled.index.count() == 2
    assert filled.delete() is True
    assert filled.index.count() == 0


async def test_deleting_asynchronously(filled):
    await filled.adelete(["cat"])
    await filled.adelete(filter={"n": {"gte": 3}})
    assert filled.index.count() == 2
    await filled.adelete()
    assert filled.index.count() == 0


def test_a_tenant_deletes_its_own_alone(encoder):
    shared = MemoryStore()
    mine = TrivecVectorStore.open(shared, encoder, tenant="me")
    theirs = TrivecVectorStore.open(shared, encoder, tenant="them")
    for one in (mine, theirs):
        one.add_documents(DOCUMENTS)
    mine.delete()
    assert (mine.index.count(), theirs.index.count()) == (0, 4)
    assert mine.similarity_search("tea", filter=models.Filter()) == []


# searching


def test_options_and_filters_of_a_call(filled):
    assert ids(filled.similarity_search("猫", k=4, arms=["bm25"])) == ["zh"]
    assert ids(filled.similarity_search("warm", filter={"n": {"lt": 3}}, arms="bm25")) == ["cat"]
    must = models.FieldCondition(key="metadata.n", match=models.MatchValue(value=2))
    assert ids(filled.similarity_search("tea", filter=models.Filter(must=[must]))) == ["dog"]
    everything = filled.similarity_search("warm tea", k=4)
    assert filled.similarity_search("warm tea", k=2, offset=2) == everything[2:]


def test_arguments_that_do_not_exist_are_refused(filled):
    with pytest.raises(InputError, match=r"unknown arguments \['fetch'\]"):
        filled.similarity_search("tea", fetch=3)
    with pytest.raises(InputError, match="thresholds="):
        filled.similarity_search("tea", score_threshold=0.5)
    with pytest.raises(FilterError, match="unknown operator"):
        filled.similarity_search("tea", filter={"n": {"near": 3}})
    with pytest.raises(InputError, match="at least 0"):
        filled.similarity_search("tea", k=-1)


async def test_async_searches_give_the_same(filled):
    vector = filled.embeddings.embed_query("warm tea")
    dense = {"arms": ["dense"]}
    assert await filled.asimilarity_search("tea", 2) == filled.similarity_search("tea", 2)
    assert await filled.asimilarity_search_with_score(
        "tea", 2, **dense
    ) == filled.similarity_search_with_score("tea", 2, **dense)
    assert await filled.asimilarity_search_by_vector(
        vector, 2
    ) == filled.similarity_search_by_vector(vector, 2)
    assert await filled.amax_marginal_relevance_search(
        "tea", 2
    ) == filled.max_marginal_relevance_search("tea", 2)
    assert await filled.amax_marginal_relevance_search_by_vector(
        vector, 2
    ) == filled.max_marginal_relevance_search_by_vector(vector, 2)
    assert await filled.asimilarity_search_with_relevance_scores(
        "tea", 2, **dense
    ) == filled.similarity_search_with_relevance_scores("tea", 2, **dense)


def test_searching_by_vector(filled, encoder):
    vector = filled.embeddings.embed_query("green tea")
    assert filled.similarity_search_by_vector(vector, 4) == filled.similarity_search(
        "green tea", 4, arms=["dense"]
    )
    calls = encoder.calls
    assert ids(filled.similarity_search_by_vector(vector, 1, filter={"n": 2})) == ["dog"]
    assert encoder.calls == calls
    with pytest.raises(InvalidVectorError, match="allowed: dense of width 64"):
        filled.similarity_search_by_vector([1.0, 2.0])
    with pytest.raises(InputError, match="need the query's text"):
        filled.similarity_search_by_vector(vector, arms=["bm25"])


def test_scores_of_the_dense_arm_are_cosines(filled, encoder):
    [query] = encoder.encode_queries(["warm sofa"])
    for document, score in filled.similarity_search_with_score("warm sofa", arms=["dense"]):
        [passage] = encoder.encode_documents([document.page_content])
        assert score == pytest.approx(float(query.dense @ passage.dense), abs=1e-5)


def test_relevance_scores_exist_for_cosines_alone(filled):
    scored = filled.similarity_search_with_score("warm sofa", arms=["dense"])
    relevant = filled.similarity_search_with_relevance_scores("warm sofa", arms=["dense"])
    for (document, cosine), (same, relevance) in zip(scored, relevant, strict=True):
        assert document == same
        assert relevance == pytest.approx((cosine + 1) / 2)
        assert 0 <= relevance <= 1
    for arguments in ({}, {"arms": ["sparse"]}, {"arms": ["dense"], "colbert": "rescore"}):
        with pytest.raises(InputError, match=r"arms=\['dense'\]|not in this collection"):
            filled.similarity_search_with_relevance_scores("warm sofa", **arguments)


def test_the_three_search_types_of_as_retriever(filled):
    question = "warm green tea"
    similar = filled.as_retriever(search_kwargs={"k": 2, "filter": {"n": {"gte": 2}}})
    assert ids(similar.invoke(question)) == ["tea", "dog"]
    assert ids(similar.invoke(question, k=1)) == ["tea"]
    best = filled.similarity_search_with_relevance_scores(question, k=4, arms=["dense"])
    threshold = (best[0][1] + best[1][1]) / 2
    strict = filled.as_retriever(
        search_type="similarity_score_threshold",
        search_kwargs={"score_threshold": threshold, "arms": ["dense"]},
    )
    assert ids(strict.invoke(question)) == ["tea"]
    diverse = filled.as_retriever(search_type="mmr", search_kwargs={"k": 2, "lambda_mult": 0.0})
    assert len(diverse.invoke(question)) == 2
    assert similar.tags == ["TrivecVectorStore", "BGEM3Embeddings"]


def test_mmr_is_the_right_way_round(store):
    store.add_texts(
        ["green tea is good", "green tea is very good", "a red car"], ids=["a", "b", "c"]
    )
    relevance = store.max_marginal_relevance_search("green tea is good", k=2, lambda_mult=1.0)
    diversity = store.max_marginal_relevance_search("green tea is good", k=2, lambda_mult=0.0)
    assert ids(relevance) == ["a", "b"]
    assert ids(diversity) == ["a", "c"]
    few = store.max_marginal_relevance_search("green tea is good", k=2, fetch_k=2, lambda_mult=0.0)
    assert ids(few) == ["a", "b"], "the car is not among the two candidates"


# opening


def test_langchain_embeddings_of_any_kind(open_store):
    embeddings = DeterministicFakeEmbedding(size=6)
    store = open_store(embeddings)
    assert store.embeddings is embeddings
    assert set(store.index.schema.vectors) == {"dense", "bm25"}
    store.add_documents(DOCUMENTS)
    assert ids(store.similarity_search("the dog runs in the green park", k=1)) == ["dog"]


def test_from_texts_and_from_documents(tmp_path, encoder):
    store = TrivecVectorStore.from_documents(DOCUMENTS, encoder, location=tmp_path / "a")
    assert store.get_by_ids(["tea"]) == [DOCUMENTS[2]]
    store.index.close()
    again = TrivecVectorStore.from_existing_collection(None, encoder, location=tmp_path / "a")
    assert ids(again.similarity_search("green tea", k=1)) == ["tea"]
    again.index.close()
    dense = TrivecVectorStore.from_texts(
        ["one", "two"],
        BGEM3Embeddings(encoder),
        [{"n": 1}, {"n": 2}],
        ids=["1", "2"],
        location=tmp_path / "b",
        config=IndexConfig(arms=("dense",)),
    )
    assert dense.similarity_search_with_relevance_scores("two", k=1)[0][0].id == "2"
    dense.index.close()


async def test_afrom_texts(tmp_path, encoder):
    store = await TrivecVectorStore.afrom_documents(DOCUMENTS, encoder, location=tmp_path / "a")
    assert await store.aget_by_ids(["tea"]) == [DOCUMENTS[2]]
    store.index.close()


def test_what_cannot_be_opened(tmp_path, encoder):
    with pytest.raises(CollectionNotFoundError):
        TrivecVectorStore.from_existing_collection(None, encoder, location=tmp_path / "none")
    with pytest.raises(InputError, match="LangChain Embeddings or a trivec encoder"):
        TrivecVectorStore.from_texts(["a"], object(), location=tmp_path / "x")
    TrivecVectorStore.from_texts(["a"], encoder, location=tmp_path / "kb").index.close()
    with pytest.raises(FingerprintMismatchError, match="fake"):
        TrivecVectorStore.open(tmp_path / "kb", FakeEncoder(name="other"))
    with pytest.raises(InputError, match="collection_name"):
        TrivecVectorStore.open(tmp_path / "kb", encoder, async_client=object())


def test_embeddings_of_another_model_do_not_open_the_collection(tmp_path):
    class Other(KeyedEmbeddings):
        model = "provider-small"

    TrivecVectorStore.from_texts(["a"], KeyedEmbeddings(), location=tmp_path).index.close()
    with pytest.raises(FingerprintMismatchError, match="provider-small"):
        TrivecVectorStore.open(tmp_path, Other())


def test_a_source_of_the_core_appears_as_langchain_calls_it(store):
    store.index.add([Chunk("from the command line", id="c", source="docs/a.md")])
    assert store.get_by_ids(["c"])[0].metadata == {"source": "docs/a.md"}
    store.add_texts(["x"], [{"source": "b.md"}])
    assert store.index.delete(source="b.md") == 1


def test_default_options_of_a_store(open_store, encoder):
    store = open_store(encoder, options=SearchOptions(arms=("bm25",)))
    store.add_documents(DOCUMENTS)
    assert ids(store.similarity_search("猫")) == ["zh"]
    vector = store.embeddings.embed_query("green tea")
    assert ids(store.similarity_search_by_vector(vector, 1)) == ["tea"]


# secrets


def test_nothing_shows_or_pickles_a_key(tmp_path):
    embeddings = KeyedEmbeddings()
    store = TrivecVectorStore.from_texts(["a text"], embeddings, location=tmp_path / "kb")
    retriever = TrivecRetriever(index=store.index)
    for holder in (store, retriever, store.index):
        assert embeddings.api_key not in repr(holder)
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(holder)
    assert embeddings.api_key not in dumps(retriever)
    assert embeddings.api_key not in repr(store.embeddings) or store.embeddings is embeddings
    store.index.close()


def test_a_servers_key_is_not_shown():
    client = QdrantClient(":memory:")
    client.api_key = "sk-very-secret"
    store = TrivecVectorStore.open(client, FakeEncoder(), collection_name="kb")
    assert "sk-very-secret" not in repr(store) + repr(TrivecRetriever(index=store.index))
    client.close()


@pytest.mark.parametrize("name", ["k", "fetch_k", "lambda_mult"])
@pytest.mark.parametrize("value", ["5", [1], None, object()])
def test_a_number_of_diversity_that_is_none(store, name, value):
    with pytest.raises(InputError, match=f"{name}="):
        store.max_marginal_relevance_search("tea", **{name: value})
