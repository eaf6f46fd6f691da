"""``trivec explore``: a local page on an index."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Annotated

import typer

from trivec.cli.arguments import (
    ChatArguments,
    IndexArguments,
    PlaceArgument,
    SearchArguments,
)
from trivec.cli.chat import connected
from trivec.cli.place import chosen_encoder, open_place
from trivec.cli.reranking import ranking_by
from trivec.cli.terminal import say

__all__ = ["explore"]


def explore(
    place: PlaceArgument,
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of this machine; 0 takes a free one.")
    ] = 7007,
    k: Annotated[int, typer.Option("-k", min=1, max=50, help="Passages of each list.")] = 10,
    min_evidence: Annotated[
        float | None,
        typer.Option(help="Refuse below this score. Default: what was measured for the encoder."),
    ] = None,
    chatting: ChatArguments,
    searching: SearchArguments,
    opening: IndexArguments,
) -> None:
    """Show an index in the browser: every arm side by side, and what each switch changes.

    The page answers on 127.0.0.1 alone and only reads. Ctrl-C ends it. With a language model it
    answers questions too.
    """
    from trivec.serving.explorer import ExplorerOptions, serve_explorer

    if searching.questions:
        raise typer.BadParameter("--questions is not explored; leave it out")
    chat = None
    if chatting.chat_model is not None:
        chat = connected(chatting.chat_model, chatting)
    options = ExplorerOptions(
        search=replace(searching.options(), explain=False),
        k=k,
        filter=searching.conditions(),
        chat=chat,
        min_evidence=min_evidence,
    )
    if searching.rerank is not None:
        reranker, ranking = ranking_by(searching.rerank, opening.device)
        options = replace(options, reranker=reranker, ranking=ranking)
    mixed = searching.mixed_precision
    with open_place(place, opening.collection) as where:
        schema = where.require_schema()
        encoder = chosen_encoder(schema, opening.model, opening.device, mixed_precision=mixed)
        with (
            where.open(encoder, create=False, mixed_precision=mixed) as index,
            contextlib.suppress(KeyboardInterrupt),
        ):
            serve_explorer(index, options, port=port, ready=_tell)


def _tell(url: str) -> None:
    say(f"{url}  (Ctrl-C ends it)")
