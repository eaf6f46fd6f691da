"""Examples for each command's help; a test runs every one."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["EXAMPLES", "epilog"]

EXAMPLES: dict[str, tuple[str, ...]] = {
    "index": (
        "trivec index notes --to kb --model mini",
        "trivec index notes/prices.csv --to kb --text-column name --text-column price",
    ),
    "sync": (
        "trivec sync kb notes",
        "trivec sync kb notes --dry-run",
    ),
    "search": (
        'trivec search kb "which fruit is rich in calcium?" -k 3 --explain',
        "trivec search kb calcium --arms dense=1,bm25=0.5",
        'trivec search kb calcium --filter \'{"lang": "en"}\' --json',
    ),
    "ask": (
        'trivec ask kb "which fruit is rich in calcium?" --evidence',
        'trivec ask kb "what is sour?" --chat-model qwen3 --base-url http://localhost:8000/v1',
    ),
    "info": ("trivec info kb", "trivec info"),
    "check": ("trivec check kb", "trivec check kb --repair"),
    "delete": (
        "trivec delete kb --source prices.csv --dry-run",
        'trivec delete kb --filter \'{"lang": "fr"}\'',
    ),
    "copy": (
        "trivec copy kb other",
        "trivec copy kb http://localhost:6333 --to-collection kb",
    ),
    "add_arm": ("trivec add-arm kb colbert",),
    "questions": (
        "trivec questions kb --chat-model qwen3 --base-url http://localhost:8000/v1",
        "trivec questions kb --prune",
    ),
    "feedback": ('trivec feedback kb "what is sour?" --good lemon --bad honey',),
    "eval": (
        "trivec eval asked.csv --model mini --to run",
        "trivec eval asked.csv --model mini --to run --system dense --system 'hybrid, rrf'",
    ),
    "compare": (
        "trivec compare 'hybrid, rrf' bm25 asked.csv --model mini",
        "trivec compare mini bm25 asked.csv --model mini --json",
    ),
    "explain": (
        'trivec explain kb "which fruit is rich in calcium?"',
        'trivec explain kb "which fruit is rich in calcium?" honey --arms dense=1,bm25=0.5',
    ),
    "explore": ("trivec explore kb", "trivec explore kb --port 0 -k 5 --rerank mini"),
    "tune": ("trivec tune many.csv --model mini --settings settings.json",),
    "finetune": (
        "trivec finetune train.jsonl --model mini --output tuned --part heads --epochs 1",
    ),
    "mix": ("trivec mix mini tuned mixed --share 0.5",),
    "prune": ("trivec prune mini small notes",),
    "reindex": ("trivec reindex kb --model mini",),
    "dataset": (
        "trivec dataset training --from facts.csv --model mini",
        "trivec dataset training --from facts.csv --model mini --pool dense --negatives 3",
    ),
    "leaks": ("trivec leaks training",),
    "keywords_dataset": ("trivec keywords-dataset training/index training",),
    "export": ("trivec export mini mini-int8",),
}
"""Command lines by the name of the command's function."""


def epilog(command: Callable[..., None]) -> str:
    """Return the end of a command's help."""
    lines = "\n".join(f"  {example}" for example in EXAMPLES[command.__name__])
    return f"\b\nExamples:\n{lines}"
