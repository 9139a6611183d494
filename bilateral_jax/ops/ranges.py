"""The range of an image's values."""

import math

import jax
import jax.numpy as jnp
import numpy as np

_BEYOND = 16  # times the range: more than an unclipped prediction, less than 8-bit values


def check(data_range: float, **images):
    """Refuses values that cannot be in the range, such as 8-bit values where 1 is white.

    Values somewhat beyond the range pass (predictions are not clipped), and so do infinities and
    NaNs. Traced values, as under `jax.jit`, are not known and not checked.

    Args:
      data_range: the value of white, above 0.
      **images: float arrays by the names of the arguments; None is left out.

    Raises:
      ValueError: an image holds values above 16 times the range or below minus that, or the range
        is not a positive number.
    """
    if isinstance(data_range, int | float) and not 0 < data_range < math.inf:
        raise ValueError(f"data_range must be a positive number, got {data_range!r}")
    if isinstance(data_range, jax.core.Tracer):
        return
    for name, image in images.items():
        if image is None or isinstance(image, jax.core.Tracer) or not np.size(image):
            continue
        low, high = _limits(image)
        if _BEYOND * data_range < max(high, -low) < math.inf:
            raise ValueError(
                f"{name} holds values from {low:.6g} to {high:.6g}, expected [0, {data_range:g}]: "
                "divide by the value of white, or pass it as data_range where there is one"
            )


def _limits(image):
    if isinstance(image, np.ndarray):
        return float(image.min()), float(image.max())
    return tuple(float(value) for value in _device_limits(jnp.asarray(image)))


@jax.jit
def _device_limits(image):
    return image.min(), image.max()
