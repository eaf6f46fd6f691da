"""Public names that are loaded when they are first used (PEP 562), so that importing is free."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from trivec._runtime.dependencies import unavailable

__all__ = ["lazy_attributes", "lazy_names"]


def lazy_names(
    package: str, module_of: Mapping[str, str], *, framework: str, extra: str
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and ``__dir__`` of an adapter's package.

    Args:
        package: its name.
        module_of: its public names, and the module of the package that each lies in.
        framework: the import name that the modules need.
        extra: the extra of trivec that installs it.
    """

    def load(name: str) -> object:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            module = import_module(f"{package}.{module_of[name]}")
        except ModuleNotFoundError as err:
            if err.name is None or err.name.partition(".")[0] != framework.partition(".")[0]:
                raise
            raise unavailable(err, framework, extra) from err
        value: object = getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *module_of})

    return load, names


def lazy_attributes(
    package: str, modules: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and ``__dir__`` of a package of the core.

    Args:
        package: its name.
        modules: the modules that its public names lie in, and the names.
    """
    module_of = {name: module for module, names in modules.items() for name in names}

    def load(name: str) -> object:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(import_module(module_of[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *module_of})

    return load, names
