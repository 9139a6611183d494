"""Benchmarks in processes with different settings of the C library's allocator.

By default an allocation of more than 32 MB is returned to the system when it is freed, and the next
one begins with pages that the system has to clear one by one. `kept` returns nothing (one arena:
those of other threads return at 64 MB, whatever the thresholds); with huge pages there are 512
times fewer pages.
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
    """The `main` of a benchmark that runs in processes of several environments.

    Args:
      module: the benchmark's module, `benchmarks.QUESTION`, as `python -m` takes it.
      measured_rows: its function `(sizes, rounds)` that measures in the current process.
      names: of the environments.
      rounds: default number of rounds.
      sizes: labels of all sizes.
      quick: those of a quick run.
      ratio: `(key, words)`: the ratio of a row that the console shows, and its description.
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
    """The JSON rows that `python -m MODULE --rows NAMES --rounds ROUNDS` prints there."""
    command = [sys.executable, "-m", module, "--rounds", str(rounds), "--rows", *names]
    variables = os.environ | ENVIRONMENTS[environment]
    run = subprocess.run(command, env=variables, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(run.stdout.splitlines()[-1])
