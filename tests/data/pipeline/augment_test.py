"""Augmentation: both members alike, windows, probabilities, low-resolution inputs."""

import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import color, images, resize
from bilateral_jax.data.pipeline import augment


def element(height=6, width=9, dtype=np.uint8):
    """Every pixel has its own value; the target differs from the input by 1 everywhere."""
    values = np.arange(height * width * 3).reshape(height, width, 3).astype(dtype)
    return {"input": values, "target": values + dtype(1), "name": "photo"}


def test_both_members_change_alike_and_the_argument_does_not():
    before = element()
    for seed in range(20):
        after = augment.flip(before, np.random.default_rng(seed))
        after = augment.rotate(after, np.random.default_rng(seed))
        after = augment.random_crop(after, np.random.default_rng(seed), size=4)
        np.testing.assert_array_equal(after["input"] + 1, after["target"])
        assert after["name"] == "photo"
    np.testing.assert_array_equal(before["input"], element()["input"])


def test_four_flips_are_equally_likely():
    original, counts = element()["input"], {}
    for seed in range(400):
        flipped = augment.flip(element(), np.random.default_rng(seed))["input"]
        matches = [
            (down, right)
            for down in (1, -1)
            for right in (1, -1)
            if np.array_equal(flipped, original[::down, ::right])
        ]
        assert len(matches) == 1
        counts[matches[0]] = counts.get(matches[0], 0) + 1
    assert len(counts) == 4 and min(counts.values()) > 70


def test_four_rotations_occur():
    seen = set()
    for seed in range(40):
        rotated = augment.rotate(element(), np.random.default_rng(seed))["input"]
        turns = [k for k in range(4) if np.array_equal(rotated, np.rot90(element()["input"], k))]
        assert len(turns) == 1
        seen.add(turns[0])
    assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize("size", [1, 6, (2, 9), (6, 9), (6, 1)])
def test_window_is_the_position_of_the_crop(size):
    corners = set()
    for seed in range(60):
        crop = augment.random_crop(element(), np.random.default_rng(seed), size=size)
        top, left, height, width = crop["window"]
        assert crop["window"].dtype == np.int32 and (height, width) == (6, 9)
        rows, columns = crop["input"].shape[:2]
        assert (rows, columns) == ((size, size) if np.ndim(size) == 0 else size)
        expected = element()["input"][top : top + rows, left : left + columns]
        np.testing.assert_array_equal(crop["input"], expected)
        corners.add((int(top), int(left)))
    # Every position is possible, the first and the last included.
    assert (0, 0) in corners or size == 1
    assert max(top for top, _ in corners) == 6 - rows
    assert max(left for _, left in corners) == 9 - columns


def test_too_small_a_photo_is_named():
    with pytest.raises(ValueError, match="'photo' of 6 x 9 pixels .* crop of 7 x 7"):
        augment.random_crop(element(), np.random.default_rng(0), size=7)
    with pytest.raises(ValueError, match="crop of 2 x 10"):
        augment.random_crop(element(), np.random.default_rng(0), size=(2, 10))


def test_jitter_is_pixelwise_and_stays_in_range():
    image = np.random.default_rng(0).uniform(size=(8, 9, 3)).astype(np.float32)
    options = {"exposure": 1.0, "contrast": 0.5, "saturation": 0.8}
    change = augment.draw_jitter(np.random.default_rng(3), **options)
    whole = change(image)
    assert whole.dtype == np.float32 and whole.min() >= 0 and whole.max() <= 1
    np.testing.assert_array_equal(change(image[2:5, 3:7]), whole[2:5, 3:7])
    assert np.abs(whole - image).max() > 0.05
    again = augment.draw_jitter(np.random.default_rng(3), **options)(image)
    np.testing.assert_array_equal(again, whole)


def test_exposure_contrast_and_saturation_jitter():
    image = np.random.default_rng(0).uniform(0.3, 0.6, size=(5, 5, 3)).astype(np.float32)
    rng = np.random.default_rng
    np.testing.assert_allclose(augment.draw_jitter(rng(0))(image), image)
    exposed = color.srgb_to_linear(augment.draw_jitter(rng(0), exposure=0.5)(image))
    ratio = exposed / color.srgb_to_linear(image)
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-3)
    assert 2**-0.5 <= ratio.mean() <= 2**0.5 and abs(ratio.mean() - 1) > 0.01
    contrasted = augment.draw_jitter(rng(0), contrast=0.5)(image) - 0.5
    gain = (contrasted / (image - 0.5)).mean()
    np.testing.assert_allclose(contrasted, gain * (image - 0.5), atol=1e-5)
    saturated = augment.draw_jitter(rng(0), saturation=0.5)(image)
    np.testing.assert_allclose(color.luminance(saturated), color.luminance(image), atol=1e-5)
    assert np.abs(saturated - image).max() > 0.01
    brighter = augment.draw_jitter(rng(0), brightness=0.5)(image)
    factor = (brighter / image).mean()
    np.testing.assert_allclose(brighter, factor * image, rtol=1e-5)
    assert 0.5 <= factor <= 1.5 and abs(factor - 1) > 0.01
    # What seeds gave before there was a brightness stays.
    plain, further = (
        augment.draw_jitter(rng(0), saturation=0.5, brightness=each)(image) for each in (0, 1e-9)
    )
    np.testing.assert_array_equal(plain, further)


@pytest.mark.parametrize("method", resize.METHODS)
@pytest.mark.parametrize("shape, size", [((37, 50), 16), ((16, 90), 32), ((5, 3), 8), ((8, 8), 8)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_lowres_equals_that_of_the_models(method, shape, size, dtype):
    pixels = np.random.default_rng(0).uniform(size=(*shape, 3))
    if dtype == np.float32:
        pixels = pixels.astype(np.float32)
    else:
        pixels = (pixels * np.iinfo(dtype).max).astype(dtype)
    actual = resize.resize_pixels(pixels, size, method=method)
    assert actual.dtype == np.float32 and actual.shape == (size, size, 3)
    expected = resize.resize(jnp.asarray(images.as_float(pixels)), size, method=method)
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_area_lowres_keeps_the_mean():
    pixels = np.random.default_rng(0).uniform(size=(45, 64, 3)).astype(np.float32)
    small = resize.resize_pixels(pixels, 12)
    np.testing.assert_allclose(small.mean((0, 1)), pixels.mean((0, 1)), atol=4e-6)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="bicubic"):
        resize.resize_pixels(element()["input"], 4, method="bicubic")
    with pytest.raises(TypeError, match="int64"):
        images.as_float(np.zeros((2, 2, 3), np.int64))
