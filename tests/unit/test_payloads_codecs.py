"""The payload layouts of others: recognised, remembered, read as far as they go."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec import Chunk, HybridIndex, IndexConfig
from trivec.errors import CollectionError, InputError
from trivec.index.hybrid import binding_of
from trivec.payloads import PayloadCodec
from trivec.payloads.codecs import CODECS, codec_keys, detect_codec, stored_codec
from trivec.payloads.trivec import content_digest, identify
from trivec.testing import FakeEncoder, MemoryStore
from trivec.types import StoredPoint

NODE = {"id_": "n", "text": "of the node", "metadata": {"a": 1}, "class_name": "TextNode"}
NODE_PAYLOAD = {
    "a": 1,
    "_node_content": json.dumps(NODE),
    "_node_type": "TextNode",
    "doc_id": "d",
    "document_id": "d",
    "ref_doc_id": "d",
}
RENAMED = PayloadCodec(name="custom", text_key="body", metadata_key="about")


@pytest.mark.parametrize(
    ("payloads", "expected"),
    [
        ([NODE_PAYLOAD], "llama_index"),
        ([{"page_content": "x", "metadata": None}, NODE_PAYLOAD], "llama_index"),
        ([{"text": "old", "doc_id": "d", "ref_doc_id": "d", "lang": "en"}], "llama_index"),
        ([{"page_content": "x", "metadata": {"a": 1}}], "langchain"),
        ([{"page_content": "x", "metadata": None}], "langchain"),
        ([{"page_content": "x", "metadata": {}, "added": 1, "by": "hand"}], "langchain"),
        ([{"id": "h", "content": "x", "meta": {}, "blob": None, "score": None}], "haystack"),
        ([{"text": "x", "metadata": {}, "trivec": {"id": "1"}}], "trivec"),
        ([{"body": "x", "about": {"a": 1}}, {"body": "y", "about": None}], RENAMED),
        ([{"content": "x", "meta": {"a": 1}}], PayloadCodec("custom", "content", "meta")),
        ([{"title": "x", "body": "y", "about": {}}], None),
        ([{"body": "x"}], None),
        ([{"body": "x", "about": {}}, {"body": 3, "about": {}}], None),
        ([{}], None),
        ([], None),
    ],
)
def test_a_layout_is_recognised_by_its_keys(payloads, expected):
    codec = CODECS[expected] if isinstance(expected, str) else expected
    assert detect_codec(payloads) == codec


@pytest.mark.parametrize("codec", [*CODECS.values(), RENAMED, PayloadCodec(text_key="t")])
def test_a_layout_is_remembered(codec):
    assert stored_codec(codec.name, json.loads(json.dumps(codec_keys(codec)))) == codec


def test_a_layout_of_a_later_version_is_an_error():
    with pytest.raises(CollectionError, match=r"'later'.*'haystack'"):
        stored_codec("later", {})


@pytest.mark.parametrize("keys", [{"text_key": "metadata"}, {"own_key": "text"}, {"text_key": ""}])
def test_the_keys_of_a_layout_must_differ(keys):
    with pytest.raises(InputError, match="differ"):
        PayloadCodec(**keys)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.text(max_size=6)
    # the floats that Qdrant may change come back exact too
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
keys = st.text(max_size=6) | st.sampled_from(
    ["doc_id", "text", "_node_type", "metadata", "id", "trivec"]
)
objects = st.dictionaries(keys, json_values, max_size=3)


@pytest.mark.parametrize("codec", [*CODECS.values(), RENAMED], ids=lambda codec: codec.name)
@given(
    text=st.text(min_size=1),
    metadata=objects,
    extra=objects
    | st.builds(
        lambda node, kind, more: {"_node_content": node, "_node_type": kind, **more},
        st.just(json.dumps(NODE)) | st.text(max_size=4) | st.integers(0, 9),
        st.sampled_from(["TextNode", "IndexNode"]) | st.none(),
        objects,
    ),
    source=st.none() | st.text(max_size=5),
)
def test_a_chunk_comes_back_whole(codec, text, metadata, extra, source):
    chunk = identify(Chunk(text, "7", source, 3, metadata, extra))
    payload = json.loads(json.dumps(codec.encode(chunk, "red")))
    assert codec.decode(StoredPoint(codec.point_id("7"), payload)) == chunk
    assert codec.own(payload)["digest"] == content_digest(chunk.text)
    assert codec.own(payload)["tenant"] == "red"


def llama_index(**payload):
    return CODECS["llama_index"].decode(StoredPoint("point", payload))


def test_a_foreign_node_is_read_and_handed_on():
    chunk = llama_index(**NODE_PAYLOAD)
    assert (chunk.text, chunk.id, chunk.source) == ("of the node", "point", "d")
    assert chunk.metadata == {"a": 1}
    assert chunk.extra == {key: NODE_PAYLOAD[key] for key in ("_node_content", "_node_type")}


def test_a_node_with_resources_has_its_text_there():
    node = {"text_resource": {"text": "inside"}, "metadata": {}, "class_name": "Document"}
    chunk = llama_index(_node_content=json.dumps(node), _node_type="Document", ref_doc_id="None")
    assert (chunk.text, chunk.source) == ("inside", None)


def test_points_of_old_versions_and_damaged_ones_are_read_as_far_as_they_go():
    old = llama_index(text="old", doc_id="d", node_info="{}", relationships="{}", lang="en")
    assert old == Chunk("old", id="point", source="d", metadata={"lang": "en"})
    for damaged in ("{", "[]", 3, None):
        chunk = llama_index(text="t", _node_content=damaged, lang="en")
        assert chunk == Chunk("t", id="point", metadata={"lang": "en"})
    assert llama_index() == Chunk("", id="point")


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_an_index_with_any_layout_keeps_tenants_sources_and_filters(codec):
    config = IndexConfig(codec=codec, arms=("bm25",))
    with HybridIndex.open(MemoryStore(), FakeEncoder(), config=config, tenant="red") as index:
        chunks = [
            Chunk(f"text {n}", id=str(n), source=f"{n % 2}.md", metadata={"n": n}, extra={"x": [n]})
            for n in range(4)
        ]
        index.add(chunks)
        assert index.get(["0", "3"]) == [chunks[0], chunks[3]]
        assert index.add(chunks).skipped == 4
        assert [hit.chunk for hit in index.search("text", filter={"n": 2})] == [chunks[2]]
        other = HybridIndex.open(index.store, FakeEncoder(), tenant="blue")
        assert other.codec == CODECS[codec]
        assert other.get(["0"]) == other.search("text") == []
        assert index.delete(source="1.md") == 2
        assert index.count() == 2


def test_digits_are_numbers_only_where_the_points_are_numbered():
    from dataclasses import replace

    with HybridIndex.open(MemoryStore(), FakeEncoder()) as index:
        plain = binding_of(index)
        numbered = replace(plain, schema=replace(plain.schema, integer_ids=True))
        assert numbered.point_id("5") == 5
        assert numbered.point_id(str(2**64 - 1)) == 2**64 - 1
        for text in ("05", "-5", "5.0", " 5", "٥", str(2**64), "9" * 5000, "x"):
            assert numbered.point_id(text) == plain.point_id(text)
            assert isinstance(numbered.point_id(text), str)
        assert isinstance(plain.point_id("5"), str)
