"""Refitting on training and validation data together, once early stopping has said how long to train.

Validation data are lost to training until the length of it is known. Goodfellow's two ways of using them
after that: begin anew, and train as long as the best run did (`refit_on_all`), or go on from the best
parameters with all the data, until the validation loss has come down to the training loss at that point
(`continue_on_all`). Neither leaves anything to validate by; test data stay out of both. Some train two epochs
more than where overfitting set in, a rule of thumb that rests on nothing: pass `best_epoch + 2`.

    result = fit(trainer, key, train, validation)
    refit_on_all(result, key, train, validation)         # or continue_on_all, of the same arguments
    results = sweep(…)
    results.refit(keep="updates")                        # or "epochs", or "parameters": to go on from them
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_notes.data.batches import shuffled_indices, take
from jaxopt_notes.record import check_choice, check_count
from jaxopt_notes.training.early_stopping.stop_at_target import stop_at_target
from jaxopt_notes.training.evaluation import count
from jaxopt_notes.training.fit import FitResult, fit
from jaxopt_notes.training.step import Learner
from jaxopt_notes.training.step_history import steps_of
from jaxopt_notes.training.trainer import Trainer


def refit_on_all(
    run: Trainer | FitResult,
    key: jax.Array,
    train_data: tuple,
    valid_data: tuple,
    best_epoch: int | None = None,
    keep: str = "updates",
) -> FitResult:
    """Train anew on training and validation data, for as long as the best run took.

        θ ← initial parameters;   repeat as often as the best run did: θ ← θ + update(batch of all data)

    Arguments:
        run: a fit by validation data, or its trainer; its early stopping is left out.
        key: a typed random key. That of the first run gives the same initial parameters.
        train_data, valid_data: (x, y), or (x, y, weights), both; test data are for neither.
        best_epoch: how many epochs of the training data alone were best; by default the fit's `best_epoch`.
        keep: what stays as it was: the number of "updates", or of "epochs", of which all data have more
            updates each.

    Returns:
        A `FitResult` whose parameters are the last ones. The epoch that is left when updates are no whole
        number of epochs runs over a random part of the data, as large as these updates need; in a history of
        steps the windows that it lacks are NaN.

    Raises:
        ValueError: best_epoch below 1, or an unknown `keep`. TypeError: best_epoch is no whole number, or
            not given with a trainer.

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> trainer = Trainer(dense(1), sgd(0.1), mean_squared_error, metric=None, batch_size=4)
        >>> data = lambda n: (jnp.ones((n, 2)), jnp.ones((n, 1)))
        >>> result = refit_on_all(trainer, jax.random.key(0), data(8), data(4), best_epoch=5)
        >>> int(result.state.step), int(result.state.epoch)  # 5 epochs of 2 steps are 3⅓ of 3
        (10, 4)

    Source: Goodfellow, Bengio & Courville 2016, algorithm 7.2, which leaves open which of the two to keep.
    """
    trainer, found = (run.trainer, run.best_epoch) if isinstance(run, FitResult) else (run, None)
    best_epoch = found if best_epoch is None else best_epoch
    best_epoch = check_count("refit_on_all(best_epoch)", best_epoch, 1, "0 means that no epoch was better")
    keep = check_choice("refit_on_all(keep)", keep, ("updates", "epochs"))
    everything = joined(train_data, valid_data)
    updates = best_epoch * steps_of(trainer, count(train_data if keep == "updates" else everything))
    return train_anew(trainer, key, everything, updates, progress=False)


def train_anew(
    trainer: Trainer, key: jax.Array, data: tuple, updates: int, progress: bool | None
) -> FitResult:
    """Train on all data for a number of updates; what is left of an epoch runs over a part of them."""
    trainer = dataclasses.replace(trainer, early_stopping=None)
    epochs, rest = divmod(updates, steps_of(trainer, count(data)))
    result = fit(trainer, key, data, epochs=epochs, progress=progress)
    if not rest:
        return result
    # An epoch draws from split(…, 2) of this key; a third one is nobody else's.
    draw = jax.random.split(jax.random.fold_in(result.state.key, epochs), 3)[2]
    size = min(trainer.batch_size, count(data))
    part = take(data, shuffled_indices(draw, count(data))[: rest * size])
    last = fit(trainer, key, part, epochs=1, progress=False, state=result.state)
    history = {name: _behind(result.history[name], values) for name, values in last.history.items()}
    return FitResult(last.trainer, last.state, history)


def _behind(before: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The histories of whole epochs and of one in part, which has fewer windows of steps: NaN for others."""
    missing = [(0, long - short) for long, short in zip(before.shape[1:], last.shape[1:], strict=True)]
    if any(after for _, after in missing):
        last = np.pad(last, [(0, 0), *missing], constant_values=np.nan)
    return np.append(before, last, axis=0)


def continue_on_all(
    result: FitResult,
    key: jax.Array,
    train_data: tuple,
    valid_data: tuple,
    epochs: int = 100,
    *,
    progress: bool | None = False,
) -> FitResult:
    """Go on from the best parameters with training and validation data, until the validation loss is low.

        ε ← L_train(θ*);   while L_valid(θ) > ε: θ ← θ + update(batch of all data), from θ = θ*

    Arguments:
        result: a fit by validation data, with its best parameters θ*.
        key: a typed random key, for the order of the data and the noise in the model.
        train_data, valid_data: those of that fit, (x, y) or (x, y, weights); test data are for neither.
        epochs: how many at most: nothing says that the loss is ever reached.
        progress: as in `fit`.

    Returns:
        A `FitResult`. If `state.stopped`, the validation loss came down to ε, and the parameters are those
        after that epoch; else they are the best so far by the validation loss. The optimizer begins anew.

    Raises:
        TypeError, ValueError: see `fit`.

    Example:
        >>> from jaxopt_notes.layers.dense import dense
        >>> from jaxopt_notes.losses.squared_error import mean_squared_error
        >>> from jaxopt_notes.optimizers.sgd import sgd
        >>> trainer = Trainer(dense(1), sgd(0.1), mean_squared_error, metric=None)
        >>> train, valid = (jnp.ones((8, 2)), jnp.ones((8, 1))), (jnp.ones((4, 2)), jnp.full((4, 1), 1.2))
        >>> result = fit(trainer, jax.random.key(0), train, valid, epochs=1)
        >>> further = continue_on_all(result, jax.random.key(1), train, valid)
        >>> loss = lambda of, data: of.evaluate(data)["loss"]
        >>> loss(further, valid) <= loss(result, train) < loss(result, valid)
        True

    It saves training anew, and is worse understood: the two losses need not meet.

    Source: Goodfellow, Bengio & Courville 2016, algorithm 7.3.
    """
    epochs = check_count("continue_on_all(epochs)", epochs)
    target, start = (result.evaluate(data)["loss"] for data in (train_data, valid_data))
    trainer = dataclasses.replace(result.trainer, early_stopping=stop_at_target(target))
    everything = joined(train_data, valid_data)
    params, model_state = result.params, result.model_state
    state = trainer.init(key, everything)
    _, _, stop = trainer.stopping_rule().update(state.stopping, start)
    state = state._replace(
        learner=Learner(params, model_state, trainer.guarded_optimizer().init(trainer.moving(params))),
        best_params=params, best_model_state=model_state,
        best_score=jnp.full_like(state.best_score, start), stopping=jnp.full_like(state.stopping, start),
        stopped=stop,
    )  # fmt: skip
    return fit(trainer, key, everything, valid_data, epochs, progress=progress, state=state)


def joined(train_data: tuple, valid_data: tuple) -> tuple:
    """Two data sets as one; where only one has weights, the examples of the other count 1 each."""
    if len(train_data) != len(valid_data):
        train_data, valid_data = (
            data if len(data) == 3 else (*data, jnp.ones(count(data))) for data in (train_data, valid_data)
        )
    return jax.tree.map(
        lambda a, b: jnp.concatenate([jnp.asarray(a), jnp.asarray(b)]), tuple(train_data), tuple(valid_data)
    )
