"""Convolutions in reverse mode: values and derivatives of three orders are those of JAX's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from bilateral_jax.models.layers import convolutions, reverse_mode_convolution

pytestmark = pytest.mark.usefixtures("compiled_quickly")
HIGHEST = lax.Precision.HIGHEST
PLAIN = reverse_mode_convolution.convolve
REVERSE = reverse_mode_convolution.reverse_mode()(PLAIN)


@pytest.mark.parametrize(
    "stride, padding, dilation",
    [(2, "SAME", 1), (1, "VALID", 2), (2, ((1, 0), (2, 3)), 1)],
)
def test_derivatives_of_three_orders(stride, padding, dilation):
    geometry = reverse_mode_convolution.Geometry(stride, padding, dilation, HIGHEST)
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
        jax.jit(lambda convolve=convolve: all_orders(convolve))() for convolve in (REVERSE, PLAIN)
    )
    np.testing.assert_array_equal(actual[0], expected[0])
    for one, other in zip(actual, expected, strict=True):
        scale = np.abs(other).max()
        assert scale > 1e-3
        np.testing.assert_allclose(one / scale, other / scale, atol=1e-4)


def test_within_reverse_mode_every_network_has_these_derivatives():
    layer, image = convolutions.Linear(2), jnp.ones((1, 4, 4, 1))
    variables = layer.init(jax.random.key(0), image)

    def apply(image):
        return layer.apply(variables, image)

    out, tangent = jax.jvp(apply, (image,), (image,))
    with reverse_mode_convolution.reverse_mode():
        np.testing.assert_array_equal(apply(image), out)
        with pytest.raises(TypeError, match="forward-mode autodiff .* custom_vjp"):
            jax.jvp(apply, (image,), (image,))
    np.testing.assert_array_equal(jax.jvp(apply, (image,), (image,))[1], tangent)


def test_gradients_within_control_flow_keep_the_order_of_axes():
    """On a CPU the fast convolution needs it; XLA reorders axes outside of control flow alone."""
    geometry = reverse_mode_convolution.Geometry(1, "SAME", 1, HIGHEST)
    image, kernel = jnp.ones((1, 8, 8, 2)), jnp.ones((3, 3, 2, 2))

    def gradient(convolve, flag):
        def taken():
            square = lambda *args: jnp.square(convolve(*args, geometry)).sum()  # noqa: E731
            return jax.grad(square, (0, 1))(image, kernel)

        return jax.lax.cond(flag, taken, lambda: (image, kernel))

    for convolve, kept in ((REVERSE, True), (PLAIN, False)):
        function = jax.jit(lambda flag, convolve=convolve: gradient(convolve, flag))
        text = function.lower(True).as_text(dialect="hlo")
        axes = {line.split("dim_labels=")[1].split(",")[0] for line in text.splitlines()
                if " convolution(" in line}  # fmt: skip
        assert (axes == {"b01f_01io->b01f"}) == kept
