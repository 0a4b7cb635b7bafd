"""Stochastic depth: in training, residual branches are skipped at random.

A network of L blocks is then trained as many shallower ones, the expected depth being the sum of what
survives, and evaluated as a whole. It stands last in a branch: `residual(serial(…, drop_path(rate)))`. The
paper lets rates grow with depth, from 0 to ½: `jnp.linspace(0, 0.5, L + 1)[1:]`.
"""

from jaxopt_notes.layers.dropout import MODES, Dropout
from jaxopt_notes.record import Number, check_choice, check_number

__all__ = ["drop_path"]


def drop_path(rate: Number = 0.5, mode: str = "inverted", per: str = "example") -> Dropout:
    """Stochastic depth: the whole of x is dropped, for some examples or for all.

        inverted   training: y = b·x/(1 − rate)       evaluation: y = x
        vanilla    training: y = b·x                  evaluation: y = (1 − rate)·x
        b = 0 with probability rate, else 1, for each example or for the batch

    Arguments:
        rate: the probability of dropping, in [0, 1]: 1 less the probability of survival of the papers.
        mode: "inverted" rescales in training, "vanilla" in evaluation, as in the paper.
        per: "example" draws for each, "batch" once for all, as in the paper.

    Returns:
        A `Dropout` record.

    Raises:
        ValueError: a rate outside [0, 1], an unknown choice; in `apply`, training without a key.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> y, _ = drop_path(0.5).apply({}, (), jnp.ones((3, 2)), key=jax.random.key(0), train=True)
        >>> y
        Array([[0., 0.],
               [0., 0.],
               [2., 2.]], dtype=float32)

    Source: Huang et al. 2016, eq. 2 to 5.

    Elsewhere: torchvision's `StochasticDepth(p, "row")` is the default here; timm calls it `DropPath`.
    """
    check_choice("drop_path(per)", per, ("example", "batch"))
    return Dropout(
        check_number("drop_path(rate)", rate, "[0, 1]", "it is the probability of dropping"),
        check_choice("drop_path(mode)", mode, MODES),
        (1, None) if per == "example" else (0, None),
    )
