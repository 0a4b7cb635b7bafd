"""Metrics of classification against scikit-learn: ties, absent classes, weights, samples left out; units.

All cases of a shape are one batch under `vmap`, so a case without weight in some rows is one of fewer rows.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics as sk

from jaxopt_notes import metrics as m
from jaxopt_notes.losses import weighted_mean
from jaxopt_notes.metrics import METRICS
from tests.compiled import compiled

weighted_mean = compiled(weighted_mean)

N, CLASSES, BINS = 40, 4, 4  # confidences in eighths lie on edges of bins
AVERAGED = {
    f"{name}_{average}": functools.partial(METRICS[name], average=average)
    for name in ("precision", "recall", "f1")
    for average in ("macro", "micro")
}
OF_PROBABILITIES = {
    "roc_auc": m.roc_auc,
    "average_precision": m.average_precision,
    "log_loss": m.log_loss,
    "brier_score": m.brier_score,
    "calibration_error": functools.partial(m.calibration_error, bins=BINS),
}
OF_PREDICTIONS = {"balanced_accuracy": m.balanced_accuracy, "confusion_matrix": m.confusion_matrix}


def cases(dtype):
    """Logits, probabilities that are eighths (so tied, and some 0), labels and weights, [4, N, …] each."""
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(4, N, CLASSES)).astype(dtype)
    probabilities = (rng.multinomial(8, np.full(CLASSES, 1 / CLASSES), (4, N)) / 8).astype(dtype)
    labels = rng.integers(CLASSES, size=(4, N))
    weights = rng.uniform(0.5, 2, (4, N)).astype(dtype)
    weights[0] = 1
    labels[1][labels[1] == 3] = 2  # a class that neither occurs nor is predicted
    probabilities[1, :, 2] += probabilities[1, :, 3]
    logits[1, :, 3], probabilities[1, :, 3] = -9, 0
    labels[2][labels[2] == 1] = 0  # one that does not occur, but is predicted
    weights[3, ::3] = 0
    logits[3, ::3] = probabilities[3, ::3] = np.nan
    labels[3, 1] = -1
    labels[3, 2] = CLASSES
    return logits, probabilities, labels, weights


def averages(y, predicted, w):
    out = {}
    for average in ("macro", "micro"):
        for name in ("precision", "recall", "f1"):
            score = getattr(sk, f"{name}_score")
            out[f"{name}_{average}"] = score(y, predicted, average=average, sample_weight=w, zero_division=0)
    return out


def ece(p, y, w):
    """Guo et al. 2017 with a loop over the bins."""
    confidence, right, total = p.max(1), p.argmax(1) == y, 0.0
    for b in range(BINS):
        inside = (confidence > b / BINS) & (confidence <= (b + 1) / BINS)
        if inside.any():
            part = w[inside].sum() / w.sum()
            accuracy, mean = (np.average(x[inside], weights=w[inside]) for x in (right, confidence))
            total += part * abs(accuracy - mean)
    return total


def of_probabilities(p, y, w):
    classes = [c for c in range(p.shape[1]) if (y == c).any()] if p.shape[1] > 2 else [1]
    every = list(range(p.shape[1]))
    mean = lambda score: np.mean([score(y == c, p[:, c], sample_weight=w) for c in classes])  # noqa: E731
    return {
        "roc_auc": mean(sk.roc_auc_score),
        "average_precision": mean(sk.average_precision_score),
        "log_loss": sk.log_loss(y, p, sample_weight=w, labels=every),
        "brier_score": sk.brier_score_loss(y, p, sample_weight=w, labels=every),
        "calibration_error": ece(np.float64(p), y, w),
    }


def softmax(x):
    e = np.exp(np.float64(x) - np.float64(x).max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def expected(logits, probabilities, labels, weights):
    rows = (weights > 0) & (labels >= 0) & (labels < CLASSES)
    o, p, y, w = (x[rows] for x in (logits, probabilities, labels, weights))
    predicted = p.argmax(1)
    return {
        "accuracy": sk.accuracy_score(y, predicted, sample_weight=w),
        "top_2": sk.top_k_accuracy_score(y, o, k=2, labels=range(CLASSES), sample_weight=w),
        "balanced_accuracy": np.mean(
            [np.average(predicted[y == c] == c, weights=w[y == c]) for c in range(CLASSES) if (y == c).any()]
        ),
        "confusion_matrix": sk.confusion_matrix(y, predicted, sample_weight=w, labels=range(CLASSES)),
        **averages(y, predicted, w),
        **of_probabilities(p, y, w),
        **{f"{name}_of_logits": score for name, score in of_probabilities(softmax(o), y, w).items()},
    }


@jax.jit
@jax.vmap
def found(logits, probabilities, labels, weights):
    alive = jnp.where((labels >= 0) & (labels < CLASSES), weights, 0)
    out = {
        "accuracy": weighted_mean(m.accuracy(probabilities, labels), alive),
        "top_2": weighted_mean(m.top_k_accuracy(logits, labels, 2), alive),
    }
    for name, metric in {**OF_PREDICTIONS, **AVERAGED}.items():
        out[name] = metric(probabilities, labels, weights)
    for name, metric in OF_PROBABILITIES.items():
        out[name] = metric(probabilities, labels, weights, from_logits=False)
        out[f"{name}_of_logits"] = metric(logits, labels, weights)
    return out


@pytest.mark.parametrize("dtype", [pytest.param("float32", marks=pytest.mark.full), "float64"])
def test_many_classes_as_in_scikit_learn(dtype):
    with jax.enable_x64(dtype == "float64"):
        data = cases(dtype)
        got = jax.device_get(found(*map(jnp.asarray, data)))
    tolerance = 1e-6 if dtype == "float32" else 1e-12
    for i in range(4):
        for name, value in expected(*(x[i] for x in data)).items():
            np.testing.assert_allclose(
                got[name][i], value, rtol=tolerance, atol=tolerance, err_msg=f"{name} of case {i}"
            )
        assert got["accuracy"].dtype == dtype


@jax.jit
@jax.vmap
def found_of_two(logits, probabilities, labels, weights):
    """Of one score per sample, and of the same in two columns."""
    both = jnp.stack([1 - probabilities, probabilities], 1)
    out = {}
    for name in ("precision", "recall", "f1", "balanced_accuracy", "confusion_matrix"):
        out[name] = METRICS[name](probabilities, labels, weights, threshold=0.5)
        out[f"{name}_of_logits"] = METRICS[name](logits[:, None], labels, weights)
        out[f"{name}_of_columns"] = METRICS[name](both, labels, weights)
    for name, metric in OF_PROBABILITIES.items():
        out[name] = metric(probabilities, labels.astype(logits.dtype), weights, from_logits=False)
        out[f"{name}_of_columns"] = metric(both, jax.nn.one_hot(labels, 2), weights, from_logits=False)
        out[f"{name}_of_logits"] = metric(logits, labels, weights)
        columns = jnp.stack([1 - 0.5 * logits, 1 + 0.5 * logits], 1)
        out[f"{name}_of_logit_columns"] = metric(columns, labels, weights)
    return out


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.full)])
def test_two_classes_as_in_scikit_learn(dtype):
    logits, probabilities, labels, weights = cases(dtype)
    logits, probabilities, labels = logits[..., 0], probabilities[..., 0] * 2, labels % 2
    weights[3] = np.where(np.isfinite(probabilities[3]), weights[3], 0)
    probabilities = np.where(np.isfinite(probabilities), probabilities.clip(0, 1), np.nan).astype(dtype)
    with jax.enable_x64(dtype == "float64"):
        got = jax.device_get(found_of_two(*map(jnp.asarray, (logits, probabilities, labels, weights))))
    tolerance = 1e-6 if dtype == "float32" else 1e-12
    for i in range(4):
        rows = weights[i] > 0
        y, w = labels[i][rows], weights[i][rows]
        p = np.stack([1 - probabilities[i][rows], probabilities[i][rows]], 1)
        logistic = 1 / (1 + np.exp(-np.float64(logits[i][rows])))
        of_logits = np.stack([1 - logistic, logistic], 1)
        values = of_probabilities(p, y, w)
        columns = {f"{name}_of_columns": value for name, value in values.items()}
        values |= columns | {f"{name}_of_logits": v for name, v in of_probabilities(of_logits, y, w).items()}
        values |= {f"{name}_of_logit_columns": values[f"{name}_of_logits"] for name in OF_PROBABILITIES}
        for suffix, positive in {
            "": p[:, 1] > 0.5,
            "_of_columns": p[:, 1] > 0.5,
            "_of_logits": logistic > 0.5,
        }.items():
            predicted = positive.astype(int)
            for name in ("precision", "recall", "f1", "balanced_accuracy"):
                values[name + suffix] = getattr(sk, f"{name}_score")(y, predicted, sample_weight=w)
            values["confusion_matrix" + suffix] = sk.confusion_matrix(y, predicted, sample_weight=w)
        assert set(values) == set(got)
        for name, value in values.items():
            np.testing.assert_allclose(
                got[name][i], value, rtol=tolerance, atol=tolerance, err_msg=f"{name} of case {i}"
            )


def test_the_unit_of_the_weights_and_further_axes_change_nothing():
    logits, probabilities, labels, weights = (np.asarray(x[1]) for x in cases("float32"))

    @jax.jit
    def values(logits, probabilities, labels, weights):
        every = {**AVERAGED, **OF_PROBABILITIES, **OF_PREDICTIONS}
        return {name: metric(logits, labels, weights) for name, metric in every.items()}

    expected = jax.device_get(values(logits, probabilities, labels, weights))
    for unit in (2.0**-120, 2.0**120):
        scaled = jax.device_get(values(logits, probabilities, labels, weights * np.float32(unit)))
        scaled["confusion_matrix"] = scaled["confusion_matrix"] / np.float32(unit)
        for name, value in expected.items():
            np.testing.assert_allclose(scaled[name], value, rtol=1e-6, err_msg=name)
    folded = [x.reshape(8, 5, *x.shape[1:]) for x in (logits, probabilities, labels, weights)]
    for name, value in jax.device_get(values(*folded)).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-6, err_msg=name)


def test_scores_that_saturate_as_probabilities_keep_their_order():
    far, labels = np.float32([[0, 200], [0, 210], [0, 220], [0, 230]]), np.int32([0, 0, 1, 1])
    auc, loss = jax.jit(lambda: (m.roc_auc(far, labels), m.log_loss(far, labels)))()
    assert auc == 1
    assert loss == (200 + 210) / 4


def test_what_is_not_there_is_left_out_or_not_a_number():
    @jax.jit
    def values(outputs, labels, weights):
        ranked = [metric(outputs, labels, weights) for metric in (m.roc_auc, m.average_precision)]
        rest = (
            m.balanced_accuracy,
            m.f1,
            m.precision,
            m.recall,
            m.log_loss,
            m.brier_score,
            m.calibration_error,
        )
        return ranked, [metric(outputs, labels, weights) for metric in rest]

    outputs, zeros, ones = np.float32([1, 2, -1]), np.zeros(3, np.int32), np.ones(3, np.float32)
    ranked, rest = values(outputs, zeros, ones)
    assert np.isnan(ranked).all()
    np.testing.assert_allclose(rest[:4], [1 / 3, 0, 0, 0], rtol=1e-6)
    ranked, rest = values(outputs, np.int32([1, 0, 0]), 0 * ones)
    assert np.isnan(ranked).all()
    np.testing.assert_array_equal(rest, 0)
    # A diverged model: an order of NaN is none, and NaN is no class.
    ranked, rest = values(np.float32([1, np.nan, -1]), np.int32([1, 1, 0]), ones)
    assert np.isnan(ranked).all()
    np.testing.assert_allclose(rest[:4], [0.75, 2 / 3, 1, 0.5], rtol=1e-6)
    assert np.isnan(rest[4:]).all()
    assert np.isnan(jax.jit(m.roc_auc)(np.zeros((0, 3), np.float32), np.zeros(0, np.int32)))


@pytest.mark.parametrize("name", METRICS)
def test_shapes_are_named(name):
    with pytest.raises(ValueError, match=rf"{name}\(targets\) has shape \(8, 1\), expected .*8"):
        METRICS[name](jnp.zeros((8, 3)), jnp.zeros((8, 1), jnp.int32))
    if name not in ("accuracy", "top_k_accuracy"):
        targets = jnp.zeros((8, 3) if name in ("mae", "rmse", "r2") else 8, jnp.int32)
        with pytest.raises(ValueError, match=rf"{name}\(weights\) has shape \(3,\), expected \(8,\)"):
            METRICS[name](jnp.zeros((8, 3)), targets, jnp.ones(3))


def test_choices_are_named():
    outputs, labels = jnp.zeros((8, 3)), jnp.zeros(8, int)
    with pytest.raises(ValueError, match=r"f1\(average\) is 'binary', but .* 3 classes: use average='macro'"):
        m.f1(outputs, labels)
    with pytest.raises(ValueError, match=r"recall\(average\) is 'mean'"):
        m.recall(outputs, labels, average="mean")
    with pytest.raises(ValueError, match=r"calibration_error\(bins\) is 0"):
        m.calibration_error(outputs, labels, bins=0)
    with pytest.raises(TypeError, match=r"roc_auc\(targets\) has dtype float32"):
        m.roc_auc(outputs, jnp.zeros(8))
