"""Ports of this machine that no other program of a busy machine takes in between."""

import socket
import sys

_HELD = []  # until this process ends


def reserve():
    """A free port, for the coordinator of several processes.

    On Linux it stays bound here: nobody else is given it, and JAX's coordinator, which shares ports
    (SO_REUSEPORT), can still listen there.
    """
    reserved = socket.socket()
    if sys.platform == "linux":
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _HELD.append(reserved)
    reserved.bind(("localhost", 0))
    port = reserved.getsockname()[1]
    if sys.platform != "linux":
        reserved.close()
    return port
