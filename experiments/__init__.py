"""Experiments: one file per paper, and the programs that train, evaluate and report them."""

import sys

from bilateral_jax.cli import errors
from bilateral_jax.data import registry

# `python -m experiments.NAME` imports this file first, while sys.argv[0] is "-m". With the hook, a
# package that NAME imports and that is not installed is reported in one line.
if sys.argv[:1] == ["-m"]:
    sys.excepthook = errors.except_hook
    errors.silence_opencv()


def _taught(**options):
    from experiments.operators import teachers  # networks, which no other source needs

    return teachers.pairs(**options)


registry.register("taught", _taught)
