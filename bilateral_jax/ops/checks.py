"""Argument checks: each error names the argument, what came and what was expected."""

import operator

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax import lattice

Window = tuple[int, int, int, int] | jax.Array | np.ndarray | None


def floating(name: str, value, ndim: int, axes: str) -> jax.Array:
    """Returns `value` as a floating-point array of at least `ndim` axes.

    Raises:
      TypeError: for integers, booleans, complex numbers and non-arrays.
      ValueError: for too few axes, or an axis of length 0.
    """
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be an array {axes}, got {type(value).__name__}") from error
    if not jnp.issubdtype(array.dtype, jnp.floating):
        hint = (
            "; scale integer pixels to floats in [0, 1] first" if array.dtype.kind in "iu" else ""
        )
        raise TypeError(
            f"{name} must be floating point (bfloat16, float16, float32), got {array.dtype}{hint}"
        )
    if array.dtype.itemsize < 2:
        raise TypeError(f"{name} must be bfloat16, float16, float32 or float64, got {array.dtype}")
    if array.ndim < ndim:
        raise ValueError(f"{name} must have the axes {axes}, got shape {array.shape}")
    if 0 in array.shape:
        raise ValueError(f"{name} must not have an axis of length 0, got shape {array.shape}")
    return array


def same_pixels(name: str, shape, guide_shape):
    """Checks that `h, w` of `name` are those of the guide."""
    if tuple(shape) != tuple(guide_shape):
        raise ValueError(
            f"{name} must have the guide's height and width {tuple(guide_shape)}, "
            f"got {tuple(shape)}"
        )


def plane_guide(shape, pixels):
    """Refuses a guide with a channel axis, beside an image or values of `pixels` `(h, w)`."""
    if tuple(shape[-2:]) != tuple(pixels) and tuple(shape[-3:-1]) == tuple(pixels):
        raise ValueError(
            "guide must be one plane [*b, h, w] without a channel axis, such as a luminance, "
            f"got shape {tuple(shape)}" + ("; pass guide[..., 0]" if shape[-1] == 1 else "")
        )


def broadcast(**leading) -> tuple[int, ...]:
    """The common leading shape of several arguments, broadcast as `jnp` does."""
    try:
        return jnp.broadcast_shapes(*leading.values())
    except ValueError:
        got = ", ".join(f"{name} {tuple(shape)}" for name, shape in leading.items())
        raise ValueError(f"leading axes must broadcast against each other, got {got}") from None


def leading_axes(name: str, shape, like: tuple[int, ...], core: int, feature_axes: int | None):
    """Number of leading axes of a grid.

    Without `feature_axes` a grid has as many leading axes as its partner, whose leading shape is
    `like`, and no more than two feature axes: what is left are leading axes as well, which
    broadcast. With `feature_axes` the leading axes are what is left.

    Raises:
      ValueError: for too few axes, and where `feature_axes` must say which axes are meant.
    """
    ndim = len(shape)
    if feature_axes is None:
        leading = max(len(like), ndim - core - 2)
    elif not isinstance(feature_axes, int) or feature_axes < 0:
        raise ValueError(f"feature_axes must be None or an int >= 0, got {feature_axes!r}")
    else:
        leading = ndim - core - feature_axes
    if leading < 0 or ndim - leading < core:
        raise ValueError(
            f"{name} has {ndim} axes, too few for its {core} own axes, "
            f"{len(like)} leading axes and feature_axes={feature_axes}"
        )
    # A grid without leading axes and with one feature axis more has the same rank.
    ambiguous = feature_axes is None and ndim - core - leading < 2
    if ambiguous and any(a not in (1, b) for a, b in zip(shape[:leading], like, strict=False)):
        raise ValueError(
            f"{name} of shape {tuple(shape)} beside leading axes {tuple(like)} can be read in "
            "several ways: leading axes must broadcast against each other (a guide has no channel "
            "axis), or say with feature_axes how many trailing axes are features"
        )
    return leading


def grid_feature_axes(grid, feature_axes: int | None) -> int:
    """Number of trailing feature axes of a grid alone; required where the rank is ambiguous."""
    if feature_axes is None:
        if grid.ndim > 4:
            raise ValueError(
                f"grid of shape {grid.shape} can be [b, gh, gw, gd, c] or "
                "[gh, gw, gd, n_out, n_in]: say which with feature_axes=1 or feature_axes=2"
            )
        return grid.ndim - 3
    leading_axes("grid", grid.shape, (), 3, feature_axes)
    return feature_axes


def grid_shape(value, name: str = "grid_shape") -> tuple[int, int, int]:
    """`(gh, gw, gd)` as three positive ints."""
    try:
        shape = tuple(operator.index(size) for size in value)
    except TypeError:
        shape = ()
    if len(shape) != 3 or min(shape, default=0) < 1:
        raise ValueError(f"{name} must be three positive ints (gh, gw, gd), got {value!r}")
    return shape


def boundary(value, others: tuple[str, ...] = ()) -> tuple[str, str, str]:
    """Checks boundaries; one name stands for all of gh, gw and gd."""
    allowed = (*lattice.BOUNDARIES, *others)
    triple = (value,) * 3 if isinstance(value, str) else value
    if not isinstance(triple, tuple) or len(triple) != 3 or any(b not in allowed for b in triple):
        raise ValueError(
            f"boundary must be one of {allowed}, or three of them for (gh, gw, gd), got {value!r}"
        )
    return triple


def convention(value: str, boundaries: tuple[str, str, str]) -> str:
    """Checks that a convention is known and fits the boundaries."""
    if value not in lattice.CONVENTIONS:
        raise ValueError(f"convention must be one of {lattice.CONVENTIONS}, got {value!r}")
    if value != "half_pixel" and "wrap" in boundaries:
        raise ValueError(
            "boundary='wrap' needs convention='half_pixel': with cells on both ends of an axis "
            f"({value!r}) its seam would count twice"
        )
    return value


def window(value: Window, size: tuple[int, int]):
    """Checks a window and splits it into its static and its traced part.

    Returns:
      `(origin, full_size, array)`: for four ints, the two pairs and None; for an array `[..., 4]`,
      `(0, 0)`, the crop's size and the array as int32. An array's values are not checked.
    """
    if value is None:
        return (0, 0), size, None
    if isinstance(value, tuple | list):
        return *_static_window(value, size), None
    expected = (
        "window must be (top, left, full_height, full_width) as four ints or as integers [..., 4]"
    )
    try:
        array = jnp.asarray(value)
    except TypeError:
        raise ValueError(f"{expected}, got {value!r}") from None
    if not jnp.issubdtype(array.dtype, jnp.integer) or array.ndim < 1 or array.shape[-1] != 4:
        raise ValueError(f"{expected}, got {array.dtype} of shape {array.shape}")
    return (0, 0), size, array.astype(jnp.int32)


def _static_window(value, size):
    if len(value) != 4 or not all(isinstance(v, int | np.integer) for v in value):
        raise ValueError(
            "window must be four ints (top, left, full_height, full_width) or an integer array "
            f"[..., 4], got {value!r}"
        )
    top, left, height, width = (int(v) for v in value)
    if top < 0 or left < 0 or top + size[0] > height or left + size[1] > width:
        raise ValueError(
            f"window (top, left, full_height, full_width) = {(top, left, height, width)} must hold "
            f"the crop: its {size[0]} x {size[1]} pixels reach row {top + size[0]} and column "
            f"{left + size[1]}"
        )
    return (top, left), (height, width)
