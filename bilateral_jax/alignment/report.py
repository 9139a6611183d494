"""Pictures that let a person judge an alignment, and one page that holds them.

Receives photos and what was found about them from the `align` command.
Hands JPEG files and one HTML page back to it.
"""

from __future__ import annotations

import base64
import html
import string
from importlib import resources

import numpy as np

from bilateral_jax.alignment import geometry, patches

_TALL = 300  # of the photos beside each other
_SIDE = (480, 340)  # longest width and height of the crops
_PATCH = 100
_SHOWN = 48  # match lines
_BLUE, _ORANGE, _RED, _GREEN = (60, 120, 255), (255, 150, 0), (230, 60, 60), (70, 200, 90)


def matches(camera, phone, fit, *, box=None) -> np.ndarray:
    """Draws both photos beside each other with what was found in common.

    Args:
      camera: uint8 `[h, w, 3]`.
      phone: uint8 `[h, w, 3]`.
      fit: `align.Fit` of the two.
      box: what was cut out of the phone's photo, in its own pixels, or None.

    Returns:
      uint8 picture, phone left. Lines: a sample of the matches, green where the homography explains
      them, red where not. Blue: the outline of the camera's photo. Orange: the box.
    """
    import cv2

    left, left_scale = _shrunk(phone, tall=_TALL)
    right, right_scale = _shrunk(camera, tall=_TALL)
    gap = 12
    picture = np.full((_TALL, left.shape[1] + gap + right.shape[1], 3), 255, np.uint8)
    picture[: left.shape[0], : left.shape[1]] = left
    picture[: right.shape[0], left.shape[1] + gap :] = right
    offset = (left.shape[1] + gap, 0)
    for chosen, colour in ((~fit.inliers, _RED), (fit.inliers, _GREEN)):
        numbers = _sample(np.flatnonzero(chosen), _SHOWN if colour == _GREEN else _SHOWN // 4)
        here = (fit.matches.phone[numbers] + 0.5) * left_scale
        there = (fit.matches.camera[numbers] + 0.5) * right_scale + offset
        for start, end in zip(here, there):
            cv2.line(picture, _point(start), _point(end), colour, 1, cv2.LINE_AA)
    if fit.homography is not None and fit.reason is None:
        view = picture[:, : left.shape[1]]
        outline = geometry.corners(camera.shape[:2])
        _polygon(view, geometry.transform(fit.homography, outline), left_scale, _BLUE)
    if box is not None:
        top, left_edge, bottom, right_edge = box
        frame = geometry.corners((bottom - top, right_edge - left_edge)) + (left_edge, top)
        _polygon(picture[:, : left.shape[1]], frame, left_scale, _ORANGE)
        there = geometry.transform(np.linalg.inv(fit.homography), frame)
        _polygon(picture[:, offset[0] :], there, right_scale, _ORANGE)
    return picture


def crops(aligned) -> dict[str, np.ndarray]:
    """Makes small pictures of the aligned crops.

    Args:
      aligned: `align.Crops`.

    Returns:
      `{"phone", "camera", "checker": uint8 pictures of one size}`; the squares of the last come
      from either in turn.
    """
    phone, _ = _shrunk(aligned.phone, wide=_SIDE[0], tall=_SIDE[1])
    camera, _ = _shrunk(aligned.camera, wide=_SIDE[0], tall=_SIDE[1])
    rows, columns = np.indices(phone.shape[:2]) // max(16, max(phone.shape[:2]) // 8)
    odd = ((rows + columns) % 2).astype(bool)[..., None]
    return {"phone": phone, "camera": camera, "checker": np.where(odd, camera, phone)}


def strip(aligned, places, size: int, *, count: int = 9) -> np.ndarray | None:
    """Shows some pairs of patches, the phone's above the camera's.

    Args:
      aligned: `align.Crops`.
      places: `align_patches.Patch` of it.
      size: of a patch.
      count: how many pairs at most, a third of them ones that were not kept.

    Returns:
      uint8 picture, green frames around kept pairs and red around others, each with its
      correlation and shift; None if there are no places.
    """
    import cv2

    kept = _sample([p for p in places if p.kept], count - count // 3)
    lost = _sample([p for p in places if not p.kept], count - len(kept))
    cells = []
    for patch in [*kept, *lost]:
        cell = np.full((2 * _PATCH + 34, _PATCH + 8, 3), 255, np.uint8)
        colour = _GREEN if patch.kept else _RED
        cell[: 2 * _PATCH + 12, :] = colour
        for row, photo, shifted in ((0, aligned.phone, False), (1, aligned.camera, True)):
            tile = patches.cut(photo, patch, size, shifted=shifted)
            method = cv2.INTER_AREA if size > _PATCH else cv2.INTER_NEAREST
            tile = cv2.resize(tile, (_PATCH, _PATCH), interpolation=method)
            top = 4 + row * (_PATCH + 4)
            cell[top : top + _PATCH, 4 : 4 + _PATCH] = tile
        note = f"{patch.correlation:.2f} ({patch.right:+d}, {patch.down:+d})"
        spot = (4, 2 * _PATCH + 28)
        cv2.putText(cell, note, spot, cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1, cv2.LINE_AA)
        cells += [cell, np.full((cell.shape[0], 6, 3), 255, np.uint8)]
    return np.concatenate(cells[:-1], axis=1) if cells else None


def page(title: str, summary: str, photos) -> str:
    """Puts everything on one page that needs no other file.

    Args:
      title: of the page.
      summary: one paragraph.
      photos: sequence of `{"name", "status", "reason", "numbers": dict of what the table shows,
        "pictures": dict of JPEG bytes, empty for a row of the table alone}`.

    Returns:
      HTML.
    """
    columns = list(dict.fromkeys(key for photo in photos for key in photo["numbers"]))
    heads = "".join(f"<th>{html.escape(head)}</th>" for head in ("photo", *columns, "result"))
    rows = "\n".join(_row(photo, columns) for photo in photos)
    sections = "\n".join(_section(photo) for photo in photos if photo["pictures"])
    template = resources.files(__package__).joinpath("report.html").read_text(encoding="utf-8")
    return string.Template(template).substitute(
        title=html.escape(title),
        summary=html.escape(summary),
        heads=heads,
        rows=rows,
        sections=sections,
    )


def _row(photo, columns):
    name = html.escape(photo["name"])
    if photo["pictures"]:
        name = f'<a href="#{name}">{name}</a>'
    numbers = "".join(f"<td>{photo['numbers'].get(key, '')}</td>" for key in columns)
    return f"<tr><td>{name}</td>{numbers}<td{_class(photo)}>{_result(photo)}</td></tr>"


def _section(photo):
    name, pictures = html.escape(photo["name"]), photo["pictures"]
    parts = [f'<section id="{name}"><h2>{name}</h2>\n<p{_class(photo)}>{_result(photo)}</p>']
    if "matches" in pictures:
        caption = "phone and camera: matches, outline of the camera photo (blue), crop (orange)"
        parts.append(_figure(caption, _image(pictures["matches"])))
    if "checker" in pictures:
        parts.append(_figure("squares of both crops in turn", _image(pictures["checker"])))
        both = _image(pictures["phone"]) + _image(pictures["camera"])
        note = "phone and camera in turn (point at it to hold it)"
        parts.append(_figure(note, f'<div class="blink">{both}</div>'))
    if "patches" in pictures:
        note = "patches, phone above camera: correlation (shift right, down); red: not kept"
        parts.append(_figure(note, _image(pictures["patches"])))
    return "\n".join(parts) + "</section>"


def _class(photo):
    return "" if photo["status"] == "kept" else ' class="refused"'


def _result(photo):
    reason = photo["reason"]
    return html.escape(f"{photo['status']}: {reason}" if reason else photo["status"])


def _figure(caption, content):
    return f"<figure>{content}<figcaption>{html.escape(caption)}</figcaption></figure>"


def _image(content):
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(content).decode()}">'


def _sample(items, count):
    """At most `count` of the items, evenly spread."""
    if len(items) <= count:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, count).astype(int)]


def _shrunk(photo, *, tall, wide=None):
    """A smaller copy and its scale; small photos stay as they are."""
    import cv2

    height, width = photo.shape[:2]
    scale = min(1.0, tall / height, wide / width if wide else 1.0)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA), scale


def _polygon(view, points, scale, colour):
    import cv2

    # Corners may lie far outside; OpenCV draws with 16 bits.
    corners = np.clip((np.asarray(points) + 0.5) * scale, -8000, 8000)
    drawn = np.ascontiguousarray(view)
    line = np.rint(corners).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(drawn, [line], True, colour, 2, cv2.LINE_AA)
    view[:] = drawn


def _point(position):
    x, y = np.rint(position).astype(int)
    return int(x), int(y)
