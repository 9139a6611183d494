"""Folders and lists of pairs: matching, mixed depths, errors by name."""

import numpy as np
import pytest

from bilateral_jax import images
from bilateral_jax.data.sources import pairs
from tests import optional_packages

optional_packages.need_images()


def pixels(seed, shape=(6, 8, 3), dtype=np.uint8):
    values = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, endpoint=True)
    return values.astype(dtype)


@pytest.fixture
def root(tmp_path):
    for folder in ("input", "target"):
        (tmp_path / folder).mkdir()
    for index, name in enumerate(("b", "a", "c")):
        images.write(tmp_path / "input" / f"{name}.png", pixels(index))
        images.write(tmp_path / "target" / f"{name}.png", pixels(index + 10))
    return tmp_path


def test_pairs_are_matched_by_name_and_sorted(root):
    source = pairs.PairedFolder(root)
    assert len(source) == 3
    assert [source[i]["name"] for i in range(3)] == ["a.png", "b.png", "c.png"]
    np.testing.assert_array_equal(source[1]["input"], pixels(0))
    np.testing.assert_array_equal(source[1]["target"], pixels(10))
    with pytest.raises(IndexError):
        source[3]


def test_depth_and_format_may_differ_file_by_file(root):
    (root / "target" / "a.png").unlink()
    images.write(root / "target" / "a.tif", pixels(5, dtype=np.uint16))
    images.write(root / "input" / "b.png", pixels(6, dtype=np.uint16))
    source = pairs.PairedFolder(root)
    assert source[0]["input"].dtype == np.uint8 and source[0]["target"].dtype == np.uint16
    assert source[1]["input"].dtype == np.uint16 and source[1]["target"].dtype == np.uint8


def test_other_files_are_ignored_and_folders_may_be_named(root):
    (root / "input" / "notes.txt").write_text("hello")
    (root / "input" / ".hidden.png").write_bytes(b"")
    (root / "target").rename(root / "output")
    assert len(pairs.PairedFolder(root, targets="output")) == 3


def test_sub_folders_and_raw_files_are_said_to_be_left_out(root, caplog):
    (root / "input" / "more").mkdir()
    (root / "target" / "a.DNG").touch()
    (root / "target" / ".hidden").mkdir()
    pairs.PairedFolder(root)
    assert [record.message for record in caplog.records] == [
        f"{root}/input: sub-folders are not read: more",
        f"{root}/target: raw files are not read: a.DNG",
    ]


def test_a_missing_partner_is_named(root):
    (root / "target" / "b.png").unlink()
    with pytest.raises(ValueError, match=r"bad: b\.png \(no partner in .*target\)"):
        pairs.PairedFolder(root)
    images.write(root / "target" / "b.png", pixels(0))
    (root / "input" / "c.png").unlink()
    with pytest.raises(ValueError, match=r"bad: c\.png \(no partner in .*input\)"):
        pairs.PairedFolder(root)


def test_many_missing_partners_are_counted(root):
    for index in range(7):
        images.write(root / "input" / f"x{index}.png", pixels(0))
    with pytest.raises(ValueError, match=r"7 of 10 records .* x2\.png \(.*\) and 4 more"):
        pairs.PairedFolder(root)


def test_doubled_names_empty_and_missing_folders(root, tmp_path):
    images.write(root / "input" / "a.jpg", pixels(0))
    with pytest.raises(ValueError, match=r"same name twice: a\.jpg, a\.png"):
        pairs.PairedFolder(root)
    with pytest.raises(ValueError, match="no folder .*nowhere"):
        pairs.PairedFolder(root / "nowhere")
    (tmp_path / "bare" / "input").mkdir(parents=True)
    with pytest.raises(ValueError, match="no images"):
        pairs.PairedFolder(tmp_path / "bare")


def test_different_sizes_are_refused_when_read(root):
    images.write(root / "target" / "a.png", pixels(0, (8, 6, 3)))
    with pytest.raises(ValueError, match=r"input.a\.png is 6 x 8, .*target.a\.png is 8 x 6"):
        pairs.PairedFolder(root)[0]


def test_a_broken_file_is_named_when_read(root):
    (root / "target" / "a.png").write_bytes(b"oops")
    with pytest.raises(ValueError, match=r"target.a\.png"):
        pairs.PairedFolder(root)[0]


def test_two_lists_of_files(root):
    inputs = [root / "input" / name for name in ("c.png", "a.png")]
    targets = [str(root / "target" / name) for name in ("a.png", "c.png")]
    source = pairs.PairedFolder.from_lists(inputs, targets)
    np.testing.assert_array_equal(source[0]["input"], pixels(2))
    np.testing.assert_array_equal(source[0]["target"], pixels(11))


def test_two_text_files_are_relative_to_themselves(root):
    (root / "in.txt").write_text("input/c.png\n\ninput/a.png\n", encoding="utf-8")
    (root / "out.txt").write_text("target/c.png\ntarget/a.png", encoding="utf-8")
    source = pairs.PairedFolder.from_lists(root / "in.txt", str(root / "out.txt"))
    assert len(source) == 2 and source[0]["name"] == "c.png"


def test_bad_lists_are_named(root):
    file = root / "input" / "a.png"
    with pytest.raises(ValueError, match="got 2 and 1"):
        pairs.PairedFolder.from_lists([file, file], [file])
    with pytest.raises(ValueError, match="at least one"):
        pairs.PairedFolder.from_lists([], [])
    with pytest.raises(ValueError, match=r"absent\.png does not exist"):
        pairs.PairedFolder.from_lists([file], [root / "absent.png"])
