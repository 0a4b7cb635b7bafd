"""CMA-ES: the tutorial's formulas in float64 NumPy, the test functions, walls, ends and restarts."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.search import cma_es, integers, log_uniform, uniform
from jaxopt_notes.search.strategies.cma_es import cma_update, constants
from jaxopt_notes.search.strategies.symmetric_roots import symmetric_roots
from tests.properties.registry import types
from tests.search.curves import drive


def cube(d, low=-1.0, high=1.0):
    return {f"x{i}": uniform(low, high) for i in range(d)}


def matrix(configs):
    return jnp.stack([configs[name] for name in sorted(configs)], axis=1)


class Tutorial:
    """Hansen's tutorial (arXiv:1604.00772, version 2, figure 6 and table 1) line by line, by eigenvectors."""

    def __init__(self, mean, sigma, lam):
        n = self.n = len(mean)
        self.mean, self.sigma, self.lam = np.array(mean), sigma, lam
        mu = self.mu = lam // 2
        w = np.array([np.log((lam + 1) / 2) - np.log(i) for i in range(1, lam + 1)])
        self.mu_eff = sum(w[:mu]) ** 2 / sum(w[:mu] ** 2)
        minus = sum(w[mu:]) ** 2 / sum(w[mu:] ** 2)
        self.c1 = 2 / ((n + 1.3) ** 2 + self.mu_eff)
        self.cmu = min(
            1 - self.c1, 2 * (1 / 4 + self.mu_eff + 1 / self.mu_eff - 2) / ((n + 2) ** 2 + self.mu_eff)
        )
        alpha = min(
            1 + self.c1 / self.cmu,
            1 + 2 * minus / (self.mu_eff + 2),
            (1 - self.c1 - self.cmu) / (n * self.cmu),
        )
        self.w = np.where(w >= 0, w / sum(w[w > 0]), alpha * w / -sum(w[w < 0]))
        self.cc = (4 + self.mu_eff / n) / (n + 4 + 2 * self.mu_eff / n)
        self.cs = (self.mu_eff + 2) / (n + self.mu_eff + 5)
        self.ds = 1 + 2 * max(0, np.sqrt((self.mu_eff - 1) / (n + 1)) - 1) + self.cs
        self.en = np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n))
        self.C, self.ps, self.pc, self.g = np.eye(n), np.zeros(n), np.zeros(n), 0

    def update(self, y, scores):
        n, y = self.n, y[np.argsort(scores, kind="stable")]
        values, B = np.linalg.eigh(self.C)
        inverse = B @ np.diag(values**-0.5) @ B.T
        yw = sum(self.w[i] * y[i] for i in range(self.mu))
        self.mean = self.mean + self.sigma * yw
        self.ps = (1 - self.cs) * self.ps + np.sqrt(self.cs * (2 - self.cs) * self.mu_eff) * inverse @ yw
        norm = np.linalg.norm(self.ps)
        self.sigma = self.sigma * np.exp(self.cs / self.ds * (norm / self.en - 1))
        self.g += 1
        h = norm / np.sqrt(1 - (1 - self.cs) ** (2 * self.g)) < (1.4 + 2 / (n + 1)) * self.en
        self.pc = (1 - self.cc) * self.pc + h * np.sqrt(self.cc * (2 - self.cc) * self.mu_eff) * yw
        rank_mu = np.zeros((n, n))
        for w, step in zip(self.w, y, strict=True):
            rank_mu += (w if w >= 0 else w * n / np.linalg.norm(inverse @ step) ** 2) * np.outer(step, step)
        delta = (1 - h) * self.cc * (2 - self.cc)
        kept = 1 + self.c1 * delta - self.c1 - self.cmu * sum(self.w)
        self.C = kept * self.C + self.c1 * np.outer(self.pc, self.pc) + self.cmu * rank_mu


@pytest.mark.parametrize("population", [6, 11])
def test_every_generation_is_the_tutorials(x64, key, population):
    """Steps drawn by ours; mean, σ, C and both paths after 20 generations of an ill-conditioned bowl."""
    d = 4
    strategy = cma_es(20 * population, population, sigma=0.1)
    state = strategy.init(key, cube(d))
    golden = Tutorial(np.full(d, 0.5), 0.1, population)
    ask, tell = jax.jit(strategy.ask, static_argnums=2), jax.jit(strategy.tell)
    for g in range(20):
        configs, state = ask(state, jax.random.fold_in(key, g), population)
        scores = (matrix(configs) - 0.3) ** 2 @ (10.0 ** jnp.arange(float(d)))
        golden.update(np.asarray(state.steps), np.asarray(scores))
        state = tell(state, configs, scores)
        pairs = [(state.mean, golden.mean), (state.sigma, golden.sigma), (state.covariance, golden.C),
                 (state.path_sigma, golden.ps), (state.path_c, golden.pc)]  # fmt: skip
        for ours, theirs in pairs:
            np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-10)
    assert strategy.remaining(state) == 0


def test_constants_by_hand():
    """d = 2, λ = 6: raw weights ln(3.5) − ln i, the best three of which are 1.2528, 0.5596 and 0.1542."""
    c = constants(2, 6)
    np.testing.assert_allclose(c.weights[:3], np.array([1.2528, 0.5596, 0.1542]) / 1.9665, atol=1e-4)
    np.testing.assert_allclose(c.mu_eff, 1.9665**2 / (1.2528**2 + 0.5596**2 + 0.1542**2), rtol=1e-4)
    np.testing.assert_allclose(sum(c.weights[:3]), 1.0)
    assert (c.weights[3:] < 0).all()
    np.testing.assert_allclose(c.chi, np.sqrt(2) * (1 - 1 / 8 + 1 / 84))
    # the expected length of a standard normal vector, to the accuracy of that expansion
    np.testing.assert_allclose(constants(10, 10).chi, 3.0843, rtol=1e-3)


def search(f, d, key, n, **options):
    """A whole search in one program, for each of several keys: all scores, and the last state."""
    strategy = cma_es(n, **options)

    def run(key):
        state = strategy.init(key, cube(d))
        size = len(state.scores)

        def generation(state, key):
            configs, state = strategy.ask(state, key, size)
            scores = f(matrix(configs))
            return strategy.tell(state, configs, scores), scores

        state = state._replace(asked=jnp.asarray(0), told=jnp.asarray(0))
        state, scores = jax.lax.scan(generation, state, jax.random.split(key, n // size))
        return scores, state._replace(dimensions={})

    return jax.jit(jax.vmap(run) if key.ndim else run)(key)


def sphere(x):
    return jnp.sum((x - 0.3) ** 2, axis=1)


def rosenbrock(x):
    x = 2 * x  # in [−2, 2], the minimum at (1, …, 1)
    return jnp.sum(100 * (x[:, 1:] - x[:, :-1] ** 2) ** 2 + (1 - x[:, :-1]) ** 2, axis=1)


def ellipsoid(x):
    d = x.shape[1]
    turn = jnp.linalg.qr(jnp.sin(jnp.arange(1.0, d * d + 1)).reshape(d, d))[0]
    return ((x - 0.2) @ turn) ** 2 @ (10.0 ** jnp.linspace(0.0, 6.0, d))


@pytest.mark.full
@pytest.mark.parametrize(
    ("f", "d", "n", "reached"),
    [(sphere, 8, 2000, 1e-12), (rosenbrock, 6, 5000, 1e-12), (ellipsoid, 8, 5000, 1e-10)],
    ids=["sphere", "rosenbrock", "ellipsoid"],
)
def test_it_finds_the_minimum(x64, key, f, d, n, reached):
    """The median of five searches, each of n evaluations in d dimensions."""
    scores, _ = search(f, d, jax.random.split(key, 5), n)
    assert np.median(scores[:, -1].min(axis=1)) < reached


def test_the_covariance_becomes_the_inverse_hessian(x64, key):
    """On the turned ellipsoid, of condition 10⁶, up to a factor."""
    _, state = search(ellipsoid, 5, key, 2000)
    hessian = jax.jit(jax.hessian(lambda x: ellipsoid(x[None])[0]))(np.zeros(5))
    product = np.linalg.eigvals(np.asarray(state.covariance) @ np.asarray(hessian)).real
    assert product.max() / product.min() < 30


def test_only_the_order_of_scores_matters(x64, key):
    plain, _ = search(rosenbrock, 3, key, 200)
    bent, _ = search(lambda x: jnp.log(rosenbrock(x)) ** 3, 3, key, 200)
    np.testing.assert_allclose(np.log(plain) ** 3, bent, rtol=1e-6)


@pytest.mark.full
def test_a_minimum_on_a_wall_is_found(x64, key):
    """Points beyond it are reflected; none leaves the cube."""
    strategy = cma_es(600, sigma=0.3)
    low = {"a": log_uniform(1e-3, 1.0), "b": uniform(-1.0, 1.0)}
    trials, _ = drive(strategy, low, lambda c, epochs: np.log10(c["a"]) + (c["b"] - 1) ** 2, key)
    assert all(1e-3 * (1 - 1e-9) <= t.config["a"] <= 1 and -1 <= t.config["b"] <= 1 for t in trials)
    assert min(t.score for t in trials) < -3 + 1e-3


def test_the_diverged_are_last_and_poison_nothing(x64, key):
    """Half the cube diverges, the minimum is beside it."""

    def f(x):
        fine = sphere(x)
        return jnp.where(x[:, 0] > 0.35, jnp.where(x[:, 1] > 0, jnp.nan, -jnp.inf), fine)

    scores, state = search(f, 3, key, 700)
    finite = np.isfinite(scores)
    assert not finite.all()
    assert np.asarray(scores)[finite].min() < 1e-4
    assert all(np.isfinite(leaf).all() for leaf in (state.mean, state.sigma, state.covariance))
    strategy = cma_es(12, 6)
    before = strategy.init(key, cube(3))
    configs, asked = jax.jit(strategy.ask, static_argnums=2)(before, key, 6)
    after = jax.jit(strategy.tell)(asked, configs, np.full(6, np.nan))
    for name in ("mean", "sigma", "covariance", "path_c"):  # nothing was learned
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


def test_it_has_converged_when_its_widest_axis_is_below_the_tolerance(key):
    """σ·√(max C) of a wide and a narrow axis; then nothing remains, unless it starts anew."""
    state = cma_es(12, 6, sigma=0.1).init(key, cube(2))
    state = state._replace(covariance=jnp.diag(jnp.array([9.0, 0.01])))
    for tolerance, converged in ((0.0, False), (0.29, False), (0.31, True)):
        assert cma_es(12, 6, tolerance=tolerance).converged(state) == converged
        assert cma_es(12, 6, tolerance=tolerance).remaining(state) == (0 if converged else 6)
        assert cma_es(12, 6, tolerance=tolerance, restart=True).remaining(state) == 6


def test_a_restart_begins_with_a_fresh_distribution(key):
    strategy = cma_es(12, 6, sigma=0.1, tolerance=1.0, restart=True)
    state = strategy.init(key, cube(2))
    narrow = state._replace(covariance=1e-8 * jnp.eye(2), path_c=jnp.ones(2), generation=jnp.asarray(7))
    _, fresh = strategy.ask(narrow, key, 6)
    np.testing.assert_array_equal(fresh.covariance, np.eye(2))
    np.testing.assert_allclose(fresh.sigma, 0.1)
    assert fresh.generation == 0
    assert (fresh.mean != narrow.mean).all()
    assert not fresh.path_c.any()


@pytest.mark.full
@pytest.mark.notes("S1-51")
def test_it_ends_on_convergence_or_when_the_budget_is_spent(key):
    score = lambda c, epochs: (c["x0"] - 0.3) ** 2 + c["x1"] ** 2  # noqa: E731
    spent, _ = drive(cma_es(50), cube(2), score, key)
    assert len(spent) == 50
    converged, _ = drive(cma_es(1000, tolerance=1e-2), cube(2), score, key)
    assert len(converged) < 200
    assert min(t.score for t in converged) < 1e-3


@pytest.mark.full
def test_restarts_leave_a_local_minimum(x64, key):
    """A wide well at the centre with value 0.5 and a narrow one aside with 0: one run ends in the first."""

    def two_wells(x):
        wide = 0.5 + jnp.sum(x**2, axis=1)
        return jnp.minimum(wide, 40 * jnp.sum((x - 0.75) ** 2, axis=1))

    once, _ = search(two_wells, 2, key, 1200, sigma=0.05)
    again, state = search(two_wells, 2, key, 1200, sigma=0.05, tolerance=1e-3, restart=True)
    assert once.min() > 0.49
    assert again.min() < 0.01
    assert state.generation < 200  # of the last run


@pytest.mark.full
def test_it_resumes_runs_in_parts_and_rounds(key):
    space = {"depth": integers(1, 9), "rate": log_uniform(1e-4, 1.0)}
    score = lambda c, epochs: abs(c["depth"] - 5) + abs(np.log10(c["rate"]) + 2)  # noqa: E731
    trials, _ = drive(cma_es(64, 8), space, score, key, most=5)
    assert len(trials) == 64
    assert {type(t.config["depth"]) for t in trials} == {int}
    assert min(t.score for t in trials) < 0.3
    strategy = cma_es(16, 8)
    state = strategy.init(key, space)
    for i in range(2):
        again = pickle.loads(pickle.dumps(state))
        configs, state = strategy.ask(state, jax.random.fold_in(key, i), 8)
        same, _ = strategy.ask(again, jax.random.fold_in(key, i), 8)
        jax.tree.map(np.testing.assert_array_equal, configs, same)
        state = strategy.tell(state, configs, configs["rate"])
    assert strategy.remaining(state) == 0


@pytest.mark.full
def test_the_gradient_reaches_sigma_through_generations(x64, key):
    """Eigenvalues coincide at the start; the symmetric root has a derivative there, eigenvectors have not."""

    def last(sigma):
        strategy = cma_es(18, 6, sigma=sigma)
        state = strategy.init(key, cube(3))
        for g in range(3):
            configs, state = strategy.ask(state, jax.random.fold_in(key, g), 6)
            state = strategy.tell(state, configs, sphere(matrix(configs)))
        return jnp.sum(matrix(configs) ** 2)

    run = jax.jit(jax.value_and_grad(last))
    slope = (run(0.1 + 1e-6)[0] - run(0.1 - 1e-6)[0]) / 2e-6
    np.testing.assert_allclose(run(0.1)[1], slope, rtol=1e-5)


def test_symmetric_roots_and_their_derivatives(x64):
    a = np.random.default_rng(0).normal(size=(4, 4))
    m = a @ a.T + np.eye(4)
    roots = jax.jit(symmetric_roots)
    root, inverse = map(np.asarray, roots(m))
    np.testing.assert_allclose(root @ root, m, rtol=1e-10)
    np.testing.assert_allclose(root @ inverse, np.eye(4), atol=1e-10)
    change = a + a.T
    derivatives = jax.jit(lambda point: jax.jvp(symmetric_roots, (point,), (change,))[1])
    for point in (m, 2 * np.eye(4)):
        above, below = roots(point + 1e-5 * change), roots(point - 1e-5 * change)
        for found, high, low in zip(derivatives(point), above, below, strict=True):
            slope = (np.asarray(high) - np.asarray(low)) / 2e-5
            np.testing.assert_allclose(found, slope, rtol=1e-6, atol=1e-8)


def test_updates_keep_their_types(key):
    state = cma_es(12).init(key, cube(3))
    after = cma_update(state)
    assert types(after[1:9]) == types(state[1:9])


def test_errors_name_everything():
    with pytest.raises(ValueError, match=r"cma_es\(population\) is 1"):
        cma_es(10, 1)
    with pytest.raises(ValueError, match=r"cma_es\(sigma\) is 0"):
        cma_es(10, sigma=0.0)


@pytest.mark.full
def test_asking_and_telling_are_a_program_each(key):
    """On five dimensions, which no other test has: by themselves their operations made 120."""
    jax.clear_caches()
    seen = []
    listener = lambda name, *_, **__: seen.append(name) if "backend_compile" in name else None  # noqa: E731
    jax.monitoring.register_event_duration_secs_listener(listener)
    try:
        strategy = cma_es(16, population=8)
        state = strategy.init(key, cube(5))
        for _ in range(2):
            configs, state = strategy.ask(state, key, strategy.remaining(state))
            state = strategy.tell(state, configs, np.asarray(configs["x0"]))
    finally:
        jax.monitoring.unregister_event_duration_listener(listener)
    assert 2 <= len(seen) <= 30
