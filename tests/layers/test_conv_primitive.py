"""The primitive under every order of batching and differentiation, and which form is compiled where."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxopt_notes as jn
from jaxopt_notes.layers import conv_primitive, convolution
from jaxopt_notes.one_core import compiled_for_one_core
from jaxopt_notes.population.workers import cores
from tests.compiled import grad


def peer(x, kernel, strides, pads, dilation, groups):
    """XLA's own operation, with JAX's rules for it."""
    return lax.conv_general_dilated(
        x, kernel, strides, pads, rhs_dilation=dilation, feature_group_count=groups,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip


# strides, pads, dilation, groups; of images [2, 5, 4, 2 * groups] and kernels [3, 2, 2, 3 * groups]
CASES = {
    "dilated": ((1, 2), ((2, 1), (1, 3)), (2, 3), 1),
    "groups": ((2, 1), ((1, 1), (0, 1)), (1, 1), 2),
}


def drawn(groups, images=(), kernels=()):
    rng = np.random.default_rng(0)
    shapes = (*images, 2, 5, 4, 2 * groups), (*kernels, 3, 2, 2, 3 * groups)
    return [jnp.asarray(rng.normal(size=shape)) for shape in shapes]


def second_order(x, kernel, way=None):
    """The convolution, both gradients, and their derivatives along a direction (forward over reverse)."""
    gradient = grad(lambda x, kernel: jnp.sum(jnp.sin(way(x, kernel))), (0, 1))
    return way(x, kernel), jax.jvp(gradient, (x, kernel), (jnp.cos(x), jnp.cos(kernel)))


@pytest.mark.parametrize("axes", [(0, 0), (None, 0), (0, None)])
@pytest.mark.parametrize("case", ["dilated", pytest.param("groups", marks=pytest.mark.full)])
def test_members_are_batched_and_differentiated_in_any_order(axes, case, x64):
    """What is mapped twice, and differentiated twice within or without, equals XLA's own rules."""
    strides, pads, dilation, groups = CASES[case]
    x, kernel = drawn(groups, *(() if axis is None else (2, 3) for axis in axes))
    ours = functools.partial(convolution, strides=strides, padding=pads, dilation=dilation, groups=groups)
    theirs = functools.partial(peer, strides=strides, pads=pads, dilation=dilation, groups=groups)

    @jax.jit
    def all_orders(x, kernel):
        found = []
        for way in (ours, theirs):
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

    for a, b in zip(*(jax.tree.leaves(tree) for tree in all_orders(x, kernel)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-11)


def test_members_that_share_one_of_the_two_gradients_operands(x64):
    """Images of members under one cotangent, and the other way round: axes of inputs and of outputs."""
    xs, kernels = drawn(2, (3,), (3,))
    x, kernel = xs[0], kernels[0]
    ys = jnp.asarray(np.random.default_rng(1).normal(size=(3, 2, 5, 4, 6)))

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


@pytest.mark.parametrize("strides", [(1, 1), (1, 2), pytest.param((2, 1), marks=pytest.mark.full)])
@pytest.mark.parametrize("members", [(), pytest.param((2,), marks=pytest.mark.full)])
def test_sizes_whose_native_form_is_best_on_cpus(strides, members, x64):
    """Outputs and gradients, with more channels than the other tests have; uneven padding, dilation."""
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(*members, 2, 6, 7, 12)))
    kernel = jnp.asarray(rng.normal(size=(*members, 3, 2, 12, 5)))
    pads, dilation = ((2, 0), (-1, 3)), (1, 2)

    @jax.jit
    def both(x, kernel):
        found = []
        for way in (
            functools.partial(convolution, strides=strides, padding=pads, dilation=dilation),
            functools.partial(peer, strides=strides, pads=pads, dilation=dilation, groups=1),
        ):
            way = jax.vmap(way) if members else way
            y, pull = jax.vjp(way, x, kernel)
            found.append((y, pull(jnp.sin(y))))
        return found

    for a, b in zip(*(jax.tree.leaves(tree) for tree in both(x, kernel)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-11)


def training(kernel, x, **how):
    """Gradient descent in a scan, as in a training loop."""
    gradient = grad(
        lambda kernel: jnp.sum(jnp.tanh(convolution(jnp.sin(convolution(x, kernel, **how)), kernel, **how)))
    )
    return lax.scan(lambda kernel, _: (kernel - gradient(kernel), None), kernel, None, length=3)[0]


def lowered(platform, function, *arguments):
    traced = jax.jit(function).trace(*arguments)
    return traced.lower(lowering_platforms=(platform,)).as_text()


@pytest.mark.parametrize(
    ("platform", "alone", "mapped"),
    [("cuda", 5, 0), ("rocm", 5, 0), ("tpu", 5, 5)],
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
    each_image = jax.vmap(jax.vmap(convolution, (None, 0)), (0, None))
    assert ("stablehlo.convolution" in lowered(platform, each_image, xs, kernels)) == (mapped > 0)
    text = lowered(platform, training, kernel, x)
    assert text.count("stablehlo.convolution") == alone
    assert text.count("stablehlo.dot_general") == 5 - alone
    text = lowered(platform, jax.vmap(convolution, (0, None)), xs, kernel)
    assert ("stablehlo.convolution" in text) == (alone > 0)
    text = lowered(platform, jax.vmap(functools.partial(second_order, way=convolution)), xs, kernels)
    assert ("stablehlo.convolution" in text) == (mapped > 0)


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


# images, kernel, arguments; and which of the output, x's gradient and the kernel's are products on CPUs
SIZES = {
    "many channels": ((2, 8, 8, 16), (3, 3, 16, 16), {}, ""),
    "strides": ((2, 8, 8, 16), (3, 3, 16, 16), {"strides": 2}, ""),
    "small kernel": ((2, 8, 8, 3), (3, 3, 3, 8), {}, "yxk"),
    "few channels": ((2, 8, 8, 3), (3, 3, 3, 16), {}, "x"),
    "large kernel": ((2, 4, 4, 64), (3, 3, 64, 64), {}, "x"),
    "few pixels": ((2, 2, 2, 64), (3, 3, 64, 64), {}, "yxk"),
    "more outputs than pixels": ((64, 8, 8, 16), (3, 3, 16, 16), {"padding": ((2, 2), (2, 2))}, "k"),
    "one pixel": ((2, 8, 8, 16), (1, 1, 16, 16), {}, "yxk"),
    "one dimension": ((2, 8, 16), (3, 16, 16), {}, "yxk"),
}


@pytest.mark.parametrize("sizes", SIZES)
def test_form_on_cpus_is_chosen_by_sizes(sizes):
    """Of one member; others follow it, in a loop if it is the native form."""
    *shapes, arguments, by_products = SIZES[sizes]
    way = functools.partial(convolution, **arguments)
    x, kernel = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes)

    def by(place):
        return lambda x, kernel: jax.vjp(way, x, kernel)[1](way(x, kernel))[place]

    for of, function in {"y": way, "x": by(0), "k": by(1)}.items():
        count = 1 if of == "y" else 2  # the cotangent is an output
        want = count - (of in by_products) - (of != "y" and "y" in by_products)
        with compiled_for_one_core():
            assert lowered("cpu", function, x, kernel).count("stablehlo.convolution") == want
        members = [jax.ShapeDtypeStruct((3, *a.shape), a.dtype) for a in (x, kernel)]
        assert lowered("cpu", jax.vmap(function), *members).count("stablehlo.convolution") == want


@pytest.mark.parametrize(("images", "forward", "backward"), [(2, 1, 1), (256, 1, 2)])
def test_gradients_by_few_patches_are_products_where_all_cores_are_free(images, forward, backward):
    """Such as 2·8·8·3·3·16 numbers; XLA has threads for a product, and for convolutions mostly not."""
    x, kernel = (jax.ShapeDtypeStruct(s, jnp.float32) for s in ((images, 8, 8, 16), (3, 3, 16, 16)))
    by_image = grad(lambda x, kernel: jnp.sum(convolution(x, kernel) ** 2))
    for function, want in ((convolution, forward), (by_image, backward)):
        assert lowered("cpu", function, x, kernel).count("stablehlo.convolution") == want


def test_programs_of_a_population_have_one_core_each(monkeypatch):
    threads = []
    rule = conv_primitive.products_on_cpu
    monkeypatch.setattr(conv_primitive, "products_on_cpu", lambda *a: (threads.append(a[-1]), rule(*a))[1])
    x = jnp.ones((1, 4, 4, 1))

    def member(c, key):
        return jnp.sum(convolution(c * x, jnp.ones((3, 3, 1, 1))))

    workers = max(2, cores())
    keys = jax.random.split(jax.random.key(0), 8 * workers)
    jn.population_map(member, jnp.ones(len(keys)), keys, workers=workers)
    assert threads == [False]
    jax.jit(member).lower(1.0, None)
    assert threads == [False, True]


@pytest.mark.usefixtures("compiled_as_for_users")
@pytest.mark.skipif(jax.default_backend() != "cpu", reason="is about XLA's CPU backend")
@pytest.mark.parametrize(
    ("pixels", "pads"),
    [(8, 1), pytest.param(2, 1, marks=pytest.mark.full), pytest.param(4, 2, marks=pytest.mark.full)],
)
def test_convolutions_in_a_scan_have_the_layout_that_xla_computes_fast(pixels, pads):
    """It computes others by a naive loop where they stand in a loop; and, anywhere, what it turns around."""
    kernels, x = jnp.ones((2, 3, 3, 16, 16)), jnp.ones((1, pixels, pixels, 16))
    train = functools.partial(training, padding=[(pads, pads)] * 2)
    text = jax.jit(jax.vmap(train, (0, None))).lower(kernels, x).compile().as_text()
    convolutions = [line for line in text.splitlines() if " convolution(" in line]
    assert bool(convolutions) == (pixels > 2)
    assert all("dim_labels=b01f_01io->b01f" in line for line in convolutions)
    assert " conditional(" not in text


def test_gradients_without_jit():
    x, kernel = jnp.arange(8.0).reshape(1, 2, 4, 1), jnp.ones((1, 2, 1, 1))
    with jax.disable_jit():
        gradient = grad(lambda kernel: jnp.sum(convolution(x, kernel, padding="VALID")))(kernel)
    np.testing.assert_array_equal(gradient.ravel(), [0 + 1 + 2 + 4 + 5 + 6, 1 + 2 + 3 + 5 + 6 + 7])


def test_precision_is_that_of_the_call():
    """It is asked for where the convolution stands, and the program is lowered elsewhere."""

    def function(x, kernel):
        with jax.default_matmul_precision("highest"):
            return convolution(x, kernel)

    arguments = jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 1))
    for platform in ("cpu", "tpu"):
        assert "HIGHEST" in lowered(platform, function, *arguments)
        assert "HIGHEST" not in lowered(platform, convolution, *arguments)


@pytest.mark.parametrize(("pixels", "check_vma"), [(2, True), (2, False), (4, True)])
def test_data_parallel_gradients_under_shard_map(pixels, check_vma):
    """Images cut over devices, one kernel: its gradient is summed over them once, not twice.

    Of few pixels it is made by products, of more natively.
    """
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,), devices=jax.devices()[:1])
    spec = jax.sharding.PartitionSpec

    def gradient(kernel, x):
        return grad(lambda kernel: lax.psum(jnp.sum(jnp.sin(convolution(x, kernel))), "data"))(kernel)

    cut = jax.shard_map(
        gradient, mesh=mesh, in_specs=(spec(), spec("data")), out_specs=spec(), check_vma=check_vma
    )
    arguments = jnp.full((3, 3, 2, 4), 0.1), jnp.ones((2, pixels, pixels, 2))
    for platform in ("cpu", "tpu"):
        text = lowered(platform, cut, *arguments)
        assert text.count('"stablehlo.all_reduce"') == 1, platform
    want = grad(lambda kernel, x: jnp.sum(jnp.sin(convolution(x, kernel))))(*arguments)
    np.testing.assert_allclose(jax.jit(cut)(*arguments), want, rtol=1e-5)
