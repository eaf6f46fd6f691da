"""What every room stands on: lazy values, checks of options, the cache folder, retries, steps."""

from __future__ import annotations

__all__: list[str] = []
