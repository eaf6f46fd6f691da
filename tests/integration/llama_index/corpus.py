"""A few nodes whose right answers are plain."""

from __future__ import annotations

from uuid import NAMESPACE_URL, uuid5

from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode

__all__ = ["DOCUMENTS", "METADATA", "NAMES", "TEXTS", "make_node", "node_id"]

TEXTS = {
    "cat": "the cat sleeps on the warm sofa",
    "dog": "the dog runs in the green park",
    "car": "a red car drives on the road to town",
    "tea": "green tea is a warm drink from china",
    "zh1": "猫在温暖的沙发上睡觉",
    "zh2": "红色的汽车在公路上行驶",
}
METADATA = {
    "cat": {"lang": "en", "year": 2001, "rating": 4.5, "tags": ["pet", "home"], "title": "Cats"},
    "dog": {"lang": "en", "year": 2005, "rating": 3.0, "tags": ["pet"], "title": "Green Dogs"},
    "car": {"lang": "en", "year": 2010, "rating": 2.5, "tags": [], "title": "Red cars"},
    "tea": {"lang": "en", "year": 2020, "rating": 5.0, "tags": ["home"], "note": "hot"},
    "zh1": {"lang": "zh", "year": 2001, "rating": 4.5, "tags": ["pet"], "title": "猫"},
    "zh2": {"lang": "zh", "year": 2024, "rating": 1.5, "title": "汽车", "note": None},
}
DOCUMENTS = {"cat": "animals", "dog": "animals", "car": "traffic", "tea": "drinks"}


def node_id(name: str) -> str:
    """Return the UUID of a node, which Qdrant's own adapter needs."""
    return str(uuid5(NAMESPACE_URL, name))


NAMES = {node_id(name): name for name in TEXTS}


def make_node(name: str) -> TextNode:
    """Return a node; its metadata are not part of what is embedded."""
    node = TextNode(
        id_=node_id(name),
        text=TEXTS[name],
        metadata=dict(METADATA[name]),
        excluded_embed_metadata_keys=list(METADATA[name]),
    )
    if name in DOCUMENTS:
        source = RelatedNodeInfo(node_id=DOCUMENTS[name])
        node.relationships[NodeRelationship.SOURCE] = source
    return node
