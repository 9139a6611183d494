"""Only regular files are opened, and nothing waits for a FIFO. Milliseconds."""

import os
import pathlib
import socket

import pytest

from bilateral_jax import regular_files

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")


@pytest.fixture
def special(tmp_path):
    """A folder with one path of each kind that is no regular file."""
    os.mkfifo(tmp_path / "fifo")
    os.symlink("fifo", tmp_path / "link")
    (tmp_path / "folder").mkdir()
    os.symlink("gone", tmp_path / "dangling")
    os.symlink("itself", tmp_path / "itself")
    with socket.socket(socket.AF_UNIX) as server:
        here = pathlib.Path.cwd()
        os.chdir(tmp_path)  # the address of a socket must be short
        server.bind("socket")
        os.chdir(here)
        yield tmp_path


@pytest.mark.parametrize(
    "name, kind",
    [("fifo", "a FIFO"), ("link", "a FIFO"), ("folder", "a folder"), ("socket", "a socket")],
)
def test_other_kinds_of_files_are_refused_by_name(special, name, kind):
    with pytest.raises(ValueError, match=f"{name} is {kind}, not a regular file"):
        regular_files.open_binary(special / name)
    assert regular_files.fault(special / name) == f"is {kind}, not a regular file"


def test_devices_are_refused():
    with pytest.raises(ValueError, match="/dev/null is a character device, not a regular file"):
        regular_files.read_bytes("/dev/null")


def test_links_that_lead_nowhere_are_explained(special):
    reasons = [regular_files.fault(special / name) for name in ("dangling", "itself", "absent")]
    assert reasons[0] == "is a link to gone, which does not exist"
    assert reasons[1].startswith("is a link to itself, which cannot be followed (")
    assert reasons[2] == "does not exist"
    with pytest.raises(ValueError, match="dangling is a link to gone, which does not exist"):
        regular_files.open_binary(special / "dangling")


def test_regular_files_are_read(tmp_path):
    (tmp_path / "text").write_bytes(b"one\r\ntwo\n")
    assert regular_files.fault(tmp_path / "text") is None
    assert regular_files.kind(tmp_path / "text") == "a regular file"
    with regular_files.open_binary(tmp_path / "text") as file:
        assert file.name == str(tmp_path / "text") and os.get_blocking(file.fileno())
    assert regular_files.read_bytes(tmp_path / "text") == b"one\r\ntwo\n"
    assert regular_files.read_text(tmp_path / "text") == "one\ntwo\n"
    with pytest.raises(ValueError, match="text has 9 bytes, expected at most 8"):
        regular_files.read_text(tmp_path / "text", most=8)
