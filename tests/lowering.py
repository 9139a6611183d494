"""Lowers programs for absent devices: a compiler may refuse what an interpreter accepts."""

import contextlib
import functools
import importlib
import re

import jax


def _pmap_lowers_for(kind):
    """Lets Triton kernels within a pmap be lowered for an absent GPU.

    A pmap brings a mesh of its own, of this machine's devices, in which no abstract device can be
    named. Triton finds the properties of an unknown kind of device in a registry, in which
    "cpu" is entered here as a GPU. Before jax 0.11 it does not ask.
    """
    if jax.__version_info__ >= (0, 11):
        facts = importlib.import_module("jax._src.pallas.triton.gpu_info")
        version = facts.gpu_version_from_device_kind(kind)
        facts.registry.setdefault("cpu", lambda: facts.get_gpu_info_from_version(version))


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


def products_without_precision(program):
    """The matrix products of a lowered program that may round their float32 factors."""
    products = re.findall(r"stablehlo\.dot_general .*", program)
    return [line for line in products if "precision = [HIGHEST, HIGHEST]" not in line]


_pmap_lowers_for("NVIDIA A100")
for_cuda = functools.partial(lowered, platform="cuda", kind="NVIDIA A100")
for_tpu = functools.partial(lowered, platform="tpu", kind="TPU v5 lite")
