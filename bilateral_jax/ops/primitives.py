"""Slice and splat as a closed set of JAX primitives, with derivatives of any order and mode.

`slice_apply(grid, guide, image)` is linear in the grid and linear in the image;
`splat_apply(values, guide, image)` is its transpose in the grid, linear in the values and linear in
the image. In the guide both have one derivative, which is the same operation with the slope of the
tent in place of the tent (`order` 1), and none after that: the second derivative of a piecewise
linear function is 0 almost everywhere. The derivative of slicing in the guide is an operation of
its own, in both directions, so that its `o` channels per pixel need never be stored:
`guide_jvp` scales them, `guide_vjp` contracts them with a cotangent. So every rule below calls one
of the four again, and forward mode, reverse mode, their compositions and batching hold for every
implementation, none of which has to know of them.

| rule                        | result |
|---|---|
| slice, tangent of grid      | `slice_apply(d_grid, guide, image)` |
| slice, tangent of guide     | `guide_jvp(d_guide, grid, guide, image)` |
| slice, tangent of image     | `slice_apply(grid without offset, guide, d_image)` |
| slice, cotangent of grid    | `splat_apply(cotangent, guide, image)` |
| slice, cotangent of image   | `slice_apply(grid's linear part transposed, guide, cotangent)` |
| splat, tangent of values    | `splat_apply(d_values, guide, image)` |
| splat, tangent of guide     | `splat_apply(values * d_guide, guide, image, order=1)` |
| splat, tangent of image     | `splat_apply(values, guide, d_image)`, offset column 0 |
| splat, cotangent of values  | `slice_apply(cotangent, guide, image)` |
| splat, cotangent of image   | `slice_apply(cotangent's linear part transposed, guide, values)` |
| guide_jvp, cot. of d_guide  | `guide_vjp(cotangent, grid, guide, image)` |
| guide_jvp, cot. of grid     | `splat_apply(cotangent * d_guide, guide, image, order=1)` |
| guide_jvp, cot. of image    | `slice_apply(grid transposed, guide, cot. * d_guide, order=1)` |
| guide_vjp, cot. of values   | `guide_jvp(cotangent, grid, guide, image)` |
| guide_vjp, cot. of the rest | as for guide_jvp, with `values * cotangent` |

Shapes here are those of the implementations: one leading axis `n`, features `[o, j]` (see
`ops/reference.py`).
"""

import functools

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad

from bilateral_jax.ops import binding, reference

slice_p = Primitive("bilateral_slice_apply")
splat_p = Primitive("bilateral_splat_apply")
guide_jvp_p = Primitive("bilateral_guide_jvp")
guide_vjp_p = Primitive("bilateral_guide_vjp")


def slice_apply(grid, guide, image=None, window=None, *, lattice, order=0, dtype, implementation):
    """Binds `slice_p`: `[n, h, w, o]`; arguments as in `ops/reference.py`."""
    operands = {"grid": grid, "guide": guide, "image": image, "window": window}
    params = {"lattice": lattice, "order": order, "implementation": implementation}
    return binding.bind(slice_p, operands, dtype=jnp.dtype(dtype), **params)


def splat_apply(
    values, guide, image=None, window=None, *, lattice, order=0, offset, dtype, implementation
):
    """Binds `splat_p`: `[n, gh, gw, gd, o, j]`; arguments as in `ops/reference.py`."""
    operands = {"values": values, "guide": guide, "image": image, "window": window}
    params = {"lattice": lattice, "order": order, "implementation": implementation}
    return binding.bind(splat_p, operands, offset=offset, dtype=jnp.dtype(dtype), **params)


def guide_jvp(d_guide, grid, guide, image=None, window=None, *, lattice, dtype, implementation):
    """Binds `guide_jvp_p`: the tangent `[n, h, w, o]` of `slice_apply` for that of its guide."""
    operands = {"d_guide": d_guide, "grid": grid, "guide": guide, "image": image, "window": window}
    params = {"lattice": lattice, "implementation": implementation}
    return binding.bind(guide_jvp_p, operands, dtype=jnp.dtype(dtype), **params)


def guide_vjp(values, grid, guide, image=None, window=None, *, lattice, dtype, implementation):
    """Binds `guide_vjp_p`: `[n, h, w]`; arguments as in `ops/reference.py`."""
    operands = {"values": values, "grid": grid, "guide": guide, "image": image, "window": window}
    params = {"lattice": lattice, "implementation": implementation}
    return binding.bind(guide_vjp_p, operands, dtype=jnp.dtype(dtype), **params)


# Shapes


@guide_jvp_p.def_abstract_eval
@slice_p.def_abstract_eval
def _slice_shape(*avals, names, dtype, **params):
    del params
    operands = dict(zip(names, avals, strict=True))
    shape = (*operands["guide"].shape, operands["grid"].shape[4])
    return binding.result(shape, dtype, _pixels(operands), 3)


@splat_p.def_abstract_eval
def _splat_shape(*avals, names, lattice, offset, dtype, **params):
    del params
    operands = dict(zip(names, avals, strict=True))
    values = operands["values"]
    columns = operands["image"].shape[-1] + offset if "image" in names else 1
    shape = (values.shape[0], *lattice.grid_shape, values.shape[-1], columns)
    return binding.result(shape, dtype, _pixels(operands), 1)


@guide_vjp_p.def_abstract_eval
def _guide_shape(*avals, names, dtype, **params):
    del params
    operands = dict(zip(names, avals, strict=True))
    return binding.result(operands["guide"].shape, dtype, _pixels(operands), 3)


def _pixels(operands):
    """The operands `[n, h, w, ...]`, the guide first."""
    return [operands[name] for name in ("guide", "image", "values", "d_guide") if name in operands]


# Tangents


def _slice_jvp(primals, tangents, *, names, **params):
    operands, moved = _named(names, primals, tangents)
    out = slice_apply(**operands, **params)
    parts = _multilinear(slice_apply, operands, moved, params)
    if "guide" in moved and params["order"] == 0:
        options = {name: value for name, value in params.items() if name != "order"}
        parts.append(guide_jvp(moved["guide"], **operands, **options))
    return out, _sum_or_zero(parts, out)


def _splat_jvp(primals, tangents, *, names, **params):
    operands, moved = _named(names, primals, tangents)
    out = splat_apply(**operands, **params)
    parts = []
    if "values" in moved:
        parts.append(splat_apply(**(operands | {"values": moved["values"]}), **params))
    if "image" in moved:
        linear = splat_apply(
            **(operands | {"image": moved["image"]}), **(params | {"offset": False})
        )
        parts.append(_pad_offset(linear) if params["offset"] else linear)
    if "guide" in moved and params["order"] == 0:
        wide = reference.accumulation_dtype(*primals)
        values = operands["values"].astype(wide) * moved["guide"][..., None].astype(wide)
        parts.append(splat_apply(**(operands | {"values": values}), **(params | {"order": 1})))
    return out, _sum_or_zero(parts, out)


def _guide_jvp_jvp(primals, tangents, *, names, **params):
    operands, moved = _named(names, primals, tangents)
    out = guide_jvp(**operands, **params)
    return out, _sum_or_zero(_multilinear(guide_jvp, operands, moved, params), out)


def _guide_vjp_jvp(primals, tangents, *, names, **params):
    operands, moved = _named(names, primals, tangents)
    out = guide_vjp(**operands, **params)
    return out, _sum_or_zero(_multilinear(guide_vjp, operands, moved, params), out)


def _named(names, primals, tangents):
    """Operands by name, and the tangents that are not zero."""
    operands = dict(zip(names, primals, strict=True))
    moved = dict(zip(names, tangents, strict=True))
    moved.pop("window", None)
    return operands, {name: t for name, t in moved.items() if not isinstance(t, ad.Zero)}


def _multilinear(call, operands, moved, params):
    """Tangents of an operation that is linear in each operand but the guide."""
    parts = []
    for name, tangent in moved.items():
        if name == "image":
            linear = operands["grid"][..., : tangent.shape[-1]]
            parts.append(call(**(operands | {"grid": linear, "image": tangent}), **params))
        elif name != "guide":
            parts.append(call(**(operands | {name: tangent}), **params))
    return parts


def _sum_or_zero(parts, out):
    if not parts:
        return ad.Zero(jax.typeof(out))
    return functools.reduce(jnp.add, parts)


def _pad_offset(matrices):
    """Appends a zero offset column to `[..., o, i]`."""
    return jnp.pad(matrices, [(0, 0)] * (matrices.ndim - 1) + [(0, 1)])


# Transposes


def _slice_transpose(cotangent, operands, **params):
    if binding.linear_operand(operands) == "grid":
        return _grid_cotangent(cotangent, operands, params)
    return _image_cotangent(operands["grid"], cotangent, operands, params)


def _splat_transpose(cotangent, operands, *, offset, **params):
    del offset  # the cotangent's features say it
    if binding.linear_operand(operands) == "image":
        return _image_cotangent(cotangent, operands["values"], operands, params)
    params |= {"dtype": operands["values"].aval.dtype}
    return slice_apply(
        cotangent, operands["guide"], operands.get("image"), operands.get("window"), **params
    )


def _guide_jvp_transpose(cotangent, operands, **params):
    linear = binding.linear_operand(operands)
    if linear == "d_guide":
        rest = {name: value for name, value in operands.items() if name != "d_guide"}
        return guide_vjp(cotangent, **rest, **(params | {"dtype": operands["d_guide"].aval.dtype}))
    scaled = _scaled(cotangent, operands["d_guide"])
    return _slope_cotangent(linear, scaled, operands, params)


def _guide_vjp_transpose(cotangent, operands, **params):
    linear = binding.linear_operand(operands)
    if linear == "values":
        rest = {name: value for name, value in operands.items() if name != "values"}
        return guide_jvp(cotangent, **rest, **(params | {"dtype": operands["values"].aval.dtype}))
    return _slope_cotangent(linear, _scaled(operands["values"], cotangent), operands, params)


def _slope_cotangent(linear, values, operands, params):
    params = params | {"order": 1}
    if linear == "grid":
        return _grid_cotangent(values, operands, params)
    return _image_cotangent(operands["grid"], values, operands, params)


def _grid_cotangent(values, operands, params):
    """The transpose of `slice_apply` in its grid."""
    grid, image = operands["grid"].aval, operands.get("image")
    return splat_apply(
        values,
        operands["guide"],
        image,
        operands.get("window"),
        offset=image is None or grid.shape[-1] > image.shape[-1],
        **(params | {"dtype": grid.dtype}),
    )


def _image_cotangent(grid, values, operands, params):
    """The transpose of `slice_apply` in its image: the matrices transposed, without offset."""
    image = operands["image"].aval
    linear = jnp.swapaxes(grid[..., : image.shape[-1]], -1, -2)
    params = params | {"dtype": image.dtype}
    return slice_apply(linear, operands["guide"], values, operands.get("window"), **params)


def _scaled(values, scale):
    """`values[..., o] * scale[...]`, channel by channel.

    The transpose of a broadcast product is a sum over the last axis, where jax 0.10.2 takes 45 ns
    per pixel on a CPU; this transposes to additions, 1 ns.
    """
    wide = reference.accumulation_dtype(values, scale)
    channels = [values[..., o].astype(wide) * scale.astype(wide) for o in range(values.shape[-1])]
    return jnp.stack(channels, axis=-1)


def _lower_guide_jvp(ctx, *args, names, dtype, **params):
    """The slope, scaled: no implementation has one of its own."""

    def scaled_slope(*args):
        operands = dict(zip(names, args, strict=True))
        d_guide = operands.pop("d_guide")
        wide = reference.accumulation_dtype(*args)
        slope = slice_apply(**operands, order=1, dtype=wide, **params)
        return _scaled(slope, d_guide).astype(dtype)

    return binding.lower(ctx, scaled_slope, "bilateral_guide_jvp", args)


binding.register(
    slice_p,
    binding.chosen_lowering("slice_apply"),
    slice_apply,
    _slice_jvp,
    _slice_transpose,
)
binding.register(
    splat_p,
    binding.chosen_lowering("splat_apply"),
    splat_apply,
    _splat_jvp,
    _splat_transpose,
)
binding.register(
    guide_jvp_p,
    _lower_guide_jvp,
    guide_jvp,
    _guide_jvp_jvp,
    _guide_jvp_transpose,
)
binding.register(
    guide_vjp_p,
    binding.chosen_lowering("guide_vjp"),
    guide_vjp,
    _guide_vjp_jvp,
    _guide_vjp_transpose,
)
