"""Compiles the TPU kernels for absent chips: `python -m tools.aot_tpu v4 v5e v5p v6e`.

Tests lower the kernels on every run; that checks shapes and primitives, not layouts, alignment or
vector memory. The whole compiler is libtpu, which needs no TPU: in an environment of its own,

    pip install "jax[tpu]==0.12.0.1"
    TPU_SKIP_MDS_QUERY=1 JAX_PLATFORMS=cpu python -m tools.aot_tpu

prints a table for docs/kernels.md: the vector memory of each kernel, why it did not compile, or
"not taken" where the library would not try.
Each target is compiled in a process of its own, because a compiler crash ends it. The exit
status is 1 if anything did not compile.
"""

import functools
import itertools
import json
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
from jax.experimental import topologies

from bilateral_jax import lattice as lattice_lib
from bilateral_jax.kernels import tpu
from bilateral_jax.kernels.tpu import slicing, splatting
from bilateral_jax.ops import guides

TOPOLOGIES = {"v4": "v4:2x2x1", "v5e": "v5e:2x2", "v5p": "v5p:2x2x1", "v6e": "v6e:2x2"}
NAMES = {"slice_apply": slicing.NAME, "splat_apply": splatting.NAME}
GUIDED = "guided_slice_apply"
PHOTO, VIDEO = (3000, 4000), (1080, 1920)
HDRNET = dict(grid_shape=(16, 16, 8), outputs=3, channels=3)
# What is compiled for both operations, both orders and both dtypes: name -> options of `arguments`.
SHAPES = {
    "16x16x8 of 3x4, 3000x4000": HDRNET | dict(size=PHOTO),
    "16x16x8 of 3x4, 1080x1920": HDRNET | dict(size=VIDEO),
}
# The rest, in float32 and order 0.
VARIANTS = {
    "batch of 8, 1080x1920": HDRNET | dict(size=VIDEO, batch=8),
    "traced windows, batch of 4, 512x512": HDRNET | dict(size=(512, 512), batch=4, window=True),
    "odd: 3x5x7 of 3x4, 13x11": dict(grid_shape=(3, 5, 7), size=(13, 11)),
    "odd: 10x12x6 of 2x3, 1079x1917": dict(
        grid_shape=(10, 12, 6), outputs=2, channels=2, size=(1079, 1917)
    ),
    "one pixel, one cell": dict(grid_shape=(1, 1, 1), size=(1, 1)),
    "rings everywhere, 1080x1920": HDRNET | dict(size=VIDEO, boundary=("wrap",) * 3),
    "32x32x16 of 3x4, 3000x4000": dict(grid_shape=(32, 32, 16), size=PHOTO),
    "64x64x32 of 3x4, 3000x4000": dict(grid_shape=(64, 64, 32), size=PHOTO),
    "256x256x32 of 3x4, 3000x4000": dict(grid_shape=(256, 256, 32), size=PHOTO),
    "16x16x64 of 3x4, 1080x1920": dict(grid_shape=(16, 16, 64), size=VIDEO),
    "features: 16x16x8 of 36, 1080x1920": dict(
        grid_shape=(16, 16, 8), outputs=36, channels=None, size=VIDEO
    ),
    "16x16x8 of 3x12, 1080x1920": dict(grid_shape=(16, 16, 8), channels=12, size=VIDEO, offset=0),
}


def cases():
    """`(label, operation, options)` of everything that is compiled."""
    for (label, shape), dtype, operation, order in itertools.product(
        SHAPES.items(), ("float32", "bfloat16"), NAMES, (0, 1)
    ):
        name = f"{operation} {label}, {dtype}, order {order}"
        yield name, operation, shape | dict(dtype=dtype, order=order)
    for (label, shape), operation in itertools.product(VARIANTS.items(), NAMES):
        yield f"{operation} {label}", operation, shape
    for guide, (label, shape) in itertools.product(guides.PARAMETERS, SHAPES.items()):
        yield f"{GUIDED} {label}, {guide}", GUIDED, shape | dict(guide=guide)


def arguments(
    operation,
    *,
    grid_shape,
    size,
    outputs=3,
    channels=3,
    offset=1,
    batch=1,
    order=0,
    dtype="float32",
    window=False,
    boundary=("clamp",) * 3,
):
    """The function of one case and the shapes of its arrays."""
    lattice = lattice_lib.Lattice(grid_shape, size, size, boundary=boundary)
    columns = 1 if channels is None else channels + offset
    pixels = (batch, *size)
    arrays = dict(
        guide=jax.ShapeDtypeStruct(pixels, dtype),
        image=None if channels is None else jax.ShapeDtypeStruct((*pixels, channels), dtype),
        window=jax.ShapeDtypeStruct((batch, 4), jnp.int32) if window else None,
    )
    if operation == "slice_apply":
        first = jax.ShapeDtypeStruct((batch, *grid_shape, outputs, columns), jnp.float32)
        options = dict(dtype=dtype)
    else:
        first = jax.ShapeDtypeStruct((*pixels, outputs), dtype)
        options = dict(dtype=jnp.float32, offset=channels is None or bool(offset))
    function = functools.partial(getattr(tpu, operation), lattice=lattice, order=order, **options)
    return function, [first, *arrays.values()]


def guided_arguments(*, grid_shape, size, outputs, channels, guide):
    """The same for HDRNet's path: guides of 16 knots, or hidden units, as published."""
    lattice = lattice_lib.Lattice(grid_shape, size, size)
    if guide == "curves":
        shapes = dict(ccm=(3, 3), ccm_bias=(3,), shifts=(3, 16), slopes=(3, 16), mix=(3,))
        shapes["mix_bias"] = ()
    else:
        shapes = dict(weights=(3, 16), offsets=(16,), out=(16,), bias=())
    function = functools.partial(
        tpu.guided_slice_apply, lattice=lattice, guide=guide, dtype=jnp.float32
    )
    return function, [
        jax.ShapeDtypeStruct((1, *grid_shape, outputs, channels + 1), jnp.float32),
        jax.ShapeDtypeStruct((1, *size, channels), jnp.float32),
        {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()},
    ]


def compile_for(device, operation, options):
    """Compiles one case; returns the vector memory of its kernel in MiB, or why it is not taken."""
    if operation == GUIDED:
        function, arrays = guided_arguments(**options)
    else:
        function, arrays = arguments(operation, **options)
        if unsupported(operation, function.keywords, arrays):
            return "not taken"
    sharding = jax.sharding.SingleDeviceSharding(device)
    arrays = jax.tree.map(
        lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=sharding), arrays
    )
    text = jax.jit(function).lower(*arrays).compile().as_text()
    (call,) = (line for line in text.splitlines() if 'target="tpu_custom_call"' in line)
    assert NAMES.get(operation, f"bilateral_{GUIDED}_tpu") in call
    used = re.search(r'used_scoped_memory_configs":\[\{[^}]*"size":"(\d+)"', call)
    return f"{int(used.group(1)) / 2**20:.1f}"


def unsupported(operation, keywords, arrays):
    """Why the library would refuse the call, or None."""
    first, _, image, window = arrays
    matrix = (
        first.shape[-2:]
        if operation == "slice_apply"
        else (
            first.shape[-1],
            (0 if image is None else image.shape[-1]) + int(keywords["offset"]),
        )
    )
    return tpu.unsupported(
        operation,
        lattice=keywords["lattice"],
        outputs=matrix[0],
        columns=matrix[1],
        order=keywords["order"],
        dtypes=tuple(jnp.dtype(a.dtype) for a in arrays[:3] if a is not None),
        window=window is not None,
    )


def compile_cases(target, first):
    """Prints a line of JSON for each case from number `first` on."""
    device = topologies.get_topology_desc(platform="tpu", topology_name=TOPOLOGIES[target])
    for label, operation, options in itertools.islice(cases(), first, None):
        try:
            result = compile_for(device.devices[0], operation, options)
        except jax.errors.JaxRuntimeError as error:  # the compiler's refusal is the result
            result = f"no: {str(error).strip().splitlines()[0][:120]}"
        print(json.dumps([label, result]), flush=True)


def results_of(target):
    """`{label: MiB or reason}` of one target, in as many processes as needed."""
    labels, results = [label for label, _, _ in cases()], {}
    while len(results) < len(labels):
        command = [sys.executable, "-m", "tools.aot_tpu", "--child", target, str(len(results))]
        run = subprocess.run(command, capture_output=True, text=True)
        lines = [line for line in run.stdout.splitlines() if line.startswith("[")]
        results |= dict(map(json.loads, lines))
        if run.returncode == 0:
            break
        if not lines and not results:
            raise RuntimeError(run.stderr[-2000:])
        results[labels[len(results)]] = "no: the compiler ended the process"
    return results


def main(targets):
    columns = {target: results_of(target) for target in targets}
    print(f"jax {jax.__version__}; MiB of vector memory\n")
    print("| " + " | ".join(["kernel", *targets]) + " |")
    print("|---" * (len(targets) + 1) + "|")
    rows = [(label, [columns[target][label] for target in targets]) for label, _, _ in cases()]
    for label, cells in rows:
        print("| " + " | ".join([label, *cells]) + " |")
    return any(cell.startswith("no:") for _, cells in rows for cell in cells)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        compile_cases(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(main(sys.argv[1:] or list(TOPOLOGIES)))
