"""JSON: the records of a list or of lines; any other value as lines of path and value."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from trivec.errors import InputError
from trivec.ingest.documents import Document, LeftOut, OnLeftOut, ReadOptions
from trivec.ingest.formats.encodings import encoding_of, read_text
from trivec.ingest.formats.records import TEXT_NAMES, Fields, readable

__all__ = ["json_documents", "jsonl_documents"]

LIST_NAMES = frozenset(
    ["data", "documents", "entries", "hits", "items", "records", "results", "rows", "value"]
)
"""What services call the list of records, whatever stands beside it."""

LOOKED_AT = 100
"""Records that decide whether a file has a text field."""


class _Record(NamedTuple):
    value: Mapping[str, Any]
    number: int
    where: str


def jsonl_documents(path: Path, options: ReadOptions, report: OnLeftOut) -> Iterator[Document]:
    """Yield a document for every line; a broken one is reported.

    Raises:
        InputError: the encoding is not sure.
    """
    encoding = encoding_of(path, options.encoding)
    with path.open(encoding=encoding.name, errors=encoding.errors, newline="\n") as file:
        yield from _documents(path, _lines(path, file, report), options, report)


def json_documents(path: Path, options: ReadOptions, report: OnLeftOut) -> Iterator[Document]:
    """Yield a document for every record of a list, or one for the whole value.

    A list of objects, or an object with one such list in it, holds records.

    Raises:
        InputError: it is not JSON, or its encoding is not sure.
    """
    text = read_text(path, options.encoding).removeprefix("\ufeff")
    try:
        value = _parsed(text)
    except InputError:
        if not _holds_lines(text):
            raise
        yield from jsonl_documents(path, options, report)
        return
    records, shared = _list_of_records(value, options)
    if records is not None:
        plain = {name: one for name, one in shared.items() if not isinstance(one, (Mapping, list))}
        _refuse_no_value(shared)
        numbered = _numbered(path, records, report)
        yield from _documents(path, numbered, options, report, plain)
        beside = {name: one for name, one in shared.items() if name not in plain}
        if lines := "\n".join(_paths(beside)):
            yield Document(lines, where=f"beside the records, {', '.join(map(repr, beside))}")
        return
    _refuse_no_value(value)
    if isinstance(value, Mapping) and _has_text(value, options):
        yield _document(_fields(value, options), _Record(value, 1, "record 1"), {})
    else:
        yield Document("\n".join(_paths(value)))


def _holds_lines(text: str) -> bool:
    """Say whether a text is JSON Lines: an object in each of the first two lines."""
    first = list(islice((line for line in text.split("\n") if line.strip()), 2))
    try:
        return len(first) == 2 and all(isinstance(_parsed(line), Mapping) for line in first)
    except InputError:
        return False


def _lines(path: Path, file: Iterable[str], report: OnLeftOut) -> Iterator[_Record]:
    for number, line in enumerate(file, 1):
        where = f"line {number}"
        text = line.removeprefix("\ufeff") if number == 1 else line
        if not text.strip():
            continue
        try:
            value = _parsed(text)
        except InputError as err:
            report(LeftOut(path, str(err), where))
            continue
        if isinstance(value, Mapping):
            yield _Record(value, number, where)
        else:
            report(LeftOut(path, _no_object(value), where))


def _numbered(path: Path, values: Iterable[Any], report: OnLeftOut) -> Iterator[_Record]:
    for number, value in enumerate(values, 1):
        where = f"record {number}"
        if isinstance(value, Mapping):
            yield _Record(value, number, where)
        else:
            report(LeftOut(path, _no_object(value), where))


def _documents(
    path: Path,
    records: Iterator[_Record],
    options: ReadOptions,
    report: OnLeftOut,
    shared: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[Document]:
    first = list(islice(records, LOOKED_AT))
    with_text = any(_has_text(record.value, options) for record in first)
    for record in chain(first, records):
        if with_text and not _has_text(record.value, options):
            names = " or ".join(options.text_columns or TEXT_NAMES)
            reason = f"it has no text under {names}; it has {sorted(record.value)}"
            report(LeftOut(path, reason, record.where))
            continue
        try:
            _refuse_no_value(record.value)
            yield _document(_fields(record.value, options), record, shared)
        except InputError as err:
            report(LeftOut(path, str(err), record.where))


def _fields(value: Mapping[str, Any], options: ReadOptions) -> Fields:
    names = [name for name in value if name != "metadata"]
    given = options.text_columns
    if given is not None:
        known = {name.strip().casefold() for name in names}
        given = tuple(name for name in given if name.strip().casefold() in known) or given
    return Fields.of(names, given)


def _document(fields: Fields, record: _Record, shared: Mapping[str, Any]) -> Document:
    """Return a record as a document; the object under ``metadata`` is its metadata."""
    values = dict(record.value)
    nested = values.pop("metadata", None)
    document = fields.document(values, record.where, record.number)
    more = nested if isinstance(nested, Mapping) else {} if nested is None else {"metadata": nested}
    return Document(
        document.text,
        document.id,
        {**shared, **document.metadata, **more},
        origin=document.origin,
        where=document.where,
    )


def _has_text(value: Mapping[str, Any], options: ReadOptions) -> bool:
    names = {name.casefold() for name in options.text_columns or TEXT_NAMES}
    return any(
        name.strip().casefold() in names and isinstance(one, str) for name, one in value.items()
    )


def _list_of_records(value: Any, options: ReadOptions) -> tuple[list[Any] | None, dict[str, Any]]:
    """Return the records of a value, and what stands beside their list and is said of each."""
    if not isinstance(value, Mapping):
        return (value if _is_records(value) else None), {}
    lists = [one for one in value.values() if _is_records(one)]
    beside = {name: one for name, one in value.items() if not _is_records(one)}
    plain = not any(isinstance(one, (Mapping, list)) for one in beside.values())
    if len(lists) != 1 or _has_text(value, options):
        return None, {}
    (records,) = lists
    known = any(name.strip().casefold() in LIST_NAMES for name in value if value[name] is records)
    if plain or known or any(_has_text(one, options) for one in records if _is_object(one)):
        return records, beside
    return None, {}


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(one, Mapping) for one in value)


def _paths(value: Any, path: str = "") -> Iterator[str]:
    """Yield a line for every value within a value, with the way that leads to it."""
    waiting = [(path, value)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Mapping):
            inner = [(f"{path}.{name}" if path else str(name), one) for name, one in value.items()]
            waiting.extend(reversed(inner))
        elif isinstance(value, list) and any(isinstance(one, (Mapping, list)) for one in value):
            waiting.extend(reversed([(f"{path}[{n}]", one) for n, one in enumerate(value)]))
        elif (text := readable(value)).strip():
            yield f"{path}: {text}" if path else text


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_NoValue)
    except (ValueError, RecursionError) as err:
        raise InputError(f"it is not JSON ({err}); mend it") from err


class _NoValue:
    """Stands for NaN and Infinity, which JSON does not have; Python writes them all the same."""

    def __init__(self, name: str) -> None:
        self.name = name


def _refuse_no_value(value: Any) -> None:
    """Refuse a value with NaN or Infinity in it.

    Raises:
        InputError: there is one.
    """
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, _NoValue):
            raise InputError(f"it is not JSON ({one.name} is not a JSON value); write null")
        if isinstance(one, Mapping):
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _no_object(value: Any) -> str:
    return f"it is a {type(value).__name__}; a record must be an object"
