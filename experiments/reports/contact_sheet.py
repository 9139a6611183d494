"""Pictures side by side: input, output, target, one row per photo.

Receives float photos from experiments/train.py, experiments/demo.py and experiments/evaluate.py.
Hands uint8 sheets to TensorBoard and to files, and single JPEG files to the report of a run.
"""

import pathlib
import re

import numpy as np

from bilateral_jax import images

MEMBERS = ("input", "output", "target")
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
        cells = [shrink(photo, height=tall) for photo in row]
        gap = np.ones((cells[0].shape[0], _GAP, 3), np.float32)
        lines.append(np.concatenate([part for cell in cells for part in (cell, gap)][:-1], axis=1))
    width = max(line.shape[1] for line in lines)
    padded = [
        np.pad(line, ((0, _GAP), (0, width - line.shape[1]), (0, 0)), constant_values=1.0)
        for line in lines
    ]
    return images.to_integer(np.concatenate(padded)[:-_GAP], 8)


def write_photos(folder, photos, *, longest=1280, quality=90):
    """Writes the photos of a sheet one by one: `<name>_input.jpg`, `_output.jpg`, `_target.jpg`.

    The three of one name have equal size, so that a viewer can lay one over another.

    Args:
      folder: created if absent, with its parents.
      photos: sequence of `{"name", "input", "output", "target"}`, float `[h, w, 3]` in [0, 1] or
        integer pixels. Members may be absent.
      longest: a longer side is shrunk to this many pixels.
      quality: of the JPEG files, 1 to 100.

    Returns:
      `[(name, {member: path})]`: the names as in the files (without suffix, special characters
      replaced, numbered where two would be equal).
    """
    folder, written = pathlib.Path(folder), []
    folder.mkdir(parents=True, exist_ok=True)
    for photo in photos:
        name = _file_name(photo["name"], {name for name, _ in written})
        paths = {}
        for member in MEMBERS:
            if member not in photo:
                continue
            height, width = np.shape(photo[member])[:2]
            small = shrink(
                photo[member], height=max(1, round(height * longest / max(height, width)))
            )
            paths[member] = folder / f"{name}_{member}.jpg"
            images.write(paths[member], images.to_integer(small, 8), quality=quality)
        written.append((name, paths))
    return written


def shrink(photo, *, height):
    """Shrinks a photo to a height by averaging; a smaller one is left as it is.

    Args:
      photo: `[h, w, 3]`, float in [0, 1] or uint8 or uint16 pixels.
      height: largest height in pixels.

    Returns:
      float32 `[h, w, 3]`.
    """
    import cv2

    photo = np.asarray(photo)
    if photo.shape[0] > height:
        width = max(1, round(photo.shape[1] * height / photo.shape[0]))
        if photo.dtype.kind == "f":
            photo = np.clip(photo.astype(np.float32), 0, 1)
        photo = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
    return images.to_float(photo) if photo.dtype.kind == "u" else photo.astype(np.float32)


def _file_name(name, taken):
    stem = re.sub(r"[^\w.-]+", "_", pathlib.PurePath(name).with_suffix("").as_posix()).strip("._")
    stem = stem or "photo"
    free, number = stem, 1
    while free in taken:
        number += 1
        free = f"{stem}_{number}"
    return free
