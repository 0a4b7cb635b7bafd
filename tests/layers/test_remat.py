"""Rematerialization: what is kept for the gradient, and what the policy keeps after all."""

import contextlib
import io

import jax
import jax.ad_checkpoint
import jax.numpy as jnp
import pytest

from jaxopt_notes.layers import remat, serial
from tests.compiled import apply


def saved(layer, x):
    """How many values besides the arguments are kept from the forward pass."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        jax.ad_checkpoint.print_saved_residuals(lambda x: apply(layer, {}, (), x)[0].sum(), x)
    return sum("argument" not in line and "constant" not in line for line in out.getvalue().splitlines())


def test_only_the_input_is_kept():
    block, x = serial(jnp.sin, jnp.sin, jnp.sin), jnp.ones((2, 3))
    assert saved(block, x) == 3
    assert saved(remat(block), x) == 0
    assert saved(remat(block, "everything_saveable"), x) >= 3


def test_a_function_is_a_policy_and_others_are_refused():
    block, x = serial(jnp.sin, jnp.sin), jnp.ones(3)
    policy = jax.checkpoint_policies.everything_saveable
    assert saved(remat(block, policy), x) == saved(remat(block, "everything_saveable"), x)
    with pytest.raises(ValueError, match=r"remat\(policy\) is 'all', expected one of 'nothing_saveable'"):
        remat(block, "all")
