"""Registration of the primitives: operands by name, batching, transposition, lowering.

Every primitive takes arrays with one leading axis `n` and knows its operands by name, because some
may be absent.

Implementations know nothing of meshes: a lowering traces them for plain arrays. What a mesh adds to
the type of an array (the sharding along explicit axes, the axes of a `shard_map` along which it
varies) is that of the pixels, and is stated here.
"""

import contextlib
import functools

import jax
import jax.numpy as jnp
from jax.interpreters import ad, batching, mlir

from bilateral_jax.ops import dispatch, nonfinite


def bind(primitive, operands, **params):
    """Binds a primitive to the operands that are not None: it takes arrays only."""
    given = {name: value for name, value in operands.items() if value is not None}
    return primitive.bind(*_varying_alike(given.values()), names=tuple(given), **params)


def _varying_alike(arrays):
    """In a `shard_map`, arrays that vary along the same axes of its mesh."""
    arrays = list(arrays)
    own = [jax.typeof(array).manual_axis_type.varying for array in arrays]
    axes = frozenset().union(*own)
    return [
        jax.lax.pcast(array, tuple(sorted(axes - some)), to="varying") if axes - some else array
        for array, some in zip(arrays, own, strict=True)
    ]


def result(shape, dtype, pixels, axes):
    """The abstract array of a result.

    Args:
      shape: its shape.
      dtype: its dtype.
      pixels: abstract arrays `[n, h, w, ...]` among the operands.
      axes: how many of the axes `n, h, w` the result has in front: 3 for pixels, 1 for a grid.
    """
    first = pixels[0]
    specs = [array.sharding.spec for array in pixels]
    own = [next((spec[k] for spec in specs if spec[k] is not None), None) for k in range(axes)]
    spec = jax.sharding.PartitionSpec(*own, *[None] * (len(shape) - axes))
    return first.update(
        shape=tuple(shape),
        dtype=jnp.dtype(dtype),
        weak_type=False,
        sharding=first.sharding.update(spec=spec),
    )


def linear_operand(operands):
    """The name of the one operand whose cotangent is computed."""
    (name,) = (name for name, value in operands.items() if ad.is_undefined_primal(value))
    return name


def register(primitive, lowering, call, jvp, transpose):
    """Gives a primitive its rules.

    Args:
      primitive: a JAX primitive.
      lowering: its lowering rule.
      call: binds the primitive to operands given by name.
      jvp: `jvp(primals, tangents, *, names, **params)`.
      transpose: `transpose(cotangent, operands, **params)`, operands by name; returns the cotangent
        of the linear one.
    """
    primitive.def_impl(functools.partial(run, primitive))
    mlir.register_lowering(primitive, lowering)
    ad.primitive_jvps[primitive] = jvp
    ad.primitive_transposes[primitive] = functools.partial(_transpose, transpose)
    batching.primitive_batchers[primitive] = functools.partial(_batch, call)


def _transpose(transpose, cotangent, *args, names, **params):
    operands = dict(zip(names, args, strict=True))
    linear = linear_operand(operands)
    if isinstance(cotangent, ad.Zero):
        out = ad.Zero(operands[linear].aval)
    else:
        out = _placed_like(transpose(cotangent, operands, **params), operands[linear].aval)
    return [out if name == linear else None for name in names]


def _placed_like(array, aval):
    """A cotangent with the explicit sharding of its primal."""
    own = aval.sharding
    if own.mesh.empty or jax.typeof(array).sharding.spec == own.spec:
        return array
    return jax.reshard(array, own)


def _batch(call, args, axes, *, names, **params):
    """Folds the mapped axis into the leading one."""
    size = next(arg.shape[axis] for arg, axis in zip(args, axes, strict=True) if axis is not None)
    folded, own = {}, None
    for name, arg, axis in zip(names, args, axes, strict=True):
        arg = batching.bdim_at_front(arg, axis, size)
        own = arg.shape[1]
        folded[name] = arg.reshape(size * own, *arg.shape[2:])
    out = call(**folded, **params)
    return out.reshape(size, own, *out.shape[1:]), 0


def chosen_lowering(operation):
    """The lowering rule of an operation of the implementations: chooses one, then traces it.

    The program shows the name of the chosen one.
    """

    def rule(ctx, *args, names, implementation, **params):
        operands = dict(zip(names, ctx.avals_in, strict=True))
        name = dispatch.choose(
            implementation,
            dispatch.call_of(operation, operands, **params),
            ctx.module_context.platforms,
            ctx.module_context.lowering_parameters.for_export,
        )

        def implement(*args):
            operands = dict(zip(names, args, strict=True))
            function = dispatch.function(name, operation)
            if name != "reference":
                function = nonfinite.local(operation, function)
            return function(**operands, **params)

        kernel = name in dispatch.KERNELS
        return lower(ctx, implement, f"bilateral_{operation}_{name}", args, narrow=kernel)

    return rule


def lower(ctx, function, name, args, *, narrow=False):
    """Lowers a function as one of plain arrays, under a name that the program shows.

    If `narrow`, without 64-bit numbers: a kernel's indices are int32, whatever the caller's
    `jax_enable_x64`.
    """
    (out,) = ctx.avals_out
    mesh = jax.sharding.get_abstract_mesh()
    explicit = mesh.explicit_axes
    auto = contextlib.nullcontext()
    if explicit:
        types = dict.fromkeys(explicit, jax.sharding.AxisType.Auto)
        auto = jax.sharding.use_abstract_mesh(mesh.update_axis_types(types))

    def implement(*args):
        if 0 in out.shape:
            return jnp.zeros(out.shape, out.dtype)
        array = function(*args)
        if explicit:
            array = jax.lax.with_sharding_constraint(array, out.sharding.spec)
        return array

    implement.__name__ = name
    narrowed = jax.enable_x64(False) if narrow else contextlib.nullcontext()
    with auto, narrowed:
        plain = [jax.core.ShapedArray(aval.shape, aval.dtype) for aval in ctx.avals_in]
        return mlir.lower_fun(jax.jit(implement), multiple_results=False)(
            ctx.replace(avals_in=plain), *args
        )


def run(primitive, *args, **params):
    """An eager call. It runs a compiled program under `jax.disable_jit` too, as JAX's own do."""
    with jax.disable_jit(False):
        return _compiled(primitive, **params)(*args)


@functools.cache
def _compiled(primitive, **params):
    """The program of an eager call: made once per set of parameters."""
    return jax.jit(functools.partial(primitive.bind, **params))
