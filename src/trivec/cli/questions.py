"""``trivec questions`` and ``trivec feedback``: what passages answer, and what users say of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

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
from trivec.cli.progress import passages_counted

if TYPE_CHECKING:
    from trivec.index import HybridIndex
    from trivec.questions.index import QuestionIndex, QuestionReport

__all__ = ["feedback", "questions", "searched"]

NO_MODEL = (
    "no language model is named; give --model NAME for one behind the OpenAI protocol (with "
    "--base-url URL unless it is OpenAI's, and its key in OPENAI_API_KEY), or --prune alone"
)
NO_VERDICT = (
    "say of which passages: --good ID, --bad ID or --forget ID; 'trivec search --json' has ids"
)
LISTED = 20

EncoderOption = Annotated[str | None, typer.Option(help="Default: the one that wrote it.")]


def questions(
    place: PlaceArgument,
    *,
    model: ChatModelOption = None,
    base_url: BaseUrlOption = None,
    chat_option: ChatOption = None,
    per_chunk: Annotated[int, typer.Option(min=1, help="Most questions of a passage.")] = 5,
    refine: Annotated[
        bool, typer.Option(help="A second call that makes the set to keep from the first.")
    ] = True,
    concurrency: Annotated[
        int, typer.Option(min=1, help="Passages that are with the model at a time.")
    ] = 4,
    prune: Annotated[
        bool, typer.Option("--prune", help="First delete questions of passages gone or changed.")
    ] = False,
    filter_json: Annotated[
        str | None, typer.Option("--filter", help='Passages by metadata: {"lang": "zh"}')
    ] = None,
    encoder: EncoderOption = None,
    device: DeviceOption = "cpu",
    collection: CollectionOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no report.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Let a language model write the questions that each passage answers.

    'trivec search --questions' then finds passages by them. Run this again after a stop, or when
    there are new passages: questions that are there are not written again. The exit code is 1
    where the model failed on a passage.
    """
    from trivec.errors import InputError
    from trivec.questions.index import QuestionReport
    from trivec.questions.writing import QuestionPrompts

    if model is None and not prune:
        raise InputError(NO_MODEL)
    conditions = metadata_filter(filter_json)
    prompts = QuestionPrompts(per_chunk=per_chunk, refine=refine)
    report = QuestionReport()
    with _opened(place, collection, encoder, device, create=model is not None) as index:
        pruned = index.prune() if prune else 0
        if model is not None:
            total = index.index.count(conditions)
            with passages_counted(quiet=quiet, total=total) as progress:
                report = index.generate(
                    connected(model, base_url, chat_option),
                    model=model,
                    prompts=prompts,
                    filter=conditions,
                    concurrency=concurrency,
                    progress=progress,
                )
        index.optimize()
    if as_json:
        print_json({"place": place, **asdict(report), "pruned": pruned})
    else:
        for refusal in report.failed[:LISTED]:
            complain("failed", f"{refusal.id}: {refusal.reason}")
        if len(report.failed) > LISTED:
            complain("failed", f"{len(report.failed) - LISTED} more; --json lists all")
        if not quiet:
            typer.echo(_summary(place, report, pruned))
    if report.failed:
        raise typer.Exit(1)


def feedback(
    place: PlaceArgument,
    question: Annotated[str, typer.Argument(help="What was asked.")],
    *,
    good: Annotated[
        list[str] | None, typer.Option(help="Id of a passage that answers it; may be repeated.")
    ] = None,
    bad: Annotated[
        list[str] | None, typer.Option(help="Id of a passage that does not; may be repeated.")
    ] = None,
    forget: Annotated[
        list[str] | None, typer.Option(help="Id of a passage whose verdict is taken back.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Of the passages, where several sources have these ids.")
    ] = None,
    encoder: EncoderOption = None,
    device: DeviceOption = "cpu",
    collection: CollectionOption = None,
) -> None:
    """Say which passages answer a question, and which do not: for 'search --questions'."""
    from trivec.errors import InputError

    if not (good or bad or forget):
        raise InputError(NO_VERDICT)
    with _opened(place, collection, encoder, device, create=True) as index:
        for identity in good or ():
            index.add_feedback(question, identity, "good", source=source)
        for identity in bad or ():
            index.add_feedback(question, identity, "bad", source=source)
        for identity in forget or ():
            if not index.remove_feedback(question, identity, source=source):
                complain("note", f"{identity}: there was no verdict on it for this question")


@contextmanager
def searched(index: HybridIndex, *, questions: bool) -> Iterator[HybridIndex | QuestionIndex]:
    """Yield what is searched: an index, or its questions with it."""
    from trivec.questions.index import QuestionIndex

    if not questions:
        yield index
        return
    with QuestionIndex.open(index, create=False) as opened:
        yield opened


@contextmanager
def _opened(
    place: str, collection: str | None, encoder: str | None, device: str, *, create: bool
) -> Iterator[QuestionIndex]:
    from trivec.questions.index import QuestionIndex

    with open_place(place, collection) as where:
        chosen = chosen_encoder(where.require_schema(), encoder, device)
        with (
            where.open(chosen, create=False) as index,
            QuestionIndex.open(index, create=create) as opened,
        ):
            yield opened


def _summary(place: str, report: QuestionReport, pruned: int) -> str:
    counts = {
        "passages written for": report.written,
        "questions": report.questions,
        "passages without any": report.empty,
        "unchanged": report.skipped,
        "failed": len(report.failed),
        "old questions deleted": report.deleted + pruned,
        "tokens": report.input_tokens + report.output_tokens,
    }
    return f"{place}: " + ", ".join(f"{count} {name}" for name, count in counts.items())
