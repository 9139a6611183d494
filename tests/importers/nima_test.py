"""Keras' weights to our NIMA and back, from every kind of file; wrong ones are named."""

import h5py
import jax
import numpy as np
import pytest

from bilateral_jax import __main__ as cli
from bilateral_jax import models
from bilateral_jax.checkpoints import networks
from bilateral_jax.importers import nima
from bilateral_jax.models import model as model_lib
from tests.importers.formats import tensor_bundle_test as bundles


@pytest.fixture(scope="module")
def network():
    """A network that a shape of 1 in 32 describes, every leaf with values of its own."""
    module = models.create("NIMAMobileNet", {"width": 1 / 8})
    shapes = nima.table(module)
    rng = np.random.default_rng(0)
    drawn = {n: rng.normal(size=s).astype(np.float32) for n, (_, s) in shapes.items()}
    return nima.from_variables(drawn, module)


@pytest.fixture(scope="module")
def variables(network):
    return nima.to_variables(network)


def same(one, two):
    assert one.module == two.module
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True)
    assert all(np.array_equal(a, b) for a, b in leaves)


def write_hdf5(path, variables, *, inside=None, empty=("input_1", "conv_pad_2", "dropout_1")):
    """As Keras writes: a group per layer, in it the layer's name again, then the leaves."""
    with h5py.File(path, "w") as file:
        root = file.create_group(inside) if inside else file
        layers = list(dict.fromkeys(name.split("/")[0] for name in variables))
        root.attrs["layer_names"] = [layer.encode() for layer in (*layers, *empty)]
        for layer in (*layers, *empty):
            group = root.create_group(layer)
            names = [name for name in variables if name.split("/")[0] == layer]
            group.attrs["weight_names"] = [f"{name}:0".encode() for name in names]
            for name in names:
                group.create_dataset(f"{name}:0", data=variables[name])


def test_the_published_names_and_shapes():
    table = nima.table(models.create("NIMAMobileNet"))
    assert len(table) == 27 + 4 * 27 + 2
    assert table["conv1/kernel"][1] == (3, 3, 3, 32)
    assert table["conv_dw_6/depthwise_kernel"] == ("params/conv_dw_6/kernel", (3, 3, 256, 1))
    assert table["conv_pw_13/kernel"][1] == (1, 1, 1024, 1024)
    assert table["conv1_bn/moving_variance"] == ("batch_stats/conv1_bn/var", (32,))
    assert table["conv_pw_2_bn/gamma"] == ("params/conv_pw_2_bn/scale", (128,))
    assert table["dense_1/kernel"][1] == (1024, 10) and table["dense_1/bias"][1] == (10,)
    assert sum(np.prod(shape) for _, shape in table.values()) == 3_228_864 + 10_250


def test_round_trip(network, variables):
    same(nima.load({f"{name}:0": array for name, array in variables.items()}), network)
    kernel = variables["conv_dw_3/depthwise_kernel"]
    np.testing.assert_array_equal(network.params["conv_dw_3"]["kernel"], kernel[..., 0])


@pytest.mark.parametrize("inside", [None, "model_weights"])
def test_hdf5(tmp_path, network, variables, inside):
    write_hdf5(tmp_path / "weights.hdf5", variables, inside=inside)
    if inside:
        with h5py.File(tmp_path / "weights.hdf5", "a") as file:
            file["optimizer_weights/training/Adam/iterations:0"] = 3
    same(nima.load(tmp_path / "weights.hdf5"), network)


def test_saved_model(tmp_path, network, variables):
    """Beside the weights it keeps two variables for every moving statistic: 245 in all."""
    more = {}
    for name in variables:
        if name.endswith(("moving_mean", "moving_variance")):
            more[f"{name}/biased"], more[f"{name}/local_step"] = variables[name], np.float32(5)
    assert len(variables | more) == 245
    (tmp_path / "variables").mkdir()
    bundles.write_bundle(tmp_path / "variables" / "variables", variables | more)
    (tmp_path / "saved_model.pb").touch()
    same(nima.load(tmp_path), network)
    same(nima.load(tmp_path / "variables" / "variables.index"), network)


def test_a_classifier_is_a_backbone_with_a_fresh_head(network, variables):
    classifier = {n: a for n, a in variables.items() if not n.startswith("dense")}
    classifier |= {"conv_preds/kernel": np.zeros((1, 1, 128, 1000)), "conv_preds/bias": np.zeros(4)}
    started = nima.load(classifier)
    same(started.replace(params=started.params | {"head": network.params["head"]}), network)
    head = started.params["head"]["kernel"]
    assert 0 < float(np.abs(head).max()) < 1
    assert not started.params["head"]["bias"].any()


def test_any_dense_layer_is_the_head(network, variables):
    renamed = {name.replace("dense_1", "dense_7"): array for name, array in variables.items()}
    same(nima.load(renamed), network)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop("conv_dw_4_bn/gamma"), "missing: conv_dw_4_bn/gamma"),
        (lambda v: v.update(extra=np.zeros(3)), r"unexpected: extra \(3,\)"),
        (
            lambda v: v.update({"dense_1/bias": np.zeros(9)}),
            r"wrong shape: dense_1/bias is \(9,\), expected \(10,\)",
        ),
        (lambda v: v.pop("conv1/kernel"), "so this is no MobileNet"),
    ],
)
def test_wrong_variables_are_named(variables, change, message):
    changed = dict(variables)
    change(changed)
    with pytest.raises(ValueError, match=message):
        nima.load(changed)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        nima.load(tmp_path / "weights.h5")
    (tmp_path / "weights.h5").write_bytes(b"no HDF5")
    with pytest.raises(ValueError, match="cannot be read as an HDF5 file"):
        nima.load(tmp_path / "weights.h5")
    write_hdf5(tmp_path / "empty.h5", {})
    with pytest.raises(ValueError, match="holds no weights"):
        nima.load(tmp_path / "empty.h5")


def test_the_command(tmp_path, capsys, network, variables):
    write_hdf5(tmp_path / "weights.hdf5", variables)
    source, target = str(tmp_path / "weights.hdf5"), str(tmp_path / "imported")
    assert cli.main(["import", "nima", source, target]) == 0
    count = model_lib.parameter_count(network.params)
    assert f"NIMAMobileNet with {count:,} parameters" in capsys.readouterr().out
    same(networks.load_model(target), network)
    assert cli.main(["import", "nima", str(tmp_path / "nothing.h5"), str(tmp_path / "x")]) == 1
    assert capsys.readouterr().err.startswith("error: no such file")
