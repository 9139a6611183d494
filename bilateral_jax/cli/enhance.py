"""The command `enhance`: photos to enhanced photos, file by file."""

import dataclasses
import pathlib
import sys

from bilateral_jax import images, inference
from bilateral_jax.checkpoints import networks
from bilateral_jax.cli import arguments, photo_paths

_JPEG = (".jpg", ".jpeg")


def add_arguments(command):
    """Declares the arguments."""
    add = command.add_argument
    add("sources", nargs="+", metavar="IN", help="JPEG, PNG or TIFF, 8 or 16 bits, or a folder")
    add("target", metavar="OUT", help="a file for one photo, else a folder")
    arguments.add_checkpoint(command)
    add("--bits", type=int, choices=(8, 16), help="depth of the output (default: as the input)")
    add("--quality", type=arguments.integer(1, 100), default=95, help="of JPEG (default: 95)")
    add("--overwrite", action="store_true", help="replace files that exist; never an input")
    add(
        "--tile-rows",
        type=arguments.integer(1),
        help="rows rendered at a time (default: at most half a megapixel)",
    )
    add(
        "--condition",
        dest="conditions",
        type=float,
        action="append",
        default=[],
        metavar="NUMBER",
        help="input of a conditional network, e.g. a filter's strength; once per condition",
    )


@dataclasses.dataclass(frozen=True)
class _Job:
    """One photo: the input, the output, and the reason it cannot be written, if any."""

    source: pathlib.Path
    target: pathlib.Path
    problem: str | None = None


def run(sources, target, *, checkpoint, step, network, bits, quality, overwrite, **options) -> int:
    """Enhances files; one that fails is named and the others are enhanced.

    Args:
      sources: files, or one folder.
      target: a file for one photo, else a folder; folders are created if absent.
      checkpoint: a run's work directory or an exported model.
      step: of the run; None for the newest.
      network: of a run with several; None for the one that is shipped.
      bits: 8 or 16 for the output; None as the input.
      quality: of JPEG files, 1 to 100.
      overwrite: replace files that exist; inputs are never replaced.
      **options: of `inference.enhance`.

    Returns:
      Exit code: 0, or 1 if a photo failed.
    """
    jobs = _jobs([pathlib.Path(s) for s in sources], pathlib.Path(target), bits, overwrite)
    model = networks.load_model(checkpoint, step, network=network)
    failed = 0
    for job in _progress(jobs):
        try:
            if job.problem:
                raise ValueError(job.problem)
            _enhance_file(model, job, bits, quality, **options)
        except (OSError, ValueError, MemoryError) as error:
            failed += 1
            print(f"failed: {job.source}: {error or type(error).__name__}", file=sys.stderr)
    if failed:
        print(f"{failed} of {len(jobs)} photos failed", file=sys.stderr)
    return int(failed > 0)


def _jobs(sources, target, bits, overwrite):
    """Pairs every input with its output."""
    into_folder = len(sources) > 1 or sources[0].is_dir() or target.is_dir()
    if not into_folder and target.suffix.lower() not in images.SUFFIXES:
        into_folder = not target.suffix
    if into_folder and target.is_file():
        raise ValueError(f"{target} is a file; for several photos give a folder")
    if into_folder and target.suffix.lower() in images.SUFFIXES and not target.is_dir():
        raise ValueError(f"{target} is named like a file; for several photos give a folder")
    files = photo_paths.find(sources)
    inputs = {file.resolve() for file in files}
    jobs, taken = [], set()
    for file in files:
        out = target / _name(file, bits) if into_folder else target
        jobs.append(_Job(file, out, _problem(out, inputs, taken, bits, overwrite)))
        taken.add(out.resolve())
    (target if into_folder else target.parent).mkdir(parents=True, exist_ok=True)
    return jobs


def _name(file, bits):
    """The input's name; as PNG where JPEG cannot hold 16 bits."""
    too_deep = bits == 16 and file.suffix.lower() in _JPEG
    return file.with_suffix(".png").name if too_deep else file.name


def _problem(out, inputs, taken, bits, overwrite):
    suffix = out.suffix.lower()
    if suffix not in images.SUFFIXES:
        return f"the output {out} must end in one of {', '.join(images.SUFFIXES)}"
    if bits == 16 and suffix in _JPEG:
        return f"the output {out} cannot hold 16 bits; use .png or .tif"
    if out.resolve() in inputs:
        return f"the output {out} is an input; choose another path"
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

    return tqdm.tqdm(jobs, unit="photo")
