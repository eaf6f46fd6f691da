"""``trivec search``: the passages that answer a question."""

from __future__ import annotations

from typing import Annotated

import typer

from trivec.cli.arguments import IndexArguments, JsonOption, PlaceArgument, SearchArguments
from trivec.cli.place import chosen_encoder, open_place
from trivec.cli.questions import searched
from trivec.cli.rendering import hit_table, hits_json
from trivec.cli.reranking import CANDIDATES, reranked
from trivec.cli.terminal import complain, print_json, show

__all__ = ["search"]


def search(
    place: PlaceArgument,
    query: Annotated[str, typer.Argument(help="A question or keywords.")],
    *,
    k: Annotated[int, typer.Option("-k", min=1, help="How many passages.")] = 10,
    searching: SearchArguments,
    opening: IndexArguments,
    as_json: JsonOption = False,
) -> None:
    """Find the passages that answer a question."""
    options, conditions = searching.options(), searching.conditions()
    mixed, rerank = searching.mixed_precision, searching.rerank
    with open_place(place, opening.collection) as where:
        schema = where.require_schema()
        encoder = chosen_encoder(schema, opening.model, opening.device, mixed_precision=mixed)
        with (
            where.open(encoder, create=False, mixed_precision=mixed) as opened,
            searched(opened, questions=searching.questions) as source,
        ):
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
