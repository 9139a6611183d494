"""How fast is slice_apply, forward and with all its gradients, against what else there is?

Question: an affine grid 16x16x8x(3x4), one float32 photo, a smooth guide with noise; time per
pixel, temporaries and compile time of `reference`, `xla` and google/hdrnet's JAX maths (peers.py).
Gradients are those of grid, guide and image for a given cotangent, together with the output.

    python -m benchmarks.slice_apply [--sizes 256 1080p 12mp] [--rounds 5]

prints a table and writes `results/<device>/slice_apply-<jax version>.json`.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

import bilateral_jax as bj
from benchmarks import peers, timing

SIZES = {"256": (256, 256), "1080p": (1080, 1920), "12mp": (3000, 4000)}


def implementations():
    """`{name: function of grid, guide, image}`, ours first: ratios are to the first."""
    ours = {
        name: lambda *operands, name=name: bj.slice_apply(*operands, implementation=name)
        for name in ("xla", "reference")
    }
    return ours | {"google": jax.vmap(peers.google_slice_apply)}


def forward(function):
    return lambda grid, guide, image, cotangent: function(grid, guide, image)


def forward_and_gradients(function):
    def run(grid, guide, image, cotangent):
        out, pullback = jax.vjp(function, grid, guide, image)
        return out, pullback(cotangent)

    return run


TASKS = {"forward": forward, "forward+gradients": forward_and_gradients}


def operands(height, width):
    """`(grid, guide, image, cotangent)` of one photo."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width] / 100
    guide = 0.5 + 0.4 * np.sin(x) * np.cos(1.3 * y) + 0.05 * rng.standard_normal((height, width))
    pixels = (1, height, width, 3)
    arrays = (
        rng.standard_normal((1, 16, 16, 8, 3, 4)),
        guide.clip(0, 1)[None],
        rng.random(pixels),
        rng.standard_normal(pixels),
    )
    return tuple(jnp.asarray(array, jnp.float32) for array in arrays)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rows = []
    print(f"jax {jax.__version__} on {timing.device()}; medians; ratio: CPU time over that of xla")
    print(f"{'size':6} {'task':18} {'':10} {'ns/pixel':>9} {'cpu':>6}  {'ratio':24}", end="")
    print(f"{'temp MB':>9} {'compile s':>9}")
    for size in options.sizes:
        arguments = operands(*SIZES[size])
        for task, wrap in TASKS.items():
            candidates = {name: wrap(function) for name, function in implementations().items()}
            measured = timing.measure(candidates, arguments, options.rounds)
            for measurement in measured.values():
                row = {"size": size, "task": task} | measurement.summary(measured["xla"])
                rows.append(row)
                print(describe(row, np.prod(SIZES[size])), flush=True)
    print(f"written to {timing.write('slice_apply', rows).relative_to(timing.RESULTS.parent)}")


def describe(row, pixels):
    """One line of the table."""
    text = f"{row['size']:6} {row['task']:18} {row['implementation']:10} "
    if "skipped" in row:
        text += f"{row['skipped']:42}"
    else:
        wall, cpu = (row[key][1] / pixels * 1e9 for key in ("wall_seconds", "cpu_seconds_per_core"))
        low, ratio, high = row["cpu_ratio"]
        text += f"{wall:9.1f} {cpu:6.1f}  {f'{ratio:.1f} [{low:.1f}, {high:.1f}]':24}"
    return text + f"{row['temporary_megabytes']:9.1f} {row['compile_cpu_seconds']:9.2f}"


if __name__ == "__main__":
    main()
