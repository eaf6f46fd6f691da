"""The numbers that an answer cites passages by; see :mod:`trivec.chat.citations`."""

from __future__ import annotations

from trivec.chat.citations import cited_numbers

__all__ = ["cited_numbers"]
