"""Whatever is given for an argument, the outcome is a result or an error of trivec's.

Every public function is called with right arguments of which one or two are spoiled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from tests.property.calls import CORE, EDGE, FILES, QUESTIONS_AND_ANSWERS, Call, close_edge
from tests.property.values import (
    ANYTHING,
    EACH,
    CallersOwnError,
    Fresh,
    Unshowable,
    deep,
    fails,
    made,
    near,
    spoiled_inside,
)
from tests.public_surface import MODULES, Surface

from trivec import Chunk, InputError, TrivecError
from trivec.types import SparseVector

CALLS = [*CORE, *QUESTIONS_AND_ANSWERS, *FILES]
SURFACE = Surface.of_this_checkout()
EXAMPLES = settings.default.max_examples
QUICK = 100
"""Examples of a test in ``make test``."""
CALLED_BACK = {"progress", "on_left_out", "tokenizer", "count_tokens", "fields"}
"""Arguments that are functions of the caller's."""
FROM_PEOPLE = {
    f"trivec.HybridIndex.{name}"
    for name in ("add", "search", "search_batch", "delete", "count", "chunks", "get", "add_arm")
}
"""What is called with values of a program's own: records, filters, options."""
ODD = Chunk(3, id=[], source={}, position="x", metadata=None)


TWICE = SparseVector(np.array([1, 1], np.uint32), np.ones(2, np.float32))
"""No sparse vector: an index stands twice."""


@pytest.fixture(scope="module", autouse=True)
def _elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Paths that are drawn lead into folders of this test's."""
    here = tmp_path_factory.mktemp("property") / "a" / "b" / "c"
    (here / "files").mkdir(parents=True)
    (here / "files" / "a.md").write_text("# Fruit\n\nThe apple is green.\n")
    (here / "asked.csv").write_text("question,passage\nwhich is green?,The apple is green.\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        yield
        close_edge()


def spoiled(call: Call) -> SearchStrategy[Mapping[str, object]]:
    """Return strategies of arguments, one or two of which are replaced."""
    names = st.lists(st.sampled_from(sorted(call.right)), min_size=1, max_size=2, unique=True)
    return names.flatmap(
        lambda chosen: st.fixed_dictionaries(
            {name: st.sampled_from(near(call.right[name])) | ANYTHING for name in chosen}
        )
    )


def tried(call: Call, wrong: Mapping[str, object]) -> None:
    """Call it; an error of another kind than trivec's, or the caller's, is the test's failure."""
    arguments = {name: made(value) for name, value in {**call.right, **wrong}.items()}
    called_back = any(callable(arguments[name]) for name in CALLED_BACK & wrong.keys())
    # what a caller's function cannot take is raised where the caller sees it
    of_the_caller = (TypeError, ValueError, AttributeError) if called_back else ()
    with suppress(TrivecError, CallersOwnError, *of_the_caller):
        call(arguments)


def can_be_made(value: Fresh) -> bool:
    """Say whether there is such a value: what cannot be hashed is no key, and options refuse."""
    try:
        value.make()
    except (TypeError, TrivecError):
        return False
    return True


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.path)
def test_right_arguments_are_taken(call):
    """There may be no such folder; the arguments themselves are not refused."""
    try:
        call({name: made(value) for name, value in call.right.items()})
    except InputError:
        raise
    except TrivecError as err:
        if "nowhere" not in str(err):
            raise


@pytest.mark.parametrize("call", [*CALLS, *EDGE], ids=lambda call: call.path)
def test_any_argument_gives_a_result_or_an_error_of_trivec(call):
    examples = EXAMPLES // (10 if call in EDGE else 5)

    @settings(
        max_examples=examples,
        suppress_health_check=list(HealthCheck),
        derandomize=EXAMPLES == QUICK,  # make properties draws new ones every time
    )
    @given(spoiled(call))
    def check(wrong):
        tried(call, wrong)

    check()


@pytest.mark.skipif(EXAMPLES == QUICK, reason="make properties has the minute that it takes")
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.path)
def test_each_value_is_tried_for_each_argument(call):
    for name, right in call.right.items():
        for value in [*EACH, *near(right)]:
            tried(call, {name: value})


@pytest.mark.skipif(EXAMPLES == QUICK, reason="make properties has the minute that it takes")
@pytest.mark.parametrize(
    "call", [call for call in CALLS if call.path in FROM_PEOPLE], ids=lambda call: call.path
)
def test_each_value_is_tried_inside_each_argument(call):
    for name, right in call.right.items():
        for value in (inner for odd in EACH for inner in spoiled_inside(right, odd)):
            if can_be_made(value):
                tried(call, {name: value})


@pytest.mark.parametrize("call", [*CALLS, *EDGE], ids=lambda call: call.path)
def test_what_no_message_can_show_is_refused_as_well(call):
    for name in call.right:
        for value in (Unshowable(), [Unshowable()], {"n": Unshowable()}, Fresh(lambda: deep(2000))):
            tried(call, {name: value})


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("trivec.HybridIndex.search", {"k": 2**64}),
        ("trivec.HybridIndex.search", {"filter": {"n": {"gte": float("nan")}}}),
        ("trivec.HybridIndex.search", {"arms": {"dense": float("nan")}}),
        ("trivec.HybridIndex.search", {"thresholds": {"dense": None}}),
        ("trivec.HybridIndex.search", {"query": ["a", None]}),
        ("trivec.HybridIndex.search", {"query": Fresh(lambda: deep(2000))}),
        ("trivec.HybridIndex.get", {"ids": [["1"]]}),
        ("trivec.HybridIndex.delete", {"source": b"a.md"}),
        ("trivec.HybridIndex.add", {"progress": 5}),
        ("trivec.HybridIndex.add", {"chunks": [ODD]}),
        ("trivec.HybridIndex.search_by_vector", {"vector": [1e300] * 8}),
        ("trivec.HybridIndex.search_by_vector", {"vector": np.array(["a"] * 8)}),
        ("trivec.testing.MemoryStore.update_vectors", {"where": [None]}),
        ("trivec.testing.MemoryStore.delete", {"ids": [np.int64(3)]}),
        ("trivec.testing.MemoryStore.scroll", {"offset": np.int64(3)}),
        ("trivec.stores.ServerStore.delete", {"ids": [np.int64(3)]}),
        ("trivec.stores.EdgeStore.scroll", {"offset": ""}),
        ("trivec.stores.EdgeStore.delete", {"ids": ["x"]}),
        ("trivec.text.split", {"tokenizer": "\ud800"}),
        ("trivec.fusion.maximal_marginal_relevance", {"query": np.ones(3)}),
        ("trivec.arms.arms_among", {"names": [["dense"]]}),
        ("trivec.answers.calibrate", {"questions": [1]}),
        ("trivec.ingest.find_files", {"paths": [["files"]]}),
        ("trivec.rerankers.rank", {"retrieved": [float("nan"), "x"]}),
        ("trivec.fusion.reciprocal_rank_fusion", {"k": 0}),
        ("trivec.fusion.reciprocal_rank_fusion", {"k": 10**400}),
        ("trivec.arms.arms_among", {"names": np.array(3)}),
        ("trivec.arms.arms_among", {"names": Fresh(lambda: map(int, ["x"]))}),
        ("trivec.arms.heads_of", {"names": np.array(3)}),
        ("trivec.chat.text_of", {"content": np.array(3)}),
        ("trivec.ingest.find_files", {"paths": np.array(3)}),
        ("trivec.HybridIndex.get", {"ids": np.array(3)}),
        ("trivec.types.SparseVector.top", {"count": -(2**63) - 1}),
        ("trivec.types.SparseVector.dot", {"other": TWICE}),
        ("trivec.HybridIndex.add", {"progress": len}),
        ("trivec.HybridIndex.add", {"chunks": Fresh(lambda: map(fails, "x"))}),
        ("trivec.HybridIndex.copy_to", {"progress": len}),
        ("trivec.QuestionIndex.open", {"store": Fresh(lambda: deep(2000))}),
        ("trivec.chat.ending_of", {"reason": Fresh(lambda: deep(2000))}),
        ("trivec.load_reranker", {"backend": None, "model": "~0"}),
        ("trivec.load_encoder", {"backend": None, "model": "x" * 3000}),
        ("trivec.evaluation.read_dataset", {"path": "x" * 3000}),
        ("trivec.index.check_index", {"location": "x" * 3000}),
        ("trivec.ingest.sync_folder", {"paths": "x" * 3000}),
        ("trivec.fusion.shares_of_best", {"power": -3.0}),
        ("trivec.fusion.maximal_marginal_relevance", {"query": np.zeros(8, np.float32)}),
        ("trivec.fusion.maximal_marginal_relevance", {"query": np.full(8, 1e300)}),
    ],
)
def test_what_failed_once(path, wrong):
    for call in [*CALLS, *EDGE]:
        if call.path == path:
            tried(call, wrong)


ELSEWHERE = {
    "Turn": "made by Answerer.begin, read by the answers' own tests",
    "TokenStates": "a protocol",
    "Codec": "a protocol",
    "Subscription": "made by listen()",
    "serve_explorer": "serves until it is stopped: test_serving.py",
    "Rewriter": "a protocol",
    "HybridIndex": "made by its open()",
    "QuestionIndex": "made by its open()",
    "OpenAIChat": "asks a server: test_chat.py",
    "RemoteEncoder": "asks a server: test_remote_encoder.py",
    "AsyncServerStore": "the contract suites",
    "MiniEncoder": "loads a model",
    "MiniFlagEncoder": "loads a model",
    "MiniReranker": "loads a model",
    "FlagReranker": "loads a model",
    "OnnxReranker": "loads a model",
    "export_encoder": "loads a model",
    "export_reranker": "loads a model",
    "build_tiny_m3": "writes a model",
    "build_tiny_reranker": "writes a model",
}
"""What this suite does not call, and why."""
ANOTHER_SUITE = ("trivec.evaluation", "trivec.training", "trivec.training.data")
"""Runs, figures and reports of one's own datasets, and training: tests/unit/test_evaluation_*.py,
tests/unit/test_training_*.py."""
NOT_FOR_USERS = ("trivec", "trivec.adapters", "trivec.errors", "trivec.protocols")
"""The root lists what other modules have; the others hold no functions for users."""


def test_every_public_function_of_the_core_is_called():
    called = {call.path for call in [*CALLS, *EDGE]}
    names = [
        name
        for module in MODULES
        if module not in (*NOT_FOR_USERS, *ANOTHER_SUITE)
        for name in functions(SURFACE, module)
        if name.partition(".")[0] not in ELSEWHERE and name not in ELSEWHERE
    ]
    assert len(names) > 150
    missing = [name for name in names if not any(path.endswith(f".{name}") for path in called)]
    assert missing == []


def functions(surface: Surface, module: str) -> Iterator[str]:
    """Yield the public functions, classes and methods of a module that take an argument."""
    for name in surface.names(module):
        part = surface.find(f"{module}.{name}")
        if part.is_function and len(part.parameters):
            yield name
        for member_name, member in part.members.items() if part.is_class else ():
            if member.is_alias or not member.is_function or "property" in member.labels:
                continue
            is_built = member_name == "__init__" and "dataclass" not in part.labels
            if member_name.startswith("_") and not is_built:
                continue
            if len(member.parameters) > ("staticmethod" not in member.labels):
                yield name if is_built else f"{name}.{member_name}"
