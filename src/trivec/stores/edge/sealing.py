"""A manifest seals an index when it is closed; opening compares it and breaks the seal."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

from trivec.errors import StoreError
from trivec.stores.edge import manifest
from trivec.stores.edge.failures import raise_refused, remedy
from trivec.stores.edge.folder import IndexFolder
from trivec.stores.edge.holder import held_elsewhere

__all__ = ["seal", "unseal"]

logger = logging.getLogger(__name__)

_LISTED = 5


def unseal(folder: IndexFolder) -> manifest.Manifest | None:
    """Compare the files with the manifest before the engine maps them, and note that they are open.

    Returns:
        What was written when the index was closed; None where nobody knows.

    Raises:
        CollectionLockedError: somebody else has the index open.
        StoreError: names the files and what to do.
    """
    with manifest.locked(folder.shard) as free:
        if not free:
            raise held_elsewhere(folder.path)
        noted = None
        try:
            noted = manifest.read_manifest(folder.path)
            wrong = {} if noted is None else manifest.faults(folder.path, noted)
        except OSError as err:
            raise_refused(folder.path, err)
            wrong = {manifest.NAME: f"is damaged ({err})"}
        except (ValueError, TypeError, KeyError, RecursionError) as err:
            wrong = {manifest.NAME: f"is damaged ({err})"}
    if wrong:
        listed = "; ".join(f"{name} {what}" for name, what in list(wrong.items())[:_LISTED])
        more = f"; {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
        raise StoreError(
            f"the index in {folder.path} is damaged: {listed}{more}; {remedy(folder.path)}, or "
            "put back a copy of the whole folder"
        )
    if noted is None and manifest.is_missing(folder.path):
        logger.warning(
            "%s has no %s, so damaged files may go unnoticed; %s, which reads the whole index",
            folder.path,
            manifest.NAME,
            remedy(folder.path),
        )
    if noted is None or noted.is_open:
        return None
    try:
        replace(noted, is_open=True).write(folder.path)  # opening alone changes files
    except OSError as err:
        raise_refused(folder.path, err)
        raise StoreError(f"the manifest of {folder.path} cannot be written: {err}") from err
    return noted


def seal(folder: IndexFolder, points: int, *, written: bool) -> None:
    """Write the manifest of an index that was closed, unless somebody has opened it again.

    Args:
        folder: the index's.
        points: how many it holds.
        written: whether anything was written since it was opened.
    """
    with manifest.locked(folder.shard) as free:
        if not free:
            return
        try:
            noted = None if written else manifest.read_manifest(folder.path)
            files = manifest.survey(folder.path, noted)
            description = json.loads(folder.description.read_text(encoding="utf-8"))
            manifest.Manifest(files, points, description).write(folder.path)
        except (OSError, ValueError, TypeError, KeyError) as err:
            logger.warning("the manifest of %s cannot be written: %s", folder.path, err)
