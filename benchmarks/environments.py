"""Processes that begin with other rules for the C library's memory.

By default a block of more than 32 MB goes back to the system when it is freed, and the next one
begins with pages that the system has to clear one by one. `kept` gives nothing back (one arena:
those of other threads give back at 64 MB, whatever the thresholds); with huge pages there are 512
times fewer of them.
"""

import argparse
import json
import os
import subprocess
import sys

import jax

from benchmarks import records, table

ENVIRONMENTS = {
    "": {},
    ", huge pages": {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
    ", kept": {
        "GLIBC_TUNABLES": "glibc.malloc.arena_max=1:"
        f"glibc.malloc.mmap_threshold={1 << 32}:glibc.malloc.trim_threshold={1 << 34}"
    },
}


def ask(module, measured_rows, names, *, rounds, sizes, quick, ratio):
    """The `main` of a question that is measured in processes of several environments.

    Args:
      module: the question's module, `benchmarks.QUESTION`, as `python -m` takes it.
      measured_rows: its function `(sizes, rounds)` that measures in the process that it is in.
      names: of the environments.
      rounds: how many unless the command line says so.
      sizes: labels of all sizes.
      quick: those of a quick run.
      ratio: `(key, words)`: the ratio of a row that the console shows, and to what it is.
    """
    parser = argparse.ArgumentParser(
        description=measured_rows.__globals__["__doc__"].splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--quick", action="store_true", help="small, nothing written")
    parser.add_argument("--rows", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rows:
        print(json.dumps(measured_rows(options.rows, options.rounds)))
        return
    key, words = ratio
    print(f"jax {jax.__version__} on {records.device()}; medians; ratio: {words}")
    print(table.HEADER)
    collected = []
    for name in names:
        for row in rows(module, name, quick if options.quick else sizes, options.rounds):
            collected.append(row | {"task": row["task"] + name})
            line = collected[-1] | {"wall_ratio": row.get(key)}
            print(table.line(row["size"], line), flush=True)
    if not options.quick:
        records.write(module.rpartition(".")[2], collected)


def rows(module, environment, names, rounds):
    """What `python -m MODULE --rows NAMES --rounds ROUNDS` prints as JSON, started there."""
    command = [sys.executable, "-m", module, "--rounds", str(rounds), "--rows", *names]
    variables = os.environ | ENVIRONMENTS[environment]
    run = subprocess.run(command, env=variables, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(run.stdout.splitlines()[-1])
