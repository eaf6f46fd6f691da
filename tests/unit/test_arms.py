"""The table of arms: what it says of each, and that a new row is all that a new arm needs."""

import ast
import sys
from dataclasses import replace

import pytest

from trivec import Chunk, HybridIndex, IndexConfig, QueryText, SearchOptions
from trivec.arms import (
    ARMS,
    LEXICAL,
    SEMANTIC,
    Arm,
    arm_named,
    arm_names,
    heads_of,
    vectors_by_arm,
)
from trivec.errors import CollectionError, InputError
from trivec.index.opening import require_fitting
from trivec.testing import FakeEncoder, MemoryStore
from trivec.types import EncoderInfo, Encoding

INFO = EncoderInfo("model", "weights", dense_dim=64, colbert_dim=16, heads=("dense", "sparse"))
WORDS = Arm(name="words", kind="sparse", head="sparse", lexical=True, idf=True, linear_weight=0.5)
CHUNKS = [
    Chunk("Bees turn nectar into honey.", id="bees"),
    Chunk("The cat sleeps on the sofa.", id="cat"),
    Chunk("Honey cake is baked with honey.", id="cake"),
]


@pytest.fixture
def five_arms(monkeypatch):
    """The table with one row more, wherever it was imported."""
    table = ARMS  # this module's own is replaced too
    for module in list(sys.modules.values()):
        if vars(module).get("ARMS") is table:
            monkeypatch.setattr(module, "ARMS", (*table, WORDS))


def test_every_arm_matches_words_or_meaning_and_names_are_unique():
    assert arm_names() == ("dense", "sparse", "bm25", "colbert")
    assert sorted(LEXICAL + SEMANTIC) == sorted(arm_names())
    assert LEXICAL == ("sparse", "bm25")


def test_an_unknown_arm_is_named_with_what_there_is():
    with pytest.raises(InputError, match="arm='bm42'; allowed: dense, sparse, bm25, colbert"):
        arm_named("bm42")


def test_an_arm_is_made_by_an_encoder_that_has_its_head():
    assert [arm.name for arm in ARMS if arm.is_made_by(INFO)] == ["dense", "sparse", "bm25"]
    assert heads_of(["bm25", "colbert", "dense"]) == ("dense", "colbert")
    assert [arm.width(INFO) for arm in ARMS] == [64, None, None, 16]


def test_empty_vectors_have_no_arm():
    encoded = FakeEncoder().encode_queries(["honey"])[0]
    assert list(vectors_by_arm(encoded)) == ["dense", "sparse", "colbert"]
    analyzed = encoded.sparse
    assert list(vectors_by_arm(Encoding(sparse=analyzed), analyzed)) == ["sparse", "bm25"]
    assert vectors_by_arm(replace(encoded, dense=None, sparse=analyzed.top(0), colbert=None)) == {}


def test_one_row_more_is_stored_searched_explained_and_weighed(five_arms):
    with HybridIndex.open(MemoryStore(), FakeEncoder()) as index:
        assert list(index.schema.vectors) == ["dense", "sparse", "bm25", "words"]
        assert index.schema.vectors["words"].idf
        index.add(CHUNKS)
        hits = index.search("honey cake", k=3, options=SearchOptions(explain=True))
        assert hits[0].id == "cake"
        assert hits[0].arms["words"] != pytest.approx(hits[0].arms["sparse"])  # for its IDF
        assert {match.arm for match in hits[0].matches} == {"sparse", "bm25", "words"}
        shared = [match.score for match in hits[0].matches if match.arm == "words"]
        assert sum(shared) == pytest.approx(hits[0].arms["words"], rel=1e-4)
        options = SearchOptions(arms=("dense", "words"), fusion="linear", explain=True)
        hit = index.search("honey cake", k=1, options=options)[0]
        assert hit.score == pytest.approx(hit.arms["dense"] + 0.5 * hit.arms["words"], rel=1e-5)
        alone = QueryText("honey cake", arms=("words",))
        assert [hit.id for hit in index.search(alone, k=9)] == ["cake", "bees"]


def test_one_row_more_is_added_to_an_index_in_place(five_arms):
    before = IndexConfig(arms=("dense", "bm25"))
    with HybridIndex.open(MemoryStore(), FakeEncoder(), config=before) as index:
        index.add(CHUNKS)
        assert index.add_arm("words") == 3
        options = SearchOptions(arms=("words",))
        assert [hit.id for hit in index.search("honey cake", options=options)] == ["cake", "bees"]


def test_an_arm_of_a_later_version_is_refused_not_left_empty(five_arms, monkeypatch):
    store, encoder = MemoryStore(), FakeEncoder()
    HybridIndex.open(store, encoder)
    schema = store.schema
    monkeypatch.undo()
    with pytest.raises(CollectionError, match=r"stores the arms \['words'\], this trivec knows"):
        require_fitting(schema, encoder, IndexConfig(), "the store")


def test_the_table_alone_names_bm25(repository):
    """No head, kind or output has this name: where it stands, an arm is meant."""
    core = repository / "src" / "trivec"
    adapters = repository / "integrations"
    naming = [
        str(path.relative_to(repository))
        for folder in (core, adapters)
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value == "bm25"
    ]
    assert naming == ["src/trivec/arms.py"]
