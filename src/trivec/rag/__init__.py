"""From found passages to an answer: prompts, citations, refusals."""

from __future__ import annotations

__all__: list[str] = []
