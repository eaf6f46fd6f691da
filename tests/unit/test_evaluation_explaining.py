"""What is shown adds up to the score, and what is missing has its reason."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trivec import Chunk, HybridIndex, IndexConfig, QueryText, SearchOptions
from trivec.errors import InputError
from trivec.evaluation import ExplainOptions, explain_passage
from trivec.index import searching
from trivec.rerankers import RankingOptions
from trivec.stores import EdgeStore
from trivec.testing import FakeEncoder, MemoryStore

ARMS = ("dense", "sparse", "bm25", "colbert")
WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)


def opened(passages, store=None):
    config = IndexConfig(arms=ARMS)
    index = HybridIndex.open(store or MemoryStore(), FakeEncoder(), config=config)
    index.add([Chunk(text, id=f"p{at}") for at, text in enumerate(passages)])
    return index


def check_sums(explanation):
    """Assert that the parts of the arms, their terms and the alignment add up."""
    if explanation.score is not None and any(one.part is not None for one in explanation.arms):
        parts = sum(one.part or 0.0 for one in explanation.arms)
        assert parts == pytest.approx(explanation.score, abs=1e-4)
    for one in explanation.arms:
        if one.terms:
            assert sum(term.score for term in one.terms) == pytest.approx(one.score, abs=1e-4)
            assert one.rest == pytest.approx(0.0, abs=1e-4)  # the fake's tokens are all seen
        if one.arm == "colbert" and one.score is not None:
            aligned = np.mean([match.score for match in explanation.alignment])
            assert aligned == pytest.approx(one.score, abs=1e-4)


searches = st.builds(
    SearchOptions,
    arms=st.sampled_from(
        [None, ("dense", "bm25"), ("sparse", "bm25"), ("dense",), ("bm25",), ("dense", "colbert")]
    ),
    fusion=st.sampled_from(["adaptive", "rrf", "dbsf", "linear"]),
    rrf_k=st.integers(1, 61),
    prefetch_k=st.integers(1, 12),
    colbert=st.sampled_from([None, "fuse", "rescore"]),
)


CORPORA = [
    ["alpha", "alpha beta", "beta alpha gamma gamma"],
    ["alpha beta gamma", "gamma", "delta epsilon zeta eta theta", "eta eta eta", "beta theta"],
    [f"{one} {other}" for one in WORDS[:4] for other in WORDS[4:]],
]


@pytest.fixture(scope="module")
def indexes():
    """Opened once: an analyser loads its dictionaries at its first text."""
    with ExitStack() as stack:
        yield [stack.enter_context(opened(passages)) for passages in CORPORA]


@settings(max_examples=80)
@given(st.integers(0, len(CORPORA) - 1), texts, searches, st.data())
def test_what_is_shown_adds_up(indexes, number, query, search, data):
    index, k = indexes[number], data.draw(st.integers(1, 5))
    identity = f"p{data.draw(st.integers(0, len(CORPORA[number]) - 1))}"
    explanation = explain_passage(index, query, identity, ExplainOptions(search=search, k=k))
    check_sums(explanation)
    scores = {hit.id: hit.score for hit in index.search(query, k, options=search)}
    assert (explanation.rank is not None) == (identity in scores)
    if explanation.rank is not None:
        assert list(scores)[explanation.rank - 1] == identity
        assert explanation.score == pytest.approx(scores[identity], abs=1e-5)
    assert explanation.reason


@pytest.mark.parametrize("fusion", ["adaptive", "rrf", "dbsf", "linear"])
@pytest.mark.parametrize("colbert", [None, "fuse", "rescore"])
def test_so_it_does_on_the_engine(tmp_path, fusion, colbert):
    rows = zip(WORDS, WORDS[2:] + WORDS[:2], WORDS[::-1], strict=True)
    passages = [f"{one} {other} of {third}" for one, other, third in rows]
    with opened(passages, EdgeStore(tmp_path / "kb")) as index:
        search = SearchOptions(fusion=fusion, colbert=colbert, prefetch_k=5)
        for identity in ("p0", "p4", "p7"):
            options = ExplainOptions(search=search, k=3)
            explanation = explain_passage(index, "alpha beta theta", identity, options)
            check_sums(explanation)
            if explanation.score is not None and colbert != "rescore":
                assert all(one.part is not None for one in explanation.arms)
            assert len(explanation.alignment) == 4  # three words and the end


PASSAGES = [f"{word} stands here" for word in WORDS]


def test_the_best_is_explained_where_none_is_named():
    with opened(PASSAGES) as index:
        explanation = explain_passage(index, "gamma")
        assert (explanation.id, explanation.rank) == ("p2", 1)
        assert explanation.reason == "it is number 1 of 10"
        (bm25,) = (one for one in explanation.arms if one.arm == "bm25")
        assert [term.term for term in bm25.terms] == ["gamma"]
        assert bm25.taken


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (ExplainOptions(k=2), r"it is number \d of the fused list, and 2 were asked for"),
        (ExplainOptions(filter={"lang": "zh"}), "the filter leaves it out"),
        (
            ExplainOptions(search=SearchOptions(arms=("dense",), thresholds={"dense": 2.0})),
            r"dense scores it -?0\.\d+, below the threshold of 2",
        ),
        (
            ExplainOptions(search=SearchOptions(arms=("bm25",))),
            r"^no arm has it among its first 100: bm25 does not match it$",
        ),
        (
            ExplainOptions(search=SearchOptions(arms=("dense",), prefetch_k=1), k=1),
            r"no arm has it among its first 1: dense \d; raise prefetch_k",
        ),
    ],
)
def test_why_one_is_missing(options, said):
    with opened(PASSAGES) as index:
        explanation = explain_passage(index, "gamma", "p5", options)
        if explanation.rank is not None:  # of equal scores the engine chooses
            explanation = explain_passage(index, "gamma", "p6", options)
        assert explanation.rank is None
        assert explanation.text
        assert re.search(said, explanation.reason), explanation.reason


@pytest.mark.parametrize("fusion", ["adaptive", "rrf", "dbsf", "linear"])
def test_one_of_many_is_explained_without_the_others(monkeypatch, fusion):
    with opened([f"alpha {one} {other}" for one in WORDS for other in WORDS]) as index:
        index.search("warm up")
        read = []
        decode = type(index.codec).decode

        def counting(self, point):
            read.append(point.id)
            return decode(self, point)

        explained = []
        steps = searching.explained_steps

        def watching(binding, hits, texts, arms):
            explained.extend(hits)
            return (yield from steps(binding, hits, texts, arms))

        monkeypatch.setattr(type(index.codec), "decode", counting)
        monkeypatch.setattr(searching, "explained_steps", watching)
        search = SearchOptions(fusion=fusion, prefetch_k=10)
        explanation = explain_passage(index, "alpha beta", "p9", ExplainOptions(search=search, k=5))
    check_sums(explanation)
    assert explanation.rank == 1
    assert len(explained) == 1
    assert len(read) < 20  # the page, the candidates and the passage: no list of an arm


def test_an_id_that_is_not_there():
    with opened(PASSAGES) as index:
        explanation = explain_passage(index, "gamma", "nobody")
        assert explanation.reason == "the index has no such passage"
        assert explanation.arms == ()


def test_an_id_of_several_sources():
    with opened(PASSAGES) as index:
        index.add([Chunk("one", id="x", source="a"), Chunk("two", id="x", source="b")])
        with pytest.raises(InputError, match=r"'a', 'b'"):
            explain_passage(index, "one", "x")
        assert explain_passage(index, "one", "x", ExplainOptions(source="b")).text == "two"


def test_what_a_reranker_changed():
    class Backwards:
        def score(self, _query, passages):
            return [float(at) for at in range(len(passages))]

    with opened(PASSAGES) as index:
        options = ExplainOptions(reranker=Backwards(), ranking=RankingOptions())
        changed = explain_passage(index, "gamma", None, options).reranking
        assert (changed.before, changed.after, changed.score) == (1, len(PASSAGES), 0.0)


def test_what_is_not_explained():
    with pytest.raises(InputError, match="mmr_lambda and offset"):
        ExplainOptions(search=SearchOptions(offset=1))


def test_a_hit_explains_itself():
    with opened(PASSAGES) as index:
        (hit,) = index.search("gamma", 1, explain=True)
        first, *lines = hit.explain().splitlines()
        assert first == f"score {hit.score:.4f}"
        assert [line.split()[0] for line in lines] == list(hit.arms)
        pattern = r"bm25 [\d.]+, adds .* of at most .*: gamma .*"
        assert any(re.fullmatch(pattern, line) for line in lines)
        (plain,) = index.search("gamma", 1)
        with pytest.raises(InputError, match="explain=True"):
            plain.explain()


def check_lines(hit):
    """Assert that what is shown of a hit, as it is rounded there, adds up to the score."""
    first, *lines = hit.explain().splitlines()
    shown = float(first.removeprefix("score "))
    added = [float(one) for line in lines for one in re.findall(r", adds (-?[\d.]+)", line)]
    assert len(added) == len(hit.parts)
    assert sum(added) == pytest.approx(shown, abs=1e-4 + 1e-5 * len(added))
    assert [line.split()[0].strip(",") for line in lines] == list(
        dict.fromkeys([*hit.arms, *(part.arm for part in hit.parts)])
    )


@settings(max_examples=60)
@given(st.integers(0, len(CORPORA) - 1), st.tuples(texts, texts, searches, st.floats(0.1, 3.0)))
def test_the_parts_of_every_hit_add_up(indexes, number, drawn):
    """Also of a rewritten question, whose arms look for several texts."""
    index, (query, other, search, weight) = indexes[number], drawn
    fusion = search.fusion
    both = [QueryText(query), QueryText(other, arms=("bm25",), weight=weight)]
    asked = both if fusion != "dbsf" and search.arms is None else query
    for hit in index.search(asked, 5, options=replace(search, explain=True)):
        assert hit.parts
        assert sum(part.score for part in hit.parts) == pytest.approx(hit.score, abs=1e-4)
        assert all(part.why for part in hit.parts)
        check_lines(hit)


@pytest.mark.parametrize("arms", [("dense", "sparse", "colbert"), ("sparse", "bm25"), ("bm25",)])
@pytest.mark.parametrize(
    "search", [{}, {"mmr_lambda": 0.5}, {"offset": 1}, {"fusion": "rrf"}, {"fusion": "linear"}]
)
@pytest.mark.parametrize("tenant", [None, "one"])
def test_parts_add_up_in_any_index_and_scope(arms, search, tenant):
    if "mmr_lambda" in search and "dense" not in arms:
        pytest.skip("diversity is among dense vectors")
    config, store = IndexConfig(arms=arms), MemoryStore()
    with HybridIndex.open(store, FakeEncoder(), config=config, tenant=tenant) as index:
        index.add(
            [
                Chunk(text, id=f"p{at}", metadata={"even": at % 2 == 0})
                for at, text in enumerate(CORPORA[2])
            ]
        )
        asked = [QueryText("alpha theta"), QueryText("beta zeta", weight=0.5)]
        options = SearchOptions(explain=True, **search)
        for query in ("alpha theta", asked):
            hits = index.search(query, 4, filter={"even": True}, options=options)
            assert hits
            for hit in hits:
                assert sum(part.score for part in hit.parts) == pytest.approx(hit.score, abs=1e-4)
                check_lines(hit)


def test_a_rewritten_question_is_explained_by_the_text_of_each_arm():
    with opened(PASSAGES) as index:
        asked = [QueryText("zeta", arms=("dense",)), QueryText("zeta gamma", arms=("bm25",))]
        explanation = explain_passage(index, asked, "p2")
        check_sums(explanation)
        (bm25,) = (one for one in explanation.arms if one.arm == "bm25")
        assert [term.term for term in bm25.terms] == ["gamma"]
        assert explanation.query == "zeta"


@pytest.mark.parametrize(
    ("options", "said", "kept"),
    [
        ({"k": 8}, "the reranker puts it from 1 to 8 of 8", True),
        ({"k": 3}, "the reranker puts it from 1 to 8, and 3 are kept", False),
        (
            {"k": 8, "ranking": RankingOptions(threshold=1.0)},
            "the reranker puts it from 1 to 8, and scores it 0, below the threshold of 1",
            False,
        ),
        ({"k": 8, "ranking": RankingOptions(top_n=2)}, "from 1 to 8, and 2 are kept", False),
    ],
)
def test_what_a_reranker_cuts_off(options, said, kept):
    class Backwards:
        def score(self, _query, passages):
            return [float(at) for at in range(len(passages))]

    with opened(PASSAGES) as index:
        explanation = explain_passage(
            index, "gamma", "p2", ExplainOptions(reranker=Backwards(), **options)
        )
        assert said in explanation.reason
        assert explanation.reranking.kept is kept
        assert (explanation.rank is not None) is kept


def test_what_a_reranker_does_not_read():
    class Same:
        def score(self, _query, passages):
            return [0.0 for _ in passages]

    with opened(PASSAGES) as index:
        last = index.search("gamma", 8)[-1].id
        options = ExplainOptions(k=2, reranker=Same(), candidates=3)
        explanation = explain_passage(index, "gamma", last, options)
        assert explanation.reason == "the reranker reads the first 3, and it is number 8"
        assert (explanation.rank, explanation.reranking) == (None, None)
