"""Draws the trade-off: `python -m docs.figures.perceptual SWEEP NAME [CRITIC ...]`.

`SWEEP` is the folder of a finished `configs/sweeps/perceptual.py`, each `CRITIC` that of another
NIMA than the one in its loss. Scores the held-out outputs of every trial by these, too, writes
NAME.svg (PSNR against the critics' scores, one point for each gamma) and NAME.jpg (the photos
themselves) beside this file, and prints the table.
"""

import functools
import pathlib
import sys

import jax
import matplotlib
import numpy as np
from matplotlib import figure

from bilateral_jax import atomic, images, metrics
from bilateral_jax.checkpoints import networks
from bilateral_jax.data import registry
from bilateral_jax.models import nima
from experiments.papers import perceptual
from experiments.reports import contact_sheet
from experiments.sweeps import results

GAMMA, COLUMNS = "loss.gamma", ("psnr", "ssim", "nima")
COLORS, GREY = ("#3366aa", "#cc6633", "#559955"), "#888888"


def read(sweep):
    """The rows of the finished trials, by increasing gamma."""
    rows = [row for row in results.read(sweep)["trials"] if row["status"] == "done"]
    return sorted(rows, key=lambda row: row["overrides"][GAMMA])


def add_scores(sweep, rows, critics):
    """Adds the mean scores of the outputs, inputs and targets by other critics to the metrics."""
    folders = [sweep / "trials" / row["trial"] for row in rows]
    heldout = registry.make(**atomic.read_json(folders[0] / "config.json")["data"]["heldout"])
    pairs = [heldout[index] for index in range(len(heldout))]
    inputs, targets = ([images.as_float(x[name]) for x in pairs] for name in ("input", "target"))
    for number, folder in enumerate(critics):
        score = functools.partial(_mean_score, perceptual.read_critic(folder))
        known = {f"input_nima_{number}": score(inputs), f"target_nima_{number}": score(targets)}
        for row, trial in zip(rows, folders, strict=True):
            network = networks.load_model(trial)
            outputs = [_enhance(network, image) for image in inputs]
            row["metrics"] |= known | {f"nima_{number}": score(outputs)}


@jax.jit
def _enhance(network, image):
    return network(image)


@jax.jit
def _score(critic, image):
    return nima.mean_score(critic, metrics.round_to_8bit(image))


def _mean_score(critic, photos):
    return float(np.mean([_score(critic, photo) for photo in photos]))


def table(rows, columns):
    """The numbers as a Markdown table."""
    first = rows[0]["metrics"]
    titles = ["mean score", *(f"by critic {number}" for number in range(2, len(columns) - 1))]
    lines = [
        f"| gamma | PSNR dB | SSIM | {' | '.join(titles)} |",
        "|---" * (len(columns) + 1) + "|",
    ]
    named = [("untouched input", [first[f"input_{name}"] for name in columns])]
    named += [
        (f"{row['overrides'][GAMMA]:g}", [row["metrics"][c] for c in columns]) for row in rows
    ]
    lines += [
        f"| {name} | {psnr:.2f} | {ssim:.4f} | {' | '.join(f'{score:.3f}' for score in scores)} |"
        for name, (psnr, ssim, *scores) in named
    ]
    targets = (f"{first[f'target_{name}']:.3f}" for name in columns[2:])
    return "\n".join([*lines, f"| target | | | {' | '.join(targets)} |"])


def draw(rows, names, path):
    """Draws PSNR against the mean scores, one line for each critic."""
    plot = figure.Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = plot.subplots()
    psnrs = [row["metrics"]["psnr"] for row in rows]
    for number, (name, color) in enumerate(zip(names, COLORS)):
        scores = [row["metrics"][name] for row in rows]
        label = f"critic {number + 1}" + ("" if number else ", which is in the loss")
        axes.plot(scores, psnrs, "-o", color=color, label=label)
        for row, score, psnr in zip(rows, scores, psnrs, strict=True):
            text = f"{row['overrides'][GAMMA]:g}"
            offset = {"xytext": (-4, -6), "textcoords": "offset points", "rotation": 35}
            axes.annotate(text, (score, psnr), ha="right", va="top", fontsize=9, **offset)
        for kind, above in (("input", 0.0), ("target", 0.25)):
            score, bottom = rows[0]["metrics"][f"{kind}_{name}"], min(psnrs) + above
            axes.axvline(score, color=color, linestyle="--", linewidth=1)
            axes.text(score, bottom, f" {kind}", color=GREY, va="bottom")
    axes.legend()
    axes.set_xlabel("mean score by the critic, held-out photos")
    axes.set_ylabel("PSNR dB against the operator")
    axes.set_title("one point per gamma", fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "perceptual"}):
        plot.savefig(path, metadata={"Date": None})


def show(sweep, rows, path):
    """Writes the photos side by side: input, target, then one column for each gamma."""
    folders = [sweep / "trials" / row["trial"] / "sheets" for row in rows]
    folders = [max(path for path in folder.iterdir() if path.is_dir()) for folder in folders]
    names = sorted(path.name[: -len("_input.jpg")] for path in folders[0].glob("*_input.jpg"))
    lines = []
    for name in names:
        files = [folders[0] / f"{name}_{member}.jpg" for member in ("input", "target")]
        files += [folder / f"{name}_output.jpg" for folder in folders]
        columns = [contact_sheet.downscale(images.read(file).pixels, height=112) for file in files]
        lines.append(np.concatenate(columns, axis=1))
    width = min(line.shape[1] for line in lines)
    sheet = np.concatenate([line[:, :width] for line in lines])
    images.write(path, images.to_integer(sheet, 8), quality=75)


def main(sweep, name, *critics):
    sweep = pathlib.Path(sweep)
    rows = read(sweep)
    add_scores(sweep, rows, critics)
    columns = (*COLUMNS, *(f"nima_{number}" for number in range(len(critics))))
    path = pathlib.Path(__file__).with_name(name)
    draw(rows, columns[2:], path.with_suffix(".svg"))
    show(sweep, rows, path.with_suffix(".jpg"))
    print(table(rows, columns))


if __name__ == "__main__":
    main(*sys.argv[1:])
