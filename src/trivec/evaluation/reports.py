"""What a run showed, as JSON values and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from trivec.evaluation.analysis import failures, overlaps, separation, slices
from trivec.evaluation.metrics import MAIN_MEASURE, MEASURES
from trivec.evaluation.results import Evaluation
from trivec.evaluation.statistics import Comparison
from trivec.evaluation.systems import System

__all__ = [
    "against_baseline",
    "as_failures",
    "as_json",
    "as_markdown",
    "baseline_of",
    "chance",
]


def baseline_of(evaluation: Evaluation) -> str:
    """Return the system that others are shown beside: the default hybrid, else the first."""
    default = str(System())
    for one in evaluation.systems:
        if str(one.system) == default:
            return one.name
    return evaluation.systems[0].name


def against_baseline(evaluation: Evaluation, measure: str = MAIN_MEASURE) -> dict[str, Comparison]:
    """Return each other system's comparison with the baseline, corrected with all pairs."""
    baseline = baseline_of(evaluation)
    shown = {}
    for one in evaluation.comparisons(measure):
        if one.second == baseline:
            shown[one.first] = one
        elif one.first == baseline:
            shown[one.second] = one.turned()
    return shown


def as_json(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Return everything but the questions themselves as JSON values."""
    return {"main_measure": MAIN_MEASURE, "datasets": [_dataset_json(one) for one in evaluations]}


def _dataset_json(evaluation: Evaluation) -> dict[str, Any]:
    dataset = evaluation.dataset
    estimates = {measure: evaluation.estimates(measure) for measure in MEASURES}
    systems = []
    for one in evaluation.systems:
        scores = separation(evaluation, one.name)
        systems.append(
            {
                "name": one.name,
                "error": one.error,
                "failed": {result.question: result.error for result in one.failed},
                "measures": {
                    name: asdict(by_name[one.name]) for name, by_name in estimates.items()
                },
                "latency_ms": {stage: asdict(time) for stage, time in one.latencies().items()},
                "failures": {
                    kind: len(questions)
                    for kind, questions in failures(evaluation, one.name).items()
                },
                "separation_of_scores": scores.chance,
            }
        )
    return {
        "name": dataset.name,
        "questions": len(dataset.questions),
        "passages": evaluation.costs.passages,
        "documents": dataset.documents,
        "drawn_by": evaluation.drawn_by,
        "faults": [{"kind": fault.kind, "ids": list(fault.ids)} for fault in dataset.faults],
        "missing": sorted(evaluation.missing),
        "costs": asdict(evaluation.costs),
        "baseline": baseline_of(evaluation),
        "systems": systems,
        "comparisons": [
            {**asdict(one), "significant": one.significant} for one in evaluation.comparisons()
        ],
        "slices": [{**asdict(one), "means": dict(one.means)} for one in slices(evaluation)],
        "overlaps": [asdict(one) for one in overlaps(evaluation)],
    }


def as_markdown(evaluations: Sequence[Evaluation]) -> str:
    """Return a table for each dataset, with what was wrong with it."""
    return "\n\n".join(_dataset_markdown(one) for one in evaluations) + "\n"


def _dataset_markdown(evaluation: Evaluation) -> str:
    dataset, costs = evaluation.dataset, evaluation.costs
    counts = (
        f"{len(dataset.questions):,} questions, {costs.passages:,} passages, "
        f"{dataset.documents:,} documents; intervals of 95 % by {evaluation.drawn_by}"
        f"{f'; model {costs.model}' if costs.model else ''}."
    )
    lines = [f"## {dataset.name}", "", counts, ""]
    lines += [f"- {fault}" for fault in dataset.faults]
    lines += [f"- {one.name} was given up: {one.error}" for one in evaluation.systems if one.error]
    lines += [""] if lines[-1] else []
    heads = ["system", *MEASURES, "search ms (p50, p95)", "wins / ties / losses", "p"]
    lines.append(f"| {' | '.join(heads)} |")
    lines.append(f"|{'---|' * len(heads)}")
    estimates = {measure: evaluation.estimates(measure) for measure in MEASURES}
    beside = against_baseline(evaluation)
    for one in evaluation.systems:
        cells = [one.name.replace("|", "\\|")]
        for measure in MEASURES:
            estimate = estimates[measure][one.name]
            interval = f" [{estimate.low:.3f}, {estimate.high:.3f}]"
            cells.append(f"{estimate.mean:.4f}{interval if measure == MAIN_MEASURE else ''}")
        time = one.latencies().get("all")
        cells.append("" if time is None else f"{time.p50:.1f}, {time.p95:.1f}")
        cells += _beside(beside.get(one.name))
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        f"Compared with {baseline_of(evaluation)} by {MAIN_MEASURE}; p corrected by Holm.",
    ]
    lines += _by_part(evaluation)
    return "\n".join(lines)


def _by_part(evaluation: Evaluation) -> list[str]:
    """Return a table of kinds of questions and one of failures, a column for each system."""
    names = [one.name.replace("|", "\\|") for one in evaluation.systems]
    head = [f"| {' | '.join(['', *names])} |", f"|{'---|' * (len(names) + 1)}"]
    parts = [
        [f"{part.kind}: {part.value} ({part.questions})"]
        + [f"{part.means[one.name]:.4f}" for one in evaluation.systems]
        for part in slices(evaluation)
    ]
    by_system = [failures(evaluation, one.name) for one in evaluation.systems]
    kinds = dict.fromkeys(kind for kinds in by_system for kind in kinds)
    failed = [[kind, *(str(len(found.get(kind, ()))) for found in by_system)] for kind in kinds]
    lines = []
    for title, rows in (
        (f"Kinds of questions, {MAIN_MEASURE}", parts),
        ("Questions without a relevant passage among the first ten, by why", failed),
    ):
        if rows:
            lines += ["", f"{title}:", "", *head, *(f"| {' | '.join(row)} |" for row in rows)]
    return lines


def as_failures(evaluation: Evaluation, name: str | None = None) -> list[dict[str, str]]:
    """Return the questions that a system fails, grouped by why; a row for each.

    Args:
        evaluation: what was found.
        name: of a system; None is the default hybrid, else the first.

    Raises:
        InputError: there is no such system.
    """
    system = baseline_of(evaluation) if name is None else name
    ranks, results = evaluation.first_relevant(system), evaluation.system(system).results
    rows = []
    for kind, failed in failures(evaluation, system).items():
        for at in failed:
            question, rank = evaluation.dataset.questions[at], ranks[at]
            rows.append(
                {
                    "dataset": evaluation.dataset.name,
                    "system": system,
                    "why": results[at].error or kind,
                    "question": question.text,
                    "relevant": " ".join(question.relevant),
                    "rank": "" if rank is None else str(rank + 1),
                    "first": next(iter(results[at].ids), ""),
                }
            )
    return rows


def _beside(comparison: Comparison | None) -> list[str]:
    if comparison is None:
        return ["", ""]
    counts = f"{comparison.wins} / {comparison.ties} / {comparison.losses}"
    return [counts, chance(comparison.corrected)]


def chance(p: float) -> str:
    """Return a p-value as people read it."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"
