"""A trained model applied to one picture of any size, with working memory for a band of it.

A network with a bilateral grid looks once at a small copy and fills its grid; the picture itself is
rendered in bands of rows, each taking exactly the values that the whole would give it. A network of
convolutions that normalises by the whole picture is run strip by strip (`inference/row_tiles.py`).
Pixels stay in the integers of the file until their band is rendered and come back rounded, so a 200
megapixel photo needs its own bytes twice and a few bands of floats.

Receives pixels from `images/` (through `__main__.py`) and a `Model`.
Hands pixels of the same kind back.
"""

import jax
import jax.numpy as jnp
import numpy as np

from bilateral_jax.inference import row_tiles
from bilateral_jax.models import model as model_lib
from bilateral_jax.models.layers import lowres

# About 20 MB of working memory: above 32 MB a C library gives it back after each band, and clearing
# its pages for the next one takes as long as the arithmetic.
_BAND_PIXELS = 1 << 19
_STEP = 64
# Features of a network of convolutions: a picture up to this many in one piece, else strips.
_FEATURES = 1 << 25


def enhance(
    model: model_lib.Model, image, *, band_rows: int | None = None, conditions=()
) -> np.ndarray:
    """Enhances one picture.

    Args:
      model: a trained model.
      image: `[h, w, 3]`, any size from 1 x 1; float in [0, 1], or uint8 or uint16 pixels.
      band_rows: rows rendered at a time, rounded up to a multiple of 4; None takes about half
        a megapixel of a grid's picture, 32 million features of a network of convolutions. The
        result does not depend on it beyond float rounding.
      conditions: what the network is told beside the picture, one number each (the strength of a
        parameterised operator); most networks take none.

    Returns:
      `[h, w, 3]` of the image's dtype; floats unbounded as the network gives them, integers clipped
      and rounded.

    Raises:
      TypeError: a dtype that is neither floating nor uint8 nor uint16.
      ValueError: the image is not `[h, w, 3]` or has no pixels; `band_rows` is not a positive
        int; the network takes another number of conditions, or gives no pictures.
    """
    if not hasattr(model.module, "enhance"):
        kind = type(model.module).__name__
        raise ValueError(f"{kind} looks at pictures and gives none: it enhances nothing")
    image = np.asarray(image)
    size = _band_size(image, band_rows)
    conditions = tuple(float(value) for value in conditions)
    taken = getattr(model.module, "conditions", 0)
    if len(conditions) != taken:
        raise ValueError(
            f"{type(model.module).__name__} takes {taken} conditions, got {len(conditions)}"
        )
    if hasattr(model.module, "coefficients"):
        return _enhance_by_grid(model, image, size)
    return _enhance_by_strips(model, image, band_rows, conditions)


def _enhance_by_grid(model, image, size):
    module = model.module
    small = _lowres(image, module.net_input_size, module.lowres_method)
    grid = _coefficients(model, small[None])
    out = np.empty_like(image)
    pending = None
    for start in range(0, len(image), size[0]):
        plan = module.band(start, size, image.shape[:2])
        source = _cut(image, plan.rows, plan.columns)
        band = _render(model, grid, source[None], plan.arrays)
        # The device renders this band while the one before is copied out.
        if pending is not None:
            _store(out, *pending)
        pending = start, band
    _store(out, *pending)
    return out


def _enhance_by_strips(model, image, band_rows, conditions):
    height, width, _ = image.shape
    features = width * model.module.width
    if band_rows is None and height * features <= _FEATURES:
        return np.asarray(row_tiles.whole(model, image, to_float=_to_float, conditions=conditions))
    out = np.empty_like(image)

    def store(start, rows):
        place = out[start : start + rows.shape[0]]
        place[:] = np.asarray(rows)[: len(place)]

    rows = band_rows or max(_STEP, _FEATURES // features)
    row_tiles.render(
        model, image, store, rows=min(rows, height), to_float=_to_float, conditions=conditions
    )
    return out


def _band_size(image, band_rows):
    """Checks the arguments and gives (rows, columns) of a band.

    Columns, and the rows of a small picture, are rounded up: a folder of pictures of many sizes
    then needs few compiled functions.
    """
    if image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape:
        raise ValueError(f"image must be [h, w, 3] with at least one pixel, got {image.shape}")
    if image.dtype not in (np.uint8, np.uint16) and not jnp.issubdtype(image.dtype, jnp.floating):
        raise TypeError(f"image must be float in [0, 1], uint8 or uint16, got {image.dtype}")
    height, columns = (-(-size // _STEP) * _STEP for size in image.shape[:2])
    if band_rows is None:
        band_rows = -(-_BAND_PIXELS // columns)
    elif not isinstance(band_rows, int) or band_rows < 1:
        raise ValueError(f"band_rows must be a positive int, got {band_rows!r}")
    return min(height, -(-band_rows // 4) * 4), columns


def _cut(image, rows, columns):
    """Cuts source rows and columns out of a picture whose border repeats outside."""
    inside, beyond = [], []
    for (first, stop), size in zip((rows, columns), image.shape[:2], strict=True):
        inside.append(slice(max(first, 0), min(stop, size)))
        beyond.append((max(-first, 0), max(stop - size, 0)))
    part = image[tuple(inside)]
    return np.pad(part, (*beyond, (0, 0)), mode="edge") if np.any(beyond) else part


def _store(out, start, band):
    rows = out[start : start + band.shape[1]]
    rows[:] = np.asarray(band[0])[: len(rows), : out.shape[1]]


def _lowres(image, size, method):
    """The small copy by `models/layers/lowres.py`'s rule, read row by row: float32 `[n, n, 3]`."""
    height, width, _ = image.shape
    if method == "nearest_legacy":
        rows, columns = lowres.nearest_indices(height, size), lowres.nearest_indices(width, size)
        return np.asarray(_to_float(image[np.ix_(rows, columns)]))
    squeezed = np.empty((size, width, 3), np.float32)
    for row, weights in enumerate(lowres.area_matrix(height, size)):
        used = np.flatnonzero(weights)
        first, last = used[0], used[-1] + 1
        strip = np.asarray(image[first:last], np.float32).reshape(last - first, -1)
        squeezed[row] = (weights[first:last] @ strip).reshape(width, 3)
    if image.dtype.kind == "u":
        squeezed /= np.float32(np.iinfo(image.dtype).max)
    small = np.tensordot(squeezed, lowres.area_matrix(width, size), axes=(1, 1))
    return small.transpose(0, 2, 1)


@jax.jit
def _coefficients(model, small):
    return model.apply(small, method="coefficients")


@jax.jit
def _render(model, grid, rows, arrays):
    """Renders a band from and to the picture's own dtype."""
    out = model.apply(grid, _to_float(rows), arrays, method="render_band")
    if not jnp.issubdtype(rows.dtype, jnp.unsignedinteger):
        return out.astype(rows.dtype)
    return jnp.round(jnp.clip(out, 0, 1) * jnp.iinfo(rows.dtype).max).astype(rows.dtype)


def _to_float(pixels):
    if not jnp.issubdtype(pixels.dtype, jnp.unsignedinteger):
        return pixels.astype(np.float32)
    return pixels.astype(np.float32) / np.float32(jnp.iinfo(pixels.dtype).max)
