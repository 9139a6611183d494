"""Processes that begin with other rules for the C library's memory.

By default a block of more than 32 MB goes back to the system when it is freed, and the next one
begins with pages that the system has to clear one by one. `kept` gives nothing back (one arena:
those of other threads give back at 64 MB, whatever the thresholds); with huge pages there are 512
times fewer of them.
"""

import json
import os
import subprocess
import sys

ENVIRONMENTS = {
    "": {},
    ", huge pages": {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
    ", kept": {
        "GLIBC_TUNABLES": "glibc.malloc.arena_max=1:"
        f"glibc.malloc.mmap_threshold={1 << 32}:glibc.malloc.trim_threshold={1 << 34}"
    },
}


def rows(module, environment, names, rounds):
    """What `python -m MODULE --rows NAMES --rounds ROUNDS` prints as JSON, started there."""
    command = [sys.executable, "-m", module, "--rounds", str(rounds), "--rows", *names]
    variables = os.environ | ENVIRONMENTS[environment]
    run = subprocess.run(command, env=variables, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(run.stdout.splitlines()[-1])
