"""From options and vectors to the requests of a search, value by value."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trivec import QueryText, SearchOptions
from trivec.errors import InputError, InvalidVectorError
from trivec.fusion import Dbsf, Linear, Rrf
from trivec.index.planning import (
    EncodedText,
    SearchPlan,
    as_texts,
    choose_arms,
    lacks_encoding,
    plan_search,
    require_vectors,
    required_arms,
    rows_of,
)
from trivec.query import Prefetch, StoreQuery
from trivec.schema import Schema, VectorSpec
from trivec.types import SparseVector

DENSE = np.array([0.6, 0.8], dtype=np.float32)
SPARSE = SparseVector.from_mapping({3: 1.0, 9: 0.5})
ROWS = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)
EMPTY = SparseVector.from_mapping({})
SCHEMA = Schema(
    {
        "dense": VectorSpec("d", "dense", 2),
        "sparse": VectorSpec("s", "sparse"),
        "bm25": VectorSpec("b", "sparse", idf=True),
        "colbert": VectorSpec("c", "multivector", 2),
    }
)
TEXT = EncodedText(QueryText("q"), {"dense": DENSE, "sparse": SPARSE, "colbert": ROWS})
FILTER = object()  # is passed on, never looked at


def plan(options, *, texts=(TEXT,), arms=None, k=10, filter=None, schema=SCHEMA):
    chosen = choose_arms(options, schema) if arms is None else arms
    return plan_search(texts, chosen, options, schema, k=k, filter=filter)


def searched(options, **arguments):
    return plan(options, **arguments).query


# Texts


@pytest.mark.parametrize(
    ("query", "texts"),
    [
        ("a", (QueryText("a"),)),
        (QueryText("a", weight=2.0), (QueryText("a", weight=2.0),)),
        ([QueryText("a"), QueryText("b")], (QueryText("a"), QueryText("b"))),
        (QueryText(" ", vectors={"dense": DENSE}), (QueryText(" ", vectors={"dense": DENSE}),)),
    ],
    ids=["text", "one", "several", "vectors alone"],
)
def test_the_texts_of_a_query(query, texts):
    assert [text.text for text in as_texts(query)] == [text.text for text in texts]
    assert [text.weight for text in as_texts(query)] == [text.weight for text in texts]


def test_no_query_is_named():
    with pytest.raises(InputError, match=r"^query=\[\]; give a text, or QueryText objects"):
        as_texts([])


@pytest.mark.parametrize("query", ["", " \n", [QueryText("a"), QueryText(" ")]])
def test_a_blank_query_is_refused(query):
    with pytest.raises(InputError, match=r"^the query is blank; give it at least one word$"):
        as_texts(query)


# Arms


@pytest.mark.parametrize(
    ("options", "arms"),
    [
        (SearchOptions(), {"dense": 1.0, "sparse": 1.0, "bm25": 1.0}),
        (SearchOptions(fusion="linear"), {"dense": 1.0, "sparse": 0.3, "bm25": 0.03}),
        (SearchOptions(arms="colbert"), {"colbert": 1.0}),
        (SearchOptions(arms=["bm25", "dense"]), {"bm25": 1.0, "dense": 1.0}),
        (SearchOptions(arms={"sparse": 2.0, "dense": 0}), {"sparse": 2.0}),
        (
            SearchOptions(arms={"sparse": 0.5, "dense": 1}, fusion="rrf"),
            {"sparse": 0.5, "dense": 1},
        ),
    ],
    ids=["default", "linear", "one", "named", "weighed", "rrf"],
)
def test_the_arms_of_a_search_and_their_weights(options, arms):
    chosen = choose_arms(options, SCHEMA)
    assert chosen == arms
    assert list(chosen) == list(arms)


DENSE_ALONE = Schema({"dense": SCHEMA.vectors["dense"]})


@pytest.mark.parametrize(
    ("options", "unknown"),
    [
        (SearchOptions(arms=["sparse", "bm25"]), r"\['bm25', 'sparse'\]"),
        (SearchOptions(colbert="fuse"), r"\['colbert'\]"),
        (SearchOptions(thresholds={"sparse": 1.0}), r"\['sparse'\]"),
    ],
    ids=["arms", "colbert", "thresholds"],
)
def test_an_arm_that_the_collection_lacks_is_named(options, unknown):
    message = (
        rf"^arms {unknown} are not in this collection, which has \['dense'\]; "
        r"leave them out, or index with IndexConfig\(arms=\.\.\.\)$"
    )
    with pytest.raises(InputError, match=message):
        choose_arms(options, DENSE_ALONE)


def test_mmr_needs_the_dense_arm():
    sparse = Schema({"sparse": SCHEMA.vectors["sparse"]})
    with pytest.raises(InputError, match=r"^arms \['dense'\] are not in this collection"):
        choose_arms(SearchOptions(arms="sparse", mmr_lambda=0.5), sparse)


def test_a_weight_that_is_no_number_is_refused():
    with pytest.raises(InputError, match=r"^arms=\{'dense': nan\}; allowed: text, a dict of text"):
        SearchOptions(arms={"dense": float("nan")})


def test_a_weight_below_0_is_refused():
    options = SearchOptions(arms={"dense": -0.1, "sparse": 1})
    with pytest.raises(InputError, match=r"^weights \{'dense': .*\}; they must be 0 or more$"):
        choose_arms(options, SCHEMA)


def test_without_an_arm_nothing_is_searched():
    message = r"^no arm is left to search; choose from \['bm25', 'colbert', 'dense', 'sparse'\]$"
    with pytest.raises(InputError, match=message):
        choose_arms(SearchOptions(arms={"dense": 0}), SCHEMA)


def test_rescoring_and_mmr_need_vectors_of_their_own():
    assert required_arms(["sparse"], SearchOptions()) == ["sparse"]
    for mode in ("rescore", "fuse"):
        assert required_arms(["sparse"], SearchOptions(colbert=mode)) == ["sparse", "colbert"]
    assert required_arms(["sparse"], SearchOptions(mmr_lambda=0.0)) == ["sparse", "dense"]
    both = SearchOptions(colbert="fuse", mmr_lambda=0.5)
    assert required_arms(["colbert", "dense"], both) == ["colbert", "dense"]


# Vectors of the caller's own


def test_the_encoder_reads_what_the_caller_gave_no_vector_for():
    given = QueryText("a", vectors={"dense": DENSE})
    assert not lacks_encoding(given, ["dense"])
    assert not lacks_encoding(given, ["dense", "bm25"])  # BM25 is no head of an encoder
    assert lacks_encoding(given, ["dense", "sparse"])
    assert lacks_encoding(QueryText("a"), ["dense"])
    assert not lacks_encoding(QueryText(" ", vectors={"dense": DENSE}), ["dense", "sparse"])


def test_a_callers_vectors_are_checked_and_empty_ones_left_out():
    text = QueryText("a", vectors={"dense": DENSE, "sparse": EMPTY})
    assert require_vectors(text, SCHEMA) == {"dense": DENSE}
    with pytest.raises(InputError, match=r"^a vector for the arm 'colbert' was given; "):
        require_vectors(QueryText("a", vectors={"colbert": ROWS}), DENSE_ALONE)
    with pytest.raises(InvalidVectorError, match=r"^the query's dense vector "):
        require_vectors(QueryText("a", vectors={"dense": np.ones(3, np.float32)}), SCHEMA)


# The request


def test_one_arm_is_a_plain_search():
    options = SearchOptions(arms=["dense"], thresholds={"dense": 0.25}, offset=3)
    assert plan(options, filter=FILTER) == SearchPlan(
        StoreQuery((Prefetch("d", DENSE, 100, 0.25),), 10, offset=3, filter=FILTER), 1.0
    )


@pytest.mark.parametrize(
    ("fusion", "expected"),
    [
        ("rrf", Rrf(7, (1.0, 1.0))),
        ("dbsf", Dbsf()),
        ("linear", Linear((1.0, 0.3))),
    ],
)
def test_several_arms_are_fused(fusion, expected):
    options = SearchOptions(arms=["dense", "sparse"], fusion=fusion, rrf_k=7)
    assert plan(options) == SearchPlan(
        StoreQuery((Prefetch("d", DENSE, 100), Prefetch("s", SPARSE, 100)), 10, expected), 1.0
    )


@pytest.mark.parametrize(
    ("k", "offset", "prefetch_k", "depth"),
    [(10, 0, 100, 100), (10, 0, 3, 10), (10, 5, 3, 15), (0, 5, 3, 5), (1, 1, 1, 2)],
)
def test_an_arm_gives_at_least_the_candidates_of_the_page(k, offset, prefetch_k, depth):
    options = SearchOptions(
        arms=["dense", "sparse"], fusion="dbsf", prefetch_k=prefetch_k, offset=offset
    )
    query = searched(options, k=k)
    assert [prefetch.limit for prefetch in query.prefetches] == [depth, depth]
    assert (query.limit, query.offset) == (k, offset)


@pytest.mark.parametrize(
    ("candidates", "k", "offset", "limit"), [(50, 10, 5, 50), (12, 10, 5, 15), (15, 10, 5, 15)]
)
def test_mmr_chooses_from_all_its_candidates_and_pages_afterwards(candidates, k, offset, limit):
    options = SearchOptions(
        arms=["sparse"], mmr_lambda=0.5, mmr_candidates=candidates, offset=offset, prefetch_k=1
    )
    query = searched(options, k=k)
    assert (query.limit, query.offset, query.with_vectors) == (limit, 0, ("d",))
    assert [prefetch.limit for prefetch in query.prefetches] == [limit]


def test_rescoring_orders_the_candidates_by_the_mean_over_the_rows():
    plan_ = plan(SearchOptions(arms=["dense", "sparse"], colbert="rescore"))
    assert plan_.query.rescore == ("c", ROWS)
    assert plan_.query.fusion is None
    assert [prefetch.using for prefetch in plan_.query.prefetches] == ["d", "s"]
    assert plan_.score_scale == 3.0


@pytest.mark.parametrize(
    ("fusion", "expected"),
    [("dbsf", Dbsf()), ("linear", Linear((1.0, 1 / 3)))],
)
def test_colbert_is_fused_over_the_candidates_of_the_others(fusion, expected):
    plan_ = plan(SearchOptions(arms=["dense"], colbert="fuse", fusion=fusion))
    over_candidates = Prefetch("c", ROWS, 100, over_candidates=True)
    assert plan_.query.prefetches == (Prefetch("d", DENSE, 100), over_candidates)
    assert plan_ == SearchPlan(replace(plan_.query, fusion=expected), 1.0)


def test_an_arm_of_its_own_is_not_fused_again():
    query = searched(SearchOptions(arms=["dense", "colbert"], colbert="fuse", fusion="dbsf"))
    assert [prefetch.over_candidates for prefetch in query.prefetches] == [False, False]


def test_maxsim_alone_is_a_mean_and_so_is_its_threshold():
    plan_ = plan(SearchOptions(arms=["colbert"], thresholds={"colbert": 0.5}))
    assert plan_ == SearchPlan(StoreQuery((Prefetch("c", ROWS, 100, 1.5),), 10), 3.0)


def test_every_text_searches_its_arms_with_its_weight():
    other = EncodedText(
        QueryText("r", arms=("sparse",), weight=2.0), {"dense": DENSE, "sparse": SPARSE}
    )
    options = SearchOptions(arms={"dense": 1.0, "sparse": 0.5}, fusion="rrf", rrf_k=3)
    query = searched(options, texts=(TEXT, other))
    assert [prefetch.using for prefetch in query.prefetches] == ["d", "s", "s"]
    assert query.fusion == Rrf(3, (1.0, 0.5, 1.0))


def test_an_arm_without_a_vector_is_left_out():
    """A text that no analyser finds a word in leaves the arms after it as they are."""
    query = searched(SearchOptions(arms=["bm25", "dense", "sparse"], fusion="dbsf"))
    assert [prefetch.using for prefetch in query.prefetches] == ["d", "s"]
    nothing = EncodedText(QueryText("?"), {})
    assert plan(SearchOptions(), texts=(nothing,)) is None
    assert [source.arm for source in plan(SearchOptions(), texts=(nothing, TEXT)).lists] == [
        "dense",
        "sparse",
    ]


def test_a_fusion_without_weights_takes_none():
    options = SearchOptions(arms={"dense": 2.0, "sparse": 2.0}, fusion="dbsf")
    assert searched(options).fusion == Dbsf()  # all the same, which changes nothing
    message = (
        r"^fusion='dbsf' takes no weights; "
        r"use fusion='adaptive' or fusion='rrf' or fusion='linear'$"
    )
    with pytest.raises(InputError, match=message):
        plan(SearchOptions(arms={"dense": 2.0, "sparse": 1.0}, fusion="dbsf"))
    # two texts of one arm count as two lists
    heavy = EncodedText(QueryText("q", weight=3.0), TEXT.vectors)
    with pytest.raises(InputError, match="takes no weights"):
        plan(SearchOptions(arms=["dense"], fusion="dbsf"), texts=(TEXT, heavy))


def test_adaptive_fusion_asks_for_every_list_and_the_evidence_of_the_lexical_ones():
    planned = plan(SearchOptions(prefetch_k=20, offset=2), filter=FILTER)
    dense, sparse = Prefetch("d", DENSE, 20), Prefetch("s", SPARSE, 20)
    assert planned.requests == [
        StoreQuery((dense,), 12, filter=FILTER),
        StoreQuery((sparse,), 12, filter=FILTER, with_vectors=("s",), evidence=3),
    ]
    assert [request.depth for request in planned.requests] == [20, 20]


def test_adaptive_fusion_scores_the_candidates_of_the_others_by_colbert():
    planned = plan(SearchOptions(colbert="fuse"))
    plain = (Prefetch("d", DENSE, 100), Prefetch("s", SPARSE, 100))
    assert planned.requests[2] == StoreQuery(plain, 10, rescore=("c", ROWS))


def test_one_arm_or_rescoring_is_not_weighed():
    assert isinstance(plan(SearchOptions(arms=["sparse"])), SearchPlan)
    assert isinstance(plan(SearchOptions(colbert="rescore")), SearchPlan)


def test_scores_are_divided_by_the_rows_of_maxsim_alone():
    assert [rows_of(vector) for vector in (DENSE, SPARSE, ROWS)] == [1, 1, 3]
