"""The files that datasets are read from, a module for each form."""

from __future__ import annotations

__all__: list[str] = []
