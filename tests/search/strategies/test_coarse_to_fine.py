"""Coarse to fine: boxes that shrink around the best, failures given up after an epoch, edges named."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.search import log_uniform, uniform
from jaxopt_notes.search.strategies.coarse_to_fine import coarse_to_fine

SPACE = {"rate": log_uniform(1e-6, 1.0), "reg": log_uniform(1e-5, 1e5)}


def cost(configs):
    """Best at rate 10^−2.3 and regularization 10^1.5; a rate above 0.3 explodes."""
    bowl = (jnp.log10(configs["rate"]) + 2.3) ** 2 + (jnp.log10(configs["reg"]) - 1.5) ** 2
    return jnp.where(configs["rate"] > 0.3, 100.0, 0.3 + 0.1 * bowl)


def search(strategy, key, score=cost, space=SPACE):
    state, batches, boxes = strategy.init(key, space), [], []
    while wanted := strategy.remaining(state):
        key, own = jax.random.split(key)
        boxes.append([np.asarray(end) for end in strategy.box(state)])
        configs, state = strategy.ask(state, own, wanted)
        scores = score(configs)
        state = strategy.tell(state, configs, scores)
        batches.append({**configs, "score": scores})
    return batches, boxes, state


@pytest.mark.notes("S1-52", "S1-53")
def test_boxes_shrink_around_the_planted_optimum(key):
    strategy = coarse_to_fine(((32, 1), (16, 4), (16, 16), (16, 32)), shrink=1 / 3)
    batches, boxes, state = search(strategy, key)
    optimum = np.array([(6 - 2.3) / 6, (5 + 1.5) / 10])
    assert [len(batch["rate"]) for batch in batches] == [32, 16, 16, 16, 16, 16, 16]
    assert [int(batch["epochs"][0]) for batch in batches] == [1, 1, 4, 1, 16, 1, 32]
    for (low, high), width in zip(boxes, [1, 1 / 3, 1 / 3, 1 / 9, 1 / 9, 1 / 27, 1 / 27], strict=True):
        np.testing.assert_allclose(high - low, width, rtol=1e-5)
        assert ((low >= 0) & (high <= 1 + 1e-6) & (low <= optimum) & (optimum <= high)).all()
    best = state.trials.scores.argmin()
    assert abs(np.log10(state.trials.configs["rate"][best]) + 2.3) < 0.15
    assert abs(np.log10(state.trials.configs["reg"][best]) - 1.5) < 0.25
    assert strategy.warnings(state) == []


@pytest.mark.notes("S1-52")
def test_costs_above_three_times_the_initial_one_stop_after_an_epoch(key):
    initial = np.log(10)

    def score(configs):
        return jnp.where(configs["rate"] > 1e-3, jnp.where(configs["reg"] > 1, 7.0, jnp.nan), 6.8)

    batches, _, _ = search(coarse_to_fine(((20, 5),), initial_cost=initial), key, score)
    first, second = batches
    good = np.flatnonzero(first["rate"] <= 1e-3)  # 6.8 < 3·log 10 = 6.91 < 7
    assert 0 < len(good) < 20
    assert first["epochs"].tolist() == [1] * 20
    assert first["parent"].tolist() == [-1] * 20
    assert second["epochs"].tolist() == [5] * len(good)
    assert second["parent"].tolist() == good.tolist()
    np.testing.assert_array_equal(second["rate"], first["rate"][good])


def test_without_an_initial_cost_only_what_diverged_is_given_up(key):
    score = lambda c: jnp.where(c["rate"] > 1e-3, jnp.nan, 1e9)  # noqa: E731
    first, second = search(coarse_to_fine(((20, 5),)), key, score)[0]
    assert len(second["rate"]) == int((first["rate"] <= 1e-3).sum())


@pytest.mark.notes("S1-54")
def test_an_optimum_at_the_edge_of_the_whole_space_is_named(key):
    strategy = coarse_to_fine(((16, 1), (16, 2)))
    _, _, state = search(strategy, key, lambda c: -jnp.log10(c["reg"]))
    (message,) = [m for m in strategy.warnings(state) if m.startswith("reg")]
    assert message == "reg: the best values are at the upper end, 100000, of its range: search beyond it."


@pytest.mark.parametrize("end", [0, 1])
def test_a_box_around_a_point_at_the_end_stays_inside(end, key):
    """It keeps its width and is moved: [0, ⅓] or [⅔, 1], and so on."""
    strategy = coarse_to_fine(((40, 1), (40, 1), (8, 1)), shrink=1 / 3)
    batches, boxes, _ = search(strategy, key, lambda c: (1 - 2 * end) * c["x"], {"x": uniform(0.0, 1.0)})
    for (low, high), width in zip(boxes, (1, 1 / 3, 1 / 9), strict=True):
        np.testing.assert_allclose([low[0], high[0]], [end * (1 - width), end + (1 - end) * width], atol=1e-6)
    assert all(((batch["x"] >= 0) & (batch["x"] <= 1)).all() for batch in batches)


def test_a_box_is_around_the_best_of_the_stage_before(key):
    """Not around that of an earlier stage, whose runs were shorter and whose scores may be lower."""
    stage = iter((0.0, 10.0, 10.0))

    def score(configs):
        worse = next(stage)
        return worse + jnp.abs(configs["x"] - (0.5 if worse == 0 else 1.0))

    batches, boxes, _ = search(
        coarse_to_fine(((20, 1), (20, 1), (5, 1)), shrink=0.5), key, score, {"x": uniform(0.0, 1.0)}
    )
    best = batches[1]["x"][batches[1]["score"].argmin()]
    assert best > 0.7
    np.testing.assert_allclose(np.mean(boxes[2]), min(best, 1 - 0.25 / 2), atol=1e-6)


def test_the_limit_of_what_is_aborted(key):
    """A multiple of the initial cost, of one's own choice; what equals it goes on."""
    for abort, going in ((1.5, lambda cheap: 0), (2.0, lambda cheap: cheap), (4.0, lambda cheap: 20)):
        strategy = coarse_to_fine(((20, 5),), initial_cost=1.0, abort=abort)
        first, *second = search(strategy, key, lambda c: jnp.where(c["rate"] > 1e-3, 4.0, 2.0))[0]
        cheap = int((first["score"] == 2).sum())
        assert 0 < cheap < 20
        assert sum(len(batch["rate"]) for batch in second) == going(cheap)


def test_if_all_diverge_the_whole_space_is_searched_again(key):
    strategy = coarse_to_fine(((8, 1), (4, 1)))
    batches, boxes, state = search(strategy, key, lambda c: jnp.full(len(c["rate"]), jnp.nan))
    assert [len(batch["rate"]) for batch in batches] == [8, 4]
    np.testing.assert_array_equal(boxes[1], [[0, 0], [1, 1]])
    assert strategy.warnings(state) == []


@pytest.mark.full
def test_a_stage_waits_for_the_scores_of_the_one_before(key):
    strategy = coarse_to_fine(((8, 2), (4, 2)))
    state = strategy.init(key, SPACE)
    configs, state = strategy.ask(state, key, 5)
    assert strategy.remaining(state) == 3
    more, state = strategy.ask(state, key, 3)
    assert strategy.remaining(state) == 0
    with pytest.raises(ValueError, match="asked for 1 configurations, 0 are wanted"):
        strategy.ask(state, key, 1)
    state = strategy.tell(strategy.tell(state, configs, cost(configs)), more, cost(more))
    assert strategy.remaining(state) > 0


@pytest.mark.full
def test_asking_works_under_jit(key):
    strategy = coarse_to_fine(((4, 1), (2, 2)))
    state = strategy.init(key, {"x": uniform(0.0, 1.0)})
    plain, _ = strategy.ask(state, key, 4)
    jitted, _ = jax.jit(strategy.ask, static_argnums=2)(state, key, 4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), plain, jitted)


def test_errors_name_everything():
    with pytest.raises(ValueError, match=r"coarse_to_fine\(stages\) is empty"):
        coarse_to_fine(())
    with pytest.raises(TypeError, match=r"coarse_to_fine\(stages\) is 12, expected pairs"):
        coarse_to_fine(12)
    with pytest.raises(ValueError, match="expected epochs that do not fall"):
        coarse_to_fine(((8, 4), (8, 2)))
    with pytest.raises(ValueError, match=r"coarse_to_fine\(shrink\) is 2"):
        coarse_to_fine(shrink=2.0)
    with pytest.raises(ValueError, match=r"coarse_to_fine\(stages\): configurations is 0"):
        coarse_to_fine(((0, 1),))
