"""How far a prediction is from its target.

Receives pictures [*b, h, w, c] from experiments.
Hands one value per example [*b] to training/step.py's weighted mean.
"""

import jax.numpy as jnp


def mse(prediction, target):
    """Averages the squared error over pixels and channels.

    Args:
      prediction: float `[*b, h, w, c]`, not clipped.
      target: float `[*b, h, w, c]`.

    Returns:
      float32 `[*b]`.

    Raises:
      ValueError: the shapes differ or have fewer than three axes.

    Reference: Gharbi et al. 2017, "Deep bilateral learning for real-time image enhancement",
    section 3.4.
    """
    check(prediction, target)
    return jnp.mean(jnp.square(jnp.asarray(prediction, jnp.float32) - target), axis=(-3, -2, -1))


def l1(prediction, target):
    """Averages the absolute error over pixels and channels.

    Args:
      prediction: float `[*b, h, w, c]`, not clipped.
      target: float `[*b, h, w, c]`.

    Returns:
      float32 `[*b]`.

    Raises:
      ValueError: the shapes differ or have fewer than three axes.
    """
    check(prediction, target)
    return jnp.mean(jnp.abs(jnp.asarray(prediction, jnp.float32) - target), axis=(-3, -2, -1))


def length(difference):
    """Measures the Euclidean length of a difference of pictures or of features.

    Args:
      difference: float `[*b, h, w, c]`.

    Returns:
      float32 `[*b]`. The gradient is finite everywhere, 0 where the length is.
    """
    squares = jnp.square(jnp.asarray(difference, jnp.float32)).sum(axis=(-3, -2, -1))
    positive = squares > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1.0)), 0.0)


def check(prediction, target):
    """Refuses what is no pair of pictures.

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
