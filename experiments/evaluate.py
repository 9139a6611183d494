"""Scores a checkpoint, or a folder of pictures, against targets: `python -m experiments.evaluate`.

    python -m experiments.evaluate --checkpoint RUN --source folder root=PAIRS --out SCORES
    python -m experiments.evaluate --outputs DIR --targets DIR [--inputs DIR] --out SCORES

One picture is in memory at a time, however many there are. A mistake of the user is one line on the
error output: exit code 2 for arguments that make no sense, 1 for work that could not be done; a
picture that fails is named, the others are scored, and the exit code is 1 too.

Receives a checkpoint and a source, or folders, from the command line.
Hands `scores.csv`, `scores.json` and `sheet.jpg` to the user.
"""

import argparse
import ast
import contextlib
import importlib
import pathlib
import platform
import shlex
import sys
from importlib import metadata

import jax
import numpy as np
import tqdm

from bilateral_jax import images
from bilateral_jax.checkpoints import networks
from bilateral_jax.data import registry
from experiments.evaluation import best_and_worst, protocol, score_table, scored_images

_PACKAGES = ("jax", "flax", "numpy", "opencv-python-headless", "pillow")


def evaluate(pictures, out, *, metrics, strict, about, extreme_count=4, progress=True):
    """Scores pictures and writes what came of it.

    Args:
      pictures: has a length; `[i] -> {"name", "output", "target"}` with "input" or without, pixels
        `[h, w, 3]`. A picture that raises OSError or ValueError is named and left out.
      out: folder for the results.
      metrics: `{name: Metric}`; the first one ranks the pictures.
      strict: a picture too small for a metric fails; otherwise that metric is left out.
      about: JSON-able dict for `scores.json`.
      extreme_count: pictures at each end of the sheet; 0 for no sheet.
      progress: show a progress bar.

    Returns:
      The `Scorebook`.

    Raises:
      ValueError: no picture could be scored.
    """
    book, first = score_table.Scorebook(metrics), next(iter(metrics))
    ends = best_and_worst.Extremes(metrics[first], extreme_count)
    pause = 0.1 if sys.stderr.isatty() else 15.0  # into a file, a line now and then is enough
    for index in tqdm.trange(
        len(pictures), unit="picture", disable=not progress, mininterval=pause
    ):
        try:
            picture = pictures[index]
            row = _row(picture, metrics, strict)
        except (OSError, ValueError, MemoryError) as error:
            reason = " ".join((str(error) or type(error).__name__).split())
            book.failed.append((f"picture {index}", reason))
            tqdm.tqdm.write(f"failed: {reason}", file=sys.stderr)
            continue
        book.rows.append(row)
        if extreme_count and row[first] is not None:
            ends.add(row[first], _caption(row, metrics), picture)
    if not book.rows:
        raise ValueError(f"none of the {len(pictures)} pictures could be scored")
    book.write(out, about)
    sheet = pathlib.Path(out) / "sheet.jpg"
    sheet.unlink(missing_ok=True)
    if extreme_count and first in book.complete():
        drawn = ends.draw(f"{about['what']}: best and worst by {metrics[first].title}")
        images.write(sheet, drawn, quality=90)
    return book


def _row(picture, metrics, strict):
    height, width = np.shape(picture["target"])[:2]
    small = {name for name, m in metrics.items() if min(height, width) < m.smallest}
    if small and strict:
        name = sorted(small)[0]
        raise ValueError(
            f"{picture['name']} is {height} x {width}, but {name} needs "
            f"{metrics[name].smallest} pixels a side"
        )
    fitting = {name: metric for name, metric in metrics.items() if name not in small}
    values = protocol.score(picture["output"], picture["target"], metrics=fitting)
    if "input" in picture:
        before = protocol.score(picture["input"], picture["target"], metrics=fitting)
        values |= {f"input_{name}": value for name, value in before.items()}
    values |= dict.fromkeys(small)
    return {"name": str(picture["name"]), "height": height, "width": width, **values}


def _caption(row, metrics):
    def written(name, metric):
        before = row.get(f"input_{name}")
        was = "" if before is None else f" (input {before:.{metric.digits}f})"
        return f"{metric.title} {row[name]:.{metric.digits}f}{was}"

    numbers = [written(name, m) for name, m in metrics.items() if row[name] is not None]
    return "   ".join([row["name"], *numbers])


def _checkpoint(path, step, source, options):
    """The pictures of a checkpoint on a source, and what there is to say about both."""
    saved = networks.load(path, step)
    config = saved.metadata.get("config")
    if source is None:
        source, options = _heldout(config, path)
    first, last = options.pop("start", None), options.pop("stop", None)
    made = registry.make(source, **options)
    pictures = scored_images.Enhanced(saved.to_model(), made, range(len(made))[first:last])
    about = {
        "what": f"{saved.name} of {path}, step {saved.metadata['step']}, on {source}",
        "checkpoint": {
            "path": str(path),
            "step": saved.metadata["step"],
            "network": saved.name,
            "hyperparameters": saved.hyperparameters,
        },
        "source": {"kind": source, **options, "start": first, "stop": last},
        "config": config,
    }
    return pictures, about


def _heldout(config, path):
    try:
        section = dict(config["data"]["heldout"])
    except (KeyError, TypeError):
        raise ValueError(
            f"{path} holds no config that names held-out photos: give --source KIND NAME=VALUE ..."
        ) from None
    return section.pop("kind"), section


def _metrics(names, features):
    """The metrics asked for; without names, all that can be had."""
    names = list(names or [*protocol.METRICS, *(["perceptual"] if features else [])])
    if ("perceptual" in names) != (features is not None):
        raise _Mistake(
            "perceptual and --features MODULE:NAME, a function of a picture, go together"
        )
    own = {}
    if features is not None:
        function = _import(features)
        weights = getattr(function, "weights", None)
        own["perceptual"] = protocol.perceptual(function, weights=weights, origin=features)
    known = {**protocol.METRICS, **own}
    return {name: known.get(name) or protocol.select([name])[name] for name in names}


def _import(features):
    module, _, name = features.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"--features {features!r}: {error}; expected MODULE:NAME") from None


def _options(pairs):
    """`NAME=VALUE` to keywords: numbers, True, None, lists as Python writes them, else text."""
    options = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"--source takes KIND NAME=VALUE ..., got {pair!r}")
        with contextlib.suppress(ValueError, SyntaxError):
            value = ast.literal_eval(value)
        options[name] = value
    return options


def _circumstances():
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {
        "command": shlex.join(["python", "-m", "experiments.evaluate", *sys.argv[1:]]),
        "versions": versions,
        "device": jax.devices()[0].device_kind,
    }


def _pictures(options):
    """What the command asks to score, and what to say about it."""
    folders = {name: options[name] for name in ("outputs", "targets", "inputs")}
    if options["checkpoint"] is not None:
        given = [f"--{name}" for name, folder in folders.items() if folder is not None]
        if given:
            raise _Mistake(f"--checkpoint makes the outputs itself: leave out {', '.join(given)}")
        source, *pairs = options["source"] or [None]
        return _checkpoint(options["checkpoint"], options["step"], source, _options(pairs))
    if folders["outputs"] is None or folders["targets"] is None:
        raise _Mistake("give --checkpoint RUN, or both --outputs DIR and --targets DIR")
    if options["source"] or options["step"] is not None:
        raise _Mistake("--source and --step go with --checkpoint")
    about = {"what": f"{folders['outputs']} against {folders['targets']}", "folders": folders}
    return scored_images.Folders(**folders, mixed_bits=options["mixed_bits"]), about


class _Mistake(ValueError):
    """Arguments that make no sense together."""


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m experiments.evaluate",
        description="Score a checkpoint, or a folder of pictures, against targets.",
    )
    add = parser.add_argument
    add("--checkpoint", metavar="RUN", help="a run's work directory, an exported or imported model")
    add("--step", type=int, help="step of the run (default: the newest)")
    add(
        "--source",
        nargs="+",
        metavar=("KIND", "NAME=VALUE"),
        help="pairs to enhance, as configs name them, e.g. folder root=PAIRS (default: the run's "
        "held-out photos)",
    )
    add("--outputs", metavar="DIR", help="pictures to score")
    add("--targets", metavar="DIR", help="what they should look like, same names")
    add("--inputs", metavar="DIR", help="what they were made from, to score that too")
    add("--mixed-bits", action="store_true", help="compare 8-bit pictures with 16-bit ones")
    add(
        "--metrics",
        nargs="+",
        metavar="NAME",
        help=f"of {', '.join(protocol.METRICS)}, perceptual (default: all that fit every picture); "
        "the first one ranks the pictures",
    )
    add(
        "--features",
        metavar="MODULE:NAME",
        help="for perceptual: picture -> list of layers (its attribute `weights`, if any: theirs)",
    )
    add("--extremes", type=int, default=4, metavar="N", help="best and worst on the sheet (4)")
    add("--out", required=True, metavar="DIR", help="scores.csv, scores.json and sheet.jpg go here")
    return parser


def main(arguments=None) -> int:
    """Runs the command and gives its exit code."""
    options = vars(_parser().parse_args(arguments))
    try:
        metrics = _metrics(options["metrics"], options["features"])
        pictures, about = _pictures(options)
        book = evaluate(
            pictures,
            options["out"],
            metrics=metrics,
            strict=options["metrics"] is not None,
            about=about | _circumstances(),
            extreme_count=max(0, options["extremes"]),
        )
    except (OSError, ValueError, TypeError, ImportError) as error:
        print(f"error: {' '.join((str(error) or type(error).__name__).split())}", file=sys.stderr)
        return 2 if isinstance(error, _Mistake) else 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    print(book.text(title=f"{len(book.rows)} pictures"))
    print(f"{about['what']}: every picture in {options['out']}/scores.csv")
    return int(bool(book.failed))


if __name__ == "__main__":
    sys.exit(main())
