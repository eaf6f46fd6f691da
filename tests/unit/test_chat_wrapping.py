"""What stands around a keyword goes, and what belongs to it stays."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec.chat.replies import parse_keywords
from trivec.chat.wrapping import unwrapped
from trivec.questions.writing import parse_questions

WHOLE = [
    "vector<int>",
    "std::vector<std::pair<int, int>>",
    "List<String>",
    "f(x)",
    "printf()",
    "a[0]",
    "brake pad (front)",
    "(a) or (b)",
    "NaCl(aq)",
    "dict[str, int]",
    "{a} and {b}",
    ".NET",
    ".gitignore",
    "U.S.",
    "A*",
    "*args",
    "*.py",
    "~/.bashrc",
    "__init__",
    "_private",
    "operator->",
    "《红楼梦》作者",
    "“双碳”目标",
    "'n' roll",
    "C++",
    "C#",
    "生物（高中）",
]

WRAPPED = {
    '"brake pad"': "brake pad",
    "'brake pad'": "brake pad",
    "“brake pad”": "brake pad",
    "「制动片」": "制动片",
    "《红楼梦》": "红楼梦",
    "**brake pad**": "brake pad",
    "*brake pad*": "brake pad",
    "~~brake pad~~": "brake pad",
    "`vector<int>`": "vector<int>",
    "**`f(x)`**": "f(x)",
    '["brake pad"]': "brake pad",
    "(brake pad)": "brake pad",
    "<brake pad>": "brake pad",
    '"brake pad': "brake pad",
    'brake pad"': "brake pad",
    "**brake pad": "brake pad",
    "brake pad**": "brake pad",
    '["brake pad': "brake pad",
    'brake pad"]}': "brake pad",
    "brake pad.": "brake pad",
    "制动片。": "制动片",
    '"brake pad",': "brake pad",
    "a)": "a",
    " \t(": "",
    "***": "",
    '""': "",
    "": "",
}


@pytest.mark.parametrize("keyword", WHOLE)
def test_what_belongs_to_a_keyword_stays(keyword):
    assert unwrapped(keyword) == keyword
    assert unwrapped(f'"{keyword}"') == keyword or '"' in keyword
    if "," not in keyword:
        assert parse_keywords(f'["{keyword}", "other"]', limit=5) == (keyword, "other")


@pytest.mark.parametrize("text", WRAPPED)
def test_what_stands_around_a_keyword_goes(text):
    assert unwrapped(text) == WRAPPED[text]


@pytest.mark.parametrize(
    "question",
    [
        "《红楼梦》的作者是谁？",
        "“双碳”目标是什么？",
        "[SEP] stands for what?",
        "'Lucy' is how old?",
        "What is a vector<int>?",
    ],
)
def test_a_question_keeps_its_quotes(question):
    assert parse_questions(question, limit=5) == (question,)
    assert parse_questions(f'["{question}"]', limit=5) == (question,)
    assert parse_questions(f"1. “{question}”", limit=5) == (question,)


def test_a_number_at_the_beginning_is_no_bullet():
    assert parse_keywords("2.5 mg, 10:30, -O2, 3.5 mm", limit=5) == (
        "2.5 mg",
        "10:30",
        "-O2",
        "3.5 mm",
    )
    assert parse_keywords("- 2.5 mg\n- 3.5 mm\n", limit=5) == ("2.5 mg", "3.5 mm")
    assert parse_keywords("1. 2.5 mg\n2. 3.5 mm\n", limit=5) == ("2.5 mg", "3.5 mm")
    assert parse_keywords("2.5 mg\n3.5 mm\n", limit=5) == ("2.5 mg", "3.5 mm")
    assert parse_questions("2.5 mg of what?\n-5 °C where?", limit=5) == (
        "2.5 mg of what?",
        "-5 °C where?",
    )


@given(st.text(alphabet="ab \"'`*_~()[]<>“”《》.,->", max_size=30))
def test_unwrapping_takes_from_the_ends_and_ends(text):
    kept = unwrapped(text)
    assert kept in text
    assert unwrapped(kept) == kept


@pytest.mark.parametrize("sign", ["(", ")", "<", '"', "*", ". ", "()", "“”", "__a"])
def test_time_is_linear(sign):
    start = process_time()
    unwrapped(sign * 200_000)
    assert process_time() - start < 5  # a machine that stalls takes none
