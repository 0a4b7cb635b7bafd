"""The reference: a page for each folder of the package, with an entry for each public name."""

import importlib
from collections.abc import Iterable

from website import docstrings, symbols
from website.symbols import Symbol

HEADINGS = (
    ("function", ""),
    ("class", "Records and other classes"),
    ("attribute", "Registries and other constants"),
)


def pages() -> dict[str, str]:
    """Page (`optimizers.wrappers`) → Markdown, in the order of the navigation."""
    found: dict[str, list[Symbol]] = {}
    for symbol in symbols.symbols().values():
        found.setdefault(symbol.page, []).append(symbol)
    return {name: page(name, found[name]) for name in sorted(found)}


def page(name: str, found: Iterable[Symbol]) -> str:
    """One page: what the subpackage says of itself, a table of what it has, and the entries."""
    ordered = sorted(found, key=lambda symbol: symbol.name.lower())
    module = importlib.import_module(f"jaxopt_notes.{name}")
    lines = [f"# {name}", "", docstrings.markdown((module.__doc__ or "").strip(), docstrings.entries()), ""]
    functions = [symbol for symbol in ordered if symbol.kind == "function"]
    if len(functions) > 1:
        lines += ['<div class="summary" markdown>', "", "| name | what it is |", "|---|---|"]
        lines += [f"| [`{s.name}`][{s.path}] | {cell(s.summary)} |" for s in functions]
        lines += ["", "</div>", ""]
    for kind, heading in HEADINGS:
        chosen = [symbol for symbol in ordered if symbol.kind == kind]
        if chosen:
            lines += [f"## {heading or 'Functions'}", ""]
        for symbol in chosen:
            lines += [f"::: {symbol.path}", ""]
    return "\n".join(lines)


def cell(text: str) -> str:
    """A line of text in a cell of a table."""
    return text.replace("|", "\\|")


def overview() -> str:
    """The first page: what the package says of itself, and the pages of the reference."""
    import jaxopt_notes

    lines = ["# Reference", "", docstrings.markdown((jaxopt_notes.__doc__ or "").strip()), ""]
    lines += ["| page | what is in it |", "|---|---|"]
    for name in pages():
        doc = (importlib.import_module(f"jaxopt_notes.{name}").__doc__ or "").strip()
        lines.append(
            f"| [`{name}`]({name}.md) | {cell(doc.split(chr(10) + chr(10))[0].replace(chr(10), ' '))} |"
        )
    return "\n".join(lines) + "\n"
