"""Choice of the implementation of an operation, by platform, shapes and dtypes.

It is made when a program is lowered, because only then its platform is known: the same traced
function may be lowered for a GPU, or exported for three platforms. No exception is caught to pick
another implementation: one that is named runs, or the error says why not.

| name        | what it is                        | platforms | takes |
|---|---|---|---|
| `reference` | the definition, eight gathers     | all       | everything |
| `xla`       | dense arithmetic, no gather       | all       | everything |
| `gpu`       | Pallas kernels through Triton     | CUDA      | see `kernels/gpu`: not float64 |
| `tpu`       | Pallas kernels through Mosaic     | TPU       | see `kernels/tpu`: not float16 |
"""

import dataclasses
import functools
import types

import jax.numpy as jnp
from jax import export

from bilateral_jax import lattice as lattice_lib
from bilateral_jax.kernels import gpu, pallas, tpu
from bilateral_jax.ops import reference, xla

IMPLEMENTATIONS: dict[str, types.ModuleType] = {
    "reference": reference,
    "xla": xla,
    "gpu": gpu,
    "tpu": tpu,
}

# Kernels are written for one platform, under the name that JAX gives it when lowering.
KERNELS = {"gpu": "cuda", "tpu": "tpu"}

# The default of each platform: the first that takes the call and is fast for it. The kernels
# compile for their devices and are correct in their interpreters, but have not run on a device:
# they become defaults once they are measured to be faster (benchmarks/gpu.py).
_DEFAULT = {"cpu": ("reference", "xla"), "cuda": ("xla",), "rocm": ("xla",), "tpu": ("xla",)}

# Of more features than these, none applied to an image, a CPU gathers eight corners faster (20 ns
# per pixel for 12 of them, against 60): gathered numbers lie side by side, in one loop.
_GATHERED_FEATURES = 4


@dataclasses.dataclass(frozen=True)
class Call:
    """Properties of a call that decide which implementations can take it.

    Attributes:
      operation: `"slice_apply"`, `"splat_apply"` or `"guide_vjp"`.
      lattice: the `Lattice`.
      outputs: rows `o` of the feature matrices.
      columns: columns `j`.
      order: 0, or 1 for the derivative in the guide.
      dtypes: of the arrays and of the result.
      window: whether a traced window is given.
      image: whether an image is given.
      symbolic: whether a size is symbolic, in a program exported for any size.
    """

    operation: str
    lattice: lattice_lib.Lattice
    outputs: int
    columns: int
    order: int
    dtypes: tuple
    window: bool
    image: bool
    symbolic: bool = False


def known(implementation: str | None) -> str | None:
    """Returns an implementation's name, or None, as it is.

    Raises:
      ValueError: for a name that is not in the table.
    """
    if implementation not in (None, *IMPLEMENTATIONS):
        names = ", ".join(repr(name) for name in IMPLEMENTATIONS)
        raise ValueError(f"implementation must be None or one of {names}, got {implementation!r}")
    return implementation


def choose(implementation: str | None, call: Call, platforms, exporting: bool = False) -> str:
    """The name of the implementation that runs.

    Args:
      implementation: a name, or None for the default of the platform.
      call: the properties of the call.
      platforms: the program is lowered for.
      exporting: whether it is serialised; then None is `xla`, which every version of every
        platform can read.

    Returns:
      A key of `IMPLEMENTATIONS`.

    Raises:
      ValueError: if a named kernel cannot take the call, or not on these platforms.
    """
    if implementation is not None:
        reason = _refusal(implementation, call, platforms)
        if reason:
            raise ValueError(f"implementation={implementation!r}: {reason}")
        return implementation
    if call.symbolic:
        return "reference"
    names = _DEFAULT.get(platforms[0], ()) if len(platforms) == 1 and not exporting else ()
    return next(
        (name for name in names if _suits(name, call) and not _refusal(name, call, platforms)),
        "xla",
    )


def _suits(name, call):
    """Whether a default implementation of a platform is fast for a call."""
    if name != "reference":
        return True
    alone = call.operation == "slice_apply" and not call.image
    return alone and call.outputs > _GATHERED_FEATURES


def _refusal(name, call, platforms):
    """Why an implementation cannot take a call, or None."""
    if call.symbolic and name != "reference":
        return "it is made for sizes known when the program is exported; leave implementation out"
    needed = KERNELS.get(name)
    if needed is None:
        return None
    if tuple(platforms) != (needed,) and not pallas.interpreting():
        return (
            f"these kernels run on {needed} alone, and the program is for {', '.join(platforms)}; "
            "leave implementation out, or pass 'xla'"
        )
    facts = dataclasses.asdict(call) | {"lattice": call.lattice}
    del facts["symbolic"], facts["image"]  # a kernel that applies features takes them alone, too
    # The cotangent of the guide is a slice of order 1 (see `function`).
    operation = facts.pop("operation")
    operation = "slice_apply" if operation == "guide_vjp" else operation
    return IMPLEMENTATIONS[name].unsupported(operation, **facts)


def function(name: str, operation: str):
    """`slice_apply`, `splat_apply` or `guide_vjp` of an implementation."""
    module = IMPLEMENTATIONS[name]
    if operation == "guide_vjp" and not hasattr(module, operation):
        return functools.partial(reference.contracted_slope, module.slice_apply)
    return getattr(module, operation)


def guided(name: str):
    """The kernel of an implementation that computes a learned guide where it slices, or None."""
    return getattr(IMPLEMENTATIONS[name], "guided_slice_apply", None)


def call_of(operation: str, operands: dict, *, lattice, dtype, order=1, offset=False) -> Call:
    """The `Call` of a primitive's operands and parameters."""
    if operation == "splat_apply":
        outputs = operands["values"].shape[-1]
        columns = operands["image"].shape[-1] + offset if "image" in operands else 1
    else:
        outputs, columns = operands["grid"].shape[-2:]
    arrays = [array for name, array in operands.items() if name != "window"]
    dtypes = tuple(jnp.dtype(array.dtype) for array in arrays) + (jnp.dtype(dtype),)
    return Call(
        operation,
        lattice,
        outputs,
        columns,
        order,
        dtypes,
        window="window" in operands,
        image="image" in operands,
        symbolic=any(export.is_symbolic_dim(size) for array in arrays for size in array.shape),
    )
