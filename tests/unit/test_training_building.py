"""From pairs to a folder: sources, negatives, counts, leaks, going on where it was ended."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import replace

import pytest

from trivec import Chunk, HybridIndex, SearchOptions
from trivec.errors import CollectionLockedError, InputError
from trivec.evaluation import read_dataset
from trivec.evaluation.locating import IndexSplitter
from trivec.questions import QuestionIndex
from trivec.testing import FakeEncoder
from trivec.training.data import (
    CleaningOptions,
    DatasetOptions,
    Gathered,
    MiningOptions,
    Pair,
    SplitOptions,
    build_dataset,
    find_leaks,
    gather,
    read_examples,
    require_no_leaks,
    write_examples,
)
from trivec.training.data.pairs import key_of

ANIMALS = ("bee", "cow", "goat", "hen", "ant", "owl", "fox", "elk", "eel", "bat", "cat", "dog")
PLACES = ("meadow", "forest", "river", "desert", "island")
LOOSE = DatasetOptions(
    cleaning=CleaningOptions(without=("unanswerable", "near duplicate", "copied")),
    split=SplitOptions(dev=0.1, test=0.1),
    mining=MiningOptions(count=3, neighbours=0, likeness=None),
)


def story(animal, place):
    return f"The {animal} of the {place} eats {animal}-{place} grass and sleeps {len(place)} hours."


@pytest.fixture
def index(tmp_path):
    with HybridIndex.open(tmp_path / "kb", FakeEncoder()) as opened:
        opened.add(
            Chunk(story(animal, place), source=f"{animal}.md", position=at)
            for animal in ANIMALS
            for at, place in enumerate(PLACES)
        )
        yield opened


def asked(index, question="what does the {} of the {} eat?"):
    gathered = Gathered()
    gathered.add_passages(index.chunks())
    for key, passage in sorted(gathered.passages.items()):
        _, animal, _, _, place, *_ = passage.text.split()
        text = question.format(animal, place)
        gathered.pairs.append(Pair(f"q-{key}", text, (key,), "test"))
    return gathered


def files_of(folder):
    return {
        path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix == ".jsonl"
    }


def test_a_folder_is_what_trainers_and_evaluations_take(index, tmp_path):
    gathered = asked(index)
    report = build_dataset(gathered, index, tmp_path / "out", LOOSE)
    assert report.given == report.kept + sum(report.dropped.values()) == 60
    assert {name: split.documents for name, split in report.splits.items()} == {
        "train": 10,
        "dev": 1,
        "test": 1,
    }
    train = list(read_examples(tmp_path / "out" / "train.jsonl"))
    assert len(train) == report.splits["train"].questions
    for example in train:
        assert len(example.neg) == len(example.neg_scores) == len(example.neg_ids) == 3
        assert len(example.pos_scores) == 1
        assert max(example.neg_scores) < example.pos_scores[0]
    judged = read_dataset(tmp_path / "out")
    assert {question.text for question in judged.questions} == {
        example.query for example in read_examples(tmp_path / "out" / "test.jsonl")
    }
    assert len(judged.passages) == 60
    assert judged.faults == ()
    stored = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert stored["given"] == 60
    assert stored["kept"] == report.kept
    assert find_leaks(tmp_path / "out") == []


def test_negatives_come_from_training_documents_alone(index, tmp_path):
    build_dataset(asked(index), index, tmp_path / "out", LOOSE)
    train = list(read_examples(tmp_path / "out" / "train.jsonl"))
    trained = {example.source for example in train}
    taken = {key.rpartition("#")[0] or key for example in train for key in example.neg_ids}
    documents = {key for key in taken if not any(key.startswith(name) for name in trained)}
    assert documents == set()


def test_runs_are_the_same_in_any_order_and_after_a_stop(index, tmp_path):
    options = replace(LOOSE, mining=replace(LOOSE.mining, choice="random"))
    build_dataset(asked(index), index, tmp_path / "one", options)
    again = asked(index)
    calls = index.encoder.calls
    log = (tmp_path / "one" / "mining.jsonl").read_bytes()
    for cut in (0, len(log) // 2, len(log) - 3, len(log)):  # as a kill leaves it
        (tmp_path / "one" / "mining.jsonl").write_bytes(log[:cut])
        build_dataset(again, index, tmp_path / "one", options)
        assert (tmp_path / "one" / "mining.jsonl").read_bytes() == log
    calls = index.encoder.calls
    build_dataset(again, index, tmp_path / "one", options)
    assert index.encoder.calls == calls + 1  # the random questions alone
    build_dataset(again, index, tmp_path / "two", options)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    seeded = replace(options, mining=replace(options.mining, seed=1))
    build_dataset(again, index, tmp_path / "three", seeded)
    assert files_of(tmp_path / "one")["train.jsonl"] != files_of(tmp_path / "three")["train.jsonl"]


def test_what_hides_an_answer_is_no_negative_and_what_is_hard_is_one(tmp_path):
    """A paraphrase, the same text under another id, a neighbour: none; hard ones: all."""
    words = "glacier moraine striation drumlin esker cirque fjord tarn arete horn"
    positive = f"A drumlin forms where a moving glacier shapes its own till: {words}."
    chunks = [
        Chunk(positive, id="positive", source="ice.md", position=4),
        Chunk("Till lies below it.", id="neighbour", source="ice.md", position=5),
        Chunk(positive.replace("A drumlin", "Every drumlin"), id="paraphrase", source="copy.md"),
        Chunk(positive.upper(), id="same", source="other.md"),
        *(
            Chunk(f"The drumlin of {place} is {at} metres high.", id=f"hard-{at}", source="hard.md")
            for at, place in enumerate(PLACES)
        ),
        *(Chunk(story("elk", place), id=f"far-{place}", source="far.md") for place in PLACES),
    ]
    gathered = Gathered()
    gathered.add_passages(chunks)
    key = next(key for key in gathered.passages if key.endswith("positive"))
    gathered.pairs.append(
        Pair("q", "where does a drumlin form: glacier, moraine or esker?", (key,), "test")
    )
    options = DatasetOptions(
        split=SplitOptions(dev=0, test=0),
        mining=MiningOptions(count=5, margin=0.95),
        cleaning=CleaningOptions(without=("copied",)),
    )
    with HybridIndex.open(tmp_path / "kb", FakeEncoder()) as index:
        index.add(chunks)
        report = build_dataset(gathered, index, tmp_path / "out", options)
    (example,) = read_examples(tmp_path / "out" / "train.jsonl")
    assert {key.rpartition("#")[2] for key in example.neg_ids} == {f"hard-{at}" for at in range(5)}
    assert report.filtered["near duplicate"] == 2
    assert report.filtered["neighbour"] == 1


@pytest.mark.parametrize(("above", "kept"), [(2, 0), (4, 4)])
def test_a_model_that_ranks_the_answer_low_does_not_say_what_is_none(tmp_path, above, kept):
    chunks = [
        Chunk("Lime softens water, as workers found in 1841.", id="answer", source="a.md"),
        *(
            Chunk(f"hard water pipes boiler scale {place}", id=f"above-{at}", source=f"{at}.md")
            for at, place in enumerate(PLACES[:above])
        ),
        *(Chunk(story("elk", place), id=f"far-{place}", source="far.md") for place in PLACES),
    ]
    gathered = Gathered()
    gathered.add_passages(chunks)
    key = next(key for key in gathered.passages if key.endswith("answer"))
    question = "hard water pipes boiler scale lime?"
    gathered.pairs.append(Pair("q", question, (key,), "test"))
    with HybridIndex.open(tmp_path / "kb", FakeEncoder()) as index:
        index.add(chunks)
        options = DatasetOptions(split=SplitOptions(dev=0, test=0))
        build_dataset(gathered, index, tmp_path / "out", options)
    (example,) = read_examples(tmp_path / "out" / "train.jsonl")
    assert sum("above" in key for key in example.neg_ids) == kept


def test_ranks_at_random_are_between_the_ranks(index, tmp_path):
    options = replace(LOOSE, mining=MiningOptions.ranks(first=10, last=30, count=7))
    build_dataset(asked(index), index, tmp_path / "out", options)
    train = list(read_examples(tmp_path / "out" / "train.jsonl"))
    assert {len(example.neg) for example in train} == {7}
    example = train[0]
    found = index.search(example.query, 60)
    trained = {one.source for one in train}
    ranks = [key_of(hit.chunk) for hit in found if hit.source in trained]
    assert {ranks.index(key) + 1 for key in example.neg_ids} <= set(range(10, 31))


def test_a_short_pool_is_told_and_not_filled(index, tmp_path):
    options = replace(LOOSE, mining=MiningOptions(count=40, last=8, neighbours=0))
    report = build_dataset(asked(index), index, tmp_path / "out", options)
    assert report.short == report.splits["train"].questions
    lines = (tmp_path / "out" / "short.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == report.short
    assert all(len(example.neg) < 8 for example in read_examples(tmp_path / "out" / "train.jsonl"))


def test_a_question_whose_passage_does_not_come_back_is_dropped(index, tmp_path):
    gathered = asked(index)
    hopeless = Pair("bad", "zebra quagga okapi tapir", ("bee.md#0",), "test")
    key = next(iter(sorted(gathered.passages)))
    gathered.pairs.append(replace(hopeless, positives=(key,)))
    rules = CleaningOptions(without=("near duplicate", "copied"), within_rank=3)
    options = replace(LOOSE, cleaning=rules, split=SplitOptions(dev=0, test=0))
    report = build_dataset(gathered, index, tmp_path / "out", options)
    assert report.dropped["unanswerable"] >= 1
    dropped = (tmp_path / "out" / "dropped.jsonl").read_text("utf-8")
    assert "zebra quagga" in dropped


class Judge:
    """A cross-encoder that finds what it is told to."""

    def score(self, _query, passages):
        return [5.0 if "meadow" in passage else -5.0 for passage in passages]


def test_a_cross_encoder_has_the_last_word_and_gives_the_scores(index, tmp_path):
    options = replace(LOOSE, split=SplitOptions(dev=0, test=0))
    build_dataset(asked(index), index, tmp_path / "out", options, reranker=Judge())
    train = list(read_examples(tmp_path / "out" / "train.jsonl"))
    assert train
    for example in train:  # of the others it finds all passages as good
        assert "meadow" in example.pos[0]
        assert example.pos_scores == (5.0,)
        assert set(example.neg_scores) == {-5.0}
        assert not any("meadow" in passage for passage in example.neg)


def test_what_users_found_bad_comes_first(index, tmp_path):
    gathered = asked(index)
    far = max(gathered.passages)
    first = gathered.pairs[0]
    gathered.pairs[0] = replace(first, rejected=(far,))
    options = replace(LOOSE, split=SplitOptions(dev=0, test=0))
    build_dataset(gathered, index, tmp_path / "out", options)
    examples = {one.id: one for one in read_examples(tmp_path / "out" / "train.jsonl")}
    assert examples[first.id].neg_ids[0] == far


def test_leaks_fail_loudly(tmp_path, index):
    build_dataset(asked(index), index, tmp_path / "out", LOOSE)
    (judged, *_) = read_examples(tmp_path / "out" / "test.jsonl")
    train = list(read_examples(tmp_path / "out" / "train.jsonl"))
    planted = {
        "question": replace(train[0], query=judged.query.upper()),
        "passage id": replace(train[0], neg_ids=(*judged.pos_ids, *train[0].neg_ids[1:])),
        "passage text": replace(train[0], neg=(judged.pos[0].lower(), *train[0].neg[1:])),
        "document": replace(train[0], source=judged.source),
    }
    for kind, example in planted.items():
        write_examples(tmp_path / "out" / "train.jsonl", [example, *train[1:]])
        leaks = find_leaks(tmp_path / "out")
        assert [leak.kind for leak in leaks] == [kind]
        assert leaks[0].split == "test"
        with pytest.raises(InputError, match="1 leaks"):
            require_no_leaks(tmp_path / "out")


def test_hostile_passages_and_questions_add_up(tmp_path):
    chunks = [
        Chunk("", id="empty", source="a"),
        Chunk("\ud800 lone \udfff surrogates of a goat", id="\udc80", source="\udc81.md"),
        Chunk("goat " * 10_000, id="long", source="b"),
        Chunk("Ziegen 山羊 козы goats", id="mixed\tid\n", source="c"),
        *(Chunk(f"goat {at} of the herd", id="twice", source=f"s{at}") for at in range(4)),
        *(Chunk(f"hen {at} of the yard", id=f"h{at}", source="hens") for at in range(12)),
    ]
    gathered = Gathered()
    gathered.add_passages([*chunks, replace(chunks[-1], text="another text of one id")])
    assert len(gathered.colliding) == 1
    keys = list(gathered.passages)
    gathered.pairs += [
        Pair(
            f"q{at}",
            f"which goat or hen is \ud800 number {at}?".encode("utf-8", "replace").decode(),
            (key,),
            "test",
        )
        for at, key in enumerate(keys)
    ]
    gathered.pairs.append(Pair("none", "", (), "test"))
    options = DatasetOptions(
        cleaning=CleaningOptions(without=("unanswerable", "other language")),
        mining=MiningOptions(count=2),
    )
    with HybridIndex.open(tmp_path / "kb", FakeEncoder(max_length=512)) as index:
        index.add(chunks)
        report = build_dataset(gathered, index, tmp_path / "out", options)
    assert report.given == len(keys) + 1 == report.kept + sum(report.dropped.values())
    assert read_dataset(tmp_path / "out").faults == ()


def test_one_process_at_a_time(index, tmp_path):
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from trivec.training.data.writing import alone_in\n"
        "with alone_in(Path(sys.argv[1])):\n    print('in', flush=True)\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as held:
        try:
            assert held.stdout.readline() == "in\n"
            with pytest.raises(CollectionLockedError, match="another process"):
                build_dataset(asked(index), index, tmp_path / "out", LOOSE)
        finally:
            held.kill()
    assert build_dataset(asked(index), index, tmp_path / "out", LOOSE).kept


def test_generated_questions_and_verdicts_are_gathered(index):
    chunk = next(iter(index.chunks()))
    with QuestionIndex.open(index) as questions:
        questions.add({chunk.id: ["what does it eat there?"]}, source=chunk.source)
        questions.add_feedback("is it fed?", chunk.id, "good", source=chunk.source)
        questions.add_feedback("is it blue?", chunk.id, "bad", source=chunk.source)
    by_question = {pair.question: pair for pair in gather(index).pairs}
    assert by_question["what does it eat there?"].origin == "generated"
    assert by_question["is it fed?"].positives == (key_of(chunk),)
    assert by_question["is it blue?"].rejected == (key_of(chunk),)
    with pytest.raises(InputError, match="no questions"):
        gather(index, questions=False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("{", "line 1, is not JSON"),
        ('{"query": "q", "clicked": []}\n[1]', "line 2, is not an object with question"),
        ('{"text": "q"}', "line 1, is not an object with question"),
    ],
)
def test_logs_that_cannot_be_read_are_named(tmp_path, text, said):
    (tmp_path / "log.jsonl").write_text(text, "utf-8")
    with pytest.raises(InputError, match=said):
        gather(files=[tmp_path / "log.jsonl"])
    with pytest.raises(InputError, match="cannot be read"):
        gather(files=[tmp_path / "none.jsonl"])


@pytest.mark.parametrize(
    ("name", "lines", "kinds"),
    [
        ("faq.csv", ["question,similar", "How do I pay?,Can I pay by card?|Which cards?"], "QQ"),
        ("faq.csv", ["question,answer", "How do I pay?,By card.", "Which way?,By card."], "Q"),
        ("faq.csv", ["question,answer", "How do I pay?,By card.", "Is it open?,Yes."], "AA"),
        (
            "faq.jsonl",
            ['{"question": "怎么付款？", "similar": ["能刷卡吗？"], "answer": "刷"}'],
            "Q",
        ),
    ],
)
def test_faqs(tmp_path, caplog, name, lines, kinds):
    (tmp_path / name).write_text("\n".join(lines), "utf-8")
    with caplog.at_level(logging.WARNING):
        gathered = gather(files=[tmp_path / name])
    assert [pair.kind for pair in gathered.pairs] == [f"Q-{kind}" for kind in kinds]
    assert all(pair.positives[0] in gathered.passages for pair in gathered.pairs)
    assert ("Q-A" in caplog.text) == ("A" in kinds)


def test_questions_with_short_answers_beside_an_index_are_warned_about(index, tmp_path, caplog):
    table = "question,passage\nwhat does it eat?,grass\nhow long does it sleep?,six hours\n"
    (tmp_path / "asked.csv").write_text(table, "utf-8")
    with caplog.at_level(logging.WARNING):
        gathered = gather(index, [tmp_path / "asked.csv"])
    assert "Q-A" in caplog.text
    assert "length and form" in caplog.text
    assert {pair.kind for pair in gathered.pairs} == {"Q-A"}
    found = f"question,passage\nwhat does it eat?,{story('bee', 'meadow').upper()}\n"
    (tmp_path / "asked.csv").write_text(found, "utf-8")
    (pair,) = gather(index, [tmp_path / "asked.csv"]).pairs
    assert gathered.passages[pair.positives[0]].text == story("bee", "meadow")
    assert pair.kind == "Q-D"


def test_logs_of_clicks(index, tmp_path):
    chunk = next(iter(index.chunks()))
    lines = [
        {"query": "is it fed?", "clicked": [chunk.id]},
        {"query": "is it blue?", "id": chunk.id, "source": chunk.source, "verdict": "bad"},
    ]
    text = "\n".join(map(json.dumps, lines))
    (tmp_path / "clicks.jsonl").write_text(text, "utf-8")
    fed, blue = gather(index, [tmp_path / "clicks.jsonl"]).pairs
    assert fed.positives == blue.rejected == (key_of(chunk),)
    (tmp_path / "clicks.jsonl").write_text('{"query": "?", "what": 1}', "utf-8")
    with pytest.raises(InputError, match="another form"):
        gather(index, [tmp_path / "clicks.jsonl"])


def test_a_pool_of_one_arm(index, tmp_path):
    options = replace(
        LOOSE, mining=replace(LOOSE.mining, search=SearchOptions(arms="bm25", fusion="rrf"))
    )
    report = build_dataset(asked(index), index, tmp_path / "out", options)
    assert report.negatives > 0


def test_long_paragraphs_become_passages_that_a_model_reads(tmp_path):
    sentences = [f"Sentence {number} tells of town {number} and its river." for number in range(30)]
    paper = " ".join(sentences)
    answer = {"text": "town 17", "answer_start": paper.index("town 17")}
    asked = {"id": "q", "question": "Which town is the seventeenth?", "answers": [answer]}
    paragraph = {"context": paper, "qas": [asked]}
    file = tmp_path / "papers.json"
    file.write_text(json.dumps({"data": [{"title": "p", "paragraphs": [paragraph]}]}))
    whole = gather(files=[file])
    assert len(whole.passages) == 1
    split = gather(files=[file], tokenizer=lambda text: len(text.split()), max_tokens=40)
    assert len(split.passages) > 5
    assert all(len(passage.text.split()) <= 40 for passage in split.passages.values())
    (key,) = split.pairs[0].positives
    assert "town 17" in split.passages[key].text


def test_questions_about_a_paper_are_about_the_part_of_it_that_the_index_holds(index, tmp_path):
    parts = [story("cow", place) for place in PLACES]
    paper = "  An introduction.\n\n" + " \n".join(parts) + "\nAn appendix that nobody indexed."
    places = {"river": "cow-river", "nowhere": "introduction", "twice": "cow-desert"}
    asked = [
        {
            "id": name,
            "question": f"what about {word}?",
            "answers": [{"text": word, "answer_start": paper.index(word)}],
        }
        for name, word in places.items()
    ]
    alone = {"context": "Before it: " + parts[0], "qas": [{**asked[1], "id": "beside"}]}
    articles = [{"title": "p", "paragraphs": [{"context": paper, "qas": asked}, alone]}]
    file = tmp_path / "papers.json"
    file.write_text(json.dumps({"data": articles}))
    pairs = {pair.id.rpartition(":")[2]: pair for pair in gather(index, [file]).pairs}
    assert set(pairs) == {"river", "twice"}
    for name, place in (("river", "river"), ("twice", "desert")):
        (key,) = pairs[name].positives
        assert key in {key_of(chunk) for chunk in index.chunks()}
        assert f"cow of the {place}" in gather(index, [file]).passages[key].text


def test_parts_are_found_whatever_the_white_space():
    splitter = IndexSplitter(story(animal, place) for animal in ANIMALS for place in PLACES)
    text = "\n\n".join(story("owl", place) for place in PLACES).replace(" grass", "\n  grass")
    spans = splitter(text)
    assert [span.text for span in spans] == [story("owl", place) for place in PLACES]
    assert [text[span.start : span.end].split() for span in spans] == [
        span.text.split() for span in spans
    ]
    assert [span.text for span in splitter("nothing of theirs")] == ["nothing of theirs"]
