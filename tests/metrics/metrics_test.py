"""Image metrics against scikit-image, closed forms and published values of real photos."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import images, metrics
from bilateral_jax.metrics import window_means
from tests import assets

pytestmark = pytest.mark.usefixtures("compiled_quickly")

_ALL = [
    metrics.psnr,
    metrics.ssim,
    functools.partial(metrics.ms_ssim, weights=(0.4, 0.6)),
    metrics.delta_e,
    metrics.delta_e_2000,
]
_NAMES = ["psnr", "ssim", "ms_ssim", "delta_e", "delta_e_2000"]
_SAMPLE = ("a0535", "a1305", "a2995", "a3451", "a4963")


def _images(kind):
    rng = np.random.default_rng(3)
    if kind == "random":
        return rng.random((37, 53, 3), np.float32), rng.random((37, 53, 3), np.float32)
    from skimage import data

    photo = data.astronaut()[100:260, 150:340].astype(np.float32) / 255
    worse = np.clip(photo**1.3 + rng.normal(0, 0.03, photo.shape), 0, 1).astype(np.float32)
    return worse, photo


def _sample(side, name):
    return images.read(assets.path("fivek_sample", side, f"{name}.png")).pixels


def _by_scikit_image(prediction, target):
    """PSNR, SSIM, CIE76 and CIEDE2000 of two float64 images."""
    from skimage import color
    from skimage import metrics as oracle

    ssim = oracle.structural_similarity(
        prediction,
        target,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1,
    )
    lab = color.rgb2lab(prediction), color.rgb2lab(target)
    return {
        "psnr": oracle.peak_signal_noise_ratio(target, prediction, data_range=1),
        "ssim": ssim,
        "delta_e": color.deltaE_cie76(*lab).mean(),
        "delta_e_2000": color.deltaE_ciede2000(*lab).mean(),
    }


def _terms_by_scipy(prediction, target, scales, *, shrink=False):
    """The factors of MS-SSIM in float64: `[scales, channels]`, the last row with luminance."""
    from scipy import ndimage, signal

    x, y = np.asarray(prediction, np.float64), np.asarray(target, np.float64)
    terms = []
    for scale in range(scales):
        if scale:
            means = (ndimage.convolve(z, np.full((2, 2, 1), 0.25), mode="reflect") for z in (x, y))
            x, y = (z[::2, ::2] for z in means)
        size = min(11, *x.shape[:2]) if shrink else 11
        taps = signal.windows.gaussian(size, 1.5 * size / 11)
        window = (np.outer(taps, taps) / taps.sum() ** 2)[..., None]
        blur = functools.partial(signal.convolve, in2=window, mode="valid", method="fft")
        mx, my = blur(x), blur(y)
        covariance, variances = blur(x * y) - mx * my, blur(x * x + y * y) - mx * mx - my * my
        local = (2 * covariance + 0.0009) / (variances + 0.0009)
        if scale == scales - 1:
            local = local * (2 * mx * my + 0.0001) / (mx * mx + my * my + 0.0001)
        terms.append(local.mean((0, 1)))
    return np.array(terms)


@pytest.mark.parametrize("kind", ["random", "photo"])
def test_all_agree_with_scikit_image(kind):
    prediction, target = _images(kind)
    expected = _by_scikit_image(prediction.astype(np.float64), target.astype(np.float64))
    for name, tolerance in {
        "psnr": 1e-4,
        "ssim": 2e-6,
        "delta_e": 2e-3,
        "delta_e_2000": 2e-3,
    }.items():
        got = getattr(metrics, name)(prediction, target)
        assert abs(float(got) - expected[name]) < tolerance, name


@pytest.mark.parametrize("name", _SAMPLE[:2])
def test_real_pairs_agree_with_scikit_image(name):
    pair = [_sample(side, name) for side in ("fllf", "expert_c")]
    expected = _by_scikit_image(*(x.astype(np.float64) / 255 for x in pair))
    pair = [images.to_float(x) for x in pair]
    for name, value in expected.items():
        tolerance = 2e-6 if name == "ssim" else 1e-5 if name == "psnr" else 3e-4
        assert abs(float(getattr(metrics, name)(*pair)) - value) < tolerance, name


def test_ms_ssim_agrees_with_scipy():
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
    pair = [images.to_float(_sample(side, "a1305")) for side in ("npea", "expert_c")]
    pair[0][..., 0] = pair[1][..., 0]  # so that the channels differ in similarity
    terms = _terms_by_scipy(*pair, 5)
    apart = np.prod(terms ** weights[:, None], axis=0).mean()
    together = np.prod(terms.mean(-1) ** weights)
    assert abs(apart - together) > 1e-5
    np.testing.assert_allclose(metrics.ms_ssim(*pair), apart, atol=2e-6)
    np.testing.assert_allclose(metrics.ms_ssim(*pair, channels="together"), together, atol=2e-6)


@pytest.mark.parametrize("shape", [(80, 100), (37, 91)])  # last windows of 10 and of 5
def test_ms_ssim_with_shrinking_windows(shape):
    rng = np.random.default_rng(5)
    target = rng.random((*shape, 3), np.float32)
    prediction = 0.7 * target + 0.3 * rng.random((*shape, 3), np.float32)
    weights = np.array([0.1, 0.2, 0.3, 0.4])
    terms = _terms_by_scipy(prediction, target, 4, shrink=True)
    np.testing.assert_allclose(
        metrics.ms_ssim(prediction, target, weights=weights.tolist(), window="shrinking"),
        np.prod(terms ** weights[:, None], axis=0).mean(),
        atol=2e-6,
    )


def test_values_of_dpeds_code_on_a_synthetic_pair():
    y, x, c = np.mgrid[0:100, 0:100, 0:3].astype(np.float32)
    first = 0.5 + 0.4 * np.sin(0.11 * x + 0.07 * y + c)
    second = 0.8 * first + 0.05 + 0.05 * np.sin(0.9 * x + 0.4 * y)
    got = metrics.ms_ssim(first, second, window="shrinking", channels="together")
    assert abs(float(got) - 0.9404098) < 1e-6
    batch = np.stack([first, first]), np.stack([second, first])
    whole = metrics.psnr(*(x.reshape(200, 100, 3) for x in batch))  # one error for the batch
    assert abs(float(metrics.psnr(first, second)) - 21.60424) < 1e-4
    np.testing.assert_allclose(whole, 21.60424 + 10 * np.log10(2), atol=1e-4)


def test_ms_ssim_counts_negative_structure_as_zero():
    checks = jnp.asarray((np.indices((48, 48)).sum(0) % 2)[..., None], jnp.float32)
    metric = functools.partial(metrics.ms_ssim, weights=(0.5, 0.5))
    value, slope = jax.jit(jax.value_and_grad(metric))(checks, 1.0 - checks)
    assert value == 0.0 and np.isfinite(slope).all()


# Lab, Lab, difference: the data that Sharma, Wu and Dalal published with their notes (table 1).
_SHARMA = """
50 2.6772 -79.7751 50 0 -82.7485 2.0425
50 3.1571 -77.2803 50 0 -82.7485 2.8615
50 2.8361 -74.02 50 0 -82.7485 3.4412
50 -1.3802 -84.2814 50 0 -82.7485 1
50 -1.1848 -84.8006 50 0 -82.7485 1
50 -0.9009 -85.5211 50 0 -82.7485 1
50 0 0 50 -1 2 2.3669
50 -1 2 50 0 0 2.3669
50 2.49 -0.001 50 -2.49 0.0009 7.1792
50 2.49 -0.001 50 -2.49 0.001 7.1792
50 2.49 -0.001 50 -2.49 0.0011 7.2195
50 2.49 -0.001 50 -2.49 0.0012 7.2195
50 -0.001 2.49 50 0.0009 -2.49 4.8045
50 -0.001 2.49 50 0.001 -2.49 4.8045
50 -0.001 2.49 50 0.0011 -2.49 4.7461
50 2.5 0 50 0 -2.5 4.3065
50 2.5 0 73 25 -18 27.1492
50 2.5 0 61 -5 29 22.8977
50 2.5 0 56 -27 -3 31.903
50 2.5 0 58 24 15 19.4535
50 2.5 0 50 3.1736 0.5854 1
50 2.5 0 50 3.2972 0 1
50 2.5 0 50 1.8634 0.5757 1
50 2.5 0 50 3.2592 0.335 1
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.263
61.2901 3.7196 -5.3901 61.4292 2.248 -4.962 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.694 23.0331 14.973 -42.5619 2.0373
36.4612 47.858 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.441 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.135 0.9033 -0.0636 -0.5514 0.9082
"""


def test_ciede2000_on_the_published_pairs():
    table = np.array([line.split() for line in _SHARMA.split("\n") if line], np.float64)
    assert table.shape == (34, 7)
    first, second, expected = table[:, :3], table[:, 3:6], table[:, 6]
    np.testing.assert_allclose(metrics.ciede2000(first, second), expected, atol=6e-5)
    np.testing.assert_allclose(metrics.ciede2000(second, first), expected, atol=6e-5)
    np.testing.assert_array_equal(metrics.ciede2000(first, first), 0.0)


def test_ciede2000_agrees_with_scikit_image_all_over_lab():
    from skimage import color

    rng = np.random.default_rng(4)
    first, second = rng.uniform((0, -110, -110), (100, 110, 110), (2, 20_000, 3))
    second[::4] = first[::4] + rng.normal(0, 1, first[::4].shape)
    first[::10, 1:] = 0  # greys have no hue
    first, second = first.astype(np.float32), second.astype(np.float32)
    expected = color.deltaE_ciede2000(first.astype(np.float64), second.astype(np.float64))
    np.testing.assert_allclose(metrics.ciede2000(first, second), expected, atol=1e-4, rtol=2e-6)


def _layers(image):
    return [image, jnp.stack([image[..., ::2, ::2, 0] ** 2, image[..., ::2, ::2, 1]], axis=-1)]


def test_perceptual_is_the_weighted_distance_of_unit_features():
    rng = np.random.default_rng(6)
    prediction, target = rng.random((2, 4, 8, 10, 3), np.float32)
    prediction[0, :2, :2] = 0  # no features there: nothing to scale to unit length
    weights = [np.array([0.5, 1.0, 0.25], np.float32), np.array([2.0, 0.0], np.float32)]
    for option in (weights, None):
        expected = 0
        for predicted, true, weight in zip(
            _layers(prediction), _layers(target), option or [np.ones(3), np.ones(2)]
        ):
            predicted, true = (
                x / (np.linalg.norm(x, axis=-1, keepdims=True) + 1e-10)
                for x in (np.asarray(predicted, np.float64), np.asarray(true, np.float64))
            )
            squares = (predicted - true) ** 2 * weight[None, None, None]
            expected = expected + squares.sum(-1).mean((1, 2))
        metric = jax.jit(functools.partial(metrics.perceptual, features=_layers, weights=option))
        got = metric(prediction, target)
        np.testing.assert_allclose(got, expected, rtol=1e-5)
    slope = jax.jit(jax.grad(lambda x: metric(x, target).sum()))(prediction)
    assert np.isfinite(slope).all() and np.abs(slope).max() > 0


def test_errors_of_features():
    image = np.zeros((8, 8, 3), np.float32)
    perceptual = functools.partial(metrics.perceptual, image, image)
    with pytest.raises(TypeError, match="features must give a list or tuple of layers, got "):
        perceptual(features=lambda x: x)
    with pytest.raises(ValueError, match="at least one layer"):
        perceptual(features=lambda x: [])
    with pytest.raises(ValueError, match=r"layer 1 of features must be \['h', 'w', 'c'\]"):
        perceptual(features=lambda x: [x, x[None]])
    with pytest.raises(ValueError, match="one array per layer of features, 2; got 1"):
        perceptual(features=_layers, weights=[np.ones(3)])
    with pytest.raises(ValueError, match=r"weights\[1\] must have shape \(2,\)"):
        perceptual(features=_layers, weights=[np.ones(3), np.ones(3)])


@pytest.mark.parametrize("metric", _ALL, ids=_NAMES)
def test_examples_are_independent_in_any_dtype_and_transformation(metric):
    rng = np.random.default_rng(0)
    prediction, target = rng.random((2, 2, 3, 24, 22, 3), np.float32)
    alone = jax.jit(metric)
    together = alone(prediction, target)
    assert together.shape == (2, 3) and together.dtype == jnp.float32
    np.testing.assert_allclose(together[1, 2], alone(prediction[1, 2], target[1, 2]), rtol=1e-5)
    mapped = jax.jit(jax.vmap(metric))(prediction, target)
    np.testing.assert_allclose(mapped, together, rtol=1e-5)
    short = [jnp.asarray(x, jnp.bfloat16) for x in (prediction[0, 0], target[0, 0])]
    assert alone(*short).dtype == jnp.float32
    np.testing.assert_allclose(
        alone(*short), alone(*(x.astype(jnp.float32) for x in short)), rtol=1e-6
    )


@pytest.mark.parametrize("metric", _ALL, ids=_NAMES)
def test_gradients_agree_with_differences(metric):
    rng = np.random.default_rng(8)
    target = rng.random((22, 24, 3), np.float32)
    prediction = np.clip(target + rng.normal(0, 0.1, target.shape), 0.02, 0.98).astype(np.float32)
    prediction[0, :4], target[0, 4:8] = 0, 0.5  # black and grey: no hue, no chroma
    prediction[0, 8:12] = target[0, 8:12]  # no difference
    value_and_slope = jax.jit(jax.value_and_grad(metric))
    slope = value_and_slope(prediction, target)[1]
    assert np.isfinite(slope).all()
    step = np.zeros_like(target)
    step[1:-1] = 1e-3 * rng.normal(size=step[1:-1].shape)
    ahead, behind = (value_and_slope(prediction + s * step, target)[0] for s in (1, -1))
    np.testing.assert_allclose((ahead - behind) / 2, np.vdot(slope, step), rtol=0.02, atol=2e-6)


def test_large_images_are_computed_in_tiles_with_the_same_result(monkeypatch):
    rng = np.random.default_rng(9)
    prediction, target = rng.random((2, 2, 53, 41, 3), np.float32)
    whole = [metric(prediction, target) for metric in _ALL[1:]]
    # Tiles of 7 rows: 43 rows of windows are not a multiple. Another shape than above, since a
    # compiled function does not read the constant again.
    monkeypatch.setattr(window_means, "_TILE_PIXELS", 7 * 2 * 41)
    for metric, value in zip(_ALL[1:], whole):
        got = jax.jit(metric)(prediction[None], target[None])
        np.testing.assert_allclose(got[0], value, rtol=3e-6)
    monkeypatch.setattr(window_means, "_TILE_PIXELS", 42 * 2 * 41)
    pair = (x[None, None] for x in (prediction, target))
    np.testing.assert_allclose(metrics.ssim(*pair)[0, 0], whole[0], rtol=3e-6)


def test_known_values():
    grey = jnp.full((12, 12, 3), 0.5)
    assert metrics.psnr(grey, grey) == jnp.inf
    np.testing.assert_allclose(
        metrics.psnr_from_mse(jnp.array([0.01, 0.0])), [20.0, 100.0], rtol=1e-6
    )
    np.testing.assert_allclose(metrics.psnr(grey + 0.1, grey), 20.0, atol=1e-4)
    np.testing.assert_allclose(metrics.ssim(grey, grey), 1.0, atol=1e-6)
    black_and_white = jnp.ones((2, 2, 3)), jnp.zeros((2, 2, 3))
    np.testing.assert_allclose(metrics.delta_e(*black_and_white), 100.0, atol=1e-2)
    np.testing.assert_allclose(metrics.delta_e_2000(*black_and_white), 100.0, atol=1e-2)
    checks = jnp.asarray((np.indices((24, 24)).sum(0) % 2)[..., None], jnp.float32)
    assert metrics.ssim(checks, 1.0 - checks) < -0.99


def test_ssim_is_one_for_equal_dark_and_bright_images():
    noise = np.random.default_rng(1).random((32, 32, 3), np.float32)
    for scale, shift in ((1e-3, 0.0), (1e-3, 0.999), (1.0, 0.0)):
        image = noise * np.float32(scale) + np.float32(shift)
        np.testing.assert_allclose(metrics.ssim(image, image), 1.0, atol=1e-5)


def test_round_to_8bit():
    values = np.array([-0.2, 0.0, 0.4999 / 255, 0.5001 / 255, 254.6 / 255, 1.0, 1.7], np.float32)
    np.testing.assert_array_equal(
        np.rint(metrics.round_to_8bit(values) * 255), [0, 0, 0, 1, 255, 255, 255]
    )


def test_errors_name_the_argument():
    image = np.zeros((16, 16, 3), np.float32)
    with pytest.raises(TypeError, match="prediction has dtype uint8"):
        metrics.psnr(image.astype(np.uint8), image)
    with pytest.raises(ValueError, match="same shape"):
        metrics.psnr(image, image[:-1])
    with pytest.raises(ValueError, match=r"\[\*b, h, w, c\]"):
        metrics.psnr(image[0], image[0])
    with pytest.raises(ValueError, match="with pixels"):
        metrics.psnr(image[:0], image[:0])
    with pytest.raises(ValueError, match="at least 11"):
        metrics.ssim(image[:10], image[:10])
    with pytest.raises(ValueError, match="5 scales needs at least 161 x 161 pixels"):
        metrics.ms_ssim(*np.zeros((2, 160, 300, 3), np.float32))
    with pytest.raises(ValueError, match="weights must hold one exponent per scale"):
        metrics.ms_ssim(image, image, weights=())
    with pytest.raises(ValueError, match='window must be "full" or "shrinking"'):
        metrics.ms_ssim(image, image, window="small")
    with pytest.raises(ValueError, match='channels must be "apart" or "together"'):
        metrics.ms_ssim(image, image, channels="mixed")
    for metric in (metrics.delta_e, metrics.delta_e_2000):
        with pytest.raises(ValueError, match="3 sRGB channels"):
            metric(image[..., :1], image[..., :1])
    with pytest.raises(ValueError, match="ends in 3"):
        metrics.ciede2000(image[..., :2], image[..., :2])


# PSNR in dB of 8-bit RGB against expert C, as published with the photos (a0535 ... a4963).
@pytest.mark.parametrize(
    ("side", "expected"),
    [
        ("input", (23.38, 20.79, 26.88, 21.77, 23.11)),
        ("fllf", (19.25, 19.48, 20.99, 18.31, 19.39)),
        ("npea", (17.09, 17.42, 16.56, 20.41, 23.82)),
        ("clhe", (17.02, 16.17, 17.56, 18.59, 16.96)),
    ],
)
def test_published_psnr_of_the_sample_photos(side, expected):
    got = [
        metrics.psnr(*(images.to_float(_sample(each, name)) for each in (side, "expert_c")))
        for name in _SAMPLE
    ]
    np.testing.assert_allclose(got, expected, atol=0.005)  # two digits were published
