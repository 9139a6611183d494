"""Scores a checkpoint, or a folder of images, against targets: `python -m experiments.evaluate`.

    python -m experiments.evaluate --checkpoint RUN --source folder root=PAIRS --out SCORES
    python -m experiments.evaluate --outputs DIR --targets DIR [--inputs DIR] --out SCORES

Writes `scores.csv`, `scores.json` and `sheet.jpg`. One image is in memory at a time. Errors are
printed in one line. Exit codes: 2 for arguments that contradict each other, 1 for any other error,
also if some images failed (each is named, the others are scored).
"""

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

from bilateral_jax import atomic, images
from bilateral_jax.checkpoints import networks
from bilateral_jax.cli import arguments as arguments_lib
from bilateral_jax.cli import compilation_cache, errors
from bilateral_jax.data import registry
from bilateral_jax.models import feature_networks
from experiments.evaluation import (
    best_and_worst,
    protocol,
    score_table,
    scored_images,
)
from experiments.runs import feature_network

_PACKAGES = ("jax", "flax", "numpy", "opencv-python-headless", "pillow")


def evaluate(examples, out, *, metrics, strict, about, extreme_count=4, progress=True):
    """Scores examples and writes the table and the contact sheet.

    Args:
      examples: has a length; `[i] -> {"name", "output", "target"}` and optionally "input", pixels
        `[h, w, 3]`. An example that raises OSError or ValueError is named and left out.
      out: folder for the results.
      metrics: `{name: Metric}`; the first one ranks the images.
      strict: an image too small for a metric fails; otherwise that metric is left out.
      about: JSON-able dict for `scores.json`.
      extreme_count: number of best and of worst images on the sheet; 0 for no sheet.
      progress: show a progress bar.

    Returns:
      A `ScoreTable`.

    Raises:
      ValueError: no image could be scored.
    """
    table, first = score_table.ScoreTable(metrics), next(iter(metrics))
    ends = best_and_worst.BestAndWorst(metrics[first], extreme_count)
    pause = 0.1 if sys.stderr.isatty() else 15.0  # seconds; seldom when it goes to a file
    for index in tqdm.trange(len(examples), unit="image", disable=not progress, mininterval=pause):
        try:
            example = examples[index]
            row = _row(example, metrics, strict)
        except (OSError, ValueError, MemoryError) as error:
            reason = " ".join((str(error) or type(error).__name__).split())
            table.failed.append((f"image {index}", reason))
            errors.print_line(f"failed: {reason}")
            continue
        table.rows.append(row)
        if extreme_count and row[first] is not None:
            ends.add(row[first], _caption(row, metrics), example)
    if not table.rows:
        raise ValueError(f"none of the {len(examples)} images could be scored")
    table.write(out, about)
    sheet = pathlib.Path(out) / "sheet.jpg"
    sheet.unlink(missing_ok=True)
    if extreme_count and first in table.complete():
        drawn = ends.draw(f"{about['what']}: best and worst by {metrics[first].title}")
        images.write(sheet, drawn, quality=90)
    return table


def _row(example, metrics, strict):
    height, width = np.shape(example["target"])[:2]
    small = {name for name, m in metrics.items() if min(height, width) < m.smallest}
    if small and strict:
        name = sorted(small)[0]
        raise ValueError(
            f"{example['name']} is {height} x {width}, but {name} needs "
            f"{metrics[name].smallest} pixels a side"
        )
    fitting = {name: metric for name, metric in metrics.items() if name not in small}
    if "input" in example:
        members = (example["output"], example["target"], example["input"])
        values = protocol.compare(*members, metrics=fitting)
    else:
        values = protocol.score(example["output"], example["target"], metrics=fitting)
    values |= dict.fromkeys(small)
    return {"name": str(example["name"]), "height": height, "width": width, **values}


def _caption(row, metrics):
    def entry(name, metric):
        baseline = row.get(protocol.INPUT + name)
        suffix = "" if baseline is None else f" (input {baseline:.{metric.digits}f})"
        return f"{metric.title} {row[name]:.{metric.digits}f}{suffix}"

    numbers = [entry(name, m) for name, m in metrics.items() if row[name] is not None]
    return "   ".join([row["name"], *numbers])


def _checkpoint(path, step, network, source, options):
    """Pairs of a source enhanced by a checkpoint, and the record of both for `scores.json`."""
    saved = networks.load(path, step, network=network)
    config = saved.metadata.get("config")
    if source is None:
        source, options = _heldout(config, path)
    first, last = options.pop("start", None), options.pop("stop", None)
    for name, value in {"start": first, "stop": last}.items():
        if value is not None and type(value) is not int:
            raise ValueError(f"--source {name}= must be an int, got {value!r}")
    made = registry.make(source, **options)
    selected = range(len(made))[first:last]
    if made and not selected:
        raise ValueError(f"--source start={first} stop={last} selects none of {len(made)} records")
    examples = scored_images.EnhancedPairs(saved.to_model(), made, selected)
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
    return examples, about


def _heldout(config, path):
    try:
        section = dict(config["data"]["heldout"])
    except (KeyError, TypeError):
        raise ValueError(
            f"{path} holds no config that names held-out photos: give --source KIND NAME=VALUE ..."
        ) from None
    return section.pop("kind"), section


def _metrics(names, features):
    """Metrics by name; without names, all that are available."""
    names = list(names or [*protocol.METRICS, *(["perceptual"] if features else [])])
    if ("perceptual" in names) != (features is not None):
        raise _UsageError(
            "perceptual and --features, a feature network or MODULE:NAME, go together"
        )
    own = {}
    if features is not None:
        function = _features(features)
        weights = getattr(function, "weights", None)
        own["perceptual"] = protocol.perceptual(function, weights=weights, origin=features)
    known = {**protocol.METRICS, **own}
    return {name: known.get(name) or protocol.select([name])[name] for name in names}


def _features(features):
    """A function of an image: of a feature network, or imported by `MODULE:NAME`."""
    module, colon, name = features.partition(":")
    if not colon:
        network = feature_network.read(features, option="--features")
        return feature_networks.perceptual_features(network)
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"--features {features!r}: {error}; expected MODULE:NAME") from None


def _environment():
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {
        "command": shlex.join(["python", "-m", "experiments.evaluate", *sys.argv[1:]]),
        "versions": versions,
        "device": jax.devices()[0].device_kind,
    }


def _examples(options):
    """Examples that the command line names, and their record for `scores.json`."""
    folders = {name: options[name] for name in ("outputs", "targets", "inputs")}
    if options["checkpoint"] is not None:
        extra = [f"--{name}" for name, folder in folders.items() if folder is not None]
        if extra:
            raise _UsageError(
                f"--checkpoint makes the outputs itself: leave out {', '.join(extra)}"
            )
        source, *pairs = options["source"] or [None]
        source_options = dict(map(arguments_lib.name_value, pairs))
        where = (options[name] for name in ("checkpoint", "step", "network"))
        return _checkpoint(*where, source, source_options)
    if folders["outputs"] is None or folders["targets"] is None:
        raise _UsageError("give --checkpoint RUN, or both --outputs DIR and --targets DIR")
    if any(options[name] is not None for name in ("source", "step", "network")):
        raise _UsageError("--source, --step and --network go with --checkpoint")
    about = {"what": f"{folders['outputs']} against {folders['targets']}", "folders": folders}
    return scored_images.ImageFolders(**folders, mixed_bits=options["mixed_bits"]), about


class _UsageError(ValueError):
    """Arguments that contradict each other."""


def _parser():
    parser = arguments_lib.Parser(
        prog="python -m experiments.evaluate",
        description="Score a checkpoint, or a folder of images, against targets.",
    )
    add = parser.add_argument
    add("--checkpoint", metavar="RUN", help="a run's work directory, an exported or imported model")
    add("--step", type=int, help="step of the run (default: the newest)")
    add("--network", metavar="NAME", help="of a run with several (default: the one to ship)")
    add(
        "--source",
        nargs="+",
        metavar=("KIND", "NAME=VALUE"),
        help="pairs to enhance, as configs name them, e.g. folder root=PAIRS (default: the run's "
        "held-out photos)",
    )
    add("--outputs", metavar="DIR", help="images to score")
    add("--targets", metavar="DIR", help="their targets, same names")
    add("--inputs", metavar="DIR", help="their inputs, scored too")
    add("--mixed-bits", action="store_true", help="compare 8-bit images with 16-bit ones")
    add(
        "--metrics",
        nargs="+",
        metavar="NAME",
        help=f"of {', '.join(protocol.METRICS)}, perceptual (default: all that fit every image); "
        "the first one ranks the images",
    )
    add(
        "--features",
        metavar="FEATURES",
        help=f"for perceptual: {feature_network.INSTALLED} (of the installed package), the folder "
        "of an imported VGG or EfficientNet, or MODULE:NAME, a function image -> list of layers "
        "(optional attribute `weights`: one array per layer)",
    )
    add("--extremes", type=int, default=4, metavar="N", help="best and worst on the sheet (4)")
    add("--out", required=True, metavar="DIR", help="scores.csv, scores.json and sheet.jpg go here")
    compilation_cache.add_option(parser)
    return parser


def main(arguments=None) -> int:
    """Runs the command; returns its exit code."""
    options = vars(_parser().parse_args(arguments))
    compilation_cache.use(options.pop("compilation_cache"))
    return errors.exit_code(_run, options, caught=errors.SOURCE_ERRORS)


def _run(options):
    try:
        metrics = _metrics(options["metrics"], options["features"])
        atomic.check_folder(options["out"])
        examples, about = _examples(options)
    except _UsageError as error:
        errors.report(error)
        return 2
    table = evaluate(
        examples,
        options["out"],
        metrics=metrics,
        strict=options["metrics"] is not None,
        about=about | _environment(),
        extreme_count=max(0, options["extremes"]),
    )
    print(table.text(title=f"{len(table.rows)} images"))
    print(f"{about['what']}: every image in {options['out']}/scores.csv")
    return int(bool(table.failed))


if __name__ == "__main__":
    sys.exit(main())
