"""Putting the page together, a section for each dataset."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files

from trivec.errors import InputError
from trivec.evaluation.analysis import failures, overlaps, separation, slices
from trivec.evaluation.metrics import MAIN_MEASURE, MEASURES
from trivec.evaluation.page.browser import browser_data
from trivec.evaluation.page.charts import Spot, histogram, refusal_curve, scatter, shade
from trivec.evaluation.page.words import both, safe
from trivec.evaluation.reports import against_baseline, baseline_of, chance
from trivec.evaluation.results import Evaluation, SystemResult
from trivec.evaluation.statistics import Comparison

__all__ = ["LARGEST", "as_html"]

LARGEST = 1_500_000
"""Bytes of a page at most; larger ones are slow to open."""

ENDS = ("p50", "p95")

LEGEND = (
    "nDCG@10 counts a relevant passage the more, the higher it stands among the first ten. "
    "R is recall, RR the reciprocal rank of the first relevant one. p50 and p95: half of the "
    "searches, and 95 in 100, take no longer. p: how likely chance alone makes such a difference, "
    "corrected by Holm's method; bold below 0.05."
)

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def as_html(evaluations: Sequence[Evaluation]) -> str:
    """Return one HTML page that asks for nothing, at most 1.5 MB.

    Raises:
        InputError: there are no evaluations.
    """
    if not evaluations:
        raise InputError("there are no evaluations to show; give some")
    style, script = (_resource(name) for name in ("page.css", "page.js"))
    parts = [_section(one, number) for number, one in enumerate(evaluations)]
    taken = sum(len(part.encode("utf-8")) for part in (*parts, style, script)) + 4096
    budget = max(0, LARGEST - taken) // len(evaluations)
    browsers = [_browser(one, number, budget) for number, one in enumerate(evaluations)]
    body = "".join(part for pair in zip(parts, browsers, strict=True) for part in pair)
    title = ", ".join(safe(one.dataset.name) for one in evaluations)
    return (
        '<!doctype html><html lang="en" data-lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{title}</title><style>{style}</style></head>'
        f"<body><header><h1>{both('Evaluation')}</h1>"
        f"<span>trivec {version('trivec')}, {datetime.now(UTC):%Y-%m-%d}</span>"
        '<button id="language">中文 / English</button><button id="theme">◐</button></header>'
        f"{_contents(evaluations)}{body}<script>{script}</script></body></html>"
    )


def _contents(evaluations: Sequence[Evaluation]) -> str:
    """Return links to the sections, where there are several."""
    if len(evaluations) == 1:
        return ""
    links = (
        f'<a href="#d{number}">{safe(one.dataset.name)}</a>'
        for number, one in enumerate(evaluations)
    )
    return f'<nav class="row">{"".join(links)}</nav>'


def _resource(name: str) -> str:
    return files("trivec.evaluation.page").joinpath(name).read_text(encoding="utf-8")


def _section(evaluation: Evaluation, number: int) -> str:
    return "".join(
        (
            _head(evaluation, number),
            _systems(evaluation),
            _times(evaluation),
            _pairs(evaluation),
            _slices(evaluation),
            _failures(evaluation),
            _overlaps(evaluation),
            _scores(evaluation),
        )
    )


def _head(evaluation: Evaluation, number: int) -> str:
    dataset, costs = evaluation.dataset, evaluation.costs
    facts = [
        f"{len(dataset.questions):,} {both('questions')}",
        f"{costs.passages:,} {both('passages')}",
        f"{dataset.documents:,} {both('documents')}",
        both(f"intervals of 95 % drawn by {evaluation.drawn_by}"),
    ]
    facts += [f"{both('model')} {safe(costs.model)}"] if costs.model else []
    for words, size in (("index", costs.index_bytes), ("memory", costs.memory_bytes)):
        facts += [f"{both(words)} {size / 1e6:,.0f} MB"] if size else []
    if costs.encode_alone_ms is not None:
        facts.append(f"{both('encoding a query alone')} {costs.encode_alone_ms:.1f} ms")
    faults = "".join(
        f"<li>{both(fault.kind)} ({len(fault.ids)}): {safe(fault.named)}</li>"
        for fault in dataset.faults
    )
    wrong = f"<h3>{both('What was wrong with the dataset')}</h3><ul>{faults}</ul>"
    head = f'<h2 id="d{number}">{safe(dataset.name)}</h2><p>{" · ".join(facts)}</p>'
    return head + (wrong if faults else "")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; cells are whole ``<td>`` elements."""
    head = "".join(f"<th>{cell}</th>" for cell in heads)
    body = "".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>{body}</table></div>'


def _cell(text: str, name: str = "", style: str = "") -> str:
    classes = f' class="{name}"' if name else ""
    styles = f' style="{style}"' if style else ""
    return f"<td{classes}{styles}>{text}</td>"


def _numbered(evaluation: Evaluation) -> list[tuple[int, SystemResult]]:
    return list(enumerate(evaluation.systems, start=1))


def _numbers(evaluation: Evaluation) -> list[str]:
    """Return heads of columns that say which system they are when pointed at."""
    return [
        f'<abbr title="{safe(one.name)}">{number}</abbr>' for number, one in _numbered(evaluation)
    ]


def _systems(evaluation: Evaluation) -> str:
    estimates = {measure: evaluation.estimates(measure) for measure in MEASURES}
    best = {
        measure: max(one.mean for one in by_name.values()) for measure, by_name in estimates.items()
    }
    beside = against_baseline(evaluation)
    rows = []
    for number, one in _numbered(evaluation):
        note = ""
        if one.error:
            note = f" ({both('given up')}: {safe(one.error)})"
        elif one.failed:
            note = f" ({len(one.failed)} {both('failed')})"
        cells = [_cell(f"{number}. {safe(one.name)}{note}")]
        for measure in MEASURES:
            estimate = estimates[measure][one.name]
            text = f"{estimate.mean:.4f}"
            if measure == MAIN_MEASURE:
                text += f" [{estimate.low:.3f}, {estimate.high:.3f}]"
            cells.append(_cell(text, "best" if estimate.mean == best[measure] else ""))
        time = one.latencies().get("all")
        cells += [_cell("" if time is None else f"{getattr(time, end):.1f}") for end in ENDS]
        rows.append([*cells, *_beside(beside.get(one.name))])
    heads = [both("system"), *MEASURES, both("search ms, p50"), "p95"]
    heads += [both(word) for word in ("won", "tied", "lost")] + ["p"]
    note = f"<p>{both('Won, tied, lost and p: beside')} {safe(baseline_of(evaluation))}.</p>"
    return f"<h3>{both('Systems')}</h3>{note}{_table(heads, rows)}<p>{both(LEGEND)}</p>"


def _beside(comparison: Comparison | None) -> list[str]:
    """Return the cells of a comparison with the baseline; of the baseline itself, empty ones."""
    if comparison is None:
        return [_cell("")] * 4
    counts = (str(n) for n in (comparison.wins, comparison.ties, comparison.losses))
    sure = "sure" if comparison.significant else ""
    return [_cell(safe(text), sure) for text in (*counts, chance(comparison.corrected))]


def _times(evaluation: Evaluation) -> str:
    estimates = evaluation.estimates()
    spots = []
    for one in evaluation.systems:
        time = one.latencies().get("all")
        spots.append(Spot(one.name, time.p50 if time else 0.01, estimates[one.name]))
    drawing = f'<div class="wide">{scatter(spots, MAIN_MEASURE)}</div>'
    return f"<h3>{both('Quality against time')}</h3>{drawing}"


def _pairs(evaluation: Evaluation) -> str:
    pairs = {}
    for one in evaluation.comparisons():
        pairs[one.first, one.second] = one
        pairs[one.second, one.first] = one.turned()
    if not pairs:
        return ""
    rows = []
    for number, first in _numbered(evaluation):
        cells = [_cell(f"{number}. {safe(first.name)}")]
        for second in evaluation.systems:
            pair = pairs.get((first.name, second.name))
            if pair is None:
                cells.append("<td></td>")
                continue
            gain = pair.wins - pair.losses
            kind = ("up" if gain > 0 else "down" if gain < 0 else "") + (
                " sure" if pair.significant else ""
            )
            told = (
                f"{pair.wins} / {pair.ties} / {pair.losses}, {pair.delta.mean:+.4f} "
                f"[{pair.delta.low:+.4f}, {pair.delta.high:+.4f}], p {chance(pair.corrected)}"
            )
            cells.append(f'<td class="{kind.strip()}" title="{safe(told)}">{gain:+d}</td>')
        rows.append(cells)
    heads = ["", *_numbers(evaluation)]
    words = "Wins of the row over the column, less its losses; bold where Holm's p is below 0.05."
    return f"<h3>{both('Every pair')}</h3><p>{both(words)}</p>{_table(heads, rows)}"


def _slices(evaluation: Evaluation) -> str:
    parts = slices(evaluation)
    if not parts:
        return ""
    rows = []
    for part in parts:
        bounds = {"low": min(part.means.values()), "high": max(part.means.values())}
        value = part.value.removeprefix(f"{part.value[:1]} ")  # what it is sorted by
        name = f"{both(part.kind)}: {both(value)} ({part.questions})"
        values = (part.means[one.name] for one in evaluation.systems)
        rows.append(
            [_cell(name)]
            + [_cell(f"{value:.3f}", "heat", shade(value, bounds)) for value in values]
        )
    heads = ["", *_numbers(evaluation)]
    return f"<h3>{both('Kinds of questions')}</h3><p>{MAIN_MEASURE}</p>{_table(heads, rows)}"


def _failures(evaluation: Evaluation) -> str:
    by_system = {one.name: failures(evaluation, one.name) for one in evaluation.systems}
    kinds = list(dict.fromkeys(kind for kinds in by_system.values() for kind in kinds))
    if not kinds:
        return ""
    rows = [
        [_cell(both(kind))]
        + [_cell(str(len(by_system[one.name].get(kind, ())))) for one in evaluation.systems]
        for kind in kinds
    ]
    heads = ["", *_numbers(evaluation)]
    words = both("Questions without a relevant passage among the first ten.")
    return f"<h3>{both('Failures')}</h3><p>{words}</p>{_table(heads, rows)}"


def _overlaps(evaluation: Evaluation) -> str:
    rows = [
        [_cell(f"{safe(one.first)} · {safe(one.second)}")]
        + [_cell(str(n)) for n in (one.both, one.only_first, one.only_second, one.neither)]
        for one in overlaps(evaluation)
    ]
    if not rows:
        return ""
    words = ("both", "only the first", "only the second", "neither")
    heads = ["", *(both(word) for word in words)]
    return f"<h3>{both('What the arms share')}</h3>{_table(heads, rows)}"


def _scores(evaluation: Evaluation) -> str:
    relevant = [set(question.relevant) for question in evaluation.dataset.questions]
    cards, curves = [], []
    for number, one in _numbered(evaluation):
        good: list[float] = []
        bad: list[float] = []
        for wanted, result in zip(relevant, one.results, strict=True):
            for key, score in zip(result.ids[:10], result.scores[:10], strict=True):
                (good if key in wanted else bad).append(score)
        name = f"{number}. {safe(one.name)}"
        cards.append(f'<div class="card">{name}{histogram(good, bad)}</div>')
        parted = separation(evaluation, one.name)
        words = f"{both('A right one scores above a wrong one in')} {parted.chance:.0%}"
        curve = refusal_curve(parted.right, parted.wrong)
        curves.append(f'<div class="card">{name}<br>{words}{curve}</div>')
    legend = (
        "Up: how many of the wrong ones a threshold refuses. Across: how many of the right ones.",
        "Fused scores bear no threshold: what they mean changes with the question.",
    )
    scores = both("Scores of relevant and irrelevant passages among the first ten")
    marks = f"{both('relevant')} ↑ · {both('irrelevant')} ↓"
    return (
        f'<h3>{scores}</h3><p>{marks}</p><div class="cards">{"".join(cards)}</div>'
        f"<h3>{both('When to refuse')}</h3>"
        f"<p>{both(legend[0])} {both(legend[1])}</p>"
        f'<div class="cards">{"".join(curves)}</div>'
    )


def _browser(evaluation: Evaluation, number: int, budget: int) -> str:
    data, count = browser_data(evaluation, budget - 2048)
    whole = len(evaluation.dataset.questions)
    note = ""
    if count < whole:
        note = (
            f"<p>{count:,} {both('of')} {whole:,} {both('questions')}. "
            f"{both('The questions on which systems differ most are listed.')}</p>"
        )
    options = "".join(
        f'<option value="{value}">{words}</option>'
        for value, words in (
            ("differ", "A ≠ B"),
            ("first", "A > B"),
            ("second", "B > A"),
            ("all", "A, B"),
        )
    )
    return (
        f"<h3>{both('Question by question')}</h3>"
        f"<p>{both('Press a question to see what both systems found.')} "
        f"{both('Beside it stands the nDCG@10 of A and of B.')}</p>{note}"
        f'<div data-browser="q{number}"><div class="row"><select aria-label="A"></select>'
        f'<select aria-label="B"></select><select aria-label="A, B">{options}</select>'
        '<span class="count id"></span></div><div class="questions"></div>'
        '<button class="more">+</button></div>'
        f'<script type="application/json" id="q{number}">{data}</script>'
    )
