"""`make demo`: every question finds its article, and a second run encodes no passage again."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.model


def test_the_demo_finds_its_articles_twice(tmp_path, monkeypatch, capsys):
    from scripts import demo

    monkeypatch.setattr(demo, "KNOWLEDGE_BASE", tmp_path / "kb")
    assert demo.main() == 0
    first = capsys.readouterr().out
    assert demo.main() == 0
    second = capsys.readouterr().out
    total = re.search(r"(\d+) passages", first)[1]
    assert f"{total} added, 0 updated, 0 unchanged" in first
    assert f"0 added, 0 updated, {total} unchanged" in second
    assert not [line for line in first.splitlines() if len(line) > 100]


def test_a_question_without_its_article_fails_the_demo(tmp_path, monkeypatch, capsys):
    from scripts import demo

    monkeypatch.setattr(demo, "KNOWLEDGE_BASE", tmp_path / "kb")
    monkeypatch.setattr(
        demo,
        "QUESTIONS",
        (demo.Question("What set the Apollo 1 cabin on fire?", "en/kenya.md", "wrong on purpose"),),
    )
    assert demo.main() == 1
    assert "en/kenya.md is not among them" in capsys.readouterr().out
