"""Linear probes beside scikit-learn's logistic regression on the same features."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from jaxopt_notes.layers import conv, flatten, serial
from jaxopt_notes.transfer import layer_features, linear_probe


@pytest.mark.full
@pytest.mark.notes("S1-79")
def test_probes_of_two_layers():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4, 4, 2)).astype(np.float32)
    y = (3 * x.std(axis=(1, 2, 3)) + rng.normal(size=60) * 0.2 > 3).astype(int) + (x.mean((1, 2, 3)) > 0)
    model = serial(conv(3), lambda h: h**2, flatten())
    params, state = model.init(jax.random.key(0), x)
    features = layer_features(model, params, state, x)
    assert {path: f.shape for path, f in features.items()} == {
        "layers_0": (60, 3), "layers_1": (60, 3), "layers_2": (60, 48),
    }  # fmt: skip
    probes = linear_probe(
        model, params, state, (x[:40], y[:40]), (x[40:], y[40:]), ["layers_0", "layers_1"], strength=0.1
    )
    for path, probe in probes.items():
        h = np.asarray(features[path], float)
        scaler = StandardScaler().fit(h[:40])
        peer = LogisticRegression(C=1 / (0.1 * 40), tol=1e-8, max_iter=1000).fit(
            scaler.transform(h[:40]), y[:40]
        )
        expected = peer.predict_proba(scaler.transform(h[40:]))
        found = scipy.special.softmax(np.asarray(probe.predict(features[path][40:]), float), axis=1)
        np.testing.assert_allclose(found, expected, atol=2e-3)
        np.testing.assert_allclose(probe.score["accuracy"], (found.argmax(axis=1) == y[40:]).mean())
    with pytest.raises(ValueError, match="'layers_9', expected some of layers_0"):
        linear_probe(model, params, state, (x, y), (x, y), ["layers_9"])
    assert jnp.isfinite(probes["layers_1"].score["loss"])
