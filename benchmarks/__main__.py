"""Runs all benchmarks, each in a process of its own, then renders the report.

    python -m benchmarks [slice_apply splat table_lookup shapes batches pages enhance sizes
                         train_step] [--quick]

takes about half an hour on two cores; `--quick` a minute, and writes nothing.
"""

import argparse
import subprocess
import sys

QUESTIONS = (
    "slice_apply",
    "splat",
    "table_lookup",
    "shapes",
    "batches",
    "pages",
    "enhance",
    "sizes",
    "train_step",
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help=", ".join(QUESTIONS))
    parser.add_argument("--quick", action="store_true", help="small sizes, nothing written")
    options = parser.parse_args()
    unknown = set(options.questions) - set(QUESTIONS)
    if unknown:
        parser.error(f"QUESTION must be one of {', '.join(QUESTIONS)}, got {sorted(unknown)}")
    for question in options.questions or QUESTIONS:
        print(f"\n{question}", flush=True)
        arguments = ["--quick"] if options.quick else []
        subprocess.run([sys.executable, "-m", f"benchmarks.{question}", *arguments], check=True)
    if not options.quick:
        print(flush=True)
        subprocess.run([sys.executable, "-m", "benchmarks.report"], check=True)


if __name__ == "__main__":
    main()
