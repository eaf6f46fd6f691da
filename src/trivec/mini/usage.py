"""How ``mini`` is used: what multilingual-e5-small was trained with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["MINI_SETTINGS"]

MINI_SETTINGS: Mapping[str, Any] = {
    "pooling": "mean",
    "normalized": True,
    "query_instruction": "query: ",
    "passage_instruction": "passage: ",
    "query_max_length": 512,
    "passage_max_length": 512,
}
"""By the names of an export's settings (Wang et al. 2024, arXiv 2402.05672)."""
