"""DPED: photos of three phones and of a camera beside them.

Layout: `ROOT/PHONE/training_data/{PHONE,canon}/I.jpg` and `ROOT/PHONE/test_data/patches/{PHONE,
canon}/I.jpg` are patches of 100 x 100 pixels, the same I for the same scene;
`ROOT/PHONE/test_data/full_size_test_images/` holds whole photos of the phone, without targets.
`ROOT` may be the folder `dped` or the one that holds it. `python -m bilateral_jax align` writes
pairs of your own photos in the same layout, under the name of another phone.

Reference: Ignatov et al., "DSLR-Quality Photos on Mobile Devices with Deep Convolutional Networks",
ICCV 2017.
"""

from __future__ import annotations

import pathlib

from bilateral_jax.data.sources import image_files, pairs, readers, unpaired

PHONES = ("iphone", "blackberry", "sony")
# (height, width) to which the authors resized whole photos before enhancing them.
FULL_SIZES = {"iphone": (1536, 2048), "blackberry": (1560, 2080), "sony": (1944, 2592)}
PATCH = 100

_PATCHES = {"train": "training_data", "test": "test_data/patches"}


def patches(
    root, *, phone: str, split: str = "train", follow_links: bool = False, **checks
) -> pairs.FilePairs:
    """Pairs the phone's patches with the camera's.

    Args:
      root: the folder that holds the data set.
      phone: one of `PHONES`, or the name of another folder.
      split: "train" or "test".
      follow_links: accept links that lead out of `root`.
      **checks: `verify`, `on_bad`, `threads` of `file_source.FileSource`.

    Returns:
      Source of `{"input", "target": uint8 [100, 100, 3], "name"}`, sorted by number.

    Raises:
      ValueError: an unknown split, a folder is missing; or as `file_source.FileSource`: a patch
        without partner, of another size or depth counts as bad.
    """
    if split not in _PATCHES:
        raise ValueError(f"split must be one of {tuple(_PATCHES)}, got {split!r}")
    folder = _phone(root, phone) / _PATCHES[split]
    sides = []
    for name in (phone, "canon"):
        found = image_files.images_in(folder / name, root=root, follow_links=follow_links)
        sides.append({image_files.number_key(stem): path for stem, path in found.items()})
    found, lost = pairs.matched(*sides, folder / phone, folder / "canon")
    return pairs.FilePairs(found, lost=lost, input=_Patch(8), target=_Patch(8), **checks)


def photos(root, *, phone: str, follow_links: bool = False, **checks) -> unpaired.ImageSource:
    """Lists the whole photos of a phone; the camera's are not published.

    Args:
      root: the folder that holds the data set.
      phone: one of `PHONES`, or the name of another folder.
      follow_links: accept links that lead out of `root`.
      **checks: `verify`, `on_bad`, `threads` of `file_source.FileSource`.

    Returns:
      Source of `{"image": uint8 [h, w, 3], "name"}`, sorted by number, in the size of the file
      (the authors resized to `FULL_SIZES` first).

    Raises:
      ValueError: the folder is missing, or as `file_source.FileSource`.
    """
    folder = _phone(root, phone) / "test_data" / "full_size_test_images"
    found = image_files.images_in(folder, root=root, follow_links=follow_links)
    names = sorted(found, key=image_files.number_key)
    files = [unpaired.ImageFile(found[name].name, found[name]) for name in names]
    return unpaired.ImageSource(files, reader=readers.AsStored(8), **checks)


class _Patch(readers.AsStored):
    """Reader of images of 100 x 100 pixels only."""

    def size(self, path):
        return _check(path, super().size(path))

    def read(self, path):
        pixels = super().read(path)
        _check(path, pixels.shape[:2])
        return pixels

    def encoded(self, path):
        content, size = super().encoded(path)
        return content, _check(path, size)


def _check(path, size):
    if tuple(size) != (PATCH, PATCH):
        raise ValueError(f"{path} is {size[0]} x {size[1]}; a patch is {PATCH} x {PATCH}")
    return size


def _phone(root, phone):
    if not phone or pathlib.PurePath(phone).name != phone:
        raise ValueError(f"phone must be the name of a folder, got {phone!r}")
    root = pathlib.Path(root)
    for folder in (root / phone, root / "dped" / phone):
        if folder.is_dir():
            return folder
    raise ValueError(f"there is no folder {root / phone}; published are {', '.join(PHONES)}")
