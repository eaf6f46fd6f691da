"""What stands on an index and is served: pages for people, on this machine alone."""

from __future__ import annotations

__all__: list[str] = []
