"""Deep Photo Enhancer against float64 arithmetic, its tiles, its sets of batch norm. 30 seconds."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import inference, models
from bilateral_jax.inference import by_halo_tiles
from bilateral_jax.models import dpe, inference_methods
from bilateral_jax.models import model as model_lib

pytestmark = pytest.mark.usefixtures("compiled_quickly")
SMALL = {"width": 1, "size": 64, "norm_sets": 2}


def random_model(name, **fields):
    """A network whose weights keep the size of the signal, with random statistics."""
    module = models.create(name, fields)
    shapes = model_lib.variable_shapes(module)
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        own = path[-1].key
        if own == "kernel":
            return rng.normal(size=leaf.shape) * np.sqrt(1 / np.prod(leaf.shape[:-1]))
        centre = own.startswith(("scale", "variance"))
        return centre + rng.uniform(-0.3, 0.3, leaf.shape)

    drawn = jax.tree_util.tree_map_with_path(
        lambda path, leaf: np.float32(draw(path, leaf)), shapes
    )
    return model_lib.Model(drawn["params"], drawn.get("batch_stats", {}), module)


@functools.cache
def small(**changes):
    return random_model("DPE", **SMALL | changes)


@jax.jit
def enhanced(model, image):
    """The whole image by one compiled function for each network and size."""
    return model(image)


@functools.partial(jax.jit, static_argnames=("norm_set", "train"))
def applied(model, images, *, norm_set=0, train=False):
    return model.apply(images, norm_set=norm_set, train=train)


def noise(*size):
    return np.random.default_rng(1).random((*size, 3), np.float32)


def convolved(x, layer, stride=1, *, mirrored=True):
    """Every output pixel is the product of a patch and the kernel."""
    kernel = layer["kernel"].astype(np.float64)
    side = kernel.shape[0]
    if mirrored:
        reach = (side - 1) // 2
        x = np.pad(x, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    rows, columns = ((n - side) // stride + 1 for n in x.shape[:2])
    out = np.zeros((rows, columns, kernel.shape[-1]))
    for i in range(rows):
        for j in range(columns):
            patch = x[i * stride : i * stride + side, j * stride : j * stride + side]
            out[i, j] = np.tensordot(patch, kernel, 3)
    return out + layer["bias"]


def activated(x):
    alpha, scale = 1.0198755295894968, 1.0026538655307724
    return np.where(x >= 0, scale * x, scale * alpha * (np.exp(x) - 1))


def generator_by_loops(model, image, norm_set):
    params, stats = model.params, model.batch_stats

    def layer(name, x, *step):
        return convolved(x, params[name]["convolution"], *step)

    def normalised(name, x):
        own = {**params[name], **stats[name]}
        scale, shift, mean, variance = (
            own[f"{leaf}_{norm_set}"] for leaf in ("scale", "shift", "mean", "variance")
        )
        return (activated(x) - mean) / np.sqrt(variance + 1e-5) * scale + shift

    x, raw = image.astype(np.float64), []
    for i, stride in enumerate((1, 2, 2, 2, 2)):
        raw.append(layer(f"encoder_{i}", x, stride))
        x = normalised(f"encoder_norms_{i}", raw[-1])
    vector = x
    for i in range(2):
        vector = normalised(f"summary_norms_{i}", layer(f"summary_{i}", vector, 2))
    vector = layer("vector", activated(convolved(vector, params["head"], mirrored=False)))
    x = layer("middle", x)
    x = np.concatenate([x, np.tile(vector, (*x.shape[:2], 1))], -1)
    x = normalised("fusion_norm", layer("fusion", x))
    for i, skip in enumerate(raw[3::-1]):
        x = layer(f"decoder_{i}", x).repeat(2, 0).repeat(2, 1)
        x = normalised(f"decoder_norms_{i}", np.concatenate([x, skip], -1))
    x = normalised("last_norm", layer("last_0", x))
    return image + layer("last_1", x)


def critic_by_loops(params, image, *, pooled):
    x = image.astype(np.float64)
    for i in range(6):
        x = convolved(x, params[f"conv_{i}"]["convolution"], 2 if i else 1)
        x = np.maximum(x, 0.2 * x)
        if not (pooled and i == 5):
            norm = params[f"norm_{i}"]
            x = (x - x.mean((0, 1))) / np.sqrt(x.var((0, 1)) + 1e-5) * norm["scale"] + norm["shift"]
    return convolved(x, params["last"], mirrored=False).mean()


@pytest.mark.parametrize(
    ("name", "fields", "parameters", "statistics"),
    [
        ("DPE", {}, 3_335_395, 2_720),
        ("DPE", {"norm_sets": 2}, 3_338_115, 5_440),
        ("DPE", {"pooled": True}, 3_335_395 - 63 * 128 * 128, 2_720),
        ("DPECritic", {}, 1_122_689, 0),
        ("DPECritic", {"pooled": True}, 1_122_689 - 255 * 128 - 2 * 128, 0),
    ],
)
def test_parameters_are_counted_as_published(name, fields, parameters, statistics):
    shapes = model_lib.variable_shapes(models.create(name, fields))
    assert model_lib.parameter_count(shapes["params"]) == parameters
    assert model_lib.parameter_count(shapes.get("batch_stats", {})) == statistics


def test_the_generator_is_the_published_graph():
    images = noise(3, 64, 64)
    out = applied(small(), images, norm_set=1)
    assert out.shape == (3, 64, 64, 3)
    expected = generator_by_loops(small(), images[1], norm_set=1)
    assert np.abs(expected - images[1]).std() > 0.1
    np.testing.assert_allclose(out[1], expected, atol=2e-5)


@pytest.mark.parametrize("pooled", [False, True])
def test_the_critic_is_the_published_graph(pooled):
    critic, images = random_model("DPECritic", width=1, size=64, pooled=pooled), noise(2, 64, 64)
    scores = jax.jit(lambda critic, images: critic.apply(images))(critic, images)
    assert scores.shape == (2,)
    expected = [critic_by_loops(critic.params, image, pooled=pooled) for image in images]
    np.testing.assert_allclose(scores, expected, atol=1e-4 * np.abs(expected).max())
    assert np.ptp(expected) > 0.01 * np.abs(expected).max()  # tells images apart


def test_a_critic_without_norms_sees_the_brightness_of_a_photo():
    """Of half the light the score is half as far from 0; with instance norm nearly the same."""
    images = noise(2, 64, 64)
    for norm, factor in (("instance", 1.0), ("none", 0.5)):
        module = models.create("DPECritic", {"width": 2, "size": 64, "norm": norm})
        critic = model_lib.Model.init(module, jax.random.key(0))
        assert ("norm_0" in critic.params) == (norm == "instance")
        scores, of_half = (np.asarray(critic.apply(scale * images)) for scale in (1.0, 0.5))
        np.testing.assert_allclose(of_half, factor * scores, atol=0.25 * np.abs(scores).max())
    module = models.create("DPECritic", {"width": 1, "size": 32, "norm": "none"})
    small_critic = model_lib.Model.init(module, jax.random.key(0))
    assert np.isfinite(small_critic.apply(noise(2, 32, 32))).all()


def test_the_activation_has_the_published_constants():
    values, slopes = jax.vmap(jax.value_and_grad(dpe.selu))(jnp.float32([-1, 0, 2, -200]))
    np.testing.assert_allclose(values[:3], [-0.64640, 0, 2 * dpe.SELU_SCALE], atol=5e-6)
    np.testing.assert_allclose(values[3], -1.0225822, rtol=1e-6)
    assert np.isfinite(slopes).all()


def test_the_output_is_the_input_where_the_last_layer_is_zero():
    zero = jax.tree.map(np.zeros_like, small().params["last_1"])
    model = small().replace(params=small().params | {"last_1": zero})
    image = noise(17, 40)
    np.testing.assert_array_equal(enhanced(model, image), image)


def test_the_first_residual_is_small():
    """1e-3 of variance after a layer that is normalised; next to nothing by moving statistics."""
    model = model_lib.Model.init(models.create("DPE", {"width": 4, "size": 64}), jax.random.key(0))
    images = noise(3, 64, 64)
    by_batch, _ = applied(model, images, train=True)
    assert 0.02 < np.std(by_batch - images) < 0.05
    assert np.abs(applied(model, images) - images).max() < 1e-3


def test_a_far_block_of_pixels_changes_every_pixel():
    image = noise(300, 225)
    other = image.copy()
    other[-32:] = 1  # below the halo of the first hundred rows
    near = np.abs(enhanced(small(), other) - enhanced(small(), image))[:100]
    assert (near.max(-1) > 1e-6).mean() > 0.99


@functools.cache
def trained():
    """Gradient of a loss and statistics after it, by set 1 of two."""

    def loss(params, images):
        out, changed = small().replace(params=params).apply(images, norm_set=1, train=True)
        return jnp.square(out - 0.5).mean(), changed.batch_stats

    return jax.jit(jax.grad(loss, has_aux=True))(small().params, noise(3, 64, 64))


def test_a_call_updates_the_statistics_of_its_own_set():
    _, stats = trained()
    for path, leaf in jax.tree.leaves_with_path(stats):
        before = small().batch_stats[path[0].key][path[1].key]
        assert np.any(leaf != before) == path[1].key.endswith("1"), path
    first = small().params["encoder_0"]["convolution"]
    values = activated(np.stack([convolved(image, first) for image in noise(3, 64, 64)]))
    for name, measured in {
        "mean": values.mean((0, 1, 2)),
        "variance": values.var((0, 1, 2)),
    }.items():
        found, old = (x["encoder_norms_0"][f"{name}_1"] for x in (stats, small().batch_stats))
        np.testing.assert_allclose(found, 0.9 * old + 0.1 * measured, atol=1e-5)


def test_gradients_reach_every_leaf_of_the_set_and_no_other():
    gradient, _ = trained()
    for path, leaf in jax.tree.leaves_with_path(gradient):
        own = path[-1].key not in ("scale_0", "shift_0")
        assert np.isfinite(leaf).all() and np.any(leaf) == own, path


@pytest.mark.parametrize("size", [(17, 40), (300, 225), (37, 250)])
def test_tiles_equal_the_whole(size, monkeypatch):
    monkeypatch.setattr(by_halo_tiles, "_LEAST_SIDE", 16)
    monkeypatch.setattr(by_halo_tiles.tiles, "FEATURES", 3 * 220 * 220)
    image, rendered = noise(*size), []
    real = by_halo_tiles._render
    monkeypatch.setattr(by_halo_tiles, "_render", lambda *a: rendered.append(a) or real(*a))
    whole = enhanced(small(), image)
    out = inference.enhance(small(), image, tile_rows=32)
    np.testing.assert_allclose(out, whole, atol=1e-5)
    assert (len(rendered) > 1) == (max(size) >= 250)
    assert np.std(whole - image) > 0.05


def test_a_smaller_halo_shows(monkeypatch):
    monkeypatch.setattr(by_halo_tiles, "_LEAST_SIDE", 16)
    monkeypatch.setattr(by_halo_tiles.tiles, "FEATURES", 3 * 112 * 112)
    image = noise(37, 250)
    whole = enhanced(small(), image)
    monkeypatch.setattr(dpe, "_HALO", 40)
    assert np.abs(inference.enhance(small(), image, tile_rows=32) - whole).max() > 1e-3


@pytest.mark.parametrize("size", [(64, 40), (21, 64)])
def test_a_photo_of_the_size_of_the_training_is_continued_by_mirroring(size):
    image = noise(*size)
    square = np.pad(image, [(0, 64 - n) for n in size] + [(0, 0)], mode="symmetric")
    expected = applied(small(), np.stack([square] * 3))[0, : size[0], : size[1]]
    np.testing.assert_allclose(inference.enhance(small(), image), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((64, 64), (64, 64)), ((50, 400), (144, 400)), ((401, 390), (416, 416)), ((1, 1), (16, 16))],
)
def test_photos_are_continued_as_far_as_the_halo_reaches(size, expected):
    assert small().module.inference_method.mirrored_size(*size) == expected


def test_16_bit_pixels_are_kept():
    pixels = (noise(17, 40) * 65535).astype(np.uint16)
    out = inference.enhance(small(), pixels)
    expected = np.clip(enhanced(small(), pixels / np.float32(65535)), 0, 1) * 65535
    assert out.dtype == np.uint16 and len(np.unique(out)) > 256
    np.testing.assert_allclose(out, expected, atol=1)


def test_pooled_networks_are_trained_at_other_sizes():
    generator = random_model("DPE", **SMALL, pooled=True)
    critic = random_model("DPECritic", width=1, size=64, pooled=True)
    shape = jax.eval_shape(generator.apply, noise(1, 80, 96)).shape
    assert shape == (1, 80, 96, 3)
    assert jax.eval_shape(critic.apply, noise(2, 96, 64)).shape == (2,)
    with pytest.raises(ValueError, match="sides that are multiples of 32, got 80 x 64"):
        critic.apply(noise(1, 80, 64))


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("DPE", {"size": 500}, "size must be a multiple of 64, got 500"),
        ("DPE", {"norm_sets": 0}, "norm_sets must be a positive int, got 0"),
        ("DPE", {"width": True}, "width must be a positive int, got True"),
        ("DPECritic", {"size": 32}, "size must be at least 64, got 32: of smaller photos one"),
        ("DPECritic", {"norm": "batch"}, "norm must be one of .*, got 'batch'"),
    ],
)
def test_wrong_fields_are_named(name, fields, message):
    with pytest.raises(ValueError, match=message):
        models.create(name, fields)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"photos of 64 x 64 pixels \(its size\), got 80 x 64"):
        small().apply(noise(1, 80, 64))
    with pytest.raises(ValueError, match="norm_set must be an int below norm_sets, 2, got 2"):
        small().apply(noise(1, 64, 64), norm_set=2)
    assert isinstance(small().module.inference_method, inference_methods.ByHaloTiles)
