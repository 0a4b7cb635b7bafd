"""References: what the docstrings name as their sources, and who names it."""

import importlib
import inspect
import re

from website import symbols

HEAD = """# References

What docstrings name as their source, in the order of the alphabet, and where. The study notes end with a
list of their own: Ioffe & Szegedy 2015 (batch normalization), Ba et al. 2016 (layer normalization), Santurkar
et al. 2018 (why it works), Ioffe 2017 (batch renormalization) and posts on the web. The posts that they link
to were not read: nothing here rests on them.
"""
WORK = re.compile(r"[A-Z][^.;:()]*?(?:19|20)\d\d[a-z]?")


def references() -> dict[str, list[str]]:
    """Work ("Kingma & Ba 2015") → the paths of what names it."""
    found: dict[str, list[str]] = {}
    for symbol in symbols.symbols().values():
        module, _, name = symbol.path.rpartition(".")
        if symbol.kind == "attribute":
            continue
        doc = inspect.getdoc(getattr(importlib.import_module(module), name)) or ""
        for source in re.findall(r"^Sources?: *((?:.+\n?)+)", doc, re.MULTILINE):
            for work in WORK.findall(" ".join(source.split())):
                if symbol.path not in found.setdefault(work.strip(), []):
                    found[work.strip()].append(symbol.path)
    return dict(sorted(found.items()))


def page() -> str:
    """The page for readers."""
    lines = [HEAD, "| source | named by |", "|---|---|"]
    for work, paths in references().items():
        links = ", ".join(f"[`{path.rpartition('.')[2]}`][{path}]" for path in paths)
        lines.append(f"| {work.replace('|', ' ')} | {links} |")
    return "\n".join(lines) + "\n"
