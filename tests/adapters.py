"""The adapters as they lie on disk. A new one needs its folder, and its row in FRAMEWORKS."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent
ADAPTERS = {path.name: path for path in sorted((ROOT / "integrations").glob("*/*_trivec"))}

# What an adapter's classes derive from: its framework, which is all that importing it may load.
FRAMEWORKS = {
    "langchain_trivec": {"langchain_core"},
    "llama_index_trivec": {"llama_index"},
}
