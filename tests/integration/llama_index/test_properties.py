"""Nodes of any content come back whole; filters mean what LlamaIndex says they mean."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)
from llama_index.core.vector_stores.utils import build_metadata_filter_fn

from llama_index_trivec import TrivecVectorStore
from llama_index_trivec._convert import chunk_of, node_of
from trivec import HybridIndex
from trivec.payloads.codecs import CODECS
from trivec.payloads.trivec import identify
from trivec.testing import FakeEncoder, MemoryStore
from trivec.text import clean
from trivec.types import StoredPoint

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
RELATED = st.builds(RelatedNodeInfo, node_id=TEXT.filter(bool), metadata=st.just({"a": 1}))
NODES = st.builds(
    TextNode,
    id_=TEXT.filter(bool),
    text=TEXT,
    metadata=st.dictionaries(TEXT, JSON, max_size=4),
    excluded_embed_metadata_keys=st.lists(TEXT, max_size=2),
    excluded_llm_metadata_keys=st.lists(TEXT, max_size=2),
    start_char_idx=st.none() | st.integers(0, 100),
    relationships=st.dictionaries(
        st.sampled_from([NodeRelationship.SOURCE, NodeRelationship.NEXT]), RELATED
    ),
)


@given(NODES, st.sampled_from(sorted(CODECS)))
def test_any_node_comes_back_from_any_payload_layout(node, layout):
    chunk = identify(chunk_of(node))
    payload = CODECS[layout].encode(chunk, None)
    assert node_of(CODECS[layout].decode(StoredPoint("1", payload))) == node


@given(NODES.filter(lambda node: clean(node.text).strip()))
def test_any_node_is_found_again_by_its_id(node):
    with HybridIndex.open(MemoryStore(), FakeEncoder()) as index:
        store = TrivecVectorStore(index)
        store.add([node])
        store.add([node])
        assert store.get_nodes([node.node_id]) == [node]
        assert index.count() == 1


# Where Qdrant and LlamaIndex's reference differ on purpose (a list matches by one element, text
# operators), test_conformance.py says what is right; here values are plain.
VALUES = {"number": [0, 1, 2, 3], "word": ["a", "b", "ab"], "rating": [0.5, 1.5]}
ROWS = [
    {"number": 0, "word": "a", "rating": 0.5, "tags": ["a", "b"]},
    {"number": 1, "word": "b", "tags": ["b"]},
    {"number": 2, "rating": 1.5, "tags": []},
    {"word": "ab", "rating": 0.5},
    {"number": 3, "word": "a", "rating": 1.5, "tags": ["a", "ab"]},
]


@st.composite
def leaves(draw):
    key = draw(st.sampled_from([*VALUES, "tags"]))
    if key == "tags":
        operator = draw(st.sampled_from(["any", "all", "contains", "is_empty"]))
        words = st.sampled_from(VALUES["word"])
        value = draw(words if operator == "contains" else st.lists(words, min_size=1, max_size=2))
    else:
        ordered = ["<", "<=", ">", ">="] if key != "word" else []
        operator = draw(st.sampled_from(["==", "!=", "in", "nin", "is_empty", *ordered]))
        values = st.sampled_from(VALUES[key])
        many = operator in ("in", "nin")
        value = draw(st.lists(values, min_size=1, max_size=2) if many else values)
    if operator == "is_empty":
        value = None
    return MetadataFilter(key=key, operator=FilterOperator(operator), value=value)


CONDITIONS = st.sampled_from(list(FilterCondition))
FILTERS = st.recursive(
    st.builds(MetadataFilters, filters=st.lists(leaves(), max_size=3), condition=CONDITIONS),
    lambda inner: st.builds(
        MetadataFilters,
        filters=st.lists(leaves() | inner, min_size=1, max_size=3),
        condition=CONDITIONS,
    ),
    max_leaves=3,
)


def holds(filters: MetadataFilters, row: dict) -> bool | None:
    """Evaluate as LlamaIndex does, nested conditions too; an empty list is no condition."""
    results = []
    for part in filters.filters:
        if isinstance(part, MetadataFilters):
            results.append(holds(part, row))
        else:
            results.append(build_metadata_filter_fn(lambda _: row, _only(part))(""))
    known = [result for result in results if result is not None]
    if not known:
        return None
    if filters.condition is FilterCondition.AND:
        return all(known)
    return any(known) if filters.condition is FilterCondition.OR else not any(known)


def _only(part: MetadataFilter) -> MetadataFilters:
    return MetadataFilters(filters=[part])


def test_any_filter_means_what_llama_index_means(open_index):
    stores = [TrivecVectorStore(open_index(kind)) for kind in ("edge", "memory")]
    nodes = [TextNode(text=f"t{at}", id_=str(at), metadata=row) for at, row in enumerate(ROWS)]
    for store in stores:
        store.add(nodes)

    @settings(max_examples=150)
    @given(FILTERS)
    def check(filters):
        expected = [str(at) for at, row in enumerate(ROWS) if holds(filters, row) is not False]
        for store in stores:
            found = store.get_nodes(filters=filters)
            assert sorted(node.node_id for node in found) == expected

    check()
