#!/usr/bin/env bash
# Guess: `jax.grad` of a sum over `jax.vmap(f)` works where `jax.vmap(jax.grad(f))` does, and gives the same numbers.
# What happens: where f has a `jax.custom_jvp` rule whose tangent goes through a `lax.cond` with a predicate that depends
#     on the argument, the gradient of the mapped function raises: "Transpose rule (for reverse-mode differentiation) for
#     'stop_gradient' not implemented". The mapped gradient works, and so do both orders for the same function without the
#     rule. A `jnp.where` in place of the conditional works in every order.
# Versions: jax 0.10.2, jaxlib 0.10.2.
# Whom it matters to: authors of differentiable loops and solvers with rules of their own, whose users take gradients
#     through whole populations.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "jax==0.10.2" "jaxlib==0.10.2"
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PYTHON'
import jax
import jax.numpy as jnp
from jax import lax


def doubled_above_one(x):
    return lax.cond(x > 1, lambda x: 2 * x, lambda x: x, x)


def selected_above_one(x):
    return jnp.where(x > 1, 2 * x, x)


def with_a_rule(function):
    f = jax.custom_jvp(function)
    f.defjvp(lambda primals, tangents: jax.jvp(function, primals, tangents))
    return f


def both_orders(f):
    x = jnp.array([1.5, 0.5])
    assert jax.vmap(jax.grad(f))(x).tolist() == [2.0, 1.0]
    return jax.grad(lambda x: jax.vmap(f)(x).sum())(x).tolist()


assert both_orders(doubled_above_one) == [2.0, 1.0]
assert both_orders(with_a_rule(selected_above_one)) == [2.0, 1.0]
try:
    both_orders(with_a_rule(doubled_above_one))
except NotImplementedError as error:
    assert "stop_gradient" in str(error), error
    print("as described:", str(error)[:90])
else:
    raise AssertionError("both orders work by now")
PYTHON
