"""Mail as it is sent: any encoding, plain or HTML, with attachments."""

from __future__ import annotations

from email.message import EmailMessage

import pytest
from tests.corpus import write

from trivec.errors import InputError
from trivec.ingest import LeftOut, read


def opened(path):
    left_out: list[LeftOut] = []
    (document,) = read(path, on_left_out=left_out.append)
    return document, left_out


@pytest.mark.parametrize("charset", ["gb2312", "gbk", "gb18030", "utf-8"])
@pytest.mark.parametrize("transfer", ["base64", "8bit", "quoted-printable"])
def test_chinese_mail(tmp_path, charset, transfer):
    import base64
    import quopri

    content = "产品保修期为两年，请联系经销商。".encode(charset)
    encoded = {"base64": base64.encodebytes, "8bit": bytes, "quoted-printable": quopri.encodestring}
    subject = base64.b64encode("保修".encode(charset)).decode()
    head = (
        f"Subject: =?{charset}?B?{subject}?=\r\nFrom: a@example.org\r\n"
        f"Content-Type: text/plain; charset={charset}\r\n"
        f"Content-Transfer-Encoding: {transfer}\r\n\r\n"
    )
    document, left_out = opened(
        write(tmp_path / "a.eml", head.encode() + encoded[transfer](content))
    )
    assert document.text == "保修\n\nFrom: a@example.org\n\n产品保修期为两年，请联系经销商。"
    assert document.metadata == {"title": "保修"}
    assert not left_out


def test_a_wider_encoding_than_declared_and_bare_bytes_in_the_subject(tmp_path):
    head = b"Subject: " + "镕基的邮件".encode("gbk")
    head += b"\r\nContent-Type: text/plain; charset=gb2312\r\n\r\n"
    document, _ = opened(write(tmp_path / "a.eml", head + "镕基的正文".encode("gbk")))
    assert document.text == "镕基的邮件\n\n镕基的正文"


def test_an_encoding_that_is_not_sure_is_refused(tmp_path):
    path = write(tmp_path / "a.eml", b"Subject: x\r\n\r\n\xfe\xff\x81")
    with pytest.raises(InputError, match="its encoding is not sure"):
        list(read(path))


def test_html_mail_keeps_the_rows_of_its_tables(tmp_path):
    mail = EmailMessage()
    mail["Subject"] = "Stock"
    mail.set_content("<table><tr><td>Anvil</td><td></td><td>7</td></tr></table>", subtype="html")
    document, _ = opened(write(tmp_path / "a.eml", bytes(mail)))
    assert document.text == "Stock\n\n| Anvil |  | 7 |"
    assert [one.kind for one in document.blocks] == ["heading", "table"]
    mail.set_content(" \n")  # a plain text that says nothing
    mail.add_alternative("<p>The word.</p>", subtype="html")
    assert "The word." in opened(write(tmp_path / "b.eml", bytes(mail)))[0].text


def test_attached_messages_are_read_and_other_attachments_are_named(tmp_path):
    inner = EmailMessage()
    inner["Subject"] = "Inner"
    inner.set_content("Inner words.")
    mail = EmailMessage()
    mail["Subject"] = "Outer"
    mail["Date"] = "Wed, 15 Jan 2020 10:00:00 +0800"
    mail.set_content("Outer words.")
    mail.add_attachment(inner)
    mail.add_attachment("text", filename="Angebot März.txt")
    document, left_out = opened(write(tmp_path / "a.eml", bytes(mail)))
    assert document.text == (
        "Outer\n\nDate: Wed, 15 Jan 2020 10:00:00 +0800\n\nOuter words.\n\nInner\n\nInner words."
    )
    for block in document.blocks:
        if block.kind == "heading":
            assert document.text[block.start : block.end] == block.title
    assert [one.where for one in left_out] == ["attachment 'Angebot März.txt'"]
    assert left_out[0].expected


def test_what_is_no_mail(tmp_path):
    with pytest.raises(InputError, match="cannot be read as eml"):
        list(read(write(tmp_path / "a.eml", "just words")))
