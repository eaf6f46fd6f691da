"""Files as people have them: compressed, in other encodings, with other columns, broken."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trivec.errors import InputError, TrivecError
from trivec.evaluation import read_dataset


def answers_of(dataset) -> dict[str, list[str]]:
    texts = {chunk.id: chunk.text for chunk in dataset.passages}
    return {one.text: [texts.get(key, key) for key in one.relevant] for one in dataset.questions}


def faults_of(dataset) -> dict[str, tuple[str, ...]]:
    return {fault.kind: fault.ids for fault in dataset.faults}


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("question,passage\nwhat is sour?,Lemons are.\n", "utf-8"),
        ("Question;Passage\r\nwhat is sour?;Lemons are.\r\n", "utf-8-sig"),
        ("query\tcontext\nwhat is sour?\tLemons are.\n", "utf-16"),
        ("user_input|Text\nwhat is sour?|Lemons are.\n", "utf-8"),
        ('"question","passage"\n"what is sour?","Lemons are."\n', "utf-8"),
        ("source,id,question,text\nbook,7,what is sour?,Lemons are.\n\n", "utf-8"),
    ],
)
def test_tables_of_any_shape(tmp_path, text, encoding):
    path = tmp_path / "asked.csv"
    path.write_bytes(text.encode(encoding))
    assert answers_of(read_dataset(path)) == {"what is sour?": ["Lemons are."]}


def test_a_chinese_table_that_is_not_utf_8(tmp_path, caplog):
    path = tmp_path / "问题.csv"
    path.write_bytes("问题,段落,来源\n什么是酸的？,柠檬是酸的。,书\n".encode("gbk"))
    dataset = read_dataset(path)
    assert answers_of(dataset) == {"什么是酸的？": ["柠檬是酸的。"]}
    assert dataset.questions[0].document == "书"
    assert "read as GB18030" in caplog.text


def test_json_lines_and_long_cells(tmp_path):
    path = tmp_path / "asked.jsonl"
    long = "sour " * 60_000
    path.write_text(json.dumps({"question": "what?", "passage": long, "id": 3}) + "\n\n")
    assert answers_of(read_dataset(path)) == {"what?": [long.strip()]}
    table = tmp_path / "long.csv"
    table.write_text(f'question,passage\nwhat?,"{long}"\n')
    assert answers_of(read_dataset(table)) == {"what?": [long.strip()]}


def test_the_same_passage_under_two_ids_is_one(tmp_path):
    """An id is often the row's; what is found is the passage."""
    path = tmp_path / "asked.csv"
    path.write_text("id,question,passage\n1,sour?,Lemons.\n2,yellow?,Lemons.\n2,cold?,Snow.\n")
    dataset = read_dataset(path)
    assert [chunk.id for chunk in dataset.passages] == ["1", "2"]
    assert answers_of(dataset) == {"sour?": ["Lemons."], "yellow?": ["Lemons."], "cold?": ["Snow."]}
    assert faults_of(dataset) == {"the same passage under two ids": ("2",)}


def zipped(path, text):
    path.write_bytes(gzip.compress(text.encode()))


def test_a_folder_as_the_hub_has_it(tmp_path):
    """Compressed, BOM, numbers as ids, no titles, a grade with a point, a fourth column."""
    zipped(tmp_path / "corpus.jsonl.gz", '\ufeff{"_id": 1, "text": "Lemons.", "title": null}\n')
    zipped(tmp_path / "queries.jsonl.gz", '{"id": "q1", "text": "sour?", "metadata": {}}\n')
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tQ0\tcorpus-id\tscore\nq1\t0\t1\t1.0\n")
    dataset = read_dataset(tmp_path)
    assert answers_of(dataset) == {"sour?": ["Lemons."]}
    assert dataset.faults == ()


def test_judgements_beside_the_queries_and_what_stands_twice(tmp_path):
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d", "text": "Lemons."}\n')
    twice = '{"_id": "q", "text": "sour?"}\n{"_id": "q", "text": "sweet?"}\n'
    (tmp_path / "queries.jsonl").write_text(twice)
    (tmp_path / "test.tsv").write_text('q\td\t1\nq\td\t2\nq\t"d\t1\n')
    dataset = read_dataset(tmp_path)
    assert faults_of(dataset) == {
        "duplicate question id": ("q",),
        "judged twice": ("q d",),
        "judged passage that is not there": ('"d',),
    }
    assert dataset.questions[0].relevant == {"d": 1, '"d': 1}


def squad(path, qas, context="Lemons are sour. Snow is cold."):
    data = {"data": [{"title": "t", "paragraphs": [{"context": context, "qas": qas}]}]}
    text = json.dumps({"version": "v2.0", **data})
    if path.suffix == ".gz":
        zipped(path, text)
    else:
        path.write_text(text, "utf-8-sig")
    return path


def test_a_question_that_its_paragraph_does_not_answer(tmp_path):
    qas = [
        {"id": "a", "question": "sour?", "answers": [{"text": "Lemons", "answer_start": 0}]},
        {"id": "b", "question": "hot?", "answers": [], "is_impossible": True},
        {"id": "c", "question": "cold?", "answers": [], "is_impossible": False},
    ]
    dataset = read_dataset(squad(tmp_path / "dev-v2.0.json.gz", qas))
    assert dataset.name == "dev-v2.0"
    assert [one.id for one in dataset.questions] == ["a", "c"]
    assert faults_of(dataset) == {"question without a relevant passage": ("b",)}


def test_answers_without_a_place_are_found_by_their_words(tmp_path):
    qas = [{"id": "a", "question": "cold?", "answers": [{"text": "Snow"}]}]
    path = squad(tmp_path / "one.json", qas)
    dataset = read_dataset(path, tokenizer=lambda text: len(text.split()), max_tokens=3)
    assert answers_of(dataset) == {"cold?": ["Snow is cold."]}


def test_topics_of_later_tracks(tmp_path):
    (tmp_path / "topics.xml").write_text(
        '<topics><topic number="1"><query>sour &amp; yellow</query><question>What?</question>'
        '</topic><topic number="2"><title>cold</title></topic></topics>'
    )
    (tmp_path / "qrels.txt").write_text("1 0 d 2.0\n2 0 e 1\n")
    documents = "<DOC><DOCNO>d</DOCNO><TEXT>Lemons.</TEXT></DOC><DOC><DOCNO>e</DOCNO>Snow</DOC>"
    (tmp_path / "docs.gz").write_bytes(gzip.compress(documents.encode("latin-1")))
    dataset = read_dataset(tmp_path)
    assert [one.text for one in dataset.questions] == ["sour & yellow", "cold"]
    assert dataset.questions[0].relevant == {"d": 2}


def test_two_files_that_do_not_have_the_same_questions(tmp_path):
    asked = [{"id": name, "question": f"{name}?", "answers": []} for name in "abc"]
    over = squad(tmp_path / "over.json", asked[:2])
    questions = squad(tmp_path / "questions.json", asked[1:], "Limonen.")
    dataset = read_dataset(f"{questions}@{over}")
    assert [one.id for one in dataset.questions] == ["b"]
    assert faults_of(dataset) == {"question of only one of the two files": ("a", "c")}


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.csv", b"", "has the columns []"),
        ("a.csv", b"question,passage\n", "no question with a relevant passage"),
        ("a.csv", b"\xff\x00\x81\n", "not UTF-8"),
        ("a.csv.gz", b"question,passage\n", "cannot be read"),
        ("a.csv", b"who,what\na,b\n", "has the columns ['who', 'what']"),
        ("a.jsonl", b"[1]\n", "line 1, is not an object"),
        ("a.json", b'{"data": [{"paragraphs": [{"context": 3, "qas": []}]}]}', "is not a text"),
        (
            "a.json",
            b'{"data": [{"paragraphs": [{"context": "c", "qas": [{"question": null}]}]}]}',
            "is not a text",
        ),
        ("a.json", b'[{"question": "a"}]', "not SQuAD-shaped"),
        ("a.json", b"[" * 100_000, "is not JSON"),
        ("a.zip", b"PK", "is not a dataset"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, name, data, said):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InputError) as raised:
        read_dataset(path)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("q\td\tone\n", "'one' is not a number"),
        ("q\td\t0.5\n", "not a whole number"),
        ("q\td\tnan\n", "not a number"),
        ("q d 1\n", "wanted: query-id"),
    ],
)
def test_a_judgement_that_is_none(tmp_path, line, said):
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "sour?"}\n')
    (tmp_path / "test.tsv").write_text("q\td\t1\n" + line)
    with pytest.raises(InputError) as raised:
        read_dataset(tmp_path)
    assert said in str(raised.value)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=200), name=st.sampled_from(["a.csv", "a.tsv", "a.json", "a.jsonl"]))
def test_no_bytes_at_all_break_a_reader(tmp_path, data, name):
    path = tmp_path / name
    path.write_bytes(b"question,passage\n" * name.endswith("csv") + data)
    try:
        dataset = read_dataset(path)
    except TrivecError:
        return
    assert dataset.questions
