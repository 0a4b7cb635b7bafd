"""How layers of the same name differ between libraries, each difference measured by running them.

A fact is a question to a library (a module of `benchmarks.layer_peers`): it runs a layer with default
arguments on an input chosen so that the answer can be read from the output, and puts it in words. Nothing is
taken from documentation or signatures.
"""

import itertools
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import numpy as np

REFUSED = "refused"


class Fact(NamedTuple):
    """A line of the table: the layer, what is asked, and how a library is asked."""

    layer: str
    question: str
    ask: Callable[[ModuleType], str]


def answer(fact: Fact, library: ModuleType) -> str:
    """What a library does; that it refuses is an answer too."""
    try:
        return fact.ask(library)
    except (ValueError, IndexError, RuntimeError, TypeError):
        return REFUSED


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


# Convolution and pooling


def same_padding(library: ModuleType) -> str:
    """The ones that the first and the last window see, of six."""
    y = library.conv_same(np.ones((1, 6, 1), np.float32), np.ones((3, 1, 1), np.float32), 2).ravel()
    return f"{3 - y[0]:g} before, {3 - y[-1]:g} after"


def painted(library: ModuleType) -> str:
    kernel = np.array([1, 2, 3], np.float32).reshape(3, 1, 1)
    y = library.conv_transpose(np.ones((1, 1, 1), np.float32), kernel, 1).ravel()
    return ", ".join(f"{value:g}" for value in y)


def pooled_border(library: ModuleType) -> str:
    y = library.average_pool(np.ones((1, 4, 1), np.float32)).ravel()
    return "3, padding counts" if y[0] < 0.9 else "2, padding does not count"


def flattening(library: ModuleType) -> str:
    """A pixel's channels are 0 and 1."""
    y = library.flattened(np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)).ravel()
    return "pixel by pixel" if y[1] == 1 else "channel by channel"


# Normalization


def momentum(library: ModuleType) -> str:
    _, mean, _ = library.batch_norm(column(0, 2))
    return f"{1 - float(mean[0]):.4g}·old + {float(mean[0]):.4g}·batch"


def running_variance(library: ModuleType) -> str:
    """From 1, by a batch whose variance is 4, or 8 with 1/(m − 1)."""
    _, mean, var = library.batch_norm(column(0, 4))
    weight = float(mean[0]) / 2
    batch = (float(var[0]) - (1 - weight)) / weight
    return "1/(m − 1)" if abs(batch - 8) < 0.1 else "1/m" if abs(batch - 4) < 0.1 else f"{batch:.3g}"


def single_value(library: ModuleType) -> str:
    return f"gives {float(library.batch_norm(column(3))[0][0, 0]):g}"


def epsilon(of: str, shape: tuple[int, ...], axis: int) -> Callable[[ModuleType], str]:
    """From ±a, which becomes ±a/√(a² + ε)."""

    def ask(library: ModuleType) -> str:
        a = 1e-3
        signs = np.where(np.arange(shape[axis]) % 2, -1, 1).astype(np.float32)
        x = a * np.broadcast_to(signs.reshape([-1 if i == axis else 1 for i in range(len(shape))]), shape)
        y = getattr(library, of)(x.astype(np.float32))
        y = y[0] if isinstance(y, tuple) else y
        mantissa, exponent = f"{a * a * (1 / float(np.abs(y).max()) ** 2 - 1):.1e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"

    return ask


def far_from_zero(library: ModuleType) -> str:
    y = library.layer_norm(np.array([[9999.0, 10001.0]], np.float32))
    return f"{float(y[0, 1]):.4g}"


def learned_scale(library: ModuleType) -> str:
    _, count = library.instance_norm(np.ones((1, 4, 2), np.float32))
    return "yes" if count else "no"


# Recurrent layers, written out in float64


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def lstm_outputs(x: np.ndarray, z: Callable, order: str, features: int) -> np.ndarray:
    h = c = np.zeros((len(x), features))
    ys = []
    for t in range(x.shape[1]):
        parts = dict(zip(order, np.split(z(x[:, t], h), 4, axis=1), strict=True))
        c = sigmoid(parts["f"]) * c + sigmoid(parts["i"]) * np.tanh(parts["g"])
        h = sigmoid(parts["o"]) * np.tanh(c)
        ys.append(h)
    return np.stack(ys, axis=1)


def lstm_order(library: ModuleType) -> str:
    """Which of all orders of the gates in the kernels explains the outputs."""
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    y, kernel, recurrent, biases = library.lstm(x, 5)

    def z(x: np.ndarray, h: np.ndarray) -> np.ndarray:
        return x @ kernel + h @ recurrent + sum(biases)

    found = [
        "".join(order)
        for order in itertools.permutations("ifgo")
        if np.allclose(lstm_outputs(x, z, "".join(order), 5), y, atol=1e-5)
    ]
    separate = getattr(library, "SEPARATE_GATES", False)
    return "a kernel for each" if separate and found else ", ".join(found[0]) if found else "none fits"


def lstm_biases(library: ModuleType) -> str:
    *_, biases = library.lstm(np.ones((1, 2, 3), np.float32), 5)
    return f"{sum(bias.size for bias in biases) // 5}"


def forget_gate(library: ModuleType) -> str:
    """The mean bias of the gate that is second in all libraries."""
    *_, biases = library.lstm(np.ones((1, 2, 3), np.float32), 64)
    return f"{float(np.mean(sum(biases)[64:128])):.1f}".replace("-0.0", "0.0")


def recurrent_start(library: ModuleType) -> str:
    recurrent = np.asarray(library.lstm(np.ones((1, 2, 3), np.float32), 64)[2], np.float64)
    gates = np.split(recurrent, 4, axis=1)
    if all(np.allclose(gate @ gate.T, np.eye(64), atol=1e-4) for gate in gates):
        return "orthogonal, gate by gate"
    if np.allclose(recurrent @ recurrent.T, np.eye(64), atol=1e-4):
        return "orthogonal as [H, 4H]"
    return f"{law(recurrent)}, ±{abs(recurrent).max() * 8:.1f}/√H"


def gru_outputs(x: np.ndarray, parameters: tuple, order: str, after: bool) -> np.ndarray:
    kernel, recurrent, first, second = parameters
    features = len(recurrent)
    place = {gate: slice(i * features, (i + 1) * features) for i, gate in enumerate(order)}
    h = np.zeros((len(x), features))
    ys = []
    for t in range(x.shape[1]):
        z, a = x[:, t] @ kernel + first, h @ recurrent + second
        r, u = (sigmoid(z[:, place[gate]] + a[:, place[gate]]) for gate in "rz")
        n = place["n"]
        hidden = r * a[:, n] if after else (r * h) @ recurrent[:, n] + second[n]
        h = (1 - u) * np.tanh(z[:, n] + hidden) + u * h
        ys.append(h)
    return np.stack(ys, axis=1)


def gru_form(library: ModuleType) -> tuple[str, bool] | None:
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    y, kernel, recurrent, biases = library.gru(x, 5)
    second = np.zeros(15)
    for bias in biases[1:]:
        second[15 - len(bias) :] = bias
    parameters = kernel, recurrent, biases[0], second
    for order in itertools.permutations("rzn"):
        for after in (True, False):
            if np.allclose(gru_outputs(x, parameters, "".join(order), after), y, atol=1e-5):
                return "".join(order), after
    return None


def gru_order(library: ModuleType) -> str:
    found = gru_form(library)
    if found and getattr(library, "SEPARATE_GATES", False):
        return "a kernel for each"
    return ", ".join(found[0]) if found else "none fits"


def gru_reset(library: ModuleType) -> str:
    found = gru_form(library)
    return "none fits" if found is None else "after the product" if found[1] else "before the product"


def gru_biases(library: ModuleType) -> str:
    *_, biases = library.gru(np.ones((1, 2, 3), np.float32), 5)
    return f"{sum(bias.size for bias in biases) // 5}"


# Activations and attention


def gelu_form(library: ModuleType) -> str:
    y = float(library.gelu(np.ones(1, np.float32))[0])
    forms = {"exact (erf)": 0.8413447461, "tanh": 0.8411919906}
    return next((name for name, value in forms.items() if abs(y - value) < 2e-5), f"{y:.6f}")


def prelu_start(library: ModuleType) -> str:
    slopes = library.prelu_slopes(3)
    return f"{'one' if slopes.size == 1 else 'one for each channel'}, from {float(slopes.ravel()[0]):g}"


def attention_scale(library: ModuleType) -> str:
    """From the weight of one of two keys, whose scores differ by 1."""
    q, k, v = (np.zeros((1, n, 1, 4), np.float32) for n in (1, 2, 2))
    q[..., 0] = k[0, 1, :, 0] = v[0, 1] = 1
    weight = float(library.attention(q, k, v, np.ones((1, 1, 1, 2), bool)).ravel()[0])
    scale = np.log(weight / (1 - weight))
    return "1/√d" if abs(scale - 0.5) < 1e-4 else f"{scale:.3g} for d = 4"


def sees_nothing(library: ModuleType) -> str:
    q, k, v = (np.ones((1, n, 1, 4), np.float32) for n in (1, 2, 2))
    v[0, 1] = 3
    y = library.attention(q, k, v, np.zeros((1, 1, 1, 2), bool)).ravel()
    return {1.0: "the first value", 2.0: "the mean of all values", 0.0: "0"}.get(
        float(y[0]), f"{y[0]:g}".upper()
    )


def module_sees_nothing(library: ModuleType) -> str:
    y = library.masked_attention(np.ones((1, 3, 4), np.float32), np.zeros((1, 3), bool))
    return "NaN" if np.isnan(y).all() else "a finite value"


# First values, and tokens that are not there


def law(values: np.ndarray) -> str:
    """By the fourth moment: 1.8 if uniform, 2.37 if cut at two deviations, 3 if normal."""
    values = np.asarray(values, np.float64).ravel()
    kurtosis = np.mean((values - values.mean()) ** 4) / np.var(values) ** 2
    laws = {"uniform": 1.8, "truncated normal": 2.37, "normal": 3.0}
    return min(laws, key=lambda name: abs(laws[name] - kurtosis))


def spread(kernel: np.ndarray, inputs: int, outputs: int) -> str:
    variance = float(np.var(np.asarray(kernel, np.float64)))
    forms = {
        "1/fan_in": 1 / inputs, "1/(3·fan_in)": 1 / (3 * inputs), "2/fan_in": 2 / inputs,
        "2/(fan_in + fan_out)": 2 / (inputs + outputs),
    }  # fmt: skip
    name = min(forms, key=lambda form: abs(np.log(forms[form] / variance)))
    return f"{law(kernel)}, variance {name if abs(forms[name] / variance - 1) < 0.05 else f'{variance:.2g}'}"


def dense_start(library: ModuleType) -> str:
    return spread(library.dense_init(400, 100)[0], 400, 100)


def conv_start(library: ModuleType) -> str:
    return spread(library.conv_init(40, 10)[0], 9 * 40, 9 * 10)


def bias_start(library: ModuleType) -> str:
    bias = np.asarray(library.dense_init(400, 2000)[1])
    return f"{law(bias)}, ±{np.abs(bias).max() * 20:.1f}/√fan_in" if bias.any() else "0"


def embedding_start(library: ModuleType) -> str:
    table = np.asarray(library.embedding_init(1000, 64), np.float64)
    deviation = f"{table.std():.2g}"
    return f"{law(table)}, σ {'1/√D' if abs(table.std() * 8 - 1) < 0.03 else deviation}"


def outside(library: ModuleType) -> str:
    y, table = library.embedding_outside()
    if np.isnan(y).all():
        return "NaN"
    return "the last token's" if np.allclose(y.ravel(), table[-1]) else f"{y.ravel()[0]:g}"


FACTS = (
    Fact("convolution", '"SAME" of 6 pixels, window 3, stride 2, pads', same_padding),
    Fact("convolution", "kernel begins", conv_start),
    Fact("transposed convolution", "of 1 by the kernel 1, 2, 3 is", painted),
    Fact("average pooling", "of 3 at a padded border divides by", pooled_border),
    Fact("flatten", "an image goes", flattening),
    Fact("batch norm", "running mean", momentum),
    Fact("batch norm", "running variance of m values", running_variance),
    Fact("batch norm", "ε", epsilon("batch_norm", (2, 1), 0)),
    Fact("batch norm", "of one value in training", single_value),
    Fact("layer norm", "ε", epsilon("layer_norm", (1, 2), 1)),
    Fact("layer norm", "of 9999 and 10001, second output (1 is right)", far_from_zero),
    Fact("RMS norm", "ε", epsilon("rms_norm", (1, 2), 1)),
    Fact("group norm", "ε", epsilon("group_norm", (1, 4, 32), 1)),
    Fact("instance norm", "ε", epsilon("instance_norm", (1, 4, 1), 1)),
    Fact("instance norm", "learns scale and bias", learned_scale),
    Fact("dense", "kernel begins", dense_start),
    Fact("dense", "bias begins", bias_start),
    Fact("LSTM", "order of gates", lstm_order),
    Fact("LSTM", "biases of a unit", lstm_biases),
    Fact("LSTM", "bias of the forget gate begins at a mean of", forget_gate),
    Fact("LSTM", "recurrent kernel begins", recurrent_start),
    Fact("GRU", "order of gates (z keeps the state)", gru_order),
    Fact("GRU", "reset gate acts", gru_reset),
    Fact("GRU", "biases of a unit", gru_biases),
    Fact("GELU", "form", gelu_form),
    Fact("PReLU", "slopes", prelu_start),
    Fact("attention", "scale of scores", attention_scale),
    Fact("attention", "of a query that sees nothing is", sees_nothing),
    Fact("attention", "the module, all of whose steps are masked, gives", module_sees_nothing),
    Fact("embedding", "begins", embedding_start),
    Fact("embedding", "of a token outside the vocabulary", outside),
)
