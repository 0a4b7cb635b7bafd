"""The other rules, combinations of them, and what a `Trainer` makes of what they say."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.optimizers.sgd import sgd
from jaxopt_notes.training import fit, time_limit
from jaxopt_notes.training.early_stopping import (
    all_of,
    any_of,
    patience,
    replay,
    smoothed,
    stop_after,
    stop_at_target,
    stop_gl,
    stop_on_nonfinite,
    stop_on_plateau,
    stop_pq,
    stop_up,
)
from jaxopt_notes.training.trainer import Trainer
from tests.training.linear import Linear, squared

INF, NAN = np.inf, np.nan
NOISY = [3.0, 1.0, 2.0, 0.9, 2.1, 2.0, 1.9, 2.2]


@jax.jit
def verdicts(curves):
    accuracy = {"monitor": "accuracy", "mode": "max"}
    return replay(
        {
            "target": stop_at_target(0.75, **accuracy),
            "target_low": stop_at_target(0.9),
            "nonfinite": stop_on_nonfinite(monitor="loss"),
            "nonfinite_2": stop_on_nonfinite(2, monitor="loss"),
            "after": stop_after(3.0),
            "never": stop_after(INF),
            "plateau": stop_on_plateau(0.25, 3),
            "any": any_of(stop_at_target(0.75, **accuracy), stop_on_nonfinite(2, monitor="loss")),
            "all": all_of(stop_on_nonfinite(1, monitor="loss"), stop_after(4)),
            "smoothed": smoothed(patience(2), 0.5),
            "unsmoothed": smoothed(patience(2), 0.0),
            "smoothed_loss": smoothed(stop_on_nonfinite(2, monitor="loss"), 0.5),
        },
        curves,
    )


def averages(scores, decay):
    powers = decay ** np.arange(len(scores))[::-1]
    return [np.average(scores[: t + 1], weights=powers[-t - 1 :]) for t in range(len(scores))]


@pytest.mark.notes("S4-11")
def test_each_stops_where_it_says():
    curves = {
        "valid_loss": jnp.array(NOISY),
        "loss": jnp.array([2.0, INF, 1.0, NAN, NAN, 0.5, 0.4, 0.3]),
        "accuracy": jnp.array([0.1, 0.5, 0.6, 0.7, 0.7, 0.8, 0.9, 0.8]),
    }
    found = jax.device_get(verdicts(curves))
    epochs = {name: (int(of.stop_epoch), bool(of.stopped), int(of.best_epoch)) for name, of in found.items()}
    smooth = averages(NOISY, 0.5)
    waits = next(t for t in range(2, 8) if min(smooth[t - 1 : t + 1]) >= min(smooth[: t - 1]))
    assert waits not in (3, 7)
    assert epochs == {
        "target": (6, True, 6),
        "target_low": (4, True, 4),
        "nonfinite": (2, True, 1),
        "nonfinite_2": (5, True, 3),
        "after": (3, True, 2),
        "never": (8, False, 4),
        "plateau": (7, True, 4),
        "any": (5, True, 4),
        "all": (4, True, 3),
        "smoothed": (waits + 1, True, 4 if waits >= 3 else 2),
        "unsmoothed": (6, True, 4),
        "smoothed_loss": (5, True, 3),
    }
    np.testing.assert_allclose(found["target"].best_score, 0.8)  # in the unit of the score
    np.testing.assert_allclose(found["target"].given_up, 0.1, rtol=1e-6)
    np.testing.assert_allclose(found["nonfinite"].given_up, 1.7, rtol=1e-6)


def test_a_trainer_stops_where_the_replay_of_the_whole_run_says_and_keeps_the_best():
    """Members with rules of their own, that watch validation and training losses."""
    x = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]
    train, valid = (x, x[:, 0]), (x, 0.5 * x[:, 0])

    def rule(number):
        return any_of(smoothed(patience(number), 0.5), stop_pq(number, strip=2), stop_up(number))

    def run(rule):
        trainer = Trainer(Linear(), sgd(0.2), squared, metric=None, batch_size=4, early_stopping=rule)
        return trainer.advance(trainer.init(jax.random.key(0), train), train, valid, 16)

    numbers = jnp.array([1.0, 2.0, 4.0])

    @jax.jit
    def both():
        states, histories = jax.vmap(lambda number: run(rule(number)))(numbers)
        whole = run(None)[1]
        return states, histories, whole, jax.vmap(lambda number: replay(rule(number), whole))(numbers)

    states, histories, whole, expected = jax.device_get(both())
    assert states.stopped.all()
    assert len(set(states.epoch)) == 3
    np.testing.assert_array_equal(states.epoch, expected.stop_epoch)
    np.testing.assert_array_equal(states.best_epoch, expected.best_epoch)
    np.testing.assert_allclose(states.best_score, expected.best_score, rtol=1e-6)
    for i, (w, b) in enumerate(zip(*(states.best_params[name] for name in "wb"), strict=True)):
        np.testing.assert_allclose(
            np.mean((w * x + b - 0.5 * x) ** 2), states.best_score[i], rtol=1e-4, atol=1e-9
        )
        n = states.epoch[i]
        np.testing.assert_allclose(histories["valid_loss"][i, :n], whole["valid_loss"][:n], rtol=1e-5)


def test_replay_keeps_the_shape_of_a_sweep():
    curves = {
        "valid_loss": np.random.default_rng(0).uniform(size=(2, 3, 9)),
        "skipped": np.zeros((2, 3, 9), int),
    }
    found = replay(stop_gl(20), curves)
    assert found.stop_epoch.shape == (2, 3)
    assert found.given_up.min() >= 0
    with pytest.raises(ValueError, match=r"has valid_loss, skipped, but a rule watches loss"):
        replay({"pq": stop_pq()}, curves)
    with pytest.raises(ValueError, match=r"expected one: \[\.\.\., epochs\]"):
        replay(stop_pq(), curves | {"loss": np.zeros(9)})


def test_time_is_up_by_the_host_s_clock():
    data = (np.ones((4, 2), np.float32), np.ones(4, np.float32))
    trainer = Trainer(Linear(), sgd(0.1), squared, metric=None)
    ticks = iter(range(0, 1000, 4))
    result = fit(
        trainer, jax.random.key(0), data, epochs=9, callback=time_limit(10, clock=lambda: next(ticks))
    )
    assert result.state.epoch == 3  # at the ticks 4, 8 and 12
    with pytest.raises(ValueError, match=r"time_limit\(seconds\) is 0"):
        time_limit(0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (functools.partial(stop_gl, -1), r"stop_gl\(alpha\) is -1"),
        (functools.partial(stop_pq, strip=0), r"stop_pq\(strip\) is 0"),
        (functools.partial(stop_after, 0), r"stop_after\(epochs\) is 0, .*inf never stops"),
        (functools.partial(stop_on_plateau, window=1), r"stop_on_plateau\(window\) is 1"),
        (functools.partial(smoothed, patience(), 1.0), r"smoothed\(decay\) is 1, .*\[0, 1\)"),
        (any_of, r"any_of\(rules\) has None, expected rules such as patience\(\)"),
        (functools.partial(all_of, [patience()]), r"all_of\(rules\) has \[Patience"),
        (functools.partial(smoothed, patience), r"smoothed\(rule\) is <function patience"),
    ],
)
def test_errors_say_what_is_wrong(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()
