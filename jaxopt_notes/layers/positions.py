"""Where in its sequence a vector stands, said in numbers, for layers that would not know: attention.

Sinusoids and learned vectors are added to the input; `rotary` turns queries and keys instead, each by
an angle that grows with its place, so that their product depends on the distance between them alone.
"""

import jax
import jax.numpy as jnp

from jaxopt_notes.dtypes import Tree, as_hyperparameter, compute_dtype
from jaxopt_notes.initializers import check_initializer, normal
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.layers.layer import Shaped, WithoutParameters, floating, parameter_dtype
from jaxopt_notes.layers.recurrent import check_sequence
from jaxopt_notes.record import Number, check_count, check_number, record, static

__all__ = [
    "LearnedPositions",
    "SinusoidalPositions",
    "learned_positions",
    "rotary",
    "sinusoidal_positions",
    "sinusoids",
]


@record
class SinusoidalPositions(WithoutParameters):
    """See `sinusoidal_positions`."""

    base: Number

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        x = floating(x)
        check_sequence("sinusoidal_positions", x)
        return _added(x, sinusoids(x.shape[1], x.shape[2], self.base)), state


@record
class LearnedPositions:
    """See `learned_positions`."""

    length: int = static()
    embedding_init: Initializer

    def init(self, key: jax.Array, x: Shaped) -> tuple[Tree, Tree]:
        self._check(x)
        return {"embedding": self.embedding_init(key, (self.length, x.shape[-1]), parameter_dtype(x))}, ()

    def apply(
        self, params: Tree, state: Tree, x: jax.Array, *, key: jax.Array | None = None, train: bool = False
    ) -> tuple[jax.Array, Tree]:
        x = floating(x)
        self._check(x)
        return _added(x, params["embedding"][: x.shape[1]]), state

    def _check(self, x: Shaped) -> None:
        check_sequence("learned_positions", x)
        if x.shape[1] > self.length:
            raise ValueError(
                f"learned_positions(x) has {x.shape[1]} steps, expected at most its {self.length}: make it "
                "with the length of the longest sequence, or use sinusoidal_positions()."
            )


def _added(x: jax.Array, positions: jax.Array) -> jax.Array:
    kind = compute_dtype(x)
    return (x.astype(kind) + positions.astype(kind)[None]).astype(x.dtype)


def sinusoids(steps: int, features: int, base: Number = 10_000.0) -> jax.Array:
    """Sines and cosines of wavelengths from 2π to 2π·base, in turn.

        p[t, 2i] = sin(t·base^(−2i/D))            p[t, 2i + 1] = cos(t·base^(−2i/D))

    Example:
        >>> sinusoids(2, 4).round(3)
        Array([[0.   , 1.   , 0.   , 1.   ],
               [0.841, 0.54 , 0.01 , 1.   ]], dtype=float32)
    """
    angles = _angles(jnp.arange(steps), (features + 1) // 2, features, base)
    both = jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-1)
    return both.reshape(steps, -1)[:, :features]


def rotary(x: jax.Array, positions: jax.Array | None = None, base: Number = 10_000.0) -> jax.Array:
    """Vectors turned by their places, pair by pair of their numbers.

        (x[i], x[i + D/2]) is turned by the angle t·base^(−2i/D)

    The product of a query at t and a key at s is then a function of t − s.

    Arguments:
        x: [B, T, N, D], queries or keys of N heads; D is even.
        positions: t of each step, [T]; by default 0, 1, 2, …
        base: the longest wavelength is 2π·base.

    Returns:
        An array like x.

    Example:
        >>> rotary(jnp.ones((1, 2, 1, 2)), base=1.0, positions=jnp.array([0.0, jnp.pi / 2])).round(3).ravel()
        Array([ 1.,  1., -1.,  1.], dtype=float32)

    Source: Su et al. 2021, "RoFormer", eq. 34; which numbers make a pair is a matter of order, and here, as
    with Llama's weights in transformers, the first half pairs with the second.
    """
    size = x.shape[-1]
    if size % 2:
        raise ValueError(f"rotary(x) has {size} features a head, expected an even number, for pairs.")
    places = jnp.arange(x.shape[1]) if positions is None else positions
    angles = _angles(places, size // 2, size, base)[None, :, None, :]
    kind = compute_dtype(x)
    cos, sin = jnp.cos(angles).astype(kind), jnp.sin(angles).astype(kind)
    a, b = jnp.split(x.astype(kind), 2, axis=-1)
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1).astype(x.dtype)


def _angles(places: jax.Array, pairs: int, features: int, base: Number) -> jax.Array:
    base = as_hyperparameter(base)
    powers = jnp.arange(pairs, dtype=base.dtype) * (-2 / features)
    return places.astype(base.dtype)[:, None] * base ** powers[None, :]


def sinusoidal_positions(base: Number = 10_000.0) -> SinusoidalPositions:
    """Sines and cosines of the place are added to a sequence.

        y[b, t] = x[b, t] + p[t]            p[t, 2i] = sin(t·base^(−2i/D)), p[t, 2i + 1] = cos(t·base^(−2i/D))

    Arguments:
        base: > 0; the longest wavelength is 2π·base steps.

    Returns:
        A `SinusoidalPositions` record, from [B, T, D] to [B, T, D].

    Raises:
        ValueError: base is not positive; in `apply`, an input that is not of rank 3.

    Example:
        >>> sinusoidal_positions().apply({}, (), jnp.zeros((1, 2, 2)))[0].round(3)
        Array([[[0.   , 1.   ],
                [0.841, 0.54 ]]], dtype=float32)

    Source: Vaswani et al. 2017, section 3.5, where the input is multiplied by √D first.

    Elsewhere: tensor2tensor has all sines first, then all cosines.
    """
    return SinusoidalPositions(check_number("sinusoidal_positions(base)", base, "(0, inf)"))


def learned_positions(length: int, *, embedding_init: Initializer = normal(0.02)) -> LearnedPositions:
    """A learned vector for each place is added to a sequence.

        y[b, t] = x[b, t] + P[t]

    Arguments:
        length: of the longest sequence.
        embedding_init: initializer of P, called `(key, (length, D), dtype)`.

    Returns:
        A `LearnedPositions` record, from [B, T, D] to [B, T, D]; params {"embedding": [length, D]}.

    Raises:
        TypeError, ValueError: a length that is not a whole number ≥ 1; in `init` and `apply`, an input that
            is not of rank 3, or longer.

    Example:
        >>> layer = learned_positions(16)
        >>> params, _ = layer.init(jax.random.key(0), jnp.zeros((2, 5, 8)))
        >>> params["embedding"].shape
        (16, 8)

    Source: Gehring et al. 2017; Radford et al. 2018 for 0.02.
    """
    return LearnedPositions(
        check_count("learned_positions(length)", length, 1),
        check_initializer("learned_positions(embedding_init)", embedding_init),
    )
