"""The command `weights` and `enhance --weights`, against a local server. 5 s."""

import dataclasses
import hashlib
import io

import jax
import numpy as np
import pytest

from bilateral_jax import __main__ as command_line
from bilateral_jax import images, inference, models
from bilateral_jax.checkpoints import networks
from bilateral_jax.cli import import_weights, published_networks
from bilateral_jax.importers import can
from bilateral_jax.models import model as model_lib
from bilateral_jax.weights import catalogue
from bilateral_jax.weights import entry as entry_lib
from tests import assets, weights_server

for package in ("orbax.checkpoint", "tqdm", "PIL.Image", "imagecodecs"):
    pytest.importorskip(package, reason=f"{package} is not installed")


@pytest.fixture(scope="module")
def network():
    """A tiny CAN and its file."""
    module = models.create("CAN", {"width": 2, "dilations": (1, 2, 1), "channel_order": "bgr"})
    model = model_lib.Model.init(module, jax.random.key(0))
    content = io.BytesIO()
    np.savez(content, **can.to_variables(model))
    return model, content.getvalue()


@pytest.fixture
def server(network, tmp_path, monkeypatch):
    """Serves the file, which is the catalogue's entry "tiny"; "wrong" has another checksum."""
    weights_server.without_proxies(monkeypatch)
    monkeypatch.setenv(published_networks.VARIABLE, str(tmp_path / "cache"))
    _, content = network
    sha256 = hashlib.sha256(content).hexdigest()
    with weights_server.serve(content) as server:
        monkeypatch.setattr(
            catalogue, "ENTRIES", (*_entries(server, len(content), sha256), *catalogue.ENTRIES)
        )
        yield server


def _entries(server, size, sha256):
    source = entry_lib.Publication(
        title="Tiny",
        paper="a paper",
        licence="no licence stated",
        page="https://tiny.invalid",
        folder=f"{server.address}/",
        commit="0123456789" * 4,
        kind="can",
    )
    file = entry_lib.File("good/net.npz", size, sha256)
    tiny = entry_lib.Entry("tiny", source, "tests", (file,))
    for name, path, checksum in (
        ("tiny", file.path, sha256),
        ("wrong", file.path, "0" * 64),
        ("absent", "absent/net.npz", sha256),
        ("breaks", "breaks/net.npz", sha256),
    ):
        changed = dataclasses.replace(file, path=path, sha256=checksum)
        yield dataclasses.replace(tiny, name=name, files=(changed,))
    anonymous = dataclasses.replace(file, size=None, sha256=None)
    yield dataclasses.replace(tiny, name="anonymous", files=(anonymous,))
    yield dataclasses.replace(tiny, name="special", caution="made for special photos")
    yield dataclasses.replace(tiny, name="critic", enhances=False)


def run(*arguments):
    return command_line.main([str(argument) for argument in arguments])


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    images.write(tmp_path / "in.png", pixels)
    return tmp_path / "in.png"


def one_line(capsys):
    """The error, without what is said about a download."""
    lines = capsys.readouterr().err.splitlines()
    assert [line.startswith("error: ") for line in lines].count(True) == 1, lines
    return lines[-1]


def test_enhance_downloads_once(server, network, photo, tmp_path, capsys):
    assert run("enhance", photo, tmp_path / "a.png", "--weights", "tiny") == 0
    said = capsys.readouterr().err
    assert "licence: no licence stated" in said and "CAN with " in said
    expected = inference.enhance(network[0], images.read(photo).pixels)
    np.testing.assert_array_equal(images.read(tmp_path / "a.png").pixels, expected)
    server.requests.clear()
    assert run("enhance", photo, tmp_path / "b.png", "--weights", "tiny") == 0
    assert not server.requests and not capsys.readouterr().err
    saved = networks.load(tmp_path / "cache" / "tiny-01234567" / "model")
    assert saved.metadata["imported_from"] == f"{server.address}/good/net.npz"


def test_a_caution_is_said_each_time(server, photo, tmp_path, capsys):
    for out in ("a.png", "b.png"):
        assert run("enhance", photo, tmp_path / out, "--weights", "special") == 0
        assert "special: made for special photos\n" in capsys.readouterr().err


def test_get_says_how_to_use_it(server, photo, tmp_path, capsys):
    assert run("weights", "get", "tiny", "--out", tmp_path / "net", "--cache", tmp_path / "c") == 0
    out = capsys.readouterr().out
    assert f"checkpoint: {tmp_path / 'net'}\n" in out
    assert f"use: bilateral-jax enhance IN OUT --checkpoint {tmp_path / 'net'}\n" in out
    assert run("weights", "get", "tiny") == 0
    assert "use: bilateral-jax enhance IN OUT --weights tiny\n" in capsys.readouterr().out
    assert run("enhance", photo, tmp_path / "a.png", "--checkpoint", tmp_path / "net") == 0
    server.requests.clear()
    assert run("weights", "get", "tiny", "--out", tmp_path / "net", "--cache", tmp_path / "d") == 1
    assert "already holds a model" in one_line(capsys) and not server.requests


def test_get_from_a_file(server, network, tmp_path, capsys):
    (tmp_path / "other.npz").write_bytes(network[1])
    assert run("weights", "get", "tiny", "--from", tmp_path / "other.npz") == 0
    assert not server.requests and (tmp_path / "cache/tiny-01234567/model").is_dir()
    assert run("weights", "get", "tiny", "--from", tmp_path / "other.npz") == 0, "replaced"
    capsys.readouterr()
    (tmp_path / "other.npz").write_bytes(network[1][:-1])
    assert run("weights", "get", "tiny", "--from", tmp_path / "other.npz") == 1
    assert "other.npz is not the file net.npz of tiny, expected the SHA-256" in one_line(capsys)


@pytest.mark.parametrize(
    "name, expected",
    [
        ("wrong", "expected 0000"),
        ("absent", "answers 404 (Not Found); by hand: download absent/net.npz from https://tiny"),
        ("breaks", "was interrupted after "),
    ],
)
def test_a_download_that_fails(server, photo, tmp_path, capsys, name, expected):
    assert run("enhance", photo, tmp_path / "a.png", "--weights", name) == 1
    assert expected in one_line(capsys)
    assert not (tmp_path / "a.png").exists()
    assert not list((tmp_path / "cache").rglob("model"))


def test_a_damaged_network_in_the_cache_is_imported_again(server, photo, tmp_path, capsys):
    assert run("enhance", photo, tmp_path / "a.png", "--weights", "tiny") == 0
    model = tmp_path / "cache" / "tiny-01234567" / "model"
    for number, command in enumerate((["weights", "get"], ["enhance", photo, tmp_path / "b.png"])):
        (model / "0" / "digests.json").write_text("{")
        server.requests.clear()
        capsys.readouterr()
        assert run(*command, *["--weights"] * number, "tiny") == 0
        assert "digests.json cannot be read; it is imported again" in capsys.readouterr().err
        assert not server.requests, "the files were there"
        networks.load(model, 0)
    expected = images.read(tmp_path / "a.png").pixels
    np.testing.assert_array_equal(images.read(tmp_path / "b.png").pixels, expected)


@pytest.mark.parametrize("value", [np.nan, 1e300])
def test_weights_that_are_not_finite_are_not_imported(network, tmp_path, capsys, value):
    variables = {name: np.float64(array) for name, array in can.to_variables(network[0]).items()}
    next(iter(variables.values())).flat[0] = value
    np.savez(tmp_path / "net.npz", **variables)
    assert run("import", "can", tmp_path / "net.npz", tmp_path / "out") == 1
    assert "net.npz holds NaN or infinite weights in 1 of " in one_line(capsys)
    assert not (tmp_path / "out").exists()


def test_what_is_not_verified_is_said_and_goes_if_it_is_no_network(server, tmp_path, capsys):
    server.content = b"<html>Please log in</html>"
    assert run("weights", "get", "anonymous") == 1
    assert "anonymous: not verified, its checksum is not known" in capsys.readouterr().err
    assert not list((tmp_path / "cache").rglob("net.npz"))
    (tmp_path / "page.npz").write_bytes(server.content)
    assert run("weights", "get", "anonymous", "--from", tmp_path / "page.npz") == 1
    said = capsys.readouterr().err
    assert "anonymous: not verified, its checksum is not known" in said
    assert f"error: {tmp_path / 'page.npz'}: these are no weights of anonymous: " in said
    assert not list((tmp_path / "cache").rglob("net.npz"))


def test_the_file_of_another_entry_is_no_file_without_a_checksum(server, tmp_path, capsys):
    (tmp_path / "net.npz").write_bytes(server.content)
    for source in (tmp_path / "net.npz", tmp_path):
        assert run("weights", "get", "anonymous", "--from", source) == 1
        assert (
            "net.npz is the file good/net.npz of tiny, expected good/net.npz of anonymous"
            in one_line(capsys)
        )
    assert not list((tmp_path / "cache").rglob("net.npz"))


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--weights", "critic"], "--weights critic does not enhance photos (tests), expected one"),
        (["--weights", "nope"], "the catalogue has no weights 'nope', expected one of: tiny, "),
        (["--weights", "tiny", "--step", "1"], "--step and --network choose from a --checkpoint"),
    ],
)
def test_arguments_are_checked_before_the_download(
    server, photo, tmp_path, capsys, arguments, expected
):
    assert run("enhance", photo, tmp_path / "a.png", *arguments) == 1
    assert expected in one_line(capsys) and not server.requests


def test_weights_or_checkpoint(photo, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("enhance", photo, tmp_path / "a.png", "--weights", "svdlut", "--checkpoint", "RUN")
    assert "not allowed with argument" in capsys.readouterr().err


def test_table_takes_published_weights(server, photo, tmp_path, capsys):
    assert run("table", photo, tmp_path / "x.cube", "--weights", "special") == 1
    assert "special: made for special photos\n" in (said := capsys.readouterr().err)
    assert "error: CAN has no colour table" in said
    assert run("table", photo, tmp_path / "x.cube", "--weights", "critic") == 1
    assert "critic does not enhance photos" in one_line(capsys)
    with pytest.raises(SystemExit):
        run("table", photo, tmp_path / "x.cube")
    assert "one of the arguments --checkpoint --weights is required" in capsys.readouterr().err


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_list_fits_a_terminal(columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run("weights") == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= max(columns, 60)
    for entry in catalogue.ENTRIES:
        (line,) = (line for line in lines if line.split()[:1] == [entry.name])
        assert ("not verified" in line) == (not entry.verified)


@pytest.mark.parametrize("entry", catalogue.ENTRIES, ids=lambda entry: entry.name)
def test_show_prints_everything(entry, capsys):
    assert run("weights", "show", entry.name) == 0
    out = capsys.readouterr().out
    source = entry.publication
    for text in (source.paper, source.licence, source.page, entry.purpose):
        assert text in out
    for file in entry.files:
        assert entry.address(file) in out and (file.sha256 or "not verified") in out


def test_an_importer_of_two_files(tmp_path, capsys):
    folder = assets.path("lut3d")
    options = ["--out", tmp_path / "net", "--cache", tmp_path / "cache"]
    assert run("weights", "get", "lut3d-srgb-unpaired", "--from", folder, *options) == 0
    saved = networks.load(tmp_path / "net")
    assert (
        saved.name == "ImageAdaptiveLUT" and "LUTs_unpaired.pth" in saved.metadata["imported_from"]
    )


def test_every_kind_has_an_importer():
    for entry in catalogue.ENTRIES:
        assert import_weights.loader(entry.publication.kind)
