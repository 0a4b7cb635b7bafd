"""Which initializer goes with which activation."""

from collections.abc import Callable

from jaxopt_notes.initializers.he import he_normal
from jaxopt_notes.initializers.initializer import Initializer
from jaxopt_notes.initializers.variance_scaling import lecun_normal
from jaxopt_notes.initializers.xavier import xavier_normal

__all__ = ["recommended"]

_XAVIER = ("identity", "tanh", "softsign", "soft_sign", "softmax", "log_softmax")
_HE = ("relu", "elu", "gelu", "silu", "swish", "softplus")
_BY_NAME: dict[str, Callable] = {
    **dict.fromkeys(_XAVIER, xavier_normal),
    **dict.fromkeys(_HE, he_normal),
    "sigmoid": lambda: xavier_normal(gain=4.0),
    "leaky_relu": lambda negative_slope=0.01: he_normal(negative_slope),
    "selu": lecun_normal,
}


def recommended(activation: str | Callable) -> Initializer:
    """The initializer for the kernel in front of an activation function.

        symmetric, linear near 0 (identity, tanh, softsign):    xavier_normal()
        sigmoid, of slope ¼:                                    xavier_normal(gain=4)
        rectifiers (ReLU, and ELU, GELU, SiLU, softplus):       he_normal()
        Leaky ReLU of slope α:                                  he_normal(negative_slope=α)
        SELU:                                                   lecun_normal()

    Arguments:
        activation: a name ("relu"), a function of `jaxopt_notes.activations`, `jax.nn` or Flax, or a
            partial of one: the slope of `partial(leaky_relu, negative_slope=0.2)` is used. Softmax
            and log-softmax get what a linear output gets.

    Returns:
        An initializer record, called `(key, shape, dtype=float32)`.

    Raises:
        ValueError: an unknown activation, with the list of known ones.

    Example:
        >>> recommended("relu")
        He(negative_slope=0.0, mode='fan_in', distribution='normal')

    Source: Glorot & Bengio 2010; He et al. 2015; Klambauer et al. 2017; gain 4 undoes the slope of the
    sigmoid at 0; LeCun for SELU from Klambauer et al. 2017.

    A layer then multiplies the variance of gradients by 1 with the identity, ReLU and Leaky ReLU, by
    1.07 with SELU, and, where no theory is exact, by 0.97 (GELU), 1.19 (ELU), 0.74 (SiLU, softplus),
    0.77 (tanh), 0.60 (softsign) and 0.37 (sigmoid; 0.06 with gain 1): means over 12 layers of 128 units.

    `jaxopt_notes.activations.gain` has the gain of any function, for the variance of activations.

    Elsewhere: `torch.nn.init.calculate_gain` gives tanh 5/3 and sigmoid 1.
    """
    function = getattr(activation, "func", activation)  # of functools.partial and of tree_util.Partial
    name = activation if isinstance(activation, str) else getattr(function, "__name__", None)
    if name not in _BY_NAME:
        raise ValueError(
            f"recommended(activation) is {activation!r}, expected one of {', '.join(_BY_NAME)}: "
            "for another function choose an initializer yourself."
        )
    slope = getattr(activation, "keywords", {}).get("negative_slope")
    return _BY_NAME[name]() if slope is None else _BY_NAME[name](slope)
