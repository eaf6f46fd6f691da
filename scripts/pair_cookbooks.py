"""Write the notebook of each cookbook from its text; the text is what is edited.

Run by ``make cookbooks``. A notebook holds no outputs, and the same text gives the same bytes.
"""

from __future__ import annotations

from pathlib import Path

import jupytext
import nbformat

__all__ = ["COOKBOOKS", "notebook_of"]

COOKBOOKS = Path(__file__).parent.parent / "cookbooks"


def notebook_of(text: Path) -> str:
    """Return the notebook that a text in the percent format stands for."""
    notebook = jupytext.read(text)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"  # a new one is random
    nbformat.validate(notebook)
    return nbformat.writes(notebook, version=nbformat.NO_CONVERT) + "\n"


def main() -> None:
    """Write every notebook."""
    for text in sorted(COOKBOOKS.glob("*.py")):
        text.with_suffix(".ipynb").write_text(notebook_of(text), encoding="utf-8")
        print(text.with_suffix(".ipynb").relative_to(COOKBOOKS.parent))


if __name__ == "__main__":
    main()
