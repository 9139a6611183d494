"""The command line `bilateral-jax`: enhance, score, import, weights, prepare, align, table, info.

In a checkout that is not installed: `python -m bilateral_jax ...`. Errors of the user are one line
on the error output: exit code 2 for invalid arguments, 1 for work that could not be done.
"""

import pathlib
import sys

import bilateral_jax
from bilateral_jax.cli import (
    align,
    compilation_cache,
    enhance,
    errors,
    import_weights,
    info,
    prepare,
    score,
    table,
    versions,
    weights,
)
from bilateral_jax.cli import arguments as arguments_lib

_COMMANDS = {
    "enhance": (enhance, "enhance a photo, several, or a folder of them"),
    "score": (score, "predict how people would rate photos, 1 to 10"),
    "import": (import_weights, "turn published weights into a checkpoint"),
    "weights": (weights, "list published weights, download and import them"),
    "prepare": (prepare, "convert a data set to record files"),
    "align": (align, "cut pairs of patches from two cameras' photos"),
    "table": (table, "write what a network does to colours as a .cube file"),
    "info": (info, "print what a checkpoint holds"),
}
_RUN_NETWORKS = ("enhance", "score", "table")
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
        print(f"error: not part of the package; in a checkout run {program}", file=sys.stderr)
        return 2
    errors.silence_opencv()
    errors.escape_unprintable()
    options = vars(_parser(chosen=list(arguments[:1])).parse_args(arguments))
    run = options.pop("run")
    if arguments[0] in _RUN_NETWORKS:
        compilation_cache.use(options.pop("compilation_cache"))
    return errors.exit_code(run, **options)


def _parser(chosen):
    """Declares the sub-commands, and the arguments of the chosen one."""
    from_checkout = pathlib.Path(sys.argv[0]).name == "__main__.py"
    parser = arguments_lib.Parser(
        prog="python -m bilateral_jax" if from_checkout else "bilateral-jax",
        description="Enhance photos with a trained bilateral network.",
        epilog="Training and evaluation need a checkout: python -m experiments.train there.",
    )
    version = f"bilateral-jax {bilateral_jax.__version__} ({versions.text()})"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (module, what) in _COMMANDS.items():
        command = commands.add_parser(name, help=what)
        if [name] == chosen:
            command.set_defaults(run=module.run)
            module.add_arguments(command)
            if name in _RUN_NETWORKS:
                compilation_cache.add_option(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
