"""Gradients of a convolution within `lax.cond`: JAX's own against those of a training step.

    python -m benchmarks.convolution_gradients [--quick]

An update with `n_critic` above 1 takes its gradients within `lax.cond`, one with `accumulate`
above 1 within `lax.scan`. For each layer both gradients (in the image and in the kernel) by JAX's
own rules and those of `models/layers/reverse_mode_convolution.py` are timed outside and inside of
a `lax.cond`: the least of ten runs of each, in turn, in processor time; of one thread where
XLA_FLAGS says so (`--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1`).

Prints a table; without `--quick` writes `results/<device>/convolution_gradients-<version>.json`.
"""

import argparse
import time

import jax
import jax.numpy as jnp

from benchmarks import records
from bilateral_jax.models.layers import convolutions, reverse_mode_convolution

# Side of four square images, taps per axis, channels in and out, stride; and where it occurs.
LAYERS = {
    (64, 5, 16, 16, 1): "Deep Photo Enhancer, encoder",
    (32, 5, 16, 32, 2): "Deep Photo Enhancer, strided",
    (64, 9, 3, 8, 1): "WESPE, first",
    (64, 9, 8, 3, 1): "WESPE, last",
    (64, 3, 8, 8, 1): "WESPE, block",
    (32, 3, 8, 16, 2): "HDRNet, splat",
}
RUNS = 10


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one run, nothing is written")
    options = parser.parse_args(arguments)
    rows = []
    for layer, name in LAYERS.items():
        times = of_layer(*layer, runs=1 if options.quick else RUNS)
        row = {"layer": name, "shape": list(layer)} | times
        row["ratio"] = times["jax_cond_ms"] / times["own_cond_ms"]
        rows.append({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()})
        print(rows[-1], flush=True)
    if not options.quick:
        records.write("convolution_gradients", rows)


def of_layer(side, taps, channels, features, stride, *, runs):
    """Processor milliseconds of the gradients of one layer: `{name: least of the runs}`."""
    keys = jax.random.split(jax.random.key(0))
    image = jax.random.normal(keys[0], (4, side, side, channels))
    kernel = jax.random.normal(keys[1], (taps, taps, channels, features))
    geometry = reverse_mode_convolution.Geometry(stride, "SAME", 1, convolutions.PRECISION)
    programs = {}
    jax_own = reverse_mode_convolution.convolve
    ours = reverse_mode_convolution.reverse_mode()(jax_own)
    for rule, convolve in (("jax", jax_own), ("own", ours)):
        gradient = jax.grad(
            lambda image, kernel, convolve=convolve: jnp.square(
                convolve(image, kernel, geometry)
            ).sum(),
            (0, 1),
        )

        def conditional(image, kernel, flag, gradient=gradient):
            return jax.lax.cond(flag, gradient, lambda *arrays: arrays, image, kernel)

        programs[f"{rule}_ms"] = jax.jit(lambda i, k, f, gradient=gradient: gradient(i, k))
        programs[f"{rule}_cond_ms"] = jax.jit(conditional)
    times = {name: [] for name in programs}
    flag = jnp.array(True)
    for _ in range(1 + runs):
        for name, program in programs.items():
            start = time.process_time()
            jax.block_until_ready(program(image, kernel, flag))
            times[name].append(1e3 * (time.process_time() - start))
    return {name: min(each[1:]) for name, each in times.items()}


if __name__ == "__main__":
    main()
