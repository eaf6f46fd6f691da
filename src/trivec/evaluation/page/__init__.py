"""The report as one HTML file that asks for nothing: no script, font or picture from elsewhere."""

from __future__ import annotations

from trivec.evaluation.page.page import as_html

__all__ = ["as_html"]
