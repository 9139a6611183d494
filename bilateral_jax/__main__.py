"""The command line: `python -m bilateral_jax enhance | score | import | prepare | align | info`.

A mistake of the user is one line on the error output: exit code 2 for arguments that make no sense,
1 for work that could not be done.

Receives arguments from the shell.
Hands them, parsed, to `cli/enhance.py`.
"""

import argparse
import functools
import sys

from bilateral_jax.cli import align as collecting
from bilateral_jax.cli import enhance, prepare, score


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
    _add_score(commands_)
    _add_import(commands_)
    _add_prepare(commands_)
    _add_align(commands_)
    command = commands_.add_parser("info", help="print what a checkpoint holds")
    command.add_argument("checkpoint", help="work directory of a run, or an exported model")
    command.add_argument("--step", type=int, help="step of a run (default: the newest)")
    command.set_defaults(run=enhance.info)
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
    add(
        "--tile-rows",
        type=_whole_number(1),
        help="rows rendered at a time (default: half a megapixel)",
    )
    told = "what a parameterised network is told beside the picture; once per condition"
    options = {"type": float, "action": "append", "default": [], "metavar": "NUMBER"}
    add("--condition", dest="conditions", help=told, **options)
    command.set_defaults(run=enhance.enhance)


def _add_import(parsers):
    command = parsers.add_parser("import", help="turn foreign weights into a checkpoint")
    sources = command.add_subparsers(required=True, metavar="KIND")
    hdrnet = sources.add_parser("hdrnet", help="the original HDRNet (TensorFlow names)")
    add = hdrnet.add_argument
    add("source", metavar="SOURCE", help="TensorFlow checkpoint (prefix, .index or folder) or .npz")
    add("target", metavar="OUT", help="folder to create")
    add("--spatial-bin", type=_whole_number(1), help="grid cells per side, if not a multiple of 4")
    hdrnet.set_defaults(run=enhance.import_hdrnet)
    upe = sources.add_parser("upe", help="the original UPE (TensorFlow names)")
    upe.add_argument("source", metavar="SOURCE", help="TensorFlow checkpoint or .npz")
    upe.add_argument("target", metavar="OUT", help="folder to create")
    told = "illumination in float (graph, default), or in 8 bits as the published script"
    upe.add_argument("--rendering", choices=("graph", "script"), default="graph", help=told)
    upe.set_defaults(run=enhance.import_upe)
    tensorflow = "TensorFlow checkpoint or .npz"
    others = {
        "dped": ("a published DPED generator (TensorFlow names)", tensorflow),
        "can": ("a published CAN (TensorFlow names)", tensorflow),
        "nima": ("a NIMA or ImageNet MobileNet of Keras", "HDF5 file, SavedModel folder, or .npz"),
        "vgg": ("a VGG-16 or VGG-19", "MatConvNet's .mat, or torchvision's .pth, or .npz of that"),
    }
    for kind, (what, files) in others.items():
        other = sources.add_parser(kind, help=what)
        other.add_argument("source", metavar="SOURCE", help=files)
        other.add_argument("target", metavar="OUT", help="folder to create")
        other.set_defaults(run=functools.partial(enhance.import_weights, kind))


def _add_score(parsers):
    command = parsers.add_parser("score", help="predict how people would score photos, 1 to 10")
    add = command.add_argument
    add("sources", nargs="+", metavar="PHOTO", help="JPEG, PNG or TIFF files, or folders of them")
    add("--checkpoint", required=True, metavar="RUN", help="work directory of a run, or a model")
    add("--step", type=int, help="step of a run (default: the newest)")
    add("--histogram", action="store_true", help="show the whole distribution of scores")
    command.set_defaults(run=score.score)


def _add_prepare(parsers):
    command = parsers.add_parser("prepare", help="put a data set into record files")
    add = command.add_argument
    add("name", choices=prepare.SOURCES, metavar="NAME", help=", ".join(prepare.SOURCES))
    add("--source", required=True, metavar="DIR", help="folder that holds the data set's files")
    add("--data-dir", required=True, metavar="DIR", help="folder for prepared data sets")
    add(
        "--option",
        action="append",
        default=[],
        type=prepare.option,
        metavar="KEY=VALUE",
        help="of the data set, see docs/data.md; may be given several times",
    )
    add(
        "--on-bad",
        choices=("refuse", "skip"),
        default="refuse",
        help="a bad file stops the preparation, or is left out and named (default: refuse)",
    )
    command.set_defaults(run=prepare.prepare)


def _add_align(parsers):
    command = parsers.add_parser("align", help="collect pairs of patches from two cameras' photos")
    add = command.add_argument
    add("phone_dir", metavar="PHONE_DIR", help="photos of the camera to be improved")
    add("camera_dir", metavar="CAMERA_DIR", help="photos of the better camera, same names")
    add("out", metavar="OUT", help="folder to write to; a stopped run goes on there")
    add("--phone", metavar="NAME", help="name in the layout (default: that of PHONE_DIR)")
    add("--camera", metavar="NAME", default="canon", help="name in the layout (default: canon)")
    add("--pairs", metavar="LIST", help="file with two file names a line, instead of equal names")
    add("--size", type=_whole_number(8), default=100, help="of a patch (default: 100)")
    add("--stride", type=_whole_number(1), help="between patches (default: their size)")
    add("--search", type=_whole_number(0, 64), default=5, help="pixels to shift by (default: 5)")
    add("--correlation", type=_share, default=0.9, help="a pair must exceed (default: 0.9)")
    add("--scale", type=_scale, help="of the phone's photos (default: 1 if the camera allows it)")
    add("--format", dest="suffix", choices=("jpg", "png"), default="jpg", help="of the patches")
    add("--quality", type=_whole_number(1, 100), default=95, help="of JPEG patches (default: 95)")
    add("--crops", action="store_true", help="keep the aligned photos, too, as PNG")
    add("--test-share", type=_share, default=0.0, help="of photos kept for testing (default: 0)")
    add("--reduced", type=_whole_number(256), default=1600, help="side of the copies SIFT sees")
    add("--seed", type=_whole_number(0), default=0, help="of RANSAC (default: 0)")
    add("--jobs", type=_whole_number(1), default=1, help="photos at a time (default: 1)")
    add("--report", type=_whole_number(0), default=40, help="photos shown (default: 40)")
    add("--redo", action="store_true", help="do finished photos again")
    command.set_defaults(run=collecting.run)


def _share(text):
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not in [0, 1)")
    return value


def _scale(text):
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{value} is not in (0, 1]")
    return value


def _whole_number(low, high=None):
    def parse(text):
        value = int(text)
        if value < low or (high is not None and value > high):
            raise argparse.ArgumentTypeError(f"{value} is not in {low}..{high or ''}")
        return value

    return parse


if __name__ == "__main__":
    sys.exit(main())
