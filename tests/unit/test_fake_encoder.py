"""What users' tests may rely on in FakeEncoder, beyond the contract of all encoders."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from trivec.errors import InputError
from trivec.testing import FakeEncoder

SPARSE = [130741, 151027, 168706]
DENSE = [-0.4254, 0.3006, -0.7813, 0.3439]


def dense(encoder, text):
    (encoding,) = encoder.encode_queries([text])
    return encoding.dense


def test_shared_tokens_make_texts_similar():
    encoder = FakeEncoder()
    query = dense(encoder, "river Rhine 河流")
    near = float(query @ dense(encoder, "the Rhine is a river, 一条河流"))
    far = float(query @ dense(encoder, "penguins do not fly"))
    assert near > far + 0.3


def test_the_same_on_every_machine():
    """Built on sha256 and a seeded generator: a change here changes everyone's snapshots."""
    (encoding,) = FakeEncoder(4).encode_documents(["你好 world"])
    assert encoding.sparse.indices.tolist() == SPARSE
    np.testing.assert_allclose(encoding.dense, DENSE, atol=1e-4)


def test_words_and_single_cjk_characters_are_tokens():
    encoder = FakeEncoder()
    (encoding,) = encoder.encode_documents(["Hello 你好, hello_World 42"])
    tokens = encoder.decode_tokens(encoding.sparse.indices.tolist())
    assert sorted(tokens) == sorted(["hello", "你", "好", "world", "42"])
    weights = dict(zip(tokens, encoding.sparse.values.tolist(), strict=True))
    assert weights["hello"] == pytest.approx(1 + np.log(2))
    assert weights["world"] == 1
    assert encoder.decode_tokens([1]) == ["<unknown>"]


def test_calls_count_forwards_not_texts():
    encoder = FakeEncoder()
    encoder.encode_documents([])
    assert encoder.calls == 0
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: encoder.encode_queries(["a", str(number)]), range(50)))
    assert encoder.calls == 50


def test_truncation_is_reported():
    encoder = FakeEncoder(max_length=5)
    short, long = encoder.encode_documents(["a b c", "a b c d"])
    assert (short.tokens, short.truncated) == (5, False)
    assert (long.tokens, long.truncated) == (5, True)
    np.testing.assert_array_equal(short.dense, long.dense)


def test_other_names_are_other_models():
    one, other = FakeEncoder(), FakeEncoder(name="other")
    assert one.info != other.info
    assert one.info == FakeEncoder().info
    assert abs(float(dense(one, "river") @ dense(other, "river"))) < 0.6


@pytest.mark.parametrize("options", [{"dim": 0}, {"vocabulary": 0}, {"max_length": 2}])
def test_impossible_sizes(options):
    with pytest.raises(InputError, match="must be an integer of at least"):
        FakeEncoder(**options)


def test_one_text_is_not_a_list():
    with pytest.raises(InputError, match="list"):
        FakeEncoder().encode_queries("text")
