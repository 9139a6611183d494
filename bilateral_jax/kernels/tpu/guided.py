"""HDRNet's two learned guides inside the slicing kernel, from numbers in scalar memory."""

import functools

import jax
import jax.numpy as jnp


def learned(guide: str, parameters):
    """A learned guide as a vector of numbers and the function that applies them.

    curves: `v = image @ ccm + ccm_bias`, `guide = clip(mix_bias + sum_ck mix_c slopes_ck max(v_c -
    shifts_ck, 0), 0, 1)`. pointwise: `guide = sigmoid(bias + sum_k out_k max(image @ weights_k +
    offsets_k, 0))`.

    Args:
      guide: `"curves"` or `"pointwise"`.
      parameters: curves: ccm `[3, 3]`, ccm_bias `[3]`, shifts and slopes `[3, k]`, mix `[3]`,
        mix_bias `[]`. pointwise: weights `[3, k]`, offsets `[k]`, out `[k]`, bias `[]`, the batch
        norm folded in.

    Returns:
      float32 `[p]`, and a function of these numbers and the three colour planes.

    Reference: Gharbi et al. 2017, section 3.4.1.
    """
    p = {name: value.astype(jnp.float32) for name, value in parameters.items()}
    if guide == "curves":
        slopes = p["slopes"] * p["mix"][:, None]
        parts = [p["ccm"].T, p["ccm_bias"], p["shifts"], slopes, p["mix_bias"]]
        apply, knots = _curves, p["shifts"].shape[1]
    else:
        parts = [p["weights"].T, p["offsets"], p["out"], p["bias"]]
        apply, knots = _pointwise, p["out"].shape[0]
    return jnp.concatenate([part.ravel() for part in parts]), functools.partial(apply, knots)


def _curves(knots, numbers, colours):
    guide = numbers[12 + 6 * knots]
    for c in range(3):
        value = _weighted(numbers, 3 * c, colours) + numbers[9 + c]
        for k in range(12 + c * knots, 12 + (c + 1) * knots):
            guide = guide + numbers[k + 3 * knots] * jnp.maximum(value - numbers[k], 0)
    return jnp.clip(guide, 0, 1)


def _pointwise(knots, numbers, colours):
    total = numbers[5 * knots]
    for k in range(knots):
        value = _weighted(numbers, 3 * k, colours) + numbers[3 * knots + k]
        total = total + numbers[4 * knots + k] * jnp.maximum(value, 0)
    return jax.nn.sigmoid(total)


def _weighted(numbers, first, colours):
    return sum(numbers[first + c] * colour for c, colour in enumerate(colours))
