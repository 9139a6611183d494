"""DPED's folder layout, as links to the patches of every photo; manifest and report.

OUT/PHONE/training_data/PHONE/0.jpg ...      and  training_data/canon/0.jpg ...
OUT/PHONE/test_data/patches/PHONE/0.jpg ...  and  test_data/patches/canon/0.jpg ...
OUT/PHONE/aligned/{input,target}/NAME.png    whole aligned photos, if asked for
OUT/PHONE/manifest.json, report.html
OUT/PHONE/photos/NAME/                       patches and record of each photo
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import zlib

from bilateral_jax import atomic
from bilateral_jax.alignment import report as report_lib

MANIFEST = "manifest.json"
_FOLDERS = ("training_data", "test_data/patches", "aligned")
_NOT_IN_MANIFEST = ("format", "settings", "files", "kept")  # of a record
_COLUMNS = ("matches", "inliers", "windows", "agreeing", "scale", "places", "patches")


def check_names(phone: str, camera: str) -> None:
    """Checks that the names of phone and camera can be folder names.

    Args:
      phone: name of the phone.
      camera: name of the camera.

    Raises:
      ValueError: they are equal, or one is not made of letters, digits and `. _ -`.
    """
    for name in (phone, camera):
        if not re.fullmatch(r"[\w-][\w.-]*", name):
            raise ValueError(f"{name!r} cannot name a folder; use --phone and --camera")
    if phone == camera:
        raise ValueError(f"phone and camera are both called {phone!r}; use --phone or --camera")


def check_folder(root: pathlib.Path) -> None:
    """Checks that a folder holds no patches of another program, which would be replaced.

    Args:
      root: folder of the phone.

    Raises:
      ValueError: there are patches that this command did not write.
    """
    if (root / MANIFEST).is_file() or (root / "photos").is_dir():
        return
    for name in _FOLDERS:
        if (root / name).exists():
            raise ValueError(
                f"{root / name} exists and was not written by this command; choose another OUT"
            )


@contextlib.contextmanager
def locked(root: pathlib.Path):
    """Locks a folder for one run; the lock ends with the process.

    Args:
      root: the folder.

    Yields:
      Nothing.

    Raises:
      ValueError: another run has locked it.
    """
    import fcntl

    with open(root / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"another run is writing to {root}") from error
        yield


def remove_unfinished(root: pathlib.Path) -> None:
    """Removes scratch files and folders of killed runs.

    Args:
      root: folder of the phone.
    """
    for folder in (root, root / "photos", root / "test_data"):
        atomic.remove_scratch(folder)


def write(
    root, records, unpaired, *, phone, camera, test_share, settings, report
) -> dict[str, int]:
    """Writes the layout with numbered patches, the manifest and the report.

    Args:
      root: folder of the phone.
      records: of all pairs, sorted by name.
      unpaired: files without a partner.
      phone: name of the phone.
      camera: name of the camera.
      test_share: share of the photos whose patches are for testing.
      settings: options of all records.
      report: number of photos shown with images in the report, at most.

    Returns:
      Totals: "photos", "kept", "refused", "failed", "without_partner", "patches", "test_patches".
    """
    photos, links = [], {name: [] for name in _FOLDERS}
    counts = {"train": 0, "test": 0}
    for record in records:
        entry = {key: value for key, value in record.items() if key not in _NOT_IN_MANIFEST}
        if record["status"] == "kept":
            split = "test" if _split_position(record["name"]) < test_share else "train"
            entry |= {"split": split, "first": counts[split]}
            folder = links["test_data/patches" if split == "test" else "training_data"]
            folder += _patch_links(root, record, counts[split], phone, camera, settings["suffix"])
            counts[split] += record["patches"]
            if settings["crops"]:
                links["aligned"] += _crop_links(root, record["name"])
        photos.append(entry)
    totals = {"photos": len(photos)}
    for status in ("kept", "refused", "failed"):
        totals[status] = sum(entry["status"] == status for entry in photos)
    totals |= {"without_partner": len(unpaired), "patches": sum(counts.values())}
    totals["test_patches"] = counts["test"]
    for name, files in links.items():
        _replace(root / name, files)
    manifest = {"phone": phone, "camera": camera, "totals": totals, "settings": settings}
    manifest |= {"photos": photos, "without_partner": [_relative(path) for path in unpaired]}
    atomic.write_json(root / MANIFEST, manifest)
    _write_report(root, photos, totals, phone, camera, report)
    return totals


def _patch_links(root, record, first, phone, camera, suffix):
    folder = root / "photos" / record["name"]
    return [
        (folder / side / f"{number}{suffix}", f"{name}/{first + number}{suffix}")
        for side, name in (("phone", phone), ("camera", camera))
        for number in range(record["patches"])
    ]


def _crop_links(root, name):
    folder = root / "photos" / name / "aligned"
    return [
        (folder / "phone.png", f"input/{name}.png"),
        (folder / "camera.png", f"target/{name}.png"),
    ]


def _relative(path):
    """The file's name with that of its folder, independent of the machine."""
    return f"{path.parent.name}/{path.name}"


def _write_report(root, photos, totals, phone, camera, limit):
    """Writes the page: a row for every photo, images of some, refused ones first."""
    refused = [p["name"] for p in photos if p["status"] == "refused"]
    kept = [p["name"] for p in photos if p["status"] == "kept"]
    chosen = set(_evenly(refused, max(limit // 2, limit - len(kept))))
    chosen |= set(_evenly(kept, limit - len(chosen)))
    shown = []
    for photo in photos:
        views = {}
        if photo["name"] in chosen:
            paths = (root / "photos" / photo["name"]).glob("*.jpg")
            views = {path.stem: path.read_bytes() for path in sorted(paths)}
        numbers = {key: photo[key] for key in _COLUMNS if key in photo}
        shown.append({key: photo[key] for key in ("name", "status", "reason")})
        shown[-1] |= {"numbers": numbers, "images": views}
    summary = (
        f"{totals['photos']} pairs of photos: {totals['kept']} kept, {totals['refused']} refused, "
        f"{totals['failed']} failed; {totals['patches']} pairs of patches, "
        f"{totals['test_patches']} of them for testing. "
        f"{len(chosen)} photos are shown with images."
    )
    atomic.write_text(
        root / "report.html", report_lib.page(f"{phone} and {camera}", summary, shown)
    )


def _evenly(items, count):
    if len(items) <= count:
        return items
    return [items[i * len(items) // count] for i in range(max(count, 0))]


def _replace(folder, links):
    """Replaces a folder by links to files; without links there is no folder."""
    if not links:
        shutil.rmtree(folder, ignore_errors=True)
        return
    folder.parent.mkdir(exist_ok=True)
    with atomic.folder(folder) as scratch:
        for source, name in links:
            target = scratch / name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source, target)
            except OSError:
                shutil.copyfile(source, target)  # a file system without links


def _split_position(name):
    """A number in [0, 1) that depends on the name alone, so that a photo stays in its split."""
    return zlib.crc32(name.encode()) / 2**32
