"""Penalties: terms of the loss that make weights small, records called with parameters -> scalar.

    penalty = l2(1e-4)
    objective = weighted_mean(loss(outputs, targets), weights) + penalty(params)

The strength is a leaf, so it can be swept and differentiated. By default only weights are penalised
(`jaxopt_notes.weights_only`), not biases or normalization parameters.

Conventions. Cost and gradient must belong together, and in the study notes they do
not: the cost J + λ‖w‖² has the gradient 2λw, not λw. Here they always do, with these factors:

    l2(λ)             ½λ‖w‖²                      gradient λw
    l1(λ)             λ‖w‖₁                       gradient λ·sign(w), 0 at 0
    elastic_net(λ,ρ)  λρ‖w‖₁ + ½λ(1−ρ)‖w‖²        gradient λρ·sign(w) + λ(1−ρ)w
    group_lasso(λ)    λ·Σ √|g|·‖w_g‖              gradient λ√|g|·w_g/‖w_g‖, 0 at 0

`samples=m` divides them by a number of samples: J + (λ/2m)‖w‖² is `l2(λ, samples=m)`. `half=False` leaves
the ½ out: J + λ‖w‖² is `l2(λ, half=False)`.

What makes exact zeros is not the gradient of a penalty but its proximal step: `proximal_step` has one for
each of these and for `l0`, and `proximal`, `proximal_gradient` train with it. The hard constraint that
belongs to a penalty is a projection (`jaxopt_notes.projections`); `strength_for_radius` finds the λ that
amounts to it.

Penalties of the model. Some look not at the parameters but at what the network does with the batch: at its
activations, at its derivatives by the inputs. They have a method instead of a call, which runs the model:

    outputs, state, cost = penalty.apply(model, params, state, x, targets, weights, key=key)

A `Trainer` takes both kinds, and `add_penalties` adds them up.

A penalty goes through the optimizer with the rest of the gradient. Weight decay does not, and is an
optimizer's affair; under plain gradient descent they are the same (`lambda_from_decay`).
"""

# ruff: noqa: F403

# One line for each file: the names in its `__all__` are public; PENALTIES are those of the parameters.
from jaxopt_notes.penalties.activity import *
from jaxopt_notes.penalties.add_penalties import *
from jaxopt_notes.penalties.elastic_net import *
from jaxopt_notes.penalties.group_lasso import *
from jaxopt_notes.penalties.input_gradient import *
from jaxopt_notes.penalties.jacobian import *
from jaxopt_notes.penalties.l0 import *
from jaxopt_notes.penalties.l1 import *
from jaxopt_notes.penalties.l2 import *
from jaxopt_notes.penalties.l2_sp import *
from jaxopt_notes.penalties.lambda_from_decay import *
from jaxopt_notes.penalties.lp_norm import *
from jaxopt_notes.penalties.orthogonality import *
from jaxopt_notes.penalties.spectral import *
from jaxopt_notes.penalties.strength_for_radius import *
from jaxopt_notes.registry import public_names as _public_names
from jaxopt_notes.registry import returning as _returning

PENALTIES = _returning(globals(), "__call__")
"""The penalties by name."""
for _name in ("add_penalties", "l2_sp"):  # made of others, or of parameters
    del PENALTIES[_name]

__all__ = ["PENALTIES", *_public_names(__name__, globals())]
