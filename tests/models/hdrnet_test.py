"""The three networks: sizes, initial values, presets, batch norm, windows, errors."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import models
from bilateral_jax.models import hdrnet
from bilateral_jax.models import model as model_lib
from bilateral_jax.models.layers import convolutions, corner_aligned, guides

pytestmark = pytest.mark.usefixtures("compiled_quickly")

NAMES = sorted(name for name in models.REGISTRY if name.startswith("HDRNet"))
SMALL = {"net_input_size": 16, "spatial_bin": 4, "luma_bins": 2, "guide_complexity": 3}


def count(name, **fields):
    """(parameters, moving values) of a network, without computing any."""
    module = models.create(name, fields)
    shapes = jax.eval_shape(module.init, jax.random.key(0), *module.example_inputs())
    return tuple(model_lib.parameter_count(shapes.get(k, {})) for k in ("params", "batch_stats"))


@functools.cache
def small_model(name, **fields):
    return model_lib.Model.init(models.create(name, SMALL | fields), jax.random.key(1))


def compiled(model):
    """A function of images; one compilation is faster than one for every operation."""
    return jax.jit(lambda image: model(image))


@pytest.mark.parametrize(
    "name, parameters, guide_statistics",
    [
        ("HDRNetCurves", 482_080, 0),
        ("HDRNetPointwiseNNGuide", 482_049, 32),
        ("HDRNetGaussianPyrNN", 494_691, 96),
    ],
)
def test_parameter_counts(name, parameters, guide_statistics):
    assert count(name) == (parameters, guide_statistics)
    assert count(name, batch_norm=True) == (parameters, guide_statistics + 1376)


@pytest.mark.parametrize(
    "fields, without_guide",
    [
        ({"channel_multiplier": 2}, 1_913_344),
        ({"channel_multiplier": 4}, 7_624_608),
        ({"luma_bins": 4}, 120_760),
        ({"luma_bins": 16}, 1_925_728),
        ({"spatial_bin": 8}, 432_944),
        ({"spatial_bin": 32}, 1_213_040),
        ({"luma_bins": 16, "spatial_bin": 32}, 4_850_144),
    ],
)
def test_parameter_counts_of_other_sizes(fields, without_guide):
    assert count("HDRNetCurves", **fields)[0] == without_guide + 112


@pytest.mark.parametrize("name", NAMES)
def test_shapes(name):
    model = small_model(name)
    low, full = jnp.ones((2, 16, 16, 3)), jnp.ones((2, 5, 7, 3))
    grid = jax.eval_shape(lambda x: model.apply(x, method="coefficients"), low)
    assert grid.shape == (2, 4, 4, 2, models.REGISTRY[name].n_out, 4)
    assert jax.eval_shape(lambda x: model.apply(x, method="guide"), full).shape == (2, 5, 7)
    assert jax.eval_shape(model.apply, low, full).shape == (2, 5, 7, 3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (2, 3)])
def test_any_size(name, size):
    image = jax.random.uniform(jax.random.key(0), (*size, 3))
    out = compiled(small_model(name))(image)
    assert out.shape == image.shape and bool(jnp.isfinite(out).all())


def test_leading_axes_and_dtypes():
    model = small_model("HDRNetCurves")
    images = jax.random.uniform(jax.random.key(0), (2, 3, 6, 5, 3))
    run = compiled(model)
    out = run(images)
    np.testing.assert_allclose(out[1, 2], run(images[1, 2]), atol=1e-6)
    half = run(images.astype(jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), out, atol=0.1)


def test_initial_weights_have_the_original_distribution():
    weights = convolutions.he_truncated_normal(jax.random.key(0), (3, 3, 64, 256))
    deviation = np.sqrt(1.3 * 2 / (9 * 64))
    assert float(abs(weights).max()) <= 2 * deviation
    # The cut at two deviations leaves .8796 of the deviation.
    assert float(weights.std()) == pytest.approx(0.8796 * deviation, rel=5e-3)


def test_curves_start_as_the_grey_value():
    guide = guides.CurvesGuide()
    image = jax.random.uniform(jax.random.key(0), (4, 5, 3))
    variables = guide.init(jax.random.key(1), image)
    np.testing.assert_allclose(guide.apply(variables, image), image.mean(-1), atol=2e-3)
    matrix = variables["params"]["ccm"]
    # One number is added to all nine entries (rounding differs between 0 and 1).
    np.testing.assert_allclose(matrix - np.eye(3), matrix[0, 1], atol=1e-7)
    assert 0 < abs(float(matrix[0, 1])) < 1e-3
    other = guide.init(jax.random.key(2), image)["params"]["ccm"]
    assert not np.array_equal(matrix, other)


def test_a_black_or_clipped_pixel_keeps_its_gradient_at_the_bound():
    guide = guides.CurvesGuide()
    variables = guide.init(jax.random.key(1), jnp.zeros((1, 1, 3)))
    gradient = jax.jit(jax.grad(lambda v: guide.apply(v, jnp.zeros((1, 1, 3))).sum()))(variables)
    assert float(gradient["params"]["mix_bias"]) == 1


def test_pointwise_guide_moments_are_those_of_the_hidden_layer():
    guide = guides.PointwiseGuide(5)
    image = jax.random.uniform(jax.random.key(0), (2, 9, 7, 3))
    variables = guide.init(jax.random.key(1), image)
    out, updates = guide.apply(variables, image, train=True, mutable=["batch_stats"])
    params = variables["params"]
    hidden = jnp.einsum("bhwc,ck->bhwk", image, params["hidden"], precision="highest")
    mean, variance = hidden.mean((0, 1, 2)), hidden.var((0, 1, 2))
    moving = updates["batch_stats"]["batch_norm"]
    np.testing.assert_allclose(moving["mean"], 0.001 * mean, rtol=1e-5)
    np.testing.assert_allclose(moving["variance"], 0.999 + 0.001 * variance, rtol=1e-6)
    normal = (hidden - mean[None, None, None]) / jnp.sqrt(variance + 1e-3)[None, None, None]
    expected = jax.nn.sigmoid(
        jnp.einsum("bhwk,ko->bhwo", jax.nn.relu(normal), params["out"])[..., 0]
    )
    np.testing.assert_allclose(out, expected, atol=1e-6)


def test_replicas_share_their_batch_statistics():
    """Two devices with an axis name compute what one device computes on the joint batch."""
    model = small_model("HDRNetPointwiseNNGuide", batch_norm=True)
    key = jax.random.key(2)
    low, full = jax.random.uniform(key, (4, 16, 16, 3)), jax.random.uniform(key, (4, 6, 5, 3))
    out, joint = jax.jit(lambda *x: model.apply(*x, train=True))(low, full)
    shared = model.replace(module=model.module.clone(axis_name="batch"))

    def replica(low, full):
        return shared.apply(low, full, train=True)

    parts, split = jax.pmap(replica, axis_name="batch", devices=jax.devices()[:2])(
        low.reshape(2, 2, 16, 16, 3), full.reshape(2, 2, 6, 5, 3)
    )
    np.testing.assert_allclose(parts.reshape(out.shape), out, atol=1e-4)
    for shared, single in zip(
        jax.tree.leaves(split.batch_stats), jax.tree.leaves(joint.batch_stats), strict=True
    ):
        np.testing.assert_allclose(shared[0], single, atol=1e-6)
        np.testing.assert_array_equal(shared[0], shared[1])


def test_inference_neither_uses_nor_changes_batch_statistics():
    model = compiled(small_model("HDRNetPointwiseNNGuide", batch_norm=True))
    images = jax.random.uniform(jax.random.key(0), (3, 6, 5, 3))
    np.testing.assert_allclose(model(images)[0], model(images[0]), atol=1e-5)


@pytest.mark.parametrize("name", ["HDRNetCurves", "HDRNetGaussianPyrNN"])
def test_the_recommended_preset_starts_at_the_identity(name):
    model = model_lib.Model.init(
        models.create(name, SMALL, preset="recommended"), jax.random.key(0)
    )
    image = jax.random.uniform(jax.random.key(1), (21, 34, 3))
    np.testing.assert_allclose(compiled(model)(image), image, atol=0.1)
    assert model.module.lowres_method == "area"
    random = compiled(small_model(name))(image)
    assert float(abs(random - image).max()) > 0.2


def test_the_paper_preset_changes_nothing():
    assert models.create("HDRNetCurves", preset="paper") == hdrnet.HDRNetCurves()
    original = {
        "net_input_size": 256,
        "spatial_bin": 16,
        "luma_bins": 8,
        "channel_multiplier": 1,
        "guide_complexity": 16,
        "batch_norm": False,
        "lowres_method": "nearest_legacy",
        "identity_start": False,
        "dtype": "float32",
    }
    assert models.describe(hdrnet.HDRNetCurves()) == ("HDRNetCurves", original)


@pytest.mark.parametrize(
    "name, traced", [("HDRNetCurves", False), ("HDRNetPointwiseNNGuide", True)]
)
def test_a_window_gives_the_crop_of_the_whole(name, traced):
    model = small_model(name)
    image = jax.random.uniform(jax.random.key(0), (1, 20, 31, 3))
    low = jax.random.uniform(jax.random.key(1), (1, 16, 16, 3))
    window = (5, 9, 20, 31)
    given = jnp.asarray([window], jnp.int32) if traced else window
    run = jax.jit(model.apply, static_argnames=() if traced else "window")
    crop = run(low, image[:, 5:15, 9:22], window=given)
    np.testing.assert_allclose(crop, run(low, image)[:, 5:15, 9:22], atol=1e-5)


def test_a_window_of_the_pyramid_is_close_to_the_whole():
    model = small_model("HDRNetGaussianPyrNN")
    axes = jnp.linspace(0, 1, 48)
    image = jnp.stack(jnp.broadcast_arrays(axes[:, None], axes[None], 0.5), -1)[None]
    low = jax.random.uniform(jax.random.key(1), (1, 16, 16, 3))
    run = jax.jit(model.apply)
    crop = run(low, image[:, 8:40, 12:40], window=jnp.asarray([[8, 12, 48, 48]], jnp.int32))
    whole = run(low, image)[:, 8:40, 12:40]
    assert float(abs(crop - whole).max()) < 0.1 * float(abs(whole).max())
    moved = run(low, image[:, 8:40, 12:40])
    assert float(abs(crop - whole).mean()) < 0.2 * float(abs(moved - whole).mean())


@pytest.mark.parametrize("window", [(8, 12, 48, 48), (47, 0, 48, 17), (2, 1, 3, 2)])
def test_windows_of_coarser_levels_hold_their_crops(window):
    top, left, height, width = window
    size = [1, min(16, height - top), min(16, width - left), 3]
    for level in (1, 2):
        size[1:3] = [corner_aligned.half(size[1]), corner_aligned.half(size[2])]
        static = hdrnet._coarser_window(window, level, size)
        assert static[0] + size[1] <= static[2] and static[1] + size[2] <= static[3]
        traced = hdrnet._coarser_window(jnp.asarray([window]), level, size)
        np.testing.assert_array_equal(traced, [static])


def test_every_parameter_receives_a_gradient():
    model = small_model("HDRNetPointwiseNNGuide", batch_norm=True)
    key = jax.random.key(0)
    low, full = jax.random.uniform(key, (4, 16, 16, 3)), jax.random.uniform(key, (4, 9, 8, 3))

    @jax.jit
    @jax.grad
    def gradient(params):
        out, _ = model.replace(params=params).apply(low, full, train=True)
        return jnp.square(out - full).sum()

    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient(model.params)):
        assert bool(jnp.isfinite(leaf).all()) and bool(leaf.any()), jax.tree_util.keystr(path)


@pytest.mark.parametrize("name", NAMES)
def test_describe_and_create_are_inverse(name):
    module = models.create(name, SMALL | {"lowres_method": "area"})
    assert models.create(*models.describe(module)) == module
    assert models.create(*models.describe(module.clone(axis_name="batch"))) == module


def test_a_model_can_be_made_inside_a_transformation():
    module = hdrnet.HDRNetCurves(net_input_size=16, spatial_bin=4, luma_bins=2)
    shapes = jax.eval_shape(lambda key: model_lib.Model.init(module, key), jax.random.key(0))
    drawn = model_lib.Model.init(module, jax.random.key(0))
    chex.assert_trees_all_equal_shapes(shapes, drawn)


def test_a_model_is_a_pytree():
    model = small_model("HDRNetCurves")
    doubled = jax.tree.map(lambda leaf: 2 * leaf, model)
    assert doubled.module == model.module
    image = jnp.ones((4, 4, 3))
    run = jax.jit(lambda m, x: m(x))
    run(model, image), run(doubled, image)
    assert run._cache_size() == 1
    assert dataclasses.is_dataclass(model) and hash(jax.tree.structure(model)) is not None


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"net_input_size": 200}, "net_input_size must be spatial_bin .16. times 2, 4, 8"),
        ({"net_input_size": 16}, "net_input_size"),
        ({"luma_bins": 0}, "luma_bins must be a positive int, got 0"),
        ({"channel_multiplier": 1.5}, "channel_multiplier must be a positive int, got 1.5"),
        ({"lowres_method": "cubic"}, "lowres_method must be one of"),
        ({"depth": 3}, "HDRNetCurves has no field depth; it has axis_name, batch_norm"),
    ],
)
def test_bad_hyperparameters_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        models.create("HDRNetCurves", fields)


def test_bad_names_and_images_are_named():
    with pytest.raises(ValueError, match="name must be one of .*got 'HDRNet'"):
        models.create("HDRNet")
    with pytest.raises(ValueError, match="preset must be one of .*got 'best'"):
        models.create("HDRNetCurves", preset="best")
    with pytest.raises(ValueError, match="module must be one of"):
        models.describe(guides.CurvesGuide())
    model = small_model("HDRNetCurves")
    with pytest.raises(TypeError, match="image must be float .* got uint8"):
        model(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match=r"image must be \[\*b, h, w, 3\], got \(4, 4\)"):
        model(jnp.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"lowres must be \[b, 16, 16, 3\]"):
        model.apply(jnp.zeros((1, 8, 8, 3)), jnp.zeros((1, 4, 4, 3)))
