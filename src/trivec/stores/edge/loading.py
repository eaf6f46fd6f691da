"""From an index folder to the engine's object, made first where it is missing."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from trivec.errors import StoreError
from trivec.schema import Schema
from trivec.stores.edge import codec
from trivec.stores.edge.failures import engine_errors, remedy
from trivec.stores.edge.folder import IndexFolder
from trivec.stores.edge.manifest import Manifest
from trivec.stores.edge.sealing import unseal
from trivec.stores.edge.space import require_room_to_open

if TYPE_CHECKING:
    import qdrant_edge

__all__ = ["count_points", "load"]

logger = logging.getLogger(__name__)

_INCOMPATIBLE = "incompatible with existing segments"


def load(folder: IndexFolder, schema: Schema) -> qdrant_edge.EdgeShard:
    """Compare the files of an index with its manifest and open them.

    Raises:
        CollectionLockedError: somebody else has the index open.
        StoreError: it is damaged.
    """
    require_room_to_open(folder.shard)
    noted = unseal(folder)
    with engine_errors(folder.path, loading=True):
        shard = _loaded(folder, schema)
        if noted is None:
            return shard
        try:
            count = count_points(shard)
        except BaseException:
            shard.close()
            raise
        if count == noted.points:
            return shard
        shard.close()
    noted.write(folder.path)  # else the next opening would not know
    raise StoreError(
        f"the index in {folder.path} has {count} points, it had {noted.points} when it was "
        f"closed; {remedy(folder.path)}"
    )


def count_points(shard: qdrant_edge.EdgeShard) -> int:
    """Return the exact number of points."""
    import qdrant_edge as edge

    return shard.count(edge.CountRequest(exact=True))


def _loaded(folder: IndexFolder, schema: Schema) -> qdrant_edge.EdgeShard:
    import qdrant_edge as edge

    if not folder.shard.exists():
        _build(folder, schema)
    path = str(folder.shard)
    try:  # with the configuration, because a vector that was added has the engine's defaults
        shard = edge.EdgeShard.load(path, codec.edge_config(schema))
    except Exception as err:
        if _INCOMPATIBLE not in str(err):
            raise
        # adding a vector was interrupted before the description named it
        shard = edge.EdgeShard.load(path)
    for leftover in folder.unfinished():  # of a crash, or of a process that came second
        shutil.rmtree(leftover, ignore_errors=True)
    return shard


def _build(folder: IndexFolder, schema: Schema) -> None:
    """Make the engine's folder beside its place and move it there whole."""
    import qdrant_edge as edge

    unfinished = Path(tempfile.mkdtemp(prefix=folder.UNFINISHED, dir=folder.path))
    shard = edge.EdgeShard.create(str(unfinished), codec.edge_config(schema))
    for operation in codec.index_operations(schema):
        shard.update(operation)
    shard.flush()
    shard.close()
    Manifest({}, 0, is_open=True).write(folder.path)  # from now on, one that is missing was lost
    try:
        unfinished.rename(folder.shard)
    except OSError as err:
        if not folder.shard.exists():
            raise
        logger.debug("another process created the index first: %s", err)
