"""Installs trivec as its users do, newest and lowest versions, and runs the README in each place.

    python -m scripts.fresh [--light] [--versions newest|lowest] [--seconds N] [EXTRA ...]

The sdist is built, the wheel from it, and for each install line of the README a new environment
with the newest versions that pip takes and another with the lowest that ``pyproject.toml`` allows.
The blocks below that line then run in it, without a network. Further environments have the extras
that the README does not install: the page of ``docs/`` on each runs there, and a small program of
``scripts/smoke``. An environment is removed once it was tried. Where extras are named, so are the
environments: those that have one of them. ``--light`` leaves PyTorch out and puts all that the
README installs, and small extras, into one environment of each kind.
What did not begin within ``--seconds`` is named and left out;
with ``--light``, so is what the registry did not deliver. A broken line says nothing of trivec.
Ends with status 1 where anything failed.
"""

from __future__ import annotations

import argparse
import math
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, CalledProcessError
from subprocess import run as run_program
from time import perf_counter

from packaging.requirements import Requirement
from packaging.version import Version
from pytest_httpserver import HTTPServer
from tests.environments import OFFLINE, Environment
from tests.openai_server import OpenAIServer
from tests.test_pages import fault
from tests.test_readme import ANSWER, COMMANDS, Block, distinct_blocks, expected

ROOT = Path(__file__).parent.parent
NEWEST, LOWEST = "newest", "lowest"
SMOKE = ROOT / "scripts" / "smoke"
DRAWN = ROOT / "cookbooks" / "05_questions_and_feedback.py"
DOCUMENTS = ("-c", "import kreuzberg, openpyxl, pptx; from trivec.ingest import chunks")
EVALUATION = (
    "-c",
    "import ir_measures; from ir_measures import nDCG; from trivec.evaluation import evaluate",
)
WITH_TORCH = {"flag", "finetune", "mteb"}
SMALL = ("server", "telemetry", "training", "ui")
"""Further extras that ``--light`` has room for."""
TRAINING_DATA = {"mini", "openai", "cli", "files", "evaluation", "training"}
PASSED, UNREACHED_HERE = "ok", "UNREACHED"
UNREACHED = re.compile(
    r"ConnectionError|Connection (?:aborted|reset|broken|refused)|ReadTimeout|timed out|"
    r"Max retries exceeded|Name or service not known|IncompleteRead|ProtocolError"
)
"""What pip says where the registry does not answer."""


@dataclass(frozen=True)
class Case:
    """An environment to be, and what runs in it.

    Attributes:
        extras: of trivec.
        versions: the newest or the lowest.
        blocks: of the README.
        programs: further ones, as arguments of Python.
        pages: of ``docs/``, by name; their blocks run in their order.
    """

    extras: frozenset[str]
    versions: str
    blocks: Sequence[Block] = ()
    programs: Sequence[tuple[str, ...]] = ()
    pages: Sequence[str] = ()

    def __str__(self) -> str:
        return f"trivec[{','.join(sorted(self.extras))}], {self.versions}"


def main() -> int:
    """Build, install and run; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--light", action="store_true", help="no PyTorch, and few environments")
    parser.add_argument("--versions", choices=[NEWEST, LOWEST], help="default: both")
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin nothing later")
    parser.add_argument("extras", nargs="*", help="environments with one of them; default: all")
    arguments = parser.parse_args()
    versions = [arguments.versions] if arguments.versions else [NEWEST, LOWEST]
    started = perf_counter()
    with tempfile.TemporaryDirectory() as name, HTTPServer(threaded=True) as loopback:
        place, server = Path(name), OpenAIServer(loopback)
        try:
            wheel = built(place)
        except CalledProcessError as err:
            if not arguments.light or not UNREACHED.search(err.stderr):
                raise
            print(f"NOT RUN, the registry was not reached: {err.stderr[-300:]}")
            return 0
        failed, late = [], []
        for number, case in enumerate(cases(place, versions, light=arguments.light)):
            if arguments.extras and not case.extras & set(arguments.extras):
                continue
            if perf_counter() - started > arguments.seconds:
                late.append(str(case))
                continue
            outcome = tried(case, wheel, place / f"env-{number}", server)
            shutil.rmtree(place / f"env-{number}")
            if outcome == UNREACHED_HERE and arguments.light:
                late.append(str(case))
            elif outcome != PASSED:
                failed.append(str(case))
    if late:
        print(f"NOT RUN, the registry was not reached or the time was over: {'; '.join(late)}")
    print(f"{perf_counter() - started:.0f} s; {len(failed)} failed: {'; '.join(failed) or 'none'}")
    return bool(failed)


def built(place: Path) -> Path:
    """Build the sdist, and the wheel from what is in it."""
    pip = [sys.executable, "-m", "pip"]
    tools = [*pip, "install", "-q", "--target", place / "tools", "hatchling"]
    run_program(tools, check=True, stderr=PIPE, text=True)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", place / "dist"]
    run_program(command, check=True, cwd=ROOT, env={"PYTHONPATH": str(place / "tools")})
    (sdist,) = (place / "dist").glob("*.tar.gz")
    command = [*pip, "wheel", "-q", "--no-deps", "-w", place / "dist", sdist]
    run_program(command, check=True, stderr=PIPE, text=True)
    (wheel,) = (place / "dist").glob("*.whl")
    return wheel


def cases(place: Path, kinds: Sequence[str], *, light: bool) -> Iterator[Case]:
    """Yield what to try."""
    blocks = list(distinct_blocks().values())
    lines = sorted({block.extras for block in blocks}, key=sorted)
    model = small_model(place / "model")
    onnx = vectors_of(model, "onnx")
    if light:
        lines = [line for line in lines if not line & WITH_TORCH]
        blocks = [block for block in blocks if block.extras in lines]
        small = [smoke(extra) for extra in SMALL]
        for versions in kinds:
            yield Case(frozenset(SMALL).union(*lines), versions, blocks, [onnx, *small])
        return
    flag = vectors_of(model, "flag")
    for versions in kinds:
        for extras in lines:
            below = [block for block in blocks if block.extras == extras]
            yield Case(extras, versions, below)
        yield Case(frozenset({"onnx"}), versions, programs=[onnx])
        yield Case(frozenset({"server"}), versions, programs=[smoke("server")])
        yield Case(frozenset({"documents"}), versions, programs=[DOCUMENTS])
        yield Case(frozenset({"evaluation"}), versions, programs=[EVALUATION])
        yield from further(versions, model)
        yield Case(frozenset({"flag"}), versions, programs=[flag])


def further(versions: str, model: Path) -> Iterator[Case]:
    """Yield the extras that the README does not install, with their pages."""
    places = ("tensorboard", "wandb")
    for extras, page, programs in (
        ({"mini", "telemetry"}, "events", [smoke("telemetry")]),
        ({"mini", "ui"}, "explorer", [smoke("ui")]),
        ({"mini", "plots"}, None, [smoke("plots", str(DRAWN))]),
        (TRAINING_DATA, "training-data", [smoke("training")]),
        ({"mini", "cli", "evaluation", "finetune"}, "fine-tuning", [smoke("finetune", str(model))]),
        ({"finetune", "tracking"}, None, [smoke("finetune", str(model), *places)]),
        ({"mteb"}, None, [smoke("mteb")]),
    ):
        yield Case(frozenset(extras), versions, (), programs, [page] if page else ())


def smoke(extra: str, *arguments: str) -> tuple[str, ...]:
    """Return the program that tries an extra."""
    return str(SMOKE / f"smoke_{extra}.py"), *arguments


def small_model(folder: Path) -> Path:
    """Write a small random model."""
    from trivec.testing import build_tiny_m3

    return build_tiny_m3(folder)


def vectors_of(model: Path, backend: str) -> tuple[str, ...]:
    """Return the program that compares a model's vectors with those of PyTorch here."""
    from trivec import load_encoder

    (encoding,) = load_encoder(model, backend="flag").encode_queries(["the river"])
    return smoke("vectors", str(model), backend, str(encoding.dense.tolist()))


def tried(case: Case, wheel: Path, folder: Path, server: OpenAIServer) -> str:
    """Install and run one case; print what it took and what went wrong, and return how it ended."""
    started = perf_counter()
    server.otherwise = lambda _: ANSWER
    environment, said = installed(case, wheel, folder)
    seconds = perf_counter() - started
    megabytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
    if environment is not None:
        variables = {
            "OPENAI_BASE_URL": server.base_url,
            "OPENAI_API_KEY": "sk-test",
            "TRIVEC_CACHE_DIR": str(folder / "cache"),
            "HF_HUB_OFFLINE": "1",
        }
        said = "\n".join(problems(case, environment, folder, variables))
        said += "\n".join(page_problems(case.pages, environment, folder, server))
    outcome = "FAILED" if said else PASSED
    if environment is None and UNREACHED.search(said):
        outcome = UNREACHED_HERE
    print(f"{outcome:9} {case}: installed in {seconds:.0f} s, {megabytes:.0f} MB", flush=True)
    if said:
        print(said, flush=True)
    return outcome


def installed(case: Case, wheel: Path, folder: Path) -> tuple[Environment | None, str]:
    """Return the environment, or None and what pip said."""
    run_program([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "-q", "--no-compile"]
    wanted = f"{wheel}[{','.join(sorted(case.extras))}]"
    pins = folder / "pins.txt"
    pins.write_text("\n".join(pinned(case, wheel)), "utf-8")
    done = run_program([*pip, "-c", pins, wanted], capture_output=True, text=True, check=False)
    if done.returncode:
        said = f"{done.stdout}\n{done.stderr}".splitlines()  # which versions conflict: on stdout
        return None, "\n".join(line for line in said if not line.startswith("WARNING"))[-2000:]
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "sitecustomize.py").write_text(OFFLINE, "utf-8")
    return Environment(folder), ""


def pinned(case: Case, wheel: Path) -> Iterator[str]:
    """Yield the versions that are not left to pip: PyTorch's, and the lowest ones."""
    if case.extras & WITH_TORCH:  # its build, with CUDA or without, is chosen by its version
        constraints = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
        yield from (line for line in constraints if line.startswith("torch=="))
    if case.versions == NEWEST:
        return
    lowest: dict[str, str] = {}  # of two extras that ask for the same, the higher bound counts
    for requirement in direct(wheel, case.extras):
        bounds = [spec.version for spec in requirement.specifier if spec.operator in (">=", "==")]
        known = [lowest[requirement.name]] if requirement.name in lowest else []
        if bounds and requirement.name != "torch":
            lowest[requirement.name] = max([bounds[0], *known], key=Version)
    yield from (f"{name}=={version}" for name, version in lowest.items())


def direct(wheel: Path, extras: Iterable[str]) -> list[Requirement]:
    """Return what trivec itself asks for with these extras, as the wheel says."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("dist-info/METADATA"))
        metadata = archive.read(name).decode()
    lines = [
        line.partition(":")[2].strip()
        for line in metadata.splitlines()
        if line.startswith("Requires-Dist:")
    ]
    found: list[Requirement] = []
    waiting = ["", *extras]
    for extra in waiting:
        for line in lines:
            requirement = Requirement(line)
            marker = requirement.marker
            if (marker is None) != (extra == ""):
                continue
            if marker is not None and not marker.evaluate({"extra": extra}):
                continue
            if requirement.name == "trivec":
                waiting += sorted(requirement.extras - set(waiting))
            else:
                found.append(requirement)
    return found


def problems(
    case: Case, environment: Environment, folder: Path, variables: dict[str, str]
) -> Iterator[str]:
    """Run everything of a case; yield what went wrong."""
    for block in case.blocks:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            done = environment.run([*COMMANDS[block.language], block.code], Path(place), variables)
        if done.returncode:
            yield f"{block.code}\n{done.stderr[-3000:]}"
        elif block.language == "python":
            printed = done.stdout.splitlines()
            for line, comment in zip(printed, expected(block.code), strict=True):
                if comment not in (None, line):
                    yield f"{block.code}\nprinted {line!r}, not {comment!r}"
    for program in case.programs:
        done = environment.run(["python", *program], folder, variables)
        if done.returncode:
            yield done.stderr[-3000:]


def page_problems(
    pages: Iterable[str], environment: Environment, folder: Path, server: OpenAIServer
) -> Iterator[str]:
    """Run the blocks of pages; yield what went wrong."""
    for page in pages:
        place = folder / page
        place.mkdir()
        if said := fault(ROOT / "docs" / f"{page}.md", environment, place, server):
            yield f"docs/{page}.md: {said}"


if __name__ == "__main__":
    raise SystemExit(main())
