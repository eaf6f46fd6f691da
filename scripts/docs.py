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
IN_CHINESE = {
    '"aria-label":"Search"': '"aria-label":"搜索"',
    'placeholder:"Search"': 'placeholder:"搜索"',
    '"aria-label":"Search results"': '"aria-label":"搜索结果"',
    '"aria-label":"Close search"': '"aria-label":"关闭搜索"',
    '"aria-label":"Filters"': '"aria-label":"筛选"',
    'children:"Filters"': 'children:"筛选"',
    'children:"Tags"': 'children:"标签"',
    '"Use Up and Down arrow keys to move between tags. Press Space or Enter to toggle a tag."': (
        '"用上下方向键在标签间移动，按空格或回车选择。"'
    ),
    ' ${i===1?"result":"results"}`': " 条结果`",
    'a="No results"': 'a="没有结果"',
    'a="Loading search\\u2026"': 'a="正在加载搜索…"',
    'a="Search is unavailable. Reload the page to try again."': (
        'a="搜索不可用，请重新加载页面。"'
    ),
    'title:"Toggle line selection"': 'title:"选择行"',
}
"""What the theme's script says in English, whatever the language of the site."""
COLOURS_OF_ALL = ('__md_scope=new URL(".",', '__md_scope=new URL("..",')


def main() -> None:
    """Build both languages; a warning is an error."""
    shutil.rmtree(SITE, ignore_errors=True)
    for configuration in CONFIGURATIONS:  # English first: it empties the folder
        command = ["zensical", "build", "--strict", "--clean", "--config-file", configuration]
        if subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=False).returncode:
            sys.exit(f"{configuration}: the pages above have a fault; mend it and build again")
    join_languages()
    translate_search()


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


def translate_search() -> None:
    """Put Chinese words in the script of the Chinese site.

    Raises:
        SystemExit: the theme has changed, so that there is a word no more.
    """
    (script,) = (LANGUAGES["zh"] / "assets" / "javascripts").glob("bundle.*.js")
    text = script.read_text(encoding="utf-8")
    for english, chinese in IN_CHINESE.items():
        if english not in text:
            sys.exit(f"{script.name} does not say {english}; see IN_CHINESE in scripts/docs.py")
        text = text.replace(english, chinese)
    script.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
