"""A pool of images that a generator made earlier, for training a critic on its history.

Reference: Shrivastava et al. 2017, "Learning from simulated and unsupervised images through
adversarial training", section 2.3; as used by CycleGAN: 50 images, exchanged with probability 1/2.
"""

import dataclasses
import numbers

import jax
import jax.numpy as jnp

from bilateral_jax.training import parallel


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ImagePool:
    """Images of earlier steps, the same on every device.

    Attributes:
      images: `[size, h, w, c]`.
      count: int32 scalar, how many of them are filled.
    """

    images: jax.Array
    count: jax.Array


def create(size, shape, *, dtype=jnp.float32):
    """Makes an empty pool.

    Args:
      size: number of images it holds, at least 1.
      shape: `(h, w, c)` of an image.
      dtype: of the images, floating point.

    Returns:
      An `ImagePool`.

    Raises:
      TypeError: the dtype is not floating point.
      ValueError: the size is not a positive int, or the shape not three of them.
    """
    if type(size) is not int or size < 1:
        raise ValueError(f"size must be a positive int, got {size!r}")
    sides = tuple(shape) if isinstance(shape, tuple | list) else ()
    if len(sides) != 3 or any(type(side) is not int or side < 1 for side in sides):
        raise ValueError(f"shape must be three positive ints (h, w, c), got {shape!r}")
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"dtype must be floating point, got {jnp.dtype(dtype)}")
    return ImagePool(jnp.zeros((size, *shape), dtype), jnp.int32(0))


def exchange(key, pool, images, *, probability=0.5):
    """Puts new images into the pool and returns images to train on; for use inside an update.

    The new images of all devices are taken in the order of the batch. While the pool is not full,
    an image is stored and returned. Afterwards it is returned with probability `1 - probability`;
    else it replaces a random image of the pool, which is returned.

    Args:
      key: random key, the same on every device.
      pool: an `ImagePool`.
      images: `[b, h, w, c]`, this device's shard.
      probability: of an exchange, in [0, 1].

    Returns:
      `(pool, images [b, h, w, c])`.

    Raises:
      TypeError: the images are not floating point.
      ValueError: they have another shape than those of the pool, or the probability is out of its
        range.
    """
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise TypeError(f"images must be floating point, got {images.dtype}")
    if images.ndim != 4 or images.shape[1:] != pool.images.shape[1:]:
        raise ValueError(
            f"images must be [b, *{pool.images.shape[1:]}] as those of the pool, got {images.shape}"
        )
    if isinstance(probability, numbers.Real) and not 0 <= probability <= 1:
        raise ValueError(f"probability must be in [0, 1], got {probability!r}")
    batch = parallel.gather(images).astype(pool.images.dtype)

    def one(pool, item):
        image, key = item
        size = pool.images.shape[0]
        coin, slot = jax.random.split(key)
        filling = pool.count < size
        swapped = ~filling & jax.random.bernoulli(coin, probability)
        index = jnp.where(filling, pool.count, jax.random.randint(slot, (), 0, size))
        earlier = pool.images[index]
        stored = jnp.where(filling | swapped, image, earlier)
        pool = ImagePool(
            pool.images.at[index].set(stored), jnp.minimum(pool.count + 1, size).astype(jnp.int32)
        )
        return pool, jnp.where(swapped, earlier, image)

    pool, returned = jax.lax.scan(one, pool, (batch, jax.random.split(key, len(batch))))
    return pool, parallel.own_part(returned, len(images)).astype(images.dtype)
