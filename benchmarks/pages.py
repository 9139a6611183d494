"""Cost of fresh memory pages, and ways to avoid them.

Measures `slice_apply` forward on images whose result exceeds 32 MB. A C library returns so large an
allocation to the system when it is freed, and the next result begins with pages that the system has
to clear one by one. Compared: plain calls; calls that overwrite the last result (`donate_argnums`);
both again where the C library asks for huge pages and where it returns nothing (`environments.py`).
A batch of four beside one image of the same size.

    python -m benchmarks.pages [--rounds 9] [--quick]

prints a table and writes `results/<device>/pages-<jax version>.json`.
"""

import jax
import jax.numpy as jnp

from benchmarks import environments, slice_apply, timing

SIZES = {
    "12 MP": (3000, 4000, 1),
    "3.1 MP": (1536, 2048, 1),
    "four of 0.8 MP": (768, 1024, 4),
    "0.8 MP": (768, 1024, 1),
}
QUICK = ("0.8 MP",)


def overwriting(*arguments):
    """Calls that each write into the memory of the result before."""
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
    environments.ask(
        __spec__.name,
        measured_rows,
        environments.ENVIRONMENTS,
        rounds=9,
        sizes=SIZES,
        quick=QUICK,
        ratio=("wall_ratio", "wall time over new's"),
    )


if __name__ == "__main__":
    main()
