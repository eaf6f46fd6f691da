"""What ``make fresh`` installs: the lowest versions are those that the wheel names."""

from __future__ import annotations

import tomllib
import zipfile
from pathlib import Path

import pytest
from scripts import fresh
from scripts.fresh import LOWEST, NEWEST, ROOT, Case, cases, direct, pinned

METADATA = """Metadata-Version: 2.4
Name: trivec
Requires-Dist: numpy>=1.26
Requires-Dist: edge<2,>=0.9
Requires-Dist: torch>=2.6; extra == 'flag'
Requires-Dist: runtime>=1.20; extra == 'onnx'
Requires-Dist: trivec[onnx]; extra == 'mini'
Requires-Dist: weights==0.3.0; extra == 'mini'
Requires-Dist: numpy>=2; extra == 'flag'
Requires-Dist: old>=1; python_version < '3' and extra == 'mini'
"""


@pytest.fixture
def wheel(tmp_path) -> Path:
    with zipfile.ZipFile(tmp_path / "trivec.whl", "w") as archive:
        archive.writestr("trivec-0.1.0.dist-info/METADATA", METADATA)
    return tmp_path / "trivec.whl"


def test_an_extra_of_an_extra_counts(wheel):
    assert [each.name for each in direct(wheel, ["mini"])] == [
        "numpy",
        "edge",
        "weights",
        "runtime",
    ]
    assert [requirement.name for requirement in direct(wheel, [])] == ["numpy", "edge"]


def test_the_lowest_versions_are_pinned(wheel):
    pins = list(pinned(Case(frozenset({"mini"}), LOWEST), wheel))
    assert pins == ["numpy==1.26", "edge==0.9", "weights==0.3.0", "runtime==1.20"]
    assert list(pinned(Case(frozenset({"mini"}), NEWEST), wheel)) == []


def test_of_two_bounds_the_higher_one_is_the_lowest_version(wheel):
    pins = pinned(Case(frozenset({"flag"}), LOWEST), wheel)
    assert [pin for pin in pins if pin.startswith("numpy")] == ["numpy==2"]


@pytest.mark.parametrize("extra", ["flag", "finetune", "mteb"])
def test_torchs_build_is_the_pinned_one(wheel, extra):
    (torch,) = pinned(Case(frozenset({extra}), NEWEST), wheel)
    assert torch.startswith("torch==2.")
    pins = list(pinned(Case(frozenset({"flag"}), LOWEST), wheel))
    assert [pin for pin in pins if pin.startswith("torch")] == [torch]


@pytest.fixture
def tried(monkeypatch, tmp_path):
    """Return a function to what is tried; no model is written for it."""
    monkeypatch.setattr(fresh, "small_model", lambda folder: folder)
    monkeypatch.setattr(fresh, "vectors_of", lambda *_: ("-c", ""))
    return lambda *kinds, light=False: list(cases(tmp_path, kinds, light=light))


def test_each_extra_is_tried_with_the_newest_and_the_lowest_versions(tried):
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = set(tomllib.load(file)["project"]["optional-dependencies"]) - {"all"}
    for versions in (NEWEST, LOWEST):
        found = [case for case in tried(NEWEST, LOWEST) if case.versions == versions]
        assert extras == set().union(*(case.extras for case in found))
        assert all(case.blocks or case.programs for case in found)


def test_every_smoke_program_is_run(tried):
    programs = {program[0] for case in tried(NEWEST) for program in case.programs}
    there = {str(path) for path in (ROOT / "scripts" / "smoke").glob("*.py")}
    assert there - programs == {str(ROOT / "scripts" / "smoke" / "smoke_vectors.py")}


def test_the_light_run_has_no_torch(tried):
    (case,) = tried(NEWEST, light=True)
    assert not case.extras & fresh.WITH_TORCH
    assert case.extras >= {"mini", "langchain", "llama-index", "server", "ui", "telemetry"}
