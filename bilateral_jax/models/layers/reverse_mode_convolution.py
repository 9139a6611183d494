"""A convolution with derivatives of any order that are fast on a CPU, in reverse mode.

A convolution is linear in the image and in the kernel, and so are its gradients in both. The
derivatives of each of these three functions are the other two, so that a derivative of any order
consists of the convolutions of an ordinary training step. JAX's own second derivatives, which a
gradient penalty needs, arrange them in another way, for which XLA takes up to 15 times as long on a
CPU.

On a CPU the gradients are convolutions of `[b, h, w, c]` with `[kh, kw, c, n]`, with transposes
around them. JAX names other axes instead, which XLA rearranges for its fast convolution on a CPU
only outside of control flow: within `lax.cond` or `lax.scan` a gradient takes two to twelve times
as long (https://github.com/jax-ml/jax/issues/12868).

Derivatives are reverse mode: `jax.jvp` refuses these functions. A network has them within
`reverse_mode`, which critics are in by themselves, and every training step is.
"""

import contextlib
import contextvars
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
from jax import lax

_AXES = ("NHWC", "HWIO", "NHWC")
_REVERSE_MODE = contextvars.ContextVar("reverse_mode", default=False)


@contextlib.contextmanager
def reverse_mode() -> Iterator[None]:
    """Gives the convolutions of all networks traced within it the derivatives of this file.

    For functions whose derivatives are taken in reverse mode only, such as a training step. A
    function that was compiled within it keeps them.
    """
    token = _REVERSE_MODE.set(True)
    try:
        yield
    finally:
        _REVERSE_MODE.reset(token)


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


def convolve(image, kernel, geometry):
    """Convolves images with a kernel; within `reverse_mode` with the derivatives of this file.

    Args:
      image: `[b, h, w, c]`.
      kernel: `[kh, kw, c, n]`, of the same dtype.
      geometry: a `Geometry`.

    Returns:
      `[b, h', w', n]`.
    """
    chosen = _convolve if _REVERSE_MODE.get() else _plain
    return chosen(image, kernel, geometry)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve(image, kernel, geometry):
    return _plain(image, kernel, geometry)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _image_gradient(cotangent, kernel, image_shape, geometry):
    """The gradient of `<convolve(image, kernel), cotangent>` in the image."""

    def transposed(cotangent, kernel):
        image = jax.ShapeDtypeStruct(image_shape, cotangent.dtype)
        convolution = jax.linear_transpose(lambda image: _plain(image, kernel, geometry), image)
        return convolution(cotangent)[0]

    def arranged(cotangent, kernel):
        padding = []
        for size, taps, rows, (before, _) in _sizes(image_shape, kernel.shape, cotangent, geometry):
            first = taps - 1 - before
            padding.append((first, size + taps - 1 - rows - first))
        return lax.conv_general_dilated(
            cotangent,
            kernel[::-1, ::-1].swapaxes(2, 3),
            (1, 1),
            padding,
            lhs_dilation=(geometry.stride,) * 2,
            rhs_dilation=(geometry.dilation,) * 2,
            dimension_numbers=_AXES,
            precision=geometry.precision,
        )

    return lax.platform_dependent(cotangent, kernel, cpu=arranged, default=transposed)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _kernel_gradient(image, cotangent, kernel_shape, geometry):
    """The gradient of `<convolve(image, kernel), cotangent>` in the kernel."""

    def transposed(image, cotangent):
        kernel = jax.ShapeDtypeStruct(kernel_shape, cotangent.dtype)
        convolution = jax.linear_transpose(lambda kernel: _plain(image, kernel, geometry), kernel)
        return convolution(cotangent)[0]

    def arranged(image, cotangent):
        sizes = _sizes(image.shape, kernel_shape, cotangent, geometry)
        gradient = lax.conv_general_dilated(
            image.transpose(3, 1, 2, 0),
            cotangent.transpose(1, 2, 0, 3),
            (geometry.dilation,) * 2,
            [(before, rows - size + taps - before - 1) for size, taps, rows, (before, _) in sizes],
            rhs_dilation=(geometry.stride,) * 2,
            dimension_numbers=_AXES,
            precision=geometry.precision,
        )
        return gradient.transpose(1, 2, 0, 3)

    return lax.platform_dependent(image, cotangent, cpu=arranged, default=transposed)


def _sizes(image_shape, kernel_shape, cotangent, geometry):
    """Of both axes: pixels, extent of the taps, of the dilated output, and the padding."""
    sides = image_shape[1:3]
    taps = [geometry.dilation * (side - 1) + 1 for side in kernel_shape[:2]]
    padding = geometry.padding
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(sides, taps, (geometry.stride,) * 2, padding)
    rows = [geometry.stride * (side - 1) + 1 for side in cotangent.shape[1:3]]
    return zip(sides, taps, rows, padding, strict=True)


# Of the sum of products `image * kernel * cotangent` each function is the gradient in one of the
# three; the adjoint of a function therefore puts its own cotangent in the place of that one.


def _convolve_fwd(image, kernel, geometry):
    return _convolve(image, kernel, geometry), (image, kernel)


def _convolve_bwd(geometry, operands, cotangent):
    image, kernel = operands
    return (
        _image_gradient(cotangent, kernel, image.shape, geometry),
        _kernel_gradient(image, cotangent, kernel.shape, geometry),
    )


_convolve.defvjp(_convolve_fwd, _convolve_bwd)


def _image_gradient_fwd(cotangent, kernel, image_shape, geometry):
    return _image_gradient(cotangent, kernel, image_shape, geometry), (cotangent, kernel)


def _image_gradient_bwd(image_shape, geometry, operands, image):
    del image_shape
    cotangent, kernel = operands
    return (
        _convolve(image, kernel, geometry),
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
        _convolve(image, kernel, geometry),
    )


_kernel_gradient.defvjp(_kernel_gradient_fwd, _kernel_gradient_bwd)


def _plain(image, kernel, geometry):
    """The same with JAX's own derivatives."""
    return lax.conv_general_dilated(
        image,
        kernel,
        (geometry.stride,) * 2,
        geometry.padding,
        rhs_dilation=(geometry.dilation,) * 2,
        dimension_numbers=_AXES,
        precision=geometry.precision,
    )
