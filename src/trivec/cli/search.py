"""``trivec search``: the passages that answer a question."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING, Annotated

import typer

from trivec.cli.arguments import IndexArguments, JsonOption, PlaceArgument, SearchArguments
from trivec.cli.paths import check_order
from trivec.cli.place import chosen_encoder, open_place
from trivec.cli.rendering import hit_table, hits_json
from trivec.cli.reranking import CANDIDATES, reranked
from trivec.cli.terminal import complain, print_json, show

if TYPE_CHECKING:
    from trivec.encoders import FlagEncoder, OnnxEncoder
    from trivec.index import HybridIndex
    from trivec.protocols import Encoder
    from trivec.questions.index import QuestionIndex

__all__ = ["opened_for_search", "search"]


def search(
    place: PlaceArgument,
    query: Annotated[str, typer.Argument(help="A question or keywords.")],
    *,
    k: Annotated[int, typer.Option("-k", "--top-k", min=1, help="How many passages.")] = 10,
    searching: SearchArguments,
    opening: IndexArguments,
    as_json: JsonOption = False,
) -> None:
    """Find the passages that answer a question."""
    check_order(place, [query], "search")
    options, conditions = searching.options(), searching.conditions()
    rerank = searching.rerank
    with opened_for_search(place, searching, opening) as (source, _):
        depth = k if rerank is None else max(k, CANDIDATES)
        hits = source.search(query, depth, filter=conditions, options=options)
    scores = None
    if rerank is not None:
        order = reranked(query, hits, k, rerank, opening.device)
        hits, scores = [hit for hit, _ in order], [score for _, score in order]
    if as_json:
        print_json({"query": query, "hits": hits_json(hits, scores)})
    elif hits:
        show(hit_table(hits, scores))
    else:
        complain("note", "no passage matches")


@contextmanager
def opened_for_search(
    place: str, searching: SearchArguments, opening: IndexArguments
) -> Iterator[tuple[HybridIndex | QuestionIndex, Encoder]]:
    """Yield what is searched, an index or its questions with it, and the index's encoder."""
    mixed = searching.mixed_precision
    with open_place(place, opening.collection) as where:
        schema = where.require_schema()
        encoder = chosen_encoder(schema, opening.model, opening.device, mixed_precision=mixed)
        with (
            _loading(encoder),
            where.open(encoder, create=False, mixed_precision=mixed) as index,
        ):
            if not searching.questions:
                yield index, index.encoder
                return
            from trivec.questions.index import QuestionIndex

            with QuestionIndex.open(index, create=False) as questions:
                yield questions, index.encoder


@contextmanager
def _loading(encoder: FlagEncoder | OnnxEncoder) -> Iterator[None]:
    """Load a model while the index is opened; what fails here fails again at the question."""

    def load() -> None:
        with suppress(Exception):
            encoder.load_for_texts()

    thread = Thread(target=load, name="trivec-load")
    thread.start()
    try:
        yield
    finally:
        thread.join()
