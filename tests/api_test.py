"""The public signatures and docstrings keep to the conventions, one loop over all of them.

The front page is what `bilateral_jax` binds; then come the public functions of its modules. The
rest is internal: implementations trust their input and speak to the code beside them.
"""

import ast
import builtins
import importlib
import inspect
import pkgutil
import re
import textwrap

import pytest

import bilateral_jax as bj

# Modules that no user calls: what stands behind the contracts of `ops`, and blocks of networks.
INTERNAL = (
    "bilateral_jax.__main__",
    "bilateral_jax.cli",
    "bilateral_jax.images.exif",
    "bilateral_jax.images.headers",
    "bilateral_jax.kernels",
    "bilateral_jax.models.layers.guides",
    "bilateral_jax.models.layers.convolutions",
    "bilateral_jax.models.layers.corner_aligned",
    "bilateral_jax.ops",
)

# What may be given by position, in this order. Everything else on the front page is keyword-only.
ARRAYS = ("key", "grid", "guide", "image")

# name -> (positional arguments, reason) where a function of the front page works on something else.
OTHER_ARRAYS = {
    "apply": (("coefficients", "image"), "its coefficients are per pixel, no grid"),
    "splat": (("values", "guide", "grid_shape"), "the transpose of slice: values in, a grid out"),
    "blur": (("grid", "sigma"), "a blur without its width means nothing"),
    "sample": (("grid", "coordinates"), "positions instead of a guide"),
    "identity_grid": (("shape",), "a grid comes out, none goes in"),
    "identity_table": (("nodes",), "a table comes out, none goes in"),
    "table_lookup": (("table", "image"), "a table of colours instead of a grid"),
    "grid_from_channels_first": (("stored",), "a grid in another layout comes in"),
    "fit_grid": (("image", "target"), "a grid comes out that leads from one to the other"),
    "bilateral_filter": (("image", "guide"), "a filter of images: the grid is inside it"),
}

# function -> reason why an option of it may be given by position.
POSITIONAL_OPTIONS = {
    "bilateral_jax.checkpoints.trees.restore": "a restore is about a step and a target",
    "bilateral_jax.checkpoints.networks.load": "path and step, as restore",
    "bilateral_jax.checkpoints.networks.load_model": "path and step, as restore",
    "bilateral_jax.training.summary_writer.read": "it reads as a sentence: read(workdir, 'eval')",
    "bilateral_jax.models.registry.create": "a name and its hyper-parameters are one description",
    "bilateral_jax.training.parallel.gather": "as jax.lax.all_gather",
    "bilateral_jax.training.parallel.mean": "as jax.lax.pmean",
    "bilateral_jax.training.parallel.own_part": "as jax.lax.axis_index",
    "bilateral_jax.training.parallel.per_example_draw": "as jax.lax.axis_index",
    "bilateral_jax.training.parallel.step_key": "as jax.lax.axis_index",
    "bilateral_jax.training.parallel.total": "as jax.lax.psum",
}

RANDOMNESS = {"rng", "rngs", "prng", "prng_key", "rng_key", "random_key"}


def front_page():
    return {name: getattr(bj, name) for name in (*bj.__all__, "slice")}


def module_functions():
    """Full name -> function, for every public function in a public module."""
    found = {}
    for info in pkgutil.walk_packages(bj.__path__, "bilateral_jax."):
        if any(info.name == name or info.name.startswith(name + ".") for name in INTERNAL):
            continue
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            here = inspect.isfunction(value) and value.__module__ == info.name
            if here and not name.startswith("_"):
                found[f"{info.name}.{name}"] = value
    return found


def everything():
    return {f"bilateral_jax.{name}": f for name, f in front_page().items()} | module_functions()


def positional(function):
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p for p in inspect.signature(function).parameters.values() if p.kind in kinds]


def sections(function):
    """Title -> text of the sections of a docstring."""
    parts = re.split(r"^([A-Z][a-z]+):\s*$", inspect.getdoc(function) or "", flags=re.MULTILINE)
    return {"": parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))


def documented(text):
    """The argument names that an Args section explains."""
    lines = textwrap.dedent(text.strip("\n")).splitlines()
    heads = [line.split(":")[0] for line in lines if re.match(r"\*{0,2}\w[\w, *()]*:", line)]
    return {name.strip(" *") for head in heads for name in re.sub(r"\(.*\)", "", head).split(",")}


def raises_itself(function):
    """Whether the body has a `raise ValueError` or `raise TypeError` of its own."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    raised = [n.exc for n in ast.walk(tree) if isinstance(n, ast.Raise) and n.exc is not None]
    names = {getattr(getattr(e, "func", e), "id", "") for e in raised}
    return bool(names & {"ValueError", "TypeError"})


def no_faults(faults):
    assert not faults, "\n" + "\n".join(faults)


def test_the_name_slice():
    assert bj.slice is bj.bilateral_slice
    assert "slice" not in bj.__all__, "a star import would shadow the builtin"
    namespace = {}
    exec("from bilateral_jax import *", namespace)
    assert not set(namespace) & set(dir(builtins)) - {"__builtins__", "__doc__", "__name__"}


def test_all_is_sorted_bound_and_complete():
    assert list(bj.__all__) == sorted(set(bj.__all__))
    bound = {n for n, v in vars(bj).items() if inspect.isfunction(v) and not n.startswith("_")}
    assert bound == {*bj.__all__, "slice"}


def packages():
    return [
        importlib.import_module(info.name)
        for info in pkgutil.walk_packages(bj.__path__, "bilateral_jax.")
        if info.ispkg and not info.name.startswith(INTERNAL)
    ]


@pytest.mark.parametrize("package", [bj, *packages()], ids=lambda package: package.__name__)
def test_dir_shows_what_is_public(package):
    names = dir(package)
    public = {*package.__all__, "slice", "__version__"} if package is bj else {*package.__all__}
    assert names == sorted(set(names)) and public <= set(names)
    extra = set(names) - public
    assert not extra or package is bj
    for name in names:
        assert getattr(package, name) is not None
    bound = [n for n, v in vars(package).items() if n[0] != "_" and not inspect.ismodule(v)]
    assert set(bound) <= set(names), "a name that a package binds is in its __all__"
    assert not hasattr(package, "no_such_name")


def test_the_front_page_imports_its_modules_when_they_are_used():
    assert bj.inference.enhance is importlib.import_module("bilateral_jax.inference").enhance
    assert {"losses", "metrics", "models", "images", "data", "filters"} < set(dir(bj))


@pytest.mark.parametrize("name", sorted(front_page()))
def test_front_page_arguments(name):
    names = tuple(p.name for p in positional(front_page()[name]))
    if name in OTHER_ARRAYS:
        expected, reason = OTHER_ARRAYS[name]
        assert names == expected, f"bj.{name} takes {expected} by position ({reason}), has {names}"
        return
    expected = tuple(argument for argument in ARRAYS if argument in names)
    assert names == expected, (
        f"bj.{name}: by position only {ARRAYS}, in this order, the rest after *; it takes {names}"
    )


@pytest.mark.parametrize("name", sorted(front_page()))
def test_front_page_docstrings(name):
    function = front_page()[name]
    have = sections(function)
    missing = [title for title in ("Args", "Returns", "Raises") if title not in have]
    assert not missing, f"bj.{name}: its docstring lacks {missing}"
    parameters = set(inspect.signature(function).parameters)
    explained = documented(have["Args"])
    assert explained == parameters, (
        f"bj.{name}: Args lacks {sorted(parameters - explained)}, "
        f"has too many {sorted(explained - parameters)}"
    )


def test_options_are_keyword_only():
    no_faults(
        [
            f"{name}: {p.name}={p.default!r} is an option and belongs after *"
            for name, function in everything().items()
            for p in positional(function)
            if p.default is not p.empty and name not in POSITIONAL_OPTIONS
        ]
    )


def test_arrays_come_in_order_and_the_key_first():
    faults = []
    for name, function in everything().items():
        names = [p.name for p in positional(function)]
        arrays = [n for n in names if n in ARRAYS]
        if name.split(".")[-1] not in OTHER_ARRAYS and arrays != [n for n in ARRAYS if n in names]:
            faults.append(f"{name} takes {names}: the order is {ARRAYS}")
        parameters = list(inspect.signature(function).parameters.values())
        for parameter in parameters:
            # NumPy's generator in the data layer is another thing and carries its type.
            numpy_generator = "Generator" in str(parameter.annotation)
            if parameter.name in RANDOMNESS and not numpy_generator:
                faults.append(f"{name}: call {parameter.name} `key` and put it first")
        if "key" in [p.name for p in parameters] and parameters[0].name != "key":
            faults.append(f"{name}: `key` comes first")
    no_faults(faults)


def test_docstrings_of_the_modules():
    faults = []
    for name, function in module_functions().items():
        have, parameters = sections(function), inspect.signature(function).parameters
        if not have[""].strip():
            faults.append(f"{name} has no docstring")
            continue
        if "Args" in have:
            missing = set(parameters) - documented(have["Args"])
            if missing:
                faults.append(f"{name}: Args does not explain {sorted(missing)}")
        elif len(parameters) > 1:
            faults.append(f"{name}: its docstring lacks Args for {list(parameters)}")
        if raises_itself(function) and "Raises" not in have:
            faults.append(f"{name} raises ValueError or TypeError: its docstring lacks Raises")
    no_faults(faults)


def test_exceptions_are_needed():
    names = everything()
    stale = [name for name in POSITIONAL_OPTIONS if name not in names]
    stale += [name for name in OTHER_ARRAYS if f"bilateral_jax.{name}" not in names]
    assert not stale, f"these exceptions are for functions that are gone: {stale}"
