"""The contenders of `benchmarks.population` in torch: its eager loop, and an ensemble of torch.func.

Initial parameters and the order of the examples are drawn beforehand, by JAX, so that all train the same.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks.population_recipes import Recipe, members


def started(recipe: Recipe, count: int, data: tuple, steps: int) -> tuple[dict, np.ndarray]:
    """Initial parameters of all members as torch wants them, and the examples that they will see."""
    draw = jax.jit(jax.vmap(lambda key: recipe.start(key, data[0], steps)))
    params, indices = jax.tree.map(np.asarray, draw(members(count)[1]))
    found = {}
    for name, leaves in params.items():
        kernel = leaves["kernel"]
        order = (0, 2, 1) if kernel.ndim == 3 else (0, 4, 3, 1, 2)
        found[f"{name.removeprefix('layers_')}.weight"] = np.ascontiguousarray(kernel.transpose(order))
        found[f"{name.removeprefix('layers_')}.bias"] = leaves["bias"]
    return found, indices


def torch_network(recipe: Recipe) -> Any:
    from torch import nn

    if len(recipe.shape) == 1:
        return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    convs = nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()
    return nn.Sequential(*convs, flatten(), nn.Linear(64 * 32, 10))


def flatten() -> Any:
    """Flattened as JAX's images are, so that the same weights follow."""
    from torch import nn

    class Flatten(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.permute(0, 2, 3, 1).flatten(1)

    return Flatten()


def best_threads(call: Callable[[], Any]) -> int:
    """One thread or all of them, whichever torch is faster with."""
    import torch

    seconds = {}
    for threads in (1, torch.get_num_threads()):
        torch.set_num_threads(threads)
        call()
        began = time.perf_counter()
        call()
        seconds[threads] = time.perf_counter() - began
    torch.set_num_threads(max(seconds))
    return min(seconds, key=lambda threads: seconds[threads])


def with_threads(threads: int, call: Callable[[], Any]) -> Any:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return call()
    finally:
        torch.set_num_threads(before)


def torch_data(data: tuple) -> tuple:
    import torch

    x, y = (torch.from_numpy(np.array(array)) for array in data)
    return (x.permute(0, 3, 1, 2).contiguous() if x.ndim == 4 else x), y.long()


def torch_eager(recipe: Recipe, count: int, data: tuple) -> Callable:
    """torch's own loop: member by member, step by step, fused Adam."""
    import torch
    from torch.nn.functional import cross_entropy

    rates, _ = members(count)
    x, y = torch_data(data)

    def make(steps: int) -> Callable:
        params, indices = started(recipe, count, data, steps)
        batches = torch.tensor(indices).long()

        def run(member: int, steps: int = steps) -> list:
            network = torch_network(recipe)
            network.load_state_dict({name: torch.tensor(leaf[member]) for name, leaf in params.items()})
            optimizer = torch.optim.Adam(network.parameters(), lr=float(rates[member]), fused=True)
            losses = []
            for batch in batches[member][:steps]:
                optimizer.zero_grad()
                loss = cross_entropy(network(x[batch]), y[batch])
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
            return losses

        threads = best_threads(lambda: run(0, min(steps, 8)))
        return lambda: with_threads(threads, lambda: np.array([run(member) for member in range(count)]))

    return make


def torch_ensemble(recipe: Recipe, count: int, data: tuple) -> Callable:
    """torch.func: parameters stacked, gradients by `vmap(grad)`; Adam by hand, as rates differ."""
    import torch
    from torch.func import functional_call, grad_and_value, stack_module_state, vmap
    from torch.nn.functional import cross_entropy

    rates = torch.tensor(members(count)[0])
    x, y = torch_data(data)

    def make(steps: int) -> Callable:
        initial, indices = started(recipe, count, data, steps)
        batches = torch.tensor(indices).long()
        networks = [torch_network(recipe) for _ in range(2)]  # they only say what the names are
        names = list(stack_module_state(networks)[0])

        def loss(params: dict, x: Any, y: Any) -> Any:
            return cross_entropy(functional_call(networks[0], params, (x,)), y)

        gradients = vmap(grad_and_value(loss))

        def call(steps: int = steps) -> np.ndarray:
            params = {name: torch.tensor(initial[name]) for name in names}
            first = {name: torch.zeros_like(leaf) for name, leaf in params.items()}
            second = {name: torch.zeros_like(leaf) for name, leaf in params.items()}
            losses = []
            for t in range(steps):
                batch = batches[:, t]
                grads, value = gradients(params, x[batch], y[batch])
                c1, c2 = 1 - 0.9 ** (t + 1), 1 - 0.999 ** (t + 1)
                for name, g in grads.items():
                    m = first[name].lerp_(g, 0.1)
                    v = second[name].mul_(0.999).addcmul_(g, g, value=1e-3)
                    rate = (rates / c1).view(-1, *[1] * (g.ndim - 1))
                    params[name].sub_(m.mul(rate).div_(v.div(c2).sqrt_().add_(1e-8)))
                losses.append(value)
            return torch.stack(losses, 1).numpy()

        threads = best_threads(lambda: call(2))
        return lambda: with_threads(threads, call)

    return make
