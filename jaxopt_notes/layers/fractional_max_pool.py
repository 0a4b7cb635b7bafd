"""Fractional max pooling: windows of changing size, drawn anew in training, shrink an image by any ratio.

Max pooling with 2×2 windows leaves a quarter of the pixels; a ratio between 1 and 2 allows more layers of
pooling, and its random windows act on features as small distortions do on images. Along an axis of n pixels
and m windows, window i begins at

    aᵢ = ⌈α·i + u⌉ − ⌈u⌉,  α = n/m

so that the steps are ⌊α⌋ and ⌈α⌉ and sum to n. It is computed in whole numbers: u is one of the n fractions
k/m, between which nothing changes.
"""

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.adaptive_pool import largest
from jaxopt_notes.layers.layer import WithoutParameters, check_space, floating
from jaxopt_notes.record import check_choice, check_number, record, static

__all__ = ["FractionalMaxPool", "fractional_bounds", "fractional_max_pool"]


@record
class FractionalMaxPool(WithoutParameters):
    """See `fractional_max_pool`."""

    ratio: tuple[float, ...] = static()
    overlapping: bool = static()
    sequence: str = static()

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        check_space("fractional_max_pool(x)", x, len(self.ratio))
        if train and key is None:
            raise ValueError("fractional_max_pool draws its windows in training: give apply a key.")
        x = floating(x)
        for axis in reversed(range(1, x.ndim - 1)):
            n = x.shape[axis]
            m = int(n / self.ratio[axis - 1])
            if m == 0:
                raise ValueError(
                    f"fractional_max_pool(ratio) is {self.ratio}, expected at most the {n} pixels."
                )
            own = jax.random.fold_in(key, axis) if train and key is not None else None
            bounds = fractional_bounds(own, n, m, self.sequence)
            more = int(self.overlapping)
            stop = jnp.minimum(bounds[1:] + more, n)
            x = largest(x, axis, bounds[:-1], stop, -(-n // m) + more)
        return x, state


def fractional_bounds(
    key: jax.Array | None, pixels: int, windows: int, sequence: str = "pseudorandom"
) -> jax.Array:
    """Where windows begin, and at last where the image ends: [windows + 1] whole numbers from 0 to `pixels`.

    Arguments:
        key: for a draw; None for the windows of evaluation, the pseudorandom ones at u = 0.
        pixels, windows: n and m, n ≥ m.
        sequence: "pseudorandom" or "random", as in `fractional_max_pool`.

    Example:
        >>> fractional_bounds(None, 7, 5)
        Array([0, 2, 3, 5, 6, 7], dtype=int32)
    """
    i = jnp.arange(windows + 1)
    if key is not None and sequence == "random":
        steps = jnp.diff(fractional_bounds(None, pixels, windows))
        return jnp.concatenate([i[:1], jnp.cumsum(jax.random.permutation(key, steps)).astype(i.dtype)])
    k = 0 if key is None else jax.random.randint(key, (), 0, pixels, i.dtype)
    return -(-(i * pixels + k) // windows) - -(-k // windows)


def fractional_max_pool(
    ratio: float | tuple[float, ...] = 2**0.5, *, overlapping: bool = False, sequence: str = "pseudorandom"
) -> FractionalMaxPool:
    """The largest value in each of windows of changing size, drawn anew in training.

        y[b, i, j, c] = max of x[b, p, q, c] over aᵢ ≤ p < aᵢ₊₁ and the same for q      a₀ = 0, aₘ = H

    Arguments:
        ratio: how many times fewer pixels the output has, ≥ 1, for height and width or one number for both;
            (r,) for signals, three for volumes. The output has m = ⌊H/ratio⌋ pixels, and steps are
            ⌊H/m⌋ or ⌈H/m⌉: 1 or 2 for the ratios between, 2 alone where it is 2 and H is even.
        overlapping: whether windows reach one pixel into the next: aᵢ ≤ p ≤ aᵢ₊₁.
        sequence: "pseudorandom", aᵢ = ⌈α·i + u⌉ − ⌈u⌉ with one u for each axis; or "random", whose steps
            stand in any order.

    Returns:
        A `FractionalMaxPool` record, from [B, H, W, C] to [B, m, n, C]. All images of a batch share the
        windows of a draw; with `train=False` they are always the same, those of u = 0.

    Raises:
        TypeError, ValueError: a ratio below 1, an unknown sequence, another rank; in training no key.

    Example:
        >>> layer = fractional_max_pool(1.5)
        >>> layer.apply({}, (), jnp.ones((2, 9, 9, 3)), key=jax.random.key(0), train=True)[0].shape
        (2, 6, 6, 3)

    Source: Graham 2014, section 2.

    Elsewhere: torch's `FractionalMaxPool2d` draws for each image and channel, in evaluation too, and its
    windows have one size `kernel_size`; TensorFlow's `fractional_max_pool` draws one set for a batch.
    """
    ratios = tuple(ratio) if isinstance(ratio, tuple | list) else (ratio, ratio)
    if not 1 <= len(ratios) <= 3:
        raise ValueError(
            f"fractional_max_pool(ratio) is {ratio!r}, expected one number, or one for each dimension."
        )
    return FractionalMaxPool(
        tuple(float(check_number("fractional_max_pool(ratio)", r, "[1, inf)")) for r in ratios),
        overlapping,
        check_choice("fractional_max_pool(sequence)", sequence, ("pseudorandom", "random")),
    )
