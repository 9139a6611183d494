"""Photos of a run's evaluations (folder `sheets`), compressed to fit a page."""

import re

import numpy as np

from bilateral_jax import images
from experiments.reports import contact_sheet

_BUDGET = 3_000_000  # bytes of JPEG on a page; base64 adds a third
_SIZES = (1024, 768, 512, 384, 256, 160)
_GAP = 8  # pixels between the images of a contact sheet


def evaluations(workdir):
    """Finds the evaluations with photos: `{step: path}`, a folder of photos or a contact sheet."""
    found = {}
    for path in sorted((workdir / "sheets").glob("step_*")):
        match = re.fullmatch(r"step_(\d+)(\.png)?", path.name)
        if match and (path.is_dir() or int(match[1]) not in found):
            found[int(match[1])] = path
    return dict(sorted(found.items()))


def read(path):
    """Reads the photos of one evaluation.

    Args:
      path: from `evaluations`.

    Returns:
      `{name: {member: uint8 [h, w, 3]}}`, the members in the order input, output, target.
    """
    if path.suffix == ".png":
        return _split_sheet(images.read(path).pixels)
    found = {}
    for file in sorted(path.glob("*.jpg")):
        name, _, member = file.stem.rpartition("_")
        if member in contact_sheet.MEMBERS:
            found.setdefault(name, {})[member] = images.read(file).pixels
    ordered = {
        name: {member: members[member] for member in contact_sheet.MEMBERS if member in members}
        for name, members in found.items()
    }
    return {name: members for name, members in ordered.items() if len(members) > 1}


def compress(found, *, fraction=1.0):
    """Compresses photos to JPEG, downscaled until they fit the page's budget of bytes.

    Args:
      found: `{name: {member: pixels}}`.
      fraction: fraction of the budget to use.

    Returns:
      `({name: (size, {member: JPEG bytes})}, longest side in pixels)`.
    """
    for longest in _SIZES:
        done = {
            name: (
                next(iter(members.values())).shape[:2],
                {
                    member: encode_jpeg(pixels, longest=longest)
                    for member, pixels in members.items()
                },
            )
            for name, members in found.items()
        }
        size = sum(len(data) for _, members in done.values() for data in members.values())
        if size <= fraction * _BUDGET:
            break
    return done, longest


def encode_jpeg(pixels, *, longest):
    """Downscales an image to a longest side in pixels and encodes it as JPEG."""
    import cv2

    height = max(1, round(pixels.shape[0] * min(1.0, longest / max(pixels.shape[:2]))))
    small = images.to_integer(contact_sheet.downscale(pixels, height=height), 8)
    return cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()


def _split_sheet(sheet):
    """Cuts a contact sheet into its images: rows on white, three images of one size in each."""
    white = (sheet == 255).all(axis=(1, 2))
    edges = _runs(~white)
    found = {}
    for number, (top, bottom) in enumerate(edges):
        row = sheet[top:bottom]
        filled = np.flatnonzero(~(row == 255).all(axis=(0, 2)))
        width, rest = divmod(filled[-1] + 1 - 2 * _GAP, 3)
        gaps = [row[:, k * width + (k - 1) * _GAP : k * (width + _GAP)] for k in (1, 2)]
        if rest or width < 1 or not all((gap == 255).all() for gap in gaps):
            return {"sheet": {"input": sheet}}
        found[f"photo {number + 1}"] = {
            member: row[:, k * (width + _GAP) : k * (width + _GAP) + width]
            for k, member in enumerate(contact_sheet.MEMBERS)
        }
    return found


def _runs(mask):
    """Starts and ends of the runs of True in a mask; runs less than `_GAP` apart are joined."""
    changes = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    pairs = changes.reshape(-1, 2).tolist()
    joined = []
    for begin, end in pairs:
        if joined and begin - joined[-1][1] < _GAP:
            joined[-1][1] = end
        else:
            joined.append([begin, end])
    return joined
