"""Builds the documentation site into ``site/``: English at its root, Chinese under ``zh/``.

Needs nothing but what is installed: no request is made, while building or by the pages.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SITE = ROOT / "site"
CONFIGURATIONS = ("zensical.toml", "zensical.zh.toml")


def main() -> None:
    """Build both languages; a warning is an error."""
    shutil.rmtree(SITE, ignore_errors=True)
    for configuration in CONFIGURATIONS:  # English first: it empties the folder
        command = ["zensical", "build", "--strict", "--clean", "--config-file", configuration]
        if subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=False).returncode:
            sys.exit(f"{configuration}: the pages above have a fault; mend it and build again")


if __name__ == "__main__":
    main()
