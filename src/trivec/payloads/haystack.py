"""Haystack's payload layout, as its ``QdrantDocumentStore`` writes and reads it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from trivec.payloads.fields import Field, metadata_field, tokens
from trivec.payloads.trivec import TOKENS, PayloadCodec, mapping
from trivec.types import Chunk, PointId, StoredPoint

__all__ = ["HaystackCodec"]

NAMESPACE = uuid.UUID("3896d314-1e95-4a3a-b45a-945f9f0b541d")
"""The uuid5 namespace in which Haystack turns its document ids into point ids."""

_FLAT = PayloadCodec(name="haystack", text_key="content", metadata_key="meta")


@dataclass(frozen=True, slots=True)
class HaystackCodec:
    """A Haystack ``Document`` as a dict: ``id``, ``content``, ``meta``.

    Haystack refuses documents with keys that it does not know, so trivec's own fields lie in
    ``meta``, under ``trivec``. A metadata key of that name is kept among them, where filters do
    not find it.

    Attributes:
        name: what the collection remembers it by.
    """

    name: str = "haystack"

    def encode(
        self, chunk: Chunk, tenant: str | None, context: str | None = None
    ) -> dict[str, Any]:
        """Return the payload of an identified, cleaned chunk."""
        payload = _FLAT.encode(chunk, tenant, context)
        own = payload.pop(_FLAT.own_key)
        if _FLAT.own_key in chunk.metadata:
            own["hidden"] = json.dumps(chunk.metadata[_FLAT.own_key], allow_nan=False)
            own[TOKENS] = tokens(chunk.metadata, (_FLAT.own_key,))
        payload["meta"][_FLAT.own_key] = own
        return {"id": chunk.id, **payload}

    def decode(self, point: StoredPoint) -> Chunk:
        """Return the chunk that lies in a point; a foreign one has Haystack's document id."""
        meta = dict(mapping(point.payload.get("meta")))
        own = mapping(meta.pop(_FLAT.own_key, None))
        if "hidden" in own:
            meta[_FLAT.own_key] = json.loads(own["hidden"])
        identity = str(point.payload.get("id", point.id))
        flat = {**point.payload, "meta": meta, _FLAT.own_key: {"id": identity, **own}}
        return _FLAT.decode(replace(point, payload=flat))

    def own(self, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return trivec's own fields of a payload; a foreign one has none."""
        return mapping(mapping(payload.get("meta")).get(_FLAT.own_key))

    def metadata_field(self, key: str) -> Field:
        """Return where a metadata key lies, for filters."""
        field = metadata_field(key, "meta.", self.own_path(TOKENS))
        return replace(field, paths=(), hidden=True) if key == _FLAT.own_key else field

    def own_path(self, key: str) -> str:
        """Return the payload path of one of trivec's own fields."""
        return f"meta.{_FLAT.own_key}.{key}"

    def point_id(self, identity: str) -> PointId:
        """Return the point id of a document id, as Haystack computes it."""
        return str(uuid.uuid5(NAMESPACE, identity))
