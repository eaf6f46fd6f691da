"""Break the core's logic on purpose, one detail at a time, and see whether its tests notice.

mutmut writes the mutants of each module and runs the module's nearest tests over them, in a folder
of its own under ``.mutants/``. What survives must be in ``tests/mutants/survivors.toml``, with a
reason::

    make mutants                                   # all modules
    python scripts/mutants.py fusion planning      # some of them
    python scripts/mutants.py --sample 100         # about a hundred mutants of each
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
WORK = ROOT / ".mutants"
LISTED = ROOT / "tests" / "mutants" / "survivors.toml"
MUTMUT = Path(sys.executable).parent / "mutmut"
SURVIVED, UNTESTED = 0, 33
"""Exit codes of mutmut's; all others mean that a test noticed, be it by a time-out."""

QUICK = ["-k", "not edge and not server and not comes_back_whole"]
"""Contract suites over the store in memory alone, and no test that takes many seconds."""

NEAREST: Mapping[str, tuple[str, Sequence[str]]] = {
    "fusion": ("fusion.py", ["unit/test_fusion.py"]),
    "planning": ("index/planning.py", ["unit/test_index_planning.py"]),
    "filters": (
        "stores/filters.py",
        ["unit/test_stores_filters.py", "contract/test_store_filters.py"],
    ),
    "comparing": (
        "stores/comparing.py",
        ["unit/test_stores_filters.py", "contract/test_store_filters.py"],
    ),
    "payload fields": ("payloads/fields.py", ["unit/test_payloads_fields.py"]),
    "payload": ("payloads/trivec.py", ["unit/test_payloads_trivec.py"]),
    "llama index payload": ("payloads/llama_index.py", ["unit/test_payloads_codecs.py"]),
    "haystack payload": ("payloads/haystack.py", ["unit/test_payloads_codecs.py"]),
    "stored layouts": ("payloads/codecs.py", ["unit/test_payloads_codecs.py"]),
    "adding": ("index/adding.py", ["unit/test_index_adding.py"]),
    "citations": (
        "chat/citations.py",
        ["unit/test_chat_citations.py", "unit/test_answers_outcome.py"],
    ),
    "evidence": ("answers/evidence.py", ["unit/test_answers_support.py"]),
}
"""A name for each module, its file below ``src/trivec``, and its nearest tests below ``tests``."""


@dataclass(frozen=True, order=True)
class Mutant:
    """A change of one function, and what came of it.

    Attributes:
        function: which one, with its module.
        change: the lines that it changes, old and new.
        status: mutmut's exit code.
    """

    function: str
    change: str
    status: int


def main() -> int:
    """Run the mutants of the modules that the command line names; 1 where one is not listed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("modules", nargs="*", metavar="module", help=f"of {', '.join(NEAREST)}")
    parser.add_argument("--sample", type=int, help="about so many mutants of each module")
    arguments = parser.parse_args()
    os.nice(10)
    groups = listed_groups()
    unlisted: list[Mutant] = []
    for name in arguments.modules or NEAREST:
        path, tests = NEAREST[name]
        mutants = list(run(name, Path("src/trivec") / path, tests, arguments.sample))
        survivors = sorted(mutant for mutant in mutants if mutant.status in {SURVIVED, UNTESTED})
        fresh = [one for one in survivors if not any(group.has(one) for group in groups)]
        unlisted += fresh
        noticed = len(mutants) - len(survivors)
        print(
            f"{name}: {noticed} of {len(mutants)} noticed ({noticed / len(mutants):.1%}), "
            f"{len(survivors) - len(fresh)} listed, {len(fresh)} not listed",
            flush=True,
        )
        for mutant in fresh:  # as the file wants them
            print(f"  {json.dumps(mutant.function)} = [{json.dumps(mutant.change)}]")
    return 1 if unlisted else 0


@dataclass(frozen=True)
class Group:
    """Survivors that one reason holds for.

    Attributes:
        reason: why no test can, or need, notice them.
        mutants: their changes, by function.
        pattern: matches the change of every one, wherever it is.
    """

    reason: str
    mutants: Mapping[str, Sequence[str]] = field(default_factory=dict)
    pattern: str | None = None

    def has(self, mutant: Mutant) -> bool:
        """Say whether the mutant is one of them."""
        if self.pattern is not None and re.fullmatch(self.pattern, mutant.change):
            return True
        return mutant.change in self.mutants.get(mutant.function, ())


def listed_groups() -> list[Group]:
    """Return the survivors that are listed."""
    return [Group(**group) for group in tomllib.loads(LISTED.read_text("utf-8"))["group"]]


def run(name: str, path: Path, tests: Sequence[str], sample: int | None) -> Iterator[Mutant]:
    """Try the mutants of a module and yield them."""
    folder = prepare(WORK / name.replace(" ", "_"), path, tests)
    wanted = sampled(path, sample) if sample else []
    command = [str(MUTMUT), "run", "--max-children", "1", *wanted]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(integrations())}
    with (folder / "log.txt").open("w") as log:
        subprocess.run(  # mutmut, with names of its own
            command, cwd=folder, env=environment, stdout=log, stderr=log, check=False
        )
    record = folder / "mutants" / f"{path}.meta"
    statuses = json.loads(record.read_text())["exit_code_by_key"] if record.exists() else {}
    tried = {mutant: status for mutant, status in statuses.items() if status is not None}
    if not tried:
        sys.exit(f"mutmut tried no mutants; {folder / 'log.txt'} says why")
    for mutant, status in tried.items():
        change = changed(folder, mutant) if status in {SURVIVED, UNTESTED} else ""
        yield Mutant(function_of(mutant), change, status)


def function_of(mutant: str) -> str:
    """Return the function that a mutant's name holds: ``a.b.x_f__mutmut_7``, ``a.b.xǁCǁf__...``."""
    module, _, mangled = mutant.partition("__mutmut_")[0].rpartition(".")
    return f"{module}.{mangled.removeprefix('x_').removeprefix('xǁ').replace('ǁ', '.')}"


def prepare(folder: Path, path: Path, tests: Sequence[str]) -> Path:
    """Make a folder that mutmut takes for a project of this one module."""
    shutil.rmtree(folder, ignore_errors=True)  # mutmut would believe what older tests showed
    folder.mkdir(parents=True)
    for part in ("src", "tests"):
        (folder / part).symlink_to(ROOT / part)
    options = {
        "source_paths": ["src"],
        "only_mutate": [str(path)],
        "pytest_add_cli_args_test_selection": [
            *(f"tests/{test}" for test in tests),
            *QUICK,
        ],
        "pytest_add_cli_args": ["-p", "no:cacheprovider"],
        "process_isolation": "forkserver",
        "timeout_constant": 5.0,  # a busy machine is no endless loop
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in options.items()]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text("\n".join([project, "[tool.mutmut]", *lines, ""]))
    return folder


def integrations() -> list[str]:
    """Return where the adapters are: mutmut replaces ``src`` alone."""
    return [str(ROOT / "integrations" / name) for name in ("langchain", "llama_index")]


def sampled(path: Path, count: int) -> list[str]:
    """Return the names of mutants of a module, evenly over all of them."""
    from mutmut.mutation.file_mutation import mutate_file_contents

    source = (ROOT / path).read_text(encoding="utf-8")
    names = mutate_file_contents(str(path), source).mutant_names
    module = ".".join(path.with_suffix("").parts[1:])
    step = max(1, round(len(names) / count))
    return [f"{module}.{name}" for name in names[::step]]


def changed(folder: Path, mutant: str) -> str:
    """Return the lines that a mutant changes."""
    shown = subprocess.run(  # the same
        [str(MUTMUT), "show", mutant], cwd=folder, capture_output=True, text=True, check=True
    )
    lines = [
        f"{line[0]} {line[1:].strip()}"
        for line in shown.stdout.splitlines()
        if line.startswith(("-", "+")) and not line.startswith(("---", "+++"))
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
