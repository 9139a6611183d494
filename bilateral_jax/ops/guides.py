"""Learned guides as pure functions of a pixel's colour, written over the three colour planes.

One colour plane at a time: the compiler fuses a whole guide into a single pass over the image, and
no 16-channel image is stored.
"""

import jax
import jax.numpy as jnp

# Axes of each guide's parameters, by name; k is the number of ramps or hidden units.
PARAMETERS = {
    "curves": {
        "ccm": (3, 3),
        "ccm_bias": (3,),
        "shifts": (3, "k"),
        "slopes": (3, "k"),
        "mix": (3,),
        "mix_bias": (),
    },
    "pointwise": {"weights": (3, "k"), "offsets": ("k",), "out": ("k",), "bias": ()},
}


def curves(image, *, ccm, ccm_bias, shifts, slopes, mix, mix_bias):
    """Curves guide: colour matrix, a curve of k ramps per channel, weighted sum, clip.

    `v = image @ ccm + ccm_bias`; `guide = clip(mix_bias + sum_c mix_c sum_k slopes_ck max(v_c -
    shifts_ck, 0), 0, 1)`.

    Args:
      image: `[..., h, w, 3]`.
      ccm: `[3, 3]`, from channel, to channel.
      ccm_bias: `[3]`.
      shifts: `[3, k]`, where the ramps begin.
      slopes: `[3, k]`.
      mix: `[3]`.
      mix_bias: `[]`.

    Returns:
      `[..., h, w]` in [0, 1].

    Reference: Gharbi et al. 2017, section 3.4.1, equations 6 and 7.
    """
    planes = [image[..., c] for c in range(3)]
    guide = mix_bias
    for c in range(3):
        value = sum(planes[d] * ccm[d, c] for d in range(3)) + ccm_bias[c]
        ramps = (slopes[c, k] * jax.nn.relu(value - shifts[c, k]) for k in range(shifts.shape[1]))
        guide = guide + mix[c] * sum(ramps)
    # `jnp.clip` halves the gradient of a value exactly at a bound (that of a black pixel is 0
    # at the start of training).
    return jnp.where(guide < 0, 0.0, jnp.where(guide > 1, 1.0, guide))


def pointwise(image, *, weights, offsets, out, bias):
    """Pointwise guide: two layers, 3 -> k (ReLU) -> 1 (sigmoid).

    `guide = sigmoid(bias + sum_k out_k max(image @ weights_k + offsets_k, 0))`.

    Args:
      image: `[..., h, w, 3]`.
      weights: `[3, k]`; a batch norm is folded in, here and in the offsets.
      offsets: `[k]`.
      out: `[k]`.
      bias: `[]`.

    Returns:
      `[..., h, w]` in (0, 1).

    Reference: Gharbi et al. 2017, section 3.4.1 (the published code's second guide).
    """
    planes = [image[..., c] for c in range(3)]
    total = bias
    for k in range(out.shape[0]):
        value = sum(planes[c] * weights[c, k] for c in range(3)) + offsets[k]
        total = total + out[k] * jax.nn.relu(value)
    return jax.nn.sigmoid(total)


FUNCTIONS = {"curves": curves, "pointwise": pointwise}
