"""Objects as tables of a notebook: what ``_repr_html_`` of the public classes is made from.

A table is text and inline styles: it holds no script and asks for nothing. Its colours are
translucent or inherited, since a notebook's theme does not follow the system's.
"""

from __future__ import annotations

__all__: list[str] = []
