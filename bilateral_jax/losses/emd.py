"""Earth mover's distance of distributions over ordered classes."""

import jax
import jax.numpy as jnp

from bilateral_jax.ops import roots

EXPONENTS = (1, 2)


def emd(prediction, target, *, exponent: int = 2) -> jax.Array:
    """Earth mover's distance of distributions over ordered classes.

    `mean_k(|P(k) - Q(k)|^r)^(1/r)`, where P and Q are the cumulative distributions; in units of the
    whole scale.

    Args:
      prediction: float `[*b, n]`, probabilities that sum to 1.
      target: float `[*b, n]`, the same.
      exponent: r: 2 for training, 1 for reporting.

    Returns:
      float32 `[*b]`; its gradient is 0 where the two are equal.

    Raises:
      ValueError: the shapes differ or have no axis, or another exponent.

    Reference: Hou et al. 2017, "Squared earth mover's distance-based loss for training deep neural
    networks"; Talebi and Milanfar 2018, "NIMA: Neural image assessment", equation 1.
    """
    if jnp.shape(prediction) != jnp.shape(target) or jnp.ndim(prediction) < 1:
        raise ValueError(
            "prediction and target must both be [*b, n], "
            f"got {jnp.shape(prediction)} and {jnp.shape(target)}"
        )
    if exponent not in EXPONENTS:
        raise ValueError(f"exponent must be one of {EXPONENTS}, got {exponent!r}")
    error = jnp.cumsum(jnp.asarray(prediction, jnp.float32) - target, axis=-1)
    if exponent == 1:
        return jnp.mean(jnp.abs(error), axis=-1)
    return roots.sqrt(jnp.mean(jnp.square(error), axis=-1))
