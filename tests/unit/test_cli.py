"""The command line, run as it is called: arguments in, stdout, stderr and an exit code out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from trivec import cli
from trivec._models.onnx_folder import Agreement
from trivec.errors import ModelError
from trivec.testing import FakeEncoder


class CountingEncoder(FakeEncoder):
    """The fake, with what the command line takes of a real encoder: a tokenizer."""

    @staticmethod
    def tokenizer(text: str) -> int:
        return len(text)


class Exported(CountingEncoder):
    """The fake as an exported model of two precisions, fp32 unless it may choose."""

    agreement = Agreement(texts=20, dense_cosine_mean=0.999, sparse_top10_shared=0.97)

    def __init__(self, name, precision):
        super().__init__(name=name)
        self.precision = precision or "int8"

    @property
    def info(self):
        return replace(super().info, precision=self.precision)


@pytest.fixture
def asked_for(monkeypatch) -> list[tuple[str, dict]]:
    """The encoders that were asked for; all are fakes of that name."""
    calls = []

    def load_encoder(model, **settings):
        calls.append((model, settings))
        return CountingEncoder(name=model)

    monkeypatch.setattr("trivec.loading.load_encoder", load_encoder)
    return calls


@pytest.fixture
def run(command_line, asked_for):
    return command_line


@pytest.fixture
def docs(tmp_path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    folder.joinpath("bees.md").write_text("# Bees\n\nBees make honey. [red]Not markup.", "utf-8")
    folder.joinpath("向量.txt").write_text("稠密向量和稀疏向量。", "utf-8")
    folder.joinpath("rows.jsonl").write_text(
        '{"text": "honey cake", "id": "cake", "metadata": {"lang": "en", "stars": 5}}', "utf-8"
    )
    folder.joinpath("photo.jpg").write_bytes(b"\xff")
    return folder


@pytest.fixture
def kb(run, docs, tmp_path) -> Path:
    place = tmp_path / "kb"
    assert run("index", docs, "--to", place, "--root", docs, "--model", "mini").code == 0
    return place


@pytest.fixture
def named(kb, docs, tmp_path) -> dict[str, Path]:
    """The places that a table of command lines means."""
    return {"KB": kb, "DOCS": docs, "MISSING": tmp_path / "missing"}


def test_index_reports_what_became_of_everything(run, docs, tmp_path):
    first = run("index", docs, "--to", tmp_path / "kb", "--model", "mini")
    assert (first.code, first.out.count("\n")) == (0, 1)
    assert f"{tmp_path / 'kb'}: 3 added, 0 updated, 0 unchanged, 0 deleted" in first.out
    assert first.err == f"left out: {docs / 'photo.jpg'}: no reader for this suffix\n"
    docs.joinpath("bees.md").write_text("Bees sting.", "utf-8")
    docs.joinpath("photo.jpg").unlink()
    second = run("index", docs, "--to", tmp_path / "kb")
    assert "0 added, 1 updated, 2 unchanged, 0 deleted" in second.out
    assert second.err == ""


def test_index_deletes_what_a_file_no_longer_holds(run, docs, tmp_path):
    long = docs / "long.txt"
    long.write_text("One sentence here. Another sentence here. A third sentence here.", "utf-8")
    index = ("index", long, "--to", tmp_path / "kb", "--chunk-tokens", 25)
    assert "3 added" in run(*index).out
    long.write_text("One sentence here.", "utf-8")
    assert "0 added, 0 updated, 1 unchanged, 2 deleted" in run(*index).out


def test_index_json_is_one_document(run, docs, tmp_path):
    outcome = run("index", docs, "--to", tmp_path / "kb", "--json")
    report = json.loads(outcome.out)
    assert (report["added"], report["refused"], report["truncated"]) == (3, [], [])
    assert report["left_out"] == [
        {
            "path": (docs / "photo.jpg").as_posix(),
            "where": None,
            "reason": "no reader for this suffix",
            "expected": True,
        }
    ]
    assert outcome.err == ""


def test_what_is_left_out_shows_in_the_status_and_the_rest_is_stored(run, docs, tmp_path):
    docs.joinpath("rows.jsonl").write_text('{"text": "one"}\nbroken\n{"text": "three"}', "utf-8")
    docs.joinpath("broken.pdf").write_bytes(b"%PDF-1.7")
    index = ("index", docs, "--to", tmp_path / "kb")
    outcome = run(*index)
    assert outcome.code == 3
    assert "4 added" in outcome.out
    assert f"left out: {docs / 'rows.jsonl'}, line 2: it is not JSON" in outcome.err
    assert f"left out: {docs / 'broken.pdf'}: it cannot be read as PDF" in outcome.err
    strict = run(*index, "--strict")
    assert strict.code == 1
    assert "4 unchanged" in strict.out
    assert strict.err.splitlines()[-1].startswith("error: 2 left out, the rest is stored")
    as_json = run(*index, "--json")
    assert as_json.code == 3
    assert {one["where"] for one in json.loads(as_json.out)["left_out"]} == {None, "line 2"}


def test_columns_and_links_by_option(run, docs, tmp_path):
    docs.joinpath("table.csv").write_text("sku,name\nA1,Anvil\n", "utf-8")
    docs.joinpath("again.txt").symlink_to("向量.txt")
    index = ("index", docs, "--to", tmp_path / "kb", "--root", docs, "--text-column", "name")
    assert run(*index, "--follow-links").code == 3  # the jsonl has no such key
    assert run("search", tmp_path / "kb", "anvil", "--json", "-k", 1).out.count("Anvil") == 1
    hits = json.loads(run("search", tmp_path / "kb", "稀疏向量", "--json").out)["hits"]
    assert {"again.txt", "向量.txt"} <= {hit["source"] for hit in hits}


def test_quiet_says_nothing_but_what_went_wrong(run, docs, tmp_path):
    outcome = run("index", docs, "--to", tmp_path / "kb", "--quiet")
    assert outcome.out == ""
    assert "photo.jpg" in outcome.err


def test_an_empty_folder_is_no_error_and_no_secret(run, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    outcome = run("index", empty, "--to", tmp_path / "kb")
    assert outcome.code == 0
    assert "0 added" in outcome.out
    assert "the folder holds no file that can be read" in outcome.err


def test_long_listings_are_cut_short(run, docs, tmp_path):
    for number in range(30):
        docs.joinpath(f"{number}.jpg").write_bytes(b"")
    errors = run("index", docs, "--to", tmp_path / "kb").err.splitlines()
    assert len(errors) == cli.LISTED + 1
    assert errors[-1] == "left out: 11 more; --json lists all"


def test_search_shows_passages_as_text(run, kb):
    outcome = run("search", kb, "bees honey")
    assert outcome.code == 0
    assert "bees.md #0" in outcome.out
    assert "[red]Not markup." in outcome.out
    assert outcome.err == ""


def test_search_explains(run, kb):
    out = run("search", kb, "稀疏向量", "--explain", "-k", 1).out
    assert "向量.txt #0" in out
    assert "bm25 " in out
    assert "稀疏 (bm25" in out


def test_search_json(run, kb):
    outcome = run("search", kb, "cake", "-k", 1, "--explain", "--json")
    found = json.loads(outcome.out)
    assert found["query"] == "cake"
    (hit,) = found["hits"]
    assert hit["id"] == "cake"
    assert hit["source"] == "rows.jsonl"
    assert hit["text"] == "honey cake"
    read = {"row": 1, "start_index": 0, "end_index": 10}
    assert hit["metadata"] == {"lang": "en", "stars": 5} | read
    assert set(hit["arms"]) == {"dense", "sparse", "bm25"}
    assert {"arm", "term", "score"} == set(hit["matches"][0])


@pytest.mark.parametrize(
    ("arms", "expected"),
    [
        ("bm25", {"bm25": 1.0}),
        ("dense, sparse", {"dense": 1.0, "sparse": 1.0}),
        ("dense=1,sparse=0.3", {"dense": 1.0, "sparse": 0.3}),
    ],
)
def test_arms_and_fusion_reach_the_search(run, kb, monkeypatch, arms, expected):
    from trivec import HybridIndex

    seen = []
    search = HybridIndex.search

    def spy(self, query, k, **settings):
        seen.append(settings["options"])
        return search(self, query, k, **settings)

    monkeypatch.setattr(HybridIndex, "search", spy)
    assert run("search", kb, "honey", "--arms", arms, "--fusion", "rrf").code == 0
    assert seen[0].arms == expected
    assert seen[0].fusion == "rrf"


def test_without_options_the_librarys_defaults_hold(run, kb, monkeypatch):
    from trivec import HybridIndex, SearchOptions

    seen = []
    monkeypatch.setattr(HybridIndex, "search", lambda *_, **given: seen.append(given) or [])
    run("search", kb, "honey")
    assert seen == [{"filter": None, "options": SearchOptions()}]


def test_filter(run, kb):
    found = run("search", kb, "honey", "--filter", '{"stars": {"gte": 4}}', "--json")
    assert [hit["id"] for hit in json.loads(found.out)["hits"]] == ["cake"]
    none = run("search", kb, "honey", "--filter", '{"lang": "zh"}')
    assert (none.code, none.out, none.err) == (0, "", "note: no passage matches\n")
    empty = run("search", kb, "honey", "--filter", '{"lang": "zh"}', "--json")
    assert json.loads(empty.out)["hits"] == []


def test_colbert(run, docs, tmp_path):
    place = tmp_path / "with colbert"
    run("index", docs, "--to", place, "--colbert")
    found = run("search", place, "honey cake", "--colbert", "rescore", "--json", "-k", 1)
    assert json.loads(found.out)["hits"][0]["id"] == "cake"
    assert "colbert" in run("info", place).out


def test_late_chunking(run, docs, tmp_path, monkeypatch):
    encode_long, read = CountingEncoder.encode_long, []

    def counted(self, document, spans, **given):
        read.append(document)
        return encode_long(self, document, spans, **given)

    monkeypatch.setattr(CountingEncoder, "encode_long", counted)
    assert run("index", docs, "--to", tmp_path / "plain").code == 0
    assert not read
    assert run("index", docs, "--to", tmp_path / "late", "--late-chunking").code == 0
    assert len(read) == 3
    assert any("Bees make honey" in document for document in read)


def test_mixed_precision_is_chosen_by_an_option_alone(run, kb, monkeypatch):
    loaded = []

    def load_encoder(model, *, device, precision):
        encoder = Exported("mini", precision)
        loaded.append((model, device, encoder.precision))
        return encoder

    monkeypatch.setattr("trivec.loading.load_encoder", load_encoder)
    plain = run("search", kb, "honey", "--model", "exported", "--json")
    mixed = run("search", kb, "honey", "--model", "exported", "--mixed-precision", "--json")
    assert loaded == [("exported", "cpu", "fp32"), ("exported", "cpu", "int8")]
    assert (plain.code, mixed.code) == (0, 0)
    assert json.loads(mixed.out)["hits"] == json.loads(plain.out)["hits"] != []


@pytest.mark.parametrize("model", ["folder", "mini"])
def test_reranking(run, kb, monkeypatch, model):
    """mini's scores are mixed with the search's, a cross-encoder's are taken alone."""
    loaded = []

    class Undecided:
        """Hardly prefers what was found last to what was found first."""

        def score(self, query, passages):
            assert (query, len(passages)) == ("honey cake", 3)
            return [1.0, 0.0, 1.01]

    def load_reranker(model, *, device):
        loaded.append((model, device))
        return Undecided()

    monkeypatch.setattr("trivec.loading.load_reranker", load_reranker)
    asked = ("search", kb, "honey cake", "--json")
    searched = [hit["id"] for hit in json.loads(run(*asked).out)["hits"]]
    assert loaded == []
    found = json.loads(run(*asked, "--rerank", model, "--device", "cpu").out)["hits"]
    assert loaded == [(model, "cpu")]
    best, other, last = searched
    if model == "mini":
        assert found[0]["id"] == best
        return
    assert [hit["id"] for hit in found] == [last, best, other]
    assert [hit["rerank_score"] for hit in found] == [1.01, 1.0, 0.0]
    (only,) = json.loads(run(*asked, "--rerank", model, "-k", 1).out)["hits"]
    assert only["id"] == last
    assert "rerank" in run("search", kb, "honey cake", "--rerank", model).out


def test_info(run, kb):
    report = json.loads(run("info", kb, "--json").out)
    assert report["passages"] == 3
    assert report["schema"]["fingerprint"]["encoder"]["model"] == "mini"
    table = run("info", kb).out
    assert "mini" in table
    assert "vector 'dense', dense, 64 dims" in table
    assert "average_length" in table
    assert "title" in report["unindexed"]
    assert "without an index" in table


def test_a_search_opens_with_the_model_that_wrote(run, kb, asked_for):
    asked_for.clear()
    run("search", kb, "honey", "--device", "cuda:1")
    assert asked_for == [("mini", {"device": "cuda:1", "precision": "fp32"})]
    asked_for.clear()
    other = run("search", kb, "honey", "--model", "other")
    assert asked_for[0][0] == "other"
    assert other.code == 1
    assert other.err.startswith("error: ")
    assert other.err.count("\n") == 1
    assert "'mini'" in other.err
    assert "'other'" in other.err


def test_which_model_writes(run, docs, tmp_path, asked_for, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("m3").mkdir()
    run("index", docs, "--to", "new")
    run("index", docs, "--to", "by-folder", "--model", "m3")
    run("index", docs, "--to", "by-folder")
    folder = str(tmp_path / "m3")
    assert [model for model, _ in asked_for] == ["BAAI/bge-m3", folder, folder]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("search", "KB", "  "), "blank"),
        (("search", "KB", "honey", "--arms", "dense,nose"), "nose"),
        (("search", "KB", "honey", "--filter", '{"a": {"near": 1}}'), "near"),
        (("search", "KB", "honey", "--colbert", "rescore"), "colbert"),
        (("search", "MISSING", "honey"), "there is no index at"),
        (("info", "MISSING"), "there is no index at"),
        (("info", "DOCS"), "docs"),
        (("index", "DOCS", "--to", "DOCS"), "docs"),
        (("index", "DOCS", "--to", "KB", "--overlap", "256"), "--overlap 256"),
        (("index", "DOCS", "--to", "KB", "--colbert"), "colbert"),
        (("search", "http://127.0.0.1:9", "honey", "--collection", "kb"), "server"),
    ],
)
@pytest.mark.enable_socket  # the unreachable server is on this machine
def test_errors_are_one_line_and_code_1(run, named, arguments, message):
    outcome = run(*(named.get(argument, argument) for argument in arguments))
    assert outcome.code == 1
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert message in outcome.err
    assert outcome.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("search", "KB", "honey", "-k", "0"), "greater than or equal to 1"),
        (("search", "KB", "honey", "-k", "-3"), "greater than or equal to 1"),
        (("search", "KB", "honey", "--fusion", "best"), "dbsf"),
        (("search", "KB", "honey", "--arms", "dense=much"), "NAME=WEIGHT"),
        (("search", "KB", "honey", "--filter", "{"), "not JSON"),
        (("search", "KB", "honey", "--filter", "[1]"), "JSON object"),
        (("search", "KB"), "query"),
        (("search", "KB", "honey", "--collection", "c"), "not with a folder"),
        (("search", "http://127.0.0.1:9", "honey"), "needs --collection"),
        (("index", "KB"), "--to"),
        (("index", "MISSING", "--to", "KB"), "does not exist"),
        (("seek",), "seek"),
    ],
)
def test_wrong_usage_is_code_2(run, named, arguments, message):
    outcome = run(*(named.get(argument, argument) for argument in arguments))
    assert outcome.code == 2
    assert message in " ".join(outcome.err.replace("│", " ").split())
    assert outcome.out == ""


def test_a_defect_is_named_without_a_traceback(run, kb, monkeypatch):
    monkeypatch.setattr(FakeEncoder, "encode_queries", lambda *_, **__: 1 / 0)
    outcome = run("search", kb, "honey")
    assert outcome.code == 70
    assert outcome.err.startswith("error: ZeroDivisionError")
    assert "Traceback" not in outcome.err


def test_debug_shows_the_traceback(run, kb, monkeypatch):
    def fail(*_, **__):
        raise ModelError("no model \x1b[31mtoday")

    monkeypatch.setattr(FakeEncoder, "encode_queries", fail)
    outcome = run("--debug", "search", kb, "honey")
    assert outcome.code == 1
    assert "Traceback" in outcome.err
    assert outcome.err.endswith("error: no model \\x1b[31mtoday\n")
    assert "\x1b" not in outcome.err


def test_the_key_comes_from_the_environment_and_is_not_shown(run, monkeypatch):
    given = {}

    class Client:
        def __init__(self, **settings):
            given.update(settings)
            raise ModelError("stop here")

    monkeypatch.setattr("qdrant_client.QdrantClient", Client)
    monkeypatch.setenv("QDRANT_API_KEY", "very-secret")
    outcome = run("info", "https://qdrant.test:6333", "--collection", "kb")
    assert given["url"] == "https://qdrant.test:6333"
    assert given["api_key"] == "very-secret"
    assert "very-secret" not in outcome.out + outcome.err
    assert "very-secret" not in run("search", "--help").out
