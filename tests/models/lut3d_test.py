"""Image-adaptive 3D LUT: published weights, any size in pieces, gradients, import. 15 seconds."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bilateral_jax as bj
from bilateral_jax import __main__ as command_line
from bilateral_jax import images, inference, metrics, models
from bilateral_jax.checkpoints import networks
from bilateral_jax.importers import color_table
from bilateral_jax.importers import lut3d as importer
from bilateral_jax.inference import by_pixel
from bilateral_jax.models import model as model_lib
from tests import assets, fake_torch_files

pytestmark = pytest.mark.usefixtures("compiled_quickly")

# weights of the basis tables for the golden photo; PSNR to expert C of five FiveK photos
PUBLISHED = {
    "": ((1.93129, -0.37845, -0.91489), (21.69, 21.30, 25.65, 27.21, 27.46)),
    "_unpaired": ((1.83854, -0.36545, 0.53201), (23.30, 24.23, 25.26, 25.77, 29.29)),
}
SMALL = {"nodes": 5, "width": 4, "net_input_size": 32, "normalised": 3}


@functools.cache
def published(kind):
    return importer.load(
        assets.path("lut3d", f"LUTs{kind}.pth"),
        classifier=assets.path("lut3d", f"classifier{kind}.pth"),
    )


@functools.cache
def small(**changes):
    """A network whose three tables are random."""
    module = models.create("ImageAdaptiveLUT", SMALL | changes)
    network = model_lib.Model.init(module, jax.random.key(0))
    basis = jax.random.normal(jax.random.key(1), network.params["basis"].shape)
    return network.replace(params=network.params | {"basis": basis})


@jax.jit
def whole(network, image):
    """One program for each network and size."""
    return network(image)


def random_image(height, width):
    return np.random.default_rng(0).uniform(size=(height, width, 3)).astype(np.float32)


@pytest.mark.parametrize("kind", sorted(PUBLISHED))
def test_weights_and_output_are_the_originals(kind):
    network = published(kind)
    tables = network.params["basis"].size
    assert tables == 323_433
    count = model_lib.parameter_count(network.params)
    assert count - tables == {"": 270_083, "_unpaired": 269_635}[kind]
    with np.load(assets.path("golden", "lut3d", "srgb.npz")) as golden:
        image, weights, output = (golden[n] for n in ("input", f"weights{kind}", f"output{kind}"))
    predicted = network.apply(network.module.samples(image), method="weights")[0]
    np.testing.assert_allclose(predicted, weights, atol=1e-5)
    np.testing.assert_allclose(predicted, PUBLISHED[kind][0], atol=1e-5)
    enhanced = inference.enhance(network, images.to_float(image))
    np.testing.assert_allclose(enhanced, output, atol=1e-5)
    assert enhanced.min() < 0 or enhanced.max() > 1  # not clipped


@pytest.mark.parametrize("kind", sorted(PUBLISHED))
def test_psnr_to_expert_c_is_what_was_measured_with_the_original(kind):
    network, values = published(kind), []
    for path in sorted(assets.path("fivek_sample", "input").iterdir()):
        target = images.read(assets.path("fivek_sample", "expert_c", path.name)).pixels
        out = inference.enhance(network, images.read(path).pixels)
        values.append(metrics.psnr(images.to_float(out), images.to_float(target)))
    np.testing.assert_allclose(values, PUBLISHED[kind][1], atol=0.006)


@pytest.mark.parametrize("size", [(1, 1), (45, 23), (300, 3)])
def test_pieces_equal_the_whole(size):
    image = random_image(*size)
    for tile_rows in (None, 7):
        out = inference.enhance(small(), image, tile_rows=tile_rows)
        np.testing.assert_allclose(out, whole(small(), image), atol=2e-6)


def test_an_image_of_a_batch_has_its_own_table():
    images = np.stack([random_image(9, 7), 1 - random_image(9, 7)])
    both = whole(small(), images)
    for one, image in zip(both, images, strict=True):
        np.testing.assert_allclose(one, whole(small(), image), atol=2e-6)
    network = small()
    weights = network.apply(network.module.samples(images[0]), method="weights")[0]
    assert np.ptp(weights) > 0.01
    table = np.tensordot(weights, network.params["basis"], 1)
    np.testing.assert_allclose(both[0], bj.table_lookup(table, images[0]), atol=1e-5)


def test_it_starts_at_the_identity_or_at_random_multiples_of_it():
    image = random_image(8, 8)
    for identity_start in (True, False):
        module = models.create("ImageAdaptiveLUT", SMALL | {"identity_start": identity_start})
        network = model_lib.Model.init(module, jax.random.key(0))
        weights = network.apply(module.samples(image), method="weights")[0]
        np.testing.assert_allclose(network(image), weights[0] * image, rtol=1e-5, atol=1e-6)
        assert np.all(weights == 1) == identity_start


def test_gradients_reach_every_layer():
    def loss(model, image):
        return jnp.square(model(image) - 0.5).sum()

    gradient = jax.jit(jax.grad(loss))(small(), random_image(9, 9)).params
    for path, leaf in jax.tree.leaves_with_path(gradient):
        assert np.isfinite(leaf).all() and np.any(leaf), path


def test_dropout_acts_in_training_only():
    network, samples = small(), small().module.samples(random_image(9, 9))
    run = functools.partial(network.apply, samples, method="weights")
    np.testing.assert_array_equal(run(), run())
    dropped, _ = run(train=True, rngs={"dropout": jax.random.key(0)})
    assert np.abs(dropped - run()).max() > 1e-3


@pytest.mark.parametrize(("zipped", "normalised", "dropout"), [(True, 3, 0.5), (False, 1, 0.0)])
def test_imported_files_enhance_on_the_command_line(tmp_path, zipped, normalised, dropout):
    network = small(normalised=normalised, dropout=dropout, net_input_size=256)
    tables, classifier = importer.to_variables(network)
    nested = {name.split(".")[0]: {"LUT": table} for name, table in tables.items()}
    fake_torch_files.write(tmp_path / "LUTs.pth", nested, zipped=zipped)
    fake_torch_files.write(tmp_path / "classifier.pth", classifier, zipped=zipped)
    images.write(tmp_path / "in.png", images.to_integer(random_image(20, 31), 16))
    files = tmp_path / "LUTs.pth", tmp_path / "classifier.pth"
    for words in (["import", "lut3d", *files, tmp_path / "model"],
                  ["enhance", tmp_path / "in.png", tmp_path / "out.png",
                   "--checkpoint", tmp_path / "model"]):  # fmt: skip
        assert command_line.main([str(word) for word in words]) == 0
    pixels, out = (images.read(tmp_path / name).pixels for name in ("in.png", "out.png"))
    np.testing.assert_array_equal(out, inference.enhance(network, pixels))
    restored = importer.load(files[0], classifier=files[1])
    assert restored.module == network.module


def test_other_weights_are_named(tmp_path):
    tables, classifier = importer.to_variables(small(net_input_size=256))
    with pytest.raises(ValueError, match="no tables 0.LUT.*; the first names: model.1.bias"):
        importer.load(classifier)
    with pytest.raises(ValueError, match="no kernel model.1.weight.*; the first names: 0.LUT"):
        importer.load(tables)
    with pytest.raises(ValueError, match=r"tables must all be \[3, n, n, n\], got \[\(3, 5, 5\)"):
        importer.load({**tables, **classifier, "1.LUT": np.zeros((3, 5, 5))})
    with pytest.raises(ValueError, match="model.99.bias"):
        importer.load({**tables, **classifier, "model.99.bias": np.zeros(3)})
    with pytest.raises(ValueError, match="LUTs.npz .* no kernel model.1.weight in .*other.npz, so"):
        np.savez(tmp_path / "LUTs.npz", **tables)
        np.savez(tmp_path / "other.npz", a=np.zeros(3))
        importer.load(tmp_path / "LUTs.npz", classifier=tmp_path / "other.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nodes": 1}, "nodes must be at least 2, got 1"),
        ({"net_input_size": 100}, "net_input_size must be a multiple of 32, got 100"),
        ({"normalised": 6}, "normalised must be an int from 0 to 5, got 6"),
        ({"interpolation": "cubic"}, "interpolation must be one of"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
    ],
)
def test_wrong_fields_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        models.create("ImageAdaptiveLUT", changes)


def test_a_table_of_many_nodes_is_computed_in_pieces(monkeypatch):
    monkeypatch.setitem(by_pixel._FEATURES, "cpu", 1)  # pieces of 1,024 colours
    network, photo = small(), random_image(9, 14)
    axis = np.linspace(0, 1, 12, dtype=np.float32)  # 1,728 colours
    colors = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    values = by_pixel.table(network, photo, nodes=12)
    own = by_pixel.predict(network, photo)[0]
    np.testing.assert_allclose(values, bj.table_lookup(own, colors), atol=1e-5)
    for nodes in (1, 2.5):
        with pytest.raises(ValueError, match=f"nodes must be an int of 2 or more, got {nodes}"):
            by_pixel.table(network, photo, nodes=nodes)


def test_the_table_of_a_photo_is_written_as_a_cube_file(tmp_path, capsys):
    photo = images.to_integer(random_image(9, 14), 16)
    images.write(tmp_path / "in.png", photo)
    name, fields = models.describe(small().module)
    networks.save(
        tmp_path / "model", name=name, hyperparameters=fields, params=small().params, batch_stats={}
    )
    words = (
        "table",
        tmp_path / "in.png",
        tmp_path / "new" / "x.cube",
        "--checkpoint",
        tmp_path / "model",
    )
    run = lambda *more: command_line.main([*map(str, words), *more])  # noqa: E731
    assert run("--nodes", "5") == 0
    network = color_table.load(tmp_path / "new" / "x.cube", interpolation="trilinear")
    expected = inference.enhance(small(), photo)
    difference = inference.enhance(network, photo).astype(int) - expected
    assert np.abs(difference).max() <= 1
    assert run() == 1 and "x.cube exists; --overwrite replaces it" in capsys.readouterr().err
    network = model_lib.Model.init(models.create("CAN", {"dilations": (1,)}), jax.random.key(0))
    with pytest.raises(ValueError, match="CAN has no colour table: its result at a pixel"):
        by_pixel.table(network, photo)
