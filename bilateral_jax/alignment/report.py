"""Images that show an alignment, and one HTML page with all of them."""

from __future__ import annotations

import base64
import html
import string
from importlib import resources

import numpy as np

from bilateral_jax.alignment import geometry, patches

_PHOTO_HEIGHT = 300
_CROP_WIDTH, _CROP_HEIGHT = 480, 340  # at most
_PATCH = 100  # side
_LINES = 48  # of matches
_BLUE, _ORANGE, _RED, _GREEN = (60, 120, 255), (255, 150, 0), (230, 60, 60), (70, 200, 90)


def matches(camera, phone, fit, *, box=None) -> np.ndarray:
    """Draws both photos side by side with their matches.

    Args:
      camera: uint8 `[h, w, 3]`.
      phone: uint8 `[h, w, 3]`.
      fit: `align.Fit` of the two.
      box: crop of the phone's photo, in its original pixels, or None.

    Returns:
      uint8 image, phone left. Lines: a sample of the matches, inliers green, others red. Blue: the
      outline of the camera's photo. Orange: the crop.
    """
    import cv2

    left, left_scale = _resized(phone, height=_PHOTO_HEIGHT)
    right, right_scale = _resized(camera, height=_PHOTO_HEIGHT)
    gap = 12
    image = np.full((_PHOTO_HEIGHT, left.shape[1] + gap + right.shape[1], 3), 255, np.uint8)
    image[: left.shape[0], : left.shape[1]] = left
    image[: right.shape[0], left.shape[1] + gap :] = right
    offset = (left.shape[1] + gap, 0)
    for chosen, colour in ((~fit.inliers, _RED), (fit.inliers, _GREEN)):
        numbers = _sample(np.flatnonzero(chosen), _LINES if colour == _GREEN else _LINES // 4)
        start = (fit.matches.phone[numbers] + 0.5) * left_scale
        end = (fit.matches.camera[numbers] + 0.5) * right_scale + offset
        for a, b in zip(start, end):
            cv2.line(image, _point(a), _point(b), colour, 1, cv2.LINE_AA)
    if fit.homography is not None and fit.reason is None:
        view = image[:, : left.shape[1]]
        outline = geometry.corners(camera.shape[:2])
        _polygon(view, geometry.transform(fit.homography, outline), left_scale, _BLUE)
    if box is not None:
        top, left_edge, bottom, right_edge = box
        frame = geometry.corners((bottom - top, right_edge - left_edge)) + (left_edge, top)
        _polygon(image[:, : left.shape[1]], frame, left_scale, _ORANGE)
        outline = geometry.transform(np.linalg.inv(fit.homography), frame)
        _polygon(image[:, offset[0] :], outline, right_scale, _ORANGE)
    return image


def crops(aligned) -> dict[str, np.ndarray]:
    """Resizes the aligned crops, and combines them in a checkerboard.

    Args:
      aligned: `align.Crops`.

    Returns:
      `{"phone", "camera", "checker": uint8 images of one size}`.
    """
    phone, _ = _resized(aligned.phone, width=_CROP_WIDTH, height=_CROP_HEIGHT)
    camera, _ = _resized(aligned.camera, width=_CROP_WIDTH, height=_CROP_HEIGHT)
    rows, columns = np.indices(phone.shape[:2]) // max(16, max(phone.shape[:2]) // 8)
    odd = ((rows + columns) % 2).astype(bool)[..., None]
    return {"phone": phone, "camera": camera, "checker": np.where(odd, camera, phone)}


def patch_sheet(aligned, candidates, size: int, *, count: int = 9) -> np.ndarray | None:
    """Draws a sample of pairs of patches, the phone's above the camera's.

    Args:
      aligned: `align.Crops`.
      candidates: list of `patches.Patch`.
      size: of a patch.
      count: number of pairs at most, a third of them ones that were not kept.

    Returns:
      uint8 image: kept pairs in green frames, others in red ones, each with its correlation and
      shift; None without candidates.
    """
    import cv2

    kept = _sample([p for p in candidates if p.kept], count - count // 3)
    dropped = _sample([p for p in candidates if not p.kept], count - len(kept))
    cells = []
    for patch in [*kept, *dropped]:
        cell = np.full((2 * _PATCH + 34, _PATCH + 8, 3), 255, np.uint8)
        colour = _GREEN if patch.kept else _RED
        cell[: 2 * _PATCH + 12, :] = colour
        for row, photo, shifted in ((0, aligned.phone, False), (1, aligned.camera, True)):
            tile = patches.cut(photo, patch, size, shifted=shifted)
            method = cv2.INTER_AREA if size > _PATCH else cv2.INTER_NEAREST
            tile = cv2.resize(tile, (_PATCH, _PATCH), interpolation=method)
            top = 4 + row * (_PATCH + 4)
            cell[top : top + _PATCH, 4 : 4 + _PATCH] = tile
        text = f"{patch.correlation:.2f} ({patch.right:+d}, {patch.down:+d})"
        origin = (4, 2 * _PATCH + 28)
        cv2.putText(cell, text, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1, cv2.LINE_AA)
        cells += [cell, np.full((cell.shape[0], 6, 3), 255, np.uint8)]
    return np.concatenate(cells[:-1], axis=1) if cells else None


def page(title: str, summary: str, photos) -> str:
    """Renders the report as one HTML page that needs no other file.

    Args:
      title: of the page.
      summary: one paragraph.
      photos: sequence of `{"name", "status", "reason", "numbers": dict for the table, "images":
        dict of JPEG bytes, empty for a row of the table alone}`.

    Returns:
      HTML.
    """
    columns = list(dict.fromkeys(key for photo in photos for key in photo["numbers"]))
    heads = "".join(f"<th>{html.escape(head)}</th>" for head in ("photo", *columns, "result"))
    rows = "\n".join(_row(photo, columns) for photo in photos)
    sections = "\n".join(_section(photo) for photo in photos if photo["images"])
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
    if photo["images"]:
        name = f'<a href="#{name}">{name}</a>'
    numbers = "".join(f"<td>{photo['numbers'].get(key, '')}</td>" for key in columns)
    return f"<tr><td>{name}</td>{numbers}<td{_class(photo)}>{_result(photo)}</td></tr>"


def _section(photo):
    name, views = html.escape(photo["name"]), photo["images"]
    parts = [f'<section id="{name}"><h2>{name}</h2>\n<p{_class(photo)}>{_result(photo)}</p>']
    if "matches" in views:
        caption = "phone and camera: matches, outline of the camera photo (blue), crop (orange)"
        parts.append(_figure(caption, _image(views["matches"])))
    if "checker" in views:
        parts.append(_figure("checkerboard of both crops", _image(views["checker"])))
        both = _image(views["phone"]) + _image(views["camera"])
        caption = "phone and camera alternating (hover to pause)"
        parts.append(_figure(caption, f'<div class="blink">{both}</div>'))
    if "patches" in views:
        caption = "patches, phone above camera: correlation (shift right, down); red: not kept"
        parts.append(_figure(caption, _image(views["patches"])))
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
    """At most `count` of the items, at even distances."""
    if len(items) <= count:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, count).astype(int)]


def _resized(photo, *, height, width=None):
    """A copy within height and width, and its scale; small photos keep their size."""
    import cv2

    rows, columns = photo.shape[:2]
    scale = min(1.0, height / rows, width / columns if width else 1.0)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
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
