"""Where good guesses about other libraries are wrong: the heads of `findings/*.sh`, which show each by
running it.
"""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent
PARTS = ("Guess", "What happens", "Versions", "Whom it matters to")


def head(path: pathlib.Path) -> dict[str, str]:
    """What a script says of itself, by part."""
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    comment = [line[1:] for line in lines[: next(i for i, line in enumerate(lines) if line[:1] != "#")]]
    found: dict[str, str] = {}
    part = ""
    for line in comment:
        start = re.match(rf" ({'|'.join(PARTS)}): *(.*)", line)
        if start:
            part, text = start.groups()
            found[part] = text
        else:
            found[part] += " " + line.strip()
    return found


def title(path: pathlib.Path) -> str:
    library, _, rest = path.stem.partition("_")
    return f"{library}: {rest.replace('_', ' ')}"


def page(root: pathlib.Path = ROOT) -> str:
    """The page for readers."""
    lines = [
        "# Where good guesses are wrong",
        "",
        "What other libraries do that one would not guess, found while this one was compared with them. Each",
        "was measured with the versions it names, and has a script (`findings/`) that installs them, shows",
        "it without this package, and fails once it is no longer so. How layers of one name differ is on",
        "[a page of its own](LAYERS.md), and so are [the defaults of optimizers](OPTIMIZERS.md).",
        "",
    ]
    for path in sorted((root / "findings").glob("*.sh")):
        said = head(path)
        lines += [f"## {title(path)}", ""]
        lines += [f"**{part}:** {escaped(said[part])}\n" for part in PARTS if part in said]
        lines += [f"*Script:* [`findings/{path.name}`](../findings/{path.name})", ""]
    return "\n".join(lines)


def escaped(text: str) -> str:
    """Text in which signs of Markdown outside backticks stand for themselves."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([*_<\[\]])", r"\\\1", part) for part in parts)
