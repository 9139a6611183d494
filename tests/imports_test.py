"""Who may import whom, held against the code, and `BUILD` states the same.

The arrows below are the plan. A layer that does not exist yet is not asked for; one that exists
has a target in `BUILD`, whose deps are the layers that its files import.
"""

import ast
import pathlib
import subprocess
import sys
import tokenize

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = "bilateral_jax"

# What everything below it may import.
_BASE = {"color", "pixels", "resize", "atomic", "regular_files", "submodules", "tree_paths"}
# layer -> the layers it may import: a layer is a folder or a file directly inside the package, or
# a folder beside it. None: everything (composition happens there and nowhere else).
ARROWS = {
    "lattice": set(),
    "color": set(),
    "pixels": set(),
    "resize": {"pixels"},
    "atomic": {"regular_files"},
    "regular_files": set(),
    "tree_paths": set(),
    "submodules": set(),
    "kernels": _BASE | {"lattice"},
    "ops": _BASE | {"lattice", "kernels"},
    "filters": _BASE | {"ops", "lattice"},
    "losses": _BASE | {"ops"},
    "metrics": _BASE | {"ops"},
    "models": _BASE | {"ops", "lattice"},
    "images": {"color", "pixels", "atomic", "regular_files", "submodules"},
    "video": _BASE | {"images"},
    "data": _BASE | {"images", "video", "filters"},
    "alignment": _BASE | {"images", "video", "filters"},
    "training": _BASE,
    "checkpoints": _BASE | {"models"},
    "importers": _BASE | {"images", "models", "checkpoints"},
    "weights": _BASE,
    "inference": _BASE | {"ops", "filters", "models"},
    "export": _BASE | {"inference", "models"},
    PACKAGE: {"ops", "filters", "submodules"},  # the contents page
    "cli": None,
    "__main__": None,
    "experiments": None,
    "configs": set(),
}

# Packages that cost seconds, or that a user of the ops lacks: imported where they are needed.
HEAVY = {
    "PIL",
    "array_record",
    "cv2",
    "grain",
    "h5py",
    "imageio",
    "matplotlib",
    "orbax",
    "rawpy",
    "skimage",
    "sklearn",
    "tensorboardX",
    "tensorflow",
    "tensorflow_datasets",
    "tifffile",
    "tqdm",
}

# Third-party package -> the layers that may name it.
RESERVED = {
    "orbax": {"checkpoints"},
    "ml_collections": {"configs", "experiments"},
    "tensorflow": set(),
    "clu": set(),
    "torch": set(),
}


def python_files():
    """Every file that belongs to a layer."""
    folders = [ROOT / name for name in (PACKAGE, "experiments", "configs")]
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def package_files():
    return [path for path in python_files() if PACKAGE in path.relative_to(ROOT).parts]


def relative(path):
    return path.relative_to(ROOT).as_posix()


def layer_of_module(name):
    """`bilateral_jax.ops.bilateral` -> `ops`; None for modules of other packages."""
    parts = name.split(".")
    if parts[0] != PACKAGE:
        return parts[0] if parts[0] in ("experiments", "configs") else None
    if len(parts) == 1 or parts[1] == "__init__":
        return PACKAGE
    return parts[1]


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name):
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def imports_of(path):
    """(line, module, name or None) of every import statement in a file, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, None
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)}:{node.lineno}: write the import absolutely"
            for alias in node.names:
                yield node.lineno, node.module, alias.name
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module"
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.lineno, node.args[0].value, None


def layers_used(path):
    """(line, layer, what was imported) for every import of a layer."""
    for line, module, name in imports_of(path):
        full = f"{module}.{name}" if name and is_module(f"{module}.{name}") else module
        layer = layer_of_module(full)
        if layer:
            yield line, layer, f"{module}.{name}" if name else module


def build_targets():
    """name -> (set of files, set of deps) of every py_library in BUILD."""
    targets = {}
    for node in ast.parse((ROOT / "BUILD").read_text()).body:
        call = node.value
        if call.func.id != "py_library":
            continue
        fields = {keyword.arg: keyword.value for keyword in call.keywords}
        name = ast.literal_eval(fields["name"])
        sources = fields["srcs"]
        if isinstance(sources, ast.Call):
            assert sources.func.id == "glob"
            patterns = ast.literal_eval(sources.args[0])
            files = {p for pattern in patterns for p in ROOT.glob(pattern)}
        else:
            files = {ROOT / source for source in ast.literal_eval(sources)}
        deps = {dep.removeprefix(":") for dep in ast.literal_eval(fields["deps"])}
        assert name not in targets, f"BUILD states {name} twice"
        targets[name] = (files, deps)
    return targets


def existing_layers():
    return {layer_of_module(module_of(path)) for path in python_files()}


def no_faults(faults):
    assert not faults, "\n" + "\n".join(faults)


def test_every_layer_is_in_the_plan():
    unknown = existing_layers() - set(ARROWS)
    assert not unknown, (
        f"layers without arrows: {sorted(unknown)}; add them to ARROWS here and to BUILD, "
        "or move the files into a layer that exists"
    )


def test_arrows():
    faults = []
    for path in python_files():
        layer = layer_of_module(module_of(path))
        allowed = ARROWS.get(layer, set())
        if allowed is None:
            continue
        faults += [
            f"{relative(path)}:{line} imports {what}: {layer} may import "
            f"{sorted(allowed) or 'no layer'}, not {used}"
            for line, used, what in layers_used(path)
            if used != layer and used not in allowed
        ]
    no_faults(faults)


def test_build_states_the_arrows():
    targets, existing = build_targets(), existing_layers()
    assert set(targets) == existing, (
        f"BUILD lacks {sorted(existing - set(targets))} "
        f"and has too many {sorted(set(targets) - existing)}"
    )
    for name, (files, deps) in targets.items():
        used = {layer for path in files for _, layer, _ in layers_used(path)} - {name}
        assert deps == used, f"BUILD: {name} must have deps {sorted(used)}: {sorted(deps)}"


def test_build_holds_every_file_once():
    targets = build_targets()
    for name, (files, _) in targets.items():
        missing = sorted(relative(path) for path in files if not path.is_file())
        assert not missing, f"BUILD: {name} names files that do not exist: {missing}"
    for path in python_files():
        layer = layer_of_module(module_of(path))
        owners = [name for name, (files, _) in targets.items() if path in files]
        assert owners == [layer], f"BUILD: {relative(path)} is in {owners}, belongs in {layer}"


def test_modules_are_imported_not_names():
    faults = []
    for path in package_files():
        if path.name == "__init__.py":
            continue  # a contents page binds names: that is its purpose
        faults += [
            f"{relative(path)}:{line} imports the name {name} from {module}; import the module "
            f"and write {module.split('.')[-1]}.{name}"
            for line, module, name in imports_of(path)
            if name and layer_of_module(module) and not is_module(f"{module}.{name}")
        ]
    no_faults(faults)


def test_third_party_packages_stay_in_their_layer():
    faults = []
    for path in python_files():
        layer = layer_of_module(module_of(path))
        for line, module, _ in imports_of(path):
            top, where = module.split(".")[0], f"{relative(path)}:{line}"
            if layer not in RESERVED.get(top, {layer}):
                owners = sorted(RESERVED[top]) or "no layer"
                faults.append(f"{where} imports {top}, which {owners} may")
            if layer == "configs" and top not in {
                "ml_collections",
                "configs",
                *sys.stdlib_module_names,
            }:
                faults.append(f"{where}: a config is data; it may not import {module}")
            if layer == "images" and top == "jax":
                faults.append(f"{where}: images holds no JAX arrays")
    no_faults(faults)


def test_heavy_packages_are_imported_where_they_are_needed():
    faults = []
    for path in package_files():
        for node in ast.parse(path.read_text()).body:
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module]
            faults += [
                f"{relative(path)}:{node.lineno} imports {name} at the top: "
                "move it into the function that needs it"
                for name in names
                if name.split(".")[0] in HEAVY
            ]
    no_faults(faults)


def test_the_library_reads_no_flags_and_no_environment():
    faults = []
    for path in package_files():
        faults += [
            f"{relative(path)}:{line} imports absl: the library reads no flags"
            for line, module, _ in imports_of(path)
            if module.split(".")[0] == "absl"
            # declares the flags of Grain parsed
            and relative(path) != f"{PACKAGE}/data/pipeline/loader.py"
        ]
        if layer_of_module(module_of(path)) in ("cli", "__main__"):
            continue
        faults += [
            f"{relative(path)}:{node.lineno} uses os.{node.attr}: the library reads no environment"
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute)
            and getattr(node.value, "id", "") == "os"
            and node.attr in ("environ", "getenv", "putenv")
        ]
    no_faults(faults)


def test_only_parallel_uses_pmap():
    users = set()
    for path in python_files():
        with tokenize.open(path) as stream:
            tokens = tokenize.generate_tokens(stream.readline)
            if any(token.type == tokenize.NAME and token.string == "pmap" for token in tokens):
                users.add(relative(path))
    assert users <= {f"{PACKAGE}/training/parallel.py"}, f"these use pmap too: {sorted(users)}"


def test_at_most_one_module_imports_pallas():
    importers = {
        relative(path)
        for path in python_files()
        for _, module, name in imports_of(path)
        if f"{module}.{name}".startswith("jax.experimental.pallas")
    }
    assert len(importers) <= 1, (
        f"Pallas changes its names often: one module imports it, not {importers}"
    )


def test_names_that_say_nothing():
    folders = (PACKAGE, "experiments", "configs", "benchmarks", "tests", "tools", "docs")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    bad = [p for p in paths if p.stem in ("utils", "helpers", "common", "misc", "_src")]
    assert not bad, f"name these after what they hold: {[relative(path) for path in bad]}"


def test_import_loads_nothing_heavy():
    code = (
        f"import sys, {PACKAGE}; heavy = {sorted(HEAVY)!r}; "
        "print(','.join(m for m in heavy if m in sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        check=True,
    )
    assert result.stdout.strip() == "", f"import {PACKAGE} loads {result.stdout.strip()}"
