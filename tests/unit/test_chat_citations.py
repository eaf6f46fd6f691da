"""Where citations stand in a text, and what is none."""

from __future__ import annotations

import pytest

from trivec.chat.citations import Citation, citations, cited_numbers, without_citations


def test_a_citation_knows_where_it_stands():
    text = "Three [1] or four[2, 3]."

    assert citations(text) == [Citation(6, 9, (1,)), Citation(17, 23, (2, 3))]
    assert [text[citation.start : citation.end] for citation in citations(text)] == [
        "[1]",
        "[2, 3]",
    ]


def test_the_second_end_of_a_range_holds_the_numbers_between():
    assert citations("So [1]-[3].") == [Citation(3, 6, (1,)), Citation(7, 10, (1, 2, 3))]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("[1] - [3]", (1, 2, 3)),
        ("[1] - and later [3]", (1, 3)),
        ("[3]-[1]", (3, 1)),
        ("[2-2]", (2,)),
        ("[1]-[1]", (1,)),
    ],
)
def test_what_joins_two_citations(text, numbers):
    assert cited_numbers(text) == numbers


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("[1] It has three.", " It has three."),
        ("It has [1]three[2].", "It has three."),
        ("It has three [3]", "It has three "),
        ("It has three.", "It has three."),
        ("", ""),
    ],
)
def test_a_text_without_its_citations(text, rest):
    assert without_citations(text) == rest


@pytest.mark.parametrize("text", ["The result[0] is first.", "see table[ 0 ]"])
def test_a_zero_behind_a_word_is_an_index(text):
    assert citations(text) == []


def test_a_number_behind_a_word_is_a_citation():
    assert cited_numbers("The result[10] stands.") == (10,)


@pytest.mark.parametrize("indent", ["", "   ", " " * 12])
def test_the_definition_of_a_footnote_cites_nothing(indent):
    assert citations(f"Three.\n{indent}[1]: the manual") == []


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("see [0]", (0,)),
        ("the interval [0, 1]", ()),
        ("Three.\n[1]：手册", ()),
        ("So [1, ].", (1,)),
        ("`f(x)[1]` and so", ()),
        ("f(x)[1] is", (1,)),
    ],
)
def test_what_stands_beside_the_number_tells(text, numbers):
    assert cited_numbers(text) == numbers
