"""Bars as SVG: a policy that allows no inline style allows attributes of drawings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trivec.types import ScorePart

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["parts_bar", "score_bar"]

WIDTH = 100.0


def score_bar(score: float, best: float, arm: str) -> Markup:
    """Return a bar as long as a score is of the list's best."""
    share = score / best if best > 0 else 0.0
    return _bar([(arm, max(0.0, min(share, 1.0)) * WIDTH)])


def parts_bar(parts: Sequence[ScorePart], score: float, best: float) -> Markup:
    """Return a bar of a score's parts, each in its arm's colour."""
    if not parts or any(part.score < 0 for part in parts):
        return score_bar(score, best, "fused")
    scale = WIDTH / best if best > 0 else 0.0
    return _bar([(part.arm, part.score * scale) for part in parts])


def _bar(lengths: Sequence[tuple[str, float]]) -> Markup:
    from markupsafe import Markup

    drawn, at = [], 0.0
    one = Markup('<rect class="arm-{}" x="{}" width="{}" height="4"/>')
    for arm, length in lengths:
        drawn.append(one.format(arm, f"{at:.2f}", f"{length:.2f}"))
        at += length
    opening = Markup(
        '<svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
    )
    return opening + Markup("").join(drawn) + Markup("</svg>")
