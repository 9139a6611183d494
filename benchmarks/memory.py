"""Peak memory of a call: resident pages of a process of its own.

XLA reports its temporaries, other libraries do not, and neither counts what allocators add. So a
benchmark is started again as `python -m <script> --peak <arguments>` and prints one number. Needs
Linux.
"""

import pathlib
import subprocess
import sys

import jax

_PROCESS = pathlib.Path("/proc/self")


def of_fresh_process(module, *arguments):
    """The number that `python -m <module> --peak <arguments>` prints; None if it was killed."""
    command = [sys.executable, "-m", module, "--peak", *arguments]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    # The system kills a process that takes too much memory: a valid result.
    if run.returncode < 0:
        return None
    run.check_returncode()
    return float(run.stdout.split()[-1])


def growth(call):
    """Megabytes by which the resident memory grows at its highest during a call, result included.

    The peak so far (operands, compilation) is reset first.
    """
    (_PROCESS / "clear_refs").write_text("5")
    before = _kilobytes("VmRSS")
    result = jax.block_until_ready(call())
    peak = _kilobytes("VmHWM")
    del result
    return (peak - before) * 1024 / 1e6


def peak():
    """Peak resident megabytes of this process since its start or the last `growth`."""
    return _kilobytes("VmHWM") * 1024 / 1e6


def _kilobytes(name):
    for line in (_PROCESS / "status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise OSError(f"/proc/self/status has no {name}: peak memory needs Linux")
