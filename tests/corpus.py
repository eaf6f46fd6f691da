"""Files for tests, made by code: every format that is read, every encoding, broken ones."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import openpyxl
import pptx
import pypdf

__all__ = [
    "ENCODED",
    "encrypt",
    "write",
    "write_corpus",
    "write_docx",
    "write_epub",
    "write_odt",
    "write_pdf",
    "write_pptx",
    "write_scan",
    "write_xlsx",
]

Table = Sequence[Sequence[object]]

ENCODED = {
    "utf-8": "The warranty of the XR-200 is five years — 五年。",
    "utf-8-sig": "带签名的文件。",
    "utf-16": "带签名 UTF-16 的文件。",
    "utf-32": "带签名 UTF-32 的文件。",
    "gb18030": "企鹅不会飞，但是它们游得很快。",
    "gbk": "产品保修期为两年，请联系经销商。",
    "big5": "產品保固期為兩年，請洽經銷商。",
    "shift_jis": "この製品の保証期間は二年です。",
    "euc_jp": "東京タワーの高さは三百三十三メートルです。",
    "iso2022_jp": "日本語の文章です。",
    "euc_kr": "이 제품의 보증 기간은 2년입니다.",
    "koi8_r": "Гарантия на изделие составляет два года.",
    "cp1251": "Гарантия на изделие составляет два года.",
    "cp1252": "Die Gewährleistung für große Geräte beträgt zwölf Monate. Größe und Qualität.",
    "cp1253": "Η εγγύηση του προϊόντος είναι δύο χρόνια.",
    "cp1256": "مدة الضمان سنتان من تاريخ الشراء.",
}
"""A text for every encoding that is recognised."""


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_pdf(path: Path, *pages: Iterable[tuple[float, float, str]], title: str = "") -> Path:
    """Write a PDF of lines: x, y from below and text; 12 points, Latin or Chinese."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
        (
            b"<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H"
            b" /DescendantFonts [5 0 R] >>"
        ),
        (
            b"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /DW 1000"
            b" /CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 0 >> >>"
        ),
        b"<< /Title <feff%s> >>" % title.encode("utf-16-be").hex().encode(),
    ]
    kids = []
    for lines in pages:
        stream = b"BT " + b" ".join(_shown(*line) for line in lines) + b" ET"
        objects.append(b"<< /Length %d >> stream\n%s\nendstream" % (len(stream), stream))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents %d 0 R"
            b" /Resources << /Font << /L 3 0 R /H 4 0 R >> >> >>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(kids), b" ".join(kids))
    return write(path, _pdf(objects, b"/Root 1 0 R /Info 6 0 R"))


def _shown(x: float, y: float, text: str) -> bytes:
    if text.isascii():
        escaped = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
        return f"/L 12 Tf 1 0 0 1 {x} {y} Tm ({escaped}) Tj".encode()
    return f"/H 12 Tf 1 0 0 1 {x} {y} Tm <{text.encode('utf-16-be').hex()}> Tj".encode()


def _pdf(objects: Sequence[bytes], trailer: bytes) -> bytes:
    file = io.BytesIO()
    file.write(b"%PDF-1.7\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(file.tell())
        file.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))
    start = file.tell()
    file.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    file.writelines(b"%010d 00000 n \n" % place for place in places)
    file.write(b"trailer << /Size %d %s >>\n" % (len(objects) + 1, trailer))
    file.write(b"startxref\n%d\n%%%%EOF\n" % start)
    return file.getvalue()


def write_scan(path: Path) -> Path:
    """Write a PDF of three pages: a picture without text, nothing, and a line of text."""
    line = b"BT /L 12 Tf 1 0 0 1 50 700 Tm (The last page has text.) Tj ET"
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Resources 3 0 R"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count 3 /Kids [6 0 R 7 0 R 9 0 R] >>",
        (
            b"<< /XObject << /I 4 0 R >> /Font << /L << /Type /Font /Subtype /Type1"
            b" /BaseFont /Courier >> >> >>"
        ),
        (
            b"<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /BitsPerComponent 8"
            b" /ColorSpace /DeviceGray /Length 1 >> stream\n\x80\nendstream"
        ),
        b"<< /Length 27 >> stream\nq 600 0 0 800 0 0 cm /I Do Q\nendstream",
        page + b" /Contents 5 0 R >>",
        page + b" >>",
        b"<< /Length %d >> stream\n%s\nendstream" % (len(line), line),
        page + b" /Contents 8 0 R >>",
    ]
    return write(path, _pdf(objects, b"/Root 1 0 R"))


def encrypt(path: Path, password: str) -> Path:
    """Encrypt a PDF file in place."""
    writer = pypdf.PdfWriter(clone_from=path)
    writer.encrypt(password, algorithm="RC4-128")
    writer.write(path)
    return path


WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006"


def write_docx(path: Path, *parts: str | tuple[int, str] | Table) -> Path:
    """Write a Word file: paragraphs, headings as (level, text), tables as lists of rows."""
    body = "".join(_word(part) for part in parts)
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="Heading{level}"><w:name w:val="heading {level}"/>'
        f'<w:pPr><w:outlineLvl w:val="{level - 1}"/></w:pPr></w:style>'
        for level in range(1, 4)
    )
    return _package(
        path,
        {
            "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.'
            'relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
            '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-'
            'officedocument.wordprocessingml.document.main+xml"/></Types>',
            "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1"'
            f' Type="{OFFICE}/relationships/officeDocument" Target="word/document.xml"/>'
            "</Relationships>",
            "word/_rels/document.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
            f'<Relationship Id="r1" Type="{OFFICE}/relationships/styles" Target="styles.xml"/>'
            "</Relationships>",
            "word/styles.xml": f"<w:styles {WORD}>{styles}</w:styles>",
            "word/document.xml": f"<w:document {WORD}><w:body>{body}</w:body></w:document>",
        },
    )


def _word(part: str | tuple[int, str] | Table) -> str:
    if isinstance(part, str):
        return f"<w:p><w:r><w:t>{part}</w:t></w:r></w:p>"
    if isinstance(part, tuple):
        style = f'<w:pPr><w:pStyle w:val="Heading{part[0]}"/></w:pPr>'
        return f"<w:p>{style}<w:r><w:t>{part[1]}</w:t></w:r></w:p>"
    rows = (
        "".join(f"<w:tc>{_word(str(cell))}</w:tc>" for cell in row)  # a cell holds paragraphs
        for row in part
    )
    return "<w:tbl>" + "".join(f"<w:tr>{row}</w:tr>" for row in rows) + "</w:tbl>"


def write_odt(path: Path, heading: str, paragraph: str) -> Path:
    namespace = "urn:oasis:names:tc:opendocument:xmlns:"
    return _package(
        path,
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": f'<office:document-content xmlns:office="{namespace}office:1.0"'
            f' xmlns:text="{namespace}text:1.0"><office:body><office:text>'
            f'<text:h text:outline-level="1">{heading}</text:h><text:p>{paragraph}</text:p>'
            "</office:text></office:body></office:document-content>",
        },
    )


def write_epub(path: Path, title: str, heading: str, paragraph: str) -> Path:
    return _package(
        path,
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container version="1.0" xmlns="urn:oasis:names:tc:'
            'opendocument:xmlns:container"><rootfiles><rootfile full-path="book.opf"'
            ' media-type="application/oebps-package+xml"/></rootfiles></container>',
            "book.opf": '<package xmlns="http://www.idpf.org/2007/opf" version="3.0">'
            f'<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title>'
            '</metadata><manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>'
            '</manifest><spine><itemref idref="a"/></spine></package>',
            "a.xhtml": '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>a</title></head>'
            f"<body><h1>{heading}</h1><p>{paragraph}</p></body></html>",
        },
    )


def _package(path: Path, parts: Mapping[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in parts.items():
            declared = content if name == "mimetype" else f'<?xml version="1.0"?>{content}'
            package.writestr(name, declared)
    return path


def write_pptx(path: Path, *slides: tuple[str, str, str], table: Table = ()) -> Path:
    """Write slides of title, text and notes; the table stands on a slide of its own."""
    presentation = pptx.Presentation()
    for title, text, notes in slides:
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = text
        slide.notes_slide.notes_text_frame.text = notes
    if table:
        slide = presentation.slides.add_slide(presentation.slide_layouts[6])
        frame = slide.shapes.add_table(len(table), len(table[0]), 0, 0, 3_000_000, 1_000_000)
        for number, row in enumerate(table):
            for column, value in enumerate(row):
                frame.table.cell(number, column).text = str(value)
    presentation.save(str(path))
    return path


def write_xlsx(path: Path, **sheets: Table) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    book.save(path)
    return path


SECRETS = (
    "The secret of this file is {}.",
    "这个文件的秘密是 {}。",
    "Das Geheimnis dieser Datei lautet {}, größer als gedacht.",
    "このファイルの秘密は {} です。",
    "Секрет этого файла — {}.",
    "이 파일의 비밀은 {} 입니다.",
    "سر هذا الملف هو {}.",
)
"""A sentence in several languages; what a copy of the corpus says."""


def write_corpus(folder: Path, *, copies: int = 1) -> dict[str, str]:
    """Write a folder of every format and encoding, and broken files beside them.

    Returns:
        For every file that can be read, by its path within the folder, a word that it alone holds.
    """
    words: dict[str, str] = {}
    for copy in range(copies):
        for name, code in _good_files(folder / f"{copy:02}", copy):
            words[f"{copy:02}/{name}"] = code
    write(folder / "broken" / "broken.pdf", b"%PDF-1.7\n1 0 obj\n<<")
    write(folder / "broken" / "broken.docx", b"PK\x03\x04 cut off")
    write(folder / "broken" / "unsure.txt", "café".encode("latin-1"))
    return words


ASCII_ALONE = ("rtf", "eml", "pdf")
"""Formats that are written here without an encoding or a font for other languages."""


def _good_files(folder: Path, copy: int) -> Iterable[tuple[str, str]]:
    folder.mkdir(parents=True, exist_ok=True)

    def word(kind: str) -> str:
        return f"{kind}word{copy}"

    def text(kind: str) -> str:
        said = SECRETS[copy % len(SECRETS)] if kind not in ASCII_ALONE else SECRETS[0]
        return said.format(word(kind))

    for name, sample in ENCODED.items():
        kind = name.replace("-", "").replace("_", "")
        write(folder / f"{kind}.txt", f"{sample * 3} {word(kind)}".encode(name))
        yield f"{kind}.txt", word(kind)
    plain = {
        "a.md": f"# Handbook\n\n## Part\n\n{text('md')}\n",
        "a.rst": f"Handbook\n========\n\n{text('rst')}\n",
        "a.html": f"<title>Page</title><nav>Menu</nav><h1>Head</h1><p>{text('html')}</p>",
        "a.csv": f'sku,name\n1,"{text("csv")}"\n',
        "a.tsv": f"sku\tname\n1\t{text('tsv')}\n",
        "a.json": json.dumps([{"text": text("json")}]),
        "a.jsonl": json.dumps({"question": "What?", "answer": text("jsonl")}),
        "a.rtf": rf"{{\rtf1\ansi {text('rtf')}\par}}",
        "a.eml": f"From: a@example.org\nSubject: Mail\n\n{text('eml')}\n",
    }
    for name, content in plain.items():
        write(folder / name, content)
        yield name, word(name[2:])
    write_pdf(folder / "a.pdf", [(50, 700, text("pdf"))])
    write_docx(folder / "a.docx", (1, "Head"), text("docx"))
    write_odt(folder / "a.odt", "Head", text("odt"))
    write_epub(folder / "a.epub", "Book", "Head", text("epub"))
    write_pptx(folder / "a.pptx", ("Head", text("pptx"), "Notes"))
    write_xlsx(folder / "a.xlsx", Sheet=[["sku", "name"], [1, text("xlsx")]])
    for kind in ("pdf", "docx", "odt", "epub", "pptx", "xlsx"):
        yield f"a.{kind}", word(kind)
