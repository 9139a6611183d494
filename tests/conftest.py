"""What every test runs under: eight simulated devices, no silent rank promotion, fixed seeds."""

# JAX reads these once, when it is imported: they stand before every other import.
import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
    # Eight devices take turns on few cores: a busy machine must not be taken for a deadlock, which
    # XLA ends by aborting the process after 40 s.
    os.environ["XLA_FLAGS"] = (
        os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
        " --xla_cpu_collective_call_warn_stuck_timeout_seconds=300"
        " --xla_cpu_collective_call_terminate_timeout_seconds=600"
    ).strip()
# Commands keep compiled programs in the user's cache folder; tests do not.
os.environ["BILATERAL_JAX_COMPILATION_CACHE"] = "off"
# Plots are drawn into files.
os.environ.setdefault("MPLBACKEND", "agg")

import contextlib  # noqa: E402
import importlib.metadata  # noqa: E402
import pathlib  # noqa: E402
import random  # noqa: E402

import hypothesis  # noqa: E402
import jax  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
from absl import flags  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")

# The loader's worker processes read absl flags, which only a program's main parses.
flags.FLAGS.mark_as_parsed()

# The same examples on every run; compiling inside an example outlasts any deadline.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("repeatable")


@contextlib.contextmanager
def _configured(**options):
    before = {name: jax.config.values[name] for name in options}
    for name, value in options.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


# jaxlib 0.10 has two code generators for CPUs; the older takes half the time for small programs.
_GENERATOR = "xla_cpu_use_fusion_emitters"
_HAS_BOTH = importlib.metadata.version("jaxlib").startswith("0.10.")


@contextlib.contextmanager
def _older_code_generator():
    """Compiles with it where jaxlib has both; `XLA_FLAGS` would hold for a whole process."""
    if not _HAS_BOTH:
        yield
        return
    compiler = importlib.import_module("jax._src.compiler")
    newer = compiler.get_compile_options

    def older(*args, env_options_overrides=None, **options):
        overrides = {**(env_options_overrides or {}), _GENERATOR: False}
        return newer(*args, env_options_overrides=overrides, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "get_compile_options", older)
        yield


@pytest.fixture(scope="module")
def compiled_quickly():
    """Leaves most optimisations out, for modules where compiling takes longer than running."""
    with _configured(jax_disable_most_optimizations=True), _older_code_generator():
        yield


@pytest.fixture(scope="module")
def compiled_once(tmp_path_factory):
    """The same, and keeps what was compiled, for modules that run one training several times.

    Gives the environment variables by which processes of their own compile alike.
    """
    options = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_disable_most_optimizations": True,
    }
    environment = {name.upper(): str(value) for name, value in options.items()}
    if _HAS_BOTH:
        environment["XLA_FLAGS"] = f"{os.environ['XLA_FLAGS']} --{_GENERATOR}=false"
    with _configured(**options), _older_code_generator():
        yield environment


# Compiled programs take memory mappings, thousands per test file. Linux allows a process 65,530;
# XLA ends with a segmentation fault there.
_MOST_MAPPINGS = 20_000
_MAPPINGS = pathlib.Path("/proc/self/maps")


@pytest.fixture(scope="module", autouse=True)
def bounded_mappings():
    """Drops compiled programs between test files, before they take too many memory mappings."""
    yield
    if _MAPPINGS.exists() and _MAPPINGS.read_bytes().count(b"\n") > _MOST_MAPPINGS:
        jax.clear_caches()


@pytest.fixture(autouse=True)
def fixed_seeds():
    """Global generators start equal in every test; randomness should come from a local one."""
    random.seed(0)
    np.random.seed(0)


def pytest_sessionstart(session):
    """Stops at once where the devices are not what the tests assume."""
    if jax.default_backend() == "cpu" and jax.local_device_count() < 8:
        raise pytest.UsageError(
            f"the tests need 8 simulated devices, found {jax.local_device_count()}: "
            "something imported and started JAX before tests/conftest.py"
        )
