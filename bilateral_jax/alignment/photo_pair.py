"""Aligns one pair of photo files and writes patches, images for the report and a record."""

from __future__ import annotations

import pathlib

import numpy as np

from bilateral_jax import atomic, images
from bilateral_jax.alignment import align, geometry, pairing, patches, report
from bilateral_jax.images import profiles

_FORMAT = 1  # of the records; pairs with records of another format are processed again


def process(pair: pairing.Pair, folder: pathlib.Path, options: dict) -> dict:
    """Aligns one pair of photos and writes its folder, whole or not at all.

    Args:
      pair: the two files.
      folder: gets the patches and `record.json`.
      options: "size", "stride", "search", "correlation", "scale" (see `align.crop` and
        `align.patches`), "reduced" and "seed" (see `align.find_homography`), "suffix" and "quality"
        of the patches, "crops": whether to write the aligned photos, too; perhaps "max_pixels" and
        "first_frame" of `images.read`.

    Returns:
      The record: the results, or why the pair is refused or failed.

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
        "files": _file_stamps(pair),
    }
    try:
        reading = {key: options[key] for key in ("max_pixels", "first_frame") if key in options}
        photos = [read_srgb(path, **reading) for path in (pair.phone, pair.camera)]
        results, views, cuts = _align(*photos, options)
        record |= results
    except (OSError, ValueError, MemoryError, cv2.error) as error:
        message = " ".join(str(error).split()) or type(error).__name__
        reason = message if pair.name in message else f"{pair.name}: {message}"
        record |= {"patches": 0, "status": "failed", "reason": reason}
        views, cuts = {}, {}
    with atomic.folder(folder) as scratch:
        for name, pixels in {**views, **cuts}.items():
            path = scratch / name
            path.parent.mkdir(exist_ok=True)
            quality = 75 if name in views else options["quality"]
            images.write(path, pixels, quality=quality)
        atomic.write_json(scratch / "record.json", record)
    return record


def finished_record(pair: pairing.Pair, folder: pathlib.Path, options: dict) -> dict | None:
    """Reads the record of an earlier run.

    Args:
      pair: the two files.
      folder: of the pair.
      options: as for `process`.

    Returns:
      The record if it is of the same files and options and did not fail; else None.
    """
    try:
        record = atomic.read_json(folder / "record.json")
        same = record["format"] == _FORMAT and record["settings"] == options
        if same and record["files"] == _file_stamps(pair) and record["status"] != "failed":
            return record
    except (OSError, ValueError, KeyError):
        pass  # not processed yet
    return None


def read_srgb(path, **reading) -> np.ndarray:
    """Reads a photo of any colour profile and bit depth as 8-bit sRGB.

    Args:
      path: an image file.
      **reading: options of `images.read`.

    Returns:
      uint8 `[h, w, 3]`, upright; an alpha channel is left out.

    Raises:
      OSError: the file cannot be opened.
      ValueError: the file or its colour profile is broken.
    """
    photo = images.read(path, **reading)
    try:
        return profiles.to_srgb(images.to_bits(photo.pixels, 8), photo.icc_profile)
    except ValueError as error:
        raise ValueError(f"cannot read {path}: {error}") from error


def _align(phone, camera, options):
    """Aligns two photos: (entries of the record, images for the report, patches and crops)."""
    fit = align.find_homography(camera, phone, reduced=options["reduced"], seed=options["seed"])
    record = _fit_entries(fit, camera.shape[:2], phone.shape[:2])
    if fit.reason:
        sheet = report.matches(camera, phone, fit)
        return record | {"status": "refused", "reason": fit.reason}, {"matches.jpg": sheet}, {}
    try:
        crops = align.crop(camera, phone, fit.homography, scale=options["scale"])
    except ValueError as error:
        sheet = report.matches(camera, phone, fit)
        return record | {"status": "refused", "reason": str(error)}, {"matches.jpg": sheet}, {}
    chosen = {key: options[key] for key in ("size", "stride", "search", "correlation")}
    candidates = align.patches(crops, **chosen)
    kept = [patch for patch in candidates if patch.kept]
    box = tuple(int(round(edge / crops.scale)) for edge in crops.box)
    views = {"matches.jpg": report.matches(camera, phone, fit, box=box)}
    views |= {f"{name}.jpg": view for name, view in report.crops(crops).items()}
    sheet = report.patch_sheet(crops, candidates, options["size"])
    if sheet is not None:
        views["patches.jpg"] = sheet
    record |= {
        "scale": round(crops.scale, 4),
        "crop": list(crops.box),
        "places": len(candidates),
        "patches": len(kept),
        "kept": [[p.top, p.left, p.down, p.right, round(p.correlation, 4)] for p in kept],
    }
    reason = align.patch_problem(candidates)
    if reason:
        return record | {"patches": 0, "status": "refused", "reason": reason}, views, {}
    cuts = _cuts(crops, kept, options)
    return record | {"status": "kept", "reason": None}, views, cuts


def _cuts(crops, kept, options):
    cuts = {}
    for number, patch in enumerate(kept):
        for name, photo, shifted in (("phone", crops.phone, False), ("camera", crops.camera, True)):
            pixels = patches.cut(photo, patch, options["size"], shifted=shifted)
            cuts[f"{name}/{number}{options['suffix']}"] = pixels
    if options["crops"]:
        cuts |= {"aligned/phone.png": crops.phone, "aligned/camera.png": crops.camera}
    return cuts


def _fit_entries(fit, camera_size, phone_size):
    entries = {"matches": len(fit.matches), "inliers": int(fit.inliers.sum()), "patches": 0}
    entries |= {"phone_size": list(phone_size), "camera_size": list(camera_size)}
    if fit.windows is not None:
        entries |= {"windows": fit.windows.textured, "agreeing": fit.windows.agreeing}
    if fit.homography is not None and fit.reason is None:
        polygon = geometry.overlap(fit.homography, camera_size, phone_size)
        share = geometry.area(polygon) / (phone_size[0] * phone_size[1])
        entries["homography"] = fit.homography.tolist()
        entries["overlap"] = np.round(polygon, 2).tolist()
        entries["overlap_share"] = round(share, 4)
        entries |= {
            name: round(value, 4)
            for name, value in geometry.describe(fit.homography, camera_size).items()
            if name != "scale"
        }
    return entries


def _file_stamps(pair):
    """Size and modification time of both files: if they change, the pair is processed again."""
    stamps = []
    for path in (pair.phone, pair.camera):
        try:
            state = path.stat()
            stamps.append([state.st_size, state.st_mtime_ns])
        except OSError:
            stamps.append(None)
    return stamps
