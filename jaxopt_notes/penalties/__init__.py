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

Nothing is divided by a number of samples m, because a penalty does not know it. Whoever wants
J + (λ/2m)‖w‖² writes `l2(λ / m)`; whoever wants J + λ‖w‖² writes `l2(2 * λ)`.

A penalty goes through the optimizer with the rest of the gradient. Weight decay does not, and is an
optimizer's affair; under plain gradient descent they are the same (`lambda_from_decay`).
"""

from jaxopt_notes.penalties.elastic_net import ElasticNet, elastic_net
from jaxopt_notes.penalties.l1 import L1, l1, l1_norm
from jaxopt_notes.penalties.l2 import L2, l2, l2_norm
from jaxopt_notes.penalties.lambda_from_decay import lambda_from_decay
from jaxopt_notes.penalties.lp_norm import lp_norm

PENALTIES = {"l1": l1, "l2": l2, "elastic_net": elastic_net}

__all__ = [
    "L1",
    "L2",
    "PENALTIES",
    "ElasticNet",
    "elastic_net",
    "l1",
    "l1_norm",
    "l2",
    "l2_norm",
    "lambda_from_decay",
    "lp_norm",
]
