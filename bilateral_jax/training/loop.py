"""The loop around an update: progress bar, averages, hooks, a stop at nonsense or a signal.

Receives an update and a placed state from experiments, batches from data/batches.py.
Hands averaged metrics to training/records.py and states to the hooks (evaluation, checkpoints).
"""

import contextlib
import dataclasses
import math
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import jax


class NonFiniteError(FloatingPointError):
    """Training produced a NaN or an infinity; the message names the step and the metric."""


@dataclasses.dataclass(frozen=True)
class Hook:
    """Something to do every so many steps, and once more after the last one.

    Attributes:
      every: interval in steps.
      run: `(step, state) -> None`; the state must be read before it returns, its buffers are
        reused.
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
    examples_per_step=1,
    progress=True,
):
    """Runs updates number `first + 1` to `last`.

    Args:
      update: `(state, batch) -> (state, metrics)`, metrics a dict of scalars.
      state: the state after `first` updates.
      batches: iterator of batches, the next one belonging to update `first + 1`.
      first: updates done already.
      last: updates to reach.
      log: `(step, {name: float}) -> None`, gets metrics averaged over the steps since the last
        call, and "images_per_second".
      log_every: steps between calls of `log`.
      hooks: sequence of `Hook`, run in this order.
      examples_per_step: number of examples in a batch, for the speed shown.
      progress: show a progress bar on standard error.

    Returns:
      An `Outcome`.

    Raises:
      NonFiniteError: a metric is NaN or infinite. No hook sees a state whose metrics were not
        checked.
    """
    window = _Window(examples_per_step)
    with _stop_signal() as stop, _bar(first, last, progress) as bar:
        waiting, step = None, first
        while step < last and stop.number is None:
            state, metrics = update(state, next(batches))
            step += 1
            if (
                waiting is not None
            ):  # look at the metrics one step late: the devices never wait for the host
                window.add(waiting)
            waiting = (step, metrics)
            if step == first + 1:
                bar.unpause()  # compilation says nothing about the time left
            due = [hook for hook in hooks if step % hook.every == 0 or step == last]
            if due or step % log_every == 0 or step == last:
                window.add(waiting)
                waiting = None
            _show(bar, window)
            if step % log_every == 0 or step == last:
                log(step, window.take())
            for hook in due:
                hook.run(step, state)
                window.restart_clock()
        if stop.number is not None and step < last:
            if waiting is not None:
                window.add(waiting)
            for hook in hooks:
                if hook.when_stopped and step % hook.every:
                    hook.run(step, state)
        return Outcome(state, step, stop.number if step < last else None)


class _Window:
    """Averages of the metrics, and the speed, since the last time they were taken."""

    def __init__(self, examples_per_step):
        self._examples = examples_per_step
        self._sums, self._count = {}, 0
        self._clock, self._timed = None, 0
        self.speed, self.shown = math.nan, {}

    def add(self, numbered):
        step, metrics = numbered
        metrics = {name: float(value) for name, value in jax.device_get(metrics).items()}
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise NonFiniteError(
                    f"{name} is {value} at step {step}: training diverged and has stopped; the "
                    "checkpoints of earlier steps are untouched. A smaller learning rate or a "
                    "clipped gradient usually helps"
                )
            self._sums[name] = self._sums.get(name, 0.0) + value
            before = self.shown.get(name, value)
            self.shown[name] = before + 0.1 * (value - before)
        self._count += 1
        if (
            self._clock is None
        ):  # the first step of a stretch pays for compilation or follows a hook
            self._clock, self._timed = time.perf_counter(), 0
        else:
            self._timed += 1
            self.speed = self._timed * self._examples / max(time.perf_counter() - self._clock, 1e-9)

    def take(self):
        averages = {name: total / self._count for name, total in self._sums.items()}
        self._sums, self._count = {}, 0
        if math.isfinite(self.speed):
            averages["images_per_second"] = self.speed
        self.restart_clock()
        return averages

    def restart_clock(self):
        self._clock = None


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
        disable=not progress,
        bar_format=layout,
        mininterval=interval,
        dynamic_ncols=True,
        smoothing=0.05,
    )


def _show(bar, window):
    bar.set_description("training", refresh=False)
    text = [
        f"PSNR {value:.2f} dB" if name == "psnr" else f"{name} {value:.3g}"
        for name, value in window.shown.items()
        if name in ("loss", "psnr")
    ]
    if math.isfinite(window.speed):
        text.append(f"{window.speed:.1f} images/s")
    bar.set_postfix_str(", ".join(text), refresh=False)
    bar.update()


@contextlib.contextmanager
def _stop_signal():
    """Turns the first Ctrl-C or SIGTERM into a wish to stop; a second one acts at once."""

    @dataclasses.dataclass
    class Wish:
        number: int | None = None

    wish = Wish()

    def note(number, frame):
        del frame
        wish.number = number
        for each in previous:
            signal.signal(each, previous[each])

    previous = {}
    if threading.current_thread() is threading.main_thread():
        previous = {each: signal.signal(each, note) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wish
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)
