"""Pieces of a page that is one file: no network, no second file, light and dark, keyboard.

Receives text, numbers and JPEG bytes from experiments/report.py.
Hands HTML back to it.
"""

import base64
import html

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2329; --soft: #5b6771; --line: #d5dbe0; --paper: #fff;
  --card: #f5f7f9; --first: #1769aa; --second: #c8501e; --third: #23835a; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaed; --soft: #9aa7b2; --line: #39434c;
  --paper: #14181c; --card: #1d2328; --first: #6cb4f0; --second: #ff9a66; --third: #6bd3a2;
  --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0; overflow-wrap: anywhere; } h2 { margin: 2.5rem 0 .8rem; }
.soft, figcaption { color: var(--soft); } .bad { color: var(--bad); font-weight: 600; }
.grid { display: grid; gap: 1.2rem; grid-template-columns: repeat(auto-fill, minmax(21rem, 1fr)); }
svg { width: 100%; height: auto; } svg text { font-family: inherit !important; }
.wide { overflow-x: auto; } .wide svg { max-width: 60rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .9rem .3rem 0; text-align: left; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: anywhere; } th { color: var(--soft); font-weight: 600; }
td.n, th.n { text-align: right; white-space: nowrap; }
pre { background: var(--card); padding: 1rem; overflow-x: auto; } a { color: var(--first); }
.bar { display: flex; height: 1.6rem; border-radius: 4px; overflow: hidden; max-width: 60rem; }
.key { display: inline-block; width: .8rem; height: .8rem; margin: 0 .5rem 0 0; }
figure { margin: 0; } .strip { display: flex; gap: .6rem; overflow-x: auto; }
.strip img { height: 9rem; display: block; }
.stage { position: relative; overflow: hidden; border-radius: 4px; line-height: 0; }
.stage:has(:focus-visible) { outline: 3px solid var(--first); outline-offset: 2px; }
.stage img { width: 100%; height: 100%; position: absolute; inset: 0; }
.small img { image-rendering: pixelated; }
.stage .left { z-index: 1; clip-path: inset(0 calc(100% - var(--at)) 0 0); }
.stage::after { content: ""; position: absolute; z-index: 2; top: 0; bottom: 0; left: var(--at);
  width: 2px; margin-left: -1px; background: #fff; box-shadow: 0 0 3px #000; }
.stage input { position: absolute; inset: 0; z-index: 3; width: 100%; height: 100%; margin: 0;
  opacity: 0; cursor: ew-resize; }
.stage b { position: absolute; z-index: 2; top: .5rem; padding: .1rem .5rem; border-radius: 3px;
  background: #000a; color: #fff; font-size: .8rem; line-height: 1.4; font-weight: 400; }
.stage .l { left: .5rem; } .stage .r { right: .5rem; }
figcaption label { margin-right: .9rem; white-space: nowrap; } [hidden] { display: none; }
"""
_SCRIPT = """
for (const figure of document.querySelectorAll("figure[data-compare]")) {
  const stage = figure.querySelector(".stage"), range = stage.querySelector("input");
  const words = [stage.querySelector(".l"), stage.querySelector(".r")];
  range.addEventListener("input", () => stage.style.setProperty("--at", range.value + "%"));
  const choose = (left, right) => {
    for (const image of stage.querySelectorAll("img")) {
      image.hidden = image.dataset.is !== left && image.dataset.is !== right;
      image.className = image.dataset.is === left ? "left" : "";
    }
    words[0].textContent = left; words[1].textContent = right;
    range.setAttribute("aria-label", "share of " + left + " against " + right);
  };
  for (const radio of figure.querySelectorAll("[type=radio]"))
    radio.addEventListener("change", () => choose(...radio.value.split(" ")));
}
"""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


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
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{html.escape(title)}</h1>\n{lead}\n{body}<script>{_SCRIPT}</script>\n</body>\n</html>\n"
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
