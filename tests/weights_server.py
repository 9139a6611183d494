"""A local HTTP server that serves a file well or badly, for tests of downloads."""

import contextlib
import http.server
import re
import threading
import urllib.request

import pytest


class _Handler(http.server.BaseHTTPRequestHandler):
    """The path's first part says how `server.content` is served."""

    def do_GET(self):
        self.server.requests.append((self.path, self.headers.get("Range")))
        behaviour = re.sub(r"^http://[^/]+", "", self.path).split("/")[1]
        getattr(self, f"_{behaviour}", self._missing)()

    def log_message(self, *_):
        pass

    def _good(self, *, ranges=True, stop=None, headers=(("ETag", '"1"'),)):
        content = self.server.content
        span = re.match(r"bytes=(\d+)-", self.headers.get("Range", "")) if ranges else None
        start = int(span[1]) if span else 0
        if start >= len(content):
            return self.send_error(416)
        self.send_response(206 if span else 200)
        if span:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[start:stop])

    def _noranges(self):
        self._good(ranges=False)

    def _breaks(self):
        """The connection ends after two thirds, until `server.mended`; then ranges are served."""
        self._good(stop=None if self.server.mended else len(self.server.content) * 2 // 3)

    def _breaksnoranges(self):
        stop = None if self.server.mended else len(self.server.content) * 2 // 3
        self._good(ranges=False, stop=stop)

    def _anonymous(self):
        """As `_breaks`, and no header names a version."""
        stop = None if self.server.mended else len(self.server.content) * 2 // 3
        self._good(stop=stop, headers=())

    def _redirect(self):
        self.send_response(302)
        self.send_header("Location", self.path.replace("redirect", "good"))
        self.end_headers()

    def _nowhere(self):
        self.send_response(302)
        self.send_header("Location", "http://[::1/f")
        self.end_headers()

    def _endless(self):
        """A body without a length, longer than announced by the catalogue."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.content + b"more")

    def _missing(self):
        self.send_error(404)


@contextlib.contextmanager
def serve(content: bytes):
    """Serves one file on a free port.

    Args:
      content: of the file.

    Yields:
      The server, with `address`, the list `requests` of (path, Range header), and `mended`.
    """
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.content, server.requests, server.mended = content, [], False
        server.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removes the proxies of the environment for one test.

    Args:
      monkeypatch: of pytest.
    """
    for scheme in ("http", "https", "all", "no"):
        for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY"):
            monkeypatch.delenv(name, raising=False)
    assert not urllib.request.getproxies()
