"""The cache of decoded photos: the same batches, each photo decoded once, one source per folder."""

import pathlib

import numpy as np
import pytest

from bilateral_jax import resize
from bilateral_jax.data.pipeline import batches, pixel_cache
from bilateral_jax.data.synthetic import procedural

pytest.importorskip("grain", reason="Grain is not installed")


class Counting:
    """Photos whose decoding is counted; 16-bit targets."""

    def __init__(self, seed=1):
        self._source, self.read = procedural.SyntheticPairs(4, size=(40, 48), seed=seed), []

    def __len__(self):
        return len(self._source)

    def __getitem__(self, index):
        self.read.append(index)
        element = self._source[index]
        eight, sixteen = element["input"] * 255, element["target"] * 65535
        return element | {"input": eight.astype(np.uint8), "target": sixteen.astype(np.uint16)}


def make(source, folder, **options):
    options = {"batch_size": 4, "crop": 24, "seed": 3, "lowres_size": 16} | options
    return batches.train_batches(source, decoded_folder=folder, **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"flips": True, "rotations": True, "lowres_from": "photo"},
        {"flips": True, "lowres_from": "photo", "lowres_method": "nearest_legacy"},
        {"exposure": 0.5, "flips": True, "lowres_from": "photo"},
        {"paired": False, "flips": True, "rotations": True, "lowres_from": "photo"},
    ],
)
def test_batches_are_those_of_the_source(options, tmp_path):
    plain, kept = make(Counting(), None, **options), make(Counting(), tmp_path, **options)
    for _ in range(4):
        one, other = next(plain), next(kept)
        assert one.keys() == other.keys()
        for key in one:
            # The copy of a rotated photo sums its pixels in another order.
            np.testing.assert_allclose(one[key], other[key], atol=1e-6 * (key == "lowres"))


def test_each_photo_is_decoded_once_and_its_copy_made_once(tmp_path, monkeypatch):
    source = Counting()
    # Of two threads that ask at the same moment, both decode.
    options = {"flips": True, "lowres_from": "photo", "threads": 0}
    stream = make(source, tmp_path, **options)
    for _ in range(5):
        next(stream)
    stream.close()
    assert sorted(source.read) == [0, 0, 1, 2, 3]  # the first once more, to know the source
    again = Counting()
    monkeypatch.setattr(resize, "resize_pixels", None)  # calling it would fail
    next(make(again, tmp_path, **options))
    assert again.read == [0]


def test_only_the_rows_of_a_crop_are_read(tmp_path):
    kept = pixel_cache.PixelCache(Counting(), tmp_path)
    element = kept[2]
    assert isinstance(element["input"], np.memmap) and not element["input"].flags.writeable
    assert element["target"].dtype == np.uint16 and element["name"] == "synthetic_00002"
    np.testing.assert_array_equal(element["target"], Counting()[2]["target"])


def test_another_source_is_refused(tmp_path):
    pixel_cache.PixelCache(Counting(), tmp_path)
    pixel_cache.PixelCache(Counting(), tmp_path)
    with pytest.raises(ValueError, match="another source .first differ"):
        pixel_cache.PixelCache(Counting(seed=2), tmp_path)
    with pytest.raises(ValueError, match="lowres differ"):
        pixel_cache.PixelCache(Counting(), tmp_path, lowres=(16, "area"))


def test_an_interrupted_write_leaves_no_photo(tmp_path, monkeypatch):
    kept = pixel_cache.PixelCache(Counting(), tmp_path)
    save, saved = np.save, []

    def full_disk(path, array):
        if saved:
            raise OSError(28, "No space left on device", str(path))
        saved.append(path)
        save(path, array)

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full_disk)
        with pytest.raises(OSError, match="No space left"):
            kept[1]
    assert [path.name for path in pathlib.Path(tmp_path).iterdir()] == ["source.json"]
    np.testing.assert_array_equal(kept[1]["input"], Counting()[1]["input"])


def test_the_second_of_two_concurrent_writers_uses_the_first_ones_files(tmp_path, monkeypatch):
    kept = pixel_cache.PixelCache(Counting(), tmp_path)
    other = pixel_cache.PixelCache(Counting(), tmp_path)
    before = Counting.__getitem__

    def slow(self, index):
        if self is kept._source:
            other[index]  # another writer finishes first
        return before(self, index)

    monkeypatch.setattr(Counting, "__getitem__", slow)
    np.testing.assert_array_equal(kept[3]["input"], before(Counting(), 3)["input"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0000003", "source.json"]


def test_an_index_is_checked_against_the_source(tmp_path):
    kept = pixel_cache.PixelCache(Counting(), tmp_path)
    assert kept[-1]["name"] == "synthetic_00003" and len(kept) == 4
    with pytest.raises(IndexError):
        kept[4]


def test_only_a_named_and_empty_folder_is_taken(tmp_path):
    (tmp_path / "holiday.jpg").touch()
    for folder, reason in (("", "must be named"), (tmp_path, "holds other files")):
        with pytest.raises(ValueError, match=reason):
            pixel_cache.PixelCache([{}], folder)
