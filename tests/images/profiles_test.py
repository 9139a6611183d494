"""Colour profiles are judged by their curves and converted as LittleCMS does."""

import io

import numpy as np
import pytest

from bilateral_jax import color, images
from bilateral_jax.images import profiles
from tests import fake_profiles as fake
from tests import optional_packages

PIL_Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
optional_packages.need_images()

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 25, 3), np.uint8)
NAMED = {
    "Display P3": fake.rgb(fake.P3, fake.SRGB_CURVE),
    "ProPhoto RGB": fake.rgb(fake.ROMM, fake.ROMM_CURVE),
    "sRGB-elle-V2-g10.icc": fake.rgb(fake.SRGB, (1.0,), name="sRGB-elle-V2-g10.icc"),
    "GIMP built-in Linear sRGB": fake.rgb(fake.SRGB, (1.0,), name="GIMP built-in Linear sRGB"),
    "sRGB primaries, gamma 2.2": fake.rgb(fake.SRGB, (2.2,)),
}


def by_littlecms(pixels, profile, mode="RGB"):
    from PIL import ImageCms

    image = PIL_Image.frombuffer(mode, pixels.shape[1::-1], pixels.tobytes())
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    target = ImageCms.createProfile("sRGB")
    return np.asarray(ImageCms.profileToProfile(image, source, target, outputMode="RGB"))


@pytest.mark.parametrize("name", NAMED)
def test_converted_as_littlecms_does_whatever_the_name_says(name):
    expected = by_littlecms(PIXELS, NAMED[name])
    np.testing.assert_array_equal(profiles.to_srgb(PIXELS, NAMED[name]), expected)
    deep = profiles.to_srgb(images.to_bits(PIXELS, 16), NAMED[name])
    assert deep.dtype == np.uint16
    difference = images.to_bits(deep, 8).astype(int) - expected
    assert np.abs(difference).max() <= 1  # LittleCMS' 8-bit arithmetic is a level off in places


@pytest.mark.parametrize("name", ["sRGB IEC61966-2.1", "c2", "Camera RGB Profile"])
@pytest.mark.parametrize("bits", [8, 16])
def test_srgb_of_any_name_changes_no_bit(name, bits):
    pixels = images.to_bits(PIXELS, bits)
    profile = fake.rgb(fake.SRGB, fake.SRGB_CURVE, name=name)
    np.testing.assert_array_equal(profiles.to_srgb(pixels, profile), pixels)


@pytest.mark.parametrize(
    "primaries, curve, expected",
    [
        (fake.ROMM, fake.ROMM_CURVE, True),
        (fake.ROMM, (1.8,), True),  # Adobe's profile has no straight part
        (fake.ROMM, (1.0,), False),
        (fake.ROMM, (2.2,), False),
        (fake.P3, fake.ROMM_CURVE, False),
        (fake.SRGB, fake.SRGB_CURVE, False),
    ],
)
def test_prophoto_is_told_by_primaries_and_curve(primaries, curve, expected):
    profile = fake.rgb(primaries, curve, name="ProPhoto RGB")
    assert profiles.is_prophoto(profile) == expected
    assert not profiles.is_prophoto(fake.grey((1.8,)))


def test_grey_and_cmyk_profiles():
    grey = np.repeat(PIXELS[..., :1], 3, axis=-1)
    expected = np.rint(color.linear_to_srgb(grey / 255.0) * 255)  # for every level there is
    for bits in (8, 16):
        converted = profiles.to_srgb(images.to_bits(grey, bits), fake.grey((1.0,)))
        assert converted.dtype.itemsize * 8 == bits
        assert np.abs(images.to_bits(converted, 8) - expected).max() <= 1
    inks = np.zeros((1, 3, 4), np.uint8)
    inks[0, 1], inks[0, 2] = (0, 0, 0, 255), (255, 0, 0, 0)
    white, black, cyan = profiles.to_srgb(inks, fake.cmyk())[0].astype(int)
    assert white.min() >= 254 and black.max() <= 1
    assert cyan[0] < 80 and cyan[1:].min() > 200
    expected = by_littlecms(inks, fake.cmyk(), "CMYK")
    np.testing.assert_array_equal(profiles.to_srgb(inks, fake.cmyk()), expected)
    deep = profiles.to_srgb(images.to_bits(inks, 16), fake.cmyk())
    assert np.abs(images.to_bits(deep, 8)[0].astype(int) - [white, black, cyan]).max() <= 1


def test_broken_and_unsuitable_profiles():
    profile = fake.rgb(fake.P3, fake.SRGB_CURVE)
    for broken in (profile[:200], profile[:16] + b"RGB " + b"nonsense" * 40):
        for bits in (8, 16):
            with pytest.raises(ValueError, match="colour profile is broken"):
                profiles.to_srgb(images.to_bits(PIXELS, bits), broken)
    with pytest.raises(ValueError, match="colour profile is of CMYK"):
        profiles.to_srgb(PIXELS, fake.cmyk())
    with pytest.raises(ValueError, match="colours are CMYK and it has no colour profile"):
        profiles.check_convertible(None, "CMYK")
    with pytest.raises(ValueError, match="colours are CMYK and its colour profile is of RGB"):
        profiles.check_convertible(profile, "CMYK")
