"""WebP, AVIF, HEIC, GIF and CMYK JPEG to pixels, with metadata; what is refused. 2 s."""

import io

import numpy as np
import pytest

from bilateral_jax import images, pixels
from bilateral_jax.images import color_tags, profiles
from bilateral_jax.images.decoders import heif_boxes
from tests import fake_profiles, optional_packages

PIL_Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
imagecodecs = pytest.importorskip("imagecodecs", reason="imagecodecs is not installed")
optional_packages.need_images()

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'


def smooth(height=32, width=48):
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([5 * columns, 7 * rows, 100 + rows + columns], -1).astype(np.uint8)


def camera_exif(orientation=1):
    block = PIL_Image.Exif()
    block[271], block[274] = "Maker", orientation
    return block


def heif():
    return pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")


def write(path, **options):
    """Writes a lossless file, or nearly so."""
    image = PIL_Image.fromarray(smooth())
    if path.suffix == ".heic":
        image = heif().from_pillow(image)
        image.info.update({key: value for key, value in options.items()})
        image.save(path, quality=-1, chroma=444)
    elif path.suffix == ".webp":
        image.save(path, lossless=True, **options)
    else:
        image.save(path, quality=100, subsampling="4:4:4", **options)


@pytest.mark.parametrize("suffix", [".webp", ".avif", ".heic"])
def test_pixels_exif_xmp_and_profile(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    profile = color_tags.from_code_points(12, 13)
    write(path, exif=camera_exif().tobytes(), xmp=XMP, icc_profile=profile)
    photo = images.read(path)
    assert photo.pixels.dtype == np.uint8 and photo.alpha is None and not photo.grey
    assert np.abs(photo.pixels.astype(int) - smooth()).max() <= 3
    assert photo.xmp == XMP and photo.exif.startswith(b"Exif\x00\x00")
    assert images.inspect(path) == images.headers.Header(32, 48, 8)
    images.write_photo(tmp_path / "b.jpg", photo)
    again = images.read(tmp_path / "b.jpg")
    assert again.xmp == XMP and again.exif == photo.exif
    if suffix != ".heic":
        assert again.icc_profile == profile


@pytest.mark.parametrize("suffix", [".webp", ".avif"])
def test_orientation(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write(path, exif=camera_exif(6))
    photo = images.read(path)
    difference = photo.pixels.astype(int) - np.rot90(smooth(), -1)
    assert np.abs(difference).max() <= 3 and images.inspect(path).height == 48
    block = PIL_Image.Exif()
    block.load(photo.exif)
    assert block.get(274, 1) == 1


def test_heic_is_turned_by_its_own_property_alone(tmp_path):
    pillow_heif = heif()
    image = pillow_heif.from_pillow(PIL_Image.fromarray(smooth()))
    image.info["exif"] = camera_exif(6).tobytes()
    image.save(tmp_path / "a.heic", quality=-1, chroma=444)
    seen = pillow_heif.open_heif(tmp_path / "a.heic")
    photo = images.read(tmp_path / "a.heic")
    np.testing.assert_array_equal(photo.pixels, np.asarray(seen))
    block = PIL_Image.Exif()
    block.load(photo.exif)
    assert block.get(274, 1) == 1


def test_ten_bits_become_sixteen(tmp_path):
    levels = np.linspace(0, 1023, 32 * 48 * 3).astype(np.uint16).reshape(32, 48, 3)
    expected = np.rint(levels / 1023 * 65535)
    content = imagecodecs.avif_encode(levels, level=100, bitspersample=10, pixelformat="444")
    photo = images.decode(content)
    assert photo.pixels.dtype == np.uint16
    assert np.abs(photo.pixels - expected).max() < 64 * 3
    image = heif().from_bytes("RGB;16", (48, 32), (levels << 6).tobytes())
    image.save(tmp_path / "a.heic", quality=-1, chroma=444)
    assert images.inspect(tmp_path / "a.heic").bits == 16
    assert np.abs(images.read(tmp_path / "a.heic").pixels - expected).max() < 64 * 3


def test_widen():
    values = np.array([0, 1, 511, 1023], np.uint16)
    np.testing.assert_array_equal(pixels.widen(values, 10), [0, 64, 32735, 65535])
    with pytest.raises(ValueError, match="9..16"):
        pixels.widen(values, 8)


def test_alpha_of_webp_avif_and_gif(tmp_path):
    stored = np.concatenate([smooth(), smooth()[..., :1]], -1)
    PIL_Image.fromarray(stored).save(tmp_path / "a.webp", lossless=True, exact=True)
    photo = images.read(tmp_path / "a.webp")
    np.testing.assert_array_equal(photo.pixels, stored[..., :3])
    np.testing.assert_array_equal(photo.alpha, stored[..., 3])
    PIL_Image.fromarray(stored).save(tmp_path / "a.avif", quality=100, subsampling="4:4:4")
    assert np.abs(images.read(tmp_path / "a.avif").alpha.astype(int) - stored[..., 3]).max() <= 1
    palette = PIL_Image.fromarray(smooth()).quantize(8)
    palette.save(tmp_path / "a.gif", transparency=3, comment=b"Hello")
    photo = images.read(tmp_path / "a.gif")
    np.testing.assert_array_equal(photo.alpha == 0, np.asarray(palette) == 3)
    assert photo.texts == (("Comment", "Hello"),)


@pytest.mark.parametrize("suffix", [".webp", ".avif", ".gif"])
def test_animations_are_refused_but_for_the_first_frame(tmp_path, suffix):
    frames = [PIL_Image.fromarray(smooth() // count) for count in (1, 2)]
    path = tmp_path / f"a{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    for function in (images.read, images.inspect):
        with pytest.raises(ValueError, match="holds 2 frames; first_frame=True"):
            function(path)
    assert images.read(path, first_frame=True).pixels.shape == (32, 48, 3)


@pytest.mark.parametrize("suffix", [".webp", ".avif", ".heic", ".gif"])
def test_truncated_files_are_refused(tmp_path, suffix):
    path = tmp_path / f"cut{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (60, 50, 3), np.uint8)
    if suffix == ".heic":
        heif().from_pillow(PIL_Image.fromarray(noise)).save(path)
    else:
        PIL_Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    for length in (len(whole) - 9, len(whole) // 2, 40, 15):
        path.write_bytes(whole[:length])
        for function in (images.read, images.inspect):
            with pytest.raises(ValueError, match="cannot read .*cut"):
                function(path)


def test_high_dynamic_range_is_refused(tmp_path):
    path = tmp_path / "a.avif"
    write(path)
    content = path.read_bytes()
    start = content.index(b"nclx")
    path.write_bytes(content[: start + 4] + b"\0\x09\0\x10" + content[start + 8 :])
    for function in (images.read, images.inspect):
        with pytest.raises(ValueError, match="high dynamic range .PQ"):
            function(path)
    path.write_bytes(content[: start + 4] + b"\0\x0c\0\x0d" + content[start + 8 :])
    with open(path, "rb") as file:
        profile = heif_boxes.profile(heif_boxes.properties(file))
    assert images.read(path).icc_profile == profile is not None


def test_a_missing_package_for_heic_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    for function in (images.read, images.inspect):
        with pytest.raises(ImportError, match=r'pip install "bilateral_jax\[heif\]"'):
            function(tmp_path / "a.heic")


def test_cmyk_jpeg_is_converted_by_its_profile_and_refused_without(tmp_path):
    inks = np.zeros((16, 32, 4), np.uint8)
    inks[:, 16:, 0] = 255
    image = PIL_Image.frombytes("CMYK", (32, 16), inks.tobytes())
    image.save(tmp_path / "a.jpg", quality=98, icc_profile=fake_profiles.cmyk())
    photo = images.read(tmp_path / "a.jpg")
    expected = profiles.to_srgb(inks, fake_profiles.cmyk()).astype(int)
    inner = np.abs(photo.pixels - expected)[:, [0, 8, 24, 31]]
    assert inner.max() <= 4 and photo.icc_profile is None
    assert photo.notes == ("its CMYK colours were converted to sRGB by its colour profile",)
    image.save(tmp_path / "b.jpg")
    for function in (images.read, images.inspect):
        with pytest.raises(ValueError, match="CMYK and it has no colour profile"):
            function(tmp_path / "b.jpg")


def test_ycck_jpeg(tmp_path):
    inks = np.full((16, 16, 4), [200, 30, 60, 90], np.uint8)
    image = PIL_Image.frombytes("CMYK", (16, 16), inks.tobytes())
    written = io.BytesIO()
    image.save(written, "JPEG", quality=98, icc_profile=fake_profiles.cmyk(), keep_rgb=False)
    content = bytearray(written.getvalue())
    adobe = content.index(b"Adobe")
    assert content[adobe + 11] in (0, 2)
    content[adobe + 11] = 2 - content[adobe + 11]  # the other of CMYK and YCCK: other colours
    other = images.decode(bytes(content)).pixels
    assert np.abs(other.astype(int) - images.decode(written.getvalue()).pixels).max() > 20
