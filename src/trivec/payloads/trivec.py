"""How a chunk lies in a point's payload, and how its id becomes a point id."""

from __future__ import annotations

import hashlib
import json
import math
import re
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from trivec._runtime.checks import check_least, shown
from trivec._runtime.plain import json_values, own_text
from trivec._runtime.typed import check_fields, checked, unchecked
from trivec.errors import InputError
from trivec.payloads.fields import Field, is_exact, key_path, metadata_field, tokens
from trivec.schema import MAX_DEPTH
from trivec.text import clean
from trivec.types import Chunk, PointId, StoredPoint

__all__ = [
    "IDENTITY",
    "NAMESPACE",
    "Codec",
    "PayloadCodec",
    "content_digest",
    "identify",
    "mapping",
    "own_fields",
    "point_id",
]

NAMESPACE = uuid.UUID("5c0cf3a5-3c0e-5c8e-9a54-1d2f6f2f7b1e")
"""The uuid5 namespace of ids that Qdrant cannot take as they are. It never changes."""

SCOPED_NAMESPACE = uuid.UUID("9e1f4c52-6f0a-5a86-8a7e-3d4b8c1d2e90")
"""The uuid5 namespace of ids that belong to a source. It never changes."""

IDENTITY = "id"
"""Which of trivec's own fields holds the caller's id."""

TOKENS = "tokens"
"""Which of trivec's own fields holds the tokens of ``trivec.payloads.fields``."""

_CANONICAL = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_UUID = re.compile("(?:urn:)?(?:uuid:)?[{]?[0-9A-Fa-f-]+[}]?")


class Codec(Protocol):
    """A payload layout: how a chunk becomes a payload and a stored point a chunk again.

    A codec gives back what it was given: ``decode`` of an encoded chunk equals the chunk.
    """

    @property
    def name(self) -> str:
        """What a collection remembers the layout by."""
        ...

    def encode(
        self, chunk: Chunk, tenant: str | None, context: str | None = None
    ) -> dict[str, Any]:
        """Return the payload of an identified, cleaned chunk; see ``own_fields``."""
        ...

    def decode(self, point: StoredPoint) -> Chunk:
        """Return the chunk that lies in a point, as far as a foreign point goes."""
        ...

    def own(self, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return trivec's own fields of a payload; a foreign one has none."""
        ...

    def metadata_field(self, key: str) -> Field:
        """Return where a metadata key lies, for filters."""
        ...

    def own_path(self, key: str) -> str:
        """Return the payload path of one of trivec's own fields."""
        ...

    def point_id(self, identity: str) -> PointId:
        """Return the point id of a caller's id."""
        ...


@dataclass(frozen=True, slots=True)
class PayloadCodec:
    """A payload layout: the text, the metadata nested under one key, and trivec's own fields.

    Attributes:
        name: what the collection remembers it by.
        text_key: key of the passage.
        metadata_key: key of the nested metadata.
        own_key: key of the object that holds id, source, position, digest and tenant.

    Raises:
        InputError: two of the keys are the same.
    """

    name: str = "trivec"
    text_key: str = "text"
    metadata_key: str = "metadata"
    own_key: str = "trivec"

    def __post_init__(self) -> None:
        check_fields(self)
        keys = (self.text_key, self.metadata_key, self.own_key)
        if len(set(keys)) < len(keys) or not all(keys):
            raise InputError(f"the codec's keys are {keys}; they must differ from each other")
        if odd := [key for key in keys if key_path(key) is None]:
            raise InputError(
                f"the codec has the key {shown(odd[0])}; Qdrant's paths take no \" and no \\"
            )

    @checked
    def encode(
        self, chunk: Chunk, tenant: str | None, context: str | None = None
    ) -> dict[str, Any]:
        """Return the payload of an identified, cleaned chunk; see ``own_fields``."""
        own = own_fields(chunk, tenant, context)
        if _has_fragile_float(chunk.metadata):
            own["exact"] = json.dumps(chunk.metadata, allow_nan=False)
        if chunk.extra:
            own["extra"] = json.dumps(chunk.extra, allow_nan=False)
        return {
            self.text_key: chunk.text,
            self.metadata_key: dict(chunk.metadata),
            self.own_key: own,
        }

    @checked
    def decode(self, point: StoredPoint) -> Chunk:
        """Return the chunk that lies in a point; foreign points lack trivec's own fields."""
        own = mapping(point.payload.get(self.own_key))
        metadata = mapping(point.payload.get(self.metadata_key))
        if "exact" in own:
            metadata = _restored(metadata, json.loads(own["exact"]))
        return Chunk(
            text=point.payload.get(self.text_key) or "",
            id=own.get("id", str(point.id)),
            source=own.get("source"),
            position=own.get("position", 0),
            metadata=metadata,
            extra=json.loads(own["extra"]) if "extra" in own else {},
        )

    @checked
    def own(self, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return trivec's own fields of a payload; a foreign one has none."""
        return mapping(payload.get(self.own_key))

    @checked
    def metadata_field(self, key: str) -> Field:
        """Return where a metadata key lies, for filters."""
        return metadata_field(key, f"{key_path(self.metadata_key)}.", self.own_path(TOKENS))

    @checked
    def own_path(self, key: str) -> str:
        """Return the payload path of one of trivec's own fields."""
        return f"{key_path(self.own_key)}.{key}"

    @checked
    def point_id(self, identity: str) -> PointId:
        """Return the point id of a caller's id; see :func:`point_id`."""
        return point_id(identity)


_clean = unchecked(clean)  # called for every chunk


def own_fields(
    chunk: Chunk, tenant: str | None, context: str | None = None, hidden: Collection[str] = ()
) -> dict[str, Any]:
    """Return what every layout keeps of a chunk beside its text and metadata.

    Args:
        chunk: identified and cleaned.
        tenant: whose it is.
        context: the digest of the document that its vectors were computed in; None, of it alone.
        hidden: metadata keys that the layout keeps for itself.
    """
    check_fields(chunk)
    own: dict[str, Any] = {
        "id": chunk.id,
        "source": chunk.source,
        "position": chunk.position,
        "digest": content_digest(chunk.text),
    }
    listed = tokens(chunk.metadata, hidden) or None
    optional = {"tenant": tenant, "context": context, TOKENS: listed}
    return {**own, **{key: value for key, value in optional.items() if value is not None}}


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a payload value that should be an object; a foreign payload may hold anything."""
    return value if type(value) is dict or isinstance(value, Mapping) else {}


def _has_fragile_float(value: Any) -> bool:
    """Say whether a float in here may come back from Qdrant off by one in the last place.

    Such numbers are kept a second time, as text; see ``trivec.payloads.fields.is_exact``.
    """
    if isinstance(value, str):
        return False
    if isinstance(value, float):
        return not is_exact(value)
    if isinstance(value, Mapping):
        return any(map(_has_fragile_float, value.values()))
    return isinstance(value, list) and any(map(_has_fragile_float, value))


def _restored(stored: Any, exact: Any) -> Any:
    """Return the stored value with its floats as they were, where they still are those floats."""
    if isinstance(stored, float) and isinstance(exact, float):
        return exact if math.isclose(stored, exact, rel_tol=1e-14, abs_tol=0.0) else stored
    if isinstance(stored, Mapping) and isinstance(exact, Mapping):
        return {key: _restored(value, exact.get(key)) for key, value in stored.items()}
    if isinstance(stored, list) and isinstance(exact, list) and len(stored) == len(exact):
        return [_restored(*pair) for pair in zip(stored, exact, strict=True)]
    return stored


def content_digest(text: str) -> str:
    """Return the sha256 of a cleaned text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def identify(chunk: Chunk) -> Chunk:
    """Return the chunk cleaned, with an id: its own, or uuid5 of its source and position.

    A chunk without id and source is identified by its text, so adding it twice changes nothing.

    Raises:
        InputError: the metadata is not JSON, or the position is negative.
    """
    check_least("position", chunk.position, 0)
    position = int(chunk.position)
    text, bare = clean(chunk.text), type(chunk.extra) is dict and not chunk.extra
    if not isinstance(chunk.source, str | None):
        raise InputError(f"source={shown(chunk.source)}; allowed: text, or None")
    source = None if chunk.source is None else _clean(chunk.source)
    if chunk.id is not None:
        identity = identity_of(chunk.id)
    else:
        origin = content_digest(text) if source is None else source
        identity = str(uuid.uuid5(NAMESPACE, json.dumps([origin, position])))
    return Chunk(
        text=text,
        id=identity,
        source=source,
        position=position,
        metadata=_json_object("metadata", chunk.metadata),
        extra={} if bare else _json_object("extra", chunk.extra),
    )


def identity_of(value: object) -> str:
    """Return a caller's id as text, cleaned.

    Raises:
        InputError: it cannot be written as text.
    """
    try:
        return _clean(own_text(value))
    except Exception as err:  # somebody's own __str__
        raise InputError(
            f"the id is a {type(value).__name__} that cannot be written as text; give a text"
        ) from err


def _json_object(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{name}={shown(value)}; allowed: a dict")
    values: dict[str, Any] = json_values(dict(value), name, MAX_DEPTH)
    return values


def point_id(identity: str, tenant: str | None = None, source: str | None = None) -> PointId:
    """Return the Qdrant id of a caller's id: a UUID stays itself, anything else becomes uuid5.

    With a tenant every id becomes a uuid5 of both, so no tenant can write over another's points.
    With a source, an id that is no UUID belongs to the source: two files may both have a "1".
    """
    unique = _canonical_uuid(identity)
    if source is not None and unique is None:
        scope = json.dumps([tenant, source, clean(identity)])
        return str(uuid.uuid5(SCOPED_NAMESPACE, scope))
    if tenant is not None:
        return str(uuid.uuid5(NAMESPACE, json.dumps([tenant, clean(identity)])))
    return unique or str(uuid.uuid5(NAMESPACE, clean(identity)))


def _canonical_uuid(identity: str) -> str | None:
    if _CANONICAL.fullmatch(identity):
        return identity
    if not _UUID.fullmatch(identity):  # Python reads signs, spaces and other digits too
        return None
    try:
        return str(uuid.UUID(identity))
    except ValueError:
        return None
