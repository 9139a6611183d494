"""Test files that need optional packages are skipped where one is absent, with the reason."""

import pytest

_IMAGES = ("cv2", "imagecodecs", "PIL.Image", "simplejpeg", "tifffile")


def need_images():
    """Skips the calling test or file unless the packages of the extra `images` are installed."""
    for package in _IMAGES:
        pytest.importorskip(package, reason=f"{package} is not installed (bilateral_jax[images])")
