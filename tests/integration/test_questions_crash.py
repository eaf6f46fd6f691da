"""Writing questions survives the death of its process: what was stored is not asked for again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading

import pytest

from trivec import Chunk, HybridIndex, IndexConfig
from trivec.questions import QuestionIndex, QuestionPrompts
from trivec.testing import FakeEncoder
from trivec.types import ChatReply

CHUNKS = 40
ONE_PASS = QuestionPrompts(refine=False)

PROGRAM = """
import json, os, signal, sys, threading
from trivec import HybridIndex
from trivec.questions import QuestionPrompts
from trivec.questions import QuestionIndex
from trivec.testing import FakeEncoder
from trivec.types import ChatReply

calls, lock = 0, threading.Lock()

class Chat:
    def chat(self, messages, *, schema=None):
        global calls
        with lock:
            calls += 1
            if calls == int(sys.argv[2]):
                os.kill(os.getpid(), signal.SIGKILL)
        word = messages[1]["content"].split("\\n")[1].split()[0]
        return ChatReply(json.dumps({"questions": [f"why {word}?", f"how {word}?"]}))

index = HybridIndex.open(sys.argv[1], FakeEncoder(), create=False)
prompts = QuestionPrompts(refine=False)
QuestionIndex.open(index).generate(Chat(), model="m", prompts=prompts, concurrency=3)
"""


class Chat:
    def __init__(self):
        self.words = []
        self.lock = threading.Lock()

    def chat(self, messages, *, schema=None):
        assert schema
        word = messages[1]["content"].split("\n")[1].split()[0]
        with self.lock:
            self.words.append(word)
        return ChatReply(json.dumps({"questions": [f"why {word}?", f"how {word}?"]}))

    def stream(self, messages):
        raise NotImplementedError


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("deadly_call", [2, 17, CHUNKS])
def test_a_killed_run_is_continued(tmp_path, deadly_call):
    config = IndexConfig(arms=("dense",))
    with HybridIndex.open(tmp_path / "kb", FakeEncoder(), config=config) as index:
        index.add(Chunk(f"fact{n} is one.", id=f"c{n}") for n in range(CHUNKS))
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "kb", str(deadly_call)], check=False
    )
    assert run.returncode == -signal.SIGKILL
    with (
        HybridIndex.open(tmp_path / "kb", FakeEncoder(), create=False) as index,
        QuestionIndex.open(index) as questions,
    ):
        stored = {n for n in range(CHUNKS) if questions.questions(f"c{n}")}
        assert len(stored) >= deadly_call - 1 - 3  # three were with the model or on the way back
        assert all(len(questions.questions(f"c{n}")) == 2 for n in stored)
        chat = Chat()
        report = questions.generate(chat, model="m", prompts=ONE_PASS)
        assert (report.skipped, report.written) == (len(stored), CHUNKS - len(stored))
        assert sorted(chat.words) == sorted(f"fact{n}" for n in range(CHUNKS) if n not in stored)
        assert questions.count() == 2 * CHUNKS
