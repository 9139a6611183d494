"""Published Deep Photo Enhancer weights: names and shapes, a synthetic checkpoint. 10 seconds."""

import re

import numpy as np
import pytest

from bilateral_jax import __main__ as command_line
from bilateral_jax import models, tree_paths
from bilateral_jax.checkpoints import networks
from bilateral_jax.importers import dpe as importer
from bilateral_jax.importers import variables as variables_lib
from tests.importers.formats import tensor_bundle_test as bundles
from tests.models import dpe_test

pytestmark = pytest.mark.usefixtures("compiled_quickly")
SCOPE = "netG-736_var_scope/netG-736_var_scope{0}/netG-736_"


def test_names_and_shapes_are_those_of_the_published_checkpoints():
    """Facts of the index files: 86 variables; here those that others do not follow from."""
    shapes = {name: shape for name, (_, shape) in importer.table(models.create("DPE")).items()}
    assert len(shapes) == 86
    assert sum(np.prod(shape) for shape in shapes.values()) == 3_338_115
    convolutions = {name[:-2] for name in shapes if re.search("conv.*_w", name)}
    numbers = {"1": (0, 3, 6, 9, 12), "2": (0, 3, 6, 8), "3": (0, 2, 5, 10, 15, 20, 25, 28)}
    expected = {f"{part}/conv_{i}" for part, found in numbers.items() for i in found}
    assert convolutions == expected
    for name, shape in {
        "1/conv_12_w": (5, 5, 128, 128),
        "1/bn_14_0_mv_var": (128,),
        "2/conv_6_w": (8, 8, 128, 128),
        "2/bn_5_0_mv_mean": (128,),
        "3/bn_4_0_scale": (128,),
        "3/bn_9_0_offset": (256,),
        "3/bn_14_0_scale": (192,),
        "3/conv_20_w": (3, 3, 96, 32),
        "3/bn_24_0_scale": (48,),
        "3/bn_27_0_scale": (16,),
        "3/conv_28_b": (3,),
    }.items():
        assert shapes[name] == shape


def test_a_checkpoint_is_imported_by_the_command(tmp_path):
    enhancer, other = dpe_test.small(), dpe_test.random_model("DPE", width=1, size=64)
    variables = {}
    for letter, model in {"A": enhancer, "B": other}.items():
        variables |= importer.to_variables(model, scope=SCOPE.format(letter))
    variables["netD/conv_0_w"] = np.zeros((3, 3, 3, 1), np.float32)
    bundles.write_bundle(tmp_path / "90.000.ckpt", variables, shards=2)
    for model, words in ((enhancer, []), (other, ["--generator", "B"])):
        target = tmp_path / model.module.__class__.__name__ / str(len(words))
        words = ["import", "dpe", str(tmp_path / "90.000.ckpt"), str(target), *words]
        assert command_line.main(words) == 0
        loaded = networks.load_model(target)
        assert loaded.module == model.module
        expected = tree_paths.flatten({"params": model.params, "batch_stats": model.batch_stats})
        found = tree_paths.flatten({"params": loaded.params, "batch_stats": loaded.batch_stats})
        assert found.keys() == expected.keys()
        for path, leaf in found.items():
            np.testing.assert_array_equal(leaf, expected[path], err_msg=str(path))


def test_an_npz_file_is_imported(tmp_path):
    model = dpe_test.random_model("DPE", width=1, size=64)
    np.savez(tmp_path / "dpe.npz", **importer.to_variables(model, scope=SCOPE.format("A")))
    loaded = importer.load(tmp_path / "dpe.npz")
    assert loaded.module == model.module
    for path, leaf in tree_paths.flatten(model.params).items():
        found = tree_paths.flatten(loaded.params)[path]
        np.testing.assert_array_equal(found, leaf, err_msg=str(path))


def test_the_published_networks_take_and_give_blue_green_red():
    model, image = dpe_test.small(), dpe_test.noise(17, 40)
    # The same variables without a change of their colours: the original network.
    original = variables_lib.from_foreign(
        model.module, importer.to_variables(model), importer._original
    )
    expected = dpe_test.enhanced(original, image[..., ::-1])[..., ::-1]
    np.testing.assert_allclose(dpe_test.enhanced(model, image), expected, atol=1e-5)
    assert np.abs(dpe_test.enhanced(original, image) - expected).max() > 0.01


def test_what_does_not_fit_is_named():
    scope = SCOPE.format("A")
    variables = importer.to_variables(dpe_test.small(), scope=scope)
    with pytest.raises(ValueError, match=r"var_scopeB/netG-N_1/conv_0_w .*; the first names: netG"):
        importer.load(variables, generator="B")
    with pytest.raises(ValueError, match="generator must be one of"):
        importer.load(variables, generator="C")
    with pytest.raises(ValueError, match="missing: 3/bn_4_1_scale"):
        importer.load({n: a for n, a in variables.items() if n != f"{scope}3/bn_4_1_scale"})
    with pytest.raises(ValueError, match="unexpected: 3/conv_99_w"):
        importer.load(variables | {f"{scope}3/conv_99_w": np.zeros(3)})
    with pytest.raises(ValueError, match="wrong shape: 2/conv_8_w"):
        importer.load(variables | {f"{scope}2/conv_8_w": np.zeros((3, 3, 8, 8))})
