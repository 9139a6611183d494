"""Contact sheet of the best and the worst images: input, output, target, error map and scores."""

import bisect
import functools
import math

import numpy as np

from bilateral_jax import images
from experiments.reports import contact_sheet

_TITLES = {"input": "input", "output": "output", "target": "target", "error": "difference"}
_HEIGHT, _WIDTH = 240, 360  # of an image, at most
_GAP, _LINE, _MARGIN = 8, 22, 12
_WHITE = 64  # absolute error, in 8-bit steps, at the bright end of the colour map


class BestAndWorst:
    """Collects thumbnails of the best and the worst images of a stream."""

    def __init__(self, metric, count):
        """Creates an empty collection.

        Args:
          metric: `Metric` by which images are ranked.
          count: images to keep at each end.
        """
        self._sign = -1 if metric.higher_is_better else 1
        self._count, self._kept = count, []  # sorted (key, index, caption, thumbnails)
        self._total = 0

    def add(self, value, caption, members):
        """Adds one image, and drops it again unless it is among the best or the worst.

        Args:
          value: its score; NaN is worst.
          caption: text above it.
          members: `{"input", "output", "target"}`, `[h, w, 3]`, float or integer pixels; the input
            may be absent.
        """
        key = math.inf if math.isnan(value) else self._sign * value
        entry = (key, self._total, caption)
        self._total += 1
        position = bisect.bisect(self._kept, entry[:2], key=lambda kept: kept[:2])
        if len(self._kept) == 2 * self._count and position == self._count:
            return  # neither better than the best nor worse than the worst
        self._kept.insert(position, (*entry, _thumbnails(members)))
        if len(self._kept) > 2 * self._count:
            del self._kept[self._count]

    def draw(self, title):
        """Draws the sheet.

        Args:
          title: first line of the sheet.

        Returns:
          uint8 `[h, w, 3]`, best first.

        Raises:
          ValueError: there is no image.
        """
        if not self._kept:
            raise ValueError("there is no image to draw")
        rows = [(self._caption(position), kept[3]) for position, kept in enumerate(self._kept)]
        legend = " | ".join(_TITLES[name] for name in rows[0][1])
        lines = [
            title,
            f"best first; {legend} (black: none, bright: {_WHITE} of 255 or more)",
            *(caption for caption, _ in rows),
        ]
        heights = [_LINE + _tallest(thumbnails) + _GAP for _, thumbnails in rows]
        width = max(*(_row_width(thumbnails) for _, thumbnails in rows), *map(_text_width, lines))
        canvas = np.full((_MARGIN + 2 * _LINE + sum(heights), width, 3), 255, np.uint8)
        tops = [_MARGIN, _MARGIN + _LINE, *(np.cumsum([0, *heights[:-1]]) + _MARGIN + 2 * _LINE)]
        for (_, thumbnails), top in zip(rows, tops[2:], strict=True):
            left = _MARGIN
            for thumbnail in thumbnails.values():
                height, columns = thumbnail.shape[:2]
                canvas[top + _LINE : top + _LINE + height, left : left + columns] = thumbnail
                left += columns + _GAP
        return _write_lines(canvas, zip(lines, tops, strict=True))

    def _caption(self, position):
        count, total = len(self._kept), self._total
        if count < 2 * self._count or position < self._count:
            rank = position + 1
        else:
            rank = total - (count - 1 - position)
        return f"{rank} of {total}:  {self._kept[position][2]}"


def _thumbnails(members):
    import cv2

    thumbnails = {
        name: _eight_bit(_fit(members[name])) for name in contact_sheet.MEMBERS if name in members
    }
    # The error is taken at full size and averaged: resizing first would hide noise.
    steps = cv2.absdiff(_eight_bit(members["output"]), _eight_bit(members["target"]))
    steps = _fit(steps).mean(axis=-1) * 255
    levels = np.minimum(steps * (255 / _WHITE), 255).astype(np.uint8)
    return thumbnails | {"error": cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1]}


def _fit(image):
    height, width = np.shape(image)[:2]
    return contact_sheet.downscale(
        image, height=max(1, min(_HEIGHT, round(height * _WIDTH / width)))
    )


def _eight_bit(image):
    image = np.asarray(image)
    if image.dtype == np.uint8:
        return image
    return images.to_integer(images.as_float(image), 8)


def _row_width(thumbnails):
    return 2 * _MARGIN + sum(image.shape[1] + _GAP for image in thumbnails.values()) - _GAP


def _tallest(thumbnails):
    return max(image.shape[0] for image in thumbnails.values())


def _text_width(line):
    return 2 * _MARGIN + math.ceil(_font().getlength(line))


def _write_lines(canvas, lines):
    from PIL import Image, ImageDraw

    sheet = Image.fromarray(canvas)
    draw = ImageDraw.Draw(sheet)
    for line, top in lines:
        draw.text((_MARGIN, int(top)), line, font=_font(), fill=(0, 0, 0))
    return np.asarray(sheet)


@functools.cache
def _font():
    from PIL import ImageFont

    return ImageFont.load_default(size=14)
