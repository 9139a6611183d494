"""A program as a user would write it; `tests/types_test.py` runs mypy --strict on it."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np

import bilateral_jax as bj
from bilateral_jax import color, images, inference, losses, metrics, models, resize
from bilateral_jax.checkpoints import networks
from bilateral_jax.filters import guided, local_laplacian
from bilateral_jax.importers import hdrnet
from bilateral_jax.losses import reconstruction
from bilateral_jax.models.model import Model


def loss(grid: jax.Array, guide: jax.Array, image: jax.Array, target: jax.Array) -> jax.Array:
    out: jax.Array = bj.slice_apply(grid, guide, image, convention="align_corners")
    return reconstruction.mse(out, target).mean() + bj.total_variation(grid)


def grids(image: jax.Array) -> jax.Array:
    grid: jax.Array = bj.identity_grid((16, 16, 8))
    guide = color.luminance(image)
    coefficients: jax.Array = bj.slice(grid, guide)
    back: jax.Array = bj.splat(coefficients, guide, grid_shape=(16, 16, 8))
    smooth: jax.Array = bj.bilateral_filter(image, guide, sigma_space=8.0, sigma_range=0.1)
    return bj.apply(coefficients, image) + smooth + bj.blur(back, 1.0).sum()


def enhance(checkpoint: str, photo: pathlib.Path, out: pathlib.Path) -> float:
    model: Model = networks.load_model(checkpoint)
    read = images.read(photo)
    pixels: np.ndarray = inference.enhance(model, read.pixels)
    images.write(out, pixels, quality=95)
    score: jax.Array = metrics.psnr(images.to_float(pixels), images.to_float(read.pixels))
    small: jax.Array = resize.resize(jnp.asarray(images.to_float(pixels)), 64, method="area")
    return float(score) + float(small.mean()) + float(jnp.mean(model(small)))


def network(weights: str) -> Model:
    module = models.create("HDRNetCurves", {"luma_bins": 8})
    model = Model.init(module, jax.random.key(0))
    return hdrnet.load(weights) if weights else model


def filtered(plane: jax.Array) -> jax.Array:
    return local_laplacian.fast(guided.smooth(plane, plane, radius=4, epsilon=0.01), sigma=0.1)


public: list[str] = [*bj.__all__, *losses.__all__]
