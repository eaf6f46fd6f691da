"""What an error repeats of a server's words."""

from trivec._runtime.quoting import LONGEST_QUOTE, quoted


def test_a_quote_is_one_line_of_bounded_length():
    assert quoted("too\n  many\ttokens ") == "too many tokens"
    assert len(quoted("x" * 1000)) == LONGEST_QUOTE


def test_a_quote_holds_no_key_not_even_one_that_the_limit_would_cut():
    assert quoted("Incorrect API key: sk-abc123def") == "Incorrect API key: ***"
    assert quoted("Bearer abc.def-123 is unknown") == "*** is unknown"
    late = quoted("x" * (LONGEST_QUOTE - 6) + " sk-abcdef123456")
    assert "sk-" not in late
