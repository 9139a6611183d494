"""The best and the worst on one sheet: input, output, target and where they differ, with numbers.

Receives pictures and scores one by one from experiments/evaluate.py.
Hands a uint8 sheet to a file.
"""

import bisect
import functools
import math

import numpy as np

from bilateral_jax import images
from experiments.reports import contact_sheet

_TITLES = {"input": "input", "output": "output", "target": "target", "error": "difference"}
_HEIGHT, _WIDTH = 240, 360  # of a picture, at most
_GAP, _LINE, _MARGIN = 8, 22, 12
_WHITE = 64  # difference, in 8-bit steps, at the bright end of the colours


class Extremes:
    """Keeps small copies of the best and the worst pictures, as they come."""

    def __init__(self, metric, count):
        """Prepares an empty collection.

        Args:
          metric: `Metric` by which pictures are ranked.
          count: pictures to keep at each end.
        """
        self._sign = -1 if metric.higher_is_better else 1
        self._count, self._kept = count, []  # sorted (key, order, caption, pictures)
        self._order = 0

    def add(self, value, caption, members):
        """Looks at one picture.

        Args:
          value: its score; NaN is worst.
          caption: what to write above it.
          members: `{"input", "output", "target"}`, `[h, w, 3]`, float or integer pixels; the input
            may be absent.
        """
        key = math.inf if math.isnan(value) else self._sign * value
        entry = (key, self._order, caption, None)
        self._order += 1
        place = bisect.bisect(self._kept, entry[:2], key=lambda kept: kept[:2])
        if len(self._kept) == 2 * self._count and place == self._count:
            return  # neither better than the best nor worse than the worst
        self._kept.insert(place, (*entry[:3], _small(members)))
        if len(self._kept) > 2 * self._count:
            del self._kept[self._count]

    def draw(self, title):
        """Draws the sheet.

        Args:
          title: the first line.

        Returns:
          uint8 `[h, w, 3]`, best first.

        Raises:
          ValueError: there is no picture.
        """
        if not self._kept:
            raise ValueError("there is no picture to draw")
        rows = [(self._caption(place), kept[3]) for place, kept in enumerate(self._kept)]
        legend = " | ".join(_TITLES[name] for name in rows[0][1])
        lines = [
            title,
            f"best first; {legend} (black: none, bright: {_WHITE} of 255 or more)",
            *(caption for caption, _ in rows),
        ]
        heights = [_LINE + _tallest(pictures) + _GAP for _, pictures in rows]
        width = max(*(_row_width(pictures) for _, pictures in rows), *map(_text_width, lines))
        canvas = np.full((_MARGIN + 2 * _LINE + sum(heights), width, 3), 255, np.uint8)
        tops = [_MARGIN, _MARGIN + _LINE, *(np.cumsum([0, *heights[:-1]]) + _MARGIN + 2 * _LINE)]
        for (_, pictures), top in zip(rows, tops[2:], strict=True):
            left = _MARGIN
            for picture in pictures.values():
                height, columns = picture.shape[:2]
                canvas[top + _LINE : top + _LINE + height, left : left + columns] = picture
                left += columns + _GAP
        return _write_lines(canvas, zip(lines, tops, strict=True))

    def _caption(self, place):
        count, total = len(self._kept), self._order
        if count < 2 * self._count or place < self._count:
            rank = place + 1
        else:
            rank = total - (count - 1 - place)
        return f"{rank} of {total}:  {self._kept[place][2]}"


def _small(members):
    import cv2

    small = {
        name: _eight_bit(_fit(members[name])) for name in contact_sheet.MEMBERS if name in members
    }
    # Differences are taken of the full pictures, then shrunk: small copies hide grain.
    steps = cv2.absdiff(_eight_bit(members["output"]), _eight_bit(members["target"]))
    steps = _fit(steps).mean(axis=-1) * 255
    return small | {"error": _colours(cv2, np.minimum(steps * (255 / _WHITE), 255))}


def _fit(picture):
    height, width = np.shape(picture)[:2]
    return contact_sheet.shrink(
        picture, height=max(1, min(_HEIGHT, round(height * _WIDTH / width)))
    )


def _eight_bit(picture):
    picture = np.asarray(picture)
    if picture.dtype == np.uint8:
        return picture
    return images.to_integer(images.to_float(picture) if picture.dtype.kind == "u" else picture, 8)


def _colours(cv2, levels):
    return cv2.applyColorMap(levels.astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]


def _row_width(pictures):
    return 2 * _MARGIN + sum(p.shape[1] + _GAP for p in pictures.values()) - _GAP


def _tallest(pictures):
    return max(picture.shape[0] for picture in pictures.values())


def _text_width(line):
    return 2 * _MARGIN + math.ceil(_font().getlength(line))


def _write_lines(canvas, lines):
    from PIL import Image, ImageDraw

    picture = Image.fromarray(canvas)
    draw = ImageDraw.Draw(picture)
    for line, top in lines:
        draw.text((_MARGIN, int(top)), line, font=_font(), fill=(0, 0, 0))
    return np.asarray(picture)


@functools.cache
def _font():
    from PIL import ImageFont

    return ImageFont.load_default(size=14)
