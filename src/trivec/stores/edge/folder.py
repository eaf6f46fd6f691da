"""The folder of an embedded index: ``trivec.json`` describes it, ``shard/`` is the engine's."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from trivec.errors import CollectionError, CollectionExistsError
from trivec.schema import Schema
from trivec.stores.edge.failures import remedy

__all__ = ["IndexFolder"]


class IndexFolder:
    """Names what lies in an index folder and writes its description.

    Args:
        path: the folder; nothing is touched at construction.
    """

    UNFINISHED = "unfinished-"
    """Prefix of what a crash may leave behind; it never counts as content."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.description = path / "trivec.json"
        self.shard = path / "shard"
        self.holder = path / "holder.json"  # which process has the folder open
        self._schema: Schema | None = None

    def exists(self) -> bool:
        """Say whether there is an index, without reading it."""
        return self.description.is_file() and self.shard.is_dir()

    def unfinished(self) -> list[Path]:
        """Return what interrupted creations left behind."""
        return list(self.path.glob(f"{self.UNFINISHED}*"))

    def schema(self) -> Schema | None:
        """Read the description; None when the folder does not exist or is empty.

        Raises:
            CollectionError: the path holds something else, or the description is damaged.
        """
        if self._schema is None:
            self._schema = self._read()
        return self._schema

    def _read(self) -> Schema | None:
        try:
            return Schema.from_json(json.loads(self.description.read_text(encoding="utf-8")))
        except FileNotFoundError:
            if self._is_empty():
                return None
            if self.description.exists():  # another process has made it just now
                return self._read()
            raise self._not_an_index() from None
        except NotADirectoryError as err:
            raise self._not_an_index() from err
        except (OSError, ValueError, AttributeError, RecursionError) as err:
            raise CollectionError(
                f"{self.description} cannot be read ({err}); {remedy(self.path)}, which has a copy "
                "of it, or index into a new folder"
            ) from err

    def write_schema(self, schema: Schema) -> None:
        """Write the description whole, or not at all, and make it last.

        Raises:
            CollectionExistsError: there is one already.
            CollectionError: the folder holds something else, or cannot be written.
        """
        if self.schema() is not None:
            raise self._exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            _move_without_replacing(self._written(schema), self.description)
        except FileExistsError as err:
            raise self._exists() from err
        except OSError as err:
            raise CollectionError(
                f"no index can be created in {self.path}: {err.strerror}; choose another folder"
            ) from err
        _sync_folder(self.path)
        self._schema = schema

    def replace_schema(self, schema: Schema) -> None:
        """Write the description over the one that is there, whole or not at all.

        Raises:
            CollectionError: the folder cannot be written.
        """
        try:
            self._written(schema).replace(self.description)
        except OSError as err:
            raise CollectionError(
                f"{self.description} cannot be written: {err.strerror}; make the folder writable"
            ) from err
        _sync_folder(self.path)
        self._schema = schema

    def _written(self, schema: Schema) -> Path:
        """Write a description beside its place and return where."""
        handle, name = tempfile.mkstemp(prefix=self.UNFINISHED, dir=self.path)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(schema.to_json(), file, ensure_ascii=False, indent=2)
            file.flush()
            os.fsync(file.fileno())
        return Path(name)

    def _is_empty(self) -> bool:
        """Say whether there is nothing but what a crash may leave behind."""
        try:
            names = [entry.name for entry in self.path.iterdir()]
        except FileNotFoundError:
            return True
        return all(name.startswith(self.UNFINISHED) for name in names)

    def _not_an_index(self) -> CollectionError:
        return CollectionError(
            f"{self.path} is not an index: it has no {self.description.name} and is not empty; "
            "give the folder of an index, an empty one, or one that does not exist"
        )

    def _exists(self) -> CollectionExistsError:
        return CollectionExistsError(
            f"there is an index in {self.path} already; open it, or choose another folder"
        )


def _move_without_replacing(source: Path, target: Path) -> None:
    """Give a file its name; of two processes that create an index at once, one must fail."""
    try:
        os.link(source, target)
    except FileExistsError:
        source.unlink()
        raise
    except OSError:  # a file system without hard links
        source.rename(target)
    else:
        source.unlink()


def _sync_folder(path: Path) -> None:
    """Make a new name in a folder survive the loss of power, where the platform can."""
    if os.name == "posix":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
