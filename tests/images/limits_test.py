"""Files that are larger than they look, and files with a part missing inside.

Cost: 1 s.
"""

import io
import struct

import numpy as np
import pytest

from bilateral_jax import images
from tests import fake_png_files, optional_packages

PIL_Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
tifffile = pytest.importorskip("tifffile", reason="tifffile is not installed")
optional_packages.need_images()

PIXELS = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)


def jpeg(width, height):
    content = io.BytesIO()
    PIL_Image.new("RGB", (16, 16)).save(content, "JPEG")
    content = bytearray(content.getvalue())
    place = content.index(b"\xff\xc0") + 5
    content[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def tiff(width, height):
    content = io.BytesIO()
    tifffile.imwrite(content, PIXELS, photometric="rgb", compression="zlib", rowsperstrip=64)
    content.seek(0)
    with tifffile.TiffFile(content) as file:
        tags = file.pages[0].tags
        places = {tags[256].valueoffset: width, tags[257].valueoffset: height}
        places[tags[278].valueoffset] = height
        sizes = {tags[number].valueoffset: tags[number].dtype for number in (256, 257, 278)}
    content = bytearray(content.getvalue())
    for place, value in places.items():
        struct.pack_into("<H" if int(sizes[place]) == 3 else "<I", content, place, value)
    return bytes(content)


def bmp(width, height):
    content = io.BytesIO()
    PIL_Image.new("1", (8, 8)).save(content, "BMP")
    content = bytearray(content.getvalue())
    struct.pack_into("<ii", content, 18, width, height)
    return bytes(content)


BOMBS = {
    "png": lambda w, h: fake_png_files.encode(w, h, b"x"),
    "jpg": jpeg,
    "tif": tiff,
    "bmp": bmp,
}


@pytest.mark.parametrize("kind", BOMBS)
def test_forged_sizes_are_refused_from_the_header(tmp_path, kind):
    path = tmp_path / f"bomb.{kind}"
    for side, reason in (
        (30_000, r"30000 x 30000 pixels are more than the limit of 268435456"),
        (9_000, r"9000 x 9000 pixels in a file of \d+ bytes are .* decompression bomb"),
    ):
        path.write_bytes(BOMBS[kind](side, side))
        for function in (images.read, images.inspect):
            with pytest.raises(ValueError, match=rf"bomb\.{kind}: {reason}"):
                function(path)
        assert images.inspect(path, max_pixels=side**2).width == side
        with pytest.raises(ValueError, match=f"more than the limit of {side**2 - 1}"):
            images.inspect(path, max_pixels=side**2 - 1)
        with pytest.raises(ValueError, match=reason):
            images.decode(path.read_bytes())


def test_200_megapixels_of_one_colour_are_no_bomb(tmp_path):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    cv2.imwrite(str(tmp_path / "large.jpg"), np.full((12_500, 16_000), 77, np.uint8))
    photo = images.read(tmp_path / "large.jpg")
    assert photo.pixels.shape == (12_500, 16_000, 3) and (photo.pixels[::999, ::999] == 77).all()


@pytest.mark.parametrize("bits", [8, 16])
def test_png_without_its_last_rows_is_refused(tmp_path, bits):
    rows = images.to_bits(PIXELS, bits).astype(f">u{bits // 8}")
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    path = tmp_path / "half.png"
    path.write_bytes(fake_png_files.encode(96, 64, data, bits=bits))
    np.testing.assert_array_equal(images.read(path).pixels, images.to_bits(PIXELS, bits))
    path.write_bytes(fake_png_files.encode(96, 64, data[: len(data) // 2], bits=bits))
    with pytest.raises(ValueError, match=r"half\.png: its data are damaged or truncated"):
        images.read(path)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_cut_in_half_and_closed_again_is_refused(tmp_path, mode, options):
    content, path = io.BytesIO(), tmp_path / "half.jpg"
    PIL_Image.fromarray(PIXELS).convert(mode).save(content, "JPEG", quality=90, **options)
    content = content.getvalue()
    path.write_bytes(content[: len(content) // 2] + b"\xff\xd9")
    with pytest.raises(ValueError, match=r"half\.jpg: its data are damaged or truncated"):
        images.read(path)


def test_what_libjpeg_warns_of_without_a_loss_is_read(tmp_path):
    content, path = io.BytesIO(), tmp_path / "a.jpg"
    PIL_Image.fromarray(PIXELS).save(content, "JPEG", quality=90)
    content = content.getvalue()
    path.write_bytes(content)
    expected = images.read(path).pixels
    # Bytes between the last scan and the end marker.
    path.write_bytes(content[:-2] + b"\0\0\0\0" + content[-2:])
    np.testing.assert_array_equal(images.read(path).pixels, expected)


def test_further_pictures_of_a_jpeg_are_said_to_be_left_out(tmp_path):
    first, second = (PIL_Image.fromarray(part) for part in (PIXELS, PIXELS[::2, ::2].copy()))
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second], quality=98)
    photo = images.read(tmp_path / "a.jpg")
    assert photo.pixels.shape == PIXELS.shape and "MPO" in photo.notes[0]


def test_jpeg_is_decoded_as_pillow_does(tmp_path):
    for options in ({}, {"progressive": True}, {"subsampling": 0}, {"subsampling": 1}):
        for mode in ("L", "RGB"):
            path = tmp_path / "a.jpg"
            PIL_Image.fromarray(PIXELS).convert(mode).save(path, quality=80, **options)
            with PIL_Image.open(path) as image:
                expected = np.asarray(image.convert("RGB"))
            np.testing.assert_array_equal(images.read(path).pixels, expected)
