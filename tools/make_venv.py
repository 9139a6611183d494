"""Builds `.venv` with the packages of `requirements.txt`, using the standard library alone.

Started by `tools/venv.sh` with a Python that fits. The one hard part is pip: some distributions
ship `venv` without `ensurepip`. Then pip comes, in this order, from the pip of the starting Python,
from a wheel that the distribution ships, from the package index that pip is configured for, or from
the stand-alone pip that its authors publish.
"""

import configparser
import fcntl
import glob
import hashlib
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "ready"
PIP_ZIPAPP = "https://bootstrap.pypa.io/pip/pip.pyz"
TIMEOUT_SECONDS = 60


class SetupError(Exception):
    """A set-up step failed; the message is for the user."""


def run(*command, quiet=False):
    """Runs a command with a clean environment; returns (succeeded, output if quiet)."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONHOME", "PYTHONPATH")}
    # A user-wide preference for --user or --target would install past the environment.
    for name in ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV"):
        environment.pop(name, None)
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    # What the command says goes to stderr, as our own lines do: stdout stays free for the caller.
    result = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if quiet else sys.stderr,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        env=environment,
        check=False,
    )
    return result.returncode == 0, (result.stdout or "").strip()


def pip_settings():
    """The settings of pip that matter here: its configuration files, then its variables."""
    home = pathlib.Path.home()
    files = [
        *(pathlib.Path(d) / "pip/pip.conf" for d in _xdg_directories()),
        "/etc/pip.conf",
        home / ".pip/pip.conf",
        pathlib.Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf",
        pathlib.Path(sys.prefix) / "pip.conf",
        os.environ.get("PIP_CONFIG_FILE") or os.devnull,
    ]
    parser = configparser.RawConfigParser()
    if os.environ.get("PIP_CONFIG_FILE") != os.devnull:  # pip's way of saying: no files at all
        parser.read([str(path) for path in files])
    settings = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            settings.update(parser.items(section))
    for key in ("index-url", "extra-index-url", "find-links", "cert"):
        value = os.environ.get("PIP_" + key.upper().replace("-", "_"))
        if value:
            settings[key] = value
    return settings


def _xdg_directories():
    named = os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg")
    return [d for d in named.split(":") if d] + ["/Library/Application Support"]


def fetch(url, *, cafile=None):
    """The bytes behind an http(s) or file URL."""
    context = ssl.create_default_context(cafile=cafile)
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS, context=context) as answer:
        return answer.read()


def pip_wheel_in(page, base):
    """(URL, sha256 or "") of the newest pip wheel that a simple-index page links to, or None."""
    best = None
    for href in re.findall(r"""href\s*=\s*["']([^"']+)["']""", page):
        path, _, fragment = href.partition("#")
        match = re.fullmatch(r"pip-([0-9.]+)-py3-none-any\.whl", path.rsplit("/", 1)[-1])
        if match:
            version = tuple(int(part) for part in match.group(1).split("."))
            digest = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else ""
            if best is None or version > best[0]:
                best = (version, urllib.parse.urljoin(base, path), digest)
    return best and best[1:]


def index_pages(settings):
    """(URL of pip's page, base of its links) for every index that pip is configured to use."""
    indexes = " ".join(settings.get(key, "") for key in ("index-url", "extra-index-url")).split()
    for index in indexes:
        page = index.rstrip("/") + "/pip/"
        # A folder that serves as an index holds its page as a file.
        yield (page + "index.html" if page.startswith("file:") else page), page


def pip_from_index(folder, settings):
    """Downloads a pip wheel from the configured indexes; returns its path, None if none has it."""
    for page_url, base in index_pages(settings):
        try:
            page = fetch(page_url, cafile=settings.get("cert")).decode("utf-8", "replace")
            found = pip_wheel_in(page, base)
            if found is None:
                say(f"  {page_url} lists no pip wheel")
                continue
            url, digest = found
            content = fetch(url, cafile=settings.get("cert"))
        except OSError as error:  # also URLError: try the next index
            say(f"  {page_url}: {error}")
            continue
        if digest and hashlib.sha256(content).hexdigest() != digest:
            raise SetupError(f"{url}: the download does not match the checksum its index states")
        wheel = folder / url.rsplit("/", 1)[-1]
        wheel.write_bytes(content)
        return wheel
    return None


def pip_zipapp(folder, settings):
    """Downloads the stand-alone pip, which knows its default index; returns its path or None."""
    try:
        content = fetch(PIP_ZIPAPP, cafile=settings.get("cert"))
    except OSError as error:
        say(f"  {PIP_ZIPAPP}: {error}")
        return None
    zipapp = folder / "pip.pyz"
    zipapp.write_bytes(content)
    return zipapp


def ways_to_pip(folder):
    """(description, command that installs pip), best way first; downloads happen as needed."""
    yield "ensurepip", [PYTHON, "-m", "ensurepip", "--default-pip"]
    host = sys.executable
    yield f"pip of {host}", [host, "-m", "pip", "--python", PYTHON, "install", "-q", "pip"]
    for wheel in sorted(glob.glob("/usr/share/python-wheels/pip-*.whl")):
        yield wheel, [PYTHON, f"{wheel}/pip", "install", "-q", "--no-index", wheel]
    say("this Python comes without pip: downloading pip")
    settings = pip_settings()
    wheel = pip_from_index(folder, settings)
    if wheel:
        yield wheel.name, [PYTHON, f"{wheel}/pip", "install", "-q", "--no-index", wheel]
    zipapp = pip_zipapp(folder, settings)
    if zipapp:
        # It is itself importable while it runs, so without the option it finds pip there already.
        yield PIP_ZIPAPP, [PYTHON, zipapp, "install", "-q", "--ignore-installed", "pip"]


def install_pip():
    """Installs pip in the new environment by the first way that works."""
    tried = []
    with tempfile.TemporaryDirectory() as name:
        for way, command in ways_to_pip(pathlib.Path(name)):
            _, output = run(*command, quiet=True)
            if run(PYTHON, "-m", "pip", "--version", quiet=True)[0]:
                return
            tried.append(f"  {way}: {(output.splitlines() or ['no output'])[-1]}")
    raise SetupError(
        f"could not get pip for {sys.executable}; tried:\n" + "\n".join(tried) + "\nIs the network"
        " up? Otherwise install pip or venv for this Python (Debian: apt install python3-venv)."
    )


def say(message):
    """One line of progress on stderr."""
    print(message, file=sys.stderr, flush=True)


def is_ready(key):
    """Whether the environment is complete for this checksum and its Python runs."""
    stamped = STAMP.exists() and STAMP.read_text().strip() == key
    return stamped and PYTHON.exists() and run(PYTHON, "-c", "", quiet=True)[0]


def build(key):
    """Makes the environment from nothing and stamps it."""
    began = time.monotonic()
    version = ".".join(str(part) for part in sys.version_info[:3])
    say(f"setting up .venv with Python {version} ({sys.executable}); this takes a minute or two")
    shutil.rmtree(VENV, ignore_errors=True)
    done, output = run(sys.executable, "-m", "venv", "--without-pip", VENV, quiet=True)
    if not done:
        raise SetupError(f"python -m venv failed:\n{output}")
    install_pip()
    requirements = ROOT / "requirements.txt"
    done, _ = run(PYTHON, "-m", "pip", "install", "-q", "--no-input", "-r", requirements)
    if not done:
        raise SetupError("pip could not install requirements.txt (its message is above)")
    partial = STAMP.with_suffix(".partial")
    partial.write_text(key + "\n")
    partial.replace(STAMP)
    say(f".venv is ready after {time.monotonic() - began:.0f} s")


def main():
    """Builds under a lock, so that two makes started together build once."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: tools/venv.sh (it passes the checksum of requirements.txt)")
    key = sys.argv[1]
    with open(ROOT / ".venv.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_ready(key):
            try:
                build(key)
            except SetupError as error:
                raise SystemExit(f"set-up failed: {error}") from None
            except KeyboardInterrupt:
                raise SystemExit("set-up interrupted: the next make starts it again") from None


if __name__ == "__main__":
    main()
