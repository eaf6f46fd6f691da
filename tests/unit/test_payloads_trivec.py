"""Ids, payloads and metadata."""

import uuid

import pytest

from trivec import Chunk
from trivec.errors import InputError
from trivec.payloads.codecs import CODECS
from trivec.payloads.trivec import identify, point_id
from trivec.types import StoredPoint


def test_a_uuid_stays_itself_and_anything_else_becomes_one():
    given_id = "0b1e9f5c-7a0e-4a7c-9d53-0d4a5d5b6a11"
    assert point_id(given_id) == given_id
    assert point_id(given_id.upper()) == given_id
    assert uuid.UUID(str(point_id("1"))).version == 5
    assert point_id("1") == point_id("1") != point_id("2")


def test_tenants_never_share_a_point():
    given_id = "0b1e9f5c-7a0e-4a7c-9d53-0d4a5d5b6a11"
    assert len({point_id(given_id), point_id(given_id, "a"), point_id(given_id, "b")}) == 3
    assert point_id("b", "a") != point_id("", 'a", "b')


def test_an_id_follows_from_source_and_position():
    first = identify(Chunk("one text", source="a.md", position=1)).id
    assert first == identify(Chunk("another text", source="a.md", position=1)).id
    assert first != identify(Chunk("one text", source="a.md", position=2)).id
    assert first != identify(Chunk("one text", source="b.md", position=1)).id


def test_without_a_source_the_text_identifies():
    assert identify(Chunk("same")).id == identify(Chunk("same")).id != identify(Chunk("other")).id


def test_surrogates_are_cleaned_everywhere():
    named = identify(
        Chunk("a\ud800b", id="i\udfff", source="s\ud800", metadata={"k\ud800": ["\udc00"]})
    )
    for text in (named.text, named.id, named.source, *named.metadata, *named.metadata.values()):
        str(text).encode()


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"a": float("nan")}, r"metadata\.a is nan"),
        ({"a": [1, float("inf")]}, r"metadata\.a\[1\] is inf"),
        ({"a": 2**64}, "64 bits"),
        ({"a": {1: 2}}, "the key 1"),
        ({"a": {1, 2}}, "is a set"),
        ({"a": b"x"}, "is a bytes"),
    ],
)
def test_metadata_that_is_not_json_is_named(metadata, message):
    with pytest.raises(InputError, match=message):
        identify(Chunk("text", metadata=metadata))


def test_a_foreign_point_is_read_as_far_as_it_goes():
    chunk = CODECS["langchain"].decode(StoredPoint(5, {"page_content": "hi", "metadata": None}))
    assert chunk == Chunk("hi", id="5")
