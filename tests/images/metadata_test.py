"""Metadata from file to file: XMP, IPTC, text, resolution, EXIF; every pair of formats. 1 s."""

import dataclasses
import struct
import zlib

import numpy as np
import pytest

from bilateral_jax import images
from bilateral_jax.images import exif, metadata
from tests import fake_png_files, optional_packages

PIL_Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
optional_packages.need_images()
tifffile = pytest.importorskip("tifffile", reason="tifffile is not installed")

PIXELS = np.random.default_rng(0).integers(0, 255, (8, 12, 3), np.uint8, endpoint=True)
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)
IPTC = b"\x1c\x02\x78\x00\x07Caption\x1c\x02\x50\x00\x05Jo\xc3\xa9e"
FORMATS = (".jpg", ".png", ".tif")


def camera_exif(orientation=1, note=0):
    block = PIL_Image.Exif()
    block[271], block[274], block[282], block[283], block[296] = "Maker", orientation, 72, 72, 2
    block[34665] = {33434: 0.008, **({37500: bytes(note)} if note else {})}
    return block.tobytes()


def photo(**changes):
    fields = {"xmp": XMP, "iptc": IPTC, "exif": camera_exif(), "resolution": (300.0, 240.0)}
    return images.Photo(PIXELS, **{**fields, **changes})


@pytest.mark.parametrize("second", FORMATS)
@pytest.mark.parametrize("first", FORMATS)
def test_metadata_are_kept_over_every_pair_of_formats(tmp_path, first, second):
    images.write_photo(tmp_path / f"a{first}", photo())
    images.write_photo(tmp_path / f"b{second}", images.read(tmp_path / f"a{first}"))
    seen = images.read(tmp_path / f"b{second}")
    assert (seen.xmp, seen.iptc, seen.resolution) == (XMP, IPTC, (300.0, 240.0))
    block = PIL_Image.Exif()
    block.load(seen.exif)
    assert block[271] == "Maker" and block.get_ifd(34665)[33434] == 0.008
    # As another program sees them.
    with PIL_Image.open(tmp_path / f"b{second}") as other:
        assert other.info["xmp"] == XMP or other.info["xmp"].encode() == XMP
        assert tuple(map(round, map(float, other.info["dpi"]))) == (300, 240)
        if second == ".jpg":
            assert other.info["photoshop"][0x0404] == IPTC
        if second == ".tif":
            assert other.tag_v2[33723] == IPTC


def test_a_file_without_metadata_gets_none(tmp_path):
    for suffix in FORMATS:
        images.write(tmp_path / f"a{suffix}", PIXELS)
        seen = images.read(tmp_path / f"a{suffix}")
        absent = (seen.xmp, seen.iptc, seen.exif, seen.resolution, seen.texts, seen.icc_profile)
        assert absent == (None, None, None, None, (), None)


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_orientation_in_xmp_follows_that_of_exif(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    if suffix == ".tif":
        tags = [(274, "H", 1, 6, True), (700, "B", len(XMP), XMP, True)]
        tifffile.imwrite(path, PIXELS, photometric="rgb", extratags=tags, resolution=(300, 240))
    else:
        images.write_photo(path, photo(exif=camera_exif(6)))
    seen = images.read(path)
    assert seen.pixels.shape == (12, 8, 3) and seen.resolution == (240.0, 300.0)
    assert seen.xmp == XMP.replace(b'"6"', b'"1"')
    # Pixels that were not turned keep what says that they are to be.
    images.write_photo(path, photo())
    assert images.read(path).xmp == XMP


TEXTS = (("Title", "Ä photo"), ("Author", "Joée"), ("Comment", "日本"), ("Mood", "calm"))


def test_png_keeps_all_text(tmp_path):
    images.write_photo(tmp_path / "a.png", photo(texts=TEXTS))
    seen = images.read(tmp_path / "a.png")
    assert seen.texts == TEXTS and seen.xmp == XMP
    with PIL_Image.open(tmp_path / "a.png") as other:
        other.load()
        assert {key: str(other.text[key]) for key, _ in TEXTS} == dict(TEXTS)


def test_text_goes_to_tags_and_the_comment_or_is_named(tmp_path):
    with pytest.warns(UserWarning, match="JPEG has no place for .* named Mood: it is left out"):
        images.write_photo(tmp_path / "a.jpg", photo(texts=TEXTS, exif=None))
    seen = images.read(tmp_path / "a.jpg")
    assert seen.texts == (("Comment", "日本"),)
    block = PIL_Image.Exif()
    block.load(seen.exif)
    assert block[315].encode("latin-1", "replace").startswith(b"Jo") and 269 in block
    with pytest.warns(UserWarning, match="TIFF has no place for .* named Comment, Mood: "):
        images.write_photo(tmp_path / "a.tif", photo(texts=TEXTS, exif=None))
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.pages[0].tags[269].value == "Ä photo"
    with pytest.warns(UserWarning, match="named Title, Author, Mood"):  # EXIF stays as it came
        images.write_photo(tmp_path / "b.jpg", photo(texts=TEXTS))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow warns, too
def test_exif_too_long_for_jpeg(tmp_path):
    with pytest.warns(UserWarning, match="the maker note is left out"):
        images.write_photo(tmp_path / "a.jpg", photo(exif=camera_exif(note=70_000)))
    block = PIL_Image.Exif()
    block.load(images.read(tmp_path / "a.jpg").exif)
    assert block[271] == "Maker" and block.get_ifd(34665) == {33434: 0.008}
    nonsense = exif.HEADER + b"II*\x00" + bytes(70_000)
    with pytest.warns(UserWarning, match="it is left out"):
        images.write_photo(tmp_path / "b.jpg", photo(exif=nonsense))
    assert images.read(tmp_path / "b.jpg").exif is None
    images.write_photo(tmp_path / "a.png", photo(exif=camera_exif(note=70_000)))
    assert images.read(tmp_path / "a.png").exif == camera_exif(note=70_000)


def test_xmp_too_long_for_a_segment_of_jpeg_is_extended(tmp_path):
    long = XMP.replace(b"<rdf:RDF", b"<!--" + b"x" * 150_000 + b"--><rdf:RDF")
    images.write_photo(tmp_path / "a.jpg", photo(xmp=long))
    first = images.read(tmp_path / "a.jpg")
    assert b"HasExtendedXMP" in first.xmp and first.xmp_extension == long
    images.write_photo(tmp_path / "b.jpg", first)
    images.write_photo(tmp_path / "b.png", images.read(tmp_path / "b.jpg"))
    assert images.read(tmp_path / "b.png").xmp == long
    # A main packet with content of its own cannot be joined.
    main = first.xmp.replace(b"rdf:about", b'a:b="c" rdf:about')
    with pytest.warns(UserWarning, match="extended part of XMP is left out"):
        images.write_photo(tmp_path / "c.png", dataclasses.replace(first, xmp=main))
    assert b"HasExtendedXMP" not in images.read(tmp_path / "c.png").xmp


def test_resolution_in_centimetres_and_aspect_ratios(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, resolution=(118.11, 118.11), resolutionunit=3)
    assert images.read(tmp_path / "a.tif").resolution == pytest.approx((300, 300), rel=1e-5)
    content = (tmp_path / "a.tif").read_bytes()
    tifffile.imwrite(tmp_path / "b.tif", PIXELS, resolution=(118.11, 118.11), resolutionunit=1)
    assert images.read(tmp_path / "b.tif").resolution is None and content
    PIL_Image.fromarray(PIXELS).save(tmp_path / "a.jpg", exif=camera_exif())
    assert images.read(tmp_path / "a.jpg").resolution == (72.0, 72.0)  # of EXIF: JFIF has none


def test_iptc_between_other_resources():
    other = b"8BIM\x03\xed\x03abc" + struct.pack(">I", 3) + b"xyz\x00"
    block = b"Photoshop 3.0\x00" + other + metadata.photoshop_of_iptc(IPTC) + other
    assert metadata.iptc_of_photoshop(block) == IPTC
    assert metadata.iptc_of_photoshop(other) is None
    for length in range(len(block)):
        metadata.iptc_of_photoshop(block[:length])  # truncated: no exception


def test_raw_profiles_of_image_magick(tmp_path):
    def raw(name, block):
        text = f"\n{name}\n{len(block):8d}\n{block.hex()}\n".encode()
        return b"zTXt", f"Raw profile type {name}".encode() + bytes(2) + zlib.compress(text)

    images.write(tmp_path / "a.png", PIXELS)
    fake_png_files.insert(tmp_path / "a.png", raw("exif", camera_exif(6)), raw("xmp", XMP))
    seen = images.read(tmp_path / "a.png")
    assert seen.pixels.shape == (12, 8, 3) and b'Orientation="1"' in seen.xmp and not seen.texts
    header = images.inspect(tmp_path / "a.png")
    assert (header.height, header.width) == (12, 8)


def test_broken_text_is_left_out(tmp_path):
    images.write(tmp_path / "a.png", PIXELS)
    fake_png_files.insert(
        tmp_path / "a.png", (b"zTXt", b"Title\x00\x00broken"), (b"tEXt", b"Author\x00me")
    )
    seen = images.read(tmp_path / "a.png")
    assert seen.texts == (("Author", "me"),)
    assert len(seen.notes) == 1 and seen.notes[0].startswith("a broken zTXt chunk is left out (")


def test_a_text_that_unpacks_without_end_is_left_out(tmp_path):
    images.write(tmp_path / "a.png", PIXELS)
    bomb = zlib.compress(bytes(1 << 27))
    fake_png_files.insert(tmp_path / "a.png", (b"zTXt", b"Title\x00\x00" + bomb))
    seen = images.read(tmp_path / "a.png")
    assert seen.texts == () and "larger than 64 MB unpacked" in seen.notes[0]


def test_jpeg_sides_are_checked_before_encoding(tmp_path):
    wide = np.zeros((1, 65_501, 3), np.uint8)
    with pytest.raises(ValueError, match=r"at most 65,500 pixels per side.*65,501 x 1"):
        images.write(tmp_path / "a.jpg", wide)
    images.write(tmp_path / "a.jpg", wide[:, 1:])


def test_comments_in_latin_1(tmp_path):
    PIL_Image.new("RGB", (2, 2)).save(tmp_path / "a.jpg", comment=b"Caf\xe9")
    assert images.read(tmp_path / "a.jpg").texts == (("Comment", "Caf\xe9"),)


def test_libpng_prints_nothing_of_metadata(tmp_path, capfd):
    PIL_Image.new("L", (2, 2)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    broken = b"\0\0\0\1eXIf" + bytes(5)
    (tmp_path / "a.png").write_bytes(content[:33] + broken + content[33:])
    assert images.read(tmp_path / "a.png").pixels.shape == (2, 2, 3)
    assert capfd.readouterr().err == ""
