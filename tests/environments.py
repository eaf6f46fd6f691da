"""Environments that hold what a ``pip install`` line names and nothing else.

They are linked together from the environment that runs the tests, so that nothing is downloaded.
Programs in them reach this machine alone.
"""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
import venv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["Environment", "Install", "build", "extras_of", "installs", "modules_of", "required"]

ROOT = Path(__file__).parent.parent
SOURCES = ("src", "integrations/langchain", "integrations/llama_index")
INSTALL_LINE = re.compile(r"^(?:%)?pip install (.+?)(?:\s+#.*)?$", flags=re.MULTILINE)
NAMED = re.compile(r"pip install ('trivec\[[a-z,-]+\]'|trivec)((?: [a-z][a-z-]*)*)")

# what pytest-socket does for the tests themselves
OFFLINE = """
import socket

connect = socket.socket.connect


def connect_here(self, address):
    if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise OSError(f"no network in tests: {address}")
    return connect(self, address)


socket.socket.connect = connect_here
"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment in a folder."""

    folder: Path

    def run(
        self, command: Sequence[str], cwd: Path, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it, and return what it printed."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
        }
        search_path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            command,
            cwd=cwd,
            env={**inherited, "PATH": search_path, "OMP_NUM_THREADS": "1", **(variables or {})},
            capture_output=True,
            text=True,
            check=False,
        )


@dataclass(frozen=True)
class Install:
    """What is installed: trivec with some extras, and other packages."""

    extras: frozenset[str]
    others: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return " ".join([f"trivec[{','.join(sorted(self.extras))}]", *sorted(self.others)])


def installs(text: str) -> list[tuple[int, Install]]:
    """Return what a text names, in blocks of code and in sentences, with where it does."""
    return [
        (
            match.start(),
            Install(
                frozenset(Requirement(match[1].strip("'")).extras), frozenset(match[2].split())
            ),
        )
        for match in NAMED.finditer(text)
    ]


def extras_of(text: str) -> frozenset[str]:
    """Return the extras of trivec in the ``pip install`` lines of a text.

    Raises:
        ValueError: a line that installs anything else; there is none in a document.
    """
    extras: set[str] = set()
    for named in INSTALL_LINE.findall(text):
        requirement = Requirement(named.strip("'\""))
        if requirement.name != "trivec":
            raise ValueError(f"pip install {named} does not install trivec")
        extras |= requirement.extras
    return frozenset(extras)


def required(extras: Iterable[str], others: Iterable[str] = ()) -> frozenset[str]:
    """Return the names of all distributions that trivec needs with these extras, and others need.

    Raises:
        KeyError: an extra that pyproject.toml does not have.
    """
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    waiting = [Requirement(line) for line in (*project["dependencies"], *others)]
    for extra in extras:
        waiting += [Requirement(line) for line in project["optional-dependencies"][extra]]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        if key[0] == "trivec":
            for extra in requirement.extras:
                waiting += [Requirement(line) for line in project["optional-dependencies"][extra]]
        else:
            waiting += _requirements(distribution(requirement.name), requirement.extras)
    return frozenset(name for name, _ in seen) - {"trivec"}


def modules_of(names: Iterable[str]) -> set[str]:
    """Return the top-level modules that distributions bring."""
    return {entry.split("/")[0].removesuffix(".py") for name in names for entry in _entries(name)}


def build(folder: Path, extras: Iterable[str], others: Iterable[str] = ()) -> Environment:
    """Build an environment with trivec, these extras, other packages, and what they all need."""
    venv.create(folder, symlinks=True, with_pip=False)
    site = next(folder.glob("lib/python*/site-packages"))
    for name in (*required(extras, others), "trivec"):
        for entry in _entries(name):
            target = site / entry
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                target.symlink_to(distribution(name).locate_file(entry))
    # trivec is installed here in editable form: its dist-info is linked, its sources are named
    (site / "sitecustomize.py").write_text(OFFLINE, encoding="utf-8")
    paths = "\n".join(str(ROOT / source) for source in SOURCES)
    (site / "trivec.pth").write_text(paths + "\n", encoding="utf-8")
    command = folder / "bin" / "trivec"
    command.write_text(f'#!/bin/sh\nexec "{folder}/bin/python" -m trivec "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    return Environment(folder)


def _requirements(owner: Distribution, extras: Iterable[str]) -> list[Requirement]:
    requirements = [Requirement(line) for line in owner.requires or ()]
    return [
        requirement
        for requirement in requirements
        if requirement.marker is None
        or any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    ]


def _entries(name: str) -> set[str]:
    """Return what to link for a distribution: whole folders, unless others lie in them too."""
    owners = _owners()
    entries = set()
    for path in _files(distribution(name)):
        top = path.split("/")[0]
        is_shared = len(owners[top]) > 1
        entries.add("/".join(path.split("/")[:2]) if is_shared else top)
    return entries


@cache
def _owners() -> Mapping[str, set[str]]:
    """Return the distributions that have files below each top-level name."""
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for installed in distributions():
        name = canonicalize_name(installed.name)  # parses the metadata anew at every call
        for path in _files(installed):
            owners[path.split("/")[0]].add(name)
    return owners


def _files(owner: Distribution) -> Iterator[str]:
    """Yield the files of a distribution; ``Distribution.files`` takes seconds for torch alone."""
    for line in (owner.read_text("RECORD") or "").splitlines():
        path = line.split(",")[0]
        if not path.startswith("..") and "__pycache__" not in path and not path.endswith(".pth"):
            yield path
