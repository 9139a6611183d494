"""Colour and raw: ProPhoto against published matrices and a colour engine, developed raw files."""

import io
import sys

import numpy as np
import pytest

from bilateral_jax import color, images
from bilateral_jax.data.sources import readers
from bilateral_jax.images import exif
from tests import fake_datasets, fake_raw_files, optional_packages

optional_packages.need_images()

# As tabulated for ROMM RGB (D50), Bradford adaptation D50 to D65, and sRGB (D65).
XYZ_FROM_ROMM = np.array(
    [[0.7976749, 0.1351917, 0.0313534], [0.2880402, 0.7118741, 0.0000857], [0, 0, 0.8252100]]
)
D65_FROM_D50 = np.array(
    [
        [0.9555766, -0.0230393, 0.0631636],
        [-0.0282895, 1.0099416, 0.0210077],
        [0.0122982, -0.0204830, 1.3299098],
    ]
)
SRGB_FROM_XYZ = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ]
)


def oracle(value):
    """Converts one ProPhoto colour to sRGB, channel by channel."""
    linear = [v / 16 if v < 16 / 512 else v**1.8 for v in map(float, value)]
    out = SRGB_FROM_XYZ @ (D65_FROM_D50 @ (XYZ_FROM_ROMM @ np.array(linear)))
    return [12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055 for v in out]


def test_prophoto_against_published_matrices():
    values = np.random.default_rng(0).uniform(size=(300, 3))
    values[:20] *= 1 / 16  # around the straight part
    expected = np.array([oracle(value) for value in values])
    # The tables round the white points; colours far beyond sRGB show that most.
    inside = ((expected > 0) & (expected < 1)).all(axis=1)
    assert 60 < inside.sum() < 300
    single = color.prophoto_to_srgb(values.astype(np.float32))
    assert single.dtype == np.float32
    for converted in (color.prophoto_to_srgb(values), single):
        np.testing.assert_allclose(converted[inside], expected[inside], atol=5e-4)
        assert np.abs(converted[inside] - expected[inside]).mean() < 3e-5
        np.testing.assert_allclose(converted, expected, atol=5e-3)


def test_prophoto_greys_stay_grey_and_white_is_white():
    greys = np.linspace(0, 1, 33)[:, None] * np.ones(3)
    converted = color.prophoto_to_srgb(greys)
    np.testing.assert_allclose(np.ptp(converted, axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(converted[[0, -1]], [[0] * 3, [1] * 3], atol=1e-9)
    # Half of ProPhoto's range is 0.5 ** 1.8 of the light.
    half = color.linear_to_srgb(np.array(0.5**1.8))
    np.testing.assert_allclose(converted[16], half, atol=1e-9)


def test_prophoto_colours_outside_srgb_leave_the_unit_cube():
    green = color.prophoto_to_srgb(np.array([0.0, 1.0, 0.0]))
    assert green[1] > 1 and green.min() < 0


@pytest.fixture
def tiff(tmp_path):
    """A ProPhoto TIFF whose colours all exist in sRGB; gives the file and its pixels."""
    muted = np.random.default_rng(1).uniform(0.3, 0.6, (70, 40, 3))
    pixels = images.to_integer(muted, 8).astype(np.uint16) * 257
    path = tmp_path / "a0001.tif"
    images.write(path, pixels, icc_profile=fake_raw_files.prophoto_profile())
    return path, pixels


def test_prophoto_tiff_against_a_colour_engine(tiff):
    import PIL.Image
    import PIL.ImageCms

    path, pixels = tiff
    converted = readers.ProPhoto().read(path)
    assert converted.dtype == np.uint16
    source = PIL.ImageCms.ImageCmsProfile(io.BytesIO(images.read(path).icc_profile))
    target = PIL.ImageCms.createProfile("sRGB")
    coarse = PIL.Image.fromarray((pixels // 257).astype(np.uint8))
    expected = np.asarray(PIL.ImageCms.profileToProfile(coarse, source, target)).astype(int)
    # The engine works in 8 bits, in and out.
    difference = np.abs(converted / 257 - expected)[(expected > 25) & (expected < 230)]
    assert difference.max() < 2 and difference.mean() < 0.6


def test_prophoto_in_row_chunks_equals_the_whole_and_encoding_is_exact(tiff, monkeypatch):
    path, pixels = tiff
    whole = images.to_integer(color.prophoto_to_srgb(images.to_float(pixels)), 16)
    monkeypatch.setattr(readers, "_ROWS", 16)
    np.testing.assert_array_equal(readers.ProPhoto().read(path), whole)
    content, size = readers.ProPhoto().encoded(path)
    assert size == whole.shape[:2]
    np.testing.assert_array_equal(images.decode(content).pixels, whole)


def test_prophoto_refuses_other_profiles_and_depths(tmp_path, tiff):
    path, pixels = tiff
    other = tmp_path / "b.tif"
    # By its curve, whatever its name says.
    images.write(other, pixels, icc_profile=fake_raw_files.prophoto_profile(gamma=1.0))
    with pytest.raises(ValueError, match=r"b\.tif has a colour profile that is not ProPhoto"):
        readers.ProPhoto().read(other)
    images.write(other, pixels, icc_profile=fake_raw_files.prophoto_profile("Large RGB"))
    np.testing.assert_array_equal(readers.ProPhoto().read(other), readers.ProPhoto().read(path))
    images.write(other, pixels)
    np.testing.assert_array_equal(readers.ProPhoto().read(other), readers.ProPhoto().read(path))
    fake_datasets.write(other)
    for read in (readers.ProPhoto().read, readers.ProPhoto().size):
        with pytest.raises(ValueError, match="8 bits per channel; 16 are expected"):
            read(other)


PATCHES = np.array(
    [[0.2, 0.2, 0.2], [0.5, 0.3, 0.1], [0.1, 0.4, 0.2], [0.1, 0.2, 0.6], [0.6, 0.6, 0.6]]
)


@pytest.fixture
def scene():
    return np.repeat(PATCHES, 32, axis=0) * np.ones((64, 1, 1))


@pytest.mark.parametrize("neutral", [(1.0, 1.0, 1.0), (0.5, 1.0, 0.7)])
def test_developed_raw_has_the_colours_of_the_scene(tmp_path, scene, neutral):
    pytest.importorskip("rawpy", reason="rawpy is not installed")
    path = tmp_path / "a0001.dng"
    fake_raw_files.write_dng(path, scene, neutral=neutral)
    pixels = readers.Raw().read(path)
    assert pixels.dtype == np.uint16 and pixels.shape == scene.shape
    light = color.srgb_to_linear(images.to_float(pixels))
    np.testing.assert_allclose(light[32, 16::32], PATCHES, atol=2e-3)
    content, _ = readers.Raw().encoded(path)
    np.testing.assert_array_equal(images.decode(content).pixels, pixels)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_developed_raw_is_cropped_as_the_file_says_and_upright(tmp_path, scene, orientation):
    pytest.importorskip("rawpy", reason="rawpy is not installed")
    scene = scene * np.linspace(0.5, 1, 64)[:, None, None]  # no symmetry that could hide a turn
    fake_raw_files.write_dng(tmp_path / "whole.dng", scene)
    whole = readers.Raw().read(tmp_path / "whole.dng")
    crop = (8, 4, 100, 50)
    fake_raw_files.write_dng(tmp_path / "a.dng", scene, crop=crop, orientation=orientation)
    expected = exif.turn(whole[4:54, 8:108], orientation)
    np.testing.assert_array_equal(readers.Raw().read(tmp_path / "a.dng"), expected)


def test_unreadable_raw_is_named(tmp_path, scene):
    pytest.importorskip("rawpy", reason="rawpy is not installed")
    path = tmp_path / "a.dng"
    path.write_bytes(b"II*\x00" + bytes(100))
    for read in (readers.Raw().size, readers.Raw().read):
        with pytest.raises(ValueError, match=r"cannot read .*a\.dng"):
            read(path)
    fake_raw_files.write_dng(path, scene)
    fake_datasets.truncate(path)
    with pytest.raises(ValueError, match=r"a\.dng"):
        readers.Raw().read(path)


def test_without_rawpy_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(ImportError, match=r'pip install "bilateral_jax\[raw\]"'):
        readers.Raw().read(tmp_path / "a.dng")
