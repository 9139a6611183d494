"""Downloads over HTTP: resumed after an interruption, bounded in size, checked, written whole.

What has arrived stands in a hidden file `.KEY.part` beside the target, KEY a hash of address and
checksum, until all of it is there and has the checksum. Proxies are those of the environment
(`https_proxy`, `no_proxy`, ...), as `urllib.request` has them.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import os
import pathlib
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable

from bilateral_jax import atomic, regular_files

# Bytes of a file whose size is not known.
MOST = 2**30
_CHUNK = 2**18
_SECONDS = 30  # without a byte
# Connections in a row that bring nothing new.
_ATTEMPTS = 3


class ChecksumError(ValueError):
    """The content is not that of the checksum."""


def file(
    address: str,
    target: str | os.PathLike,
    *,
    sha256: str | None = None,
    size: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> pathlib.Path:
    """Downloads a file, unless it is there already; an interrupted download is resumed.

    Args:
      address: http or https; redirects are followed, but not from https to http.
      target: where the file goes; its folder is created.
      sha256: what it must have; None: anything of the size is taken.
      size: bytes; None for at most `MOST`.
      progress: called with the number of bytes that have come in; negative where the server makes
        the download start again.

    Returns:
      The target.

    Raises:
      ChecksumError: the content has another checksum; it was removed.
      ConnectionError: the address cannot be reached or answers with an error, or the connection
        ended early again and again; what has come in is kept for the next time.
      ValueError: the file is larger or smaller than `size`, or has more than `MOST` bytes.
      OSError: the target cannot be written, or another process is downloading the file.
    """
    target = pathlib.Path(target)
    if target.exists() and matches(target, sha256=sha256, size=size):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(f"{address} {sha256}".encode()).hexdigest()[:16]
    partial = target.with_name(f".{key}.part")
    with _locked(partial) as stream:
        _fill(stream, address, size, sha256, progress or (lambda count: None))
        found = _sha256(partial)
        if sha256 is not None and found != sha256:
            _remove(partial)
            raise ChecksumError(
                f"{address} has the SHA-256 {found}, expected {sha256}; the file was removed"
            )
        stream.flush()
        os.fsync(stream.fileno())
        os.replace(partial, target)
        _remove(partial)
    atomic.flush(target.parent)
    return target


def matches(path: str | os.PathLike, *, sha256: str | None, size: int | None) -> bool:
    """Compares a local file with a size and a checksum; what is None is not compared.

    Args:
      path: the file.
      sha256: 64 hexadecimal digits, or None.
      size: bytes, or None.

    Returns:
      Whether both agree.

    Raises:
      OSError: it cannot be read.
      ValueError: it is no regular file.
    """
    regular_files.check(path)
    if size is not None and os.path.getsize(path) != size:
        return False
    return sha256 is None or _sha256(path) == sha256


def _fill(stream, address, size, sha256, progress):
    """Appends what is missing; connections that end early are made again."""
    idle, furthest = 0, stream.seek(0, os.SEEK_END)
    progress(furthest)
    while True:
        try:
            return _receive(stream, address, size, sha256, progress)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416 and _restart(stream, progress):  # there is no such rest
                continue
            raise ConnectionError(f"{address} answers {error.code} ({error.reason})") from None
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise OSError(error.errno, error.strerror, stream.name) from None
            done = stream.seek(0, os.SEEK_END)
            idle = 0 if done > furthest else idle + 1
            furthest = max(furthest, done)
            if not done or idle >= _ATTEMPTS:
                raise ConnectionError(_interrupted(address, error, done)) from None


def _receive(stream, address, size, sha256, progress):
    """One connection: asks for what is missing, and appends what comes to the stream.

    Without a checksum only an answer that names a version (ETag or date) is continued, as halves of
    two versions would not be noticed.
    """
    done = stream.seek(0, os.SEEK_END)
    if size is not None and done == size:
        return
    version = _version_file(stream)
    known = version.read_text(encoding="utf-8") if version.exists() else ""
    if done and not (known or sha256) or (size is not None and done > size):
        _restart(stream, progress)
        done = 0
    request = urllib.request.Request(address, headers={"User-Agent": "bilateral_jax"})
    if done:
        request.add_header("Range", f"bytes={done}-")
        if known:
            request.add_header("If-Range", known)
    with _answer(request) as answer:
        done, total = _position(answer, done, stream, progress)
        expected = total if size is None else size
        if total is not None and (total != expected or total > (size or MOST)):
            _discard(stream)
            limit = f"{size:,}" if size is not None else f"at most {MOST:,}"
            raise ValueError(f"{address} has {total:,} bytes, expected {limit}")
        version.write_text(_version(answer), encoding="utf-8")
        done = _append(stream, answer, done, size, address, progress)
    if expected is not None and done < expected:
        raise ConnectionResetError(f"the connection ended after {done:,} of {expected:,} bytes")


def _answer(request):
    """Opens a connection; a redirect to what is no address counts as one that failed."""
    try:
        return urllib.request.build_opener(_Redirects).open(request, timeout=_SECONDS)
    except ValueError as error:
        raise ConnectionError(f"it redirects to what is no address ({error})") from None


def _append(stream, answer, done, size, address, progress):
    """Writes the body behind what there is, up to one byte more than allowed."""
    most = MOST if size is None else size
    while chunk := answer.read1(_CHUNK):
        done += len(chunk)
        if done > most:
            _discard(stream)
            raise ValueError(f"{address} has more than the {most:,} bytes expected")
        stream.write(chunk)
        progress(len(chunk))
    stream.flush()
    return done


def _position(answer, done, stream, progress):
    """Where the body starts and how many bytes the whole file has, if the server says so."""
    if answer.status == 206:
        span = re.match(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        if span and int(span[1]) == done:
            return done, None if span[2] == "*" else int(span[2])
        _restart(stream, progress)
        raise ConnectionResetError("the server sent another part than was asked for")
    if answer.status != 200:
        raise ConnectionError(f"the server answers {answer.status} ({answer.reason})")
    if done:  # it sends everything, not the rest
        _restart(stream, progress)
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https, but not from https to an address without it."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if not newurl.lower().startswith(("http:", "https:")):
            raise urllib.error.URLError(f"it redirects to {newurl}, expected http or https")
        if req.type == "https" and not newurl.lower().startswith("https:"):
            raise urllib.error.URLError(f"it redirects to {newurl}, which is not encrypted")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextlib.contextmanager
def _locked(path):
    """Opens a file for appending that no other process is downloading to."""
    import fcntl  # of POSIX systems only

    while True:
        with open(path, "ab") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OSError(f"another process is downloading to {path}") from None
            if path.exists() and os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                try:
                    yield stream
                finally:
                    if path.exists() and not path.stat().st_size:
                        _remove(path)
                return


def _version(answer):
    """What names the version of an answer in the header If-Range; "" where nothing does."""
    tag = answer.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return tag
    return answer.headers.get("Last-Modified", "")


def _version_file(stream):
    path = pathlib.Path(stream.name)
    return path.with_name(f"{path.name}.version")


def _restart(stream, progress):
    """Empties the stream and gives the number of bytes that it held."""
    done = stream.seek(0, os.SEEK_END)
    progress(-done)
    stream.truncate(0)
    return done


def _discard(stream):
    _remove(pathlib.Path(stream.name))


def _remove(partial):
    for path in (partial, partial.with_name(f"{partial.name}.version")):
        path.unlink(missing_ok=True)


def _interrupted(address, error, done):
    reason = getattr(error, "reason", None) or error
    text = " ".join(str(reason).split()) or type(reason).__name__
    parts = urllib.parse.urlsplit(address)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and urllib.request.proxy_bypass(parts.hostname or ""):
        proxy = None
    through = f" through the proxy {_without_password(proxy)}" if proxy else ""
    if done:
        return f"{address} was interrupted{through} after {done:,} bytes, which are kept: {text}"
    return f"{address} cannot be reached{through}: {text}"


def _without_password(proxy):
    return re.sub(r"//[^/@]*@", "//", proxy)


def _sha256(path):
    with regular_files.open_binary(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
