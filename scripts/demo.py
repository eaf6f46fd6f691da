"""The main job in one run: index the sample, ask it questions in two languages, show why.

Run by ``make demo``. The index is kept in ``.demo/kb``: a second run finds everything unchanged and
encodes only the questions. Ends with status 1 when a question does not find its article among the
first three passages.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from trivec import Hit, HybridIndex, IndexConfig, MatchedTerm, SearchOptions
from trivec.ingest import chunks
from trivec.mini import MiniEncoder

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "cookbooks" / "sample"
KNOWLEDGE_BASE = ROOT / ".demo" / "kb"
ARMS = ("dense", "sparse", "bm25", "colbert")
SHOWN = 3
WIDTH = 100
EXCERPT = 80


@dataclass(frozen=True)
class Question:
    """A question and the file that answers it."""

    text: str
    answer: str
    kind: str


QUESTIONS = (
    Question("尤金袋鼠的奶能杀死哪些细菌？", "zh/尤金袋鼠.md", "Chinese, about Chinese text"),
    Question("一小时为什么分成六十分钟？", "zh/六十进制.md", "Chinese, about Chinese text"),
    Question("地热发电是怎么把热变成电的？", "zh/地熱能.md", "simplified, about traditional text"),
    Question("How was liquid oxygen first made?", "en/oxygen.md", "English, about English text"),
    Question(
        "What set the Apollo 1 cabin on fire?",
        "en/apollo-program.md",
        "English, about English text",
    ),
    Question(
        "Which wine has more sulfites, white or red?",
        "zh/亚硫酸盐.md",
        "English, about Chinese text",
    ),
    Question(
        "How do doctors score the health of a newborn baby?",
        "zh/阿普伽新生儿评分.md",
        "English, about Chinese text",
    ),
    Question("黑死病在欧洲死了多少人？", "en/black-death.md", "Chinese, about English text"),
    Question(
        "1973年石油危机的起因是什么？", "en/1973-oil-crisis.md", "Chinese, about English text"
    ),
)


def index_sample(index: HybridIndex, encoder: MiniEncoder, console: Console) -> None:
    """Add the sample's passages; those that are there already are skipped."""
    start = perf_counter()
    passages = list(chunks([SAMPLE / "zh", SAMPLE / "en"], encoder.tokenizer, root=SAMPLE))
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("indexing", total=len(passages))
        report = index.add(
            passages,
            replace_sources=True,
            progress=lambda done: progress.update(task, completed=done),
        )
    index.optimize()
    console.print(
        f"{len(passages)} passages of {SAMPLE.name}: {report.added} added, "
        f"{report.updated} updated, {report.skipped} unchanged, "
        f"in {perf_counter() - start:.1f} s"
    )


def show(question: Question, hits: Sequence[Hit], seconds: float, console: Console) -> bool:
    """Print a question's passages; return whether the expected one is among them."""
    rank = next((at for at, hit in enumerate(hits, 1) if hit.chunk.source == question.answer), None)
    verdict = f"[green]✓ {question.answer} at {rank}[/green]"
    if rank is None:
        verdict = f"[red]✗ {question.answer} is not among them[/red]"
    console.print()
    console.rule(f"[bold]{question.text}[/bold]", align="left")
    console.print(f"[dim]{question.kind} · {1000 * seconds:.0f} ms ·[/dim] {verdict}")
    for at, hit in enumerate(hits, 1):
        console.print(passage(at, hit))
    return rank is not None


def passage(rank: int, hit: Hit) -> Table:
    """Lay out one hit: its scores, the words it shares with the question, an excerpt."""
    scores = "  ".join(
        f"{arm} {hit.arms[arm]:.3f}" if arm in hit.arms else f"{arm} -" for arm in ARMS
    )
    words = {arm: heaviest_words(hit, arm) for arm in ("sparse", "bm25")}
    shared = [
        f"{arm}: " + ", ".join(f"{match.term} {match.score:.2f}" for match in matches)
        for arm, matches in words.items()
        if matches
    ]
    table = Table.grid(padding=(0, 1))
    table.add_column(width=2, justify="right")
    table.add_column(width=WIDTH - 4, overflow="fold")
    source = hit.chunk.source or ""
    table.add_row(f"{rank}.", Text.assemble((source, "bold cyan"), f"  score {hit.score:.3f}"))
    table.add_row("", Text(scores, style="magenta"))
    table.add_row("", Text("\n".join(shared) or "no word in common", style="yellow"))
    table.add_row("", excerpt(hit, [match.term for some in words.values() for match in some]))
    return table


def heaviest_words(hit: Hit, arm: str) -> list[MatchedTerm]:
    """Return the heaviest terms that an arm matched, bare punctuation left out."""
    terms = [replace(match, term=match.term.strip("▁ ")) for match in hit.matches]
    return [match for match in terms if match.arm == arm and re.search(r"\w", match.term)][:6]


def excerpt(hit: Hit, words: Sequence[str]) -> Text:
    """Cut two lines out of the passage, from the sentence on that holds most of the words."""
    text = " ".join(re.sub(r"\A# .*\n+(?=.)", "", hit.chunk.text).split())
    starts = [0, *(found.end() for found in re.finditer(r"[。！？]|[.!?] ", text))]
    start = max(starts, key=lambda at: sum(word in text[at:][:EXCERPT] for word in words))
    shown = Text(("…" if start else "") + text[start:])
    shown.truncate(2 * (WIDTH - 10), overflow="ellipsis")
    shown.highlight_words(words, "bold", case_sensitive=False)
    return shown


def main() -> int:
    """Index, ask, show, and check."""
    console = Console(width=WIDTH, highlight=False)
    encoder = MiniEncoder()
    config = IndexConfig(arms=ARMS)
    # words cannot bridge two languages: ColBERT, which can, has the last word
    options = SearchOptions(colbert="rescore", explain=True)
    misses = 0
    with HybridIndex.open(KNOWLEDGE_BASE, encoder, config=config) as index:
        index_sample(index, encoder, console)
        for question in QUESTIONS:
            start = perf_counter()
            hits = index.search(question.text, k=SHOWN, options=options)
            misses += not show(question, hits, perf_counter() - start, console)
    console.print()
    found = len(QUESTIONS) - misses
    console.print(
        f"[bold]{found} of {len(QUESTIONS)} questions found their article "
        f"among the first {SHOWN} passages.[/bold]"
    )
    console.print('Ask your own: .venv/bin/trivec search .demo/kb "…" --explain')
    return 1 if misses else 0


if __name__ == "__main__":
    raise SystemExit(main())
