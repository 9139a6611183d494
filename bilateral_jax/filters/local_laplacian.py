"""The local Laplacian filter: edge-aware detail manipulation and tone mapping, without halos.

Every coefficient of the output's Laplacian pyramid is that of an input remapped around the local
brightness g: differences up to sigma count as detail, larger ones as edges. `exact` is the
definition; `fast` remaps around a few fixed brightnesses and interpolates between them. Both filter
planes; `enhance` filters colour photos in stops of linear light, `filters/local_contrast.py`
display-referred ones.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from bilateral_jax import color
from bilateral_jax.filters import pyramids
from bilateral_jax.ops import checks


def remap(plane, center, *, sigma, alpha=1.0, beta=1.0, gain=1.0, noise=0.01) -> jax.Array:
    """Remapping function around a centre: a power of small differences, a factor for large ones.

    With d = plane - center: center + sign(d) gain sigma (|d| / sigma)^alpha for |d| <= sigma, else
    center + sign(d) (beta (|d| - sigma) + gain sigma). Where detail is enhanced (alpha < 1 or
    gain > 1), differences below `noise` stay; up to twice that the two are blended.

    Args:
      plane: float `[*b, h, w]`.
      center: brightness to remap around; a number, or an array that broadcasts against `plane`.
      sigma: limit between detail and edges, > 0, in the units of `plane`.
      alpha: exponent of detail, > 0: below 1 enhances it, above 1 smooths it.
      beta: factor for edges, >= 0: below 1 compresses the range, above 1 expands it.
      gain: factor for detail, > 0; the curve is continuous at sigma. The paper has no such factor.
      noise: difference considered noise, > 0, in the units of `plane`.

    Returns:
      The broadcast shape of `plane` and `center`.

    Reference: Paris, Hasinoff, Kautz 2011, sections 4.1 and 5.1.
    """
    difference = plane - center
    size = jnp.abs(difference)
    # As difference * ratio (not sign * size) the slope is right at difference 0, too; the lower
    # bound keeps a power below 1 finite there, where the blend is 0 already.
    power = (jnp.clip(size, 1e-6 * sigma, sigma) / sigma) ** (alpha - 1.0)
    blend = jnp.clip(size / noise - 1.0, 0.0, 1.0)
    enhancing = jnp.logical_or(alpha < 1.0, gain > 1.0)
    blend = jnp.where(enhancing, blend * blend * (3.0 - 2.0 * blend), 1.0)
    detail = 1.0 + blend * (gain * power - 1.0)
    edge = beta + (gain - beta) * sigma / jnp.maximum(size, sigma)
    return center + difference * jnp.where(size <= sigma, detail, edge)


def fast(
    plane,
    *,
    sigma,
    alpha=1.0,
    beta=1.0,
    gain=1.0,
    noise=0.01,
    samples: int | None = None,
    levels: int | None = None,
    span: tuple[float, float] | None = None,
    kernel: pyramids.Kernel = pyramids.BINOMIAL,
) -> jax.Array:
    """Fast local Laplacian filter: remaps around `samples` brightnesses and interpolates.

    Differentiable, and usable under jit, vmap and pmap. Time and memory grow with h w, time with
    `samples` too.

    Args:
      plane: float `[*b, h, w]`, any range.
      sigma: limit between detail and edges, > 0, in the units of `plane`; see `remap`.
      alpha: exponent of detail.
      beta: factor for edges.
      gain: factor for detail.
      noise: difference considered noise, in the units of `plane`.
      samples: number of brightnesses over `span`, at least 2; None: as `samples_for` counts them
        for the span, which it must know (numbers, or a plane that is not traced).
      levels: bands to filter; None: down to a residual of about two pixels. The residual is kept.
      span: (first, last) brightness; None takes the plane's minimum and maximum. Values outside
        are clamped.
      kernel: of the pyramids.

    Returns:
      `[*b, h, w]`.

    Raises:
      TypeError: `plane` is not of a floating dtype.
      ValueError: fewer than two axes or samples, no pixels, a parameter out of range, or samples
        are to be counted for traced arguments.

    Reference: Aubry, Paris, Hasinoff, Kautz, Durand 2014, section 4.
    """
    plane, levels = _check(plane, levels, sigma, noise)
    dtype, plane = plane.dtype, plane.astype(jnp.promote_types(plane.dtype, jnp.float32))
    if samples is None:
        extent = _extent(plane) if span is None else span[1] - span[0]
        samples = samples_for(extent, sigma=sigma, alpha=alpha, noise=noise)
    if samples < 2:
        raise ValueError(f"samples must be at least 2, got {samples}")
    guide = pyramids.gaussian(plane, levels, kernel=kernel)
    low, step = _nodes(plane, samples, span)
    options = {"sigma": sigma, "alpha": alpha, "beta": beta, "gain": gain, "noise": noise}
    positions = [(level - low) / step for level in guide[:-1]]
    if span is not None:
        positions = [jnp.clip(position, 0, samples - 1) for position in positions]

    @jax.checkpoint
    def add(bands, index):
        remapped = remap(plane, low + index * step, **options)
        remapped = pyramids.laplacian(remapped, levels, kernel=kernel)[:-1]
        weights = [jnp.maximum(1 - jnp.abs(position - index), 0) for position in positions]
        return [band + weight * r for band, weight, r in zip(bands, weights, remapped)], None

    bands = [jnp.zeros_like(level) for level in guide[:-1]]
    bands, _ = jax.lax.scan(add, bands, jnp.arange(samples, dtype=plane.dtype))
    return pyramids.collapse([*bands, guide[-1]], kernel=kernel).astype(dtype)


def samples_for(span: float, *, sigma, alpha=1.0, noise=0.01) -> int:
    """Number of brightnesses that `fast` needs to follow the curve of `remap`.

    Between two of them the curve is interpolated, so their distance must not exceed its narrowest
    part: the power between `noise` and sigma. With the distance returned here, `fast` differs from
    `exact` by about 5 % of what the filter does (measured with alpha 0.5; below 2 % with alpha 1).
    A noise below sigma / 20 is not followed: with alpha below 1 it costs accuracy (a third of the
    effect at noise 0).

    Args:
      span: distance of the first and the last brightness.
      sigma: as for `remap`, a number.
      alpha: as for `remap`; if traced, any value is provided for.
      noise: as for `remap`, a number.

    Returns:
      An int of at least 2.

    Raises:
      ValueError: the span, sigma or noise is traced.
    """
    for name, value in (("span", span), ("sigma", sigma), ("noise", noise)):
        if isinstance(value, jax.core.Tracer):
            raise ValueError(f"samples must be given, since {name} is traced")
    span, sigma, noise = (float(value) for value in (span, sigma, noise))
    if isinstance(alpha, jax.core.Tracer) or float(alpha) != 1:
        enhancing = isinstance(alpha, jax.core.Tracer) or float(alpha) < 1
        distance = min(max(noise, sigma / 20), sigma / 10) if enhancing else sigma / 10
    else:
        distance = sigma / 2
    return max(2, math.ceil(span / distance) + 1)


def exact(
    plane,
    *,
    sigma,
    alpha=1.0,
    beta=1.0,
    gain=1.0,
    noise=0.01,
    levels: int | None = None,
    kernel: pyramids.Kernel = pyramids.BINOMIAL,
) -> jax.Array:
    """Local Laplacian filter by its definition, one remapped pyramid per coefficient: slow.

    Args:
      plane: float `[*b, h, w]`, any range. Time grows with (h w)^2.
      sigma: limit between detail and edges, > 0, in the units of `plane`; see `remap`.
      alpha: exponent of detail.
      beta: factor for edges.
      gain: factor for detail.
      noise: difference considered noise, in the units of `plane`.
      levels: bands to filter; None: down to a residual of about two pixels. The residual is kept.
      kernel: of the pyramids.

    Returns:
      `[*b, h, w]`.

    Raises:
      TypeError: `plane` is not of a floating dtype.
      ValueError: fewer than two axes, no pixels, or a parameter out of range.

    Reference: Paris, Hasinoff, Kautz 2011, algorithm 1.
    """
    plane, levels = _check(plane, levels, sigma, noise)
    options = {"sigma": sigma, "alpha": alpha, "beta": beta, "gain": gain, "noise": noise}
    if plane.ndim > 2:
        return jax.vmap(lambda one: exact(one, levels=levels, kernel=kernel, **options))(plane)
    guide = pyramids.gaussian(plane, levels, kernel=kernel)
    bands = []
    for level, brightness in enumerate(guide[:-1]):

        def coefficient(position, level=level, brightness=brightness):
            remapped = remap(plane, brightness[tuple(position)], **options)
            return pyramids.laplacian(remapped, level + 1, kernel=kernel)[level][tuple(position)]

        positions = jnp.stack(jnp.indices(brightness.shape), -1).reshape(-1, 2)
        bands.append(jax.lax.map(coefficient, positions, batch_size=64).reshape(brightness.shape))
    return pyramids.collapse([*bands, guide[-1]], kernel=kernel)


def enhance(
    image,
    *,
    sigma=1.0,
    alpha=1.0,
    beta=1.0,
    noise=0.1,
    key_value=None,
    shoulder=None,
    saturation=1.0,
    black=2.0**-8,
    colors: str = "ratios",
    samples: int | None = None,
    levels: int | None = None,
) -> jax.Array:
    """Local Laplacian filter of a colour photo in stops (powers of two of linear light).

    With the defaults it is the identity; each of `alpha`, `beta`, `key_value`, `shoulder` and
    `saturation` adds one effect.

    Args:
      image: float `[*b, h, w, 3]`, display-referred sRGB in [0, 1].
      sigma: limit between detail and edges, in stops.
      alpha: exponent of detail: below 1 enhances local contrast, above 1 smooths.
      beta: factor for edges: below 1 brightens shadows and darkens highlights.
      noise: difference considered noise, in stops.
      key_value: linear light that the mean (over the photo, in stops) is scaled to; None keeps
        the exposure.
      shoulder: exponent p of y / (1 + y^p)^(1/p), which rolls off highlights below 1; None clips
        them.
      saturation: factor for the distance of each linear channel from the luminance.
      black: linear light added before the logarithm; darker values stay dark.
      colors: "ratios" filters the luminance and keeps the channels' ratios to it; "each" filters
        each channel alone, which changes colours.
      samples: see `fast`; None counts them for an image in [0, 1], 82 where alpha is traced.
      levels: see `fast`.

    Returns:
      `[*b, h, w, 3]`, display-referred sRGB, clipped to [0, 1], dtype of the image.

    Raises:
      TypeError: `image` is not of a floating dtype.
      ValueError: the last axis is not 3, or `colors` is unknown.

    Reference: Paris, Hasinoff, Kautz 2011, section 5.2; Reinhard et al. 2002, section 3.1 (key).
    """
    if colors not in ("ratios", "each"):
        raise ValueError(f'colors must be "ratios" or "each", got {colors!r}')
    image = jnp.asarray(image)
    if samples is None and not isinstance(black, jax.core.Tracer):
        extent = math.log2((1 + black) / black)
        samples = samples_for(extent, sigma=sigma, alpha=alpha, noise=noise)
    linear = color.srgb_to_linear(image)
    # Channels first: one plane or three.
    planes = jnp.moveaxis(linear, -1, 0)
    brightness = color.luminance(linear)[None] if colors == "ratios" else planes
    stops = jnp.log2(jnp.maximum(brightness, 0.0) + black)
    filtered = fast(
        stops, sigma=sigma, alpha=alpha, beta=beta, noise=noise, samples=samples, levels=levels
    )
    if key_value is not None:
        filtered = filtered - filtered.mean(axis=(0, -2, -1), keepdims=True) + jnp.log2(key_value)
    light = jnp.exp2(filtered)
    if shoulder is not None:
        light = light / (1.0 + light**shoulder) ** (1.0 / shoulder)
    linear = jnp.moveaxis(planes * light / (brightness + black), 0, -1)
    linear = color.scale_saturation(linear, saturation)
    return color.linear_to_srgb(jnp.clip(linear, 0.0, 1.0)).astype(image.dtype)


def _check(plane, levels, sigma, noise):
    for name, value in (("sigma", sigma), ("noise", noise)):
        if isinstance(value, int | float) and not value > 0:
            raise ValueError(f"{name} must be above 0, got {value}")
    plane = checks.floating("plane", plane, 2, "[*b, h, w]")
    if levels is None:
        levels = pyramids.max_levels(*plane.shape[-2:])
    if levels < 1:
        raise ValueError(f"levels must be at least 1, got {levels}")
    return plane, levels


def _extent(plane):
    if isinstance(plane, jax.core.Tracer):
        raise ValueError("samples or span must be given, since plane is traced")
    return float((plane.max((-2, -1)) - plane.min((-2, -1))).max())


def _nodes(plane, samples, span):
    """The first brightness and the spacing of the others."""
    if span is not None:
        low, high = span
        if not low < high:
            raise ValueError(f"span must be (first, last) with first < last, got {span!r}")
        return jnp.asarray(low, plane.dtype), jnp.asarray((high - low) / (samples - 1), plane.dtype)
    # No gradient through the nodes of the interpolation.
    low = jax.lax.stop_gradient(plane.min(axis=(-2, -1), keepdims=True))
    step = jax.lax.stop_gradient(plane.max(axis=(-2, -1), keepdims=True)) - low
    return low, jnp.maximum(step / (samples - 1), 1e-6)
