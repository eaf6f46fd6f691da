"""Evidence for a question, and support of what an answer says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trivec.answers.background import BACKGROUND
from trivec.answers.evidence import MEASURED, Judge, best_sentences, measured_thresholds
from trivec.answers.support import Claim, check_claims
from trivec.errors import InputError, ModelError
from trivec.rerankers import MaxSimReranker
from trivec.testing import FakeEncoder
from trivec.types import Chunk, Hit

PASSAGES = ["Green tea is made of leaves.", "The cat sleeps on the sofa."]


class DenseOnly(FakeEncoder):
    @property
    def info(self):
        return replace(super().info, heads=("dense", "sparse"), colbert_dim=None)


class Silent(FakeEncoder):
    def _encode(self, texts, heads):
        return [replace(each, colbert=None) for each in super()._encode(texts, heads)]


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture
def judge(encoder) -> Judge:
    return Judge(encoder)


def test_claims_are_judged_by_the_passages_that_they_cite(judge):
    answer = "Green tea is made of leaves [1]. The cat sleeps on the sofa [1]! Both [1][2]. So?"
    claims = check_claims(answer, PASSAGES, judge, threshold=0.8)
    assert [claim.sentence for claim in claims] == [
        "Green tea is made of leaves [1].",
        "The cat sleeps on the sofa [1]!",
        "Both [1][2].",
        "So?",
    ]
    assert [claim.citations for claim in claims] == [(1,), (1,), (1, 2), ()]
    assert [claim.supported for claim in claims] == [True, False, False, False]
    assert claims[0].support == pytest.approx(1.0, abs=1e-5)
    assert claims[3] == Claim("So?", support=None, supported=False)


def test_a_sentence_may_draw_on_several_passages(judge):
    sentence = "Green tea is made of leaves the cat sleeps on the sofa"
    apart = [
        check_claims(f"{sentence} [{n}].", PASSAGES, judge, threshold=None)[0].support
        for n in (1, 2)
    ]
    (together,) = check_claims(f"{sentence} [1, 2].", PASSAGES, judge, threshold=0.99)
    assert together.supported
    assert together.support > max(apart)


def test_one_encode_call_for_all(encoder, judge):
    check_claims("One [1].", PASSAGES, judge, threshold=0.5)
    before = encoder.calls  # the background is encoded once, at the first judgement
    check_claims("One [1]. Two [2]. Three [1][2].", PASSAGES, judge, threshold=0.5)
    assert encoder.calls == before + 1
    check_claims("One. Two [7].", PASSAGES, judge, threshold=0.5)
    assert encoder.calls == before + 1


def test_unknown_numbers_support_nothing(judge):
    (claim,) = check_claims("Tea [3][0].", PASSAGES, judge, threshold=0.1)
    assert (claim.citations, claim.unknown, claim.supported) == ((), (3, 0), False)


def test_without_a_threshold_or_an_encoder_nothing_is_judged(judge):
    (claim,) = check_claims("Green tea [1].", PASSAGES, judge, threshold=None)
    assert claim.support > 0.5
    assert claim.supported is None
    (claim,) = check_claims("Green tea [1].", PASSAGES, None, threshold=0.5)
    assert (claim.support, claim.supported) == (None, None)


def test_what_has_no_words_claims_nothing(judge):
    assert check_claims("[1] [2].\n---\n", PASSAGES, judge, threshold=0.5) == ()
    assert check_claims("", PASSAGES, judge, threshold=0.5) == ()


def test_evidence_is_that_of_the_best_passage(judge):
    question = "what is green tea made of?"
    score = judge.evidence(question, PASSAGES)
    assert score == judge.evidence(question, PASSAGES[::-1])
    assert judge.evidence(question, PASSAGES[1:]) < score < 1
    # beyond the first three nothing is read
    assert judge.evidence(question, [PASSAGES[1]] * 3 + [PASSAGES[0]]) < score
    message = "^there are no passages, so there is no evidence: 'no_hits'"
    with pytest.raises(InputError, match=message):
        judge.evidence(question, [])


def test_the_scale_goes_from_any_passage_to_every_token(encoder, judge):
    assert judge.evidence(PASSAGES[0], PASSAGES) == pytest.approx(1.0, abs=1e-5)
    for language, question in (("en", "what is green tea?"), ("zh", "什么是绿茶？")):
        passages = BACKGROUND[language]
        floor = np.mean(MaxSimReranker(encoder).score(question, passages))
        expected = [
            (score - floor) / (1 - floor)
            for score in MaxSimReranker(encoder).score(question, passages)
        ]
        got = [judge.evidence(question, [passage]) for passage in passages]
        assert got == pytest.approx(expected, abs=1e-5)
        assert np.mean(got) == pytest.approx(0.0, abs=1e-5)


def test_a_passage_is_compared_with_those_of_its_own_language(judge):
    question = "what is 绿茶?"
    english, chinese = BACKGROUND["en"][0], BACKGROUND["zh"][0]
    quoting = f"{english} 绿茶"  # a name in another script changes no language
    assert judge.evidence(question, [quoting]) > judge.evidence(question, [english])
    assert judge.evidence(question, [chinese]) != judge.evidence(question, [english])


@pytest.mark.parametrize(
    ("chinese", "language"), [(5, "en"), (10, "en"), (11, "zh"), (50, "zh"), (100, "zh")]
)
def test_a_passage_is_chinese_from_a_tenth_of_its_characters_on(encoder, judge, chinese, language):
    """Which background a passage is measured against shows in its score, and nowhere else."""
    passage = "茶" * chinese + ("green tea " * 10)[: 100 - chinese]
    assert len(passage) == 100
    question = "what is green 茶?"
    floor = np.mean(MaxSimReranker(encoder).score(question, BACKGROUND[language]))
    [score] = MaxSimReranker(encoder).score(question, [passage])
    expected = (score - floor) / (1 - floor)
    assert judge.evidence(question, [passage]) == pytest.approx(expected, abs=1e-5)


def test_a_remembering_judge_encodes_no_passage_twice(encoder, judge):
    remembering = judge.remembering()
    score = remembering.evidence("green tea?", PASSAGES)
    assert score == judge.evidence("green tea?", PASSAGES)
    before = encoder.calls
    assert remembering.evidence("green tea?", PASSAGES) == score
    assert encoder.calls == before


def test_token_vectors_are_all_that_is_asked_for():
    """The other heads cost time, and nothing reads them."""
    asked = []

    class Asked(FakeEncoder):
        def _encode(self, texts, heads):
            asked.append(tuple(heads))
            return super()._encode(texts, heads)

    encoder = Asked()
    for judge in (Judge(encoder), Judge(encoder).remembering()):
        judge.evidence("green tea?", PASSAGES)
        judge.support([("green tea", PASSAGES)])
    best_sentences("green tea?", hits(*PASSAGES), encoder)
    assert set(asked) == {("colbert",)}


def test_thresholds_are_known_of_the_models_that_they_were_measured_for(encoder, judge):
    assert measured_thresholds(encoder.info) is None
    for weights, measured in MEASURED.items():
        assert measured_thresholds(replace(encoder.info, weights=weights)) is measured
    assert judge.info == encoder.info


def test_several_sentences_are_each_judged_by_their_own_passages(judge):
    cited = [(PASSAGES[0], [PASSAGES[0]]), (PASSAGES[0], [PASSAGES[1]]), (PASSAGES[1], PASSAGES)]
    supports = judge.support(cited)
    assert supports == pytest.approx([judge.support([one])[0] for one in cited])
    assert supports[0] == pytest.approx(1.0, abs=1e-5)
    assert supports[2] == pytest.approx(1.0, abs=1e-5)
    assert supports[1] < 0.5
    assert judge.support([]) == []


def hits(*texts: str) -> list[Hit]:
    return [Hit(Chunk(text, id=str(number)), 1.0) for number, text in enumerate(texts)]


def test_the_best_sentences_come_first_with_their_passages(encoder):
    found = best_sentences(
        "what is green tea made of?",
        hits(
            "The cat sleeps. Green tea is made of leaves.",
            "绿茶是饮料。Green tea is made of leaves.",
        ),
        encoder,
        most=2,
    )
    assert found[0].text == "Green tea is made of leaves."
    assert found[0].hit.id == "0"
    assert len(found) == 2
    assert found[0].score > found[1].score
    assert encoder.calls == 2


def test_no_hits_no_sentences(encoder):
    assert best_sentences("q", [], encoder) == []
    assert best_sentences("q", hits(" "), encoder) == []
    assert encoder.calls == 0


def test_arguments_are_checked(encoder):
    with pytest.raises(InputError, match=r"^the question is blank; give it at least one word"):
        best_sentences(" ", hits("a"), encoder)
    with pytest.raises(InputError, match="most=0"):
        best_sentences("q", hits("a"), encoder, most=0)
    for ask in (
        lambda: best_sentences("q", hits("a"), DenseOnly()),
        lambda: Judge(DenseOnly()),
    ):
        with pytest.raises(InputError, match="'colbert'"):
            ask()
    for ask in (
        lambda: Judge(Silent()).evidence("q", ["a"]),
        lambda: Judge(Silent()).support([("a", ["a"])]),
    ):
        with pytest.raises(ModelError, match="gave no colbert"):
            ask()
