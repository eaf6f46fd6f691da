"""The payload layouts of others: recognised, remembered, read as far as they go."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec import Chunk, HybridIndex, IndexConfig
from trivec.errors import CollectionError, InputError
from trivec.index.hybrid import binding_of
from trivec.payloads import Field, PayloadCodec
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


CHUNK = Chunk("text", "7", "a.md", 3, {"lang": "zh"})
OWN = {"id": "7", "source": "a.md", "position": 3, "digest": content_digest("text")}


def test_a_chunk_is_written_as_llama_index_writes_a_node():
    payload = CODECS["llama_index"].encode(CHUNK, "red", "whole")
    node = json.loads(payload.pop("_node_content"))
    assert node == {
        "id_": "7",
        "embedding": None,
        "metadata": {"lang": "zh"},
        "relationships": {
            "1": {
                "node_id": "a.md",
                "node_type": "4",
                "metadata": {},
                "class_name": "RelatedNodeInfo",
            }
        },
        "text": "text",
        "class_name": "TextNode",
    }
    assert payload == {
        "lang": "zh",
        "doc_id": "a.md",
        "document_id": "a.md",
        "ref_doc_id": "a.md",
        "_node_type": "TextNode",
        "trivec": {**OWN, "tenant": "red", "context": "whole", "without_node": True},
    }
    alone = CODECS["llama_index"].encode(replace(CHUNK, text="语", source=None), None)
    assert {alone[key] for key in ("doc_id", "document_id", "ref_doc_id")} == {"None"}
    assert json.loads(alone["_node_content"])["relationships"] == {}
    assert "语" in alone["_node_content"]


def test_a_node_is_kept_letter_for_letter_and_what_differs_beside_it():
    content = json.dumps({"text": "of the node", "metadata": {"lang": "zh"}})
    extra = {"_node_content": content, "_node_type": "IndexNode"}
    payload = CODECS["llama_index"].encode(replace(CHUNK, extra={**extra, "more": [1]}), None)
    assert (payload["_node_content"], payload["_node_type"]) == (content, "IndexNode")
    assert payload["trivec"] == {**OWN, "text": "text", "extra": '{"more": [1]}'}
    same = replace(CHUNK, text="of the node", metadata={"lang": "en"}, extra=extra)
    own = CODECS["llama_index"].encode(same, None)["trivec"]
    assert own["metadata"] == '{"lang": "en"}'
    assert not {"text", "extra", "without_node"} & set(own)


@pytest.mark.parametrize(
    "extra",
    [
        {"_node_content": "{}"},
        {"_node_content": "{}", "_node_type": 3},
        {"_node_content": "{", "_node_type": "TextNode"},
        {"_node_content": "[]", "_node_type": "TextNode"},
        {"_node_content": None, "_node_type": "TextNode"},
    ],
)
def test_what_is_no_node_is_kept_as_any_other_value(extra):
    chunk = replace(CHUNK, extra=extra)
    payload = CODECS["llama_index"].encode(chunk, None)
    assert payload["_node_type"] == "TextNode"
    assert payload["trivec"]["without_node"] is True
    assert json.loads(payload["trivec"]["extra"]) == extra
    assert CODECS["llama_index"].decode(StoredPoint("p", payload)) == chunk


@pytest.mark.parametrize(
    ("references", "source"),
    [
        ({"ref_doc_id": "a", "doc_id": "b", "document_id": "c"}, "a"),
        ({"ref_doc_id": "None", "doc_id": "b", "document_id": "c"}, "b"),
        ({"ref_doc_id": 3, "document_id": "c"}, "c"),
        ({"ref_doc_id": "None"}, None),
        ({}, None),
    ],
)
def test_a_foreign_node_names_its_source(references, source):
    assert llama_index(**references).source == source
    own = {"source": None}
    assert llama_index(trivec=own, **references).source is None  # ours says that there is none


@pytest.mark.parametrize(
    ("key", "paths", "hidden", "fallback"),
    [
        ("lang", ("lang",), False, None),
        ("ref_doc_id", (), True, Field("ref_doc_id", ("doc_id",))),
        ("doc_id", (), True, Field("doc_id", ("doc_id",))),
        ("document_id", (), True, Field("document_id", ("doc_id",))),
        ("_node_type", (), True, None),
        ("_node_content", (), True, None),
        ("trivec", (), True, None),
    ],
)
def test_where_llama_index_has_a_metadata_key(key, paths, hidden, fallback):
    field = Field(key, paths, ((key,),), "trivec.tokens", hidden=hidden, fallback=fallback)
    assert CODECS["llama_index"].metadata_field(key) == field


def test_a_key_that_llama_index_hides_has_tokens():
    payload = CODECS["llama_index"].encode(replace(CHUNK, metadata={"doc_id": "mine"}), None)
    assert payload["doc_id"] == "a.md"
    assert payload["trivec"]["tokens"] == ['{"names": ["doc_id"]}', '["doc_id", "mine"]']
    assert CODECS["llama_index"].own_path("source") == "doc_id"
    assert CODECS["llama_index"].own_path("tenant") == "trivec.tenant"


def test_a_chunk_is_written_as_haystack_writes_a_document():
    codec = CODECS["haystack"]
    assert codec.encode(CHUNK, "red", "whole") == {
        "id": "7",
        "content": "text",
        "meta": {"lang": "zh", "trivec": {**OWN, "tenant": "red", "context": "whole"}},
    }
    hiding = replace(CHUNK, metadata={"trivec": "mine"})
    payload = codec.encode(hiding, None)
    assert payload["meta"] == {
        "trivec": {
            **OWN,
            "hidden": '"mine"',
            "tokens": ['{"names": ["trivec"]}', '["trivec", "mine"]'],
        }
    }
    assert codec.decode(StoredPoint("p", payload)) == hiding
    assert codec.own(payload)["id"] == "7"
    assert codec.own({"meta": 3}) == codec.own({}) == {}


def test_a_foreign_document_is_read_as_far_as_it_goes():
    decode = CODECS["haystack"].decode
    document = {"id": "h", "content": "hi", "meta": {"a": 1}, "blob": None, "score": None}
    assert decode(StoredPoint("p", document)) == Chunk("hi", id="h", metadata={"a": 1})
    assert decode(StoredPoint("p", {"content": None})) == Chunk("", id="p")


def test_where_haystack_has_a_metadata_key():
    codec = CODECS["haystack"]
    tokens = "meta.trivec.tokens"
    assert codec.metadata_field("lang") == Field("lang", ("meta.lang",), (("lang",),), tokens)
    hidden = Field("trivec", (), (("trivec",),), tokens, hidden=True)
    assert codec.metadata_field("trivec") == hidden
    assert codec.own_path("tenant") == "meta.trivec.tenant"


def test_a_later_layout_is_named_with_what_is_known():
    with pytest.raises(CollectionError) as caught:
        stored_codec("later", {})
    assert str(caught.value) == (
        "the collection has the payload layout 'later', this trivec knows "
        "['haystack', 'langchain', 'llama_index', 'trivec']; use the version that wrote it"
    )


def test_digits_are_numbers_only_where_the_points_are_numbered():
    with HybridIndex.open(MemoryStore(), FakeEncoder()) as index:
        plain = binding_of(index)
        numbered = replace(plain, schema=replace(plain.schema, integer_ids=True))
        assert numbered.point_id("5") == 5
        assert numbered.point_id(str(2**64 - 1)) == 2**64 - 1
        for text in ("05", "-5", "5.0", " 5", "٥", str(2**64), "9" * 5000, "x"):
            assert numbered.point_id(text) == plain.point_id(text)
            assert isinstance(numbered.point_id(text), str)
        assert isinstance(plain.point_id("5"), str)
