"""Memory bandwidth of the GPU kernels, against a copy and against other libraries.

Measures the bytes that must move over time, against a copy on the same device: forward slice_apply,
HDRNet's full-resolution path in one kernel, and forward with all gradients, of a 12 megapixel
photo; beside plain XLA, PyTorch's grid_sample where torch with CUDA is installed, and the
CUDA kernels of fused-bilagrid, for their own operation, where they are installed.

    python -m benchmarks.gpu [--size 3000 4000] [--rounds 20] [--tune | --rehearse]

needs an NVIDIA GPU. It prints a table and writes `results/<device>/gpu-<jax version>.json`; with
`--tune` it times tile sizes instead, for bilateral_jax/kernels/gpu/tuning.py. `--rehearse` runs
all of it on any device, on a tiny image with kernels interpreted, and writes nothing: it shows that
the script works, and its times mean nothing.

A sample is the time of a queue of calls, waited for once, divided by their number: a single call
takes as long as the host needs to launch it. Candidates are interleaved, so that a change of clocks
affects all alike.
"""

import argparse
import dataclasses
import functools
import importlib.util
import itertools
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

import bilateral_jax as bj
from benchmarks import records, slice_apply
from bilateral_jax import lattice as lattice_lib
from bilateral_jax.kernels import gpu, pallas
from bilateral_jax.kernels.gpu import tuning
from bilateral_jax.models.layers import guides

QUEUE = 30
# Numbers that must be read and written for every pixel.
NUMBERS = {
    "copy": 6,
    "forward": 7,
    "forward, noise for a guide": 7,
    "curves guide and forward": 6,
    "pointwise guide and forward": 6,
    "forward and gradients": 18,
    "curves guide, forward and gradients": 15,
    "luma guide and forward": 6,
    "luma guide, forward and gradients": 15,
}
# The guide of radiance-field grids as curves: one straight ramp per channel, mixed.
LUMA = {
    "ccm": np.eye(3),
    "ccm_bias": np.zeros(3),
    "shifts": np.zeros((3, 1)),
    "slopes": np.ones((3, 1)),
    "mix": np.array([0.299, 0.587, 0.114]),
    "mix_bias": np.zeros(()),
}


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A call to time; `wait` blocks until its result is computed."""

    task: str
    name: str
    call: callable
    wait: callable = jax.block_until_ready


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", nargs=2, type=int, default=(3000, 4000))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--dtypes", nargs="+", default=("float32", "bfloat16"))
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--tune", action="store_true")
    how.add_argument("--rehearse", action="store_true")
    options = parser.parse_args()
    if options.rehearse:
        with pallas.interpreted():
            compare((8, 24), 1, options.dtypes)
        return
    if jax.default_backend() != "gpu":
        sys.exit(f"this measures a GPU; the default device is a {jax.default_backend()}")
    if options.tune:
        tune(*options.size, options.rounds)
        return
    records.write("gpu", compare(options.size, options.rounds, options.dtypes))


def compare(size, rounds, dtypes):
    """Times all candidates, prints the table and gives its rows."""
    rows = []
    print("| dtype | task | candidate | microseconds | GB/s | of the copy | times the kernel |")
    print("|---|---|---|---|---|---|---|")
    for dtype in dtypes:
        candidates = [*ours(*size, jnp.dtype(dtype))]
        if dtype == "float32":
            candidates += torch_candidates(*size)
        rows += table(dtype, size, candidates, rounds)
    return rows


def ours(height, width, dtype):
    """Copies, kernels and plain XLA on the same arrays."""
    grid, guide, image, cotangent = slice_apply.operands(height, width, dtype=dtype)
    noise = jax.random.uniform(jax.random.key(0), guide.shape).astype(dtype)
    yield Candidate("copy", "jax", bind(lambda image: image + 1, image))
    for name in ("gpu", "xla"):
        forward = functools.partial(bj.slice_apply, implementation=name)
        yield Candidate("forward", name, bind(forward, grid, guide, image))
        yield Candidate("forward, noise for a guide", name, bind(forward, grid, noise, image))
        gradients = bind(with_gradients(forward), cotangent, grid, guide, image)
        yield Candidate("forward and gradients", name, gradients)
        for guide_name, options in learned(image).items():
            forward = functools.partial(bj.guided_slice_apply, implementation=name, **options)
            yield Candidate(f"{guide_name} guide and forward", name, bind(forward, grid, image))
            if guide_name != "pointwise":
                gradients = bind(with_gradients(forward), cotangent, grid, image)
                yield Candidate(f"{guide_name} guide, forward and gradients", name, gradients)


def bind(function, *arrays):
    return functools.partial(jax.jit(function), *arrays)


def with_gradients(forward):
    """The output and the gradients of all operands."""

    def run(cotangent, *operands):
        out, transpose = jax.vjp(forward, *operands)
        return out, transpose(cotangent)

    return run


def learned(image):
    """Options of `guided_slice_apply`: HDRNet's guides at initialisation, and a luma."""
    pixels = image[:, :4, :4].astype(jnp.float32)
    curves, pointwise = (
        network.init_with_output(jax.random.key(0), pixels, method="parameters")[0]
        for network in (guides.CurvesGuide(), guides.PointwiseGuide())
    )
    luma = jax.tree.map(jnp.float32, LUMA)
    return {
        "curves": {"guide": "curves", "parameters": curves},
        "pointwise": {"guide": "pointwise", "parameters": pointwise},
        "luma": {"guide": "curves", "parameters": luma, "convention": "align_corners"},
    }


def torch_candidates(height, width):
    """PyTorch on the same GPU, if it is installed and sees one."""
    if importlib.util.find_spec("torch") is None:
        print("torch is not installed: no grid_sample", file=sys.stderr)
        return []
    import torch

    from benchmarks.peers import grid_sample

    if not torch.cuda.is_available():
        print("torch sees no GPU: no grid_sample", file=sys.stderr)
        return []
    arrays = [np.array(array) for array in slice_apply.operands(height, width)]
    planar = [grid_sample.volume(arrays[0]), grid_sample.tensor(arrays[1])]
    planar += [grid_sample.planar(array) for array in arrays[2:]]
    *leaves, cotangent = (array.cuda() for array in planar)
    leaves = [leaf.requires_grad_() for leaf in leaves]

    def forward():
        with torch.no_grad(), torch.device("cuda"):
            return grid_sample.slice_apply(*leaves)

    def gradients():
        with torch.device("cuda"):
            out = grid_sample.slice_apply(*leaves)
            return out, torch.autograd.grad(out, leaves, cotangent)

    wait = lambda _: torch.cuda.synchronize()  # noqa: E731
    return [
        Candidate("forward", "torch grid_sample", forward, wait),
        Candidate("forward and gradients", "torch grid_sample", gradients, wait),
        *bilagrid_candidates(arrays, wait),
    ]


def bilagrid_candidates(arrays, wait):
    """The CUDA kernels of fused-bilagrid, which compute a luma guide, if they are installed."""
    if importlib.util.find_spec("fused_bilagrid") is None:
        print("fused_bilagrid is not installed: luma guides without it", file=sys.stderr)
        return []
    import fused_bilagrid
    import torch

    from benchmarks.peers import grid_sample

    # Its layouts: grids [n, 12, gd, gh, gw], images [n, 1, h, w, 3].
    grid = grid_sample.volume(arrays[0]).cuda().requires_grad_()
    image, cotangent = (grid_sample.tensor(array)[:, None].cuda() for array in arrays[2:])
    image.requires_grad_()

    def forward():
        with torch.no_grad():
            return fused_bilagrid.fused_bilagrid_sample(grid, None, image)

    def gradients():
        out = fused_bilagrid.fused_bilagrid_sample(grid, None, image)
        return out, torch.autograd.grad(out, (grid, image), cotangent)

    return [
        Candidate("luma guide and forward", "fused-bilagrid", forward, wait),
        Candidate("luma guide, forward and gradients", "fused-bilagrid", gradients, wait),
    ]


def timed(candidates, rounds):
    """Median seconds of a call of each candidate."""
    samples = [[] for _ in candidates]
    for candidate in candidates:
        candidate.wait(candidate.call())
    for _ in range(rounds):
        for candidate, seconds in zip(candidates, samples):
            candidate.wait(candidate.call())
            start = time.perf_counter()
            for _ in range(QUEUE):
                result = candidate.call()
            candidate.wait(result)
            seconds.append((time.perf_counter() - start) / QUEUE)
    return [float(np.median(seconds)) for seconds in samples]


def table(dtype, size, candidates, rounds):
    """Prints a row per candidate, tasks together, and gives them as dictionaries."""
    seconds = timed(candidates, rounds)
    by_key = {(c.task, c.name): s for c, s in zip(candidates, seconds)}
    per_number = size[0] * size[1] * jnp.dtype(dtype).itemsize
    copy = NUMBERS["copy"] * per_number / by_key["copy", "jax"]
    rows = []
    for task, numbers in NUMBERS.items():
        for (other, name), taken in by_key.items():
            if other != task:
                continue
            rate = numbers * per_number / taken
            row = {"dtype": dtype, "task": task, "candidate": name, "seconds": taken}
            row |= {"bytes_per_second": rate, "share_of_copy": rate / copy}
            row["times_the_kernel"] = taken / by_key.get((task, "gpu"), taken)
            rows.append(row)
            print(
                f"| {dtype} | {task} | {name} | {taken * 1e6:.1f} | {rate / 1e9:.0f} "
                f"| {rate / copy:.0%} | {row['times_the_kernel']:.2f} |",
                flush=True,
            )
    return rows


def tune(height, width, rounds):
    """Times tile sizes one by one; the best go into tuning.py with device and date."""
    grid, guide, image, cotangent = slice_apply.operands(height, width)
    lattice = lattice_lib.Lattice(grid.shape[1:4], (height, width), (height, width))
    options = {"lattice": lattice, "order": 0, "dtype": jnp.dtype("float32")}
    print("| kernel | tile sizes | microseconds |\n|---|---|---|")
    table_before = tuning.TABLE
    slicing = itertools.product(("slice_apply",), (64, 128, 256, 512), (1, 2, 4), (192,), (96,))
    splatting = itertools.product(("splat_apply",), (32, 64, 128), (1,), (96, 192), (48, 96, 192))
    for kernel, columns, warps, sums, rows in [*slicing, *splatting]:
        tiles = dataclasses.replace(table_before[-1], slice_columns=(columns,), slice_warps=warps)
        tiles = dataclasses.replace(
            tiles, splat_columns=(columns,), splat_rows=(rows,), splat_sums=sums
        )
        tuning.TABLE = (tiles,)
        if kernel == "slice_apply":
            call = bind(functools.partial(gpu.slice_apply, **options), grid, guide, image)
            sizes = f"{columns} columns, {warps} warps"
        else:
            splat = functools.partial(gpu.splat_apply, offset=True, **options)
            call = bind(splat, cotangent, guide, image)
            sizes = f"{columns} columns, {rows} rows, {sums} sums"
        (seconds,) = timed([Candidate(kernel, "gpu", call)], rounds)
        print(f"| {kernel} | {sizes} | {seconds * 1e6:.1f} |", flush=True)
    tuning.TABLE = table_before


if __name__ == "__main__":
    main()
