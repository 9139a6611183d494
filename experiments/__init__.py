"""Experiments: one file per paper, and the programs that train, evaluate and report them."""

import sys

from bilateral_jax.cli import errors
from bilateral_jax.data import registry

# `python -m experiments.NAME` imports this file first, with "-m" as the program's name: what NAME
# imports at its top and is not installed, is then said in one line.
if sys.argv[:1] == ["-m"]:
    sys.excepthook = errors.except_hook
    errors.silence_opencv()


def _taught(**options):
    from experiments.operators import teachers  # networks, which no other source needs

    return teachers.pairs(**options)


registry.register("taught", _taught)
