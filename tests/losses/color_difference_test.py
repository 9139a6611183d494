"""losses/color_difference.py: CIE94 against its formula in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax.losses import color_difference

ONE = np.float32([[[0.2, 0.4, 0.6], [0.5, 0.5, 0.5], [0.0, 0.02, 0.9]]])
TWO = np.float32([[[0.25, 0.4, 0.5], [0.5, 0.4, 0.5], [0.0, 0.0, 0.0]]])


def cie94_by_hand(one, two):
    def lab(rgb):
        linear_rgb = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
        matrix = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                  [0.0193339, 0.1191920, 0.9503041]]  # fmt: skip
        xyz = np.array(matrix) @ linear_rgb / [0.95047, 1.0, 1.08883]
        f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 4 / 29)
        return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])

    values = []
    for a, b in zip(np.float64(one).reshape(-1, 3), np.float64(two).reshape(-1, 3), strict=True):
        (l1, a1, b1), (l2, a2, b2) = lab(a), lab(b)
        c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
        hue = (a1 - a2) ** 2 + (b1 - b2) ** 2 - (c1 - c2) ** 2
        values.append(
            np.sqrt(
                (l1 - l2) ** 2 + ((c1 - c2) / (1 + 0.045 * c1)) ** 2 + hue / (1 + 0.015 * c1) ** 2
            )
        )
    return np.mean(values)


def test_the_mean_is_that_of_the_formula():
    expected = [cie94_by_hand(ONE, TWO), cie94_by_hand(TWO, ONE)]
    pairs = np.stack([ONE, TWO]), np.stack([TWO, ONE])
    np.testing.assert_allclose(color_difference.cie94(*pairs), expected, rtol=1e-4)
    valid = np.array([[1, 1, 0]])
    value = color_difference.cie94(ONE, TWO, valid=valid)
    assert float(value) == pytest.approx(cie94_by_hand(ONE[:, :2], TWO[:, :2]), rel=1e-4)


def test_the_gradient_is_finite_where_the_images_agree():
    image = jnp.asarray(ONE)
    gradient = jax.grad(lambda x: color_difference.cie94(x, image))(image)
    assert np.isfinite(gradient).all()


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="prediction and target must both be"):
        color_difference.cie94(ONE, TWO[:, :2])
