"""Combines lists of overrides to the trials of a sweep.

A list of trials is a list of dicts `{dotted name: value}`, each the overrides of one trial. It is
plain data: `+` concatenates lists, a comprehension filters them.
"""

import itertools

import ml_collections


def sweep(base, trials, *, metric="psnr", best="max", retries=2, patience=3600.0, grace=120.0):
    """Makes the config of a sweep.

    Args:
      base: ConfigDict of the experiment.
      trials: list of dicts of overrides, from `product`, `zipped`, or written by hand.
      metric: name of the evaluation metric in `metrics.jsonl` that ranks the trials.
      best: "max" or "min", the best value of the metric.
      retries: number of restarts of a crashed trial, each from its checkpoint.
      patience: seconds without output after which a trial counts as hung; 0: never.
      grace: seconds between SIGTERM, after which a trial saves, and SIGKILL.

    Returns:
      A ConfigDict with these entries.
    """
    return ml_collections.ConfigDict(
        {
            "base": base,
            "trials": list(trials),
            "metric": metric,
            "best": best,
            "retries": retries,
            "patience": float(patience),
            "grace": float(grace),
        }
    )


def product(*axes):
    """Cartesian product of axes; the last one varies fastest.

    Args:
      *axes: dicts `{dotted name: values}`, each name an axis, or lists of trials, each an axis.

    Returns:
      A list of trials.

    Raises:
      ValueError: an axis is empty, or a name is on two of them.
      TypeError: the values of a name are not a list, a tuple or a range.
    """
    return _merged(_lists(axes), itertools.product)


def zipped(*columns):
    """Combines the first values of all columns, the second values, and so on.

    Args:
      *columns: dicts `{dotted name: values}`, each name a column, or lists of trials, each a
        column.

    Returns:
      A list of trials.

    Raises:
      ValueError: the columns differ in length, one is empty, or a name is in two of them.
      TypeError: the values of a name are not a list, a tuple or a range.
    """
    lists = _lists(columns)
    lengths = {", ".join(each[0]) if each else "(empty)": len(each) for each in lists}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"zipped: columns must be of one length, got {lengths}")
    return _merged(lists, zip)


def _lists(axes):
    lists = []
    for axis in axes:
        lists += [_choices(*each) for each in axis.items()] if isinstance(axis, dict) else [axis]
    return lists


def _choices(name, values):
    if not isinstance(values, list | tuple | range):
        raise TypeError(f"{name}: expected a list of values, got {values!r}")
    return [{name: value} for value in values]


def _merged(lists, combine):
    for axis in lists:
        if not axis:
            raise ValueError("an axis without values gives no trials; omit it instead")
    trials = []
    for parts in combine(*lists):
        trial = {}
        for part in parts:
            twice = trial.keys() & part.keys()
            if twice:
                raise ValueError(f"{sorted(twice)} on two axes: one value would be lost")
            trial |= part
        trials.append(trial)
    return trials
