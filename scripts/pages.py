"""Runs the pages of docs/ as a reader does: the wheel is installed with what each page names.

    python -m scripts.pages [--light] [PAGE ...]

The wheel is built, and for each set of extras that pages name a new environment is made with the
versions of ``constraints.txt``. The blocks of those pages then run in it, without a network.
``mini`` stands for BGE-M3 in all of them. ``--light`` leaves out pages that need PyTorch. Ends with
status 1 where anything failed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from time import perf_counter

from pytest_httpserver import HTTPServer
from scripts.fresh import WITH_TORCH, built
from tests.environments import OFFLINE, Environment, Install
from tests.openai_server import OpenAIServer
from tests.test_pages import WITH_BLOCKS, fault, needs

ROOT = Path(__file__).parent.parent


def main() -> int:
    """Build, install and run; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--light", action="store_true", help="leave out what needs PyTorch")
    parser.add_argument("pages", nargs="*", help="names of pages; all where none is given")
    arguments = parser.parse_args()
    started, failed = perf_counter(), []
    with tempfile.TemporaryDirectory() as name, HTTPServer(threaded=True) as loopback:
        place, server = Path(name), OpenAIServer(loopback)
        wheel = built(place)
        for number, (install, pages) in enumerate(groups(arguments.pages).items()):
            if arguments.light and install.extras & WITH_TORCH:
                print(f"LEFT OUT  {install}: {', '.join(page.stem for page in pages)}")
                continue
            failed += tried(install, pages, wheel, place / f"group-{number}", server)
    print(f"{perf_counter() - started:.0f} s; {len(failed)} failed: {', '.join(failed) or 'none'}")
    return bool(failed)


def groups(names: list[str]) -> dict[Install, list[Path]]:
    """Return the pages by what they need, the smallest first.

    Raises:
        SystemExit: a name that no page with blocks has.
    """
    pages = {page.stem: page for page in WITH_BLOCKS}
    if unknown := set(names) - set(pages):
        known = ", ".join(pages)
        sys.exit(f"no pages with blocks: {', '.join(sorted(unknown))}; there are {known}")
    by_install = defaultdict(list)
    for name in names or pages:
        by_install[needs(pages[name])].append(pages[name])
    return dict(sorted(by_install.items(), key=lambda item: len(item[0].extras)))


def tried(
    install: Install, pages: list[Path], wheel: Path, folder: Path, server: OpenAIServer
) -> list[str]:
    """Install for a group of pages and run them; print what went wrong, and name those pages."""
    started = perf_counter()
    environment = installed(install, wheel, folder / "venv")
    print(f"installed {install} in {perf_counter() - started:.0f} s", flush=True)
    failed = []
    for page in pages:
        started, place = perf_counter(), folder / page.stem
        place.mkdir()
        said = fault(page, environment, place, server)
        outcome = "FAILED" if said else "ok"
        print(f"{outcome:9} {page.stem} in {perf_counter() - started:.0f} s", flush=True)
        if said:
            print(said, flush=True)
            failed.append(page.stem)
    return failed


def installed(install: Install, wheel: Path, folder: Path) -> Environment:
    """Return a new environment with the wheel, these extras and other packages."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    wanted = [f"{wheel}[{','.join(sorted(install.extras))}]", *sorted(install.others)]
    pip = [folder / "bin" / "python", "-m", "pip", "install", "-q", "--no-compile"]
    subprocess.run([*pip, "-c", ROOT / "constraints.txt", *wanted], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "sitecustomize.py").write_text(OFFLINE, "utf-8")
    return Environment(folder)


if __name__ == "__main__":
    raise SystemExit(main())
