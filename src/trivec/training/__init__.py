"""From documents of one's own to a model that knows them."""

from __future__ import annotations

__all__: list[str] = []
