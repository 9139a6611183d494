"""Mean squared and mean absolute error of images."""

import jax
import jax.numpy as jnp

from bilateral_jax.ops import masks, roots


def mse(prediction, target, *, valid=None) -> jax.Array:
    """Mean squared error over pixels and channels.

    Args:
      prediction: float `[*b, h, w, c]`, not clipped.
      target: float `[*b, h, w, c]`.
      valid: `[*b, h, w]`, 0 where a pixel is padding and does not count; None counts all.

    Returns:
      float32 `[*b]`; 0 for an example without valid pixels.

    Raises:
      ValueError: the shapes differ or have fewer than three axes.

    Reference: Gharbi et al. 2017, "Deep bilateral learning for real-time image enhancement",
    section 3.4.
    """
    error, valid = difference(prediction, target, valid=valid)
    return masks.mean(jnp.square(error), valid)


def l1(prediction, target, *, valid=None) -> jax.Array:
    """Mean absolute error over pixels and channels.

    Args:
      prediction: float `[*b, h, w, c]`, not clipped.
      target: float `[*b, h, w, c]`.
      valid: `[*b, h, w]`, 0 where a pixel is padding and does not count; None counts all.

    Returns:
      float32 `[*b]`; 0 for an example without valid pixels.

    Raises:
      ValueError: the shapes differ or have fewer than three axes.
    """
    error, valid = difference(prediction, target, valid=valid)
    return masks.mean(jnp.abs(error), valid)


def l2_norm(values) -> jax.Array:
    """Euclidean norm over pixels and channels.

    Args:
      values: float `[*b, h, w, c]`.

    Returns:
      float32 `[*b]`. The gradient is finite everywhere, 0 where the norm is 0.
    """
    return roots.sqrt(jnp.square(jnp.asarray(values, jnp.float32)).sum(axis=(-3, -2, -1)))


def difference(prediction, target, *, valid=None) -> tuple[jax.Array, jax.Array | None]:
    """Prediction minus target, 0 at padding.

    Args:
      prediction: float `[*b, h, w, c]`.
      target: float `[*b, h, w, c]`.
      valid: `[*b, h, w]`, 0 where a pixel is padding; None: none is.

    Returns:
      (float32 `[*b, h, w, c]`, valid as bool `[*b, h, w]` or None).

    Raises:
      ValueError: the shapes differ or have fewer than three axes.
    """
    check_pair(prediction, target)
    valid = masks.check(valid, jnp.shape(prediction))
    return masks.zero(jnp.asarray(prediction, jnp.float32) - target, valid), valid


def check_pair(prediction, target) -> None:
    """Checks that prediction and target are images of one shape.

    Args:
      prediction: array.
      target: array.

    Raises:
      ValueError: the shapes differ or have fewer than three axes.
    """
    if jnp.shape(prediction) != jnp.shape(target) or jnp.ndim(prediction) < 3:
        raise ValueError(
            "prediction and target must both be [*b, h, w, c], "
            f"got {jnp.shape(prediction)} and {jnp.shape(target)}"
        )
