"""Paths into payloads, and the tokens of what an engine cannot compare."""

from __future__ import annotations

import hashlib
import json

import pytest

from trivec.payloads.fields import (
    EXACT_INTEGERS,
    LARGEST_MATCHED,
    LONGEST_TOKEN,
    Field,
    is_exact,
    key_path,
    metadata_field,
    presence_token,
    tokens,
    value_token,
)

OFF = 25.643769918316394  # seventeen digits: the engine's parser reads its neighbour


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("lang", "lang"),
        ("a-b_1", "a-b_1"),
        ("a.b", '"a.b"'),
        ("with space", '"with space"'),
        ("语言", '"语言"'),
        ("", '""'),
        ('a"b', None),
        ("a\\b", None),
    ],
)
def test_the_path_of_one_key(key, path):
    assert key_path(key) == path


@pytest.mark.parametrize(
    ("key", "paths", "names"),
    [
        ("lang", ["lang"], [("lang",)]),
        ("a.b", ['"a.b"', "a.b"], [("a.b",), ("a", "b")]),
        ("a.b.c", ['"a.b.c"', "a.b.c"], [("a.b.c",), ("a", "b", "c")]),
        ("a[].b", ['"a[].b"', "a[].b"], [("a[].b",), ("a", "b")]),
        ("a[0][1]", ['"a[0][1]"', "a[0][1]"], [("a[0][1]",), ("a",)]),
        ('a."b.c"', ['a."b.c"'], [('a."b.c"',), ("a", "b.c")]),
        ('"b"', ['"b"'], [('"b"',), ("b",)]),
        ("a..b", ['"a..b"'], [("a..b",)]),
        ("a.", ['"a."'], [("a.",)]),
        ("a b", ['"a b"'], [("a b",)]),
        ("a[x]", ['"a[x]"'], [("a[x]",)]),
        ("", ['""'], [("",)]),
    ],
)
def test_a_key_is_itself_and_the_path_that_it_may_be(key, paths, names):
    field = metadata_field(key, "metadata.", "own.tokens")
    paths = tuple(f"metadata.{path}" for path in paths)
    assert field == Field(key, paths, tuple(names), "own.tokens", hidden=key_path(key) is None)


def test_a_key_that_no_path_names_is_found_by_its_tokens_alone():
    field = metadata_field('a"b', "metadata.", "own.tokens")
    assert (field.paths, field.hidden, field.names) == ((), True, (('a"b',),))
    assert metadata_field("a", "", None) == Field("a", ("a",), (("a",),))


@pytest.mark.parametrize(
    ("value", "exact"),
    [
        (0, True),
        (EXACT_INTEGERS - 1, True),
        (1 - EXACT_INTEGERS, True),
        (EXACT_INTEGERS, False),
        (-EXACT_INTEGERS, False),
        (0.0, True),
        (-0.5, True),
        (0.1, True),
        (2020.25, True),
        (OFF, False),
        (-OFF, False),
        (9007199254740992.0, False),  # written with .0, which makes another digit
        (900719925474099.2, True),  # 2**53 as digits, and no more
        (900719925474099.4, False),
        (1e22, True),
        (1e23, False),
        (1e-22, True),
        (1e-23, False),
        (1.5e-21, True),
        (1.5e-22, False),
        (1.5e23, True),
        (1.5e24, False),
    ],
)
def test_which_numbers_the_engine_reads_as_they_are(value, exact):
    assert is_exact(value) is exact


def named(*parts):
    return json.dumps(parts, ensure_ascii=False)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, []),
        ({"a": "text", "b": True, "c": 3, "d": 0.5, "e": None}, []),
        ({"a": LARGEST_MATCHED}, []),
        ({"a": LARGEST_MATCHED + 1}, [named("a", 2**63)]),
        ({"a": OFF}, [named("a", OFF)]),
        ({"a": float(EXACT_INTEGERS)}, [named("a", EXACT_INTEGERS)]),
        ({"a": float(-EXACT_INTEGERS)}, [named("a", -EXACT_INTEGERS)]),
        ({"a": {"b": [1, OFF, {"c": OFF}]}}, [named("a", "b", OFF), named("a", "b", "c", OFF)]),
        ({"a": [OFF, OFF]}, [named("a", OFF)]),
        ({"a": 1, "名": OFF, "z": OFF}, [named("名", OFF), named("z", OFF)]),
        ({'a"b': "text"}, ['{"names": ["a\\"b"]}', named('a"b', "text")]),
        ({'a"b': None}, []),
        ({'a"b': []}, []),
        (
            {'a"b': {"c": [1.0, False]}},
            ['{"names": ["a\\"b", "c"]}', named('a"b', "c", 1), named('a"b', "c", False)],
        ),
    ],
)
def test_the_tokens_of_metadata(metadata, expected):
    assert tokens(metadata) == expected


def test_a_key_that_the_layout_keeps_for_itself_has_tokens():
    assert tokens({"trivec": 1, "other": 1}, {"trivec"}) == [
        presence_token(("trivec",)),
        named("trivec", 1),
    ]
    assert tokens({"a": {"trivec": 1}}, {"trivec"}) == []  # below the top it is a key as any other


def test_equal_numbers_have_one_token():
    assert value_token(("a",), 2.0) == value_token(("a",), 2) == '["a", 2]'
    assert value_token(("a",), 2.5) == '["a", 2.5]'
    assert value_token(("a",), True) == '["a", true]'
    assert value_token(("语",), "言") == '["语", "言"]'
    assert value_token(("a",), float("inf")) == '["a", Infinity]'


def test_a_long_token_is_its_digest():
    room = LONGEST_TOKEN - len('["a", ""]')
    assert value_token(("a",), "x" * room) == named("a", "x" * room)
    whole = named("a", "x" * (room + 1))
    assert value_token(("a",), "x" * (room + 1)) == hashlib.sha256(whole.encode()).hexdigest()
    assert presence_token(("语",)) == '{"names": ["语"]}'
