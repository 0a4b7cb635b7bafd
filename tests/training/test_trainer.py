import dataclasses
import functools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics
from jax.tree_util import Partial

from jaxopt_notes.data.batches import epoch_batches
from jaxopt_notes.metrics import f1, r2, roc_auc
from jaxopt_notes.optimizers.adam import adam
from jaxopt_notes.optimizers.nesterov import nesterov
from jaxopt_notes.optimizers.sgd import sgd
from jaxopt_notes.optimizers.wrappers.skip_nonfinite import skip_nonfinite
from jaxopt_notes.record import Number, record
from jaxopt_notes.search import log_uniform, random_search, sweep
from jaxopt_notes.training.early_stopping import patience, stop_up
from jaxopt_notes.training.evaluation import evaluate, predict
from jaxopt_notes.training.trainer import Trainer
from tests.compiled import compiled
from tests.training.linear import Counting, Linear, regression, squared


def make(learning_rate=0.1, model=None, **kwargs):
    kwargs = {"metric": None, "batch_size": 4} | kwargs
    return Trainer(Linear() if model is None else model, sgd(learning_rate), squared, **kwargs)


def run(trainer, key, train, valid=None, epochs=3):
    return trainer.advance(trainer.init(key, train), train, valid, epochs)


def assert_same(a, b):
    def data(leaf):
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(leaf) if is_key else leaf)

    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(data(a), data(b)), a, b)


def descend(x, y, batches, rate, w=None, b=0.0):
    """Least squares by hand: the loop of the notes in NumPy, and the loss of each batch."""
    w, losses = np.zeros(x.shape[1]) if w is None else w, []
    for rows in batches:
        residual = x[rows] @ w + b - y[rows]
        losses.append(np.mean(residual**2))
        w, b = w - rate * 2 * x[rows].T @ residual / len(rows), b - rate * 2 * np.mean(residual)
    return w, b, losses


# What a run computes


@pytest.mark.notes("S0-01", "S3-22")
def test_a_run_is_the_loop_of_the_notes(x64, key):
    x, y = regression(10, dtype=np.float64)
    trainer = make(0.05, batch_size=4)
    state, history = run(trainer, key, (x, y), epochs=3)

    w, b, run_key = None, 0.0, jax.random.split(key)[1]
    for epoch in range(3):
        order = jax.random.split(jax.random.fold_in(run_key, epoch))[0]
        rows = np.asarray(compiled(epoch_batches)(order, 10, 4).indices).ravel()[:10]
        w, b, losses = descend(x, y, [rows[:4], rows[4:8], rows[8:]], 0.05, w, b)
        # Row S0-02: the last batch, two examples, counts by its size.
        np.testing.assert_allclose(history["loss"][epoch], np.dot(losses, [4, 4, 2]) / 10, rtol=1e-12)
    np.testing.assert_allclose(state.params["w"], w, rtol=1e-12)
    np.testing.assert_allclose(state.params["b"], b, rtol=1e-12)
    assert (state.epoch, state.step) == (3, 9)
    assert history["loss"][2] < history["loss"][0]


@pytest.mark.notes("S0-01", "S3-23")
@pytest.mark.parametrize("copies", [1, 3])
def test_one_batch_of_full_size_is_gradient_descent_however_often_the_data_repeat(x64, key, copies):
    x, y = regression(8, dtype=np.float64)
    data = (np.tile(x, (copies, 1)), np.tile(y, copies))
    state, _ = run(make(0.1, batch_size=100), key, data, epochs=5)
    w, b, _ = descend(x, y, [np.arange(8)] * 5, 0.1)
    np.testing.assert_allclose(state.params["w"], w, rtol=1e-12)
    np.testing.assert_allclose(state.params["b"], b, rtol=1e-12)
    assert state.step == 5


@pytest.mark.notes("S0-02")
@pytest.mark.parametrize("n", [10, 12])
def test_batch_losses_at_fixed_parameters_average_to_the_full_loss(x64, key, n):
    x, y = regression(n, dtype=np.float64)
    _, history = run(make(0.0, model=Linear(start=0.3)), key, (x, y))
    full = np.mean((x @ np.full(3, 0.3) + 0.3 - y) ** 2)
    np.testing.assert_allclose(history["loss"], full, rtol=1e-12)


@pytest.mark.notes("S0-25")
def test_penalty_and_noise_move_parameters_but_are_in_no_reported_loss(x64, key):
    x, y = regression(dtype=np.float64)

    @record
    class Ridge:
        strength: Number

        def __call__(self, params):
            return self.strength * jnp.sum(params["w"] ** 2)

    def losses(rate, strength, noise=0.0):
        trainer = make(rate, model=Linear(0.3, noise), penalty=Ridge(strength))
        state, history = run(trainer, key, (x, y), (x, y), epochs=1)
        return state.params["w"], history["loss"], history["valid_loss"]

    full = np.mean((x @ np.full(3, 0.3) + 0.3 - y) ** 2)
    for strength, noise in [(0.0, 0.0), (5.0, 0.0), (5.0, 1.0)]:
        _, loss, valid_loss = losses(0.0, strength, noise)
        np.testing.assert_allclose(valid_loss, full, rtol=1e-12)
        assert noise or np.isclose(loss, full, rtol=1e-12)
    # Half the gradient of the penalty is strength·w: one full step from w = 0.3 differs by exactly that.
    trainer = make(0.1, model=Linear(0.3), penalty=Ridge(2.0), batch_size=10)
    plain = dataclasses.replace(trainer, penalty=None)
    shift = (
        run(trainer, key, (x, y), epochs=1)[0].params["w"] - run(plain, key, (x, y), epochs=1)[0].params["w"]
    )
    np.testing.assert_allclose(shift, -0.1 * 2 * 2.0 * 0.3, rtol=1e-10)


@pytest.mark.notes("S2-81")
def test_every_step_draws_anew_and_a_key_draws_the_same_again(key):
    @record
    class Diary:
        """A model that writes down what it draws."""

        def init(self, key, x):
            return {"w": jnp.zeros(())}, {"draws": jnp.zeros(9)}

        def apply(self, params, state, x, *, key=None, train=False):
            draw = jax.random.uniform(key) if train else jnp.zeros(())
            draws = jnp.append(state["draws"][1:], draw) if train else state["draws"]
            return jnp.broadcast_to(params["w"], len(x)), {"draws": draws}

    data = regression(10)  # three steps an epoch
    draws = [
        run(make(model=Diary()), k, data, data)[0].learner.model_state["draws"]
        for k in [key, key, jax.random.key(1)]
    ]
    assert len(np.unique(draws[0])) == 9
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.intersect1d(draws[0], draws[2]).size


def test_augmentation_and_dropout_have_keys_of_their_own(key):
    @record
    class Diary:
        """Its state is the key's first draw, and a number of the batch, which the augmentation drew."""

        def init(self, key, x):
            return {"w": jnp.zeros(())}, jnp.zeros(2)

        def apply(self, params, state, x, *, key=None, train=False):
            draws = jnp.stack([jax.random.uniform(key, x.shape)[0, 0], x[0, 0]]) if train else state
            return jnp.broadcast_to(params["w"], len(x)), draws

    augmented = make(
        model=Diary(), augmentation=lambda key, x, y: (jax.random.uniform(key, x.shape), y), batch_size=10
    )
    draws = [run(augmented, key, regression(10), epochs=n)[0].learner.model_state for n in (1, 2)]
    assert len(np.unique(draws)) == 4


def test_augmentation_is_for_training_only(key):
    x, y = regression()
    trainer = make(0.0, augmentation=lambda key, x, y: (x + jax.random.normal(key, x.shape, x.dtype), y))
    plain = run(dataclasses.replace(trainer, augmentation=None, model=Linear(1.0)), key, (x, y), (x, y))[1]
    noisy = run(dataclasses.replace(trainer, model=Linear(1.0)), key, (x, y), (x, y), epochs=300)[1]
    np.testing.assert_allclose(noisy["valid_loss"], plain["valid_loss"][0], rtol=1e-6)
    assert len(np.unique(noisy["loss"])) == 300
    # Independent noise of variance 1 in every feature, all weights 1: its square is added on average.
    assert np.mean(noisy["loss"]) == pytest.approx(float(plain["loss"][0]) + x.shape[1], rel=0.1)


def test_optimizers_that_look_ahead_are_judged_by_the_parameters_they_mean(key):
    data = regression(8)
    trainer = dataclasses.replace(make(batch_size=8), optimizer=nesterov(0.1, 0.9))
    state, _ = run(trainer, key, data, data, epochs=1)
    # θ̂ = θ − αv after one step from θ = 0: v = ηg, so θ = −ηg and θ̂ = −(1 + α)ηg.
    np.testing.assert_allclose(state.params["w"], 1.9 * np.asarray(state.best_params["w"]), rtol=1e-5)


# Resuming, populations, gradients


def trainer_with_everything(learning_rate=0.05, wait=2):
    return Trainer(
        Linear(0.0, 0.1), adam(learning_rate), squared, penalty=lambda params: jnp.sum(params["w"] ** 2),
        augmentation=lambda key, x, y: (x + 0.01 * jax.random.normal(key, x.shape, x.dtype), y),
        early_stopping=patience(wait), metric=squared, batch_size=4,
    )  # fmt: skip


def test_a_run_cut_in_pieces_is_the_same_bit_for_bit(key):
    train, valid = regression(10), regression(6, seed=1)
    trainer = trainer_with_everything()
    whole, history = run(trainer, key, train, valid, epochs=5)
    state, first = run(trainer, key, train, valid, epochs=2)
    state, second = trainer.advance(state, train, valid, epochs=3)
    assert_same(state, whole)
    assert_same(
        {name: np.append(first[name], second[name]) for name in first}, jax.tree.map(np.asarray, history)
    )

    scanned, rows = jax.lax.scan(
        lambda s, _: trainer.advance(s, train, valid), trainer.init(key, train), None, 5
    )
    assert_same(scanned, whole)
    assert rows["loss"].shape == (5, 1)


def test_a_population_is_the_loop_over_its_members(key):
    train, valid = regression(10), regression(6, seed=1)
    rates, waits = jnp.array([0.3, 0.01, 0.3]), jnp.array([1.0, 2.0, jnp.inf])
    keys = jax.random.split(key, 3)

    @jax.jit
    def member(rate, wait, key):
        return run(trainer_with_everything(rate, wait), key, train, valid, epochs=12)

    states, histories = jax.vmap(member)(rates, waits, keys)
    assert len(set(states.epoch.tolist())) > 1
    for i in range(3):
        state, history = member(rates[i], waits[i], keys[i])
        mine = jax.tree.map(lambda x, i=i: x[i], (states._replace(key=()), histories))
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6),
            mine,
            (state._replace(key=()), history),
        )


@pytest.mark.full
def test_the_gradient_reaches_every_hyperparameter(x64, key):
    train, valid = regression(10, dtype=np.float64), regression(6, seed=1, dtype=np.float64)

    @jax.jit
    def final(trainer):
        return run(trainer, key, train, valid)[1]["valid_loss"][-1]

    trainer = Trainer(
        Linear(0.5, 0.1), sgd(0.05), Partial(lambda o, y, power: jnp.abs(o - y) ** power, power=2.5),
        penalty=Partial(lambda strength, params: strength * jnp.sum(params["w"] ** 2), 0.1),
        early_stopping=patience(5), metric=None, batch_size=4,
    )  # fmt: skip
    trainer = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), trainer)
    leaves, treedef = jax.tree.flatten(trainer)
    slopes = jax.tree.leaves(jax.grad(final)(trainer))
    assert len(leaves) == 7
    for i, slope in enumerate(slopes):
        step = 1e-5 * np.eye(7)[i]
        up, down = (
            final(treedef.unflatten([a + s * b for a, b in zip(leaves, step, strict=True)])) for s in (1, -1)
        )
        np.testing.assert_allclose(slope, (up - down) / 2e-5, rtol=1e-5, atol=1e-8)
    assert np.count_nonzero(slopes) == 5  # not patience and its margin


def test_changed_numbers_are_not_traced_again(key):
    traces = []

    def loss(outputs, targets):
        traces.append(None)
        return squared(outputs, targets)

    data = regression()
    for rate in (0.1, 0.2, 0.3):
        state, _ = run(dataclasses.replace(make(rate), loss=loss), key, data, data)
        if rate == 0.1:
            traces.clear()
    assert traces == []
    assert np.isfinite(state.best_score)


# Early stopping and the best parameters


def dip(**kwargs):
    """A run whose validation loss falls and rises again: it aims at w = 1, validation at w = 0.5."""
    x = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]
    trainer = make(0.2, batch_size=8, **kwargs)
    state, history = run(trainer, jax.random.key(0), (x, x[:, 0]), (x, 0.5 * x[:, 0]), epochs=20)
    return x, state, jax.tree.map(np.asarray, history)


@pytest.mark.notes("S3-43", "S4-03", "S4-09")
@pytest.mark.parametrize("min_delta", [0.0, 0.01])
def test_the_best_parameters_are_those_of_the_least_validation_loss(min_delta):
    x, state, history = dip(early_stopping=patience(3, min_delta))
    _, unstopped, full = dip()
    best = int(np.argmin(full["valid_loss"]))
    assert 1 < best < 15
    assert state.stopped
    assert not unstopped.stopped
    assert state.best_epoch == unstopped.best_epoch == best + 1
    w = float(state.best_params["w"][0])
    np.testing.assert_allclose(np.mean((w * x - 0.5 * x) ** 2), full["valid_loss"].min(), rtol=1e-5)
    np.testing.assert_allclose(state.best_score, full["valid_loss"].min(), rtol=1e-6)
    # A stopped run changes no more: the history repeats its last entries, the counters stand.
    ran = int(state.epoch)
    assert ran < 20
    assert min_delta or ran == best + 1 + 3
    np.testing.assert_allclose(history["valid_loss"][:ran], full["valid_loss"][:ran], rtol=1e-6)
    assert (history["valid_loss"][ran:] == history["valid_loss"][ran - 1]).all()
    assert state.step == ran


@pytest.mark.full
@pytest.mark.notes("S4-09")
def test_the_least_validation_loss_flatters_the_model_it_selects(key):
    def member(key):
        keys = jax.random.split(key, 4)

        def sample(key, n):
            x, noise = jax.random.normal(key, (n, 5)), jax.random.normal(jax.random.fold_in(key, 1), n)
            return x, x[:, 0] + noise

        train, valid, fresh = sample(keys[0], 10), sample(keys[1], 5), sample(keys[2], 500)
        state, _ = run(make(0.05), keys[3], train, valid, epochs=20)
        return (
            jnp.mean(squared(fresh[0] @ state.best_params["w"] + state.best_params["b"], fresh[1]))
            - state.best_score
        )

    bias = jax.jit(jax.vmap(member))(jax.random.split(key, 200))
    assert jnp.mean(bias) > 3 * jnp.std(bias) / 200**0.5


def test_without_validation_the_last_parameters_are_the_best_unless_a_rule_watches_the_loss(key):
    data = regression()
    state, history = run(make(), key, data)
    assert_same(state.best_params, state.params)
    assert sorted(history) == ["loss", "skipped"]
    watching, _ = run(make(2.0, early_stopping=patience(1, monitor="loss")), key, data, epochs=9)
    assert watching.epoch == 2  # it diverges
    assert watching.best_epoch == 1
    with pytest.raises(ValueError, match=r"monitors 'valid_loss', but the history has loss, skipped"):
        run(make(early_stopping=patience()), key, data)


def test_the_model_state_of_the_best_epoch_is_kept(key):
    """The loss grows from the second epoch on; by the end the model has seen three times as many examples."""
    data = regression()
    state, history = run(make(2.0, model=Counting(), early_stopping=patience(9)), key, data, data)
    assert history["valid_loss"][0] < history["valid_loss"][1] < history["valid_loss"][2]
    assert state.best_epoch == 1
    assert state.learner.model_state["seen"] == 3 * state.best_model_state["seen"] == 36


def test_any_number_of_the_history_can_stop_a_run(key):
    """Here the rises of the training loss, in a run that diverges."""
    data = regression()
    state, _ = run(make(2.0, early_stopping=stop_up(2, monitor="loss")), key, data, data, epochs=9)
    assert state.stopped
    assert (state.epoch, state.best_epoch) == (3, 1)


# Steps that are not finite


def test_a_step_that_is_not_finite_changes_nothing_and_is_counted(key):
    x, y = regression(8)
    x[0, 0] = np.nan  # one of two batches
    trainer = make(model=Counting())
    state, history = run(trainer, key, (x, y), epochs=3)
    assert history["skipped"].tolist() == [1, 1, 1]
    assert state.learner.model_state["seen"] == 12
    assert np.isfinite(state.learner.model_state["mean"])
    assert np.isfinite(state.params["w"]).all()
    assert np.isnan(history["loss"]).all()
    assert state.step == 6

    careless = dataclasses.replace(trainer, skip_nonfinite=False)
    state, history = run(careless, key, (x, y), epochs=1)
    assert history["skipped"].tolist() == [0]
    assert np.isnan(state.params["w"]).all()
    assert state.learner.model_state["seen"] == 8

    guarded = dataclasses.replace(trainer, optimizer=skip_nonfinite(sgd(0.1)))
    assert jax.tree.structure(guarded.init(key, (x, y))) == jax.tree.structure(trainer.init(key, (x, y)))


# What may be put in


def test_any_model_with_the_two_functions_serves_and_evaluation_goes_in_chunks(key):
    class Plain:
        init, apply = staticmethod(Linear().init), staticmethod(Linear().apply)

    x, y = regression(11)
    state, history = run(make(model=Plain(), metric=r2), key, (x, y), (x, y))
    same, expected = run(make(metric=r2), key, (x, y), (x, y))
    assert_same(state, same)
    _, history = run(make(metric=r2, eval_batch_size=4), key, (x, y), (x, y))
    np.testing.assert_allclose(history["valid_loss"], expected["valid_loss"], rtol=1e-5)
    np.testing.assert_allclose(history["valid_r2"], expected["valid_r2"], rtol=1e-5)
    for chunk in (1, 3, 10, 11, 50):  # R² needs all outputs at once, in their order
        outputs = predict(Linear(), state.params, (), x, chunk)
        np.testing.assert_allclose(
            outputs, x @ np.asarray(state.params["w"]) + np.asarray(state.params["b"]), rtol=1e-5
        )


def test_several_metrics_are_exact_whatever_the_evaluation_batches(key):
    """Each in the history under its name, as scikit-learn has it of all outputs; one stops the run."""
    x, y = regression(23)
    labels = (y > 0.3).astype(np.float32)
    metrics = {"auc": roc_auc, "macro": functools.partial(f1, average="macro"), "error": squared, "r2": r2}
    rule = patience(2, monitor="valid_auc", mode="max")

    @functools.partial(jax.jit, static_argnums=0)
    def results(size, weights):
        trainer = make(metric=metrics, eval_batch_size=size, early_stopping=rule)
        state, history = run(trainer, key, (x, labels), (x, labels), epochs=6)
        outputs = predict(trainer.model, state.params, (), x)
        return state, history, outputs, evaluate(trainer, state.params, (), (x, labels, weights))

    weights = np.arange(23) % 3
    state, history, o, weighted = jax.device_get(results(1024, weights))
    for name, curve in results(4, weights)[1].items():
        np.testing.assert_allclose(curve, history[name], rtol=1e-5, err_msg=name)
    assert state.stopped
    ran, best = int(state.epoch), int(state.best_epoch)
    assert history["valid_auc"].argmax() == best - 1
    assert ran == best + 2
    for scores, w in (
        ({name[6:]: curve[ran - 1] for name, curve in history.items()}, None),
        (weighted, weights),
    ):
        of = {"sample_weight": w}
        np.testing.assert_allclose(scores["auc"], sklearn.metrics.roc_auc_score(labels, o, **of), rtol=1e-5)
        expected = sklearn.metrics.f1_score(labels, o > 0, average="macro", **of)
        np.testing.assert_allclose(scores["macro"], expected, rtol=1e-5)
        expected = sklearn.metrics.mean_squared_error(labels, o, **of)
        np.testing.assert_allclose([scores["error"], scores["loss"]], expected, rtol=1e-5)
        np.testing.assert_allclose(scores["r2"], sklearn.metrics.r2_score(labels, o, **of), rtol=1e-5)


@pytest.mark.full
def test_a_sweep_ranks_by_any_of_several_metrics(key):
    x, y = regression(23)
    labels = (y > 0.3).astype(np.float32)

    def build(h):
        metrics = {"macro": functools.partial(f1, average="macro"), "r2": r2}
        return Trainer(Linear(h["start"]), sgd(0.0), squared, metric=metrics, batch_size=8)

    data = (x, labels)
    space = {"start": log_uniform(0.1, 10.0)}
    watched = {"monitor": "valid_r2", "mode": "max"}
    result = sweep(build, space, (data, data), random_search(4), epochs=1, key=key, **watched)
    scores = [sklearn.metrics.r2_score(labels, s * (x.sum(1) + 1)) for s in result.columns["start"]]
    np.testing.assert_allclose(result.score_mean, scores, rtol=1e-5)
    assert result.order[0] == np.argmax(scores)


def test_metrics_are_data_and_their_errors_say_what_is_wrong(key):
    def several():
        return make(metric={"f1": functools.partial(f1, average="macro"), "r2": r2})

    assert jax.tree.structure(pickle.loads(pickle.dumps(several()))) == jax.tree.structure(several())
    assert "metric={'f1': partial(f1, average='macro'), 'r2': r2}" in repr(several())
    data = regression()
    for metric, message in {
        (r2,): r"expected a function of \(outputs, targets\), or a dict for several",
        "loss": r"has the name 'loss', expected a string other",
        "f1": r"has 'macro' as 'f1', expected a function",
    }.items():
        with pytest.raises((TypeError, ValueError), match=message):
            make(metric={metric: "macro"} if isinstance(metric, str) else metric).init(key, data)
    alone = make(metric=lambda o, y: jnp.mean(squared(o, y)))
    with pytest.raises(ValueError, match=r"returned a scalar, expected one value per example to be weighted"):
        evaluate(alone, {"w": jnp.zeros(3), "b": 0.0}, (), data, np.ones(10))
    table = make(metric=lambda o, y, weights=None: jnp.ones((2, 2)))
    for weights in (None, np.ones(10)):
        with pytest.raises(ValueError, match=r"returned shape \(2, 2\), expected one number: take one"):
            evaluate(table, {"w": jnp.zeros(3), "b": 0.0}, (), data, weights)


def test_a_trainer_is_data(key):
    trainer = make(0.25, early_stopping=patience(3))
    again = pickle.loads(pickle.dumps(trainer))
    assert jax.tree.structure(again) == jax.tree.structure(trainer)
    assert jax.tree.map(lambda leaf: None, trainer).loss is not None  # rebuilt with placeholders
    jax.tree.map(lambda leaf: object(), trainer)
    assert repr(trainer).startswith(
        "Trainer(model=Linear(start=0.0, noise=0.0), optimizer=SGD(learning_rate=0.25), loss=squared"
    )
    batch = jax.vmap(make)(jnp.array([0.1, 0.2]))
    assert batch.optimizer.learning_rate.shape == (2,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, r"Trainer\(batch_size\) is 0"),
        ({"model": 3}, r"Trainer\(model\) is 3, expected an object with init and apply"),
        ({"optimizer": "adam"}, r"not a gradient transform"),
        ({"loss": "mse"}, r"Trainer\(loss\) is 'mse', expected a function"),
        (
            {"loss": lambda o, y: jnp.mean((o - y) ** 2)},
            r"scalar, expected one value per example: leave out the mean",
        ),
        ({"early_stopping": 5}, r"Trainer\(early_stopping\) is 5"),
    ],
)
def test_errors_name_the_part(change, message, key):
    with pytest.raises((TypeError, ValueError), match=message):
        run(dataclasses.replace(make(), **change), key, regression())


def test_errors_name_key_data_and_epochs(key):
    x, y = regression()
    with pytest.raises(TypeError, match=r"expected a typed key: jax.random.key"):
        make().init(jax.random.PRNGKey(0), (x, y))
    with pytest.raises(TypeError, match=r"expected a pair \(x, y\)"):
        make().init(key, x)
    with pytest.raises(ValueError, match=r"lengths \[9, 10\]"):
        make().init(key, (x, y[1:]))
    with pytest.raises(ValueError, match=r"epochs\) is -1"):
        run(make(), key, (x, y), epochs=-1)


# Weights of examples


@pytest.mark.notes("S2-88")
def test_an_example_counts_by_its_weight(x64, key):
    """Each batch's gradient is that of the weighted mean; the loss of an epoch is that of all examples."""
    x, y = regression(10, dtype=np.float64)
    weights = np.array([0.0, 1, 2, 1, 0, 3, 1, 1, 0, 1])
    wrong = np.where(weights == 0, 1e6, y)  # what counts nothing may be anything
    state, history = run(make(0.05, batch_size=4), key, (x, wrong, weights), (x, wrong, weights), epochs=2)
    last = np.average((x @ state.params["w"] + state.params["b"] - y) ** 2, weights=weights)
    np.testing.assert_allclose(history["valid_loss"][-1], last, rtol=1e-12)

    w, b, losses, run_key = np.zeros(x.shape[1]), 0.0, [], jax.random.split(key)[1]
    for epoch in range(2):
        order, _ = jax.random.split(jax.random.fold_in(run_key, epoch))
        batches, total = epoch_batches(order, 10, 4), 0.0
        for rows, filling in zip(*map(np.asarray, batches), strict=True):
            own = weights[rows] * filling
            residual, share = x[rows] @ w + b - y[rows], own / own.sum()
            total += own @ residual**2
            w, b = w - 0.05 * 2 * (share * residual) @ x[rows], b - 0.05 * 2 * share @ residual
        losses.append(total / weights.sum())
    np.testing.assert_allclose(state.params["w"], w, rtol=1e-12)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-12)
    with pytest.raises(ValueError, match=r"weights of shape \(10, 1\), expected \(10,\)"):
        make().init(key, (x, y, weights[:, None]))
