"""Few digits: overfitting and its remedies, and the vote of networks on bootstrap samples."""

import jax
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.studies import bagging_digits, overfit_digits


@pytest.mark.full
@pytest.mark.notes("X-13", "X-14", "X-07", "S2-59", "S2-82")
def test_a_network_that_knows_its_digits_by_heart(key):
    """The validation loss is U-shaped, and each remedy lowers the loss of the test.

    Accuracy is another matter: augmentation, dropout and averaging raise it, the others hardly do.
    """
    pytest.importorskip("sklearn")
    found = overfit_digits(key, seeds=4, epochs=160)
    at = {name: i for i, name in enumerate(found.remedies)}
    loss, accuracy = np.median(found.loss, axis=1), np.median(found.accuracy, axis=1)
    assert (found.train_accuracy[0] == 1).all()
    curves = found.curves[0]
    assert (curves.min(axis=1) < 0.8 * curves[:, -1]).all()
    assert (curves.min(axis=1) < 0.5 * curves[:, 0]).all()
    assert (loss[1:] < loss[0]).all()
    assert accuracy[at["augmentation"]] > accuracy[0] + 0.015
    assert accuracy[at["ensemble"]] > accuracy[0]
    for counts in (found.small, found.tiny):
        none, of_l2, of_l1 = np.median(counts[:3], axis=1)
        assert none < of_l2 < of_l1
    none, of_l2, of_l1 = np.median(found.norm1[:3], axis=1)
    assert of_l1 < of_l2 < none
    assert len(found.table().splitlines()) == 8
    found.plot()


@pytest.mark.full
@pytest.mark.notes("X-11", "S2-84", "S2-88", "X-16", "S4-48")
def test_the_vote_of_nine_beats_the_best_of_them(key):
    """And (1 − 1/300)³⁰⁰ of the images are unseen by each."""
    pytest.importorskip("sklearn")
    found = bagging_digits(key, seeds=5, epochs=40)
    assert found.members.shape == (5, 9)
    assert np.median(found.vote - found.members.max(axis=1)) > 0
    assert (found.vote > np.median(found.members, axis=1) + 0.01).all()
    assert np.median(found.average) > np.median(found.members.max(axis=1))
    np.testing.assert_allclose(found.missed, (1 - 1 / 300) ** 300, atol=0.02)
    assert len(found.table().splitlines()) == 7
    found.plot()


@pytest.mark.full
@pytest.mark.notes("S4-10")
def test_the_best_epoch_of_the_validation_set_is_hardly_worse_than_the_tests_own(key):
    """Another epoch would have been best for the test set in half of the cases, and by very little."""
    pytest.importorskip("sklearn")
    x, y = jn.digits()
    trainer = jn.Trainer(
        jn.mlp([64, 10]), jn.adam(0.01), jn.softmax_cross_entropy, metric=None, batch_size=50
    )

    def losses(key, data):
        of_order, of_run = jax.random.split(key)
        order = jax.random.permutation(of_order, len(y))
        train, *others = (
            tuple(part[order[a:b]] for part in data) for a, b in ((0, 300), (300, 900), (900, 1797))
        )
        state = trainer.init(of_run, train)
        return [trainer.advance(state, train, part, 40)[1]["valid_loss"] for part in others]

    program = jax.jit(jax.vmap(losses, (0, None)))
    valid, test = map(np.asarray, program(jax.random.split(key, 12), (x / 16, y)))
    chosen = test[np.arange(12), valid.argmin(axis=1)] / test.min(axis=1)
    assert np.median(chosen) < 1.02
    assert np.mean(valid.argmin(axis=1) != test.argmin(axis=1)) >= 0.4
