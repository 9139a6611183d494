"""Demo: trains HDRNet on bundled photos for minutes, then enhances held-out ones: `make demo`."""

import os
import pathlib
import time

import jax
import numpy as np
from absl import flags, logging
from ml_collections import config_flags

from bilateral_jax import atomic, inference
from bilateral_jax.checkpoints import networks
from bilateral_jax.data import registry
from bilateral_jax.data.pipeline import batches
from bilateral_jax.training import summary_writer
from experiments import train
from experiments.evaluation import baselines, protocol
from experiments.runs import command_line

COLUMNS = {
    "input": "untouched input",
    "learned_global": "global fit, learned",
    "oracle_global": "global fit, oracle",
    "hdrnet": "HDRNet",
}
BARS = {"input": 5.0, "learned_global": 1.5}  # required gain of HDRNet's mean in dB


def run(config, workdir, *, progress=True):
    """Trains, enhances the held-out photos and compares with global colour transforms.

    Args:
      config: a ConfigDict as `experiments/train.py` takes it.
      workdir: folder of the run; `heldout.png`, `loss.png` and `table.json` are written there.
      progress: show the training's progress bar.

    Returns:
      The table, as in `table.json`; None if a signal stopped the training.
    """
    workdir, start = pathlib.Path(workdir), time.perf_counter()
    outcome, _ = train.train(config, workdir, progress=progress)
    if outcome.signal is not None:
        return None
    network = networks.load_model(workdir)
    learned = baselines.fit_affine((e["input"], e["target"]) for e in _photos(config.data.train))
    rows, photos = {}, []
    for example in _photos(config.data.heldout):
        name, image, target = example["name"], example["input"], example["target"]
        oracle = baselines.fit_affine([(image, target)])
        outputs = {
            "input": image,
            "learned_global": baselines.apply_affine(learned, image),
            "oracle_global": baselines.apply_affine(oracle, image),
            "hdrnet": inference.enhance(network, image),
        }
        rows[name] = {column: _psnr(output, target) for column, output in outputs.items()}
        photos.append((name, {**outputs, "target": target}))
    table = summarize(rows) | _environment(config, outcome.step, time.perf_counter() - start)
    atomic.write_json(workdir / "table.json", table)
    _draw_photos(workdir / "heldout.png", photos, rows)
    _draw_losses(workdir / "loss.png", workdir)
    return table


def summarize(rows):
    """Computes means, HDRNet's gains, and whether each gain reaches its required value.

    Args:
      rows: `{photo: {column: PSNR in dB of 8-bit images}}`.

    Returns:
      `{"photos": rows, "mean": {...}, "gains": {...}, "bars": {name: {"needed", "holds"}}}`.
    """
    mean = {column: float(np.mean([row[column] for row in rows.values()])) for column in COLUMNS}
    gains = {column: mean["hdrnet"] - mean[column] for column in COLUMNS if column != "hdrnet"}
    bars = {
        column: {"needed": needed, "holds": bool(gains[column] >= needed)}
        for column, needed in BARS.items()
    }
    return {"photos": rows, "mean": mean, "gains": gains, "bars": bars}


def text(table):
    """Formats the table for a terminal."""
    lines = [f"{'PSNR in dB, 8 bit':20s}" + "".join(f"{t:>22s}" for t in COLUMNS.values())]
    for name, row in [*table["photos"].items(), ("mean", table["mean"])]:
        lines.append(f"{name:20s}" + "".join(f"{row[column]:22.2f}" for column in COLUMNS))
    for column, gain in table["gains"].items():
        line = f"HDRNet against the {COLUMNS[column]}: {gain:+.2f} dB"
        if column in table["bars"]:
            bar = table["bars"][column]
            line += (
                f" (bar {bar['needed']:+.1f} dB: {'holds' if bar['holds'] else 'does NOT hold'})"
            )
        lines.append(line)
    return "\n".join(lines)


def _environment(config, steps, seconds):
    """Protocol, seed and hardware, recorded beside the numbers."""
    return {
        "protocol": "PSNR in dB of whole photos rounded to 8 bit, mean over photos",
        "seed": config.seed,
        "steps": steps,
        "seconds_this_time": round(seconds, 1),
        "hardware": f"{jax.local_device_count()} x {jax.local_devices()[0].device_kind}, "
        f"{os.cpu_count()} CPU cores",
        "jax": jax.__version__,
    }


def _photos(section):
    return batches.evaluation_examples(registry.make(**section.to_dict()))


def _psnr(output, target):
    return protocol.score(output, target, metrics=("psnr",))["psnr"]


def _draw_photos(path, photos, rows):
    """Draws one row per photo: input, learned global fit, HDRNet, target."""
    from matplotlib import figure

    titles = {column: COLUMNS[column] for column in ("input", "learned_global", "hdrnet")}
    titles |= {"target": "target"}
    sheet = figure.Figure(figsize=(4 * len(titles), 3 * len(photos)), layout="constrained")
    axes = sheet.subplots(len(photos), len(titles), squeeze=False)
    for line, (name, images) in zip(axes, photos):
        for axis, (column, title) in zip(line, titles.items()):
            level = f" {rows[name][column]:.1f} dB" if column in rows[name] else ""
            axis.imshow(np.clip(images[column], 0, 1))
            axis.set_title(f"{name}: {title}{level}", fontsize=10)
            axis.set_axis_off()
    sheet.savefig(path, dpi=100)


def _draw_losses(path, workdir):
    """Draws the training loss and the held-out PSNR over the steps."""
    from matplotlib import figure

    plot = figure.Figure(figsize=(10, 4), layout="constrained")
    left, right = plot.subplots(1, 2)
    losses, evaluations = (
        summary_writer.read(workdir, "train"),
        summary_writer.read(workdir, "eval"),
    )
    left.semilogy([line["step"] for line in losses], [line["loss"] for line in losses])
    left.set(xlabel="step", ylabel="loss", title="training batches")
    steps = [line["step"] for line in evaluations]
    right.plot(steps, [line["psnr"] for line in evaluations], marker="o", label="HDRNet")
    untouched = [line[protocol.INPUT + "psnr"] for line in evaluations]
    right.plot(steps, untouched, label="untouched input")
    right.set(xlabel="step", ylabel="PSNR in dB (8 bit)", title="held-out photos")
    right.legend()
    plot.savefig(path, dpi=100)


def main(config, workdir):
    """Runs the demo and prints the table; gives the exit code, 1 if a gain is too small."""
    logging.set_verbosity(logging.WARNING)
    table = run(config, workdir)
    if table is None:
        return 130
    print(text(table))
    print(f"look at {workdir}/heldout.png and {workdir}/loss.png; numbers in {workdir}/table.json")
    return int(not all(bar["holds"] for bar in table["bars"].values()))


if __name__ == "__main__":
    command_line.default_config("config", "configs/demo.py")
    _CONFIG = config_flags.DEFINE_config_file("config", help_string="What to train.")
    _WORKDIR = flags.DEFINE_string("workdir", "runs/demo", "Folder of the run.")
    command_line.run(
        lambda: main(_CONFIG.value, _WORKDIR.value), config="config", required=("workdir",)
    )
