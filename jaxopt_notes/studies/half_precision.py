"""What float16 loses: chains that grow to infinity or shrink to 0, and small gradients, with loss scales.

1.5ⁿ overflows at n = 28, since the largest number is 65504. The value 0.8ⁿ rounds to 0 from n = 78 on; but
multiplied step by step in float16 it never gets there: it stops at the fixed point 2·2⁻²⁴, whose product
rounds back to itself. Gradients are small numbers, so a network's are looked at under one loss scale after
another: too small a scale loses them to 0, too large a one to infinity.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.diagnostics import float_range
from jaxopt_notes.layers import mlp
from jaxopt_notes.losses import softmax_cross_entropy
from jaxopt_notes.record import check_count, record, static
from jaxopt_notes.search.export import Rows
from jaxopt_notes.studies.result import Array, Figure, StudyResult, median, rows_of

__all__ = ["HalfPrecision", "half_precision"]

GAINS = (1.5, 0.8)


@record
class HalfPrecision(StudyResult):
    """See `half_precision`."""

    dtypes: tuple[str, ...] = static()
    scales: Array  # [scales]
    values: Array  # [gains, dtypes, depth + 1]: gainⁿ, rounded once
    products: Array  # the same, multiplied one by one
    underflow: Array  # [dtypes, scales, seeds]: share of gradients that are lost to 0
    overflow: Array  # the same to infinity

    def ends(self, products: bool = False) -> np.ndarray:
        """The first n at which 1.5ⁿ is infinite, and 0.8ⁿ is 0, [gains, dtypes]; −1 if that never comes."""
        found = self.products if products else self.values
        over = np.stack([np.isinf(found[0]), found[1] == 0])
        return np.where(over.any(axis=-1), over.argmax(axis=-1), -1)

    def rows(self) -> Rows:
        values, products = self.ends(), self.ends(products=True)
        best = np.argmin(median(self.underflow + self.overflow), axis=1)
        lost = median(self.underflow)[:, 0], np.min(median(self.underflow + self.overflow), axis=1)
        return rows_of(
            dtype=self.dtypes, infinite_from=values[0], zero_from=values[1], zero_step_by_step=products[1],
            gradients_lost=lost[0], best_scale=self.scales[best], lost_there=lost[1],
        )  # fmt: skip

    def plot(self) -> Figure:
        from jaxopt_notes.plots.panels import bands, panels

        drawn, (left, right) = panels(2)
        steps = np.arange(self.values.shape[-1])
        narrow = self.dtypes.index("float16")
        shown = {f"{gain:g}ⁿ": self.values[i, narrow] for i, gain in enumerate(GAINS)}
        shown |= {"0.8 × 0.8 × …": self.products[1, narrow]}
        bands(left, steps, {name: np.where(v > 0, v, np.nan) for name, v in shown.items()})
        left.set(yscale="log", xlabel="n", ylabel="in float16", title="chains")
        lost = {"lost to 0": self.underflow[narrow].T, "lost to infinity": self.overflow[narrow].T}
        bands(right, self.scales, lost)
        right.set(
            xscale="log", xlabel="loss scale", ylabel="share of gradients", title="gradients in float16"
        )
        return drawn


def half_precision(
    key: jax.Array, *, seeds: int = 5, depth: int = 100, layers: int = 6, width: int = 64
) -> HalfPrecision:
    """Chains of factors, and a deep sigmoid network's gradients, in float16 and bfloat16.

        1.5ⁿ and 0.8ⁿ;     P(S·|g| rounds to 0) and P(S·|g| overflows) for loss scales S

    Arguments:
        key: a typed random key.
        seeds: networks, each with inputs of its own.
        depth: factors of a chain.
        layers: hidden layers of the network, whose sigmoids make gradients small.
        width: their units.

    Returns:
        A `HalfPrecision`.

    Raises:
        ValueError: a number below 1. TypeError: it is not a whole number.

    Source: the study notes, 1.5¹⁰⁰ = 4·10¹⁷ and 0.8¹⁰⁰ = 2·10⁻¹⁰; Micikevicius et al. 2018.
    """
    for name, number in {"seeds": seeds, "depth": depth, "layers": layers, "width": width}.items():
        check_count(f"half_precision({name})", number, 1)
    dtypes = ("float16", "bfloat16")
    scales = 2.0 ** np.arange(0, 41, 4)
    exact = np.array(GAINS)[:, None] ** np.arange(depth + 1)
    values, products = [], []
    for dtype in (np.float16, jnp.bfloat16):
        with np.errstate(over="ignore", under="ignore"):
            values.append(exact.astype(dtype).astype(np.float64))
            factors = np.repeat(np.array(GAINS, dtype)[:, None], depth, axis=1)
            chain = [np.ones(2, dtype)]
            for factor in factors.T:
                chain.append((chain[-1] * factor).astype(dtype))
            products.append(np.stack(chain, axis=1).astype(np.float64))

    model = mlp([width] * layers + [10], "sigmoid")

    def lost(key: jax.Array, scales: jax.Array) -> jax.Array:
        x = jax.random.normal(jax.random.fold_in(key, 0), (64, width))
        params, state = model.init(jax.random.fold_in(key, 1), x)
        y = jnp.arange(64) % 10
        grads = jax.grad(lambda p: jnp.mean(softmax_cross_entropy(model.apply(p, state, x)[0], y)))(params)
        ranges = [jax.vmap(lambda s, d=d: float_range(grads, d, scale=s))(scales) for d in dtypes]
        return jnp.stack([jnp.stack([r.underflow, r.overflow]) for r in ranges])

    found = jax.jit(jax.vmap(lost, (0, None)))(jax.random.split(key, seeds), jnp.asarray(scales, jnp.float32))
    underflow, overflow = np.moveaxis(np.asarray(found), 0, -1).swapaxes(0, 1)
    return HalfPrecision(
        dtypes, scales, np.stack(values, axis=1), np.stack(products, axis=1), underflow, overflow
    )
