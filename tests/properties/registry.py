"""Everything that is registered, built and put to use: what the matrix of invariants runs over.

A *subject* is one entry of one registry, or a variant of it that has another structure. It can be
built, and evaluated: a vector that depends on every number in it (five steps of training for an
optimizer, a curve for a schedule, outputs and statistics for a layer). A new entry of a registry is
a subject from the moment it is registered. If its factory has required arguments, it needs an example
in `EXAMPLES`; the tests say so.
"""

import importlib
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.tree_util import Partial

from jaxopt_notes.activations import tanh
from jaxopt_notes.data import random_flip, random_noise, random_stretch
from jaxopt_notes.layers import batch_norm, dense, dropout, embedding, rnn, serial
from jaxopt_notes.optimizers import adam, apply_updates, sgd, zoom
from jaxopt_notes.penalties import elastic_net, l1
from jaxopt_notes.projections import project_l2_ball
from jaxopt_notes.schedules import cosine, piecewise, plateau
from jaxopt_notes.search import integers, log_uniform
from jaxopt_notes.training import patience, stop_gl, stop_pq
from jaxopt_notes.training.early_stopping.score import watched
from tests.optimizers.runs import loss_of

REGISTRIES = {
    "optimizers": "jaxopt_notes.optimizers.OPTIMIZERS",
    "transforms": "jaxopt_notes.optimizers.TRANSFORMS",
    "wrappers": "jaxopt_notes.optimizers.WRAPPERS",
    "aggregations": "jaxopt_notes.optimizers.AGGREGATIONS",
    "solvers": "jaxopt_notes.optimizers.SOLVERS",
    "schedules": "jaxopt_notes.schedules.SCHEDULES",
    "initializers": "jaxopt_notes.initializers.INITIALIZERS",
    "augmentations": "jaxopt_notes.data.AUGMENTATIONS",
    "layers": "jaxopt_notes.layers.LAYERS",
    "penalties": "jaxopt_notes.penalties.PENALTIES",
    "losses": "jaxopt_notes.losses.LOSSES",
    "activations": "jaxopt_notes.activations.ACTIVATIONS",
    "metrics": "jaxopt_notes.metrics.METRICS",
    "early_stopping": "jaxopt_notes.training.EARLY_STOPPING",
    "strategies": "jaxopt_notes.search.STRATEGIES",
}
GRADIENT_TRANSFORMS = ("optimizers", "transforms", "wrappers", "solvers")
FUNCTIONS = ("losses", "activations", "metrics")


class Call(NamedTuple):
    """The arguments of a factory."""

    args: tuple
    kwargs: dict[str, Any]


def call(*args: Any, **kwargs: Any) -> Call:
    return Call(args, kwargs)


# Arguments for the factories that cannot do without, and for other structures ("name-what") of any.
# Horizons are not whole numbers: no step at which a curve is evaluated is then a jump or a corner.
EXAMPLES: dict[str, dict[str, Call]] = {
    "optimizers": {
        "sgd-momentum": call(momentum=0.9),
        "sgd-nesterov": call(momentum=0.9, nesterov=True),
        "momentum-outside": call(rate_outside=True),
        "adamw-all": call(mask=None),
        "nesterov_accelerated-constant": call(momentum=0.9),
        "adagrad-inside": call(eps_in_sqrt=True),
        "rmsprop-centered": call(eps_in_sqrt=False, centered=True, momentum=0.9, nesterov=True),
        "rmsprop-corrected": call(bias_correction=True),
        "amsgrad-before": call(correction="before"),
        "amsgrad-none": call(correction="none"),
        "nadam-constant": call(momentum_decay=float("inf")),
        "radam-rectified": call(threshold=4.2),
        "yogi-uncorrected": call(bias_correction=False),
        "adopt-clipped": call(clip_value=0.7),
        "ademamix-warmed": call(b3=0.97, warmup_steps=3.7),
        "prodigy": call(b2=0.98, d0=0.1),
        "prodigy-corrected": call(
            b2=0.98, d0=0.1, bias_correction=True, safeguard_warmup=True, weight_decay=0.1
        ),
        "dadapt_sgd-momentum": call(momentum=0.5, d0=0.1),
        "dadapt_adam-corrected": call(b2=0.98, d0=0.1, bias_correction=True, weight_decay=0.1),
        "dog": call(learning_rate=1.2, r_eps=0.1),  # at 1 the first step ends at the first distance: a corner
        "lars-nesterov": call(nesterov=True),
        "muon-averaged": call(nesterov=False, consistent_rms=0.3, weight_decay=0.1, mask=None),
        "muon-companion": call(ns_coeffs=((4.0, -6.9, 2.9), (2.8, -3.1, 1.2)), companion=adam(0.1)),
        "soap-often": call(learning_rate=0.1, precondition_frequency=1.2, weight_decay=0.1, shampoo_beta=0.7),
        "sophia": call(learning_rate=0.1, b1=0.9, b2=0.6, gamma=1.2, update_interval=2.2, weight_decay=0.1),
        "polyak_sgd-plus": call(max_learning_rate=0.2, f_min=-0.3, eps=0.1, variant="sps+"),
        "adafactor-factored": call(min_dim_size_to_factor=2, momentum=0.9, relative_step=False),
    },
    "transforms": {
        "clip_by_global_norm-keep": call(nonfinite="keep"),
        "reduce_on_plateau": call(plateau(0.7, patience=1.5, atol=5.0)),
    },
    "wrappers": {
        "masked-raw": call(adam(0.1), outside="raw"),
        "conditionally-later": call(adam(0.1), piecewise((2.5,), (0.0, 1.0)), outside="zero"),
        "sam": call(sgd(0.1)),  # at a zero gradient that depends on parameters, Adam has a slope of 1/eps
        "sam-adaptive": call(adam(0.1, eps=0.1), rho=0.5, adaptive=True),
        "snapshots-growing": call(adam(0.1), decay_steps=1.3, number=2, t_mul=1.4),
        "projected": call(adam(0.1), max_norm=1.0),
        "projected-all": call(adam(0.1), project_l2_ball, None, radius=2.0),
        "proximal": call(adam(0.1), l1(0.3), learning_rate=0.1),
        "hypergradient-multiplicative": call(adam(0.1), hyper_learning_rate=0.05, rule="multiplicative"),
    },
    # Undamped, Newton's method is at the bottom of the bowl in one step, and nothing depends on its numbers.
    "solvers": {
        "newton": call(learning_rate=0.5, damping=0.1),
        "newton_cg": call(learning_rate=0.5, damping=0.1),
        "gauss_newton": call(learning_rate=0.5, damping=0.1),
        "levenberg_marquardt": call(damping=300.0),
        "levenberg_marquardt-columns": call(damping=300.0, scaling="columns"),
        "bfgs": call(linesearch=zoom(max_learning_rate=30.3)),  # at 1 the first guess would be a corner
        "bfgs-bare": call(learning_rate=0.1, scale_init_precond=False, linesearch=None),
        "lbfgs": call(linesearch=zoom(max_learning_rate=30.3)),
        "lbfgs-bare": call(learning_rate=0.1, memory_size=3, linesearch=None),
        "lbfgs-short": call(memory_size=1, linesearch=zoom(3, curv_rtol=0.1, max_learning_rate=30.3)),
        "line_search": call(sgd(0.05), zoom(max_learning_rate=30.3)),
        "line_search-keep": call(adam(0.1), zoom(max_learning_rate=30.3), initial_guess_strategy="keep"),
        "proximal_gradient": call(learning_rate=0.1, penalty=l1(0.3)),
        "proximal_gradient-ista": call(penalty=elastic_net(0.3, mask=None), accelerated=False),
        "iterative_hard_thresholding": call(learning_rate=0.1, k=2.0),
        "projected_gradient": call(learning_rate=0.1, projection=project_l2_ball, radius=2.0),
    },
    "schedules": {
        "constant": call(0.3),
        "piecewise": call((2.5, 6.2), (1.0, 0.5, 0.2)),
        "step": call(1.0, 3.3),
        "exponential": call(1.0, 3.3, 0.3),
        "exponential-staircase": call(1.0, 3.3, 0.3, staircase=True, end_value=0.1),
        "natural_exponential": call(1.0, 0.3),
        "natural_exponential-staircase": call(1.0, 0.3, 3.3, staircase=True),
        "inverse_time": call(1.0, 0.3),
        "inverse_time-staircase": call(1.0, 0.3, 3.3, staircase=True),
        "polynomial": call(1.0, 0.1, 2.0, 6.2),
        "polynomial-cycle": call(1.0, 0.1, 2.0, 6.2, cycle=True),
        "linear": call(1.0, 0.1, 6.2),
        "cosine": call(1.0, 6.2),
        "linear_cosine": call(1.0, 6.2),
        "noisy_linear_cosine": call(1.0, 6.2),
        "sgdr": call(1.0, 2.3),
        "triangular": call(0.1, 1.0, 2.3),
        "one_cycle": call(8.2, 1.0),
        "noam": call(16, 3.3),
        "warmup": call(2.3, cosine(1.0, 5.1)),
        "join": call((0.5, cosine(1.0, 5.1)), (2.3,)),
        "warmup_cosine": call(0.1, 1.0, 2.3, 8.2),
        "warmup_stable_decay": call(1.0, 2.3, 3.1, 3.3),
    },
    "initializers": {"constant": call(0.3), "fixup": call(16), "sparse": call(2)},
    "layers": {
        "adaptive_average_pool": call(3),
        "adaptive_max_pool": call(3),
        "locally_connected": call(2),
        "pixel_shuffle": call(1),
        "upsample-nearest": call(2, "nearest"),
        "fractional_max_pool-overlapping": call(overlapping=True, sequence="random"),
        "cnn": call([2], [3, 2], dropout=0.4),
        "cnn-normalized": call([2], [2], batch_norm=True),
        "conv": call(2),
        "conv-dilated": call(2, (2, 3), strides=(2, 1), padding="CIRCULAR", dilation=(1, 2), groups=2),
        "conv_transpose": call(2, strides=2),
        "conv_transpose-circular": call(2, padding="CIRCULAR", groups=2),
        "dense": call(2),
        "batch_norm-plain": call(use_scale=False, use_bias=False),
        "dropout-vanilla": call(mode="vanilla"),
        "bidirectional": call(rnn(2)),
        "embedding": call(5, 2),
        "unembedding": call(5),
        "mask_padding": call(serial(embedding(5, 2), rnn(2))),
        "learned_positions": call(6),
        "multi_head_attention": call(4, 2, dropout=0.4),
        "multi_head_attention-grouped": call(4, 2, kv_heads=1, causal=True, rotary_base=10.0),
        "transformer_block": call(4, 2, 3, dropout=0.4, activation="tanh"),
        "transformer_block-post": call(4, 1, 3, norm="post", causal=True, activation="tanh"),
        "gru": call(2),
        "lstm": call(2),
        "rnn": call(2),
        "rnn-last": call(2, return_sequences=False, reverse=True),
        "branch": call(dense(2), tanh, dropout(0.4)),
        "branch-sum": call(dense(3), tanh, merge="sum"),
        "parallel": call(dense(2), serial(tanh, dropout(0.4)), merge="concatenate"),
        "mixed_precision": call(serial(dense(2), batch_norm()), "float64"),
        "remat": call(serial(dense(2), dropout(0.4), batch_norm())),
        "repeat": call(serial(dense(3), dropout(0.4), batch_norm()), 2),
        "residual": call(serial(dense(2), dropout(0.4)), dense(2)),
        "residual-plain": call(dense(3)),
        "shared": call(serial(dense(2), dropout(0.4)), "name"),
        "batch_renorm": call(
            1.01, 0.01
        ),  # beyond the bounds: within, gradients are not those of the function
        "group_norm": call(2),
        "drop_connect": call(dense(2), 0.4),
        "geglu": call(2),
        "glu": call(2),
        "maxout": call(2),
        "swiglu": call(2),
        "squeeze_excite": call(2),
        "spectral_norm": call(
            dense(2), n_steps=30
        ),  # the vectors have no gradient: it is exact at the fixed point
        "weight_norm": call(dense(2)),
        "weight_standardization": call(dense(2)),
        "mlp": call([3, 2], "tanh", dropout=0.4, batch_norm=True),
        "mlp-after": call([3, 2], "tanh", dropout=0.4, batch_norm="after"),
        "serial": call(dense(3), batch_norm(), tanh, dropout(0.4)),
    },
    "penalties": {
        "l0": call(0.1),
        "l1": call(0.1),
        "l2": call(0.1),
        "l2-whole": call(0.1, samples=2.0, half=False),
        "elastic_net": call(0.1, 0.3),
        "group_lasso": call(0.1),
        "group_lasso-inputs": call(0.1, "inputs"),
        "orthogonality_penalty": call(0.1),
        "spectral_penalty": call(0.1),
    },
    "augmentations": {
        "cutmix": call(classes=3),
        "cutout": call(3),
        "color_jitter": call(0.4, 0.3, 0.2, 0.1),
        "compose": call(random_noise(0.2), random_flip(1.0), random_stretch(0.1, 0.3)),
        "mixup": call(1.0, classes=3),
        "pca_jitter": call(((0.5, 0.2, 0.3), (0.1, -0.1, 0.2), (0.1, 0.1, -0.2)), 0.3),
        "random_affine": call(20.0, shear=5.0, translation=0.7, stretch=0.2, zoom=0.1, mode="reflect"),
        "random_crop": call(padding=2),
        "random_crop-smaller": call(padding=1, size=(3, 5), mode="wrap"),
        "random_erasing": call(0.7, noise=0.3),
        "random_resized_crop-larger": call(size=(6, 7)),
        "salt_and_pepper": call(0.3, -1.0, 1.0),
    },
    "metrics": {"top_k_accuracy": call(k=1.5)},
    "early_stopping": {
        "patience": call(2.3, 0.11),
        "stop_up": call(1.2, 1.3),
        "stop_pq": call(0.7, 2.0, 1.3),
        "stop_after": call(3.3),
        "stop_at_target": call(0.7),
        "any_of": call(patience(2.3), stop_pq(0.7, 2.0)),
        "all_of": call(patience(2.3), stop_gl(3.3)),
        "smoothed": call(patience(2.3)),
        "smoothed-pair": call(stop_pq(0.7, 2.0), 0.3),
    },
    "strategies": {
        "random_search": call(6),
        "grid_search": call({"rate": 3, "depth": 2}),
        "sobol": call(6),
        "halton": call(6),
        "latin_hypercube": call(6),
        "coarse_to_fine": call(((6, 2),)),
        "bayesian": call(6, initial=6),
        "successive_halving": call(6, max_epochs=4, eta=2),
        "hyperband": call(6, eta=6),
        "asha": call(6, batch=6, max_epochs=2, eta=2),
        "median_stopping": call(6, 2, wave=6),
        "population_based_training": call(6, 2),
        "population_based_training-tournament": call(6, 2, selection="tournament"),
        "cma_es": call(6, 6),
        "cma_es-restart": call(6, 6, restart=True),
        "nsga2": call(6, 6),
    },
}
DEFAULTS = {"wrappers": call(adam(0.1))}
ROUNDING_PARAMETERS = ("master_weights", "kahan")  # their updates end at half-precision numbers
RANDOM = ("add_noise", "noisy_sgd")
OF_THE_LOSS = ("polyak_sgd", "sam", "sophia")  # they need the loss itself, as solvers do
OF_ALL_LEAVES = ("dog",)  # its first step is a share of the norm of all parameters, frozen ones included
OF_IMAGES = ("average_pool", "cnn", "conv", "group_norm", "instance_norm", "max_pool")
OF_IMAGES += (
    "adaptive_average_pool", "adaptive_max_pool", "conv_transpose", "depthwise_conv", "fractional_max_pool",
    "global_average_pool", "global_max_pool", "locally_connected", "max_unpool", "pixel_shuffle",
    "pixel_unshuffle", "upsample",
)  # fmt: skip
OF_SEVERAL = ("parallel",)
OF_SEQUENCES = (
    "bidirectional", "gru", "learned_positions", "lstm", "multi_head_attention", "rnn", "sequence_pool",
    "sinusoidal_positions", "transformer_block",
)  # fmt: skip
OF_TOKENS = ("embedding", "mask_padding")
OF_ERRORS = ("mae", "r2", "rmse")
OF_ONE_SCORE = ("f1", "precision", "recall")
OF_LABELS = ("softmax_cross_entropy", "sequence_cross_entropy")


class Subject(NamedTuple):
    """One entry of one registry, and the arguments to build it with."""

    family: str
    label: str
    factory: Callable
    arguments: Call

    def __str__(self) -> str:
        return f"{self.family}-{self.label}"

    @property
    def name(self) -> str:
        return self.label.split("-")[0]

    def build(self, **changed: Any) -> Any:
        """The record; of a plain function, the `Partial` that holds its numbers as leaves."""
        args, kwargs = self.arguments
        if self.family in FUNCTIONS:
            parameters = inspect.signature(self.factory).parameters.values()
            numbers = {p.name: p.default for p in parameters if isinstance(p.default, float)}
            return Partial(self.factory, **numbers | kwargs)
        try:
            inspect.signature(self.factory).bind(*args, **kwargs)
        except TypeError as error:
            pytest.fail(
                f"{self.name}(): {error}. Give it an example in tests/properties/registry.py: "
                f"EXAMPLES[{self.family!r}][{self.label!r}] = call(...).",
                pytrace=False,
            )
        return self.factory(*args, **kwargs | changed)

    def evaluate(self, record: Any) -> jax.Array:
        """A vector that depends on every number of the record, in the default floating dtype."""
        tree = EVALUATIONS.get(self.family, train)(self, record)
        numbers = [jnp.asarray(leaf, jnp.result_type(float)).reshape(-1) for leaf in jax.tree.leaves(tree)]
        return jnp.concatenate(numbers)


def subjects(*families: str) -> list[Subject]:
    """Every entry of the registries of some families (of all, if none is named), and its variants."""
    found = []
    for family in families or REGISTRIES:
        module, _, registry = REGISTRIES[family].rpartition(".")
        examples = EXAMPLES.get(family, {})
        for name, factory in getattr(importlib.import_module(module), registry).items():
            plain = examples.get(name, DEFAULTS.get(family, call()))
            found.append(Subject(family, name, factory, plain))
            variants = {label: of for label, of in examples.items() if label.startswith(f"{name}-")}
            found += [Subject(family, label, factory, of) for label, of in variants.items()]
    return found


def cases(*families: str) -> list[Any]:
    """The subjects as parameters of a test; variants ("name-what") belong to the full tier."""
    return [
        pytest.param(subject, marks=[pytest.mark.full] if "-" in subject.label else [])
        for subject in subjects(*families)
    ]


def types(tree: Any) -> Any:
    """The structure of a tree, and shape, dtype and (by a star) weak type of every leaf."""
    found = [
        jax.typeof(leaf).str_short() + "*" * jax.typeof(leaf).weak_type for leaf in jax.tree.leaves(tree)
    ]
    return found, jax.tree.structure(tree)  # a record among the nodes compares by identity


def plain(tree: Any) -> Any:
    """The tree with the numbers of its random keys in place of the keys, fit to be compared."""

    def data(leaf: Any) -> Any:
        is_key = jnp.issubdtype(jnp.asarray(leaf).dtype, jax.dtypes.prng_key)
        return jax.random.key_data(leaf) if is_key else leaf

    return jax.tree.map(data, tree)


# What each family does


def params(dtype: Any = float) -> dict[str, jax.Array]:
    """A small tree with a weight and a bias."""
    tree = {"kernel": [[1.5, -2.0], [0.7, 2.5]], "bias": [-1.2, 2.2]}
    return {name: jnp.asarray(leaf, jnp.result_type(dtype)) for name, leaf in tree.items()}


def loss(tree: Any) -> jax.Array:
    """A bowl of a curvature of its own in every direction, deepest at 0.3."""
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    wide = [leaf.astype(jnp.result_type(float)).reshape(-1) - 0.3 for leaf in leaves]
    return sum((jnp.sum(x * jnp.linspace(0.5, 1.5, x.size) * x) for x in wide), 0.0)


def residuals(tree: Any) -> Any:
    """The same bowl as half a sum of squares."""
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    wide = [leaf.astype(jnp.result_type(float)).reshape(-1) - 0.3 for leaf in leaves]
    return [x * jnp.sqrt(2 * jnp.linspace(0.5, 1.5, x.size)) for x in wide]


def update(subject: Subject, record: Any, grads: Any, state: Any, tree: Any = None, **extra: Any) -> Any:
    """`record.update`; who needs the loss is given one whose gradient at the tree is the given one."""
    if (subject.family == "solvers" or subject.name in OF_THE_LOSS) and tree is not None:
        extra |= loss_of(grads, tree)
    return record.update(grads, state, tree, **extra)


def step(subject: Subject, record: Any, tree: Any, state: Any) -> tuple[Any, Any]:
    """One step of training. What is no optimizer is given a step to transform, not a gradient."""
    value, grads = jax.value_and_grad(loss)(tree)
    if subject.family == "transforms":
        grads = jax.tree.map(lambda g: (-0.5 * g).astype(g.dtype), grads)
    extra = {"value": value, "grad": grads, "value_fn": loss, "residual_fn": residuals}  # optax's names
    updates, state = record.update(grads, state, tree, **extra)
    return apply_updates(tree, updates), state


def train(subject: Subject, record: Any) -> Any:
    def body(carry: tuple, _: None) -> tuple:
        return step(subject, record, *carry), None

    start = {"kernel": params()["kernel"]}
    return lax.scan(body, (start, record.init(start)), length=5)[0][0]


def aggregate(subject: Subject, aggregation: Any) -> Any:
    """Two steps on gradients of three examples."""
    tree = params()
    grads = jax.tree.map(lambda p: jnp.stack([p, 0.3 * p * p, -2 * p]), tree)
    first, state = aggregation.update(grads, aggregation.init(tree), tree)
    return first, aggregation.update(grads, state, tree)[0]


def curve(subject: Subject, schedule: Any) -> Any:
    return jax.vmap(schedule)(jnp.asarray([0.3, 1.4, 2.1, 3.6, 4.8, 7.7, 9.1]))


def draw(subject: Subject, initializer: Any) -> Any:
    return initializer(jax.random.key(0), (4, 3), jnp.result_type(float))


def inputs(subject: Subject, dtype: Any = float) -> Any:
    """A batch: an array, or a tuple of them; tokens are whole numbers, whatever the dtype."""
    if subject.name in OF_TOKENS:
        return jnp.array([[3, 0, 2, 4], [1, 1, 0, 0]], jnp.int32)
    shape = (
        (3, 4, 4, 2)
        if subject.name in OF_IMAGES
        else (2, 4, 4 if subject.name == "transformer_block" else 3)
        if subject.name in OF_SEQUENCES
        else (4, 3)
    )
    x = jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.result_type(dtype))
    return (x, x[:, ::-1]) if subject.name in OF_SEVERAL else x


def forward(subject: Subject, layer: Any) -> Any:
    x, key = inputs(subject), jax.random.key(1)
    weights, state = layer.init(key, x)
    y, after = layer.apply(weights, state, x, key=key, train=True)
    return y, after, layer.apply(weights, after, x)[0]


def examples(subject: Subject, dtype: Any = float) -> tuple[jax.Array, jax.Array]:
    """Outputs and targets for a loss or a metric."""
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(4, 2, 3) if subject.name.startswith("sequence") else (4, 3))
    labels = rng.integers(3, size=outputs.shape[:-1])
    if subject.name in OF_ONE_SCORE:
        outputs, labels = outputs[:, 0], np.array([1, 0, 1, 1])
    of_labels = subject.name in OF_LABELS or (subject.family == "metrics" and subject.name not in OF_ERRORS)
    targets = jnp.asarray(labels if of_labels else rng.uniform(size=outputs.shape))
    targets = targets.astype(int if of_labels else jnp.result_type(dtype))
    return jnp.asarray(outputs, jnp.result_type(dtype)), targets


def watch(subject: Subject, rule: Any) -> Any:
    """What a rule says of every epoch, and all that it remembers of it."""
    curves = {"valid_loss": [1.3, 0.9, 1.0, 0.8, 1.1, 1.2, 1.4], "loss": [1.2, 0.9, 0.7, 0.6, 0.5, 0.4, 0.3]}

    def epoch(state: Any, scores: Any) -> tuple[Any, Any]:
        state, improved, stop = rule.update(state, scores)
        return state, (state, improved, stop)

    scores = jax.tree.map(lambda name: jnp.asarray(curves[name]), watched(rule))
    seen = lax.scan(epoch, rule.init(), scores)[1]
    numbers = [jnp.asarray(leaf, jnp.result_type(float)) for leaf in jax.tree.leaves(seen)]
    return [jnp.where(jnp.abs(x) > 1e30, 0, x) for x in numbers]  # sums of the worst score overflow


def space() -> dict[str, Any]:
    return {"rate": log_uniform(1e-3, 1e-1), "depth": integers(1, 4)}


def ask_and_tell(subject: Subject, strategy: Any) -> Any:
    state, asked = strategy.init(jax.random.key(0), space()), []
    for i in range(2):
        configs, state = strategy.ask(state, jax.random.key(i), 3)
        state = strategy.tell(state, configs, jnp.arange(3.0))
        asked.append(configs)
    return asked


def pictures(dtype: Any = float) -> tuple[jax.Array, jax.Array]:
    """Images in color, and their labels."""
    x = np.random.default_rng(0).uniform(size=(6, 5, 6, 3))
    return jnp.asarray(x, jnp.result_type(dtype)), jnp.array([0, 2, 1, 0, 1, 2], jnp.int32)


EVALUATIONS: dict[str, Callable[[Subject, Any], Any]] = {
    "aggregations": aggregate,
    "augmentations": lambda subject, augment: augment(jax.random.key(4), *pictures()),
    "schedules": curve,
    "initializers": draw,
    "layers": forward,
    "penalties": lambda subject, penalty: penalty(params()),
    "losses": lambda subject, function: function(*examples(subject)),
    "activations": lambda subject, function: function(inputs(subject)),
    "metrics": lambda subject, function: function(*examples(subject)),
    "early_stopping": watch,
    "strategies": ask_and_tell,
}
