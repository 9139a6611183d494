"""Lowering for a device that is not there: what an interpreter accepts, a compiler may refuse."""

import contextlib
import functools

import jax


def abstract_device(kind, platform):
    """A context in which kernels are lowered for a device of this kind, present or not."""
    if jax.__version_info__ < (0, 11):
        return contextlib.nullcontext()  # lowers without asking for the device
    device = jax.sharding.AbstractDevice(device_kind=kind, num_cores=1, platform=platform)
    mesh = jax.sharding.AbstractMesh((), (), abstract_device=device)
    return jax.sharding.use_abstract_mesh(mesh)


def lowered(function, *arrays, platform, kind):
    """The program of `function` for arrays like these (or their shapes), as text."""
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), arrays)
    with abstract_device(kind, platform):
        trace = jax.jit(function).trace(*shapes)
        return trace.lower(lowering_platforms=(platform,)).as_text()


for_cuda = functools.partial(lowered, platform="cuda", kind="NVIDIA A100")
for_tpu = functools.partial(lowered, platform="tpu", kind="TPU v5 lite")
