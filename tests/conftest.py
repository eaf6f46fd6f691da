"""What holds for every test: no network beyond this machine, and none at all in unit tests."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from pytest_httpserver import HTTPServer
    from tests.clock import Clock
    from tests.openai_server import OpenAIServer

# a first example imports what is lazy, and machines differ and stall: tests measure no time
UNTIMED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("trivec", **UNTIMED)
settings.load_profile("trivec")
settings.register_profile("thorough", **UNTIMED, max_examples=3000)

# a real language model, which make test-llm installs and serves
collect_ignore = [] if "TRIVEC_LLM_PYTHON" in os.environ else ["llm"]

_UNIT = Path(__file__).parent / "unit"
_LOOPBACK = ["127.0.0.1", "::1"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the items for pytest-socket; a test's own mark wins."""
    for item in items:
        if any(item.get_closest_marker(name) for name in ("enable_socket", "allow_hosts")):
            continue
        if _UNIT in item.path.parents:
            item.add_marker(pytest.mark.disable_socket)
        else:
            item.add_marker(pytest.mark.allow_hosts(_LOOPBACK))


@pytest.fixture(scope="session", autouse=True)
def _speeds_are_given() -> Iterator[None]:
    """What ``precision="auto"`` takes does not depend on how busy the machine is.

    Which layout of int8 is exact is measured on it, once.
    """
    from trivec._models import onnx_choice
    from trivec._models.onnx_measuring import Int8Product, Measured, measure
    from trivec._runtime.lazy import Lazy

    def given() -> Measured:
        found = measure()
        return Measured(
            signed=Int8Product(found.signed.exact, few=2.0, many=2.0),
            unsigned=Int8Product(found.unsigned.exact, few=2.0, many=2.0),
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_choice, "_measured", Lazy(given))
        yield


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time of every request that is tried again: it moves by the waits alone."""
    from tests.clock import Clock

    made = Clock()
    made.rule(monkeypatch)
    return made


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).parent.parent


@pytest.fixture(scope="session")
def tiny_m3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model in the BGE-M3 format; not to be changed."""
    pytest.importorskip("FlagEmbedding")
    from trivec.testing import build_tiny_m3

    return build_tiny_m3(tmp_path_factory.mktemp("tiny_m3"))


@pytest.fixture(scope="session")
def tiny_reranker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random cross-encoder in bge-reranker's format; not to be changed."""
    pytest.importorskip("FlagEmbedding")
    from trivec.testing import build_tiny_reranker

    return build_tiny_reranker(tmp_path_factory.mktemp("tiny_reranker"))


@pytest.fixture(scope="session")
def exported_m3(tiny_m3: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of the small random model in fp32 and int8; not to be changed."""
    pytest.importorskip("onnx")
    from trivec.encoders import FlagEncoder
    from trivec.exporting import ExportOptions, export_encoder

    out = tmp_path_factory.mktemp("exported") / "m3"
    export_encoder(FlagEncoder(tiny_m3), out, options=ExportOptions(precisions=("fp32", "int8")))
    return out


@pytest.fixture(scope="session")
def exported_reranker(tiny_reranker: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of the small random cross-encoder in fp32 and int8; not to be changed."""
    pytest.importorskip("onnx")
    from trivec.exporting import ExportOptions, export_reranker
    from trivec.rerankers import FlagReranker

    out = tmp_path_factory.mktemp("exported") / "reranker"
    options = ExportOptions(precisions=("fp32", "int8"))
    export_reranker(FlagReranker(tiny_reranker), out, options=options)
    return out


@pytest.fixture(scope="session")
def loopback_server() -> Iterator[HTTPServer]:
    """A web server for a session; stopping one takes half a second."""
    from pytest_httpserver import HTTPServer

    with HTTPServer(host="127.0.0.1", threaded=True) as server:
        yield server


@pytest.fixture
def openai_server(loopback_server: HTTPServer) -> Iterator[OpenAIServer]:
    """A server that speaks the OpenAI chat protocol, and answers what the test queues."""
    from tests.openai_server import OpenAIServer

    server = OpenAIServer(loopback_server)
    yield server
    server.stop()
    loopback_server.clear()


@dataclass(frozen=True)
class Outcome:
    """What a command line left: its exit code, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Outcome]]:
    """Runs ``trivec`` with these arguments, in this process."""
    from trivec import cli

    logger = logging.getLogger("trivec")
    level = logger.level

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["trivec", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ending:
            cli.main()
        return Outcome(int(ending.value.code or 0), *capsys.readouterr())

    yield call
    logger.setLevel(level)
