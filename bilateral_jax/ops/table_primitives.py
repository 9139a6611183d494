"""Lookup in a colour table as a closed set of JAX primitives, with derivatives of any order.

`lookup(table, image, *directions)` is linear in the table and in each direction, a tangent of the
image along which it is differentiated (see `ops/table_corners.py`); `splat(values, image,
*directions)` is its transpose in the table, `contract(values, table, image, *directions)` its
transpose in one direction more. So every rule below calls one of the three again:

| rule                            | result |
|---|---|
| any, tangent of a linear operand | itself, with the tangent in its place |
| any, tangent of image            | itself, with the tangent as one direction more |
| lookup, cotangent of table       | `splat(cotangent, image, *directions)` |
| lookup, cotangent of direction   | `contract(cotangent, table, image, *others)` |
| splat, cotangent of values       | `lookup(cotangent, image, *directions)` |
| splat, cotangent of direction    | `contract(values, cotangent, image, *others)` |
| contract, cotangent of values    | `lookup(table, image, *directions, cotangent)` |
| contract, cotangent of table     | `splat(values, image, *directions, cotangent)` |
| contract, cot. of direction      | `contract(values, table, image, *others, cotangent)` |
"""

import functools

import jax
import jax.numpy as jnp
from jax import export
from jax.extend.core import Primitive
from jax.interpreters import ad

from bilateral_jax.ops import binding, table_corners

lookup_p = Primitive("table_lookup")
splat_p = Primitive("table_splat")
contract_p = Primitive("table_contract")


def lookup(table, image, *directions, interpolation, dtype):
    """Binds `lookup_p`: `[n, h, w, c]`; arguments as in `ops/table_corners.py`."""
    operands = {"table": table, "image": image} | _named_directions(directions)
    return binding.bind(lookup_p, operands, interpolation=interpolation, dtype=jnp.dtype(dtype))


def splat(values, image, *directions, table_shape, interpolation, dtype):
    """Binds `splat_p`: `[n, n_red, n_green, n_blue, c]`."""
    operands = {"values": values, "image": image} | _named_directions(directions)
    params = {"table_shape": table_shape, "interpolation": interpolation}
    return binding.bind(splat_p, operands, dtype=jnp.dtype(dtype), **params)


def contract(values, table, image, *directions, interpolation, dtype):
    """Binds `contract_p`: `[n, h, w, 3]`."""
    operands = {"values": values, "table": table, "image": image}
    operands |= _named_directions(directions)
    return binding.bind(contract_p, operands, interpolation=interpolation, dtype=jnp.dtype(dtype))


def _named_directions(directions):
    return {f"direction_{k}": array for k, array in enumerate(directions)}


def _split(operands):
    """The operands that are no directions, and the directions, both in order."""
    own = [array for name, array in operands.items() if not name.startswith("direction_")]
    return own, [array for name, array in operands.items() if name.startswith("direction_")]


def _directions(operands):
    """The directions among operands, in order, without the one whose cotangent is computed."""
    return tuple(array for array in _split(operands)[1] if not ad.is_undefined_primal(array))


# Shapes


@lookup_p.def_abstract_eval
def _lookup_shape(*avals, names, dtype, **params):
    del params
    operands = dict(zip(names, avals, strict=True))
    shape = (*operands["image"].shape[:3], operands["table"].shape[-1])
    return binding.result(shape, dtype, _pixels(operands), 3)


@splat_p.def_abstract_eval
def _splat_shape(*avals, names, table_shape, dtype, **params):
    del params
    operands = dict(zip(names, avals, strict=True))
    values = operands["values"]
    shape = (values.shape[0], *table_shape, values.shape[-1])
    return binding.result(shape, dtype, _pixels(operands), 1)


@contract_p.def_abstract_eval
def _contract_shape(*avals, names, dtype, **params):
    del params
    operands = dict(zip(names, avals, strict=True))
    return binding.result(operands["image"].shape, dtype, _pixels(operands), 3)


def _pixels(operands):
    """The operands `[n, h, w, ...]`, the image first."""
    return [operands["image"]] + [
        array for name, array in operands.items() if name not in ("image", "table")
    ]


# Tangents


def _jvp(call, primals, tangents, *, names, **params):
    operands = dict(zip(names, primals, strict=True))
    moved = dict(zip(names, tangents, strict=True))

    def run(replaced, further=()):
        own, directions = _split(operands | replaced)
        return call(*own, *directions, *further, **params)

    out, parts = run({}), []
    # The transpose of a lookup in one direction more has differentiated once more.
    order = len(_directions(operands)) + (call is contract)
    for name, tangent in moved.items():
        if isinstance(tangent, ad.Zero):
            continue
        if name != "image":
            parts.append(run({name: tangent}))
        elif order < table_corners.ORDERS[params["interpolation"]]:
            parts.append(run({}, further=(tangent,)))
    return out, functools.reduce(jnp.add, parts) if parts else ad.Zero(jax.typeof(out))


# Transposes


def _lookup_transpose(cotangent, operands, *, interpolation, dtype):
    del dtype
    linear = binding.linear_operand(operands)
    aval = operands[linear].aval
    directions = _directions(operands)
    params = {"interpolation": interpolation, "dtype": aval.dtype}
    if linear == "table":
        shape = aval.shape[1:4]
        return splat(cotangent, operands["image"], *directions, table_shape=shape, **params)
    return contract(cotangent, operands["table"], operands["image"], *directions, **params)


def _splat_transpose(cotangent, operands, *, table_shape, interpolation, dtype):
    del table_shape, dtype
    linear = binding.linear_operand(operands)
    params = {"interpolation": interpolation, "dtype": operands[linear].aval.dtype}
    directions = _directions(operands)
    if linear == "values":
        return lookup(cotangent, operands["image"], *directions, **params)
    return contract(operands["values"], cotangent, operands["image"], *directions, **params)


def _contract_transpose(cotangent, operands, *, interpolation, dtype):
    del dtype
    linear = binding.linear_operand(operands)
    aval = operands[linear].aval
    directions = (*_directions(operands), cotangent)
    params = {"interpolation": interpolation, "dtype": aval.dtype}
    if linear == "values":
        return lookup(operands["table"], operands["image"], *directions, **params)
    if linear == "table":
        shape = aval.shape[1:4]
        values, image = operands["values"], operands["image"]
        return splat(values, image, *directions, table_shape=shape, **params)
    return contract(operands["values"], operands["table"], operands["image"], *directions, **params)


# Lowering


def _lowering(function):
    """The lowering rule of a function of `ops/table_corners.py`: by tiles on a CPU."""

    def rule(ctx, *args, names, **params):
        sizes = [size for aval in ctx.avals_in for size in aval.shape]
        symbolic = any(export.is_symbolic_dim(size) for size in sizes)
        tiled = tuple(ctx.module_context.platforms) == ("cpu",) and not symbolic

        def implement(*args):
            own, directions = _split(dict(zip(names, args, strict=True)))
            return function(*own, directions, tiled=tiled, **params)

        return binding.lower(ctx, implement, f"table_{function.__name__}", args)

    return rule


def _by_name(call):
    """`call` with all operands by name."""

    def run(*, interpolation, dtype, table_shape=None, **operands):
        own, directions = _split(operands)
        shape = {} if table_shape is None else {"table_shape": table_shape}
        return call(*own, *directions, interpolation=interpolation, dtype=dtype, **shape)

    return run


for _primitive, _call, _transpose, _function in (
    (lookup_p, lookup, _lookup_transpose, table_corners.lookup),
    (splat_p, splat, _splat_transpose, table_corners.splat),
    (contract_p, contract, _contract_transpose, table_corners.contract),
):
    binding.register(
        _primitive,
        _lowering(_function),
        _by_name(_call),
        functools.partial(_jvp, _call),
        _transpose,
    )
