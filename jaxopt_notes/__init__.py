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
`jaxopt_notes.plots`, adapters to other libraries in `jaxopt_notes.interop`. Every room loads when its
first name is used, so that the import itself costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

from jaxopt_notes.record import record, replace, static

if TYPE_CHECKING:  # for editors and type checkers, which cannot see what `__getattr__` finds
    from jaxopt_notes import activations
    from jaxopt_notes.initializers import *
    from jaxopt_notes.schedules import *
    from jaxopt_notes.metrics import *
    from jaxopt_notes.norms import *
    from jaxopt_notes.masks import weights_only, where_path
    from jaxopt_notes.data import *
    from jaxopt_notes.losses import *
    from jaxopt_notes.optimizers import *
    from jaxopt_notes.penalties import *
    from jaxopt_notes.layers import *
    from jaxopt_notes.search import *
    from jaxopt_notes.training import *

__version__ = "0.1.0"

# Where the public names live; a room is loaded when one of its names, or itself, is first used.
_ROOMS = {
    "activations": "",
    "data": "SealedTestSet digits epoch_batches fit_standardizer kfold_indices split",
    "initializers": """
        fans he_normal he_uniform lecun_normal lecun_uniform orthogonal truncated_normal
        variance_scaling xavier_normal xavier_uniform
    """,
    "layers": """
        activation average_pool batch_norm cnn conv dense dropout flatten layer_norm max_pool mlp serial
    """,
    "losses": """
        empirical_risk half_mean_squared_error huber mean_absolute_error mean_squared_error
        sequence_cross_entropy sigmoid_binary_cross_entropy softmax_cross_entropy
    """,
    "masks": "weights_only where_path",
    "metrics": "accuracy r2 top_k_accuracy",
    "norms": "global_norm",
    "optimizers": """
        accumulate_gradients adabelief adadelta adafactor adagrad adam adamax adamaxw adamw adan
        adaptive_grad_clip add_l2 add_noise ademamix adopt amsgrad apply_updates bfgs centralize chain
        clip_by_block_rms clip_by_global_norm clip_by_norm clip_by_value clip_per_example conditionally
        correct_bias dadapt_adam dadapt_sgd dog dowg dynamic_loss_scale ema_params evaluation_params
        fromage gauss_newton heavy_ball hypergradient iterative_hard_thresholding kahan lamb lars
        layerwise_rates lbfgs levenberg_marquardt line_search lion lookahead masked master_weights
        momentum multiplicative_decay muon nadam nadamw nesterov nesterov_accelerated newton newton_cg
        noisy_sgd normalize_by_norm novograd optimistic_gradient polyak_average polyak_sgd prodigy
        projected_gradient proximal_gradient radam reduce_on_plateau rmsprop rprop sam
        scale_by_trust_ratio schedule_free schedule_free_adamw schedule_free_sgd sgd sign_sgd signum
        skip_nonfinite sm3 snapshots soap sophia static_loss_scale swa weight_decay yogi zero_nonfinite
    """,
    "penalties": "elastic_net l1 l2 lambda_from_decay",
    "schedules": """
        cosine exponential inverse_time one_cycle piecewise polynomial sgdr warmup warmup_cosine
    """,
    "search": """
        asha bayesian choice cma_es coarse_to_fine grid_search halton hyperband integers latin_hypercube
        log_uniform median_stopping normal population_based_training population_map random_search sobol
        static_choice successive_halving sweep uniform
    """,
    "training": "Trainer fit patience predict stop_up",
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names.split()}
_MODULES = [room for room in _ROOMS if room not in ("norms", "masks")]

__all__ = ["record", "replace", "static", *_MODULES, *_HOME]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
