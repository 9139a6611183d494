"""Forged records of a saved step: a missing or invalid field is damage; nothing is allocated."""

import json
import os

import jax
import numpy as np
import pytest

from bilateral_jax.checkpoints import integrity, trees


def _reseal(folder, change):
    """Changes the record of a step and its checksum with it."""
    path = folder / "meta" / "metadata"
    record = json.loads(path.read_text())
    record = change(record) or record
    if isinstance(record, dict):
        record = integrity.with_checksum({k: v for k, v in record.items() if k != "digest"})
    path.write_text(json.dumps(record))


def _set(*keys, value):
    """Makes a change of a record: sets a field."""

    def change(record):
        for key in keys[:-1]:
            record = record[key]
        record[keys[-1]] = value

    return change


def _without(*keys):
    """Makes a change of a record: removes a field."""

    def change(record):
        for key in keys[:-1]:
            record = record[key]
        del record[keys[-1]]

    return change


_ODD = [None, True, -1, 1.5, 10**30, "", "x", [], [[]], {}, {"a": 1}, [None], [10**12], "0" * 10**4]


@pytest.fixture(scope="module")
def saved_once(tmp_path_factory):
    directory = tmp_path_factory.mktemp("forged")
    tree = {"w": np.arange(6.0), "none": np.zeros((0, 3)), "key": jax.random.key(3)}
    trees.save(directory, 7, tree, metadata={"a": 1})
    record = directory / "7" / "meta" / "metadata"
    return directory, record.read_text()


@pytest.fixture
def forged(saved_once):
    """`change of the record -> error`, on one saved step."""
    directory, text = saved_once
    record = directory / "7" / "meta" / "metadata"

    def error(change):
        record.write_text(text)
        _reseal(directory / "7", change)
        with pytest.raises(ValueError) as caught:
            trees.restore(directory, 7)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
        return caught.value

    yield error
    record.write_text(text)


def test_a_record_with_a_missing_or_odd_field_is_damaged(forged):
    leaf_fields = ("path", "shape", "dtype", "key", "digest")
    places = [("format",), ("leaves",), ("metadata",), ("leaves", "w"), ("leaves", "none")]
    places += [("leaves", name, field) for name in ("w", "none", "key") for field in leaf_fields]
    changes = [_without(*place) for place in places if len(place) != 2]
    for place in places:
        right = {("metadata",): [{}, {"a": 1}], ("leaves",): [{}]}
        right |= {("leaves", name, "key"): [None] for name in ("w", "none", "key")}
        values = [value for value in _ODD if value not in right.get(place, [])]
        changes += [_set(*place, value=value) for value in values if place != ("format",)]
    changes += [_set("format", value=value) for value in (None, True, -1, 0, 1.5, "1", [1], {})]
    changes += [lambda record: [record], lambda record: "record"]
    for number, change in enumerate(changes):
        assert isinstance(forged(change), trees.DamagedCheckpointError), number


def test_a_later_format_is_refused_without_trying_an_older_step(tmp_path):
    for step in (3, 7):
        trees.save(tmp_path, step, {"w": np.zeros(3)})
    _reseal(tmp_path / "7", _set("format", value=99))
    with pytest.raises(trees.UnknownFormatError, match=r"step 7 in .* has format 99; this version"):
        trees.restore(tmp_path, set_aside_damaged=True)
    assert (tmp_path / "7").is_dir()


def test_a_renamed_step_is_damaged(tmp_path):
    trees.save(tmp_path, 3, {"w": np.zeros(3)})
    (tmp_path / "3").rename(tmp_path / "40")
    with pytest.raises(
        trees.DamagedCheckpointError, match="step 40 .* its record is that of step 3"
    ):
        trees.restore(tmp_path)
    _reseal(tmp_path / "40", _without("step"))  # the first versions wrote no number
    assert trees.restore(tmp_path)[0] == 40


def test_sizes_are_bounded_before_anything_is_allocated(forged):
    for shape in ([10**12], [2**62, 2**62], [10**30], [3]):
        assert "damaged" in str(forged(_set("leaves", "w", "shape", value=shape)))
    assert "side" in str(forged(_set("leaves", "none", "shape", value=[0, 10**15])))
    assert "not those of its record" in str(forged(_set("leaves", "w", "dtype", value="int64")))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
@pytest.mark.parametrize("name", ["meta/metadata", "digests.json", "state/manifest.ocdbt"])
def test_a_fifo_in_place_of_a_file_is_damage(tmp_path, name):
    trees.save(tmp_path, 3, {"w": np.zeros(3)})
    (tmp_path / "3" / name).unlink()
    os.mkfifo(tmp_path / "3" / name)
    with pytest.raises(trees.DamagedCheckpointError, match="a FIFO, not a regular file"):
        trees.restore(tmp_path, 3)
