"""Tables as people save them: without a header, with titles above it, with merged cells."""

from __future__ import annotations

import logging

import openpyxl
import pytest
from tests.corpus import write, write_xlsx

from trivec.ingest import LeftOut, read


def texts(path):
    return [document.text for document in read(path)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("Kabel,12.50\nMaus,9.99\n", ["Kabel\n12.50", "Maus\n9.99"]),
        ("1,Kabel,12.50\n2,Maus,9.99\n", ["1\nKabel\n12.50", "2\nMaus\n9.99"]),
        ("2020-01-01;5\n2020-01-02;6\n", ["2020-01-01\n5", "2020-01-02\n6"]),
        ("Kabel;12,50 €\nMaus;9,99 €\n", ["Kabel\n12,50 €", "Maus\n9,99 €"]),
        ("Bonn,1990\nBerlin,2021\n", ["Bonn\n1990", "Berlin\n2021"]),
        ("1;2;3\n4;5;6\n", ["1\n2\n3", "4\n5\n6"]),
        ("one note alone", ["one note alone"]),
    ],
)
def test_without_a_header_no_row_is_lost(tmp_path, caplog, content, expected):
    with caplog.at_level(logging.WARNING, logger="trivec"):
        assert texts(write(tmp_path / "a.csv", content)) == expected
    assert "its first row holds values" in caplog.text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("country,2019,2020\nDE,5,6\n", ["country: DE\n2019: 5\n2020: 6"]),
        ("city,1,2,3\nBonn,7,8,20\n", ["city: Bonn\n1: 7\n2: 8\n3: 20"]),
        ("question,answer\nWhy?,So.\n", ["question: Why?\nanswer: So."]),
        ("id,1.5,2.5\n1,2,3\n", ["1.5: 2\n2.5: 3"]),
        ("name,price\n", []),
    ],
)
def test_a_header_stays_one(tmp_path, caplog, content, expected):
    with caplog.at_level(logging.WARNING, logger="trivec"):
        assert texts(write(tmp_path / "a.csv", content)) == expected
    assert "its first row holds values" not in caplog.text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("Sales of 2024\n\nname;price\nAnvil;3\nSaw;4\n", ["Sales of 2024"]),
        ("# made by x\n# on Monday\nname,price\nAnvil,3\nSaw,4\n", ["# made by x", "# on Monday"]),
        ("Made,Monday,,,\nname,price,a,b,c\nAnvil,3,,,\nSaw,4,1,1,1\n", ["Made Monday"]),
    ],
)
def test_titles_above_the_header_are_passages_of_their_own(tmp_path, content, expected):
    *titles, first, second = texts(write(tmp_path / "a.csv", content))
    assert titles == expected
    assert first == "name: Anvil\nprice: 3"
    assert second.startswith("name: Saw\nprice: 4")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("text\nHello, world\nBonn, on the Rhine\n", ["Hello, world", "Bonn, on the Rhine"]),
        ("note\nHello, world\nBonn, on the Rhine\n", ["Hello, world", "Bonn, on the Rhine"]),
    ],
)
def test_a_column_of_prose_is_not_parted(tmp_path, content, expected):
    assert texts(write(tmp_path / "a.csv", content)) == expected


def test_spaces_before_a_quote(tmp_path):
    path = write(tmp_path / "a.csv", 'id, text\n1, "quoted, text"\n2, "b"\n')
    assert texts(path) == ["quoted, text", "b"]


def test_excel_titles_rows_without_header_and_lone_notes(tmp_path):
    path = write_xlsx(
        tmp_path / "a.xlsx",
        Sales=[["Sales 2024"], [], ["name", "price"], ["Anvil", 3], ["Saw", 4]],
        Bare=[["Apple", 5], ["Pear", 6]],
        Note=[["Call Ann before Monday"]],
        Empty=[],
        Header=[["name", "price"]],
    )
    left_out: list[LeftOut] = []
    documents = list(read(path, on_left_out=left_out.append))
    assert [(one.origin["sheet"], one.origin["row"], one.text) for one in documents] == [
        ("Sales", 1, "Sales 2024"),
        ("Sales", 4, "name: Anvil\nprice: 3"),
        ("Sales", 5, "name: Saw\nprice: 4"),
        ("Bare", 1, "Apple\n5"),
        ("Bare", 2, "Pear\n6"),
        ("Note", 1, "Call Ann before Monday"),
    ]
    assert [str(one.where) for one in left_out] == ["sheet 'Header'"]
    assert left_out[0].expected


def test_excel_cells_that_are_merged_downwards_and_tables_that_begin_further_down(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    for place, value in {"B3": "region", "C3": "sales", "B4": "North", "C4": 1, "C5": 2}.items():
        sheet[place] = value
    sheet.merge_cells("B4:B5")
    book.save(tmp_path / "a.xlsx")
    documents = list(read(tmp_path / "a.xlsx"))
    assert [(one.text, one.origin["row"]) for one in documents] == [
        ("region: North\nsales: 1", 4),
        ("region: North\nsales: 2", 5),
    ]
    sheet.unmerge_cells("B4:B5")  # nothing is merged now: the sheet is streamed
    book.save(tmp_path / "b.xlsx")
    assert [one.origin["row"] for one in read(tmp_path / "b.xlsx")] == [4, 5]
