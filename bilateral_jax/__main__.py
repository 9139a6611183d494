"""The command line: `bilateral-jax enhance | score | import | prepare | align | info`.

In a checkout that is not installed: `python -m bilateral_jax ...`. Errors of the user are one line
on the error output: exit code 2 for invalid arguments, 1 for work that could not be done.
"""

import argparse
import pathlib
import sys

from bilateral_jax.cli import align, enhance, import_weights, info, prepare, score

_COMMANDS = (enhance, score, import_weights, prepare, align, info)
# Programs of a checkout, which are no part of the package.
_EXPERIMENTS = (
    "demo",
    "evaluate",
    "fit_operator",
    "replay",
    "report",
    "sweep",
    "train",
    "tune_photo",
)


def main(arguments=None) -> int:
    """Runs one sub-command.

    Args:
      arguments: list of text; None for those of the process.

    Returns:
      The exit code.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in _EXPERIMENTS:
        program = f"python -m experiments.{arguments[0]}"
        print(f"error: {arguments[0]} needs a checkout: run {program} there", file=sys.stderr)
        return 2
    options = vars(_parser().parse_args(arguments))
    run = options.pop("run")
    try:
        return run(**options)
    except (OSError, ValueError, ImportError) as error:
        message = str(error) or type(error).__name__
        print(f"error: {' '.join(message.split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _parser():
    from_checkout = pathlib.Path(sys.argv[0]).name == "__main__.py"
    parser = argparse.ArgumentParser(
        prog="python -m bilateral_jax" if from_checkout else "bilateral-jax",
        description="Enhance photos with a trained bilateral network.",
        epilog="Training and evaluation need a checkout: python -m experiments.train there.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
