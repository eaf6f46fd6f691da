"""What the server of a collection knows and allows: its version, strict mode, payload indexes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from trivec.errors import FilterError, StoreError, StoreUnavailableError
from trivec.payloads.codecs import stored_codec
from trivec.query import Filter
from trivec.schema import Schema
from trivec.stores.server import collections
from trivec.stores.server.calls import Calls, Operation
from trivec.stores.server.failures import (
    NotAppliedError,
    is_forbidden,
    is_refusal,
    server_words,
)
from trivec.stores.server.limits import Limits, RequiredIndex, advice, limits_of, required_index
from trivec.stores.server.versions import (
    FEATURES,
    Feature,
    Version,
    conditions_in,
    parse_version,
    shown,
)

if TYPE_CHECKING:
    from qdrant_client import models

__all__ = ["Terms", "index_key"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

_MOST_CHANGES = 16
"""Indexes that one filter may need, or limits that may change, while it is sent."""


class Terms:
    """What a server knows and allows, read when it is first needed.

    Args:
        calls: the client's methods for the collection.
        local: whether there is no server, but qdrant-client's imitation.
        grpc: whether requests are sent by gRPC, where unknown conditions are dropped.
        index_on_demand: make the payload indexes that strict mode demands.
    """

    def __init__(self, calls: Calls, *, local: bool, grpc: bool, index_on_demand: bool) -> None:
        self._calls = calls
        self._local = local
        self._grpc = grpc
        self._index_on_demand = index_on_demand
        self._version: Version | None = None
        self._asked = False
        self._made: set[tuple[str, str]] = set()
        self._told = False
        self.limits = Limits()

    def take(self, config: models.CollectionConfig) -> bool:
        """Take the limits of a collection; return whether they are others than before."""
        before, self.limits = self.limits, limits_of(config)
        self._calls.allow(self.limits.timeout)
        return self.limits != before

    def tell_shallower(self) -> None:
        """Warn once that searches find fewer candidates than they ask for."""
        if not self._told:
            self._told = True
            logger.warning(
                "the collection's strict mode allows %s points a list (max_query_limit); searches "
                "take as many candidates, not their prefetch",
                self.limits.query_limit,
            )

    def version(self) -> Operation[Version | None]:
        """Read the server's version, once; None where it does not say."""
        if not self._asked:
            try:
                info = yield from self._calls.version()
                self._version = parse_version(getattr(info, "version", None))
            except StoreUnavailableError:
                raise
            except StoreError as err:
                logger.warning("the Qdrant server does not tell its version: %s", err)
            self._asked = True
        return self._version

    def lacks(self, name: str) -> Operation[Version | None]:
        """Return the server's version where it is older than a feature; ``()`` where unknown."""
        if self._local:
            return None
        version = yield from self.version()
        if version is None:
            return ()
        return version if version < FEATURES[name].since else None

    def require_understood(self, *filters: Filter | None) -> Operation[None]:
        """Check that the server knows every condition.

        Raises:
            FilterError: it is older; over gRPC it would drop the condition, and match everything.
        """
        used = [feature for filter in filters for feature in conditions_in(filter)]
        if not used or self._local:
            return
        version = yield from self.version()
        for feature in used:
            if version is None and not self._grpc:
                continue  # by REST an unknown condition is refused by the server itself
            if version is None or version < feature.since:
                raise FilterError(_too_old(feature, version))

    def adapting(
        self, attempt: Callable[[], Operation[T]], schema: Schema, *filters: Filter | None
    ) -> Operation[T]:
        """Carry out what strict mode may refuse, and again once that is mended.

        Raises:
            FilterError: a filter needs a payload index that is not there.
            StoreError: a limit that cannot be kept to.
        """
        yield from self.require_understood(*filters)
        for _ in range(_MOST_CHANGES):
            try:
                return (yield from attempt())
            except StoreError as err:
                words = server_words(err.__cause__)
                if (index := required_index(words)) is not None:
                    yield from self._make(index, schema, err)
                elif (todo := advice(words)) is None:
                    raise
                elif not (yield from self._changed()):
                    raise StoreError(f"{err}; {todo}") from err
        return (yield from attempt())

    def _changed(self) -> Operation[bool]:
        info = yield from self._calls.info(patient=True)
        return self.take(info.config)

    def _make(self, index: RequiredIndex, schema: Schema, refusal: StoreError) -> Operation[None]:
        """Make the payload index that a filter needs, once.

        Raises:
            FilterError: that is switched off, was done before, or the key does not allow it.
        """
        key = index_key(schema, index.path)
        kinds = " or ".join(map(repr, index.kinds)) or "a kind"
        message = (
            f"the filter uses the key {key!r}, which has no payload index of the type {kinds}, and "
            "the server refuses such filters (strict mode); call once "
            f"ensure_payload_index({key!r}, {index.kind!r}) of the index or the vector store"
        )
        if not self._index_on_demand or (index.path, index.kind) in self._made:
            raise FilterError(message) from refusal
        self._made.add((index.path, index.kind))
        logger.info("a filter needs a payload index of %s; it is made", index.path)
        try:
            yield from self.create_index(index.path, index.kind)
        except StoreError as err:
            if is_forbidden(err.__cause__):
                raise FilterError(f"{message}, with a key that may") from err
            if is_refusal(err.__cause__):  # there are as many indexes as strict mode allows
                raise FilterError(f"{message}; making it failed: {err}") from err
            raise

    def create_index(self, path: str, kind: str) -> Operation[None]:
        """Index the values at a payload path."""
        types = collections.payload_index_types(Schema({}, payload_indexes={path: kind}))
        yield from self.create_indexes(types)

    def create_indexes(self, types: dict[str, object]) -> Operation[None]:
        """Create payload indexes; one that is there already stays."""
        for path, kind in types.items():
            try:
                yield from self._calls.create_payload_index(path, kind)
            except StoreError as err:
                if not isinstance(err.__cause__, NotAppliedError):
                    raise  # an index holds no data: one that is built later loses nothing


def index_key(schema: Schema, path: str) -> str:
    """Return what a filter calls a payload path: the key of the metadata."""
    codec = stored_codec(schema.codec, schema.codec_keys)
    prefix = codec.metadata_field("k").paths[0].removesuffix("k")
    if not path.startswith(prefix):
        return path
    key = path.removeprefix(prefix)
    quoted = key.startswith('"') and key.endswith('"') and key.count('"') == 2
    return key[1:-1] if quoted else key


def _too_old(feature: Feature, version: Version | None) -> str:
    here = "does not tell its version" if version is None else f"is Qdrant {shown(version)}"
    return (
        f"the filter uses {feature.what}, which came with Qdrant {shown(feature.since)}; the "
        f"server {here} and may drop it, so that the filter matches everything; update the "
        "server, or write the filter without it"
    )
