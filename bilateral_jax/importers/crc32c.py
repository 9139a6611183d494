"""The checksum of TensorFlow's checkpoints (CRC-32C), fast enough in NumPy for a network's weights.

A plain loop handles some megabytes a second. The checksum is linear over bits, so the data are cut
into lanes that advance together, one byte of each per step, and the lanes' results are joined at
the end.

Receives bytes from `importers/formats/tensor_bundle.py`.
Hands checksums back.
"""

import functools

import numpy as np

_POLYNOMIAL = 0x82F63B78  # Castagnoli, bits reversed
_LANES = 1024
_MASK_DELTA = 0xA282EAD8


def checksum(data: bytes) -> int:
    """Computes the CRC-32C of bytes, as an int in [0, 2**32)."""
    array = np.frombuffer(data, np.uint8)
    length = array.size // _LANES
    lanes, rest = array[: length * _LANES].reshape(_LANES, length), array[length * _LANES :]
    state = 0xFFFFFFFF
    if length:
        operator = _zeros_operator(length)
        for lane in _advance(np.zeros(_LANES, np.uint32), lanes):
            state = _apply(operator, state) ^ int(lane)
    state = _advance(np.asarray([state], np.uint32), rest[None])
    return int(state[0]) ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    """Computes the checksum in the rotated form in which TensorFlow stores it."""
    crc = checksum(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


@functools.cache
def _table():
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table


def _advance(states, lanes):
    """Feeds every lane `[l, n]` of bytes into its state `[l]`."""
    table = _table()
    for column in lanes.T:
        states = table[(states ^ column) & 0xFF] ^ (states >> 8)
    return states


def _zeros_operator(count):
    """Gives what `count` zero bytes do to a state, as the images of its 32 bits."""
    power = [
        int(v)
        for v in _advance(
            np.uint32(1) << np.arange(32, dtype=np.uint32), np.zeros((32, 1), np.uint8)
        )
    ]
    result = [1 << bit for bit in range(32)]
    while count:
        if count & 1:
            result = [_apply(power, image) for image in result]
        power = [_apply(power, image) for image in power]
        count >>= 1
    return result


def _apply(operator, state):
    out = 0
    for image in operator:
        if state & 1:
            out ^= image
        state >>= 1
    return out
