"""Registration of the primitives: operands by name, batching, transposition, lowering.

Every primitive takes arrays with one leading axis `n` and knows its operands by name, because some
may be absent.
"""

import functools

import jax
from jax.interpreters import ad, batching, mlir

from bilateral_jax.ops import dispatch


def bind(primitive, operands, **params):
    """Binds a primitive to the operands that are not None: it takes arrays only."""
    given = {name: value for name, value in operands.items() if value is not None}
    return primitive.bind(*given.values(), names=tuple(given), **params)


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
    primitive.def_impl(lambda *args, **params: compiled(primitive, **params)(*args))
    mlir.register_lowering(primitive, lowering)
    ad.primitive_jvps[primitive] = jvp
    ad.primitive_transposes[primitive] = functools.partial(_transpose, transpose)
    batching.primitive_batchers[primitive] = functools.partial(_batch, call)


def _transpose(transpose, cotangent, *args, names, **params):
    operands = dict(zip(names, args, strict=True))
    linear = linear_operand(operands)
    if isinstance(cotangent, ad.Zero):
        result = ad.Zero(operands[linear].aval)
    else:
        result = transpose(cotangent, operands, **params)
    return [result if name == linear else None for name in names]


def _batch(call, args, axes, *, names, **params):
    """Folds the mapped axis into the leading one."""
    size = next(arg.shape[axis] for arg, axis in zip(args, axes, strict=True) if axis is not None)
    folded = {}
    for name, arg, axis in zip(names, args, axes, strict=True):
        arg = batching.bdim_at_front(arg, axis, size)
        folded[name] = arg.reshape(size * arg.shape[1], *arg.shape[2:])
    out = call(**folded, **params)
    return out.reshape(size, out.shape[0] // size, *out.shape[1:]), 0


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
            return dispatch.function(name, operation)(**operands, **params)

        implement.__name__ = f"bilateral_{operation}_{name}"
        return mlir.lower_fun(jax.jit(implement), multiple_results=False)(ctx, *args)

    return rule


@functools.cache
def compiled(primitive, **params):
    """Compiles an eager call, once per set of parameters."""
    return jax.jit(functools.partial(primitive.bind, **params))
