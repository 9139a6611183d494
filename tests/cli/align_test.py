"""The align command: layout, manifest, report, resuming, and errors."""

import json
import os
import re
import signal
import struct
import subprocess
import sys
import time

import numpy as np
import PIL.Image
import pytest

from bilateral_jax import __main__ as command_line
from bilateral_jax import images
from bilateral_jax.alignment import dped_layout, photo_pair
from bilateral_jax.cli import align
from bilateral_jax.data.sources import dped
from tests import assets, scenes

ROOT = assets.ROOT
SIZE = (360, 480)
VIEW = {"degrees": 3, "scale": 0.85, "tilt": (0.03, 0.02)}


def run(*arguments):
    return command_line.main(["align", *(str(argument) for argument in arguments)])


def write_pair(folder, name, seed):
    camera = scenes.scene(seed, SIZE)
    phone = scenes.view(camera, scenes.homography(SIZE, **VIEW))
    images.write(folder / "iphone" / f"{name}.png", phone)
    images.write(folder / "camera" / f"{name}.jpg", camera)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Three good pairs, one of different scenes, two broken ones, two unpaired photos."""
    folder = tmp_path_factory.mktemp("photos")
    for name in ("iphone", "camera"):
        (folder / name).mkdir()
    for number, name in enumerate(("alley", "bridge", "court")):
        write_pair(folder, name, number)
    images.write(folder / "iphone" / "dock.png", scenes.scene(3, SIZE))
    images.write(folder / "camera" / "dock.jpg", scenes.scene(4, SIZE))
    whole = (folder / "camera" / "alley.jpg").read_bytes()
    for name, content in (("elm", whole[: len(whole) // 2]), ("fence", b"")):
        (folder / "camera" / f"{name}.jpg").write_bytes(content)
        (folder / "iphone" / f"{name}.jpg").write_bytes(whole)
    (folder / "iphone" / "alone.jpg").write_bytes(whole)
    (folder / "camera" / "unpaired.jpg").write_bytes(whole)
    (folder / "camera" / "notes.txt").write_text("not an image")
    return folder


@pytest.fixture(scope="module")
def collected(photos, tmp_path_factory):
    """(Folder of the phone, exit code) of one run over all of them."""
    out = tmp_path_factory.mktemp("out")
    code = run(photos / "iphone", photos / "camera", out, "--format", "png", "--crops")
    return out / "iphone", code


def manifest(root):
    return json.loads((root / "manifest.json").read_text())


def by_name(root):
    return {entry["name"]: entry for entry in manifest(root)["photos"]}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def whole_pairs(root):
    """Checks that every phone patch has a camera patch; gives their number."""
    found = 0
    for left, right in ((root.name, "canon"), ("phone", "camera")):
        for folder in root.rglob(left):
            if not folder.parent.name.startswith("."):
                assert names(folder) == names(folder.parent / right)
                found += left == root.name and len(names(folder))
    return found


def test_status_of_every_pair(collected):
    root, code = collected
    assert code == 1, "two photos could not be read"
    found = by_name(root)
    status = {name: entry["status"] for name, entry in found.items()}
    assert status == {
        "alley": "kept",
        "bridge": "kept",
        "court": "kept",
        "dock": "refused",
        "elm": "failed",
        "fence": "failed",
    }
    assert "truncated" in found["elm"]["reason"] and "empty" in found["fence"]["reason"]
    assert "matches agree" in found["dock"]["reason"]
    assert manifest(root)["without_partner"] == ["iphone/alone.jpg", "camera/unpaired.jpg"]
    totals = manifest(root)["totals"]
    patches = sum(entry["patches"] for entry in found.values())
    assert totals == {
        "photos": 6,
        "kept": 3,
        "refused": 1,
        "failed": 2,
        "without_partner": 2,
        "patches": patches,
        "test_patches": 0,
    }
    truth = scenes.homography(SIZE, **VIEW)
    for name in ("alley", "bridge", "court"):
        matrix = np.array(found[name]["homography"])
        np.testing.assert_allclose(matrix / matrix[2, 2], truth / truth[2, 2], atol=0.15)


def test_layout_is_what_the_dped_source_reads(collected):
    root, _ = collected
    source = dped.patches(root.parent, phone="iphone")
    assert len(source) == manifest(root)["totals"]["patches"] > 6
    number = 0
    for name in ("alley", "bridge", "court"):
        entry = by_name(root)[name]
        assert entry["first"] == number and entry["split"] == "train"
        phone = images.read(root / "aligned" / "input" / f"{name}.png").pixels
        camera = images.read(root / "aligned" / "target" / f"{name}.png").pixels
        record = json.loads((root / "photos" / name / "record.json").read_text())
        for top, left, down, right, correlation in record["kept"]:
            element = source[number]
            np.testing.assert_array_equal(
                element["input"], phone[top : top + 100, left : left + 100]
            )
            shifted = camera[top + down : top + down + 100, left + right : left + right + 100]
            np.testing.assert_array_equal(element["target"], shifted)
            assert correlation > 0.9
            number += 1
    assert number == len(source) == whole_pairs(root)


def test_phone_pixels_are_unchanged(collected, photos):
    root, _ = collected
    for name in ("alley", "court"):
        top, left, bottom, right = by_name(root)[name]["crop"]
        stored = images.read(photos / "iphone" / f"{name}.png").pixels[top:bottom, left:right]
        phone = images.read(root / "aligned" / "input" / f"{name}.png").pixels
        np.testing.assert_array_equal(phone, stored)


def test_the_report_needs_no_other_file(collected):
    root, _ = collected
    page = (root / "report.html").read_text()
    # Four images of the crops and the patches for each kept pair, the matches for the wrong one.
    assert page.count("data:image/jpeg;base64,") == 3 * 5 + 1
    assert "http" not in page.replace("http-equiv", "") and 'src="data:' in page
    for name in by_name(root):
        assert f">{name}<" in page
    assert "kept" in page and "refused: " in page and "failed: " in page
    assert len(page) < 1_500_000


def test_a_second_run_processes_only_failed_pairs(collected, photos, monkeypatch, capsys):
    root, _ = collected
    before = manifest(root)
    done = []
    do = photo_pair.process
    monkeypatch.setattr(
        photo_pair, "process", lambda pair, *rest: done.append(pair.name) or do(pair, *rest)
    )
    arguments = (photos / "iphone", photos / "camera", root.parent, "--format", "png", "--crops")
    assert run(*arguments) == 1
    assert done == ["elm", "fence"]
    assert manifest(root) == before
    assert re.search(r"failed: cannot read \S*elm\.", capsys.readouterr().err)


def small(tmp_path, count=2):
    """Writes a few pairs for a test that changes them."""
    for name in ("iphone", "camera"):
        (tmp_path / name).mkdir()
    for number in range(count):
        write_pair(tmp_path, f"photo{number}", number)
    return tmp_path / "iphone", tmp_path / "camera", tmp_path / "out"


def test_an_interrupted_run_leaves_no_incomplete_pair(tmp_path, monkeypatch):
    folders, root = small(tmp_path), tmp_path / "out" / "iphone"
    write, count = images.write, 0

    def failing(path, *rest, **options):
        nonlocal count
        count += 1
        if count == 30:
            raise OSError("no space left on device")
        write(path, *rest, **options)

    monkeypatch.setattr(images, "write", failing)
    assert run(*folders, "--size", 48) == 1
    assert not (root / "training_data").exists() and not (root / "manifest.json").exists()
    whole_pairs(root)
    monkeypatch.undo()
    assert run(*folders, "--size", 48) == 0
    assert whole_pairs(root) == manifest(root)["totals"]["patches"] > 40
    assert not [path for path in root.rglob(".*") if path.name != ".lock"]


def test_a_killed_run_resumes(tmp_path):
    """Two processes at a time, killed as soon as one photo is done; the workers end, too."""
    folders, root = small(tmp_path, count=3), tmp_path / "out" / "iphone"
    arguments = [*map(str, folders), "--size", "48", "--jobs", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "bilateral_jax", "align", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    deadline = time.monotonic() + 400
    while not list(root.glob("photos/[!.]*/record.json")) and time.monotonic() < deadline:
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    # The pipe closes when the last of the workers is gone.
    process.communicate(timeout=400)
    whole_pairs(root)
    left = len(list(root.glob("photos/[!.]*/record.json")))
    assert left >= 1
    done = []
    do = photo_pair.process
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            photo_pair, "process", lambda pair, *rest: done.append(pair.name) or do(pair, *rest)
        )
        assert run(*folders, "--size", 48) == 0
    assert len(done) == 3 - left
    assert whole_pairs(root) == manifest(root)["totals"]["patches"] > 60


def test_what_makes_a_photo_processed_again(tmp_path, monkeypatch):
    folders = small(tmp_path, count=1)
    done = []
    monkeypatch.setattr(
        photo_pair, "process", lambda pair, *rest: done.append(rest[-1]["size"]) or DO(pair, *rest)
    )
    root = tmp_path / "out" / "iphone"
    assert run(*folders, "--size", 64) == 0
    assert run(*folders, "--size", 64) == 0
    assert done == [64]
    assert run(*folders, "--size", 48) == 0
    assert done == [64, 48] and whole_pairs(root) == manifest(root)["totals"]["patches"]
    camera = folders[1] / "photo0.jpg"
    os.utime(camera, ns=(1, 1))
    assert run(*folders, "--size", 48) == 0
    assert run(*folders, "--size", 48, "--redo") == 0
    assert done == [64, 48, 48, 48]
    # The folder of a photo is damaged.
    (root / "photos" / "photo0" / "record.json").write_text("{")
    assert run(*folders, "--size", 48) == 0
    assert len(done) == 5


DO = photo_pair.process


def test_test_share(collected, photos, tmp_path):
    assert 0 <= dped_layout._split_position("alley") < 1
    shares = {name: dped_layout._split_position(name) for name in ("alley", "bridge", "court")}
    share = sorted(shares.values())[1]  # one photo is below it
    for name in ("alley", "bridge", "court"):
        for side, suffix in (("iphone", ".png"), ("camera", ".jpg")):
            (tmp_path / side).mkdir(exist_ok=True)
            os.link(photos / side / f"{name}{suffix}", tmp_path / side / f"{name}{suffix}")
    folders = (tmp_path / "iphone", tmp_path / "camera", tmp_path / "out")
    assert run(*folders, "--test-share", share, "--camera", "canon") == 0
    root = tmp_path / "out" / "iphone"
    counts = [len(dped.patches(tmp_path / "out", phone="iphone", split=s)) for s in dped._PATCHES]
    entries = by_name(root)
    tested = [name for name, entry in entries.items() if entry["split"] == "test"]
    assert tested == [min(shares, key=shares.get)]
    assert counts[1] == entries[tested[0]]["patches"] == manifest(root)["totals"]["test_patches"]
    assert sum(counts) == manifest(root)["totals"]["patches"]
    # Without a share all go back to training; nothing is aligned again.
    assert run(*folders) == 0
    assert len(dped.patches(tmp_path / "out", phone="iphone")) == sum(counts)
    assert not (root / "test_data" / "patches").exists()


def test_a_list_of_pairs(tmp_path):
    folders = small(tmp_path, count=1)
    (folders[0] / "photo0.png").rename(folders[0] / "my phone 1.png")
    (folders[1] / "photo0.jpg").rename(folders[1] / "DSC01.jpg")
    listing = tmp_path / "pairs.txt"
    listing.write_text("# phone, camera\nmy phone 1.png\tDSC01.jpg\n\nmissing.png DSC01.jpg\n")
    assert run(*folders, "--size", 64, "--pairs", listing) == 1
    found = by_name(tmp_path / "out" / "iphone")
    assert found["my phone 1"]["status"] == "kept"
    assert found["missing"]["status"] == "failed" and "No such file" in found["missing"]["reason"]


@pytest.mark.parametrize(
    "text, words",
    [
        ("../camera/a.jpg a.jpg\n", "line 1: ../camera/a.jpg leaves"),
        ("a.png /etc/passwd\n", "line 1: /etc/passwd leaves"),
        ("a.png\n", "line 1: expected two files, got 1"),
        ("a.png b.jpg\na.png c.jpg\n", "line 2: a.png is paired twice"),
        ("# nothing\n", "lists no pairs"),
    ],
)
def test_invalid_lists_of_pairs(photos, tmp_path, capsys, text, words):
    listing = tmp_path / "pairs.txt"
    listing.write_text(text)
    assert run(photos / "iphone", photos / "camera", tmp_path / "out", "--pairs", listing) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_unreadable_list_of_pairs_is_named(photos, tmp_path, capsys):
    listing = tmp_path / "pairs.txt"
    listing.write_bytes(b"\x89PNG")
    for path in (listing, tmp_path / "absent.txt"):
        assert run(photos / "iphone", photos / "camera", tmp_path / "out", "--pairs", path) == 1
        assert f"{path}, the list of pairs, cannot be read" in capsys.readouterr().err


def test_invalid_folders(photos, tmp_path, capsys):
    def error(*arguments):
        assert run(*arguments) == 1
        return capsys.readouterr().err

    out = tmp_path / "out"
    empty = tmp_path / "empty"
    empty.mkdir()
    phones, cameras = photos / "iphone", photos / "camera"
    assert "there is no folder" in error(tmp_path / "none", cameras, out)
    assert "holds no photos" in error(empty, cameras, out)
    images.write(empty / "other.png", np.zeros((8, 8, 3), np.uint8))
    assert "--pairs takes a list" in error(empty, cameras, out)
    (empty / "other.jpg").write_bytes(b"")
    assert "holds the same name twice: other.jpg, other.png" in error(empty, cameras, out)
    assert "both called 'canon'" in error(phones, cameras, out, "--phone", "canon")
    assert "cannot name a folder" in error(phones, cameras, out, "--phone", "../up")
    (out / "iphone" / "training_data").mkdir(parents=True)
    assert "was not written by this command" in error(phones, cameras, out)
    (out / "iphone" / "photos").mkdir()
    with dped_layout.locked(out / "iphone"):
        assert "another run is writing" in error(phones, cameras, out)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--size", "4"),
        ("--correlation", "1"),
        ("--scale", "0"),
        ("--jobs", "0"),
        ("--format", "bmp"),
    ],
)
def test_options_out_of_range(photos, tmp_path, arguments):
    with pytest.raises(SystemExit) as stop:
        run(photos / "iphone", photos / "camera", tmp_path, *arguments)
    assert stop.value.code == 2


def test_unusual_files(tmp_path):
    """Rotated by EXIF, grey, 16 bits, of another shape; a photo too small for a patch."""
    for name in ("iphone", "camera"):
        (tmp_path / name).mkdir()
    camera = scenes.scene(0, SIZE)
    phone = scenes.view(camera, scenes.homography(SIZE, **VIEW))
    exif = PIL.Image.Exif()
    exif[274] = 6
    stored = PIL.Image.fromarray(np.ascontiguousarray(np.rot90(phone)))
    stored.save(tmp_path / "iphone" / "turned.jpg", quality=95, exif=exif)
    PIL.Image.fromarray(phone).convert("L").save(tmp_path / "iphone" / "grey.png")
    images.write(tmp_path / "iphone" / "deep.png", phone.astype(np.uint16) * 257)
    images.write(tmp_path / "iphone" / "tall.png", phone[:, 100:330])
    images.write(tmp_path / "iphone" / "small.png", phone[100:200, 100:210])
    for name in ("turned", "grey", "deep", "tall", "small"):
        images.write(tmp_path / "camera" / f"{name}.png", camera)
    root = tmp_path / "out" / "iphone"
    assert run(tmp_path / "iphone", tmp_path / "camera", tmp_path / "out", "--crops") == 0
    found = by_name(root)
    status = {name: entry["status"] for name, entry in found.items()}
    assert status.pop("small") == "refused"
    assert set(status.values()) == {"kept"}
    assert "smaller than a patch" in found["small"]["reason"]
    assert found["turned"]["phone_size"] == list(SIZE)
    truth = scenes.homography(SIZE, **VIEW)
    for name in ("turned", "grey", "deep"):
        matrix = np.array(found[name]["homography"])
        np.testing.assert_allclose(matrix / matrix[2, 2], truth / truth[2, 2], atol=0.15)
    grey = images.read(root / "aligned" / "input" / "grey.png").pixels
    assert (grey[..., 0] == grey[..., 1]).all()


def display_p3():
    """A minimal colour profile: the primaries of Display P3 and a gamma of 2.2."""
    columns = {
        b"rXYZ": (0.515102, 0.241196, -0.001053),
        b"gXYZ": (0.291965, 0.692236, 0.041881),
        b"bXYZ": (0.157153, 0.066574, 0.784073),
        b"wtpt": (0.96420, 1.0, 0.82491),
    }
    content = {
        tag: b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in values)
        for tag, values in columns.items()
    }
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256)) + b"\0\0"
    content |= {tag: curve for tag in (b"rTRC", b"gTRC", b"bTRC")}
    name = b"P3 for a test\0"
    content[b"desc"] = b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78 + 3)
    content[b"cprt"] = b"text\0\0\0\0none\0\0\0\0"
    offset, table, data = 128 + 4 + 12 * len(content), b"", b""
    for tag, block in content.items():
        block += bytes(-len(block) % 4)
        table += tag + struct.pack(">II", offset + len(data), len(block))
        data += block
    head = struct.pack(
        ">I4sI4s4s4s", offset + len(data), b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ "
    )
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(content)) + table + data


def test_colour_profiles_are_converted(tmp_path):
    patch = np.zeros((4, 4, 3), np.uint8) + np.array([200, 120, 60], np.uint8)
    images.write(tmp_path / "a.png", patch, icc_profile=display_p3())
    # By the published matrix from linear Display P3 to linear sRGB.
    matrix = np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]])
    linear = matrix @ (patch[0, 0] / 255) ** 2.2
    expected = 255 * (1.055 * linear ** (1 / 2.4) - 0.055)
    found = photo_pair.read_srgb(tmp_path / "a.png")
    assert np.abs(found[0, 0] - expected).max() < 3
    assert found[0, 0, 0] > 205, "red is more vivid in sRGB's numbers"
    images.write(tmp_path / "b.png", patch)
    np.testing.assert_array_equal(photo_pair.read_srgb(tmp_path / "b.png"), patch)
    deep = patch.astype(np.uint16) * 257
    images.write(tmp_path / "c.png", deep, icc_profile=display_p3())
    np.testing.assert_array_equal(photo_pair.read_srgb(tmp_path / "c.png"), found)
    broken = display_p3()[:140]
    images.write(tmp_path / "d.png", patch, icc_profile=broken)
    with pytest.raises(ValueError, match="profile is broken"):
        photo_pair.read_srgb(tmp_path / "d.png")
    with pytest.raises(ValueError, match="4 x 4 pixels are more than the limit of 15"):
        photo_pair.read_srgb(tmp_path / "b.png", max_pixels=15)


def test_a_worker_that_dies_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(photo_pair, "process", _die)
    tasks = [(None, None, None)]
    with pytest.raises(OSError, match="a worker process died"):
        list(align._parallel(tasks, 2))


def _die(*_):
    os._exit(3)


def test_one_folder_for_both_cameras_is_refused(tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    (tmp_path / "same").symlink_to("photos", target_is_directory=True)
    assert run(tmp_path / "photos", tmp_path / "same", tmp_path / "out") == 1
    assert "is the folder of both cameras" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
