"""Messages of sources that cannot be made: they name options as they are typed."""

import pytest

from configs import unpaired_photos
from experiments.runs import sources
from tests import fake_datasets


def _message(**sections):
    with pytest.raises(ValueError) as caught:
        sources.make(**sections, cached=False, members=("input", "target"))
    return str(caught.value)


def test_options_of_a_source_within_a_source_are_named_by_their_path(tmp_path):
    for index in range(12):
        fake_datasets.write(tmp_path / f"q{index}.png", index, shape=(30, 40, 3))
    (tmp_path / "q3.png").write_bytes(b"damaged")
    made = unpaired_photos.sections(str(tmp_path))
    assert "--config.data.train.photos.on_bad=skip would leave" in _message(**made)
    made["train"]["photos"]["on_bad"] = "skip"
    with pytest.warns(UserWarning, match="q3.png"):
        message = _message(**made)
    assert "--config.data.heldout.photos.on_bad=skip would leave" in message


def test_too_few_photos_for_those_held_out(tmp_path):
    for index in range(3):
        fake_datasets.write(tmp_path / f"q{index}.png", index, shape=(30, 40, 3))
    made = unpaired_photos.sections(str(tmp_path))
    assert _message(**made).startswith(
        "--config.data.train.photos: heldout must leave photos for training: at least 1 and fewer "
        "than 3, got 8"
    )
    for section in made.values():
        section["photos"]["heldout"] = 1
    train, heldout = sources.make(**made, cached=False, members=("input", "target"))
    assert len(heldout) == 1 and train[0]["name"].split("_dull")[0] != heldout[0]["name"]


def test_options_of_a_plain_source_are_named_as_before(tmp_path):
    for index in range(2):
        for side in ("input", "target"):
            fake_datasets.write(tmp_path / side / f"p{index}.png", index, shape=(30, 40, 3))
    (tmp_path / "input" / "p1.png").write_bytes(b"damaged")
    section = {"kind": "folder", "root": str(tmp_path)}
    message = _message(train=section, heldout=section)
    assert message.startswith("--config.data.train: 1 of 2 ")
    assert "--config.data.train.on_bad=skip would leave" in message
