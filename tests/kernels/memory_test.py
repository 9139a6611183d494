"""Memory accesses of the GPU kernels: each inside its array, each number written once.

Pallas' interpreter clamps an index that leaves its array, and would let a second program write over
the first. Here each program of a kernel runs by itself, in NumPy, on arrays that refuse both; so
there is also nothing that depends on the order of programs. NumPy warns of integers that overflow.
"""

import contextlib
import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bilateral_jax import lattice as lattice_lib
from bilateral_jax.kernels import gpu, pallas
from bilateral_jax.kernels.gpu import guided, slicing, splatting, tuning
from bilateral_jax.ops import guides, reference
from tests import cases

pytestmark = pytest.mark.filterwarnings("ignore:The Pallas Triton backend:DeprecationWarning")


class Memory:
    """An array of a device as a kernel sees it: `m[i]`, and `m.at[i]` for loads and stores."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.writes = np.zeros(self.shape, np.int32)

    @property
    def at(self):
        return At(self)

    def __getitem__(self, index):
        return load(self.at[index])

    def inside(self, index, mask=True):
        """The index as arrays of one shape, all of it inside."""
        index = np.broadcast_arrays(*(index if isinstance(index, tuple) else (index,)))
        assert len(index) == len(self.shape), (len(index), self.shape)
        for numbers, size in zip(index, self.shape):
            used = numbers[np.broadcast_to(mask, numbers.shape)]
            assert ((used >= 0) & (used < size)).all(), (used.min(), used.max(), size)
        return tuple(index)


@dataclasses.dataclass(frozen=True)
class At:
    """An index into a memory; without one, all of it."""

    memory: Memory
    index: tuple | None = None

    def __getitem__(self, index):
        return At(self.memory, index)


def load(at):
    return at.memory.array[at.memory.inside(at.index)]


def store(at, value, mask=True):
    index = at.memory.inside(at.index, mask)
    mask = np.broadcast_to(mask, index[0].shape)
    index = tuple(numbers[mask] for numbers in index)
    at.memory.array[index] = np.asarray(value)[mask]
    np.add.at(at.memory.writes, index, 1)


def loop(first, stop, body, carry):
    for index in range(first, stop):
        carry = body(np.int32(index), carry)
    return carry


# What `lattice.select_larger` and `Lattice.plane_positions` take from `jax.lax`.
NUMPY = {"full_like": np.full_like, "lt": np.less, "gt": np.greater, "select": np.where}


@contextlib.contextmanager
def one_program_at_a_time(monkeypatch):
    """Runs kernels program by program in NumPy; yields the names of those that ran."""
    program, names = [], []

    def call(kernel, *, out_shape, grid, compiler_params, name):
        del compiler_params

        def all_programs(*operands):
            memories = [Memory(np.array(operand)) for operand in operands]
            out = Memory(np.full(out_shape.shape, np.nan, out_shape.dtype))
            with monkeypatch.context() as patches:
                for module in (slicing, splatting, guided, lattice_lib):
                    patches.setattr(module, "jnp", np)
                patches.setattr(jax.lax, "fori_loop", loop)
                for primitive, function in NUMPY.items():
                    patches.setattr(jax.lax, primitive, function)
                patches.setattr(jax.lax, "div", lambda a, b: a // np.int32(b))
                patches.setattr(jax.lax, "rem", lambda a, b: a % np.int32(b))
                for program[:] in np.ndindex(*grid):
                    kernel(*memories, out)
            assert (out.writes == 1).all()
            assert not any(memory.writes.any() for memory in memories)
            names.append(name)
            return out.array

        # So that what surrounds the kernel is compiled as one program, as it is for a device.
        return functools.partial(jax.pure_callback, all_programs, out_shape)

    monkeypatch.setattr(pallas.core, "pallas_call", call)
    monkeypatch.setattr(pallas.core, "program_id", lambda axis: np.int32(program[axis]))
    monkeypatch.setattr(pallas.triton, "load", load)
    monkeypatch.setattr(pallas.triton, "store", store)
    with pallas.interpreted():
        yield names


# More than one segment, the last one shorter; several row tiles; a group of outputs that is not
# full. Of 41 pixels, number 20 lies on the centre of cell 1, and in float32 at 0.9999999.
CASE = cases.Case("small", (2, 3, 3), (3, 41), n_out=2, n_in=1)
MANY = dataclasses.replace(CASE, size=(2, 35), n_out=6)
SMALL_IMAGE = dataclasses.replace(CASE, grid_shape=(4, 7, 2), size=(2, 5))
CROP = dataclasses.replace(CASE, size=(2, 18))
TRACED = jnp.asarray([[0, 0, 2, 18], [5, 70, 9, 120]], jnp.int32)  # of CROP


def problem(case, batch=1, window=None):
    grid, guide, image, values = map(jnp.asarray, case.arrays(batch=(batch,)))
    options = {"lattice": lattice_lib.Lattice(case.grid_shape, case.size, case.size)}
    return {"grid": grid, "values": values}, [guide, image, window], options


def compiled(function, arrays, options):
    quickly = {"xla_backend_optimization_level": 0}
    return jax.jit(functools.partial(function, **options), compiler_options=quickly)(*arrays)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize(
    ("case", "window"),
    [(CASE, None), (MANY, None), (SMALL_IMAGE, None), (CROP, TRACED)],
    ids=["segments", "outputs", "small_image", "windows"],
)
def test_accesses_are_inside_and_writes_are_single(case, window, order, monkeypatch):
    few = dataclasses.replace(tuning.TABLE[0], splat_rows=(2,), splat_sums=8, slice_columns=(16,))
    monkeypatch.setattr(tuning, "TABLE", (few,))
    first, rest, options = problem(case, 1 if window is None else 2, window)
    options |= {"order": order, "dtype": jnp.float32}
    calls = {
        "slice_apply": ((first["grid"], *rest), options),
        "splat_apply": ((first["values"], *rest), options | {"offset": True}),
    }
    for operation, (arrays, keywords) in calls.items():
        expected = compiled(getattr(reference, operation), arrays, keywords)
        with monkeypatch.context() as patches, one_program_at_a_time(patches) as names:
            actual = compiled(getattr(gpu, operation), arrays, keywords)
        assert names == [f"bilateral_{operation}_gpu_order{order}"]
        np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("case", [CASE, MANY], ids=["segments", "outputs"])
def test_accesses_of_the_guides_cotangent_are_inside(case, monkeypatch):
    first, rest, options = problem(case)
    arrays = first["values"], first["grid"], *rest
    options |= {"dtype": jnp.float32}
    expected = compiled(reference.guide_vjp, arrays, options)
    with one_program_at_a_time(monkeypatch) as names:
        actual = compiled(gpu.guide_vjp, arrays, options)
    assert names == ["bilateral_guide_vjp_gpu"]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize("guide", guides.PARAMETERS)
def test_accesses_of_the_fused_path_are_inside(guide, monkeypatch):
    case = dataclasses.replace(CASE, n_out=3, n_in=3)
    first, (_, image, _), options = problem(case)
    rng = np.random.default_rng(5)
    parameters = {
        name: jnp.asarray(rng.normal(size=[2 if axis == "k" else axis for axis in axes]), "float32")
        for name, axes in guides.PARAMETERS[guide].items()
    }
    options |= {"dtype": jnp.float32}

    def two_steps(grid, image, parameters):
        plane = guides.FUNCTIONS[guide](image, **parameters)
        return reference.slice_apply(grid, plane, image, order=0, **options)

    arrays = first["grid"], image, parameters
    expected = compiled(two_steps, arrays, {})
    with one_program_at_a_time(monkeypatch) as names:
        actual = compiled(gpu.guided_slice_apply, arrays, options | {"guide": guide})
    assert names == [f"bilateral_guided_slice_apply_gpu_{guide}"]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=5e-5)


def test_an_access_outside_and_a_second_write_are_found():
    memory = Memory(np.zeros(4, np.float32))
    with pytest.raises(AssertionError):
        memory[np.int32(4)]
    with pytest.raises(AssertionError):
        load(memory.at[np.arange(-1, 2)])
    store(memory.at[np.arange(2, 6)], np.ones(4), mask=np.arange(4) < 2)
    store(memory.at[np.arange(2)], np.ones(2))
    assert memory.writes.tolist() == [1, 1, 1, 1]
    store(memory.at[np.int32(3)], np.float32(1))
    assert memory.writes.max() == 2
