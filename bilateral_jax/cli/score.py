"""The command `score`: the ratings that a NIMA network predicts for photos."""

import sys

import numpy as np

from bilateral_jax import images
from bilateral_jax.checkpoints import networks
from bilateral_jax.cli import arguments, errors, photo_paths
from bilateral_jax.data.pipeline import rating_batches
from bilateral_jax.models import nima, nima_networks

_BAR = 40  # characters


def add_arguments(command):
    """Declares the arguments."""
    add = command.add_argument
    arguments.add_sources(command, metavar="PHOTO")
    add("--recursive", action="store_true", help="read sub-folders, too")
    arguments.add_checkpoint(command)
    arguments.add_reading(command)
    add("--histogram", action="store_true", help="show the whole distribution of ratings")


def run(sources, *, checkpoint, step, network, histogram, recursive=False, **reading) -> int:
    """Prints the mean and the standard deviation of the predicted ratings of each photo.

    Args:
      sources: files, and folders of files.
      checkpoint: a run's work directory or an imported model.
      step: of the run; None for the newest.
      network: of a run with several; None for the one that is shipped.
      histogram: print the distributions, too.
      recursive: read sub-folders, too.
      **reading: options of `images.read`.

    Returns:
      Exit code: 0, or 1 if a photo failed.

    Raises:
      FileNotFoundError: a source or the checkpoint does not exist.
      ValueError: a folder without photos, or a checkpoint of another network than NIMA.
    """
    found = photo_paths.find(sources, recursive=recursive)
    files = [photo.path for photo in found.photos]
    for unreadable in found.unreadable:
        print(f"failed: {photo_paths.failure(*unreadable)}", file=sys.stderr)
    model = networks.load_model(checkpoint, step, network=network)
    networks.check_finite(model, checkpoint)
    if not isinstance(model.module, nima_networks.NETWORKS):
        raise ValueError(
            f"{checkpoint} holds {type(model.module).__name__}, which scores no photos"
        )
    width, failed = max((len(str(file)) for file in files), default=0), len(found.unreadable)
    notes = photo_paths.Notes()
    print(f"{'photo':<{width}}   mean  deviation")
    for file in files:
        try:
            with notes.of(file) as said:
                photo = images.read(file, **reading)
                said += photo.notes
            probabilities = distribution(model, photo.pixels)
        except errors.USER_ERRORS as error:
            failed += 1
            print(f"failed: {photo_paths.failure(file, error)}", file=sys.stderr)
            continue
        mean, deviation = float(nima.mean(probabilities)), float(nima.deviation(probabilities))
        print(f"{str(file):<{width}}  {mean:5.2f}  {deviation:9.2f}", flush=True)
        if histogram:
            print("\n".join(bars(probabilities)), flush=True)
    for line in notes.lines():
        print(line, file=sys.stderr)
    if failed:
        count = len(files) + len(found.unreadable)
        print(f"{failed} of {count} photos failed", file=sys.stderr)
    if found.left_out:
        kinds = photo_paths.describe(found.left_out, recursive=recursive)
        print(f"left out: {kinds}", file=sys.stderr)
    return int(failed > 0)


def distribution(model, pixels) -> np.ndarray:
    """Predicts the distribution of ratings of one photo, prepared as in training.

    Args:
      model: a `Model` of a network of `models/nima_networks.py`.
      pixels: uint8 or uint16 `[h, w, 3]`.

    Returns:
      float32 `[10]`.
    """
    module = model.module
    square = rating_batches.square(
        images.to_bits(pixels, 8), size=module.input_size, method=module.resize
    )
    return np.asarray(nima.of_squares(model, square[None]))[0]


def bars(probabilities) -> list[str]:
    """Draws a distribution as text.

    Args:
      probabilities: `[10]`.

    Returns:
      A line for each score, with a bar in proportion.
    """
    longest = float(np.max(probabilities))
    lines = []
    for value, probability in enumerate(np.asarray(probabilities, np.float64), 1):
        bar = "#" * round(_BAR * probability / longest)
        lines.append(f"  {value:>4d}  {probability:6.1%}  {bar}".rstrip())
    return lines
