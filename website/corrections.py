"""Where the study notes are wrong, what is right, and which tests show it.

`corrections.tsv` beside this file has a line for each: the row, what the notes say, what is right. The
tests are those that name the row in their mark.
"""

import ast
import pathlib
import re

from tests import rows

TABLE = pathlib.Path(__file__).with_suffix(".tsv")


def corrections() -> dict[str, tuple[str, str]]:
    """Row → what the notes say, and what is right."""
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    return {row: (said, right) for row, said, right in (line.split("\t") for line in lines)}


def proofs(root: pathlib.Path = rows.ROOT) -> dict[str, list[tuple[str, str]]]:
    """Row → the tests that name it, each as its file and its name (empty where the whole file is marked)."""
    found: dict[str, list[tuple[str, str]]] = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        file = path.relative_to(root).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node, "name", "") if isinstance(node, ast.FunctionDef | ast.ClassDef) else ""
            marks = node.decorator_list if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
                marks = [node.value]
            for row in re.findall(r"'((?:S\d|X)-\w+)'", " ".join(ast.unparse(mark) for mark in marks)):
                if (file, name) not in found.setdefault(row, []):
                    found[row].append((file, name))
    return found


def page() -> str:
    """The page for readers."""
    names, tests = rows.names(), proofs()
    table = corrections()
    lines = [
        "# Corrections to the notes",
        "",
        f"The notes are wrong, or imprecise, in {len(table)} of their {len(names)} rows. Here the corrected",
        "form is implemented, docstrings say so, and tests hold it. Of misprints only those are listed",
        "that change what a formula says.",
        "",
    ]
    for row, (said, right) in table.items():
        shown = [f"[`{name or file.rpartition('/')[2]}`](../{file})" for file, name in tests.get(row, ())]
        lines += [
            f"### {row}: {names[row]}",
            "",
            f"**The notes:** {said}",
            "",
            f"**Right:** {right}",
            "",
            *([f"*Shown by* {', '.join(shown[:4])}", ""] if shown else []),
        ]
    return "\n".join(lines)
