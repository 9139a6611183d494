"""The command `table`: what a network does to the colours of a photo, as a `.cube` file."""

import pathlib

from bilateral_jax import atomic, images
from bilateral_jax.checkpoints import networks
from bilateral_jax.cli import arguments, errors, photo_paths, published_networks
from bilateral_jax.importers.formats import cube
from bilateral_jax.inference import by_pixel


def add_arguments(command):
    """Declares the arguments."""
    add = command.add_argument
    add("photo", metavar="IN", help="photo from which the network predicts its parameters")
    add("target", metavar="OUT.cube", help="file to write; its folder is made")
    arguments.add_checkpoint(command, or_weights=True)
    arguments.add_reading(command)
    add(
        "--nodes",
        type=arguments.integer(2, cube.LARGEST["LUT_3D_SIZE"]),
        default=33,
        help="of the table along each axis (default: 33)",
    )
    add("--overwrite", action="store_true", help="replace a file that exists; never the photo")


def run(photo, target, *, checkpoint, weights, step, network, nodes, overwrite, **reading) -> int:
    """Writes the table.

    Args:
      photo: the photo.
      target: `.cube` file.
      checkpoint: a run's work directory or an exported model; None with `weights`.
      weights: name of a published network, downloaded if it was not before; None without.
      step: of the run; None for the newest.
      network: of a run with several; None for the one that is shipped.
      nodes: of the table along each axis.
      overwrite: replace a file that exists.
      **reading: options of `images.read`.

    Returns:
      Exit code 0.

    Raises:
      ValueError: another suffix, a file that exists, or a network whose result at a pixel depends
        on more than the pixel's colour.
    """
    published = published_networks.find(weights, step, network)
    photo, target = pathlib.Path(photo), pathlib.Path(target)
    if target.suffix.lower() != cube.SUFFIX:
        raise ValueError(f"the output {target} must end in {cube.SUFFIX}")
    if target.exists() and not overwrite:
        raise ValueError(f"the output {target} exists; --overwrite replaces it")
    atomic.check_folder(target.parent)
    if published:
        checkpoint = published_networks.get_for_photos(published)
    model = networks.load_model(checkpoint, step, network=network)
    networks.check_finite(model, checkpoint)
    notes = photo_paths.Notes()
    with notes.of(photo) as said:
        opened = images.read(photo, **reading)
        said += opened.notes
    for line in notes.lines():
        errors.print_line(line)
    values = by_pixel.table(model, opened.pixels, nodes=nodes)
    title = "".join(c if c.isprintable() and c != '"' else "_" for c in photo.stem)
    target.parent.mkdir(parents=True, exist_ok=True)
    cube.write(target, cube.Table(values, title=title))
    print(f"{nodes} x {nodes} x {nodes} nodes: {photo} -> {target}")
    return 0
