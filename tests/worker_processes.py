"""A process that trains with others: `python tests/worker_processes.py PORT COUNT INDEX`.

With `auto` alone it takes the three numbers from the cluster's environment.

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
    return state.create_single(jax.random.key(1), params, {"mean": jnp.float32(0.0)}, OPTIMIZER)


def update(current, batch):
    def loss(networks, batch, key):
        params, stats = networks["network"]
        mean = lambda values: step.weighted_mean(values, batch["weight"])  # noqa: E731
        error = jnp.square(params["w"] * batch["x"] + params["c"] - batch["y"])
        stats = {"mean": 0.9 * stats["mean"] + 0.1 * mean(batch["x"])}
        return mean(error), ({"network": stats}, {"noise": jax.random.uniform(key)})

    current, metrics = step.gradient_step(
        loss, current, "main", batch, OPTIMIZER,
        build={"network": lambda params, stats: (params, stats)}, average_decay=0.9,
    )  # fmt: skip
    return step.finish_step(current), metrics


def batch_of(number, rows):
    rng = np.random.default_rng(number)
    x = rng.normal(size=BATCH).astype(np.float32)
    batch = {"x": x, "y": 2 * x + 1, "weight": (rng.random(BATCH) > 0.2).astype(np.float32)}
    return {name: each[rows] for name, each in batch.items()}


def curve(rows, *, devices=None):
    """Trains on some rows of every batch: metrics, leaves of the last state, copies that differ."""
    current, lines = parallel.replicate(start(), devices=devices), []
    mapped = parallel.update(update, devices=devices)
    for number in range(STEPS):
        current, metrics = mapped(current, batch_of(number, rows))
        lines.append({name: float(value) for name, value in metrics.items()})
    network = current.networks["network"]
    leaves = [network.params, network.batch_stats, network.average]
    return {
        "metrics": lines,
        "leaves": [float(leaf) for leaf in jax.tree.leaves(leaves)],
        "differing": parallel.unsynchronised_leaves([current, metrics]),
    }


def stop_requests(index):
    """What each call returns when process 1 requests a stop at its third call."""
    agreement = distributed.StopAgreement()
    return [agreement(15 if index == 1 and call == 2 else None) for call in range(6)]


def main(port, count, index):
    patience = {"start_seconds": 120, "silence_seconds": 60}
    distributed.initialize(f"localhost:{port}", processes=count, process=index, **patience)
    assert (distributed.index(), distributed.count()) == (index, count)
    seen = {
        "curve": curve(slice(index * BATCH // count, (index + 1) * BATCH // count)),
        "stop_requests": stop_requests(index),
        "values": distributed.gather_values({"names": ["photo"] * (3 * index)}),
        "first": distributed.is_first(),
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    if sys.argv[1:] == ["auto"]:
        distributed.initialize("auto", start_seconds=120, silence_seconds=60)
        print(json.dumps(distributed.gather_values(distributed.index())))
    else:
        main(*(int(word) for word in sys.argv[1:]))
