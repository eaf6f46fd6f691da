"""What a LlamaIndex vector store does, as one suite over ours and over LlamaIndex's own.

Ours passes all of it. Where another one fails, DIFFERENCES says how; a difference that goes away
in a newer version fails the suite, so that the list stays true.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import pytest
from llama_index.core.schema import (
    Document,
    ImageNode,
    IndexNode,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from qdrant_client import QdrantClient
from tests.integration.llama_index.corpus import NAMES, TEXTS, make_node, node_id

from llama_index_trivec import BGEM3Embedding, TrivecVectorStore
from trivec import IndexConfig
from trivec.testing import FakeEncoder

OURS = ("edge", "memory", "edge-llama_index-codec")
OTHERS = ("simple", "qdrant")

NO_NODES = "keeps no nodes"
NO_ASYNC = "needs a second, asynchronous client; two in-memory clients share no data"
NO_SPARSE = "has no sparse vectors"
UNFILTERED = "raises NotImplementedError"
DIFFERENCES: dict[str, dict[str, str]] = {
    "simple": {
        "test_delete_nodes_without_a_restriction_is_refused": "deletes everything",
        "test_get_nodes_by_id_in_the_order_asked": NO_NODES,
        "test_get_nodes_by_filter": NO_NODES,
        "test_a_node_comes_back_whole[text]": NO_NODES,
        "test_a_node_comes_back_whole[index]": NO_NODES,
        "test_a_node_comes_back_whole[image]": NO_NODES,
        "test_a_node_comes_back_whole[document]": NO_NODES,
        "test_what_was_added_is_not_changed": NO_NODES,
        "test_async_reads_nodes": NO_NODES,
        "test_filters[tags in ['home', 'x']]": "looks for the whole list",
        "test_filters[tags == pet]": "looks for the whole list",
        "test_nested_conditions": "raises ValueError",
        "test_source_documents_restrict": "ignores doc_ids",
        "test_sparse_and_text_search": NO_SPARSE,
        "test_alpha_runs_from_lexical_to_dense": NO_SPARSE,
        "test_a_query_by_words_alone": "needs an embedding",
        "test_unsupported_arguments_are_refused": "ignores them",
    },
    "qdrant": {
        "test_an_empty_store_finds_nothing": "has no collection before the first node",
        "test_delete_nodes_by_id_and_filter": "ORs the ids with filters that are ORed",
        "test_delete_nodes_without_a_restriction_is_refused": "deletes everything",
        "test_a_node_comes_back_whole[document]": "gives a TextNode back",
        "test_filters[note != hot]": "leaves out nodes without the key",
        "test_filters[note nin ['hot']]": "leaves out nodes without the key",
        "test_filters[rating in [4.5, 1.5]]": "cannot look for floats",
        "test_filters[tags any ['home', 'x']]": UNFILTERED,
        "test_filters[tags all ['pet', 'home']]": UNFILTERED,
        "test_filters[tags contains pet]": UNFILTERED,
        "test_filters[title text_match dogs]": "looks for words in any case",
        "test_filters[title text_match een Do]": "looks for words in any case",
        "test_conditions[filters5-None-cat dog car tea]": "takes no condition for no filter",
        "test_nested_conditions": UNFILTERED,
        "test_sparse_and_text_search": "answers TEXT_SEARCH with the dense vectors",
        "test_alpha_runs_from_lexical_to_dense": "returns dense matches, scored 0, for alpha=0",
        "test_mmr_prefers_what_is_new": "answers MMR with the plain order",
        "test_a_query_by_words_alone": "needs an embedding",
        "test_any_text_is_an_id": "takes UUIDs and integers only",
        "test_unsupported_arguments_are_refused": "ignores them",
        "test_async_does_the_same": NO_ASYNC,
        "test_async_reads_nodes": NO_ASYNC,
    },
}
"""By store and case: what it does instead."""


def make_store(kind: str, tmp_path, stack: contextlib.ExitStack) -> BasePydanticVectorStore:
    from trivec import HybridIndex

    if kind == "simple":
        return SimpleVectorStore()
    encoder = FakeEncoder()
    if kind.startswith("edge"):
        config = IndexConfig(codec="llama_index" if "codec" in kind else "trivec")
        index = stack.enter_context(HybridIndex.open(tmp_path / "kb", encoder, config=config))
        return TrivecVectorStore(index)
    client = stack.enter_context(contextlib.closing(QdrantClient(":memory:")))
    if kind == "memory":
        return TrivecVectorStore(HybridIndex.open(client, encoder, collection="kb"))
    from llama_index.vector_stores.qdrant import QdrantVectorStore

    sparse = BGEM3Embedding(encoder).sparse()
    return QdrantVectorStore(
        "kb",
        client,
        enable_hybrid=True,
        index_doc_id=False,  # a payload index, which the client's local mode does not have
        sparse_doc_fn=sparse.encode_documents,
        sparse_query_fn=sparse.encode_queries,
    )


@pytest.fixture(params=[*OURS, *OTHERS])
def kind(request) -> str:
    """Which store; a case in which another one is known to differ must fail there."""
    name = request.node.name.replace(f"[{request.param}]", "").replace(f"[{request.param}-", "[")
    reason = DIFFERENCES.get(request.param, {}).get(name)
    if reason is not None:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    return request.param


@pytest.fixture
def empty(kind, tmp_path):
    with contextlib.ExitStack() as stack:
        yield make_store(kind, tmp_path, stack)


@pytest.fixture
def embed() -> BGEM3Embedding:
    return BGEM3Embedding(FakeEncoder())


@pytest.fixture
def embedded(embed, nodes) -> Sequence[TextNode]:
    return embed(nodes)


@pytest.fixture
def store(empty, embedded) -> BasePydanticVectorStore:
    empty.add(embedded)
    return empty


@pytest.fixture
def ask(embed):
    def asked(text: str, top_k: int = 10, mode: str = "default", **fields) -> VectorStoreQuery:
        return VectorStoreQuery(
            query_embedding=embed.get_query_embedding(text),
            query_str=text,
            similarity_top_k=top_k,
            mode=VectorStoreQueryMode(mode),
            **fields,
        )

    return asked


def names(result) -> list[str]:
    return [NAMES.get(identity, identity) for identity in result.ids]


def one(key: str, operator: str, value=None) -> MetadataFilters:
    return MetadataFilters(
        filters=[MetadataFilter(key=key, operator=FilterOperator(operator), value=value)]
    )


def test_add_returns_the_ids_in_order(empty, embedded):
    assert empty.add(embedded) == [node.node_id for node in embedded]
    assert empty.add([]) == []


@pytest.mark.parametrize(("text", "name"), [("green tea", "tea"), ("红色汽车", "zh2")])
def test_the_nearest_come_first(store, ask, text, name):
    result = store.query(ask(text, 3))
    assert names(result)[0] == name
    assert len(result.ids) == len(result.similarities) == 3
    assert result.similarities == sorted(result.similarities, reverse=True)


def test_the_similarity_of_a_dense_query_is_the_cosine(store, ask, embed):
    query = ask("green tea", 1)
    passage = embed.get_text_embedding(TEXTS["tea"])
    expected = embed.similarity(query.query_embedding, passage)
    assert store.query(query).similarities[0] == pytest.approx(expected, abs=1e-5)


def test_more_than_there_are(store, ask):
    assert sorted(names(store.query(ask("cat", 100)))) == sorted(TEXTS)


def test_an_empty_store_finds_nothing(empty, ask):
    empty.add([])
    assert list(empty.query(ask("cat", 3)).ids or []) == []


def test_adding_again_changes_nothing(store, embedded, ask):
    store.add(embedded)
    assert sorted(names(store.query(ask("cat", 100)))) == sorted(TEXTS)


def test_a_new_text_under_an_old_id_replaces_it(store, embed, ask):
    changed = make_node("cat")
    changed.set_content("an aeroplane flies above the clouds")
    store.add(embed([changed]))
    result = store.query(ask("aeroplane clouds", 100))
    assert names(result)[0] == "cat"
    assert len(result.ids) == len(TEXTS)


def test_delete_by_source_document(store, ask):
    store.delete("animals")
    store.delete("there is no such document")
    assert sorted(names(store.query(ask("cat", 100)))) == ["car", "tea", "zh1", "zh2"]


def test_delete_nodes_by_id(store, ask):
    store.delete_nodes([node_id("cat"), node_id("unknown")])
    assert "cat" not in names(store.query(ask("cat", 100)))
    assert len(store.query(ask("cat", 100)).ids) == 5


def test_delete_nodes_by_filter(store, ask):
    store.delete_nodes(filters=one("lang", "==", "en"))
    assert sorted(names(store.query(ask("cat", 100)))) == ["zh1", "zh2"]


def test_delete_nodes_by_id_and_filter(store, ask):
    both = [node_id("cat"), node_id("zh1")]
    filters = MetadataFilters(
        filters=[
            MetadataFilter(key="lang", value="zh"),
            MetadataFilter(key="lang", value="fr"),
        ],
        condition=FilterCondition.OR,
    )
    store.delete_nodes(both, filters)
    assert sorted(names(store.query(ask("cat", 100)))) == ["car", "cat", "dog", "tea", "zh2"]


def test_delete_nodes_without_a_restriction_is_refused(store, ask):
    with pytest.raises(ValueError, match="delete"):
        store.delete_nodes()
    assert len(store.query(ask("cat", 100)).ids) == len(TEXTS)


def test_clear_empties_and_leaves_a_usable_store(store, embedded, ask):
    store.clear()
    store.add(embedded[:2])
    assert sorted(names(store.query(ask("cat", 100)))) == ["cat", "dog"]


def test_get_nodes_by_id_in_the_order_asked(store):
    wanted = [node_id("tea"), node_id("unknown"), node_id("cat")]
    found = store.get_nodes(wanted)
    assert [NAMES[node.node_id] for node in found] == ["tea", "cat"]
    assert found[0].get_content() == TEXTS["tea"]


def test_get_nodes_by_filter(store):
    found = store.get_nodes(filters=one("year", ">=", 2010))
    assert {NAMES[node.node_id] for node in found} == {"car", "tea", "zh2"}
    some = store.get_nodes([node_id("cat"), node_id("car")], one("year", ">=", 2010))
    assert [NAMES[node.node_id] for node in some] == ["car"]


WHOLE = {
    "text": TextNode(
        text="one",
        metadata={"a": 1, "nested": {"b": [1.5, None, True]}, "secret": "x"},
        excluded_embed_metadata_keys=["secret"],
        excluded_llm_metadata_keys=["a"],
        start_char_idx=3,
        end_char_idx=6,
        text_template="{content} // {metadata_str}",
        metadata_template="{key}={value}",
        relationships={
            NodeRelationship.SOURCE: RelatedNodeInfo(node_id="doc", metadata={"file": "d.md"}),
            NodeRelationship.NEXT: RelatedNodeInfo(node_id="next"),
            NodeRelationship.CHILD: [RelatedNodeInfo(node_id="child")],
        },
    ),
    "index": IndexNode(text="two", index_id="table", obj=TextNode(text="inner", id_="inner")),
    "image": ImageNode(text="three", image="aGVsbG8=", image_mimetype="image/png"),
    "document": Document(text="four", metadata={"k": "v"}),
}


@pytest.mark.parametrize("what", WHOLE)
def test_a_node_comes_back_whole(empty, embed, ask, what):
    node = WHOLE[what].model_copy(deep=True)
    empty.add(embed([node]))
    [found] = empty.query(ask(node.get_content(), 1)).nodes
    assert type(found) is type(node)
    found.embedding = node.embedding = None
    assert found == node


def test_what_was_added_is_not_changed(empty, embed, ask):
    nodes = embed([make_node("cat")])
    before = nodes[0].model_copy(deep=True)
    empty.add(nodes)
    found = empty.query(ask("cat", 1)).nodes[0]
    found.metadata["new"] = 1
    assert nodes[0] == before


FILTERS = [
    ("lang", "==", "zh", "zh1 zh2"),
    ("year", "==", 2001, "cat zh1"),
    ("rating", "==", 4.5, "cat zh1"),
    ("lang", "!=", "en", "zh1 zh2"),
    ("note", "!=", "hot", "cat dog car zh1 zh2"),
    ("year", ">", 2010, "tea zh2"),
    ("year", ">=", 2010, "car tea zh2"),
    ("rating", "<", 3.0, "car zh2"),
    ("rating", "<=", 3, "dog car zh2"),
    ("year", "in", [2001, 2005], "cat dog zh1"),
    ("rating", "in", [4.5, 1.5], "cat zh1 zh2"),
    ("lang", "nin", ["en", "fr"], "zh1 zh2"),
    ("note", "nin", ["hot"], "cat dog car zh1 zh2"),
    ("tags", "any", ["home", "x"], "cat tea"),
    ("tags", "in", ["home", "x"], "cat tea"),
    ("tags", "==", "pet", "cat dog zh1"),
    ("tags", "all", ["pet", "home"], "cat"),
    ("tags", "contains", "pet", "cat dog zh1"),
    ("title", "text_match", "Dogs", "dog"),
    ("title", "text_match", "dogs", ""),
    ("title", "text_match", "een Do", "dog"),
    ("title", "text_match_insensitive", "red CARS", "car"),
    ("title", "is_empty", None, "tea"),
    ("note", "is_empty", None, "cat dog car zh1 zh2"),
    ("tags", "is_empty", None, "car zh2"),
]


@pytest.mark.parametrize(
    "case", FILTERS, ids=[f"{key} {operator} {value}" for key, operator, value, _ in FILTERS]
)
def test_filters(store, ask, case):
    key, operator, value, expected = case
    found = names(store.query(ask("cat", 100, filters=one(key, operator, value))))
    assert sorted(found) == sorted(expected.split())


ZH, EN = MetadataFilter(key="lang", value="zh"), MetadataFilter(key="lang", value="en")
OLD = MetadataFilter(key="year", operator=FilterOperator.LT, value=2006)
PET = MetadataFilter(key="tags", operator=FilterOperator.CONTAINS, value="pet")
AND, OR, NOT = FilterCondition.AND, FilterCondition.OR, FilterCondition.NOT


@pytest.mark.parametrize(
    ("filters", "condition", "expected"),
    [
        ([EN, OLD], AND, "cat dog"),
        ([ZH, OLD], OR, "cat dog zh1 zh2"),
        ([EN, OLD], NOT, "zh2"),
        ([], AND, "cat dog car tea zh1 zh2"),
        ([], OR, "cat dog car tea zh1 zh2"),
        ([EN], None, "cat dog car tea"),
    ],
)
def test_conditions(store, ask, filters, condition, expected):
    joined = MetadataFilters(filters=filters, condition=condition)
    assert sorted(names(store.query(ask("cat", 100, filters=joined)))) == sorted(expected.split())


def test_nested_conditions(store, ask):
    inner = MetadataFilters(filters=[EN, PET], condition=NOT)
    middle = MetadataFilters(filters=[MetadataFilters(filters=[]), inner, OLD], condition=OR)
    outer = MetadataFilters(filters=[middle, PET], condition=AND)
    assert sorted(names(store.query(ask("cat", 100, filters=outer)))) == ["cat", "dog", "zh1"]


def test_source_documents_restrict(store, ask):
    query = ask("cat", 100, doc_ids=["animals", "drinks"])
    assert sorted(names(store.query(query))) == ["cat", "dog", "tea"]


def test_source_documents_as_a_filter(store, ask):
    query = ask("cat", 100, filters=one("ref_doc_id", "==", "animals"))
    assert sorted(names(store.query(query))) == ["cat", "dog"]


def test_nodes_restrict(store, ask):
    query = ask(
        "cat", 100, node_ids=[node_id("tea"), node_id("car")], filters=one("lang", "==", "en")
    )
    assert sorted(names(store.query(query))) == ["car", "tea"]


def test_sparse_and_text_search(store, ask):
    assert names(store.query(ask("green tea", 2, "sparse")))[0] == "tea"
    assert "zh1" not in names(store.query(ask("green tea", 100, "sparse")))
    assert names(store.query(ask("红色 汽车", 2, "text_search")))[0] == "zh2"
    assert "cat" not in names(store.query(ask("红色 汽车", 100, "text_search")))


def test_alpha_runs_from_lexical_to_dense(store, ask):
    text = "a warm sofa in the park"
    dense = names(store.query(ask(text, 6)))
    assert names(store.query(ask(text, 6, "hybrid", alpha=1.0)))[:3] == dense[:3]
    lexical = store.query(ask(text, 6, "hybrid", alpha=0.0))
    assert not {"zh1", "zh2"} & set(names(lexical))  # no word in common
    both = names(store.query(ask(text, 6, "hybrid", alpha=0.5)))
    assert set(both) >= set(dense[:3])


def test_mmr_prefers_what_is_new(empty, embed, ask):
    texts = ["green tea", "green tea cup", "tea from china in a pot"]
    empty.add(embed([TextNode(text=text, id_=node_id(text)) for text in texts]))
    first, second = empty.query(ask("green tea", 2, "mmr"), mmr_threshold=0.1).ids
    assert first == node_id(texts[0])
    assert second == node_id(texts[2])


def test_a_query_by_words_alone(store):
    query = VectorStoreQuery(query_str="green tea", similarity_top_k=1)
    assert names(store.query(query)) == ["tea"]


def test_any_text_is_an_id(empty, embed, ask):
    ids = ["tea", "茶 1", "42", "a/b?c"]
    nodes = [TextNode(text=f"tea {number}", id_=ids[number]) for number in range(4)]
    assert empty.add(embed(nodes)) == ids
    assert sorted(empty.query(ask("tea", 10)).ids) == sorted(ids)
    empty.delete_nodes(["茶 1"])
    assert sorted(empty.query(ask("tea", 10)).ids) == sorted({*ids} - {"茶 1"})


def test_unsupported_arguments_are_refused(store, ask):
    with pytest.raises(ValueError, match="surprise"):
        store.query(ask("cat", 1), surprise=1)
    with pytest.raises(ValueError, match="svm"):
        store.query(ask("cat", 1, "svm"))


async def test_async_does_the_same(empty, embedded, ask):
    assert await empty.async_add(embedded) == [node.node_id for node in embedded]
    query = ask("green tea", 6)
    found = await empty.aquery(query)
    assert (found.ids, found.similarities) == (
        empty.query(query).ids,
        empty.query(query).similarities,
    )
    await empty.adelete("animals")
    await empty.adelete_nodes([node_id("car")])
    assert sorted(names(await empty.aquery(ask("cat", 100)))) == ["tea", "zh1", "zh2"]
    await empty.aclear()
    await empty.async_add(embedded[:1])
    assert names(await empty.aquery(ask("cat", 100))) == ["cat"]


async def test_async_reads_nodes(empty, embedded):
    await empty.async_add(embedded)
    [found] = await empty.aget_nodes([node_id("tea")])
    assert found.get_content() == TEXTS["tea"]
