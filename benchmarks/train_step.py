"""Speed of a training step of HDRNet, its idle time and the cost of several devices.

Measures the step of `configs/hdrnet.py`, as `experiments/train.py` runs it (batches of 8,
low-resolution inputs of 256 x 256 pixels):

- the step alone, at crops of 256 and 512, against the same network and step in PyTorch
  (`peers/hdrnet_torch.py`) with the same weights, interleaved; losses and gradients are compared
  before anything is timed;
- the step with its input: the share of time that it is idle because no batch is ready, with photos
  in files of several kinds, decoded each time or cached decoded;
- the same batch split over 1, 2, 4 and 8 simulated devices, each number in a process of its own,
  interleaved: on one CPU this shows the cost of splitting, never a gain.

    python -m benchmarks.train_step [--rounds 7] [--part step] [--quick]

prints tables; without `--quick` (five minutes on two quiet cores) it writes
`results/<device>/train_step-<jax version>.json`. On a GPU both run on it; simulated devices
are left out.
"""

import argparse
import functools
import importlib.util
import json
import os
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import feeding, records, table, timing
from bilateral_jax.training import nonfinite_guard, parallel
from configs import hdrnet as config_lib
from experiments import experiment

BATCH = 8
CROPS = (256, 512)
DEVICES = (1, 2, 4, 8)
PARTS = ("step", "input", "devices")


class Trainer:
    """The training step on all local devices, with its state.

    Args:
      overrides: `{name: value}` of the config's model, for a small network.
    """

    def __init__(self, **overrides):
        config = config_lib.get_config()
        config.model.update(overrides)
        self.config = config.to_dict()
        self.paper = experiment.build(self.config)
        self._update = parallel.update(nonfinite_guard.update(self.paper.update))
        self.reset(self.paper.init(jax.random.key(0)))

    def reset(self, state):
        """Starts from a copy of a state."""
        self.params = jax.tree.map(np.array, state.networks["network"].params)
        copy = jax.tree.map(jnp.copy, state)  # the step donates its state's buffers
        self._state = parallel.replicate(nonfinite_guard.start(copy, allowed=0))

    def step(self, batch):
        """Updates the state; returns metrics that may still be computed."""
        self._state, metrics = self._update(self._state, batch)
        return metrics

    def numbers(self, batch):
        """Updates the state; returns the loss and the norm of the gradient."""
        metrics = jax.device_get(self.step(batch))
        return float(metrics["loss"]), float(metrics["gradient_norm"])

    def torch(self):
        """The same trainer in PyTorch, from the same weights; on the GPU if ours is on one."""
        import torch

        from benchmarks.peers import hdrnet_torch

        sizes = ("net_input_size", "spatial_bin", "luma_bins", "channel_multiplier")
        network = hdrnet_torch.HDRNet(**{name: self.config["model"][name] for name in sizes})
        hdrnet_torch.load(network, self.params)
        device = "cuda" if jax.default_backend() == "gpu" else "cpu"
        if device == "cuda" and not torch.cuda.is_available():
            raise RuntimeError("torch sees no GPU")
        optimizer = self.config["optimizer"]
        return hdrnet_torch.Trainer(
            network.to(device),
            grid_variation=self.config["loss"]["grid_variation"],
            learning_rate=optimizer["learning_rate"],
            clip_norm=optimizer["clip_norm"],
            average_decay=self.config["average_decay"],
        )


def batch_of_noise(crop, *, lowres_size=256, batch=BATCH):
    """A batch like the loader's: crops of 1080 x 1920 photos and their low-res inputs."""
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 1080 - crop, (batch, 2))
    photos = np.broadcast_to(np.int32([1080, 1920]), (batch, 2))
    return {
        "input": rng.random((batch, crop, crop, 3), np.float32),
        "target": rng.random((batch, crop, crop, 3), np.float32),
        "weight": np.ones(batch, np.float32),
        "record": np.arange(batch, dtype=np.int32),
        "window": np.concatenate([corners, photos], axis=1).astype(np.int32),
        "lowres": rng.random((batch, lowres_size, lowres_size, 3), np.float32),
    }


def torch_step(trainer, batch):
    """A call that takes one step in PyTorch and waits for it; or why there is none."""
    if importlib.util.find_spec("torch") is None:
        return timing.Unavailable("torch is not installed (pip install torch)")
    from benchmarks.peers import hdrnet_torch

    peer = trainer.torch()
    device = next(peer.network.parameters()).device
    batch = hdrnet_torch.batch_of(batch, device)

    def step():
        loss, norm = peer.step(batch)
        return float(loss), float(norm)

    return step


def compare(ours, peers):
    """Stops the benchmark if two (loss, norm of the gradient) differ."""
    for name, one, other in zip(("loss", "gradient norm"), ours, peers):
        if not abs(one - other) <= 1e-3 * abs(one):
            raise SystemExit(f"the networks differ: {name} {one} here, {other} in PyTorch")


def compute_rows(crops, rounds, **model):
    """The step and PyTorch's, interleaved: a row each per crop size."""
    trainer = Trainer(**model)
    for crop in crops:
        batch = batch_of_noise(crop, lowres_size=trainer.config["model"]["net_input_size"])
        trainer.reset(trainer.paper.init(jax.random.key(0)))
        peer = torch_step(trainer, batch)
        calls = {"ours": functools.partial(trainer.numbers, batch)}
        if isinstance(peer, timing.Unavailable):
            measured = {"torch": timing.Measurement("torch", skipped=peer.reason)}
        else:
            calls["torch"], measured = peer, {}
            for _ in range(2):  # the second step starts from the weights of the first
                compare(calls["ours"](), peer())
        measured = {name: timing.Measurement(name, call) for name, call in calls.items()} | measured
        for _ in range(rounds):
            for measurement in measured.values():
                if not measurement.skipped:
                    measurement.sample()
        for measurement in measured.values():
            row = {"part": "step", "crop": crop, "batch": BATCH}
            yield row | measurement.summary(measured["ours"])


def device_rows(counts, rounds, crop):
    """The same batch split over simulated devices: a row per number of them."""
    children = {}
    try:
        for count in counts:
            flags = f"--xla_force_host_platform_device_count={count}"
            command = [sys.executable, "-m", "benchmarks.train_step", "--child", str(crop)]
            children[count] = subprocess.Popen(
                command,
                env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            _answer(children[count])  # compiled, before the next one starts to
        samples = {count: [] for count in counts}
        for _ in range(rounds):
            for count, child in children.items():
                samples[count].append(_answer(child, "step\n"))
    finally:
        for child in children.values():
            child.kill()
            child.communicate()
    for count in counts:
        row = {"part": "devices", "devices": count, "crop": crop, "batch": BATCH}
        row["wall_seconds"] = timing.quartiles(samples[count])
        row["wall_ratio"] = timing.quartiles(np.divide(samples[count], samples[counts[0]]))
        yield row


def _answer(child, question=""):
    child.stdin.write(question)
    child.stdin.flush()
    line = child.stdout.readline()
    if not line:
        raise RuntimeError(f"a process of the benchmark ended with status {child.wait()}")
    return json.loads(line)


def serve(crop):
    """Child process: an untimed and a timed step for every line of standard input."""
    trainer, batch = Trainer(), batch_of_noise(crop)
    print(json.dumps(trainer.numbers(batch)[0]), flush=True)
    for _ in sys.stdin:
        trainer.numbers(batch)
        start = time.perf_counter()
        trainer.numbers(batch)
        print(json.dumps(time.perf_counter() - start), flush=True)


def describe(row):
    """One line of the console."""
    if row["part"] == "input":
        return feeding.describe(row)
    label = f"{row.get('implementation', '')}{row.get('devices', '')}"
    text = f"{row['part']:8} {label:8} crops of {row['crop']}: "
    if "skipped" in row:
        return text + row["skipped"]
    seconds = row["wall_seconds"][1]
    text += f"{seconds * 1e3:8.1f} ms a step, {row['batch'] / seconds:6.1f} images/s"
    return f"{text}, {table.spread(row.get('wall_ratio'))} times the first"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--part",
        choices=PARTS,
        help="only this one; the file keeps the other parts that the same commit measured",
    )
    parser.add_argument("--quick", action="store_true", help="small, nothing written")
    parser.add_argument("--child", type=int, metavar="CROP", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        serve(options.child)
        return
    parts = [options.part] if options.part else PARTS
    rows = [] if options.quick else kept(parts)
    print(f"jax {jax.__version__} on {records.device()}; medians, [quartiles]")
    for row in all_rows(parts, 2 if options.quick else options.rounds, options.quick):
        rows.append(row)
        print(describe(row), flush=True)
    if not options.quick:
        rows.sort(key=lambda row: PARTS.index(row["part"]))
        records.write("train_step", rows)


def kept(parts):
    """Rows of the other parts that this commit has measured with this version of JAX."""
    now = records.metadata()
    found = records.read("train_step", records.RESULTS / records.device())
    same = [r for r in found if all(r["metadata"][name] == now[name] for name in ("jax", "commit"))]
    return [row for record in same for row in record["rows"] if row["part"] not in parts]


def all_rows(parts, rounds, quick):
    """The rows of some of the parts, as they are measured."""
    if "step" in parts:
        yield from compute_rows(CROPS[:1] if quick else CROPS, rounds)
    if "input" in parts:
        yield from feeding.rows(Trainer(), batch_of_noise(feeding.CROP), quick=quick)
    if "devices" in parts and jax.default_backend() == "cpu":
        yield from device_rows(DEVICES[:2] if quick else DEVICES, rounds, CROPS[0])


if __name__ == "__main__":
    main()
