"""Compiles the GPU kernels for absent GPUs, and prints the resources they need.

    python -m tools.aot_cuda --targets sm_80 sm_90 sm_100

It needs an environment of its own, with jax, jax-cuda13-plugin and jax-cuda13-pjrt of one version;
no driver and no GPU. With `ptxas` at hand (package nvidia-cuda-nvcc) the table says how many
registers a thread takes and how many bytes spill. Atomic operations of every kernel are
counted: they would make sums depend on the order of threads. Each program is
compiled in a process of its own: a compiler that crashes takes its process with it.
"""

import argparse
import functools
import glob
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings

# Architecture: (kind of device, its cores, shared memory per core in bytes).
TARGETS = {
    "sm_80": ("NVIDIA A100", 108, 167936),
    "sm_90": ("NVIDIA H100 80GB HBM3", 132, 233472),
    "sm_100": ("NVIDIA B200", 148, 233472),
}
KERNELS = (
    "slice_apply",
    "slice_apply order 1",
    "slice_apply bfloat16",
    "slice_apply float16",
    "slice_apply window",
    "guide_vjp",
    "guide_vjp bfloat16",
    "splat_apply",
    "splat_apply order 1",
    "splat_apply bfloat16",
    "splat_apply float16",
    "splat_apply window",
    "guided curves",
    "guided curves bfloat16",
    "guided pointwise",
    "gradients pmap",
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--kernels", nargs="+", choices=KERNELS, default=list(KERNELS))
    parser.add_argument("--one", nargs=2, metavar=("TARGET", "KERNEL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        compile_one(*arguments.one)
        return
    heads = "program", "target", "seconds", "kernel", "registers", "spilled", "shared", "atomics"
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    failed = False
    for target in arguments.targets:
        for kernel in arguments.kernels:
            seconds, rows = in_own_process(target, kernel)
            failed |= not rows
            for row in rows or [("not compiled", "", "", "", "")]:
                print(f"| {kernel} | {target} | {seconds} | " + " | ".join(row) + " |", flush=True)
    sys.exit(failed)


def in_own_process(target, kernel):
    """Compiles one program in a child: its seconds, and a row per kernel; none on failure."""
    with tempfile.TemporaryDirectory() as dump:
        flags = f"--xla_dump_to={dump} --xla_dump_emitter_re=.*"
        environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
        # The missing driver is logged with a stack trace, whose symbols take longer than compiling.
        environment["LLVM_DISABLE_SYMBOLIZATION"] = "1"
        command = [sys.executable, "-m", "tools.aot_cuda", "--one", target, kernel]
        start = time.perf_counter()
        child = subprocess.run(command, env=environment, capture_output=True, text=True)
        seconds = f"{time.perf_counter() - start:.1f}"
        rows = [] if child.returncode else resources(dump)
        if not rows:
            print(child.stderr[-2000:], file=sys.stderr)
        return seconds, rows


def resources(dump):
    """Name, registers, spilled bytes, shared bytes and atomics of every bilateral kernel.

    Registers and spills come from ptxas, empty without it.
    """
    rows = {}
    for path in sorted(glob.glob(f"{dump}/*.ptx")):
        text = pathlib.Path(path).read_text()
        entry = re.search(r"\.entry (bilateral\w+)", text)
        if entry is None:
            continue
        atomics = len(re.findall(r"^\s*(?:@\S+\s+)?(?:atom|red)\.", text, re.MULTILINE))
        rows[entry[1]] = (*assembled(path, text), shared_bytes(dump, entry[1]), str(atomics))
    return [(name, *row) for name, row in rows.items()]


def shared_bytes(dump, name):
    """Shared memory of a program: reserved at launch, so that only Triton's dump has it."""
    found = set()
    for path in glob.glob(f"{dump}/*.{name}.triton-to-llvm.txt"):
        found |= set(re.findall(r"ttg\.shared = (\d+)", pathlib.Path(path).read_text()))
    return max(found, key=int, default="")


def assembled(path, text):
    """Registers and spilled bytes by ptxas, or two empty cells without it."""
    tool = ptxas()
    if tool is None:
        return "", ""
    architecture = re.search(r"\.target (\w+)", text)[1]
    command = [tool, "-v", f"-arch={architecture}", "-o", os.devnull, path]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    spilled = sum(map(int, re.findall(r"(\d+) bytes spill", said)))
    return re.search(r"Used (\d+) registers", said)[1], str(spilled)


def ptxas():
    """The assembler, from its package or from the path; None without it."""
    package = importlib.util.find_spec("nvidia")
    folders = list(package.submodule_search_locations) if package else []
    found = [p for folder in folders for p in pathlib.Path(folder).glob("*/bin/ptxas")]
    return str(found[0]) if found else shutil.which("ptxas")


def compile_one(target, kernel):
    import jax
    from jax.experimental import topologies

    from tests import lowering

    warnings.simplefilter("ignore", DeprecationWarning)
    topology = topologies.get_topology_desc(
        platform="cuda", target_config=target_config(target), topology="1x1x1"
    )
    if kernel == "gradients pmap":
        function, arrays = gradients()
        jax.pmap(function, devices=topology.devices).lower(*arrays).compile()
        return
    sharding = jax.sharding.SingleDeviceSharding(topology.devices[0])
    function, arrays = program(kernel)
    arrays = jax.tree.map(
        lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=sharding), arrays
    )
    with lowering.abstract_device(TARGETS[target][0], "cuda"):
        jax.jit(function).lower(*arrays).compile()


def gradients():
    """The public operation with all its gradients, for one image per device."""
    import jax

    import bilateral_jax as bj

    def function(grid, guide, image, cotangent):
        forward = functools.partial(bj.slice_apply, implementation="gpu")
        out, transpose = jax.vjp(forward, grid, guide, image)
        return out, transpose(cotangent)

    pixels = (1, 1080, 1920)
    shapes = (1, 16, 16, 8, 3, 4), pixels, (*pixels, 3), (*pixels, 3)
    return function, [jax.ShapeDtypeStruct(shape, "float32") for shape in shapes]


def program(kernel):
    """A function of a 12 megapixel photo and HDRNet's grid, and the shapes of its arrays."""
    import jax
    import jax.numpy as jnp

    from bilateral_jax import lattice as lattice_lib
    from bilateral_jax.kernels import gpu

    height, width = 3000, 4000
    dtype = next((d for d in ("bfloat16", "float16") if d in kernel), "float32")
    lattice = lattice_lib.Lattice((16, 16, 8), (height, width), (height, width))

    def shape(*sizes, dtype=dtype):
        return jax.ShapeDtypeStruct(sizes, dtype)

    grid, image = shape(1, 16, 16, 8, 3, 4), shape(1, height, width, 3)
    guide = shape(1, height, width)
    options = {"lattice": lattice, "dtype": jnp.dtype(dtype)}
    name, *_ = kernel.split()
    if name == "guided":
        parameters = guide_shapes(shape)[kernel.split()[1]]
        function = functools.partial(gpu.guided_slice_apply, guide=kernel.split()[1], **options)
        return function, (grid, image, parameters)
    if name == "guide_vjp":
        return functools.partial(gpu.guide_vjp, **options), (image, grid, guide, image)
    options["order"] = int("order 1" in kernel)
    if name == "splat_apply":
        options["offset"] = True
    first = grid if name == "slice_apply" else image
    window = [shape(1, 4, dtype="int32")] if "window" in kernel else []
    function = functools.partial(getattr(gpu, name), **options)
    return function, (first, guide, image, *window)


def guide_shapes(shape):
    """The parameters of both guides at their published sizes."""
    curves = {"ccm": shape(3, 3), "ccm_bias": shape(3), "shifts": shape(3, 16)}
    curves |= {"slopes": shape(3, 16), "mix": shape(3), "mix_bias": shape()}
    pointwise = {"weights": shape(3, 16), "offsets": shape(16), "out": shape(16), "bias": shape()}
    return {"curves": curves, "pointwise": pointwise}


def target_config(target):
    """Describes a device to the compiler, which has none to query."""
    kind, cores, shared = TARGETS[target]
    major, minor = divmod(int(target.removeprefix("sm_")), 10)
    extension = "ACCELERATED_FEATURES" if major >= 9 else "NONE"
    return f"""gpu_device_info {{
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_core: {shared}
  shared_memory_per_block_optin: {shared - 1024}
  threads_per_core_limit: 2048
  core_count: {cores}
  fpus_per_core: 128
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  memory_bandwidth: 3352320000000
  l2_cache_size: 52428800
  clock_rate_ghz: 1.755
  device_memory_size: 80000000000
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
  cuda_compute_capability {{ major: {major} minor: {minor} feature_extension: {extension} }}
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9 minor: 10 patch: 0 }}
device_description_str: "{kind}"
"""


if __name__ == "__main__":
    main()
