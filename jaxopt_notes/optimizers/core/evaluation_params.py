"""The parameters to evaluate with, where an optimizer holds others while it trains."""

from jaxopt_notes.dtypes import Tree
from jaxopt_notes.optimizers.core.gradient_transform import GradientTransform


def evaluation_params(optimizer: GradientTransform, params: Tree, state: Tree) -> Tree:
    """The parameters that an optimizer means you to evaluate, given those that it trains.

        θ = θ̂ + α·v for `nesterov`, which holds its look-ahead point; θ for most others

    Arguments:
        optimizer: any optimizer or chain.
        params: the parameters held in training.
        state: the optimizer's state.

    Returns:
        `optimizer.evaluation_params(params, state)` where the optimizer has one, else `params`.

    Example:
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> evaluation_params(sgd(0.1), 1.0, sgd(0.1).init(1.0))
        1.0

    Source: Sutskever et al. 2013, section 2.

    Elsewhere: `optax.contrib.schedule_free_eval_params`, for that optimizer alone.
    """
    own = getattr(optimizer, "evaluation_params", None)
    return params if own is None else own(params, state)
