"""Speed of a training step of the adversarial experiments against the same step in PyTorch.

The step of a demo config, critics and generators both, on one device: the same networks, weights,
batch and random numbers in eager PyTorch (`peers/`), interleaved. Losses of the first step are
compared before anything is timed.

    python -m benchmarks.adversarial_step [--rounds 5] [--size 128] [--quick]

prints a table; without `--quick` it writes `results/<device>/adversarial_step-<jax version>.json`.
"""

import argparse
import functools
import importlib.util

import jax
import numpy as np

from benchmarks import records, table, timing
from bilateral_jax.training import nonfinite_guard, parallel
from configs import dpe_demo
from experiments import experiment
from experiments.runs import generators_and_critics

BATCH = 3


class TwoWayDPE:
    """Deep Photo Enhancer's two-way step, with its state and its peer.

    Args:
      size: side of the photos.
      width: channels of the first layers; None for the config's.
    """

    name = "dpe"

    def __init__(self, size, width=None):
        config = dpe_demo.get_config()
        config.n_critic = 1  # both groups in every step
        for section in (config.model, config.critic):
            section.size = size
            section.width = width or section.width
        self.config = config.to_dict()
        paper = experiment.build(self.config)
        state = paper.init(jax.random.key(0))
        self.params = {
            name: jax.tree.map(np.array, network.params) for name, network in state.networks.items()
        }
        fractions = jax.pmap(
            lambda key: generators_and_critics.random_fractions(state.replace(key=key), BATCH, 2),
            axis_name=parallel.AXIS,
            devices=jax.local_devices()[:1],
        )
        self.fractions = np.array(fractions(state.key[None])[0])
        devices = jax.local_devices()[:1]
        self._update = parallel.update(nonfinite_guard.update(paper.update), devices=devices)
        self._state = parallel.replicate(nonfinite_guard.start(state, allowed=0), devices=devices)
        rng = np.random.default_rng(0)
        shape = (BATCH, size, size, 3)
        self.batch = {
            "input": rng.random(shape, np.float32),
            "target": rng.random(shape, np.float32),
            "weight": np.ones(BATCH, np.float32),
            "record": np.arange(BATCH, dtype=np.int32),
        }

    def step(self):
        """Takes a step; returns the losses of critics and generators."""
        self._state, metrics = self._update(self._state, self.batch)
        metrics = jax.device_get(metrics)
        return float(metrics["critic_loss"]), float(metrics["loss"].value)

    def torch(self):
        """The same step in PyTorch from the same weights; call it before `step`."""
        import torch

        from benchmarks.peers import dpe_torch

        sections = {"G": "model", "F": "model", "DX": "critic", "DY": "critic"}
        networks = {}
        for name, section in sections.items():
            own = self.config[section]
            fields = {key: own[key] for key in ("width", "size", "norm_sets") if key in own}
            kind = dpe_torch.Generator if section == "model" else dpe_torch.Critic
            networks[name] = kind(**fields)
            dpe_torch.load(networks[name], self.params[name])
        trainer = dpe_torch.Trainer(
            networks,
            identity=self.config["loss"]["identity"],
            cycle=self.config["loss"]["cycle"],
            penalty=self.config["penalty"]["weight"],
            learning_rate=self.config["optimizer"]["learning_rate"],
            critic_learning_rate=self.config["critic_optimizer"]["learning_rate"],
        )
        batch = dpe_torch.batch_of(self.batch)
        step = functools.partial(trainer.step, batch, torch.from_numpy(self.fractions))
        return lambda: tuple(float(loss) for loss in step())


SUBJECTS = {subject.name: subject for subject in (TwoWayDPE,)}


def rows(subject, rounds):
    """The step and PyTorch's, interleaved: a row each.

    Args:
      subject: one of the classes above, made.
      rounds: samples of each.

    Yields:
      Rows of the result file.

    Raises:
      SystemExit: the losses of the first step differ.
    """
    measured = {"ours": timing.Measurement("ours", subject.step)}
    if importlib.util.find_spec("torch") is None:
        reason = "torch is not installed (pip install torch)"
        measured["torch"] = timing.Measurement("torch", skipped=reason)
    else:
        peer = subject.torch()
        measured["torch"] = timing.Measurement("torch", peer)
        compare(subject.step(), peer())
    for _ in range(rounds):
        for measurement in measured.values():
            if not measurement.skipped:
                measurement.sample()
    size = subject.batch["input"].shape[1]
    for measurement in measured.values():
        row = {"subject": subject.name, "size": size, "batch": BATCH}
        yield row | measurement.summary(measured["ours"])


def compare(ours, peers):
    """Stops the benchmark if losses (of critics, of generators) differ."""
    for name, one, other in zip(("critics", "generators"), ours, peers, strict=True):
        if not abs(one - other) <= 1e-3 * max(abs(one), 1):
            raise SystemExit(f"the losses of the {name} differ: {one} here, {other} in PyTorch")


def describe(row):
    """One line of the console."""
    label = f"{row['subject']} {row['batch']} x {row['size']} {row['implementation']:6}"
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
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--quick", action="store_true", help="small, nothing written")
    options = parser.parse_args()
    print(f"jax {jax.__version__} on {records.device()}; medians, [quartiles]")
    found = []
    for kind in SUBJECTS.values():
        subject = kind(64, width=2) if options.quick else kind(options.size)
        for row in rows(subject, 2 if options.quick else options.rounds):
            found.append(row)
            print(describe(row), flush=True)
    if not options.quick:
        records.write("adversarial_step", found)


if __name__ == "__main__":
    main()
