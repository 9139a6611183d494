"""What two nested configs differ in, entry by entry."""

import re

# Entries that configs gained after runs had been begun with them: absent, they had these values.
_ADDED_LATER = {
    "batches.paired": True,
    "batches.pad_to": None,
    "data.train.follow_links": False,
    "data.heldout.follow_links": False,
    "data.train.on_bad": "refuse",
    "data.heldout.on_bad": "refuse",
    "run.accept_changed_data": False,
}
# What may change when a run is continued: its length, its intervals of logging, evaluation and
# saving, and how it reads. No batch and no step depends on these, but for schedules, see
# `length_change`.
_FREE = re.compile(r"steps|run\..*|batches\.(threads|workers|prefetch|decoded_folder)")
# Schedules that do not know the length of the training, see `training/schedules.py`.
_ENDLESS = ("constant", "inverse_sqrt", "inverse_time")


def flat(tree, prefix=""):
    """Names nested entries by their path: `{"model": {"name": x}}` -> `{"model.name": x}`."""
    leaves = {}
    for name, value in tree.items():
        inner = isinstance(value, dict) and value
        leaves |= flat(value, f"{prefix}{name}.") if inner else {prefix + name: value}
    return leaves


def differences(there, now, *, continuing=False):
    """Says which entries of two nested configs differ: `model.gd: 8 there, 4 now; ...`, or "".

    Args:
      there: a config as nested dicts. An entry that configs had not yet stands for its default.
      now: another one.
      continuing: leave out what may change when a run is continued.
    """
    there, now = flat(there), flat(now)
    for one, other in ((there, now), (now, there)):
        one |= {n: value for n, value in _ADDED_LATER.items() if n in other and n not in one}
    return "; ".join(
        f"{name}: {there.get(name, 'absent')!r} there, {now.get(name, 'absent')!r} now"
        for name in sorted(there.keys() | now.keys())
        if there.get(name, "absent") != now.get(name, "absent")
        and not (continuing and _FREE.fullmatch(name))
    )


def length_change(there, now, step):
    """Says what another length means for a run that is continued; "" if the length is the same.

    Args:
      there: the config of the run so far.
      now: the config with which it is continued.
      step: its newest checkpoint.

    Raises:
      ValueError: the run is past its new length.
    """
    before, after = there.get("steps"), now.get("steps")
    if before == after:
        return ""
    if after < step:
        raise ValueError(
            f"--config.steps={after} lies before step {step}, which this run has reached; "
            "--config.start trains another run from its weights"
        )
    name = now.get("schedule", {}).get("name", "")
    if name in _ENDLESS:
        return f"the run goes on to step {after} (it was to end at {before})"
    return (
        f"the run goes on to step {after} (it was to end at {before}): its learning rate now "
        f"follows the {name or 'new'} schedule of {after} steps, while steps 1 to {step} followed "
        f"that of {before}, so this is not what a run of {after} steps from the start would be"
    )
