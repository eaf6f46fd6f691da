"""What an embedding model calls itself, and a cache in which each model has a place of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llama_index.core.storage.kvstore.types import DEFAULT_COLLECTION, BaseKVStore

__all__ = ["ModelCache"]


class ModelCache(BaseKVStore):
    """A key-value store whose collections belong to one model; LlamaIndex's keys are texts alone.

    Args:
        store: holds the values.
        name: returns the model's name, when the store is first used.
    """

    def __init__(self, store: BaseKVStore, name: Callable[[], str]) -> None:
        self._store = store
        self._name = name

    def put(self, key: str, val: dict[str, Any], collection: str = DEFAULT_COLLECTION) -> None:
        """Keep a value."""
        self._store.put(key, val, collection=self._own(collection))

    async def aput(
        self, key: str, val: dict[str, Any], collection: str = DEFAULT_COLLECTION
    ) -> None:
        """Keep a value."""
        await self._store.aput(key, val, collection=self._own(collection))

    def get(self, key: str, collection: str = DEFAULT_COLLECTION) -> dict[str, Any] | None:
        """Return a value, None where there is none."""
        return self._store.get(key, collection=self._own(collection))

    async def aget(self, key: str, collection: str = DEFAULT_COLLECTION) -> dict[str, Any] | None:
        """Return a value, None where there is none."""
        return await self._store.aget(key, collection=self._own(collection))

    def get_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, dict[str, Any]]:
        """Return all values of this model."""
        return self._store.get_all(collection=self._own(collection))

    async def aget_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, dict[str, Any]]:
        """Return all values of this model."""
        return await self._store.aget_all(collection=self._own(collection))

    def delete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """Forget a value."""
        return self._store.delete(key, collection=self._own(collection))

    async def adelete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """Forget a value."""
        return await self._store.adelete(key, collection=self._own(collection))

    def _own(self, collection: str) -> str:
        return f"{collection}/{self._name()}"
