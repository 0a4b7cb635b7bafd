"""Links out of the pages: to files of the repository, which has an address or has none."""

import pathlib
import posixpath
import re
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINK = re.compile(
    r"(?<!\!)\[([^\]\n]*(?:\[[^\]\n]*\][^\]\n]*)*)\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)"
)


def repository(root: pathlib.Path = ROOT) -> str:
    """The address of the repository in `[project.urls]`, without a last slash; empty while there is none."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    urls = {name.lower(): address for name, address in project.get("urls", {}).items()}
    address: str = urls.get("repository") or urls.get("source") or ""
    return address.rstrip("/")


def outward(markdown: str, folder: str, address: str, root: pathlib.Path = ROOT) -> str:
    """The text with links to files outside docs/ made addresses, or plain text while there is no address.

    Links to what does not exist are left alone: the build reports them.

    Arguments:
        markdown: a page.
        folder: where it lies, from the root: "docs".
        address: the repository's, or empty.
    """

    def replaced(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, found[2]))
        if target.startswith(("docs/", "..")) or not (root / target).exists():
            return found[0]
        return f"[{found[1]}]({address}/blob/main/{target}{found[3] or ''})" if address else found[1]

    return LINK.sub(replaced, markdown)


def from_root(markdown: str) -> str:
    """A page of the root (README.md) as a page of docs/: links to docs/X lose the folder."""
    return re.sub(r"\]\(docs/", "](", markdown)
