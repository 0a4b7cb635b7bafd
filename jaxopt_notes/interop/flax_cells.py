"""Recurrent cells of Flax: what `nn.RNN` and `nn.Bidirectional` of linen and of NNX hold, and ours.

Linen has a kernel for each gate, "ii" from the input and "hi" from the state; NNX has all gates in one,
as we do. A bias stands with the state in an LSTM and with the input in the others; a GRU's candidate has a
second one behind its reset gate in linen and here, and none in NNX.
"""

import numpy as np

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.interop.exchange import Entries, Rule
from jaxopt_notes.interop.places import Place
from jaxopt_notes.layers.gru import Gru
from jaxopt_notes.layers.lstm import Lstm
from jaxopt_notes.layers.rnn import Rnn

_GATES = {Lstm: "ifgo", Gru: "rzn", Rnn: ""}


def _gates(place: Place) -> str:
    return next(gates for kind, gates in _GATES.items() if isinstance(place.layer, kind))


def _give_cells(place: Place) -> Entries:
    gates = _gates(place) or [""]
    inner, outer = place.params["input"], place.params["recurrent"]
    with_bias = "h" if isinstance(place.layer, Lstm) else "i"
    entries: Entries = {}
    for side, own in {"i": inner, "h": outer}.items():
        for gate, kernel in zip(gates, np.split(own["kernel"], len(gates), axis=1), strict=True):
            entries[f"params/cell/{side}{gate}/kernel"] = kernel
    for gate, bias in zip(gates, np.split(inner["bias"], len(gates)), strict=True):
        entries[f"params/cell/{with_bias}{gate}/bias"] = bias
    return entries | ({"params/cell/hn/bias": outer["bias"]} if "bias" in outer else {})


def _take_cells(place: Place, entries: Entries) -> tuple[Tree, Tree]:
    gates = _gates(place) or [""]

    def joined(side: str, leaf: str) -> np.ndarray:
        return np.concatenate([entries[f"params/cell/{side}{gate}/{leaf}"] for gate in gates], axis=-1)

    recurrent = {"kernel": joined("h", "kernel")}
    if isinstance(place.layer, Gru):
        recurrent["bias"] = entries["params/cell/hn/bias"]
    bias = joined("h" if isinstance(place.layer, Lstm) else "i", "bias")
    return {"input": {"kernel": joined("i", "kernel"), "bias": bias}, "recurrent": recurrent}, ()


def _give_nnx_cell(place: Place) -> Entries:
    inner, outer = place.params["input"], place.params["recurrent"]
    if np.any(outer.get("bias", 0)):
        raise ValueError(f"{place} has a bias behind its reset gate, which NNX's GRUCell does not have.")
    with_bias = "h" if isinstance(place.layer, Lstm) else "i"
    return {
        "params/cell/dense_i/kernel": inner["kernel"],
        "params/cell/dense_h/kernel": outer["kernel"],
        f"params/cell/dense_{with_bias}/bias": inner["bias"],
    }


def _take_nnx_cell(place: Place, entries: Entries) -> tuple[Tree, Tree]:
    bias = next(array for name, array in entries.items() if name.endswith("bias"))
    recurrent = {"kernel": entries["params/cell/dense_h/kernel"]}
    if isinstance(place.layer, Gru):
        recurrent["bias"] = np.zeros(place.layer.features, bias.dtype)
    return {
        "input": {"kernel": entries["params/cell/dense_i/kernel"], "bias": bias},
        "recurrent": recurrent,
    }, ()


def both_ways(one: Rule) -> Rule:
    """The rule of a layer that goes both ways, from that of one way."""
    ways = ("forward", "backward")

    def way_of(place: Place, way: str) -> Place:
        return place._replace(layer=getattr(place.layer, way), params=place.params[way])

    def give(place: Place) -> Entries:
        return {
            name.replace("params/", f"params/{way}_rnn/"): array
            for way in ways
            for name, array in one.give(way_of(place, way)).items()
        }

    def take(place: Place, entries: Entries) -> tuple[Tree, Tree]:
        params = {}
        for way in ways:
            start = f"params/{way}_rnn/"
            own = {
                "params/" + name.removeprefix(start): a
                for name, a in entries.items()
                if name.startswith(start)
            }
            params[way] = one.take(way_of(place, way), own)[0]
        return params, ()

    return Rule(give, take)


LINEN_CELL = Rule(_give_cells, _take_cells)
NNX_CELL = Rule(_give_nnx_cell, _take_nnx_cell)
