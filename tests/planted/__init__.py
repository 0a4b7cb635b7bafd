"""Planted faults: does a test notice?

`faults.toml` lists small, plausible faults, each one replaced string in one file of the package.
`python -m tests.planted` plants one at a time in a copy of the tree and runs the tests of its
subpackage, until one fails. Like a mutation tool, but with faults that somebody could make, few enough
to be run and to be read.
"""

import pathlib
import tomllib
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = "jaxopt_notes"


class Fault(NamedTuple):
    """One entry of `faults.toml`."""

    id: str
    file: str
    fault: str
    find: str
    plant: str
    equivalent: str = ""

    @property
    def subpackage(self) -> str:
        """The folder of the file below the package, or the name of a module at its root."""
        path = pathlib.PurePosixPath(self.file).relative_to(PACKAGE)
        return path.stem if path.parent == pathlib.PurePosixPath() else str(path.parent)

    def planted(self, source: str) -> str:
        """The source with the fault. Its string must occur exactly once."""
        if (count := source.count(self.find)) != 1:
            raise ValueError(f"{self.id}: {self.find!r} occurs {count} times in {self.file}, expected once.")
        return source.replace(self.find, self.plant)


def faults() -> list[Fault]:
    """All entries, in the order of the file."""
    with open(pathlib.Path(__file__).with_name("faults.toml"), "rb") as file:
        return [Fault(**entry) for entry in tomllib.load(file)["fault"]]
