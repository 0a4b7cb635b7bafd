"""Small surfaces: the race of the notes, rates against curvature, valleys, saddles, inputs of one sign."""

import jax
import numpy as np
import pytest

from jaxopt_notes import studies
from jaxopt_notes.problems import double_well, quadratic

contour_race, conditioning, rate_regimes = studies.contour_race, studies.conditioning, studies.rate_regimes


@pytest.mark.full
@pytest.mark.notes("S2-53", "S2-54", "S2-90")
def test_the_race_on_contours():
    """Heights after 20 steps, path lengths and changes of sign, as worked out in float64."""
    found = contour_race()
    at = found.runners.index
    expected = {"sgd": (0.060194, 34.2, 20), "momentum": (0.846898, 12.26, 3), "adam": (0.326302, 9.269, 2)}
    for name, (height, length, flips) in expected.items():
        assert found.heights[at(name), -1] == pytest.approx(height, rel=1e-4)
        assert found.lengths[at(name)] == pytest.approx(length, rel=2e-3)
        assert found.flips[at(name)] == flips
    assert found.runners[np.argmin(found.heights[:, -1])] == "rmsprop"
    assert len(found.plot().axes) == 8
    assert "sign_changes_of_y" in found.table()


@pytest.mark.notes("S3-03", "S3-10", "S3-11", "S3-12")
def test_a_rate_below_two_over_the_curvature():
    """Monotone to 1/L, swinging to 2/L, for ever there, away beyond; at 2/(L + μ) by ((κ − 1)/(κ + 1))²."""
    found = rate_regimes()
    steep = found.points[..., 1]
    monotone = np.all(np.diff(np.abs(steep), axis=1) <= 0, axis=1)
    assert monotone.tolist() == [True] * 6 + [False]
    swings = [row["swings"] for row in found.rows()]
    assert swings[:2] == [0, 0]
    assert swings[3:] == [60] * 4
    expected = [0.99**2, 0.95**2, 0.9**2, (9 / 11) ** 2, 0.95**2, 1.0, 1.1**2]
    np.testing.assert_allclose(found.predicted, expected, rtol=1e-6)
    np.testing.assert_allclose(found.factors, found.predicted, rtol=1e-3)
    assert np.argmin(found.losses[:, -1]) == 3
    found.plot()


@pytest.mark.notes("S1-58")
def test_steps_in_a_valley():
    """In proportion to κ, with a heavy ball to its root; nearly all of the way is across."""
    found = conditioning(steps=600)
    known = found.kappas[:4]
    exact = np.ceil(4 * np.log(10) / np.log((known + 1) / (known - 1)))
    np.testing.assert_allclose(found.plain[:4], exact, atol=1)
    assert (found.plain[4:] == 600).all()
    growth = np.diff(np.log(found.heavy)) / np.diff(np.log(found.kappas))
    np.testing.assert_allclose(growth[2:], 0.5, atol=0.1)
    np.testing.assert_allclose(found.sideways, known_sideways(found.kappas), rtol=0.02)
    found.plot()


def known_sideways(kappas):
    """Both shrink by r = (κ − 1)/(κ + 1), one with changing sign: it moves (1 + r)/(1 − r) = κ farther."""
    return kappas / (1 + kappas)


@pytest.mark.notes("S1-59", "S3-15", "S1-61")
def test_noise_frees_from_a_saddle(key):
    """Without it the saddle is the end; with it half of the runs go left."""
    found = studies.saddle_escape(key)
    stuck, noisy, heavy = np.median(found.escaped, axis=1)
    assert (found.escaped[0] == 151).all()
    np.testing.assert_allclose(found.losses[0], 0, atol=1e-10)
    assert heavy < noisy < 100 < stuck
    np.testing.assert_allclose(np.median(found.losses[1:], axis=1), -0.25, atol=0.01)
    assert 0.1 < np.mean(found.points[1, :, -1, 1] < 0) < 0.9
    found.plot()


@pytest.mark.notes("S1-60")
def test_minima_are_rare_in_many_dimensions(key):
    """P of all eigenvalues positive is ½, (2 − √2)/4, (π − 2√2)/(4π) for n = 1, 2, 3."""
    found = studies.random_hessian(key, matrices=10_000, largest=6)
    exact = np.array([0.5, (2 - np.sqrt(2)) / 4, (np.pi - 2 * np.sqrt(2)) / (4 * np.pi)])
    error = 4 * np.sqrt(exact * (1 - exact) / 10_000)
    assert (np.abs(found.minimum[:3] - exact) < error).all()
    assert found.minimum[-1] < 1e-3
    assert found.saddle[-1] > 0.998
    assert np.abs(found.spectrum).max() < 2.5
    found.plot()


@pytest.mark.notes("S1-04")
def test_positive_inputs_make_a_detour(key):
    """All gradients of single examples in two quadrants, where centred inputs have half of them there."""
    found = studies.zigzag(key, steps=600)
    np.testing.assert_array_equal(found.same_sign[0], 1)
    assert abs(np.median(found.same_sign[1]) - 0.5) < 0.05
    positive, centred = np.median(found.detour, axis=1)
    assert positive > 1.5 * centred > 1.5
    assert np.median(found.steps[0]) > 2 * np.median(found.steps[1])
    found.plot()


@pytest.mark.notes("S3-05")
def test_convex_is_below_the_chord_at_its_middle():
    """f((x + y)/2) ≤ (f(x) + f(y))/2; the notes leave out the first half, which x² fails at x = y = 1."""
    x, y = np.random.default_rng(0).normal(size=(2, 200, 1))
    problems = {"quadratic": quadratic([2.0]), "double well": double_well()}
    convex = {}
    for name, problem in problems.items():
        at, of_x, of_y = (np.asarray(jax.vmap(problem)(p)).ravel() for p in ((x + y) / 2, x, y))
        convex[name] = bool((at <= (of_x + of_y) / 2 + 1e-6).all())
    assert convex == {"quadratic": True, "double well": False}
    one = np.ones(1, np.float32)
    assert float(problems["quadratic"](2 * one)) > float(problems["quadratic"](one))


def test_wrong_sizes():
    with pytest.raises(ValueError, match=r"contour_race\(steps\) is 0, expected"):
        contour_race(steps=0)
    with pytest.raises(ValueError, match=r"zigzag\(seeds\) is 0, expected"):
        studies.zigzag(jax.random.key(0), seeds=0)
