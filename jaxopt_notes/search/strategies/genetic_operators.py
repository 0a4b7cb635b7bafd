"""How genetic searches make new points of the unit cube from old ones: crossover, mutation, tournaments.

Both operators act on each coordinate alone and respect the walls: their distributions are cut off at 0 and 1
and not clipped to them. η says how near children stay to their parents. A choice without order has no
near and far: its children have the value of one parent or the other, and a mutation is any value.
"""

import numpy as np


def simulated_binary_crossover(
    low: np.ndarray, high: np.ndarray, u: np.ndarray, eta: float
) -> tuple[np.ndarray, np.ndarray]:
    """Two children about two parents, low ≤ high, as one-point crossover of binary numbers spreads them.

        children ½(low + high) ∓ ½β(high − low),   β with density ½(η + 1)β^η below 1, ½(η + 1)β^(−η−2) above

    Arguments:
        low, high: coordinates of the parents in [0, 1].
        u: uniform numbers in [0, 1), from which β comes, of the same shape.
        eta: η ≥ 0.

    Returns:
        The lower child and the upper one, in [0, 1].

    Example:
        >>> simulated_binary_crossover(np.array([0.4]), np.array([0.6]), np.array([0.4999]), 20.0)
        (array([0.4000...]), array([0.5999...]))

    Source: Deb & Agrawal 1995; with walls as in Deb's program of NSGA-II.
    """
    distance = np.where(high > low, high - low, 1.0)

    def spread(room: np.ndarray) -> np.ndarray:
        """β, cut off where a child would be behind the wall that is `room` away from its parent."""
        alpha = 2 - (1 + 2 * room / distance) ** -(eta + 1)
        share = u * alpha
        return np.where(share <= 1, share, 1 / np.maximum(2 - share, 1e-300)) ** (1 / (eta + 1))

    middle, half = (low + high) / 2, (high - low) / 2
    below, above = middle - spread(low) * half, middle + spread(1 - high) * half
    return np.clip(below, 0, 1), np.clip(above, 0, 1)


def polynomial_mutation(x: np.ndarray, u: np.ndarray, eta: float) -> np.ndarray:
    """A coordinate moved a little, rarely far: the larger η, the less.

        x + δ,   δ with density ½(η + 1)(1 − |δ|)^η, each side scaled to end at its wall

    Arguments:
        x: coordinates in [0, 1].
        u: uniform numbers in [0, 1): below ½ it moves down.
        eta: η ≥ 0.

    Example:
        >>> polynomial_mutation(np.array([0.3, 0.3]), np.array([0.0, 0.5]), 20.0)
        array([0. , 0.3])

    Source: Deb & Goyal 1996; with walls as in Deb's program of NSGA-II.
    """
    power = eta + 1
    down = (2 * u + (1 - 2 * u) * (1 - x) ** power) ** (1 / power) - 1
    up = 1 - (2 * (1 - u) + (2 * u - 1) * x**power) ** (1 / power)
    return np.clip(x + np.where(u < 0.5, down, up), 0, 1)


def children(
    rng: np.random.Generator,
    mothers: np.ndarray,
    fathers: np.ndarray,
    ordered: np.ndarray,
    crossover: float,
    etas: tuple[float, float],
) -> np.ndarray:
    """Two children of each pair [2n, d]: crossed with a probability, mutated in one coordinate on average.

    Arguments:
        rng: draws everything.
        mothers, fathers: [n, d] in the unit cube.
        ordered: which axes have near and far [d].
        crossover: the probability that a pair is crossed; each coordinate then is with probability ½.
        etas: η of the crossover and of the mutation.
    """
    n, d = mothers.shape
    low, high = np.minimum(mothers, fathers), np.maximum(mothers, fathers)
    below, above = simulated_binary_crossover(low, high, rng.random((n, d)), etas[0])
    below, above = np.where(ordered, below, low), np.where(ordered, above, high)
    crossed = (rng.random((n, 1)) < crossover) & (rng.random((n, d)) < 0.5)
    swapped = rng.random((n, d)) < 0.5
    first = np.where(crossed, np.where(swapped, above, below), mothers)
    second = np.where(crossed, np.where(swapped, below, above), fathers)
    both = np.concatenate([first, second])
    u = rng.random(both.shape)
    mutated = np.where(ordered, polynomial_mutation(both, u, etas[1]), u)
    return np.where(rng.random(both.shape) < 1 / max(d, 1), mutated, both)
