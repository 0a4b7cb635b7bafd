"""Test functions: small losses whose minima, curvatures and traps are known.

    loss = rosenbrock()                                      # elliptic_bowl(), double_well(), …
    slope = jax.grad(loss)(point)

A problem is a record, called with a point; its numbers are leaves, so a sweep over condition
numbers is a `vmap` like any other. A point is a vector [n] and the value a scalar; `double_well` and
`lessard` are functions of one variable. Gradients come from `jax.grad`, values on a grid from
`jax.vmap`. `PROBLEMS` lists the factories.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.dtypes import as_hyperparameter, compute_dtype
from jaxopt_notes.losses.cross_entropy import sigmoid_binary_cross_entropy
from jaxopt_notes.record import Number, check_number, record

__all__ = [
    "PROBLEMS",
    "double_well",
    "elliptic_bowl",
    "lessard",
    "logistic_regression",
    "quadratic",
    "rosenbrock",
    "saddle",
]


def _lift(x: ArrayLike, *numbers: Number) -> tuple:
    """The point and the numbers in the dtype to compute in."""
    kind = compute_dtype(x)
    return jnp.asarray(x, kind), *(as_hyperparameter(number).astype(kind) for number in numbers)


@record
class Quadratic:
    """See `quadratic`."""

    eigenvalues: Any

    def __call__(self, x: ArrayLike) -> jax.Array:
        point, eigenvalues = _lift(x, self.eigenvalues)
        return (jnp.sum(eigenvalues * point**2) / 2).astype(jnp.asarray(x).dtype)


def quadratic(eigenvalues: Any = (1.0, 10.0)) -> Quadratic:
    """A quadratic, along its axes.

        f(x) = ½·Σᵢ λᵢ·xᵢ²

    Arguments:
        eigenvalues: λ, [n]: the curvatures. Gradient descent of rate η multiplies xᵢ by 1 − ηλᵢ; a
            negative one makes a saddle.

    Returns:
        A `Quadratic` record, called with x [n].

    Example:
        >>> jax.grad(quadratic([1.0, 10.0]))(jnp.array([2.0, -1.0]))
        Array([  2., -10.], dtype=float32)

    Source: Goodfellow, Bengio & Courville 2016, section 4.3.
    """
    return Quadratic(check_number("quadratic(eigenvalues)", eigenvalues))


def elliptic_bowl() -> Quadratic:
    """The surface on which the notes race optimizers, from (−7, 2).

        z = x²/10 + y²

    Returns:
        A `Quadratic` record of curvatures 0.2 and 2, condition number 10.

    Example:
        >>> print(f"{elliptic_bowl()(jnp.array([-7.0, 2.0])):.1f}")
        8.9

    Source: Goodfellow, Bengio & Courville 2016, section 4.3.
    """
    return quadratic((0.2, 2.0))


def saddle() -> Quadratic:
    """A saddle: a minimum along x, a maximum along y.

        z = x² − y²

    Returns:
        A `Quadratic` record. Descent from y = 0 ends at 0; from elsewhere it escapes along y.

    Example:
        >>> saddle()(jnp.array([3.0, 2.0]))
        Array(5., dtype=float32)

    Source: Goodfellow, Bengio & Courville 2016, section 4.3.
    """
    return quadratic((2.0, -2.0))


@record
class Rosenbrock:
    """See `rosenbrock`."""

    a: Number
    b: Number

    def __call__(self, x: ArrayLike) -> jax.Array:
        point, a, b = _lift(x, self.a, self.b)
        here, there = point[:-1], point[1:]
        return jnp.sum((a - here) ** 2 + b * (there - here**2) ** 2).astype(jnp.asarray(x).dtype)


def rosenbrock(a: Number = 1.0, b: Number = 100.0) -> Rosenbrock:
    """Rosenbrock's banana valley: easy to reach, hard to follow.

        f(x) = Σᵢ (a − xᵢ)² + b·(xᵢ₊₁ − xᵢ²)²

    Arguments:
        a: in two dimensions the minimum is 0, at (a, a²); in more if a is 0 or 1.
        b: how steep the walls of the valley are.

    Returns:
        A `Rosenbrock` record, called with x [n]; the customary start is (−1.2, 1).

    Example:
        >>> print(f"{rosenbrock()(jnp.array([-1.2, 1.0])):.1f}")
        24.2

    Source: Rosenbrock 1960.
    """
    return Rosenbrock(check_number("rosenbrock(a)", a), check_number("rosenbrock(b)", b))


@record
class DoubleWell:
    """See `double_well`."""

    tilt: Number

    def __call__(self, x: ArrayLike) -> jax.Array:
        point, tilt = _lift(x, self.tilt)
        return ((point**2 - 1) ** 2 + tilt * point).astype(jnp.asarray(x).dtype)


def double_well(tilt: Number = 0.0) -> DoubleWell:
    """Two valleys with a hill between them, one of them the deeper if tilted.

        f(x) = (x² − 1)² + t·x

    Arguments:
        tilt: t; for 0 < t < 8/√27 the valley near −1 is the deeper, that near 1 a local minimum.

    Returns:
        A `DoubleWell` record, called with a number x.

    Example:
        >>> [float(double_well(tilt=0.5)(x)) for x in (-1.0, 0.0, 1.0)]
        [-0.5, 1.0, 0.5]

    Source: Goodfellow, Bengio & Courville 2016, section 4.3.
    """
    return DoubleWell(check_number("double_well(tilt)", tilt))


@record
class Lessard:
    """See `lessard`."""

    low: Number
    high: Number

    def __call__(self, x: ArrayLike) -> jax.Array:
        point, low, high = _lift(x, self.low, self.high)
        left, middle = high * point**2 / 2, low * point**2 / 2 + (high - low) * (point - 1 / 2)
        right = left - (high - low) * (point - 3 / 2)
        return jnp.where(point < 1, left, jnp.where(point < 2, middle, right)).astype(jnp.asarray(x).dtype)


def lessard(low: Number = 1.0, high: Number = 25.0) -> Lessard:
    """A strongly convex function on which the heavy ball goes round for ever.

        f′(x) = L·x  (x < 1),   m·x + L − m  (1 ≤ x < 2),   L·x − (L − m)  (2 ≤ x)

    Arguments:
        low: m > 0, the least curvature, between 1 and 2.
        high: L ≥ m, the curvature elsewhere.

    Returns:
        A `Lessard` record, called with a number x; the minimum is f(0) = 0. With m = 1,
        L = 25 and Polyak's tuning η = 1/9, β = 4/9 the heavy ball from 3.3 ends in a cycle of three.

    Raises:
        ValueError: a number outside its interval. TypeError: an argument is not a number.

    Example:
        >>> [float(jax.grad(lessard())(x)) for x in (0.5, 1.5, 3.0)]
        [12.5, 25.5, 51.0]

    Source: Lessard, Recht & Packard 2016, equation 4.11.
    """
    return Lessard(
        check_number("lessard(low)", low, "(0, inf)"), check_number("lessard(high)", high, "(0, inf)")
    )


@record
class LogisticRegression:
    """See `logistic_regression`."""

    x: ArrayLike
    y: Any
    l2: Number

    def __call__(self, weights: ArrayLike) -> jax.Array:
        point, x, l2 = _lift(weights, self.x, self.l2)
        losses = sigmoid_binary_cross_entropy(jnp.matmul(x, point, precision="highest"), self.y)
        return (jnp.mean(losses) + l2 * jnp.sum(point**2) / 2).astype(jnp.asarray(weights).dtype)


def logistic_regression(x: ArrayLike, y: ArrayLike, l2: Number = 0.0) -> LogisticRegression:
    """The loss of logistic regression, a convex function of the weights.

        f(w) = mean over i of log(1 + exp(xᵢ·w)) − yᵢ·(xᵢ·w)   + ½·λ·‖w‖²

    Arguments:
        x: features, [B, n]; a column of ones is the bias.
        y: labels 0 or 1, [B].
        l2: λ ≥ 0; positive makes it strongly convex.

    Returns:
        A `LogisticRegression` record, called with w [n]; its curvature is at most λ_max(xᵀx)/(4B) + λ.

    Raises:
        ValueError: the shapes do not fit, or a negative λ.

    Example:
        >>> f = logistic_regression(jnp.array([[1.0], [-1.0]]), jnp.array([1, 0]))
        >>> print(f"{f(jnp.zeros(1)):.4f}")
        0.6931

    Source: Goodfellow, Bengio & Courville 2016, section 4.3.
    """
    if jnp.ndim(x) != 2 or jnp.shape(y) != jnp.shape(x)[:1]:
        found = f"{jnp.shape(y)}, and x has shape {jnp.shape(x)}"
        raise ValueError(
            f"logistic_regression(y) has shape {found}: expected x [B, n] and a label a row, y [B]."
        )
    return LogisticRegression(x, y, check_number("logistic_regression(l2)", l2, "[0, inf)"))


PROBLEMS = {
    "quadratic": quadratic,
    "elliptic_bowl": elliptic_bowl,
    "saddle": saddle,
    "rosenbrock": rosenbrock,
    "double_well": double_well,
    "lessard": lessard,
    "logistic_regression": logistic_regression,
}
"""The problems by name."""
