"""Regular files are opened; pipes, devices, folders and broken links are named. Costs nothing."""

import os

import pytest

from bilateral_jax import regular_files


def make(folder):
    (folder / "file").write_bytes(b"abc")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("file")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    return folder


def test_a_regular_file_and_a_link_to_one_are_opened(tmp_path):
    make(tmp_path)
    for name in ("file", "link"):
        regular_files.check(tmp_path / name)
        with regular_files.open_binary(tmp_path / name) as file:
            assert file.read() == b"abc"


@pytest.mark.parametrize(
    "name, error, words",
    [
        ("pipe", OSError, "named pipe"),  # opening it plainly would wait for ever
        ("folder", OSError, "folder"),
        ("dangling", FileNotFoundError, "dangling link"),
        ("loop", OSError, "leads to itself"),
        ("absent", FileNotFoundError, "(?i)no such file"),
    ],
)
def test_what_is_no_regular_file_is_named(tmp_path, name, error, words):
    make(tmp_path)
    for function in (regular_files.open_binary, regular_files.check):
        with pytest.raises(error, match=words) as caught:
            function(tmp_path / name)
        assert name in str(caught.value)


def test_a_device_is_not_read():
    with pytest.raises(OSError, match="character device"):
        regular_files.open_binary(os.devnull)
