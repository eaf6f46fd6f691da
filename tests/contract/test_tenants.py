"""What one tenant can learn of another: nothing that the index returns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trivec import Chunk, HybridIndex, IndexConfig, SearchOptions
from trivec.index import tenant_words
from trivec.index.hybrid import binding_of
from trivec.testing import FakeEncoder, MemoryStore

ARMS = IndexConfig(arms=("dense", "sparse", "bm25"))
OWN = [
    Chunk("the cat sat on the mat", id="cat", source="a.md"),
    Chunk("green tea and xylophone music", id="tea", source="a.md"),
    Chunk("the dog ate the bone", id="dog", source="b.md"),
]
OTHERS = [Chunk(f"a xylophone and a zither, number {n}", id=str(n)) for n in range(8)]
QUERIES = ["xylophone", "the cat and the zither", "bone tea"]


@pytest.fixture
def encoder():
    return FakeEncoder()


def two_tenants(location, encoder, config=ARMS):
    red = HybridIndex.open(**location, encoder=encoder, config=config, tenant="red")
    red.add(OWN)
    return red, HybridIndex(replace(binding_of(red), tenant="blue"), config)


def answers(index, **options):
    """Return all that searches say, by id: equal scores come in any order."""
    wanted = SearchOptions(explain=True, **options)
    return [
        {
            hit.id: (
                rounded([hit.score]),
                rounded(hit.arms.values()),
                rounded(value for part in hit.parts for value in (part.weight, part.score)),
                {match.term: round(match.score, 5) for match in hit.matches},
            )
            for hit in hits
        }
        for hits in index.search_batch(QUERIES, k=5, options=wanted)
    ]


def rounded(values):
    return [round(value, 5) for value in values]


@pytest.mark.parametrize(
    "options", [{}, {"arms": "bm25"}, {"fusion": "linear"}, {"fusion": "dbsf"}], ids=str
)
def test_no_score_tells_which_words_another_tenant_has(location, encoder, options):
    red, blue = two_tenants(location, encoder)
    before = answers(red, **options)
    blue.add(OTHERS)
    assert answers(red, **options) == before
    blue.delete(ids=["1", "2"])
    assert answers(red, **options) == before


def test_counting_words_across_tenants_is_a_choice(location, encoder):
    red, blue = two_tenants(location, encoder, replace(ARMS, idf_across_tenants=True))
    before = answers(red, arms="bm25")
    blue.add(OTHERS)
    assert answers(red, arms="bm25") != before


def test_a_rare_word_of_ones_own_weighs_more(location, encoder):
    red, _ = two_tenants(location, encoder)
    [hit] = red.search("the bone", k=1, options=SearchOptions(arms="bm25", explain=True))
    assert hit.id == "dog"
    assert [match.term for match in hit.matches] == ["bone", "the"]
    assert sum(match.score for match in hit.matches) == pytest.approx(hit.score, rel=1e-5)


def test_alone_a_tenant_gets_the_scores_of_an_index_without_tenants(location, encoder):
    """All passages are in the sample: the IDF is the engine's own."""
    red, _ = two_tenants(location, encoder)
    with HybridIndex.open(MemoryStore(), encoder, config=ARMS) as plain:
        plain.add(OWN)
        for query in QUERIES:
            expected = [(hit.id, hit.score) for hit in plain.search(query, k=3, arms="bm25")]
            scores = [(hit.id, hit.score) for hit in red.search(query, k=3, arms="bm25")]
            assert dict(scores) == pytest.approx(dict(expected), rel=1e-4)


def test_an_arm_that_is_added_later_keeps_the_tenants_apart(location, encoder):
    dense = IndexConfig(arms=("dense",))
    red, blue = two_tenants(location, encoder, dense)
    red.add_arm("bm25")
    before = answers(red, arms="bm25")
    blue = HybridIndex(replace(binding_of(red), tenant="blue"), dense)
    blue.add(OTHERS)
    assert answers(red, arms="bm25") == before


def test_a_whole_sample_is_read_once(location, encoder, monkeypatch):
    monkeypatch.setattr(tenant_words, "SAMPLE", 2)
    red, blue = two_tenants(location, encoder)
    store, reads = binding_of(red).store, []
    scroll = store.scroll
    monkeypatch.setattr(
        store, "scroll", lambda **asked: reads.append(asked["limit"]) or scroll(**asked)
    )
    for _ in range(3):
        red.search("cat", k=1)
    assert reads == [2]
    blue.search("cat", k=1)  # which has none: read again each time
    blue.search("cat", k=1)
    assert len(reads) == 3


def test_an_id_and_a_source_of_another_tenant_lead_nowhere(location, encoder):
    red, blue = two_tenants(location, encoder)
    mine = [red.point_id(str(chunk.id), chunk.source) for chunk in OWN]
    theirs = [blue.point_id(str(chunk.id), chunk.source) for chunk in OWN]
    assert not set(mine) & set(theirs)
    for names in ([str(chunk.id) for chunk in OWN], [str(point) for point in mine]):
        assert blue.get(names) == blue.get(names, source="a.md") == []
        assert blue.delete(ids=names) == 0
    report = blue.add([replace(chunk, text="blue") for chunk in OWN], replace_sources=True)
    assert (report.added, report.updated, report.skipped, report.deleted) == (3, 0, 0, 0)
    assert [chunk.text for chunk in red.get(["cat", "dog"])] == [OWN[0].text, OWN[2].text]
