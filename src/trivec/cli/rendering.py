"""What the command line shows: tables for people, plain values for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from trivec.arms import BM25
from trivec.cli.terminal import plain
from trivec.types import AddReport, Hit

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from trivec.evaluation import Evaluation
    from trivec.ingest import LeftOut
    from trivec.schema import Schema

__all__ = [
    "evaluation_table",
    "explanation",
    "hit_json",
    "hit_table",
    "hits_json",
    "left_out_json",
    "rows_table",
    "schema_table",
    "summary",
]

EXCERPT = 240
MATCHES = 20


def summary(report: AddReport, place: str, seconds: float, *, dry_run: bool = False) -> str:
    """Return what became of the passages, or would, in one line."""
    counts = {
        "added": report.added,
        "updated": report.updated,
        "unchanged": report.skipped,
        "deleted": report.deleted,
        "refused": len(report.refused),
        "truncated": len(report.truncated),
    }
    if report.reused:
        counts["moved without encoding"] = report.reused
    listing = ", ".join(f"{count} {name}" for name, count in counts.items())
    if dry_run:
        return f"{place}: nothing was written; it would be {listing}"
    return f"{place}: {listing} in {seconds:.1f} s"


def left_out_json(left_out: LeftOut) -> dict[str, Any]:
    """Return a file, page or record that was left out as JSON values."""
    return {
        "path": left_out.path.as_posix(),
        "where": left_out.where,
        "reason": left_out.reason,
        "expected": left_out.expected,
    }


def hits_json(hits: Sequence[Hit], scores: Sequence[float] | None = None) -> list[dict[str, Any]]:
    """Return hits as JSON values, with a reranker's scores where it gave some."""
    rows = [hit_json(hit) for hit in hits]
    if scores is None:
        return rows
    return [{**row, "rerank_score": score} for row, score in zip(rows, scores, strict=True)]


def hit_json(hit: Hit) -> dict[str, Any]:
    """Return a hit as JSON values."""
    chunk = hit.chunk
    return {
        "id": hit.id,
        "score": hit.score,
        "source": chunk.source,
        "position": chunk.position,
        "text": chunk.text,
        "metadata": dict(chunk.metadata),
        "arms": dict(hit.arms),
        "matches": [asdict(match) for match in hit.matches],
        "parts": [{**asdict(part), "why": part.why} for part in hit.parts],
    }


def hit_table(hits: Sequence[Hit], scores: Sequence[float] | None = None) -> Table:
    """Return the hits with an excerpt of each, its explanation and a reranker's score, if any."""
    from rich.table import Table

    table = Table(show_lines=True)
    table.add_column("", justify="right")
    table.add_column("score", justify="right")
    if scores is not None:
        table.add_column("rerank", justify="right")
    table.add_column("passage", overflow="fold")  # else Chinese lines end in an ellipsis
    for rank, hit in enumerate(hits):
        reranked = [] if scores is None else [f"{scores[rank]:.4f}"]
        table.add_row(str(rank + 1), f"{hit.score:.4f}", *reranked, _passage(hit))
    return table


def _passage(hit: Hit) -> RenderableType:
    from rich.console import Group

    text = " ".join(hit.chunk.text.split())
    excerpt = text if len(text) <= EXCERPT else f"{text[:EXCERPT]}…"
    origin = hit.id if hit.chunk.source is None else f"{hit.chunk.source} #{hit.chunk.position}"
    return Group(plain(origin, "cyan"), plain(excerpt), *map(plain, explanation(hit)))


def explanation(hit: Hit) -> list[str]:
    """Return what is known of how a hit was found: scores, words, and what every arm counted."""
    lines = []
    if hit.arms:
        lines.append(" · ".join(f"{arm} {score:.4g}" for arm, score in hit.arms.items()))
    if hit.matches:
        words = (f"{one.term} ({one.arm} {one.score:.3g})" for one in hit.matches[:MATCHES])
        lines.append(", ".join(words))
    lines += [
        f"{part.arm} counts {part.weight:.2f} and adds {part.score:.3f}: {part.why}"
        for part in hit.parts
    ]
    return lines


def schema_table(place: str, passages: int, schema: Schema, unindexed: Sequence[str]) -> Table:
    """Return what an index holds, which model wrote it, and which keys filters are slow on."""
    rows: dict[str, Any] = {"place": place, "passages": passages}
    for arm, spec in schema.vectors.items():
        size = "" if spec.size is None else f", {spec.size} dims"
        rows[arm] = f"vector {spec.name!r}, {spec.kind}{size}{', IDF' if spec.idf else ''}"
    if schema.fingerprint is None:
        rows["model"] = "unknown, not written by trivec"
    else:
        rows |= asdict(schema.fingerprint.encoder)
        rows |= _prefixed(f"{BM25.name} ", schema.fingerprint.analyzer or {})
    rows |= _prefixed("payload index ", schema.payload_indexes)
    if unindexed:
        rows["without an index"] = [*unindexed, "(filters on them read every passage)"]
    return rows_table(rows)


def evaluation_table(evaluation: Evaluation) -> Table:
    """Return what each system reached on a dataset, beside the default one."""
    from rich.table import Table

    from trivec.evaluation.metrics import MAIN_MEASURE
    from trivec.evaluation.reports import against_baseline, baseline_of, chance

    dataset = evaluation.dataset
    counts = f"{len(dataset.questions):,} questions, {evaluation.costs.passages:,} passages"
    beside = f"± of 95 % and p by {evaluation.drawn_by}; won and lost beside"
    table = Table(
        title=plain(f"{dataset.name}: {counts}"),
        caption=plain(f"{beside} {baseline_of(evaluation)!r}"),
    )
    table.add_column("system", overflow="fold")
    for name in (MAIN_MEASURE, "±", "R@1", "p50 ms", "won", "lost", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    first = evaluation.estimates("R@1")
    compared = against_baseline(evaluation)
    for one in evaluation.systems:
        estimate, time = evaluation.estimates()[one.name], one.latencies().get("all")
        comparison = compared.get(one.name)
        table.add_row(
            plain(one.name),
            f"{estimate.mean:.4f}",
            f"{(estimate.high - estimate.low) / 2:.3f}",
            f"{first[one.name].mean:.4f}",
            "" if time is None else f"{time.p50:.1f}",
            "" if comparison is None else str(comparison.wins),
            "" if comparison is None else str(comparison.losses),
            "" if comparison is None else chance(comparison.corrected),
        )
    return table


def rows_table(rows: Mapping[str, Any]) -> Table:
    """Return names and what they stand for."""
    from rich.table import Table

    table = Table(show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        table.add_row(plain(name, "cyan"), plain(shown))
    return table


def _prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {prefix + name: value for name, value in values.items()}
