"""Discriminative rates: lower layers, which have learned what all tasks need, move more slowly."""

import re

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.record import Number, check_number

__all__ = ["discriminative_rates", "layers_in_order"]


def layers_in_order(params: Tree) -> list[str]:
    """The top-level entries that have parameters, by the numbers in their names: layers_2 before layers_10.

    Example:
        >>> layers_in_order({"layers_10": 1.0, "layers_2": 1.0})
        ['layers_2', 'layers_10']
    """

    def order(name: str) -> list:
        return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]

    return sorted(map(str, params), key=order)


def discriminative_rates(params: Tree, factor: Number = 2.6) -> dict[str, Number]:
    """A factor for the steps of each layer, 1 at the top and smaller below.

        η_l = η_L / factor^(L − l)

    Arguments:
        params: of a `serial` model, or any dict whose keys stand in the order of the layers.
        factor: ≥ 1, from one layer with parameters to the next; 1 treats all alike. It may be traced.

    Returns:
        Path → factor, for `chain(optimizer, layerwise_rates(…))`.

    Raises:
        ValueError: factor < 1.

    Example:
        >>> discriminative_rates({"layers_0": 1.0, "layers_2": 1.0, "layers_4": 1.0}, 2.0)
        {'layers_0': 0.25, 'layers_2': 0.5, 'layers_4': 1.0}

    Source: Howard & Ruder 2018, section 3.2, where 2.6 is found empirically.
    """
    factor = check_number("discriminative_rates(factor)", factor, "[1, inf)", "1 treats all layers alike")
    names = layers_in_order(params)
    return {name: 1.0 / factor ** (len(names) - 1 - i) for i, name in enumerate(names)}
