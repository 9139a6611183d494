"""Renders results: the tables of README and docs/benchmarks.md, and the figure.

    python -m benchmarks.report

reads `results/<device>/*.json`, puts the tables between the two markers of each page and draws
docs/figures/benchmarks.svg. README has the main comparisons, docs/benchmarks.md the rest.
"""

import pathlib

from benchmarks import figure, records, sections

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- benchmarks:begin -->", "<!-- benchmarks:end -->"
PAGES = {
    "README.md": {
        "slice_apply": sections.slice_apply_section,
        "splat": sections.splat_section,
        "shapes": sections.shapes_section,
        "enhance": sections.enhance_section,
        "train_step": sections.train_step_section,
    },
    "docs/benchmarks.md": {
        "shapes": sections.every_shape_section,
        "table_lookup": sections.table_lookup_section,
        "batches": sections.batches_section,
        "pages": sections.pages_section,
        "sizes": sections.sizes_section,
        "train_step": sections.feeding_section,
    },
}


def main():
    for name in PAGES:
        page, text = ROOT / name, markdown(records.RESULTS, name)
        old = page.read_text(encoding="utf-8")
        page.write_text(between_markers(old, text), encoding="utf-8")
        print(f"{text}\nwritten to {name}\n")
    for path in figure.draw(records.RESULTS, ROOT / "docs" / "figures"):
        print(f"drawn: {path.relative_to(ROOT)}")


def between_markers(document, text):
    """The document with `text` between its markers."""
    before, rest = document.split(BEGIN)
    return before + BEGIN + "\n" + text + END + rest.split(END)[1]


def markdown(results, page):
    """The tables of a page of `PAGES`, of every device in the folder `results`."""
    parts = []
    for folder in sorted(path for path in results.iterdir() if path.is_dir()):
        for question, render in PAGES[page].items():
            found = records.read(question, folder)
            if found:
                parts.append(render(found))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
