"""`enhance` on folders: what is read, left out, skipped, refused. One tiny network, 3 s."""

import errno
import io
import os
import pathlib
import sys

import numpy as np
import pytest

from bilateral_jax import __main__ as command_line
from bilateral_jax import images
from bilateral_jax.checkpoints import networks
from bilateral_jax.cli import enhance_jobs, photo_paths
from tests import fake_raw_files, optional_packages

optional_packages.need_images()

PIXELS = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8, endpoint=True)


@pytest.fixture
def enhance(checkpoint):
    def call(*arguments):
        options = ["--checkpoint", checkpoint]
        return command_line.main(["enhance", *map(str, arguments), *map(str, options)])

    return call


def tree(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def mixed_folder(folder):
    """Two photos, one of them in a sub-folder, among everything else that a folder may hold."""
    (folder / "2024" / "may").mkdir(parents=True)
    images.write(folder / "a.png", PIXELS)
    images.write(folder / "2024" / "may" / "b.png", PIXELS)
    for name in ("film.mov", "film2.MOV", "notes", ".DS_Store"):
        (folder / name).write_bytes(b"x")
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    (folder / "to_2024").symlink_to("2024", target_is_directory=True)
    return folder


def test_what_is_left_out_is_counted_and_named(tmp_path, enhance, capsys):
    folder = mixed_folder(tmp_path / "in")
    assert enhance(folder, tmp_path / "out") == 0
    assert tree(tmp_path / "out") == ["a.png"]
    assert capsys.readouterr().out == (
        "1 photo enhanced, 8 left out (2 .mov, 2 sub-folders (--recursive reads them), "
        "1 FIFO, 1 file without suffix, 1 hidden file, 1 link to a folder)\n"
    )


def test_recursive_keeps_the_folders_and_passes_over_its_own_output(tmp_path, enhance, capsys):
    folder = mixed_folder(tmp_path / "in")
    for _ in range(2):
        assert enhance(folder, folder / "out", "--recursive", "--overwrite") == 0
        assert tree(folder / "out") == ["2024/may/b.png", "a.png"]
        shown = capsys.readouterr().out
        assert shown.startswith("2 photos enhanced, 6 left out (2 .mov, ")
        assert "sub-folder" not in shown


def test_broken_links_are_named_and_leave_out_one_photo(tmp_path, enhance, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    images.write(folder / "a.png", PIXELS)
    (folder / "gone.png").symlink_to("nowhere.png")
    (folder / "self.png").symlink_to("self.png")
    (folder / "notes.txt").symlink_to("nowhere.txt")
    assert enhance(folder, tmp_path / "out") == 1
    shown = capsys.readouterr()
    assert (
        f"failed: {folder}/gone.png: it is a link to nowhere.png, which does not exist\n"
        in shown.err
    )
    assert (
        f"failed: {folder}/self.png: it is a link to self.png, which cannot be followed ("
        in shown.err
    )
    assert shown.out == "1 photo enhanced, 2 failed, 1 left out (1 broken link)\n"


def test_no_regular_file_is_refused_without_waiting(tmp_path, enhance, capsys):
    os.mkfifo(tmp_path / "pipe.png")
    assert enhance(tmp_path / "pipe.png", tmp_path / "out.png") == 1
    assert capsys.readouterr().err == (
        f"error: {tmp_path}/pipe.png is a FIFO, not a regular file\n"
    )


def test_a_second_run_skips_or_replaces_and_calls_nothing_failed(tmp_path, enhance, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        images.write(folder / name, PIXELS)
    assert enhance(folder / "a.png", tmp_path / "out") == 0
    before = (tmp_path / "out" / "a.png").stat().st_ino
    capsys.readouterr()
    assert enhance(folder, tmp_path / "out", "--skip-existing") == 0
    assert capsys.readouterr().out == "2 photos enhanced, 1 skipped (output exists)\n"
    assert (tmp_path / "out" / "a.png").stat().st_ino == before
    # Nothing left to do: not even the checkpoint is read.
    assert enhance(folder, tmp_path / "out", "--skip-existing") == 0
    capsys.readouterr()
    assert enhance(folder, tmp_path / "out") == 1
    shown = capsys.readouterr()
    assert "failed" not in shown.out + shown.err
    assert shown.err.startswith("not enhanced: 3 photos whose outputs exist; --skip-existing")
    with pytest.raises(SystemExit):
        enhance(folder, tmp_path / "out", "--skip-existing", "--overwrite")
    assert "not allowed with" in capsys.readouterr().err


def test_a_folder_of_other_files_says_what_it_holds(tmp_path, enhance, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "film.mov").write_bytes(b"x")
    assert enhance(tmp_path / "in", tmp_path / "out") == 1
    assert "holds no photo (.jpg" in (shown := capsys.readouterr().err) and "1 .mov" in shown
    assert not (tmp_path / "out").exists()


def test_a_folder_is_never_made_of_a_name_of_a_file(tmp_path, enhance, capsys):
    for name in ("a.png", "b.png"):
        images.write(tmp_path / name, PIXELS)
    assert enhance(tmp_path / "a.png", tmp_path / "b.png", tmp_path / "x.jpg") == 1
    assert "is named like a file" in capsys.readouterr().err
    (tmp_path / "sheet").write_bytes(b"x")
    assert enhance(tmp_path / "a.png", tmp_path / "b.png", tmp_path / "sheet") == 1
    assert "sheet is a file" in capsys.readouterr().err
    assert enhance(tmp_path / "a.png", tmp_path / "sheet" / "out.png") == 1
    assert "error: cannot write to the folder" in capsys.readouterr().err


def test_an_unwritable_folder_is_found_before_the_checkpoint_is_read(tmp_path, capsys):
    images.write(tmp_path / "a.png", PIXELS)
    arguments = ["enhance", str(tmp_path / "a.png"), "/proc/out", "--checkpoint", "absent"]
    assert command_line.main(arguments) == 1
    assert "cannot write to the folder /proc/out: " in capsys.readouterr().err


def test_long_names(tmp_path, enhance, capsys):
    name = "n" * 251 + ".png"
    (tmp_path / "in").mkdir()
    images.write(tmp_path / "in" / name, PIXELS)
    assert enhance(tmp_path / "in" / name, tmp_path / "out") == 0
    assert tree(tmp_path / "out") == [name]
    capsys.readouterr()
    (tmp_path / "in" / name).with_suffix(".bmp").write_bytes(b"BM")  # would become NAME.bmp.png
    assert enhance(tmp_path / "in", tmp_path / "out", "--overwrite") == 1
    shown = capsys.readouterr()
    assert "is longer than 255 bytes" in shown.err
    assert shown.out == "1 photo enhanced, 1 failed\n"


def test_names_of_outputs():
    def names(*paths, bits=None):
        paths = [pathlib.PurePath(path) for path in paths]
        return [str(path) for path in enhance_jobs.output_names(paths, bits)]

    assert names("a.jpg", "b.TIF", "c.heic", "d/c.webp") == ["a.jpg", "b.TIF", "c.png", "d/c.png"]
    assert names("a.jpg", "b.TIF", bits=16) == ["a.png", "b.TIF"]
    assert names("a.heic", "a.png", "a.webp") == ["a.heic.png", "a.png", "a.webp.png"]


def test_a_failure_names_the_photo_once():
    assert photo_paths.failure("x.png", ValueError("cannot read x.png: bad")) == (
        "cannot read x.png: bad"
    )
    assert photo_paths.failure("x.png", FileNotFoundError(2, "No such file", "x.png")) == (
        "x.png: No such file"
    )
    assert photo_paths.failure("x.png", MemoryError()) == "x.png: MemoryError"


def test_photos_of_every_format_are_read_and_what_is_lost_is_said(tmp_path, enhance, capsys):
    import PIL.Image

    folder = tmp_path / "in"
    folder.mkdir()
    image = PIL.Image.fromarray(PIXELS)
    for name in ("a.webp", "b.avif", "c.bmp", "d.gif", "e.png"):
        image.save(folder / name)
    (folder / "h.dng").write_bytes(b"II*\x00")
    (folder / "f.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    image.convert("CMYK").save(folder / "g.jpg")
    assert enhance(folder, tmp_path / "out") == 1
    assert tree(tmp_path / "out") == ["a.png", "b.png", "c.png", "d.png", "e.png"]
    shown = capsys.readouterr()
    assert "h.dng" in shown.err and "f.heic" in shown.err
    assert f"failed: cannot read {folder}/g.jpg: its colours are CMYK" in shown.err
    assert shown.out == "5 photos enhanced, 3 failed\n"


def test_metadata_go_with_the_photo_and_the_rest_is_said_in_one_line(tmp_path, enhance, capsys):
    exif = b"Exif\x00\x00II*\x00" + b"\x08\x00\x00\x00" + bytes(6)
    photo = images.Photo(
        PIXELS,
        alpha=np.full(PIXELS.shape[:2], 255, np.uint8),
        exif=exif,
        xmp=b"<x/>",
        iptc=b"\x1c\x02\x78\x00\x02Hi",
        texts=(("Mood", "calm"),),
        resolution=(300.0, 300.0),
    )
    for name in ("a.png", "b.png"):
        images.write_photo(tmp_path / name, photo)
    assert enhance(tmp_path / "a.png", tmp_path / "b.png", tmp_path / "out") == 0
    seen = images.read(tmp_path / "out" / "a.png")
    for field in ("exif", "xmp", "iptc", "texts", "resolution"):
        assert getattr(seen, field) == getattr(photo, field)
    np.testing.assert_array_equal(seen.alpha, photo.alpha)
    capsys.readouterr()
    assert enhance(tmp_path / "a.png", tmp_path / "a.jpg") == 0
    seen = images.read(tmp_path / "a.jpg")
    assert (seen.xmp, seen.iptc, seen.resolution) == (photo.xmp, photo.iptc, photo.resolution)
    assert capsys.readouterr().err == (
        "note: JPEG has no place for the text of PNG named Mood: it is left out: "
        f"{tmp_path}/a.png\n"
    )


def test_what_jpeg_cannot_hold_is_refused_before_the_work(tmp_path, enhance, capsys, monkeypatch):
    from bilateral_jax import inference

    monkeypatch.setattr(inference, "enhance", lambda *_, **__: pytest.fail("it was rendered"))
    images.write(tmp_path / "wide.png", np.zeros((2, 65_501, 3), np.uint8))
    clear = np.zeros(PIXELS.shape[:2], np.uint8)
    images.write_photo(tmp_path / "clear.png", images.Photo(PIXELS, alpha=clear))
    for name, reason in (("wide", "at most 65,500 pixels"), ("clear", "no alpha channel")):
        assert enhance(tmp_path / f"{name}.png", tmp_path / "out.jpg") == 1
        shown = capsys.readouterr()
        assert reason in shown.err and shown.out == "0 photos enhanced, 1 failed\n"


def test_alpha_grey_frames_and_sizes(tmp_path, enhance, capsys):
    tifffile = pytest.importorskip("tifffile", reason="tifffile is not installed")
    alpha = PIXELS[..., 0]
    for bits, name in ((8, "logo.png"), (16, "logo.tif")):
        stored = np.dstack([PIXELS, alpha]), np.dstack([alpha, PIXELS[..., 1]])
        color, grey = (images.photo.from_channels(images.to_bits(s, bits)) for s in stored)
        for photo in (color, grey):
            images.write_photo(tmp_path / name, photo)
            assert enhance(tmp_path / name, tmp_path / f"out_{name}", "--overwrite") == 0
            out = images.read(tmp_path / f"out_{name}")
            np.testing.assert_array_equal(out.alpha, photo.alpha)
            assert out.grey == photo.grey and out.pixels.dtype == photo.pixels.dtype
    tifffile.imwrite(tmp_path / "scan.tif", np.stack([alpha, alpha]), photometric="minisblack")
    capsys.readouterr()
    assert enhance(tmp_path / "scan.tif", tmp_path / "scan.png") == 1
    assert "scan.tif: it holds 2 pages; first_frame=True (--first-frame)" in capsys.readouterr().err
    assert enhance(tmp_path / "scan.tif", tmp_path / "scan.png", "--first-frame") == 0
    assert enhance(tmp_path / "scan.png", tmp_path / "small.png", "--max-pixels", 191) == 1
    assert "16 x 12 pixels are more than the limit of 191" in capsys.readouterr().err


def test_black_and_white_photos_stored_as_rgb_are_not_tinted(tmp_path, capsys):
    grey = np.repeat(PIXELS[..., :1], 3, axis=-1)
    images.write(tmp_path / "rgb.png", grey)
    images.write_photo(tmp_path / "grey.png", images.photo.from_channels(PIXELS[..., 0]))
    for name in ("rgb", "grey"):
        command = ["enhance", tmp_path / f"{name}.png", tmp_path / f"{name}_out.png"]
        assert command_line.main([str(argument) for argument in command]) == 0
    assert "without colours stays without; only a --table" in capsys.readouterr().err
    outs = [images.read(tmp_path / f"{name}_out.png") for name in ("rgb", "grey")]
    np.testing.assert_array_equal(outs[0].pixels, outs[1].pixels)
    assert (outs[0].grey, outs[1].grey) == (False, True)
    assert not images.has_colors(outs[0].pixels) and (outs[0].pixels != grey).any()

    table = "LUT_3D_SIZE 2\n" + "0.5 0 0\n" * 8
    (tmp_path / "red.cube").write_text(table)
    command = ["enhance", tmp_path / "rgb.png", tmp_path / "red.png", "--table"]
    assert command_line.main([str(argument) for argument in [*command, tmp_path / "red.cube"]]) == 0
    assert images.has_colors(images.read(tmp_path / "red.png").pixels)


def test_raw_photos(tmp_path, enhance, capsys, monkeypatch):
    pytest.importorskip("rawpy", reason="rawpy is not installed")
    fake_raw_files.write_dng(tmp_path / "a.dng", np.full((64, 64, 3), 0.4))
    assert enhance(tmp_path / "a.dng", tmp_path / "a.jpg") == 0
    assert images.read(tmp_path / "a.jpg").pixels.shape == (64, 64, 3)
    assert enhance(tmp_path / "a.dng", tmp_path / "out") == 0
    assert images.read(tmp_path / "out" / "a.png").pixels.dtype == np.uint16
    monkeypatch.setitem(sys.modules, "rawpy", None)
    assert enhance(tmp_path / "a.dng", tmp_path / "b.jpg") == 1
    assert 'pip install "bilateral_jax[raw]"' in capsys.readouterr().err


def test_weights_that_are_not_finite_are_refused_before_the_work(tmp_path, checkpoint, capsys):
    saved = networks.load(checkpoint)
    saved.params["guide_network"]["mix"] = saved.params["guide_network"]["mix"] * np.nan
    leaves = {"params": saved.params, "batch_stats": saved.batch_stats}
    networks.save(
        tmp_path / "model", name=saved.name, hyperparameters=saved.hyperparameters, **leaves
    )
    images.write(tmp_path / "a.png", PIXELS)
    names = [str(tmp_path / name) for name in ("a.png", "out.png", "model")]
    assert command_line.main(["enhance", *names[:2], "--checkpoint", names[2]]) == 1
    expected = "NaN or infinite weights in 1 of 25 arrays (params/guide_network/mix, ...)"
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "out.png").exists()


def test_names_that_the_terminal_cannot_show_stop_nothing(tmp_path, enhance, monkeypatch):
    images.write(tmp_path / "a.png", PIXELS)
    (tmp_path / os.fsdecode(b"b.\xff")).write_bytes(b"x")
    shown = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict")
    monkeypatch.setattr(sys, "stdout", shown)
    assert enhance(tmp_path, tmp_path / "out") == 0
    shown.flush()
    assert b"1 photo enhanced, 1 left out (1 .\\udcff)" in shown.buffer.getvalue()


def test_a_full_disk_ends_the_work(tmp_path, enhance, monkeypatch, capsys):
    for name in ("a.png", "b.png", "c.png"):
        images.write(tmp_path / name, PIXELS)

    def write(path, photo, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(images, "write_photo", write)
    assert enhance(tmp_path, tmp_path / "out") == 1
    shown = capsys.readouterr()
    assert f"failed: {tmp_path / 'a.png'}: No space left on device" in shown.err
    assert "stopped: 2 more not enhanced" in shown.err and "b.png" not in shown.err
    assert shown.out == "0 photos enhanced, 3 failed\n"
