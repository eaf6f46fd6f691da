"""``trivec questions`` and ``trivec feedback``: what passages answer, and what users say of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from trivec.cli.arguments import (
    ChatArguments,
    FilterOption,
    IndexArguments,
    JsonOption,
    PlaceArgument,
    QuietOption,
    metadata_filter,
)
from trivec.cli.chat import NO_MODEL, connected
from trivec.cli.exits import FAILED
from trivec.cli.place import chosen_encoder, open_place
from trivec.cli.progress import passages_counted
from trivec.cli.terminal import complain, complain_each, print_json, say
from trivec.cli.wording import in_options

if TYPE_CHECKING:
    from trivec.questions.index import QuestionIndex, QuestionReport

__all__ = ["feedback", "questions"]

NO_VERDICT = (
    "say of which passages: --good ID, --bad ID or --forget ID; 'trivec search --json' has ids"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingArguments:
    """How questions are written."""

    per_chunk: Annotated[int, typer.Option(min=1, help="Most questions of a passage.")] = 5
    refine: Annotated[
        bool, typer.Option(help="A second call that makes the set to keep from the first.")
    ] = True
    concurrency: Annotated[
        int, typer.Option(min=1, help="Passages that are with the model at a time.")
    ] = 4
    prune: Annotated[
        bool, typer.Option("--prune", help="First delete questions of passages gone or changed.")
    ] = False
    filter_json: FilterOption = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictArguments:
    """Which passages are judged."""

    good: Annotated[
        list[str] | None, typer.Option(help="Id of a passage that answers it; may be repeated.")
    ] = None
    bad: Annotated[
        list[str] | None, typer.Option(help="Id of a passage that does not; may be repeated.")
    ] = None
    forget: Annotated[
        list[str] | None, typer.Option(help="Id of a passage whose verdict is taken back.")
    ] = None
    source: Annotated[
        str | None, typer.Option(help="Of the passages, where several sources have these ids.")
    ] = None


def questions(
    place: PlaceArgument,
    *,
    chatting: ChatArguments,
    writing: WritingArguments,
    opening: IndexArguments,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let a language model write the questions that each passage answers.

    'trivec search --questions' then finds passages by them. Run this again after a stop, or when
    there are new passages: questions that are there are not written again. The exit code is 1
    where the model failed on a passage.
    """
    from trivec.errors import InputError
    from trivec.questions.index import QuestionReport

    model = chatting.chat_model
    if model is None and not writing.prune:
        raise InputError(NO_MODEL.format(otherwise="--prune alone"))
    report = QuestionReport()
    with _opened(place, opening, create=model is not None) as index:
        pruned = index.prune() if writing.prune else 0
        if model is not None:
            report = _written(index, model, chatting, writing, quiet=quiet)
        index.optimize()
    if as_json:
        print_json({"place": place, **asdict(report), "pruned": pruned})
    else:
        complain_each("failed", [f"{one.id}: {in_options(one.reason)}" for one in report.failed])
        if not quiet:
            say(_summary(place, report, pruned))
    if report.failed:
        raise typer.Exit(FAILED)


def _written(
    index: QuestionIndex,
    model: str,
    chatting: ChatArguments,
    writing: WritingArguments,
    *,
    quiet: bool,
) -> QuestionReport:
    from trivec.questions.writing import QuestionPrompts

    conditions = metadata_filter(writing.filter_json)
    prompts = QuestionPrompts(per_chunk=writing.per_chunk, refine=writing.refine)
    with passages_counted(quiet=quiet, total=index.index.count(conditions)) as progress:
        return index.generate(
            connected(model, chatting),
            model=model,
            prompts=prompts,
            filter=conditions,
            concurrency=writing.concurrency,
            progress=progress,
        )


def feedback(
    place: PlaceArgument,
    question: Annotated[str, typer.Argument(help="What was asked.")],
    *,
    verdicts: VerdictArguments,
    opening: IndexArguments,
) -> None:
    """Say which passages answer a question, and which do not: for 'search --questions'."""
    from trivec.errors import InputError

    good, bad, forget = verdicts.good or (), verdicts.bad or (), verdicts.forget or ()
    source = verdicts.source
    if not (good or bad or forget):
        raise InputError(NO_VERDICT)
    with _opened(place, opening, create=True) as index:
        for identity in good:
            index.add_feedback(question, identity, "good", source=source)
        for identity in bad:
            index.add_feedback(question, identity, "bad", source=source)
        for identity in forget:
            if not index.remove_feedback(question, identity, source=source):
                complain("note", f"{identity}: there was no verdict on it for this question")


@contextmanager
def _opened(place: str, opening: IndexArguments, *, create: bool) -> Iterator[QuestionIndex]:
    from trivec.questions.index import QuestionIndex

    with open_place(place, opening.collection) as where:
        chosen = chosen_encoder(where.require_schema(), opening.model, opening.device)
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
