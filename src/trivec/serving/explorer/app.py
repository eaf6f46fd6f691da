"""The explorer as an ASGI application: one page, whose address is its state."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from trivec._runtime.dependencies import unavailable
from trivec._runtime.typed import checked
from trivec.arms import arm_names
from trivec.errors import TrivecError
from trivec.index import HybridIndex
from trivec.index.hybrid import binding_of
from trivec.serving.explorer.answering import Answered, answered
from trivec.serving.explorer.bars import parts_bar, score_bar
from trivec.serving.explorer.finding import Finder, Found, key_of
from trivec.serving.explorer.guard import Guard, is_from_here
from trivec.serving.explorer.marking import Marker, visible
from trivec.serving.explorer.options import ExplorerOptions
from trivec.serving.explorer.state import State, initial_state, read_state
from trivec.serving.explorer.words import WORDS, said

if TYPE_CHECKING:
    from jinja2 import Template
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

__all__ = ["explorer_app"]

logger = logging.getLogger(__name__)

ASSETS = {
    "explorer.css": "text/css; charset=utf-8",
    "explorer.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
EXTRA = "ui"
DEFAULT_OPTIONS = ExplorerOptions()


@checked
def explorer_app(index: HybridIndex, options: ExplorerOptions = DEFAULT_OPTIONS) -> ASGIApp:
    """Return the explorer of an index, for a server on this machine.

    It only reads. It answers ``GET`` alone, to the hosts 127.0.0.1 and localhost alone, and to no
    other site. Serve it on the loopback address: it knows no users. The index stays the caller's,
    who closes it after the server.

    Args:
        index: what is searched.
        options: what the page begins with, and what it can do besides.

    Raises:
        MissingDependencyError: Starlette or Jinja2 is not installed (extra ``ui``).
        InputError: a search that the index cannot do.

    Example:
        >>> from trivec import HybridIndex
        >>> from trivec.testing import FakeEncoder, MemoryStore
        >>> app = explorer_app(HybridIndex.open(MemoryStore(), FakeEncoder()))
    """
    try:
        from starlette.applications import Starlette
        from starlette.responses import Response
        from starlette.routing import Route

        template = _template()
    except ImportError as err:
        raise unavailable(err, "starlette", EXTRA) from err
    index.arms(options.search)
    page = _Page(index, options, template)
    folder = files("trivec.serving.explorer").joinpath("static")
    assets = {name: folder.joinpath(name).read_bytes() for name in ASSETS}

    def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in assets:
            return Response("there is no such file", status_code=404, media_type="text/plain")
        return Response(assets[name], headers={"content-type": ASSETS[name]})

    routes = [Route("/", page.respond), Route("/static/{name}", asset)]
    return Guard(Starlette(routes=routes))


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("trivec.serving.explorer"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = visible
    return environment.get_template("page.html")


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a state came to."""

    found: Found | None = None
    answer: Answered | None = None
    problem: str = ""
    details: str = ""


class _Page:
    """Renders the page in the state that a request asks for."""

    def __init__(self, index: HybridIndex, options: ExplorerOptions, template: Template) -> None:
        self._index = index
        self._options = options
        self._template = template
        self._finder = Finder(index, options)
        self._marker = Marker(binding_of(index).analyzer)

    def respond(self, request: Request) -> Response:
        """Answer a request; Starlette calls this in a worker thread."""
        from starlette.responses import HTMLResponse

        state = self._state(request)
        outcome = self._outcome(state, may_ask=is_from_here(request.scope))
        return HTMLResponse(self._template.render(self._context(state, outcome)))

    def _initial(self, language: str) -> State:
        return initial_state(self._index.schema, self._options, language)

    def _state(self, request: Request) -> State:
        wanted = request.headers.get("accept-language", "").strip().lower()
        initial = self._initial("zh" if wanted.startswith("zh") else "en")
        return read_state(request.query_params.multi_items(), initial, self._options)

    def _outcome(self, state: State, *, may_ask: bool) -> _Outcome:
        """Search, explain and answer as far as the state can be searched for."""
        if not (state.question.strip() and state.on):
            return _Outcome(problem="no_arm" if state.question.strip() else "")
        try:
            conditions = state.conditions()
        except (ValueError, RecursionError):
            return _Outcome(problem="bad_filter")
        found = self._found(state, conditions)
        if isinstance(found, _Outcome) or not state.answer:
            return found if isinstance(found, _Outcome) else _Outcome(found)
        if not may_ask:
            return _Outcome(found, problem="not_asked")
        return self._with_answer(state, conditions, found)

    def _found(self, state: State, conditions: Mapping[str, Any] | None) -> Found | _Outcome:
        """Return what is found, or why it cannot be searched for."""
        try:
            return self._finder.find(state, conditions)
        except TrivecError as err:
            unexplained = _Outcome()
            if state.opened:  # the lists can be shown without the explanation
                closed = self._outcome(replace(state, opened="", answer=False), may_ask=False)
                unexplained = closed if not closed.problem else unexplained
            return replace(unexplained, problem="failed", details=str(err))
        except Exception as err:
            logger.exception("a search of the explorer failed unexpectedly")
            return _Outcome(problem="failed", details=type(err).__name__)

    def _with_answer(
        self, state: State, conditions: Mapping[str, Any] | None, found: Found
    ) -> _Outcome:
        try:
            return _Outcome(found, answered(self._finder, self._options, state, conditions))
        except TrivecError as err:
            return _Outcome(found, problem="failed", details=str(err))

    def _context(self, state: State, outcome: _Outcome) -> MutableMapping[str, Any]:
        """Return what the template reads."""
        language = state.language
        initial = self._initial(language)
        terms: frozenset[str] = frozenset()
        if outcome.found is not None:
            terms = self._marker.terms(text.text for text in outcome.found.texts)
        known = arm_names()
        return {
            "w": {name: each[language] for name, each in WORDS.items()},
            "said": lambda text: said(text, language),
            "state": state,
            "initial": initial,
            "url": lambda **changes: state.url(initial, **changes),
            "other": "en" if language == "zh" else "zh",
            "outcome": outcome,
            "found": outcome.found,
            "options": self._options,
            "stored": [arm for arm in known if arm in initial.weights],
            "excerpt": lambda text: self._marker.excerpt(text, terms),
            "whole": lambda text: self._marker.whole(text, terms),
            "key": key_of,
            "number": lambda value: "–" if value is None else f"{value:.4f}",
            "bar": score_bar,
            "parts_bar": parts_bar,
            "as_json": lambda value: json.dumps(
                dict(value), ensure_ascii=False, default=str, indent=1
            ),
            "replace": replace,
            "place": repr(self._index.store),
        }
