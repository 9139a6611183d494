"""Metrics of one image by tiles: the values of the whole image, by one program for all sizes."""

import numpy as np
import pytest

from bilateral_jax import metrics
from tests import compilations

pytestmark = pytest.mark.usefixtures("compiled_quickly")
_NAMES = ("psnr", "ssim", "ms_ssim", "delta_e", "delta_e_2000")


def _noisy(height, width):
    rng = np.random.default_rng(4)
    target = rng.random((height, width, 3), np.float32)
    return np.clip(target + rng.normal(0, 0.1, target.shape), 0, 1).astype(np.float32), target


def test_values_are_those_of_the_whole_image():
    pair = _noisy(170, 290)  # two tiles along both axes
    for name in _NAMES:
        by_tiles, whole = getattr(metrics, f"{name}_by_tiles"), getattr(metrics, name)
        np.testing.assert_allclose(by_tiles(*pair), whole(*pair), rtol=2e-6, err_msg=name)
        scaled = by_tiles(*(255 * image for image in pair), data_range=255)
        np.testing.assert_allclose(scaled, whole(*pair), rtol=2e-5, err_msg=name)
        equal = whole(pair[0], pair[0])
        np.testing.assert_allclose(by_tiles(pair[0], pair[0]), equal, rtol=1e-6, err_msg=name)
    options = {"window": "shrinking", "channels": "together"}
    patch = [image[:100, :90] for image in pair]
    np.testing.assert_allclose(
        metrics.ms_ssim_by_tiles(*patch, **options), metrics.ms_ssim(*patch, **options), rtol=2e-6
    )


def test_one_program_serves_all_sizes():
    functions = [getattr(metrics, f"{name}_by_tiles") for name in _NAMES]
    for function in functions:
        function(*_noisy(161, 161))
    with compilations.counted() as programs:
        for size in ((170, 290), (161, 200), (300, 162)):
            for function in functions:
                function(*_noisy(*size))
    assert not programs


def test_more_than_one_image_is_refused():
    pair = np.zeros((2, 2, 200, 200, 3), np.float32)
    for name in _NAMES:
        with pytest.raises(ValueError, match=r"prediction must be one image \[h, w, c\]"):
            getattr(metrics, f"{name}_by_tiles")(*pair)
