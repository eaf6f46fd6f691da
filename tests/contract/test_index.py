"""What an index does, over every kind of store."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from trivec import (
    AddReport,
    AnalyzerConfig,
    Chunk,
    HybridIndex,
    IndexConfig,
    QueryText,
    Refusal,
    SearchOptions,
)
from trivec.errors import (
    CollectionError,
    CollectionNotFoundError,
    FilterError,
    FingerprintMismatchError,
    InputError,
)
from trivec.fusion import FUSIONS
from trivec.index.hybrid import binding_of
from trivec.testing import FakeEncoder, MemoryStore
from trivec.types import ALL_HEADS

ALL_ARMS = IndexConfig(arms=("dense", "sparse", "bm25", "colbert"), batch_size=4)
TEXTS = {
    "cat": "the cat sleeps on the warm sofa",
    "dog": "the dog runs in the green park",
    "car": "a red car drives on the road to town",
    "tea": "green tea is a warm drink from china",
    "zh1": "猫在温暖的沙发上睡觉",
    "zh2": "红色的汽车在公路上行驶",
}
CHUNKS = [
    Chunk(
        text,
        id=name,
        source=f"{name[:2]}.md",
        position=at,
        metadata={"n": at, "lang": "zh" if "zh" in name else "en"},
    )
    for at, (name, text) in enumerate(TEXTS.items())
]


@pytest.fixture
def encoder():
    return FakeEncoder()


@pytest.fixture
def index(location, encoder):
    with HybridIndex.open(**location, encoder=encoder, config=ALL_ARMS) as opened:
        yield opened


@pytest.fixture
def filled(index):
    index.add(CHUNKS)
    return index


def ids(hits):
    return [hit.id for hit in hits]


def test_add_then_find_by_every_arm(filled):
    for arm in ("dense", "sparse", "bm25", "colbert"):
        for name, question in (("cat", "cat on a sofa"), ("zh2", "红色汽车")):
            [hit] = filled.search(question, k=1, options=SearchOptions(arms=[arm]))
            assert hit.id == name, arm
            assert hit.chunk == replace(CHUNKS[list(TEXTS).index(name)])


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("colbert", [None, "rescore", "fuse"])
def test_every_fusion_with_and_without_colbert(filled, fusion, colbert):
    options = SearchOptions(fusion=fusion, colbert=colbert)
    assert ids(filled.search("green tea", k=2, options=options))[0] == "tea"


def test_rescoring_orders_by_mean_max_sim(filled, encoder):
    options = SearchOptions(colbert="rescore")
    hits = filled.search("warm green drink", k=4, options=options)
    [query] = encoder.encode_queries(["warm green drink"])
    for hit in hits:
        [passage] = encoder.encode_documents([hit.chunk.text])
        mean = float((query.colbert @ passage.colbert.T).max(axis=1).mean())
        assert hit.score == pytest.approx(mean, abs=1e-4)


def test_adding_again_changes_nothing_and_encodes_nothing(filled, encoder):
    calls = encoder.calls
    assert filled.add(CHUNKS) == AddReport(skipped=len(CHUNKS))
    assert encoder.calls == calls
    assert filled.count() == len(CHUNKS)


def test_one_forward_for_each_batch_and_one_for_a_search(index, encoder):
    index.add(CHUNKS)
    assert encoder.calls == 2  # 6 chunks, batches of 4
    index.search_batch(["a", ["b", "c"][0], [QueryText("d"), QueryText("e", arms=("sparse",))]])
    assert encoder.calls == 3


def test_changed_text_is_encoded_and_changed_metadata_is_not(filled, encoder):
    calls = encoder.calls
    report = filled.add([replace(CHUNKS[0], metadata={"n": 99})])
    assert (report.updated, encoder.calls) == (1, calls)
    assert filled.get(["cat"])[0].metadata == {"n": 99}
    assert filled.search("cat sofa", k=1)[0].id == "cat"
    calls = encoder.calls
    report = filled.add([replace(CHUNKS[0], text="an aeroplane flies")])
    assert (report.updated, encoder.calls) == (1, calls + 1)
    assert filled.search("aeroplane", k=1)[0].id == "cat"
    assert filled.count() == len(CHUNKS)


def test_the_report_counts_every_chunk(index):
    report = index.add(
        [
            Chunk("one", id="a"),
            Chunk("", id="blank"),
            Chunk(" \n\t", id="spaces"),
            Chunk("two", id="b", metadata={"x": float("nan")}),
            Chunk("one", id="a"),
            Chunk("long " * 20_000, id="long"),
        ]
    )
    assert report.added == 2
    assert report.skipped == 1
    assert [refusal.id for refusal in report.refused] == ["blank", "spaces", "b"]
    assert report.refused[0] == Refusal("blank", "the text is blank")
    assert report.truncated == ("long",)


def test_nothing_to_add(index):
    assert index.add([]) == AddReport()
    assert index.add(iter(())) == AddReport()


def test_the_iterable_is_streamed(index):
    """No more is pulled than one batch beyond those whose writes are under way."""
    pulled = 0

    def stream():
        nonlocal pulled
        for at in range(40):
            pulled += 1
            yield Chunk(f"text number {at}", id=str(at))

    ahead = []
    index.add(stream(), progress=lambda done: ahead.append(pulled - done * (len(ahead) + 1)))
    most = 1 + getattr(index.store, "parallel_writes", 1)
    assert max(ahead) <= most * ALL_ARMS.batch_size


def test_progress_adds_up(index):
    done = []
    index.add(CHUNKS, progress=done.append)
    assert done == [4, 2]


def test_of_one_id_the_first_text_counts_and_the_second_is_refused(index):
    report = index.add([Chunk("first text", id="x"), *CHUNKS, Chunk("second text", id="x")])
    assert (report.added, [refusal.id for refusal in report.refused]) == (7, ["x"])
    assert index.get(["x"])[0].text == "first text"
    assert index.count() == len(CHUNKS) + 1


def test_replacing_a_source_deletes_what_it_no_longer_holds(filled):
    report = filled.add([replace(CHUNKS[4], text="新的")], replace_sources=True)
    assert (report.updated, report.deleted) == (1, 1)  # zh2 was in zh.md too
    assert filled.count() == len(CHUNKS) - 1


def test_what_was_given_before_an_error_is_stored(index):
    def source():
        yield from (Chunk(f"passage {number}", id=str(number)) for number in range(130))
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        index.add(source())
    assert index.count() == 130


def test_a_failing_source_deletes_nothing(filled):
    def broken():
        yield CHUNKS[4]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        filled.add(broken(), replace_sources=True)
    assert filled.count() == len(CHUNKS)


def test_get_keeps_the_order_and_leaves_out_the_unknown(filled):
    assert ids_of(filled.get(["zh1", "nobody", "cat"])) == ["zh1", "cat"]
    assert filled.get([]) == []


def ids_of(chunks):
    return [chunk.id for chunk in chunks]


def test_delete_by_id_source_and_filter(filled):
    assert filled.delete(ids=["cat", "nobody"]) == 1
    assert filled.delete(source="zh.md") == 2
    assert filled.delete(filter={"n": {"gte": 3}}) == 1
    assert sorted(ids_of(filled.chunks())) == ["car", "dog"]
    assert filled.delete(ids=[]) == 0
    with pytest.raises(InputError, match="given nothing"):
        filled.delete()


def test_filters_hold_in_every_arm_and_fusion(filled):
    for fusion in FUSIONS:
        for colbert in (None, "rescore", "fuse"):
            options = SearchOptions(fusion=fusion, colbert=colbert, explain=True)
            hits = filled.search("猫 cat 汽车 car", k=10, filter={"lang": "zh"}, options=options)
            assert sorted(ids(hits)) == ["zh1", "zh2"]
    assert filled.count({"lang": "zh"}) == 2


def test_paging_continues_where_the_last_page_ended(filled):
    whole = ids(filled.search("green warm cat", k=6, options=SearchOptions(fusion="linear")))
    pages = [
        ids(filled.search("green warm cat", k=2, options=SearchOptions(fusion="linear", offset=at)))
        for at in (0, 2, 4, 6)
    ]
    assert [*pages[0], *pages[1], *pages[2]] == whole
    assert pages[3] == []


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize(
    ("k", "offset"), [(6, 0), (4, 2), (1, 5)], ids=["deep", "deep and paged", "paged"]
)
def test_a_page_beyond_prefetch_k_is_full(filled, fusion, k, offset):
    """An arm that gave ``prefetch_k`` candidates alone would leave the page short."""
    options = SearchOptions(arms=["dense"], prefetch_k=1, fusion=fusion, offset=offset)
    assert len(filled.search("cat", k=k, options=options)) == k
    two_arms = replace(options, arms=["dense", "bm25"], offset=offset)
    assert len(filled.search("cat", k=k, options=two_arms)) == k


def test_k_may_exceed_the_collection(filled):
    assert len(filled.search("cat", k=1000, options=SearchOptions(arms=["dense"]))) == len(CHUNKS)
    assert filled.search("cat", k=0) == []


def test_an_empty_collection_has_no_hits(index):
    assert index.search("anything", k=3, options=SearchOptions(explain=True)) == []
    assert index.search_batch([]) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"query": ""}, "blank"),
        ({"query": " \t\n"}, "blank"),
        ({"query": []}, "at least one"),
        ({"query": "x", "k": -1}, "k=-1"),
        ({"query": "x", "k": 2.5}, "k=2.5"),
        ({"query": "x", "options": SearchOptions(arms=["splade"])}, r"\['splade'\] are not in"),
        ({"query": "x", "options": SearchOptions(arms={"dense": -1})}, "0 or more"),
        ({"query": "x", "options": SearchOptions(arms={"dense": 0})}, "no arm is left"),
        ({"query": "x", "options": SearchOptions(arms=[])}, "no arm is left"),
        ({"query": "x", "options": SearchOptions(thresholds={"nope": 1})}, r"\['nope'\]"),
        (
            {"query": "x", "options": SearchOptions(arms={"dense": 2, "bm25": 1}, fusion="dbsf")},
            "takes no weights",
        ),
    ],
)
def test_bad_searches_say_what_is_wrong(filled, arguments, message):
    with pytest.raises(InputError, match=message):
        filled.search(**arguments)


@pytest.mark.parametrize(
    "options",
    [
        {"fusion": "sum"},
        {"colbert": "yes"},
        {"prefetch_k": 0},
        {"offset": -1},
        {"mmr_lambda": 2},
        {"rrf_k": 0},
    ],
)
def test_bad_options_say_what_is_allowed(options):
    [(name, value)] = options.items()
    with pytest.raises(InputError, match=f"{name}={value!r}"):
        SearchOptions(**options)


def test_an_unknown_filter_operator_raises(filled):
    with pytest.raises(FilterError, match="beginswith"):
        filled.search("cat", filter={"lang": {"beginswith": "z"}})


def test_thresholds_are_on_one_arm_before_fusion(filled):
    scores = {
        hit.id: hit.score
        for hit in filled.search("green tea", k=9, options=SearchOptions(arms=["dense"]))
    }
    least = sorted(scores.values())[-2]
    options = SearchOptions(arms=["dense"], thresholds={"dense": least - 1e-4})
    assert len(filled.search("green tea", k=9, options=options)) == 2
    options = SearchOptions(arms=["colbert"], thresholds={"colbert": 0.99})
    assert ids(filled.search(TEXTS["tea"], k=9, options=options)) == ["tea"]


def test_weights_move_the_order(index):
    index.add([Chunk("alpha beta", id="1"), Chunk("beta gamma", id="2")])
    for favourite, other in (("alpha", "gamma"), ("gamma", "alpha")):
        texts = [QueryText(favourite, weight=5.0), QueryText(other, weight=0.1)]
        options = SearchOptions(arms=["sparse"], fusion="linear")
        best = index.search(texts, k=1, options=options)[0]
        assert favourite in best.chunk.text


def test_several_texts_may_use_arms_of_their_own(filled):
    texts = [QueryText("公路", arms=("bm25",)), QueryText("green park", arms=("sparse",))]
    options = SearchOptions(arms=["bm25", "sparse"], fusion="rrf")
    assert set(ids(filled.search(texts, k=2, options=options))) == {"zh2", "dog"}


def test_mmr_avoids_the_double(index):
    index.add(
        [
            Chunk("green tea from china", id="1"),
            Chunk("green tea from china indeed", id="2"),
            Chunk("green lawn", id="3"),
        ]
    )
    relevant = SearchOptions(arms=["dense"], mmr_lambda=1.0)
    diverse = SearchOptions(arms=["dense"], mmr_lambda=0.3)
    assert ids(index.search("green tea from china", k=2, options=relevant)) == ["1", "2"]
    assert ids(index.search("green tea from china", k=2, options=diverse)) == ["1", "3"]
    paged = SearchOptions(arms=["dense"], mmr_lambda=0.3, offset=1)
    assert ids(index.search("green tea from china", k=1, options=paged)) == ["3"]


def test_explain_gives_the_exact_score_of_every_arm(filled, encoder):
    question = "a warm green drink"
    options = SearchOptions(explain=True, colbert="rescore")
    hits = filled.search(question, k=4, options=options)
    [query] = encoder.encode_queries([question])
    for hit in hits:
        [passage] = encoder.encode_documents([hit.chunk.text])
        assert hit.arms["dense"] == pytest.approx(float(query.dense @ passage.dense), abs=1e-4)
        assert hit.arms["colbert"] == pytest.approx(
            float((query.colbert @ passage.colbert.T).max(axis=1).mean()), abs=1e-4
        )
        assert hit.arms.get("sparse", 0) == pytest.approx(
            query.sparse.dot(passage.sparse), abs=1e-4
        )
        for arm in ("sparse", "bm25"):
            parts = sum(match.score for match in hit.matches if match.arm == arm)
            assert hit.arms.get(arm, 0) == pytest.approx(parts, abs=1e-3)
    tea = next(hit for hit in hits if hit.id == "tea")
    assert {match.term.strip() for match in tea.matches if match.arm == "bm25"} >= {"warm", "green"}


def test_explained_scores_do_not_depend_on_the_filter(filled):
    """IDF belongs to the collection, not to the handful of points that are explained."""
    options = SearchOptions(arms=["bm25"], explain=True)
    for hit in filled.search("green warm", k=3, options=options):
        assert hit.arms["bm25"] == pytest.approx(hit.score, abs=1e-4)


def test_copying_moves_vectors_without_the_model(filled, encoder, tmp_path):
    calls = encoder.calls
    with HybridIndex.open(tmp_path / "copy", encoder, config=ALL_ARMS) as copy:
        assert filled.copy_to(copy) == len(CHUNKS)
        assert filled.copy_to(copy) == len(CHUNKS)
        assert copy.count() == len(CHUNKS)
        assert encoder.calls == calls
        assert sorted(copy.chunks(), key=lambda c: c.position) == CHUNKS
        options = SearchOptions(fusion="linear", colbert="fuse")
        for question in ("green tea", "红色汽车"):
            here, there = (one.search(question, k=3, options=options) for one in (filled, copy))
            assert ids(here) == ids(there)
            assert [h.score for h in here] == pytest.approx([h.score for h in there], abs=1e-4)


def test_copying_needs_the_same_model_and_arms(filled, tmp_path):
    with (
        HybridIndex.open(tmp_path / "other", FakeEncoder(dim=8)) as other,
        pytest.raises(FingerprintMismatchError),
    ):
        filled.copy_to(other)


def test_another_model_cannot_open_it(location, filled):
    with pytest.raises(FingerprintMismatchError, match="dense_dim: there 64, here 8"):
        reopen(filled, location, FakeEncoder(dim=8))


def reopen(index, location, encoder, **more):
    """Open the same place again; the embedded engine lets only one in."""
    if "collection" not in location and not isinstance(location["location"], MemoryStore):
        index.close()
    return HybridIndex.open(**location, encoder=encoder, **more)


def test_reopening_finds_everything(location, filled, encoder):
    with reopen(filled, location, encoder, create=False) as again:
        assert again.count() == len(CHUNKS)
        assert again.schema == filled.schema
        assert again.search("cat sofa", k=1)[0].id == "cat"


def test_asking_for_an_arm_that_is_not_stored(location, encoder):
    slim = HybridIndex.open(**location, encoder=encoder, config=IndexConfig(arms=("dense",)))
    slim.add(CHUNKS)
    with pytest.raises(InputError, match="colbert"):
        slim.search("x", options=SearchOptions(colbert="rescore"))
    with pytest.raises(CollectionError, match=r"does not store \['bm25', 'colbert', 'sparse'\]"):
        reopen(slim, location, encoder, config=ALL_ARMS)


def test_nothing_is_created_when_that_was_not_asked(location, encoder):
    with pytest.raises(CollectionNotFoundError):
        HybridIndex.open(**location, encoder=encoder, create=False)
    if "collection" not in location and not isinstance(location["location"], MemoryStore):
        assert not location["location"].exists()


@pytest.mark.parametrize(
    "config",
    [
        {"arms": ()},
        {"arms": ("dense", "splade")},
        {"codec": "x"},
        {"batch_size": 0},
        {"colbert_overflow": "x"},
    ],
)
def test_bad_configurations_say_what_is_allowed(config):
    [name] = config
    with pytest.raises(InputError, match=name):
        IndexConfig(**config)


@pytest.mark.parametrize("place", [":memory:", "http://localhost:6333", "https://x.example"])
def test_a_url_is_no_folder(place, encoder):
    with pytest.raises(InputError, match="QdrantClient"):
        HybridIndex.open(place, encoder)


def test_tenants_do_not_see_each_other(location, encoder):
    red = HybridIndex.open(**location, encoder=encoder, config=ALL_ARMS, tenant="red")
    red.add(CHUNKS)
    blue = HybridIndex(replace(red._binding, tenant="blue"), ALL_ARMS)
    blue.add([replace(chunk, text=chunk.text + " blue") for chunk in CHUNKS[:2]])
    assert (red.count(), blue.count()) == (len(CHUNKS), 2)
    assert "blue" not in red.get(["cat"])[0].text
    assert blue.get(["tea"]) == []
    assert {hit.chunk.text for hit in blue.search("cat", k=10)} == {c.text for c in blue.chunks()}
    assert blue.delete(source="te.md") == 0
    assert blue.delete(ids=["cat"]) == 1
    from qdrant_client import models

    everything = models.Filter(
        should=[
            models.FieldCondition(key="trivec.tenant", match=models.MatchValue(value="red")),
            models.FieldCondition(key="trivec.tenant", match=models.MatchValue(value="blue")),
        ]
    )
    assert blue.count(everything) == 1
    assert ids(blue.search("dog", k=9, filter=everything)) == ["dog"]
    assert blue.delete(filter=everything) == 1
    assert red.count() == len(CHUNKS)
    with pytest.raises(CollectionError, match="tenant="):
        reopen(red, location, encoder)


def test_replacing_a_source_leaves_the_other_tenants_points(location, encoder):
    red = HybridIndex.open(**location, encoder=encoder, config=ALL_ARMS, tenant="red")
    blue = HybridIndex(replace(red._binding, tenant="blue"), ALL_ARMS)
    for index in (red, blue):
        index.add(CHUNKS)
    report = blue.add([CHUNKS[4]], replace_sources=True)  # zh2 was in zh.md too
    assert report.deleted == 1
    assert blue.get(["zh2"]) == []
    assert list(red.get(list(TEXTS))) == CHUNKS


class BrokenEncoder(FakeEncoder):
    """Yields what the embedded engine would take without a word."""

    def encode_documents(self, texts, *, heads=ALL_HEADS):
        encodings = super().encode_documents(texts, heads=heads)
        return [self.spoil(text, encoding) for text, encoding in zip(texts, encodings, strict=True)]

    @staticmethod
    def spoil(text, encoding):
        if "nan" in text:
            return replace(encoding, dense=np.full_like(encoding.dense, np.nan))
        if "zero" in text:
            return replace(encoding, dense=np.zeros_like(encoding.dense))
        if "short" in text:
            return replace(encoding, dense=encoding.dense[:3])
        return encoding


def test_bad_vectors_are_refused_and_the_rest_is_stored(location):
    index = HybridIndex.open(**location, encoder=BrokenEncoder(), config=ALL_ARMS)
    texts = ["good", "nan here", "zero here", "short here", "fine"]
    report = index.add([Chunk(text, id=text) for text in texts])
    assert report.added == 2
    assert [
        (r.id, word in r.reason)
        for r, word in zip(report.refused, ("NaN", "zero", "shape"), strict=True)
    ] == [("nan here", True), ("zero here", True), ("short here", True)]
    assert sorted(ids_of(index.chunks())) == ["fine", "good"]


class ManyRows(FakeEncoder):
    """More ColBERT rows than Qdrant takes."""

    def encode_documents(self, texts, *, heads=ALL_HEADS):
        rows = np.ones((1024 * 1024 // 64 + 5, 64), np.float32) / 8
        return [
            replace(encoding, colbert=rows if encoding.colbert is not None else None)
            for encoding in super().encode_documents(texts, heads=heads)
        ]


@pytest.mark.parametrize("overflow", ["pool", "refuse"])
def test_too_many_colbert_rows(location, overflow):
    config = replace(ALL_ARMS, colbert_overflow=overflow)
    index = HybridIndex.open(**location, encoder=ManyRows(), config=config)
    report = index.add([Chunk("very long", id="a")])
    if overflow == "pool":
        assert report.added == 1
    else:
        assert "Qdrant takes 16383" in report.refused[0].reason
        assert index.count() == 0


@pytest.mark.parametrize(
    "text",
    [
        "\ud800 lone",
        "nul \x00 here",
        "🙂👩‍👩‍👧",
        "a" * 2_000_000,
        "。",
        "\u202e right to left",
        "ﷺ" * 50,
    ],
    ids=["surrogate", "nul", "emoji", "2MB", "punctuation", "bidi", "ligature"],
)
def test_strange_texts_are_stored_or_refused_and_the_index_stays_whole(filled, text):
    report = filled.add([Chunk(text, id="strange")])
    assert report.added + len(report.refused) == 1
    assert filled.count() == len(CHUNKS) + report.added
    assert filled.search(text, k=1) is not None
    assert filled.search("cat sofa", k=1)[0].id == "cat"


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
values = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | names
    | st.floats(allow_nan=False, allow_infinity=False, width=64)
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(names, st.tuples(names, st.dictionaries(names, values | st.lists(values)))))
@example({"fifteen digits and .0": ("text", {"v": [4135010173656150.0, 8167999810432340.0]})})
@example({"many digits": ("text", {"v": [0.1 + 0.2, 1e22, 5e-324, 1.7976931348623157e308]})})
def test_ids_texts_and_metadata_come_back_unchanged(index, records):
    chunks = {
        key: Chunk(text, id=key, metadata=metadata)
        for key, (text, metadata) in records.items()
        if text.strip()
    }
    index.add(chunks.values())
    assert index.add(chunks.values()).skipped == len(chunks)
    assert {chunk.id: chunk for chunk in index.get(list(chunks))} == chunks


def test_many_threads_lose_nothing(index):
    def work(number):
        index.add(Chunk(f"text {number} {at}", id=f"{number}-{at}") for at in range(10))
        return len(index.search(f"text {number} 3", k=5))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [5] * 8
    assert index.count() == 80


def test_search_by_a_vector_is_the_dense_search_without_encoding(filled, encoder):
    [query] = encoder.encode_queries(["green tea"], heads=("dense",))
    calls = encoder.calls
    found = filled.search_by_vector(query.dense, k=3, filter={"lang": "en"})
    assert filled.search_by_vector(query.dense.tolist(), k=3, filter={"lang": "en"}) == found
    assert encoder.calls == calls
    dense = SearchOptions(arms=["dense"])
    assert found == filled.search("green tea", k=3, filter={"lang": "en"}, options=dense)
    assert filled.search_by_vector(query.dense, k=0) == []


@pytest.mark.parametrize(
    ("vector", "options", "message"),
    [
        ([1.0, 2.0], {}, "allowed: dense of width 64"),
        (np.full(64, np.nan), {}, "NaN or infinity"),
        (np.zeros(64), {}, "is zero"),
        (np.ones(64), {"arms": ["dense", "bm25"]}, "need the query's text"),
        (np.ones(64), {"colbert": "rescore"}, "need the query's text"),
    ],
)
def test_a_vector_that_cannot_be_searched_for(filled, vector, options, message):
    with pytest.raises(InputError, match=message):
        filled.search_by_vector(vector, options=SearchOptions(**options))


def test_vectors_given_with_a_text_are_not_computed_again(filled, encoder):
    [query] = encoder.encode_queries(["green tea"])
    vectors = {"dense": query.dense, "sparse": query.sparse}
    expected = filled.search("green tea", k=3)
    calls = encoder.calls
    assert filled.search(QueryText("green tea", vectors=vectors), k=3) == expected
    assert encoder.calls == calls
    assert filled.search(QueryText("green tea", vectors={"dense": query.dense}), k=3) == expected
    assert encoder.calls == calls + 1
    blank = QueryText("", vectors=vectors)
    options = SearchOptions(arms=["dense", "sparse"])
    assert filled.search(blank, options=options) == filled.search("green tea", options=options)


def test_given_vectors_must_fit(filled):
    with pytest.raises(InputError, match=r"arm 'title'.*has \['bm25', 'colbert', 'dense', 'spar"):
        filled.search(QueryText("tea", vectors={"title": np.ones(64, np.float32)}))
    [query] = FakeEncoder().encode_queries(["tea"])
    with pytest.raises(InputError, match="dense vector is sparse, allowed: dense of width 64"):
        filled.search(QueryText("tea", vectors={"dense": query.sparse}))


def test_another_object_for_the_same_model_can_take_the_encoders_place(filled, encoder):
    twin = FakeEncoder()
    assert ids(filled.with_encoder(twin).search("green tea", k=1)) == ["tea"]
    assert (twin.calls, encoder.calls) == (1, 2)  # the chunks, in two batches
    with pytest.raises(FingerprintMismatchError, match="other"):
        filled.with_encoder(FakeEncoder(name="other"))


def test_a_report_can_be_required_complete(index):
    index.add([Chunk("one", id="a")]).require_complete()
    with pytest.raises(InputError, match=r"1 passages were refused.*blank: the text is blank"):
        index.add([Chunk("two", id="b"), Chunk(" ", id="blank")]).require_complete()
    assert index.count() == 2


def test_an_index_says_which_arms_a_search_uses(filled):
    assert filled.arms() == {"dense": 1.0, "sparse": 1.0, "bm25": 1.0}
    assert filled.arms(SearchOptions(arms={"dense": 2.0, "bm25": 0.0})) == {"dense": 2.0}
    with pytest.raises(InputError, match="not in this collection"):
        filled.arms(SearchOptions(arms=["other"]))


def test_an_open_index_cannot_be_pickled(filled):
    with pytest.raises(TypeError, match="open it again"):
        pickle.dumps(filled)


class TestWhatIsGivenByMistake:
    @pytest.mark.parametrize("chunks", [["text"], "text", Chunk("text"), None, 7, [{"text": "a"}]])
    def test_add_says_what_to_give(self, index, chunks):
        with pytest.raises(InputError, match="Chunk"):
            index.add(chunks)

    @pytest.mark.parametrize("query", [None, 7, b"bytes", [], ["a", "b"], {"text": "a"}])
    def test_search_says_what_to_give(self, index, query):
        with pytest.raises(InputError, match=r"^query=.*(allowed: text, QueryT|give a text, or)"):
            index.search(query)

    def test_a_batch_is_a_list(self, index):
        with pytest.raises(InputError, match=r"Give a list: queries=\[.two words.\]"):
            index.search_batch("two words")

    @pytest.mark.parametrize("ids", ["34", b"34", 34, [3], [None]])
    def test_a_text_is_no_list_of_ids(self, index, ids):
        index.add([Chunk("three", id="3"), Chunk("four", id="4")])
        with pytest.raises(InputError, match="ids"):
            index.delete(ids=ids)
        with pytest.raises(InputError, match="ids"):
            index.get(ids)
        assert index.count() == 2

    @pytest.mark.parametrize("source", [["a.md"], b"a.md", 7, {"ne": "a.md"}])
    def test_a_source_is_one_text(self, index, source):
        index.add([Chunk("three", id="3", source="a.md")])
        with pytest.raises(InputError, match=r"^source=.*allowed: text, None"):
            index.delete(source=source)
        with pytest.raises(InputError, match=r"^source=.*allowed: text, None"):
            index.get(["3"], source=source)
        assert index.count() == 1


@pytest.mark.parametrize("tenant", [{"ne": "x"}, ["a"], ("a", "b"), 7, "", " ", b"a"])
def test_a_tenant_is_a_text(tenant):
    with pytest.raises(InputError, match="tenant"):
        HybridIndex.open(MemoryStore(), FakeEncoder(), tenant=tenant)


def test_a_collection_keeps_the_analyser_rules_it_was_written_with(tmp_path, encoder):
    old = replace(ALL_ARMS, analyzer=AnalyzerConfig(rules=1, stop_words=("the",)))
    options = SearchOptions(arms=["bm25"])
    with HybridIndex.open(tmp_path, encoder, config=old) as index:
        index.add(CHUNKS)
        before = index.search("暖的沙 warm", k=3, options=options)
    newest = replace(ALL_ARMS, analyzer=AnalyzerConfig(stop_words=("the",)))
    for config in (ALL_ARMS, old, newest):
        with HybridIndex.open(tmp_path, encoder, config=config) as index:
            assert index.search("暖的沙 warm", k=3, options=options) == before
            assert binding_of(index).analyzer.config.rules == 1
            index.add([Chunk("每日2.5毫克", id="dose")])
            assert index.search("5", k=1, options=options)[0].id == "dose"  # torn, as rules 1 do
            index.delete(ids=["dose"])


def test_a_new_collection_gets_the_newest_rules_and_refuses_older_ones(index, encoder):
    assert binding_of(index).analyzer.config.rules == 2
    older = replace(ALL_ARMS, analyzer=AnalyzerConfig(rules=1))
    with pytest.raises(FingerprintMismatchError, match=r"analyzer\.rules: there 2, here 1"):
        HybridIndex.open(binding_of(index).store, encoder, config=older)


def test_vectors_of_other_rules_are_not_copied(encoder):
    old = replace(ALL_ARMS, analyzer=AnalyzerConfig(rules=1))
    with (
        HybridIndex.open(MemoryStore(), encoder, config=old) as mine,
        HybridIndex.open(MemoryStore(), encoder, config=ALL_ARMS) as theirs,
        pytest.raises(FingerprintMismatchError, match=r"analyzer\.rules"),
    ):
        mine.copy_to(theirs)


@pytest.mark.parametrize("blank", ["▁", " ", "\u200b", "▁▁"])
def test_tokens_that_show_nothing_explain_nothing(blank):
    class Spaced(FakeEncoder):
        def decode_tokens(self, ids):
            return [blank if text == "the" else text for text in super().decode_tokens(ids)]

    with HybridIndex.open(MemoryStore(), Spaced(), config=ALL_ARMS) as index:
        index.add(CHUNKS)
        hit = index.search("the cat", k=1, options=SearchOptions(explain=True))[0]
    sparse = [match.term for match in hit.matches if match.arm == "sparse"]
    assert sparse == ["cat"]


# Adaptive fusion


def weights(hit):
    return {part.arm: part.weight for part in hit.parts}


EXPLAINED = SearchOptions(explain=True)


def test_the_default_is_the_same_in_every_store(filled, encoder):
    """Against the store that looks at every point: the same hits, scores, weights and reasons."""
    with HybridIndex.open(MemoryStore(), encoder=encoder, config=ALL_ARMS) as exact:
        exact.add(CHUNKS)
        questions = [
            "green tea",
            "a warm green drink for the red town",
            "红色汽车",
            "zzz",
            [QueryText("green", weight=2.0), QueryText("公路", arms=("bm25",))],
        ]
        for options in (EXPLAINED, replace(EXPLAINED, colbert="fuse")):
            for filter in (None, {"lang": "zh"}):
                here, there = (
                    index.search_batch(questions, k=6, filter=filter, options=options)
                    for index in (filled, exact)
                )
                for ours, theirs in zip(here, there, strict=True):
                    assert as_said(ours) == as_said(theirs)


def as_said(hits):
    """Return scores and parts; ids by score, since equal scores come in any order."""
    scored = sorted((round(hit.score, 3), hit.id) for hit in hits)
    parts = {
        hit.id: [
            (part.arm, part.text, round(part.weight, 3), round(part.score, 3)) for part in hit.parts
        ]
        for hit in hits
    }
    return scored, parts


def test_the_parts_of_a_score_add_up_to_it(filled):
    for colbert in (None, "fuse"):
        options = replace(EXPLAINED, colbert=colbert)
        for hit in filled.search("a warm green drink", k=6, options=options):
            assert sum(part.score for part in hit.parts) == pytest.approx(hit.score)
            assert sum(part.weight for part in hit.parts) == pytest.approx(1.0)
            assert all(part.why for part in hit.parts)
    assert filled.search("green", k=1)[0].parts == ()


def test_words_that_nobody_has_leave_the_dense_order(filled):
    question = "xylophone quagmire"
    hybrid = filled.search(question, k=6, options=EXPLAINED)
    dense = filled.search(question, k=6, options=SearchOptions(arms=["dense"]))
    assert ids(hybrid) == ids(dense)
    assert weights(hybrid[0])["bm25"] == 0.0
    assert "no passage has a word of the query" in {part.why for part in hybrid[0].parts}


def test_words_alone_keep_their_weights(filled):
    """However little of the question they match, there is no arm of meaning to fall back on."""
    question = "green xylophone quagmire zephyr marmalade obelisk turbine"
    hits = filled.search(question, k=6, options=replace(EXPLAINED, arms=["sparse", "bm25"]))
    assert all(hit.score > 0 for hit in hits)
    assert weights(hits[0]) == pytest.approx({"sparse": 0.4, "bm25": 0.6})
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_an_arm_counts_by_what_it_can_match(filled):
    known = weights(filled.search("green tea drink", k=1, options=EXPLAINED)[0])
    half = weights(filled.search("green tea xylophone quagmire", k=1, options=EXPLAINED)[0])
    little = weights(filled.search("green xylophone quagmire zephyr", k=1, options=EXPLAINED)[0])
    for arm in ("sparse", "bm25"):
        counts = [one[arm] / one["dense"] for one in (known, half, little)]
        assert counts == sorted(counts, reverse=True)
        assert counts[0] > 2 * counts[1] > 4 * counts[2] >= 0


def test_weights_of_ones_own_multiply_the_adaptive_ones(filled):
    plain = weights(filled.search("green tea", k=1, options=EXPLAINED)[0])
    heavy = weights(
        filled.search(
            "green tea",
            k=1,
            options=replace(EXPLAINED, arms={"dense": 1.0, "sparse": 3.0, "bm25": 1.0}),
        )[0]
    )
    assert heavy["sparse"] / heavy["dense"] == pytest.approx(3 * plain["sparse"] / plain["dense"])
    assert heavy["bm25"] / heavy["dense"] == pytest.approx(plain["bm25"] / plain["dense"])


@pytest.mark.parametrize(
    "arms", [("dense",), ("dense", "bm25"), ("dense", "sparse"), ("sparse", "bm25")]
)
def test_adaptive_fusion_takes_the_arms_that_there_are(location, encoder, arms):
    with HybridIndex.open(**location, encoder=encoder, config=IndexConfig(arms=arms)) as index:
        index.add(CHUNKS)
        assert ids(index.search("green tea", k=1, options=EXPLAINED)) == ["tea"]
        assert ids(index.search("红色汽车", k=1)) == ["zh2"]


def test_what_another_tenant_wrote_changes_no_coverage(location, encoder):
    """The words of the query are there, but in another tenant's passages."""
    red = HybridIndex.open(**location, encoder=encoder, config=ALL_ARMS, tenant="red")
    red.add(CHUNKS)
    before = red.search("xylophone quagmire", k=6, options=EXPLAINED)
    blue = HybridIndex(replace(red._binding, tenant="blue"), ALL_ARMS)
    blue.add([Chunk("xylophone quagmire", id="x")])
    after = red.search("xylophone quagmire", k=6, options=EXPLAINED)
    assert as_said(after) == as_said(before)
    assert [part.coverage for part in after[0].parts if part.arm == "bm25"] == [0.0]
    assert weights(blue.search("xylophone quagmire", k=1, options=EXPLAINED)[0])["bm25"] > 0.4


def test_a_filter_shuts_out_what_would_cover_the_query(filled):
    everywhere = filled.search("green tea", k=1, options=EXPLAINED)[0]
    chinese = filled.search("green tea", k=1, filter={"lang": "zh"}, options=EXPLAINED)[0]
    assert weights(everywhere)["bm25"] > 0.3
    assert weights(chinese)["bm25"] == 0.0


def test_a_point_that_is_deleted_meanwhile_is_left_out(filled):
    store = binding_of(filled).store
    real, lost = store.retrieve, []

    def forgetful(names, **more):
        lost.append(names[0])
        return real(names[1:], **more)

    store.retrieve = forgetful
    hits = filled.search("green tea", k=3)
    assert len(hits) == 2
    assert lost


def test_thresholds_hold_before_adaptive_fusion(filled):
    options = SearchOptions(arms=["dense", "bm25"], thresholds={"dense": 2.0, "bm25": 0.01})
    assert ids(filled.search("sofa", k=6, options=options)) == ["cat"]
    none = SearchOptions(thresholds={"dense": 2.0, "sparse": 99.0, "bm25": 99.0})
    assert filled.search("sofa", k=6, options=none) == []


def test_pages_of_adaptive_fusion_join(filled):
    whole = ids(filled.search("green warm cat", k=6))
    pages = [ids(filled.search("green warm cat", k=2, offset=at)) for at in (0, 2, 4, 6)]
    assert [*pages[0], *pages[1], *pages[2]] == whole
    assert pages[3] == []


@pytest.mark.parametrize("count", [2**64, 2**70])
def test_counts_beyond_every_engine(index, count):
    with pytest.raises(InputError, match=r"at most 2\*\*53"):
        index.search("passage", count)
    for name in ("offset", "prefetch_k", "mmr_candidates"):
        with pytest.raises(InputError, match=rf"{name}=.*at most 2\*\*53"):
            index.search("passage", 3, **{name: count})
    assert index.search("passage", 2**53, offset=2**53) == []
