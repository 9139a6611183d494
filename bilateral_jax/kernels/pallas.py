"""The one module that imports Pallas, whose names move with every minor release of JAX.

Kernels write `pallas.core.pallas_call`, `pallas.triton.load`, `pallas.tpu.VMEM`. The three modules
are imported when first used, that is when the first kernel is traced: a program that runs none
never pays for them.

Production code traces kernels for the device. On a machine without one, tests run the same code
in `interpreted()`.
"""

import contextlib
import contextvars
import importlib

import jax
import jax.numpy as jnp

_interpreting = contextvars.ContextVar("interpreting", default=False)


def __getattr__(name: str):
    """Imports `core`, `triton` or `tpu` on first use."""
    if name == "core":
        return importlib.import_module("jax.experimental.pallas")
    if name == "triton":
        return importlib.import_module("jax.experimental.pallas.triton")
    if name == "tpu":
        return importlib.import_module("jax.experimental.pallas.tpu")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@contextlib.contextmanager
def interpreted(parameters=True):
    """Runs kernels traced within as ordinary array programs, on any device.

    For tests: it is slow. Functions compiled inside are not reused outside, nor the reverse.

    Args:
      parameters: True for the plain interpreter, which serves every kernel and transformation; or
        `pallas.tpu.InterpretParams(...)`, which simulates a TPU's memories and finds races and
        uninitialised reads.
    """
    token = _interpreting.set(True)
    try:
        # Despite its name this is the switch of every `pallas_call`, and part of the key under
        # which `jit` keeps its programs, which no variable of ours could be.
        with importlib.import_module("jax.experimental.pallas.tpu").force_tpu_interpret_mode(
            parameters
        ):
            yield
    finally:
        _interpreting.reset(token)


def interpreting() -> bool:
    """Whether kernels traced now are interpreted, so that a device is not needed."""
    return _interpreting.get()


def multiply_add(a, b, c):
    """`a * b + c` of float32 in one instruction of an NVIDIA GPU, within a Triton kernel.

    XLA compiles Triton kernels without contracting products and sums, which leaves a kernel that is
    bound by arithmetic at half its speed (seen in its PTX, jax 0.12.0.1). The interpreter
    knows no assembly and takes two operations.
    """
    if interpreting():
        return a * b + c
    a, b, c = jnp.broadcast_arrays(a, b, c)
    (result,) = importlib.import_module("jax.experimental.pallas.triton").elementwise_inline_asm(
        "fma.rn.f32 $0, $1, $2, $3;",
        args=[a, b, c],
        constraints="=f,f,f,f",
        pack=1,
        result_shape_dtypes=[jax.ShapeDtypeStruct(a.shape, jnp.float32)],
    )
    return result
