"""The pages that are made, by their addresses, and what of the navigation depends on them."""

import pathlib
from typing import Any

from website import choosing, corrections, findings, links, reference, references, tutorials

ROOT = pathlib.Path(__file__).resolve().parent.parent
ALONE = "---\nhide: [navigation]\n---\n\n"  # of the only page in its section, which needs no list of pages
FROM_ROOT = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md"}


def made() -> dict[str, str | bytes]:
    """Address → content of every page and picture that is made."""
    found: dict[str, str | bytes] = {
        "choosing.md": choosing.page(),
        "corrections.md": corrections.page(),
        "surprises.md": findings.page(),
        "references.md": references.page(),
        "reference/index.md": reference.overview(),
    }
    for uri, name in FROM_ROOT.items():
        found[uri] = ALONE + links.from_root((ROOT / name).read_text(encoding="utf-8"))
    found |= {f"reference/{name}.md": text for name, text in reference.pages().items()}
    for path in tutorials.notebooks(ROOT):
        text, pictures = tutorials.page(path)
        found[f"tutorials/{path.stem}.md"] = text
        found |= {f"tutorials/{name}": picture for name, picture in pictures.items()}
    return found


def navigation() -> dict[str, list[Any]]:
    """Section → its pages, of those that `mkdocs.yml` leaves empty."""
    return {
        "Reference": [{"Overview": "reference/index.md"}]
        + [{name: f"reference/{name}.md"} for name in reference.pages()],
        "Tutorials": [f"tutorials/{path.stem}.md" for path in tutorials.notebooks(ROOT)],
    }


def folder(uri: str) -> str:
    """Where a page was written, from the root: links in it are seen from there."""
    if uri in FROM_ROOT:
        return ""
    return "notebooks" if uri.startswith("tutorials/") else str(pathlib.PurePosixPath("docs", uri).parent)
