"""What the commands of `python -m bilateral_jax` do, one function each.

Receives parsed arguments from `__main__.py`.
Hands pictures to `inference/` and `images/`, networks to `checkpoints/networks.py`.
"""

import dataclasses
import json
import pathlib
import sys
from importlib import metadata

from bilateral_jax import images, inference, models, tree_paths
from bilateral_jax.checkpoints import networks
from bilateral_jax.importers import can, dped, hdrnet, nima, upe, vgg
from bilateral_jax.models import model as model_lib

_JPEG = (".jpg", ".jpeg")


@dataclasses.dataclass(frozen=True)
class _Job:
    """One picture to do: where it is, where it goes, or why it cannot."""

    source: pathlib.Path
    target: pathlib.Path
    problem: str | None = None


def enhance(
    sources, target, *, checkpoint, step, bits, quality, overwrite, tile_rows, conditions
) -> int:
    """Enhances files; one that fails is named and the others are done.

    Args:
      sources: files, or one folder.
      target: a file for one picture, else a folder, which is created.
      checkpoint: a run's work directory or an exported model.
      step: of the run; None for the newest.
      bits: 8 or 16 for the output; None as the input.
      quality: of JPEG files, 1 to 100.
      overwrite: replace files that exist; inputs are never replaced.
      tile_rows: see `inference.enhance`.
      conditions: see `inference.enhance`.

    Returns:
      Exit code: 0, or 1 if a picture failed.
    """
    jobs = _jobs([pathlib.Path(s) for s in sources], pathlib.Path(target), bits, overwrite)
    model = load_model(checkpoint, step)
    failed = 0
    for job in _progress(jobs):
        try:
            if job.problem:
                raise ValueError(job.problem)
            _enhance_file(model, job, bits, quality, tile_rows=tile_rows, conditions=conditions)
        except (OSError, ValueError, MemoryError) as error:
            failed += 1
            print(f"failed: {job.source}: {error or type(error).__name__}", file=sys.stderr)
    if failed:
        print(f"{failed} of {len(jobs)} pictures failed", file=sys.stderr)
    return int(failed > 0)


def import_hdrnet(source, target, *, spatial_bin) -> int:
    """Turns the original's weights into a checkpoint that `enhance` takes.

    Args:
      source: TensorFlow checkpoint or `.npz`.
      target: folder to create.
      spatial_bin: see `importers.hdrnet.load`.

    Returns:
      Exit code 0.
    """
    return _save_imported(hdrnet.load(source, spatial_bin=spatial_bin), source, target)


def import_upe(source, target, *, rendering) -> int:
    """Turns the original UPE's weights into a checkpoint that `enhance` takes.

    Args:
      source: TensorFlow checkpoint or `.npz`.
      target: folder to create.
      rendering: see `importers.upe.load`.

    Returns:
      Exit code 0.
    """
    return _save_imported(upe.load(source, rendering=rendering), source, target)


def import_weights(kind, source, target) -> int:
    """Turns other published weights into a checkpoint.

    Args:
      kind: "dped", "can" (both for `enhance`), "nima" (for `score`) or "vgg" (for training).
      source: file or folder as the importer of that kind takes it.
      target: folder to create.

    Returns:
      Exit code 0.
    """
    importer = {"dped": dped, "can": can, "nima": nima, "vgg": vgg}[kind]
    return _save_imported(importer.load(source), source, target)


def info(checkpoint, *, step) -> int:
    """Prints what a checkpoint holds.

    Args:
      checkpoint: a run's work directory or an exported model.
      step: of the run; None for the newest.

    Returns:
      Exit code 0.
    """
    saved = networks.load(checkpoint, step)
    print(f"network           {saved.name}")
    for field, value in saved.hyperparameters.items():
        print(f"  {field:<20}{value}")
    print(f"parameters        {model_lib.parameter_count(saved.params):,}")
    _print_leaves(saved.params)
    print(f"moving statistics {model_lib.parameter_count(saved.batch_stats):,}")
    _print_leaves(saved.batch_stats)
    for key, value in saved.metadata.items():
        if key != "model":
            shown = json.dumps(value, indent=2) if isinstance(value, dict) else value
            print(f"{key:<18}{shown}")
    print(f"read with         {_versions()}")
    return 0


def pictures(sources) -> list[pathlib.Path]:
    """Lists files, and the pictures in folders.

    Args:
      sources: files and folders.

    Returns:
      The files as given; those of a folder sorted, without hidden ones.

    Raises:
      FileNotFoundError: a source does not exist.
      ValueError: a folder holds no picture.
    """
    found = []
    for source in map(pathlib.Path, sources):
        if not source.exists():
            raise FileNotFoundError(f"no such file or folder: {source}")
        found += _inside(source) if source.is_dir() else [source]
    return found


def load_model(checkpoint, step: int | None = None) -> model_lib.Model:
    """Builds the model that a checkpoint describes.

    Args:
      checkpoint: a run's work directory or an exported model.
      step: of the run; None for the newest.

    Returns:
      The model.

    Raises:
      FileNotFoundError: there is no checkpoint.
      ValueError: it is damaged, holds no model, or weights that do not fit its network.
    """
    saved = networks.load(checkpoint, step)
    module = models.create(saved.name, saved.hyperparameters)
    return model_lib.Model.from_leaves(module, saved.params, saved.batch_stats)


def _save_imported(model, source, target):
    name, hyperparameters = models.describe(model.module)
    networks.save(
        target,
        name=name,
        hyperparameters=hyperparameters,
        params=model.params,
        batch_stats=model.batch_stats,
        metadata={"imported_from": str(source), "versions": _versions()},
    )
    count = model_lib.parameter_count(model.params)
    print(f"{name} with {count:,} parameters: {source} -> {target}")
    return 0


def _jobs(sources, target, bits, overwrite):
    """Pairs every input with its output and notes what forbids one."""
    into_folder = len(sources) > 1 or sources[0].is_dir() or target.is_dir()
    if not into_folder and target.suffix.lower() not in images.SUFFIXES:
        into_folder = not target.suffix
    if into_folder and target.is_file():
        raise ValueError(f"{target} is a file; for several pictures give a folder")
    files = pictures(sources)
    inputs = {file.resolve() for file in files}
    jobs, taken = [], set()
    for file in files:
        out = target / _name(file, bits) if into_folder else target
        jobs.append(_Job(file, out, _problem(out, inputs, taken, bits, overwrite)))
        taken.add(out.resolve())
    if into_folder:
        target.mkdir(parents=True, exist_ok=True)
    return jobs


def _inside(folder):
    found = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in images.SUFFIXES]
    found = [p for p in found if p.is_file() and not p.name.startswith(".")]
    if not found:
        raise ValueError(f"{folder} holds no picture ({', '.join(images.SUFFIXES)})")
    return found


def _name(file, bits):
    """The input's name; 16 bits do not fit a JPEG, so that becomes a PNG."""
    return (
        file.with_suffix(".png").name if bits == 16 and file.suffix.lower() in _JPEG else file.name
    )


def _problem(out, inputs, taken, bits, overwrite):
    suffix = out.suffix.lower()
    if suffix not in images.SUFFIXES:
        return f"the output {out} must end in one of {', '.join(images.SUFFIXES)}"
    if bits == 16 and suffix in _JPEG:
        return f"the output {out} cannot hold 16 bits; use .png or .tif"
    if out.resolve() in inputs:
        return f"the output {out} is an input; choose another place"
    if out.resolve() in taken:
        return f"the output {out} belongs to another input of this call"
    if out.exists() and not overwrite:
        return f"the output {out} exists; --overwrite replaces it"
    return None


def _enhance_file(model, job, bits, quality, **options):
    photo = images.read(job.source)
    if bits is None and job.target.suffix.lower() in _JPEG:
        bits = 8
    pixels = photo.pixels
    if bits == 16:
        pixels = images.to_bits(pixels, 16)
    pixels = inference.enhance(model, pixels, **options)
    if bits == 8:
        pixels = images.to_bits(pixels, 8)
    images.write(
        job.target, pixels, icc_profile=photo.icc_profile, exif=photo.exif, quality=quality
    )


def _progress(jobs):
    if len(jobs) == 1:
        return jobs
    import tqdm

    return tqdm.tqdm(jobs, unit="picture")


def _versions():
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in ("jax", "flax", "numpy"))
    return f"{packages}, Python {sys.version.split()[0]}"


def _print_leaves(tree):
    for path, leaf in tree_paths.flatten(tree).items():
        print(f"  {'/'.join(path):<48}{' x '.join(map(str, leaf.shape)) or 'scalar'}")
