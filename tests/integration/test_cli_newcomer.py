"""The program as people use it: their shells, terminals, folders and interruptions.

Each command is a process of its own, over a fake encoder, so that none waits for a model.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from time import sleep

import pytest

PROGRAM = """
import os, sys, threading, time
import trivec.loading
from trivec.testing import FakeEncoder

class Reading(FakeEncoder):
    tokenizer = staticmethod(len)
    is_first = True

    def load_for_texts(self):
        if os.environ.get("TELLING"):
            print("loaded in", threading.current_thread().name, file=sys.stderr)

    def encode_documents(self, *given, **more):
        if os.environ.get("SLOWLY"):
            print("encoding", file=sys.stderr, flush=True)
            time.sleep(0 if self.is_first else float(os.environ["SLOWLY"]))
            self.is_first = False
        return super().encode_documents(*given, **more)

trivec.loading.load_encoder = lambda model, **_: Reading(name=model)
from trivec.__main__ import main
main()
"""
ENOUGH = 200  # seconds, on a machine that stalls


@pytest.fixture
def home(tmp_path) -> Path:
    docs = tmp_path / "my docs"
    docs.mkdir()
    docs.joinpath("bees.txt").write_text("Bees make honey.\r\n\r\nThey dance.\r\n", "utf-8")
    docs.joinpath("企鹅 🐧.txt").write_text("企鹅不会飞 🐧。é", "utf-8")
    return tmp_path


@pytest.fixture
def program(tmp_path) -> list[str]:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM, "utf-8")
    return [sys.executable, str(script)]


@pytest.fixture
def trivec(home, program):
    def call(*arguments, code: int = 0, then: str | None = None, **variables: str):
        environment = {**os.environ, "HOME": str(home), "PYTHONIOENCODING": "", **variables}
        command = [*program, *map(str, arguments)]
        if then is not None:
            command = ["bash", "-o", "pipefail", "-c", f'"$@" {then}', "bash", *command]
        done = subprocess.run(
            command, cwd=home, env=environment, capture_output=True, timeout=ENOUGH, check=False
        )
        out, err = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
        assert done.returncode == code, err
        assert "Traceback" not in err
        return out, err

    return call


def test_spaces_tildes_and_relative_paths(trivec, home):
    trivec("sync", "~/kb 1", "my docs", "--model", "mini")
    assert "2 unchanged" in trivec("sync", "./kb 1", "./my docs/../my docs")[0]
    assert "2 unchanged" in trivec("sync", home / "kb 1", "~/my docs")[0]
    assert "2 unchanged" in trivec("index", "~/my docs", "--to=~/kb 1", "--root=~/my docs")[0]
    assert "1 unchanged" in trivec("index", "~/my docs/bees.txt", "--to", "kb 1/")[0]
    found = json.loads(trivec("search", "~/kb 1", "honey", "--json")[0])
    assert {hit["source"] for hit in found["hits"]} == {"bees.txt", "企鹅 🐧.txt"}
    assert "sound" in trivec("check", "~/kb 1")[0]
    assert not (home / "~").exists()


def test_line_ends_of_windows(trivec):
    trivec("sync", "kb", "my docs", "--model", "mini")
    out, _ = trivec("search", "kb", "honey")
    assert "\\r" not in out
    assert "\r" not in out
    hits = json.loads(trivec("search", "kb", "dance", "--json")[0])["hits"]
    assert any(hit["text"] == "Bees make honey.\n\nThey dance." for hit in hits)


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "cp1252"},
    ],
    ids=["ascii", "latin-1", "cp1252"],
)
def test_an_output_that_cannot_show_everything(trivec, variables):
    trivec("sync", "kb", "my docs", "--model", "mini", **variables)
    out, _ = trivec("search", "kb", "企鹅", "--explain", **variables)
    assert "\\u4f01\\u9e45" in out
    hits = json.loads(trivec("search", "kb", "企鹅", "--json", **variables)[0])["hits"]
    assert "企鹅不会飞 🐧。é" in {hit["text"] for hit in hits}
    trivec("-h", **variables)
    trivec("info", "kb", **variables)
    trivec("sync", "kb", "没有", code=2, **variables)


def test_a_search_loads_the_model_beside_the_opening_and_nothing_of_servers(trivec):
    trivec("sync", "kb", "my docs", "--model", "mini")
    assert "loaded in trivec-load" in trivec("search", "kb", "honey", TELLING="1")[1]
    _, err = trivec("search", "kb", "honey", PYTHONPROFILEIMPORTTIME="1")
    imported = {line.rpartition("|")[2].strip() for line in err.splitlines()}
    assert "trivec.stores.edge.store" in imported
    unneeded = ("trivec.stores.server", "trivec._graphs.writing", "trivec.training", "asyncio")
    assert imported.isdisjoint(unneeded)


def test_the_plainest_locale(trivec):
    plain = {"LC_ALL": "C", "LANG": "C"}
    trivec("sync", "kb", "my docs", "--model", "mini", **plain)
    assert "企鹅 🐧.txt" in trivec("search", "kb", "企鹅", **plain)[0]
    bare = plain | {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert "2 unchanged, 0 deleted" in trivec("sync", "kb", "my docs", **bare)[0]
    assert "\\u4f01\\u9e45" in trivec("search", "kb", "honey", **bare)[0]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such a name")
def test_a_file_name_that_is_not_utf_8(trivec, home):
    raw = os.fsencode(home / "my docs") + b"/caf\xe9.txt"
    Path(os.fsdecode(raw)).write_text("coffee", "utf-8")
    _, err = trivec("sync", "kb", "my docs", "--model", "mini", code=3)
    assert "its name is not UTF-8" in err
    _, err = trivec("index", os.fsdecode(raw), "--to", "kb", code=1)
    assert "its name is not UTF-8; rename it" in err
    named = Path(os.fsdecode(os.fsencode(home) + b"/na\xefve"))
    named.mkdir()
    assert "na\\udcefve cannot be read" in trivec("sync", "kb", named, code=1)[1]
    done = trivec("sync", "kb", "my docs", "--json", code=3)[0]
    assert json.loads(done)["skipped"] == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_rights(trivec, home):
    (home / "my docs" / "bees.txt").chmod(0)
    _, err = trivec("sync", "kb", "my docs", "--model", "mini", code=3)
    assert "bees.txt: Permission denied" in err


def test_an_empty_folder(trivec, home):
    (home / "empty").mkdir()
    out, err = trivec("sync", "kb", "empty", "--model", "mini")
    assert "0 added" in out
    assert "holds no file that can be read" in err
    assert "no passage matches" in trivec("search", "kb", "honey")[1]


@pytest.mark.parametrize(
    "arguments",
    [("search", "kb", "honey"), ("search", "kb", "honey", "--json"), ("info", "kb"), ("-h",)],
)
def test_a_reader_that_goes_away(trivec, arguments):
    trivec("sync", "kb", "my docs", "--model", "mini")
    out, err = trivec(*arguments, code=141, then="| true")
    assert (out, err) == ("", "")
    _, err = trivec(*arguments, then="| head -c 20 || true")
    assert err == ""


def test_colours_are_for_terminals_that_want_them(home, program, trivec):
    trivec("sync", "kb", "my docs", "--model", "mini")
    assert "\x1b" not in trivec("search", "kb", "honey")[0]
    assert "\x1b" not in trivec("info", "kb")[0]

    def on_a_terminal(**variables: str) -> str:
        main, side = pty.openpty()
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "60", **variables}
        command = [*program, "search", "kb", "honey"]
        running = subprocess.Popen(
            command, cwd=home, env=environment, stdin=side, stdout=side, stderr=side
        )
        os.close(side)
        drawn = b""
        while True:
            try:
                part = os.read(main, 4096)
            except OSError:  # how Linux says that the other side was closed
                part = b""
            if not part:
                break
            drawn += part
        os.close(main)
        assert running.wait(ENOUGH) == 0
        return drawn.decode()

    assert "\x1b[36m" in on_a_terminal()
    assert "\x1b[3" not in on_a_terminal(NO_COLOR="1")
    assert "\x1b" not in on_a_terminal(TERM="dumb")


@pytest.mark.parametrize("columns", [40, 80])
def test_tables_fit(trivec, columns):
    trivec("sync", "kb", "my docs", "--model", "mini")
    for arguments in (("search", "kb", "honey", "--explain"), ("info", "kb")):
        out, _ = trivec(*arguments, COLUMNS=str(columns))
        assert max(map(len, out.splitlines())) <= columns


@pytest.mark.parametrize("moment", ["starting", "encoding"])
def test_ctrl_c(trivec, home, program, moment):
    """What was stored stays, the index is whole, and the same command goes on."""
    for number in range(900):
        (home / "my docs" / f"{number}.txt").write_text(f"Text number {number}.", "utf-8")
    environment = {**os.environ, "SLOWLY": "300"}
    command = [*program, "sync", "kb", "my docs", "--model", "mini"]
    running = subprocess.Popen(
        command, cwd=home, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert running.stderr is not None
    if moment == "encoding":
        assert running.stderr.readline() == b"encoding\n"
        assert running.stderr.readline() == b"encoding\n"  # a second batch: the first is stored
        sleep(0.2)
    else:
        sleep(0.15)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=ENOUGH)
    assert running.returncode in ({130} if moment == "encoding" else {130, -signal.SIGINT})
    assert out == b""
    if moment == "encoding":
        assert b"Traceback" not in err
        assert err.decode().endswith("note: interrupted; run the same again to go on from here\n")
        assert "sound" in trivec("check", "kb")[0]
    report = json.loads(trivec("sync", "kb", "my docs", "--model", "mini", "--json")[0])
    assert report["added"] + report["skipped"] == 902
    if moment == "encoding":
        assert report["skipped"] > 0
    assert json.loads(trivec("info", "kb", "--json")[0])["passages"] == 902


HOLD = """
import sys, time
from trivec.stores import EdgeStore
store = EdgeStore(sys.argv[1])
store.count()
print("open", flush=True)
time.sleep(float(sys.argv[2]))
store.close()
"""


def test_two_calls_on_one_index(trivec, home):
    """The second waits for a moment, and then says who has the index."""
    trivec("sync", "kb", "my docs", "--model", "mini")
    command = [sys.executable, "-c", HOLD, str(home / "kb")]
    with subprocess.Popen([*command, "1.5"], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"open\n"
        assert "bees.txt" in trivec("search", "kb", "honey")[0]
    with subprocess.Popen([*command, "60"], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"open\n"
        _, err = trivec("search", "kb", "honey", code=1)
        assert f"is open elsewhere, in process {holder.pid} ('-c')" in err
        holder.kill()
    assert "bees.txt" in trivec("search", "kb", "honey")[0]


def test_two_searches_at_once(home, program, trivec):
    trivec("sync", "kb", "my docs", "--model", "mini")
    command = [*program, "search", "kb", "honey", "--json"]
    calls = [
        subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for call in calls:
        out, err = call.communicate(timeout=ENOUGH)
        assert call.returncode == 0, err
        assert json.loads(out)["hits"]
