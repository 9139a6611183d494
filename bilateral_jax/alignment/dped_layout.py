"""DPED's layout, made of links to what was done photo by photo; manifest and report beside it.

    OUT/PHONE/training_data/PHONE/0.jpg ...      and  training_data/canon/0.jpg ...
    OUT/PHONE/test_data/patches/PHONE/0.jpg ...  and  test_data/patches/canon/0.jpg ...
    OUT/PHONE/aligned/{input,target}/NAME.png    whole aligned photos, if asked for
    OUT/PHONE/manifest.json, report.html
    OUT/PHONE/photos/NAME/                       the work on each photo

Receives records from `command.py`.
Hands folders to disk, each whole or not at all; totals back.
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
_PLACES = ("training_data", "test_data/patches", "aligned")
_PRIVATE = ("format", "settings", "files", "kept")  # of a record: not for the manifest
_SHOWN = ("matches", "inliers", "windows", "agreeing", "scale", "places", "patches")


def check_names(phone: str, camera: str) -> None:
    """Refuses names that cannot be two folders.

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


def check_ours(root: pathlib.Path) -> None:
    """Refuses to replace what another program made.

    Args:
      root: folder of the phone.

    Raises:
      ValueError: there are patches, but no trace of this command.
    """
    if (root / MANIFEST).is_file() or (root / "photos").is_dir():
        return
    for place in _PLACES:
        if (root / place).exists():
            raise ValueError(f"{root / place} exists and is not this command's; choose another OUT")


@contextlib.contextmanager
def locked(root: pathlib.Path):
    """Holds a folder for one run; the lock ends with the process, however that ends.

    Args:
      root: the folder.

    Yields:
      Nothing.

    Raises:
      ValueError: another run holds it.
    """
    import fcntl

    with open(root / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"another run is writing to {root}") from error
        yield


def sweep(root: pathlib.Path) -> None:
    """Removes what a stopped run left half done.

    Args:
      root: folder of the phone.
    """
    for folder in (root, root / "photos", root / "test_data"):
        atomic.remove_scratch(folder)


def publish(
    root, records, lonely, *, phone, camera, test_share, settings, report
) -> dict[str, int]:
    """Numbers the patches, links them into the layout, writes manifest and report.

    Args:
      root: folder of the phone.
      records: of all pairs, by name.
      lonely: files without a partner.
      phone: name of the phone.
      camera: name of the camera.
      test_share: of the photos whose patches are for testing.
      settings: that the records were made with.
      report: photos that the page shows with pictures, at most.

    Returns:
      Totals: "photos", "kept", "refused", "failed", "without_partner", "patches", "test_patches".
    """
    photos, links = [], {place: [] for place in _PLACES}
    counts = {"train": 0, "test": 0}
    for record in records:
        entry = {key: value for key, value in record.items() if key not in _PRIVATE}
        if record["status"] == "kept":
            split = "test" if _position(record["name"]) < test_share else "train"
            entry |= {"split": split, "first": counts[split]}
            place = links["test_data/patches" if split == "test" else "training_data"]
            place += _patch_links(root, record, counts[split], phone, camera, settings["suffix"])
            counts[split] += record["patches"]
            if settings["crops"]:
                links["aligned"] += _crop_links(root, record["name"])
        photos.append(entry)
    totals = {"photos": len(photos)}
    for status in ("kept", "refused", "failed"):
        totals[status] = sum(entry["status"] == status for entry in photos)
    totals |= {"without_partner": len(lonely), "patches": sum(counts.values())}
    totals["test_patches"] = counts["test"]
    for place, wanted in links.items():
        _replace(root / place, wanted)
    manifest = {"phone": phone, "camera": camera, "totals": totals, "settings": settings}
    manifest |= {"photos": photos, "without_partner": [_below(path) for path in lonely]}
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


def _below(path):
    """A file with its folder, but not where that lies on this machine."""
    return f"{path.parent.name}/{path.name}"


def _write_report(root, photos, totals, phone, camera, limit):
    """The page: a row for every photo, pictures for some, those that were refused first."""
    refused = [p["name"] for p in photos if p["status"] == "refused"]
    kept = [p["name"] for p in photos if p["status"] == "kept"]
    chosen = set(_spread(refused, max(limit // 2, limit - len(kept))))
    chosen |= set(_spread(kept, limit - len(chosen)))
    shown = []
    for photo in photos:
        pictures = {}
        if photo["name"] in chosen:
            views = (root / "photos" / photo["name"]).glob("*.jpg")
            pictures = {path.stem: path.read_bytes() for path in sorted(views)}
        numbers = {key: photo[key] for key in _SHOWN if key in photo}
        shown.append({key: photo[key] for key in ("name", "status", "reason")})
        shown[-1] |= {"numbers": numbers, "pictures": pictures}
    summary = (
        f"{totals['photos']} pairs of photos: {totals['kept']} kept, {totals['refused']} refused, "
        f"{totals['failed']} failed; {totals['patches']} pairs of patches, "
        f"{totals['test_patches']} of them for testing. "
        f"{len(chosen)} photos are shown with pictures."
    )
    atomic.write_text(
        root / "report.html", report_lib.page(f"{phone} and {camera}", summary, shown)
    )


def _spread(items, count):
    if len(items) <= count:
        return items
    return [items[i * len(items) // count] for i in range(max(count, 0))]


def _replace(place, links):
    """Replaces a folder by links to files; without links there is no folder."""
    if not links:
        shutil.rmtree(place, ignore_errors=True)
        return
    place.parent.mkdir(exist_ok=True)
    with atomic.folder(place) as fresh:
        for source, name in links:
            target = fresh / name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source, target)
            except OSError:
                shutil.copyfile(source, target)  # a file system without links


def _position(name):
    """A number in [0, 1) that depends on the name alone: a photo never changes sides."""
    return zlib.crc32(name.encode()) / 2**32
