"""A local page on an index: every arm side by side, and what each switch changes."""

from __future__ import annotations

from trivec.serving.explorer.app import explorer_app
from trivec.serving.explorer.options import ExplorerOptions
from trivec.serving.explorer.serving import serve_explorer

__all__ = ["ExplorerOptions", "explorer_app", "serve_explorer"]
