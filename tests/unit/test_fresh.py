"""What ``make fresh`` installs: the lowest versions are those that the wheel names."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from scripts.fresh import LOWEST, NEWEST, Case, direct, pinned

METADATA = """Metadata-Version: 2.4
Name: trivec
Requires-Dist: numpy>=1.26
Requires-Dist: edge<2,>=0.9
Requires-Dist: torch>=2.6; extra == 'flag'
Requires-Dist: runtime>=1.20; extra == 'onnx'
Requires-Dist: trivec[onnx]; extra == 'mini'
Requires-Dist: weights==0.3.0; extra == 'mini'
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


def test_torchs_build_is_the_pinned_one(wheel):
    (torch,) = pinned(Case(frozenset({"flag"}), NEWEST), wheel)
    assert torch.startswith("torch==2.")
    pins = list(pinned(Case(frozenset({"flag"}), LOWEST), wheel))
    assert [pin for pin in pins if pin.startswith("torch")] == [torch]
