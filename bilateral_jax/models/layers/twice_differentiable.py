"""A convolution for networks whose gradient is differentiated again, as gradient penalties do.

A convolution is linear in the image and in the kernel, and so are its gradients in both. The
derivatives of each of these three functions are the other two, so that a derivative of any order
consists of the convolutions of an ordinary training step. JAX's own second derivatives arrange them
in another way, for which XLA takes up to 15 times as long on a CPU.

Derivatives are reverse mode: `jax.jvp` refuses these functions.
"""

import functools
from typing import Any, NamedTuple

import jax
from jax import lax


class Geometry(NamedTuple):
    """What a convolution is besides its operands.

    Attributes:
      stride: step on both axes.
      padding: "SAME", "VALID" or ((top, bottom), (left, right)) zeros.
      dilation: pixels from tap to tap.
      precision: of the products.
    """

    stride: int
    padding: Any
    dilation: int
    precision: Any


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(image, kernel, geometry):
    """Convolves images with a kernel.

    Args:
      image: `[b, h, w, c]`.
      kernel: `[kh, kw, c, n]`, of the same dtype.
      geometry: a `Geometry`.

    Returns:
      `[b, h', w', n]`.
    """
    return plain(image, kernel, geometry)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _image_gradient(cotangent, kernel, image_shape, geometry):
    """The gradient of `<convolve(image, kernel), cotangent>` in the image."""
    image = jax.ShapeDtypeStruct(image_shape, cotangent.dtype)
    return jax.linear_transpose(lambda image: plain(image, kernel, geometry), image)(cotangent)[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _kernel_gradient(image, cotangent, kernel_shape, geometry):
    """The gradient of `<convolve(image, kernel), cotangent>` in the kernel."""
    kernel = jax.ShapeDtypeStruct(kernel_shape, cotangent.dtype)
    return jax.linear_transpose(lambda kernel: plain(image, kernel, geometry), kernel)(cotangent)[0]


# Of the sum of products `image * kernel * cotangent` each function is the gradient in one of the
# three; the adjoint of a function therefore puts its own cotangent in the place of that one.


def _convolve_fwd(image, kernel, geometry):
    return convolve(image, kernel, geometry), (image, kernel)


def _convolve_bwd(geometry, operands, cotangent):
    image, kernel = operands
    return (
        _image_gradient(cotangent, kernel, image.shape, geometry),
        _kernel_gradient(image, cotangent, kernel.shape, geometry),
    )


convolve.defvjp(_convolve_fwd, _convolve_bwd)


def _image_gradient_fwd(cotangent, kernel, image_shape, geometry):
    return _image_gradient(cotangent, kernel, image_shape, geometry), (cotangent, kernel)


def _image_gradient_bwd(image_shape, geometry, operands, image):
    del image_shape
    cotangent, kernel = operands
    return (
        convolve(image, kernel, geometry),
        _kernel_gradient(image, cotangent, kernel.shape, geometry),
    )


_image_gradient.defvjp(_image_gradient_fwd, _image_gradient_bwd)


def _kernel_gradient_fwd(image, cotangent, kernel_shape, geometry):
    return _kernel_gradient(image, cotangent, kernel_shape, geometry), (image, cotangent)


def _kernel_gradient_bwd(kernel_shape, geometry, operands, kernel):
    del kernel_shape
    image, cotangent = operands
    return (
        _image_gradient(cotangent, kernel, image.shape, geometry),
        convolve(image, kernel, geometry),
    )


_kernel_gradient.defvjp(_kernel_gradient_fwd, _kernel_gradient_bwd)


def plain(image, kernel, geometry):
    """Convolves as `convolve`, with JAX's own derivatives.

    Args:
      image: as for `convolve`.
      kernel: as for `convolve`.
      geometry: as for `convolve`.

    Returns:
      `[b, h', w', n]`.
    """
    return lax.conv_general_dilated(
        image,
        kernel,
        (geometry.stride,) * 2,
        geometry.padding,
        rhs_dilation=(geometry.dilation,) * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=geometry.precision,
    )
