"""FIFOs, sockets and links that lead nowhere among the photos: named, never opened. Under a second.

A source that opened a FIFO would hang: `faulthandler` ends the test then.
"""

import faulthandler
import os

import pytest

from bilateral_jax.data.sources import image_files, pairs, readers, unpaired
from tests import fake_datasets

pytest.importorskip("cv2", reason="OpenCV is not installed")
pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")


@pytest.fixture(autouse=True)
def ends():
    faulthandler.dump_traceback_later(120, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def root(tmp_path):
    for index, name in enumerate("abc"):
        for side in ("input", "target"):
            fake_datasets.write(tmp_path / side / f"{name}.png", index, shape=(8, 12, 3))
    return tmp_path


SPECIAL = {
    "FIFO": (os.mkfifo, r"b\.png is a FIFO, not a regular file"),
    "link to a FIFO": (
        lambda path: (os.mkfifo(path.parent / "fifo"), path.symlink_to("fifo")),
        r"b\.png is a FIFO, not a regular file",
    ),
    "dangling link": (
        lambda path: path.symlink_to("gone.png"),
        r"b\.png is a link to gone\.png, which does not exist",
    ),
    "link to itself": (
        lambda path: path.symlink_to("b.png"),
        r"b\.png is a link to b\.png, which cannot be followed",
    ),
}


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("side", ["input", "target"])
def test_one_bad_record_which_is_named(root, kind, side):
    make, reason = SPECIAL[kind]
    (root / side / "b.png").unlink()
    make(root / side / "b.png")
    with pytest.raises(ValueError, match=f"^1 of 3 records are bad: b.png .*{reason}"):
        pairs.PairedFolder(root)
    with pytest.warns(UserWarning, match=f"1 of 3 records are skipped: b.png .*{reason}"):
        source = pairs.PairedFolder(root, on_bad="skip")
    assert [source[i]["name"] for i in range(len(source))] == ["a.png", "c.png"]
    with pytest.warns(UserWarning, match=f"records are skipped: b.png .*{reason}"):
        photos = unpaired.ImageSource.folder(root / side, on_bad="skip")
    assert len(photos) == 2


def test_a_photo_that_became_a_fifo_is_replaced_while_reading(root):
    source = pairs.PairedFolder(root, on_bad="skip", verify="none")
    (root / "input" / "b.png").unlink()
    os.mkfifo(root / "input" / "b.png")
    with pytest.warns(UserWarning, match="b.png is a FIFO, not a regular file"):
        assert source[1]["name"] == "c.png"
    with pytest.raises(ValueError, match="b.png is a FIFO"):
        source.encoded(1)


def test_every_reader_refuses_a_fifo(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    pytest.importorskip("rawpy", reason="rawpy is not installed")
    for reader in (readers.AsStored(), readers.ProPhoto(), readers.Raw()):
        for method in (reader.size, reader.read, reader.encoded):
            with pytest.raises(ValueError, match="fifo is a FIFO, not a regular file"):
                method(tmp_path / "fifo")


def test_list_files_and_the_files_they_list(root):
    os.mkfifo(root / "list")
    with pytest.raises(ValueError, match="list is a FIFO, not a regular file"):
        image_files.read_lines(root / "list")
    os.mkfifo(root / "input" / "d.png")
    sides = [[root / side / name for name in ("a.png", "d.png")] for side in ("input", "target")]
    with pytest.raises(ValueError, match="listed file .*d.png is a FIFO, not a regular file"):
        pairs.PairedFolder.from_lists(*sides)
