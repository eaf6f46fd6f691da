"""Reading files: every format, every encoding, every way in which a file can be broken."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import datetime
from pathlib import Path
from time import process_time

import pytest
from tests.corpus import (
    ENCODED,
    encrypt,
    write,
    write_docx,
    write_epub,
    write_odt,
    write_pdf,
    write_pptx,
    write_scan,
    write_xlsx,
)

from trivec.errors import InputError, MissingDependencyError
from trivec.ingest import SUFFIXES, Document, LeftOut, ReadOptions, read


def only(path: Path, options: ReadOptions | None = None) -> Document:
    left_out: list[LeftOut] = []
    (document,) = read(path, options, on_left_out=left_out.append)
    assert not left_out
    return document


def records(path: Path, options: ReadOptions | None = None) -> list[tuple]:
    return [(one.text, one.id, one.metadata) for one in read(path, options)]


def reported(path: Path, options: ReadOptions | None = None) -> tuple[list[str], list[str]]:
    """Return the texts that are read, and where what is left out lies, with the reason."""
    left_out: list[LeftOut] = []
    texts = [document.text for document in read(path, options, on_left_out=left_out.append)]
    assert all(one.path == path and not one.expected for one in left_out)
    return texts, [f"{one.where}: {one.reason}" for one in left_out]


# Encodings


def test_txt(tmp_path):
    assert only(write(tmp_path / "a.TXT", "第一行\r\nline")) == Document("第一行\nline")


@pytest.mark.parametrize(("encoding", "text"), ENCODED.items())
def test_encodings_are_recognised(tmp_path, encoding, text):
    assert only(write(tmp_path / "a.txt", text.encode(encoding))).text == text


@pytest.mark.parametrize(
    "content",
    [
        "café noir".encode("latin-1"),
        "高雄".encode("big5"),
        "Привет".encode("cp1251"),
        "没有标记".encode("utf-16-le") * 5,
        bytes(range(256)) * 8,
        b"\xff\xfe\x00\xd8\x00\x00",
        b"\x7fELF\x02\x01\x01" + bytes(64),
    ],
    ids=["latin-1", "big5", "cp1251", "utf-16", "all bytes", "bad utf-16", "program"],
)
def test_an_encoding_that_is_not_sure_is_refused(tmp_path, content):
    with pytest.raises(InputError, match=r"a\.txt cannot be read: its encoding is not sure"):
        list(read(write(tmp_path / "a.txt", content)))


def test_what_was_assumed_is_logged_without_the_text(tmp_path, caplog):
    path = write(tmp_path / "a.txt", "绝密的文件内容".encode("gb18030"))
    with caplog.at_level(logging.WARNING, logger="trivec"):
        only(path)
    assert caplog.messages == [f"{path} is not UTF-8 and is read as GB18030"]


def test_a_damaged_byte_does_not_make_utf_8_something_else(tmp_path, caplog):
    text = "企鹅不会飞。" * 200
    content = text.encode() + b"\xe4\xb8" + text.encode()
    with caplog.at_level(logging.WARNING, logger="trivec"):
        document = only(write(tmp_path / "a.txt", content))
    assert document.text == f"{text}\ufffd{text}"
    assert "1 damaged places" in caplog.text


def test_what_tells_the_encoding_may_come_late(tmp_path):
    text = "ascii\n" * 100_000 + ENCODED["koi8_r"]
    assert only(write(tmp_path / "a.txt", text.encode("koi8_r"))).text == text


def test_a_given_encoding(tmp_path):
    path = write(tmp_path / "a.txt", "高雄".encode("big5"))
    assert only(path, ReadOptions(encoding="big5")).text == "高雄"
    with pytest.raises(InputError, match="not in the encoding 'utf-8'"):
        list(read(path, ReadOptions(encoding="utf-8")))
    with pytest.raises(InputError, match="'klingon' is unknown"):
        ReadOptions(encoding="klingon")
    with pytest.raises(InputError, match="'rot13' is unknown"):
        ReadOptions(encoding="rot13")  # no encoding of text


# Markdown and reStructuredText


def headings(document: Document) -> list[tuple[int, str]]:
    return [(one.level, one.title) for one in document.blocks if one.kind == "heading"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "intro\n\n## A *title* ##\n\n# [Other](http://x) `code`\n",
            [(2, "A title"), (1, "Other code")],
        ),
        ("```bash\n# comment\n```\n\n# Real\n", [(1, "Real")]),
        ("~~~\n# comment\n```\n# more\n~~~\n# Real", [(1, "Real")]),
        ("    # indented code\n\nTitle\n=====\n\nPart\n----\n", [(1, "Title"), (2, "Part")]),
        ("> # quoted\n\n- # listed\n\n#hash\n\n####### seven\n", []),
        ("# C#\n\n## Warranty {#warranty}\n", [(1, "C#"), (2, "Warranty")]),
        ("<!--\n# hidden\n-->\n# Shown", [(1, "Shown")]),
        ("# \n\n#\n\n# a", [(1, "a")]),
    ],
    ids=["inline", "fence", "other fence", "setext", "nested", "anchors", "comment", "blank"],
)
def test_markdown_headings(tmp_path, text, expected):
    document = only(write(tmp_path / "a.md", text))
    assert headings(document) == expected
    assert document.metadata.get("title") == (expected[0][1] if expected else None)


@pytest.mark.parametrize(
    ("text", "metadata"),
    [
        (
            "---\ntitle: T\ndate: 2024-05-01\nn: .nan\n---\n# H\n",
            {"title": "T", "date": "2024-05-01", "n": None},
        ),
        ("---\r\ntags: [a, b]\r\n...\r\n# H\r\n", {"tags": ["a", "b"], "title": "H"}),
        ("+++\ntitle = 'T'\nweight = 3\n+++\n# H\n", {"title": "T", "weight": 3}),
        ("---\n\n# H\n\ntext\n\n---\n", {"title": "H"}),
        ("---\nnever closed: yes\n# H\n", {"title": "H"}),
    ],
    ids=["yaml", "dots", "toml", "rule", "unclosed"],
)
def test_front_matter_is_metadata(tmp_path, text, metadata):
    document = only(write(tmp_path / "a.md", text))
    assert document.metadata == metadata
    assert all("title:" not in document.text[one.start : one.end] for one in document.blocks)


@pytest.mark.parametrize(
    "values", ["a: [", "a: &x [1]\nb: *x", "!!python/object:os.system x", "a: b: c"]
)
def test_broken_front_matter_is_reported_and_the_rest_read(tmp_path, values):
    texts, left_out = reported(write(tmp_path / "a.md", f"---\n{values}\n---\n\ntext"))
    assert "text" in texts[0]
    assert left_out[0].startswith("front matter: its front matter")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- [", "[a, [b, "])
def test_brackets_in_front_matter_take_no_square_of_time(tmp_path, opening):
    """PyYAML takes 8 s for 5,000 of them, and four times that for twice as many."""
    values = f"a: {opening * (20_000 // len(opening))}"
    start = process_time()
    texts, left_out = reported(write(tmp_path / "a.md", f"---\n{values}\n---\n\ntext"))
    assert process_time() - start < 5
    assert texts[0].endswith("text")
    assert "nested more than 100 levels" in left_out[0]


def test_brackets_that_are_not_nested_are_front_matter(tmp_path):
    path = tmp_path / "a.md"
    path.write_text(f"---\na: [{'[b], ' * 500}]\n---\ntext\n")
    assert len(only(path).metadata["a"]) == 500


def test_mdx_is_markdown_with_components(tmp_path):
    text = "---\ntitle: T\n---\n\n# Install\n\n<Tabs>\n\nnpm install x\n\n</Tabs>\n"
    document = only(write(tmp_path / "a.mdx", text))
    assert document.metadata == {"title": "T"}
    assert headings(document) == [(1, "Install")]
    assert "npm install x" in document.text


def test_rst_titles(tmp_path):
    text = ".. _top:\n\n========\nHandbook\n========\n\nIntro.\n\nXR-200\n------\n\n"
    text += "::\n\n    ====\n\n手册\n====\n\nEnd.\n"
    document = only(write(tmp_path / "a.rst", text))
    assert headings(document) == [(1, "Handbook"), (2, "XR-200"), (3, "手册")]
    blocks = [document.text[one.start : one.end] for one in document.blocks if one.kind == "text"]
    assert blocks == ["Intro.", "::\n\n    ====", "End."]


# HTML


HTML = """<!doctype html><html><head><title> The
 title </title><style>p {color: red}</style></head><body><script>alert(1)</script>
<h1>Head</h1><p>H<sub>2</sub>O is <b>wet</b>,
even cold.<br>New line</p><!-- hidden --><ul><li>one</li><li><p>two</p></li></ul>
<ol><li>a<ul><li>b</ul><li>c</ol>10<sup>6</sup>
<pre>a
  b</pre></body></html>"""


def test_html_reads_as_a_browser_shows_it(tmp_path):
    document = only(write(tmp_path / "a.html", HTML))
    assert document.metadata == {"title": "The title"}
    lines = [line for line in document.text.splitlines() if line.strip()]
    assert lines == [
        *("Head", "H2O is wet, even cold.", "New line", "- one", "- two"),
        *("1. a", "  - b", "2. c", "10^6", "a", "  b"),
    ]
    assert [one.kind for one in document.blocks] == ["heading", "text", "code"]


@pytest.mark.parametrize(
    "hidden",
    [
        "<p hidden>NO</p>",
        "<div style='color:red; Display : None'>NO</div>",
        "<div style='visibility:hidden'><p>NO</div>",
        "<div aria-hidden=true>NO</div>",
        (
            "<style>.gone, #x { display: none } @media print { .shown { display: none } }</style>"
            "<p class='a gone'>NO</p><p id=x>NO</p>"
        ),
        "<p class='sr-only'>NO</p><p class=hidden>NO</p>",
        "<nav><ul><li>NO</ul></nav><div role=navigation>NO</div>",
        "<footer><p>NO</footer><div role=contentinfo>NO</div>",
        "<div id=cookie-banner><p>NO</div><div class='CookieConsent'>NO</div>",
        "<div id=onetrust-consent-sdk>NO</div><aside class=gdpr-notice>NO</aside>",
        "<div role=dialog>NO</div><dialog>NO</dialog>",
        "<template><p>NO</template><noscript>NO</noscript><svg><text>NO</text></svg>",
        "<select><option>NO</select><textarea>NO</textarea><button>NO</button>",
        "<table hidden><tr><td>NO<td>NO</table>",
        "<ul hidden><li>NO</ul>",
        "<div id=m hidden>NO</div><button aria-expanded=false aria-haspopup=menu aria-controls=m>",
        "<nav><a aria-expanded=false aria-controls=m></a></nav><div id=m hidden>NO</div>",
        "<div id=m role=dialog>NO</div><button aria-expanded=false aria-controls=m>",
    ],
)
def test_what_a_reader_does_not_see_is_left_out(tmp_path, hidden):
    page = f"<body><ul><li>before{hidden}</ul><p class=shown>after"
    document = only(write(tmp_path / "a.html", page))
    assert "NO" not in document.text
    assert document.text.split() == ["-", "before", "after"]


@pytest.mark.parametrize(
    "shown",
    [
        "<p class='cookies recipe'>YES</p>",
        "<article class=cookie-notice-history>YES</article>",
        "<p class='hidden md:block'>YES</p>",
        "<dialog open>YES</dialog>",
        "<blockquote>a<footer>YES</footer></blockquote>",
        "<details><summary>a</summary>YES</details>",
        "<header>YES</header><aside>a</aside>",
        "<p hidden>no<p>YES",
        "<div role=tabpanel hidden>YES</div>",
        "<div role=tab aria-selected=false aria-controls='a b'>a</div><p class=hidden id=b>YES",
        "<button aria-expanded=false aria-controls=a>b</button><p style='display:none' id=a>YES",
        "<div hidden=until-found>YES</div>",
    ],
)
def test_what_a_reader_sees_is_kept(tmp_path, shown):
    assert "YES" in only(write(tmp_path / "a.html", f"<body>{shown}")).text


def test_lists_keep_their_numbers_powers_their_signs_and_wrapped_words_their_halves(tmp_path):
    page = """<ol start=3><li>c<li value=7>g<li>h</ol><ol start=x><li>a</ol>
    <p>10<sup>-6</sup> m<p>网络交
    换机 XR
    200<table><tr><td>保修
    期<td>b</table>"""
    assert only(write(tmp_path / "a.html", page)).text.split("\n\n") == [
        *("3. c\n7. g\n8. h", "1. a", "10^-6 m", "网络交换机 XR 200", "| 保修期 | b |"),
    ]


@pytest.mark.parametrize(
    ("table", "lines"),
    [
        (
            (
                "<caption>Stock</caption><thead><tr><th>sku<th>price<th>stock<tbody>"
                "<tr><td>A|1<td><td>7<tr><td><td><td><tr><td>B<br>2<td>3<td>"
            ),
            [
                "Stock",
                "| sku | price | stock |",
                "| --- | --- | --- |",
                "| A\\|1 |  | 7 |",
                "| B 2 | 3 |  |",
            ],
        ),
        (
            "<tr><th>Weight<td>5 kg<tr><th>Colour<td>red",
            ["| Weight | 5 kg |", "| Colour | red |"],
        ),
        (
            (
                "<tr><th>sku<th colspan=2>price<tr><td rowspan=2>A<td>1<td>2<tr><td colspan=2>3"
                "<tr><td>B<td hidden>9<td>4"
            ),
            [
                *("| sku | price | price |", "| --- | --- | --- |"),
                *("| A | 1 | 2 |", "| A | 3 |  |", "| B | 4 |  |"),
            ],
        ),
    ],
    ids=["header", "first column", "spans"],
)
def test_a_table_keeps_its_rows_and_empty_cells(tmp_path, table, lines):
    document = only(write(tmp_path / "a.html", f"<p>a<table>{table}</table><p>b"))
    assert document.text.splitlines() == ["a", "", *lines, "", "b"]
    assert [one.kind for one in document.blocks] == ["text", "table", "text"]


def test_a_table_that_arranges_a_page_is_no_table(tmp_path):
    page = "<table><tr><td><h2>Head</h2><p>text<td><table><tr><td>x<td>y</table></table>"
    document = only(write(tmp_path / "a.html", page))
    assert headings(document) == [(2, "Head")]
    assert "| x | y |" in document.text.splitlines()


@pytest.mark.parametrize("declared", ["gb2312", "gb18030", "utf-8", "punycode", None])
def test_html_in_chinese_encodings(tmp_path, declared):
    meta = f'<meta charset="{declared}">' if declared else ""
    content = (
        f"<html><head>{meta}</head><body><p>朱镕基，生于湖南长沙，中文网页。</p></body></html>"
    )
    assert only(write(tmp_path / "a.htm", content.encode("gb18030"))).text.startswith("朱镕基")


@pytest.mark.parametrize(
    ("label", "encoding"),
    [
        ("big5", "big5hkscs"),
        ("Shift_JIS", "cp932"),
        ("ks_c_5601-1987", "cp949"),
        ("latin1", "cp1252"),
    ],
)
def test_html_labels_mean_what_browsers_take_them_for(tmp_path, label, encoding):
    text = {"big5hkscs": "產品", "cp932": "日本①", "cp949": "한국", "cp1252": "naïve “x”"}[encoding]
    page = f'<meta http-equiv=content-type content="text/html; charset={label}"><p>{text}'
    assert only(write(tmp_path / "a.html", page.encode(encoding))).text == text


@pytest.mark.parametrize(
    "content", ["", "plain.html", '<?xml version="1.0"?><html>x</html>', "<!--", "<", "\0"]
)
def test_odd_html_warns_of_nothing(tmp_path, content):
    only(write(tmp_path / "a.html", content))


def test_html_that_nests_too_deeply_is_refused_rather_than_cut(tmp_path):
    with pytest.raises(InputError, match="nests deeper than 2,048"):
        list(read(write(tmp_path / "a.html", "<div>" * 5000 + "lost")))


# PDF


def test_pdf_pages(tmp_path):
    path = write_pdf(
        tmp_path / "a.pdf", [(50, 700, "First page")], [(50, 700, "2nd")], title="手册"
    )
    assert list(read(path)) == [
        Document("First page", metadata={"title": "手册"}, origin={"page": 1}, where="page 1"),
        Document("2nd", metadata={"title": "手册"}, origin={"page": 2}, where="page 2"),
    ]


@pytest.mark.parametrize(
    ("title", "metadata"),
    [
        ("untitled", {}),
        ("Microsoft Word - report.docx", {}),
        ("scan0001.pdf", {}),
        ("无标题", {}),
        ("Microsoft Word - The report", {"title": "The report"}),
    ],
)
def test_pdf_titles_that_nobody_gave(tmp_path, title, metadata):
    assert only(write_pdf(tmp_path / "a.pdf", [(50, 700, "x")], title=title)).metadata == metadata


def lines_of(x: float, *lines: str, y: float = 700) -> list[tuple[float, float, str]]:
    return [(x, y - 14 * number, line) for number, line in enumerate(lines)]


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (
            ["This is infor-", "mation on bees", "at work today."],
            "This is information on bees at work today.",
        ),
        (["A machine is self-", "contained here."], "A machine is self-contained here."),
        (
            ["An on-line text", "that is read on-", "line in full."],
            "An on-line text that is read on-line in full.",
        ),
        (
            ["企鹅不会飞，但是它们", "游得很快。它们生活在", "南极。"],
            "企鹅不会飞，但是它们游得很快。它们生活在南极。",
        ),
        (["one", "two", "a longer line of text"], "one two a longer line of text"),
        (["One.", "Two.", "A longer line of text."], "One.\nTwo.\nA longer line of text."),
    ],
    ids=["hyphen", "kept hyphen", "written elsewhere", "Han", "goes on", "list"],
)
def test_pdf_lines_become_paragraphs(tmp_path, lines, text):
    assert only(write_pdf(tmp_path / "a.pdf", lines_of(50, *lines))).text == text


LEFT = (
    "The left column tells of",
    "bees, which dance so that",
    "others find the flowers of",
    "spring.",
)
RIGHT = (
    "The right column tells of",
    "fish, which swim down to",
    "where the water is warm in",
    "winter.",
)


@pytest.mark.parametrize("interleaved", [True, False])
def test_pdf_columns_are_read_one_after_the_other(tmp_path, interleaved):
    left, right = lines_of(50, *LEFT), lines_of(320, *RIGHT)
    body = (
        [one for pair in zip(left, right, strict=True) for one in pair]
        if interleaved
        else left + right
    )
    title = [(50, 760, "A title over both of the columns of this page")]
    text = only(write_pdf(tmp_path / "a.pdf", title + body)).text
    assert text.split("\n\n") == [title[0][2], " ".join(LEFT), " ".join(RIGHT)]


def test_pdf_tables_keep_empty_cells(tmp_path):
    table = [("sku", "price", "stock"), ("A1", "12", "3"), ("B2", "", "7"), ("C3", "9", "")]
    cells = [
        (50 + 150 * column, 700 - 14 * row, cell)
        for row, cells in enumerate(table)
        for column, cell in enumerate(cells)
        if cell
    ]
    lines = only(write_pdf(tmp_path / "a.pdf", cells)).text.splitlines()
    assert lines == ["| sku | price | stock |", "| A1 | 12 | 3 |", "| B2 |  | 7 |", "| C3 | 9 |  |"]


def test_a_scanned_page_is_reported_and_an_empty_one_is_not(tmp_path):
    texts, left_out = reported(write_scan(tmp_path / "a.pdf"))
    assert texts == ["The last page has text."]
    assert left_out == ["page 1: the page is a scan; recognise its text first"]


def test_pdf_with_a_password(tmp_path):
    path = encrypt(write_pdf(tmp_path / "a.pdf", [(50, 700, "secret")]), "pw")
    with pytest.raises(InputError, match=r"a\.pdf cannot be read: it is encrypted with a password"):
        list(read(path))
    assert only(encrypt(write_pdf(tmp_path / "b.pdf", [(50, 700, "open")]), "")).text == "open"


@pytest.mark.parametrize("content", [b"", b"no pdf", b"%PDF-1.7\n1 0 obj\n<<"])
def test_damaged_pdf(tmp_path, content):
    with pytest.raises(InputError, match=r"a\.pdf cannot be read: it cannot be read as PDF"):
        list(read(write(tmp_path / "a.pdf", content)))


# JSON


def test_jsonl_records(tmp_path):
    values = [
        {"text": "one", "id": 7, "metadata": {"lang": "zh"}, "year": 2020},
        {"Content": "two\u2028still two", "ID": "x"},
        {"page_content": "three", "metadata": "a note"},
    ]
    lines = "\ufeff" + "\n\n".join(json.dumps(value, ensure_ascii=False) for value in values)
    path = write(tmp_path / "a.jsonl", lines)
    assert records(path) == [
        ("one", "7", {"lang": "zh", "year": 2020}),
        ("two\u2028still two", "x", {}),
        ("three", None, {"metadata": "a note"}),
    ]
    assert [(one.origin, one.where) for one in read(path)] == [
        ({"row": number}, f"line {number}") for number in (1, 3, 5)
    ]


def test_jsonl_without_a_text_key_is_searched_whole(tmp_path):
    line = '{"question": "Why?", "answer": ["so", 3], "more": {"a": true, "b": null}, "id": 1}'
    ((text, identity, metadata),) = records(write(tmp_path / "a.jsonl", line))
    assert text == "question: Why?\nanswer: so, 3\nmore: a: true"
    assert identity == "1"
    assert metadata["answer"] == ["so", 3]


def test_text_columns_of_jsonl(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"body": "x", "text": "other", "Title": "T"}')
    assert records(path, ReadOptions(text_columns=("body",)))[0][0] == "x"
    both = ReadOptions(text_columns=("title", "body"))
    assert records(path, both)[0][0] == "Title: T\nbody: x"
    for wrong in ("body", ["body"], (), (1,)):
        with pytest.raises(InputError, match=r"^text_columns="):
            ReadOptions(text_columns=wrong)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "line 2: it is not JSON"),
        ("[1]", "line 2: it is a list"),
        ('"text"', "line 2: it is a str"),
        ('{"title": "no text"}', "line 2: it has no text under text or content or page_content"),
        ('{"text": 3}', "line 2: it has no text"),
        ('{"text": "x", "n": NaN}', "line 2: it is not JSON (NaN"),
        ('{"text": "x", "id": [1]}', "line 2: its id is a list"),
        ("[" * 100_000, "line 2: it is not JSON"),
        ('{"text": ' + "9" * 5000 + "}", "line 2: it is not JSON"),
    ],
)
def test_a_broken_line_of_jsonl_costs_no_other(tmp_path, line, reason):
    path = write(tmp_path / "a.jsonl", f'{{"text": "one"}}\n{line}\n{{"text": "three"}}')
    texts, left_out = reported(path)
    assert texts == ["one", "three"]
    assert len(left_out) == 1
    assert left_out[0].startswith(reason)


def test_a_record_that_nests_deeply_is_reported(tmp_path):
    deep = '{"a": ' * 200 + "1" + "}" * 200
    texts, left_out = reported(write(tmp_path / "a.jsonl", f'{{"b": 1}}\n{deep}'))
    assert texts == ["1"]
    assert left_out == ["line 2: it nests deeper than 50 levels; flatten it"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([{"text": "a", "id": 1}, {"text": "b"}], [("a", "1", {}), ("b", None, {})]),
        ({"lang": "en", "items": [{"text": "a"}]}, [("a", None, {"lang": "en"})]),
        ({"text": "a", "tags": ["x"]}, [("a", None, {"tags": ["x"]})]),
        (
            {"server": {"port": 80, "names": ["a", "b"]}, "users": [{"n": 1}, [2]]},
            [("server.port: 80\nserver.names: a, b\nusers[0].n: 1\nusers[1]: 2", None, {})],
        ),
        (["a", "b"], [("a, b", None, {})]),
        ("text", [("text", None, {})]),
    ],
    ids=["list", "list inside", "record", "settings", "texts", "text"],
)
def test_json(tmp_path, content, expected):
    assert records(write(tmp_path / "a.json", json.dumps(content))) == expected


def test_broken_json(tmp_path):
    with pytest.raises(InputError, match=r"a\.json cannot be read: it is not JSON"):
        list(read(write(tmp_path / "a.json", "{")))
    assert reported(write(tmp_path / "b.json", '[{"text": "a"}, 3]')) == (
        ["a"],
        ["record 2: it is a int; a record must be an object"],
    )


def test_json_lines_under_the_name_of_json(tmp_path):
    path = write(tmp_path / "a.json", '{"text": "a"}\n\n{"text": "b"}\nbroken\n')
    texts, left_out = reported(path)
    assert texts == ["a", "b"]
    assert left_out[0].startswith("line 4: it is not JSON")


def test_a_value_that_json_does_not_have_costs_its_record_alone(tmp_path):
    path = write(tmp_path / "a.json", '[{"text": "a", "n": NaN}, {"text": "b", "n": 1}]')
    assert reported(path) == (
        ["b"],
        ["record 1: it is not JSON (NaN is not a JSON value); write null"],
    )
    with pytest.raises(InputError, match="Infinity is not a JSON value"):
        list(read(write(tmp_path / "b.json", '{"a": [1, -Infinity]}')))


def test_what_stands_beside_the_records_is_a_passage_of_its_own(tmp_path):
    answer = {"page": 3, "data": [{"name": "x"}], "meta": {"licence": "MIT", "tags": ["a", "b"]}}
    assert records(write(tmp_path / "a.json", json.dumps(answer))) == [
        ("x", None, {"page": 3}),
        ("meta.licence: MIT\nmeta.tags: a, b", None, {}),
    ]


# CSV


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            'id,text,lang\n1,"a, b\nc",en\n,d,zh\n',
            [("a, b\nc", "1", {"lang": "en"}), ("d", None, {"lang": "zh"})],
        ),
        (
            "ID;Text\n1;a, b, c\n",
            [("a, b, c", "1", {})],
        ),
        (
            "question,answer\nWhy?,So.\nHow?,\n",
            [
                ("question: Why?\nanswer: So.", None, {"question": "Why?", "answer": "So."}),
                ("question: How?", None, {"question": "How?", "answer": ""}),
            ],
        ),
        (
            "sep=;\r\nsku;name\r\n1;Anvil, big\r\n",
            [("sku: 1\nname: Anvil, big", None, {"sku": "1", "name": "Anvil, big"})],
        ),
        ("\ufeff\n\nnote\nBonn, on the Rhine\n", [("Bonn, on the Rhine", None, {})]),
        (
            "a|a|\nx|y|z\n",
            [("a: x\na (2): y\ncolumn 3: z", None, {"a": "x", "a (2)": "y", "column 3": "z"})],
        ),
        ('"a, b";c\nx, y;z\n', [("a, b: x, y\nc: z", None, {"a, b": "x, y", "c": "z"})]),
        ("text,more\nx\n\n , \ny,z,,\n", [("x", None, {"more": None}), ("y", None, {"more": "z"})]),
        ("text\n", []),
        ("", []),
    ],
    ids=[
        *("quoted", "cases", "all columns", "sep=", "one column", "odd names", "quoted header"),
        *("short and long rows", "no row", "empty"),
    ],
)
def test_csv(tmp_path, content, expected):
    assert records(write(tmp_path / "a.csv", content)) == expected


def test_text_columns_of_csv(tmp_path):
    path = write(tmp_path / "a.csv", "city,note,n\nBonn,long,1\n")
    assert records(path, ReadOptions(text_columns=("City",))) == [
        ("Bonn", None, {"note": "long", "n": "1"})
    ]
    assert (
        records(path, ReadOptions(text_columns=("note", "city")))[0][0] == "note: long\ncity: Bonn"
    )
    with pytest.raises(InputError, match=r"no column 'c'; it has \['city', 'note', 'n'\]"):
        list(read(path, ReadOptions(text_columns=("c",))))


def test_columns_that_are_not_searched_are_named(tmp_path, caplog):
    path = write(tmp_path / "a.csv", "id,text,lang\n1,x,en\n")
    with caplog.at_level(logging.WARNING, logger="trivec"):
        list(read(path))
    assert "'text' alone is searched, and ['lang'] are metadata" in caplog.text


def test_tsv_and_a_cell_longer_than_the_csv_module_takes(tmp_path):
    long = "x" * 200_000
    assert records(write(tmp_path / "a.tsv", f"text\tn\n{long}\t1\n")) == [(long, None, {"n": "1"})]


def test_a_broken_row_costs_no_other_and_its_line_is_named(tmp_path):
    rows = [
        "id,text",
        '1,"two\nlines"',
        '2,"never closed',
        "3,fine",
        '4,"a"b',
        "5,one,two,three",
        '6,"closed, at last"',
    ]
    path = write(tmp_path / "a.csv", "\r\n".join(rows))
    texts, left_out = reported(path)
    assert texts == ["two\nlines", "fine", "closed, at last"]
    assert [one.split(":")[0] for one in left_out] == ["line 4", "line 6", "line 7"]
    assert [one.origin["row"] for one in read(path, on_left_out=lambda _: None)] == [2, 4, 7]


def test_many_broken_rows_are_no_quadratic_time(tmp_path):
    path = write(tmp_path / "a.csv", "id,text\n" + '1,"x\n' * 2001)
    texts, left_out = reported(path)
    assert len(texts) + len(left_out) >= 1000
    path = write(tmp_path / "b.csv", "id,text\n" + '1,"x\n2,y\n' * 100_001)
    left_out = reported(path)[1]
    assert "the rest of the file is left out" in left_out[-1] or len(left_out) > 1000


# Office documents, books, mail


def test_docx(tmp_path):
    table = [["sku", "price", "stock"], ["A1", "", 7]]
    path = write_docx(
        tmp_path / "a.docx", (1, "XR-200"), "Intro.", (2, "Warranty"), "Five years.", table
    )
    document = only(path)
    assert headings(document) == [(1, "XR-200"), (2, "Warranty")]
    assert "| A1 |  | 7 |" in document.text


def test_odt_epub_rtf_eml(tmp_path):
    odt = only(write_odt(tmp_path / "a.odt", "Head", "Some text."))
    epub = only(write_epub(tmp_path / "a.epub", "Book", "Head", "Some text."))
    assert headings(odt) == headings(epub) == [(1, "Head")]
    assert epub.metadata["title"] == "Book"
    rtf = only(write(tmp_path / "a.rtf", r"{\rtf1\ansi Some \u20013? text.\par}"))
    mail = write(tmp_path / "a.eml", "From: a@example.org\nSubject: Hello\n\nSome text.\n")
    assert "Some 中 text." in rtf.text
    assert "Hello" in only(mail).text
    assert "Some text." in only(mail).text


def test_pptx_slides(tmp_path):
    table = [["sku", "price"], ["A|1", ""]]
    path = write_pptx(
        tmp_path / "a.pptx", ("Warranty", "Five\nyears", "Say it slowly"), table=table
    )
    first, second = read(path)
    assert headings(first) == [(1, "Warranty")]
    assert first.text == "Warranty\n\nFive\nyears\n\nSay it slowly"
    assert (first.origin, second.origin) == ({"slide": 1}, {"slide": 2})
    assert second.text == "| sku | price |\n| --- | --- |\n| A\\|1 |  |"


def test_xlsx_rows(tmp_path):
    day = datetime(2024, 5, 1)  # noqa: DTZ001  # Excel knows no zones
    path = write_xlsx(
        tmp_path / "a.xlsx",
        Prices=[["sku", "price", "since"], ["A1", 12.5, day], [], ["B2", None, None]],
        Notes=[["ID", "Text"], [7, "note"], [8, "x", "surplus"]],
    )
    texts, left_out = reported(path)
    assert texts == ["sku: A1\nprice: 12.5\nsince: 2024-05-01", "sku: B2", "note"]
    documents = list(read(path, on_left_out=lambda _: None))
    assert [one.origin for one in documents] == [
        {"sheet": "Prices", "row": 2},
        {"sheet": "Prices", "row": 4},
        {"sheet": "Notes", "row": 2},
    ]
    assert documents[0].metadata["price"] == 12.5
    assert documents[2].id == "7"
    assert left_out[0].startswith("sheet 'Notes', row 3: it has 3 cells")


@pytest.mark.parametrize("suffix", [".docx", ".odt", ".epub", ".pptx", ".xlsx"])
@pytest.mark.parametrize("content", [b"PK\x03\x04 cut off", b"no package", b""])
def test_damaged_packages(tmp_path, suffix, content):
    with pytest.raises(InputError, match=r"cannot be read: it cannot be read as"):
        list(read(write(tmp_path / f"a{suffix}", content)))


def test_encrypted_packages_are_named(tmp_path):
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512)
    with pytest.raises(InputError, match="encrypted, or of an old format"):
        list(read(write(tmp_path / "a.docx", ole)))


# All


def test_a_file_that_no_reader_knows(tmp_path):
    with pytest.raises(InputError, match=r"a\.mp3 has no suffix .* allowed: \.txt"):
        list(read(write(tmp_path / "a.mp3", "")))
    with pytest.raises(InputError, match=r"missing\.txt cannot be read: No such file"):
        list(read(tmp_path / "missing.txt"))


def test_pipes_and_devices_are_refused_without_reading_them(tmp_path):
    os.mkfifo(tmp_path / "a.txt")
    (tmp_path / "b.txt").symlink_to("/dev/zero")
    for name in ("a.txt", "b.txt"):
        with pytest.raises(InputError, match="not a regular file"):
            list(read(tmp_path / name))


@pytest.mark.parametrize(
    ("suffix", "package", "extra"),
    [
        (".md", "markdown_it", "files"),
        (".html", "lxml", "files"),
        (".pdf", "pypdfium2", "files"),
        (".docx", "kreuzberg", "documents"),
        (".pptx", "pptx", "documents"),
        (".xlsx", "openpyxl", "documents"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, suffix, package, extra):
    from trivec.ingest.formats import markdown

    monkeypatch.setitem(sys.modules, package, None)
    markdown._parser.cache_clear()
    with pytest.raises(MissingDependencyError, match=rf"pip install 'trivec\[{extra}\]'") as raised:
        list(read(write(tmp_path / f"a{suffix}", "x")))
    assert raised.value.package == package


@pytest.mark.parametrize("suffix", [".log", ".yaml", ".xml", ".tex", ".py", ".SQL"])
def test_other_texts_are_read_as_they_are_written(tmp_path, suffix):
    written = "<a>\n  # not a heading\n\n\tb: 1  \n"
    [document] = read(write(tmp_path / f"a{suffix}", written))
    assert (document.text, document.blocks, document.metadata) == (written, (), {})


NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "source": ["# Pumps\n", "\n", "How they *run*."]},
        {
            "cell_type": "code",
            "source": "print('```')",
            "outputs": [{"output_type": "stream", "text": ["a secret output"]}],
        },
        {"cell_type": "code", "source": []},
        {"cell_type": "raw", "source": "as it is"},
    ],
    "metadata": {"language_info": {"name": "python"}},
    "nbformat": 4,
}


def test_a_notebook_is_read_by_its_cells(tmp_path):
    [document] = read(write(tmp_path / "a.ipynb", json.dumps(NOTEBOOK)))
    assert document.text == (
        "# Pumps\n\nHow they *run*.\n\n````python\nprint('```')\n````\n\nas it is\n"
    )
    assert document.metadata == {"title": "Pumps"}
    assert [block.kind for block in document.blocks] == ["heading", "text", "code", "text"]


@pytest.mark.parametrize(
    "cells",
    [[None, 3, "x", {}], [{"source": 3}, {"cell_type": "code", "source": [None, {}]}], []],
)
@pytest.mark.parametrize("metadata", [None, [], {"language_info": 3}, {"kernelspec": {}}])
def test_odd_cells_of_a_notebook_hold_nothing(tmp_path, cells, metadata):
    odd = {"cells": cells, "metadata": metadata}
    [document] = read(write(tmp_path / "a.ipynb", json.dumps(odd)))
    assert document.text.strip() == ""


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"cells": 3}', "[" * 100_000])
def test_what_is_no_notebook_is_refused(tmp_path, text):
    with pytest.raises(InputError, match=r"a\.ipynb cannot be read: it (is not JSON|has no cells)"):
        list(read(write(tmp_path / "a.ipynb", text)))


def test_every_format_is_documented():
    from trivec.ingest import readers

    assert all(f"``{suffix}``" in str(readers.__doc__) for suffix in SUFFIXES)
    page = Path(__file__, "../../../docs/files.md").resolve().read_text("utf-8")
    assert all(f"`{suffix}`" in page for suffix in SUFFIXES)
