"""Text and JSON in files, whole or not at all; and what two JSON configs differ in.

Receives paths and what is to stand there from the runs, sweeps and reports of experiments.
Hands back what stands there, or names it.
"""

import json
import os


def write_whole(path, text):
    """Replaces a file: a reader, or a crash, meets the old text or the new."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def write_json(path, value):
    """Replaces a JSON file in the same way."""
    write_whole(path, json.dumps(value, indent=2) + "\n")


def read_json(path):
    """Reads a JSON file.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it holds something else.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as JSON ({error}); remove it to go on") from None


def flat(tree, prefix=""):
    """Names nested entries by their path: `{"model": {"name": x}}` -> `{"model.name": x}`."""
    leaves = {}
    for name, value in tree.items():
        inner = isinstance(value, dict) and value
        leaves |= flat(value, f"{prefix}{name}.") if inner else {prefix + name: value}
    return leaves


def differences(there, now):
    """Says which entries of two nested configs differ: `model.gd: 8 there, 4 now; ...`, or ""."""
    there, now = flat(there), flat(now)
    return "; ".join(
        f"{name}: {there.get(name, 'absent')!r} there, {now.get(name, 'absent')!r} now"
        for name in sorted(there.keys() | now.keys())
        if there.get(name, "absent") != now.get(name, "absent")
    )
