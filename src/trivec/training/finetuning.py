"""From examples to a tuned model in its place, with what it gained: ``finetune``."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any, TypeAlias

from trivec._runtime.cache import combined_digest
from trivec._runtime.paths import user_path
from trivec._runtime.typed import checked
from trivec.encoders import FlagEncoder
from trivec.encoders.model_folder import ModelFolder, inspect_folder
from trivec.encoders.stated import StatedUsage
from trivec.errors import InputError
from trivec.loading import load_encoder
from trivec.training.data import TrainingExample, general_examples
from trivec.training.judging import Judgement
from trivec.training.options import FinetuneOptions
from trivec.training.reporting import reports_to
from trivec.training.saving import put_in_place, write_model
from trivec.training.session import STATES, Session

__all__ = ["FinetuneData", "FinetuneProgress", "TunedModel", "finetune"]

logger = logging.getLogger(__name__)

FinetuneProgress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

RUN = "run.json"
PACKAGES = ("trivec", "torch", "transformers", "peft", "numpy")


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneData:
    """What a model learns from, and what it is judged on.

    Attributes:
        train: examples to learn from.
        development: of other documents; the tuned model is judged on them and ``mix`` is chosen.
        general: of other fields; ``mix`` loses little on them. None takes those that come with
            trivec, an empty list none.
    """

    train: Sequence[TrainingExample]
    development: Sequence[TrainingExample] = field(default=())
    general: Sequence[TrainingExample] | None = None

    def digests(self) -> dict[str, str]:
        """Return the sha256 of each part."""
        found = {}
        for name in ("train", "development", "general"):
            digest = hashlib.sha256()
            for one in getattr(self, name) or ():
                digest.update(one.to_line() + b"\n")
            found[name] = digest.hexdigest()
        return found


@dataclass(frozen=True, slots=True)
class TunedModel:
    """What a training has made.

    Attributes:
        folder: the tuned model; within the run's folder where it was not put in place.
        run: the folder with the configuration, digests, versions and losses.
        in_place: whether it lies where it was asked for; a regression does not.
        examples: how many it has learned from.
        truncated: texts of which the model has read the beginning alone.
        steps: how many.
        losses: the mean of the first tenth of the steps, and of the last.
        share: of the tuned weights in the model.
        judgements: of each arm on the development examples.
        seconds: that the training took, evaluation included.
    """

    folder: Path
    run: Path
    in_place: bool
    examples: int
    truncated: int
    steps: int
    losses: tuple[float, float]
    share: float
    judgements: tuple[Judgement, ...]
    seconds: float

    @property
    def regressed(self) -> tuple[Judgement, ...]:
        """The arms that have become worse."""
        return tuple(one for one in self.judgements if one.word == "REGRESSION")


@checked
def finetune(
    data: FinetuneData,
    model: str | Path,
    output: str | Path,
    *,
    options: FinetuneOptions | None = None,
    force: bool = False,
    progress: FinetuneProgress | None = None,
) -> TunedModel:
    """Tune a model to a field by examples from it; a CPU will do for a small one.

    What a training does lies in the folder ``OUTPUT.run``: the state, to go on from after an
    interruption, and ``run.json`` and ``losses.jsonl``. A model that is worse than its base on the
    development examples, by the whole interval of an arm, stays there. A call that changes ``mix``
    or ``force`` alone trains nothing again.

    Args:
        data: what to learn from.
        model: ``"mini"``, a hub id, or a folder in the BGE-M3 format.
        output: the folder of the tuned model.
        options: what learns, and how.
        force: replace a folder that is there, and put a regression in place.
        progress: told of the stages.

    Raises:
        InputError: no examples, ``output`` exists, or a setting does not fit the model.
        ModelError: the model cannot be found, or its layers are not known.
        MissingDependencyError: the extra ``finetune`` is not installed.

    Example:
        >>> data = FinetuneData(train=list(read_examples("train.jsonl")))  # doctest: +SKIP
        >>> finetune(data, "mini", "tuned").losses  # doctest: +SKIP
        (2.31, 1.12)
    """
    start = perf_counter()
    options, tell = options or FinetuneOptions(), progress or _silent
    if data.general is None:
        data = replace(data, general=general_examples())
    target = user_path("output", output)
    _check(data, options, target, force=force)
    encoder = load_encoder(model, backend="flag")
    if not isinstance(encoder, FlagEncoder):
        raise InputError(f"{model!r} cannot be trained; give 'mini', a hub id or a model's folder")
    folder, usage = inspect_folder(encoder.folder), _usage(encoder)
    if folder.path.resolve() == target.resolve():
        raise InputError(f"{target} is the model that is trained; give another output")
    run = target.with_name(f"{target.name}.run")
    name, config = _described(data, options, folder, str(model))
    run.mkdir(parents=True, exist_ok=True)
    session = Session(data, folder, usage, options, run)
    bf16 = _precision(session, options, run, name)
    (run / RUN).write_text(json.dumps({**config, "bf16": bf16}, indent=2), "utf-8")
    losses = _train(session, run, {**config, "bf16": bf16}, tell, force=force)
    share, judgements = session.concluded(bf16=bf16, progress=tell)
    candidate = run / "model"
    shutil.rmtree(candidate, ignore_errors=True)
    write_model(candidate, folder.path, session.network.tensors(), session.network.heads(), usage)
    tuned = TunedModel(
        candidate,
        run,
        in_place=False,
        examples=len(data.train),
        truncated=session.texts.truncated,
        steps=session.loop.steps,
        losses=losses,
        share=share,
        judgements=judgements,
        seconds=perf_counter() - start,
    )
    return _placed(tuned, target, {**config, "bf16": bf16}, force=force)


def _placed(
    tuned: TunedModel, target: Path, config: Mapping[str, Any], *, force: bool
) -> TunedModel:
    """Move the model to its place, unless it is worse than its base."""
    if not tuned.regressed or force:
        with put_in_place(target) as partial:
            shutil.rmtree(partial)
            tuned.folder.rename(partial)
        tuned = replace(tuned, folder=target, in_place=True)
    outcome = {
        "losses": tuned.losses,
        "share": tuned.share,
        "seconds": round(tuned.seconds, 1),
        "truncated": tuned.truncated,
        "judgements": [asdict(one) for one in tuned.judgements],
        "in_place": tuned.in_place,
    }
    content = json.dumps({**config, "outcome": outcome}, indent=2)
    (tuned.run / RUN).write_text(content, "utf-8")
    with suppress(OSError):  # a system that keeps open files will have it removed next time
        (tuned.run / STATES).unlink(missing_ok=True)
    return tuned


def _train(
    session: Session,
    run: Path,
    config: Mapping[str, Any],
    tell: FinetuneProgress,
    *,
    force: bool,
) -> tuple[float, float]:
    """Do the steps that are left; return the mean loss of the first and of the last tenth."""
    name, bf16 = config["name"], config["bf16"]
    session.prepare(bf16=bf16, progress=tell)
    session.loop.resume(run, name, force=force)
    places = config["options"]["report_to"]
    with reports_to(places, run, config, done=session.loop.done) as report:
        for step in session.loop.run(session.unused, bf16=bf16, folder=run, name=name):
            report(step)
            tell("steps", step.number, step.of)
    lines = (run / "losses.jsonl").read_text("utf-8").splitlines()
    totals = [json.loads(line)["losses"]["total"] for line in lines]
    tenth = max(1, len(totals) // 10)
    return sum(totals[:tenth]) / tenth, sum(totals[-tenth:]) / tenth


def _check(data: FinetuneData, options: FinetuneOptions, target: Path, *, force: bool) -> None:
    if len(data.train) < 2:
        raise InputError(f"{len(data.train)} examples to train on; give two at least")
    if target.exists() and not force:
        raise InputError(
            f"{target} exists already; choose another folder, or replace it with force=True"
        )
    if options.mix == "auto" and not data.development:
        raise InputError("mix='auto' is chosen on development examples; give some, or a share")
    asked = {(one.query, one.pos) for one in data.train}
    if shared := [one.query for one in data.development if (one.query, one.pos) in asked]:
        raise InputError(
            f"{len(shared)} development examples are training examples too, the first asks "
            f"{shared[0][:80]!r}; split by document"
        )


def _usage(encoder: FlagEncoder) -> StatedUsage:
    info = encoder.info
    return StatedUsage(str(info.pooling), info.query_instruction, info.passage_instruction)


def _described(
    data: FinetuneData, options: FinetuneOptions, folder: ModelFolder, model: str
) -> tuple[str, dict[str, Any]]:
    """Return what identifies a training, and all that its ``run.json`` says of it."""
    same = {
        "options": {
            name: value
            for name, value in asdict(options).items()
            if name not in {"report_to", "checkpoint_every", "mix", "most_lost"}
        },
        "data": data.digests(),
        "weights": combined_digest(folder.weights),
    }
    name = hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()
    config = {
        "name": name,
        "model": model,
        "options": asdict(options),
        "data": {**data.digests(), "examples": len(data.train)},
        "weights": same["weights"],
        "versions": {one: _version(one) for one in PACKAGES},
    }
    return name, config


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _precision(session: Session, options: FinetuneOptions, run: Path, name: str) -> bool:
    """Return whether to compute in bfloat16: what an interrupted run did, else what is asked."""
    if options.precision != "auto":
        return options.precision == "bf16"
    try:
        known = json.loads((run / RUN).read_text("utf-8"))
    except (OSError, ValueError):
        known = {}
    if known.get("name") == name and isinstance(known.get("bf16"), bool):
        return bool(known["bf16"])
    return session.is_faster_in_bf16()


def _silent(_stage: str, _done: int, _total: int) -> None:
    return None
