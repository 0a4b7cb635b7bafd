"""What MkDocs calls while it builds: adds the pages that are made, and refuses what is not documented."""

import pathlib
import sys
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

ROOT = pathlib.Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # for `mkdocs build`, where `python -m mkdocs build` needs it not
    sys.path.insert(0, str(ROOT))

from website import links, pages, symbols  # noqa: E402


def on_config(config: Any) -> Any:
    """The navigation's lists of what is not known before the code is read; and the code's documentation."""
    missing = symbols.undocumented(symbols.symbols().values())
    if missing:
        raise PluginError(f"public, and without a docstring of their own: {', '.join(missing)}")
    lists = pages.navigation()
    for item in config.nav:
        for name in lists.keys() & item.keys():
            item[name] = lists[name]
    config.repo_url = links.repository() or None
    return config


@event_priority(100)
def on_files(files: Files, config: Any) -> Files:
    """The pages that are made."""
    for uri, content in pages.made().items():
        files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **others: Any) -> str:
    """Links to files of the repository, seen from where a page was written; room for code side by side."""
    if page.file.src_uri.startswith("coming_from/"):
        page.meta["hide"] = ["toc"]
    return links.outward(markdown, pages.folder(page.file.src_uri), links.repository())
