import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec.errors import InputError
from trivec.questions.fusion import QuestionOptions, merge, score_part
from trivec.questions.records import QuestionRecord
from trivec.types import Chunk, Hit, MatchedTerm

CHUNKS = {name: Chunk(f"text of {name}", id=name) for name in "abcde"}
OPTIONS = QuestionOptions(
    question_threshold=0.5, feedback_threshold=0.6, question_weight=0.4, lift=1.0, lower=2.0
)


def hits(**scores):
    return [Hit(CHUNKS[name], score) for name, score in scores.items()]


def question(name, text="why?"):
    return QuestionRecord.of(CHUNKS[name], text)


def verdict(name, kind, text="why?"):
    return QuestionRecord.of(CHUNKS[name], text, kind="feedback", verdict=kind)


def ids(found):
    return [hit.id for hit in found]


@pytest.mark.parametrize(
    ("record", "cosine", "part"),
    [
        (question("a"), 1.0, 0.4),
        (question("a"), 0.75, 0.2),
        (question("a"), 0.5, 0.0),
        (question("a"), 0.1, 0.0),
        (question("a"), 1.0001, 0.4),  # rounding
        (verdict("a", "good"), 1.0, 1.0),
        (verdict("a", "bad"), 0.8, -1.0),
        (verdict("a", "bad"), 0.6, 0.0),
    ],
)
def test_what_a_question_adds(record, cosine, part):
    assert score_part(record, cosine, OPTIONS) == pytest.approx(part)


@given(
    st.lists(st.integers(-1000, 1000), min_size=2, max_size=5, unique=True),
    st.floats(0.01, 100),
    st.floats(-50, 50),
)
def test_the_scale_of_passage_scores_does_not_matter(scores, factor, shift):
    found = [(question("c"), 0.8), (verdict("a", "bad"), 0.7)]
    plain = [
        Hit(chunk, float(score)) for chunk, score in zip(CHUNKS.values(), scores, strict=False)
    ]
    other = [Hit(hit.chunk, hit.score * factor + shift) for hit in plain]
    one, two = (merge(each, found, CHUNKS.values(), OPTIONS) for each in (plain, other))
    assert {hit.id: hit.score for hit in one} == pytest.approx(
        {hit.id: hit.score for hit in two}, abs=1e-6
    )


def test_without_questions_the_order_stays():
    found = merge(hits(b=9.0, a=3.0, c=1.0), [], CHUNKS.values(), OPTIONS)
    assert ids(found) == ["b", "a", "c"]
    assert all(hit.arms == {} and hit.matches == () for hit in found)


def test_the_parts_of_a_score_are_shown():
    passages = [Hit(CHUNKS["a"], 2.0, {"dense": 0.9}, (MatchedTerm("bm25", "word", 1.5),))]
    found = [
        (question("a", "worse?"), 0.6),
        (question("a", "best?"), 1.0),
        (verdict("a", "good", "praised?"), 0.8),
        (verdict("a", "bad", "blamed?"), 0.64),
    ]
    (hit,) = merge(passages, found, CHUNKS.values(), OPTIONS)
    assert hit.arms == pytest.approx({"dense": 0.9, "question": 0.4, "feedback": 0.5 - 0.2})
    assert hit.score == pytest.approx(0.5 + 0.4 + 0.3)  # 0.5 is the middle: it is the only passage
    assert [(match.arm, match.term) for match in hit.matches] == [
        ("question", "best?"),
        ("feedback", "praised?"),
        ("feedback", "blamed?"),
        ("bm25", "word"),
    ]


def test_of_several_like_questions_the_strongest_counts_once():
    few = merge([], [(question("a"), 0.9)], CHUNKS.values(), OPTIONS)
    many = merge(
        [], [(question("a", f"{n}?"), 0.9 - n / 100) for n in range(9)], CHUNKS.values(), OPTIONS
    )
    assert [hit.score for hit in many] == [hit.score for hit in few]


def test_a_question_brings_its_chunk_and_blame_alone_does_not():
    found = [(question("d"), 0.9), (verdict("e", "bad"), 1.0)]
    assert sorted(ids(merge(hits(a=1.0), found, CHUNKS.values(), OPTIONS))) == ["a", "d"]


def test_blame_that_outweighs_a_question_keeps_its_chunk_out():
    found = [(question("d"), 0.9), (verdict("d", "bad"), 1.0)]
    assert ids(merge(hits(a=1.0), found, CHUNKS.values(), OPTIONS)) == ["a"]
    assert ids(merge(hits(a=1.0, d=0.5), found, CHUNKS.values(), OPTIONS)) == ["a", "d"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"question_threshold": 1.0}, "question_threshold=1.0"),
        ({"feedback_threshold": float("nan")}, "feedback_threshold=nan"),
        ({"question_weight": -1}, "question_weight=-1"),
        ({"lift": float("nan")}, "lift=nan"),
        ({"lower": -0.1}, "lower=-0.1"),
        ({"candidates": 0}, "candidates=0"),
        ({"use_passages": False, "use_questions": False}, "nothing can be found"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        QuestionOptions(**options)
