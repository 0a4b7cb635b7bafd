"""Torch's layers; its images have the channels first, which is exchanged here."""

import numpy as np
import torch
from torch import nn

NAME, VERSION = "torch", torch.__version__.split("+")[0]
torch.manual_seed(0)


def _first(x):
    return torch.from_numpy(np.moveaxis(x, -1, 1).copy())


def _last(y):
    return np.moveaxis(y.detach().numpy(), 1, -1)


def conv_same(x, kernel, stride):
    layer = nn.Conv1d(1, 1, len(kernel), stride, padding="same", bias=False)
    layer.weight.data = torch.from_numpy(kernel.transpose(2, 1, 0).copy())
    return _last(layer(_first(x)))


def conv_transpose(x, kernel, stride):
    layer = nn.ConvTranspose1d(1, 1, len(kernel), stride, bias=False)
    layer.weight.data = torch.from_numpy(kernel.transpose(2, 1, 0).copy())
    return _last(layer(_first(x)))


def average_pool(x):
    return _last(nn.AvgPool1d(3, 1, padding=1)(_first(x)))


def batch_norm(x, train=True):
    layer = nn.BatchNorm1d(x.shape[-1]).train(train)
    y = layer(torch.from_numpy(x)).detach().numpy()
    return y, layer.running_mean.numpy(), layer.running_var.numpy()


def layer_norm(x):
    return nn.LayerNorm(x.shape[-1])(torch.from_numpy(x)).detach().numpy()


def rms_norm(x):
    return nn.RMSNorm(x.shape[-1])(torch.from_numpy(x)).detach().numpy()


def group_norm(x):
    return _last(nn.GroupNorm(32, x.shape[-1])(_first(x)))


def instance_norm(x):
    layer = nn.InstanceNorm1d(x.shape[-1])
    return _last(layer(_first(x))), len(list(layer.parameters()))


def _recurrent(kind, x, features):
    layer = kind(x.shape[-1], features, batch_first=True)
    y = layer(torch.from_numpy(x))[0].detach().numpy()
    weights = [getattr(layer, f"{name}_l0").detach().numpy() for name in ("weight_ih", "weight_hh")]
    biases = [getattr(layer, f"{name}_l0").detach().numpy() for name in ("bias_ih", "bias_hh")]
    return y, weights[0].T, weights[1].T, biases


def lstm(x, features):
    return _recurrent(nn.LSTM, x, features)


def gru(x, features):
    return _recurrent(nn.GRU, x, features)


def gelu(x):
    return nn.GELU()(torch.from_numpy(x)).numpy()


def attention(q, k, v, seen):
    q, k, v = (torch.from_numpy(a.swapaxes(1, 2).copy()) for a in (q, k, v))
    y = nn.functional.scaled_dot_product_attention(q, k, v, torch.from_numpy(seen))
    return y.numpy().swapaxes(1, 2)


def masked_attention(x, seen):
    """The module, whose masks say what is not seen."""
    layer = nn.MultiheadAttention(x.shape[-1], 1, batch_first=True)
    x = torch.from_numpy(x)
    return layer(x, x, x, key_padding_mask=torch.from_numpy(~seen))[0].detach().numpy()


def dense_init(inputs, outputs):
    layer = nn.Linear(inputs, outputs)
    return layer.weight.detach().numpy().T, layer.bias.detach().numpy()


def conv_init(inputs, outputs):
    layer = nn.Conv2d(inputs, outputs, 3)
    return layer.weight.detach().numpy().transpose(2, 3, 1, 0), layer.bias.detach().numpy()


def embedding_init(vocabulary, features):
    return nn.Embedding(vocabulary, features).weight.detach().numpy()


def embedding_outside():
    layer = nn.Embedding(3, 2)
    return layer(torch.tensor([[7]])).detach().numpy(), layer.weight.detach().numpy()


def prelu_slopes(channels):
    return nn.PReLU().weight.detach().numpy()


def flattened(x):
    return nn.Flatten()(_first(x)).numpy()
