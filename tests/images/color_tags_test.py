"""Colour spaces named by code points, gAMA and cHRM, against LittleCMS and formulas. 1 s."""

import io
import struct
import zlib

import numpy as np
import pytest

from bilateral_jax import images
from bilateral_jax.images import color_tags, matrix_profiles
from tests import fake_png_files, optional_packages

PIL_Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
ImageCms = pytest.importorskip("PIL.ImageCms", reason="Pillow lacks LittleCMS")
optional_packages.need_images()

PIXELS = np.random.default_rng(0).integers(0, 255, (8, 12, 3), np.uint8, endpoint=True)
GAMMA_22, LINEAR = struct.pack(">I", 45455), struct.pack(">I", 100000)
SRGB_CHRM = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
WIDE_CHRM = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)


def to_srgb(profile):
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    image = PIL_Image.fromarray(PIXELS)
    target = ImageCms.createProfile("sRGB")
    return np.asarray(ImageCms.profileToProfile(image, source, target, renderingIntent=1))


def png(folder, *chunks):
    """Writes a PNG file with these chunks."""
    path = folder / "a.png"
    images.write(path, PIXELS)
    fake_png_files.insert(path, *chunks)
    return path


def test_the_profile_of_srgb_is_that_of_littlecms():
    curve = color_tags._SRGB_CURVE
    profile = matrix_profiles.encode(matrix_profiles.SRGB, curve, name="sRGB")
    np.testing.assert_array_equal(to_srgb(profile), PIXELS)
    assert color_tags.from_code_points(1, 13) is None


def test_display_p3_against_its_published_matrix():
    # CSS Color 4, 10.3: linear Display P3 to XYZ and XYZ to linear sRGB, multiplied.
    matrix = np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]])
    values = PIXELS / 255.0
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    converted = (linear @ matrix.T).clip(0, 1)
    low, high = converted * 12.92, 1.055 * converted ** (1 / 2.4) - 0.055
    expected = np.where(converted <= 0.0031308, low, high) * 255
    actual = to_srgb(color_tags.from_code_points(12, 13))
    assert np.abs(actual - expected).max() < 1.5


@pytest.mark.parametrize(
    "chunks, name",
    [
        ([], None),
        ([(b"sRGB", b"\x00"), (b"gAMA", LINEAR)], None),
        ([(b"gAMA", GAMMA_22)], None),  # what encoders write for sRGB
        ([(b"gAMA", GAMMA_22), (b"cHRM", SRGB_CHRM)], None),
        ([(b"cHRM", SRGB_CHRM)], None),
        ([(b"gAMA", LINEAR)], "gAMA and cHRM of PNG"),
        ([(b"gAMA", GAMMA_22), (b"cHRM", WIDE_CHRM)], "gAMA and cHRM of PNG"),
        ([(b"cICP", b"\x01\x0d\x00\x01"), (b"gAMA", LINEAR)], None),
        ([(b"cICP", b"\x0c\x0d\x00\x01"), (b"sRGB", b"\x00")], "Display P3, sRGB"),
    ],
)
@pytest.mark.parametrize("again", [".jpg", ".tif", ".png"])
def test_precedence_and_the_way_through_every_format(tmp_path, chunks, name, again):
    photo = images.read(png(tmp_path, *chunks))
    images.write_photo(tmp_path / f"b{again}", photo)
    seen = images.read(tmp_path / f"b{again}").icc_profile
    assert seen == photo.icc_profile
    if name is None:
        assert seen is None
    else:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(seen))
        assert ImageCms.getProfileDescription(profile).strip() == name


def test_an_embedded_profile_comes_before_srgb_and_behind_code_points(tmp_path):
    own = color_tags.from_code_points(9, 14)
    embedded = b"iCCP", b"ICC\0\0" + zlib.compress(own)
    others = (b"sRGB", b"\x00"), (b"gAMA", LINEAR)
    assert images.read(png(tmp_path, embedded, *others)).icc_profile == own
    path = png(tmp_path, embedded, (b"cICP", b"\x01\x0d\x00\x01"), *others)
    assert images.read(path).icc_profile is None


def test_a_linear_gamma_is_honoured(tmp_path):
    profile = images.read(png(tmp_path, (b"gAMA", LINEAR))).icc_profile
    values = PIXELS / 255.0
    low, high = values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055
    expected = np.where(values <= 0.0031308, low, high) * 255
    assert np.abs(to_srgb(profile) - expected).max() < 1.1


@pytest.mark.parametrize(
    "chunk, reason",
    [
        ((b"cICP", b"\x09\x10\x00\x01"), "high dynamic range .PQ"),
        ((b"cICP", b"\x09\x12\x00\x01"), "high dynamic range .HLG"),
        ((b"cICP", b"\x01\x0d\x00\x00"), "narrow range"),
        ((b"cICP", b"\x63\x0d\x00\x01"), "primaries 99"),
        ((b"cHRM", bytes(9)), "is broken"),
        ((b"cHRM", bytes(32)), "is no colour"),
        ((b"gAMA", bytes(4)), "gamma .gAMA. is 0"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_read_and_inspect(tmp_path, chunk, reason):
    path = png(tmp_path, chunk)
    for function in (images.read, images.inspect):
        with pytest.raises(ValueError, match=f"a.png: .*{reason}"):
            function(path)


def test_grey_gets_a_grey_profile():
    profile = color_tags.from_png({"gAMA": LINEAR}, grey=True)
    assert ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space.strip() == "GRAY"
    assert color_tags.from_code_points(12, 13, grey=True) is None


def exif_of_camera(index):
    block = PIL_Image.Exif()
    block[271] = "Maker"
    block[34665] = {40961: 65535, 40965: {1: index}}
    return block


def test_adobe_rgb_that_a_camera_names_in_exif(tmp_path):
    image = PIL_Image.fromarray(PIXELS)
    image.save(tmp_path / "a.jpg", exif=exif_of_camera("R03"))
    profile = images.read(tmp_path / "a.jpg").icc_profile
    # Adobe RGB (1998), 4.3.5.3 and its inverse for sRGB, multiplied; LittleCMS clips the colours.
    matrix = np.array([[1.3984, -0.3984, 0.0], [0.0, 1.0, 0.0], [0.0, -0.0429, 1.0429]])
    linear = ((PIXELS / 255.0) ** (563 / 256) @ matrix.T).clip(0, 1)
    low, high = linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055
    expected = np.where(linear <= 0.0031308, low, high) * 255
    assert np.abs(to_srgb(profile) - expected).max() < 1.5
    for other in (exif_of_camera("R98"), b"Exif\0\0broken"):
        image.save(tmp_path / "a.jpg", exif=other)
        assert images.read(tmp_path / "a.jpg").icc_profile is None
    own = color_tags.from_code_points(12, 13)
    image.save(tmp_path / "a.jpg", exif=exif_of_camera("R03"), icc_profile=own)
    assert images.read(tmp_path / "a.jpg").icc_profile == own


def rationals(values):
    return [number for value in values for number in (round(value * 10000), 10000)]


@pytest.mark.parametrize(
    "primaries, transfer",
    [
        ((0.64, 0.33, 0.30, 0.60, 0.15, 0.06), None),
        ((0.68, 0.32, 0.265, 0.69, 0.15, 0.06), None),
        (None, [round(65535 * (i / 255) ** 1.8) for i in range(256)]),
        (None, [round(65535 * (i / 255) ** g) for g in (1.8, 2.2, 1.0) for i in range(256)]),
    ],
)
def test_tags_of_tiff(tmp_path, primaries, transfer):
    tifffile = pytest.importorskip("tifffile", reason="tifffile is not installed")
    tags = [(318, "2I", 2, rationals((0.3127, 0.3290)), True)]
    if primaries:
        tags.append((319, "2I", 6, rationals(primaries), True))
    if transfer:
        tags.append((301, "H", len(transfer), transfer, True))
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", extratags=tags)
    profile = images.read(tmp_path / "a.tif").icc_profile
    if primaries and primaries[0] == 0.64:
        assert profile is None
    elif primaries:
        p3 = matrix_profiles.encode(color_tags._PRIMARIES[12][1], (2.2,), name="P3")
        np.testing.assert_array_equal(to_srgb(profile), to_srgb(p3))
    else:
        gammas = np.array([1.8, 1.8, 1.8] if len(transfer) == 256 else [1.8, 2.2, 1.0])
        linear = (PIXELS / 255.0) ** gammas
        low, high = linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055
        expected = np.where(linear <= 0.0031308, low, high) * 255
        assert np.abs(to_srgb(profile) - expected).max() < 1.5


def test_a_broken_transfer_function_is_refused(tmp_path):
    tifffile = pytest.importorskip("tifffile", reason="tifffile is not installed")
    tags = [(301, "H", 5, [0, 1, 2, 3, 4], True)]
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", extratags=tags)
    for function in (images.read, images.inspect):
        with pytest.raises(ValueError, match="transfer function or primaries are broken"):
            function(tmp_path / "a.tif")
