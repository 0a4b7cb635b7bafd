"""Every factory × every argument with a number or a switch for a default: it arrives in the record."""

import contextlib
import dataclasses
import inspect

import jax
import numpy as np
import pytest

from tests.properties.registry import FUNCTIONS, REGISTRIES, subjects

FAMILIES = [family for family in REGISTRIES if family not in FUNCTIONS]
PLAIN = [subject for subject in subjects(*FAMILIES) if subject.label == subject.name]


def others(value):
    """Values of the same kind, of which the factory takes the first or the second."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [2 * value + 1, max(value // 2, 1)]
    return [2.5 if np.isinf(value) else 0.75 * value or 0.25, 1.25 * value]


@pytest.mark.parametrize("subject", PLAIN, ids=str)
def test_every_argument_reaches_the_record(subject):
    signature = inspect.signature(subject.factory)
    given = signature.bind(*subject.arguments.args, **subject.arguments.kwargs)
    given.apply_defaults()
    before = subject.factory(*given.args, **given.kwargs)
    fields = {field.name for field in dataclasses.fields(before)} if dataclasses.is_dataclass(before) else ()

    def made(name, value):
        changed = inspect.BoundArguments(signature, dict(given.arguments) | {name: value})
        return subject.factory(*changed.args, **changed.kwargs)

    for name, value in given.arguments.items():
        found = []
        for changed in others(value) if isinstance(value, bool | int | float) else ():
            with contextlib.suppress(ValueError):  # refused, and not ignored
                after = made(name, changed)
                if name in fields:  # as it is, one of several, or a length for both sides
                    found.append(getattr(after, name) in (changed, (changed,), (changed, changed)))
                else:  # it makes others, or is that of a part
                    found.append(jax.tree.flatten(after) != jax.tree.flatten(before))
        assert any(found) or not found, name
