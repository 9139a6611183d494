"""A process that trains with others: `python tests/worker_processes.py PORT COUNT INDEX`.

With `auto` alone it asks its surroundings for the three numbers.

Goes through training/distributed.py and a short training on a toy, and prints what it saw as JSON;
`tests/training/distributed_test.py` starts them, with four devices each, and compares.
"""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

from bilateral_jax.training import distributed, parallel, state, step

OPTIMIZER = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(0.05))
STEPS, BATCH = 6, 16


def start():
    params = {"w": jnp.float32(0.3), "c": jnp.float32(-1.0)}
    return state.create(jax.random.key(1), params, {"mean": jnp.float32(0.0)}, OPTIMIZER)


def update(current, batch):
    def loss(params, stats, batch, key):
        mean = lambda values: step.weighted_mean(values, batch["weight"])  # noqa: E731
        error = jnp.square(params["w"] * batch["x"] + params["c"] - batch["y"])
        stats = {"mean": 0.9 * stats["mean"] + 0.1 * mean(batch["x"])}
        return mean(error), (stats, {"noise": jax.random.uniform(key)})

    return step.gradient_step(loss, current, batch, OPTIMIZER, average_decay=0.9)


def batch_of(number, rows):
    rng = np.random.default_rng(number)
    x = rng.normal(size=BATCH).astype(np.float32)
    batch = {"x": x, "y": 2 * x + 1, "weight": (rng.random(BATCH) > 0.2).astype(np.float32)}
    return {name: each[rows] for name, each in batch.items()}


def curve(rows, *, devices=None):
    """Trains on some rows of every batch: metrics, leaves of the last state, copies that differ."""
    current, lines = parallel.place(start(), devices=devices), []
    mapped = parallel.update(update, devices=devices)
    for number in range(STEPS):
        current, metrics = mapped(current, batch_of(number, rows))
        lines.append({name: float(value) for name, value in metrics.items()})
    leaves = [current.params, current.batch_stats, current.average]
    return {
        "metrics": lines,
        "leaves": [float(leaf) for leaf in jax.tree.leaves(leaves)],
        "differing": parallel.differing([current, metrics]),
    }


def exact_sums(index):
    """Every process judges photos of its own, unequally many; the sums meet afterwards."""
    values = 1 / np.arange(1.0, 12.0)[index :: distributed.count()]
    measure = parallel.per_example(lambda scale, batch: scale * batch["x"])
    judged = measure(np.float32(2), {"x": values.astype(np.float32)})
    tree = {"sum": np.float64(1 / 3) / (index + 1), "judged": judged.sum(dtype=np.float64)}
    total = distributed.total(tree)
    return {name: float(value).hex() for name, value in total.items()}


def stop_wishes(index):
    """What each call hears when process 1 wishes to stop at its third call."""
    wish = distributed.StopWish()
    return [wish(15 if index == 1 and call == 2 else None) for call in range(6)]


def disagreement(index):
    try:
        distributed.agree({"step": 7 + index}, "where to go on")
    except ValueError as error:
        return str(error)


def main(port, count, index):
    patience = {"start_seconds": 120, "silence_seconds": 60}
    distributed.initialize(f"localhost:{port}", processes=count, process=index, **patience)
    assert (distributed.index(), distributed.count()) == (index, count)
    distributed.barrier("before anything else")
    seen = {
        "curve": curve(slice(index * BATCH // count, (index + 1) * BATCH // count)),
        "sums": exact_sums(index),
        "wishes": stop_wishes(index),
        "values": distributed.gather_values({"names": ["photo"] * (3 * index)}),
        "disagreement": disagreement(index),
        "agreed": distributed.agree([1, "a"], "something"),
        "first": distributed.is_first(),
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    if sys.argv[1:] == ["auto"]:
        distributed.initialize("auto", start_seconds=120, silence_seconds=60)
        print(json.dumps(distributed.gather_values(distributed.index())))
    else:
        main(*(int(word) for word in sys.argv[1:]))
