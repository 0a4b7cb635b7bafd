"""What is taken for a model without a state, by the arguments of its two functions."""

import types

import pytest

from jaxopt_notes.layers.capture import capture
from jaxopt_notes.training.models import Functions, Stateless, as_model


def of_a_layer(params, state, x, *, key=None, train=False):
    return params * x, state


@pytest.mark.parametrize(
    ("apply", "kind"),
    [
        (of_a_layer, Functions),
        (lambda params, state, x, **options: (params * x, state), Functions),
        (lambda params, x: params * x, Stateless),
        (lambda params, x, scale=1.0: scale * params * x, Stateless),
    ],
)
def test_a_pair_of_functions_has_the_state_that_its_arguments_say(apply, kind):
    model = as_model(types.SimpleNamespace(init=lambda key, x: 2.0, apply=apply))
    assert isinstance(model, kind)
    assert model.apply(2.0, (), 3.0) == (6.0, ())
    outputs, state, within = capture(model, 2.0, (), 3.0)  # its functions are no layer within it
    assert (outputs, state, within) == (6.0, (), {})
