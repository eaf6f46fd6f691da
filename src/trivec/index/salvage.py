"""Reading a damaged index, in a process of its own: the engine may panic, or end by a signal.

Run as ``python -m trivec.index.salvage``: one JSON object comes in on stdin, JSON lines go out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, cast

from trivec.arms import arms_among
from trivec.errors import TrivecError
from trivec.index.collection import Binding
from trivec.index.opening import stored_analyzer
from trivec.index.unfinished import known_empty
from trivec.payloads.codecs import stored_codec
from trivec.payloads.trivec import content_digest
from trivec.protocols import Encoder
from trivec.schema import MAX_DEPTH, Schema
from trivec.stores import EdgeStore
from trivec.types import Point, PointId, StoredPoint

__all__ = ["main"]

PAGE = 64


class _Reader:
    """Reads every point of an index that it can, and judges it.

    Args:
        store: the index.
        distrusted: vectors that are taken for lost.
        rewrite: leave out what ``add`` knows an unchanged point by, since its metadata may be
            damaged: it is written again then.
    """

    def __init__(
        self, store: EdgeStore, distrusted: Sequence[str] = (), *, rewrite: bool = False
    ) -> None:
        schema = store.schema or Schema({})
        codec = stored_codec(schema.codec, schema.codec_keys)
        nobody = cast("Encoder", None)  # nothing is encoded here
        self._binding = Binding(store, schema, nobody, stored_analyzer(schema), codec)
        self._store = store
        self._rewrite = rewrite
        self._specs = {spec.name: spec for spec in schema.written.values()}
        self._wanted = [name for name in self._specs if name not in distrusted]

    def read(self, ids: Sequence[PointId]) -> tuple[list[Point], dict[PointId, str]]:
        """Return the points that are what was written, and why the others are not."""
        points, lost = [], {}
        for identity, point in self._retrieved(ids):
            if isinstance(point, str):
                lost[identity] = point
            elif (fault := self._fault(point)) is not None:
                lost[identity] = fault
            else:
                points.append(self._sound(point))
        return points, lost

    def lacks(self, point: Point) -> bool:
        """Say whether a point lacks the vector of an arm."""
        chunk = self._binding.codec.decode(StoredPoint(point.id, point.payload))
        expected = self._binding.document_vectors(chunk.text)
        empty = known_empty(self._binding, point.payload)
        for arm in arms_among(self._binding.schema.written):
            name = self._binding.schema.written[arm.name].name
            absent = arm.name in empty if arm.head else name not in expected
            if name not in point.vectors and not absent:
                return True
        return False

    def _retrieved(self, ids: Sequence[PointId]) -> Iterator[tuple[PointId, StoredPoint | str]]:
        try:
            points = self._store.retrieve(ids, with_vectors=self._wanted)
        except TrivecError as err:
            if len(ids) > 1:
                for one in ids:
                    yield from self._retrieved([one])
                return
            yield ids[0], self._without_vectors(ids[0], err)
            return
        by_id = {point.id: point for point in points}
        for one in ids:
            yield one, by_id.get(one, "it is listed and cannot be read")

    def _without_vectors(self, identity: PointId, error: TrivecError) -> StoredPoint | str:
        try:
            points = self._store.retrieve([identity])
        except TrivecError:
            return f"it cannot be read: {error}"
        return points[0] if points else f"it cannot be read: {error}"

    def _fault(self, point: StoredPoint) -> str | None:
        codec = self._binding.codec
        own = codec.own(point.payload)
        try:
            text = codec.decode(point).text
            digest = content_digest(text)
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as err:
            return f"its payload is damaged ({err})"
        if own.get("digest", digest) != digest:
            return "its text is not the one that was written"
        if "id" in own and self._belongs_elsewhere(point.id, own):
            return "it lies under the id of another point"
        return None

    def _belongs_elsewhere(self, identity: PointId, own: Mapping[str, Any]) -> bool:
        tenant = own.get("tenant")
        if not isinstance(own["id"], str) or not isinstance(tenant, str | None):
            return True
        binding = Binding(
            self._store,
            self._binding.schema,
            self._binding.encoder,
            None,
            self._binding.codec,
            tenant,
        )
        return binding.point_id(own["id"], own.get("source")) != identity

    def _sound(self, point: StoredPoint) -> Point:
        vectors = {
            name: vector
            for name, vector in point.vectors.items()
            if len(vector) and self._specs[name].fault(vector) is None
        }
        payload = _shallow(point.payload, MAX_DEPTH + 1)
        own = self._binding.codec.own(payload)
        if self._rewrite and isinstance(own, MutableMapping):
            own.pop("digest", None)
        return Point(point.id, vectors, payload)


def _shallow(value: Any, levels: int) -> Any:
    """Return a value of at most so many levels; what lies deeper becomes its JSON text."""
    if not isinstance(value, (Mapping, list)):
        return value
    if levels == 0:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return [_shallow(item, levels - 1) for item in value]
    return {key: _shallow(item, levels - 1) for key, item in value.items()}


def _say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Read the index that stdin names; copy what is sound into a new one, where it names one."""
    order = json.load(sys.stdin)
    source = EdgeStore(order["source"])
    target = EdgeStore(order["target"]) if order["target"] else None
    with closing(source):
        if target is not None and target.schema is None and source.schema is not None:
            target.create(source.schema)
        reader = _Reader(source, order["distrusted"], rewrite=order["rewrite"])
        skipped = set(order["skipped"])
        remaining = iter([one for one in source.ids() if one not in skipped])
        _say(opened=True)
        while page := list(islice(remaining, PAGE)):
            _say(reading=page)
            points, lost = reader.read(page)
            if target is not None:
                target.upsert(points)
            unfinished = [point.id for point in points if reader.lacks(point)]
            _say(done=page, sound=len(points), lost=list(lost.items()), unfinished=unfinished)
    if target is not None:
        target.optimize()
        target.close()
    _say(finished=True, place=str(Path(order["source"])))


if __name__ == "__main__":
    main()
