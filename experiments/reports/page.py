"""HTML elements of a report: one self-contained file that needs no network.

The page, its style sheet and its script are the files in `templates/`.
"""

import base64
import html
import pathlib
import string

_TEMPLATES = pathlib.Path(__file__).with_name("templates")


def page(title, lead, sections):
    """Builds a page.

    Args:
      title: text.
      lead: HTML below the title.
      sections: `{heading: HTML}`; a section without content is left out.

    Returns:
      HTML of the whole file.
    """
    body = "".join(
        f"<section><h2>{html.escape(heading)}</h2>{content}</section>\n"
        for heading, content in sections.items()
        if content
    )
    template = string.Template(_template("page.html"))
    return template.substitute(
        title=html.escape(title),
        lead=lead,
        body=body,
        style=_template("page.css"),
        script=_template("page.js"),
    )


def paragraph(words, *, kind="soft"):
    """Paragraph of text; `kind` is "soft" or "bad" (an error)."""
    return f'<p class="{kind}">{html.escape(words)}</p>'


def table(head, rows, *, numbers=()):
    """Table.

    Args:
      head: column titles.
      rows: lists of cells; a cell is text, or `(text, link)`.
      numbers: indices of the columns that hold numbers, aligned to the right.

    Returns:
      HTML.
    """

    def cell(tag, index, content):
        content, link = content if isinstance(content, tuple) else (content, None)
        content = html.escape(str(content))
        content = f'<a href="{html.escape(link)}">{content}</a>' if link else content
        return f'<{tag} class="n">{content}</{tag}>' if index in numbers else (
            f"<{tag}>{content}</{tag}>"
        )  # fmt: skip

    lines = [
        "<tr>" + "".join(cell(tag, *each) for each in enumerate(cells)) + "</tr>"
        for tag, cells in [("th", head), *(("td", row) for row in rows)]
    ]
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def share_bar(parts):
    """Stacked bar of fractions of a total, with a legend.

    Args:
      parts: `{name: seconds}`.

    Returns:
      HTML.
    """
    colours = ("var(--bad)", "var(--first)", "var(--third)", "var(--second)")
    total = sum(parts.values()) or 1.0
    bar, lines = "", ""
    for (name, seconds), colour in zip(parts.items(), colours):
        percent = 100 * seconds / total
        bar += f'<div style="width:{percent:.3f}%;background:{colour}"></div>'
        lines += (
            f'<tr><td><span class="key" style="background:{colour}"></span>{html.escape(name)}</td>'
            f'<td class="n">{seconds:.1f} s</td><td class="n">{percent:.1f} %</td></tr>'
        )
    return f'<div class="bar" role="presentation">{bar}</div><table>{lines}</table>'


def escape(words):
    """Escapes text for HTML."""
    return html.escape(words)


def details(summary, content):
    """Content that unfolds below a summary."""
    return f"<details><summary>{html.escape(summary)}</summary>{content}</details>"


def comparison_slider(name, size, jpegs):
    """Versions of one photo, overlaid, with a slider between two of them.

    Args:
      name: name of the photo.
      size: `(height, width)` in pixels.
      jpegs: `{"input": JPEG bytes, "output": ..., "target": ...}`, at least two of them, in this
        order.

    Returns:
      HTML.
    """
    members = list(jpegs)
    pairs = list(zip(members, members[1:]))
    pairs += [(members[0], members[-1])] if len(members) > 2 else []
    left, right = pairs[0]
    shown = "".join(
        f'<img data-is="{member}" src="{_data_url(jpeg)}" alt="{html.escape(f"{name}, {member}")}"'
        + (' class="left">' if member == left else ">" if member == right else " hidden>")
        for member, jpeg in jpegs.items()
    )
    group = html.escape(f"pair of {name}")
    radios = "".join(
        f'<label><input type="radio" name="{group}" value="{a} {b}"{" checked" * (not index)}> '
        f"{a} | {b}</label>"
        for index, (a, b) in enumerate(pairs)
    )
    small = " small" if max(size) < 200 else ""
    return (
        f'<figure data-compare><div class="stage{small}" style="--at:50%;aspect-ratio:{size[1]}/'
        f'{size[0]}">{shown}<b class="l">{left}</b><b class="r">{right}</b>'
        f'<input type="range" min="0" max="100" value="50" '
        f'aria-label="slider between {left} and {right}"></div>'
        f"<figcaption>{html.escape(name)}<br>{radios}</figcaption></figure>"
    )


def image_row(jpegs):
    """Row of images; `jpegs` is a list of `(caption, JPEG bytes)`."""
    cells = "".join(
        f'<figure><img src="{_data_url(jpeg)}" alt="{html.escape(caption)}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        for caption, jpeg in jpegs
    )
    return f'<div class="image-row">{cells}</div>' if cells else ""


def _data_url(jpeg):
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _template(name):
    return (_TEMPLATES / name).read_text(encoding="utf-8")
