"""Slice and apply with a learned guide: HDRNet's full-resolution path.

The guide of a pixel is a function of its colour alone, so a kernel can compute it where it slices:
the image is read once, written once, and no guide is stored. Implementations without such a kernel
compute the guide first. Derivatives go through those two steps, whichever ran forward.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

from bilateral_jax import lattice as lattice_lib
from bilateral_jax.ops import (
    bilateral,
    binding,
    checks,
    dispatch,
    guides,
    nonfinite,
    primitives,
)

guided_p = Primitive("bilateral_guided_slice_apply")
_OPERANDS = ("grid", "image", "window")


def guided_slice_apply(
    grid,
    image,
    *,
    guide: str,
    parameters,
    window: checks.Window = None,
    convention: lattice_lib.Convention = "half_pixel",
    boundary: bilateral.Boundaries = "clamp",
    implementation: str | None = None,
) -> jax.Array:
    """Slices an affine grid at a learned guide of each pixel's colour and applies the matrices.

    `slice_apply(grid, g(image), image)`, where `g` is one of `ops/guides.py`.

    Args:
      grid: `[*b, gh, gw, gd, n_out, 4]`, offset last, or `[*b, gh, gw, gd, n_out, 3]` without.
      image: `[*b, h, w, 3]`.
      guide: `"curves"` or `"pointwise"`.
      parameters: of the guide, by name, the same for all examples. curves: ccm `[3, 3]`, ccm_bias
        `[3]`, shifts and slopes `[3, k]`, mix `[3]`, mix_bias `[]`. pointwise: weights `[3, k]`,
        offsets `[k]`, out `[k]`, bias `[]`.
      window: see `slice`.
      convention: see `slice`.
      boundary: see `slice`.
      implementation: see `slice`.

    Returns:
      `[*b, h, w, n_out]`, not clipped, in the promoted dtype of grid and image.

    Raises:
      TypeError: if grid, image or a parameter is not floating point.
      ValueError: as `slice_apply`; for an unknown guide, or parameters that do not fit it.

    Reference:
      Gharbi et al. 2017, sections 3.4.1 and 3.4.2.
    """
    grid = checks.floating("grid", grid, 5, "[*b, gh, gw, gd, n_out, 4]")
    image = checks.floating("image", image, 3, "[*b, h, w, 3]")
    if image.shape[-1] != 3:
        raise ValueError(f"image must end in 3 channels for a learned guide, got {image.shape}")
    bilateral.fitting_matrices("grid", grid.shape, image.shape)
    parameters = _checked_parameters(guide, parameters)
    batch = checks.broadcast(grid=grid.shape[:-5], image=image.shape[:-3])
    size = image.shape[-3:-1]
    lattice, window = bilateral.lattice_of(grid.shape[-5:-2], size, window, convention, boundary)
    options = _Options(
        guide,
        lattice,
        jnp.promote_types(grid.dtype, image.dtype),
        dispatch.known(implementation),
    )
    operands = bilateral.fold(grid, batch, 5), bilateral.fold(image, batch, 3)
    out = _guided(options, *operands, parameters, bilateral.fold_window(window, batch))
    return out.reshape(*batch, *out.shape[1:])


def _checked_parameters(guide, parameters):
    if guide not in guides.PARAMETERS:
        raise ValueError(f"guide must be one of {tuple(guides.PARAMETERS)}, got {guide!r}")
    shapes = guides.PARAMETERS[guide]
    if set(parameters) != set(shapes):
        raise ValueError(
            f"parameters of a {guide} guide must be {sorted(shapes)}, got {sorted(parameters)}"
        )
    checked, k = {}, None
    for name, axes in shapes.items():
        value = checks.floating(f"parameters[{name!r}]", parameters[name], 0, "[...]")
        if "k" in axes and k is None and value.ndim == len(axes):
            k = value.shape[-1]
        expected = tuple(k if axis == "k" else axis for axis in axes)
        if value.shape != expected:
            raise ValueError(f"parameters[{name!r}] must be {axes}, got {value.shape}")
        checked[name] = value
    return checked


class _Options(NamedTuple):
    """Static parameters of a call."""

    guide: str
    lattice: lattice_lib.Lattice
    dtype: jnp.dtype
    implementation: str | None


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _guided(options, grid, image, parameters, window):
    operands = {"grid": grid, "image": image, "window": window} | parameters
    return binding.bind(guided_p, operands, **options._asdict())


@_guided.defjvp
def _guided_jvp(options, primals, tangents):
    grid, image, parameters, window = primals
    steps = functools.partial(_two_steps, options, window=window)
    return jax.jvp(steps, (grid, image, parameters), tangents[:3])


def _two_steps(options, grid, image, parameters, window):
    """The guide first, then the slice."""
    static = options._asdict()
    plane = guides.FUNCTIONS[static.pop("guide")](image, **parameters)
    return primitives.slice_apply(grid, plane, image, window, **static)


@guided_p.def_abstract_eval
def _shape(*avals, names, dtype, **params):
    del params
    operands = dict(zip(names, avals, strict=True))
    shape = (*operands["image"].shape[:3], operands["grid"].shape[4])
    return binding.result(shape, dtype, [operands["image"]], 3)


def _split(names, args):
    """`(grid, image, window)` and the parameters by name."""
    operands = dict(zip(names, args, strict=True))
    own = [operands.pop(name, None) for name in _OPERANDS]
    return own, operands


def _lowering(ctx, *args, names, guide, lattice, dtype, implementation):
    operands = dict(zip(names, ctx.avals_in, strict=True))
    name = dispatch.choose(
        implementation,
        dispatch.call_of("slice_apply", operands, lattice=lattice, dtype=dtype, order=0),
        ctx.module_context.platforms,
        ctx.module_context.lowering_parameters.for_export,
    )
    kernel = dispatch.guided(name)

    def implement(*args):
        (grid, image, window), parameters = _split(names, args)
        if kernel is None:
            options = _Options(guide, lattice, dtype, name)
            return _two_steps(options, grid, image, parameters, window)
        out = kernel(grid, image, parameters, window, lattice=lattice, guide=guide, dtype=dtype)

        def learned(image):
            return guides.FUNCTIONS[guide](image, **parameters)

        operands = {"grid": grid, "guide": learned, "image": image, "window": window}
        return nonfinite.slice_again(out, **operands, lattice=lattice, order=0, dtype=dtype)

    label, narrow = f"bilateral_guided_slice_apply_{name}", name in dispatch.KERNELS
    return binding.lower(ctx, implement, label, args, narrow=narrow)


def _batch(args, axes, *, names, **params):
    (grid, image, window), parameters = _split(names, args)
    grid_axes, parameter_axes = _split(names, axes)
    if any(axis is not None for axis in parameter_axes.values()):
        # The kernels take one guide for all examples.
        steps = functools.partial(_two_steps, _Options(**params))
        return jax.vmap(steps, (*grid_axes[:2], parameter_axes, grid_axes[2]))(
            grid, image, parameters, window
        ), 0
    size = next(a.shape[x] for a, x in zip(args, axes, strict=True) if x is not None)
    folded, own = {}, None
    for name, array, axis in zip(_OPERANDS, (grid, image, window), grid_axes, strict=True):
        if array is not None:
            array = batching.bdim_at_front(array, axis, size)
            own = array.shape[1]
            folded[name] = array.reshape(size * own, *array.shape[2:])
    out = binding.bind(guided_p, folded | parameters, **params)
    return out.reshape(size, own, *out.shape[1:]), 0


guided_p.def_impl(functools.partial(binding.run, guided_p))
mlir.register_lowering(guided_p, _lowering)
batching.primitive_batchers[guided_p] = _batch
