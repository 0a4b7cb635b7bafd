"""The convolution against its formula and its adjoint, and which form is compiled where."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxopt_notes.layers import (
    conv,
    conv2d,
    conv2d_im2col,
    conv2d_native,
    conv_transpose,
    convolution,
    convolution_transpose,
    depthwise_conv,
)


def reference(x, kernel, strides, padding, dilation=None, groups=1):
    """The sum of products, pixel by pixel, in float64."""
    (batch, *size, _), (*window, inputs, outputs) = x.shape, kernel.shape
    dilation = dilation or (1,) * len(size)
    span = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    mode = {"mode": "wrap"} if padding == "CIRCULAR" else {}
    if padding == "SAME":
        out = [-(-n // s) for n, s in zip(size, strides, strict=True)]
        total = [max((o - 1) * s + k - n, 0) for o, s, k, n in zip(out, strides, span, size, strict=True)]
        padding = [(t // 2, t - t // 2) for t in total]
    elif padding == "CIRCULAR":
        padding = [((k - 1) // 2, k // 2) for k in span]
    elif padding == "VALID":
        padding = [(0, 0)] * len(size)
    x = np.pad(x, ((0, 0), *padding, (0, 0)), **mode)
    out = [(n - k) // s + 1 for n, s, k in zip(x.shape[1:-1], strides, span, strict=True)]
    y = np.zeros((batch, *out, outputs))
    for g, p in itertools.product(range(groups), itertools.product(*map(range, out))):
        of, at = (
            slice(g * outputs // groups, (g + 1) * outputs // groups),
            slice(g * inputs, (g + 1) * inputs),
        )
        cut = (slice(i * s, i * s + k, d) for i, s, k, d in zip(p, strides, span, dilation, strict=True))
        y[:, *p, of] = np.tensordot(x[:, *cut, at], kernel[..., of], len(window) + 1)
    return y


CASES = [
    ((7, 6), (3, 3), (1, 1), "SAME"),
    ((7, 6), (3, 2), (2, 1), "SAME"),
    ((8, 8), (2, 4), (3, 2), "SAME"),
    ((7, 6), (3, 3), (1, 1), "VALID"),
    ((8, 9), (3, 2), (2, 3), "VALID"),
    ((5, 5), (1, 1), (2, 2), "VALID"),
    ((5, 5), (5, 5), (1, 1), "VALID"),
]
# size, window, strides, padding, dilation, groups, inputs of a group, outputs of a group
GENERAL = {
    "signal": ((9,), (4,), (2,), "SAME", (1,), 1, 3, 2),
    "causal": ((6,), (3,), (1,), ((4, 0),), (2,), 1, 2, 2),
    "volume": ((3, 4, 5), (2, 3, 2), (1, 2, 1), "SAME", (1, 1, 1), 1, 2, 3),
    "dilated": ((7, 8), (3, 2), (1, 2), "SAME", (2, 3), 1, 2, 3),
    "pairs": ((5, 6), (3, 3), (2, 1), ((2, 0), (1, 3)), (1, 1), 1, 2, 3),
    "circular": ((5, 6), (3, 4), (2, 1), "CIRCULAR", (1, 1), 1, 2, 3),
    "groups": ((5, 6), (3, 3), (1, 2), "SAME", (1, 1), 2, 3, 2),
    "depthwise": ((5, 6), (3, 2), (2, 1), "VALID", (1, 2), 3, 1, 2),
}


def drawn(size, window, groups, inputs, outputs, batch=2):
    rng = np.random.default_rng(0)
    shapes = (batch, *size, groups * inputs), (*window, inputs, groups * outputs)
    return [rng.normal(size=shape) for shape in shapes]


@pytest.mark.parametrize("form", [conv2d_im2col, conv2d_native])
@pytest.mark.parametrize(("size", "window", "strides", "padding"), CASES)
def test_forms(form, size, window, strides, padding, x64):
    x, kernel = drawn(size, window, 1, 3, 4)
    pads = lax.padtype_to_pads(size, window, strides, padding)
    want = reference(x, kernel, strides, padding)
    np.testing.assert_allclose(form(jnp.asarray(x), jnp.asarray(kernel), strides, pads), want, atol=1e-12)
    got = conv2d(jnp.asarray(x), jnp.asarray(kernel), strides, padding)
    np.testing.assert_allclose(got, want, atol=1e-12)


@pytest.mark.parametrize(("size", "window", "strides", "padding"), CASES)
def test_gradients_of_the_forms_agree(size, window, strides, padding, x64):
    x, kernel = map(jnp.asarray, drawn(size, window, 1, 3, 4))
    pads = lax.padtype_to_pads(size, window, strides, padding)

    @jax.jit
    def gradients(x, kernel):
        forms = (
            functools.partial(conv2d, strides=strides, padding=padding),
            lambda x, kernel: conv2d_im2col(x, kernel, strides, pads),
            lambda x, kernel: conv2d_native(x, kernel, strides, pads),
        )
        return [
            jax.grad(lambda *a, form=form: jnp.sum(jnp.sin(form(*a))), (0, 1))(x, kernel) for form in forms
        ]

    *ours, native = gradients(x, kernel)
    for pair in ours:
        for a, b in zip(pair, native, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)


@pytest.mark.notes("S3-52")
@pytest.mark.parametrize("case", GENERAL)
def test_every_dimension_padding_dilation_and_grouping_and_its_adjoint(case, x64):
    """⟨conv x, y⟩ = ⟨x, convᵀ y⟩, for the image that the adjoint takes its argument to be made of."""
    size, window, strides, padding, dilation, groups, inputs, outputs = GENERAL[case]
    x, kernel = drawn(size, window, groups, inputs, outputs)
    how = (strides, padding, dilation, groups)

    @jax.jit
    def both(x, kernel):
        y = convolution(x, kernel, *how)
        back = convolution_transpose(jnp.cos(y), kernel, *how)
        again = jnp.sin(jnp.arange(1.0, back.size + 1)).reshape(back.shape)
        return y, jnp.vdot(back, again), jnp.vdot(jnp.cos(y), convolution(again, kernel, *how))

    y, *products = both(jnp.asarray(x), jnp.asarray(kernel))
    np.testing.assert_allclose(y, reference(x, kernel, *how), atol=1e-12)
    np.testing.assert_allclose(*products, rtol=1e-12)


# A population


def second_order(x, kernel, way=None):
    """The convolution, both gradients, and their derivatives along a direction (forward over reverse)."""
    gradient = jax.grad(lambda x, kernel: jnp.sum(jnp.sin(way(x, kernel))), (0, 1))
    return way(x, kernel), jax.jvp(gradient, (x, kernel), (jnp.cos(x), jnp.cos(kernel)))


@pytest.mark.parametrize("axes", [(0, 0), (None, 0), (0, None)])
@pytest.mark.parametrize("case", ["dilated", pytest.param("groups", marks=pytest.mark.full)])
def test_members_are_batched_and_differentiated_in_any_order(axes, case, x64):
    """What is mapped twice, and differentiated twice within or without, equals XLA's own rules."""
    size, window, strides, padding, dilation, groups, inputs, outputs = GENERAL[case]
    rng = np.random.default_rng(0)
    shapes = [(2, *size, groups * inputs), (*window, inputs, groups * outputs)]
    members = [() if axis is None else (2, 3) for axis in axes]
    x, kernel = (jnp.asarray(rng.normal(size=m + s)) for m, s in zip(members, shapes, strict=True))
    pads = lax.padtype_to_pads(
        size, [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)], strides, padding
    )

    def peer(x, kernel):
        return lax.conv_general_dilated(
            x, kernel, strides, pads, rhs_dilation=dilation, feature_group_count=groups,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )  # fmt: skip

    def ours(x, kernel):
        return convolution(x, kernel, strides, padding, dilation, groups)

    @jax.jit
    def all_orders(x, kernel):
        found = []
        for way in (ours, peer):
            twice = jax.vmap(jax.vmap(way, axes), axes)
            within = functools.partial(second_order, way=way)
            inner = jax.vmap(functools.partial(second_order, way=jax.vmap(way, axes)), axes)
            found.append(
                [
                    jax.vmap(jax.vmap(within, axes), axes)(x, kernel),
                    inner(x, kernel),
                    second_order(x, kernel, twice),
                ]
            )
        return found

    mine, theirs = (jax.tree.leaves(tree) for tree in all_orders(x, kernel))
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-11)


def test_members_that_share_one_of_the_two_gradients_operands(x64):
    """Images of members under one cotangent, and the other way round: axes of inputs and of outputs."""
    x, kernel = map(jnp.asarray, drawn((5, 4), (3, 2), 2, 2, 3))
    xs, ys = (
        jnp.stack([x, jnp.cos(x), x + 1]),
        jnp.asarray(np.random.default_rng(1).normal(size=(3, 2, 5, 4, 6))),
    )
    kernels = jnp.stack([kernel, jnp.sin(kernel), kernel - 1])

    @jax.jit
    def both():
        def pull(x, kernel, y):
            return jax.vjp(lambda *a: convolution(*a, groups=2), x, kernel)[1](y)

        found = []
        for axes, args in [((0, None, None), (xs, kernel, ys[0])), ((None, None, 0), (x, kernel, ys)),
                           ((None, 0, None), (x, kernels, ys[0]))]:  # fmt: skip
            loop = [
                pull(*(a if axis is None else a[i] for a, axis in zip(args, axes, strict=True)))
                for i in range(3)
            ]
            found.append((jax.vmap(pull, axes)(*args), jax.tree.map(lambda *a: jnp.stack(a), *loop)))
        return found

    for together, alone in both():
        jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-12), together, alone)


def training(kernel, x, **how):
    """Gradient descent in a scan, as in a training loop."""
    gradient = jax.grad(
        lambda kernel: jnp.sum(jnp.tanh(convolution(jnp.sin(convolution(x, kernel, **how)), kernel, **how)))
    )
    return lax.scan(lambda kernel, _: (kernel - gradient(kernel), None), kernel, None, length=3)[0]


def lowered(platform, function, *arguments):
    traced = jax.jit(function).trace(*arguments)
    return traced.lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize(
    ("platform", "alone", "mapped"),
    [("cpu", 0, 0), ("cuda", 5, 0), ("rocm", 5, 0), ("tpu", 5, 5)],
)
def test_form_is_chosen_by_platform_and_by_who_is_mapped(platform, alone, mapped):
    """Forward, and both gradients: two convolutions have five. A mapped kernel means products on GPUs."""
    kernel, x = jnp.ones((3, 3, 2, 2)), jnp.ones((2, 8, 8, 2))
    kernels, xs = jnp.ones((4, *kernel.shape)), jnp.ones((4, *x.shape))
    for axes, arguments in [((0, 0), (kernels, xs)), ((0, None), (kernels, x))]:
        text = lowered(platform, jax.vmap(training, axes), *arguments)
        assert text.count("stablehlo.convolution") == mapped
        assert text.count("stablehlo.dot_general") == 5 - mapped
        # nested: seeds within configurations
        text = lowered(
            platform,
            jax.vmap(jax.vmap(training, axes), axes),
            *(jnp.stack([a] * 2) if axis == 0 else a for a, axis in zip(arguments, axes, strict=True)),
        )
        assert text.count("stablehlo.convolution") == mapped
    each_image = jax.vmap(jax.vmap(training, (0, None)), (None, 0))
    assert lowered(platform, each_image, kernels, xs).count("stablehlo.convolution") == mapped
    text = lowered(platform, training, kernel, x)
    assert text.count("stablehlo.convolution") == alone
    assert text.count("stablehlo.dot_general") == 5 - alone
    text = lowered(platform, jax.vmap(convolution, (0, None)), xs, kernel)
    assert ("stablehlo.convolution" in text) == (alone > 0)


def test_patches_that_take_too_much_memory_are_made_for_fewer_members_at_once():
    """On GPUs: 4 members of 2·8·8·9·2·4 = 9,216 bytes each."""
    kernels, xs = jnp.ones((4, 3, 3, 2, 2)), jnp.ones((4, 2, 8, 8, 2))

    def text(limit):
        return lowered("cuda", jax.vmap(functools.partial(convolution, max_patch_bytes=limit)), xs, kernels)

    assert "4x128x18xf32" in text(4 * 9216)
    assert "2x128x18xf32" in text(3 * 9216 - 1)
    assert "4x128x18xf32" not in text(3 * 9216 - 1)
    assert "stablehlo.convolution" in text(9215)
    assert "stablehlo.convolution" not in text(9216)


@pytest.mark.usefixtures("compiled_as_for_users")
@pytest.mark.skipif(jax.default_backend() != "cpu", reason="is about XLA's CPU backend")
def test_a_population_in_a_scan_compiles_to_matrix_products():
    kernels = jnp.ones((5, 3, 3, 2, 2))
    text = jax.jit(jax.vmap(training, (0, None))).lower(kernels, jnp.ones((2, 8, 8, 2))).compile().as_text()
    assert " convolution(" not in text
    assert " conditional(" not in text


def test_precision_is_that_of_the_call():
    """It is asked for where the convolution stands, and the program is lowered elsewhere."""

    def function(x, kernel):
        with jax.default_matmul_precision("highest"):
            return convolution(x, kernel)

    arguments = jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 1))
    for platform in ("cpu", "tpu"):
        assert "HIGHEST" in lowered(platform, function, *arguments)
        assert "HIGHEST" not in lowered(platform, convolution, *arguments)


@pytest.mark.parametrize("check_vma", [True, False])
def test_data_parallel_gradients_under_shard_map(check_vma):
    """Images cut over devices, one kernel: its gradient is summed over them once, not twice."""
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,), devices=jax.devices()[:1])
    spec = jax.sharding.PartitionSpec

    def gradient(kernel, x):
        return jax.grad(lambda kernel: lax.psum(jnp.sum(jnp.sin(convolution(x, kernel))), "data"))(kernel)

    cut = jax.shard_map(
        gradient, mesh=mesh, in_specs=(spec(), spec("data")), out_specs=spec(), check_vma=check_vma
    )
    arguments = jnp.full((3, 3, 2, 2), 0.1), jnp.ones((2, 4, 4, 2))
    text = jax.jit(cut).lower(*arguments).as_text()
    assert text.count('"stablehlo.all_reduce"') == 1
    want = jax.grad(lambda kernel, x: jnp.sum(jnp.sin(convolution(x, kernel))))(*arguments)
    np.testing.assert_allclose(jax.jit(cut)(*arguments), want, rtol=1e-5)


# The layers


def test_bias_and_shapes(key):
    x = jnp.zeros((2, 8, 6, 3))
    params, _ = conv(4, (3, 5), strides=(2, 1)).init(key, x)
    assert params["kernel"].shape == (3, 5, 3, 4)
    params["bias"] = jnp.arange(4.0)
    y, _ = conv(4, (3, 5), strides=(2, 1)).apply(params, (), x)
    assert y.shape == (2, 4, 6, 4)
    np.testing.assert_array_equal(y, np.broadcast_to(np.arange(4.0), y.shape))


def test_arguments_reach_the_formula(key, x64):
    """Every argument of the layers, none of them 1, in one dimension."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 11, 4)))
    how = {"strides": 2, "padding": ((3, 1),), "dilation": 2}
    layer = conv(6, (3,), groups=2, **how)
    params, _ = layer.init(key, x)
    assert params["kernel"].shape == (3, 2, 6)
    want = reference(x, np.asarray(params["kernel"]), (2,), ((3, 1),), (2,), 2)
    np.testing.assert_allclose(layer.apply(params, (), x)[0], want, atol=1e-12)
    layer = depthwise_conv((3,), 2, **how)
    params, _ = layer.init(key, x)
    assert params["kernel"].shape == (3, 1, 8)
    want = reference(x, np.asarray(params["kernel"]), (2,), ((3, 1),), (2,), 4)
    np.testing.assert_allclose(layer.apply(params, (), x)[0], want, atol=1e-12)
    layer = conv_transpose(6, (3,), groups=2, output_padding=1, **how)
    params, _ = layer.init(key, x)
    assert params["kernel"].shape == (3, 3, 4)
    y, _ = layer.apply(params, (), x)
    assert y.shape == (2, (11 - 1) * 2 + 5 - 4 + 1, 6)
    again = reference(np.asarray(y), np.asarray(params["kernel"]), (2,), ((3, 1),), (2,), 2)
    np.testing.assert_allclose(np.vdot(again, x), np.vdot(y, y), rtol=1e-12)


def test_low_precision_sums_in_float32():
    x = jnp.ones((1, 3, 3, 512), jnp.bfloat16)
    y = conv2d(x, jnp.ones((3, 3, 512, 1)), padding="VALID")
    assert (y.dtype, y.item()) == (jnp.bfloat16, 4608)


def test_errors(key):
    with pytest.raises(ValueError, match=r"conv\(padding\) is 'FULL', expected one of 'SAME', 'VALID'"):
        conv(3, padding="FULL")
    with pytest.raises(ValueError, match=r"conv\(padding\) is .*, expected 'SAME', .* or 2 pairs"):
        conv(3, padding=((1, 1),))
    with pytest.raises(ValueError, match=r"conv\(kernel_size\) is \(3, 3, 3, 3\)"):
        conv(3, (3, 3, 3, 3))
    with pytest.raises(ValueError, match=r"conv\(strides\) is \(1, 2\), expected one whole number, or 1"):
        conv(3, (3,), strides=(1, 2))
    with pytest.raises(ValueError, match=r"conv\(groups\) is 2, expected a divisor of the 3 features"):
        conv(3, groups=2)
    with pytest.raises(ValueError, match=r"conv\(groups\) is 2, expected a divisor of the 3 channels"):
        conv(4, groups=2).init(key, jnp.ones((1, 4, 4, 3)))
    with pytest.raises(ValueError, match=r"shape \(32, 64\), expected \[batch, height, width, channels\]"):
        conv(3).init(key, jnp.ones((32, 64)))
    with pytest.raises(ValueError, match=r"expected \[batch, length, channels\]"):
        conv_transpose(3, (3,)).init(key, jnp.ones((32, 64)))
    with pytest.raises(ValueError, match=r"output_padding\) is 2, expected less than \(2, 2\)"):
        conv_transpose(3, strides=2, padding="VALID", output_padding=2)
    with pytest.raises(ValueError, match=r"expected at most the image's \(2, 2\) pixels"):
        conv2d(jnp.ones((1, 2, 2, 1)), jnp.ones((3, 3, 1, 1)), padding="VALID")
