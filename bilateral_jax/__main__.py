"""The command line: `python -m bilateral_jax enhance | import | info`.

A mistake of the user is one line on the error output: exit code 2 for arguments that make no sense,
1 for work that could not be done.

Receives arguments from the shell.
Hands them, parsed, to `commands.py`.
"""

import argparse
import sys

from bilateral_jax import commands


def main(arguments=None) -> int:
    """Runs one command and gives its exit code."""
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
    parser = argparse.ArgumentParser(
        prog="python -m bilateral_jax",
        description="Enhance photos with a trained bilateral network.",
    )
    commands_ = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_enhance(commands_)
    _add_import(commands_)
    command = commands_.add_parser("info", help="print what a checkpoint holds")
    command.add_argument("checkpoint", help="work directory of a run, or an exported model")
    command.add_argument("--step", type=int, help="step of a run (default: the newest)")
    command.set_defaults(run=commands.info)
    return parser


def _add_enhance(parsers):
    command = parsers.add_parser("enhance", help="enhance a picture, several, or a folder of them")
    add = command.add_argument
    add(
        "sources",
        nargs="+",
        metavar="IN",
        help="JPEG, PNG or TIFF files of 8 or 16 bits, or a folder",
    )
    add("target", metavar="OUT", help="a file for one picture, else a folder")
    add("--checkpoint", required=True, metavar="RUN", help="work directory of a run, or a model")
    add("--step", type=int, help="step of a run (default: the newest)")
    add("--bits", type=int, choices=(8, 16), help="depth of the output (default: as the input)")
    add("--quality", type=_whole_number(1, 100), default=95, help="of JPEG files (default: 95)")
    add("--overwrite", action="store_true", help="replace files that exist; never an input")
    add("--band-rows", type=_whole_number(1), help="rows rendered at a time (default: a megapixel)")
    command.set_defaults(run=commands.enhance)


def _add_import(parsers):
    command = parsers.add_parser("import", help="turn foreign weights into a checkpoint")
    sources = command.add_subparsers(required=True, metavar="KIND")
    hdrnet = sources.add_parser("hdrnet", help="the original HDRNet (TensorFlow names)")
    add = hdrnet.add_argument
    add("source", metavar="SOURCE", help="TensorFlow checkpoint (prefix, .index or folder) or .npz")
    add("target", metavar="OUT", help="folder to create")
    add("--spatial-bin", type=_whole_number(1), help="grid cells per side, if not a multiple of 4")
    hdrnet.set_defaults(run=commands.import_hdrnet)


def _whole_number(low, high=None):
    def parse(text):
        value = int(text)
        if value < low or (high is not None and value > high):
            raise argparse.ArgumentTypeError(f"{value} is not in {low}..{high or ''}")
        return value

    return parse


if __name__ == "__main__":
    sys.exit(main())
