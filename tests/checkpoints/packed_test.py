"""Networks in one small file: what is kept, what is refused."""

import dataclasses

import jax
import numpy as np
import pytest

from bilateral_jax import images, inference, metrics, models, tree_paths
from bilateral_jax.checkpoints import networks, packed, trees
from bilateral_jax.models import model as model_lib
from tests import assets
from tools import pack_network

FIELDS = {"net_input_size": 16, "spatial_bin": 4, "luma_bins": 2, "batch_norm": True}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("networks") / "model"
    module = models.create("HDRNetCurves", FIELDS, preset="recommended")
    model = model_lib.Model.init(module, jax.random.key(0))
    name, fields = models.describe(module)
    leaves = {"params": model.params, "batch_stats": model.batch_stats}
    networks.save(path, name=name, hyperparameters=fields, **leaves)
    return path


def test_the_command_packs_a_network_and_its_result_stays(checkpoint, tmp_path, capsys):
    file = tmp_path / "small.npz"
    assert pack_network.main([str(checkpoint), str(file)]) == 0
    said = capsys.readouterr().out
    assert "HDRNetCurves" in said and f"{file.stat().st_size:,} bytes" in said
    saved, original = packed.load(file), networks.load(checkpoint)
    assert (saved.name, saved.hyperparameters) == (original.name, original.hyperparameters)
    assert saved.metadata == {"step": 0}
    for part in ("params", "batch_stats"):
        expected = tree_paths.flatten(getattr(original, part))
        found = tree_paths.flatten(getattr(saved, part))
        assert found.keys() == expected.keys() and found
        for name, leaf in found.items():
            assert leaf.dtype == np.float32
            np.testing.assert_array_equal(leaf, np.float32(np.float16(expected[name])))
    image = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    outs = [inference.enhance(one.to_model(), image).astype(int) for one in (saved, original)]
    assert np.abs(outs[0] - outs[1]).max() <= 1

    again = tmp_path / "again.npz"
    packed.save(again, original, metadata={"step": 0})
    assert again.read_bytes() == file.read_bytes()

    assert pack_network.main([str(checkpoint), str(tmp_path / "small.zip")]) == 1
    assert "OUT must end in .npz" in capsys.readouterr().err


def test_weights_beyond_float16_are_named(checkpoint, tmp_path):
    saved = networks.load(checkpoint)
    params = jax.tree.map(lambda leaf: leaf * 0 + 1e6, saved.params)
    with pytest.raises(ValueError, match="params/coefficient_network/.*beyond float16"):
        packed.save(tmp_path / "x.npz", dataclasses.replace(saved, params=params))
    assert not list(tmp_path.iterdir())


def test_other_files_are_refused(checkpoint, tmp_path, monkeypatch):
    file = tmp_path / "x.npz"
    with pytest.raises(FileNotFoundError, match="x.npz is missing"):
        packed.load(file)
    packed.save(file, networks.load(checkpoint))
    for content in (b"", b"no archive", file.read_bytes()[:-400]):
        file.write_bytes(content)
        with pytest.raises(trees.DamagedCheckpointError, match="x.npz is no packed network"):
            packed.load(file)
    text = '{"name": "HDRNetCurves", "metadata": {}, "hyperparameters": %s}'
    described, listed = (
        {"description": np.frombuffer((text % h).encode(), np.uint8)} for h in ("{}", "[1]")
    )
    for arrays in (
        {"a": np.zeros(3)},
        {"description": np.frombuffer(b'{"name": "HDRNetCurves"}', np.uint8)},
        listed,
        described | {"params/a": np.zeros(3), "params/a/b": np.zeros(3)},
        described | {"params/a": np.zeros(3, complex)},
    ):
        np.savez(file, **arrays)
        with pytest.raises(trees.DamagedCheckpointError, match="x.npz is no packed network"):
            packed.load(file)
    monkeypatch.setattr(packed, "DEFAULT", tmp_path / "absent.npz")
    with pytest.raises(FileNotFoundError, match="came without its default network"):
        packed.default_model()


def test_the_network_that_ships_is_small_and_has_a_card():
    saved = packed.load(packed.DEFAULT)
    assert packed.DEFAULT.stat().st_size < 2_000_000
    assert saved.name == "HDRNetCurves"
    assert model_lib.parameter_count(saved.params) == 482_080
    networks.check_finite(saved.to_model(), packed.DEFAULT)
    card = packed.DEFAULT.with_suffix(".md").read_text()
    assert "CC BY-SA 4.0" in card and "482,080 parameters" in card


def test_the_network_that_ships_comes_closer_to_a_retoucher():
    """Five photos that it was not trained on: 2 dB on average, none more than 2 dB below."""
    model, gains = packed.default_model(), []
    for path in sorted(assets.path("fivek_sample", "input").iterdir()):
        photo = images.read(path).pixels
        target = images.read(assets.path("fivek_sample", "expert_c", path.name)).pixels
        before, after = (
            metrics.psnr(images.to_float(pixels), images.to_float(target))
            for pixels in (photo, inference.enhance(model, photo))
        )
        gains.append(float(after - before))
    assert len(gains) == 5 and np.mean(gains) > 2 and min(gains) > -2, gains
