"""``trivec ask``: a question answered from an index, or the sentences nearest to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trivec.cli.arguments import (
    ChatArguments,
    IndexArguments,
    JsonOption,
    PlaceArgument,
    SearchArguments,
)
from trivec.cli.chat import NO_MODEL, connected
from trivec.cli.exits import INCOMPLETE
from trivec.cli.paths import check_order
from trivec.cli.rendering import explanation, hit_json
from trivec.cli.reranking import ranking_by
from trivec.cli.search import opened_for_search
from trivec.cli.terminal import complain, print_json, say, say_part
from trivec.cli.wording import in_options
from trivec.text import clean
from trivec.types import Chunk, Hit

if TYPE_CHECKING:
    from trivec.answers.evidence import SentenceHit
    from trivec.answers.pipeline import RagPipeline
    from trivec.answers.types import Answer, Evidence, Found, Passage
    from trivec.protocols import ChatModel, Encoder

__all__ = ["ask"]

ENDED_EARLY = {
    "content_filter": "a content filter stopped the model; the answer is not whole",
    "tool_calls": "the model asked for a tool; the answer is not whole",
    "error": "the model failed in the middle; the answer is not whole",
}
UNFINISHED = frozenset(["length", "empty", *ENDED_EARLY])
"""Reasons that lie with the model: there is no answer, or a part of one."""

REMEDIES = {
    "length": ": the model thought up to its limit; --chat-option max_tokens=4000 raises it",
    "tool_calls": ": the model asked for a tool; use one that answers in words",
    "content_filter": ": a filter of the model's server stopped the answer",
    "error": ": the model's server failed; try again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerArguments:
    """What an answer is made from."""

    evidence: Annotated[
        bool, typer.Option("--evidence", help="No language model: the sentences that come nearest.")
    ] = False
    rewrite: Annotated[
        bool, typer.Option("--rewrite", help="Let the model add the domain's words to the search.")
    ] = False
    k: Annotated[
        int,
        typer.Option("-k", "--top-k", min=1, help="Passages read, or sentences with --evidence."),
    ] = 8
    min_evidence: Annotated[
        float | None,
        typer.Option(help="Refuse below this score. Default: what was measured for the encoder."),
    ] = None


def ask(
    place: PlaceArgument,
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    *,
    chatting: ChatArguments,
    answering: AnswerArguments,
    searching: SearchArguments,
    opening: IndexArguments,
    as_json: JsonOption = False,
) -> None:
    """Answer a question from an index, with citations.

    A refusal is an answer: it says why, and the exit code is 0. The code is 3 where the model
    failed or was stopped, so that the answer is missing or not whole.
    """
    from trivec.answers.evidence import best_sentences
    from trivec.errors import InputError

    check_order(place, [question], "ask")
    chat = None
    if not answering.evidence:
        if chatting.chat_model is None:
            otherwise = "--evidence to see the best sentences without one"
            raise InputError(NO_MODEL.format(otherwise=otherwise))
        chat = connected(chatting.chat_model, chatting)
    conditions = searching.conditions()
    with _pipeline(place, chat, answering, searching, opening) as (rag, encoder):
        if answering.evidence:
            evidence = rag.find(question, filter=conditions)
            best = best_sentences(question, evidence.hits, encoder, most=answering.k)
            if as_json:
                print_json(_evidence_json(question, evidence, best))
            else:
                _show_evidence(evidence, best, explain=searching.explain)
            return
        if as_json:
            answer = rag.answer(question, filter=conditions)
            print_json(_answer_json(answer))
        else:
            answer = _show_streamed(rag, question, conditions, explain=searching.explain)
    if answer.truncated or answer.reason in UNFINISHED:
        raise typer.Exit(INCOMPLETE)


@contextmanager
def _pipeline(
    place: str,
    chat: ChatModel | None,
    answering: AnswerArguments,
    searching: SearchArguments,
    opening: IndexArguments,
) -> Iterator[tuple[RagPipeline, Encoder]]:
    """Yield what answers, and the index's encoder; the index is closed afterwards."""
    from trivec.answers.pipeline import RagPipeline
    from trivec.answers.types import RagOptions
    from trivec.rewriting.rewriters import KeywordRewriter

    options = RagOptions(max_passages=answering.k, search=searching.options())
    if answering.min_evidence is not None:
        options = replace(options, min_evidence=answering.min_evidence)
    reranker = None
    if searching.rerank is not None:
        reranker, ranking = ranking_by(searching.rerank, opening.device)
        options = replace(options, ranking=ranking)
    rewriter = KeywordRewriter(chat) if answering.rewrite and chat is not None else None
    with opened_for_search(place, searching, opening) as (source, encoder):
        rag = RagPipeline(source, chat, rewriter=rewriter, reranker=reranker, options=options)
        yield rag, encoder


def _show_streamed(
    rag: RagPipeline, question: str, conditions: dict[str, Any] | None, *, explain: bool
) -> Answer:
    """Print an answer as it comes, then what it cites and what is wrong with it."""
    from trivec.answers.types import AnswerPiece

    with closing(rag.stream(question, filter=conditions)) as events:
        try:
            for event in events:
                if isinstance(event, AnswerPiece):
                    say_part(clean(event.text))
                else:
                    answer = event
        finally:
            say("")
    for passage in answer.cited:
        say(f"[{passage.number}] {_origin(passage.hit.chunk)}")
        if explain:
            _explain(passage.hit)
    for line in _remarks(answer):
        complain("note", line)
    return answer


def _remarks(answer: Answer) -> Iterable[str]:
    """Yield what the reader of an answer should know about it."""
    yield from map(in_options, answer.notes)
    if answer.refused:
        remedy = REMEDIES.get(str(answer.reason), "")
        yield f"refused: {answer.reason}{_weak(answer.evidence)}{remedy}"
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


def _weak(evidence: Evidence) -> str:
    """Return how far evidence is from enough; nothing where it suffices."""
    if not evidence.is_weak:
        return ""
    if evidence.lead is not None:
        return f" (lead {evidence.lead:.3f}, at least {evidence.least_lead:.3f} is wanted)"
    return f" ({evidence.score:.3f}, at least {evidence.threshold:.3f} is wanted)"


def _show_evidence(evidence: Found, best: Sequence[SentenceHit], *, explain: bool) -> None:
    """Show the best sentences, and say where they are too weak to answer from."""
    for one in best:
        say(f"{one.score:.3f}  {one.text}")
        say(f"       {_origin(one.hit.chunk)}")
        if explain:
            _explain(one.hit)
    if not best:
        complain("note", "no passage matches")
    if evidence.evidence.is_weak:
        complain(
            "note", f"the evidence is weak{_weak(evidence.evidence)}: no answer would be given"
        )


def _evidence_json(question: str, evidence: Found, best: Sequence[SentenceHit]) -> dict[str, Any]:
    return {
        "question": question,
        "evidence": {**asdict(evidence.evidence), "is_weak": evidence.evidence.is_weak},
        "sentences": [{"score": one.score, "text": one.text, **_known_of(one.hit)} for one in best],
    }


def _explain(hit: Hit) -> None:
    for line in explanation(hit):
        say(f"       {line}")


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
        "text": passage.text,
        "cut": passage.cut,
        "rerank_score": passage.rerank_score,
        "score": passage.hit.score,
        **_known_of(passage.hit),
    }


def _known_of(hit: Hit) -> dict[str, Any]:
    """Return what is known of a passage besides its text and score."""
    return {name: value for name, value in hit_json(hit).items() if name not in {"text", "score"}}


def _origin(chunk: Chunk) -> str:
    name = chunk.id if chunk.source is None else f"{chunk.source} #{chunk.position}"
    return str(name).replace("\n", " ")
