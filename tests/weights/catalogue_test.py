"""The catalogue's entries, held against the files of the assets where they are."""

import os
import re

import pytest

from bilateral_jax.weights import cache, catalogue, download
from tests import assets

# Where the assets have an entry's files.
FOLDERS = {
    "dped": "dped",
    "can24-l0-smoothing": "can24/L0_smoothing",
    "can24-multiscale": "can24/Multiscale_tone_manipulation",
    "can24-nonlocal": "can24/Nonlocal_dehazing",
    "can24-style": "can24/Photographic_style",
    "lut3d-srgb": "lut3d",
    "neurop": "neurop",
    "lut-bgrid": "lut_bgrid",
    "svdlut": "svdlut",
    "seplut": "seplut",
}
VERIFIED = [entry for entry in catalogue.ENTRIES if entry.verified]
# Their checksums are of the files at the repository's commit, which are not among the assets.
NOT_AT_HAND = {
    *("can24-dark-channel", "can24-pencil", "can24-rtv", "can24-rof", "can24-tv-l1"),
    *("lut3d-xyz", "lut3d-xyz-unpaired"),
}


def name(entry):
    return entry.name


def test_names_are_unique():
    names = [entry.name for entry in catalogue.ENTRIES]
    assert len(names) == len(set(names)) == 25
    assert all(catalogue.find(each).name == each for each in names)
    with pytest.raises(ValueError, match="no weights 'nope', expected one of: dped-iphone, "):
        catalogue.find("nope")


@pytest.mark.parametrize("entry", catalogue.ENTRIES, ids=name)
def test_an_entry_is_complete(entry):
    commit = entry.publication.commit
    assert entry.purpose
    assert entry.files[0].argument == "source"
    for file in entry.files:
        assert re.fullmatch(r"https://[\w.%/:-]+", entry.address(file))
        assert commit is None or f"/{commit}/" in entry.address(file)
        assert file.sha256 is None or (re.fullmatch("[0-9a-f]{64}", file.sha256) and file.size)


def test_a_special_character_is_no_fragment():
    (file,) = catalogue.find("seplut").files
    assert catalogue.find("seplut").address(file).endswith("SepLUT-FiveK-sRGB-M6%233D9%231D9.pth")


@pytest.mark.parametrize("entry", [e for e in VERIFIED if e.name not in NOT_AT_HAND], ids=name)
def test_checksums_are_those_of_the_files(entry, tmp_path):
    if entry.publication.release:
        pytest.skip("the file is a Python package's wheel, which is not among the assets")
    (folder,) = (f for prefix, f in FOLDERS.items() if entry.name.startswith(prefix))
    files = assets.path(*folder.split("/"))
    arguments = cache.copy(entry, tmp_path, [files])
    assert arguments["source"].is_file()
    for file in entry.files:
        path = cache.entry_folder(entry, tmp_path) / file.name
        assert download.matches(path, sha256=file.sha256, size=file.size)


def test_a_packages_release_stands_for_a_commit():
    entry = catalogue.find("efficientnet-lite0")
    assert entry.verified and entry.revision == "0.1.0" and entry.size == 17_364_911


def test_files_that_are_not_the_entrys(tmp_path):
    entry = catalogue.find("neurop-dark")
    (tmp_path / "neurop_fivek_dark.pth").write_bytes(b"x")
    expected = f"expected the SHA-256 {entry.files[0].sha256} and 117,433 bytes"
    with pytest.raises(
        ValueError, match=f"dark.pth is not the file neurop_fivek_dark.* {expected}"
    ):
        cache.copy(entry, tmp_path / "cache", [tmp_path / "neurop_fivek_dark.pth"])
    with pytest.raises(FileNotFoundError):
        cache.copy(entry, tmp_path / "cache", [tmp_path / "absent"])
    assert not (tmp_path / "cache").exists()


def test_a_file_without_a_checksum_is_recognised_by_its_name_or_alone(tmp_path):
    entry = catalogue.find("vgg19")
    for each in ("other", entry.files[0].name):
        (tmp_path / each).write_text(each)
    alone = cache.copy(entry, tmp_path / "a", [tmp_path / "other"])
    assert alone["source"].name == entry.files[0].name
    named = cache.copy(entry, tmp_path / "b", [tmp_path])
    assert named["source"].read_text() == entry.files[0].name


def test_the_folder_of_downloads(tmp_path, monkeypatch):
    assert cache.folder(chosen=tmp_path / "option") == tmp_path / "option"
    pytest.importorskip("platformdirs", reason="platformdirs is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if os.uname().sysname == "Linux":
        assert cache.folder() == tmp_path / "bilateral_jax" / "weights"
