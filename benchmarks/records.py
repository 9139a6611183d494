"""Result files: `results/<device>/<question>-<jax version>.json`, rows with metadata."""

import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess

import jax

RESULTS = pathlib.Path(__file__).parent / "results"
_VARYING = ("date", "load_average")
_PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "torch")


def write(question, rows, key=None, order=()):
    """Writes the rows of one question and returns the file's path.

    Args:
      question: its name.
      rows: what was measured.
      key: the column that names a row's part; rows of other parts then stay in the file, if the
        same code and versions measured them.
      order: all parts, in order.
    """
    path = RESULTS / device() / f"{question}-{jax.__version__}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    data = metadata()
    if key is not None:
        kept = _rows_of_the_same_code(path, data)
        measured = {row[key] for row in rows}
        rows = [row for row in kept if row[key] not in measured] + rows
        rows = sorted(rows, key=lambda row: list(order).index(row[key]))
    path.write_text(json.dumps({"metadata": data, "rows": rows}, indent=1) + "\n")
    print(f"written to {path.relative_to(RESULTS.parent)}")
    return path


def _rows_of_the_same_code(path, data):
    """The rows of a file whose metadata are `data`, whatever its date and load; else none."""
    if not path.is_file() or data["commit"].endswith("-dirty"):
        return []
    record = json.loads(path.read_text())
    same = (record["metadata"].get(name) == data[name] for name in data if name not in _VARYING)
    return record["rows"] if all(same) else []


def read(question, folder):
    """Reads every version of one question's results in a folder of one device, newest jax last."""
    records = [json.loads(path.read_text()) for path in folder.glob(f"{question}-*.json")]
    return sorted(records, key=lambda record: version(record["metadata"]["jax"]))


def version(text):
    """`"0.10.2"` to `(0, 10, 2)`."""
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def metadata():
    """Versions, device, commit and load of a run."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "commit": _commit(),
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "device": device(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }


def device():
    """A name for results: `cpu-2core`, or the accelerator's kind."""
    if jax.default_backend() == "cpu":
        return f"cpu-{os.cpu_count()}core"
    return jax.devices()[0].device_kind.lower().replace(" ", "-")


def _commit():
    # The run itself changes the results: they do not make the code dirty.
    exclude = [":!results", ":!../README.md", ":!../docs/benchmarks.md", ":!../docs/figures"]
    head = _git("rev-parse", "--short", "HEAD")
    dirty = head and _git("status", "--porcelain", "--untracked-files=no", "--", "..", *exclude)
    return f"{head}-dirty" if dirty else head or "unknown"


def _git(*arguments):
    run = subprocess.run(
        ["git", *arguments], cwd=RESULTS.parent, capture_output=True, text=True, check=False
    )
    return run.stdout.strip()


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu():
    path = pathlib.Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
