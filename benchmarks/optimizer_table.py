"""The page of optimizers, docs/OPTIMIZERS.md: made from the code, never by hand.

    python -m benchmarks.optimizer_table

Formulas, sources and what differs elsewhere are the docstrings'; defaults are read from signatures, ours and
those of optax and torch, which have to be installed to write the page; bytes of state are measured by
`jax.eval_shape`, bytes moved are the budgets that the tests hold; the papers' numbers are in
`paper_defaults.py`.
"""

import importlib
import inspect
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.budgets import BUDGETS
from benchmarks.elsewhere import HOMONYMS, PEERS, Peer, counterpart, defaults
from benchmarks.paper_defaults import PAPER_DEFAULTS
from benchmarks.shapes import one_leaf, size
from jaxopt_notes.cli.arguments import formula
from jaxopt_notes.optimizers import AGGREGATIONS, OPTIMIZERS, SOLVERS, TRANSFORMS, WRAPPERS, sgd
from jaxopt_notes.projections import project_l2_ball

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "OPTIMIZERS.md"
NONE = "–"
REQUIRED = {"optimizer": sgd(0.1), "learning_rate": 0.1, "projection": project_l2_ball, "radius": 1.0}
OF_HALF_PRECISION = ("master_weights", "kahan")  # they hold nothing for float32 parameters
NOT_SHOWN = ("optimizer", "state_dtype")  # in the text, and in columns of their own

INTRODUCTION = """\
# Optimizers

Made by `python -m benchmarks.optimizer_table` from docstrings, signatures and measurements; do not edit.

Every optimizer is a record whose numbers are pytree leaves: `jax.vmap(jn.adam)(rates)` is a batch of them.
θ are the parameters, g the gradient, u the update, η the learning rate (a number or a schedule), t the
number of the step, from 1 on unless the formula says otherwise; ← is an assignment, entry by entry.

**State** is in bytes per float32 parameter, beside parameters and gradient, with the default arguments, and
with `state_dtype="bfloat16"` or `"8bit"` where a column says so; n is the number of parameters. **Moved** are
the bytes per parameter that one step reads and writes, compiled for CPU and TPU, parameters and gradient
included (12 at the least). A column that would be empty is left out.
"""
DEFAULTS = """\
In the tables of defaults, – says that there is no such argument, or that the paper gives no number;
*required*, that there is no default. Where another name is used, it stands before the number.
"""


def written(value: Any) -> str:
    """A default, as short as it can be said."""
    if value is inspect.Parameter.empty:
        return "*required*"
    if isinstance(value, str | bool | None):
        return str(value)
    if isinstance(value, int | float):
        return f"{value:.10g}"
    if inspect.isfunction(value):
        return "a function" if value.__name__ == "<lambda>" else value.__name__
    if type(value) is tuple:
        return f"({', '.join(map(written, value))})"
    return f"{type(value).__name__.lower()}(…)" if hasattr(value, "__dataclass_fields__") else "a transform"


def part(factory: Callable, title: str) -> str:
    """A paragraph of a docstring, "Source" or "Elsewhere", in one line and without its title."""
    found = re.search(rf"^{title}: (.*?)(?:\n\n|\Z)", inspect.getdoc(factory) or "", re.DOTALL | re.MULTILINE)
    return " ".join(found[1].split()) if found else ""


def state(factory: Callable, dtype: Any = jnp.float32, **options: Any) -> str:
    """Bytes of state per parameter of one large leaf."""
    needed = {
        name: REQUIRED[name]
        for name, default in defaults(factory).items()
        if written(default) == "*required*"
    }
    needed |= {"radius": REQUIRED["radius"]} if "projection" in needed else {}
    params = jax.tree.map(lambda leaf: leaf.update(dtype=dtype), one_leaf())
    leaves = jax.tree.leaves(jax.eval_shape(factory(**needed, **options).init, params))
    n, total = size(params), sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)
    if total > n * n:
        return f"{total / n**2:.2g}·n"
    if total / n > 1e-4:  # more than a few scalars
        return "< 0.01" if total / n < 0.005 else f"{round(total / n, 2):g}"
    return "0"


def low_precision(factory: Callable, state_dtype: str) -> str:
    return state(factory, state_dtype=state_dtype) if "state_dtype" in defaults(factory) else NONE


def moved(name: str) -> list[str]:
    return [written(x) for x in BUDGETS[name][:2]] if name in BUDGETS else [NONE] * 2


def table(head: Iterable[str], body: Iterable[Iterable[str]]) -> str:
    """A table without the columns in which there is nothing."""
    columns = [column for column in zip(head, *body, strict=True) if {*column[1:]} != {NONE}]
    filled = [(name, "---", *(cell.replace("|", r"\|") for cell in cells)) for name, *cells in columns]
    return "".join(f"| {' | '.join(line)} |\n" for line in zip(*filled, strict=True))


def names(name: str, peers: tuple[Peer, ...]) -> Iterator[str]:
    """What an optimizer is called in each peer."""
    for peer in peers:
        found = peer.find(name)
        yield f"`{found[0].removeprefix(peer.modules[0] + '.')}`" if found else NONE


def overview(registry: dict[str, Callable], peers: tuple[Peer, ...]) -> str:
    """One line for each optimizer."""

    def line(name: str, factory: Callable) -> Iterator[str]:
        yield f"[{name}](#{name})"
        yield from (state(factory), low_precision(factory, "bfloat16"), low_precision(factory, "8bit"))
        yield from moved(name)
        yield from names(name, peers)

    head = ["name", "state", "bfloat16", "8bit", "moved, CPU", "TPU"]
    head += [peer.modules[0] for peer in peers]
    return table(head, (line(*entry) for entry in registry.items()))


def section(name: str, factory: Callable, peers: tuple[Peer, ...]) -> str:
    """What one optimizer does, its defaults, and where it comes from."""
    doc, lines = inspect.getdoc(factory) or "", formula(factory)
    title, _, more = doc.partition("".join(f"    {line}\n" for line in lines))
    more = re.split(r"^(?:Arguments|Returns):", more, flags=re.MULTILINE)[0].strip()
    found = [hit for peer in peers if (hit := peer.find(name))]
    theirs = [defaults(factory) for _, factory in found]
    paper = PAPER_DEFAULTS.get(name, {})

    def line(argument: str, default: Any) -> Iterator[str]:
        yield from (f"`{argument}`", written(default))
        for peer in theirs:
            same = (name, argument) not in HOMONYMS
            other, value = (same and counterpart(argument, peer)) or ("", NONE)
            yield f"`{other}` " * (other not in ("", argument)) + written(value)
        yield written(paper.get(argument, NONE))

    body = [line(*entry) for entry in defaults(factory).items() if entry[0] not in NOT_SHOWN]
    arguments = table(["argument", "here", *(f"`{path}`" for path, _ in found), "paper"], body)
    notes = [f"*{word}:* {text}" for word in ("Source", "Elsewhere") if (text := part(factory, word))]
    code = "\n".join(["```text", *lines, "```"])
    parts = [f"### {name}", title.strip(), code, more, arguments.strip(), *notes]
    return "\n\n".join(text for text in parts if text) + "\n"


def in_a_cell(text: str) -> str:
    """A line of a formula as code; what stands apart in it, apart."""
    return " ".join(f"`{piece.replace('`', '')}`" for piece in re.split(r" {2,}", text.strip()))


def short(registry: dict[str, Callable], peers: tuple[Peer, ...]) -> str:
    """What stands before, after or around an optimizer: a line each."""

    def line(name: str, factory: Callable) -> Iterator[str]:
        title = " ".join((inspect.getdoc(factory) or "").split("\n\n")[0].split())
        yield f"`{name}`"
        yield "<br>".join([title, *(in_a_cell(text) for text in formula(factory) if text)])
        ours = {key: value for key, value in defaults(factory).items() if key not in NOT_SHOWN}
        yield "<br>".join(f"`{key}` {written(value)}" for key, value in ours.items()) or NONE
        yield from names(name, peers)
        half = name in OF_HALF_PRECISION
        yield f"{state(factory, jnp.bfloat16)} (bfloat16)" if half else state(factory)

    head = ["name", "what it does", "defaults", *(peer.modules[0] for peer in peers), "state"]
    return table(head, (line(*entry) for entry in registry.items()))


def page(peers: tuple[Peer, ...] = PEERS) -> str:
    """The whole page; without peers, without their columns."""
    versions = " and ".join(
        f"{name} {importlib.import_module(name).__version__.split('+')[0]}"
        for name in (peer.modules[0].split(".")[0] for peer in peers)
    )
    optax = peers[:1]
    parts = [
        INTRODUCTION,
        f"Compared with {versions}.\n" * bool(peers),
        "## All optimizers\n", overview(OPTIMIZERS, peers),
        "## Solvers for losses without noise\n", overview(SOLVERS, peers),
        "## Formulas and defaults\n", DEFAULTS,
        *(section(name, factory, peers) for name, factory in (OPTIMIZERS | SOLVERS).items()),
        "## Transforms, before or after an optimizer in `chain`\n", short(TRANSFORMS, optax),
        "## Wrappers, around an optimizer\n", "State is theirs, without that of the optimizer.\n",
        short(WRAPPERS, optax),
        "## Aggregations of the gradients of single examples\n", short(AGGREGATIONS, optax),
    ]  # fmt: skip
    return "\n".join(text for text in parts if text)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
