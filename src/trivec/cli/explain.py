"""``trivec explain``: why a passage stands where it stands, or why it is missing."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from trivec.cli.arguments import IndexArguments, JsonOption, PlaceArgument, SearchArguments
from trivec.cli.place import chosen_encoder, open_place
from trivec.cli.reranking import ranking_by
from trivec.cli.terminal import plain, print_json, say, show

if TYPE_CHECKING:
    from rich.table import Table

    from trivec.evaluation import ArmAccount, Explanation

__all__ = ["explain"]

TERMS, TOKENS = 12, 40
"""Words of an arm, and tokens of the question, that are shown; ``--json`` has all."""


def explain(
    place: PlaceArgument,
    query: Annotated[str, typer.Argument(help="The question.")],
    identity: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="A passage, found or not. Default: the best one."),
    ] = None,
    *,
    source: Annotated[
        str | None, typer.Option(help="Of the passage, where several sources have its id.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many passages are asked for.")] = 10,
    searching: SearchArguments,
    opening: IndexArguments,
    as_json: JsonOption = False,
) -> None:
    """Say why a passage stands where it stands for a question, or why it is missing.

    Every arm's rank and score, what it added to the fused score, the words that matched, and
    ColBERT's token for each token of the question.
    """
    from trivec.evaluation import ExplainOptions, explain_passage

    if searching.questions:
        raise typer.BadParameter("--questions is not explained; leave it out")
    options = ExplainOptions(
        search=searching.options(), k=k, source=source, filter=searching.conditions()
    )
    if searching.rerank is not None:
        reranker, ranking = ranking_by(searching.rerank, opening.device)
        options = replace(options, reranker=reranker, ranking=ranking)
    mixed = searching.mixed_precision
    with open_place(place, opening.collection) as where:
        schema = where.require_schema()
        encoder = chosen_encoder(schema, opening.model, opening.device, mixed_precision=mixed)
        with where.open(encoder, create=False, mixed_precision=mixed) as index:
            explanation = explain_passage(index, query, identity, options)
    if as_json:
        print_json(asdict(explanation))
    else:
        _tell(explanation)


def _tell(explanation: Explanation) -> None:
    score = "" if explanation.score is None else f", score {explanation.score:.4f}"
    say(f"{explanation.id or 'no passage'}: {explanation.reason}{score}")
    if explanation.arms:
        say(f"fusion: {explanation.fusion}")
        show(_arms(explanation.arms))
    if explanation.alignment:
        pairs = (
            f"{one.token} → {one.passage_token} {one.score:.2f}"
            for one in explanation.alignment[:TOKENS]
        )
        say(f"colbert: {', '.join(pairs)}")
    if explanation.reranking is not None:
        one = explanation.reranking
        say(f"reranked: from {one.before} to {one.after}, score {one.score:.4f}")


def _arms(accounts: tuple[ArmAccount, ...]) -> Table:
    from rich.table import Table

    table = Table()
    for name in ("arm", "rank", "score", "weight", "part"):
        table.add_column(name, justify="left" if name == "arm" else "right")
    table.add_column("matched", overflow="fold")
    for one in accounts:
        words = ", ".join(f"{term.term} {term.score:.3g}" for term in one.terms[:TERMS])
        table.add_row(
            plain(one.arm),
            "-" if one.rank is None else f"{one.rank}{'' if one.taken else ' (not taken)'}",
            _number(one.score),
            _number(one.weight),
            _number(one.part),
            plain(words),
        )
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
