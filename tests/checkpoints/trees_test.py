"""Pytrees on disk: round trips, damage of every kind, targets that do not fit."""

import logging
import sys
import types

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bilateral_jax.checkpoints import orbax_calls, trees


@flax.struct.dataclass
class _State:
    params: dict
    opt_state: object
    key: jax.Array
    step: jax.Array


def _state(seed=0):
    rng = np.random.default_rng(seed)
    params = {
        "layer": {
            "kernel": jnp.asarray(rng.normal(size=(3, 3, 4)), jnp.float32),
            "a/b": jnp.float32(2.5),
        },
        "half": jnp.asarray(rng.normal(size=64), jnp.bfloat16),
        "empty": jnp.zeros((0, 3)),
    }
    return _State(params, optax.adam(1e-3).init(params), jax.random.key(7), jnp.int32(5))


def _assert_same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


# Many leaves: orbax reads them at the same time, and its readers outlive the first error.
_MORE = {f"more{k}": np.random.default_rng(k).random(20_000) for k in range(12)}


def _flip_one_bit(step_folder):
    largest = max(
        (f for f in (step_folder / "state").rglob("*") if f.is_file() and f.parent.name == "d"),
        key=lambda f: f.stat().st_size,
    )
    data = bytearray(largest.read_bytes())
    data[len(data) // 3] ^= 4
    largest.write_bytes(data)


def test_round_trip_keeps_every_leaf_and_the_metadata(tmp_path):
    state = _state()
    trees.save(
        tmp_path, 5, state, metadata={"config": {"lr": 0.1, "sizes": (1, 2)}, "psnr": float("inf")}
    )
    step, back, metadata = trees.restore(tmp_path, target=jax.eval_shape(lambda: state))
    assert step == 5 and metadata == {"config": {"lr": 0.1, "sizes": [1, 2]}, "psnr": float("inf")}
    _assert_same(state, back)
    _, untyped, _ = trees.restore(tmp_path)
    np.testing.assert_array_equal(untyped["params"]["layer"]["a/b"], 2.5)
    assert untyped["params"]["empty"].shape == (0, 3)
    assert isinstance(untyped["params"]["layer"]["kernel"], np.ndarray)


def test_a_state_on_eight_devices_comes_back_as_host_arrays(tmp_path):
    devices = jax.local_devices()
    mesh = jax.sharding.Mesh(np.array(devices), ("batch",))
    placed = jax.device_put(
        _state(), jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    )
    trees.save(tmp_path, 1, placed)
    _, back, _ = trees.restore(tmp_path, target=_state(1))
    _assert_same(_state(), back)


def test_only_the_newest_steps_are_kept_and_latest_ignores_half_written_ones(tmp_path):
    assert trees.latest(tmp_path / "absent") is None
    for step in (1, 2, 3, 4):
        trees.save(tmp_path, step, {"x": np.arange(step)}, max_to_keep=2)
    (tmp_path / "9").mkdir()
    (tmp_path / "12.orbax-checkpoint-tmp").mkdir()
    assert trees.latest(tmp_path) == 4
    with pytest.raises(FileNotFoundError, match=r"no step 1 .* \[3, 4, 9\]"):
        trees.restore(tmp_path, 1)


@pytest.mark.parametrize("damage", ["bit", "truncate", "delete", "record", "empty"])
def test_a_damaged_step_is_reported_and_the_one_before_it_restored(tmp_path, damage, caplog, capfd):
    for step in (3, 6):
        trees.save(tmp_path, step, {"w": np.random.default_rng(step).random(50_000), **_MORE})
    folder = tmp_path / "6"
    files = [f for f in (folder / "state").rglob("*") if f.is_file() and f.parent.name == "d"]
    if damage == "bit":
        _flip_one_bit(folder)
    elif damage == "truncate":
        for file in files:
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif damage == "delete":
        for file in files:
            file.unlink()
    elif damage == "record":
        record = folder / "meta" / "metadata"
        record.write_text(record.read_text().replace("float64", "float32"))
    else:
        folder = tmp_path / "8"
        folder.mkdir()
    with pytest.raises(
        trees.DamagedCheckpointError, match=f"step {folder.name} in .* is damaged"
    ) as caught:
        trees.restore(tmp_path, int(folder.name))
    assert len(str(caught.value)) < 600 and "\n" not in str(caught.value)
    with caplog.at_level(logging.WARNING):
        step, state, _ = trees.restore(tmp_path, set_aside_damaged=True)
    expected = 6 if damage == "empty" else 3
    assert step == expected and f"step {folder.name}" in caplog.text
    np.testing.assert_array_equal(state["w"], np.random.default_rng(expected).random(50_000))
    assert (tmp_path / f"{folder.name}.damaged").is_dir()
    trees.save(tmp_path, int(folder.name), {"w": np.zeros(3)})
    assert trees.restore(tmp_path)[0] == int(folder.name)
    assert "Event loop" not in capfd.readouterr().err


def test_one_flipped_bit_is_found_in_each_of_twenty_trials(tmp_path, caplog):
    for step in (3, 6):
        trees.save(tmp_path, step, {"w": np.random.default_rng(step).random(5_000)})
    rng, folder = np.random.default_rng(0), tmp_path / "6"
    files = [
        *(folder / "state").rglob("*"),
        folder / "meta" / "metadata",
        folder / "digests.json",
    ]
    files = sorted(path for path in files if path.is_file() and path.stat().st_size)
    for trial in range(20):
        path = files[trial % len(files)]
        good = path.read_bytes()
        bad = bytearray(good)
        bad[rng.integers(len(bad))] ^= 1 << int(rng.integers(8))
        path.write_bytes(bad)
        caplog.clear()
        assert trees.restore(tmp_path)[0] == 3, path
        assert len(caplog.messages) == 1 and "step 6 in" in caplog.text
        path.write_bytes(good)
    assert trees.restore(tmp_path)[0] == 6


def test_a_step_without_file_checksums_is_validated_by_its_leaves(tmp_path):
    for step in (3, 6):
        trees.save(tmp_path, step, {"w": np.random.default_rng(step).random(50_000)})
        (tmp_path / str(step) / "digests.json").unlink()
    _flip_one_bit(tmp_path / "6")
    with pytest.raises(trees.DamagedCheckpointError, match="'w' do not match their checksum"):
        trees.restore(tmp_path, 6)
    assert trees.restore(tmp_path)[0] == 3


def test_a_reader_error_on_valid_files_is_not_damage(tmp_path, monkeypatch):
    """Too little memory, say: the step stays, and no older one is restored for it."""
    import orbax.checkpoint as ocp

    def fail(*_, **__):
        raise MemoryError("no memory for w")

    for step in (3, 6):
        trees.save(tmp_path, step, {"w": np.full(5, step)})
    with monkeypatch.context() as patch:
        patch.setattr(ocp.Checkpointer, "restore", fail)
        with pytest.raises(MemoryError, match="no memory for w"):
            trees.restore(tmp_path, set_aside_damaged=True)
    assert trees.restore(tmp_path)[0] == 6


def test_all_steps_damaged_is_an_error_naming_them(tmp_path):
    for step in (1, 2):
        trees.save(tmp_path, step, {"w": np.random.default_rng(step).random(20_000)})
        _flip_one_bit(tmp_path / str(step))
    with pytest.raises(trees.DamagedCheckpointError, match="step 2 .*step 1 "):
        trees.restore(tmp_path)


def test_a_target_that_does_not_fit_is_reported_leaf_by_leaf(tmp_path):
    trees.save(tmp_path, 1, {"a": np.zeros(3, np.float32), "old": np.zeros(2)})
    with pytest.raises(ValueError, match="missing: new .*unexpected: old .*a is .*expected"):
        trees.restore(tmp_path, target={"a": np.zeros(4, np.float32), "new": np.zeros(2)})


def test_invalid_arguments_are_errors(tmp_path):
    trees.save(tmp_path, 4, {"a": np.zeros(3)})
    with pytest.raises(ValueError, match="step 4 is not newer than step 4"):
        trees.save(tmp_path, 4, {"a": np.zeros(3)})
    with pytest.raises(ValueError, match="JSON-able"):
        trees.save(tmp_path, 5, {"a": np.zeros(3)}, metadata={"x": object()})
    with pytest.raises(ValueError, match="not a single array"):
        trees.save(tmp_path, 5, np.zeros(3))
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        trees.restore(tmp_path / "nothing")


def test_nothing_is_printed(tmp_path, capfd):
    trees.save(tmp_path, 1, {"a": np.zeros(3)})
    trees.restore(tmp_path)
    assert capfd.readouterr() == ("", "")


def test_late_writers_of_a_failed_save_print_nothing(tmp_path, monkeypatch):
    """tensorstore's threads report to a closed event loop; other errors are still shown."""
    shown = []
    monkeypatch.setattr(sys, "unraisablehook", shown.append)
    with pytest.raises(OSError), orbax_calls.waiting_for_writers(tmp_path):
        raise OSError("No space left on device")

    def report(value, source):
        fields = {"exc_value": value, "exc_type": type(value), "object": source}
        sys.unraisablehook(types.SimpleNamespace(**fields, exc_traceback=None, err_msg=None))

    report(RuntimeError("Event loop is closed"), None)
    assert not shown
    report(RuntimeError("Event loop is closed"), report)
    report(ValueError("another"), None)
    assert len(shown) == 2
