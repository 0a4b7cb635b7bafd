"""Which rows of the study notes have a test that names them, which are advice, and which are neither.

`rows.tsv` beside this file lists every row of the notes: its id and its English name. A test says
what it proves with `@pytest.mark.notes("S2-30", "S2-31")`; the mark may also stand in a module's
`pytestmark` or in `pytest.param(..., marks=...)`. The files are parsed, never imported, so the report
needs neither JAX nor pytest. An id that is not a row is an error.

A row that says nothing a test could prove (a heading, a link, advice without a number) stands in
`advice.tsv`: its id, the file that says it, and the words there. A row with neither fails the command.

    python -m tests.rows                 a line per seed, then the rows without a test
    python -m tests.rows --covered       the rows with a test, and where it stands
    python -m tests.rows --json          everything, for programs
    python -m tests.rows --write         docs/ROWS.md, the page for readers: each row and its test files
"""

import argparse
import ast
import collections
import json
import pathlib
import sys
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("tests", "notebooks")
PAGE = ROOT / "docs" / "ROWS.md"


class UnknownRow(ValueError):
    """A mark names no row of the notes, or something that is not a literal."""


def names() -> dict[str, str]:
    """Row id → English name, in the order of the notes."""
    lines = (ROOT / "tests" / "rows.tsv").read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t") for line in lines)


def marks(source: str) -> Iterator[tuple[int, str]]:
    """Line and row id of every `pytest.mark.notes(...)` in a Python source."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("pytest.mark.notes", "mark.notes"):
            if not node.args:
                raise UnknownRow(f"line {node.lineno}: a notes mark without a row")
            for argument in node.args:
                if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                    raise UnknownRow(f"line {argument.lineno}: {ast.unparse(argument)} is no literal row id")
                yield argument.lineno, argument.value


def coverage(root: pathlib.Path = ROOT) -> dict[str, list[str]]:
    """Row id → the places (`tests/test_x.py:12`) that name it, an empty list where none does.

    Raises:
        UnknownRow: a mark that names no row, with its place.
    """
    found: dict[str, list[str]] = {row: [] for row in names()}
    for path in sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py")):
        place = path.relative_to(root).as_posix()
        try:
            for line, row in marks(path.read_text(encoding="utf-8")):
                if row not in found:
                    raise UnknownRow(f"line {line}: {row!r} is not a row of the notes (see tests/rows.tsv)")
                found[row].append(f"{place}:{line}")
        except UnknownRow as error:
            raise UnknownRow(f"{place}, {error}") from None
    return found


def advice(root: pathlib.Path = ROOT) -> dict[str, tuple[str, str]]:
    """Row id → the file that says it and its words, of the rows that no test can prove.

    Raises:
        UnknownRow: a row or a file that does not exist, or words that are not in it.
    """
    table = root / "tests" / "advice.tsv"
    lines = table.read_text(encoding="utf-8").splitlines() if table.exists() else []
    said = {row: (place, words) for row, place, words in (line.split("\t") for line in lines)}
    for row, (place, words) in said.items():
        if row not in names():
            raise UnknownRow(f"tests/advice.tsv: {row!r} is not a row of the notes (see tests/rows.tsv)")
        text = (root / place).read_text(encoding="utf-8") if (root / place).exists() else ""
        if " ".join(words.split()) not in " ".join(text.split()):
            raise UnknownRow(f"tests/advice.tsv: {place} does not say of {row}: {words}")
    return said


def unaccounted(found: dict[str, list[str]], said: dict[str, tuple[str, str]]) -> list[str]:
    """The rows with neither a test nor a place that says them."""
    return [row for row, places in found.items() if not places and row not in said]


def totals(found: dict[str, list[str]]) -> dict[str, tuple[int, int]]:
    """Seed → (rows covered, rows in all), and `all` for their sum."""
    covered: collections.Counter[str] = collections.Counter()
    total: collections.Counter[str] = collections.Counter()
    for row, places in found.items():
        for group in (row.split("-")[0], "all"):
            total[group] += 1
            covered[group] += bool(places)
    groups = [group for group in total if group != "all"]
    return {group: (covered[group], total[group]) for group in [*groups, "all"]}


def report(
    found: dict[str, list[str]],
    said: dict[str, tuple[str, str]],
    *,
    summary: bool,
    covered: bool,
    uncovered: bool,
) -> Iterator[str]:
    """The lines that are printed."""
    name = names()
    if summary:
        for group, (done, total) in totals(found).items():
            yield f"{group:<4} {done:3d}/{total}"
        only = [row for row in said if not found[row]]
        accounted = len(found) - len(unaccounted(found, said))
        yield f"\nAccounted for: {accounted}, of which {len(only)} are advice."
    if covered:
        yield from (f"{row:<7} {name[row]}  [{', '.join(places)}]" for row, places in found.items() if places)
    if uncovered:
        if summary:
            yield "\nRows with neither a test nor a place that says them:"
        yield from (f"{row:<7} {name[row]}" for row in unaccounted(found, said))


def page(found: dict[str, list[str]], said: dict[str, tuple[str, str]]) -> str:
    """The table of all rows in Markdown; files without line numbers, which every edit would change."""
    covered, total = totals(found)["all"]
    lines = [
        "# The rows of the study notes, and the tests that prove them",
        "",
        f"{covered} of {total} rows have a test; {sum(not found[row] for row in said)} are advice, with the"
        " place that says it. Made by `python -m tests.rows --write`.",
        "",
        "| row | what it says | tests |",
        "|---|---|---|",
    ]
    for row, name in names().items():
        files = dict.fromkeys(place.split(":")[0] for place in found[row])
        links = ", ".join(f"[`{file.removeprefix('tests/')}`](../{file})" for file in files)
        if row in said and not files:
            place, words = said[row]
            seen = (
                place.removeprefix("docs/") if place.startswith("docs/") else f"../{place}"
            )  # from the page
            links = f"advice: “{words}” ([`{place}`]({seen}))".replace("|", "\\|")
        lines.append(f"| {row} | {name.replace('|', chr(92) + '|')} | {links} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.rows", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--covered", action="store_true", help="only the rows with a test, and where")
    parser.add_argument("--uncovered", action="store_true", help="only the rows without a test")
    parser.add_argument("--json", action="store_true", help="totals and rows as JSON")
    parser.add_argument("--write", action="store_true", help="write docs/ROWS.md")
    options = parser.parse_args(arguments)
    try:
        found, said = coverage(), advice()
    except UnknownRow as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        rows = {
            row: {"name": name, "tests": found[row], "advice": said.get(row)} for row, name in names().items()
        }
        print(json.dumps({"totals": totals(found), "rows": rows}, ensure_ascii=False, indent=1))
        return 0
    if options.write:
        PAGE.write_text(page(found, said), encoding="utf-8")
        return 0
    chosen = options.covered or options.uncovered
    lines = report(
        found, said, summary=not chosen, covered=options.covered, uncovered=options.uncovered or not chosen
    )
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    missing = unaccounted(found, said)
    if missing:
        print(f"\n{len(missing)} rows have neither a test nor a place in tests/advice.tsv", file=sys.stderr)
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
