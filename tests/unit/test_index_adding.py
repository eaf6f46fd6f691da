"""What adding does to a store and says in its report, with the store in memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trivec import AddReport, Chunk, HybridIndex, IndexConfig, Refusal
from trivec.encoders import MemoEncoder
from trivec.errors import InputError, StoreError
from trivec.index import adding
from trivec.testing import FakeEncoder, MemoryStore
from trivec.types import ALL_HEADS

CONFIG = IndexConfig(arms=("dense", "bm25"), batch_size=2)
CHUNKS = [
    Chunk(f"passage number {n}", id=str(n), source=f"{n % 2}.md", position=n) for n in range(5)
]


class Noting(MemoryStore):
    """Notes the writes, as their names and how many points each is of."""

    def __init__(self):
        super().__init__()
        self.writes = []

    def upsert(self, points):
        self.writes.append(("upsert", len(points)))
        super().upsert(points)

    def overwrite_payload(self, payloads):
        self.writes.append(("overwrite_payload", len(payloads)))
        super().overwrite_payload(payloads)

    def delete(self, **options):
        self.writes.append(("delete", None))
        super().delete(**options)


class Reading(FakeEncoder):
    """Notes the texts of every call, and which vectors are asked for."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def encode_documents(self, texts, *, heads=ALL_HEADS):
        self.asked.append((list(texts), tuple(heads)))
        return super().encode_documents(texts, heads=heads)


@pytest.fixture
def store():
    return Noting()


@pytest.fixture
def encoder():
    return Reading()


@pytest.fixture
def index(store, encoder):
    with HybridIndex.open(store, encoder, config=CONFIG) as opened:
        yield opened


def stored(index):
    return {chunk.id: chunk for chunk in index.chunks()}


def test_a_batch_is_encoded_for_its_arms_and_written_once(index, store, encoder):
    assert index.add(CHUNKS) == AddReport(added=5)
    assert store.writes == [("upsert", 2), ("upsert", 2), ("upsert", 1)]
    assert encoder.asked == [
        ([chunk.text for chunk in CHUNKS[start : start + 2]], ("dense",)) for start in (0, 2, 4)
    ]
    assert stored(index) == {chunk.id: chunk for chunk in CHUNKS}


def test_what_is_there_unchanged_is_neither_encoded_nor_written(index, store, encoder):
    index.add(CHUNKS)
    store.writes.clear()
    encoder.asked.clear()
    assert index.add(CHUNKS) == AddReport(skipped=5)
    assert (store.writes, encoder.asked) == ([], [])


def test_changed_metadata_is_written_without_encoding(index, store, encoder):
    index.add(CHUNKS)
    store.writes.clear()
    encoder.asked.clear()
    changed = [replace(CHUNKS[0], metadata={"n": 1}), CHUNKS[2], replace(CHUNKS[4], position=9)]
    assert index.add(changed) == AddReport(updated=2, skipped=1)
    assert store.writes == [("overwrite_payload", 1), ("overwrite_payload", 1)]
    assert encoder.asked == []
    assert stored(index) == {chunk.id: chunk for chunk in [*CHUNKS, *changed]}


def test_a_changed_text_is_encoded_and_written_whole(index, store, encoder):
    index.add(CHUNKS)
    store.writes.clear()
    encoder.asked.clear()
    changed = replace(CHUNKS[0], text="another passage")
    fresh = Chunk("a fresh one", id="fresh")
    assert index.add([changed, fresh]) == AddReport(added=1, updated=1)
    assert store.writes == [("upsert", 2)]
    assert [texts for texts, _ in encoder.asked] == [["another passage", "a fresh one"]]


def test_of_two_chunks_with_one_id_the_first_is_stored_and_the_other_refused(index):
    first, second = Chunk("first", id="x"), Chunk("second", id="x")
    report = index.add([first, second])
    assert (report.added, report.skipped) == (1, 0)
    assert [refusal.id for refusal in report.refused] == ["x"]
    assert stored(index) == {"x": first}


def test_a_batch_knows_what_the_one_before_it_is_about_to_write(index, store, encoder):
    """The store may not have it yet: the write goes on while the next batch is sorted."""
    one, two = Chunk("one", id="1"), Chunk("two", id="2")
    report = index.add([one, two, one, one, two])
    assert report == AddReport(added=2, skipped=3)
    assert [texts for texts, _ in encoder.asked] == [["one", "two"]]
    assert stored(index) == {"1": one, "2": two}


def test_what_cannot_be_stored_is_refused_with_its_reason(index):
    bad = [
        Chunk(" \n", id="blank"),
        Chunk("text", id="nan", metadata={"x": float("nan")}),
        Chunk("fine", id="fine"),
    ]
    report = index.add(bad)
    assert report.added == 1
    assert report.refused == (
        Refusal("blank", "the text is blank"),
        Refusal("nan", "metadata.x is nan, which JSON cannot hold; leave it out"),
    )
    assert list(stored(index)) == ["fine"]


def test_a_vector_that_the_collection_cannot_hold_refuses_its_chunk_alone(store):
    class Broken(FakeEncoder):
        def encode_documents(self, texts, *, heads=ALL_HEADS):
            encodings = super().encode_documents(texts, heads=heads)
            return [
                replace(encoding, dense=encoding.dense * np.nan) if "bad" in text else encoding
                for text, encoding in zip(texts, encodings, strict=True)
            ]

    index = HybridIndex.open(store, Broken(), config=CONFIG)
    report = index.add([Chunk("bad", id="1"), Chunk("good", id="2")])
    assert (report.added, list(stored(index))) == (1, ["2"])
    [refusal] = report.refused
    assert refusal.id == "1"
    assert "dense" in refusal.reason


def test_texts_longer_than_the_model_reads_are_stored_and_named(index):
    report = index.add([Chunk("long " * 20_000, id="long"), Chunk("short", id="short")])
    assert report == AddReport(added=2, truncated=("long",))


@pytest.mark.parametrize("late_chunking", [False, True])
def test_a_collection_of_words_alone_asks_no_model(store, encoder, late_chunking):
    index = HybridIndex.open(store, encoder, config=IndexConfig(arms=("bm25",)))
    assert index.add(CHUNKS, late_chunking=late_chunking) == AddReport(added=5)
    assert index.search("number 3", k=1)[0].id == "3"
    assert encoder.calls == 0


# Sources


def test_replacing_sources_deletes_what_each_no_longer_holds(index, store):
    elsewhere = Chunk("of no source", id="none")
    index.add([*CHUNKS, elsewhere])
    store.writes.clear()
    report = index.add([CHUNKS[0], CHUNKS[1]], replace_sources=True)
    assert report == AddReport(skipped=2, deleted=3)
    assert set(stored(index)) == {"0", "1", "none"}
    assert store.writes == [("delete", None)] * 2


def test_replacing_keeps_what_was_given_in_any_batch_or_way(index):
    index.add([*CHUNKS, Chunk("gone", id="gone", source="0.md")])
    changed = [replace(CHUNKS[0], text="changed"), CHUNKS[2], replace(CHUNKS[4], metadata={"n": 1})]
    report = index.add([*changed, Chunk("new", id="new", source="0.md")], replace_sources=True)
    assert report == AddReport(added=1, updated=2, skipped=1, deleted=1)
    assert set(stored(index)) == {"0", "1", "2", "3", "4", "new"}


def test_nothing_to_delete_deletes_nothing(index, store):
    index.add(CHUNKS)
    store.writes.clear()
    assert index.add(CHUNKS, replace_sources=True) == AddReport(skipped=5)
    assert store.writes == []


def test_without_being_asked_nothing_is_deleted(index):
    index.add(CHUNKS)
    assert index.add(CHUNKS[:1]).deleted == 0
    assert len(stored(index)) == 5


def test_deleting_says_how_many_points_that_were(index, store):
    index.add(CHUNKS)
    store.writes.clear()
    assert index.delete(source="0.md") == 3
    assert index.delete(source="0.md") == 0
    assert store.writes == [("delete", None)]


# Progress and errors


def test_progress_is_reported_once_a_batch_is_stored(index, store):
    there = []
    index.add(CHUNKS, progress=lambda count: there.append((count, len(stored(index)) >= 2)))
    assert there == [(2, True), (2, True), (1, True)]
    counts = []
    index.add([], progress=counts.append)
    assert counts == []
    index.add([Chunk(" ", id="blank"), *CHUNKS], progress=counts.append)
    assert sum(counts) == 6  # what is refused or skipped is dealt with as well


@pytest.mark.parametrize("given", [1, 2, 3])
def test_what_came_before_an_error_is_stored_and_the_error_says_so(index, given):
    def broken():
        yield from CHUNKS[:given]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone") as caught:
        index.add(broken(), replace_sources=True)
    [note] = caught.value.__notes__
    assert note == (
        "what was stored before this stays; add the same chunks again to continue, unchanged ones "
        "are skipped without encoding them"
    )
    assert len(stored(index)) == given


def test_an_error_of_the_store_ends_the_adding(index, store, monkeypatch):
    def full(points):
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "upsert", full)
    with pytest.raises(StoreError, match="the disk is full"):
        index.add(CHUNKS)


@pytest.mark.parametrize("chunks", ["text", CHUNKS[0], 7])
def test_what_is_no_list_of_chunks_is_named(index, chunks):
    with pytest.raises(
        InputError, match=r"^chunks=.*; allowed: a list of Chunk(\. Give a list: .*)?"
    ):
        index.add(chunks)


@pytest.mark.parametrize(("other", "kind"), [("text", "str"), ({"text": "t"}, "dict")])
def test_what_is_no_chunk_is_named_and_those_before_it_are_stored(index, other, kind):
    with pytest.raises(InputError) as caught:
        index.add([CHUNKS[0], other, CHUNKS[1]])
    assert str(caught.value) == (
        f"add() was given a list with a {kind}; give Chunk objects, such as Chunk('a passage', "
        "source='file.md'); LangChain's documents and LlamaIndex's nodes go to the adapters' "
        "vector stores"
    )
    assert list(stored(index)) == ["0"]


class Short:
    """An encoder that reads passages alone."""

    def __init__(self):
        inner = FakeEncoder()
        self.info = inner.info
        self.encode_documents, self.encode_queries = inner.encode_documents, inner.encode_queries
        self.decode_tokens = inner.decode_tokens


@pytest.mark.parametrize("encoder", [Short(), MemoEncoder(Short())], ids=["plain", "memo"])
def test_late_chunking_needs_an_encoder_that_can_and_says_so_first(store, encoder):
    def never():
        pytest.fail("the chunks were read")
        yield

    index = HybridIndex.open(store, encoder, config=CONFIG)
    message = r"^late_chunking=True, but Short has no encode_long\(\); take a FlagEncoder"
    with pytest.raises(InputError, match=message):
        index.add(never(), late_chunking=True)


def test_late_chunking_encodes_the_passages_of_a_source_together():
    whole = HybridIndex.open(MemoryStore(), FakeEncoder(), config=CONFIG)
    whole.add(CHUNKS, late_chunking=True)
    assert stored(whole) == {chunk.id: chunk for chunk in CHUNKS}
    assert whole.add(CHUNKS, late_chunking=True) == AddReport(skipped=5)
    # vectors of passages that stood alone know less, and are made anew
    assert whole.add(CHUNKS) == AddReport(updated=5)


@pytest.mark.parametrize("replace_sources", [False, True])
def test_names_of_sources_are_kept_only_where_sources_are_replaced(monkeypatch, replace_sources):
    """A name for each source takes some 100 bytes, an id 8."""
    tally = adding.Tally()
    monkeypatch.setattr(adding, "Tally", lambda: tally)
    index = HybridIndex.open(MemoryStore(), FakeEncoder(dim=8))
    index.add(
        [Chunk(f"passage {at}", source=f"{at}.md") for at in range(300)],
        replace_sources=replace_sources,
    )
    assert tally.seen.nbytes == 8 * 300
    assert len(tally.sources) == (300 if replace_sources else 0)


class Broken:
    def __str__(self):
        raise RuntimeError

    __repr__ = __str__


def deep():
    nested = []
    for _ in range(2000):
        nested = [nested]
    return nested


ODD = {
    "metadata=None": Chunk("a", metadata=None),
    "metadata=' '": Chunk("a", metadata=" "),
    "extra=' '": Chunk("a", extra=" "),
    "source=array": Chunk("a", source=np.zeros(0)),
    "source=[[": Chunk("a", source=deep()),
    "position=array": Chunk("a", position=np.zeros(0)),
    "position=-1": Chunk("a", source="a.md", position=-1),
    "the id is a list that cannot be written as text": Chunk("a", id=deep()),
    "the id is a Broken that cannot be written as text": Chunk("a", id=Broken()),
}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("reason", "odd"), ODD.items(), ids=ODD)
def test_a_chunk_of_wrong_types_is_refused_and_the_others_are_stored(reason, odd, late):
    index = HybridIndex.open(MemoryStore(), FakeEncoder(), config=CONFIG)
    report = index.add([CHUNKS[0], odd, CHUNKS[1]], late_chunking=late)
    [refused] = report.refused
    assert (report.added, refused.reason.startswith(reason)) == (2, True), refused


def test_a_position_of_numpy_is_a_number():
    index = HybridIndex.open(MemoryStore(), FakeEncoder(), config=CONFIG)
    index.add([Chunk("a", source="a.md", position=np.int64(3))])
    assert index.add([Chunk("a", source="a.md", position=3)]).skipped == 1
