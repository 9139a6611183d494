"""The policy for bad files, for each kind of damage: refused at the start, or skipped."""

import pickle
import warnings

import numpy as np
import pytest

from bilateral_jax import images
from bilateral_jax.data import registry
from bilateral_jax.data.pipeline import batches
from bilateral_jax.data.sources import ava, pairs
from tests import fake_datasets, optional_packages

optional_packages.need_images()


@pytest.fixture
def root(tmp_path):
    for index, name in enumerate("abc"):
        fake_datasets.write(tmp_path / "input" / f"{name}.jpg", index, shape=(40, 60, 3))
        fake_datasets.write(tmp_path / "target" / f"{name}.png", index + 10, shape=(40, 60, 3))
    return tmp_path


def wrong_depth(path):
    path.unlink()
    fake_datasets.write(path.with_suffix(".png"), shape=(40, 60, 3), dtype=np.uint16)


def float_samples(path):
    import tifffile

    path.unlink()
    tifffile.imwrite(path.with_suffix(".tif"), np.zeros((40, 60, 3), np.float32), photometric="rgb")


def another_size(path):
    path.unlink()
    fake_datasets.write(path, shape=(60, 40, 3))


DAMAGE = {
    "truncated JPEG": (fake_datasets.truncate, "input", "truncated"),
    "truncated PNG": (fake_datasets.truncate, "target", "truncated"),
    "zero-byte file": (lambda path: path.write_bytes(b""), "input", "it is empty"),
    "another kind of file": (lambda path: path.write_bytes(b"hello" * 9), "input", "not a JPEG"),
    "wrong bit depth": (wrong_depth, "input", "16 bits per channel; 8 are expected"),
    "float samples": (float_samples, "input", "float32; 8 and 16 bit"),
    "decompression bomb": (fake_datasets.bomb, "target", "60000 x 60000 pixels are more"),
    "members of two sizes": (another_size, "target", "must have one size"),
    "missing partner": (lambda path: path.unlink(), "target", "no partner in .*target"),
}


def broken(root, kind):
    damage, side, reason = DAMAGE[kind]
    damage(root / side / ("b.jpg" if side == "input" else "b.png"))
    return reason


@pytest.mark.parametrize("kind", DAMAGE)
def test_refused_at_the_start_with_name_and_reason(root, kind):
    reason = broken(root, kind)
    with pytest.raises(ValueError, match=rf"^1 of 3 records are bad: b\..*{reason}.*on_bad="):
        pairs.PairedFolder(root, input_bits=8)


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("verify", ["headers", "full"])
def test_skipped_at_the_start_counted_and_named(root, kind, verify):
    reason = broken(root, kind)
    with pytest.warns(UserWarning, match=r"1 of 3 records are skipped: b\."):
        source = pairs.PairedFolder(root, input_bits=8, on_bad="skip", verify=verify)
    assert [source[i]["name"] for i in range(len(source))] == ["a.jpg", "c.jpg"]
    ((name, said),) = source.skipped
    assert name.startswith("b.")
    with pytest.raises(ValueError, match=reason):
        raise ValueError(said)


@pytest.mark.parametrize("kind", [kind for kind in DAMAGE if kind != "missing partner"])
def test_a_record_found_bad_while_reading_is_replaced_by_the_next(root, kind):
    reason = broken(root, kind)
    source = pairs.PairedFolder(root, input_bits=8, on_bad="skip", verify="none")
    assert len(source) == 3 and source.skipped == []
    with pytest.warns(UserWarning, match=reason):
        assert source[1]["name"] == "c.jpg"
    # Warned once, and the same element at any time, for a resumed run.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert source[1]["name"] == source[-2]["name"] == "c.jpg"
    assert len(source.skipped) == 1
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(again[1]["input"], source[2]["input"])


def test_while_reading_refuse_raises(root):
    source = pairs.PairedFolder(root, verify="none")
    fake_datasets.truncate(root / "input" / "b.jpg")
    assert source[0]["name"] == "a.jpg"
    with pytest.raises(ValueError, match=r"cannot read .*b\.jpg"):
        source[1]


def test_substitution_wraps_around_and_fails_without_good_records(root):
    source = pairs.PairedFolder(root, on_bad="skip", verify="none")
    fake_datasets.truncate(root / "input" / "c.jpg")
    with pytest.warns(UserWarning):
        assert source[2]["name"] == "a.jpg"
    for name in "ab":
        fake_datasets.truncate(root / "input" / f"{name}.jpg")
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="3 records in a row"):
        source[0]


def test_substitutes_come_from_the_same_part(root):
    options = {"kind": "folder", "root": root, "on_bad": "skip", "verify": "none"}
    train, heldout = registry.make(stop=2, **options), registry.make(start=2, **options)
    fake_datasets.truncate(root / "input" / "b.jpg")
    with pytest.warns(UserWarning):
        assert [train[i]["name"] for i in range(len(train))] == ["a.jpg", "a.jpg"]
    assert [heldout[i]["name"] for i in range(len(heldout))] == ["c.jpg"]
    with pytest.raises(ValueError, match="part 5:None of a source of 3 records is empty"):
        registry.make(start=5, **options)


@pytest.mark.filterwarnings("ignore:the next record is used:UserWarning")
def test_batches_with_a_bad_file_do_not_depend_on_threads_and_resume(root):
    fake_datasets.truncate(root / "target" / "b.png")

    def stream(threads):
        source = pairs.PairedFolder(root, on_bad="skip", verify="none")
        options = {"batch_size": 2, "crop": 16, "seed": 4, "flips": True}
        return batches.train_batches(source, threads=threads, **options)

    one, other = stream(0), stream(2)
    expected = [next(one) for _ in range(5)]
    for batch in expected[:2]:
        np.testing.assert_array_equal(next(other)["input"], batch["input"])
    resumed = stream(0)
    resumed.set_state(other.get_state())
    for batch in expected[2:]:
        np.testing.assert_array_equal(next(resumed)["input"], batch["input"])


def test_damage_in_the_middle_is_found_by_full_validation(root):
    path = root / "target" / "b.png"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = bytes(8)
    path.write_bytes(content)
    assert len(pairs.PairedFolder(root)) == 3
    with pytest.raises(ValueError, match=r"1 of 3 records are bad: b\.jpg"):
        pairs.PairedFolder(root, verify="full")


def test_a_jpeg_with_trailing_bytes_is_valid(root):
    path = root / "input" / "b.jpg"
    path.write_bytes(path.read_bytes() + b"maker's own data")
    assert len(pairs.PairedFolder(root)) == 3


def test_a_source_without_good_records_is_refused(root):
    for path in (root / "input").iterdir():
        path.write_bytes(b"")
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="source is empty"):
        pairs.PairedFolder(root, on_bad="skip")


def test_unknown_options_are_named(root):
    with pytest.raises(ValueError, match="verify must be .*'some'"):
        pairs.PairedFolder(root, verify="some")
    with pytest.raises(ValueError, match="on_bad must be .*'cry'"):
        pairs.PairedFolder(root, on_bad="cry")


@pytest.mark.parametrize("line", ["../outside.png", "/etc/hostname", "input/../../outside.png"])
def test_a_list_that_leads_out_of_its_folder_is_refused(root, line):
    inside = root / "set"
    fake_datasets.write(root / "outside.png")
    fake_datasets.write(inside / "input" / "a.png")
    (inside / "in.txt").write_text(f"input/a.png\n{line}\n")
    (inside / "out.txt").write_text("input/a.png\ninput/a.png\n")
    for policy in ("refuse", "skip"):
        with pytest.raises(ValueError, match="leads out of the folder"):
            pairs.PairedFolder.from_lists(inside / "in.txt", inside / "out.txt", on_bad=policy)
    if line.startswith(".."):
        (inside / "in.txt").write_text("set/input/a.png\noutside.png\n")
        (inside / "out.txt").write_text("outside.png\noutside.png\n")
        source = pairs.PairedFolder.from_lists(inside / "in.txt", inside / "out.txt", root=root)
        assert len(source) == 2


def test_links_may_not_lead_out(root):
    outside = fake_datasets.write(root / "elsewhere" / "d.png", shape=(40, 60, 3))
    dataset = root / "set"
    for side in ("input", "target"):
        fake_datasets.write(dataset / side / "a.png", shape=(40, 60, 3))
        (dataset / side / "d.png").symlink_to(outside)
    with pytest.raises(ValueError, match=r"the link .*d\.png leads out of its folder"):
        pairs.PairedFolder(dataset, on_bad="skip")
    assert len(pairs.PairedFolder(dataset, follow_links=True)) == 2
    (dataset / "in.txt").write_text("input/d.png")
    with pytest.raises(ValueError, match="leads out of the folder"):
        pairs.PairedFolder.from_lists(dataset / "in.txt", dataset / "in.txt")


def test_links_within_the_data_set_and_to_its_folder_are_accepted(root):
    (root / "target" / "d.png").symlink_to(root / "target" / "a.png")
    (root / "input" / "d.jpg").symlink_to("../input/a.jpg")
    (root / "linked").mkdir()
    for side in ("input", "target"):
        (root / "linked" / side).symlink_to(root / side)
    assert len(pairs.PairedFolder(root)) == len(pairs.PairedFolder(root / "linked")) == 4


def test_a_link_to_nothing_is_a_bad_record(root):
    (root / "input" / "b.jpg").unlink()
    (root / "input" / "b.jpg").symlink_to("absent.jpg")
    with pytest.raises(
        ValueError, match=r"bad: b\.jpg .*a link to absent\.jpg, which does not exist"
    ):
        pairs.PairedFolder(root)


def test_a_corrupt_image_of_ava(tmp_path):
    for id_ in (11, 12):
        fake_datasets.write(tmp_path / "images" / f"{id_}.jpg", shape=(40, 60, 3))
    lines = [f"{n} {id_} {' '.join('1' * 10)} 0 0 7" for n, id_ in enumerate((11, 12), 1)]
    (tmp_path / "AVA.txt").write_text("\n".join(lines))
    fake_datasets.truncate(tmp_path / "images" / "12.jpg")
    with pytest.raises(ValueError, match="1 of 2 records are bad: 12"):
        ava.votes(tmp_path)
    with pytest.warns(UserWarning, match="1 of 2 records are skipped: 12"):
        assert len(ava.votes(tmp_path, on_bad="skip")) == 1


@pytest.mark.parametrize(
    "suffix, dtype",
    [(s, np.uint8) for s in (".jpg", ".png", ".tif", ".bmp")]
    + [(s, np.uint16) for s in (".png", ".tif")],
)
def test_the_header_agrees_with_decoding(tmp_path, suffix, dtype):
    path = tmp_path / f"a{suffix}"
    pixels = fake_datasets.pixels(0, shape=(31, 45, 3), dtype=dtype)
    if suffix == ".bmp":
        import PIL.Image

        PIL.Image.fromarray(pixels).save(path)
        np.testing.assert_array_equal(images.read(path).pixels, pixels)
    else:
        images.write(path, pixels)
    header = images.inspect(path)
    read = images.read(path).pixels
    assert (header.height, header.width) == read.shape[:2] == (31, 45)
    assert header.bits == 8 * read.dtype.itemsize
    np.testing.assert_array_equal(images.decode(path.read_bytes()).pixels, read)
    fake_datasets.truncate(path)
    for read in (images.inspect, images.read):
        with pytest.raises(ValueError, match=f"cannot read .*a{suffix}"):
            read(path)


@pytest.mark.parametrize("suffix, dtype", [(".jpg", np.uint8), (".png", np.uint16)])
def test_a_file_truncated_anywhere_is_found_by_header_validation(tmp_path, suffix, dtype, capfd):
    path = fake_datasets.write(tmp_path / f"a{suffix}", shape=(16, 20, 3), dtype=dtype)
    content = path.read_bytes()
    for length in (*range(0, len(content) - 12, 19), *range(len(content) - 12, len(content))):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=rf"cannot read .*a\{suffix}"):
            images.inspect(path)


def test_cmyk_is_refused_by_its_header(tmp_path):
    import PIL.Image

    PIL.Image.new("CMYK", (4, 4)).save(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match="colours are CMYK"):
        images.inspect(tmp_path / "a.jpg")


def test_the_header_gives_the_upright_size(tmp_path):
    import PIL.Image

    exif = PIL.Image.Exif()
    exif[274] = 6
    PIL.Image.fromarray(fake_datasets.pixels(0)).save(tmp_path / "a.jpg", exif=exif)
    assert images.inspect(tmp_path / "a.jpg") == images.headers.Header(8, 6, 8)
