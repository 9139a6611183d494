"""DPED's critic against loops in float64, and initial weights (the rest: row_tiles_test.py)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import color, inference, models
from bilateral_jax.models import model

pytestmark = pytest.mark.usefixtures("compiled_quickly")


def random_critic(**fields):
    module = models.create("DPEDCritic", {"channels": [2, 3, 2, 3, 2], "hidden": 4, **fields})
    shapes = jax.eval_shape(module.init, jax.random.key(0), *module.example_inputs())["params"]
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), shapes)
    return model.Model(params, {}, module)


def convolved(x, layer, stride):
    """TensorFlow's SAME: output ceil(n / stride); of the zeros the smaller half comes first."""
    kernel = layer["kernel"].astype(np.float64)
    side, count = kernel.shape[0], [-(-n // stride) for n in x.shape[:2]]
    total = [max((c - 1) * stride + side - n, 0) for c, n in zip(count, x.shape[:2])]
    padded = np.pad(x, [(t // 2, t - t // 2) for t in total] + [(0, 0)])
    out = np.zeros((*count, kernel.shape[-1]))
    for i in range(count[0]):
        for j in range(count[1]):
            patch = padded[i * stride : i * stride + side, j * stride : j * stride + side]
            out[i, j] = np.tensordot(patch, kernel, 3)
    return out + layer["bias"]


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def critic_by_loops(params, image, *, pooled):
    x = image.astype(np.float64)
    for i, stride in enumerate((4, 2, 1, 1, 2)):
        x = leaky(convolved(x, params[f"conv_{i}"], stride))
        if i and not (pooled and i == 4):
            norm = params[f"norm_{i}"]
            x = (x - x.mean((0, 1))) / np.sqrt(x.var((0, 1)) + 1e-3) * norm["scale"] + norm["shift"]
    x = x.mean((0, 1)) if pooled else x.reshape(-1)
    x = leaky(x @ params["hidden"]["kernel"] + params["hidden"]["bias"])
    return x @ params["last"]["kernel"] + params["last"]["bias"]


@pytest.mark.parametrize("pooled", [False, True])
def test_the_critic_is_the_published_graph(pooled):
    critic = random_critic(size=30, pooled=pooled)
    images = np.random.default_rng(1).random((2, 30, 30, 3), np.float32)
    logits = critic.apply(color.gray(images))
    gray = images @ np.array([[0.2989], [0.5870], [0.1140]])
    expected = np.stack([critic_by_loops(critic.params, image, pooled=pooled) for image in gray])
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert np.ptp(expected, axis=0).min() > 0.01 * np.abs(expected).max()  # tells images apart


def test_one_logit_is_the_score_of_colours():
    critic = random_critic(size=30, pooled=True, input_channels=3, logits=1)
    images = np.random.default_rng(1).random((2, 30, 26, 3), np.float32)
    expected = [critic_by_loops(critic.params, image, pooled=True)[0] for image in images]
    scores = critic.apply(images)
    assert scores.shape == (2,)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_the_critic_has_the_published_size():
    published = 7_361_122
    assert count_of({}) == published
    assert count_of({"pooled": True}) == published - (7 * 7 - 1) * 128 * 1024 - 2 * 128
    assert count_of({"input_channels": 3}) == 7_372_738  # WESPE's of colours
    assert count_of({"logits": 1}) == published - 1025


def count_of(fields):
    module = models.create("DPEDCritic", fields)
    return model.parameter_count(model.variable_shapes(module)["params"])


def test_patches_of_another_size_need_pooling():
    patches = np.zeros((1, 18, 20, 1), np.float32)
    with pytest.raises(ValueError, match="patches of 30 x 30 pixels, got 18 x 20; pooled=True"):
        random_critic(size=30).apply(patches)
    assert random_critic(size=30, pooled=True).apply(jnp.asarray(patches)).shape == (1, 2)
    for size, pooled in ((16, False), (8, True)):
        critic, small = random_critic(size=size + 1, pooled=pooled), patches[:, :size, :size]
        with pytest.raises(ValueError, match=f"{size} x {size} .* one side must exceed {size}"):
            critic.apply(small)
    one_pixel = random_critic(size=1, norm="none").apply(jnp.ones((1, 1, 1, 1)))
    assert one_pixel.shape == (1, 2) and np.any(one_pixel)
    with pytest.raises(ValueError, match="channels must be five numbers"):
        models.create("DPEDCritic", {"channels": [1, 2]})


def test_other_inputs_and_outputs_are_named():
    with pytest.raises(ValueError, match=r"must have 1 channels .*got shape \(1, 30, 30, 3\)"):
        random_critic(size=30).apply(jnp.zeros((1, 30, 30, 3)))
    with pytest.raises(ValueError, match="input_channels must be 1 or 3, got 2"):
        models.create("DPEDCritic", {"input_channels": 2})
    with pytest.raises(ValueError, match="logits must be 1 or 2, got 3"):
        models.create("DPEDCritic", {"logits": 3})


@pytest.mark.parametrize(
    "name, fields, message",
    [
        ("DPED", {"width": 0}, "width must be a positive int, got 0"),
        ("DPED", {"blocks": 1.5}, "blocks must be an int of at least 0, got 1.5"),
        ("DPEDCritic", {"size": -1}, "size must be a positive int, got -1"),
        ("DPEDCritic", {"hidden": True}, "hidden must be a positive int, got True"),
        ("DPEDCritic", {"channels": (1, 2, 0, 4, 5)}, "channels must be positive ints, got"),
    ],
)
def test_sizes_of_layers_are_checked(name, fields, message):
    with pytest.raises(ValueError, match=message):
        models.create(name, fields)


def test_a_critic_without_norms_sees_the_brightness_of_a_patch():
    patches = np.random.default_rng(1).random((1, 30, 30, 3), np.float32)
    scores = {}
    for norm in ("instance", "none"):
        fields = {"channels": [8, 8, 8, 8, 8], "hidden": 8, "size": 30, "logits": 1}
        module = models.create("DPEDCritic", {**fields, "input_channels": 3, "norm": norm})
        critic = jax.jit(model.Model.init(module, jax.random.key(0)).apply)
        bright, dark = critic(patches), critic(0.5 * patches)
        scores[norm] = float(np.abs(bright - dark)[0] / np.abs(bright)[0])
    assert scores["none"] > 0.3 > 3 * scores["instance"]
    with pytest.raises(ValueError, match="norm must be one of .*got 'batch'"):
        models.create("DPEDCritic", {"norm": "batch"})


def test_he_initialisation_keeps_the_signal():
    image = np.random.default_rng(0).random((1, 12, 12, 3), np.float32)
    spread = {}
    for initial in ("published", "he"):
        module = models.create("DPED", {"width": 8, "blocks": 1, "initial": initial})
        spread[initial] = float(model.Model.init(module, jax.random.key(0)).apply(image).std())
    assert spread["he"] > 10 * spread["published"]
    with pytest.raises(ValueError, match="initial must be one of .*got 'xavier'"):
        models.create("DPED", {"initial": "xavier"})
    with pytest.raises(ValueError, match="residual must be True or False, got 1"):
        models.create("DPED", {"residual": 1})
    with pytest.raises(ValueError, match="border must be one of .*got 'mirror'"):
        models.create("DPED", {"border": "mirror"})


@pytest.mark.parametrize("border", ["zeros", "reflect"])
def test_the_border_shows_only_where_zeros_lie_beyond(border):
    """On columns that repeat the reflected image goes on as it is; in row tiles as in one."""
    module = models.create("DPED", {"width": 3, "blocks": 1, "initial": "he", "border": border})
    network = model.Model.init(module, jax.random.key(0))
    rows = np.random.default_rng(0).random((37, 1, 3), np.float32)
    out = inference.enhance(network, np.repeat(rows, 24, axis=1), tile_rows=8)
    spread = np.abs(out - out[:, 12:13]).max()
    assert spread < 1e-5 if border == "reflect" else spread > 1e-2
    for shape in ((37, 24), (3, 2), (1, 1)):
        image = np.random.default_rng(1).random((*shape, 3), np.float32)
        whole = np.clip(jax.jit(network.apply)(image[None])[0], 0, 1)
        tiled = inference.enhance(network, image, tile_rows=8)
        np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_a_residual_generator_starts_as_the_identity_and_keeps_its_weights_apart():
    image = np.random.default_rng(0).random((1, 12, 15, 3), np.float32)
    fields = {"width": 4, "blocks": 1, "initial": "he"}
    module = models.create("DPED", {**fields, "residual": True})
    residual = model.Model.init(module, jax.random.key(0))
    np.testing.assert_array_equal(residual.apply(image), image)

    @jax.jit
    @jax.grad
    def gradient_of(params):
        return jnp.square(model.Model(params, {}, module).apply(image) - 0.5).mean()

    gradient = gradient_of(residual.params)
    assert np.abs(gradient["residual"]["kernel"]).max() > 1e-4
    # The two kinds read their last layer differently: weights of one in the other would be wrong.
    plain = models.create("DPED", fields)
    with pytest.raises(ValueError, match="residual"):
        model.Model.from_leaves(plain, residual.params, {})
