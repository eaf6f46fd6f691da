"""Checks a built wheel: its size, its types, and that nothing is in it that should not be."""

from __future__ import annotations

import sys
import tomllib
import zipfile
from pathlib import Path

__all__ = ["faults_of"]

LARGEST = 3_000_000  # bytes
PACKAGES = ("trivec", "langchain_trivec", "llama_index_trivec")
PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def faults_of(wheel: Path) -> list[str]:
    """Return what is wrong with a wheel; nothing where it may be published."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    with PYPROJECT.open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    faults = {
        f"it is larger than {LARGEST:,} bytes": wheel.stat().st_size > LARGEST,
        f"it is not of version {version}": f"-{version}-" not in wheel.name,
        "it holds more than the packages": bool(tops - {*PACKAGES, f"trivec-{version}.dist-info"}),
        **{f"{name}/py.typed is missing": f"{name}/py.typed" not in names for name in PACKAGES},
    }
    return [fault for fault, wrong in faults.items() if wrong]


def main() -> None:
    """Check the wheels that are named."""
    for wheel in map(Path, sys.argv[1:]):
        faults = faults_of(wheel)
        if faults:
            sys.exit(f"{wheel}: " + "; ".join(faults))


if __name__ == "__main__":
    main()
