"""The report in a browser: its script runs, nothing is asked for, the console stays empty."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from tests.unit.test_evaluation_reports import evaluation

from trivec.evaluation import as_html

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no chromium")
    folder = tmp_path_factory.mktemp("browser")

    def opened(html: str, language: str) -> tuple[str, list[str]]:
        """Return the page as it stands after its script, and what the console says."""
        page = folder / "report.html"
        page.write_text(html, encoding="utf-8")
        profile = f"--user-data-dir={folder / 'profile'}"
        command = [CHROMIUM, *FLAGS, profile, f"--accept-lang={language}", page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return opened


@pytest.mark.parametrize(("language", "shown"), [("en-US", "en"), ("zh-CN", "zh")])
def test_the_report_runs_and_asks_for_nothing(browser, language, shown):
    page, console = browser(as_html([evaluation(), evaluation(hostile=True)]), language)
    assert console == []  # what the policy refuses would stand here
    assert re.search(r"<html[^>]*data-lang=\"(\w+)\"", page)[1] == shown
    assert page.count("<summary>") > 10  # the script has listed questions


def test_what_a_page_would_ask_for_is_noticed(browser):
    html = as_html([evaluation()]).replace("</body>", '<img src="http://127.0.0.1:9/x"></body>')
    _, console = browser(html, "en-US")
    assert len(console) == 1
