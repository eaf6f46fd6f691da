"""What a release needs: one version, a wheel that is small and whole, names that agree."""

from __future__ import annotations

import re
import tomllib
import zipfile
from pathlib import Path

import pytest
from scripts.wheel import PACKAGES, faults_of

ROOT = Path(__file__).parent.parent


def version() -> str:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["project"]["version"]


def test_the_citation_is_of_this_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [version()]


def test_no_module_states_the_version():
    stating = re.compile(r"^_*version_* *(?::.*)?= *['\"]", re.MULTILINE | re.IGNORECASE)
    modules = list((ROOT / "src").rglob("*.py"))
    assert [path for path in modules if stating.search(path.read_text("utf-8"))] == []


def test_every_package_is_typed():
    for folder in (
        "src/trivec",
        *(f"integrations/{name}" for name in ("langchain", "llama_index")),
    ):
        assert list((ROOT / folder).rglob("py.typed")), folder


@pytest.fixture
def wheel(tmp_path):
    def built(names, *, name=None, size=0):
        path = tmp_path / (name or f"trivec-{version()}-py3-none-any.whl")
        with zipfile.ZipFile(path, "w") as archive:
            for entry in names:
                archive.writestr(entry, b"x" * size)
        return path

    return built


def test_a_wheel_that_may_be_published(wheel):
    assert faults_of(wheel([f"{name}/py.typed" for name in PACKAGES])) == []


def test_the_faults_of_a_wheel_are_named(wheel):
    assert faults_of(wheel(["trivec/py.typed", "tests/x.py"], name="trivec-9.9.9-x.whl")) == [
        f"it is not of version {version()}",
        "it holds more than the packages",
        "langchain_trivec/py.typed is missing",
        "llama_index_trivec/py.typed is missing",
    ]
    whole = [f"{name}/py.typed" for name in PACKAGES]
    assert faults_of(wheel(whole, size=1_100_000)) == ["it is larger than 3,000,000 bytes"]
