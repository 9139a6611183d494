"""Interleaved timing: every candidate once per round, so that a busy machine slows all alike.

A sample is one call with `block_until_ready` inside the timed region, after an untimed call of the
same candidate: XLA gives a previous candidate's gigabytes back in the background, which would be
charged to whoever runs next. Beside wall time stands the CPU time of the process, divided by the
cores: on a shared machine it is the steadier of the two.
"""

import dataclasses
import datetime
import json
import os
import pathlib
import platform
import subprocess
import time

import jax
import jaxlib
import numpy as np

RESULTS = pathlib.Path(__file__).parent / "results"


@dataclasses.dataclass
class Measurement:
    """Samples of one candidate, in seconds, and what its program needs."""

    name: str
    compile_cpu_seconds: float
    temporary_bytes: int
    wall: list[float] = dataclasses.field(default_factory=list)
    cpu: list[float] = dataclasses.field(default_factory=list)
    skipped: str | None = None

    def summary(self, baseline=None):
        """A JSON-able row; with a `baseline` measured in the same rounds, how many times slower."""
        row = {
            "implementation": self.name,
            "compile_cpu_seconds": round(self.compile_cpu_seconds, 2),
            "temporary_megabytes": round(self.temporary_bytes / 1e6, 1),
        }
        if self.skipped:
            return row | {"skipped": self.skipped}
        row |= {"wall_seconds": quartiles(self.wall), "cpu_seconds_per_core": quartiles(self.cpu)}
        if baseline is not None and not baseline.skipped:
            row["wall_ratio"] = quartiles(np.divide(self.wall, baseline.wall))
            row["cpu_ratio"] = quartiles(np.divide(self.cpu, baseline.cpu))
        return row


def measure(candidates, arguments, rounds):
    """Compiles and times `{name: function}` on the same arguments: `{name: Measurement}`."""
    programs, measurements = {}, {}
    for name, function in candidates.items():
        lowered = jax.jit(function).lower(*arguments)
        start = time.process_time()
        program = lowered.compile()
        seconds = time.process_time() - start
        temporary = program.memory_analysis().temp_size_in_bytes
        measurements[name] = Measurement(name, seconds, temporary)
        if temporary > _memory_limit():
            measurements[name].skipped = "temporaries exceed half of the machine's memory"
        else:
            programs[name] = program
    for _ in range(rounds):
        for name, program in programs.items():
            jax.block_until_ready(program(*arguments))
            wall, cpu = time.perf_counter(), time.process_time()
            jax.block_until_ready(program(*arguments))
            measurements[name].wall.append(time.perf_counter() - wall)
            measurements[name].cpu.append((time.process_time() - cpu) / os.cpu_count())
    return measurements


def quartiles(samples):
    """Lower quartile, median and upper quartile, to four digits."""
    return [float(f"{q:.4g}") for q in np.quantile(samples, [0.25, 0.5, 0.75])]


def metadata():
    """Versions, device, commit and load: what a number means nothing without."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "commit": _commit(),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "device": device(),
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }


def device():
    """A name for results: `cpu-2core`, or the accelerator's kind."""
    if jax.default_backend() == "cpu":
        return f"cpu-{os.cpu_count()}core"
    return jax.devices()[0].device_kind.lower().replace(" ", "-")


def write(question, rows):
    """Writes `results/<device>/<question>-<jax version>.json` and returns its path."""
    path = RESULTS / device() / f"{question}-{jax.__version__}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"metadata": metadata(), "rows": rows}, indent=1) + "\n")
    return path


def _commit():
    git = ["git", "describe", "--always", "--dirty"]
    run = subprocess.run(git, cwd=RESULTS.parent, capture_output=True, text=True, check=False)
    return run.stdout.strip() or "unknown"


def _memory_limit():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2
