"""Tutorials: the notebooks as pages, with their stored outputs. Nothing is run here; a test keeps outputs
fresh.
"""

import base64
import html
import json
import pathlib
import re
from typing import Any

ANSI = re.compile(r"\x1b\[[0-9;]*m")
IMAGES = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/svg+xml": "svg"}


def notebooks(root: pathlib.Path) -> list[pathlib.Path]:
    """The numbered notebooks, in order."""
    return sorted((root / "notebooks").glob("[0-9]*.ipynb"))


def page(path: pathlib.Path) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown, but for the cell that installs, and its pictures by name."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    parts, pictures = list[str](), dict[str, bytes]()
    for cell in notebook["cells"]:
        if "install" in cell["metadata"].get("tags", ()):
            continue  # for Colab
        text = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            parts.append(text)
        elif cell["cell_type"] == "code" and text:
            parts.append(f"```python\n{text}\n```")
            for output in cell["outputs"]:
                parts.append(shown(output, f"{path.stem}_{len(pictures)}", pictures))
    return "\n\n".join(part for part in parts if part) + "\n", pictures


def shown(output: dict[str, Any], name: str, pictures: dict[str, bytes]) -> str:
    """One output: pictures before tables before text, as a notebook shows them."""
    if output["output_type"] == "stream":
        return fenced("".join(output["text"]))
    data = output.get("data", {})
    for kind, extension in IMAGES.items():
        if kind in data:
            content = data[kind] if isinstance(data[kind], str) else "".join(data[kind])
            pictures[f"{name}.{extension}"] = (
                content.encode() if extension == "svg" else base64.b64decode(content)
            )
            alternative = html.escape("".join(data.get("text/plain", "")), quote=True)
            return f"![{alternative[:80]}]({name}.{extension})"
    if "text/html" in data:
        return f'<div class="output">\n{"".join(data["text/html"])}\n</div>'
    return fenced("".join(data.get("text/plain", "")))


def fenced(text: str) -> str:
    text = ANSI.sub("", text).rstrip("\n")
    return f"```{{.text .output}}\n{text}\n```" if text.strip() else ""


def title(markdown: str, otherwise: str) -> str:
    """The first heading."""
    found = re.search(r"^# (.+)$", markdown, re.MULTILINE)
    return found[1].strip() if found else otherwise
