"""How much each term of a sum of losses counts, for the log of a training."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp


def term_shares(terms: Mapping) -> dict[str, jax.Array]:
    """Fractions of the weighted terms in the sum of their absolute values, per example.

    Published weights of a sum belong to published networks: with the features of another network a
    content term has another size, and its share says which weight restores the balance.

    Args:
      terms: name to float `[*b]`, already multiplied by its weight; of either sign.

    Returns:
      `{"NAME_share": float32 [*b]}` in [0, 1], the sum over the names being 1; 0 where all terms
      are. No gradient.

    Raises:
      ValueError: there are no terms.
    """
    if not terms:
        raise ValueError("terms must hold at least one term, got none")
    sizes = {
        name: jax.lax.stop_gradient(jnp.abs(jnp.asarray(value, jnp.float32)))
        for name, value in terms.items()
    }
    total = sum(sizes.values())
    total = jnp.where(total > 0, total, 1.0)
    return {f"{name}_share": size / total for name, size in sizes.items()}
