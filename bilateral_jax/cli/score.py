"""What `python -m bilateral_jax score` does.

Receives parsed arguments from `__main__.py`.
Hands scores to the terminal; photos go through `data/pipeline/rating_batches.py` to a network of
`models/nima.py`.
"""

import sys

import numpy as np

from bilateral_jax import images
from bilateral_jax.cli import enhance
from bilateral_jax.data.pipeline import rating_batches
from bilateral_jax.models import nima

_BAR = 40


def score(sources, *, checkpoint, step, histogram) -> int:
    """Prints the mean and the deviation of the scores that people would give to photos.

    Args:
      sources: files, and folders of files.
      checkpoint: a run's work directory or an imported model.
      step: of the run; None for the newest.
      histogram: print the distribution, too.

    Returns:
      Exit code: 0, or 1 if a photo failed.

    Raises:
      FileNotFoundError: a source or the checkpoint does not exist.
      ValueError: a folder without pictures, or a checkpoint of a network that scores nothing.
    """
    files = enhance.pictures(sources)
    model = enhance.load_model(checkpoint, step)
    if not isinstance(model.module, nima.NETWORKS):
        raise ValueError(
            f"{checkpoint} holds {type(model.module).__name__}, which scores no photos"
        )
    width, failed = max(len(str(file)) for file in files), 0
    print(f"{'photo':<{width}}   mean  deviation")
    for file in files:
        try:
            shares = distribution(model, images.read(file).pixels)
        except (OSError, ValueError, MemoryError) as error:
            failed += 1
            reason = " ".join((str(error) or type(error).__name__).split())
            print(f"failed: {file}: {reason}", file=sys.stderr)
            continue
        mean, deviation = float(nima.mean(shares)), float(nima.deviation(shares))
        print(f"{str(file):<{width}}  {mean:5.2f}  {deviation:9.2f}", flush=True)
        if histogram:
            print("\n".join(bars(shares)), flush=True)
    if failed:
        print(f"{failed} of {len(files)} photos failed", file=sys.stderr)
    return int(failed > 0)


def distribution(model, pixels) -> np.ndarray:
    """Predicts the distribution of scores of one photo, prepared as those of the training were.

    Args:
      model: a `Model` of a network of `models/nima.py`.
      pixels: uint8 or uint16 `[h, w, 3]`.

    Returns:
      float32 `[10]`.
    """
    module = model.module
    square = rating_batches.square(
        images.to_bits(pixels, 8), size=module.input_size, method=module.resize
    )
    return np.asarray(nima.of_squares(model, square[None]))[0]


def bars(shares) -> list[str]:
    """Draws a distribution as text.

    Args:
      shares: `[10]`.

    Returns:
      A line for each score; the longest bar belongs to the largest share.
    """
    longest = float(np.max(shares))
    lines = []
    for value, share in enumerate(np.asarray(shares, np.float64), 1):
        bar = "#" * round(_BAR * share / longest)
        lines.append(f"  {value:>4d}  {share:6.1%}  {bar}".rstrip())
    return lines
