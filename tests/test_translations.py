"""The Chinese pages have what the English ones have: one that lags is named, with what it lacks.

No test can read a sentence. These compare what needs no translation: the levels of headings, code,
names in backquotes, links, table rows and their figures, and the paragraphs of each section.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
ENGLISH = ROOT / "docs"
CHINESE = ROOT / "docs" / "zh"
ENGLISH_ALONE = {"api.md"}
SITE = "https://trivec.github.io/trivec/"
"""Where Chinese pages find those that are English alone."""
BLOB = "https://github.com/trivec/trivec/blob/main/"

PAIRS = {
    "README": (ROOT / "README.md", ROOT / "README.zh-CN.md"),
    **{
        page.stem: (page, CHINESE / page.name)
        for page in sorted(ENGLISH.glob("*.md"))
        if page.name not in ENGLISH_ALONE
    },
}
CODE = re.compile(r"^```.*?^```$", flags=re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.*?)(?: \{#([\w-]+)\})?$", flags=re.MULTILINE)
SPAN = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\]\(([^)]+)\)")
FIGURE = re.compile(r"\d+")

each_pair = pytest.mark.parametrize(("english", "chinese"), PAIRS.values(), ids=list(PAIRS))


def without_code(text: str) -> str:
    return CODE.sub("CODE", text)


def rows(text: str) -> list[str]:
    return [line for line in without_code(text).splitlines() if line.startswith("|")]


def link_targets(text: str) -> set[str]:
    """The targets of a page's links, those of Chinese pages as the English ones are called."""
    return {in_english(target) for target in LINK.findall(without_code(text))}


def in_english(target: str) -> str:
    if target.startswith(SITE):
        return target.removeprefix(SITE).replace(".html", ".md")
    return target.replace(f"{BLOB}docs/zh/", f"{BLOB}docs/").replace("README.zh-CN.md", "README.md")


def paragraphs(text: str) -> list[int]:
    """How many paragraphs and points each section has, its heading among them."""
    sections = re.split(r"^#+ ", without_code(text), flags=re.MULTILINE)
    return [
        len([block for block in re.split(r"\n\s*\n", section) if block.strip()])
        + len(re.findall(r"^- ", section, flags=re.MULTILINE))
        for section in sections
    ]


def aspects(text: str) -> dict[str, Any]:
    """What a page and its translation have in common."""
    prose = without_code(text)
    return {
        "levels of headings": [len(marks) for marks, _, _ in HEADING.findall(prose)],
        "code blocks": CODE.findall(text),
        "names in backquotes": set(SPAN.findall(prose)),
        "links": link_targets(text),
        "cells of each table row": [row.count("|") for row in rows(text)],
        "figures in tables": Counter(FIGURE.findall("\n".join(rows(text)))),
        "paragraphs of each section": paragraphs(text),
    }


def differences(english: str, chinese: str) -> dict[str, tuple[Any, Any]]:
    """What two pages do not share: first what the English one alone has, then the Chinese one."""
    found: dict[str, tuple[Any, Any]] = {}
    ours, theirs = aspects(english), aspects(chinese)
    for name, value in ours.items():
        other = theirs[name]
        if value == other:
            continue
        if isinstance(value, (set, Counter)):
            found[name] = (value - other, other - value)
        elif name == "code blocks":
            found[name] = (
                [code for code in value if code not in other],
                [code for code in other if code not in value],
            )
        else:
            found[name] = (value, other)
    return found


def slug(heading: str) -> str:
    """The anchor of a heading, as Python-Markdown makes it."""
    words = re.sub(r"[^\w\s-]", "", heading, flags=re.ASCII).strip().lower()
    return re.sub(r"[-\s]+", "-", words)


def anchors(text: str) -> set[str]:
    return {given or slug(heading) for _, heading, given in HEADING.findall(without_code(text))}


def pages_in(navigation: list[Any]) -> list[str]:
    """The pages of a site's navigation, in order."""
    pages: list[str] = []
    for entry in navigation:
        for target in entry.values():
            pages += pages_in(target) if isinstance(target, list) else [target]
    return pages


def site(name: str) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / name).read_text(encoding="utf-8"))["project"]
    return project


def test_the_chinese_readme_leads_to_chinese_pages():
    text = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
    english = set(re.findall(rf"{re.escape(BLOB)}docs/([\w-]+\.md)", text))
    assert english <= ENGLISH_ALONE


def test_every_page_is_there_in_both_languages():
    english = {page.name for page in ENGLISH.glob("*.md")} - ENGLISH_ALONE
    assert english == {page.name for page in CHINESE.glob("*.md")}


@each_pair
def test_both_languages_have_the_same(english, chinese):
    texts = [page.read_text(encoding="utf-8") for page in (english, chinese)]
    assert differences(*texts) == {}


@each_pair
def test_a_given_anchor_is_that_of_the_english_heading(english, chinese):
    pairs = zip(
        HEADING.findall(without_code(english.read_text(encoding="utf-8"))),
        HEADING.findall(without_code(chinese.read_text(encoding="utf-8"))),
        strict=True,
    )
    given = [(anchor, slug(heading)) for (_, heading, _), (_, _, anchor) in pairs if anchor]
    assert [pair for pair in given if pair[0] != pair[1]] == []


@pytest.mark.parametrize("page", sorted(CHINESE.glob("*.md")), ids=lambda page: page.stem)
def test_links_of_chinese_pages_lead_to_chinese_pages_and_their_headings(page):
    for target in LINK.findall(without_code(page.read_text(encoding="utf-8"))):
        if target.startswith("https://"):
            assert not target.startswith(f"{BLOB}docs/"), f"{target}: the page is in docs/zh"
            continue
        name, _, anchor = target.partition("#")
        there = CHINESE / (name or page.name)
        assert there.exists(), target
        assert not anchor or anchor in anchors(there.read_text(encoding="utf-8")), target


def test_both_sites_show_every_page_in_the_same_order():
    english = [page for page in pages_in(site("zensical.toml")["nav"]) if "/" not in page]
    chinese = [page for page in pages_in(site("zensical.zh.toml")["nav"]) if "/" not in page]
    assert [page for page in english if page not in ENGLISH_ALONE] == chinese
    assert sorted(chinese) == sorted(page.name for page in CHINESE.glob("*.md"))


def test_the_english_site_shows_the_whole_reference():
    shown = [page for page in pages_in(site("zensical.toml")["nav"]) if "/" in page]
    there = (ENGLISH / "reference").glob("*.md")
    assert sorted(shown) == sorted(f"reference/{page.name}" for page in there)


def test_each_site_leads_to_the_other():
    links = {
        name: [entry["link"] for entry in site(name)["extra"]["alternate"]]
        for name in ("zensical.toml", "zensical.zh.toml")
    }
    assert links == {
        "zensical.toml": ["index.html", "zh/index.html"],
        "zensical.zh.toml": ["../index.html", "index.html"],
    }


SAMPLE = """# Files

Text of [a page](sync.md), with `a_name`.

- One point.

## Formats

| name | size |
|---|---|
| a | 12 MB |

```bash
trivec index notes  # reads
```
"""
LAGS = {
    "levels of headings": ("## Formats", "### Formats"),
    "code blocks": ("# reads", "# 读取"),
    "names in backquotes": ("`a_name`", "`another`"),
    "links": ("sync.md", "cli.md"),
    "cells of each table row": ("| a | 12 MB |\n", "| a | 12 MB |\n| b | |\n"),
    "figures in tables": ("12 MB", "13 MB"),
    "paragraphs of each section": ("- One point.", "- One point.\n- Another."),
}


@pytest.mark.parametrize("aspect", LAGS)
def test_each_kind_of_lag_is_noticed(aspect):
    before, after = LAGS[aspect]
    changed = SAMPLE.replace(before, after)
    assert changed != SAMPLE
    assert list(differences(SAMPLE, changed)) == [aspect]
    assert list(differences(changed, SAMPLE)) == [aspect]


def test_every_aspect_has_a_lag():
    assert list(LAGS) == list(aspects(""))


def test_words_alone_may_differ():
    assert differences(SAMPLE, SAMPLE.replace("Text of", "文本：").replace("size", "大小")) == {}


def test_anchors_are_those_of_the_site():
    assert slug("FlagEmbedding's own trainers") == "flagembeddings-own-trainers"
    assert anchors("## 拒答 {#refusals}\n\n## StoreError\n") == {"refusals", "storeerror"}
