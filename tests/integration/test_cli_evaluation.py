"""``trivec eval`` from the command line: files in, a table and reports out."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest
from tests.reading import Reading

from trivec import HybridIndex
from trivec.errors import ModelError
from trivec.evaluation import System, load_settings, save_settings

PASSAGES = {
    "lemon": "Lemons are sour and yellow.",
    "honey": "Honey is sweet.",
    "snow": "Snow is white and cold.",
}
QUESTIONS = {"what is sour?": "lemon", "what is sweet?": "honey", "what is cold?": "snow"}


@pytest.fixture
def run(command_line, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("trivec.loading.load_encoder", lambda model, **_: Reading(name=model))
    monkeypatch.chdir(tmp_path)
    rows = [f"{asked},{PASSAGES[key]},{key}" for asked, key in QUESTIONS.items()]
    Path("asked.csv").write_text("\n".join(["question,passage,id", *rows]), "utf-8")
    return command_line


def test_a_dataset_gives_a_table_and_reports(run):
    outcome = run("eval", "asked.csv", "--model", "mini")
    assert outcome.code == 0, outcome.err
    assert "asked: 3 questions, 3 passages" in outcome.out
    assert "colbert=fuse" in outcome.out
    report = json.loads(Path("trivec-eval/report.json").read_text("utf-8"))
    (dataset,) = report["datasets"]
    assert [one["name"] for one in dataset["systems"]][:4] == ["dense", "sparse", "bm25", "colbert"]
    assert "| bm25 |" in Path("trivec-eval/report.md").read_text("utf-8")
    for report in ("report.md", "report.html", "report.json"):  # which model this was
        assert "mini, fp32" in Path("trivec-eval", report).read_text("utf-8")
    assert f"trivec {version('trivec')}, 20" in Path("trivec-eval/report.html").read_text("utf-8")


def test_json_is_one_document(run):
    outcome = run("eval", "asked.csv", "--model", "mini", "--system", "bm25", "--json")
    data = json.loads(outcome.out)
    (system,) = data["datasets"][0]["systems"]
    assert system["measures"]["nDCG@10"]["mean"] == 1.0
    assert "trivec-eval/report.json" in data["files"]


def test_several_datasets_and_models(run):
    Path("other.csv").write_text(Path("asked.csv").read_text("utf-8"), "utf-8")
    given = ("asked.csv", "other.csv", "--model", "a", "--model", "b", "--system", "dense")
    data = json.loads(run("eval", *given, "--json").out)
    assert [one["name"] for one in data["datasets"]] == ["asked", "other"]
    assert [one["name"] for one in data["datasets"][0]["systems"]] == ["a: dense", "b: dense"]
    assert len(list(Path("trivec-eval/indexes").iterdir())) == 2  # one a model, for both datasets


def test_an_index_that_is_there(run):
    notes = Path("notes")
    notes.mkdir()
    records = [{"id": key, "text": text} for key, text in PASSAGES.items()]
    (notes / "all.jsonl").write_text("\n".join(map(json.dumps, records)), "utf-8")
    run("sync", "kb", "notes", "--model", "mini")
    rows = [f"{asked}\t{key}" for asked, key in QUESTIONS.items()]
    Path("ids.tsv").write_text("\n".join(["question\tid", *rows, "who?\tnobody"]), "utf-8")
    alone = run("eval", "ids.tsv", "--model", "mini")
    assert alone.code == 1
    assert "has questions alone" in alone.err
    outcome = run("eval", "ids.tsv", "--index", "kb", "--system", "bm25", "--json")
    (dataset,) = json.loads(outcome.out)["datasets"]
    assert dataset["missing"] == ["nobody"]
    assert "in ids: judged passage that is not there (1): nobody" in outcome.err
    assert dataset["systems"][0]["failures"] == {"not in the index": 1}
    twice = run("eval", "ids.tsv", "--index", "kb", "--model", "a", "--model", "b")
    assert (twice.code, "--index has one model" in twice.err) == (2, True)


@pytest.fixture
def own_index(run):
    """An index of files, whose ids no dataset knows."""
    notes = Path("notes")
    notes.mkdir()
    for key, text in PASSAGES.items():
        (notes / f"{key}.txt").write_text(text, "utf-8")
    for place in ("kb", "other"):
        assert run("sync", place, "notes", "--model", "mini").code == 0


@pytest.mark.usefixtures("own_index")
class TestAnIndexOfOnesOwn:
    """Its passages are known by their words."""

    @pytest.fixture
    def asked(self, run):  # noqa: ARG002  # which leads into a folder of its own
        rows = [f"{asked}\t{PASSAGES[key]}" for asked, key in QUESTIONS.items()]
        rows.append("who?\tNobody of this name.")
        Path("asked.tsv").write_text("\n".join(["question\tpassage", *rows]), "utf-8")
        return "asked.tsv"

    def test_is_evaluated(self, run, asked):
        outcome = run("eval", asked, "--index", "kb", "--system", "bm25", "--json")
        (dataset,) = json.loads(outcome.out)["datasets"]
        assert dataset["systems"][0]["measures"]["nDCG@10"]["mean"] == 0.75
        assert "in asked: judged passage that is not there (1): " in outcome.err

    def test_is_compared_with_another(self, run, asked):
        outcome = run("compare", "kb", "other", asked, "--json")
        (verdict,) = json.loads(outcome.out)["verdicts"].values()
        assert verdict["word"] == "TIE"
        assert verdict["comparison"]["ties"] == 4
        assert outcome.err.count("judged passage that is not there (1): ") == 2

    def test_is_compared_with_an_index_of_the_file(self, run, asked):
        outcome = run("compare", "kb", "some/model", asked, "--json")
        (verdict,) = json.loads(outcome.out)["verdicts"].values()
        counts = {name: verdict["comparison"][name] for name in ("wins", "ties", "losses")}
        assert counts == {"wins": 0, "ties": 3, "losses": 1}  # of what it does not hold

    def test_holds_the_parts_of_a_long_paragraph(self, run):
        paper = "An abstract.\n\n" + "\n".join(PASSAGES.values())
        asked = [
            {"id": key, "question": question, "answers": [{"answer_start": paper.index(words)}]}
            for (question, key), words in zip(QUESTIONS.items(), PASSAGES.values(), strict=True)
        ]
        articles = [{"title": "p", "paragraphs": [{"context": paper, "qas": asked}]}]
        Path("papers.json").write_text(json.dumps({"data": articles}), "utf-8")
        outcome = run("eval", "papers.json", "--index", "kb", "--system", "bm25", "--json")
        (dataset,) = json.loads(outcome.out)["datasets"]
        measured = dataset["systems"][0]["measures"]["nDCG@10"]["mean"]
        assert (dataset["missing"], measured) == ([], 1.0)


def test_what_is_wrong_with_a_dataset_is_said(run):
    with Path("asked.csv").open("a", encoding="utf-8") as file:
        file.write("\n,a passage of no question,x")
    outcome = run("eval", "asked.csv", "--model", "mini", "--system", "bm25")
    assert outcome.code == 0
    assert "in asked: blank question (1): line 5" in outcome.err


def test_failures_are_named_and_the_rest_is_reported(run, monkeypatch):
    search = HybridIndex.search

    def failing(self, query, *arguments, **settings):
        if "sweet" in str(query):
            raise ModelError("no memory")
        return search(self, query, *arguments, **settings)

    monkeypatch.setattr(HybridIndex, "search", failing)
    systems = ("--system", "bm25", "--system", "hybrid, rewrite=chat")
    outcome = run("eval", "asked.csv", "--model", "mini", *systems)
    assert outcome.code == 3
    assert "failed: asked, bm25: 1 questions, the first is 'q1': ModelError" in outcome.err
    assert f"given up: asked, {System()}, rewrite=chat: " in outcome.err
    monkeypatch.undo()


def test_fresh_asks_again(run, monkeypatch):
    given = ("eval", "asked.csv", "--model", "mini", "--system", "bm25")
    run(*given)
    asked = []
    search = HybridIndex.search

    def counting(self, query, *arguments, **settings):
        asked.append(query.text)
        return search(self, query, *arguments, **settings)

    monkeypatch.setattr(HybridIndex, "search", counting)
    run(*given)
    assert asked == []
    run(*given, "--fresh")
    assert asked == list(QUESTIONS)


def test_a_system_that_is_none_loads_no_model(run, monkeypatch):
    monkeypatch.setattr("trivec.loading.load_encoder", None)
    outcome = run("eval", "asked.csv", "--system", "best")
    assert (outcome.code, "arm='best'" in outcome.err) == (1, True)


class TestCompare:
    def test_two_ways_to_search(self, run):
        outcome = run("compare", "bm25", "hybrid, rrf", "asked.csv", "--model", "mini")
        assert outcome.code == 0, outcome.err
        assert re.match(r"(WIN|TIE|LOSS): bm25 against hybrid, rrf: [+-]0\.\d{4} ", outcome.out)

    def test_two_models_and_two_datasets(self, run):
        Path("other.csv").write_text(Path("asked.csv").read_text("utf-8"), "utf-8")
        given = ("compare", "some/model", "other/model", "asked.csv", "other.csv", "--json")
        verdicts = json.loads(run(*given).out)["verdicts"]
        assert sorted(verdicts) == ["asked", "other"]
        assert verdicts["asked"]["comparison"]["first"] == f"some/model: {System()}"

    def test_an_index_with_a_settings_file(self, run):
        notes = Path("notes")
        notes.mkdir()
        records = [{"id": key, "text": text} for key, text in PASSAGES.items()]
        (notes / "all.jsonl").write_text("\n".join(map(json.dumps, records)), "utf-8")
        run("sync", "kb", "notes", "--model", "mini")
        save_settings(System.from_text("bm25"), "settings.json")
        outcome = run("compare", "settings.json", "kb", "asked.csv", "--index", "kb", "--json")
        verdict = json.loads(outcome.out)["verdicts"]["asked"]
        assert verdict["comparison"]["first"] == "settings.json: bm25"
        assert verdict["comparison"]["second"] == f"kb: {System()}"

    @pytest.mark.parametrize(
        ("sides", "code", "said"),
        [(("bm25", "bm25"), 2, "are both"), (("bm25", "hybrid, best"), 1, "'best' of the system")],
    )
    def test_what_cannot_be_compared(self, run, sides, code, said):
        outcome = run("compare", *sides, "asked.csv", "--model", "mini")
        assert (outcome.code, said in outcome.err) == (code, True)


class TestExplain:
    @pytest.fixture(autouse=True)
    def kb(self, run):
        notes = Path("notes")
        notes.mkdir()
        records = [{"id": key, "text": text} for key, text in PASSAGES.items()]
        (notes / "all.jsonl").write_text("\n".join(map(json.dumps, records)), "utf-8")
        run("sync", "kb", "notes", "--model", "mini", "--colbert")

    def test_the_best_passage(self, run):
        outcome = run("explain", "kb", "what is sour?")
        assert outcome.code == 0, outcome.err
        assert outcome.out.startswith("lemon: it is number 1 of 10, score ")
        assert "sour" in outcome.out
        assert "colbert: " in outcome.out

    def test_one_that_is_missing(self, run):
        asked = ("explain", "kb", "what is sour?", "snow", "--arms", "bm25", "-k", "1")
        assert "snow: " in run(*asked).out
        data = json.loads(run(*asked, "--json").out)
        assert (data["rank"], data["id"]) == (None, "snow")
        assert "no such passage" in run("explain", "kb", "what is sour?", "nobody").out

    def test_what_is_not_explained(self, run):
        assert run("explain", "kb", "what is sour?", "--questions").code == 2


def test_tune_writes_what_search_takes(run):
    rows = [f"what is number {at}?,This is number {at}.,book {at}" for at in range(60)]
    Path("many.csv").write_text("\n".join(["question,passage,document", *rows]), "utf-8")
    outcome = run("tune", "many.csv", "--model", "mini")
    assert outcome.code == 0, outcome.err
    assert re.match(r"(WIN|no gain): ", outcome.out)
    assert load_settings("settings.json")
    save_settings(System.from_text("bm25"), "chosen.json")
    Path("notes").mkdir()
    Path("notes/a.txt").write_text("Lemons are sour.", "utf-8")
    run("sync", "kb", "notes", "--model", "mini")
    found = run("search", "kb", "sour", "--settings", "chosen.json", "--explain", "--json")
    assert list(json.loads(found.out)["hits"][0]["arms"]) == ["bm25"]
    both = run("search", "kb", "sour", "--settings", "chosen.json", "--arms", "dense")
    assert (both.code, "stands for --arms" in both.err) == (2, True)
