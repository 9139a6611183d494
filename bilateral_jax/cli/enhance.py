"""The command `enhance`: photos to enhanced photos, file by file."""

import dataclasses
import errno
import pathlib

from bilateral_jax import atomic, images, inference
from bilateral_jax.checkpoints import networks, packed
from bilateral_jax.cli import arguments, enhance_jobs, errors, photo_paths, published_networks
from bilateral_jax.images import formats
from bilateral_jax.importers import color_table
from bilateral_jax.inference import by_fitted_grid

# A disk or a quota is full, or the file system has become read-only.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def add_arguments(command):
    """Declares the arguments."""
    add = command.add_argument
    arguments.add_sources(command, metavar="IN")
    add(
        "target",
        metavar="OUT",
        help="a file for one photo (.jpg, .png or .tif), else a folder",
    )
    arguments.add_checkpoint(command, or_others=True)
    arguments.add_reading(command)
    add("--bits", type=int, choices=(8, 16), help="depth of the output (default: as the input)")
    add("--quality", type=arguments.integer(1, 100), default=95, help="of JPEG (default: 95)")
    add("--recursive", action="store_true", help="read sub-folders, too; OUT gets the same ones")
    existing = command.add_mutually_exclusive_group()
    existing.add_argument(
        "--overwrite", action="store_true", help="replace files that exist; never an input"
    )
    existing.add_argument(
        "--skip-existing", action="store_true", help="pass over photos whose output exists"
    )
    add(
        "--tile-rows",
        type=arguments.integer(1),
        help="rows rendered at a time (default: at most half a megapixel)",
    )
    add(
        "--strength",
        type=arguments.unit_interval,
        default=1.0,
        metavar="NUMBER",
        help="0 leaves the photo as it is, 1 takes the network's result (default: 1)",
    )
    grid = command.add_mutually_exclusive_group()
    grid.add_argument(
        "--grid",
        dest="grid_side",
        action="store_const",
        const=512,
        help="for slow networks: run the network on a small copy of the photo, fit a bilateral "
        "grid to its result and apply that to the photo",
    )
    grid.add_argument(
        "--grid-side",
        type=arguments.integer(1),
        metavar="N",
        help="--grid with a copy of N pixels along the longer side (default: 512)",
    )
    add(
        "--condition",
        dest="conditions",
        type=arguments.number,
        action="append",
        default=[],
        metavar="NUMBER",
        help="input of a conditional network, e.g. a filter's strength; once per condition",
    )


def run(
    sources,
    target,
    *,
    checkpoint,
    table,
    weights,
    step,
    network,
    bits,
    quality,
    recursive,
    overwrite,
    skip_existing,
    max_pixels=None,
    first_frame=False,
    **options,
) -> int:
    """Enhances files; one that fails is named and the others are enhanced.

    Args:
      sources: files and folders.
      target: a file for one photo, else a folder; folders are created if absent.
      checkpoint: a run's work directory or an exported model; None with `table` or `weights`, or
        for the network that ships with the package.
      table: a `.cube` file or a Hald image, in place of a network; None without.
      weights: name of a published network, downloaded if it was not before; None without.
      step: of the run; None for the newest.
      network: of a run with several; None for the one that is shipped.
      bits: 8 or 16 for the output; None as the input.
      quality: of JPEG files, 1 to 100.
      recursive: read sub-folders, too.
      overwrite: replace files that exist; inputs are never replaced.
      skip_existing: pass over photos whose output exists.
      max_pixels: of a photo, see `images.read`.
      first_frame: of photos with several pages or frames, enhance the first.
      **options: of `inference.enhance`.

    Returns:
      Exit code: 0, or 1 if a photo failed, or was left since its output exists and neither
      `overwrite` nor `skip_existing` says what to do.
    """
    published = published_networks.find(weights, step, network)
    sources, target = [pathlib.Path(source) for source in sources], pathlib.Path(target)
    into_folder = enhance_jobs.goes_into_folder(sources, target)
    found = photo_paths.find(sources, recursive=recursive, exclude=[target])
    jobs = enhance_jobs.make(
        found.photos,
        target,
        into_folder=into_folder,
        bits=bits,
        overwrite=overwrite,
        kept=[] if table is None else [pathlib.Path(table)],
    )
    failures = [photo_paths.failure(*unreadable) for unreadable in found.unreadable]
    failures += [photo_paths.failure(job.source, job.problem) for job in jobs if job.problem]
    for line in failures:
        errors.print_line(f"failed: {line}")
    ready = [job for job in jobs if not job.problem and not job.exists]
    existing = [job for job in jobs if job.exists]
    if existing and not skip_existing:
        errors.print_line(_refusal(existing))
    enhanced, notes = 0, photo_paths.Notes()
    if ready:
        atomic.check_folder(target if into_folder else target.parent)
        if published:
            checkpoint = published_networks.get_for_photos(published)
        model = _load(checkpoint, table, step, network)
        if options.get("grid_side") is not None:
            by_fitted_grid.check_model(model)
        options |= {"reading": {"max_pixels": max_pixels, "first_frame": first_frame}}
        options |= {"keep_grey": table is None}
        enhanced = _enhance_all(model, ready, notes, bits=bits, quality=quality, **options)
    for line in notes.lines():
        errors.print_line(line)
    failed = len(failures) + len(ready) - enhanced
    is_default = checkpoint is None and table is None
    _print_summary(enhanced, failed, len(existing), found.left_out, recursive, is_default)
    return int(failed > 0 or (bool(existing) and not skip_existing))


def _load(checkpoint, table, step, network):
    """The network of a checkpoint or of a colour table's file, or the default network."""
    if checkpoint is not None:
        model = networks.load_model(checkpoint, step, network=network)
        networks.check_finite(model, checkpoint)
        return model
    if step is not None or network is not None:
        raise ValueError(
            "--step and --network choose from a --checkpoint; "
            + ("without one the default network is used" if table is None else "a --table has none")
        )
    return packed.default_model() if table is None else color_table.load(table)


def _enhance_all(model, jobs, notes, **options):
    """Enhances the photos, names those that fail and gives the number of the others.

    A disk that is full ends the work: every photo behind it would be enhanced in vain.
    """
    enhanced = 0
    for number, job in enumerate(_progress(jobs), 1):
        try:
            with notes.of(job.source) as said:
                said += _enhance_file(model, job, **options)
            enhanced += 1
        except errors.USER_ERRORS as error:
            errors.print_line(f"failed: {photo_paths.failure(job.source, error)}")
            if getattr(error, "errno", None) in _FULL:
                if number < len(jobs):
                    rest = f"{len(jobs) - number} more not enhanced"
                    errors.print_line(f"stopped: {rest}; later --skip-existing goes on here")
                break
    return enhanced


def _enhance_file(model, job, *, bits, quality, reading, keep_grey, **options):
    """Enhances a photo and gives sentences about what its output does not hold of it."""
    photo = images.read(job.source, **reading)
    suffix = job.target.suffix.lower()
    depth = images.bit_depth(photo.pixels)
    rounded = bits is None and depth == 16 and suffix in formats.JPEG_SUFFIXES
    bits = bits or (8 if rounded else depth)
    images.check_writable(job.target, photo, bits=bits, quality=quality)
    photo, notes = images.fit_metadata(photo, suffix)
    if rounded:
        notes.append("JPEG holds 8 bits per channel: 16 were rounded to 8")
    pixels = images.to_bits(photo.pixels, 16) if bits == 16 else photo.pixels
    pixels = images.to_bits(inference.enhance(model, pixels, **options), bits)
    if keep_grey and not photo.grey and not images.has_colors(photo.pixels):
        pixels = images.without_colors(pixels)
        notes.append("a photo without colours stays without; only a --table may tint it")
    alpha = None if photo.alpha is None else images.to_bits(photo.alpha, bits)
    job.target.parent.mkdir(parents=True, exist_ok=True)
    photo = dataclasses.replace(photo, pixels=pixels, alpha=alpha)
    images.write_photo(job.target, photo, quality=quality)
    return [*photo.notes, *notes]


def _progress(jobs):
    if len(jobs) == 1:
        return jobs
    import tqdm

    return tqdm.tqdm(jobs, unit="photo")


def _refusal(existing):
    advice = "--skip-existing passes over such photos, --overwrite replaces the files"
    if len(existing) == 1:
        return (
            f"not enhanced: {existing[0].source}: the output {existing[0].target} exists; {advice}"
        )
    return f"not enhanced: {len(existing)} photos whose outputs exist; {advice}"


def _print_summary(enhanced, failed, existing, left_out, recursive, is_default):
    by = " with the default network" if is_default and enhanced else ""
    parts = [f"{enhanced} photo{'' if enhanced == 1 else 's'} enhanced{by}"]
    if failed:
        parts.append(f"{failed} failed")
    if existing:
        parts.append(f"{existing} skipped (output exists)")
    if left_out:
        kinds = photo_paths.describe(left_out, recursive=recursive)
        parts.append(f"{sum(left_out.values())} left out ({kinds})")
    print(", ".join(parts))
