"""The retriever's fields, its metadata, its tracing."""

from __future__ import annotations

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel
from pydantic import ValidationError

from langchain_trivec import LLMChat, TrivecRetriever
from trivec import QueryText, SearchOptions
from trivec.errors import InputError
from trivec.rerankers import MaxSimReranker
from trivec.rewriting import KeywordRewriter

DOCUMENTS = [
    Document(id="cat", page_content="the cat sleeps on the warm sofa", metadata={"n": 1}),
    Document(id="dog", page_content="the dog runs in the green park", metadata={"n": 2}),
    Document(id="tea", page_content="green tea is a warm drink", metadata={"n": 3}),
    Document(id="zh", page_content="猫在温暖的沙发上睡觉", metadata={"n": 4, "trivec": "mine"}),
]


@pytest.fixture
def index(store):
    store.add_documents(DOCUMENTS)
    return store.index


def ids(documents):
    return [document.id for document in documents]


def test_documents_say_how_they_were_found(index):
    retriever = TrivecRetriever(index=index, k=2, explain=True)
    first, second = retriever.invoke("green tea")
    assert (first.id, first.page_content) == ("tea", DOCUMENTS[2].page_content)
    found = first.metadata.pop("trivec")
    assert first.metadata == {"n": 3}
    assert found["score"] > second.metadata["trivec"]["score"]
    assert set(found["arms"]) == {"dense", "sparse", "bm25"}
    assert {match["term"] for match in found["matches"]} == {"green", "tea"}
    assert {match["arm"] for match in found["matches"]} == {"sparse", "bm25"}
    [plain] = TrivecRetriever(index=index, k=1).invoke("green tea")
    assert plain.metadata["trivec"].keys() == {"score"}


def test_the_metadata_key_may_be_another_or_none(index):
    [found] = TrivecRetriever(index=index, k=1, metadata_key=None).invoke("猫")
    assert found == DOCUMENTS[3]
    [found] = TrivecRetriever(index=index, k=1, metadata_key="how").invoke("猫")
    assert found.metadata["trivec"] == "mine"
    assert found.metadata["how"]["score"]


def test_what_a_call_says_wins_over_the_fields(index):
    retriever = TrivecRetriever(index=index, k=1, filter={"n": {"lt": 3}}, arms=["bm25"])
    assert ids(retriever.invoke("green tea")) == ["dog"]
    assert ids(retriever.invoke("green tea", filter=None, k=3)) == ["tea", "dog"]
    assert ids(retriever.invoke("green tea", arms=["dense"], filter={"n": 4})) == ["zh"]
    assert retriever.invoke("green tea", k=0) == []
    with pytest.raises(InputError, match="unknown arguments"):
        retriever.invoke("green tea", top_k=3)


async def test_async_gives_the_same(index):
    retriever = TrivecRetriever(index=index, k=2, explain=True)
    assert await retriever.ainvoke("green tea", k=3) == retriever.invoke("green tea", k=3)
    questions = ["green tea", "warm sofa", "猫"]
    assert await retriever.abatch(questions) == retriever.batch(questions)


def test_weights_and_fusion(index):
    linear = TrivecRetriever(
        index=index, weights={"dense": 0.5, "bm25": 0.0}, fusion="linear", explain=True
    )
    for document in linear.invoke("green tea"):
        found = document.metadata["trivec"]
        if document.id == "zh":
            assert found == "mine"
            continue
        sparse = found["arms"].get("sparse", 0.0)
        assert found["score"] == pytest.approx(0.5 * found["arms"]["dense"] + 0.3 * sparse)
    options = SearchOptions(fusion="rrf", rrf_k=1)
    ranks = TrivecRetriever(index=index, arms=["dense", "sparse"], options=options)
    assert ranks.invoke("green tea")[0].metadata["trivec"]["score"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    "fields",
    [
        {"arms": ["colbert"]},
        {"arms": ["dense"], "weights": {"bm25": 1.0}},
        {"fusion": "sum"},
        {"k": -1},
        {"rerank_candidates": 0},
        {"normalize": True, "rerank_threshold": 3.0},
        {"retrieval_weight": -1.0},
        {"top_k": 3},
        {"index": "kb"},
    ],
)
def test_what_cannot_be_searched_is_refused_at_construction(index, fields):
    with pytest.raises(ValidationError):
        TrivecRetriever(**{"index": index, **fields})


def test_reranking_reads_more_than_it_returns(index, encoder):
    retriever = TrivecRetriever(
        index=index, k=1, arms=["bm25"], reranker=MaxSimReranker(encoder), rerank_candidates=4
    )
    [found] = retriever.invoke("warm green drink")
    assert found.id == "tea"
    assert found.metadata["relevance_score"] == pytest.approx(1.0, abs=0.3)
    assert found.metadata["trivec"]["score"] > 0
    assert retriever.invoke("warm green drink", k=0) == []


async def test_reranking_asynchronously_and_by_threshold(index, encoder):
    reranker = MaxSimReranker(encoder)
    everything = TrivecRetriever(index=index, k=4, reranker=reranker)
    scores = [one.metadata["relevance_score"] for one in await everything.ainvoke("green tea")]
    assert scores == sorted(scores, reverse=True)
    strict = TrivecRetriever(index=index, k=4, reranker=reranker, rerank_threshold=scores[1])
    assert len(strict.invoke("green tea")) == len(await strict.ainvoke("green tea")) == 2


async def test_a_heavy_retrieval_weight_keeps_the_order_of_the_search(index, encoder):
    class Opposite:
        """Prefers what the search found last."""

        def score(self, query, passages):
            assert query == "green tea"
            return [float(place) for place in range(len(passages))]

    searched = ids(TrivecRetriever(index=index, k=4).invoke("green tea"))
    assert len(searched) > 1
    alone = TrivecRetriever(index=index, k=4, reranker=Opposite())
    assert ids(alone.invoke("green tea")) == searched[::-1]
    mixed = TrivecRetriever(index=index, k=4, reranker=Opposite(), retrieval_weight=100.0)
    assert ids(mixed.invoke("green tea")) == ids(await mixed.ainvoke("green tea")) == searched


async def test_rewriting_searches_for_every_text_in_one_forward(index, encoder):
    def rewrite(question):
        return [QueryText(question), QueryText("猫 沙发", arms=("sparse", "bm25"))]

    retriever = TrivecRetriever(index=index, k=4, rewriter=rewrite)
    calls = encoder.calls
    found = retriever.invoke("where does it sleep")
    assert encoder.calls == calls + 1
    assert "zh" in ids(found)[:2]
    assert await retriever.ainvoke("where does it sleep") == found


async def test_a_chat_model_finds_the_words_of_the_domain(index):
    llm = FakeListChatModel(responses=['["猫", "沙发"]', "1. 猫\n2. 沙发"])
    # fixed weights: adaptive fusion has its own mind about a question of which few words are there
    retriever = TrivecRetriever(
        index=index, k=2, rewriter=KeywordRewriter(LLMChat(llm)), fusion="rrf"
    )
    found = retriever.invoke("where does it nap")
    assert "zh" in ids(found)
    assert await retriever.ainvoke("where does it nap") == found


class Recorder(BaseCallbackHandler):
    def __init__(self):
        self.events = []

    def on_retriever_start(self, serialized, query, *, metadata, tags, **kwargs):  # noqa: ARG002
        self.events.append((query, metadata, tags))

    def on_retriever_end(self, documents, **kwargs):  # noqa: ARG002
        self.events.append(len(documents))

    def on_retriever_error(self, error, **kwargs):  # noqa: ARG002
        self.events.append(type(error))


def test_tracing(index):
    recorder = Recorder()
    retriever = TrivecRetriever(index=index, k=2, tags=["mine"], metadata={"team": "a"})
    retriever.invoke("green tea", {"callbacks": [recorder]})
    (query, metadata, tags), count = recorder.events
    assert (query, count, tags) == ("green tea", 2, ["mine"])
    assert metadata == {
        "team": "a",
        "ls_retriever_name": "trivec",
        "ls_vector_store_provider": "trivec",
        "ls_embedding_provider": "BGEM3Embeddings",
        "ls_embedding_model": "fake",
    }
    with pytest.raises(InputError, match="blank"):
        retriever.invoke(" ", {"callbacks": [recorder]})
    assert recorder.events[-1] is InputError


def test_it_composes_as_a_runnable(index):
    chain = TrivecRetriever(index=index, k=1) | (lambda documents: documents[0].id)
    assert chain.invoke("green tea") == "tea"
    assert chain.batch(["green tea", "猫"]) == ["tea", "zh"]
