"""Accuracy of the alignment, and whether wrong pairs pass its checks.

Measures `bilateral_jax.alignment.align` on real photos. A photo serves as the camera's; the phone's
is made from it by a known homography (rotation up to 8 degrees, scale 0.7 to 1.4, perspective,
translation; resampled by SciPy in float64) and the degradations of phones: exposure, gamma and a
colour cast, noise, blur, JPEG, or all of these. Where the phone sees more than the camera, the
photo is mirrored: an empty border would show the outline.

- `corner`: distance between the corners of the whole phone photo under the found and the true
  homography, in its pixels.
- `patches`: share of the kept patches whose centre is right to 1 pixel, after the shift that the
  correlation filter chose.
- wrong pairs: every ordered pair of different photos, photos against their mirror images, different
  photos that carry the same date stamp or the same frame, disjoint halves of one photo, and images
  without texture or with only a repeated or random one. None may pass.

    python -m benchmarks.align --assets FOLDER [--part PART] [--quick]

prints tables; without `--quick` it writes `results/align.json`. About ten minutes on one core.
"""

import argparse
import itertools
import json
import pathlib
import time
from unittest import mock

import cv2
import numpy as np
from scipy import ndimage

from benchmarks import records
from bilateral_jax import images
from bilateral_jax.alignment import align, geometry, matching
from bilateral_jax.data.synthetic import procedural

DEGRADATIONS = ("clean", "exposure", "noise", "blur", "jpeg", "all")
ENLARGED = 12e6  # pixels of the large photos, made by enlarging
RETOUCHED = ("expert_c", "fllf", "npea", "clhe")


def homography(rng, size):
    """A random view of a photo of this size by another camera of the same size."""
    height, width = size
    angle, scale = np.radians(rng.uniform(-8, 8)), np.exp(rng.uniform(np.log(0.7), np.log(1.4)))
    rotation = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear, tilt = np.eye(3), np.eye(3)
    linear[:2, :2] = rotation
    tilt[2, :2] = rng.uniform(-0.1, 0.1, 2) / max(size)
    middle = np.array([width, height]) / 2
    there, back = np.eye(3), np.eye(3)
    there[:2, 2] = middle + rng.uniform(-0.05, 0.05, 2) * (width, height)
    back[:2, 2] = -middle
    return there @ tilt @ linear @ back


def view(photo, matrix, fine=2):
    """Warps a photo by a homography: cubic splines, the mean of `fine` x `fine` samples."""
    height, width = photo.shape[:2]
    steps = (np.arange(fine) + 0.5) / fine - 0.5
    y = (np.arange(height)[:, None] + steps).ravel()
    x = (np.arange(width)[:, None] + steps).ravel()
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    there = geometry.transform(np.linalg.inv(matrix), points)[:, ::-1].T
    drawn = np.empty(photo.shape)
    for channel in range(3):
        samples = ndimage.map_coordinates(
            photo[..., channel].astype(np.float64), there, order=3, mode="mirror"
        )
        drawn[..., channel] = samples.reshape(height, fine, width, fine).mean(axis=(1, 3))
    return np.clip(drawn / 255, 0, 1)


def degraded(image, kind, rng):
    """An image in [0, 1] with the degradations of a phone, uint8."""
    every = kind == "all"
    if every or kind == "blur":
        image = ndimage.gaussian_filter(image, (1.2, 1.2, 0))
    if every or kind == "exposure":
        gains = 2.0 ** rng.uniform(-1, 0.7) * rng.uniform(0.8, 1.2, 3)
        image = np.clip(image * gains, 0, 1) ** rng.uniform(0.7, 1.4)
    if every or kind == "noise":
        image = image + rng.normal(0, 0.03, image.shape)
    pixels = images.to_integer(np.clip(image, 0, 1), 8)
    if every or kind == "jpeg":
        bgr = np.ascontiguousarray(pixels[..., ::-1])
        _, content = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 60])
        pixels = cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1]
    return np.ascontiguousarray(pixels)


def aligned(camera, phone, truth):
    """The row of an aligned pair, compared with the true homography."""
    start = time.process_time()
    fit = align.find_homography(camera, phone)
    seconds = time.process_time() - start
    row = {"matches": len(fit.matches), "inliers": int(fit.inliers.sum()), "reason": fit.reason}
    row["seconds"] = round(seconds, 2)
    if fit.windows:
        row["agreeing"] = round(fit.windows.agreeing / max(fit.windows.textured, 1), 3)
    if fit.reason:
        return row
    ends = geometry.corners(phone.shape[:2])
    origin = geometry.transform(np.linalg.inv(truth), ends)
    corner = np.linalg.norm(geometry.transform(fit.homography, origin) - ends, axis=1)
    crops = align.crop(camera, phone, fit.homography)
    kept = [patch for patch in align.patches(crops) if patch.kept]
    exact = geometry.resized(truth, 1, crops.scale)
    centres = np.array([(p.left, p.top) for p in kept]).reshape(-1, 2) + 49.5 + crops.box[1::-1]
    shifts = np.array([(p.right, p.down) for p in kept]).reshape(-1, 2)
    origin = geometry.transform(np.linalg.inv(crops.homography), centres + shifts)
    off = np.linalg.norm(geometry.transform(exact, origin) - centres, axis=1)
    row |= {"corner": corner.round(4).tolist(), "patches": len(kept)}
    row |= {"scale": round(crops.scale, 3), "within": int((off <= 1).sum())}
    return row | {"worst_patch": round(float(off.max()), 3) if len(off) else None}


def warped(photos, *, views, kinds, enlarged=False):
    """Rows of every photo, view and degradation."""
    for number, (name, photo) in enumerate(photos.items()):
        for seed in range(views):
            rng = np.random.default_rng((number, seed))
            if enlarged:
                factor = np.sqrt(ENLARGED / (photo.shape[0] * photo.shape[1]))
                photo = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
            truth = homography(rng, photo.shape[:2])
            image = view(photo, truth, fine=1 if enlarged else 2)
            for kind in kinds:
                row = {"photo": name, "view": seed, "kind": kind}
                yield row | aligned(photo, degraded(image, kind, rng), truth)


def retouched(folder):
    """Rows of photos against retouched versions: the true homography is the identity."""
    for before in sorted((folder / "input").glob("*.png")):
        for kind in RETOUCHED:
            after = folder / kind / before.name
            if after.is_file():
                pair = [images.read(path).pixels for path in (before, after)]
                yield {"photo": before.stem, "kind": kind} | aligned(*pair, np.eye(3))


def wrong_pairs(photos):
    """(Kind, name, camera, phone) of pairs of different scenes."""
    for (a, first), (b, second) in itertools.permutations(photos.items(), 2):
        yield "two photos", f"{a} {b}", first, second
    for name, photo in photos.items():
        yield "mirrored", name, photo, np.ascontiguousarray(photo[:, ::-1])
        yield "upside down", name, photo, np.ascontiguousarray(photo[::-1])
        half = photo.shape[1] // 2
        yield "two halves", name, photo[:, :half], photo[:, half:]
    large = list(photos.items())[:6]
    for (a, first), (b, second) in itertools.permutations(large, 2):
        yield "same date stamp", f"{a} {b}", stamped(first), stamped(second)
        yield "same frame", f"{a} {b}", framed(first), framed(second)
    for a, b in itertools.permutations(range(4), 2):
        for kind, make in (("repeated texture", bricks), ("random texture", texture)):
            yield kind, f"{a} {b}", make(a), make(b)
        yield "no texture", f"{a} {b}", gradient(a), gradient(b)


def stamped(photo):
    photo = photo.copy()
    corner = (photo.shape[1] // 3, photo.shape[0] - 40)
    font = cv2.FONT_HERSHEY_SIMPLEX
    return cv2.putText(photo, "2026:11:24 17:05:33", corner, font, 1.6, (255, 160, 0), 3)


def framed(photo):
    """The photo inside a frame of texture that is the same for every photo."""
    frame = texture(9, size=(900, 900))
    frame[120:780, 120:780] = cv2.resize(photo, (660, 660), interpolation=cv2.INTER_AREA)
    return frame


def bricks(seed):
    """A brick wall with random colours and offset."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:600, :800] + rng.integers(0, 60, (2, 1, 1))
    row, column = y // 30, (x + 30 * ((y // 30) % 2)) // 60
    tone = rng.uniform(0.35, 0.6, (40, 40))[row % 40, column % 40]
    joint = (y % 30 < 3) | ((x + 30 * ((y // 30) % 2)) % 60 < 3)
    wall = np.where(joint, 0.8, tone)[..., None] * (1.0, 0.7, 0.6)
    return images.to_integer(np.clip(wall + rng.normal(0, 0.01, wall.shape), 0, 1), 8)


def texture(seed, size=(600, 800)):
    photo = procedural.SyntheticPairs(seed + 1, size=size, seed=1)[seed]["input"]
    return images.to_integer(photo, 8)


def gradient(seed):
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0.3, 0.7, 800)[None, :, None] * np.ones((600, 1, 3))
    return images.to_integer(np.clip(ramp + rng.normal(0, 0.01, ramp.shape), 0, 1), 8)


def wrong_pair_rows(photos):
    """Rows of every wrong pair; the features of an image are computed once."""
    known, find = {}, matching._features

    def features(grey):
        key = grey.shape, hash(grey.tobytes())
        if key not in known:
            known[key] = find(grey)
        return known[key]

    with mock.patch.object(matching, "_features", features):
        for kind, name, camera, phone in wrong_pairs(photos):
            camera, phone = np.ascontiguousarray(camera), np.ascontiguousarray(phone)
            fit = align.find_homography(camera, phone)
            reason = fit.reason
            if reason is None:
                try:
                    crops = align.crop(camera, phone, fit.homography)
                    reason = align.patch_problem(align.patches(crops))
                except ValueError as error:
                    reason = str(error)
            row = {"kind": kind, "pair": name, "matches": len(fit.matches)}
            yield row | {"inliers": int(fit.inliers.sum()), "reason": reason}


def summary(rows):
    """Row of the table of pairs."""
    found = [row for row in rows if row["reason"] is None]
    corner = np.array([row["corner"] for row in found]).reshape(-1)
    patches = sum(row["patches"] for row in found)
    return {
        "pairs": len(rows),
        "aligned": len(found),
        "agreeing_min": min(row["agreeing"] for row in found) if found else None,
        "corner_median": round(float(np.median(corner)), 3) if len(corner) else None,
        "corner_max": round(float(corner.max()), 3) if len(corner) else None,
        "patches": patches,
        "within_1px": round(sum(row["within"] for row in found) / max(patches, 1), 4),
        "seconds": round(float(np.median([row["seconds"] for row in rows])), 1),
    }


def passed_summary(rows):
    """Row of the table of wrong pairs."""
    passed = sum(row["reason"] is None for row in rows)
    return {"pairs": len(rows), "passed": passed, "most_inliers": max(r["inliers"] for r in rows)}


def grouped(rows):
    groups = {}
    for row in rows:
        groups.setdefault(row["kind"], []).append(row)
    return groups


def photos_of(folder):
    return {path.stem: images.read(path).pixels for path in sorted(folder.glob("*.png"))}


def parts_of(folder, quick):
    """Part -> generator of its rows."""
    large = photos_of(folder / "photos")
    small = photos_of(folder / "fivek_sample" / "input") | photos_of(folder / "internet")
    if quick:
        large, small = (dict(list(photos.items())[:2]) for photos in (large, small))
    views = 1 if quick else 3
    return {
        "1080p": warped(large, views=views, kinds=DEGRADATIONS),
        "512 pixels": warped(small, views=views, kinds=("clean", "all")),
        "12 megapixels": warped(large, views=1, kinds=("all",), enlarged=True),
        "retouched, 512 pixels": retouched(folder / "fivek_sample"),
        "wrong pairs": wrong_pair_rows(large | small),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assets", type=pathlib.Path, required=True, help="folder of photos")
    parser.add_argument("--part", help="only this one; the file keeps the results of the others")
    parser.add_argument("--quick", action="store_true", help="two photos, nothing written")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    parts = parts_of(options.assets, options.quick)
    if options.part not in (None, *parts):
        parser.error(f"--part must be one of {', '.join(parts)}, got {options.part}")
    path = records.RESULTS / "align.json"
    record = json.loads(path.read_text()) if options.part and path.is_file() else {}
    for part in (options.part,) if options.part else parts:
        rows = list(parts[part])
        line = passed_summary if part == "wrong pairs" else summary
        table = {kind: line(group) for kind, group in grouped(rows).items()}
        for kind, numbers in table.items():
            print(part, kind, *(f"{key} {value}" for key, value in numbers.items()), flush=True)
        metadata = records.metadata() | {"opencv": cv2.__version__}
        record[part] = {"metadata": metadata, "table": table, "rows": rows}
    if not options.quick:
        path.write_text(json.dumps(record, indent=1) + "\n")
        print(f"written to {path.relative_to(records.RESULTS.parent)}")


if __name__ == "__main__":
    main()
