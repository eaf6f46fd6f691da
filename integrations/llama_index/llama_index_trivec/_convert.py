"""Between LlamaIndex's nodes and the core's chunks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageDocument,
    ImageNode,
    IndexNode,
    MetadataMode,
    Node,
    NodeRelationship,
    NodeWithScore,
    ObjectType,
    RelatedNodeInfo,
    TextNode,
)

from trivec.errors import InputError
from trivec.types import Chunk, Hit

__all__ = ["chat_messages", "chunk_of", "node_of", "scored_node_of"]

NODE_CONTENT, NODE_TYPE = "_node_content", "_node_type"
"""LlamaIndex's own keys for a node that is stored whole; the core's codec knows them too."""

EXPLANATION = "trivec"
"""The metadata key of an explained hit's arms and matches."""

NODE_CLASSES: Mapping[str, type[BaseNode]] = {
    kind.class_name(): kind
    for kind in (Node, TextNode, ImageNode, IndexNode, Document, ImageDocument)
}


def chunk_of(node: BaseNode) -> Chunk:
    """Return a node as a chunk: its text is what LlamaIndex embeds, metadata included.

    The node itself, without its embedding, travels as JSON in ``Chunk.extra``.

    Raises:
        InputError: the node, or the object that an ``IndexNode`` points to, is not JSON.
    """
    try:
        content = node.model_dump(mode="json")
    except ValueError as err:
        raise InputError(
            f"node {node.node_id!r} cannot be written as JSON ({type(err).__name__}); its metadata "
            "may hold text, numbers, lists and dicts, and the obj of an IndexNode belongs into the "
            "object_map of a retriever"
        ) from err
    content["embedding"] = None
    return Chunk(
        text=node.get_content(MetadataMode.EMBED),
        id=node.node_id,
        source=node.ref_doc_id,
        metadata=content["metadata"],
        extra={
            NODE_CONTENT: json.dumps(content, ensure_ascii=False),
            NODE_TYPE: node.class_name(),
        },
    )


def node_of(chunk: Chunk) -> BaseNode:
    """Return a chunk as the node that it was, or as a ``TextNode`` where it never was one."""
    if NODE_CONTENT in chunk.extra:
        kind = NODE_CLASSES.get(str(chunk.extra.get(NODE_TYPE)), TextNode)
        return kind.from_json(chunk.extra[NODE_CONTENT])
    node = TextNode(id_=chunk.id or "", text=chunk.text, metadata=dict(chunk.metadata))
    if chunk.source is not None:
        source = RelatedNodeInfo(node_id=chunk.source, node_type=ObjectType.DOCUMENT)
        node.relationships[NodeRelationship.SOURCE] = source
    return node


def scored_node_of(hit: Hit) -> NodeWithScore:
    """Return a hit as LlamaIndex has it.

    The arms and matches of an explained hit lie in the metadata under ``trivec``, a key that
    neither embedding nor prompt shows.
    """
    node = node_of(hit.chunk)
    if hit.arms or hit.matches:
        matches = [
            {"arm": match.arm, "term": match.term, "score": match.score} for match in hit.matches
        ]
        node.metadata[EXPLANATION] = {"arms": dict(hit.arms), "matches": matches}
        node.excluded_embed_metadata_keys.append(EXPLANATION)
        node.excluded_llm_metadata_keys.append(EXPLANATION)
    return NodeWithScore(node=node, score=hit.score)


def chat_messages(messages: Sequence[Mapping[str, str]]) -> list[ChatMessage]:
    """Return ``{"role": ..., "content": ...}`` messages as LlamaIndex's LLMs take them."""
    return [ChatMessage(role=each["role"], content=each["content"]) for each in messages]
