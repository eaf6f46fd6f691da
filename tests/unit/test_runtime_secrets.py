"""What an error repeats of a server's words."""

import pytest

from trivec._runtime.secrets import LONGEST_MESSAGE, Key, server_words

KEY = Key("my-own-secret")


def words(message: str, *texts: str) -> str:
    return server_words({"error": {"message": message}}, KEY, texts)


def test_the_words_are_one_line_of_bounded_length():
    assert words("too\n  many\ttokens ") == "too many tokens"
    assert len(words("x" * 1000)) == LONGEST_MESSAGE
    assert words(" ") == "it does not say why"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Incorrect API key: sk-abc123def", "Incorrect API ***"),
        ("Bearer abc.def-123 is unknown", "*** is unknown"),
        ("unknown: my-own-secret", "unknown: ***"),
    ],
)
def test_they_hold_no_key(message, shown):
    assert words(message) == shown


@pytest.mark.parametrize("key", ["sk-abcdef123456", "my-own-secret"])
@pytest.mark.parametrize("left", [3, 6, 10])
def test_they_hold_no_key_that_the_limit_would_cut(key, left):
    late = words("x" * (LONGEST_MESSAGE - 1 - left) + f" {key}")
    assert key[:left] not in late
    assert len(late) <= LONGEST_MESSAGE


def test_words_that_repeat_a_text_are_left_out():
    text = "The recipe calls for three cups of flour."
    assert words(f"cannot read: {text}", text) == "(its words repeat the text and are left out)"
    assert words(f"cannot read: {text}", "another text of some length").startswith("cannot read")
