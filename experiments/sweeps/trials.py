"""Trials of a sweep: names and complete configs, validated before any trial starts."""

import dataclasses
import hashlib
import json
import re
from typing import Any

from bilateral_jax import atomic
from experiments.runs import config_differences

CONFIG = "trial.json"


@dataclasses.dataclass(frozen=True)
class Trial:
    """One training.

    Attributes:
      name: name of its folder, made of the overrides: `model.luma_bins=4,seed=0`.
      overrides: `{dotted name: value}`.
      config: the complete config, JSON-able.
    """

    name: str
    overrides: dict[str, Any]
    config: dict[str, Any]


def expand(base, trials):
    """Expands overrides to complete configs.

    Args:
      base: ConfigDict of the experiment.
      trials: list of dicts of overrides.

    Returns:
      A list of `Trial`, in the same order.

    Raises:
      ValueError: an override names no entry of the base config or differs from it in type, or two
        trials are equal.
    """
    if not trials:
        raise ValueError("the sweep has no trials")
    expanded, names = [], set()
    for overrides in trials:
        if not isinstance(overrides, dict):
            raise ValueError(f"a trial is a dict of overrides, got {overrides!r}")
        config = base.copy_and_resolve_references()
        for name, value in overrides.items():
            _override(config, name, value)
        trial = Trial(_name(overrides), dict(overrides), json.loads(config.to_json()))
        if trial.name in names:
            raise ValueError(f"the trial {trial.name} is listed twice")
        names.add(trial.name)
        expanded.append(trial)
    return expanded


def store(trials, folder):
    """Writes `FOLDER/NAME/trial.json`, the config of each trial, for `configs/stored.py`.

    Args:
      trials: list of `Trial`.
      folder: folder of the trials; created if absent.

    Raises:
      ValueError: a trial of that name exists with another config; the message names the
        differences. Nothing was written then.
    """
    paths = [folder / trial.name / CONFIG for trial in trials]
    for trial, path in zip(trials, paths):
        if path.exists():
            _check_same(trial, path)
    for trial, path in zip(trials, paths):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_json(path, trial.config)


def _check_same(trial, path):
    if differing := config_differences.differences(atomic.read_json(path), trial.config):
        raise ValueError(
            f"{path} holds this trial with another config ({differing}); choose another "
            "workdir, or give the same sweep to go on with that one"
        )


def _override(config, name, value):
    try:
        before = config[name] if "." not in name else _entry(config, name)
        if isinstance(value, bool) != isinstance(before, bool) and before is not None:
            raise TypeError
        if value is None and before is not None:
            raise TypeError
        config.update_from_flattened_dict({name: value})
    except (KeyError, AttributeError) as error:
        known = sorted(config_differences.flat(json.loads(config.to_json())))
        near = [each for each in known if each.split(".")[-1] == name.split(".")[-1]] or known
        raise ValueError(
            f"override {name}: the base config has no such entry; it has {', '.join(near)}"
        ) from error
    except TypeError as error:
        raise ValueError(
            f"override {name}: expected {type(before).__name__} as in the base config "
            f"({before!r}), got {value!r}"
        ) from error


def _entry(config, name):
    for part in name.split("."):
        if not hasattr(config, "keys") or part not in config:
            raise KeyError(name)
        config = config[part]
    return config


def _name(overrides):
    """Folder name of a trial; a checksum marks names that were cut or had characters replaced."""
    text = ",".join(f"{name}={value}" for name, value in overrides.items()) or "base"
    plain = re.sub(r"[^A-Za-z0-9_.,=+-]+", "_", text)
    if plain == text and len(text) <= 120:
        return text
    checksum = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{plain[:110]}-{checksum}"
