"""Counts and norms of parameters, against NumPy."""

import itertools

import numpy as np
import pytest

from jaxopt_notes.diagnostics import count_params, layer_norms, parameter_report

SIZES = [1, 16, 16, 16, 1]


def network(scale=1.0):
    rng = np.random.default_rng(0)
    return {
        f"layers_{i}": {
            "kernel": (scale * rng.normal(size=shape)).astype(np.float32),
            "bias": np.zeros(shape[1], np.float32),
        }
        for i, shape in enumerate(itertools.pairwise(SIZES))
    }


@pytest.mark.notes("S2-71", "S2-72", "S2-74", "S2-75")
def test_the_network_of_the_notes():
    params = network()
    params["layers_1"]["kernel"][:10] = 0.003
    params["layers_2"]["kernel"][0] = 0
    assert (count_params(params, "weights_only"), count_params(params)) == (544, 593)
    report = parameter_report(params)
    kernels = [params[f"layers_{i}"]["kernel"] for i in range(4)]
    flat = np.concatenate([w.ravel() for w in kernels])
    total = report["total"]
    assert total["small"] == {0.01: (np.abs(flat) <= 0.01).sum(), 0.0001: (np.abs(flat) <= 1e-4).sum()}
    assert (total["size"], total["zeros"]) == (544, 16)
    np.testing.assert_allclose(
        [total["l1"], total["frobenius"]], [np.abs(flat).sum(), np.linalg.norm(flat)], 1e-5
    )
    for i, w in enumerate(kernels):
        entry = report[f"layers_{i}/kernel"]
        found = [entry[name] for name in ("l1", "frobenius", "spectral")]
        expected = [np.abs(w).sum(), np.linalg.norm(w), np.linalg.svd(w)[1][0]]
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        assert entry["l1"] <= w.size**0.5 * entry["frobenius"] * (1 + 1e-6)
    assert 97.74 > 256**0.5 * 5.51  # of the notes' table: so its "Norm 2" is no norm of Frobenius


def test_masks_and_errors():
    params = network()
    assert list(layer_norms(params, "l1", lambda p: {k: {"kernel": False, "bias": True} for k in p})) == [
        f"layers_{i}/bias" for i in range(4)
    ]
    with pytest.raises(ValueError, match=r"layer_norms\(order\) is 'fro', expected one of"):
        layer_norms(params, "fro")
