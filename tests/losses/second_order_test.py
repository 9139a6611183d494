"""Derivatives of penalties of a gradient, against finite differences in float64.

The penalty contains the critic's gradient in the image, so its derivatives in the critic's weights
and in the images are of second order. The references share no line with the library: their
gradients are closed forms, complex steps or differences of loops.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

import bilateral_jax as bj
from bilateral_jax import color
from bilateral_jax.losses import blurred, gradient_penalties
from tests import oracles
from tests.models import patch_critic_test

pytestmark = pytest.mark.usefixtures("compiled_quickly")
_RTOL = 1e-4


def total(gradients, form):
    """The sum of the penalties of some images' gradients, as the table of the module states it."""
    norm = np.array([np.sqrt(np.square(gradient).sum()) for gradient in gradients])
    return {
        "one_sided": np.maximum(0, norm - 1),
        "two_sided": (norm - 1) ** 2,
        "zero_centred": norm**2,
    }[form].sum()


def compare(penalty, gradients, arguments, *, step=1e-5, forms=gradient_penalties.FORMS):
    """Compares derivatives of a penalty along a random direction of each argument.

    Args:
      penalty: `(*arguments, form) -> [b]`, of the library.
      gradients: `arguments -> list` of the gradients of b images in float64.
      arguments: list of arrays.
      step: of the differences.
      forms: of the penalty.
    """
    rng = np.random.default_rng(7)
    directions = [rng.normal(size=np.shape(each)) for each in arguments]

    @jax.jit
    def derivatives(*arguments):
        everything = tuple(range(len(arguments)))
        value = lambda form: lambda *args: penalty(*args, form=form).sum()  # noqa: E731
        return {form: jax.value_and_grad(value(form), everything)(*arguments) for form in forms}

    found = derivatives(*[jnp.asarray(each, jnp.float32) for each in arguments])
    here = gradients(*arguments)
    ends = []
    for i, direction in enumerate(directions):
        moved = list(arguments)
        for sign in (1, -1):
            moved[i] = arguments[i] + sign * step * direction
            ends.append(gradients(*moved))
    for form, (value, derivative) in found.items():
        np.testing.assert_allclose(value, total(here, form), rtol=_RTOL)
        for i, direction in enumerate(directions):
            difference = total(ends[2 * i], form) - total(ends[2 * i + 1], form)
            expected = difference / (2 * step)
            assert abs(expected) > 1e-2, "a derivative that hardly differs from 0 shows nothing"
            actual = np.vdot(np.asarray(derivative[i], np.float64), direction)
            np.testing.assert_allclose(actual, expected, rtol=_RTOL, err_msg=f"{form}, {i}")


def test_through_instance_norm():
    """In the kernels before and after the norm, and in the images."""
    critic = patch_critic_test.random_critic(strided=1, input_channels=1)
    names = ("conv_0", "conv_1", "last")
    images = np.random.default_rng(1).random((2, 7, 8, 1))

    def with_kernels(kernels):
        params = {
            name: critic.params[name] | {"kernel": kernel}
            for name, kernel in zip(names, kernels, strict=True)
        }
        return dataclasses.replace(critic, params=params)

    def penalty(images, *kernels, form):
        return gradient_penalties.penalty(with_kernels(kernels).apply, images, form=form)

    def gradients(images, *kernels):
        network, tiny = with_kernels(kernels), 1e-100
        for image in images:
            gradient = np.zeros_like(image)
            for index in np.ndindex(image.shape):
                moved = image.astype(complex)
                moved[index] += 1j * tiny
                gradient[index] = patch_critic_test.by_loops(network, moved).mean().imag / tiny
            yield gradient

    kernels = [np.asarray(critic.params[name]["kernel"], np.float64) for name in names]
    compare(penalty, lambda *args: list(gradients(*args)), [images, *kernels])


def test_through_slice_apply():
    """A critic that looks at an image through a bilateral grid: in the grid and in the image."""
    rng = np.random.default_rng(3)
    grid, image = rng.normal(size=(2, 2, 4, 3, 4)), rng.uniform(0.1, 0.9, (3, 4, 3))
    weights = rng.normal(size=(3, 4, 3))
    depth = image @ color.LUMA_BT601 * 4 - 0.5
    assert np.abs(depth - np.round(depth)).min() > 5e-3  # away from the kinks at cell centres

    def penalty(grid, image, *, form):
        def critic(images):
            guide = color.luma(images, weights=color.LUMA_BT601)
            out = bj.slice_apply(grid[None], guide, images)
            return (jnp.square(out) * weights[None].astype(np.float32)).sum((1, 2, 3))

        return gradient_penalties.penalty(critic, image[None], form=form)

    def score(grid, image):
        coefficients = oracles.slice_loops(grid, image @ color.LUMA_BT601)
        return (oracles.apply_loops(coefficients, image) ** 2 * weights).sum()

    def gradients(grid, image):
        gradient, step = np.zeros_like(image), 1e-5
        for index in np.ndindex(image.shape):
            ends = []
            for sign in (1, -1):
                moved = image.copy()
                moved[index] += sign * step
                ends.append(score(grid, moved))
            gradient[index] = (ends[0] - ends[1]) / (2 * step)
        return [gradient]

    compare(penalty, gradients, [grid, image], step=1e-4, forms=("two_sided",))


def test_through_the_blur_into_the_generator():
    """In the critic's weights and in the generated images, between which and real ones it is."""
    rng = np.random.default_rng(5)
    real, generated = rng.random((2, 2, 24, 23, 2))
    weights, fraction, taps = rng.normal(size=(4, 3, 2)), np.array([0.3, 0.8]), blurred.blur_taps(2)

    def penalty(weights, generated, *, form):
        def critic(images):
            seen = blurred.blur_image(images, blur=2, crop=True)
            return (weights[None] * jnp.tanh(20 * (seen - 0.5))).sum((1, 2, 3))

        between = gradient_penalties.interpolate(
            jnp.asarray(real, jnp.float32), generated, jnp.asarray(fraction, jnp.float32)
        )
        return gradient_penalties.penalty(critic, between, form=form)

    def blur(image):
        once = ndimage.convolve1d(image, taps, axis=0, mode="constant")
        return ndimage.convolve1d(once, taps, axis=1, mode="constant")

    def gradients(weights, generated):
        for each, one, other in zip(fraction, real, generated, strict=True):
            seen = blur(each * one + (1 - each) * other)[10:-10, 10:-10]
            slope = np.zeros(one.shape)
            slope[10:-10, 10:-10] = weights * 20 / np.cosh(20 * (seen - 0.5)) ** 2
            yield blur(slope)  # the blur is symmetric

    compare(penalty, lambda *args: list(gradients(*args)), [weights, generated])
