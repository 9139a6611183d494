"""Where commands keep compiled programs, and that tests do not write there."""

import os
import sys

import jax
import pytest

from bilateral_jax import __main__ as command_line
from bilateral_jax.cli import compilation_cache

_OPTIONS = (
    "jax_compilation_cache_dir",
    "jax_compilation_cache_max_size",
    "jax_enable_compilation_cache",
    "jax_persistent_cache_min_compile_time_secs",
)


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    """JAX's settings as of a new process; the tests' own come back."""
    before = {name: jax.config.values[name] for name in _OPTIONS}
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.delenv(compilation_cache.VARIABLE)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def folder():
    return jax.config.jax_compilation_cache_dir


def test_tests_do_not_write_into_the_users_cache(monkeypatch):
    monkeypatch.undo()
    assert os.environ[compilation_cache.VARIABLE] == "off"
    assert compilation_cache.use() is None and folder() is None


@pytest.mark.skipif(sys.platform != "linux", reason="XDG folders are those of Linux")
def test_the_default_is_the_users_cache_folder(tmp_path, monkeypatch):
    for package in ("platformdirs", "filelock"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    expected = tmp_path / "bilateral_jax" / "compiled"
    assert compilation_cache.use() == expected and folder() == str(expected)
    assert expected.stat().st_mode & 0o077 == 0, "JAX runs what lies there"
    assert jax.config.values["jax_compilation_cache_max_size"] == 2**30


def test_the_command_line_is_before_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv(compilation_cache.VARIABLE, str(tmp_path / "variable"))
    assert compilation_cache.use(str(tmp_path / "option")) == tmp_path / "option"
    jax.config.update("jax_compilation_cache_dir", None)
    assert compilation_cache.use() == tmp_path / "variable"
    jax.config.update("jax_compilation_cache_dir", None)
    assert compilation_cache.use("off") is None and folder() is None


def test_jax_has_a_setting_of_its_own(tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    assert compilation_cache.use() == tmp_path
    assert compilation_cache.use("off") is None
    assert not jax.config.values["jax_enable_compilation_cache"]


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    assert compilation_cache.use(tmp_path / "file" / "inside") is None
    assert capsys.readouterr().err.startswith("compiled programs are not kept: ")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    assert compilation_cache.use() is None or sys.platform != "linux"
    assert folder() is None and capsys.readouterr().err == ""


def test_commands_take_the_option(tmp_path, capsys):
    words = ["enhance", "gone.png", "out.png", "--checkpoint", "RUN"]
    assert command_line.main([*words, f"--compilation-cache={tmp_path}"]) == 1
    assert folder() == str(tmp_path)
    assert "gone.png" in capsys.readouterr().err
