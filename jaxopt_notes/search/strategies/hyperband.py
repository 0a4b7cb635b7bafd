"""Hyperband: successive halving several times, from many short runs to a few whole ones.

How far a short run can be trusted is not known, so the budget is split evenly between brackets that
trust it more and less; the last one is random search with whole runs.
"""

from jaxopt_notes.record import check_count
from jaxopt_notes.search.strategies.successive_halving import Rungs, SuccessiveHalving

__all__ = ["hyperband", "hyperband_brackets"]


def hyperband_brackets(max_epochs: int, eta: int = 3, min_epochs: int = 1) -> tuple[Rungs, ...]:
    """The rungs (trials, epochs) of every bracket, the one with the shortest runs first.

    Example:
        >>> for bracket in hyperband_brackets(9):
        ...     print(bracket)
        ((9, 1), (3, 3), (1, 9))
        ((5, 3), (1, 9))
        ((3, 9),)
    """
    last = 0
    while min_epochs * eta ** (last + 1) <= max_epochs:
        last += 1
    brackets = []
    for s in range(last, -1, -1):
        n = -(-(last + 1) * eta**s // (s + 1))
        brackets.append(tuple((n // eta**i, max_epochs // eta ** (s - i)) for i in range(s + 1)))
    return tuple(brackets)


def hyperband(max_epochs: int = 27, eta: int = 3, min_epochs: int = 1) -> SuccessiveHalving:
    """Hyperband: brackets of successive halving, each with about the same number of epochs in all.

        s = s_max … 0,  s_max = ⌊log_η(R/r)⌋:   n = ⌈(s_max + 1)·ηˢ/(s + 1)⌉ fresh configurations,
        rung i ≤ s: ⌊n/ηⁱ⌋ trials until R·η^(i−s) epochs

    Arguments:
        max_epochs: R, the epochs of a whole run.
        eta: η ≥ 2, a whole number.
        min_epochs: r, the fewest epochs that say anything; fewer brackets if it is larger.

    Returns:
        A `SuccessiveHalving` strategy with these brackets one after the other; each rung is one batch.
        R·η^(i−s) is rounded down where R is not a power of η.

    Raises:
        ValueError: a number below its least. TypeError: an argument is not a whole number.

    Example:
        >>> hyperband(4, eta=2).brackets
        (((4, 1), (2, 2), (1, 4)), ((3, 2), (1, 4)), ((3, 4),))

    Source: Li et al. 2018, algorithm 1 and table 1 (R = 81, η = 3).

    Elsewhere: the first preprint rounds (s_max + 1)/(s + 1) down before it multiplies: 27, 9, 6, 5 in place
    of 34, 15, 8, 5 in its table. optuna's HyperbandPruner deals trials to brackets by a hash and promotes
    asynchronously.
    """
    check_count("hyperband(min_epochs)", min_epochs, 1)
    check_count("hyperband(max_epochs)", max_epochs, min_epochs, "min_epochs is its least")
    check_count("hyperband(eta)", eta, 2)
    return SuccessiveHalving(hyperband_brackets(max_epochs, eta, min_epochs))
