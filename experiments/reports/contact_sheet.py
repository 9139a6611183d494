"""Contact sheets: input, output and target side by side, one row per photo."""

import pathlib
import re

import numpy as np

from bilateral_jax import images

MEMBERS = ("input", "output", "target")
_GAP = 8


def sheet(rows, *, height=256):
    """Arranges images in rows on white; the images of a row are downscaled to one height.

    Args:
      rows: sequence of rows, each a sequence of float `[h, w, 3]` images in [0, 1].
      height: largest height of a row in pixels; images are never enlarged.

    Returns:
      uint8 `[h, w, 3]`.
    """
    lines = []
    for row in rows:
        row_height = min(height, max(np.shape(image)[0] for image in row))
        cells = [downscale(image, height=row_height) for image in row]
        gap = np.ones((cells[0].shape[0], _GAP, 3), np.float32)
        lines.append(np.concatenate([part for cell in cells for part in (cell, gap)][:-1], axis=1))
    width = max(line.shape[1] for line in lines)
    padded = [
        np.pad(line, ((0, _GAP), (0, width - line.shape[1]), (0, 0)), constant_values=1.0)
        for line in lines
    ]
    return images.to_integer(np.concatenate(padded)[:-_GAP], 8)


def write_evaluation(folder, step, photos):
    """Writes the photos of an evaluation: one contact sheet, and a folder with each of them.

    Args:
      folder: of all evaluations of a run; created if absent.
      step: number of updates done.
      photos: `{name of a member: float [h, w, 3]}` for each photo, with those of `MEMBERS`.

    Returns:
      The contact sheet, uint8 `[h, w, 3]`.
    """
    folder.mkdir(exist_ok=True)
    rows = sheet([[photo[name] for name in MEMBERS] for photo in photos])
    images.write(folder / f"step_{step:07d}.png", rows)
    write_photos(folder / f"step_{step:07d}", photos)
    return rows


def write_photos(folder, photos, *, longest=1280, quality=90):
    """Writes each photo as files `<name>_input.jpg`, `<name>_output.jpg`, `<name>_target.jpg`.

    The files of one photo have equal size, so that a viewer can overlay them.

    Args:
      folder: created if absent, with its parents.
      photos: sequence of `{"name", "input", "output", "target"}`, float `[h, w, 3]` in [0, 1] or
        integer pixels. Members may be absent.
      longest: largest length of the longer side in pixels.
      quality: JPEG quality, 1 to 100.

    Returns:
      `[(name, {member: path})]`, the names as in the files: without suffix, special characters
      replaced, numbered where two would be equal.
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
            small = downscale(
                photo[member], height=max(1, round(height * longest / max(height, width)))
            )
            paths[member] = folder / f"{name}_{member}.jpg"
            images.write(paths[member], images.to_integer(small, 8), quality=quality)
        written.append((name, paths))
    return written


def downscale(image, *, height):
    """Downscales an image to a height by area averaging; a smaller image keeps its size.

    Args:
      image: `[h, w, 3]`, float in [0, 1], or uint8 or uint16 pixels.
      height: largest height in pixels.

    Returns:
      float32 `[h, w, 3]`.
    """
    import cv2

    image = np.asarray(image)
    if image.shape[0] > height:
        width = max(1, round(image.shape[1] * height / image.shape[0]))
        if image.dtype.kind == "f":
            image = np.clip(image.astype(np.float32), 0, 1)
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return images.to_float(image) if image.dtype.kind == "u" else image.astype(np.float32)


def _file_name(name, taken):
    stem = re.sub(r"[^\w.-]+", "_", pathlib.PurePath(name).with_suffix("").as_posix()).strip("._")
    # Room for the member, the number and the suffix within the 255 bytes of a file's name.
    stem = stem.encode()[:200].decode(errors="ignore") or "photo"
    free, number = stem, 1
    while free in taken:
        number += 1
        free = f"{stem}_{number}"
    return free
