"""Weights under torchvision's names in our residual networks; torchvision's modules are written out here."""

import jax
import numpy as np
import pytest

from jaxopt_notes.interop import from_torch, to_torch, torchvision_resnet_names
from jaxopt_notes.models import resnet

torch = pytest.importorskip("torch")
nn = torch.nn

X = jax.ShapeDtypeStruct((1, 64, 64, 3), "float32")


class Block(nn.Module):
    """torchvision's `BasicBlock` (two convolutions) and `Bottleneck` (three), by their attributes."""

    def __init__(self, inputs, width, stride, sizes):
        super().__init__()
        features = width if len(sizes) == 2 else 4 * width
        channels = [inputs, *[width] * (len(sizes) - 1), features]
        self.count = len(sizes)
        strided = 1 if len(sizes) == 3 else 0
        for i, size in enumerate(sizes):
            step = stride if i == strided else 1
            convolution = nn.Conv2d(channels[i], channels[i + 1], size, step, size // 2, bias=False)
            setattr(self, f"conv{i + 1}", convolution)
            setattr(self, f"bn{i + 1}", nn.BatchNorm2d(channels[i + 1]))
        self.downsample = None
        if stride != 1 or inputs != features:
            projection = nn.Conv2d(inputs, features, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(features))

    def forward(self, x):
        around = x if self.downsample is None else self.downsample(x)
        for i in range(1, self.count + 1):
            x = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))
            x = x.relu() if i < self.count else x
        return (x + around).relu()


class ResNet(nn.Module):
    def __init__(self, counts, sizes, classes=1000):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = 64
        for stage, count in enumerate(counts):
            width = 64 * 2**stage
            blocks = []
            for i in range(count):
                blocks.append(Block(inputs, width, 2 if stage and not i else 1, sizes))
                inputs = width * (4 if len(sizes) == 3 else 1)
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(x.mean((2, 3)))


def exported(model, names):
    shapes = jax.eval_shape(model.init, jax.random.key(0), X)
    hollow = jax.tree.map(lambda leaf: np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape), shapes)
    return to_torch(model, *hollow, X, names=names)


def test_names_and_shapes_of_all_122_entries():
    with torch.device("meta"):
        theirs = {
            name: tuple(tensor.shape) for name, tensor in ResNet((2, 2, 2, 2), (3, 3)).state_dict().items()
        }
    ours = exported(resnet(depth=18), torchvision_resnet_names(18))
    assert len(theirs) == 122
    assert {name: array.shape for name, array in ours.items()} == theirs


@pytest.mark.full
@pytest.mark.parametrize(
    ("depth", "counts", "sizes"), [(34, (3, 4, 6, 3), (3, 3)), (50, (3, 4, 6, 3), (1, 3, 1))]
)
def test_names_and_shapes_of_deeper_networks(depth, counts, sizes):
    """In loops over blocks, too."""
    with torch.device("meta"):
        theirs = {name: tuple(tensor.shape) for name, tensor in ResNet(counts, sizes).state_dict().items()}
    for scan in (False, True):
        ours = exported(resnet(depth=depth, scan=scan), torchvision_resnet_names(depth, scan=scan))
        assert {name: array.shape for name, array in ours.items()} == theirs


@pytest.mark.full
@pytest.mark.parametrize("train", [False, True])
def test_the_same_outputs(train):
    """Both modes, from one state dict; drawn running statistics."""
    torch.manual_seed(0)
    peer = ResNet((2, 2, 2, 2), (3, 3), 10)
    with torch.no_grad():
        for name, buffer in peer.named_buffers():
            if "running" in name:
                buffer.uniform_(0.5, 1.5)
    model, names = resnet(10, 18), torchvision_resnet_names(18)
    params, state = from_torch(model, peer.state_dict(), X, names=names)
    x = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype(np.float32)
    with torch.no_grad():
        expected = peer.train(train)(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()
    y, state = jax.jit(model.apply, static_argnames="train")(params, state, x, train=train)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    moved = to_torch(model, params, state, X, names=names)
    for name, buffer in peer.named_buffers():
        if "running" in name:
            np.testing.assert_allclose(moved[name], buffer.numpy(), rtol=1e-4, atol=1e-5, err_msg=name)
