"""The convolution of critics: values and derivatives of three orders are those of JAX's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from bilateral_jax.models.layers import twice_differentiable

pytestmark = pytest.mark.usefixtures("compiled_quickly")
HIGHEST = lax.Precision.HIGHEST


@pytest.mark.parametrize(
    "stride, padding, dilation",
    [(2, "SAME", 1), (1, "VALID", 2), (2, ((1, 0), (2, 3)), 1)],
)
def test_derivatives_of_three_orders(stride, padding, dilation):
    geometry = twice_differentiable.Geometry(stride, padding, dilation, HIGHEST)
    rng = np.random.default_rng(0)
    image, kernel = (
        jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((2, 8, 7, 3), (3, 3, 3, 2))
    )

    def all_orders(convolve):
        def first(image, kernel):
            out = convolve(image, kernel, geometry)
            return (jnp.tanh(out) * jnp.cos(jnp.arange(out.size).reshape(out.shape))).sum()

        def squared_gradient(function):
            gradient = jax.grad(function, (0, 1))
            square = lambda *args: sum(jnp.square(x).sum() for x in gradient(*args))  # noqa: E731
            return square

        second = squared_gradient(first)
        third = squared_gradient(second)
        return [convolve(image, kernel, geometry)] + [
            gradient
            for function in (first, second, third)
            for gradient in jax.grad(function, (0, 1))(image, kernel)
        ]

    actual, expected = (
        jax.jit(lambda convolve=convolve: all_orders(convolve))()
        for convolve in (twice_differentiable.convolve, twice_differentiable.plain)
    )
    np.testing.assert_array_equal(actual[0], expected[0])
    for one, other in zip(actual, expected, strict=True):
        scale = np.abs(other).max()
        assert scale > 1e-3
        np.testing.assert_allclose(one / scale, other / scale, atol=1e-4)
