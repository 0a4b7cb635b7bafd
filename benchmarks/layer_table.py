"""The page of layers, docs/LAYERS.md: how torch, Flax and Keras really differ, measured by this command.

    python -m benchmarks.layer_table            writes the page; what is not installed has no column
    python -m benchmarks.layer_table --print    shows it

Keras is no dependency of the tests: install it in an environment of its own, beside ours.
"""

import importlib
import pathlib
import sys
from collections.abc import Sequence
from types import ModuleType

from benchmarks.layer_facts import FACTS, Fact, answer

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "LAYERS.md"
PEERS = ("here", "torch_layers", "linen", "keras_layers")

INTRODUCTION = """\
# How layers of one name differ

Made by `python -m benchmarks.layer_table`; do not edit. Every cell is measured: the layer is made with its
default arguments and run on an input from whose output the answer can be read (`benchmarks/layer_facts.py`).
Where two libraries differ, weights moved by name alone (`from_torch`, `from_flax` and `from_nnx` of
`jaxopt_notes.interop` move layouts too) give other outputs, and a result of one cannot be had in the other
without setting that argument.
"""

NOTES = """\
To have the same in both:

- Padding: `conv(..., padding=1)` is torch's and Flax's `padding=1`; "SAME" with strides pads more at the end.
- Batch norm: `batch_norm(0.99, 1e-3, unbiased=False)` is Keras', `batch_norm(0.99, unbiased=False)` Flax's;
  torch's `momentum` is 1 minus ours.
- Layer norm of values far from 0: Flax needs `use_fast_variance=False`, and ε is an argument everywhere.
- GELU: `approximate=False` in `jn.activations.gelu` and in Flax; "tanh" in torch.
- LSTM: add 1 to the bias of gate f in torch and Flax, or `lstm(forget_bias=0)` here.
- GRU: NNX takes ours if the candidate's second bias is 0; `to_nnx` says so if it is not.
- Flattened images: `from_torch(model, state_dict, x)` exchanges the inputs of the dense layer after them.
"""


def libraries(names: Sequence[str] = PEERS) -> list[ModuleType]:
    """The peers that are installed."""
    found = []
    for name in names:
        try:
            found.append(importlib.import_module(f"benchmarks.layer_peers.{name}"))
        except ImportError:
            print(f"{name} is not installed: it gets no column.", file=sys.stderr)
    return found


def cell(fact: Fact, library: ModuleType) -> str:
    """What a library does; of Flax what linen does, and NNX where it has another cell."""
    found = answer(fact, library)
    if library.NAME == "Flax linen" and fact.layer in ("LSTM", "GRU"):
        nnx = answer(fact, importlib.import_module("benchmarks.layer_peers.nnx_layers"))
        return found if nnx == found else f"linen: {found}; NNX: {nnx}"
    return found


def page(names: Sequence[str] = PEERS) -> str:
    """The whole page, with a column for each library that is installed."""
    found = libraries(names)
    versions = ", ".join(f"{library.NAME} {library.VERSION}" for library in found if library.NAME != "here")
    head = ["layer", "what", *(library.NAME for library in found)]
    lines = [head, ["---"] * len(head)]
    before = ""
    for fact in FACTS:
        cells = [cell(fact, library) for library in found]
        lines.append(["" if fact.layer == before else fact.layer, fact.question, *cells])
        before = fact.layer
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"{INTRODUCTION}\nMeasured with {versions}.\n\n{table}\n{NOTES}"


if __name__ == "__main__":
    if "--print" in sys.argv:
        print(page())
    else:
        PAGE.write_text(page(), encoding="utf-8")
