"""Bayesian search: better than chance, never twice the same, and undisturbed by what diverges."""

import contextlib
import functools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.record import replace
from jaxopt_notes.search import choice, integers, log_uniform, static_choice, uniform
from jaxopt_notes.search.black_box_problems import branin, hartmann6
from jaxopt_notes.search.spaces.conditional import conditional
from jaxopt_notes.search.spaces.space import dimensions
from jaxopt_notes.search.strategies import bayesian_batch
from jaxopt_notes.search.strategies.bayesian import bayesian
from jaxopt_notes.search.strategies.bayesian_batch import Known, _doubt, _loudness, propose
from jaxopt_notes.search.surrogates.gaussian_process import condition, gaussian_process, predict

MIXED = {
    "kind": static_choice(["sgd", "adam", "lion"]),
    "momentum": conditional(uniform(0.0, 1.0), "kind", "sgd"),
    "rate": log_uniform(1e-4, 1e-1),
    "layers": integers(1, 5),
}


def cube(d):
    return {f"x{i}": uniform(0.0, 1.0) for i in range(d)}


@functools.partial(jax.jit, static_argnums=0)
def evaluate(f, configs):
    return f(jnp.stack(list(configs.values()), axis=1))


TRIPLES = bayesian(30, 3, initial=6)  # most tests share its programs


def search(strategy, space, score, key, most=10**6):
    """Ask and tell until nothing remains: all configurations, their scores and the state."""
    key, own = jax.random.split(key)
    state, asked, told = strategy.init(own, space), [], []
    while (wanted := strategy.remaining(state)) and len(asked) < most:
        key, own = jax.random.split(key)
        configs, state = strategy.ask(state, own, wanted)
        scores = score(configs)
        state = strategy.tell(state, configs, scores)
        asked.append(configs)
        told.append(np.asarray(scores))
    columns = {name: np.concatenate([c[name] for c in asked]) for name in asked[0]}
    return columns, np.concatenate(told), state


def best_of(f, d, strategy, seeds):
    """The best values of Bayesian and of random search, for each seed."""
    keys, n = jax.random.split(jax.random.key(1), seeds), strategy.n
    model = [search(strategy, cube(d), functools.partial(evaluate, f), key)[1].min() for key in keys]
    chance = jax.vmap(lambda key: f(jax.random.uniform(key, (n, d))).min())(keys)
    return np.array(model), np.asarray(chance)


@pytest.mark.full
@pytest.mark.notes("S1-48")
def test_it_beats_random_search_on_branin_in_thirty_evaluations():
    model, chance = best_of(branin, 2, TRIPLES, seeds=5)
    assert np.median(model) < 0.397887 + 0.02 < np.median(chance) - 0.1


@pytest.mark.full
@pytest.mark.notes("S1-48")
@pytest.mark.parametrize(
    ("f", "d", "n", "lowest", "near"), [(branin, 2, 30, 0.397887, 0.01), (hartmann6, 6, 60, -3.32237, 0.2)]
)
@pytest.mark.parametrize("batch", [1, 4])
def test_it_beats_random_search_in_the_median_of_twenty_seeds(f, d, n, lowest, near, batch):
    model, chance = best_of(f, d, bayesian(n, batch), 20)
    assert np.median(model) < lowest + near * batch
    assert np.median(model) < np.median(chance)
    assert (model < chance).mean() >= 0.9


@pytest.mark.full
@pytest.mark.parametrize("kernel", ["rbf", "matern52"])
@pytest.mark.parametrize(
    "acquisition", ["expected_improvement", "probability_of_improvement", "upper_confidence_bound"]
)
def test_every_acquisition_and_kernel_beats_random_search(acquisition, kernel):
    model, chance = best_of(branin, 2, bayesian(30, acquisition=acquisition, kernel=kernel), 10)
    assert np.median(model) < np.median(chance)


@pytest.mark.full
def test_no_configuration_is_proposed_twice_and_small_spaces_end(key):
    """3 kinds × 4 depths, of which the depth means something for one kind only: 4 + 2 configurations."""
    space = {"kind": MIXED["kind"], "layers": conditional(integers(1, 5), "kind", "adam")}
    columns, _, state = search(
        bayesian(50, 2, initial=3), space, lambda c: c["kind"] - (c["layers"] == 2).astype(int), key
    )
    rows = set(zip(columns["kind"].tolist(), columns["layers"].tolist(), strict=True))
    assert len(rows) == len(columns["kind"]) == 6 == int(state.told)


@pytest.mark.full
def test_mixed_spaces_are_searched_where_they_mean_something(key):
    """The best is sgd with momentum 0.9: the others' scores do not depend on it, and are worse."""

    def score(c):
        of_sgd = (c["momentum"] - 0.9) ** 2
        return (
            jnp.where(c["kind"] == 0, of_sgd, 1.0)
            + (jnp.log10(c["rate"]) + 2) ** 2
            + 0.1 * jnp.abs(c["layers"].astype(jnp.float32) - 3)
        )

    columns, scores, _ = search(bayesian(32, 4, initial=8), MIXED, score, key)
    names = sorted(columns)
    assert len(set(zip(*(columns[name].tolist() for name in names), strict=True))) == 32
    best = int(scores.argmin())
    assert (columns["kind"][best], columns["layers"][best]) == (0, 3)
    assert abs(columns["momentum"][best] - 0.9) < 0.1
    assert (columns["momentum"][columns["kind"] != 0] == 0.5).all()  # the median, where it is inactive


def test_a_batch_is_kept_apart_and_so_is_what_is_pending():
    """Two batches of which none is told are far apart; without the first the second would be like it."""
    key = jax.random.key(1)
    state = TRIPLES.init(key, cube(2))
    configs, state = TRIPLES.ask(state, key, 6)
    state = TRIPLES.tell(state, configs, evaluate(branin, configs))
    first, after = TRIPLES.ask(state, key, 3)
    repeated, _ = TRIPLES.ask(state, jax.random.key(2), 3)
    second, _ = TRIPLES.ask(after, jax.random.key(2), 3)
    first, repeated, second = (np.stack(list(c.values()), axis=1) for c in (first, repeated, second))
    assert np.linalg.norm(first[0] - repeated[0]) < 0.02
    points = np.concatenate([first, second])
    distance = np.linalg.norm(points[:, None] - points[None], axis=2) + np.eye(6)
    assert distance.min() > 0.05


def test_divergence_and_huge_losses_disturb_nothing(key):
    """Half the space diverges or explodes: every state stays finite, and the best of the rest is found."""

    def score(c):
        values = evaluate(branin, c)
        values = jnp.where(c["x0"] < 0.3, jnp.nan, values)
        return jnp.where(c["x0"] > 0.8, jnp.where(c["x1"] > 0.5, jnp.inf, 1e30), values)

    columns, scores, state = search(TRIPLES, cube(2), score, key)
    assert scores[np.isfinite(scores)].min() < 0.397887 + 0.3
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((state.process, state.points)))
    assert all(np.isfinite(column).all() for column in columns.values())


@pytest.mark.full
def test_all_diverged_is_no_end_of_the_search(key):
    columns, _, _ = search(TRIPLES, cube(2), lambda c: jnp.full(len(c["x0"]), jnp.nan), key, most=3)
    assert len(np.unique(np.stack(list(columns.values())), axis=1).T) == 12


@pytest.mark.full
def test_a_pickled_state_goes_on_as_if_nothing_had_happened(key):
    strategy, states = TRIPLES, []
    for resume in (False, True):
        state = strategy.init(key, cube(2))
        for i, n in enumerate((6, 3, 3)):
            configs, state = strategy.ask(state, jax.random.fold_in(key, i), n)
            state = strategy.tell(state, configs, evaluate(branin, configs))
            if resume:
                state = pickle.loads(pickle.dumps(jax.device_get(state)))
        states.append(state)
    jax.tree.map(np.testing.assert_array_equal, *states)


def test_nothing_is_compiled_to_propose(key):
    """The process is NumPy's, on the host: a second search compiles nothing, whatever its size."""
    search(bayesian(8, 4, initial=4), cube(2), lambda c: np.asarray(c["x0"]), key)
    with jax.log_compiles(False), count_compilations() as count:
        search(bayesian(24, 4, initial=4), cube(2), lambda c: np.asarray(c["x0"]), key)
    assert count == []


@contextlib.contextmanager
def count_compilations():
    seen = []
    listener = lambda name, *_, **__: seen.append(name) if "backend_compile" in name else None  # noqa: E731
    jax.monitoring.register_event_duration_secs_listener(listener)
    try:
        yield seen
    finally:
        jax.monitoring.unregister_event_duration_listener(listener)


@pytest.mark.full
@pytest.mark.notes("S1-51")
def test_it_ends_when_nothing_more_is_promised(key):
    """(x − 0.3)²: the expected improvement falls under the tolerance long before the budget is spent."""
    score = lambda c: (c["x0"] - 0.3) ** 2  # noqa: E731
    _, scores, _ = search(bayesian(30, 3, initial=6, tolerance=1e-4), cube(1), score, key)
    assert len(scores) < 20
    assert scores.min() < 1e-3
    assert len(search(TRIPLES, cube(1), score, key)[1]) == 30


@pytest.mark.full
def test_noise_is_told_from_signal(key):
    noise = np.random.default_rng(0).normal(size=64) * 0.5

    def score(c, seen=[0]):  # noqa: B006
        seen[0] += len(c["x0"])
        return 4 * (c["x0"] - 0.3) ** 2 + noise[seen[0] - len(c["x0"]) : seen[0]].astype(np.float32)

    _, _, state = search(TRIPLES, cube(1), score, key)
    assert state.process.noise > 0.05


@pytest.mark.full
def test_asking_works_under_jit_and_for_many_explorations_at_once(key):
    strategy = bayesian(8, 2, initial=6, acquisition="upper_confidence_bound", exploration=2.0)
    state = strategy.init(key, cube(2))
    configs, state = strategy.ask(state, key, 6)
    state = strategy.tell(state, configs, evaluate(branin, configs))
    explore = lambda beta: bayesian(  # noqa: E731
        8, 2, initial=6, acquisition="upper_confidence_bound", exploration=beta
    )
    many = jax.jit(jax.vmap(lambda beta: explore(beta).ask(state, key, 2)[0]))(jnp.array([0.0, 0.5, 50.0]))
    points = np.stack(list(many.values()), axis=-1)
    assert points.shape == (3, 2, 2)
    assert len(np.unique(points[:, 0], axis=0)) == 3


def test_choices_of_numbers_keep_their_values(key):
    space = {"batch": choice([4, 16, 64]), "rate": uniform(0.0, 1.0)}
    columns, _, _ = search(bayesian(9, 3, initial=6), space, lambda c: c["rate"] + 0.1, key)
    assert set(columns["batch"]) <= {4, 16, 64}


def test_errors_name_everything(key):
    with pytest.raises(ValueError, match=r"bayesian\(n\) is 0"):
        bayesian(0)
    with pytest.raises(ValueError, match=r"bayesian\(acquisition\) is 'best'"):
        bayesian(8, acquisition="best")
    with pytest.raises(ValueError, match=r"bayesian\(exploration\) is -1"):
        bayesian(8, exploration=-1)
    strategy = bayesian(3, initial=3)
    with pytest.raises(ValueError, match="asked for 4 configurations, 3 are wanted"):
        strategy.ask(strategy.init(key, cube(2)), key, 4)
    with pytest.raises(ValueError, match="momentum is conditional on 'type', expected one of kind, momentum"):
        strategy.init(key, {"kind": MIXED["kind"], "momentum": conditional(uniform(0.0, 1.0), "type", "sgd")})


def test_what_is_pending_is_believed_to_be_a_deviation_worse_than_its_mean():
    """So that its neighbourhood looks explored, and not good."""
    x, y = np.array([[0.1], [0.5], [0.9]]), np.array([1.0, -1.0, 0.5])
    posterior = condition(gaussian_process(np.array([0.3]), 1.0, 1e-8), x, y)
    point = np.array([0.7])
    mean, std = predict(posterior, point[None])
    after, best = _doubt(posterior, 2.0, point)
    np.testing.assert_allclose(predict(after, point[None])[0], mean + std, rtol=1e-5)
    np.testing.assert_allclose(best, min(2.0, float(mean[0] + std[0])), rtol=1e-6)


def test_under_loud_noise_a_search_asks_farther_from_what_it_knows(monkeypatch):
    """Loud is a fifth of the variance: what is pending then scores a deviation of an observation worse."""
    loudness = [_loudness(gaussian_process(np.ones(1), 0.8, noise)) for noise in (0.0, 0.2, 0.5)]
    np.testing.assert_allclose(loudness, [0, 1, 1], rtol=1e-12)
    np.testing.assert_allclose(_loudness(gaussian_process(np.ones(1), 0.95, 0.05)), 0.25, rtol=1e-12)
    x, y = np.array([[0.1], [0.5], [0.9]]), np.array([1.0, -1.0, 0.5])
    posterior = condition(gaussian_process(np.array([0.3]), 1.0, 0.25), x, y)
    point = np.array([0.7])
    mean, std = predict(posterior, point[None])
    _, best = _doubt(posterior, 9.0, point, loud=0.5)
    np.testing.assert_allclose(best, mean[0] + np.sqrt(std[0] ** 2 + 0.5 * 0.25), rtol=1e-12)

    u, unsure = np.random.default_rng(0).random((100, 2)), []
    scores = np.sum((u - 0.5) ** 2, axis=1)
    known = Known(dimensions(cube(2)), u, scores, None, ())
    process = gaussian_process(np.full(2, 0.3), 1.0, 0.25)
    monkeypatch.setattr(bayesian_batch, "fit_scores", lambda *_: process)
    for loud in (1e9, bayesian_batch.LOUD):
        monkeypatch.setattr(bayesian_batch, "LOUD", loud)
        batch = propose(known, 1, np.random.default_rng(1), "log_expected_improvement", ())
        unsure.append(predict(condition(process, u, scores), batch.points)[1][0])
    assert unsure[1] > 1.01 * unsure[0]


@pytest.mark.parametrize(("noise", "inside"), [(0.1, (0.0, 0.4)), (0.9, (0.5, 0.99))])
def test_where_all_seems_noise_most_points_are_left_to_chance(noise, inside, monkeypatch):
    """What promises most lies on faces of the cube, what is drawn inside; by 0.8 of noise."""
    process = gaussian_process(np.ones(6), 0.1, noise)
    monkeypatch.setattr(bayesian_batch, "fit_scores", lambda *_: process)
    rng = np.random.default_rng(0)
    known = Known(dimensions(cube(6)), rng.random((32, 6)), rng.normal(size=32), None, ())
    batch = propose(known, 24, rng, "log_expected_improvement", ())
    share = np.mean(np.all((batch.points > 0) & (batch.points < 1), axis=1))
    assert inside[0] <= share <= inside[1]
    assert len(np.unique(batch.points, axis=0)) == 24


def test_exploration_leads_away_from_what_is_known(key):
    """β = 0 asks where the fitted mean is least, a large one where nothing was asked."""
    strategy = bayesian(5, 1, initial=4, acquisition="upper_confidence_bound", exploration=0.0)
    configs, state = strategy.ask(strategy.init(key, cube(1)), key, 4)
    known = np.asarray(configs["x0"])
    state = strategy.tell(state, configs, (configs["x0"] - 0.5) ** 2)
    exploits, explores = (
        float(replace(strategy, exploration=beta).ask(state, key, 1)[0]["x0"][0]) for beta in (0.0, 1e3)
    )
    assert abs(exploits - 0.5) < 0.05
    assert np.abs(explores - known).min() > np.abs(np.linspace(0, 1, 101)[:, None] - known).min(1).max() / 2
    assert abs(explores - exploits) > 0.1


def test_the_search_ends_where_too_little_is_promised(key):
    strategy = bayesian(5, 1, initial=2)
    state = strategy.init(key, cube(1))._replace(
        asked=np.int32(3), told=np.int32(3), improvement=np.float32(0.1)
    )
    assert [replace(strategy, tolerance=t).remaining(state) for t in (0.0, 0.09, 0.11)] == [1, 1, 0]
