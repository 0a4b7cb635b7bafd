"""Linear probes: how well a linear classifier does on the features of each layer.

The network is run once, nothing of it is trained; a probe is a convex problem of its own. The layer whose
probe is best on validation data is where to cut the network for the new task.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxopt_notes.data.preprocessing import fit_standardizer
from jaxopt_notes.dtypes import Tree
from jaxopt_notes.layers.capture import capture
from jaxopt_notes.layers.dense import dense
from jaxopt_notes.layers.layer import Layer
from jaxopt_notes.losses.cross_entropy import softmax_cross_entropy
from jaxopt_notes.metrics import accuracy
from jaxopt_notes.optimizers import lbfgs
from jaxopt_notes.penalties.l2 import l2
from jaxopt_notes.record import Number, record
from jaxopt_notes.training.evaluation import count, evaluate, predict
from jaxopt_notes.training.trainer import Trainer

__all__ = ["Probe", "layer_features", "linear_probe"]


def layer_features(model: Layer, params: Tree, state: Tree, x: ArrayLike) -> dict[str, jax.Array]:
    """What every layer makes of inputs, as vectors: images and sequences are averaged over their places.

    Arguments:
        model, params, state: a trained network, run in evaluation mode.
        x: inputs [B, …].

    Returns:
        Path → [B, features], as `capture` names them.

    Example:
        >>> from jaxopt_notes.layers.serial import serial
        >>> model = serial(jnp.sin, jnp.cos)
        >>> {path: f.shape for path, f in layer_features(model, {}, (), jnp.ones((2, 8, 8, 3))).items()}
        {'layers_0': (2, 3), 'layers_1': (2, 3)}

    Source: Alain & Bengio 2017.
    """
    _, _, outputs = capture(model, params, state, x)
    return {
        path: jnp.mean(y, axis=tuple(range(1, y.ndim - 1))) if y.ndim > 2 else y.reshape(len(y), -1)
        for path, y in outputs.items()
    }


@record
class Probe:
    """A linear classifier on one layer's features: its standardizer, parameters and score.

    Example:
        >>> Probe(None, None, {"accuracy": 1.0}).score
        {'accuracy': 1.0}
    """

    standardizer: Any
    params: Tree
    score: dict[str, Any]

    def predict(self, features: jax.Array) -> jax.Array:
        """Logits [B, C] of that layer's features [B, F]."""
        classes = self.params["kernel"].shape[-1]
        return predict(dense(classes), self.params, (), self.standardizer.apply(features))


def linear_probe(
    model: Layer,
    params: Tree,
    state: Tree,
    train_data: tuple,
    valid_data: tuple,
    layers: Sequence[str] | None = None,
    *,
    strength: Number = 1e-3,
    steps: int = 100,
) -> dict[str, Probe]:
    """Fit a linear classifier to the features of every layer.

        logits = W·(h_l(x) − μ)/σ + b          min mean cross-entropy + ½λ‖W‖²

    Arguments:
        model, params, state: a pretrained network.
        train_data, valid_data: (x, y) with integer labels.
        layers: paths, as `layer_features` gives them; `None` for all.
        strength: λ ≥ 0.
        steps: of L-BFGS on all examples at once.

    Returns:
        Path → `Probe`, whose `score` has the loss and accuracy on the validation data.

    Raises:
        ValueError: a path that no layer has.

    Example:
        >>> from jaxopt_notes.layers.serial import serial
        >>> x = jnp.linspace(-3, 3, 40)[:, None]
        >>> y = (jnp.sin(2 * x[:, 0]) > 0).astype(int)
        >>> model = serial(lambda x: 2 * x, jnp.sin)
        >>> probes = linear_probe(model, {}, (), (x, y), (x, y))
        >>> {path: float(probe.score["accuracy"]) > 0.95 for path, probe in probes.items()}
        {'layers_0': False, 'layers_1': True}

    Source: Alain & Bengio 2017; Yosinski et al. 2014.
    """
    (x, y), (valid_x, valid_y) = train_data, valid_data
    extract = jax.jit(layer_features)
    features, valid_features = (extract(model, params, state, inputs) for inputs in (x, valid_x))
    unknown = [path for path in layers or () if path not in features]
    if unknown:
        raise ValueError(f"linear_probe(layers) has {unknown[0]!r}, expected some of {', '.join(features)}.")
    classes = int(max(jnp.max(y), jnp.max(valid_y))) + 1
    trainer = Trainer(
        dense(classes),
        lbfgs(),
        softmax_cross_entropy,
        l2(strength),
        metric=accuracy,
        batch_size=count((x, y)),
    )
    return {
        path: _fit(trainer, features[path], y, valid_features[path], valid_y, steps)
        for path in (features if layers is None else layers)
    }


def _fit(
    trainer: Trainer, features: jax.Array, y: ArrayLike, valid: jax.Array, valid_y: Any, steps: int
) -> Probe:
    standardizer = fit_standardizer(features)
    data = (standardizer.apply(features), jnp.asarray(y))
    state, _ = trainer.advance(trainer.init(jax.random.key(0), data), data, None, steps)
    score = evaluate(trainer, state.best_params, (), (standardizer.apply(valid), jnp.asarray(valid_y)))
    return Probe(standardizer, state.best_params, score)
