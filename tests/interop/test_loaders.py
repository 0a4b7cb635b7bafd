"""Loaders of torch and of grain as what `fit` trains on."""

import jax
import numpy as np
import pytest

from jaxopt_notes.layers import dense
from jaxopt_notes.losses import softmax_cross_entropy
from jaxopt_notes.optimizers import sgd
from jaxopt_notes.training import Trainer, fit

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(10, 3)).astype(np.float32), RNG.integers(2, size=10)
TRAINER = Trainer(dense(2), sgd(0.1), softmax_cross_entropy, metric=None)


def test_a_loader_of_torch_is_trained_on(key):
    """Shuffled by a generator of the epoch, so that a run can go on in the middle of one."""
    torch = pytest.importorskip("torch")
    tensors = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))

    def loader(epoch):
        order = torch.Generator().manual_seed(epoch)
        return torch.utils.data.DataLoader(tensors, batch_size=4, shuffle=True, generator=order)

    whole = fit(TRAINER, key, loader, epochs=3)
    arrays = fit(
        TRAINER, key, lambda epoch: [[np.array(a) for a in batch] for batch in loader(epoch)], epochs=3
    )
    np.testing.assert_array_equal(whole.params["kernel"], arrays.params["kernel"])
    states = []
    fit(TRAINER, key, loader, epochs=3, callback=lambda state, _: states.append(state), steps_per_call=2)
    cut = states[2]  # six steps of nine, or in the middle of the second epoch
    rest = fit(TRAINER, key, loader, epochs=3 - int(cut.epoch), state=cut)
    np.testing.assert_array_equal(rest.params["kernel"], whole.params["kernel"])


def test_an_iterator_of_grain_is_trained_on_and_goes_on(key):
    grain = pytest.importorskip("grain")
    data = grain.MapDataset.source(list(zip(X, Y, strict=True))).shuffle(seed=3).repeat().batch(4)
    whole = fit(TRAINER, key, iter(data.to_iter_dataset()), epochs=3, steps_per_epoch=3)
    iterator, saved = iter(data.to_iter_dataset()), []
    fit(
        TRAINER, key, iterator, epochs=3, steps_per_epoch=3, steps_per_call=2,
        callback=lambda state, _: saved.append((state, iterator.get_state())),
    )  # fmt: skip
    state, position = saved[2]
    other = iter(data.to_iter_dataset())
    other.set_state(position)
    rest = fit(TRAINER, key, other, epochs=3 - int(state.epoch), state=state, steps_per_epoch=3)
    np.testing.assert_array_equal(rest.params["kernel"], whole.params["kernel"])
    jax.tree.map(np.testing.assert_array_equal, rest.state.params, whole.state.params)
