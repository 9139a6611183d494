"""Interleaved timing: every candidate once per round, so that a busy machine slows all alike.

A sample is one call, waited for inside the timed region, after an untimed call of the same
candidate: XLA returns a previous candidate's gigabytes in the background, which would be charged to
the next one. The result is held until the clock has been read, because returning 144 MB to the
system takes as long as computing them. For calls shorter than 50 ms a sample is as many as fill
that time, each waited for: a single one after a pause would measure how threads wake up.

Beside wall time are recorded the CPU time of the process, divided by the cores, and the memory that
the system had to provide page by page, because the memory of the call before was returned (a C
library does so above 32 MB): that can cost as much as the arithmetic.
"""

import dataclasses
import math
import os
import resource
import time
from collections.abc import Callable

import jax
import numpy as np

# Threads of the previous candidate spin for a few milliseconds, waiting for work.
_REST_SECONDS = 0.01
_SAMPLE_SECONDS = 0.05


@dataclasses.dataclass(frozen=True)
class Eager:
    """A candidate that JAX does not compile.

    Attributes:
      prepare: takes the arguments (JAX arrays), converts them, untimed, and gives the call to time.
    """

    prepare: Callable


@dataclasses.dataclass(frozen=True)
class Unavailable:
    """A candidate that cannot run here, and why."""

    reason: str


@dataclasses.dataclass(frozen=True)
class Applied:
    """A candidate with arguments of its own.

    Attributes:
      candidate: any other.
      arguments: JAX arrays, instead of the common ones.
    """

    candidate: Callable | Eager | Unavailable
    arguments: tuple


@dataclasses.dataclass
class Measurement:
    """Samples of one candidate, in seconds, and the temporaries of its program (if known)."""

    name: str
    call: Callable | None = None
    compile_cpu_seconds: float | None = None
    temporary_bytes: int | None = None
    skipped: str | None = None
    wall: list[float] = dataclasses.field(default_factory=list)
    cpu: list[float] = dataclasses.field(default_factory=list)
    fresh_bytes: list[float] = dataclasses.field(default_factory=list)

    def sample(self):
        """Runs once untimed, then once or for `_SAMPLE_SECONDS` timed."""
        time.sleep(_REST_SECONDS)
        start = time.perf_counter()
        jax.block_until_ready(self.call())
        duration = time.perf_counter() - start
        calls = max(1, math.floor(_SAMPLE_SECONDS / duration)) if duration else 1
        faults, wall, cpu = _page_faults(), time.perf_counter(), time.process_time()
        for _ in range(calls):
            result = None  # frees the result before, as a program would
            result = jax.block_until_ready(self.call())
        self.wall.append((time.perf_counter() - wall) / calls)
        self.cpu.append((time.process_time() - cpu) / os.cpu_count() / calls)
        pages = _page_faults() - faults
        self.fresh_bytes.append(pages * os.sysconf("SC_PAGE_SIZE") / calls)
        del result

    def summary(self, baseline=None):
        """A JSON-able row; with a `baseline` measured in the same rounds, how many times slower."""
        row = {"implementation": self.name}
        if self.compile_cpu_seconds is not None:
            row["compile_cpu_seconds"] = round(self.compile_cpu_seconds, 2)
            row["temporary_megabytes"] = round(self.temporary_bytes / 1e6, 1)
        if self.skipped:
            return row | {"skipped": self.skipped}
        row |= {"wall_seconds": quartiles(self.wall), "cpu_seconds_per_core": quartiles(self.cpu)}
        if self.fresh_bytes:
            row["fresh_megabytes"] = round(float(np.median(self.fresh_bytes)) / 1e6, 1)
        if baseline is not None and not baseline.skipped:
            row["wall_ratio"] = quartiles(np.divide(self.wall, baseline.wall))
            row["cpu_ratio"] = quartiles(np.divide(self.cpu, baseline.cpu))
        return row


def measure(candidates, arguments, rounds):
    """Prepares and times candidates on the same arguments.

    Args:
      candidates: `{name: candidate}`; a function that JAX compiles, `Eager`, `Unavailable`, or
        one of them `Applied`.
      arguments: JAX arrays.
      rounds: samples of each.

    Returns:
      `{name: Measurement}`.
    """
    measured = {name: prepared(name, item, arguments) for name, item in candidates.items()}
    for _ in range(rounds):
        for measurement in measured.values():
            if not measurement.skipped:
                measurement.sample()
    return measured


def prepared(name, candidate, arguments):
    """A `Measurement` without samples, compiled and ready to be called."""
    if isinstance(candidate, Applied):
        candidate, arguments = candidate.candidate, candidate.arguments
    # Computing the arguments is no part of the first call.
    jax.block_until_ready(arguments)
    if isinstance(candidate, Unavailable):
        return Measurement(name, skipped=candidate.reason)
    if isinstance(candidate, Eager):
        return Measurement(name, candidate.prepare(*arguments))
    lowered = jax.jit(candidate).lower(*arguments)
    start = time.process_time()
    program = lowered.compile()
    seconds = time.process_time() - start
    temporary = program.memory_analysis().temp_size_in_bytes
    measurement = Measurement(name, lambda: program(*arguments), seconds, temporary)
    if temporary > _memory_limit():
        needs = f"{temporary / 1e9:.1f} GB of temporaries"
        measurement.skipped = f"{needs} exceed half of the machine's memory"
    return measurement


def quartiles(samples):
    """Lower quartile, median and upper quartile, to four digits."""
    return [float(f"{q:.4g}") for q in np.quantile(samples, [0.25, 0.5, 0.75])]


def _page_faults():
    """Page faults of this process so far that needed no disk."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def _memory_limit():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2
