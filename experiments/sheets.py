"""Pictures side by side: input, output, target, one row per photo.

Receives float photos from experiments/train.py and experiments/demo.py.
Hands uint8 sheets to TensorBoard and to files.
"""

import numpy as np

from bilateral_jax import images

_GAP = 8


def sheet(rows, *, height=256):
    """Lays photos out in rows on white, all of one height, shrunk by averaging.

    Args:
      rows: sequence of rows, each a sequence of float `[h, w, 3]` photos in [0, 1].
      height: largest height of a row in pixels; photos are never enlarged.

    Returns:
      uint8 `[h, w, 3]`.
    """
    lines = []
    for row in rows:
        tall = min(height, max(np.shape(photo)[0] for photo in row))
        cells = [_shrink(np.asarray(photo, np.float32), tall) for photo in row]
        gap = np.ones((cells[0].shape[0], _GAP, 3), np.float32)
        lines.append(np.concatenate([part for cell in cells for part in (cell, gap)][:-1], axis=1))
    width = max(line.shape[1] for line in lines)
    padded = [
        np.pad(line, ((0, _GAP), (0, width - line.shape[1]), (0, 0)), constant_values=1.0)
        for line in lines
    ]
    return images.to_integer(np.concatenate(padded)[:-_GAP], 8)


def _shrink(photo, height):
    import cv2

    if photo.shape[0] <= height:
        return photo
    width = max(1, round(photo.shape[1] * height / photo.shape[0]))
    return cv2.resize(np.clip(photo, 0, 1), (width, height), interpolation=cv2.INTER_AREA)
