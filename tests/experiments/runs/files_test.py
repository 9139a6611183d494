"""Files of experiments: whole or as they were, and what two configs differ in."""

import os

import pytest

from experiments.runs import files


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "config.json"
    files.write_json(path, {"seed": 0, "name": "é"})
    assert files.read_json(path) == {"seed": 0, "name": "é"}
    assert path.read_text(encoding="utf-8").endswith("}\n")
    with pytest.raises(TypeError):
        files.write_json(path, {"seed": object()})

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        files.write_whole(path, "{}")
    assert files.read_json(path)["seed"] == 0


def test_what_is_no_json_is_named(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"seed": ')
    with pytest.raises(ValueError, match=r"config\.json cannot be read as JSON .*; remove it"):
        files.read_json(path)
    with pytest.raises(FileNotFoundError):
        files.read_json(tmp_path / "absent.json")


def test_differences_name_what_is_there_and_what_is_now():
    there = {"model": {"name": "A", "gd": 8, "more": {}}, "seed": 0}
    now = {"model": {"name": "A", "gd": 4, "more": {}}, "steps": 2}
    assert files.flat(there) == {"model.name": "A", "model.gd": 8, "model.more": {}, "seed": 0}
    assert files.differences(there, now) == (
        "model.gd: 8 there, 4 now; seed: 0 there, 'absent' now; steps: 'absent' there, 2 now"
    )
    assert files.differences(there, there) == ""
