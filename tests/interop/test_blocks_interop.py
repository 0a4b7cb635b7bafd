"""Blocks that ready models are made of against torch in float64, written there from the papers' figures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_notes.models import (
    bottleneck_block,
    dense_block,
    preactivation_block,
    residual_block,
    transition,
)
from jaxopt_notes.models.resnet import projection

torch = pytest.importorskip("torch")

F = torch.nn.functional

pytestmark = pytest.mark.full


class There:
    """The parts of a block in torch, with our parameters and state of its children, by their names."""

    def __init__(self, params, state, train):
        self.params, self.state, self.train = params, state, train

    def child(self, name):
        return There(self.params.get(name, {}), self.state.get(name, {}), self.train)

    def conv(self, name, x, stride=1):
        kernel = self.params[name]["kernel"]
        return F.conv2d(x, kernel.permute(3, 2, 0, 1), stride=stride, padding=kernel.shape[0] // 2)

    def norm(self, name, x):
        """Batch normalization, which moves the statistics in place where it trains."""
        own, kept = self.params[name], self.state[name]
        return F.batch_norm(x, kept["mean"], kept["var"], own["scale"], own["bias"], self.train, 0.1, 1e-5)


def residual(there, x):
    there = there.child("layers_0").child("layer")
    y = there.norm("layers_1", there.conv("layers_0", x)).relu()
    return (x + there.norm("layers_4", there.conv("layers_3", y))).relu()


def bottleneck(there, x):
    """The stride is that of the 3×3 convolution."""
    there = there.child("layers_0")
    branch, around = there.child("layer"), there.child("shortcut")
    y = branch.norm("layers_1", branch.conv("layers_0", x)).relu()
    y = branch.norm("layers_4", branch.conv("layers_3", y, 2)).relu()
    y = branch.norm("layers_7", branch.conv("layers_6", y))
    return (around.norm("layers_1", around.conv("layers_0", x, 2)) + y).relu()


def dense_layers(there, x):
    """Each sees all before it, side by side."""
    for i in range(2):
        layer = there.child(f"layers_{i}").child("layers_1")
        y = layer.conv("layers_2", layer.norm("layers_0", x).relu())
        x = torch.cat([x, layer.conv("layers_5", layer.norm("layers_3", y).relu())], 1)
    return x


def figure_4e(there, x):
    """x + weight(ReLU(BN(weight(ReLU(BN(x))))))."""
    branch = there.child("layer")
    y = branch.conv("layers_2", branch.norm("layers_0", x).relu())
    return x + branch.conv("layers_5", branch.norm("layers_3", y).relu())


def figure_4e_widened(there, x):
    """Where the shape changes, both ways start from ReLU(BN(x)), and a projection is on one."""
    x = there.norm("layers_0", x).relu()
    branch, around = there.child("layers_2").child("layer"), there.child("layers_2").child("shortcut")
    y = branch.conv("layers_3", branch.norm("layers_1", branch.conv("layers_0", x, 2)).relu())
    return around.norm("layers_1", around.conv("layers_0", x, 2)) + y


def transition_layers(there, x):
    """Batch normalization and a convolution of size 1, then an average pooling of 2×2."""
    return F.avg_pool2d(there.conv("layers_2", there.norm("layers_0", x).relu()), 2)


BLOCKS = {
    "residual": (residual_block(3), residual),
    "bottleneck": (bottleneck_block(4, 2, projection(4, 2)), bottleneck),
    "dense": (dense_block(2, 2, 1), dense_layers),
    "preactivation": (preactivation_block(3), figure_4e),
    "preactivation, projected": (preactivation_block(4, 2, projection(4, 2)), figure_4e_widened),
    "transition": (transition(2), transition_layers),
}


@jax.jit
def ours(x, variables):
    """Of each block: output, state afterwards, gradients of Σ sin(y); and the output in evaluation."""

    def one(block, params, state):
        def loss(x, params):
            y, after = block.apply(params, state, x, train=True)
            return jnp.sum(jnp.sin(y)), (y, after)

        gradients, (y, after) = jax.grad(loss, (0, 1), has_aux=True)(x, params)
        return {"y": y, "after": after, "gradients": gradients, "evaluated": block.apply(params, state, x)[0]}

    return {name: one(block, *variables[name]) for name, (block, _) in BLOCKS.items()}


def theirs(function, x, params, state):
    def tensors(tree, requires_grad=False):
        return jax.tree.map(lambda leaf: torch.tensor(np.asarray(leaf), requires_grad=requires_grad), tree)

    first = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    leaves, after = tensors(params, True), tensors(state)
    y = function(There(leaves, after, True), first)
    y.sin().sum().backward()
    evaluated = function(There(leaves, tensors(state), False), first)
    last = lambda images: np.moveaxis(images.detach().numpy(), 1, -1)  # noqa: E731
    gradients = last(first.grad), jax.tree.map(lambda leaf: leaf.grad.numpy(), leaves)
    return {"y": last(y), "after": after, "gradients": gradients, "evaluated": last(evaluated)}


@pytest.mark.notes("S3-50", "S3-51")
def test_blocks(x64):
    """Outputs in both modes, running statistics, and the gradients by images and all parameters."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 5, 7, 3))

    def drawn(block):
        shapes = jax.eval_shape(block.init, jax.random.key(0), jnp.asarray(x))
        return jax.tree.map(lambda leaf: rng.uniform(0.5, 1.5, leaf.shape), shapes)

    variables = {name: drawn(block) for name, (block, _) in BLOCKS.items()}
    found = ours(x, variables)
    for name, (_, function) in BLOCKS.items():
        expected = theirs(function, x, *variables[name])
        same = lambda a, b, name=name: np.testing.assert_allclose(a, b, 1e-9, 1e-9, err_msg=name)  # noqa: E731
        jax.tree.map(same, found[name], expected)
