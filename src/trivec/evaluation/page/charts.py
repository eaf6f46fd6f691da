"""Drawings as inline SVG; colours are the page's, so that dark and light both work."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trivec.evaluation.page.words import safe, svg_both
from trivec.evaluation.statistics import Estimate

__all__ = ["Spot", "histogram", "refusal_curve", "scatter", "shade"]

WIDTH, HEIGHT, MARGIN = 640, 320, 48
BINS = 24
SMALL, SMALL_HEIGHT = 220, 90
NUMBER = 11.0
"""How far a number of two digits stays from what else is drawn."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A system in the drawing of quality against time."""

    name: str
    milliseconds: float
    estimate: Estimate


def scatter(spots: Sequence[Spot], measure: str) -> str:
    """Draw quality against time; numbers name the systems, as rows of the table do."""
    times = [math.log10(max(spot.milliseconds, 0.01)) for spot in spots]
    ticks = _ticks(min(times, default=0.0), max(times, default=1.0))
    left, right = math.log10(ticks[0]), math.log10(ticks[-1])
    lows = [spot.estimate.low for spot in spots]
    highs = [spot.estimate.high for spot in spots]
    bottom, top = min(lows, default=0.0), max(highs, default=1.0)
    room = max((top - bottom) * 0.08, 0.005)
    bottom, top = bottom - room, top + room

    def across(time: float) -> float:
        return MARGIN + (time - left) / (right - left) * (WIDTH - 2 * MARGIN)

    def up(value: float) -> float:
        return HEIGHT - MARGIN - (value - bottom) / (top - bottom) * (HEIGHT - 2 * MARGIN)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">']
    for tick in ticks:
        x = across(math.log10(tick))
        parts.append(f'<path class="grid" d="M{x:.0f} {MARGIN}V{HEIGHT - MARGIN}"/>')
        below = HEIGHT - MARGIN + 16
        parts.append(f'<text class="axis mid" x="{x:.0f}" y="{below}">{tick:g}</text>')
    for value in np.linspace(bottom + room, top - room, 5):
        y = up(float(value))
        parts.append(f'<path class="grid" d="M{MARGIN} {y:.0f}H{WIDTH - MARGIN}"/>')
        parts.append(f'<text class="axis end" x="{MARGIN - 6}" y="{y + 4:.0f}">{value:.3f}</text>')
    places = [
        (across(time), up(spot.estimate.mean)) for spot, time in zip(spots, times, strict=True)
    ]
    labels = _label_places(places)
    for number, (spot, (x, y), (middle, foot)) in enumerate(
        zip(spots, places, labels, strict=True), start=1
    ):
        ends = f"M{x:.1f} {up(spot.estimate.low):.1f}V{up(spot.estimate.high):.1f}"
        title = f"{safe(spot.name)}: {spot.estimate.mean:.4f}, {spot.milliseconds:.1f} ms"
        parts.append(
            f'<g><title>{title}</title><path class="whisker" d="{ends}"/>'
            f'<circle class="spot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
            f'<text class="number mid" x="{middle:.1f}" y="{foot:.1f}">{number}</text></g>'
        )
    words = "milliseconds of a search, median"
    parts.append(svg_both(words, "axis mid", f'x="{WIDTH / 2}" y="{HEIGHT - 8}"'))
    parts.append(f'<text class="axis" x="8" y="20">{safe(measure)}</text></svg>')
    return "".join(parts)


def _label_places(spots: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return where the middle of each number stands: beside its spot, on none and no number."""
    taken = list(spots)
    places = []
    for x, y in spots:
        around = [(x + across, y + up) for up in (-5, 12, 4) for across in (11, -11)]

        def room(place: tuple[float, float]) -> float:
            middle = place[0], place[1] - 4  # a text stands on its line
            return min((math.dist(middle, other) for other in taken), default=0.0)

        # of those with room for two digits the first, else what is least crowded
        best = next((place for place in around if room(place) >= NUMBER), None)
        place = best or max(around, key=room)
        taken.append((place[0], place[1] - 4))
        places.append(place)
    return places


def _ticks(least: float, most: float) -> list[float]:
    """Return 1, 2, 5, 10 ... from one below to one above two decimal logarithms."""
    powers = range(math.floor(least) - 1, math.ceil(most) + 2)
    ticks = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    first = max(at for at, tick in enumerate(ticks) if math.log10(tick) < least + 1e-9)
    last = min(at for at, tick in enumerate(ticks) if math.log10(tick) > most + 1e-9)
    return ticks[first : last + 1]


def histogram(above: Sequence[float], below: Sequence[float]) -> str:
    """Draw two distributions of scores, one up and one down, each by its own greatest bin."""
    scores = [*above, *below]
    if not scores:
        return ""
    edges = np.histogram_bin_edges(scores, bins=BINS)
    middle = SMALL_HEIGHT / 2
    width = SMALL / BINS
    parts = [f'<svg class="small" viewBox="0 0 {SMALL} {SMALL_HEIGHT + 14}" role="img">']
    for values, sign, kind in ((above, -1, "good"), (below, 1, "bad")):
        counts, _ = np.histogram(values, bins=edges)
        tallest = max(int(counts.max()), 1)
        for at, count in enumerate(counts.tolist()):
            if not count:
                continue
            height = (middle - 2) * count / tallest
            y = middle - height if sign < 0 else middle
            parts.append(
                f'<rect class="{kind}" x="{at * width:.1f}" y="{y:.1f}" '
                f'width="{width - 1:.1f}" height="{height:.1f}"/>'
            )
    y = SMALL_HEIGHT + 11
    parts.append(f'<text class="axis" x="0" y="{y}">{edges[0]:.3g}</text>')
    parts.append(f'<text class="axis end" x="{SMALL}" y="{y}">{edges[-1]:.3g}</text></svg>')
    return "".join(parts)


def refusal_curve(right: Sequence[float], wrong: Sequence[float]) -> str:
    """Draw which share of the wrong is refused, by the share of the right that is lost with it."""
    if not right or not wrong:
        return ""
    thresholds = np.quantile([*right, *wrong], np.linspace(0, 1, 40))
    lost = [float((np.array(right) < least).mean()) for least in thresholds]
    refused = [float((np.array(wrong) < least).mean()) for least in thresholds]
    side = SMALL_HEIGHT
    points = " ".join(
        f"{x * side:.1f},{side - y * side:.1f}"
        for x, y in zip([*lost, 1.0], [*refused, 1.0], strict=True)
    )
    return (
        f'<svg class="square" viewBox="-1 -1 {side + 2} {side + 2}" role="img">'
        f'<rect class="frame" width="{side}" height="{side}"/>'
        f'<path class="grid" d="M0 {side}L{side} 0"/>'
        f'<polyline class="curve" points="{points}"/></svg>'
    )


def shade(value: float, bounds: Mapping[str, float]) -> str:
    """Return how strongly a cell is coloured, from the least to the greatest of its row."""
    reach = bounds["high"] - bounds["low"]
    share = (value - bounds["low"]) / reach if reach else 0.5
    return f"--share:{share:.2f}"
