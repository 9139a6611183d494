"""Files and folders written whole or not at all. Costs under a second."""

import os

import pytest

from bilateral_jax import atomic


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_json_and_text_are_replaced(tmp_path):
    path = tmp_path / "config.json"
    for value in ({"seed": 0, "name": "é"}, {"seed": 1}):
        atomic.write_json(path, value, sync=True)
        assert atomic.read_json(path) == value
    assert path.read_text(encoding="utf-8").endswith("}\n")
    atomic.write_text(path, "é")
    assert path.read_text(encoding="utf-8") == "é" and names(tmp_path) == ["config.json"]


def test_a_write_that_fails_leaves_the_old_file_and_no_scratch(tmp_path, monkeypatch):
    path = tmp_path / "config.json"
    atomic.write_json(path, {"seed": 0})
    with pytest.raises(TypeError):
        atomic.write_json(path, {"seed": object()})
    with pytest.raises(RuntimeError), atomic.file(path) as scratch:
        scratch.write_bytes(b"half")
        raise RuntimeError

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        atomic.write_text(path, "{}")
    assert atomic.read_json(path) == {"seed": 0} and names(tmp_path) == ["config.json"]


def test_names_as_long_as_the_file_system_allows(tmp_path):
    path = tmp_path / ("n" * 255)
    atomic.write_text(path, "long")
    assert path.read_text() == "long"
    with atomic.folder(tmp_path / ("f" * 255)) as scratch:
        (scratch / "a").touch()
    assert names(tmp_path / ("f" * 255)) == ["a"]


def test_a_folder_is_replaced_or_stays(tmp_path):
    target = tmp_path / "folder"
    for name in ("a", "b"):
        with atomic.folder(target) as scratch:
            (scratch / name).touch()
    assert names(target) == ["b"]
    with pytest.raises(RuntimeError), atomic.folder(target) as scratch:
        (scratch / "c").touch()
        raise RuntimeError
    assert names(target) == ["b"]
    with atomic.folder(target, keep_existing=True) as scratch:
        (scratch / "d").touch()
    assert names(target) == ["b"] and names(tmp_path) == ["folder"]


def test_what_a_killed_process_left_is_removed(tmp_path):
    (tmp_path / "kept").touch()
    atomic._scratch(tmp_path / "file").touch()
    left = atomic._scratch(tmp_path / "folder")
    left.mkdir()
    (left / "a").touch()
    atomic.remove_scratch(tmp_path)
    assert names(tmp_path) == ["kept"]
    atomic.remove_scratch(tmp_path / "absent")


def test_files_that_are_not_json_are_named(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"seed": ')
    with pytest.raises(ValueError, match=r"config\.json cannot be read as JSON .*; remove it"):
        atomic.read_json(path)
    for text in ("[1, 2]", '"text"', "null", "[" * 100_000):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"config\.json cannot be read as JSON"):
            atomic.read_json(path)
    with pytest.raises(FileNotFoundError):
        atomic.read_json(tmp_path / "absent.json")
