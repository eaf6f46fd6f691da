"""The exceptions of trivec.

Every message says what was given, what is allowed and what to do::

    TrivecError
    ├── InputError (ValueError)             an argument that cannot be used
    │   ├── FilterError                     a filter that cannot be understood or translated
    │   └── InvalidVectorError              NaN, infinity, zero, wrong size, duplicate index
    ├── MissingDependencyError (ImportError)
    ├── IncompatibleDependencyError (ImportError)    versions that do not go together
    ├── ModelError                          a model that cannot be loaded or used
    │   ├── AnswerInterruptedError          a chat model failed in the middle of its answer
    │   ├── MissingHeadError                a head file is absent or has the wrong shape
    │   ├── ModelUnavailableError           its server cannot be reached, or failed
    │   └── TextsRefusedError               it takes some of the texts, and not the others
    ├── CollectionError                     a collection or folder that cannot be used
    │   ├── CollectionExistsError           there is one already
    │   ├── CollectionNotFoundError         nothing is there
    │   ├── FingerprintMismatchError        another model wrote it
    │   └── CollectionLockedError           another process has it open
    └── StoreError                          the engine failed
        ├── PointsRefusedError              it refused some points, all others are written
        └── StoreUnavailableError           the server cannot be reached
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

__all__ = [
    "AnswerInterruptedError",
    "CollectionError",
    "CollectionExistsError",
    "CollectionLockedError",
    "CollectionNotFoundError",
    "FilterError",
    "FingerprintMismatchError",
    "IncompatibleDependencyError",
    "InputError",
    "InvalidVectorError",
    "MissingDependencyError",
    "MissingHeadError",
    "ModelError",
    "ModelUnavailableError",
    "PointsRefusedError",
    "StoreError",
    "StoreUnavailableError",
    "TextsRefusedError",
    "TrivecError",
]


EXPLAINED = "https://trivec.github.io/trivec/troubleshooting.html"
"""The page that explains each class; tests/test_troubleshooting.py reads it against this module."""


class TrivecError(Exception):
    """Base of everything that trivec raises on purpose.

    A traceback ends with :attr:`address`. It is a note (PEP 678), so that the message stays one
    line wherever it is quoted.
    """

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        """Note the address, whatever a subclass's ``__init__`` does."""
        error = super().__new__(cls, *args, **kwargs)
        error.add_note(f"See {error.address}")
        return error

    @property
    def address(self) -> str:
        """The address of the section that says what causes this error, and what to do."""
        public = next(kind for kind in type(self).__mro__ if kind.__name__ in __all__)
        return f"{EXPLAINED}#{public.__name__.lower()}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle by the message and attributes: a subclass is not built from its args."""
        return _restored, (type(self), self.args), self.__dict__


def _restored(cls: type[TrivecError], args: tuple[object, ...]) -> TrivecError:
    error = cls.__new__(cls)
    error.args = args
    return error


class InputError(TrivecError, ValueError):
    """An argument has a value that cannot be used."""


class FilterError(InputError):
    """A filter cannot be understood, or the engine cannot express it."""


class InvalidVectorError(InputError):
    """A vector holds NaN or infinity, is zero, has the wrong size, or repeats an index."""


class MissingDependencyError(TrivecError, ImportError):
    """A package that an optional feature needs is not installed.

    Args:
        package: the import name that failed.
        extra: the extra of trivec that installs it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package!r} is not installed; run: pip install 'trivec[{extra}]'")
        self.package = package
        self.extra = extra


class IncompatibleDependencyError(TrivecError, ImportError):
    """A package is installed, but cannot be imported with the other packages that are.

    Args:
        package: the import name that failed.
        version: of it.
        extra: the extra of trivec whose versions go together.
        cause: what the import said.
    """

    def __init__(self, package: str, version: str, extra: str, cause: str) -> None:
        super().__init__(
            f"{package!r} {version} is installed, but cannot be imported ({cause}): the versions "
            "that are installed here do not go together; run: pip install --upgrade "
            f"'trivec[{extra}]'"
        )
        self.package = package
        self.extra = extra


class ModelError(TrivecError):
    """A model cannot be loaded or used."""


class AnswerInterruptedError(ModelError):
    """A chat model failed in the middle of its answer; the cause is the error it failed with.

    Args:
        partial: what it wrote before.
        cause: what happened, for the message.
    """

    def __init__(self, partial: str, cause: str) -> None:
        super().__init__(
            f"the chat model failed after {len(partial)} characters of its answer ({cause}); "
            "they are in the attribute 'partial', unchecked; ask again for a whole answer"
        )
        self.partial = partial


class MissingHeadError(ModelError):
    """``sparse_linear.pt`` or ``colbert_linear.pt`` is absent or has the wrong shape."""


class ModelUnavailableError(ModelError):
    """A model's server cannot be reached, is overloaded or failed; later it may answer."""


class TextsRefusedError(ModelError):
    """A model takes some of the texts that it was given, and not the others.

    Args:
        reasons: by text that it does not take, the words of its server.
    """

    def __init__(self, reasons: Mapping[str, str]) -> None:
        first = next(iter(reasons.values()))
        super().__init__(
            f"{len(reasons)} of the texts cannot be encoded, the first since {first}; they are in "
            "the attribute 'reasons': leave them out, or make them shorter"
        )
        self.reasons = dict(reasons)


class CollectionError(TrivecError):
    """A collection or index folder cannot be used as asked."""


class CollectionExistsError(CollectionError):
    """There is a collection of that name already; another may have made it just now."""


class CollectionNotFoundError(CollectionError):
    """There is no index or collection at the given place."""


class FingerprintMismatchError(CollectionError):
    """The collection was written by another model or with other settings."""


class CollectionLockedError(CollectionError):
    """Another process, or another object of this one, has the index folder open."""


class StoreError(TrivecError):
    """The storage engine refused or failed an operation."""


class PointsRefusedError(StoreError):
    """The engine refused some points; all others of the call are written.

    Args:
        message: names the first of them.
        refused: the reason by point id.
    """

    def __init__(self, message: str, refused: Mapping[Any, str]) -> None:
        super().__init__(message)
        self.refused = dict(refused)


class StoreUnavailableError(StoreError):
    """The server cannot be reached or did not answer in time."""
