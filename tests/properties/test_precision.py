"""Products of our own algebra ask for the precision that they need, and none is left at the device's default.

The default product of float32 matrices has three digits on GPU and TPU, and all of them on the CPU that runs
these tests: so the traces are read. A user's model keeps the user's setting, so its layers are no subjects.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from jaxopt_notes import studies
from jaxopt_notes.data import fit_pca, fit_whitening
from jaxopt_notes.layers.spectral_norm import power_iteration
from jaxopt_notes.optimizers.core.eigenbasis import eigenvectors, followed, orthogonalized
from jaxopt_notes.optimizers.core.newton_schulz import newton_schulz
from jaxopt_notes.penalties.spectral import largest_singular_value
from jaxopt_notes.projections import project_spectral_ball
from jaxopt_notes.training.evaluation import score
from tests.jaxprs import equations
from tests.properties.registry import Subject, cases

CONVERGING = ((1.875, -1.25, 0.375),) * 25
PRODUCTS = ("dot_general", "conv_general_dilated")
FAMILIES = ("optimizers", "transforms", "wrappers", "aggregations", "solvers", "penalties", "augmentations")


def left_at_default(function: Any, *args: Any) -> list[str]:
    """The products of floating-point numbers that do not ask for all digits."""
    found = [x for x in equations(jax.make_jaxpr(function)(*args).jaxpr) if x.primitive.name in PRODUCTS]
    return [str(x) for x in found if x.params["precision"] != (lax.Precision.HIGHEST,) * 2]


@pytest.mark.parametrize("subject", cases(*FAMILIES), ids=str)
def test_no_product_of_a_registered_rule_is_left_at_the_default(subject: Subject) -> None:
    record = subject.build()
    assert not left_at_default(subject.evaluate, record)


ALGEBRA = {
    "newton_schulz": functools.partial(newton_schulz, coefficients=CONVERGING),
    "eigenvectors": eigenvectors,
    "orthogonalized": orthogonalized,
    "followed": lambda a: followed(a, a),
    "largest_singular_value": largest_singular_value,
    "power_iteration": lambda a: power_iteration(a, a[0], 2, 1e-12),
    "project_spectral_ball": project_spectral_ball,
    "whitening": lambda a: fit_whitening(a).apply(a),
    "pca": lambda a: fit_pca(a, 2).apply(a),
}


@pytest.mark.parametrize("name", ALGEBRA)
def test_no_product_of_the_algebra_or_its_derivative_is_left_at_the_default(name: str) -> None:
    a = jnp.eye(3) + 0.1
    assert not left_at_default(lambda a: jax.jvp(ALGEBRA[name], (a,), (a,)), a)


STUDIES = (
    "correlated_features", "dropout_masks", "feature_scaling", "linear_race", "overfit_causes",
    "ridge_readings", "zigzag",
)  # fmt: skip


class _Traced(Exception):
    pass


@pytest.mark.full
@pytest.mark.parametrize("name", STUDIES)
def test_no_product_of_a_study_in_closed_form_is_left_at_the_default(name, key, monkeypatch) -> None:
    def instead(function: Any) -> Any:
        def read(*args: Any) -> None:
            monkeypatch.undo()  # what is jitted inside is traced as ever
            raise _Traced(left_at_default(function, *args))

        return read

    monkeypatch.setattr(jax, "jit", instead)
    with pytest.raises(_Traced) as found:
        studies.STUDIES[name](key)
    assert found.value.args == ([],)


def test_the_mean_of_half_precision_scores_is_not_rounded_to_half_precision() -> None:
    values = jnp.array([1.0, 1.0078125, 1.0, 1.0], jnp.bfloat16)  # the second is the next number to 1
    expected = 1 + 2**-9
    assert float(score(lambda outputs, targets: outputs, values, values)) == expected
    assert float(score(lambda outputs, targets: outputs, values, values, jnp.ones(4))) == expected
