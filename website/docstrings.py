"""Docstrings as Markdown: their own plain shape, which CONTRIBUTING.md describes, made into headings, lists
and code.

Blocks of code by indentation become fences, so that formulas stand as they were written; sections become
definition lists; a public name in backticks becomes a link to its entry. The extension of Griffe at the end
does this to every object, before mkdocstrings renders it.
"""

import functools
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import griffe

LISTS = ("Arguments", "Raises", "Attributes", "Fields")
NOTES = ("Source", "Sources", "Elsewhere")
LABEL = re.compile(r"([A-Z][a-z]+):(?: +(.*))?$")
ITEM = re.compile(r"([*\w][\w.*, `/|]*?): +(.*)$")
# Words in backticks that are rarely the function of that name: arguments and variables of formulas.
WORDS = {
    "add", "constant", "dense", "exponential", "fit", "identity", "layer", "linear", "load", "mask", "mean",
    "momentum", "normal", "ones", "record", "save", "static", "step", "take", "uniform", "zeros",
}  # fmt: skip


def markdown(doc: str, links: Mapping[str, str] | None = None, own: str = "") -> str:
    """A docstring as Markdown.

    Arguments:
        doc: the docstring, dedented.
        links: public name → path of its entry.
        own: the name of the object itself, which is not linked.
    """
    parts = []
    for label, body in sections(doc):
        if label in NOTES:
            parts.append(f"*{label}:* {prose(body)}")
        elif label in LISTS:
            parts.append(f"**{label}**\n\n{definitions(body)}")
        elif label:
            parts.append(f"**{label}**\n\n{prose(body)}")
        else:
            parts.append(prose(body))
    return linked("\n\n".join(part for part in parts if part.strip()), links or {}, own)


def sections(doc: str) -> Iterator[tuple[str, str]]:
    """Label and dedented body of each section, the text before the first without a label."""
    label, lines = "", list[str]()
    for line in doc.splitlines():
        found = LABEL.match(line)
        if found and (not found[2] or found[1] in NOTES):
            yield label, _body(label, lines)
            label, lines = found[1], [found[2] or ""]
        elif label and label not in NOTES and line and not line.startswith(" "):
            yield label, _body(label, lines)
            label, lines = "", [line]
        elif label in NOTES and not line.strip():
            yield label, _body(label, lines)
            label, lines = "", []
        else:
            lines.append(line)
    yield label, _body(label, lines)


def _body(label: str, lines: list[str]) -> str:
    if label in NOTES:
        return " ".join(line.strip() for line in lines).strip()
    return textwrap.dedent("\n".join(lines)).strip("\n")


def prose(text: str) -> str:
    """Text whose indented blocks and examples are fenced."""
    done = []
    for block in blocks(text):
        lines = block.splitlines()
        if block.lstrip().startswith(">>>"):
            done.append(f"```pycon\n{textwrap.dedent(block)}\n```")
        elif all(line.startswith("    ") or not line for line in lines) and block.strip():
            done.append(f"```{language(block)}\n{textwrap.dedent(block)}\n```")
        else:
            done.append(block)
    return "\n\n".join(done)


def blocks(text: str) -> Iterator[str]:
    """Paragraphs; neighbouring indented ones are one block, and so is an example with what it prints."""
    gathered = list[str]()
    for paragraph in re.split(r"\n[ \t]*\n", text.strip("\n")):
        paragraph = paragraph.strip("\n")
        code = paragraph.startswith("    ")
        if code and gathered:
            gathered.append(paragraph)
            continue
        if gathered:
            yield "\n\n".join(gathered)
            gathered = []
        if code:
            gathered = [paragraph]
        elif "\n    " in paragraph and not paragraph.startswith((">>>", "- ", "1. ")):
            head, _, tail = paragraph.partition("\n    ")
            yield head
            gathered = ["    " + tail]
        else:
            yield paragraph
    if gathered:
        yield "\n\n".join(gathered)


def language(block: str) -> str:
    """Python where it is Python, text for formulas."""
    try:
        compile(textwrap.dedent(block), "docstring", "exec")
    except (SyntaxError, ValueError):
        return "text"
    return "python" if re.search(r"\w\(.*\)| = ", block) and block.isascii() else "text"


def definitions(body: str) -> str:
    """`name: what it is` as a definition list; other paragraphs as they are."""
    items = list[list[str]]()
    for line in body.splitlines():
        found = ITEM.match(line)
        if found and not line.startswith(" "):
            items.append([found[1], found[2]])
        elif items and line.startswith(" "):
            items[-1].append(line.strip())
        elif line.strip():
            items.append(["", line.strip()]) if not items or items[-1][0] else items[-1].append(line.strip())
    done = []
    for name, *lines in items:
        text = " ".join(line for line in lines if line)
        done.append(f"`{name.strip('`')}`\n:   {text}" if name else text)
    return "\n\n".join(done)


def linked(text: str, links: Mapping[str, str], own: str) -> str:
    """The text with its public names linked; what is fenced is left alone."""

    def link(found: re.Match[str]) -> str:
        whole = found[1].removeprefix("jn.").removeprefix("jaxopt_notes.")
        name = whole.rpartition(".")[2]
        if (whole != name and whole == found[1]) or name == own or name in WORDS or name not in links:
            return found[0]
        return f"[{found[0]}][{links[name]}]"

    parts = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    pattern = r"(?<![\[`])`([\w.]+)`(?![`\]])"
    return "".join(
        part if part.startswith("```") else re.sub(pattern, link, part, flags=re.MULTILINE) for part in parts
    )


@functools.cache
def entries() -> dict[str, str]:
    """Public name → path, of those that have one meaning."""
    from website import symbols

    found: dict[str, list[str]] = {}
    for symbol in symbols.symbols().values():
        found.setdefault(symbol.name, []).append(symbol.path)
    return {name: paths[0] for name, paths in found.items() if len(paths) == 1}


class PlainDocstrings(griffe.Extension):
    """Makes every docstring Markdown, once the package has been read."""

    def on_object(self, *, obj: griffe.Object, **others: Any) -> None:
        if obj.docstring and obj.path.startswith("jaxopt_notes"):
            arguments = {p.name for p in getattr(obj, "parameters", ())}
            links = {name: path for name, path in entries().items() if name not in arguments}
            obj.docstring.value = markdown(obj.docstring.value, links, obj.name)
