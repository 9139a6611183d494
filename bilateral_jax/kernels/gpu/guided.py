"""HDRNet's full-resolution path in one kernel: guide, slice and apply.

The guide of a pixel is a function of its colour alone, so the program that slices can compute it:
an image is read once and written once, and no guide is stored. Forward only; derivatives go through
the guide network and `slice_apply`.
"""

import functools

import jax
import jax.numpy as jnp

from bilateral_jax.kernels import pallas
from bilateral_jax.kernels.gpu import slicing


def guided_slice_apply(grid, image, parameters, window=None, *, lattice, guide, dtype):
    """Slices and applies a grid at a learned guide of each pixel's colour.

    curves: `v = image @ ccm + ccm_bias`, `guide = clip(mix_bias + sum_ck mix_c slopes_ck max(v_c -
    shifts_ck, 0), 0, 1)`. pointwise: `guide = sigmoid(bias + sum_k out_k max(image @ weights_k +
    offsets_k, 0))`.

    Args:
      grid: `[n, gh, gw, gd, o, 4]` or, without offset, `[n, gh, gw, gd, o, 3]`.
      image: `[n, h, w, 3]`.
      parameters: of the guide, by name. curves: ccm `[3, 3]`, ccm_bias `[3]`, shifts and slopes
        `[3, k]`, mix `[3]`, mix_bias `[]`. pointwise: weights `[3, k]`, offsets `[k]`, out `[k]`,
        bias `[]`, the batch norm folded in.
      window: int32 `[n, 4]`, (top, left, full height, full width) per example, or None.
      lattice: the `Lattice` of these pixels.
      guide: `"curves"` or `"pointwise"`.
      dtype: of the result.

    Returns:
      `[n, h, w, o]`.

    Reference: Gharbi et al. 2017, section 3.4.1.
    """
    parameters = {name: value.astype(jnp.float32) for name, value in parameters.items()}
    # Reading the vector's entries one by one keeps them in registers.
    if guide == "curves":
        vector, read = _curves_vector(**parameters), _curves_guide
        knots = parameters["shifts"].shape[1]
    else:
        vector, read = _pointwise_vector(**parameters), _pointwise_guide
        knots = parameters["out"].shape[0]
    return slicing.run(
        functools.partial(_read, functools.partial(read, knots), lattice),
        grid,
        [image, vector],
        window,
        lattice=lattice,
        order=0,
        dtype=dtype,
        name=f"bilateral_guided_slice_apply_gpu_{guide}",
    )


def _read(guide, lattice, pixels, at):
    """Depth positions and colours of pixels."""
    image, vector = pixels
    colours = [slicing.load(image, at, c, 3) for c in range(3)]
    return lattice.plane_positions(guide(colours, vector), 0), colours


def _curves_vector(ccm, ccm_bias, shifts, slopes, mix, mix_bias):
    """All numbers of a curves guide as one vector.

    A ramp `a max(v - s, 0)` is `a max(v, s) - a s`: two instructions instead of three, and the
    constant `a s` is subtracted once.
    """
    slopes = slopes * mix[:, None]
    constant = mix_bias - jnp.sum(slopes * shifts)
    parts = (ccm.T, ccm_bias, shifts, slopes, constant)
    return jnp.concatenate([part.ravel() for part in parts])


def _curves_guide(knots, colours, vector):
    entries = functools.partial(_entries, vector)
    matrix, biases = entries(0, 9), entries(9, 3)
    shifts, slopes = entries(12, 3 * knots), entries(12 + 3 * knots, 3 * knots)
    guide = vector[12 + 6 * knots]
    for c in range(3):
        value = _weighted(matrix[3 * c : 3 * c + 3], colours, biases[c])
        for k in range(c * knots, (c + 1) * knots):
            guide = pallas.multiply_add(slopes[k], jnp.maximum(value, shifts[k]), guide)
    return jnp.where(guide < 0.0, 0.0, jnp.where(guide > 1.0, 1.0, guide))  # NaN stays NaN


def _pointwise_vector(weights, offsets, out, bias):
    """All numbers of a pointwise guide as one vector."""
    return jnp.concatenate([part.ravel() for part in (weights.T, offsets, out, bias)])


def _pointwise_guide(knots, colours, vector):
    entries = functools.partial(_entries, vector)
    weights, offsets, out = (
        entries(0, 3 * knots),
        entries(3 * knots, knots),
        entries(4 * knots, knots),
    )
    total = vector[5 * knots]
    for k in range(knots):
        value = _weighted(weights[3 * k : 3 * k + 3], colours, offsets[k])
        total = pallas.multiply_add(out[k], jnp.maximum(value, 0.0), total)
    return jax.nn.sigmoid(total)


def _entries(vector, start, count):
    return [vector[start + k] for k in range(count)]


def _weighted(weights, colours, bias):
    for weight, colour in zip(weights, colours):
        bias = pallas.multiply_add(weight, colour, bias)
    return bias
