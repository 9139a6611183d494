"""importers/vgg.py and torch_file.py, on files made here: no published weights are at hand."""

import pickle
import zipfile

import jax
import numpy as np
import pytest
import scipy.io

from bilateral_jax import __main__ as command_line
from bilateral_jax import inference, models
from bilateral_jax.importers import vgg
from bilateral_jax.importers.formats import torch_file
from bilateral_jax.models import model
from bilateral_jax.models import vgg as vgg_models
from tests import fake_torch_files


def network(name, **fields):
    module = models.create("VGG", {"depths": vgg_models.DEPTHS[name], "width": 2, **fields})
    inputs = jax.eval_shape(module.example_inputs)
    shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)["params"]
    rng = np.random.default_rng(0)
    return model.Model(
        jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), shapes), {}, module
    )


def write_mat(path, layers, *, old=False):
    """Layers as MatConvNet keeps them: a row of cells, each a struct of 1 x 1."""
    cells = np.empty((1, len(layers)), object)
    for i, layer in enumerate(layers):
        struct = {"type": "conv" if "weights" in layer else "relu", **layer}
        if "weights" in layer:
            pair = np.empty((1, 2), object)
            pair[0, 0], pair[0, 1] = layer["weights"]
            struct["weights"] = pair
        if old and "weights" in layer:
            struct["filters"], struct["biases"] = layer["weights"]
            del struct["weights"]
        cells[0, i] = struct
    scipy.io.savemat(path, {"layers": cells, "meta": {"about": "nothing"}})


def mat_layers(original):
    """A network as MatConvNet has it: kernels with their axes swapped, and dense layers behind."""
    layers = []
    for layer in original.params["trunk"].values():
        kernel = layer["kernel"].transpose(1, 0, 2, 3)
        layers += [{"weights": (kernel, layer["bias"].reshape(1, -1))}, {}]
    return [*layers, {"weights": (np.zeros((7, 7, 16, 5), np.float32), np.zeros((1, 5)))}]


def same(found, original):
    assert found.module == original.module
    jax.tree.map(np.testing.assert_array_equal, found.params, original.params)


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
@pytest.mark.parametrize("old", [False, True])
def test_matconvnet(tmp_path, name, old):
    original = network(name)
    write_mat(tmp_path / "vgg.mat", mat_layers(original), old=old)
    same(vgg.load(tmp_path / "vgg.mat"), original)


TORCHVISION = {
    "scale": 1.0,
    "mean": (0.485, 0.456, 0.406),
    "deviation": (0.229, 0.224, 0.225),
    "padding": "VALID",
}


@pytest.fixture(scope="module")
def torchvision():
    """A network and its `state_dict`."""
    original = network("vgg19", **TORCHVISION)
    state_dict = {"classifier.0.weight": np.zeros((2, 3), np.float32)}
    return original, vgg.to_torchvision(original) | state_dict


@pytest.mark.parametrize("kind", ["mapping", "npz", "new.pth", "old.pth"])
def test_torchvision(tmp_path, torchvision, kind):
    original, state_dict = torchvision
    assert "features.34.weight" in state_dict and "features.35.weight" not in state_dict
    assert state_dict["features.5.weight"].shape == (4, 2, 3, 3)
    path = tmp_path / f"vgg.{kind}"
    if kind == "mapping":
        path = state_dict
    elif kind == "npz":
        np.savez(path, **state_dict)
    else:
        fake_torch_files.write(path, state_dict, zipped=kind == "new.pth")
    same(vgg.load(path), original)


def test_the_command(tmp_path, torchvision, capsys):
    original, state_dict = torchvision
    np.savez(tmp_path / "vgg.npz", **state_dict)
    arguments = ["import", "vgg", str(tmp_path / "vgg.npz"), str(tmp_path / "out")]
    assert command_line.main(arguments) == 0
    count = model.parameter_count(original.params)
    assert f"VGG with {count:,} parameters" in capsys.readouterr().out
    with pytest.raises(ValueError, match="VGG declares no way to enhance an image"):
        inference.enhance(original, np.zeros((4, 4, 3), np.uint8))


def test_mistakes_are_named(tmp_path, torchvision):
    original, state_dict = torchvision
    with pytest.raises(FileNotFoundError):
        vgg.load(tmp_path / "absent.mat")
    (tmp_path / "no.mat").write_bytes(b"not a file of numbers, but long enough to look like it")
    with pytest.raises(ValueError, match="cannot be read as MatConvNet's layers"):
        vgg.load(tmp_path / "no.mat")
    write_mat(tmp_path / "short.mat", mat_layers(original)[4:])
    with pytest.raises(ValueError, match="found 14, so this is neither"):
        vgg.load(tmp_path / "short.mat")
    with pytest.raises(ValueError, match="found 0, so this is neither; the first names: other"):
        vgg.load({"other": np.zeros(3)})
    norms = {name.replace(".2.", ".1."): np.zeros(3) for name in ("features.2.weight",)}
    with pytest.raises(ValueError, match="has batch norms"):
        vgg.load(state_dict | norms)
    wrong = state_dict | {"features.7.bias": np.zeros(9, np.float32)}
    with pytest.raises(ValueError, match=r"wrong shape: features.7.bias is \(9,\), expected \(4,"):
        vgg.load(wrong)


@pytest.mark.parametrize("zipped", [False, True])
def test_tensors_of_every_layout(tmp_path, zipped):
    rng = np.random.default_rng(0)
    arrays = {
        "single": rng.normal(size=(2, 3, 4)).astype(np.float32),
        "half": rng.normal(size=(5,)).astype(np.float16),
        "count": np.int64(3),
        "columns": rng.normal(size=(3, 4)).astype(np.float32),
    }
    fake_torch_files.write(tmp_path / "x.pth", arrays, zipped=zipped, transposed=("columns",))
    found = torch_file.read(tmp_path / "x.pth")
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_a_pickle_can_run_nothing(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (print, ("ran",))

    with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps({"a": Harmful()}))
    with pytest.raises(ValueError, match=r"asks for builtins.print, .*numpy.savez"):
        torch_file.read(tmp_path / "x.pth")


@pytest.mark.parametrize("content", [b"", b"something else", pickle.dumps(5), pickle.dumps([1])])
def test_other_files_say_how_to_convert(tmp_path, content):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as a PyTorch file.*numpy.savez"):
        torch_file.read(tmp_path / "x.pth")


@pytest.mark.parametrize("zipped", [False, True])
def test_a_file_cut_short_is_refused(tmp_path, zipped):
    path = tmp_path / "x.pth"
    fake_torch_files.write(path, {"a": np.ones((3, 3), np.float32)}, zipped=zipped)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="cannot be read as a PyTorch file"):
        torch_file.read(path)
