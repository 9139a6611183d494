"""Quality and speed of a distilled bilateral-grid network against its teacher.

Measures the PSNR of an HDRNet trained on a teacher's outputs (`configs/distil_can.py`) to the
teacher on photos that neither was trained on, and the time of both for a whole photo, interleaved:
`bilateral_jax.inference.enhance`, decoded array to array, 8 bit.

    python -m benchmarks.distillation TEACHER STUDENT --name NAME [--photos FOLDER] [--sizes 1080p
    12mp]
        [--rounds 3] [--quick]

TEACHER and STUDENT are folders of models (`import can`, a run). Without `--photos` the demo's
held-out photos are used. Prints a table; without `--quick` writes
`results/<device>/distillation-<jax version>.json`, one row per operator NAME, size or set of
photos; rows of other names stay.
"""

import argparse
import json
import pathlib
import time

import jax
import numpy as np

from benchmarks import records, timing
from bilateral_jax import inference, metrics
from bilateral_jax.checkpoints import networks
from bilateral_jax.data.sources import unpaired
from bilateral_jax.data.synthetic import operator_targets

SIZES = {"1080p": (1080, 1920), "12mp": (3000, 4000)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("teacher")
    parser.add_argument("student")
    parser.add_argument("--name", required=True, help="what the teacher does, for the table")
    parser.add_argument("--photos", help="folder of photos to compare; default: the demo's")
    parser.add_argument("--sizes", nargs="*", choices=SIZES, default=["1080p"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a small image, nothing written")
    options = parser.parse_args()
    teacher, student = (networks.load_model(path) for path in (options.teacher, options.student))
    rows = [{"operator": options.name} | compared(teacher, student, options.photos)]
    print(f"{options.name}, PSNR to the teacher: {rows[0]['mean_student']} dB")
    print(f"that of the untouched photos: {rows[0]['mean_untouched']} dB", flush=True)
    sizes = {"quick": (96, 128)} if options.quick else {size: SIZES[size] for size in options.sizes}
    for size, pixels in sizes.items():
        times = timed(teacher, student, pixels, options.rounds)
        rows.append({"operator": options.name, "size": size} | times)
        print(describe(rows[-1]), flush=True)
    if not options.quick:
        records.write("distillation", kept(options.name, rows) + rows)


def compared(teacher, student, folder):
    """PSNR to the teacher's output, of the student and of the unchanged photo."""
    source = unpaired.ImageSource.folder(folder, long_side=768) if folder else None
    source = source or operator_targets.DemoInputs("heldout")
    photos = {}
    for index in range(len(source)):
        photo = source[index]["image"]
        target = inference.enhance(teacher, photo)
        photos[pathlib.Path(source[index]["name"]).stem] = {
            "student": psnr(inference.enhance(student, photo), target),
            "untouched": psnr(photo, target),
        }
    means = {
        f"mean_{name}": round(float(np.mean([photo[name] for photo in photos.values()])), 2)
        for name in ("student", "untouched")
    }
    return {"set": "folder" if folder else "demo", "photos": photos} | means


def psnr(image, target):
    pair = (np.asarray(x, np.float32) / np.iinfo(x.dtype).max for x in (image, target))
    return round(float(metrics.psnr(*pair)), 2)


def timed(teacher, student, size, rounds):
    """Seconds of both on one photo of noise, interleaved, after an untimed run of each."""
    photo = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    samples = {"teacher": [], "student": []}
    for attempt in range(rounds + 1):
        for name, network in (("teacher", teacher), ("student", student)):
            start = time.perf_counter()
            inference.enhance(network, photo)
            if attempt:
                samples[name].append(time.perf_counter() - start)
    row = {f"{name}_seconds": timing.quartiles(values) for name, values in samples.items()}
    ratio = np.divide(samples["teacher"], samples["student"])
    return row | {"pixels": size[0] * size[1], "rounds": rounds, "ratio": timing.quartiles(ratio)}


def describe(row):
    """One line of the table."""
    teacher, student = (row[f"{name}_seconds"][1] * 1e3 for name in ("teacher", "student"))
    times = f"{row['ratio'][1]:.0f} times"
    return f"{row['size']:6} teacher {teacher:9.0f} ms, student {student:7.0f} ms, {times}"


def kept(name, rows):
    """Rows of other operators, and of this one's other sizes and photos, from the file as it is."""
    path = records.RESULTS / records.device() / f"distillation-{jax.__version__}.json"
    new = {(row.get("size"), row.get("set")) for row in rows}
    old = json.loads(path.read_text())["rows"] if path.exists() else []
    return [r for r in old if r["operator"] != name or (r.get("size"), r.get("set")) not in new]


if __name__ == "__main__":
    main()
