"""Spectral normalisation of kernels.

Reference: Miyato, Kataoka, Koyama and Yoshida 2018, "Spectral normalization for generative
adversarial networks", section 2.1.
"""

import jax
import jax.numpy as jnp
from jax import lax

from bilateral_jax.models.layers import convolutions

ITERATIONS = 8
_TINY = 1e-12


def normalise(kernel):
    """Divides a kernel by its largest singular value, as a matrix with one column for each output.

    The singular vectors come from power iterations that start at the same vector each time and are
    constants of the derivative, as in the paper; the paper goes on from those of the step before,
    one iteration a step. Without that state the result depends on the weights alone.

    Args:
      kernel: float `[..., inputs, outputs]`.

    Returns:
      The kernel of the same shape; 0 for a kernel of zeros. Its largest singular value is 1, or
      more by what the iterations leave.
    """
    matrix = kernel.reshape(-1, kernel.shape[-1])
    product = lambda a, b: jnp.dot(a, b, precision=convolutions.PRECISION)  # noqa: E731
    constant = lax.stop_gradient(matrix)
    start = jax.random.normal(jax.random.key(0), constant.shape[1:], constant.dtype)
    iterate = lambda _, right: _unit(product(_unit(product(constant, right)), constant))  # noqa: E731
    right = lax.fori_loop(0, ITERATIONS, iterate, start)
    left = _unit(product(constant, right))
    value = product(product(left, matrix), right)
    return kernel / jnp.maximum(value, _TINY)


def _unit(vector):
    return vector / jnp.maximum(jnp.linalg.norm(vector), _TINY)
