"""FiveK: every layout, every split, the published lists by their checksums, colours."""

import hashlib
import json

import numpy as np
import pytest

from bilateral_jax import color, images
from bilateral_jax.data.sources import fivek, fivek_splits
from tests import assets, fake_datasets, optional_packages

optional_packages.need_images()

# Where a layout keeps photo 7 and expert c's retouch of it.
PATHS = {
    "480p": ("input/JPG/480p/a0007.jpg", "expertC/JPG/480p/a0007.jpg"),
    "480p_xyz": ("input/PNG/480p_16bits_XYZ_WB/a0007.png", "expertC/JPG/480p/a0007.jpg"),
    "dpe": ("input/a0007-DSC_1.tif", "label/a0007-DSC_1.tif"),
    "guide": ("FiveK/dataA/0007.jpg", "FiveK/dataB/0007.jpg"),
    "folders": ("input/a0007.png", "expert_c/a0007.png"),
    "exposure": (
        "fivek_dataset/FiveK_Lightroom_Export_InputDayLight/a0007-DSC_1.tif",
        "artists/FiveK_C/a0007-DSC_1.tif",
    ),
}
RAW_PLACES = {
    "archive": (
        "fivek_dataset/raw_photos/HQa1400to2100/photos/a0007-DSC_1.dng",
        "tiff16_c/a0007-DSC_1.tif",
    ),
    "single_files": ("img/dng/a0007-DSC_1.dng", "img/tiff16_c/a0007-DSC_1.tif"),
    "yuukicammy": (
        "MITAboveFiveK/raw/Nikon_D70/a0007-DSC_1.dng",
        "MITAboveFiveK/processed/tiff16_c/a0007-DSC_1.tif",
    ),
}


def write_pair(root, paths, dtypes=(np.uint8, np.uint8)):
    for seed, (path, dtype) in enumerate(zip(paths, dtypes)):
        fake_datasets.write(root / path, seed, dtype=dtype)


@pytest.mark.parametrize("layout", PATHS)
def test_layouts(tmp_path, layout):
    deep = {"480p_xyz": (np.uint16, np.uint8), "exposure": (np.uint16, np.uint8)}
    write_pair(tmp_path, PATHS[layout], deep.get(layout, (np.uint8, np.uint8)))
    assert fivek.find_layout(tmp_path) == layout
    (element,) = fivek.paired(tmp_path, split="all", part="all")
    assert element["name"] == PATHS[layout][0].rsplit("/", 1)[1]
    image, target = (images.read(tmp_path / path).pixels for path in PATHS[layout])
    np.testing.assert_array_equal(element["target"], target)
    if layout == "exposure":  # exported as ProPhoto
        converted = color.prophoto_to_srgb(images.to_float(image))
        np.testing.assert_array_equal(element["input"], images.to_integer(converted, 16))
    else:
        np.testing.assert_array_equal(element["input"], image)


@pytest.mark.parametrize("layout", RAW_PLACES)
def test_layouts_with_raw_files_are_recognised(tmp_path, layout):
    raw, tiff = RAW_PLACES[layout]
    fake_datasets.write(tmp_path / tiff, dtype=np.uint16)
    (tmp_path / raw).parent.mkdir(parents=True)
    (tmp_path / raw).write_bytes(b"II*\x00 no raw photo")
    assert fivek.find_layout(tmp_path) == layout
    pytest.importorskip("rawpy", reason="rawpy is not installed")
    with pytest.raises(ValueError, match=r"1 of 1 records are bad: a0007-DSC_1\.dng .cannot read"):
        fivek.paired(tmp_path, split="all", part="all")


def test_the_experts_files_may_lie_beside_the_archive(tmp_path):
    raw, tiff = RAW_PLACES["archive"]
    fake_datasets.write(tmp_path / tiff, dtype=np.uint16)
    (tmp_path / raw).parent.mkdir(parents=True)
    assert fivek.find_layout(tmp_path / "fivek_dataset") == "archive"


def test_experts_named_folders_and_unknown_layouts(tmp_path):
    write_pair(tmp_path, PATHS["folders"])
    with pytest.raises(ValueError, match="no known layout of FiveK with expert 'b'"):
        fivek.paired(tmp_path, split="all", part="all", expert="b")
    source = fivek.paired(tmp_path, split="all", part="all", inputs="expert_c", targets="input")
    np.testing.assert_array_equal(source[0]["input"], fake_datasets.pixels(1))
    with pytest.raises(ValueError, match="expert must be"):
        fivek.paired(tmp_path, split="all", part="all", expert="f")
    with pytest.raises(ValueError, match="layout must be"):
        fivek.paired(tmp_path, split="all", part="all", layout="zip")
    with pytest.raises(TypeError, match="colour"):
        fivek.paired(tmp_path, split="all", part="all", colour="srgb")


def test_splits_by_rule_are_disjoint_and_complete():
    sizes = {"upe": (4500, 500), "last500": (4500, 500), "can": (2500, 2500)}
    sizes["hdrnet"] = (4250, 250, 500)
    for split, expected in sizes.items():
        found = [fivek_splits.ids(split, part) for part in fivek_splits.parts(split)]
        assert tuple(map(len, found)) == expected
        assert sorted(sum(found, [])) == list(range(1, 5001))
    assert fivek_splits.ids("upe", "test") == list(range(4501, 5001))
    # Shuffled by hashes, so that no version of any package can change it.
    assert fivek_splits.ids("hdrnet", "validation")[:5] == [7, 26, 89, 145, 146]


def test_ids_of_names():
    for name in ("a0017-DSC_0101.dng", "a0017", "0017.jpg", "17", "a17_x.tif"):
        assert fivek_splits.id_of(name) == 17
    for name in ("b0017", "a0000", "a5001.png", "DSC_0101", "a123456789", ""):
        assert fivek_splits.id_of(name) is None


def published(folder):
    """Writes lists in place of the published ones; returns their ids and the table for them."""
    every = np.random.default_rng(0).permutation(np.arange(1, 5001)).tolist()
    ids = {"train_input": every[:40], "train_target": every[40:80], "test": every[80:90]}
    table = {}
    for (part, listed), file in zip(ids.items(), ("train_input", "train_label", "test")):
        (folder / f"{file}.txt").write_text("\n".join(f"a{i:04d}" for i in listed))
        joined = "\n".join(str(i) for i in sorted(listed))
        checksum = hashlib.sha256(joined.encode()).hexdigest()
        table[part] = fivek_splits.Listed(f"{file}.txt", len(listed), checksum)
    return ids, table


def test_published_lists_are_validated_by_count_and_checksum(tmp_path, monkeypatch):
    ids, table = published(tmp_path)
    with pytest.raises(ValueError, match=r"is not the list of split 'dpe': it holds 10 ids, 498"):
        fivek_splits.ids("dpe", "test", lists=tmp_path)
    monkeypatch.setitem(fivek_splits._LISTS, "dpe", table)
    for part, listed in ids.items():
        assert fivek_splits.ids("dpe", part, lists=tmp_path) == sorted(listed)
    both = fivek_splits.ids("dpe", "train", lists=tmp_path)
    assert both == sorted(ids["train_input"] + ids["train_target"])
    lines = (tmp_path / "test.txt").read_text().splitlines()
    swapped = next(f"a{i:04d}" for i in range(1, 5001) if i not in ids["test"])
    (tmp_path / "test.txt").write_text("\n".join([*lines[1:], swapped]))
    with pytest.raises(ValueError, match="must be the published ones"):
        fivek_splits.ids("dpe", "test", lists=tmp_path)
    (tmp_path / "test.txt").write_text("\n".join([*lines, lines[3]]))
    with pytest.raises(ValueError, match="more than once"):
        fivek_splits.ids("dpe", "test", lists=tmp_path)
    (tmp_path / "test.txt").write_text("a0001\nhello")
    with pytest.raises(ValueError, match="names no photo of FiveK in hello"):
        fivek_splits.ids("dpe", "test", lists=tmp_path)


def test_a_missing_list_is_named_with_its_folder(tmp_path):
    with pytest.raises(ValueError, match=r"split 'dpe' needs the published list test\.txt in"):
        fivek_splits.ids("dpe", "test", lists=tmp_path)
    with pytest.raises(ValueError, match="part must be .*'train_input'"):
        fivek_splits.ids("dpe", "validation")
    with pytest.raises(ValueError, match="split must be"):
        fivek_splits.ids("mine", "train")


def test_json_lists_and_the_rest_as_training(tmp_path):
    base = {f"a{i:04d}-x": {"license": "Adobe"} for i in range(1, 501)}
    (tmp_path / "validation.json").write_text(json.dumps(base))
    assert fivek_splits.ids("yuukicammy", "validation", lists=tmp_path) == list(range(1, 501))
    (tmp_path / "random250.txt").write_text("\n".join(map(str, range(1, 501, 2))))
    train = fivek_splits.ids("distort_and_recover", "train", lists=tmp_path)
    assert len(train) == 4750 and train[:3] == [2, 4, 6]
    (tmp_path / "validation.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match="must hold an object"):
        fivek_splits.ids("yuukicammy", "validation", lists=tmp_path)


def test_properties_of_the_published_lists():
    """Runs where a person has put the lists; the project does not contain them."""
    folder = assets.path("fivek_lists")
    dpe = {
        part: set(fivek_splits.ids("dpe", part, lists=folder)) for part in fivek_splits.parts("dpe")
    }
    assert set(range(1, 5001)) - dpe["train"] - dpe["test"] == {160, 2952}
    assert not dpe["train_input"] & dpe["train_target"] and not dpe["train"] & dpe["test"]
    shown = {212, 481, 535, 1305, 2995, 3203, 3451, 3552, 4963}
    assert shown <= dpe["test"]
    exposure = {
        part: set(fivek_splits.ids("exposure", part, lists=folder))
        for part in fivek_splits.parts("exposure")
    }
    assert exposure["train"] | exposure["test"] == set(range(1, 5001))
    assert not exposure["train_input"] & exposure["train_target"]
    assert not exposure["train"] & exposure["test"] and exposure["test_amt"] < exposure["test"]
    assert shown & exposure["test"] == {212, 481}


@pytest.fixture
def six(tmp_path):
    """Photos 1 to 6, of which 3 lacks its retouch."""
    for id_ in range(1, 7):
        fake_datasets.write(tmp_path / "input" / f"a{id_:04d}.png", id_)
        if id_ != 3:
            fake_datasets.write(tmp_path / "label" / f"a{id_:04d}.png", 100 + id_)
    return tmp_path


def test_missing_photos_are_named(six):
    with pytest.raises(ValueError, match=r"1 of 6 records are bad: a0003\.png .no partner in"):
        fivek.paired(six, split="all", part="all")
    with pytest.warns(UserWarning):
        source = fivek.paired(six, split="upe", part="train", on_bad="skip")
    assert [source[i]["name"] for i in range(5)] == [f"a000{i}.png" for i in (1, 2, 4, 5, 6)]
    assert len(source.skipped) == 4495
    assert ("a0007", "photo 7 of the split is missing") in source.skipped
    source = fivek.paired(six, split="upe", part="train", ids=[5, 2])
    assert [source[i]["name"] for i in range(2)] == ["a0002.png", "a0005.png"]
    (six / "mine.txt").write_text("# mine\na0006\n4\n")
    assert len(fivek.paired(six, split="upe", part="train", ids=six / "mine.txt")) == 2


def test_duplicate_photos_and_unknown_names_are_refused(six):
    fake_datasets.write(six / "label" / "a0002-again.png")
    with pytest.raises(ValueError, match="photo 2 exists twice"):
        fivek.paired(six, split="all", part="all", on_bad="skip")
    (six / "label" / "a0002-again.png").rename(six / "label" / "holiday.png")
    with pytest.raises(ValueError, match=r"holiday\.png is not named as a photo of FiveK"):
        fivek.paired(six, split="all", part="all", on_bad="skip")


def test_unpaired_photos_combine_inputs_of_one_half_and_targets_of_the_other(six, monkeypatch):
    halves = {"train_input": [1, 2, 3], "train_target": [4, 5, 6], "test": []}
    monkeypatch.setattr(fivek_splits, "ids", lambda split, part, lists: halves[part])
    source = fivek.unpaired_photos(six, split="dpe", seed=2, rounds=5)
    elements = [source[i] for i in range(len(source))]
    assert {e["name"] for e in elements} == {f"a000{i}.png" for i in (1, 2, 3)}
    assert {e["target_name"] for e in elements} == {f"a000{i}.png" for i in (4, 5, 6)}
    np.testing.assert_array_equal(elements[0]["input"], fake_datasets.pixels(1))


def test_both_members_are_resized_alike(tmp_path):
    fake_datasets.write(tmp_path / "input" / "a0001.png", shape=(64, 96, 3))
    fake_datasets.write(tmp_path / "label" / "a0001.png", shape=(64, 96, 3), dtype=np.uint16)
    (element,) = fivek.paired(tmp_path, split="all", part="all", long_side=24)
    assert element["input"].shape == element["target"].shape == (16, 24, 3)
    areas = fake_datasets.pixels(0, shape=(64, 96, 3)).reshape(16, 4, 24, 4, 3).mean((1, 3))
    assert np.abs(element["input"] - areas).max() <= 0.51
    (element,) = fivek.paired(tmp_path, split="all", part="all", long_side=1000)
    assert element["input"].shape == (64, 96, 3)
    with pytest.raises(ValueError, match="long_side must be at least 1"):
        fivek.paired(tmp_path, split="all", part="all", long_side=0)


def test_the_real_sample():
    root = assets.path("fivek_sample")
    source = fivek.paired(root, split="all", part="all", verify="full")
    assert [source.name(i) for i in range(len(source))] == [
        f"a{i:04d}.png" for i in (535, 1305, 2995, 3451, 4963)
    ]
    element = source[0]
    assert element["input"].shape == element["target"].shape
    np.testing.assert_array_equal(
        element["target"], images.read(root / "expert_c" / "a0535.png").pixels
    )
