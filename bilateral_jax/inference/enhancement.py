"""Enhancement of one image of any size by the inference method that its network declares."""

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax.inference import by_grid, by_halo_tiles, by_pixel, by_row_tiles, whole
from bilateral_jax.models import inference_methods
from bilateral_jax.models import model as model_lib

_METHODS = {
    inference_methods.ByGrid: by_grid.enhance,
    inference_methods.ByRowTiles: by_row_tiles.enhance,
    inference_methods.ByHaloTiles: by_halo_tiles.enhance,
    inference_methods.ByPixel: by_pixel.enhance,
    inference_methods.Whole: whole.enhance,
}


def enhance(
    model: model_lib.Model, image, *, tile_rows: int | None = None, conditions=()
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

    Returns:
      `[h, w, 3]` of the image's dtype; floats unbounded as the network gives them, integers clipped
      and rounded.

    Raises:
      TypeError: a dtype that is neither floating nor uint8 nor uint16.
      ValueError: the network declares no way to enhance an image or takes another number of
        conditions; a condition is not finite; the image is not `[h, w, 3]` or has no pixels;
        `tile_rows` is not a positive int; an image of integers for which the network gives NaN.
      MemoryError: the device has too little memory.
    """
    method = inference_methods.declared(model.module)
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape:
        raise ValueError(f"image must be [h, w, 3] with at least one pixel, got {image.shape}")
    if image.dtype not in (np.uint8, np.uint16) and not jnp.issubdtype(image.dtype, jnp.floating):
        raise TypeError(f"image must be float in [0, 1], uint8 or uint16, got {image.dtype}")
    if tile_rows is not None and (not isinstance(tile_rows, int) or tile_rows < 1):
        raise ValueError(f"tile_rows must be a positive int, got {tile_rows!r}")
    conditions = tuple(float(value) for value in conditions)
    if len(conditions) != method.conditions:
        raise ValueError(
            f"{type(model.module).__name__} takes {method.conditions} conditions, "
            f"got {len(conditions)}"
        )
    if not np.isfinite(conditions).all():
        raise ValueError(f"conditions must be finite, got {conditions}")
    run = _METHODS[type(method)]
    try:
        return run(model, image, method=method, tile_rows=tile_rows, conditions=conditions)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise MemoryError(
            f"an image of {image.shape[1]} x {image.shape[0]} pixels needs more memory than there "
            f"is; a smaller tile_rows (--tile-rows) may help ({str(error).splitlines()[0]})"
        ) from error
