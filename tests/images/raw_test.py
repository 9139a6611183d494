"""Raw files of cameras: developed, or refused in a sentence; never their thumbnail.

Cost: 1 s.
"""

import io
import sys

import numpy as np
import pytest

from bilateral_jax import images
from bilateral_jax.data.sources import readers
from tests import fake_raw_files, optional_packages

PIL_Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
tifffile = pytest.importorskip("tifffile", reason="tifffile is not installed")
optional_packages.need_images()

SCENE = np.random.default_rng(0).uniform(0.1, 0.8, (64, 160, 3))


def with_thumbnail(path):
    """Puts a reduced copy in front of the mosaic, as cameras and converters do."""
    with tifffile.TiffFile(path) as tiff:
        mosaic = tiff.pages[0].asarray()
        tags = [
            (tag.code, int(tag.dtype), tag.count, tag.value, True)
            for tag in tiff.pages[0].tags
            if tag.code in (271, 272) or tag.code > 33000
        ]
    below = [tag for tag in tags if tag[0] in (33421, 33422, 50714, 50717)]
    thumbnail = np.zeros((8, 20, 3), np.uint8)
    options = dict(metadata=None, software=False)
    with tifffile.TiffWriter(path) as tiff:
        front = [tag for tag in tags if tag not in below]
        tiff.write(
            thumbnail, photometric="rgb", subfiletype=1, subifds=1, extratags=front, **options
        )
        tiff.write(mosaic, photometric="cfa", subfiletype=0, extratags=below, **options)


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("crop", [None, (8, 4, 100, 50)])
def test_raw_files_are_developed(tmp_path, orientation, crop):
    pytest.importorskip("rawpy", reason="rawpy is not installed")
    path = tmp_path / "a.dng"
    fake_raw_files.write_dng(path, SCENE, crop=crop, orientation=orientation)
    photo = images.read(path)
    np.testing.assert_array_equal(photo.pixels, readers.Raw().read(path))
    height, width, _ = photo.pixels.shape
    assert photo.pixels.dtype == np.uint16 and photo.alpha is None and not photo.grey
    assert images.inspect(path) == images.headers.Header(height, width, 16)
    block = PIL_Image.Exif()
    block.load(photo.exif)
    assert block[271] == "Stand"
    np.testing.assert_array_equal(images.decode(path.read_bytes()).pixels, photo.pixels)


def test_the_thumbnail_in_front_is_not_taken(tmp_path):
    pytest.importorskip("rawpy", reason="rawpy is not installed")
    path = tmp_path / "a.dng"
    fake_raw_files.write_dng(path, SCENE)
    expected = images.read(path).pixels
    with_thumbnail(path)
    np.testing.assert_array_equal(images.read(path).pixels, expected)
    assert images.inspect(path).width == expected.shape[1]


def test_without_rawpy_the_extra_is_named_once(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rawpy", None)
    path = tmp_path / "a.dng"
    fake_raw_files.write_dng(path, SCENE)
    for function in (images.read, images.inspect):
        with pytest.raises(ImportError, match=r'^raw photos need rawpy.*"bilateral_jax\[raw\]"$'):
            function(path)


@pytest.mark.parametrize(
    "head", [b"FUJIFILMCCD-RAW ", b"IIRO", b"IIU\0", b"\0\0\0\x18ftypcrx ", b"II*\0\x10\0\0\0CR"]
)
def test_raw_files_that_libraw_cannot_read_are_refused(tmp_path, head):
    pytest.importorskip("rawpy", reason="rawpy is not installed")
    path = tmp_path / "a.raw"
    tiff = io.BytesIO()
    tifffile.imwrite(tiff, np.zeros((8, 8), np.uint8))
    content = tiff.getvalue() if head.startswith(b"II*") else bytes(200)
    path.write_bytes(head + content[len(head) :])
    for function in (images.read, images.inspect):
        with pytest.raises(ValueError, match=r"cannot read .*a\.raw: "):
            function(path)
