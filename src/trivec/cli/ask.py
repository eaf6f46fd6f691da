"""``trivec ask``: a question answered from an index, or the sentences nearest to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trivec.cli.arguments import (
    CollectionOption,
    DeviceOption,
    JsonOption,
    PlaceArgument,
    complain,
    metadata_filter,
    print_json,
)
from trivec.cli.chat import BaseUrlOption, ChatModelOption, ChatOption, connected
from trivec.cli.place import chosen_encoder, open_place
from trivec.cli.reranking import RerankOption, ranking_by
from trivec.text import clean
from trivec.types import Chunk

if TYPE_CHECKING:
    from trivec.answers.evidence import SentenceHit
    from trivec.answers.pipeline import RagPipeline
    from trivec.answers.types import Answer, Passage

__all__ = ["ask"]

NO_MODEL = (
    "no language model is named; give --model NAME for one behind the OpenAI protocol (with "
    "--base-url URL unless it is OpenAI's, and its key in OPENAI_API_KEY), or --evidence to see "
    "the best sentences without one"
)
ENDED_EARLY = {
    "content_filter": "a content filter stopped the model; the answer is not whole",
    "tool_calls": "the model asked for a tool; the answer is not whole",
    "error": "the model failed in the middle; the answer is not whole",
}
REMEDIES = {
    "length": ": the model thought up to its limit; --chat-option max_tokens=4000 raises it",
    "tool_calls": ": the model asked for a tool; use one that answers in words",
    "content_filter": ": a filter of the model's server stopped the answer",
    "error": ": the model's server failed; try again",
}


def ask(
    place: PlaceArgument,
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    *,
    model: ChatModelOption = None,
    base_url: BaseUrlOption = None,
    chat_option: ChatOption = None,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="No language model: the sentences that come nearest.")
    ] = False,
    rewrite: Annotated[
        bool, typer.Option("--rewrite", help="Let the model add the domain's words to the search.")
    ] = False,
    rerank: RerankOption = None,
    k: Annotated[
        int, typer.Option("-k", min=1, help="Passages read, or sentences with --evidence.")
    ] = 8,
    filter_json: Annotated[
        str | None, typer.Option("--filter", help='Metadata as JSON: {"lang": "zh"}')
    ] = None,
    min_evidence: Annotated[
        float | None,
        typer.Option(help="Refuse below this score. Default: what was measured for the encoder."),
    ] = None,
    encoder: Annotated[str | None, typer.Option(help="Default: the one that wrote it.")] = None,
    device: DeviceOption = "cpu",
    collection: CollectionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer a question from an index, with citations. The key: OPENAI_API_KEY."""
    from trivec.answers.evidence import best_sentences
    from trivec.answers.pipeline import RagPipeline
    from trivec.answers.types import RagOptions
    from trivec.errors import InputError
    from trivec.rewriting.rewriters import KeywordRewriter

    if model is None and not evidence:
        raise InputError(NO_MODEL)
    conditions = metadata_filter(filter_json)
    options = RagOptions(max_passages=k)
    if min_evidence is not None:
        options = replace(options, min_evidence=min_evidence)
    reranker = None
    if rerank is not None:
        reranker, ranking = ranking_by(rerank, device)
        options = replace(options, ranking=ranking)
    chat = None if evidence or model is None else connected(model, base_url, chat_option)
    rewriter = KeywordRewriter(chat) if rewrite and chat is not None else None
    with open_place(place, collection) as where:
        schema = where.require_schema()
        with where.open(chosen_encoder(schema, encoder, device), create=False) as index:
            rag = RagPipeline(index, chat, rewriter=rewriter, reranker=reranker, options=options)
            if evidence:
                hits = rag.find(question, filter=conditions).hits
                found = best_sentences(question, hits, index.encoder, most=k)
                _show_sentences(question, found, as_json=as_json)
            elif as_json:
                print_json(_answer_json(rag.answer(question, filter=conditions)))
            else:
                _show_streamed(rag, question, conditions)


def _show_streamed(rag: RagPipeline, question: str, conditions: dict[str, Any] | None) -> None:
    """Print an answer as it comes, then what it cites and what is wrong with it."""
    from trivec.answers.types import AnswerPiece

    answer: Answer | None = None
    with closing(rag.stream(question, filter=conditions)) as events:
        try:
            for event in events:
                if isinstance(event, AnswerPiece):
                    typer.echo(clean(event.text), nl=False)  # no model's text steers a terminal
                else:
                    answer = event
        finally:
            typer.echo()
    if answer is None:
        return
    for passage in answer.cited:
        typer.echo(f"[{passage.number}] {_origin(passage.hit.chunk)}")
    for line in _remarks(answer):
        complain("note", line)


def _remarks(answer: Answer) -> Iterable[str]:
    """Yield what the reader of an answer should know about it."""
    yield from answer.notes
    if answer.refused:
        score, least = answer.evidence.score, answer.evidence.threshold
        weak = f" ({score:.3f}, at least {least:.3f} is wanted)" if answer.evidence.is_weak else ""
        yield f"refused: {answer.reason}{weak}{REMEDIES.get(str(answer.reason), '')}"
        return
    if answer.truncated:
        yield "the model stopped at its limit of tokens; the answer is not whole"
    if answer.reason in ENDED_EARLY:
        yield ENDED_EARLY[answer.reason]
    if answer.unknown:
        yield f"cited, but there is no such passage: {list(answer.unknown)}"
    for claim in answer.claims:
        if claim.supported is False:
            what = "what it cites does not support this" if claim.citations else "cites nothing"
            yield f"{what}: {clean(claim.sentence)}"


def _show_sentences(question: str, found: Sequence[SentenceHit], *, as_json: bool) -> None:
    if as_json:
        sentences = [
            {"score": each.score, "text": each.text, **_origin_json(each.hit.chunk)}
            for each in found
        ]
        print_json({"question": question, "sentences": sentences})
        return
    for each in found:
        typer.echo(f"{each.score:.3f}  {clean(each.text)}")
        typer.echo(f"       {_origin(each.hit.chunk)}")
    if not found:
        complain("note", "no passage matches")


def _answer_json(answer: Answer) -> dict[str, Any]:
    rewrite = answer.rewrite
    return {
        "question": answer.question,
        "answer": answer.text,
        "refused": answer.refused,
        "reason": answer.reason,
        "citations": list(answer.citations),
        "unknown": list(answer.unknown),
        "claims": [asdict(claim) for claim in answer.claims],
        "passages": [_passage_json(passage) for passage in answer.passages],
        "evidence": asdict(answer.evidence),
        "keywords": [] if rewrite is None else list(rewrite.keywords),
        "timings": dict(answer.timings),
        "tokens": {
            "context": answer.context_tokens,
            "input": answer.input_tokens,
            "output": answer.output_tokens,
        },
        "truncated": answer.truncated,
        "notes": list(answer.notes),
    }


def _passage_json(passage: Passage) -> dict[str, Any]:
    return {
        "number": passage.number,
        **_origin_json(passage.hit.chunk),
        "score": passage.hit.score,
        "rerank_score": passage.rerank_score,
        "text": passage.text,
        "cut": passage.cut,
    }


def _origin_json(chunk: Chunk) -> dict[str, Any]:
    return {"id": chunk.id, "source": chunk.source, "position": chunk.position}


def _origin(chunk: Chunk) -> str:
    name = chunk.id if chunk.source is None else f"{chunk.source} #{chunk.position}"
    return clean(str(name)).replace("\n", " ")
