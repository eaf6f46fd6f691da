"""``trivec finetune``, ``mix`` and ``prune``: a model tuned to a field, without forgetting."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trivec.cli.arguments import (
    DeviceOption,
    JsonOption,
    ModelOption,
    PlaceArgument,
    QuietOption,
)
from trivec.cli.exits import INCOMPLETE
from trivec.cli.paths import expanded
from trivec.cli.place import NEW_INDEX_MODEL, chosen_encoder, open_place
from trivec.cli.progress import counted, passages_counted
from trivec.cli.terminal import complain, print_json, say
from trivec.errors import InputError

if TYPE_CHECKING:
    from trivec.training import FinetuneData, FinetuneOptions, FinetuneProgress, TunedModel
    from trivec.training.data import TrainingExample

__all__ = ["finetune", "mix", "prune", "reindex"]

TRAIN, DEVELOPMENT = "train.jsonl", "dev.jsonl"
NO_EXAMPLES = "none"
MODEL = "mini, a folder in the BGE-M3 format or a hub id."


def finetune(
    data: Annotated[
        Path,
        typer.Argument(
            help=f"Examples as .jsonl, or a folder with {TRAIN} and {DEVELOPMENT}.", exists=True
        ),
    ],
    *,
    model: ModelOption = None,
    output: Annotated[Path, typer.Option(help="The folder of the tuned model.")] = Path("tuned"),
    development: Annotated[
        Path | None,
        typer.Option("--dev", exists=True, dir_okay=False, help="Examples to judge it on."),
    ] = None,
    general: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Examples of other fields, of which little is forgotten; none switches it off. "
            "Default: those that come with trivec.",
        ),
    ] = None,
    mix: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Of the tuned weights in the model, from 0 to 1; auto chooses it on --dev.",
        ),
    ] = None,
    part: Annotated[
        str | None, typer.Option(help="What learns: heads, top (default), encoder or lora.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Times that a query is asked.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the order of examples.")] = None,
    report_to: Annotated[
        list[str] | None,
        typer.Option(help="console, tensorboard or wandb; may be repeated."),
    ] = None,
    trainer: Annotated[
        str | None,
        typer.Option(
            help="m3, dense or reranker: FlagEmbedding's own, by torchrun. Default: trivec's."
        ),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Of torchrun, one for each GPU.")] = 1,
    settings: Annotated[
        Path | None,
        typer.Option(
            "--config",
            exists=True,
            dir_okay=False,
            help="JSON with any field of FinetuneOptions; docs/fine-tuning.md lists them.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace OUTPUT, and keep a model that became worse.")
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Tune a model to your field by examples; run it again to go on after a stop.

    A model that is worse than its base on --dev stays in OUTPUT.run, and the exit code is 3.
    """
    from trivec.training import finetune as tuned_by

    given = {
        "mix": _share(mix),
        "part": part,
        "epochs": epochs,
        "seed": seed,
        "report_to": None if report_to is None else tuple(report_to),
    }
    model = model or NEW_INDEX_MODEL
    options = _options(settings, {name: one for name, one in given.items() if one is not None})
    if trainer is not None:
        _train_elsewhere(data, model, expanded(output), options, (trainer, processes))
        return
    with _stages(quiet=quiet) as progress:
        tuned = tuned_by(
            _data(data, development, general),
            model,
            expanded(output),
            options=options,
            force=force,
            progress=progress,
        )
    if as_json:
        print_json({**_plain(asdict(tuned)), "in_place": tuned.in_place})
    else:
        _tell(tuned, quiet=quiet)
    if not tuned.in_place:
        raise typer.Exit(INCOMPLETE)


def mix(
    base: Annotated[str, typer.Argument(help=MODEL)],
    tuned: Annotated[Path, typer.Argument(help="A model that was tuned from it.", exists=True)],
    out: Annotated[Path, typer.Argument(help="The folder to write.")],
    *,
    share: Annotated[float, typer.Option(min=0, max=1, help="Of the tuned weights.")] = 0.5,
    as_json: JsonOption = False,
) -> None:
    """Write the weighted mean of a model and of what was tuned from it, heads included."""
    from trivec.training import mix_models

    folder = mix_models(base, tuned, expanded(out), share=share)
    if as_json:
        print_json({"folder": str(folder), "share": share})
    else:
        say(f"{folder}: {share:.0%} of {tuned}, the rest of {base}")


def prune(
    model: Annotated[str, typer.Argument(help=MODEL)],
    out: Annotated[Path, typer.Argument(help="The folder to write.")],
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", exists=True, help="The corpus: files, folders or examples (.jsonl)."
        ),
    ],
    *,
    corpus_only: Annotated[
        bool, typer.Option("--corpus-only", help="Keep no other token of the same languages.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Leave out the tokens that a corpus and its languages never need; vectors stay the same.

    Sparse indices change: an index has to be written again.
    """
    from trivec.training import prune_model

    pruned = prune_model(model, expanded(out), _texts(files), corpus_only=corpus_only)
    if as_json:
        print_json(_plain(asdict(pruned)))
        return
    say(
        f"{pruned.folder}: {pruned.tokens:,} of {pruned.of:,} tokens, {pruned.in_corpus:,} of them "
        f"in the corpus; weights {pruned.weight_bytes / 1e6:,.0f} MB, before "
        f"{pruned.bytes_before / 1e6:,.0f} MB"
    )


def reindex(
    place: PlaceArgument,
    *,
    model: ModelOption = None,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Move an index to another model, from the text that it holds; nothing is read again.

    The old index is searched until the new one is whole. Run it again to go on after a stop.
    """
    from trivec.training import reindex as moved

    if model is None:
        raise typer.BadParameter("name the model that the index is moved to: --model")
    with open_place(place, None) as where:
        if not isinstance(where.location, Path):
            raise typer.BadParameter(
                "PLACE is a server; index into a new collection there, and let an alias lead to it"
            )
        total = where.contents()[1] if where.schema() is not None else None
        encoder = chosen_encoder(None, model, device)
        with passages_counted(quiet=quiet, total=total) as progress:
            found = moved(where.location, encoder, progress=progress)
    if as_json:
        print_json({"place": place, "model": model, **asdict(found)})
    elif not quiet:
        asked = f" and {found.questions} questions and verdicts" if found.questions else ""
        say(f"{place}: {found.passages} passages{asked} by {model} now; {found.encoded} encoded")
    if found.truncated:
        complain("note", f"{found.truncated} passages are longer than the model reads")


def _train_elsewhere(
    data: Path, model: str, output: Path, options: FinetuneOptions, trainer: tuple[str, int]
) -> None:
    """Run a trainer of FlagEmbedding; what it wrote is judged by 'trivec compare'."""
    from trivec.training import FlagTrainerOptions, train_with_flag_embedding

    name, processes = trainer
    file = data / TRAIN if data.is_dir() else data
    chosen = FlagTrainerOptions(trainer=name, processes=processes)  # type: ignore[arg-type]
    folder = train_with_flag_embedding(file, model, output, options=options, trainer=chosen)
    say(f"{folder}: tuned by FlagEmbedding; 'trivec compare' says whether it is better")


def _share(text: str | None) -> float | str | None:
    if text is None or text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"--mix {text!r}; give auto, or a number up to 1") from None


def _options(file: Path | None, given: dict[str, Any]) -> FinetuneOptions:
    """Return the options of a file, changed by those of the command line.

    Raises:
        InputError: the file is no JSON object, or names what there is not.
    """
    from trivec.training import FinetuneOptions

    stored: Any = {}
    if file is not None:
        try:
            stored = json.loads(file.read_text("utf-8"))
        except ValueError as err:
            raise InputError(f"{file} is not JSON: {err}") from err
        if not isinstance(stored, dict):
            raise InputError(f"{file} must hold a JSON object of options")
    names = {one.name for one in fields(FinetuneOptions)}
    if unknown := sorted(set(stored) - names):
        raise InputError(f"{file} sets {', '.join(unknown)}; allowed: {', '.join(sorted(names))}")
    lists = {name: tuple(one) for name, one in stored.items() if isinstance(one, list)}
    return replace(FinetuneOptions(**{**stored, **lists}), **given)


def _data(data: Path, development: Path | None, general: str | None) -> FinetuneData:
    from trivec.training import FinetuneData

    train = data / TRAIN if data.is_dir() else data
    if development is None and data.is_dir() and (data / DEVELOPMENT).is_file():
        development = data / DEVELOPMENT
    return FinetuneData(
        train=_examples(train), development=_examples(development), general=_general(general)
    )


def _general(given: str | None) -> list[TrainingExample] | None:
    """Return the examples of a file; None stands for those that come with trivec."""
    if given is None:
        return None
    return [] if given == NO_EXAMPLES else _examples(expanded(Path(given)))


def _examples(file: Path | None) -> list[TrainingExample]:
    from trivec.training.data import read_examples

    return [] if file is None else list(read_examples(file))


def _texts(files: list[Path]) -> Iterator[str]:
    """Yield the texts of a corpus."""
    from trivec.ingest import find_files, read

    for file in find_files([expanded(one) for one in files]):
        if file.suffix == ".jsonl":
            for one in _examples(file):
                yield from (one.query, *one.pos, *one.neg)
        else:
            yield from (document.text for document in read(file))


@contextmanager
def _stages(*, quiet: bool) -> Iterator[FinetuneProgress]:
    """Yield what shows the stages of a training, one line for each."""
    from contextlib import ExitStack

    with ExitStack() as shown:
        now: dict[str, Any] = {}

        def tell(stage: str, done: int, total: int) -> None:
            if now.get("stage") != stage:
                shown.pop_all().close()
                now.update(stage=stage, done=0)
                now["advance"] = shown.enter_context(counted(quiet=quiet, begin=stage, total=total))
            now["advance"](done - now["done"])
            now["done"] = done

        yield tell


def _tell(tuned: TunedModel, *, quiet: bool) -> None:
    first, last = tuned.losses
    for judgement in tuned.judgements:
        say(str(judgement))
    if tuned.truncated:
        complain("note", f"{tuned.truncated} texts are longer than what was read of them")
    if not tuned.in_place:
        worse = ", ".join(one.arm for one in tuned.regressed)
        complain(
            "kept back",
            f"{worse} became worse; the model lies in {tuned.folder}: lower the learning rate, "
            "take more examples or --mix auto, or put it in place with --force",
        )
    elif not quiet:
        say(
            f"{tuned.folder}: {tuned.examples} examples, {tuned.steps} steps in "
            f"{tuned.seconds:.0f} s, loss {first:.3f} -> {last:.3f}, {tuned.share:.0%} tuned"
        )


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: str(one) if isinstance(one, Path) else one for name, one in values.items()}
