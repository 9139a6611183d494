"""Experiments: one file per paper, and the programs that train, evaluate and report them."""

from bilateral_jax.data import registry


def _taught(**options):
    from experiments.operators import teachers  # networks, which no other source needs

    return teachers.pairs(**options)


registry.register("taught", _taught)
