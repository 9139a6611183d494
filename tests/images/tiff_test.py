"""TIFF of many programs: exact pixels, or one refusal by `read` and `inspect` alike.

Cost: 3 s.
"""

import itertools
import struct

import numpy as np
import pytest

from bilateral_jax import images
from tests import fake_profiles, optional_packages

PIL_Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
tifffile = pytest.importorskip("tifffile", reason="tifffile is not installed")
optional_packages.need_images()

RGB8 = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
RGB16 = np.random.default_rng(1).integers(0, 65536, (24, 40, 3), np.uint16)
GREY8, GREY16 = RGB8[..., 0], RGB16[..., 0]


def read(path):
    """Reads a photo, and checks that `inspect` says the same."""
    photo = images.read(path)
    height, width, _ = photo.pixels.shape
    expected = images.headers.Header(height, width, images.bit_depth(photo.pixels))
    assert images.inspect(path) == expected
    return photo


def check_refused(path, reason):
    for function in (images.read, images.inspect):
        with pytest.raises(ValueError, match=rf"cannot read .*{path.name}: .*{reason}"):
            function(path)


@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "packbits", "zstd", "lzma"])
@pytest.mark.parametrize("bits", [8, 16])
def test_every_arrangement_of_channels_is_read_exactly(tmp_path, compression, bits):
    pixels, path = {8: RGB8, 16: RGB16}[bits], tmp_path / "a.tif"
    layouts = itertools.product((1, 2, 3, 4), ("contig", "separate"), (None, (16, 16)), "<>")
    for count, planes, tile, order in layouts:
        stored = pixels[..., [0, 1, 2, 0][:count]] if count > 1 else pixels[..., 0]
        separate = planes == "separate" and count > 1
        tifffile.imwrite(
            path,
            np.moveaxis(stored, -1, 0).copy() if separate else stored,
            photometric="rgb" if count > 2 else "minisblack",
            planarconfig=planes if count > 1 else None,
            extrasamples=["unassalpha"] if count in (2, 4) else None,
            compression=compression,
            predictor=True if compression in ("lzw", "deflate") else None,
            tile=tile,
            rowsperstrip=None if tile else 7,
            byteorder=order,
            metadata=None,
        )
        photo = images.read(path)
        expected = pixels if count > 2 else np.repeat(pixels[..., :1], 3, axis=-1)
        np.testing.assert_array_equal(photo.pixels, expected)
        assert photo.grey == (count < 3) and photo.pixels.dtype == pixels.dtype
        if count in (2, 4):
            np.testing.assert_array_equal(photo.alpha, stored[..., -1])
        else:
            assert photo.alpha is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("alpha", [False, True])
def test_white_is_zero(tmp_path, dtype, alpha):
    grey = {np.uint8: GREY8, np.uint16: GREY16}[dtype]
    white = np.iinfo(dtype).max
    stored = np.stack([white - grey, grey], axis=-1) if alpha else white - grey
    extra = ["unassalpha"] if alpha else None
    options = dict(photometric="miniswhite", extrasamples=extra)
    tifffile.imwrite(tmp_path / "a.tif", stored, **options)
    photo = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(photo.pixels[..., 2], grey)
    if alpha:  # which is not inverted
        np.testing.assert_array_equal(photo.alpha, grey)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_alpha_of_8_bits_in_any_compression(tmp_path, mode, compression):
    stored = np.dstack([RGB8, GREY8]) if mode == "RGBA" else np.dstack([GREY8, RGB8[..., 1]])
    PIL_Image.fromarray(stored, mode).save(tmp_path / "a.tif", compression=compression)
    photo = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(photo.pixels[..., 0], stored[..., 0])
    np.testing.assert_array_equal(photo.alpha, stored[..., -1])


def test_other_depths_are_scaled_to_8_or_16(tmp_path):
    for bits in (10, 12, 14):
        for pixels in (GREY16, RGB16):
            stored, kind = pixels % 2**bits, "rgb" if pixels.ndim == 3 else "minisblack"
            tifffile.imwrite(tmp_path / "a.tif", stored, photometric=kind, bitspersample=bits)
            expected = np.rint(stored / (2**bits - 1) * 65535)
            found = read(tmp_path / "a.tif").pixels
            np.testing.assert_array_equal(found, expected.reshape(24, 40, -1) + 0 * RGB16)
    for bits in (2, 4):
        stored = GREY8 % 2**bits
        tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack", bitspersample=bits)
        expected = stored * (255 // (2**bits - 1))
        np.testing.assert_array_equal(read(tmp_path / "a.tif").pixels[..., 0], expected)
    for photometric, black in (("minisblack", 0), ("miniswhite", 255)):
        tifffile.imwrite(tmp_path / "a.tif", GREY8 > 99, photometric=photometric)
        expected = np.where(GREY8 > 99, 255 - black, black)
        photo = read(tmp_path / "a.tif")
        np.testing.assert_array_equal(photo.pixels[..., 0], expected)
        assert photo.grey


def write_palette(path, bits, indices, palette):
    """Writes a palette TIFF with few bits, which no package at hand does."""
    height, width = indices.shape
    rows = np.unpackbits(indices[..., None].astype(np.uint8), axis=-1)[..., 8 - bits :]
    data = np.packbits(rows.reshape(height, -1), axis=1).tobytes()
    table = np.zeros((3, 2**bits), "<u2")
    table[:, : len(palette)] = np.asarray(palette).T
    start = 8 + 2 + 12 * 10 + 4
    tags = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 1, bits), (259, 3, 1, 1)]
    tags += [(262, 3, 1, 3), (273, 4, 1, start + table.nbytes), (277, 3, 1, 1)]
    tags += [(278, 3, 1, height), (279, 4, 1, len(data)), (320, 3, table.size, start)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)
    path.write_bytes(head + table.tobytes() + data)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("scale", [257, 1])  # some programs write 8-bit values into the table
def test_palettes(tmp_path, bits, scale):
    palette = np.array([[0, 0, 255], [0, 128, 0], [255, 255, 0], [9, 8, 7]])[: 2**bits]
    indices = GREY8[:, :16] % len(palette)
    write_palette(tmp_path / "a.tif", bits, indices, palette * scale)
    photo = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(photo.pixels, palette[indices])
    assert not photo.grey and photo.pixels.dtype == np.uint8


def test_a_reduced_copy_in_front_is_passed_over(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(RGB8[::4, ::4].copy(), photometric="rgb", subfiletype=1)
        tiff.write(RGB16, photometric="rgb", subfiletype=0)
    np.testing.assert_array_equal(read(path).pixels, RGB16)
    with tifffile.TiffWriter(path) as tiff:  # the photo in a directory below the copy
        tiff.write(RGB8[::4, ::4].copy(), photometric="rgb", subfiletype=1, subifds=1)
        tiff.write(RGB16, photometric="rgb", subfiletype=0)
    np.testing.assert_array_equal(read(path).pixels, RGB16)
    with tifffile.TiffWriter(path) as tiff:  # a thumbnail and a mask behind it
        tiff.write(RGB16, photometric="rgb")
        tiff.write(RGB8[::4, ::4].copy(), photometric="rgb", subfiletype=1)
        tiff.write(GREY8 > 9, photometric=4, subfiletype=4)
    np.testing.assert_array_equal(read(path).pixels, RGB16)
    assert read(path).notes == ("a mask beside the image is left out",)
    tifffile.imwrite(path, RGB8, photometric="rgb", subfiletype=1)
    check_refused(path, "only reduced copies")


def test_what_stands_at_the_reduced_copy_in_front_describes_the_photo(tmp_path):
    path, xmp = tmp_path / "a.tif", b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    tags = [(274, "H", 1, 6, True), (700, "B", len(xmp), xmp, True), (271, "s", 0, "Maker", True)]
    with tifffile.TiffWriter(path) as tiff:
        copy = RGB8[::4, ::4].copy()
        tiff.write(copy, photometric="rgb", subfiletype=1, subifds=1, extratags=tags)
        tiff.write(RGB16, photometric="rgb", subfiletype=0)
    photo = read(path)
    np.testing.assert_array_equal(photo.pixels, np.rot90(RGB16, -1))
    assert photo.xmp == xmp and b"Maker" in photo.exif


def test_several_pages_are_refused_or_the_first_is_taken(tmp_path):
    path = tmp_path / "scan.tif"
    stacks = {"pages": {}, "ImageJ": {"imagej": True}}
    for options in stacks.values():
        tifffile.imwrite(path, np.stack([GREY8, 255 - GREY8]), photometric="minisblack", **options)
        check_refused(path, r"holds 2 pages; first_frame=True \(--first-frame\) takes the first")
        photo = images.read(path, first_frame=True)
        np.testing.assert_array_equal(photo.pixels[..., 0], GREY8)
        assert images.inspect(path, first_frame=True).bits == 8
    data = path.read_bytes()
    np.testing.assert_array_equal(images.decode(data, first_frame=True).pixels[..., 0], GREY8)


INKS = np.dstack([RGB8, np.zeros_like(GREY8)])


def test_cmyk_is_converted_by_its_profile(tmp_path):
    path, profile = tmp_path / "print.tif", fake_profiles.cmyk()
    for bits in (8, 16):
        inks = images.to_bits(INKS, bits)
        tifffile.imwrite(path, inks, photometric="separated", iccprofile=profile)
        photo = read(path)
        expected = images.profiles.to_srgb(inks, profile)
        np.testing.assert_array_equal(photo.pixels, expected)
        assert photo.pixels.dtype == inks.dtype and photo.icc_profile is None
        assert "CMYK" in photo.notes[0]


def test_lab_is_converted_by_its_profile(tmp_path):
    lab = np.full((8, 8, 3), 0, np.uint8)
    lab[..., 0] = 255  # white; a and b are signed
    lab[0, 0] = (136, 80, 67)  # the red of sRGB under D50 is about (54, 81, 70)
    path = tmp_path / "lab.tif"
    tifffile.imwrite(path, lab, photometric="cielab", iccprofile=fake_profiles.lab())
    pixels = read(path).pixels.astype(int)
    assert pixels[1:].min() >= 254
    np.testing.assert_allclose(pixels[0, 0], (255, 0, 0), atol=20)


def test_cmyk_and_lab_without_a_fitting_profile_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    for photometric, stored, space in (("separated", INKS, "CMYK"), ("cielab", RGB8, "Lab")):
        tifffile.imwrite(path, stored, photometric=photometric)
        check_refused(path, f"colours are {space} and it has no colour profile")
        srgb = fake_profiles.rgb(fake_profiles.SRGB, fake_profiles.SRGB_CURVE)
        tifffile.imwrite(path, stored, photometric=photometric, iccprofile=srgb)
        check_refused(path, f"colours are {space} and its colour profile is of RGB")
    broken = fake_profiles.cmyk()[:200]
    tifffile.imwrite(path, INKS, photometric="separated", iccprofile=broken)
    check_refused(path, "colour profile is broken")


@pytest.mark.parametrize(
    "stored, options, reason",
    [
        (RGB8.astype(np.float32), {"photometric": "rgb"}, "samples are float32"),
        (GREY8.astype(np.int8), {"photometric": "minisblack"}, "samples are int8"),
        (GREY16.astype(np.uint32), {"photometric": "minisblack"}, "samples are 32 bits"),
        (GREY8 % 8, {"photometric": "minisblack", "bitspersample": 3}, "are 3 bits"),
        (INKS, {"photometric": "separated", "extratags": [(332, "H", 1, 2, True)]}, "inks"),
        (RGB8, {"photometric": "minisblack", "planarconfig": "contig"}, "none is its alpha"),
        (np.zeros((16, 16, 16), np.uint8), {"volumetric": True, "tile": (16, 16)}, "volume"),
    ],
)
def test_what_is_not_supported_is_refused_by_read_and_inspect(tmp_path, stored, options, reason):
    tifffile.imwrite(tmp_path / "a.tif", stored, **options)
    check_refused(tmp_path / "a.tif", reason)


def test_jpeg_and_subsampled_chroma_within_tiff(tmp_path):
    smooth = np.stack(np.broadcast_arrays(*np.mgrid[0:48:2, 0:80:2], 60), axis=-1).astype(np.uint8)
    image, path = PIL_Image.fromarray(smooth), tmp_path / "a.tif"
    for mode, compression in (("RGB", "jpeg"), ("YCbCr", "raw"), ("YCbCr", "tiff_lzw")):
        image.convert(mode).save(path, compression=compression)
        difference = read(path).pixels.astype(int) - smooth
        assert np.abs(difference).max() <= 12, (mode, compression)


def halve_last_strip(path):
    """Halves the length of the last strip; the file stays complete."""
    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages[0].tags[279]
        size = {3: "H", 4: "I"}[int(tag.dtype)]
        value = np.atleast_1d(tag.value)[-1]
        place = tag.valueoffset + (tag.count - 1) * struct.calcsize(size)
    content = bytearray(path.read_bytes())
    struct.pack_into("<" + size, content, place, int(value) // 2)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"]
)
@pytest.mark.parametrize("mode", ["L", "RGB", "YCbCr"])
def test_short_strips_are_refused(tmp_path, mode, compression):
    path = tmp_path / "half.tif"
    PIL_Image.fromarray(RGB8).convert(mode).save(path, compression=compression)
    images.read(path)
    halve_last_strip(path)
    with pytest.raises(ValueError, match=r"cannot read .*half\.tif"):
        images.read(path)


def test_missing_strips_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB8, photometric="rgb", rowsperstrip=8, metadata=None)
    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages[0].tags[273]
        assert tag.count == 3
    content = bytearray(path.read_bytes())
    content[tag.valueoffset : tag.valueoffset + tag.valuebytecount // 3] = bytes(
        tag.valuebytecount // 3
    )
    path.write_bytes(content)
    check_refused(path, "strips or tiles are missing")
