"""Datasets of every form say the same, and name what is wrong with them."""

from __future__ import annotations

import json

import pytest

from trivec.errors import InputError
from trivec.evaluation import read_dataset

PASSAGES = {"d1": "alpha beta", "d2": "gamma delta"}
QUESTIONS = {"q1": "alpha?", "q2": "delta?"}
ANSWERS = {"q1": "d1", "q2": "d2"}


def squad(path):
    article = [
        {
            "title": f"title of {key}",
            "paragraphs": [
                {
                    "context": text,
                    "qas": [
                        {"id": name, "question": QUESTIONS[name], "answers": []}
                        for name, answer in ANSWERS.items()
                        if answer == key
                    ],
                }
            ],
        }
        for key, text in PASSAGES.items()
    ]
    place = path / "squad.json"
    place.write_text(json.dumps({"data": article}), "utf-8")
    return place


def lines(path, records):
    path.write_text("\n".join(json.dumps(record) for record in records) + "\n", "utf-8")


def beir(path):
    (path / "qrels").mkdir()
    lines(
        path / "corpus.jsonl",
        [
            {"_id": key, "title": "", "text": text, "metadata": {"source": f"title of {key}"}}
            for key, text in PASSAGES.items()
        ],
    )
    lines(path / "queries.jsonl", [{"_id": key, "text": text} for key, text in QUESTIONS.items()])
    rows = [f"{key}\t{answer}\t1" for key, answer in ANSWERS.items()]
    head = "query-id\tcorpus-id\tscore"
    (path / "qrels" / "test.tsv").write_text("\n".join([head, *rows, "q1\td2\t0"]), "utf-8")
    return path


def trec(path):
    topics = [
        f"<top>\n<num> Number: {key}\n<title> {text}\n<desc> Description: no\n</top>"
        for key, text in QUESTIONS.items()
    ]
    documents = [
        f"<DOC>\n<DOCNO> {key} </DOCNO>\n<TEXT>\n{text}\n</TEXT>\n</DOC>"
        for key, text in PASSAGES.items()
    ]
    (path / "topics.1-2").write_text("\n".join(topics), "utf-8")
    (path / "documents.trec").write_text("\n".join(documents), "utf-8")
    rows = [f"{key} 0 {answer} 1" for key, answer in ANSWERS.items()]
    (path / "qrels.txt").write_text("\n".join(rows), "utf-8")
    return path


def trec_in_lines(path):
    for name, texts in (("queries.tsv", QUESTIONS), ("corpus.tsv", PASSAGES)):
        rows = [f"{key}\t{text}" for key, text in texts.items()]
        (path / name).write_text("\n".join(rows), "utf-8")
    rows = [f"{key} 0 {answer} 1" for key, answer in ANSWERS.items()]
    (path / "qrels").write_text("\n".join(rows), "utf-8")
    return path


def table(path):
    rows = [f"{QUESTIONS[key]},{PASSAGES[answer]},{answer}" for key, answer in ANSWERS.items()]
    place = path / "asked.csv"
    place.write_text("\n".join(["question,passage,id", *rows]), "utf-8-sig")
    return place


@pytest.mark.parametrize("write", [squad, beir, trec, trec_in_lines, table])
def test_every_form_says_the_same(tmp_path, write):
    dataset = read_dataset(write(tmp_path))
    texts = {chunk.id: chunk.text for chunk in dataset.passages}
    assert list(texts.values()) == list(PASSAGES.values())
    answers = {
        question.text: [texts[key] for key in question.relevant] for question in dataset.questions
    }
    assert answers == {"alpha?": ["alpha beta"], "delta?": ["gamma delta"]}
    assert dataset.faults == ()
    assert dataset.documents == 2


@pytest.mark.parametrize("write", [squad, beir])
def test_a_document_is_what_the_answer_stands_in(tmp_path, write):
    dataset = read_dataset(write(tmp_path))
    assert [question.document for question in dataset.questions] == ["title of d1", "title of d2"]


def test_what_is_wrong_is_named_and_the_rest_is_used(tmp_path):
    beir(tmp_path)
    with (tmp_path / "corpus.jsonl").open("a") as file:
        file.write('{"_id": "d1", "text": "another"}\n{"_id": "d3", "text": " "}\n')
        file.write('{"_id": "d2", "text": "gamma delta"}\n')  # the same again is no fault
    with (tmp_path / "queries.jsonl").open("a") as file:
        file.write('{"_id": "q3", "text": "who?"}\n{"_id": "q4", "text": "why?"}\n')
        file.write('{"_id": "q5", "text": " "}\n{"_id": "q6", "text": "of another split"}\n')
    with (tmp_path / "qrels" / "test.tsv").open("a") as file:
        file.write("\nq3\tgone\t1\nq4\td1\t0\nq5\td1\t1\nq9\td1\t1\n")
    dataset = read_dataset(tmp_path)
    assert {fault.kind: fault.ids for fault in dataset.faults} == {
        "duplicate passage id": ("d1",),
        "blank passage": ("d3",),
        "judged passage that is not there": ("gone",),
        "question without a relevant passage": ("q4",),
        "blank question": ("q5",),
        "judged question that is not there": ("q9",),
    }
    assert [question.id for question in dataset.questions] == ["q1", "q2", "q3"]
    assert dataset.questions[2].relevant == {"gone": 1}  # it counts: nothing can find it
    assert str(dataset.faults[0]) == "judged question that is not there (1): q9"


def test_a_csv_of_ids_is_about_an_index(tmp_path):
    path = tmp_path / "asked.tsv"
    path.write_text("Question\tid\tdocument\nwho?\ta\tbook\nwho?\tb\tbook\n\tc\t\nwhy?\t\t\n")
    dataset = read_dataset(path)
    (question,) = dataset.questions
    assert dataset.passages == ()
    assert question.relevant == {"a": 1, "b": 1}
    assert question.document == "book"
    assert [str(fault) for fault in dataset.faults] == [
        "blank question (1): line 4",
        "question without a relevant passage (1): line 5",
    ]


def test_questions_of_one_file_over_passages_of_another(tmp_path):
    (tmp_path / "zh").mkdir()
    english, chinese = squad(tmp_path), squad(tmp_path / "zh")
    chinese.write_text(chinese.read_text().replace("alpha?", "阿尔法？"), "utf-8")
    dataset = read_dataset(f"{chinese}@{english}")
    assert [question.text for question in dataset.questions] == ["阿尔法？", "delta?"]
    assert dataset.passages == read_dataset(english).passages
    assert dataset.name == "squad@squad"
    assert dataset.digest() != read_dataset(english).digest()
    assert dataset.passages_digest() == read_dataset(english).passages_digest()


def test_long_paragraphs_become_passages_and_the_answer_says_which(tmp_path):
    text = "one two three. four five six. seven eight nine."
    asked = [{"question": "seven?", "id": 1, "answers": [{"answer_start": text.index("seven")}]}]
    record = {"data": [{"paragraphs": [{"context": text, "document_id": 7, "qas": asked}]}]}
    path = tmp_path / "long.json"
    path.write_text(json.dumps(record))
    dataset = read_dataset(path, tokenizer=lambda words: len(words.split()), max_tokens=3)
    (question,) = dataset.questions
    found = {chunk.id: chunk.text for chunk in dataset.passages}
    assert [found[key] for key in question.relevant] == ["seven eight nine."]
    assert question.document == "7"
    assert len(read_dataset(path).passages) == 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", "{", "is not JSON"),
        ("a.json", "[" * 100_000, "is not JSON"),
        ("a.json", '{"data": [{"paragraphs": [{"qas": []}]}]}', "is not SQuAD-shaped"),
        ("a.json", '{"data": []}', "has no question with a relevant passage"),
        ("a.csv", "a,b\n1,2\n", "wanted: question, and passage or id"),
        ("a.pdf", "", "is not a dataset"),
    ],
)
def test_what_cannot_be_read_says_what_can(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InputError, match=said):
        read_dataset(path)


def test_a_line_that_cannot_be_read_is_named(tmp_path):
    beir(tmp_path)
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "a"}\n{"text": "b"}\n')
    with pytest.raises(InputError, match=r"queries\.jsonl, line 2, is not an object with '_id'"):
        read_dataset(tmp_path)
    (tmp_path / "qrels" / "test.tsv").write_text("q1\td1\t1\nq1\td1\n")
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "a"}\n')
    with pytest.raises(InputError, match="line 2"):
        read_dataset(tmp_path)
    with pytest.raises(InputError, match="split='dev'"):
        read_dataset(tmp_path, split="dev")


def test_a_path_that_is_not_there_and_a_folder_of_nothing(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_dataset(tmp_path / "nowhere.json")
    with pytest.raises(InputError, match="holds neither"):
        read_dataset(tmp_path)
