"""Writes small images and damaged files, as fake data sets for tests."""

import struct
import zlib

import numpy as np

from bilateral_jax import images


def pixels(seed, *, shape=(6, 8, 3), dtype=np.uint8):
    """Random pixels."""
    values = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, endpoint=True)
    return values.astype(dtype)


def write(path, seed=0, *, shape=(6, 8, 3), dtype=np.uint8):
    """Writes a random image and its parent folders; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images.write(path, pixels(seed, shape=shape, dtype=dtype))
    return path


def bomb(path):
    """Writes a PNG file of a few bytes whose header says 60,000 x 60,000 pixels."""
    head = b"\x89PNG\r\n\x1a\n"
    for name, data in (
        (b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(1000))),
        (b"IEND", b""),
    ):
        checksum = struct.pack(">I", zlib.crc32(name + data))
        head += struct.pack(">I", len(data)) + name + data + checksum
    path.write_bytes(head)


def truncate(path):
    """Cuts off the last third of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
