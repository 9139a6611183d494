"""The training loop: progress bar, averages, hooks, stops at non-finite metrics and signals."""

import dataclasses
import math
import sys
import time
from collections.abc import Callable
from typing import Any

from bilateral_jax.training import metric_averages, stop_requests


class NonFiniteError(FloatingPointError):
    """Training produced a NaN or an infinity; the message names the step and the metrics.

    Attributes:
      step: number of the bad update, the first being 1.
      batch: the batch of that update.
      metrics: `{name: float}` of that update.
      state: the state that the loop holds; under training/nonfinite_guard.py the one before that
        update.
    """

    def __init__(self, message, *, step, batch, metrics, state):
        super().__init__(message)
        self.step, self.batch, self.metrics, self.state = step, batch, metrics, state


@dataclasses.dataclass(frozen=True)
class Hook:
    """Something to do every so many steps, and once more after the last one.

    Attributes:
      every: interval in steps.
      run: `(step, state) -> None`; the state must be read before it returns, its buffers are
        reused. It may raise `stop_requests.Stopped` to be run again when the training is resumed.
      when_stopped: whether it also runs when a signal stops the training early.
    """

    every: int
    run: Callable[[int, Any], None]
    when_stopped: bool = False


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How training ended.

    Attributes:
      state: the last state.
      step: number of updates done in the whole run.
      signal: number of the signal that stopped it early, or None.
    """

    state: Any
    step: int
    signal: int | None


def fit(
    update,
    state,
    batches,
    *,
    first,
    last,
    log,
    log_every=50,
    hooks=(),
    pending=(),
    averages=None,
    max_skipped=0,
    stop=lambda step: None,
    check=lambda step, metrics: None,
    progress=True,
    shown=("loss", "psnr"),
):
    """Runs updates number `first + 1` to `last`.

    Args:
      update: `(state, batch) -> (state, metrics)`, metrics a dict of scalars or `step.Counted`.
      state: the state after `first` updates.
      batches: iterator of batches, the next one belonging to update `first + 1`. It may raise
        `stop_requests.Stopped` while it waits for one; `stop` then says which signal it was.
      first: updates done already.
      last: updates to reach.
      log: `(step, {name: float}) -> None`, gets what `MetricAverages.take` returns.
      log_every: steps between calls of `log`.
      hooks: sequence of `Hook`, run in this order.
      pending: hooks to run before the first update: what was due when the run was cut short.
      averages: a `MetricAverages`, which is continued; None for a new one.
      max_skipped: steps with a metric that is not finite which are left out, and counted, before
        the next one ends the run.
      stop: `step -> None`, or the number of the signal for which to stop before the next update;
        called before every update.
      check: `(step, {name: float}) -> None`, called with the metrics of every step that was not
        skipped, before any hook sees its state; what it raises ends the run.
      progress: show a progress bar on standard error.
      shown: names of the metrics to show in it.

    Returns:
      An `Outcome`.

    Raises:
      NonFiniteError: a metric is NaN or infinite, once too often. No hook sees a state whose
        metrics were not checked.
    """
    averages = averages or metric_averages.MetricAverages()
    checks = _MetricCheck(averages, max_skipped, check)
    step, due = first, []
    with _bar(first, last, progress) as bar:
        cut = _run(pending, first, state, averages)
        number = stop(step) if cut or step < last else None
        while step < last and number is None:
            began = time.perf_counter()
            try:
                batch = next(batches)
            except stop_requests.Stopped:
                number = stop(step)
                continue
            fetched = time.perf_counter()
            state, metrics = update(state, batch)
            step += 1
            checks.catch_up(state)  # one step late: the devices never wait for the host
            checks.note(step, batch, metrics)
            due = [hook for hook in hooks if step % hook.every == 0 or step == last]
            logs = step % log_every == 0 or step == last
            if due or logs:
                checks.catch_up(state)
            averages.add_seconds(input=fetched - began, step=time.perf_counter() - fetched)
            if step == first + 1:
                averages.reset_speed()  # compilation says nothing about it, nor about time left
                bar.unpause()
            _show(bar, averages, shown)
            if logs:
                log(step, averages.take())
            cut = _run(due, step, state, averages)
            number = stop(step) if cut or step < last else None
        checks.catch_up(state)
        if number is not None and step > first:
            _run([h for h in hooks if h.when_stopped and h not in due], step, state, averages)
        return Outcome(state, step, number)


class _MetricCheck:
    """Checks the metrics of the step that was noted last, once the next one is running."""

    def __init__(self, averages, max_skipped, check):
        self._averages, self._max_skipped, self._noted = averages, max_skipped, None
        self._check = check

    def note(self, step, batch, metrics):
        self._noted = (step, batch, metrics)

    def catch_up(self, state):
        if self._noted is None:
            return
        step, batch, metrics = self._noted
        self._noted = None
        skipped = self._averages.skipped
        bad = self._averages.add(metrics)
        metrics = metric_averages.values(metrics)
        if self._averages.skipped == skipped:
            self._check(step, metrics)
        if self._averages.skipped <= self._max_skipped:
            return
        found = ", ".join(f"{name} is {metrics[name]}" for name in bad) or "the step was skipped"
        before = f"; {self._max_skipped} such steps were skipped" if self._max_skipped else ""
        raise NonFiniteError(
            f"{found} at step {step}{before}: training diverged and has stopped; the checkpoints "
            "of earlier steps are untouched. A smaller learning rate or a clipped gradient usually "
            "helps",
            step=step,
            batch=batch,
            metrics=metrics,
            state=state,
        )


def _run(hooks, step, state, averages):
    """Runs hooks in order; gives whether one of them was cut short by a signal."""
    began = time.perf_counter()
    try:
        for hook in hooks:
            hook.run(step, state)
    except stop_requests.Stopped:
        return True
    finally:
        averages.add_seconds(hooks=time.perf_counter() - began)
    return False


def _bar(first, last, progress):
    import tqdm

    layout = (
        "{desc}{percentage:3.0f}%|{bar:20}| "
        "step {n_fmt}/{total_fmt} [{elapsed}<{remaining}]{postfix}"
    )
    # Into a file or a pipe, one line now and then is enough.
    interval = 0.2 if sys.stderr.isatty() else 15.0
    return tqdm.tqdm(
        desc="compiling",
        total=last,
        initial=first,
        disable=not progress or first >= last,
        bar_format=layout,
        mininterval=interval,
        dynamic_ncols=True,
        smoothing=0.05,
    )


def _show(bar, averages, names):
    bar.set_description("training", refresh=False)
    text = [
        f"PSNR {averages.shown[name]:.2f} dB"
        if name == "psnr"
        else f"{name} {averages.shown[name]:.3g}"
        for name in names
        if name in averages.shown
    ]
    if math.isfinite(averages.speed):
        text.append(f"{averages.speed:.1f} images/s")
    bar.set_postfix_str(", ".join(text), refresh=False)
    bar.update()
