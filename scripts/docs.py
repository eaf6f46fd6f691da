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
LANGUAGES = {"en": SITE, "zh": SITE / "zh"}
COLOURS_OF_ALL = ('__md_scope=new URL(".",', '__md_scope=new URL("..",')


def main() -> None:
    """Build both languages; a warning is an error."""
    shutil.rmtree(SITE, ignore_errors=True)
    for configuration in CONFIGURATIONS:  # English first: it empties the folder
        command = ["zensical", "build", "--strict", "--clean", "--config-file", configuration]
        if subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=False).returncode:
            sys.exit(f"{configuration}: the pages above have a fault; mend it and build again")
    join_languages()


def join_languages() -> None:
    """Lead each page to its own translation, and keep the colours on the way.

    The theme's links lead to the other language's first page. It remembers the colours by site,
    and takes ``zh/`` for another one.
    """
    pages = [{page.name for page in folder.glob("*.html")} for folder in LANGUAGES.values()]
    for name in set.intersection(*pages) - {"404.html"}:
        for folder in LANGUAGES.values():
            page = folder / name
            text = page.read_text(encoding="utf-8")
            for language in LANGUAGES:
                links = f'index.html" hreflang="{language}"'
                text = text.replace(links, links.replace("index.html", name))
            page.write_text(text, encoding="utf-8")
    for page in LANGUAGES["zh"].glob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace(*COLOURS_OF_ALL), encoding="utf-8")


if __name__ == "__main__":
    main()
