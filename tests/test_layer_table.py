"""The page of layers: its questions tell libraries apart, and docs/LAYERS.md is what they answer."""

import re
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from benchmarks import layer_facts
from benchmarks.layer_table import FACTS, PAGE, page

COMMITTED = PAGE.read_text(encoding="utf-8")
AGAIN = "docs/LAYERS.md is not what the layers do now: run python -m benchmarks.layer_table"
NAMES = {"torch": "torch", "Flax linen": "flax"}


def columns(text, names):
    """The cells of some columns, line by line."""
    lines = [re.split(r" \| ", line.strip("| ")) for line in text.splitlines() if line.startswith("|")]
    lines = [line if len(line) == len(lines[0]) else ["", *line] for line in lines]
    return [[line[lines[0].index(name)] for name in names] for line in lines]


def test_every_question_has_an_answer_of_every_library():
    head, _, *lines = columns(COMMITTED, ["what", "here", "torch", "Flax linen", "Keras"])
    assert head == ["what", "here", "torch", "Flax linen", "Keras"]
    assert [line[0] for line in lines] == [fact.question for fact in FACTS], AGAIN
    assert all(cell for line in lines for cell in line)
    assert re.search(r"Measured with torch \d\S*, Flax linen \d\S*, Keras \d\S*\.", COMMITTED)


def library(**functions):
    return SimpleNamespace(NAME="made up", **functions)


def test_orders_of_gates_and_places_of_the_reset_are_told_apart():
    """Outputs of made-up libraries, by a loop of our own."""
    rng = np.random.default_rng(0)
    kernel, recurrent, bias = (rng.normal(size=shape) for shape in ((3, 20), (5, 20), (20,)))

    def lstm(x, features):
        h = c = np.zeros((len(x), features))
        ys = []
        for t in range(x.shape[1]):
            o, f, g, i = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
            c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
            h = np.tanh(c) / (1 + np.exp(-o))
            ys.append(h)
        return np.stack(ys, 1), kernel, recurrent, [bias]

    def gru(x, features):
        h = np.zeros((len(x), features))
        (wn, wz, wr), (rn, rz, rr) = np.split(kernel[:, :15], 3, 1), np.split(recurrent[:, :15], 3, 1)
        ys = []
        for t in range(x.shape[1]):
            r, z = (1 / (1 + np.exp(-(x[:, t] @ w + h @ u))) for w, u in ((wr, rr), (wz, rz)))
            h = (1 - z) * np.tanh(x[:, t] @ wn + (r * h) @ rn) + z * h
            ys.append(h)
        return np.stack(ys, 1), kernel[:, :15], recurrent[:, :15], [np.zeros(15)]

    made = library(lstm=lstm, gru=gru)
    assert layer_facts.lstm_order(made) == "o, f, g, i"
    assert (layer_facts.lstm_biases(made), layer_facts.gru_biases(made)) == ("4", "3")
    assert layer_facts.gru_order(made) == "n, z, r"
    assert layer_facts.gru_reset(made) == "before the product"


def test_conventions_of_normalization_are_told_apart():
    def batch_norm(x, train=True):
        return x / np.sqrt(x.var(0) + 2e-4), 0.3 * x.mean(0), 0.7 + 0.3 * x.var(0)

    made = library(batch_norm=batch_norm, instance_norm=lambda x: (x, 0))
    assert layer_facts.momentum(made) == "0.7·old + 0.3·batch"
    assert layer_facts.running_variance(made) == "1/m"
    assert layer_facts.epsilon("batch_norm", (2, 1), 0)(made) == "2e-4"
    assert layer_facts.learned_scale(made) == "no"


def test_laws_and_variances_are_told_apart():
    rng = np.random.default_rng(0)
    drawn = {"uniform": rng.uniform(-0.1, 0.1, 40_000), "normal": rng.normal(0, 0.05, 40_000)}
    drawn["truncated normal"] = drawn["normal"][np.abs(drawn["normal"]) < 0.1]
    assert {name: layer_facts.law(values) for name, values in drawn.items()} == {n: n for n in drawn}
    assert layer_facts.spread(drawn["normal"], 400, 100) == "normal, variance 1/fan_in"
    assert layer_facts.spread(drawn["normal"] * 1.5, 400, 100) == "normal, variance 0.0056"


def test_padding_attention_and_the_rest_are_told_apart():
    def pooled(x):
        return np.array([[[1.0], [1.0], [1.0], [1.0]]])

    def refusing(*arguments):
        raise ValueError("no")

    made = library(
        conv_same=lambda x, kernel, stride: np.array([2.0, 3.0, 3.0]),
        conv_transpose=lambda x, kernel, stride: kernel[::-1],
        average_pool=pooled,
        flattened=lambda x: np.moveaxis(x, -1, 1).reshape(1, -1),
        gelu=lambda x: x * 0.8413447,
        attention=lambda q, k, v, seen: np.full(4, 1 / (1 + np.exp(-1.0))),
        embedding_outside=refusing,
    )
    answers = {fact.question: layer_facts.answer(fact, made) for fact in FACTS if fact.layer in (
        "transposed convolution", "average pooling", "flatten", "GELU",
    )}  # fmt: skip
    assert list(answers.values()) == [
        "3, 2, 1",
        "2, padding does not count",
        "channel by channel",
        "exact (erf)",
    ]
    assert layer_facts.same_padding(made) == "1 before, 0 after"
    assert layer_facts.attention_scale(made) == "1 for d = 4"
    assert layer_facts.answer(FACTS[-1], made) == "refused"


@pytest.mark.full
def test_the_page_is_what_the_layers_do():
    """Ours, and those of other libraries in the versions that the page was made with."""
    assert columns(COMMITTED, ["what", "here"]) == columns(page(["here"]), ["what", "here"]), AGAIN
    versions = {name: pytest.importorskip(module).__version__.split("+")[0] for name, module in NAMES.items()}
    made_with = dict(re.findall(r"(torch|Flax linen) (\d[\d.]*\d)", COMMITTED))
    if made_with != versions:
        pytest.skip(f"made with {made_with}, installed are {versions}")
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        measured = page(["torch_layers", "linen"])
    assert columns(COMMITTED, NAMES) == columns(measured, NAMES), AGAIN
