"""Runs a notebook's script and writes the notebook beside it, with its figures.

`.venv/bin/python -m tools.run_notebook notebooks/NAME.py`. The script is what is
edited. A test runs the same function and compares both.
"""

import os
import pathlib
import sys

import jupytext
import nbclient
import nbformat

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIMEOUT_SECONDS = 300


def execute(script):
    """The notebook that a percent script stands for, executed in a fresh kernel on the CPU."""
    notebook = jupytext.read(script)
    client = nbclient.NotebookClient(
        notebook,
        timeout=TIMEOUT_SECONDS,
        kernel_name="python3",
        # Photographs: a third of the size of PNG.
        extra_arguments=["--InlineBackend.figure_formats=jpeg"],
        resources={"metadata": {"path": str(ROOT)}},
        # Times and process numbers would make every run a new file.
        record_timing=False,
    )
    inline = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "JAX_PLATFORMS": "cpu"}
    client.execute(env=os.environ | inline)
    # Likewise the version of the Python that ran it, and random names of cells.
    notebook.metadata.pop("language_info", None)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    return notebook


def main():
    for name in sys.argv[1:]:
        script = pathlib.Path(name)
        nbformat.write(execute(script), script.with_suffix(".ipynb"))


if __name__ == "__main__":
    main()
