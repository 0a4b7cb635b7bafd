"""Measurements that are kept in a file one by one: a run may be stopped, and several may work at once."""

import fcntl
import importlib.metadata
import json
import pathlib
import re
from typing import Any, NamedTuple


class RecordFile(NamedTuple):
    """A JSON file, and the packages whose versions it names."""

    path: pathlib.Path
    packages: tuple[str, ...]

    def known(self) -> dict[str, Any]:
        """All that was measured so far."""
        return json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else {}

    def put(self, keys: tuple[str, ...], value: Any) -> None:
        """Add one measurement under its keys; other processes may be writing to the file, too."""
        self.path.parent.mkdir(exist_ok=True)
        with self.path.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            found = json.loads(file.read() or "{}")
            found["versions"] = {name: importlib.metadata.version(name) for name in self.packages}
            of = found
            for key in keys[:-1]:
                of = of.setdefault(key, {})
            of[keys[-1]] = value
            file.seek(0)
            file.truncate()
            lines = json.dumps(found, indent=1)
            one_line = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: f"[{' '.join(m[1].split())}]", lines)
            file.write(one_line + "\n")
