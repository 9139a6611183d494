"""Speed of a training step of the adversarial experiments against the same step in PyTorch.

The step of each paper with small networks, critics and generators both, on one device: the same
networks, weights, batch and random numbers in eager PyTorch (`peers/`), interleaved. Losses are
compared before anything is timed.

    python -m benchmarks.adversarial_step [dpe] [wespe] [--rounds 5] [--quick]

prints a table; without `--quick` it writes `results/<device>/adversarial_step-<jax version>.json`.
"""

import argparse
import importlib.util

import jax
import numpy as np

from benchmarks import records, table, timing
from bilateral_jax.losses import blurred
from bilateral_jax.training import nonfinite_guard, parallel
from configs import dpe, wespe
from experiments import experiment
from experiments.runs import generators_and_critics

_WESPE_SECTIONS = {
    "G": "model",
    "F": "inverse",
    "color_critic": "critic",
    "texture_critic": "critic",
}


class Step:
    """A training step of an experiment on one device, with its state.

    Args:
      config: of the experiment.
      batch: examples.
      size: side of the images.
    """

    def __init__(self, config, batch, size):
        config.n_critic = 1  # both groups in every step
        self.config = config.to_dict()
        paper = experiment.build(self.config)
        self.initial = paper.init(jax.random.key(0))
        self.params = {
            name: jax.tree.map(np.array, network.params)
            for name, network in self.initial.networks.items()
        }
        self._devices = jax.local_devices()[:1]
        self._update = parallel.update(nonfinite_guard.update(paper.update), devices=self._devices)
        self._state = parallel.replicate(
            nonfinite_guard.start(self.initial, allowed=0), devices=self._devices
        )
        images = np.random.default_rng(0).random((2, batch, size, size, 3), np.float32)
        self.batch = {
            "input": images[0],
            "target": images[1] ** 2,
            "weight": np.ones(batch, np.float32),
            "record": np.arange(batch, dtype=np.int32),
        }

    def step(self):
        """Takes a step; returns the losses of critics and generators."""
        self._state, metrics = self._update(self._state, self.batch)
        metrics = jax.device_get(metrics)
        return float(metrics["critic_loss"]), float(metrics["loss"])

    def fractions(self, critics):
        """The random numbers of the first step, see `generators_and_critics.random_fractions`."""
        count = len(self.batch["input"])

        def draw(key):
            state = self.initial.replace(key=key)
            return generators_and_critics.random_fractions(state, count, critics)

        drawn = jax.pmap(draw, axis_name=parallel.AXIS, devices=self._devices)
        return np.array(drawn(self.initial.key[None])[0])


class DPE(Step):
    """Deep Photo Enhancer's two-way step, and its peer.

    Args:
      batch: photos of either side.
      size: side of the photos.
      width: channels of the first layers; None for 8.
    """

    name = "dpe"
    compared = 1  # steps; PyTorch gets the random numbers of the first

    def __init__(self, batch=3, size=512, width=None):
        config = dpe.get_config()
        for section in (config.model, config.critic):
            section.size = size
            section.width = width or 8
        config.optimizer.learning_rate, config.critic_optimizer.learning_rate = 1e-3, 1e-4
        config.average_decay = 0.98
        super().__init__(config, batch, size)

    @classmethod
    def small(cls):
        """Makes a step that takes seconds."""
        return cls(size=64, width=2)

    def torch(self):
        """The same step in PyTorch from the initial weights: a call that returns its losses."""
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
        batch, fractions = dpe_torch.batch_of(self.batch), torch.from_numpy(self.fractions(2))
        return lambda: tuple(float(loss) for loss in trainer.step(batch, fractions))


class WESPE(Step):
    """WESPE's step, and its peer.

    Args:
      batch: inputs and as many targets.
      size: side of the patches.
    """

    name = "wespe"
    compared = 2  # steps; the second starts from the weights of the first

    def __init__(self, batch=30, size=100):
        config = wespe.get_config()
        for section in (config.model, config.inverse):
            section.update(width=8, blocks=2, initial="he", residual=True)
        config.critic.update(
            channels=(12, 32, 48, 48, 32), hidden=128, size=size, pooled=True, norm="none"
        )
        config.loss.update(
            content=0.0, cycle_mse=1.0, color=0.05, variation=0.1, identity=1.0, blur="paper",
            gradient_penalty=1.0,
        )  # fmt: skip
        config.optimizer.learning_rate, config.critic_optimizer.learning_rate = 3e-4, 1e-3
        config.average_decay = 0.95
        super().__init__(config, batch, size)

    @classmethod
    def small(cls):
        """Makes a step that takes seconds."""
        return cls(2, 64)

    def torch(self):
        """The same step in PyTorch from the initial weights: a call that returns its losses."""
        from benchmarks.peers import wespe_torch

        networks = {}
        for name, section in _WESPE_SECTIONS.items():
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


SUBJECTS = {subject.name: subject for subject in (DPE, WESPE)}


def rows(subject, rounds):
    """The step and PyTorch's, interleaved: a row each.

    Args:
      subject: one of the classes above, made.
      rounds: samples of each.

    Yields:
      Rows of the result file.

    Raises:
      SystemExit: the losses of the compared steps differ.
    """
    measured = {"ours": timing.Measurement("ours", subject.step)}
    if importlib.util.find_spec("torch") is None:
        reason = "torch is not installed (pip install torch)"
        measured["torch"] = timing.Measurement("torch", skipped=reason)
    else:
        peer = subject.torch()
        measured["torch"] = timing.Measurement("torch", peer)
        for _ in range(subject.compared):
            compare(subject.step(), peer())
    for _ in range(rounds):
        for measurement in measured.values():
            if not measurement.skipped:
                measurement.sample()
    batch, size = subject.batch["input"].shape[:2]
    for measurement in measured.values():
        row = {"subject": subject.name, "size": size, "batch": batch}
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
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=", ".join(SUBJECTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="small, nothing written")
    options = parser.parse_args()
    if unknown := set(options.subjects) - set(SUBJECTS):
        parser.error(f"SUBJECT must be one of {', '.join(SUBJECTS)}, got {sorted(unknown)}")
    print(f"jax {jax.__version__} on {records.device()}; medians, [quartiles]")
    found = []
    for name in options.subjects or SUBJECTS:
        subject = SUBJECTS[name].small() if options.quick else SUBJECTS[name]()
        for row in rows(subject, 2 if options.quick else options.rounds):
            found.append(row)
            print(describe(row), flush=True)
    if not options.quick:
        records.write("adversarial_step", found)


if __name__ == "__main__":
    main()
