"""From folders to passages: which files are read, how they are split, what is left out."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from time import process_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.corpus import write, write_corpus, write_docx, write_pdf

from trivec.errors import InputError
from trivec.ingest import Block, Document, LeftOut, ReadOptions, chunks, find_files
from trivec.ingest.passages import PassageSplitter
from trivec.types import Chunk


@pytest.fixture
def folder(tmp_path) -> Path:
    write(tmp_path / "docs" / "b.txt", "Bees. Birds.")
    write(tmp_path / "docs" / "a" / "z.md", "# Zebra\n\nstripes")
    write(tmp_path / "docs" / "photo.jpg", b"\xff\xd8")
    write(tmp_path / "docs" / ".git" / "c.txt", "hidden")
    write(tmp_path / "docs" / ".hidden.txt", "hidden")
    write(tmp_path / "docs" / "empty.txt", " \n")
    (tmp_path / "docs" / "nothing").mkdir()
    return tmp_path / "docs"


def passages(*paths: Path, **options: object) -> tuple[list[Chunk], list[str]]:
    """Return the passages of files, and what is left out."""
    left_out: list[LeftOut] = []
    options = {"max_tokens": 1000} | options
    found = list(chunks(paths, len, on_left_out=left_out.append, **options))
    return found, [str(one) for one in left_out]


def texts(path: Path, content: str, **options: object) -> list[str]:
    found, left_out = passages(write(path, content), **options)
    assert not left_out
    return [one.text for one in found]


# Files


def test_a_folder_is_walked_in_order_and_nothing_is_dropped_silently(folder):
    left_out = []
    found = list(find_files([folder], on_left_out=left_out.append))
    assert found == [folder / "b.txt", folder / "empty.txt", folder / "a" / "z.md"]
    assert left_out == [LeftOut(folder / "photo.jpg", "no reader for this suffix", expected=True)]


def test_an_empty_folder_is_reported(folder):
    left_out = []
    assert not list(find_files([folder / "nothing"], on_left_out=left_out.append))
    assert [one.reason for one in left_out] == ["the folder holds no file that can be read"]


@pytest.mark.parametrize("name", ["missing", "photo.jpg", "pipe.txt"])
def test_a_path_that_was_named_must_be_readable_before_anything_is_read(folder, name):
    os.mkfifo(folder / "pipe.txt")
    with pytest.raises(InputError, match=name):
        next(find_files([folder / "b.txt", folder / name]))


def test_a_file_that_is_named_twice_is_read_once(folder, monkeypatch):
    monkeypatch.chdir(folder)
    found = list(find_files(["b.txt", folder, folder / "a" / ".." / "b.txt"]))
    assert [one.name for one in found] == ["b.txt", "empty.txt", "z.md"]


@pytest.fixture
def linked(folder, tmp_path) -> Path:
    write(tmp_path / "outside" / "secret.txt", "secret")
    (folder / "in.txt").symlink_to("b.txt")
    (folder / "out.txt").symlink_to(tmp_path / "outside" / "secret.txt")
    (folder / "chain.txt").symlink_to("out.txt")
    (folder / "away").symlink_to(tmp_path / "outside")
    (folder / "a" / "loop").symlink_to(folder)
    (folder / "copy").symlink_to("a")
    (folder / "broken.txt").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.txt")
    (folder / "zero.txt").symlink_to("/dev/zero")
    return folder


def test_links_and_pipes_are_left_out_with_a_word(linked):
    left_out = []
    found = list(find_files([linked], on_left_out=left_out.append))
    assert [one.name for one in found] == ["b.txt", "empty.txt", "z.md"]
    reasons = {one.path.name: one.reason for one in left_out if one.path.name != "photo.jpg"}
    assert reasons.pop("pipe.txt").startswith("it is neither a file nor a folder")
    assert set(reasons) == {
        *("in.txt", "out.txt", "chain.txt", "away", "loop", "copy", "broken.txt", "zero.txt")
    }
    assert all("link" in reason for reason in reasons.values())


def test_links_are_followed_inside_the_folder_alone(linked):
    left_out = []
    found = list(find_files([linked], follow_links=True, on_left_out=left_out.append))
    names = [one.relative_to(linked).as_posix() for one in found]
    assert names == ["b.txt", "empty.txt", "in.txt", "a/z.md"]
    reasons = {one.path.name: one.reason for one in left_out}
    for name in ("out.txt", "chain.txt", "away", "zero.txt"):
        assert reasons[name] == "it is a link that leads out of the folder"
    assert reasons["broken.txt"] == "it is a link that leads nowhere"
    assert "read already" in reasons["loop"]


def test_a_deep_folder_is_no_recursion(tmp_path):
    folders = [tmp_path / "/".join("d" * depth) for depth in range(1, 1100)]
    for folder in folders:
        folder.mkdir()
    deepest = write_text(folders[-1] / "a.txt")
    try:
        assert list(find_files([tmp_path])) == [deepest]
    finally:  # what tidies up after the tests is recursive
        deepest.unlink()
        for folder in reversed(folders):
            folder.rmdir()


def write_text(path: Path) -> Path:
    path.write_text("deep")
    return path


def test_a_name_that_is_no_utf_8_is_reported(tmp_path):
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")).write_text("x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    found, left_out = passages(tmp_path)
    assert not found
    assert "its name is not UTF-8" in left_out[0]
    left_out[0].encode()


def test_sources_do_not_depend_on_how_the_path_was_given(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    ways = [["docs/b.txt"], [folder / "b.txt"], ["./docs/../docs/b.txt"]]
    assert {one.source for way in ways for one in chunks(way, len)} == {"docs/b.txt"}
    assert {one.source for one in chunks([folder / "b.txt"], len, root=folder / "a")} == {
        (folder / "b.txt").as_posix()
    }


# Passages


def test_passages_of_a_folder(folder, caplog):
    with caplog.at_level(logging.WARNING, logger="trivec"):
        found = list(chunks([folder], len, max_tokens=20, root=folder))
    zebra = {"title": "Zebra", "headings": ["Zebra"], "start_index": 9, "end_index": 16}
    assert found == [
        Chunk("Bees. Birds.", source="b.txt", metadata={"start_index": 0, "end_index": 12}),
        Chunk("Zebra\n\nstripes", source="a/z.md", metadata=zebra),
    ]
    assert caplog.messages == [
        f"left out: {folder / 'empty.txt'}: it holds no text",
        f"left out: {folder / 'photo.jpg'}: no reader for this suffix",
    ]


HANDBOOK = """# Handbook

Intro.

## XR-100

### Warranty

Two years.

## XR-200

### Warranty

Five years.

### Ports

Four.
"""


def test_a_passage_knows_its_headings_and_reaches_over_none(tmp_path):
    found, _ = passages(write(tmp_path / "a.md", HANDBOOK))
    assert [one.text for one in found] == [
        "Handbook\n\nIntro.",
        "Handbook > XR-100 > Warranty\n\nTwo years.",
        "Handbook > XR-200 > Warranty\n\nFive years.",
        "Handbook > XR-200 > Ports\n\nFour.",
    ]
    assert found[2].metadata["headings"] == ["Handbook", "XR-200", "Warranty"]
    for one in found:
        start, end = one.metadata["start_index"], one.metadata["end_index"]
        assert one.text.endswith(HANDBOOK[start:end])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("# A\n\n# B\n\ntext", ["A > B\n\ntext"]),
        ("# A\n\none\n\n## Empty\n\n# B\n\ntwo", ["A\n\none\n\n## Empty", "B\n\ntwo"]),
        ("# A\n\n## Empty\n\n## Last\n\nend", ["A > Last\n\n## Empty\n\nend"]),
        ("# A\n\none\n\n## X\n\n### Y\n", ["A\n\none\n\n## X\n\n### Y"]),
        ("## A\n\n## B\n", ["## A\n\n## B"]),
        ("one\n\n---\n\n<!-- no\n\n# no -->\n\ntwo", ["one\n\ntwo"]),
        ("---\ntitle: Guide\n---\n## Part\n\ntext", ["Guide > Part\n\ntext"]),
    ],
    ids=["title", "same parent", "next", "chain", "headings alone", "comment", "front matter"],
)
def test_no_heading_stands_alone_and_none_is_lost(tmp_path, content, expected):
    assert texts(tmp_path / "a.md", content) == expected


def test_html_and_word_sections_have_paths_too(tmp_path):
    page = "<title>XR-200</title><h2>Warranty</h2><p>Five years.<h3>Parts</h3><p>Two."
    assert texts(tmp_path / "a.html", page) == [
        "XR-200 > Warranty\n\nFive years.",
        "XR-200 > Warranty > Parts\n\nTwo.",
    ]
    word = write_docx(tmp_path / "a.docx", (1, "XR-200"), (2, "Warranty"), "Five years.")
    assert [one.text for one in passages(word)[0]] == ["XR-200 > Warranty\n\nFive years."]


def test_outer_headings_go_where_they_would_fill_the_passage(tmp_path):
    content = f"# {'Long title ' * 20}\n\n## Part\n\n{'word ' * 30}"
    found, _ = passages(write(tmp_path / "a.md", content), max_tokens=60)
    assert all(one.text.startswith("Part\n\n") and len(one.text) <= 60 for one in found)
    assert all(one.metadata["headings"][1] == "Part" for one in found)
    (only,) = passages(write(tmp_path / "b.md", "# " + "x" * 40 + "\n\nab"), max_tokens=46)[0]
    assert only.text == "# " + "x" * 40 + "\n\nab"


TABLE = "| sku | price |\n| --- | --- |\n" + "\n".join(f"| A{n:02} | {n} |" for n in range(20))


@pytest.mark.parametrize("suffix", [".md", ".html"])
def test_every_piece_of_a_table_has_its_header(tmp_path, suffix):
    content = f"# Prices\n\nBefore.\n\n{TABLE}\n\nAfter."
    if suffix == ".html":
        rows = "".join(f"<tr><td>A{n:02}<td>{n}" for n in range(20))
        table = f"<table><tr><th>sku<th>price{rows}</table>"
        content = f"<h1>Prices</h1><p>Before.{table}<p>After."
    found = texts(tmp_path / f"a{suffix}", content, max_tokens=110)
    assert all(len(one) <= 110 for one in found)
    pieces = [one for one in found if "| A" in one]
    assert len(pieces) > 2
    assert all("| sku | price |\n| --- | --- |\n| A" in one for one in pieces)
    rows = [line for one in pieces for line in one.splitlines() if line.startswith("| A")]
    assert rows == TABLE.splitlines()[2:]


def test_every_piece_of_code_is_fenced(tmp_path):
    code = "\n".join(f"line_{n} = {n}" for n in range(30))
    content = f"# Code\n\n```python\n# no heading\n{code}\n```\n\nAfter."
    found = texts(tmp_path / "a.md", content, max_tokens=100)
    *pieces, after = found
    assert len(pieces) > 3
    assert all(one.startswith("Code\n\n```python\n") and one.endswith("\n```") for one in pieces)
    assert "line_29 = 29" in pieces[-1]
    assert after == "Code\n\nAfter."


@pytest.mark.parametrize("kind", ["table", "code"])
def test_a_line_longer_than_a_passage_is_split(kind):
    text = "head\n" + "a b " * 100 + "\nlast"
    document = Document(text, blocks=(Block(0, len(text), kind, opening="head"),))
    found = PassageSplitter(len, 50).passages(document)
    assert all(len(one.text) <= 50 for one in found)
    assert "".join("".join(one.text for one in found).replace("head", "").split()) == "".join(
        text.replace("head", "").split()
    )


BLOCKS = st.lists(
    st.sampled_from(
        [
            *("# A\n", "## B b\n", "### C\n", "text\n", "more text. And more.\n", "- item\n"),
            *("> quote\n", "```\n# code\n```\n", "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n"),
            *("<b>x</b>\n", "---\n", "中文。没有空格\n", "1. one\n2. two\n", "Title\n=====\n"),
        ]
    ),
    max_size=25,
)


@given(BLOCKS, st.integers(50, 150), st.integers(0, 5))
@example(["# A\n", "## B b\n", "## B b\n"], 50, 0)
@example(["text\n", "# A\n", "## B b\n", "## B b\n"], 50, 0)
def test_passages_stay_within_the_limit_and_lose_nothing(blocks, limit, overlap):
    from trivec.ingest.formats.markdown import markdown_document

    source = "\n".join(blocks)
    document, _ = markdown_document(source)
    found = PassageSplitter(len, limit, overlap).passages(document)
    assert all(len(one.text) <= limit for one in found)
    ends = [(one.metadata["start_index"], one.metadata["end_index"]) for one in found]
    assert all(0 <= start < end <= len(source) for start, end in ends)
    said = {word for one in found for word in one.text.replace("#", " ").split()}
    said |= {
        word
        for one in found
        for title in one.metadata.get("headings", ())
        for word in title.split()
    }
    words = [word for word in source.replace("#", " ").split() if any(map(str.isalnum, word))]
    assert [word for word in words if word not in said] == []


def test_ids_of_records_are_kept_and_numbered_when_split(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "Bees.", "id": 1}\n{"text": "A b. C d.", "id": 2}')
    found, _ = passages(path, max_tokens=5)
    assert [(one.id, one.position, one.metadata["row"]) for one in found] == [
        ("1", 0, 1),
        ("2#0", 1, 2),
        ("2#1", 2, 2),
    ]


def test_positions_run_through_all_pages(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", [(50, 700, "One. Two.")], [(50, 700, "Three.")])
    found, _ = passages(path, max_tokens=6)
    assert [(one.position, one.metadata["page"]) for one in found] == [(0, 1), (1, 1), (2, 2)]


def test_a_records_own_keys_win_over_where_it_came_from(tmp_path):
    record = {"text": "x", "row": "mine", "headings": 1}
    (only,) = passages(write(tmp_path / "a.jsonl", json.dumps(record)))[0]
    assert only.metadata == {
        "row": "mine",
        "headings": 1,
        "origin_row": 1,
        "start_index": 0,
        "end_index": 1,
    }


def test_text_is_cleaned_and_ranges_count_what_the_file_holds(tmp_path):
    assert texts(tmp_path / "a.jsonl", '{"text": "a\\u0000b\\ud800"}') == ["ab\ufffd"]
    (only,) = passages(write(tmp_path / "b.txt", "a\x00b\r\nc" + "d" * 95))[0]
    assert only.text == "ab\nc" + "d" * 95
    assert (only.metadata["start_index"], only.metadata["end_index"]) == (0, 100)


# What is left out


def test_one_broken_file_or_record_never_stops_the_rest(tmp_path):
    words = write_corpus(tmp_path)
    write(
        tmp_path / "00" / "rows.jsonl", '{"text": "one"}\nbroken\n{"text": " "}\n{"text": "four"}'
    )
    left_out: list[LeftOut] = []
    found = list(chunks([tmp_path], len, root=tmp_path, on_left_out=left_out.append))
    for source, word in words.items():
        assert [one for one in found if one.source == source and word in one.text], source
    assert sorted((one.path.name, one.where) for one in left_out) == [
        ("broken.docx", None),
        ("broken.pdf", None),
        ("rows.jsonl", "line 2"),
        ("rows.jsonl", "line 3"),
        ("unsure.txt", None),
    ]
    rows = [one.text for one in found if one.source == "00/rows.jsonl"]
    assert rows == ["one", "four"]


def test_strict_raises_after_everything_else(folder):
    write(folder / "a.pdf", "no pdf")
    found = []
    with pytest.raises(InputError, match=r"2 left out, the rest was read: .*a\.pdf.*empty\.txt"):
        found.extend(chunks([folder], len, strict=True, on_left_out=lambda _: None))
    assert len(found) == 2
    (folder / "a.pdf").unlink()
    (folder / "empty.txt").unlink()
    assert len(list(chunks([folder], len, strict=True))) == 2  # a photo is no loss


def test_a_file_that_vanishes_is_left_out(tmp_path):
    write(tmp_path / "a.txt", "fine")
    later = write(tmp_path / "b.txt", "gone")
    left_out: list[LeftOut] = []
    stream = chunks([tmp_path], len, on_left_out=left_out.append)
    assert next(stream).text == "fine"
    later.unlink()
    assert not list(stream)
    assert left_out == [LeftOut(later, "No such file or directory")]


def test_a_missing_package_costs_its_files_alone(tmp_path, monkeypatch):
    import sys

    write(tmp_path / "a.txt", "fine")
    write_docx(tmp_path / "b.docx", "text")
    monkeypatch.setitem(sys.modules, "kreuzberg", None)
    found, left_out = passages(tmp_path)
    assert [one.text for one in found] == ["fine"]
    assert "pip install 'trivec[documents]'" in left_out[0]


def test_bad_limits_are_no_files_fault(tmp_path):
    write(tmp_path / "a.txt", "fine")
    with pytest.raises(InputError, match="max_tokens=0"):
        list(chunks([tmp_path], len, max_tokens=0, on_left_out=lambda _: pytest.fail("reported")))


def test_options_reach_the_readers(tmp_path):
    path = write(tmp_path / "a.csv", "a,b\nx,y\n")
    assert [one.text for one in passages(path, options=ReadOptions(text_columns=("b",)))[0]] == [
        "y"
    ]


# Time


def seconds(suffix: str, content: str, folder: Path) -> float:
    path = write(folder / f"a{suffix}", content)
    start = process_time()
    list(chunks([path], len, max_tokens=500, on_left_out=lambda _: None))
    return process_time() - start


HOSTILE: dict[str, tuple[str, Callable[[int], str]]] = {
    "paragraphs": (".html", lambda n: "<p>some text</p>" * n),
    "line breaks": (".html", lambda n: "some text<br>" * n),
    "rows": (".html", lambda n: "<table>" + "<tr><td>a<td>b" * n),
    "spans": (".html", lambda n: "<table>" + "<tr><td rowspan=9999 colspan=999>text" * n),
    "comments": (".html", lambda n: "<!--" * n),
    "angles": (".html", lambda n: "<" * n),
    "attributes": (".html", lambda n: "<a " + "x=1 " * n + ">x"),
    "classes": (".html", lambda n: "<p class=cookie-bar-x>x" * n),
    "one class": (".html", lambda n: f"<p class='{'cookieBar-' * n}'>x"),
    "lists": (".html", lambda n: "<ul><li>a</ul>" * n),
    "headings": (".html", lambda n: "<h2>a</h2>b" * n),
    "bold": (".html", lambda n: "<p><b><i>x</i></b>" * n),
    "styles": (".html", lambda n: "<style>" + ".a{display:none}" * n + "</style>x"),
    "braces": (".html", lambda n: "<style>" + "{" * n + "</style>x"),
    "hashes": (".md", lambda n: "# " * n),
    "bare headings": (".md", lambda n: "# \n" * n),
    "quotes": (".md", lambda n: "> " * n),
    "bullets": (".md", lambda n: "- " * n),
    "brackets": (".md", lambda n: "[" * n + "\n\n# " + "[" * 900),
    "ticks": (".md", lambda n: "`\n" * n),
    "lines": (".md", lambda n: "text line\n" * n),
    "markdown rows": (".md", lambda n: "|a|b|\n|-|-|\n" + "|1|2|\n" * n),
    "rules": (".rst", lambda n: "=\n==\n" * n),
    "quoted": (".csv", lambda n: "a,b\n" + '1,"\n' * n),
    "pairs": (".json", lambda n: "[" + '{"a": 1},' * n + '{"a": 1}]'),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_time_is_linear_in_the_length(tmp_path, case):
    """Twice the input takes about twice the time: 5 at most, where a square makes 16 of 4 times."""
    suffix, build = HOSTILE[case]
    count = 4000
    seconds(suffix, build(10), tmp_path)  # imports
    for _ in range(3):  # another process may have had the processor's caches
        base = seconds(suffix, build(count), tmp_path)
        more = seconds(suffix, build(4 * count), tmp_path)
        if more < max(9 * base, 1.0):
            return
    pytest.fail(f"{base:.3f} s, four times as much {more:.3f} s")


HEADINGS = {
    "of one level": (".md", "# a\n"),
    "underlined": (".md", "a\n===\n"),
    "of two levels": (".md", "## a\n# b\n"),
    "of a page": (".html", "<h1>a</h1>"),
    "of all levels": (".html", "<h1>a</h1><h2>b</h2><h3>c</h3>"),
}


@pytest.mark.parametrize("case", HEADINGS)
@pytest.mark.parametrize("text", ["", "text"])
def test_headings_without_text_take_time_by_their_number(tmp_path, case, text):
    suffix, one = HEADINGS[case]

    def spent(count):
        path = write(tmp_path / f"a{suffix}", one * count + text)
        start = process_time()
        assert list(chunks([path], lambda piece: len(piece.split())))
        return process_time() - start

    spent(10)  # imports
    for _ in range(3):  # another process may have had the processor's caches
        base, more = spent(3_000), spent(12_000)
        if more < max(9 * base, 0.5):
            return
    pytest.fail(f"{base:.3f} s, four times as much {more:.3f} s")


@pytest.mark.parametrize(
    "item",
    [
        '<div class="row"><p>Some <b>bold</b> text, a <a href="x">link</a> and so.</p></div>',
        "<table><tr><td>article number 12345</td><td>86415 euro</td></tr></table>",
        "<tr><td>article number 12345</td><td>86415 euro</td></tr>",
    ],
    ids=["paragraphs", "tables", "rows"],
)
def test_a_page_of_five_megabytes_is_read_in_seconds(tmp_path, item):
    opening = "<table>" if item.startswith("<tr>") else ""
    page = write(tmp_path / "a.html", opening + item * (5_000_000 // len(item)))
    start = process_time()
    from trivec.ingest import read

    assert len(list(read(page))) == 1
    assert process_time() - start < 6  # 1.4 to 2.2 s on an idle core
