"""The program without the extra that it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("missing", "named"), [(["typer", "rich"], "typer and rich"), (["rich"], "rich")]
)
def test_without_the_extra_one_line_says_what_to_install(missing, named):
    program = f"""
import sys
for package in {missing!r}:
    sys.modules[package] = None
from trivec.__main__ import main
main()
"""
    run = subprocess.run(
        [sys.executable, "-c", program, "info", "kb"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr == (
        f"trivec: the command line needs {named}; run: pip install 'trivec[cli]'\n"
    )


def test_the_module_is_the_program(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "trivec", "info", str(tmp_path / "none")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "none" in run.stderr
