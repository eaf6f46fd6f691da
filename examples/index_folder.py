"""Index a folder and search it; run it again, and only what changed is encoded.

Needs: pip install 'trivec[mini,files]'
Run:   python examples/index_folder.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

from trivec import HybridIndex
from trivec.ingest import chunks
from trivec.mini import MiniEncoder

HANDBOOK = Path(__file__).parent.parent / "cookbooks" / "handbook"


def main(folder: Path = HANDBOOK, question: str = "How often should I descale it?") -> None:
    """Add every file below a folder, and ask a question."""
    encoder = MiniEncoder()  # FlagEncoder("BAAI/bge-m3") for real use
    with HybridIndex.open("./folder-kb", encoder) as index:
        report = index.add(chunks([folder], encoder.tokenizer, root=folder), replace_sources=True)
        print(f"{report.added} added, {report.updated} updated, {report.skipped} unchanged")
        for hit in index.search(question, k=2, explain=True):
            words = {match.term for match in hit.matches if match.arm == "bm25"}
            where = hit.metadata.get("headings") or f"page {hit.metadata['page']}"
            print(f"{hit.score:.3f} {hit.source}, {where}: {sorted(words)}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
