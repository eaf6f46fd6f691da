"""A collection in float32 searched in int8: only where it was measured, and only when asked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trivec import Chunk, HybridIndex
from trivec._models.onnx_folder import Agreement
from trivec.encoders import MemoEncoder
from trivec.errors import CollectionError, FingerprintMismatchError
from trivec.testing import FakeEncoder

NEAR = Agreement(texts=20, dense_cosine_mean=0.999, sparse_top10_shared=0.97)


class OtherPrecision(FakeEncoder):
    """The fake in another precision, with what was measured of it."""

    def __init__(self, precision="int8", agreement=None):
        super().__init__()
        self._precision = precision
        if agreement is not None:
            self.agreement = agreement

    @property
    def info(self):
        return replace(super().info, precision=self._precision)


@pytest.fixture
def kb(tmp_path):
    with HybridIndex.open(tmp_path / "kb", FakeEncoder()) as index:
        index.add([Chunk("the river flows to the sea", id="a"), Chunk("penguins swim", id="b")])
    return tmp_path / "kb"


@pytest.mark.parametrize("wrap", [lambda encoder: encoder, MemoEncoder], ids=["plain", "memo"])
def test_searches_when_asked_and_near(kb, wrap):
    encoder = wrap(OtherPrecision(agreement=NEAR))
    with pytest.raises(FingerprintMismatchError, match="mixed_precision=True searches it"):
        HybridIndex.open(kb, encoder)
    with HybridIndex.open(kb, encoder, mixed_precision=True) as index:
        assert index.search("river", 1)[0].id == "a"
        assert index.search("river", 1)[0].id == "a"
        with pytest.raises(CollectionError, match=r"open for searching .* in int8"):
            index.add([Chunk("something new", id="c")])
        assert index.count() == 2


def test_the_collections_own_precision_is_not_confined(kb):
    with HybridIndex.open(kb, FakeEncoder(), mixed_precision=True) as index:
        assert index.add([Chunk("something new", id="c")]).added == 1


@pytest.mark.parametrize(
    ("agreement", "message"),
    [
        (None, "nobody measured"),
        (Agreement(texts=0), "nobody measured"),
        (replace(NEAR, dense_cosine_mean=0.98), "mean cosine of 0.9800"),
        (replace(NEAR, sparse_top10_shared=0.8), "to 0.80 the same"),
    ],
)
def test_what_was_not_measured_or_is_not_near_is_refused(kb, agreement, message):
    with pytest.raises(FingerprintMismatchError, match=message):
        HybridIndex.open(kb, OtherPrecision(agreement=agreement), mixed_precision=True)


def test_a_collection_in_int8_is_not_for_others(tmp_path):
    with HybridIndex.open(tmp_path / "kb", OtherPrecision()) as index:
        index.add([Chunk("river")])
    with pytest.raises(FingerprintMismatchError, match="collections in fp32"):
        HybridIndex.open(tmp_path / "kb", FakeEncoder(), mixed_precision=True)


def test_another_model_stays_another_model(kb):
    class Another(OtherPrecision):
        @property
        def info(self):
            return replace(super().info, weights="another")

    with pytest.raises(FingerprintMismatchError, match="weights"):
        HybridIndex.open(kb, Another(agreement=NEAR), mixed_precision=True)
