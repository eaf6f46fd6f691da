"""What the page shows, as its URL says it: read from a query string, and written as one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args
from urllib.parse import urlencode

from trivec.arms import COLBERT, DENSE, arm_named
from trivec.fusion import FUSIONS, FusionName
from trivec.schema import Schema
from trivec.serving.explorer.options import MOST_HITS, ExplorerOptions
from trivec.types import ColbertMode, SearchOptions

__all__ = ["State", "Writing", "initial_state", "read_state"]

Writing = Literal["", "corpus", "chat"]
"""What rewrites the question."""

MOST_QUESTION = 2000
MOST_DEPTH = 1000
MOST_WEIGHT = 5.0
LANGUAGES = ("en", "zh")


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything that a URL says.

    Attributes:
        question: what is asked.
        on: the arms that are switched on.
        weights: of every stored arm; what it counts by default is 1.
        fusion: how the lists become one.
        rrf_k: the constant of reciprocal rank fusion.
        depth: candidates of each arm.
        colbert: what ColBERT vectors do; empty for nothing.
        least: thresholds, by arm.
        k: passages of a list.
        filter: by metadata, as JSON; empty for none.
        rerank: whether the reranker orders anew.
        writing: what rewrites the question.
        opened: the id of the passage that is explained; empty for none.
        source: its source, where several have its id.
        answer: whether an answer is asked for.
        language: of the page.
        faults: the parameters that could not be read.
    """

    question: str = ""
    on: tuple[str, ...]
    weights: Mapping[str, float]
    fusion: FusionName = "adaptive"
    rrf_k: int = 2
    depth: int = 100
    colbert: Literal["", "rescore", "fuse"] = ""
    least: Mapping[str, float]
    k: int = 10
    filter: str = ""
    rerank: bool = False
    writing: Writing = ""
    opened: str = ""
    source: str = ""
    answer: bool = False
    language: str = "en"
    faults: tuple[str, ...] = ()

    def options(self) -> SearchOptions:
        """Return the options of the search."""
        arms: Any = self.on
        if FUSIONS[self.fusion].weighted and len(self.on) > 1:
            arms = {arm: self.weights[arm] * _usual(arm, self.fusion) for arm in self.on}
        return SearchOptions(
            arms=arms,
            fusion=self.fusion,
            rrf_k=self.rrf_k,
            prefetch_k=self.depth,
            colbert=self.colbert or None,
            thresholds=self.least,
        )

    def conditions(self) -> Mapping[str, Any] | None:
        """Return the filter.

        Raises:
            ValueError: it is not a JSON object.
        """
        if not self.filter.strip():
            return None
        value = json.loads(self.filter)
        if not isinstance(value, dict):
            raise ValueError(self.filter)  # noqa: TRY004  # what json raises too
        return value

    def url(self, initial: State, **changes: Any) -> str:
        """Return the page's address in this state, with some fields changed.

        Args:
            initial: the state of a page without parameters, which is left out.
            changes: fields by their names.
        """
        state = replace(self, **{"answer": False, **changes})
        pairs: list[tuple[str, str]] = []
        for field, name in _NAMES.items():
            value = getattr(state, field)
            if value != getattr(initial, field) or field == "language":
                pairs.append((name, _text(value)))
        if set(state.on) != set(initial.on):
            pairs += [("set", "1"), *(("arm", arm) for arm in state.on)]
        for prefix, mine, theirs in (
            ("w.", state.weights, initial.weights),
            ("min.", state.least, initial.least),
        ):
            pairs += [
                (f"{prefix}{arm}", f"{one:g}")
                for arm, one in mine.items()
                if theirs.get(arm) != one
            ]
        return f"/?{urlencode(pairs)}"


_NAMES = {
    "question": "q",
    "fusion": "fusion",
    "rrf_k": "rrf_k",
    "depth": "depth",
    "colbert": "colbert",
    "k": "k",
    "filter": "filter",
    "rerank": "rerank",
    "writing": "rewrite",
    "opened": "open",
    "source": "source",
    "answer": "answer",
    "language": "lang",
}
"""Parameters by the fields that they set."""


def initial_state(schema: Schema, options: ExplorerOptions, language: str) -> State:
    """Return what a page without parameters shows."""
    search = options.search
    stored = list(schema.vectors)
    weights = dict.fromkeys(stored, 1.0)
    if search.arms is None:
        on = [arm for arm in stored if arm_named(arm).default]
    elif isinstance(search.arms, Mapping):
        on = [arm for arm, weight in search.arms.items() if weight > 0]
        usual = {arm: _usual(arm, search.fusion) for arm in on}
        weights |= {arm: search.arms[arm] / usual[arm] for arm in on}
    else:
        on = [search.arms] if isinstance(search.arms, str) else list(search.arms)
    return State(
        on=tuple(on),
        weights=weights,
        fusion=search.fusion,
        rrf_k=search.rrf_k,
        depth=search.prefetch_k,
        colbert=search.colbert or "",
        least=dict(search.thresholds),
        k=options.k,
        filter="" if options.filter is None else json.dumps(options.filter, ensure_ascii=False),
        language=language,
    )


def read_state(pairs: Iterable[tuple[str, str]], initial: State, options: ExplorerOptions) -> State:
    """Return the state that a query string says; what cannot be read is named and left as it is.

    Args:
        pairs: names and values, some names repeated.
        initial: the state without parameters.
        options: what the page can do.
    """
    given = list(pairs)
    reader = _Reader(dict(given))
    stored = list(initial.weights)
    on = initial.on
    if "set" in reader.values or any(name == "arm" for name, _ in given):
        chosen = [value for name, value in given if name == "arm"]
        reader.faults += [f"arm={one}" for one in chosen if one not in stored]
        on = tuple(arm for arm in stored if arm in chosen)
    possible = {"": True, "corpus": DENSE.name in stored, "chat": options.chat is not None}
    rewriters = [name for name in get_args(Writing) if possible[name]]
    colberts = ("", *get_args(ColbertMode)) if COLBERT.name in stored else ("",)
    language = reader.choice("lang", LANGUAGES, initial.language)
    return State(
        question=reader.text("q", MOST_QUESTION, initial.question),
        on=on,
        weights={
            arm: reader.number(f"w.{arm}", 0.0, MOST_WEIGHT, initial.weights[arm]) for arm in stored
        },
        fusion=reader.choice("fusion", get_args(FusionName), initial.fusion),
        rrf_k=int(reader.number("rrf_k", 1, 10_000, initial.rrf_k)),
        depth=int(reader.number("depth", 1, MOST_DEPTH, initial.depth)),
        colbert=reader.choice("colbert", colberts, initial.colbert),
        least={
            arm: value
            for arm in stored
            if (value := reader.number(f"min.{arm}", -1e6, 1e6, initial.least.get(arm))) is not None
        },
        k=int(reader.number("k", 1, MOST_HITS, initial.k)),
        filter=reader.text("filter", MOST_QUESTION, initial.filter),
        rerank=options.reranker is not None and reader.text("rerank", 1, "") == "1",
        writing=reader.choice("rewrite", rewriters, initial.writing),
        opened=reader.text("open", MOST_QUESTION, ""),
        source=reader.text("source", MOST_QUESTION, ""),
        answer=options.chat is not None and reader.text("answer", 1, "") == "1",
        language=language,
        faults=tuple(reader.faults),
    )


class _Reader:
    """Reads parameters one by one, and remembers what could not be read."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values
        self.faults: list[str] = []

    def text(self, name: str, most: int, default: str) -> str:
        value = self.values.get(name, default)
        if len(value) > most:
            self.faults.append(f"{name}: {len(value)} > {most}")
            return value[:most]
        return value

    def choice(self, name: str, allowed: Iterable[str], default: Any) -> Any:
        value = self.values.get(name, default)
        if value in tuple(allowed):
            return value
        self.faults.append(f"{name}={value}")
        return default

    def number(self, name: str, least: float, most: float, default: Any) -> Any:
        """Return a number; an empty one is the default."""
        text = self.values.get(name, "").strip()
        if not text:
            return default
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if least <= value <= most:
            return value
        self.faults.append(f"{name}={text}")
        return default


def _usual(arm: str, fusion: FusionName) -> float:
    """Return what an arm counts where nobody gives a weight."""
    return arm_named(arm).linear_weight if FUSIONS[fusion].adds_scores else 1.0


def _text(value: object) -> str:
    return ("1" if value else "") if isinstance(value, bool) else str(value)
