"""One pair of photo files: aligned, cut, written into a folder that appears whole or not at all.

Receives pairs of files from `command.py`.
Hands their pixels to `alignment/align.py`, and a record of what came back to `command.py` and to
disk.
"""

from __future__ import annotations

import json
import pathlib

import numpy as np

from bilateral_jax import atomic, images
from bilateral_jax.alignment import align, geometry, patches, photo_folders, report
from bilateral_jax.images import profiles

_FORMAT = 1  # of the records; another number is done again


def do(pair: photo_folders.Pair, folder: pathlib.Path, options: dict) -> dict:
    """Does one pair of photos and writes its folder.

    Args:
      pair: the two files.
      folder: to write; it appears whole, with `record.json` in it.
      options: "size", "stride", "search", "correlation", "scale" (see `align.crop` and
        `align.patches`), "reduced" and "seed" (see `align.find_homography`), "suffix" and "quality"
        of the patches, "crops": whether to keep the aligned photos, too.

    Returns:
      The record: what was found, or why the pair is refused or failed.

    Raises:
      OSError: the results cannot be written.
    """
    import cv2

    record = {
        "format": _FORMAT,
        "name": pair.name,
        "phone": pair.phone.name,
        "camera": pair.camera.name,
        "settings": options,
        "files": _stamps(pair),
    }
    try:
        photos = [read_srgb(pair.phone), read_srgb(pair.camera)]
        found, pictures, cuts = _align(*photos, options)
        record |= found
    except (OSError, ValueError, MemoryError, cv2.error) as error:
        message = " ".join(str(error).split()) or type(error).__name__
        record |= {"patches": 0, "status": "failed", "reason": f"{pair.name}: {message}"}
        pictures, cuts = {}, {}
    with atomic.folder(folder) as scratch:
        for name, pixels in {**pictures, **cuts}.items():
            path = scratch / name
            path.parent.mkdir(exist_ok=True)
            quality = 75 if name in pictures else options["quality"]
            images.write(path, pixels, quality=quality)
        atomic.write_json(scratch / "record.json", record)
    return record


def finished(pair: photo_folders.Pair, folder: pathlib.Path, options: dict) -> dict | None:
    """Looks for what an earlier run did.

    Args:
      pair: two files.
      folder: of the pair.
      options: as for `do`.

    Returns:
      The record of the pair if it was done with the same files and options; None if not, or if it
      failed then.
    """
    try:
        record = json.loads((folder / "record.json").read_text())
        same = record["format"] == _FORMAT and record["settings"] == options
        if same and record["files"] == _stamps(pair) and record["status"] != "failed":
            return record
    except (OSError, ValueError, KeyError):
        pass  # never done, or not to the end
    return None


def read_srgb(path) -> np.ndarray:
    """Reads a photo as 8-bit sRGB, whatever profile and depth it has.

    Args:
      path: a picture file.

    Returns:
      uint8 `[h, w, 3]`, upright.

    Raises:
      OSError: the file cannot be opened.
      ValueError: it, or its profile, cannot be understood.
    """
    photo = images.read(path)
    pixels = photo.pixels
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    try:
        return profiles.to_srgb(pixels, photo.icc_profile)
    except ValueError as error:
        raise ValueError(f"cannot read {path}: {error}") from error


def _align(phone, camera, options):
    """(What goes into the record, pictures for the report, patches and crops) of two photos."""
    fit = align.find_homography(camera, phone, reduced=options["reduced"], seed=options["seed"])
    record = _facts(fit, camera.shape[:2], phone.shape[:2])
    if fit.reason:
        sheet = report.matches(camera, phone, fit)
        return record | {"status": "refused", "reason": fit.reason}, {"matches.jpg": sheet}, {}
    try:
        crops = align.crop(camera, phone, fit.homography, scale=options["scale"])
    except ValueError as error:
        sheet = report.matches(camera, phone, fit)
        return record | {"status": "refused", "reason": str(error)}, {"matches.jpg": sheet}, {}
    chosen = {key: options[key] for key in ("size", "stride", "search", "correlation")}
    places = align.patches(crops, **chosen)
    kept = [place for place in places if place.kept]
    box = tuple(int(round(edge / crops.scale)) for edge in crops.box)
    pictures = {"matches.jpg": report.matches(camera, phone, fit, box=box)}
    pictures |= {f"{name}.jpg": view for name, view in report.crops(crops).items()}
    sheet = report.strip(crops, places, options["size"])
    if sheet is not None:
        pictures["patches.jpg"] = sheet
    record |= {
        "scale": round(crops.scale, 4),
        "crop": list(crops.box),
        "places": len(places),
        "patches": len(kept),
        "kept": [[p.top, p.left, p.down, p.right, round(p.correlation, 4)] for p in kept],
    }
    reason = align.disagreement(places)
    if reason:
        return record | {"patches": 0, "status": "refused", "reason": reason}, pictures, {}
    cuts = _cuts(crops, kept, options)
    return record | {"status": "kept", "reason": None}, pictures, cuts


def _cuts(crops, kept, options):
    cuts = {}
    for number, place in enumerate(kept):
        for name, photo, shifted in (("phone", crops.phone, False), ("camera", crops.camera, True)):
            patch = patches.cut(photo, place, options["size"], shifted=shifted)
            cuts[f"{name}/{number}{options['suffix']}"] = patch
    if options["crops"]:
        cuts |= {"aligned/phone.png": crops.phone, "aligned/camera.png": crops.camera}
    return cuts


def _facts(fit, camera_size, phone_size):
    facts = {"matches": len(fit.matches), "inliers": int(fit.inliers.sum()), "patches": 0}
    facts |= {"phone_size": list(phone_size), "camera_size": list(camera_size)}
    if fit.windows is not None:
        facts |= {"windows": fit.windows.textured, "agreeing": fit.windows.agreeing}
    if fit.homography is not None and fit.reason is None:
        polygon = geometry.overlap(fit.homography, camera_size, phone_size)
        share = geometry.area(polygon) / (phone_size[0] * phone_size[1])
        facts["homography"] = fit.homography.tolist()
        facts["overlap"] = np.round(polygon, 2).tolist()
        facts["overlap_share"] = round(share, 4)
        facts |= {
            name: round(value, 4)
            for name, value in geometry.describe(fit.homography, camera_size).items()
            if name != "scale"
        }
    return facts


def _stamps(pair):
    """Size and time of both files: if they change, the pair is done again."""
    stamps = []
    for path in (pair.phone, pair.camera):
        try:
            state = path.stat()
            stamps.append([state.st_size, state.st_mtime_ns])
        except OSError:
            stamps.append(None)
    return stamps
