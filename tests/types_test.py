"""Types as a user's type checker sees them: `mypy --strict` on a program that uses the library.

One run, some ten seconds: it reads the types of JAX and Flax, too.
"""

import inspect
import subprocess
import sys

import pytest

from tests import api_test, assets

# Where every public function has a declared result.
_TYPED = (
    "checkpoints.networks",
    "color",
    "filters",
    "images.files",
    "inference.enhancement",
    "losses",
    "metrics",
    "models.model",
    "models.nima",
    "models.registry",
    "pixels",
    "resize.resize",
    "data.registry",
)
# Mistakes that the checker must find in a user's program: line -> error code.
_WRONG = """import bilateral_jax as bj
from bilateral_jax import losses, metrics
bj.no_such_function
losses.no_such_module
text: str = bj.slice_apply(1, 2, 3)
number: int = metrics.psnr(1, 2)
"""


def test_every_public_function_declares_its_result():
    functions = {
        name: function
        for name, function in api_test.everything().items()
        if name.removeprefix("bilateral_jax.").startswith(_TYPED) or name.count(".") == 1
    }
    missing = [
        name
        for name, function in functions.items()
        if inspect.signature(function).return_annotation is inspect.Signature.empty
    ]
    assert len(functions) > 90
    assert not missing, f"without it, mypy --strict refuses a call: {missing}"


def test_a_users_program_passes_mypy_strict(tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed")
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = true\nfollow_imports = silent\n")
    (tmp_path / "wrong.py").write_text(_WRONG)
    options = ["--config-file", tmp_path / "mypy.ini", "--cache-dir", tmp_path / "cache"]
    files = [assets.ROOT / "tests" / "typed_user.py", tmp_path / "wrong.py"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *map(str, options + files)],
        cwd=assets.ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert [line for line in errors if "wrong.py" not in line] == [], done.stdout
    found = [(int(line.split(":")[1]), line.rsplit("[")[-1].rstrip("]")) for line in errors]
    assert found == [
        (3, "attr-defined"),
        (4, "attr-defined"),
        (5, "assignment"),
        (6, "assignment"),
    ], done.stdout
