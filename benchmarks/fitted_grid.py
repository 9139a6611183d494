"""A bilateral grid fitted at low resolution against the operator itself at full size.

    python -m benchmarks.fitted_grid [--networks NAME=MODEL ...] [--photos FOLDER] [--count 1]
        [--side 512] [--results NAME=FOLDER ...] [--inputs FOLDER] [--pictures FOLDER]
        [--record RECORD] [--quick]

Networks (folders of models, from `import` or a run): PSNR of `inference.enhance(..., grid_side=)`
to the network's own output on the first `--count` photos of a folder, beside that of the photo and
of the network's result on the small copy, enlarged; and the processor seconds of both, taken in
turn. Processor time, because it hardly depends on what else the machine does. What is compiled for
the grid is compiled before; the network's full-size program (0.3 s) is in its time.

Results (folders with the pictures that an operator made of those of `--inputs`, of the same names):
PSNR to them of a grid fitted at their own size and of one fitted at half of it.

Prints a table; without `--quick` writes `results/<device>/RECORD-<jax version>.json`.
"""

import argparse
import pathlib
import re
import time

import jax
import jax.numpy as jnp
import numpy as np

import bilateral_jax as bj
from benchmarks import records
from bilateral_jax import color, images, inference, metrics, pixels, resize
from bilateral_jax.checkpoints import networks
from bilateral_jax.inference import by_fitted_grid


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="*", type=named, default=[], metavar="NAME=MODEL")
    parser.add_argument("--photos", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--results", nargs="*", type=named, default=[], metavar="NAME=FOLDER")
    parser.add_argument("--inputs", type=pathlib.Path)
    parser.add_argument("--pictures", type=pathlib.Path, help="folder for the compared pictures")
    parser.add_argument(
        "--record", type=record, default="fitted_grid", metavar="RECORD", help="of the result file"
    )
    parser.add_argument("--quick", action="store_true", help="nothing is written")
    options = parser.parse_args(arguments)
    rows = []

    def add(row):
        print(row, flush=True)
        rows.append(row)
        if not options.quick:  # after each, since all of them take long
            records.write(options.record, rows)

    for name, folder in options.results:
        add({"operator": name} | of_results(options.inputs, pathlib.Path(folder)))
    for name, folder in options.networks:
        model = networks.load_model(folder)
        for path in sorted(options.photos.iterdir())[: options.count]:
            photo = images.read(path).pixels
            row, pictures = of_network(model, photo, options.side)
            add({"operator": name, "photo": path.stem} | row)
            if options.pictures:
                options.pictures.mkdir(parents=True, exist_ok=True)
                for kind, picture in pictures.items():
                    images.write(options.pictures / f"{name}-{path.stem}-{kind}.png", picture)


def record(text):
    """A name that is this benchmark's own."""
    if not re.fullmatch("fitted_grid[a-z0-9_]*", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not fitted_grid, with lower-case letters, digits and _ after it at most"
        )
    return text


def named(text):
    """`NAME=VALUE` as a pair."""
    name, _, value = text.partition("=")
    if not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def of_network(model, photo, side):
    """One row of a network, and the two pictures."""
    small = resize.resize_pixels(photo, by_fitted_grid.reduced_size(photo.shape[:2], side))
    enlarged = resize.resize(inference.enhance(model, small), photo.shape[:2], method="bilinear")
    inference.enhance(model, photo, grid_side=side)
    grid, grid_seconds = timed(model, photo, grid_side=side)
    network, network_seconds = timed(model, photo)
    again, grid_seconds_after = timed(model, photo, grid_side=side)
    assert np.array_equal(grid, again)
    seconds = (grid_seconds + grid_seconds_after) / 2
    row = {
        "size": list(photo.shape[:2]),
        "side": side,
        "psnr_grid": psnr(grid, network),
        "psnr_enlarged": psnr(np.asarray(pixels.to_integer(enlarged, 8)), network),
        "psnr_photo": psnr(photo, network),
        "grid_processor_seconds": round(seconds, 2),
        "network_processor_seconds": round(network_seconds, 2),
        "ratio": round(network_seconds / seconds, 2),
    }
    return row, {"grid": grid, "network": network}


def timed(model, photo, **options):
    """The enhanced photo and the processor seconds that it took."""
    start = time.process_time()
    out = inference.enhance(model, photo, **options)
    return out, time.process_time() - start


def of_results(inputs, folder):
    """Mean PSNR of fitted grids to the pictures of an operator."""
    values = {"own_size": [], "half_size": [], "input": []}
    for path in sorted(folder.iterdir()):
        image = pixels.to_float(images.read(inputs / path.name).pixels)
        target = images.read(path).pixels
        full = image, pixels.to_float(target)
        size = tuple(max(1, length // 2) for length in image.shape[:2])
        half = [resize.resize_pixels(array, size) for array in full]
        for name, pair in (("own_size", full), ("half_size", half)):
            out = bj.slice_apply(_fit(*pair), color.luminance(image), jnp.asarray(image))
            values[name].append(psnr(pixels.to_integer(out, 8), target))
        values["input"].append(psnr(pixels.to_integer(image, 8), target))
    means = {f"psnr_{name}": round(float(np.mean(found)), 2) for name, found in values.items()}
    return {"photos": len(values["input"]), "each": values} | means


_fit = jax.jit(bj.fit_grid)


def psnr(image, target):
    pair = (pixels.to_float(array) for array in (image, target))
    return round(float(metrics.psnr(*pair)), 2)


if __name__ == "__main__":
    main()
