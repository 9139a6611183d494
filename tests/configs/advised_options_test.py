"""What messages advise can be typed: the options are entries of the configs. No training."""

import pathlib
import sys

import pytest
from absl import flags
from ml_collections import config_flags

from tests import assets

# ml_collections loads configs in a way that Python 3.11 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:.*load_module:DeprecationWarning")
_CONFIGS = assets.ROOT / "configs"
_OF_FILES = ("folder", "unpaired", "fivek", "dped", "ava", "tid2013")
_NAMES = sorted(
    path.stem
    for path in _CONFIGS.glob("*.py")
    if path.stem not in ("__init__", "stored", "unpaired_photos")
)


def _parsed(monkeypatch, name, *options):
    values = flags.FlagValues()
    words = ["train", f"--config={_CONFIGS / name}", *options]
    monkeypatch.setattr(sys, "argv", words)  # config_flags looks there for overrides
    config_flags.DEFINE_config_file("config", flag_values=values)
    values(words)
    return values["config"].value


@pytest.mark.parametrize("name", [f"{name}.py" for name in _NAMES] + ["nima.py:tid2013"])
def test_every_config_has_the_options_that_messages_advise(name, monkeypatch):
    config = _parsed(monkeypatch, name)
    assert config.run.accept_changed_data is False
    for section in ("train", "heldout"):
        source = config.data[section]
        if source.kind in _OF_FILES:
            assert source.on_bad in ("refuse", "skip") and source.follow_links is False
    if config.experiment != "nima":  # its photos are single ones
        assert config.batches.paired is not config.data.train.kind.startswith("unpaired")
    if "short_sides" in config.batches:
        assert config.batches.pad_to is None


def test_they_are_typed_as_the_messages_say(monkeypatch):
    options = ["--config.data.train.on_bad=skip", "--config.data.heldout.follow_links=True"]
    options += ["--config.batches.paired=False", "--config.batches.pad_to=(40, 64)"]
    config = _parsed(monkeypatch, "can.py", *options)
    assert config.data.train.on_bad == "skip" and config.data.heldout.follow_links is True
    assert config.batches.paired is False and tuple(config.batches.pad_to) == (40, 64)
    assert config.data.heldout.on_bad == "refuse"


def test_stored_configs_are_read_from_their_file(monkeypatch, tmp_path):
    config = _parsed(monkeypatch, "smoke.py")
    path = pathlib.Path(tmp_path) / "config.json"
    path.write_text(config.to_json())
    assert _parsed(monkeypatch, f"stored.py:{path}").to_dict().keys() == config.to_dict().keys()
