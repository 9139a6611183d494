"""Local contrast enhancement of display-referred photos; colours keep their ratios to the luma.

`boost` is the fast local Laplacian filter with the parameters of published results; `multilayer`
splits the luma into detail layers by guided filters and amplifies each.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from bilateral_jax import color
from bilateral_jax.filters import arguments, guided, local_laplacian, pyramids


def boost(
    image,
    *,
    sigma=0.1,
    alpha=1.0,
    beta=1.0,
    gain=3.0,
    noise=1e-6,
    samples: int | None = None,
    levels: int | None = None,
    span: tuple[float, float] | None = (0.0, 1.0),
    kernel: pyramids.Kernel = pyramids.PUBLISHED,
    weights: tuple[float, float, float] = color.LUMA_BT601,
) -> jax.Array:
    """Local contrast enhancement by the fast local Laplacian filter.

    The defaults are those of published results of the fast filter: differences of luma up to 0.1
    are tripled, larger ones increased by 0.2. They reproduce those images (8 bits, short side 341
    to 344 pixels) within one level, 99.8 % of the values exactly.

    Args:
      image: float `[*b, h, w, 3]`, display-referred in [0, 1].
      sigma: limit between detail and edges, in units of luma.
      alpha: exponent of detail.
      beta: factor for edges.
      gain: factor for detail.
      noise: difference of luma considered noise.
      samples: see `local_laplacian.fast`; None is the published 20 where alpha is 1. With
        alpha below 1 the filter needs a `noise` of about sigma / 10.
      levels: see `local_laplacian.fast`.
      span: see `local_laplacian.fast`.
      kernel: see `local_laplacian.fast`.
      weights: of red, green and blue in the luma.

    Returns:
      `[*b, h, w, 3]`, clipped to [0, 1].

    Raises:
      TypeError: `image` is not of a floating dtype.
      ValueError: the last axis is not 3, or a parameter is out of range.

    Reference: Aubry, Paris, Hasinoff, Kautz, Durand 2014, section 4; docs/filters.md says how the
      parameters were found.
    """
    image = arguments.rgb_image(image)
    dtype, image = image.dtype, image.astype(jnp.promote_types(image.dtype, jnp.float32))
    if samples is None and not isinstance(alpha, jax.core.Tracer) and alpha == 1:
        samples = 20
    plane = color.luma(image, weights=weights)
    filtered = local_laplacian.fast(
        plane,
        sigma=sigma,
        alpha=alpha,
        beta=beta,
        gain=gain,
        noise=noise,
        samples=samples,
        levels=levels,
        span=span,
        kernel=kernel,
    )
    return recolor(image, plane, filtered).astype(dtype)


def multilayer(
    image,
    *,
    gains=(1.0, 1.0, 1.0),
    compression=1.0,
    lift=0.0,
    noise=0.005,
    edge=0.2,
    radii: tuple[int, ...] = (2, 8, 32),
    epsilon=0.01,
    weights: tuple[float, float, float] = color.LUMA_BT601,
) -> jax.Array:
    """Multilayer detail enhancement: S-curves on detail layers, range compression of the base.

    Layer k is what the k-th guided filter (self-guided, of the base of the layer before) removes. A
    value d of it becomes `d (1 + (gain - 1) (1 - exp(-(d / noise)^2)) exp(-(d / edge)^2))`: small
    values (noise) and large ones (edges) stay. The base r becomes `mean + compression (r - mean) +
    lift (1 - r)^2 r`, which brightens shadows. The defaults of `gains`, `compression` and `lift`
    are the identity; all numbers may be traced, and have gradients.

    Args:
      image: float `[*b, h, w, 3]`, display-referred in [0, 1].
      gains: factor of every layer, finest first; above 1 enhances, below 1 smooths.
      compression: factor for the difference of the base from its mean over the photo.
      lift: of the shadows.
      noise: difference of luma considered noise, > 0.
      edge: difference of luma considered an edge, > 0.
      radii: of the guided filters, one per gain.
      epsilon: of the guided filters: variance of luma below which a window counts as flat.
      weights: of red, green and blue in the luma.

    Returns:
      `[*b, h, w, 3]`, clipped to [0, 1].

    Raises:
      TypeError: `image` is not of a floating dtype.
      ValueError: the last axis is not 3, not one radius per gain, or a radius or epsilon out of
        range.

    Reference: the idea of Talebi and Milanfar 2016, "Fast multilayer Laplacian enhancement" (layers
      of growing support, S-curves), with guided filters (He, Sun, Tang 2013, section 4) for their
      smoothers. Not compared with published outputs.
    """
    image = arguments.rgb_image(image)
    if len(gains) != len(radii):
        raise ValueError(
            f"radii must be as many as gains, got {len(radii)} radii and {len(gains)} gains"
        )
    dtype, image = image.dtype, image.astype(jnp.promote_types(image.dtype, jnp.float32))
    plane = color.luma(image, weights=weights)
    base, detail = plane, jnp.zeros_like(plane)
    for gain, radius in zip(gains, radii):
        smooth = guided.smooth(base, base[..., None], radius=radius, epsilon=epsilon)
        layer, base = base - smooth, smooth
        weight = -jnp.expm1(-jnp.square(layer / noise)) * jnp.exp(-jnp.square(layer / edge))
        detail = detail + layer * (1.0 + (gain - 1.0) * weight)
    mean = base.mean((-2, -1), keepdims=True)
    base = mean + compression * (base - mean) + lift * jnp.square(1.0 - base) * base
    return recolor(image, plane, base + detail).astype(dtype)


def recolor(image, before, after) -> jax.Array:
    """Scales the channels of every pixel by the ratio of filtered to original luma.

    Args:
      image: float `[*b, h, w, 3]`.
      before: its luma, `[*b, h, w]`.
      after: the filtered luma, `[*b, h, w]`.

    Returns:
      `[*b, h, w, 3]`, clipped to [0, 1]. Black stays black.
    """
    ratio = after / jnp.maximum(before, 1e-6)
    return jnp.clip(image * ratio[..., None], 0.0, 1.0)
