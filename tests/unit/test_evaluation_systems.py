"""A system is one line of text, and the line is the system."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec import HybridIndex, IndexConfig, SearchOptions
from trivec.errors import InputError
from trivec.evaluation import System, default_systems
from trivec.fusion import FUSIONS
from trivec.testing import FakeEncoder, MemoryStore

ARMS = ("dense", "sparse", "bm25", "colbert")


@st.composite
def systems(draw):
    names = draw(st.lists(st.sampled_from(ARMS), unique=True, min_size=1))
    weights = st.integers(1, 40).map(lambda number: number / 8)
    arms = draw(
        st.one_of(
            st.none(),
            st.just(tuple(names)),
            st.fixed_dictionaries(dict.fromkeys(names, weights)),
        )
    )
    search = SearchOptions(
        arms=arms,
        fusion=draw(st.sampled_from(list(FUSIONS))),
        rrf_k=draw(st.integers(1, 99)),
        prefetch_k=draw(st.integers(1, 999)),
        colbert=draw(st.sampled_from([None, "rescore", "fuse"])),
        thresholds=draw(st.dictionaries(st.sampled_from(ARMS), weights)),
    )
    reranker = draw(st.sampled_from([None, "mini", "BAAI/bge-reranker-v2-m3"]))
    more = {}
    if reranker:
        more = {
            "candidates": draw(st.integers(1, 99)),
            "retrieval_weight": draw(st.none() | weights),
        }
    return System(
        search=search,
        rewriting=draw(st.sampled_from([None, "corpus", "chat"])),
        questions=draw(st.booleans()),
        reranker=reranker,
        **more,
    )


@given(systems())
def test_what_is_written_is_read(system):
    assert System.from_text(str(system)) == system


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("dense", "dense"),
        ("hybrid", f"hybrid, {SearchOptions().fusion}"),
        ("dense + bm25,rrf , rrf_k = 61", "dense+bm25, rrf, rrf_k=61"),
        ("dense:1+bm25:0.5, linear", "dense:1+bm25:0.5, linear"),
        ("dense>0.4", "dense, dense>0.4"),
    ],
)
def test_lines_in_their_plain_form(text, written):
    text = text if text != "dense>0.4" else "dense, dense>0.4"
    assert str(System.from_text(text)) == written


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "arm=''"),
        ("dense+words", "arm='words'"),
        ("dense, best", "'best' of the system 'dense, best'; allowed: "),
        ("dense, rrf_k=many", "'many' of the system"),
        ("dense, colbert=often", "colbert='often'"),
        ("dense, rewrite=luck", "rewriting='luck'"),
        ("dense, rerank=mini, weight=-1", "retrieval_weight"),
    ],
)
def test_what_is_no_system(text, said):
    with pytest.raises(InputError, match=said):
        System.from_text(text)


def test_mini_is_mixed_as_it_was_measured():
    assert System.from_text("dense, rerank=mini").weight_of_retrieval == 0.75
    assert System.from_text("dense, rerank=mini, weight=0").weight_of_retrieval == 0
    assert System.from_text("dense, rerank=other").weight_of_retrieval == 0


def test_the_default_systems_are_every_arm_and_every_hybrid():
    config = IndexConfig(arms=ARMS)
    with HybridIndex.open(MemoryStore(), FakeEncoder(), config=config) as index:
        names = [str(system) for system in default_systems(index.schema, reranker="mini")]
    default = SearchOptions().fusion
    assert names[:5] == [*ARMS, f"hybrid, {default}"]
    assert {f"hybrid, {name}" for name in FUSIONS} <= set(names)
    assert names[-4:] == [
        f"hybrid, {default}, colbert=rescore",
        f"hybrid, {default}, colbert=fuse",
        f"hybrid, {default}, rewrite=corpus",
        f"hybrid, {default}, rerank=mini",
    ]


def test_an_index_of_one_arm_has_no_hybrids():
    config = IndexConfig(arms=("bm25",))
    with HybridIndex.open(MemoryStore(), FakeEncoder(), config=config) as index:
        assert list(map(str, default_systems(index.schema))) == ["bm25"]
