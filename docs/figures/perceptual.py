"""Draws the trade-off of docs/perceptual.md: `python -m docs.figures.perceptual SWEEP`.

`SWEEP` is the folder of a finished `configs/sweeps/perceptual.py`. Writes perceptual.svg (PSNR
against the critic's score, one point for each gamma) and perceptual.jpg (the photos themselves)
beside this file, and prints the table.
"""

import pathlib
import sys

import matplotlib
import numpy as np
from matplotlib import figure

from bilateral_jax import images
from experiments.reports import contact_sheet
from experiments.sweeps import results

GAMMA, COLUMNS = "loss.gamma", ("psnr", "ssim", "nima")
BLUE, GREY = "#3366aa", "#888888"


def read(sweep):
    """The rows of the finished trials, by increasing gamma."""
    rows = [row for row in results.read(sweep)["trials"] if row["status"] == "done"]
    return sorted(rows, key=lambda row: row["overrides"][GAMMA])


def table(rows):
    """The numbers as a Markdown table."""
    first = rows[0]["metrics"]
    lines = ["| gamma | PSNR dB | SSIM | mean score |", "|---|---|---|---|"]
    inputs = [first[f"input_{name}"] for name in COLUMNS]
    named = [("untouched input", inputs)]
    named += [
        (f"{row['overrides'][GAMMA]:g}", [row["metrics"][c] for c in COLUMNS]) for row in rows
    ]
    lines += [
        f"| {name} | {psnr:.2f} | {ssim:.4f} | {nima:.3f} |" for name, (psnr, ssim, nima) in named
    ]
    return "\n".join([*lines, f"| target | | | {first['target_nima']:.3f} |"])


def draw(rows, path):
    """Draws PSNR against the mean score."""
    plot = figure.Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = plot.subplots()
    scores, psnrs = ([row["metrics"][name] for row in rows] for name in ("nima", "psnr"))
    axes.plot(scores, psnrs, "-o", color=BLUE)
    for row, score, psnr in zip(rows, scores, psnrs, strict=True):
        text = f"{row['overrides'][GAMMA]:g}"
        offset = {"xytext": (-4, -6), "textcoords": "offset points", "rotation": 35}
        axes.annotate(text, (score, psnr), ha="right", va="top", fontsize=9, **offset)
    for name, text, above in (("input_nima", "input", 0.0), ("target_nima", "target", 0.25)):
        axes.axvline(rows[0]["metrics"][name], color=GREY, linestyle="--", linewidth=1)
        axes.text(rows[0]["metrics"][name], min(psnrs) + above, f" {text}", color=GREY, va="bottom")
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


def main(sweep):
    rows = read(sweep)
    here = pathlib.Path(__file__)
    draw(rows, here.with_suffix(".svg"))
    show(sweep, rows, here.with_suffix(".jpg"))
    print(table(rows))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
