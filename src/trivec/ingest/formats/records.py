"""Records: which of their fields are searched, and how they read as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from trivec.errors import InputError
from trivec.ingest.documents import Document

__all__ = ["ID_NAME", "TEXT_NAMES", "Fields", "Values", "readable"]

Values: TypeAlias = Mapping[str, Any]

TEXT_NAMES = ("text", "content", "page_content")
ID_NAME = "id"
DEEPEST = 50


@dataclass(frozen=True, slots=True)
class Fields:
    """What the fields of a file's records are for.

    Attributes:
        searched: those that are searched, each by its name and value where there are several.
        identity: the one that holds the record's own id.
        alone: whether one field is the text as it stands, and the others are metadata.
        labelled: whether each of several is written with its name.
    """

    searched: tuple[str, ...]
    identity: str | None
    alone: bool
    labelled: bool = True

    @classmethod
    def of(
        cls, names: Iterable[str], given: Sequence[str] | None, *, labelled: bool = True
    ) -> Fields:
        """Decide by the names; upper and lower case are one.

        Raises:
            InputError: a field that was asked for is not there.
        """
        known: dict[str, str] = {}
        for name in names:
            known.setdefault(_plain(name), name)
        identity = known.get(ID_NAME)
        if given is not None:
            missing = [name for name in given if _plain(name) not in known]
            if missing:
                raise InputError(f"it has no column {missing[0]!r}; it has {list(known.values())}")
            searched = [known[_plain(name)] for name in given]
            return cls(tuple(searched), identity, alone=len(searched) == 1)
        for name in TEXT_NAMES:
            if name in known:
                return cls((known[name],), identity, alone=True)
        rest = tuple(name for name in known.values() if name != identity)
        return cls(rest, identity, alone=len(rest) == 1, labelled=labelled)

    def beside(self, names: Iterable[str]) -> list[str]:
        """Return the fields that are metadata and not searched."""
        return [name for name in names if name not in {*self.searched, self.identity}]

    def document(self, values: Values, where: str, row: int) -> Document:
        """Return a record as a document.

        Raises:
            InputError: its id is neither text nor a whole number.
        """
        if self.alone:
            text = readable(values.get(self.searched[0]))
        else:
            lines = ((name, readable(values.get(name))) for name in self.searched)
            text = "\n".join(
                f"{name}: {line}" if self.labelled else line for name, line in lines if line.strip()
            )
        left_out = {self.identity, *(self.searched if self.alone else ())}
        return Document(
            text,
            _identity(values.get(self.identity) if self.identity is not None else None),
            {name: value for name, value in values.items() if name not in left_out},
            origin={"row": row},
            where=where,
        )


def readable(value: Any, depth: int = 0) -> str:
    """Return a value as text: lists separated by commas, the fields of objects by semicolons.

    Raises:
        InputError: it nests too deeply.
    """
    if depth > DEEPEST:
        raise InputError(f"it nests deeper than {DEEPEST} levels; flatten it")
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        named = ((name, readable(one, depth + 1)) for name, one in value.items())
        return "; ".join(f"{name}: {part}" for name, part in named if part.strip())
    if isinstance(value, (list, tuple)):
        parts = (readable(one, depth + 1) for one in value)
        return ", ".join(part for part in parts if part.strip())
    return str(value)


def _plain(name: str) -> str:
    return name.strip().casefold()


def _identity(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InputError(f"its id is a {type(value).__name__}; it must be text or a whole number")
    return str(value)
