"""The command `align`: two cameras' photos to pairs of patches.

Photos are processed one by one, on several processes, each into a folder of its own under
`photos/`; a stopped run resumes. At the end the patches are numbered and linked into DPED's layout.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import pathlib
import signal
import sys
import threading
from concurrent.futures import process

from bilateral_jax import atomic
from bilateral_jax.alignment import dped_layout, pairing, photo_pair
from bilateral_jax.cli import arguments, errors, photo_paths

_READING = ("max_pixels", "first_frame")


def add_arguments(command):
    """Declares the arguments."""
    add, integer, fraction = command.add_argument, arguments.integer, arguments.fraction
    add("phone_dir", metavar="PHONE_DIR", help="photos of the camera to be improved")
    add("camera_dir", metavar="CAMERA_DIR", help="photos of the better one, same names")
    add("out", metavar="OUT", help="folder to write to; a stopped run resumes there")
    add("--phone", metavar="NAME", help="name in the layout (default: that of PHONE_DIR)")
    add("--camera", metavar="NAME", default="canon", help="name in the layout (default: canon)")
    add(
        "--pairs",
        metavar="LIST",
        help="file with two file names a line, instead of equal names",
    )
    add("--size", type=integer(8), default=100, help="of a patch (default: 100)")
    add("--stride", type=integer(1), help="between patches (default: their size)")
    add("--search", type=integer(0, 64), default=5, help="largest shift in pixels (default: 5)")
    add("--correlation", type=fraction, default=0.9, help="a pair must exceed (default: 0.9)")
    add("--scale", type=arguments.scale, help="of the phone's photos (default: 1 where possible)")
    add("--format", dest="suffix", choices=("jpg", "png"), default="jpg", help="of the patches")
    add("--quality", type=integer(1, 100), default=95, help="of JPEG patches (default: 95)")
    add("--crops", action="store_true", help="keep the aligned photos, too, as PNG")
    add("--test-share", type=fraction, default=0.0, help="of photos kept for testing (default: 0)")
    add("--reduced", type=integer(256), default=1600, help="longest side of the copies for SIFT")
    add("--seed", type=integer(0), default=0, help="of RANSAC (default: 0)")
    add("--jobs", type=integer(1), default=1, help="photos at a time (default: 1)")
    add("--report", type=integer(0), default=40, help="photos shown (default: 40)")
    add("--redo", action="store_true", help="process finished photos again")
    arguments.add_reading(command)


def run(
    phone_dir,
    camera_dir,
    out,
    *,
    phone,
    camera,
    pairs,
    jobs,
    redo,
    test_share,
    report,
    **options,
) -> int:
    """Aligns two folders of photos and cuts patches.

    Args:
      phone_dir: folder of the phone's photos.
      camera_dir: folder of the camera's photos.
      out: folder to write to; the phone's name becomes a folder in it.
      phone: name of the phone, or None for its folder's name.
      camera: name of the camera in the layout.
      pairs: file that lists pairs, or None to pair by name.
      jobs: number of processes.
      redo: process finished photos again.
      test_share: share of the photos whose patches are for testing.
      report: number of photos shown with images in the report, at most.
      **options: of `photo_pair.process`.

    Returns:
      Exit code: 0; 1 if a photo could not be read, or no pair was kept.

    Raises:
      ValueError: invalid folders, names or list.
      OSError: a folder cannot be read, or the results not be written.
    """
    phone_dir, camera_dir = pathlib.Path(phone_dir), pathlib.Path(camera_dir)
    phone = phone or phone_dir.resolve().name
    dped_layout.check_names(phone, camera)
    if pairs is None:
        if os.path.realpath(phone_dir) == os.path.realpath(camera_dir):
            raise ValueError(f"{phone_dir} is the folder of both cameras; give one for each")
        found, unpaired = pairing.by_name(phone_dir, camera_dir)
        left_out = photo_paths.find([phone_dir, camera_dir]).left_out
        if left_out:
            print(f"left out: {photo_paths.describe(left_out, recursive=True)}")
    else:
        found, unpaired = pairing.by_list(pairs, phone_dir, camera_dir), []
    # Recorded only where they are given: records of earlier versions stay valid.
    options = {name: value for name, value in options.items() if name not in _READING or value}
    options["suffix"] = f".{options['suffix']}"
    options["stride"] = options["stride"] or options["size"]
    root = pathlib.Path(out) / phone
    atomic.check_folder(root)
    dped_layout.check_folder(root)
    (root / "photos").mkdir(parents=True, exist_ok=True)
    with dped_layout.locked(root):
        dped_layout.remove_unfinished(root)
        records = _process_all(found, root, options, jobs, redo)
        totals = dped_layout.write(
            root,
            records,
            unpaired,
            phone=phone,
            camera=camera,
            test_share=test_share,
            settings=options,
            report=report,
        )
    return _print_totals(totals, root)


def _process_all(pairs, root, options, jobs, redo):
    """Gives the records of all pairs, sorted by name; finished ones are not processed again."""
    records, tasks = {}, []
    for pair in pairs:
        folder = root / "photos" / pair.name
        record = None if redo else photo_pair.finished_record(pair, folder, options)
        if record:
            records[pair.name] = record
        else:
            tasks.append((pair, folder, options))
    if records:
        print(f"{len(records)} of {len(pairs)} pairs were finished before")
    for record in _in_order_of_completion(tasks, jobs):
        records[record["name"]] = record
        if record["status"] == "failed":
            errors.print_line(f"failed: {record['reason']}")
    return [records[name] for name in sorted(records)]


def _in_order_of_completion(tasks, jobs):
    """Processes pairs and yields their records."""
    import tqdm

    with tqdm.tqdm(total=len(tasks), unit="photo", disable=len(tasks) < 2) as bar:
        for record in _sequential(tasks) if jobs == 1 else _parallel(tasks, jobs):
            bar.update()
            yield record


def _sequential(tasks):
    for task in tasks:
        yield photo_pair.process(*task)


def _parallel(tasks, jobs):
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(
        max(1, min(jobs, len(tasks))), context, initializer=_start_worker
    )
    try:
        futures = [pool.submit(photo_pair.process, *task) for task in tasks]
        for future in concurrent.futures.as_completed(futures):
            yield future.result()
    except process.BrokenProcessPool as error:
        raise OSError(
            "a worker process died, perhaps for lack of memory; finished photos are kept: run the "
            "command again, with fewer --jobs"
        ) from error
    finally:
        # Photos in progress are finished, so that Ctrl-C loses nothing.
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker():
    """Prepares a worker process: one thread, and its end with the parent's."""
    import cv2

    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)


def _print_totals(totals, root):
    counts = ", ".join(f"{totals[key]} {key}" for key in ("kept", "refused", "failed"))
    print(f"{totals['photos']} pairs of photos: {counts}")
    if totals["without_partner"]:
        print(f"photos without a partner: {totals['without_partner']} (the manifest names them)")
    print(f"{totals['patches']} pairs of patches in {root}; look at {root / 'report.html'}")
    if not totals["kept"]:
        print("no pair was kept", file=sys.stderr)
    return int(totals["failed"] > 0 or not totals["kept"])
