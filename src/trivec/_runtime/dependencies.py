"""Why a package cannot be imported: it is not there, or does not go with what is there."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec

from trivec.errors import IncompatibleDependencyError, MissingDependencyError

__all__ = ["unavailable"]


def unavailable(
    err: ImportError, package: str, extra: str
) -> MissingDependencyError | IncompatibleDependencyError:
    """Return the error to raise where a package of an extra cannot be imported.

    Args:
        err: what the import raised.
        package: what was imported, where the error does not name it.
        extra: the extra of trivec that installs it.
    """
    absent = (err.name or package).partition(".")[0]
    if isinstance(err, ModuleNotFoundError) and not _is_there(absent):
        return MissingDependencyError(absent, extra)
    return IncompatibleDependencyError(package, _version(package), extra, str(err))


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):  # something refuses to look for it
        return False


def _version(package: str) -> str:
    names = packages_distributions().get(package, [package])
    try:
        return version(names[0])
    except PackageNotFoundError:  # on the path, but not installed
        return "of unknown version"
