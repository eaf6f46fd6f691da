"""Whether the time for text from outside is linear in its length.

Each reader is given texts of repeated marks, of 10,000 characters and of 20,000; the worst ratio
of processor times counts, of the smallest of three runs each. HTML is read from a file, up to a
page of 5 MB, which must take at most 3 s. Exit code 1 where a ratio is above 3, or the page late.

    python -m benchmarks.linear
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.table import Table

from trivec.bm25 import Bm25Analyzer
from trivec.chat import passages_block, quoted_question, said
from trivec.errors import TrivecError
from trivec.ingest import read
from trivec.rewriting import parse_keywords
from trivec.text import split

__all__ = ["main"]

LENGTH = 10_000
RUNS = 3
NOISE_S = 0.002
"""Shorter times are taken for this long: a ratio of them says nothing."""
HIGHEST_RATIO = 3.0
PAGE_BYTES = 5_000_000
PAGE_SECONDS = 3.0

MARKS = (
    *(
        "# ",
        "<",
        "< ",
        "[",
        "[1",
        "[1,",
        "!",
        "! ",
        " ",
        "\n",
        "- ",
        "* ",
        "**a",
        "`",
        "> ",
        "|",
        "(",
    ),
    *(
        "a",
        "a-",
        "1.",
        "1,",
        "1-",
        "一",
        "年",
        "１",
        "\u200b",
        "e\u0301",
        "。",
        '"',
        '\\"',
        "{",
        "<|",
    ),
)
HTML = {
    "paragraphs": "<p>a passage of some words</p>\n",
    "rows": "<tr><td>a</td><td>b</td></tr>",
    "line breaks": "a line<br>",
    "open comments": "<!--",
    "open tags": "<div>",
    "attributes": "<p class='a b c' hidden>a</p>",
    "entities": "&amp;",
}


def main() -> int:
    """Measure everything, print two tables, and return the exit code."""
    analyzer = Bm25Analyzer()
    analyzer.query("warm")
    readers: dict[str, Callable[[str], object]] = {
        "BM25: a question": analyzer.query,
        "BM25: a passage": analyzer.document,
        "split": lambda text: split(text, _words, max_tokens=200),
        "split Markdown": lambda text: split(text, _words, max_tokens=200, markdown=True),
        "a question in a prompt": quoted_question,
        "passages in a prompt": lambda text: passages_block([text]),
        "a reply": said,
        "keywords": lambda text: parse_keywords(text, limit=5),
    }
    table = Table("reader", "worst ratio", "on", "ms for the longer text", title="Marks, repeated")
    worst = 0.0
    for name, reader in readers.items():
        ratio, mark, longer = max(_ratio(reader, mark) for mark in MARKS)
        worst = max(worst, ratio)
        table.add_row(name, f"{ratio:.1f}", repr(mark), f"{longer * 1000:.0f}")
    console = Console()
    console.print(table)
    slowest, page = _html(console)
    return int(max(worst, slowest) > HIGHEST_RATIO or page > PAGE_SECONDS)


def _words(text: str) -> int:
    return text.count(" ") + 1


def _ratio(reader: Callable[[str], object], mark: str) -> tuple[float, str, float]:
    shorter = _seconds(lambda: reader(mark * (LENGTH // len(mark))))
    longer = _seconds(lambda: reader(mark * (2 * LENGTH // len(mark))))
    return max(longer, NOISE_S) / max(shorter, NOISE_S), mark, longer


def _seconds(call: Callable[[], object]) -> float:
    """Return the processor time of a call, the smallest of some."""
    times = []
    for _ in range(RUNS):
        begun = time.process_time()
        with suppress(TrivecError):
            call()
        times.append(time.process_time() - begun)
    return min(times)


def _html(console: Console) -> tuple[float, float]:
    """Return the worst ratio, and the seconds of the slowest page of 5 MB."""
    table = Table("HTML of", "ratio", "s for 5 MB", title="HTML, 1.25 and 2.5 MB")
    ratios, pages = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name, piece in HTML.items():
            shorter, longer, whole = (
                _reading(Path(folder) / "page.html", piece, size)
                for size in (PAGE_BYTES // 4, PAGE_BYTES // 2, PAGE_BYTES)
            )
            ratios.append(max(longer, NOISE_S) / max(shorter, NOISE_S))
            pages.append(whole)
            table.add_row(name, f"{ratios[-1]:.1f}", f"{whole:.2f}")
    console.print(table)
    return max(ratios), max(pages)


def _reading(path: Path, piece: str, size: int) -> float:
    path.write_text("<html><body>" + piece * (size // len(piece)) + "</body></html>")
    begun = time.process_time()
    with suppress(TrivecError):
        for _ in read(path):
            pass
    return time.process_time() - begun


if __name__ == "__main__":
    raise SystemExit(main())
