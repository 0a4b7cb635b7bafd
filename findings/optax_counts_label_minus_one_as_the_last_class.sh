#!/usr/bin/env bash
# Guess: a label outside of 0 … C − 1 spoils the loss of optax's `softmax_cross_entropy_with_integer_labels` visibly, as
#     torch raises for it; and −1, scikit-learn's mark of rows without a label, does so too.
# What happens: −1 … −C count from the end, as indices do in Python: −1 is taken for the last class, its loss is finite
#     and its gradient pulls towards that class. Below −C and from C on the loss is NaN, but its gradient is finite: the
#     probabilities, as if no class were right. So with −100, which torch ignores, only the loss shows that all is not
#     well, while training goes on and pushes all outputs of such rows down.
# Versions: optax 0.2.8, jax 0.10.2.
# Whom it matters to: those who train on partly labelled rows, padded sequences or masks of images with −1 as "none":
#     give such rows the weight 0 by hand, and any label that is a class.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "optax==0.2.8" "jax==0.10.2" "jaxlib==0.10.2"
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PYTHON'
import jax
import jax.numpy as jnp
import optax

outputs = jnp.array([2.0, 0.0, -1.0])
loss = jax.value_and_grad(optax.softmax_cross_entropy_with_integer_labels)
found = {label: loss(outputs, jnp.array(label)) for label in (2, -1, -3, 0, -4, -100, 3)}
for label, (value, gradient) in found.items():
    print(f"label {label:5}: loss {value:.4f}, gradient {gradient}")
for label, as_if in ((-1, 2), (-3, 0)):
    assert found[label][0] == found[as_if][0] and (found[label][1] == found[as_if][1]).all(), "no longer counted from the end"
for label in (-4, -100, 3):
    assert jnp.isnan(found[label][0]), "another value than NaN"
    assert jnp.allclose(found[label][1], jax.nn.softmax(outputs)), "another gradient than the probabilities"
PYTHON
