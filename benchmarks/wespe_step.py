"""Speed of a training step of WESPE against the same step in PyTorch.

The step of `configs/wespe_demo.py`, critics and generators both, on one device: the same networks,
weights and batch in eager PyTorch (`peers/wespe_torch.py`), interleaved. The losses of the first
two steps are compared before anything is timed.

    python -m benchmarks.wespe_step [--rounds 5] [--batch 30] [--size 100] [--quick]

prints a line for each; without `--quick` it writes
`results/<device>/wespe_step-<jax version>.json`.
"""

import argparse
import importlib.util

import jax
import numpy as np

from benchmarks import records, table, timing
from bilateral_jax.losses import blurred
from bilateral_jax.training import nonfinite_guard, parallel
from configs import wespe_demo
from experiments import experiment

_SECTIONS = {"G": "model", "F": "inverse", "color_critic": "critic", "texture_critic": "critic"}


class WESPE:
    """The step with its state, and its peer.

    Args:
      batch: inputs and as many targets.
      size: side of the patches.
    """

    def __init__(self, batch, size):
        config = wespe_demo.get_config()
        config.n_critic = 1  # both groups in every step
        config.critic.size = size
        self.config = config.to_dict()
        paper = experiment.build(self.config)
        state = paper.init(jax.random.key(0))
        self.params = {
            name: jax.tree.map(np.array, network.params) for name, network in state.networks.items()
        }
        devices = jax.local_devices()[:1]
        self._update = parallel.update(nonfinite_guard.update(paper.update), devices=devices)
        self._state = parallel.replicate(nonfinite_guard.start(state, allowed=0), devices=devices)
        images = np.random.default_rng(0).random((2, batch, size, size, 3), np.float32)
        self.batch = {
            "input": images[0],
            "target": images[1] ** 2,
            "weight": np.ones(batch, np.float32),
        }

    def step(self):
        """Takes a step; returns the losses of critics and generators."""
        self._state, metrics = self._update(self._state, self.batch)
        metrics = jax.device_get(metrics)
        return float(metrics["critic_loss"]), float(metrics["loss"])

    def torch(self):
        """The same step in PyTorch from the initial weights: a call that returns its losses."""
        from benchmarks.peers import wespe_torch

        networks = {}
        for name, section in _SECTIONS.items():
            own = self.config[section]
            if section == "critic":
                fields = {key: own[key] for key in ("channels", "hidden", "norm")}
                channels = 3 if name == "color_critic" else 1
                networks[name] = wespe_torch.Critic(input_channels=channels, **fields)
            else:
                networks[name] = wespe_torch.Generator(width=own["width"], blocks=own["blocks"])
            wespe_torch.load(networks[name], self.params[name])
        trainer = wespe_torch.Trainer(
            networks,
            taps=blurred.blur_taps(self.config["loss"]["blur"]),
            weights=self.config["loss"],
            learning_rate=self.config["optimizer"]["learning_rate"],
            critic_learning_rate=self.config["critic_optimizer"]["learning_rate"],
            average_decay=self.config["average_decay"],
        )
        batch = wespe_torch.batch_of(self.batch)
        return lambda: tuple(float(loss) for loss in trainer.step(batch))


def rows(subject, rounds):
    """The step and PyTorch's, interleaved: a row each.

    Args:
      subject: a `WESPE`.
      rounds: samples of each.

    Yields:
      Rows of the result file.

    Raises:
      SystemExit: the losses of the first two steps differ.
    """
    measured = {"ours": timing.Measurement("ours", subject.step)}
    if importlib.util.find_spec("torch") is None:
        reason = "torch is not installed (pip install torch)"
        measured["torch"] = timing.Measurement("torch", skipped=reason)
    else:
        peer = subject.torch()
        measured["torch"] = timing.Measurement("torch", peer)
        for _ in range(2):  # the second step starts from the weights of the first
            compare(subject.step(), peer())
    for _ in range(rounds):
        for measurement in measured.values():
            if not measurement.skipped:
                measurement.sample()
    batch, size = subject.batch["input"].shape[:2]
    for measurement in measured.values():
        yield {"size": size, "batch": batch} | measurement.summary(measured["ours"])


def compare(ours, peers):
    """Stops the benchmark if losses (of critics, of generators) differ."""
    for name, one, other in zip(("critics", "generators"), ours, peers, strict=True):
        if not abs(one - other) <= 1e-3 * abs(one):
            raise SystemExit(f"the losses of the {name} differ: {one} here, {other} in PyTorch")


def describe(row):
    """One line of the console."""
    label = f"{row['batch']} x {row['size']} {row['implementation']:6}"
    if "skipped" in row:
        return f"{label}: {row['skipped']}"
    seconds, cpu = row["wall_seconds"][1], row["cpu_seconds_per_core"][1]
    ratios = [table.spread(row[name]) for name in ("wall_ratio", "cpu_ratio")]
    return (
        f"{label}: {seconds:7.2f} s a step, {cpu:7.2f} s of each core; wall {ratios[0]}, "
        f"processor {ratios[1]} times the first"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=30)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="small, nothing written")
    options = parser.parse_args()
    print(f"jax {jax.__version__} on {records.device()}; medians, [quartiles]")
    subject = WESPE(2, 64) if options.quick else WESPE(options.batch, options.size)
    found = []
    for row in rows(subject, 2 if options.quick else options.rounds):
        found.append(row)
        print(describe(row), flush=True)
    if not options.quick:
        records.write("wespe_step", found)


if __name__ == "__main__":
    main()
