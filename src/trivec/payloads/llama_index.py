"""LlamaIndex's payload layout, so that its own ``QdrantVectorStore`` and trivec read each other.

LlamaIndex keeps a node whole, as JSON text under ``_node_content``, and copies its metadata flat
to the top level, where filters find it::

    {"lang": "zh", "_node_content": "{...}", "_node_type": "TextNode",
     "doc_id": "...", "document_id": "...", "ref_doc_id": "...", "trivec": {...}}

An adapter hands a node over in :attr:`trivec.Chunk.extra`, under the same two keys, and gets it
back there, letter for letter::

    Chunk(text=..., id=node.node_id, source=node.ref_doc_id, metadata=node.metadata,
          extra={"_node_content": node.to_json(), "_node_type": node.class_name()})

The chunk's own text and metadata count for trivec; where they differ from the node's (an adapter
may want the metadata encoded with the text) they are kept beside it. A chunk without a node is
written as a ``TextNode`` and comes back without one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from trivec.payloads.fields import Field, metadata_field
from trivec.payloads.trivec import TOKENS, mapping, own_fields, point_id
from trivec.types import Chunk, PointId, StoredPoint

__all__ = ["NODE_CONTENT", "NODE_TYPE", "LlamaIndexCodec"]

NODE_CONTENT = "_node_content"
NODE_TYPE = "_node_type"
REFERENCES = ("doc_id", "document_id", "ref_doc_id")
NO_REFERENCE = "None"
"""What LlamaIndex writes for a node without a source document."""

_OWN = "trivec"
HIDDEN = frozenset({*REFERENCES, NODE_CONTENT, NODE_TYPE, _OWN})
"""Top-level keys that LlamaIndex and trivec keep for themselves."""

_OLD_KEYS = ("text", "id", "node_info", "relationships")
"""Top-level keys of LlamaIndex before 0.6, which stored no ``_node_content``."""

_SOURCE, _DOCUMENT = "1", "4"  # NodeRelationship.SOURCE, ObjectType.DOCUMENT


@dataclass(frozen=True, slots=True)
class LlamaIndexCodec:
    """Nodes as llama-index-vector-stores-qdrant writes them, and trivec's own fields.

    A source is LlamaIndex's ``ref_doc_id``, in foreign points too. In the flat copies, which serve
    filters only, a metadata key of LlamaIndex's or trivec's own is hidden by theirs.

    Attributes:
        name: what the collection remembers it by.
    """

    name: str = "llama_index"

    def encode(
        self, chunk: Chunk, tenant: str | None, context: str | None = None
    ) -> dict[str, Any]:
        """Return the payload of an identified, cleaned chunk."""
        own = own_fields(chunk, tenant, context, HIDDEN)
        extra = dict(chunk.extra)
        content, kind = extra.pop(NODE_CONTENT, None), extra.pop(NODE_TYPE, None)
        node = _parsed(content)
        if node is None or not isinstance(kind, str):
            own["without_node"] = True
            node, kind = _text_node(chunk), "TextNode"
            content, extra = json.dumps(node, ensure_ascii=False), dict(chunk.extra)
        if _text(node) != chunk.text:
            own["text"] = chunk.text
        if mapping(node.get("metadata")) != chunk.metadata:
            own["metadata"] = json.dumps(chunk.metadata, allow_nan=False)
        if extra:
            own["extra"] = json.dumps(extra, allow_nan=False)
        return {
            **chunk.metadata,
            **dict.fromkeys(REFERENCES, chunk.source or NO_REFERENCE),
            NODE_CONTENT: content,
            NODE_TYPE: kind,
            _OWN: own,
        }

    def decode(self, point: StoredPoint) -> Chunk:
        """Return the chunk that lies in a point; foreign points lack trivec's own fields."""
        payload, own = point.payload, self.own(point.payload)
        node = _parsed(payload.get(NODE_CONTENT))
        extra = json.loads(own["extra"]) if "extra" in own else {}
        if node is not None and not own.get("without_node"):
            extra |= {key: payload[key] for key in (NODE_CONTENT, NODE_TYPE) if key in payload}
        if node is None:
            node = {"text": payload.get("text"), "metadata": _flat_metadata(payload)}
        metadata = json.loads(own["metadata"]) if "metadata" in own else node.get("metadata")
        return Chunk(
            text=own.get("text", _text(node)),
            id=own.get("id", str(point.id)),
            source=own["source"] if "source" in own else _reference(payload),
            position=own.get("position", 0),
            metadata=mapping(metadata),
            extra=extra,
        )

    def own(self, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return trivec's own fields of a payload; a foreign one has none."""
        return mapping(payload.get(_OWN))

    def metadata_field(self, key: str) -> Field:
        """Return where a metadata key lies, for filters: at the top level, unless it is hidden.

        ``ref_doc_id``, ``doc_id`` and ``document_id`` are the user's own value where he gave one,
        else the source document.
        """
        field = metadata_field(key, "", self.own_path(TOKENS))
        if key not in HIDDEN:
            return field
        source = Field(key, (self.own_path("source"),)) if key in REFERENCES else None
        return replace(field, paths=(), hidden=True, fallback=source)

    def own_path(self, key: str) -> str:
        """Return the payload path of one of trivec's own fields; a source is a ``doc_id``."""
        return "doc_id" if key == "source" else f"{_OWN}.{key}"

    def point_id(self, identity: str) -> PointId:
        """Return the point id of a caller's id; see ``trivec.payloads.trivec.point_id``."""
        return point_id(identity)


def _parsed(content: Any) -> dict[str, Any] | None:
    """Return a node from its JSON text, None where there is none."""
    try:
        node = json.loads(content)
    except (TypeError, ValueError, RecursionError):
        return None
    return node if isinstance(node, dict) else None


def _text(node: Mapping[str, Any]) -> str:
    """Return a node's text: of a ``TextNode``, or of one with resources."""
    text = node.get("text") or mapping(node.get("text_resource")).get("text")
    return text if isinstance(text, str) else ""


def _text_node(chunk: Chunk) -> dict[str, Any]:
    """Return a chunk as LlamaIndex's ``TextNode``; what is left out has LlamaIndex's defaults."""
    relationships = {}
    if chunk.source is not None:
        document = {"node_id": chunk.source, "node_type": _DOCUMENT}
        relationships[_SOURCE] = {**document, "metadata": {}, "class_name": "RelatedNodeInfo"}
    return {
        "id_": chunk.id,
        "embedding": None,
        "metadata": dict(chunk.metadata),
        "relationships": relationships,
        "text": chunk.text,
        "class_name": "TextNode",
    }


def _flat_metadata(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a point that holds no node: all that is not LlamaIndex's own."""
    known = {*REFERENCES, *_OLD_KEYS, NODE_CONTENT, NODE_TYPE, _OWN}
    return {key: value for key, value in payload.items() if key not in known}


def _reference(payload: Mapping[str, Any]) -> str | None:
    """Return the source document that a foreign point names."""
    for key in ("ref_doc_id", "doc_id", "document_id"):
        value = payload.get(key)
        if isinstance(value, str) and value != NO_REFERENCE:
            return value
    return None
