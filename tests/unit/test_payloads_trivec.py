"""Ids, payloads and metadata."""

import math
import uuid
from dataclasses import replace
from itertools import count

import pytest

from trivec import Chunk
from trivec._runtime.plain import json_values
from trivec.errors import InputError
from trivec.payloads.codecs import CODECS
from trivec.payloads.trivec import (
    PayloadCodec,
    content_digest,
    identify,
    point_id,
)
from trivec.schema import MAX_DEPTH
from trivec.types import StoredPoint


@pytest.mark.parametrize(
    "like_one", [" " + 31 * "a", "+" + 31 * "a", 14 * "a" + "_" + 17 * "a", 31 * "a" + "\uff11"]
)
def test_what_python_alone_reads_as_a_uuid_is_an_id_of_its_own(like_one):
    """``UUID()`` takes a sign or a space for nothing: deleting " aaa" would delete "0aaa"."""
    assert uuid.UUID(like_one)
    assert point_id(like_one) != str(uuid.UUID(like_one))


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


# The layout, value by value


def test_a_chunk_lies_in_its_payload_by_these_keys():
    chunk = Chunk("text", "7", "a.md", 3, {"lang": "zh"}, {"node": [1]})
    own = {"id": "7", "source": "a.md", "position": 3, "digest": content_digest("text")}
    assert PayloadCodec().encode(chunk, None) == {
        "text": "text",
        "metadata": {"lang": "zh"},
        "trivec": {**own, "extra": '{"node": [1]}'},
    }
    renamed = PayloadCodec("custom", "body", "about", "ours")
    assert renamed.encode(replace(chunk, extra={}), "red", "whole") == {
        "body": "text",
        "about": {"lang": "zh"},
        "ours": {**own, "tenant": "red", "context": "whole"},
    }
    assert renamed.own_path("tenant") == "ours.tenant"
    assert renamed.own({"ours": {"id": "7"}}) == {"id": "7"}
    assert renamed.own({"ours": 3}) == renamed.own({}) == {}


@pytest.mark.parametrize("key", ['a"b', "a\\b"])
def test_a_layout_takes_no_key_that_has_no_path(key):
    with pytest.raises(InputError) as caught:
        PayloadCodec(text_key=key)
    assert (
        str(caught.value) == f"the codec has the key {key!r}; Qdrant's paths take no \" and no \\"
    )


@pytest.mark.parametrize("keys", [("text", "text", "own"), ("a", "b", "a"), ("", "b", "c")])
def test_the_keys_of_a_layout_differ(keys):
    with pytest.raises(InputError) as caught:
        PayloadCodec("custom", *keys)
    assert str(caught.value) == f"the codec's keys are {keys}; they must differ from each other"


def test_metadata_is_asked_for_where_it_lies():
    field = PayloadCodec("custom", "body", "a bout", "ours").metadata_field("lang")
    assert field.paths == ('"a bout".lang',)
    assert field.tokens == "ours.tokens"


def test_a_foreign_point_has_what_its_payload_says_and_no_more():
    codec = PayloadCodec()
    assert codec.decode(StoredPoint(5, {})) == Chunk("", id="5", source=None, position=0)
    assert codec.decode(StoredPoint(5, {"text": None, "metadata": [], "trivec": 1})).text == ""
    own = {"id": "x", "source": "a", "position": 2, "extra": "{}"}
    stored = StoredPoint("p", {"text": "t", "metadata": {"a": 1}, "trivec": own})
    assert codec.decode(stored) == Chunk("t", "x", "a", 2, {"a": 1})


def came_back(stored, exact):
    """What is read of a value that was written as ``exact``, and that an engine gave back."""
    codec = PayloadCodec()
    payload = codec.encode(Chunk("t", "1", metadata={"v": exact}), None)
    payload["metadata"] = {"v": stored}
    return codec.decode(StoredPoint("p", payload)).metadata["v"]


OFF = 25.643769918316394
NEXT = math.nextafter(OFF, math.inf)


@pytest.mark.parametrize(
    ("stored", "exact", "expected"),
    [
        (NEXT, OFF, OFF),
        ([1, NEXT], [1, OFF], [1, OFF]),
        ({"a": [{"b": NEXT}]}, {"a": [{"b": OFF}]}, {"a": [{"b": OFF}]}),
        (7.5, OFF, 7.5),  # another program has changed it since
        (OFF * (1 + 1e-13), OFF, OFF * (1 + 1e-13)),
        ("text", OFF, "text"),
        ([NEXT], [OFF, OFF], [NEXT]),
        ({"b": NEXT, "c": 1}, {"b": OFF}, {"b": OFF, "c": 1}),
        ({"b": NEXT}, [OFF], {"b": NEXT}),
        (0.0, 5e-324, 0.0),
    ],
    ids=count(),
)
def test_a_float_that_an_engine_changed_is_read_as_it_was(stored, exact, expected):
    assert came_back(stored, exact) == expected


def test_only_floats_that_may_change_are_kept_twice():
    def kept(metadata):
        return "exact" in PayloadCodec().encode(Chunk("t", "1", metadata=metadata), None)["trivec"]

    assert not any(map(kept, [{}, {"a": 0.5}, {"a": 2**60}, {"a": "25.643769918316394"}]))
    assert all(map(kept, [{"a": OFF}, {"a": [0, OFF]}, {"a": {"b": [{"c": OFF}]}}]))


# Ids


def test_ids_never_change():
    """They are in collections; another id would be another point."""
    assert point_id("1") == "3addc870-a112-5b25-bf10-504f277e4ce0"
    assert point_id("1", "red") == "23ed1592-4f8e-50f4-960e-db5b2d6e4082"
    assert (
        identify(Chunk("text", source="a.md", position=3)).id
        == "7605d93a-d186-5b3a-bb12-8d4c96c879f9"
    )
    assert identify(Chunk("text")).id == "0caf71e0-ab3a-5617-b1e0-01aa20002050"


def test_a_chunk_is_cleaned_but_for_its_content():
    chunk = Chunk("a\r\nb\x00", 7, "s\x00.md", 2, {"a": (1, "x")}, {"b": ("y",)})
    assert identify(chunk) == Chunk("a\nb", "7", "s.md", 2, {"a": [1, "x"]}, {"b": ["y"]})
    assert point_id("a\x00") == point_id("a")
    assert point_id("a\x00", "red") == point_id("a", "red")


def plain_json(value):
    return json_values(value, "metadata", MAX_DEPTH)


@pytest.mark.parametrize("value", [-(2**63), 2**64 - 1, True, None, "x", 0.5, [], {}, 1e300])
def test_json_values_stay(value):
    assert plain_json(value) == value
    assert type(plain_json(value)) is type(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2**64, f"metadata is {2**64}, allowed: integers of 64 bits; give it as text"),
        (
            -(2**63) - 1,
            f"metadata is {-(2**63) - 1}, allowed: integers of 64 bits; give it as text",
        ),
        ({"a": [0, -math.inf]}, "metadata.a[1] is -inf, which JSON cannot hold; leave it out"),
        ({"a": {1: 2}}, "metadata.a has the key 1, allowed: strings"),
        (
            {"a": [{"b": {1}}]},
            "metadata.a[0].b is a set, allowed: str, int, float, bool, None, list, dict",
        ),
    ],
    ids=count(),
)
def test_a_message_names_the_path_of_what_cannot_be_stored(value, message):
    with pytest.raises(InputError) as caught:
        plain_json(value)
    assert str(caught.value) == message
    with pytest.raises(InputError) as caught:
        identify(Chunk("t", extra={"v": value}))
    assert str(caught.value) == message.replace("metadata", "extra.v", 1)


def test_numbers_of_other_types_become_json():
    import numpy as np

    class Grade(int):
        pass

    assert type(plain_json(Grade(3))) is int
    assert type(plain_json(np.float64(0.5))) is float
    with pytest.raises(InputError, match="is a int64"):
        plain_json(np.int64(3))
