"""Image files to pixels and back: exactness, orientation, colour profile, EXIF, errors."""

import functools
import os
import struct
import sys

import numpy as np
import pytest

from bilateral_jax import images
from bilateral_jax.images import exif
from tests import optional_packages

PIL_Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
optional_packages.need_images()
tifffile = pytest.importorskip("tifffile", reason="tifffile is not installed")

LOSSLESS = [(".png", np.uint8), (".png", np.uint16), (".tif", np.uint8), (".tiff", np.uint16)]
EVERY = [*LOSSLESS, (".jpg", np.uint8), (".JPEG", np.uint8)]


def pixels(dtype=np.uint8, shape=(13, 18, 3)):
    values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, endpoint=True)
    return values.astype(dtype)


def smooth(dtype=np.uint8, shape=(16, 24)):
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]] / (np.array(shape)[:, None, None] * 1.5)
    values = np.stack([rows, columns, 0.5 * rows + 0.3], -1)
    return images.to_integer(values, 8 * np.dtype(dtype).itemsize)


@functools.cache  # a profile holds the second of its making: two calls may differ
def profile():
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def camera_exif(orientation=1):
    block = PIL_Image.Exif()
    block[271] = "Maker"
    block[274] = orientation
    block[34665] = {33434: 0.008, 36867: "2020:01:02 03:04:05"}
    block[34853] = {1: "N", 2: (48.0, 8.0, 14.5)}
    return block.tobytes()


@pytest.mark.parametrize("suffix, dtype", LOSSLESS)
@pytest.mark.parametrize("shape", [(13, 18, 3), (1, 1, 3), (1, 300, 3), (129, 2, 3)])
def test_lossless_formats_keep_every_bit(tmp_path, suffix, dtype, shape):
    expected = pixels(dtype, shape)
    images.write(tmp_path / f"a{suffix}", expected)
    photo = images.read(tmp_path / f"a{suffix}")
    assert photo.pixels.dtype == dtype and photo.pixels.flags.c_contiguous
    np.testing.assert_array_equal(photo.pixels, expected)
    assert photo.icc_profile is None and photo.exif is None


def test_jpeg_error_and_size_follow_quality(tmp_path):
    expected = smooth()
    errors, sizes = [], []
    for quality in (30, 95):
        images.write(tmp_path / "a.jpg", expected, quality=quality)
        actual = images.read(tmp_path / "a.jpg").pixels
        errors.append(np.abs(actual.astype(int) - expected).max())
        sizes.append((tmp_path / "a.jpg").stat().st_size)
    assert errors[1] <= 6 < errors[0] and sizes[0] < sizes[1]


def test_channel_order_is_red_green_blue(tmp_path):
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 200
    for suffix in (".png", ".tif", ".jpg"):
        images.write(tmp_path / f"a{suffix}", red)
        with PIL_Image.open(tmp_path / f"a{suffix}") as other:
            seen = np.asarray(other)
        np.testing.assert_allclose(seen, red, atol=3)
        np.testing.assert_allclose(images.read(tmp_path / f"a{suffix}").pixels, red, atol=3)


def test_16_bits_as_read_by_other_packages(tmp_path):
    expected = pixels(np.uint16)
    images.write(tmp_path / "a.tif", expected, icc_profile=profile(), exif=camera_exif())
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), expected)
    images.write(tmp_path / "a.png", expected)
    seen = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(seen[..., ::-1], expected)


@pytest.mark.parametrize("suffix, dtype", EVERY)
def test_profile_and_exif_are_kept(tmp_path, suffix, dtype):
    path = tmp_path / f"a{suffix}"
    images.write(path, smooth(dtype), icc_profile=profile(), exif=camera_exif())
    first = images.read(path)
    images.write(path, first.pixels, icc_profile=first.icc_profile, exif=first.exif)
    photo = images.read(path)
    assert photo.icc_profile == profile()
    block = PIL_Image.Exif()
    block.load(photo.exif)
    assert block[271] == "Maker"
    assert block.get_ifd(34665) == {33434: 0.008, 36867: "2020:01:02 03:04:05"}
    assert block.get_ifd(34853) == {1: "N", 2: (48.0, 8.0, 14.5)}


def test_exif_is_kept_across_formats(tmp_path):
    images.write(tmp_path / "a.jpg", smooth(), icc_profile=profile(), exif=camera_exif())
    photo = images.read(tmp_path / "a.jpg")
    images.write(tmp_path / "a.tif", smooth(), icc_profile=photo.icc_profile, exif=photo.exif)
    photo = images.read(tmp_path / "a.tif")
    images.write(tmp_path / "a.png", smooth(), icc_profile=photo.icc_profile, exif=photo.exif)
    photo = images.read(tmp_path / "a.png")
    block = PIL_Image.Exif()
    block.load(photo.exif)
    assert photo.icc_profile == profile() and block.get_ifd(34665)[33434] == 0.008


def test_exif_text_in_any_language(tmp_path):
    block = PIL_Image.Exif()
    block[315], block[33432] = "Zo\u00eb", "\u00a9 \u65e5\u672c"
    images.write(tmp_path / "a.tif", smooth(), exif=block.tobytes())
    seen = PIL_Image.Exif()
    seen.load(images.read(tmp_path / "a.tif").exif)
    assert seen[315].encode("latin-1", "replace").startswith(b"Zo") and 33432 in seen


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow warns, too
def test_images_with_broken_exif_are_read(tmp_path):
    broken = exif.HEADER + b"II*\x00" + b"\xff" * 40
    for suffix in (".png", ".jpg"):
        images.write(tmp_path / f"a{suffix}", smooth(), exif=broken)
        assert images.read(tmp_path / f"a{suffix}").pixels.shape == (16, 24, 3)
    with pytest.warns(UserWarning, match=r"a\.tif: unreadable EXIF is left out"):
        images.write(tmp_path / "a.tif", smooth(), exif=exif.HEADER + b"nonsense")
    np.testing.assert_array_equal(images.read(tmp_path / "a.tif").pixels, smooth())


def upright(stored, orientation):
    """The eight EXIF orientations, written out one by one."""
    return {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.swapaxes(0, 1),
        6: np.rot90(stored, -1),
        7: np.rot90(stored, -1)[::-1],
        8: np.rot90(stored, 1),
    }[orientation]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix, dtype", EVERY)
def test_orientation_is_applied_and_reset(tmp_path, suffix, dtype, orientation):
    path, stored = tmp_path / f"a{suffix}", smooth(dtype)
    images.write(path, stored, exif=camera_exif(orientation))
    if suffix.startswith(".tif"):
        # Our writer leaves the orientation out; write it as a camera's program would.
        extra = [(274, "H", 1, orientation, True)]
        tifffile.imwrite(path, stored, photometric="rgb", extratags=extra)
    photo = images.read(path)
    atol = 6 if suffix.lower() in (".jpg", ".jpeg") else 0
    np.testing.assert_allclose(
        photo.pixels.astype(int), upright(stored, orientation).astype(int), atol=atol
    )
    images.write(path, photo.pixels, exif=photo.exif)
    again = images.read(path)
    assert again.pixels.shape == photo.pixels.shape
    if photo.exif:
        block = PIL_Image.Exif()
        block.load(photo.exif)
        assert block.get(274, 1) == 1


def test_orientation_is_reset_in_big_endian_blocks_and_the_thumbnail_is_unlinked():
    entries = struct.pack(">HHIHH", 274, 3, 1, 8, 0)
    block = exif.HEADER + b"MM\x00*" + struct.pack(">IH", 8, 1) + entries + struct.pack(">I", 99)
    changed, orientation = exif.reset_orientation(block)
    assert orientation == 8 and len(changed) == len(block)
    assert struct.unpack(">H", changed[24:26]) == (1,) and changed[-4:] == b"\x00" * 4
    for broken in (b"", exif.HEADER, exif.HEADER + b"XX\x00*" + b"\x00" * 40, block[:18]):
        assert exif.reset_orientation(broken) == (broken, 1)


@pytest.mark.parametrize("suffix, dtype", [*LOSSLESS, (".jpg", np.uint8)])
def test_grey_becomes_three_equal_channels(tmp_path, suffix, dtype):
    grey, path = smooth(dtype)[..., 0], tmp_path / f"a{suffix}"
    if suffix.startswith(".tif"):
        tifffile.imwrite(path, grey, photometric="minisblack")
    elif dtype == np.uint8:
        PIL_Image.fromarray(grey).save(path, **({"quality": 98} if suffix == ".jpg" else {}))
    else:
        cv2.imwrite(str(path), grey)
    photo = images.read(path)
    assert photo.pixels.shape == (*grey.shape, 3) and photo.pixels.dtype == dtype
    expected = np.repeat(grey[..., None], 3, -1).astype(int)
    np.testing.assert_allclose(photo.pixels.astype(int), expected, atol=3 * (suffix == ".jpg"))


def test_palette_png(tmp_path):
    PIL_Image.fromarray(smooth()).quantize(16).save(tmp_path / "a.png")
    with PIL_Image.open(tmp_path / "a.png") as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(images.read(tmp_path / "a.png").pixels, expected)


@pytest.mark.parametrize("compression", ["lzw", "packbits"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_foreign_tiff_compressions(tmp_path, compression, orientation):
    expected, path = smooth(), tmp_path / "a.tif"
    compression = {"lzw": "tiff_lzw"}.get(compression, compression)
    tags = {274: orientation}
    PIL_Image.fromarray(expected).save(path, compression=compression, tiffinfo=tags)
    np.testing.assert_array_equal(images.read(path).pixels, upright(expected, orientation))


def test_the_format_is_recognised_by_content(tmp_path):
    images.write(tmp_path / "a.png", smooth())
    (tmp_path / "a.png").rename(tmp_path / "b.jpg")
    np.testing.assert_array_equal(images.read(tmp_path / "b.jpg").pixels, smooth())


@pytest.mark.parametrize("suffix, dtype", EVERY)
def test_truncated_files_are_refused(tmp_path, suffix, dtype, capfd):
    path = tmp_path / f"cut{suffix}"
    images.write(path, pixels(dtype, (60, 50, 3)), exif=camera_exif())
    whole = path.read_bytes()
    for length in (len(whole) // 2, 40, 12):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="cannot read .*cut"):
            images.read(path)
    capfd.readouterr()  # the C libraries print


@pytest.mark.parametrize(
    "content, reason",
    [(b"", "empty"), (b"hello", "not a JPEG"), (b"8BPS" + b"\x00" * 90, "not a JPEG")],
)
def test_files_of_other_formats_are_errors(tmp_path, content, reason):
    path = tmp_path / "odd.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"odd\.png: .*{reason}"):
        images.read(path)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        images.read(tmp_path / "nowhere.png")


@pytest.mark.parametrize("suffix, dtype", EVERY)
def test_pillows_size_limit_does_not_apply(tmp_path, suffix, dtype, monkeypatch):
    images.write(tmp_path / f"a{suffix}", smooth(dtype), exif=camera_exif())
    monkeypatch.setattr(PIL_Image, "MAX_IMAGE_PIXELS", 10)
    assert images.read(tmp_path / f"a{suffix}").pixels.shape == (16, 24, 3)


def test_writing_is_atomic(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    images.write(path, smooth())
    before = path.read_bytes()

    def fail(*arguments, **options):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        images.write(path, pixels())
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    "name, array, error, message",
    [
        ("a.gif", np.zeros((2, 2, 3), np.uint8), ValueError, "suffix"),
        ("a", np.zeros((2, 2, 3), np.uint8), ValueError, "suffix"),
        ("a.png", np.zeros((2, 2, 3), np.float32), TypeError, "float32"),
        ("a.png", np.zeros((2, 2), np.uint8), ValueError, r"\(2, 2\)"),
        ("a.png", np.zeros((2, 0, 3), np.uint8), ValueError, r"\(2, 0, 3\)"),
        ("a.jpg", np.zeros((2, 2, 3), np.uint16), ValueError, "8 bits"),
    ],
)
def test_invalid_images_are_not_written(tmp_path, name, array, error, message):
    with pytest.raises(error, match=message):
        images.write(tmp_path / name, array)
    assert not list(tmp_path.iterdir())


def test_invalid_quality_and_missing_folder(tmp_path):
    with pytest.raises(ValueError, match="quality"):
        images.write(tmp_path / "a.jpg", smooth(), quality=0)
    for suffix in (".jpg", ".png", ".tif"):
        with pytest.raises(OSError, match="nowhere"):
            images.write(tmp_path / "nowhere" / f"a{suffix}", smooth())


def test_missing_packages_are_errors_naming_the_extra(tmp_path, monkeypatch):
    images.write(tmp_path / "deep.png", smooth(np.uint16))
    images.write(tmp_path / "a.jpg", smooth())
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    for call in (
        lambda: images.write(tmp_path / "b.png", smooth()),
        lambda: images.encode_png(smooth()),
    ):
        with pytest.raises(ImportError, match=r"imagecodecs.*bilateral_jax\[images\]"):
            call()
    for name, package in (("a.jpg", "simplejpeg"), ("deep.png", "imagecodecs")):
        with pytest.raises(ImportError, match=rf"{package}.*bilateral_jax\[images\]"):
            images.read(tmp_path / name)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    for call in (images.read, images.inspect):
        path = tmp_path / "a.tif"
        path.write_bytes(b"II*\x00")
        with pytest.raises(ImportError, match=r"(imagecodecs|tifffile).*bilateral_jax\[images\]"):
            call(path)
