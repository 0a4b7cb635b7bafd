import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.training.early_stopping import patience, stop_up


def watch(rule, scores):
    """Which epochs (from 0) improved, and the first one that stops (None: none)."""
    state, better, first = rule.init(), [], None
    for epoch, score in enumerate(scores):
        state, improved, stop = rule.update(state, score)
        better += [epoch] if improved else []
        first = epoch if stop and first is None else first
    return better, first


@pytest.mark.notes("S4-02")
def test_stop_up_stops_after_consecutive_rises():
    assert watch(stop_up(3), [5, 4, 3, 3.1, 3.2, 3.3])[1] == 5
    assert watch(stop_up(3), [5, 4, 3, 3.1, 3.2, 3.15, 3.2, 3.3])[1] is None  # a dip resets
    assert watch(stop_up(1), [5, 4, 4, 4])[1] is None  # no rise
    assert watch(stop_up(1, mode="max"), [1, 2, 1.5])[1] == 2
    # Strips of two: 4 → 3 → 3.5 are the epochs compared, whatever lies between.
    assert watch(stop_up(1, strip=2), [9, 4, 1, 3, 1, 3.5])[1] == 5


@pytest.mark.notes("S4-03")
def test_patience_stops_where_no_rise_does():
    scores = [5, 4, 3, 3.2, 3.1, 3.2, 3.1, 3.2]  # no improvement, and never two rises in a row
    assert watch(patience(3), scores) == ([0, 1, 2], 5)
    assert watch(stop_up(2), scores)[1] is None
    # The other way round: rises end a run that patience would continue.
    assert watch(stop_up(2), [3, 3.1, 3.2, 1])[1] == 2
    assert watch(patience(3), [3, 3.1, 3.2, 1])[1] is None


@pytest.mark.notes("S3-43", "S4-03")
def test_patience_margin_is_absolute_and_best_needs_none():
    # Negative losses: better by 0.5 each, so a margin of 1 is met only against the older reference.
    scores = [-10.0, -10.5, -11.2, -11.5, -11.9, -12.1]
    assert watch(patience(2, min_delta=1.0), scores) == ([0, 1, 2, 3, 4, 5], 4)
    assert watch(patience(2, min_delta=0.3), scores)[1] is None


def test_patience_maximum_nan_and_infinite_patience():
    assert watch(patience(2, monitor="valid_accuracy", mode="max"), [0.5, 0.7, 0.7, 0.6]) == ([0, 1], 3)
    assert watch(patience(2), [np.nan, np.nan]) == ([], 1)
    assert watch(patience(2), [3.0, np.nan, 2.0, np.nan, np.nan]) == ([0, 2], 4)
    assert watch(patience(jnp.inf), [1.0] * 50)[1] is None


@pytest.mark.parametrize("make", [patience, stop_up])
def test_every_member_has_its_own_rule(make):
    scores = jnp.array([3.0, 1.0, 2.0, 3.0, 4.0, 5.0])

    @jax.jit
    def stops(rule):
        def step(state, score):
            state, improved, stop = rule.update(state, score)
            return state, (improved, stop)

        return jax.lax.scan(step, rule.init(), scores)[1]

    improved, stop = jax.vmap(lambda n: stops(make(n)))(jnp.array([1.0, 2.0, 4.0, jnp.inf]))
    assert np.argmax(stop, axis=1)[:3].tolist() == [2, 3, 5]
    assert not stop[3].any()
    assert (improved == jnp.array([True, True, False, False, False, False])[None]).all()


def test_errors_say_what_is_wrong():
    with pytest.raises(ValueError, match=r"patience\(patience\) is 0, .*inf never stops"):
        patience(0)
    with pytest.raises(ValueError, match=r"min_delta"):
        patience(min_delta=-0.1)
    with pytest.raises(ValueError, match=r"stop_up\(mode\) is 'least'"):
        stop_up(mode="least")
