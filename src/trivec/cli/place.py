"""Where an index is, and the encoder that it is opened with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from trivec._runtime.dependencies import unavailable
from trivec.cli import variables
from trivec.cli.paths import check_path, expanded
from trivec.errors import CollectionNotFoundError
from trivec.index.stored_model import StoredModel

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

    from trivec.encoders import FlagEncoder, OnnxEncoder
    from trivec.index import HybridIndex
    from trivec.protocols import Encoder, Store
    from trivec.schema import Schema

__all__ = ["Place", "StoredModel", "chosen_encoder", "open_place"]

NEW_INDEX_MODEL = "BAAI/bge-m3"


@dataclass(frozen=True)
class Place:
    """Where an index is: a folder, or a collection on a server."""

    location: Path | QdrantClient
    collection: str | None

    def schema(self) -> Schema | None:
        """Return what the index holds; None where there is none."""
        with closing(self._store()) as store:
            return store.schema

    def require_schema(self) -> Schema:
        """Return what the index holds.

        Raises:
            CollectionNotFoundError: there is none.
        """
        return self._required(self.schema())

    def _required(self, schema: Schema | None) -> Schema:
        if schema is None:
            name = self.collection or f"folder {str(self.location)!r}"
            raise CollectionNotFoundError(
                f"there is no index at {name}; make one with: trivec sync PLACE PATHS"
            )
        return schema

    def contents(self) -> tuple[Schema, int, list[str]]:
        """Return what the index holds, how many passages, and on which keys filters are slow.

        Raises:
            CollectionNotFoundError: there is none.
        """
        from trivec.index.unindexed import unindexed_metadata

        with closing(self._store()) as store:
            schema = self._required(store.schema)
            return schema, store.count(), unindexed_metadata(store, schema)

    def create(self, schema: Schema) -> None:
        """Create an index that holds nothing yet, unless there is one."""
        with closing(self._store()) as store:
            if store.schema is None:
                store.create(schema)

    def open(self, encoder: Encoder, **settings: Any) -> HybridIndex:
        """Open the index, with the arguments of :meth:`trivec.HybridIndex.open`."""
        from trivec.index import HybridIndex

        return HybridIndex.open(self.location, encoder, collection=self.collection, **settings)

    def _store(self) -> Store:
        if isinstance(self.location, Path):
            from trivec.stores.edge.store import EdgeStore

            return EdgeStore(self.location)
        from trivec.stores.server.store import ServerStore

        return ServerStore(self.location, self.collection or "")


@contextmanager
def open_place(
    text: str, collection: str | None, *, key: str | None = None, option: str = "--collection"
) -> Iterator[Place]:
    """Yield the place that the command line names; a client to a server is closed afterwards.

    Args:
        text: a folder, or a URL.
        collection: on a server; None takes ``TRIVEC_COLLECTION`` for ``--collection``.
        key: of the server; None takes ``QDRANT_API_KEY``.
        option: the option that names the collection.

    Raises:
        typer.BadParameter: a URL without a collection, or a folder with one.
    """
    if not text:
        raise typer.BadParameter("PLACE is empty; give a folder, or a server's URL")
    if "://" not in text or text.startswith("file:"):
        check_path(text)
        if collection is not None:
            raise typer.BadParameter(f"{option} goes with a server's URL, not with a folder")
        yield Place(expanded(text), None)
        return
    if option == "--collection":
        collection = collection or os.environ.get(variables.COLLECTION)
    if not collection:
        raise typer.BadParameter(f"a server's URL needs {option}")
    try:
        from qdrant_client import QdrantClient
    except ImportError as err:
        raise unavailable(err, "qdrant_client", "server") from err

    # the version check at construction would only warn where the first request fails
    key = key or os.environ.get("QDRANT_API_KEY")
    with closing(QdrantClient(url=text, api_key=key, check_compatibility=False)) as client:
        yield Place(client, collection)


def chosen_encoder(
    schema: Schema | None, model: str | None, device: str, *, mixed_precision: bool = False
) -> FlagEncoder | OnnxEncoder:
    """Return the encoder that was asked for, else the one that wrote the index.

    It computes in the precision of the index, unless that may be mixed with what is fastest.
    """
    from trivec.loading import load_encoder

    written_by = schema.fingerprint.encoder if schema and schema.fingerprint else None
    if model is None:
        model = written_by.model if written_by else NEW_INDEX_MODEL
    elif model != "mini" and expanded(model).is_dir():
        model = str(expanded(model).resolve())  # the index remembers it, from any working directory
    precision = written_by.precision if written_by and not mixed_precision else None
    return load_encoder(model, device=device, precision=precision)
