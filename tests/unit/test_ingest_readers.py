"""Reading files: every format, every encoding, every way in which a file can be broken."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pypdf
import pytest
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from trivec.errors import InputError
from trivec.ingest import SUFFIXES, Document, ReadOptions, chunks, find_files, read
from trivec.types import Chunk


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_pdf(path: Path, *pages: str, title: str | None = None, password: str = "") -> Path:
    writer = pypdf.PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for text in pages:
        page = writer.add_blank_page(300, 300)
        fonts = DictionaryObject({NameObject("/F1"): font})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET".encode())
        page[NameObject("/Contents")] = stream
    if title:
        writer.add_metadata({"/Title": title})
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    writer.write(path)
    return path


def test_txt(tmp_path):
    assert list(read(write(tmp_path / "a.TXT", "第一行\r\nline"))) == [Document("第一行\nline")]


def test_markdown_has_its_first_heading_as_title(tmp_path):
    path = write(tmp_path / "a.md", "intro\n\n## A *title* ##\n\n# Other\n")
    (document,) = read(path)
    assert document.metadata == {"title": "A *title*"}
    assert document.markdown


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("\ufeff带签名".encode(), "带签名"),
        ("带签名 utf-16".encode("utf-16"), "带签名 utf-16"),
        ("café noir".encode("latin-1"), None),
        ("中文编码，没有声明。".encode("gb18030"), "中文编码，没有声明。"),
        ("中文编码".encode("gbk"), "中文编码"),
    ],
    ids=["utf-8-sig", "utf-16", "latin-1", "gb18030", "gbk"],
)
def test_encodings(tmp_path, content, text):
    path = write(tmp_path / "a.txt", content)
    if text is None:
        with pytest.raises(InputError, match=r"a\.txt is neither UTF-8 nor GB18030"):
            list(read(path))
    else:
        assert [document.text for document in read(path)] == [text]


def test_what_was_assumed_is_logged_without_the_text(tmp_path, caplog):
    path = write(tmp_path / "a.txt", "机密".encode("gb18030"))
    with caplog.at_level(logging.WARNING, logger="trivec"):
        list(read(path))
    assert caplog.messages == [f"{path} is not UTF-8 and is read as GB18030"]


def test_a_given_encoding(tmp_path):
    path = write(tmp_path / "a.txt", "繁體中文".encode("big5"))
    assert [one.text for one in read(path, ReadOptions(encoding="big5"))] == ["繁體中文"]
    for encoding, message in (("utf-8", "not in the encoding 'utf-8'"), ("klingon", "unknown")):
        with pytest.raises(InputError, match=message):
            list(read(path, ReadOptions(encoding=encoding)))


HTML = """<!doctype html><html><head><title> The
 title </title><style>p {color: red}</style></head><body><script>alert(1)</script>
<h1>Head</h1><p>H<sub>2</sub>O is <b>wet</b>,
even cold.<br>New line</p><!-- hidden --><ul><li>one</li><li>two</li></ul>
<pre>a
  b</pre></body></html>"""


def test_html_reads_as_a_browser_shows_it(tmp_path):
    (document,) = read(write(tmp_path / "a.html", HTML))
    assert document.metadata == {"title": "The title"}
    lines = [line.rstrip() for line in document.text.splitlines() if line.strip()]
    assert lines == ["Head", "H2O is wet, even cold.", "New line", "one", "two", "a", "  b"]


@pytest.mark.parametrize("declared", ["gb2312", "gb18030", None])
def test_html_in_chinese_encodings(tmp_path, declared):
    meta = f'<meta charset="{declared}">' if declared else ""
    content = f"<html><head>{meta}</head><body><p>镕基，中文。</p></body></html>"
    (document,) = read(write(tmp_path / "a.htm", content.encode("gb18030")))
    assert document.text == "镕基，中文。"


@pytest.mark.parametrize("content", ["", "plain.html", '<?xml version="1.0"?><html>x</html>'])
def test_odd_html_warns_of_nothing(tmp_path, content):
    assert len(list(read(write(tmp_path / "a.html", content)))) == 1


def test_pdf_pages(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", "First page", "Second page", title="Manual")
    assert list(read(path)) == [
        Document("First page", metadata={"page": 1, "title": "Manual"}),
        Document("Second page", metadata={"page": 2, "title": "Manual"}),
    ]


def test_pdf_with_a_password(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", "secret", password="pw")  # noqa: S106  # of the test
    with pytest.raises(InputError, match=r"a\.pdf is encrypted with a password"):
        list(read(path))


@pytest.mark.parametrize("content", [b"", b"no pdf", b"%PDF-1.7\n1 0 obj\n<<"])
def test_damaged_pdf(tmp_path, content):
    with pytest.raises(InputError, match=r"a\.pdf cannot be read as PDF"):
        list(read(write(tmp_path / "a.pdf", content)))


def test_jsonl_records(tmp_path):
    records = [
        {"text": "one", "id": 7, "metadata": {"lang": "zh"}, "year": 2020},
        {"content": "two\u2028still two", "id": "x"},
        {"page_content": "three", "metadata": "a note"},
    ]
    lines = "\n\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    assert list(read(write(tmp_path / "a.jsonl", lines))) == [
        Document("one", "7", {"lang": "zh", "year": 2020}),
        Document("two\u2028still two", "x", {}),
        Document("three", None, {"metadata": "a note"}),
    ]


def test_jsonl_with_a_key_of_its_own(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"body": "x", "text": "other"}')
    (document,) = read(path, ReadOptions(text_column="body"))
    assert document == Document("x", None, {"text": "other"})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 is not JSON"),
        ("[1]", "line 2 is a list"),
        ('{"title": "no text"}', r"line 2 has no text under text or content or page_content"),
        ('{"text": 3}', "line 2 has no text"),
        ("[" * 100_000, "line 2 is not JSON"),
    ],
)
def test_broken_jsonl_names_the_line(tmp_path, line, message):
    path = write(tmp_path / "a.jsonl", '{"text": "fine"}\n' + line)
    with pytest.raises(InputError, match=message):
        list(read(path))


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        (
            'id,text,lang\n1,"a, b\nc",en\n,d,zh\n',
            ReadOptions(),
            [Document("a, b\nc", "1", {"lang": "en"}), Document("d", None, {"lang": "zh"})],
        ),
        (
            "city;note\nBonn;a long note, with commas\nUlm;short\n",
            ReadOptions(),
            [
                Document("a long note, with commas", None, {"city": "Bonn"}),
                Document("short", None, {"city": "Ulm"}),
            ],
        ),
        (
            "city,note\nBonn,a long note\n",
            ReadOptions(text_column="city"),
            [Document("Bonn", None, {"note": "a long note"})],
        ),
        ("text\nx,extra,cells\n", ReadOptions(), [Document("x")]),
        ("text,more\nx\n", ReadOptions(), [Document("x", None, {"more": None})]),
        ("text\n", ReadOptions(), []),
        ("", ReadOptions(), []),
    ],
    ids=["quoted", "semicolons", "given column", "long row", "short row", "no row", "empty"],
)
def test_csv(tmp_path, content, options, expected):
    assert list(read(write(tmp_path / "a.csv", content), options)) == expected


def test_tsv_and_a_cell_longer_than_the_csv_module_takes(tmp_path):
    long = "x" * 200_000
    path = write(tmp_path / "a.tsv", f"text\tn\n{long}\t1\n")
    assert list(read(path)) == [Document(long, None, {"n": "1"})]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("a,b\n1,2\n", ReadOptions(text_column="c"), r"no column 'c'; it has \['a', 'b'\]"),
        ('text\n"never closed\n', ReadOptions(), r"a\.csv, line \d: unexpected end"),
    ],
)
def test_broken_csv(tmp_path, content, options, message):
    with pytest.raises(InputError, match=message):
        list(read(write(tmp_path / "a.csv", content), options))


def test_a_file_that_no_reader_knows(tmp_path):
    with pytest.raises(InputError, match=r"a\.docx has no suffix .* allowed: \.txt"):
        list(read(write(tmp_path / "a.docx", "")))
    with pytest.raises(InputError, match=r"missing\.txt cannot be read"):
        list(read(tmp_path / "missing.txt"))


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


def test_a_folder_is_walked_in_order_and_nothing_is_dropped_silently(folder):
    skipped = []
    found = list(find_files([folder], on_skip=lambda path, reason: skipped.append((path, reason))))
    assert found == [folder / "b.txt", folder / "empty.txt", folder / "a" / "z.md"]
    assert skipped == [(folder / "photo.jpg", "no reader for this suffix")]


def test_an_empty_folder_is_reported(folder):
    skipped = []
    assert not list(find_files([folder / "nothing"], on_skip=lambda *one: skipped.append(one)))
    assert skipped == [(folder / "nothing", "the folder holds no file that can be read")]


@pytest.mark.parametrize("name", ["missing", "photo.jpg"])
def test_a_path_that_was_named_must_be_readable(folder, name):
    with pytest.raises(InputError, match=name):
        list(find_files([folder / name]))


def test_passages_of_a_folder(folder, caplog):
    with caplog.at_level(logging.WARNING, logger="trivec"):
        passages = list(chunks([folder], len, max_tokens=8, root=folder))
    assert passages == [
        Chunk("Bees.", source="b.txt", position=0),
        Chunk("Birds.", source="b.txt", position=1),
        Chunk("# Zebra", source="a/z.md", position=0, metadata={"title": "Zebra"}),
        Chunk("stripes", source="a/z.md", position=1, metadata={"title": "Zebra"}),
    ]
    assert [message.split(" is left out")[0] for message in caplog.messages] == [
        str(folder / "empty.txt"),
        str(folder / "photo.jpg"),
    ]


def test_sources_do_not_depend_on_how_the_path_was_given(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    ways = [["docs/b.txt"], [folder / "b.txt"], ["./docs/../docs/b.txt"]]
    assert {one.source for way in ways for one in chunks(way, len)} == {"docs/b.txt"}
    assert {one.source for one in chunks([folder / "b.txt"], len, root=folder / "a")} == {
        (folder / "b.txt").as_posix()
    }


def test_ids_of_records_are_kept_and_numbered_when_split(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "Bees.", "id": 1}\n{"text": "A b. C d.", "id": 2}')
    assert [(one.id, one.position) for one in chunks([path], len, max_tokens=5)] == [
        ("1", 0),
        ("2#0", 1),
        ("2#1", 2),
    ]


def test_positions_run_through_all_pages(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", "One. Two.", "Three.")
    found = [(one.position, one.metadata["page"]) for one in chunks([path], len, max_tokens=6)]
    assert found == [(0, 1), (1, 1), (2, 2)]


def test_text_is_cleaned(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "a\\u0000b\\ud800"}')
    assert [one.text for one in chunks([path], len)] == ["ab\ufffd"]


def test_an_unreadable_file_is_skipped_only_when_that_is_reported(tmp_path):
    write(tmp_path / "a.pdf", "no pdf")
    write(tmp_path / "b.txt", "fine")
    with pytest.raises(InputError, match=r"a\.pdf"):
        list(chunks([tmp_path], len))
    skipped = {}
    found = list(chunks([tmp_path], len, on_skip=skipped.__setitem__))
    assert [one.text for one in found] == ["fine"]
    assert list(skipped) == [tmp_path / "a.pdf"]


def test_a_file_in_part_never_passes_for_the_whole(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "first"}\nbroken')
    skipped = {}
    found = []
    with pytest.raises(InputError, match="line 2"):
        found.extend(chunks([path], len, on_skip=skipped.__setitem__))
    assert not skipped


def test_bad_limits_are_no_files_fault(tmp_path):
    write(tmp_path / "a.txt", "fine")
    with pytest.raises(InputError, match="max_tokens=0"):
        list(chunks([tmp_path], len, max_tokens=0, on_skip=lambda *_: pytest.fail("skipped")))


def test_files_are_read_one_at_a_time(tmp_path):
    write(tmp_path / "a.txt", "fine")
    later = write(tmp_path / "b.txt", "gone")
    passages = chunks([tmp_path], len)
    assert next(passages).text == "fine"
    later.unlink()
    with pytest.raises(InputError, match=r"b\.txt"):
        next(passages)


def test_every_format_is_documented():
    from trivec.ingest import readers

    assert all(f"``{suffix}``" in str(readers.__doc__) for suffix in SUFFIXES)
