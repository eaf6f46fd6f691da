"""Not installed, and installed but incompatible, are two messages."""

from __future__ import annotations

import sys

import pytest

from trivec._runtime.dependencies import unavailable
from trivec.encoders import FlagEncoder
from trivec.errors import IncompatibleDependencyError, MissingDependencyError, TrivecError


def raised_by(statement):
    with pytest.raises(ImportError) as caught:
        exec(statement)  # noqa: S102  # a statement of ours
    return caught.value


def test_a_package_that_is_not_installed():
    err = unavailable(raised_by("import no_such_package.part"), "no_such_package", "flag")
    assert isinstance(err, MissingDependencyError)
    assert str(err) == "'no_such_package' is not installed; run: pip install 'trivec[flag]'"


@pytest.mark.parametrize(
    "statement", ["from numpy import no_such_name", "import numpy.no_such_part"]
)
def test_a_package_that_lacks_what_another_imports(statement):
    """As FlagEmbedding 1.4.2 with transformers 5.24, which took a module away."""
    err = unavailable(raised_by(statement), "hypothesis", "flag")
    assert isinstance(err, IncompatibleDependencyError)
    assert isinstance(err, TrivecError)
    assert "is not installed" not in str(err)
    assert str(err).startswith("'hypothesis' 6.")
    assert "no_such" in str(err)
    assert "pip install --upgrade 'trivec[flag]'" in str(err)


def test_what_a_user_sees_of_flagembedding(tiny_m3, tmp_path, monkeypatch):
    (tmp_path / "FlagEmbedding.py").write_text("from transformers.utils import no_such_name\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "FlagEmbedding", raising=False)
    with pytest.raises(IncompatibleDependencyError, match=r"FlagEmbedding.*do not go together"):
        FlagEncoder(tiny_m3).load()
