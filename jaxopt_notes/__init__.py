"""Pure functions for training neural networks in JAX, and for studying how they train.

One idea carries the library: **every hyperparameter is a pytree leaf, a training run is a pure
function of a pytree, a sweep is `vmap` of it.**

A layer, an optimizer, a schedule, a penalty, a whole `Trainer` is a *record*: a frozen dataclass
registered as a pytree. Its numbers are leaves, its structure (a width, an axis, a function) is static.
So `jax.vmap(jn.adam)(rates)` is a batch of optimizers, changing a rate compiles nothing anew,
`jax.grad` reaches every hyperparameter, and a record pickles, checkpoints, shards and prints. Pass
records as *arguments*: closed over, their numbers become constants again.

Four shapes recur, each the same everywhere:

    state = optimizer.init(params)                                    # optimizers and transforms
    updates, state = optimizer.update(grads, state, params)
    params = jn.apply_updates(params, updates)

    params, state = layer.init(key, x)                                # layers
    y, state = layer.apply(params, state, x, key=key, train=True)

    state = strategy.init(key, space)                                 # search strategies
    configs, state = strategy.ask(state, key, n)
    state = strategy.tell(state, configs, scores)

    state = trainer.init(key, train_data)                             # training runs
    state, history = trainer.advance(state, train_data, valid_data, epochs)

They compose by being nested: schedules inside optimizers inside `chain` inside a `Trainer` inside the
function that `sweep` maps over a search space. Losses, metrics, penalties and activations are plain
functions or records that are called. Nothing is hidden: no global state, no implicit keys.

The names below are those with one meaning. The initializers and schedules whose names are everyday
words stay in their rooms: `jn.initializers.uniform`, `jn.schedules.constant`. Pictures are in
`jaxopt_notes.plots`, adapters to other libraries in `jaxopt_notes.interop`; both load on demand.
"""

from jaxopt_notes import (
    activations,
    data,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    penalties,
    schedules,
    search,
    training,
)
from jaxopt_notes.data import SealedTestSet, digits, epoch_batches, fit_standardizer, kfold_indices, split
from jaxopt_notes.initializers import (
    fans,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    orthogonal,
    truncated_normal,
    variance_scaling,
    xavier_normal,
    xavier_uniform,
)
from jaxopt_notes.layers import (
    activation,
    average_pool,
    batch_norm,
    cnn,
    conv,
    dense,
    dropout,
    flatten,
    layer_norm,
    max_pool,
    mlp,
    serial,
)
from jaxopt_notes.losses import (
    empirical_risk,
    half_mean_squared_error,
    huber,
    mean_absolute_error,
    mean_squared_error,
    sequence_cross_entropy,
    sigmoid_binary_cross_entropy,
    softmax_cross_entropy,
)
from jaxopt_notes.metrics import accuracy, r2, top_k_accuracy
from jaxopt_notes.norms import global_norm
from jaxopt_notes.optimizers import (
    adadelta,
    adagrad,
    adam,
    adamw,
    add_l2,
    apply_updates,
    chain,
    clip_by_global_norm,
    clip_by_norm,
    clip_by_value,
    evaluation_params,
    heavy_ball,
    masked,
    momentum,
    multiplicative_decay,
    nesterov,
    nesterov_accelerated,
    rmsprop,
    sgd,
    skip_nonfinite,
    weight_decay,
)
from jaxopt_notes.penalties import elastic_net, l1, l2, lambda_from_decay
from jaxopt_notes.record import record, replace, static
from jaxopt_notes.schedules import (
    cosine,
    exponential,
    inverse_time,
    one_cycle,
    piecewise,
    polynomial,
    sgdr,
    warmup,
    warmup_cosine,
)
from jaxopt_notes.search import (
    choice,
    grid_search,
    integers,
    log_uniform,
    normal,
    population_map,
    random_search,
    static_choice,
    sweep,
    uniform,
)
from jaxopt_notes.training import Trainer, fit, patience, predict, stop_up
from jaxopt_notes.trees import weights_only, where_path

__version__ = "0.1.0"

__all__ = [
    "SealedTestSet", "Trainer", "accuracy", "activation", "activations", "adadelta", "adagrad", "adam",
    "adamw", "add_l2", "apply_updates", "average_pool", "batch_norm", "chain", "choice",
    "clip_by_global_norm", "clip_by_norm", "clip_by_value", "cnn", "conv", "cosine", "data", "dense",
    "digits", "dropout", "elastic_net", "empirical_risk", "epoch_batches", "evaluation_params",
    "exponential", "fans", "fit", "fit_standardizer", "flatten", "global_norm", "grid_search",
    "half_mean_squared_error", "he_normal", "he_uniform", "heavy_ball", "huber", "initializers", "integers",
    "inverse_time", "kfold_indices", "l1", "l2", "lambda_from_decay", "layer_norm", "layers",
    "lecun_normal", "lecun_uniform", "log_uniform", "losses", "masked", "max_pool", "mean_absolute_error",
    "mean_squared_error", "metrics", "mlp", "momentum", "multiplicative_decay", "nesterov",
    "nesterov_accelerated", "normal", "one_cycle", "optimizers", "orthogonal", "patience", "penalties",
    "piecewise", "polynomial", "population_map", "predict", "r2", "random_search", "record", "replace",
    "rmsprop", "schedules", "search", "sequence_cross_entropy", "serial", "sgd", "sgdr",
    "sigmoid_binary_cross_entropy", "skip_nonfinite", "softmax_cross_entropy", "split", "static",
    "static_choice", "stop_up", "sweep", "top_k_accuracy", "training", "truncated_normal", "uniform",
    "variance_scaling", "warmup", "warmup_cosine", "weight_decay", "weights_only", "where_path",
    "xavier_normal", "xavier_uniform",
]  # fmt: skip
