"""The notebooks: their first cells, their outputs, and which of them are stale.

    python -m tests.notebooks                what is stale
    python -m tests.notebooks --write        first cells of all, outputs of those that are stale
    python -m tests.notebooks --write 03 05  outputs of these

The badge and the cell that installs the package are made from `notebooks/first_cell.py` and from
`[project.urls]` of pyproject.toml, the one place that says where the package is published. A notebook
remembers, in its metadata, the hash of its cells and the version they ran with: outputs of other cells, or of
another version, are stale. The test that runs all notebooks compares what they print: words exactly, numbers
within a twentieth (or one in the last digit). Cells tagged `machine` print what belongs to one machine, times
and devices, or numbers that rounding may change (the winner of a close race); of those only the kinds of
outputs are compared.
"""

import argparse
import hashlib
import itertools
import math
import os
import pathlib
import re
import sys
import tomllib
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
KEY = "jaxopt_notes"  # in the metadata
TOLERANCE = 0.05
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?(?!\w)|(?<!\w)[-+]?(?:nan|inf)(?!\w)")


# The first cells


def address() -> str:
    """Where the package is published, from pyproject.toml; empty as long as it is not."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        return tomllib.load(file)["project"].get("urls", {}).get("Repository", "").removesuffix(".git")


def badge(url: str, name: str) -> str:
    """The line that opens a notebook on Colab, which can open those on GitHub."""
    found = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+)", url)
    if not found:
        return ""
    link = f"https://colab.research.google.com/github/{found[1]}/blob/main/notebooks/{name}.ipynb"
    return f"[![Open in Colab]({BADGE})]({link})"


def heading(source: str, url: str, name: str) -> str:
    """The first cell with its badge, or without one."""
    lines = [line for line in source.split("\n\n") if "colab-badge" not in line]
    return "\n\n".join([lines[0], *filter(None, [badge(url, name)]), *lines[1:]])


def installing(url: str, wants_tpu: bool) -> str:
    """The second cell."""
    source = (FOLDER / "first_cell.py").read_text(encoding="utf-8").strip()
    source = source.replace('ADDRESS = ""', f'ADDRESS = "{url}"')
    return source.replace("WANTS_TPU = False", f"WANTS_TPU = {wants_tpu}")


def with_first_cells(notebook: Any, url: str, name: str) -> Any:
    """The notebook, its first two cells as they are to be. Changes it."""
    notebook.cells[0].source = heading(notebook.cells[0].source, url, name)
    wants_tpu = notebook.metadata.get("accelerator") == "TPU"
    notebook.cells[1].source = installing(url, wants_tpu)
    notebook.cells[1].metadata["tags"] = ["install", "machine"]
    return notebook


# What is stale


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def stamp(notebook: Any, version: str) -> dict[str, str]:
    """The version, and the hash of all code but that of the first cell, which computes nothing."""
    sources = "\x00".join(cell.source for cell in code(notebook)[1:])
    return {"cells": hashlib.sha256(sources.encode()).hexdigest()[:16], "version": version}


def text(cell: Any) -> str:
    """What a cell prints and shows, without pictures."""
    outputs = cell.get("outputs", [])
    shown = [
        output.get("text") or ("" if "image/png" in data else data.get("text/plain", ""))
        for output in outputs
        for data in [output.get("data", {})]
    ]
    return "".join(shown)


def kinds(cell: Any) -> list[str]:
    """The kinds of a cell's outputs, each once."""
    return sorted({kind for output in cell.outputs for kind in output.get("data", {output.output_type: 0})})


def differences(stored: Any, fresh: Any) -> list[str]:
    """What two runs of the same cells print differently."""
    found = []
    for old, new in zip(code(stored), code(fresh), strict=True):
        if kinds(old) != kinds(new):
            found.append(f"{kinds(old)} became {kinds(new)} in: {old.source[:60]!r}")
        elif "machine" not in old.metadata.get("tags", ()):
            found += [f"{pair} in: {old.source[:60]!r}" for pair in differing(text(old), text(new))]
    return found


def differing(old: str, new: str) -> list[str]:
    """Words that differ, and numbers that do."""
    words = [" ".join(NUMBER.sub("#", part).split()) for part in (old, new)]
    if words[0] != words[1]:
        return [f"{words[0][:300]!r} became {words[1][:300]!r}"]
    pairs = zip(NUMBER.findall(old), NUMBER.findall(new), strict=True)
    return [f"{a} became {b}" for a, b in pairs if not close(a, b)]


def close(old: str, new: str) -> bool:
    """Within a twentieth, or one apart in the last digit after the point, or both nothing but rounding."""
    a, b = float(old), float(new)
    if not (math.isfinite(a) and math.isfinite(b)):
        return str(a) == str(b)
    digits, _, exponent = old.partition("e")
    digit = 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2])) if "." in digits else 0.0
    size = max(abs(a), abs(b))
    return abs(a - b) <= max(TOLERANCE * size, 1.01 * digit) or size < 1e-6


# Running them


def execute(path: pathlib.Path) -> Any:
    """The notebook, freshly run in a kernel of this interpreter, on the CPU; an error in a cell is raised."""
    import nbclient
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    environment = {"JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "cpu"), "PYTHONWARNINGS": "ignore"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    client = nbclient.NotebookClient(notebook, timeout=600, resources=resources)
    client.execute(env=os.environ | environment)
    return notebook


def merged(notebook: Any) -> Any:
    """With the pieces of one stream joined, and nothing of when it ran. Changes it."""
    for cell in code(notebook):
        cell.metadata.pop("execution", None)
        outputs = []
        for stream, group in itertools.groupby(cell.outputs, lambda output: output.get("name")):
            parts = list(group)
            if stream:
                parts[0]["text"] = "".join(part["text"] for part in parts)
                parts = parts[:1]
            outputs += parts
        cell.outputs = outputs
    return notebook


def main(arguments: list[str] | None = None) -> int:
    import nbformat

    import jaxopt_notes as jn

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("numbers", nargs="*", help="of the notebooks to run, such as 03")
    parser.add_argument("--write", action="store_true", help="bring them up to date")
    asked = parser.parse_args(arguments)
    stale = 0
    for path in PATHS:
        notebook = nbformat.read(path, as_version=4)
        before = nbformat.writes(notebook)
        with_first_cells(notebook, address(), path.stem)
        moved = nbformat.writes(notebook) != before
        old = notebook.metadata.get(KEY) != stamp(notebook, jn.__version__)
        if asked.write and moved:
            nbformat.write(notebook, path)
        if (old and not asked.numbers) or path.stem[:2] in asked.numbers:
            print(f"{path.name}: {'running' if asked.write else 'stale'}", flush=True)
            if asked.write:
                notebook = merged(execute(path))
                notebook.metadata[KEY] = stamp(notebook, jn.__version__)
                nbformat.write(notebook, path)
            stale += old
        elif moved and not asked.write:
            print(f"{path.name}: the first cells are stale")
            stale += 1
    return bool(stale) and not asked.write


if __name__ == "__main__":
    sys.exit(main())
