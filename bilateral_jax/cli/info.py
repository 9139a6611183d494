"""The command `info`: what a checkpoint holds, on one screen."""

import json
import textwrap

from bilateral_jax import tree_paths
from bilateral_jax.checkpoints import networks
from bilateral_jax.cli import arguments, versions
from bilateral_jax.models import model as model_lib

_TITLE, _WIDTH, _MOST_LINES = 16, 100, 4
# Entries of a run's record that have a line of their own.
_OWN_LINES = ("model", "networks", "step", "config", "data", "averages")


def add_arguments(command):
    """Declares the arguments."""
    command.add_argument(
        "checkpoint",
        help="work directory of a run, or an exported model",
    )
    arguments.add_step(command)
    command.add_argument(
        "--all", action="store_true", help="list every array, the whole config and record, too"
    )


def run(checkpoint, *, step, network, all) -> int:
    """Prints a network's name, hyper-parameters, size and origin; or everything.

    Args:
      checkpoint: a run's work directory or an exported model.
      step: of the run; None for the newest.
      network: of a run with several; None for the one that is shipped.
      all: print every array, the whole config and the rest of the record, too.

    Returns:
      Exit code 0.
    """
    saved = networks.load(checkpoint, step, network=network)
    _print("network", f"{saved.name}: {_size(saved)}")
    _print("", _listed(saved.hyperparameters))
    others = saved.metadata.get("networks", {})
    if len(others) > 1:
        _print("networks", f"{', '.join(sorted(others))} (--network NAME)")
    _print_run(saved.metadata)
    for key, value in saved.metadata.items():
        if key not in _OWN_LINES:
            _print(key, _listed(value))
    _print("read with", versions.text())
    if all:
        _print_everything(saved)
    else:
        print("(--all lists every array, the whole config and record)")
    return 0


def _size(saved):
    arrays = len(tree_paths.flatten(saved.params))
    text = f"{model_lib.parameter_count(saved.params):,} parameters in {arrays} arrays"
    statistics = model_lib.parameter_count(saved.batch_stats)
    return text + (f", {statistics:,} moving statistics" if statistics else "")


def _print_run(record):
    """Prints how far a run is, what it trains on and how it went."""
    config = record.get("config") or {}
    steps = f" of {config['steps']:,}" if isinstance(config.get("steps"), int) else ""
    if record["step"] or config:
        _print("step", f"{record['step']:,}{steps}")
    if "experiment" in config:
        _print("experiment", f"{config['experiment']}, seed {config.get('seed')}")
    for name, section in (config.get("data") or {}).items():
        _print(f"data {name}", _listed(section))
    if config.get("optimizer"):
        _print("optimizer", _listed(config["optimizer"]))
    if record.get("data"):
        _print("data read", _listed(record["data"]))
    averages = record.get("averages") or {}
    if averages.get("skipped"):
        _print("skipped steps", f"{averages['skipped']:,}, not finite")
    if means := _means(averages):
        _print("metrics", f"{_listed(means)} (means since the last log line)")


def _means(averages):
    """The metrics that a run had summed when it was saved, `{name: mean}`."""
    sums, counts = averages.get("sums") or {}, averages.get("counts") or {}
    return {name: f"{sums[name] / counts[name]:.4g}" for name in sums if counts.get(name)}


def _listed(value):
    """Formats `{"a": 1, "b": {"c": 2}}` as `a 1, b (c 2)`."""
    if not isinstance(value, dict):
        return str(value)
    return ", ".join(
        f"{name} ({_listed(entry)})" if isinstance(entry, dict) else f"{name} {entry}"
        for name, entry in value.items()
    )


def _print(title, text):
    lines = textwrap.wrap(text, _WIDTH - _TITLE)
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], f"{lines[_MOST_LINES - 1][: _WIDTH - _TITLE - 4]} ..."]
    for line in lines:
        print(f"{title:<{_TITLE - 1}} {line}")
        title = ""


def _print_everything(saved):
    for title, tree in (("parameters", saved.params), ("moving statistics", saved.batch_stats)):
        if tree:
            print(f"{title}:")
        for path, leaf in tree_paths.flatten(tree).items():
            print(f"  {'/'.join(path):<48}{' x '.join(map(str, leaf.shape)) or 'scalar'}")
    for key, value in saved.metadata.items():
        if key not in ("model", "networks") and isinstance(value, dict):
            print(f"{key}: {json.dumps(value, indent=2)}")
