"""Photos with their colour channels in each of the six orders.

A few photos have colours of their own: leaves that are dark and green, skies that are bright and
blue. In all six orders together no hue is more frequent than another, neither in the shadows nor in
the highlights, and greys stay as they are.
"""

from __future__ import annotations

import itertools

import numpy as np

from bilateral_jax.data.sources import views

ORDERS = tuple(itertools.permutations(range(3)))


class ChannelPermutations(views.View):
    """Photos in the six orders of their channels: `{"image": [h, w, 3], "name"}`.

    Element `r * n + i` is photo i in order r of `ORDERS`; its name says which.

    Args:
      photos: source of `{"image", "name"}` or `{"input", "name"}` (a target there is left out).
    """

    def __len__(self) -> int:
        return super().__len__() * len(ORDERS)

    def __getitem__(self, index: int) -> dict:
        """Reads one photo and puts its channels into an order.

        Args:
          index: position in [-len, len).

        Returns:
          `{"image": the photo's dtype [h, w, 3], "name": str}`.

        Raises:
          IndexError: there is no such element.
        """
        index = views.check_index(index, len(self), "photos")
        order, number = divmod(index, len(self._source))
        element = self._source[number]
        photo = views.photo_of(element)
        letters = "".join("rgb"[channel] for channel in ORDERS[order])
        return {
            "image": np.ascontiguousarray(photo[..., ORDERS[order]]),
            "name": element["name"] if order == 0 else f"{element['name']}_{letters}",
        }
