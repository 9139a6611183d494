"""Pieces of a page that is one file: no network, no second file, light and dark, keyboard.

Receives text, numbers and JPEG bytes from experiments/report.py.
Hands HTML back to it.
"""

import base64
import html
import pathlib
import string

_TEMPLATES = pathlib.Path(__file__).with_name("templates")


def page(title, lead, sections):
    """Puts a page together.

    Args:
      title: text.
      lead: HTML below the title.
      sections: `{heading: HTML}`; an empty one is left out.

    Returns:
      The file's text.
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


def text(words, *, kind="soft"):
    """A paragraph; `kind` is "soft" or "bad"."""
    return f'<p class="{kind}">{html.escape(words)}</p>'


def table(head, rows, *, numbers=()):
    """A table.

    Args:
      head: names of the columns.
      rows: lists of cells; a cell is text, or `(text, link)`.
      numbers: indices of the columns that hold numbers.

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


def shares(parts):
    """A bar of shares with its key.

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


def escaped(words):
    """Text as HTML shows it."""
    return html.escape(words)


def details(summary, content):
    """Something that unfolds."""
    return f"<details><summary>{html.escape(summary)}</summary>{content}</details>"


def compare(name, size, pictures):
    """A photo whose versions lie over each other behind a slider.

    Args:
      name: of the photo.
      size: `(height, width)`.
      pictures: `{"input": JPEG bytes, "output": ..., "target": ...}`, at least two of them, in
        this order.

    Returns:
      HTML.
    """
    members = list(pictures)
    pairs = list(zip(members, members[1:]))
    pairs += [(members[0], members[-1])] if len(members) > 2 else []
    left, right = pairs[0]
    shown = "".join(
        f'<img data-is="{member}" src="{_address(jpeg)}" alt="{html.escape(f"{name}, {member}")}"'
        + (' class="left">' if member == left else ">" if member == right else " hidden>")
        for member, jpeg in pictures.items()
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
        f'aria-label="share of {left} against {right}"></div>'
        f"<figcaption>{html.escape(name)}<br>{radios}</figcaption></figure>"
    )


def strip(pictures):
    """Pictures in a row; `pictures` is a list of `(caption, JPEG bytes)`."""
    cells = "".join(
        f'<figure><img src="{_address(jpeg)}" alt="{html.escape(caption)}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        for caption, jpeg in pictures
    )
    return f'<div class="strip">{cells}</div>' if cells else ""


def _address(jpeg):
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _template(name):
    return (_TEMPLATES / name).read_text(encoding="utf-8")
