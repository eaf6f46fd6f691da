"""Follows the first page to the letter, as somebody who has Python alone, and times it.

    python -m scripts.first_page

For each language a new environment, home and folder are made. The blocks of ``docs/index.md`` and
``docs/zh/index.md`` run there in their order, the ``pip install`` line too; pip finds the wheel
of this tree beside the registry. What a block prints has to hold what the page says that it does.
Ends with status 1 where anything failed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from scripts.fresh import built
from tests.environments import Environment
from tests.test_pages import BLOCK, Block

ROOT = Path(__file__).parent.parent
PAGES = {"en": ROOT / "docs" / "index.md", "zh": ROOT / "docs" / "zh" / "index.md"}
HIT = "猴面包树的果实富含钙。"
"""The passage that the page's question finds."""


def main() -> int:
    """Follow the page in both languages; return the exit status."""
    failed = []
    with tempfile.TemporaryDirectory() as name:
        wheel = built(Path(name))
        for language in PAGES:
            said = followed(language, wheel, Path(name) / language)
            if said:
                print(said)
                failed.append(language)
    return bool(failed)


def followed(language: str, wheel: Path, place: Path) -> str:
    """Run the blocks of a page; print how long each took, and return what went wrong."""
    place.mkdir()
    subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=True)
    pins = place / "pins.txt"
    pins.write_text(f"trivec=={wheel.name.split('-')[1]}\n", "utf-8")
    variables = {
        "HOME": str(place),
        "TRIVEC_CACHE_DIR": str(place / "cache"),
        "PIP_FIND_LINKS": str(wheel.parent),
        "PIP_CONSTRAINT": str(pins),
    }
    environment, total = Environment(place / "venv"), 0.0
    for match in BLOCK.finditer(PAGES[language].read_text("utf-8")):
        block = Block(match[1], match[2])
        command = ["bash", "-euc"] if block.language == "bash" else ["python", "-c"]
        started = perf_counter()
        done = environment.run([*command, block.code], place, variables)
        seconds = perf_counter() - started
        total += seconds
        print(f"{language}: {seconds:6.1f} s  {block.code.splitlines()[0]} ...", flush=True)
        if done.returncode:
            return done.stderr[-2000:]
        is_search = "search" in block.code
        if is_search and HIT not in done.stdout:
            return f"{HIT} is not in\n{done.stdout}"
        if is_search and block.language == "bash":
            print(f"{language}: {total:6.1f} s  from an empty environment to the first hit")
    return ""


if __name__ == "__main__":
    raise SystemExit(main())
