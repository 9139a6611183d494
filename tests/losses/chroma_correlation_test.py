"""The correlation of two images' chroma against float64, what changes it, masks, gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax.losses import chroma_correlation as module
from bilateral_jax.losses.chroma_correlation import chroma_correlation

RNG = np.random.default_rng(0)
PHOTO = RNG.random((2, 12, 16, 3)).astype(np.float32)


def literal(one, other):
    """Of one pair, in float64."""
    both = []
    for image in np.asarray([one, other], np.float64):
        red, green, blue = np.moveaxis(image, -1, 0)
        chroma = np.stack([red - green, (red + green) / 2 - blue])
        both.append(chroma - chroma.mean((1, 2), keepdims=True))
    common, of_one, of_other = (
        (a * b).mean() for a, b in (both, (both[0], both[0]), (both[1], both[1]))
    )
    return 1 - common / np.sqrt((of_one + 1e-4) * (of_other + 1e-4))


def test_it_is_that_of_the_definition():
    other = np.clip(PHOTO**2 + 0.3 * RNG.random(PHOTO.shape), 0, 1).astype(np.float32)
    found = chroma_correlation(other, PHOTO)
    expected = [literal(*images) for images in zip(other, PHOTO, strict=True)]
    assert found.shape == (2,) and found.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert 0.05 < min(expected) < max(expected) < 0.95
    halved = [x.reshape(2, 6, 2, 8, 2, 3).mean((2, 4)) for x in (other, PHOTO)]
    expected = [literal(*images) for images in zip(*halved, strict=True)]
    np.testing.assert_allclose(chroma_correlation(other, PHOTO, shrink=2), expected, atol=1e-5)


def test_saturation_exposure_and_casts_keep_it_and_hues_by_luminance_do_not():
    gray = PHOTO.mean(-1, keepdims=True)
    for kept in (
        gray + 2 * (PHOTO - gray),
        1.5 * PHOTO,
        PHOTO + np.float32([0.2, 0, -0.1]),
    ):
        assert np.abs(chroma_correlation(kept, PHOTO)).max() < 0.01
    tinted = PHOTO + 2 * (gray - 0.5) * np.float32([0.5, -0.5, 0.5])  # shadows green
    assert np.min(chroma_correlation(tinted, PHOTO)) > 0.1
    assert np.min(chroma_correlation(1 - PHOTO, PHOTO)) > 1.9
    np.testing.assert_array_equal(chroma_correlation(np.repeat(gray, 3, -1), PHOTO), 1.0)


def test_padding_does_not_count():
    valid = np.zeros((2, 12, 16), bool)
    valid[:, :8, :12] = True
    other = (PHOTO**2).astype(np.float32)
    for shrink in (1, 4):
        cut = (image[:, :8, :12] for image in (other, PHOTO))
        expected = chroma_correlation(*cut, shrink=shrink)
        dirty = np.where(valid[..., None], other, np.nan)
        found = chroma_correlation(dirty, PHOTO, shrink=shrink, valid=valid)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        gradient = jax.grad(
            lambda x: chroma_correlation(x, PHOTO, shrink=shrink, valid=valid).sum()  # noqa: B023
        )(dirty)
        assert np.isfinite(gradient).all() and not gradient[~valid].any()
    nothing = chroma_correlation(other, PHOTO, valid=np.zeros_like(valid))
    np.testing.assert_array_equal(nothing, 1.0)


def test_the_gradient_is_that_of_finite_differences():
    direction = RNG.standard_normal(PHOTO.shape).astype(np.float32)
    other = (PHOTO**2).astype(np.float32)

    def along(step):
        return np.sum([literal(*images) for images in zip(other + step * direction, PHOTO)])  # noqa: B905

    slope = (along(1e-4) - along(-1e-4)) / 2e-4
    found = (jax.grad(lambda x: chroma_correlation(x, PHOTO).sum())(other) * direction).sum()
    np.testing.assert_allclose(found, slope, rtol=1e-3)


def test_images_without_colours_have_a_finite_gradient():
    gray = np.full((1, 8, 8, 3), 0.4, np.float32)
    slope = jax.grad(lambda x: chroma_correlation(x, gray).sum())(PHOTO[:1, :8, :8])
    np.testing.assert_array_equal(slope, 0.0)
    slope = jax.grad(lambda x: chroma_correlation(x, PHOTO[:1, :8, :8]).sum())(gray)
    assert np.isfinite(slope).all() and slope.any()


def test_half_precision_is_computed_in_float32():
    half = PHOTO.astype(np.float16)
    found = chroma_correlation(half**2, half)
    assert found.dtype == jnp.float32
    expected = chroma_correlation(np.float32(half**2), np.float32(half))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="prediction and target must both be"):
        chroma_correlation(PHOTO, PHOTO[:1])
    with pytest.raises(ValueError, match=r"must be \[\*b, h, w, 3\] with at least"):
        chroma_correlation(PHOTO[..., :1], PHOTO[..., :1])
    with pytest.raises(ValueError, match="at least one pixel, got"):
        chroma_correlation(PHOTO[:, :0], PHOTO[:, :0])
    with pytest.raises(ValueError, match="shrink must be a positive int, got 0"):
        chroma_correlation(PHOTO, PHOTO, shrink=0)
    with pytest.raises(TypeError, match="target must be float with values in .*, got uint8"):
        chroma_correlation(PHOTO, np.zeros(PHOTO.shape, np.uint8))
    assert module.chroma_correlation is chroma_correlation
