"""How well the colours of an enhanced image correlate with those of its input.

An enhancer trained without pairs can make an image colourful by giving dark pixels one hue and
bright pixels another. That lowers this correlation; a stronger saturation, another exposure or the
removal of a colour cast does not. Not from a paper; `docs/adversarial.md` says who has it.
"""

import jax
import jax.numpy as jnp

from bilateral_jax import resize
from bilateral_jax.losses import reconstruction
from bilateral_jax.ops import masks

_EPSILON = 1e-4  # variance of chroma below which noise counts for little; that of grey images is 0


def chroma_correlation(prediction, target, *, shrink=1, valid=None) -> jax.Array:
    """One minus the correlation of two images' chroma.

    The chroma of a pixel are R - G and (R + G) / 2 - B; from both their mean over the image is
    subtracted. With p and t for those of all pixels of the two images, the value is
    `1 - mean(p t) / sqrt((mean(p^2) + 1e-4) (mean(t^2) + 1e-4))`: near 0 where one image's chroma
    are a multiple of the other's, 1 where they have nothing in common or one image has none, and
    near 2 where they are opposite.

    Args:
      prediction: float `[*b, h, w, 3]`.
      target: float `[*b, h, w, 3]`.
      shrink: positive int: the images are first reduced by this factor, by area, which leaves out
        noise; at least one pixel is left.
      valid: `[*b, h, w]`, 0 where a pixel is padding and does not count; None counts all.

    Returns:
      float32 `[*b]`, in [0, 2]; the gradient is finite everywhere, and 0 where the target has no
      colours.

    Raises:
      TypeError: an image is not float.
      ValueError: the shapes differ, or have fewer than three axes, no pixel, or other than three
        channels; or `shrink` is not a positive int.
    """
    reconstruction.check_pair(prediction, target)
    for name, image in (("prediction", prediction), ("target", target)):
        if not jnp.issubdtype(jnp.result_type(image), jnp.floating):
            raise TypeError(
                f"{name} must be float with values in [0, 1], got {jnp.result_type(image)}"
            )
    shape = jnp.shape(prediction)
    if shape[-1] != 3 or 0 in shape[-3:]:
        raise ValueError(
            f"prediction and target must be [*b, h, w, 3] with at least one pixel, got {shape}"
        )
    if type(shrink) is not int or shrink < 1:
        raise ValueError(f"shrink must be a positive int, got {shrink!r}")
    valid = masks.check(valid, shape)
    images = [masks.zero(jnp.asarray(each, jnp.float32), valid) for each in (prediction, target)]
    # Of a reduced pixel counts the part that is valid.
    part = jnp.ones((*shape[:-1], 1)) if valid is None else valid[..., None].astype(jnp.float32)
    part, *images = (resize.shrink(each, shrink) for each in (part, *images))
    p, t = (_chroma(image, part) for image in images)
    common, of_p, of_t = (
        _mean(product, part).mean((-3, -2, -1)) for product in (p * t, p * p, t * t)
    )
    return 1 - common * jax.lax.rsqrt((of_p + _EPSILON) * (of_t + _EPSILON))


def _chroma(image, part):
    """Both chroma minus their means, `[*b, h, w, 2]`, of an image whose padding is 0."""
    red, green, blue = (image[..., channel] for channel in range(3))
    chroma = jnp.stack([red - green, (red + green) / 2 - blue], axis=-1)
    chroma /= jnp.where(part > 0, part, 1)
    return chroma - _mean(chroma, part)


def _mean(values, part):
    """Mean over the pixels, weighted by their valid part: `[*b, 1, 1, c]`; 0 if none is valid."""
    total = jnp.maximum(part.sum((-3, -2), keepdims=True), jnp.finfo(jnp.float32).tiny)
    return (values * part).sum((-3, -2), keepdims=True) / total
