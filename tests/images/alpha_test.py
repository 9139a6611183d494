"""Alpha channels, grey images and single frames: kept from file to file, or refused by name.

Cost: 1 s.
"""

import dataclasses
import io
import struct

import numpy as np
import pytest

from bilateral_jax import color, images
from bilateral_jax.images import exif
from tests import fake_png_files, fake_profiles, optional_packages

PIL_Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
tifffile = pytest.importorskip("tifffile", reason="tifffile is not installed")
optional_packages.need_images()

LOSSLESS = [(".png", np.uint8), (".png", np.uint16), (".tif", np.uint8), (".tif", np.uint16)]


def channels(dtype, count, shape=(9, 7)):
    maximum = np.iinfo(dtype).max
    values = np.random.default_rng(count).integers(0, maximum, (*shape, count), endpoint=True)
    values[0, 0, -1] = 0  # hidden colours must survive, too
    return values.astype(dtype)


@pytest.mark.parametrize("suffix, dtype", LOSSLESS)
def test_alpha_is_read_and_nothing_is_composited(tmp_path, suffix, dtype):
    stored, path = channels(dtype, 4), tmp_path / f"a{suffix}"
    if suffix == ".tif":
        tifffile.imwrite(path, stored, photometric="rgb", extrasamples=["unassalpha"])
    else:
        cv2.imwrite(str(path), stored[..., [2, 1, 0, 3]])
    photo = images.read(path)
    np.testing.assert_array_equal(photo.pixels, stored[..., :3])
    np.testing.assert_array_equal(photo.alpha, stored[..., 3])
    assert not photo.grey and photo.pixels.flags.c_contiguous and photo.alpha.flags.c_contiguous


@pytest.mark.parametrize("suffix, dtype", LOSSLESS)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_written_as_it_was_read(tmp_path, suffix, dtype, count):
    stored, path = channels(dtype, count), tmp_path / f"a{suffix}"
    photo = images.photo.from_channels(stored)
    images.write_photo(path, photo)
    again = images.read(path)
    np.testing.assert_array_equal(images.photo.stored_channels(again), stored.squeeze())
    assert again.grey == (count < 3) and (again.alpha is None) == (count in (1, 3))
    # As other programs see it.
    if suffix == ".tif":
        np.testing.assert_array_equal(tifffile.imread(path), stored.squeeze())
    else:
        kind = {1: 0, 2: 4, 3: 2, 4: 6}[count]
        assert path.read_bytes()[24:26] == bytes([8 * stored.itemsize, kind])


def test_premultiplied_colours_are_divided_by_their_alpha(tmp_path):
    for dtype in (np.uint8, np.uint16):
        white = np.iinfo(dtype).max
        straight, alpha = channels(dtype, 3), channels(dtype, 1)[..., 0]
        product = np.rint(straight.astype(float) * alpha[..., None] / white)
        stored = np.concatenate([product, alpha[..., None]], axis=-1).astype(dtype)
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, stored, photometric="rgb", extrasamples=["assocalpha"])
        photo = images.read(path)
        np.testing.assert_array_equal(photo.alpha, alpha)
        error = np.abs(photo.pixels.astype(float) - straight) * alpha[..., None] / white
        assert error.max() <= 1.0  # what rounding the product has lost
        assert (photo.pixels[alpha == 0] == 0).all()


def test_transparent_palettes_and_colours_of_png(tmp_path):
    path = tmp_path / "a.png"
    grey = channels(np.uint8, 1)[..., 0] % 5
    image = PIL_Image.fromarray(grey, "P")
    palette = [9, 8, 7, 0, 0, 255, 0, 128, 0, 1, 2, 3, 250, 240, 230]
    image.putpalette(palette)
    image.save(path, transparency=bytes([0, 128, 255]), bits=4)
    photo = images.read(path)
    np.testing.assert_array_equal(photo.pixels, np.reshape(palette, (5, 3))[grey])
    np.testing.assert_array_equal(photo.alpha, np.array([0, 128, 255, 255, 255])[grey])
    assert not photo.grey
    PIL_Image.fromarray(grey, "L").save(path, transparency=3)
    photo = images.read(path)
    np.testing.assert_array_equal(photo.alpha, np.where(grey == 3, 0, 255))
    assert photo.grey and (photo.pixels == grey[..., None]).all()


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_alpha_is_turned_with_the_pixels(tmp_path, orientation):
    block = PIL_Image.Exif()
    block[274] = orientation
    stored = channels(np.uint8, 4)
    PIL_Image.fromarray(stored).save(tmp_path / "a.png", exif=block.tobytes())
    photo = images.read(tmp_path / "a.png")
    np.testing.assert_array_equal(photo.alpha, exif.turn(stored, orientation)[..., 3])
    np.testing.assert_array_equal(photo.pixels, exif.turn(stored, orientation)[..., :3])


def test_jpeg_refuses_transparent_pixels_and_drops_opaque_alpha(tmp_path):
    photo = images.photo.from_channels(channels(np.uint8, 4))
    with pytest.raises(ValueError, match=r"a\.jpg: .*no alpha channel .* transparent pixels"):
        images.write_photo(tmp_path / "a.jpg", photo)
    assert not list(tmp_path.iterdir())
    opaque = dataclasses.replace(photo, alpha=np.full_like(photo.alpha, 255))
    images.write_photo(tmp_path / "a.jpg", opaque)
    assert images.read(tmp_path / "a.jpg").alpha is None


@pytest.mark.parametrize(
    "suffix, mode",
    [(suffix, mode) for suffix in (".png", ".tif", ".bmp") for mode in "1L"] + [(".jpg", "L")],
)
def test_grey_and_bilevel_stay_grey(tmp_path, suffix, mode):
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    PIL_Image.fromarray(grey).convert(mode).save(tmp_path / f"a{suffix}")
    photo = images.read(tmp_path / f"a{suffix}")
    assert photo.grey
    tinted = dataclasses.replace(photo, pixels=photo.pixels // np.array([1, 2, 3], np.uint8))
    images.write_photo(tmp_path / "b.png", tinted)
    expected = np.rint(color.luminance(tinted.pixels.astype(np.float64)))
    with PIL_Image.open(tmp_path / "b.png") as image:
        assert image.mode == "L"
        np.testing.assert_array_equal(np.asarray(image), expected)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_profiles_of_grey_stay_with_grey_pixels(tmp_path, suffix):
    profile, path = fake_profiles.grey((2.2,)), tmp_path / f"a{suffix}"
    PIL_Image.new("L", (8, 8), 77).save(path, icc_profile=profile)
    photo = images.read(path)
    assert photo.icc_profile == profile
    images.write_photo(path, photo)
    assert images.read(path).icc_profile == profile and images.read(path).grey
    with pytest.raises(ValueError, match="colour profile is of grey, the pixels are RGB"):
        images.write(path, photo.pixels, icc_profile=profile)
    PIL_Image.new("RGB", (8, 8)).save(path, icc_profile=profile)  # as no program should
    assert images.read(path).icc_profile is None
    assert "colour profile is of GRAY" in images.read(path).notes[0]


def test_alpha_must_fit_the_pixels(tmp_path):
    photo = images.photo.from_channels(channels(np.uint8, 4))
    for alpha in (photo.alpha[1:], photo.alpha.astype(np.uint16)):
        with pytest.raises(ValueError, match=r"alpha must be uint8 \(9, 7\) like pixels"):
            images.write_photo(tmp_path / "a.png", dataclasses.replace(photo, alpha=alpha))


def animated_png():
    frames = [PIL_Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    content = io.BytesIO()
    frames[0].save(content, "PNG", save_all=True, append_images=frames[1:])
    return content.getvalue()


def test_animated_png_is_refused_or_the_first_frame_is_taken(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(animated_png())
    for function in (images.read, images.inspect):
        with pytest.raises(ValueError, match=r"a\.png: it holds 2 frames; first_frame=True"):
            function(path)
    photo = images.read(path, first_frame=True)
    np.testing.assert_array_equal(photo.pixels, np.full((8, 8, 3), (255, 0, 0)))
    # An animation of one frame is no animation.
    PIL_Image.new("RGB", (8, 8)).save(path)
    fake_png_files.insert(path, (b"acTL", struct.pack(">II", 1, 0)))
    assert images.read(path).pixels.shape == (8, 8, 3)


def test_a_palette_of_greys_is_grey(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (5, 6), np.uint8)
    palette = [level for level in range(256) for _ in range(3)]
    indexed = PIL_Image.fromarray(grey).convert("L")
    indexed.putpalette(palette)
    for name, options in (
        ("a.png", {}),
        ("b.png", {"transparency": 9}),
        ("a.tif", {}),
        ("a.bmp", {}),
    ):
        indexed.save(tmp_path / name, **options)
        photo = images.read(tmp_path / name)
        assert photo.grey and (photo.alpha is not None) == bool(options)
        np.testing.assert_array_equal(photo.pixels, np.stack([grey] * 3, axis=-1))
    PIL_Image.fromarray(grey).save(tmp_path / "c.gif", transparency=int(grey[0, 0]))
    photo = images.read(tmp_path / "c.gif")
    assert photo.grey and photo.alpha[0, 0] == 0
