"""Between LlamaIndex's nodes and the core's chunks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

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

from trivec.adapters import plain_values
from trivec.errors import InputError
from trivec.types import Chunk, Hit, Refusal

__all__ = ["chat_messages", "chunk_of", "chunks_of", "node_of", "scored_node_of"]

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
    if not isinstance(node, BaseNode):
        raise InputError(f"a {type(node).__name__} is not a node; give a list of nodes")
    given = node.metadata
    try:
        content = node.model_dump(mode="json", fallback=_python_value)
    except ValueError as err:
        raise InputError(
            f"node {node.node_id!r} cannot be written as JSON ({type(err).__name__}); its metadata "
            "may hold text, numbers, lists and dicts, and the obj of an IndexNode belongs into the "
            "object_map of a retriever"
        ) from err
    content["embedding"] = None
    for key in (key for key, value in given.items() if isinstance(value, (set, frozenset))):
        content["metadata"][key] = plain_values(given[key])  # in the same order at every run
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


def chunks_of(nodes: Iterable[BaseNode] | object) -> tuple[list[Chunk], list[Refusal]]:
    """Return nodes as chunks, and those that cannot be written, with the reasons.

    Raises:
        InputError: it is no list of nodes.
    """
    if isinstance(nodes, (BaseNode, str)) or not isinstance(nodes, Iterable):
        raise InputError(f"nodes is a {type(nodes).__name__}; give a list of nodes")
    chunks, refused = [], []
    for node in nodes:
        try:
            chunks.append(chunk_of(node))
        except InputError as err:
            if not isinstance(node, BaseNode):
                raise
            refused.append(Refusal(node.node_id, str(err)))
    return chunks, refused


def _python_value(value: Any) -> Any:
    """Return a value that pydantic cannot write: one of numpy's as Python's.

    Raises:
        ValueError: it is of another type.
    """
    plain = plain_values(value)
    if plain is value:
        raise ValueError(f"a {type(value).__name__} is not JSON")
    return plain


class Explanation(dict[str, Any]):
    """What the arms said of a hit; written as one word, which is all that a node's hash sees.

    So nodes that several queries found have one hash, and ``QueryFusionRetriever`` joins them.
    """

    def __repr__(self) -> str:
        return "<explanation>"

    __str__ = __repr__


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

    The arms, matches and parts of an explained hit lie in the metadata under ``trivec``, a key that
    neither embedding nor prompt shows, where the user has no such key.
    """
    node = node_of(hit.chunk)
    if (hit.arms or hit.matches) and EXPLANATION not in node.metadata:
        matches = [
            {"arm": match.arm, "term": match.term, "score": match.score} for match in hit.matches
        ]
        parts = [{**asdict(part), "why": part.why} for part in hit.parts]
        node.metadata[EXPLANATION] = Explanation(arms=dict(hit.arms), matches=matches, parts=parts)
        node.excluded_embed_metadata_keys.append(EXPLANATION)
        node.excluded_llm_metadata_keys.append(EXPLANATION)
    return NodeWithScore(node=node, score=hit.score)


def chat_messages(messages: Sequence[Mapping[str, str]]) -> list[ChatMessage]:
    """Return ``{"role": ..., "content": ...}`` messages as LlamaIndex's LLMs take them."""
    return [ChatMessage(role=message["role"], content=message["content"]) for message in messages]
