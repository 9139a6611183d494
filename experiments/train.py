"""Trains an experiment: `python -m experiments.train --config=configs/hdrnet.py --workdir=RUN`.

Config -> data -> update on all devices -> loop -> evaluation on held-out photos -> checkpoint.
The same command goes on where a stopped or killed run left off, and arrives at the same bits.

Receives a config from the command line.
Hands a work directory with checkpoints, metrics, TensorBoard files and sheets to the user.
"""

import importlib
import json
import pathlib
import sys

import jax
import numpy as np
from absl import app, flags, logging
from ml_collections import config_flags

from bilateral_jax import checkpoints, images, metrics
from bilateral_jax.data import batches as batches_lib
from bilateral_jax.data import pairs
from bilateral_jax.training import evaluation, loop, parallel, records
from experiments import sheets, sources


def train(config, workdir, *, progress=True):
    """Runs a config, or goes on with it.

    Args:
      config: a ConfigDict. Its entries are the keywords of `_train`, its sections those of the
        experiment's, the loader's and the sources' functions: an unknown key fails by name.
      workdir: folder of the run; created if absent.
      progress: show the progress bar and the results.

    Returns:
      `(outcome, results)`: a `loop.Outcome`, and the held-out metrics after the last step (those
      before the first if a signal stopped the run).

    Raises:
      ValueError: the folder holds a run of another config.
      TypeError: an unknown key.
    """
    workdir = pathlib.Path(workdir)
    _claim(workdir, config)
    outcome = _train(workdir, progress, json.loads(config.to_json()), **config.to_dict())
    if progress:
        _report(workdir, outcome)
    return outcome, records.read(workdir, "eval")[-1]


def _train(workdir, progress, config, *, experiment, seed, steps, data, batches, run, **sections):
    paper = importlib.import_module(f"experiments.{experiment}").build(steps=steps, **sections)
    source, heldout = _sources(**data)
    shard = (jax.process_index(), jax.process_count())
    stream = batches_lib.train_batches(source, seed=seed, shard=shard, **paper.lowres, **batches)
    folder = checkpoints.run_folder(workdir)
    state, first = paper.init(jax.random.key(seed)), 0
    if checkpoints.latest(folder) is not None:
        first, state, saved = checkpoints.restore(folder, target=state, set_aside_damaged=True)
        stream.set_state(saved["data"])
        print(f"going on from step {first} of {steps} in {workdir}")

    def save(step, state, max_to_keep):
        entry = checkpoints.model_entry(*paper.description, params="average")
        metadata = {"config": config, "model": entry, "data": stream.get_state()}
        checkpoints.save(folder, step, state, metadata=metadata, max_to_keep=max_to_keep)

    def evaluate(step, state, sheet_photos):
        results, rows = _evaluate(paper.enhance, jax.device_get(state), heldout, sheet_photos)
        writer.scalars("eval", step, results)
        _show(writer, workdir / "sheets" / f"step_{step:07d}.png", step, rows)

    def log(step, values):
        writer.scalars("train", step, values)

    every, hooks = _hooks(save, evaluate, **run)
    with records.Records(workdir, step=first) as writer:
        if first == 0:
            hooks[-1].run(0, state)
        return loop.fit(
            parallel.update(paper.update), parallel.place(state), stream, first=first,
            last=steps, log=log, log_every=every, hooks=hooks,
            examples_per_step=batches["batch_size"], progress=progress,
        )  # fmt: skip


def _hooks(
    save, evaluate, *, log_every, evaluate_every, sheet_photos, checkpoint_every, max_to_keep
):
    """Says what happens every so many steps; the evaluation comes last."""
    return log_every, [
        loop.Hook(checkpoint_every, lambda step, state: save(step, state, max_to_keep), True),
        loop.Hook(evaluate_every, lambda step, state: evaluate(step, state, sheet_photos)),
    ]


def _sources(*, train, heldout):
    return pairs.Cached(sources.make(**train)), pairs.Cached(sources.make(**heldout))


def _evaluate(enhance, state, heldout, sheet_photos):
    """Enhances every held-out photo whole, in inference mode; judges what an 8-bit file keeps.

    The metrics called `input_...` are those of the untouched input, the bar to beat.
    """
    rows = []

    def measure(example):
        output = np.asarray(enhance(state, example["input"]))
        if len(rows) < sheet_photos:
            rows.append([example["input"], output, example["target"]])
        target = metrics.round_to_8bit(example["target"])
        pictures = {
            "": metrics.round_to_8bit(output),
            "input_": metrics.round_to_8bit(example["input"]),
        }
        return {
            prefix + name: np.asarray(function(metrics.round_to_8bit(picture), target))[None]
            for prefix, picture in pictures.items()
            for name, function in _METRICS.items()
        }

    return evaluation.average(measure, batches_lib.evaluation_examples(heldout)), rows


_METRICS = {"psnr": metrics.psnr, "ssim": metrics.ssim, "delta_e": metrics.delta_e}


def _show(writer, path, step, rows):
    sheet = sheets.sheet(rows)
    path.parent.mkdir(exist_ok=True)
    images.write(path, sheet)
    writer.image("input_output_target", step, sheet)


def _report(workdir, outcome):
    last = records.read(workdir, "eval")[-1]
    if outcome.signal is not None:
        print(f"stopped and saved at step {outcome.step}; the same command goes on from there")
        return
    print(f"held-out photos after step {outcome.step}:   PSNR     SSIM   delta E")
    for label, prefix in (("untouched input", "input_"), ("enhanced", "")):
        values = [last[prefix + name] for name in _METRICS]
        values = [float("inf") if value is None else value for value in values]
        print(f"  {label:28s} {values[0]:7.2f} dB {values[1]:7.4f} {values[2]:7.2f}")
    print(f"enhance photos with: python -m bilateral_jax enhance IN OUT --checkpoint {workdir}")


def _claim(workdir, config):
    """Writes the config into a new folder; in an old one, demands that it be the same."""
    path = workdir / "config.json"
    mine = json.loads(config.to_json())
    if not path.exists():
        workdir.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(mine, indent=2) + "\n", encoding="utf-8")
        return
    theirs, mine = _flat(json.loads(path.read_text(encoding="utf-8"))), _flat(mine)
    differing = [
        f"{name}: {theirs.get(name, 'absent')!r} there, {mine.get(name, 'absent')!r} now"
        for name in sorted(theirs.keys() | mine.keys())
        if theirs.get(name, "absent") != mine.get(name, "absent")
    ]
    if differing:
        raise ValueError(
            f"{workdir} holds a run of another config ({'; '.join(differing)}); "
            "choose another workdir, or give the same config to go on with that run"
        )


def _flat(tree, prefix=""):
    flat = {}
    for name, value in tree.items():
        flat |= (
            _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
        )
    return flat


def main(config, workdir):
    """Trains; exits with 128 + the signal's number if one stopped the run."""
    logging.set_verbosity(logging.WARNING)
    outcome, _ = train(config, workdir)
    if outcome.signal is not None:
        sys.exit(128 + outcome.signal)


if __name__ == "__main__":
    _CONFIG = config_flags.DEFINE_config_file("config", help_string="Experiment to run.")
    _WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; created if absent.")
    flags.mark_flags_as_required(["config", "workdir"])
    app.run(lambda argv: main(_CONFIG.value, _WORKDIR.value))
