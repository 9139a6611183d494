"""Trains an experiment: `python -m experiments.train --config=configs/hdrnet.py --workdir=RUN`.

Config -> data -> update on all devices -> loop -> evaluation on held-out photos -> checkpoint.
The same command resumes a stopped or killed run, to the same bits. Exit codes: 0 done, 1 an error
in one line, 3 a NaN or an infinity, 128 + the signal's number where a signal stopped the run after
saving. docs/restarts.md says more.
"""

import inspect
import json
import pathlib
import sys
import time

import jax
from absl import flags, logging
from ml_collections import config_flags

from bilateral_jax.checkpoints import trees
from bilateral_jax.cli import errors
from bilateral_jax.training import (
    distributed,
    loop,
    metric_averages,
    nonfinite_guard,
    parallel,
    stop_requests,
    summary_writer,
    watchdog,
)
from experiments import experiment
from experiments.reports import contact_sheet
from experiments.runs import command_line, failure, inputs, option_names, resume, warm_start
from experiments.runs import hooks as hooks_lib
from experiments.runs import workdir as workdir_lib

NONFINITE = 3


def train(config, workdir, *, progress=True):
    """Runs a config, or resumes it; all processes call it together.

    Args:
      config: a ConfigDict. Its sections `data`, `batches` and `run` are the keywords of the
        sources, of the loader and of `hooks.make`; the others are those of the experiment's
        `build`. An unknown key fails by name.
      workdir: folder of the run; created if absent.
      progress: show the progress bar and the results.

    Returns:
      `(outcome, results)`: a `loop.Outcome`, and the newest held-out metrics (those after the last
      step unless a signal stopped the run), None if there are none.

    Raises:
      ValueError: the folder holds a run of another config or of other photos, or one that is
        running; or sizes that do not fit.
      TypeError: an unknown key.
      loop.NonFiniteError: training diverged; `failure/` holds the step.
      watchdog.CollapseError: a generator stayed too far from its input.
    """
    workdir, saved_config = pathlib.Path(workdir), json.loads(config.to_json())
    progress = progress and distributed.is_first()
    config = config.to_dict()
    try:
        with stop_requests.listen() as request, workdir_lib.claimed(workdir, saved_config):
            outcome, paper = _run(config, workdir, progress, request, saved_config)
    except (ValueError, TypeError) as error:
        option_names.add(error, saved_config)
        raise
    results = (summary_writer.read(workdir, "eval") or [None])[-1]
    if progress:
        _report(workdir, outcome, results, paper)
    return outcome, results


def _run(config, workdir, progress, request, saved_config):
    paper = experiment.build(config)
    names = inspect.getfullargspec(_train).kwonlyargs
    of_the_run = {name: config[name] for name in names if name in config}
    try:
        outcome = _train(paper, workdir, progress, request, saved_config, **of_the_run)
    except stop_requests.Stopped:  # while files were listed, or before the first batch
        step = trees.latest(trees.run_folder(workdir)) or 0
        outcome = loop.Outcome(None, step, request.number)
    except loop.NonFiniteError as error:
        error.add_note(f"the step is kept in {failure.keep(workdir, error, saved_config)}")
        raise
    return outcome, paper


def _train(
    paper, workdir, progress, request, saved_config, *, seed, steps, data, batches, run, start=None
):
    opened = inputs.open_(paper, request, seed=seed, data=data, batches=batches)
    loader, heldout = opened.loader, opened.heldout
    shard = (distributed.index(), distributed.count())
    averages = metric_averages.MetricAverages(batches["batch_size"])
    folder, intervals = trees.run_folder(workdir), dict(run)
    accept = intervals.pop("accept_changed_data", False)
    first, state, restored = _first_state(
        paper, folder, opened, averages, seed=seed, steps=steps, start=start, accept=accept
    )
    if progress and restored:
        status = "resuming" if first < steps else "done"
        print(f"{status} at step {first} of {steps} in {workdir}")

    def save(step, guarded, max_to_keep):
        if distributed.is_first():
            metadata = {"config": saved_config, "model": paper.model_entry()}
            metadata["networks"] = paper.network_entries(guarded.state)
            metadata["data"], metadata["sources"] = loader.get_state(), opened.identities
            metadata["averages"] = averages.get_state()
            workdir_lib.check_present(workdir)
            trees.save(folder, step, guarded.state, metadata=metadata, max_to_keep=max_to_keep)

    def evaluate(step, guarded, sheet_photos):
        began, current = time.perf_counter(), jax.device_get(guarded.state)
        alone = distributed.count() == 1  # several processes cannot leave one another here
        results, photos = paper.evaluate(
            current, heldout, keep=sheet_photos, shard=shard, gather=distributed.gather_values,
            check=request.check if alone else lambda: None,
        )  # fmt: skip
        if distributed.is_first():
            if photos:
                sheet = contact_sheet.write_evaluation(workdir / "sheets", step, photos)
                writer.image("input_output_target", step, sheet)
        writer.scalars("eval", step, {**results, "seconds": time.perf_counter() - began})

    hooks, options = hooks_lib.make(save, evaluate, **intervals)
    agreement = distributed.StopAgreement()
    update = parallel.update(nonfinite_guard.update(paper.update), frozen=paper.frozen)
    allowed = options["max_skipped"] - averages.skipped
    guarded = parallel.replicate(nonfinite_guard.start(state, allowed=allowed))
    if first < steps:
        inputs.check_sizes(update, guarded, loader, batches)
    if distributed.is_first():
        workdir_lib.note_environment(workdir, step=first)
        writer = summary_writer.SummaryWriter(workdir, step=first)
    else:
        writer = summary_writer.NullWriter()
    pending = resume.pending(workdir, first, steps, hooks[-1:])
    if progress and pending:
        print(f"evaluating the network of step {first} on {len(heldout)} held-out photos first")
    with writer:
        outcome = loop.fit(
            update, guarded, loader, first=first, last=steps, hooks=hooks,
            pending=pending, averages=averages,
            log=lambda step, values: writer.scalars("train", step, values),
            stop=lambda step: agreement(request.number), progress=progress, shown=paper.shown,
            check=paper.check, **options,
        )  # fmt: skip
    loader.close()
    return outcome


def _first_state(paper, folder, opened, averages, *, seed, steps, start, accept):
    """Restores the newest checkpoint, or initialises; returns (step, state, whether restored)."""
    key = jax.random.key(seed)
    first, state, saved = resume.restore(folder, jax.eval_shape(paper.init, key))
    if first is None:
        opened.loader.peek()  # so that errors of the photos come before anything is compiled
        state = paper.init(key)
        return 0, state if start is None else warm_start.put(state, start, paper), False
    accept = accept or first >= steps  # a run that has finished only shows its results
    resume.check_sources(first, saved.get("sources"), opened.identities, accept=accept)
    opened.loader.set_state(saved["data"])
    averages.set_state(saved["averages"])
    return first, state, True


def _report(workdir, outcome, results, paper):
    if outcome.signal is not None:
        print(f"stopped and saved at step {outcome.step}; the same command resumes there")
        return
    print(paper.table(results, title=f"held-out photos after step {outcome.step}"))
    what_for, words = paper.use
    print(f"{what_for}: python -m bilateral_jax {words} --checkpoint {workdir}")


def main(config, workdir, *, coordinator=None, processes=None, process=None):
    """Trains and returns the exit code; the last three as `distributed.initialize` takes them."""
    logging.set_verbosity(logging.WARNING)
    try:
        distributed.initialize(coordinator, processes=processes, process=process)
        outcome, _ = train(config, workdir)
    except loop.NonFiniteError as error:
        print(f"error: {error}; {'; '.join(error.__notes__)}", file=sys.stderr)
        return NONFINITE
    except (*errors.SOURCE_ERRORS, watchdog.CollapseError) as error:
        print(f"error: {workdir_lib.explain(error, workdir)}", file=sys.stderr)
        return 1
    return 0 if outcome.signal is None else 128 + outcome.signal


if __name__ == "__main__":
    _CONFIG = config_flags.DEFINE_config_file("config", help_string="Experiment to run.")
    flags.DEFINE_string("workdir", None, "Folder of the run; created if absent.")
    flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0, or 'auto' on a cluster.")
    flags.DEFINE_integer("processes", None, "How many there are, with HOST:PORT.")
    flags.DEFINE_integer("process", None, "Number of this one, with HOST:PORT.")
    _NAMES = ("workdir", "coordinator", "processes", "process")
    command_line.run(
        lambda: main(_CONFIG.value, **{n: flags.FLAGS[n].value for n in _NAMES}),
        config="config",
        required=("config", "workdir"),
    )
