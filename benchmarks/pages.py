"""What do fresh pages cost, and how does a program do without?

Question: `slice_apply` forward on pictures whose result exceeds 32 MB. A C library gives so large a
block back to the system when it is freed, and the next result begins with pages that the system has
to clear one by one. Compared: plain calls; calls that are given the last result to write over
(`donate_argnums`); both again where the C library asks for huge pages and where it gives nothing
back (`environments.py`). A batch of four beside one picture of the same size.

    python -m benchmarks.pages [--rounds 9] [--quick]

prints a table and writes `results/<device>/pages-<jax version>.json`.
"""

import argparse
import json

import jax
import jax.numpy as jnp

from benchmarks import environments, records, slice_apply, table, timing

SIZES = {
    "12 MP": (3000, 4000, 1),
    "3.1 MP": (1536, 2048, 1),
    "four of 0.8 MP": (768, 1024, 4),
    "0.8 MP": (768, 1024, 1),
}
QUICK = ("0.8 MP",)


def overwriting(*arguments):
    """Calls that each get the result of the one before, to write their own into its memory."""
    function = slice_apply.forward(slice_apply.ours("xla"))
    compiled = jax.jit(
        lambda spare, *arguments: function(*arguments), donate_argnums=0, keep_unused=True
    )
    spare = jnp.zeros_like(arguments[-1])

    def call():
        nonlocal spare
        spare = compiled(spare, *arguments)
        return spare

    return call


def candidates():
    """`{name: candidate}`."""
    plain = slice_apply.forward(slice_apply.ours("xla"))
    return {"new": plain, "overwritten": timing.Eager(overwriting)}


def measured_rows(names, rounds):
    """Rows of some sizes in this process's environment."""
    rows = []
    for name in names:
        height, width, batch = SIZES[name]
        arguments = slice_apply.operands(height, width, batch=batch)
        measured = timing.measure(candidates(), arguments, rounds)
        for measurement in measured.values():
            row = {"size": name, "pixels": batch * height * width, "task": "forward"}
            rows.append(row | measurement.summary(measured["new"]))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="small, nothing written")
    parser.add_argument("--rows", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rows:
        print(json.dumps(measured_rows(options.rows, options.rounds)))
        return
    print(f"jax {jax.__version__} on {records.device()}; medians; ratio: wall time over new's")
    print(table.HEADER)
    rows = []
    names = QUICK if options.quick else SIZES
    for environment in environments.ENVIRONMENTS:
        for row in environments.rows(__spec__.name, environment, names, options.rounds):
            rows.append(row | {"task": row["task"] + environment})
            print(table.line(row["size"], rows[-1]), flush=True)
    if not options.quick:
        records.write("pages", rows)


if __name__ == "__main__":
    main()
