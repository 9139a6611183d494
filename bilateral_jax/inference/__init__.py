"""A trained model applied to an image of any size, in bounded memory.

From a checkpoint to an enhanced photo:

    import dataclasses
    from bilateral_jax import images, inference
    from bilateral_jax.checkpoints import networks, packed

    model = networks.load_model("RUN")  # or packed.default_model(), which ships with us
    photo = images.read("photo.jpg")
    pixels = inference.enhance(model, photo.pixels)
    images.write_photo("enhanced.jpg", dataclasses.replace(photo, pixels=pixels))

Receives pixels and a `Model`.
Hands out pixels of the same dtype.
"""

from bilateral_jax.inference.enhancement import enhance as enhance

__all__ = [
    "enhance",
]


def __dir__() -> list[str]:
    return __all__
