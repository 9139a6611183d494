"""One file per paper, and what runs them: here models, losses, data and training meet."""

from bilateral_jax.data import registry


def _taught(**options):
    from experiments.operators import teachers  # networks, which no other source needs

    return teachers.pairs(**options)


registry.register("taught", _taught)
