"""The batch dictionary: what the data pipeline makes and every training step takes.

A batch is a dictionary of NumPy arrays with a leading axis `b`, one row per example:

  input: float32 `[b, h, w, 3]` in [0, 1], what the network gets.
  target: float32 `[b, h, w, 3]` in [0, 1]; of rating batches `[b, 10]`, a distribution of scores.
  weight: float32 `[b]`, of the example in a weighted mean; 0 leaves it out.
  record: int32 `[b]`, index of the element in its source.
  window: int32 `[b, 4]`, (top, left, full height, full width) of `input` within the image that the
    coefficients describe.
  lowres: float32 `[b, n, n, 3]`, low-resolution copy of that image; absent where it is `input`.
  valid: float32 `[b, h, w]`, 1 where `input` is the photo and 0 where it is padding; absent where
    nothing is padded.
  target_valid: float32 `[b, h, w]`, the same of `target`; in unpaired batches only.

Clips have a frame axis `t` after `b`: `input` and `target` `[b, t, h, w, 3]`, `lowres`
`[b, t, n, n, 3]`. All frames of a clip share one `window` and one mask.

In a paired batch `input` and `target` show the same scene in the same window and share `valid`. In
an unpaired one (`paired=False`) they are of different photos, may differ in height and width, and
`window`, `lowres` and `valid` describe `input`. Rating batches have neither window nor mask.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np

# how an image is padded -> NumPy's name for it
BORDERS = {"repeat": "edge", "mirror": "symmetric"}


class Batch(TypedDict, total=False):
    """The keys of a batch, see the module's docstring."""

    input: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    record: np.ndarray
    window: np.ndarray
    lowres: np.ndarray
    valid: np.ndarray
    target_valid: np.ndarray


def example(*, input, target, record, **others) -> Batch:
    """Makes one row of a batch, of weight 1.

    Args:
      input: as in a batch, without `b`.
      target: the same.
      record: the same.
      **others: further entries of a batch, without `b`.

    Returns:
      The row.
    """
    return Batch(input=input, target=target, weight=np.float32(1), record=record, **others)


def stack(rows: list[Batch]) -> Batch:
    """Stacks examples to a batch.

    Args:
      rows: from `example`.

    Returns:
      The batch.

    Raises:
      ValueError: the examples differ in size.
    """
    for key in rows[0]:
        sizes = sorted({np.shape(row[key]) for row in rows})
        if len(sizes) > 1:
            raise ValueError(
                f"the {key} of the examples of one batch must have one size, got {sizes}; "
                "photos of several shapes go one at a time (batch_size 1), or cropped or padded to "
                "one size (crop, pad_to)"
            )
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def full_window(image) -> np.ndarray:
    """Makes the window of an image that is not cropped.

    Args:
      image: `[..., h, w, c]`.

    Returns:
      int32 (0, 0, h, w).
    """
    return np.array((0, 0, *image.shape[-3:-1]), np.int32)


def pad(image, size: tuple[int, int], *, border: str = "repeat") -> tuple[np.ndarray, np.ndarray]:
    """Pads an image at the bottom and right.

    Args:
      image: `[..., h, w, c]`.
      size: (height, width) of the result, at least those of the image.
      border: one of `BORDERS`: "repeat" its last row and column, or "mirror" it, these included.

    Returns:
      (`[..., height, width, c]`, float32 `[height, width]`: 1 inside the image, 0 in the padding.)
    """
    height, width = image.shape[-3:-1]
    valid = np.zeros(size, np.float32)
    valid[:height, :width] = 1
    padding = ((0, size[0] - height), (0, size[1] - width), (0, 0))
    leading = ((0, 0),) * (image.ndim - 3)
    return np.pad(image, leading + padding, mode=BORDERS[border]), valid
