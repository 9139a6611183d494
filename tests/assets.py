"""Where the shared assets are: real photos and golden numbers that the project does not contain."""

import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


def directory() -> pathlib.Path:
    """`BILATERAL_JAX_ASSETS` if set, else `../shared/assets` from the project's root."""
    named = os.environ.get("BILATERAL_JAX_ASSETS")
    return pathlib.Path(named) if named else ROOT.parent / "shared" / "assets"


def path(*parts: str) -> pathlib.Path:
    """The path of one asset; skips the calling test, with the reason, where it is absent.

    Args:
      *parts: the asset's path below the assets folder, as in `path("golden", "hdrnet")`.

    Returns:
      An existing file or folder.
    """
    wanted = directory().joinpath(*parts)
    if not wanted.exists():
        pytest.skip(
            f"asset {'/'.join(parts) or '.'} not found in {directory()} "
            "(set BILATERAL_JAX_ASSETS to the assets folder)"
        )
    return wanted
