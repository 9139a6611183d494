"""Downloads from a local server: whole, resumed, bounded, checked. 1 s."""

import errno
import fcntl
import hashlib
import http.client
import os
import socket

import numpy as np
import pytest

from bilateral_jax.weights import download
from tests import weights_server

CONTENT = np.random.default_rng(0).bytes(300_000)
CHECKED = {"sha256": hashlib.sha256(CONTENT).hexdigest(), "size": len(CONTENT)}


@pytest.fixture
def server(monkeypatch):
    weights_server.without_proxies(monkeypatch)
    with weights_server.serve(CONTENT) as server:
        yield server


def left(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("how", ["good", "redirect", "noranges"])
@pytest.mark.parametrize("known", [CHECKED, {}], ids=["checked", "not verified"])
def test_a_whole_file(server, tmp_path, how, known):
    counts = []
    path = download.file(
        f"{server.address}/{how}/f", tmp_path / "f", progress=counts.append, **known
    )
    assert path.read_bytes() == CONTENT and left(tmp_path) == ["f"]
    assert sum(counts) == len(CONTENT)
    asked = len(server.requests)
    assert download.file(f"{server.address}/{how}/f", path, **known) == path
    assert len(server.requests) == asked, "a file that is there is not downloaded again"


def test_a_damaged_file_is_downloaded_again(server, tmp_path):
    (tmp_path / "f").write_bytes(CONTENT[:-1] + b"?")
    download.file(f"{server.address}/good/f", tmp_path / "f", **CHECKED)
    assert (tmp_path / "f").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "how, known, resumed",
    [
        ("breaks", CHECKED, True),
        ("breaks", {}, True),
        ("breaksnoranges", CHECKED, False),
        ("breaksnoranges", {}, False),
        ("anonymous", CHECKED, True),
        ("anonymous", {}, False),
    ],
)
def test_interrupted_and_resumed(server, tmp_path, how, known, resumed):
    address, counts = f"{server.address}/{how}/f", []
    arrived = len(CONTENT) * 2 // 3
    with pytest.raises(ConnectionError, match=f"interrupted after {arrived:,} bytes, which are k"):
        download.file(address, tmp_path / "f", progress=counts.append, **known)
    assert not (tmp_path / "f").exists() and sum(counts) == arrived
    server.mended = True
    server.requests.clear()
    counts.clear()
    download.file(address, tmp_path / "f", progress=counts.append, **known)
    assert (tmp_path / "f").read_bytes() == CONTENT and left(tmp_path) == ["f"]
    assert sum(counts) == len(CONTENT)
    ((_, asked),) = server.requests
    wanted = f"bytes={arrived}-"
    assert asked == (None if how == "anonymous" and not known else wanted)
    assert (counts[0] == arrived and min(counts) > 0) == resumed


def test_a_connection_that_ends_early_is_made_again_by_itself(server, tmp_path, monkeypatch):
    receive = download._receive

    def mend_after_the_first(*arguments):
        try:
            return receive(*arguments)
        finally:
            server.mended = True

    monkeypatch.setattr(download, "_receive", mend_after_the_first)
    download.file(f"{server.address}/breaks/f", tmp_path / "f", **CHECKED)
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=200000-"]


def test_a_rest_that_does_not_exist_starts_again(server, tmp_path):
    with pytest.raises(ConnectionError):
        download.file(f"{server.address}/breaks/f", tmp_path / "f", sha256=CHECKED["sha256"])
    (partial,) = tmp_path.glob(".*.part")
    partial.write_bytes(bytes(len(CONTENT)))
    server.mended = True
    download.file(f"{server.address}/breaks/f", tmp_path / "f", sha256=CHECKED["sha256"])
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_a_wrong_checksum(server, tmp_path):
    wrong = "0" * 64
    with pytest.raises(download.ChecksumError, match=f"{CHECKED['sha256']}, expected {wrong}"):
        download.file(f"{server.address}/good/f", tmp_path / "f", sha256=wrong, size=len(CONTENT))
    assert left(tmp_path) == []


@pytest.mark.parametrize("size", [len(CONTENT) - 1, len(CONTENT) + 1])
def test_a_wrong_size_is_refused_by_the_header(server, tmp_path, size):
    with pytest.raises(ValueError, match=f"has {len(CONTENT):,} bytes, expected {size:,}"):
        download.file(f"{server.address}/good/f", tmp_path / "f", size=size)
    assert left(tmp_path) == []


def test_a_body_without_a_length_is_bounded(server, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=f"more than the {len(CONTENT):,} bytes expected"):
        download.file(f"{server.address}/endless/f", tmp_path / "f", **CHECKED)
    monkeypatch.setattr(download, "MOST", len(CONTENT))
    with pytest.raises(ValueError, match="more than the"):
        download.file(f"{server.address}/endless/f", tmp_path / "f")
    with pytest.raises(ValueError, match="at most 1,000"):
        monkeypatch.setattr(download, "MOST", 1_000)
        download.file(f"{server.address}/good/f", tmp_path / "f")
    assert left(tmp_path) == []


def test_not_found(server, tmp_path):
    with pytest.raises(ConnectionError, match=r"/absent/f answers 404 \(Not Found\)"):
        download.file(f"{server.address}/absent/f", tmp_path / "f", **CHECKED)
    assert left(tmp_path) == [] and len(server.requests) == 1


def test_a_redirect_to_what_is_no_address(server, tmp_path):
    with pytest.raises(ConnectionError, match="/nowhere/f cannot be reached: it redirects to what"):
        download.file(f"{server.address}/nowhere/f", tmp_path / "f", **CHECKED)
    assert left(tmp_path) == []


def test_a_full_disk_is_named_with_the_file(server, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(download, "_append", full)
    with pytest.raises(OSError, match=r"No space left on device.*\.part") as caught:
        download.file(f"{server.address}/good/f", tmp_path / "f", **CHECKED)
    assert caught.value.errno == errno.ENOSPC and len(server.requests) == 1


def test_offline(tmp_path, monkeypatch):
    weights_server.without_proxies(monkeypatch)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ConnectionError, match="cannot be reached: .*refused"):
        download.file(f"http://127.0.0.1:{port}/f", tmp_path / "f", **CHECKED)
    assert left(tmp_path) == []


def test_the_proxy_of_the_environment(server, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", server.address)
    download.file("http://weights.invalid/good/f", tmp_path / "f", **CHECKED)
    assert server.requests == [("http://weights.invalid/good/f", None)]
    monkeypatch.setenv("http_proxy", "http://user:secret@127.0.0.1:1")
    with pytest.raises(ConnectionError, match="through the proxy http://127.0.0.1:1: ") as caught:
        download.file("http://weights.invalid/good/f", tmp_path / "g", **CHECKED)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "target", "message"),
    [
        ("https://a.invalid/f", "http://b.invalid/f", "http://b.invalid/f, which is not encrypted"),
        ("http://a.invalid/f", "ftp://b.invalid/f", "ftp://b.invalid/f, expected http or https"),
        ("https://a.invalid/f", "file:///f", "file:///f, expected http or https"),
    ],
)
def test_redirects_that_are_refused(address, target, message):
    request = download.urllib.request.Request(address)
    headers = http.client.HTTPMessage()
    with pytest.raises(OSError, match=message):
        download._Redirects().redirect_request(request, None, 302, "Found", headers, target)


def test_one_process_at_a_time(server, tmp_path):
    with pytest.raises(ConnectionError):
        download.file(f"{server.address}/breaks/f", tmp_path / "f", **CHECKED)
    (partial,) = tmp_path.glob(".*.part")
    with open(partial, "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="another process is downloading"):
            download.file(f"{server.address}/breaks/f", tmp_path / "f", **CHECKED)


def test_local_files(tmp_path):
    (tmp_path / "f").write_bytes(CONTENT)
    assert download.matches(tmp_path / "f", **CHECKED)
    assert not download.matches(tmp_path / "f", sha256="0" * 64, size=None)
    assert not download.matches(tmp_path / "f", sha256=None, size=1)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="a FIFO"):
        download.matches(tmp_path / "pipe", **CHECKED)
