"""Trials of a sweep, put together from lists of overrides.

A list of trials is a list of dicts `{dotted name: value}`, each the overrides of one trial. It is
plain data: `+` puts one list behind another, a comprehension filters it.

Receives names and values from the sweep files beside it.
Hands a ConfigDict to experiments/sweep.py.
"""

import itertools

import ml_collections


def sweep(base, trials, *, metric="psnr", best="max", retries=2, patience=3600.0, grace=120.0):
    """Describes a sweep.

    Args:
      base: ConfigDict of the experiment that every trial starts from.
      trials: list of dicts of overrides, from `product`, `zipped`, or written by hand.
      metric: name in the evaluation's lines of `metrics.jsonl` by which the table is sorted.
      best: "max" or "min", which end of the metric is the good one.
      retries: how often a trial that crashed is started again, from its checkpoint.
      patience: seconds without a sign of life after which a trial counts as hung; 0 waits forever.
      grace: seconds that a trial gets to save when it is asked to end, before it is killed.

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
    """Combines every choice on one axis with every choice on the others; the last varies fastest.

    Args:
      *axes: dicts `{dotted name: values}`, of which every name is an axis of its own, or lists of
        trials, each one axis.

    Returns:
      A list of trials.

    Raises:
      ValueError: an axis is empty, or a name stands on two of them.
      TypeError: the values of a name are not a list, a tuple or a range.
    """
    return _merged(_lists(axes), itertools.product)


def zipped(*columns):
    """Takes the first of every column, the second of every column, and so on.

    Args:
      *columns: dicts `{dotted name: values}`, of which every name is a column, or lists of trials,
        each one column.

    Returns:
      A list of trials.

    Raises:
      ValueError: the columns differ in length, one is empty, or a name stands in two of them.
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
            raise ValueError("an axis without values leaves no trial; leave it out instead")
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
