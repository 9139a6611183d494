"""Enhancement of one image of any size by the inference method that its network declares."""

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax import pixels as pixels_lib
from bilateral_jax.inference import (
    by_fitted_grid,
    by_grid,
    by_halo_tiles,
    by_pixel,
    by_row_tiles,
    whole,
)
from bilateral_jax.models import inference_methods
from bilateral_jax.models import model as model_lib

_METHODS = {
    inference_methods.ByGrid: by_grid.enhance,
    inference_methods.ByRowTiles: by_row_tiles.enhance,
    inference_methods.ByHaloTiles: by_halo_tiles.enhance,
    inference_methods.ByPixel: by_pixel.enhance,
    inference_methods.Whole: whole.enhance,
}

_BLENDED_ROWS = 256


def enhance(
    model: model_lib.Model,
    image,
    *,
    tile_rows: int | None = None,
    conditions=(),
    strength: float = 1.0,
    grid_side: int | None = None,
) -> np.ndarray:
    """Enhances one image.

    Args:
      model: a trained model.
      image: `[h, w, 3]`, any size from 1 x 1; float in [0, 1], or uint8 or uint16 pixels.
      tile_rows: rows rendered at a time (by grid rounded up to a multiple of 4); None takes
        256 or 512 by grid, some thousand pixels by pixel, 32 million features of a convolutional
        network. The result does not depend on it beyond float rounding. A network that takes the
        image whole ignores it.
      conditions: constant inputs beside the image, one number each (the strength of a parameterised
        operator); most networks take none.
      strength: 0 gives the image, 1 the network's result, numbers between them the weighted mean of
        the two. By grid it is taken before rounding, so it is that of the grid's coefficients and
        those of the identity; other networks' integers are within one level of that.
      grid_side: run the network on the image reduced (by area) to this longer side, fit a bilateral
        grid to what it does there (`fit_grid`) and render the image from that. None runs the
        network on the image itself, as does a side that is not less than the image's.

    Returns:
      `[h, w, 3]` of the image's dtype; floats unbounded as the network gives them, integers clipped
      and rounded.

    Raises:
      TypeError: no array, or a dtype that is neither floating nor uint8 nor uint16.
      ValueError: the network declares no way to enhance an image or takes another number of
        conditions; a condition is not finite; the image is not `[h, w, 3]` or has no pixels;
        `tile_rows` or `grid_side` is not a positive int; `strength` is not in [0, 1]; an image of
        integers for which the network gives NaN; a `grid_side` for a network that predicts a grid
        itself, or with which no grid can be fitted to the network's result.
      MemoryError: the device has too little memory.
    """
    method = inference_methods.declared(model.module)
    image = _array(image)
    if image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape:
        raise ValueError(f"image must be [h, w, 3] with at least one pixel, got {image.shape}")
    if image.dtype not in (np.uint8, np.uint16) and not jnp.issubdtype(image.dtype, jnp.floating):
        raise TypeError(f"image must be float in [0, 1], uint8 or uint16, got {image.dtype}")
    for name, count in (("tile_rows", tile_rows), ("grid_side", grid_side)):
        if count is not None and (type(count) is not int or count < 1):
            raise ValueError(f"{name} must be a positive int, got {count!r}")
    conditions = tuple(float(value) for value in conditions)
    if len(conditions) != method.conditions:
        raise ValueError(
            f"{type(model.module).__name__} takes {method.conditions} conditions, "
            f"got {len(conditions)}"
        )
    if not np.isfinite(conditions).all():
        raise ValueError(f"conditions must be finite, got {conditions}")
    if not _is_fraction(strength):
        raise ValueError(f"strength must be in [0, 1], got {strength!r}")
    run = _METHODS[type(method)]
    options = {"method": method, "tile_rows": tile_rows, "conditions": conditions}
    if grid_side is not None:
        by_fitted_grid.check_model(model)
        if grid_side < max(image.shape[:2]):
            options |= {"run": run, "side": grid_side}
            run = by_fitted_grid.enhance
    try:
        if run in (by_grid.enhance, by_fitted_grid.enhance):
            weight = float(strength) if strength < 1 else None
            return run(model, image, strength=weight, **options)
        out = run(model, image, **options)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise MemoryError(
            f"an image of {image.shape[1]} x {image.shape[0]} pixels needs more memory than there "
            f"is; a smaller tile_rows (--tile-rows) may help ({str(error).splitlines()[0]})"
        ) from error
    return out if strength == 1 else _blend(image, out, float(strength))


def _array(image):
    array = np.asarray(image)
    if array.dtype == object:
        raise TypeError(
            f"image must be an array of pixels (of a photo that was read: photo.pixels), got "
            f"{type(image).__name__}"
        )
    return array


def _is_fraction(value):
    """Whether a value is a number in [0, 1]; text, True and NaN are none."""
    value = np.asarray(value)
    real = any(jnp.issubdtype(value.dtype, kind) for kind in (jnp.floating, jnp.integer))
    return real and value.ndim == 0 and bool(0 <= value <= 1)


def _blend(image, out, strength):
    """Weights image and result, some rows at a time."""
    blended = np.empty_like(image)
    for top in range(0, len(image), _BLENDED_ROWS):
        rows = slice(top, top + _BLENDED_ROWS)
        source, result = (pixels_lib.as_float(array[rows]) for array in (image, out))
        mixed = source + np.asarray(strength, source.dtype) * (result - source)
        blended[rows] = pixels_lib.to_dtype(mixed, image.dtype)
    return blended
