"""Ready models: published numbers of parameters, shapes, and what each is made for."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_notes as jn
from jaxopt_notes.models.resnet import every_second_pixel

full = pytest.mark.full
IMAGENET = (1, 224, 224, 3)


def count(model, shape, dtype=jnp.float32, key=None):
    """Parameters, counted without making any."""
    params, _ = jax.eval_shape(model.init, jax.random.key(0), jax.ShapeDtypeStruct(shape, dtype))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


# The numbers that torchvision's documentation gives; GPT-2's and LeNet-5's from their sizes, layer by layer.
PUBLISHED = [
    (lambda: jn.lenet(), (1, 28, 28, 1), 61_706),
    (lambda: jn.resnet(depth=18), IMAGENET, 11_689_512),
    pytest.param(lambda: jn.resnet(depth=34, scan=True), IMAGENET, 21_797_672, marks=full),
    (lambda: jn.resnet(depth=50), IMAGENET, 25_557_032),
    pytest.param(lambda: jn.resnet(depth=101), IMAGENET, 44_549_160, marks=full),
    pytest.param(lambda: jn.resnet(depth=152), IMAGENET, 60_192_808, marks=full),
    pytest.param(lambda: jn.vgg(depth=11), IMAGENET, 132_863_336, marks=full),
    pytest.param(lambda: jn.vgg(depth=16), IMAGENET, 138_357_544, marks=full),
    pytest.param(lambda: jn.vgg(depth=19), IMAGENET, 143_667_240, marks=full),
    pytest.param(lambda: jn.densenet(), IMAGENET, 7_978_856, marks=full),
    pytest.param(lambda: jn.densenet(depth=169), IMAGENET, 14_149_480, marks=full),
    pytest.param(lambda: jn.densenet(depth=201), IMAGENET, 20_013_928, marks=full),
    (lambda: jn.cifar_resnet(), (1, 32, 32, 3), 269_722),
    (lambda: jn.cifar_resnet(depth=110, scan=True), (1, 32, 32, 3), 1_727_962),
]


@pytest.mark.notes("S3-50", "S3-51")
@pytest.mark.parametrize(("make", "shape", "expected"), PUBLISHED)
def test_numbers_of_parameters_are_the_published_ones(make, shape, expected):
    assert count(make(), shape) == expected


def test_gpt2_has_its_number_of_parameters():
    model = jn.transformer_language_model(50_257, 768, 12, 12)
    assert count(model, (1, 8), jnp.int32) == 124_439_808


def cross_entropy(logits, labels):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], -1))


def losses(model, x, labels, steps, rate, key=None, loss=cross_entropy):
    """Of gradient descent on one batch, as one program."""

    @jax.jit
    def run(key):
        params, state = model.init(key, x)

        def step(carry, i):
            params, state = carry

            def objective(params):
                y, after = model.apply(params, state, x, key=jax.random.fold_in(key, i), train=True)
                return loss(y, labels), after

            (value, after), grads = jax.value_and_grad(objective, has_aux=True)(params)
            return (jax.tree.map(lambda p, g: p - rate * g, params, grads), after), value

        return jax.lax.scan(step, (params, state), jnp.arange(steps))[1]

    return run(jax.random.key(0))


def outputs(model, *inputs):
    """Of the same new weights."""

    @jax.jit
    def run(inputs):
        params, state = model.init(jax.random.key(1), inputs[0])
        return [model.apply(params, state, x)[0] for x in inputs]

    return run(inputs)


@pytest.mark.full
@pytest.mark.parametrize("bidirectional", [False, pytest.param(True, marks=full)])
def test_lstm_classifier_remembers_the_first_token(bidirectional):
    """Across eight others and padding; and padding changes nothing."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(3, 9, size=(16, 12))
    tokens[:, 0] = np.arange(16) % 2 + 1
    tokens[::3, 9:] = 0
    model = jn.lstm_classifier(2, 8, vocabulary=9, bidirectional=bidirectional, depth=2, forget_bias=3.0)
    path = losses(model, jnp.asarray(tokens), jnp.arange(16) % 2, 150, 1.0)
    assert path[-1] < 0.05 < 0.5 < path[0]
    longer, shorter = outputs(model, jnp.asarray(tokens[:1]), jnp.asarray(tokens[:1, :9]))
    np.testing.assert_allclose(longer, shorter, rtol=1e-5)


def test_a_language_model_cannot_look_ahead():
    tokens = np.array([[1, 2, 3, 4], [1, 2, 0, 4]])
    (logits,) = outputs(jn.transformer_language_model(5, 4, 1, 1, positions="rotary"), tokens)
    differs = np.abs(np.subtract(*np.asarray(logits))).max(1) > 1e-6
    assert differs.tolist() == [False, False, True, True]


def test_every_second_pixel_is_that_of_a_stride():
    x = np.arange(20).reshape(1, 5, 4, 1)
    y = np.asarray(jax.jit(every_second_pixel)(x))
    np.testing.assert_array_equal(y[0, ..., 0], [[0, 2], [8, 10], [16, 18]])
    assert not y[..., 1:].any()


@pytest.mark.full
def test_language_model_learns_to_repeat_and_cannot_look_ahead():
    """The second half of a sequence repeats the first: attention has to find the place."""
    rng = np.random.default_rng(0)
    half = rng.integers(0, 5, size=(8, 4))
    tokens = jnp.asarray(np.concatenate([half, half], 1))
    model = jn.transformer_language_model(
        5, 16, 2, 2, positions="rotary", kernel_init=jn.initializers.normal(0.2)
    )

    def loss(logits, tokens):
        return cross_entropy(logits[:, 3:-1], tokens[:, 4:])

    path = losses(model, tokens, tokens, 150, 0.3, loss=loss)
    assert path[-1] < 0.1 < 1 < path[0]
    before, after = outputs(model, tokens, tokens.at[:, 5].set((tokens[:, 5] + 1) % 5))
    differs = np.abs(after - before).max((0, 2)) > 1e-6
    assert differs.tolist() == [False] * 5 + [True] * 3


def test_language_models_of_all_kinds_have_the_right_parts(key):
    tokens = jnp.zeros((1, 4), jnp.int32)
    plain = jn.transformer_language_model(7, 8, 2, 3, length=6)
    params, _ = jax.eval_shape(plain.init, key, tokens)
    assert params["tokens"]["embedding"].shape == (7, 8)
    assert params["layers_1"]["embedding"].shape == (6, 8)
    assert params["layers_2"]["layer"]["layers_0"]["layer"]["layers_1"]["query"]["kernel"].shape == (3, 8, 8)
    saved = jn.transformer_language_model(7, 8, 2, 3, length=6, rematerialize=True)
    assert jax.tree.structure(params) == jax.tree.structure(jax.eval_shape(saved.init, key, tokens)[0])
    untied = jn.transformer_language_model(7, 8, 2, 3, positions="sinusoidal", tied=False, dropout=0.1)
    params, _ = jax.eval_shape(untied.init, key, tokens)
    assert set(params) == {"layers_0", "layers_3", "layers_4", "layers_5"}
    assert params["layers_5"]["kernel"].shape == (8, 7)
    with pytest.raises(ValueError, match=r"transformer_language_model\(positions\) is 'none'"):
        jn.transformer_language_model(7, 8, 2, positions="none")


@full
def test_transformer_classifier_counts_without_padding():
    """Which of two tokens comes more often, in sequences of several lengths."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 3, size=(32, 7))
    tokens[::2, 5:] = 0
    labels = jnp.asarray((tokens == 1).sum(1) > (tokens == 2).sum(1)).astype(int)
    model = jn.transformer_classifier(2, 3, 8, 2, 1, length=7)
    path = losses(model, jnp.asarray(tokens), labels, 100, 0.3)
    assert path[-1] < 0.1 < 0.4 < path[0]
    longer, shorter = outputs(model, jnp.asarray(tokens[:1]), jnp.asarray(tokens[:1, :5]))
    np.testing.assert_allclose(longer, shorter, rtol=1e-4, atol=1e-5)


def test_transformer_classifier_of_vectors():
    vectors = jn.transformer_classifier(2, None, 8, 2, 1, norm="post", positions="sinusoidal")
    params, _ = jax.eval_shape(vectors.init, jax.random.key(0), jnp.ones((1, 4, 3)))
    assert params["layers_0"]["layers_0"]["kernel"].shape == (3, 8)


def test_autoencoder_with_a_code_of_two_numbers(key):
    """Points on a plane in five dimensions need no more."""
    plane = jax.random.normal(key, (32, 2)) @ jax.random.normal(jax.random.key(1), (2, 5)) / 2
    model = jn.autoencoder(5, [6, 2], "identity")
    path = losses(model, plane, plane, 400, 0.05, loss=lambda y, x: jnp.mean((y - x) ** 2))
    assert path[-1] < 0.01 * path[0]
    params, _ = jax.eval_shape(model.init, key, plane)
    shapes = [p["kernel"].shape for half in ("layers_0", "layers_1") for p in params[half].values()]
    assert shapes == [(5, 6), (6, 2), (2, 6), (6, 5)]
    with pytest.raises(ValueError, match=r"autoencoder\(sizes\) is empty"):
        jn.autoencoder(5, [])


@pytest.mark.notes("S3-53")
def test_fcn_finds_pixels_in_images_of_any_size():
    """It marks a square by its edge and its colour; a dense head on every pixel is its 1×1 convolution."""
    rng = np.random.default_rng(0)
    images = rng.normal(0, 0.3, size=(8, 9, 12, 1))
    labels = np.zeros((8, 9, 12), int)
    for i, (a, b) in enumerate(rng.integers(0, 6, size=(8, 2))):
        images[i, a : a + 3, b : b + 4] += 2
        labels[i, a : a + 3, b : b + 4] = 1
    model = jn.fcn(2, (4, 8), convolutions=1)
    path = losses(model, jnp.asarray(images, jnp.float32), jnp.asarray(labels), 60, 0.5)
    assert path[-1] < 0.15 < 0.5 < path[0]
    params, state = jax.eval_shape(model.init, jax.random.key(0), images)
    other = jax.eval_shape(model.apply, params, state, jax.ShapeDtypeStruct((1, 7, 5, 1), jnp.float32))[0]
    assert other.shape == (1, 7, 5, 2)


def test_fcn_begins_with_the_coarsest_answer(key):
    """Skips are at 0: what comes out is the deepest answer, interpolated between its pixels."""
    model = jn.fcn(1, (2, 3), convolutions=1)
    x = jax.random.normal(key, (1, 6, 8, 1))
    y, _, outputs = jax.jit(lambda x: jn.capture(model, *model.init(key, x), x))(x)
    assert not outputs["layers_2/layers_0"].any()
    coarse = np.asarray(outputs["layers_2/layers_1"])[0, :, :, 0]
    assert coarse.shape == (3, 4)
    # Halfway between centres: 3/4 of the nearer and 1/4 of the farther pixel, in rows and in columns.
    rows = (0.75 * coarse[0] + 0.25 * coarse[1], 0.25 * coarse[0] + 0.75 * coarse[1])
    columns = [[0.75 * r[1] + 0.25 * r[2], 0.25 * r[1] + 0.75 * r[2]] for r in rows]
    np.testing.assert_allclose(y[0, 1:3, 3:5, 0], columns, rtol=1e-5)


@pytest.mark.full
@pytest.mark.notes("S3-50")
def test_blocks_that_begin_at_zero_are_their_shortcuts(key):
    """With the last scale at 0 a block is relu(x), and a stage lets its input through."""
    x = jax.random.normal(key, (2, 4, 4, 4))

    @jax.jit
    def run(block, x):
        return block.apply(*block.init(key, x), x, train=True)[0]

    for block in (jn.residual_block(4, zero_init=True), jn.bottleneck_block(4, zero_init=True)):
        np.testing.assert_array_equal(run(block, x), jax.nn.relu(x))
    narrow = jn.residual_block(8, 2, every_second_pixel, zero_init=True)
    y = run(narrow, x)
    np.testing.assert_array_equal(y[..., :4], jax.nn.relu(x[:, ::2, ::2]))
    np.testing.assert_array_equal(y[..., 4:], 0)


@pytest.mark.notes("S3-51")
def test_a_dense_block_keeps_what_came_in(key):
    x = jax.random.normal(key, (1, 4, 4, 3))

    @jax.jit
    def run(block, x):
        params, state = block.init(key, x)
        return params, block.apply(params, state, x)[0]

    for bottleneck, first in ((None, (3, 3, 3, 2)), (4, (1, 1, 3, 8))):
        block = jn.dense_block(3, 2, bottleneck)
        params, y = jax.eval_shape(run, block, x)
        assert y.shape == (1, 4, 4, 3 + 3 * 2)
        assert params["layers_0"]["layers_1"]["layers_2"]["kernel"].shape == first
    np.testing.assert_array_equal(run(jn.dense_block(2, 2, None), x)[1][..., :3], x)


@pytest.mark.parametrize("preactivation", [False, True])
def test_stages_of_cifar_networks(preactivation, key):
    """Widths and sizes stage by stage; looped, the same shapes with the blocks' parameters stacked."""
    model = jn.cifar_resnet(depth=8, width=4, preactivation=preactivation)
    x = jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.float32)

    def run(x):
        params, state = model.init(key, x)
        return jn.capture(model, params, state, x, key=key, train=True)[2]

    shapes = [y.shape for path, y in jax.eval_shape(run, x).items() if "/" not in path]
    stages = [shape for shape in shapes if len(shape) == 4]
    assert [stages[-3 - 2 * preactivation + i] for i in range(3)] == [
        (2, 8, 8, 4),
        (2, 4, 4, 8),
        (2, 2, 2, 16),
    ]
    assert shapes[-2:] == [(2, 16), (2, 10)]
    deep = {"depth": 20, "width": 4, "preactivation": preactivation}
    sizes = {count(jn.cifar_resnet(**deep, scan=scan), (1, 8, 8, 3)) for scan in (False, True)}
    assert len(sizes) == 1


@pytest.mark.parametrize("make", [jn.cifar_resnet, jn.resnet, jn.vgg, jn.densenet])
def test_other_depths_are_refused(make):
    with pytest.raises(ValueError, match=rf"{make.__name__}\(depth\) is 21"):
        make(depth=21)


@full
@pytest.mark.notes("S3-50")
def test_small_residual_and_dense_networks_learn(key):
    """Horizontal from vertical bars."""
    bars = np.zeros((16, 8, 8, 1), np.float32)
    for i in range(8):
        bars[i, i], bars[8 + i, :, i] = 1, 1
    labels = jnp.repeat(jnp.arange(2), 8)
    for model in (
        jn.cifar_resnet(2, 14, width=4, scan=True),
        jn.cifar_resnet(2, 8, width=4, preactivation=True),
        jn.densenet(2, (2, 2), growth_rate=4, width=4, small=True),
    ):
        path = losses(model, jnp.asarray(bars), labels, 60, 0.1)
        assert path[-1] < 0.1 < 0.4 < path[0]


@pytest.mark.full
def test_lenet_learns_digits():
    """Drawn three times as large: after four epochs nine of ten that it has not seen are right."""
    x, y = jn.digits()
    images = np.pad(
        np.kron(np.asarray(x).reshape(-1, 8, 8) / 16, np.ones((1, 3, 3))), [(0, 0), (2, 2), (2, 2)]
    )
    images, labels = jnp.asarray(images[..., None], jnp.float32), jnp.asarray(y)
    trainer = jn.Trainer(jn.lenet(), jn.adam(3e-3), jn.softmax_cross_entropy, batch_size=32)
    train, valid = (images[:1200], labels[:1200]), (images[1200:], labels[1200:])
    _, history = jax.jit(lambda key: trainer.advance(trainer.init(key, train), train, valid, epochs=4))(
        jax.random.key(0)
    )
    assert history["valid_accuracy"][0] < history["valid_accuracy"][-1]
    assert history["valid_accuracy"][-1] > 0.9
